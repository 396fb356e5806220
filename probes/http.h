/*
 * http: the probe type of an HTTP or HTTPS request. The options are catalog_http.h's.
 *
 * The request is http_fetch's, to the address of the run; what comes back is judged by http_answer. Phases are summed over the
 * redirects, the days of certificates are the fewest of all hops, told good or bad.
 */
#ifndef PROBES_HTTP_H
#define PROBES_HTTP_H

#include "probes/probe.h"

extern const struct probe_type http_probe;

#endif
