#include "probes/sip.h"

#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "probes/catalog.h"
#include "probes/catalog_sip.h"
#include "probes/certificate.h"
#include "probes/datagram.h"
#include "probes/dial.h"
#include "probes/match.h"
#include "probes/sip_message.h"
#include "probes/tls_shake.h"

#define T1 (500 * NS_PER_MS)
#define T2 (4 * NS_PER_S)
#define READ_MAX 4096

/* Of all runs of the process. */
struct shared {
	struct certificate_stores *stores;
};

struct sip {
	struct run *run;
	struct shared *shared;
	struct datagram *udp;
	struct event *timer; /* until the next retransmission */
	int64_t wait;
	struct dial *dial;   /* while TCP connects */
	double connected_ms;
	struct tls_shake *shake; /* while TLS shakes hands */
	struct certificate certificate;
	char name[CATALOG_HOST_MAX + 1]; /* it must be for it */
	struct ssl_st *ssl;  /* of TLS */
	int fd;              /* of TCP and TLS */
	struct event *readable;
	struct sip_ids ids;
	struct buf request, in;
	int64_t sent;        /* clock_mono() of the first request; 0: not yet */
	unsigned again, foreign, provisional;
	char trouble[128];   /* the last thing that went wrong on the way to a response */
};

static void sip_free(struct sip *s)
{
	run_set_private(s->run, NULL);
	datagram_close(s->udp);
	dial_stop(s->dial);
	tls_shake_stop(s->shake);
	event_free(s->timer);
	if (s->readable != NULL)
		event_free(s->readable);
	if (s->ssl != NULL)
		SSL_shutdown(s->ssl);
	SSL_free(s->ssl);
	ERR_clear_error();
	if (s->fd >= 0)
		close(s->fd);
	buf_fini(&s->request);
	buf_fini(&s->in);
	free(s);
}

/* ---- the end of a run */

static void tell_counts(const struct sip *s)
{
	run_value(s->run, SIP_RETRANSMISSIONS, s->again);
	run_value(s->run, SIP_FOREIGN, s->foreign);
}

static void end_unknown(struct sip *s, const char *words)
{
	struct run *r = s->run;

	sip_free(s);
	run_unknown(r, "%s", words);
}

static void end_down(struct sip *s, const char *words)
{
	struct run *r = s->run;

	tell_counts(s);
	sip_free(s);
	run_down(r, "%s", words);
}

static void finish(struct sip *s, const struct sip_response *a, int64_t arrived)
{
	const struct sip_options *o = run_options(s->run);
	struct run *r = s->run;

	run_value(r, SIP_TIME, (double)(arrived - s->sent) / NS_PER_S);
	run_value(r, SIP_CODE, a->code);
	tell_counts(s);
	sip_free(s);
	if (match_status(o->status, (int)a->code))
		run_up(r);
	else
		run_down(r, "%u%s%s, expected %s", a->code, *a->reason != '\0' ? " " : "", a->reason, o->status);
}

static void at_deadline(void *state, struct run *r)
{
	struct sip *s = run_private(r);
	char limit[NUM_TEXT], connected_ms[NUM_TEXT];

	(void)state;
	num_format_duration(run_deadline(r) - run_started(r), limit);
	num_format_double(s->connected_ms, 3, connected_ms);
	tell_counts(s);
	if (s->dial != NULL)
		run_down(r, "no answer to the connection attempt within %s", limit);
	else if (s->shake != NULL)
		run_down(r, "connected in %s ms, TLS handshake not complete within %s", connected_ms, limit);
	else if (s->provisional != 0)
		run_down(r, "only a provisional response (%u) within %s", s->provisional, limit);
	else
		run_down(r, "no response to %u request%s within %s%s%s", s->again + 1, s->again == 0 ? "" : "s", limit,
			*s->trouble != '\0' ? ": " : "", s->trouble);
}

/* ---- out */

static void random_text(char *out, size_t bytes)
{
	uint8_t raw[16];

	assert(bytes <= sizeof raw);
	if (getrandom(raw, bytes, 0) != (ssize_t)bytes)
		assert(!"getrandom of so few bytes never fails");
	for (size_t i = 0; i < bytes; i++)
		snprintf(out + 2 * i, 3, "%02x", raw[i]);
}

static void make_ids(struct sip_ids *i)
{
	uint16_t sequence;

	strcpy(i->branch, "z9hG4bK");
	random_text(i->branch + 7, 12);
	random_text(i->call_id, 16);
	random_text(i->tag, 8);
	if (getrandom(&sequence, sizeof sequence, 0) != sizeof sequence)
		assert(!"getrandom of so few bytes never fails");
	i->sequence = sequence;
}

/* Our own address and port, as they stand in an address of SIP. */
static void format_local(int fd, char *out, size_t room)
{
	struct sockaddr_storage at = {.ss_family = AF_UNSPEC};
	const struct sockaddr_in *four = (struct sockaddr_in *)&at;
	const struct sockaddr_in6 *six = (struct sockaddr_in6 *)&at;
	socklen_t len = sizeof at;
	char text[INET6_ADDRSTRLEN] = "";

	getsockname(fd, (struct sockaddr *)&at, &len);
	if (at.ss_family == AF_INET6)
		snprintf(out, room, "[%s]:%u", inet_ntop(AF_INET6, &six->sin6_addr, text, sizeof text),
			ntohs(six->sin6_port));
	else
		snprintf(out, room, "%s:%u", inet_ntop(AF_INET, &four->sin_addr, text, sizeof text),
			ntohs(four->sin_port));
}

static uint16_t port_of(const struct sip_options *o)
{
	return (uint16_t)(o->port != 0 ? o->port : o->transport == SIP_TLS ? 5061 : 5060);
}

static void make_request(struct sip *s, int fd)
{
	static const char *const transports[] = {"UDP", "TCP", "TLS"};
	const struct sip_options *o = run_options(s->run);
	const char *domain = *o->domain != '\0' ? o->domain : run_host(s->run);
	bool bare = strchr(domain, ':') != NULL && domain[0] != '[';
	char local[80], target[500];
	int n;

	format_local(fd, local, sizeof local);
	n = snprintf(target, sizeof target, "sip:%s%s%s%.*s%s", o->user, *o->user != '\0' ? "@" : "", bare ? "[" : "",
		bare ? (int)strcspn(domain, "%") : CATALOG_HOST_MAX, domain, bare ? "]" : "");
	if (*o->domain == '\0' && port_of(o) != 5060)
		snprintf(target + n, sizeof target - (size_t)n, ":%u", port_of(o));
	make_ids(&s->ids);
	sip_request_encode(&(struct sip_request){.transport = transports[o->transport], .target = target,
		.local = local, .user_agent = o->user_agent, .ids = &s->ids}, &s->request);
}

static void set_timer(struct sip *s)
{
	struct timeval tv = {s->wait / NS_PER_S, s->wait % NS_PER_S / NS_PER_US};

	evtimer_add(s->timer, &tv);
}

static void send_datagram(struct sip *s)
{
	int error = datagram_send(s->udp, s->request.data, s->request.len);

	if (error != 0)
		end_unknown(s, datagram_refusal_words(error));
	else
		set_timer(s);
}

static void on_silence(evutil_socket_t fd, short what, void *ctx)
{
	struct sip *s = ctx;

	(void)fd, (void)what;
	s->again++;
	s->wait = s->provisional != 0 || 2 * s->wait > T2 ? T2 : 2 * s->wait;
	send_datagram(s);
}

/* ---- in */

/* A whole response. True: it has ended the run. */
static bool take(struct sip *s, const struct sip_response *a, int64_t arrived)
{
	if (!sip_response_answers(a, &s->ids)) {
		s->foreign++;
		snprintf(s->trouble, sizeof s->trouble, "what came did not answer the request");
		return false;
	}
	if (a->code >= 200) {
		finish(s, a, arrived);
		return true;
	}
	s->provisional = a->code;
	return false;
}

static void on_packet(void *ctx, const struct datagram_packet *d)
{
	struct sip *s = ctx;
	struct sip_response a;

	if (sip_response_decode(d->data, d->len, false, &a) == SIP_WHOLE) {
		take(s, &a, d->mono);
		return;
	}
	s->foreign++;
	snprintf(s->trouble, sizeof s->trouble, "what came was not SIP: %s", a.words);
}

/* The host itself says that nobody listens; what routers say may pass. */
static void on_error(void *ctx, int error)
{
	struct sip *s = ctx;

	if (error == ECONNREFUSED)
		end_down(s, datagram_error_words(error));
	else
		snprintf(s->trouble, sizeof s->trouble, "%s", datagram_error_words(error));
}

/* What a stream has brought so far. False: it has ended the run. */
static bool take_stream(struct sip *s)
{
	struct sip_response a;
	char words[160];

	for (;;) {
		switch (sip_response_decode(s->in.data, s->in.len, true, &a)) {
		case SIP_MORE:
			return true;
		case SIP_INVALID:
			snprintf(words, sizeof words, "what came was not SIP: %s", a.words);
			end_down(s, words);
			return false;
		case SIP_WHOLE:
			if (take(s, &a, clock_mono()))
				return false;
			buf_drop_front(&s->in, a.len);
		}
	}
}

/* An error of a connection that stood. */
static void end_broken(struct sip *s, int error)
{
	if (dial_error_is_ours(error))
		end_unknown(s, strerror(error));
	else
		end_down(s, error == ECONNRESET || error == EPIPE ? "reset by peer before a response" : strerror(error));
}

/* The same of one inside TLS. */
static void end_broken_tls(struct sip *s, int why, int error)
{
	char what[120] = "closed by peer", words[160];

	if (why != SSL_ERROR_ZERO_RETURN)
		tls_shake_error_words(why, error, what, sizeof what);
	snprintf(words, sizeof words, "TLS ended before a response: %s", what);
	end_down(s, words);
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct sip *s = ctx;
	ssize_t n = recv(fd, buf_reserve(&s->in, READ_MAX), READ_MAX, 0);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0) {
		end_broken(s, errno);
	} else if (n == 0) {
		end_down(s, "closed by peer before a response");
	} else {
		s->in.len += (size_t)n;
		take_stream(s);
	}
}

/* One record at a time, so that a flood does not keep others waiting: all of it, as no event tells of what is left. */
static void on_readable_tls(evutil_socket_t fd, short what, void *ctx)
{
	struct sip *s = ctx;
	int n, why, error;

	(void)fd, (void)what;
	do {
		ERR_clear_error();
		errno = 0;
		n = SSL_read(s->ssl, buf_reserve(&s->in, READ_MAX), READ_MAX);
		error = errno;
		why = SSL_get_error(s->ssl, n);
		if (n <= 0) {
			if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE)
				end_broken_tls(s, why, error);
			return;
		}
		s->in.len += (size_t)n;
	} while (take_stream(s) && SSL_pending(s->ssl) > 0);
}

/* ---- over a stream */

/* In one piece: a new connection takes more than a request has (tcp_wmem is 4 KiB at least). */
static void ask_stream(struct sip *s)
{
	int n, why;

	make_request(s, s->fd);
	s->readable = event_new(run_env(s->run)->base, s->fd, EV_READ | EV_PERSIST,
		s->ssl != NULL ? on_readable_tls : on_readable, s);
	assert(s->readable != NULL);
	event_add(s->readable, NULL);
	s->sent = clock_mono();
	if (s->ssl == NULL) {
		if (send(s->fd, s->request.data, s->request.len, MSG_NOSIGNAL) != (ssize_t)s->request.len)
			end_broken(s, errno);
		return;
	}
	errno = 0;
	n = SSL_write(s->ssl, s->request.data, (int)s->request.len);
	why = SSL_get_error(s->ssl, n);
	if (n <= 0)
		end_broken_tls(s, why, errno);
}

static void on_shaken(void *ctx, const struct tls_facts *f)
{
	struct sip *s = ctx;
	const struct sip_options *o = run_options(s->run);
	const char *wrong = s->certificate.words[0] != '\0' ? s->certificate.words
		: f->ocsp.status == TLS_OCSP_REVOKED ? f->ocsp.words : "";
	struct tls_shake *shake = s->shake;
	char words[300];

	s->shake = NULL;
	if (s->certificate.seen)
		run_value(s->run, SIP_CERT_DAYS, s->certificate.days);
	if (f->words[0] != '\0') {
		snprintf(words, sizeof words, "TLS handshake failed: %s", f->words);
		end_down(s, words);
		return;
	}
	run_value(s->run, SIP_HANDSHAKE, (double)f->elapsed / NS_PER_S);
	if (o->verify && *wrong != '\0') {
		snprintf(words, sizeof words, "%s", wrong);
		end_down(s, words);
		return;
	}
	s->ssl = tls_shake_take(shake);
	s->fd = SSL_get_fd(s->ssl);
	ask_stream(s);
}

/* The handshake takes any certificate, so that one that is wrong is told in full. */
static void shake(struct sip *s, int fd)
{
	const struct sip_options *o = run_options(s->run);
	struct err e;
	X509_STORE *roots = certificate_store(s->shared->stores, o->ca, clock_mono(), &e);
	size_t n;

	if (roots == NULL) {
		close(fd);
		end_unknown(s, e.text);
		return;
	}
	snprintf(s->name, sizeof s->name, "%s", *o->server_name != '\0' ? o->server_name : run_host(s->run));
	n = strlen(s->name);
	if (n > 1 && s->name[n - 1] == '.')
		s->name[n - 1] = '\0';
	s->certificate.host = s->name;
	s->shake = tls_shake_start(run_env(s->run)->base, fd, roots, &s->certificate, on_shaken, s);
}

static void on_dialled(void *ctx, const struct dial_end *end)
{
	struct sip *s = ctx;
	const struct sip_options *o = run_options(s->run);

	s->dial = NULL;
	if (end->error != 0) {
		if (end->ours)
			end_unknown(s, dial_reason(end));
		else
			end_down(s, dial_reason(end));
		return;
	}
	run_value(s->run, SIP_CONNECT, (double)end->elapsed / NS_PER_S);
	s->connected_ms = (double)end->elapsed / NS_PER_MS;
	if (o->transport == SIP_TLS) {
		shake(s, end->fd);
		return;
	}
	s->fd = end->fd;
	ask_stream(s);
}

/* ---- the type */

static void start_udp(struct sip *s, const struct sockaddr *address, socklen_t len, uint16_t port)
{
	const struct datagram_events events = {.on_packet = on_packet, .on_error = on_error, .ctx = s};
	int error;

	s->udp = datagram_open(run_env(s->run)->base, address, len, port, &events, &error);
	if (s->udp == NULL) {
		end_unknown(s, datagram_refusal_words(error));
		return;
	}
	make_request(s, datagram_fd(s->udp));
	s->wait = T1;
	s->sent = clock_mono();
	send_datagram(s);
}

static void sip_start(void *state, struct run *r)
{
	const struct sip_options *o = run_options(r);
	struct sip *s = mem_alloc(sizeof *s);
	socklen_t len;
	const struct sockaddr *address = run_address(r, &len);

	s->run = r;
	s->shared = state;
	s->fd = -1;
	s->timer = evtimer_new(run_env(r)->base, on_silence, s);
	assert(s->timer != NULL);
	run_set_private(r, s);
	run_on_deadline(r, at_deadline);
	if (o->transport == SIP_UDP)
		start_udp(s, address, len, port_of(o));
	else
		s->dial = dial_start(run_env(r)->base, address, len, port_of(o), on_dialled, s);
}

static void sip_cancel(void *state, struct run *r)
{
	struct sip *s = run_private(r);

	(void)state;
	if (s != NULL)
		sip_free(s);
}

static int sip_open(const struct probe_env *env, void **state, struct err *e)
{
	struct shared *shared = mem_alloc(sizeof *shared);

	(void)env, (void)e;
	shared->stores = certificate_stores_new();
	*state = shared;
	return 0;
}

static void sip_close(void *state)
{
	struct shared *shared = state;

	certificate_stores_free(shared->stores);
	free(shared);
}

const struct probe_type sip_probe = {.catalog = &catalog_sip, .open = sip_open, .start = sip_start, .cancel = sip_cancel,
	.close = sip_close};
