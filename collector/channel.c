#include "collector/channel.h"

#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/mem.h"

#define COLUMNS_MAX 256
#define LAYERS_MAX 64
#define ROWS_MAX 100000
#define FETCH_TIME_MAX (INT64_C(1) << 40) /* s: sums of two times a few thousand fit */

/* ---- pieces: a text is u16 length, bytes, NUL (so that a decoder can borrow it) */

static void add_text(struct buf *out, const char *text)
{
	size_t len = strlen(text);

	if (len > UINT16_MAX)
		len = UINT16_MAX;
	buf_add_u16(out, (uint16_t)len);
	buf_add(out, text, len);
	buf_add_u8(out, 0);
}

static const char *take_text(struct cursor *c, size_t max)
{
	size_t len = cursor_u16(c);
	const uint8_t *p = cursor_bytes(c, len + 1);

	if (p == NULL || len > max || p[len] != '\0' || memchr(p, '\0', len) != NULL) {
		c->failed = true;
		return "";
	}
	return (const char *)p;
}

static void copy_text(struct cursor *c, char *out, size_t room)
{
	const char *text = take_text(c, room - 1);

	memcpy(out, text, strlen(text) + 1);
}

static int done(const struct cursor *c)
{
	return c->failed || cursor_left(c) != 0 ? -1 : 0;
}

/* ---- positions */

void channel_position_encode(struct position p, struct buf *out)
{
	buf_add_u64(out, p.epoch);
	buf_add_u64(out, p.seq);
}

static struct position take_position(struct cursor *c)
{
	struct position p = {.epoch = cursor_u64(c)};

	p.seq = cursor_u64(c);
	return p;
}

int channel_position_decode(const void *data, size_t len, struct position *out)
{
	struct cursor c = cursor_over(data, len);

	*out = take_position(&c);
	return done(&c);
}

void channel_passed_encode(const char *view, struct position p, struct buf *out)
{
	add_text(out, view);
	channel_position_encode(p, out);
}

int channel_passed_decode(const void *data, size_t len, char view[32], struct position *out)
{
	struct cursor c = cursor_over(data, len);

	copy_text(&c, view, 32);
	*out = take_position(&c);
	return done(&c);
}

void channel_probe_encode(const char *agent, const char *check, struct buf *out)
{
	add_text(out, agent);
	add_text(out, check);
}

int channel_probe_decode(const void *data, size_t len, char agent[SAMPLE_ID_MAX + 1], char check[SAMPLE_ID_MAX + 1])
{
	struct cursor c = cursor_over(data, len);

	copy_text(&c, agent, SAMPLE_ID_MAX + 1);
	copy_text(&c, check, SAMPLE_ID_MAX + 1);
	return done(&c);
}

void channel_ledger_encode(const char *subject, int64_t from, int64_t until, struct buf *out)
{
	add_text(out, subject);
	buf_add_u64(out, (uint64_t)from);
	buf_add_u64(out, (uint64_t)until);
}

int channel_ledger_decode(const void *data, size_t len, char subject[CHANNEL_SUBJECT], int64_t *from, int64_t *until)
{
	struct cursor c = cursor_over(data, len);

	copy_text(&c, subject, CHANNEL_SUBJECT);
	*from = (int64_t)cursor_u64(&c);
	*until = (int64_t)cursor_u64(&c);
	return done(&c);
}

void channel_availability_encode(const struct channel_availability *a, struct buf *out)
{
	add_text(out, a->period);
	add_text(out, a->unit);
	add_text(out, a->system);
	add_text(out, a->link);
	buf_add_u8(out, (uint8_t)a->family);
	buf_add_u8(out, a->always);
	buf_add_u8(out, a->measured);
	buf_add_u8(out, a->with_planned);
	buf_add_u8(out, a->form);
}

int channel_availability_decode(const void *data, size_t len, struct channel_availability *out)
{
	struct cursor c = cursor_over(data, len);
	uint8_t family;

	copy_text(&c, out->period, sizeof out->period);
	copy_text(&c, out->unit, sizeof out->unit);
	copy_text(&c, out->system, sizeof out->system);
	copy_text(&c, out->link, sizeof out->link);
	family = cursor_u8(&c);
	out->family = family == FAMILY_V4 ? FAMILY_V4 : family == FAMILY_V6 ? FAMILY_V6 : FAMILY_NONE;
	out->always = cursor_u8(&c) != 0;
	out->measured = cursor_u8(&c) != 0;
	out->with_planned = cursor_u8(&c) != 0;
	out->form = cursor_u8(&c);
	return done(&c);
}

/* ---- rows of the catalogue */

void channel_note_encode(uint8_t matter, bool is_bad, const char *words, struct buf *out)
{
	buf_add_u8(out, matter);
	buf_add_u8(out, is_bad);
	buf_add_text(out, words);
}

int channel_note_decode(const void *data, size_t len, uint8_t *matter, bool *is_bad, const char **words, size_t *words_len)
{
	struct cursor c = cursor_over(data, len);

	*matter = cursor_u8(&c);
	*is_bad = cursor_u8(&c) != 0;
	*words_len = cursor_left(&c);
	*words = (const char *)c.at;
	return c.failed ? -1 : 0;
}

void channel_rows_begin(uint64_t version, uint64_t instance, struct buf *out)
{
	buf_add_u64(out, version);
	buf_add_u64(out, instance);
}

void channel_rows_add(const struct channel_row *r, struct buf *out)
{
	add_text(out, r->check);
	add_text(out, r->vantage);
	add_text(out, r->type);
	add_text(out, r->part);
	add_text(out, r->address);
	add_text(out, r->reason);
	buf_add_u32(out, r->part_number);
	buf_add_u32(out, r->interval_s);
	buf_add_u8(out, (uint8_t)r->family);
	buf_add_u8(out, (uint8_t)r->outcome);
	buf_add_u64(out, (uint64_t)r->measured);
	buf_add_u64(out, (uint64_t)r->since);
	buf_add_u64(out, r->version);
}

static void take_row(struct cursor *c, struct channel_row *r)
{
	uint8_t family, outcome;

	r->check = take_text(c, SAMPLE_ID_MAX);
	r->vantage = take_text(c, SAMPLE_ID_MAX);
	r->type = take_text(c, SAMPLE_ID_MAX);
	r->part = take_text(c, SAMPLE_TEXT_MAX);
	r->address = take_text(c, SAMPLE_TEXT_MAX);
	r->reason = take_text(c, SAMPLE_TEXT_MAX);
	r->part_number = cursor_u32(c);
	r->interval_s = cursor_u32(c);
	family = cursor_u8(c);
	outcome = cursor_u8(c);
	if (!family_is_valid(family) || !outcome_is_valid(outcome))
		c->failed = true;
	r->family = (enum family)family;
	r->outcome = (enum outcome)outcome;
	r->measured = (int64_t)cursor_u64(c);
	r->since = (int64_t)cursor_u64(c);
	r->version = cursor_u64(c);
}

int channel_rows_decode(const void *data, size_t len, uint64_t *version, uint64_t *instance,
	void (*on_row)(void *ctx, const struct channel_row *), void *ctx)
{
	struct cursor c = cursor_over(data, len);

	*version = cursor_u64(&c);
	*instance = cursor_u64(&c);
	while (!c.failed && cursor_left(&c) > 0) {
		struct channel_row row;

		take_row(&c, &row);
		if (!c.failed)
			on_row(ctx, &row);
	}
	return c.failed ? -1 : 0;
}

/* ---- states */

void channel_states_begin(uint64_t version, int64_t reached, struct buf *out)
{
	buf_add_u64(out, version);
	buf_add_u64(out, (uint64_t)reached);
}

void channel_states_add(const struct channel_state *s, struct buf *out)
{
	add_text(out, s->subject);
	buf_add_u8(out, s->state);
	buf_add_u8(out, s->v4);
	buf_add_u8(out, s->v6);
	buf_add_u64(out, (uint64_t)s->since);
}

int channel_states_decode(const void *data, size_t len, uint64_t *version, int64_t *reached,
	void (*on_state)(void *ctx, const struct channel_state *), void *ctx)
{
	struct cursor c = cursor_over(data, len);

	*version = cursor_u64(&c);
	*reached = (int64_t)cursor_u64(&c);
	while (!c.failed && cursor_left(&c) > 0) {
		struct channel_state s = {.subject = take_text(&c, CHANNEL_SUBJECT - 1)};

		s.state = cursor_u8(&c);
		s.v4 = cursor_u8(&c);
		s.v6 = cursor_u8(&c);
		s.since = (int64_t)cursor_u64(&c);
		c.failed = c.failed || s.state >= CHANNEL_STATE_END || s.v4 >= CHANNEL_STATE_END || s.v6 >= CHANNEL_STATE_END;
		if (!c.failed)
			on_state(ctx, &s);
	}
	return c.failed ? -1 : 0;
}

/* ---- fetch and values */

void channel_fetch_encode(const struct channel_fetch *f, struct buf *out)
{
	add_text(out, f->check);
	add_text(out, f->vantage);
	buf_add_u8(out, (uint8_t)f->family);
	buf_add_u32(out, f->part_number);
	buf_add_u64(out, (uint64_t)f->from);
	buf_add_u64(out, (uint64_t)f->to);
	buf_add_u32(out, f->points);
}

int channel_fetch_decode(const void *data, size_t len, struct channel_fetch *f)
{
	struct cursor c = cursor_over(data, len);
	uint8_t family;

	copy_text(&c, f->check, sizeof f->check);
	copy_text(&c, f->vantage, sizeof f->vantage);
	family = cursor_u8(&c);
	f->family = (enum family)family;
	f->part_number = cursor_u32(&c);
	f->from = (int64_t)cursor_u64(&c);
	f->to = (int64_t)cursor_u64(&c);
	f->points = cursor_u32(&c);
	if (!family_is_valid(family) || f->from < 0 || f->to <= f->from || f->to > FETCH_TIME_MAX || f->points == 0)
		return -1;
	return done(&c);
}

static void add_values(const struct channel_values *v, struct buf *out)
{
	buf_add_u64(out, (uint64_t)v->start);
	buf_add_u64(out, (uint64_t)v->step);
	buf_add_u32(out, (uint32_t)v->rows);
	buf_add_u32(out, (uint32_t)v->columns);
	for (size_t i = 0; i < v->columns; i++) {
		buf_add_u32(out, v->column[i].metric);
		buf_add_u8(out, v->column[i].function);
		buf_add(out, v->column[i].numbers, v->rows * sizeof(double));
	}
}

void channel_values_encode(const struct channel_values *v, struct buf *out)
{
	add_values(v, out);
}

/* Reads the head of values and says how many bytes their columns take in the message. */
static size_t take_values_head(struct cursor *c, struct channel_values *v)
{
	v->start = (int64_t)cursor_u64(c);
	v->step = (int64_t)cursor_u64(c);
	v->rows = cursor_u32(c);
	v->columns = cursor_u32(c);
	if (v->rows > ROWS_MAX || v->columns > COLUMNS_MAX)
		c->failed = true;
	return c->failed ? 0 : v->columns * (5 + v->rows * sizeof(double));
}

/* Room that the columns of v take in a block: the descriptions, then the numbers. */
static size_t values_room(const struct channel_values *v)
{
	return v->columns * (sizeof(struct channel_column) + v->rows * sizeof(double));
}

/* Fills v from the message; uses values_room(v) bytes at *at and moves it on. */
static void take_columns(struct cursor *c, struct channel_values *v, uint8_t **at)
{
	struct channel_column *column = (void *)*at;
	double *numbers = (void *)(*at + v->columns * sizeof *column);

	v->column = column;
	for (size_t i = 0; i < v->columns; i++) {
		const uint8_t *bytes;

		column[i].metric = cursor_u32(c);
		column[i].function = cursor_u8(c);
		column[i].numbers = numbers;
		bytes = cursor_bytes(c, v->rows * sizeof(double));
		if (bytes != NULL && v->rows > 0)
			memcpy(numbers, bytes, v->rows * sizeof(double));
		numbers += v->rows;
	}
	*at = (uint8_t *)numbers;
}

int channel_values_decode(const void *data, size_t len, struct channel_values *v, void **block)
{
	struct cursor c = cursor_over(data, len);
	uint8_t *at;

	*block = NULL;
	if (take_values_head(&c, v) != cursor_left(&c) || c.failed)
		return -1;
	at = *block = mem_alloc(values_room(v));
	take_columns(&c, v, &at);
	return 0;
}

/* ---- pictures */

void channel_render_encode(const struct channel_render *r, struct buf *out)
{
	buf_add_u8(out, r->format);
	buf_add_u32(out, r->width);
	buf_add_u32(out, r->height);
	add_text(out, r->title);
	add_text(out, r->language);
	buf_add_u64(out, (uint64_t)r->from);
	buf_add_u64(out, (uint64_t)r->to);
	buf_add_u32(out, (uint32_t)r->layers_count);
	for (size_t i = 0; i < r->layers_count; i++) {
		add_text(out, r->layers[i].label);
		buf_add_u8(out, (uint8_t)r->layers[i].family);
		add_values(&r->layers[i].values, out);
	}
}

static void take_render_head(struct cursor *c, struct channel_render *r)
{
	r->format = cursor_u8(c);
	r->width = cursor_u32(c);
	r->height = cursor_u32(c);
	r->title = take_text(c, UINT16_MAX);
	r->language = take_text(c, 8);
	r->from = (int64_t)cursor_u64(c);
	r->to = (int64_t)cursor_u64(c);
	r->layers_count = cursor_u32(c);
	if (r->layers_count > LAYERS_MAX)
		c->failed = true;
}

/* Room for all layers, found by walking over them; the cursor is a copy. */
static size_t layers_room(struct cursor c, size_t count)
{
	size_t room = count * sizeof(struct channel_layer);

	for (size_t i = 0; i < count && !c.failed; i++) {
		struct channel_values v;

		take_text(&c, UINT16_MAX);
		cursor_u8(&c);
		cursor_bytes(&c, take_values_head(&c, &v));
		if (!c.failed)
			room += values_room(&v);
	}
	return c.failed || cursor_left(&c) != 0 ? 0 : room;
}

int channel_render_decode(const void *data, size_t len, struct channel_render *r, void **block)
{
	struct cursor c = cursor_over(data, len);
	struct channel_layer *layers;
	size_t room;
	uint8_t *at;

	*block = NULL;
	take_render_head(&c, r);
	if (c.failed || r->layers_count == 0)
		return done(&c);
	room = layers_room(c, r->layers_count);
	if (room == 0)
		return -1;
	layers = *block = mem_alloc(room);
	at = (uint8_t *)(layers + r->layers_count);
	for (size_t i = 0; i < r->layers_count; i++) {
		uint8_t family;

		layers[i].label = take_text(&c, UINT16_MAX);
		family = cursor_u8(&c);
		if (!family_is_valid(family))
			c.failed = true;
		layers[i].family = (enum family)family;
		take_values_head(&c, &layers[i].values);
		take_columns(&c, &layers[i].values, &at);
	}
	r->layers = layers;
	if (done(&c) == 0)
		return 0;
	free(*block);
	*block = NULL;
	return -1;
}
