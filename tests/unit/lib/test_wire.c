#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <zstd.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/journal.h"
#include "lib/mem.h"
#include "lib/wire.h"
#include "lib/wire_pb.h"
#include "wire.pb-c.h"

#define FIXTURES "tests/fixtures/wire/"
#define DECIMALS 6

static unsigned six(uint32_t metric)
{
	(void)metric;
	return DECIMALS;
}

/* ---- random input, the seed is printed */

static uint64_t random_state;

static void random_seed(const char *test)
{
	const char *given = getenv("SEED");

	if (given != NULL)
		random_state = strtoull(given, NULL, 10);
	else
		assert_int_equal(getrandom(&random_state, sizeof random_state, 0), sizeof random_state);
	random_state |= 1;
	print_message("%s: SEED=%llu\n", test, (unsigned long long)random_state);
}

static uint64_t random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static uint64_t random_below(uint64_t n)
{
	return random_next() % n;
}

static const char *const words[] = {"", "2001:db8::1", "10.1.2.3", "超时", "no answer within 5s", "eth0"};

static const char *random_word(void)
{
	return words[random_below(sizeof words / sizeof words[0])];
}

/* A result whose check id lives in `id`. Values have at most DECIMALS digits. */
static struct result random_result(char id[16], uint64_t boot, int64_t mono)
{
	static const enum family families[] = {FAMILY_NONE, FAMILY_V4, FAMILY_V6};
	struct result r = {.check = id,
		.type = random_below(2) ? "icmp" : "http",
		.interval_s = (uint32_t)random_below(3) * 30,
		.generation = random_below(2) ? UINT64_MAX : 0,
		.family = families[random_below(3)],
		.outcome = (enum outcome)(1 + random_below(3)),
		.part = random_word(),
		.address = random_word(),
		.reason = random_word(),
		.boot = boot,
		.mono = mono};
	size_t count = random_below(8);

	snprintf(id, 16, "check-%u", (unsigned)random_below(20));
	for (size_t i = 0; i < count; i++)
		result_add(&r, (uint32_t)(100 + i * (1 + random_below(2) * 50)),
			(double)(int64_t)(random_below(2000000000) - 1000000000) / 1e6);
	return r;
}

static void assert_result_equal(const struct result *a, const struct result *b)
{
	assert_string_equal(a->check, b->check);
	assert_string_equal(a->type, b->type);
	assert_int_equal(a->interval_s, b->interval_s);
	assert_int_equal(a->generation, b->generation);
	assert_int_equal(a->family, b->family);
	assert_int_equal(a->outcome, b->outcome);
	assert_string_equal(a->part, b->part);
	assert_string_equal(a->address, b->address);
	assert_string_equal(a->reason, b->reason);
	assert_int_equal(a->boot, b->boot);
	assert_int_equal(a->mono, b->mono);
	assert_int_equal(a->count, b->count);
	for (size_t i = 0; i < a->count; i++) {
		assert_int_equal(a->values[i].metric, b->values[i].metric);
		assert_true(a->values[i].number == b->values[i].number);
	}
}

/* ---- one result */

static void a_result_comes_back_as_it_was(void **state)
{
	(void)state;
	random_seed(__func__);
	for (int i = 0; i < 2000; i++) {
		char id[16];
		struct result r = random_result(id, random_next(), (int64_t)random_below(1u << 30) * 1000000);
		struct buf b = {0};
		struct err e = {""};
		struct wire_rows *rows;
		struct result back;
		uint64_t seq;

		wire_result_encode(&r, six, &b);
		rows = wire_result_decode(b.data, b.len, &e);
		assert_string_equal(e.text, "");
		assert_non_null(rows);
		assert_int_equal(wire_rows_count(rows), 1);
		wire_rows_next(rows, &back, &seq);
		assert_int_equal(seq, 0);
		assert_result_equal(&r, &back);
		wire_rows_free(rows);
		buf_fini(&b);
	}
}

static void a_value_that_does_not_fit_is_left_out_alone(void **state)
{
	struct result r = {.check = "a", .type = "t", .outcome = OUTCOME_UP, .part = "", .address = "", .reason = ""};
	struct buf b = {0};
	struct err e;
	struct wire_rows *rows;
	struct result back;
	uint64_t seq;

	(void)state;
	result_add(&r, 1, 1.5);
	result_add(&r, 2, 1e12);                /* 1e18 after scaling: beyond 2^53 */
	result_add(&r, 3, 9007199254.740992);   /* 2^53 exactly */
	result_add(&r, 4, -9007199254.740992);
	result_add(&r, 5, -1e300);
	result_add(&r, 6, 0.0000004);           /* below the last digit kept */
	wire_result_encode(&r, six, &b);
	rows = wire_result_decode(b.data, b.len, &e);
	assert_non_null(rows);
	wire_rows_next(rows, &back, &seq);
	assert_int_equal(back.count, 4);
	assert_int_equal(back.values[0].metric, 1);
	assert_true(back.values[0].number == 1.5);
	assert_int_equal(back.values[1].metric, 3);
	assert_true(back.values[1].number == 9007199254.740992);
	assert_int_equal(back.values[2].metric, 4);
	assert_int_equal(back.values[3].metric, 6);
	assert_true(back.values[3].number == 0);
	wire_rows_free(rows);
	buf_fini(&b);
}

static void unclean_texts_are_cleaned_before_they_leave(void **state)
{
	char longest[600];
	struct result r = {.check = "a", .type = "t", .outcome = OUTCOME_DOWN, .part = "a\xff" "b",
		.address = longest, .reason = "line\nbreak"};
	struct buf b = {0};
	struct err e = {""};
	struct wire_rows *rows;
	struct result back;
	uint64_t seq;

	(void)state;
	memset(longest, 'x', sizeof longest - 1);
	longest[sizeof longest - 1] = '\0';
	wire_result_encode(&r, six, &b);
	rows = wire_result_decode(b.data, b.len, &e);
	assert_string_equal(e.text, "");
	wire_rows_next(rows, &back, &seq);
	assert_string_equal(back.part, "a?b");
	assert_string_equal(back.reason, "line?break");
	assert_int_equal(strlen(back.address), SAMPLE_TEXT_MAX);
	wire_rows_free(rows);
	buf_fini(&b);
}

/* ---- batches */

static const struct wire_batch_head plain_head = {.agent = "county-1",
	.epoch = 77,
	.first = 10,
	.last = 10,
	.sent_mono = 5,
	.sent_real = 1800000000000000000,
	.sent_boot = 6,
	.backlog = 3,
	.previous = {76, 9}};

static void add_result(struct wire_packer *k, uint64_t seq, const struct result *r, int expected)
{
	struct buf b = {0};
	struct err e;

	wire_result_encode(r, six, &b);
	assert_int_equal(wire_packer_add(k, seq, ENTRY_RESULT, b.data, b.len, &e), expected);
	buf_fini(&b);
}

static void add_gap(struct wire_packer *k, uint64_t seq, struct journal_gap gap)
{
	uint8_t payload[24];
	struct err e;

	journal_gap_encode(&gap, payload);
	assert_int_equal(wire_packer_add(k, seq, ENTRY_GAP, payload, sizeof payload, &e), 1);
}

static struct wire_batch *must_decode(const struct buf *b)
{
	struct err e = {""};
	struct wire_batch *batch = wire_batch_decode(b->data, b->len, &e);

	assert_string_equal(e.text, "");
	assert_non_null(batch);
	return batch;
}

#define ENTRIES 600
struct sent {
	bool is_result;
	char id[16];
	struct result r;
	uint64_t seq;
	uint8_t kind, payload[40];
	size_t len;
};

/* Fills a packer with rows, unknown entries and gaps in random order; returns the last seq. */
static uint64_t random_batch(struct wire_packer *k, struct sent *sent, size_t n, uint64_t first)
{
	uint64_t seq = first, boot = random_next();
	struct err e;

	for (size_t i = 0; i < n; i++) {
		struct sent *s = &sent[i];

		*s = (struct sent){.is_result = random_below(10) != 0, .seq = seq++};
		if (s->is_result) {
			s->r = random_result(s->id, boot, (int64_t)random_below(1u << 30) * 1000000);
			add_result(k, s->seq, &s->r, 1);
			continue;
		}
		s->kind = random_below(2) ? ENTRY_GAP : 99;
		s->len = s->kind == ENTRY_GAP ? 24 : random_below(sizeof s->payload);
		for (size_t j = 0; j < s->len; j++)
			s->payload[j] = (uint8_t)random_next();
		if (s->kind == ENTRY_GAP) {
			struct journal_gap gap = {s->seq, s->seq + random_below(50), 1};

			journal_gap_encode(&gap, s->payload);
			s->seq = gap.to;
			seq = gap.to + 1;
		}
		assert_int_equal(wire_packer_add(k, s->seq, s->kind, s->payload, s->len, &e), 1);
	}
	return seq - 1;
}

static void assert_batch_holds(struct wire_batch *b, const struct sent *sent, size_t n)
{
	size_t row = 0, other = 0;

	for (size_t i = 0; i < n; i++) {
		struct result back;
		uint64_t seq;

		if (sent[i].is_result) {
			wire_rows_next(b->rows, &back, &seq);
			assert_int_equal(seq, sent[i].seq);
			assert_result_equal(&sent[i].r, &back);
			row++;
			continue;
		}
		assert_int_equal(b->others[other].seq, sent[i].seq);
		assert_int_equal(b->others[other].kind, sent[i].kind);
		assert_int_equal(b->others[other].len, sent[i].len);
		assert_memory_equal(b->others[other].payload, sent[i].payload, sent[i].len);
		other++;
	}
	assert_int_equal(row, wire_rows_count(b->rows));
	assert_int_equal(other, b->others_count);
}

static void a_batch_comes_back_whole_and_in_order(void **state)
{
	struct wire_packer *k = wire_packer_new(WIRE_BODY_MAX);
	struct sent *sent = mem_array(ENTRIES, sizeof *sent);

	(void)state;
	random_seed(__func__);
	for (int round = 0; round < 100; round++) {
		struct wire_batch_head h = plain_head;
		size_t n = 1 + random_below(ENTRIES);
		struct buf out = {0};
		struct wire_batch *b;

		h.first = 10 + random_below(UINT64_C(1) << 40);
		h.last = random_batch(k, sent, n, h.first);
		assert_int_equal(wire_packer_count(k), n);
		wire_packer_finish(k, &h, &out);
		assert_int_equal(wire_packer_count(k), 0);
		b = must_decode(&out);
		assert_string_equal(b->head.agent, "county-1");
		assert_int_equal(b->head.first, h.first);
		assert_int_equal(b->head.last, h.last);
		assert_int_equal(b->head.previous.epoch, 76);
		assert_int_equal(b->head.sent_real, h.sent_real);
		assert_int_equal(b->head.backlog, 3);
		assert_batch_holds(b, sent, n);
		wire_rows_rewind(b->rows);
		if (wire_rows_count(b->rows) == n)
			assert_batch_holds(b, sent, n);
		wire_batch_free(b);
		buf_fini(&out);
	}
	free(sent);
	wire_packer_free(k);
}

static void a_batch_never_exceeds_what_was_asked_for(void **state)
{
	(void)state;
	random_seed(__func__);
	for (int round = 0; round < 30; round++) {
		size_t max = 1000 + random_below(60000);
		struct wire_packer *k = wire_packer_new(max);
		struct wire_batch_head h = plain_head;
		uint64_t seq = 10;
		struct buf out = {0}, payload = {0};
		struct err e;

		for (int rc = 1; rc == 1; seq += (uint64_t)rc) {
			char id[16];
			struct result r = random_result(id, 1, (int64_t)random_below(1u << 30) * 1000000);

			buf_clear(&payload);
			wire_result_encode(&r, six, &payload);
			rc = wire_packer_add(k, seq, ENTRY_RESULT, payload.data, payload.len, &e);
		}
		h.last = seq - 1;
		wire_packer_finish(k, &h, &out);
		assert_true(out.len <= max);
		assert_true(out.len > max / 4);
		wire_batch_free(must_decode(&out));
		buf_fini(&out);
		buf_fini(&payload);
		wire_packer_free(k);
	}
}

static void another_boot_or_too_much_asks_to_finish_first(void **state)
{
	struct wire_packer *k = wire_packer_new(2000);
	struct result r = {.check = "a", .type = "t", .outcome = OUTCOME_UP, .part = "", .address = "",
		.reason = "", .boot = 1};
	uint8_t *large = mem_alloc(WIRE_BODY_MAX);
	struct err e;

	(void)state;
	assert_int_equal(wire_packer_add(k, 1, 99, large, WIRE_BODY_MAX, &e), 0);
	assert_int_equal(wire_packer_count(k), 0);
	add_result(k, 10, &r, 1);
	r.boot = 2;
	add_result(k, 11, &r, 0);
	assert_int_equal(wire_packer_add(k, 11, 99, large, 2000, &e), 0);
	assert_int_equal(wire_packer_add(k, 11, 99, large, 100, &e), 1);
	assert_int_equal(wire_packer_count(k), 2);
	free(large);
	wire_packer_free(k);
}

static void a_large_entry_travels_alone(void **state)
{
	struct wire_packer *k = wire_packer_new(2000);
	uint8_t *large = mem_alloc(100000);
	struct buf out = {0};
	struct wire_batch *b;
	struct err e;

	(void)state;
	large[99999] = 7;
	assert_int_equal(wire_packer_add(k, 10, 99, large, 100000, &e), 1);
	assert_int_equal(wire_packer_add(k, 11, 99, large, 1, &e), 0);
	wire_packer_finish(k, &plain_head, &out);
	b = must_decode(&out);
	assert_int_equal(b->others_count, 1);
	assert_memory_equal(b->others[0].payload, large, 100000);
	wire_batch_free(b);
	buf_fini(&out);
	free(large);
	wire_packer_free(k);
}

static void the_packer_refuses_what_is_not_one_result(void **state)
{
	struct wire_packer *k = wire_packer_new(2000);
	struct err e;

	(void)state;
	assert_int_equal(wire_packer_add(k, 1, ENTRY_RESULT, "junk", 4, &e), -1);
	assert_int_equal(wire_packer_add(k, 1, ENTRY_RESULT, "", 0, &e), -1);
	assert_non_null(strstr(e.text, "not one result"));
	wire_packer_free(k);
}

static void checks_of_changed_settings_are_kept_apart(void **state)
{
	struct wire_packer *k = wire_packer_new(20000);
	struct result r = {.check = "a", .type = "t", .outcome = OUTCOME_UP, .part = "", .address = "", .reason = ""};
	struct wire_batch_head h = plain_head;
	struct buf out = {0};
	struct wire_batch *b;

	(void)state;
	for (uint64_t i = 0; i < 6; i++) {
		r.generation = i / 2;
		r.interval_s = (uint32_t)i % 2;
		add_result(k, 10 + i, &r, 1);
	}
	h.last = 15;
	wire_packer_finish(k, &h, &out);
	b = must_decode(&out);
	for (uint64_t i = 0; i < 6; i++) {
		uint64_t seq;

		wire_rows_next(b->rows, &r, &seq);
		assert_int_equal(r.generation, i / 2);
		assert_int_equal(r.interval_s, i % 2);
	}
	wire_batch_free(b);
	buf_fini(&out);
	wire_packer_free(k);
}

static void gaps_cover_their_range(void **state)
{
	static const struct {
		struct journal_gap gap;
		uint64_t at, last;
		bool good;
	} cases[] = {
		{{10, 20, 11}, 20, 20, true},
		{{10, 20, 11}, 10, 20, true},
		{{5, 20, 16}, 20, 20, true},
		{{10, 19, 10}, 20, 20, true},
		{{11, 20, 10}, 20, 20, false},  /* 10 is missing */
		{{10, 18, 9}, 20, 20, false},   /* 19 is missing */
		{{10, 19, 10}, 19, 20, false},  /* 20 is missing */
		{{2, 5, 4}, 20, 20, false},     /* far before: covers itself alone */
		{{2, 5, 4}, 10, 10, true},
		{{10, 20, 12}, 20, 20, false},  /* more than the range holds */
		{{20, 10, 1}, 20, 20, false},
		{{0, 20, 1}, 20, 20, false},
		{{1, UINT64_MAX, 1}, 20, 20, true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct wire_packer *k = wire_packer_new(20000);
		struct wire_batch_head h = plain_head;
		struct buf out = {0};
		struct wire_batch *b;
		struct err e;

		add_gap(k, cases[i].at, cases[i].gap);
		h.last = cases[i].last;
		wire_packer_finish(k, &h, &out);
		b = wire_batch_decode(out.data, out.len, &e);
		if ((b != NULL) != cases[i].good)
			fail_msg("case %zu: %s", i, b != NULL ? "taken" : e.text);
		wire_batch_free(b);
		buf_fini(&out);
		wire_packer_free(k);
	}
}

/* ---- what a decoder refuses */

typedef Xunjian__Wire__Results pb_results;
typedef Xunjian__Wire__Batch pb_batch;

/* A good batch of two rows (10, 11) and one entry (12), as plain structs to be bent. */
struct bent {
	pb_batch batch;
	pb_results results;
	Xunjian__Wire__CheckRef check, *checks[1];
	Xunjian__Wire__Shape shape, *shapes[1];
	Xunjian__Wire__Other other, *others[2];
	char id[80], type[80], agent[80], text[400], *texts[1];
	uint32_t metric[70], decimals[70];
	uint32_t check_column[2], verdict[2], part[2], shape_column[2];
	int64_t seq_step[3], time_step[2], values[4];
	uint8_t payload[24];
};

static void bent_init(struct bent *b)
{
	memset(b, 0, sizeof *b);
	xunjian__wire__batch__init(&b->batch);
	xunjian__wire__results__init(&b->results);
	xunjian__wire__check_ref__init(&b->check);
	xunjian__wire__shape__init(&b->shape);
	xunjian__wire__other__init(&b->other);
	strcpy(b->id, "gateway");
	strcpy(b->type, "icmp");
	strcpy(b->agent, "county-1");
	strcpy(b->text, "10.0.0.1");
	b->check.id = b->id;
	b->check.type = b->type;
	b->checks[0] = &b->check;
	b->metric[0] = 100;
	b->metric[1] = 101;
	b->shape.n_metric = b->shape.n_decimals = 2;
	b->shape.metric = b->metric;
	b->shape.decimals = b->decimals;
	b->shapes[0] = &b->shape;
	b->texts[0] = b->text;
	b->verdict[0] = b->verdict[1] = FAMILY_V4 * 4 + OUTCOME_UP;
	b->seq_step[1] = 1;
	b->results.n_checks = b->results.n_shapes = b->results.n_texts = 1;
	b->results.checks = b->checks;
	b->results.shapes = b->shapes;
	b->results.texts = b->texts;
	b->results.n_check = b->results.n_verdict = b->results.n_part = b->results.n_shape = 2;
	b->results.n_seq_step = b->results.n_time_step = 2;
	b->results.check = b->check_column;
	b->results.verdict = b->verdict;
	b->results.part = b->part;
	b->results.shape = b->shape_column;
	b->results.seq_step = b->seq_step;
	b->results.time_step = b->time_step;
	b->results.n_values = 4;
	b->results.values = b->values;
	b->other.seq = 12;
	b->other.kind = 99;
	b->others[0] = b->others[1] = &b->other;
	b->batch.version = WIRE_VERSION;
	b->batch.agent = b->agent;
	b->batch.epoch = 5;
	b->batch.first = 10;
	b->batch.last = 12;
	b->batch.results = &b->results;
	b->batch.n_others = 1;
	b->batch.others = b->others;
}

/* NULL when it is taken, else the words. */
static const char *bent_decode(const struct bent *b)
{
	static struct err e;
	struct buf out = {0};
	struct wire_batch *batch;

	wire_pb_pack(&b->batch, &out);
	batch = wire_batch_decode(out.data, out.len, &e);
	buf_fini(&out);
	wire_batch_free(batch);
	return batch != NULL ? NULL : e.text;
}

static struct bent bent; /* of the statements in REFUSES */

#define REFUSES(words, ...)                                                                        \
	do {                                                                                       \
		const char *said;                                                                  \
		bent_init(&bent);                                                                  \
		__VA_ARGS__;                                                                       \
		said = bent_decode(&bent);                                                         \
		if (said == NULL || strstr(said, words) == NULL)                                   \
			fail_msg("%s: %s", #__VA_ARGS__, said != NULL ? said : "taken");           \
	} while (0)

#define TAKES(...)                                                                                 \
	do {                                                                                       \
		const char *said;                                                                  \
		bent_init(&bent);                                                                  \
		__VA_ARGS__;                                                                       \
		said = bent_decode(&bent);                                                         \
		if (said != NULL)                                                                  \
			fail_msg("%s: %s", #__VA_ARGS__, said);                                    \
	} while (0)

static void a_head_that_makes_no_sense_is_refused(void **state)
{
	(void)state;
	TAKES((void)0);
	REFUSES("version 2", bent.batch.version = 2);
	REFUSES("version 0", bent.batch.version = 0);
	REFUSES("agent", bent.agent[0] = '\0');
	REFUSES("agent", strcpy(bent.agent, "../x"));
	REFUSES("epoch", bent.batch.epoch = 0);
	REFUSES("first and last", bent.batch.first = 0);
	REFUSES("first and last", bent.batch.first = 13);
	REFUSES("first and last", bent.batch.last = UINT64_MAX);
	REFUSES("previous", bent.batch.previous_epoch = 5, bent.batch.previous_last = 3);
	REFUSES("previous", bent.batch.previous_epoch = 4, bent.batch.previous_last = 10);
	REFUSES("previous", bent.batch.previous_epoch = 4);
	REFUSES("previous", bent.batch.previous_last = 4);
	TAKES(bent.batch.previous_epoch = 4, bent.batch.previous_last = 9);
	REFUSES("sent_mono", bent.batch.sent_mono = -1);
	REFUSES("sent_mono", bent.batch.sent_mono = INT64_MAX);
	REFUSES("sent_real", bent.batch.sent_real = -1);
	REFUSES("sent_real", bent.batch.sent_real = INT64_MAX);
}

static void columns_and_tables_must_agree(void **state)
{
	(void)state;
	REFUSES("seq_step", bent.results.n_seq_step = 3);
	REFUSES("column check", bent.results.n_check = 1);
	REFUSES("column time_step", bent.results.n_time_step = 1);
	REFUSES("column part", bent.results.n_part = 1);
	REFUSES("column shape", bent.results.n_shape = 1);
	TAKES(bent.results.n_check = bent.results.n_part = bent.results.n_shape = 0);
	REFUSES("column", bent.results.n_verdict = 0);
	REFUSES("check 1 of 1", bent.check_column[1] = 1);
	REFUSES("shape 1 of 1", bent.shape_column[0] = 1);
	REFUSES("check 0 of 0", bent.results.n_checks = 0);
	REFUSES("shape 0 of 0", bent.results.n_shapes = 0);
	REFUSES("text 2 of 1", bent.part[1] = 2);
	TAKES(bent.part[1] = 1);
	REFUSES("ask for 4", bent.results.n_values = 3);
	REFUSES("ask for 2", bent.shape.n_metric = bent.shape.n_decimals = 1);
	REFUSES("verdict", bent.verdict[0] = 5 * 4 + 1);
	REFUSES("verdict", bent.verdict[0] = 4 * 4);
	TAKES(bent.verdict[0] = 6 * 4 + 3);
	REFUSES("id of check", bent.id[0] = 'A');
	REFUSES("id of check", bent.id[0] = '\0');
	REFUSES("id of check", memset(bent.id, 'a', 64));
	REFUSES("type of check", strcpy(bent.type, "a/b"));
	REFUSES("interval", bent.check.interval_s = WIRE_INTERVAL_MAX + 1);
	REFUSES("text 0", strcpy(bent.text, "a\x1b[31m"));
	REFUSES("text 0", strcpy(bent.text, "\xc3\x28"));
	REFUSES("text 0", memset(bent.text, 'x', 256));
	TAKES(memset(bent.text, 'x', 255));
}

static void numbers_must_be_in_range(void **state)
{
	(void)state;
	REFUSES("metric 0", bent.metric[0] = 0);
	REFUSES("metric 65536", bent.metric[0] = 65536);
	REFUSES("twice", bent.metric[0] = bent.metric[1] = 7);
	REFUSES("10 decimals", bent.decimals[1] = 10);
	REFUSES("decimals for", bent.shape.n_decimals = 1);
	TAKES(bent.shape.n_decimals = 0);
	REFUSES("65 metrics", bent.shape.n_metric = bent.shape.n_decimals = 65);
	REFUSES("2^53", bent.values[2] = (INT64_C(1) << 53) + 1);
	REFUSES("2^53", bent.values[3] = INT64_MIN);
	REFUSES("time", bent.time_step[0] = -1);
	REFUSES("time", bent.time_step[0] = INT64_MAX);
	REFUSES("time", bent.time_step[0] = INT64_MAX / 2, bent.time_step[1] = INT64_MAX);
	REFUSES("time", bent.time_step[1] = INT64_MIN);
	TAKES(bent.time_step[0] = 5, bent.time_step[1] = -5);
}

static void positions_must_ascend_and_leave_no_hole(void **state)
{
	(void)state;
	REFUSES("ascend", bent.seq_step[1] = 0);
	REFUSES("ascend", bent.seq_step[0] = 1, bent.seq_step[1] = -1);
	REFUSES("covers", bent.seq_step[1] = 3);
	REFUSES("covers", bent.seq_step[1] = INT64_MAX);
	REFUSES("hole: nothing is said about 10 to 10", bent.seq_step[0] = 1, bent.other.seq = 10,
		bent.batch.n_others = 0);
	REFUSES("hole: nothing is said about 11 to 11", bent.seq_step[1] = 2, bent.batch.n_others = 0);
	REFUSES("hole: nothing is said about 12 to 12", bent.batch.n_others = 0);
	TAKES(bent.batch.n_others = 0, bent.batch.last = 11);
	REFUSES("hole", bent.batch.results = NULL);
	REFUSES("two entries", bent.other.seq = 11);
	REFUSES("from first to last", bent.other.seq = 13);
	REFUSES("from first to last", bent.other.seq = 9);
	REFUSES("from first to last", bent.batch.n_others = 2);
	REFUSES("kind 0", bent.other.kind = 0);
	REFUSES("kind 256", bent.other.kind = 256);
	REFUSES("kind 10", bent.other.kind = ENTRY_RESULT);
	REFUSES("gap", bent.other.kind = ENTRY_GAP);
	TAKES(bent.other.seq = 10, bent.seq_step[0] = 1);
	TAKES(bent.other.seq = 11, bent.seq_step[1] = 2);
}

static void a_body_of_empty_messages_does_not_eat_the_memory(void **state)
{
	uint8_t *body = mem_alloc(WIRE_BODY_MAX);
	struct err e;

	(void)state;
	for (size_t i = 0; i + 1 < WIRE_BODY_MAX; i += 2)
		body[i] = 12 << 3 | 2; /* Batch.others, length 0 */
	assert_null(wire_batch_decode(body, WIRE_BODY_MAX, &e));
	assert_non_null(strstr(e.text, "unpack to more than"));
	free(body);
}

/* ---- Now */

static void rows_of_a_now_may_stand_in_any_order(void **state)
{
	static const uint64_t seqs[] = {900, 5, 5, 1, UINT64_C(1) << 50};
	struct wire_packer *k = wire_packer_new(20000);
	struct result r = {.check = "a", .type = "t", .outcome = OUTCOME_UP, .part = "", .address = "",
		.reason = "", .boot = 4};
	struct buf out = {0};
	struct err e = {""};
	struct wire_batch *b;

	(void)state;
	for (size_t i = 0; i < 5; i++)
		add_result(k, seqs[i], &r, 1);
	wire_now_encode(k, &plain_head, &out);
	assert_int_equal(wire_packer_count(k), 0);
	b = wire_now_decode(out.data, out.len, &e);
	assert_string_equal(e.text, "");
	assert_int_equal(b->others_count, 0);
	assert_int_equal(b->head.epoch, 77);
	assert_int_equal(b->head.sent_boot, 6);
	assert_int_equal(wire_rows_count(b->rows), 5);
	assert_int_equal(wire_rows_boot(b->rows), 4);
	for (size_t i = 0; i < 5; i++) {
		struct result back;
		uint64_t seq;

		wire_rows_next(b->rows, &back, &seq);
		assert_int_equal(seq, seqs[i]);
	}
	wire_batch_free(b);
	buf_fini(&out);
	add_result(k, 0, &r, 1);
	wire_now_encode(k, &plain_head, &out);
	assert_null(wire_now_decode(out.data, out.len, &e));
	assert_non_null(strstr(e.text, "seq"));
	buf_fini(&out);
	wire_packer_free(k);
}

static void a_now_without_rows_is_good(void **state)
{
	struct wire_packer *k = wire_packer_new(20000);
	struct buf out = {0};
	struct err e;
	struct wire_batch *b;

	(void)state;
	wire_now_encode(k, &plain_head, &out);
	b = wire_now_decode(out.data, out.len, &e);
	assert_non_null(b);
	assert_int_equal(wire_rows_count(b->rows), 0);
	assert_int_equal(wire_rows_boot(b->rows), 0);
	wire_batch_free(b);
	buf_fini(&out);
	wire_packer_free(k);
}

/* ---- the small messages */

static const struct wire_answer plain_answer = {.accepted = {77, 12}, .durable = 11, .expected = {78, 13},
	.reason = "克隆或回滚"};
static const struct wire_answer probe_answer = {.accepted = {77, 12}, .durable = 12, .probes_count = 3,
	.probes = {"portal-http", "Not an id", "link-1"}};

static void an_answer_comes_back_as_it_was(void **state)
{
	struct wire_answer back;
	struct buf out = {0};
	struct err e;

	(void)state;
	wire_answer_encode(&plain_answer, &out);
	assert_int_equal(wire_answer_decode(out.data, out.len, &back, &e), 0);
	assert_int_equal(back.accepted.epoch, 77);
	assert_int_equal(back.accepted.seq, 12);
	assert_int_equal(back.durable, 11);
	assert_int_equal(back.expected.epoch, 78);
	assert_int_equal(back.expected.seq, 13);
	assert_string_equal(back.reason, plain_answer.reason);
	assert_int_equal(back.probes_count, 0);
	buf_clear(&out);
	wire_answer_encode(&probe_answer, &out);
	assert_int_equal(wire_answer_decode(out.data, out.len, &back, &e), 0);
	assert_int_equal(back.probes_count, 2);
	assert_string_equal(back.probes[1], "link-1");
	assert_int_equal(wire_answer_decode("<html>", 6, &back, &e), -1);
	buf_fini(&out);
}

static const struct wire_option plain_options[] = {{"url", "https://例.example/"}, {"body", "a\r\nb"}};
static const struct wire_check plain_checks[] = {
	{.id = "portal", .type = "http", .interval_s = 60, .families = 3, .timeout_ms = 10000, .priority = true,
		.options_count = 2, .options = plain_options},
	{.id = "gateway", .type = "icmp", .interval_s = 30, .families = 1, .timeout_ms = 5000},
};
static const struct wire_assignments plain_assignments = {"county-1", 9, 2, plain_checks};

static void assignments_come_back_as_they_were(void **state)
{
	struct wire_assignments *a;
	struct buf out = {0};
	struct err e = {""};

	(void)state;
	wire_assignments_encode(&plain_assignments, &out);
	a = wire_assignments_decode(out.data, out.len, &e);
	assert_string_equal(e.text, "");
	assert_string_equal(a->agent, "county-1");
	assert_int_equal(a->generation, 9);
	assert_int_equal(a->count, 2);
	assert_string_equal(a->checks[0].id, "portal");
	assert_string_equal(a->checks[0].type, "http");
	assert_int_equal(a->checks[0].interval_s, 60);
	assert_int_equal(a->checks[0].families, 3);
	assert_int_equal(a->checks[0].timeout_ms, 10000);
	assert_true(a->checks[0].priority);
	assert_int_equal(a->checks[0].options_count, 2);
	assert_string_equal(a->checks[0].options[0].key, "url");
	assert_string_equal(a->checks[0].options[1].value, "a\r\nb");
	assert_false(a->checks[1].priority);
	assert_int_equal(a->checks[1].options_count, 0);
	wire_assignments_free(a);
	buf_fini(&out);
}

static void assignments_that_make_no_sense_are_refused(void **state)
{
	static char long_value[WIRE_OPTION_TEXT_MAX + 2];
	static const struct wire_option unclean = {"host", "a\x01"}, no_key = {"", "x"};
	static const struct wire_option too_long = {"host", long_value};
	static const struct wire_option many[WIRE_OPTIONS_MAX + 1] = {{NULL, NULL}};
	static const struct {
		const char *words;
		struct wire_check check;
	} cases[] = {
		{"is not an id", {.id = "A", .type = "t", .interval_s = 1, .families = 1, .timeout_ms = 1}},
		{"type", {.id = "a", .type = "", .interval_s = 1, .families = 1, .timeout_ms = 1}},
		{"interval", {.id = "a", .type = "t", .interval_s = 0, .families = 1, .timeout_ms = 1}},
		{"families", {.id = "a", .type = "t", .interval_s = 1, .families = 4, .timeout_ms = 1}},
		{"families", {.id = "a", .type = "t", .interval_s = 1, .families = 0, .timeout_ms = 1}},
		{"timeout", {.id = "a", .type = "t", .interval_s = 1, .families = 1, .timeout_ms = 0}},
		{"host", {"a", "t", 1, 1, 1, false, 1, &unclean}},
		{"key", {"a", "t", 1, 1, 1, false, 1, &no_key}},
		{"host", {"a", "t", 1, 1, 1, false, 1, &too_long}},
		{"65 options", {"a", "t", 1, 1, 1, false, WIRE_OPTIONS_MAX + 1, many}},
	};

	(void)state;
	memset(long_value, 'x', sizeof long_value - 1);
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct wire_assignments a = {"county-1", 1, 1, &cases[i].check};
		struct buf out = {0};
		struct err e = {""};

		wire_assignments_encode(&a, &out);
		assert_null(wire_assignments_decode(out.data, out.len, &e));
		if (strstr(e.text, cases[i].words) == NULL)
			fail_msg("case %zu: %s", i, e.text);
		buf_fini(&out);
	}
}

static void a_check_assigned_twice_is_refused(void **state)
{
	const struct wire_check twice[] = {plain_checks[1], plain_checks[1]};
	struct wire_assignments a = {"county-1", 1, 2, twice};
	struct buf out = {0};
	struct err e;

	(void)state;
	wire_assignments_encode(&a, &out);
	assert_null(wire_assignments_decode(out.data, out.len, &e));
	assert_non_null(strstr(e.text, "gateway stands there twice"));
	buf_fini(&out);
}

static const uint32_t plain_refused[] = {0, 3, 4};
static const struct wire_envelope plain_envelope = {.agent = "county-1", .received_real = 1800000000000000000,
	.offset = 1700000000000000000, .skew = -5, .time_unknown = true, .refused = plain_refused,
	.refused_count = 3, .body = (const uint8_t *)"body", .body_len = 4};

static void an_envelope_comes_back_as_it_was(void **state)
{
	struct wire_envelope *v;
	struct buf out = {0};
	struct err e;

	(void)state;
	wire_envelope_encode(&plain_envelope, &out);
	v = wire_envelope_decode(out.data, out.len, &e);
	assert_non_null(v);
	assert_string_equal(v->agent, "county-1");
	assert_int_equal(v->received_real, plain_envelope.received_real);
	assert_int_equal(v->offset, plain_envelope.offset);
	assert_int_equal(v->skew, -5);
	assert_true(v->time_unknown);
	assert_int_equal(v->refused_count, 3);
	assert_memory_equal(v->refused, plain_refused, sizeof plain_refused);
	assert_int_equal(v->body_len, 4);
	assert_memory_equal(v->body, "body", 4);
	wire_envelope_free(v);
	buf_fini(&out);
}

static void a_time_far_from_its_receipt_is_not_known(void **state)
{
	struct wire_envelope v = plain_envelope;
	int64_t real, at = v.received_real;

	(void)state;
	v.time_unknown = false;
	v.offset = -WIRE_TIME_MAX;
	assert_true(wire_envelope_time(&v, at + WIRE_TIME_MAX, &real));
	assert_int_equal(real, at);
	assert_true(wire_envelope_time(&v, at + WIRE_TIME_MAX + WIRE_AHEAD_MAX - 1, &real));
	assert_false(wire_envelope_time(&v, at + WIRE_TIME_MAX + WIRE_AHEAD_MAX, &real));
	assert_true(wire_envelope_time(&v, at + WIRE_TIME_MAX - WIRE_AGE_MAX + 1, &real));
	assert_false(wire_envelope_time(&v, at + WIRE_TIME_MAX - WIRE_AGE_MAX, &real));
	v.offset = WIRE_TIME_MAX;
	assert_false(wire_envelope_time(&v, WIRE_TIME_MAX, &real));
	v.offset = 0;
	assert_false(wire_envelope_time(&v, 0, &real));
	v.time_unknown = true;
	assert_false(wire_envelope_time(&v, at, &real));
}

static void an_envelope_that_makes_no_sense_is_refused(void **state)
{
	static const uint32_t falling[] = {3, 3};
	struct wire_envelope cases[5];

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		struct buf out = {0};
		struct err e;

		cases[i] = plain_envelope;
		cases[0].agent = "No";
		cases[1].received_real = -1;
		cases[2].offset = INT64_MIN;
		cases[3].skew = INT64_MAX;
		cases[4].refused = falling;
		cases[4].refused_count = 2;
		wire_envelope_encode(&cases[i], &out);
		assert_null(wire_envelope_decode(out.data, out.len, &e));
		buf_fini(&out);
	}
}

static void the_envelope_of_the_largest_body_fits_a_journal_entry(void **state)
{
	uint32_t *refused = mem_array(WIRE_ROWS_MAX, sizeof *refused);
	uint8_t *body = mem_alloc(WIRE_BODY_MAX);
	struct wire_envelope v = plain_envelope;
	struct buf out = {0};

	(void)state;
	for (uint32_t i = 0; i < WIRE_ROWS_MAX; i++)
		refused[i] = i;
	v.refused = refused;
	v.refused_count = WIRE_ROWS_MAX;
	v.body = body;
	v.body_len = WIRE_BODY_MAX;
	wire_envelope_encode(&v, &out);
	assert_true(out.len <= JOURNAL_PAYLOAD_MAX);
	buf_fini(&out);
	free(refused);
	free(body);
}

/* ---- zstd */

static void bytes_come_back_from_zstd(void **state)
{
	(void)state;
	random_seed(__func__);
	for (int round = 0; round < 200; round++) {
		size_t len = random_below(100000);
		unsigned kinds = (unsigned)random_below(256) + 1;
		uint8_t *data = mem_alloc(len + 1);
		struct buf packed = {0}, back = {0};
		struct err e = {""};

		for (size_t i = 0; i < len; i++)
			data[i] = (uint8_t)random_below(kinds);
		wire_compress(data, len, &packed);
		assert_int_equal(wire_decompress(packed.data, packed.len, &back, &e), 0);
		assert_string_equal(e.text, "");
		assert_int_equal(back.len, len);
		assert_memory_equal(back.data != NULL ? back.data : data, data, len);
		assert_true(len <= packed.len * WIRE_RATIO_MAX);
		free(data);
		buf_fini(&packed);
		buf_fini(&back);
	}
}

static void dense_or_large_or_foreign_bodies_are_refused(void **state)
{
	size_t len = WIRE_BODY_MAX + 1, bound = ZSTD_compressBound(len);
	uint8_t *zeros = mem_alloc(len), *packed = mem_alloc(bound);
	struct buf out = {0};
	struct err e;
	size_t n;

	(void)state;
	n = ZSTD_compress(packed, bound, zeros, 100000, 1);
	assert_int_equal(wire_decompress(packed, n, &out, &e), -1);
	assert_non_null(strstr(e.text, "denser"));
	n = ZSTD_compress(packed, bound, zeros, len, 1);
	assert_int_equal(wire_decompress(packed, bound, &out, &e), -1);
	assert_non_null(strstr(e.text, "at most"));
	n = ZSTD_compress(packed, bound, "some bytes that do not compress", 31, 1);
	assert_int_equal(wire_decompress(packed, n - 1, &out, &e), -1);
	packed[n - 2] ^= 0x40;
	memcpy(packed + n, packed, n); /* a second frame behind the first */
	assert_int_equal(wire_decompress(packed, 2 * n, &out, &e), -1);
	assert_int_equal(wire_decompress("<html></html>", 13, &out, &e), -1);
	assert_non_null(strstr(e.text, "not zstd"));
	assert_int_equal(wire_decompress("", 0, &out, &e), -1);
	assert_int_equal(out.len, 0);
	free(zeros);
	free(packed);
	buf_fini(&out);
}

static void a_frame_of_unstated_size_is_refused(void **state)
{
	ZSTD_CCtx *z = ZSTD_createCCtx();
	char packed[256];
	ZSTD_inBuffer in = {"abc", 3, 0};
	ZSTD_outBuffer to = {packed, sizeof packed, 0};
	struct buf out = {0};
	struct err e;

	(void)state;
	ZSTD_compressStream2(z, &to, &in, ZSTD_e_continue);
	assert_int_equal(ZSTD_compressStream2(z, &to, &in, ZSTD_e_end), 0);
	assert_int_equal(wire_decompress(packed, to.pos, &out, &e), -1);
	assert_non_null(strstr(e.text, "state its size"));
	ZSTD_freeCCtx(z);
	buf_fini(&out);
}

/* ---- golden bytes: what version 1 wrote must be read for ever */

static struct buf read_fixture(const char *name)
{
	char path[200];
	struct buf b = {0};
	FILE *f;

	snprintf(path, sizeof path, FIXTURES "%s", name);
	f = fopen(path, "rb");
	if (f == NULL)
		fail_msg("%s: cannot be read", path);
	b.len = fread(buf_reserve(&b, 65536), 1, 65536, f);
	fclose(f);
	return b;
}

/* Compares with the fixture; GOLDEN=write makes it anew (a change of the protocol). */
static void assert_golden(const char *name, const struct buf *made)
{
	const char *wish = getenv("GOLDEN");
	struct buf kept;

	if (wish != NULL && strcmp(wish, "write") == 0) {
		char path[200];
		FILE *f;

		snprintf(path, sizeof path, FIXTURES "%s", name);
		f = fopen(path, "wb");
		assert_non_null(f);
		assert_int_equal(fwrite(made->data, 1, made->len, f), made->len);
		assert_int_equal(fclose(f), 0);
	}
	kept = read_fixture(name);
	assert_int_equal(kept.len, made->len);
	assert_memory_equal(kept.data, made->data, kept.len);
	buf_fini(&kept);
}

static struct result golden_result(unsigned i)
{
	struct result r = {.check = i % 2 ? "portal" : "gateway",
		.type = i % 2 ? "http" : "icmp",
		.interval_s = 60,
		.generation = 3,
		.family = i % 4 < 2 ? FAMILY_V4 : FAMILY_V6,
		.outcome = (enum outcome)(1 + i % 3),
		.part = i == 5 ? "eth0" : "",
		.address = i % 4 < 2 ? "10.1.0.1" : "2001:db8::1",
		.reason = i % 3 == 1 ? "no answer within 5s" : "",
		.boot = 0x1122334455667788,
		.mono = INT64_C(1000000000000) + i * INT64_C(60007000000)};

	result_add(&r, i % 2 ? 304 : 105, 1234 * (i + 1) / 1e6);
	result_add(&r, i % 2 ? 305 : 102, i % 3);
	if (i % 3 == 0)
		result_add(&r, 111, -0.5);
	return r;
}

/* Rows 10..15, an unknown entry 16, a gap 17..30. */
static void golden_contents(struct wire_packer *k)
{
	struct err e;

	for (unsigned i = 0; i < 6; i++) {
		struct result r = golden_result(i);

		add_result(k, 10 + i, &r, 1);
	}
	assert_int_equal(wire_packer_add(k, 16, 99, "from a later version", 20, &e), 1);
	add_gap(k, 30, (struct journal_gap){17, 30, 14});
}

static void assert_golden_batch(struct wire_batch *b)
{
	assert_int_equal(b->head.epoch, 77);
	assert_int_equal(b->head.last, 30);
	assert_int_equal(wire_rows_count(b->rows), 6);
	for (unsigned i = 0; i < 6; i++) {
		struct result expected = golden_result(i), r;
		uint64_t seq;

		wire_rows_next(b->rows, &r, &seq);
		assert_int_equal(seq, 10 + i);
		assert_result_equal(&expected, &r);
	}
	assert_int_equal(b->others_count, 2);
	assert_int_equal(b->others[0].kind, 99);
	assert_int_equal(b->others[0].len, 20);
	assert_memory_equal(b->others[0].payload, "from a later version", 20);
	assert_int_equal(b->others[1].kind, ENTRY_GAP);
}

static void a_batch_is_written_and_read_as_by_version_1(void **state)
{
	struct wire_packer *k = wire_packer_new(20000);
	struct wire_batch_head h = plain_head;
	struct buf out = {0}, kept;
	struct wire_batch *b;

	(void)state;
	golden_contents(k);
	h.last = 30;
	wire_packer_finish(k, &h, &out);
	assert_golden("batch-v1.bin", &out);
	kept = read_fixture("batch-v1.bin");
	b = must_decode(&kept);
	assert_golden_batch(b);
	wire_batch_free(b);
	buf_fini(&out);
	buf_fini(&kept);
	wire_packer_free(k);
}

static void a_now_is_written_and_read_as_by_version_1(void **state)
{
	struct wire_packer *k = wire_packer_new(20000);
	struct buf out = {0}, kept;
	struct wire_batch *b;
	struct err e;

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct result r = golden_result(3 - i);

		add_result(k, 13 - i, &r, 1);
	}
	wire_now_encode(k, &plain_head, &out);
	assert_golden("now-v1.bin", &out);
	kept = read_fixture("now-v1.bin");
	b = wire_now_decode(kept.data, kept.len, &e);
	assert_non_null(b);
	for (unsigned i = 0; i < 4; i++) {
		struct result expected = golden_result(3 - i), r;
		uint64_t seq;

		wire_rows_next(b->rows, &r, &seq);
		assert_int_equal(seq, 13 - i);
		assert_result_equal(&expected, &r);
	}
	wire_batch_free(b);
	buf_fini(&out);
	buf_fini(&kept);
	wire_packer_free(k);
}

static const char *const plain_subjects[] = {"system/portal", "link/county-1"};
static const struct wire_request plain_request = {.kind = REQUEST_PLAN, .author = "王芳", .uid = 1000,
	.real = 1800000000000000000, .incident = 7, .text = "switch", .subjects = plain_subjects, .subjects_count = 2,
	.from = 5, .until = 7, .last = 9, .is_repeated = true, .weekdays = 0x20, .weeks = 2, .families = 7, .state = 4};

static const struct wire_lost plain_lost = {.count = 12, .boot = 77, .from_mono = 5, .to_mono = 1000000007};

static void small_messages_are_written_as_by_version_1(void **state)
{
	struct buf out = {0};
	struct result r = golden_result(5);

	(void)state;
	wire_result_encode(&r, six, &out);
	assert_golden("result-v1.bin", &out);
	buf_clear(&out);
	wire_answer_encode(&plain_answer, &out);
	assert_golden("answer-v1.bin", &out);
	buf_clear(&out);
	wire_assignments_encode(&plain_assignments, &out);
	assert_golden("assignments-v1.bin", &out);
	buf_clear(&out);
	wire_envelope_encode(&plain_envelope, &out);
	assert_golden("envelope-v1.bin", &out);
	buf_clear(&out);
	wire_note_encode(&(struct wire_note){.agent = "county-1", .word = "skew", .text = "clock is 7 s ahead",
		.real = 1800000000000000000, .subject = ""}, &out);
	assert_golden("note-v1.bin", &out);
	buf_clear(&out);
	wire_lost_encode(&plain_lost, &out);
	assert_golden("lost-v1.bin", &out);
	buf_clear(&out);
	wire_request_encode(&plain_request, &out);
	assert_golden("request-v1.bin", &out);
	buf_fini(&out);
}

static void a_note_comes_back_as_it_was_or_is_refused(void **state)
{
	struct wire_note plain = {"", "", "1 MiB left", 5, "monitoring/disk", true}, *back;
	struct wire_note bad[] = {plain, plain, plain, plain};
	struct buf out = {0};
	struct err e;

	(void)state;
	wire_note_encode(&plain, &out);
	back = wire_note_decode(out.data, out.len, &e);
	assert_non_null(back);
	assert_string_equal(back->subject, plain.subject);
	assert_string_equal(back->text, plain.text);
	assert_true(back->is_bad && back->real == 5);
	wire_note_free(back);
	bad[0].real = -1;
	bad[1].text = "a\tb";
	bad[2].subject = "\xff";
	bad[3].agent = "a-name-that-is-longer-than-the-id-of-any-agent-in-any-inventory-may-be";
	for (size_t i = 0; i < 4; i++) {
		buf_clear(&out);
		wire_note_encode(&bad[i], &out);
		assert_null(wire_note_decode(out.data, out.len, &e));
	}
	buf_fini(&out);
}

static struct wire_request *there_and_back(const struct wire_request *r, struct err *e)
{
	struct wire_request *back;
	struct buf out = {0};

	wire_request_encode(r, &out);
	back = wire_request_decode(out.data, out.len, e);
	buf_fini(&out);
	return back;
}

static void a_request_comes_back_as_it_was(void **state)
{
	struct err e;
	struct wire_request *r = there_and_back(&plain_request, &e);

	(void)state;
	assert_non_null(r);
	assert_string_equal(r->author, plain_request.author);
	assert_string_equal(r->text, plain_request.text);
	assert_int_equal(r->subjects_count, 2);
	assert_string_equal(r->subjects[1], plain_subjects[1]);
	assert_true(r->kind == REQUEST_PLAN && r->uid == 1000 && r->real == plain_request.real && r->incident == 7);
	assert_true(r->from == 5 && r->until == 7 && r->last == 9 && r->is_repeated && r->weekdays == 0x20 && r->weeks == 2);
	assert_true(r->families == 7 && r->state == 4);
	wire_request_free(r);
}

static void a_request_that_makes_no_sense_is_refused(void **state)
{
	char text[WIRE_REQUEST_TEXT + 2];
	const char *many[WIRE_SUBJECTS_MAX + 1], *empty[] = {""};
	struct wire_request bad[] = {plain_request, plain_request, plain_request, plain_request, plain_request, plain_request,
		plain_request, plain_request, plain_request, plain_request, plain_request};
	struct err e;

	(void)state;
	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = '\0';
	for (size_t i = 0; i < sizeof many / sizeof *many; i++)
		many[i] = "a";
	bad[0].kind = (enum wire_request_kind)8;
	bad[1].author = "";
	bad[2].author = "a\nb";
	bad[3].text = text;
	bad[4].subjects = many, bad[4].subjects_count = sizeof many / sizeof *many;
	bad[5].subjects = empty, bad[5].subjects_count = 1;
	bad[6].from = -1;
	bad[7].until = WIRE_TIME_MAX + 1;
	bad[8].weeks = 0x20;
	bad[9].weekdays = 0x80;
	bad[10].families = 8;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (there_and_back(&bad[i], &e) != NULL)
			fail_msg("the %zuth was accepted", i);
	}
	text[WIRE_REQUEST_TEXT] = '\0';
	wire_request_free(there_and_back(&bad[3], &e));
}

/* Fields that a later version may add at every level. */
static void lost_results_are_told_and_told_well(void **state)
{
	struct wire_lost bad[] = {plain_lost, plain_lost, plain_lost, plain_lost}, read;
	struct buf out = {0};
	struct err e;

	(void)state;
	wire_lost_encode(&plain_lost, &out);
	assert_int_equal(wire_lost_decode(out.data, out.len, &read, &e), 0);
	assert_memory_equal(&read, &plain_lost, sizeof read);
	bad[0].count = 0;
	bad[1].from_mono = -1;
	bad[2].to_mono = 4;
	bad[3].to_mono = WIRE_TIME_MAX + 1;
	for (size_t i = 0; i < 4; i++) {
		buf_clear(&out);
		wire_lost_encode(&bad[i], &out);
		assert_int_equal(wire_lost_decode(out.data, out.len, &read, &e), -1);
	}
	buf_fini(&out);
}

static void a_batch_of_a_later_version_is_read(void **state)
{
	ProtobufCMessageUnknownField field = {.tag = 200, .wire_type = PROTOBUF_C_WIRE_TYPE_VARINT, .len = 1,
		.data = (uint8_t[]){7}};
	struct buf plain = read_fixture("batch-v1.bin"), later = {0}, kept;
	struct err e;
	pb_batch *p = wire_pb_unpack(&xunjian__wire__batch__descriptor, plain.data, plain.len, "batch", &e);
	ProtobufCMessage *all[] = {&p->base, &p->results->base, &p->results->checks[0]->base,
		&p->results->shapes[0]->base, &p->others[0]->base};
	struct wire_batch *b;

	(void)state;
	for (size_t i = 0; i < 5; i++) {
		all[i]->n_unknown_fields = 1;
		all[i]->unknown_fields = &field;
	}
	wire_pb_pack(p, &later);
	assert_int_equal(later.len, plain.len + 5 * 3);
	assert_golden("batch-later.bin", &later);
	kept = read_fixture("batch-later.bin");
	b = must_decode(&kept);
	assert_golden_batch(b);
	wire_batch_free(b);
	for (size_t i = 0; i < 5; i++)
		all[i]->n_unknown_fields = 0, all[i]->unknown_fields = NULL;
	wire_pb_free(p);
	buf_fini(&plain);
	buf_fini(&later);
	buf_fini(&kept);
}

/* A journal written by a later version of the agent is packed by this one after a downgrade. */
static void a_result_with_unknown_fields_can_be_packed(void **state)
{
	ProtobufCMessageUnknownField field = {.tag = 200, .wire_type = PROTOBUF_C_WIRE_TYPE_VARINT, .len = 1,
		.data = (uint8_t[]){7}};
	struct buf plain = read_fixture("result-v1.bin"), later = {0}, out = {0};
	struct wire_packer *k = wire_packer_new(20000);
	struct err e;
	pb_results *p = wire_pb_unpack(&xunjian__wire__results__descriptor, plain.data, plain.len, "result", &e);
	ProtobufCMessage *all[] = {&p->base, &p->checks[0]->base, &p->shapes[0]->base};

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		all[i]->n_unknown_fields = 1;
		all[i]->unknown_fields = &field;
	}
	wire_pb_pack(p, &later);
	assert_int_equal(wire_packer_add(k, 10, ENTRY_RESULT, later.data, later.len, &e), 1);
	wire_packer_finish(k, &plain_head, &out);
	wire_batch_free(must_decode(&out));
	for (size_t i = 0; i < 3; i++)
		all[i]->n_unknown_fields = 0, all[i]->unknown_fields = NULL;
	wire_pb_free(p);
	wire_packer_free(k);
	buf_fini(&plain);
	buf_fini(&later);
	buf_fini(&out);
}

/* ---- damage */

static void decode_any(const char *name, const void *data, size_t len)
{
	struct wire_answer answer;
	struct wire_batch *b;
	struct err e;

	if (strncmp(name, "batch", 5) == 0 || strncmp(name, "now", 3) == 0) {
		struct result r;
		uint64_t seq;

		b = name[0] == 'b' ? wire_batch_decode(data, len, &e) : wire_now_decode(data, len, &e);
		for (size_t i = 0; b != NULL && i < wire_rows_count(b->rows); i++) {
			wire_rows_next(b->rows, &r, &seq);
			assert_true(text_is_clean(r.reason, SAMPLE_TEXT_MAX));
			for (size_t v = 0; v < r.count; v++)
				assert_true(isfinite(r.values[v].number));
		}
		wire_batch_free(b);
	} else if (strncmp(name, "answer", 6) == 0) {
		(void)wire_answer_decode(data, len, &answer, &e);
	} else if (strncmp(name, "assignments", 11) == 0) {
		wire_assignments_free(wire_assignments_decode(data, len, &e));
	} else if (strncmp(name, "request", 7) == 0) {
		wire_request_free(wire_request_decode(data, len, &e));
	} else {
		wire_envelope_free(wire_envelope_decode(data, len, &e));
	}
}

static void damaged_bytes_do_no_harm(void **state)
{
	static const char *const names[] = {"batch-v1.bin", "batch-later.bin", "now-v1.bin", "answer-v1.bin",
		"assignments-v1.bin", "envelope-v1.bin", "request-v1.bin"};

	(void)state;
	random_seed(__func__);
	for (size_t n = 0; n < sizeof names / sizeof names[0]; n++) {
		struct buf whole = read_fixture(names[n]);

		for (size_t len = 0; len < whole.len; len++) {
			uint8_t *cut = mem_copy(whole.data, len); /* its own block: over-reads are seen */

			decode_any(names[n], cut, len);
			free(cut);
		}
		for (int i = 0; i < 20000; i++) {
			uint8_t *bad = mem_copy(whole.data, whole.len);

			for (uint64_t flips = 1 + random_below(4); flips > 0; flips--)
				bad[random_below(whole.len)] = (uint8_t)random_next();
			decode_any(names[n], bad, whole.len);
			free(bad);
		}
		buf_fini(&whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_result_comes_back_as_it_was),
		cmocka_unit_test(a_value_that_does_not_fit_is_left_out_alone),
		cmocka_unit_test(unclean_texts_are_cleaned_before_they_leave),
		cmocka_unit_test(a_batch_comes_back_whole_and_in_order),
		cmocka_unit_test(a_batch_never_exceeds_what_was_asked_for),
		cmocka_unit_test(another_boot_or_too_much_asks_to_finish_first),
		cmocka_unit_test(a_large_entry_travels_alone),
		cmocka_unit_test(the_packer_refuses_what_is_not_one_result),
		cmocka_unit_test(checks_of_changed_settings_are_kept_apart),
		cmocka_unit_test(gaps_cover_their_range),
		cmocka_unit_test(a_head_that_makes_no_sense_is_refused),
		cmocka_unit_test(columns_and_tables_must_agree),
		cmocka_unit_test(numbers_must_be_in_range),
		cmocka_unit_test(positions_must_ascend_and_leave_no_hole),
		cmocka_unit_test(a_body_of_empty_messages_does_not_eat_the_memory),
		cmocka_unit_test(rows_of_a_now_may_stand_in_any_order),
		cmocka_unit_test(a_now_without_rows_is_good),
		cmocka_unit_test(an_answer_comes_back_as_it_was),
		cmocka_unit_test(assignments_come_back_as_they_were),
		cmocka_unit_test(assignments_that_make_no_sense_are_refused),
		cmocka_unit_test(a_check_assigned_twice_is_refused),
		cmocka_unit_test(an_envelope_comes_back_as_it_was),
		cmocka_unit_test(a_time_far_from_its_receipt_is_not_known),
		cmocka_unit_test(an_envelope_that_makes_no_sense_is_refused),
		cmocka_unit_test(the_envelope_of_the_largest_body_fits_a_journal_entry),
		cmocka_unit_test(bytes_come_back_from_zstd),
		cmocka_unit_test(dense_or_large_or_foreign_bodies_are_refused),
		cmocka_unit_test(a_frame_of_unstated_size_is_refused),
		cmocka_unit_test(a_batch_is_written_and_read_as_by_version_1),
		cmocka_unit_test(a_now_is_written_and_read_as_by_version_1),
		cmocka_unit_test(small_messages_are_written_as_by_version_1),
		cmocka_unit_test(a_note_comes_back_as_it_was_or_is_refused),
		cmocka_unit_test(a_request_comes_back_as_it_was),
		cmocka_unit_test(a_request_that_makes_no_sense_is_refused),
		cmocka_unit_test(lost_results_are_told_and_told_well),
		cmocka_unit_test(a_batch_of_a_later_version_is_read),
		cmocka_unit_test(a_result_with_unknown_fields_can_be_packed),
		cmocka_unit_test(damaged_bytes_do_no_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
