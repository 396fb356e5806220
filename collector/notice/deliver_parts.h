/*
 * deliver_parts: what the files of deliver share.
 */
#ifndef COLLECTOR_NOTICE_DELIVER_PARTS_H
#define COLLECTOR_NOTICE_DELIVER_PARTS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>

#include "collector/notice/deliver.h"
#include "collector/notice/deliveries.h"
#include "collector/notice/queue.h"
#include "collector/notice/roster.h"
#include "collector/notice/send.h"
#include "lib/err.h"

/* Channels as they were read at one time: letters that are under way borrow them. */
struct generation {
	struct roster *roster; /* NULL: nobody is told */
	unsigned users;
	bool is_old;
};

/* A letter under way: a delivery, or the beat (item NULL). */
struct flight {
	LIST_ENTRY(flight) link;
	struct deliver *deliver;
	struct generation *generation;
	const struct roster_channel *channel;
	struct queue_item *item;
	struct send *send;
	uint64_t beat;
	int64_t began, began_real;
};

struct deliver {
	struct event_base *base;
	const struct settings *settings;
	const struct inventory *inventory;
	struct deliver_events events;
	void *ctx;
	struct sender *sender;
	struct deliveries *db;
	struct queue *queue;
	struct generation *channels;
	LIST_HEAD(, flight) flights;
	struct event *pump, *watch, *ending;
	int64_t started, forgot; /* real */
	int64_t turn;            /* mono: when this look at what waits began */
	int64_t unread_since;    /* mono: since when the outbox cannot be read; 0 */
	unsigned watches;
	bool stopping, is_broken;
	struct {
		bool is_known, is_bad;
		struct err words;
	} matters[DELIVER_MATTERS];
	struct {
		uint64_t number, judged;   /* newest that was taken; newest of judgement */
		int64_t at, judged_at;     /* real, for people: when; 0 never */
		int64_t came, judged_came; /* mono: when we saw that; at first when we began */
		int64_t tried;             /* mono; 0 never */
		bool in_flight;
		struct err words;          /* of the newest try that failed */
	} beat;
	struct {
		uint64_t intents, tries, taken, refused, merged, digests, moved, failed;
	} counts;
};

/* The database is of no use any more. Always -1. */
int deliver_broke(struct deliver *, const struct err *);
void deliver_set_matter(struct deliver *, enum deliver_matter, bool is_bad, const char *words);
void deliver_schedule(struct deliver *, int64_t delay); /* the next look at what waits */

/* ---- deliver_letter.c */
/* Begins a letter; LETTER_TAKEN: it is under way (flight->send), else how it ended at once, with words. */
enum letter_outcome deliver_post(struct flight *, const struct incident_intent *, enum letter_matter, const struct phrase *,
	void (*on_end)(void *ctx, enum letter_outcome, const char *words), struct err *words);
struct flight *deliver_take_off(struct deliver *, const struct roster_channel *);
void deliver_land(struct flight *); /* frees it */
/* Sends a delivery; as deliver_post. */
enum letter_outcome deliver_send(struct deliver *, struct queue_item *, struct flight **,
	void (*on_end)(void *ctx, enum letter_outcome, const char *words), struct err *words);

/* ---- deliver_put.c, all inside a transaction but the first */
int deliver_intake(struct deliver *, struct err *); /* reads the outbox on */
int deliver_merge(struct deliver *, const struct queue_plan *, struct err *);
int deliver_digest(struct deliver *, const struct queue_plan *, struct err *);
/* To the fall-back of their channel, or, of a channel that is gone, to where routes lead now: each of `others`, which it drops. */
int deliver_move(struct deliver *, const struct queue_plan *, const char *words, struct err *);
const struct roster_channel *deliver_channel(const struct deliver *, const char *id); /* NULL: not configured */

/* ---- deliver_beat.c */
void deliver_judged(struct deliver *, uint64_t number, int64_t at); /* the newest beat of judgement */
void deliver_beat(struct deliver *);

#endif
