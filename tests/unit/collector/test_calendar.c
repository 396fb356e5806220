#include "collector/judge/calendar.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "lib/config.h"
#include "lib/err.h"

#define HOUR (3600 * NS_PER_S)

static struct calendar *china(void)
{
	struct err e;
	struct calendar *c = calendar_load("conf/calendar", &e);

	if (c == NULL)
		fail_msg("%s", e.text); /* run the test in the top folder */
	return c;
}

static int32_t day(int y, int m, int d)
{
	return calendar_number((struct civil){y, m, d});
}

static void days_are_those_of_the_c_library(void **state)
{
	(void)state;
	for (int32_t d = 8035; d < 84000; d++) {
		time_t t = (time_t)d * 86400;
		struct tm tm;
		struct civil c = calendar_civil(d);

		gmtime_r(&t, &tm);
		assert_int_equal(c.year, tm.tm_year + 1900);
		assert_int_equal(c.month, tm.tm_mon + 1);
		assert_int_equal(c.day, tm.tm_mday);
		assert_int_equal(calendar_weekday(d), (tm.tm_wday + 6) % 7);
		assert_int_equal(calendar_number(c), d);
		assert_int_equal(calendar_day_at(calendar_day_begin(d)), d);
		assert_int_equal(calendar_day_at(calendar_day_begin(d) - 1), d - 1);
	}
}

static void assert_period(const char *text, const char *from, const char *until)
{
	char a[32], b[32];
	struct span s;
	struct err e;

	if (calendar_period(text, &s, &e) < 0)
		fail_msg("%s", e.text);
	assert_string_equal(clock_format_utc(s.from, a, sizeof a), from);
	assert_string_equal(clock_format_utc(s.until, b, sizeof b), until);
}

/* Local midnight is 16:00 UTC of the day before. */
static void periods_are_local(void **state)
{
	(void)state;
	assert_period("2026", "2025-12-31T16:00:00Z", "2026-12-31T16:00:00Z");
	assert_period("2026-Q4", "2026-09-30T16:00:00Z", "2026-12-31T16:00:00Z");
	assert_period("2026-02", "2026-01-31T16:00:00Z", "2026-02-28T16:00:00Z");
	assert_period("2028-02", "2028-01-31T16:00:00Z", "2028-02-29T16:00:00Z");
	assert_period("2026-12", "2026-11-30T16:00:00Z", "2026-12-31T16:00:00Z");
	assert_period("2026-10-05", "2026-10-04T16:00:00Z", "2026-10-05T16:00:00Z");
	assert_period("2026-10-05..2026-10-20", "2026-10-04T16:00:00Z", "2026-10-20T16:00:00Z");
}

static void what_is_no_period_is_told(void **state)
{
	static const char *const bad[] = {"", "26", "2026-", "2026-13", "2026-00", "2026-Q5", "2026-Q0", "2026-02-29", "2026-1",
		"2026-10-05..", "2026-10-05..2026-10-04", "2026-10-05...2026-10-06", "1991", "2200", "2026-10 ", "x", "2026-Q12"};
	struct span s;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(calendar_period(bad[i], &s, &e), -1);
		assert_non_null(strstr(e.text, "is not a period: write"));
	}
}

static void a_make_up_saturday_is_a_workday_and_a_holiday_monday_is_none(void **state)
{
	struct calendar *c = china();

	(void)state;
	assert_true(calendar_is_workday(c, day(2026, 10, 10)));  /* Saturday, made up */
	assert_false(calendar_is_workday(c, day(2026, 10, 11))); /* Sunday */
	assert_true(calendar_is_workday(c, day(2026, 9, 20)));   /* Sunday, made up */
	assert_false(calendar_is_workday(c, day(2026, 2, 23)));  /* Monday of the Spring Festival */
	assert_true(calendar_is_workday(c, day(2026, 2, 24)));
	assert_true(calendar_is_workday(c, day(2026, 11, 26)));
	assert_true(calendar_knows(c, 2025));
	assert_false(calendar_knows(c, 2027));
	calendar_free(c);
}

/* As personnel offices count them: 248 workdays in either year. */
static void the_years_add_up(void **state)
{
	struct calendar *c = china();
	int workdays[2] = {0};

	(void)state;
	for (int32_t d = day(2025, 1, 1); d < day(2027, 1, 1); d++)
		workdays[d >= day(2026, 1, 1)] += calendar_is_workday(c, d);
	assert_int_equal(workdays[0], 261 - 18 + 5); /* Mondays to Fridays, those off, made up */
	assert_int_equal(workdays[1], 261 - 19 + 6);
	calendar_free(c);
}

static struct hours parsed(const char *first, const char *second)
{
	const char *items[] = {first, second};
	struct config_texts texts = {second != NULL ? 2 : 1, items};
	struct hours h;
	struct err e;

	if (hours_parse(&texts, &h, &e) < 0)
		fail_msg("%s", e.text);
	return h;
}

static int64_t hours_in(const struct hours *h, const struct calendar *c, const char *period)
{
	struct spans spans;
	struct span s;
	struct err e;
	int64_t n;

	assert_int_equal(calendar_period(period, &s, &e), 0);
	if (hours_spans(h, c, s, &spans, &e) < 0)
		fail_msg("%s", e.text);
	n = spans_length(&spans);
	spans_fini(&spans);
	return n;
}

static void hours_of_service_follow_the_calendar(void **state)
{
	struct calendar *c = china();
	struct hours work = parsed("workday 09:00-12:00,13:30-17:30", NULL), rest = parsed("restday 10:00-16:00", NULL);
	struct hours both = parsed("workday 09:00-17:00", "restday 10:00-12:00"), always = parsed("always", NULL);
	struct hours week = parsed("mon-fri 08:00-20:00", "sat,sun 09:00-12:00");

	(void)state;
	assert_int_equal(hours_in(&work, c, "2026-10-10"), 7 * HOUR);
	assert_int_equal(hours_in(&work, c, "2026-10-01..2026-10-07"), 0);
	assert_int_equal(hours_in(&rest, c, "2026-10-01..2026-10-07"), 7 * 6 * HOUR);
	assert_int_equal(hours_in(&both, c, "2026-10-09..2026-10-11"), (8 + 8 + 2) * HOUR);
	assert_int_equal(hours_in(&week, c, "2026-10-05..2026-10-11"), (5 * 12 + 2 * 3) * HOUR);
	assert_int_equal(hours_in(&always, c, "2026"), 365 * 24 * HOUR);
	/* Those by the week need no year. */
	assert_int_equal(hours_in(&week, c, "2031-10-06..2031-10-12"), (5 * 12 + 2 * 3) * HOUR);
	calendar_free(c);
}

static void times_that_overlap_count_once(void **state)
{
	struct hours h = parsed("daily 09:00-12:00,11:00-13:00,13:00-14:00", "mon-sun 09:30-10:00");
	struct calendar *c = china();

	(void)state;
	assert_int_equal(hours_in(&h, c, "2026-10-10"), 5 * HOUR);
	calendar_free(c);
}

static void a_year_that_is_not_told_is_not_guessed(void **state)
{
	struct hours h = parsed("workday 09:00-17:00", NULL);
	struct calendar *c = china();
	struct spans spans;
	struct span s;
	struct err e;

	(void)state;
	assert_int_equal(calendar_period("2027-01", &s, &e), 0);
	assert_int_equal(hours_spans(&h, c, s, &spans, &e), -1);
	assert_string_equal(e.text, "holidays of 2027 are not known: add the year to the calendar folder");
	calendar_free(c);
}

static void a_period_that_begins_within_hours_is_cut(void **state)
{
	struct hours h = parsed("daily 09:00-17:00", NULL);
	struct span s = {calendar_day_begin(day(2026, 11, 2)) + 10 * HOUR, calendar_day_begin(day(2026, 11, 3)) + 9 * HOUR + 1};
	struct calendar *c = china();
	struct spans spans;
	struct err e;

	(void)state;
	assert_int_equal(hours_spans(&h, c, s, &spans, &e), 0);
	assert_int_equal(spans.count, 2);
	assert_int_equal(spans_length(&spans), 7 * HOUR + 1);
	spans_fini(&spans);
	calendar_free(c);
}

static void what_are_no_hours_is_told(void **state)
{
	static const char *const rows[][2] = {
		{"", "are no hours of service"}, {"workday", "are no hours of service"},
		{"feast 09:00-10:00", "are no hours of service"}, {"fri-mon 09:00-10:00", "are no hours of service"},
		{"mon-fri 9:00-17:00", "write times as in"}, {"daily 09:00-25:00", "write times as in"},
		{"daily 22:00-06:00", "over midnight, write two"}, {"daily 09:00-17:00;", "is too much"},
		{"daily 09:00-17:00,", "write times as in"}, {"daily 09:60-17:00", "write times as in"},
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(hours_check(rows[i][0], &e), -1);
		if (strstr(e.text, rows[i][1]) == NULL)
			fail_msg("%s: %s", rows[i][0], e.text);
	}
}

static void assert_file(const char *text, const char *words)
{
	char folder[] = "/tmp/xj-calendar-XXXXXX", path[64];
	struct calendar *c;
	struct err e;
	FILE *f;

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/a.conf", folder);
	f = fopen(path, "w");
	fputs(text, f);
	fclose(f);
	c = calendar_load(folder, &e);
	unlink(path);
	rmdir(folder);
	assert_null(c);
	if (strstr(e.text, words) == NULL || strstr(e.text, "a.conf:1: ") == NULL)
		fail_msg("%s", e.text);
}

static void what_is_wrong_in_a_file_is_told_with_its_line(void **state)
{
	(void)state;
	assert_file("years = ( { year = 2026; holidays = ( \"2025-12-31\" ); } );", "is not in 2026");
	assert_file("years = ( { year = 2026; holidays = ( \"2026-02-30\" ); } );", "is not a day");
	assert_file("years = ( { year = 2026; holidays = \"2026-10-01\"; workdays = \"2026-10-01\"; } );", "told twice");
	assert_file("years = ( { year = 2026; }, { year = 2026; } );", "2026 is told twice");
	assert_file("years = ( { year = 1066; } );", "year");
}

static void spans_are_taken_out_of_spans(void **state)
{
	unsigned seed = (unsigned)time(NULL);

	(void)state;
	for (unsigned round = 0; round < 2000; round++) {
		struct spans a = {0}, b = {0}, out;
		bool in[2][200] = {{0}};

		srand(seed + round);
		for (int k = 0; k < 2; k++) {
			for (int at = rand() % 20; at < 180; at += 1 + rand() % 20) {
				int until = at + rand() % 20;

				spans_add(k ? &b : &a, at, until);
				for (; at < until; at++)
					in[k][at] = true;
			}
		}
		spans_without(&a, &b, &out);
		for (int t = 0; t < 200; t++) {
			bool found = false;

			for (size_t i = 0; i < out.count; i++)
				found |= t >= out.items[i].from && t < out.items[i].until;
			if (found != (in[0][t] && !in[1][t]))
				fail_msg("seed %u at %d", seed + round, t);
		}
		spans_fini(&a);
		spans_fini(&b);
		spans_fini(&out);
	}
}

#define AT_TEN INT64_C(1790820000) /* 2026-10-01 10:00:00 */

static void times_are_read_as_people_write_them(void **state)
{
	static const struct {
		const char *text;
		int64_t seconds;
	} good[] = {{"now", AT_TEN}, {"+2h", AT_TEN + 7200}, {"2026-10-01 10:00", AT_TEN}, {"2026-10-01T10:00:30", AT_TEN + 30},
		{"2026-10-01T02:00:00Z", AT_TEN}, {"2026-10-01", AT_TEN - 36000}, {"2026-10-01 24:00", AT_TEN + 14 * 3600}};
	static const char *const bad[] = {"", "12", "10:00", "2026-10-01 10", "2026-10-01 25:00", "2026-02-30 10:00", "+2", "-2h",
		"2026-10-01 10:00 ", "2026-10-01 10:00:61", "2026-10-01 10:00+08:00"};
	char said[CALENDAR_TIME];
	struct err e;
	int64_t t, back;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_int_equal(calendar_time(good[i].text, AT_TEN * NS_PER_S, &t, &e), 0);
		assert_int_equal(t / NS_PER_S, good[i].seconds);
		assert_int_equal(calendar_time(calendar_format(t, said), 0, &back, &e), 0);
		assert_int_equal(back / NS_PER_S, t / NS_PER_S);
	}
	assert_string_equal(calendar_format(INT64_C(1790820005) * NS_PER_S + 7, said), "2026-10-01 10:00:05");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (calendar_time(bad[i], AT_TEN * NS_PER_S, &t, &e) == 0)
			fail_msg("\"%s\" was read", bad[i]);
	}
}

static void how_often_is_read_as_people_write_it(void **state)
{
	static const struct {
		const char *text;
		unsigned weekdays, weeks;
	} good[] = {{"day", 0, 0}, {"week", 8 /* a Thursday */, 0}, {"mon-fri", 0x1f, 0}, {"sat,sun", 0x60, 0}, {"2nd sat", 0x20, 2}};
	static const char *const bad[] = {"", "2nd", "2nd day", "2nd ", "6th sat", "monday", "sat 2nd", "fri-mon"};
	uint8_t weekdays, weeks;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		assert_int_equal(calendar_every(good[i].text, AT_TEN * NS_PER_S, &weekdays, &weeks, &e), 0);
		assert_true(weekdays == good[i].weekdays && weeks == good[i].weeks);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (calendar_every(bad[i], AT_TEN * NS_PER_S, &weekdays, &weeks, &e) == 0)
			fail_msg("\"%s\" was read", bad[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(days_are_those_of_the_c_library),
		cmocka_unit_test(periods_are_local),
		cmocka_unit_test(what_is_no_period_is_told),
		cmocka_unit_test(a_make_up_saturday_is_a_workday_and_a_holiday_monday_is_none),
		cmocka_unit_test(the_years_add_up),
		cmocka_unit_test(hours_of_service_follow_the_calendar),
		cmocka_unit_test(times_that_overlap_count_once),
		cmocka_unit_test(a_year_that_is_not_told_is_not_guessed),
		cmocka_unit_test(a_period_that_begins_within_hours_is_cut),
		cmocka_unit_test(what_are_no_hours_is_told),
		cmocka_unit_test(what_is_wrong_in_a_file_is_told_with_its_line),
		cmocka_unit_test(spans_are_taken_out_of_spans),
		cmocka_unit_test(times_are_read_as_people_write_them),
		cmocka_unit_test(how_often_is_read_as_people_write_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
