#include "collector/notice/queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"

#define MINUTE (60 * NS_PER_S)

struct queue_channel {
	char *id;
	TAILQ_HEAD(queue_items, queue_item) items;
	int64_t per_minute, fallback_after;
	int64_t sent[QUEUE_PER_MINUTE]; /* a ring: when the newest went out */
	size_t newest;
	unsigned failures, refusals; /* in a row: it did not work; it did not want one */
	int64_t rest_until, slower_until;
	bool is_sending;
};

struct queue {
	struct queue_channel **channels;
	size_t count;
};

struct queue *queue_new(void)
{
	return mem_alloc(sizeof(struct queue));
}

static void channel_free(struct queue_channel *c)
{
	while (!TAILQ_EMPTY(&c->items))
		queue_drop(TAILQ_FIRST(&c->items));
	free(c->id);
	free(c);
}

void queue_free(struct queue *q)
{
	if (q == NULL)
		return;
	for (size_t i = 0; i < q->count; i++)
		channel_free(q->channels[i]);
	free(q->channels);
	free(q);
}

struct queue_channel *queue_channel(struct queue *q, const char *id)
{
	struct queue_channel *c;

	for (size_t i = 0; i < q->count; i++) {
		if (strcmp(q->channels[i]->id, id) == 0)
			return q->channels[i];
	}
	c = mem_alloc(sizeof *c);
	c->id = mem_strdup(id);
	c->per_minute = QUEUE_PER_MINUTE;
	TAILQ_INIT(&c->items);
	for (size_t i = 0; i < QUEUE_PER_MINUTE; i++)
		c->sent[i] = INT64_MIN / 2;
	q->channels = mem_resize(q->channels, q->count + 1, sizeof(struct queue_channel *));
	return q->channels[q->count++] = c;
}

struct queue_channel *queue_at(struct queue *q, size_t i)
{
	return i < q->count ? q->channels[i] : NULL;
}

void queue_limit(struct queue_channel *c, int64_t per_minute, int64_t fallback_after)
{
	assert(per_minute > 0 && per_minute <= QUEUE_PER_MINUTE);
	c->per_minute = per_minute;
	c->fallback_after = fallback_after;
}

/* ---- so many a minute */

void queue_spend(struct queue_channel *c, int64_t at)
{
	c->newest = (c->newest + 1) % QUEUE_PER_MINUTE;
	c->sent[c->newest] = at;
}

/* When the n-th newest went out; n from 1. */
static int64_t sent(const struct queue_channel *c, int64_t n)
{
	return c->sent[(c->newest + QUEUE_PER_MINUTE - (size_t)n + 1) % QUEUE_PER_MINUTE];
}

static int64_t free_at(const struct queue_channel *c)
{
	return sent(c, c->per_minute) + MINUTE;
}

/* But one of them is left, or none. */
static bool is_last(const struct queue_channel *c, int64_t now)
{
	return c->per_minute < 2 || sent(c, c->per_minute - 1) + MINUTE > now;
}

/* ---- what waits */

static bool is_end(const struct queue_item *i)
{
	return i->kind == INTENT_CLOSE || i->kind == INTENT_MERGED;
}

/* What waits of an incident, when its end waits as well, may have to go with that. */
static void note_merge(struct queue_item *of)
{
	for (struct queue_item *i = of; i != NULL; i = TAILQ_NEXT(i, link))
		i->may_merge |= is_end(i) && i->incident == of->incident;
}

struct queue_item *queue_put(struct queue_channel *c, const struct queue_item *given)
{
	struct queue_item *i = mem_copy(given, sizeof *given), *before;

	i->channel = c;
	i->audience = mem_strdup(given->audience);
	i->route = mem_strdup(given->route);
	TAILQ_FOREACH_REVERSE(before, &c->items, queue_items, link)
	{
		if (before->id < i->id)
			break;
	}
	if (before != NULL)
		TAILQ_INSERT_AFTER(&c->items, before, i, link);
	else
		TAILQ_INSERT_HEAD(&c->items, i, link);
	note_merge(i);
	return i;
}

void queue_drop(struct queue_item *i)
{
	if (i->in_flight)
		i->channel->is_sending = false;
	TAILQ_REMOVE(&i->channel->items, i, link);
	free(i->audience);
	free(i->route);
	free(i);
}

/* ---- what is next */

static void add_other(struct queue_plan *p, struct queue_item *i)
{
	p->others = mem_resize(p->others, p->count + 1, sizeof(struct queue_item *));
	p->others[p->count++] = i;
}

void queue_plan_fini(struct queue_plan *p)
{
	free(p->others);
	*p = (struct queue_plan){0};
}

static bool is_same_audience(const struct queue_item *a, const struct queue_item *b)
{
	return strcmp(a->audience, b->audience) == 0;
}

static bool find_merge(struct queue_channel *c, struct queue_plan *p)
{
	struct queue_item *end, *i;

	TAILQ_FOREACH(end, &c->items, link)
	{
		if (!end->may_merge || end->in_flight)
			continue;
		end->may_merge = false;
		for (i = TAILQ_FIRST(&c->items); i != end; i = TAILQ_NEXT(i, link)) {
			if (i->incident == end->incident && !i->in_flight && is_same_audience(i, end))
				add_other(p, i);
		}
		p->item = end;
		if (p->count > 0)
			return true;
	}
	return false;
}

/* May the later of two not be told before the other? A digest may be of any incident. */
static bool is_behind(const struct queue_item *i, const struct queue_item *earlier)
{
	return (earlier->incident == i->incident || earlier->kind == INTENT_DIGEST || i->kind == INTENT_DIGEST) &&
		is_same_audience(earlier, i);
}

static bool is_behind_any(const struct queue_item *i, const struct queue_plan *of)
{
	for (size_t k = 0; k < of->count; k++) {
		if (is_behind(i, of->others[k]))
			return true;
	}
	return false;
}

/* It may not overtake what is not due yet, or is on its way; what was refused may never come through. */
static bool is_blocked(const struct queue_item *i)
{
	for (const struct queue_item *k = TAILQ_FIRST(&i->channel->items); k != i; k = TAILQ_NEXT(k, link)) {
		if (!k->is_refused && is_behind(i, k))
			return true;
	}
	return false;
}

/* Of those that are due, the one that was tried least: a letter that never passes does not take the place of all others. */
static struct queue_item *find_due(struct queue_channel *c, int64_t now, int64_t *next)
{
	struct queue_item *i, *found = NULL;

	TAILQ_FOREACH(i, &c->items, link)
	{
		if ((found != NULL && i->tries >= found->tries) || is_blocked(i))
			continue;
		if (i->due <= now)
			found = i;
		else if (i->due < *next)
			*next = i->due;
		if (found != NULL && found->tries == 0)
			break;
	}
	return found;
}

static bool find_digest(struct queue_channel *c, const struct queue_item *first, struct queue_plan *p)
{
	struct queue_item *i;

	if (first->is_part)
		return false;
	TAILQ_FOREACH(i, &c->items, link)
	{
		if (!i->is_part && !i->in_flight && is_same_audience(i, first) && strcmp(i->route, first->route) == 0)
			add_other(p, i);
	}
	if (p->count >= 2)
		return true;
	queue_plan_fini(p);
	return false;
}

static bool find_move(struct queue_channel *c, int64_t now, struct queue_plan *p)
{
	if (c->fallback_after == 0 || c->failures < c->fallback_after || now >= c->rest_until)
		return false;
	queue_movable(c, p);
	return p->count > 0;
}

void queue_movable(struct queue_channel *c, struct queue_plan *p)
{
	struct queue_plan held = {0};
	struct queue_item *i;

	TAILQ_FOREACH(i, &c->items, link)
		add_other(i->in_flight || is_behind_any(i, &held) ? &held : p, i);
	queue_plan_fini(&held);
}

void queue_overdue(struct queue_channel *c, int64_t since, struct queue_plan *p)
{
	struct queue_item *i;

	TAILQ_FOREACH(i, &c->items, link)
	{
		if (!i->in_flight && i->since <= since)
			add_other(p, i);
	}
}

void queue_with(struct queue_item *first, struct queue_plan *p)
{
	add_other(p, first);
	for (struct queue_item *i = TAILQ_NEXT(first, link); i != NULL; i = TAILQ_NEXT(i, link)) {
		if (!i->in_flight && is_behind_any(i, p))
			add_other(p, i);
	}
}

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

enum queue_step queue_next(struct queue_channel *c, int64_t now, struct queue_plan *p)
{
	int64_t start = later(c->rest_until, free_at(c)), next = INT64_MAX;
	struct queue_item *first;

	*p = (struct queue_plan){.at = INT64_MAX};
	if (find_merge(c, p))
		return QUEUE_MERGE;
	if (find_move(c, now, p))
		return QUEUE_MOVE;
	if (c->is_sending || TAILQ_EMPTY(&c->items))
		return QUEUE_WAIT;
	p->at = start;
	if (now < start)
		return QUEUE_WAIT;
	first = find_due(c, now, &next);
	p->at = next;
	if (first == NULL)
		return QUEUE_WAIT;
	if (is_last(c, now) && find_digest(c, first, p))
		return QUEUE_DIGEST;
	p->item = first;
	return QUEUE_SEND;
}

/* ---- tries */

int64_t queue_backoff(unsigned failures, uint32_t chance)
{
	int64_t wait = QUEUE_FIRST;

	for (unsigned i = 1; i < failures && wait < QUEUE_LONGEST; i++)
		wait *= 2;
	if (wait > QUEUE_LONGEST)
		wait = QUEUE_LONGEST;
	return wait / 10 * 8 + wait / 1000 * (chance % 401);
}

void queue_began(struct queue_item *i, int64_t now)
{
	assert(!i->channel->is_sending);
	i->in_flight = true;
	i->channel->is_sending = true;
	queue_spend(i->channel, now);
}

static void rest(struct queue_channel *c, enum letter_outcome outcome, int64_t now, uint32_t chance)
{
	c->failures++;
	if (outcome == LETTER_SLOWER)
		c->slower_until = now + QUEUE_SLOWER;
	c->rest_until = later(now + queue_backoff(c->failures, chance), c->slower_until);
}

void queue_ended(struct queue_item *i, enum letter_outcome outcome, int64_t now, uint32_t chance)
{
	struct queue_channel *c = i->channel;

	i->in_flight = false;
	i->is_refused = outcome == LETTER_REFUSED;
	c->is_sending = false;
	i->tries++;
	if (outcome == LETTER_TAKEN) {
		c->failures = c->refusals = 0;
		c->rest_until = c->slower_until = 0;
		return;
	}
	i->due = now + queue_backoff(i->tries, chance);
	note_merge(i);
	if (outcome == LETTER_REFUSED)
		c->refusals++; /* others may pass */
	else
		rest(c, outcome, now, chance);
}

bool queue_is_spent(const struct queue_item *i, enum letter_outcome outcome)
{
	int64_t most = i->channel->fallback_after;

	return most > 0 && (outcome == LETTER_REFUSED || i->tries >= most);
}

void queue_refresh(struct queue *q)
{
	for (size_t k = 0; k < q->count; k++) {
		struct queue_item *i;

		q->channels[k]->failures = q->channels[k]->refusals = 0;
		q->channels[k]->rest_until = q->channels[k]->slower_until;
		TAILQ_FOREACH(i, &q->channels[k]->items, link)
			i->due = 0;
	}
}

void queue_view(const struct queue_channel *c, struct queue_view *out)
{
	const struct queue_item *i;

	*out = (struct queue_view){.id = c->id, .failures = c->failures + c->refusals};
	TAILQ_FOREACH(i, &c->items, link)
	{
		out->waiting++;
		if (out->oldest == 0 || i->created < out->oldest)
			out->oldest = i->created;
	}
}
