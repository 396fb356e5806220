/*
 * latest: what the last run of one check said, row by row (a family and a part of it). It tells the
 * timetable whether something is freshly not up, and the collector what is so now. Pure.
 *
 *   latest_add for each result of a run -> latest_end -> latest_add_now whenever it is asked
 *
 * A zeroed struct has never seen a run. Limit: LATEST_ROWS_MAX rows of a run; more are left out.
 */
#ifndef AGENT_LATEST_H
#define AGENT_LATEST_H

#include "agent/timetable.h"
#include "lib/journal.h"
#include "lib/sample.h"

#define LATEST_ROWS_MAX 64

struct latest_row;
struct wire_packer;

struct latest {
	size_t count, next_count;
	struct latest_row **rows, **next; /* of the last run, of the run under way */
};

void latest_fini(struct latest *);
/* Forgets everything: the check measures something else from now on. */
void latest_clear(struct latest *);
/* at: where the result stands in the journal; seq 0 when it does not yet. */
void latest_add(struct latest *, const struct result *, struct position at);
/* The run has ended: its rows are the latest. */
enum timetable_outcome latest_end(struct latest *);
/* Adds the rows that the journal holds up to `synced`, to be replaced by those entries. false: the
 * packer is full. */
bool latest_add_now(const struct latest *, struct position synced, struct wire_packer *);

#endif
