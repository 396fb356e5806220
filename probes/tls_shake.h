/*
 * tls_shake: one whole handshake of TLS 1.0 to 1.3 on a connected socket, with whatever the server wants, and what is known then.
 *
 *   tls_shake_start -> on_end, once, never from inside the call; or tls_shake_stop before
 *
 * It takes anything, whatever the policy of this system is, and judges afterwards: the certificate is asked with verify = false.
 * The connection is ended with close_notify and FIN, unless on_end takes it. The owner decides when it has waited long
 * enough. SIGPIPE must be ignored. Thread: the loop's.
 */
#ifndef PROBES_TLS_SHAKE_H
#define PROBES_TLS_SHAKE_H

#include <stddef.h>
#include <stdint.h>

#include "probes/tls_ocsp.h"

struct certificate;
struct event_base;
struct ssl_st;
struct tls_shake;

struct tls_facts {
	const char *words; /* why there was none: "alert: handshake failure"; "" it is complete */
	int64_t elapsed;   /* ns */
	uint16_t version, suite, group; /* 0: not known */
	/* Of a complete handshake: what was sent, the leaf first, and what was found to verify it (NULL: nothing). Borrowed. */
	struct stack_st_X509 *sent, *verified;
	struct tls_ocsp ocsp;
};

/* fd: taken. certificate: filled, stays until the end; its host is asked for by SNI unless it is an address. */
struct tls_shake *tls_shake_start(struct event_base *, int fd, struct x509_store_st *roots, struct certificate *,
	void (*on_end)(void *ctx, const struct tls_facts *), void *ctx);
void tls_shake_stop(struct tls_shake *); /* accepts NULL */
/* Only from inside on_end of a complete handshake: the connection goes on as the caller's, who ends it with SSL_free and
 * closes its descriptor (SSL_get_fd). */
struct ssl_st *tls_shake_take(struct tls_shake *);
/* What SSL_get_error told (why) and errno behind the call, in words: "reset by peer", "alert: certificate required". */
void tls_shake_error_words(int why, int error, char *out, size_t room);

#endif
