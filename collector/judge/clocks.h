/*
 * clocks: whose wall clock is off, as its batches show by the time that they were sent at. Pure.
 *
 *   clocks_new -> (clocks_take each batch -> clocks_save) ... -> clocks_free
 *
 * A batch that was long on its way looks as if the clock of its sender were behind: that is believed of CLOCKS_ROW batches in a
 * row and for CLOCKS_BEHIND. No delay makes a clock look ahead: that is believed at once. Between the two bounds it stays what
 * it was. Thread: one. Limits: as many as there are agents.
 */
#ifndef COLLECTOR_JUDGE_CLOCKS_H
#define COLLECTOR_JUDGE_CLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/clock.h"

#define CLOCKS_BAD (5 * NS_PER_S) /* shown from there on (design §12) */
#define CLOCKS_GOOD (3 * NS_PER_S)
#define CLOCKS_ROW 3
#define CLOCKS_BEHIND (60 * NS_PER_S)

struct clocks;
struct err;
struct record_sink;

struct clocks *clocks_new(void);
void clocks_free(struct clocks *); /* accepts NULL */
/* skew: sent - received, ns. is_bad: what it counts as; gives what it counts as from now on. */
bool clocks_take(struct clocks *, const char *agent, int64_t skew, int64_t now, bool is_bad);
/* Records: record.h. Changed ones since the last save. */
void clocks_save(struct clocks *, const struct record_sink *);
int clocks_restore(struct clocks *, const char *key, const void *data, size_t len, struct err *);

#endif
