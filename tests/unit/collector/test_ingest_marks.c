#include "collector/ingest_marks.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
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
	/* What it dropped it covers by a gap, over epochs that never came; then it cannot name the one before. */
	assert_int_equal(judge(m, batch(9, 11, 90, none), &at), MARKS_TAKE);
	/* It fits by chance, behind entries that we have from another. */
	assert_int_equal(judge(m, batch(9, 11, 12, (struct position){8, 10}), &at), MARKS_ODD);
	assert_int_equal(judge(m, batch(9, 11, 12, (struct position){7, 9}), &at), MARKS_ODD);
	/* Of an epoch that nobody knows: where to go on cannot be said either. */
	assert_int_equal(judge(m, batch(9, 14, 15, (struct position){8, 13}), &at), MARKS_ODD);
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

static void the_epochs_used_last_are_remembered(void **state)
{
	struct marks *m = marks_new();
	struct position at;

	(void)state;
	take(m, batch(1000, 1, 10, none));
	for (uint64_t i = 0; i < 3 * MARKS_EPOCHS; i++) {
		take(m, batch(1001 + i, 1, 10, none));
		take(m, batch(1000, 11 + i, 11 + i, none)); /* stays in use beside the others */
	}
	assert_int_equal(judge(m, batch(1000, 1, 10, none), &at), MARKS_DUPLICATE);
	assert_int_equal(judge(m, batch(1000 + 3 * MARKS_EPOCHS, 1, 10, none), &at), MARKS_DUPLICATE);
	assert_int_equal(judge(m, batch(1001, 1, 10, none), &at), MARKS_ODD);
	marks_free(m);
}

static int64_t offset_at(struct marks *m, uint64_t boot, int64_t sent_s, int64_t received)
{
	struct wire_batch_head h = batch(7, 1, 1, none);
	int64_t offset = -1;

	h.sent_boot = boot;
	h.sent_mono = sent_s * NS_PER_S;
	assert_true(marks_offset(m, &h, boot, received, &offset));
	return offset;
}

static void offsets_move_only_by_more_than_a_step(void **state)
{
	struct marks *m = marks_new();

	(void)state;
	assert_int_equal(offset_at(m, 5, 1000, 9000 * NS_PER_S), 8000 * NS_PER_S);
	assert_int_equal(offset_at(m, 5, 1000, 9000 * NS_PER_S + MARKS_OFFSET_STEP), 8000 * NS_PER_S);
	assert_int_equal(offset_at(m, 5, 1000, 9000 * NS_PER_S - MARKS_OFFSET_STEP), 8000 * NS_PER_S);
	assert_int_equal(offset_at(m, 5, 1000, 8999 * NS_PER_S), 7999 * NS_PER_S);
	marks_free(m);
}

static void one_slow_message_moves_no_offset_two_do(void **state)
{
	struct marks *m = marks_new();

	(void)state;
	assert_int_equal(offset_at(m, 5, 1000, 9000 * NS_PER_S), 8000 * NS_PER_S);
	assert_int_equal(offset_at(m, 5, 1001, 9031 * NS_PER_S), 8000 * NS_PER_S);
	assert_int_equal(offset_at(m, 5, 1002, 9002 * NS_PER_S), 8000 * NS_PER_S);
	assert_int_equal(offset_at(m, 5, 1003, 9033 * NS_PER_S), 8000 * NS_PER_S);
	assert_int_equal(offset_at(m, 5, 1004, 9024 * NS_PER_S), 8020 * NS_PER_S);
	marks_free(m);
}

static void the_offset_of_an_earlier_boot_is_what_was_known_of_it(void **state)
{
	struct marks *m = marks_new();
	struct wire_batch_head h = batch(7, 1, 1, none);
	int64_t offset;

	(void)state;
	offset_at(m, 5, 1000, 9000 * NS_PER_S);
	h.sent_boot = 6;
	h.sent_mono = 10 * NS_PER_S;
	assert_true(marks_offset(m, &h, 5, 9999 * NS_PER_S, &offset));
	assert_int_equal(offset, 8000 * NS_PER_S);
	assert_false(marks_offset(m, &h, 4, 9999 * NS_PER_S, &offset));
	/* The boots of agents are their own. */
	h.agent = "b";
	assert_false(marks_offset(m, &h, 5, 9999 * NS_PER_S, &offset));
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

/* ---- against a model: agents as they are, a network as bad as can be, and the list of what was kept */

#define AGENTS 6
#define ENTRIES_MAX 2000000
#define LATE_MAX 64
#define BATCHES 100000
#define RING 1024
#define UNSENT_MAX 500

/* The state folder of an agent: entries 1..end, each with a content that no other entry has; the newest are there. */
struct folder {
	uint64_t end, cursor; /* cursor: the last that it knows to be kept */
	uint64_t life; /* what an earlier process asked is not answered to this one */
	struct entry {
		uint64_t epoch, content;
		struct position previous;
	} ring[RING]; /* by seq */
};

struct model {
	struct marks *marks, *snapshot;
	size_t snapshot_at;
	struct folder folders[AGENTS][2]; /* a clone runs beside its original */
	struct folder copies[AGENTS]; /* backups */
	bool cloned[AGENTS];
	uint64_t contents, lives; /* drawn so far */
	uint8_t *kept; /* by content: how often */
	struct late {
		struct wire_batch_head head;
		uint64_t content[8];
		struct folder *from;
		uint64_t life;
	} late[LATE_MAX], *journal; /* in flight; what was appended */
	size_t late_count, journal_count;
	char ids[AGENTS][8];
	uint64_t odd, faults; /* told; clones and copies made */
};

static uint64_t draw(uint64_t bound)
{
	return (uint64_t)(((unsigned long)rand() << 16) ^ (unsigned long)rand()) % bound;
}

static struct entry *entry_at(struct folder *f, uint64_t seq)
{
	return &f->ring[seq % RING];
}

static void write_entry(struct model *m, struct folder *f)
{
	struct entry entry = *entry_at(f, f->end);

	assert_true(m->contents < ENTRIES_MAX);
	entry.content = m->contents++;
	*entry_at(f, ++f->end) = entry;
}

static void restart(struct model *m, struct folder *f)
{
	struct position previous = {entry_at(f, f->end)->epoch, f->end};

	write_entry(m, f); /* its opening */
	f->life = m->lives++;
	entry_at(f, f->end)->epoch = draw(UINT32_MAX) + 1;
	entry_at(f, f->end)->previous = previous;
}

static struct late pack(struct model *m, size_t agent, struct folder *f)
{
	uint64_t first = f->cursor + 1, max = 1 + draw(8);
	struct late l = {.from = f, .life = f->life, .head = {.agent = m->ids[agent], .first = first}};

	l.head.epoch = entry_at(f, first)->epoch;
	l.head.previous = entry_at(f, first)->previous;
	for (l.head.last = first - 1; l.head.last < f->end && l.head.last - first + 1 < max; l.head.last++) {
		const struct entry *entry = entry_at(f, l.head.last + 1);

		if (entry->epoch != l.head.epoch)
			break;
		l.content[l.head.last - first + 1] = entry->content;
	}
	return l;
}

static void keep(struct model *m, const struct late *l)
{
	for (uint64_t i = 0; i <= l->head.last - l->head.first; i++)
		m->kept[l->content[i]]++;
	marks_take(m->marks, &l->head);
	m->journal[m->journal_count++] = *l;
}

static void deliver(struct model *m, const struct late *l, bool answered)
{
	struct position at;

	answered = answered && l->life == l->from->life;
	switch (marks_judge(m->marks, &l->head, &at)) {
	case MARKS_ODD:
		m->odd++;
		/* fall through */
	case MARKS_TAKE:
		keep(m, l);
		/* fall through */
	case MARKS_DUPLICATE:
		for (uint64_t i = 0; i <= l->head.last - l->head.first; i++)
			assert_true(m->kept[l->content[i]] > 0); /* acknowledged means kept */
		/* An old repeat says nothing new to the sender, which has one batch in flight. */
		if (answered && l->from->cursor + 1 == l->head.first)
			l->from->cursor = l->head.last;
		break;
	case MARKS_EXPECTED:
		/* As the uplink does it: there, when its journal has that position. */
		if (answered && at.seq > 1 && at.seq <= l->from->end + 1 && l->from->end - at.seq + 2 < RING &&
			entry_at(l->from, at.seq - 1)->epoch == at.epoch)
			l->from->cursor = at.seq - 1;
		break;
	}
}

/* The collector is killed: marks come from a snapshot and the journal behind it. */
static void kill_collector(struct model *m)
{
	struct position position;
	struct buf b = {0};
	struct err e;

	if (m->snapshot == NULL || draw(3) == 0) {
		marks_free(m->snapshot);
		marks_encode(m->marks, (struct position){1, m->journal_count}, &b);
		m->snapshot = marks_decode(b.data, b.len, &position, &e);
		m->snapshot_at = position.seq;
		buf_clear(&b);
	}
	marks_encode(m->snapshot, (struct position){1, m->snapshot_at}, &b);
	marks_free(m->marks);
	m->marks = marks_decode(b.data, b.len, &position, &e);
	assert_non_null(m->marks);
	for (size_t i = position.seq; i < m->journal_count; i++)
		marks_take(m->marks, &m->journal[i].head);
	buf_fini(&b);
}

static void something_happens(struct model *m, bool faults)
{
	size_t agent = draw(AGENTS);
	struct folder *f = &m->folders[agent][m->cloned[agent] ? draw(2) : 0];
	uint64_t what = f->end - f->cursor < UNSENT_MAX ? draw(1000) : 999;

	if (what < 20)
		restart(m, f);
	else if (what < 24)
		m->copies[agent] = *f;
	else if (faults && what < 26 && m->copies[agent].end > 0 && m->copies[agent].end < f->end) {
		*f = m->copies[agent];
		restart(m, f);
		m->faults++;
	} else if (faults && what < 28 && !m->cloned[agent]) {
		m->folders[agent][1] = m->folders[agent][0];
		restart(m, &m->folders[agent][0]);
		restart(m, &m->folders[agent][1]);
		m->cloned[agent] = true;
		m->faults++;
	} else if (what < 29)
		kill_collector(m);
	else if (what < 500)
		write_entry(m, f);
	else if (f->cursor < f->end && m->late_count < LATE_MAX)
		m->late[m->late_count++] = pack(m, agent, f);
}

/* Any of those in flight arrives; it may come again later, and its answer may be lost. */
static void something_arrives(struct model *m)
{
	size_t i = draw(2) == 0 ? m->late_count - 1 : draw(m->late_count);
	struct late l = m->late[i];

	deliver(m, &l, draw(4) != 0);
	if (draw(3) != 0)
		m->late[i] = m->late[--m->late_count];
}

static void drain(struct model *m, size_t agent, struct folder *f)
{
	for (int turn = 0; f->cursor < f->end; turn++) {
		struct late l = pack(m, agent, f);

		assert_true(turn < 100000);
		deliver(m, &l, true);
	}
}

static void run_model(bool faults, unsigned seed)
{
	struct model *m = calloc(1, sizeof *m);
	size_t batches = 0;

	print_message("seed %u\n", seed);
	srand(seed);
	m->marks = marks_new();
	m->kept = calloc(ENTRIES_MAX, 1);
	m->journal = calloc(3 * BATCHES, sizeof *m->journal);
	for (size_t i = 0; i < AGENTS; i++) {
		snprintf(m->ids[i], sizeof m->ids[i], "a%zu", i);
		restart(m, &m->folders[i][0]);
	}
	while (batches < BATCHES) {
		something_happens(m, faults);
		if (m->late_count > 0 && draw(2) == 0) {
			something_arrives(m);
			batches++;
		}
	}
	for (size_t i = 0; i < AGENTS; i++) {
		drain(m, i, &m->folders[i][0]);
		drain(m, i, &m->folders[i][1]);
		for (size_t k = 0; k < 2; k++) {
			struct folder *f = &m->folders[i][k];

			for (uint64_t n = 0; n < f->end && n < RING; n++)
				assert_true(m->kept[entry_at(f, f->end - n)->content] > 0);
		}
	}
	for (uint64_t i = 0; i < m->contents; i++)
		assert_true(faults ? m->kept[i] <= 1 : m->kept[i] == 1);
	assert_true(m->odd > 0 || !faults);
	assert_true(m->odd == 0 || faults);
	print_message("%zu appended, %llu entries, %llu told, %llu copies and clones\n", m->journal_count,
		(unsigned long long)m->contents, (unsigned long long)m->odd, (unsigned long long)m->faults);
	marks_free(m->marks);
	marks_free(m->snapshot);
	free(m->kept);
	free(m->journal);
	free(m);
}

static void a_bad_network_and_kills_keep_each_entry_once_and_tell_nothing(void **state)
{
	(void)state;
	run_model(false, (unsigned)time(NULL));
}

static void clones_and_copies_keep_each_entry_once_and_are_told(void **state)
{
	(void)state;
	run_model(true, (unsigned)time(NULL) + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_epoch_is_taken_in_order_each_entry_once),
		cmocka_unit_test(a_new_epoch_goes_on_where_the_last_one_ended),
		cmocka_unit_test(clones_and_old_copies_are_odd_and_taken),
		cmocka_unit_test(the_epochs_used_last_are_remembered),
		cmocka_unit_test(offsets_move_only_by_more_than_a_step),
		cmocka_unit_test(one_slow_message_moves_no_offset_two_do),
		cmocka_unit_test(the_offset_of_an_earlier_boot_is_what_was_known_of_it),
		cmocka_unit_test(marks_come_back_from_their_bytes_and_damage_is_told),
		cmocka_unit_test(a_bad_network_and_kills_keep_each_entry_once_and_tell_nothing),
		cmocka_unit_test(clones_and_copies_keep_each_entry_once_and_are_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
