/*
 * port_parity: which ports of two addresses, one of each family, take a connection: plain connects, the same port of both at
 * once, one port after the other.
 *
 *   port_parity_start ... on_end, or port_parity_stop
 *
 * Thread: the loop's.
 */
#ifndef PROBES_PORT_PARITY_H
#define PROBES_PORT_PARITY_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct event_base;
struct port_parity;

struct port_parity_end {
	bool measured;     /* false: reason is our own fault */
	unsigned open[2];  /* of IPv4, of IPv6 */
	unsigned differ;
	const char *reason; /* the ports that are open in one family only; "" */
};

/* ports: borrowed. wait: ns after which silence is no connection. on_end is called exactly once, never from inside this call. */
struct port_parity *port_parity_start(struct event_base *, const struct sockaddr_storage addresses[2], const uint16_t *ports,
	size_t count, int64_t wait, void (*on_end)(void *ctx, const struct port_parity_end *), void *ctx);
void port_parity_stop(struct port_parity *); /* no callback; accepts NULL */

#endif
