/*
 * http_values: what the steps of a run fill into their requests: values that earlier steps took from answers, and the agent's
 * secrets, which go where the agent's own file says and into no word that is told.
 *
 *   http_values_init -> (target of a step) -> http_values_fill ... -> http_values_take -> ... http_values_hide -> http_values_fini
 *
 * Thread: the loop's. Limits: a value of JSON_VALUE_MAX bytes, clean; HTTP_LINES_MAX of them.
 */
#ifndef PROBES_HTTP_VALUES_H
#define PROBES_HTTP_VALUES_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/sample.h"
#include "probes/http_steps.h"
#include "probes/http_template.h"

struct arena;
struct err;
struct http_answer;
struct json_library;
struct probe_env;

struct http_taken {
	const char *name;
	char *text; /* in the arena */
};

struct http_values {
	const struct probe_env *env;
	struct arena *arena;
	/* of the step under way */
	char *target_host;
	bool may_send;       /* a secret there: it is the server that the check names */
	bool is_target_safe; /* encrypted, or by the check's own word not */

	struct http_taken taken[HTTP_LINES_MAX];
	size_t taken_count;
	const char **secrets; /* that were sent, as they are and %-encoded; in the arena */
	size_t secret_count;
};

void http_values_init(struct http_values *, const struct probe_env *);
void http_values_fini(struct http_values *);

/* A text with its values, in the arena, "" of NULL; NULL with words. */
const char *http_values_fill(struct http_values *, const char *text, enum http_escape, struct err *);
/* One that was taken. ctx: the values. */
const char *http_values_taken(void *ctx, const char *name);
/* All that a step takes. Up, or why not. */
enum outcome http_values_take(struct http_values *, const struct http_step *, const struct http_answer *,
	struct json_library *, struct err *);
/* A server may send back what it was sent: no secret stays in the words. */
void http_values_hide(const struct http_values *, char *words);

#endif
