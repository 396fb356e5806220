#include "lib/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "lib/err.h"
#include "lib/num.h"

#define FILE_MAX_BYTES (1u << 20)
#define INTERMEDIATES_MAX 1
#define SECURITY_LEVEL 2 /* 112 bits: RSA and DH from 2048, no SHA-1 */
#define GROUPS "X25519:P-256"

/* "what: words", the words OpenSSL's last; its queue is empty afterwards. */
static int openssl_err(struct err *e, const char *what)
{
	const char *words = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return err_set(e, "%s: %s", what, words != NULL ? words : "not understood");
}

/* ---- names in certificates */

bool tls_name_is_clean(const char *host)
{
	struct err ignored;
	char label[64];
	size_t len;

	if (strlen(host) > TLS_NAME_MAX)
		return false;
	for (;; host += len + 1) {
		len = strcspn(host, ".");
		if (len >= sizeof label)
			return false;
		memcpy(label, host, len);
		label[len] = '\0';
		if (num_check_id(label, &ignored) < 0)
			return false;
		if (host[len] == '\0')
			return true;
	}
}

static int take_name(const ASN1_IA5STRING *name, char out[TLS_NAME_MAX + 1], struct err *e)
{
	size_t len = (size_t)ASN1_STRING_length(name);

	if (out[0] != '\0')
		return err_set(e, "subject alternative name holds more than one DNS name");
	if (len == 0 || len > TLS_NAME_MAX || memchr(ASN1_STRING_get0_data(name), '\0', len) != NULL)
		return err_set(e, "subject alternative name holds a DNS name that is none");
	memcpy(out, ASN1_STRING_get0_data(name), len);
	out[len] = '\0';
	if (!tls_name_is_clean(out))
		return err_set(e, "subject alternative name must be of a-z, 0-9 and '-', without wildcard");
	return 0;
}

/* The one dNSName; beside it there may be addresses, nothing else. */
static int name_of(const X509 *x, char out[TLS_NAME_MAX + 1], struct err *e)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(x, NID_subject_alt_name, NULL, NULL);
	int rc = 0;

	out[0] = '\0';
	if (names == NULL)
		return err_set(e, "certificate has no (or not one) subject alternative name");
	for (int i = 0; rc == 0 && i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, i);

		if (name->type == GEN_DNS)
			rc = take_name(name->d.dNSName, out, e);
		else if (name->type != GEN_IPADD)
			rc = err_set(e, "subject alternative name holds more than names and addresses");
	}
	GENERAL_NAMES_free(names);
	if (rc == 0 && out[0] == '\0')
		return err_set(e, "subject alternative name holds no DNS name");
	return rc;
}

static int identity_of(const X509 *x, char *out, size_t room, struct err *e)
{
	char name[TLS_NAME_MAX + 1];

	if (name_of(x, name, e) < 0 || num_check_id(name, e) < 0)
		return -1;
	if (strlen(name) >= room)
		return err_set(e, "identity %s is too long", name);
	memcpy(out, name, strlen(name) + 1);
	return 0;
}

/* ---- what a peer must be beyond a valid chain */

/* purpose: XKU_SSL_CLIENT or XKU_SSL_SERVER. OpenSSL takes a certificate without extended key usage for any. */
static int check_leaf(X509 *x, uint32_t purpose, struct err *e)
{
	uint32_t usage = X509_get_extended_key_usage(x);
	char name[TLS_NAME_MAX + 1];

	if (X509_check_ca(x) != 0)
		return err_set(e, "certificate is that of an authority");
	if (usage == UINT32_MAX || (usage & purpose) == 0)
		return err_set(e, "certificate has no extended key usage %s",
			purpose == XKU_SSL_CLIENT ? "clientAuth" : "serverAuth");
	if (purpose == XKU_SSL_CLIENT)
		return identity_of(x, name, sizeof name, e);
	return name_of(x, name, e);
}

/* Called by OpenSSL for each certificate of the chain, the leaf last. */
static int on_verify(int chain_is_good, X509_STORE_CTX *store)
{
	SSL *ssl = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
	struct err e;

	if (!chain_is_good || X509_STORE_CTX_get_error_depth(store) > 0)
		return chain_is_good;
	if (check_leaf(X509_STORE_CTX_get_current_cert(store),
		    SSL_is_server(ssl) ? XKU_SSL_CLIENT : XKU_SSL_SERVER, &e) == 0)
		return 1;
	X509_STORE_CTX_set_error(store, X509_V_ERR_APPLICATION_VERIFICATION);
	return 0;
}

/* ---- files */

static int open_file(const char *path, bool is_secret, struct err *e)
{
	struct stat st;
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return err_errno(e, "%s", path);
	if (fstat(fd, &st) < 0)
		err_errno(e, "%s", path);
	else if (!S_ISREG(st.st_mode))
		err_set(e, "%s: not a file", path);
	else if (st.st_size > FILE_MAX_BYTES)
		err_set(e, "%s: larger than %u bytes", path, FILE_MAX_BYTES);
	else if (is_secret && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		err_set(e, "%s: group or others may use this key (mode %04o): chmod 600 it", path,
			(unsigned)(st.st_mode & 07777));
	else
		return fd;
	close(fd);
	return -1;
}

static BIO *open_pem(const char *path, bool is_secret, struct err *e)
{
	int fd = open_file(path, is_secret, e);
	BIO *bio;

	if (fd < 0)
		return NULL;
	bio = BIO_new_fd(fd, BIO_CLOSE);
	if (bio == NULL) {
		close(fd);
		openssl_err(e, path);
	}
	return bio;
}

/* Without this OpenSSL would ask the terminal. */
static int on_password(char *out, int room, int writing, void *ctx)
{
	(void)out, (void)room, (void)writing, (void)ctx;
	return -1;
}

/* The next certificate of a file; NULL at its end (end of PEM is no error) or with err. */
static X509 *next_certificate(BIO *bio, const char *path, bool *failed, struct err *e)
{
	X509 *x = PEM_read_bio_X509(bio, NULL, on_password, NULL);

	*failed = false;
	if (x == NULL && ERR_GET_REASON(ERR_peek_last_error()) != PEM_R_NO_START_LINE) {
		*failed = true;
		openssl_err(e, path);
	}
	ERR_clear_error();
	return x;
}

static int use_chain(SSL_CTX *ctx, BIO *bio, const char *path, struct err *e)
{
	bool failed;
	X509 *x = next_certificate(bio, path, &failed, e);
	bool good;

	if (x == NULL)
		return failed ? -1 : err_set(e, "%s: no certificate in PEM form", path);
	good = SSL_CTX_use_certificate(ctx, x) == 1;
	X509_free(x);
	while (good && (x = next_certificate(bio, path, &failed, e)) != NULL) {
		good = SSL_CTX_add1_chain_cert(ctx, x) == 1;
		X509_free(x);
	}
	if (!good)
		return openssl_err(e, path);
	return failed ? -1 : 0;
}

static int use_any_certificate(SSL_CTX *ctx, const char *path, struct err *e)
{
	BIO *bio = open_pem(path, false, e);
	int rc;

	if (bio == NULL)
		return -1;
	rc = use_chain(ctx, bio, path, e);
	BIO_free(bio);
	return rc;
}

static int use_certificate(SSL_CTX *ctx, const char *path, uint32_t purpose, struct err *e)
{
	int rc = use_any_certificate(ctx, path, e);

	if (rc == 0 && check_leaf(SSL_CTX_get0_certificate(ctx), purpose, e) < 0)
		return err_wrap(e, "%s", path);
	return rc;
}

EVP_PKEY *tls_read_key(const char *path, struct err *e)
{
	BIO *bio = open_pem(path, true, e);
	EVP_PKEY *key;

	if (bio == NULL)
		return NULL;
	key = PEM_read_bio_PrivateKey(bio, NULL, on_password, NULL);
	BIO_free(bio);
	ERR_clear_error();
	if (key == NULL)
		err_set(e, "%s: no private key in PEM form without a password", path);
	return key;
}

static int use_key(SSL_CTX *ctx, const char *path, const char *certificate, struct err *e)
{
	EVP_PKEY *key = tls_read_key(path, e);
	int rc = 0;

	if (key == NULL)
		return -1;
	if (X509_check_private_key(SSL_CTX_get0_certificate(ctx), key) != 1)
		rc = err_set(e, "%s: not the key of %s", path, certificate);
	else if (SSL_CTX_use_PrivateKey(ctx, key) != 1)
		rc = openssl_err(e, path);
	EVP_PKEY_free(key);
	ERR_clear_error();
	return rc;
}

static int use_roots(SSL_CTX *ctx, const char *path, struct err *e)
{
	BIO *bio = open_pem(path, false, e);
	X509_STORE *store = SSL_CTX_get_cert_store(ctx);
	bool failed = false;
	int count = 0, good = 1;
	X509 *x;

	if (bio == NULL)
		return -1;
	while (good && (x = next_certificate(bio, path, &failed, e)) != NULL) {
		good = X509_STORE_add_cert(store, x) && SSL_CTX_add_client_CA(ctx, x);
		X509_free(x);
		count++;
	}
	BIO_free(bio);
	if (!good)
		return openssl_err(e, path);
	if (!failed && count == 0)
		return err_set(e, "%s: no certificate in PEM form", path);
	return failed ? -1 : 0;
}

/* ---- contexts */

static void narrow(SSL_CTX *ctx)
{
	SSL_CTX_set_min_proto_version(ctx, TLS1_3_VERSION);
	SSL_CTX_set_max_proto_version(ctx, TLS1_3_VERSION);
	SSL_CTX_set_security_level(ctx, SECURITY_LEVEL);
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_TICKET);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_num_tickets(ctx, 0);
	SSL_CTX_set_max_early_data(ctx, 0);
	/* An idle connection gives its buffers back: 10,000 of them must fit. */
	SSL_CTX_set_mode(ctx, SSL_MODE_RELEASE_BUFFERS);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, on_verify);
	SSL_CTX_set_verify_depth(ctx, INTERMEDIATES_MAX);
}

static SSL_CTX *context(const SSL_METHOD *method, const struct tls_files *files, uint32_t purpose,
	struct err *e)
{
	SSL_CTX *ctx = SSL_CTX_new(method);

	if (ctx == NULL || SSL_CTX_set1_groups_list(ctx, GROUPS) != 1) {
		openssl_err(e, "TLS");
		SSL_CTX_free(ctx);
		return NULL;
	}
	narrow(ctx);
	if (use_roots(ctx, files->ca, e) == 0 && use_certificate(ctx, files->certificate, purpose, e) == 0 &&
		use_key(ctx, files->key, files->certificate, e) == 0)
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

SSL_CTX *tls_server(const struct tls_files *files, struct err *e)
{
	return context(TLS_server_method(), files, XKU_SSL_SERVER, e);
}

/* The verification parameters, not curl or the user of the context, carry the name. */
static int want_host(SSL_CTX *ctx, const char *host, unsigned flags, struct err *e)
{
	X509_VERIFY_PARAM *param = SSL_CTX_get0_param(ctx);
	unsigned char address[sizeof(struct in6_addr)];
	int good;

	X509_VERIFY_PARAM_set_hostflags(param, flags | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
	if (inet_pton(AF_INET, host, address) == 1)
		good = X509_VERIFY_PARAM_set1_ip(param, address, sizeof(struct in_addr));
	else if (inet_pton(AF_INET6, host, address) == 1)
		good = X509_VERIFY_PARAM_set1_ip(param, address, sizeof(struct in6_addr));
	else
		good = tls_name_is_clean(host) && X509_VERIFY_PARAM_set1_host(param, host, 0);
	return good ? 0 : err_set(e, "%s: neither a host name in lower case nor an address", host);
}

SSL_CTX *tls_client(const struct tls_files *files, const char *host, struct err *e)
{
	SSL_CTX *ctx = context(TLS_client_method(), files, XKU_SSL_CLIENT, e);

	if (ctx != NULL && want_host(ctx, host, X509_CHECK_FLAG_NO_WILDCARDS, e) < 0) {
		SSL_CTX_free(ctx);
		return NULL;
	}
	return ctx;
}

static int use_files_of_others(SSL_CTX *ctx, const struct tls_files *files, struct err *e)
{
	if (files->ca[0] == '\0') {
		if (SSL_CTX_set_default_verify_paths(ctx) != 1)
			return openssl_err(e, "the roots of the machine");
	} else if (use_roots(ctx, files->ca, e) < 0) {
		return -1;
	}
	if (files->certificate[0] == '\0')
		return 0;
	if (use_any_certificate(ctx, files->certificate, e) < 0)
		return -1;
	return use_key(ctx, files->key, files->certificate, e);
}

SSL_CTX *tls_client_of_others(const struct tls_files *files, const char *host, struct err *e)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	if (ctx == NULL) {
		openssl_err(e, "TLS");
		return NULL;
	}
	SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
	SSL_CTX_set_security_level(ctx, SECURITY_LEVEL);
	SSL_CTX_set_options(ctx, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
	if (use_files_of_others(ctx, files, e) == 0 && want_host(ctx, host, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS, e) == 0)
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

int tls_client_copy(SSL_CTX *client, SSL_CTX *to, struct err *e)
{
	STACK_OF(X509) *chain = NULL;

	narrow(to);
	SSL_CTX_get0_chain_certs(client, &chain);
	SSL_CTX_set1_cert_store(to, SSL_CTX_get_cert_store(client));
	if (SSL_CTX_set1_groups_list(to, GROUPS) == 1 &&
		SSL_CTX_set1_param(to, SSL_CTX_get0_param(client)) == 1 &&
		SSL_CTX_use_certificate(to, SSL_CTX_get0_certificate(client)) == 1 &&
		SSL_CTX_use_PrivateKey(to, SSL_CTX_get0_privatekey(client)) == 1 &&
		SSL_CTX_set1_chain(to, chain) == 1)
		return 0;
	return openssl_err(e, "TLS");
}

/* ---- who */

int tls_peer_identity(SSL *ssl, char *out, size_t room, struct err *e)
{
	X509 *x = SSL_get_peer_certificate(ssl);
	int rc;

	if (x == NULL)
		return err_set(e, "peer has shown no certificate");
	if (SSL_get_verify_result(ssl) != X509_V_OK)
		rc = err_set(e, "certificate of peer: %s",
			X509_verify_cert_error_string(SSL_get_verify_result(ssl)));
	else
		rc = identity_of(x, out, room, e);
	X509_free(x);
	return rc;
}

static int seconds_of(const ASN1_TIME *time, int64_t *out)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(time, &tm) != 1)
		return -1;
	*out = timegm(&tm);
	return 0;
}

int tls_peer_life(SSL *ssl, int64_t *from, int64_t *until)
{
	X509 *x = SSL_get_peer_certificate(ssl);
	int rc = x == NULL || seconds_of(X509_get0_notBefore(x), from) < 0 || seconds_of(X509_get0_notAfter(x), until) < 0 ? -1 : 0;

	X509_free(x);
	return rc;
}

int tls_days_left(SSL_CTX *ctx, double *days)
{
	const X509 *x = SSL_CTX_get0_certificate(ctx);
	int whole, seconds;

	if (x == NULL || ASN1_TIME_diff(&whole, &seconds, NULL, X509_get0_notAfter(x)) != 1)
		return -1;
	*days = whole + seconds / 86400.0;
	return 0;
}

X509 *tls_read_certificate(const char *path, struct err *e)
{
	BIO *bio = open_pem(path, false, e);
	bool failed;
	X509 *x;

	if (bio == NULL)
		return NULL;
	x = next_certificate(bio, path, &failed, e);
	BIO_free(bio);
	if (x == NULL && !failed)
		err_set(e, "%s: no certificate in PEM form", path);
	return x;
}

int tls_own_identity(const char *certificate, char *out, size_t room, struct err *e)
{
	X509 *x = tls_read_certificate(certificate, e);
	int rc;

	if (x == NULL)
		return -1;
	rc = identity_of(x, out, room, e);
	X509_free(x);
	return rc < 0 ? err_wrap(e, "%s", certificate) : 0;
}
