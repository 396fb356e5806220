#include "probes/snmp.h"

#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "probes/catalog.h"
#include "probes/catalog_snmp.h"
#include "probes/credentials.h"
#include "probes/resolve.h"
#include "probes/snmp_device.h"
#include "probes/snmp_talk.h"

#define KEPT (INT64_C(7200) * NS_PER_S) /* the longest interval is an hour */
#define SWEEP (INT64_C(600) * NS_PER_S)
#define BETWEEN_LOOKS NS_PER_S

/* What is kept of a check at an address between its runs. */
struct memory {
	struct snmp_rates *rates;
	int64_t used;
};

struct snmp_all {
	struct snmp_stack *stack;
	struct map *memories;
	int64_t swept;
};

struct snmp {
	struct run *run;
	struct snmp_all *all;
	struct snmp_talk *talk;
	struct snmp_request request;
	struct snmp_device device;
	struct memory *own;   /* of a one-shot */
	struct event *timer;  /* until its second look */
	bool is_second;
	int64_t began, took;
};

static void memory_free(void *value)
{
	struct memory *m = value;

	snmp_rates_free(m->rates);
	free(m);
}

static struct memory *memory_new(void)
{
	struct memory *m = mem_alloc(sizeof *m);

	m->rates = snmp_rates_new();
	return m;
}

static void snmp_free(struct snmp *s)
{
	run_set_private(s->run, NULL);
	snmp_talk_close(s->talk);
	snmp_device_fini(&s->device);
	if (s->own != NULL)
		memory_free(s->own);
	if (s->timer != NULL)
		event_free(s->timer);
	free(s);
}

/* ---- what is kept */

/* Checks that are no more tell nobody: what they left goes after a while. */
static void sweep(struct snmp_all *all, int64_t now)
{
	if (now - all->swept < SWEEP)
		return;
	all->swept = now;
	for (size_t i = map_count(all->memories); i-- > 0;) {
		const char *key;
		struct memory *m = map_at(all->memories, i, &key);

		if (now - m->used < KEPT)
			continue;
		map_remove(all->memories, key);
		memory_free(m);
	}
}

static struct memory *memory_of(struct snmp *s)
{
	struct map *memories = s->all->memories;
	char text[64], *key;
	struct memory *m;
	socklen_t len;

	if (s->own != NULL)
		return s->own;
	sweep(s->all, run_started(s->run));
	key = mem_format("%s %s", run_check(s->run), resolve_format(run_address(s->run, &len), text, sizeof text));
	m = map_find(memories, key);
	if (m == NULL) {
		m = memory_new();
		map_set(memories, key, m);
	}
	free(key);
	m->used = run_started(s->run);
	return m;
}

/* ---- the end of a run */

static void tell_counts(const struct snmp *s)
{
	struct snmp_talk_counts c = snmp_talk_counts(s->talk);

	run_value(s->run, SNMP_REQUESTS, c.requests);
	run_value(s->run, SNMP_RETRANSMISSIONS, c.again);
	run_value(s->run, SNMP_FOREIGN, c.foreign);
}

static void end_with(struct snmp *s, enum outcome outcome, const char *words)
{
	struct run *r = s->run;

	if (outcome == OUTCOME_DOWN)
		tell_counts(s);
	snmp_free(s);
	if (outcome == OUTCOME_DOWN)
		run_down(r, "%s", words);
	else
		run_unknown(r, "%s", words);
}

static void hand_on_part(struct run *r, const struct snmp_part *from)
{
	struct run_part *to = run_add_part(r, from->label);

	if (to == NULL)
		return;
	for (size_t i = 0; i < from->count; i++)
		run_part_value(to, from->values[i].metric, from->values[i].number);
	if (from->outcome == OUTCOME_DOWN)
		run_part_down(to, "%s", from->why);
	else if (from->outcome == OUTCOME_UNKNOWN)
		run_part_unknown(to, "%s", from->why);
}

static void finish(struct snmp *s, const struct snmp_report *report)
{
	struct run *r = s->run;

	run_value(r, SNMP_TIME, (double)s->took / NS_PER_S);
	tell_counts(s);
	for (size_t i = 0; i < report->own.count; i++)
		run_value(r, report->own.values[i].metric, report->own.values[i].number);
	for (size_t i = 0; i < report->count; i++)
		hand_on_part(r, report->parts[i]);
	snmp_free(s);
	if (report->own.outcome == OUTCOME_UP && *report->own.why != '\0')
		run_up_noting(r, "%s", report->own.why);
	else if (report->own.outcome == OUTCOME_UP)
		run_up(r);
	else
		run_unknown(r, "%s", report->own.why);
}

static void at_deadline(void *state, struct run *r)
{
	struct snmp *s = run_private(r);
	char limit[NUM_TEXT], words[SAMPLE_TEXT_MAX];

	(void)state;
	num_format_duration(run_deadline(r) - run_started(r), limit);
	tell_counts(s);
	if (snmp_talk_silence(s->talk, limit, words, sizeof words) == OUTCOME_DOWN)
		run_down(r, "%s", words);
	else
		run_unknown(r, "%s", words);
}

/* ---- reading */

static void ask(struct snmp *s);

static void begin_reading(struct snmp *s)
{
	snmp_device_begin(&s->device, run_options(s->run));
	s->began = clock_mono();
	ask(s);
}

static void on_second_look(evutil_socket_t fd, short what, void *ctx)
{
	struct snmp *s = ctx;

	(void)fd, (void)what;
	snmp_device_fini(&s->device);
	begin_reading(s);
}

/* Without a check nothing is remembered from before: a second look a while later gives the rates, if there is time. */
static bool looks_again(struct snmp *s)
{
	const struct timeval wait = {BETWEEN_LOOKS / NS_PER_S, 0};

	if (s->own == NULL || s->is_second || clock_mono() + BETWEEN_LOOKS + 2 * s->took > run_deadline(s->run))
		return false;
	s->is_second = true;
	s->timer = evtimer_new(run_env(s->run)->base, on_second_look, s);
	assert(s->timer != NULL);
	evtimer_add(s->timer, &wait);
	return true;
}

static void all_is_read(struct snmp *s)
{
	struct snmp_report *report = mem_alloc(sizeof *report);

	s->took = clock_mono() - s->began;
	snmp_device_tell(&s->device, memory_of(s)->rates, report);
	if (!looks_again(s))
		finish(s, report);
	snmp_report_fini(report);
	free(report);
}

static void ask(struct snmp *s)
{
	if (snmp_device_ask(&s->device, &s->request))
		snmp_talk_ask(s->talk, &s->request);
	else
		all_is_read(s);
}

static void on_varbind(void *ctx, size_t i, const struct snmp_oid *name, const struct snmp_value *v, int64_t mono)
{
	struct snmp *s = ctx;

	snmp_device_take(&s->device, i, name, v, mono);
}

static void on_reply(void *ctx, const struct snmp_answer *a)
{
	struct snmp *s = ctx;
	char words[SAMPLE_TEXT_MAX + 1];

	if (snmp_device_replied(&s->device, a, words))
		ask(s);
	else
		end_with(s, OUTCOME_UNKNOWN, words);
}

static void on_end(void *ctx, enum outcome outcome, const char *words)
{
	end_with(ctx, outcome, words);
}

/* ---- the type */

/* The community of the check itself, or what the agent's own file has under the id. NULL: the run has ended. */
static const struct credential *find_credential(struct run *r, struct credential *own)
{
	const struct snmp_options *o = run_options(r);
	const struct probe_env *env = run_env(r);
	const struct credential *found;

	*own = (struct credential){.id = "", .community = o->community, .user = "", .auth_password = "", .priv_password = ""};
	if (*o->credentials == '\0')
		return own;
	found = env->credential != NULL ? env->credential(env->ctx, o->credentials) : NULL;
	if (found == NULL)
		run_unknown(r, "this agent has no credentials \"%s\"", o->credentials);
	return found;
}

static void snmp_start(void *state, struct run *r)
{
	const struct snmp_options *o = run_options(r);
	struct credential own;
	const struct credential *credential = find_credential(r, &own);
	struct snmp_talk_options options = {.base = run_env(r)->base, .port = (uint16_t)o->port,
		.credential = credential, .retry = o->retry};
	struct snmp_talk_events events = {on_varbind, on_reply, on_end, NULL};
	struct snmp *s;
	struct err e;

	if (credential == NULL)
		return;
	s = mem_alloc(sizeof *s);
	s->run = r;
	s->all = state;
	events.ctx = s;
	options.address = run_address(r, &options.address_len);
	s->talk = snmp_talk_open(s->all->stack, &options, &events, &e);
	if (s->talk == NULL) {
		free(s);
		run_unknown(r, "%s", e.text);
		return;
	}
	if (*run_check(r) == '\0')
		s->own = memory_new();
	run_set_private(r, s);
	run_on_deadline(r, at_deadline);
	begin_reading(s);
}

static void snmp_cancel(void *state, struct run *r)
{
	(void)state;
	if (run_private(r) != NULL)
		snmp_free(run_private(r));
}

static int snmp_open_type(const struct probe_env *env, void **state, struct err *e)
{
	struct snmp_all *all = mem_alloc(sizeof *all);

	(void)env, (void)e;
	all->stack = snmp_stack_open();
	all->memories = map_new();
	all->swept = clock_mono();
	*state = all;
	return 0;
}

static void snmp_close_type(void *state)
{
	struct snmp_all *all = state;

	map_free(all->memories, memory_free);
	snmp_stack_close(all->stack);
	free(all);
}

const struct probe_type snmp_probe = {.catalog = &catalog_snmp, .open = snmp_open_type, .start = snmp_start,
	.cancel = snmp_cancel, .close = snmp_close_type};
