/*
 * Texts with escapes, patterns, status lists and headers, on any bytes. The input is the text up to a NUL, then the data.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/mem.h"
#include "probes/match.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void find(const char *text, bool escapes, const uint8_t *data, size_t size)
{
	struct match m;
	struct err e;

	if (match_init(&m, text, escapes, &e) < 0) {
		assert(e.text[0] != '\0');
		return;
	}
	match_find(&m, data, size);
	match_fini(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const uint8_t *nul = size > 0 ? memchr(data, 0, size) : NULL;
	size_t n = nul != NULL ? (size_t)(nul - data) : size, rest = nul != NULL ? size - n - 1 : 0, len;
	const char *value;
	struct err e;
	char *text;

	if (n > 256)
		return 0;
	text = mem_alloc(n + 1);
	if (n > 0)
		memcpy(text, data, n);
	find(text, true, data + size - rest, rest);
	find(text, false, data + size - rest, rest);
	if (match_check_status(text, &e) == 0)
		match_status(text, 200);
	if (match_check_header(text, &value, &e) == 0) {
		assert(value >= text && value <= text + n);
		if (match_header(text, (const char *)data + size - rest, rest, &value, &len))
			assert(len <= rest);
	}
	free(text);
	return 0;
}
