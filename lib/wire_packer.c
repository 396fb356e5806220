/* Encoding of results, batches and nows: rows are kept as columns from the first on. */
#include "lib/wire.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "lib/wire_pb.h"
#include "lib/wire_rows.h"
#include "wire.pb-c.h"

#define NUMBER_MAX 9007199254740992.0 /* 2^53: integers a double holds exactly */

/* Upper bounds of encoded bytes, so that a finished batch never exceeds what was asked for. */
#define SIZE_HEAD 256
#define SIZE_ROW 40
#define SIZE_CHECK 32
#define SIZE_TEXT 6
#define SIZE_SHAPE 16
#define SIZE_METRIC 4
#define SIZE_OTHER 32

typedef Xunjian__Wire__Results pb_results;
typedef Xunjian__Wire__CheckRef pb_check;
typedef Xunjian__Wire__Shape pb_shape;

/* protobuf-c has no const: what is packed is only read. */
static char *unconst(const char *text)
{
	return (char *)(uintptr_t)text;
}

/* ---- one result */

/* value * 10^decimals as an integer; false when it does not fit a double's integers. */
static bool scale(double value, unsigned decimals, int64_t *out)
{
	static const double powers[WIRE_DECIMALS_MAX + 1] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8,
		1e9};
	double scaled = value * powers[decimals];

	if (!(fabs(scaled) <= NUMBER_MAX))
		return false;
	*out = llround(scaled);
	return true;
}

struct one {
	uint32_t metric[SAMPLE_VALUES_MAX], decimals[SAMPLE_VALUES_MAX];
	int64_t values[SAMPLE_VALUES_MAX];
	char *texts[3];
	char clean[3][SAMPLE_TEXT_MAX + 1];
	size_t texts_count;
};

/* The index of a text among those of the one row; what is not clean would be refused for good. */
static uint32_t add_text(struct one *o, const char *text)
{
	if (text[0] == '\0')
		return 0;
	if (!text_is_clean(text, SAMPLE_TEXT_MAX))
		text = text_clean(text, strlen(text), o->clean[o->texts_count], sizeof o->clean[0]);
	for (size_t i = 0; i < o->texts_count; i++) {
		if (strcmp(o->texts[i], text) == 0)
			return (uint32_t)i + 1;
	}
	o->texts[o->texts_count++] = unconst(text);
	return (uint32_t)o->texts_count;
}

static size_t scale_values(const struct result *r, unsigned (*decimals_of)(uint32_t), struct one *o)
{
	size_t n = 0;

	for (size_t i = 0; i < r->count; i++) {
		o->metric[n] = r->values[i].metric;
		o->decimals[n] = decimals_of(r->values[i].metric);
		assert(o->decimals[n] <= WIRE_DECIMALS_MAX);
		if (scale(r->values[i].number, o->decimals[n], &o->values[n]))
			n++;
	}
	return n;
}

void wire_result_encode(const struct result *r, unsigned (*decimals_of)(uint32_t), struct buf *out)
{
	struct one o = {.texts_count = 0};
	pb_check check = XUNJIAN__WIRE__CHECK_REF__INIT;
	pb_shape shape = XUNJIAN__WIRE__SHAPE__INIT;
	pb_results p = XUNJIAN__WIRE__RESULTS__INIT;
	uint32_t verdict = (uint32_t)r->family * 4 + (uint32_t)r->outcome;
	uint32_t part = add_text(&o, r->part), address = add_text(&o, r->address);
	uint32_t reason = add_text(&o, r->reason);
	int64_t mono_ms = r->mono / NS_PER_MS;

	check.id = unconst(r->check);
	check.type = unconst(r->type);
	check.interval_s = r->interval_s;
	check.generation = r->generation;
	shape.n_metric = shape.n_decimals = p.n_values = scale_values(r, decimals_of, &o);
	shape.metric = o.metric;
	shape.decimals = o.decimals;
	p.values = o.values;
	p.n_checks = p.n_shapes = p.n_verdict = 1;
	p.checks = &(pb_check *){&check};
	p.shapes = &(pb_shape *){&shape};
	p.verdict = &verdict;
	p.texts = o.texts;
	p.n_texts = o.texts_count;
	p.part = &part;
	p.n_part = part != 0;
	p.address = &address;
	p.n_address = address != 0;
	p.reason = &reason;
	p.n_reason = reason != 0;
	p.time_step = &mono_ms;
	p.n_time_step = mono_ms != 0;
	p.boot = r->boot;
	wire_pb_pack(&p, out);
}

/* ---- many */

struct other {
	uint64_t seq;
	uint32_t kind;
	size_t at, len; /* in bytes */
};

struct wire_packer {
	size_t max_bytes, size; /* size: upper bound of what finish would encode */
	size_t rows, rows_room, values, values_room, others_count, others_room;
	size_t checks_count, checks_room, texts_count, texts_room, shapes_count, shapes_room;
	int64_t *seq, *mono_ms;
	uint32_t *check, *verdict, *part, *address, *reason, *shape;
	int64_t *numbers;
	/* The tables and where their entries stand: index + 1 as the value of a map. */
	pb_check *checks;
	char **texts;
	pb_shape *shapes;
	struct map *check_index, *text_index;
	struct arena *arena; /* of the tables */
	struct other *others;
	struct buf bytes; /* payloads of others */
	uint64_t boot;
};

struct wire_packer *wire_packer_new(size_t max_bytes)
{
	struct wire_packer *k = mem_alloc(sizeof *k);

	k->max_bytes = max_bytes < WIRE_BODY_MAX ? max_bytes : WIRE_BODY_MAX;
	k->size = SIZE_HEAD;
	k->arena = arena_new();
	k->check_index = map_new();
	k->text_index = map_new();
	return k;
}

/* Drops contents and tables; the columns keep their room. */
static void empty(struct wire_packer *k)
{
	arena_free(k->arena);
	map_free(k->check_index, NULL);
	map_free(k->text_index, NULL);
	k->arena = arena_new();
	k->check_index = map_new();
	k->text_index = map_new();
	k->rows = k->values = k->others_count = 0;
	k->checks_count = k->texts_count = k->shapes_count = 0;
	k->size = SIZE_HEAD;
	buf_clear(&k->bytes);
}

void wire_packer_free(struct wire_packer *k)
{
	if (k == NULL)
		return;
	arena_free(k->arena);
	map_free(k->check_index, NULL);
	map_free(k->text_index, NULL);
	free(k->seq);
	free(k->mono_ms);
	free(k->check);
	free(k->verdict);
	free(k->part);
	free(k->address);
	free(k->reason);
	free(k->shape);
	free(k->numbers);
	free(k->checks);
	free(k->texts);
	free(k->shapes);
	free(k->others);
	buf_fini(&k->bytes);
	free(k);
}

size_t wire_packer_count(const struct wire_packer *k)
{
	return k->rows + k->others_count;
}

/* Doubles *room until `needed` fit; true when columns have to follow. */
static bool grow(size_t *room, size_t needed)
{
	if (*room >= needed)
		return false;
	if (*room == 0)
		*room = 64;
	while (*room < needed)
		*room *= 2;
	return true;
}

static void grow_rows(struct wire_packer *k)
{
	if (!grow(&k->rows_room, k->rows + 1))
		return;
	k->seq = mem_resize(k->seq, k->rows_room, sizeof *k->seq);
	k->mono_ms = mem_resize(k->mono_ms, k->rows_room, sizeof *k->mono_ms);
	k->check = mem_resize(k->check, k->rows_room, sizeof *k->check);
	k->verdict = mem_resize(k->verdict, k->rows_room, sizeof *k->verdict);
	k->part = mem_resize(k->part, k->rows_room, sizeof *k->part);
	k->address = mem_resize(k->address, k->rows_room, sizeof *k->address);
	k->reason = mem_resize(k->reason, k->rows_room, sizeof *k->reason);
	k->shape = mem_resize(k->shape, k->rows_room, sizeof *k->shape);
}

static uint32_t index_find(const struct map *m, const char *key)
{
	return (uint32_t)(uintptr_t)map_find(m, key);
}

static void index_set(struct map *m, const char *key, size_t index)
{
	map_set(m, key, (void *)(uintptr_t)(index + 1));
}

/* An id that comes with other settings again takes a new place; the index leads to the newest. */
static uint32_t put_check(struct wire_packer *k, const pb_check *from)
{
	uint32_t at = index_find(k->check_index, from->id);
	pb_check *c;

	if (at > 0) {
		c = &k->checks[at - 1];
		if (c->interval_s == from->interval_s && c->generation == from->generation &&
			strcmp(c->type, from->type) == 0)
			return at - 1;
	}
	if (grow(&k->checks_room, k->checks_count + 1))
		k->checks = mem_resize(k->checks, k->checks_room, sizeof *k->checks);
	c = &k->checks[k->checks_count];
	xunjian__wire__check_ref__init(c);
	c->id = arena_strdup(k->arena, from->id);
	c->type = arena_strdup(k->arena, from->type);
	c->interval_s = from->interval_s;
	c->generation = from->generation;
	index_set(k->check_index, from->id, k->checks_count);
	k->size += SIZE_CHECK + strlen(from->id) + strlen(from->type);
	return (uint32_t)k->checks_count++;
}

static uint32_t put_text(struct wire_packer *k, const char *text)
{
	uint32_t at;

	if (text[0] == '\0')
		return 0;
	at = index_find(k->text_index, text);
	if (at > 0)
		return at;
	if (grow(&k->texts_room, k->texts_count + 1))
		k->texts = mem_resize(k->texts, k->texts_room, sizeof *k->texts);
	k->texts[k->texts_count] = arena_strdup(k->arena, text);
	index_set(k->text_index, text, k->texts_count);
	k->size += SIZE_TEXT + strlen(text);
	return (uint32_t)++k->texts_count;
}

static bool shape_is(const pb_shape *a, const pb_shape *b)
{
	if (a->n_metric != b->n_metric || a->n_decimals != b->n_decimals)
		return false;
	for (size_t i = 0; i < b->n_metric; i++) {
		if (a->metric[i] != b->metric[i])
			return false;
	}
	for (size_t i = 0; i < b->n_decimals; i++) {
		if (a->decimals[i] != b->decimals[i])
			return false;
	}
	return true;
}

/* There are few shapes, one or two per probe type: the newest first. */
static uint32_t put_shape(struct wire_packer *k, const pb_shape *from)
{
	size_t bytes = from->n_metric * sizeof *from->metric;
	pb_shape *s;

	for (size_t i = k->shapes_count; i-- > 0;) {
		if (shape_is(&k->shapes[i], from))
			return (uint32_t)i;
	}
	if (grow(&k->shapes_room, k->shapes_count + 1))
		k->shapes = mem_resize(k->shapes, k->shapes_room, sizeof *k->shapes);
	s = &k->shapes[k->shapes_count];
	xunjian__wire__shape__init(s);
	s->n_metric = from->n_metric;
	s->n_decimals = from->n_decimals;
	s->metric = arena_alloc(k->arena, bytes);
	s->decimals = arena_alloc(k->arena, bytes);
	if (bytes > 0)
		memcpy(s->metric, from->metric, bytes);
	if (from->n_decimals > 0)
		memcpy(s->decimals, from->decimals, bytes);
	k->size += SIZE_SHAPE + SIZE_METRIC * from->n_metric;
	return (uint32_t)k->shapes_count++;
}

static size_t varint_size(int64_t v)
{
	uint64_t zigzag = (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0);
	unsigned bits = 64u - (unsigned)__builtin_clzll(zigzag | 1);

	return (bits + 6) / 7;
}

static size_t values_size(const int64_t *values, size_t count)
{
	size_t size = 0;

	for (size_t i = 0; i < count; i++)
		size += varint_size(values[i]);
	return size;
}

/* What the one row would add, when nothing of it stands in the tables yet. */
static size_t row_size(const pb_results *p)
{
	size_t size = SIZE_ROW + SIZE_CHECK + strlen(p->checks[0]->id) + strlen(p->checks[0]->type) +
		SIZE_SHAPE + SIZE_METRIC * p->shapes[0]->n_metric + values_size(p->values, p->n_values);

	for (size_t i = 0; i < p->n_texts; i++)
		size += SIZE_TEXT + strlen(p->texts[i]);
	return size;
}

static bool row_fits(const struct wire_packer *k, const pb_results *p)
{
	if (k->rows > 0 && k->boot != p->boot)
		return false;
	return k->rows < WIRE_ROWS_MAX && k->values + p->n_values <= WIRE_VALUES_MAX &&
		k->checks_count < WIRE_CHECKS_MAX && k->shapes_count < WIRE_SHAPES_MAX &&
		(wire_packer_count(k) == 0 || k->size + row_size(p) <= k->max_bytes);
}

static uint32_t put_text_of(struct wire_packer *k, const pb_results *p, const uint32_t *column)
{
	uint32_t at = column != NULL ? column[0] : 0;

	return at > 0 ? put_text(k, p->texts[at - 1]) : 0;
}

static void put_row(struct wire_packer *k, uint64_t seq, const pb_results *p)
{
	const pb_shape *shape = p->shapes[p->shape != NULL ? p->shape[0] : 0];
	size_t row = k->rows;

	grow_rows(k);
	k->seq[row] = (int64_t)seq;
	k->mono_ms[row] = p->time_step != NULL ? p->time_step[0] : 0;
	k->verdict[row] = p->verdict[0];
	k->check[row] = put_check(k, p->checks[p->check != NULL ? p->check[0] : 0]);
	k->part[row] = put_text_of(k, p, p->part);
	k->address[row] = put_text_of(k, p, p->address);
	k->reason[row] = put_text_of(k, p, p->reason);
	k->shape[row] = put_shape(k, shape);
	if (grow(&k->values_room, k->values + p->n_values))
		k->numbers = mem_resize(k->numbers, k->values_room, sizeof *k->numbers);
	if (p->n_values > 0)
		memcpy(k->numbers + k->values, p->values, p->n_values * sizeof *p->values);
	k->values += p->n_values;
	k->size += SIZE_ROW + values_size(p->values, p->n_values);
	k->boot = p->boot;
	k->rows++;
}

static int add_result(struct wire_packer *k, uint64_t seq, const void *payload, size_t len,
	struct err *e)
{
	struct wire_rows *rows = wire_result_decode(payload, len, e);
	const pb_results *p;
	int rc;

	if (rows == NULL)
		return -1;
	p = wire_rows_message(rows);
	if (wire_rows_count(rows) != 1 || p->n_checks != 1 || p->n_shapes != 1)
		rc = err_set(e, "entry %llu is not one result", (unsigned long long)seq);
	else
		rc = row_fits(k, p);
	if (rc == 1)
		put_row(k, seq, p);
	wire_rows_free(rows);
	return rc;
}

static int add_other(struct wire_packer *k, uint64_t seq, uint8_t kind, const void *payload, size_t len)
{
	size_t max = wire_packer_count(k) == 0 ? WIRE_BODY_MAX : k->max_bytes;

	if (k->others_count == WIRE_ROWS_MAX || len > max || k->size + SIZE_OTHER + len > max)
		return 0;
	if (grow(&k->others_room, k->others_count + 1))
		k->others = mem_resize(k->others, k->others_room, sizeof *k->others);
	k->others[k->others_count++] = (struct other){seq, kind, k->bytes.len, len};
	buf_add(&k->bytes, payload, len);
	k->size += SIZE_OTHER + len;
	return 1;
}

int wire_packer_add(struct wire_packer *k, uint64_t seq, uint8_t kind, const void *payload, size_t len,
	struct err *e)
{
	return kind == ENTRY_RESULT ? add_result(k, seq, payload, len, e)
				    : add_other(k, seq, kind, payload, len);
}

/* ---- finish */

/* Each element becomes its difference to the one before, the first to base. */
static void to_steps(int64_t *column, size_t n, int64_t base)
{
	for (size_t i = 0; i < n; i++) {
		int64_t here = column[i];

		column[i] = here - base;
		base = here;
	}
}

/* The length of a column on the wire: none when it is all zeros. */
static size_t column_length(const uint32_t *column, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (column[i] != 0)
			return n;
	}
	return 0;
}

static size_t column_length_signed(const int64_t *column, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (column[i] != 0)
			return n;
	}
	return 0;
}

static void fill_tables(struct wire_packer *k, pb_results *p)
{
	p->n_checks = k->checks_count;
	p->checks = arena_alloc(k->arena, k->checks_count * sizeof *p->checks);
	for (size_t i = 0; i < k->checks_count; i++)
		p->checks[i] = &k->checks[i];
	p->n_shapes = k->shapes_count;
	p->shapes = arena_alloc(k->arena, k->shapes_count * sizeof *p->shapes);
	for (size_t i = 0; i < k->shapes_count; i++)
		p->shapes[i] = &k->shapes[i];
	p->n_texts = k->texts_count;
	p->texts = k->texts;
}

static void fill_results(struct wire_packer *k, uint64_t first, pb_results *p)
{
	size_t n = k->rows;

	to_steps(k->seq, n, (int64_t)first);
	to_steps(k->mono_ms, n, 0);
	fill_tables(k, p);
	p->boot = k->boot;
	p->n_verdict = n;
	p->verdict = k->verdict;
	p->n_values = k->values;
	p->values = k->numbers;
	p->n_seq_step = column_length_signed(k->seq, n);
	p->seq_step = k->seq;
	p->n_time_step = column_length_signed(k->mono_ms, n);
	p->time_step = k->mono_ms;
	p->n_check = column_length(k->check, n);
	p->check = k->check;
	p->n_part = column_length(k->part, n);
	p->part = k->part;
	p->n_address = column_length(k->address, n);
	p->address = k->address;
	p->n_reason = column_length(k->reason, n);
	p->reason = k->reason;
	p->n_shape = column_length(k->shape, n);
	p->shape = k->shape;
}

static void fill_others(struct wire_packer *k, Xunjian__Wire__Batch *p)
{
	Xunjian__Wire__Other *all = arena_alloc(k->arena, k->others_count * sizeof *all);

	p->n_others = k->others_count;
	p->others = arena_alloc(k->arena, k->others_count * sizeof *p->others);
	for (size_t i = 0; i < k->others_count; i++) {
		xunjian__wire__other__init(&all[i]);
		all[i].seq = k->others[i].seq;
		all[i].kind = k->others[i].kind;
		all[i].payload.len = k->others[i].len;
		all[i].payload.data = k->bytes.data + k->others[i].at;
		p->others[i] = &all[i];
	}
}

void wire_packer_finish(struct wire_packer *k, const struct wire_batch_head *h, struct buf *out)
{
	Xunjian__Wire__Batch p = XUNJIAN__WIRE__BATCH__INIT;
	pb_results results = XUNJIAN__WIRE__RESULTS__INIT;

	p.version = WIRE_VERSION;
	p.agent = unconst(h->agent);
	p.epoch = h->epoch;
	p.first = h->first;
	p.last = h->last;
	p.previous_epoch = h->previous.epoch;
	p.previous_last = h->previous.seq;
	p.sent_mono = h->sent_mono;
	p.sent_real = h->sent_real;
	p.sent_boot = h->sent_boot;
	p.backlog = h->backlog;
	if (k->rows > 0) {
		fill_results(k, h->first, &results);
		p.results = &results;
	}
	fill_others(k, &p);
	wire_pb_pack(&p, out);
	empty(k);
}

void wire_now_encode(struct wire_packer *k, const struct wire_batch_head *h, struct buf *out)
{
	Xunjian__Wire__Now p = XUNJIAN__WIRE__NOW__INIT;
	pb_results results = XUNJIAN__WIRE__RESULTS__INIT;

	assert(k->others_count == 0);
	p.version = WIRE_VERSION;
	p.agent = unconst(h->agent);
	p.epoch = h->epoch;
	p.sent_mono = h->sent_mono;
	p.sent_real = h->sent_real;
	p.sent_boot = h->sent_boot;
	p.backlog = h->backlog;
	if (k->rows > 0) {
		fill_results(k, 0, &results);
		p.results = &results;
	}
	wire_pb_pack(&p, out);
	empty(k);
}
