/* Configuration texts by a schema that has every kind of field, and options of the probe types. What the scan
 * lets through libconfig must parse: a bare "syntax error" would reach an operator. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "lib/config.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "probes/catalog.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct inner {
	const char *id;
	int64_t size;
};

struct all {
	bool flag;
	int64_t whole, duration, size;
	double number;
	const char *text;
	int choice;
	struct config_texts texts;
	struct inner group;
	struct config_list list;
	struct config_pairs options;
};

static const struct config_field inner_fields[] = {
	{.name = "id", .kind = CONFIG_ID, .offset = offsetof(struct inner, id), .help = "id"},
	{.name = "size", .kind = CONFIG_SIZE, .offset = offsetof(struct inner, size), .fallback = "1KiB", .help = "size"},
	{.name = NULL},
};

static const struct config_schema inner_schema = {sizeof(struct inner), inner_fields, -1};

static const struct config_field fields[] = {
	{.name = "flag", .kind = CONFIG_BOOL, .offset = offsetof(struct all, flag), .fallback = "true", .help = "h"},
	{.name = "whole", .kind = CONFIG_INT, .offset = offsetof(struct all, whole), .fallback = "1", .min = 0,
		.max = 9, .help = "h"},
	{.name = "duration", .kind = CONFIG_DURATION, .offset = offsetof(struct all, duration), .fallback = "1s", .help = "h"},
	{.name = "size", .kind = CONFIG_SIZE, .offset = offsetof(struct all, size), .fallback = "1MiB", .help = "h"},
	{.name = "number", .kind = CONFIG_NUMBER, .offset = offsetof(struct all, number), .fallback = "0.5", .help = "h"},
	{.name = "text", .kind = CONFIG_TEXT, .offset = offsetof(struct all, text), .fallback = "", .help = "h"},
	{.name = "choice", .kind = CONFIG_CHOICE, .offset = offsetof(struct all, choice), .fallback = "a",
		.choices = "a|b", .help = "h"},
	{.name = "texts", .kind = CONFIG_TEXTS, .offset = offsetof(struct all, texts), .fallback = "", .help = "h"},
	{.name = "group", .kind = CONFIG_GROUP, .offset = offsetof(struct all, group), .sub = &inner_schema, .help = "h"},
	{.name = "list", .kind = CONFIG_LIST, .offset = offsetof(struct all, list), .fallback = "", .sub = &inner_schema,
		.help = "h"},
	{.name = "options", .kind = CONFIG_OPTIONS, .offset = offsetof(struct all, options), .fallback = "", .help = "h"},
	{.name = NULL},
};

static const struct config_schema schema = {sizeof(struct all), fields, -1};

/* libconfig's own words, behind "f:1: ". */
static bool is_bare(const char *text)
{
	static const char words[] = ": syntax error";
	size_t n = strlen(text);

	return n >= sizeof words - 1 && strcmp(text + n - (sizeof words - 1), words) == 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct arena *arena = arena_new();
	char *text = mem_alloc(len + 1);
	struct all out;
	struct err e = {""};
	void *options;

	if (len > 0)
		memcpy(text, data, len);
	if (config_parse("f", text, &schema, arena, &out, &e) == 0) {
		for (const struct catalog_type *const *t = catalog_types; *t != NULL; t++)
			catalog_options(*t, &out.options, arena, &options, &e);
	} else if (e.text[0] == '\0' || is_bare(e.text)) {
		abort();
	}
	free(text);
	arena_free(arena);
	return 0;
}
