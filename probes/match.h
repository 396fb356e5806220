/*
 * match: what an operator may write about bytes that come from outside: bytes with escapes, patterns, lists of status
 * codes, headers. Pure; used to check settings and to judge answers, so both mean the same.
 *
 * A text is bytes that must appear somewhere, or "~" and a POSIX extended pattern (no back-references: they take
 * exponential time). A pattern is tried on each line as grep does, without the end of line (\n or \r\n); locale "C".
 * Time: proportional to the data, about 5 ms for a MiB, unless a pattern was made to need ever new states
 * ("(a|b)*a(a|b){20}": 70 us for each byte of a and b). The caller bounds the data.
 */
#ifndef PROBES_MATCH_H
#define PROBES_MATCH_H

#include <regex.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;

struct match {
	bool is_pattern, takes_empty; /* an empty line too */
	regex_t pattern;
	uint8_t *bytes;
	size_t len;
};

/* escapes: whether \r \n \t \xNN \\ mean something in bytes (never in a pattern). 0, or -1 with words. */
int match_init(struct match *, const char *text, bool escapes, struct err *);
void match_fini(struct match *);
bool match_find(const struct match *, struct buf *data); /* adds the NUL that regexec() wants behind it */

/* Undoes escapes; out holds strlen(text) bytes. The length, or -1 with words. */
int match_unescape(const char *text, uint8_t *out, struct err *);

/* "200", "200-399,401": codes of three digits from 100 on. 0, or -1 with words. */
int match_check_status(const char *list, struct err *);
bool match_status(const char *list, int code); /* of a checked list */

/* "Name: value", the name of token signs (RFC 9110 section 5.6.2). Gives where the value starts, or -1 with words. */
int match_check_header(const char *text, const char **value, struct err *);
/* Whether a header line (with or without its end of line) has the name before ':' in `name`; gives its trimmed value. */
bool match_header(const char *name, const char *line, size_t len, const char **value, size_t *value_len);

#endif
