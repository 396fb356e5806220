/*
 * series_fold: entries of the collector's journal become value sets of files and latest outcomes.
 *
 *   for each entry in order of the journal: series_fold_entry
 *
 * A result gives its series one value set at second floor((mono + offset) / 1e9): "up" (1, 0,
 * unknown) and its values. A file takes value sets only in order of time: what is not above the
 * last one it took is late and counted; the first of a second wins. Stamps after receipt + 120 s,
 * or before 1990, are rejected. Each file judges for itself by its own last time alone; so a file
 * that holds a prefix already takes just the rest when entries come again, and a view applied
 * twice is the same view. A Now changes latest outcomes of known series, never values.
 * Pure: all state is in the catalogue. Thread: one.
 */
#ifndef COLLECTOR_SERIES_FOLD_H
#define COLLECTOR_SERIES_FOLD_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/journal.h"

struct err;
struct map;
struct series_catalogue;

#define SERIES_FUTURE_S 120          /* after receipt */
#define SERIES_TIME_MIN 631152000    /* s: 1990 */

struct series_counts {
	uint64_t entries, rows, sets; /* read, results in them, value sets queued */
	uint64_t late, future, ancient, time_unknown, refused, one_shot, overflow, undecodable, gaps, lost;
};

struct series_fold {
	struct series_catalogue *catalogue;
	const struct map *checks, *vantages; /* `was` -> id (const char *) */
	struct series_counts counts;
	/* Told of a series that was not made because a limit is reached. */
	void (*on_overflow)(void *ctx, const char *check, const char *vantage, const char *why);
	void *ctx;
};

/* before: position of the entry before this one. again: it was folded before the last start, so it is not counted once
 * more. now: the caller's clock, for the age of queues. -1 with words: an entry that does not decode; it is counted and
 * the fold goes on behind it. */
int series_fold_entry(struct series_fold *, const struct journal_entry *, struct position before, bool again, int64_t now,
	struct err *);

#endif
