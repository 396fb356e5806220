#include "lib/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "lib/err.h"
#include "tests/support/pki.h"

#define HOST "collector"
#define AGENT "agent-1"

enum issuer { OURS, OTHER, TWIN, ITSELF, BETWEEN, TWO_BETWEEN, LEAF, ENDED, CONSTRAINED, WEAK_KEY, WEAK_HASH,
	MISSING, NOT_FOR_TLS, NO_SIGNER, ISSUERS };

static struct world {
	char folder[64];
	struct pki issuers[ISSUERS]; /* OURS .. NO_SIGNER; ITSELF is empty */
	struct pki other_between;    /* between OURS and TWO_BETWEEN */
	char ca[96], agent[96], agent_key[96], collector[96], collector_key[96];
} w;

static const struct tls_files agent_files = {w.ca, w.agent, w.agent_key};
static const struct tls_files collector_files = {w.ca, w.collector, w.collector_key};

static struct pki between(const char *subject, const struct pki_spec *more)
{
	struct pki_spec s = *more;

	s.subject = subject;
	s.san = "";
	s.usage = more->usage != NULL ? more->usage : "";
	s.basic = more->basic != NULL ? more->basic : "critical,CA:TRUE";
	s.key_usage = more->key_usage != NULL ? more->key_usage : "critical,keyCertSign,cRLSign";
	return pki_make(&s, &w.issuers[OURS]);
}

static void make_issuers(void)
{
	w.issuers[OURS] = pki_authority("ours", NULL);
	w.issuers[OTHER] = pki_authority("other", NULL);
	w.issuers[TWIN] = pki_authority("ours", NULL);
	w.issuers[BETWEEN] = pki_authority("between", &w.issuers[OURS]);
	w.other_between = pki_authority("upper", &w.issuers[OURS]);
	w.issuers[TWO_BETWEEN] = pki_authority("lower", &w.other_between);
	w.issuers[LEAF] = pki_make(&(struct pki_spec){.subject = "leaf-signs"}, &w.issuers[OURS]);
	w.issuers[ENDED] = between("ended", &(struct pki_spec){.from = -7200, .until = -60});
	w.issuers[CONSTRAINED] =
		between("constrained", &(struct pki_spec){.constraints = "critical,permitted;DNS:elsewhere"});
	w.issuers[WEAK_KEY] = between("weak-key", &(struct pki_spec){.rsa_bits = 1024});
	w.issuers[WEAK_HASH] = between("weak-hash", &(struct pki_spec){.digest = "SHA1"});
	w.issuers[MISSING] = pki_authority("missing", &w.issuers[OURS]);
	w.issuers[NOT_FOR_TLS] = between("not-for-tls", &(struct pki_spec){.usage = "codeSigning"});
	w.issuers[NO_SIGNER] = between("no-signer", &(struct pki_spec){.key_usage = "critical,cRLSign"});
}

static void write_leaf(const struct pki_spec *s, char *certificate, char *key, const char *name)
{
	struct pki leaf = pki_make(s, &w.issuers[OURS]);

	snprintf(certificate, sizeof w.agent, "%s/%s.pem", w.folder, name);
	snprintf(key, sizeof w.agent_key, "%s/%s.key", w.folder, name);
	pki_write_certificate(certificate, &leaf.x, 1);
	pki_write_key(key, leaf.key);
	pki_free(&leaf);
}

static int make_world(void **state)
{
	(void)state;
	strcpy(w.folder, "/tmp/test_tls.XXXXXX");
	assert_non_null(mkdtemp(w.folder));
	make_issuers();
	snprintf(w.ca, sizeof w.ca, "%s/ca.pem", w.folder);
	pki_write_certificate(w.ca, &w.issuers[OURS].x, 1);
	write_leaf(&(struct pki_spec){.san = "DNS:" AGENT}, w.agent, w.agent_key, "agent");
	write_leaf(&(struct pki_spec){.san = "DNS:" HOST ",IP:127.0.0.1,IP:::1", .usage = "serverAuth,clientAuth"},
		w.collector, w.collector_key, "collector");
	return 0;
}

static int drop_world(void **state)
{
	char command[96];

	(void)state;
	for (int i = 0; i < ISSUERS; i++)
		pki_free(&w.issuers[i]);
	pki_free(&w.other_between);
	snprintf(command, sizeof command, "rm -r %s", w.folder);
	return system(command);
}

/* ---- a handshake in memory */

struct pair {
	SSL *server, *client;
	int server_done, client_done; /* 1 finished, -1 failed */
};

static int step(SSL *ssl)
{
	int rc = SSL_do_handshake(ssl), why;

	if (rc == 1)
		return 1;
	why = SSL_get_error(ssl, rc);
	ERR_clear_error();
	return why == SSL_ERROR_WANT_READ || why == SSL_ERROR_WANT_WRITE ? 0 : -1;
}

static struct pair shake(SSL_CTX *server, SSL_CTX *client)
{
	struct pair p = {SSL_new(server), SSL_new(client), 0, 0};
	BIO *a, *b;

	assert_int_equal(BIO_new_bio_pair(&a, 1 << 16, &b, 1 << 16), 1);
	SSL_set_bio(p.server, a, a);
	SSL_set_bio(p.client, b, b);
	SSL_set_accept_state(p.server);
	SSL_set_connect_state(p.client);
	for (int i = 0; i < 10; i++) {
		if (p.client_done == 0)
			p.client_done = step(p.client);
		if (p.server_done == 0)
			p.server_done = step(p.server);
	}
	return p;
}

static void part(struct pair *p)
{
	SSL_free(p->server);
	SSL_free(p->client);
}

static SSL_CTX *our_server(void)
{
	struct err e;
	SSL_CTX *ctx = tls_server(&collector_files, &e);

	assert_non_null(ctx);
	return ctx;
}

static SSL_CTX *our_client(const char *host)
{
	struct err e;
	SSL_CTX *ctx = tls_client(&agent_files, host, &e);

	assert_non_null(ctx);
	return ctx;
}

/* ---- good ones */

static void both_ends_meet_and_name_each_other(void **state)
{
	static const char *const hosts[] = {HOST, "127.0.0.1", "::1"};
	SSL_CTX *server = our_server();
	char who[64];
	struct err e;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		SSL_CTX *client = our_client(hosts[i]);
		struct pair p = shake(server, client);

		assert_int_equal(p.server_done, 1);
		assert_int_equal(p.client_done, 1);
		assert_string_equal(SSL_get_version(p.client), "TLSv1.3");
		assert_int_equal(tls_peer_identity(p.server, who, sizeof who, &e), 0);
		assert_string_equal(who, AGENT);
		assert_int_equal(tls_peer_identity(p.client, who, sizeof who, &e), 0);
		assert_string_equal(who, HOST);
		assert_int_equal(tls_peer_identity(p.server, who, 3, &e), -1);
		part(&p);
		SSL_CTX_free(client);
	}
	SSL_CTX_free(server);
}

static void a_copied_context_does_as_the_client(void **state)
{
	SSL_CTX *server = our_server(), *copy = SSL_CTX_new(TLS_client_method());
	SSL_CTX *client = our_client(HOST), *wrong = our_client("elsewhere");
	struct pair p;
	struct err e;

	(void)state;
	assert_int_equal(tls_client_copy(client, copy, &e), 0);
	p = shake(server, copy);
	assert_int_equal(p.server_done, 1);
	assert_int_equal(p.client_done, 1);
	part(&p);
	assert_int_equal(tls_client_copy(wrong, copy, &e), 0);
	p = shake(server, copy);
	assert_int_equal(p.client_done, -1);
	part(&p);
	SSL_CTX_free(client);
	SSL_CTX_free(wrong);
	SSL_CTX_free(copy);
	SSL_CTX_free(server);
}

static int count_session(SSL *ssl, SSL_SESSION *session)
{
	int *count = SSL_get_app_data(ssl);

	(void)session;
	(*count)++;
	return 0;
}

static void no_session_can_be_taken_up_again(void **state)
{
	SSL_CTX *server = our_server(), *client = our_client(HOST);
	int sessions = 0;
	char byte = 'x';
	struct pair p;

	(void)state;
	SSL_CTX_set_session_cache_mode(client, SSL_SESS_CACHE_CLIENT);
	SSL_CTX_sess_set_new_cb(client, count_session);
	p = shake(server, client);
	SSL_set_app_data(p.client, (void *)&sessions);
	assert_int_equal(SSL_write(p.server, &byte, 1), 1);
	assert_int_equal(SSL_read(p.client, &byte, 1), 1);
	assert_int_equal(sessions, 0);
	assert_int_equal(SSL_SESSION_is_resumable(SSL_get_session(p.client)), 0);
	assert_int_equal(SSL_get_max_early_data(p.server), 0);
	part(&p);
	SSL_CTX_free(client);
	SSL_CTX_free(server);
}

static void days_left_and_own_identity_are_told(void **state)
{
	SSL_CTX *server = our_server();
	char who[64];
	double days;
	struct err e;

	(void)state;
	assert_int_equal(tls_days_left(server, &days), 0);
	assert_true(days > 0.03 && days < 0.05);
	assert_int_equal(tls_own_identity(w.agent, who, sizeof who, &e), 0);
	assert_string_equal(who, AGENT);
	assert_int_equal(tls_own_identity(w.agent_key, who, sizeof who, &e), -1);
	assert_non_null(strstr(e.text, "agent.key: no certificate"));
	SSL_CTX_free(server);
}

/* ---- files that an operator gave wrongly */

static void assert_refused(const struct tls_files *files, const char *words)
{
	struct err e;
	SSL_CTX *ctx = tls_client(files, HOST, &e);

	assert_null(ctx);
	if (strstr(e.text, words) == NULL)
		fail_msg("'%s' does not say '%s'", e.text, words);
}

static void a_key_that_others_may_read_is_refused(void **state)
{
	static const mode_t open_modes[] = {0640, 0604, 0620, 0602, 0644};
	SSL_CTX *ctx;

	(void)state;
	for (size_t i = 0; i < sizeof open_modes / sizeof *open_modes; i++) {
		assert_int_equal(chmod(w.agent_key, open_modes[i]), 0);
		assert_refused(&agent_files, "agent.key: group or others may use this key (mode 06");
	}
	assert_int_equal(chmod(w.agent_key, 0400), 0);
	ctx = our_client(HOST);
	SSL_CTX_free(ctx);
	assert_int_equal(chmod(w.agent_key, 0600), 0);
}

static void wrong_files_are_told_with_their_names(void **state)
{
	struct err e;

	(void)state;
	assert_refused(&(struct tls_files){"/nowhere", w.agent, w.agent_key}, "/nowhere: No such file");
	assert_refused(&(struct tls_files){w.ca, w.agent_key, w.agent_key}, "agent.key: no certificate");
	assert_refused(&(struct tls_files){w.agent_key, w.agent, w.agent_key}, "agent.key: no certificate");
	assert_refused(&(struct tls_files){w.ca, w.folder, w.agent_key}, "not a file");
	assert_refused(&(struct tls_files){w.ca, w.agent, w.collector_key}, "collector.key: not the key of");
	assert_refused(&(struct tls_files){w.ca, w.ca, w.agent_key}, "ca.pem: certificate is that of an auth");
	assert_null(tls_server(&agent_files, &e));
	assert_non_null(strstr(e.text, "agent.pem: certificate has no extended key usage serverAuth"));
	assert_null(tls_client(&agent_files, "*.example", &e));
	assert_null(tls_client(&agent_files, "", &e));
}

static void a_certificate_is_no_key_and_a_locked_key_asks_nobody(void **state)
{
	char path[96];
	FILE *f;

	(void)state;
	snprintf(path, sizeof path, "%s/locked.key", w.folder);
	f = fopen(path, "w");
	fputs("-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIA=\n-----END ENCRYPTED PRIVATE KEY-----\n", f);
	fclose(f);
	assert_int_equal(chmod(path, 0600), 0);
	assert_refused(&(struct tls_files){w.ca, w.agent, path}, "locked.key: no private key");
	assert_int_equal(chmod(w.agent, 0600), 0);
	assert_refused(&(struct tls_files){w.ca, w.agent, w.agent}, "agent.pem: no private key");
}

/* ---- the matrix of bad certificates (S-3) */

enum side { BOTH, AS_CLIENT, AS_SERVER };

struct bad {
	const char *name;
	enum issuer issuer;
	struct pki_spec spec; /* san and usage NULL: those of a good one */
	enum side side;
	int is_broken; /* a byte of the signature is turned */
};

#define LONG_LABEL "a123456789012345678901234567890123456789012345678901234567890123"

static const struct bad matrix[] = {
	{"expired an hour ago", OURS, .spec = {.from = -7200, .until = -3600}},
	{"expired a second ago", OURS, .spec = {.from = -7200, .until = -1}},
	{"not yet valid", OURS, .spec = {.from = 3600, .until = 7200}},
	{"made by a clock a minute ahead", OURS, .spec = {.from = 60, .until = 3600}},
	{"another authority", OTHER, .spec = {.from = 0}},
	{"another authority of the same name", TWIN, .spec = {.from = 0}},
	{"another authority under our name", OTHER, .spec = {.forged_issuer = "ours"}},
	{"self-signed", ITSELF, .spec = {.from = 0}},
	{"self-signed under the name of our authority", ITSELF, .spec = {.subject = "ours"}},
	{"self-signed authority as leaf", ITSELF, .spec = {.basic = "critical,CA:TRUE"}},
	{"usage of the other side", OURS, .spec = {.usage = "serverAuth"}, .side = AS_CLIENT},
	{"usage of the other side", OURS, .spec = {.usage = "clientAuth"}, .side = AS_SERVER},
	{"usage for code", OURS, .spec = {.usage = "codeSigning"}},
	{"usage for mail", OURS, .spec = {.usage = "emailProtection"}},
	{"any usage only", OURS, .spec = {.usage = "anyExtendedKeyUsage"}},
	{"no extended usage", OURS, .spec = {.usage = ""}},
	{"key usage without signatures", OURS, .spec = {.key_usage = "critical,cRLSign"}},
	{"no SAN", OURS, .spec = {.san = ""}},
	{"no SAN, the name as subject", OURS, .spec = {.san = "", .subject = AGENT}, .side = AS_CLIENT},
	{"no SAN, the name as subject", OURS, .spec = {.san = "", .subject = HOST}, .side = AS_SERVER},
	{"two names", OURS, .spec = {.san = "DNS:" AGENT ",DNS:" HOST}},
	{"the same name twice", OURS, .spec = {.san = "DNS:" HOST ",DNS:" HOST}},
	{"wildcard", OURS, .spec = {.san = "DNS:*"}},
	{"wildcard below a domain", OURS, .spec = {.san = "DNS:*.example"}},
	{"wildcard in a label", OURS, .spec = {.san = "DNS:c*r"}},
	{"NUL inside", OURS, .spec = {.raw_dns = HOST "\0.evil", .raw_len = sizeof HOST + 5}},
	{"NUL at the end", OURS, .spec = {.raw_dns = HOST, .raw_len = sizeof HOST}},
	{"empty name", OURS, .spec = {.raw_dns = "", .raw_len = 0}},
	{"address only", OURS, .spec = {.san = "IP:127.0.0.1"}},
	{"mail address only", OURS, .spec = {.san = "email:root@" HOST}},
	{"mail address beside the name", OURS, .spec = {.san = "DNS:" HOST ",email:root@" HOST}},
	{"URI beside the name", OURS, .spec = {.san = "DNS:" HOST ",URI:spiffe://" HOST}},
	{"upper case", OURS, .spec = {.san = "DNS:Collector"}},
	{"underscore", OURS, .spec = {.san = "DNS:agent_1"}},
	{"slash", OURS, .spec = {.raw_dns = "../" HOST, .raw_len = sizeof HOST + 2}},
	{"line end", OURS, .spec = {.raw_dns = HOST "\n", .raw_len = sizeof HOST}},
	{"bytes that are not ASCII", OURS, .spec = {.raw_dns = "c\xc3\xb6llector", .raw_len = 10}},
	{"hyphen first", OURS, .spec = {.san = "DNS:-" HOST}},
	{"label too long", OURS, .spec = {.san = "DNS:" LONG_LABEL}},
	{"dot at the end", OURS, .spec = {.san = "DNS:" HOST "."}},
	{"dot inside", OURS, .spec = {.san = "DNS:agent.1"}, .side = AS_CLIENT},
	{"another host", OURS, .spec = {.san = "DNS:collector2"}, .side = AS_SERVER},
	{"another host, ours as subject", OURS, .spec = {.san = "DNS:collector2", .subject = HOST}, .side = AS_SERVER},
	{"RSA 1024", OURS, .spec = {.rsa_bits = 1024}},
	{"SHA-1", OURS, .spec = {.digest = "SHA1"}},
	{"version 1", OURS, .spec = {.is_v1 = 1}},
	{"an authority as leaf", OURS, .spec = {.basic = "critical,CA:TRUE", .key_usage = "digitalSignature,keyCertSign"}},
	{"an authority by key usage only", OURS, .spec = {.basic = "", .key_usage = "digitalSignature,keyCertSign"}},
	{"chain too deep", TWO_BETWEEN, .spec = {.from = 0}},
	{"signed by a leaf", LEAF, .spec = {.from = 0}},
	{"signed by an authority that ended", ENDED, .spec = {.from = 0}},
	{"outside the name constraint", CONSTRAINED, .spec = {.from = 0}},
	{"authority of RSA 1024", WEAK_KEY, .spec = {.from = 0}},
	{"authority signed with SHA-1", WEAK_HASH, .spec = {.from = 0}},
	{"authority not sent", MISSING, .spec = {.from = 0}},
	{"authority for code only", NOT_FOR_TLS, .spec = {.from = 0}},
	{"authority that may not sign", NO_SIGNER, .spec = {.from = 0}},
	{"broken signature", OURS, .spec = {.from = 0}, .is_broken = 1},
};

/* The leaf in DER with one bit of its signature, which stands last, turned. */
static X509 *break_signature(X509 *x)
{
	unsigned char *der = NULL;
	const unsigned char *p;
	int len = i2d_X509(x, &der);

	der[len - 4] ^= 1;
	p = der;
	X509_free(x);
	x = d2i_X509(NULL, &p, len);
	OPENSSL_free(der);
	assert_non_null(x);
	return x;
}

/* A context that checks nothing and shows what it is told to. */
static SSL_CTX *hostile(const struct bad *bad, int as_client)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	struct pki_spec s = bad->spec;
	struct pki leaf;

	if (s.san == NULL && s.raw_dns == NULL)
		s.san = as_client ? "DNS:" AGENT : "DNS:" HOST;
	if (s.usage == NULL)
		s.usage = as_client ? "clientAuth" : "serverAuth";
	leaf = pki_make(&s, bad->issuer == ITSELF ? NULL : &w.issuers[bad->issuer]);
	if (bad->is_broken)
		leaf.x = break_signature(leaf.x);
	SSL_CTX_set_security_level(ctx, 0);
	assert_int_equal(SSL_CTX_use_certificate(ctx, leaf.x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, leaf.key), 1);
	if (bad->issuer > ITSELF && bad->issuer != MISSING)
		SSL_CTX_add1_chain_cert(ctx, w.issuers[bad->issuer].x);
	if (bad->issuer == TWO_BETWEEN)
		SSL_CTX_add1_chain_cert(ctx, w.other_between.x);
	pki_free(&leaf);
	return ctx;
}

static void accepted_as_client(const struct bad *bad, SSL_CTX *server, int *tried, int *accepted)
{
	SSL_CTX *client = hostile(bad, 1);
	struct pair p = shake(server, client);

	(*tried)++;
	*accepted += p.server_done != -1;
	if (p.server_done != -1)
		print_error("accepted as a client: %s\n", bad->name);
	part(&p);
	SSL_CTX_free(client);
}

static void accepted_as_server(const struct bad *bad, SSL_CTX *client, int *tried, int *accepted)
{
	SSL_CTX *server = hostile(bad, 0);
	struct pair p = shake(server, client);

	(*tried)++;
	*accepted += p.client_done != -1;
	if (p.client_done != -1)
		print_error("accepted as a server: %s\n", bad->name);
	part(&p);
	SSL_CTX_free(server);
}

/* What is made like the bad ones, but good, must pass: else the matrix would prove nothing. */
static void of_the_bad_certificates_none_is_accepted(void **state)
{
	static const struct bad good[] = {{"good", OURS, .spec = {.from = 0}}, {"good, below one between", BETWEEN, .spec = {0}},
		{"good, RSA 2048", OURS, .spec = {.rsa_bits = 2048}}};
	SSL_CTX *server = our_server(), *client = our_client(HOST);
	int tried = 0, accepted = 0;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		struct pair p;
		SSL_CTX *peer = hostile(&good[i], 1);

		p = shake(server, peer);
		assert_int_equal(p.server_done, 1);
		part(&p);
		SSL_CTX_free(peer);
		peer = hostile(&good[i], 0);
		SSL_CTX_set_verify(peer, SSL_VERIFY_NONE, NULL);
		p = shake(peer, client);
		assert_int_equal(p.client_done, 1);
		part(&p);
		SSL_CTX_free(peer);
	}
	for (size_t i = 0; i < sizeof matrix / sizeof *matrix; i++) {
		if (matrix[i].side != AS_SERVER)
			accepted_as_client(&matrix[i], server, &tried, &accepted);
		if (matrix[i].side != AS_CLIENT)
			accepted_as_server(&matrix[i], client, &tried, &accepted);
	}
	print_message("%d bad certificates, %d accepted\n", tried, accepted);
	assert_true(tried >= 80);
	assert_int_equal(accepted, 0);
	SSL_CTX_free(server);
	SSL_CTX_free(client);
}

static void without_a_certificate_nobody_gets_in(void **state)
{
	SSL_CTX *server = our_server(), *client = SSL_CTX_new(TLS_client_method());
	struct pair p = shake(server, client);
	char who[64];
	struct err e;

	(void)state;
	assert_int_equal(p.server_done, -1);
	assert_int_equal(tls_peer_identity(p.server, who, sizeof who, &e), -1);
	part(&p);
	SSL_CTX_free(client);
	SSL_CTX_free(server);
}

static void versions_before_1_3_are_refused_on_both_sides(void **state)
{
	static const struct bad good = {"good", OURS, .spec = {.from = 0}};
	SSL_CTX *server = our_server(), *client = our_client(HOST);
	SSL_CTX *old_client = hostile(&good, 1), *old_server = hostile(&good, 0);
	struct pair p;

	(void)state;
	SSL_CTX_set_max_proto_version(old_client, TLS1_2_VERSION);
	SSL_CTX_set_max_proto_version(old_server, TLS1_2_VERSION);
	p = shake(server, old_client);
	assert_int_equal(p.server_done, -1);
	part(&p);
	p = shake(old_server, client);
	assert_int_equal(p.client_done, -1);
	part(&p);
	SSL_CTX_free(old_client);
	SSL_CTX_free(old_server);
	SSL_CTX_free(server);
	SSL_CTX_free(client);
}

/* Rollover of the authority: both roots stand in one file, leaves of either are good. */
static void two_roots_are_trusted_side_by_side(void **state)
{
	static const struct bad good[] = {{"old", OURS, .spec = {.from = 0}}, {"new", OTHER, .spec = {0}}};
	X509 *roots[] = {w.issuers[OURS].x, w.issuers[OTHER].x};
	struct tls_files files = collector_files;
	char path[96];
	SSL_CTX *server;
	struct err e;

	(void)state;
	snprintf(path, sizeof path, "%s/both.pem", w.folder);
	pki_write_certificate(path, roots, 2);
	files.ca = path;
	server = tls_server(&files, &e);
	assert_non_null(server);
	for (size_t i = 0; i < 2; i++) {
		SSL_CTX *client = hostile(&good[i], 1);
		struct pair p = shake(server, client);

		assert_int_equal(p.server_done, 1);
		part(&p);
		SSL_CTX_free(client);
	}
	SSL_CTX_free(server);
}

static SSL_CTX *server_of_others(const struct pki_spec *spec, enum issuer issuer, int version)
{
	struct pki leaf = pki_make(spec, &w.issuers[issuer]);
	SSL_CTX *ctx = SSL_CTX_new(TLS_server_method());

	assert_non_null(ctx);
	SSL_CTX_set_security_level(ctx, 0);
	assert_int_equal(SSL_CTX_set_max_proto_version(ctx, version), 1);
	assert_int_equal(SSL_CTX_use_certificate(ctx, leaf.x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(ctx, leaf.key), 1);
	pki_free(&leaf);
	return ctx;
}

static void servers_of_others_must_have_the_name_too(void **state)
{
#define LOG "log.gov.example"
	static const struct {
		struct pki_spec spec;
		enum issuer issuer;
		int version;
		const char *host;
		int is_good;
	} rows[] = {
		{{.san = "DNS:" LOG ",DNS:other.example", .usage = "serverAuth"}, OURS, TLS1_3_VERSION, LOG, 1},
		{{.san = "DNS:" LOG, .usage = ""}, OURS, TLS1_2_VERSION, LOG, 1},
		{{.san = "DNS:*.gov.example", .usage = "serverAuth"}, OURS, TLS1_3_VERSION, LOG, 1},
		{{.san = "IP:192.0.2.7", .usage = "serverAuth"}, OURS, TLS1_3_VERSION, "192.0.2.7", 1},
		{{.san = "DNS:" LOG, .usage = "serverAuth"}, OURS, TLS1_1_VERSION, LOG, 0},
		{{.san = "DNS:*.gov.example", .usage = "serverAuth"}, OURS, TLS1_3_VERSION, "a." LOG, 0},
		{{.san = "DNS:l*.gov.example", .usage = "serverAuth"}, OURS, TLS1_3_VERSION, LOG, 0},
		{{.san = "DNS:192.0.2.7", .usage = "serverAuth"}, OURS, TLS1_3_VERSION, "192.0.2.7", 0},
		{{.san = "", .subject = LOG, .usage = "serverAuth"}, OURS, TLS1_3_VERSION, LOG, 0},
		{{.san = "DNS:" LOG, .usage = "clientAuth"}, OURS, TLS1_3_VERSION, LOG, 0},
		{{.san = "DNS:" LOG, .usage = "serverAuth"}, OTHER, TLS1_3_VERSION, LOG, 0},
		{{.san = "DNS:" LOG, .usage = "serverAuth"}, TWIN, TLS1_3_VERSION, LOG, 0},
		{{.san = "DNS:" LOG, .usage = "serverAuth", .from = -7200, .until = -60}, OURS, TLS1_3_VERSION, LOG, 0},
		{{.san = "DNS:" LOG, .usage = "serverAuth", .rsa_bits = 1024}, OURS, TLS1_3_VERSION, LOG, 0},
	};
	const struct tls_files files = {.ca = w.ca, .certificate = "", .key = ""};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		SSL_CTX *server = server_of_others(&rows[i].spec, rows[i].issuer, rows[i].version);
		SSL_CTX *client = tls_client_of_others(&files, rows[i].host, &e);
		struct pair p;

		assert_non_null(client);
		p = shake(server, client);
		if ((p.client_done == 1) != rows[i].is_good)
			fail_msg("row %zu is %s", i, rows[i].is_good ? "refused" : "accepted");
		part(&p);
		SSL_CTX_free(server);
		SSL_CTX_free(client);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(both_ends_meet_and_name_each_other),
		cmocka_unit_test(a_copied_context_does_as_the_client),
		cmocka_unit_test(no_session_can_be_taken_up_again),
		cmocka_unit_test(days_left_and_own_identity_are_told),
		cmocka_unit_test(a_key_that_others_may_read_is_refused),
		cmocka_unit_test(wrong_files_are_told_with_their_names),
		cmocka_unit_test(a_certificate_is_no_key_and_a_locked_key_asks_nobody),
		cmocka_unit_test(of_the_bad_certificates_none_is_accepted),
		cmocka_unit_test(without_a_certificate_nobody_gets_in),
		cmocka_unit_test(versions_before_1_3_are_refused_on_both_sides),
		cmocka_unit_test(two_roots_are_trusted_side_by_side),
		cmocka_unit_test(servers_of_others_must_have_the_name_too),
	};

	return cmocka_run_group_tests_name("tls", tests, make_world, drop_world);
}
