/*
 * http_template: texts of a step in which ${name} stands for a value that a step above it took, and ${secret:id} for a secret of the
 * agent's own file. Pure; used to check settings and to fill them in.
 */
#ifndef PROBES_HTTP_TEMPLATE_H
#define PROBES_HTTP_TEMPLATE_H

#include <stdbool.h>

#define HTTP_NAME_MAX 32 /* bytes of a name of a step or a value */
#define HTTP_SECRET "secret:"

struct buf;
struct err;

/* How a value is written where it stands. */
enum http_escape {
	HTTP_AS_IS,
	HTTP_IN_URL,  /* %-encoded, but for one that the text begins with: an address */
	HTTP_IN_JSON, /* as between the quotes of a text */
};

/* Whether each name is known, and no secret is there if none may be. 0, or -1 with words. */
int http_template_check(const char *text, bool may_have_secret, bool (*is_known)(const void *ctx, const char *name),
	const void *ctx, struct err *);
bool http_template_has_secret(const char *text);
/* Appends a checked text. value_of tells the value of a name ("secret:id" as well), or NULL with words, which end it: -1. */
int http_template_fill(const char *text, enum http_escape, const char *(*value_of)(void *ctx, const char *name, struct err *),
	void *ctx, struct buf *out, struct err *);

/* Letters, digits, - and _, HTTP_NAME_MAX at most. */
bool http_name_is_good(const char *name);
void http_add_encoded(const char *text, struct buf *out); /* %-encoded (RFC 3986 section 2) */

#endif
