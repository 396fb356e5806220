#include "collector/judge/availability.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/clock.h"

static const struct spans nothing;

static struct availability count(const struct stretch *s, size_t n, int64_t from, int64_t until)
{
	struct span one = {from, until};
	struct availability a;

	availability_count(s, n, &(struct spans){1, &one}, &nothing, &a);
	return a;
}

static void each_state_counts_its_time(void **state)
{
	const struct stretch s[] = {{0, 100, STATE_UP}, {100, 110, STATE_DOWN}, {110, 150, STATE_DEGRADED},
		{150, 170, STATE_UNKNOWN}, {170, 200, STATE_UP}};
	struct availability a = count(s, 5, 0, 200);

	(void)state;
	assert_int_equal(a.up, 130);
	assert_int_equal(a.degraded, 40);
	assert_int_equal(a.down, 10);
	assert_int_equal(a.unknown, 20);
	assert_int_equal(a.outages, 1);
	assert_int_equal(availability_strict(&a), 850000);
	assert_int_equal(availability_lenient(&a), 944444);
	assert_int_equal(availability_coverage(&a), 900000);
	assert_int_equal(availability_mttr(&a), 10);
	assert_int_equal(availability_mtbf(&a), 170);
}

static void what_nobody_measured_is_unknown_and_what_was_before_is_not_monitored(void **state)
{
	const struct stretch s[] = {{50, 60, STATE_UP}, {80, 90, STATE_UP}};
	struct availability a = count(s, 2, 0, 100);

	(void)state;
	assert_int_equal(a.unmonitored, 50);
	assert_int_equal(a.up, 20);
	assert_int_equal(a.unknown, 30);
	assert_int_equal(availability_counted(&a), 50);
	a = count(NULL, 0, 0, 100);
	assert_int_equal(a.unmonitored, 100);
	assert_int_equal(availability_strict(&a), -1);
	assert_int_equal(availability_coverage(&a), -1);
}

static void an_outage_is_counted_once_however_it_is_cut(void **state)
{
	/* Down over two nights and a maintenance; the last one touches nothing that counts. */
	const struct stretch s[] = {{0, 15, STATE_UP}, {15, 45, STATE_DOWN}, {45, 52, STATE_DOWN}, {52, 90, STATE_UP},
		{90, 95, STATE_DOWN}, {95, 200, STATE_UP}};
	struct span hours[] = {{10, 20}, {30, 40}, {50, 60}, {100, 110}}, work = {32, 35};
	struct availability a;

	(void)state;
	availability_count(s, 6, &(struct spans){4, hours}, &(struct spans){1, &work}, &a);
	assert_int_equal(a.service, 40);
	assert_int_equal(a.maintenance, 3);
	assert_int_equal(a.down, 5 + 7 + 2);
	assert_int_equal(a.outages, 1);
	assert_int_equal(a.longest, 14);
}

static void edges_clip_and_do_not_move(void **state)
{
	const struct stretch s[] = {{0, 95, STATE_UP}, {95, 105, STATE_DOWN}, {105, 200, STATE_UP}};
	struct availability first = count(s, 3, 0, 100), second = count(s, 3, 100, 200), whole = count(s, 3, 0, 200);

	(void)state;
	assert_int_equal(first.down, 5);
	assert_int_equal(second.down, 5);
	assert_int_equal(first.down + second.down, whole.down);
	assert_int_equal(whole.outages, 1);
	assert_int_equal(whole.longest, 10);
}

static void nothing_is_rounded_up_to_all(void **state)
{
	const struct stretch s[] = {{0, 100000000 - 1, STATE_UP}, {100000000 - 1, 100000000, STATE_DOWN}};
	struct availability a = count(s, 2, 0, 100000000);

	(void)state;
	assert_int_equal(availability_strict(&a), 999999);
}

static enum state state_at(const struct stretch *s, size_t n, int64_t t)
{
	for (size_t i = 0; i < n; i++) {
		if (t >= s[i].from && t < s[i].until)
			return s[i].state;
	}
	return n == 0 || t < s[0].from ? STATE_NONE : STATE_UNKNOWN;
}

static bool in_spans(const struct spans *s, int64_t t)
{
	for (size_t i = 0; i < s->count; i++) {
		if (t >= s->items[i].from && t < s->items[i].until)
			return true;
	}
	return false;
}

static void random_spans(struct spans *s)
{
	for (int64_t at = rand() % 50; at < 1000; at += 1 + rand() % 90) {
		int64_t until = at + 1 + rand() % 90;

		spans_add(s, at, until);
		at = until;
	}
}

static size_t random_stretches(struct stretch *s)
{
	size_t n = 0;

	for (int64_t at = rand() % 300; at < 1000 && n < 40;) {
		int64_t until = at + 1 + rand() % 60;

		s[n++] = (struct stretch){at, until, (enum state)(rand() % 5)};
		at = until + (rand() % 4 == 0 ? rand() % 30 : 0);
	}
	return n;
}

/* Second by second, against the definition; and a group is its members. */
static void the_figures_are_those_of_each_second(void **state)
{
	unsigned seed = (unsigned)time(NULL);
	struct availability group = {0}, check = {0};

	(void)state;
	for (unsigned round = 0; round < 3000; round++) {
		struct spans service = {0}, maintenance = {0};
		int64_t sums[6] = {0}, excluded = 0;
		struct stretch s[40];
		struct availability a;
		size_t n;

		srand(seed + round);
		random_spans(&service);
		random_spans(&maintenance);
		n = random_stretches(s);
		for (int64_t t = 0; t < 1200; t++) {
			if (in_spans(&service, t) && in_spans(&maintenance, t))
				excluded++;
			else if (in_spans(&service, t))
				sums[state_at(s, n, t)]++;
		}
		availability_count(s, n, &service, &maintenance, &a);
		if (a.maintenance != excluded || a.unmonitored != sums[STATE_NONE] || a.up != sums[STATE_UP] ||
			a.unknown != sums[STATE_UNKNOWN] || a.degraded != sums[STATE_DEGRADED] || a.down != sums[STATE_DOWN])
			fail_msg("seed %u", seed + round);
		assert_int_equal(a.service, a.maintenance + a.unmonitored + availability_counted(&a));
		assert_true(a.longest <= a.down && (a.outages > 0) == (a.down > 0));
		availability_add(&group, &a);
		check.up += a.up, check.down += a.down, check.outages += a.outages;
		spans_fini(&service);
		spans_fini(&maintenance);
	}
	assert_int_equal(group.members, 3000);
	assert_int_equal(group.up, check.up);
	assert_int_equal(group.down, check.down);
	assert_int_equal(group.outages, check.outages);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_state_counts_its_time),
		cmocka_unit_test(what_nobody_measured_is_unknown_and_what_was_before_is_not_monitored),
		cmocka_unit_test(an_outage_is_counted_once_however_it_is_cut),
		cmocka_unit_test(edges_clip_and_do_not_move),
		cmocka_unit_test(nothing_is_rounded_up_to_all),
		cmocka_unit_test(the_figures_are_those_of_each_second),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
