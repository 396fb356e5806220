/*
 * dns: the probe type of a question to a name server: how long the answer takes, and whether it is the expected one.
 *
 * The options are catalog_dns.h's dns_options. Over UDP each query has a random id, port and case of letters (a server
 * that does not keep the case is asked again without); an answer is accepted when it comes from the server's address and
 * port and repeats id and question. Silence is asked again, at once lost and not yet down; what is truncated is asked again over
 * TCP (RFC 7766), what a server without EDNS refuses, without (RFC 6891 section 7).
 */
#ifndef PROBES_DNS_H
#define PROBES_DNS_H

#include "probes/probe.h"

extern const struct probe_type dns_probe;

#endif
