#include "collector/judge/incident_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/map.h"
#include "lib/mem.h"

#define NOTICES_PER_MINUTE 10
#define MINUTE (60 * NS_PER_S)
#define PROBE_AGAIN (30 * NS_PER_S)

const char *incident_intent_name(enum incident_intent_kind kind)
{
	static const char *const names[] = {"problem", "close", "merged", "flapping", "escalate", "acknowledged",
		"unacknowledged", "assigned", "commented", "digest", "probe", "worse"};

	return names[kind];
}

bool incident_is_escalation(const char *audience)
{
	return strncmp(audience, INCIDENT_ESCALATION, sizeof INCIDENT_ESCALATION - 1) == 0;
}

bool incident_is_unit(const char *audience)
{
	return audience[0] != '\0' && !incident_is_escalation(audience);
}

/* ---- intents */

static const char *keep_text(struct incidents *c, const char *text)
{
	if (c->texts == NULL)
		c->texts = arena_new();
	return arena_strdup(c->texts, text == NULL ? "" : text);
}

static void emit(struct incidents *c, const struct incident_intent *intent)
{
	struct incident_intent *out;

	if (c->intents_count == c->intents_room) {
		c->intents_room = c->intents_room == 0 ? 64 : c->intents_room * 2;
		c->intents = mem_resize(c->intents, c->intents_room, sizeof *c->intents);
	}
	out = &c->intents[c->intents_count++];
	*out = *intent;
	out->key = c->next_key++;
	out->at = c->now;
	out->audience = keep_text(c, intent->audience);
	out->subject = keep_text(c, intent->subject);
	out->author = keep_text(c, intent->author);
	out->text = keep_text(c, intent->text);
	out->reason = keep_text(c, intent->reason);
}

/* ---- one audience at a time: at most so many a minute, then a digest */

/* By name, so that digests of one moment come in the same order after a restart. */
void incident_window_add(struct incidents *c, struct incident_window *w)
{
	size_t at = c->windows_count++;

	c->windows = mem_resize(c->windows, c->windows_count, sizeof(struct incident_window *));
	for (; at > 0 && strcmp(c->windows[at - 1]->name, w->name) > 0; at--)
		c->windows[at] = c->windows[at - 1];
	c->windows[at] = w;
}

static struct incident_window *get_window(struct incidents *c, const char *name)
{
	struct incident_window *w;

	for (size_t i = 0; i < c->windows_count; i++)
		if (strcmp(c->windows[i]->name, name) == 0)
			return c->windows[i];
	w = mem_alloc(sizeof *w);
	w->name = mem_strdup(name);
	incident_window_add(c, w);
	return w;
}

static void drop_items(struct incident_window *w)
{
	for (size_t i = 0; i < w->items_count; i++)
		free((char *)w->items[i].subject);
	free(w->items);
	w->items = NULL;
	w->items_count = 0;
}

void incident_window_free(struct incident_window *w)
{
	drop_items(w);
	free(w->name);
	free(w);
}

static void flush(struct incidents *c, struct incident_window *w)
{
	struct incident_item *items;

	if (c->texts == NULL)
		c->texts = arena_new();
	items = arena_alloc(c->texts, w->items_count * sizeof *items);
	for (size_t i = 0; i < w->items_count; i++) {
		items[i] = w->items[i];
		items[i].subject = keep_text(c, w->items[i].subject);
	}
	emit(c, &(struct incident_intent){.kind = INTENT_DIGEST, .audience = w->name, .items = items,
		.items_count = w->items_count});
	c->counts.digests++;
	drop_items(w);
}

/* True: there is room for a notice of its own now. */
static bool take_room(struct incidents *c, struct incident_window *w)
{
	unsigned most = c->settings.notices_per_minute;

	w->is_dirty = true;
	if (c->steady >= w->ends) {
		w->count = 0;
		w->ends = c->steady + MINUTE;
		if (w->items_count > 0) {
			flush(c, w);
			w->count++;
		}
	}
	if (w->count >= (most == 0 ? NOTICES_PER_MINUTE : most))
		return false;
	w->count++;
	return true;
}

void incident_digests(struct incidents *c)
{
	for (size_t i = 0; i < c->windows_count; i++) {
		struct incident_window *w = c->windows[i];

		if (w->items_count == 0 || c->steady < w->ends)
			continue;
		flush(c, w);
		w->ends = c->steady + MINUTE;
		w->count = 1;
		w->is_dirty = true;
	}
}

static void tell(struct incidents *c, const struct incident_intent *intent)
{
	struct incident_window *w = get_window(c, intent->audience);

	if (take_room(c, w)) {
		emit(c, intent);
		return;
	}
	w->items = mem_resize(w->items, w->items_count + 1, sizeof *w->items);
	w->items[w->items_count++] = (struct incident_item){.kind = intent->kind, .incident = intent->incident,
		.other = intent->other, .subject = mem_strdup(intent->subject)};
}

void incident_ask_probe(struct incidents *c, uint32_t node)
{
	struct incident_node *n = &c->nodes[node];

	if (n->probe_asked != 0 && c->steady - n->probe_asked < PROBE_AGAIN)
		return;
	n->probe_asked = c->steady + 1; /* never 0 */
	incident_touch(c, n);
	emit(c, &(struct incident_intent){.kind = INTENT_PROBE, .audience = "",
		.subject = topology_node(c->topology, node)->id});
}

/* ---- how often about one subject */

static unsigned tells_in_last_hour(const struct incidents *c, const struct incident_node *n)
{
	unsigned count = 0;

	for (int i = 0; i < INCIDENT_TELLS; i++)
		count += n->told[i] != 0 && c->steady - n->told[i] < HOUR;
	return count;
}

static void note_told(struct incidents *c, const struct incident *i)
{
	struct incident_node *n;

	if (i->node == TOPOLOGY_NONE)
		return;
	n = &c->nodes[i->node];
	memmove(n->told, n->told + 1, (INCIDENT_TELLS - 1) * sizeof n->told[0]);
	n->told[INCIDENT_TELLS - 1] = c->steady + 1;
	incident_touch(c, n);
}

/* ---- who is told of what */

static struct incident_intent about(const struct incident *i, enum incident_intent_kind kind, const char *audience)
{
	return (struct incident_intent){.kind = kind, .audience = audience, .incident = i->id, .subject = i->root,
		.state = i->state, .faults = i->faults, .level = i->level, .since = i->since, .reason = i->reason};
}

static struct incident_audience *get_audience(struct incidents *c, struct incident *i, const char *name, int64_t delay)
{
	struct incident_audience *a;

	for (size_t k = 0; k < i->audiences_count; k++)
		if (strcmp(i->audiences[k].name, name) == 0)
			return &i->audiences[k];
	i->audiences = mem_resize(i->audiences, i->audiences_count + 1, sizeof *i->audiences);
	a = &i->audiences[i->audiences_count++];
	*a = (struct incident_audience){.name = mem_strdup(name), .due = c->steady + delay};
	i->is_dirty = true;
	return a;
}

static bool is_affected(const struct incidents *c, const struct incident *i, const struct incident_member *m)
{
	return m->node != TOPOLOGY_NONE && m->to == 0 && c->nodes[m->node].incident == i;
}

/* Operations: while the root is being worked on. A unit: while each of its affected systems is, or none is affected. */
static bool is_quiet(const struct incidents *c, const struct incident *i, const struct incident_audience *a)
{
	if (a->name[0] == '\0')
		return i->node == TOPOLOGY_NONE || c->nodes[i->node].in_maintenance;
	for (size_t k = 0; k < i->members_count; k++)
		if (strcmp(i->members[k].unit, a->name) == 0 && is_affected(c, i, &i->members[k]) &&
			!c->nodes[i->members[k].node].in_maintenance)
			return false;
	return true;
}

void incident_tell_all(struct incidents *c, struct incident *i, enum incident_intent_kind kind, const char *author,
	const char *text)
{
	for (size_t k = 0; k < i->audiences_count; k++) {
		struct incident_intent intent = about(i, kind, i->audiences[k].name);

		if (!i->audiences[k].is_told || incident_is_escalation(i->audiences[k].name))
			continue;
		intent.author = author;
		intent.text = text;
		tell(c, &intent);
	}
}

static void tell_of(struct incidents *c, const struct incident *i, enum incident_intent_kind kind, const char *audience)
{
	struct incident_intent intent = about(i, kind, audience);

	tell(c, &intent);
}

/* What was told of so often within the hour (merged into others, too) is shown, and told when there is room again. */
static bool has_room(const struct incidents *c, const struct incident *i)
{
	return i->audiences[0].is_told || tells_in_last_hour(c, &c->nodes[i->node]) < INCIDENT_TELLS;
}

/* The other family, the other vantages may be about to say the same: who reads "degraded" of it sleeps on. A tick ends it, whatever
 * else comes at that moment, and in which order. */
static bool may_grow(const struct incidents *c, const struct incident *i)
{
	return i->state == STATE_DEGRADED && (i->faults & (FAULT_V4 | FAULT_V6)) != 0 &&
		(!c->is_tick || c->steady < i->opened_steady + INCIDENT_ROW);
}

static void tell_problem(struct incidents *c, struct incident *i)
{
	if (!has_room(c, i) || may_grow(c, i))
		return;
	for (size_t k = 0; k < i->audiences_count; k++) {
		struct incident_audience *a = &i->audiences[k];

		if (a->is_told || c->steady < a->due || is_quiet(c, i, a))
			continue;
		a->is_told = true;
		i->is_dirty = true;
		if (k == 0)
			note_told(c, i);
		tell_of(c, i, INTENT_PROBLEM, a->name);
	}
}

void incident_tell_worse(struct incidents *c, struct incident *i)
{
	for (size_t k = 0; k < i->audiences_count; k++) {
		if (i->audiences[k].is_told && !incident_is_escalation(i->audiences[k].name) && !is_quiet(c, i, &i->audiences[k]))
			tell_of(c, i, INTENT_WORSE, i->audiences[k].name);
	}
}

static bool anybody_told(const struct incident *i)
{
	for (size_t k = 0; k < i->audiences_count; k++)
		if (i->audiences[k].is_told)
			return true;
	return false;
}

void incident_flap(struct incidents *c, struct incident *i)
{
	for (size_t k = 0; k < i->audiences_count; k++) {
		struct incident_audience *a = &i->audiences[k];

		if (!a->is_told || a->is_warned || incident_is_escalation(a->name))
			continue;
		a->is_warned = true;
		i->is_dirty = true;
		tell_of(c, i, INTENT_FLAPPING, a->name);
	}
}

/* Its end would not be the last word; and there must be room behind it for the next beginning. */
static bool comes_and_goes(const struct incidents *c, const struct incident *i)
{
	const struct incident_node *root = &c->nodes[i->node];

	return anybody_told(i) && (root->flap.is_flapping || tells_in_last_hour(c, root) + 2 > INCIDENT_TELLS);
}

/* ---- life */

void incident_add_member(struct incidents *c, struct incident *i, uint32_t node)
{
	const struct topology_node *said = topology_node(c->topology, node);

	i->members = mem_resize(i->members, i->members_count + 1, sizeof *i->members);
	i->members[i->members_count++] = (struct incident_member){.id = mem_strdup(said->id),
		.unit = mem_strdup(said->unit), .node = node, .from = c->now};
	i->is_dirty = true;
	if (said->unit[0] != '\0')
		get_audience(c, i, said->unit, i->node == node ? 0 : INCIDENT_GROUP);
}

static int64_t earliest(const struct incident_node *n)
{
	int64_t since = INT64_MAX;

	for (int bit = 0; bit < FAULT_BITS; bit++)
		if ((n->faults & 1u << bit) != 0 && n->since[bit] < since)
			since = n->since[bit];
	return since;
}

struct incident *incident_open(struct incidents *c, uint32_t node)
{
	struct incident_node *n = &c->nodes[node];
	struct incident *i = mem_alloc(sizeof *i);

	*i = (struct incident){.id = c->next_incident++, .node = node, .state = n->state, .faults = n->faults,
		.root = mem_strdup(topology_node(c->topology, node)->id), .reason = mem_strdup(n->reason),
		.since = earliest(n), .opened = c->now, .opened_steady = c->steady, .is_dirty = true,
		.acknowledged_by = mem_strdup(""), .assignee = mem_strdup("")};
	c->open = mem_resize(c->open, c->open_count + 1, sizeof(struct incident *));
	c->open[c->open_count++] = i;
	c->counts.opened++;
	n->role = ROLE_ROOT;
	n->incident = i;
	incident_touch(c, n);
	get_audience(c, i, "", 0);
	incident_add_member(c, i, node);
	incident_refresh(c, i);
	if (may_grow(c, i))
		incident_ask_probe(c, node);
	return i;
}

static void finish(struct incidents *c, struct incident *i)
{
	i->phase = INCIDENT_CLOSED;
	i->closed = c->now;
	for (size_t k = 0; k < i->members_count; k++)
		if (i->members[k].to == 0)
			i->members[k].to = c->now;
	incident_drop_key(c, "incident/%llu", (unsigned long long)i->id);
}

void incident_close(struct incidents *c, struct incident *i, const char *reason)
{
	if (i->audiences[0].is_told)
		note_told(c, i);
	for (size_t k = 0; k < i->audiences_count; k++) {
		struct incident_intent intent = about(i, INTENT_CLOSE, i->audiences[k].name);

		if (!i->audiences[k].is_told)
			continue;
		intent.reason = reason;
		tell(c, &intent);
	}
	c->counts.closed++;
	if (i->node != TOPOLOGY_NONE && c->nodes[i->node].incident == i) {
		c->nodes[i->node].role = ROLE_NONE;
		c->nodes[i->node].incident = NULL;
		incident_touch(c, &c->nodes[i->node]);
	}
	finish(c, i);
}

static void move_members(struct incidents *c, struct incident *from, struct incident *into)
{
	for (size_t k = 0; k < from->members_count; k++) {
		struct incident_node *n;

		if (!is_affected(c, from, &from->members[k]))
			continue;
		n = &c->nodes[from->members[k].node];
		n->role = ROLE_MEMBER;
		n->incident = into;
		n->hold_until = 0;
		incident_touch(c, n);
		into->attached++;
		incident_add_member(c, into, from->members[k].node);
	}
	from->attached = 0;
}

void incident_merge(struct incidents *c, struct incident *from, struct incident *into)
{
	if (from->audiences[0].is_told)
		note_told(c, from);
	move_members(c, from, into);
	for (size_t k = 0; k < from->audiences_count; k++) {
		struct incident_audience *a = &from->audiences[k];
		struct incident_intent intent = about(from, INTENT_MERGED, a->name);
		struct incident_audience *there;

		if (!a->is_told)
			continue;
		there = get_audience(c, into, a->name, 0);
		there->is_told = true;
		intent.other = into->id;
		tell(c, &intent);
	}
	into->is_dirty = true;
	c->counts.merged++;
	finish(c, from);
	incident_refresh(c, into);
}

/* ---- what is due */

/* The root works again. What is attached has had its time to show that it does, or that it fails by itself. */
static void release_overdue(struct incidents *c, struct incident *i)
{
	for (size_t k = 0; k < i->members_count; k++) {
		uint32_t node = i->members[k].node;
		int64_t interval;

		if (!is_affected(c, i, &i->members[k]) || c->nodes[node].role != ROLE_MEMBER)
			continue;
		interval = topology_node(c->topology, node)->interval;
		if (c->steady < i->up_steady + INCIDENT_SETTLE + 2 * interval + VERDICT_GRACE)
			continue;
		i->members[k].to = c->now;
		i->attached--;
		i->is_dirty = true;
		c->nodes[node].role = ROLE_NONE;
		c->nodes[node].incident = NULL;
		incident_touch(c, &c->nodes[node]);
		incident_queue(c, node);
	}
}

/* Those at whom this step leads, and at whom the ones before it did. */
static void tell_step(struct incidents *c, struct incident *i)
{
	char name[sizeof INCIDENT_ESCALATION + 12];

	tell_of(c, i, INTENT_ESCALATE, "");
	for (unsigned step = 1; step <= i->level; step++) {
		snprintf(name, sizeof name, INCIDENT_ESCALATION "%u", step);
		get_audience(c, i, name, 0)->is_told = true;
		tell_of(c, i, INTENT_ESCALATE, name);
	}
}

static void escalate(struct incidents *c, struct incident *i)
{
	const struct incident_settings *s = &c->settings;

	while (i->level < s->steps) {
		int64_t work = s->after[i->level];
		int64_t due = s->add_work == NULL ? work : s->add_work(s->calendar, i->opened, work) - i->opened;

		if (!i->audiences[0].is_told || i->is_acknowledged || is_quiet(c, i, &i->audiences[0]) ||
			c->steady < i->opened_steady + due)
			return;
		i->level++;
		i->is_dirty = true;
		tell_step(c, i);
	}
}

void incident_refresh(struct incidents *c, struct incident *i)
{
	if (i->phase == INCIDENT_OPEN) {
		tell_problem(c, i);
		escalate(c, i);
	}
	if (i->phase != INCIDENT_WATCHED)
		return;
	if (c->is_tick)
		release_overdue(c, i);
	if (i->attached > 0)
		return;
	if (comes_and_goes(c, i))
		incident_flap(c, i);
	else
		incident_close(c, i, "recovered");
}

void incident_free(struct incident *i)
{
	for (size_t k = 0; k < i->members_count; k++) {
		free(i->members[k].id);
		free(i->members[k].unit);
	}
	for (size_t k = 0; k < i->audiences_count; k++)
		free(i->audiences[k].name);
	free(i->members);
	free(i->audiences);
	free(i->root);
	free(i->reason);
	free(i->acknowledged_by);
	free(i->assignee);
	free(i);
}

void incident_forget_closed(struct incidents *c)
{
	size_t kept = 0;

	for (size_t k = 0; k < c->open_count; k++) {
		if (c->open[k]->phase == INCIDENT_CLOSED)
			incident_free(c->open[k]);
		else
			c->open[kept++] = c->open[k];
	}
	c->open_count = kept;
}
