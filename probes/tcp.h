/*
 * tcp: the probe type of a TCP connection: how long connecting takes, and whether a service says what it should.
 *
 * The options are catalog.h's tcp_options. Of an answer the first TCP_ANSWER_MAX bytes are looked at; what is sent
 * goes out in one piece. The connection is ended by FIN.
 */
#ifndef PROBES_TCP_H
#define PROBES_TCP_H

#include "probes/probe.h"

#define TCP_ANSWER_MAX 65536

extern const struct probe_type tcp_probe;

#endif
