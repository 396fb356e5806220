/*
 * Steps of a check, and what they take out of an answer: whatever lines are accepted must fill in and find, in whatever comes. The input
 * is lines up to an empty one, then a body.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "probes/http_steps.h"
#include "probes/pattern_span.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *value_of(void *ctx, const char *name, struct err *e)
{
	(void)ctx, (void)e;
	return name;
}

static void fill(const char *text, enum http_escape escape)
{
	struct buf out = {0}, encoded = {0};
	struct err e;

	if (text != NULL)
		assert(http_template_fill(text, escape, value_of, NULL, &out, &e) == 0);
	http_add_encoded(buf_text(&out), &encoded);
	assert(encoded.len >= out.len);
	buf_fini(&out);
	buf_fini(&encoded);
}

static void find(const struct http_take *t, const char *body, size_t len)
{
	const char *from;
	size_t n;

	if (t->pattern != NULL && pattern_span_find(t->pattern, body, len, &from, &n))
		assert(from >= body && n <= len && from + n <= body + len);
}

static void use(const struct http_step *s, const char *body, size_t len)
{
	assert(http_name_is_good(s->name) && s->target != NULL);
	fill(s->target, HTTP_IN_URL);
	fill(s->body, HTTP_IN_JSON);
	fill(s->expect, HTTP_AS_IS);
	for (size_t i = 0; i < s->form_count; i++)
		fill(s->form[i], HTTP_AS_IS);
	for (size_t i = 0; i < s->header_count; i++)
		fill(s->headers[i], HTTP_AS_IS);
	for (size_t i = 0; i < s->take_count; i++)
		find(&s->takes[i], body, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *lines[HTTP_LINES_MAX + 2];
	char *text = mem_alloc(size + 1), *rest = text, *line;
	struct http_steps *s;
	size_t count = 0;
	struct err e;

	if (size > 0)
		memcpy(text, data, size);
	while (count < HTTP_LINES_MAX + 1 && (line = strsep(&rest, "\n")) != NULL && *line != '\0')
		lines[count++] = line;
	s = http_steps_new(lines, count, &e);
	for (size_t i = 0; s != NULL && i < s->count; i++)
		use(&s->steps[i], rest != NULL ? rest : text, rest != NULL ? size - (size_t)(rest - text) : 0);
	http_steps_free(s);
	free(text);
	return 0;
}
