#include "collector/inventory_parts.h"

#include <stdio.h>
#include <string.h>

#include "collector/inventory.h"
#include "collector/judge/limit.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/wire.h"
#include "probes/catalog.h"

#define TIMEOUT_USUAL (10 * NS_PER_S)

/* ---- what it tells about */

struct subject {
	const char *prefix;
	enum subject_kind kind;
	size_t map; /* in struct inventory_index */
};

static const struct subject subjects[] = {
	{"system/", SUBJECT_SYSTEM, offsetof(struct inventory_index, systems)},
	{"link/", SUBJECT_LINK, offsetof(struct inventory_index, links)},
	{"site/", SUBJECT_SITE, offsetof(struct inventory_index, sites)},
	{"host/", SUBJECT_HOST, offsetof(struct inventory_index, agents)},
};

static int resolve_subject(const struct inventory *inv, struct inventory_check *c, struct err *e)
{
	for (size_t i = 0; i < sizeof subjects / sizeof *subjects; i++) {
		const struct subject *s = &subjects[i];
		const struct map *map;
		char what[32];

		if (strncmp(c->subject, s->prefix, strlen(s->prefix)) != 0)
			continue;
		c->subject_kind = s->kind;
		c->subject_id = c->subject + strlen(s->prefix);
		memcpy(&map, (const char *)inv->index + s->map, sizeof map);
		if (map_find(map, c->subject_id) != NULL)
			return 0;
		snprintf(what, sizeof what, "subject %.*s", (int)strlen(s->prefix) - 1, s->prefix);
		return inventory_fail_reference(&c->where, what, c->subject_id, map, NULL, e);
	}
	return config_error(&c->where, e, "subject \"%.80s\" is not one: write \"system/ID\", \"link/ID\", "
		"\"site/ID\" or \"host/AGENT\"", c->subject);
}

/* ---- who runs it, and when */

static int resolve_vantages(const struct inventory *inv, const struct inventory_check *c, struct err *e)
{
	for (size_t i = 0; i < c->vantages.count; i++) {
		const char *id = c->vantages.items[i];

		if (map_find(inv->index->agents, id) == NULL)
			return inventory_fail_reference(&c->where, "vantage", id, inv->index->agents, NULL, e);
		for (size_t j = 0; j < i; j++) {
			if (strcmp(id, c->vantages.items[j]) == 0)
				return config_error(&c->where, e, "vantages name \"%s\" twice: remove one of the two",
					id);
		}
	}
	return 0;
}

static int check_rhythm(struct inventory_check *c, struct err *e)
{
	if (c->interval % NS_PER_S != 0)
		return config_error(&c->where, e, "interval must be of whole seconds");
	if (c->timeout == 0)
		c->timeout = c->interval / 2 < TIMEOUT_USUAL ? c->interval / 2 : TIMEOUT_USUAL;
	if (c->timeout % NS_PER_MS != 0)
		return config_error(&c->where, e, "timeout must be of whole milliseconds");
	if (c->timeout >= c->interval)
		return config_error(&c->where, e, "timeout must be less than the interval of %llds: a run ends "
			"before the next one begins", (long long)(c->interval / NS_PER_S));
	return 0;
}

/* ---- options of its type */

static const char *find_option(const struct config_pairs *options, const char *key)
{
	for (size_t i = 0; i < options->count; i++) {
		if (strcmp(options->items[i].key, key) == 0)
			return options->items[i].value;
	}
	return NULL;
}

static void add_option(struct config_pairs *options, const char *key, const char *value)
{
	options->items[options->count++] =
		(struct config_pair){.key = key, .value = value, .where = options->where};
}

/* With one address the target is that address, so that the other family is not looked up. */
static void add_link_ends(struct config_pairs *options, const struct inventory_link *l)
{
	if (*l->ipv4 != '\0' && *l->ipv6 != '\0') {
		add_option(options, "host", l->id);
		add_option(options, "ipv4", l->ipv4);
		add_option(options, "ipv6", l->ipv6);
	} else {
		add_option(options, "host", *l->ipv4 != '\0' ? l->ipv4 : l->ipv6);
	}
}

static int default_host(const struct inventory *inv, struct inventory_check *c, struct err *e)
{
	const struct inventory_link *l;
	struct config_pair *items;

	if (c->subject_kind != SUBJECT_LINK || c->of_type->target != CATALOG_TARGET_HOST ||
		find_option(&c->options, "host") != NULL)
		return 0;
	l = map_find(inv->index->links, c->subject_id);
	if (find_option(&c->options, "ipv4") != NULL || find_option(&c->options, "ipv6") != NULL)
		return config_error(&c->where, e, "host must be given beside ipv4 or ipv6; without all three, "
			"the check goes to the end of link \"%s\"", l->id);
	if (*l->ipv4 == '\0' && *l->ipv6 == '\0')
		return config_error(&c->where, e, "host must be given, as link \"%s\" has no address", l->id);
	items = arena_alloc(inv->index->arena, (c->options.count + 3) * sizeof *items);
	if (c->options.count > 0)
		memcpy(items, c->options.items, c->options.count * sizeof *items);
	c->options.items = items;
	add_link_ends(&c->options, l);
	return 0;
}

/* By key; items of one list keep their order. There are few. */
static void sort_options(struct config_pairs *options)
{
	for (size_t i = 1; i < options->count; i++) {
		struct config_pair p = options->items[i];
		size_t j = i;

		for (; j > 0 && strcmp(options->items[j - 1].key, p.key) > 0; j--)
			options->items[j] = options->items[j - 1];
		options->items[j] = p;
	}
}

static int check_families(const struct inventory_check *c, struct err *e)
{
	static const enum family wanted[] = {
		[FAMILIES_BOTH] = FAMILY_NONE, [FAMILIES_IPV4] = FAMILY_V4, [FAMILIES_IPV6] = FAMILY_V6};
	enum family literal = catalog_literal(c->of_type, c->of_options);

	if (wanted[c->families] == FAMILY_NONE || literal == FAMILY_NONE || literal == wanted[c->families])
		return 0;
	return config_error(&c->where, e, "families is %s alone, but the target is an %s address: nothing "
		"would be measured", family_name(wanted[c->families]), family_name(literal));
}

static int read_options(const struct inventory *inv, struct inventory_check *c, struct err *e)
{
	struct err inner;

	c->of_type = catalog_find(c->type);
	if (c->of_type == NULL)
		return config_error(&c->where, e,
			"type \"%s\" is not a probe type: `xunjian-agent probe --help` lists them", c->type);
	if (catalog_check_timeout(c->of_type, c->timeout, &inner) < 0)
		return config_error(&c->where, e, "%s", inner.text);
	if (default_host(inv, c, e) < 0)
		return -1;
	sort_options(&c->options);
	if (catalog_options(c->of_type, &c->options, inv->index->arena, &c->of_options, e) < 0)
		return -1;
	if (c->options.count > WIRE_OPTIONS_MAX)
		return config_error(&c->where, e, "more than %d options", WIRE_OPTIONS_MAX);
	return check_families(c, e);
}

/* ---- votes and limits */

static const struct metric *find_metric(const struct catalog_type *type, const char *name)
{
	for (const struct metric *m = type->metrics; m->number != 0; m++) {
		if (strcmp(m->name, name) == 0)
			return m;
	}
	return NULL;
}

static int check_votes(const struct inventory_check *c, struct err *e)
{
	if ((size_t)c->quorum > c->vantages.count)
		return config_error(&c->where, e, "quorum is %lld, but there are %zu vantages", (long long)c->quorum,
			c->vantages.count);
	for (size_t i = 0; i < c->limits.count; i++) {
		char name[LIMIT_METRIC];
		struct limit_rule rule;
		struct err words;

		if (limit_parse(c->limits.items[i], name, &rule, &words) < 0)
			return config_error(&c->where, e, "limits: %.300s", words.text);
		if (find_metric(c->of_type, name) == NULL)
			return config_error(&c->where, e, "limits: \"%.60s\" is no value of %s", name, c->type);
	}
	return 0;
}

/* ---- names from before */

/* An old id: not in use, and inherited once. heirs: id -> where it was claimed. */
static int check_was(const char *id, const char *was, struct config_where *where,
	const struct map *present, struct map *heirs, struct err *e)
{
	const struct config_where *first;

	if (*was == '\0')
		return 0;
	if (map_find(present, was) != NULL)
		return config_error(where, e, "was = \"%s\" on \"%s\": that id is still in the inventory; remove "
			"the old one or this line", was, id);
	first = map_set(heirs, was, where);
	if (first != NULL)
		return config_error(where, e, "was = \"%s\" on \"%s\": the one in %.150s:%u has that history "
			"already", was, id, first->file, first->line);
	return 0;
}

static int check_renames(struct inventory *inv, struct err *e)
{
	struct map *checks = map_new(), *agents = map_new();
	int status = 0;

	for (size_t i = 0; status == 0 && i < inv->agents_count; i++)
		status = check_was(inv->agents[i].id, inv->agents[i].was, &inv->agents[i].where,
			inv->index->agents, agents, e);
	for (size_t i = 0; status == 0 && i < inv->checks_count; i++)
		status = check_was(inv->checks[i].id, inv->checks[i].was, &inv->checks[i].where,
			inv->index->checks, checks, e);
	map_free(checks, NULL);
	map_free(agents, NULL);
	return status;
}

int inventory_check_all(struct inventory *inv, struct err *e)
{
	for (size_t i = 0; i < inv->checks_count; i++) {
		struct inventory_check *c = &inv->checks[i];

		if (resolve_subject(inv, c, e) < 0 || resolve_vantages(inv, c, e) < 0 ||
			check_rhythm(c, e) < 0 || read_options(inv, c, e) < 0 || check_votes(c, e) < 0)
			return -1;
	}
	return check_renames(inv, e);
}
