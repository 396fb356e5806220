#include "collector/judge/outbox.h"

#include <inttypes.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "collector/judge/database.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"

static const char *const tables =
	"CREATE TABLE IF NOT EXISTS incident (id INTEGER PRIMARY KEY, phase INTEGER NOT NULL, subject TEXT NOT NULL, reason TEXT NOT"
	" NULL, state INTEGER NOT NULL, faults INTEGER NOT NULL, since INTEGER NOT NULL, opened INTEGER NOT NULL, closed INTEGER"
	" NOT NULL, acknowledged_by TEXT, acknowledged_until INTEGER NOT NULL, assignee TEXT NOT NULL, flapping INTEGER NOT NULL,"
	" quiet INTEGER NOT NULL, level INTEGER NOT NULL, affected_count INTEGER NOT NULL, affected TEXT NOT NULL);"
	"CREATE INDEX IF NOT EXISTS incident_opened ON incident (opened);"
	"CREATE INDEX IF NOT EXISTS incident_phase ON incident (phase, opened);"
	"CREATE TABLE IF NOT EXISTS intent (key INTEGER PRIMARY KEY, kind INTEGER NOT NULL, audience TEXT NOT NULL, incident INTEGER"
	" NOT NULL, other INTEGER NOT NULL, subject TEXT NOT NULL, state INTEGER NOT NULL, faults INTEGER NOT NULL, level INTEGER"
	" NOT NULL, since INTEGER NOT NULL, at INTEGER NOT NULL, author TEXT NOT NULL, text TEXT NOT NULL, reason TEXT NOT NULL,"
	" items TEXT NOT NULL);"
	"CREATE TABLE IF NOT EXISTS beat (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL, at INTEGER NOT NULL);";

enum statement { PUT_INTENT, FIND_INTENT, DROP_INTENTS, NUMBERS, PUT_INCIDENT, OPEN_INCIDENTS, INCIDENTS, INCIDENT, INTENTS, LAST_INTENT, PUT_BEAT, LAST_BEAT,
	STATEMENTS };
#define DROP_AT_ONCE "100"
#define INCIDENT_COLUMNS                                                                           \
	"id, phase, subject, reason, state, faults, since, opened, closed, acknowledged_by, acknowledged_until, assignee, flapping," \
	" quiet, level, affected_count, affected"
static const char *const texts[STATEMENTS] = {
	[PUT_INTENT] = "INSERT OR IGNORE INTO intent (key, kind, incident, other, state, faults, level, since, at, audience, subject,"
		       " author, text, reason, items) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[FIND_INTENT] = "SELECT at FROM intent WHERE key = ?",
	/* The oldest are looked at alone: keys rise with time. */
	[DROP_INTENTS] = "DELETE FROM intent WHERE key < (SELECT min(key) FROM intent) + " DROP_AT_ONCE " AND key < (SELECT max(key)"
			 " FROM intent) AND at < ?",
	[NUMBERS] = "SELECT (SELECT max(id) FROM incident), (SELECT max(key) FROM intent)",
	[PUT_INCIDENT] = "INSERT OR REPLACE INTO incident (" INCIDENT_COLUMNS ") VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?,"
			 " ?, ?, ?)",
	[OPEN_INCIDENTS] = "SELECT " INCIDENT_COLUMNS " FROM incident WHERE phase < 2 AND opened >= ? ORDER BY opened DESC, id DESC",
	[INCIDENTS] = "SELECT " INCIDENT_COLUMNS " FROM incident WHERE opened >= ? ORDER BY opened DESC, id DESC",
	[INCIDENT] = "SELECT " INCIDENT_COLUMNS " FROM incident WHERE id = ?",
	[INTENTS] = "SELECT key, kind, incident, other, state, faults, level, since, at, audience, subject, author, text, reason,"
		    " items FROM intent WHERE key > ? ORDER BY key",
	[LAST_INTENT] = "SELECT max(key) FROM intent",
	/* Anew after a clock that was set back. */
	[PUT_BEAT] = "INSERT INTO beat (one, number, at) VALUES (1, 1, ?1) ON CONFLICT (one) DO UPDATE SET number = number + 1,"
		     " at = ?1 WHERE ?1 >= at + ?2 OR ?1 < at",
	[LAST_BEAT] = "SELECT number, at FROM beat",
};

struct outbox {
	sqlite3 *db;
	bool owns_db;
	sqlite3_stmt *statements[STATEMENTS];
};

static int failed(struct outbox *o, const char *what, struct err *e)
{
	return err_set(e, "outbox: %s: %s", what, sqlite3_errmsg(o->db));
}

static struct outbox *open_on(sqlite3 *db, bool owns, struct err *e)
{
	struct outbox *o = mem_alloc(sizeof *o);

	o->db = db;
	o->owns_db = owns;
	for (int i = 0; i < STATEMENTS; i++) {
		if (sqlite3_prepare_v3(db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &o->statements[i], NULL) != SQLITE_OK) {
			failed(o, "not the database of judgement", e);
			outbox_close(o);
			return NULL;
		}
	}
	return o;
}

struct outbox *outbox_open(sqlite3 *db, struct err *e)
{
	if (sqlite3_exec(db, tables, NULL, NULL, NULL) == SQLITE_OK)
		return open_on(db, false, e);
	err_set(e, "outbox: tables: %s", sqlite3_errmsg(db));
	return NULL;
}

struct outbox *outbox_open_file(const char *path, struct err *e)
{
	sqlite3 *db = database_open_read(path, e);

	return db != NULL ? open_on(db, true, e) : NULL;
}

void outbox_close(struct outbox *o)
{
	if (o == NULL)
		return;
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(o->statements[i]);
	if (o->owns_db)
		sqlite3_close(o->db);
	free(o);
}

/* Binds numbers, then texts; runs it. */
static int put(struct outbox *o, enum statement which, const int64_t *numbers, int count, const char *const *words, int words_count,
	struct err *e)
{
	sqlite3_stmt *s = o->statements[which];
	int rc;

	sqlite3_reset(s);
	for (int i = 0; i < count; i++)
		sqlite3_bind_int64(s, i + 1, numbers[i]);
	for (int i = 0; i < words_count; i++)
		sqlite3_bind_text(s, count + i + 1, words[i] != NULL ? words[i] : "", -1, SQLITE_TRANSIENT);
	rc = sqlite3_step(s);
	sqlite3_reset(s);
	return rc == SQLITE_DONE ? 0 : failed(o, "not kept", e);
}

void outbox_format_items(const struct incident_intent *in, struct buf *out)
{
	for (size_t i = 0; i < in->items_count; i++) {
		const struct incident_item *item = &in->items[i];

		buf_add_format(out, "%s %" PRIu64, incident_intent_name(item->kind), item->incident);
		if (item->other != 0)
			buf_add_format(out, ">%" PRIu64, item->other);
		buf_add_format(out, " %s\n", item->subject);
	}
}

static int parse_item(char *line, struct incident_item *out)
{
	char *number = strchr(line, ' '), *subject = number != NULL ? strchr(number + 1, ' ') : NULL, *end;
	uint64_t incident;

	if (subject == NULL)
		return -1;
	*number = '\0';
	incident = strtoull(number + 1, &end, 10);
	for (int kind = INTENT_PROBLEM; kind < INTENT_KINDS; kind++) {
		if (kind == INTENT_PROBE || strcmp(line, incident_intent_name((enum incident_intent_kind)kind)) != 0)
			continue;
		*out = (struct incident_item){.kind = (enum incident_intent_kind)kind, .incident = incident,
			.other = *end == '>' ? strtoull(end + 1, NULL, 10) : 0, .subject = subject + 1};
		return 0;
	}
	return -1;
}

void outbox_parse_items(const char *text, struct outbox_items *out)
{
	size_t lines = 0;
	char *next;

	for (const char *p = text; *p != '\0'; p++)
		lines += *p == '\n';
	*out = (struct outbox_items){.items = mem_array(lines + 1, sizeof *out->items), .text = mem_strdup(text)};
	for (char *line = out->text; (next = strchr(line, '\n')) != NULL; line = next + 1) {
		*next = '\0';
		if (parse_item(line, &out->items[out->count]) == 0)
			out->count++;
	}
}

void outbox_items_fini(struct outbox_items *i)
{
	free(i->items);
	free(i->text);
	*i = (struct outbox_items){0};
}

/* One that is there already must be the same, or somebody would never be told of this one. */
static int check_twin(struct outbox *o, const struct incident_intent *in, struct err *e)
{
	sqlite3_stmt *s = o->statements[FIND_INTENT];
	bool is_same;

	sqlite3_reset(s);
	sqlite3_bind_int64(s, 1, (int64_t)in->key);
	is_same = sqlite3_step(s) == SQLITE_ROW && sqlite3_column_int64(s, 0) == in->at;
	sqlite3_reset(s);
	return is_same ? 0 : err_set(e, "outbox: the notice %" PRIu64 " is another one already", in->key);
}

int outbox_put(struct outbox *o, const struct incident_intent *in, struct err *e)
{
	const int64_t numbers[] = {(int64_t)in->key, in->kind, (int64_t)in->incident, (int64_t)in->other, in->state, in->faults,
		in->level, in->since, in->at};
	struct buf items = {0};
	int rc;

	outbox_format_items(in, &items);
	rc = put(o, PUT_INTENT, numbers, 9, (const char *const[]){in->audience, in->subject, in->author, in->text, in->reason,
		buf_text(&items)}, 6, e);
	buf_fini(&items);
	return rc == 0 && sqlite3_changes(o->db) == 0 ? check_twin(o, in, e) : rc;
}

static void bind_incident(sqlite3_stmt *s, const struct incident_view *v)
{
	sqlite3_bind_int64(s, 1, (int64_t)v->id);
	sqlite3_bind_int64(s, 2, v->phase);
	sqlite3_bind_text(s, 3, v->subject, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(s, 4, v->reason, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(s, 5, v->state);
	sqlite3_bind_int64(s, 6, v->faults);
	sqlite3_bind_int64(s, 7, v->since);
	sqlite3_bind_int64(s, 8, v->opened);
	sqlite3_bind_int64(s, 9, v->closed);
	if (v->is_acknowledged)
		sqlite3_bind_text(s, 10, v->acknowledged_by, -1, SQLITE_TRANSIENT);
	else
		sqlite3_bind_null(s, 10);
	sqlite3_bind_int64(s, 11, v->acknowledged_until);
	sqlite3_bind_text(s, 12, v->assignee != NULL ? v->assignee : "", -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(s, 13, v->is_flapping);
	sqlite3_bind_int64(s, 14, v->is_quiet);
	sqlite3_bind_int64(s, 15, v->level);
	sqlite3_bind_int64(s, 16, (int64_t)v->affected_count);
}

static struct map *affected_by(const struct incidents *all, uint64_t incident)
{
	struct map *each = map_new(); /* what came, went and came again stands in an incident twice */
	struct incident_affected a;

	for (size_t i = 0; incidents_affected(all, incident, i, &a); i++)
		map_set(each, a.subject, each);
	return each;
}

/* Each unit is told of its own systems, so that none of them is left out for a site that stands before it. */
static void add_affected(const struct map *each, bool systems, size_t most, struct buf *out)
{
	const char *subject;
	size_t added = 0;

	for (size_t i = 1; added < most && i < map_count(each); i++) {
		map_at(each, i, &subject);
		if ((strncmp(subject, "system/", 7) == 0) != systems)
			continue;
		buf_add_format(out, " %s", subject);
		added++;
	}
}

int outbox_note(struct outbox *o, const struct incidents *all, uint64_t incident, struct err *e)
{
	sqlite3_stmt *s = o->statements[PUT_INCIDENT];
	struct buf affected = {0};
	struct incident_view v;
	const char *root;
	struct map *each;
	int rc;

	if (!incidents_find(all, incident, &v))
		return 0;
	each = affected_by(all, incident);
	if (map_count(each) > 0) {
		map_at(each, 0, &root);
		buf_add_text(&affected, root);
	}
	add_affected(each, true, OUTBOX_SYSTEMS, &affected);
	add_affected(each, false, OUTBOX_AFFECTED - 1, &affected);
	v.affected_count = map_count(each);
	map_free(each, NULL);
	sqlite3_reset(s);
	bind_incident(s, &v);
	sqlite3_bind_text(s, 17, buf_text(&affected), -1, SQLITE_TRANSIENT);
	rc = sqlite3_step(s);
	sqlite3_reset(s);
	buf_fini(&affected);
	return rc == SQLITE_DONE ? 0 : failed(o, "an incident is not kept", e);
}

int outbox_beat(struct outbox *o, int64_t at, struct err *e)
{
	if (put(o, PUT_BEAT, (const int64_t[]){at, OUTBOX_BEAT}, 2, NULL, 0, e) < 0)
		return -1;
	return put(o, DROP_INTENTS, (const int64_t[]){at - OUTBOX_KEPT}, 1, NULL, 0, e);
}

/* ---- reading */

int outbox_last_beat(struct outbox *o, uint64_t *number, int64_t *at, struct err *e)
{
	sqlite3_stmt *s = o->statements[LAST_BEAT];
	int rc;

	*number = 0;
	*at = 0;
	sqlite3_reset(s);
	rc = sqlite3_step(s);
	if (rc == SQLITE_ROW) {
		*number = (uint64_t)sqlite3_column_int64(s, 0);
		*at = sqlite3_column_int64(s, 1);
	}
	sqlite3_reset(s);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : failed(o, "the beat is not readable", e);
}

static const char *text(sqlite3_stmt *s, int column)
{
	const char *t = (const char *)sqlite3_column_text(s, column);

	return t != NULL ? t : "";
}

static int read_incidents(struct outbox *o, sqlite3_stmt *s, void (*on_incident)(void *ctx, const struct outbox_incident *),
	void *ctx, struct err *e)
{
	int rc;

	while ((rc = sqlite3_step(s)) == SQLITE_ROW)
		on_incident(ctx, &(struct outbox_incident){
			.view = {.id = (uint64_t)sqlite3_column_int64(s, 0), .phase = (enum incident_phase)sqlite3_column_int(s, 1),
				.subject = text(s, 2), .reason = text(s, 3), .state = (enum state)sqlite3_column_int(s, 4),
				.faults = (unsigned)sqlite3_column_int(s, 5), .since = sqlite3_column_int64(s, 6),
				.opened = sqlite3_column_int64(s, 7), .closed = sqlite3_column_int64(s, 8),
				.is_acknowledged = sqlite3_column_type(s, 9) != SQLITE_NULL, .acknowledged_by = text(s, 9),
				.acknowledged_until = sqlite3_column_int64(s, 10), .assignee = text(s, 11),
				.is_flapping = sqlite3_column_int(s, 12) != 0, .is_quiet = sqlite3_column_int(s, 13) != 0,
				.level = (unsigned)sqlite3_column_int(s, 14)},
			.affected_count = (size_t)sqlite3_column_int64(s, 15), .affected = text(s, 16)});
	sqlite3_reset(s);
	return rc == SQLITE_DONE ? 0 : failed(o, "incidents are not readable", e);
}

int outbox_incidents(struct outbox *o, bool open_only, int64_t from,
	void (*on_incident)(void *ctx, const struct outbox_incident *), void *ctx, struct err *e)
{
	sqlite3_stmt *s = o->statements[open_only ? OPEN_INCIDENTS : INCIDENTS];

	sqlite3_reset(s);
	sqlite3_bind_int64(s, 1, from);
	return read_incidents(o, s, on_incident, ctx, e);
}

int outbox_find(struct outbox *o, uint64_t incident, void (*on_incident)(void *ctx, const struct outbox_incident *), void *ctx,
	struct err *e)
{
	sqlite3_stmt *s = o->statements[INCIDENT];

	sqlite3_reset(s);
	sqlite3_bind_int64(s, 1, (int64_t)incident);
	return read_incidents(o, s, on_incident, ctx, e);
}

int outbox_at(struct outbox *o, uint64_t key, int64_t *at, struct err *e)
{
	sqlite3_stmt *s = o->statements[FIND_INTENT];
	int rc;

	sqlite3_reset(s);
	sqlite3_bind_int64(s, 1, (int64_t)key);
	rc = sqlite3_step(s);
	*at = rc == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;
	sqlite3_reset(s);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : failed(o, "intents are not readable", e);
}

int outbox_end(struct outbox *o, uint64_t *key, struct err *e)
{
	sqlite3_stmt *s = o->statements[LAST_INTENT];
	int rc;

	sqlite3_reset(s);
	rc = sqlite3_step(s);
	*key = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(s, 0) : 0;
	sqlite3_reset(s);
	return rc == SQLITE_ROW ? 0 : failed(o, "intents are not readable", e);
}

int outbox_numbers(struct outbox *o, uint64_t *incident, uint64_t *key, struct err *e)
{
	sqlite3_stmt *s = o->statements[NUMBERS];
	int rc;

	sqlite3_reset(s);
	rc = sqlite3_step(s);
	*incident = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(s, 0) : 0;
	*key = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(s, 1) : 0;
	sqlite3_reset(s);
	return rc == SQLITE_ROW ? 0 : failed(o, "numbers are not readable", e);
}

static void give_intent(sqlite3_stmt *s, void (*on_intent)(void *ctx, const struct incident_intent *), void *ctx)
{
	struct outbox_items items;

	outbox_parse_items(text(s, 14), &items);
	on_intent(ctx, &(struct incident_intent){.key = (uint64_t)sqlite3_column_int64(s, 0),
		.kind = (enum incident_intent_kind)sqlite3_column_int(s, 1), .incident = (uint64_t)sqlite3_column_int64(s, 2),
		.other = (uint64_t)sqlite3_column_int64(s, 3), .state = (enum state)sqlite3_column_int(s, 4),
		.faults = (unsigned)sqlite3_column_int(s, 5), .level = (unsigned)sqlite3_column_int(s, 6),
		.since = sqlite3_column_int64(s, 7), .at = sqlite3_column_int64(s, 8), .audience = text(s, 9),
		.subject = text(s, 10), .author = text(s, 11), .text = text(s, 12), .reason = text(s, 13),
		.items_count = items.count, .items = items.items});
	outbox_items_fini(&items);
}

int outbox_intents(struct outbox *o, uint64_t behind, void (*on_intent)(void *ctx, const struct incident_intent *), void *ctx,
	struct err *e)
{
	sqlite3_stmt *s = o->statements[INTENTS];
	int rc;

	sqlite3_reset(s);
	sqlite3_bind_int64(s, 1, (int64_t)behind);
	while ((rc = sqlite3_step(s)) == SQLITE_ROW)
		give_intent(s, on_intent, ctx);
	sqlite3_reset(s);
	return rc == SQLITE_DONE ? 0 : failed(o, "intents are not readable", e);
}
