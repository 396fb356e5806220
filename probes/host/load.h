/*
 * load: /proc/loadavg and the processors that are online. The decoders are pure; the probe type stands in types.h.
 */
#ifndef PROBES_HOST_LOAD_H
#define PROBES_HOST_LOAD_H

#include "probes/host/scan.h"

struct load_sample {
	double averages[3]; /* 1, 5, 15 min */
	uint64_t runnable, threads;
};

/* "0.20 0.18 0.12 1/80 11206"; false when it is not of that form. */
bool load_parse(struct scan text, struct load_sample *);
/* How many numbers a list such as "0-3,5,8-11" names; 0 when it is not one. */
uint64_t load_count_cores(struct scan text);

#endif
