/*
 * dns_ask: one question to one name server over UDP, asked again when nothing comes.
 *
 *   dns_ask_start ... on_end, or dns_ask_stop
 *
 * For what other types want to know of the DNS; the dns type measures and has its own. No TCP: a truncated answer is told as such.
 * Thread: the loop's.
 */
#ifndef PROBES_DNS_ASK_H
#define PROBES_DNS_ASK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct dns_ask;
struct dns_message;
struct event_base;

struct dns_ask_question {
	const char *name; /* a checked host name; copied */
	uint16_t type;
	bool recursion;
};

struct dns_ask_end {
	const struct dns_message *message; /* whose records are decoded, but for a truncated one; NULL: none came */
	const char *reason;                /* why not: words; "" */
	bool ours;                         /* and it is this host's fault */
};

/* The port of the address, or 53 when that is 0. Asked `tries` times within timeout. on_end is called exactly once, never from
 * inside this call. */
struct dns_ask *dns_ask_start(struct event_base *, const struct sockaddr_storage *, const struct dns_ask_question *,
	int64_t timeout, unsigned tries, void (*on_end)(void *ctx, const struct dns_ask_end *), void *ctx);
void dns_ask_stop(struct dns_ask *); /* no callback; accepts NULL */

#endif
