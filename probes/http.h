/*
 * http: the probe types of an HTTP or HTTPS request, and of several in turn (http_steps.h). The options are catalog_http.h's.
 *
 * A request is http_fetch's, to the address of the run; what comes back is judged by http_answer. Phases are summed over redirects
 * and steps, the days of certificates are the fewest of all hops, told good or bad, and
 * noted whose when it is another host's than the answer's.
 * Steps share a jar of cookies, which begins empty and ends with the run. What one takes is bounded (JSON_VALUE_MAX) and clean. A secret
 * goes to the hosts that the agent's own file names, and into no word of a result.
 */
#ifndef PROBES_HTTP_H
#define PROBES_HTTP_H

#include "probes/probe.h"

extern const struct probe_type http_probe, http_steps_probe;

#endif
