/*
 * Conditions of a check and an answer of a server, both from outside: whatever settings are accepted must judge
 * whatever comes. The input is lines: settings up to an empty one, then header lines up to an empty one, then body.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/config.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "probes/catalog_http.h"
#include "probes/http_answer.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define PAIRS_MAX 12

/* The line at *at, which goes on behind it; NULL at an empty line or the end. */
static const char *next_line(const char **at, const char *end, size_t *len)
{
	const char *line = *at, *newline = line < end ? memchr(line, '\n', (size_t)(end - line)) : NULL;

	*len = newline != NULL ? (size_t)(newline - line) : (size_t)(end - line);
	*at = newline != NULL ? newline + 1 : end;
	return *len > 0 ? line : NULL;
}

static struct config_pairs read_pairs(struct arena *a, const char **at, const char *end)
{
	struct config_pairs pairs = {.items = arena_alloc(a, PAIRS_MAX * sizeof *pairs.items)};
	const char *line;
	size_t len;

	while (pairs.count < PAIRS_MAX && (line = next_line(at, end, &len)) != NULL) {
		char *key = arena_alloc(a, len + 1), *equals;

		memcpy(key, line, len);
		equals = strchr(key, '=');
		if (equals == NULL)
			continue;
		*equals = '\0';
		pairs.items[pairs.count++] = (struct config_pair){.key = key, .value = equals + 1};
	}
	return pairs;
}

static void judge(const struct http_options *o, const char *at, const char *end)
{
	struct http_expect expect = http_expect_of(o);
	struct http_answer a;
	const char *line;
	char why[300];
	size_t len;

	http_answer_init(&a, &expect);
	for (int follows = 0; follows < 2; follows++) {
		const char *from = at;

		http_answer_begin(&a, follows != 0);
		while ((line = next_line(&from, end, &len)) != NULL && http_answer_header(&a, line, len))
			;
		while (from < end) { /* in pieces */
			size_t n = (size_t)(end - from) < 7 ? (size_t)(end - from) : 7;

			if (!http_answer_body(&a, from, n))
				break;
			from += n;
		}
		assert(a.location == NULL || strlen(a.location) <= HTTP_LOCATION_MAX);
		assert(a.body_bytes <= (size_t)o->body_max && a.body.len <= a.body_bytes);
		http_answer_is_redirect(&a);
		if (http_answer_judge(&a, why, sizeof why) != OUTCOME_UP)
			assert(why[0] != '\0' && strlen(why) < sizeof why);
	}
	http_answer_fini(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *at = (const char *)data, *end = at + size;
	struct arena *a = arena_new();
	struct config_pairs pairs = read_pairs(a, &at, end);
	void *options;
	struct err e;

	if (catalog_options(&catalog_http, &pairs, a, &options, &e) == 0)
		judge(options, at, end);
	arena_free(a);
	return 0;
}
