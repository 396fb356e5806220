/*
 * queue: what waits to be delivered, channel by channel, and what is to be done next with it. Pure: all times are given.
 *
 *   queue_new -> queue_channel, queue_limit -> queue_put ... -> (queue_next -> what it says -> queue_began, queue_ended or
 *   queue_drop) ... -> queue_free
 *
 * A channel has one letter on its way at a time; no channel waits for another. To one audience of a channel, nothing overtakes
 * what was told earlier of the same incident, nor a digest; but what a receiver refuses holds up nothing. The end of an incident whose
 * beginning still waits goes with it in one letter (QUEUE_MERGE).
 * Of what is due, what was tried least is next. A try that failed comes again after QUEUE_FIRST, twice that, and so on up to
 * QUEUE_LONGEST, each 20 % more or less by chance; so does the channel as a whole, by its failures in a row, of which a refusal is
 * none: that is the letter's. Who says "too many" is left alone for a minute at least. With a fall-back, what was refused, or has
 * failed `fallback_after` times, moves there, and all that waits when the channel failed so often in a row.
 * A provider takes `per_minute`: when but one is left of them and several wait, they become a digest (QUEUE_DIGEST).
 * Thread: one. Limits: QUEUE_PER_MINUTE.
 */
#ifndef COLLECTOR_NOTICE_QUEUE_H
#define COLLECTOR_NOTICE_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "collector/judge/incident.h"
#include "collector/notice/letter.h"
#include "lib/clock.h"

#define QUEUE_FIRST (5 * NS_PER_S)
#define QUEUE_LONGEST (300 * NS_PER_S)
#define QUEUE_SLOWER (60 * NS_PER_S)
#define QUEUE_PER_MINUTE 1000
#define QUEUE_TROUBLE 3 /* failures in a row that make a channel one in trouble */

struct buf;
struct queue;
struct queue_channel;

struct queue_item {
	TAILQ_ENTRY(queue_item) link;
	struct queue_channel *channel;
	uint64_t id, notice, incident; /* of the delivery, of what it tells, of what that is about */
	enum incident_intent_kind kind;
	char *audience, *route;        /* route: the channel that it was meant for */
	int language;
	bool is_part;                  /* a digest of our own: never put into another */
	unsigned tries;
	int64_t created;               /* real, ns */
	int64_t since;                 /* mono: since when it waits, in whichever channel */
	int64_t due;                   /* mono; not before */
	bool in_flight, may_merge, is_refused;
};

struct queue *queue_new(void);
void queue_free(struct queue *); /* accepts NULL */
/* The channel of that id, made when there is none yet. */
struct queue_channel *queue_channel(struct queue *, const char *id);
struct queue_channel *queue_at(struct queue *, size_t i); /* NULL behind the last */
/* fallback_after: 0: there is no fall-back. */
void queue_limit(struct queue_channel *, int64_t per_minute, int64_t fallback_after);
/* One went out at that time: counts against per_minute. */
void queue_spend(struct queue_channel *, int64_t at);

/* Copies what is given, with its texts; in the order of ids. */
struct queue_item *queue_put(struct queue_channel *, const struct queue_item *);
/* It waits no more: taken, joined to another, moved, given up. Frees it. */
void queue_drop(struct queue_item *);

enum queue_step {
	QUEUE_WAIT,   /* until `at` (INT64_MAX: for something to happen) */
	QUEUE_SEND,   /* item */
	QUEUE_MERGE,  /* others are to be told in item */
	QUEUE_DIGEST, /* others are to become one letter, or as few as hold them */
	QUEUE_MOVE,   /* others are to go to the fall-back */
};
struct queue_plan {
	int64_t at;
	struct queue_item *item, **others;
	size_t count;
};
enum queue_step queue_next(struct queue_channel *, int64_t now, struct queue_plan *);
/* others: all that may go elsewhere now; what stands behind one that is on its way waits for what becomes of that. */
void queue_movable(struct queue_channel *, struct queue_plan *);
/* others: all that have waited since then or longer and are not on their way. */
void queue_overdue(struct queue_channel *, int64_t since, struct queue_plan *);
/* others: this, and all that may not be told without it. */
void queue_with(struct queue_item *, struct queue_plan *);
void queue_plan_fini(struct queue_plan *);
void queue_began(struct queue_item *, int64_t now);
/* Counts it; the item waits on unless it was taken, when the caller drops it. chance: any number. */
void queue_ended(struct queue_item *, enum letter_outcome, int64_t now, uint32_t chance);
/* Does what failed go to the fall-back now? */
bool queue_is_spent(const struct queue_item *, enum letter_outcome);
/* An operator may have mended it: what waits is tried at once, but by who said "too many". */
void queue_refresh(struct queue *);

struct queue_view {
	const char *id;
	size_t waiting;
	unsigned failures;  /* in a row, with refusals */
	int64_t oldest;     /* real: since when the one that waits longest does; 0 none */
};
void queue_view(const struct queue_channel *, struct queue_view *);
/* Pure: after so many failures in a row. */
int64_t queue_backoff(unsigned failures, uint32_t chance);

#endif
