/*
 * vote: from outcomes to a vote, from votes to a state. Small pure functions over plain records.
 *
 *   vote_take each outcome of one stream -> vote_parts over its addresses -> vote_count over vantages -> vote_pair
 *
 * A stream is one part (address, mount) of one (check, vantage, family). "up" counts at once; "down" and "unknown" count
 * when they were said `attempts` times without an "up" between, and then hold from the first of these: an outage begins with
 * the first failed attempt, not with the third. What is not newer than the newest outcome changes nothing, so
 * duplicates and late rows are harmless.
 * Unknown is never counted as up or down.
 */
#ifndef COLLECTOR_JUDGE_VOTE_H
#define COLLECTOR_JUDGE_VOTE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/sample.h"

#define VOTE_ATTEMPTS 3

/* In order of worry; numbers are permanent: they are stored. */
enum vote { VOTE_NONE = 0, VOTE_UP = 1, VOTE_UNKNOWN = 2, VOTE_PARTIAL = 3, VOTE_DOWN = 4 };

struct vote_stream {
	enum vote said;         /* none, up, unknown or down; never partial */
	int64_t since;          /* measured time from which `said` holds */
	int64_t last;           /* newest measured time; 0 never */
	enum outcome last_outcome;
	uint32_t downs, unknowns; /* in a row, without an up between */
	int64_t down_since, unknown_since;
};

/* True when `said` changed. attempts > 0. */
bool vote_take(struct vote_stream *, enum outcome, int64_t at, uint32_t attempts);
/* It was silent: unknown from `since` on. True when `said` changed. */
bool vote_lapse(struct vote_stream *, int64_t since);

/* One vote of several parts: all down: down; some: partial; none known: unknown. since: from when the result holds. */
struct vote_counts { uint32_t up, partial, down, unknown; };
void vote_add(struct vote_counts *, enum vote);
enum vote vote_parts(const struct vote_counts *);

/* k of n over the vantages that have a vote. quorum 0: the majority of those that know (k = known / 2 + 1), else fixed: with
 * fewer known votes than that, nothing is called down. Not down, and somebody reaches it: up, or partial when k of
 * them see it so. contested: somebody sees it down and is outvoted: a matter of the path. */
enum vote vote_count(const struct vote_counts *, uint32_t quorum, bool *contested);
uint32_t vote_quorum(const struct vote_counts *, uint32_t quorum); /* the k that is used */

/* The pair of families: what is shown of a check that asks for both. */
enum pair { PAIR_NONE, PAIR_UP, PAIR_V4_ONLY, PAIR_V6_ONLY, PAIR_DOWN, PAIR_UNKNOWN };
/* VOTE_NONE: that family is not asked for. Partial counts as up. One family unknown: unknown, whatever the other. */
enum pair vote_pair(enum vote v4, enum vote v6);
const char *vote_name(enum vote);      /* "none", "up", "unknown", "partial", "down" */
const char *vote_pair_name(enum pair); /* "none", "up", "v4-only", "v6-only", "down", "unknown" */

#endif
