#include "probes/tls_ocsp.h"

#include <openssl/err.h>
#include <openssl/ocsp.h>
#include <stdio.h>

#include "probes/certificate.h"

#define SKEW 300 /* s */

static void say(struct tls_ocsp *o, enum tls_ocsp_status status, const char *words)
{
	o->status = status;
	snprintf(o->words, sizeof o->words, "%s", words);
}

static X509 *issuer_of(X509 *leaf, STACK_OF(X509) *chain)
{
	for (int i = 0; i < sk_X509_num(chain); i++) {
		if (X509_check_issued(sk_X509_value(chain, i), leaf) == X509_V_OK)
			return sk_X509_value(chain, i);
	}
	return NULL;
}

/* Whether it is about the leaf: its hash may be another one than ours. */
static bool is_about(OCSP_SINGLERESP *single, X509 *leaf, X509 *issuer)
{
	const OCSP_CERTID *id = OCSP_SINGLERESP_get0_id(single);
	ASN1_OBJECT *hash = NULL;
	OCSP_CERTID *own;
	const EVP_MD *md;
	bool same;

	OCSP_id_get0_info(NULL, &hash, NULL, NULL, (OCSP_CERTID *)(uintptr_t)id);
	md = hash != NULL ? EVP_get_digestbyobj(hash) : NULL;
	own = md != NULL ? OCSP_cert_to_id(md, leaf, issuer) : NULL;
	same = own != NULL && OCSP_id_cmp(own, id) == 0;
	OCSP_CERTID_free(own);
	return same;
}

static OCSP_SINGLERESP *find(OCSP_BASICRESP *basic, X509 *leaf, STACK_OF(X509) *chain)
{
	X509 *issuer = issuer_of(leaf, chain);

	for (int i = 0; issuer != NULL && i < OCSP_resp_count(basic); i++) {
		if (is_about(OCSP_resp_get0(basic, i), leaf, issuer))
			return OCSP_resp_get0(basic, i);
	}
	return NULL;
}

static void judge_single(OCSP_SINGLERESP *single, struct tls_ocsp *o)
{
	ASN1_GENERALIZEDTIME *revoked = NULL, *since = NULL, *until = NULL;
	int reason, status = OCSP_single_get0_status(single, &reason, &revoked, &since, &until);
	char day[16], words[100];

	o->has_days = until != NULL && certificate_days(until, &o->days) == 0;
	if (status == V_OCSP_CERTSTATUS_REVOKED) {
		certificate_format_day(revoked, day);
		snprintf(words, sizeof words, "certificate was revoked on %s, says the stapled OCSP answer", day);
		say(o, TLS_OCSP_REVOKED, words);
	} else if (o->has_days && o->days * 86400 < -SKEW) {
		certificate_format_day(until, day);
		snprintf(words, sizeof words, "the stapled OCSP answer is outdated since %s", day);
		say(o, TLS_OCSP_OUTDATED, words);
	} else if (OCSP_check_validity(since, until, SKEW, -1) != 1) {
		say(o, TLS_OCSP_UNUSABLE, "the stapled OCSP answer is not valid yet");
	} else if (status == V_OCSP_CERTSTATUS_GOOD) {
		say(o, TLS_OCSP_GOOD, "");
	} else {
		say(o, TLS_OCSP_UNKNOWN, "the stapled OCSP answer does not know the certificate");
	}
}

static void judge_basic(OCSP_BASICRESP *basic, X509 *leaf, STACK_OF(X509) *chain, X509_STORE *roots,
	struct tls_ocsp *o)
{
	OCSP_SINGLERESP *single = find(basic, leaf, chain);

	if (OCSP_basic_verify(basic, chain, roots, 0) != 1)
		say(o, TLS_OCSP_UNUSABLE, "the stapled OCSP answer is not signed by whom it should be");
	else if (single == NULL)
		say(o, TLS_OCSP_UNUSABLE, "the stapled OCSP answer is about another certificate");
	else
		judge_single(single, o);
}

void tls_ocsp_judge(const unsigned char *der, long len, struct x509_st *leaf, struct stack_st_X509 *chain,
	struct x509_store_st *roots, struct tls_ocsp *o)
{
	OCSP_RESPONSE *response = der != NULL ? d2i_OCSP_RESPONSE(NULL, &der, len) : NULL;
	OCSP_BASICRESP *basic = NULL;

	*o = (struct tls_ocsp){.status = TLS_OCSP_NONE};
	if (der == NULL) {
		say(o, TLS_OCSP_NONE, "no OCSP answer is stapled");
	} else if (response == NULL) {
		say(o, TLS_OCSP_UNUSABLE, "the stapled OCSP answer is not readable");
	} else if (OCSP_response_status(response) != OCSP_RESPONSE_STATUS_SUCCESSFUL) {
		say(o, TLS_OCSP_UNUSABLE, "the stapled OCSP answer is an error");
	} else {
		basic = OCSP_response_get1_basic(response);
		if (basic != NULL)
			judge_basic(basic, leaf, chain, roots, o);
		else
			say(o, TLS_OCSP_UNUSABLE, "the stapled OCSP answer is not readable");
	}
	OCSP_BASICRESP_free(basic);
	OCSP_RESPONSE_free(response);
	ERR_clear_error();
}
