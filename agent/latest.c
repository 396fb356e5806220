#include "agent/latest.h"

#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/wire.h"
#include "probes/catalog.h"

/* As payload of a Now: the result without its values. */
struct latest_row {
	enum family family;
	enum outcome outcome;
	struct position at;
	size_t len;
	char *part;
	uint8_t payload[];
};

static void free_rows(struct latest_row **rows, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(rows[i]);
	free(rows);
}

void latest_clear(struct latest *l)
{
	free_rows(l->rows, l->count);
	l->rows = NULL;
	l->count = 0;
}

void latest_fini(struct latest *l)
{
	latest_clear(l);
	free_rows(l->next, l->next_count);
	*l = (struct latest){0};
}

/* One block: the row, its payload, the text of its part. */
static struct latest_row *row_new(const struct result *r, struct position at)
{
	struct result bare = *r;
	struct buf payload = {0};
	struct latest_row *row;
	size_t part = strlen(r->part) + 1;

	bare.count = 0;
	wire_result_encode(&bare, catalog_decimals, &payload);
	row = mem_alloc(sizeof *row + payload.len + part);
	row->family = r->family;
	row->outcome = r->outcome;
	row->at = at;
	row->len = payload.len;
	memcpy(row->payload, payload.data, payload.len);
	row->part = memcpy(row->payload + payload.len, r->part, part);
	buf_fini(&payload);
	return row;
}

void latest_add(struct latest *l, const struct result *r, struct position at)
{
	if (l->next_count == LATEST_ROWS_MAX)
		return;
	l->next = mem_resize(l->next, l->next_count + 1, sizeof *l->next);
	l->next[l->next_count++] = row_new(r, at);
}

static bool was_not_up(const struct latest *l, const struct latest_row *row)
{
	for (size_t i = 0; i < l->count; i++) {
		if (l->rows[i]->family == row->family && strcmp(l->rows[i]->part, row->part) == 0)
			return l->rows[i]->outcome != OUTCOME_UP;
	}
	return false;
}

static enum timetable_outcome judge(const struct latest *l)
{
	enum timetable_outcome outcome = TIMETABLE_UP;

	for (size_t i = 0; i < l->next_count; i++) {
		if (l->next[i]->outcome == OUTCOME_UP)
			continue;
		if (!was_not_up(l, l->next[i]))
			return TIMETABLE_FRESH;
		outcome = TIMETABLE_STILL;
	}
	return outcome;
}

enum timetable_outcome latest_end(struct latest *l)
{
	enum timetable_outcome outcome = judge(l);

	latest_clear(l);
	l->rows = l->next;
	l->count = l->next_count;
	l->next = NULL;
	l->next_count = 0;
	return outcome;
}

bool latest_add_now(const struct latest *l, struct position synced, struct wire_packer *packer)
{
	struct err ignored;

	for (size_t i = 0; i < l->count; i++) {
		const struct latest_row *row = l->rows[i];

		/* Of an epoch that has ended since, or not on disk: no entry will replace it there. */
		if (row->at.epoch != synced.epoch || row->at.seq == 0 || row->at.seq > synced.seq)
			continue;
		if (wire_packer_add(packer, row->at.seq, ENTRY_RESULT, row->payload, row->len, &ignored) == 0)
			return false;
	}
	return true;
}
