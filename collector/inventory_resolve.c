#include "collector/inventory_parts.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/inventory.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"

/* ---- words on a reference that leads nowhere */

/* The id in a table that is nearest to a wrong one, if nearer than *within, which shrinks. */
static const char *nearest(const struct map *known, const char *id, unsigned *within)
{
	const char *best = NULL;

	for (size_t i = 0; i < map_count(known); i++) {
		const char *key;
		unsigned d;

		map_at(known, i, &key);
		d = config_distance(id, key);
		if (d < *within) {
			best = key;
			*within = d;
		}
	}
	return best;
}

int inventory_fail_reference(const struct config_where *w, const char *what, const char *id,
	const struct map *known, const struct map *other, struct err *e)
{
	unsigned within = (unsigned)strnlen(id, 63) / 3 + 2;
	const char *best = nearest(known, id, &within), *second = NULL;

	if (other != NULL)
		second = nearest(other, id, &within);
	if (second != NULL)
		best = second;
	if (best != NULL)
		return config_error(w, e, "%s \"%.70s\" is not in the inventory: did you mean \"%s\"?", what, id,
			best);
	return config_error(w, e, "%s \"%.70s\" is not in the inventory: add it, or write one that is",
		what, id);
}

/* ---- systems */

/* The system or, with *is_link, the link of this id; NULL when there is none. */
static void *find_dependence(const struct inventory *inv, const char *id, bool *is_link)
{
	void *system = map_find(inv->index->systems, id);

	*is_link = system == NULL;
	return system != NULL ? system : map_find(inv->index->links, id);
}

static size_t dependences(const struct inventory_system *s)
{
	return s->depends.count + s->either.count;
}

static const char *dependence(const struct inventory_system *s, size_t i)
{
	return i < s->depends.count ? s->depends.items[i] : s->either.items[i - s->depends.count];
}

static int check_dependence(const struct inventory *inv, const struct inventory_system *s, size_t i,
	struct err *e)
{
	const char *id = dependence(s, i), *field = i < s->depends.count ? "depends" : "either";
	bool is_link;

	if (find_dependence(inv, id, &is_link) == NULL)
		return inventory_fail_reference(&s->where, field, id, inv->index->systems,
			inv->index->links, e);
	if (!is_link && map_find(inv->index->links, id) != NULL)
		return config_error(&s->where, e, "%s \"%s\" is a system and a link: give one of the two "
			"another id", field, id);
	if (strcmp(id, s->id) == 0)
		return config_error(&s->where, e, "system \"%s\" depends on itself: remove it from %s", id,
			field);
	for (size_t j = 0; j < i; j++) {
		if (strcmp(id, dependence(s, j)) == 0)
			return config_error(&s->where, e, "%s names \"%s\" twice: remove one of the two", field, id);
	}
	return 0;
}

static int resolve_systems(struct inventory *inv, struct err *e)
{
	for (size_t i = 0; i < inv->systems_count; i++) {
		struct inventory_system *s = &inv->systems[i];

		s->of_unit = map_find(inv->index->units, s->unit);
		if (s->of_unit == NULL)
			return inventory_fail_reference(&s->where, "unit", s->unit, inv->index->units, NULL, e);
		for (size_t j = 0; j < dependences(s); j++) {
			if (check_dependence(inv, s, j, e) < 0)
				return -1;
		}
	}
	return 0;
}

/* Index of a system that s depends on and that is not settled yet; -1 when all are. */
static ptrdiff_t unsettled(const struct inventory *inv, const bool *settled, size_t i)
{
	const struct inventory_system *s = &inv->systems[i];

	for (size_t j = 0; j < dependences(s); j++) {
		const struct inventory_system *on = map_find(inv->index->systems, dependence(s, j));

		if (on != NULL && !settled[on - inv->systems])
			return on - inv->systems;
	}
	return -1;
}

/* way: indices of systems, each depends on the next; the last depends on one of them. */
static int fail_circle(const struct inventory *inv, const size_t *way, size_t depth, size_t again,
	struct err *e)
{
	const struct inventory_system *first = &inv->systems[again];
	struct buf path = {0};
	size_t from = depth;
	int status;

	while (way[from - 1] != again)
		from--;
	for (size_t i = from - 1; i < depth && path.len < 300; i++)
		buf_add_format(&path, "%s -> ", inv->systems[way[i]].id);
	status = config_error(&first->where, e, "systems depend on each other in a circle, remove one of: "
		"%s%s", buf_text(&path), path.len < 300 ? first->id : "...");
	buf_fini(&path);
	return status;
}

/* Settles i after all that it depends on. The way down is a list, not the stack: an inventory may
 * be one long chain. */
static int settle(const struct inventory *inv, size_t i, bool *entered, bool *settled, size_t *way,
	struct err *e)
{
	size_t depth = 0;

	if (settled[i])
		return 0;
	way[depth++] = i;
	entered[i] = true;
	while (depth > 0) {
		ptrdiff_t next = unsettled(inv, settled, way[depth - 1]);

		if (next < 0) {
			settled[way[--depth]] = true;
		} else if (entered[next]) {
			return fail_circle(inv, way, depth, (size_t)next, e);
		} else {
			way[depth++] = (size_t)next;
			entered[next] = true;
		}
	}
	return 0;
}

static int check_circles(const struct inventory *inv, struct err *e)
{
	bool *settled = mem_array(inv->systems_count + 1, sizeof *settled);
	bool *entered = mem_array(inv->systems_count + 1, sizeof *entered);
	size_t *way = mem_array(inv->systems_count + 1, sizeof *way);
	int status = 0;

	for (size_t i = 0; status == 0 && i < inv->systems_count; i++)
		status = settle(inv, i, entered, settled, way, e);
	free(settled);
	free(entered);
	free(way);
	return status;
}

/* ---- sites */

static int check_level(const struct inventory_site *s, struct err *e)
{
	static const char *const words[] = {"city", "county", "town", "village"};

	if (s->level > s->of_parent->level)
		return 0;
	return config_error(&s->where, e, "site \"%s\" is a %s below \"%s\", which is a %s: write another "
		"level or another parent", s->id, words[s->level], s->parent, words[s->of_parent->level]);
}

static int resolve_sites(struct inventory *inv, struct err *e)
{
	const struct inventory_site *root = NULL;

	for (size_t i = 0; i < inv->sites_count; i++) {
		struct inventory_site *s = &inv->sites[i];

		if (*s->parent == '\0' && root != NULL)
			return config_error(&s->where, e, "site \"%s\" has no parent, and \"%s\" in %.150s:%u has "
				"none: a tree has one root, write the parent of the other", s->id, root->id,
				root->where.file, root->where.line);
		if (*s->parent == '\0') {
			root = s;
			continue;
		}
		s->of_parent = map_find(inv->index->sites, s->parent);
		if (s->of_parent == NULL)
			return inventory_fail_reference(&s->where, "parent", s->parent, inv->index->sites, NULL, e);
	}
	return 0;
}

static int check_levels(const struct inventory *inv, struct err *e)
{
	for (size_t i = 0; i < inv->sites_count; i++) {
		if (inv->sites[i].of_parent != NULL && check_level(&inv->sites[i], e) < 0)
			return -1;
	}
	return 0;
}

static int fail_site_circle(const struct inventory_site *s, struct err *e)
{
	struct buf path = {0};
	int status;

	for (const struct inventory_site *at = s;;) {
		buf_add_format(&path, "%s -> ", at->id);
		at = at->of_parent;
		if (at == s || path.len > 300) {
			buf_add_text(&path, at == s ? s->id : "...");
			break;
		}
	}
	status = config_error(&s->where, e, "sites are each other's parents in a circle, write another "
		"parent for one of: %s", buf_text(&path));
	buf_fini(&path);
	return status;
}

/* The first site that meets itself on the way up is told. Where there is no circle there is a root. */
static int check_site_circles(const struct inventory *inv, struct err *e)
{
	for (size_t i = 0; i < inv->sites_count; i++) {
		const struct inventory_site *s = &inv->sites[i], *at = s->of_parent;

		for (size_t steps = 0; at != NULL && at != s && steps < inv->sites_count; steps++)
			at = at->of_parent;
		if (at == s)
			return fail_site_circle(s, e);
	}
	return 0;
}

/* ---- links and agents */

static int claim_address(struct map *taken, int family, const char *address, struct inventory_link *l,
	struct err *e)
{
	unsigned char bytes[sizeof(struct in6_addr)];
	char plain[INET6_ADDRSTRLEN];
	const struct inventory_link *first;

	if (*address == '\0')
		return 0;
	inet_pton(family, address, bytes);
	first = map_set(taken, inet_ntop(family, bytes, plain, sizeof plain), l);
	if (first == NULL)
		return 0;
	return config_error(&l->where, e, "%s is the end of link \"%s\" in %.150s:%u already: each link has "
		"an address of its own", address, first->id, first->where.file, first->where.line);
}

static int resolve_link(struct inventory *inv, struct inventory_link *l, struct err *e)
{
	struct inventory_site *s = map_find(inv->index->sites, l->site);

	if (s == NULL)
		return inventory_fail_reference(&l->where, "site", l->site, inv->index->sites, NULL, e);
	if (s->of_parent == NULL)
		return config_error(&l->where, e, "site \"%s\" is the root: no link leads up from it", s->id);
	if (s->up != NULL)
		return config_error(&l->where, e, "site \"%s\" has link \"%s\" in %.150s:%u already: a site has "
			"one link to its parent", s->id, s->up->id, s->up->where.file, s->up->where.line);
	l->of_site = s;
	s->up = l;
	return 0;
}

static int resolve_links(struct inventory *inv, struct err *e)
{
	struct map *taken = map_new();
	int status = 0;

	for (size_t i = 0; status == 0 && i < inv->links_count; i++) {
		struct inventory_link *l = &inv->links[i];

		status = resolve_link(inv, l, e);
		if (status == 0)
			status = claim_address(taken, AF_INET, l->ipv4, l, e);
		if (status == 0)
			status = claim_address(taken, AF_INET6, l->ipv6, l, e);
	}
	map_free(taken, NULL);
	return status;
}

static int resolve_agents(struct inventory *inv, struct err *e)
{
	for (size_t i = 0; i < inv->agents_count; i++) {
		struct inventory_agent *a = &inv->agents[i];

		a->of_site = map_find(inv->index->sites, a->site);
		if (a->of_site == NULL)
			return inventory_fail_reference(&a->where, "site", a->site, inv->index->sites, NULL, e);
	}
	return 0;
}

int inventory_resolve(struct inventory *inv, struct err *e)
{
	if (resolve_systems(inv, e) < 0 || check_circles(inv, e) < 0)
		return -1;
	if (resolve_sites(inv, e) < 0 || check_site_circles(inv, e) < 0 || check_levels(inv, e) < 0)
		return -1;
	if (resolve_links(inv, e) < 0)
		return -1;
	return resolve_agents(inv, e);
}
