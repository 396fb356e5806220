/* Payloads of the journal's own entries: gaps and openings. Pure. */
#include "lib/journal_note.h"

#include "lib/buf.h"

static void put_u64(uint8_t *out, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		out[i] = (uint8_t)(v >> (8 * i));
}

size_t journal_gap_encode(const struct journal_gap *g, uint8_t out[24])
{
	put_u64(out, g->from);
	put_u64(out + 8, g->to);
	put_u64(out + 16, g->count);
	return 24;
}

int journal_gap_decode(const void *payload, size_t len, struct journal_gap *g)
{
	struct cursor c = cursor_over(payload, len);

	g->from = cursor_u64(&c);
	g->to = cursor_u64(&c);
	g->count = cursor_u64(&c);
	if (c.failed || cursor_left(&c) != 0 || g->from == 0 || g->to < g->from)
		return -1;
	return g->count > 0 && g->count - 1 <= g->to - g->from ? 0 : -1;
}

size_t journal_open_note_encode(const struct journal_open_note *n, uint8_t out[40])
{
	put_u64(out, n->previous.epoch);
	put_u64(out + 8, n->previous.seq);
	put_u64(out + 16, n->boot);
	put_u64(out + 24, (uint64_t)n->real);
	put_u64(out + 32, (uint64_t)n->mono);
	return 40;
}

int journal_open_note_decode(const void *payload, size_t len, struct journal_open_note *n)
{
	struct cursor c = cursor_over(payload, len);

	n->previous.epoch = cursor_u64(&c);
	n->previous.seq = cursor_u64(&c);
	n->boot = cursor_u64(&c);
	n->real = (int64_t)cursor_u64(&c);
	n->mono = (int64_t)cursor_u64(&c);
	return c.failed || cursor_left(&c) != 0 ? -1 : 0;
}
