/*
 * catalog_path: the settings and the numbers of the metrics of the probe type "path".
 */
#ifndef PROBES_CATALOG_PATH_H
#define PROBES_CATALOG_PATH_H

#include "probes/catalog.h"

enum {
	PATH_HOPS = 1100, PATH_SILENT, PATH_CHANGED, PATH_MTU, PATH_LOSS, PATH_RTT_MIN, PATH_RTT, PATH_RTT_MAX,
	PATH_FOREIGN,
};

enum { PATH_ICMP, PATH_UDP };

struct path_options {
	const char *host, *ipv4, *ipv6;
	int mode;
	int64_t port;     /* of udp */
	int64_t hops;     /* the farthest that is asked for */
	int64_t probes;   /* of each hop */
	int64_t spacing;  /* ns between two packets */
	int64_t wait;     /* ns for the answer to the last packet */
	int64_t mtu;      /* bytes of the largest packet, with its IP header; 0: not measured */
};

#endif
