#include "collector/notice/commands.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "collector/notice/roster.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/owned.h"

static int check_path(const char *text, struct err *e)
{
	return *text == '/' ? 0 : err_set(e, "\"%.100s\" must be an absolute path", text);
}

static const struct config_field command_fields[] = {
	{.name = "name", .kind = CONFIG_ID, .offset = offsetof(struct allowed_command, name), .help = "what channels call it"},
	{.name = "path", .kind = CONFIG_TEXT, .offset = offsetof(struct allowed_command, path), .min = 1, .max = PATH_MAX - 1,
		.check = check_path, .help = "the program, an absolute path"},
	{.name = "argv", .kind = CONFIG_TEXTS, .offset = offsetof(struct allowed_command, argv), .fallback = "", .max = COMMANDS_ARGS_MAX,
		.help = "its arguments"},
	{.name = NULL},
};
static const struct config_schema command_schema = {sizeof(struct allowed_command), command_fields, offsetof(struct allowed_command, where)};

static const struct config_field fields[] = {
	{.name = "user", .kind = CONFIG_TEXT, .offset = offsetof(struct commands, user), .min = 1, .max = 32,
		.help = "whom they run as: a user of their own, neither root nor that of the collector"},
	{.name = "commands", .kind = CONFIG_LIST, .offset = offsetof(struct commands, list), .fallback = "", .max = COMMANDS_MAX,
		.sub = &command_schema, .help = "programs that channels may name"},
	{.name = NULL},
};
const struct config_schema commands_schema = {sizeof(struct commands), fields, -1};

const struct allowed_command *commands_find(const struct commands *c, const char *name)
{
	const struct allowed_command *items = c->list.items;

	for (size_t i = 0; i < c->list.count; i++) {
		if (strcmp(items[i].name, name) == 0)
			return &items[i];
	}
	return NULL;
}

static int check_table(const struct commands *c, struct err *e)
{
	const struct allowed_command *items = c->list.items;

	for (size_t i = 0; i < c->list.count; i++) {
		const struct allowed_command *twin = commands_find(c, items[i].name);

		if (twin != &items[i])
			return config_error(&items[i].where, e, "command \"%s\" stands twice, first in line %u", items[i].name,
				twin->where.line);
	}
	return 0;
}

struct commands *commands_load(const char *path, struct err *e)
{
	struct arena *arena = arena_new();
	struct commands *c = arena_alloc(arena, sizeof *c);
	char *real = owned_resolve(path, false, e);
	int status = -1;

	if (real != NULL)
		status = config_load(path, &commands_schema, arena, c, e);
	free(real);
	if (status < 0 || check_table(c, e) < 0) {
		arena_free(arena);
		return NULL;
	}
	c->arena = arena;
	return c;
}

void commands_free(struct commands *c)
{
	if (c != NULL)
		arena_free(c->arena);
}

char *commands_resolve(const struct allowed_command *c, struct err *e)
{
	struct err inner;
	char *real = owned_resolve(c->path, true, &inner);

	if (real == NULL)
		config_error(&c->where, e, "command \"%s\": %s", c->name, inner.text);
	return real;
}

int commands_check(const struct roster *r, const char *path, struct err *e)
{
	const struct roster_channel *c = r->channels.items;
	struct commands *commands = path[0] != '\0' ? commands_load(path, e) : NULL;
	int status = commands != NULL || path[0] == '\0' ? 0 : -1;

	for (size_t i = 0; i < r->channels.count && status == 0; i++) {
		if (c[i].kind != ROSTER_COMMAND)
			continue;
		if (commands == NULL)
			status = config_error(&c[i].where, e, "channel %s: collector.conf names no file of commands: write commands = "
				"\"commands.conf\"", c[i].id);
		else if (commands_find(commands, c[i].command) == NULL)
			status = config_error(&c[i].where, e, "channel %s: there is no command \"%s\" in %.200s", c[i].id, c[i].command, path);
	}
	commands_free(commands);
	return status;
}
