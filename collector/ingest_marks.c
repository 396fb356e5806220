#include "collector/ingest_marks.h"

#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/crc32c.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/sample.h"
#include "lib/wire.h"

#define MAGIC 0x4b4d4a58u /* "XJMK" */

struct boot {
	uint64_t id;
	int64_t offset;
	int64_t larger; /* estimate that waits for a second one; 0: none. Not on disk */
};

struct agent {
	struct position epochs[MARKS_EPOCHS]; /* last seq of each; the newest last */
	size_t epochs_count;
	struct boot boots[MARKS_BOOTS]; /* the newest last */
	size_t boots_count;
};

struct marks {
	struct map *agents; /* of struct agent */
};

struct marks *marks_new(void)
{
	struct marks *m = mem_alloc(sizeof *m);

	m->agents = map_new();
	return m;
}

void marks_free(struct marks *m)
{
	if (m == NULL)
		return;
	map_free(m->agents, free);
	free(m);
}

static struct agent *need_agent(struct marks *m, const char *id)
{
	struct agent *a = map_find(m->agents, id);

	if (a == NULL) {
		a = mem_alloc(sizeof *a);
		map_set(m->agents, id, a);
	}
	return a;
}

/* ---- positions */

static struct position *find_epoch(struct agent *a, uint64_t epoch)
{
	for (size_t i = 0; i < a->epochs_count; i++) {
		if (a->epochs[i].epoch == epoch)
			return &a->epochs[i];
	}
	return NULL;
}

static enum marks_verdict expect(const struct position *known, struct position *expected)
{
	*expected = (struct position){known->epoch, known->seq + 1};
	return MARKS_EXPECTED;
}

/* An epoch that is not known yet, of an agent whose newest one is. A batch that begins with a gap over its own
 * opening cannot name the one before. */
static enum marks_verdict judge_new_epoch(const struct position *newest, const struct wire_batch_head *h,
	struct position *expected)
{
	bool goes_on = h->previous.epoch == newest->epoch && h->previous.seq >= newest->seq;

	if (h->first == newest->seq + 1 && (goes_on || h->previous.epoch == 0))
		return MARKS_TAKE;
	if (h->first > newest->seq + 1 && goes_on)
		return expect(newest, expected);
	return MARKS_ODD;
}

enum marks_verdict marks_judge(const struct marks *m, const struct wire_batch_head *h, struct position *expected)
{
	struct agent *a = map_find(m->agents, h->agent);
	const struct position *known;

	if (a == NULL || a->epochs_count == 0)
		return MARKS_TAKE;
	known = find_epoch(a, h->epoch);
	if (known == NULL)
		return judge_new_epoch(&a->epochs[a->epochs_count - 1], h, expected);
	if (h->last <= known->seq)
		return MARKS_DUPLICATE;
	return h->first == known->seq + 1 ? MARKS_TAKE : expect(known, expected);
}

/* The epoch becomes the newest. */
void marks_take(struct marks *m, const struct wire_batch_head *h)
{
	struct agent *a = need_agent(m, h->agent);
	struct position *known = find_epoch(a, h->epoch), *end = a->epochs + a->epochs_count;

	if (known == NULL && a->epochs_count == MARKS_EPOCHS)
		known = a->epochs;
	if (known != NULL)
		memmove(known, known + 1, (size_t)(end - known - 1) * sizeof *known);
	else
		a->epochs_count++;
	a->epochs[a->epochs_count - 1] = (struct position){h->epoch, h->last};
}

/* ---- times */

static struct boot *find_boot(struct agent *a, uint64_t id)
{
	for (size_t i = 0; i < a->boots_count; i++) {
		if (a->boots[i].id == id)
			return &a->boots[i];
	}
	return NULL;
}

/* Moves to a new estimate only by a step, and to a larger one only when the last one was larger too. */
static void move_offset(struct boot *b, int64_t estimate)
{
	int64_t larger = b->larger;

	b->larger = 0;
	if (llabs(estimate - b->offset) <= MARKS_OFFSET_STEP)
		return;
	if (estimate < b->offset)
		b->offset = estimate;
	else if (larger != 0)
		b->offset = larger < estimate ? larger : estimate;
	else
		b->larger = estimate;
}

bool marks_offset(struct marks *m, const struct wire_batch_head *h, uint64_t boot, int64_t received_real, int64_t *offset)
{
	struct agent *a = need_agent(m, h->agent);
	struct boot *known = find_boot(a, boot);

	if (boot == h->sent_boot) {
		int64_t estimate = received_real - h->sent_mono;

		if (known == NULL)
			marks_set_offset(m, h->agent, boot, estimate);
		else
			move_offset(known, estimate);
		known = find_boot(a, boot);
	}
	if (known != NULL)
		*offset = known->offset;
	return known != NULL;
}

void marks_set_offset(struct marks *m, const char *agent, uint64_t boot, int64_t offset)
{
	struct agent *a = need_agent(m, agent);
	struct boot *known = find_boot(a, boot);

	if (known != NULL) {
		known->offset = offset;
		return;
	}
	if (a->boots_count == MARKS_BOOTS)
		memmove(a->boots, a->boots + 1, --a->boots_count * sizeof *a->boots);
	a->boots[a->boots_count++] = (struct boot){boot, offset, 0};
}

/* ---- bytes: counts and pairs of u64, the id of an agent as u8 length and bytes; crc32c at the end */

void marks_encode(const struct marks *m, struct position at, struct buf *out)
{
	size_t begin = out->len;

	buf_add_u32(out, MAGIC);
	buf_add_u64(out, at.epoch);
	buf_add_u64(out, at.seq);
	buf_add_u32(out, (uint32_t)map_count(m->agents));
	for (size_t i = 0; i < map_count(m->agents); i++) {
		const char *id;
		const struct agent *a = map_at(m->agents, i, &id);

		buf_add_u8(out, (uint8_t)strlen(id));
		buf_add_text(out, id);
		buf_add_u8(out, (uint8_t)a->epochs_count);
		for (size_t k = 0; k < a->epochs_count; k++) {
			buf_add_u64(out, a->epochs[k].epoch);
			buf_add_u64(out, a->epochs[k].seq);
		}
		buf_add_u8(out, (uint8_t)a->boots_count);
		for (size_t k = 0; k < a->boots_count; k++) {
			buf_add_u64(out, a->boots[k].id);
			buf_add_u64(out, (uint64_t)a->boots[k].offset);
		}
	}
	buf_add_u32(out, crc32c(0, out->data + begin, out->len - begin));
}

static void decode_agent(struct cursor *c, struct marks *m)
{
	char id[SAMPLE_ID_MAX + 1] = "";
	uint8_t len = cursor_u8(c), count;
	const uint8_t *text = cursor_bytes(c, len);
	struct agent *a;

	if (text == NULL || len > SAMPLE_ID_MAX) {
		c->failed = true;
		return;
	}
	memcpy(id, text, len);
	a = need_agent(m, id);
	count = cursor_u8(c);
	for (; a->epochs_count < count && a->epochs_count < MARKS_EPOCHS && !c->failed; a->epochs_count++) {
		a->epochs[a->epochs_count].epoch = cursor_u64(c);
		a->epochs[a->epochs_count].seq = cursor_u64(c);
	}
	count = cursor_u8(c);
	for (; a->boots_count < count && a->boots_count < MARKS_BOOTS && !c->failed; a->boots_count++) {
		a->boots[a->boots_count].id = cursor_u64(c);
		a->boots[a->boots_count].offset = (int64_t)cursor_u64(c);
	}
}

struct marks *marks_decode(const void *data, size_t len, struct position *at, struct err *e)
{
	struct cursor c = cursor_over(data, len < 4 ? 0 : len - 4), sum;
	struct marks *m;
	uint32_t count;

	if (cursor_u32(&c) != MAGIC) {
		err_set(e, "marks are damaged: they do not begin as such");
		return NULL;
	}
	sum = cursor_over((const uint8_t *)data + len - 4, 4);
	if (cursor_u32(&sum) != crc32c(0, data, len - 4)) {
		err_set(e, "marks are damaged: their checksum is wrong");
		return NULL;
	}
	at->epoch = cursor_u64(&c);
	at->seq = cursor_u64(&c);
	count = cursor_u32(&c);
	m = marks_new();
	for (uint32_t i = 0; i < count && !c.failed; i++)
		decode_agent(&c, m);
	if (!c.failed && cursor_left(&c) == 0)
		return m;
	marks_free(m);
	err_set(e, "marks are damaged: their counts do not fit");
	return NULL;
}
