#include "tests/support/pki.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509v3.h>

#define NEED(good) need((good) ? 1 : 0, #good)

static void need(int good, const char *words)
{
	if (good)
		return;
	fprintf(stderr, "pki: %s failed\n", words);
	ERR_print_errors_fp(stderr);
	abort();
}

static EVP_PKEY *make_key(int rsa_bits)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(rsa_bits > 0 ? EVP_PKEY_RSA : EVP_PKEY_EC, NULL);
	EVP_PKEY *key = NULL;

	NEED(ctx != NULL && EVP_PKEY_keygen_init(ctx) == 1);
	if (rsa_bits > 0)
		NEED(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, rsa_bits) == 1);
	else
		NEED(EVP_PKEY_CTX_set_ec_paramgen_curve_nid(ctx, NID_X9_62_prime256v1) == 1);
	NEED(EVP_PKEY_keygen(ctx, &key) == 1);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static void add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *extension;

	if (value[0] == '\0')
		return;
	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	NEED(extension != NULL && X509_add_ext(x, extension, -1) == 1);
	X509_EXTENSION_free(extension);
}

/* A SAN that no configuration text can say. */
static void add_raw_name(X509 *x, const char *name, size_t len)
{
	GENERAL_NAMES *names = GENERAL_NAMES_new();
	GENERAL_NAME *general = GENERAL_NAME_new();
	ASN1_IA5STRING *text = ASN1_IA5STRING_new();

	NEED(ASN1_STRING_set(text, name, (int)len) == 1);
	GENERAL_NAME_set0_value(general, GEN_DNS, text);
	sk_GENERAL_NAME_push(names, general);
	NEED(X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, 0) == 1);
	GENERAL_NAMES_free(names);
}

static const char *or(const char *text, const char *otherwise)
{
	return text != NULL ? text : otherwise;
}

static void add_extensions(X509 *x, X509 *issuer, const struct pki_spec *s)
{
	add_extension(x, issuer, NID_basic_constraints, or(s->basic, "critical,CA:FALSE"));
	add_extension(x, issuer, NID_key_usage, or(s->key_usage, "critical,digitalSignature"));
	add_extension(x, issuer, NID_ext_key_usage, or(s->usage, "clientAuth"));
	add_extension(x, issuer, NID_name_constraints, or(s->constraints, ""));
	add_extension(x, issuer, NID_subject_key_identifier, "hash");
	if (issuer != x)
		add_extension(x, issuer, NID_authority_key_identifier, "keyid");
	if (s->raw_dns != NULL)
		add_raw_name(x, s->raw_dns, s->raw_len);
	else
		add_extension(x, issuer, NID_subject_alt_name, or(s->san, "DNS:agent-1"));
}

static void set_name(X509_NAME *name, const char *cn)
{
	NEED(X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8, (const unsigned char *)cn, -1, -1, 0) ==
		1);
}

static void set_serial(X509 *x)
{
	unsigned char bytes[8];
	BIGNUM *number;

	NEED(RAND_bytes(bytes, sizeof bytes) == 1);
	bytes[0] &= 0x7f;
	number = BN_bin2bn(bytes, sizeof bytes, NULL);
	NEED(BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x)) != NULL);
	BN_free(number);
}

struct pki pki_make(const struct pki_spec *s, const struct pki *issuer)
{
	struct pki p = {X509_new(), make_key(s->rsa_bits)};
	const struct pki *by = issuer != NULL ? issuer : &p;
	const EVP_MD *digest = EVP_get_digestbyname(or(s->digest, "SHA256"));
	int is_default = s->from == 0 && s->until == 0;

	NEED(digest != NULL && X509_set_version(p.x, s->is_v1 ? 0 : 2) == 1);
	set_serial(p.x);
	set_name(X509_get_subject_name(p.x), or(s->subject, "leaf"));
	if (s->forged_issuer != NULL)
		set_name(X509_get_issuer_name(p.x), s->forged_issuer);
	else
		NEED(X509_set_issuer_name(p.x, X509_get_subject_name(by->x)) == 1);
	X509_gmtime_adj(X509_getm_notBefore(p.x), is_default ? -3600 : s->from);
	X509_gmtime_adj(X509_getm_notAfter(p.x), is_default ? 3600 : s->until);
	NEED(X509_set_pubkey(p.x, p.key) == 1);
	if (!s->is_v1)
		add_extensions(p.x, by->x, s);
	NEED(X509_sign(p.x, by->key, digest) > 0);
	return p;
}

struct pki pki_authority(const char *subject, const struct pki *issuer)
{
	return pki_make(&(struct pki_spec){.subject = subject, .san = "", .usage = "",
		.basic = "critical,CA:TRUE", .key_usage = "critical,keyCertSign,cRLSign"}, issuer);
}

void pki_free(struct pki *p)
{
	X509_free(p->x);
	EVP_PKEY_free(p->key);
}

static FILE *create(const char *path, mode_t mode)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);

	NEED(fd >= 0 && fchmod(fd, mode) == 0);
	return fdopen(fd, "w");
}

void pki_write_certificate(const char *path, X509 *const *certificates, size_t count)
{
	FILE *f = create(path, 0644);

	for (size_t i = 0; i < count; i++)
		NEED(PEM_write_X509(f, certificates[i]) == 1);
	fclose(f);
}

void pki_write_key(const char *path, EVP_PKEY *key)
{
	FILE *f = create(path, 0600);

	NEED(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL) == 1);
	fclose(f);
}
