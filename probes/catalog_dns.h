/*
 * catalog_dns: the settings and the numbers of the metrics of the probe type "dns".
 */
#ifndef PROBES_CATALOG_DNS_H
#define PROBES_CATALOG_DNS_H

#include "probes/catalog.h"

enum {
	DNS_TIME = 400, DNS_TOTAL, DNS_ANSWERS, DNS_TTL, DNS_RCODE, DNS_SIZE, DNS_LOST, DNS_FOREIGN, DNS_IS_AUTHENTIC,
	DNS_IS_AUTHORITATIVE, DNS_IS_TRUNCATED, DNS_IS_TCP,
};

/* The host that stands for the name servers of the measuring host. */
#define DNS_RESOLVERS "resolvers"

enum { DNS_OVER_UDP, DNS_OVER_TCP };
enum { DNS_SECURITY_OFF, DNS_SECURITY_SIGNED, DNS_SECURITY_VALIDATED };
/* The words of expect_status; from DNS_WANT_NODATA on what is no code of its own. */
#define DNS_STATUS_WORDS "NOERROR|FORMERR|SERVFAIL|NXDOMAIN|NOTIMP|REFUSED|NODATA"
enum { DNS_WANT_NODATA = 6 };

struct dns_options {
	const char *host, *ipv4, *ipv6;
	const char *name;
	const char *record;
	int64_t port;
	int protocol;
	bool recursion;
	bool authoritative;
	int dnssec;
	int expect_status;
	struct config_texts expect; /* each the text of a record, or "~" and a pattern */
	int64_t retries;
};

#endif
