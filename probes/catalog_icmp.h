/*
 * catalog_icmp: the settings and the numbers of the metrics of the probe type "icmp".
 */
#ifndef PROBES_CATALOG_ICMP_H
#define PROBES_CATALOG_ICMP_H

#include "probes/catalog.h"

enum {
	ICMP_SENT = 100, ICMP_LOST, ICMP_LOSS, ICMP_RTT_MIN, ICMP_RTT_P25, ICMP_RTT_MEDIAN, ICMP_RTT_P75,
	ICMP_RTT_MAX, ICMP_JITTER, ICMP_DUPLICATES, ICMP_LATE, ICMP_TTL,
};
struct icmp_options {
	const char *host, *ipv4, *ipv6;
	int64_t count;    /* echoes of a round */
	int64_t spacing;  /* ns between two echoes to one target */
	int64_t size;     /* payload bytes */
	int64_t wait;     /* ns to wait for the last reply before the round is closed */
};

#endif
