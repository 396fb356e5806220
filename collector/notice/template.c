#include "collector/notice/template.h"

#include <string.h>

#include "lib/err.h"

static const char *const names[TEMPLATE_NONE] = {
	[TEMPLATE_INCIDENT] = "incident",
	[TEMPLATE_OTHER] = "other",
	[TEMPLATE_SUBJECT] = "subject",
	[TEMPLATE_SYSTEMS] = "systems",
	[TEMPLATE_STATE] = "state",
	[TEMPLATE_FAMILIES] = "families",
	[TEMPLATE_SINCE] = "since",
	[TEMPLATE_AT] = "at",
	[TEMPLATE_REASON] = "reason",
	[TEMPLATE_AUTHOR] = "author",
	[TEMPLATE_TEXT] = "text",
	[TEMPLATE_LEVEL] = "level",
	[TEMPLATE_ITEMS] = "items",
	[TEMPLATE_COUNT] = "count",
	[TEMPLATE_KEY] = "key",
	[TEMPLATE_LINE] = "line",
};

enum template_word template_word_at(const char *p, size_t *len)
{
	size_t n = strcspn(p + 1, "}");

	*len = n + 2;
	for (int i = 0; p[1 + n] == '}' && i < TEMPLATE_NONE; i++) {
		if (strlen(names[i]) == n && strncmp(names[i], p + 1, n) == 0)
			return (enum template_word)i;
	}
	return TEMPLATE_NONE;
}

int template_check(const char *text, struct err *e)
{
	size_t len;

	for (const char *p = text; (p = strchr(p, '{')) != NULL; p += len) {
		if (template_word_at(p, &len) == TEMPLATE_NONE)
			return err_set(e, "\"%.40s\" is no word of a template: write one of " TEMPLATE_WORDS " {line}", p);
	}
	return 0;
}
