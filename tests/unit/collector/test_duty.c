#include "collector/judge/duty.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "collector/settings.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"

#define HOUR (3600 * NS_PER_S)
#define FRIDAY (INT64_C(1790298000) * NS_PER_S) /* 2026-09-25 09:00 in Asia/Shanghai */

/* hours: as an operator writes them. */
static struct settings *settings_of(const char *words, struct err *e)
{
	char *text = mem_format("inventory = \"conf/inventory.d\"; calendar = \"conf/calendar\"; incidents = { %s };", words);
	struct settings *s = settings_parse("test.conf", text, e);

	free(text);
	return s;
}

static struct duty *duty_of(const char *words)
{
	struct err e;
	struct settings *s = settings_of(words, &e);
	struct duty *d = s != NULL ? duty_load(s, &e) : NULL;

	if (d == NULL)
		fail_msg("%s", e.text);
	settings_free(s);
	return d;
}

static void without_hours_time_is_time(void **state)
{
	struct duty *d = duty_of("escalate = ( \"15m\", \"1h\" ); notices_per_minute = 7;");
	struct incident_settings s;

	(void)state;
	duty_settings(d, &s);
	assert_int_equal(s.steps, 2);
	assert_int_equal(s.after[1], HOUR);
	assert_int_equal(s.notices_per_minute, 7);
	assert_int_equal(s.add_work(s.calendar, FRIDAY, HOUR), FRIDAY + HOUR);
	duty_free(d);
}

static void the_night_and_the_weekend_do_not_count(void **state)
{
	struct duty *d = duty_of("hours = ( \"mon-fri 09:00-12:00,14:00-18:00\" );");

	(void)state;
	assert_int_equal(duty_add(d, FRIDAY, HOUR), FRIDAY + HOUR);
	assert_int_equal(duty_add(d, FRIDAY, 3 * HOUR), FRIDAY + 3 * HOUR);
	assert_int_equal(duty_add(d, FRIDAY, 4 * HOUR), FRIDAY + 6 * HOUR);
	/* Friday 17:30, one hour: half of it on Monday. */
	assert_int_equal(duty_add(d, FRIDAY + 17 * HOUR / 2, HOUR), FRIDAY + 3 * 24 * HOUR + HOUR / 2);
	assert_int_equal(duty_add(d, FRIDAY + 12 * HOUR, HOUR), FRIDAY + 3 * 24 * HOUR + HOUR);
	duty_free(d);
}

/* 2026-10-01 to 07 are holidays, and the year after is not told yet. */
static void holidays_do_not_count_and_a_year_that_is_not_told_does(void **state)
{
	struct duty *d = duty_of("hours = ( \"workday 09:00-18:00\" );");
	int64_t last_of_september = FRIDAY + 5 * 24 * HOUR + 8 * HOUR; /* a Wednesday, 17:00 */
	int64_t far = FRIDAY + 400 * 24 * HOUR + 12 * HOUR;

	(void)state;
	assert_int_equal(duty_add(d, last_of_september, HOUR + NS_PER_S), FRIDAY + 13 * 24 * HOUR + NS_PER_S);
	assert_int_equal(duty_add(d, far, HOUR), far + HOUR);
	duty_free(d);
}

/* Steps of an hour find the end that adding finds; it never goes back when work or time goes on. */
static void adding_is_monotonic_and_adds_up(void **state)
{
	unsigned seed = (unsigned)time(NULL);
	struct duty *d = duty_of("hours = ( \"mon-fri 08:30-12:00,13:30-17:30\", \"sat 10:00-12:00\" );");

	(void)state;
	srand(seed);
	for (int i = 0; i < 2000; i++) {
		int64_t from = FRIDAY + rand() % 1000000 * NS_PER_S, a = (1 + rand() % 100000) * NS_PER_S, b = (1 + rand() % 100000) * NS_PER_S;
		int64_t then = duty_add(d, from, a);

		if (then < from + a || duty_add(d, then, b) != duty_add(d, from, a + b) || duty_add(d, from + NS_PER_S, a) < then)
			fail_msg("seed %u, round %d", seed, i);
	}
	duty_free(d);
}

static void what_is_wrong_is_told(void **state)
{
	static const char *const bad[] = {"escalate = ( \"1h\", \"15m\" );", "escalate = \"1\";", "escalate = \"0s\";",
		"hours = ( \"workday\" );", "notices_per_minute = 0;", "escalade = \"1h\";"};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct settings *s = settings_of(bad[i], &e);

		if (s != NULL)
			fail_msg("accepted: %s", bad[i]);
		assert_non_null(strstr(e.text, "test.conf:1: "));
	}
	assert_null(settings_parse("test.conf", "incidents = { hours = \"workday 09:00-18:00\"; };", &e));
	assert_non_null(strstr(e.text, "calendar"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_hours_time_is_time),
		cmocka_unit_test(the_night_and_the_weekend_do_not_count),
		cmocka_unit_test(holidays_do_not_count_and_a_year_that_is_not_told_does),
		cmocka_unit_test(adding_is_monotonic_and_adds_up),
		cmocka_unit_test(what_is_wrong_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
