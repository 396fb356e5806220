#include "collector/judge/rehearse.h"

#include <stdlib.h>

#include "collector/inventory.h"
#include "collector/judge/plan.h"
#include "collector/judge/verdict.h"
#include "lib/err.h"
#include "lib/mem.h"

#define AGAIN (10 * NS_PER_S)
#define AGAIN_PRIORITY (5 * NS_PER_S)

/* One check at one vantage: its next run. */
struct stream {
	const struct inventory_check *check;
	const char *vantage;
	unsigned families;  /* FAULT_V4, FAULT_V6, FAULT_OWN */
	int64_t next, slot; /* when it runs; of its rhythm */
	unsigned attempts;
};

struct rehearse {
	struct rehearse_options options;
	struct verdict *verdict;
	struct incidents *incidents;
	struct stream *streams;
	size_t count;
	int64_t now;
};

/* ---- from results to intents, as the book does it */

static void hand_on(struct rehearse *r)
{
	size_t count;
	const struct incident_intent *in = incidents_intents(r->incidents, &count);

	for (size_t i = 0; i < count; i++)
		r->options.on_intent(r->options.ctx, &in[i], r->now);
	if (count > 0)
		incidents_clear(r->incidents);
}

static int step(struct rehearse *r, const struct incident_event *event, struct err *e)
{
	int rc = incidents_step(r->incidents, event, r->now, e);

	hand_on(r);
	return rc;
}

static void step_change(struct rehearse *r, const struct verdict_change *c)
{
	char *agent = mem_format("agent/%s", c->vantage);
	struct incident_event event = {.kind = INCIDENT_STATE, .subject = c->subject, .state = c->state, .faults = c->faults,
		.since = c->since, .measured = r->now, .reason = c->reason};
	struct err e;

	if (c->what == VERDICT_VANTAGE) {
		event.subject = agent;
		event.state = c->is_silent ? STATE_DOWN : STATE_UP;
		event.faults = c->is_silent ? FAULT_SILENT : 0;
	}
	if (c->what == VERDICT_VANTAGE || c->what == VERDICT_SUBJECT)
		step(r, &event, &e);
	free(agent);
}

static void pass_on(struct rehearse *r)
{
	size_t count;
	const struct verdict_change *c = verdict_changes(r->verdict, &count);

	for (size_t i = 0; i < count; i++)
		step_change(r, &c[i]);
	verdict_clear(r->verdict);
}

/* Up or not; what is not measured counts as neither. */
static enum outcome measure(struct rehearse *r, const struct stream *s, enum family family, int64_t at)
{
	struct verdict_result result = {.check = s->check->id, .vantage = s->vantage, .part = "", .reason = "", .family = family,
		.outcome = OUTCOME_UP, .measured = at};
	struct verdict_value values[SAMPLE_VALUES_MAX];
	const struct verdict_subject *subject;
	enum verdict_evidence worth;
	struct err e;

	if (!r->options.outcome(r->options.ctx, s->check, s->vantage, family, at, &result.outcome, &result.reason))
		return OUTCOME_UP;
	if (r->options.values != NULL && result.outcome == OUTCOME_UP) {
		result.values = values;
		result.count = r->options.values(r->options.ctx, s->check, s->vantage, family, at, values, SAMPLE_VALUES_MAX);
	}
	worth = verdict_result(r->verdict, &result, r->now, &subject);
	pass_on(r);
	if (worth != EVIDENCE_NONE)
		step(r, &(struct incident_event){.kind = INCIDENT_SEEN, .subject = subject->id, .family = family,
			.is_up = worth == EVIDENCE_UP, .measured = at}, &e);
	return result.outcome;
}

static bool run_is_up(struct rehearse *r, const struct stream *s, int64_t at)
{
	static const struct {
		unsigned bit;
		enum family family;
	} families[] = {{FAULT_V4, FAMILY_V4}, {FAULT_V6, FAMILY_V6}, {FAULT_OWN, FAMILY_NONE}};
	bool is_up = true;

	for (size_t i = 0; i < sizeof families / sizeof *families; i++)
		if ((s->families & families[i].bit) != 0)
			is_up &= measure(r, s, families[i].family, at) == OUTCOME_UP;
	return is_up;
}

/* ---- time */

static void run(struct rehearse *r, struct stream *s)
{
	int64_t again = s->next + (s->check->priority ? AGAIN_PRIORITY : AGAIN);
	bool is_up = run_is_up(r, s, s->next);

	s->attempts = is_up ? 0 : s->attempts < VOTE_ATTEMPTS ? s->attempts + 1 : VOTE_ATTEMPTS;
	while (s->slot <= s->next)
		s->slot += s->check->interval;
	s->next = s->attempts > 0 && s->attempts < VOTE_ATTEMPTS && again < s->slot ? again : s->slot;
}

void rehearse_until(struct rehearse *r, int64_t at)
{
	struct err e;

	while (r->now + NS_PER_S <= at) {
		r->now += NS_PER_S;
		for (size_t i = 0; i < r->count; i++)
			while (r->streams[i].next + REHEARSE_WAY <= r->now)
				run(r, &r->streams[i]);
		verdict_tick(r->verdict, r->now);
		pass_on(r);
		step(r, &(struct incident_event){.kind = INCIDENT_TICK}, &e);
	}
}

/* ---- life */

/* Nothing is known of what is judged, before it is measured. */
static void step_all(struct rehearse *r)
{
	const struct verdict_subject *view;
	struct err e;

	for (size_t i = 0; (view = verdict_subject_at(r->verdict, i)) != NULL; i++) {
		if (view->measured != 0)
			step(r, &(struct incident_event){.kind = INCIDENT_STATE, .subject = view->id, .state = view->state,
				.faults = view->faults, .since = r->now, .measured = r->now, .reason = view->reason}, &e);
	}
}

static void add_streams(struct rehearse *r, const struct inventory *v, const struct plan *plan)
{
	for (size_t i = 0; i < v->checks_count; i++)
		r->count += v->checks[i].vantages.count;
	r->streams = mem_array(r->count, sizeof *r->streams);
	r->count = 0;
	for (size_t i = 0; i < v->checks_count; i++) {
		const struct inventory_check *c = &v->checks[i];
		/* Spread over the interval, always alike. */
		int64_t first = REHEARSE_START + (int64_t)(i % 10) * (c->interval / 10);

		for (size_t k = 0; k < c->vantages.count; k++)
			r->streams[r->count++] = (struct stream){.check = c, .vantage = c->vantages.items[k],
				.families = plan->checks[i].families, .next = first, .slot = first};
	}
}

struct rehearse *rehearse_new(const struct inventory *v, const struct rehearse_options *options, struct err *e)
{
	struct rehearse *r = mem_alloc(sizeof *r);
	struct plan plan;

	r->options = *options;
	r->now = REHEARSE_START;
	r->verdict = verdict_new();
	r->incidents = incidents_new(&options->settings);
	if (plan_make(v, &plan, e) < 0) {
		rehearse_free(r);
		return NULL;
	}
	if (verdict_plan(r->verdict, plan.checks, plan.count, r->now, e) < 0) {
		plan_fini(&plan);
		rehearse_free(r);
		return NULL;
	}
	verdict_ways(r->verdict, plan.ways, plan.ways_count);
	incidents_topology(r->incidents, plan_take_topology(&plan), r->now);
	add_streams(r, v, &plan);
	plan_fini(&plan);
	verdict_clear(r->verdict);
	step_all(r);
	verdict_opened(r->verdict, r->now);
	return r;
}

void rehearse_free(struct rehearse *r)
{
	if (r == NULL)
		return;
	verdict_free(r->verdict);
	incidents_free(r->incidents);
	free(r->streams);
	free(r);
}

int rehearse_request(struct rehearse *r, const struct incident_event *event, struct err *e)
{
	return step(r, event, e);
}

const struct incidents *rehearse_incidents(const struct rehearse *r)
{
	return r->incidents;
}

const struct verdict *rehearse_verdict(const struct rehearse *r)
{
	return r->verdict;
}
