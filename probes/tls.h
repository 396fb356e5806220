/*
 * tls: the probe type of a TLS server on any port: what it agrees to, and what its certificates are worth.
 *
 * The options are catalog_tls.h's tls_options. First one whole handshake, on which verdict, times and certificates rest; then,
 * each on a connection of its own and side by side, the questions: each version, suites below the wanted ones, TLCP. A question
 * that has no answer by the deadline leaves its value out and is not held against the server, but for TLCP where it is required.
 */
#ifndef PROBES_TLS_H
#define PROBES_TLS_H

#include "probes/probe.h"

extern const struct probe_type tls_probe;

#endif
