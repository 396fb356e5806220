/*
 * catalog_http_steps: the numbers of the metrics of the probe type "http-steps". Its options are those of "http" (catalog_http.h), of
 * which it has fewer and the steps. A type of its own, since each value of a type is a column in the series of all its checks.
 */
#ifndef PROBES_CATALOG_HTTP_STEPS_H
#define PROBES_CATALOG_HTTP_STEPS_H

#include "probes/catalog_http.h"

enum {
	/* as those of http, in their order, of all steps together; status and body of the last one */
	HTTP_STEPS_RESOLVE = 1400, HTTP_STEPS_CONNECT, HTTP_STEPS_TLS, HTTP_STEPS_FIRST_BYTE, HTTP_STEPS_TOTAL, HTTP_STEPS_STATUS,
	HTTP_STEPS_BODY_BYTES, HTTP_STEPS_REDIRECTS, HTTP_STEPS_CERT_DAYS,
	HTTP_STEPS_DONE,
	HTTP_STEPS_TIME = 1420, /* of the first one, then of the others */
};

#endif
