/*
 * catalog_ntp: the settings and the numbers of the metrics of the probe type "ntp".
 */
#ifndef PROBES_CATALOG_NTP_H
#define PROBES_CATALOG_NTP_H

#include "probes/catalog.h"

enum {
	NTP_OFFSET = 600, NTP_DELAY, NTP_STRATUM, NTP_LEAP, NTP_ROOT_DELAY, NTP_ROOT_DISPERSION, NTP_ROOT_DISTANCE,
	NTP_REFERENCE_AGE, NTP_LOST, NTP_FOREIGN,
};

struct ntp_options {
	const char *host, *ipv4, *ipv6;
	int64_t port;
	int64_t stratum_max;
	int64_t retries;
};

#endif
