#include "agent/timetable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/mem.h"

#define SECOND NS_PER_S
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define START (INT64_C(1234567) * SECOND + 987654321)

/* A town in virtual time: checks whose runs take `takes` and are up unless said otherwise. */
struct check {
	struct timetable_item *item;
	bool running;
	int64_t ends, last_start;
	unsigned starts;
	bool is_down, was_down;
};

struct sim {
	struct timetable *table;
	struct check *checks;
	size_t count;
	int64_t now, takes;
	size_t running, most_running;
	unsigned *per_second; /* starts in each second since `origin` */
	size_t seconds;
	int64_t origin;
	int64_t first_starts[16]; /* of all checks together */
	size_t started;
};

static void sim_open(struct sim *s, size_t count, size_t concurrency, const struct timetable_rhythm *r)
{
	*s = (struct sim){.count = count, .now = START, .takes = 200 * NS_PER_MS, .seconds = 90000};
	s->table = timetable_new("county-1", concurrency);
	s->checks = mem_array(count, sizeof *s->checks);
	s->per_second = mem_array(s->seconds, sizeof *s->per_second);
	s->origin = START;
	for (size_t i = 0; i < count; i++) {
		char id[32];

		snprintf(id, sizeof id, "sys-%zu", i);
		s->checks[i].item = timetable_add(s->table, id, r, &s->checks[i], s->now);
	}
}

static void sim_close(struct sim *s)
{
	for (size_t i = 0; i < s->count; i++)
		timetable_remove(s->table, s->checks[i].item);
	timetable_free(s->table);
	free(s->checks);
	free(s->per_second);
}

static enum timetable_outcome outcome_of(struct check *c)
{
	enum timetable_outcome outcome = !c->is_down ? TIMETABLE_UP :
		c->was_down ? TIMETABLE_STILL : TIMETABLE_FRESH;

	c->was_down = c->is_down;
	return outcome;
}

static void end_what_ended(struct sim *s)
{
	for (size_t i = 0; i < s->count; i++) {
		struct check *c = &s->checks[i];

		if (!c->running || c->ends > s->now)
			continue;
		c->running = false;
		s->running--;
		timetable_end(s->table, c->item, outcome_of(c), s->now);
	}
}

static void start_what_is_due(struct sim *s)
{
	struct timetable_item *item;

	while ((item = timetable_start(s->table, s->now)) != NULL) {
		struct check *c = timetable_work(item);
		size_t second = (size_t)((s->now - s->origin) / SECOND);

		assert_false(c->running);
		c->running = true;
		c->ends = s->now + s->takes;
		c->last_start = s->now;
		c->starts++;
		if (s->started < 16)
			s->first_starts[s->started++] = s->now;
		s->running++;
		if (second < s->seconds)
			s->per_second[second]++;
	}
	if (s->running > s->most_running)
		s->most_running = s->running;
}

/* Runs the loop up to `until`; what ends then is ended. */
static void sim_run(struct sim *s, int64_t until)
{
	for (;;) {
		int64_t next = timetable_wake(s->table);

		for (size_t i = 0; i < s->count; i++) {
			if (s->checks[i].running && s->checks[i].ends < next)
				next = s->checks[i].ends;
		}
		if (next > until)
			break;
		if (next > s->now)
			s->now = next;
		end_what_ended(s);
		start_what_is_due(s);
	}
	s->now = until;
}

static unsigned most_per_second(const struct sim *s, int64_t from, int64_t to)
{
	unsigned most = 0;

	for (size_t i = (size_t)((from - s->origin) / SECOND); i < (size_t)((to - s->origin) / SECOND); i++)
		most = s->per_second[i] > most ? s->per_second[i] : most;
	return most;
}

static const struct timetable_rhythm every_minute = {MINUTE, false};

static void three_thousand_checks_are_spread_and_each_runs_every_minute(void **state)
{
	struct sim s;

	(void)state;
	sim_open(&s, 3000, 1000, &every_minute);
	sim_run(&s, START + 10 * MINUTE);
	for (size_t i = 0; i < s.count; i++)
		assert_int_equal(s.checks[i].starts, 10);
	/* 50 a second on average; 10 even minutes of chance stay far below twice that. */
	assert_in_range(most_per_second(&s, START, START + 10 * MINUTE), 50, 99);
	sim_close(&s);
}

static void the_phase_of_a_check_is_the_same_after_a_restart_and_differs_between_agents(void **state)
{
	const char *agents[] = {"county-1", "county-1", "county-2"};
	int64_t begins[3];

	(void)state;
	for (int i = 0; i < 3; i++) {
		struct timetable *t = timetable_new(agents[i], 1);
		struct timetable_item *item =
			timetable_add(t, "portal", &every_minute, NULL, START + i * 7 * SECOND);

		begins[i] = timetable_wake(t) % MINUTE;
		timetable_remove(t, item);
		timetable_free(t);
	}
	assert_int_equal(begins[0], begins[1]);
	assert_int_not_equal(begins[0], begins[2]);
}

static void eight_hours_of_suspend_end_without_a_burst_and_are_counted(void **state)
{
	struct timetable_stats before, after;
	struct sim s;

	(void)state;
	sim_open(&s, 3000, 1000, &every_minute);
	sim_run(&s, START + 5 * MINUTE);
	timetable_stats(s.table, &before);
	/* Nothing is called for eight hours; then life goes on. */
	s.now += 8 * HOUR;
	s.origin = s.now;
	memset(s.per_second, 0, s.seconds * sizeof *s.per_second);
	end_what_ended(&s);
	start_what_is_due(&s);
	sim_run(&s, s.origin + 10 * MINUTE);
	timetable_stats(s.table, &after);
	/* At most the slots of the last TIMETABLE_LATE at once, and those that just ran asking on. */
	assert_in_range(most_per_second(&s, s.origin, s.now), 50, 250);
	assert_in_range(most_per_second(&s, s.origin + 2 * SECOND, s.now), 50, 99);
	/* 480 slots of each check passed; 2 seconds' worth of the last were still in time. */
	assert_in_range(after.missed - before.missed, 3000 * 480 - 250, 3000 * 480);
	sim_close(&s);
}

static void a_stall_shorter_than_the_limit_loses_no_run(void **state)
{
	struct timetable_stats stats;
	struct sim s;

	(void)state;
	sim_open(&s, 600, 600, &every_minute);
	sim_run(&s, START + MINUTE);
	s.now += 1900 * NS_PER_MS;
	end_what_ended(&s);
	start_what_is_due(&s);
	sim_run(&s, START + 5 * MINUTE);
	timetable_stats(s.table, &stats);
	assert_int_equal(stats.missed, 0);
	assert_int_equal(stats.started, 600 * 5);
	sim_close(&s);
}

static void no_more_than_the_allowed_run_at_once_and_none_starves(void **state)
{
	struct timetable_stats stats;
	unsigned least = UINT32_MAX, most = 0;
	struct sim s;

	(void)state;
	sim_open(&s, 200, 10, &(struct timetable_rhythm){10 * SECOND, false});
	s.takes = SECOND; /* 200 in 10 s asked for, 100 possible */
	sim_run(&s, START + 20 * MINUTE);
	assert_int_equal(s.most_running, 10);
	for (size_t i = 0; i < s.count; i++) {
		least = s.checks[i].starts < least ? s.checks[i].starts : least;
		most = s.checks[i].starts > most ? s.checks[i].starts : most;
	}
	assert_in_range(most - least, 0, 2);
	timetable_stats(s.table, &stats);
	/* What did not begin was missed: each slot is one or the other, but for those still in line. */
	assert_in_range(stats.started + stats.missed, 200 * 120 - 400, 200 * 120);
	sim_close(&s);
}

static void those_that_wait_begin_in_the_order_they_came(void **state)
{
	struct timetable *t = timetable_new("a", 1);
	struct timetable_rhythm r = {MINUTE, false};
	struct timetable_item *items[20], *first;
	int64_t order[20];
	int ids[20];

	(void)state;
	for (int i = 0; i < 20; i++) {
		char id[16];

		ids[i] = i;
		snprintf(id, sizeof id, "c%d", i);
		items[i] = timetable_add(t, id, &r, &ids[i], START);
	}
	for (int i = 0; i < 20; i++) {
		int64_t wake = timetable_wake(t);

		first = timetable_start(t, wake);
		if (i == 0) {
			assert_non_null(first);
			order[0] = *(int *)timetable_work(first);
		}
	}
	for (int i = 1; i < 20; i++) {
		/* Each call above noticed one more that is due; now they are let in one by one. */
		timetable_end(t, items[order[i - 1]], TIMETABLE_UP, START + MINUTE);
		first = timetable_start(t, START + MINUTE);
		assert_non_null(first);
		order[i] = *(int *)timetable_work(first);
	}
	for (int i = 1; i < 20; i++) {
		struct timetable *alone = timetable_new("a", 1);
		int64_t due[2];

		for (int k = 0; k < 2; k++) {
			char id[24];
			struct timetable_item *item;

			snprintf(id, sizeof id, "c%d", (int)order[i - 1 + k]);
			item = timetable_add(alone, id, &r, NULL, START);
			due[k] = timetable_wake(alone);
			timetable_remove(alone, item);
		}
		assert_true(due[0] <= due[1]);
		timetable_free(alone);
	}
	for (int i = 0; i < 20; i++)
		timetable_remove(t, items[i]);
	timetable_free(t);
}

/* Start times of one check that is down from the beginning, in ns after the first; up to three
 * intervals. */
static size_t starts_when_down(const struct timetable_rhythm *r, int64_t at[16], int64_t takes)
{
	struct sim s;
	size_t count;

	sim_open(&s, 1, 1, r);
	s.takes = takes;
	s.checks[0].is_down = true;
	sim_run(&s, timetable_wake(s.table) + 3 * r->interval);
	count = s.started;
	for (size_t i = 0; i < count; i++)
		at[i] = s.first_starts[i] - s.first_starts[0];
	sim_close(&s);
	return count;
}

static void a_check_that_is_down_is_asked_three_times_ten_seconds_apart_then_by_its_interval(void **state)
{
	const int64_t expected[] = {0, 10 * SECOND, 20 * SECOND, MINUTE, 2 * MINUTE, 3 * MINUTE};
	int64_t at[16];

	(void)state;
	assert_int_equal(starts_when_down(&every_minute, at, SECOND), 6);
	assert_memory_equal(at, expected, sizeof expected);
}

static void a_priority_check_is_asked_again_after_five_seconds(void **state)
{
	const int64_t expected[] = {0, 5 * SECOND, 10 * SECOND, 15 * SECOND, 30 * SECOND, 45 * SECOND};
	int64_t at[16];

	(void)state;
	assert_int_equal(starts_when_down(&(struct timetable_rhythm){15 * SECOND, true}, at, SECOND), 6);
	assert_memory_equal(at, expected, sizeof expected);
}

static void a_run_longer_than_the_gap_is_followed_at_once_but_never_overlapped(void **state)
{
	const int64_t expected[] = {0, 12 * SECOND, 24 * SECOND, MINUTE};
	int64_t at[16];

	(void)state;
	assert_in_range(starts_when_down(&every_minute, at, 12 * SECOND), 4, 16);
	assert_memory_equal(at, expected, sizeof expected);
}

static void a_slot_that_comes_before_the_next_attempt_is_that_attempt(void **state)
{
	const int64_t expected[] = {0, 8 * SECOND, 16 * SECOND, 24 * SECOND};
	int64_t at[16];

	(void)state;
	assert_int_equal(starts_when_down(&(struct timetable_rhythm){8 * SECOND, false}, at, SECOND), 4);
	assert_memory_equal(at, expected, sizeof expected);
}

/* Steps one item through one run with an outcome; how long after its start it begins again. */
static int64_t step(struct timetable *t, struct timetable_item *item, enum timetable_outcome outcome)
{
	int64_t now = timetable_wake(t);

	assert_ptr_equal(timetable_start(t, now), item);
	timetable_end(t, item, outcome, now + SECOND);
	return timetable_wake(t) - now;
}

static void recovery_ends_the_asking_and_a_new_trouble_begins_it_anew(void **state)
{
	struct timetable *t = timetable_new("a", 4);
	struct timetable_item *item = timetable_add(t, "x", &every_minute, NULL, START);

	(void)state;
	assert_int_equal(step(t, item, TIMETABLE_FRESH), 10 * SECOND);
	assert_int_equal(step(t, item, TIMETABLE_UP), 50 * SECOND);
	assert_int_equal(step(t, item, TIMETABLE_FRESH), 10 * SECOND);
	assert_int_equal(step(t, item, TIMETABLE_STILL), 10 * SECOND);
	assert_int_equal(step(t, item, TIMETABLE_STILL), 40 * SECOND);
	assert_int_equal(step(t, item, TIMETABLE_STILL), MINUTE);
	/* One family has long been down; now the other goes too: asked again at once. */
	assert_int_equal(step(t, item, TIMETABLE_FRESH), 10 * SECOND);
	timetable_remove(t, item);
	timetable_free(t);
}

static void a_reload_keeps_phases_and_attempts_of_what_did_not_change(void **state)
{
	struct timetable *t = timetable_new("a", 4);
	struct timetable_item *item = timetable_add(t, "x", &every_minute, NULL, START);
	struct timetable_item *other;
	int64_t due;

	(void)state;
	assert_int_equal(step(t, item, TIMETABLE_FRESH), 10 * SECOND);
	assert_int_equal(step(t, item, TIMETABLE_STILL), 10 * SECOND);
	due = timetable_wake(t);
	timetable_change(t, item, &every_minute, due - 5 * SECOND);
	other = timetable_add(t, "y", &(struct timetable_rhythm){HOUR, false}, NULL, due - 5 * SECOND);
	timetable_remove(t, other);
	assert_int_equal(timetable_wake(t), due);
	/* The third attempt was still to come, the fourth is not. */
	assert_int_equal(step(t, item, TIMETABLE_STILL), 40 * SECOND);
	timetable_remove(t, item);
	timetable_free(t);
}

static void a_new_interval_holds_from_the_next_slot_on(void **state)
{
	struct timetable_rhythm fast = {20 * SECOND, false};
	struct timetable *t = timetable_new("a", 4);
	struct timetable_item *item = timetable_add(t, "x", &(struct timetable_rhythm){HOUR, false}, NULL, START);

	(void)state;
	timetable_change(t, item, &fast, START);
	assert_in_range(timetable_wake(t) - START, 1, 20 * SECOND);
	assert_int_equal(step(t, item, TIMETABLE_UP), 20 * SECOND);
	timetable_remove(t, item);
	timetable_free(t);
}

static void a_check_removed_while_it_runs_or_waits_gives_its_place_back(void **state)
{
	struct timetable *t = timetable_new("a", 1);
	struct timetable_item *items[3], *running;
	struct timetable_stats stats;
	const char *ids[] = {"x", "y", "z"};
	size_t at = 0;

	(void)state;
	for (int i = 0; i < 3; i++)
		items[i] = timetable_add(t, ids[i], &(struct timetable_rhythm){SECOND, false}, NULL, START);
	running = timetable_start(t, START + SECOND);
	while (running == NULL)
		running = timetable_start(t, timetable_wake(t));
	(void)timetable_start(t, timetable_wake(t));
	timetable_remove(t, running);
	for (int i = 0; i < 3; i++) {
		if (items[i] != running)
			items[at++] = items[i];
	}
	timetable_stats(t, &stats);
	assert_int_equal(stats.running, 0);
	timetable_remove(t, items[0]);
	running = timetable_start(t, timetable_wake(t) > 0 ? timetable_wake(t) : START + 2 * SECOND);
	assert_ptr_equal(running, items[1]);
	timetable_remove(t, items[1]);
	timetable_stats(t, &stats);
	assert_int_equal(stats.items + stats.running + stats.waiting, 0);
	timetable_free(t);
}

static void haste_begins_a_check_at_once_but_not_more_often_than_every_five_seconds(void **state)
{
	struct check *c;
	struct sim s;
	int64_t slot;

	(void)state;
	sim_open(&s, 1, 10, &every_minute);
	c = &s.checks[0];
	slot = timetable_wake(s.table);
	if (slot - s.now < 40 * SECOND) { /* so that there is time before it */
		sim_run(&s, slot + SECOND);
		slot += MINUTE;
	}
	s.now += 10 * SECOND;
	c->starts = 0;
	timetable_hasten(s.table, c->item, s.now);
	sim_run(&s, s.now);
	assert_int_equal(c->starts, 1);
	assert_int_equal(c->last_start, s.now);
	for (int i = 0; i < 1000; i++) { /* a flood, also while it runs */
		timetable_hasten(s.table, c->item, s.now);
		sim_run(&s, s.now + 12 * NS_PER_MS);
	}
	assert_in_range(c->starts, 3, 4);
	sim_run(&s, slot + SECOND); /* its slots stay where they are */
	assert_int_equal(c->last_start, slot);
	sim_close(&s);
}

/* Random life: add, change, remove, stall; whatever happens, no run overlaps itself, the limit holds, and the
 * count of what runs and waits is right. */
static void random_lives_keep_the_rules(void **state)
{
	unsigned seed = (unsigned)time(NULL);
	struct sim s;
	int64_t from;

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	sim_open(&s, 60, 7, &(struct timetable_rhythm){5 * SECOND, false});
	for (int round = 0; round < 3000; round++) {
		struct check *c = &s.checks[(size_t)rand() % s.count];
		struct timetable_rhythm r = {(1 + rand() % 20) * SECOND, rand() % 2 == 0};
		struct timetable_stats stats;
		char id[32];

		s.takes = rand() % (4 * (int)(SECOND / 1000)) * INT64_C(1000) + 1;
		c->is_down = rand() % 3 == 0;
		if (rand() % 10 == 0)
			timetable_change(s.table, c->item, &r, s.now);
		if (rand() % 10 == 0) {
			timetable_remove(s.table, c->item);
			s.running -= c->running;
			*c = (struct check){0};
			snprintf(id, sizeof id, "n-%d", round);
			c->item = timetable_add(s.table, id, &r, c, s.now);
		}
		if (rand() % 50 == 0)
			s.now += rand() % 100 * SECOND;
		sim_run(&s, s.now + rand() % 3000 * NS_PER_MS);
		timetable_stats(s.table, &stats);
		assert_int_equal(stats.running, s.running);
		assert_int_equal(stats.items, s.count);
		assert_in_range(s.most_running, 0, 7);
	}
	from = s.now; /* nothing jumps any more: each has its turn, also with more to do than can be done at once */
	sim_run(&s, s.now + 200 * SECOND);
	for (size_t i = 0; i < s.count; i++)
		assert_true(s.checks[i].last_start > from);
	sim_close(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(three_thousand_checks_are_spread_and_each_runs_every_minute),
		cmocka_unit_test(the_phase_of_a_check_is_the_same_after_a_restart_and_differs_between_agents),
		cmocka_unit_test(eight_hours_of_suspend_end_without_a_burst_and_are_counted),
		cmocka_unit_test(a_stall_shorter_than_the_limit_loses_no_run),
		cmocka_unit_test(no_more_than_the_allowed_run_at_once_and_none_starves),
		cmocka_unit_test(those_that_wait_begin_in_the_order_they_came),
		cmocka_unit_test(a_check_that_is_down_is_asked_three_times_ten_seconds_apart_then_by_its_interval),
		cmocka_unit_test(a_priority_check_is_asked_again_after_five_seconds),
		cmocka_unit_test(a_run_longer_than_the_gap_is_followed_at_once_but_never_overlapped),
		cmocka_unit_test(a_slot_that_comes_before_the_next_attempt_is_that_attempt),
		cmocka_unit_test(recovery_ends_the_asking_and_a_new_trouble_begins_it_anew),
		cmocka_unit_test(a_reload_keeps_phases_and_attempts_of_what_did_not_change),
		cmocka_unit_test(a_new_interval_holds_from_the_next_slot_on),
		cmocka_unit_test(a_check_removed_while_it_runs_or_waits_gives_its_place_back),
		cmocka_unit_test(haste_begins_a_check_at_once_but_not_more_often_than_every_five_seconds),
		cmocka_unit_test(random_lives_keep_the_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
