/*
 * series_queue: the value sets of one series file that wait to be written, as compact bytes
 * (20..30 for a round of echoes, where doubles would take 110).
 *
 *   add in order of time -> next -> text for librrd, or bytes on to the file's own queue
 *
 * A number is kept as the integer that stands behind `decimals` digits when that says it exactly,
 * else as the double; it is handed to librrd as the decimal text of just that integer, so that
 * what is stored does not depend on how value sets are grouped. Pure. Thread: any.
 * Limits: SERIES_COLUMNS_MAX numbers in a set.
 */
#ifndef COLLECTOR_SERIES_QUEUE_H
#define COLLECTOR_SERIES_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/sample.h"

#define SERIES_COLUMNS_MAX (1 + SAMPLE_VALUES_MAX)
/* Room of a value set as text: the time, and per number a sign, 17 digits, point, exponent. */
#define SERIES_SET_TEXT (24 + SERIES_COLUMNS_MAX * 28)

/* Zeroed: an empty queue. */
struct series_queue {
	uint8_t *data;
	uint32_t len, room;
	uint32_t count; /* value sets */
	int64_t newest; /* s; of the last one added */
};

/* One value set taken from a queue; the numbers are borrowed, still encoded. */
struct series_set {
	int64_t time;        /* s UTC */
	uint32_t interval_s; /* of the check when it was measured */
	const uint8_t *numbers, *end;
};

void series_queue_fini(struct series_queue *);
/* NaN stands for unknown. time must be above that of the set before. */
void series_queue_add(struct series_queue *, int64_t time, uint32_t interval_s, const double *numbers,
	const uint8_t *decimals, size_t columns);
/* Adds a set taken from another queue of the same columns. */
void series_queue_keep(struct series_queue *, const struct series_set *);
void series_queue_clear(struct series_queue *); /* frees its bytes too */

struct series_queue_walk {
	const uint8_t *at, *end;
	int64_t time;
	size_t columns;
};
struct series_queue_walk series_queue_walk(const struct series_queue *, size_t columns);
bool series_queue_next(struct series_queue_walk *, struct series_set *);
/* "time:number:U:number"; the length. decimals are those that were given to add. */
size_t series_set_text(const struct series_set *, const uint8_t *decimals, char out[SERIES_SET_TEXT]);

#endif
