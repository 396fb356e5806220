/*
 * resolve: names to addresses with c-ares on the loop; A and AAAA always asked for apart, so that each family has an
 * answer of its own. Literals and "localhost" (RFC 6761: 127.0.0.1 and ::1) are answered without a query.
 *
 * Never getaddrinfo (it may load modules and block). Thread: the loop's.
 */
#ifndef PROBES_RESOLVE_H
#define PROBES_RESOLVE_H

#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

#include "lib/sample.h"

struct err;
struct event_base;
struct resolver;
struct resolve_query;

enum resolve_status {
	RESOLVE_OK,
	RESOLVE_NO_RECORD, /* the name exists, not in this family */
	RESOLVE_NO_NAME,   /* NXDOMAIN */
	RESOLVE_FAILED,    /* no usable answer: our resolver or the way to it; reason says */
};

struct resolve_answer {
	enum resolve_status status;
	const char *reason; /* words for FAILED and NO_*; "" */
	size_t count;
	struct sockaddr_storage addresses[16]; /* sorted, port 0 */
	double seconds;
};

/* servers: "192.0.2.1,[2001:db8::1]:5353" or NULL for /etc/resolv.conf. */
struct resolver *resolver_new(struct event_base *, const char *servers, struct err *);
void resolver_free(struct resolver *); /* cancels without calling back; accepts NULL */
/* on_answer is called exactly once, never from inside this call. The answer is borrowed. */
struct resolve_query *resolve_start(struct resolver *, const char *name, enum family, int64_t timeout,
	void (*on_answer)(void *ctx, const struct resolve_answer *), void *ctx);
void resolve_cancel(struct resolve_query *);

/* A literal IPv4 or IPv6 address (with or without brackets, with %scope for link-local): 0, or -1. */
int resolve_literal(const char *text, struct sockaddr_storage *, socklen_t *);
/* Address as text, without port. out: at least 64 bytes. */
char *resolve_format(const struct sockaddr *, char *out, size_t room);

#endif
