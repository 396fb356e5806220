#include "collector/judge/incident_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/judge/record.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"

#define VERSION 1

/* ---- a node */

static void add_times(struct buf *b, const int64_t *times, size_t count)
{
	for (size_t i = 0; i < count; i++)
		record_add_time(b, times[i]);
}

/* Of those that were told there were four once: the older ones stand behind. */
#define NEWEST_TELLS 4
#define OLDER_TELLS (INCIDENT_TELLS - NEWEST_TELLS)
#define TOLD 1
#define WARNED 2

static void read_times(struct cursor *c, int64_t *times, size_t count)
{
	for (size_t i = 0; i < count; i++)
		times[i] = record_time(c);
}

static void encode_node(const struct incident_node *n, struct buf *b)
{
	buf_add_u8(b, (uint8_t)n->state);
	buf_add_u32(b, n->faults);
	buf_add_u32(b, n->proven);
	buf_add_u8(b, (uint8_t)n->role);
	buf_add_u64(b, n->incident == NULL ? 0 : n->incident->id);
	add_times(b, n->since, FAULT_BITS);
	add_times(b, n->cleared, FAULT_BITS);
	add_times(b, n->up_at, VERDICT_FAMILIES);
	add_times(b, n->down_at, VERDICT_FAMILIES);
	add_times(b, n->blip_at, VERDICT_FAMILIES);
	add_times(b, n->told + OLDER_TELLS, NEWEST_TELLS);
	record_add_time(b, n->decided);
	record_add_time(b, n->seen_at);
	record_add_time(b, n->state_at);
	record_add_time(b, n->hold_until);
	record_add_time(b, n->probe_asked);
	record_add_time(b, n->slot_ends);
	buf_add_u32(b, n->flap.changes);
	buf_add_u8(b, n->flap.oldest);
	buf_add_u8(b, n->flap.is_flapping);
	buf_add_u8(b, n->slot_changed);
	buf_add_u8(b, n->in_maintenance);
	buf_add_u8(b, n->is_waited);
	record_add_text(b, n->reason);
	add_times(b, n->told, OLDER_TELLS);
}

static void decode_node(struct incident_node *n, struct cursor *c)
{
	uint8_t state = cursor_u8(c), role;

	n->state = state <= STATE_MAINTENANCE ? (enum state)state : STATE_UNKNOWN;
	n->faults = cursor_u32(c) & ((1u << FAULT_BITS) - 1);
	n->proven = cursor_u32(c) & n->faults;
	role = cursor_u8(c);
	n->role = role <= ROLE_ROOT ? (enum incident_role)role : ROLE_NONE;
	n->incident_id = cursor_u64(c);
	read_times(c, n->since, FAULT_BITS);
	read_times(c, n->cleared, FAULT_BITS);
	read_times(c, n->up_at, VERDICT_FAMILIES);
	read_times(c, n->down_at, VERDICT_FAMILIES);
	read_times(c, n->blip_at, VERDICT_FAMILIES);
	read_times(c, n->told + OLDER_TELLS, NEWEST_TELLS);
	n->decided = record_time(c);
	n->seen_at = record_time(c);
	n->state_at = record_time(c);
	n->hold_until = record_time(c);
	n->probe_asked = record_time(c);
	n->slot_ends = record_time(c);
	n->flap.changes = cursor_u32(c);
	n->flap.oldest = (uint8_t)(cursor_u8(c) % FLAP_ICINGA_SLOTS);
	n->flap.is_flapping = cursor_u8(c) != 0;
	n->slot_changed = cursor_u8(c) != 0;
	n->in_maintenance = cursor_u8(c) != 0;
	n->is_waited = cursor_u8(c) != 0;
	free(n->reason);
	n->reason = record_text(c);
	if (cursor_left(c) > 0)
		read_times(c, n->told, OLDER_TELLS);
}

/* ---- an incident */

static void encode_members(const struct incident *i, struct buf *b)
{
	buf_add_u32(b, (uint32_t)i->members_count);
	for (size_t k = 0; k < i->members_count; k++) {
		record_add_text(b, i->members[k].id);
		record_add_text(b, i->members[k].unit);
		record_add_time(b, i->members[k].from);
		record_add_time(b, i->members[k].to);
	}
	buf_add_u32(b, (uint32_t)i->audiences_count);
	for (size_t k = 0; k < i->audiences_count; k++) {
		record_add_text(b, i->audiences[k].name);
		buf_add_u8(b, (uint8_t)((i->audiences[k].is_told ? TOLD : 0) | (i->audiences[k].is_warned ? WARNED : 0)));
		record_add_time(b, i->audiences[k].due);
	}
}

static void encode_incident(const struct incident *i, struct buf *b)
{
	buf_add_u64(b, i->id);
	record_add_text(b, i->root);
	record_add_text(b, i->reason);
	buf_add_u8(b, (uint8_t)i->phase);
	buf_add_u8(b, (uint8_t)i->state);
	buf_add_u32(b, i->faults);
	record_add_time(b, i->since);
	record_add_time(b, i->opened);
	record_add_time(b, i->opened_steady);
	record_add_time(b, i->up_steady);
	record_add_text(b, i->acknowledged_by);
	record_add_text(b, i->assignee);
	buf_add_u8(b, i->is_acknowledged);
	record_add_time(b, i->acknowledged_until);
	record_add_time(b, i->acknowledged_until_steady);
	buf_add_u32(b, i->level);
	encode_members(i, b);
}

/* Counts are believed as far as there are bytes for them. */
static void decode_members(struct incidents *c, struct incident *i, struct cursor *in)
{
	uint32_t count = cursor_u32(in);

	while (count-- > 0 && !in->failed) {
		struct incident_member m = {.id = record_text(in)};

		m.unit = record_text(in);
		m.node = topology_find(c->topology, m.id);
		m.from = record_time(in);
		m.to = record_time(in);
		i->members = mem_resize(i->members, i->members_count + 1, sizeof *i->members);
		i->members[i->members_count++] = m;
	}
	count = cursor_u32(in);
	while (count-- > 0 && !in->failed) {
		struct incident_audience a = {.name = record_text(in)};
		uint8_t was = cursor_u8(in);

		a.is_told = (was & TOLD) != 0;
		a.is_warned = (was & WARNED) != 0;
		a.due = record_time(in);
		i->audiences = mem_resize(i->audiences, i->audiences_count + 1, sizeof *i->audiences);
		i->audiences[i->audiences_count++] = a;
	}
}

static struct incident *decode_incident(struct incidents *c, struct cursor *in)
{
	struct incident *i = mem_alloc(sizeof *i);
	uint8_t phase, state;

	i->id = cursor_u64(in);
	i->root = record_text(in);
	i->node = topology_find(c->topology, i->root);
	i->reason = record_text(in);
	phase = cursor_u8(in);
	i->phase = phase == INCIDENT_WATCHED ? INCIDENT_WATCHED : INCIDENT_OPEN;
	state = cursor_u8(in);
	i->state = state <= STATE_MAINTENANCE ? (enum state)state : STATE_UNKNOWN;
	i->faults = cursor_u32(in);
	i->since = record_time(in);
	i->opened = record_time(in);
	i->opened_steady = record_time(in);
	i->up_steady = record_time(in);
	i->acknowledged_by = record_text(in);
	i->assignee = record_text(in);
	i->is_acknowledged = cursor_u8(in) != 0;
	i->acknowledged_until = record_time(in);
	i->acknowledged_until_steady = record_time(in);
	i->level = cursor_u32(in);
	decode_members(c, i, in);
	return i;
}

/* ---- the rest */

static void encode_plan(const struct maintenance *m, struct buf *b)
{
	record_add_text(b, m->id);
	record_add_text(b, m->subject);
	record_add_text(b, m->author);
	record_add_text(b, m->reason);
	record_add_time(b, m->from);
	record_add_time(b, m->to);
	buf_add_u8(b, m->is_repeated);
	record_add_time(b, m->until);
	buf_add_u8(b, m->weekdays);
	buf_add_u8(b, m->weeks);
}

static struct maintenance *decode_plan(struct cursor *c)
{
	struct maintenance *m = mem_alloc(sizeof *m);

	m->id = record_text(c);
	m->subject = record_text(c);
	m->author = record_text(c);
	m->reason = record_text(c);
	m->from = record_time(c);
	m->to = record_time(c);
	m->is_repeated = cursor_u8(c) != 0;
	m->until = record_time(c);
	m->weekdays = cursor_u8(c);
	m->weeks = cursor_u8(c);
	return m;
}

static void encode_window(const struct incident_window *w, struct buf *b)
{
	record_add_text(b, w->name);
	record_add_time(b, w->ends);
	buf_add_u32(b, w->count);
	buf_add_u32(b, (uint32_t)w->items_count);
	for (size_t i = 0; i < w->items_count; i++) {
		buf_add_u8(b, (uint8_t)w->items[i].kind);
		buf_add_u64(b, w->items[i].incident);
		buf_add_u64(b, w->items[i].other);
		record_add_text(b, w->items[i].subject);
	}
}

static struct incident_window *decode_window(struct cursor *c)
{
	struct incident_window *w = mem_alloc(sizeof *w);
	uint32_t count;

	w->name = record_text(c);
	w->ends = record_time(c);
	w->count = cursor_u32(c);
	count = cursor_u32(c);
	while (count-- > 0 && !c->failed) {
		struct incident_item item = {.kind = (enum incident_intent_kind)cursor_u8(c)};

		if (item.kind >= INTENT_KINDS) {
			c->failed = true;
			break;
		}
		item.incident = cursor_u64(c);
		item.other = cursor_u64(c);
		item.subject = record_text(c);
		w->items = mem_resize(w->items, w->items_count + 1, sizeof *w->items);
		w->items[w->items_count++] = item;
	}
	return w;
}

static void encode_head(const struct incidents *c, struct buf *b)
{
	record_add_time(b, c->now);
	record_add_time(b, c->steady);
	buf_add_u64(b, c->next_incident);
	buf_add_u64(b, c->next_key);
	buf_add_u64(b, c->hash);
	buf_add_u32(b, (uint32_t)c->held_count);
	for (size_t i = 0; i < c->held_count; i++)
		record_add_text(b, topology_node(c->topology, c->held[i])->id);
}

static void decode_held(struct incidents *c, struct cursor *in)
{
	uint32_t count = cursor_u32(in);

	while (count-- > 0 && !in->failed) {
		char *id = record_text(in);
		uint32_t node = topology_find(c->topology, id);

		free(id);
		if (node == TOPOLOGY_NONE)
			continue;
		c->held = mem_resize(c->held, c->held_count + 1, sizeof *c->held);
		c->held[c->held_count++] = node;
		c->held_room = c->held_count;
	}
}

static void decode_head(struct incidents *c, struct cursor *in)
{
	c->now = record_time(in);
	c->steady = record_time(in);
	c->next_incident = cursor_u64(in);
	c->next_key = cursor_u64(in);
	c->saved_hash = cursor_u64(in);
	decode_held(c, in);
}

/* ---- saving */

static struct buf *fresh(struct buf *b)
{
	buf_clear(b);
	buf_add_u8(b, VERSION);
	return b;
}

static void put(const struct record_sink *sink, struct buf *b, const char *kind, const char *id)
{
	char key[RECORD_KEY];

	snprintf(key, sizeof key, "%s/%s", kind, id);
	sink->put(sink->ctx, key, b->data, b->len);
}

static void save_nodes(struct incidents *c, bool all, struct buf *b, const struct record_sink *sink)
{
	size_t count = all ? topology_count(c->topology) : c->touched_count;

	for (size_t i = 0; i < count; i++) {
		uint32_t node = all ? (uint32_t)i : c->touched[i];

		encode_node(&c->nodes[node], fresh(b));
		put(sink, b, "node", topology_node(c->topology, node)->id);
		c->nodes[node].is_dirty = false;
	}
	c->touched_count = 0;
}

static void save_incidents(struct incidents *c, bool all, struct buf *b, const struct record_sink *sink)
{
	for (size_t k = 0; k < c->open_count; k++) {
		struct incident *i = c->open[k];
		char id[24];

		if (i->phase == INCIDENT_CLOSED || (!all && !i->is_dirty))
			continue;
		encode_incident(i, fresh(b));
		snprintf(id, sizeof id, "%llu", (unsigned long long)i->id);
		put(sink, b, "incident", id);
		i->is_dirty = false;
	}
}

static void save_dropped(struct incidents *c, const struct record_sink *sink)
{
	if (map_count(c->dropped) == 0)
		return;
	for (size_t i = 0; i < map_count(c->dropped); i++) {
		const char *key;

		map_at(c->dropped, i, &key);
		sink->drop(sink->ctx, key);
	}
	map_free(c->dropped, NULL);
	c->dropped = map_new();
}

void incidents_save(struct incidents *c, bool all, const struct record_sink *sink)
{
	struct buf b = {0};

	save_dropped(c, sink);
	save_nodes(c, all, &b, sink);
	save_incidents(c, all, &b, sink);
	for (size_t i = 0; i < c->windows_count; i++) {
		if (!all && !c->windows[i]->is_dirty)
			continue;
		encode_window(c->windows[i], fresh(&b));
		put(sink, &b, "audience", c->windows[i]->name);
		c->windows[i]->is_dirty = false;
	}
	for (size_t i = 0; (all || c->plans_dirty) && i < c->plans_count; i++) {
		encode_plan(c->plans[i], fresh(&b));
		put(sink, &b, "maintenance", c->plans[i]->id);
	}
	c->plans_dirty = false;
	if (all || c->is_dirty) {
		encode_head(c, fresh(&b));
		sink->put(sink->ctx, "incidents", b.data, b.len);
		c->is_dirty = false;
	}
	buf_fini(&b);
}

/* ---- restoring */

static const char *behind(const char *key, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(key, prefix, len) == 0 ? key + len : NULL;
}

static void restore_incident(struct incidents *c, struct cursor *in)
{
	struct incident *i = decode_incident(c, in);
	size_t at = c->open_count;

	/* Whole or not at all: its first member is its root, its first audience operations. */
	if (in->failed || i->members_count == 0 || i->audiences_count == 0 || i->audiences[0].name[0] != '\0') {
		in->failed = true;
		incident_free(i);
		return;
	}
	c->open = mem_resize(c->open, c->open_count + 1, sizeof(struct incident *));
	for (; at > 0 && c->open[at - 1]->id > i->id; at--)
		c->open[at] = c->open[at - 1];
	c->open[at] = i;
	c->open_count++;
}

static void restore_window(struct incidents *c, struct cursor *in)
{
	struct incident_window *w = decode_window(in);

	if (in->failed) {
		incident_window_free(w);
		return;
	}
	incident_window_add(c, w);
}

static void restore_plan(struct incidents *c, struct cursor *in)
{
	struct maintenance *m = decode_plan(in);
	struct err err;

	if (in->failed || maintenance_check(m, &err) != 0) {
		in->failed = true;
		incident_plan_free(m);
		return;
	}
	c->plans = mem_resize(c->plans, c->plans_count + 1, sizeof(struct maintenance *));
	c->plans[c->plans_count++] = m;
}

static void restore_one(struct incidents *c, const char *key, struct cursor *in)
{
	const char *id = behind(key, "node/");

	if (id != NULL) {
		uint32_t node = topology_find(c->topology, id);

		if (node == TOPOLOGY_NONE)
			incident_drop_key(c, "%s", key);
		else
			decode_node(&c->nodes[node], in);
	} else if (behind(key, "incident/") != NULL) {
		restore_incident(c, in);
	} else if (behind(key, "audience/") != NULL) {
		restore_window(c, in);
	} else if (behind(key, "maintenance/") != NULL) {
		restore_plan(c, in);
	} else {
		decode_head(c, in);
	}
}

int incidents_restore(struct incidents *c, const char *key, const void *data, size_t len, struct err *err)
{
	struct cursor in = cursor_over(data, len);
	uint8_t version = cursor_u8(&in);

	if (version != VERSION)
		return err_set(err, "record \"%s\" has version %u, not %d", key, version, VERSION);
	restore_one(c, key, &in);
	return in.failed ? err_set(err, "record \"%s\" is damaged", key) : 0;
}

void incidents_used(struct incidents *c, uint64_t incident, uint64_t key)
{
	if (c->next_incident <= incident)
		c->next_incident = incident + 1;
	if (c->next_key <= key)
		c->next_key = key + 1;
}

static struct incident *find(const struct incidents *c, uint64_t id)
{
	for (size_t i = 0; i < c->open_count; i++)
		if (c->open[i]->id == id)
			return c->open[i];
	return NULL;
}

/* Ties node and incident together again; what does not fit (a damaged record) is judged anew. */
static void tie(struct incidents *c, uint32_t node)
{
	struct incident_node *n = &c->nodes[node];
	struct incident *i = n->incident_id == 0 ? NULL : find(c, n->incident_id);

	n->incident_id = 0;
	if (n->role == ROLE_HELD) {
		bool is_held = false;

		for (size_t k = 0; k < c->held_count; k++)
			is_held = is_held || c->held[k] == node;
		if (!is_held)
			n->role = ROLE_NONE;
		return;
	}
	if (i == NULL || n->role == ROLE_NONE || (n->role == ROLE_ROOT) != (i->node == node)) {
		n->role = ROLE_NONE;
		return;
	}
	n->incident = i;
	if (n->role == ROLE_MEMBER)
		i->attached++;
}

static void keep_held(struct incidents *c)
{
	size_t kept = 0;

	for (size_t i = 0; i < c->held_count; i++)
		if (c->nodes[c->held[i]].role == ROLE_HELD)
			c->held[kept++] = c->held[i];
	c->held_count = kept;
}

/* The root was removed from the inventory, or its record was lost, while we were away. */
static void close_orphans(struct incidents *c)
{
	for (size_t k = 0; k < c->open_count; k++) {
		struct incident *i = c->open[k];

		if (i->node != TOPOLOGY_NONE && c->nodes[i->node].incident == i)
			continue;
		for (size_t m = 0; m < i->members_count; m++) {
			uint32_t node = i->members[m].node;

			if (node == TOPOLOGY_NONE || c->nodes[node].incident != i)
				continue;
			c->nodes[node].role = ROLE_NONE;
			c->nodes[node].incident = NULL;
			incident_touch(c, &c->nodes[node]);
		}
		i->attached = 0;
		incident_close(c, i, "no longer monitored");
	}
}

/* The topology is another one than when we left: causes may be others. */
static void judge_all(struct incidents *c)
{
	incident_doubt_all(c);
	for (uint32_t i = 0; i < topology_count(c->topology); i++)
		if (c->nodes[i].faults != 0)
			incident_queue(c, i);
	incident_drain(c);
}

void incidents_restored(struct incidents *c)
{
	for (uint32_t i = 0; i < topology_count(c->topology); i++)
		tie(c, i);
	keep_held(c);
	close_orphans(c);
	c->next_plan = 0; /* looked at with the next tick, as everything that was due */
	if (c->saved_hash != c->hash)
		judge_all(c);
}
