/*
 * score: what two pages have in common, and how indices make a score. Pure.
 *
 * Likeness is Dice's coefficient of what occurs in each, counted with repeats: 2 |A and B| / (|A| + |B|), 1 when both are empty.
 * Of texts it is taken of their runs of SCORE_RUN characters (Chinese has no blanks between words).
 * Time is proportional to the length, whatever stands there: hashes are sorted by their digits and merged, so that texts made to
 * collide gain nothing. A bag of 256 KiB takes 6 ms.
 */
#ifndef PROBES_SCORE_H
#define PROBES_SCORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCORE_RUN 4

/* What occurs in something: a hash of each, in order. */
struct score_bag {
	size_t count;
	uint64_t *hashes;
};

struct score_bag score_bag_of_text(const void *text, size_t len); /* UTF-8 */
struct score_bag score_bag_of_list(char *const *items, size_t count);
void score_bag_fini(struct score_bag *);
double score_likeness(const struct score_bag *, const struct score_bag *);

/* Sorts them; of an even count the mean of the two in the middle; NaN of none. */
double score_median(double *values, size_t count);
/* part of whole in percent; NaN of none */
double score_percent(size_t part, size_t whole);

/* One index: 0 to 100, or NaN when it was not measured. */
struct score_index {
	double value;
	int64_t weight;
};
/* The weighted mean of those that were measured; NaN when there is none with a weight. */
double score_total(const struct score_index *, size_t count);

#endif
