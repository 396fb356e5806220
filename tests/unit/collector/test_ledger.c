#include "collector/judge/ledger.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "lib/err.h"

#define S NS_PER_S
#define SECONDS 400
#define BASE 1700000000

struct fixture {
	sqlite3 *db;
	struct ledger *ledger;
};

static int setup(void **state)
{
	static struct fixture f;
	struct err e;

	assert_int_equal(sqlite3_open(":memory:", &f.db), SQLITE_OK);
	f.ledger = ledger_open(f.db, &e);
	if (f.ledger == NULL)
		fail_msg("%s", e.text);
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	ledger_close(f->ledger);
	sqlite3_close(f->db);
	return 0;
}

static void set(struct fixture *f, int second, enum state state)
{
	struct err e;

	if (ledger_set(f->ledger, "system/a", FAMILY_V4, state, (BASE + second) * S, "why", &e) < 0)
		fail_msg("%s", e.text);
}

static void reach(struct fixture *f, int second)
{
	struct err e;

	assert_int_equal(ledger_reach(f->ledger, (BASE + second) * S + 1, &e), 0);
}

static int64_t replace(struct fixture *f, int from, int until, const struct stretch *s, size_t n)
{
	struct span window = {(BASE + from) * S, (BASE + until) * S};
	struct err e;
	int64_t changed;

	if (ledger_replace(f->ledger, "system/a", FAMILY_V4, window, s, n, BASE * S, "late evidence", &changed, &e) < 0)
		fail_msg("%s", e.text);
	return changed;
}

static void correct(struct fixture *f, int from, int until, enum state state)
{
	struct err e;

	assert_int_equal(ledger_correct(f->ledger, &(struct ledger_correction){.subject = "system/a", .family = FAMILY_V4,
		.span = {(BASE + from) * S, (BASE + until) * S}, .state = state, .author = "wang", .reason = "known",
		.at = BASE * S}, &e), 0);
}

/* "up 10-20, down 20-30" in seconds behind BASE. */
static const char *words_of(struct fixture *f, const char *subject, int from, int until, bool corrected)
{
	static char out[4000];
	struct span window = {(BASE + from) * S, (BASE + until) * S};
	struct stretch *s;
	struct err e;
	size_t n, at = 0;

	if (ledger_read(f->ledger, subject, FAMILY_V4, window, corrected, &s, &n, &e) < 0)
		fail_msg("%s", e.text);
	out[0] = '\0';
	for (size_t i = 0; i < n; i++)
		at += (size_t)snprintf(out + at, sizeof out - at, "%s%s %d-%d", i > 0 ? ", " : "",
			verdict_state_name(s[i].state), (int)(s[i].from / S - BASE), (int)(s[i].until / S - BASE));
	free(s);
	return out;
}
#define assert_ledger(f, from, until, words) \
	assert_string_equal(words_of(f, "system/a", from, until, false), words)

static void stretches_follow_each_other(void **state)
{
	struct fixture *f = *state;

	set(f, 10, STATE_UP);
	set(f, 20, STATE_DOWN);
	set(f, 30, STATE_UP);
	reach(f, 50);
	assert_ledger(f, 0, 100, "up 10-20, down 20-30, up 30-50");
	assert_ledger(f, 22, 25, "down 22-25");
	assert_ledger(f, 60, 100, "");
	assert_int_equal(ledger_begin(f->ledger, "system/a", FAMILY_V4), (BASE + 10) * S);
	assert_int_equal(ledger_begin(f->ledger, "system/b", FAMILY_V4), 0);
	assert_string_equal(words_of(f, "system/b", 0, 100, false), "");
}

/* Twelve years ahead, then right again. */
static void what_the_clock_took_back_stands_in_no_future(void **state)
{
	struct fixture *f = *state;
	struct err e;

	set(f, 10, STATE_UP);
	set(f, 400000000, STATE_DOWN);
	set(f, 400000005, STATE_UP);
	set(f, 400000010, STATE_DOWN);
	reach(f, 400000020);
	assert_int_equal(ledger_turn_back(f->ledger, (BASE + 30) * S, &e), 0);
	assert_int_equal(ledger_reached(f->ledger), (BASE + 30) * S);
	set(f, 50, STATE_UP);
	reach(f, 60);
	assert_ledger(f, 0, 400000020, "up 10-30, down 30-50, up 50-60");
	/* Nothing lies there: nothing changes. */
	assert_int_equal(ledger_turn_back(f->ledger, (BASE + 55) * S, &e), 0);
	reach(f, 60);
	assert_ledger(f, 0, 100, "up 10-30, down 30-50, up 50-60");
}

static void the_same_again_changes_nothing(void **state)
{
	struct fixture *f = *state;

	set(f, 10, STATE_UP);
	set(f, 20, STATE_DOWN);
	set(f, 20, STATE_DOWN);
	set(f, 25, STATE_DOWN);
	reach(f, 40);
	reach(f, 30);
	assert_ledger(f, 0, 100, "up 10-20, down 20-40");
}

/* An outage is known at its third attempt and begins with the first. */
static void what_is_known_later_begins_when_it_began(void **state)
{
	struct fixture *f = *state;

	set(f, 10, STATE_UP);
	set(f, 22, STATE_UNKNOWN);
	set(f, 20, STATE_DOWN);
	reach(f, 40);
	assert_ledger(f, 0, 100, "up 10-20, down 20-40");
}

struct told {
	unsigned count;
	char lines[8][120];
};

static void on_revision(void *ctx, const struct ledger_revision *r)
{
	struct told *t = ctx;

	assert_true(t->count < 8);
	snprintf(t->lines[t->count++], sizeof t->lines[0], "%d-%d %s %s %s %s", (int)(r->span.from / S - BASE),
		(int)(r->span.until / S - BASE), verdict_state_name(r->was), verdict_state_name(r->state), r->author,
		r->reason);
}

static void late_evidence_corrects_the_past_and_says_so(void **state)
{
	struct fixture *f = *state;
	const struct stretch truth[] = {{(BASE + 30) * S, (BASE + 35) * S, STATE_DOWN},
		{(BASE + 35) * S, (BASE + 60) * S, STATE_UP}};
	struct told told = {0};
	struct err e;

	set(f, 10, STATE_UP);
	set(f, 25, STATE_UNKNOWN); /* silence */
	set(f, 60, STATE_UP);
	reach(f, 80);
	assert_int_equal(replace(f, 25, 60, truth, 2), 30);
	assert_ledger(f, 0, 100, "up 10-25, unknown 25-30, down 30-35, up 35-80");
	assert_int_equal(replace(f, 25, 60, truth, 2), 0);
	assert_int_equal(ledger_revisions(f->ledger, "system/a", FAMILY_V4, (struct span){BASE * S, (BASE + 99) * S},
		on_revision, &told, &e), 0);
	assert_int_equal(told.count, 2);
	assert_string_equal(told.lines[0], "30-35 unknown down  late evidence");
	assert_string_equal(told.lines[1], "35-60 unknown up  late evidence");
}

static void evidence_from_before_all_begins_the_ledger_earlier(void **state)
{
	struct fixture *f = *state;
	const struct stretch truth[] = {{(BASE + 5) * S, (BASE + 15) * S, STATE_UP}};

	reach(f, 80);
	assert_int_equal(replace(f, 0, 20, truth, 1), 15);
	assert_ledger(f, 0, 100, "up 5-15, unknown 15-80");
	set(f, 50, STATE_UP);
	assert_int_equal(replace(f, 0, 20, truth, 1), 0);
	assert_ledger(f, 0, 100, "up 5-15, unknown 15-50, up 50-80");
}

static void a_correction_lies_over_what_was_measured(void **state)
{
	struct fixture *f = *state;
	struct told told = {0};
	struct err e;

	set(f, 10, STATE_DOWN);
	set(f, 60, STATE_UP);
	reach(f, 80);
	correct(f, 20, 30, STATE_UP);
	correct(f, 25, 40, STATE_UNKNOWN);
	assert_ledger(f, 0, 100, "down 10-60, up 60-80");
	assert_string_equal(words_of(f, "system/a", 0, 100, true),
		"down 10-20, up 20-25, unknown 25-40, down 40-60, up 60-80");
	assert_string_equal(words_of(f, "system/a", 0, 22, true), "down 10-20, up 20-22");
	assert_int_equal(ledger_revisions(f->ledger, "system/a", FAMILY_V4, (struct span){BASE * S, (BASE + 99) * S},
		on_revision, &told, &e), 0);
	assert_string_equal(told.lines[0], "20-30 none up wang known");
	assert_int_equal(ledger_correct(f->ledger, &(struct ledger_correction){.subject = "system/a", .author = "",
		.reason = "x", .span = {0, S}}, &e), -1);
}

/* Against an array of seconds. */
struct model {
	enum state of[SECONDS];
	int begin, reached;
};

static void model_set(struct model *m, int from, int until, enum state state)
{
	for (int t = from; t < until; t++)
		m->of[t] = state;
}

static void random_step(struct fixture *f, struct model *m)
{
	if (rand() % 3 == 0 && m->reached > 20) {
		int from = rand() % m->reached, until = from + 1 + rand() % 60, cut;
		struct stretch s[4];
		size_t n = 0;

		for (int t = from; n < 4 && t < until;) {
			int end = t + 1 + rand() % 20;

			s[n++] = (struct stretch){(BASE + t) * S, (BASE + end) * S, (enum state)(1 + rand() % 4)};
			t = end + rand() % 5;
		}
		replace(f, from, until, s, n);
		cut = until > m->reached ? m->reached : until;
		/* What is known of the time before makes the ledger begin earlier. */
		for (size_t i = 0; i < n; i++) {
			int at = (int)(s[i].from / S - BASE);

			if (s[i].state == STATE_UNKNOWN || at >= m->begin)
				continue;
			model_set(m, at, m->begin, STATE_UNKNOWN);
			m->begin = at;
		}
		model_set(m, from < m->begin ? m->begin : from, cut, STATE_UNKNOWN);
		for (size_t i = 0; i < n; i++) {
			int end = (int)(s[i].until / S - BASE);

			int at = (int)(s[i].from / S - BASE);

			model_set(m, at < m->begin ? m->begin : at, end > cut ? cut : end, s[i].state);
		}
	} else {
		int at = m->reached - rand() % 10;
		enum state state = (enum state)(1 + rand() % 4);

		at = at < m->begin ? m->begin : at;
		set(f, at, state);
		model_set(m, at, SECONDS, state);
	}
	m->reached += rand() % 12;
	reach(f, m->reached);
}

static void the_ledger_is_a_line_of_seconds(void **state)
{
	unsigned seed = (unsigned)time(NULL);

	teardown(state);
	for (unsigned round = 0; round < 150; round++) {
		struct model m = {.begin = 20, .reached = 20};
		struct stretch *s;
		struct fixture *f;
		struct err e;
		size_t n;

		srand(seed + round);
		setup(state);
		f = *state;
		set(f, 20, STATE_UP);
		model_set(&m, 20, SECONDS, STATE_UP);
		reach(f, 20);
		while (m.reached < SECONDS - 80)
			random_step(f, &m);
		assert_int_equal(ledger_read(f->ledger, "system/a", FAMILY_V4,
			(struct span){BASE * S, (BASE + SECONDS) * S}, false, &s, &n, &e), 0);
		for (int t = 0, i = 0; t < SECONDS; t++) {
			enum state is = STATE_NONE, wanted = t >= m.begin && t < m.reached ? m.of[t] : STATE_NONE;

			while ((size_t)i < n && s[i].until <= (BASE + t) * S)
				i++;
			if ((size_t)i < n && s[i].from <= (BASE + t) * S)
				is = s[i].state;
			if (is != wanted)
				fail_msg("seed %u, second %d: %s, not %s", seed + round, t, verdict_state_name(is),
					verdict_state_name(wanted));
		}
		free(s);
		teardown(state);
	}
	setup(state);
}

static void another_process_reads_it(void **state)
{
	char folder[] = "/tmp/xj-ledger-XXXXXX", path[64];
	struct fixture file;
	struct ledger *reader;
	struct err e;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/db", folder);
	assert_null(ledger_open_file(path, &e));
	sqlite3_open(path, &file.db);
	sqlite3_exec(file.db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
	file.ledger = ledger_open(file.db, &e);
	set(&file, 10, STATE_UP);
	reach(&file, 40);
	reader = ledger_open_file(path, &e);
	if (reader == NULL)
		fail_msg("%s", e.text);
	assert_string_equal(words_of(&(struct fixture){.ledger = reader}, "system/a", 0, 100, false), "up 10-40");
	ledger_close(reader);
	ledger_close(file.ledger);
	sqlite3_close(file.db);
	unlink(path);
	rmdir(folder);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(stretches_follow_each_other),
		TEST(the_same_again_changes_nothing),
		TEST(what_the_clock_took_back_stands_in_no_future),
		TEST(what_is_known_later_begins_when_it_began),
		TEST(late_evidence_corrects_the_past_and_says_so),
		TEST(evidence_from_before_all_begins_the_ledger_earlier),
		TEST(a_correction_lies_over_what_was_measured),
		TEST(the_ledger_is_a_line_of_seconds),
		TEST(another_process_reads_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
