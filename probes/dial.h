/*
 * dial: a non-blocking TCP connect to one address on the loop, with its time and the words of its failure.
 * The owner decides when it has waited long enough (the run's deadline) and stops it.
 *
 * An unreachable network, host or permission is told by two parties. When connect() itself refuses, it is this host's
 * own routing table, firewall or lack of an address: ours. When it comes later it is an ICMP error from the way or
 * a neighbour that does not answer: the target's. An IPv6 socket never speaks IPv4 (::ffff:192.0.2.1 is refused).
 */
#ifndef PROBES_DIAL_H
#define PROBES_DIAL_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct dial;
struct event_base;

struct dial_end {
	int fd;          /* connected, non-blocking, close-on-exec: the callee owns it; -1 when it failed */
	int64_t elapsed; /* ns from connect() to its end */
	int error;       /* errno when it failed */
	bool ours;       /* failed on our side (no descriptor, no route, no source address): unknown, not down */
};

/* on_end is called exactly once, never from inside this call. */
struct dial *dial_start(struct event_base *, const struct sockaddr *, socklen_t, uint16_t port,
	void (*on_end)(void *ctx, const struct dial_end *), void *ctx);
void dial_stop(struct dial *); /* closes; no callback; accepts NULL */
/* True for errors that say nothing about the target, whoever of socket(), connect() and SO_ERROR gave them. */
bool dial_error_is_ours(int error);
/* What this host says of its own way to an address now, as dial_reason; nothing is sent. NULL: it has one, or cannot say. */
const char *dial_no_way(const struct sockaddr *, socklen_t);
/* The words of an end that failed: "connection refused", "no route to host", "no route of our own to it". */
const char *dial_reason(const struct dial_end *);

#endif
