/*
 * catalog_tls: the settings and the numbers of the metrics of the probe type "tls".
 */
#ifndef PROBES_CATALOG_TLS_H
#define PROBES_CATALOG_TLS_H

#include "probes/catalog.h"

enum {
	TLS_CONNECT = 500, TLS_STARTTLS, TLS_HANDSHAKE, TLS_TOTAL, TLS_VERSION, TLS_CIPHER, TLS_GROUP, TLS_1_0,
	TLS_1_1, TLS_1_2, TLS_1_3, TLS_CHAIN, TLS_CERT_DAYS, TLS_CHAIN_DAYS, TLS_OCSP, TLS_OCSP_DAYS, TLS_SM2,
	TLS_TLCP, TLS_TLCP_CIPHER, TLS_TLCP_SIGN_DAYS, TLS_TLCP_ENC_DAYS,
};

/* In the order of the words of the options. */
enum { TLS_TLCP_NONE, TLS_TLCP_OFFERED, TLS_TLCP_REQUIRED, TLS_TLCP_ONLY };

struct tls_options {
	const char *host, *ipv4, *ipv6;
	int64_t port;            /* 0: that of the protocol */
	const char *server_name; /* asked for, and what the certificate must be for; "": host */
	int starttls;            /* enum starttls_kind */
	bool verify;
	const char *ca;          /* PEM file instead of the system's; "" */
	bool versions;           /* ask for each version on a connection of its own */
	int min_version;         /* 0 any, else 1.min_version is the lowest that may be spoken */
	int ciphers;             /* 0 any, else what suites must have: strong, forward, aead */
	bool ocsp_required;
	int tlcp;
	bool certificates;       /* each as a part of its own */
};

#endif
