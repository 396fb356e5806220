/*
 * resolve: names to addresses with c-ares on the loop; A and AAAA always asked for apart, so that each family has an
 * answer of its own. Literals and "localhost" (RFC 6761: 127.0.0.1 and ::1) are answered without a query.
 *
 *   resolver_new -> resolve_start ... on_answer, or resolve_cancel -> resolver_free
 *
 * A name is always absolute, with or without a dot at its end: search domains are never put behind it and /etc/hosts
 * and aliases are not read, so that a check means the same on every vantage (where DNS has no answer the check pins
 * addresses). /etc/resolv.conf is read by resolver_new and resolver_reload, and again within a second of use when it has changed.
 * The name "resolvers" stands for the servers that this resolver asks.
 * Never getaddrinfo (it may load modules and block). Thread: the loop's. Limits: RESOLVE_MAX addresses of an answer
 * (the lowest ones; more is logged), RESOLVE_WINDOW queries on the wire at once, the others wait in line.
 */
#ifndef PROBES_RESOLVE_H
#define PROBES_RESOLVE_H

#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>

#include "lib/sample.h"

#define RESOLVE_MAX 16
#define RESOLVE_SERVERS "resolvers"
#define RESOLVE_WINDOW 200 /* as many answers as a socket's default receive buffer holds */

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
	struct sockaddr_storage addresses[RESOLVE_MAX]; /* sorted, no two alike, port 0 */
	double seconds; /* from the first packet on; 0 without a query */
};

/* servers: "192.0.2.1,[2001:db8::1]:5353" or NULL for /etc/resolv.conf. */
struct resolver *resolver_new(struct event_base *, const char *servers, struct err *);
void resolver_free(struct resolver *); /* cancels without calling back; accepts NULL */
/* Takes other servers, or reads /etc/resolv.conf again; queries under way are asked anew. -1: the old ones stay. */
int resolver_reload(struct resolver *, const char *servers, struct err *);
/* on_answer is called exactly once, never from inside this call. The answer is borrowed. */
struct resolve_query *resolve_start(struct resolver *, const char *name, enum family, int64_t timeout,
	void (*on_answer)(void *ctx, const struct resolve_answer *), void *ctx);
void resolve_cancel(struct resolve_query *);

/* The servers that are asked, with their ports, in the order of asking; at most RESOLVE_MAX. */
size_t resolver_servers(const struct resolver *, struct sockaddr_storage out[RESOLVE_MAX]);

/* A literal IPv4 or IPv6 address (with or without brackets, with %scope for link-local): 0, or -1. The scope is the
 * number or the name of an interface that is there now. */
int resolve_literal(const char *text, struct sockaddr_storage *, socklen_t *);
/* Address as text, without port. out: at least 64 bytes. */
char *resolve_format(const struct sockaddr *, char *out, size_t room);

#endif
