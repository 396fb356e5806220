/*
 * datagram: a UDP socket connected to one address, on the loop. Connected: only that address and port is heard, and ICMP errors
 * about what was sent arrive. The kernel picks a random source port and stamps what comes in.
 *
 *   datagram_open -> datagram_send ... on_packet, on_error ... -> datagram_close
 *
 * Both callbacks may close it. One packet per turn of the loop, so that a flood does not keep others waiting.
 * A type that asks often has a pool: a socket that heard as many packets as it sent waits there, when it is closed, for its
 * next use; any other ends, since more may be on the way to it, and so does one to which something comes while it waits. To
 * make a socket and to end it costs twice what a question and its answer do.
 * Port: a use that follows another one to the same peer may keep the port, for as long as the pool says and
 * DATAGRAM_PORT_USES times; else a new random one is drawn (two calls of connect, a fifth of a question). The trade: somebody
 * who forges answers has to guess a port that lives that long, not one that lives for a question. He still has to take the
 * peer's address, to guess it within that time, and to guess what the question itself draws. That this host lost the address
 * that the port is of is noticed by sending over IPv4, and by sending again over IPv6: another one is drawn then.
 * Limits: of a packet the first DATAGRAM_MAX bytes; DATAGRAM_POOL_MAX sockets wait.
 */
#ifndef PROBES_DATAGRAM_H
#define PROBES_DATAGRAM_H

#include <stddef.h>
#include <stdint.h>
#include <sys/socket.h>

#define DATAGRAM_MAX 4096
#define DATAGRAM_POOL_MAX 64
#define DATAGRAM_PORT_USES 16

struct datagram;
struct datagram_pool;
struct event_base;

struct datagram_packet {
	const uint8_t *data;
	size_t len;         /* of data: less than the packet had when it was longer than DATAGRAM_MAX */
	int64_t mono, real; /* when the kernel took it in, on both clocks */
};

struct datagram_events {
	void (*on_packet)(void *ctx, const struct datagram_packet *);
	/* Somebody says that what was sent did not arrive. Words for it: datagram_error_words. */
	void (*on_error)(void *ctx, int error);
	void *ctx;
};

/* NULL with *error (an errno) when this host cannot: always its own fault. Words: datagram_refusal_words. */
struct datagram *datagram_open(struct event_base *, const struct sockaddr *, socklen_t, uint16_t port,
	const struct datagram_events *, int *error);
void datagram_close(struct datagram *); /* accepts NULL */
/* port_time: ns that a port may live; 0: each use has its own. */
struct datagram_pool *datagram_pool_new(struct event_base *, int64_t port_time);
void datagram_pool_free(struct datagram_pool *); /* all that were taken are closed by then */
/* As datagram_open. */
struct datagram *datagram_take(struct datagram_pool *, const struct sockaddr *, socklen_t, uint16_t port,
	const struct datagram_events *, int *error);
/* 0 or an errno: of this host, since errors of the way come by on_error. */
int datagram_send(struct datagram *, const void *data, size_t len);
int datagram_fd(const struct datagram *); /* borrowed: to ask for its own address, for protocols that tell it */

const char *datagram_refusal_words(int error);
const char *datagram_error_words(int error);

#endif
