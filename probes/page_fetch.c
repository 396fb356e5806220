#include "probes/page_fetch.h"

#include <assert.h>
#include <event2/event.h>
#include <openssl/ssl.h>
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
#include "probes/http_answer.h"
#include "probes/probe.h"
#include "probes/resolve.h"

/* Nothing is asked of an answer but where it leads. */
static const struct http_options no_conditions = {.expect_header = "", .expect_body = "", .forbid_body = ""};

struct page_fetch {
	const struct probe_env *env;
	struct page_request request;
	int64_t deadline;
	struct event *timer; /* the deadline; before it, an end that is known already */
	void (*on_end)(void *ctx, const struct page_end *);
	void *ctx;
	unsigned hops;
	/* of the hop under way: */
	CURLU *url;
	char *host, *text; /* text: the whole address */
	bool is_https;
	struct resolve_query *query;
	struct dial *dial;
	int fd;
	CURL *easy;
	struct curl_slist *connect_to;
	struct certificate certificate;
	struct http_answer answer; /* its headers */
	bool cut;
	char error[CURL_ERROR_SIZE];
	struct buf body;
	double connect, first_byte, total;
};

/* ---- the end */

static void hop_fini(struct page_fetch *f)
{
	if (f->query != NULL)
		resolve_cancel(f->query);
	dial_stop(f->dial);
	if (f->easy != NULL) {
		http_cancel(f->env->http, f->easy);
		curl_easy_cleanup(f->easy);
	}
	if (f->fd >= 0)
		close(f->fd);
	curl_slist_free_all(f->connect_to);
	f->query = NULL;
	f->dial = NULL;
	f->easy = NULL;
	f->connect_to = NULL;
	f->fd = -1;
}

void page_fetch_stop(struct page_fetch *f)
{
	if (f == NULL)
		return;
	hop_fini(f);
	event_free(f->timer);
	curl_url_cleanup(f->url);
	curl_free(f->host);
	curl_free(f->text);
	http_answer_fini(&f->answer);
	buf_fini(&f->body);
	free(f);
}

static void finish(struct page_fetch *f, struct page_end *end)
{
	end->url = f->text != NULL ? f->text : "";
	end->body = &f->body;
	end->connect = f->connect;
	end->first_byte = f->first_byte;
	end->total = f->total;
	f->on_end(f->ctx, end);
	page_fetch_stop(f);
}

static void fail(struct page_fetch *f, enum page_outcome outcome, const char *why, ...) __attribute__((format(printf, 3, 4)));

static void fail(struct page_fetch *f, enum page_outcome outcome, const char *why, ...)
{
	char words[200], text[400];
	struct page_end end = {.outcome = outcome, .reason = text};
	va_list ap;

	va_start(ap, why);
	vsnprintf(words, sizeof words, why, ap);
	va_end(ap);
	if (f->hops > 0 && f->text != NULL)
		snprintf(text, sizeof text, "redirected to %.100s: %s", f->text, words);
	else
		snprintf(text, sizeof text, "%s", words);
	finish(f, &end);
}

static void on_timeout(evutil_socket_t fd, short what, void *ctx)
{
	struct page_fetch *f = ctx;
	char limit[NUM_TEXT];

	(void)fd, (void)what;
	num_format_duration(f->request.timeout, limit);
	if (f->query != NULL)
		fail(f, PAGE_OURS, "no answer from the resolver within %s", limit);
	else if (f->dial != NULL)
		fail(f, PAGE_FAILED, "no answer to the connection attempt within %s", limit);
	else
		fail(f, PAGE_FAILED, "no whole answer within %s", limit);
}

/* ---- one request */

static size_t on_header(char *data, size_t size, size_t n, void *ctx)
{
	struct page_fetch *f = ctx;

	return http_answer_header(&f->answer, data, size * n) ? size * n : 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
	struct page_fetch *f = ctx;
	size_t left = f->request.body_max - f->body.len, len = size * n;

	buf_add(&f->body, data, len < left ? len : left);
	f->cut = len > left;
	return f->cut ? 0 : len;
}

/* Hands the connected socket over. */
static curl_socket_t on_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct page_fetch *f = ctx;
	int fd = f->fd;

	(void)purpose, (void)address;
	f->fd = -1;
	return fd;
}

static int on_socket_options(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
	(void)ctx, (void)fd, (void)purpose;
	return CURL_SOCKOPT_ALREADY_CONNECTED;
}

static CURLcode on_ssl_context(CURL *easy, void *ssl_ctx, void *ctx)
{
	struct page_fetch *f = ctx;
	X509_STORE *roots;
	struct err e;

	(void)easy;
	roots = certificate_store(f->request.stores, f->request.ca, clock_mono(), &e);
	if (roots == NULL)
		return CURLE_SSL_CACERT_BADFILE;
	certificate_watch(ssl_ctx, roots, &f->certificate);
	return CURLE_OK;
}

static double seconds_of(CURL *easy, CURLINFO what)
{
	curl_off_t us = 0;

	curl_easy_getinfo(easy, what, &us);
	return (double)us / 1e6;
}

/* How far it got, in words that do not name libcurl. */
static void fail_by_code(struct page_fetch *f, CURLcode code)
{
	switch ((int)code) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR:
		if (f->certificate.verify && f->certificate.words[0] != '\0')
			fail(f, PAGE_FAILED, "%s", f->certificate.words);
		else
			fail(f, PAGE_FAILED, "TLS handshake failed");
		return;
	case CURLE_SSL_CACERT_BADFILE:
		fail(f, PAGE_OURS, "the certificates of \"%.100s\" cannot be read", f->request.ca);
		return;
	case CURLE_GOT_NOTHING:
		fail(f, PAGE_FAILED, "closed by peer without an answer");
		return;
	case CURLE_PARTIAL_FILE:
		fail(f, PAGE_FAILED, "closed by peer inside the body");
		return;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
		fail(f, PAGE_FAILED, "the answer is not HTTP");
		return;
	case CURLE_COULDNT_CONNECT:
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
		fail(f, PAGE_FAILED, "connection lost");
		return;
	default:
		fail(f, PAGE_OURS, "%s", f->error[0] != '\0' ? f->error : curl_easy_strerror(code));
	}
}

static void follow(struct page_fetch *);

static void on_answered(void *ctx, CURL *easy, CURLcode code)
{
	struct page_fetch *f = ctx;
	struct page_end end = {.outcome = PAGE_ANSWERED, .reason = ""};
	bool stopped = code == CURLE_WRITE_ERROR; /* by us, who had read enough */
	char *type = NULL;

	f->first_byte += seconds_of(easy, CURLINFO_STARTTRANSFER_TIME_T);
	f->total += seconds_of(easy, CURLINFO_TOTAL_TIME_T);
	curl_easy_getinfo(easy, CURLINFO_CONTENT_TYPE, &type);
	if (f->answer.header_flood) {
		fail(f, PAGE_FAILED, "more than %u KiB of headers", HTTP_HEADERS_MAX >> 10);
	} else if (code != CURLE_OK && !stopped) {
		fail_by_code(f, code);
	} else if (!f->answer.headers_whole) {
		fail(f, PAGE_FAILED, "closed by peer inside the headers");
	} else if (http_answer_is_redirect(&f->answer)) {
		follow(f);
	} else {
		end.status = f->answer.status;
		end.is_html = type == NULL || strncasecmp(type, "text/html", 9) == 0 ||
			strncasecmp(type, "application/xhtml", 17) == 0;
		finish(f, &end);
	}
}

static void set_options(struct page_fetch *f)
{
	CURL *easy = f->easy;

	curl_easy_setopt(easy, CURLOPT_CURLU, f->url);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, f->error);
	curl_easy_setopt(easy, CURLOPT_CONNECT_TO, f->connect_to);
	curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, f);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket_options);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "xunjian");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, f);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, f);
	if (!f->is_https)
		return;
	/* As in http.c: certificate.c judges, with roots that are loaded once. */
	curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_ssl_context);
	curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, f);
}

static void on_dialled(void *ctx, const struct dial_end *e)
{
	struct page_fetch *f = ctx;

	f->dial = NULL;
	f->fd = e->fd;
	if (e->error != 0) {
		fail(f, e->ours ? PAGE_OURS : PAGE_FAILED, "%s", dial_reason(e));
		return;
	}
	/* libcurl's times begin where dial ended. */
	f->connect += (double)e->elapsed / NS_PER_S;
	f->first_byte += (double)e->elapsed / NS_PER_S;
	f->total += (double)e->elapsed / NS_PER_S;
	f->certificate = (struct certificate){.host = f->host, .verify = f->request.verify};
	http_answer_begin(&f->answer, true);
	f->cut = false;
	f->error[0] = '\0';
	buf_clear(&f->body);
	f->easy = curl_easy_init();
	assert(f->easy != NULL);
	set_options(f);
	http_start(f->env->http, f->easy, on_answered, f);
}

/* ---- one hop */

/* Keeps libcurl from resolving. */
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

static void hop_connect(struct page_fetch *f, const struct sockaddr_storage *storage)
{
	const struct sockaddr *address = (const struct sockaddr *)storage;
	socklen_t len = storage->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);
	char *port = NULL;
	struct err e;
	int64_t number = 0;

	if (curl_url_get(f->url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) == CURLUE_OK &&
		num_parse_int(port, 1, 65535, &number, &e) < 0)
		number = 0;
	curl_free(port);
	if (number == 0) {
		fail(f, PAGE_FAILED, "no such port");
	} else if (!f->env->may_probe(f->env->ctx, address)) {
		fail(f, PAGE_OURS, "address is not allowed here");
	} else {
		f->connect_to = connect_to(address);
		f->dial = dial_start(f->env->base, address, len, (uint16_t)number, on_dialled, f);
	}
}

static void on_resolved(void *ctx, const struct resolve_answer *a)
{
	struct page_fetch *f = ctx;

	f->query = NULL;
	if (a->status == RESOLVE_OK)
		hop_connect(f, &a->addresses[0]);
	else
		fail(f, a->status == RESOLVE_FAILED ? PAGE_OURS : PAGE_FAILED, "%s", a->reason);
}

/* Takes scheme and host out of the URL. -1: not one that is fetched. */
static int hop_read(struct page_fetch *f)
{
	char *scheme = NULL, *user = NULL;
	bool fits;
	size_t n;

	curl_free(f->host);
	curl_free(f->text);
	f->host = f->text = NULL;
	curl_url_get(f->url, CURLUPART_SCHEME, &scheme, 0);
	curl_url_get(f->url, CURLUPART_HOST, &f->host, 0);
	curl_url_get(f->url, CURLUPART_USER, &user, 0);
	curl_url_get(f->url, CURLUPART_URL, &f->text, 0);
	fits = scheme != NULL && f->host != NULL && f->text != NULL && user == NULL &&
		(strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
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

static void hop_begin(struct page_fetch *f)
{
	struct sockaddr_storage literal;
	socklen_t len;
	int family = f->request.family == FAMILY_V6 ? AF_INET6 : AF_INET;
	int64_t left = f->deadline - clock_mono();

	if (strcasecmp(f->host, f->request.host) == 0)
		hop_connect(f, f->request.address);
	else if (resolve_literal(f->host, &literal, &len) == 0 && literal.ss_family != family)
		fail(f, PAGE_FAILED, "not an %s address", family_name(f->request.family));
	else
		f->query = resolve_start(f->env->resolver, f->host, f->request.family, left > 0 ? left : 1, on_resolved, f);
}

static void follow(struct page_fetch *f)
{
	const struct http_answer *a = &f->answer;

	if (f->hops == FETCH_REDIRECTS) {
		fail(f, PAGE_FAILED, "more than %d redirects", FETCH_REDIRECTS);
		return;
	}
	if (a->location_too_long) {
		fail(f, PAGE_FAILED, "redirected to an address of more than %u bytes", HTTP_LOCATION_MAX);
		return;
	}
	hop_fini(f);
	if (curl_url_set(f->url, CURLUPART_URL, a->location, CURLU_URLENCODE) != CURLUE_OK || hop_read(f) < 0) {
		fail(f, PAGE_FAILED, "redirected to \"%.100s\", which is not followed", a->location);
		return;
	}
	f->hops++;
	hop_begin(f);
}

/* Begun by the loop, so that nothing ends inside page_fetch_start. */
static void on_begin(evutil_socket_t fd, short what, void *ctx)
{
	struct page_fetch *f = ctx;
	struct timeval tv = {f->request.timeout / NS_PER_S, f->request.timeout % NS_PER_S / NS_PER_US};

	(void)fd, (void)what;
	event_assign(f->timer, f->env->base, -1, 0, on_timeout, f);
	evtimer_add(f->timer, &tv);
	if (hop_read(f) == 0)
		hop_begin(f);
	else
		fail(f, PAGE_FAILED, "not an address to fetch");
}

struct page_fetch *page_fetch_start(const struct probe_env *env, const struct page_request *request,
	void (*on_end)(void *ctx, const struct page_end *), void *ctx)
{
	struct page_fetch *f = mem_alloc(sizeof *f);

	*f = (struct page_fetch){.env = env, .request = *request, .on_end = on_end, .ctx = ctx, .fd = -1,
		.deadline = clock_mono() + request->timeout, .url = curl_url()};
	assert(f->url != NULL);
	http_answer_init(&f->answer, &no_conditions);
	f->timer = evtimer_new(env->base, on_begin, f);
	assert(f->timer != NULL);
	curl_url_set(f->url, CURLUPART_URL, request->url, CURLU_URLENCODE); /* what is none has no host then */
	event_active(f->timer, EV_TIMEOUT, 0);
	return f;
}

bool page_is_reached(const struct page_end *e)
{
	return e->outcome == PAGE_ANSWERED && e->status >= 200 && e->status < 300;
}
