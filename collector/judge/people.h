/*
 * people: what people ask of judgement (ENTRY_REQUEST), judged in the order of the journal; the verdict on each is kept in the
 * database of judgement, in the transaction that holds what it changed.
 *
 *   people_open -> people_fold each request -> people_close       readers in other processes: people_find
 *
 * A request is judged once: one whose position has a verdict already changes nothing, so that replay is harmless. One that
 * makes no sense is refused with words, and refused again the same way. Verdicts are kept for PEOPLE_KEPT: who did what.
 * Thread: the owner's.
 */
#ifndef COLLECTOR_JUDGE_PEOPLE_H
#define COLLECTOR_JUDGE_PEOPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/clock.h"
#include "lib/journal.h"

#define PEOPLE_KEPT (INT64_C(400) * 86400 * NS_PER_S)
#define PEOPLE_PLANS_MAX 10000 /* maintenance planned at a time */
#define PEOPLE_WORDS 400
#define PEOPLE_LATE (60 * NS_PER_S) /* work that begins earlier than this before it is asked for is not planned */

struct err;
struct incidents;
struct ledger;
struct people;
struct sqlite3;
struct wire_request;

struct people *people_open(struct sqlite3 *, struct err *);
void people_close(struct people *); /* accepts NULL */
/* What is changed: intents of incidents are the caller's to take. 1: it was judged; 0: it was before; -1 with err. */
int people_fold(struct people *, struct incidents *, struct ledger *, struct position at, const struct wire_request *,
	int64_t now, struct err *);

struct people_verdict {
	bool is_accepted;
	char words[PEOPLE_WORDS]; /* what came of it */
	char made[64];            /* id of the maintenance, or "" */
};
/* On a connection that reads. 1; 0: not judged yet; -1 with err. */
int people_find(struct sqlite3 *, struct position, struct people_verdict *, struct err *);

/* What was asked, newest first. Texts during the call. */
struct people_asked {
	int64_t number, at;
	const char *what, *author, *words; /* what: "acknowledge", "plan" ... */
	bool is_accepted;
};
int people_list(struct sqlite3 *, void (*on_asked)(void *ctx, const struct people_asked *), void *ctx, struct err *);

#endif
