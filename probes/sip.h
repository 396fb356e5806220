/*
 * sip: the probe type of a SIP server: the final response to an OPTIONS request (RFC 3261 section 11), over UDP, TCP or TLS.
 *
 * The options are catalog_sip.h's sip_options. Over UDP silence is asked again as section 17.1.2 has it: after 500 ms, each
 * time twice as long, at most 4 s, and each 4 s after a provisional response; a lost packet is counted, not down.
 * What does not answer the request (branch, Call-ID, CSeq) is counted out. Over TLS the certificate is judged before
 * anything is asked; versions and suites are what the type tls measures.
 * Limit: a certificate must name the host as a DNS name or address; a SIP URI in it (RFC 5922 section 7.1) is not looked at.
 */
#ifndef PROBES_SIP_H
#define PROBES_SIP_H

#include "probes/probe.h"

extern const struct probe_type sip_probe;

#endif
