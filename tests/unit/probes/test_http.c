#include "probes/http.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/bufferevent_ssl.h>
#include <event2/buffer.h>
#include <event2/listener.h>
#include <openssl/ssl.h>

#include "tests/support/pki.h"
#include "probes/catalog_http_steps.h"
#include "probes/credentials.h"
#include "tests/unit/probes/one_run.h"
#include "tests/unit/probes/script_server.h"

struct fixture {
	struct one_run one;
	struct script_server server;
	char url[64], text[2600];
};

static int setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof *f);

	/* what an environment may hold must not matter */
	setenv("http_proxy", "http://127.0.0.1:9/", 1);
	setenv("ALL_PROXY", "socks5://127.0.0.1:9/", 1);
	one_run_open(&f->one);
	script_server_open(&f->server, f->one.base);
	snprintf(f->url, sizeof f->url, "url=http://localhost:%u/", f->server.port);
	f->one.families = RUN_V4;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	script_server_close(&f->server);
	one_run_close(&f->one);
	free(f);
	return 0;
}

#define OK_HEAD "HTTP/1.1 200 OK\r\nServer: script\r\nContent-Length: "
#define REQUEST {SCRIPT_READ, "\r\n\r\n", 0}
#define ANSWER(text) script_set(&f->server, SCRIPT(REQUEST, {SCRIPT_SEND, text, 0}))

static void both_families_are_measured_with_all_phases(void **state)
{
	struct fixture *f = *state;

	f->one.families = RUN_BOTH;
	ANSWER(OK_HEAD "5\r\n\r\nhello");
	one_run_of(&f->one, &http_probe, f->url);
	assert_lines(&f->one, "IPv4 127.0.0.1 up", "IPv6 ::1 up");
	for (size_t i = 0; i < 2; i++) {
		double connect = one_run_value(&f->one, i, HTTP_CONNECT), first = one_run_value(&f->one, i, HTTP_FIRST_BYTE);
		double total = one_run_value(&f->one, i, HTTP_TOTAL);

		assert_true(one_run_value(&f->one, i, HTTP_RESOLVE) == 0);
		assert_true(connect > 0 && first > 0 && total >= connect + first && total < 2);
		assert_true(one_run_value(&f->one, i, HTTP_STATUS) == 200);
		assert_true(one_run_value(&f->one, i, HTTP_BODY_BYTES) == 5);
		assert_true(one_run_value(&f->one, i, HTTP_REDIRECTS) == 0);
		assert_true(isnan(one_run_value(&f->one, i, HTTP_TLS)) != 0);
		assert_true(isnan(one_run_value(&f->one, i, HTTP_CERT_DAYS)) != 0);
	}
	assert_int_equal(f->server.accepted, 2);
}

static void resolving_is_part_of_the_total(void **state)
{
	struct fixture *f = *state;

	ANSWER(OK_HEAD "0\r\n\r\n");
	snprintf(f->text, sizeof f->text, "url=http://one.test:%u/", f->server.port);
	one_run_of(&f->one, &http_probe, f->text);
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	assert_true(one_run_value(&f->one, 0, HTTP_RESOLVE) > 0);
	assert_true(one_run_value(&f->one, 0, HTTP_TOTAL) > one_run_value(&f->one, 0, HTTP_RESOLVE));
}

/* The request holds what was asked for and nothing that was kept or taken from elsewhere. */
static void a_request_is_the_same_every_time(void **state)
{
	struct fixture *f = *state;
	char expected[200];

	snprintf(expected, sizeof expected,
		"GET /path?q=1 HTTP/1.1\r\nHost: localhost:%u\r\nUser-Agent: xunjian\r\nAccept: */*\r\n\r\n", f->server.port);
	snprintf(f->text, sizeof f->text, "%spath?q=1#part", f->url);
	for (int i = 0; i < 3; i++) {
		ANSWER("HTTP/1.1 200 OK\r\nSet-Cookie: a=b\r\nAlt-Svc: h3=\":9\"\r\nContent-Length: 0\r\n\r\n");
		one_run_of(&f->one, &http_probe, f->text);
		assert_string_equal(f->server.last, expected);
	}
	assert_int_equal(f->server.accepted, 3);
}

static void methods_bodies_and_headers_are_sent(void **state)
{
	struct fixture *f = *state;

	script_set(&f->server, SCRIPT({SCRIPT_READ, "x=1&y=2", 0}, {SCRIPT_SEND, OK_HEAD "2\r\n\r\nok", 0}));
	one_run_of(&f->one, &http_probe, f->url, "method=POST", "body=x=1&y=2", "headers=X-One: 1",
		"headers=Content-Type: text/plain");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	assert_non_null(strstr(f->server.last, "POST / HTTP/1.1\r\n"));
	assert_non_null(strstr(f->server.last, "X-One: 1\r\nContent-Type: text/plain\r\nContent-Length: 7\r\n\r\nx=1&y=2"));
	ANSWER(OK_HEAD "2000000\r\n\r\n");
	one_run_of(&f->one, &http_probe, f->url, "method=HEAD");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	assert_non_null(strstr(f->server.last, "HEAD / HTTP/1.1\r\n"));
}

static void conditions_decide(void **state)
{
	struct fixture *f = *state;

	ANSWER("HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\ngone");
	one_run_of(&f->one, &http_probe, f->url);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: status 404, expected 200-399");
	assert_true(one_run_value(&f->one, 0, HTTP_STATUS) == 404);
	assert_true(one_run_value(&f->one, 0, HTTP_TOTAL) > 0);
	one_run_of(&f->one, &http_probe, f->url, "status=404");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	one_run_of(&f->one, &http_probe, f->url, "status=404", "expect_body=~^g..e$");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	one_run_of(&f->one, &http_probe, f->url, "status=404", "expect_body=hello");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: the body does not hold \"hello\"");
	one_run_of(&f->one, &http_probe, f->url, "status=404", "forbid_body=gone");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: the body holds \"gone\"");
	one_run_of(&f->one, &http_probe, f->url, "status=404", "expect_header=Server: nginx");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: no header \"Server: nginx\"");
}

static void chunks_and_interim_answers_are_understood(void **state)
{
	struct fixture *f = *state;

	ANSWER("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
		"5\r\nhello\r\n6\r\n world\r\n0\r\n\r\n");
	one_run_of(&f->one, &http_probe, f->url, "expect_body=hello world");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	assert_true(one_run_value(&f->one, 0, HTTP_BODY_BYTES) == 11);
	script_set(&f->server, SCRIPT(REQUEST, {SCRIPT_SEND, "HTTP/1.0 200 OK\r\n\r\nto the end", 0}, {SCRIPT_CLOSE, "", 0}));
	one_run_of(&f->one, &http_probe, f->url, "expect_body=to the end");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	script_set(&f->server, SCRIPT(REQUEST, {SCRIPT_DRIP, OK_HEAD "2\r\n\r\nok", 0}));
	one_run_of(&f->one, &http_probe, f->url, "expect_body=ok");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
}

/* A content coding that nobody asked for is bytes like others. */
static void a_coded_body_is_not_undone(void **state)
{
	struct fixture *f = *state;

	ANSWER("HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: 3\r\n\r\nnot");
	one_run_of(&f->one, &http_probe, f->url, "expect_body=not");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
}

static void a_connection_that_breaks_says_where(void **state)
{
	static const struct {
		const char *text;
		enum script_verb then;
		const char *words;
	} rows[] = {
		{"", SCRIPT_CLOSE, "closed by peer without an answer"},
		{"", SCRIPT_RESET, "connection lost before any answer: reset by peer"},
		{"HTTP/1.1 200 OK\r\nServer: x\r\n", SCRIPT_RESET, "connection lost inside the answer: reset by peer"},
		{OK_HEAD "100\r\n\r\nhalf", SCRIPT_RESET, "connection lost inside the body: reset by peer"},
		{OK_HEAD "100\r\n\r\nhalf", SCRIPT_CLOSE, "closed by peer after 4 of 100 bytes of body"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhel", SCRIPT_CLOSE,
			"closed by peer inside the body"},
		{"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\nhello\r\n", SCRIPT_CLOSE,
			"the body's chunks make no sense"},
		{"HTTP/1.1 200 OK\r\nServer: x\r\n", SCRIPT_CLOSE, "closed by peer inside the headers"},
		{"HTTP/1.1 200 OK\r\nContent-Le", SCRIPT_CLOSE, "closed by peer inside the headers"},
		{"220 mail.example ESMTP\r\n", SCRIPT_CLOSE, "the answer is not HTTP"},
		{"HTTP/9.9 200 OK\r\n\r\n", SCRIPT_CLOSE, "the answer is not HTTP"},
		{"HTTP/1.1 2000 OK\r\n\r\n", SCRIPT_CLOSE, "the answer is not HTTP"},
	};
	struct fixture *f = *state;
	char expected[200];

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		script_set(&f->server, SCRIPT(REQUEST, {SCRIPT_SEND, rows[i].text, 0}, {rows[i].then, "", 0}));
		one_run_of(&f->one, &http_probe, f->url);
		snprintf(expected, sizeof expected, "IPv4 127.0.0.1 down: %s", rows[i].words);
		assert_lines(&f->one, expected);
	}
}

/* Whenever the RST comes in, the words differ and the outcome does not. */
static void a_reset_at_once_is_down(void **state)
{
	struct fixture *f = *state;

	f->one.families = RUN_BOTH;
	for (int i = 0; i < 50; i++) {
		script_set(&f->server, SCRIPT({SCRIPT_RESET, "", 0}));
		one_run_of(&f->one, &http_probe, f->url);
		for (size_t k = 0; k < 2; k++) {
			assert_int_equal(f->one.results[k].outcome, OUTCOME_DOWN);
			assert_non_null(strstr(f->one.lines[k], "down: connection "));
		}
	}
	print_message("%s\n", f->one.lines[0]);
}

static void silence_says_how_far_it_got(void **state)
{
	static const struct {
		const char *text, *words;
	} rows[] = {
		{"", "no answer to the request within 100ms"},
		{"HTTP/1.1 200 OK\r\nServer: x\r\n", "answer not complete within 100ms (status 200, 0 bytes of body)"},
		{OK_HEAD "100\r\n\r\nhalf", "answer not complete within 100ms (status 200, 4 bytes of body)"},
	};
	struct fixture *f = *state;

	f->one.timeout = 100 * NS_PER_MS;
	for (size_t i = 0; i < 3; i++) {
		script_set(&f->server, SCRIPT(REQUEST, {SCRIPT_SEND, rows[i].text, 0}));
		one_run_of(&f->one, &http_probe, f->url);
		assert_non_null(strstr(f->one.lines[0], "IPv4 127.0.0.1 down: "));
		assert_non_null(strstr(f->one.lines[0], rows[i].words));
		assert_true(one_run_value(&f->one, 0, HTTP_CONNECT) > 0);
	}
	script_set(&f->server, SCRIPT_SILENT);
	snprintf(f->text, sizeof f->text, "url=https://localhost:%u/", f->server.port);
	one_run_of(&f->one, &http_probe, f->text);
	assert_non_null(strstr(f->one.lines[0], " ms, TLS handshake not complete within 100ms"));
}

static void a_closed_port_is_refused(void **state)
{
	struct fixture *f = *state;

	f->one.families = RUN_BOTH;
	ANSWER(OK_HEAD "0\r\n\r\n");
	event_del(f->server.accepts[0]);
	close(f->server.listeners[0]);
	one_run_of(&f->one, &http_probe, f->url);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: connection refused", "IPv6 ::1 up");
	f->server.listeners[0] = dup(f->server.listeners[1]);
}

static void too_much_is_cut_or_refused(void **state)
{
	struct fixture *f = *state;

	script_set(&f->server, SCRIPT(REQUEST, {SCRIPT_SEND, "HTTP/1.1 200 OK\r\n\r\n", 0}, {SCRIPT_SEND, "0123456789abcdef", 100000}));
	one_run_of(&f->one, &http_probe, f->url, "body_max=64KiB");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	assert_true(one_run_value(&f->one, 0, HTTP_BODY_BYTES) == 65536);
	one_run_of(&f->one, &http_probe, f->url, "body_max=64KiB", "expect_body=needle");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: the body does not hold \"needle\" in its first 64KiB");
	script_set(&f->server, SCRIPT(REQUEST, {SCRIPT_SEND, "HTTP/1.1 200 OK\r\n", 0},
		{SCRIPT_SEND, "X-Flood: 0123456789abcdef0123456789abcdef\r\n", 10000}));
	one_run_of(&f->one, &http_probe, f->url);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: more than 256 KiB of headers");
}

static void a_body_of_json_is_judged(void **state)
{
	struct fixture *f = *state;

	ANSWER(OK_HEAD "27\r\n\r\n{\"status\":\"ok\",\"queue\":120}");
	one_run_of(&f->one, &http_probe, f->url, "json=$.status == 'ok'", "json=$.queue <= 120");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	one_run_of(&f->one, &http_probe, f->url, "json=$.status == 'ok'", "json=$.queue < 100");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: $.queue is 120, expected < 100");
	ANSWER(OK_HEAD "4\r\n\r\n<htm");
	one_run_of(&f->one, &http_probe, f->url, "json=$");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: the body is not JSON: line 1: invalid token near '<'");
	script_set(&f->server, SCRIPT(REQUEST, {SCRIPT_SEND, "HTTP/1.1 200 OK\r\n\r\n", 0}, {SCRIPT_SEND, "[0123456789abcde", 100000}));
	one_run_of(&f->one, &http_probe, f->url, "json=$");
	assert_lines(&f->one, "IPv4 127.0.0.1 unknown: the body is longer than what is read of it as JSON (128 KiB, and body_max)");
}

/* ---- steps */

static const struct credential *find_secret(void *ctx, const char *id)
{
	static const char *hosts[] = {"localhost"};
	static const struct credential known = {.id = "key", .secret = "k=1&", .hosts = {.count = 1, .items = hosts}};

	(void)ctx;
	return strcmp(id, "key") == 0 ? &known : NULL;
}

#define STEPS_URL (f->one.env.credential = find_secret, f->url)
#define NO_MORE "Content-Length: 0\r\n\r\n"

static void steps_carry_cookies_and_values_on(void **state)
{
	struct fixture *f = *state;

	script_set(&f->server, SCRIPT({SCRIPT_READ, "GET /in HTTP/1.1\r\n", 0}, {SCRIPT_SEND, "HTTP/1.1 200 OK\r\nSet-Cookie: sid=abc; Path=/\r\nX-Next: /go/7\r\n"
		"Content-Length: 12\r\n\r\n{\"t\": \"a b\"}", 0}));
	script_then(&f->server, SCRIPT({SCRIPT_READ, "k%3D1%26", 0}, {SCRIPT_SEND, "HTTP/1.1 302 Found\r\nLocation: /out\r\nSet-Cookie: sid=new; Path=/\r\n" NO_MORE, 0}));
	script_then(&f->server, SCRIPT({SCRIPT_READ, "GET /out HTTP/1.1\r\n", 0}, {SCRIPT_SEND, OK_HEAD "4\r\n\r\na b!", 0}));
	one_run_of(&f->one, &http_steps_probe, STEPS_URL, "steps=in: GET in", "steps=take token = json $.t", "steps=take next = header X-Next", "steps=do: POST ${next}?q=${token}",
		"steps=form t=${token}", "steps=form key=${secret:key}", "steps=header X-Key: ${secret:key}", "steps=expect ${token}!", "headers=X-All: 1");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	assert_non_null(strstr(f->server.last, "Cookie: sid=new\r\n"));
	assert_non_null(strstr(f->server.last, "X-Key: k=1&\r\n")); /* the same server */
	assert_non_null(strstr(f->server.last, "X-All: 1\r\n"));
	assert_true(one_run_value(&f->one, 0, HTTP_STEPS_DONE) == 2);
	assert_true(one_run_value(&f->one, 0, HTTP_STEPS_REDIRECTS) == 1);
	assert_true(one_run_value(&f->one, 0, HTTP_STEPS_TIME) > 0 && one_run_value(&f->one, 0, HTTP_STEPS_TIME + 1) > 0);
	assert_true(isnan(one_run_value(&f->one, 0, HTTP_STEPS_TIME + 2)) != 0);
	assert_int_equal(f->server.accepted, 3);
	ANSWER(OK_HEAD "0\r\n\r\n");
	one_run_of(&f->one, &http_steps_probe, f->url, "steps=in: GET /");
	assert_null(strstr(f->server.last, "Cookie")); /* of another run */
}

static void what_a_step_sends_is_as_written(void **state)
{
	static const struct { const char *step, *more, *sent; } rows[] = {
		{"steps=a: PUT /x", "steps=body {\"k\": \"${secret:key}\"}", "PUT /x HTTP/1.1\r\n|Content-Type: application/json\r\n|{\"k\": \"k=1&\"}"},
		{"steps=a: POST /", "steps=body plain", "POST / HTTP/1.1\r\n|Content-Length: 5\r\n|plain"},
		{"steps=a: DELETE /x", "steps=status 200", "DELETE /x HTTP/1.1\r\n"}, {"steps=a: POST /", "steps=status 200", "POST / HTTP/1.1\r\n|Content-Length: 0\r\n"},
		{"steps=a: PATCH ?y", "steps=form a b=1 2", "PATCH /?y HTTP/1.1\r\n|a%20b=1%202"}, {"steps=a: GET /", "steps=header X: 1", "GET / HTTP/1.1\r\n|X: 1\r\n"}};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		char sent[200], *rest = sent, *piece;

		snprintf(sent, sizeof sent, "%s", strrchr(rows[i].sent, '|') != NULL ? strrchr(rows[i].sent, '|') + 1 : "\r\n\r\n");
		script_set(&f->server, SCRIPT({SCRIPT_READ, sent, 0}, {SCRIPT_SEND, OK_HEAD "0\r\n\r\n", 0}));
		one_run_of(&f->one, &http_steps_probe, STEPS_URL, rows[i].step, rows[i].more);
		assert_lines(&f->one, "IPv4 127.0.0.1 up");
		snprintf(sent, sizeof sent, "%s", rows[i].sent);
		while ((piece = strsep(&rest, "|")) != NULL) {
			if (strstr(f->server.last, piece) == NULL)
				fail_msg("%s: %s", piece, f->server.last);
		}
	}
}

static void the_step_that_fails_is_named(void **state)
{
	static const struct { const char *more, *line; } rows[] = {
		{"steps=status 201", "down: step 2 (b): status 200, expected 201"}, {"steps=take x = json $.y", "down: step 2 (b): take x: $.y is not there"},
		{"steps=take x = body ~(z)", "down: step 2 (b): take x: the pattern does not occur in the body"}, {"steps=take x = header Y", "down: step 2 (b): take x: no header Y"},
		{"steps=take x = header Server ~(q)", "down: step 2 (b): take x: no header Server that fits"}, {"steps=take x = json $.tab", "down: step 2 (b): take x: a text with control characters, or not UTF-8"},
		{"steps=header X: ${secret:none}", "unknown: step 2 (b): this agent has no secret \"none\""}, {"steps=c: GET http://127.0.0.1:1/", "down: step 3 (c): connection refused"},
		{"steps=c: GET http://[::1]/", "down: step 3 (c): not an IPv4 address"}, {"steps=c: GET http://nx.test/", "down: step 3 (c): no such name"},
		{"steps=c: GET http://fail.test/", "unknown: step 3 (c): no resolver gave a usable answer"}, {"steps=c: GET http://192.0.2.66/", "unknown: step 3 (c): address is not allowed here"},
		{"steps=c: GET ${v}x", "down: step 3 (c): not an address to fetch"}, {"steps=expect y", "down: step 2 (b): the body does not hold \"y\""}};
	struct fixture *f = *state;

	f->one.forbidden = "192.0.2.66";
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		ANSWER("HTTP/1.1 200 OK\r\nServer: script\r\nX-V: ftp://\r\nContent-Length: 16\r\n\r\n{\"tab\":\"\\u0009\"}");
		one_run_of(&f->one, &http_steps_probe, STEPS_URL, "steps=a: GET /", "steps=take v = header X-V", "steps=b: GET /", rows[i].more);
		if (strstr(f->one.lines[0], rows[i].line) == NULL)
			fail_msg("%s: %s", rows[i].more, f->one.lines[0]);
		assert_true(one_run_value(&f->one, 0, HTTP_STEPS_TIME) > 0);
	}
	f->one.timeout = 200 * NS_PER_MS;
	ANSWER(OK_HEAD "0\r\n\r\n");
	script_then(&f->server, SCRIPT_SILENT);
	one_run_of(&f->one, &http_steps_probe, STEPS_URL, "steps=a: GET /", "steps=b: GET /");
	assert_non_null(strstr(f->one.lines[0], "IPv4 127.0.0.1 down: step 2 (b): connected in "));
	assert_non_null(strstr(f->one.lines[0], " ms, no answer to the request within 200ms"));
	assert_true(one_run_value(&f->one, 0, HTTP_STEPS_DONE) == 1);
}

/* The other host is this server as well, by another name. */
static void another_server_gets_neither_secrets_nor_headers(void **state)
{
	struct fixture *f = *state;
	char step[100], answer[200];

	snprintf(step, sizeof step, "steps=b: POST http://one.test:%u/", f->server.port);
	ANSWER("HTTP/1.1 200 OK\r\nSet-Cookie: sid=1\r\n" NO_MORE);
	one_run_of(&f->one, &http_steps_probe, STEPS_URL, "steps=a: GET /", step, "headers=X-All: 1");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	assert_null(strstr(f->server.last, "X-All"));
	assert_null(strstr(f->server.last, "Cookie"));
	one_run_of(&f->one, &http_steps_probe, STEPS_URL, "steps=a: GET /", step, "steps=form k=${secret:key}");
	assert_lines(&f->one, "IPv4 127.0.0.1 unknown: step 2 (b): this agent does not send the secret \"key\" to one.test");
	snprintf(answer, sizeof answer, "HTTP/1.1 307 X\r\nLocation: http://one.test:%u/\r\n" NO_MORE, f->server.port);
	script_set(&f->server, SCRIPT({SCRIPT_READ, "k=k%3D1%26", 0}, {SCRIPT_SEND, answer, 0}));
	one_run_of(&f->one, &http_steps_probe, STEPS_URL, "steps=a: POST /", "steps=form k=${secret:key}");
	assert_non_null(strstr(f->one.lines[0], "/: a secret would be sent to another server (status 307)"));
}

static const struct credential *find_open_secret(void *ctx, const char *id)
{
	static const struct credential known = {.id = "key", .secret = "k=1&"};

	(void)ctx;
	return strcmp(id, "key") == 0 ? &known : NULL;
}

/* Without a list of servers a secret goes where the check says, never where an answer says. */
static void an_answer_cannot_say_where_a_secret_goes(void **state)
{
	struct fixture *f = *state;
	char step[100], answer[200];

	snprintf(step, sizeof step, "steps=b: POST http://one.test:%u/", f->server.port);
	ANSWER("HTTP/1.1 200 OK\r\n" NO_MORE);
	f->one.env.credential = find_open_secret;
	one_run_of(&f->one, &http_steps_probe, f->url, "steps=a: GET /", step, "steps=form k=${secret:key}");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nLocation: http://one.test:%u/\r\n" NO_MORE, f->server.port);
	ANSWER(answer);
	one_run_of(&f->one, &http_steps_probe, f->url, "steps=a: GET /", "steps=take to = header Location", "steps=b: POST ${to}",
		"steps=form k=${secret:key}");
	assert_lines(&f->one, "IPv4 127.0.0.1 unknown: step 2 (b): this agent does not send the secret \"key\" to one.test without TLS");
	snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nLocation: http://localhost:%u/x\r\n" NO_MORE, f->server.port);
	ANSWER(answer);
	one_run_of(&f->one, &http_steps_probe, f->url, "steps=a: GET /", "steps=take to = header Location", "steps=b: POST ${to}",
		"steps=form k=${secret:key}");
	assert_lines(&f->one, "IPv4 127.0.0.1 up"); /* its own server */
}

static const struct credential *find_long_secret(void *ctx, const char *id)
{
	static const struct credential known = {.id = "key", .secret = "s3cret&0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789"};

	(void)ctx, (void)id;
	return &known;
}

/* A server that sends back what it was sent: as a redirect, in JSON, cut by the length of words. */
static void a_secret_is_in_no_words(void **state)
{
	static const struct { const char *answer, *more, *words; } rows[] = {
		{"HTTP/1.1 302 X\r\nLocation: ftp://x/s3cret&0123?t=1\r\n\r\n", "steps=status 200", "redirected to \"ftp://x/***\", which is no"},
		{"HTTP/1.1 302 X\r\nLocation: /k=s3cret%260123456789%200123456789%200123456789\r\nContent-Length: 0\r\n\r\n", "steps=redirects 1", "/k=***: more than 1 redirects"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"a\":\"s3cret&0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 0123456789 01234567\"}",
			"steps=json $.a == 'b'", "$.a is \"***\", expected == 'b'"}};
	struct fixture *f = *state;

	f->one.env.credential = find_long_secret;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		ANSWER(rows[i].answer);
		one_run_of(&f->one, &http_steps_probe, f->url, "steps=a: POST /", "steps=form k=${secret:key}", rows[i].more);
		if (strstr(f->one.lines[0], rows[i].words) == NULL || strstr(f->one.lines[0], "s3cret") != NULL)
			fail_msg("%s", f->one.lines[0]);
	}
}

static void steps_may_be_cancelled_at_any_moment(void **state)
{
	struct fixture *f = *state;
	const char *const texts[] = {f->url, "steps=a: GET /", "steps=take x = header Server", "steps=b: GET /", "steps=json $.x", NULL};

	ANSWER(OK_HEAD "7\r\n\r\n{\"x\":1}");
	for (int steps = 0; steps < 40; steps++) {
		struct run_group *g = one_run_begin(&f->one, &http_steps_probe, texts);

		for (int i = 0; i < steps && !f->one.done; i++)
			event_base_loop(f->one.base, EVLOOP_ONCE);
		if (!f->one.done)
			run_group_cancel(g);
		assert_int_equal(runner_running(f->one.runner), 0);
	}
}

/* ---- redirects */

static void redirect_to(struct fixture *f, const char *location)
{
	snprintf(f->text, sizeof f->text, "HTTP/1.1 302 Found\r\nLocation: %s\r\nContent-Length: 1000000\r\n\r\n", location);
	script_set(&f->server, SCRIPT(REQUEST, {SCRIPT_SEND, f->text, 0}));
}

static void a_redirect_is_followed_and_summed(void **state)
{
	struct fixture *f = *state;

	redirect_to(f, "deeper/./x?y");
	script_then(&f->server, SCRIPT(REQUEST, {SCRIPT_SEND, OK_HEAD "4\r\n\r\nhere", 0}));
	one_run_of(&f->one, &http_probe, f->url, "expect_body=here", "headers=X-Key: secret");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	assert_non_null(strstr(f->server.last, "GET /deeper/x?y HTTP/1.1\r\n"));
	assert_non_null(strstr(f->server.last, "X-Key: secret\r\n")); /* the same origin */
	assert_true(one_run_value(&f->one, 0, HTTP_REDIRECTS) == 1);
	assert_true(one_run_value(&f->one, 0, HTTP_BODY_BYTES) == 4);
	assert_int_equal(f->server.accepted, 2);
}

static void another_host_is_resolved_and_gets_no_secrets(void **state)
{
	struct fixture *f = *state;
	char location[100];

	snprintf(location, sizeof location, "http://one.test:%u/", f->server.port);
	redirect_to(f, location);
	script_then(&f->server, SCRIPT(REQUEST, {SCRIPT_SEND, OK_HEAD "0\r\n\r\n", 0}));
	one_run_of(&f->one, &http_probe, f->url, "headers=X-Key: secret");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	assert_non_null(strstr(f->server.last, "Host: one.test:"));
	assert_null(strstr(f->server.last, "X-Key"));
	assert_true(one_run_value(&f->one, 0, HTTP_RESOLVE) > 0);
}

/* What a hop sets goes to the hops behind it that it is for, and dies with the run. */
static void cookies_go_along_redirects_to_where_they_belong(void **state)
{
	struct fixture *f = *state;
	char there[300], back[200];

	for (int i = 0; i < 3; i++) {
		script_set(&f->server, SCRIPT(REQUEST, {SCRIPT_SEND, "HTTP/1.1 302 Found\r\nLocation: /\r\nSet-Cookie: seen=1\r\n" NO_MORE, 0}));
		script_then(&f->server, SCRIPT({SCRIPT_READ, "Cookie: seen=1\r\n", 0}, {SCRIPT_SEND, OK_HEAD "0\r\n\r\n", 0}));
		one_run_of(&f->one, &http_probe, f->url, "redirects=1");
		assert_lines(&f->one, "IPv4 127.0.0.1 up");
		ANSWER(OK_HEAD "0\r\n\r\n");
		one_run_of(&f->one, &http_probe, f->url); /* by the same handle */
		assert_null(strstr(f->server.last, "Cookie"));
	}
	snprintf(there, sizeof there, "HTTP/1.1 302 Found\r\nLocation: http://one.test:%u/\r\nSet-Cookie: a=1; Path=/\r\nSet-Cookie: b=2; Domain=test\r\n"
		"Set-Cookie: c=3; Secure; Domain=one.test\r\nSet-Cookie: d=4; Path=/deep\r\n" NO_MORE, f->server.port);
	snprintf(back, sizeof back, "HTTP/1.1 302 Found\r\nLocation: %s\r\nSet-Cookie: a=other\r\n" NO_MORE, f->url + 4);
	script_set(&f->server, SCRIPT(REQUEST, {SCRIPT_SEND, there, 0}));
	script_then(&f->server, SCRIPT(REQUEST, {SCRIPT_SEND, back, 0}));
	one_run_of(&f->one, &http_probe, f->url, "redirects=1");
	assert_null(strstr(f->server.last, "Cookie")); /* of the other host */
	script_set(&f->server, SCRIPT(REQUEST, {SCRIPT_SEND, there, 0}));
	script_then(&f->server, SCRIPT(REQUEST, {SCRIPT_SEND, back, 0}));
	script_then(&f->server, SCRIPT(REQUEST, {SCRIPT_SEND, OK_HEAD "0\r\n\r\n", 0}));
	one_run_of(&f->one, &http_probe, f->url);
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	assert_non_null(strstr(f->server.last, "Cookie: a=1\r\n"));
}

static void cookies_of_the_check_and_of_the_server_are_one_line(void **state)
{
	struct fixture *f = *state;

	script_set(&f->server, SCRIPT({SCRIPT_READ, "\r\nCookie: a=1; b=2\r\n", 0},
		{SCRIPT_SEND, "HTTP/1.1 302 Found\r\nLocation: /\r\nSet-Cookie: c=3\r\n" NO_MORE, 0}));
	script_then(&f->server, SCRIPT(REQUEST, {SCRIPT_SEND, OK_HEAD "0\r\n\r\n", 0}));
	one_run_of(&f->one, &http_probe, f->url, "headers=Cookie: a=1", "headers=cookie:b=2", "headers=X-Key: k");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	assert_non_null(strstr(f->server.last, "\r\nCookie: c=3; a=1; b=2\r\n"));
	assert_non_null(strstr(f->server.last, "\r\nX-Key: k\r\n"));
	ANSWER(OK_HEAD "0\r\n\r\n");
	one_run_of(&f->one, &http_probe, f->url, "headers=Cookie: a=1", "redirects=0");
	assert_non_null(strstr(f->server.last, "\r\nCookie: a=1\r\n"));
}

/* libcurl takes 50 of an answer; what one server sets takes nothing from another check. */
static void many_cookies_are_one_servers_affair(void **state)
{
	struct fixture *f = *state;
	char many[4000];
	int n = snprintf(many, sizeof many, "HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n");

	for (int i = 0; i < 60; i++)
		n += snprintf(many + n, sizeof many - (size_t)n, "Set-Cookie: c%d=%d\r\n", i, i);
	snprintf(many + n, sizeof many - (size_t)n, "\r\n");
	script_set(&f->server, SCRIPT(REQUEST, {SCRIPT_SEND, many, 0}));
	script_then(&f->server, SCRIPT(REQUEST, {SCRIPT_SEND, OK_HEAD "0\r\n\r\n", 0}));
	one_run_of(&f->one, &http_probe, f->url);
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	assert_non_null(strstr(f->server.last, "c0=0"));
	assert_non_null(strstr(f->server.last, "c49=49"));
	memcpy(many, "HTTP/1.1 200 Found", 18);
	script_set(&f->server, SCRIPT(REQUEST, {SCRIPT_SEND, many, 0}));
	one_run_of(&f->one, &http_probe, f->url);
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	script_set(&f->server, SCRIPT(REQUEST, {SCRIPT_SEND, "HTTP/1.1 302 Found\r\nLocation: /\r\nSet-Cookie: seen=1\r\n" NO_MORE, 0}));
	script_then(&f->server, SCRIPT(REQUEST, {SCRIPT_SEND, OK_HEAD "0\r\n\r\n", 0}));
	one_run_of(&f->one, &http_probe, f->url);
	assert_non_null(strstr(f->server.last, "Cookie: seen=1\r\n"));
}

static void a_post_becomes_a_get_where_it_must(void **state)
{
	static const struct {
		int status;
		bool keeps;
	} rows[] = {{301, false}, {302, false}, {303, false}, {307, true}, {308, true}};
	struct fixture *f = *state;

	for (size_t i = 0; i < 5; i++) {
		snprintf(f->text, sizeof f->text, "HTTP/1.1 %d X\r\nLocation: /b\r\nContent-Length: 0\r\n\r\n", rows[i].status);
		script_set(&f->server, SCRIPT({SCRIPT_READ, "k=v", 0}, {SCRIPT_SEND, f->text, 0}));
		script_then(&f->server, SCRIPT({SCRIPT_READ, rows[i].keeps ? "k=v" : "\r\n\r\n", 0}, {SCRIPT_SEND, OK_HEAD "0\r\n\r\n", 0}));
		one_run_of(&f->one, &http_probe, f->url, "method=POST", "body=k=v");
		assert_lines(&f->one, "IPv4 127.0.0.1 up");
		assert_int_equal(strncmp(f->server.last, rows[i].keeps ? "POST /b " : "GET /b ", 7), 0);
	}
}

static void redirects_end(void **state)
{
	struct fixture *f = *state;
	char expected[200];

	redirect_to(f, "/again");
	one_run_of(&f->one, &http_probe, f->url, "redirects=3");
	snprintf(expected, sizeof expected, "IPv4 127.0.0.1 down: redirected to http://localhost:%u/again: more than 3 redirects",
		f->server.port);
	assert_lines(&f->one, expected);
	assert_int_equal(f->server.accepted, 4);
	ANSWER("HTTP/1.1 302 Found\r\nLocation: /again\r\nContent-Length: 0\r\n\r\n");
	one_run_of(&f->one, &http_probe, f->url, "redirects=0", "status=302");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
}

static void a_redirect_is_checked_like_a_check(void **state)
{
	static const struct {
		const char *location, *words;
		enum outcome outcome;
	} rows[] = {
		{"ftp://localhost/x", "redirected to \"ftp://localhost/x\", which is not followed", OUTCOME_DOWN},
		{"file:///etc/passwd", "which is not followed", OUTCOME_DOWN},
		{"gopher://localhost:70/_x", "which is not followed", OUTCOME_DOWN},
		{"javascript:alert(1)", "which is no", OUTCOME_DOWN},
		{"http://user:secret@localhost/", "which is not followed", OUTCOME_DOWN},
		{"http://", "which is no address to follow", OUTCOME_DOWN},
		{"http://localhost:99999/", "which is no address to follow", OUTCOME_DOWN},
		{"http://nx.test/", "redirected to http://nx.test/: no such name", OUTCOME_DOWN},
		{"http://fail.test/", "redirected to http://fail.test/: no resolver gave a usable answer", OUTCOME_UNKNOWN},
		{"http://[::1]/", "redirected to http://[::1]/: not an IPv4 address", OUTCOME_DOWN},
		{"http://192.0.2.66/", "redirected to http://192.0.2.66/: address is not allowed here", OUTCOME_UNKNOWN},
		{"http://0xc0000242/", "address is not allowed here", OUTCOME_UNKNOWN},
		{"http://3221226050/", "address is not allowed here", OUTCOME_UNKNOWN},
		{"//192.0.2.66/", "address is not allowed here", OUTCOME_UNKNOWN},
	};
	struct fixture *f = *state;

	f->one.forbidden = "192.0.2.66";
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		redirect_to(f, rows[i].location);
		one_run_of(&f->one, &http_probe, f->url);
		if (strstr(f->one.lines[0], rows[i].words) == NULL)
			fail_msg("%s: %s", rows[i].location, f->one.lines[0]);
		assert_int_equal(f->one.results[0].outcome, rows[i].outcome);
		assert_true(one_run_value(&f->one, 0, HTTP_STATUS) == 302);
	}
	memset(f->text, 'a', sizeof f->text);
	memcpy(f->text, "HTTP/1.1 302 X\r\nLocation: /", 27);
	memcpy(f->text + sizeof f->text - 5, "\r\n\r\n", 5);
	script_set(&f->server, SCRIPT(REQUEST, {SCRIPT_SEND, f->text, 0}));
	one_run_of(&f->one, &http_probe, f->url);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: redirected to an address of more than 2048 bytes");
}

/* An answer that sends the agent to a name of another family only. */
static void a_redirect_stays_in_its_family(void **state)
{
	struct fixture *f = *state;

	f->one.families = RUN_V6;
	redirect_to(f, "http://v4only.test/");
	one_run_of(&f->one, &http_probe, f->url);
	assert_lines(&f->one, "IPv6 ::1 down: redirected to http://v4only.test/: no AAAA record");
}

/* ---- TLS */

struct tls_server {
	SSL_CTX *ctx;
	struct evconnlistener *listener;
	uint16_t port;
	const char *answer;
	char sni[100];
};

static void on_tls_read(struct bufferevent *b, void *ctx)
{
	struct evbuffer *in = bufferevent_get_input(b);
	struct tls_server *s = ctx;
	const char *sni = SSL_get_servername(bufferevent_openssl_get_ssl(b), TLSEXT_NAMETYPE_host_name);

	snprintf(s->sni, sizeof s->sni, "%s", sni != NULL ? sni : "-");
	if (evbuffer_search(in, "\r\n\r\n", 4, NULL).pos >= 0) {
		evbuffer_drain(in, evbuffer_get_length(in));
		bufferevent_write(b, s->answer, strlen(s->answer));
	}
}

static void on_tls_event(struct bufferevent *b, short what, void *ctx)
{
	(void)ctx;
	if (what & (BEV_EVENT_ERROR | BEV_EVENT_EOF))
		bufferevent_free(b);
}

static void on_tls_accept(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *from, int len, void *ctx)
{
	struct tls_server *s = ctx;
	struct bufferevent *b = bufferevent_openssl_socket_new(evconnlistener_get_base(l), fd, SSL_new(s->ctx),
		BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);

	(void)from;
	(void)len;
	bufferevent_setcb(b, on_tls_read, NULL, on_tls_event, s);
	bufferevent_enable(b, EV_READ | EV_WRITE);
}

static void tls_open(struct tls_server *s, struct event_base *base, const struct pki *leaf, const struct pki *above)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;

	memset(s, 0, sizeof *s);
	s->answer = OK_HEAD "2\r\n\r\nok";
	s->ctx = SSL_CTX_new(TLS_server_method());
	assert_int_equal(SSL_CTX_use_certificate(s->ctx, leaf->x), 1);
	assert_int_equal(SSL_CTX_use_PrivateKey(s->ctx, leaf->key), 1);
	if (above != NULL)
		assert_int_equal(SSL_CTX_add1_chain_cert(s->ctx, above->x), 1);
	s->listener = evconnlistener_new_bind(base, on_tls_accept, s, LEV_OPT_CLOSE_ON_FREE, -1,
		(struct sockaddr *)&at, sizeof at);
	getsockname(evconnlistener_get_fd(s->listener), (struct sockaddr *)&at, &len);
	s->port = ntohs(at.sin_port);
}

static void tls_close(struct fixture *f, struct tls_server *s)
{
	for (int i = 0; i < 10; i++)
		event_base_loop(f->one.base, EVLOOP_NONBLOCK);
	evconnlistener_free(s->listener);
	SSL_CTX_free(s->ctx);
}

struct authority {
	struct pki root;
	char folder[32], file[64], option[80];
};

static void authority_open(struct authority *a)
{
	a->root = pki_authority("a root", NULL);
	snprintf(a->folder, sizeof a->folder, "/tmp/xj-http-XXXXXX");
	assert_non_null(mkdtemp(a->folder));
	snprintf(a->file, sizeof a->file, "%s/ca.pem", a->folder);
	snprintf(a->option, sizeof a->option, "ca=%s", a->file);
	pki_write_certificate(a->file, &a->root.x, 1);
}

static void authority_close(struct authority *a)
{
	pki_free(&a->root);
	unlink(a->file);
	rmdir(a->folder);
}

/* What a server with this leaf reads as: asked by its name, or by the address when name is NULL. */
static void probe_leaf(struct fixture *f, const struct pki_spec *spec, const struct pki *issuer, const char *name,
	const char *ca, const char *verify, char sni[100])
{
	struct pki leaf = pki_make(spec, issuer);
	struct tls_server s;

	tls_open(&s, f->one.base, &leaf, NULL);
	snprintf(f->text, sizeof f->text, "url=https://%s:%u/", name, s.port);
	if (strcmp(name, "127.0.0.1") == 0)
		one_run_of(&f->one, &http_probe, f->text, ca, verify);
	else
		one_run_of(&f->one, &http_probe, f->text, ca, verify, "ipv4=127.0.0.1");
	snprintf(sni, 100, "%s", s.sni);
	tls_close(f, &s);
	pki_free(&leaf);
}

#define DAY 86400L
#define SERVER .usage = "serverAuth"

static void a_good_certificate_is_up_with_its_days(void **state)
{
	struct pki_spec spec = {SERVER, .san = "DNS:www.gov.example,DNS:*.wild.example,IP:127.0.0.1", .from = -DAY, .until = 30 * DAY};
	static const char *const names[] = {"www.gov.example", "a.wild.example", "127.0.0.1", "WWW.gov.example."};
	struct fixture *f = *state;
	struct authority a;
	char sni[100];

	authority_open(&a);
	for (size_t i = 0; i < 4; i++) {
		probe_leaf(f, &spec, &a.root, names[i], a.option, "verify=true", sni);
		assert_lines(&f->one, "IPv4 127.0.0.1 up");
		assert_float_equal(one_run_value(&f->one, 0, HTTP_CERT_DAYS), 30, 0.01);
		assert_true(one_run_value(&f->one, 0, HTTP_TLS) > 0);
		assert_true(one_run_value(&f->one, 0, HTTP_TOTAL) > one_run_value(&f->one, 0, HTTP_TLS));
		if (i < 2)
			assert_string_equal(sni, names[i]);
	}
	authority_close(&a);
}

static void a_bad_certificate_is_down_with_its_words_and_days(void **state)
{
	struct fixture *f = *state;
	struct authority a;
	struct pki stranger = pki_authority("another root", NULL);
	const struct {
		struct pki_spec spec;
		const struct pki *issuer;
		const char *name, *words;
		double days;
	} rows[] = {
		{{SERVER, .san = "DNS:x.example", .from = -40 * DAY, .until = -10 * DAY}, &a.root, "x.example",
			"certificate expired on 20", -10},
		{{SERVER, .san = "DNS:x.example", .from = 5 * DAY, .until = 10 * DAY}, &a.root, "x.example",
			"certificate is not valid before 20", 10},
		{{SERVER, .san = "DNS:y.example,DNS:z.example", .until = 9 * DAY, .from = -DAY}, &a.root, "x.example",
			"certificate is for other names: y.example, z.example", 9},
		{{SERVER, .san = "DNS:*.example.org", .until = 9 * DAY, .from = -DAY}, &a.root, "a.b.example.org",
			"certificate is for other names: *.example.org", 9},
		{{SERVER, .san = "DNS:w*.example.org", .until = 9 * DAY, .from = -DAY}, &a.root, "www.example.org",
			"certificate is for other names: w*.example.org", 9},
		{{SERVER, .san = "IP:192.0.2.1", .until = 9 * DAY, .from = -DAY}, &a.root, "127.0.0.1",
			"certificate is for another name", 9},
		{{SERVER, .san = "DNS:127.0.0.1", .until = 9 * DAY, .from = -DAY}, &a.root, "127.0.0.1",
			"certificate is for other names: 127.0.0.1", 9},
		{{SERVER, .san = "DNS:x.example", .until = 9 * DAY, .from = -DAY}, NULL, "x.example",
			"certificate is self-signed and not trusted here", 9},
		{{SERVER, .san = "DNS:x.example", .until = 9 * DAY, .from = -DAY}, &stranger, "x.example",
			"certificate comes from an issuer that is not known here", 9},
		{{.usage = "clientAuth", .san = "DNS:x.example", .until = 9 * DAY, .from = -DAY}, &a.root, "x.example",
			"certificate: un", 9},
	};
	char sni[100];

	authority_open(&a);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		probe_leaf(f, &rows[i].spec, rows[i].issuer, rows[i].name, a.option, "verify=true", sni);
		print_message("%s\n", f->one.lines[0]);
		assert_ptr_equal(strstr(f->one.lines[0], rows[i].words), f->one.lines[0] + strlen("IPv4 127.0.0.1 down: "));
		assert_float_equal(one_run_value(&f->one, 0, HTTP_CERT_DAYS), rows[i].days, 0.01);
		assert_int_equal(f->one.results[0].outcome, OUTCOME_DOWN);
		probe_leaf(f, &rows[i].spec, rows[i].issuer, rows[i].name, a.option, "verify=false", sni);
		assert_lines(&f->one, "IPv4 127.0.0.1 up");
		assert_float_equal(one_run_value(&f->one, 0, HTTP_CERT_DAYS), rows[i].days, 0.01);
	}
	authority_close(&a);
	pki_free(&stranger);
}

static void roots_that_cannot_be_read_are_our_own_fault(void **state)
{
	struct pki_spec spec = {SERVER, .san = "DNS:x.example"};
	struct fixture *f = *state;
	struct authority a;
	char sni[100];

	authority_open(&a);
	probe_leaf(f, &spec, &a.root, "x.example", "ca=/nowhere/ca.pem", "verify=true", sni);
	assert_lines(&f->one, "IPv4 127.0.0.1 unknown: ca: no certificate can be read from /nowhere/ca.pem");
	probe_leaf(f, &spec, &a.root, "x.example", "ca=/dev/null", "verify=true", sni);
	assert_lines(&f->one, "IPv4 127.0.0.1 unknown: ca: no certificate can be read from /dev/null");
	probe_leaf(f, &spec, &a.root, "x.example", "ca=", "verify=true", sni);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: certificate comes from an issuer that is not known here");
	authority_close(&a);
}

static void a_handshake_that_breaks_has_words(void **state)
{
	static const struct {
		const char *text;
		enum script_verb then;
		const char *words;
	} rows[] = {
		{"", SCRIPT_CLOSE, "TLS handshake failed: closed by peer"},
		{"", SCRIPT_RESET, "TLS handshake failed: reset by peer"},
		{"HTTP/1.1 400 Bad Request\r\n\r\n", SCRIPT_CLOSE, "TLS handshake failed: wrong version number"},
		{"\x15\x03\x03", SCRIPT_CLOSE, "TLS handshake failed: "},
	};
	struct fixture *f = *state;
	char expected[100];

	snprintf(f->text, sizeof f->text, "url=https://localhost:%u/", f->server.port);
	for (size_t i = 0; i < 4; i++) {
		script_set(&f->server, SCRIPT({SCRIPT_READ, "", 0}, {SCRIPT_SEND, rows[i].text, 0}, {rows[i].then, "", 0}));
		one_run_of(&f->one, &http_probe, f->text);
		print_message("%s\n", f->one.lines[0]);
		snprintf(expected, sizeof expected, "IPv4 127.0.0.1 down: %s", rows[i].words);
		assert_ptr_equal(strstr(f->one.lines[0], expected), f->one.lines[0]);
	}
}

/* http answers with the way to https, as most do. */
static void a_redirect_to_https_brings_the_certificate(void **state)
{
	struct pki_spec spec = {SERVER, .san = "DNS:localhost", .from = -DAY, .until = 7 * DAY};
	struct fixture *f = *state;
	struct authority a;
	struct tls_server s;
	struct pki leaf;
	char location[100];

	authority_open(&a);
	leaf = pki_make(&spec, &a.root);
	tls_open(&s, f->one.base, &leaf, NULL);
	snprintf(location, sizeof location, "https://localhost:%u/", s.port);
	redirect_to(f, location);
	one_run_of(&f->one, &http_probe, f->url, a.option);
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	assert_float_equal(one_run_value(&f->one, 0, HTTP_CERT_DAYS), 7, 0.01);
	tls_close(f, &s);
	pki_free(&leaf);
	authority_close(&a);
}

/* From https to https, each with a certificate of its own: the earliest end counts, and a bad one is told with its place. */
static void the_certificate_of_every_hop_counts(void **state)
{
	static const struct {
		long first, second; /* days */
		const char *words;
	} rows[] = {{7, 30, ""}, {30, 7, ""}, {30, -3, "IPv4 127.0.0.1 down: redirected to https://one.test:"},
		{-3, 30, "IPv4 127.0.0.1 down: certificate expired on 20"}};
	struct fixture *f = *state;
	struct authority a;

	authority_open(&a);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct pki_spec specs[] = {{SERVER, .san = "DNS:localhost", .from = -9 * DAY, .until = rows[i].first * DAY},
			{SERVER, .san = "DNS:one.test", .from = -9 * DAY, .until = rows[i].second * DAY}};
		long least = rows[i].first < rows[i].second ? rows[i].first : rows[i].second;
		struct pki leaves[2] = {pki_make(&specs[0], &a.root), pki_make(&specs[1], &a.root)};
		struct tls_server s[2];
		const char *up = rows[i].first < rows[i].second ? "IPv4 127.0.0.1 up: of the certificates that of localhost ends first"
							: "IPv4 127.0.0.1 up";
		char answer[200];

		tls_open(&s[0], f->one.base, &leaves[0], NULL);
		tls_open(&s[1], f->one.base, &leaves[1], NULL);
		snprintf(answer, sizeof answer, "HTTP/1.1 301 X\r\nContent-Length: 0\r\nLocation: https://one.test:%u/x\r\n\r\n", s[1].port);
		s[0].answer = answer;
		snprintf(f->text, sizeof f->text, "url=https://localhost:%u/", s[0].port);
		one_run_of(&f->one, &http_probe, f->text, a.option, "verify=true");
		if (*rows[i].words == '\0')
			assert_lines(&f->one, up);
		else
			assert_ptr_equal(strstr(f->one.lines[0], rows[i].words), f->one.lines[0]);
		assert_int_equal(rows[i].second < 0, strstr(f->one.lines[0], "/x: certificate expired on 20") != NULL);
		assert_float_equal(one_run_value(&f->one, 0, HTTP_CERT_DAYS), least, 0.01);
		one_run_of(&f->one, &http_probe, f->text, a.option, "verify=false");
		assert_lines(&f->one, up);
		assert_float_equal(one_run_value(&f->one, 0, HTTP_CERT_DAYS), least, 0.01);
		snprintf(answer, sizeof answer, "steps=b: GET https://one.test:%u/", s[1].port);
		s[0].answer = s[1].answer;
		one_run_of(&f->one, &http_steps_probe, f->text, a.option, "verify=false", "steps=a: GET /", answer);
		assert_lines(&f->one, up);
		assert_float_equal(one_run_value(&f->one, 0, HTTP_STEPS_CERT_DAYS), least, 0.01);
		tls_close(f, &s[0]);
		tls_close(f, &s[1]);
		pki_free(&leaves[0]);
		pki_free(&leaves[1]);
	}
	authority_close(&a);
}

/* ---- under way */

static void nothing_is_held_after_a_cancel(void **state)
{
	struct fixture *f = *state;
	char https[64];
	const char *const plain[] = {f->url, NULL}, *const secure[] = {https, NULL};

	snprintf(https, sizeof https, "url=https://localhost:%u/", f->server.port);
	redirect_to(f, "http://silent.test/");
	for (int steps = 0; steps < 30; steps++) {
		struct run_group *g = one_run_begin(&f->one, &http_probe, steps % 3 == 2 ? secure : plain);

		for (int i = 0; i < steps; i++)
			event_base_loop(f->one.base, EVLOOP_NONBLOCK);
		if (f->one.done)
			continue;
		run_group_cancel(g);
		for (int i = 0; i < 5; i++)
			event_base_loop(f->one.base, EVLOOP_NONBLOCK);
		assert_false(f->one.done);
		assert_int_equal(runner_running(f->one.runner), 0);
	}
}

static void many_at_once_are_all_up(void **state)
{
	struct fixture *f = *state;
	const char *const texts[] = {f->url, NULL};
	unsigned up = 0;

	f->one.families = RUN_BOTH;
	ANSWER(OK_HEAD "5\r\n\r\nhello");
	for (int round = 0; round < 20; round++) {
		for (int i = 0; i < 19; i++)
			one_run_begin(&f->one, &http_probe, texts);
		while (runner_running(f->one.runner) > 0)
			event_base_loop(f->one.base, EVLOOP_ONCE);
	}
	for (int round = 0; round < 20; round++) {
		f->one.count = 0;
		one_run_begin(&f->one, &http_probe, texts);
		one_run_wait(&f->one);
		up += f->one.results[0].outcome == OUTCOME_UP && f->one.results[1].outcome == OUTCOME_UP;
	}
	assert_int_equal(up, 20);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(both_families_are_measured_with_all_phases),
		TEST(resolving_is_part_of_the_total),
		TEST(a_request_is_the_same_every_time),
		TEST(methods_bodies_and_headers_are_sent),
		TEST(conditions_decide),
		TEST(chunks_and_interim_answers_are_understood),
		TEST(a_coded_body_is_not_undone),
		TEST(a_connection_that_breaks_says_where),
		TEST(a_reset_at_once_is_down),
		TEST(silence_says_how_far_it_got),
		TEST(a_closed_port_is_refused),
		TEST(too_much_is_cut_or_refused),
		TEST(a_body_of_json_is_judged),
		TEST(steps_carry_cookies_and_values_on),
		TEST(what_a_step_sends_is_as_written),
		TEST(the_step_that_fails_is_named),
		TEST(another_server_gets_neither_secrets_nor_headers),
		TEST(an_answer_cannot_say_where_a_secret_goes),
		TEST(a_secret_is_in_no_words),
		TEST(steps_may_be_cancelled_at_any_moment),
		TEST(a_redirect_is_followed_and_summed),
		TEST(another_host_is_resolved_and_gets_no_secrets),
		TEST(cookies_go_along_redirects_to_where_they_belong),
		TEST(cookies_of_the_check_and_of_the_server_are_one_line),
		TEST(many_cookies_are_one_servers_affair),
		TEST(a_post_becomes_a_get_where_it_must),
		TEST(redirects_end),
		TEST(a_redirect_is_checked_like_a_check),
		TEST(a_redirect_stays_in_its_family),
		TEST(a_good_certificate_is_up_with_its_days),
		TEST(a_bad_certificate_is_down_with_its_words_and_days),
		TEST(roots_that_cannot_be_read_are_our_own_fault),
		TEST(a_handshake_that_breaks_has_words),
		TEST(a_redirect_to_https_brings_the_certificate),
		TEST(the_certificate_of_every_hop_counts),
		TEST(nothing_is_held_after_a_cancel),
		TEST(many_at_once_are_all_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
