#include "collector/inventory_parts.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "collector/inventory.h"
#include "collector/judge/calendar.h"
#include "collector/judge/verdict.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/wire.h"

/* ---- the tables */

static int check_ipv4(const char *text, struct err *e)
{
	struct in_addr a;

	if (inet_pton(AF_INET, text, &a) == 1)
		return 0;
	return err_set(e, "\"%.60s\" is not an IPv4 address: write one as in \"192.0.2.1\"", text);
}

static int check_ipv6(const char *text, struct err *e)
{
	struct in6_addr a;

	if (inet_pton(AF_INET6, text, &a) == 1)
		return 0;
	return err_set(e, "\"%.60s\" is not an IPv6 address: write one as in \"2001:db8::1\"", text);
}

#define FIELD_ID(type, words)                                                                      \
	{.name = "id", .kind = CONFIG_ID, .offset = offsetof(struct type, id), .help = words}
#define FIELD_NAME(type, words)                                                                    \
	{.name = "name", .kind = CONFIG_TEXT, .offset = offsetof(struct type, name), .fallback = "", \
		.max = 200, .help = words}
#define FIELD_NAME_EN(type)                                                                        \
	{.name = "name_en", .kind = CONFIG_TEXT, .offset = offsetof(struct type, name_en),         \
		.fallback = "", .max = 200, .help = "its name in English"}
#define SCHEMA(type, table)                                                                        \
	{.size = sizeof(struct type), .fields = table, .where_offset = offsetof(struct type, where)}

static const struct config_field unit_fields[] = {
	FIELD_ID(inventory_unit, "id of the government body"),
	FIELD_NAME(inventory_unit, "its name"),
	FIELD_NAME_EN(inventory_unit),
	{.name = "service", .kind = CONFIG_TEXTS, .offset = offsetof(struct inventory_unit, service),
		.fallback = "always", .min = 1, .max = 16, .check = hours_check,
		.help = "hours of service of its systems: \"always\", or days (workday, restday, daily, mon-fri, "
			"sat,sun) and times, as in \"workday 09:00-12:00,13:30-17:30\""},
	{.name = NULL},
};
static const struct config_schema unit_schema = SCHEMA(inventory_unit, unit_fields);

static const struct config_field system_fields[] = {
	FIELD_ID(inventory_system, "id of the information system"),
	FIELD_NAME(inventory_system, "its name"),
	FIELD_NAME_EN(inventory_system),
	{.name = "unit", .kind = CONFIG_ID, .offset = offsetof(struct inventory_system, unit),
		.help = "id of the unit that owns it and is told of its outages"},
	{.name = "depends", .kind = CONFIG_TEXTS, .offset = offsetof(struct inventory_system, depends),
		.fallback = "", .max = 64,
		.help = "ids of systems and links without which it cannot work: its outage is theirs"},
	{.name = "either", .kind = CONFIG_TEXTS, .offset = offsetof(struct inventory_system, either),
		.fallback = "", .max = 64,
		.help = "the same, but one of them suffices: only when all are down is its outage theirs"},
	{.name = "service", .kind = CONFIG_TEXTS, .offset = offsetof(struct inventory_system, service),
		.fallback = "", .max = 16, .check = hours_check,
		.help = "hours of service; without it, those of its unit"},
	{.name = NULL},
};
static const struct config_schema system_schema = SCHEMA(inventory_system, system_fields);

static const struct config_field site_fields[] = {
	FIELD_ID(inventory_site, "id of the place on the extranet"),
	FIELD_NAME(inventory_site, "its name"),
	FIELD_NAME_EN(inventory_site),
	{.name = "level", .kind = CONFIG_CHOICE, .offset = offsetof(struct inventory_site, level),
		.choices = "city|county|town|village", .help = "where it stands in the tree"},
	{.name = "parent", .kind = CONFIG_ID, .offset = offsetof(struct inventory_site, parent),
		.fallback = "", .help = "id of the site above; the root alone has none"},
	{.name = NULL},
};
static const struct config_schema site_schema = SCHEMA(inventory_site, site_fields);

static const struct config_field link_fields[] = {
	FIELD_ID(inventory_link, "id of the link"),
	FIELD_NAME(inventory_link, "its name"),
	{.name = "site", .kind = CONFIG_ID, .offset = offsetof(struct inventory_link, site),
		.help = "id of the site at its lower end: it leads to the parent of that"},
	{.name = "ipv4", .kind = CONFIG_TEXT, .offset = offsetof(struct inventory_link, ipv4),
		.fallback = "", .min = 1, .check = check_ipv4, .help = "IPv4 address of its lower end"},
	{.name = "ipv6", .kind = CONFIG_TEXT, .offset = offsetof(struct inventory_link, ipv6),
		.fallback = "", .min = 1, .check = check_ipv6, .help = "IPv6 address of its lower end"},
	{.name = NULL},
};
static const struct config_schema link_schema = SCHEMA(inventory_link, link_fields);

static const struct config_field agent_fields[] = {
	FIELD_ID(inventory_agent, "id of the agent: the name in its certificate"),
	FIELD_NAME(inventory_agent, "its name"),
	FIELD_NAME_EN(inventory_agent),
	{.name = "site", .kind = CONFIG_ID, .offset = offsetof(struct inventory_agent, site),
		.help = "id of the site where it stands"},
	{.name = "was", .kind = CONFIG_ID, .offset = offsetof(struct inventory_agent, was),
		.fallback = "", .help = "the id that it had before: keeps its history"},
	{.name = NULL},
};
static const struct config_schema agent_schema = SCHEMA(inventory_agent, agent_fields);

static const struct config_field check_fields[] = {
	FIELD_ID(inventory_check, "id of the check"),
	{.name = "type", .kind = CONFIG_ID, .offset = offsetof(struct inventory_check, type),
		.help = "probe type, one of those below"},
	{.name = "subject", .kind = CONFIG_TEXT, .offset = offsetof(struct inventory_check, subject),
		.min = 1, .max = 80, .help = "what it tells about: \"system/ID\", \"link/ID\", \"site/ID\" or "
		"\"host/AGENT\""},
	{.name = "vantages", .kind = CONFIG_TEXTS, .offset = offsetof(struct inventory_check, vantages),
		.min = 1, .max = 256, .help = "ids of the agents that run it"},
	{.name = "interval", .kind = CONFIG_DURATION,
		.offset = offsetof(struct inventory_check, interval), .fallback = "60s", .min = NS_PER_S,
		.max = WIRE_INTERVAL_MAX * NS_PER_S, .help = "from one run to the next, in whole seconds"},
	{.name = "timeout", .kind = CONFIG_DURATION, .offset = offsetof(struct inventory_check, timeout),
		.fallback = "", .min = NS_PER_MS, .max = 600 * NS_PER_S,
		.help = "a run ends after this time, less than the interval; without it, 10s or half of the "
			"interval, whichever is less"},
	{.name = "families", .kind = CONFIG_CHOICE, .offset = offsetof(struct inventory_check, families),
		.fallback = "both", .choices = "both|ipv4|ipv6", .help = "what is measured"},
	{.name = "priority", .kind = CONFIG_BOOL, .offset = offsetof(struct inventory_check, priority),
		.fallback = "false", .help = "whether a failure is asked again after 5 s instead of 10 s"},
	{.name = "severity", .kind = CONFIG_CHOICE, .offset = offsetof(struct inventory_check, severity),
		.fallback = "critical", .choices = "critical|minor|none",
		.help = "what its down makes of the subject: down, degraded, or nothing"},
	{.name = "quorum", .kind = CONFIG_INT, .offset = offsetof(struct inventory_check, quorum), .fallback = "0",
		.max = 256, .help = "vantages that must agree that it is down; 0: the majority of those that know"},
	{.name = "anchor", .kind = CONFIG_BOOL, .offset = offsetof(struct inventory_check, anchor),
		.fallback = "false",
		.help = "its target stands beside its vantages (gateway, neutral host): a vantage whose anchors "
			"all fail has no vote"},
	{.name = "limits", .kind = CONFIG_TEXTS, .offset = offsetof(struct inventory_check, limits),
		.fallback = "", .max = VERDICT_LIMITS, .help = "bounds of its values, as below"},
	{.name = "was", .kind = CONFIG_ID, .offset = offsetof(struct inventory_check, was),
		.fallback = "", .help = "the id that it had before: keeps its series"},
	{.name = "...", .kind = CONFIG_REST, .offset = offsetof(struct inventory_check, options),
		.fallback = "", .help = "the options of the probe type, as below"},
	{.name = NULL},
};
static const struct config_schema check_schema = SCHEMA(inventory_check, check_fields);

/* One file. */
struct file {
	struct config_list units, systems, sites, links, agents, checks;
};

#define FIELD_LIST(of, schema, words)                                                              \
	{.name = #of, .kind = CONFIG_LIST, .offset = offsetof(struct file, of), .fallback = "",    \
		.sub = schema, .help = words}

static const struct config_field file_fields[] = {
	FIELD_LIST(units, &unit_schema, "government bodies"),
	FIELD_LIST(systems, &system_schema, "information systems of the units"),
	FIELD_LIST(sites, &site_schema, "places on the extranet, a tree with one root"),
	FIELD_LIST(links, &link_schema, "the link of a site to its parent, at most one of each"),
	FIELD_LIST(agents, &agent_schema, "the agents that may report"),
	FIELD_LIST(checks, &check_schema, "what is measured, and from where"),
	{.name = NULL},
};
const struct config_schema inventory_schema = {
	.size = sizeof(struct file), .fields = file_fields, .where_offset = -1};

/* ---- files into one inventory */

#define KIND(one, many, table)                                                                     \
	{one, #many, table, offsetof(struct file, many), offsetof(struct inventory, many),         \
		offsetof(struct inventory, many##_count), offsetof(struct inventory_index, many)}

const struct inventory_kind inventory_kinds[] = {
	KIND("unit", units, &unit_schema),
	KIND("system", systems, &system_schema),
	KIND("site", sites, &site_schema),
	KIND("link", links, &link_schema),
	KIND("agent", agents, &agent_schema),
	KIND("check", checks, &check_schema),
	{.one = NULL},
};

struct files {
	struct file **items;
	size_t count;
};

static int on_file(void *ctx, const char *path, void *out, struct err *e)
{
	struct files *files = ctx;

	(void)path, (void)e;
	files->items = mem_resize(files->items, files->count + 1, sizeof *files->items);
	files->items[files->count++] = out;
	return 0;
}

static const struct config_list *list_of(const struct inventory_kind *k, const struct file *f)
{
	return (const void *)((const char *)f + k->list);
}

static const struct config_where *where_of(const struct inventory_kind *k, const void *record)
{
	return (const void *)((const char *)record + k->schema->where_offset);
}

/* The id is the first member of every record. */
static const char *id_of(const void *record)
{
	const char *id;

	memcpy(&id, record, sizeof id);
	return id;
}

static int fail_duplicate(const struct inventory_kind *k, const void *record, const void *first, struct err *e)
{
	const struct config_where *at = where_of(k, first);

	return config_error(where_of(k, record), e, "%s \"%s\" stands already in %.150s:%u: remove one of "
		"the two or give it another id", k->one, id_of(record), at->file, at->line);
}

static int collect(const struct inventory_kind *k, const struct files *files, struct inventory *inv, struct err *e)
{
	struct map *map = map_new();
	size_t count = 0;
	char *items;

	for (size_t i = 0; i < files->count; i++)
		count += list_of(k, files->items[i])->count;
	items = arena_alloc(inv->index->arena, (count + 1) * k->schema->size);
	memcpy((char *)inv + k->items, &items, sizeof items);
	memcpy((char *)inv + k->count, &count, sizeof count);
	memcpy((char *)inv->index + k->map, &map, sizeof map);
	for (size_t i = 0; i < files->count; i++) {
		const struct config_list *list = list_of(k, files->items[i]);

		if (list->count > 0)
			memcpy(items, list->items, list->count * k->schema->size);
		for (size_t j = 0; j < list->count; j++, items += k->schema->size) {
			const void *first = map_set(map, id_of(items), items);

			if (first != NULL)
				return fail_duplicate(k, items, first, e);
		}
	}
	return 0;
}

int inventory_read(struct inventory *inv, const char *folder, struct err *e)
{
	struct files files = {0};
	int status = config_load_folder(folder, &inventory_schema, inv->index->arena, on_file, &files, e);

	if (status == 0 && files.count == 0)
		status = err_set(e, "%.200s: no *.conf files: an inventory needs at least one", folder);
	for (const struct inventory_kind *k = inventory_kinds; status == 0 && k->one != NULL; k++)
		status = collect(k, &files, inv, e);
	free(files.items);
	return status;
}
