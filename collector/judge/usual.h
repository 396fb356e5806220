/*
 * usual: what a value usually is at its hour of the week, of those streams that a limit compares with their usual self. Pure.
 *
 *   usual_new -> (usual_of, then usual_take, each value as it comes -> usual_save) ... -> usual_free
 *
 * Of each hour the mean is kept, and of each of the 168 hours of a week the mean over the last four weeks or so. The answer about a
 * time is made of weeks before it alone: it does not change while its own week goes on, so that the past, judged again, is
 * judged as it was. In the first week nothing is known. Thread: one. Limits: USUAL_STREAMS; of more nothing is known.
 */
#ifndef COLLECTOR_JUDGE_USUAL_H
#define COLLECTOR_JUDGE_USUAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/sample.h"

struct err;
struct record_sink;
struct usual;

#define USUAL_STREAMS 20000 /* 2 KiB each */
#define USUAL_KEPT_WEEKS 10 /* a stream without a value for so long is forgotten */

struct usual_stream_id {
	const char *check, *vantage, *part;
	enum family family;
	uint32_t metric;
};

struct usual *usual_new(void);
void usual_free(struct usual *); /* accepts NULL */
/* at: measured, real ns. NAN: nothing is known. */
double usual_of(const struct usual *, const struct usual_stream_id *, int64_t at);
/* In the order of measuring; what is of an hour that is over changes nothing. */
void usual_take(struct usual *, const struct usual_stream_id *, double value, int64_t at);
/* Forgets what nobody asks for any more, and what has not been heard of for long. */
void usual_keep(struct usual *, bool (*is_asked)(void *ctx, const char *check, uint32_t metric), void *ctx, int64_t now);

/* The clock went back: nothing lies in the future. */
void usual_turn_back(struct usual *, int64_t now);

/* Records: record.h. Changed ones since the last save. */
void usual_save(struct usual *, const struct record_sink *);
int usual_restore(struct usual *, const char *key, const void *data, size_t len, struct err *);

#endif
