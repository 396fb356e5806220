#include "collector/judge/book_parts.h"

#include <stdlib.h>
#include <string.h>

#include "collector/inventory.h"
#include "collector/judge/ledger.h"
#include "collector/judge/outbox.h"
#include "collector/judge/planned.h"
#include "collector/judge/verdict.h"
#include "collector/judge/where.h"
#include "lib/buf.h"
#include "lib/map.h"
#include "lib/mem.h"

#define PLAN_TURNS_MAX 5000 /* after so many, what is left is noted late */

/* ---- to the ledger */

int64_t *book_changed(struct book *b, const char *subject)
{
	int64_t *changed = map_find(b->changed, subject);

	if (changed == NULL) {
		changed = mem_alloc(sizeof *changed);
		*changed = ledger_changed(b->ledger, subject);
		map_set(b->changed, subject, changed);
	}
	return changed;
}

static int write_state(struct book *b, const char *subject, enum family family, enum state state, int64_t since,
	const char *reason, struct err *e)
{
	if (since <= 0)
		since = b->now; /* of what was never measured */
	if (state == STATE_NONE || since == 0)
		return 0;
	return ledger_set(b->ledger, subject, family, state, since, reason, e);
}

static int write_subject(struct book *b, const struct verdict_change *c, struct err *e)
{
	const struct verdict_subject *view = verdict_subject(b->verdict, c->subject);

	b->counts.changes++;
	if (c->since > *book_changed(b, c->subject))
		*book_changed(b, c->subject) = c->since;
	if (write_state(b, c->subject, FAMILY_NONE, c->state, c->since, c->reason, e) < 0)
		return -1;
	for (int f = 0; view != NULL && f < VERDICT_OWN; f++) {
		if ((c->changed & 1u << f) != 0 && write_state(b, c->subject, verdict_family(f), view->families[f],
				view->families_since[f], c->reason, e) < 0)
			return -1;
	}
	return 0;
}

struct others {
	struct book *book;
	char **names;
	size_t count;
};

static void add_other(void *ctx, const char *subject)
{
	struct others *o = ctx;

	if (verdict_subject(o->book->verdict, subject) != NULL)
		return;
	o->names = mem_resize(o->names, o->count + 1, sizeof *o->names);
	o->names[o->count++] = mem_strdup(subject);
}

/* What is not judged any more has no state from now on. */
int book_end_others(struct book *b, struct err *e)
{
	struct others o = {.book = b};
	int rc = ledger_subjects(b->ledger, add_other, &o, e);

	for (size_t i = 0; i < o.count; i++) {
		for (int f = 0; f <= VERDICT_OWN && rc == 0; f++) {
			if (ledger_current(b->ledger, o.names[i], verdict_family(f)) != STATE_NONE)
				rc = ledger_set(b->ledger, o.names[i], verdict_family(f), STATE_NONE, b->now, "", e);
		}
		if (rc == 0)
			rc = planned_set(b->planned, o.names[i], false, b->now, e);
		free(o.names[i]);
	}
	free(o.names);
	return rc;
}

/* ---- to incidents and the outbox */

static void add_probe(struct book *b, const char *subject)
{
	if (b->probes_count < BOOK_PROBES)
		b->probes[b->probes_count++] = mem_strdup(subject);
}

const char *book_take_probe(struct book *b)
{
	free(b->probe);
	b->probe = b->probes_count > 0 ? b->probes[--b->probes_count] : NULL;
	return b->probe;
}

int book_take_intents(struct book *b, struct err *e)
{
	size_t count;
	const struct incident_intent *in = incidents_intents(b->incidents, &count);
	struct incident_view view;
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++) {
		b->counts.intents++;
		if (in[i].kind == INTENT_PROBE)
			add_probe(b, in[i].subject);
		else
			rc = outbox_put(b->outbox, &in[i], e);
		if (rc == 0 && in[i].incident != 0)
			rc = outbox_note(b->outbox, b->incidents, in[i].incident, e);
		for (size_t k = 0; k < in[i].items_count && rc == 0; k++)
			rc = outbox_note(b->outbox, b->incidents, in[i].items[k].incident, e);
	}
	/* With clearing they are forgotten; of one that nobody was told of no intent tells. */
	for (size_t i = 0; count > 0 && rc == 0 && incidents_at(b->incidents, i, &view); i++) {
		if (view.phase == INCIDENT_CLOSED)
			rc = outbox_note(b->outbox, b->incidents, view.id, e);
	}
	if (count > 0)
		incidents_clear(b->incidents);
	return rc;
}

int book_note_plans(struct book *b, int64_t at, struct err *e)
{
	const struct verdict_subject *subject;
	int64_t next;
	uint64_t turns = incidents_maintenance_turns(b->incidents, &next);

	if (turns == b->plan_turns)
		return 0;
	b->plan_turns = turns;
	for (size_t i = 0; (subject = verdict_subject_at(b->verdict, i)) != NULL; i++) {
		if (planned_set(b->planned, subject->id, incidents_state(b->incidents, subject->id) == STATE_MAINTENANCE, at, e) < 0)
			return -1;
	}
	return 0;
}

int book_turn_plans(struct book *b, struct err *e)
{
	struct err refused;
	int64_t next;

	for (int i = 0; i < PLAN_TURNS_MAX; i++) {
		incidents_maintenance_turns(b->incidents, &next);
		if (next >= b->now)
			break;
		incidents_step(b->incidents, &(struct incident_event){.kind = INCIDENT_TICK}, next, &refused);
		if (book_take_intents(b, e) < 0 || book_note_plans(b, next, e) < 0)
			return -1;
	}
	return 0;
}

int book_step(struct book *b, const struct incident_event *event, struct err *e)
{
	struct err refused; /* of requests alone */

	if (book_turn_plans(b, e) < 0)
		return -1;
	incidents_step(b->incidents, event, b->now, &refused);
	if (book_take_intents(b, e) < 0)
		return -1;
	return book_note_plans(b, b->now, e);
}

static int step_state(struct book *b, const struct verdict_change *c, struct err *e)
{
	struct buf reason = {0};
	int rc;

	buf_add_text(&reason, c->reason);
	where_say(&(struct where){b->inventory, b->verdict, incidents_tree(b->incidents)}, c, &reason);
	rc = book_step(b, &(struct incident_event){.kind = INCIDENT_STATE, .subject = c->subject, .state = c->state,
		.faults = c->faults, .since = c->since, .measured = b->now, .looked = b->looked, .reason = buf_text(&reason)}, e);
	buf_fini(&reason);
	return rc;
}

/* The silence of an agent is a fault of the agent. */
static int step_vantage(struct book *b, const struct verdict_change *c, struct err *e)
{
	char *subject = mem_format("agent/%s", c->vantage);
	int rc = book_step(b, &(struct incident_event){.kind = INCIDENT_STATE, .subject = subject,
		.state = c->is_silent ? STATE_DOWN : STATE_UP, .faults = c->is_silent ? FAULT_SILENT : 0, .since = c->since,
		.measured = b->now, .reason = c->reason}, e);

	free(subject);
	return rc;
}

int book_step_monitoring(struct book *b, const char *subject, bool is_bad, const char *reason, struct err *e)
{
	return book_step(b, &(struct incident_event){.kind = INCIDENT_STATE, .subject = subject,
		.state = is_bad ? STATE_DOWN : STATE_UP, .faults = is_bad ? FAULT_OWN : 0, .since = b->now, .measured = b->now,
		.reason = reason}, e);
}

int book_write_all(struct book *b, struct err *e)
{
	const struct verdict_subject *view;

	if (book_begin(b, e) < 0)
		return -1;
	for (size_t i = 0; (view = verdict_subject_at(b->verdict, i)) != NULL; i++) {
		if (ledger_current(b->ledger, view->id, FAMILY_NONE) != view->state &&
			write_state(b, view->id, FAMILY_NONE, view->state, b->now, view->reason, e) < 0)
			return -1;
		for (int f = 0; f < VERDICT_OWN; f++) {
			if (ledger_current(b->ledger, view->id, verdict_family(f)) != view->families[f] &&
				write_state(b, view->id, verdict_family(f), view->families[f], b->now, view->reason, e) < 0)
				return -1;
		}
	}
	return 0;
}

/* The incident core hears what the states are by the plan, where it knows otherwise. What no judged check asks for stays without
 * a state there, unless it had one. */
int book_step_all(struct book *b, struct err *e)
{
	const struct verdict_subject *view;

	for (size_t i = 0; (view = verdict_subject_at(b->verdict, i)) != NULL; i++) {
		const struct incident_event event = {.kind = INCIDENT_STATE, .subject = view->id, .state = view->state,
			.faults = view->faults, .since = b->now, .measured = b->now, .reason = view->reason};

		if (view->measured == 0 && incidents_state(b->incidents, view->id) == STATE_NONE)
			continue;
		if (incidents_differ(b->incidents, &event) && book_step(b, &event, e) < 0)
			return -1;
	}
	return 0;
}

static bool is_asked(const struct inventory *inv, const char *agent)
{
	for (size_t i = 0; i < inv->checks_count; i++) {
		for (size_t k = 0; k < inv->checks[i].vantages.count; k++) {
			if (strcmp(inv->checks[i].vantages.items[k], agent) == 0)
				return true;
		}
	}
	return false;
}

/* An agent that has no check any more is not silent: nobody waits for it. */
int book_step_unasked(struct book *b, struct err *e)
{
	for (size_t i = 0; i < b->inventory->agents_count; i++) {
		const char *agent = b->inventory->agents[i].id;
		char *subject = mem_format("agent/%s", agent);
		int rc = 0;

		if (incidents_state(b->incidents, subject) == STATE_DOWN && !is_asked(b->inventory, agent))
			rc = book_step(b, &(struct incident_event){.kind = INCIDENT_STATE, .subject = subject, .state = STATE_UP,
				.since = b->now, .measured = b->now, .reason = ""}, e);
		free(subject);
		if (rc < 0)
			return -1;
	}
	return 0;
}

int book_write_changes(struct book *b, struct err *e)
{
	size_t count;
	const struct verdict_change *changes = verdict_changes(b->verdict, &count);
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++) {
		if (changes[i].what == VERDICT_PAST)
			rc = write_state(b, changes[i].subject, changes[i].family, changes[i].state, changes[i].since,
				changes[i].reason, e);
		else if (changes[i].what == VERDICT_SUBJECT)
			rc = write_subject(b, &changes[i], e) < 0 ? -1 : step_state(b, &changes[i], e);
		else if (changes[i].what == VERDICT_VANTAGE)
			rc = step_vantage(b, &changes[i], e);
	}
	verdict_clear(b->verdict);
	return rc;
}
