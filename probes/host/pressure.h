/*
 * pressure: how long work stood still for want of processors, memory or I/O (PSI, /proc/pressure). The decoder is pure;
 * the probe type stands in types.h.
 */
#ifndef PROBES_HOST_PRESSURE_H
#define PROBES_HOST_PRESSURE_H

#include "probes/host/scan.h"

struct pressure_line {
	bool is_there;
	double last_minute; /* %: avg60 */
	uint64_t total;     /* us, since the boot */
};
/* "some avg10=0.00 avg60=0.12 avg300=0.05 total=1234\nfull ...": some work stood still; all did. */
void pressure_parse(struct scan text, struct pressure_line *some, struct pressure_line *full);

#endif
