/*
 * Conditions on JSON, and values out of it: whatever condition is accepted must judge whatever comes. The input is a condition, a line
 * end, and the text.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "probes/json_read.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *value_of(void *ctx, const char *name)
{
	(void)ctx;
	return name; /* as good as any */
}

static void look(const struct json_library *library, const struct json_condition *c, const uint8_t *data, size_t size)
{
	struct buf taken = {0};
	char why[300] = "";
	struct err e;
	struct json_t *root = json_read(library, data, size, &e);

	if (root == NULL) {
		assert(*e.text != '\0');
		return;
	}
	if (!json_condition_holds(library, c, root, value_of, NULL, why, sizeof why))
		assert(why[0] != '\0' && strlen(why) < sizeof why);
	if (json_path_take(library, &c->path, root, &taken, &e) == 0)
		assert(taken.len <= JSON_VALUE_MAX);
	buf_fini(&taken);
	json_free(library, root);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct json_library *library;
	const uint8_t *line = size > 0 ? memchr(data, '\n', size) : NULL;
	struct json_condition c;
	struct err e;
	char *text;

	if (library == NULL)
		library = json_library_open(&e);
	assert(library != NULL);
	if (line == NULL)
		return 0;
	text = mem_alloc((size_t)(line - data) + 1);
	memcpy(text, data, (size_t)(line - data));
	if (json_condition_init(&c, text, &e) == 0) {
		look(library, &c, line + 1, size - (size_t)(line + 1 - data));
		json_condition_fini(&c);
	}
	free(text);
	return 0;
}
