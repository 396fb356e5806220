/*
 * sim_incident: random cities with random faults in virtual time, judged against what was really broken.
 *
 *   sim_incident [--small N] [--large N] [--seed S] [--jobs N]
 *
 * Small: up to 40 subjects, some hours. Large: 2,000 subjects; two days, of every tenth a month.
 *
 * A scenario is a topology, a list of faults (what, families, from, to, coming and going or not), planned work, reloads and
 * acknowledgements, all from one seed; of one subject nobody may be able to tell. Subjects are probed each minute with a phase of their own, three attempts 10 s apart; votes
 * come from vote.h, incidents from the core. Checked (design, invariants 3, 4, 5):
 *   no lost outage: what cannot be reached for UNSEEN is in an incident, and each incident that has been open for TOLD_BY is told
 *   to operations and to each unit with an affected system, but for planned work and the bound of an hour;
 *   told once, closed once, nothing told is left open; what works again is ended soon, or was told to come and go because it was told
 *   of twice within the hour before that;
 *   one cause, one notice: of what is not broken itself nobody is told when one thing above it broke, not even for a while; when
 *   things have settled, each root is broken itself, each thing broken that nothing above explains is a root, and all that cannot
 *   be reached is attached (below what comes and goes within a few looks, or came back for less than one, the root cannot be known);
 *   planned work is silent and an acknowledgement stops the escalation, neither beyond its end;
 *   at most so many notices a minute and an hour; a twin that is killed after random events and goes on from its last records
 *   says the same under the same keys; a twin that gets every event twice, and old ones again in any order, says the same.
 * Reloads leave systems out and take them in.
 * A violation prints its seed and the fewest faults that still show it; exit 1.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "collector/judge/incident.h"
#include "collector/judge/record.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"

#define SECOND NS_PER_S
#define MINUTE (60 * SECOND)
#define HOURS (60 * MINUTE)
#define START (INT64_C(1790000000) * SECOND)
#define BOTH (FAULT_V4 | FAULT_V6)
#define NODES 2100
#define PARENTS 4
#define FAULTS 1500
#define NOTICES 10
#define SETTLED (8 * MINUTE)
#define UNSEEN (5 * MINUTE) /* a look each minute, three attempts, the hold, a tick */
#define TOLD_BY (3 * MINUTE) /* units wait a minute to be told of all at once; a digest comes a minute later */
#define DIGEST_BY (61 * SECOND)
#define DAY (24 * HOURS)
#define PLANS 2

/* ---- chance */

struct dice { uint64_t state; };

static uint64_t roll(struct dice *d)
{
	uint64_t z = d->state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static uint32_t below(struct dice *d, uint32_t n)
{
	return (uint32_t)(roll(d) % n);
}

/* ---- a scenario */

struct place {
	char id[24], unit[8];
	bool is_measured, is_system, is_site;
	uint32_t parents[PARENTS], groups[PARENTS], parents_count;
	uint32_t depth;
};

struct fault {
	uint32_t node;
	unsigned families;
	int64_t from, to, period; /* period: comes and goes; 0 does not */
	bool is_left_out;         /* while shrinking */
};

struct scenario {
	uint64_t seed;
	struct incident_settings settings;
	uint32_t count, faults_count, blind; /* blind: nobody can tell of it; 0 none */
	int64_t length;
	struct maintenance plans[PLANS];
	uint32_t planned[PLANS], plans_count;
	bool with_reloads, with_crashes, with_echoes;
	bool with_changes; /* reloads leave some systems out, or take them in again */
	/* Of these as many as there are, and no more is cleared. */
	struct place places[NODES];
	struct fault faults[FAULTS];
};

static void need(struct place *p, uint32_t parent, uint32_t group)
{
	p->parents[p->parents_count] = parent;
	p->groups[p->parents_count++] = group;
}

static void make_link(struct scenario *s, struct dice *d)
{
	uint32_t i = s->count, up = 0;
	struct place *link = &s->places[i], *site = &s->places[i + 1];

	for (int tries = 0; tries < 4; tries++) {
		up = below(d, i);
		if (s->places[up].is_site && s->places[up].depth < 8)
			break;
		up = 0;
	}
	*link = (struct place){.is_measured = true, .depth = s->places[up].depth + 1};
	*site = (struct place){.is_site = true, .depth = link->depth + 1};
	snprintf(link->id, sizeof link->id, "link/%u", i);
	snprintf(site->id, sizeof site->id, "site/%u", i);
	need(link, up, 0);
	need(site, i, 0);
	s->count += 2;
}

static void make_system(struct scenario *s, struct dice *d)
{
	uint32_t i = s->count++, needs = below(d, 3);
	struct place *p = &s->places[i];

	*p = (struct place){.is_measured = true, .is_system = true};
	snprintf(p->id, sizeof p->id, "system/%u", i);
	snprintf(p->unit, sizeof p->unit, "u%u", below(d, 33));
	for (uint32_t k = 0; k < needs; k++) {
		uint32_t parent = below(d, i), other = below(d, i);

		if (s->places[parent].depth > 20)
			continue;
		need(p, parent, k);
		if (below(d, 4) == 0 && other != parent && s->places[other].depth <= 20)
			need(p, other, k);
	}
	for (uint32_t k = 0; k < p->parents_count; k++)
		if (s->places[p->parents[k]].depth >= p->depth)
			p->depth = s->places[p->parents[k]].depth + 1;
}

static void make_faults(struct scenario *s, struct dice *d, uint32_t count)
{
	uint32_t longest = s->length < 6 * HOURS ? 3000 : 10000; /* s; all is over well before the end */

	for (uint32_t i = 0; i < count; i++) {
		struct fault *f = &s->faults[s->faults_count];
		uint32_t families = below(d, 10);

		*f = (struct fault){.node = below(d, s->count), .families = families == 0 ? FAULT_V4 : families < 3 ?
			FAULT_V6 : BOTH, .from = START + 5 * MINUTE + (int64_t)(roll(d) % (uint64_t)(s->length / 2)),
			.period = below(d, 12) == 0 ? (int64_t)(40 + below(d, 400)) * SECOND : 0};
		f->to = f->from + 5 * MINUTE + (int64_t)below(d, below(d, 5) == 0 ? longest : 1500) * SECOND;
		if (s->places[f->node].is_measured)
			s->faults_count++;
	}
}

/* Every other one about the time and the place of a fault; in long scenarios every other one each day. */
static void make_plans(struct scenario *s, struct dice *d)
{
	static const char *const ids[PLANS] = {"plan", "other"};

	s->plans_count = below(d, 1 + PLANS);
	for (uint32_t i = 0; i < s->plans_count; i++) {
		const struct fault *f = &s->faults[below(d, s->faults_count + 1)];
		int64_t from = (int64_t)(roll(d) % (uint64_t)(s->length / 2));

		s->planned[i] = below(d, s->count);
		if (f < s->faults + s->faults_count && below(d, 2) == 0) {
			s->planned[i] = f->node;
			from = f->from - START + ((int64_t)below(d, 3600) - 1800) * SECOND;
		}
		s->plans[i] = (struct maintenance){.id = ids[i], .subject = s->places[s->planned[i]].id, .author = "sim",
			.reason = "work", .from = START + (from > MINUTE ? from : MINUTE),
			.is_repeated = s->length > DAY && below(d, 2) == 0};
		s->plans[i].to = s->plans[i].from + (int64_t)(1 + below(d, 7200)) * SECOND;
	}
}

static void make_scenario(struct scenario *s, uint64_t seed, uint32_t count, int64_t length, uint32_t faults)
{
	struct dice d = {seed};

	memset(s, 0, offsetof(struct scenario, places));
	s->seed = seed;
	s->length = length;
	s->places[0] = (struct place){.id = "site/0", .is_site = true};
	s->count = 1;
	while (s->count + 2 <= count) {
		if (below(&d, 3) > 0)
			make_link(s, &d);
		else
			make_system(s, &d);
	}
	make_faults(s, &d, faults);
	s->with_reloads = below(&d, 2) == 0;
	s->with_crashes = below(&d, 4) == 0;
	s->with_echoes = below(&d, 4) == 0;
	s->with_changes = s->with_reloads && below(&d, 3) == 0;
	make_plans(s, &d);
	s->settings = (struct incident_settings){.notices_per_minute = below(&d, 2) == 0 ? NOTICES : 1 + below(&d, NOTICES),
		.steps = 2, .after = {20 * MINUTE, 2 * HOURS}};
	if (below(&d, 8) == 0)
		s->blind = below(&d, s->count);
}

static bool is_left_out(const struct scenario *s, uint32_t i, bool reduced)
{
	return reduced && s->places[i].is_system && (i + s->seed) % 3 == 0;
}

static struct topology *make_topology(const struct scenario *s, bool reduced)
{
	struct topology *t = topology_new();
	struct err err;

	for (uint32_t i = 0; i < s->count; i++) {
		const struct place *p = &s->places[i];

		if (is_left_out(s, i, reduced))
			continue;
		topology_add(t, &(struct topology_node){.id = p->id, .unit = p->unit, .is_system = p->is_system,
			.interval = p->is_measured ? MINUTE : 0, .measured = p->is_measured ? BOTH : 0});
		for (uint32_t k = 0; k < p->parents_count; k++)
			if (!is_left_out(s, p->parents[k], reduced))
				topology_need(t, topology_find(t, p->id), topology_find(t, s->places[p->parents[k]].id),
					p->groups[k]);
	}
	if (topology_seal(t, &err) != 0) {
		fprintf(stderr, "%s\n", err.text);
		exit(2);
	}
	return t;
}

/* ---- the world: what is broken, what can be reached, who looks when */

struct told {
	uint64_t incident;
	char audience[16];
	bool is_closed;
	unsigned escalated;
	bool is_worse, is_warned;
	int64_t at, escalated_at, works_since; /* works: 0 not */
};

struct minute { int64_t notices[2 * NOTICES], digests[2]; }; /* the last ones of an audience */

struct look {
	int64_t at;
	uint32_t node;
};

struct copy { /* an engine, and what it said */
	struct incidents *core;
	struct err refused; /* not on the stack, where each step would clear it */
	struct map *records;
	struct buf said;
};

struct world {
	const struct scenario *s;
	struct dice dice;
	int64_t now, changed, changed_before, next_change;
	struct look *heap;
	size_t heap_count, heap_room;
	struct copy a, crashed, echoed;
	struct incident_event *old; /* for echoes */
	size_t old_count;
	struct told *told;
	size_t told_count, told_room;
	struct map *minutes; /* audience -> struct minute */
	uint64_t events, notices;
	bool is_traced, is_reduced, is_blind, is_planned; /* planned: some work was under way within TOLD_BY */
	int64_t reloaded;
	char wrong[300];
	/* Per place; see clear(). */
	unsigned broken[NODES], reached[NODES];
	unsigned believed[NODES]; /* faults that were told to the engine; ~0: nothing yet */
	struct vote_stream streams[NODES][2];
	int64_t last_broken[NODES];
	int64_t due[NODES];       /* next look, 0 none */
	int64_t recent[NODES][INCIDENT_TELLS]; /* told of this root */
	int64_t spoken[NODES][INCIDENT_TELLS]; /* and with what was merged into others */
	int64_t lost_since[NODES][2];          /* not reached in a family; 0: it is */
	int64_t attended[NODES];               /* seen in an incident at that time */
	int64_t acknowledged[NODES];           /* until then, as a root */
	bool covered[NODES];                   /* see cover() */
	int64_t back_at[NODES];                /* when it was in reach again in some family */
	bool is_blurred[NODES]; /* something above comes and goes faster than looks can tell */
};

static void wrong(struct world *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void wrong(struct world *w, const char *format, ...)
{
	va_list ap;
	size_t len;

	if (w->wrong[0] != '\0')
		return;
	len = (size_t)snprintf(w->wrong, sizeof w->wrong, "at %.0f s: ", (double)(w->now - START) / 1e9);
	va_start(ap, format);
	vsnprintf(w->wrong + len, sizeof w->wrong - len, format, ap);
	va_end(ap);
}

static void push(struct world *w, uint32_t node, int64_t at)
{
	size_t i = w->heap_count++;

	if (w->due[node] != 0 && w->due[node] <= at) {
		w->heap_count--;
		return;
	}
	w->due[node] = at;
	if (i >= w->heap_room) {
		w->heap_room = w->heap_room == 0 ? 256 : 2 * w->heap_room;
		w->heap = mem_resize(w->heap, w->heap_room, sizeof *w->heap);
	}
	for (; i > 0 && w->heap[(i - 1) / 2].at > at; i = (i - 1) / 2)
		w->heap[i] = w->heap[(i - 1) / 2];
	w->heap[i] = (struct look){at, node};
}

static struct look pop(struct world *w)
{
	struct look first = w->heap[0], last = w->heap[--w->heap_count];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < w->heap_count) {
		if (child + 1 < w->heap_count && w->heap[child + 1].at < w->heap[child].at)
			child++;
		if (w->heap[child].at >= last.at)
			break;
		w->heap[i] = w->heap[child];
		i = child;
	}
	w->heap[i] = last;
	return first;
}

static int64_t next_slot(const struct world *w, uint32_t node, int64_t now)
{
	int64_t phase = START + (int64_t)((node * 2654435761u ^ w->s->seed) % 60000) * NS_PER_MS;

	return phase + ((now - phase) / MINUTE + 1) * MINUTE;
}

static unsigned reach(const struct world *w, uint32_t i)
{
	const struct place *p = &w->s->places[i];
	unsigned mask = BOTH & ~w->broken[i];

	for (uint32_t k = 0, end; k < p->parents_count; k = end) {
		unsigned group = 0;

		for (end = k; end < p->parents_count && p->groups[end] == p->groups[k]; end++)
			group |= w->reached[p->parents[end]];
		mask &= group;
	}
	return mask;
}

static unsigned broken_by(const struct fault *f, int64_t now)
{
	if (f->is_left_out || now < f->from || now >= f->to)
		return 0;
	return f->period > 0 && (now - f->from) / f->period % 2 == 1 ? 0 : f->families;
}

static int64_t next_of(const struct fault *f, int64_t now)
{
	if (f->is_left_out || now >= f->to)
		return INT64_MAX;
	if (now < f->from)
		return f->from;
	if (f->period > 0 && f->from + ((now - f->from) / f->period + 1) * f->period < f->to)
		return f->from + ((now - f->from) / f->period + 1) * f->period;
	return f->to;
}

/* Nothing that cannot be reached is in no incident for long. */
static void judge_lost(struct world *w)
{
	for (uint32_t i = 0; i < w->s->count; i++) {
		if (!w->s->places[i].is_measured || (i == w->s->blind && i != 0) || is_left_out(w->s, i, w->is_reduced) ||
			w->now - w->reloaded <= UNSEEN || w->now - w->attended[i] <= UNSEEN)
			continue;
		for (int f = 0; f < 2; f++)
			if (w->lost_since[i][f] != 0 && w->now - w->lost_since[i][f] > UNSEEN &&
				incidents_of(w->a.core, w->s->places[i].id) == 0)
				wrong(w, "%s is out of reach since %.0f s, and in no incident", w->s->places[i].id,
					(double)(w->lost_since[i][f] - START) / 1e9);
	}
}

static void note_lost(struct world *w, uint32_t i)
{
	for (int f = 0; f < 2; f++) {
		if ((w->reached[i] & 1u << f) != 0)
			w->lost_since[i][f] = 0;
		else if (w->lost_since[i][f] == 0)
			w->lost_since[i][f] = w->now;
	}
}

/* Between two faults above it, it was in reach for less than the time between two looks: whoever did not look then sees one failure, and
 * what is above it working in the midst of that. */
static void note_gap(struct world *w, uint32_t i, unsigned before)
{
	if ((before & ~w->reached[i]) != 0 && w->broken[i] == 0 && w->back_at[i] != 0 && w->now - w->back_at[i] < MINUTE)
		w->is_blurred[i] = true;
	if ((w->reached[i] & ~before) != 0)
		w->back_at[i] = w->now;
}

/* Whoever is reached otherwise than before will be seen so at its next look. */
static void change(struct world *w)
{
	judge_lost(w);
	memset(w->broken, 0, w->s->count * sizeof *w->broken);
	w->next_change = INT64_MAX;
	for (uint32_t i = 0; i < w->s->faults_count; i++) {
		const struct fault *f = &w->s->faults[i];
		int64_t next = next_of(f, w->now);

		w->broken[f->node] |= broken_by(f, w->now);
		if (next < w->next_change)
			w->next_change = next;
	}
	for (uint32_t i = 0; i < w->s->count; i++) {
		unsigned before = w->reached[i];

		if (w->broken[i] != 0)
			w->last_broken[i] = INT64_MAX;
		else if (w->last_broken[i] == INT64_MAX)
			w->last_broken[i] = w->now;
		w->reached[i] = reach(w, i);
		note_gap(w, i, before);
		note_lost(w, i);
		if (w->reached[i] != before && w->s->places[i].is_measured)
			push(w, i, next_slot(w, i, w->now));
	}
	w->changed_before = w->changed;
	w->changed = w->now;
}

/* ---- planned work, told from its words alone */

/* Of the time that began last: does it cover all of a window, or any of it? */
static bool plan_meets(const struct maintenance *m, int64_t from, int64_t to, bool all)
{
	int64_t begins = m->is_repeated ? to - (to - m->from) % DAY : m->from;

	if (to < m->from)
		return false;
	return all ? begins <= from && to < begins + m->to - m->from : begins + m->to - m->from > from;
}

static bool is_below_covered(const struct world *w, uint32_t i)
{
	const struct place *p = &w->s->places[i];

	for (uint32_t k = 0, end; k < p->parents_count; k = end) {
		bool all = true, any = false;

		for (end = k; end < p->parents_count && p->groups[end] == p->groups[k]; end++) {
			if (is_left_out(w->s, p->parents[end], w->is_reduced))
				continue;
			all = all && w->covered[p->parents[end]];
			any = true;
		}
		if (any && all)
			return true;
	}
	return false;
}

/* Who is covered all the time, or at any time, since `from`. */
static void cover(struct world *w, int64_t from, bool all)
{
	for (uint32_t i = 0; i < w->s->count; i++) {
		w->covered[i] = false;
		if (is_left_out(w->s, i, w->is_reduced))
			continue;
		for (uint32_t k = 0; k < w->s->plans_count; k++)
			w->covered[i] = w->covered[i] || (w->s->planned[k] == i &&
				plan_meets(&w->s->plans[k], from, w->now, all));
		w->covered[i] = w->covered[i] || is_below_covered(w, i);
	}
}

/* ---- what is told */

static uint32_t node_of(const struct world *w, const char *id)
{
	uint32_t i = (uint32_t)strtoul(strchr(id, '/') + 1, NULL, 10);

	return strncmp(id, "site/", 5) == 0 && i > 0 ? i + 1 : i < w->s->count ? i : 0;
}

static struct told *find_told(struct world *w, uint64_t incident, const char *audience)
{
	for (size_t i = w->told_count; i-- > 0;)
		if (w->told[i].incident == incident && strcmp(w->told[i].audience, audience) == 0)
			return &w->told[i];
	return NULL;
}

static void note_problem(struct world *w, uint64_t incident, const char *audience)
{
	struct told *t;

	if (w->told_count == w->told_room) {
		w->told_room = w->told_room == 0 ? 64 : 2 * w->told_room;
		w->told = mem_resize(w->told, w->told_room, sizeof *w->told);
	}
	t = &w->told[w->told_count++];
	*t = (struct told){.incident = incident, .at = w->now};
	snprintf(t->audience, sizeof t->audience, "%s", audience);
}

static void note_close(struct world *w, uint64_t incident, const char *audience, const char *what)
{
	struct told *t = find_told(w, incident, audience);

	if (t == NULL)
		wrong(w, "%s of incident %llu to \"%s\", which was not told of it", what, (unsigned long long)incident,
			audience);
	else if (t->is_closed)
		wrong(w, "incident %llu closed twice to \"%s\"", (unsigned long long)incident, audience);
	else
		t->is_closed = true;
}

/* Is anything above it broken, or was it so lately? Then it is not the root. */
static bool below_broken(const struct world *w, uint32_t node, unsigned families)
{
	const struct place *p = &w->s->places[node];

	return (w->broken[node] & families) == 0 && p->parents_count > 0 && (~w->reached[node] & families) != 0;
}

static void remember(int64_t *times, size_t count, int64_t now)
{
	memmove(times, times + 1, (count - 1) * sizeof *times);
	times[count - 1] = now;
}

static void note_rate(struct world *w, int64_t *times, size_t count, int64_t window, const char *what, const char *whom)
{
	if (times[0] != 0 && w->now - times[0] < window)
		wrong(w, "more than %zu %s \"%s\"", count, what, whom);
	remember(times, count, w->now);
}

/* What is above it is the cause. One thing broke, and that alone for long: then nobody is told of what fails because of it,
 * however short. Else some minutes are given to find out. What was broken by itself and is repaired behind a cut cannot be known to be. */
static void judge_page(struct world *w, uint32_t node, uint64_t incident)
{
	int64_t calm = w->now - 15 * MINUTE;
	struct incident_view view;
	bool alone = w->changed_before <= calm && (w->reloaded <= calm || !w->s->with_changes);

	if (w->is_blurred[node] || !incidents_find(w->a.core, incident, &view) || w->last_broken[node] >= view.opened)
		return;
	if (alone && w->last_broken[node] <= w->changed_before && w->reached[node] != BOTH)
		wrong(w, "%s told of, and it is not broken itself", view.subject);
	if (w->now - w->changed > 3 * MINUTE && below_broken(w, node, ~w->believed[node] == 0 ? 0 : w->believed[node]))
		wrong(w, "%s told of, and what is above it is the cause", view.subject);
}

static bool is_unit_covered(struct world *w, uint64_t incident, const char *unit)
{
	struct incident_affected a;
	bool any = false;

	for (size_t k = 0; incidents_affected(w->a.core, incident, k, &a); k++) {
		if (a.to != 0 || strcmp(a.unit, unit) != 0)
			continue;
		any = true;
		if (!w->covered[node_of(w, a.subject)])
			return false;
	}
	return any;
}

/* Covered since before the last tick. */
static void judge_silence(struct world *w, uint64_t incident, uint32_t node, const char *audience)
{
	if (w->s->plans_count == 0 || (w->s->with_changes && w->now - w->reloaded <= 30 * SECOND))
		return;
	cover(w, w->now - 30 * SECOND, true);
	if (audience[0] == '\0' ? w->covered[node] : is_unit_covered(w, incident, audience))
		wrong(w, "\"%s\" is told of %s during planned work", audience, w->s->places[node].id);
}

/* A unit hears of what has affected a system of its own. */
static bool has_member(const struct world *w, uint64_t incident, const char *unit)
{
	struct incident_affected a;

	for (size_t k = 0; incidents_affected(w->a.core, incident, k, &a); k++)
		if (strcmp(a.unit, unit) == 0)
			return true;
	return false;
}

static void judge_problem(struct world *w, uint64_t incident, const char *subject, const char *audience)
{
	struct incident_view view;

	if (find_told(w, incident, audience) != NULL)
		wrong(w, "incident %llu (%s) told twice to \"%s\"", (unsigned long long)incident, subject, audience);
	note_problem(w, incident, audience);
	if (audience[0] != '\0' && incidents_find(w->a.core, incident, &view) && !has_member(w, incident, audience))
		wrong(w, "\"%s\" is told of %s, which affects others", audience, subject);
	judge_page(w, node_of(w, subject), incident);
}

static void judge_escalation(struct world *w, uint64_t incident, const char *subject, bool in_digest)
{
	struct told *t = find_told(w, incident, "");
	struct incident_view view = {0};

	if (t == NULL || t->escalated == w->s->settings.steps) {
		wrong(w, "%s escalated %s", subject, t == NULL ? "and not told" : "once too often");
		return;
	}
	if (!in_digest && incidents_find(w->a.core, incident, &view) &&
		(view.is_acknowledged || w->now < view.opened + w->s->settings.after[t->escalated]))
		wrong(w, "%s escalated %s", subject, view.is_acknowledged ? "though it is acknowledged" : "too early");
	t->escalated++;
	t->escalated_at = w->now;
}

/* To whom a step leads: each step from that on, once, until the end. */
static void judge_step(struct world *w, uint64_t incident, const char *subject, const char *audience)
{
	unsigned step = (unsigned)strtoul(strchr(audience, '/') + 1, NULL, 10);
	struct told *t;

	if (find_told(w, incident, audience) == NULL)
		note_problem(w, incident, audience);
	t = find_told(w, incident, audience);
	if (t->is_closed || step + t->escalated++ > w->s->settings.steps)
		wrong(w, "%s escalated to \"%s\" %s", subject, audience, t->is_closed ? "behind its end" : "once too often");
}

static void judge_flapping(struct world *w, uint64_t incident, const char *subject, const char *audience)
{
	struct told *t = find_told(w, incident, audience);

	if (t == NULL || t->is_closed || t->is_warned) {
		wrong(w, "flapping of %s to \"%s\" %s", subject, audience,
			t == NULL ? "which was not told of it" : t->is_closed ? "behind its end" : "twice");
		return;
	}
	t->is_warned = true;
}

static void judge_worse(struct world *w, uint64_t incident, const char *subject, const char *audience)
{
	struct told *t = find_told(w, incident, audience);

	if (t == NULL || t->is_closed || t->is_worse) {
		wrong(w, "%s told as worse to \"%s\" %s", subject, audience, t == NULL ? "but not of" : t->is_worse ? "twice" : "behind its end");
		return;
	}
	t->is_worse = true;
}

static void judge_notice(struct world *w, enum incident_intent_kind kind, uint64_t incident, uint64_t other,
	const char *subject, const char *audience, bool in_digest)
{
	uint32_t node = node_of(w, subject);

	if (incident_is_escalation(audience) && kind != INTENT_ESCALATE && kind != INTENT_CLOSE && kind != INTENT_MERGED)
		wrong(w, "\"%s\" is told of %s as %s", audience, subject, incident_intent_name(kind));
	switch (kind) {
	case INTENT_PROBLEM:
		if (!in_digest)
			judge_silence(w, incident, node, audience);
		judge_problem(w, incident, subject, audience);
		break;
	case INTENT_CLOSE:
		note_close(w, incident, audience, "the closing");
		break;
	case INTENT_MERGED:
		note_close(w, incident, audience, "the merging");
		if (find_told(w, other, audience) == NULL)
			note_problem(w, other, audience);
		break;
	case INTENT_FLAPPING:
		judge_flapping(w, incident, subject, audience);
		return;
	case INTENT_ESCALATE:
		if (incident_is_escalation(audience))
			judge_step(w, incident, subject, audience);
		else
			judge_escalation(w, incident, subject, in_digest);
		return;
	case INTENT_WORSE:
		judge_worse(w, incident, subject, audience);
		return;
	case INTENT_ACKNOWLEDGED:
	case INTENT_UNACKNOWLEDGED:
	case INTENT_ASSIGNED:
	case INTENT_COMMENTED:
	case INTENT_DIGEST:
	case INTENT_PROBE:
	case INTENT_KINDS:
		return;
	}
	if (audience[0] == '\0')
		remember(w->spoken[node], INCIDENT_TELLS, w->now);
	/* But for the end of what a reload leaves out; what a digest tells counts from when it had to wait for that. */
	if (audience[0] == '\0' && kind != INTENT_MERGED && !(w->s->with_changes && (in_digest || w->now == w->reloaded)))
		note_rate(w, w->recent[node], INCIDENT_TELLS, HOURS - DIGEST_BY, "notices an hour about", subject);
}

static void judge_intent(struct world *w, const struct incident_intent *in)
{
	struct minute *minute;

	if (in->kind == INTENT_PROBE) {
		push(w, node_of(w, in->subject), w->now + 2 * SECOND);
		return;
	}
	minute = map_find(w->minutes, in->audience);
	if (minute == NULL) {
		minute = mem_alloc(sizeof *minute);
		map_set(w->minutes, in->audience, minute);
	}
	/* Two windows may touch: never more than twice in any minute, as in any counting by windows. */
	w->notices++;
	note_rate(w, minute->notices + 2 * (NOTICES - w->s->settings.notices_per_minute), 2 * w->s->settings.notices_per_minute,
		59 * SECOND, "notices a minute to", in->audience);
	if (in->kind != INTENT_DIGEST) {
		judge_notice(w, in->kind, in->incident, in->other, in->subject, in->audience, false);
		return;
	}
	note_rate(w, minute->digests, 2, 59 * SECOND, "digests a minute to", in->audience);
	for (size_t i = 0; i < in->items_count; i++)
		judge_notice(w, in->items[i].kind, in->items[i].incident, in->items[i].other, in->items[i].subject,
			in->audience, true);
}

/* ---- the engines */

struct blob { size_t len, room; uint8_t data[]; };

static void put(void *ctx, const char *key, const void *data, size_t len)
{
	struct blob *blob = map_find(ctx, key);

	if (blob == NULL || blob->room < len) {
		size_t room = len + len / 2;

		blob = mem_alloc(sizeof *blob + room);
		blob->room = room;
		free(map_set(ctx, key, blob));
	}
	blob->len = len;
	memcpy(blob->data, data, len);
}

static void drop(void *ctx, const char *key)
{
	free(map_remove(ctx, key));
}

static void save(struct copy *c, bool all)
{
	incidents_save(c->core, all, &(struct record_sink){put, drop, c->records});
}

static void reborn(struct world *w, struct copy *c)
{
	struct err err;

	incidents_free(c->core);
	c->core = incidents_new(&w->s->settings);
	incidents_topology(c->core, make_topology(w->s, w->is_reduced), w->now);
	incidents_clear(c->core);
	/* A database gives them back in an order of its own. */
	for (size_t i = map_count(c->records); i-- > 0;) {
		const char *key;
		const struct blob *blob = map_at(c->records, i, &key);

		if (incidents_restore(c->core, key, blob->data, blob->len, &err) != 0)
			wrong(w, "%s", err.text);
	}
	incidents_restored(c->core);
}

static void write_down(struct copy *c)
{
	size_t count;
	const struct incident_intent *in = incidents_intents(c->core, &count);

	for (size_t i = 0; i < count; i++) {
		buf_add_format(&c->said, "%llu %s %s %llu %llu %s %lld %u %s\n", (unsigned long long)in[i].key,
			incident_intent_name(in[i].kind), in[i].audience, (unsigned long long)in[i].incident,
			(unsigned long long)in[i].other, in[i].subject, (long long)in[i].at, in[i].faults, in[i].reason);
		for (size_t k = 0; k < in[i].items_count; k++)
			buf_add_format(&c->said, " %d %llu\n", in[i].items[k].kind,
				(unsigned long long)in[i].items[k].incident);
	}
}

static void step_copy(struct copy *c, const struct incident_event *e, int64_t now)
{
	incidents_step(c->core, e, now, &c->refused);
	write_down(c);
}

static void hear(struct copy *c, const struct incident_event *e, int64_t now)
{
	step_copy(c, e, now);
	incidents_clear(c->core);
}

/* Old events come again, in any order: all but those of now, which nothing can tell from new ones. */
static void hear_old(struct world *w)
{
	for (int i = 0; i < 2 && w->old_count > 0; i++) {
		const struct incident_event *o = &w->old[below(&w->dice, (uint32_t)w->old_count)];

		if (o->measured < w->now - 3 * SECOND)
			hear(&w->echoed, o, w->now);
	}
}

/* A backlog tells of a failure that nobody has heard of: it is history. */
static void hear_stale(struct world *w)
{
	uint32_t i = below(&w->dice, w->s->count);
	int64_t measured = w->now - 3 * MINUTE;

	if (w->s->places[i].is_measured && below(&w->dice, 20) == 0)
		hear(&w->echoed, &(struct incident_event){.kind = INCIDENT_STATE, .subject = w->s->places[i].id, .faults = BOTH,
			.state = STATE_DOWN, .since = measured, .measured = measured, .reason = "timeout"}, w->now);
}

static void hear_twice(struct world *w, const struct incident_event *e)
{
	hear(&w->echoed, e, w->now);
	if (e->kind == INCIDENT_STATE || e->kind == INCIDENT_SEEN || e->kind == INCIDENT_TICK)
		hear(&w->echoed, e, w->now);
}

static void echo(struct world *w, const struct incident_event *e)
{
	size_t at;

	hear_twice(w, e);
	hear_old(w);
	hear_stale(w);
	/* Of what was seen nothing older than the newest comes this far: the votes leave it out (verdict.h). */
	if (e->kind != INCIDENT_STATE)
		return;
	at = w->old_count < 64 ? w->old_count++ : below(&w->dice, 64);
	w->old[at] = *e;
}

static void step(struct world *w, const struct incident_event *e)
{
	size_t count;
	const struct incident_intent *in;

	w->events++;
	if (w->is_traced && e->kind != INCIDENT_TICK)
		printf("  %8.1f %s %s faults %u family %d %s\n", (double)(w->now - START) / 1e9,
			e->kind == INCIDENT_STATE ? "state" : e->kind == INCIDENT_SEEN ? "seen" : "request",
			e->subject == NULL ? "" : e->subject, e->faults, e->family, e->is_up ? "up" : "");
	incidents_step(w->a.core, e, w->now, &w->a.refused);
	in = incidents_intents(w->a.core, &count);
	for (size_t i = 0; i < count; i++) {
		if (w->is_traced)
			printf("  %8.1f   -> %s %s incident %llu to \"%s\"\n", (double)(w->now - START) / 1e9,
				incident_intent_name(in[i].kind), in[i].subject, (unsigned long long)in[i].incident,
				in[i].audience);
		judge_intent(w, &in[i]);
	}
	if (w->s->with_crashes || w->s->with_echoes)
		write_down(&w->a);
	incidents_clear(w->a.core);
	if (w->s->with_echoes)
		echo(w, e);
	if (!w->s->with_crashes)
		return;
	step_copy(&w->crashed, e, w->now);
	save(&w->crashed, false);
	incidents_clear(w->crashed.core);
	if (below(&w->dice, 30 * w->s->count / 10) == 0)
		reborn(w, &w->crashed);
}

/* ---- looking */

static const char *const reasons[] = {"", "timeout"};

static void tell_state(struct world *w, uint32_t i, unsigned faults)
{
	int64_t since = 0;

	if (faults == w->believed[i])
		return;
	for (int f = 0; f < 2; f++)
		if (w->streams[i][f].since > since)
			since = w->streams[i][f].since;
	w->believed[i] = faults;
	step(w, &(struct incident_event){.kind = INCIDENT_STATE, .subject = w->s->places[i].id, .faults = faults,
		.state = faults == BOTH ? STATE_DOWN : faults != 0 ? STATE_DEGRADED : STATE_UP, .since = since,
		.measured = w->now, .reason = reasons[faults != 0]});
}

/* What was seen working is not seen any more. */
static bool is_blind(struct world *w, uint32_t i)
{
	if (w->s->blind != i || i == 0 || w->now < START + MINUTE)
		return false;
	if (!w->is_blind)
		step(w, &(struct incident_event){.kind = INCIDENT_STATE, .subject = w->s->places[i].id, .state = STATE_UNKNOWN,
			.since = w->now, .measured = w->now, .reason = "not measured"});
	w->is_blind = true;
	return true;
}

static void look(struct world *w, uint32_t i)
{
	bool asks_again = false, is_down = false, is_attended;
	unsigned faults = 0;

	w->due[i] = 0;
	if (is_left_out(w->s, i, w->is_reduced) || is_blind(w, i))
		return;
	for (int f = 0; f < 2; f++) {
		struct vote_stream *s = &w->streams[i][f];

		vote_take(s, (w->reached[i] & 1u << f) != 0 ? OUTCOME_UP : OUTCOME_DOWN, w->now, VOTE_ATTEMPTS);
		asks_again = asks_again || (s->downs > 0 && s->downs < VOTE_ATTEMPTS);
		is_down = is_down || s->downs > 0;
		faults |= s->said == VOTE_DOWN ? 1u << f : 0;
	}
	tell_state(w, i, faults);
	for (int f = 0; f < 2; f++)
		step(w, &(struct incident_event){.kind = INCIDENT_SEEN, .subject = w->s->places[i].id,
			.is_up = (w->reached[i] & 1u << f) != 0, .family = verdict_family(f), .measured = w->now});
	is_attended = incidents_of(w->a.core, w->s->places[i].id) != 0;
	if (is_attended)
		w->attended[i] = w->now;
	if (asks_again)
		push(w, i, w->now + 10 * SECOND);
	else if (is_down || is_attended)
		push(w, i, next_slot(w, i, w->now));
}

/* ---- when it has settled */

static bool is_root(struct world *w, uint32_t i, struct incident_view *view)
{
	uint64_t id = incidents_of(w->a.core, w->s->places[i].id);

	return id != 0 && incidents_find(w->a.core, id, view) && strcmp(view->subject, w->s->places[i].id) == 0;
}

/* All that is broken in it is out of reach above it as well. */
static bool is_explained(const struct world *w, uint32_t i)
{
	const struct place *p = &w->s->places[i];
	unsigned above = BOTH;

	for (uint32_t k = 0, end; k < p->parents_count; k = end) {
		unsigned group = 0;

		for (end = k; end < p->parents_count && p->groups[end] == p->groups[k]; end++)
			group |= w->reached[p->parents[end]];
		above &= group;
	}
	return (w->broken[i] & above) == 0;
}

static void judge_settled(struct world *w)
{
	for (uint32_t i = 0; i < w->s->count; i++) {
		const char *id = w->s->places[i].id;
		struct incident_view view;
		bool root = is_root(w, i, &view);

		if (!w->s->places[i].is_measured || (i == w->s->blind && i != 0))
			continue;
		if (incidents_is_held(w->a.core, id))
			wrong(w, "%s is held still", id);
		if (w->reached[i] != BOTH && incidents_of(w->a.core, id) == 0)
			wrong(w, "%s is out of reach and in no incident", id);
		if (w->broken[i] != 0 && !root && !is_explained(w, i))
			wrong(w, "%s is broken, nothing above it is, and it is no root", id);
		/* What was broken by itself and is repaired behind a cut cannot be known to be. */
		if (root && !w->is_blurred[i] && w->last_broken[i] < view.opened && w->reached[i] != BOTH)
			wrong(w, "%s is a root and was not broken", id);
		if (root && w->reached[i] == BOTH && view.phase == INCIDENT_OPEN)
			wrong(w, "%s works and its incident is open", id);
	}
}

/* Planned work and the bound of an hour keep back, nothing else. */
static void judge_units(struct world *w, const struct incident_view *view)
{
	struct incident_affected a;
	uint64_t seen = 0;

	for (size_t k = 0; incidents_affected(w->a.core, view->id, k, &a); k++) {
		uint64_t bit = a.unit[0] == '\0' ? 0 : UINT64_C(1) << strtoul(a.unit + 1, NULL, 10);

		if (a.to != 0 || bit == 0 || (seen & bit) != 0 || w->now - a.from <= TOLD_BY || w->covered[node_of(w, a.subject)])
			continue;
		seen |= bit;
		if (find_told(w, view->id, a.unit) == NULL)
			wrong(w, "%s is affected by %s, and \"%s\" is not told", a.subject, view->subject, a.unit);
	}
}

static void judge_due(struct world *w, const struct told *t, const struct incident_view *view)
{
	unsigned due = 0;

	for (unsigned step = 1; step <= t->escalated && w->now > t->escalated_at + TOLD_BY; step++) {
		char audience[sizeof t->audience];

		snprintf(audience, sizeof audience, INCIDENT_ESCALATION "%u", step);
		if (find_told(w, view->id, audience) == NULL)
			wrong(w, "%s was escalated %u times, and \"%s\" is not told", view->subject, t->escalated, audience);
	}
	while (due < w->s->settings.steps && w->now > view->opened + w->s->settings.after[due] + TOLD_BY)
		due++;
	if (t->escalated < due && !view->is_acknowledged && w->now > t->at + TOLD_BY &&
		w->now > w->acknowledged[node_of(w, view->subject)] + TOLD_BY)
		wrong(w, "%s is not acknowledged and was escalated %u times, not %u", view->subject, t->escalated, due);
}

/* For so long that it counts as down all the time: what comes and goes is told of when it stays. */
static bool is_lost_for_long(const struct world *w, uint32_t i)
{
	for (int f = 0; f < 2; f++)
		if (w->lost_since[i][f] != 0 && w->now - w->lost_since[i][f] > UNSEEN)
			return true;
	return false;
}

/* The root works, and nothing is affected by it any more. */
static bool is_over(const struct world *w, const struct incident_view *view)
{
	struct incident_affected a;

	for (size_t k = 1; incidents_affected(w->a.core, view->id, k, &a); k++)
		if (a.to == 0)
			return false;
	return view->phase == INCIDENT_WATCHED;
}

static void judge_over(struct world *w, struct told *t, const struct incident_view *view)
{
	const int64_t *spoken = w->spoken[node_of(w, view->subject)];
	bool comes_and_goes = false;
	int within = 0;

	if (!is_over(w, view))
		t->works_since = 0;
	else if (t->works_since == 0)
		t->works_since = w->now;
	if (t->works_since == 0 || w->now - t->works_since <= TOLD_BY)
		return;
	for (uint32_t i = 0; i < w->s->faults_count; i++)
		comes_and_goes = comes_and_goes || w->s->faults[i].period > 0;
	for (int i = 0; i < INCIDENT_TELLS; i++)
		within += spoken[i] != 0 && w->now - spoken[i] < HOURS + TOLD_BY;
	if (!t->is_warned)
		wrong(w, "%s works, and nobody is told", view->subject);
	if (!comes_and_goes && within < 4)
		wrong(w, "the end of %s is held back, and it was told of %d times", view->subject, within);
}

static void judge_told(struct world *w)
{
	struct incident_view view;

	cover(w, w->now - TOLD_BY, false);
	for (size_t i = 0; incidents_at(w->a.core, i, &view); i++) {
		uint32_t node = node_of(w, view.subject);
		struct told *t = find_told(w, view.id, "");

		if (t != NULL)
			judge_over(w, t, &view);
		if (view.phase != INCIDENT_OPEN || w->now - view.opened <= TOLD_BY || w->now - w->reloaded <= TOLD_BY ||
			!is_lost_for_long(w, node))
			continue;
		if (t == NULL && w->spoken[node][0] != 0 && w->now - w->spoken[node][0] <= HOURS + TOLD_BY)
			continue;
		if (t == NULL && !w->covered[node])
			wrong(w, "%s is open since %.0f s, and nobody is told", view.subject, (double)(view.opened - START) / 1e9);
		judge_units(w, &view);
		if (t != NULL && !w->covered[node])
			judge_due(w, t, &view);
	}
}

/* ---- one scenario */

static void blur(struct world *w)
{
	for (uint32_t i = 0; i < w->s->faults_count; i++)
		if (w->s->faults[i].period > 0 && w->s->faults[i].period < 3 * MINUTE)
			w->is_blurred[w->s->faults[i].node] = true;
	for (uint32_t i = 0; i < w->s->count; i++)
		w->is_blurred[i] = w->is_blurred[i] || (w->s->with_changes && is_left_out(w->s, i, true)) ||
			(i == w->s->blind && i != 0);
	for (uint32_t i = 0; i < w->s->count; i++)
		for (uint32_t k = 0; k < w->s->places[i].parents_count; k++)
			w->is_blurred[i] = w->is_blurred[i] || w->is_blurred[w->s->places[i].parents[k]];
}

static void open_copy(struct copy *c, const struct scenario *s)
{
	c->core = incidents_new(&s->settings);
	c->records = map_new();
	incidents_topology(c->core, make_topology(s, false), START);
	incidents_clear(c->core);
}

static void close_copy(struct copy *c)
{
	incidents_free(c->core);
	map_free(c->records, free);
	buf_fini(&c->said);
}

/* Small scenarios are most of the work: of places that they do not have nothing is touched. */
static void clear(struct world *w, size_t count)
{
	memset(w, 0, offsetof(struct world, broken));
	memset(w->believed, 0xff, count * sizeof *w->believed);
	memset(w->streams, 0, count * sizeof *w->streams);
	memset(w->last_broken, 0, count * sizeof *w->last_broken);
	memset(w->due, 0, count * sizeof *w->due);
	memset(w->recent, 0, count * sizeof *w->recent);
	memset(w->spoken, 0, count * sizeof *w->spoken);
	memset(w->lost_since, 0, count * sizeof *w->lost_since);
	memset(w->attended, 0, count * sizeof *w->attended);
	memset(w->acknowledged, 0, count * sizeof *w->acknowledged);
	memset(w->is_blurred, 0, count * sizeof *w->is_blurred);
	memset(w->back_at, 0, count * sizeof *w->back_at);
}

static void begin(struct world *w, const struct scenario *s)
{
	clear(w, s->count);
	w->s = s;
	w->dice.state = s->seed ^ 77;
	w->now = START;
	w->minutes = map_new();
	w->old = mem_array(64, sizeof *w->old);
	open_copy(&w->a, s);
	if (s->with_crashes)
		open_copy(&w->crashed, s);
	if (s->with_echoes)
		open_copy(&w->echoed, s);
	for (uint32_t i = 0; i < s->count; i++)
		w->reached[i] = BOTH;
	change(w);
	blur(w);
	for (uint32_t i = 0; i < s->count; i++)
		if (s->places[i].is_measured)
			look(w, i);
	if (s->with_crashes)
		save(&w->crashed, true);
	for (uint32_t i = 0; i < s->plans_count; i++)
		step(w, &(struct incident_event){.kind = INCIDENT_PLAN, .author = "sim", .maintenance = &s->plans[i]});
}

static void end(struct world *w)
{
	close_copy(&w->a);
	if (w->s->with_crashes)
		close_copy(&w->crashed);
	if (w->s->with_echoes)
		close_copy(&w->echoed);
	map_free(w->minutes, free);
	free(w->old);
	free(w->heap);
	free(w->told);
}

static void acknowledge_one(struct world *w)
{
	struct incident_view view;
	int64_t until = w->now + (int64_t)(1 + below(&w->dice, 3600)) * SECOND;

	if (!incidents_at(w->a.core, 0, &view) || view.is_acknowledged)
		return;
	step(w, &(struct incident_event){.kind = INCIDENT_ACKNOWLEDGE, .incident = view.id, .author = "sim", .text = "",
		.until = until});
	w->acknowledged[node_of(w, view.subject)] = until;
}

static void judge_acknowledged(struct world *w)
{
	struct incident_view view;

	for (size_t i = 0; incidents_at(w->a.core, i, &view); i++)
		if (view.is_acknowledged && view.acknowledged_until <= w->now)
			wrong(w, "the acknowledgement of %s outlives its end", view.subject);
}

static void reload_copy(struct world *w, struct copy *c)
{
	incidents_topology(c->core, make_topology(w->s, w->is_reduced), w->now);
	if (c != &w->a)
		write_down(c);
	if (c == &w->crashed)
		save(c, false);
	if (c != &w->a)
		incidents_clear(c->core);
}

/* What was left out and comes back is seen as for the first time. */
static void take_in(struct world *w)
{
	w->old_count = 0;
	for (uint32_t i = 0; i < w->s->count; i++) {
		if (!is_left_out(w->s, i, true))
			continue;
		memset(w->streams[i], 0, sizeof w->streams[i]);
		memset(w->recent[i], 0, sizeof w->recent[i]);
		memset(w->spoken[i], 0, sizeof w->spoken[i]);
		w->believed[i] = ~0u;
		push(w, i, w->now + SECOND);
	}
}

static void reload(struct world *w)
{
	size_t count;
	const struct incident_intent *in;

	/* Whole again well before the end. */
	if (w->s->with_changes && (w->is_reduced || w->now - START < w->s->length / 3)) {
		w->is_reduced = !w->is_reduced;
		w->reloaded = w->now;
	}
	reload_copy(w, &w->a);
	in = incidents_intents(w->a.core, &count);
	for (size_t i = 0; i < count; i++)
		judge_intent(w, &in[i]);
	if (w->s->with_crashes || w->s->with_echoes)
		write_down(&w->a);
	incidents_clear(w->a.core);
	if (w->s->with_crashes)
		reload_copy(w, &w->crashed);
	if (w->s->with_echoes)
		reload_copy(w, &w->echoed);
	if (w->s->with_changes && !w->is_reduced && w->reloaded == w->now)
		take_in(w);
}

static int64_t next_tick(const struct world *w)
{
	struct incident_counts counts;

	incidents_counts(w->a.core, &counts);
	if (counts.held > 0 || (counts.open > 0 && w->now - w->changed < 5 * MINUTE))
		return w->now + SECOND;
	return w->now + (counts.open > 0 ? 5 : 25) * SECOND;
}

/* The first line in which they differ. */
static void judge_twin(struct world *w, struct copy *twin, const char *what)
{
	const char *a = buf_text(&w->a.said), *b = buf_text(&twin->said), *line_a = a, *line_b = b;

	for (; *a == *b && *a != '\0'; a++, b++)
		if (*a == '\n') {
			line_a = a + 1;
			line_b = b + 1;
		}
	if (*a != *b)
		wrong(w, "%s says \"%.*s\", not \"%.*s\"", what, (int)strcspn(line_b, "\n"), line_b,
			(int)strcspn(line_a, "\n"), line_a);
}

static void judge_end(struct world *w)
{
	struct incident_counts counts;

	incidents_counts(w->a.core, &counts);
	if (counts.open > 0 || counts.held > 0)
		wrong(w, "%zu incidents are open at the end, %zu held", counts.open, counts.held);
	for (size_t i = 0; i < w->told_count; i++)
		if (!w->told[i].is_closed)
			wrong(w, "incident %llu was never closed to \"%s\"", (unsigned long long)w->told[i].incident,
				w->told[i].audience);
	if (w->s->with_crashes)
		judge_twin(w, &w->crashed, "the twin that was killed");
	if (w->s->with_echoes)
		judge_twin(w, &w->echoed, "the twin that hears all twice");
}

/* True when planned work has been over for TOLD_BY: who was spared is told by now. */
static bool is_work_over(struct world *w)
{
	bool was = w->is_planned;

	w->is_planned = false;
	for (uint32_t i = 0; i < w->s->plans_count; i++)
		w->is_planned = w->is_planned || plan_meets(&w->s->plans[i], w->now - TOLD_BY, w->now, false);
	return was && !w->is_planned;
}

static void run(struct world *w, const struct scenario *s, bool trace)
{
	int64_t tick, ends = START + s->length;
	bool was_judged = false;

	begin(w, s);
	w->is_traced = trace;
	tick = w->now + SECOND;
	while (w->now < ends && w->wrong[0] == '\0') {
		int64_t next = w->next_change < tick ? w->next_change : tick;

		if (w->heap_count > 0 && w->heap[0].at <= next) {
			struct look l = pop(w);

			w->now = l.at > w->now ? l.at : w->now;
			if (w->due[l.node] == l.at)
				look(w, l.node);
			continue;
		}
		w->now = next;
		if (next == w->next_change) {
			judge_told(w);
			change(w);
			was_judged = false;
		}
		if (next != tick)
			continue;
		step(w, &(struct incident_event){.kind = INCIDENT_TICK});
		judge_acknowledged(w);
		if (is_work_over(w))
			judge_told(w);
		if (s->with_reloads && (below(&w->dice, 20 * s->count) == 0 ||
			(w->is_reduced && w->now - START > s->length / 3)))
			reload(w);
		if (below(&w->dice, 500) == 0)
			acknowledge_one(w);
		if (!was_judged && !w->is_reduced && w->now - w->changed > SETTLED && w->now - w->reloaded > SETTLED) {
			judge_settled(w);
			judge_told(w);
			was_judged = true;
		}
		tick = next_tick(w);
	}
	if (w->wrong[0] == '\0')
		judge_end(w);
	end(w);
}

/* Leaves out faults, one after the other, as long as something is wrong all the same. */
static void shrink(struct world *w, struct scenario *s)
{
	char first[sizeof w->wrong];

	memcpy(first, w->wrong, sizeof first);
	for (uint32_t i = 0; i < s->faults_count; i++) {
		s->faults[i].is_left_out = true;
		run(w, s, false);
		if (w->wrong[0] == '\0')
			s->faults[i].is_left_out = false;
	}
	for (uint32_t i = 0; i < s->count; i++)
		for (uint32_t k = 0; k < s->places[i].parents_count; k++)
			printf("  %s needs %s (group %u)\n", s->places[i].id, s->places[s->places[i].parents[k]].id,
				s->places[i].groups[k]);
	run(w, s, true);
	printf("seed %llu, %u subjects: %s\n  shrunk: %s\n", (unsigned long long)s->seed, s->count, first, w->wrong);
	for (uint32_t i = 0; i < s->faults_count; i++) {
		const struct fault *f = &s->faults[i];

		if (!f->is_left_out)
			printf("  %s, families %u, from %.0f s to %.0f s, period %.0f s\n", s->places[f->node].id,
				f->families, (double)(f->from - START) / 1e9, (double)(f->to - START) / 1e9,
				(double)f->period / 1e9);
	}
}

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int series(const char *name, unsigned rounds, uint64_t seed, bool large)
{
	struct scenario *s = mem_alloc(sizeof *s);
	struct world *w = mem_alloc(sizeof *w);
	uint64_t events = 0, notices = 0;
	double began = seconds();
	int bad = 0;

	for (unsigned i = 0; i < rounds && bad == 0; i++) {
		struct dice d = {seed + i};

		if (large)
			make_scenario(s, seed + i, 2000, (i % 10 == 0 ? 30 : 2) * 24 * HOURS, i % 10 == 0 ? 600 : 60);
		else
			make_scenario(s, seed + i, 4 + below(&d, 37), 2 * HOURS, 1 + below(&d, 6));
		s->length += large ? 4 * HOURS : 5 * HOURS / 2; /* all is repaired, and closed */
		run(w, s, false);
		events += w->events;
		notices += w->notices;
		if (w->wrong[0] == '\0')
			continue;
		shrink(w, s);
		bad = 1;
	}
	printf("  figure: %s: %u scenarios from seed %llu, %llu events, %llu notices, %.1f s\n", name, rounds,
		(unsigned long long)seed, (unsigned long long)events, (unsigned long long)notices, seconds() - began);
	free(s);
	free(w);
	return bad;
}

/* Several processes, each with seeds of its own. */
static int share_out(const char *name, unsigned rounds, uint64_t seed, bool large, unsigned jobs)
{
	unsigned each = (rounds + jobs - 1) / jobs;
	int bad = 0, status;

	if (rounds == 0)
		return 0;
	if (jobs == 1)
		return series(name, rounds, seed, large);
	fflush(stdout);
	for (unsigned j = 0; j < jobs; j++)
		if (fork() == 0)
			exit(series(name, each, seed + (uint64_t)j * each, large));
	while (wait(&status) > 0)
		bad |= status != 0;
	return bad;
}

int main(int argc, char **argv)
{
	unsigned small = 2000, large = 1, jobs = 1;
	uint64_t seed = 1;

	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--small") == 0)
			small = (unsigned)strtoul(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--large") == 0)
			large = (unsigned)strtoul(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--seed") == 0)
			seed = strtoull(argv[i + 1], NULL, 10);
		else if (strcmp(argv[i], "--jobs") == 0)
			jobs = (unsigned)strtoul(argv[i + 1], NULL, 10);
	}
	return share_out("small", small, seed, false, jobs) | share_out("large", large, seed, true, jobs);
}
