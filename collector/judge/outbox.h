/*
 * outbox: what incidents want told, and what they are, in the database of judgement: written in the transaction that holds the
 * state it came from, read by those who deliver and by those who look.
 *
 *   outbox_open -> (outbox_put each intent, outbox_note each incident that changed) inside a transaction of the owner -> outbox_close
 *   readers in other processes: outbox_open_file, outbox_incidents, outbox_find, outbox_intents, outbox_end
 *
 * Intents have keys that rise and are never used twice: putting one again changes nothing, putting another one of its key is an
 * error. Those older than OUTBOX_KEPT go with the beats, a hundred at a time, but the newest stays: numbers go on behind it.
 * Thread: the owner's.
 */
#ifndef COLLECTOR_JUDGE_OUTBOX_H
#define COLLECTOR_JUDGE_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/judge/incident.h"
#include "lib/clock.h"

struct buf;
struct err;
struct outbox;
struct sqlite3;

struct outbox *outbox_open(struct sqlite3 *, struct err *);
struct outbox *outbox_open_file(const char *path, struct err *); /* reads alone */
void outbox_close(struct outbox *); /* accepts NULL */

int outbox_put(struct outbox *, const struct incident_intent *, struct err *);
int outbox_note(struct outbox *, const struct incidents *, uint64_t incident, struct err *);

/* One incident as it was noted last. Texts during the call. */
struct outbox_incident {
	struct incident_view view;
	size_t affected_count;
	const char *affected; /* ids divided by spaces: the root, all systems, then others up to OUTBOX_AFFECTED */
};
#define OUTBOX_AFFECTED 64
#define OUTBOX_SYSTEMS 4096
/* Newest first: open ones, or all that opened at or after `from`. */
int outbox_incidents(struct outbox *, bool open_only, int64_t from,
	void (*on_incident)(void *ctx, const struct outbox_incident *), void *ctx, struct err *);
/* One by its number; nothing is called when there is none. */
int outbox_find(struct outbox *, uint64_t incident, void (*on_incident)(void *ctx, const struct outbox_incident *), void *ctx,
	struct err *);
/* Once a minute: judgement lives. Who delivers sends each number to whoever watches us from outside; one that does not
 * come there is an alarm there. The newest alone is kept. */
#define OUTBOX_BEAT (60 * NS_PER_S)
#define OUTBOX_KEPT (400 * 86400 * NS_PER_S)
int outbox_beat(struct outbox *, int64_t at, struct err *);
/* 0: none yet. */
int outbox_last_beat(struct outbox *, uint64_t *number, int64_t *at, struct err *);
/* Intents behind a key, in order, digests with their items. */
int outbox_intents(struct outbox *, uint64_t behind, void (*on_intent)(void *ctx, const struct incident_intent *), void *ctx,
	struct err *);
/* When the intent of that key was; 0: there is none. */
int outbox_at(struct outbox *, uint64_t key, int64_t *at, struct err *);
int outbox_end(struct outbox *, uint64_t *key, struct err *); /* of the newest intent; 0: none */
/* The greatest that are used; 0: none. */
int outbox_numbers(struct outbox *, uint64_t *incident, uint64_t *key, struct err *);

/* Items of a digest as a text, "problem 7 system/portal" a line each, "merged 7>9 system/portal" of what is a part of another. */
void outbox_format_items(const struct incident_intent *, struct buf *out);
struct outbox_items {
	struct incident_item *items;
	size_t count;
	char *text; /* that they point into */
};
/* A line that is none is left out. */
void outbox_parse_items(const char *text, struct outbox_items *);
void outbox_items_fini(struct outbox_items *);

#endif
