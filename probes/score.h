/*
 * score: what two pages have in common, and how indices make a score. Pure.
 *
 * Likeness is Dice's coefficient of what occurs in each, counted with repeats: 2 |A and B| / (|A| + |B|), 1 when both are empty.
 * Of texts it is taken of their runs of SCORE_RUN characters (Chinese has no blanks between words).
 */
#ifndef PROBES_SCORE_H
#define PROBES_SCORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SCORE_RUN 4

double score_text_likeness(const void *a, size_t a_len, const void *b, size_t b_len); /* UTF-8 */
double score_list_likeness(char *const *a, size_t a_count, char *const *b, size_t b_count);
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
