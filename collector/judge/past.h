/*
 * past: what was, once all evidence is there. Outcomes of one stream in order of time become stretches of its vote; those of parts,
 * vantages and checks are laid over each other by the rules that the present goes by (vote.h, verdict_roll).
 *
 *   past_take each outcome of a stream, past_reach -> past_vote over parts -> past_count over vantages -> past_subject over checks
 *
 * A stretch holds from its time to the next one's; before the first nothing is said (VOTE_NONE). Saying something of a time takes
 * back what was said of later ones, as a failure counts from its first attempt. A vote holds for one interval beyond its last evidence when
 * the next is missing for two; then it is unknown. Limits of values have no part in this: they degrade, and never take out of service. The same evidence gives the same stretches, in whatever pieces it came.
 * Pure. Records are plain: the owner may keep them as rows. Limits: PAST_LISTS lists at once.
 */
#ifndef COLLECTOR_JUDGE_PAST_H
#define COLLECTOR_JUDGE_PAST_H

#include <stddef.h>
#include <stdint.h>

#include "collector/judge/verdict.h"
#include "collector/judge/vote.h"

#define PAST_LISTS 1024

struct past_item {
	int64_t from;
	int value; /* enum vote; of past_subject enum state */
};
struct past {
	struct past_item *items; /* by time; neighbours differ */
	size_t count, room;
};

void past_fini(struct past *);
void past_set(struct past *, int64_t from, int value); /* from then on, whatever was said of later times */
int past_at(const struct past *, int64_t time);         /* VOTE_NONE before the first */

/* One more outcome of a stream, newer than those before; older ones change nothing. */
void past_take(struct past *, struct vote_stream *, enum outcome, int64_t measured, int64_t interval, uint32_t attempts);
/* Time has come this far, and nothing newer was heard: for now it is unknown. The next past_take takes that back. */
void past_reach(struct past *, const struct vote_stream *, int64_t now, int64_t interval);

/* out: from `from` to before `until`, emptied first. Of parts as vote_parts, of vantages as vote_count. */
void past_vote(const struct past *const *parts, size_t count, int64_t from, int64_t until, struct past *out);
void past_count(const struct past *const *votes, size_t count, uint32_t quorum, int64_t from, int64_t until, struct past *out);

/* One check with the votes of its families; NULL where it does not ask for one. */
struct past_check {
	enum verdict_severity severity;
	const struct past *families[VERDICT_FAMILIES];
};
/* States of the subject as a whole and per family. */
void past_subject(const struct past_check *, size_t count, int64_t from, int64_t until, struct past *whole,
	struct past families[VERDICT_FAMILIES]);

#endif
