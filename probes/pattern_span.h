/*
 * pattern_span: a pattern (pattern.h) one part of which is taken: its first ( ). name="csrf" value="([^"]*)" takes what stands in the
 * quotes. The first place where all of it occurs counts, and there the longest that fits.
 *
 *   pattern_span_new -> pattern_span_find ... -> pattern_span_free
 *
 * The parts before, in and behind the group are three patterns; so no | stands beside the group, and it is not repeated.
 * PATTERN_SPAN_SIGNS are read at most for one line: 30 ms, whatever pattern and line.
 */
#ifndef PROBES_PATTERN_SPAN_H
#define PROBES_PATTERN_SPAN_H

#include <stdbool.h>
#include <stddef.h>

#define PATTERN_SPAN_SIGNS (2u << 20)

struct err;
struct pattern_span;

struct pattern_span *pattern_span_new(const char *text, struct err *); /* NULL with words */
void pattern_span_free(struct pattern_span *);                         /* accepts NULL */
/* In a text of lines, each by itself as match.h has it; what is taken is from *from on. False: it does not occur. */
bool pattern_span_find(const struct pattern_span *, const char *text, size_t len, const char **from, size_t *taken);

#endif
