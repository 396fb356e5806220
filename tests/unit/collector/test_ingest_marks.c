#include "collector/ingest_marks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/wire.h"

static struct wire_batch_head batch(uint64_t epoch, uint64_t first, uint64_t last, struct position previous)
{
	return (struct wire_batch_head){.agent = "a", .epoch = epoch, .first = first, .last = last, .previous = previous};
}

static enum marks_verdict judge(const struct marks *m, struct wire_batch_head h, struct position *expected)
{
	return marks_judge(m, &h, expected);
}

static void take(struct marks *m, struct wire_batch_head h)
{
	marks_take(m, &h);
}

static const struct position none = {0, 0};

static void an_epoch_is_taken_in_order_each_entry_once(void **state)
{
	struct marks *m = marks_new();
	struct position at;

	(void)state;
	assert_int_equal(judge(m, batch(7, 1, 10, none), &at), MARKS_TAKE);
	take(m, batch(7, 1, 10, none));
	assert_int_equal(judge(m, batch(7, 1, 10, none), &at), MARKS_DUPLICATE);
	assert_int_equal(judge(m, batch(7, 3, 4, none), &at), MARKS_DUPLICATE);
	assert_int_equal(judge(m, batch(7, 12, 15, none), &at), MARKS_EXPECTED);
	assert_int_equal(at.seq, 11);
	assert_int_equal(judge(m, batch(7, 8, 15, none), &at), MARKS_EXPECTED);
	assert_int_equal(at.seq, 11);
	assert_int_equal(judge(m, batch(7, 11, 15, none), &at), MARKS_TAKE);
	marks_free(m);
}

static void a_new_epoch_goes_on_where_the_last_one_ended(void **state)
{
	struct marks *m = marks_new();
	struct position at;

	(void)state;
	take(m, batch(7, 1, 10, none));
	assert_int_equal(judge(m, batch(8, 11, 12, (struct position){7, 10}), &at), MARKS_TAKE);
	/* Entries of the old epoch are still with the agent. */
	assert_int_equal(judge(m, batch(8, 14, 15, (struct position){7, 13}), &at), MARKS_EXPECTED);
	assert_true(at.epoch == 7 && at.seq == 11);
	/* What it dropped it covers by a gap, over epochs that never came. */
	assert_int_equal(judge(m, batch(9, 11, 90, (struct position){8, 80}), &at), MARKS_TAKE);
	marks_free(m);
}

static void clones_and_old_copies_are_odd_and_taken(void **state)
{
	struct marks *m = marks_new();
	struct position at;

	(void)state;
	take(m, batch(7, 1, 10, none));
	assert_int_equal(judge(m, batch(8, 6, 7, (struct position){7, 5}), &at), MARKS_ODD);
	take(m, batch(8, 11, 12, (struct position){7, 10}));
	assert_int_equal(judge(m, batch(9, 11, 12, (struct position){7, 10}), &at), MARKS_ODD);
	take(m, batch(9, 11, 12, (struct position){7, 10}));
	/* From then on both go on, each in its own epoch. */
	assert_int_equal(judge(m, batch(8, 13, 14, none), &at), MARKS_TAKE);
	assert_int_equal(judge(m, batch(9, 13, 14, none), &at), MARKS_TAKE);
	marks_free(m);
}

static void offsets_move_only_by_more_than_a_step(void **state)
{
	struct marks *m = marks_new();
	struct wire_batch_head h = batch(7, 1, 1, none);
	int64_t offset;

	(void)state;
	h.sent_boot = 5;
	h.sent_mono = 1000 * NS_PER_S;
	assert_true(marks_offset(m, &h, 5, 9000 * NS_PER_S, &offset));
	assert_int_equal(offset, 8000 * NS_PER_S);
	marks_set_offset(m, "a", 5, offset);
	assert_true(marks_offset(m, &h, 5, 9000 * NS_PER_S + MARKS_OFFSET_STEP, &offset));
	assert_int_equal(offset, 8000 * NS_PER_S);
	assert_true(marks_offset(m, &h, 5, 9001 * NS_PER_S, &offset));
	assert_int_equal(offset, 8001 * NS_PER_S);
	/* Of an earlier boot what was known of it is used; of one that nobody knows nothing is. */
	h.sent_boot = 6;
	assert_true(marks_offset(m, &h, 5, 9999 * NS_PER_S, &offset));
	assert_int_equal(offset, 8000 * NS_PER_S);
	assert_false(marks_offset(m, &h, 4, 9999 * NS_PER_S, &offset));
	marks_free(m);
}

static void marks_come_back_from_their_bytes_and_damage_is_told(void **state)
{
	struct marks *m = marks_new(), *back;
	struct position at, expected;
	struct buf b = {0};
	struct err e;

	(void)state;
	take(m, batch(7, 1, 10, none));
	marks_set_offset(m, "a", 5, -3);
	marks_encode(m, (struct position){1, 2}, &b);
	back = marks_decode(b.data, b.len, &at, &e);
	assert_non_null(back);
	assert_true(at.epoch == 1 && at.seq == 2);
	assert_int_equal(judge(back, batch(7, 1, 10, none), &expected), MARKS_DUPLICATE);
	marks_free(back);
	for (size_t i = 0; i < b.len; i++) {
		b.data[i] ^= 4;
		assert_null(marks_decode(b.data, b.len, &at, &e));
		b.data[i] ^= 4;
		assert_null(marks_decode(b.data, i, &at, &e));
	}
	buf_fini(&b);
	marks_free(m);
}

/* An honest agent behind a network that loses, repeats and reorders: after restarts with new epochs, all entries are taken
 * once each, in order, and nothing is odd. */
static void a_bad_network_changes_nothing(void **state)
{
	unsigned seed = (unsigned)time(NULL);

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	for (int turn = 0; turn < 300; turn++) {
		struct marks *m = marks_new();
		struct position epochs[40];
		size_t count = 0;
		uint64_t end = 0, taken = 0, cursor = 0;
		size_t late = 0;
		struct wire_batch_head old[64];

		for (int step = 0; step < 350; step++) {
			struct wire_batch_head h;
			struct position at;
			size_t k = 0;

			if (count == 0 || (rand() % 60 == 0 && count < 40))
				epochs[count++] = (struct position){(uint64_t)rand() + 1, end};
			if (rand() % 2 == 0)
				end += (uint64_t)rand() % 5;
			if (cursor >= end)
				continue;
			/* A batch from the cursor on, within one epoch; epochs[k].seq is the end of the one before. */
			while (k + 1 < count && epochs[k + 1].seq <= cursor)
				k++;
			h = batch(epochs[k].epoch, cursor + 1, cursor + 1 + (uint64_t)rand() % 4,
				k > 0 ? (struct position){epochs[k - 1].epoch, epochs[k].seq} : none);
			if (k + 1 < count && h.last > epochs[k + 1].seq)
				h.last = epochs[k + 1].seq;
			if (h.last > end)
				h.last = end;
			if (rand() % 4 == 0 && late > 0)
				h = old[(size_t)rand() % late]; /* a repeat of long ago */
			switch (marks_judge(m, &h, &at)) {
			case MARKS_TAKE:
				assert_int_equal(h.first, taken + 1);
				taken = h.last;
				marks_take(m, &h);
				if (late < 64)
					old[late++] = h;
				break;
			case MARKS_DUPLICATE:
				assert_true(h.last <= taken);
				break;
			case MARKS_EXPECTED:
				assert_int_equal(at.seq, taken + 1);
				break;
			case MARKS_ODD:
				fail_msg("an honest agent is called odd");
			}
			/* The answer may be lost. */
			if (rand() % 3 != 0)
				cursor = taken;
		}
		marks_free(m);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_epoch_is_taken_in_order_each_entry_once),
		cmocka_unit_test(a_new_epoch_goes_on_where_the_last_one_ended),
		cmocka_unit_test(clones_and_old_copies_are_odd_and_taken),
		cmocka_unit_test(offsets_move_only_by_more_than_a_step),
		cmocka_unit_test(marks_come_back_from_their_bytes_and_damage_is_told),
		cmocka_unit_test(a_bad_network_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
