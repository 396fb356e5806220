/*
 * tls_peek: asks a server for one version and one list of suites, on a connection of its own, and goes away when it has
 * answered. No cryptography is done.
 *
 *   tls_peek_start -> on_end, once, never from inside the call; or tls_peek_stop before
 *
 * The owner decides when it has waited long enough. Thread: the loop's.
 */
#ifndef PROBES_TLS_PEEK_H
#define PROBES_TLS_PEEK_H

#include "probes/tls_line.h"
#include "probes/tls_packet.h"

struct tls_peek;

enum tls_peek_answer {
	TLS_PEEK_AGREED,
	TLS_PEEK_REFUSED, /* by an alert, another version, or the end of the connection once it was asked */
	TLS_PEEK_NOT_ASKED, /* no connection, or no way through the dialogue: nothing is known */
};

struct tls_peek_end {
	enum tls_peek_answer answer;
	const struct tls_flight *flight; /* of AGREED and REFUSED, during the call only */
	const char *words;               /* of the latter two: "alert: protocol version" */
	bool ours;                       /* of NOT_ASKED: failed on our side */
};

/* place and hello: copied, the names and suites in the hello borrowed until the end. */
struct tls_peek *tls_peek_start(const struct tls_place *, const struct tls_hello *hello,
	void (*on_end)(void *ctx, const struct tls_peek_end *), void *ctx);
void tls_peek_stop(struct tls_peek *); /* accepts NULL */

#endif
