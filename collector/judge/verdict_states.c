#include "collector/judge/verdict_parts.h"

#include <stdlib.h>
#include <string.h>

#include "lib/map.h"
#include "lib/mem.h"

/* ---- subjects: what their checks make of them */

static const struct verdict_trigger no_trigger = {.reason = ""};

static int64_t later(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static struct verdict_roll roll_at(const struct verdict_node *n, int64_t at)
{
	struct verdict_roll roll = {0};

	for (size_t i = 0; i < n->count; i++) {
		enum state states[VERDICT_FAMILIES];

		for (int f = 0; f < VERDICT_FAMILIES; f++) {
			const struct verdict_cell *cell = &n->checks[i]->cells[f];

			states[f] = at >= cell->since ? cell->state : cell->was;
		}
		verdict_roll_add(&roll, n->checks[i]->severity, states);
	}
	return roll;
}

struct times {
	int64_t of[VERDICT_VANTAGES]; /* ascending */
	size_t count;
};

static void add_time(struct times *t, int64_t time)
{
	size_t at;

	if (t->count == VERDICT_VANTAGES)
		return;
	for (at = t->count++; at > 0 && t->of[at - 1] > time; at--)
		t->of[at] = t->of[at - 1];
	t->of[at] = time;
}

/* The times since `since` at which its cells changed, that first: as far back as what they were is known. */
static struct times changes_since(const struct verdict_node *n, int64_t since)
{
	struct times times = {.count = 0};
	int64_t known = since;

	for (size_t i = 0; i < n->count; i++)
		for (int f = 0; f < VERDICT_FAMILIES; f++) {
			const struct verdict_cell *cell = &n->checks[i]->cells[f];

			if (cell->state == STATE_NONE || cell->since <= since)
				continue;
			add_time(&times, cell->since);
			known = later(known, cell->was_since);
		}
	while (times.count > 0 && times.of[0] <= known)
		memmove(times.of, times.of + 1, --times.count * sizeof times.of[0]);
	add_time(&times, known);
	return times;
}

/* What was so at these times, by what is known now. family: of the index, or -1 the whole. Gives since when it is as it is. */
static int64_t tell_past(struct verdict *v, const struct verdict_node *n, const struct times *times, int family,
	const struct verdict_trigger *by)
{
	enum state was = STATE_NONE;
	int64_t since = times->of[0];

	for (size_t i = 0; i < times->count; i++) {
		struct verdict_roll roll = roll_at(n, times->of[i]);
		enum state state = family < 0 ? verdict_roll_state(&roll) : verdict_roll_family(&roll, family);

		if (i > 0 && state == was)
			continue;
		was = state;
		since = times->of[i];
		if (times->count > 1)
			verdict_tell(v, &(struct verdict_change){.what = VERDICT_PAST, .subject = n->view.id, .since = since,
				.state = state, .family = family < 0 ? FAMILY_NONE : verdict_family(family),
				.reason = by->reason});
	}
	return since;
}

/* Since when it is what it is; gives the families that changed. What is confirmed later than something that began later lies
 * behind it: the time between is told anew. */
static unsigned date_subject(struct verdict *v, struct verdict_node *n, const struct verdict_subject *before,
	const struct verdict_trigger *by)
{
	struct times times = {.count = 1, .of = {by->since}};
	int64_t since;
	unsigned changed = 0;

	if (by->is_of_family)
		times = changes_since(n, by->since);
	since = tell_past(v, n, &times, -1, by);
	if (n->view.state != before->state)
		n->view.since = since;
	for (int f = 0; f < VERDICT_FAMILIES; f++) {
		since = by->is_of_family && by->family == f ? tell_past(v, n, &times, f, by) : by->since;
		if (n->view.families[f] == before->families[f])
			continue;
		n->view.families_since[f] = since;
		changed |= 1u << f;
	}
	return changed;
}

static void judge_subject(struct verdict *v, struct verdict_node *n, const struct verdict_trigger *by)
{
	struct verdict_roll roll = {0};
	struct verdict_subject *view = &n->view, before = n->view;
	unsigned changed;

	view->level = LIMIT_OK;
	for (size_t i = 0; i < n->count; i++) {
		enum state states[VERDICT_FAMILIES];

		for (int f = 0; f < VERDICT_FAMILIES; f++) {
			states[f] = n->checks[i]->cells[f].state;
			if (n->checks[i]->cells[f].level > view->level)
				view->level = n->checks[i]->cells[f].level;
		}
		verdict_roll_add(&roll, n->checks[i]->severity, states);
	}
	for (int f = 0; f < VERDICT_FAMILIES; f++)
		view->families[f] = verdict_roll_family(&roll, f);
	view->faults = verdict_roll_faults(&roll);
	view->state = verdict_roll_state(&roll);
	changed = date_subject(v, n, &before, by);
	if (view->state == before.state && view->faults == before.faults && view->level == before.level && changed == 0)
		return;
	free((char *)view->reason);
	view->reason = mem_strdup(by->reason);
	n->is_dirty = true;
	verdict_tell(v, &(struct verdict_change){.what = VERDICT_SUBJECT, .subject = view->id, .was = before.state,
		.state = view->state, .faults = view->faults, .changed = changed, .level = view->level, .is_silence = by->is_silence,
		.since = view->state != before.state ? view->since : later(by->since, view->since), .reason = by->reason});
}

/* ---- checks: what their families make of them */

static void judge_check(struct verdict *v, struct verdict_check *c, const struct verdict_trigger *by)
{
	enum vote votes[VERDICT_FAMILIES] = {0};
	enum state was = c->state, states[VERDICT_FAMILIES];
	enum pair pair;

	for (int f = 0; f < VERDICT_FAMILIES; f++) {
		states[f] = c->cells[f].state;
		if ((c->families & 1u << f) != 0)
			votes[f] = c->cells[f].vote == VOTE_NONE ? VOTE_UNKNOWN : c->cells[f].vote;
	}
	c->state = verdict_check_state(states);
	pair = (c->families & FAULT_OWN) != 0 ? vote_pair(votes[VERDICT_OWN], VOTE_NONE)
					      : vote_pair(votes[VERDICT_V4], votes[VERDICT_V6]);
	if (c->state != was || pair != c->pair) {
		c->pair = pair;
		verdict_tell(v, &(struct verdict_change){.what = VERDICT_CHECK, .check = c->id,
			.subject = c->subject == NULL ? "" : c->subject->view.id, .was = was, .state = c->state,
			.pair = pair, .is_silence = by->is_silence, .since = by->since, .reason = by->reason});
	}
	if (c->subject != NULL)
		judge_subject(v, c->subject, by);
}

/* ---- families: what the vantages make of them */

static int64_t kth(const struct times *t, uint32_t k)
{
	return k > 0 && k <= t->count ? t->of[k - 1] : 0;
}

/* From when k votes said "down": the k-th of them. */
static int64_t quorum_since(const struct verdict_check *c, int family, uint32_t k)
{
	struct times times = {.count = 0};

	for (size_t i = 0; i < c->votes_count; i++)
		if (c->votes[i].family == family && c->votes[i].vote == VOTE_DOWN)
			add_time(&times, c->votes[i].since);
	return kth(&times, k);
}

/* From when a limit of it has been passed by so much. */
static int64_t level_since(const struct verdict_vote *vote, enum limit_level level)
{
	int64_t since = INT64_MAX;

	for (size_t i = 0; i < vote->count; i++)
		for (size_t l = 0; l < vote->check->limits_count; l++) {
			const struct limit_state *s = &vote->parts[i]->limits[l];

			if (s->level >= level && s->since < since)
				since = s->since;
		}
	return since;
}

static int64_t quorum_level_since(const struct verdict_check *c, int family, uint32_t k, enum limit_level level)
{
	struct times times = {.count = 0};

	for (size_t i = 0; i < c->votes_count; i++) {
		const struct verdict_vote *vote = &c->votes[i];

		if (vote->family == family && vote->level >= level && vote->vote != VOTE_NONE && vote->vote != VOTE_UNKNOWN)
			add_time(&times, level_since(vote, level));
	}
	return kth(&times, k);
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

static void follow_contest(struct verdict *v, struct verdict_cell *cell, bool contested)
{
	if (!contested) {
		cell->contested = 0;
		cell->is_path = false;
	} else if (cell->contested == 0) {
		cell->contested = v->steady;
		verdict_sooner(v, v->steady + VERDICT_PATH);
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

void verdict_judge_family(struct verdict *v, struct verdict_check *c, int family, const struct verdict_trigger *by)
{
	struct verdict_cell *cell = &c->cells[family], before = *cell;
	struct vote_counts counts = {0};
	struct verdict_trigger told = *by;
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
		verdict_touch(v, c);
	if (cell->state == before.state && cell->level == before.level && cell->vote == before.vote)
		return;
	if (cell->vote == VOTE_DOWN && before.vote != VOTE_DOWN) {
		told.since = quorum_since(c, family, k);
		/* Who had outvoted it has gone: until then it counted as up. */
		if (!by->is_down)
			told.since = later(told.since, by->since);
	} else {
		if (by->is_raised && cell->level > before.level)
			told.since = quorum_level_since(c, family, k, cell->level);
		told.since = later(told.since, before.since);
	}
	told.is_of_family = true;
	told.family = family;
	if (cell->state != before.state) {
		cell->since = told.since;
		if (told.since > before.since) {
			cell->was = before.state;
			cell->was_since = before.since;
		}
	}
	verdict_touch(v, c);
	verdict_tell(v, &(struct verdict_change){.what = VERDICT_FAMILY, .check = c->id,
		.subject = c->subject == NULL ? "" : c->subject->view.id, .family = verdict_family(family),
		.was = before.state, .state = cell->state, .vote = cell->vote, .level = cell->level,
		.is_silence = told.is_silence, .since = told.since, .reason = told.reason});
	judge_check(v, c, &told);
}

/* ---- vantages: is their own ground firm? */

/* Nothing of it was up when it was looked at last. */
bool verdict_is_failing(const struct verdict_vote *a)
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
		all = all && (confirmed ? a->said == VOTE_DOWN : verdict_is_failing(a));
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

static void count_vote(struct verdict *v, struct verdict_vote *vote, const struct verdict_trigger *by)
{
	enum vote before = vote->vote, counted = vote->said;
	struct verdict_trigger with = *by;

	if (vote->check->is_anchor)
		counted = vote->said;
	else if (vote->vantage->unwell[vote->family])
		counted = VOTE_NONE;
	else if (counted == VOTE_DOWN && !down_counts(vote))
		counted = before;
	if (counted != before) {
		vote->vote = counted;
		vote->since = counted == vote->said ? vote->said_since : by->since;
		verdict_touch_vote(v, vote);
		verdict_tell(v, &(struct verdict_change){.what = VERDICT_BALLOT, .check = vote->check->id,
			.subject = vote->check->subject == NULL ? "" : vote->check->subject->view.id,
			.vantage = vote->vantage->id, .family = verdict_family(vote->family), .vote = counted,
			.is_silence = by->is_silence, .since = vote->since, .reason = by->reason});
	}
	with.is_down = counted != before && counted == VOTE_DOWN;
	verdict_judge_family(v, vote->check, vote->family, &with);
}

/* What was seen while the ground was not firm is no evidence: it has to be seen again. */
static void forget_votes(struct verdict *v, struct verdict_vantage *vantage, int family)
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
		verdict_touch_vote(v, vote);
	}
}

void verdict_tell_vantage(struct verdict *v, struct verdict_vantage *vantage, const struct verdict_trigger *by)
{
	bool unwell = false;

	for (int f = 0; f < VERDICT_FAMILIES; f++)
		unwell = unwell || vantage->unwell[f];
	vantage->is_dirty = true;
	verdict_tell(v, &(struct verdict_change){.what = VERDICT_VANTAGE, .vantage = vantage->id, .since = by->since,
		.is_silent = vantage->is_silent, .is_unwell = unwell, .is_silence = by->is_silence,
		.reason = by->reason});
}

/* An anchor has said something. */
void verdict_judge_vantage(struct verdict *v, struct verdict_vantage *vantage, int family, const struct verdict_trigger *by)
{
	unsigned known;
	bool unwell = anchors_fail(vantage, family, true, &known);

	if (vantage->unwell[family] && !unwell)
		forget_votes(v, vantage, family);
	if (vantage->unwell[family] != unwell) {
		vantage->unwell[family] = unwell;
		verdict_tell_vantage(v, vantage, by);
	}
	for (size_t i = 0; i < vantage->votes_count; i++) {
		struct verdict_vote *vote = vantage->votes[i];

		if (vote->family == family && !vote->check->is_anchor && (vote->vote != vote->said || unwell))
			count_vote(v, vote, by);
	}
}

/* ---- one vote: what its parts make of it */

const struct verdict_part *verdict_whole(const struct verdict_vote *vote)
{
	for (size_t i = 0; i < vote->count; i++) {
		if (vote->parts[i]->label[0] == '\0')
			return vote->parts[i];
	}
	return NULL;
}

void verdict_judge_vote(struct verdict *v, struct verdict_vote *vote, const struct verdict_trigger *by)
{
	const struct verdict_part *whole = verdict_whole(vote);
	struct vote_counts counts = {0};
	enum limit_level level = LIMIT_OK;
	int64_t since = 0;
	enum vote said;
	bool changed, raised;

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
	if (whole != NULL && whole->stream.said == VOTE_DOWN) { /* whatever is still up of it */
		said = VOTE_DOWN;
		since = whole->stream.since;
	}
	changed = said != VOTE_NONE && said != vote->said;
	if (changed) {
		vote->said_since = since >= vote->said_since ? since : vote->last;
		vote->said = said;
	}
	raised = level > vote->level;
	vote->level = level;
	count_vote(v, vote, &(struct verdict_trigger){.since = changed ? vote->said_since : by->since, .is_raised = raised,
		.reason = by->reason, .is_silence = by->is_silence});
}

void verdict_judge_all(struct verdict *v, int64_t since)
{
	struct verdict_trigger by = no_trigger;

	by.since = since;
	for (size_t i = 0; i < map_count(v->checks); i++) {
		struct verdict_check *c = map_at(v->checks, i, NULL);

		for (size_t k = 0; k < c->votes_count; k++)
			count_vote(v, &c->votes[k], &by);
		judge_check(v, c, &by);
	}
}
