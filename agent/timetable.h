/*
 * timetable: which check runs when. Pure: time is an argument (ns of one clock that never goes
 * back), nothing is waited for here.
 *
 *   timetable_add -> timetable_start until NULL -> (the owner runs it) -> timetable_end -> ...
 *                    sleep until timetable_wake, then timetable_start again
 *
 * Slots: a check begins at the times t with t mod interval = phase. The phase is a hash of check and
 * agent, so it stays over restarts and reloads, checks spread evenly over their interval, and agents
 * do not march in step.
 * Late: a slot that was not noticed within TIMETABLE_LATE (suspend, a stopped machine) is skipped and
 * counted, so there is no burst afterwards. A check that still runs at its next slot is not started
 * again. With `concurrency` runs under way, due checks wait, the longest waiting first; a place in
 * that line is never lost, slots that pass meanwhile are counted as missed.
 * Asking again: after an outcome that is freshly not up a check begins again after 10 s (priority: 5 s),
 * start to start, until it was asked 3 times or is up; then the interval alone decides.
 * In haste: when somebody says that something has changed, a check begins at once, but 5 s after its last start at the earliest;
 * its slots stay where they are.
 */
#ifndef AGENT_TIMETABLE_H
#define AGENT_TIMETABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/clock.h"

#define TIMETABLE_ATTEMPTS 3
#define TIMETABLE_AGAIN (10 * NS_PER_S)
#define TIMETABLE_AGAIN_PRIORITY (5 * NS_PER_S)
#define TIMETABLE_HASTE (5 * NS_PER_S)
#define TIMETABLE_LATE (2 * NS_PER_S) /* or half an interval, if that is less */

struct timetable;
struct timetable_item;

struct timetable_rhythm {
	int64_t interval; /* ns, > 0 */
	bool priority;
};

/* What a run said, all its results together. */
enum timetable_outcome {
	TIMETABLE_UP,    /* everything is up */
	TIMETABLE_FRESH, /* something is not up that was up, or was never seen, before this run */
	TIMETABLE_STILL, /* only what was not up before is not up */
};

struct timetable_stats {
	uint64_t started, repeated, missed; /* repeated: of the started, those that asked again */
	size_t items, running, waiting;
};

/* agent: our id, part of every phase. concurrency: runs under way at most, > 0. */
struct timetable *timetable_new(const char *agent, size_t concurrency);
void timetable_free(struct timetable *); /* accepts NULL */
void timetable_set_concurrency(struct timetable *, size_t);

/* work: the owner's, handed back by timetable_work. The id decides the phase and is not kept. */
struct timetable_item *timetable_add(struct timetable *, const char *id, const struct timetable_rhythm *,
	void *work, int64_t now);
/* Also while it runs or waits: phase, attempts and place in the line stay as far as the new rhythm
 * allows; an equal rhythm changes nothing. */
void timetable_change(struct timetable *, struct timetable_item *, const struct timetable_rhythm *,
	int64_t now);
void timetable_remove(struct timetable *, struct timetable_item *); /* in any state */
void *timetable_work(const struct timetable_item *);

/* The work to begin now, or NULL when none is due or all places are taken. It counts as running. */
struct timetable_item *timetable_start(struct timetable *, int64_t now);
/* A run that timetable_start gave out has ended. */
void timetable_end(struct timetable *, struct timetable_item *, enum timetable_outcome, int64_t now);
/* It is to begin as soon as may be, also once more when it runs just now. */
void timetable_hasten(struct timetable *, struct timetable_item *, int64_t now);
/* When timetable_start may next give something out if nothing ends before; INT64_MAX: not by itself. */
int64_t timetable_wake(const struct timetable *);
void timetable_stats(const struct timetable *, struct timetable_stats *);

#endif
