/*
 * template: which words in braces a template of a notice may hold, as "{subject} {state}". Pure. Thread: any.
 */
#ifndef COLLECTOR_NOTICE_TEMPLATE_H
#define COLLECTOR_NOTICE_TEMPLATE_H

#include <stddef.h>

struct err;

enum template_word { TEMPLATE_INCIDENT, TEMPLATE_OTHER, TEMPLATE_SUBJECT, TEMPLATE_SYSTEMS, TEMPLATE_STATE, TEMPLATE_FAMILIES,
	TEMPLATE_SINCE, TEMPLATE_AT, TEMPLATE_REASON, TEMPLATE_AUTHOR, TEMPLATE_TEXT, TEMPLATE_LEVEL, TEMPLATE_ITEMS, TEMPLATE_COUNT,
	TEMPLATE_KEY, TEMPLATE_LINE, TEMPLATE_NONE };
#define TEMPLATE_WORDS "{incident} {other} {subject} {systems} {state} {families} {since} {at} {reason} {author} {text} {level} {items} {count} {key}"

/* The word whose brace stands at p, TEMPLATE_NONE when there is none; *len: of it with its braces. */
enum template_word template_word_at(const char *p, size_t *len);
/* Are all words in braces known? 0, or -1 with the one that is not. */
int template_check(const char *text, struct err *);

#endif
