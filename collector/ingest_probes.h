/*
 * ingest_probes: the checks that judgement wants an agent to run at once: they go with its next answer. Pure.
 *
 *   zeroed -> (probes_add ... probes_take) ...
 *
 * One that nobody came for within PROBES_WITHIN is of no use any more, whatever was asked for later. Limits: WIRE_PROBES_MAX.
 */
#ifndef COLLECTOR_INGEST_PROBES_H
#define COLLECTOR_INGEST_PROBES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/clock.h"
#include "lib/wire.h"

#define PROBES_WITHIN (15 * NS_PER_S)

struct probes {
	size_t count;
	char checks[WIRE_PROBES_MAX][SAMPLE_ID_MAX + 1];
	int64_t until[WIRE_PROBES_MAX];
};

/* mono: now. False: it is asked for already, which counts from now then, or there is no room. */
bool probes_add(struct probes *, const char *check, int64_t mono);
/* Those that are still wanted, into the answer; then none is. */
void probes_take(struct probes *, int64_t mono, struct wire_answer *);

#endif
