#include "collector/judge/verdict_parts.h"

#include <stdlib.h>
#include <string.h>

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

void verdict_tell(struct verdict *v, const struct verdict_change *change)
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

const char *verdict_check_at(const struct verdict *v, size_t i, const char **subject)
{
	const struct verdict_check *c;

	if (i >= map_count(v->checks))
		return NULL;
	c = map_at(v->checks, i, NULL);
	*subject = c->subject == NULL ? "" : c->subject->view.id;
	return c->id;
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

unsigned verdict_limits_on(const struct verdict *v, const char *check, uint32_t metric)
{
	const struct verdict_check *c = map_find(v->checks, check);
	unsigned bits = 0;

	for (size_t i = 0; c != NULL && i < c->limits_count; i++)
		if (c->limits[i].metric == metric)
			bits |= 1u << c->limits[i].of;
	return bits;
}

void verdict_counts(const struct verdict *v, struct verdict_counts *out)
{
	*out = v->counts;
}
