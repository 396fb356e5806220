/*
 * record: how the cores of judgement hand out their state: as small records under keys, so that the owner can put
 * what changed into one transaction with its outbox, and give all of it back after a start.
 *
 *   core_save(core, all, sink) -> put/drop of each changed record -> (one transaction) -> core_restore(core, key, bytes) each
 *
 * A key is a path of inventory ids and numbers in ASCII ("vote/portal-http/agent-city/4"). Bytes are little-endian and begin
 * with a version; they are read with bounds all the same, as a database is a file that others can reach.
 */
#ifndef COLLECTOR_JUDGE_RECORD_H
#define COLLECTOR_JUDGE_RECORD_H

#include <stddef.h>
#include <stdint.h>

#include "lib/sample.h"

struct buf;
struct cursor;

struct record_sink {
	void (*put)(void *ctx, const char *key, const void *data, size_t len);
	void (*drop)(void *ctx, const char *key);
	void *ctx;
};

#define RECORD_KEY 320 /* room that every key fits in */
#define RECORD_TIME_MAX (INT64_MAX / 2)

void record_add_time(struct buf *, int64_t);
void record_add_double(struct buf *, double);
void record_add_text(struct buf *, const char *); /* up to 65,535 bytes */
/* 0..RECORD_TIME_MAX, so that two of them can be added; else 0 and a failed cursor. */
int64_t record_time(struct cursor *);
double record_double(struct cursor *);
/* A copy on the heap, never NULL; "" and a failed cursor when it is not there or holds a NUL. */
char *record_text(struct cursor *) __attribute__((returns_nonnull));

#endif
