#include "probes/pattern_span.h"

#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/mem.h"
#include "probes/pattern.h"

struct pattern_span {
	struct pattern *before, *inside, *behind;
};

/* ---- the three parts */

/* Behind the bracket expression whose [ is at `at`, or the end of the text. */
static const char *skip_bracket(const char *at)
{
	at += at[1] == '^' ? 2 : 1;
	if (*at == ']')
		at++;
	while (*at != '\0' && *at != ']') {
		const char *class_end = strncmp(at, "[:", 2) == 0 ? strstr(at, ":]") : NULL;

		at = class_end != NULL ? class_end + 2 : at + 1;
	}
	return *at == ']' ? at + 1 : at;
}

/* Behind one sign, escaped sign or bracket expression. */
static const char *skip_sign(const char *at)
{
	if (*at == '\\' && at[1] != '\0')
		return at + 2;
	return *at == '[' ? skip_bracket(at) : at + 1;
}

/* The first of these signs outside all groups from `at` on, or the end. */
static const char *find_sign(const char *at, const char *signs)
{
	int depth = 0;

	while (*at != '\0') {
		if (depth == 0 && strchr(signs, *at) != NULL)
			return at;
		depth += *at == '(';
		depth -= *at == ')';
		at = skip_sign(at);
	}
	return at;
}

static struct pattern *part_of(const char *from, const char *end, struct err *e)
{
	char *text = mem_format("%.*s", (int)(end - from), from);
	struct pattern *p = pattern_new(text, e);

	free(text);
	return p;
}

struct pattern_span *pattern_span_new(const char *text, struct err *e)
{
	const char *open = find_sign(text, "(|"), *close = *open == '(' ? find_sign(open + 1, ")") : open;
	struct pattern_span *s;

	if (*open != '(' || *close != ')') {
		err_set(e, *open == '|' ? "\"%.100s\": a | may stand in the ( ) alone" : "\"%.100s\" has no ( ) around what is taken", text);
		return NULL;
	}
	if (close[1] != '\0' && strchr("*+?{", close[1]) != NULL) {
		err_set(e, "\"%.100s\" repeats what is taken: put the repetition into the ( )", text);
		return NULL;
	}
	if (*find_sign(close + 1, "|") == '|') {
		err_set(e, "\"%.100s\": a | may stand in the ( ) alone", text);
		return NULL;
	}
	s = mem_alloc(sizeof *s);
	s->before = part_of(text, open, e);
	s->inside = s->before != NULL ? part_of(open + 1, close, e) : NULL;
	s->behind = s->inside != NULL ? part_of(close + 1, close + strlen(close), e) : NULL;
	if (s->behind != NULL)
		return s;
	pattern_span_free(s);
	return NULL;
}

void pattern_span_free(struct pattern_span *s)
{
	if (s == NULL)
		return;
	pattern_free(s->before);
	pattern_free(s->inside);
	pattern_free(s->behind);
	free(s);
}

/* ---- the search */

struct search {
	const struct pattern_span *span;
	const char *line;
	size_t len, budget;
	size_t from, to;
	bool found, fits;
};

static bool on_behind(void *ctx, size_t end)
{
	struct search *s = ctx;

	(void)end;
	s->fits = true;
	return false;
}

/* The group may end here: it does when what stands behind fits. */
static bool on_inside(void *ctx, size_t end)
{
	struct search *s = ctx;

	s->fits = false;
	pattern_ends(s->span->behind, s->line, s->len, end, false, &s->budget, on_behind, s);
	if (s->fits) {
		s->found = true;
		s->to = end;
	}
	return true;
}

static bool on_before(void *ctx, size_t end)
{
	struct search *s = ctx;

	s->from = end;
	pattern_ends(s->span->inside, s->line, s->len, end, false, &s->budget, on_inside, s);
	return !s->found;
}

bool pattern_span_find(const struct pattern_span *span, const char *text, size_t len, const char **from, size_t *taken)
{
	const char *end = text + len;
	struct search s = {.span = span, .budget = PATTERN_SPAN_SIGNS};

	while (text < end && s.budget > 0) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));

		s.line = text;
		s.len = (size_t)((newline != NULL ? newline : end) - text);
		s.len -= s.len > 0 && text[s.len - 1] == '\r';
		pattern_ends(span->before, s.line, s.len, 0, true, &s.budget, on_before, &s);
		if (s.found) {
			*from = s.line + s.from;
			*taken = s.to - s.from;
			return true;
		}
		text = newline != NULL ? newline + 1 : end;
	}
	return false;
}
