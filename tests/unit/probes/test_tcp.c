#include "probes/tcp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "probes/catalog_tcp.h"
#include "tests/unit/probes/one_run.h"
#include "tests/unit/probes/script_server.h"

struct fixture {
	struct one_run one;
	struct script_server server;
	char port[32];
};

static int setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof *f);

	one_run_open(&f->one);
	script_server_open(&f->server, f->one.base);
	snprintf(f->port, sizeof f->port, "port=%u", f->server.port);
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

/* Lets the server see how its connections ended. */
static void settle(struct fixture *f)
{
	while (!LIST_EMPTY(&f->server.connections))
		event_base_loop(f->one.base, EVLOOP_ONCE);
}

static void connecting_alone_is_up_in_both_families(void **state)
{
	struct fixture *f = *state;

	script_set(&f->server, SCRIPT_SILENT);
	one_run_of(&f->one, &tcp_probe, "host=localhost", f->port);
	assert_lines(&f->one, "IPv4 127.0.0.1 up", "IPv6 ::1 up");
	for (size_t i = 0; i < 2; i++) {
		double connect = one_run_value(&f->one, i, TCP_CONNECT), total = one_run_value(&f->one, i, TCP_TOTAL);

		assert_true(connect > 0 && connect <= total && total < 1);
		assert_int_equal(f->one.results[i].count, i == 0 ? 2 : 4); /* with the ratios of both */
	}
	settle(f);
	assert_int_equal(f->server.ended_well, 2);
	assert_int_equal(f->server.ended_badly, 0);
}

static void a_banner_is_found_wherever_it_is_cut(void **state)
{
	struct fixture *f = *state;

	script_set(&f->server, SCRIPT({SCRIPT_DRIP, "220 mail.example ESMTP ready\r\n", 0}));
	one_run_of(&f->one, &tcp_probe, "host=127.0.0.1", f->port, "expect=ESMTP ready\\r\\n");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	one_run_of(&f->one, &tcp_probe, "host=::1", f->port, "expect=~^220 .* ESMTP");
	assert_lines(&f->one, "IPv6 ::1 up");
}

static void what_is_sent_arrives_and_the_answer_counts(void **state)
{
	struct fixture *f = *state;

	script_set(&f->server, SCRIPT({SCRIPT_READ, "PING\r\n", 0}, {SCRIPT_SEND, "+PONG\r\n", 0}));
	one_run_of(&f->one, &tcp_probe, "host=127.0.0.1", f->port, "send=\\x50ING\\r\\n", "expect=+PONG");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	assert_string_equal(f->server.last, "PING\r\n");
	settle(f);
	assert_int_equal(f->server.ended_badly, 0);
	one_run_of(&f->one, &tcp_probe, "host=127.0.0.1", f->port, "send=PING\\r\\n");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
}

static void each_way_to_fail_has_words(void **state)
{
	struct fixture *f = *state;

	script_set(&f->server, SCRIPT({SCRIPT_SEND, "421 busy\r\n", 0}, {SCRIPT_CLOSE, "", 0}));
	one_run_of(&f->one, &tcp_probe, "host=127.0.0.1", f->port, "expect=220");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: closed by peer before the expected answer");
	script_set(&f->server, SCRIPT({SCRIPT_READ, "", 0}, {SCRIPT_RESET, "", 0}));
	one_run_of(&f->one, &tcp_probe, "host=127.0.0.1", f->port, "send=x", "expect=220");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: reset by peer before the expected answer");
	assert_true(one_run_value(&f->one, 0, TCP_CONNECT) > 0);
	assert_int_equal(f->one.results[0].count, 1);
	script_set(&f->server, SCRIPT({SCRIPT_SEND, "220 ready\r\n", 0}, {SCRIPT_CLOSE, "", 0}));
	one_run_of(&f->one, &tcp_probe, "host=127.0.0.1", f->port, "expect=220");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
}

static void a_closed_port_is_down_in_its_family(void **state)
{
	struct fixture *f = *state;

	script_set(&f->server, SCRIPT_SILENT);
	event_del(f->server.accepts[1]);
	close(f->server.listeners[1]);
	one_run_of(&f->one, &tcp_probe, "host=localhost", f->port);
	assert_lines(&f->one, "IPv4 127.0.0.1 up", "IPv6 ::1 down: connection refused");
	assert_int_equal(f->one.results[1].count, 0);
	f->server.listeners[1] = dup(f->server.listeners[0]);
}

static void silence_says_how_far_it_got(void **state)
{
	struct fixture *f = *state;
	unsigned ms;
	int end = 0;

	f->one.timeout = 50 * NS_PER_MS;
	script_set(&f->server, SCRIPT_SILENT);
	one_run_of(&f->one, &tcp_probe, "host=127.0.0.1", f->port, "expect=x");
	assert_int_equal(sscanf(f->one.lines[0],
		"IPv4 127.0.0.1 down: connected in %u%*[.0-9] ms, no answer within 50ms%n", &ms, &end), 1);
	assert_int_equal(end, strlen(f->one.lines[0]));
	script_set(&f->server, SCRIPT({SCRIPT_SEND, "hello", 0}));
	one_run_of(&f->one, &tcp_probe, "host=127.0.0.1", f->port, "expect=x");
	assert_non_null(strstr(f->one.lines[0], " ms, 5 bytes but not the expected answer within 50ms"));
}

/* A listener whose line is full: the kernel drops what comes. */
static void a_connection_nobody_takes_is_down_with_words(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in at;
	socklen_t len = sizeof at;
	int full[3];

	f->one.timeout = 50 * NS_PER_MS;
	event_del(f->server.accepts[0]);
	listen(f->server.listeners[0], 0);
	getsockname(f->server.listeners[0], (struct sockaddr *)&at, &len);
	for (int i = 0; i < 3; i++) {
		full[i] = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(full[i], (struct sockaddr *)&at, len);
	}
	one_run_of(&f->one, &tcp_probe, "host=127.0.0.1", f->port);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: no answer to the connection attempt within 50ms");
	for (int i = 0; i < 3; i++)
		close(full[i]);
}

static void a_flood_is_looked_at_up_to_its_limit(void **state)
{
	struct fixture *f = *state;

	script_set(&f->server, SCRIPT({SCRIPT_SEND, "0123456789abcdef", 4094}, {SCRIPT_SEND, "the needle", 0}));
	one_run_of(&f->one, &tcp_probe, "host=127.0.0.1", f->port, "expect=~needle$");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	script_set(&f->server, SCRIPT({SCRIPT_SEND, "0123456789abcdef", 4096}, {SCRIPT_SEND, "the needle", 0}));
	one_run_of(&f->one, &tcp_probe, "host=127.0.0.1", f->port, "expect=needle");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: the expected answer is not in the first 64 KiB");
}

/* Bytes one by one with a pattern that looks at each again: bounded, and still found. */
static void a_drip_does_not_cost_more_than_its_share(void **state)
{
	struct fixture *f = *state;
	static char text[12001];
	int64_t began = clock_mono();
	memset(text, 'a', sizeof text - 2);
	text[sizeof text - 2] = 'b';
	f->one.timeout = 60 * NS_PER_S;
	script_set(&f->server, SCRIPT({SCRIPT_DRIP, text, 0}, {SCRIPT_CLOSE, "", 0}));
	one_run_of(&f->one, &tcp_probe, "host=127.0.0.1", f->port, "expect=~(a|aa)+b");
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	print_message("12000 bytes one by one took %.2f s\n", (double)(clock_mono() - began) / NS_PER_S);
}

static void nothing_is_held_after_a_cancel(void **state)
{
	struct fixture *f = *state;
	const char *const texts[] = {"host=localhost", f->port, "expect=never", NULL};

	script_set(&f->server, SCRIPT({SCRIPT_SEND, "something", 0}));
	for (int steps = 0; steps < 12; steps++) {
		struct run_group *g = one_run_begin(&f->one, &tcp_probe, texts);

		for (int i = 0; i < steps; i++)
			event_base_loop(f->one.base, EVLOOP_NONBLOCK);
		run_group_cancel(g);
		settle(f);
		assert_false(f->one.done);
	}
}

/* What many checks at once feel like: none may fail. */
static void a_thousand_at_once_are_all_up(void **state)
{
	struct fixture *f = *state;
	const char *const texts[] = {"host=localhost", f->port, NULL};
	unsigned up = 0;

	script_set(&f->server, SCRIPT({SCRIPT_CLOSE, "", 0}));
	f->one.count = 0;
	for (int round = 0; round < 50; round++) {
		struct run_group *first = NULL;

		for (int i = 0; i < 19; i++)
			first = one_run_begin(&f->one, &tcp_probe, texts);
		assert_non_null(first);
		while (runner_running(f->one.runner) > 0)
			event_base_loop(f->one.base, EVLOOP_ONCE);
		for (size_t i = 0; i < f->one.count; i++)
			up += f->one.results[i].outcome == OUTCOME_UP;
		assert_int_equal(f->one.count, 38);
	}
	assert_int_equal(up, 50 * 38);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(connecting_alone_is_up_in_both_families),
		TEST(a_banner_is_found_wherever_it_is_cut),
		TEST(what_is_sent_arrives_and_the_answer_counts),
		TEST(each_way_to_fail_has_words),
		TEST(a_closed_port_is_down_in_its_family),
		TEST(silence_says_how_far_it_got),
		TEST(a_connection_nobody_takes_is_down_with_words),
		TEST(a_flood_is_looked_at_up_to_its_limit),
		TEST(a_drip_does_not_cost_more_than_its_share),
		TEST(nothing_is_held_after_a_cancel),
		TEST(a_thousand_at_once_are_all_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
