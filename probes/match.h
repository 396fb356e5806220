/*
 * match: what an operator may write about bytes that come from outside: bytes with escapes, patterns, lists of status
 * codes, headers. Pure; used to check settings and to judge answers, so both mean the same.
 *
 * A text is bytes that must appear somewhere, or "~" and a pattern (pattern.h), which is tried on each line as grep does,
 * without the end of line (\n or \r\n). Time is proportional to the data. The caller bounds it.
 */
#ifndef PROBES_MATCH_H
#define PROBES_MATCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct pattern;

struct match {
	struct pattern *pattern; /* NULL: bytes */
	uint8_t *bytes;
	size_t len;
};

/* escapes: whether \r \n \t \xNN \\ mean something in bytes (never in a pattern). 0, or -1 with words. */
int match_init(struct match *, const char *text, bool escapes, struct err *);
void match_fini(struct match *);
bool match_find(const struct match *, const void *data, size_t len);

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
