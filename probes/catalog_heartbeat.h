/*
 * catalog_heartbeat: the settings and the numbers of the metrics of the heartbeat probe type.
 */
#ifndef PROBES_CATALOG_HEARTBEAT_H
#define PROBES_CATALOG_HEARTBEAT_H

#include "probes/catalog.h"

enum { HEARTBEAT_AGE = 1200, HEARTBEAT_REPORTS, HEARTBEAT_MISSED, HEARTBEAT_CLOCK, HEARTBEAT_FAMILY };

struct heartbeat_options {
	const char *window;
	int64_t silent, down_after; /* ns */
};

#endif
