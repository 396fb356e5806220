#include "collector/judge/verdict.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/judge/record.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"

#define SECOND NS_PER_S
#define MINUTE (60 * SECOND)
#define START (INT64_C(1790000000) * SECOND)

/* ---- vote: one stream */

static void feed(struct vote_stream *s, const char *outcomes, int64_t from)
{
	for (size_t i = 0; outcomes[i] != '\0'; i++)
		vote_take(s, outcomes[i] == 'u' ? OUTCOME_UP : outcomes[i] == 'd' ? OUTCOME_DOWN : OUTCOME_UNKNOWN,
			from + (int64_t)i * 10 * SECOND, VOTE_ATTEMPTS);
}

static void down_counts_at_the_third_attempt_and_holds_from_the_first(void **state)
{
	struct vote_stream s = {0};

	(void)state;
	feed(&s, "udd", START);
	assert_int_equal(s.said, VOTE_UP);
	feed(&s, "d", START + 30 * SECOND);
	assert_int_equal(s.said, VOTE_DOWN);
	assert_int_equal(s.since, START + 10 * SECOND);
}

static void up_counts_at_once(void **state)
{
	struct vote_stream s = {0};

	(void)state;
	feed(&s, "dddu", START);
	assert_int_equal(s.said, VOTE_UP);
	assert_int_equal(s.since, START + 30 * SECOND);
}

static void an_unknown_neither_confirms_nor_breaks_a_row_of_downs(void **state)
{
	struct vote_stream s = {0};

	(void)state;
	feed(&s, "ud?d?d", START);
	assert_int_equal(s.said, VOTE_DOWN);
	assert_int_equal(s.since, START + 10 * SECOND);
}

static void three_unknowns_are_unknown_and_never_down(void **state)
{
	struct vote_stream s = {0};

	(void)state;
	feed(&s, "u???", START);
	assert_int_equal(s.said, VOTE_UNKNOWN);
	feed(&s, "dd", START + 100 * SECOND);
	assert_int_equal(s.said, VOTE_UNKNOWN);
}

static void what_is_not_newer_changes_nothing(void **state)
{
	struct vote_stream s = {0}, before;

	(void)state;
	feed(&s, "uudu", START);
	before = s;
	feed(&s, "dddd", START);
	assert_memory_equal(&s, &before, sizeof s);
}

static void a_majority_of_those_that_know_decides(void **state)
{
	static const struct { struct vote_counts counts; uint32_t quorum; enum vote vote; bool contested; } cases[] = {
		{{.up = 3}, 0, VOTE_UP, false},
		{{.up = 2, .down = 1}, 0, VOTE_UP, true},
		{{.up = 1, .down = 2}, 0, VOTE_DOWN, false},
		{{.up = 1, .down = 1}, 0, VOTE_UP, true},
		{{.down = 1}, 0, VOTE_DOWN, false},
		{{.down = 1, .unknown = 1}, 0, VOTE_DOWN, false},
		{{.down = 1, .unknown = 2}, 2, VOTE_UNKNOWN, false},
		{{.down = 1, .up = 2}, 1, VOTE_DOWN, false},
		{{.unknown = 2}, 0, VOTE_UNKNOWN, false},
		{{.partial = 2, .up = 1}, 0, VOTE_PARTIAL, false},
		{{.partial = 1, .up = 2}, 0, VOTE_UP, false},
		{{0}, 0, VOTE_NONE, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		bool contested;

		assert_int_equal(vote_count(&cases[i].counts, cases[i].quorum, &contested), cases[i].vote);
		assert_int_equal(contested, cases[i].contested);
	}
}

static void a_pair_with_an_unknown_family_is_unknown(void **state)
{
	(void)state;
	assert_int_equal(vote_pair(VOTE_UP, VOTE_UP), PAIR_UP);
	assert_int_equal(vote_pair(VOTE_UP, VOTE_DOWN), PAIR_V4_ONLY);
	assert_int_equal(vote_pair(VOTE_DOWN, VOTE_PARTIAL), PAIR_V6_ONLY);
	assert_int_equal(vote_pair(VOTE_DOWN, VOTE_DOWN), PAIR_DOWN);
	assert_int_equal(vote_pair(VOTE_UP, VOTE_UNKNOWN), PAIR_UNKNOWN);
	assert_int_equal(vote_pair(VOTE_DOWN, VOTE_UNKNOWN), PAIR_UNKNOWN);
	assert_int_equal(vote_pair(VOTE_NONE, VOTE_UP), PAIR_UP);
	assert_int_equal(vote_pair(VOTE_DOWN, VOTE_NONE), PAIR_DOWN);
	assert_string_equal(vote_pair_name(vote_pair(VOTE_UP, VOTE_DOWN)), "v4-only");
}

/* ---- limits */

static void a_limit_needs_its_duration_and_leaves_with_hysteresis(void **state)
{
	struct limit_rule r = {.warn = 20, .critical = 50, .hysteresis = 0.1, .hold = 2 * MINUTE};
	struct limit_state s = {0};
	static const double values[] = {30, 30, 10, 30, 30, 30, 19, 17};
	static const enum limit_level levels[] = {0, 0, 0, 0, 0, LIMIT_WARN, LIMIT_WARN, 0};

	(void)state;
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		limit_take(&r, &s, values[i], NAN, START + (int64_t)i * MINUTE);
		assert_int_equal(s.level, levels[i]);
	}
	limit_take(&r, &s, 60, NAN, START + 20 * MINUTE);
	limit_take(&r, &s, 60, NAN, START + 22 * MINUTE);
	assert_int_equal(s.level, LIMIT_CRITICAL);
	assert_int_equal(s.since, START + 20 * MINUTE);
	limit_take(&r, &s, 30, NAN, START + 23 * MINUTE);
	assert_int_equal(s.level, LIMIT_WARN);
}

static void days_of_a_certificate_are_a_floor(void **state)
{
	struct limit_rule r = {.is_floor = true, .warn = 30, .critical = 7};
	struct limit_state s = {0};

	(void)state;
	limit_take(&r, &s, 31, NAN, START);
	assert_int_equal(s.level, LIMIT_OK);
	limit_take(&r, &s, 29, NAN, START + MINUTE);
	assert_int_equal(s.level, LIMIT_WARN);
	limit_take(&r, &s, 6, NAN, START + 2 * MINUTE);
	assert_int_equal(s.level, LIMIT_CRITICAL);
	assert_false(limit_take(&r, &s, 400, NAN, START + 2 * MINUTE)); /* not newer */
	limit_take(&r, &s, 400, NAN, START + 3 * MINUTE);
	assert_int_equal(s.level, LIMIT_OK);
}

static void a_round_trip_is_judged_by_what_is_usual_at_that_hour(void **state)
{
	struct limit_rule r = {.of = LIMIT_RATIO, .warn = 3, .critical = NAN};
	struct limit_state s = {0};

	(void)state;
	limit_take(&r, &s, 0.100, NAN, START);
	assert_int_equal(s.level, LIMIT_OK);
	limit_take(&r, &s, 0.100, 0.050, START + MINUTE);
	assert_int_equal(s.level, LIMIT_OK);
	limit_take(&r, &s, 0.160, 0.050, START + 2 * MINUTE);
	assert_int_equal(s.level, LIMIT_WARN);
}

static void a_disk_that_fills_is_told_before_it_is_full(void **state)
{
	/* 80 % and 0.1 % more each minute: full in 200 minutes. */
	struct limit_rule r = {.of = LIMIT_FORECAST, .is_floor = true, .warn = 4 * 3600, .critical = 3600,
		.bound = 100, .memory = 3600 * SECOND};
	struct limit_state s = {0};

	(void)state;
	for (int i = 0; i <= 60; i++)
		limit_take(&r, &s, 74 + 0.1 * i, NAN, START + i * MINUTE);
	assert_float_equal(s.value, 200 * 60, 1);
	assert_int_equal(s.level, LIMIT_WARN);
	for (int i = 61; i <= 400; i++)
		limit_take(&r, &s, 80, NAN, START + i * MINUTE);
	assert_int_equal(s.level, LIMIT_OK);
	for (int i = 401; i <= 500; i++)
		limit_take(&r, &s, 80 - 0.1 * (i - 400), NAN, START + i * MINUTE);
	assert_true(isinf(s.value));
}

/* ---- verdict: a bench with three vantages */

static const char *const three[] = {"city", "east", "west"};

static const struct limit_rule loss_limit = {.metric = 3, .warn = 20, .critical = 50};

static const struct verdict_check_plan plans[] = {
	{.id = "web", .subject = "system/portal", .interval = MINUTE, .families = FAULT_V4 | FAULT_V6, .vantages = three,
		.vantages_count = 3},
	{.id = "ping", .subject = "link/north", .interval = MINUTE, .families = FAULT_V4, .vantages = three,
		.vantages_count = 1, .limits = &loss_limit, .limits_count = 1},
	{.id = "gate-city", .subject = "", .interval = MINUTE, .families = FAULT_V4, .vantages = three,
		.vantages_count = 1, .is_anchor = true},
	{.id = "side", .subject = "system/portal", .interval = MINUTE, .families = FAULT_V4, .vantages = three,
		.vantages_count = 1, .severity = SEVERITY_MINOR},
};

struct bench {
	struct verdict *v;
	int64_t now;
};

static int setup(void **state)
{
	struct bench *b = mem_alloc(sizeof *b);
	struct err err;

	b->v = verdict_new();
	b->now = START;
	if (verdict_plan(b->v, plans, sizeof plans / sizeof *plans, b->now, &err) != 0)
		return -1;
	verdict_clear(b->v);
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	verdict_free(b->v);
	free(b);
	return 0;
}

static void say_at(struct bench *b, const char *check, const char *vantage, enum family family, const char *part,
	enum outcome outcome, int64_t measured)
{
	const struct verdict_subject *subject;

	verdict_result(b->v, &(struct verdict_result){.check = check, .vantage = vantage, .family = family,
		.part = part, .outcome = outcome, .reason = outcome == OUTCOME_UP ? "" : "connection refused",
		.measured = measured}, b->now, &subject);
}

static void say(struct bench *b, const char *check, const char *vantage, enum family family, enum outcome outcome)
{
	say_at(b, check, vantage, family, "", outcome, b->now);
}

static void pass(struct bench *b, int64_t time)
{
	for (; time >= SECOND; time -= SECOND) {
		b->now += SECOND;
		verdict_tick(b->v, b->now);
	}
}

/* Three attempts, 10 s apart, by the vantages named by letters of "cew". */
static void fails(struct bench *b, const char *check, const char *who, enum family family)
{
	for (int i = 0; i < 3; i++, pass(b, 10 * SECOND))
		for (const char *w = who; *w != '\0'; w++)
			say(b, check, three[*w == 'c' ? 0 : *w == 'e' ? 1 : 2], family, OUTCOME_DOWN);
}

static void all_well(struct bench *b)
{
	for (int i = 0; i < 3; i++) {
		say(b, "web", three[i], FAMILY_V4, OUTCOME_UP);
		say(b, "web", three[i], FAMILY_V6, OUTCOME_UP);
	}
	say(b, "ping", "city", FAMILY_V4, OUTCOME_UP);
	say(b, "gate-city", "city", FAMILY_V4, OUTCOME_UP);
	say(b, "side", "city", FAMILY_V4, OUTCOME_UP);
	verdict_clear(b->v);
	pass(b, SECOND);
}

static enum state state_of(const struct bench *b, const char *subject)
{
	return verdict_subject(b->v, subject)->state;
}

static size_t changes_of(const struct bench *b, enum verdict_what what)
{
	size_t count, n = 0;
	const struct verdict_change *c = verdict_changes(b->v, &count);

	for (size_t i = 0; i < count; i++)
		n += c[i].what == what;
	return n;
}

static void a_subject_nobody_measured_is_unknown(void **state)
{
	assert_int_equal(state_of(*state, "system/portal"), STATE_UNKNOWN);
	assert_null(verdict_subject(((struct bench *)*state)->v, "system/other"));
}

static void the_subject_is_up_when_all_its_families_are(void **state)
{
	struct bench *b = *state;

	say(b, "web", "city", FAMILY_V4, OUTCOME_UP);
	assert_int_equal(state_of(b, "system/portal"), STATE_UNKNOWN);
	all_well(b);
	assert_int_equal(state_of(b, "system/portal"), STATE_UP);
	assert_int_equal(verdict_check_pair(b->v, "web"), PAIR_UP);
}

static void one_vantage_of_three_is_outvoted(void **state)
{
	struct bench *b = *state;

	all_well(b);
	fails(b, "web", "e", FAMILY_V4);
	assert_int_equal(state_of(b, "system/portal"), STATE_UP);
	assert_int_equal(changes_of(b, VERDICT_BALLOT), 1);
	assert_int_equal(changes_of(b, VERDICT_SUBJECT), 0);
}

static void two_vantages_of_three_make_v6_only(void **state)
{
	struct bench *b = *state;
	const struct verdict_subject *s;
	int64_t first = b->now + SECOND;

	all_well(b);
	fails(b, "web", "ew", FAMILY_V4);
	s = verdict_subject(b->v, "system/portal");
	assert_int_equal(s->state, STATE_DEGRADED);
	assert_int_equal(s->faults, FAULT_V4);
	assert_int_equal(s->families[VERDICT_V4], STATE_DOWN);
	assert_int_equal(s->families[VERDICT_V6], STATE_UP);
	assert_int_equal(s->since, first); /* the first failed attempt */
	assert_string_equal(s->reason, "connection refused");
	assert_int_equal(verdict_check_pair(b->v, "web"), PAIR_V6_ONLY);
	fails(b, "web", "ew", FAMILY_V6);
	assert_int_equal(state_of(b, "system/portal"), STATE_DOWN);
	assert_int_equal(verdict_subject(b->v, "system/portal")->faults, FAULT_V4 | FAULT_V6);
}

static void a_vantage_outvoted_for_long_makes_a_degraded_path(void **state)
{
	struct bench *b = *state;

	all_well(b);
	fails(b, "web", "e", FAMILY_V4);
	for (int i = 0; i < 6; i++) {
		assert_int_equal(state_of(b, "system/portal"), i < 5 ? STATE_UP : STATE_DEGRADED);
		pass(b, MINUTE);
		say(b, "web", "east", FAMILY_V4, OUTCOME_DOWN);
		say(b, "web", "city", FAMILY_V4, OUTCOME_UP);
		say(b, "web", "west", FAMILY_V4, OUTCOME_UP);
		for (int w = 0; w < 3; w++)
			say(b, "web", three[w], FAMILY_V6, OUTCOME_UP);
		say(b, "side", "city", FAMILY_V4, OUTCOME_UP);
	}
	assert_int_equal(state_of(b, "system/portal"), STATE_DEGRADED);
	assert_int_equal(verdict_subject(b->v, "system/portal")->faults, FAULT_VALUE);
	pass(b, SECOND);
	say(b, "web", "east", FAMILY_V4, OUTCOME_UP);
	assert_int_equal(state_of(b, "system/portal"), STATE_UP);
}

/* A minute in which only "west" fails to reach the portal, and the link stands as it does. */
static void west_fails(struct bench *b, enum outcome link)
{
	for (int i = 0; i < 2; i++)
		say(b, "web", three[i], FAMILY_V4, OUTCOME_UP);
	say(b, "web", "west", FAMILY_V4, OUTCOME_DOWN);
	for (int i = 0; i < 3; i++)
		say(b, "web", three[i], FAMILY_V6, OUTCOME_UP);
	say(b, "side", "city", FAMILY_V4, OUTCOME_UP);
	say(b, "gate-city", "city", FAMILY_V4, OUTCOME_UP);
	pass(b, SECOND);
	say(b, "ping", "city", FAMILY_V4, link);
	pass(b, 59 * SECOND);
}

static void what_is_outvoted_behind_a_broken_link_is_no_path_of_its_own(void **state)
{
	struct bench *b = *state;

	verdict_ways(b->v, &(struct verdict_way){"west", "link/north"}, 1);
	all_well(b);
	for (int i = 0; i < 20; i++)
		west_fails(b, OUTCOME_DOWN);
	assert_int_equal(state_of(b, "link/north"), STATE_DOWN);
	assert_int_equal(state_of(b, "system/portal"), STATE_UP);
	for (int i = 0; i < 12; i++)
		west_fails(b, OUTCOME_UP);
	assert_int_equal(state_of(b, "link/north"), STATE_UP);
	assert_int_equal(state_of(b, "system/portal"), STATE_DEGRADED);
}

static void a_minor_check_down_is_a_degraded_system(void **state)
{
	struct bench *b = *state;

	all_well(b);
	fails(b, "side", "c", FAMILY_V4);
	say(b, "gate-city", "city", FAMILY_V4, OUTCOME_UP);
	assert_int_equal(state_of(b, "system/portal"), STATE_DEGRADED);
	assert_int_equal(verdict_subject(b->v, "system/portal")->faults, FAULT_VALUE);
}

static void one_of_four_addresses_down_is_degraded_and_told_in_time(void **state)
{
	static const char *const addresses[] = {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"};
	struct bench *b = *state;

	all_well(b);
	for (int i = 0; i < 3; i++, pass(b, 10 * SECOND))
		for (int a = 0; a < 4; a++) {
			say_at(b, "ping", "city", FAMILY_V4, addresses[a], a == 2 ? OUTCOME_DOWN : OUTCOME_UP, b->now);
			say(b, "gate-city", "city", FAMILY_V4, OUTCOME_UP);
		}
	assert_int_equal(state_of(b, "link/north"), STATE_DEGRADED);
	assert_int_equal(verdict_check_pair(b->v, "ping"), PAIR_UP);
}

static void an_address_that_left_the_name_is_forgotten(void **state)
{
	struct bench *b = *state;

	all_well(b);
	for (int i = 0; i < 3; i++, pass(b, 10 * SECOND)) {
		say_at(b, "ping", "city", FAMILY_V4, "192.0.2.1", OUTCOME_UP, b->now);
		say_at(b, "ping", "city", FAMILY_V4, "192.0.2.2", OUTCOME_DOWN, b->now);
	}
	assert_int_equal(state_of(b, "link/north"), STATE_DEGRADED);
	for (int i = 0; i < 6; i++, pass(b, MINUTE))
		say_at(b, "ping", "city", FAMILY_V4, "192.0.2.1", OUTCOME_UP, b->now);
	assert_int_equal(state_of(b, "link/north"), STATE_UP);
}

static void a_name_without_records_replaces_its_addresses(void **state)
{
	struct bench *b = *state;

	all_well(b);
	say_at(b, "ping", "city", FAMILY_V4, "192.0.2.1", OUTCOME_UP, b->now);
	pass(b, 10 * SECOND);
	say(b, "gate-city", "city", FAMILY_V4, OUTCOME_UP);
	fails(b, "ping", "c", FAMILY_V4);
	say(b, "gate-city", "city", FAMILY_V4, OUTCOME_UP);
	assert_int_equal(state_of(b, "link/north"), STATE_DOWN);
}

static void a_vantage_whose_anchor_fails_has_no_vote(void **state)
{
	struct bench *b = *state;

	all_well(b);
	pass(b, 10 * SECOND);
	for (int i = 0; i < 3; i++, pass(b, 10 * SECOND)) {
		say(b, "ping", "city", FAMILY_V4, OUTCOME_DOWN);
		say(b, "gate-city", "city", FAMILY_V4, OUTCOME_DOWN);
	}
	assert_int_equal(state_of(b, "link/north"), STATE_UNKNOWN);
	assert_int_equal(changes_of(b, VERDICT_VANTAGE), 1);
	/* The anchor answers again: what was seen meanwhile has to be seen again. */
	say(b, "gate-city", "city", FAMILY_V4, OUTCOME_UP);
	say(b, "ping", "city", FAMILY_V4, OUTCOME_DOWN);
	assert_int_equal(state_of(b, "link/north"), STATE_UNKNOWN);
	pass(b, SECOND);
	fails(b, "ping", "c", FAMILY_V4);
	say(b, "gate-city", "city", FAMILY_V4, OUTCOME_UP);
	assert_int_equal(state_of(b, "link/north"), STATE_DOWN);
}

static void a_down_waits_until_the_anchor_was_seen_up(void **state)
{
	struct bench *b = *state;

	all_well(b);
	pass(b, 10 * SECOND);
	fails(b, "ping", "c", FAMILY_V4);
	assert_int_equal(state_of(b, "link/north"), STATE_UP);
	say(b, "gate-city", "city", FAMILY_V4, OUTCOME_UP);
	assert_int_equal(state_of(b, "link/north"), STATE_DOWN);
	assert_int_equal(verdict_subject(b->v, "link/north")->since, START + 11 * SECOND);
}

static void anchors_of_one_family_say_nothing_of_the_other(void **state)
{
	struct bench *b = *state;

	all_well(b);
	fails(b, "gate-city", "c", FAMILY_V4);
	fails(b, "web", "cew", FAMILY_V6);
	assert_true((verdict_subject(b->v, "system/portal")->faults & FAULT_V6) != 0);
}

static void silence_is_unknown_from_when_the_next_result_was_due(void **state)
{
	struct bench *b = *state;
	size_t count, unknown = 0;
	const struct verdict_change *c;

	verdict_opened(b->v, b->now);
	all_well(b);
	pass(b, 148 * SECOND);
	assert_int_equal(state_of(b, "link/north"), STATE_UP);
	pass(b, 31 * SECOND); /* ingest has been open for an interval and 120 s now */
	assert_int_equal(state_of(b, "link/north"), STATE_UNKNOWN);
	assert_int_equal(verdict_subject(b->v, "link/north")->since, START + MINUTE);
	c = verdict_changes(b->v, &count);
	for (size_t i = 0; i < count; i++)
		unknown += c[i].what == VERDICT_SUBJECT && c[i].was != STATE_UNKNOWN &&
			c[i].state == STATE_UNKNOWN && c[i].is_silence;
	assert_int_equal(unknown, 2);
	assert_int_equal(changes_of(b, VERDICT_VANTAGE), 3);
	verdict_clear(b->v);
	all_well(b);
	assert_int_equal(state_of(b, "link/north"), STATE_UP);
}

static void a_collector_that_was_stopped_for_two_hours_calls_nobody_silent(void **state)
{
	struct bench *b = *state;

	all_well(b);
	pass(b, 10 * SECOND);
	b->now += 120 * MINUTE;
	verdict_opened(b->v, b->now);
	pass(b, 175 * SECOND); /* far beyond what a result is good for, and within an interval and 120 s */
	assert_int_equal(changes_of(b, VERDICT_SUBJECT) + changes_of(b, VERDICT_VANTAGE), 0);
	all_well(b);
	pass(b, 100 * SECOND);
	assert_int_equal(changes_of(b, VERDICT_SUBJECT), 0);
	assert_int_equal(changes_of(b, VERDICT_VANTAGE), 0);
}

static void steps_of_the_clock_make_no_state_and_lose_none(void **state)
{
	static const int64_t steps[] = {-3600, -1, 1, 3600, INT64_C(315360000), -INT64_C(315360000), 8 * 3600};
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		all_well(b);
		pass(b, 30 * SECOND);
		b->now += steps[i] * SECOND;
		verdict_tick(b->v, b->now);
		pass(b, 30 * SECOND);
		assert_int_equal(changes_of(b, VERDICT_SUBJECT), 0);
		fails(b, "ping", "c", FAMILY_V4);
		say(b, "gate-city", "city", FAMILY_V4, OUTCOME_UP);
		assert_int_equal(state_of(b, "link/north"), STATE_DOWN);
	}
}

static void a_backlog_is_counted_as_stale_and_changes_nothing(void **state)
{
	struct bench *b = *state;

	all_well(b);
	pass(b, 30 * SECOND);
	for (int i = 360; i > 2; i--)
		say_at(b, "ping", "city", FAMILY_V4, "", OUTCOME_DOWN, b->now - i * MINUTE);
	assert_int_equal(state_of(b, "link/north"), STATE_UP);
	assert_int_equal(changes_of(b, VERDICT_BALLOT), 0);
	struct verdict_counts counts;
	verdict_counts(b->v, &counts);
	assert_int_equal(counts.stale, 358);
}

static void a_value_beyond_its_limit_degrades_and_is_never_down(void **state)
{
	struct bench *b = *state;
	struct verdict_value value = {.metric = 3, .number = 60, .baseline = NAN};
	const struct verdict_subject *subject;
	struct verdict_result r = {.check = "ping", .vantage = "city", .family = FAMILY_V4, .part = "", .reason = "",
		.outcome = OUTCOME_UP, .values = &value, .count = 1};

	all_well(b);
	r.measured = b->now += SECOND;
	assert_int_equal(verdict_result(b->v, &r, b->now, &subject), EVIDENCE_UP);
	assert_string_equal(subject->id, "link/north");
	assert_int_equal(subject->state, STATE_DEGRADED);
	assert_int_equal(subject->level, LIMIT_CRITICAL);
	assert_int_equal(subject->faults, FAULT_VALUE);
	value.number = 0;
	r.measured = b->now += SECOND;
	verdict_result(b->v, &r, b->now, &subject);
	assert_int_equal(subject->state, STATE_UP);
}

/* Last change of a subject; of a family (FAMILY_NONE: the whole) what was told of its past. */
static const struct verdict_change *last_of(const struct bench *b, enum verdict_what what, const char *subject, enum family family)
{
	size_t count;
	const struct verdict_change *c = verdict_changes(b->v, &count);

	while (count-- > 0)
		if (c[count].what == what && strcmp(c[count].subject, subject) == 0 &&
			(what == VERDICT_SUBJECT || c[count].family == family))
			return &c[count];
	fail_msg("nothing is told of %s", subject);
	return NULL;
}

static void a_value_degrades_from_when_it_was_beyond_and_not_from_before(void **state)
{
	struct bench *b = *state;
	struct verdict_value value = {.metric = 3, .number = 60, .baseline = NAN};
	const struct verdict_subject *subject;
	struct verdict_result r = {.check = "ping", .vantage = "city", .family = FAMILY_V4, .part = "", .reason = "",
		.outcome = OUTCOME_UP, .values = &value, .count = 1};
	int64_t beyond;

	all_well(b);
	for (int i = 0; i < 60; i++, pass(b, MINUTE)) {
		say(b, "ping", "city", FAMILY_V4, OUTCOME_UP);
		say(b, "gate-city", "city", FAMILY_V4, OUTCOME_UP);
	}
	beyond = r.measured = b->now += SECOND;
	verdict_result(b->v, &r, b->now, &subject);
	assert_int_equal(last_of(b, VERDICT_SUBJECT, "link/north", FAMILY_NONE)->state, STATE_DEGRADED);
	assert_int_equal(last_of(b, VERDICT_SUBJECT, "link/north", FAMILY_NONE)->since, beyond);
	assert_int_equal(subject->families_since[VERDICT_V4], beyond);
	value.number = 0;
	r.measured = b->now += SECOND;
	verdict_result(b->v, &r, b->now, &subject);
	assert_int_equal(last_of(b, VERDICT_SUBJECT, "link/north", FAMILY_NONE)->since, b->now);
}

static void who_had_outvoted_it_counts_until_it_fell_silent(void **state)
{
	struct bench *b = *state;
	int64_t fell_silent = 0;

	all_well(b);
	fails(b, "web", "c", FAMILY_V4);
	for (int i = 0; i < 20; i++, pass(b, MINUTE)) {
		say(b, "web", "city", FAMILY_V4, OUTCOME_DOWN);
		say(b, "gate-city", "city", FAMILY_V4, OUTCOME_UP);
		for (int v = 1; v < 3 && i < 10; v++) {
			say(b, "web", three[v], FAMILY_V4, OUTCOME_UP);
			fell_silent = b->now;
		}
	}
	assert_int_equal(verdict_subject(b->v, "system/portal")->families[VERDICT_V4], STATE_DOWN);
	assert_true(verdict_subject(b->v, "system/portal")->families_since[VERDICT_V4] >= fell_silent);
}

/* IPv6 fails from 20 s before IPv4 works again, and that is known 10 s later: for these 20 s it was down. */
static void what_is_confirmed_late_is_told_of_the_time_between(void **state)
{
	struct bench *b = *state;
	int64_t six, four;

	all_well(b);
	fails(b, "web", "cew", FAMILY_V4);
	verdict_clear(b->v);
	six = b->now;
	for (int i = 0; i < 2; i++, pass(b, 10 * SECOND))
		for (int v = 0; v < 3; v++)
			say(b, "web", three[v], FAMILY_V6, OUTCOME_DOWN);
	four = b->now;
	for (int v = 0; v < 3; v++)
		say(b, "web", three[v], FAMILY_V4, OUTCOME_UP);
	verdict_clear(b->v);
	for (int v = 0; v < 2; v++)
		say(b, "web", three[v], FAMILY_V6, OUTCOME_DOWN);
	assert_int_equal(last_of(b, VERDICT_PAST, "system/portal", FAMILY_NONE)->state, STATE_DEGRADED);
	assert_int_equal(last_of(b, VERDICT_PAST, "system/portal", FAMILY_NONE)->since, four);
	assert_int_equal((last_of(b, VERDICT_PAST, "system/portal", FAMILY_NONE) - 1)->state, STATE_DOWN);
	assert_int_equal((last_of(b, VERDICT_PAST, "system/portal", FAMILY_NONE) - 1)->since, six);
	assert_int_equal(verdict_subject(b->v, "system/portal")->families_since[VERDICT_V6], six);
}

/* A device and its interfaces: one run tells of both, at one time. */
static void device_says(struct bench *b, enum outcome whole, enum outcome part)
{
	say_at(b, "ping", "city", FAMILY_V4, "", whole, b->now);
	if (whole == OUTCOME_UP)
		say_at(b, "ping", "city", FAMILY_V4, "eth0", part, b->now);
	pass(b, 10 * SECOND);
	say(b, "gate-city", "city", FAMILY_V4, OUTCOME_UP);
}

static void a_part_beside_a_whole_is_judged_over_its_runs(void **state)
{
	struct bench *b = *state;

	all_well(b);
	device_says(b, OUTCOME_UP, OUTCOME_UP);
	device_says(b, OUTCOME_UP, OUTCOME_DOWN);
	device_says(b, OUTCOME_UP, OUTCOME_DOWN);
	assert_int_equal(state_of(b, "link/north"), STATE_UP);
	device_says(b, OUTCOME_UP, OUTCOME_DOWN);
	assert_int_equal(state_of(b, "link/north"), STATE_DEGRADED);
	device_says(b, OUTCOME_UP, OUTCOME_UP);
	assert_int_equal(state_of(b, "link/north"), STATE_UP);
}

static void a_whole_that_is_down_is_not_up_in_part(void **state)
{
	struct bench *b = *state;

	all_well(b);
	device_says(b, OUTCOME_UP, OUTCOME_UP);
	for (int i = 0; i < 3; i++)
		device_says(b, OUTCOME_DOWN, OUTCOME_UP);
	assert_int_equal(state_of(b, "link/north"), STATE_DOWN);
}

/* A path whose end is away, with routers that answer. */
static void a_whole_that_is_down_while_parts_are_up_is_down(void **state)
{
	struct bench *b = *state;

	all_well(b);
	for (int i = 0; i < 3; i++, pass(b, 10 * SECOND)) {
		say_at(b, "ping", "city", FAMILY_V4, "", OUTCOME_DOWN, b->now);
		say_at(b, "ping", "city", FAMILY_V4, "hop 1", OUTCOME_UP, b->now);
		say(b, "gate-city", "city", FAMILY_V4, OUTCOME_UP);
	}
	assert_int_equal(state_of(b, "link/north"), STATE_DOWN);
}

static void up_is_no_evidence_while_another_vantage_sees_it_fail(void **state)
{
	struct bench *b = *state;
	const struct verdict_subject *subject;
	struct verdict_result r = {.check = "web", .vantage = "west", .family = FAMILY_V4, .part = "", .reason = "",
		.outcome = OUTCOME_UP};

	all_well(b);
	say(b, "web", "east", FAMILY_V4, OUTCOME_DOWN);
	r.measured = b->now += SECOND;
	assert_int_equal(verdict_result(b->v, &r, b->now, &subject), EVIDENCE_NONE);
	say(b, "web", "east", FAMILY_V4, OUTCOME_UP);
	r.measured = b->now += SECOND;
	assert_int_equal(verdict_result(b->v, &r, b->now, &subject), EVIDENCE_UP);
}

static void a_plan_that_cannot_be_met_is_refused_and_the_old_one_stays(void **state)
{
	struct bench *b = *state;
	struct verdict_check_plan wrong = plans[0];
	struct err err;

	all_well(b);
	wrong.quorum = 4;
	assert_int_equal(verdict_plan(b->v, &wrong, 1, b->now, &err), -1);
	assert_string_equal(err.text, "check \"web\" asks for 4 votes of 3 vantages");
	assert_int_equal(state_of(b, "link/north"), STATE_UP);
}

static void a_reload_keeps_attempts_and_states(void **state)
{
	struct bench *b = *state;
	struct err err;

	all_well(b);
	pass(b, SECOND);
	say(b, "ping", "city", FAMILY_V4, OUTCOME_DOWN);
	pass(b, 10 * SECOND);
	say(b, "ping", "city", FAMILY_V4, OUTCOME_DOWN);
	for (int i = 0; i < 100; i++) {
		/* Everything but "web" comes and goes; "ping" keeps its two attempts. */
		assert_int_equal(verdict_plan(b->v, plans + i % 2, 3, b->now, &err), 0);
	}
	verdict_clear(b->v);
	pass(b, 10 * SECOND);
	say(b, "gate-city", "city", FAMILY_V4, OUTCOME_UP);
	assert_int_equal(state_of(b, "link/north"), STATE_UP);
	say(b, "ping", "city", FAMILY_V4, OUTCOME_DOWN);
	assert_int_equal(state_of(b, "link/north"), STATE_DOWN);
	assert_int_equal(verdict_subject(b->v, "link/north")->since, START + 2 * SECOND);
}

/* ---- records: a random run, killed at any moment */

struct store { struct map *records; };
struct blob { size_t len; uint8_t data[]; };

static void store_put(void *ctx, const char *key, const void *data, size_t len)
{
	struct store *s = ctx;
	struct blob *blob = mem_alloc(sizeof *blob + len);

	blob->len = len;
	memcpy(blob->data, data, len);
	free(map_set(s->records, key, blob));
}

static void store_drop(void *ctx, const char *key)
{
	free(map_remove(((struct store *)ctx)->records, key));
}

static struct verdict *reborn(struct verdict *old, struct store *s, int64_t now)
{
	struct verdict *v = verdict_new();
	struct err err;

	verdict_free(old);
	assert_int_equal(verdict_plan(v, plans, sizeof plans / sizeof *plans, now, &err), 0);
	verdict_clear(v);
	for (size_t i = 0; i < map_count(s->records); i++) {
		const char *key;
		const struct blob *blob = map_at(s->records, i, &key);

		assert_int_equal(verdict_restore(v, key, blob->data, blob->len, &err), 0);
	}
	verdict_restored(v);
	return v;
}

static uint64_t draw(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static void act_at_random(struct bench *b, uint64_t *seed)
{
	static const char *const checks[] = {"web", "ping", "gate-city", "side"};
	const char *check = checks[draw(seed) % 4];
	enum outcome outcome = (enum outcome)(1 + draw(seed) % 9 / 4);
	char part[8] = "";
	struct verdict_value value = {.metric = 3, .number = (double)(draw(seed) % 70), .baseline = NAN};
	const struct verdict_subject *subject;

	if (draw(seed) % 4 == 0)
		snprintf(part, sizeof part, "p%d", (int)(draw(seed) % 3));
	b->now += (int64_t)(draw(seed) % 8) * SECOND + (draw(seed) % 500 == 0 ? 400 * SECOND : 0);
	if (draw(seed) % 3 == 0)
		verdict_tick(b->v, b->now);
	verdict_result(b->v, &(struct verdict_result){.check = check, .vantage = three[draw(seed) % 3], .part = part,
		.family = draw(seed) % 2 == 0 ? FAMILY_V4 : FAMILY_V6, .outcome = outcome, .reason = "r", .count = 1,
		.values = &value, .measured = b->now - (int64_t)(draw(seed) % 3) * SECOND}, b->now, &subject);
}

static void write_changes(struct bench *b, struct buf *out)
{
	size_t count;
	const struct verdict_change *c = verdict_changes(b->v, &count);

	for (size_t i = 0; i < count; i++)
		buf_add_format(out, "%d %s %s %s %d %d %d %d %d %u %d %d %lld %lld %s\n", c[i].what, c[i].subject,
			c[i].check, c[i].vantage, c[i].family, c[i].vote, c[i].was, c[i].state, c[i].pair, c[i].faults,
			c[i].level, c[i].is_silence, (long long)c[i].since, (long long)c[i].at, c[i].reason);
	verdict_clear(b->v);
}

static void a_kill_at_any_event_gives_the_same_changes(void **state)
{
	struct bench *b = *state, *whole = NULL;
	struct store store = {map_new()};
	struct record_sink sink = {store_put, store_drop, &store};
	struct buf said = {0}, said_whole = {0};
	uint64_t seed = 20261126, kills = 7, same;

	print_message("  seed %llu\n", (unsigned long long)seed);
	setup((void **)&whole);
	same = seed;
	verdict_save(b->v, true, &sink);
	for (int i = 0; i < 20000; i++) {
		act_at_random(b, &seed);
		act_at_random(whole, &same);
		write_changes(b, &said);
		write_changes(whole, &said_whole);
		verdict_save(b->v, false, &sink);
		if (draw(&kills) % 20 == 0)
			b->v = reborn(b->v, &store, b->now);
	}
	assert_true(said.len > 10000);
	assert_string_equal(buf_text(&said), buf_text(&said_whole));
	map_free(store.records, free);
	buf_fini(&said);
	buf_fini(&said_whole);
	teardown((void **)&whole);
}

static void a_damaged_record_is_refused_without_harm(void **state)
{
	struct bench *b = *state;
	struct store store = {map_new()};
	struct record_sink sink = {store_put, store_drop, &store};
	uint64_t seed = 99;
	struct err err;

	for (int i = 0; i < 300; i++)
		act_at_random(b, &seed);
	verdict_save(b->v, true, &sink);
	for (int round = 0; round < 200; round++) {
		struct verdict *v = verdict_new();

		assert_int_equal(verdict_plan(v, plans, 4, b->now, &err), 0);
		for (size_t i = 0; i < map_count(store.records); i++) {
			const char *key;
			const struct blob *blob = map_at(store.records, i, &key);
			uint8_t *bytes = mem_copy(blob->data, blob->len);

			bytes[draw(&seed) % blob->len] ^= (uint8_t)(1 + draw(&seed) % 255);
			verdict_restore(v, key, bytes, blob->len - draw(&seed) % 3 % blob->len, &err);
			free(bytes);
		}
		verdict_restored(v);
		verdict_tick(v, b->now + MINUTE);
		verdict_free(v);
	}
	map_free(store.records, free);
}

int main(void)
{
#define ON_BENCH(test) cmocka_unit_test_setup_teardown(test, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(down_counts_at_the_third_attempt_and_holds_from_the_first),
		cmocka_unit_test(up_counts_at_once),
		cmocka_unit_test(an_unknown_neither_confirms_nor_breaks_a_row_of_downs),
		cmocka_unit_test(three_unknowns_are_unknown_and_never_down),
		cmocka_unit_test(what_is_not_newer_changes_nothing),
		cmocka_unit_test(a_majority_of_those_that_know_decides),
		cmocka_unit_test(a_pair_with_an_unknown_family_is_unknown),
		cmocka_unit_test(a_limit_needs_its_duration_and_leaves_with_hysteresis),
		cmocka_unit_test(days_of_a_certificate_are_a_floor),
		cmocka_unit_test(a_round_trip_is_judged_by_what_is_usual_at_that_hour),
		cmocka_unit_test(a_disk_that_fills_is_told_before_it_is_full),
		ON_BENCH(a_subject_nobody_measured_is_unknown),
		ON_BENCH(the_subject_is_up_when_all_its_families_are),
		ON_BENCH(one_vantage_of_three_is_outvoted),
		ON_BENCH(two_vantages_of_three_make_v6_only),
		ON_BENCH(a_vantage_outvoted_for_long_makes_a_degraded_path),
		ON_BENCH(what_is_outvoted_behind_a_broken_link_is_no_path_of_its_own),
		ON_BENCH(a_minor_check_down_is_a_degraded_system),
		ON_BENCH(one_of_four_addresses_down_is_degraded_and_told_in_time),
		ON_BENCH(an_address_that_left_the_name_is_forgotten),
		ON_BENCH(a_name_without_records_replaces_its_addresses),
		ON_BENCH(a_vantage_whose_anchor_fails_has_no_vote),
		ON_BENCH(a_down_waits_until_the_anchor_was_seen_up),
		ON_BENCH(anchors_of_one_family_say_nothing_of_the_other),
		ON_BENCH(silence_is_unknown_from_when_the_next_result_was_due),
		ON_BENCH(a_collector_that_was_stopped_for_two_hours_calls_nobody_silent),
		ON_BENCH(steps_of_the_clock_make_no_state_and_lose_none),
		ON_BENCH(a_backlog_is_counted_as_stale_and_changes_nothing),
		ON_BENCH(a_value_beyond_its_limit_degrades_and_is_never_down),
		ON_BENCH(a_value_degrades_from_when_it_was_beyond_and_not_from_before),
		ON_BENCH(who_had_outvoted_it_counts_until_it_fell_silent),
		ON_BENCH(what_is_confirmed_late_is_told_of_the_time_between),
		ON_BENCH(a_part_beside_a_whole_is_judged_over_its_runs),
		ON_BENCH(a_whole_that_is_down_is_not_up_in_part),
		ON_BENCH(a_whole_that_is_down_while_parts_are_up_is_down),
		ON_BENCH(up_is_no_evidence_while_another_vantage_sees_it_fail),
		ON_BENCH(a_plan_that_cannot_be_met_is_refused_and_the_old_one_stays),
		ON_BENCH(a_reload_keeps_attempts_and_states),
		ON_BENCH(a_kill_at_any_event_gives_the_same_changes),
		ON_BENCH(a_damaged_record_is_refused_without_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
