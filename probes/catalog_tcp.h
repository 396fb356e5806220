/*
 * catalog_tcp: the settings and the numbers of the metrics of the probe type "tcp".
 */
#ifndef PROBES_CATALOG_TCP_H
#define PROBES_CATALOG_TCP_H

#include "probes/catalog.h"

enum { TCP_CONNECT = 200, TCP_TOTAL };
struct tcp_options {
	const char *host, *ipv4, *ipv6;
	int64_t port;
	const char *send;   /* with \r \n \t \xNN \\ escapes; "" sends nothing */
	const char *expect; /* bytes that must appear, same escapes; or "~" and a POSIX extended pattern */
};

#endif
