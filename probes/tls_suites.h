/*
 * tls_suites: the cipher suites of TLS up to 1.2 (IANA registry), 1.3 and TLCP by number: their names and how much they protect.
 * Pure data.
 */
#ifndef PROBES_TLS_SUITES_H
#define PROBES_TLS_SUITES_H

#include <stddef.h>
#include <stdint.h>

/* Each is more than the one before it. */
enum tls_strength {
	TLS_STRENGTH_VOID,    /* NULL, anonymous, export: nothing is protected */
	TLS_STRENGTH_BROKEN,  /* RC4 (RFC 7465), DES, 3DES (SP 800-131A), IDEA */
	TLS_STRENGTH_STRONG,  /* the key exchange of RSA: a key stolen later opens what was recorded */
	TLS_STRENGTH_FORWARD, /* ephemeral keys, CBC */
	TLS_STRENGTH_AEAD,    /* and authenticated encryption (RFC 9325 section 4.2); all of TLS 1.3 */
	TLS_STRENGTH_NOT_KNOWN,
};

#define TLS_SUITES_MAX 128

enum tls_strength tls_suite_strength(uint16_t suite);
/* "TLS_RSA_WITH_AES_128_CBC_SHA", or "suite 0x1234". Returns out. */
const char *tls_suite_name(uint16_t suite, char out[64]);
/* Suites of TLS up to 1.2 from one strength to another, both included, the strongest first. */
size_t tls_suites_list(enum tls_strength from, enum tls_strength to, uint16_t out[TLS_SUITES_MAX]);

#endif
