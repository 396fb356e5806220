/*
 * tls_shake: one whole handshake of TLS 1.0 to 1.3 on a connected socket, with whatever the server wants, and what is known then.
 *
 *   tls_shake_start -> on_end, once, never from inside the call; or tls_shake_stop before
 *
 * It takes anything, whatever the policy of this system is, and judges afterwards: the certificate is asked with verify = false.
 * The connection is ended with close_notify and FIN. The owner decides when it has waited long enough. SIGPIPE must be
 * ignored. Thread: the loop's.
 */
#ifndef PROBES_TLS_SHAKE_H
#define PROBES_TLS_SHAKE_H

#include <stdint.h>

#include "probes/tls_ocsp.h"

struct certificate;
struct event_base;
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

#endif
