/*
 * refold: what one subject was like in a window, folded again from the journal with all evidence there is by now, in the order
 * of measuring. The past is judged by the same rules as the present: by a verdict of its own, over the checks of that
 * subject and all anchors, warmed up before the window: a day at most, which a limit's level that began earlier does not reach.
 *
 *   refold_new -> refold_step until it is not 1 -> refold_truth -> refold_free
 *
 * Reads only; the caller writes what comes of it (book_settle_late). Thread: one. Limits: REFOLD_ROWS results, above which the
 * window is left as it is and that is told.
 */
#ifndef COLLECTOR_JUDGE_REFOLD_H
#define COLLECTOR_JUDGE_REFOLD_H

#include "collector/judge/book.h"
#include "collector/judge/verdict.h"

#define REFOLD_ROWS 4000000

struct refold;
struct usual;

/* folder: of the journal; from: a position at or before all that may tell about the window, refold_reaches_back earlier than it;
 * limit: the last synced one. NULL with err. Inventory and usual must outlive it. */
struct refold *refold_new(const char *folder, struct position from, struct position limit, const struct inventory *,
	const struct usual *, const char *subject, struct span window, struct err *);
void refold_free(struct refold *); /* accepts NULL */
/* How long before a window evidence about it begins, ns. */
int64_t refold_reaches_back(const struct inventory *, const char *subject);
/* 1: call again; 0: done; -1 with err. A step takes some milliseconds; the last one longer. */
int refold_step(struct refold *, struct err *);
/* VERDICT_FAMILIES + 1 of them, the last of the subject as a whole; until refold_free. */
const struct book_truth *refold_truth(const struct refold *);

#endif
