/*
 * counters: the two forms in which the kernel writes counters of its protocols, read by a table of the wanted ones.
 *
 *   /proc/net/snmp, netstat   "Tcp: ActiveOpens ...\nTcp: 12 ...\n": names, then numbers
 *   /proc/net/snmp6           "Udp6InDatagrams   12\n"
 *
 * A number with a sign (MaxConn) is none that is wanted. Pure, any thread.
 */
#ifndef PROBES_HOST_COUNTERS_H
#define PROBES_HOST_COUNTERS_H

#include "probes/host/scan.h"

#define COUNTERS_MAX 32 /* words of a table */

struct counters_word {
	const char *group; /* "Tcp"; NULL: of snmp6 */
	const char *name;
};

/* Fills those that stand in the text, of both forms; has says which. What is there already stays. */
void counters_read(struct scan text, const struct counters_word *, size_t count, uint64_t *out, bool *has);

#endif
