#include "collector/judge/plan.h"

#include <stdlib.h>
#include <string.h>

#include "collector/inventory.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "probes/catalog.h"

/* ---- who votes on what */

static unsigned families_of(const struct inventory_check *c)
{
	static const unsigned wanted[] = {
		[FAMILIES_BOTH] = FAULT_V4 | FAULT_V6, [FAMILIES_IPV4] = FAULT_V4, [FAMILIES_IPV6] = FAULT_V6};

	if (!catalog_has_family(c->of_type, c->of_options))
		return FAULT_OWN;
	switch (catalog_literal(c->of_type, c->of_options)) {
	case FAMILY_V4:
		return FAULT_V4;
	case FAMILY_V6:
		return FAULT_V6;
	case FAMILY_NONE:
		break;
	}
	return wanted[c->families];
}

static uint32_t metric_number(const struct catalog_type *type, const char *name)
{
	const struct metric *m = type->metrics;

	while (m->number != 0 && strcmp(m->name, name) != 0)
		m++;
	return m->number;
}

static int add_limits(const struct inventory_check *c, struct arena *a, struct verdict_check_plan *out, struct err *err)
{
	struct limit_rule *rules = arena_alloc(a, (c->limits.count + 1) * sizeof *rules);

	for (size_t i = 0; i < c->limits.count; i++) {
		char name[LIMIT_METRIC];

		if (limit_parse(c->limits.items[i], name, &rules[i], err) < 0)
			return -1;
		rules[i].metric = metric_number(c->of_type, name);
	}
	out->limits = rules;
	out->limits_count = c->limits.count;
	return 0;
}

static int add_check(const struct inventory_check *c, struct arena *a, struct verdict_check_plan *out, struct err *err)
{
	*out = (struct verdict_check_plan){.id = c->id, .subject = c->subject, .interval = c->interval,
		.families = families_of(c), .severity = (enum verdict_severity)c->severity,
		.quorum = (uint32_t)c->quorum, .is_anchor = c->anchor, .vantages = c->vantages.items,
		.vantages_count = c->vantages.count};
	return add_limits(c, a, out, err);
}

/* ---- what hangs on what */

struct measure { unsigned families; int64_t interval; };

static struct map *measures_of(const struct plan *p)
{
	struct map *measures = map_new();

	for (size_t i = 0; i < p->count; i++) {
		const struct verdict_check_plan *c = &p->checks[i];
		struct measure *m = map_find(measures, c->subject);

		if (c->is_anchor || c->severity == SEVERITY_NONE)
			continue;
		if (m == NULL) {
			m = mem_alloc(sizeof *m);
			map_set(measures, c->subject, m);
		}
		m->families |= c->families;
		if (m->interval == 0 || c->interval < m->interval)
			m->interval = c->interval;
	}
	return measures;
}

static void add_node(struct plan *p, const struct map *measures, const char *kind, const char *id, const char *unit)
{
	char *subject = mem_format("%s/%s", kind, id);
	const struct measure *m = map_find(measures, subject);
	struct topology_node node = {.id = subject, .unit = unit, .is_system = strcmp(kind, "system") == 0};

	if (m != NULL) {
		node.interval = m->interval;
		node.measured = m->families;
	}
	topology_add(p->topology, &node);
	free(subject);
}

/* The monitoring itself: what its own processes note of themselves, and the clock of each agent. */
static void add_monitoring(const struct inventory *inv, struct plan *p, const struct map *measures)
{
	static const char *const matters[] = {"disk", "certificate", "series", "notice", "beat", "commands"};

	for (size_t i = 0; i < sizeof matters / sizeof *matters; i++)
		add_node(p, measures, "monitoring", matters[i], "");
	for (size_t i = 0; i < inv->agents_count; i++) {
		char *clock = mem_format("clock-%s", inv->agents[i].id);

		add_node(p, measures, "monitoring", clock, "");
		free(clock);
	}
}

static void add_nodes(const struct inventory *inv, struct plan *p, const struct map *measures)
{
	for (size_t i = 0; i < inv->sites_count; i++)
		add_node(p, measures, "site", inv->sites[i].id, "");
	for (size_t i = 0; i < inv->links_count; i++)
		add_node(p, measures, "link", inv->links[i].id, "");
	for (size_t i = 0; i < inv->agents_count; i++) {
		add_node(p, measures, "host", inv->agents[i].id, "");
		add_node(p, measures, "agent", inv->agents[i].id, "");
	}
	for (size_t i = 0; i < inv->systems_count; i++)
		add_node(p, measures, "system", inv->systems[i].id, inv->systems[i].unit);
	add_monitoring(inv, p, measures);
}

static uint32_t node_of(const struct plan *p, const char *kind, const char *id)
{
	char *subject = mem_format("%s/%s", kind, id);
	uint32_t node = topology_find(p->topology, subject);

	free(subject);
	return node;
}

static void need_dependence(struct plan *p, const struct inventory_system *s, const char *on, uint32_t group)
{
	uint32_t parent = node_of(p, "system", on);

	if (parent == TOPOLOGY_NONE)
		parent = node_of(p, "link", on);
	topology_need(p->topology, node_of(p, "system", s->id), parent, group);
}

static void add_needs(const struct inventory *inv, struct plan *p)
{
	for (size_t i = 0; i < inv->sites_count; i++) {
		const struct inventory_site *s = &inv->sites[i];

		if (s->up != NULL)
			topology_need(p->topology, node_of(p, "site", s->id), node_of(p, "link", s->up->id), 0);
		else if (s->of_parent != NULL)
			topology_need(p->topology, node_of(p, "site", s->id), node_of(p, "site", s->of_parent->id), 0);
	}
	for (size_t i = 0; i < inv->links_count; i++) {
		const struct inventory_link *l = &inv->links[i];

		if (l->of_site->of_parent != NULL)
			topology_need(p->topology, node_of(p, "link", l->id),
				node_of(p, "site", l->of_site->of_parent->id), 0);
	}
	for (size_t i = 0; i < inv->agents_count; i++) {
		const struct inventory_agent *a = &inv->agents[i];

		topology_need(p->topology, node_of(p, "host", a->id), node_of(p, "site", a->site), 0);
		topology_need(p->topology, node_of(p, "agent", a->id), node_of(p, "site", a->site), 0);
	}
	for (size_t i = 0; i < inv->systems_count; i++) {
		const struct inventory_system *s = &inv->systems[i];

		for (size_t k = 0; k < s->depends.count; k++)
			need_dependence(p, s, s->depends.items[k], (uint32_t)k);
		for (size_t k = 0; k < s->either.count; k++)
			need_dependence(p, s, s->either.items[k], (uint32_t)s->depends.count);
	}
}

static void add_ways(const struct inventory *inv, struct plan *p)
{
	size_t room = 0;

	for (size_t i = 0; i < inv->agents_count; i++)
		for (const struct inventory_site *s = inv->agents[i].of_site; s != NULL; s = s->of_parent)
			room++;
	p->ways = arena_alloc(p->arena, (room + 1) * sizeof *p->ways);
	for (size_t i = 0; i < inv->agents_count; i++)
		for (const struct inventory_site *s = inv->agents[i].of_site; s != NULL; s = s->of_parent) {
			char *subject = s->up == NULL ? NULL : mem_format("link/%s", s->up->id);

			if (subject != NULL)
				p->ways[p->ways_count++] = (struct verdict_way){inv->agents[i].id,
					arena_strdup(p->arena, subject)};
			free(subject);
		}
}

/* ---- */

int plan_make(const struct inventory *inv, struct plan *p, struct err *err)
{
	struct map *measures;

	*p = (struct plan){.arena = arena_new(), .topology = topology_new()};
	p->checks = arena_alloc(p->arena, (inv->checks_count + 1) * sizeof *p->checks);
	for (; p->count < inv->checks_count; p->count++)
		if (add_check(&inv->checks[p->count], p->arena, &p->checks[p->count], err) < 0) {
			plan_fini(p);
			return -1;
		}
	measures = measures_of(p);
	add_nodes(inv, p, measures);
	map_free(measures, free);
	add_needs(inv, p);
	add_ways(inv, p);
	if (topology_seal(p->topology, err) == 0)
		return 0;
	plan_fini(p);
	return -1;
}

struct topology *plan_take_topology(struct plan *p)
{
	struct topology *t = p->topology;

	p->topology = NULL;
	return t;
}

void plan_fini(struct plan *p)
{
	topology_free(p->topology);
	arena_free(p->arena);
	*p = (struct plan){0};
}

/* ---- sights */

static bool sight_of(const struct topology *t, const struct verdict_ballot *b, const char *subject,
	struct topology_sight *out)
{
	char *agent;

	if (b->vote != VOTE_UP && b->vote != VOTE_PARTIAL && b->vote != VOTE_DOWN)
		return false;
	agent = mem_format("agent/%s", b->vantage);
	*out = (struct topology_sight){.from = topology_find(t, agent), .to = topology_find(t, subject),
		.reached = b->vote != VOTE_DOWN};
	free(agent);
	return out->from != TOPOLOGY_NONE && out->to != TOPOLOGY_NONE;
}

size_t plan_sights(const struct verdict *v, const struct topology *t, const char *only, enum family family,
	struct topology_sight *out, size_t room)
{
	struct verdict_ballot *ballots = mem_array(VERDICT_VANTAGES * VERDICT_FAMILIES, sizeof *ballots);
	const char *check, *subject;
	size_t count = 0;

	for (size_t i = 0; (check = verdict_check_at(v, i, &subject)) != NULL; i++) {
		size_t n = only == NULL || strcmp(subject, only) == 0
			? verdict_ballots(v, check, ballots, VERDICT_VANTAGES * VERDICT_FAMILIES) : 0;

		for (size_t k = 0; k < n && count < room; k++)
			if (ballots[k].family == family && sight_of(t, &ballots[k], subject, &out[count]))
				count++;
	}
	free(ballots);
	return count;
}
