/*
 * sip_message: an OPTIONS request of SIP as bytes, and the responses to it. Pure.
 *
 * Sources: RFC 3261 sections 7 (messages: folding, compact forms, names in any case), 11 (OPTIONS), 17.1.3 (what answers a
 * request), 18.3 (framing: by Content-Length in a stream, by the packet over UDP).
 *
 * Limits: SIP_HEAD_MAX bytes up to the empty line, SIP_BODY_MAX bytes of a body.
 */
#ifndef PROBES_SIP_MESSAGE_H
#define PROBES_SIP_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/buf.h"

#define SIP_HEAD_MAX 16384
#define SIP_BODY_MAX 65536
#define SIP_TOKEN_MAX 64
#define SIP_REASON_MAX 100

/* What a request is known by; random, of letters and digits. */
struct sip_ids {
	char branch[SIP_TOKEN_MAX]; /* begins with z9hG4bK */
	char call_id[SIP_TOKEN_MAX];
	char tag[SIP_TOKEN_MAX];
	unsigned sequence;
};

struct sip_request {
	const char *transport; /* "UDP", "TCP", "TLS" */
	const char *target;    /* request URI: "sip:12345@example.cn" */
	const char *local;     /* our address and port, IPv6 in brackets */
	const char *user_agent;
	const struct sip_ids *ids;
};

enum sip_step {
	SIP_MORE,    /* of a stream: it is not all there */
	SIP_WHOLE,
	SIP_INVALID, /* no response of SIP; words say why */
};

struct sip_response {
	unsigned code; /* 100 to 699 */
	char reason[SIP_REASON_MAX];
	size_t len;    /* bytes of the whole message */
	/* Of the topmost Via, of Call-ID and CSeq; "" when too long to be ours. */
	char branch[SIP_TOKEN_MAX], call_id[SIP_TOKEN_MAX], method[SIP_TOKEN_MAX];
	unsigned sequence;
	const char *words;
};

void sip_request_encode(const struct sip_request *, struct buf *out);
/* Leading empty lines are skipped (section 7.5). is_stream: Content-Length must stand there and more may follow. */
enum sip_step sip_response_decode(const void *data, size_t len, bool is_stream, struct sip_response *);
/* Whether it answers the OPTIONS request of those ids (section 17.1.3, and the Call-ID). */
bool sip_response_answers(const struct sip_response *, const struct sip_ids *);

#endif
