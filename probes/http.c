#include "probes/http.h"

#include <assert.h>
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
#include "probes/catalog_http.h"
#include "probes/certificate.h"
#include "probes/dial.h"
#include "probes/http_answer.h"
#include "probes/resolve.h"

#define IDLE_MAX 64 /* easy handles kept for the next run: a new one costs more than all options set again */

/* Shared by all runs of the process. */
struct shared {
	struct certificate_stores *stores;
	size_t idle_count;
	CURL *idle[IDLE_MAX];
};

enum phase { PHASE_RESOLVE, PHASE_CONNECT, PHASE_REQUEST };

struct http {
	struct run *run;
	struct shared *shared;
	enum phase phase;
	unsigned hops; /* redirects followed */
	/* of the hop under way: */
	CURLU *url;
	char *host;
	bool is_https;
	struct resolve_query *query;
	struct dial *dial;
	int64_t dialled; /* ns */
	int fd;          /* connected, until libcurl has it; -1 */
	CURL *easy;
	struct curl_slist *headers, *connect_to;
	struct certificate certificate;
	struct http_answer answer;
	char error[CURL_ERROR_SIZE];
	/* over all hops: */
	bool drops_body; /* POST became GET (RFC 9110 section 15.4) */
	double resolve, connect, tls, first_byte, days;
	bool has_tls, has_first_byte, has_days;
};

static const struct http_options *options_of(const struct http *h)
{
	return run_options(h->run);
}

/* ---- what was measured */

static double seconds_of(CURL *easy, CURLINFO what)
{
	curl_off_t us = 0;

	curl_easy_getinfo(easy, what, &us);
	return (double)us / 1e6;
}

/* Adds the phases of the hop under way, as far as it got. libcurl's times begin where dial ended. */
static void add_phases(struct http *h)
{
	double handshake, sent, first;

	if (h->phase != PHASE_REQUEST)
		return;
	h->connect += (double)h->dialled / NS_PER_S;
	handshake = seconds_of(h->easy, CURLINFO_APPCONNECT_TIME_T);
	sent = seconds_of(h->easy, CURLINFO_PRETRANSFER_TIME_T);
	first = seconds_of(h->easy, CURLINFO_STARTTRANSFER_TIME_T);
	if (handshake > 0) {
		h->tls += handshake;
		h->has_tls = true;
	}
	if (first > 0) {
		h->first_byte += first - sent;
		h->has_first_byte = true;
	}
	if (h->certificate.seen && (!h->has_days || h->certificate.days < h->days)) {
		h->days = h->certificate.days;
		h->has_days = true;
	}
}

static void tell_values(struct http *h)
{
	struct run *r = h->run;

	run_value(r, HTTP_RESOLVE, h->resolve);
	if (h->phase == PHASE_REQUEST)
		run_value(r, HTTP_CONNECT, h->connect);
	if (h->has_tls)
		run_value(r, HTTP_TLS, h->tls);
	if (h->has_first_byte)
		run_value(r, HTTP_FIRST_BYTE, h->first_byte);
	if (h->answer.status > 0) {
		run_value(r, HTTP_STATUS, h->answer.status);
		run_value(r, HTTP_BODY_BYTES, (double)h->answer.body_bytes);
		run_value(r, HTTP_REDIRECTS, h->hops);
	}
	if (h->has_days)
		run_value(r, HTTP_CERT_DAYS, h->days);
}

/* ---- the end of a run */

/* Gives back what the hop holds; what is under way is cancelled. */
static void hop_fini(struct http *h)
{
	if (h->query != NULL)
		resolve_cancel(h->query);
	dial_stop(h->dial);
	if (h->easy != NULL) {
		http_cancel(run_env(h->run)->http, h->easy);
		curl_easy_reset(h->easy); /* it names this run */
		if (h->shared->idle_count < IDLE_MAX)
			h->shared->idle[h->shared->idle_count++] = h->easy;
		else
			curl_easy_cleanup(h->easy);
	}
	if (h->fd >= 0)
		close(h->fd);
	curl_slist_free_all(h->headers);
	curl_slist_free_all(h->connect_to);
	h->query = NULL;
	h->dial = NULL;
	h->easy = NULL;
	h->headers = h->connect_to = NULL;
	h->fd = -1;
}

static void http_free(struct http *h)
{
	run_set_private(h->run, NULL);
	hop_fini(h);
	http_answer_fini(&h->answer);
	curl_url_cleanup(h->url);
	curl_free(h->host);
	free(h);
}

/* Where it was when that is not where it was sent: "redirected to https://x/: ". */
static void format_way(const struct http *h, char *out, size_t room)
{
	char *text = NULL;

	out[0] = '\0';
	if (h->hops == 0 || curl_url_get(h->url, CURLUPART_URL, &text, 0) != CURLUE_OK)
		return;
	snprintf(out, room, "redirected to %.100s: ", text);
	curl_free(text);
}

static void end(struct http *h, enum outcome outcome, const char *why, ...) __attribute__((format(printf, 3, 4)));

static void end(struct http *h, enum outcome outcome, const char *why, ...)
{
	struct run *r = h->run;
	char way[140], text[400];
	va_list ap;

	va_start(ap, why);
	vsnprintf(text, sizeof text, why, ap);
	va_end(ap);
	format_way(h, way, sizeof way);
	tell_values(h);
	http_free(h);
	if (outcome == OUTCOME_DOWN)
		run_down(r, "%s%s", way, text);
	else
		run_unknown(r, "%s%s", way, text);
}

static void end_judged(struct http *h)
{
	struct run *r = h->run;
	char why[300];

	run_value(r, HTTP_TOTAL, h->resolve + (double)(clock_mono() - run_started(r)) / NS_PER_S);
	if (http_answer_judge(&h->answer, why, sizeof why) < 0) {
		end(h, OUTCOME_DOWN, "%s", why);
		return;
	}
	tell_values(h);
	http_free(h);
	run_up(r);
}

static void at_deadline(void *state, struct run *r)
{
	struct http *h = run_private(r);
	double connected_ms = (double)h->dialled / NS_PER_MS;
	char limit[NUM_TEXT], way[140];

	(void)state;
	num_format_duration(run_deadline(r) - run_started(r), limit);
	format_way(h, way, sizeof way);
	add_phases(h);
	tell_values(h);
	if (h->phase == PHASE_RESOLVE)
		run_unknown(r, "%sno answer from the resolver within %s", way, limit);
	else if (h->phase == PHASE_CONNECT)
		run_down(r, "%sno answer to the connection attempt within %s", way, limit);
	else if (h->is_https && seconds_of(h->easy, CURLINFO_APPCONNECT_TIME_T) <= 0)
		run_down(r, "%sconnected in %.3g ms, TLS handshake not complete within %s", way, connected_ms, limit);
	else if (h->answer.header_bytes == 0)
		run_down(r, "%sconnected in %.3g ms, no answer to the request within %s", way, connected_ms, limit);
	else
		run_down(r, "%sanswer not complete within %s (status %d, %zu bytes of body)", way, limit,
			h->answer.status, h->answer.body_bytes);
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

static const char *place(const struct http *h)
{
	if (h->answer.header_bytes == 0)
		return "before any answer";
	return h->answer.body_bytes == 0 ? "inside the answer" : "inside the body";
}

static void end_failed(struct http *h, CURLcode code)
{
	curl_off_t length = -1;

	switch ((int)code) {
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CONNECT_ERROR:
	case CURLE_SSL_CIPHER:
	case CURLE_SSL_ISSUER_ERROR:
		if (h->certificate.verify && h->certificate.words[0] != '\0')
			end(h, OUTCOME_DOWN, "%s", h->certificate.words);
		else
			end(h, OUTCOME_DOWN, "TLS handshake failed: %.200s", tls_words(h->error));
		return;
	case CURLE_COULDNT_CONNECT:
		end(h, OUTCOME_DOWN, "connection lost as soon as it stood");
		return;
	case CURLE_GOT_NOTHING:
		end(h, OUTCOME_DOWN, "closed by peer without an answer");
		return;
	case CURLE_SEND_ERROR:
	case CURLE_RECV_ERROR:
		if (strstr(h->error, "chunk") != NULL)
			end(h, OUTCOME_DOWN, "the body's chunks make no sense");
		else
			end(h, OUTCOME_DOWN, "connection lost %s: %.200s", place(h), tls_words(h->error));
		return;
	case CURLE_PARTIAL_FILE:
		curl_easy_getinfo(h->easy, CURLINFO_CONTENT_LENGTH_DOWNLOAD_T, &length);
		if (length >= 0)
			end(h, OUTCOME_DOWN, "closed by peer after %zu of %lld bytes of body", h->answer.body_bytes,
				(long long)length);
		else
			end(h, OUTCOME_DOWN, "closed by peer inside the body");
		return;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_WEIRD_SERVER_REPLY:
		end(h, OUTCOME_DOWN, "the answer is not HTTP");
		return;
	default:
		end(h, OUTCOME_UNKNOWN, "%s", h->error[0] != '\0' ? h->error : curl_easy_strerror(code));
	}
}

/* ---- one request */

static size_t on_header(char *data, size_t size, size_t n, void *ctx)
{
	struct http *h = ctx;

	return http_answer_header(&h->answer, data, size * n) ? size * n : 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
	struct http *h = ctx;

	return http_answer_body(&h->answer, data, size * n) ? size * n : 0;
}

/* Hands the connected socket over. (libcurl 7.88 calls connect() on it once more, which Linux answers with 0, or with the
 * error if it was lost meanwhile.) */
static curl_socket_t on_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct http *h = ctx;
	int fd = h->fd;

	(void)purpose;
	(void)address;
	h->fd = -1;
	return fd;
}

static int on_socket_options(void *ctx, curl_socket_t fd, curlsocktype purpose)
{
	(void)ctx;
	(void)fd;
	(void)purpose;
	return CURL_SOCKOPT_ALREADY_CONNECTED;
}

static CURLcode on_ssl_context(CURL *easy, void *ssl_ctx, void *ctx)
{
	struct http *h = ctx;
	X509_STORE *roots;
	struct err e;

	(void)easy;
	roots = certificate_store(h->shared->stores, options_of(h)->ca, clock_mono(), &e);
	if (roots == NULL)
		return CURLE_SSL_CACERT_BADFILE;
	certificate_watch(ssl_ctx, roots, &h->certificate);
	return CURLE_OK;
}

static void set_method(struct http *h)
{
	const struct http_options *o = options_of(h);

	if (o->method == 1) {
		curl_easy_setopt(h->easy, CURLOPT_NOBODY, 1L);
	} else if (o->method == 2 && !h->drops_body) {
		curl_easy_setopt(h->easy, CURLOPT_POSTFIELDSIZE, (long)strlen(o->body));
		curl_easy_setopt(h->easy, CURLOPT_POSTFIELDS, o->body);
	}
}

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

/* Scheme, host and port are those of the check (RFC 6454). */
static bool is_first_origin(struct http *h)
{
	CURLU *first;
	bool same;

	if (h->hops == 0)
		return true;
	first = curl_url();
	curl_url_set(first, CURLUPART_URL, options_of(h)->url, 0);
	same = parts_equal(first, h->url, CURLUPART_SCHEME) && parts_equal(first, h->url, CURLUPART_HOST) &&
		parts_equal(first, h->url, CURLUPART_PORT);
	curl_url_cleanup(first);
	return same;
}

static void set_headers(struct http *h)
{
	const struct config_texts *texts = &options_of(h)->headers;

	if (texts->count == 0 || !is_first_origin(h))
		return;
	for (size_t i = 0; i < texts->count; i++)
		h->headers = curl_slist_append(h->headers, texts->items[i]);
	curl_easy_setopt(h->easy, CURLOPT_HTTPHEADER, h->headers);
}

static CURL *easy_take(struct shared *s)
{
	CURL *easy = s->idle_count > 0 ? s->idle[--s->idle_count] : curl_easy_init();

	assert(easy != NULL);
	return easy;
}

static void set_options(struct http *h)
{
	CURL *easy = h->easy;

	curl_easy_setopt(easy, CURLOPT_CURLU, h->url);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, h->error);
	curl_easy_setopt(easy, CURLOPT_CONNECT_TO, h->connect_to);
	curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L); /* it keeps literals too and walks over all each time */
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
	curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, h);
	curl_easy_setopt(easy, CURLOPT_SOCKOPTFUNCTION, on_socket_options);
	curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(easy, CURLOPT_FORBID_REUSE, 1L);
	curl_easy_setopt(easy, CURLOPT_PROXY, "");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "xunjian");
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, (long)CURL_HTTP_VERSION_1_1);
	curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(easy, CURLOPT_HEADERDATA, h);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, h);
	set_method(h);
	set_headers(h);
	if (!h->is_https)
		return;
	/* libcurl loads no roots and compares no name: certificate.c does, with roots that are loaded once. */
	curl_easy_setopt(easy, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(easy, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 0L);
	curl_easy_setopt(easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	curl_easy_setopt(easy, CURLOPT_SSL_CTX_FUNCTION, on_ssl_context);
	curl_easy_setopt(easy, CURLOPT_SSL_CTX_DATA, h);
}

static void follow(struct http *);

static void on_answered(void *ctx, CURL *easy, CURLcode code)
{
	struct http *h = ctx;
	bool stopped = code == CURLE_WRITE_ERROR; /* by us, who had read enough */

	(void)easy;
	add_phases(h);
	if (h->answer.header_flood)
		end(h, OUTCOME_DOWN, "more than %u KiB of headers", HTTP_HEADERS_MAX >> 10);
	else if (code != CURLE_OK && !stopped)
		end_failed(h, code);
	else if (!h->answer.headers_whole) /* libcurl takes the end of the connection for the end of the headers */
		end(h, OUTCOME_DOWN, "closed by peer inside the headers");
	else if (options_of(h)->redirects > 0 && http_answer_is_redirect(&h->answer))
		follow(h);
	else
		end_judged(h);
}

static void request(struct http *h)
{
	const struct http_options *o = options_of(h);
	struct err e;

	if (h->is_https && certificate_store(h->shared->stores, o->ca, clock_mono(), &e) == NULL) {
		end(h, OUTCOME_UNKNOWN, "%s", e.text);
		return;
	}
	h->phase = PHASE_REQUEST;
	h->certificate = (struct certificate){.host = h->host, .verify = o->verify};
	http_answer_begin(&h->answer, o->redirects > 0);
	h->error[0] = '\0';
	h->easy = easy_take(h->shared);
	set_options(h);
	http_start(run_env(h->run)->http, h->easy, on_answered, h);
}

/* ---- one hop: resolve, connect, request */

static void on_dialled(void *ctx, const struct dial_end *e)
{
	struct http *h = ctx;

	h->dial = NULL;
	h->fd = e->fd;
	h->dialled = e->elapsed;
	if (e->error == 0)
		request(h);
	else
		end(h, e->ours ? OUTCOME_UNKNOWN : OUTCOME_DOWN, "%s", dial_reason(e));
}

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

static void hop_connect(struct http *h, const struct sockaddr *address, socklen_t len)
{
	char *port = NULL;
	struct err e;
	int64_t number = 0;

	if (curl_url_get(h->url, CURLUPART_PORT, &port, CURLU_DEFAULT_PORT) != CURLUE_OK ||
		num_parse_int(port, 1, 65535, &number, &e) < 0) {
		curl_free(port);
		end(h, h->hops > 0 ? OUTCOME_DOWN : OUTCOME_UNKNOWN, "no such port");
		return;
	}
	curl_free(port);
	h->phase = PHASE_CONNECT;
	h->connect_to = connect_to(address);
	h->dial = dial_start(run_env(h->run)->base, address, len, (uint16_t)number, on_dialled, h);
}

static void on_hop_answer(void *ctx, const struct resolve_answer *a)
{
	struct http *h = ctx;
	const struct probe_env *env = run_env(h->run);
	const struct sockaddr *address = (const struct sockaddr *)&a->addresses[0];

	h->query = NULL;
	h->resolve += a->seconds;
	if (a->status == RESOLVE_FAILED)
		end(h, OUTCOME_UNKNOWN, "%s", a->reason);
	else if (a->status != RESOLVE_OK)
		end(h, OUTCOME_DOWN, "%s", a->reason);
	else if (!env->may_probe(env->ctx, address))
		end(h, OUTCOME_UNKNOWN, "address is not allowed here");
	else
		hop_connect(h, address, address->sa_family == AF_INET6 ? sizeof(struct sockaddr_in6)
								     : sizeof(struct sockaddr_in));
}

/* Takes scheme and host out of the URL. -1: not one that is measured. */
static int hop_read(struct http *h)
{
	char *scheme = NULL, *text = NULL;
	bool fits;
	size_t n;

	curl_free(h->host);
	h->host = NULL;
	curl_url_get(h->url, CURLUPART_SCHEME, &scheme, 0);
	curl_url_get(h->url, CURLUPART_HOST, &h->host, 0);
	curl_url_get(h->url, CURLUPART_USER, &text, 0);
	fits = scheme != NULL && h->host != NULL && text == NULL &&
		(strcmp(scheme, "http") == 0 || strcmp(scheme, "https") == 0);
	h->is_https = fits && strcmp(scheme, "https") == 0;
	curl_free(scheme);
	curl_free(text);
	n = h->host != NULL ? strlen(h->host) : 0;
	if (n > 2 && h->host[0] == '[') {
		memmove(h->host, h->host + 1, n - 2);
		h->host[n - 2] = '\0';
	}
	return fits ? 0 : -1;
}

static void hop_begin(struct http *h)
{
	const struct probe_env *env = run_env(h->run);
	const struct sockaddr *address;
	struct sockaddr_storage literal;
	socklen_t len;

	if (h->hops == 0 || strcasecmp(h->host, run_host(h->run)) == 0) {
		address = run_address(h->run, &len);
		hop_connect(h, address, len);
		return;
	}
	if (resolve_literal(h->host, &literal, &len) == 0 &&
		literal.ss_family != run_address(h->run, &len)->sa_family) {
		end(h, OUTCOME_DOWN, "not an %s address", family_name(run_family(h->run)));
		return;
	}
	h->phase = PHASE_RESOLVE;
	h->query = resolve_start(env->resolver, h->host, run_family(h->run),
		run_deadline(h->run) - clock_mono(), on_hop_answer, h);
}

/* RFC 9110 section 15.4: what a POST becomes. */
static void follow_method(struct http *h)
{
	if (h->answer.status == 301 || h->answer.status == 302 || h->answer.status == 303)
		h->drops_body = true;
}

static void follow(struct http *h)
{
	struct http_answer *a = &h->answer;

	if (h->hops == options_of(h)->redirects) {
		end(h, OUTCOME_DOWN, "more than %lld redirects", (long long)options_of(h)->redirects);
		return;
	}
	if (a->location_too_long) {
		end(h, OUTCOME_DOWN, "redirected to an address of more than %u bytes", HTTP_LOCATION_MAX);
		return;
	}
	follow_method(h);
	hop_fini(h);
	if (curl_url_set(h->url, CURLUPART_URL, a->location, CURLU_URLENCODE) != CURLUE_OK) {
		end(h, OUTCOME_DOWN, "redirected to \"%.100s\", which is no address to follow", a->location);
		return;
	}
	if (hop_read(h) < 0) {
		end(h, OUTCOME_DOWN, "redirected to \"%.100s\", which is not followed", a->location);
		return;
	}
	h->hops++;
	hop_begin(h);
}

/* ---- the type */

static void http_probe_start(void *state, struct run *r)
{
	const struct http_options *o = run_options(r);
	struct http *h = mem_alloc(sizeof *h);

	h->run = r;
	h->shared = state;
	h->fd = -1;
	h->resolve = run_resolve_time(r);
	h->url = curl_url();
	http_answer_init(&h->answer, o);
	run_set_private(r, h);
	run_on_deadline(r, at_deadline);
	assert(h->url != NULL);
	if (curl_url_set(h->url, CURLUPART_URL, o->url, 0) != CURLUE_OK || hop_read(h) < 0)
		end(h, OUTCOME_UNKNOWN, "url cannot be used: %.200s", o->url);
	else
		hop_begin(h);
}

static void http_probe_cancel(void *state, struct run *r)
{
	(void)state;
	http_free(run_private(r));
}

static int http_probe_open(const struct probe_env *env, void **state, struct err *e)
{
	struct shared *s = mem_alloc(sizeof *s);

	(void)env;
	(void)e;
	s->stores = certificate_stores_new();
	*state = s;
	return 0;
}

static void http_probe_close(void *state)
{
	struct shared *s = state;

	while (s->idle_count > 0)
		curl_easy_cleanup(s->idle[--s->idle_count]);
	certificate_stores_free(s->stores);
	free(s);
}

const struct probe_type http_probe = {.catalog = &catalog_http, .open = http_probe_open,
	.start = http_probe_start, .cancel = http_probe_cancel, .close = http_probe_close};
