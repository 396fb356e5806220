/*
 * flap: is something going up and down too often? Two published algorithms, as pure functions over small records.
 *
 * Icinga 2 (lib/icinga/checkable-flapping.cpp, UpdateFlappingStatus): of the last 20 results, those that changed the state count
 * 0.80 (oldest) to 1.18 (newest); value = 100 * sum / 20; flapping begins above `high` (30), ends at or below `low` (25).
 * Nagios Core (base/flapping.c, check_for_service_flapping; manual "Detection and Handling of State Flapping"): of the last 21 states
 * there are 20 possible changes, weighted 0.75 (oldest) to 1.25 (newest); value = 100 * sum / 20; flapping begins at or above
 * `high` (20 for a service), ends at or below `low` (5), and between them nothing changes.
 */
#ifndef COLLECTOR_JUDGE_FLAP_H
#define COLLECTOR_JUDGE_FLAP_H

#include <stdbool.h>
#include <stdint.h>

#define FLAP_ICINGA_SLOTS 20
#define FLAP_ICINGA_HIGH 30.0
#define FLAP_ICINGA_LOW 25.0
#define FLAP_NAGIOS_SLOTS 21
#define FLAP_NAGIOS_HIGH 20.0
#define FLAP_NAGIOS_LOW 5.0

struct flap_icinga {
	uint32_t changes; /* one bit per slot */
	uint8_t oldest;   /* slot that is written next */
	bool is_flapping;
};
double flap_icinga_take(struct flap_icinga *, bool changed, double low, double high); /* the value */
double flap_icinga_value(const struct flap_icinga *);

struct flap_nagios {
	uint8_t states[FLAP_NAGIOS_SLOTS];
	uint8_t oldest;
	bool is_flapping;
};
double flap_nagios_take(struct flap_nagios *, uint8_t state, double low, double high);

#endif
