#include "collector/series_catalogue.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/channel.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "lib/wire.h"
#include "probes/catalog.h"

#define KEY_MAX (2 * SAMPLE_ID_MAX + SAMPLE_TEXT_MAX + 8)

TAILQ_HEAD(by_version, series);

struct series_catalogue {
	struct series **rows;
	size_t count, room;
	struct map *keys;   /* "check/vantage/4/part" and, of parts, "check/vantage/4#number" -> series */
	struct map *groups; /* "check/vantage" -> series_group */
	struct map *agents; /* vantage -> size_t: its files */
	struct series_layout **layouts;
	size_t layouts_count;
	struct by_version by_version;
	uint64_t version;
	uint32_t max_parts;
	size_t queued_bytes, queued_sets, files;
};

static const char *text_of(const char *text)
{
	return text != NULL ? text : "";
}

static void set_text(char **at, const char *text)
{
	if (strcmp(text_of(*at), text) == 0)
		return;
	free(*at);
	*at = *text != '\0' ? mem_strdup(text) : NULL;
}

/* Types that this build knows are not copied. */
static void set_type(struct series *s, const char *type)
{
	const struct catalog_type *known = catalog_find(type);

	free(s->unknown_type);
	s->unknown_type = known == NULL ? mem_strdup(type) : NULL;
	s->type = known == NULL ? s->unknown_type : known->name;
}

struct series_catalogue *series_catalogue_new(uint32_t max_parts)
{
	struct series_catalogue *c = mem_alloc(sizeof *c);

	c->keys = map_new();
	c->groups = map_new();
	c->agents = map_new();
	c->max_parts = max_parts;
	TAILQ_INIT(&c->by_version);
	return c;
}

static void outcome_fini(struct series_outcome *o)
{
	free(o->address);
	free(o->reason);
	*o = (struct series_outcome){0};
}

static void drop_provisional(struct series *s)
{
	if (s->provisional == NULL)
		return;
	outcome_fini(s->provisional);
	free(s->provisional);
	s->provisional = NULL;
}

static void series_free(struct series *s)
{
	struct series_file *next;

	for (struct series_file *f = s->file.next; f != NULL; f = next) {
		next = f->next;
		series_queue_fini(&f->queue);
		free(f);
	}
	series_queue_fini(&s->file.queue);
	outcome_fini(&s->latest);
	drop_provisional(s);
	free(s->unknown_type);
	free(s->part);
	free(s);
}

void series_catalogue_free(struct series_catalogue *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < c->count; i++)
		series_free(c->rows[i]);
	for (size_t i = 0; i < c->layouts_count; i++)
		free(c->layouts[i]);
	free(c->rows);
	free(c->layouts);
	map_free(c->keys, NULL);
	map_free(c->groups, free);
	map_free(c->agents, free);
	free(c);
}

void series_catalogue_set_max_parts(struct series_catalogue *c, uint32_t max_parts)
{
	c->max_parts = max_parts;
}

size_t series_catalogue_count(const struct series_catalogue *c)
{
	return c->count;
}

struct series *series_catalogue_at(const struct series_catalogue *c, size_t i)
{
	return c->rows[i];
}

uint64_t series_catalogue_version(const struct series_catalogue *c)
{
	return c->version;
}

size_t series_catalogue_queued_bytes(const struct series_catalogue *c)
{
	return c->queued_bytes;
}

size_t series_catalogue_queued_sets(const struct series_catalogue *c)
{
	return c->queued_sets;
}

size_t series_catalogue_files(const struct series_catalogue *c)
{
	return c->files;
}

/* ---- keys */

static void key_of_part(char key[KEY_MAX], const char *check, const char *vantage, enum family family,
	const char *part)
{
	char *p = key;

	p = stpcpy(p, check);
	*p++ = '/';
	p = stpcpy(p, vantage);
	*p++ = '/';
	*p++ = (char)('0' + family);
	*p++ = '/';
	strcpy(p, part);
}

static void key_of_number(char key[KEY_MAX], const char *check, const char *vantage,
	enum family family, uint32_t number)
{
	snprintf(key, KEY_MAX, "%s/%s/%d#%u", check, vantage, (int)family, number);
}

struct series *series_catalogue_find(const struct series_catalogue *c, const char *check,
	const char *vantage, enum family family, const char *part)
{
	char key[KEY_MAX];

	key_of_part(key, check, vantage, family, part);
	return map_find(c->keys, key);
}

struct series *series_catalogue_find_number(const struct series_catalogue *c, const char *check,
	const char *vantage, enum family family, uint32_t part_number)
{
	char key[KEY_MAX];

	if (part_number == 0)
		return series_catalogue_find(c, check, vantage, family, "");
	key_of_number(key, check, vantage, family, part_number);
	return map_find(c->keys, key);
}

static void key_set(struct series_catalogue *c, struct series *s)
{
	char key[KEY_MAX];

	key_of_part(key, s->group->check, s->group->vantage, s->family, text_of(s->part));
	map_set(c->keys, key, s);
	if (s->part_number == 0)
		return;
	key_of_number(key, s->group->check, s->group->vantage, s->family, s->part_number);
	map_set(c->keys, key, s);
}

static void key_remove(struct series_catalogue *c, const struct series *s)
{
	char key[KEY_MAX];

	key_of_part(key, s->group->check, s->group->vantage, s->family, text_of(s->part));
	map_remove(c->keys, key);
	if (s->part_number == 0)
		return;
	key_of_number(key, s->group->check, s->group->vantage, s->family, s->part_number);
	map_remove(c->keys, key);
}

static struct series_group *group_find(const struct series_catalogue *c, const char *check,
	const char *vantage)
{
	char key[KEY_MAX];

	snprintf(key, sizeof key, "%s/%s", check, vantage);
	return map_find(c->groups, key);
}

static void group_set(struct series_catalogue *c, struct series_group *g)
{
	char key[KEY_MAX];

	snprintf(key, sizeof key, "%s/%s", g->check, g->vantage);
	map_set(c->groups, key, g);
}

static struct series_group *group_get(struct series_catalogue *c, const char *check,
	const char *vantage)
{
	struct series_group *g = group_find(c, check, vantage);

	if (g == NULL) {
		g = mem_alloc(sizeof *g);
		snprintf(g->check, sizeof g->check, "%s", check);
		snprintf(g->vantage, sizeof g->vantage, "%s", vantage);
		group_set(c, g);
	}
	return g;
}

static size_t *agent_files(struct series_catalogue *c, const char *vantage)
{
	size_t *files = map_find(c->agents, vantage);

	if (files == NULL) {
		files = mem_alloc(sizeof *files);
		map_set(c->agents, vantage, files);
	}
	return files;
}

/* ---- layouts */

static const struct series_layout *layout_get(struct series_catalogue *c, bool has_up,
	const uint32_t *metrics, size_t count)
{
	struct series_layout *l;

	for (size_t i = 0; i < c->layouts_count; i++) {
		l = c->layouts[i];
		if (l->has_up == has_up && l->metrics_count == count &&
			memcmp(l->metrics, metrics, count * sizeof *metrics) == 0)
			return l;
	}
	l = mem_alloc(sizeof *l);
	l->has_up = has_up;
	l->metrics_count = count;
	if (count > 0)
		memcpy(l->metrics, metrics, count * sizeof *metrics);
	l->columns = has_up + count;
	for (size_t i = 0; i < count; i++)
		l->decimals[has_up + i] = (uint8_t)catalog_decimals(metrics[i]);
	c->layouts = mem_resize(c->layouts, c->layouts_count + 1, sizeof *c->layouts);
	c->layouts[c->layouts_count++] = l;
	return l;
}

/* "up" and what the type measures in that family; of a type that this build does not know "up" alone. */
static const struct series_layout *layout_of_type(struct series_catalogue *c, const char *type, enum family family)
{
	const struct catalog_type *t = catalog_find(type);
	uint32_t metrics[SAMPLE_VALUES_MAX];
	size_t n = 0;

	for (const struct metric *m = t != NULL ? t->metrics : NULL; m != NULL && m->number != 0; m++) {
		if (n < SAMPLE_VALUES_MAX && catalog_family_has(t, family, m->number))
			metrics[n++] = m->number;
	}
	return layout_get(c, true, metrics, n);
}

/* ---- rows */

static void touch(struct series_catalogue *c, struct series *s)
{
	if (s->version != 0)
		TAILQ_REMOVE(&c->by_version, s, by_version);
	s->version = ++c->version;
	TAILQ_INSERT_TAIL(&c->by_version, s, by_version);
}

static struct series *row_new(struct series_catalogue *c, struct series_group *g, const char *type,
	enum family family, const char *part, uint32_t part_number)
{
	struct series *s = mem_alloc(sizeof *s);
	uint32_t *last_number = &g->numbers[family == FAMILY_V6];

	s->group = g;
	set_type(s, type);
	s->family = family;
	set_text(&s->part, part);
	s->part_number = part_number;
	if (part_number > *last_number)
		*last_number = part_number;
	s->file = (struct series_file){.series = s, .is_new = true};
	if (c->count == c->room) {
		c->room = c->room > 0 ? c->room * 2 : 64;
		c->rows = mem_resize(c->rows, c->room, sizeof(struct series *));
	}
	c->rows[c->count++] = s;
	c->files++;
	(*agent_files(c, g->vantage))++;
	key_set(c, s);
	touch(c, s);
	return s;
}

struct series *series_catalogue_add(struct series_catalogue *c, const char *vantage,
	const struct result *r, const char **why)
{
	const struct series_group *known = group_find(c, r->check, vantage);
	bool has_part = r->part[0] != '\0', is_v6 = r->family == FAMILY_V6;
	struct series_group *g;
	struct series *s;

	*why = "max_parts";
	if (has_part && c->max_parts <= (known != NULL ? known->numbers[is_v6] : 0))
		return NULL;
	*why = "files of the agent";
	if (*agent_files(c, vantage) >= SERIES_AGENT_FILES)
		return NULL;
	g = group_get(c, r->check, vantage);
	s = row_new(c, g, r->type, r->family, r->part,
		has_part ? g->numbers[is_v6] + 1 : 0);
	s->interval_s = r->interval_s;
	s->file.layout = layout_of_type(c, r->type, r->family);
	return s;
}

static struct series_file *file_new(struct series_catalogue *c, struct series *s, uint32_t metric)
{
	struct series_file *f = mem_alloc(sizeof *f);

	f->series = s;
	f->metric = metric;
	f->layout = layout_get(c, false, &metric, 1);
	f->is_new = true;
	f->next = s->file.next;
	s->file.next = f;
	c->files++;
	(*agent_files(c, s->group->vantage))++;
	return f;
}

struct series_file *series_catalogue_file(struct series_catalogue *c, struct series *s, uint32_t metric)
{
	for (struct series_file *f = &s->file; f != NULL; f = f->next) {
		if (f->metric == metric)
			return f;
	}
	if (*agent_files(c, s->group->vantage) >= SERIES_AGENT_FILES)
		return NULL;
	return file_new(c, s, metric);
}

/* ---- queues */

void series_catalogue_queue(struct series_catalogue *c, struct series_file *f, int64_t time,
	uint32_t interval_s, const double *numbers, struct position before, int64_t now)
{
	if (f->queue.count == 0) {
		f->before = before;
		f->queued_at = now;
	}
	c->queued_bytes -= f->queue.room;
	series_queue_add(&f->queue, time, interval_s, numbers, f->layout->decimals, f->layout->columns);
	c->queued_bytes += f->queue.room;
	c->queued_sets++;
	f->last = time;
}

/* Keeps the part of the queue above `time`. Its position stays: too early is safe. */
static void drop_until(struct series_file *f, int64_t time)
{
	struct series_queue_walk w = series_queue_walk(&f->queue, f->layout->columns);
	struct series_queue kept = {0};
	struct series_set set;

	while (series_queue_next(&w, &set)) {
		if (set.time > time)
			series_queue_keep(&kept, &set);
	}
	series_queue_fini(&f->queue);
	f->queue = kept;
}

void series_catalogue_written(struct series_catalogue *c, struct series_file *f, int64_t time)
{
	f->written = time;
	if (f->last < time)
		f->last = time;
	c->queued_bytes -= f->queue.room;
	c->queued_sets -= f->queue.count;
	if (time >= f->queue.newest)
		series_queue_clear(&f->queue);
	else
		drop_until(f, time);
	c->queued_bytes += f->queue.room;
	c->queued_sets += f->queue.count;
}

/* ---- outcomes */

static void outcome_set(struct series_outcome *o, const struct result *r, int64_t measured,
	int64_t since)
{
	o->outcome = r->outcome;
	o->measured = measured;
	o->since = since;
	set_text(&o->address, r->address);
	set_text(&o->reason, r->reason);
}

static bool is_from_the_future(const struct series_outcome *o, int64_t received)
{
	return o->measured > received + WIRE_AHEAD_MAX;
}

void series_catalogue_result(struct series_catalogue *c, struct series *s, const struct result *r,
	int64_t measured, int64_t received)
{
	if (s->provisional != NULL && is_from_the_future(s->provisional, received))
		drop_provisional(s);
	if (s->latest.outcome != 0 && measured <= s->latest.measured && !is_from_the_future(&s->latest, received))
		return;
	outcome_set(&s->latest, r, measured,
		s->latest.outcome == r->outcome && s->latest.since <= measured ? s->latest.since : measured);
	s->interval_s = r->interval_s;
	if (strcmp(s->type, r->type) != 0)
		set_type(s, r->type);
	if (s->provisional != NULL && s->provisional->measured <= measured)
		drop_provisional(s);
	touch(c, s);
}

void series_catalogue_now(struct series_catalogue *c, struct series *s, const struct result *r,
	int64_t measured, int64_t received)
{
	const struct series_outcome *before = s->provisional != NULL ? s->provisional : &s->latest;
	int64_t since = before->outcome == r->outcome && before->since <= measured ? before->since : measured;

	if (measured <= before->measured && !is_from_the_future(before, received))
		return;
	if (s->provisional == NULL)
		s->provisional = mem_alloc(sizeof *s->provisional);
	outcome_set(s->provisional, r, measured, since);
	touch(c, s);
}

static struct channel_row row_of(const struct series *s)
{
	const struct series_outcome *o = s->provisional != NULL ? s->provisional : &s->latest;

	return (struct channel_row){.check = s->group->check,
		.vantage = s->group->vantage,
		.type = s->type,
		.part = text_of(s->part),
		.address = text_of(o->address),
		.reason = text_of(o->reason),
		.part_number = s->part_number,
		.interval_s = s->interval_s,
		.family = s->family,
		.outcome = o->outcome,
		.measured = o->measured,
		.since = o->since,
		.version = s->version};
}

void series_catalogue_changed(const struct series_catalogue *c, uint64_t since,
	bool (*on_row)(void *ctx, const struct channel_row *), void *ctx)
{
	const struct series *s = TAILQ_LAST(&c->by_version, by_version), *from = NULL;

	for (; s != NULL && s->version > since; s = TAILQ_PREV(s, by_version, by_version))
		from = s;
	for (s = from; s != NULL; s = TAILQ_NEXT(s, by_version)) {
		struct channel_row row = row_of(s);

		if (row.outcome != 0 && !on_row(ctx, &row))
			return;
	}
}

/* ---- rename */

static void group_rename(struct series_catalogue *c, struct series_group *g,
	const struct series_group *now)
{
	char key[KEY_MAX];
	size_t files = 0;

	snprintf(key, sizeof key, "%s/%s", g->check, g->vantage);
	map_remove(c->groups, key);
	for (size_t i = 0; i < c->count; i++) {
		if (c->rows[i]->group != g)
			continue;
		key_remove(c, c->rows[i]);
		for (const struct series_file *f = &c->rows[i]->file; f != NULL; f = f->next)
			files++;
	}
	*agent_files(c, g->vantage) -= files;
	memcpy(g->check, now->check, sizeof g->check);
	memcpy(g->vantage, now->vantage, sizeof g->vantage);
	*agent_files(c, g->vantage) += files;
	group_set(c, g);
	for (size_t i = 0; i < c->count; i++) {
		if (c->rows[i]->group != g)
			continue;
		key_set(c, c->rows[i]);
		touch(c, c->rows[i]);
	}
}

bool series_catalogue_rename(struct series_catalogue *c, bool is_vantage, const char *was,
	const char *now, bool (*move)(void *ctx, const struct series_group *was, const struct series_group *now),
	void *ctx)
{
	size_t count = map_count(c->groups);
	struct series_group **groups = mem_array(count, sizeof(struct series_group *));
	bool changed = false;

	for (size_t i = 0; i < count; i++)
		groups[i] = map_at(c->groups, i, NULL);
	for (size_t i = 0; i < count; i++) {
		struct series_group *g = groups[i], renamed = *g;

		if (strcmp(is_vantage ? g->vantage : g->check, was) != 0)
			continue;
		snprintf(is_vantage ? renamed.vantage : renamed.check, sizeof renamed.check, "%s", now);
		if (group_find(c, renamed.check, renamed.vantage) != NULL || !move(ctx, g, &renamed))
			continue;
		group_rename(c, g, &renamed);
		changed = true;
	}
	free(groups);
	return changed;
}

/* ---- names */

char *series_file_path(const struct series_file *f, char out[SERIES_PATH_MAX])
{
	const struct series *s = f->series;
	int n = snprintf(out, SERIES_PATH_MAX, "%s/%s/%d", s->group->check, s->group->vantage,
		(int)s->family);

	if (s->part_number > 0)
		n += snprintf(out + n, SERIES_PATH_MAX - (size_t)n, ".%u", s->part_number);
	if (f->metric > 0)
		n += snprintf(out + n, SERIES_PATH_MAX - (size_t)n, ".m%u", f->metric);
	snprintf(out + n, SERIES_PATH_MAX - (size_t)n, ".rrd");
	return out;
}

char *series_file_column(const struct series_file *f, size_t i, char out[20])
{
	const struct series_layout *l = f->layout;
	uint32_t number;
	const struct metric *m;

	if (l->has_up && i == 0)
		return strcpy(out, "up");
	number = l->metrics[i - l->has_up];
	m = f->metric == 0 ? catalog_metric(number) : NULL;
	if (m != NULL)
		snprintf(out, 20, "%s", m->name);
	else
		snprintf(out, 20, "m%u", number);
	return out;
}

/* ---- bytes: a row of a checkpoint */

static void add_text(struct buf *out, const char *text)
{
	buf_add_u16(out, (uint16_t)strlen(text));
	buf_add_text(out, text);
}

static void encode_outcome(const struct series_outcome *o, struct buf *out)
{
	buf_add_u8(out, o != NULL ? (uint8_t)o->outcome : 0);
	if (o == NULL || o->outcome == 0)
		return;
	buf_add_u64(out, (uint64_t)o->measured);
	buf_add_u64(out, (uint64_t)o->since);
	add_text(out, text_of(o->address));
	add_text(out, text_of(o->reason));
}

static void encode_file(const struct series_file *f, struct buf *out)
{
	buf_add_u16(out, (uint16_t)f->metric);
	buf_add_u8(out, f->is_new);
	buf_add_u64(out, (uint64_t)f->written);
	buf_add_u8(out, f->layout->has_up);
	buf_add_u8(out, (uint8_t)f->layout->metrics_count);
	for (size_t i = 0; i < f->layout->metrics_count; i++)
		buf_add_u16(out, (uint16_t)f->layout->metrics[i]);
}

static void encode_row(const struct series *s, struct buf *out)
{
	uint32_t siblings = 0;

	add_text(out, s->group->check);
	add_text(out, s->group->vantage);
	add_text(out, s->type);
	add_text(out, text_of(s->part));
	buf_add_u32(out, s->part_number);
	buf_add_u32(out, s->interval_s);
	buf_add_u8(out, (uint8_t)s->family);
	encode_outcome(&s->latest, out);
	encode_outcome(s->provisional, out);
	encode_file(&s->file, out);
	for (const struct series_file *f = s->file.next; f != NULL; f = f->next)
		siblings++;
	buf_add_u32(out, siblings);
	for (const struct series_file *f = s->file.next; f != NULL; f = f->next)
		encode_file(f, out);
}

void series_catalogue_encode(const struct series_catalogue *c, size_t first, size_t count,
	struct buf *out)
{
	for (size_t i = first; i < first + count; i++)
		encode_row(c->rows[i], out);
}

static char *take_text(struct cursor *c, char *out, size_t room)
{
	size_t len = cursor_u16(c);
	const uint8_t *p = cursor_bytes(c, len);

	out[0] = '\0';
	if (p == NULL || len >= room || memchr(p, '\0', len) != NULL) {
		c->failed = true;
		return out;
	}
	memcpy(out, p, len);
	out[len] = '\0';
	return out;
}

static void decode_outcome(struct cursor *c, struct series_outcome *o)
{
	char text[SAMPLE_TEXT_MAX + 1];

	o->outcome = (enum outcome)cursor_u8(c);
	if (o->outcome == 0)
		return;
	if (!outcome_is_valid(o->outcome))
		c->failed = true;
	o->measured = (int64_t)cursor_u64(c);
	o->since = (int64_t)cursor_u64(c);
	set_text(&o->address, take_text(c, text, sizeof text));
	set_text(&o->reason, take_text(c, text, sizeof text));
}

static void decode_file(struct series_catalogue *all, struct cursor *c, struct series *s)
{
	uint32_t metric = cursor_u16(c), metrics[SAMPLE_VALUES_MAX];
	struct series_file *f = metric == 0 ? &s->file : file_new(all, s, metric);
	bool has_up;
	size_t count;

	f->is_new = cursor_u8(c) != 0;
	f->written = f->last = (int64_t)cursor_u64(c);
	has_up = cursor_u8(c) != 0;
	count = cursor_u8(c);
	if (count > SAMPLE_VALUES_MAX)
		c->failed = true;
	for (size_t i = 0; i < count && !c->failed; i++)
		metrics[i] = cursor_u16(c);
	f->layout = layout_get(all, has_up, metrics, c->failed ? 0 : count);
}

static void decode_row(struct series_catalogue *all, struct cursor *c)
{
	char check[SAMPLE_ID_MAX + 1], vantage[SAMPLE_ID_MAX + 1], type[SAMPLE_ID_MAX + 1];
	char part[SAMPLE_TEXT_MAX + 1];
	uint32_t number, interval_s;
	uint8_t family;
	struct err ignored;
	struct series *s;

	take_text(c, check, sizeof check);
	take_text(c, vantage, sizeof vantage);
	take_text(c, type, sizeof type);
	take_text(c, part, sizeof part);
	number = cursor_u32(c);
	interval_s = cursor_u32(c);
	family = cursor_u8(c);
	if (num_check_id(check, &ignored) < 0 || num_check_id(vantage, &ignored) < 0 ||
		!family_is_valid(family) || (number == 0) != (part[0] == '\0'))
		c->failed = true;
	if (c->failed)
		return;
	s = row_new(all, group_get(all, check, vantage), type, (enum family)family, part, number);
	s->interval_s = interval_s;
	decode_outcome(c, &s->latest);
	s->provisional = mem_alloc(sizeof *s->provisional);
	decode_outcome(c, s->provisional);
	if (s->provisional->outcome == 0)
		drop_provisional(s);
	decode_file(all, c, s);
	for (uint32_t left = cursor_u32(c); left > 0 && !c->failed; left--)
		decode_file(all, c, s);
}

int series_catalogue_decode(struct series_catalogue *all, const void *data, size_t len, struct err *e)
{
	struct cursor c = cursor_over(data, len);

	while (!c.failed && cursor_left(&c) > 0)
		decode_row(all, &c);
	return c.failed ? err_set(e, "the catalogue of series does not decode") : 0;
}
