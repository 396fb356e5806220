#include "collector/judge/verdict.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "collector/judge/verdict_parts.h"
#include "lib/map.h"
#include "lib/mem.h"

/* ---- names */

int verdict_family_index(enum family family)
{
	switch (family) {
	case FAMILY_V4:
		return VERDICT_V4;
	case FAMILY_V6:
		return VERDICT_V6;
	case FAMILY_NONE:
		break;
	}
	return VERDICT_OWN;
}

enum family verdict_family(int index)
{
	return index == VERDICT_V4 ? FAMILY_V4 : index == VERDICT_V6 ? FAMILY_V6 : FAMILY_NONE;
}

const char *verdict_state_name(enum state state)
{
	static const char *const names[] = {"none", "up", "unknown", "degraded", "down", "maintenance"};

	return names[state];
}

/* ---- changes */

static const char *keep_text(struct verdict *v, const char *text)
{
	if (v->texts == NULL)
		v->texts = arena_new();
	return arena_strdup(v->texts, text == NULL ? "" : text);
}

static void tell(struct verdict *v, const struct verdict_change *change)
{
	struct verdict_change *c;

	if (v->changes_count == v->changes_room) {
		v->changes_room = v->changes_room == 0 ? 64 : v->changes_room * 2;
		v->changes = mem_resize(v->changes, v->changes_room, sizeof *v->changes);
	}
	c = &v->changes[v->changes_count++];
	*c = *change;
	c->subject = keep_text(v, c->subject);
	c->check = keep_text(v, c->check);
	c->vantage = keep_text(v, c->vantage);
	c->reason = keep_text(v, c->reason);
	c->at = v->now;
}

const struct verdict_change *verdict_changes(const struct verdict *v, size_t *count)
{
	*count = v->changes_count;
	return v->changes;
}

void verdict_clear(struct verdict *v)
{
	v->changes_count = 0;
	arena_free(v->texts);
	v->texts = NULL;
}

/* ---- subjects: what their checks make of them */

/* What one piece of evidence, or its absence, sets off. */
struct trigger {
	int64_t since;
	const char *reason;
	bool is_silence;
};

static const struct trigger no_trigger = {.reason = ""};

/* How many of each state; index by enum state. */
struct tally { unsigned of[STATE_MAINTENANCE + 1]; };

static unsigned total(const struct tally *t)
{
	return t->of[STATE_UP] + t->of[STATE_UNKNOWN] + t->of[STATE_DEGRADED] + t->of[STATE_DOWN];
}

/* All of one kind that matter alike: one that is down is their down. */
static enum state worst(const struct tally *t)
{
	if (total(t) == 0)
		return STATE_NONE;
	if (t->of[STATE_DOWN] > 0)
		return STATE_DOWN;
	if (t->of[STATE_UNKNOWN] == total(t))
		return STATE_UNKNOWN;
	if (t->of[STATE_DEGRADED] > 0)
		return STATE_DEGRADED;
	return t->of[STATE_UNKNOWN] > 0 ? STATE_UNKNOWN : STATE_UP;
}

static enum state check_state(const struct tally *t)
{
	if (t->of[STATE_DOWN] > 0)
		return t->of[STATE_DOWN] == total(t) ? STATE_DOWN : STATE_DEGRADED;
	return t->of[STATE_DEGRADED] > 0 ? STATE_DEGRADED : worst(t);
}

static void weigh_check(const struct verdict_check *c, struct tally families[VERDICT_FAMILIES], struct tally *all,
	unsigned *faults)
{
	if (c->severity == SEVERITY_NONE)
		return;
	for (int f = 0; f < VERDICT_FAMILIES; f++) {
		enum state state = c->cells[f].state;

		if ((c->families & 1u << f) == 0)
			continue;
		if (state == STATE_DEGRADED || (state == STATE_DOWN && c->severity == SEVERITY_MINOR)) {
			*faults |= FAULT_VALUE;
			families[f].of[STATE_DEGRADED]++;
		} else if (c->severity == SEVERITY_CRITICAL) {
			families[f].of[state]++;
		}
	}
	if (c->severity == SEVERITY_CRITICAL)
		all->of[c->state]++;
}

static enum state subject_state(const struct tally *all, unsigned faults)
{
	if (all->of[STATE_DOWN] > 0)
		return STATE_DOWN;
	if (total(all) > 0 && all->of[STATE_UNKNOWN] == total(all))
		return STATE_UNKNOWN;
	if (faults != 0)
		return STATE_DEGRADED;
	return total(all) == 0 ? STATE_UP : worst(all);
}

static void judge_subject(struct verdict *v, struct verdict_node *n, const struct trigger *by)
{
	struct tally families[VERDICT_FAMILIES] = {0}, all = {0};
	struct verdict_subject *view = &n->view, before = n->view;

	view->faults = 0;
	view->level = LIMIT_OK;
	for (size_t i = 0; i < n->count; i++) {
		weigh_check(n->checks[i], families, &all, &view->faults);
		for (int f = 0; f < VERDICT_FAMILIES; f++)
			if (n->checks[i]->cells[f].level > view->level)
				view->level = n->checks[i]->cells[f].level;
	}
	for (int f = 0; f < VERDICT_FAMILIES; f++) {
		view->families[f] = worst(&families[f]);
		if (view->families[f] == STATE_DOWN)
			view->faults |= 1u << f;
	}
	view->state = subject_state(&all, view->faults);
	if (view->state == before.state && view->faults == before.faults && view->level == before.level &&
		memcmp(view->families, before.families, sizeof view->families) == 0)
		return;
	if (view->state != before.state)
		view->since = by->since > before.since ? by->since : before.since;
	free((char *)view->reason);
	view->reason = mem_strdup(by->reason);
	n->is_dirty = true;
	tell(v, &(struct verdict_change){.what = VERDICT_SUBJECT, .subject = view->id, .was = before.state,
		.state = view->state, .faults = view->faults, .level = view->level, .is_silence = by->is_silence,
		.since = by->since, .reason = by->reason});
}

/* ---- checks: what their families make of them */

static void judge_check(struct verdict *v, struct verdict_check *c, const struct trigger *by)
{
	struct tally t = {0};
	enum vote votes[VERDICT_FAMILIES] = {0};
	enum state was = c->state;
	enum pair pair;

	for (int f = 0; f < VERDICT_FAMILIES; f++) {
		if ((c->families & 1u << f) == 0)
			continue;
		t.of[c->cells[f].state]++;
		votes[f] = c->cells[f].vote == VOTE_NONE ? VOTE_UNKNOWN : c->cells[f].vote;
	}
	c->state = check_state(&t);
	pair = (c->families & FAULT_OWN) != 0 ? vote_pair(votes[VERDICT_OWN], VOTE_NONE)
					      : vote_pair(votes[VERDICT_V4], votes[VERDICT_V6]);
	if (c->state != was || pair != c->pair) {
		c->pair = pair;
		tell(v, &(struct verdict_change){.what = VERDICT_CHECK, .check = c->id,
			.subject = c->subject == NULL ? "" : c->subject->view.id, .was = was, .state = c->state,
			.pair = pair, .is_silence = by->is_silence, .since = by->since, .reason = by->reason});
	}
	if (c->subject != NULL)
		judge_subject(v, c->subject, by);
}

/* ---- families: what the vantages make of them */

/* From when k votes said "down": the k-th of them. */
static int64_t quorum_since(const struct verdict_check *c, int family, uint32_t k)
{
	int64_t since[VERDICT_VANTAGES];
	size_t count = 0;

	for (size_t i = 0; i < c->votes_count; i++) {
		const struct verdict_vote *vote = &c->votes[i];
		size_t at = count;

		if (vote->family != family || vote->vote != VOTE_DOWN)
			continue;
		for (; at > 0 && since[at - 1] > vote->since; at--)
			since[at] = since[at - 1];
		since[at] = vote->since;
		count++;
	}
	return k > 0 && k <= count ? since[k - 1] : 0;
}

static enum limit_level cell_level(const struct verdict_check *c, int family, uint32_t k)
{
	uint32_t warn = 0, critical = 0;

	for (size_t i = 0; i < c->votes_count; i++) {
		const struct verdict_vote *vote = &c->votes[i];

		if (vote->family != family || vote->vote == VOTE_NONE || vote->vote == VOTE_UNKNOWN)
			continue;
		warn += vote->level >= LIMIT_WARN;
		critical += vote->level >= LIMIT_CRITICAL;
	}
	return critical >= k ? LIMIT_CRITICAL : warn >= k ? LIMIT_WARN : LIMIT_OK;
}

static void sooner(struct verdict *v, int64_t deadline)
{
	if (deadline < v->next_scan)
		v->next_scan = deadline;
}

static void follow_contest(struct verdict *v, struct verdict_cell *cell, bool contested)
{
	if (!contested) {
		cell->contested = 0;
		cell->is_path = false;
	} else if (cell->contested == 0) {
		cell->contested = v->steady;
		sooner(v, v->steady + VERDICT_PATH);
	}
}

static enum state cell_state(const struct verdict_cell *cell)
{
	switch (cell->vote) {
	case VOTE_DOWN:
		return STATE_DOWN;
	case VOTE_NONE:
	case VOTE_UNKNOWN:
		return STATE_UNKNOWN;
	case VOTE_PARTIAL:
		return STATE_DEGRADED;
	case VOTE_UP:
		break;
	}
	return cell->level != LIMIT_OK || cell->is_path ? STATE_DEGRADED : STATE_UP;
}

static void judge_family(struct verdict *v, struct verdict_check *c, int family, const struct trigger *by)
{
	struct verdict_cell *cell = &c->cells[family], before = *cell;
	struct vote_counts counts = {0};
	struct trigger told = *by;
	bool contested;
	uint32_t k;

	for (size_t i = 0; i < c->votes_count; i++)
		if (c->votes[i].family == family)
			vote_add(&counts, c->votes[i].vote);
	k = vote_quorum(&counts, c->quorum);
	cell->vote = vote_count(&counts, c->quorum, &contested);
	cell->level = cell_level(c, family, k);
	follow_contest(v, cell, contested);
	cell->state = cell_state(cell);
	if (memcmp(cell, &before, sizeof before) != 0)
		c->is_dirty = true;
	if (cell->state == before.state && cell->level == before.level && cell->vote == before.vote)
		return;
	if (cell->vote == VOTE_DOWN && before.vote != VOTE_DOWN)
		told.since = quorum_since(c, family, k);
	if (told.since < before.since)
		told.since = before.since;
	if (cell->state != before.state)
		cell->since = told.since;
	c->is_dirty = true;
	tell(v, &(struct verdict_change){.what = VERDICT_FAMILY, .check = c->id,
		.subject = c->subject == NULL ? "" : c->subject->view.id, .family = verdict_family(family),
		.was = before.state, .state = cell->state, .vote = cell->vote, .level = cell->level,
		.is_silence = told.is_silence, .since = told.since, .reason = told.reason});
	judge_check(v, c, &told);
}

/* ---- vantages: is their own ground firm? */

/* Nothing of it was up when it was looked at last. */
static bool is_failing(const struct verdict_vote *a)
{
	for (size_t i = 0; i < a->count; i++)
		if (a->parts[i]->stream.last_outcome == OUTCOME_UP)
			return false;
	return a->count > 0;
}

/* *known: anchors of that family that said anything. True when all of them fail: now, or confirmed. */
static bool anchors_fail(const struct verdict_vantage *vantage, int family, bool confirmed, unsigned *known)
{
	bool all = true;

	*known = 0;
	for (size_t i = 0; i < vantage->anchors_count; i++) {
		const struct verdict_vote *a = vantage->anchors[i];

		if (a->family != family || a->said == VOTE_NONE || a->said == VOTE_UNKNOWN)
			continue;
		++*known;
		all = all && (confirmed ? a->said == VOTE_DOWN : is_failing(a));
	}
	return *known > 0 && all;
}

/* A "down" counts when the vantage itself was well after the failing began. */
static bool down_counts(const struct verdict_vote *vote)
{
	const struct verdict_vantage *vantage = vote->vantage;
	unsigned known;
	bool failing = anchors_fail(vantage, vote->family, false, &known);

	return known == 0 || (!failing && vantage->up_at[vote->family] >= vote->said_since);
}

static void count_vote(struct verdict *v, struct verdict_vote *vote, const struct trigger *by)
{
	enum vote before = vote->vote, counted = vote->said;

	if (vote->check->is_anchor)
		counted = vote->said;
	else if (vote->vantage->unwell[vote->family])
		counted = VOTE_NONE;
	else if (counted == VOTE_DOWN && !down_counts(vote))
		counted = before;
	if (counted != before) {
		vote->vote = counted;
		vote->since = counted == vote->said ? vote->said_since : by->since;
		vote->is_dirty = true;
		tell(v, &(struct verdict_change){.what = VERDICT_BALLOT, .check = vote->check->id,
			.subject = vote->check->subject == NULL ? "" : vote->check->subject->view.id,
			.vantage = vote->vantage->id, .family = verdict_family(vote->family), .vote = counted,
			.is_silence = by->is_silence, .since = vote->since, .reason = by->reason});
	}
	judge_family(v, vote->check, vote->family, by);
}

/* What was seen while the ground was not firm is no evidence: it has to be seen again. */
static void forget_votes(struct verdict_vantage *vantage, int family)
{
	for (size_t i = 0; i < vantage->votes_count; i++) {
		struct verdict_vote *vote = vantage->votes[i];

		if (vote->family != family || vote->check->is_anchor)
			continue;
		for (size_t p = 0; p < vote->count; p++) {
			struct vote_stream *s = &vote->parts[p]->stream;

			s->downs = s->unknowns = 0;
			if (s->said == VOTE_DOWN)
				s->said = VOTE_NONE;
		}
		if (vote->said == VOTE_DOWN || vote->said == VOTE_PARTIAL)
			vote->said = VOTE_NONE;
		vote->is_dirty = true;
	}
}

static void tell_vantage(struct verdict *v, struct verdict_vantage *vantage, const struct trigger *by)
{
	bool unwell = false;

	for (int f = 0; f < VERDICT_FAMILIES; f++)
		unwell = unwell || vantage->unwell[f];
	vantage->is_dirty = true;
	tell(v, &(struct verdict_change){.what = VERDICT_VANTAGE, .vantage = vantage->id, .since = by->since,
		.is_silent = vantage->is_silent, .is_unwell = unwell, .is_silence = by->is_silence,
		.reason = by->reason});
}

/* An anchor has said something. */
static void judge_vantage(struct verdict *v, struct verdict_vantage *vantage, int family, const struct trigger *by)
{
	unsigned known;
	bool unwell = anchors_fail(vantage, family, true, &known);

	if (vantage->unwell[family] && !unwell)
		forget_votes(vantage, family);
	if (vantage->unwell[family] != unwell) {
		vantage->unwell[family] = unwell;
		tell_vantage(v, vantage, by);
	}
	for (size_t i = 0; i < vantage->votes_count; i++) {
		struct verdict_vote *vote = vantage->votes[i];

		if (vote->family == family && !vote->check->is_anchor && (vote->vote != vote->said || unwell))
			count_vote(v, vote, by);
	}
}

/* ---- one vote: what its parts make of it */

static void judge_vote(struct verdict *v, struct verdict_vote *vote, const struct trigger *by)
{
	struct vote_counts counts = {0};
	enum limit_level level = LIMIT_OK;
	int64_t since = 0;
	enum vote said;

	for (size_t i = 0; i < vote->count; i++) {
		const struct verdict_part *p = vote->parts[i];

		vote_add(&counts, p->stream.said);
		if (p->stream.said != VOTE_NONE && p->stream.since > since)
			since = p->stream.since;
		for (size_t l = 0; l < vote->check->limits_count; l++)
			if (p->limits[l].level > level)
				level = p->limits[l].level;
	}
	said = vote_parts(&counts);
	if (said != VOTE_NONE && said != vote->said) {
		vote->said_since = since >= vote->said_since ? since : vote->last;
		vote->said = said;
	}
	vote->level = level;
	count_vote(v, vote, &(struct trigger){.since = vote->said == said ? vote->said_since : by->since,
		.reason = by->reason, .is_silence = by->is_silence});
}

static void part_remove(struct verdict_vote *vote, size_t i)
{
	verdict_part_free(vote->parts[i]);
	vote->parts[i] = vote->parts[--vote->count];
}

/* A family without an answer is told as the part "", one with answers by address: the newer kind replaces the other. */
static void drop_other_kind(struct verdict_vote *vote, const char *label, int64_t measured)
{
	for (size_t i = vote->count; i-- > 0;) {
		const struct verdict_part *p = vote->parts[i];

		if ((p->label[0] == '\0') != (label[0] == '\0') && p->stream.last < measured)
			part_remove(vote, i);
	}
}

static struct verdict_part *find_part(struct verdict_vote *vote, const char *label)
{
	for (size_t i = 0; i < vote->count; i++)
		if (strcmp(vote->parts[i]->label, label) == 0)
			return vote->parts[i];
	return NULL;
}

static bool take_limits(struct verdict_check *c, struct verdict_part *p, const struct verdict_result *r, int64_t measured)
{
	bool changed = false;

	for (size_t l = 0; l < c->limits_count; l++)
		for (size_t i = 0; i < r->count; i++)
			if (r->values[i].metric == c->limits[l].metric &&
				limit_take(&c->limits[l], &p->limits[l], r->values[i].number, r->values[i].baseline,
					measured))
				changed = true;
	return changed;
}

/* ---- time */

static void clamp(int64_t *time, int64_t now)
{
	if (*time > now)
		*time = now;
}

static void clamp_part(struct verdict_part *p, size_t limits, int64_t now)
{
	clamp(&p->stream.last, now);
	clamp(&p->stream.since, now);
	clamp(&p->stream.down_since, now);
	clamp(&p->stream.unknown_since, now);
	for (size_t l = 0; l < limits; l++) {
		clamp(&p->limits[l].last, now);
		clamp(&p->limits[l].since, now);
		clamp(&p->limits[l].beyond_since[LIMIT_WARN], now);
		clamp(&p->limits[l].beyond_since[LIMIT_CRITICAL], now);
	}
}

/* The clock went back: what is kept may not lie in the future, or new evidence would look old for as long. */
static void clamp_all(struct verdict *v, int64_t now)
{
	for (size_t i = 0; i < map_count(v->checks); i++) {
		struct verdict_check *c = map_at(v->checks, i, NULL);

		for (int f = 0; f < VERDICT_FAMILIES; f++)
			clamp(&c->cells[f].since, now);
		for (size_t k = 0; k < c->votes_count; k++) {
			struct verdict_vote *vote = &c->votes[k];

			clamp(&vote->last, now);
			clamp(&vote->since, now);
			clamp(&vote->said_since, now);
			for (size_t p = 0; p < vote->count; p++)
				clamp_part(vote->parts[p], c->limits_count, now);
			vote->is_dirty = true;
		}
		c->is_dirty = true;
	}
	for (size_t i = 0; i < map_count(v->nodes); i++)
		clamp(&((struct verdict_node *)map_at(v->nodes, i, NULL))->view.since, now);
	for (size_t i = 0; i < map_count(v->vantages); i++)
		for (int f = 0; f < VERDICT_FAMILIES; f++)
			clamp(&((struct verdict_vantage *)map_at(v->vantages, i, NULL))->up_at[f], now);
}

static void be_quiet(struct verdict *v)
{
	int64_t longest = 0;

	for (size_t i = 0; i < map_count(v->checks); i++) {
		const struct verdict_check *c = map_at(v->checks, i, NULL);

		if (c->interval > longest)
			longest = c->interval;
	}
	v->quiet_until = v->steady + longest + VERDICT_OPEN;
}

static void advance(struct verdict *v, int64_t now)
{
	int64_t step = v->now == 0 ? 0 : now - v->now;

	/* Entries that overtake each other by a little do not turn the clock back, or each would count twice. */
	if (step < 0 && step >= -NS_PER_S)
		return;
	if (step < 0)
		clamp_all(v, now);
	v->steady += step < 0 ? 0 : step > VERDICT_STEP ? VERDICT_STEP : step;
	if (step > VERDICT_STEP)
		be_quiet(v);
	v->now = now;
	v->is_dirty = true;
}

void verdict_opened(struct verdict *v, int64_t now)
{
	advance(v, now);
	be_quiet(v);
}

/* ---- silence */

/* An address that is not answered for while others are has left; when all have lapsed, the vote is silent. */
static void lapse_vote(struct verdict *v, struct verdict_vote *vote)
{
	int64_t since = vote->last + vote->check->interval;
	size_t lapsed = 0;

	for (size_t i = 0; i < vote->count; i++) {
		if (vote->parts[i]->fresh_until > v->steady)
			sooner(v, vote->parts[i]->fresh_until);
		else
			lapsed++;
	}
	if (lapsed == 0 || (lapsed == vote->count && vote->said == VOTE_UNKNOWN))
		return;
	vote->is_dirty = true;
	if (lapsed == vote->count)
		for (size_t i = 0; i < vote->count; i++)
			vote_lapse(&vote->parts[i]->stream, since);
	else
		for (size_t i = vote->count; i-- > 0;)
			if (vote->parts[i]->fresh_until <= v->steady)
				part_remove(vote, i);
	judge_vote(v, vote, &(struct trigger){.since = since, .is_silence = lapsed == vote->count,
		.reason = lapsed == vote->count ? "not measured" : ""});
	if (vote->check->is_anchor)
		judge_vantage(v, vote->vantage, vote->family, &(struct trigger){.since = since, .reason = "",
			.is_silence = true});
}

static void scan_check(struct verdict *v, struct verdict_check *c)
{
	for (size_t i = 0; i < c->votes_count; i++)
		lapse_vote(v, &c->votes[i]);
	for (int f = 0; f < VERDICT_FAMILIES; f++) {
		struct verdict_cell *cell = &c->cells[f];

		if (cell->contested == 0 || cell->is_path)
			continue;
		cell->is_path = v->steady - cell->contested >= VERDICT_PATH;
		if (cell->is_path)
			judge_family(v, c, f, &(struct trigger){.since = v->now,
				.reason = "not reached from every vantage"});
		else
			sooner(v, cell->contested + VERDICT_PATH);
	}
}

static void scan_vantage(struct verdict *v, struct verdict_vantage *vantage)
{
	if (vantage->is_silent || vantage->heard_until == 0)
		return;
	if (vantage->heard_until > v->steady) {
		sooner(v, vantage->heard_until);
		return;
	}
	vantage->is_silent = true;
	tell_vantage(v, vantage, &(struct trigger){.since = v->now, .reason = "silent", .is_silence = true});
}

void verdict_tick(struct verdict *v, int64_t now)
{
	advance(v, now);
	if (v->steady < v->quiet_until || v->steady < v->next_scan)
		return;
	v->next_scan = INT64_MAX;
	for (size_t i = 0; i < map_count(v->checks); i++)
		scan_check(v, map_at(v->checks, i, NULL));
	for (size_t i = 0; i < map_count(v->vantages); i++)
		scan_vantage(v, map_at(v->vantages, i, NULL));
}

/* ---- evidence */

struct verdict_vote *verdict_find_vote(const struct verdict *v, const char *check, const char *vantage, int family)
{
	struct verdict_check *c = map_find(v->checks, check);

	if (c == NULL)
		return NULL;
	for (size_t i = 0; i < c->votes_count; i++)
		if (c->votes[i].family == family && strcmp(c->votes[i].vantage->id, vantage) == 0)
			return &c->votes[i];
	return NULL;
}

static void hear(struct verdict *v, struct verdict_vantage *vantage, int64_t fresh_until, int64_t measured)
{
	if (fresh_until > vantage->heard_until) {
		vantage->heard_until = fresh_until;
		vantage->is_dirty = true;
	}
	if (!vantage->is_silent)
		return;
	vantage->is_silent = false;
	tell_vantage(v, vantage, &(struct trigger){.since = measured, .reason = "heard again"});
}

static void take(struct verdict *v, struct verdict_vote *vote, struct verdict_part *p, const struct verdict_result *r,
	int64_t measured)
{
	struct verdict_check *c = vote->check;
	bool changed, others = vote->count > 1;

	p->fresh_until = v->steady + 2 * c->interval + VERDICT_GRACE - (v->now - measured);
	/* After a silence the other parts have lapsed already, unseen: they are looked at anew. */
	sooner(v, others && vote->said == VOTE_UNKNOWN ? v->steady : p->fresh_until);
	vote->last = measured > vote->last ? measured : vote->last;
	vote->is_dirty = true;
	if (strcmp(p->reason, r->reason) != 0) {
		free(p->reason);
		p->reason = mem_strdup(r->reason);
	}
	changed = vote_take(&p->stream, r->outcome, measured, c->attempts);
	changed = take_limits(c, p, r, measured) || changed;
	hear(v, vote->vantage, p->fresh_until, measured);
	if (changed || others || vote->vote != vote->said)
		judge_vote(v, vote, &(struct trigger){.since = measured, .reason = r->reason});
	if (!c->is_anchor)
		return;
	if (r->outcome == OUTCOME_UP && measured > vote->vantage->up_at[vote->family])
		vote->vantage->up_at[vote->family] = measured;
	judge_vantage(v, vote->vantage, vote->family, &(struct trigger){.since = measured, .reason = r->reason});
}

/* Some vantage has seen it fail and not work again since. */
static bool is_doubted(const struct verdict_vote *vote)
{
	const struct verdict_check *c = vote->check;

	for (size_t i = 0; i < c->votes_count; i++) {
		const struct verdict_vote *other = &c->votes[i];

		if (other != vote && other->family == vote->family && !other->vantage->unwell[other->family] &&
			is_failing(other))
			return true;
	}
	return false;
}

static enum verdict_evidence worth(const struct verdict_vote *vote, enum outcome outcome)
{
	if (vote->check->subject == NULL || vote->check->severity != SEVERITY_CRITICAL || outcome == OUTCOME_UNKNOWN ||
		vote->vantage->unwell[vote->family])
		return EVIDENCE_NONE;
	if (outcome == OUTCOME_DOWN)
		return EVIDENCE_DOWN;
	return is_doubted(vote) ? EVIDENCE_NONE : EVIDENCE_UP;
}

enum verdict_evidence verdict_result(struct verdict *v, const struct verdict_result *r, int64_t now,
	const struct verdict_subject **subject)
{
	int64_t measured = r->measured < now ? r->measured : now;
	struct verdict_vote *vote;
	struct verdict_part *p;
	enum verdict_evidence evidence;

	*subject = NULL;
	advance(v, now);
	v->counts.results++;
	vote = verdict_find_vote(v, r->check, r->vantage, verdict_family_index(r->family));
	if (vote == NULL) {
		v->counts.unplanned++;
		return EVIDENCE_NONE;
	}
	if (now - measured > 2 * vote->check->interval) {
		v->counts.stale++;
		return EVIDENCE_NONE;
	}
	p = find_part(vote, r->part);
	if (p == NULL && vote->count == VERDICT_PARTS) {
		v->counts.overflow++;
		return EVIDENCE_NONE;
	}
	if (p != NULL && measured <= p->stream.last) {
		v->counts.late++;
		return EVIDENCE_NONE;
	}
	if (p == NULL)
		p = verdict_part_add(vote, r->part);
	drop_other_kind(vote, r->part, measured);
	take(v, vote, p, r, measured);
	evidence = worth(vote, r->outcome);
	if (evidence != EVIDENCE_NONE)
		*subject = &vote->check->subject->view;
	return evidence;
}

void verdict_judge_all(struct verdict *v, int64_t since)
{
	struct trigger by = no_trigger;

	by.since = since;
	for (size_t i = 0; i < map_count(v->checks); i++) {
		struct verdict_check *c = map_at(v->checks, i, NULL);

		for (size_t k = 0; k < c->votes_count; k++)
			count_vote(v, &c->votes[k], &by);
		judge_check(v, c, &by);
	}
}

/* ---- views */

const struct verdict_subject *verdict_subject(const struct verdict *v, const char *id)
{
	struct verdict_node *n = map_find(v->nodes, id);

	return n == NULL ? NULL : &n->view;
}

const struct verdict_subject *verdict_subject_at(const struct verdict *v, size_t i)
{
	return i < map_count(v->nodes) ? &((struct verdict_node *)map_at(v->nodes, i, NULL))->view : NULL;
}

static const char *vote_reason(const struct verdict_vote *vote)
{
	for (size_t i = 0; i < vote->count; i++)
		if (vote->parts[i]->stream.last_outcome != OUTCOME_UP && vote->parts[i]->reason[0] != '\0')
			return vote->parts[i]->reason;
	return "";
}

size_t verdict_ballots(const struct verdict *v, const char *check, struct verdict_ballot *out, size_t room)
{
	const struct verdict_check *c = map_find(v->checks, check);

	for (size_t i = 0; c != NULL && i < c->votes_count && i < room; i++) {
		const struct verdict_vote *vote = &c->votes[i];

		out[i] = (struct verdict_ballot){.vantage = vote->vantage->id, .family = verdict_family(vote->family),
			.vote = vote->vote, .said = vote->said, .since = vote->since, .last = vote->last,
			.reason = vote_reason(vote)};
	}
	return c == NULL ? 0 : c->votes_count;
}

enum pair verdict_check_pair(const struct verdict *v, const char *check)
{
	const struct verdict_check *c = map_find(v->checks, check);

	return c == NULL ? PAIR_NONE : c->pair;
}

void verdict_counts(const struct verdict *v, struct verdict_counts *out)
{
	*out = v->counts;
}
