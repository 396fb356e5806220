#include "collector/judge/topology.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"

struct node {
	struct topology_node said;
	struct topology_parent *parents;
	uint32_t *children;
	size_t parents_count, children_count;
	uint32_t up; /* in the tree */
	unsigned depth;
	uint8_t mark; /* of the search for circles: 1 under way, 2 done */
};

struct topology {
	struct arena *arena;
	struct map *index; /* id -> number + 1, as a pointer */
	struct node *nodes;
	size_t count, room;
	bool is_sealed;
};

struct topology *topology_new(void)
{
	struct topology *t = mem_alloc(sizeof *t);

	t->arena = arena_new();
	t->index = map_new();
	return t;
}

void topology_free(struct topology *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->count; i++) {
		free(t->nodes[i].parents);
		free(t->nodes[i].children);
	}
	free(t->nodes);
	map_free(t->index, NULL);
	arena_free(t->arena);
	free(t);
}

uint32_t topology_add(struct topology *t, const struct topology_node *said)
{
	struct node *n;

	assert(!t->is_sealed && t->count < UINT32_MAX / 2);
	if (t->count == t->room) {
		t->room = t->room == 0 ? 64 : t->room * 2;
		t->nodes = mem_resize(t->nodes, t->room, sizeof *t->nodes);
	}
	n = &t->nodes[t->count];
	*n = (struct node){.said = *said, .up = TOPOLOGY_NONE};
	n->said.id = arena_strdup(t->arena, said->id);
	n->said.unit = arena_strdup(t->arena, said->unit);
	t->count++;
	if (map_set(t->index, said->id, (void *)(uintptr_t)t->count) != NULL)
		assert(!"an id twice");
	return (uint32_t)(t->count - 1);
}

void topology_need(struct topology *t, uint32_t child, uint32_t parent, uint32_t group)
{
	struct node *c = &t->nodes[child], *p = &t->nodes[parent];
	size_t at = c->parents_count;

	assert(!t->is_sealed && child < t->count && parent < t->count);
	c->parents = mem_resize(c->parents, c->parents_count + 1, sizeof *c->parents);
	for (; at > 0 && c->parents[at - 1].group > group; at--)
		c->parents[at] = c->parents[at - 1];
	c->parents[at] = (struct topology_parent){parent, group};
	c->parents_count++;
	p->children = mem_resize(p->children, p->children_count + 1, sizeof *p->children);
	p->children[p->children_count++] = child;
}

/* Depth first, parents before children; at most TOPOLOGY_DEPTH calls deep. */
static int visit(struct topology *t, uint32_t i, unsigned level, struct err *err)
{
	struct node *n = &t->nodes[i];

	if (n->mark == 2)
		return 0;
	if (n->mark == 1)
		return err_set(err, "\"%s\" depends on itself", n->said.id);
	if (level > TOPOLOGY_DEPTH)
		return err_set(err, "\"%s\" stands more than %d levels deep", n->said.id, TOPOLOGY_DEPTH);
	if (n->parents_count > TOPOLOGY_PARENTS)
		return err_set(err, "\"%s\" depends on %zu others: at most %d", n->said.id, n->parents_count,
			TOPOLOGY_PARENTS);
	n->mark = 1;
	for (size_t k = 0; k < n->parents_count; k++) {
		const struct node *p = &t->nodes[n->parents[k].node];

		if (visit(t, n->parents[k].node, level + 1, err) != 0)
			return err_wrap(err, "\"%s\" needs \"%s\"", n->said.id, p->said.id);
		if (p->depth >= n->depth)
			n->depth = p->depth + 1;
	}
	if (n->parents_count > 0)
		n->up = n->parents[0].node;
	n->mark = 2;
	return n->depth <= TOPOLOGY_DEPTH ? 0 : err_set(err, "\"%s\" stands more than %d levels deep", n->said.id,
		TOPOLOGY_DEPTH);
}

int topology_seal(struct topology *t, struct err *err)
{
	for (size_t i = 0; i < t->count; i++)
		if (visit(t, (uint32_t)i, 0, err) != 0)
			return -1;
	t->is_sealed = true;
	return 0;
}

static uint64_t hash_bytes(uint64_t hash, const void *data, size_t len)
{
	for (const uint8_t *p = data; len > 0; p++, len--)
		hash = (hash ^ *p) * UINT64_C(0x100000001b3);
	return hash;
}

uint64_t topology_hash(const struct topology *t)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (size_t i = 0; i < t->count; i++) {
		const struct node *n = &t->nodes[i];
		uint64_t said[] = {(uint64_t)n->said.interval, n->said.measured, n->said.is_system, n->parents_count};

		hash = hash_bytes(hash, n->said.id, strlen(n->said.id) + 1);
		hash = hash_bytes(hash, n->said.unit, strlen(n->said.unit) + 1);
		hash = hash_bytes(hash, said, sizeof said);
		for (size_t k = 0; k < n->parents_count; k++)
			hash = hash_bytes(hash, &n->parents[k], sizeof n->parents[k]);
	}
	return hash;
}

size_t topology_count(const struct topology *t)
{
	return t->count;
}

uint32_t topology_find(const struct topology *t, const char *id)
{
	uintptr_t number = (uintptr_t)map_find(t->index, id);

	return number == 0 ? TOPOLOGY_NONE : (uint32_t)(number - 1);
}

const struct topology_node *topology_node(const struct topology *t, uint32_t i)
{
	return &t->nodes[i].said;
}

const struct topology_parent *topology_parents(const struct topology *t, uint32_t i, size_t *count)
{
	*count = t->nodes[i].parents_count;
	return t->nodes[i].parents;
}

const uint32_t *topology_children(const struct topology *t, uint32_t i, size_t *count)
{
	*count = t->nodes[i].children_count;
	return t->nodes[i].children;
}

bool topology_is_below(const struct topology *t, uint32_t node, uint32_t ancestor)
{
	while (node != TOPOLOGY_NONE && node != ancestor)
		node = t->nodes[node].up;
	return node == ancestor;
}

/* ---- paths on the tree */

static unsigned tree_depth(const struct topology *t, uint32_t node)
{
	unsigned depth = 0;

	for (; node != TOPOLOGY_NONE; node = t->nodes[node].up)
		depth++;
	return depth;
}

/* All nodes of the way, both ends and the place where it turns; at most 2 * (TOPOLOGY_DEPTH + 1). */
static size_t path(const struct topology *t, uint32_t from, uint32_t to, uint32_t out[2 * TOPOLOGY_DEPTH + 2])
{
	unsigned a = tree_depth(t, from), b = tree_depth(t, to);
	size_t n = 0;

	while (from != to && from != TOPOLOGY_NONE && to != TOPOLOGY_NONE) {
		if (a >= b) {
			out[n++] = from;
			from = t->nodes[from].up;
			a--;
		} else {
			out[n++] = to;
			to = t->nodes[to].up;
			b--;
		}
	}
	if (from == to && from != TOPOLOGY_NONE)
		out[n++] = from;
	return n;
}

/* What was crossed: who reaches the lower end of a link from below it has not crossed it. */
static size_t crossed(const struct topology *t, const struct topology_sight *s, uint32_t out[2 * TOPOLOGY_DEPTH + 2])
{
	size_t n = path(t, s->from, s->to, out);

	return n > 1 && s->reached && out[n - 1] == s->to && topology_is_below(t, s->from, s->to) ? n - 1 : n;
}

static void walk(const struct topology *t, const struct topology_sight *s, uint32_t *counts, uint32_t add)
{
	uint32_t way[2 * TOPOLOGY_DEPTH + 2];
	size_t n = crossed(t, s, way);

	for (size_t i = 0; i < n; i++)
		counts[way[i]] += add;
}

static bool is_on_way(const struct topology *t, const struct topology_sight *s, uint32_t node)
{
	uint32_t way[2 * TOPOLOGY_DEPTH + 2];
	size_t n = crossed(t, s, way);

	while (n-- > 0)
		if (way[n] == node)
			return true;
	return false;
}

/* The node that explains most of what is left; TOPOLOGY_NONE when nothing does. */
static uint32_t most(const struct topology *t, const uint32_t *failed, const uint32_t *reached)
{
	uint32_t best = TOPOLOGY_NONE;

	for (uint32_t i = 0; i < t->count; i++) {
		if (failed[i] == 0 || reached[i] > 0)
			continue;
		if (best == TOPOLOGY_NONE || failed[i] > failed[best] ||
			(failed[i] == failed[best] && t->nodes[i].depth > t->nodes[best].depth))
			best = i;
	}
	return best;
}

size_t topology_locate(const struct topology *t, const struct topology_sight *sights, size_t count, uint32_t *out,
	size_t room)
{
	uint32_t *failed = mem_array(t->count + 1, sizeof *failed), *reached = mem_array(t->count + 1, sizeof *reached);
	bool *explained = mem_array(count + 1, sizeof *explained);
	size_t found = 0;
	uint32_t best;

	for (size_t i = 0; i < count; i++) {
		walk(t, &sights[i], sights[i].reached ? reached : failed, 1);
		explained[i] = sights[i].reached;
	}
	while (found < room && (best = most(t, failed, reached)) != TOPOLOGY_NONE) {
		out[found++] = best;
		for (size_t i = 0; i < count; i++) {
			if (explained[i] || !is_on_way(t, &sights[i], best))
				continue;
			walk(t, &sights[i], failed, UINT32_MAX); /* one less */
			explained[i] = true;
		}
	}
	free(failed);
	free(reached);
	free(explained);
	return found;
}
