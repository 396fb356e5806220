/*
 * snmp_rates: counters of a device become rates, and no spike can come of it. Pure: clocks are arguments.
 *
 *   snmp_rates_new -> { snmp_rates_begin -> snmp_rates_part -> snmp_rate ... -> snmp_rates_end } each run -> snmp_rates_free
 *
 * A rate is told only when the counter surely went on from where it was: there was a run before, the device has not been
 * restarted or changed for another one meanwhile (its sysUpTime is what it should be), the part is the same one (index and
 * ifCounterDiscontinuityTime), and the counter went up by what can have been. One of 64 bits that fell was set back. One of 32 bits
 * that fell has wrapped only if the limit of the part says that it can have, and once at most.
 * Limit: SNMP_PARTS_KEPT parts.
 */
#ifndef PROBES_SNMP_RATES_H
#define PROBES_SNMP_RATES_H

#include <stdbool.h>
#include <stdint.h>

#include "probes/snmp_table.h"

#define SNMP_COUNTS_MAX 12   /* counters of a part */
#define SNMP_PARTS_KEPT 8192

struct snmp_rates;
struct snmp_past;

/* When the device said how long it is up, in hundredths of a second that wrap at 2^32. */
struct snmp_clock {
	int64_t mono;
	bool has_uptime;
	uint32_t uptime;
};

/* Whether the device ran on from one to the other: differences of its clock below 2 % and 3 s are not seen. */
bool snmp_clock_went_on(const struct snmp_clock *before, const struct snmp_clock *now);

struct snmp_rates *snmp_rates_new(void);
void snmp_rates_free(struct snmp_rates *); /* accepts NULL */
void snmp_rates_begin(struct snmp_rates *, const struct snmp_clock *);
/* The device was restarted while it was read: no rate this time. */
void snmp_rates_broken(struct snmp_rates *);
/* One part by its label. identity: when it is another number than before, its counters began anew. NULL: too many. */
struct snmp_past *snmp_rates_part(struct snmp_rates *, const char *label, uint64_t identity);
/* Per second, or NaN. limit: what the part can do per second, 0: not known. accepts NULL. */
double snmp_rate(struct snmp_past *, unsigned slot, const struct snmp_value *, int64_t mono, double limit);
void snmp_rates_end(struct snmp_rates *); /* forgets the parts that were not there */

#endif
