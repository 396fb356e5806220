#include "probes/tls.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/listener.h>
#include <openssl/ec.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "probes/catalog_tls.h"
#include "tests/support/pki.h"
#include "tests/unit/probes/one_run.h"
#include "tests/unit/probes/script_server.h"

#define DAY 86400L

struct fixture {
	struct one_run one;
	struct script_server server;
	struct pki root;
	char port[32], folder[40], file[64], ca[80];
};

static int setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof *f);

	signal(SIGPIPE, SIG_IGN);
	one_run_open(&f->one);
	script_server_open(&f->server, f->one.base);
	snprintf(f->port, sizeof f->port, "port=%u", f->server.port);
	f->root = pki_authority("a root", NULL);
	snprintf(f->folder, sizeof f->folder, "/tmp/xj-tls-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	snprintf(f->file, sizeof f->file, "%s/ca.pem", f->folder);
	snprintf(f->ca, sizeof f->ca, "ca=%s", f->file);
	pki_write_certificate(f->file, &f->root.x, 1);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	script_server_close(&f->server);
	one_run_close(&f->one);
	pki_free(&f->root);
	unlink(f->file);
	rmdir(f->folder);
	free(f);
	return 0;
}

/* ---- a peer on one port of both families: TLS by OpenSSL, or bytes for a hello of TLCP */

struct peer {
	struct fixture *fixture;
	SSL_CTX *ctx;      /* NULL: an alert for every hello that is not TLCP's */
	struct buf tlcp;   /* the answer to a hello of TLCP; empty: an alert */
	struct evconnlistener *listeners[2];
	bool speaks_sm;    /* TLS 1.3 of RFC 8998: asks for a key share on the curve SM2 */
	unsigned accepted;
	char port[32];
};

static void on_peer_event(struct bufferevent *b, short what, void *ctx)
{
	(void)ctx;
	if (what & (BEV_EVENT_ERROR | BEV_EVENT_EOF))
		bufferevent_free(b);
}

/* Looks at the hello without taking it. */
static void on_hello(evutil_socket_t fd, short what, void *ctx)
{
	static const uint8_t alert[] = {21, 3, 1, 0, 2, 2, 70};
	static const uint8_t retry[] = {22, 3, 3, 0, 56, 2, 0, 0, 52, 3, 3, 0xcf, 0x21, 0xad, 0x74, 0xe5, 0x9a, 0x61, 0x11, 0xbe, 0x1d, 0x8c, 0x02,
		0x1e, 0x65, 0xb8, 0x91, 0xc2, 0xa2, 0x11, 0x16, 0x7a, 0xbb, 0x8c, 0x5e, 0x07, 0x9e, 0x09, 0xe2, 0xc8, 0xa8, 0x33, 0x9c, 0, 0, 0xc6, 0,
		0, 12, 0, 43, 0, 2, 3, 4, 0, 51, 0, 2, 0, 41};
	struct peer *p = ctx;
	ssize_t n;
	uint8_t head[11] = {0}, rest[4096];
	struct bufferevent *b;

	(void)what;
	recv(fd, head, sizeof head, MSG_PEEK);
	if (head[9] != 1 && p->ctx != NULL) {
		b = bufferevent_openssl_socket_new(p->fixture->one.base, fd, SSL_new(p->ctx), BUFFEREVENT_SSL_ACCEPTING,
			BEV_OPT_CLOSE_ON_FREE);
		bufferevent_setcb(b, NULL, NULL, on_peer_event, NULL);
		bufferevent_enable(b, EV_READ | EV_WRITE);
		return;
	}
	n = recv(fd, rest, sizeof rest, 0);
	assert_true(n > 0);
	if (p->speaks_sm && memmem(rest, (size_t)n, "\0\xc6\0\xc7", 4) != NULL)
		assert_int_equal(send(fd, retry, sizeof retry, 0), sizeof retry);
	else if (head[9] == 1 && p->tlcp.len > 0)
		assert_int_equal(send(fd, p->tlcp.data, p->tlcp.len, 0), p->tlcp.len);
	else
		assert_int_equal(send(fd, alert, sizeof alert, 0), sizeof alert);
	close(fd);
}

static void on_peer_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *from, int len, void *ctx)
{
	struct peer *p = ctx;

	(void)from;
	(void)len;
	p->accepted++;
	event_base_once(evconnlistener_get_base(l), fd, EV_READ, on_hello, p, NULL);
}

static void peer_open(struct peer *p, struct fixture *f, const struct pki *leaf, const struct pki *above)
{
	memset(p, 0, sizeof *p);
	p->fixture = f;
	if (leaf != NULL) {
		p->ctx = SSL_CTX_new(TLS_server_method());
		assert_int_equal(SSL_CTX_use_certificate(p->ctx, leaf->x), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(p->ctx, leaf->key), 1);
	}
	if (above != NULL)
		assert_int_equal(SSL_CTX_add1_chain_cert(p->ctx, above->x), 1);
	for (int i = 0; i < 2; i++) {
		uint16_t port = 0;
		int fd = script_listen(i == 0 ? AF_INET : AF_INET6, 0);
		struct sockaddr_in6 at;
		socklen_t n = sizeof at;

		if (i == 1) {
			getsockname(evconnlistener_get_fd(p->listeners[0]), (struct sockaddr *)&at, &n);
			port = ntohs(at.sin6_port); /* at the same place in both families */
			close(fd);
			fd = script_listen(AF_INET6, port);
			assert_true(fd >= 0);
			snprintf(p->port, sizeof p->port, "port=%u", port);
		}
		evutil_make_socket_nonblocking(fd);
		p->listeners[i] = evconnlistener_new(f->one.base, on_peer_accept, p, LEV_OPT_CLOSE_ON_FREE, -1, fd);
	}
}

static void peer_close(struct peer *p)
{
	for (int i = 0; i < 20; i++)
		event_base_loop(p->fixture->one.base, EVLOOP_NONBLOCK);
	for (int i = 0; i < 2; i++)
		evconnlistener_free(p->listeners[i]);
	SSL_CTX_free(p->ctx);
	buf_fini(&p->tlcp);
}

/* ---- TLS */

#define SERVER .usage = "serverAuth", .san = "DNS:localhost"

static void a_good_server_is_up_with_its_facts(void **state)
{
	struct pki_spec spec = {SERVER, .subject = "localhost", .from = -DAY, .until = 30 * DAY};
	struct fixture *f = *state;
	struct pki above = pki_authority("an issuer", &f->root), leaf = pki_make(&spec, &above);
	struct peer p;

	peer_open(&p, f, &leaf, &above);
	one_run_of(&f->one, &tls_probe, "host=localhost", p.port, f->ca);
	assert_lines(&f->one, "IPv4 127.0.0.1 up", "IPv6 ::1 up");
	assert_int_equal(p.accepted, 10); /* one to shake hands, four to ask, in two families */
	for (size_t i = 0; i < 2; i++) {
		double connect = one_run_value(&f->one, i, TLS_CONNECT), shake = one_run_value(&f->one, i, TLS_HANDSHAKE);

		assert_true(connect > 0 && shake > 0 && one_run_value(&f->one, i, TLS_TOTAL) >= connect + shake);
		assert_float_equal(one_run_value(&f->one, i, TLS_VERSION), 1.3, 1e-9);
		assert_float_equal(one_run_value(&f->one, i, TLS_CERT_DAYS), 30, 0.01);
		assert_true(one_run_value(&f->one, i, TLS_CHAIN_DAYS) < 30);
		assert_int_equal(one_run_value(&f->one, i, TLS_CHAIN), 2);
		assert_int_equal(one_run_value(&f->one, i, TLS_GROUP), 29);
		assert_int_equal(one_run_value(&f->one, i, TLS_1_3), 1);
		assert_int_equal(one_run_value(&f->one, i, TLS_1_2), 1);
		assert_int_equal(one_run_value(&f->one, i, TLS_1_1), 0);
		assert_int_equal(one_run_value(&f->one, i, TLS_OCSP), 0);
		assert_true(isnan(one_run_value(&f->one, i, TLS_TLCP)));
	}
	peer_close(&p);
	pki_free(&leaf);
	pki_free(&above);
}

static void certificates_are_parts_with_names(void **state)
{
	struct pki_spec spec = {SERVER, .subject = "localhost", .from = -DAY, .until = 30 * DAY};
	struct fixture *f = *state;
	struct pki above = pki_authority("an issuer", &f->root), leaf = pki_make(&spec, &above);
	struct peer p;

	peer_open(&p, f, &leaf, &above);
	one_run_of(&f->one, &tls_probe, "host=127.0.0.1", "server_name=localhost", p.port, f->ca, "certificates=true",
		"versions=false");
	assert_int_equal(p.accepted, 1);
	assert_int_equal(f->one.count, 3);
	assert_string_equal(f->one.lines[0], "IPv4 127.0.0.1 up: certificate for localhost");
	assert_float_equal(one_run_value(&f->one, 1, TLS_CERT_DAYS), 30, 0.01);
	assert_int_equal(one_run_value(&f->one, 1, TLS_SM2), 0);
	peer_close(&p);
	pki_free(&leaf);
	pki_free(&above);
}

/* Of one family, as most rows below. */
static void expect(struct fixture *f, const char *port, const char *option, const char *line)
{
	one_run_of(&f->one, &tls_probe, "host=127.0.0.1", "server_name=localhost", port, f->ca, option);
	if (strcmp(f->one.lines[0], line) != 0)
		print_error("%s\n", option);
	assert_lines(&f->one, line);
}

static void conditions_are_judged(void **state)
{
	struct pki_spec spec = {SERVER, .from = -DAY, .until = 30 * DAY, .rsa_bits = 2048,
		.key_usage = "critical,digitalSignature,keyEncipherment"};
	struct fixture *f = *state;
	struct pki leaf = pki_make(&spec, &f->root);
	struct peer p;

	peer_open(&p, f, &leaf, NULL);
	expect(f, p.port, "min_version=1.2", "IPv4 127.0.0.1 up");
	expect(f, p.port, "min_version=1.3", "IPv4 127.0.0.1 down: accepts TLS 1.2, TLS 1.3 or later is wanted");
	expect(f, p.port, "ciphers=strong", "IPv4 127.0.0.1 up");
	expect(f, p.port, "ciphers=forward", "IPv4 127.0.0.1 down: accepts TLS_RSA_WITH_AES_128_GCM_SHA256, "
		"which has no forward secrecy");
	expect(f, p.port, "ocsp_required=true", "IPv4 127.0.0.1 down: no OCSP answer is stapled");
	expect(f, p.port, "tlcp=offered", "IPv4 127.0.0.1 up");
	assert_int_equal(one_run_value(&f->one, 0, TLS_TLCP), 0);
	expect(f, p.port, "tlcp=required", "IPv4 127.0.0.1 down: TLCP: alert: protocol version");
	SSL_CTX_set_max_proto_version(p.ctx, TLS1_2_VERSION);
	expect(f, p.port, "min_version=1.3", "IPv4 127.0.0.1 down: agrees on TLS 1.2, TLS 1.3 or later is wanted");
	assert_float_equal(one_run_value(&f->one, 0, TLS_VERSION), 1.2, 1e-9);
	SSL_CTX_set_cipher_list(p.ctx, "AES128-SHA");
	expect(f, p.port, "ciphers=forward", "IPv4 127.0.0.1 down: agrees on TLS_RSA_WITH_AES_128_CBC_SHA, "
		"which has no forward secrecy");
	peer_close(&p);
	pki_free(&leaf);
}

static void bad_certificates_are_down_but_told_in_full(void **state)
{
	static const struct {
		struct pki_spec spec;
		const char *words;
	} rows[] = {
		{{SERVER, .from = -40 * DAY, .until = -10 * DAY}, "certificate expired on "},
		{{SERVER, .from = 5 * DAY, .until = 10 * DAY}, "certificate is not valid before "},
		{{.usage = "serverAuth", .san = "DNS:y.example", .from = -DAY, .until = DAY},
			"certificate is for other names: y.example"},
		{{SERVER, .from = -DAY, .until = DAY, .rsa_bits = 1024}, "certificate: EE certificate key too weak"},
		{{SERVER, .from = -DAY, .until = DAY, .digest = "SHA1"}, "certificate: CA signature digest algorithm too weak"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct pki leaf = pki_make(&rows[i].spec, &f->root);
		struct peer p;

		peer_open(&p, f, NULL, NULL);
		p.ctx = SSL_CTX_new(TLS_server_method());
		SSL_CTX_set_security_level(p.ctx, 0);
		assert_int_equal(SSL_CTX_use_certificate(p.ctx, leaf.x), 1);
		assert_int_equal(SSL_CTX_use_PrivateKey(p.ctx, leaf.key), 1);
		one_run_of(&f->one, &tls_probe, "host=127.0.0.1", "server_name=localhost", p.port, f->ca);
		print_message("%s\n", f->one.lines[0]);
		assert_non_null(strstr(f->one.lines[0], rows[i].words));
		assert_int_equal(one_run_value(&f->one, 0, TLS_1_3), 1);
		assert_true(one_run_value(&f->one, 0, TLS_CIPHER) > 0);
		expect(f, p.port, "verify=false", "IPv4 127.0.0.1 up");
		peer_close(&p);
		pki_free(&leaf);
	}
}

static void roots_that_cannot_be_read_are_our_own_fault(void **state)
{
	struct fixture *f = *state;

	one_run_of(&f->one, &tls_probe, "host=127.0.0.1", f->port, "ca=/nowhere/ca.pem");
	assert_lines(&f->one, "IPv4 127.0.0.1 unknown: ca: no certificate can be read from /nowhere/ca.pem");
	assert_int_equal(f->server.accepted, 0);
}

/* ---- peers that are not as they should be */

static void each_way_to_fail_has_words(void **state)
{
	static const struct {
		const char *text;
		enum script_verb then;
		const char *words;
	} rows[] = {
		{"", SCRIPT_CLOSE, "TLS handshake failed: closed by peer"},
		{"", SCRIPT_RESET, "TLS handshake failed: reset by peer"},
		{"HTTP/1.1 400 Bad Request\r\n\r\n", SCRIPT_CLOSE, "TLS handshake failed: the answer is not TLS"},
		{"\x16\x03\x03", SCRIPT_CLOSE, "TLS handshake failed: closed by peer"},
	};
	struct fixture *f = *state;
	char line[120];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		script_set(&f->server, SCRIPT({SCRIPT_READ, "", 0}, {SCRIPT_SEND, rows[i].text, 0}, {rows[i].then, "", 0}));
		snprintf(line, sizeof line, "IPv4 127.0.0.1 down: %s", rows[i].words);
		expect(f, f->port, "verify=true", line);
		for (uint32_t m = TLS_1_0; m <= TLS_1_3; m++)
			assert_int_equal(one_run_value(&f->one, 0, m), 0);
	}
	expect(f, "port=1", "verify=true", "IPv4 127.0.0.1 down: connection refused");
	assert_int_equal(f->one.results[0].count, 0);
}

static void silence_is_told_by_its_phase(void **state)
{
	struct fixture *f = *state;

	f->one.timeout = 100 * NS_PER_MS;
	script_set(&f->server, SCRIPT_SILENT);
	one_run_of(&f->one, &tls_probe, "host=localhost", f->port);
	assert_non_null(strstr(f->one.lines[0], "down: connected in "));
	assert_non_null(strstr(f->one.lines[0], " ms, TLS handshake not complete within 100ms"));
	assert_non_null(strstr(f->one.lines[1], " ms, TLS handshake not complete within 100ms"));
	one_run_of(&f->one, &tls_probe, "host=127.0.0.1", f->port, "starttls=smtp");
	assert_non_null(strstr(f->one.lines[0], " ms, SMTP dialogue before TLS not complete within 100ms"));
	assert_true(one_run_value(&f->one, 0, TLS_CONNECT) > 0 || f->one.results[0].count == 0);
	expect(f, f->port, "tlcp=only", "IPv4 127.0.0.1 down: TLCP: no answer within 100ms");
}

/* What is asked afterwards and never answered is left out. */
static void a_question_without_answer_harms_nothing(void **state)
{
	struct pki_spec spec = {SERVER, .from = -DAY, .until = 30 * DAY};
	struct fixture *f = *state;
	struct pki leaf = pki_make(&spec, &f->root);
	struct peer p;
	struct run_group *g;

	peer_open(&p, f, &leaf, NULL);
	f->one.timeout = 300 * NS_PER_MS;
	g = one_run_begin(&f->one, &tls_probe, (const char *const[]){"host=127.0.0.1", "server_name=localhost", p.port, f->ca,
		"min_version=1.2", NULL});
	assert_non_null(g);
	while (p.accepted < 1)
		event_base_loop(f->one.base, EVLOOP_ONCE);
	for (int i = 0; i < 2; i++)
		evconnlistener_disable(p.listeners[i]); /* the kernel takes connections, nobody answers */
	one_run_wait(&f->one);
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	assert_true(one_run_value(&f->one, 0, TLS_HANDSHAKE) > 0);
	for (uint32_t m = TLS_1_0; m <= TLS_1_3; m++)
		assert_true(isnan(one_run_value(&f->one, 0, m)));
	peer_close(&p);
	pki_free(&leaf);
}

static void nothing_is_held_after_a_cancel(void **state)
{
	struct pki_spec spec = {SERVER, .from = -DAY, .until = 30 * DAY};
	struct fixture *f = *state;
	struct pki leaf = pki_make(&spec, &f->root);
	struct peer p;

	peer_open(&p, f, &leaf, NULL);
	for (int steps = 0; steps < 25; steps++) {
		const char *const texts[] = {"host=localhost", p.port, f->ca, "tlcp=offered", "ciphers=aead", NULL};
		struct run_group *g = one_run_begin(&f->one, &tls_probe, texts);

		for (int i = 0; i < steps && !f->one.done; i++)
			event_base_loop(f->one.base, EVLOOP_NONBLOCK);
		if (!f->one.done)
			run_group_cancel(g);
		for (int i = 0; i < 10; i++)
			event_base_loop(f->one.base, EVLOOP_NONBLOCK);
	}
	peer_close(&p);
	pki_free(&leaf);
}

/* ---- STARTTLS */

static void dialogues_come_before_tls(void **state)
{
	struct fixture *f = *state;

	script_set(&f->server, SCRIPT({SCRIPT_DRIP, "220 mail.example\r\n", 0}, {SCRIPT_READ, "EHLO xunjian.invalid\r\n", 0},
		{SCRIPT_SEND, "250-mail\r\n250 STARTTLS\r\n", 0}, {SCRIPT_READ, "STARTTLS\r\n", 0},
		{SCRIPT_SEND, "220 go\r\n", 0}, {SCRIPT_READ, "localhost", 0}, {SCRIPT_SEND, "nonsense", 0}));
	expect(f, f->port, "starttls=smtp", "IPv4 127.0.0.1 down: TLS handshake failed: the answer is not TLS");
	assert_true(one_run_value(&f->one, 0, TLS_STARTTLS) > 0);
	script_set(&f->server, SCRIPT({SCRIPT_SEND, "* OK hi\r\n", 0}, {SCRIPT_READ, "x STARTTLS\r\n", 0},
		{SCRIPT_SEND, "x NO\r\n", 0}));
	expect(f, f->port, "starttls=imap", "IPv4 127.0.0.1 down: IMAP: STARTTLS is refused: x NO");
	script_set(&f->server, SCRIPT({SCRIPT_READ, "", 0}, {SCRIPT_RESET, "", 0}));
	expect(f, f->port, "starttls=ldap", "IPv4 127.0.0.1 down: LDAP: reset by peer before TLS");
	script_set(&f->server, SCRIPT({SCRIPT_READ, "", 0}, {SCRIPT_CLOSE, "", 0}));
	expect(f, f->port, "starttls=postgres", "IPv4 127.0.0.1 down: PostgreSQL: closed by peer before TLS");
}

/* ---- TLCP */

static EVP_PKEY *sm2_key(void)
{
	EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_SM2, NULL);
	EVP_PKEY *key = NULL;

	assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
	assert_int_equal(EVP_PKEY_keygen(ctx, &key), 1);
	EVP_PKEY_CTX_free(ctx);
	return key;
}

/* Signed with SM2 and SM3 under the usual id (GM/T 0009); issuer NULL: by itself, a root. */
static struct pki sm2_make(const char *subject, const char *san, long from, long until, const struct pki *issuer)
{
	struct pki made = {.x = X509_new(), .key = sm2_key()};
	const struct pki *by = issuer != NULL ? issuer : &made;
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	EVP_PKEY_CTX *key = EVP_PKEY_CTX_new(by->key, NULL);
	X509_EXTENSION *extension = X509V3_EXT_conf_nid(NULL, NULL, issuer != NULL ? NID_subject_alt_name : NID_basic_constraints,
		issuer != NULL ? san : "critical,CA:TRUE");

	X509_set_version(made.x, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(made.x), random() % 1000000 + 1);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(made.x), "CN", MBSTRING_UTF8, (const unsigned char *)subject, -1, -1, 0);
	X509_set_issuer_name(made.x, X509_get_subject_name(by->x));
	X509_gmtime_adj(X509_getm_notBefore(made.x), from);
	X509_gmtime_adj(X509_getm_notAfter(made.x), until);
	assert_int_equal(X509_set_pubkey(made.x, made.key), 1);
	assert_int_equal(X509_add_ext(made.x, extension, -1), 1);
	X509_EXTENSION_free(extension);
	EVP_MD_CTX_set_pkey_ctx(ctx, key);
	assert_int_equal(EVP_PKEY_CTX_set1_id(key, "1234567812345678", 16), 1);
	assert_int_equal(EVP_DigestSignInit(ctx, NULL, EVP_sm3(), NULL, by->key), 1);
	assert_true(X509_sign_ctx(made.x, ctx) > 0);
	EVP_MD_CTX_free(ctx);
	EVP_PKEY_CTX_free(key);
	return made;
}

static void add(struct buf *b, size_t v, unsigned bytes)
{
	while (bytes-- > 0)
		buf_add_u8(b, (uint8_t)(v >> 8 * bytes));
}

/* What a server of GB/T 38636 says: hello, certificates, key exchange, done; in records of 500 bytes. */
static struct buf tlcp_flight(const struct pki *const *certificates, size_t count)
{
	struct buf list = {0}, messages = {0}, out = {0};

	for (size_t i = 0; i < count; i++) {
		unsigned char *der = NULL;
		int len = i2d_X509(certificates[i]->x, &der);

		add(&list, (size_t)len, 3);
		buf_add(&list, der, (size_t)len);
		OPENSSL_free(der);
	}
	add(&messages, 2, 1);
	add(&messages, 2 + 32 + 1 + 3, 3);
	add(&messages, 0x0101, 2);
	for (int i = 0; i < 32; i++)
		add(&messages, 7, 1);
	add(&messages, 0, 1);
	add(&messages, 0xe013, 2);
	add(&messages, 0, 1);
	add(&messages, 11, 1);
	add(&messages, list.len + 3, 3);
	add(&messages, list.len, 3);
	buf_add(&messages, list.data, list.len);
	add(&messages, 0x0c000003aabbccULL, 7);
	add(&messages, 0x0e000000, 4);
	for (size_t at = 0; at < messages.len; at += 500) {
		size_t n = messages.len - at < 500 ? messages.len - at : 500;

		add(&out, 0x160101, 3);
		add(&out, n, 2);
		buf_add(&out, messages.data + at, n);
	}
	buf_fini(&list);
	buf_fini(&messages);
	return out;
}

struct tlcp_row {
	const char *option, *line;
	long sign_until, enc_until;
	const char *san;
	size_t count;
};

static void tlcp_is_seen_with_both_certificates(void **state)
{
	static const struct tlcp_row rows[] = {
		{"tlcp=only", "IPv4 127.0.0.1 up", 30 * DAY, 20 * DAY, "DNS:localhost", 2},
		{"tlcp=only", "IPv4 127.0.0.1 down: TLCP encryption certificate expired on", 30 * DAY, -2 * DAY, "DNS:localhost", 2},
		{"tlcp=only", "IPv4 127.0.0.1 down: TLCP signing certificate expired on", -DAY, 20 * DAY, "DNS:localhost", 2},
		{"tlcp=only", "IPv4 127.0.0.1 down: TLCP signing certificate is for other names: x.example", 30 * DAY, 20 * DAY,
			"DNS:x.example", 2},
		{"tlcp=only", "IPv4 127.0.0.1 down: TLCP: 1 certificates, not one to sign and one to encrypt", 30 * DAY, 20 * DAY,
			"DNS:localhost", 1},
		{"tlcp=required", "IPv4 127.0.0.1 down: TLS handshake failed: alert: protocol version", 30 * DAY, 20 * DAY,
			"DNS:localhost", 2},
	};
	struct fixture *f = *state;
	struct pki root = sm2_make("an SM2 root", NULL, -5 * DAY, 100 * DAY, NULL);

	pki_write_certificate(f->file, &root.x, 1);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct pki sign = sm2_make("s", rows[i].san, -3 * DAY, rows[i].sign_until, &root);
		struct pki enc = sm2_make("e", rows[i].san, -3 * DAY, rows[i].enc_until, &root);
		struct peer p;

		peer_open(&p, f, NULL, NULL);
		p.tlcp = tlcp_flight((const struct pki *const[]){&sign, &enc}, rows[i].count);
		one_run_of(&f->one, &tls_probe, "host=127.0.0.1", "server_name=localhost", p.port, f->ca, rows[i].option);
		print_message("%s\n", f->one.lines[0]);
		assert_ptr_equal(strstr(f->one.lines[0], rows[i].line), f->one.lines[0]);
		assert_int_equal(one_run_value(&f->one, 0, TLS_TLCP), 1);
		assert_int_equal(one_run_value(&f->one, 0, TLS_TLCP_CIPHER), 0xe013);
		assert_float_equal(one_run_value(&f->one, 0, TLS_TLCP_SIGN_DAYS), (double)rows[i].sign_until / DAY, 0.01);
		if (rows[i].count == 2)
			assert_float_equal(one_run_value(&f->one, 0, TLS_TLCP_ENC_DAYS), (double)rows[i].enc_until / DAY, 0.01);
		peer_close(&p);
		pki_free(&sign);
		pki_free(&enc);
	}
	pki_free(&root);
}

static void a_server_of_sm_alone_is_not_ours_to_judge(void **state)
{
	struct fixture *f = *state;
	struct peer p;

	peer_open(&p, f, NULL, NULL);
	p.speaks_sm = true;
	one_run_of(&f->one, &tls_probe, "host=127.0.0.1", p.port);
	assert_lines(&f->one, "IPv4 127.0.0.1 unknown: TLS 1.3 with suites of SM alone (RFC 8998), which this agent does not speak");
	assert_int_equal(one_run_value(&f->one, 0, TLS_1_3), 1);
	assert_int_equal(one_run_value(&f->one, 0, TLS_1_2), 0);
	one_run_of(&f->one, &tls_probe, "host=127.0.0.1", p.port, "versions=false");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: TLS handshake failed: alert: protocol version");
	peer_close(&p);
}

static void tlcp_beside_tls_names_both_kinds(void **state)
{
	struct pki_spec spec = {SERVER, .subject = "localhost", .from = -DAY, .until = 9 * DAY};
	struct fixture *f = *state;
	struct pki leaf = pki_make(&spec, &f->root), root = sm2_make("an SM2 root", NULL, -5 * DAY, 100 * DAY, NULL);
	struct pki sign = sm2_make("s", "DNS:localhost", -DAY, 8 * DAY, &root), enc = sm2_make("e", "DNS:localhost", -DAY, 7 * DAY, &root);
	struct peer p;

	peer_open(&p, f, &leaf, NULL);
	p.tlcp = tlcp_flight((const struct pki *const[]){&sign, &enc, &root}, 3);
	one_run_of(&f->one, &tls_probe, "host=127.0.0.1", "server_name=localhost", p.port, f->ca, "tlcp=offered",
		"certificates=true");
	assert_string_equal(f->one.lines[0], "IPv4 127.0.0.1 up: certificate for localhost");
	assert_int_equal(f->one.count, 5);
	assert_int_equal(one_run_value(&f->one, 0, TLS_TLCP), 1);
	assert_int_equal(one_run_value(&f->one, 0, TLS_SM2), 0);
	for (size_t i = 2; i < 5; i++)
		assert_int_equal(one_run_value(&f->one, i, TLS_SM2), 1);
	assert_float_equal(one_run_value(&f->one, 3, TLS_CERT_DAYS), 7, 0.01);
	one_run_of(&f->one, &tls_probe, "host=127.0.0.1", "server_name=localhost", p.port, f->ca, "tlcp=required");
	assert_string_equal(f->one.lines[0],
		"IPv4 127.0.0.1 down: TLCP signing certificate comes from a root that is not trusted here");
	peer_close(&p);
	pki_free(&leaf);
	pki_free(&sign);
	pki_free(&enc);
	pki_free(&root);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_good_server_is_up_with_its_facts, setup, teardown),
		cmocka_unit_test_setup_teardown(certificates_are_parts_with_names, setup, teardown),
		cmocka_unit_test_setup_teardown(conditions_are_judged, setup, teardown),
		cmocka_unit_test_setup_teardown(bad_certificates_are_down_but_told_in_full, setup, teardown),
		cmocka_unit_test_setup_teardown(roots_that_cannot_be_read_are_our_own_fault, setup, teardown),
		cmocka_unit_test_setup_teardown(each_way_to_fail_has_words, setup, teardown),
		cmocka_unit_test_setup_teardown(silence_is_told_by_its_phase, setup, teardown),
		cmocka_unit_test_setup_teardown(a_question_without_answer_harms_nothing, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_held_after_a_cancel, setup, teardown),
		cmocka_unit_test_setup_teardown(dialogues_come_before_tls, setup, teardown),
		cmocka_unit_test_setup_teardown(tlcp_is_seen_with_both_certificates, setup, teardown),
		cmocka_unit_test_setup_teardown(a_server_of_sm_alone_is_not_ours_to_judge, setup, teardown),
		cmocka_unit_test_setup_teardown(tlcp_beside_tls_names_both_kinds, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
