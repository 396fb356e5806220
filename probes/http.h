/*
 * http: the probe type of an HTTP or HTTPS request. The options are catalog.h's http_options.
 *
 * Every run is a connection of its own, to the address of the run, with the name in Host and SNI; HTTP/1.1, no cookies, no
 * proxy, no netrc, no content coding asked for (the body is looked at as it comes), no TLS session taken up again. HTTP is
 * libcurl's on a socket that dial connected, so that all types fail to connect in the same words.
 * A redirect is followed by ourselves, hop by hop: http and https only, no user part, the host resolved by our
 * resolver in the family of the run (same host: same address), may_probe asked, the configured headers sent to the
 * first origin only. Phases are summed over the hops, so that they add up to the total.
 * A certificate is judged inside the handshake (certificate.h); its days are told good or bad, the fewest of all hops.
 * Limits: http_answer.h.
 */
#ifndef PROBES_HTTP_H
#define PROBES_HTTP_H

#include "probes/probe.h"

extern const struct probe_type http_probe;

#endif
