/*
 * phrase: the words of a notice: a title of one line and a body, from a template and what is told. Pure.
 *
 *   phrase_make(...) -> use title and body -> phrase_fini
 *
 * What stands for words in braces came from outside in part (reasons, comments): of it, controls and marks that turn the
 * direction of writing become spaces, < and > their full-width forms (a bot would read them as mention or link), bytes that are not
 * UTF-8 '?', and it ends after PHRASE_VALUE_MAX bytes. A unit reads of its own systems alone: neither the name of
 * another's cause nor its words.
 * Thread: any.
 */
#ifndef COLLECTOR_NOTICE_PHRASE_H
#define COLLECTOR_NOTICE_PHRASE_H

#include <stddef.h>

#include "collector/notice/roster.h"

struct buf;
struct incident_intent;
struct inventory;

#define PHRASE_VALUE_MAX 600

struct phrase {
	char *title, *body;
	/* The same facts for programs: id of what failed ("" when it is another's), why, the systems that it takes along. NULL in a
	 * phrase that is about nothing of that. */
	char *subject, *reason, *systems;
};

/* affected: ids divided by spaces, as outbox_incident has them; "" when nobody knows. roster may be NULL: built-in words. */
void phrase_make(const struct roster *, const struct inventory *, const struct incident_intent *, const char *affected,
	enum roster_language, struct phrase *);
void phrase_fini(struct phrase *);
/* May an audience read of that subject? A unit of its systems, others of all. */
bool phrase_is_own(const struct inventory *, const char *audience, const char *subject, size_t len);
/* Adds text as it may stand in a notice. */
void phrase_add_clean(struct buf *, const char *text);
/* Length of at most max bytes of clean UTF-8 that cuts no letter. */
size_t phrase_cut(const char *text, size_t max);

#endif
