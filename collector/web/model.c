#include "collector/web/model.h"

#include <stdlib.h>
#include <string.h>

#include "collector/channel.h"
#include "lib/clock.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/wire.h"

#define OLD_INTERVALS 3
#define RETURN_TIME (120 * NS_PER_S) /* until every agent has found a collector that came back */
#define OLD_AFTER (20 * NS_PER_S) /* beside the intervals: deadline of a run, way through the journals */

struct model {
	const struct inventory *inventory;
	uint64_t version;
	int64_t newest;
	size_t rows;
	struct model_check *checks;
	struct model_subject *subjects[4]; /* by kind */
	size_t counts[4];
	struct model_site *sites;
	struct model_agent *agents;
	struct map *by_check, *by_subject, *by_site, *by_agent;
	int64_t opened;
	int64_t judged_up_to; /* real ns; 0 never */
	bool is_judged;
};

static const char *const state_names[MODEL_STATES] = {
	"none", "up", "maintenance", "unknown", "degraded", "down"};

const char *model_state_name(enum model_state s)
{
	return state_names[s];
}

/* ---- building */

static void subject_init(struct model *m, struct model_subject *s, enum subject_kind kind, const void *of,
	const char *id, const char *name, const char *name_en)
{
	static const char *const kinds[] = {
		[SUBJECT_SYSTEM] = "system", [SUBJECT_LINK] = "link", [SUBJECT_SITE] = "site",
		[SUBJECT_HOST] = "host"};
	char *key = mem_format("%s/%s", kinds[kind], id);

	*s = (struct model_subject){.kind = kind, .of = of, .id = id, .name = name, .name_en = name_en,
		.changed = m->version, .is_dirty = true};
	map_set(m->by_subject, key, s);
	free(key);
}

static void add_subjects(struct model *m, const struct inventory *v)
{
	const size_t counts[4] = {[SUBJECT_SYSTEM] = v->systems_count, [SUBJECT_LINK] = v->links_count,
		[SUBJECT_SITE] = v->sites_count, [SUBJECT_HOST] = v->agents_count};

	memcpy(m->counts, counts, sizeof counts);
	for (int k = 0; k < 4; k++)
		m->subjects[k] = mem_array(counts[k], sizeof *m->subjects[k]);
	for (size_t i = 0; i < v->systems_count; i++)
		subject_init(m, &m->subjects[SUBJECT_SYSTEM][i], SUBJECT_SYSTEM, &v->systems[i],
			v->systems[i].id, v->systems[i].name, v->systems[i].name_en);
	for (size_t i = 0; i < v->links_count; i++)
		subject_init(m, &m->subjects[SUBJECT_LINK][i], SUBJECT_LINK, &v->links[i],
			v->links[i].id, v->links[i].name, "");
	for (size_t i = 0; i < v->sites_count; i++)
		subject_init(m, &m->subjects[SUBJECT_SITE][i], SUBJECT_SITE, &v->sites[i],
			v->sites[i].id, v->sites[i].name, v->sites[i].name_en);
	for (size_t i = 0; i < v->agents_count; i++)
		subject_init(m, &m->subjects[SUBJECT_HOST][i], SUBJECT_HOST, &v->agents[i],
			v->agents[i].id, v->agents[i].name, v->agents[i].name_en);
}

static void add_checks(struct model *m, const struct inventory *v)
{
	m->checks = mem_array(v->checks_count, sizeof *m->checks);
	for (size_t i = 0; i < v->checks_count; i++) {
		struct model_check *c = &m->checks[i];
		struct model_subject *s = map_find(m->by_subject, v->checks[i].subject);

		*c = (struct model_check){
			.of = &v->checks[i], .subject = s, .changed = m->version, .is_dirty = true};
		map_set(m->by_check, c->of->id, c);
		s->checks = mem_resize(s->checks, s->checks_count + 1, sizeof(struct model_check *));
		s->checks[s->checks_count++] = c;
	}
}

static void add_sites(struct model *m, const struct inventory *v)
{
	m->sites = mem_array(v->sites_count, sizeof *m->sites);
	for (size_t i = 0; i < v->sites_count; i++) {
		struct model_site *s = &m->sites[i];

		s->of = &v->sites[i];
		s->self = &m->subjects[SUBJECT_SITE][i];
		if (s->of->up != NULL)
			s->link = &m->subjects[SUBJECT_LINK][s->of->up - v->links];
		if (s->of->of_parent != NULL)
			s->parent = &m->sites[s->of->of_parent - v->sites];
		map_set(m->by_site, s->of->id, s);
	}
	for (size_t i = 0; i < v->sites_count; i++) {
		struct model_site *up = m->sites[i].parent;

		if (up == NULL)
			continue;
		up->children = mem_resize(up->children, up->children_count + 1, sizeof(struct model_site *));
		up->children[up->children_count++] = &m->sites[i];
	}
}

static void add_agents(struct model *m, const struct inventory *v)
{
	m->agents = mem_array(v->agents_count, sizeof *m->agents);
	for (size_t i = 0; i < v->agents_count; i++) {
		m->agents[i] = (struct model_agent){
			.of = &v->agents[i], .is_lost = true, .changed = m->version};
		map_set(m->by_agent, v->agents[i].id, &m->agents[i]);
	}
}

static void take_over_judged(struct model *m, const struct model *before)
{
	m->judged_up_to = before->judged_up_to;
	m->is_judged = before->is_judged;
	for (size_t i = 0; i < map_count(before->by_subject); i++) {
		const char *key;
		const struct model_subject *was = map_at(before->by_subject, i, &key);
		struct model_subject *s = map_find(m->by_subject, key);

		if (s != NULL)
			s->judged = was->judged;
	}
}

static void take_over(struct model *m, const struct model *before)
{
	take_over_judged(m, before);
	for (size_t i = 0; i < before->inventory->checks_count; i++) {
		const struct model_check *c = &before->checks[i];

		for (size_t k = 0; k < c->rows_count; k++) {
			const struct model_row *r = &c->rows[k];

			model_take(m, &(struct channel_row){.check = c->of->id, .vantage = r->vantage,
				.type = c->of->type, .part = r->part, .address = r->address, .reason = r->reason,
				.part_number = r->part_number, .interval_s = r->interval_s, .family = r->family,
				.outcome = r->outcome, .measured = r->measured, .since = r->since});
		}
	}
}

struct model *model_new(const struct inventory *v, const struct model *before)
{
	struct model *m = mem_alloc(sizeof *m);

	m->inventory = v;
	m->opened = before != NULL ? before->opened : 0;
	m->version = before != NULL ? before->version + 1 : 1;
	m->by_check = map_new();
	m->by_subject = map_new();
	m->by_site = map_new();
	m->by_agent = map_new();
	add_subjects(m, v);
	add_checks(m, v);
	add_sites(m, v);
	add_agents(m, v);
	if (before != NULL)
		take_over(m, before);
	return m;
}

void model_set_opened(struct model *m, int64_t opened)
{
	m->opened = opened;
}

void model_free(struct model *m)
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->inventory->checks_count; i++) {
		for (size_t k = 0; k < m->checks[i].rows_count; k++) {
			free(m->checks[i].rows[k].part);
			free(m->checks[i].rows[k].address);
			free(m->checks[i].rows[k].reason);
		}
		free(m->checks[i].rows);
	}
	for (int k = 0; k < 4; k++) {
		for (size_t i = 0; i < m->counts[k]; i++)
			free(m->subjects[k][i].checks);
		free(m->subjects[k]);
	}
	for (size_t i = 0; i < m->inventory->sites_count; i++)
		free(m->sites[i].children);
	free(m->checks);
	free(m->sites);
	free(m->agents);
	map_free(m->by_check, NULL);
	map_free(m->by_subject, NULL);
	map_free(m->by_site, NULL);
	map_free(m->by_agent, NULL);
	free(m);
}

/* ---- rows */

static const char *vantage_of(const struct inventory_check *c, const char *id)
{
	for (size_t i = 0; i < c->vantages.count; i++) {
		if (strcmp(c->vantages.items[i], id) == 0)
			return c->vantages.items[i];
	}
	return NULL;
}

static struct model_row *find_row(struct model_check *c, const char *vantage, const struct channel_row *from)
{
	size_t like = 0;
	struct model_row *r;

	for (size_t i = 0; i < c->rows_count; i++) {
		r = &c->rows[i];
		if (r->vantage != vantage || r->family != from->family)
			continue;
		if (r->part_number == from->part_number)
			return r;
		like++;
	}
	if (like >= MODEL_PARTS)
		return NULL;
	c->rows = mem_resize(c->rows, c->rows_count + 1, sizeof *c->rows);
	r = &c->rows[c->rows_count++];
	*r = (struct model_row){.vantage = vantage, .family = from->family, .part_number = from->part_number,
		.part = mem_strdup(""), .address = mem_strdup(""), .reason = mem_strdup("")};
	return r;
}

static bool replace_text(char **at, const char *text)
{
	if (strcmp(*at, text) == 0)
		return false;
	free(*at);
	*at = mem_strdup(text);
	return true;
}

static void note_seen(struct model *m, const struct model_row *r)
{
	struct model_agent *agent = map_find(m->by_agent, r->vantage);

	if (agent != NULL && r->measured > agent->seen)
		agent->seen = r->measured;
	if (r->measured > m->newest)
		m->newest = r->measured;
}

bool model_take(struct model *m, const struct channel_row *from)
{
	struct model_check *c = map_find(m->by_check, from->check);
	const char *vantage = c != NULL ? vantage_of(c->of, from->vantage) : NULL;
	size_t before = c != NULL ? c->rows_count : 0;
	struct model_row *r = vantage != NULL ? find_row(c, vantage, from) : NULL;
	bool differs;

	if (r == NULL)
		return false;
	m->rows += c->rows_count - before;
	differs = replace_text(&r->part, from->part);
	differs |= replace_text(&r->address, from->address);
	differs |= replace_text(&r->reason, from->reason);
	differs |= r->outcome != from->outcome || r->since != from->since;
	r->outcome = from->outcome;
	r->since = from->since;
	r->measured = from->measured;
	r->interval_s = from->interval_s;
	c->is_dirty |= differs;
	note_seen(m, r);
	return true;
}

/* ---- folding */

enum model_state model_fold(const size_t n[MODEL_STATES], bool unknown_counts)
{
	if (n[MODEL_DEGRADED] > 0 || (n[MODEL_UP] > 0 && n[MODEL_DOWN] > 0))
		return MODEL_DEGRADED;
	if (n[MODEL_DOWN] > 0)
		return MODEL_DOWN;
	if (n[MODEL_UNKNOWN] > 0 && (unknown_counts || n[MODEL_UP] == 0))
		return MODEL_UNKNOWN;
	return n[MODEL_UP] > 0 ? MODEL_UP : MODEL_NONE;
}

enum model_state model_row_state(const struct model_row *r)
{
	if (r->is_old)
		return MODEL_UNKNOWN;
	switch (r->outcome) {
	case OUTCOME_UP:
		return MODEL_UP;
	case OUTCOME_DOWN:
		return MODEL_DOWN;
	case OUTCOME_UNKNOWN:
		break;
	}
	return MODEL_UNKNOWN;
}

/* What a host says of itself is of no family: it stands for both. */
static bool is_of(const struct model_row *r, const char *vantage, enum family family)
{
	return r->vantage == vantage && (r->family == family || r->family == FAMILY_NONE);
}

/* What one vantage says of one family. Down as a whole it is down whatever is still up of it, as for judgement: hops on the way to what
 * nobody reaches. */
static enum model_state vote(struct model_check *c, const char *vantage, enum family family)
{
	size_t counts[MODEL_STATES] = {0};
	bool is_heard = false, is_down = false;

	for (size_t i = 0; i < c->rows_count; i++) {
		struct model_row *r = &c->rows[i];

		if (is_of(r, vantage, family))
			is_heard |= !r->is_old;
	}
	for (size_t i = 0; i < c->rows_count; i++) {
		struct model_row *r = &c->rows[i];

		if (!is_of(r, vantage, family))
			continue;
		r->is_gone = r->is_old && is_heard;
		if (!r->is_gone)
			counts[model_row_state(r)]++;
		is_down |= r->part[0] == '\0' && model_row_state(r) == MODEL_DOWN;
	}
	if (is_down)
		return MODEL_DOWN;
	return counts[MODEL_UP] + counts[MODEL_DOWN] == 0 ? MODEL_UNKNOWN : model_fold(counts, false);
}

static bool has_family(const struct inventory_check *c, int family)
{
	/* index into "both|ipv4|ipv6" */
	return c->families == 0 || c->families - 1 == family;
}

static void fold_check(struct model_check *c)
{
	for (int f = 0; f < MODEL_FAMILIES; f++) {
		size_t counts[MODEL_STATES] = {0};

		c->families[f] = MODEL_NONE;
		if (!has_family(c->of, f))
			continue;
		for (size_t i = 0; i < c->of->vantages.count; i++)
			counts[vote(c, c->of->vantages.items[i], f == MODEL_V4 ? FAMILY_V4 : FAMILY_V6)]++;
		c->families[f] = model_fold(counts, false);
	}
}

/* Since when the subject is in its state, as far as the rows can tell: the first of those that are down; the last
 * that came up; the last thing known. */
static int64_t find_since(const struct model_subject *s, enum model_state whole)
{
	int64_t since = 0;

	for (size_t i = 0; i < s->checks_count; i++) {
		for (size_t k = 0; k < s->checks[i]->rows_count; k++) {
			const struct model_row *r = &s->checks[i]->rows[k];
			enum model_state state = model_row_state(r);
			int64_t t = r->is_old ? r->measured : r->since;

			if (r->is_gone || t == 0)
				continue;
			if (whole >= MODEL_DEGRADED && state == MODEL_DOWN && (since == 0 || t < since))
				since = t;
			if (whole < MODEL_DEGRADED && state == whole && t > since)
				since = t;
		}
	}
	return since;
}

static struct model_judgement fold_outcomes(const struct model_subject *s)
{
	size_t over[MODEL_STATES] = {0};
	struct model_judgement j = {0};

	for (int f = 0; f < MODEL_FAMILIES; f++) {
		size_t counts[MODEL_STATES] = {0};

		for (size_t i = 0; i < s->checks_count; i++)
			counts[s->checks[i]->families[f]]++;
		j.families[f] = model_fold(counts, true);
		over[j.families[f]]++;
	}
	j.state = model_fold(over, true);
	j.since = find_since(s, j.state);
	return j;
}

static bool is_same(const struct model_judgement *a, const struct model_judgement *b)
{
	return a->state == b->state && a->since == b->since && memcmp(a->families, b->families, sizeof a->families) == 0;
}

static void show_subject(const struct model *m, struct model_subject *s, uint64_t version)
{
	/* What is not checked is not monitored, before judgement knows that as well. */
	struct model_judgement now = m->is_judged && s->checks_count > 0 ? s->judged : fold_outcomes(s);

	s->is_dirty = false;
	if (is_same(&now, &s->now))
		return;
	s->now = now;
	s->changed = version;
}

/* ---- judgement */

void model_judge_begin(struct model *m)
{
	for (int k = 0; k < 4; k++) {
		for (size_t i = 0; i < m->counts[k]; i++) {
			m->subjects[k][i].judged = (struct model_judgement){0};
			m->subjects[k][i].is_dirty = true;
		}
	}
}

void model_judge(struct model *m, const char *subject, const struct model_judgement *j)
{
	struct model_subject *s = map_find(m->by_subject, subject);

	if (s != NULL)
		s->judged = *j;
}

void model_judged_up_to(struct model *m, int64_t reached)
{
	m->judged_up_to = reached;
}

bool model_is_judged(const struct model *m)
{
	return m->is_judged;
}

/* Whether judgement is near enough; when that changes all subjects are another's word. */
static void settle_judged(struct model *m, int64_t now)
{
	bool is_judged = m->judged_up_to != 0 && now - m->judged_up_to <= MODEL_UNJUDGED;

	for (int k = 0; k < 4 && is_judged != m->is_judged; k++)
		for (size_t i = 0; i < m->counts[k]; i++)
			m->subjects[k][i].is_dirty = true;
	m->is_judged = is_judged;
}

/* True when what is shown of one changed. */
static bool settle_subjects(struct model *m, uint64_t version)
{
	bool changed = false;

	for (int k = 0; k < 4; k++) {
		for (size_t i = 0; i < m->counts[k]; i++) {
			struct model_subject *s = &m->subjects[k][i];

			if (s->is_dirty)
				show_subject(m, s, version);
			changed |= s->changed == version;
		}
	}
	return changed;
}

/* ---- age */

/* Our clock was put back since it was measured: nobody can say how old it is. */
static bool is_from_the_future(int64_t measured, int64_t now)
{
	return measured - now > WIRE_AHEAD_MAX;
}

/* What was seen last is looked for again where that is of a time that is not yet. */
static void forget_the_future(struct model *m, int64_t now)
{
	if (!is_from_the_future(m->newest, now))
		return;
	m->newest = 0;
	for (size_t i = 0; i < m->inventory->agents_count; i++)
		m->agents[i].seen = 0;
	for (size_t i = 0; i < m->inventory->checks_count; i++) {
		for (size_t k = 0; k < m->checks[i].rows_count; k++) {
			if (!is_from_the_future(m->checks[i].rows[k].measured, now))
				note_seen(m, &m->checks[i].rows[k]);
		}
	}
}

/* How old an outcome may be. */
static int64_t age_allowed(const struct model_check *c, const struct model_row *r)
{
	int64_t interval = (int64_t)r->interval_s * NS_PER_S;

	if (c->of->interval > interval)
		interval = c->of->interval;
	return OLD_INTERVALS * interval + OLD_AFTER;
}

/* Marks rows that became old or fresh; notes of which agents not all are old. */
static void age_rows(struct model *m, bool *is_heard, int64_t now)
{
	for (size_t i = 0; i < m->inventory->checks_count; i++) {
		struct model_check *c = &m->checks[i];

		for (size_t k = 0; k < c->rows_count; k++) {
			struct model_row *r = &c->rows[k];
			int64_t allowed = age_allowed(c, r);
			bool is_old = r->measured == 0 || now - r->measured > allowed ||
				is_from_the_future(r->measured, now);
			bool is_silent = is_old && now - (m->opened + RETURN_TIME) > allowed;
			const struct model_agent *agent;

			c->is_dirty |= is_old != r->is_old;
			r->is_old = is_old;
			agent = is_silent ? NULL : map_find(m->by_agent, r->vantage);
			if (agent != NULL)
				is_heard[agent - m->agents] = true;
		}
	}
}

static bool settle_agents(struct model *m, const bool *is_heard, uint64_t version)
{
	bool changed = false;

	for (size_t i = 0; i < m->inventory->agents_count; i++) {
		struct model_agent *a = &m->agents[i];

		if (a->is_lost != is_heard[i])
			continue;
		a->is_lost = !is_heard[i];
		a->changed = version;
		changed = true;
	}
	return changed;
}

bool model_settle(struct model *m, int64_t now)
{
	bool *is_heard = mem_array(m->inventory->agents_count, sizeof *is_heard);
	uint64_t version = m->version + 1;
	bool changed;

	forget_the_future(m, now);
	settle_judged(m, now);
	age_rows(m, is_heard, now);
	changed = settle_agents(m, is_heard, version);
	free(is_heard);
	for (size_t i = 0; i < m->inventory->checks_count; i++) {
		struct model_check *c = &m->checks[i];

		if (!c->is_dirty)
			continue;
		fold_check(c);
		c->is_dirty = false;
		c->changed = version;
		c->subject->is_dirty = true;
		changed = true;
	}
	changed |= settle_subjects(m, version);
	if (changed)
		m->version = version;
	return changed;
}

enum model_state model_unit_state(const struct model *m, const struct inventory_unit *u,
	size_t counts[MODEL_STATES], uint64_t *changed)
{
	enum model_state worst = MODEL_NONE;

	memset(counts, 0, MODEL_STATES * sizeof *counts);
	*changed = 0;
	for (size_t i = 0; i < m->inventory->systems_count; i++) {
		const struct model_subject *s = &m->subjects[SUBJECT_SYSTEM][i];

		if (m->inventory->systems[i].of_unit != u)
			continue;
		counts[s->now.state]++;
		if (s->now.state > worst)
			worst = s->now.state;
		if (s->changed > *changed)
			*changed = s->changed;
	}
	return worst;
}

/* ---- looking */

const struct inventory *model_inventory(const struct model *m)
{
	return m->inventory;
}

uint64_t model_version(const struct model *m)
{
	return m->version;
}

size_t model_rows(const struct model *m)
{
	return m->rows;
}

int64_t model_newest(const struct model *m)
{
	return m->newest;
}

const struct model_subject *model_subjects(const struct model *m, enum subject_kind kind, size_t *count)
{
	*count = m->counts[kind];
	return m->subjects[kind];
}

/* Place of an id in the inventory's array of its kind; -1 when it is not there. */
static ptrdiff_t place_of(const struct inventory *v, enum subject_kind kind, const char *id)
{
	const void *found = NULL;
	ptrdiff_t at = -1;

	switch (kind) {
	case SUBJECT_SYSTEM:
		found = inventory_system(v, id);
		at = (const struct inventory_system *)found - v->systems;
		break;
	case SUBJECT_LINK:
		found = inventory_link(v, id);
		at = (const struct inventory_link *)found - v->links;
		break;
	case SUBJECT_SITE:
		found = inventory_site(v, id);
		at = (const struct inventory_site *)found - v->sites;
		break;
	case SUBJECT_HOST:
		found = inventory_agent(v, id);
		at = (const struct inventory_agent *)found - v->agents;
		break;
	}
	return found != NULL ? at : -1;
}

const struct model_subject *model_subject(const struct model *m, enum subject_kind kind, const char *id)
{
	ptrdiff_t at = place_of(m->inventory, kind, id);

	return at >= 0 ? &m->subjects[kind][at] : NULL;
}

const struct model_check *model_checks(const struct model *m, size_t *count)
{
	*count = m->inventory->checks_count;
	return m->checks;
}

const struct model_check *model_check(const struct model *m, const char *id)
{
	return map_find(m->by_check, id);
}

const struct model_site *model_sites(const struct model *m, size_t *count)
{
	*count = m->inventory->sites_count;
	return m->sites;
}

const struct model_site *model_site(const struct model *m, const char *id)
{
	return map_find(m->by_site, id);
}

const struct model_agent *model_agents(const struct model *m, size_t *count)
{
	*count = m->inventory->agents_count;
	return m->agents;
}
