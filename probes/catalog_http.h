/*
 * catalog_http: the settings and the numbers of the metrics of the probe type "http".
 */
#ifndef PROBES_CATALOG_HTTP_H
#define PROBES_CATALOG_HTTP_H

#include "probes/catalog.h"

enum {
	HTTP_RESOLVE = 300, HTTP_CONNECT, HTTP_TLS, HTTP_FIRST_BYTE, HTTP_TOTAL, HTTP_STATUS, HTTP_BODY_BYTES,
	HTTP_REDIRECTS, HTTP_CERT_DAYS,
};

#define HTTP_JSON_CONDITIONS 16
#define HTTP_URL_MAX 2048

/* Of "http"; of "http-steps" method, body and what is expected are not set. */

struct http_options {
	const char *url, *ipv4, *ipv6;
	int method;              /* GET, HEAD, POST */
	const char *body;        /* sent with POST */
	struct config_texts headers; /* "Name: value" */
	const char *status;      /* "200", "200-399,401" */
	const char *expect_header; /* "Name: bytes", "Name: ~pattern"; "" none */
	const char *expect_body; /* bytes or "~pattern"; "" none */
	const char *forbid_body; /* the same, must not appear */
	struct config_texts json; /* conditions as json_path.h has them */
	struct config_texts steps; /* lines as http_steps.h has them; of "http-steps" alone */
	int64_t redirects;       /* at most; 0 none */
	int64_t body_max;        /* bytes read at most; more is cut and told */
	bool verify;             /* certificate chain and name */
	const char *ca;          /* PEM file instead of the system's; "" */
};

#endif
