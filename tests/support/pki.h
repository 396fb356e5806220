/*
 * pki: certificates of every shape, good and bad, made by OpenSSL calls for tests.
 *
 * A zeroed spec is a good agent's leaf: P-256, SHA-256, v3, SAN DNS:agent-1, clientAuth, from an hour
 * ago to an hour from now, signed by the issuer. Failures end the test program.
 */
#ifndef TESTS_SUPPORT_PKI_H
#define TESTS_SUPPORT_PKI_H

#include <stddef.h>

#include <openssl/x509.h>

struct pki {
	X509 *x;
	EVP_PKEY *key;
};

struct pki_spec {
	const char *subject; /* CN, NULL: "leaf" */
	const char *san;     /* as in openssl.cnf; NULL: "DNS:agent-1"; "": none */
	const char *raw_dns; /* a dNSName byte by byte beside san, raw_len bytes */
	size_t raw_len;
	const char *usage;   /* extendedKeyUsage; NULL: "clientAuth"; "": none */
	const char *key_usage; /* NULL: "critical,digitalSignature"; "": none */
	const char *basic;   /* basicConstraints; NULL: "critical,CA:FALSE"; "": none */
	const char *constraints; /* nameConstraints; NULL: none */
	long from, until;    /* s from now; both 0: -3600, 3600 */
	int is_v1;           /* no extensions at all */
	int rsa_bits;        /* 0: P-256 */
	const char *digest;  /* NULL: "SHA256" */
	const char *forged_issuer; /* CN of the issuer that the certificate claims, whoever signs */
};

struct pki pki_make(const struct pki_spec *, const struct pki *issuer /* NULL: itself */);
/* A root (CA:TRUE, keyCertSign), or an intermediate when there is an issuer. */
struct pki pki_authority(const char *subject, const struct pki *issuer);
void pki_free(struct pki *);
/* PEM; the key 0600. */
void pki_write_certificate(const char *path, X509 *const *certificates, size_t count);
void pki_write_key(const char *path, EVP_PKEY *);

#endif
