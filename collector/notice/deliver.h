/*
 * deliver: brings what judgement wants told to those who are to be told: reads the outbox behind a durable cursor, finds routes
 * and channels, and tries until each letter is taken. For the process of the role notify.
 *
 *   deliver_new -> deliver_wake whenever the outbox may have more, deliver_reload -> deliver_stop -> deliver_free
 *
 * Cursor and deliveries are one transaction, committed before the first try; so is each try before it leaves, and what a receiver
 * answered before anything else is tried. So none is lost, and one that was taken just before a crash, unconfirmed, comes twice with the same
 * key. The end of an incident goes to the channel that took its problem, and tells both when the problem never came through.
 * Thread: the loop's. After an error of the database `broken` is called: end the process, the next one goes on.
 */
#ifndef COLLECTOR_NOTICE_DELIVER_H
#define COLLECTOR_NOTICE_DELIVER_H

#include <stdbool.h>

struct buf;
struct deliver;
struct err;
struct event_base;
struct inventory;
struct roster;
struct settings;

enum deliver_matter { DELIVER_NOTICES, DELIVER_BEAT, DELIVER_MATTERS };

struct deliver_events {
	/* Something that people must be told by other ways: at the first look, and when it changes. */
	void (*note)(void *ctx, enum deliver_matter, bool is_bad, const char *words);
	void (*broken)(void *ctx);
	void (*stopped)(void *ctx); /* after deliver_stop, perhaps from inside: nothing is under way */
};

/* Settings and inventory are borrowed until the next deliver_reload; it takes the roster (NULL: nobody is told). NULL with err: the
 * database. */
struct deliver *deliver_new(struct event_base *, const struct settings *, const struct inventory *, struct roster *,
	const struct deliver_events *, void *ctx, struct err *);
/* Without a word to anybody; accepts NULL. */
void deliver_free(struct deliver *);
void deliver_wake(struct deliver *);
/* Takes the socket of the runner of commands. */
void deliver_give_runner(struct deliver *, int fd);
/* Reads the file of channels. -1: they stay as they were (the inventory is taken). What waits is tried at once. */
int deliver_reload(struct deliver *, const struct settings *, const struct inventory *, struct err *);
/* Waits some seconds for what is under way. */
void deliver_stop(struct deliver *);
void deliver_note_again(struct deliver *); /* all matters, to one who does not know them yet */
void deliver_metrics(const struct deliver *, struct buf *out);

#endif
