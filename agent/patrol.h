/*
 * patrol: the checks of this agent under way: timetable says when, the runner measures, each result goes
 * to the owner, who says where it stands in the journal.
 *
 *   patrol_new -> patrol_set with each new set of assignments -> patrol_free
 *
 * A new set changes only what changed: checks are told apart by id; one that stays keeps its phase,
 * its attempts and what it said last, unless it measures something else from now on. A run under way goes
 * on with what it began with; of a check that is gone it is cancelled without a result.
 * Thread: the loop's.
 */
#ifndef AGENT_PATROL_H
#define AGENT_PATROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/timetable.h"
#include "lib/journal.h"

struct assignments;
struct event_base;
struct patrol;
struct result;
struct runner;
struct wire_packer;

struct patrol_events {
	/* A result, borrowed for the call; returns where it stands (seq 0: not yet). */
	struct position (*on_result)(void *ctx, const struct result *);
	/* The last run under way has ended: nothing is measured now. */
	void (*on_idle)(void *ctx);
};

struct patrol_change {
	size_t added, removed, changed;
};

struct patrol_stats {
	struct timetable_stats timetable;
	uint64_t up, down, unknown; /* results since the start */
};

/* agent: our id, borrowed for the call. */
struct patrol *patrol_new(struct event_base *, struct runner *, const char *agent, size_t concurrency,
	const struct patrol_events *, void *ctx);
void patrol_free(struct patrol *); /* cancels what runs; accepts NULL */
/* Holds the set from now on. */
void patrol_set(struct patrol *, struct assignments *, struct patrol_change *);
/* Somebody at this address says that something has changed there: checks whose last results were from it begin at once.
 * How many. */
size_t patrol_hasten(struct patrol *, const char *address);
bool patrol_knows(const struct patrol *, const char *address); /* whether any would */
/* This check begins at once, as timetable_hasten bounds it. False: it is not ours. */
bool patrol_hasten_check(struct patrol *, const char *check);
void patrol_set_concurrency(struct patrol *, size_t);
/* Adds the latest rows of all checks that the journal holds up to `synced`. */
void patrol_add_now(const struct patrol *, struct position synced, struct wire_packer *);
void patrol_stats(const struct patrol *, struct patrol_stats *);

#endif
