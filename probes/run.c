#include "probes/run.h"

#include <assert.h>
#include <event2/event.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "probes/catalog.h"
#include "probes/resolve.h"

_Static_assert(RUN_ADDRESSES_MAX == RESOLVE_MAX, "every address of an answer has a run");

/* One of several things that a run saw. */
struct run_part {
	TAILQ_ENTRY(run_part) link;
	struct result result;
	char label[SAMPLE_TEXT_MAX + 1], address[64], reason[SAMPLE_TEXT_MAX + 1];
};

/* One measurement; also the place of a result that needed none (no record, not allowed). */
struct run {
	struct branch *branch;
	struct sockaddr_storage address;
	socklen_t address_len; /* 0: none */
	int64_t started, deadline;
	struct event *timer; /* NULL when the type was never started */
	void (*at_deadline)(void *state, struct run *);
	void *private;
	bool ended;
	struct result result;
	char address_text[64], part[SAMPLE_TEXT_MAX + 1], reason[SAMPLE_TEXT_MAX + 1];
	TAILQ_HEAD(, run_part) parts;
	size_t parts_count;
};

/* What one family of a group does. */
struct branch {
	struct run_group *group;
	enum family family;
	struct resolve_query *query; /* while it resolves */
	double resolve_time;
	size_t count;
	struct run *runs[RUN_ADDRESSES_MAX];
};

struct run_group {
	LIST_ENTRY(run_group) link;
	struct runner *runner;
	struct run_spec spec;
	char *check;
	char host[CATALOG_HOST_MAX + 1];
	struct opened *opened; /* the type's state */
	int64_t began;
	struct event *event; /* begins it, then finishes it */
	size_t open;         /* what has not ended: runs, queries, and the beginning itself */
	enum { GROUP_NEW, GROUP_RUNNING, GROUP_FINISHING } phase;
	bool cancelled;
	size_t count;
	struct branch branches[2];
	void (*on_result)(void *ctx, const struct result *);
	void (*on_done)(void *ctx);
	void *ctx;
};

/* A type that was used: its state in this process. */
struct opened {
	LIST_ENTRY(opened) link;
	const struct probe_type *type;
	void *state;
};

struct runner {
	const struct probe_env *env;
	uint64_t boot;
	LIST_HEAD(, run_group) groups;
	LIST_HEAD(, opened) opened;
	size_t running;
};

/* ---- what a type may ask */

const struct probe_env *run_env(const struct run *r)
{
	return r->branch->group->runner->env;
}

const void *run_options(const struct run *r)
{
	return r->branch->group->spec.options;
}

enum family run_family(const struct run *r)
{
	return r->branch->family;
}

const struct sockaddr *run_address(const struct run *r, socklen_t *len)
{
	*len = r->address_len;
	return r->address_len > 0 ? (const struct sockaddr *)&r->address : NULL;
}

const char *run_host(const struct run *r)
{
	return r->branch->group->host;
}

const char *run_check(const struct run *r)
{
	return r->branch->group->check;
}

int64_t run_started(const struct run *r)
{
	return r->started;
}

int64_t run_deadline(const struct run *r)
{
	return r->deadline;
}

double run_resolve_time(const struct run *r)
{
	return r->branch->resolve_time;
}

void run_set_private(struct run *r, void *private)
{
	r->private = private;
}

void *run_private(const struct run *r)
{
	return r->private;
}

void run_on_deadline(struct run *r, void (*at_deadline)(void *state, struct run *))
{
	r->at_deadline = at_deadline;
}

/* ---- what a type tells */

void run_value(struct run *r, uint32_t metric, double number)
{
	assert(!r->ended);
	result_add(&r->result, metric, number);
}

void run_part(struct run *r, const char *label)
{
	assert(!r->ended);
	text_clean(label, strlen(label), r->part, sizeof r->part);
}

struct run_part *run_add_part(struct run *r, const char *label)
{
	struct run_part *p;
	char text[2 * SAMPLE_TEXT_MAX + 2];

	assert(!r->ended);
	if (r->parts_count == RUN_PARTS_MAX) {
		log_warn("a run has more parts than fit check=%s max=%d", run_check(r), RUN_PARTS_MAX);
		return NULL;
	}
	p = mem_alloc(sizeof *p);
	memcpy(&p->result, &r->result, offsetof(struct result, values));
	p->result.count = 0;
	p->result.outcome = OUTCOME_UP;
	if (r->part[0] != '\0') {
		snprintf(text, sizeof text, "%s %.255s", r->part, label);
		label = text;
	}
	p->result.part = text_clean(label, strlen(label), p->label, sizeof p->label);
	p->result.reason = p->reason;
	TAILQ_INSERT_TAIL(&r->parts, p, link);
	r->parts_count++;
	return p;
}

void run_part_address(struct run_part *p, const char *address)
{
	p->result.address = text_clean(address, strlen(address), p->address, sizeof p->address);
}

void run_part_value(struct run_part *p, uint32_t metric, double number)
{
	result_add(&p->result, metric, number);
}

static void part_says(struct run_part *p, enum outcome outcome, const char *why, va_list ap)
{
	char text[2 * SAMPLE_TEXT_MAX];

	vsnprintf(text, sizeof text, why, ap);
	text_clean(text, strlen(text), p->reason, sizeof p->reason);
	p->result.outcome = outcome;
}

void run_part_down(struct run_part *p, const char *why, ...)
{
	va_list ap;

	va_start(ap, why);
	part_says(p, OUTCOME_DOWN, why, ap);
	va_end(ap);
}

void run_part_unknown(struct run_part *p, const char *why, ...)
{
	va_list ap;

	va_start(ap, why);
	part_says(p, OUTCOME_UNKNOWN, why, ap);
	va_end(ap);
}

/* Something of the group has ended. The last one finishes it, from the loop and never from inside a call. */
static void group_closed(struct run_group *g)
{
	assert(g->open > 0);
	if (--g->open == 0)
		event_active(g->event, EV_TIMEOUT, 0);
}

/* With the reason that it has. */
static void run_close(struct run *r, enum outcome outcome)
{
	assert(!r->ended);
	r->result.outcome = outcome;
	r->ended = true;
	if (r->timer != NULL)
		event_del(r->timer);
	group_closed(r->branch->group);
}

static void run_end(struct run *r, enum outcome outcome, const char *why, va_list ap)
{
	char text[2 * SAMPLE_TEXT_MAX];

	vsnprintf(text, sizeof text, why, ap);
	text_clean(text, strlen(text), r->reason, sizeof r->reason);
	run_close(r, outcome);
}

static void run_end_words(struct run *r, enum outcome outcome, const char *why, ...)
	__attribute__((format(printf, 3, 4)));

static void run_end_words(struct run *r, enum outcome outcome, const char *why, ...)
{
	va_list ap;

	va_start(ap, why);
	run_end(r, outcome, why, ap);
	va_end(ap);
}

void run_up(struct run *r)
{
	run_close(r, OUTCOME_UP);
}

void run_up_noting(struct run *r, const char *what, ...)
{
	va_list ap;

	va_start(ap, what);
	run_end(r, OUTCOME_UP, what, ap);
	va_end(ap);
}

/* What was asked, or its answer, may have been lost at this very host. */
static const char *no_way(const struct run *r)
{
	const struct probe_env *env = r->branch->group->runner->env;
	socklen_t len;
	const struct sockaddr *address = run_address(r, &len);

	return address != NULL && env->no_way != NULL ? env->no_way(address, len) : NULL;
}

void run_down(struct run *r, const char *why, ...)
{
	const char *own = no_way(r);
	va_list ap;

	if (own != NULL) {
		r->result.count = 0;
		run_end_words(r, OUTCOME_UNKNOWN, "%s", own);
		return;
	}
	va_start(ap, why);
	run_end(r, OUTCOME_DOWN, why, ap);
	va_end(ap);
}

void run_unknown(struct run *r, const char *why, ...)
{
	va_list ap;

	va_start(ap, why);
	run_end(r, OUTCOME_UNKNOWN, why, ap);
	va_end(ap);
}

/* ---- runs */

static struct run *run_new(struct branch *b)
{
	const struct run_spec *spec = &b->group->spec;
	struct run *r = mem_alloc(sizeof *r);

	assert(b->count < RUN_ADDRESSES_MAX);
	b->runs[b->count++] = r;
	b->group->open++;
	r->branch = b;
	r->started = b->group->began;
	TAILQ_INIT(&r->parts);
	r->result = (struct result){.check = b->group->check, .type = spec->type->catalog->name,
		.interval_s = spec->interval_s, .generation = spec->generation, .family = b->family,
		.part = r->part, .address = r->address_text, .reason = r->reason,
		.boot = b->group->runner->boot};
	return r;
}

/* A result of the family that needs no measuring. */
static void branch_ends(struct branch *b, enum outcome outcome, const char *why)
{
	run_end_words(run_new(b), outcome, "%s", why);
}

static void on_deadline(evutil_socket_t fd, short what, void *ctx)
{
	struct run *r = ctx;
	struct run_group *g = r->branch->group;
	char limit[NUM_TEXT];

	(void)fd;
	(void)what;
	if (r->at_deadline != NULL)
		r->at_deadline(g->opened->state, r);
	num_format_duration(g->spec.timeout, limit);
	if (!r->ended)
		run_down(r, "no answer within %s", limit);
	if (g->spec.type->cancel != NULL)
		g->spec.type->cancel(g->opened->state, r);
}

static struct timeval time_of(int64_t ns)
{
	return (struct timeval){ns / NS_PER_S, ns % NS_PER_S / NS_PER_US};
}

/* The type is opened by its first run; one that cannot be is tried again by the next. */
static struct opened *type_open(struct runner *runner, const struct probe_type *type, struct err *e)
{
	struct opened *o;
	void *state = NULL;

	LIST_FOREACH(o, &runner->opened, link) {
		if (o->type == type)
			return o;
	}
	if (type->open != NULL && type->open(runner->env, &state, e) < 0)
		return NULL;
	o = mem_alloc(sizeof *o);
	*o = (struct opened){.type = type, .state = state};
	LIST_INSERT_HEAD(&runner->opened, o, link);
	return o;
}

static void run_begin(struct run *r)
{
	struct run_group *g = r->branch->group;
	const struct probe_env *env = g->runner->env;
	struct timeval tv = time_of(g->spec.timeout);
	struct err e;

	r->started = clock_mono();
	r->deadline = r->started + g->spec.timeout;
	if (r->address_len > 0 && !env->may_probe(env->ctx, (struct sockaddr *)&r->address)) {
		run_unknown(r, "address is not allowed here");
		return;
	}
	g->opened = type_open(g->runner, g->spec.type, &e);
	if (g->opened == NULL) {
		run_unknown(r, "%s", e.text);
		return;
	}
	r->timer = evtimer_new(env->base, on_deadline, r);
	assert(r->timer != NULL);
	event_add(r->timer, &tv);
	g->spec.type->start(g->opened->state, r);
}

/* ---- one family */

static void branch_begins(struct branch *b, const struct sockaddr_storage *addresses, size_t count, double seconds)
{
	b->resolve_time = seconds;
	for (size_t i = 0; i < count; i++) {
		struct run *r = run_new(b);

		r->address = addresses[i];
		r->address_len = addresses[i].ss_family == AF_INET6 ? sizeof(struct sockaddr_in6)
								    : sizeof(struct sockaddr_in);
		resolve_format((struct sockaddr *)&r->address, r->address_text, sizeof r->address_text);
		if (count > 1)
			run_part(r, r->address_text);
	}
	for (size_t i = 0; i < count; i++)
		run_begin(b->runs[i]);
}

static void on_answer(void *ctx, const struct resolve_answer *a)
{
	struct branch *b = ctx;

	b->query = NULL;
	switch (a->status) {
	case RESOLVE_OK:
		branch_begins(b, a->addresses, a->count, a->seconds);
		break;
	case RESOLVE_NO_RECORD:
	case RESOLVE_NO_NAME:
		branch_ends(b, OUTCOME_DOWN, a->reason);
		break;
	case RESOLVE_FAILED:
		branch_ends(b, OUTCOME_UNKNOWN, a->reason);
		break;
	}
	group_closed(b->group);
}

static void branch_open(struct branch *b)
{
	struct run_group *g = b->group;
	struct catalog_target_options target = catalog_target_options(g->spec.options);
	const char *pin = b->family == FAMILY_V4 ? target.ipv4 : target.ipv6;
	struct sockaddr_storage address;
	socklen_t len;

	if (resolve_literal(*pin != '\0' ? pin : g->host, &address, &len) == 0) {
		branch_begins(b, &address, 1, 0);
		return;
	}
	g->open++;
	b->query = resolve_start(
		g->runner->env->resolver, g->host, b->family, g->spec.timeout, on_answer, b);
}

static struct branch *group_branch(struct run_group *g, enum family family)
{
	struct branch *b = &g->branches[g->count++];

	*b = (struct branch){.group = g, .family = family};
	return b;
}

/* A literal leaves out the other family. */
static void begin_literal(struct run_group *g, enum family own)
{
	enum family other = own == FAMILY_V4 ? FAMILY_V6 : FAMILY_V4;

	if (g->spec.families & (own == FAMILY_V4 ? RUN_V4 : RUN_V6))
		branch_open(group_branch(g, own));
	else
		branch_ends(group_branch(g, other), OUTCOME_UNKNOWN,
			own == FAMILY_V4 ? "the target is an IPv4 address" : "the target is an IPv6 address");
}

static void begin_families(struct run_group *g)
{
	struct sockaddr_storage address;
	socklen_t len;

	if (!catalog_has_target(g->spec.type->catalog, g->spec.options)) {
		run_begin(run_new(group_branch(g, FAMILY_NONE)));
		return;
	}
	if (catalog_target_host(g->spec.type->catalog, g->spec.options, g->host, sizeof g->host) < 0)
		assert(!"options are checked");
	if (!catalog_has_family(g->spec.type->catalog, g->spec.options)) {
		run_begin(run_new(group_branch(g, FAMILY_NONE)));
		return;
	}
	if (resolve_literal(g->host, &address, &len) == 0) {
		begin_literal(g, address.ss_family == AF_INET ? FAMILY_V4 : FAMILY_V6);
		return;
	}
	if (g->spec.families & RUN_V4)
		branch_open(group_branch(g, FAMILY_V4));
	if (g->spec.families & RUN_V6)
		branch_open(group_branch(g, FAMILY_V6));
}

/* ---- groups */

static void run_free(struct run *r)
{
	struct run_part *p;

	while ((p = TAILQ_FIRST(&r->parts)) != NULL) {
		TAILQ_REMOVE(&r->parts, p, link);
		free(p);
	}
	if (r->timer != NULL)
		event_free(r->timer);
	free(r);
}

/* Whatever still runs is cancelled; nobody is told. */
static void group_free(struct run_group *g)
{
	for (size_t i = 0; i < g->count; i++) {
		struct branch *b = &g->branches[i];

		if (b->query != NULL)
			resolve_cancel(b->query);
		for (size_t k = 0; k < b->count; k++) {
			struct run *r = b->runs[k];

			if (r->timer != NULL && !r->ended && g->spec.type->cancel != NULL)
				g->spec.type->cancel(g->opened->state, r);
			run_free(r);
		}
	}
	LIST_REMOVE(g, link);
	g->runner->running--;
	event_free(g->event);
	free(g->check);
	free(g);
}

/* The run's own result, then those of its parts. */
static void hand_on(struct run *r)
{
	struct run_group *g = r->branch->group;
	struct run_part *p;

	r->result.mono = r->started;
	g->on_result(g->ctx, &r->result);
	TAILQ_FOREACH(p, &r->parts, link) {
		if (g->cancelled)
			return;
		p->result.mono = r->started;
		g->on_result(g->ctx, &p->result);
	}
}

/* NaN: it is not up, or has no such value. */
static double value_of(const struct run *r, uint32_t metric)
{
	for (size_t i = 0; i < r->result.count && r->result.outcome == OUTCOME_UP; i++) {
		if (r->result.values[i].metric == metric)
			return r->result.values[i].number;
	}
	return NAN;
}

static double mean_of(const struct branch *b, uint32_t metric)
{
	double sum = 0;
	size_t n = 0;

	for (size_t k = 0; k < b->count; k++) {
		double v = value_of(b->runs[k], metric);

		if (!isnan(v))
			sum += v, n++;
	}
	return n > 0 ? sum / (double)n : NAN;
}

static void tell_parity(struct run_group *g)
{
	const uint32_t *m = g->spec.type->catalog->parity;
	struct branch *v4 = &g->branches[0], *v6 = &g->branches[1];

	if (m == NULL || g->count < 2 || v4->family != FAMILY_V4 || v6->family != FAMILY_V6)
		return;
	for (; *m != 0; m++) {
		double base = mean_of(v4, *m);

		for (size_t k = 0; k < v6->count && base > 0; k++) {
			double v = value_of(v6->runs[k], *m);

			if (!isnan(v))
				result_add(&v6->runs[k]->result, CATALOG_RATIO(*m), v / base);
		}
	}
}

static void group_finish(struct run_group *g)
{
	void (*on_done)(void *ctx) = g->on_done;
	void *ctx = g->ctx;
	bool cancelled;

	g->phase = GROUP_FINISHING;
	tell_parity(g);
	for (size_t i = 0; i < g->count; i++) {
		for (size_t k = 0; k < g->branches[i].count && !g->cancelled; k++)
			hand_on(g->branches[i].runs[k]);
	}
	cancelled = g->cancelled;
	group_free(g);
	if (!cancelled)
		on_done(ctx);
}

static void on_group(evutil_socket_t fd, short what, void *ctx)
{
	struct run_group *g = ctx;

	(void)fd;
	(void)what;
	if (g->phase == GROUP_RUNNING) {
		group_finish(g);
		return;
	}
	g->phase = GROUP_RUNNING;
	g->began = clock_mono();
	begin_families(g);
	group_closed(g);
}

struct run_group *run_group_begin(struct runner *runner, const struct run_spec *spec,
	void (*on_result)(void *ctx, const struct result *), void (*on_done)(void *ctx), void *ctx)
{
	struct run_group *g = mem_alloc(sizeof *g);

	assert((spec->families & RUN_BOTH) != 0 && spec->timeout > 0);
	g->runner = runner;
	g->spec = *spec;
	g->check = mem_strdup(spec->check);
	g->open = 1;
	g->on_result = on_result;
	g->on_done = on_done;
	g->ctx = ctx;
	g->event = event_new(runner->env->base, -1, 0, on_group, g);
	assert(g->event != NULL);
	event_active(g->event, EV_TIMEOUT, 0);
	LIST_INSERT_HEAD(&runner->groups, g, link);
	runner->running++;
	return g;
}

void run_group_cancel(struct run_group *g)
{
	if (g->phase == GROUP_FINISHING)
		g->cancelled = true;
	else
		group_free(g);
}

/* ---- the runner */

struct runner *runner_new(const struct probe_env *env)
{
	struct runner *runner = mem_alloc(sizeof *runner);

	runner->env = env;
	runner->boot = clock_boot_id();
	LIST_INIT(&runner->groups);
	LIST_INIT(&runner->opened);
	return runner;
}

void runner_free(struct runner *runner)
{
	if (runner == NULL)
		return;
	while (!LIST_EMPTY(&runner->groups)) {
		struct run_group *g = LIST_FIRST(&runner->groups);

		assert(g->phase != GROUP_FINISHING);
		group_free(g);
	}
	while (!LIST_EMPTY(&runner->opened)) {
		struct opened *o = LIST_FIRST(&runner->opened);

		if (o->type->close != NULL)
			o->type->close(o->state);
		LIST_REMOVE(o, link);
		free(o);
	}
	free(runner);
}

size_t runner_running(const struct runner *runner)
{
	return runner->running;
}
