#include "collector/ca.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "lib/program.h"
#include "lib/tls.h"

#define DAYS_ROOT 3650
#define DAYS_LEAF 365
#define DAYS_MAX 7300
#define ADDRESSES_MAX 64
#define SERIAL_BYTES 16
#define BACKDATE (-300) /* s: the peer's clock may be a little behind */

static const char help[] =
	"usage: xunjian-collector ca init [--days N] FOLDER\n"
	"       xunjian-collector ca issue [--ca FOLDER] [--out FOLDER] [--days N] [--server]\n"
	"                                  [--ip ADDRESS]... [--renew] NAME\n"
	"\n"
	"init makes an authority: FOLDER/ca.pem, which agents and collector trust, and ca.key, which\n"
	"stays here. issue makes NAME.pem and NAME.key for an agent (NAME is its id) or, with --server or\n"
	"--ip, for a collector (NAME is its host name).\n"
	"\n"
	"  --ca FOLDER   of the authority; default: the current folder\n"
	"  --out FOLDER  where the two files go; default: the folder of the authority\n"
	"  --days N      how long it is valid; default 365, of the authority 3650\n"
	"  --server      for a server too\n"
	"  --ip ADDRESS  of the server, IPv4 or IPv6, may be repeated; implies --server\n"
	"  --renew       a new certificate for the key NAME.key that stands there\n"
	"\n"
	"Nothing is overwritten otherwise. FOLDER/issued.txt lists all that was issued.\n";

struct request {
	const char *ca, *out, *name;
	int64_t days;
	bool is_server, is_renewal;
	size_t addresses_count;
	char addresses[ADDRESSES_MAX][INET6_ADDRSTRLEN];
};

struct authority {
	X509 *x;
	EVP_PKEY *key;
};

static int openssl_err(struct err *e, const char *what)
{
	const char *words = ERR_reason_error_string(ERR_peek_last_error());

	ERR_clear_error();
	return err_set(e, "%s: %s", what, words != NULL ? words : "failed");
}

/* ---- files */

static int sync_folder(const char *folder, struct err *e)
{
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC), rc = 0;

	if (fd < 0 || fsync(fd) < 0)
		rc = err_errno(e, "%s", folder);
	if (fd >= 0)
		close(fd);
	return rc;
}

static int write_all(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return fsync(fd);
}

static int write_new(const char *path, mode_t mode, const struct buf *content, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode), rc;

	if (fd < 0)
		return err_errno(e, "%s", path);
	rc = write_all(fd, content->data, content->len);
	if (rc < 0)
		err_errno(e, "%s", path);
	close(fd);
	return rc;
}

/* Whole or not at all. */
static int write_file(const char *folder, const char *file, mode_t mode, const struct buf *content,
	struct err *e)
{
	char *path = mem_format("%s/%s", folder, file), *temporary = mem_format("%s.new", path);
	int rc;

	unlink(temporary); /* of a try that was cut short */
	rc = write_new(temporary, mode, content, e);
	if (rc == 0 && rename(temporary, path) < 0)
		rc = err_errno(e, "%s", path);
	if (rc < 0)
		unlink(temporary);
	else
		rc = sync_folder(folder, e);
	free(temporary);
	free(path);
	return rc;
}

static int refuse_existing(const char *folder, const char *file, struct err *e)
{
	char *path = mem_format("%s/%s", folder, file);
	struct stat st;
	int rc = 0;

	if (lstat(path, &st) == 0)
		rc = err_set(e, "%s: is there already and stays as it is (see --renew)", path);
	else if (errno != ENOENT)
		rc = err_errno(e, "%s", path);
	free(path);
	return rc;
}

static int make_folder(const char *folder, struct err *e)
{
	if (mkdir(folder, 0700) < 0 && errno != EEXIST)
		return err_errno(e, "%s", folder);
	return 0;
}

static void take_bio(BIO *bio, struct buf *out)
{
	char *data;
	long len = BIO_get_mem_data(bio, &data);

	buf_add(out, data, (size_t)len);
	BIO_free(bio);
}

static int write_key(const char *folder, const char *file, EVP_PKEY *key, struct err *e)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct buf pem = {0};
	int rc;

	if (bio == NULL || PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) != 1) {
		BIO_free(bio);
		return openssl_err(e, file);
	}
	take_bio(bio, &pem);
	rc = write_file(folder, file, 0600, &pem, e);
	OPENSSL_cleanse(pem.data, pem.len);
	buf_fini(&pem);
	return rc;
}

static int write_certificate(const char *folder, const char *file, X509 *x, struct err *e)
{
	BIO *bio = BIO_new(BIO_s_mem());
	struct buf pem = {0};
	int rc;

	if (bio == NULL || PEM_write_bio_X509(bio, x) != 1) {
		BIO_free(bio);
		return openssl_err(e, file);
	}
	take_bio(bio, &pem);
	rc = write_file(folder, file, 0644, &pem, e);
	buf_fini(&pem);
	return rc;
}

/* ---- keys and certificates */

static EVP_PKEY *make_key(struct err *e)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
	EVP_PKEY *key = NULL;

	if (ctx == NULL || EVP_PKEY_keygen_init(ctx) != 1 ||
		EVP_PKEY_CTX_set_ec_paramgen_curve_nid(ctx, NID_X9_62_prime256v1) != 1 ||
		EVP_PKEY_CTX_set_ec_param_enc(ctx, OPENSSL_EC_NAMED_CURVE) != 1 ||
		EVP_PKEY_keygen(ctx, &key) != 1)
		openssl_err(e, "making a key");
	EVP_PKEY_CTX_free(ctx);
	return key;
}

static int set_serial(X509 *x)
{
	unsigned char bytes[SERIAL_BYTES];
	BIGNUM *number;
	int good;

	if (RAND_bytes(bytes, sizeof bytes) != 1)
		return 0;
	bytes[0] = (unsigned char)((bytes[0] & 0x7f) | 0x40); /* positive, always 16 bytes long */
	number = BN_bin2bn(bytes, sizeof bytes, NULL);
	good = number != NULL && BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x)) != NULL;
	BN_free(number);
	return good;
}

static int add_extension(X509 *x, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX ctx;
	X509_EXTENSION *extension;
	int good;

	X509V3_set_ctx(&ctx, issuer, x, NULL, NULL, 0);
	extension = X509V3_EXT_conf_nid(NULL, &ctx, nid, value);
	good = extension != NULL && X509_add_ext(x, extension, -1) == 1;
	X509_EXTENSION_free(extension);
	return good;
}

/* What root and leaf have in common. NULL with err. */
static X509 *start_certificate(const char *subject, X509 *issuer, EVP_PKEY *key, int64_t days,
	struct err *e)
{
	X509 *x = X509_new();
	X509_NAME *name = x != NULL ? X509_get_subject_name(x) : NULL;

	if (x != NULL && X509_set_version(x, 2) == 1 && set_serial(x) &&
		X509_NAME_add_entry_by_txt(
			name, "CN", MBSTRING_ASC, (const unsigned char *)subject, -1, -1, 0) == 1 &&
		X509_set_issuer_name(x, issuer != NULL ? X509_get_subject_name(issuer) : name) == 1 &&
		X509_gmtime_adj(X509_getm_notBefore(x), BACKDATE) != NULL &&
		X509_time_adj_ex(X509_getm_notAfter(x), (int)days, 0, NULL) != NULL &&
		X509_set_pubkey(x, key) == 1)
		return x;
	openssl_err(e, subject);
	X509_free(x);
	return NULL;
}

static X509 *make_root(EVP_PKEY *key, int64_t days, struct err *e)
{
	unsigned char mark[4];
	char subject[32];
	X509 *x;

	if (RAND_bytes(mark, sizeof mark) != 1) {
		openssl_err(e, "random bytes");
		return NULL;
	}
	/* Two roots side by side, when one follows the other, must differ in name. */
	snprintf(subject, sizeof subject, "Xunjian CA %02x%02x%02x%02x", mark[0], mark[1], mark[2], mark[3]);
	x = start_certificate(subject, NULL, key, days, e);
	if (x == NULL)
		return NULL;
	if (add_extension(x, x, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
		add_extension(x, x, NID_key_usage, "critical,keyCertSign,cRLSign") &&
		add_extension(x, x, NID_subject_key_identifier, "hash") && X509_sign(x, key, EVP_sha256()) > 0)
		return x;
	openssl_err(e, subject);
	X509_free(x);
	return NULL;
}

/* "DNS:name,IP:address,...": the texts are checked ones. */
static int add_names(X509 *x, const struct request *r)
{
	struct buf text = {0};
	int good;

	buf_add_format(&text, "DNS:%s", r->name);
	for (size_t i = 0; i < r->addresses_count; i++)
		buf_add_format(&text, ",IP:%s", r->addresses[i]);
	good = add_extension(x, NULL, NID_subject_alt_name, buf_text(&text));
	buf_fini(&text);
	return good;
}

static X509 *make_leaf(const struct authority *ca, EVP_PKEY *key, const struct request *r, struct err *e)
{
	X509 *x = start_certificate(r->name, ca->x, key, r->days, e);

	if (x == NULL)
		return NULL;
	if (add_extension(x, ca->x, NID_basic_constraints, "critical,CA:FALSE") &&
		add_extension(x, ca->x, NID_key_usage, "critical,digitalSignature") &&
		add_extension(x, ca->x, NID_ext_key_usage,
			r->is_server ? "clientAuth,serverAuth" : "clientAuth") &&
		add_extension(x, ca->x, NID_subject_key_identifier, "hash") &&
		add_extension(x, ca->x, NID_authority_key_identifier, "keyid:always") &&
		add_names(x, r) && X509_sign(x, ca->key, EVP_sha256()) > 0)
		return x;
	openssl_err(e, r->name);
	X509_free(x);
	return NULL;
}

/* ---- the list of what was issued */

static void format_until(const X509 *x, char *out, size_t room)
{
	struct tm tm;

	if (ASN1_TIME_to_tm(X509_get0_notAfter(x), &tm) != 1 ||
		strftime(out, room, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
		snprintf(out, room, "unknown");
}

static void format_hex(const unsigned char *bytes, size_t len, struct buf *out)
{
	for (size_t i = 0; i < len; i++)
		buf_add_format(out, "%02x", bytes[i]);
}

static void format_line(const X509 *x, const struct request *r, struct buf *out)
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(x);
	unsigned char digest[EVP_MAX_MD_SIZE];
	unsigned int digest_len = 0;
	char now[32], until[32];

	format_until(x, until, sizeof until);
	X509_digest(x, EVP_sha256(), digest, &digest_len);
	buf_add_format(out, "%s name=%s serial=", clock_format_utc(clock_real(), now, sizeof now), r->name);
	format_hex(ASN1_STRING_get0_data(serial), (size_t)ASN1_STRING_length(serial), out);
	buf_add_format(out, " until=%s usage=%s", until, r->is_server ? "client,server" : "client");
	for (size_t i = 0; i < r->addresses_count; i++)
		buf_add_format(out, "%s%s", i == 0 ? " ip=" : ",", r->addresses[i]);
	buf_add_text(out, " sha256=");
	format_hex(digest, digest_len, out);
	buf_add_text(out, "\n");
}

/* A line that a crash cut short keeps to itself. */
static bool ends_within_line(int fd)
{
	off_t end = lseek(fd, 0, SEEK_END);
	char last;

	return end > 0 && pread(fd, &last, 1, end - 1) == 1 && last != '\n';
}

/* The list, locked until it is closed: one issue at a time. */
static int open_list(const char *folder, struct err *e)
{
	char *path = mem_format("%s/issued.txt", folder);
	int fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0) {
		err_errno(e, "%s", path);
	} else if (flock(fd, LOCK_EX) < 0) {
		err_errno(e, "%s", path);
		close(fd);
		fd = -1;
	}
	free(path);
	return fd;
}

static int add_to_list(int fd, const X509 *x, const struct request *r, struct err *e)
{
	struct buf line = {0};
	int rc;

	if (ends_within_line(fd))
		buf_add_text(&line, "\n");
	format_line(x, r, &line);
	rc = write_all(fd, line.data, line.len);
	buf_fini(&line);
	return rc < 0 ? err_errno(e, "%s/issued.txt", r->ca) : 0;
}

/* ---- init */

static int init(const char *folder, int64_t days, struct err *e)
{
	EVP_PKEY *key = NULL;
	X509 *x = NULL;
	int rc = -1;

	if (make_folder(folder, e) < 0 || refuse_existing(folder, "ca.pem", e) < 0 ||
		refuse_existing(folder, "ca.key", e) < 0)
		return -1;
	key = make_key(e);
	if (key != NULL)
		x = make_root(key, days, e);
	if (x != NULL && write_key(folder, "ca.key", key, e) == 0)
		rc = write_certificate(folder, "ca.pem", x, e);
	X509_free(x);
	EVP_PKEY_free(key);
	return rc;
}

/* ---- issue */

static void authority_close(struct authority *ca)
{
	X509_free(ca->x);
	EVP_PKEY_free(ca->key);
}

static int authority_open(struct authority *ca, const char *folder, struct err *e)
{
	char *pem = mem_format("%s/ca.pem", folder), *key = mem_format("%s/ca.key", folder);
	int rc = -1;

	*ca = (struct authority){.x = tls_read_certificate(pem, e)};
	if (ca->x != NULL)
		ca->key = tls_read_key(key, e);
	if (ca->key != NULL)
		rc = X509_check_private_key(ca->x, ca->key) == 1 ? 0 : err_set(e, "%s: not the key of %s", key, pem);
	if (rc < 0)
		authority_close(ca);
	free(pem);
	free(key);
	ERR_clear_error();
	return rc;
}

/* A leaf that outlives its authority would end without having said so. */
static int check_end(const X509 *leaf, const X509 *authority, struct err *e)
{
	char until[32];

	if (ASN1_TIME_compare(X509_get0_notAfter(leaf), X509_get0_notAfter(authority)) <= 0)
		return 0;
	format_until(authority, until, sizeof until);
	return err_set(e, "--days: the authority itself ends %s", until);
}

static EVP_PKEY *key_of_request(const struct request *r, const char *file, struct err *e)
{
	char *path;
	EVP_PKEY *key;

	if (!r->is_renewal)
		return make_key(e);
	path = mem_format("%s/%s", r->out, file);
	key = tls_read_key(path, e);
	free(path);
	return key;
}

/* The list first: what is in use is always on it. The key before the certificate, which tells that both are. */
static int issue_locked(int list, const struct authority *ca, const struct request *r, X509 **leaf,
	struct err *e)
{
	char *pem = mem_format("%s.pem", r->name), *key_file = mem_format("%s.key", r->name);
	EVP_PKEY *key = NULL;
	int rc = -1;

	if (r->is_renewal || (refuse_existing(r->out, pem, e) == 0 && refuse_existing(r->out, key_file, e) == 0))
		key = key_of_request(r, key_file, e);
	if (key != NULL)
		*leaf = make_leaf(ca, key, r, e);
	if (*leaf != NULL && check_end(*leaf, ca->x, e) == 0 && add_to_list(list, *leaf, r, e) == 0 &&
		(r->is_renewal || write_key(r->out, key_file, key, e) == 0))
		rc = write_certificate(r->out, pem, *leaf, e);
	EVP_PKEY_free(key);
	free(pem);
	free(key_file);
	return rc;
}

static int issue(const struct request *r, X509 **leaf, struct err *e)
{
	struct authority ca;
	int list, rc = -1;

	if (make_folder(r->out, e) < 0 || authority_open(&ca, r->ca, e) < 0)
		return -1;
	list = open_list(r->ca, e);
	if (list >= 0) {
		rc = issue_locked(list, &ca, r, leaf, e);
		close(list);
	}
	authority_close(&ca);
	return rc;
}

/* ---- commands */

static int usage(const char *words)
{
	fprintf(stderr, "xunjian-collector ca: %s; see ca --help\n", words);
	return EXIT_USAGE;
}

static int failed(const struct err *e)
{
	fprintf(stderr, "xunjian-collector ca: %s\n", e->text);
	return EXIT_RUNTIME;
}

static int parse_days(const char *text, int64_t *days, struct err *e)
{
	return num_parse_int(text, 1, DAYS_MAX, days, e) < 0 ? err_wrap(e, "--days") : 0;
}

static int command_init(int argc, char **argv)
{
	static const struct option options[] = {{"days", required_argument, NULL, 'd'}, {0}};
	int64_t days = DAYS_ROOT;
	struct err e;
	int option;

	optind = 0;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option != 'd')
			return EXIT_USAGE; /* getopt has said why */
		if (parse_days(optarg, &days, &e) < 0)
			return usage(e.text);
	}
	if (argc - optind != 1)
		return usage("init wants one FOLDER");
	if (init(argv[optind], days, &e) < 0)
		return failed(&e);
	printf("made %s/ca.pem and %s/ca.key: keep the key to yourself\n", argv[optind], argv[optind]);
	return EXIT_FINE;
}

/* Written as the certificate has it, so that ::1 and 0:0::1 are one. */
static int add_address(struct request *r, const char *text, struct err *e)
{
	unsigned char bytes[sizeof(struct in6_addr)];
	int family = inet_pton(AF_INET, text, bytes) == 1 ? AF_INET : AF_INET6;

	if (r->addresses_count == ADDRESSES_MAX)
		return err_set(e, "--ip: at most %d addresses", ADDRESSES_MAX);
	if (family == AF_INET6 && inet_pton(AF_INET6, text, bytes) != 1)
		return err_set(e, "--ip: '%s' is no IPv4 or IPv6 address", text);
	inet_ntop(family, bytes, r->addresses[r->addresses_count++], INET6_ADDRSTRLEN);
	r->is_server = true;
	return 0;
}

static int take_option(struct request *r, int option, const char *value, struct err *e)
{
	switch (option) {
	case 'c':
		r->ca = value;
		return 0;
	case 'o':
		r->out = value;
		return 0;
	case 'd':
		return parse_days(value, &r->days, e);
	case 'i':
		return add_address(r, value, e);
	case 's':
		r->is_server = true;
		return 0;
	default:
		r->is_renewal = true;
		return 0;
	}
}

/* The name of an agent is its id; a server is looked for by a host name, which may have dots. */
static int check_name(const struct request *r, struct err *e)
{
	if (r->is_server && tls_name_is_clean(r->name))
		return 0;
	if (num_check_id(r->name, e) == 0)
		return 0;
	return err_wrap(e, "NAME '%s'", r->name);
}

static int parse_request(int argc, char **argv, struct request *r, struct err *e)
{
	static const struct option options[] = {{"ca", required_argument, NULL, 'c'},
		{"out", required_argument, NULL, 'o'}, {"days", required_argument, NULL, 'd'},
		{"ip", required_argument, NULL, 'i'}, {"server", no_argument, NULL, 's'},
		{"renew", no_argument, NULL, 'r'}, {0}};
	int option;

	opterr = 0;
	optind = 0;
	while ((option = getopt_long(argc, argv, ":", options, NULL)) != -1) {
		if (option == '?' || option == ':')
			return err_set(e, option == ':' ? "%s wants a value" : "unknown option '%s'", argv[optind - 1]);
		if (take_option(r, option, optarg, e) < 0)
			return -1;
	}
	if (argc - optind != 1)
		return err_set(e, "issue wants one NAME");
	r->name = argv[optind];
	if (r->out == NULL)
		r->out = r->ca;
	return check_name(r, e);
}

static int command_issue(int argc, char **argv)
{
	struct request *r = mem_alloc(sizeof *r);
	X509 *leaf = NULL;
	char until[32];
	struct err e;
	int status = EXIT_FINE;

	*r = (struct request){.ca = ".", .days = DAYS_LEAF};
	if (parse_request(argc, argv, r, &e) < 0) {
		status = usage(e.text);
	} else if (issue(r, &leaf, &e) < 0) {
		status = failed(&e);
	} else {
		format_until(leaf, until, sizeof until);
		printf("made %s/%s.pem for %s.key, valid until %s\n", r->out, r->name, r->name, until);
	}
	X509_free(leaf);
	free(r);
	return status;
}

int ca_main(int argc, char **argv)
{
	if (argc >= 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		fputs(help, stdout);
		return EXIT_FINE;
	}
	if (argc >= 2 && strcmp(argv[1], "init") == 0)
		return command_init(argc - 1, argv + 1);
	if (argc >= 2 && strcmp(argv[1], "issue") == 0)
		return command_issue(argc - 1, argv + 1);
	return usage("expected init or issue");
}
