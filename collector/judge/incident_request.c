#include "collector/judge/incident_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/mem.h"

static struct incident *find_open(const struct incidents *c, uint64_t id, struct err *err)
{
	for (size_t k = 0; k < c->open_count; k++)
		if (c->open[k]->id == id && c->open[k]->phase != INCIDENT_CLOSED)
			return c->open[k];
	err_set(err, "incident %llu is not open", (unsigned long long)id);
	return NULL;
}

static void set_text(char **text, const char *to)
{
	free(*text);
	*text = mem_strdup(to);
}

/* ---- one incident */

static int acknowledge(struct incidents *c, struct incident *i, const struct incident_event *e, struct err *err)
{
	if (e->until != 0 && e->until <= c->now)
		return err_set(err, "the end of the acknowledgement has passed");
	i->is_acknowledged = true;
	i->acknowledged_until = e->until;
	i->acknowledged_until_steady = c->steady + (e->until == 0 ? 0 : e->until - c->now);
	set_text(&i->acknowledged_by, e->author);
	incident_tell_all(c, i, INTENT_ACKNOWLEDGED, e->author, e->text);
	return 0;
}

static void unacknowledge(struct incidents *c, struct incident *i, const char *author, const char *text)
{
	i->is_acknowledged = false;
	i->is_dirty = true;
	incident_tell_all(c, i, INTENT_UNACKNOWLEDGED, author, text);
	incident_refresh(c, i);
}

/* Silence never outlives its end: by the time of day, or by our own count when the clock was set back. */
void incident_acknowledgement_ends(struct incidents *c, struct incident *i)
{
	if (!i->is_acknowledged || i->acknowledged_until == 0 || i->phase == INCIDENT_CLOSED)
		return;
	if (c->now >= i->acknowledged_until || c->steady >= i->acknowledged_until_steady)
		unacknowledge(c, i, "", "");
}

static int request_of_incident(struct incidents *c, const struct incident_event *e, struct err *err)
{
	struct incident *i = find_open(c, e->incident, err);

	if (i == NULL)
		return -1;
	i->is_dirty = true;
	switch (e->kind) {
	case INCIDENT_ACKNOWLEDGE:
		return acknowledge(c, i, e, err);
	case INCIDENT_UNACKNOWLEDGE:
		if (!i->is_acknowledged)
			return err_set(err, "incident %llu is not acknowledged", (unsigned long long)i->id);
		unacknowledge(c, i, e->author, e->text);
		return 0;
	case INCIDENT_ASSIGN:
		set_text(&i->assignee, e->text);
		incident_tell_all(c, i, INTENT_ASSIGNED, e->author, e->text);
		return 0;
	case INCIDENT_COMMENT:
		incident_tell_all(c, i, INTENT_COMMENTED, e->author, e->text);
		return 0;
	case INCIDENT_TICK:
	case INCIDENT_STATE:
	case INCIDENT_SEEN:
	case INCIDENT_PLAN:
	case INCIDENT_CANCEL:
		break;
	}
	assert(!"a request of an incident");
	return -1;
}

/* ---- planned work */

struct maintenance *incident_plan_copy(const struct maintenance *m)
{
	struct maintenance *copy = mem_copy(m, sizeof *m);

	copy->id = mem_strdup(m->id);
	copy->subject = mem_strdup(m->subject);
	copy->author = mem_strdup(m->author);
	copy->reason = mem_strdup(m->reason);
	return copy;
}

void incident_plan_free(struct maintenance *m)
{
	free((char *)m->id);
	free((char *)m->subject);
	free((char *)m->author);
	free((char *)m->reason);
	free(m);
}

static size_t find_plan(const struct incidents *c, const char *id)
{
	size_t i = 0;

	while (i < c->plans_count && strcmp(c->plans[i]->id, id) != 0)
		i++;
	return i;
}

static void remove_plan(struct incidents *c, size_t i)
{
	incident_drop_key(c, "maintenance/%s", c->plans[i]->id);
	incident_plan_free(c->plans[i]);
	memmove(c->plans + i, c->plans + i + 1, (c->plans_count - i - 1) * sizeof(struct maintenance *));
	c->plans_count--;
}

/* By itself, or because one of the groups that it needs is covered whole. Parents come first where that matters: the walk
 * goes up, and is cut short by what is known. */
static bool is_covered(const struct incidents *c, uint32_t node, uint8_t *known)
{
	size_t count, end;
	const struct topology_parent *parents = topology_parents(c->topology, node, &count);

	if (known[node] != 0)
		return known[node] == 2;
	known[node] = 1;
	for (size_t i = 0; i < count && known[node] == 1; i = end) {
		bool all = true;

		for (end = i; end < count && parents[end].group == parents[i].group; end++)
			all = is_covered(c, parents[end].node, known) && all;
		if (all)
			known[node] = 2;
	}
	return known[node] == 2;
}

/* 2: covered by a plan of its own. */
static uint8_t *plans_now(struct incidents *c)
{
	uint8_t *known = mem_array(topology_count(c->topology) + 1, 1);

	c->next_plan = INT64_MAX;
	for (size_t i = c->plans_count; i-- > 0;) {
		int64_t next = maintenance_next(c->plans[i], c->now);
		uint32_t node = topology_find(c->topology, c->plans[i]->subject);

		if (node != TOPOLOGY_NONE && maintenance_covers(c->plans[i], c->now))
			known[node] = 2;
		if (next < c->next_plan)
			c->next_plan = next;
		if (next == INT64_MAX)
			remove_plan(c, i);
	}
	return known;
}

void incident_maintenance(struct incidents *c)
{
	uint8_t *known = plans_now(c);

	for (uint32_t i = 0; i < topology_count(c->topology); i++) {
		bool covered = is_covered(c, i, known);

		if (covered != c->nodes[i].in_maintenance) {
			incident_touch(c, &c->nodes[i]);
			c->plan_turns++;
		}
		c->nodes[i].in_maintenance = covered;
	}
	free(known);
}

uint64_t incidents_maintenance_turns(const struct incidents *c, int64_t *next)
{
	*next = c->next_plan;
	if (c->next_plan != 0)
		return c->plan_turns;
	/* Just restored, or the clock was set back. */
	*next = INT64_MAX;
	for (size_t i = 0; i < c->plans_count; i++) {
		int64_t turn = maintenance_next(c->plans[i], c->now);

		if (turn < *next)
			*next = turn;
	}
	return c->plan_turns;
}

static int plan(struct incidents *c, const struct maintenance *m, struct err *err)
{
	size_t at = find_plan(c, m->id);

	if (maintenance_check(m, err) != 0)
		return -1;
	if (topology_find(c->topology, m->subject) == TOPOLOGY_NONE)
		return err_set(err, "maintenance \"%s\": there is no \"%s\"", m->id, m->subject);
	if (maintenance_next(m, c->now) == INT64_MAX)
		return err_set(err, "maintenance \"%s\" is over already", m->id);
	if (at == c->plans_count)
		c->plans = mem_resize(c->plans, ++c->plans_count, sizeof(struct maintenance *));
	else
		incident_plan_free(c->plans[at]);
	c->plans[at] = incident_plan_copy(m);
	c->plans_dirty = true;
	incident_maintenance(c);
	return 0;
}

static int cancel(struct incidents *c, const char *id, struct err *err)
{
	size_t at = find_plan(c, id);

	if (at == c->plans_count)
		return err_set(err, "there is no maintenance \"%s\"", id);
	remove_plan(c, at);
	incident_maintenance(c);
	return 0;
}

int incident_request(struct incidents *c, const struct incident_event *e, struct err *err)
{
	if (e->text != NULL && strlen(e->text) > INCIDENT_TEXT_MAX)
		return err_set(err, "the text is longer than %d bytes", INCIDENT_TEXT_MAX);
	if (e->kind == INCIDENT_PLAN)
		return plan(c, e->maintenance, err);
	if (e->kind == INCIDENT_CANCEL)
		return cancel(c, e->text, err);
	return request_of_incident(c, e, err);
}
