#include "collector/judge/incident_parts.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/judge/record.h"
#include "lib/map.h"
#include "lib/mem.h"

/* ---- life */

struct incidents *incidents_new(const struct incident_settings *settings)
{
	struct incidents *c = mem_alloc(sizeof *c);

	c->settings = *settings;
	c->dropped = map_new();
	c->next_incident = c->next_key = 1;
	c->next_plan = INT64_MAX;
	return c;
}

static void free_nodes(struct incident_node *nodes, size_t count)
{
	for (size_t i = 0; i < count; i++)
		free(nodes[i].reason);
	free(nodes);
}

void incidents_free(struct incidents *c)
{
	if (c == NULL)
		return;
	free_nodes(c->nodes, c->topology == NULL ? 0 : topology_count(c->topology));
	topology_free(c->topology);
	for (size_t i = 0; i < c->open_count; i++)
		incident_free(c->open[i]);
	for (size_t i = 0; i < c->windows_count; i++)
		incident_window_free(c->windows[i]);
	for (size_t i = 0; i < c->plans_count; i++)
		incident_plan_free(c->plans[i]);
	free(c->open);
	free(c->windows);
	free(c->plans);
	free(c->touched);
	free(c->queue);
	free(c->held);
	free(c->intents);
	arena_free(c->texts);
	map_free(c->dropped, NULL);
	free(c);
}

void incident_drop_key(struct incidents *c, const char *format, ...)
{
	char key[RECORD_KEY];
	va_list ap;

	va_start(ap, format);
	vsnprintf(key, sizeof key, format, ap);
	va_end(ap);
	map_set(c->dropped, key, c);
}

const struct incident_intent *incidents_intents(const struct incidents *c, size_t *count)
{
	*count = c->intents_count;
	return c->intents;
}

void incidents_set(struct incidents *c, const struct incident_settings *settings)
{
	c->settings = *settings;
}

void incidents_clear(struct incidents *c)
{
	c->intents_count = 0;
	arena_free(c->texts);
	c->texts = NULL;
	incident_forget_closed(c);
}

/* ---- reload */

static struct incident_node *carry(struct incidents *c, const struct topology *t, uint32_t *moved)
{
	size_t count = topology_count(t), had = c->topology == NULL ? 0 : topology_count(c->topology);
	struct incident_node *nodes = mem_array(count + 1, sizeof *nodes);

	for (uint32_t i = 0; i < had; i++) {
		const char *id = topology_node(c->topology, i)->id;
		uint32_t to = topology_find(t, id);

		moved[i] = to;
		if (to == TOPOLOGY_NONE) {
			incident_drop_key(c, "node/%s", id);
			continue;
		}
		nodes[to] = c->nodes[i];
		c->nodes[i].reason = NULL;
	}
	for (size_t i = 0; i < count; i++)
		if (nodes[i].reason == NULL)
			nodes[i].reason = mem_strdup("");
	return nodes;
}

void incident_touch(struct incidents *c, struct incident_node *n)
{
	if (n->is_dirty)
		return;
	n->is_dirty = true;
	c->touched[c->touched_count++] = (uint32_t)(n - c->nodes);
}

/* Other nodes, in another order: what was touched still is. */
static void touch_again(struct incidents *c)
{
	c->touched = mem_resize(c->touched, topology_count(c->topology) + 1, sizeof *c->touched);
	c->touched_count = 0;
	for (uint32_t i = 0; i < topology_count(c->topology); i++)
		if (c->nodes[i].is_dirty)
			c->touched[c->touched_count++] = i;
}

/* What has left the inventory is attached to nothing any more. */
static void leave_removed(struct incidents *c, const struct topology *t)
{
	for (uint32_t i = 0; c->topology != NULL && i < topology_count(c->topology); i++)
		if (topology_find(t, topology_node(c->topology, i)->id) == TOPOLOGY_NONE)
			incident_leave(c, i);
}

static void renumber(struct incidents *c, const uint32_t *moved)
{
	for (size_t i = 0; i < c->held_count; i++)
		c->held[i] = moved[c->held[i]];
	for (size_t i = 0; i < c->open_count; i++) {
		struct incident *o = c->open[i];

		if (o->node != TOPOLOGY_NONE)
			o->node = moved[o->node];
		for (size_t k = 0; k < o->members_count; k++)
			if (o->members[k].node != TOPOLOGY_NONE)
				o->members[k].node = moved[o->members[k].node];
	}
}

/* Its root is gone: it is over, and what was attached to it is judged anew. */
static void close_rootless(struct incidents *c)
{
	for (size_t i = 0; i < c->open_count; i++) {
		struct incident *o = c->open[i];

		if (o->phase == INCIDENT_CLOSED || o->node != TOPOLOGY_NONE)
			continue;
		for (size_t k = 0; k < o->members_count; k++) {
			uint32_t node = o->members[k].node;

			if (node == TOPOLOGY_NONE || c->nodes[node].role != ROLE_MEMBER || c->nodes[node].incident != o)
				continue;
			c->nodes[node].role = ROLE_NONE;
			c->nodes[node].incident = NULL;
			incident_touch(c, &c->nodes[node]);
		}
		o->attached = 0;
		incident_close(c, o, "no longer monitored");
	}
}

/* Other parents may be the cause of what no parent was. */
void incident_doubt_all(struct incidents *c)
{
	for (uint32_t i = 0; i < topology_count(c->topology); i++) {
		if (c->nodes[i].proven != 0)
			incident_touch(c, &c->nodes[i]);
		c->nodes[i].proven = 0;
	}
}

const struct topology *incidents_tree(const struct incidents *c)
{
	return c->topology;
}

void incidents_topology(struct incidents *c, struct topology *t, int64_t now)
{
	uint32_t *moved = mem_array((c->topology == NULL ? 0 : topology_count(c->topology)) + 1, sizeof *moved);
	struct incident_node *nodes;

	leave_removed(c, t);
	nodes = carry(c, t, moved);
	free_nodes(c->nodes, c->topology == NULL ? 0 : topology_count(c->topology));
	renumber(c, moved);
	free(moved);
	topology_free(c->topology);
	c->topology = t;
	c->nodes = nodes;
	touch_again(c);
	if (c->hash != topology_hash(t))
		incident_doubt_all(c);
	c->hash = topology_hash(t);
	if (c->now == 0)
		c->now = now;
	close_rootless(c);
	incident_maintenance(c);
	for (uint32_t i = 0; i < topology_count(t); i++)
		if (c->nodes[i].faults != 0)
			incident_queue(c, i);
	incident_drain(c);
}

/* ---- views */

static void fill(const struct incidents *c, const struct incident *i, struct incident_view *out)
{
	const struct incident_node *root = i->node == TOPOLOGY_NONE ? NULL : &c->nodes[i->node];
	bool is_warned = i->phase == INCIDENT_WATCHED && i->audiences[0].is_warned;

	*out = (struct incident_view){.id = i->id, .phase = i->phase, .subject = i->root, .reason = i->reason,
		.state = i->state, .faults = i->faults, .since = i->since, .opened = i->opened, .closed = i->closed,
		.is_acknowledged = i->is_acknowledged, .acknowledged_by = i->acknowledged_by,
		.acknowledged_until = i->acknowledged_until, .assignee = i->assignee, .level = i->level,
		.affected_count = i->members_count, .is_flapping = root != NULL && (root->flap.is_flapping || is_warned),
		.is_quiet = root != NULL && root->in_maintenance};
}

bool incidents_at(const struct incidents *c, size_t i, struct incident_view *out)
{
	if (i < c->open_count)
		fill(c, c->open[i], out);
	return i < c->open_count;
}

static const struct incident *find(const struct incidents *c, uint64_t id)
{
	for (size_t i = 0; i < c->open_count; i++)
		if (c->open[i]->id == id)
			return c->open[i];
	return NULL;
}

bool incidents_find(const struct incidents *c, uint64_t id, struct incident_view *out)
{
	const struct incident *i = find(c, id);

	if (i != NULL)
		fill(c, i, out);
	return i != NULL;
}

bool incidents_affected(const struct incidents *c, uint64_t id, size_t k, struct incident_affected *out)
{
	const struct incident *i = find(c, id);

	if (i == NULL || k >= i->members_count)
		return false;
	*out = (struct incident_affected){.subject = i->members[k].id, .unit = i->members[k].unit,
		.from = i->members[k].from, .to = i->members[k].to};
	return true;
}

static const struct incident_node *node_of(const struct incidents *c, const char *subject)
{
	uint32_t node = topology_find(c->topology, subject);

	return node == TOPOLOGY_NONE ? NULL : &c->nodes[node];
}

enum state incidents_state(const struct incidents *c, const char *subject)
{
	const struct incident_node *n = node_of(c, subject);

	if (n == NULL)
		return STATE_NONE;
	return n->in_maintenance ? STATE_MAINTENANCE : n->state;
}

bool incidents_is_held(const struct incidents *c, const char *subject)
{
	const struct incident_node *n = node_of(c, subject);

	return n != NULL && n->role == ROLE_HELD;
}

uint64_t incidents_of(const struct incidents *c, const char *subject)
{
	const struct incident_node *n = node_of(c, subject);

	return n == NULL || n->incident == NULL ? 0 : n->incident->id;
}

const struct maintenance *incidents_maintenance_at(const struct incidents *c, size_t i)
{
	return i < c->plans_count ? c->plans[i] : NULL;
}

void incidents_counts(const struct incidents *c, struct incident_counts *out)
{
	*out = c->counts;
	out->held = c->held_count;
	out->open = 0;
	for (size_t i = 0; i < c->open_count; i++)
		out->open += c->open[i]->phase != INCIDENT_CLOSED;
}
