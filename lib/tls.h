/*
 * tls: OpenSSL contexts for both ends of our own wire, and who the peer is.
 *
 * TLS 1.3 only, no 0-RTT, no tickets, no renegotiation, no compression, security level 2 (RSA from 2048
 * bits, no SHA-1). Each side refuses in the handshake what is not a leaf of our CA (one intermediate at
 * most) made for its part: extended key usage clientAuth or serverAuth, which must stand there, not a CA,
 * SAN of exactly one dNSName (lower case, no wildcard, no NUL) and else IP addresses only. The client also
 * checks that the SAN names the host it wanted; the subject is never looked at. The identity of a peer
 * is its one dNSName. A context holds the files as they were read: renewal makes a new one.
 * API common to OpenSSL 1.1.1 and 3.0. Thread: any. Limits: names <= TLS_NAME_MAX, PEM files <= 1 MiB.
 */
#ifndef LIB_TLS_H
#define LIB_TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct evp_pkey_st;
struct ssl_ctx_st;
struct ssl_st;
struct x509_st;

#define TLS_NAME_MAX 253 /* bytes of a host name (RFC 1035, 2.3.4) */

struct tls_files {
	const char *ca;          /* PEM: the roots we trust */
	const char *certificate; /* PEM: leaf first */
	const char *key;         /* PEM, 0600 */
};

/* New contexts; the caller frees with SSL_CTX_free. NULL with err that names the file. host: name or
 * literal address of the server that the client wants. */
struct ssl_ctx_st *tls_server(const struct tls_files *, struct err *);
struct ssl_ctx_st *tls_client(const struct tls_files *, const char *host, struct err *);
/* The same towards servers that are not ours (a log server): TLS from 1.2; ca "": the roots of the machine; certificate and
 * key may both be "". The server's certificate names the host, as RFC 6125 has it: wildcards are taken. */
struct ssl_ctx_st *tls_client_of_others(const struct tls_files *, const char *host, struct err *);
/* Makes `to`, a context of another maker (CURLOPT_SSL_CTX_FUNCTION), do as `client` does. */
int tls_client_copy(struct ssl_ctx_st *client, struct ssl_ctx_st *to, struct err *);
/* The identity (agent id) of the verified peer: exactly one SAN dNSName, [a-z0-9-], no wildcard, no NUL.
 * 0, or -1 when there is no certificate or its SAN has another form. */
int tls_peer_identity(struct ssl_st *, char *out, size_t room, struct err *);
/* From when until when its certificate holds, s UTC. */
int tls_peer_life(struct ssl_st *, int64_t *from, int64_t *until);
/* Days until the leaf of a context ends (negative: ended). */
int tls_days_left(struct ssl_ctx_st *, double *days);
/* The one SAN dNSName of a PEM certificate file: who we are. */
int tls_own_identity(const char *certificate, char *out, size_t room, struct err *);

/* The first certificate of a PEM file; a private key, which nobody but the owner may use and which no password
 * locks. The caller frees with X509_free, EVP_PKEY_free. NULL with err that names the file. */
struct x509_st *tls_read_certificate(const char *path, struct err *);
struct evp_pkey_st *tls_read_key(const char *path, struct err *);
/* Labels of [a-z0-9-] with dots between them: what a SAN dNSName of ours may be. */
bool tls_name_is_clean(const char *);

#endif
