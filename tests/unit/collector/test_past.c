#include "collector/judge/past.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/err.h"

#define SECOND NS_PER_S
#define MINUTE (60 * SECOND)
#define START (INT64_C(1790000000) * SECOND)

static uint64_t draw(uint64_t *seed)
{
	uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static void saying_takes_back_what_was_said_of_later_times(void **state)
{
	struct past p = {0};

	(void)state;
	past_set(&p, 10, VOTE_UP);
	past_set(&p, 20, VOTE_DOWN);
	past_set(&p, 30, VOTE_UP);
	past_set(&p, 25, VOTE_UNKNOWN);
	assert_int_equal(p.count, 3);
	past_set(&p, 20, VOTE_UP); /* as before it: one stretch */
	assert_int_equal(p.count, 1);
	assert_int_equal(past_at(&p, 9), VOTE_NONE);
	assert_int_equal(past_at(&p, 10), VOTE_UP);
	assert_int_equal(past_at(&p, 1000), VOTE_UP);
	past_fini(&p);
}

static void a_failure_counts_from_its_first_attempt_and_a_gap_is_unknown(void **state)
{
	struct past p = {0};
	struct vote_stream s = {0};

	(void)state;
	past_take(&p, &s, OUTCOME_UP, START, MINUTE, 3);
	past_take(&p, &s, OUTCOME_DOWN, START + MINUTE, MINUTE, 3);
	past_take(&p, &s, OUTCOME_DOWN, START + MINUTE + 10 * SECOND, MINUTE, 3);
	assert_int_equal(past_at(&p, START + 2 * MINUTE), VOTE_UP);
	past_take(&p, &s, OUTCOME_DOWN, START + MINUTE + 20 * SECOND, MINUTE, 3);
	assert_int_equal(past_at(&p, START + MINUTE - 1), VOTE_UP);
	assert_int_equal(past_at(&p, START + MINUTE), VOTE_DOWN);
	past_take(&p, &s, OUTCOME_UP, START + 10 * MINUTE, MINUTE, 3);
	assert_int_equal(past_at(&p, START + 2 * MINUTE), VOTE_DOWN);
	assert_int_equal(past_at(&p, START + 3 * MINUTE), VOTE_UNKNOWN);
	assert_int_equal(past_at(&p, START + 10 * MINUTE), VOTE_UP);
	past_reach(&p, &s, START + 12 * MINUTE, MINUTE);
	assert_int_equal(past_at(&p, START + 12 * MINUTE), VOTE_UP);
	past_reach(&p, &s, START + 13 * MINUTE, MINUTE);
	assert_int_equal(past_at(&p, START + 11 * MINUTE), VOTE_UNKNOWN);
	past_fini(&p);
}

/* Each time of the sweep against the functions of the present, asked for that time. */
static void laying_over_is_the_vote_of_each_moment(void **state)
{
	uint64_t seed = 31337;

	(void)state;
	print_message("  seed %llu\n", (unsigned long long)seed);
	for (int round = 0; round < 300; round++) {
		struct past lists[7] = {{0}}, votes = {0}, count = {0};
		const struct past *of[7];
		size_t n = 1 + draw(&seed) % 7;
		uint32_t quorum = (uint32_t)(draw(&seed) % 3);

		for (size_t i = 0; i < n; i++) {
			of[i] = &lists[i];
			for (int64_t at = (int64_t)(draw(&seed) % 30); at < 200; at += 1 + (int64_t)(draw(&seed) % 40))
				past_set(&lists[i], at, (int)(1 + draw(&seed) % 4));
		}
		past_vote(of, n, 20, 150, &votes);
		past_count(of, n, quorum, 20, 150, &count);
		for (int64_t at = 20; at < 150; at++) {
			struct vote_counts c = {0};
			bool contested;

			for (size_t i = 0; i < n; i++)
				vote_add(&c, (enum vote)past_at(of[i], at));
			assert_int_equal(past_at(&votes, at), vote_parts(&c));
			assert_int_equal(past_at(&count, at), vote_count(&c, quorum, &contested));
		}
		for (size_t i = 0; i < n; i++)
			past_fini(&lists[i]);
		past_fini(&votes);
		past_fini(&count);
	}
}

/* ---- the past of a month against the present as it was, second by second */

#define VANTAGES 3
static const char *const names[VANTAGES] = {"a", "b", "c"};

struct month {
	struct verdict *v;
	struct past votes[2][VANTAGES], live, live_families[VERDICT_FAMILIES];
	struct vote_stream streams[2][VANTAGES];
	uint64_t seed;
	int64_t now;
};

static void note_live(struct month *m)
{
	size_t count;
	const struct verdict_change *c = verdict_changes(m->v, &count);

	for (size_t i = 0; i < count; i++)
		if (c[i].what == VERDICT_SUBJECT)
			past_set(&m->live, c[i].since, (int)c[i].state);
	verdict_clear(m->v);
}

/* One vantage looks, in both families; what is down is asked for again by later calls. */
static void look(struct month *m, int vantage, const bool down[2])
{
	const struct verdict_subject *subject;

	for (int f = 0; f < 2; f++) {
		enum outcome outcome = down[f] ? OUTCOME_DOWN : OUTCOME_UP;

		past_take(&m->votes[f][vantage], &m->streams[f][vantage], outcome, m->now, MINUTE, 3);
		verdict_result(m->v, &(struct verdict_result){.check = "x", .vantage = names[vantage], .part = "",
			.reason = "r", .family = verdict_family(f), .outcome = outcome, .measured = m->now}, m->now,
			&subject);
		note_live(m);
	}
}

static void what_was_judged_live_is_what_the_past_says(void **state)
{
	struct verdict_check_plan plan = {.id = "x", .subject = "system/x", .interval = MINUTE,
		.families = FAULT_V4 | FAULT_V6, .vantages = names, .vantages_count = VANTAGES};
	struct month m = {.v = verdict_new(), .seed = 2026, .now = START};
	struct past families[2] = {{0}}, whole = {0}, per_family[VERDICT_FAMILIES] = {{0}};
	struct past_check check = {.severity = SEVERITY_CRITICAL, .families = {&families[0], &families[1], NULL}};
	bool down[2] = {false, false};
	size_t differ = 0, downs = 0;
	struct err err;

	(void)state;
	assert_int_equal(verdict_plan(m.v, &plan, 1, START, &err), 0);
	verdict_clear(m.v);
	for (int slot = 0; slot < 30 * 1440; slot++) {
		for (int f = 0; f < 2; f++)
			if (draw(&m.seed) % 200 == 0)
				down[f] = !down[f];
		for (int again = 0; again < 3; again++) {
			for (int v = 0; v < VANTAGES; v++)
				look(&m, v, down);
			m.now += 10 * SECOND;
			verdict_tick(m.v, m.now);
		}
		m.now += 30 * SECOND;
		verdict_tick(m.v, m.now);
		note_live(&m);
	}
	for (int f = 0; f < 2; f++) {
		const struct past *of[VANTAGES] = {&m.votes[f][0], &m.votes[f][1], &m.votes[f][2]};

		past_count(of, VANTAGES, 0, START, m.now, &families[f]);
	}
	past_subject(&check, 1, START, m.now, &whole, per_family);
	assert_true(whole.count > 100);
	for (int64_t at = START + SECOND; at < m.now; at += 10 * SECOND) {
		differ += past_at(&whole, at) != past_at(&m.live, at);
		downs += past_at(&whole, at) == STATE_DOWN;
	}
	assert_true(downs > 1000);
	assert_int_equal(differ, 0);
	verdict_free(m.v);
	for (int f = 0; f < 2; f++) {
		past_fini(&families[f]);
		for (int v = 0; v < VANTAGES; v++)
			past_fini(&m.votes[f][v]);
	}
	for (int f = 0; f < VERDICT_FAMILIES; f++)
		past_fini(&per_family[f]);
	past_fini(&whole);
	past_fini(&m.live);
}

static void evidence_that_comes_late_in_pieces_gives_the_same(void **state)
{
	struct past whole = {0}, pieces = {0};
	struct vote_stream a = {0}, b = {0};
	uint64_t seed = 5;

	(void)state;
	for (int i = 0; i < 5000; i++) {
		int64_t at = START + i * MINUTE + (int64_t)(draw(&seed) % 50) * SECOND;
		enum outcome outcome = (enum outcome)(1 + draw(&seed) % 3);

		if (draw(&seed) % 10 == 0)
			continue;
		past_take(&whole, &a, outcome, at, MINUTE, 3);
		past_take(&pieces, &b, outcome, at, MINUTE, 3);
		past_take(&pieces, &b, OUTCOME_DOWN, at - 30 * SECOND, MINUTE, 3); /* late: nothing */
		/* Hours of silence, as far as anybody could know then. */
		if (draw(&seed) % 5 == 0)
			past_reach(&pieces, &b, at + (int64_t)(draw(&seed) % 600) * MINUTE, MINUTE);
	}
	past_reach(&whole, &a, START + 6000 * MINUTE, MINUTE);
	past_reach(&pieces, &b, START + 6000 * MINUTE, MINUTE);
	assert_true(whole.count > 100);
	assert_int_equal(whole.count, pieces.count);
	for (size_t i = 0; i < whole.count; i++) {
		assert_int_equal(whole.items[i].from, pieces.items[i].from);
		assert_int_equal(whole.items[i].value, pieces.items[i].value);
	}
	past_fini(&whole);
	past_fini(&pieces);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(saying_takes_back_what_was_said_of_later_times),
		cmocka_unit_test(a_failure_counts_from_its_first_attempt_and_a_gap_is_unknown),
		cmocka_unit_test(laying_over_is_the_vote_of_each_moment),
		cmocka_unit_test(what_was_judged_live_is_what_the_past_says),
		cmocka_unit_test(evidence_that_comes_late_in_pieces_gives_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
