/*
 * interface: /proc/net/dev and /proc/net/if_inet6. The decoders are pure; the probe type stands in types.h.
 */
#ifndef PROBES_HOST_INTERFACE_H
#define PROBES_HOST_INTERFACE_H

#include "probes/host/scan.h"

/* Counters that are told, picked from the sixteen of a line. */
enum interface_counter {
	INTERFACE_COUNT_RX_BYTES, INTERFACE_COUNT_RX_PACKETS, INTERFACE_COUNT_RX_ERRORS, INTERFACE_COUNT_RX_DROPS,
	INTERFACE_COUNT_MULTICAST, INTERFACE_COUNT_TX_BYTES, INTERFACE_COUNT_TX_PACKETS, INTERFACE_COUNT_TX_ERRORS,
	INTERFACE_COUNT_TX_DROPS, INTERFACE_COUNT_COLLISIONS, INTERFACE_COUNTS,
};

struct interface_line {
	struct scan name;
	uint64_t counts[INTERFACE_COUNTS];
};
/* The next interface; heads and what is cut short are skipped. */
bool interface_next(struct scan *text, struct interface_line *);
/* The next global address: the name of its interface. Link-local ones and the loop's are skipped. */
bool interface_next_global_v6(struct scan *text, struct scan *name);

#endif
