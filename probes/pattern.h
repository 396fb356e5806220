/*
 * pattern: extended regular expressions (POSIX XBD 9.4) as a search over one line of bytes that is hostile: time is
 * proportional to the line, memory constant, whatever the pattern. (regexec() of glibc takes quadratic time, or
 * memory without end for its states; regcomp() takes minutes for "a**********".)
 *
 *   pattern_new -> pattern_find ... -> pattern_free
 *
 * Known: . [ ] ( ) | * + ? {m} {m,} {m,n} ^ $ and \ before a sign that shall mean itself; in [ ] ranges and [:alpha:]
 * and its like, ASCII only. "." is one byte; a UTF-8 character outside [ ] is one thing to repeat.
 * Refused: back-references, a repetition of a repetition (write parentheses), more than PATTERN_MAX signs once the
 * repetitions are written out. "^" and "$" stand for the ends of the line once: "^^a" finds nothing.
 * Time of a byte: 15 ns as a rule, 2 us at worst, when all signs are possible at once.
 */
#ifndef PROBES_PATTERN_H
#define PROBES_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

#define PATTERN_MAX 256

struct err;
struct pattern;

struct pattern *pattern_new(const char *text, struct err *); /* NULL with words */
void pattern_free(struct pattern *);                         /* accepts NULL */
/* Whether it occurs in the line, which is given without its end. */
bool pattern_find(const struct pattern *, const char *line, size_t len);
/* Tells each place where an occurrence ends that begins at `from`, or anywhere from there on; in their order, until on_end says false
 * or as many signs as *budget are read, which is counted down. */
void pattern_ends(const struct pattern *, const char *line, size_t len, size_t from, bool anywhere, size_t *budget,
	bool (*on_end)(void *ctx, size_t end), void *ctx);

#endif
