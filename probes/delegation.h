/*
 * delegation: whether the zone that holds a name can be asked over IPv6: each of its name servers has an AAAA record and
 * answers with authority at each of these addresses.
 *
 *   delegation_start ... on_end, or delegation_stop
 *
 * The zone is the nearest name upwards that has NS records, of two labels at least, by the resolver's first server that answers.
 * Thread: the loop's. Limits: DELEGATION_SERVERS_MAX servers, DELEGATION_ADDRESSES_MAX addresses of each.
 */
#ifndef PROBES_DELEGATION_H
#define PROBES_DELEGATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define DELEGATION_SERVERS_MAX 13
#define DELEGATION_ADDRESSES_MAX 2

struct delegation;
struct probe_env;

struct delegation_end {
	bool measured;      /* false: reason says why it could not be */
	size_t servers, answer_v6;
	const char *zone;
	const char *reason; /* what the first server without IPv6 lacks; "" */
};

/* wait: ns for each question. on_end is called exactly once, never from inside this call. */
struct delegation *delegation_start(const struct probe_env *, const char *host, int64_t wait,
	void (*on_end)(void *ctx, const struct delegation_end *), void *ctx);
void delegation_stop(struct delegation *); /* no callback; accepts NULL */

#endif
