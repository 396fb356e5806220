/*
 * tls_ocsp: what a stapled OCSP answer (RFC 6960, RFC 6066 section 8) says about a leaf, and whether it may be believed.
 *
 * A revocation counts however old the answer is; a good answer counts until its nextUpdate. Clocks may differ by five minutes.
 */
#ifndef PROBES_TLS_OCSP_H
#define PROBES_TLS_OCSP_H

#include <stdbool.h>

struct stack_st_X509;
struct x509_st;
struct x509_store_st;

/* Numbers are those of the metric. */
enum tls_ocsp_status {
	TLS_OCSP_NONE, TLS_OCSP_GOOD, TLS_OCSP_REVOKED, TLS_OCSP_UNKNOWN, TLS_OCSP_OUTDATED, TLS_OCSP_UNUSABLE,
};

struct tls_ocsp {
	enum tls_ocsp_status status;
	bool has_days;
	double days;    /* to nextUpdate */
	char words[160]; /* of all but good: "the stapled OCSP answer is outdated since 2026-01-31" */
};

/* chain: the leaf, its issuer and what else is known. der NULL: none is stapled. */
void tls_ocsp_judge(const unsigned char *der, long len, struct x509_st *leaf, struct stack_st_X509 *chain,
	struct x509_store_st *roots, struct tls_ocsp *);

#endif
