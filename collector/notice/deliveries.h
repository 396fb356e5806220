/*
 * deliveries: the ledger of deliveries: what is to be told, through which channel each was, is and will be tried, with every
 * answer; and how far the outbox of judgement was read. One database (notice/notice.db below the state folder), one writer,
 * synchronous=FULL: what is committed is on disk.
 *
 *   deliveries_open -> deliveries_load -> (deliveries_begin, changes, deliveries_commit) ... -> deliveries_close
 *   others: deliveries_open_file, deliveries_list
 *
 * A notice is an intent of judgement, or a digest of our own. Its number rises, is never used twice, and is what receivers tell
 * copies by (letter.h). Noting an intent again changes nothing. After an error the database is of no use: end the process, and the
 * next one goes on from what was committed. Thread: one.
 */
#ifndef COLLECTOR_NOTICE_DELIVERIES_H
#define COLLECTOR_NOTICE_DELIVERIES_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/judge/incident.h"
#include "collector/notice/letter.h"

struct deliveries;
struct err;

#define DELIVERIES_FILE "notice/notice.db" /* below the state folder */
#define DELIVERIES_KEPT (400 * 86400 * NS_PER_S)

enum delivery_state {
	DELIVERY_WAITING,
	DELIVERY_TAKEN,
	DELIVERY_JOINED, /* told in the delivery `into`: a digest, or the end of its incident */
	DELIVERY_MOVED,  /* to the fall-back: delivery `into` */
	DELIVERY_FAILED, /* given up */
	DELIVERY_OLD,    /* of an incident that was long over when it was read, whose beginning was not told: never tried */
};
const char *delivery_state_name(enum delivery_state);

struct delivery {
	uint64_t id, notice, incident;
	const char *audience, *route, *channel; /* route: the channel or the duty list that it was meant for */
	enum incident_intent_kind kind;
	int language;
	bool is_part; /* a digest of our own */
	enum delivery_state state;
	unsigned tries;
	unsigned cuts;   /* of them the newest ones, that a death cut off; of what deliveries_load tells */
	int64_t created; /* real ns */
	int64_t since;   /* mono ns: since when this process knows of it; not kept */
};

struct deliveries *deliveries_open(const char *state, struct err *);
struct deliveries *deliveries_open_file(const char *path, struct err *); /* reads alone */
void deliveries_close(struct deliveries *); /* accepts NULL */

int deliveries_begin(struct deliveries *, struct err *);
int deliveries_commit(struct deliveries *, struct err *);

/* Of the newest intent that was read. */
int deliveries_cursor(struct deliveries *, uint64_t *key, struct err *);
int deliveries_move_cursor(struct deliveries *, uint64_t key, struct err *);
/* Is an intent with a key that was noted another one than those? */
int deliveries_is_other(struct deliveries *, uint64_t key, int64_t at, bool *, struct err *);
/* 1: new, with its number; 0: known; -1. key 0: a digest of our own, always new. */
int deliveries_note(struct deliveries *, const struct incident_intent *, const char *affected, int64_t now, uint64_t *notice,
	struct err *);
/* 1: added, with its id, or it waits again, because what became of it in that channel is nothing that waits or was taken; 0: it
 * does, or was, and id is of that; -1. id of what is given: of the delivery that this one is to take the place of, 0 none; tries: not
 * looked at. */
int deliveries_add(struct deliveries *, const struct delivery *, uint64_t *id, struct err *);
/* Of what tells of an incident: the delivery that tells its audience of the end of that in the same channel, though the notice of the
 * end is the later one; 0 none. */
int deliveries_over(struct deliveries *, const struct delivery *, uint64_t *id, struct err *);
/* It waits no more. into: 0 none. */
int deliveries_end(struct deliveries *, uint64_t id, enum delivery_state, uint64_t into, int64_t now, const char *words, struct err *);
/* A try begins: committed before anything leaves, so that nobody is told what cannot be written down, again and again. One that no
 * deliveries_try ended is found by the next process (deliveries_load), counts, and comes again. */
int deliveries_depart(struct deliveries *, uint64_t id, int64_t now, struct err *);
struct delivery_try {
	int64_t at, took; /* real; ns */
	bool is_under_way; /* or was when the process died: nothing else is known */
	enum letter_outcome outcome;
	const char *words;
};
/* at: not looked at. */
int deliveries_try(struct deliveries *, uint64_t id, const struct delivery_try *, struct err *);
int deliveries_forget(struct deliveries *, int64_t before, struct err *); /* notices noted before then that wait no more */

/* What waits, in order. Texts during the call. Once, by who delivers: tries of the process before have ended. */
int deliveries_load(struct deliveries *, void (*on_delivery)(void *ctx, const struct delivery *), void *ctx, struct err *);
/* Tries since then, for quotas. */
int deliveries_recent(struct deliveries *, int64_t since, void (*on_try)(void *ctx, const char *channel, int64_t at), void *ctx,
	struct err *);
/* What a notice tells; its key is its number. False: there is none, or an error. */
bool deliveries_read(struct deliveries *, uint64_t notice,
	void (*on_notice)(void *ctx, const struct incident_intent *, const char *affected), void *ctx, struct err *);
/* The channel that the problem of an incident went to, of those meant for the route: whichever digests and fall-backs it went
 * through, where it waits or was taken; "" when there is none. Who is told that an incident is part of another counts as told of that. */
int deliveries_where(struct deliveries *, const struct delivery *, char channel[64], struct err *);
/* Was an audience ever to be told that it began? Not when all of that was DELIVERY_OLD. */
int deliveries_was_told(struct deliveries *, uint64_t incident, const char *audience, bool *, struct err *);
/* Where it was told to an audience by any route: newest delivery of each channel. Deliveries may be added meanwhile. */
int deliveries_told(struct deliveries *, uint64_t incident, const char *audience,
	void (*on_delivery)(void *ctx, const struct delivery *), void *ctx, struct err *);
/* Was the beginning of its incident not told through this route before? */
int deliveries_is_first(struct deliveries *, const struct delivery *, bool *, struct err *);

/* The newest beat of judgement that came where it is sent. 0: none yet. */
int deliveries_beat(struct deliveries *, uint64_t *number, int64_t *at, struct err *);
int deliveries_put_beat(struct deliveries *, uint64_t number, int64_t at, struct err *);

/* ---- For people */
struct deliveries_wish {
	uint64_t incident;  /* 0: all */
	const char *unit;   /* NULL: all */
	bool failed_only;   /* that did not come where it should */
	int64_t count;      /* at most; the newest */
};
struct delivery_row {
	struct delivery d;
	uint64_t into;
	int64_t at, ended;      /* of the notice; 0: waits */
	const char *subject, *words; /* words: of the newest try, or why it ended */
};
/* The newest first. */
int deliveries_list(struct deliveries *, const struct deliveries_wish *, void (*on_row)(void *ctx, const struct delivery_row *),
	void *ctx, struct err *);
int deliveries_tries(struct deliveries *, uint64_t id, void (*on_try)(void *ctx, const struct delivery_try *), void *ctx, struct err *);

#endif
