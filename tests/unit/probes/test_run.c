#include "probes/run.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <event2/event.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "probes/catalog.h"
#include "probes/resolve.h"
#include "tests/unit/probes/name_server.h"

/* ---- a probe type that does as its options say */

enum behaviour {
	UP_AT_ONCE, DOWN_AT_ONCE, UP_LATER, UNKNOWN_LATER, NEVER, NEVER_WITH_WORDS, NEVER_WITHOUT_WORDS, BEHAVIOURS
};

struct fake_options {
	const char *host, *ipv4, *ipv6;
	int behaviour; /* BEHAVIOURS: any, by chance */
	int64_t delay; /* of LATER, ns */
};

static const struct metric fake_metrics[] = {{9001, "n", "1", 0, "n", "n"}, {.number = 0}};
static const struct catalog_type fake_catalog = {
	.name = "fake", .target = CATALOG_TARGET_HOST, .metrics = fake_metrics};
static const struct catalog_type local_catalog = {.name = "local", .metrics = fake_metrics};

struct fake {
	struct event *event;
	bool up;
};

static struct {
	unsigned opens, opens_to_fail, starts, cancels, closes, held;
} seen;

static int fake_open(const struct probe_env *env, void **state, struct err *e)
{
	(void)env;
	seen.opens++;
	if (seen.opens_to_fail > 0 && seen.opens_to_fail--)
		return err_set(e, "no right to open a fake");
	*state = &seen;
	return 0;
}

static void fake_drop(struct run *r)
{
	struct fake *f = run_private(r);

	if (f == NULL)
		return;
	event_free(f->event);
	free(f);
	run_set_private(r, NULL);
	seen.held--;
}

static void on_later(evutil_socket_t fd, short what, void *ctx)
{
	struct run *r = ctx;
	bool up = ((struct fake *)run_private(r))->up;

	(void)fd;
	(void)what;
	fake_drop(r);
	run_value(r, 9001, 2);
	if (up)
		run_up(r);
	else
		run_unknown(r, "later\n%s", "\x1b[31m");
}

static void at_deadline(void *state, struct run *r)
{
	assert_ptr_equal(state, &seen);
	run_value(r, 9001, 3);
	run_unknown(r, "words of its own");
}

static void at_deadline_silent(void *state, struct run *r)
{
	(void)state;
	(void)r;
}

static void fake_start(void *state, struct run *r)
{
	const struct fake_options *o = run_options(r);
	struct timeval tv = {0, o->delay / NS_PER_US};
	struct fake *f;
	int behaviour = o->behaviour == BEHAVIOURS ? rand() % BEHAVIOURS : o->behaviour;

	assert_ptr_equal(state, &seen);
	seen.starts++;
	assert_true(run_deadline(r) > run_started(r));
	if (behaviour == UP_AT_ONCE) {
		run_up(r);
		return;
	}
	if (behaviour == DOWN_AT_ONCE) {
		run_value(r, 9001, 1);
		run_down(r, "down at once");
		return;
	}
	f = mem_alloc(sizeof *f);
	f->event = evtimer_new(run_env(r)->base, on_later, r);
	f->up = behaviour == UP_LATER;
	run_set_private(r, f);
	seen.held++;
	if (behaviour == UP_LATER || behaviour == UNKNOWN_LATER)
		event_add(f->event, &tv);
	if (behaviour == NEVER_WITH_WORDS)
		run_on_deadline(r, at_deadline);
	if (behaviour == NEVER_WITHOUT_WORDS)
		run_on_deadline(r, at_deadline_silent);
}

static void fake_cancel(void *state, struct run *r)
{
	assert_ptr_equal(state, &seen);
	assert_non_null(run_private(r));
	seen.cancels++;
	fake_drop(r);
}

static void fake_close(void *state)
{
	assert_ptr_equal(state, &seen);
	seen.closes++;
}

static const struct probe_type fake_type = {&fake_catalog, fake_open, fake_start, fake_cancel, fake_close};

static void local_start(void *state, struct run *r)
{
	socklen_t len;

	assert_null(state);
	assert_null(run_address(r, &len));
	assert_int_equal(run_family(r), FAMILY_NONE);
	run_part(r, "eth0");
	run_value(r, 9001, 7);
	run_up(r);
}

static const struct probe_type local_type = {.catalog = &local_catalog, .start = local_start};

static const struct catalog_type site_catalog = {.name = "site", .target = CATALOG_TARGET_SITE, .metrics = fake_metrics};

static void site_start(void *state, struct run *r)
{
	socklen_t len;

	(void)state;
	assert_string_equal(run_host(r), "two.test");
	assert_null(run_address(r, &len));
	run_up_noting(r, "%d of 2 pages", 1);
}

static const struct probe_type site_type = {.catalog = &site_catalog, .start = site_start};

static void parted_start(void *state, struct run *r)
{
	struct run_part *p = run_add_part(r, "eth0\n");

	(void)state;
	run_part_value(p, 9001, 1);
	run_part_down(run_add_part(r, "eth1"), "no %s", "carrier");
	run_part_unknown(run_add_part(r, "eth2"), "not readable");
	run_value(r, 9001, 3);
	run_down(r, "one of three is down");
}

static const struct probe_type parted_type = {.catalog = &local_catalog, .start = parted_start};

static void addressed_start(void *state, struct run *r)
{
	(void)state;
	run_part(r, "192.0.2.1");
	run_add_part(r, "eth0");
	run_up(r);
}

static const struct probe_type addressed_type = {.catalog = &local_catalog, .start = addressed_start};

/* IPv4 takes 2 and 4; of IPv6 ::1 takes 6, and ::9 is down. */
static const struct metric paired_metrics[] = {
	{9001, "time", "s", 6, "t", "t"}, CATALOG_RATIO_METRIC(9001, "time", "t", "t"), {.number = 0}};
static const uint32_t paired_parity[] = {9001, 9002, 0};
static const struct catalog_type paired_catalog = {
	.name = "paired", .target = CATALOG_TARGET_HOST, .metrics = paired_metrics, .parity = paired_parity};

static void paired_start(void *state, struct run *r)
{
	char text[64];
	socklen_t len;
	const char *address = resolve_format(run_address(r, &len), text, sizeof text);
	bool is_first = address[strlen(address) - 1] == '1';

	(void)state;
	run_value(r, 9001, run_family(r) == FAMILY_V6 ? 6 : is_first ? 2 : 4);
	if (run_family(r) == FAMILY_V4 || is_first)
		run_up(r);
	else
		run_down(r, "down");
}

static const struct probe_type paired_type = {.catalog = &paired_catalog, .start = paired_start};

static void crowded_start(void *state, struct run *r)
{
	unsigned told = 0;

	(void)state;
	while (run_add_part(r, "again") != NULL)
		told++;
	assert_int_equal(told, RUN_PARTS_MAX);
	/* never ends: the deadline does */
}

static const struct probe_type crowded_type = {.catalog = &local_catalog, .start = crowded_start};

/* ---- fixture */

struct fixture {
	struct event_base *base;
	struct name_server names;
	struct probe_env env;
	struct runner *runner;
	const char *forbidden;
	int64_t timeout; /* of runs */
};

static bool may_probe(void *ctx, const struct sockaddr *address)
{
	struct fixture *f = ctx;
	char text[64];

	return f->forbidden == NULL || strcmp(resolve_format(address, text, sizeof text), f->forbidden) != 0;
}

static const char *no_way(const struct sockaddr *address, socklen_t len)
{
	char text[64];

	(void)len;
	return strcmp(resolve_format(address, text, sizeof text), "192.0.2.9") == 0 ? "no way to it" : NULL;
}

static int setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof *f);
	struct err e;

	memset(&seen, 0, sizeof seen);
	f->base = event_base_new();
	f->timeout = 60 * NS_PER_MS;
	name_server_open(&f->names, f->base);
	f->env = (struct probe_env){.base = f->base, .may_probe = may_probe, .ctx = f};
	f->env.resolver = resolver_new(f->base, f->names.address, &e);
	f->runner = runner_new(&f->env);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	runner_free(f->runner);
	assert_int_equal(seen.held, 0);
	resolver_free(f->env.resolver);
	name_server_close(&f->names);
	event_base_free(f->base);
	free(f);
	return 0;
}

/* What a group said, one line per result. */
struct group {
	struct event_base *base;
	struct run_group *group;
	unsigned results, dones;
	unsigned cancel_at; /* result at which it is cancelled */
	unsigned *left;
	char lines[40][400];
	double ratios[40]; /* of 9001, NaN: none */
	struct result last;
};

static void on_result(void *ctx, const struct result *r)
{
	struct group *g = ctx;

	assert_int_equal(g->dones, 0);
	assert_true(g->results < 40);
	assert_string_equal(r->check, "a-check");
	assert_int_equal(r->interval_s, 60);
	assert_int_equal(r->generation, 7);
	assert_true(r->boot == clock_boot_id());
	assert_in_range(clock_mono() - r->mono, 0, 30 * NS_PER_S);
	snprintf(g->lines[g->results], sizeof g->lines[0], "%s %s [%s] %s%s%s", family_name(r->family),
		r->address, r->part, outcome_name(r->outcome), *r->reason ? ": " : "", r->reason);
	g->ratios[g->results] = NAN;
	for (size_t i = 0; i < r->count; i++) {
		if (r->values[i].metric == CATALOG_RATIO(9001))
			g->ratios[g->results] = r->values[i].number;
	}
	g->last = *r;
	if (++g->results == g->cancel_at)
		run_group_cancel(g->group);
}

static void on_done(void *ctx)
{
	struct group *g = ctx;

	g->dones++;
	if (--*g->left == 0)
		event_base_loopbreak(g->base);
}

static void begin(struct fixture *f, struct group *g, const struct probe_type *type,
	const struct fake_options *options, unsigned families, unsigned *left)
{
	struct run_spec spec = {.check = "a-check", .type = type, .options = options, .families = families,
		.timeout = f->timeout, .interval_s = 60, .generation = 7};

	*g = (struct group){.base = f->base, .left = left};
	++*left;
	g->group = run_group_begin(f->runner, &spec, on_result, on_done, g);
	assert_int_equal(g->results + g->dones, 0);
}

static void wait_for(struct fixture *f, unsigned *left)
{
	struct timeval limit = {20, 0};

	event_base_loopexit(f->base, &limit);
	event_base_dispatch(f->base);
	assert_int_equal(*left, 0);
}

static struct group run_options_of(struct fixture *f, const struct fake_options *options, unsigned families)
{
	unsigned left = 0;
	struct group g;

	begin(f, &g, &fake_type, options, families, &left);
	wait_for(f, &left);
	assert_int_equal(g.dones, 1);
	assert_int_equal(runner_running(f->runner), 0);
	return g;
}

static struct group run(struct fixture *f, const char *host, enum behaviour behaviour, unsigned families)
{
	struct fake_options o = {.host = host, .ipv4 = "", .ipv6 = "", .behaviour = (int)behaviour};

	return run_options_of(f, &o, families);
}

#define assert_lines(g, ...)                                                                       \
	do {                                                                                       \
		const char *const expected[] = {__VA_ARGS__};                                      \
		assert_int_equal((g)->results, sizeof expected / sizeof *expected);                \
		for (size_t i_ = 0; i_ < (g)->results; i_++)                                       \
			assert_string_equal((g)->lines[i_], expected[i_]);                         \
	} while (0)

static void every_address_of_every_family_has_a_result(void **state)
{
	struct group g = run(*state, "two.test", UP_LATER, RUN_BOTH);

	assert_lines(&g, "IPv4 192.0.2.1 [192.0.2.1] up", "IPv4 192.0.2.9 [192.0.2.9] up",
		"IPv6 2001:db8::1 [2001:db8::1] up", "IPv6 2001:db8::9 [2001:db8::9] up");
	assert_int_equal(g.last.count, 1);
	assert_int_equal(seen.opens, 1);
}

static void times_of_both_families_have_a_ratio_with_ipv6(void **state)
{
	struct fake_options o = {.host = "two.test", .ipv4 = "", .ipv6 = ""};
	struct fixture *f = *state;
	unsigned left = 0;
	struct group g;

	begin(f, &g, &paired_type, &o, RUN_BOTH, &left);
	wait_for(f, &left);
	assert_int_equal(g.results, 4);
	assert_true(isnan(g.ratios[0]) && isnan(g.ratios[1]) && isnan(g.ratios[3]));
	assert_true(g.ratios[2] == 2); /* 6 by the mean of 2 and 4 */
	begin(f, &g, &paired_type, &o, RUN_V6, &left);
	wait_for(f, &left);
	assert_int_equal(g.results, 2);
	assert_true(isnan(g.ratios[0]) && isnan(g.ratios[1]));
}

static void one_address_needs_no_part(void **state)
{
	struct group g = run(*state, "one.test", UP_AT_ONCE, RUN_BOTH);

	assert_lines(&g, "IPv4 127.0.0.1 [] up", "IPv6 ::1 [] up");
	g = run(*state, "localhost", DOWN_AT_ONCE, RUN_BOTH);
	assert_lines(&g, "IPv4 127.0.0.1 [] down: down at once", "IPv6 ::1 [] down: down at once");
}

static void a_family_without_record_is_down(void **state)
{
	struct group g = run(*state, "v4only.test", UP_LATER, RUN_BOTH);

	assert_lines(&g, "IPv4 192.0.2.1 [192.0.2.1] up", "IPv4 192.0.2.9 [192.0.2.9] up",
		"IPv6  [] down: no AAAA record");
	g = run(*state, "nx.test", UP_LATER, RUN_BOTH);
	assert_lines(&g, "IPv4  [] down: no such name", "IPv6  [] down: no such name");
	g = run(*state, "v4only.test", UP_LATER, RUN_V6);
	assert_lines(&g, "IPv6  [] down: no AAAA record");
}

static void a_resolver_that_fails_is_unknown(void **state)
{
	struct group g = run(*state, "silent.test", UP_LATER, RUN_BOTH);

	assert_lines(&g, "IPv4  [] unknown: no answer from the resolver in time",
		"IPv6  [] unknown: no answer from the resolver in time");
	g = run(*state, "fe80::1%nowhere9", UP_LATER, RUN_V6);
	assert_lines(&g, "IPv6  [] unknown: no such interface behind the address");
	assert_int_equal(seen.starts, 0);
}

static void a_literal_is_measured_in_its_own_family(void **state)
{
	struct fixture *f = *state;
	struct group g = run(f, "192.0.2.5", UP_AT_ONCE, RUN_BOTH);

	assert_lines(&g, "IPv4 192.0.2.5 [] up");
	g = run(f, "[2001:db8::5]", UP_AT_ONCE, RUN_BOTH);
	assert_lines(&g, "IPv6 2001:db8::5 [] up");
	g = run(f, "2001:db8::5", UP_AT_ONCE, RUN_V4);
	assert_lines(&g, "IPv4  [] unknown: the target is an IPv6 address");
	assert_int_equal(f->names.queries, 0);
}

static void a_pin_stands_for_its_family_only(void **state)
{
	struct fake_options o = {.host = "two.test", .ipv4 = "", .ipv6 = "2001:db8::77", .behaviour = UP_AT_ONCE};
	struct fixture *f = *state;
	struct group g = run_options_of(f, &o, RUN_BOTH);

	assert_lines(&g, "IPv4 192.0.2.1 [192.0.2.1] up", "IPv4 192.0.2.9 [192.0.2.9] up",
		"IPv6 2001:db8::77 [] up");
	assert_int_equal(f->names.queries, 1);
	o.ipv4 = "192.0.2.77";
	g = run_options_of(f, &o, RUN_BOTH);
	assert_lines(&g, "IPv4 192.0.2.77 [] up", "IPv6 2001:db8::77 [] up");
	assert_int_equal(f->names.queries, 1);
}

static void an_address_that_is_not_allowed_is_unknown(void **state)
{
	struct fixture *f = *state;
	struct group g;

	f->forbidden = "192.0.2.9";
	g = run(f, "two.test", UP_LATER, RUN_V4);
	assert_lines(&g, "IPv4 192.0.2.1 [192.0.2.1] up",
		"IPv4 192.0.2.9 [192.0.2.9] unknown: address is not allowed here");
	assert_int_equal(seen.starts, 1);
}

static void the_deadline_ends_what_does_not_end(void **state)
{
	struct fixture *f = *state;
	struct group g = run(f, "192.0.2.1", NEVER, RUN_BOTH);

	assert_lines(&g, "IPv4 192.0.2.1 [] down: no answer within 60ms");
	assert_int_equal(g.last.count, 0);
	g = run(f, "192.0.2.1", NEVER_WITH_WORDS, RUN_BOTH);
	assert_lines(&g, "IPv4 192.0.2.1 [] unknown: words of its own");
	assert_int_equal(g.last.count, 1);
	g = run(f, "192.0.2.1", NEVER_WITHOUT_WORDS, RUN_BOTH);
	assert_lines(&g, "IPv4 192.0.2.1 [] down: no answer within 60ms");
	assert_int_equal(seen.cancels, 3);
	assert_int_equal(seen.held, 0);
}

static void what_this_host_has_no_way_to_is_not_down(void **state)
{
	struct fixture *f = *state;
	struct group g;

	f->env.no_way = no_way;
	g = run(f, "two.test", NEVER, RUN_V4);
	assert_lines(&g, "IPv4 192.0.2.1 [192.0.2.1] down: no answer within 60ms",
		"IPv4 192.0.2.9 [192.0.2.9] unknown: no way to it");
	g = run(f, "two.test", DOWN_AT_ONCE, RUN_V4);
	assert_lines(&g, "IPv4 192.0.2.1 [192.0.2.1] down: down at once", "IPv4 192.0.2.9 [192.0.2.9] unknown: no way to it");
	assert_int_equal(g.last.count, 0);
	g = run(f, "two.test", UP_LATER, RUN_V4);
	assert_lines(&g, "IPv4 192.0.2.1 [192.0.2.1] up", "IPv4 192.0.2.9 [192.0.2.9] up");
}

static void reasons_are_made_clean(void **state)
{
	struct group g = run(*state, "192.0.2.1", UNKNOWN_LATER, RUN_BOTH);

	assert_lines(&g, "IPv4 192.0.2.1 [] unknown: later??[31m");
}

static void a_type_that_cannot_open_is_unknown_and_tried_again(void **state)
{
	struct fixture *f = *state;
	struct group g;

	seen.opens_to_fail = 2;
	g = run(f, "one.test", UP_AT_ONCE, RUN_BOTH);
	assert_lines(&g, "IPv4 127.0.0.1 [] unknown: no right to open a fake",
		"IPv6 ::1 [] unknown: no right to open a fake");
	g = run(f, "one.test", UP_AT_ONCE, RUN_BOTH);
	assert_lines(&g, "IPv4 127.0.0.1 [] up", "IPv6 ::1 [] up");
	assert_int_equal(seen.opens, 3);
	assert_int_equal(seen.closes, 0);
}

static void a_type_without_target_runs_once(void **state)
{
	struct fixture *f = *state;
	unsigned left = 0;
	struct group g;

	begin(f, &g, &local_type, NULL, RUN_BOTH, &left);
	wait_for(f, &left);
	assert_lines(&g, "-  [eth0] up");
}

static void a_site_is_one_run_of_its_name_and_may_lack_something(void **state)
{
	struct fake_options o = {.host = "https://two.test/x", .ipv4 = "", .ipv6 = ""};
	struct fixture *f = *state;
	unsigned left = 0;
	struct group g;

	begin(f, &g, &site_type, &o, RUN_V4, &left);
	wait_for(f, &left);
	assert_lines(&g, "-  [] up: 1 of 2 pages");
	assert_int_equal(f->names.queries, 0);
}

static void parts_are_handed_on_after_the_run_itself(void **state)
{
	unsigned left = 0;
	struct group g;

	begin(*state, &g, &parted_type, NULL, RUN_BOTH, &left);
	wait_for(*state, &left);
	assert_lines(&g, "-  [] down: one of three is down", "-  [eth0?] up", "-  [eth1] down: no carrier",
		"-  [eth2] unknown: not readable");
	assert_int_equal(g.last.count, 0);
}

static void parts_stand_behind_the_part_of_the_run(void **state)
{
	unsigned left = 0;
	struct group g;

	begin(*state, &g, &addressed_type, NULL, RUN_BOTH, &left);
	wait_for(*state, &left);
	assert_lines(&g, "-  [192.0.2.1] up", "-  [192.0.2.1 eth0] up");
}

static void a_group_cancelled_between_its_parts_tells_no_more(void **state)
{
	unsigned left = 0;
	struct group g;

	begin(*state, &g, &parted_type, NULL, RUN_BOTH, &left);
	g.cancel_at = 2;
	event_base_loop(((struct fixture *)*state)->base, EVLOOP_NONBLOCK);
	while (runner_running(((struct fixture *)*state)->runner) > 0)
		event_base_loop(((struct fixture *)*state)->base, EVLOOP_ONCE);
	assert_int_equal(g.results, 2);
	assert_int_equal(g.dones, 0);
}

static void counted(void *ctx, const struct result *r)
{
	unsigned *n = ctx;

	assert_int_equal(r->outcome, *n == 0 ? OUTCOME_DOWN : OUTCOME_UP);
	++*n;
}

static void nothing_to_do(void *ctx)
{
	(void)ctx;
}

static void a_run_has_so_many_parts_and_keeps_them_at_its_deadline(void **state)
{
	struct run_spec spec = {.check = "", .type = &crowded_type, .families = RUN_BOTH,
		.timeout = 20 * NS_PER_MS};
	struct fixture *f = *state;
	unsigned results = 0;

	run_group_begin(f->runner, &spec, counted, nothing_to_do, &results);
	while (runner_running(f->runner) > 0)
		event_base_loop(f->base, EVLOOP_ONCE);
	assert_int_equal(results, 1 + RUN_PARTS_MAX);
}

/* The resolver takes most of a timeout, the probe most of another one. */
static void a_slow_resolver_takes_nothing_from_the_run(void **state)
{
	struct fake_options o = {.host = "slow.test", .ipv4 = "", .ipv6 = "", .behaviour = UP_LATER,
		.delay = 45 * NS_PER_MS};
	struct timeval wait = {0, 40000};
	struct fixture *f = *state;
	unsigned left = 0;
	struct group g;

	begin(f, &g, &fake_type, &o, RUN_V4, &left);
	event_del(f->names.udp);
	event_base_loopexit(f->base, &wait);
	event_base_dispatch(f->base);
	event_add(f->names.udp, NULL);
	wait_for(f, &left);
	assert_lines(&g, "IPv4 192.0.2.1 [192.0.2.1] up", "IPv4 192.0.2.9 [192.0.2.9] up");
}

static void nothing_comes_after_cancel(void **state)
{
	struct fixture *f = *state;

	for (int b = 0; b < BEHAVIOURS; b++) {
		for (unsigned steps = 0; steps < 4; steps++) {
			struct fake_options o = {.host = steps % 2 ? "two.test" : "192.0.2.1", .ipv4 = "",
				.ipv6 = "", .behaviour = b, .delay = NS_PER_S};
			struct timeval after = {0, 80000};
			unsigned left = 0;
			struct group g;

			begin(f, &g, &fake_type, &o, RUN_BOTH, &left);
			for (unsigned i = 0; i < steps; i++)
				event_base_loop(f->base, EVLOOP_NONBLOCK);
			if (g.dones > 0)
				continue;
			run_group_cancel(g.group);
			assert_int_equal(seen.held, 0);
			assert_int_equal(runner_running(f->runner), 0);
			event_base_loopexit(f->base, &after);
			event_base_dispatch(f->base);
			assert_int_equal(g.results + g.dones, 0);
		}
	}
}

static void a_group_may_be_cancelled_from_its_own_result(void **state)
{
	struct fake_options o = {.host = "two.test", .ipv4 = "", .ipv6 = "", .behaviour = UP_AT_ONCE};
	struct timeval limit = {0, 100000};
	struct fixture *f = *state;
	unsigned left = 0;
	struct group g;

	begin(f, &g, &fake_type, &o, RUN_BOTH, &left);
	g.cancel_at = 2;
	event_base_loopexit(f->base, &limit);
	event_base_dispatch(f->base);
	assert_int_equal(g.results, 2);
	assert_int_equal(g.dones, 0);
	assert_int_equal(runner_running(f->runner), 0);
}

static void freeing_the_runner_cancels_all(void **state)
{
	struct fixture *f = *state;
	struct fake_options o = {.host = "two.test", .ipv4 = "", .ipv6 = "", .behaviour = BEHAVIOURS};
	struct group g[50];
	unsigned left = 0;

	for (size_t i = 0; i < 50; i++) {
		begin(f, &g[i], &fake_type, &o, RUN_BOTH, &left);
		if (i == 30)
			event_base_loop(f->base, EVLOOP_ONCE);
	}
	runner_free(f->runner);
	assert_int_equal(seen.held, 0);
	assert_int_equal(seen.closes, seen.opens);
	event_base_loop(f->base, EVLOOP_NONBLOCK);
	f->runner = runner_new(&f->env);
}

/* Any mix of names, families, behaviours and cancels: as many results as there are addresses (or one per
 * family without), one end, and nothing after a cancel. */
struct mix {
	struct group g;
	struct fake_options options;
	unsigned expected;
	bool cancelled;
};

static void mix_begin(struct fixture *f, struct mix *m, unsigned *left)
{
	static const struct {
		const char *host;
		unsigned v4, v6, both;
	} hosts[] = {{"two.test", 2, 2, 4}, {"one.test", 1, 1, 2}, {"nx.test", 1, 1, 2}, {"many.test", 16, 16, 32},
		{"v4only.test", 2, 1, 3}, {"silent.test", 1, 1, 2}, {"192.0.2.1", 1, 1, 1}, {"::1", 1, 1, 1},
		{"localhost", 1, 1, 2}};
	size_t h = (size_t)rand() % (sizeof hosts / sizeof *hosts);
	unsigned families = 1 + (unsigned)rand() % 3;

	m->cancelled = false;
	m->options = (struct fake_options){.host = hosts[h].host, .ipv4 = "", .ipv6 = "",
		.behaviour = BEHAVIOURS, .delay = rand() % (f->timeout * 4 / 3)};
	m->expected = families == RUN_BOTH ? hosts[h].both : families == RUN_V4 ? hosts[h].v4 : hosts[h].v6;
	begin(f, &m->g, &fake_type, &m->options, families, left);
}

static void any_mix_gives_each_run_one_result(void **state)
{
	enum { COUNT = 300 };
	struct mix *mix = mem_array(COUNT, sizeof *mix);
	unsigned seed = (unsigned)time(NULL), left = 1;
	struct fixture *f = *state;

	print_message("seed %u\n", seed);
	srand(seed);
	f->forbidden = "192.0.2.9";
	f->timeout = NS_PER_S; /* names are known in time on a loaded machine as well */
	seen.opens_to_fail = 3;
	for (unsigned i = 0; i < COUNT; i++) {
		unsigned victim = i > 0 ? (unsigned)rand() % i : 0;

		mix_begin(f, &mix[i], &left);
		if (rand() % 4 == 0 && i > 0 && !mix[victim].cancelled && mix[victim].g.dones == 0) {
			run_group_cancel(mix[victim].g.group);
			mix[victim].cancelled = true;
			assert_int_equal(mix[victim].g.results, 0);
			left--;
		}
		if (rand() % 3 == 0)
			event_base_loop(f->base, EVLOOP_NONBLOCK);
	}
	if (--left > 0)
		wait_for(f, &left);
	for (unsigned i = 0; i < COUNT; i++) {
		assert_int_equal(mix[i].g.dones, mix[i].cancelled ? 0 : 1);
		assert_int_equal(mix[i].g.results, mix[i].cancelled ? 0 : mix[i].expected);
	}
	assert_int_equal(seen.held, 0);
	assert_int_equal(runner_running(f->runner), 0);
	free(mix);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(every_address_of_every_family_has_a_result),
		TEST(times_of_both_families_have_a_ratio_with_ipv6),
		TEST(one_address_needs_no_part),
		TEST(a_family_without_record_is_down),
		TEST(a_resolver_that_fails_is_unknown),
		TEST(a_literal_is_measured_in_its_own_family),
		TEST(a_pin_stands_for_its_family_only),
		TEST(an_address_that_is_not_allowed_is_unknown),
		TEST(what_this_host_has_no_way_to_is_not_down),
		TEST(the_deadline_ends_what_does_not_end),
		TEST(reasons_are_made_clean),
		TEST(a_type_that_cannot_open_is_unknown_and_tried_again),
		TEST(a_type_without_target_runs_once),
		TEST(a_site_is_one_run_of_its_name_and_may_lack_something),
		TEST(parts_are_handed_on_after_the_run_itself),
		TEST(parts_stand_behind_the_part_of_the_run),
		TEST(a_group_cancelled_between_its_parts_tells_no_more),
		TEST(a_run_has_so_many_parts_and_keeps_them_at_its_deadline),
		TEST(a_slow_resolver_takes_nothing_from_the_run),
		TEST(nothing_comes_after_cancel),
		TEST(a_group_may_be_cancelled_from_its_own_result),
		TEST(freeing_the_runner_cancels_all),
		TEST(any_mix_gives_each_run_one_result),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
