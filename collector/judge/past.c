#include "collector/judge/past.h"

#include <assert.h>
#include <stdlib.h>

#include "lib/mem.h"

void past_fini(struct past *p)
{
	free(p->items);
	*p = (struct past){0};
}

void past_set(struct past *p, int64_t from, int value)
{
	while (p->count > 0 && p->items[p->count - 1].from >= from)
		p->count--;
	if (p->count > 0 ? p->items[p->count - 1].value == value : value == VOTE_NONE)
		return;
	if (p->count == p->room) {
		p->room = p->room == 0 ? 8 : 2 * p->room;
		p->items = mem_resize(p->items, p->room, sizeof *p->items);
	}
	p->items[p->count++] = (struct past_item){from, value};
}

int past_at(const struct past *p, int64_t time)
{
	size_t low = 0, high = p->count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (p->items[middle].from <= time)
			low = middle + 1;
		else
			high = middle;
	}
	return low == 0 ? VOTE_NONE : p->items[low - 1].value;
}

/* ---- one stream */

static bool is_silent(const struct vote_stream *s, int64_t now, int64_t interval)
{
	return s->last != 0 && now - s->last > 2 * interval + VERDICT_GRACE;
}

void past_reach(struct past *p, const struct vote_stream *s, int64_t now, int64_t interval)
{
	if (is_silent(s, now, interval))
		past_set(p, s->last + interval, VOTE_UNKNOWN);
}

void past_take(struct past *p, struct vote_stream *s, enum outcome outcome, int64_t measured, int64_t interval,
	uint32_t attempts)
{
	if (measured <= s->last)
		return;
	/* What was said of silence is taken back: it may be that this came late. */
	if (p->count > 0 && p->items[p->count - 1].value != (int)s->said)
		p->count--;
	if (is_silent(s, measured, interval) && vote_lapse(s, s->last + interval))
		past_set(p, s->since, VOTE_UNKNOWN);
	if (vote_take(s, outcome, measured, attempts))
		past_set(p, s->since, (int)s->said);
}

/* ---- several, one over the other */

/* Walks the times at which any of several lists changes, in a window. */
struct sweep {
	const struct past *const *lists;
	size_t count, at[PAST_LISTS]; /* next item of each */
	int64_t time, until;
};

static void sweep_begin(struct sweep *w, const struct past *const *lists, size_t count, int64_t from, int64_t until)
{
	assert(count <= PAST_LISTS);
	w->lists = lists;
	w->count = count;
	w->time = from;
	w->until = until;
	for (size_t i = 0; i < count; i++)
		for (w->at[i] = 0; w->at[i] < lists[i]->count && lists[i]->items[w->at[i]].from <= from;)
			w->at[i]++;
}

static int sweep_value(const struct sweep *w, size_t i)
{
	return w->at[i] == 0 ? VOTE_NONE : w->lists[i]->items[w->at[i] - 1].value;
}

/* On to the next change; false: there is none before the end. */
static bool sweep_next(struct sweep *w)
{
	int64_t next = w->until;

	for (size_t i = 0; i < w->count; i++)
		if (w->at[i] < w->lists[i]->count && w->lists[i]->items[w->at[i]].from < next)
			next = w->lists[i]->items[w->at[i]].from;
	if (next >= w->until)
		return false;
	for (size_t i = 0; i < w->count; i++)
		while (w->at[i] < w->lists[i]->count && w->lists[i]->items[w->at[i]].from <= next)
			w->at[i]++;
	w->time = next;
	return true;
}

static struct vote_counts sweep_counts(const struct sweep *w)
{
	struct vote_counts counts = {0};

	for (size_t i = 0; i < w->count; i++)
		vote_add(&counts, (enum vote)sweep_value(w, i));
	return counts;
}

void past_vote(const struct past *const *parts, size_t count, int64_t from, int64_t until, struct past *out)
{
	struct sweep w;

	out->count = 0;
	sweep_begin(&w, parts, count, from, until);
	do {
		struct vote_counts counts = sweep_counts(&w);

		past_set(out, w.time, (int)vote_parts(&counts));
	} while (sweep_next(&w));
}

void past_count(const struct past *const *votes, size_t count, uint32_t quorum, int64_t from, int64_t until, struct past *out)
{
	struct sweep w;

	out->count = 0;
	sweep_begin(&w, votes, count, from, until);
	do {
		struct vote_counts counts = sweep_counts(&w);
		bool contested;

		past_set(out, w.time, (int)vote_count(&counts, quorum, &contested));
	} while (sweep_next(&w));
}

/* ---- subjects */

static enum state state_of(enum vote vote)
{
	static const enum state states[] = {[VOTE_NONE] = STATE_UNKNOWN, [VOTE_UP] = STATE_UP,
		[VOTE_UNKNOWN] = STATE_UNKNOWN, [VOTE_PARTIAL] = STATE_DEGRADED, [VOTE_DOWN] = STATE_DOWN};

	return states[vote];
}

/* The lists stand in order of checks and families. */
static void roll_up(const struct past_check *checks, size_t count, const struct sweep *w, struct verdict_roll *roll)
{
	size_t at = 0;

	*roll = (struct verdict_roll){0};
	for (size_t i = 0; i < count; i++) {
		enum state states[VERDICT_FAMILIES] = {STATE_NONE};

		for (int f = 0; f < VERDICT_FAMILIES; f++)
			if (checks[i].families[f] != NULL)
				states[f] = state_of((enum vote)sweep_value(w, at++));
		verdict_roll_add(roll, checks[i].severity, states);
	}
}

void past_subject(const struct past_check *checks, size_t count, int64_t from, int64_t until, struct past *whole,
	struct past families[VERDICT_FAMILIES])
{
	const struct past *lists[PAST_LISTS];
	size_t lists_count = 0;
	struct sweep w;

	for (size_t i = 0; i < count; i++)
		for (int f = 0; f < VERDICT_FAMILIES; f++)
			if (checks[i].families[f] != NULL) {
				assert(lists_count < PAST_LISTS);
				lists[lists_count++] = checks[i].families[f];
			}
	whole->count = 0;
	for (int f = 0; f < VERDICT_FAMILIES; f++)
		families[f].count = 0;
	sweep_begin(&w, lists, lists_count, from, until);
	do {
		struct verdict_roll roll;

		roll_up(checks, count, &w, &roll);
		past_set(whole, w.time, (int)verdict_roll_state(&roll));
		for (int f = 0; f < VERDICT_FAMILIES; f++)
			past_set(&families[f], w.time, (int)verdict_roll_family(&roll, f));
	} while (sweep_next(&w));
}
