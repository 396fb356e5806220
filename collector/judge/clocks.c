#include "collector/judge/clocks.h"

#include <stdlib.h>

#include "collector/judge/record.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"

#define VERSION 1

/* Batches in a row that look behind, and since when. */
struct row {
	int64_t since;
	uint32_t count;
	bool is_dirty;
};

struct clocks {
	struct map *rows; /* by agent */
};

struct clocks *clocks_new(void)
{
	struct clocks *c = mem_alloc(sizeof *c);

	c->rows = map_new();
	return c;
}

void clocks_free(struct clocks *c)
{
	if (c == NULL)
		return;
	map_free(c->rows, free);
	free(c);
}

static struct row *row_of(struct clocks *c, const char *agent)
{
	struct row *r = map_find(c->rows, agent);

	if (r == NULL) {
		r = mem_alloc(sizeof *r);
		map_set(c->rows, agent, r);
	}
	return r;
}

static void end_row(struct row *r)
{
	r->is_dirty = r->is_dirty || r->count > 0;
	r->count = 0;
	r->since = 0;
}

static void add_to_row(struct row *r, int64_t now)
{
	if (r->count == CLOCKS_ROW)
		return;
	if (r->count++ == 0 || r->since > now)
		r->since = now;
	r->is_dirty = true;
}

bool clocks_take(struct clocks *c, const char *agent, int64_t skew, int64_t now, bool is_bad)
{
	struct row *r = row_of(c, agent);

	if (skew > CLOCKS_BAD) {
		end_row(r);
		return true;
	}
	if (skew < -CLOCKS_BAD) {
		add_to_row(r, now);
		return is_bad || (r->count == CLOCKS_ROW && now - r->since >= CLOCKS_BEHIND);
	}
	if (skew >= CLOCKS_GOOD || skew <= -CLOCKS_GOOD)
		return is_bad;
	end_row(r);
	return false;
}

void clocks_save(struct clocks *c, const struct record_sink *sink)
{
	struct buf b = {0};

	for (size_t i = 0; i < map_count(c->rows); i++) {
		const char *agent;
		struct row *r = map_at(c->rows, i, &agent);

		if (!r->is_dirty)
			continue;
		buf_clear(&b);
		buf_add_u8(&b, VERSION);
		record_add_time(&b, r->since);
		buf_add_u32(&b, r->count);
		sink->put(sink->ctx, agent, b.data, b.len);
		r->is_dirty = false;
	}
	buf_fini(&b);
}

int clocks_restore(struct clocks *c, const char *key, const void *data, size_t len, struct err *err)
{
	struct cursor in = cursor_over(data, len);
	uint8_t version = cursor_u8(&in);
	int64_t since = record_time(&in);
	uint32_t count = cursor_u32(&in);

	if (version != VERSION || in.failed || count > CLOCKS_ROW)
		return err_set(err, "record \"%s\" is damaged or of another version", key);
	*row_of(c, key) = (struct row){.since = since, .count = count};
	return 0;
}
