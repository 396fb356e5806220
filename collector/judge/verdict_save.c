#include "collector/judge/verdict_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/judge/record.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"

#define VERSION 1

const char *verdict_key_vote(const struct verdict_vote *vote, char *key)
{
	snprintf(key, RECORD_KEY, "vote/%s/%s/%d", vote->check->id, vote->vantage->id, vote->family);
	return key;
}

const char *verdict_key_check(const struct verdict_check *c, char *key)
{
	snprintf(key, RECORD_KEY, "check/%s", c->id);
	return key;
}

const char *verdict_key_node(const struct verdict_node *n, char *key)
{
	snprintf(key, RECORD_KEY, "subject/%s", n->view.id);
	return key;
}

const char *verdict_key_vantage(const struct verdict_vantage *w, char *key)
{
	snprintf(key, RECORD_KEY, "vantage/%s", w->id);
	return key;
}

/* ---- one record of each kind, both ways */

static void encode_part(const struct verdict_part *p, size_t limits, struct buf *b)
{
	const struct vote_stream *s = &p->stream;

	record_add_text(b, p->label);
	record_add_text(b, p->reason);
	buf_add_u8(b, (uint8_t)s->said);
	buf_add_u8(b, (uint8_t)s->last_outcome);
	buf_add_u32(b, s->downs);
	buf_add_u32(b, s->unknowns);
	record_add_time(b, s->since);
	record_add_time(b, s->last);
	record_add_time(b, s->down_since);
	record_add_time(b, s->unknown_since);
	record_add_time(b, p->fresh_until);
	for (size_t i = 0; i < limits; i++)
		limit_encode(&p->limits[i], b);
}

static enum vote read_vote(struct cursor *c)
{
	uint8_t vote = cursor_u8(c);

	if (vote > VOTE_DOWN)
		c->failed = true;
	return vote <= VOTE_DOWN ? (enum vote)vote : VOTE_NONE;
}

static enum state read_state(struct cursor *c)
{
	uint8_t state = cursor_u8(c);

	if (state > STATE_MAINTENANCE)
		c->failed = true;
	return state <= STATE_MAINTENANCE ? (enum state)state : STATE_UNKNOWN;
}

static enum limit_level read_level(struct cursor *c)
{
	uint8_t level = cursor_u8(c);

	if (level > LIMIT_CRITICAL)
		c->failed = true;
	return level <= LIMIT_CRITICAL ? (enum limit_level)level : LIMIT_OK;
}

/* limits: as many as the record has; kept: whether they are those of the plan. */
static void decode_part(struct verdict_vote *vote, size_t limits, bool kept, struct cursor *c)
{
	char *label = record_text(c);
	struct verdict_part *p = verdict_part_add(vote, label);
	struct vote_stream *s = &p->stream;

	free(label);
	free(p->reason);
	p->reason = record_text(c);
	s->said = read_vote(c);
	s->last_outcome = (enum outcome)cursor_u8(c);
	s->downs = cursor_u32(c);
	s->unknowns = cursor_u32(c);
	s->since = record_time(c);
	s->last = record_time(c);
	s->down_since = record_time(c);
	s->unknown_since = record_time(c);
	p->fresh_until = record_time(c);
	for (size_t i = 0; i < limits; i++) {
		struct limit_state state;

		limit_decode(&state, c);
		if (kept)
			p->limits[i] = state;
	}
}

static void encode_vote(const struct verdict_vote *vote, struct buf *b)
{
	buf_add_u8(b, (uint8_t)vote->said);
	buf_add_u8(b, (uint8_t)vote->vote);
	buf_add_u8(b, (uint8_t)vote->level);
	record_add_time(b, vote->said_since);
	record_add_time(b, vote->since);
	record_add_time(b, vote->last);
	buf_add_u8(b, (uint8_t)vote->check->limits_count);
	buf_add_u16(b, (uint16_t)vote->count);
	for (size_t i = 0; i < vote->count; i++)
		encode_part(vote->parts[i], vote->check->limits_count, b);
}

static void decode_vote(struct verdict_vote *vote, struct cursor *c)
{
	size_t limits, parts;

	vote->said = read_vote(c);
	vote->vote = read_vote(c);
	vote->level = read_level(c);
	vote->said_since = record_time(c);
	vote->since = record_time(c);
	vote->last = record_time(c);
	limits = cursor_u8(c);
	parts = cursor_u16(c);
	while (parts-- > 0 && !c->failed && vote->count < VERDICT_PARTS)
		decode_part(vote, limits, limits == vote->check->limits_count, c);
}

static void encode_check(const struct verdict_check *c, struct buf *b)
{
	for (int f = 0; f < VERDICT_FAMILIES; f++) {
		const struct verdict_cell *cell = &c->cells[f];

		buf_add_u8(b, (uint8_t)cell->vote);
		buf_add_u8(b, (uint8_t)cell->state);
		buf_add_u8(b, (uint8_t)cell->level);
		buf_add_u8(b, cell->is_path);
		record_add_time(b, cell->since);
		record_add_time(b, cell->contested);
	}
	buf_add_u8(b, (uint8_t)c->state);
	buf_add_u8(b, (uint8_t)c->pair);
	for (int f = 0; f < VERDICT_FAMILIES; f++) {
		buf_add_u8(b, (uint8_t)c->cells[f].was);
		record_add_time(b, c->cells[f].was_since);
	}
}

static void decode_check(struct verdict_check *check, struct cursor *c)
{
	uint8_t pair;

	for (int f = 0; f < VERDICT_FAMILIES; f++) {
		struct verdict_cell cell = {.vote = read_vote(c)};

		cell.state = read_state(c);
		cell.level = read_level(c);
		cell.is_path = cursor_u8(c) != 0;
		cell.since = record_time(c);
		cell.contested = record_time(c);
		if ((check->families & 1u << f) != 0 && cell.state != STATE_NONE)
			check->cells[f] = cell;
	}
	check->state = read_state(c);
	pair = cursor_u8(c);
	check->pair = pair <= PAIR_UNKNOWN ? (enum pair)pair : PAIR_UNKNOWN;
	for (int f = 0; f < VERDICT_FAMILIES && cursor_left(c) > 0; f++) { /* not in those of before */
		check->cells[f].was = read_state(c);
		check->cells[f].was_since = record_time(c);
	}
}

static void encode_node(const struct verdict_node *n, struct buf *b)
{
	buf_add_u8(b, (uint8_t)n->view.state);
	buf_add_u8(b, (uint8_t)n->view.level);
	buf_add_u32(b, n->view.faults);
	record_add_time(b, n->view.since);
	for (int f = 0; f < VERDICT_FAMILIES; f++)
		buf_add_u8(b, (uint8_t)n->view.families[f]);
	record_add_text(b, n->view.reason);
	for (int f = 0; f < VERDICT_FAMILIES; f++)
		record_add_time(b, n->view.families_since[f]);
}

static void decode_node(struct verdict_node *n, struct cursor *c)
{
	n->view.state = read_state(c);
	n->view.level = read_level(c);
	n->view.faults = cursor_u32(c);
	n->view.since = record_time(c);
	for (int f = 0; f < VERDICT_FAMILIES; f++)
		n->view.families[f] = read_state(c);
	free((char *)n->view.reason);
	n->view.reason = record_text(c);
	for (int f = 0; f < VERDICT_FAMILIES && cursor_left(c) > 0; f++) /* not in those of before */
		n->view.families_since[f] = record_time(c);
}

static void encode_vantage(const struct verdict_vantage *w, struct buf *b)
{
	record_add_time(b, w->heard_until);
	buf_add_u8(b, w->is_silent);
	for (int f = 0; f < VERDICT_FAMILIES; f++) {
		record_add_time(b, w->up_at[f]);
		buf_add_u8(b, w->unwell[f]);
	}
}

static void decode_vantage(struct verdict_vantage *w, struct cursor *c)
{
	w->heard_until = record_time(c);
	w->is_silent = cursor_u8(c) != 0;
	for (int f = 0; f < VERDICT_FAMILIES; f++) {
		w->up_at[f] = record_time(c);
		w->unwell[f] = cursor_u8(c) != 0 && w->anchors_count > 0;
	}
}

/* ---- saving */

static void put(const struct record_sink *sink, const char *key, struct buf *b)
{
	sink->put(sink->ctx, key, b->data, b->len);
}

static struct buf *fresh(struct buf *b)
{
	buf_clear(b);
	buf_add_u8(b, VERSION);
	return b;
}

static void add_touched(struct verdict *v, struct verdict_check *c)
{
	if (c->is_touched)
		return;
	c->is_touched = true;
	if (v->touched_count == v->touched_room) {
		v->touched_room = v->touched_room == 0 ? 256 : 2 * v->touched_room;
		v->touched = mem_resize(v->touched, v->touched_room, sizeof(struct verdict_check *));
	}
	v->touched[v->touched_count++] = c;
}

void verdict_touch(struct verdict *v, struct verdict_check *c)
{
	c->is_dirty = true;
	add_touched(v, c);
}

void verdict_touch_vote(struct verdict *v, struct verdict_vote *vote)
{
	vote->is_dirty = true;
	add_touched(v, vote->check);
}

void verdict_touch_again(struct verdict *v)
{
	v->touched_count = 0;
	for (size_t i = 0; i < map_count(v->checks); i++) {
		struct verdict_check *c = map_at(v->checks, i, NULL);
		bool dirty = c->is_dirty;

		for (size_t k = 0; k < c->votes_count; k++)
			dirty = dirty || c->votes[k].is_dirty;
		c->is_touched = false;
		if (dirty)
			add_touched(v, c);
	}
}

static void save_check(struct verdict_check *c, bool all, struct buf *b, const struct record_sink *sink)
{
	char key[RECORD_KEY];

	for (size_t i = 0; i < c->votes_count; i++) {
		struct verdict_vote *vote = &c->votes[i];

		if (!all && !vote->is_dirty)
			continue;
		encode_vote(vote, fresh(b));
		put(sink, verdict_key_vote(vote, key), b);
		vote->is_dirty = false;
	}
	if (!all && !c->is_dirty)
		return;
	encode_check(c, fresh(b));
	put(sink, verdict_key_check(c, key), b);
	c->is_dirty = false;
}

static void save_checks(struct verdict *v, bool all, struct buf *b, const struct record_sink *sink)
{
	for (size_t i = 0; all && i < map_count(v->checks); i++)
		save_check(map_at(v->checks, i, NULL), true, b, sink);
	for (size_t i = 0; i < v->touched_count; i++) {
		save_check(v->touched[i], false, b, sink);
		v->touched[i]->is_touched = false;
	}
	v->touched_count = 0;
}

static void save_head(struct verdict *v, struct buf *b, const struct record_sink *sink)
{
	fresh(b);
	record_add_time(b, v->now);
	record_add_time(b, v->steady);
	record_add_time(b, v->quiet_until);
	put(sink, "verdict", b);
	v->is_dirty = false;
}

static void save_dropped(struct verdict *v, const struct record_sink *sink)
{
	for (size_t i = 0; i < map_count(v->dropped); i++) {
		const char *key;

		map_at(v->dropped, i, &key);
		sink->drop(sink->ctx, key);
	}
	if (map_count(v->dropped) == 0)
		return;
	map_free(v->dropped, NULL);
	v->dropped = map_new();
}

void verdict_save(struct verdict *v, bool all, const struct record_sink *sink)
{
	struct buf b = {0};
	char key[RECORD_KEY];

	save_dropped(v, sink);
	save_checks(v, all, &b, sink);
	for (size_t i = 0; i < map_count(v->nodes); i++) {
		struct verdict_node *n = map_at(v->nodes, i, NULL);

		if (!all && !n->is_dirty)
			continue;
		encode_node(n, fresh(&b));
		put(sink, verdict_key_node(n, key), &b);
		n->is_dirty = false;
	}
	for (size_t i = 0; i < map_count(v->vantages); i++) {
		struct verdict_vantage *w = map_at(v->vantages, i, NULL);

		if (!all && !w->is_dirty)
			continue;
		encode_vantage(w, fresh(&b));
		put(sink, verdict_key_vantage(w, key), &b);
		w->is_dirty = false;
	}
	if (all || v->is_dirty)
		save_head(v, &b, sink);
	buf_fini(&b);
}

/* ---- restoring */

static bool restore_vote(struct verdict *v, const char *rest, struct cursor *c)
{
	char check[SAMPLE_ID_MAX + 1], vantage[SAMPLE_ID_MAX + 1];
	struct verdict_vote *vote = NULL;
	int family;

	if (sscanf(rest, "%63[^/]/%63[^/]/%d", check, vantage, &family) == 3)
		vote = verdict_find_vote(v, check, vantage, family);
	if (vote != NULL && vote->count == 0)
		decode_vote(vote, c);
	return vote != NULL;
}

static const char *behind(const char *key, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(key, prefix, len) == 0 ? key + len : NULL;
}

static void restore_head(struct verdict *v, struct cursor *c)
{
	v->now = record_time(c);
	v->steady = record_time(c);
	v->quiet_until = record_time(c);
}

/* False: it is of something that the plan does not hold. */
static bool restore_one(struct verdict *v, const char *key, struct cursor *c)
{
	const char *id;
	void *of = v;

	if ((id = behind(key, "vote/")) != NULL)
		return restore_vote(v, id, c);
	if ((id = behind(key, "check/")) != NULL) {
		if ((of = map_find(v->checks, id)) != NULL)
			decode_check(of, c);
	} else if ((id = behind(key, "subject/")) != NULL) {
		if ((of = map_find(v->nodes, id)) != NULL)
			decode_node(of, c);
	} else if ((id = behind(key, "vantage/")) != NULL) {
		if ((of = map_find(v->vantages, id)) != NULL)
			decode_vantage(of, c);
	} else {
		restore_head(v, c);
	}
	return of != NULL;
}

int verdict_restore(struct verdict *v, const char *key, const void *data, size_t len, struct err *err)
{
	struct cursor c = cursor_over(data, len);
	uint8_t version = cursor_u8(&c);

	if (version != VERSION)
		return err_set(err, "record \"%s\" has version %u, not %d", key, version, VERSION);
	if (!restore_one(v, key, &c))
		map_set(v->dropped, key, v);
	return c.failed ? err_set(err, "record \"%s\" is damaged", key) : 0;
}

void verdict_restored(struct verdict *v)
{
	v->next_scan = 0;
	verdict_judge_all(v, v->now);
}
