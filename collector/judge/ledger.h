/*
 * ledger: exact stretches of state per subject and family, kept in the database of judgement (SQLite). Availability is
 * computed from it, never from series.
 *
 *   ledger_open -> (ledger_set ... | ledger_replace ... inside a transaction of the owner, ledger_reach) -> ledger_close
 *   readers in other processes: ledger_open_file, ledger_read
 *
 * Stretches of one subject and family follow each other without a break; the last one is open and reaches as far as the
 * ledger has followed the journal (ledger_reached). Whole seconds: a time counts from the second in which it lies.
 * The past changes in two ways, and both are kept beside it: late evidence (ledger_replace writes what was said before into
 * `revision`), and a person's correction with author and reason, which is laid over what was measured and leaves it there.
 * FAMILY_NONE is the subject as a whole. Writing what is there already changes nothing: replay is harmless.
 * Thread: the owner's. One connection writes.
 */
#ifndef COLLECTOR_JUDGE_LEDGER_H
#define COLLECTOR_JUDGE_LEDGER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/judge/availability.h"
#include "lib/sample.h"

#define LEDGER_TEXT 512 /* bytes of a reason or author */

struct err;
struct ledger;
struct sqlite3;

/* On a connection of the owner, who holds transactions. Makes the tables where they are missing. NULL with err. */
struct ledger *ledger_open(struct sqlite3 *, struct err *);
/* A connection of its own that reads alone. NULL with err: no such file, not a ledger. */
struct ledger *ledger_open_file(const char *path, struct err *);
void ledger_close(struct ledger *); /* accepts NULL */

/* From `since` on the subject is in this state, whatever was said of later times. 0, or -1 with err. */
int ledger_set(struct ledger *, const char *subject, enum family, enum state, int64_t since, const char *reason,
	struct err *);
/* The window was like this in truth: stretches within it, sorted; between them STATE_UNKNOWN. What differs is replaced and the
 * old kept as a revision of `at`. What lies before all that is known stays unmonitored. changed: seconds. */
int ledger_replace(struct ledger *, const char *subject, enum family, struct span window, const struct stretch *,
	size_t count, int64_t at, const char *why, int64_t *changed, struct err *);
/* The clock went back to now: what is so is so from now on, and nothing stands in the future. */
int ledger_turn_back(struct ledger *, int64_t now, struct err *);
/* The journal was followed up to this time. */
int ledger_reach(struct ledger *, int64_t now, struct err *);
int64_t ledger_reached(struct ledger *); /* 0: never */

/* A person says what was. */
struct ledger_correction {
	int64_t id;
	const char *subject;
	enum family family;
	struct span span;
	enum state state;
	const char *author, *reason;
	int64_t at;
};
int ledger_correct(struct ledger *, const struct ledger_correction *, struct err *);

/* Stretches that meet the window, cut to it; *out: free(). corrected: with people's corrections laid over. */
int ledger_read(struct ledger *, const char *subject, enum family, struct span window, bool corrected,
	struct stretch **out, size_t *count, struct err *);
/* Of the open stretch; STATE_NONE: there is none. */
enum state ledger_current(struct ledger *, const char *subject, enum family);
/* Calls for each subject that has an open stretch of another state than none. */
int ledger_subjects(struct ledger *, void (*on_subject)(void *ctx, const char *subject), void *ctx, struct err *);
/* When the last stretch of any family began; 0: there is none. */
int64_t ledger_changed(struct ledger *, const char *subject);
/* When the subject was first heard of, 0 never: what is before is not monitored. */
int64_t ledger_begin(struct ledger *, const char *subject, enum family);

/* What changed the past of a window, oldest first. Texts during the call. */
struct ledger_revision {
	struct span span;
	enum state was, state;
	const char *author; /* "" late evidence */
	const char *reason;
	int64_t at;
};
int ledger_revisions(struct ledger *, const char *subject, enum family, struct span window,
	void (*on_revision)(void *ctx, const struct ledger_revision *), void *ctx, struct err *);

#endif
