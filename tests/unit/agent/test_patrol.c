#include "agent/patrol.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "agent/assignments.h"
#include "agent/settings.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/wire.h"
#include "probes/probe.h"
#include "probes/resolve.h"
#include "probes/run.h"

/* Checks are TCP connects to this host: to `open`, which accepts and never speaks, or to `closed`. With something
 * to expect, a run to `open` stays under way until its timeout. */
struct fixture {
	struct event_base *base;
	struct probe_env env;
	struct runner *runner;
	struct patrol *patrol;
	int listener;
	char open[8], closed[8]; /* ports */
	uint64_t seq;
	unsigned results, idle, leave_at; /* results that end the loop */
	struct result last;
	char last_check[64];
	size_t most_running;
};

static bool may_probe(void *ctx, const struct sockaddr *a)
{
	(void)ctx, (void)a;
	return true;
}

static struct position on_result(void *ctx, const struct result *r)
{
	struct fixture *f = ctx;

	f->last = *r;
	snprintf(f->last_check, sizeof f->last_check, "%s", r->check);
	f->most_running = runner_running(f->runner) > f->most_running ? runner_running(f->runner) : f->most_running;
	if (++f->results == f->leave_at)
		event_base_loopbreak(f->base);
	return (struct position){9, ++f->seq};
}

static void on_idle(void *ctx)
{
	struct fixture *f = ctx;

	f->idle++;
}

/* A port of the loopback address of IPv4; listening or free just now. */
static int take_port(char out[8], bool listening)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;

	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
	snprintf(out, 8, "%u", ntohs(a.sin_port));
	if (listening) {
		assert_int_equal(listen(fd, 4096), 0);
		return fd;
	}
	close(fd);
	return -1;
}

static int setup_with(void **state, size_t concurrency)
{
	static const struct patrol_events events = {on_result, on_idle};
	struct fixture *f = mem_alloc(sizeof *f);
	struct err e;

	f->base = event_base_new();
	f->env = (struct probe_env){.base = f->base, .may_probe = may_probe,
		.resolver = resolver_new(f->base, "192.0.2.1", &e)};
	f->runner = runner_new(&f->env);
	f->patrol = patrol_new(f->base, f->runner, "a", concurrency, &events, f);
	f->listener = take_port(f->open, true);
	take_port(f->closed, false);
	*state = f;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, 64);
}

static int setup_narrow(void **state)
{
	return setup_with(state, 3);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	patrol_free(f->patrol);
	runner_free(f->runner);
	resolver_free(f->env.resolver);
	event_base_free(f->base);
	close(f->listener);
	free(f);
	return 0;
}

static void no_refusals(void *ctx, const char *check, const char *why)
{
	(void)ctx;
	fail_msg("%s: %s", check, why);
}

/* `count` checks each second: check-first, check-first+1, ... to one port, of generation g. */
static struct patrol_change assign(struct fixture *f, unsigned first, unsigned count, const char *port,
	const char *expect, uint64_t g)
{
	static const struct agent_settings nothing_local;
	const struct wire_option options[] = {{"host", "127.0.0.1"}, {"port", port}, {"expect", expect}};
	struct wire_check *checks = mem_array(count + 1, sizeof *checks);
	struct wire_assignments remote = {"a", g, count, checks};
	struct assignments *set;
	struct patrol_change change;
	char (*ids)[16] = mem_array(count + 1, sizeof *ids);

	for (unsigned i = 0; i < count; i++) {
		snprintf(ids[i], sizeof ids[i], "check-%u", first + i);
		checks[i] = (struct wire_check){.id = ids[i], .type = "tcp", .interval_s = 1, .families = 1,
			.timeout_ms = 900, .options_count = 3, .options = options};
	}
	set = assignments_new(&nothing_local, &remote, no_refusals, NULL);
	patrol_set(f->patrol, set, &change);
	assignments_drop(set);
	free(checks);
	free(ids);
	return change;
}

static void on_limit(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd, (void)what;
	event_base_loopbreak(ctx);
}

static void run_until(struct fixture *f, unsigned results)
{
	const struct timeval limit = {60, 0};
	struct event *timer = evtimer_new(f->base, on_limit, f->base);

	f->leave_at = f->results + results;
	evtimer_add(timer, &limit);
	event_base_dispatch(f->base);
	event_free(timer);
	assert_int_equal(f->results, f->leave_at);
}

static size_t rows_of_now(const struct fixture *f, uint64_t synced)
{
	struct wire_packer *packer = wire_packer_new(1 << 20);
	size_t n;

	patrol_add_now(f->patrol, (struct position){9, synced}, packer);
	n = wire_packer_count(packer);
	wire_packer_free(packer);
	return n;
}

static struct patrol_stats stats_of(const struct fixture *f)
{
	struct patrol_stats s;

	patrol_stats(f->patrol, &s);
	return s;
}

static void each_check_is_measured_in_its_interval(void **state)
{
	struct fixture *f = *state;
	struct patrol_change change = assign(f, 0, 20, f->open, "", 5);
	int64_t start = clock_mono();

	assert_int_equal(change.added, 20);
	run_until(f, 40);
	assert_true(clock_mono() - start < 5 * NS_PER_S);
	assert_int_equal(stats_of(f).up, 40);
	assert_int_equal(f->last.generation, 5);
	assert_int_equal(f->last.interval_s, 1);
	assert_true(f->idle > 0);
}

static void with_all_places_taken_checks_wait(void **state)
{
	struct fixture *f = *state;

	assign(f, 0, 12, f->open, "nothing comes", 1);
	run_until(f, 9);
	assert_int_equal(stats_of(f).down, 9);
	assert_true(f->most_running <= 3);
	assert_true(stats_of(f).timetable.waiting > 0);
}

static void a_new_set_changes_only_what_changed(void **state)
{
	struct fixture *f = *state;
	struct patrol_change change;

	assign(f, 0, 10, f->closed, "", 1);
	run_until(f, 10);
	assert_int_equal(rows_of_now(f, f->seq), 10);
	change = assign(f, 2, 10, f->closed, "", 2);
	assert_int_equal(change.added, 2);
	assert_int_equal(change.removed, 2);
	assert_int_equal(change.changed, 0);
	assert_int_equal(rows_of_now(f, f->seq), 8);
	/* The same ids measure something else: what was so is no more. */
	change = assign(f, 2, 10, f->open, "", 3);
	assert_int_equal(change.added + change.removed, 0);
	assert_int_equal(change.changed, 10);
	assert_int_equal(rows_of_now(f, f->seq), 0);
	run_until(f, 10);
	assert_int_equal(f->last.generation, 3);
	assert_int_equal(stats_of(f).timetable.items, 10);
}

/* Only the timetable of a check keeps its slots over many new sets: none is skipped, none comes twice. */
static void new_sets_do_not_disturb_the_slots(void **state)
{
	struct fixture *f = *state;
	int64_t first;

	assign(f, 0, 1, f->open, "", 1);
	run_until(f, 1);
	first = f->last.mono;
	for (unsigned i = 0; i < 3; i++) {
		for (uint64_t g = 0; g < 50; g++)
			assign(f, 0, 1, f->open, "", g);
		run_until(f, 1);
		assert_in_range(f->last.mono - first, (i + 1) * NS_PER_S - 300 * NS_PER_MS,
			(i + 1) * NS_PER_S + 300 * NS_PER_MS);
	}
	assert_int_equal(stats_of(f).timetable.missed, 0);
}

static int start_one(struct fixture *f)
{
	while (stats_of(f).timetable.running == 0)
		event_base_loop(f->base, EVLOOP_ONCE);
	event_base_loop(f->base, EVLOOP_NONBLOCK); /* its socket is there */
	return 0;
}

static void a_check_that_is_gone_ends_without_a_result(void **state)
{
	struct fixture *f = *state;
	struct patrol_change change;

	assign(f, 0, 1, f->open, "nothing comes", 1);
	start_one(f);
	change = assign(f, 0, 0, f->open, "", 2);
	assert_int_equal(change.removed, 1);
	assert_int_equal(runner_running(f->runner), 0);
	assert_int_equal(stats_of(f).timetable.items, 0);
	event_base_loop(f->base, EVLOOP_NONBLOCK);
	assert_int_equal(f->results, 0);
}

static void a_run_under_way_ends_with_what_it_began_with(void **state)
{
	struct fixture *f = *state;

	assign(f, 0, 1, f->open, "nothing comes", 1);
	start_one(f);
	assign(f, 0, 1, f->closed, "", 2);
	assign(f, 0, 1, f->closed, "", 3);
	run_until(f, 1);
	assert_int_equal(f->last.generation, 1);
	assert_string_equal(f->last_check, "check-0");
	run_until(f, 1);
	assert_int_equal(f->last.generation, 3);
}

static void it_may_end_with_runs_under_way(void **state)
{
	struct fixture *f = *state;

	assign(f, 0, 5, f->open, "nothing comes", 1);
	start_one(f);
}

static void three_thousand_checks_are_exchanged_in_no_time(void **state)
{
	struct fixture *f = *state;
	int64_t start = clock_mono(), took;

	assign(f, 0, 3000, f->closed, "", 1);
	assign(f, 1500, 3000, f->closed, "", 2);
	took = clock_mono() - start;
	printf("two sets of 3000 checks: %.1f ms\n", (double)took / 1e6);
	assert_int_equal(stats_of(f).timetable.items, 3000);
	run_until(f, 3000);
	assert_true(f->most_running <= 64);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(each_check_is_measured_in_its_interval),
		cmocka_unit_test_setup_teardown(with_all_places_taken_checks_wait, setup_narrow, teardown),
		CASE(a_new_set_changes_only_what_changed),
		CASE(new_sets_do_not_disturb_the_slots),
		CASE(a_check_that_is_gone_ends_without_a_result),
		CASE(a_run_under_way_ends_with_what_it_began_with),
		CASE(it_may_end_with_runs_under_way),
		CASE(three_thousand_checks_are_exchanged_in_no_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
