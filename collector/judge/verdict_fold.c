#include "collector/judge/verdict_parts.h"

#include <stdlib.h>
#include <string.h>

#include "lib/map.h"
#include "lib/mem.h"

/* ---- parts of a vote */

static void part_remove(struct verdict_vote *vote, size_t i)
{
	verdict_part_free(vote->parts[i]);
	vote->parts[i] = vote->parts[--vote->count];
}

/* A family without an answer is told as the part "", one with answers by address: the newer kind replaces the other. Types that tell of
 * the whole and of parts say both in each run, at one time, the whole first: those stay together, and what one run did not tell of goes. */
static void drop_other_kind(struct verdict_vote *vote, const struct verdict_part *came, int64_t measured)
{
	for (size_t i = vote->count; i-- > 0;) {
		const struct verdict_part *p = vote->parts[i];

		if ((p->label[0] == '\0') != (came->label[0] == '\0') && p->stream.last < measured && p->stream.last != came->stream.last)
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

		for (int f = 0; f < VERDICT_FAMILIES; f++) {
			clamp(&c->cells[f].since, now);
			clamp(&c->cells[f].was_since, now);
		}
		for (size_t k = 0; k < c->votes_count; k++) {
			struct verdict_vote *vote = &c->votes[k];

			clamp(&vote->last, now);
			clamp(&vote->since, now);
			clamp(&vote->said_since, now);
			for (size_t p = 0; p < vote->count; p++)
				clamp_part(vote->parts[p], c->limits_count, now);
			verdict_touch_vote(v, vote);
		}
		verdict_touch(v, c);
	}
	for (size_t i = 0; i < map_count(v->nodes); i++) {
		struct verdict_node *n = map_at(v->nodes, i, NULL);

		clamp(&n->view.since, now);
		for (int f = 0; f < VERDICT_FAMILIES; f++)
			clamp(&n->view.families_since[f], now);
		n->is_dirty = true;
	}
	for (size_t i = 0; i < map_count(v->vantages); i++) {
		struct verdict_vantage *w = map_at(v->vantages, i, NULL);

		for (int f = 0; f < VERDICT_FAMILIES; f++)
			clamp(&w->up_at[f], now);
		w->is_dirty = true;
	}
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

void verdict_sooner(struct verdict *v, int64_t deadline)
{
	if (deadline < v->next_scan)
		v->next_scan = deadline;
}

/* An address that is not answered for while others are has left; when all have lapsed, the vote is silent. */
static void lapse_vote(struct verdict *v, struct verdict_vote *vote)
{
	int64_t since = vote->last + vote->check->interval;
	size_t lapsed = 0;

	for (size_t i = 0; i < vote->count; i++) {
		if (vote->parts[i]->fresh_until > v->steady)
			verdict_sooner(v, vote->parts[i]->fresh_until);
		else
			lapsed++;
	}
	if (lapsed == 0 || (lapsed == vote->count && vote->said == VOTE_UNKNOWN))
		return;
	verdict_touch_vote(v, vote);
	if (lapsed == vote->count)
		for (size_t i = 0; i < vote->count; i++)
			vote_lapse(&vote->parts[i]->stream, since);
	else
		for (size_t i = vote->count; i-- > 0;)
			if (vote->parts[i]->fresh_until <= v->steady)
				part_remove(vote, i);
	verdict_judge_vote(v, vote, &(struct verdict_trigger){.since = since, .is_silence = lapsed == vote->count,
		.reason = lapsed == vote->count ? "not measured" : ""});
	if (vote->check->is_anchor)
		verdict_judge_vantage(v, vote->vantage, vote->family, &(struct verdict_trigger){.since = since, .reason = "",
			.is_silence = true});
}

static bool is_way_down(const struct verdict_vantage *w, int family)
{
	for (size_t i = 0; i < w->ways_count; i++)
		if (w->ways[i]->view.families[family] == STATE_DOWN)
			return true;
	return false;
}

/* Who sees it down does so through something that is down. */
static bool is_explained(const struct verdict_check *c, int family)
{
	for (size_t i = 0; i < c->votes_count; i++)
		if (c->votes[i].family == family && c->votes[i].vote == VOTE_DOWN && !is_way_down(c->votes[i].vantage, family))
			return false;
	return true;
}

static void scan_path(struct verdict *v, struct verdict_check *c, int family)
{
	struct verdict_cell *cell = &c->cells[family];

	if (v->steady - cell->contested >= VERDICT_PATH && is_explained(c, family)) {
		cell->contested = v->steady;
		verdict_touch(v, c);
	}
	cell->is_path = v->steady - cell->contested >= VERDICT_PATH;
	if (cell->is_path)
		verdict_judge_family(v, c, family, &(struct verdict_trigger){.since = v->now,
			.reason = "not reached from every vantage"});
	else
		verdict_sooner(v, cell->contested + VERDICT_PATH);
}

static void scan_check(struct verdict *v, struct verdict_check *c)
{
	for (size_t i = 0; i < c->votes_count; i++)
		lapse_vote(v, &c->votes[i]);
	for (int f = 0; f < VERDICT_FAMILIES; f++)
		if (c->cells[f].contested != 0 && !c->cells[f].is_path)
			scan_path(v, c, f);
}

static void scan_vantage(struct verdict *v, struct verdict_vantage *vantage)
{
	if (vantage->is_silent || vantage->heard_until == 0)
		return;
	if (vantage->heard_until > v->steady) {
		verdict_sooner(v, vantage->heard_until);
		return;
	}
	vantage->is_silent = true;
	verdict_tell_vantage(v, vantage, &(struct verdict_trigger){.since = v->now, .reason = "silent", .is_silence = true});
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
	verdict_tell_vantage(v, vantage, &(struct verdict_trigger){.since = measured, .reason = "heard again"});
}

static void take(struct verdict *v, struct verdict_vote *vote, struct verdict_part *p, const struct verdict_result *r,
	int64_t measured)
{
	struct verdict_check *c = vote->check;
	bool changed, others = vote->count > 1;

	p->fresh_until = v->steady + 2 * c->interval + VERDICT_GRACE - (v->now - measured);
	/* After a silence the other parts have lapsed already, unseen: they are looked at anew. */
	verdict_sooner(v, others && vote->said == VOTE_UNKNOWN ? v->steady : p->fresh_until);
	vote->last = measured > vote->last ? measured : vote->last;
	verdict_touch_vote(v, vote);
	if (strcmp(p->reason, r->reason) != 0) {
		free(p->reason);
		p->reason = mem_strdup(r->reason);
	}
	changed = vote_take(&p->stream, r->outcome, measured, c->attempts);
	changed = take_limits(c, p, r, measured) || changed;
	hear(v, vote->vantage, p->fresh_until, measured);
	if (changed || others || vote->vote != vote->said)
		verdict_judge_vote(v, vote, &(struct verdict_trigger){.since = measured, .reason = r->reason});
	if (!c->is_anchor)
		return;
	if (r->outcome == OUTCOME_UP && measured > vote->vantage->up_at[vote->family])
		vote->vantage->up_at[vote->family] = measured;
	verdict_judge_vantage(v, vote->vantage, vote->family, &(struct verdict_trigger){.since = measured, .reason = r->reason});
}

/* Some vantage has seen it fail and not work again since. */
static bool is_doubted(const struct verdict_vote *vote)
{
	const struct verdict_check *c = vote->check;

	for (size_t i = 0; i < c->votes_count; i++) {
		const struct verdict_vote *other = &c->votes[i];

		if (other != vote && other->family == vote->family && !other->vantage->unwell[other->family] &&
			verdict_is_failing(other))
			return true;
	}
	return false;
}

static enum verdict_evidence worth(const struct verdict_vote *vote, const struct verdict_part *p, enum outcome outcome)
{
	const struct verdict_part *whole = verdict_whole(vote);

	if (whole != NULL && whole != p) /* it has spoken for the subject */
		return EVIDENCE_NONE;
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
	drop_other_kind(vote, p, measured);
	take(v, vote, p, r, measured);
	evidence = worth(vote, p, r->outcome);
	if (evidence != EVIDENCE_NONE)
		*subject = &vote->check->subject->view;
	return evidence;
}
