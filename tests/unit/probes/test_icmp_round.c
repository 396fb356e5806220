#include "probes/icmp_round.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "lib/clock.h"

#define WAIT (100 * NS_PER_MS)

/* A round of which all echoes were sent. */
static struct icmp_round sent_round(unsigned count)
{
	struct icmp_round r;

	icmp_round_init(&r, count, WAIT);
	for (unsigned i = 0; i < count; i++)
		assert_int_equal(icmp_round_sent(&r), i);
	return r;
}

static void figures_of_four_replies_are_exact(void **state)
{
	static const int64_t rtt_ms[] = {40, 10, 20, 30};
	struct icmp_round r = sent_round(5);
	struct icmp_figures f;

	(void)state;
	for (unsigned i = 0; i < 4; i++)
		icmp_round_reply(&r, i, rtt_ms[i] * NS_PER_MS, 60);
	icmp_round_figures(&r, &f);
	assert_int_equal(f.sent, 5);
	assert_int_equal(f.lost, 1);
	assert_float_equal(f.loss, 20, 1e-9);
	assert_float_equal(f.min, 0.010, 1e-9);
	assert_float_equal(f.p25, 0.0175, 1e-9);
	assert_float_equal(f.median, 0.025, 1e-9);
	assert_float_equal(f.p75, 0.0325, 1e-9);
	assert_float_equal(f.max, 0.040, 1e-9);
	/* 30, 10 and 10 ms apart, in the order they were sent */
	assert_float_equal(f.jitter, 0.050 / 3, 1e-9);
	icmp_round_fini(&r);
}

static void a_late_reply_is_slow_not_lost(void **state)
{
	struct icmp_round r = sent_round(2);
	struct icmp_figures f;

	(void)state;
	assert_int_equal(icmp_round_reply(&r, 0, WAIT, 60), ICMP_ROUND_IN_TIME);
	assert_int_equal(icmp_round_reply(&r, 1, WAIT + 1, 60), ICMP_ROUND_LATE);
	icmp_round_figures(&r, &f);
	assert_int_equal(f.lost, 0);
	assert_int_equal(f.late, 1);
	assert_true(f.max > 0.1);
	icmp_round_fini(&r);
}

static void the_second_reply_to_an_echo_is_a_duplicate(void **state)
{
	struct icmp_round r = sent_round(2);
	struct icmp_figures f;

	(void)state;
	icmp_round_reply(&r, 0, NS_PER_MS, 60);
	assert_int_equal(icmp_round_reply(&r, 0, 9 * NS_PER_MS, 60), ICMP_ROUND_DUPLICATE);
	assert_int_equal(icmp_round_reply(&r, 2, NS_PER_MS, 60), ICMP_ROUND_NOT_SENT);
	icmp_round_figures(&r, &f);
	assert_int_equal(f.duplicates, 1);
	assert_int_equal(f.lost, 1);
	assert_float_equal(f.max, 0.001, 1e-9);
	icmp_round_fini(&r);
}

static void errors_complete_a_round_and_a_reply_behind_one_counts(void **state)
{
	struct icmp_round r = sent_round(2);
	struct icmp_figures f;

	(void)state;
	assert_true(icmp_round_error(&r, 0));
	assert_false(icmp_round_error(&r, 0));
	assert_false(icmp_round_is_complete(&r));
	assert_true(icmp_round_error(&r, 1));
	assert_true(icmp_round_is_complete(&r));
	icmp_round_reply(&r, 0, NS_PER_MS, 60);
	assert_true(icmp_round_is_complete(&r));
	icmp_round_figures(&r, &f);
	assert_int_equal(f.lost, 1);
	icmp_round_fini(&r);
}

static void without_replies_there_is_no_time(void **state)
{
	struct icmp_round r = sent_round(3);
	struct icmp_figures f;

	(void)state;
	icmp_round_figures(&r, &f);
	assert_false(f.has_rtt);
	assert_float_equal(f.loss, 100, 1e-9);
	icmp_round_reply(&r, 1, NS_PER_MS, 60);
	icmp_round_figures(&r, &f);
	assert_true(f.has_rtt);
	assert_false(f.has_jitter);
	icmp_round_fini(&r);
}

/* Whatever comes in whatever order: sent = answered + late + failed + open, and the percentiles ascend. */
static void counts_always_add_up(void **state)
{
	unsigned seed = (unsigned)time(NULL);

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	for (int turn = 0; turn < 2000; turn++) {
		unsigned count = 1 + (unsigned)rand() % 30;
		struct icmp_round r;
		struct icmp_figures f;

		icmp_round_init(&r, count, WAIT);
		for (int step = 0; step < 100; step++) {
			unsigned index = (unsigned)rand() % (count + 2);

			if (rand() % 3 == 0 && r.sent < count)
				icmp_round_sent(&r);
			else if (rand() % 4 == 0)
				icmp_round_error(&r, index);
			else
				icmp_round_reply(&r, index, rand() % (3 * WAIT), 60);
		}
		icmp_round_figures(&r, &f);
		assert_int_equal(f.sent, r.answered + r.late + f.lost);
		assert_true(r.failed <= f.lost);
		if (icmp_round_is_complete(&r))
			assert_int_equal(r.failed, f.lost);
		if (f.has_rtt)
			assert_true(f.min <= f.p25 && f.p25 <= f.median && f.median <= f.p75 && f.p75 <= f.max);
		icmp_round_fini(&r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(figures_of_four_replies_are_exact),
		cmocka_unit_test(a_late_reply_is_slow_not_lost),
		cmocka_unit_test(the_second_reply_to_an_echo_is_a_duplicate),
		cmocka_unit_test(errors_complete_a_round_and_a_reply_behind_one_counts),
		cmocka_unit_test(without_replies_there_is_no_time),
		cmocka_unit_test(counts_always_add_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
