/*
 * dns: the probe type of a question to a name server: how long the answer takes, and whether it is the expected one.
 *
 * The options are catalog_dns.h's dns_options. Over UDP each query has a random id, the first one letters of random case:
 * a server that does not keep them, answers with an error or not at all is asked again without. The port is random as well, and
 * another one after 2 s, 16 questions to the same server, or a question without its answer (datagram.h says the trade). An answer is accepted when it comes
 * from the server's address and port and repeats id and question. Silence is asked again, at once lost and not yet down; what is
 * truncated is asked again over TCP (RFC 7766), what a server without EDNS refuses, without (RFC 6891 section 7), and so is the last
 * query that silence is followed by.
 */
#ifndef PROBES_DNS_H
#define PROBES_DNS_H

#include "probes/probe.h"

extern const struct probe_type dns_probe;

#endif
