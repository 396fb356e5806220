/*
 * book: judgement as a view of the journal: its place there, the state of its cores, the ledger and the outbox, in one
 * database and one transaction. What is folded and not committed is folded again after a start.
 *
 *   book_open -> book_settings -> book_plan -> (book_fold each entry ... book_commit) -> book_close
 *
 * now is the time of the entries: ticks and receipts. Only what is stamped as it is appended (a tick, a request) turns it back: a
 * receipt is the first byte of what may have been long on its way. Evidence that comes late (a drained backlog, or anything from before
 * a change that was already written) cannot be judged in the order of arrival: its window is noted, and folded again from
 * the journal when no more of it has come for BOOK_QUIET (refold.h). After an error of the database the book is of no use: end the process, and the next one goes on.
 * Thread: one. The database is readable by others (ledger_open_file).
 */
#ifndef COLLECTOR_JUDGE_BOOK_H
#define COLLECTOR_JUDGE_BOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/judge/availability.h"
#include "lib/clock.h"
#include "lib/journal.h"

#define BOOK_FILE "judge/judge.db"   /* below the state folder */
#define BOOK_QUIET (10 * NS_PER_S)

struct book;
struct err;
struct incident_settings;
struct incidents;
struct inventory;
struct journal_entry;
struct ledger;
struct outbox;
struct planned;
struct usual;

/* state: the collector's state folder; judge/ is made in it. NULL with err. */
struct book *book_open(const char *state, struct err *);
void book_close(struct book *); /* without committing; accepts NULL */
/* How incidents are told, before the first plan or later. What it borrows lives as long as it is set. */
void book_settings(struct book *, const struct incident_settings *);
/* What is to be judged; again after a reload. The inventory must outlive the next call. */
int book_plan(struct book *, const struct inventory *, struct err *);

/* Of the last entry that is committed; {0,0}: none. */
struct position book_cursor(const struct book *);
/* The journal is another one: from its start. What the ledger holds stays. */
int book_forget_journal(struct book *, struct err *);
int book_fold(struct book *, const struct journal_entry *, struct err *);
bool book_is_dirty(const struct book *);
int book_commit(struct book *, struct err *);

/* A subject that is to be probed now, by what was folded since; NULL: none. Once each; those that nobody takes in time
 * (BOOK_PROBES of them) are left out. Text until the next call. */
#define BOOK_PROBES 64
const char *book_take_probe(struct book *);
/* A window of late evidence that has been quiet for long enough. Texts until the next call. */
struct book_late {
	const char *subject;
	struct span window;
};
bool book_find_late(struct book *, struct book_late *);
/* Where to begin to read for evidence received at `time` or later. */
struct position book_landmark(struct book *, int64_t time);
/* What the window was like in truth, per family (index as in verdict.h, VERDICT_FAMILIES for the whole); NULL: nobody can tell,
 * the ledger stays as it is. The note is dropped. */
struct book_truth {
	struct stretch *stretches;
	size_t count;
};
int book_settle_late(struct book *, const struct book_late *, const struct book_truth *truth, struct err *);

const struct verdict *book_verdict(const struct book *);
const struct usual *book_usual(const struct book *);
struct ledger *book_ledger(struct book *);
struct outbox *book_outbox(struct book *);
struct planned *book_plans(struct book *);
const struct incidents *book_incidents(const struct book *);
int64_t book_now(const struct book *);
/* When planned work covered a subject; out is filled: spans_fini. */
int book_planned(struct book *, const char *subject, struct span window, struct spans *out, struct err *);
int64_t book_planned_since(const struct book *, const char *subject); /* planned work covers it since then; 0: it does not */

struct book_counts {
	uint64_t entries, results, late, undecodable, untimed, changes, intents, requests, revised_seconds;
};
void book_counts(const struct book *, struct book_counts *);

#endif
