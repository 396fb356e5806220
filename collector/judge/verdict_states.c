#include "collector/judge/verdict_parts.h"

#include <stdlib.h>
#include <string.h>

#include "lib/map.h"
#include "lib/mem.h"

/* ---- subjects: what their checks make of them */

static const struct verdict_trigger no_trigger = {.reason = ""};

static void judge_subject(struct verdict *v, struct verdict_node *n, const struct verdict_trigger *by)
{
	struct verdict_roll roll = {0};
	struct verdict_subject *view = &n->view, before = n->view;

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
	if (view->state == before.state && view->faults == before.faults && view->level == before.level &&
		memcmp(view->families, before.families, sizeof view->families) == 0)
		return;
	if (view->state != before.state)
		view->since = by->since > before.since ? by->since : before.since;
	free((char *)view->reason);
	view->reason = mem_strdup(by->reason);
	n->is_dirty = true;
	verdict_tell(v, &(struct verdict_change){.what = VERDICT_SUBJECT, .subject = view->id, .was = before.state,
		.state = view->state, .faults = view->faults, .level = view->level, .is_silence = by->is_silence,
		.since = by->since, .reason = by->reason});
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
		verdict_tell(v, &(struct verdict_change){.what = VERDICT_BALLOT, .check = vote->check->id,
			.subject = vote->check->subject == NULL ? "" : vote->check->subject->view.id,
			.vantage = vote->vantage->id, .family = verdict_family(vote->family), .vote = counted,
			.is_silence = by->is_silence, .since = vote->since, .reason = by->reason});
	}
	verdict_judge_family(v, vote->check, vote->family, by);
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
		forget_votes(vantage, family);
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
	if (said != VOTE_NONE && said != vote->said) {
		vote->said_since = since >= vote->said_since ? since : vote->last;
		vote->said = said;
	}
	vote->level = level;
	count_vote(v, vote, &(struct verdict_trigger){.since = vote->said == said ? vote->said_since : by->since,
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
