#include "collector/judge/vote.h"

#include <assert.h>

static bool say(struct vote_stream *s, enum vote vote, int64_t since)
{
	if (s->said == vote)
		return false;
	s->said = vote;
	s->since = since;
	return true;
}

static bool take_up(struct vote_stream *s, int64_t at)
{
	s->downs = 0;
	s->unknowns = 0;
	return say(s, VOTE_UP, at);
}

static bool take_down(struct vote_stream *s, int64_t at, uint32_t attempts)
{
	if (s->downs == 0)
		s->down_since = at;
	if (s->downs < attempts)
		s->downs++;
	if (s->downs < attempts)
		return false;
	s->unknowns = 0;
	return say(s, VOTE_DOWN, s->down_since);
}

static bool take_unknown(struct vote_stream *s, int64_t at, uint32_t attempts)
{
	if (s->unknowns == 0)
		s->unknown_since = at;
	if (s->unknowns < attempts)
		s->unknowns++;
	if (s->unknowns < attempts)
		return false;
	s->downs = 0;
	return say(s, VOTE_UNKNOWN, s->unknown_since);
}

bool vote_take(struct vote_stream *s, enum outcome outcome, int64_t at, uint32_t attempts)
{
	assert(attempts > 0);
	if (at <= s->last)
		return false;
	s->last = at;
	s->last_outcome = outcome;
	switch (outcome) {
	case OUTCOME_UP:
		return take_up(s, at);
	case OUTCOME_DOWN:
		return take_down(s, at, attempts);
	case OUTCOME_UNKNOWN:
		break;
	}
	return take_unknown(s, at, attempts);
}

bool vote_lapse(struct vote_stream *s, int64_t since)
{
	s->downs = 0;
	s->unknowns = 0;
	return say(s, VOTE_UNKNOWN, since);
}

void vote_add(struct vote_counts *c, enum vote vote)
{
	switch (vote) {
	case VOTE_NONE:
		break;
	case VOTE_UP:
		c->up++;
		break;
	case VOTE_PARTIAL:
		c->partial++;
		break;
	case VOTE_DOWN:
		c->down++;
		break;
	case VOTE_UNKNOWN:
		c->unknown++;
		break;
	}
}

enum vote vote_parts(const struct vote_counts *c)
{
	if (c->down > 0 && c->up + c->partial == 0 && c->unknown == 0)
		return VOTE_DOWN;
	if (c->down > 0 || c->partial > 0)
		return c->up + c->partial > 0 ? VOTE_PARTIAL : VOTE_UNKNOWN;
	if (c->unknown > 0)
		return VOTE_UNKNOWN;
	return c->up > 0 ? VOTE_UP : VOTE_NONE;
}

uint32_t vote_quorum(const struct vote_counts *c, uint32_t quorum)
{
	return quorum > 0 ? quorum : (c->up + c->partial + c->down) / 2 + 1;
}

enum vote vote_count(const struct vote_counts *c, uint32_t quorum, bool *contested)
{
	uint32_t reached = c->up + c->partial, k = vote_quorum(c, quorum);

	*contested = false;
	if (c->down >= k)
		return VOTE_DOWN;
	if (reached == 0)
		return c->down + c->unknown > 0 ? VOTE_UNKNOWN : VOTE_NONE;
	*contested = c->down > 0;
	return c->partial > 0 && c->partial + c->down >= k ? VOTE_PARTIAL : VOTE_UP;
}

enum pair vote_pair(enum vote v4, enum vote v6)
{
	bool up4 = v4 == VOTE_UP || v4 == VOTE_PARTIAL, up6 = v6 == VOTE_UP || v6 == VOTE_PARTIAL;

	if (v4 == VOTE_NONE && v6 == VOTE_NONE)
		return PAIR_NONE;
	if (v4 == VOTE_UNKNOWN || v6 == VOTE_UNKNOWN)
		return PAIR_UNKNOWN;
	if (v4 == VOTE_NONE || v6 == VOTE_NONE)
		return up4 || up6 ? PAIR_UP : PAIR_DOWN;
	if (up4 && up6)
		return PAIR_UP;
	if (!up4 && !up6)
		return PAIR_DOWN;
	return up4 ? PAIR_V4_ONLY : PAIR_V6_ONLY;
}

const char *vote_name(enum vote vote)
{
	static const char *const names[] = {"none", "up", "unknown", "partial", "down"};

	return names[vote];
}

const char *vote_pair_name(enum pair pair)
{
	static const char *const names[] = {"none", "up", "v4-only", "v6-only", "down", "unknown"};

	return names[pair];
}
