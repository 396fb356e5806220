#include "probes/resolve.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "tests/unit/probes/name_server.h"

#define SECOND NS_PER_S

/* ---- fixture */

struct fixture {
	struct event_base *base;
	struct name_server server;
	struct resolver *resolver;
};

static int setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof *f);
	struct err e;

	f->base = event_base_new();
	name_server_open(&f->server, f->base);
	f->resolver = resolver_new(f->base, f->server.address, &e);
	assert_non_null(f->resolver);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	resolver_free(f->resolver);
	name_server_close(&f->server);
	event_base_free(f->base);
	free(f);
	return 0;
}

struct asked {
	struct resolve_query *query;
	unsigned answers;
	struct resolve_answer answer;
	char reason[128];
	unsigned *left; /* ends the loop at 0 */
	struct event_base *base;
};

static void on_answer(void *ctx, const struct resolve_answer *a)
{
	struct asked *q = ctx;

	q->answers++;
	q->answer = *a;
	snprintf(q->reason, sizeof q->reason, "%s", a->reason);
	if (--*q->left == 0)
		event_base_loopbreak(q->base);
}

static void ask(struct fixture *f, struct asked *q, const char *name, enum family family, int64_t timeout,
	unsigned *left)
{
	*q = (struct asked){.left = left, .base = f->base};
	++*left;
	q->query = resolve_start(f->resolver, name, family, timeout, on_answer, q);
	assert_int_equal(q->answers, 0);
}

static void run(struct fixture *f, unsigned *left)
{
	struct timeval limit = {20, 0};

	event_base_loopexit(f->base, &limit);
	event_base_dispatch(f->base);
	assert_int_equal(*left, 0);
}

static struct asked answer_of(struct fixture *f, const char *name, enum family family)
{
	struct asked q;
	unsigned left = 0;

	ask(f, &q, name, family, 10 * SECOND, &left);
	run(f, &left);
	assert_int_equal(q.answers, 1);
	return q;
}

static void assert_addresses(const struct asked *q, const char *const *texts)
{
	char text[64];
	size_t n = 0;

	assert_int_equal(q->answer.status, RESOLVE_OK);
	assert_string_equal(q->reason, "");
	for (; texts[n] != NULL; n++) {
		assert_true(n < q->answer.count);
		resolve_format((const struct sockaddr *)&q->answer.addresses[n], text, sizeof text);
		assert_string_equal(text, texts[n]);
	}
	assert_int_equal(q->answer.count, n);
}

#define ADDRESSES(...) ((const char *const[]){__VA_ARGS__, NULL})

static void each_family_has_an_answer_of_its_own(void **state)
{
	struct fixture *f = *state;
	struct asked four = answer_of(f, "two.test", FAMILY_V4), six = answer_of(f, "two.test", FAMILY_V6);

	assert_addresses(&four, ADDRESSES("192.0.2.1", "192.0.2.9"));
	assert_addresses(&six, ADDRESSES("2001:db8::1", "2001:db8::9"));
	assert_int_equal(f->server.queries, 2);
	assert_true(four.answer.seconds > 0 && four.answer.seconds < 1);
}

static void no_record_and_no_name_are_told_apart(void **state)
{
	struct fixture *f = *state;
	struct asked q = answer_of(f, "v4only.test", FAMILY_V6);

	assert_int_equal(q.answer.status, RESOLVE_NO_RECORD);
	assert_string_equal(q.reason, "no AAAA record");
	q = answer_of(f, "dangling.test", FAMILY_V4);
	assert_int_equal(q.answer.status, RESOLVE_NO_RECORD);
	assert_string_equal(q.reason, "no A record");
	q = answer_of(f, "nx.test", FAMILY_V6);
	assert_int_equal(q.answer.status, RESOLVE_NO_NAME);
	assert_string_equal(q.reason, "no such name");
}

static void a_resolver_that_fails_is_neither(void **state)
{
	static const char *const rows[][2] = {
		{"fail.test", "no resolver gave a usable answer (failed, refused or not reachable)"},
		{"refused.test", "no resolver gave a usable answer (failed, refused or not reachable)"},
		{"junk.test", "the resolver's answer makes no sense"},
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < 3; i++) {
		struct asked q = answer_of(f, rows[i][0], FAMILY_V4);

		assert_int_equal(q.answer.status, RESOLVE_FAILED);
		assert_string_equal(q.reason, rows[i][1]);
	}
}

static void silence_ends_at_the_callers_time(void **state)
{
	struct fixture *f = *state;
	int64_t began = clock_mono();
	unsigned left = 0;
	struct asked q, other;

	ask(f, &q, "silent.test", FAMILY_V4, SECOND / 20, &left);
	ask(f, &other, "silent.test", FAMILY_V4, SECOND / 10, &left);
	run(f, &left);
	assert_in_range(clock_mono() - began, SECOND / 12, 5 * SECOND);
	assert_int_equal(q.answer.status, RESOLVE_FAILED);
	assert_string_equal(q.reason, "no answer from the resolver in time");
	assert_int_equal(other.answer.status, RESOLVE_FAILED);
	assert_true(q.answer.seconds < other.answer.seconds);
}

/* A port where nobody listens: the kernel says so. */
static void no_server_is_a_failure_not_a_missing_name(void **state)
{
	struct fixture *f = *state;
	struct asked q;

	name_server_close(&f->server);
	q = answer_of(f, "two.test", FAMILY_V4);
	name_server_open(&f->server, f->base);
	assert_int_equal(q.answer.status, RESOLVE_FAILED);
	assert_string_equal(q.reason, "no resolver gave a usable answer (failed, refused or not reachable)");
}

static void literals_and_localhost_ask_nobody(void **state)
{
	struct fixture *f = *state;
	struct asked q = answer_of(f, "192.0.2.7", FAMILY_V4);

	assert_addresses(&q, ADDRESSES("192.0.2.7"));
	assert_true(q.answer.seconds == 0);
	q = answer_of(f, "[2001:DB8::7]", FAMILY_V6);
	assert_addresses(&q, ADDRESSES("2001:db8::7"));
	q = answer_of(f, "fe80::1%lo", FAMILY_V6);
	assert_addresses(&q, ADDRESSES("fe80::1%lo"));
	q = answer_of(f, "localhost", FAMILY_V4);
	assert_addresses(&q, ADDRESSES("127.0.0.1"));
	q = answer_of(f, "LocalHost.", FAMILY_V6);
	assert_addresses(&q, ADDRESSES("::1"));
	q = answer_of(f, "portal.localhost", FAMILY_V6);
	assert_addresses(&q, ADDRESSES("::1"));
	q = answer_of(f, "192.0.2.7", FAMILY_V6);
	assert_int_equal(q.answer.status, RESOLVE_NO_RECORD);
	assert_int_equal(f->server.queries, 0);
	answer_of(f, "notlocalhost", FAMILY_V4);
	assert_int_equal(f->server.queries, 1);
}

static void what_is_no_name_never_leaves_the_host(void **state)
{
	static const char *const names[] = {"fe80::1%nowhere9", "2001:db8::g", "[::1", "a b.test", "a..test",
		"\xe6\x94\xbf\xe5\x8a\xa1.test", "back\\046slash.test",
		"sixtyfourlettersaremorethanalabelcanholdsixtyfourlettersaremorethan.test"};
	struct fixture *f = *state;
	struct asked q;
	char longest[400];

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		q = answer_of(f, names[i], FAMILY_V6);
		assert_int_equal(q.answer.status, RESOLVE_FAILED);
		assert_true(q.reason[0] != '\0');
	}
	memset(longest, 'a', sizeof longest);
	for (size_t i = 10; i < sizeof longest; i += 10)
		longest[i] = '.';
	longest[sizeof longest - 1] = '\0';
	q = answer_of(f, longest, FAMILY_V4);
	assert_int_equal(q.answer.status, RESOLVE_FAILED);
	assert_int_equal(f->server.queries, 0);
}

static void names_are_taken_as_absolute(void **state)
{
	struct fixture *f = *state;

	answer_of(f, "nx", FAMILY_V4);
	assert_string_equal(f->server.last_name, "nx");
	assert_int_equal(f->server.queries, 1);
	answer_of(f, "nx.deep.test.", FAMILY_V4);
	assert_string_equal(f->server.last_name, "nx.deep.test");
	assert_int_equal(f->server.queries, 2);
}

static void the_lowest_sixteen_addresses_are_used(void **state)
{
	struct fixture *f = *state;
	struct asked q = answer_of(f, "many.test", FAMILY_V4);
	char text[64];

	assert_int_equal(q.answer.count, RESOLVE_MAX);
	assert_string_equal(resolve_format((struct sockaddr *)&q.answer.addresses[0], text, sizeof text),
		"192.0.2.181");
	assert_string_equal(resolve_format((struct sockaddr *)&q.answer.addresses[15], text, sizeof text),
		"192.0.2.196");
}

static void a_truncated_answer_is_fetched_by_tcp(void **state)
{
	struct fixture *f = *state;
	struct asked q = answer_of(f, "big.test", FAMILY_V6);

	assert_int_equal(q.answer.status, RESOLVE_OK);
	assert_int_equal(q.answer.count, RESOLVE_MAX);
	assert_int_equal(f->server.tcp_queries, 1);
}

static void those_who_ask_the_same_share_one_query(void **state)
{
	struct fixture *f = *state;
	struct asked q[50];
	unsigned left = 0;

	for (size_t i = 0; i < 50; i++)
		ask(f, &q[i], "two.test", FAMILY_V4, SECOND, &left);
	resolve_cancel(q[7].query);
	left--;
	run(f, &left);
	assert_int_equal(f->server.queries, 1);
	for (size_t i = 0; i < 50; i++)
		assert_int_equal(q[i].answers, i == 7 ? 0 : 1);
}

static void other_servers_take_over_what_is_under_way(void **state)
{
	struct fixture *f = *state;
	struct name_server other;
	unsigned left = 0;
	struct asked q, bad;
	struct err e;

	name_server_open(&other, f->base);
	event_del(f->server.udp); /* never answers */
	ask(f, &q, "two.test", FAMILY_V4, 10 * SECOND, &left);
	ask(f, &bad, "nx.test", FAMILY_V4, 10 * SECOND, &left);
	assert_int_equal(resolver_reload(f->resolver, "not an address", &e), -1);
	assert_non_null(strstr(e.text, "\"not an address\" is not a list of addresses"));
	assert_int_equal(resolver_reload(f->resolver, other.address, &e), 0);
	run(f, &left);
	assert_addresses(&q, ADDRESSES("192.0.2.1", "192.0.2.9"));
	assert_int_equal(bad.answer.status, RESOLVE_NO_NAME);
	assert_int_equal(other.queries, 2);
	name_server_close(&other);
}

static void three_thousand_names_at_once_are_all_answered(void **state)
{
	enum { COUNT = 3000 };
	struct fixture *f = *state;
	struct asked *q = mem_array(COUNT, sizeof *q);
	int64_t began = clock_mono();
	unsigned left = 0;
	char name[32];

	for (unsigned i = 0; i < COUNT; i++) {
		snprintf(name, sizeof name, "%s%u.test", i % 3 == 0 ? "nx" : "host", i);
		ask(f, &q[i], name, i % 2 ? FAMILY_V4 : FAMILY_V6, 10 * SECOND, &left);
	}
	run(f, &left);
	for (unsigned i = 0; i < COUNT; i++)
		assert_int_equal(q[i].answer.status, i % 3 == 0 ? RESOLVE_NO_NAME : RESOLVE_OK);
	assert_int_equal(f->server.queries, COUNT); /* none was lost and sent again */
	print_message("3000 names in %.0f ms\n", (double)(clock_mono() - began) / 1e6);
	free(q);
}

static void on_answer_free_none(void *ctx, const struct resolve_answer *a)
{
	(void)a;
	++*(unsigned *)ctx;
}

static void freeing_cancels_without_a_word(void **state)
{
	struct fixture *f = *state;
	unsigned answers = 0;
	struct err e;

	for (unsigned i = 0; i < 500; i++) {
		static const char *const names[] = {"silent.test", "two.test", "::1", "a..b", "silent2.test"};
		char name[32];

		snprintf(name, sizeof name, "%u%s", i, names[1]); /* more than there is room for at once */
		if (i < 300)
			snprintf(name, sizeof name, "%s", names[i % 5]);
		resolve_start(f->resolver, name, FAMILY_V6, SECOND, on_answer_free_none, &answers);
	}
	event_base_loop(f->base, EVLOOP_ONCE);
	resolver_free(f->resolver);
	assert_int_equal(answers % 60, 0); /* what was delivered, literals and the like, was so whole */
	answers = 0;
	event_base_loop(f->base, EVLOOP_NONBLOCK);
	assert_int_equal(answers, 0);
	f->resolver = resolver_new(f->base, NULL, &e);
	assert_non_null(f->resolver);
	resolver_free(NULL);
}

static void wrong_servers_are_refused_with_words(void **state)
{
	static const char *const lists[] = {"", "dns.example", "192.0.2.1:99999x", "192.0.2.300", "[2001:db8::1", "192.0.2.1,", "192.0.2.1:0"};
	struct fixture *f = *state;
	struct err e;

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		assert_null(resolver_new(f->base, lists[i], &e));
		assert_non_null(strstr(e.text, "write \"192.0.2.1,[2001:db8::1]:5353\""));
	}
}

static void resolvers_are_the_servers_that_are_asked(void **state)
{
	struct fixture *f = *state;
	struct asked q = answer_of(f, "resolvers", FAMILY_V6);
	struct err e;

	assert_int_equal(q.answer.status, RESOLVE_FAILED);
	assert_string_equal(q.reason, "this host has no IPv6 name server");
	assert_int_equal(resolver_reload(f->resolver, "192.0.2.9:5353,2001:db8::9,192.0.2.1,192.0.2.9:54", &e), 0);
	q = answer_of(f, "Resolvers", FAMILY_V4);
	assert_addresses(&q, ADDRESSES("192.0.2.1", "192.0.2.9"));
	q = answer_of(f, "resolvers", FAMILY_V6);
	assert_addresses(&q, ADDRESSES("2001:db8::9"));
	assert_int_equal(f->server.queries, 0);
}

static void servers_are_told_with_their_ports_in_the_order_of_asking(void **state)
{
	struct sockaddr_storage servers[RESOLVE_MAX];
	struct fixture *f = *state;
	char text[64];
	struct err e;

	assert_int_equal(resolver_reload(f->resolver, "192.0.2.9:5353,[2001:db8::9]:54,192.0.2.1", &e), 0);
	assert_int_equal(resolver_servers(f->resolver, servers), 3);
	assert_string_equal(resolve_format((struct sockaddr *)&servers[0], text, sizeof text), "192.0.2.9");
	assert_int_equal(ntohs(((struct sockaddr_in *)&servers[0])->sin_port), 5353);
	assert_string_equal(resolve_format((struct sockaddr *)&servers[1], text, sizeof text), "2001:db8::9");
	assert_int_equal(ntohs(((struct sockaddr_in6 *)&servers[1])->sin6_port), 54);
	assert_int_equal(ntohs(((struct sockaddr_in *)&servers[2])->sin_port), 53);
}

static void addresses_are_written_as_inet_ntop_does(void **state)
{
	char text[64], expected[INET_ADDRSTRLEN];

	(void)state;
	for (unsigned i = 0; i < 4 * 256; i++) {
		const uint8_t n = (uint8_t)i;
		const uint8_t rows[4][4] = {{n, 9, 99, 255}, {0, n, 10, 100}, {192, 0, n, 1}, {1, 200, 0, n}};
		struct sockaddr_in in = {.sin_family = AF_INET};

		memcpy(&in.sin_addr, rows[i / 256], 4);
		inet_ntop(AF_INET, &in.sin_addr, expected, sizeof expected);
		assert_string_equal(resolve_format((struct sockaddr *)&in, text, sizeof text), expected);
	}
}

static void text_that_is_no_literal_is_refused(void **state)
{
	static const char *const texts[] = {"", "1.2.3", "1.2.3.4.5", "01.2.3.4", "0x7f.1", "[1.2.3.4]", "[]",
		"::1%", "1.2.3.4%lo", "fe80::1%0", "fe80::1%99999999999", "localhost", "[::1]:80"};
	struct sockaddr_storage s;
	socklen_t len;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
		assert_int_equal(resolve_literal(texts[i], &s, &len), -1);
	assert_int_equal(resolve_literal("fe80::1%1", &s, &len), 0);
	assert_int_equal(((struct sockaddr_in6 *)&s)->sin6_scope_id, 1);
}

/* Whatever is started, cancelled, reloaded and timed out, each query has at most one answer, and one unless cancelled. */
struct chaos {
	struct fixture *f;
	struct asked q[400];
	bool cancelled[400];
	unsigned left;
};

static void chaos_step(struct chaos *c, unsigned i)
{
	static const char *const names[] = {"two.test", "nx.test", "silent.test", "fail.test", "::1", "a..b",
		"v4only.test", "many.test", "localhost"};
	unsigned victim = i > 0 ? (unsigned)rand() % i : 0;
	struct err e;

	ask(c->f, &c->q[i], names[(unsigned)rand() % 9], rand() % 2 ? FAMILY_V4 : FAMILY_V6,
		rand() % 5 == 0 ? rand() % (SECOND / 100) : SECOND / 2, &c->left);
	if (rand() % 3 == 0 && i > 0 && c->q[victim].answers == 0 && !c->cancelled[victim]) {
		resolve_cancel(c->q[victim].query);
		c->cancelled[victim] = true;
		c->left--;
	}
	if (rand() % 40 == 0)
		assert_int_equal(resolver_reload(c->f->resolver, c->f->server.address, &e), 0);
	if (rand() % 4 == 0)
		event_base_loop(c->f->base, EVLOOP_NONBLOCK);
}

static void any_mix_ends_each_query_once(void **state)
{
	unsigned seed = (unsigned)time(NULL);

	print_message("seed %u\n", seed);
	srand(seed);
	for (unsigned round = 0; round < 10; round++) {
		struct chaos c = {.f = *state};

		c.left = 1; /* no early end */
		for (unsigned i = 0; i < 400; i++)
			chaos_step(&c, i);
		c.left--;
		if (c.left > 0)
			run(c.f, &c.left);
		for (unsigned i = 0; i < 400; i++)
			assert_int_equal(c.q[i].answers, c.cancelled[i] ? 0 : 1);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(each_family_has_an_answer_of_its_own),
		TEST(no_record_and_no_name_are_told_apart),
		TEST(a_resolver_that_fails_is_neither),
		TEST(silence_ends_at_the_callers_time),
		TEST(no_server_is_a_failure_not_a_missing_name),
		TEST(literals_and_localhost_ask_nobody),
		TEST(what_is_no_name_never_leaves_the_host),
		TEST(names_are_taken_as_absolute),
		TEST(the_lowest_sixteen_addresses_are_used),
		TEST(a_truncated_answer_is_fetched_by_tcp),
		TEST(those_who_ask_the_same_share_one_query),
		TEST(other_servers_take_over_what_is_under_way),
		TEST(three_thousand_names_at_once_are_all_answered),
		TEST(freeing_cancels_without_a_word),
		TEST(wrong_servers_are_refused_with_words),
		TEST(resolvers_are_the_servers_that_are_asked),
		TEST(servers_are_told_with_their_ports_in_the_order_of_asking),
		TEST(addresses_are_written_as_inet_ntop_does),
		TEST(text_that_is_no_literal_is_refused),
		TEST(any_mix_ends_each_query_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
