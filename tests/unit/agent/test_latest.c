#include "agent/latest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/wire.h"

static void add(struct latest *l, enum family family, const char *part, enum outcome outcome, uint64_t seq)
{
	struct result r = {.check = "c", .type = "tcp", .interval_s = 60, .family = family, .outcome = outcome,
		.part = part, .address = "192.0.2.1", .reason = outcome == OUTCOME_UP ? "" : "refused", .boot = 7,
		.mono = 1000000000, .count = 1, .values = {{200, 0.5}}};

	latest_add(l, &r, (struct position){9, seq});
}

static enum timetable_outcome run(struct latest *l, enum outcome four, enum outcome six)
{
	add(l, FAMILY_V4, "", four, 1);
	add(l, FAMILY_V6, "", six, 2);
	return latest_end(l);
}

static void a_run_that_is_all_up_is_up(void **state)
{
	struct latest l = {0};

	(void)state;
	assert_int_equal(run(&l, OUTCOME_UP, OUTCOME_UP), TIMETABLE_UP);
	latest_fini(&l);
}

static void what_was_up_or_never_seen_and_is_not_up_is_fresh(void **state)
{
	struct latest l = {0};

	(void)state;
	assert_int_equal(run(&l, OUTCOME_UP, OUTCOME_DOWN), TIMETABLE_FRESH);
	assert_int_equal(run(&l, OUTCOME_UP, OUTCOME_DOWN), TIMETABLE_STILL);
	assert_int_equal(run(&l, OUTCOME_UP, OUTCOME_UNKNOWN), TIMETABLE_STILL);
	assert_int_equal(run(&l, OUTCOME_DOWN, OUTCOME_DOWN), TIMETABLE_FRESH);
	assert_int_equal(run(&l, OUTCOME_DOWN, OUTCOME_UP), TIMETABLE_STILL);
	assert_int_equal(run(&l, OUTCOME_UP, OUTCOME_UP), TIMETABLE_UP);
	assert_int_equal(run(&l, OUTCOME_UNKNOWN, OUTCOME_UP), TIMETABLE_FRESH);
	latest_fini(&l);
}

static void parts_of_a_family_are_told_apart(void **state)
{
	struct latest l = {0};

	(void)state;
	add(&l, FAMILY_V4, "192.0.2.1", OUTCOME_DOWN, 1);
	assert_int_equal(latest_end(&l), TIMETABLE_FRESH);
	add(&l, FAMILY_V4, "192.0.2.1", OUTCOME_DOWN, 2);
	add(&l, FAMILY_V4, "192.0.2.2", OUTCOME_DOWN, 3);
	assert_int_equal(latest_end(&l), TIMETABLE_FRESH);
	add(&l, FAMILY_V4, "192.0.2.2", OUTCOME_DOWN, 4);
	assert_int_equal(latest_end(&l), TIMETABLE_STILL);
	add(&l, FAMILY_V6, "192.0.2.2", OUTCOME_DOWN, 4);
	assert_int_equal(latest_end(&l), TIMETABLE_FRESH);
	latest_fini(&l);
}

static void a_cleared_one_has_seen_nothing(void **state)
{
	struct latest l = {0};

	(void)state;
	run(&l, OUTCOME_UP, OUTCOME_DOWN);
	latest_clear(&l);
	assert_int_equal(run(&l, OUTCOME_UP, OUTCOME_DOWN), TIMETABLE_FRESH);
	latest_fini(&l);
}

static struct wire_batch *now_of(const struct latest *l, struct position synced)
{
	struct wire_packer *packer = wire_packer_new(1 << 20);
	struct wire_batch_head head = {.agent = "a", .epoch = synced.epoch, .first = 1, .last = 1};
	struct wire_batch *b;
	struct buf out = {0};
	struct err e;

	assert_true(latest_add_now(l, synced, packer));
	wire_now_encode(packer, &head, &out);
	b = wire_now_decode(out.data, out.len, &e);
	assert_non_null(b);
	buf_fini(&out);
	wire_packer_free(packer);
	return b;
}

static void now_names_the_entries_that_will_replace_it(void **state)
{
	struct latest l = {0};
	struct wire_batch *b;
	struct result r;
	uint64_t seq;

	(void)state;
	add(&l, FAMILY_V4, "", OUTCOME_UP, 41);
	add(&l, FAMILY_V6, "", OUTCOME_DOWN, 42);
	latest_end(&l);
	add(&l, FAMILY_V4, "", OUTCOME_DOWN, 43); /* of a run under way: not yet */
	b = now_of(&l, (struct position){9, 42});
	assert_int_equal(wire_rows_count(b->rows), 2);
	wire_rows_next(b->rows, &r, &seq);
	assert_int_equal(seq, 41);
	assert_int_equal(r.outcome, OUTCOME_UP);
	assert_int_equal(r.count, 0);
	wire_rows_next(b->rows, &r, &seq);
	assert_int_equal(seq, 42);
	assert_int_equal(r.family, FAMILY_V6);
	assert_string_equal(r.reason, "refused");
	assert_int_equal(r.mono, 1000000000);
	wire_batch_free(b);
	latest_fini(&l);
}

static void now_leaves_out_what_no_synced_entry_will_replace(void **state)
{
	const struct position synced[] = {{9, 40}, {8, 99}};
	struct latest l = {0};

	(void)state;
	add(&l, FAMILY_V4, "", OUTCOME_UP, 41); /* not synced, or of another epoch */
	add(&l, FAMILY_V6, "", OUTCOME_UP, 0);  /* without a place */
	latest_end(&l);
	for (size_t i = 0; i < 2; i++) {
		struct wire_batch *b = now_of(&l, synced[i]);

		assert_int_equal(wire_rows_count(b->rows), 0);
		wire_batch_free(b);
	}
	latest_fini(&l);
}

static void rows_of_a_run_are_bounded(void **state)
{
	struct latest l = {0};
	struct wire_batch *b;

	(void)state;
	for (unsigned i = 0; i < LATEST_ROWS_MAX + 5; i++)
		add(&l, FAMILY_V4, "", OUTCOME_UP, i + 1);
	latest_end(&l);
	b = now_of(&l, (struct position){9, 1000});
	assert_int_equal(wire_rows_count(b->rows), LATEST_ROWS_MAX);
	wire_batch_free(b);
	latest_fini(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_run_that_is_all_up_is_up),
		cmocka_unit_test(what_was_up_or_never_seen_and_is_not_up_is_fresh),
		cmocka_unit_test(parts_of_a_family_are_told_apart),
		cmocka_unit_test(a_cleared_one_has_seen_nothing),
		cmocka_unit_test(now_names_the_entries_that_will_replace_it),
		cmocka_unit_test(now_leaves_out_what_no_synced_entry_will_replace),
		cmocka_unit_test(rows_of_a_run_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
