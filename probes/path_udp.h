/*
 * path_udp: a connected UDP socket whose packets have a TTL each, and what its error queue tells of them. Needs no rights.
 *
 *   path_udp_open -> path_udp_send ... on_answer -> path_udp_close
 *
 * What does not quote a packet of this nonce is counted out. on_answer may close it. Thread: the loop's.
 */
#ifndef PROBES_PATH_UDP_H
#define PROBES_PATH_UDP_H

#include <sys/socket.h>

#include "probes/path_trace.h"

struct event_base;
struct path_udp;

struct path_udp_answer {
	unsigned index;
	const struct sockaddr *from;
	uint8_t type, code; /* of ICMP */
};

struct path_udp_events {
	void (*on_answer)(void *ctx, const struct path_udp_answer *);
	void *ctx;
};

/* source: the port to send from where it is free, so that later looks are the same flow; 0: any. NULL with *error. */
struct path_udp *path_udp_open(struct event_base *, const struct sockaddr *to, socklen_t, uint16_t port, uint16_t source,
	const struct path_udp_events *, int *error);
void path_udp_close(struct path_udp *); /* accepts NULL */
int path_udp_send(struct path_udp *, unsigned index, unsigned ttl); /* 0 or an errno */
unsigned path_udp_foreign(const struct path_udp *); /* errors that were counted out */

#endif
