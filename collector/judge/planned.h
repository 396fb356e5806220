/*
 * planned: when planned work covered a subject, as it was: beside the ledger, in the database of judgement. What was planned for
 * a parent counts for what hangs below it, by the topology of that time. Whole seconds.
 *
 *   planned_open -> planned_set inside a transaction of the owner -> planned_close
 *   readers in other processes: planned_open_file, planned_read
 *
 * Setting what holds already changes nothing: replay is harmless. Thread: the owner's.
 */
#ifndef COLLECTOR_JUDGE_PLANNED_H
#define COLLECTOR_JUDGE_PLANNED_H

#include <stdbool.h>
#include <stdint.h>

#include "collector/judge/calendar.h"

struct err;
struct planned;
struct sqlite3;

struct planned *planned_open(struct sqlite3 *, struct err *);
struct planned *planned_open_file(const char *path, struct err *); /* reads alone */
void planned_close(struct planned *); /* accepts NULL */
/* From `at` on it is covered, or not. */
int planned_set(struct planned *, const char *subject, bool is_covered, int64_t at, struct err *);
/* Since when it is covered; 0: it is not. */
int64_t planned_since(struct planned *, const char *subject);
/* The spans that meet the window, cut to it; out is filled: spans_fini. */
int planned_read(struct planned *, const char *subject, struct span window, struct spans *out, struct err *);

#endif
