#include "agent/spool.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "lib/buf.h"
#include "lib/mem.h"
#include "lib/sample.h"
#include "lib/wire.h"
#include "probes/catalog.h"

struct waiting {
	STAILQ_ENTRY(waiting) link;
	int64_t mono;
	uint64_t boot;
	size_t len;
	uint8_t payload[];
};

struct spool {
	struct journal *journal;
	struct buf payload;        /* of the result at hand */
	STAILQ_HEAD(, waiting) waiting;
	struct wire_lost lost;     /* before the first that waits; count 0: nothing */
	struct spool_stats stats;
	bool has_more;
};

struct spool *spool_new(struct journal *j)
{
	struct spool *s = mem_alloc(sizeof *s);

	s->journal = j;
	STAILQ_INIT(&s->waiting);
	return s;
}

/* Takes the first out of the line. */
static struct waiting *take(struct spool *s)
{
	struct waiting *w = STAILQ_FIRST(&s->waiting);

	STAILQ_REMOVE_HEAD(&s->waiting, link);
	s->stats.waiting--;
	s->stats.waiting_bytes -= sizeof *w + w->len;
	return w;
}

void spool_free(struct spool *s)
{
	if (s == NULL)
		return;
	while (!STAILQ_EMPTY(&s->waiting))
		free(take(s));
	buf_fini(&s->payload);
	free(s);
}

static void drop_oldest(struct spool *s)
{
	struct waiting *w = take(s);

	/* Nothing waits over a boot, so one line is of one boot. */
	if (s->lost.count++ == 0)
		s->lost.from_mono = s->lost.to_mono = w->mono;
	s->lost.boot = w->boot;
	s->lost.to_mono = w->mono > s->lost.to_mono ? w->mono : s->lost.to_mono;
	s->lost.from_mono = w->mono < s->lost.from_mono ? w->mono : s->lost.from_mono;
	s->stats.lost++;
	free(w);
}

static void wait_in_line(struct spool *s, const struct result *r)
{
	struct waiting *w = mem_alloc(sizeof *w + s->payload.len);

	w->mono = r->mono;
	w->boot = r->boot;
	w->len = s->payload.len;
	memcpy(w->payload, s->payload.data, w->len);
	STAILQ_INSERT_TAIL(&s->waiting, w, link);
	s->stats.waiting++;
	s->stats.waiting_bytes += sizeof *w + w->len;
	while (s->stats.waiting_bytes > SPOOL_WAITING_MAX)
		drop_oldest(s);
}

static bool journal_is_full(const struct spool *s)
{
	return journal_unsynced_bytes(s->journal) >= SPOOL_JOURNAL_MAX;
}

struct position spool_add(struct spool *s, const struct result *r)
{
	s->has_more = true;
	buf_clear(&s->payload);
	wire_result_encode(r, catalog_decimals, &s->payload);
	if (STAILQ_EMPTY(&s->waiting) && !journal_is_full(s))
		return journal_append(s->journal, ENTRY_RESULT, s->payload.data, s->payload.len);
	wait_in_line(s, r);
	return (struct position){0, 0};
}

bool spool_has_more(const struct spool *s)
{
	return s->has_more;
}

static void tell_lost(struct spool *s)
{
	if (s->lost.count == 0)
		return;
	buf_clear(&s->payload);
	wire_lost_encode(&s->lost, &s->payload);
	journal_append(s->journal, ENTRY_LOST, s->payload.data, s->payload.len);
	s->lost = (struct wire_lost){0};
}

/* Hands the journal what waits, as far as it may hold it unsynced. */
static void move_up(struct spool *s)
{
	while (!STAILQ_EMPTY(&s->waiting) && !journal_is_full(s)) {
		struct waiting *w;

		tell_lost(s);
		w = take(s);
		journal_append(s->journal, ENTRY_RESULT, w->payload, w->len);
		free(w);
	}
}

int spool_sync(struct spool *s, struct err *e)
{
	do {
		if (journal_sync(s->journal, e) < 0)
			return -1;
		move_up(s);
	} while (journal_unsynced_bytes(s->journal) > 0);
	s->has_more = false;
	return 0;
}

void spool_stats(const struct spool *s, struct spool_stats *out)
{
	*out = s->stats;
}
