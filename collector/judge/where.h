/*
 * where: what the reason of a failure says beyond its words, of who sees it and who does not: which side of a link agrees, and where
 * on the way it breaks.
 *
 * Pure; thread: one.
 */
#ifndef COLLECTOR_JUDGE_WHERE_H
#define COLLECTOR_JUDGE_WHERE_H

struct buf;
struct inventory;
struct topology;
struct verdict;
struct verdict_change;

struct where {
	const struct inventory *inventory;
	const struct verdict *verdict;
	const struct topology *tree;
};

/* Adds to the reason of a subject that has changed: "; not reached by 2 of 2 vantages above it; reached by 1 of 1 vantages below it" to
 * that of a link that fails, "; the way breaks at link/east" to that of what some reach and others do not. */
void where_say(const struct where *, const struct verdict_change *, struct buf *reason);

#endif
