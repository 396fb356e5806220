/*
 * book_parts: what book*.c share. Of these files only: everyone else reads collector/judge/book.h.
 *
 *   book_life.c   life, the plan, committing, late evidence
 *   book_fold.c   entries of the journal -> verdicts
 *   book_step.c   what changed in them -> the ledger, incidents, the outbox
 */
#ifndef COLLECTOR_JUDGE_BOOK_PARTS_H
#define COLLECTOR_JUDGE_BOOK_PARTS_H

#include <sqlite3.h>

#include "collector/judge/book.h"
#include "collector/judge/incident.h"
#include "lib/err.h"

struct map;
struct verdict_change;

#define MONITORING "monitoring/"

enum statement {
	GET_PLACE, SET_PLACE, PUT_RECORD, DROP_RECORD, RECORDS, FIND_RECORD, ADD_LANDMARK, FIND_LANDMARK, DROP_LANDMARKS,
	FORGET_LANDMARKS, TURN_LANDMARKS, ADD_LATE, FIND_LATE, DROP_LATE, DROP_FUTURE_LATE, TURN_LATE, STATEMENTS,
};

struct book {
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENTS];
	struct people *people;
	struct planned *planned;
	uint64_t plan_turns; /* of incidents, that planned knows of */
	struct ledger *ledger;
	struct verdict *verdict;
	struct incidents *incidents;
	struct clocks *clocks;
	struct usual *usual;
	struct incident_settings settings;
	struct outbox *outbox;
	const struct inventory *inventory;
	struct position at, committed;
	int64_t now, landmark, beaten;
	int64_t looked; /* when the result at hand was measured; 0: none is */
	bool in_transaction, was_opened, write_failed;
	char *late_subject;
	char *probes[BOOK_PROBES], *probe; /* to be probed; the one handed out */
	size_t probes_count;
	struct map *changed; /* subject -> int64_t: when its newest stretch began, where that was asked for */
	struct err failure; /* of a write inside a callback */
	struct book_counts counts;
};

/* ---- book_life.c */
int book_begin(struct book *, struct err *); /* a transaction, where none is open */
sqlite3_stmt *book_statement(struct book *, enum statement);
int book_run(struct book *, sqlite3_stmt *, const char *what, struct err *);
bool book_is_compared(void *book, const char *check, uint32_t metric); /* a limit sets this value against its usual one */

/* ---- book_step.c */
/* When the newest stretch of a subject began in the ledger: not before the first question about it, then kept. */
int64_t *book_changed(struct book *, const char *subject);
/* What changed since, to the ledger and to incidents. */
int book_write_changes(struct book *, struct err *);
int book_step(struct book *, const struct incident_event *, struct err *);
int book_step_monitoring(struct book *, const char *subject, bool is_bad, const char *reason, struct err *);
/* What incidents want is told by others; what they are is noted as it changes. */
int book_take_intents(struct book *, struct err *);
/* Whom planned work covers from `at` on. */
int book_note_plans(struct book *, int64_t at, struct err *);
/* Work that began or ended since the step before did so at its time, also when we were away. */
int book_turn_plans(struct book *, struct err *);
/* After a plan: what the states are by it, to the ledger and to incidents, where these say something else; what is not judged any more
 * has no state from now on, and an agent that has no check any more is not silent. */
int book_write_all(struct book *, struct err *);
int book_end_others(struct book *, struct err *);
int book_step_all(struct book *, struct err *);
int book_step_unasked(struct book *, struct err *);

#endif
