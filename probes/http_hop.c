#include "probes/http_parts.h"

#include <assert.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/http.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "probes/certificate.h"
#include "probes/dial.h"
#include "probes/probe.h"
#include "probes/resolve.h"

#define WAY_MAX 140
#define REASON_MAX 400

/* ---- what was measured */

static double seconds_of(CURL *easy, CURLINFO what)
{
	curl_off_t us = 0;

	curl_easy_getinfo(easy, what, &us);
	return (double)us / 1e6;
}

/* With the phases of the hop under way, as far as it got. libcurl's times begin where dial ended. */
struct http_times http_fetch_times(const struct http_fetch *f)
{
	struct http_times t = f->times;
	double handshake, sent, first;

	t.has_connect = f->phase == PHASE_REQUEST;
	if (f->easy == NULL)
		return t;
	t.connect += (double)f->dialled / NS_PER_S;
	handshake = seconds_of(f->easy, CURLINFO_APPCONNECT_TIME_T);
	sent = seconds_of(f->easy, CURLINFO_PRETRANSFER_TIME_T);
	first = seconds_of(f->easy, CURLINFO_STARTTRANSFER_TIME_T);
	t.total += (double)f->dialled / NS_PER_S + seconds_of(f->easy, CURLINFO_TOTAL_TIME_T);
	if (handshake > 0) {
		t.tls += handshake;
		t.has_tls = true;
	}
	if (first > 0) {
		t.first_byte += first - sent;
		t.has_first_byte = true;
	}
	if (f->certificate.seen && (!t.has_days || f->certificate.days < t.days)) {
		t.days = f->certificate.days;
		snprintf(t.days_host, sizeof t.days_host, "%s", f->host);
		t.has_days = true;
	}
	return t;
}

const struct http_answer *http_fetch_answer(const struct http_fetch *f)
{
	return &f->answer;
}

/* ---- the end */

/* Gives back what the hop holds; what is under way is cancelled. */
static void hop_fini(struct http_fetch *f)
{
	if (f->query != NULL)
		resolve_cancel(f->query);
	dial_stop(f->dial);
	if (f->easy != NULL) {
		f->times = http_fetch_times(f);
		http_cancel(f->env->http, f->easy);
		http_easy_give(f, f->easy);
	}
	if (f->fd >= 0)
		close(f->fd);
	curl_slist_free_all(f->headers);
	curl_slist_free_all(f->connect_to);
	f->query = NULL;
	f->dial = NULL;
	f->easy = NULL;
	f->headers = f->connect_to = NULL;
	f->fd = -1;
}

void http_fetch_stop(struct http_fetch *f)
{
	if (f == NULL)
		return;
	hop_fini(f);
	event_free(f->timer);
	curl_slist_free_all(f->cookies);
	http_answer_fini(&f->answer);
	curl_url_cleanup(f->url);
	curl_url_cleanup(f->first);
	curl_free(f->host);
	free(f);
}

/* What may be told of an address: what stands behind it may be a ticket. */
static int plain_length(const char *url)
{
	return (int)strcspn(url, "?#");
}

/* Where it was when that is not where it was sent: "redirected to https://x/: ". */
static void format_way(const struct http_fetch *f, char out[WAY_MAX])
{
	char *text = NULL;

	out[0] = '\0';
	if (f->times.hops == 0 || curl_url_get(f->url, CURLUPART_URL, &text, 0) != CURLUE_OK)
		return;
	snprintf(out, WAY_MAX, "redirected to %.*s: ", plain_length(text) < 100 ? plain_length(text) : 100, text);
	curl_free(text);
}

/* The jar is not in use any more when the owner is told. */
static void finish(struct http_fetch *f, struct http_end *end)
{
	char *url = NULL;

	curl_url_get(f->url, CURLUPART_URL, &url, 0);
	end->url = url != NULL ? url : "";
	end->host = f->host != NULL ? f->host : "";
	end->answer = &f->answer;
	hop_fini(f);
	end->times = http_fetch_times(f);
	f->on_end(f->ctx, end);
	curl_free(url);
	http_fetch_stop(f);
}

static void fail(struct http_fetch *f, enum http_outcome outcome, const char *why, ...) __attribute__((format(printf, 3, 4)));

static void fail(struct http_fetch *f, enum http_outcome outcome, const char *why, ...)
{
	char way[WAY_MAX], reason[REASON_MAX + WAY_MAX], words[REASON_MAX];
	struct http_end end = {.outcome = outcome, .reason = reason, .way = way};
	va_list ap;

	va_start(ap, why);
	vsnprintf(words, sizeof words, why, ap);
	va_end(ap);
	format_way(f, way);
	snprintf(reason, sizeof reason, "%s%s", way, words);
	finish(f, &end);
}

static void finish_answered(struct http_fetch *f)
{
	char way[WAY_MAX], *type = NULL;
	struct http_end end = {.outcome = HTTP_ANSWERED, .reason = "", .way = way};

	format_way(f, way);
	curl_easy_getinfo(f->easy, CURLINFO_CONTENT_TYPE, &type);
	end.is_html = type == NULL || strncasecmp(type, "text/html", 9) == 0 || strncasecmp(type, "application/xhtml", 17) == 0;
	finish(f, &end);
}

enum http_outcome http_fetch_late(const struct http_fetch *f, int64_t limit, char *why, size_t room)
{
	char words[NUM_TEXT], connected_ms[NUM_TEXT], way[WAY_MAX];

	num_format_duration(limit, words);
	num_format_double((double)f->dialled / NS_PER_MS, 3, connected_ms);
	format_way(f, way);
	if (f->phase == PHASE_RESOLVE)
		snprintf(why, room, "%sno answer from the resolver within %s", way, words);
	else if (f->phase == PHASE_CONNECT)
		snprintf(why, room, "%sno answer to the connection attempt within %s", way, words);
	else if (f->is_https && seconds_of(f->easy, CURLINFO_APPCONNECT_TIME_T) <= 0)
		snprintf(why, room, "%sconnected in %s ms, TLS handshake not complete within %s", way, connected_ms, words);
	else if (f->answer.header_bytes == 0)
		snprintf(why, room, "%sconnected in %s ms, no answer to the request within %s", way, connected_ms, words);
	else
		snprintf(why, room, "%sanswer not complete within %s (status %d, %zu bytes of body)", way, words, f->answer.status,
			f->answer.body_bytes);
	return f->phase == PHASE_RESOLVE ? HTTP_OURS : HTTP_FAILED;
}

static void on_timeout(evutil_socket_t fd, short what, void *ctx)
{
	struct http_fetch *f = ctx;
	char reason[REASON_MAX];
	struct http_end end = {.reason = reason, .way = ""};

	(void)fd, (void)what;
	end.outcome = http_fetch_late(f, f->request.timeout, reason, sizeof reason);
	finish(f, &end);
}

/* ---- the words of libcurl */

/* "error:0A00010B:SSL routines::wrong version number" and the like: the last words. */
static const char *tls_words(const char *error)
{
	const char *words = strstr(error, "::");

	if (words != NULL)
		return words + 2;
	if (strstr(error, "reset by peer") != NULL)
		return "reset by peer";
	return strstr(error, "SYSCALL") != NULL || *error == '\0' ? "closed by peer" : error;
}

static const char *place(const struct http_fetch *f)
{
	if (f->answer.header_bytes == 0)
		return "before any answer";
	return f->answer.body_bytes == 0 ? "inside the answer" : "inside the body";
}

static void fail_by_code(struct http_fetch *f, CURLcode code)
{
	curl_off_t length = -1;

	switch ((int)code) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR:
		if (f->certificate.verify && f->certificate.words[0] != '\0')
			fail(f, HTTP_FAILED, "%s", f->certificate.words);
		else
			fail(f, HTTP_FAILED, "TLS handshake failed: %.200s", tls_words(f->error));
		return;
	case CURLE_COULDNT_CONNECT:
		fail(f, HTTP_FAILED, "connection lost as soon as it stood");
		return;
	case CURLE_GOT_NOTHING:
		fail(f, HTTP_FAILED, "closed by peer without an answer");
		return;
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
		if (strstr(f->error, "chunk") != NULL)
			fail(f, HTTP_FAILED, "the body's chunks make no sense");
		else
			fail(f, HTTP_FAILED, "connection lost %s: %.200s", place(f), tls_words(f->error));
		return;
	case CURLE_PARTIAL_FILE:
		curl_easy_getinfo(f->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
		if (length >= 0)
			fail(f, HTTP_FAILED, "closed by peer after %zu of %lld bytes of body", f->answer.body_bytes, (long long)length);
		else
			fail(f, HTTP_FAILED, "closed by peer inside the body");
		return;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
		fail(f, HTTP_FAILED, "the answer is not HTTP");
		return;
	default:
		fail(f, HTTP_OURS, "%s", f->error[0] != '\0' ? f->error : curl_easy_strerror(code));
	}
}

/* ---- origins (RFC 6454 section 4) */

static bool parts_equal(CURLU *a, CURLU *b, CURLUPart part)
{
	char *of_a = NULL, *of_b = NULL;
	bool equal;

	curl_url_get(a, part, &of_a, CURLU_DEFAULT_PORT);
	curl_url_get(b, part, &of_b, CURLU_DEFAULT_PORT);
	equal = of_a != NULL && of_b != NULL && strcasecmp(of_a, of_b) == 0;
	curl_free(of_a);
	curl_free(of_b);
	return equal;
}

bool http_same_origin(CURLU *a, CURLU *b)
{
	return parts_equal(a, b, CURLUPART_SCHEME) && parts_equal(a, b, CURLUPART_HOST) && parts_equal(a, b, CURLUPART_PORT);
}

bool http_is_first_origin(const struct http_fetch *f)
{
	return f->times.hops == 0 || http_same_origin(f->first, f->url);
}

/* ---- one request */

static void follow(struct http_fetch *);

static void on_answered(void *ctx, CURL *easy, CURLcode code)
{
	struct http_fetch *f = ctx;
	bool stopped = code == CURLE_WRITE_ERROR; /* by us, who had read enough */

	(void)easy;
	if (f->answer.header_flood)
		fail(f, HTTP_FAILED, "more than %u KiB of headers", HTTP_HEADERS_MAX >> 10);
	else if (code != CURLE_OK && !stopped)
		fail_by_code(f, code);
	else if (!f->answer.headers_whole) /* libcurl takes the end of the connection for the end of the headers */
		fail(f, HTTP_FAILED, "closed by peer inside the headers");
	else if (f->request.redirects > 0 && http_answer_is_redirect(&f->answer))
		follow(f);
	else
		finish_answered(f);
}

static void request(struct http_fetch *f)
{
	struct err e;

	if (f->is_https && certificate_store(f->pool->stores, f->request.ca, clock_mono(), &e) == NULL) {
		fail(f, HTTP_OURS, "%s", e.text);
		return;
	}
	f->phase = PHASE_REQUEST;
	f->certificate = (struct certificate){.host = f->host, .verify = f->request.verify};
	http_answer_begin(&f->answer, f->request.redirects > 0);
	f->error[0] = '\0';
	f->cookies_set = 0;
	f->easy = http_easy_take(f->pool);
	http_easy_set_options(f);
	http_start(f->env->http, f->easy, on_answered, f);
}

/* ---- one hop: resolve, connect, request */

static void on_dialled(void *ctx, const struct dial_end *e)
{
	struct http_fetch *f = ctx;

	f->dial = NULL;
	f->fd = e->fd;
	f->dialled = e->elapsed;
	if (e->error == 0)
		request(f);
	else
		fail(f, e->ours ? HTTP_OURS : HTTP_FAILED, "%s", dial_reason(e));
}

/* "::[2001:db8::1]:", which keeps libcurl from resolving. A scope is dial's affair. */
static struct curl_slist *connect_to(const struct sockaddr *address)
{
	struct curl_slist *list;
	char text[64], entry[80];

	resolve_format(address, text, sizeof text);
	text[strcspn(text, "%")] = '\0';
	snprintf(entry, sizeof entry, address->sa_family == AF_INET6 ? "::[%s]:" : "::%s:", text);
	list = curl_slist_append(NULL, entry);
	assert(list != NULL);
	return list;
}

static void hop_connect(struct http_fetch *f, const struct sockaddr *address)
{
	socklen_t len = address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	char *port = NULL;
	int64_t number = 0;
	struct err e;

	if (curl_url_get(f->url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK ||
		num_parse_int(port, 1, 65535, &number, &e) < 0)
		number = 0;
	curl_free(port);
	if (number == 0) {
		fail(f, f->times.hops > 0 ? HTTP_FAILED : HTTP_OURS, "no such port");
	} else if (!f->env->may_probe(f->env->ctx, address)) {
		fail(f, HTTP_OURS, "address is not allowed here");
	} else {
		f->phase = PHASE_CONNECT;
		f->connect_to = connect_to(address);
		f->dial = dial_start(f->env->base, address, len, (uint16_t)number, on_dialled, f);
	}
}

static void on_resolved(void *ctx, const struct resolve_answer *a)
{
	struct http_fetch *f = ctx;

	f->query = NULL;
	f->times.resolve += a->seconds;
	if (a->status == RESOLVE_OK)
		hop_connect(f, (const struct sockaddr *)&a->addresses[0]);
	else
		fail(f, a->status == RESOLVE_FAILED ? HTTP_OURS : HTTP_FAILED, "%s", a->reason);
}

/* Takes scheme and host out of the URL. -1: not one that is measured. */
static int hop_read(struct http_fetch *f)
{
	char *scheme = NULL, *user = NULL;
	bool fits;
	size_t n;

	curl_free(f->host);
	f->host = NULL;
	curl_url_get(f->url, CURLUPART_SCHEME, &scheme, 0);
	curl_url_get(f->url, CURLUPART_HOST, &f->host, 0);
	curl_url_get(f->url, CURLUPART_USER, &user, 0);
	fits = scheme != NULL && f->host != NULL && user == NULL && (strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
	f->is_https = fits && strcmp(scheme, "https") == 0;
	curl_free(scheme);
	curl_free(user);
	n = f->host != NULL ? strlen(f->host) : 0;
	if (n > 2 && f->host[0] == '[') {
		memmove(f->host, f->host + 1, n - 2);
		f->host[n - 2] = '\0';
	}
	return fits ? 0 : -1;
}

static void hop_begin(struct http_fetch *f)
{
	int family = f->request.family == FAMILY_V6 ? AF_INET6 : AF_INET;
	int64_t left = f->deadline - clock_mono();
	struct sockaddr_storage literal;
	socklen_t len;

	f->phase = PHASE_RESOLVE;
	if (strcasecmp(f->host, f->request.host) == 0)
		hop_connect(f, f->request.address);
	else if (resolve_literal(f->host, &literal, &len) == 0 && literal.ss_family != family)
		fail(f, HTTP_FAILED, "not an %s address", family_name(f->request.family));
	else
		f->query = resolve_start(f->env->resolver, f->host, f->request.family, left > 0 ? left : 1, on_resolved, f);
}

/* RFC 9110 section 15.4: what becomes GET without its body. */
static void follow_method(struct http_fetch *f)
{
	int status = f->answer.status;

	if (strcmp(f->request.method, "HEAD") == 0)
		return;
	if (status == 303 || (strcmp(f->request.method, "POST") == 0 && (status == 301 || status == 302)))
		f->drops_body = true;
}

static void follow(struct http_fetch *f)
{
	const struct http_answer *a = &f->answer;

	if (f->times.hops == f->request.redirects) {
		fail(f, HTTP_FAILED, "more than %lld redirects", (long long)f->request.redirects);
		return;
	}
	if (a->location_too_long) {
		fail(f, HTTP_FAILED, "redirected to an address of more than %u bytes", HTTP_LOCATION_MAX);
		return;
	}
	follow_method(f);
	http_easy_keep_cookies(f);
	hop_fini(f);
	if (curl_url_set(f->url, CURLUPART_URL, a->location, CURLU_URLENCODE) != CURLUE_OK) {
		fail(f, HTTP_FAILED, "redirected to \"%.*s\", which is no address to follow", plain_length(a->location), a->location);
		return;
	}
	if (hop_read(f) < 0) {
		fail(f, HTTP_FAILED, "redirected to \"%.*s\", which is not followed", plain_length(a->location), a->location);
		return;
	}
	f->times.hops++;
	if (f->request.has_secret && !f->drops_body && !http_is_first_origin(f))
		fail(f, HTTP_FAILED, "a secret would be sent to another server (status %d)", a->status);
	else
		hop_begin(f);
}

/* Begun by the loop, so that nothing ends inside http_fetch_start. */
static void on_begin(evutil_socket_t fd, short what, void *ctx)
{
	struct http_fetch *f = ctx;
	struct timeval tv = {f->request.timeout / NS_PER_S, f->request.timeout % NS_PER_S / NS_PER_US};

	(void)fd, (void)what;
	if (!f->request.owner_ends) {
		event_assign(f->timer, f->env->base, -1, 0, on_timeout, f);
		evtimer_add(f->timer, &tv);
	}
	if (hop_read(f) == 0)
		hop_begin(f);
	else
		fail(f, HTTP_FAILED, "not an address to fetch");
}

struct http_fetch *http_fetch_start(const struct probe_env *env, struct http_pool *pool, const struct http_request *r,
	void (*on_end)(void *ctx, const struct http_end *), void *ctx)
{
	struct http_fetch *f = mem_alloc(sizeof *f);

	*f = (struct http_fetch){.env = env, .pool = pool, .request = *r, .on_end = on_end, .ctx = ctx, .fd = -1,
		.deadline = clock_mono() + r->timeout, .url = curl_url()};
	assert(f->url != NULL);
	http_answer_init(&f->answer, r->expect);
	f->timer = evtimer_new(env->base, on_begin, f);
	assert(f->timer != NULL);
	curl_url_set(f->url, CURLUPART_URL, r->url, CURLU_URLENCODE); /* what is none has no host then */
	f->first = curl_url_dup(f->url);
	event_active(f->timer, EV_TIMEOUT, 0);
	return f;
}
