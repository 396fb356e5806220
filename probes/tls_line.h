/*
 * tls_line: a connection up to the first byte of TLS: dialled, and through the dialogue of its protocol.
 *
 *   tls_line_start -> on_end, once, never from inside the call; or tls_line_stop before
 *
 * The owner decides when it has waited long enough. Thread: the loop's.
 */
#ifndef PROBES_TLS_LINE_H
#define PROBES_TLS_LINE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "probes/tls_starttls.h"

struct event_base;
struct tls_line;

/* Where TLS is spoken. */
struct tls_place {
	struct event_base *base;
	const struct sockaddr *address; /* borrowed as long as what was started with it */
	socklen_t len;
	uint16_t port;
	enum starttls_kind starttls;
};

struct tls_line_end {
	int fd;            /* non-blocking, the callee owns it; -1 when it failed */
	int64_t connected; /* ns that connecting took; -1: it did not */
	int64_t dialogue;  /* ns of the dialogue */
	bool ours;         /* failed on our side */
	const char *words; /* of a failure, during the call only */
};

struct tls_line *tls_line_start(const struct tls_place *, void (*on_end)(void *ctx, const struct tls_line_end *),
	void *ctx);
void tls_line_stop(struct tls_line *); /* accepts NULL */
/* ns that connecting took; -1: it goes on. */
int64_t tls_line_connected(const struct tls_line *);

#endif
