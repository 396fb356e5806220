/*
 * tls: OpenSSL contexts for both ends of our own wire, and who the peer is.
 *
 * TLS 1.3 only, no 0-RTT, no renegotiation, no compression. The server demands a certificate of our CA
 * in the handshake; the client checks chain and name. The identity of a peer is the one SAN dNSName
 * (or IP for servers) of its certificate. API common to OpenSSL 1.1.1 and 3.0.
 */
#ifndef LIB_TLS_H
#define LIB_TLS_H

#include <stddef.h>

struct err;
struct ssl_ctx_st;
struct ssl_st;

struct tls_files {
	const char *ca;          /* PEM: the roots we trust */
	const char *certificate; /* PEM: leaf first */
	const char *key;         /* PEM, 0600 */
};

/* New contexts; the caller frees with SSL_CTX_free. NULL with err that names the file. */
struct ssl_ctx_st *tls_server(const struct tls_files *, struct err *);
struct ssl_ctx_st *tls_client(const struct tls_files *, struct err *);
/* The identity (agent id) of the verified peer: exactly one SAN dNSName, [a-z0-9-], no wildcard, no NUL.
 * 0, or -1 when there is no certificate or its SAN has another form. */
int tls_peer_identity(struct ssl_st *, char *out, size_t room, struct err *);
/* Days until the leaf of a context ends (negative: ended). */
int tls_days_left(struct ssl_ctx_st *, double *days);
/* The first SAN dNSName of a PEM certificate file: who we are. */
int tls_own_identity(const char *certificate, char *out, size_t room, struct err *);

#endif
