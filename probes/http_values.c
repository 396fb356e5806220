#include "probes/http_values.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "probes/credentials.h"
#include "probes/http_answer.h"
#include "probes/json_read.h"
#include "probes/match.h"
#include "probes/pattern_span.h"
#include "probes/probe.h"

void http_values_init(struct http_values *v, const struct probe_env *env)
{
	*v = (struct http_values){.env = env, .arena = arena_new()};
}

void http_values_fini(struct http_values *v)
{
	free(v->target_host);
	free(v->secrets);
	arena_free(v->arena);
}

/* ---- values */

const char *http_values_taken(void *ctx, const char *name)
{
	const struct http_values *v = ctx;

	for (size_t i = v->taken_count; i-- > 0;) { /* the last one of a name counts */
		if (strcmp(v->taken[i].name, name) == 0)
			return v->taken[i].text;
	}
	assert(!"steps are checked");
	return "";
}

/* A listed server gets it, and without a list the one that the check names; unencrypted only where the check says http. */
static bool may_have_secret(const struct http_values *v, const struct credential *c)
{
	for (size_t i = 0; i < c->hosts.count; i++) {
		if (strcasecmp(c->hosts.items[i], v->target_host) == 0)
			return v->is_target_safe;
	}
	return c->hosts.count == 0 && v->may_send;
}

/* The same text, known from now on. */
static const char *keep_secret(struct http_values *v, const char *secret)
{
	struct buf encoded = {0};

	for (size_t i = 0; i < v->secret_count; i++) {
		if (strcmp(v->secrets[i], secret) == 0)
			return secret;
	}
	v->secrets = mem_resize(v->secrets, v->secret_count + 2, sizeof *v->secrets);
	http_add_encoded(secret, &encoded);
	v->secrets[v->secret_count++] = arena_strdup(v->arena, secret);
	v->secrets[v->secret_count++] = arena_strdup(v->arena, buf_text(&encoded));
	buf_fini(&encoded);
	return secret;
}

static const char *secret_value(struct http_values *v, const char *id, struct err *e)
{
	const struct credential *c = v->env->credential != NULL ? v->env->credential(v->env->ctx, id) : NULL;

	if (c == NULL || c->secret == NULL || *c->secret == '\0')
		err_set(e, "this agent has no secret \"%s\"", id);
	else if (!may_have_secret(v, c))
		err_set(e, "this agent does not send the secret \"%s\" to %.100s%s", id, v->target_host,
			v->is_target_safe ? "" : " without TLS");
	else
		return keep_secret(v, c->secret);
	return NULL;
}

static const char *value_of(void *ctx, const char *name, struct err *e)
{
	struct http_values *v = ctx;

	if (strncmp(name, HTTP_SECRET, strlen(HTTP_SECRET)) == 0)
		return secret_value(v, name + strlen(HTTP_SECRET), e);
	return http_values_taken(v, name);
}

const char *http_values_fill(struct http_values *v, const char *text, enum http_escape escape, struct err *e)
{
	struct buf out = {0};
	const char *filled = NULL;

	if (text == NULL)
		return "";
	if (http_template_fill(text, escape, value_of, v, &out, e) == 0)
		filled = arena_strdup(v->arena, buf_text(&out));
	buf_fini(&out);
	return filled;
}

/* ---- what a step takes */

static int take_from_header(const struct http_take *t, const struct buf *headers, struct buf *out, struct err *e)
{
	const char *at = (const char *)headers->data, *end = at + headers->len, *value, *from;
	size_t len, n;

	while (at < end) {
		const char *newline = memchr(at, '\n', (size_t)(end - at)), *behind = newline != NULL ? newline + 1 : end;
		bool is_it = match_header(t->header, at, (size_t)(behind - at), &value, &len);

		at = behind;
		if (!is_it || (t->pattern != NULL && !pattern_span_find(t->pattern, value, len, &from, &n)))
			continue;
		buf_add(out, t->pattern != NULL ? from : value, t->pattern != NULL ? n : len);
		return 0;
	}
	return err_set(e, t->pattern != NULL ? "no header %s that fits" : "no header %s", t->header);
}

static int take_from_body(const struct http_take *t, const struct buf *body, struct buf *out, struct err *e)
{
	const char *from;
	size_t n;

	if (body->len == 0 || !pattern_span_find(t->pattern, (const char *)body->data, body->len, &from, &n))
		return err_set(e, "the pattern does not occur in the body");
	buf_add(out, from, n);
	return 0;
}

static int take_one(const struct http_take *t, const struct http_answer *a, struct json_library *library, struct json_t *root,
	struct buf *out, struct err *e)
{
	int status = t->source == HTTP_OF_JSON ? json_path_take(library, &t->path, root, out, e)
		: t->source == HTTP_OF_HEADER  ? take_from_header(t, &a->headers, out, e)
					       : take_from_body(t, &a->body, out, e);

	if (status == 0 && out->len > JSON_VALUE_MAX)
		status = err_set(e, "a text of more than %d bytes", JSON_VALUE_MAX);
	if (status == 0 && !text_is_clean(buf_text(out), out->len))
		status = err_set(e, "a text with control characters, or not UTF-8");
	return status < 0 ? err_wrap(e, "take %s", t->name) : 0;
}

enum outcome http_values_take(struct http_values *v, const struct http_step *s, const struct http_answer *a,
	struct json_library *library, struct err *e)
{
	enum outcome outcome = OUTCOME_UP;
	struct json_t *root = NULL;
	bool has_json = false;

	for (size_t i = 0; i < s->take_count; i++)
		has_json |= s->takes[i].source == HTTP_OF_JSON;
	if (has_json && (root = http_answer_json(a, library, &outcome, e)) == NULL)
		return outcome;
	outcome = OUTCOME_UP;
	for (size_t i = 0; i < s->take_count && outcome == OUTCOME_UP; i++) {
		struct buf out = {0};

		if (take_one(&s->takes[i], a, library, root, &out, e) < 0)
			outcome = OUTCOME_DOWN;
		else
			v->taken[v->taken_count++] = (struct http_taken){s->takes[i].name, arena_strdup(v->arena, buf_text(&out))};
		buf_fini(&out);
	}
	if (root != NULL)
		json_free(library, root);
	return outcome;
}

/* ---- words */

/* Eight bytes of a secret are enough: words are cut somewhere. */
static void hide(const char *secret, char *words)
{
	size_t len = strlen(secret), least = len < 8 ? len : 8;

	for (char *at = words; len >= 4 && *at != '\0'; at++) {
		size_t n = 0;

		while (n < len && at[n] == secret[n])
			n++;
		if (n < least)
			continue;
		memcpy(at, "***", 3);
		memmove(at + 3, at + n, strlen(at + n) + 1);
	}
}

void http_values_hide(const struct http_values *v, char *words)
{
	for (size_t i = 0; i < v->secret_count; i++)
		hide(v->secrets[i], words);
}
