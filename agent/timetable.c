#include "agent/timetable.h"

#include <assert.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "lib/mem.h"

enum state { STATE_SLEEPING, STATE_WAITING, STATE_RUNNING };

struct timetable_item {
	struct timetable_rhythm rhythm;
	uint64_t hash;   /* of check and agent; the phase is hash mod interval */
	void *work;
	enum state state;
	int64_t due;     /* sleeping, waiting: the time it is to begin, or was */
	int64_t started; /* of the run under way or the last one; INT64_MIN: none */
	bool in_haste;   /* running: to begin once more */
	unsigned attempts; /* in a row that were not up, up to TIMETABLE_ATTEMPTS */
	bool again;      /* due (or running) to ask again, not for its slot */
	size_t place;    /* sleeping: index in the heap */
	TAILQ_ENTRY(timetable_item) line;
};

TAILQ_HEAD(line, timetable_item);

struct timetable {
	uint64_t agent_hash;
	size_t concurrency;
	struct timetable_item **heap; /* sleeping items, the earliest due first */
	size_t heap_count, heap_room;
	struct line waiting;
	struct timetable_stats stats;
};

/* ---- heap of the sleeping */

static void heap_put(struct timetable *t, size_t place, struct timetable_item *item)
{
	t->heap[place] = item;
	item->place = place;
}

static void heap_up(struct timetable *t, size_t place)
{
	struct timetable_item *item = t->heap[place];

	while (place > 0 && t->heap[(place - 1) / 2]->due > item->due) {
		heap_put(t, place, t->heap[(place - 1) / 2]);
		place = (place - 1) / 2;
	}
	heap_put(t, place, item);
}

static void heap_down(struct timetable *t, size_t place)
{
	struct timetable_item *item = t->heap[place];
	size_t child;

	while ((child = 2 * place + 1) < t->heap_count) {
		if (child + 1 < t->heap_count && t->heap[child + 1]->due < t->heap[child]->due)
			child++;
		if (t->heap[child]->due >= item->due)
			break;
		heap_put(t, place, t->heap[child]);
		place = child;
	}
	heap_put(t, place, item);
}

static void heap_add(struct timetable *t, struct timetable_item *item)
{
	if (t->heap_count == t->heap_room) {
		t->heap_room = t->heap_room == 0 ? 64 : t->heap_room * 2;
		t->heap = mem_resize(t->heap, t->heap_room, sizeof(struct timetable_item *));
	}
	heap_put(t, t->heap_count++, item);
	heap_up(t, item->place);
}

static void heap_remove(struct timetable *t, struct timetable_item *item)
{
	struct timetable_item *last = t->heap[--t->heap_count];

	if (last == item)
		return;
	heap_put(t, item->place, last);
	heap_up(t, last->place);
	heap_down(t, last->place);
}

/* ---- slots */

static uint64_t hash_text(uint64_t hash, const char *text)
{
	do {
		hash = (hash ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	} while (*text++ != '\0');
	return hash;
}

/* FNV alone leaves neighbours ("sys-1", "sys-2") close together in the high bits. */
static uint64_t hash_mix(uint64_t hash)
{
	hash = (hash ^ hash >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	hash = (hash ^ hash >> 27) * UINT64_C(0x94d049bb133111eb);
	return hash ^ hash >> 31;
}

/* The first slot behind now. */
static int64_t next_slot(const struct timetable_item *item, int64_t now)
{
	int64_t interval = item->rhythm.interval;
	int64_t phase = (int64_t)(item->hash % (uint64_t)interval);
	int64_t past = (now - phase) % interval;

	return now - (past < 0 ? past + interval : past) + interval;
}

/* Slots in (from, to]. */
static uint64_t slots_between(const struct timetable_item *item, int64_t from, int64_t to)
{
	int64_t first = next_slot(item, from);

	return first > to ? 0 : (uint64_t)((to - first) / item->rhythm.interval + 1);
}

static int64_t late_limit(const struct timetable_item *item)
{
	int64_t half = item->rhythm.interval / 2;

	return half < TIMETABLE_LATE ? half : TIMETABLE_LATE;
}

static void sleep_until(struct timetable *t, struct timetable_item *item, int64_t due)
{
	item->state = STATE_SLEEPING;
	item->due = due;
	heap_add(t, item);
}

static void sleep_to_slot(struct timetable *t, struct timetable_item *item, int64_t now)
{
	item->again = false;
	sleep_until(t, item, next_slot(item, now));
}

/* ---- */

struct timetable *timetable_new(const char *agent, size_t concurrency)
{
	struct timetable *t = mem_alloc(sizeof *t);

	t->agent_hash = hash_text(UINT64_C(0xcbf29ce484222325), agent);
	TAILQ_INIT(&t->waiting);
	timetable_set_concurrency(t, concurrency);
	return t;
}

void timetable_free(struct timetable *t)
{
	if (t == NULL)
		return;
	assert(t->stats.items == 0);
	free(t->heap);
	free(t);
}

void timetable_set_concurrency(struct timetable *t, size_t concurrency)
{
	assert(concurrency > 0);
	t->concurrency = concurrency;
}

struct timetable_item *timetable_add(struct timetable *t, const char *id,
	const struct timetable_rhythm *rhythm, void *work, int64_t now)
{
	struct timetable_item *item = mem_alloc(sizeof *item);

	assert(rhythm->interval > 0);
	item->rhythm = *rhythm;
	item->hash = hash_mix(hash_text(t->agent_hash, id));
	item->work = work;
	item->started = INT64_MIN;
	t->stats.items++;
	sleep_to_slot(t, item, now);
	return item;
}

void timetable_change(struct timetable *t, struct timetable_item *item,
	const struct timetable_rhythm *rhythm, int64_t now)
{
	bool same_slots = item->rhythm.interval == rhythm->interval;

	assert(rhythm->interval > 0);
	item->rhythm = *rhythm;
	if (same_slots || item->state != STATE_SLEEPING || item->again)
		return;
	heap_remove(t, item);
	sleep_to_slot(t, item, now);
}

void timetable_remove(struct timetable *t, struct timetable_item *item)
{
	switch (item->state) {
	case STATE_SLEEPING:
		heap_remove(t, item);
		break;
	case STATE_WAITING:
		TAILQ_REMOVE(&t->waiting, item, line);
		t->stats.waiting--;
		break;
	case STATE_RUNNING:
		t->stats.running--;
		break;
	}
	t->stats.items--;
	free(item);
}

void *timetable_work(const struct timetable_item *item)
{
	return item->work;
}

/* Moves what is due into the line; what was noticed too late sleeps on to its next slot. */
static void line_up(struct timetable *t, int64_t now)
{
	while (t->heap_count > 0 && t->heap[0]->due <= now) {
		struct timetable_item *item = t->heap[0];

		heap_remove(t, item);
		if (now - item->due > late_limit(item)) {
			t->stats.missed += slots_between(item, item->due - 1, now);
			sleep_to_slot(t, item, now);
			continue;
		}
		item->state = STATE_WAITING;
		TAILQ_INSERT_TAIL(&t->waiting, item, line);
		t->stats.waiting++;
	}
}

struct timetable_item *timetable_start(struct timetable *t, int64_t now)
{
	struct timetable_item *item;

	line_up(t, now);
	item = TAILQ_FIRST(&t->waiting);
	if (item == NULL || t->stats.running >= t->concurrency)
		return NULL;
	TAILQ_REMOVE(&t->waiting, item, line);
	t->stats.waiting--;
	t->stats.running++;
	t->stats.started++;
	t->stats.repeated += item->again;
	t->stats.missed += slots_between(item, item->due, now);
	item->state = STATE_RUNNING;
	item->in_haste = false;
	item->started = now;
	return item;
}

/* Not for its slot, but no later than that. */
static void sleep_in_haste(struct timetable *t, struct timetable_item *item, int64_t now)
{
	int64_t slot = next_slot(item, now);
	int64_t due = item->started != INT64_MIN && item->started + TIMETABLE_HASTE > now ? item->started + TIMETABLE_HASTE
		: now;

	item->again = due < slot;
	sleep_until(t, item, item->again ? due : slot);
}

static void count_attempt(struct timetable_item *item, enum timetable_outcome outcome)
{
	if (outcome == TIMETABLE_UP)
		item->attempts = 0;
	else if (outcome == TIMETABLE_FRESH)
		item->attempts = 1;
	else if (item->attempts < TIMETABLE_ATTEMPTS)
		item->attempts++;
}

void timetable_end(struct timetable *t, struct timetable_item *item, enum timetable_outcome outcome,
	int64_t now)
{
	int64_t gap = item->rhythm.priority ? TIMETABLE_AGAIN_PRIORITY : TIMETABLE_AGAIN;
	int64_t again = item->started + gap > now ? item->started + gap : now;

	assert(item->state == STATE_RUNNING);
	t->stats.running--;
	t->stats.missed += slots_between(item, item->started, now);
	count_attempt(item, outcome);
	item->again = item->attempts > 0 && item->attempts < TIMETABLE_ATTEMPTS &&
		again < next_slot(item, now);
	if (item->in_haste)
		sleep_in_haste(t, item, now);
	else if (item->again)
		sleep_until(t, item, again);
	else
		sleep_to_slot(t, item, now);
}

void timetable_hasten(struct timetable *t, struct timetable_item *item, int64_t now)
{
	if (item->state == STATE_RUNNING)
		item->in_haste = true;
	if (item->state != STATE_SLEEPING || item->due <= now)
		return;
	heap_remove(t, item);
	sleep_in_haste(t, item, now);
}

int64_t timetable_wake(const struct timetable *t)
{
	bool has_place = t->stats.running < t->concurrency;

	if (has_place && !TAILQ_EMPTY(&t->waiting))
		return 0;
	/* Without a free place it still has to be called in time, or waiting slots would look late. */
	return t->heap_count > 0 ? t->heap[0]->due : INT64_MAX;
}

void timetable_stats(const struct timetable *t, struct timetable_stats *out)
{
	*out = t->stats;
}
