/*
 * icmp_socket: one raw or datagram ICMP socket of a family for all rounds of a process; batches in
 * and out, with the kernel's time stamps on both ways.
 *
 *   icmp_socket_new -> icmp_socket_send ... on_stamp, on_arrival -> icmp_socket_free
 *
 * Stamps are CLOCK_REALTIME of the kernel; a packet may carry none (the first ones after the socket
 * was made, some drivers): the user's own clock stands beside each. SO_RXQ_OVFL tells how many
 * packets the kernel dropped because we were slow: those are nobody else's loss.
 * Thread: the loop's. Limit: ICMP_SOCKET_BATCH requests a call.
 */
#ifndef PROBES_ICMP_SOCKET_H
#define PROBES_ICMP_SOCKET_H

#include <sys/socket.h>

#include "probes/icmp_packet.h"

struct event_base;
struct icmp_socket;

#define ICMP_SOCKET_BATCH 64

struct icmp_request {
	struct icmp_packet_name name;
	const struct sockaddr *to; /* port 0 */
	socklen_t to_len;
	size_t size;               /* payload bytes, >= ICMP_PACKET_NAME; of one flow: + ICMP_PACKET_LEVEL */
	int ttl;                   /* 0: the host's default */
	bool one_flow;             /* all such requests look alike to routers that share load */
};

struct icmp_arrival {
	const struct icmp_packet *packet; /* not FOREIGN; its ttl is filled */
	const struct sockaddr *from;      /* of an error: who says so */
	int64_t mono, real;               /* our clocks when it was read */
	int64_t stamp;                    /* kernel's receive stamp, real ns; 0: none */
};

struct icmp_socket_events {
	void (*on_arrival)(void *ctx, const struct icmp_arrival *);
	/* The request went out at this real time by the kernel's clock. */
	void (*on_stamp)(void *ctx, const struct icmp_packet_name *, int64_t real);
	void *ctx;
};

/* Takes the descriptor. */
struct icmp_socket *icmp_socket_new(struct event_base *, int fd, enum family, const struct icmp_socket_events *);
void icmp_socket_free(struct icmp_socket *); /* accepts NULL */
/* What is sent from now on is never cut into fragments: EMSGSIZE when it does not fit the interface, and what routers told
 * of the way before does not count. 0 or an errno. */
int icmp_socket_keep_whole(struct icmp_socket *);
/* How many of the requests went out, from the first on; if not all, *error is errno of the next one. */
size_t icmp_socket_send(struct icmp_socket *, const struct icmp_request *, size_t count, int *error);
uint32_t icmp_socket_overflows(const struct icmp_socket *); /* packets dropped on our side so far */

#endif
