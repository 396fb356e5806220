#include "probes/tls_shake.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/mem.h"
#include "probes/catalog.h"
#include "probes/certificate.h"
#include "probes/tls_packet.h"

struct tls_shake {
	struct event_base *base;
	int fd;
	SSL *ssl;
	X509_STORE *roots; /* in the context of ssl */
	struct event *event;
	int64_t began;
	void (*on_end)(void *ctx, const struct tls_facts *);
	void *ctx;
};

void tls_shake_stop(struct tls_shake *s)
{
	if (s == NULL)
		return;
	event_free(s->event);
	SSL_free(s->ssl);
	if (s->fd >= 0)
		close(s->fd);
	free(s);
}

struct ssl_st *tls_shake_take(struct tls_shake *s)
{
	SSL *ssl = s->ssl;

	s->ssl = NULL;
	s->fd = -1;
	return ssl;
}

/* ---- what is known */

/* IANA numbers of the groups that OpenSSL names by numbers of its own. */
#ifdef SSL_get_negotiated_group
static uint16_t group_of(SSL *ssl)
{
	static const struct {
		int nid;
		uint16_t group;
	} rows[] = {
		{NID_X9_62_prime256v1, 23}, {NID_secp384r1, 24}, {NID_secp521r1, 25}, {NID_brainpoolP256r1, 26},
		{NID_brainpoolP384r1, 27}, {NID_brainpoolP512r1, 28}, {NID_X25519, 29}, {NID_X448, 30}, {NID_sm2, 41},
		{NID_ffdhe2048, 256}, {NID_ffdhe3072, 257}, {NID_ffdhe4096, 258}, {NID_ffdhe6144, 259},
		{NID_ffdhe8192, 260},
	};
	long nid = SSL_get_negotiated_group(ssl);

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (rows[i].nid == nid)
			return rows[i].group;
	}
	return nid & TLSEXT_nid_unknown ? (uint16_t)nid : 0;
}
#else
static uint16_t group_of(SSL *ssl)
{
	(void)ssl;
	return 0;
}
#endif

static void read_facts(struct tls_shake *s, struct tls_facts *f)
{
	const unsigned char *der = NULL;
	long len = SSL_get_tlsext_status_ocsp_resp(s->ssl, &der);

	f->version = (uint16_t)SSL_version(s->ssl);
	f->suite = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(s->ssl));
	f->group = group_of(s->ssl);
	f->sent = SSL_get_peer_cert_chain(s->ssl);
	f->verified = SSL_get0_verified_chain(s->ssl);
	if (sk_X509_num(f->sent) > 0)
		tls_ocsp_judge(len > 0 ? der : NULL, len, sk_X509_value(f->sent, 0),
			f->verified != NULL ? f->verified : f->sent, s->roots, &f->ocsp);
}

/* ---- the end */

/* What was not read would turn the FIN of close() into a RST. */
static void drain(int fd)
{
	char rest[4096];

	for (int i = 0; i < 16 && recv(fd, rest, sizeof rest, MSG_DONTWAIT) == sizeof rest; i++)
		;
}

static void finish(struct tls_shake *s, const char *words)
{
	struct tls_facts f = {.words = words, .elapsed = clock_mono() - s->began};

	event_del(s->event);
	if (*words == '\0')
		read_facts(s, &f);
	ERR_clear_error();
	s->on_end(s->ctx, &f);
	if (*words == '\0' && s->ssl != NULL) {
		SSL_shutdown(s->ssl);
		drain(s->fd);
		ERR_clear_error();
	}
	tls_shake_stop(s);
}

static const char *lost_words(int error)
{
	if (error == 0)
		return "closed by peer";
	return error == ECONNRESET || error == EPIPE ? "reset by peer" : strerror(error);
}

#ifdef SSL_R_UNEXPECTED_EOF_WHILE_READING
#define IS_EOF(reason) ((reason) == SSL_R_UNEXPECTED_EOF_WHILE_READING)
#else
#define IS_EOF(reason) false
#endif

void tls_shake_error_words(int why, int error, char *out, size_t room)
{
	unsigned long code = ERR_peek_error();
	int reason = ERR_GET_REASON(code);
	const char *words;
	char name[16];

	if (why == SSL_ERROR_SYSCALL && code == 0) {
		snprintf(out, room, "%s", lost_words(error));
	} else if (IS_EOF(reason)) {
		snprintf(out, room, "closed by peer");
	} else if (reason == SSL_R_WRONG_VERSION_NUMBER) {
		snprintf(out, room, "the answer is not TLS");
	} else if (reason > SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) {
		snprintf(out, room, "alert: %s", tls_alert_name((unsigned)(reason - SSL_AD_REASON_OFFSET), name));
	} else {
		words = ERR_reason_error_string(code);
		snprintf(out, room, "%s", words != NULL ? words : "failed");
	}
	ERR_clear_error();
}

static void fail(struct tls_shake *s, int error, int why)
{
	char words[120];

	tls_shake_error_words(why, error, words, sizeof words);
	finish(s, words);
}

static void wait_for(struct tls_shake *, short what);

static void on_event(evutil_socket_t fd, short what, void *ctx)
{
	struct tls_shake *s = ctx;
	int n, error, why;

	(void)fd;
	(void)what;
	ERR_clear_error();
	errno = 0;
	n = SSL_do_handshake(s->ssl);
	error = errno;
	why = SSL_get_error(s->ssl, n);
	if (n == 1)
		finish(s, "");
	else if (why == SSL_ERROR_WANT_READ)
		wait_for(s, EV_READ);
	else if (why == SSL_ERROR_WANT_WRITE)
		wait_for(s, EV_WRITE);
	else
		fail(s, error, why);
}

static void wait_for(struct tls_shake *s, short what)
{
	event_assign(s->event, s->base, s->fd, what, on_event, s);
	event_add(s->event, NULL);
}

/* Takes what the system's openssl.cnf would not. */
static SSL_CTX *new_context(X509_STORE *roots, struct certificate *c)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_client_method());

	assert(ctx != NULL);
	SSL_CTX_set_security_level(ctx, 0);
	SSL_CTX_set_min_proto_version(ctx, TLS1_VERSION);
	SSL_CTX_set_max_proto_version(ctx, 0);
	SSL_CTX_set_cipher_list(ctx, "ALL:!aNULL:!eNULL:!PSK:!SRP:@SECLEVEL=0");
	SSL_CTX_set_options(ctx, SSL_OP_LEGACY_SERVER_CONNECT);
	SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
	certificate_watch(ctx, roots, c);
	return ctx;
}

struct tls_shake *tls_shake_start(struct event_base *base, int fd, struct x509_store_st *roots, struct certificate *c,
	void (*on_end)(void *ctx, const struct tls_facts *), void *ctx)
{
	struct tls_shake *s = mem_alloc(sizeof *s);
	SSL_CTX *context = new_context(roots, c);

	*s = (struct tls_shake){.base = base, .fd = fd, .roots = roots, .began = clock_mono(), .on_end = on_end,
		.ctx = ctx};
	s->ssl = SSL_new(context);
	SSL_CTX_free(context);
	assert(s->ssl != NULL);
	SSL_set_fd(s->ssl, fd);
	SSL_set_connect_state(s->ssl);
	if (catalog_literal_family(c->host) == FAMILY_NONE)
		SSL_set_tlsext_host_name(s->ssl, c->host);
	SSL_set_tlsext_status_type(s->ssl, TLSEXT_STATUSTYPE_ocsp);
	s->event = event_new(base, fd, EV_WRITE, on_event, s);
	assert(s->event != NULL);
	event_add(s->event, NULL); /* it is writable: begins from the loop */
	return s;
}
