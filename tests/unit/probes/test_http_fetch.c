#include "probes/http_fetch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "lib/config.h"
#include "lib/err.h"
#include "lib/http.h"
#include "probes/http_answer.h"
#include "probes/probe.h"
#include "probes/resolve.h"
#include "tests/unit/probes/name_server.h"
#include "tests/unit/probes/script_server.h"

struct fixture {
	struct event_base *base;
	struct name_server names;
	struct probe_env env;
	const char *forbidden; /* an address that may not be probed */
	struct script_server server;
	struct http_pool *pool;
	int64_t timeout;
	enum family family;
	struct http_request request;
	/* of the last fetch: */
	unsigned ends;
	bool is_html;
	char line[400], body[200], url[200];
	struct http_times times;
};

static bool may_probe(void *ctx, const struct sockaddr *address)
{
	struct fixture *f = ctx;
	char text[64];

	return f->forbidden == NULL || strcmp(resolve_format(address, text, sizeof text), f->forbidden) != 0;
}

static void fixture_open(struct fixture *f)
{
	struct err e;

	memset(f, 0, sizeof *f);
	f->base = event_base_new();
	name_server_open(&f->names, f->base);
	f->env = (struct probe_env){.base = f->base, .may_probe = may_probe, .ctx = f, .http = http_client_new(f->base),
		.resolver = resolver_new(f->base, f->names.address, &e)};
	script_server_open(&f->server, f->base);
	f->pool = http_pool_new();
	f->timeout = 5 * NS_PER_S;
	f->family = FAMILY_V4;
	f->request = (struct http_request){.host = "site.test", .method = "GET", .redirects = 5, .verify = true, .ca = ""};
}

static void fixture_close(struct fixture *f)
{
	http_pool_free(f->pool);
	script_server_close(&f->server);
	http_client_free(f->env.http);
	resolver_free(f->env.resolver);
	name_server_close(&f->names);
	event_base_free(f->base);
}

static void on_end(void *ctx, const struct http_end *e)
{
	static const char *const words[] = {[HTTP_ANSWERED] = "answered", [HTTP_FAILED] = "failed", [HTTP_OURS] = "ours"};
	struct fixture *f = ctx;

	f->ends++;
	f->is_html = e->is_html;
	f->times = e->times;
	snprintf(f->line, sizeof f->line, "%s %d%s%s", words[e->outcome], e->answer->status, *e->reason != '\0' ? ": " : "", e->reason);
	snprintf(f->body, sizeof f->body, "%.*s", (int)e->answer->body.len, e->answer->body.len > 0 ? (const char *)e->answer->body.data : "");
	snprintf(f->url, sizeof f->url, "%s", e->url);
	event_base_loopbreak(f->base);
}

static struct http_fetch *begin(struct fixture *f, const char *url)
{
	static const struct http_expect expect = {.body_max = 1000, .look_max = 1000};
	static struct sockaddr_storage address;
	struct http_request request = f->request;
	socklen_t len;

	resolve_literal(f->family == FAMILY_V4 ? "127.0.0.1" : "::1", &address, &len);
	request.url = url;
	request.family = f->family;
	request.address = (const struct sockaddr *)&address;
	request.timeout = f->timeout;
	request.expect = &expect;
	f->ends = 0;
	return http_fetch_start(&f->env, f->pool, &request, on_end, f);
}

/* A page of the server: what came of it is in the fixture. */
static const char *fetch(struct fixture *f, const char *scheme, const char *path)
{
	struct timeval limit = {20, 0};
	char url[300];

	snprintf(url, sizeof url, "%s://site.test:%u%s", scheme, f->server.port, path);
	begin(f, url);
	assert_int_equal(f->ends, 0);
	event_base_loopexit(f->base, &limit);
	event_base_dispatch(f->base);
	assert_int_equal(f->ends, 1);
	return f->line;
}

static void a_page_is_fetched_over_the_family(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f);
	script_set(&f.server, SCRIPT({SCRIPT_READ, "\r\n\r\n", 0},
		{SCRIPT_SEND, "HTTP/1.1 200 OK\r\nContent-Type: text/html; charset=x\r\nContent-Length: 5\r\n\r\nhello", 0}));
	for (int i = 0; i < 2; i++) {
		f.family = i == 0 ? FAMILY_V4 : FAMILY_V6;
		assert_string_equal(fetch(&f, "http", "/x"), "answered 200");
		assert_string_equal(f.body, "hello");
		assert_true(f.is_html);
		assert_true(f.times.connect > 0 && f.times.first_byte > 0 && f.times.total >= f.times.connect + f.times.first_byte);
	}
	script_set(&f.server, SCRIPT({SCRIPT_READ, "\r\n\r\n", 0},
		{SCRIPT_SEND, "HTTP/1.1 404 No\r\nContent-Type: image/png\r\nContent-Length: 0\r\n\r\n", 0}));
	assert_string_equal(fetch(&f, "http", "/x"), "answered 404");
	assert_false(f.is_html);
	fixture_close(&f);
}

static void redirects_are_followed_within_the_family(void **state)
{
	struct fixture f;
	char there[200];

	(void)state;
	fixture_open(&f);
	script_set(&f.server, SCRIPT({SCRIPT_READ, "GET /a ", 0},
		{SCRIPT_SEND, "HTTP/1.1 302 Found\r\nLocation: ../b d?c\r\nContent-Length: 0\r\n\r\n", 0}));
	script_then(&f.server, SCRIPT({SCRIPT_READ, "GET /b%20d?c ", 0}, {SCRIPT_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0}));
	assert_string_equal(fetch(&f, "http", "/a"), "answered 200");
	snprintf(there, sizeof there, "http://site.test:%u/b%%20d?c", f.server.port);
	assert_string_equal(f.url, there);

#define MOVED(location) SCRIPT({SCRIPT_READ, "\r\n\r\n", 0}, {SCRIPT_SEND, "HTTP/1.1 302 Found\r\nLocation: " location "\r\n\r\n", 0})
	script_set(&f.server, MOVED("/again"));
	fetch(&f, "http", "/a");
	assert_non_null(strstr(f.line, "/again: more than 5 redirects"));
	assert_int_equal(f.server.accepted, 2 + 1 + 5);
	script_set(&f.server, MOVED("ftp://site.test/"));
	assert_string_equal(fetch(&f, "http", "/a"), "failed 302: redirected to \"ftp://site.test/\", which is not followed");
	script_set(&f.server, MOVED("http://u:p@site.test/"));
	fetch(&f, "http", "/a");
	assert_non_null(strstr(f.line, "which is not followed"));
	script_set(&f.server, MOVED("http://[::1]/"));
	assert_string_equal(fetch(&f, "http", "/a"), "failed 302: redirected to http://[::1]/: not an IPv4 address");
	script_set(&f.server, MOVED("http://nx.test/"));
	assert_string_equal(fetch(&f, "http", "/a"), "failed 302: redirected to http://nx.test/: no such name");
	script_set(&f.server, MOVED("http://fail.test/"));
	fetch(&f, "http", "/a");
	assert_non_null(strstr(f.line, "ours 302: redirected to http://fail.test/: no resolver gave"));
	f.forbidden = "192.0.2.1";
	script_set(&f.server, MOVED("http://192.0.2.1/"));
	assert_string_equal(fetch(&f, "http", "/a"), "ours 302: redirected to http://192.0.2.1/: address is not allowed here");
	fixture_close(&f);
}

/* The address of the other server is that of a name server's "one". */
static void a_secret_stays_with_the_server_it_is_for(void **state)
{
	static const char *key[] = {"X-Key: k"};
	const struct config_texts headers = {.count = 1, .items = key};
	static const int codes[] = {307, 308, 302};
	struct fixture f;
	char answer[200];

	(void)state;
	fixture_open(&f);
	f.request.method = "POST";
	f.request.body = "password=1";
	f.request.headers = &headers;
	for (int i = 0; i < 6; i++) {
		bool has_secret = i % 2 == 1, keeps = codes[i / 2] != 302;

		f.request.has_secret = has_secret;
		snprintf(answer, sizeof answer, "HTTP/1.1 %d X\r\nLocation: http://one.test:%u/\r\n\r\n", codes[i / 2], f.server.port);
		script_set(&f.server, SCRIPT({SCRIPT_READ, "password=1", 0}, {SCRIPT_SEND, answer, 0}));
		script_then(&f.server, SCRIPT({SCRIPT_READ, keeps ? "password=1" : "\r\n\r\n", 0},
			{SCRIPT_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 0}));
		fetch(&f, "http", "/");
		if (has_secret && keeps)
			assert_non_null(strstr(f.line, "/: a secret would be sent to another server (status "));
		else
			assert_string_equal(f.line, "answered 200");
		assert_null(strstr(f.server.last, has_secret && keeps ? "one.test" : "X-Key"));
	}
	fixture_close(&f);
}

static void what_a_bad_peer_does_is_told(void **state)
{
#define ANSWER(...) SCRIPT({SCRIPT_READ, "\r\n\r\n", 0}, __VA_ARGS__)
	const struct {
		const struct script_step *script;
		const char *scheme, *words;
	} rows[] = {
		{ANSWER({SCRIPT_CLOSE, "", 0}), "http", "failed 0: closed by peer without an answer"},
		{ANSWER({SCRIPT_RESET, "", 0}), "http", "failed 0: connection lost before any answer: reset by peer"},
		{ANSWER({SCRIPT_SEND, "SSH-2.0\r\n", 0}, {SCRIPT_CLOSE, "", 0}), "http", "failed 0: the answer is not HTTP"},
		{ANSWER({SCRIPT_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", 0}, {SCRIPT_CLOSE, "", 0}), "http",
			"failed 200: closed by peer after 3 of 9 bytes of body"},
		{ANSWER({SCRIPT_SEND, "HTTP/1.1 200 OK\r\n", 0}, {SCRIPT_SEND, "X: 0123456789\r\n", 30000}), "http",
			"failed 200: more than 256 KiB of headers"},
		{ANSWER({SCRIPT_SEND, "HTTP/1.1 200 OK\r\n\r\n", 0}, {SCRIPT_SEND, "0123456789", 1000}), "http", "answered 200"},
		{SCRIPT({SCRIPT_READ, "", 0}, {SCRIPT_SEND, "HTTP/1.1 400 No\r\n\r\n", 0}, {SCRIPT_CLOSE, "", 0}), "https",
			"failed 0: TLS handshake failed: wrong version number"},
	};
	struct fixture f;

	(void)state;
	fixture_open(&f);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		script_set(&f.server, rows[i].script);
		assert_string_equal(fetch(&f, rows[i].scheme, "/"), rows[i].words);
	}
	script_set(&f.server, ANSWER({SCRIPT_SEND, "HTTP/1.1 200 OK\r\n\r\n", 0}, {SCRIPT_SEND, "0123456789", 1000}));
	fetch(&f, "http", "/");
	assert_int_equal(strlen(f.body), sizeof f.body - 1);
	fixture_close(&f);
}

static void a_fetch_has_an_end(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f);
	f.timeout = 100 * NS_PER_MS;
	script_set(&f.server, SCRIPT_SILENT);
	assert_non_null(strstr(fetch(&f, "http", "/"), " ms, no answer to the request within 100ms"));
	assert_non_null(strstr(fetch(&f, "https", "/"), " ms, TLS handshake not complete within 100ms"));
	script_set(&f.server, ANSWER({SCRIPT_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\na", 0}));
	assert_string_equal(fetch(&f, "http", "/"), "failed 200: answer not complete within 100ms (status 200, 1 bytes of body)");
	fixture_close(&f);
}

static void what_is_our_own_fault_is_told_apart(void **state)
{
	struct rlimit all, none;
	struct fixture f;

	(void)state;
	fixture_open(&f);
	f.forbidden = "127.0.0.1";
	assert_string_equal(fetch(&f, "http", "/"), "ours 0: address is not allowed here");
	f.forbidden = NULL;
	getrlimit(RLIMIT_NOFILE, &all);
	none = (struct rlimit){3, all.rlim_max};
	setrlimit(RLIMIT_NOFILE, &none);
	assert_string_equal(fetch(&f, "http", "/"), "ours 0: Too many open files");
	setrlimit(RLIMIT_NOFILE, &all);
	fixture_close(&f);
}

static void a_stopped_fetch_tells_nothing(void **state)
{
	struct timeval after = {0, 20000};
	struct fixture f;
	char url[100];

	(void)state;
	fixture_open(&f);
	script_set(&f.server, SCRIPT_SILENT);
	snprintf(url, sizeof url, "http://site.test:%u/", f.server.port);
	for (int turns = 0; turns < 8; turns++) {
		struct http_fetch *p = begin(&f, url);

		for (int i = 0; i < turns; i++)
			event_base_loop(f.base, EVLOOP_NONBLOCK);
		http_fetch_stop(p);
		event_base_loopexit(f.base, &after);
		event_base_dispatch(f.base);
		assert_int_equal(f.ends, 0);
	}
	http_fetch_stop(NULL);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_is_fetched_over_the_family),
		cmocka_unit_test(redirects_are_followed_within_the_family),
		cmocka_unit_test(a_secret_stays_with_the_server_it_is_for),
		cmocka_unit_test(what_a_bad_peer_does_is_told),
		cmocka_unit_test(a_fetch_has_an_end),
		cmocka_unit_test(what_is_our_own_fault_is_told_apart),
		cmocka_unit_test(a_stopped_fetch_tells_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
