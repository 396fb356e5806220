#include "probes/scorecard.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "probes/catalog_scorecard.h"
#include "tests/unit/probes/one_run.h"
#include "tests/unit/probes/script_server.h"

struct fixture {
	struct one_run run;
	struct script_server server;
	char url[100];
};

static void fixture_open(struct fixture *f)
{
	memset(f, 0, sizeof *f);
	one_run_open(&f->run);
	script_server_open(&f->server, f->run.base);
	snprintf(f->url, sizeof f->url, "url=http://site.test:%u/", f->server.port);
	script_set(&f->server, SCRIPT({SCRIPT_READ, "\r\n\r\n", 0},
		{SCRIPT_SEND, "HTTP/1.1 200 OK\r\nContent-Length: 33\r\n\r\n<title>t</title><a href=/a>x</a> ", 0}));
}

static void fixture_close(struct fixture *f)
{
	script_server_close(&f->server);
	one_run_close(&f->run);
}

#define PINS "ipv4=127.0.0.1", "ipv6=::1"
#define QUICK "delay=0s", "attempts=2", "ports=1"

static void pinned_addresses_are_measured_without_their_records(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f);
	one_run_of(&f.run, &scorecard_probe, f.url, PINS, QUICK);
	assert_int_equal(f.run.count, 1);
	assert_int_equal(f.run.results[0].family, FAMILY_NONE);
	assert_int_equal(f.run.results[0].outcome, OUTCOME_UP);
	assert_non_null(strstr(f.run.reasons[0], "delegation: "));
	assert_true(isnan(one_run_value(&f.run, 0, SCORECARD_AAAA)));
	assert_true(one_run_value(&f.run, 0, SCORECARD_HOME) == 100);
	assert_true(one_run_value(&f.run, 0, SCORECARD_LEVEL2) == 100);
	assert_true(one_run_value(&f.run, 0, SCORECARD_LINKS2) == 1);
	assert_true(isnan(one_run_value(&f.run, 0, SCORECARD_LEVEL3))); /* its only link is known */
	assert_int_equal(f.server.accepted, 2 * 2 + 2);
	fixture_close(&f);
}

static void names_that_cannot_be_told_are_unknown_and_those_without_aaaa_down(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f);
	one_run_of(&f.run, &scorecard_probe, "url=http://fail.test/", QUICK);
	assert_int_equal(f.run.results[0].outcome, OUTCOME_UNKNOWN);
	assert_non_null(strstr(f.run.reasons[0], "no resolver gave a usable answer"));
	one_run_of(&f.run, &scorecard_probe, "url=http://nx.test/", QUICK);
	assert_lines(&f.run, "-  down: home page over IPv6: no such name");
	f.run.forbidden = "::1";
	one_run_of(&f.run, &scorecard_probe, f.url, PINS, QUICK);
	assert_lines(&f.run, "-  unknown: IPv6: address is not allowed here");
	fixture_close(&f);
}

/* Once not over IPv6, as if a rule of our own had changed meanwhile. */
static bool may_not_at_first(void *ctx, const struct sockaddr *address)
{
	struct one_run *o = ctx;

	if (address->sa_family == AF_INET6 && o->forbidden != NULL) {
		o->forbidden = NULL;
		return false;
	}
	return true;
}

static void what_is_told_of_a_site_that_is_down_is_its_own(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f);
	script_set(&f.server, SCRIPT({SCRIPT_READ, "\r\n\r\n", 0},
		{SCRIPT_SEND, "HTTP/1.1 500 Oh\r\nContent-Length: 0\r\n\r\n", 0}));
	f.run.env.may_probe = may_not_at_first;
	f.run.forbidden = "once";
	one_run_of(&f.run, &scorecard_probe, f.url, PINS, QUICK);
	assert_lines(&f.run, "-  down: home page over IPv6: status 500");
	fixture_close(&f);
}

#define PAGE(text) {SCRIPT_SEND, "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" text, 0}, {SCRIPT_CLOSE, "", 0}

/* A link is broken in both families; without IPv4 it would be counted against IPv6. */
static void what_our_resolver_does_not_tell_is_not_held_against_the_site(void **state)
{
	struct fixture f;
	char url[100];

	(void)state;
	fixture_open(&f);
	snprintf(url, sizeof url, "url=http://fail.test:%u/", f.server.port);
	script_set(&f.server, SCRIPT({SCRIPT_READ, "GET / ", 0}, PAGE("<title>t</title><a href=/a>x</a>")));
	script_then(&f.server, SCRIPT({SCRIPT_READ, "GET / ", 0}, PAGE("<title>t</title><a href=/a>x</a>")));
	script_then(&f.server, SCRIPT({SCRIPT_READ, "GET ", 0}, {SCRIPT_SEND, "HTTP/1.1 404 No\r\nContent-Length: 0\r\n\r\n", 0}));
	one_run_of(&f.run, &scorecard_probe, url, "ipv6=::1", QUICK);
	assert_int_equal(f.run.results[0].outcome, OUTCOME_UP);
	assert_non_null(strstr(f.run.reasons[0], "IPv4 not measured, nor links beside it: no resolver gave a usable answer"));
	assert_true(one_run_value(&f.run, 0, SCORECARD_HOME) == 100);
	assert_true(isnan(one_run_value(&f.run, 0, SCORECARD_SUCCESS_V4)) != 0);
	assert_true(isnan(one_run_value(&f.run, 0, SCORECARD_LEVEL2)) != 0);
	assert_int_equal(f.server.accepted, 2);
	fixture_close(&f);
}

/* The first attempt leads to a name that our resolver cannot tell, the second one is refused by the site. */
static void a_down_is_told_by_what_was_seen_of_the_site(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f);
	script_set(&f.server, SCRIPT({SCRIPT_READ, "GET / ", 0}, PAGE("")));
	script_then(&f.server, SCRIPT({SCRIPT_READ, "GET / ", 0},
		{SCRIPT_SEND, "HTTP/1.1 302 No\r\nLocation: http://fail.test/\r\nContent-Length: 0\r\n\r\n", 0}));
	script_then(&f.server, SCRIPT({SCRIPT_READ, "GET / ", 0}, PAGE("")));
	script_then(&f.server, SCRIPT({SCRIPT_READ, "GET / ", 0}, {SCRIPT_SEND, "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n", 0}));
	one_run_of(&f.run, &scorecard_probe, f.url, PINS, QUICK);
	assert_lines(&f.run, "-  down: home page over IPv6: status 503");
	assert_true(one_run_value(&f.run, 0, SCORECARD_SUCCESS_V6) == 0);
	fixture_close(&f);
}

static void a_site_that_is_silent_ends_at_its_deadline(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f);
	script_set(&f.server, SCRIPT_SILENT);
	f.run.timeout = 2 * NS_PER_S;
	one_run_of(&f.run, &scorecard_probe, f.url, PINS, QUICK);
	assert_non_null(strstr(f.run.lines[0], "-  down: home page over IPv6: connected in "));
	assert_non_null(strstr(f.run.lines[0], " ms, no answer to the request within 250ms"));
	f.run.timeout = 500 * NS_PER_MS;
	one_run_of(&f.run, &scorecard_probe, f.url, PINS, "delay=10s");
	assert_lines(&f.run, "-  unknown: not finished within 500ms: still fetching the home page");
	fixture_close(&f);
}

/* After it nothing of the run is called or kept, however far it was. */
static void a_run_may_be_cancelled_at_any_moment(void **state)
{
	static const char *texts[] = {NULL, PINS, QUICK, NULL};
	struct timeval after = {0, 1000};
	struct fixture f;

	(void)state;
	fixture_open(&f);
	texts[0] = f.url;
	for (int turns = 0; turns < 200; turns++) {
		struct run_group *g = one_run_begin(&f.run, &scorecard_probe, texts);

		for (int i = 0; i < turns && !f.run.done; i++)
			event_base_loop(f.run.base, EVLOOP_ONCE);
		if (!f.run.done)
			run_group_cancel(g);
		f.run.done = true;
		event_base_loopexit(f.run.base, &after);
		event_base_dispatch(f.run.base);
		assert_int_equal(runner_running(f.run.runner), 0);
	}
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pinned_addresses_are_measured_without_their_records),
		cmocka_unit_test(names_that_cannot_be_told_are_unknown_and_those_without_aaaa_down),
		cmocka_unit_test(what_is_told_of_a_site_that_is_down_is_its_own),
		cmocka_unit_test(what_our_resolver_does_not_tell_is_not_held_against_the_site),
		cmocka_unit_test(a_down_is_told_by_what_was_seen_of_the_site),
		cmocka_unit_test(a_site_that_is_silent_ends_at_its_deadline),
		cmocka_unit_test(a_run_may_be_cancelled_at_any_moment),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
