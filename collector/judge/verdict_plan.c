#include "collector/judge/verdict_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "collector/judge/record.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"

/* ---- life */

struct verdict *verdict_new(void)
{
	struct verdict *v = mem_alloc(sizeof *v);

	v->checks = map_new();
	v->nodes = map_new();
	v->vantages = map_new();
	v->dropped = map_new();
	v->next_scan = INT64_MAX;
	return v;
}

void verdict_part_free(struct verdict_part *p)
{
	free(p->label);
	free(p->reason);
	free(p);
}

void verdict_check_free(void *check)
{
	struct verdict_check *c = check;

	for (size_t i = 0; i < c->votes_count; i++) {
		for (size_t p = 0; p < c->votes[i].count; p++)
			verdict_part_free(c->votes[i].parts[p]);
		free(c->votes[i].parts);
	}
	free(c->votes);
	free(c->limits);
	free(c->id);
	free(c);
}

void verdict_node_free(void *node)
{
	struct verdict_node *n = node;

	free((char *)n->view.id);
	free((char *)n->view.reason);
	free(n->checks);
	free(n);
}

void verdict_vantage_free(void *vantage)
{
	struct verdict_vantage *w = vantage;

	free(w->id);
	free(w->votes);
	free(w->anchors);
	free(w->ways);
	free(w);
}

static void free_tables(struct map *checks, struct map *nodes, struct map *vantages)
{
	map_free(checks, verdict_check_free);
	map_free(nodes, verdict_node_free);
	map_free(vantages, verdict_vantage_free);
}

void verdict_free(struct verdict *v)
{
	if (v == NULL)
		return;
	free_tables(v->checks, v->nodes, v->vantages);
	map_free(v->dropped, NULL);
	verdict_clear(v);
	free(v->changes);
	free(v->touched);
	free(v);
}

/* ---- building a plan */

struct verdict_part *verdict_part_add(struct verdict_vote *vote, const char *label)
{
	size_t limits = vote->check->limits_count;
	struct verdict_part *p = mem_alloc(sizeof *p + limits * sizeof p->limits[0]);

	assert(vote->count < VERDICT_PARTS);
	p->label = mem_strdup(label);
	p->reason = mem_strdup("");
	vote->parts = mem_resize(vote->parts, vote->count + 1, sizeof(struct verdict_part *));
	vote->parts[vote->count++] = p;
	return p;
}

static struct verdict_node *get_node(struct map *nodes, const char *id, int64_t now)
{
	struct verdict_node *n = map_find(nodes, id);

	if (n != NULL)
		return n;
	n = mem_alloc(sizeof *n);
	n->view.id = mem_strdup(id);
	n->view.reason = mem_strdup("");
	n->view.state = STATE_UNKNOWN;
	n->view.since = now;
	map_set(nodes, id, n);
	return n;
}

static struct verdict_vantage *get_vantage(struct map *vantages, const char *id)
{
	struct verdict_vantage *w = map_find(vantages, id);

	if (w != NULL)
		return w;
	w = mem_alloc(sizeof *w);
	w->id = mem_strdup(id);
	map_set(vantages, id, w);
	return w;
}

static int judge_plan(const struct verdict_check_plan *p, struct err *err)
{
	if (p->vantages_count == 0 || p->vantages_count > VERDICT_VANTAGES)
		return err_set(err, "check \"%s\" has %zu vantages: 1 to %d are possible", p->id, p->vantages_count,
			VERDICT_VANTAGES);
	if (p->quorum > p->vantages_count)
		return err_set(err, "check \"%s\" asks for %u votes of %zu vantages", p->id, p->quorum,
			p->vantages_count);
	if (p->limits_count > VERDICT_LIMITS)
		return err_set(err, "check \"%s\" has %zu limits: at most %d", p->id, p->limits_count, VERDICT_LIMITS);
	if (p->interval <= 0 || p->families == 0)
		return err_set(err, "check \"%s\" has no interval or no family", p->id);
	return 0;
}

static void add_votes(struct verdict_check *c, const struct verdict_check_plan *p, struct map *vantages)
{
	c->votes = mem_array(p->vantages_count * VERDICT_FAMILIES, sizeof *c->votes);
	for (size_t i = 0; i < p->vantages_count; i++) {
		struct verdict_vantage *w = get_vantage(vantages, p->vantages[i]);

		for (int f = 0; f < VERDICT_FAMILIES; f++)
			if ((p->families & 1u << f) != 0)
				c->votes[c->votes_count++] =
					(struct verdict_vote){.check = c, .vantage = w, .family = f};
	}
}

/* Votes stay where they are from now on. */
static void link_votes(struct verdict_check *c)
{
	for (size_t i = 0; i < c->votes_count; i++) {
		struct verdict_vantage *w = c->votes[i].vantage;

		w->votes = mem_resize(w->votes, w->votes_count + 1, sizeof(struct verdict_vote *));
		w->votes[w->votes_count++] = &c->votes[i];
		if (!c->is_anchor)
			continue;
		w->anchors = mem_resize(w->anchors, w->anchors_count + 1, sizeof(struct verdict_vote *));
		w->anchors[w->anchors_count++] = &c->votes[i];
	}
}

static void link_node(struct verdict_check *c, struct map *nodes, const char *id, int64_t now)
{
	struct verdict_node *n = get_node(nodes, id, now);

	c->subject = n;
	n->checks = mem_resize(n->checks, n->count + 1, sizeof(struct verdict_check *));
	n->checks[n->count++] = c;
	if (c->severity == SEVERITY_NONE)
		return;
	n->view.measured |= c->families;
	if (n->view.interval == 0 || c->interval < n->view.interval)
		n->view.interval = c->interval;
}

static struct verdict_check *make_check(const struct verdict_check_plan *p, int64_t now)
{
	struct verdict_check *c = mem_alloc(sizeof *c);

	*c = (struct verdict_check){.id = mem_strdup(p->id), .interval = p->interval, .families = p->families,
		.severity = p->severity, .attempts = p->attempts == 0 ? VOTE_ATTEMPTS : p->attempts,
		.quorum = p->quorum, .limits_count = p->limits_count, .is_anchor = p->is_anchor,
		.state = STATE_UNKNOWN, .pair = PAIR_UNKNOWN};
	c->limits = mem_array(p->limits_count + 1, sizeof *c->limits);
	if (p->limits_count > 0)
		memcpy(c->limits, p->limits, p->limits_count * sizeof *c->limits);
	for (int f = 0; f < VERDICT_FAMILIES; f++)
		if ((p->families & 1u << f) != 0)
			c->cells[f] = (struct verdict_cell){.state = STATE_UNKNOWN, .since = now};
	return c;
}

/* ---- carrying over */

static void carry_vote(struct verdict_vote *to, struct verdict_vote *from)
{
	const struct verdict_check *old = from->check, *now = to->check;
	bool same_limits = old->limits_count == now->limits_count &&
		now->limits_count > 0;

	for (size_t i = 0; same_limits && i < now->limits_count; i++)
		same_limits = limit_is_same(&old->limits[i], &now->limits[i]);
	for (size_t i = 0; i < from->count; i++) {
		const struct verdict_part *was = from->parts[i];
		struct verdict_part *p = verdict_part_add(to, was->label);

		p->stream = was->stream;
		p->fresh_until = was->fresh_until;
		free(p->reason);
		p->reason = mem_strdup(was->reason);
		if (same_limits)
			memcpy(p->limits, was->limits, now->limits_count * sizeof p->limits[0]);
	}
	to->said = from->said;
	to->vote = from->vote;
	to->said_since = from->said_since;
	to->since = from->since;
	to->last = from->last;
	to->level = same_limits ? from->level : LIMIT_OK;
	to->is_dirty = from->is_dirty;
}

static void carry_check(const struct verdict *old, struct verdict_check *c)
{
	const struct verdict_check *was = map_find(old->checks, c->id);

	if (was == NULL)
		return;
	for (size_t i = 0; i < c->votes_count; i++) {
		struct verdict_vote *from = verdict_find_vote(old, c->id, c->votes[i].vantage->id, c->votes[i].family);

		if (from != NULL)
			carry_vote(&c->votes[i], from);
	}
	for (int f = 0; f < VERDICT_FAMILIES; f++)
		if ((c->families & was->families & 1u << f) != 0)
			c->cells[f] = was->cells[f];
	c->state = was->state;
	c->pair = was->pair;
	c->is_dirty = was->is_dirty;
}

static void carry_node(const struct verdict *old, struct verdict_node *n)
{
	const struct verdict_node *was = map_find(old->nodes, n->view.id);

	if (was == NULL)
		return;
	n->view.state = was->view.state;
	n->view.faults = was->view.faults;
	n->view.level = was->view.level;
	n->view.since = was->view.since;
	memcpy(n->view.families, was->view.families, sizeof n->view.families);
	memcpy(n->view.families_since, was->view.families_since, sizeof n->view.families_since);
	free((char *)n->view.reason);
	n->view.reason = mem_strdup(was->view.reason);
	n->is_dirty = was->is_dirty;
}

static void carry_vantage(const struct verdict *old, struct verdict_vantage *w)
{
	const struct verdict_vantage *was = map_find(old->vantages, w->id);

	if (was == NULL)
		return;
	w->heard_until = was->heard_until;
	w->is_silent = was->is_silent;
	w->is_dirty = was->is_dirty;
	memcpy(w->up_at, was->up_at, sizeof w->up_at);
	if (w->anchors_count > 0)
		memcpy(w->unwell, was->unwell, sizeof w->unwell);
}

static void carry_all(struct verdict *v, struct map *checks, struct map *nodes, struct map *vantages)
{
	for (size_t i = 0; i < map_count(checks); i++)
		carry_check(v, map_at(checks, i, NULL));
	for (size_t i = 0; i < map_count(nodes); i++)
		carry_node(v, map_at(nodes, i, NULL));
	for (size_t i = 0; i < map_count(vantages); i++)
		carry_vantage(v, map_at(vantages, i, NULL));
}

/* ---- records of what has left */

static void drop_key(struct verdict *v, const char *key)
{
	map_set(v->dropped, key, v);
}

static void drop_check(struct verdict *v, const struct verdict_check *was, const struct map *checks)
{
	const struct verdict_check *now = map_find(checks, was->id);
	char key[RECORD_KEY];

	if (now == NULL)
		drop_key(v, verdict_key_check(was, key));
	for (size_t i = 0; i < was->votes_count; i++) {
		const struct verdict_vote *vote = &was->votes[i];
		bool stays = false;

		for (size_t k = 0; now != NULL && k < now->votes_count && !stays; k++)
			stays = now->votes[k].family == vote->family &&
				strcmp(now->votes[k].vantage->id, vote->vantage->id) == 0;
		if (!stays)
			drop_key(v, verdict_key_vote(vote, key));
	}
}

static void drop_left(struct verdict *v, const struct map *checks, const struct map *nodes, const struct map *vantages)
{
	char key[RECORD_KEY];

	for (size_t i = 0; i < map_count(v->checks); i++)
		drop_check(v, map_at(v->checks, i, NULL), checks);
	for (size_t i = 0; i < map_count(v->nodes); i++) {
		const struct verdict_node *n = map_at(v->nodes, i, NULL);

		if (map_find(nodes, n->view.id) == NULL)
			drop_key(v, verdict_key_node(n, key));
	}
	for (size_t i = 0; i < map_count(v->vantages); i++) {
		const struct verdict_vantage *w = map_at(v->vantages, i, NULL);

		if (map_find(vantages, w->id) == NULL)
			drop_key(v, verdict_key_vantage(w, key));
	}
}

/* ---- */

void verdict_ways(struct verdict *v, const struct verdict_way *ways, size_t count)
{
	for (size_t i = 0; i < map_count(v->vantages); i++)
		((struct verdict_vantage *)map_at(v->vantages, i, NULL))->ways_count = 0;
	for (size_t i = 0; i < count; i++) {
		struct verdict_vantage *w = map_find(v->vantages, ways[i].vantage);
		struct verdict_node *n = map_find(v->nodes, ways[i].subject);

		if (w == NULL || n == NULL)
			continue;
		w->ways = mem_resize(w->ways, w->ways_count + 1, sizeof(struct verdict_node *));
		w->ways[w->ways_count++] = n;
	}
}

static int build(const struct verdict_check_plan *plans, size_t count, struct map *checks, struct map *vantages,
	int64_t now, struct err *err)
{
	for (size_t i = 0; i < count; i++) {
		struct verdict_check *c;

		if (judge_plan(&plans[i], err) != 0)
			return -1;
		if (map_find(checks, plans[i].id) != NULL)
			return err_set(err, "check \"%s\" stands in the plan twice", plans[i].id);
		c = make_check(&plans[i], now);
		add_votes(c, &plans[i], vantages);
		map_set(checks, c->id, c);
	}
	return 0;
}

int verdict_plan(struct verdict *v, const struct verdict_check_plan *plans, size_t count, int64_t now, struct err *err)
{
	struct map *checks = map_new(), *nodes = map_new(), *vantages = map_new();

	if (build(plans, count, checks, vantages, now, err) != 0) {
		free_tables(checks, nodes, vantages);
		return -1;
	}
	for (size_t i = 0; i < count; i++) {
		struct verdict_check *c = map_find(checks, plans[i].id);

		link_votes(c);
		if (!c->is_anchor)
			link_node(c, nodes, plans[i].subject, now);
	}
	carry_all(v, checks, nodes, vantages);
	drop_left(v, checks, nodes, vantages);
	free_tables(v->checks, v->nodes, v->vantages);
	v->checks = checks;
	v->nodes = nodes;
	v->vantages = vantages;
	verdict_touch_again(v);
	v->next_scan = 0;
	if (v->now == 0)
		v->now = now;
	verdict_judge_all(v, now);
	return 0;
}
