#include "agent/plugins.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/mem.h"
#include "lib/owned.h"
#include "probes/catalog_exec.h"

static int check_path(const char *text, struct err *e)
{
	if (*text == '/')
		return 0;
	return err_set(e, "\"%.100s\" must be an absolute path", text);
}

static const struct config_field plugin_fields[] = {
	{.name = "name", .kind = CONFIG_TEXT, .offset = offsetof(struct plugin, name), .min = 1, .max = EXEC_PLUGIN_MAX,
		.check = catalog_exec_check_name, .help = "what checks call it"},
	{.name = "path", .kind = CONFIG_TEXT, .offset = offsetof(struct plugin, path), .min = 1, .max = PATH_MAX - 1,
		.check = check_path, .help = "the program, an absolute path"},
	{.name = "argv", .kind = CONFIG_TEXTS, .offset = offsetof(struct plugin, argv), .fallback = "",
		.max = EXEC_ARGS_MAX, .help = "its first arguments, before those of a check"},
	{.name = "takes_args", .kind = CONFIG_BOOL, .offset = offsetof(struct plugin, takes_args), .fallback = "true",
		.help = "whether a check may give arguments"},
	{.name = "raw_sockets", .kind = CONFIG_BOOL, .offset = offsetof(struct plugin, raw_sockets), .fallback = "false",
		.help = "whether it may open raw sockets and low ports (CAP_NET_RAW, CAP_NET_BIND_SERVICE)"},
	{.name = NULL},
};
static const struct config_schema plugin_schema = {sizeof(struct plugin), plugin_fields,
	offsetof(struct plugin, where)};

static const struct config_field fields[] = {
	{.name = "plugins", .kind = CONFIG_LIST, .offset = offsetof(struct plugins, list), .fallback = "",
		.max = PLUGINS_MAX, .sub = &plugin_schema, .help = "plugins that checks may name"},
	{.name = NULL},
};
const struct config_schema plugins_schema = {sizeof(struct plugins), fields, -1};

/* ---- the table */

static int check_table(const struct plugins *p, struct err *e)
{
	const struct plugin *items = p->list.items;

	for (size_t i = 0; i < p->list.count; i++) {
		const struct plugin *twin = plugins_find(p, items[i].name);

		if (twin != &items[i])
			return config_error(&items[i].where, e, "plugin \"%s\" stands twice, first in line %u",
				items[i].name, twin->where.line);
	}
	return 0;
}

char *plugins_resolve(const struct plugin *p, struct err *e)
{
	struct err inner;
	char *real = owned_resolve(p->path, true, &inner);

	if (real == NULL)
		config_error(&p->where, e, "plugin \"%s\": %s", p->name, inner.text);
	return real;
}

int plugins_check(const struct plugin *p, struct err *e)
{
	char *real = plugins_resolve(p, e);

	free(real);
	return real != NULL ? 0 : -1;
}

struct plugins *plugins_load(const char *path, struct err *e)
{
	struct arena *arena = arena_new();
	struct plugins *p = arena_alloc(arena, sizeof *p);
	char *real = owned_resolve(path, false, e);
	int status = -1;

	if (real != NULL)
		status = config_load(path, &plugins_schema, arena, p, e);
	free(real);
	if (status < 0 || check_table(p, e) < 0) {
		arena_free(arena);
		return NULL;
	}
	p->arena = arena;
	return p;
}

void plugins_free(struct plugins *p)
{
	if (p != NULL)
		arena_free(p->arena);
}

const struct plugin *plugins_find(const struct plugins *p, const char *name)
{
	const struct plugin *items = p->list.items;

	for (size_t i = 0; i < p->list.count; i++) {
		if (strcmp(items[i].name, name) == 0)
			return &items[i];
	}
	return NULL;
}
