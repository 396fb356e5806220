#include "collector/series_queue.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static const uint8_t decimals[] = {0, 6, 2, 0, 9};
#define COLUMNS (sizeof decimals)

/* The text as printf would have it. */
static void plain_text(int64_t time, const double *numbers, char *out)
{
	out += sprintf(out, "%lld", (long long)time);
	for (size_t i = 0; i < COLUMNS; i++) {
		char text[400];

		if (isnan(numbers[i])) {
			out += sprintf(out, ":U");
			continue;
		}
		snprintf(text, sizeof text, "%.*f", decimals[i], numbers[i]);
		if (fabs(numbers[i] * pow(10, decimals[i])) >= 0x1p53 || strtod(text, NULL) != numbers[i])
			snprintf(text, sizeof text, "%.17g", numbers[i]);
		out += sprintf(out, ":%s", text);
	}
}

static double some_number(size_t column)
{
	double unit = pow(10, decimals[column]);

	switch (rand() % 8) {
	case 0:
		return NAN;
	case 1:
		return (double)rand() / 7.0; /* not of so few digits */
	case 2:
		return -(double)(rand() % 100000) / unit;
	case 3:
		return 1e300 * rand();
	default:
		return (double)(rand() % 3000000) / unit;
	}
}

/* The same numbers, field by field: of two texts that read back alike one may be a digit longer. */
static void assert_reads_alike(const char *a, const char *b)
{
	while (*a != '\0' && *b != '\0') {
		char *after_a, *after_b;
		double x = strtod(a, &after_a), y = strtod(b, &after_b);

		assert_true((after_a == a) == (after_b == b) && x == y);
		a = after_a + (*after_a != '\0');
		b = after_b + (*after_b != '\0');
	}
	assert_true(*a == *b);
}

static void sets_come_back_as_the_text_printf_would_make(void **state)
{
	unsigned seed = (unsigned)time(NULL);
	struct series_queue q = {0};
	struct series_queue_walk walk;
	struct series_set set;
	static char wanted[2000][SERIES_SET_TEXT];
	char text[SERIES_SET_TEXT];
	int64_t at = 1700000000;
	int n = 0;

	(void)state;
	printf("seed %u\n", seed);
	srand(seed);
	for (int i = 0; i < 2000; i++) {
		double numbers[COLUMNS];

		at += 1 + rand() % 500;
		for (size_t c = 0; c < COLUMNS; c++)
			numbers[c] = some_number(c);
		series_queue_add(&q, at, 60, numbers, decimals, COLUMNS);
		plain_text(at, numbers, wanted[i]);
	}
	walk = series_queue_walk(&q, COLUMNS);
	for (; series_queue_next(&walk, &set); n++) {
		size_t len = series_set_text(&set, decimals, text);

		assert_int_equal(len, strlen(text));
		assert_reads_alike(text, wanted[n]);
		assert_int_equal(set.interval_s, 60);
	}
	assert_int_equal(n, 2000);
	assert_int_equal(q.count, 2000);
	assert_int_equal(q.newest, at);
	series_queue_fini(&q);
}

static void a_set_can_be_kept_in_another_queue(void **state)
{
	const double numbers[COLUMNS] = {1, 0.25, NAN, -3, 1e-9};
	struct series_queue q = {0}, kept = {0};
	struct series_queue_walk walk;
	struct series_set set;
	char text[SERIES_SET_TEXT];

	(void)state;
	series_queue_add(&q, 100, 10, numbers, decimals, COLUMNS);
	series_queue_add(&q, 110, 20, numbers, decimals, COLUMNS);
	walk = series_queue_walk(&q, COLUMNS);
	while (series_queue_next(&walk, &set)) {
		if (set.time == 110)
			series_queue_keep(&kept, &set);
	}
	walk = series_queue_walk(&kept, COLUMNS);
	assert_true(series_queue_next(&walk, &set));
	assert_int_equal(set.interval_s, 20);
	series_set_text(&set, decimals, text);
	assert_string_equal(text, "110:1:0.250000:U:-3:0.000000001");
	assert_false(series_queue_next(&walk, &set));
	series_queue_fini(&q);
	series_queue_fini(&kept);
}

static void an_emptied_queue_remembers_its_newest_time(void **state)
{
	const double numbers[COLUMNS] = {1, 2, 3, 4, 5};
	struct series_queue q = {0};
	struct series_queue_walk walk;
	struct series_set set;

	(void)state;
	series_queue_add(&q, 100, 10, numbers, decimals, COLUMNS);
	series_queue_clear(&q);
	assert_int_equal(q.count, 0);
	assert_int_equal(q.newest, 100);
	series_queue_add(&q, 130, 10, numbers, decimals, COLUMNS);
	walk = series_queue_walk(&q, COLUMNS);
	assert_true(series_queue_next(&walk, &set));
	assert_int_equal(set.time, 130);
	series_queue_fini(&q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sets_come_back_as_the_text_printf_would_make),
		cmocka_unit_test(a_set_can_be_kept_in_another_queue),
		cmocka_unit_test(an_emptied_queue_remembers_its_newest_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
