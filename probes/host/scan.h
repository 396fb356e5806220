/*
 * scan: lines, words and numbers of the texts that the kernel writes into /proc and /sys.
 *
 * A scan is a stretch of borrowed bytes that is eaten from the front, never past its end; whatever the bytes are,
 * each call takes at least one or says false. Pure, any thread.
 */
#ifndef PROBES_HOST_SCAN_H
#define PROBES_HOST_SCAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct scan {
	const char *at, *end;
};

struct scan scan_over(const void *text, size_t len);
size_t scan_left(const struct scan *);
/* The next line without its end; false when there is none. */
bool scan_line(struct scan *, struct scan *line);
/* The next word between blanks. */
bool scan_word(struct scan *, struct scan *word);
/* What stands before the sign, which is eaten with it; without such a sign: all that is left. False: nothing left. */
bool scan_until(struct scan *, char sign, struct scan *part);
/* Behind blanks: digits that fit 64 bits; nothing is taken when there are none. */
bool scan_number(struct scan *, uint64_t *);
/* The same with a fraction, as in "12.50"; without sign and exponent. */
bool scan_decimal(struct scan *, double *);
bool scan_is(const struct scan *, const char *text);
bool scan_starts(const struct scan *, const char *text);
/* Whether the word stands in a list that is divided by commas. */
bool scan_lists(struct scan list, const char *word);
/* As a C string, cut where there is no more room; returns out. */
char *scan_copy(const struct scan *, char *out, size_t room);

#endif
