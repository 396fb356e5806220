#include "agent/patrol.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "agent/assignments.h"
#include "agent/latest.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "probes/probe.h"
#include "probes/run.h"

struct check {
	struct patrol *patrol;
	const struct assigned *spec; /* in the set of the patrol */
	struct timetable_item *item;
	struct latest latest;
	struct run_group *running;
	struct assignments *running_set; /* holds the options of the run */
	uint64_t set_number;             /* of the last set that had it */
	/* Of the addresses that the last runs were at, one of each family: hashes; 0: none. */
	uint32_t addresses[2];
};

struct patrol {
	struct event_base *base;
	struct runner *runner;
	struct timetable *timetable;
	struct assignments *set;
	uint64_t set_number;
	struct map *checks; /* by id */
	struct event *timer;
	struct patrol_events events;
	void *ctx;
	uint64_t up, down, unknown;
};

static struct timetable_rhythm rhythm_of(const struct assigned *a)
{
	return (struct timetable_rhythm){.interval = a->interval, .priority = a->priority};
}

/* ---- runs */

static void start_due(struct patrol *);

/* Two addresses of one hash make a check run once too often. */
static uint32_t hash_of(const char *address)
{
	uint32_t hash = 2166136261;

	if (*address == '\0')
		return 0;
	while (*address != '\0')
		hash = (hash ^ (uint8_t)*address++) * 16777619;
	return hash != 0 ? hash : 1;
}

static void on_result(void *ctx, const struct result *r)
{
	struct check *c = ctx;
	struct patrol *p = c->patrol;

	log_debug("result check=%s family=%d part=%s outcome=%s reason=\"%s\"", r->check, (int)r->family, r->part,
		outcome_name(r->outcome), r->reason);
	if (r->family != FAMILY_NONE)
		c->addresses[r->family == FAMILY_V6] = hash_of(r->address);
	p->up += r->outcome == OUTCOME_UP;
	p->down += r->outcome == OUTCOME_DOWN;
	p->unknown += r->outcome == OUTCOME_UNKNOWN;
	latest_add(&c->latest, r, p->events.on_result(p->ctx, r));
}

static void let_go_of_set(struct check *c)
{
	assignments_drop(c->running_set);
	c->running_set = NULL;
	c->running = NULL;
}

static void on_done(void *ctx)
{
	struct check *c = ctx;
	struct patrol *p = c->patrol;

	let_go_of_set(c);
	timetable_end(p->timetable, c->item, latest_end(&c->latest), clock_mono());
	start_due(p);
	if (runner_running(p->runner) == 0)
		p->events.on_idle(p->ctx);
}

static void begin(struct patrol *p, struct check *c)
{
	const struct assigned *a = c->spec;
	const struct run_spec spec = {.check = a->id, .type = a->type, .options = a->options,
		.families = a->families, .timeout = a->timeout, .interval_s = (uint32_t)(a->interval / NS_PER_S),
		.generation = a->generation};

	c->running_set = assignments_hold(p->set);
	c->running = run_group_begin(p->runner, &spec, on_result, on_done, c);
}

static void start_due(struct patrol *p)
{
	int64_t now = clock_mono(), wake;
	struct timetable_item *item;
	struct timeval tv;

	while ((item = timetable_start(p->timetable, now)) != NULL)
		begin(p, timetable_work(item));
	wake = timetable_wake(p->timetable);
	if (wake == INT64_MAX) {
		evtimer_del(p->timer);
		return;
	}
	wake = wake > now ? wake - now : 0;
	tv = (struct timeval){wake / NS_PER_S, wake % NS_PER_S / NS_PER_US + 1};
	evtimer_add(p->timer, &tv);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd, (void)what;
	start_due(ctx);
}

/* ---- life */

struct patrol *patrol_new(struct event_base *base, struct runner *runner, const char *agent, size_t concurrency,
	const struct patrol_events *events, void *ctx)
{
	struct patrol *p = mem_alloc(sizeof *p);

	p->base = base;
	p->runner = runner;
	p->timetable = timetable_new(agent, concurrency);
	p->checks = map_new();
	p->timer = evtimer_new(base, on_timer, p);
	p->events = *events;
	p->ctx = ctx;
	return p;
}

static void check_free(void *value)
{
	struct check *c = value;

	if (c->running != NULL)
		run_group_cancel(c->running);
	let_go_of_set(c);
	timetable_remove(c->patrol->timetable, c->item);
	latest_fini(&c->latest);
	free(c);
}

void patrol_free(struct patrol *p)
{
	if (p == NULL)
		return;
	map_free(p->checks, check_free);
	timetable_free(p->timetable);
	assignments_drop(p->set);
	event_free(p->timer);
	free(p);
}

/* ---- a new set */

static void add_check(struct patrol *p, const struct assigned *a, int64_t now)
{
	struct timetable_rhythm rhythm = rhythm_of(a);
	struct check *c = mem_alloc(sizeof *c);

	c->patrol = p;
	c->spec = a;
	c->set_number = p->set_number;
	c->item = timetable_add(p->timetable, a->id, &rhythm, c, now);
	map_set(p->checks, a->id, c);
}

/* True when it is not quite what it was. */
static bool change_check(struct patrol *p, struct check *c, const struct assigned *a, int64_t now)
{
	const struct assigned *old = c->spec;
	struct timetable_rhythm rhythm = rhythm_of(a);
	bool what = old->what != a->what;
	bool when = old->interval != a->interval || old->timeout != a->timeout || old->priority != a->priority;

	if (what)
		latest_clear(&c->latest);
	if (when)
		timetable_change(p->timetable, c->item, &rhythm, now);
	c->spec = a;
	c->set_number = p->set_number;
	return what || when;
}

/* A removal moves the last entry into the hole, so it goes from the end. */
static size_t remove_gone(struct patrol *p)
{
	size_t removed = 0;

	for (size_t i = map_count(p->checks); i-- > 0;) {
		const char *id;
		struct check *c = map_at(p->checks, i, &id);

		if (c->set_number == p->set_number)
			continue;
		map_remove(p->checks, id);
		check_free(c);
		removed++;
	}
	return removed;
}

void patrol_set(struct patrol *p, struct assignments *set, struct patrol_change *change)
{
	int64_t now = clock_mono();

	*change = (struct patrol_change){0};
	p->set_number++;
	for (size_t i = 0; i < set->count; i++) {
		struct check *c = map_find(p->checks, set->checks[i].id);

		if (c != NULL)
			change->changed += change_check(p, c, &set->checks[i], now);
		else
			add_check(p, &set->checks[i], now);
		change->added += c == NULL;
	}
	change->removed = remove_gone(p);
	assignments_hold(set);
	assignments_drop(p->set);
	p->set = set;
	start_due(p);
}

size_t patrol_hasten(struct patrol *p, const char *address)
{
	int64_t now = clock_mono();
	uint32_t hash = hash_of(address);
	size_t hastened = 0;

	for (size_t i = 0; i < map_count(p->checks); i++) {
		struct check *c = map_at(p->checks, i, NULL);

		if (c->addresses[0] != hash && c->addresses[1] != hash)
			continue;
		timetable_hasten(p->timetable, c->item, now);
		hastened++;
	}
	if (hastened > 0)
		start_due(p);
	return hastened;
}

bool patrol_knows(const struct patrol *p, const char *address)
{
	uint32_t hash = hash_of(address);

	for (size_t i = 0; i < map_count(p->checks); i++) {
		const struct check *c = map_at(p->checks, i, NULL);

		if (c->addresses[0] == hash || c->addresses[1] == hash)
			return true;
	}
	return false;
}

bool patrol_hasten_check(struct patrol *p, const char *check)
{
	struct check *c = map_find(p->checks, check);

	if (c == NULL)
		return false;
	timetable_hasten(p->timetable, c->item, clock_mono());
	start_due(p);
	return true;
}

void patrol_set_concurrency(struct patrol *p, size_t concurrency)
{
	timetable_set_concurrency(p->timetable, concurrency);
	start_due(p);
}

/* ---- what is so now */

void patrol_add_now(const struct patrol *p, struct position synced, struct wire_packer *packer)
{
	for (size_t i = 0; i < map_count(p->checks); i++) {
		const struct check *c = map_at(p->checks, i, NULL);

		if (!latest_add_now(&c->latest, synced, packer))
			return;
	}
}

void patrol_stats(const struct patrol *p, struct patrol_stats *out)
{
	*out = (struct patrol_stats){.up = p->up, .down = p->down, .unknown = p->unknown};
	timetable_stats(p->timetable, &out->timetable);
}
