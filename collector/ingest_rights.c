#include "collector/ingest_rights.h"

#include <stdlib.h>
#include <string.h>

#include "collector/ingest_file.h"
#include "collector/inventory.h"
#include "lib/buf.h"
#include "lib/crc32c.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/sample.h"
#include "lib/wire.h"

#define MAGIC 0x54524a58u /* "XJRT" */

struct generation {
	uint64_t id;
	struct map *checks; /* the ids; values mean nothing */
};

struct agent {
	struct generation generations[RIGHTS_GENERATIONS]; /* the newest last */
	size_t count;
};

struct rights {
	struct map *agents; /* of struct agent */
};

static const char present = 1;

static void agent_free(void *p)
{
	struct agent *a = p;

	for (size_t i = 0; i < a->count; i++)
		map_free(a->generations[i].checks, NULL);
	free(a);
}

static struct rights *rights_new(void)
{
	struct rights *r = mem_alloc(sizeof *r);

	r->agents = map_new();
	return r;
}

void rights_free(struct rights *r)
{
	if (r == NULL)
		return;
	map_free(r->agents, agent_free);
	free(r);
}

static const struct generation *find_generation(const struct agent *a, uint64_t id)
{
	for (size_t i = 0; a != NULL && i < a->count; i++) {
		if (a->generations[i].id == id)
			return &a->generations[i];
	}
	return NULL;
}

/* A new, empty generation; the oldest gives way. */
static struct generation *add_generation(struct rights *r, const char *agent, uint64_t id)
{
	struct agent *a = map_find(r->agents, agent);
	struct generation *g;

	if (a == NULL) {
		a = mem_alloc(sizeof *a);
		map_set(r->agents, agent, a);
	}
	if (a->count == RIGHTS_GENERATIONS) {
		map_free(a->generations[0].checks, NULL);
		memmove(a->generations, a->generations + 1, --a->count * sizeof *a->generations);
	}
	g = &a->generations[a->count++];
	*g = (struct generation){id, map_new()};
	return g;
}

static bool note_agent(struct rights *r, const struct inventory *inv, const char *agent)
{
	struct wire_assignments *w;
	struct generation *g;
	struct buf b = {0};
	uint64_t id;
	struct err e;

	if (inventory_assignments(inv, agent, &b, &id) < 0 || find_generation(map_find(r->agents, agent), id) != NULL) {
		buf_fini(&b);
		return false;
	}
	w = wire_assignments_decode(b.data, b.len, &e);
	buf_fini(&b);
	if (w == NULL) {
		log_error("own assignments do not decode agent=%s: %s", agent, e.text);
		return false;
	}
	g = add_generation(r, agent, id);
	for (size_t i = 0; i < w->count; i++)
		map_set(g->checks, w->checks[i].id, (void *)(uintptr_t)&present);
	wire_assignments_free(w);
	return true;
}

bool rights_note(struct rights *r, const struct inventory *inv)
{
	bool new = false;

	for (size_t i = 0; i < inv->agents_count; i++)
		new |= note_agent(r, inv, inv->agents[i].id);
	return new;
}

bool rights_allow(const struct rights *r, const struct inventory *inv, const char *agent, uint64_t generation,
	const char *check)
{
	const struct generation *g;

	if (inventory_may_report(inv, agent, check))
		return true;
	g = generation != 0 ? find_generation(map_find(r->agents, agent), generation) : NULL;
	return g != NULL && map_find(g->checks, check) != NULL;
}

/* ---- bytes: ids as u8 length and bytes; crc32c at the end */

static void add_id(struct buf *out, const char *id)
{
	buf_add_u8(out, (uint8_t)strlen(id));
	buf_add_text(out, id);
}

static bool take_id(struct cursor *c, char out[SAMPLE_ID_MAX + 1])
{
	uint8_t len = cursor_u8(c);
	const uint8_t *text = cursor_bytes(c, len);

	if (text == NULL || len > SAMPLE_ID_MAX) {
		c->failed = true;
		return false;
	}
	memcpy(out, text, len);
	out[len] = '\0';
	return true;
}

int rights_save(const struct rights *r, const char *path, struct err *e)
{
	struct buf b = {0};
	int status;

	buf_add_u32(&b, MAGIC);
	for (size_t i = 0; i < map_count(r->agents); i++) {
		const char *id;
		const struct agent *a = map_at(r->agents, i, &id);

		for (size_t k = 0; k < a->count; k++) {
			const struct generation *g = &a->generations[k];

			add_id(&b, id);
			buf_add_u64(&b, g->id);
			buf_add_u32(&b, (uint32_t)map_count(g->checks));
			for (size_t n = 0; n < map_count(g->checks); n++) {
				const char *check;

				map_at(g->checks, n, &check);
				add_id(&b, check);
			}
		}
	}
	buf_add_u32(&b, crc32c(0, b.data, b.len));
	status = ingest_file_write(path, &b, e);
	buf_fini(&b);
	return status;
}

static int decode(struct rights *r, const struct buf *b)
{
	struct cursor c = cursor_over(b->data, b->len < 4 ? 0 : b->len - 4), sum;

	if (cursor_u32(&c) != MAGIC)
		return -1;
	sum = cursor_over(b->data + b->len - 4, 4);
	if (cursor_u32(&sum) != crc32c(0, b->data, b->len - 4))
		return -1;
	while (!c.failed && cursor_left(&c) > 0) {
		char agent[SAMPLE_ID_MAX + 1], check[SAMPLE_ID_MAX + 1];
		struct generation *g;
		uint64_t id;

		if (!take_id(&c, agent))
			return -1;
		id = cursor_u64(&c);
		g = add_generation(r, agent, id);
		for (uint32_t n = cursor_u32(&c); n > 0 && take_id(&c, check); n--)
			map_set(g->checks, check, (void *)(uintptr_t)&present);
	}
	return c.failed ? -1 : 0;
}

struct rights *rights_load(const char *path)
{
	struct rights *r = rights_new();
	struct buf b = {0};
	struct err e;
	int status = ingest_file_read(path, &b, &e);

	if (status == 1 && decode(r, &b) < 0)
		status = err_set(&e, "%.200s is damaged", path);
	if (status < 0) {
		log_error("%s: what agents measured under older assignments will be refused", e.text);
		rights_free(r);
		r = rights_new();
	}
	buf_fini(&b);
	return r;
}
