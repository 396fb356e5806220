#include "collector/notice/syslog.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

#include "collector/notice/facts.h"
#include "collector/notice/lookup.h"
#include "collector/notice/phrase.h"
#include "collector/notice/send_kind.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/tls.h"
#include "probes/dial.h"

#define CLOSE_WAIT (5 * NS_PER_S)
#define DIAL_LIMIT (10 * NS_PER_S) /* for one address, before the next is tried */
#define REFUSAL_WAIT NS_PER_S
#define CLOSED "the connection was closed"
#define BOM "\xef\xbb\xbf"

/* ---- the message */

/* Of header fields: printable ASCII; "-" for nothing. */
static void add_field(struct buf *out, const char *text, size_t max)
{
	size_t start = out->len;

	for (const char *p = text; *p != '\0' && out->len - start < max; p++) {
		if (*p > ' ' && *p < 0x7f)
			buf_add_u8(out, (uint8_t)*p);
	}
	if (out->len == start)
		buf_add_u8(out, '-');
}

static void add_parameter(struct buf *out, const char *name, const char *value)
{
	size_t len = phrase_cut(value, SYSLOG_VALUE_MAX);

	if (len == 0)
		return;
	buf_add_format(out, " %s=\"", name);
	for (size_t i = 0; i < len; i++) {
		if (strchr("\"\\]", value[i]) != NULL)
			buf_add_u8(out, '\\');
		buf_add_u8(out, (uint8_t)value[i]);
	}
	buf_add_u8(out, '"');
}

/* Title and text; a new line would end the message for receivers that frame by lines. */
static void add_words(struct buf *out, const struct facts *f)
{
	size_t room = SYSLOG_MAX - out->len - sizeof BOM, len;
	char *text = mem_format("%s\n%s", f->text[FACT_TITLE], f->text[FACT_TEXT]);
	struct buf line = {0};

	for (const char *p = text; *p != '\0'; p += len) {
		p += strspn(p, "\n");
		len = strcspn(p, "\n");
		if (len > 0)
			buf_add_format(&line, "%s%.*s", line.len > 0 ? " | " : "", (int)len, p);
	}
	buf_add_text(out, BOM);
	buf_add(out, buf_text(&line), phrase_cut(buf_text(&line), room));
	buf_fini(&line);
	free(text);
}

void syslog_write(const struct roster_channel *c, const struct facts *f, const char *host, int64_t now, struct buf *out)
{
	struct buf m = {0};
	char time[40];

	buf_add_format(&m, "<%d>1 %s ", (int)c->facility * 8 + (int)f->severity, facts_format_time(now, time, sizeof time));
	add_field(&m, host, 255);
	buf_add_text(&m, " xunjian ");
	add_field(&m, f->text[FACT_COLLECTOR], 128); /* PROCID: what tells one source of a host from the other */
	buf_add_u8(&m, ' ');
	add_field(&m, f->text[FACT_KIND], 32);
	buf_add_format(&m, " [xunjian@%s", c->enterprise);
	for (int i = 0; i < FACT_TITLE; i++)
		add_parameter(&m, facts_name((enum fact)i), f->text[i]);
	buf_add_text(&m, "] ");
	add_words(&m, f);
	buf_add_format(out, "%zu ", m.len);
	buf_add(out, m.data, m.len);
	buf_fini(&m);
}

/* ---- the way there */

struct syslog {
	struct send *send;
	struct event_base *base;
	struct buf message;
	char host[LOOKUP_HOST_MAX + 1];
	uint16_t port;
	SSL_CTX *tls;
	struct lookup *lookup;
	struct lookup_answer addresses;
	size_t tried;
	struct dial *dial;
	struct bufferevent *stream;
	struct event *timer;
	enum { SYSLOG_LOOKS_UP, SYSLOG_DIALS, SYSLOG_SHAKES, SYSLOG_WAITS, SYSLOG_WRITES, SYSLOG_CLOSES } phase;
	struct err trouble; /* of the address that came furthest */
	int furthest;
	bool was_asked; /* for a certificate */
};

static void dial_next(struct syslog *s);

static void set_timer(struct syslog *s, int64_t delay)
{
	const struct timeval tv = {delay / NS_PER_S, delay % NS_PER_S / NS_PER_US};

	evtimer_add(s->timer, &tv);
}

/* Why TLS did not come about, or ended: the verdict on the certificate, an alert, or what the socket says. */
static void tls_words(struct syslog *s, struct err *e)
{
	SSL *ssl = bufferevent_openssl_get_ssl(s->stream);
	unsigned long error, last = 0;
	int socket_error = errno;

	while ((error = bufferevent_get_openssl_error(s->stream)) != 0)
		last = error;
	if (SSL_get_verify_result(ssl) != X509_V_OK)
		err_set(e, "certificate of %.100s: %s", s->host, X509_verify_cert_error_string(SSL_get_verify_result(ssl)));
	else if (last != 0 && ERR_reason_error_string(last) != NULL)
		err_set(e, "TLS: %s", ERR_reason_error_string(last));
	else
		err_set(e, "%s", socket_error != 0 ? strerror(socket_error) : CLOSED);
}

/* Without close_notify: OpenSSL 3 has words for it, 1.1.1 has none. */
static bool is_end(const struct err *e)
{
	return strcmp(e->text, "TLS: unexpected eof while reading") == 0 || strcmp(e->text, CLOSED) == 0;
}

static void note_trouble(struct syslog *s, const char *words)
{
	if ((int)s->phase < s->furthest)
		return;
	s->furthest = (int)s->phase;
	err_set(&s->trouble, "%s", words);
}

static void on_written(struct bufferevent *stream, void *ctx)
{
	struct syslog *s = ctx;

	if (s->phase != SYSLOG_WRITES || evbuffer_get_length(bufferevent_get_output(stream)) > 0)
		return;
	s->phase = SYSLOG_CLOSES;
	SSL_shutdown(bufferevent_openssl_get_ssl(stream)); /* close_notify; the answer to it is read */
	ERR_clear_error();
	set_timer(s, CLOSE_WAIT);
}

static void write_all(struct syslog *s)
{
	s->phase = SYSLOG_WRITES;
	evtimer_del(s->timer);
	bufferevent_write(s->stream, s->message.data, s->message.len);
}

/* In TLS 1.3 our side is done before the receiver has seen our certificate, or that we have none. Some close without a word
 * then, as others do when they have read all: one that asked gets time to refuse us before anything is written. */
static int on_asked(SSL *ssl, void *ctx)
{
	struct syslog *s = ctx;

	(void)ssl;
	s->was_asked = true;
	return 1;
}

static void on_event(struct bufferevent *stream, short what, void *ctx)
{
	struct syslog *s = ctx;
	struct err e;

	(void)stream;
	if ((what & BEV_EVENT_CONNECTED) != 0) {
		s->phase = SYSLOG_WAITS;
		if (s->was_asked)
			set_timer(s, REFUSAL_WAIT);
		else
			write_all(s);
		return;
	}
	if ((what & BEV_EVENT_EOF) != 0)
		err_set(&e, CLOSED);
	else
		tls_words(s, &e);
	if (s->phase == SYSLOG_CLOSES && is_end(&e)) {
		send_ended(s->send, LETTER_TAKEN, "handed over and read to its end; this protocol has no answer");
		return;
	}
	if (s->phase == SYSLOG_SHAKES) {
		note_trouble(s, e.text);
		dial_next(s);
		return;
	}
	err_wrap(&e, s->phase == SYSLOG_WAITS ? "the receiver asked for a certificate, and refused us"
					      : "the receiver did not read to the end");
	send_ended(s->send, LETTER_AGAIN, e.text);
}

static void on_read(struct bufferevent *stream, void *ctx)
{
	struct evbuffer *in = bufferevent_get_input(stream);

	(void)ctx;
	evbuffer_drain(in, evbuffer_get_length(in)); /* nothing is said there */
}

static void drop_connection(struct syslog *s)
{
	dial_stop(s->dial);
	s->dial = NULL;
	if (s->stream != NULL)
		bufferevent_free(s->stream);
	s->stream = NULL;
}

static bool is_literal(const char *host)
{
	unsigned char address[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, address) == 1 || inet_pton(AF_INET6, host, address) == 1;
}

static void on_dialled(void *ctx, const struct dial_end *end)
{
	struct syslog *s = ctx;
	SSL *ssl;

	s->dial = NULL;
	if (end->fd < 0) {
		note_trouble(s, dial_reason(end));
		dial_next(s);
		return;
	}
	s->phase = SYSLOG_SHAKES;
	ssl = SSL_new(s->tls);
	assert(ssl != NULL);
	if (!is_literal(s->host))
		SSL_set_tlsext_host_name(ssl, s->host);
	SSL_set_cert_cb(ssl, on_asked, s);
	s->stream = bufferevent_openssl_socket_new(s->base, end->fd, ssl, BUFFEREVENT_SSL_CONNECTING,
		BEV_OPT_CLOSE_ON_FREE | BEV_OPT_DEFER_CALLBACKS);
	assert(s->stream != NULL);
	bufferevent_setcb(s->stream, on_read, on_written, on_event, s);
	bufferevent_enable(s->stream, EV_READ | EV_WRITE);
}

static void dial_next(struct syslog *s)
{
	const struct lookup_answer *a = &s->addresses;

	drop_connection(s);
	evtimer_del(s->timer);
	if (s->tried == a->count) {
		send_ended(s->send, LETTER_AGAIN, s->trouble.text);
		return;
	}
	s->phase = SYSLOG_DIALS;
	s->dial = dial_start(s->base, (const struct sockaddr *)&a->items[s->tried].address, a->items[s->tried].len, s->port, on_dialled,
		s);
	s->tried++;
	set_timer(s, DIAL_LIMIT);
}

static void on_addresses(void *ctx, const struct lookup_answer *a)
{
	struct syslog *s = ctx;
	struct err e;

	s->lookup = NULL;
	if (a->error != 0) {
		err_set(&e, "%.100s: %s", s->host, lookup_words(a->error));
		send_ended(s->send, LETTER_AGAIN, e.text);
		return;
	}
	s->addresses = *a;
	dial_next(s);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct syslog *s = ctx;

	(void)fd, (void)what;
	if (s->phase == SYSLOG_CLOSES) {
		send_ended(s->send, LETTER_TAKEN, "handed over, no answer in this protocol; the receiver keeps its end open");
		return;
	}
	if (s->phase == SYSLOG_WAITS) {
		write_all(s);
		return;
	}
	note_trouble(s, s->phase == SYSLOG_DIALS ? "no connection in time" : "TLS did not come about in time");
	dial_next(s);
}

static void syslog_stop(void *state)
{
	struct syslog *s = state;

	lookup_cancel(s->lookup);
	drop_connection(s);
	event_free(s->timer);
	SSL_CTX_free(s->tls);
	buf_fini(&s->message);
	free(s);
}

static void write_message(struct syslog *s, const struct send_order *o)
{
	struct facts f;
	char host[256] = "";

	gethostname(host, sizeof host - 1);
	facts_make(o->channel, o->intent, o->phrase, o->facts, &f);
	syslog_write(o->channel, &f, host, o->facts->now, &s->message);
	facts_fini(&f);
}

static void *syslog_start(struct sender *sender, struct send *send, const struct send_order *o, struct err *words)
{
	const struct roster_channel *c = o->channel;
	const struct tls_files files = {.ca = c->ca, .certificate = c->certificate, .key = c->key};
	struct syslog *s = mem_alloc(sizeof *s);

	*s = (struct syslog){.send = send, .base = sender->base};
	s->timer = evtimer_new(s->base, on_timer, s);
	assert(s->timer != NULL);
	if (lookup_parse_url(c->url, "tls://", s->host, &s->port, words) == 0)
		s->tls = tls_client_of_others(&files, s->host, words);
	if (s->tls == NULL) {
		syslog_stop(s);
		return NULL;
	}
	write_message(s, o);
	s->lookup = lookup_start(s->base, s->host, on_addresses, s);
	return s;
}

static void syslog_late(void *state, struct err *words)
{
	static const char *const waits[] = {[SYSLOG_LOOKS_UP] = "the address of the host was not found in time",
		[SYSLOG_DIALS] = "no connection in time", [SYSLOG_SHAKES] = "TLS did not come about in time",
		[SYSLOG_WAITS] = "no time to write", [SYSLOG_WRITES] = "the receiver did not read in time", [SYSLOG_CLOSES] = "the receiver did not close in time"};
	struct syslog *s = state;

	err_set(words, "%s", waits[s->phase]);
}

const struct send_kind send_syslog = {.start = syslog_start, .late = syslog_late, .stop = syslog_stop};
