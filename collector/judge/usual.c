#include "collector/judge/usual.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/judge/record.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"

#define VERSION 1
#define HOUR (3600 * NS_PER_S)
#define HOURS 168 /* of a week */
#define WEEKS 4
#define KEY 200   /* of two ids, a family, a metric, a hash */

/* One hour of the week. */
struct slot {
	float before, now; /* without and with its newest week */
	uint16_t week;     /* the newest, since 1970 */
	uint8_t weeks;     /* in `now`, WEEKS and more as WEEKS */
};

struct stream {
	char key[KEY];
	struct slot slots[HOURS];
	int64_t hour; /* under way, since 1970 */
	double sum;
	uint32_t count;
	bool is_touched, is_turned; /* since the last save: anything; a slot */
};

struct usual {
	struct map *streams;
	struct stream **touched;
	size_t touched_count, touched_room;
	struct map *dropped; /* keys of records to drop at the next save */
};

struct usual *usual_new(void)
{
	struct usual *u = mem_alloc(sizeof *u);

	u->streams = map_new();
	u->dropped = map_new();
	return u;
}

void usual_free(struct usual *u)
{
	if (u == NULL)
		return;
	map_free(u->streams, free);
	map_free(u->dropped, NULL);
	free(u->touched);
	free(u);
}

/* FNV-1a: a part is a text from the network, longer than a key may be. */
static uint64_t hash(const char *text)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325);

	for (; *text != '\0'; text++)
		h = (h ^ (uint8_t)*text) * UINT64_C(0x100000001b3);
	return h;
}

static const char *key_of(const struct usual_stream_id *id, char key[KEY])
{
	snprintf(key, KEY, "%s/%s/%d/%" PRIu32 "/%016" PRIx64, id->check, id->vantage, (int)id->family, id->metric,
		hash(id->part));
	return key;
}

/* ---- the usual */

double usual_of(const struct usual *u, const struct usual_stream_id *id, int64_t at)
{
	char key[KEY];
	const struct stream *s = map_find(u->streams, key_of(id, key));
	const struct slot *slot;

	if (s == NULL || at < 0)
		return NAN;
	slot = &s->slots[at / HOUR % HOURS];
	if (at / HOUR / HOURS > slot->week)
		return slot->weeks > 0 ? (double)slot->now : NAN;
	return slot->weeks > 1 ? (double)slot->before : NAN;
}

static void touch(struct usual *u, struct stream *s)
{
	if (s->is_touched)
		return;
	s->is_touched = true;
	if (u->touched_count == u->touched_room) {
		u->touched_room = u->touched_room == 0 ? 64 : 2 * u->touched_room;
		u->touched = mem_resize(u->touched, u->touched_room, sizeof(struct stream *));
	}
	u->touched[u->touched_count++] = s;
}

/* The hour is over: its mean becomes part of what is usual. */
static void turn(struct stream *s)
{
	struct slot *slot = &s->slots[s->hour % HOURS];
	uint16_t week = (uint16_t)(s->hour / HOURS);
	float mean;

	if (s->count == 0 || (slot->weeks > 0 && week <= slot->week))
		return;
	mean = (float)(s->sum / s->count);
	slot->before = slot->now;
	slot->now += (mean - slot->now) / (float)(slot->weeks + 1);
	slot->weeks = slot->weeks < WEEKS - 1 ? (uint8_t)(slot->weeks + 1) : slot->weeks;
	slot->week = week;
	s->is_turned = true;
}

static struct stream *add(struct usual *u, const char *key)
{
	struct stream *s;

	if (map_count(u->streams) >= USUAL_STREAMS)
		return NULL;
	s = mem_alloc(sizeof *s);
	snprintf(s->key, sizeof s->key, "%s", key);
	map_set(u->streams, key, s);
	return s;
}

void usual_take(struct usual *u, const struct usual_stream_id *id, double value, int64_t at)
{
	char key[KEY];
	struct stream *s = map_find(u->streams, key_of(id, key));
	int64_t hour = at / HOUR;

	if (s == NULL)
		s = add(u, key);
	if (s == NULL || !isfinite(value) || hour < s->hour)
		return;
	if (hour > s->hour) {
		turn(s);
		s->hour = hour;
		s->sum = 0;
		s->count = 0;
	}
	s->sum += value;
	s->count++;
	touch(u, s);
}

/* ---- what is not asked for */

static void forget(struct usual *u, struct stream *s)
{
	char key[KEY + 8];

	for (size_t i = 0; i < u->touched_count; i++)
		if (u->touched[i] == s)
			u->touched[i--] = u->touched[--u->touched_count];
	snprintf(key, sizeof key, "hour/%s", s->key);
	map_set(u->dropped, key, u);
	snprintf(key, sizeof key, "week/%s", s->key);
	map_set(u->dropped, key, u);
	free(map_remove(u->streams, s->key));
}

void usual_keep(struct usual *u, bool (*is_asked)(void *ctx, const char *check, uint32_t metric), void *ctx, int64_t now)
{
	for (size_t i = map_count(u->streams); i-- > 0;) {
		struct stream *s = map_at(u->streams, i, NULL);
		char check[SAMPLE_ID_MAX + 1] = "";
		uint32_t metric = 0;

		if (sscanf(s->key, "%63[^/]/%*[^/]/%*d/%" SCNu32, check, &metric) != 2 || !is_asked(ctx, check, metric) ||
			now / HOUR - s->hour > USUAL_KEPT_WEEKS * HOURS)
			forget(u, s);
	}
}

void usual_turn_back(struct usual *u, int64_t now)
{
	int64_t hour = now / HOUR;

	for (size_t i = 0; i < map_count(u->streams); i++) {
		struct stream *s = map_at(u->streams, i, NULL);

		if (s->hour > hour) {
			s->hour = hour;
			s->count = 0;
			s->sum = 0;
		}
		for (int k = 0; k < HOURS; k++)
			if (s->slots[k].week > hour / HOURS)
				s->slots[k].week = (uint16_t)(hour / HOURS);
		s->is_turned = true;
		touch(u, s);
	}
}

/* ---- records */

static void add_float(struct buf *b, float value)
{
	uint32_t bits;

	memcpy(&bits, &value, sizeof bits);
	buf_add_u32(b, bits);
}

static float read_float(struct cursor *c)
{
	uint32_t bits = cursor_u32(c);
	float value;

	memcpy(&value, &bits, sizeof value);
	if (!isfinite(value))
		c->failed = true;
	return value;
}

static void save_hour(const struct stream *s, struct buf *b, const struct record_sink *sink)
{
	char key[KEY + 8];

	buf_clear(b);
	buf_add_u8(b, VERSION);
	record_add_time(b, s->hour);
	record_add_double(b, s->sum);
	buf_add_u32(b, s->count);
	snprintf(key, sizeof key, "hour/%s", s->key);
	sink->put(sink->ctx, key, b->data, b->len);
}

static void save_week(const struct stream *s, struct buf *b, const struct record_sink *sink)
{
	char key[KEY + 8];

	buf_clear(b);
	buf_add_u8(b, VERSION);
	for (size_t i = 0; i < HOURS; i++) {
		add_float(b, s->slots[i].before);
		add_float(b, s->slots[i].now);
		buf_add_u16(b, s->slots[i].week);
		buf_add_u8(b, s->slots[i].weeks);
	}
	snprintf(key, sizeof key, "week/%s", s->key);
	sink->put(sink->ctx, key, b->data, b->len);
}

void usual_save(struct usual *u, const struct record_sink *sink)
{
	struct buf b = {0};

	for (size_t i = 0; i < map_count(u->dropped); i++) {
		const char *key;

		map_at(u->dropped, i, &key);
		sink->drop(sink->ctx, key);
	}
	if (map_count(u->dropped) > 0) {
		map_free(u->dropped, NULL);
		u->dropped = map_new();
	}
	for (size_t i = 0; i < u->touched_count; i++) {
		struct stream *s = u->touched[i];

		save_hour(s, &b, sink);
		if (s->is_turned)
			save_week(s, &b, sink);
		s->is_touched = s->is_turned = false;
	}
	u->touched_count = 0;
	buf_fini(&b);
}

static void restore_hour(struct stream *s, struct cursor *c)
{
	int64_t hour = record_time(c);
	double sum = record_double(c);
	uint32_t count = cursor_u32(c);

	if (c->failed || !isfinite(sum))
		return;
	s->hour = hour;
	s->sum = sum;
	s->count = count;
}

static void restore_week(struct stream *s, struct cursor *c)
{
	struct slot slots[HOURS];

	for (size_t i = 0; i < HOURS; i++) {
		slots[i].before = read_float(c);
		slots[i].now = read_float(c);
		slots[i].week = cursor_u16(c);
		slots[i].weeks = cursor_u8(c);
	}
	if (!c->failed)
		memcpy(s->slots, slots, sizeof slots);
}

int usual_restore(struct usual *u, const char *key, const void *data, size_t len, struct err *e)
{
	struct cursor c = cursor_over(data, len);
	bool is_week = strncmp(key, "week/", 5) == 0;
	struct stream *s;

	if (cursor_u8(&c) != VERSION || (!is_week && strncmp(key, "hour/", 5) != 0) || strlen(key + 5) >= KEY)
		return err_set(e, "record \"%s\" is none of what is usual", key);
	s = map_find(u->streams, key + 5);
	if (s == NULL)
		s = add(u, key + 5);
	if (s == NULL)
		return 0;
	if (is_week)
		restore_week(s, &c);
	else
		restore_hour(s, &c);
	return c.failed ? err_set(e, "record \"%s\" is damaged", key) : 0;
}
