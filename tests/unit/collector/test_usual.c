#include "collector/judge/usual.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/judge/record.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"

#define HOUR (3600 * NS_PER_S)
#define WEEK (168 * HOUR)
#define BEGIN (INT64_C(1790000000) / (168 * 3600) * WEEK)

static const struct usual_stream_id stream = {"portal-http", "agent-city", "192.0.2.1", FAMILY_V4, 3};

/* Each minute of a week a value: so much in the hours before noon of UTC, so much after it. */
static void live_week(struct usual *u, int week, double morning, double evening)
{
	for (int64_t at = BEGIN + week * WEEK; at < BEGIN + (week + 1) * WEEK; at += 60 * NS_PER_S)
		usual_take(u, &stream, at / HOUR % 24 < 12 ? morning : evening, at);
}

static double usual_at(struct usual *u, int week, int hour)
{
	return usual_of(u, &stream, BEGIN + week * WEEK + hour * HOUR);
}

static void nothing_is_usual_in_the_first_week(void **state)
{
	struct usual *u = usual_new();

	(void)state;
	live_week(u, 0, 10, 30);
	for (int hour = 0; hour < 168; hour++)
		assert_true(usual_at(u, 0, hour) != usual_at(u, 0, hour)); /* NAN */
	usual_free(u);
}

static void each_hour_has_its_own(void **state)
{
	struct usual *u = usual_new();

	(void)state;
	live_week(u, 0, 10, 30);
	usual_take(u, &stream, 10, BEGIN + WEEK);
	for (int hour = 0; hour < 168; hour++) {
		bool is_morning = (BEGIN / HOUR + hour) % 24 < 12;

		assert_float_equal(usual_at(u, 1, hour), is_morning ? 10 : 30, 1e-6);
	}
	usual_free(u);
}

static void a_week_does_not_change_what_is_usual_in_it(void **state)
{
	struct usual *u = usual_new();
	double before;

	(void)state;
	live_week(u, 0, 10, 30);
	live_week(u, 1, 20, 60);
	before = usual_at(u, 2, 5);
	assert_float_equal(before, 15, 1e-6);
	live_week(u, 2, 500, 500);
	assert_float_equal(usual_at(u, 2, 5), before, 0);
	assert_true(usual_at(u, 3, 5) > 100);
	usual_free(u);
}

static void what_changed_for_good_is_usual_after_some_weeks(void **state)
{
	struct usual *u = usual_new();

	(void)state;
	live_week(u, 0, 10, 10);
	for (int week = 1; week < 12; week++)
		live_week(u, week, 100, 100);
	assert_true(usual_at(u, 12, 7) > 90);
	usual_free(u);
}

static void of_an_hour_that_is_over_nothing_is_learned(void **state)
{
	struct usual *u = usual_new();

	(void)state;
	live_week(u, 0, 10, 10);
	usual_take(u, &stream, 10, BEGIN + WEEK);
	usual_take(u, &stream, 1e9, BEGIN + WEEK - 2 * HOUR);
	usual_take(u, &stream, 10, BEGIN + WEEK + HOUR);
	assert_float_equal(usual_at(u, 1, 166), 10, 1e-6);
	usual_free(u);
}

static void streams_are_apart(void **state)
{
	struct usual_stream_id other = stream;
	struct usual *u = usual_new();

	(void)state;
	live_week(u, 0, 10, 10);
	usual_take(u, &stream, 10, BEGIN + WEEK);
	other.part = "192.0.2.2";
	assert_true(usual_of(u, &other, BEGIN + WEEK) != usual_of(u, &other, BEGIN + WEEK));
	other = stream;
	other.family = FAMILY_V6;
	assert_true(usual_of(u, &other, BEGIN + WEEK) != usual_of(u, &other, BEGIN + WEEK));
	usual_free(u);
}

static void after_a_clock_that_went_back_it_learns_on(void **state)
{
	struct usual *u = usual_new();

	(void)state;
	usual_take(u, &stream, 77, BEGIN + 500 * WEEK);
	usual_take(u, &stream, 77, BEGIN + 500 * WEEK + HOUR);
	usual_turn_back(u, BEGIN);
	live_week(u, 0, 10, 10);
	live_week(u, 1, 10, 10);
	live_week(u, 2, 10, 10);
	assert_float_equal(usual_at(u, 3, 9), 10, 1e-6);
	usual_free(u);
}

/* ---- records */

struct blob {
	size_t len;
	uint8_t data[4000];
};

static void put(void *ctx, const char *key, const void *data, size_t len)
{
	struct blob *b = mem_alloc(sizeof *b);

	assert_true(len <= sizeof b->data);
	b->len = len;
	memcpy(b->data, data, len);
	free(map_set(ctx, key, b));
}

static void drop(void *ctx, const char *key)
{
	free(map_remove(ctx, key));
}

static struct usual *reborn(struct usual *u, struct map *records)
{
	struct err e;

	usual_free(u);
	u = usual_new();
	for (size_t i = 0; i < map_count(records); i++) {
		const char *key;
		const struct blob *b = map_at(records, i, &key);

		assert_int_equal(usual_restore(u, key, b->data, b->len, &e), 0);
	}
	return u;
}

static void kills_change_nothing(void **state)
{
	struct map *records = map_new();
	struct usual *a = usual_new(), *b = usual_new();
	uint64_t seed = 1;

	(void)state;
	for (int64_t at = BEGIN; at < BEGIN + 4 * WEEK; at += 600 * NS_PER_S) {
		double value = (double)((seed = seed * 48271 % 2147483647) % 1000);

		usual_take(a, &stream, value, at);
		usual_take(b, &stream, value, at);
		usual_save(b, &(struct record_sink){put, drop, records});
		if (seed % 50 == 0)
			b = reborn(b, records);
	}
	for (int hour = 0; hour < 168; hour++)
		assert_float_equal(usual_at(a, 4, hour), usual_at(b, 4, hour), 0);
	usual_free(a);
	usual_free(b);
	map_free(records, free);
}

static bool is_asked(void *ctx, const char *check, uint32_t metric)
{
	assert_string_equal(check, "portal-http");
	assert_int_equal(metric, 3);
	return *(bool *)ctx;
}

static void what_nobody_asks_for_is_forgotten(void **state)
{
	struct map *records = map_new();
	struct record_sink sink = {put, drop, records};
	struct usual *u = usual_new();
	bool asked = true;

	(void)state;
	live_week(u, 0, 10, 10);
	usual_save(u, &sink);
	assert_int_equal(map_count(records), 2);
	usual_keep(u, is_asked, &asked, BEGIN + WEEK);
	assert_float_equal(usual_at(u, 1, 3), 10, 1e-6);
	usual_keep(u, is_asked, &asked, BEGIN + (USUAL_KEPT_WEEKS + 2) * WEEK);
	assert_true(usual_at(u, 1, 3) != usual_at(u, 1, 3));
	live_week(u, 0, 10, 10);
	asked = false;
	usual_keep(u, is_asked, &asked, BEGIN + WEEK);
	usual_save(u, &sink);
	assert_int_equal(map_count(records), 0);
	usual_free(u);
	map_free(records, free);
}

static void a_damaged_record_is_refused_without_harm(void **state)
{
	struct map *records = map_new();
	struct usual *u = usual_new();
	struct err e;

	(void)state;
	live_week(u, 0, 10, 10);
	usual_save(u, &(struct record_sink){put, drop, records});
	for (size_t i = 0; i < map_count(records); i++) {
		const char *key;
		const struct blob *b = map_at(records, i, &key);

		for (size_t len = 0; len < b->len; len++)
			assert_int_equal(usual_restore(u, key, b->data, len, &e), -1);
	}
	assert_int_equal(usual_restore(u, "what/else", "", 0, &e), -1);
	usual_take(u, &stream, 10, BEGIN + WEEK);
	assert_float_equal(usual_at(u, 1, 3), 10, 1e-6);
	usual_free(u);
	map_free(records, free);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_is_usual_in_the_first_week),
		cmocka_unit_test(each_hour_has_its_own),
		cmocka_unit_test(a_week_does_not_change_what_is_usual_in_it),
		cmocka_unit_test(what_changed_for_good_is_usual_after_some_weeks),
		cmocka_unit_test(of_an_hour_that_is_over_nothing_is_learned),
		cmocka_unit_test(streams_are_apart),
		cmocka_unit_test(after_a_clock_that_went_back_it_learns_on),
		cmocka_unit_test(kills_change_nothing),
		cmocka_unit_test(what_nobody_asks_for_is_forgotten),
		cmocka_unit_test(a_damaged_record_is_refused_without_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
