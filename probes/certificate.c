#include "probes/certificate.h"

#include <dirent.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "probes/resolve.h"

#define STORE_AGE_MAX (300 * NS_PER_S)
/* RSA from 2048 bits, no SHA-1 (SSL_CTX_set_security_level(3)), whatever the policy of this system is. */
#define LEVEL_MIN 2

struct store {
	LIST_ENTRY(store) link;
	char *ca;
	X509_STORE *roots;
	struct stat seen; /* the file */
	int64_t checked;
};

struct certificate_stores {
	LIST_HEAD(, store) list;
};

/* ---- stores */

struct certificate_stores *certificate_stores_new(void)
{
	struct certificate_stores *s = mem_alloc(sizeof *s);

	LIST_INIT(&s->list);
	return s;
}

static void store_drop(struct store *s)
{
	LIST_REMOVE(s, link);
	X509_STORE_free(s->roots);
	free(s->ca);
	free(s);
}

void certificate_stores_free(struct certificate_stores *s)
{
	if (s == NULL)
		return;
	while (!LIST_EMPTY(&s->list))
		store_drop(LIST_FIRST(&s->list));
	free(s);
}

/* Whether OpenSSL finds roots in its default folder: files named by a hash, as c_rehash(1) makes them. */
static bool has_hashed_roots(const char *folder)
{
	DIR *dir = opendir(folder);
	struct dirent *d;
	bool found = false;

	while (dir != NULL && !found && (d = readdir(dir)) != NULL)
		found = strspn(d->d_name, "0123456789abcdef") == 8 && strcmp(d->d_name + 8, ".0") == 0;
	if (dir != NULL)
		closedir(dir);
	return found;
}

/* Not X509_STORE_set_default_paths(): that reads the whole folder again for each issuer it does not find, 1 ms each time.
 * A folder of hashes gives a root when it is wanted; the file that holds all takes 50 ms to load. */
static int load(X509_STORE *roots, const char *file)
{
	X509_LOOKUP *folder;

	if (file[0] != '\0')
		return X509_STORE_load_locations(roots, file, NULL);
	folder = X509_STORE_add_lookup(roots, X509_LOOKUP_hash_dir());
	return X509_LOOKUP_add_dir(folder, X509_get_default_cert_dir(), X509_FILETYPE_PEM);
}

/* The file that is loaded for the option ca; "": the folder of hashes. */
static const char *file_of(const char *ca)
{
	if (*ca != '\0')
		return ca;
	return has_hashed_roots(X509_get_default_cert_dir()) ? "" : X509_get_default_cert_file();
}

static struct store *store_open(struct certificate_stores *stores, const char *ca, struct err *e)
{
	const char *file = file_of(ca);
	struct store *s = mem_alloc(sizeof *s);

	s->roots = X509_STORE_new();
	s->ca = mem_strdup(ca);
	LIST_INSERT_HEAD(&stores->list, s, link);
	if (load(s->roots, file) == 1 && (*file == '\0' || stat(file, &s->seen) == 0))
		return s;
	store_drop(s);
	err_set(e, "ca: no certificate can be read from %s", file);
	ERR_clear_error();
	return NULL;
}

static bool is_unchanged(const struct store *s)
{
	const char *file = file_of(s->ca);
	struct stat now;

	return *file != '\0' && stat(file, &now) == 0 && now.st_mtim.tv_sec == s->seen.st_mtim.tv_sec &&
		now.st_mtim.tv_nsec == s->seen.st_mtim.tv_nsec && now.st_ino == s->seen.st_ino;
}

struct x509_store_st *certificate_store(struct certificate_stores *stores, const char *ca, int64_t now,
	struct err *e)
{
	struct store *s;

	LIST_FOREACH(s, &stores->list, link) {
		if (strcmp(s->ca, ca) == 0)
			break;
	}
	if (s != NULL && now - s->checked < STORE_AGE_MAX)
		return s->roots;
	if (s != NULL && !is_unchanged(s)) {
		store_drop(s);
		s = NULL;
	}
	if (s == NULL)
		s = store_open(stores, ca, e);
	if (s == NULL)
		return NULL;
	s->checked = now;
	return s->roots;
}

/* ---- words */

void certificate_format_day(const struct asn1_string_st *t, char out[16])
{
	struct tm tm;

	if (ASN1_TIME_to_tm(t, &tm) != 1 || strftime(out, 16, "%Y-%m-%d", &tm) == 0)
		snprintf(out, 16, "an unknown day");
}

void certificate_list_names(struct x509_st *leaf, char *out, size_t room)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(leaf, NID_subject_alt_name, NULL, NULL);
	size_t n = 0;

	out[0] = '\0';
	for (int i = 0; i < sk_GENERAL_NAME_num(names); i++) {
		const GENERAL_NAME *g = sk_GENERAL_NAME_value(names, i);
		int len;

		if (g->type != GEN_DNS)
			continue;
		len = ASN1_STRING_length(g->d.dNSName);
		if (n + (size_t)len + 8 >= room) {
			snprintf(out + n, room - n, ", ...");
			break;
		}
		n += (size_t)snprintf(out + n, room - n, "%s%.*s", n > 0 ? ", " : "", len,
			(const char *)ASN1_STRING_get0_data(g->d.dNSName));
	}
	GENERAL_NAMES_free(names);
}

static void tell_name(X509 *leaf, char *out, size_t room)
{
	char names[160];

	certificate_list_names(leaf, names, sizeof names);
	if (names[0] != '\0')
		snprintf(out, room, "certificate is for other names: %s", names);
	else
		snprintf(out, room, "certificate is for another name");
}

static void tell(X509_STORE_CTX *ctx, int error, char *out, size_t room)
{
	X509 *leaf = X509_STORE_CTX_get0_cert(ctx), *at = X509_STORE_CTX_get_current_cert(ctx);
	const char *which = at == NULL || at == leaf ? "certificate" : "a certificate above it";
	char day[16];

	switch (error) {
	case X509_V_ERR_CERT_HAS_EXPIRED:
		certificate_format_day(X509_get0_notAfter(at), day);
		snprintf(out, room, "%s expired on %s", which, day);
		return;
	case X509_V_ERR_CERT_NOT_YET_VALID:
		certificate_format_day(X509_get0_notBefore(at), day);
		snprintf(out, room, "%s is not valid before %s", which, day);
		return;
	case X509_V_ERR_HOSTNAME_MISMATCH:
	case X509_V_ERR_IP_ADDRESS_MISMATCH:
		tell_name(leaf, out, room);
		return;
	case X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT:
		snprintf(out, room, "certificate is self-signed and not trusted here");
		return;
	case X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN:
		snprintf(out, room, "certificate comes from a root that is not trusted here");
		return;
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT:
	case X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
	case X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE:
		snprintf(out, room, "certificate comes from an issuer that is not known here");
		return;
	default:
		snprintf(out, room, "certificate: %s", X509_verify_cert_error_string(error));
	}
}

/* ---- the handshake */

/* Sets what the leaf must be for. */
static void ask_name(X509_VERIFY_PARAM *param, const char *host)
{
	struct sockaddr_storage address;
	char name[256];
	socklen_t len;
	size_t n;

	snprintf(name, sizeof name, "%s", host);
	if (resolve_literal(name, &address, &len) == 0) {
		name[strcspn(name, "%")] = '\0';
		X509_VERIFY_PARAM_set1_ip_asc(param, name);
		return;
	}
	n = strlen(name);
	if (n > 0 && name[n - 1] == '.')
		name[n - 1] = '\0';
	X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
	X509_VERIFY_PARAM_set1_host(param, name, 0);
}

/* The id that goes into every signature with SM2 (GM/T 0009 section 10). */
#if OPENSSL_VERSION_NUMBER >= 0x30000000L
static void set_sm2_id(X509 *x)
{
	ASN1_OCTET_STRING *id;

	if (X509_get_signature_nid(x) != NID_SM2_with_SM3 || X509_get0_distinguishing_id(x) != NULL)
		return;
	id = ASN1_OCTET_STRING_new();
	ASN1_OCTET_STRING_set(id, (const unsigned char *)"1234567812345678", 16);
	X509_set0_distinguishing_id(x, id);
}
#else
static void set_sm2_id(X509 *x)
{
	(void)x;
}
#endif

static int judge(X509_STORE_CTX *ctx, struct certificate *c)
{
	X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
	STACK_OF(X509) *others = X509_STORE_CTX_get0_untrusted(ctx);
	X509 *leaf = X509_STORE_CTX_get0_cert(ctx);
	int ok;

	c->seen = certificate_days(X509_get0_notAfter(leaf), &c->days) == 0;
	ask_name(param, c->host);
	if (X509_VERIFY_PARAM_get_auth_level(param) < LEVEL_MIN)
		X509_VERIFY_PARAM_set_auth_level(param, LEVEL_MIN);
	set_sm2_id(leaf);
	for (int i = 0; i < sk_X509_num(others); i++)
		set_sm2_id(sk_X509_value(others, i));
	ok = X509_verify_cert(ctx);
	c->words[0] = '\0';
	if (ok != 1)
		tell(ctx, X509_STORE_CTX_get_error(ctx), c->words, sizeof c->words);
	return ok;
}

static int on_verify(X509_STORE_CTX *ctx, void *arg)
{
	struct certificate *c = arg;
	int ok = judge(ctx, c);

	if (!c->verify)
		X509_STORE_CTX_set_error(ctx, X509_V_OK);
	return !c->verify || ok == 1;
}

void certificate_watch(struct ssl_ctx_st *ctx, struct x509_store_st *roots, struct certificate *c)
{
	X509_STORE_up_ref(roots);
	SSL_CTX_set_cert_store(ctx, roots);
	SSL_CTX_set_cert_verify_callback(ctx, on_verify, c);
}

void certificate_judge(struct x509_store_st *roots, struct x509_st *leaf, struct stack_st_X509 *others,
	struct certificate *c)
{
	X509_STORE_CTX *ctx = X509_STORE_CTX_new();

	if (ctx != NULL && X509_STORE_CTX_init(ctx, roots, leaf, others) == 1 &&
		X509_STORE_CTX_set_default(ctx, "ssl_server") == 1)
		judge(ctx, c);
	else
		snprintf(c->words, sizeof c->words, "certificate cannot be judged");
	X509_STORE_CTX_free(ctx);
	ERR_clear_error();
}

/* ---- facts of one certificate */

int certificate_days(const struct asn1_string_st *moment, double *days)
{
	int d, seconds;

	if (ASN1_TIME_diff(&d, &seconds, NULL, moment) != 1)
		return -1;
	*days = d + seconds / 86400.0;
	return 0;
}

bool certificate_is_sm2(const struct x509_st *x)
{
	X509_ALGOR *algorithm = NULL;
	const void *parameter = NULL;
	int type = V_ASN1_UNDEF;

	if (X509_PUBKEY_get0_param(NULL, NULL, NULL, &algorithm, X509_get_X509_PUBKEY(x)) != 1)
		return false;
	X509_ALGOR_get0(NULL, &type, &parameter, algorithm);
	return type == V_ASN1_OBJECT && OBJ_obj2nid(parameter) == NID_sm2;
}

/* The last common name, else the whole. Outside text: not clean yet. */
static void format_name(X509_NAME *name, char *out, size_t room)
{
	int at = -1, next;
	unsigned char *text = NULL;

	while ((next = X509_NAME_get_index_by_NID(name, NID_commonName, at)) >= 0)
		at = next;
	out[0] = '\0';
	if (at >= 0 && ASN1_STRING_to_UTF8(&text, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(name, at))) > 0)
		snprintf(out, room, "%s", (const char *)text);
	else
		X509_NAME_oneline(name, out, (int)room);
	OPENSSL_free(text);
}

void certificate_format_names(struct x509_st *x, char *out, size_t room)
{
	char subject[110], issuer[110];

	format_name(X509_get_subject_name(x), subject, sizeof subject);
	if (subject[0] == '\0')
		certificate_list_names(x, subject, sizeof subject);
	format_name(X509_get_issuer_name(x), issuer, sizeof issuer);
	snprintf(out, room, "%s, from %s", subject, issuer);
	ERR_clear_error();
}
