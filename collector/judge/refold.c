#include "collector/judge/refold.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "collector/inventory.h"
#include "collector/judge/plan.h"
#include "collector/judge/usual.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/wire.h"

#define ENTRIES_PER_STEP 200
#define TICK (10 * NS_PER_S)
#define WARM_INTERVALS 10
#define WARM_LEAST (600 * NS_PER_S)
#define WARM_MOST (86400 * NS_PER_S)
#define WHOLE VERDICT_FAMILIES

/* One result that tells about the window. Texts interned. */
struct row {
	int64_t measured;
	const char *check, *vantage, *part;
	enum family family;
	enum outcome outcome;
	size_t order; /* of the journal, so that the order of equal times is kept */
	size_t values_count; /* those that a limit judges */
	struct verdict_value *values;
};

struct refold {
	struct journal_reader *reader;
	const struct inventory *inventory;
	const struct usual *usual;
	struct verdict *verdict;
	const char *subject;
	struct span window, wanted; /* of evidence */
	struct arena *texts;
	struct map *interned;
	struct row *rows;
	size_t count, room;
	struct book_truth truth[VERDICT_FAMILIES + 1];
};

static int64_t longest_interval(const struct inventory *inv, const char *subject)
{
	int64_t longest = NS_PER_S;

	for (size_t i = 0; i < inv->checks_count; i++) {
		const struct inventory_check *c = &inv->checks[i];

		if ((c->anchor || strcmp(c->subject, subject) == 0) && c->interval > longest)
			longest = c->interval;
	}
	return longest;
}

/* How long its limits look back. */
static int64_t longest_memory(const struct inventory *inv, const char *subject)
{
	int64_t longest = 0;

	for (size_t i = 0; i < inv->checks_count; i++) {
		const struct inventory_check *c = &inv->checks[i];

		for (size_t k = 0; strcmp(c->subject, subject) == 0 && k < c->limits.count; k++) {
			char metric[LIMIT_METRIC];
			struct limit_rule rule;
			struct err checked; /* when the inventory was read */
			int64_t memory;

			if (limit_parse(c->limits.items[k], metric, &rule, &checked) < 0)
				continue;
			memory = rule.hold + (rule.of == LIMIT_FORECAST ? 3 * rule.memory : 0);
			longest = memory > longest ? memory : longest;
		}
	}
	return longest < WARM_MOST ? longest : WARM_MOST;
}

int64_t refold_reaches_back(const struct inventory *inv, const char *subject)
{
	return WARM_INTERVALS * longest_interval(inv, subject) + WARM_LEAST + longest_memory(inv, subject);
}

/* What its vantages look through. */
static struct map *ways_to(const struct refold *r, const struct plan *plan)
{
	struct map *subjects = map_new();

	for (size_t i = 0; i < plan->count; i++) {
		const struct verdict_check_plan *c = &plan->checks[i];

		for (size_t k = 0; strcmp(c->subject, r->subject) == 0 && k < c->vantages_count; k++)
			for (size_t w = 0; w < plan->ways_count; w++)
				if (strcmp(plan->ways[w].vantage, c->vantages[k]) == 0)
					map_set(subjects, plan->ways[w].subject, subjects);
	}
	return subjects;
}

/* A verdict over the checks of the subject, those on the ways to it, and all anchors. */
static int begin(struct refold *r, struct err *e)
{
	struct plan plan;
	struct map *ways;
	size_t kept = 0;
	int rc;

	if (plan_make(r->inventory, &plan, e) < 0)
		return -1;
	ways = ways_to(r, &plan);
	for (size_t i = 0; i < plan.count; i++) {
		if (plan.checks[i].is_anchor || strcmp(plan.checks[i].subject, r->subject) == 0 ||
			map_find(ways, plan.checks[i].subject) != NULL)
			plan.checks[kept++] = plan.checks[i];
	}
	r->verdict = verdict_new();
	rc = verdict_plan(r->verdict, plan.checks, kept, r->wanted.from, e);
	if (rc == 0)
		verdict_ways(r->verdict, plan.ways, plan.ways_count);
	map_free(ways, NULL);
	plan_fini(&plan);
	return rc;
}

struct refold *refold_new(const char *folder, struct position from, struct position limit, const struct inventory *inv,
	const struct usual *usual, const char *subject, struct span window, struct err *e)
{
	struct journal_reader *reader = journal_reader_open(folder, from, e);
	int64_t back = refold_reaches_back(inv, subject), ahead = VOTE_ATTEMPTS * longest_interval(inv, subject);
	struct refold *r;

	if (reader == NULL)
		return NULL;
	journal_reader_limit(reader, limit);
	r = mem_alloc(sizeof *r);
	*r = (struct refold){.reader = reader, .inventory = inv, .usual = usual, .subject = subject, .window = window,
		.wanted = {window.from - back, window.until + ahead}, .texts = arena_new(), .interned = map_new()};
	if (begin(r, e) == 0)
		return r;
	refold_free(r);
	return NULL;
}

void refold_free(struct refold *r)
{
	if (r == NULL)
		return;
	journal_reader_close(r->reader);
	verdict_free(r->verdict);
	arena_free(r->texts);
	map_free(r->interned, NULL);
	free(r->rows);
	for (size_t i = 0; i < sizeof r->truth / sizeof *r->truth; i++)
		free(r->truth[i].stretches);
	free(r);
}

/* ---- reading */

static const char *intern(struct refold *r, const char *text)
{
	char *kept = map_find(r->interned, text);

	if (kept == NULL) {
		kept = arena_strdup(r->texts, text);
		map_set(r->interned, text, kept);
	}
	return kept;
}

static bool is_wanted(const struct refold *r, const struct inventory_check *c, int64_t measured)
{
	return c != NULL && verdict_check_pair(r->verdict, c->id) != PAIR_NONE && measured >= r->wanted.from &&
		measured < r->wanted.until;
}

static void take_values(struct refold *r, struct row *row, const struct result *result)
{
	for (size_t i = 0; i < result->count; i++) {
		const struct value *value = &result->values[i];
		const struct usual_stream_id id = {row->check, row->vantage, row->part, row->family, value->metric};
		unsigned limits = verdict_limits_on(r->verdict, row->check, value->metric);

		if (limits == 0)
			continue;
		if (row->values == NULL)
			row->values = arena_alloc(r->texts, (result->count - i) * sizeof *row->values);
		row->values[row->values_count++] = (struct verdict_value){value->metric, value->number,
			(limits & 1u << LIMIT_RATIO) != 0 ? usual_of(r->usual, &id, row->measured) : NAN};
	}
}

static void take_row(struct refold *r, const struct wire_envelope *v, const struct result *result)
{
	const struct inventory_check *c = inventory_check(r->inventory, result->check);
	int64_t measured;

	if (result->interval_s == 0 || !wire_envelope_time(v, result->mono, &measured) || !is_wanted(r, c, measured))
		return;
	if (r->count == r->room) {
		r->room = r->room == 0 ? 1024 : r->room * 2;
		r->rows = mem_resize(r->rows, r->room, sizeof *r->rows);
	}
	r->rows[r->count] = (struct row){.measured = measured, .check = c->id, .vantage = intern(r, v->agent),
		.part = intern(r, result->part), .family = result->family, .outcome = result->outcome, .order = r->count};
	if (c->limits.count > 0)
		take_values(r, &r->rows[r->count], result);
	r->count++;
}

static void take_entry(struct refold *r, const struct journal_entry *entry)
{
	struct err ignored; /* the live fold has told it */
	struct wire_envelope *v = entry->kind == ENTRY_BATCH ? wire_envelope_decode(entry->payload, entry->len, &ignored) : NULL;
	struct wire_batch *batch = v != NULL ? wire_batch_decode(v->body, v->body_len, &ignored) : NULL;

	for (size_t i = 0; batch != NULL && i < wire_rows_count(batch->rows); i++) {
		struct result result;
		bool refused = false;
		uint64_t seq;

		wire_rows_next(batch->rows, &result, &seq);
		for (size_t k = 0; k < v->refused_count; k++)
			refused |= v->refused[k] == i;
		if (!refused)
			take_row(r, v, &result);
	}
	wire_batch_free(batch);
	wire_envelope_free(v);
}

/* ---- folding */

static int by_time(const void *a, const void *b)
{
	const struct row *x = a, *y = b;

	if (x->measured != y->measured)
		return x->measured < y->measured ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* From `since` on it was like this, whatever was said of later times. */
static void set_state(struct book_truth *t, int64_t since, enum state state)
{
	while (t->count > 0 && t->stretches[t->count - 1].from >= since)
		t->count--;
	if (t->count > 0)
		t->stretches[t->count - 1].until = INT64_MAX;
	if (t->count > 0 && t->stretches[t->count - 1].state == state)
		return;
	if (t->count > 0)
		t->stretches[t->count - 1].until = since;
	t->stretches = mem_resize(t->stretches, t->count + 1, sizeof *t->stretches);
	t->stretches[t->count++] = (struct stretch){since, INT64_MAX, state};
}

static void take_changes(struct refold *r, struct verdict *v)
{
	size_t count;
	const struct verdict_change *changes = verdict_changes(v, &count);

	for (size_t i = 0; i < count; i++) {
		const struct verdict_subject *view;

		if (strcmp(changes[i].subject, r->subject) != 0)
			continue;
		if (changes[i].what == VERDICT_PAST)
			set_state(&r->truth[changes[i].family == FAMILY_NONE ? WHOLE : verdict_family_index(changes[i].family)],
				changes[i].since, changes[i].state);
		if (changes[i].what != VERDICT_SUBJECT)
			continue;
		view = verdict_subject(v, changes[i].subject);
		set_state(&r->truth[WHOLE], changes[i].since, changes[i].state);
		for (int f = 0; view != NULL && f < VERDICT_OWN; f++) {
			if ((changes[i].changed & 1u << f) != 0 && view->families[f] != STATE_NONE)
				set_state(&r->truth[f], view->families_since[f], view->families[f]);
		}
	}
	verdict_clear(v);
}

/* Steps of time are small, or they would be taken for a collector that was stopped. */
static void pass_time(struct refold *r, struct verdict *v, int64_t *now, int64_t until)
{
	while (until - *now > TICK) {
		*now += TICK;
		verdict_tick(v, *now);
		take_changes(r, v);
	}
	if (until > *now)
		*now = until;
}

static void end_stretches(struct refold *r)
{
	for (size_t i = 0; i < sizeof r->truth / sizeof *r->truth; i++) {
		struct book_truth *t = &r->truth[i];

		if (t->count > 0 && t->stretches[t->count - 1].until > r->wanted.until)
			t->stretches[t->count - 1].until = r->wanted.until;
	}
}

static void fold(struct refold *r)
{
	struct verdict *v = r->verdict;
	const struct verdict_subject *ignored;
	int64_t now = r->wanted.from;

	if (r->count > 0)
		qsort(r->rows, r->count, sizeof *r->rows, by_time);
	for (size_t i = 0; i < r->count; i++) {
		const struct row *row = &r->rows[i];

		pass_time(r, v, &now, row->measured);
		verdict_result(v, &(struct verdict_result){.check = row->check, .vantage = row->vantage, .part = row->part,
			.reason = "", .family = row->family, .outcome = row->outcome, .measured = row->measured,
			.count = row->values_count, .values = row->values}, now, &ignored);
		take_changes(r, v);
	}
	pass_time(r, v, &now, r->wanted.until);
	end_stretches(r);
}

int refold_step(struct refold *r, struct err *e)
{
	struct journal_entry entry;

	for (int i = 0; i < ENTRIES_PER_STEP; i++) {
		int rc = journal_read_next(r->reader, &entry, e);

		if (rc < 0)
			return -1;
		if (rc == 0) {
			fold(r);
			return 0;
		}
		take_entry(r, &entry);
		if (r->count > REFOLD_ROWS)
			return err_set(e, "more than %d results tell about the window", REFOLD_ROWS);
	}
	return 1;
}

const struct book_truth *refold_truth(const struct refold *r)
{
	return r->truth;
}
