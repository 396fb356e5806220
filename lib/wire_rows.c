/* Decoding of results, batches and nows: the one place where bytes of a sender are judged. */
#include "lib/wire_rows.h"

#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "lib/wire_pb.h"
#include "wire.pb-c.h"

#define SEQ_MAX ((uint64_t)INT64_MAX)
#define NUMBER_MAX (INT64_C(1) << 53) /* integers a double holds exactly */

typedef Xunjian__Wire__Results pb_results;

struct wire_rows {
	pb_results *pb; /* NULL: no rows */
	size_t count;
	uint64_t base; /* seq before the first row */
	/* Of the row handed out last, and where the next one's values begin. */
	size_t next, value;
	uint64_t seq;
	int64_t mono_ms;
};

/* What the seq of a row means in the message around it. */
enum seq_rule { SEQ_NONE, SEQ_ASCENDS, SEQ_ANY };

struct span {
	enum seq_rule rule;
	uint64_t first, last;
};

/* Element i of a column that may have been left out. */
static uint32_t cell(const uint32_t *column, size_t i)
{
	return column != NULL ? column[i] : 0;
}

static int64_t cell_signed(const int64_t *column, size_t i)
{
	return column != NULL ? column[i] : 0;
}

static int check_columns(const pb_results *p, size_t n, struct err *e)
{
	const struct {
		const char *name;
		size_t count;
	} columns[] = {{"seq_step", p->n_seq_step}, {"check", p->n_check}, {"time_step", p->n_time_step},
		{"part", p->n_part}, {"address", p->n_address}, {"reason", p->n_reason},
		{"shape", p->n_shape}};

	if (n > WIRE_ROWS_MAX)
		return err_set(e, "results: %zu rows, at most %d", n, WIRE_ROWS_MAX);
	for (size_t i = 0; i < sizeof columns / sizeof columns[0]; i++) {
		if (columns[i].count != 0 && columns[i].count != n)
			return err_set(e, "results: column %s has %zu elements, verdict has %zu",
				columns[i].name, columns[i].count, n);
	}
	return 0;
}

static int check_refs(const pb_results *p, struct err *e)
{
	if (p->n_checks > WIRE_CHECKS_MAX)
		return err_set(e, "results: %zu checks, at most %d", p->n_checks, WIRE_CHECKS_MAX);
	for (size_t i = 0; i < p->n_checks; i++) {
		const Xunjian__Wire__CheckRef *c = p->checks[i];

		if (num_check_id(c->id, e) < 0)
			return err_wrap(e, "results: id of check %zu", i);
		if (num_check_id(c->type, e) < 0)
			return err_wrap(e, "results: type of check %zu", i);
		if (c->interval_s > WIRE_INTERVAL_MAX)
			return err_set(e, "results: interval of check %zu is %u s, at most %d", i,
				c->interval_s, WIRE_INTERVAL_MAX);
	}
	return 0;
}

static int check_texts(const pb_results *p, struct err *e)
{
	for (size_t i = 0; i < p->n_texts; i++) {
		if (!text_is_clean(p->texts[i], SAMPLE_TEXT_MAX))
			return err_set(e, "results: text %zu is not clean UTF-8 of at most %d bytes", i,
				SAMPLE_TEXT_MAX);
	}
	return 0;
}

static int check_shape(const Xunjian__Wire__Shape *s, size_t at, struct err *e)
{
	if (s->n_metric > SAMPLE_VALUES_MAX)
		return err_set(e, "results: shape %zu has %zu metrics, at most %d", at, s->n_metric,
			SAMPLE_VALUES_MAX);
	if (s->n_decimals != 0 && s->n_decimals != s->n_metric)
		return err_set(e, "results: shape %zu has %zu decimals for %zu metrics", at, s->n_decimals,
			s->n_metric);
	for (size_t i = 0; i < s->n_metric; i++) {
		if (s->metric[i] == 0 || s->metric[i] > WIRE_METRIC_MAX)
			return err_set(e, "results: shape %zu: metric %u, must be 1 to %d", at, s->metric[i],
				WIRE_METRIC_MAX);
		if (cell(s->decimals, i) > WIRE_DECIMALS_MAX)
			return err_set(e, "results: shape %zu: %u decimals, at most %d", at, s->decimals[i],
				WIRE_DECIMALS_MAX);
		for (size_t j = 0; j < i; j++) {
			if (s->metric[j] == s->metric[i])
				return err_set(e, "results: shape %zu names metric %u twice", at, s->metric[i]);
		}
	}
	return 0;
}

static int check_shapes(const pb_results *p, struct err *e)
{
	if (p->n_shapes > WIRE_SHAPES_MAX)
		return err_set(e, "results: %zu shapes, at most %d", p->n_shapes, WIRE_SHAPES_MAX);
	for (size_t i = 0; i < p->n_shapes; i++) {
		if (check_shape(p->shapes[i], i, e) < 0)
			return -1;
	}
	return 0;
}

static int check_values(const pb_results *p, struct err *e)
{
	if (p->n_values > WIRE_VALUES_MAX)
		return err_set(e, "results: %zu values, at most %d", p->n_values, WIRE_VALUES_MAX);
	for (size_t i = 0; i < p->n_values; i++) {
		if (p->values[i] > NUMBER_MAX || p->values[i] < -NUMBER_MAX)
			return err_set(e, "results: value %zu is outside 2^53", i);
	}
	return 0;
}

/* Every index of row i must stand in its table. A row without shape has no values. */
static int check_indexes(const pb_results *p, size_t i, struct err *e)
{
	const uint32_t check = cell(p->check, i), shape = cell(p->shape, i);
	const uint32_t texts[] = {cell(p->part, i), cell(p->address, i), cell(p->reason, i)};
	uint32_t verdict = p->verdict[i];

	if (check >= p->n_checks)
		return err_set(e, "results: row %zu: check %u of %zu", i, check, p->n_checks);
	if (shape >= p->n_shapes)
		return err_set(e, "results: row %zu: shape %u of %zu", i, shape, p->n_shapes);
	for (size_t t = 0; t < 3; t++) {
		if (texts[t] > p->n_texts)
			return err_set(e, "results: row %zu: text %u of %zu", i, texts[t], p->n_texts);
	}
	if (!family_is_valid(verdict / 4) || !outcome_is_valid(verdict % 4))
		return err_set(e, "results: row %zu: verdict %u is no family and outcome", i, verdict);
	return 0;
}

/* Moves *seq to that of row i. */
static int check_seq(const pb_results *p, size_t i, const struct span *s, uint64_t *seq, struct err *e)
{
	int64_t step = cell_signed(p->seq_step, i);

	if (s->rule == SEQ_NONE)
		return step == 0 ? 0 : err_set(e, "results: row %zu: seq_step outside a batch", i);
	if (s->rule == SEQ_ASCENDS && step <= 0 && (i > 0 || step < 0))
		return err_set(e, "results: row %zu: seq does not ascend", i);
	if (__builtin_add_overflow(*seq, step, seq) || *seq < s->first || *seq > s->last)
		return err_set(e, "results: row %zu: seq is outside what the message covers", i);
	return 0;
}

static int check_time(const pb_results *p, size_t i, int64_t *mono_ms, struct err *e)
{
	if (__builtin_add_overflow(*mono_ms, cell_signed(p->time_step, i), mono_ms) || *mono_ms < 0 ||
		*mono_ms > WIRE_TIME_MAX / NS_PER_MS)
		return err_set(e, "results: row %zu: time is out of range", i);
	return 0;
}

static int check_rows(const pb_results *p, size_t n, const struct span *s, struct err *e)
{
	uint64_t seq = s->rule == SEQ_ASCENDS ? s->first : 0;
	int64_t mono_ms = 0;
	size_t values = 0;

	for (size_t i = 0; i < n; i++) {
		if (check_indexes(p, i, e) < 0 || check_seq(p, i, s, &seq, e) < 0 ||
			check_time(p, i, &mono_ms, e) < 0)
			return -1;
		values += p->shapes[cell(p->shape, i)]->n_metric;
	}
	if (values != p->n_values)
		return err_set(e, "results: %zu values, the shapes of the rows ask for %zu", p->n_values,
			values);
	return 0;
}

static int check_results(const pb_results *p, const struct span *s, struct err *e)
{
	size_t n = p->n_verdict;

	if (check_columns(p, n, e) < 0 || check_refs(p, e) < 0 || check_texts(p, e) < 0 ||
		check_shapes(p, e) < 0 || check_values(p, e) < 0)
		return -1;
	return check_rows(p, n, s, e);
}

/* Takes *pb (may be NULL) when it is good. */
static struct wire_rows *rows_new(pb_results **pb, const struct span *s, struct err *e)
{
	struct wire_rows *r;

	if (*pb != NULL && check_results(*pb, s, e) < 0)
		return NULL;
	r = mem_alloc(sizeof *r);
	r->pb = *pb;
	r->count = *pb != NULL ? (*pb)->n_verdict : 0;
	r->base = s->rule == SEQ_ASCENDS ? s->first : 0;
	*pb = NULL;
	wire_rows_rewind(r);
	return r;
}

void wire_rows_free(struct wire_rows *r)
{
	if (r == NULL)
		return;
	wire_pb_free(r->pb);
	free(r);
}

const pb_results *wire_rows_message(const struct wire_rows *r)
{
	return r->pb;
}

size_t wire_rows_count(const struct wire_rows *r)
{
	return r->count;
}

uint64_t wire_rows_boot(const struct wire_rows *r)
{
	return r->pb != NULL ? r->pb->boot : 0;
}

void wire_rows_rewind(struct wire_rows *r)
{
	r->next = 0;
	r->value = 0;
	r->seq = r->base;
	r->mono_ms = 0;
}

static const char *text_at(const pb_results *p, uint32_t i)
{
	return i > 0 ? p->texts[i - 1] : "";
}

/* Divided, not multiplied by the inverse: the nearest double to the decimal that was measured. */
static void fill_values(const Xunjian__Wire__Shape *s, const int64_t *from, struct result *r)
{
	static const double powers[WIRE_DECIMALS_MAX + 1] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8,
		1e9};

	r->count = s->n_metric;
	for (size_t i = 0; i < s->n_metric; i++) {
		r->values[i].metric = s->metric[i];
		r->values[i].number = (double)from[i] / powers[cell(s->decimals, i)];
	}
}

void wire_rows_next(struct wire_rows *rows, struct result *r, uint64_t *seq)
{
	const pb_results *p = rows->pb;
	size_t i = rows->next++;
	const Xunjian__Wire__CheckRef *check = p->checks[cell(p->check, i)];
	const Xunjian__Wire__Shape *shape = p->shapes[cell(p->shape, i)];

	rows->seq += (uint64_t)cell_signed(p->seq_step, i);
	rows->mono_ms += cell_signed(p->time_step, i);
	*seq = rows->seq;
	r->check = check->id;
	r->type = check->type;
	r->interval_s = check->interval_s;
	r->generation = check->generation;
	r->family = (enum family)(p->verdict[i] / 4);
	r->outcome = (enum outcome)(p->verdict[i] % 4);
	r->part = text_at(p, cell(p->part, i));
	r->address = text_at(p, cell(p->address, i));
	r->reason = text_at(p, cell(p->reason, i));
	r->boot = p->boot;
	r->mono = rows->mono_ms * NS_PER_MS;
	fill_values(shape, p->values + rows->value, r);
	rows->value += shape->n_metric;
}

struct wire_rows *wire_result_decode(const void *data, size_t len, struct err *e)
{
	const struct span span = {.rule = SEQ_NONE};
	pb_results *p = wire_pb_unpack(&xunjian__wire__results__descriptor, data, len, "results", e);
	struct wire_rows *rows = NULL;

	if (p != NULL)
		rows = rows_new(&p, &span, e);
	wire_pb_free(p);
	return rows;
}

/* ---- Batch and Now */

/* The decoded batch and the message whose texts and payloads it borrows. */
struct batch {
	struct wire_batch public;
	void *pb;
	struct wire_other *others;
};

static int check_version(uint32_t version, struct err *e)
{
	if (version != WIRE_VERSION)
		return err_set(e, "version %u, this side speaks %d", version, WIRE_VERSION);
	return 0;
}

static int check_head(const struct wire_batch_head *h, struct err *e)
{
	if (num_check_id(h->agent, e) < 0)
		return err_wrap(e, "agent");
	if (h->epoch == 0)
		return err_set(e, "epoch is 0");
	if (h->sent_mono < 0 || h->sent_mono > WIRE_TIME_MAX)
		return err_set(e, "sent_mono is out of range");
	if (h->sent_real < 0 || h->sent_real > WIRE_TIME_MAX)
		return err_set(e, "sent_real is out of range");
	return 0;
}

static int check_span(const struct wire_batch_head *h, struct err *e)
{
	if (h->first == 0 || h->first > h->last || h->last > SEQ_MAX)
		return err_set(e, "first and last: %llu to %llu is no span",
			(unsigned long long)h->first, (unsigned long long)h->last);
	if (h->previous.seq >= h->first || h->previous.epoch == h->epoch ||
		(h->previous.epoch == 0) != (h->previous.seq == 0))
		return err_set(e, "previous: not the end of an opening before this one");
	return 0;
}

static int take_others(struct batch *b, Xunjian__Wire__Other *const *from, size_t count, struct err *e)
{
	const struct wire_batch_head *h = &b->public.head;

	if (count > WIRE_ROWS_MAX)
		return err_set(e, "others: %zu entries, at most %d", count, WIRE_ROWS_MAX);
	b->others = mem_array(count, sizeof *b->others);
	for (size_t i = 0; i < count; i++) {
		if (from[i]->kind == 0 || from[i]->kind > UINT8_MAX || from[i]->kind == ENTRY_RESULT)
			return err_set(e, "others: entry %zu: kind %u", i, from[i]->kind);
		if (from[i]->seq < h->first || from[i]->seq > h->last ||
			(i > 0 && from[i]->seq <= from[i - 1]->seq))
			return err_set(e, "others: entry %zu: seq does not ascend from first to last", i);
		b->others[i] = (struct wire_other){from[i]->seq, from[i]->kind, from[i]->payload.data,
			from[i]->payload.len};
	}
	b->public.others = b->others;
	b->public.others_count = count;
	return 0;
}

/* Counts *covered, the first seq not covered yet, on over [from, to]. */
static int cover(uint64_t from, uint64_t to, uint64_t *covered, struct err *e)
{
	if (to < *covered)
		return 0;
	if (from > *covered)
		return err_set(e, "hole: nothing is said about %llu to %llu",
			(unsigned long long)*covered, (unsigned long long)(from - 1));
	*covered = to < UINT64_MAX ? to + 1 : to;
	return 0;
}

/* A gap stands for what went, and for itself. */
static int cover_other(const struct wire_other *o, uint64_t *covered, struct err *e)
{
	struct journal_gap gap;

	if (o->kind == ENTRY_GAP) {
		if (journal_gap_decode(o->payload, o->len, &gap) < 0 || gap.from == 0 ||
			gap.from > gap.to || gap.count > gap.to - gap.from + 1)
			return err_set(e, "others: the gap at %llu is none", (unsigned long long)o->seq);
		if (cover(gap.from, gap.to, covered, e) < 0)
			return -1;
	}
	return cover(o->seq, o->seq, covered, e);
}

/* Rows, others and gaps together must cover first..last without a hole, and no entry twice. */
static int check_cover(const struct batch *b, struct err *e)
{
	const struct wire_batch_head *h = &b->public.head;
	const struct wire_rows *rows = b->public.rows;
	uint64_t covered = h->first, seq = h->first;
	size_t other = 0;

	for (size_t row = 0; row < rows->count; row++) {
		seq += (uint64_t)cell_signed(rows->pb->seq_step, row);
		for (; other < b->public.others_count && b->others[other].seq < seq; other++) {
			if (cover_other(&b->others[other], &covered, e) < 0)
				return -1;
		}
		if (other < b->public.others_count && b->others[other].seq == seq)
			return err_set(e, "seq %llu stands for two entries", (unsigned long long)seq);
		if (cover(seq, seq, &covered, e) < 0)
			return -1;
	}
	for (; other < b->public.others_count; other++) {
		if (cover_other(&b->others[other], &covered, e) < 0)
			return -1;
	}
	return cover(h->last + 1, h->last + 1, &covered, e);
}

static void batch_free(struct batch *b)
{
	wire_rows_free(b->public.rows);
	free(b->others);
	wire_pb_free(b->pb);
	free(b);
}

void wire_batch_free(struct wire_batch *b)
{
	if (b != NULL)
		batch_free((struct batch *)b);
}

static int fill_batch(struct batch *b, Xunjian__Wire__Batch *p, struct err *e)
{
	struct wire_batch_head *h = &b->public.head;

	*h = (struct wire_batch_head){.agent = p->agent,
		.previous = {p->previous_epoch, p->previous_last},
		.epoch = p->epoch,
		.first = p->first,
		.last = p->last,
		.sent_mono = p->sent_mono,
		.sent_real = p->sent_real,
		.sent_boot = p->sent_boot,
		.backlog = p->backlog};
	if (check_version(p->version, e) < 0 || check_head(h, e) < 0 || check_span(h, e) < 0 ||
		take_others(b, p->others, p->n_others, e) < 0)
		return -1;
	b->public.rows = rows_new(&p->results, &(struct span){SEQ_ASCENDS, p->first, p->last}, e);
	return b->public.rows != NULL ? check_cover(b, e) : -1;
}

static int fill_now(struct batch *b, Xunjian__Wire__Now *p, struct err *e)
{
	struct wire_batch_head *h = &b->public.head;

	*h = (struct wire_batch_head){.agent = p->agent,
		.epoch = p->epoch,
		.sent_mono = p->sent_mono,
		.sent_real = p->sent_real,
		.sent_boot = p->sent_boot,
		.backlog = p->backlog};
	if (check_version(p->version, e) < 0 || check_head(h, e) < 0)
		return -1;
	b->public.rows = rows_new(&p->results, &(struct span){SEQ_ANY, 1, SEQ_MAX}, e);
	return b->public.rows != NULL ? 0 : -1;
}

struct wire_batch *wire_batch_decode(const void *data, size_t len, struct err *e)
{
	void *pb = wire_pb_unpack(&xunjian__wire__batch__descriptor, data, len, "batch", e);
	struct batch *b;

	if (pb == NULL)
		return NULL;
	b = mem_alloc(sizeof *b);
	b->pb = pb;
	if (fill_batch(b, pb, e) == 0)
		return &b->public;
	batch_free(b);
	err_wrap(e, "batch");
	return NULL;
}

struct wire_batch *wire_now_decode(const void *data, size_t len, struct err *e)
{
	void *pb = wire_pb_unpack(&xunjian__wire__now__descriptor, data, len, "now", e);
	struct batch *b;

	if (pb == NULL)
		return NULL;
	b = mem_alloc(sizeof *b);
	b->pb = pb;
	if (fill_now(b, pb, e) == 0)
		return &b->public;
	batch_free(b);
	err_wrap(e, "now");
	return NULL;
}
