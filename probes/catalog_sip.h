/*
 * catalog_sip: the settings and the numbers of the metrics of the probe type "sip".
 */
#ifndef PROBES_CATALOG_SIP_H
#define PROBES_CATALOG_SIP_H

#include "probes/catalog.h"

enum {
	SIP_TIME = 700, SIP_CODE, SIP_RETRANSMISSIONS, SIP_CONNECT, SIP_FOREIGN, SIP_HANDSHAKE, SIP_CERT_DAYS,
};

/* In the order of the words of the option. */
enum sip_transport { SIP_UDP, SIP_TCP, SIP_TLS };

struct sip_options {
	const char *host, *ipv4, *ipv6;
	int64_t port; /* 0: that of the transport */
	int64_t transport;
	const char *user, *domain, *user_agent, *status;
	/* of TLS */
	const char *server_name, *ca;
	bool verify;
};

#endif
