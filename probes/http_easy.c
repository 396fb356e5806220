#include "probes/http_parts.h"

#include <assert.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/config.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "probes/match.h"

#define COOKIES_FEW 20 /* far below the 50 that libcurl takes of one answer */

/* ---- the pool */

struct http_pool *http_pool_new(void)
{
	struct http_pool *p = mem_alloc(sizeof *p);

	p->stores = certificate_stores_new();
	return p;
}

void http_pool_free(struct http_pool *p)
{
	while (p->idle_count > 0)
		curl_easy_cleanup(p->idle[--p->idle_count]);
	certificate_stores_free(p->stores);
	free(p);
}

CURL *http_easy_take(struct http_pool *p)
{
	CURL *easy = p->idle_count > 0 ? p->idle[--p->idle_count] : curl_easy_init();

	assert(easy != NULL);
	return easy;
}

/* One that had a jar is not used again: nothing of it may stay. (A reset of it would lose memory, libcurl 7.88.) Nor is one whose
 * server set many cookies: the count of them, by which libcurl takes no more, stays until the next transfer has begun. */
void http_easy_give(struct http_fetch *f, CURL *easy)
{
	struct http_pool *p = f->pool;

	if (f->request.cookies != NULL || f->cookies_set > COOKIES_FEW || p->idle_count == HTTP_IDLE_MAX) {
		curl_easy_cleanup(easy);
		return;
	}
	curl_easy_setopt(easy, CURLOPT_COOKIELIST, "ALL"); /* forgets them: a reset would not */
	curl_easy_reset(easy);                             /* it names this fetch */
	p->idle[p->idle_count++] = easy;
}

/* ---- one request */

static size_t on_header(char *data, size_t size, size_t n, void *ctx)
{
	struct http_fetch *f = ctx;

	f->cookies_set += size * n > 11 && strncasecmp(data, "Set-Cookie:", 11) == 0;
	return http_answer_header(&f->answer, data, size * n) ? size * n : 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *ctx)
{
	struct http_fetch *f = ctx;

	return http_answer_body(&f->answer, data, size * n) ? size * n : 0;
}

/* Hands the connected socket over. (libcurl 7.88 calls connect() on it once more, which Linux answers with 0, or with the
 * error if it was lost meanwhile.) */
static curl_socket_t on_open_socket(void *ctx, curlsocktype purpose, struct curl_sockaddr *address)
{
	struct http_fetch *f = ctx;
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
	struct http_fetch *f = ctx;
	X509_STORE *roots;
	struct err e;

	(void)easy;
	roots = certificate_store(f->pool->stores, f->request.ca, clock_mono(), &e);
	if (roots == NULL)
		return CURLE_SSL_CACERT_BADFILE;
	certificate_watch(ssl_ctx, roots, &f->certificate);
	return CURLE_OK;
}

static void set_method(struct http_fetch *f)
{
	const char *method = f->request.method, *body = f->request.body;

	if (f->drops_body)
		return;
	if (strcmp(method, "HEAD") == 0) {
		curl_easy_setopt(f->easy, CURLOPT_NOBODY, 1L);
		return;
	}
	if (body != NULL) {
		curl_easy_setopt(f->easy, CURLOPT_POSTFIELDSIZE, (long)strlen(body));
		curl_easy_setopt(f->easy, CURLOPT_POSTFIELDS, body);
	}
	if (strcmp(method, body != NULL ? "POST" : "GET") != 0)
		curl_easy_setopt(f->easy, CURLOPT_CUSTOMREQUEST, method);
}

/* One line of cookies alone (RFC 6265 section 5.4): libcurl puts those that servers set before them. */
static bool add_own_cookie(const char *header, struct buf *out)
{
	const char *value;
	size_t len;

	if (!match_header("Cookie:", header, strlen(header), &value, &len))
		return false;
	buf_add_text(out, out->len > 0 ? "; " : "");
	buf_add(out, value, len);
	return true;
}

static void set_headers(struct http_fetch *f)
{
	const struct config_texts *texts = f->request.headers;
	struct buf cookies = {0};

	if (texts == NULL || texts->count == 0 || !http_is_first_origin(f))
		return;
	for (size_t i = 0; i < texts->count; i++) {
		if (!add_own_cookie(texts->items[i], &cookies))
			f->headers = curl_slist_append(f->headers, texts->items[i]);
	}
	curl_easy_setopt(f->easy, CURLOPT_HTTPHEADER, f->headers);
	if (cookies.len > 0)
		curl_easy_setopt(f->easy, CURLOPT_COOKIE, buf_text(&cookies));
	buf_fini(&cookies);
}

static void set_tls_options(struct http_fetch *f)
{
	/* libcurl loads no roots and compares no name: certificate.c does, with roots that are loaded once. */
	curl_easy_setopt(f->easy, CURLOPT_CAINFO, NULL);
	curl_easy_setopt(f->easy, CURLOPT_CAPATH, NULL);
	curl_easy_setopt(f->easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(f->easy, CURLOPT_SSL_VERIFYHOST, 0L);
	curl_easy_setopt(f->easy, CURLOPT_SSL_SESSIONID_CACHE, 0L);
	curl_easy_setopt(f->easy, CURLOPT_SSL_CTX_FUNCTION, on_ssl_context);
	curl_easy_setopt(f->easy, CURLOPT_SSL_CTX_DATA, f);
}

/* Without a jar of its owner's cookies go from hop to hop, each to the hosts that it belongs to: a portal that sets one and
 * sends back to itself would do so for ever. */
static void set_cookies(struct http_fetch *f)
{
	if (f->request.cookies != NULL) {
		curl_easy_setopt(f->easy, CURLOPT_SHARE, f->request.cookies);
		curl_easy_setopt(f->easy, CURLOPT_COOKIEFILE, ""); /* none, but it starts the engine */
	} else if (f->request.redirects > 0) {
		curl_easy_setopt(f->easy, CURLOPT_COOKIELIST, ""); /* none: the same, and a reset loses no memory */
		for (const struct curl_slist *c = f->cookies; c != NULL; c = c->next)
			curl_easy_setopt(f->easy, CURLOPT_COOKIELIST, c->data);
	}
}

/* libcurl bounds what one answer may set (50 cookies, from 7.84), HTTP_HEADERS_MAX and the redirects the rest. */
void http_easy_keep_cookies(struct http_fetch *f)
{
	if (f->request.cookies != NULL)
		return;
	curl_slist_free_all(f->cookies);
	f->cookies = NULL;
	curl_easy_getinfo(f->easy, CURLINFO_COOKIELIST, &f->cookies);
}

void http_easy_set_options(struct http_fetch *f)
{
	CURL *easy = f->easy;

	curl_easy_setopt(easy, CURLOPT_CURLU, f->url);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, f->error);
	curl_easy_setopt(easy, CURLOPT_CONNECT_TO, f->connect_to);
	curl_easy_setopt(easy, CURLOPT_DNS_CACHE_TIMEOUT, 0L); /* it keeps literals too and walks over all each time */
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
	set_cookies(f);
	set_method(f);
	set_headers(f);
	if (f->is_https)
		set_tls_options(f);
}
