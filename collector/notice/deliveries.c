#include "collector/notice/deliveries.h"

#include <errno.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "collector/judge/database.h"
#include "collector/judge/outbox.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/mem.h"

#define UNDER_WAY "-1" /* outcome of a try that has not ended */
#define CUT_WORDS "cut off: it may have been taken"
#define WAIT_MS 5000 /* for somebody who looks just when the database is opened; later nobody is in the way of the other */

static const char *const tables =
	"CREATE TABLE IF NOT EXISTS notice (id INTEGER PRIMARY KEY, key INTEGER NOT NULL, kind INTEGER NOT NULL, incident INTEGER NOT"
	" NULL, other INTEGER NOT NULL, state INTEGER NOT NULL, faults INTEGER NOT NULL, level INTEGER NOT NULL, since INTEGER NOT"
	" NULL, at INTEGER NOT NULL, noted INTEGER NOT NULL, audience TEXT NOT NULL, subject TEXT NOT NULL, author TEXT NOT NULL, text"
	" TEXT NOT NULL, reason TEXT NOT NULL, items TEXT NOT NULL, affected TEXT NOT NULL);"
	"CREATE UNIQUE INDEX IF NOT EXISTS notice_key ON notice (key, at) WHERE key > 0;"
	"CREATE INDEX IF NOT EXISTS notice_noted ON notice (noted);"
	"CREATE TABLE IF NOT EXISTS delivery (id INTEGER PRIMARY KEY, notice INTEGER NOT NULL, incident INTEGER NOT NULL, audience TEXT"
	" NOT NULL, kind INTEGER NOT NULL, is_part INTEGER NOT NULL, route TEXT NOT NULL, channel TEXT NOT NULL, language INTEGER NOT"
	" NULL, state INTEGER NOT NULL, goes_into INTEGER NOT NULL, tries INTEGER NOT NULL, created INTEGER NOT NULL, ended INTEGER NOT"
	" NULL, words TEXT NOT NULL);"
	"CREATE UNIQUE INDEX IF NOT EXISTS delivery_notice ON delivery (notice, channel);"
	"CREATE INDEX IF NOT EXISTS delivery_waiting ON delivery (id) WHERE state = 0;"
	"CREATE INDEX IF NOT EXISTS delivery_incident ON delivery (incident);"
	"CREATE INDEX IF NOT EXISTS delivery_into ON delivery (goes_into) WHERE goes_into > 0;"
	/* The incidents that a digest or an escalation begins to tell of, or one that tells that it is a part of them. */
	"CREATE TABLE IF NOT EXISTS begins (incident INTEGER NOT NULL, notice INTEGER NOT NULL, PRIMARY KEY (incident, notice)) WITHOUT"
	" ROWID;"
	"CREATE INDEX IF NOT EXISTS begins_notice ON begins (notice);"
	"CREATE TABLE IF NOT EXISTS attempt (delivery INTEGER NOT NULL, number INTEGER NOT NULL, at INTEGER NOT NULL, took INTEGER NOT"
	" NULL, outcome INTEGER NOT NULL, words TEXT NOT NULL, PRIMARY KEY (delivery, number));"
	"CREATE INDEX IF NOT EXISTS attempt_at ON attempt (at);"
	"CREATE INDEX IF NOT EXISTS attempt_under_way ON attempt (delivery) WHERE outcome = " UNDER_WAY ";"
	"CREATE TABLE IF NOT EXISTS place (one INTEGER PRIMARY KEY CHECK (one = 1), key INTEGER NOT NULL);"
	"CREATE TABLE IF NOT EXISTS beat (one INTEGER PRIMARY KEY CHECK (one = 1), number INTEGER NOT NULL, at INTEGER NOT NULL);";

enum statement { GET_PLACE, PUT_PLACE, NOTE, KNOWN, OTHER, ADD, FOUND, TOLD, OVER, AGAIN, END, DEPART, TRY, COUNT_TRY, COUNT_CUT, CUT, LOAD, RECENT, READ, WHERE, TOLD_WHERE, WAS_TOLD,
	FIRST, BEGINS, GET_BEAT, PUT_BEAT, LIST, TRIES, FORGET_TRIES, FORGET_DELIVERIES, FORGET_BEGINS, FORGET_NOTICES, STATEMENTS };

#define COLUMNS "d.id, d.notice, d.incident, d.audience, d.route, d.channel, d.kind, d.language, d.is_part, d.state, d.tries, d.created"
/* Of what tells an audience that an incident began, all deliveries, and what they were joined to or moved into. */
#define WAYS_OF_PROBLEM(and) \
	"WITH RECURSIVE way (id, channel, route, language, state, into_id) AS (SELECT d.id, d.channel, d.route, d.language, d.state," \
	" d.goes_into FROM delivery d WHERE d.incident = ?1 AND d.audience = ?2 AND d.kind = 0" and " UNION SELECT d.id, d.channel, d.route," \
	" d.language, d.state, d.goes_into FROM begins b JOIN delivery d ON d.notice = b.notice WHERE b.incident = ?1 AND d.audience = ?2" and \
	" UNION SELECT d.id, d.channel, d.route, d.language, d.state, d.goes_into FROM way JOIN delivery d ON d.id = way.into_id WHERE" \
	" way.state IN (2, 3))"
#define WAITS_NO_MORE "notice IN (SELECT id FROM notice WHERE noted < ?1) AND state <> 0"
static const char *const texts[STATEMENTS] = {
	[GET_PLACE] = "SELECT key FROM place",
	[PUT_PLACE] = "INSERT INTO place (one, key) VALUES (1, ?1) ON CONFLICT (one) DO UPDATE SET key = ?1",
	[NOTE] = "INSERT INTO notice (key, kind, incident, other, state, faults, level, since, at, noted, audience, subject, author, text,"
		 " reason, items, affected) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[KNOWN] = "SELECT id FROM notice WHERE key = ? AND at = ? AND key > 0",
	[OTHER] = "SELECT count(*) > 0 AND max(at = ?2) = 0 FROM notice WHERE key = ?1 AND key > 0",
	[ADD] = "INSERT OR IGNORE INTO delivery (notice, incident, kind, is_part, language, state, created, ended, goes_into, tries, audience,"
		" route, channel, words) VALUES (?, ?, ?, ?, ?, ?, ?, ?, 0, 0, ?, ?, ?, '')",
	[FOUND] = "SELECT id FROM delivery WHERE notice = ? AND channel = ?",
	/* What became of a delivery: it waits or was taken, itself or what it was joined to or moved into; not by way of ?2. */
	[TOLD] = "WITH RECURSIVE way (id, state, into_id) AS (SELECT id, state, goes_into FROM delivery WHERE id = ?1 UNION SELECT d.id,"
		 " d.state, d.goes_into FROM way JOIN delivery d ON d.id = way.into_id WHERE way.state IN (2, 3) AND d.id <> ?2) SELECT id"
		 " FROM way WHERE state IN (0, 1) LIMIT 1",
	[OVER] = "SELECT id FROM delivery WHERE incident = ?1 AND notice > ?2 AND kind IN (1, 2) AND state IN (0, 1) AND audience = ?3 AND"
		 " channel = ?4 LIMIT 1",
	[AGAIN] = "UPDATE delivery SET state = 0, goes_into = 0, ended = 0 WHERE id = ?1",
	[END] = "UPDATE delivery SET state = ?2, goes_into = ?3, ended = ?4, words = CASE ?5 WHEN '' THEN words ELSE ?5 END WHERE id = ?1",
	[DEPART] = "INSERT INTO attempt (delivery, number, at, took, outcome, words) SELECT ?1, ifnull(max(number), 0) + 1, ?2, 0, " UNDER_WAY
		   ", '' FROM attempt WHERE delivery = ?1",
	[TRY] = "UPDATE attempt SET took = ?2, outcome = ?3, words = ?4 WHERE delivery = ?1 AND outcome = " UNDER_WAY,
	[COUNT_TRY] = "UPDATE delivery SET tries = tries + 1, words = ?2 WHERE id = ?1",
	[COUNT_CUT] = "UPDATE delivery SET tries = tries + 1, words = ?2 WHERE state = 0 AND id IN (SELECT delivery FROM attempt WHERE outcome"
		      " = " UNDER_WAY ")",
	[CUT] = "UPDATE attempt SET outcome = ?1, words = ?2 WHERE outcome = " UNDER_WAY,
	[LOAD] = "SELECT " COLUMNS ", (SELECT count(*) FROM attempt a WHERE a.delivery = d.id AND a.number > (SELECT ifnull(max(b.number), 0)"
		 " FROM attempt b WHERE b.delivery = d.id AND b.words <> '" CUT_WORDS "')) FROM delivery d WHERE d.state = 0 ORDER BY d.id",
	[RECENT] = "SELECT d.channel, a.at FROM attempt a JOIN delivery d ON d.id = a.delivery WHERE a.at >= ? ORDER BY a.at",
	[READ] = "SELECT id, kind, incident, other, state, faults, level, since, at, audience, subject, author, text, reason, items, affected"
		 " FROM notice WHERE id = ?",
	/* Taken, or on its way there. */
	[WHERE] = WAYS_OF_PROBLEM(" AND d.route = ?3") " SELECT channel FROM way WHERE state IN (0, 1) ORDER BY state DESC, id DESC LIMIT 1",
	[TOLD_WHERE] = WAYS_OF_PROBLEM("") " SELECT max(id), channel, route, language FROM way WHERE state IN (0, 1) GROUP BY channel",
	[WAS_TOLD] = WAYS_OF_PROBLEM("") " SELECT count(*) FROM way WHERE state <> 5",
	[BEGINS] = "INSERT OR IGNORE INTO begins (incident, notice) VALUES (?, ?)",
	/* Joined to this one, or given up. */
	[FIRST] = "SELECT count(*) FROM delivery WHERE incident = ?1 AND audience = ?2 AND route = ?3 AND (kind = 0 OR (kind = 4 AND"
		  " audience LIKE '" INCIDENT_ESCALATION "%' AND NOT EXISTS (SELECT 1 FROM delivery o WHERE o.incident = ?1 AND o.audience"
		  " = ?2 AND o.route = ?3 AND o.state = 1))) AND ((state = 2 AND goes_into = ?4) OR state = 4)",
	[GET_BEAT] = "SELECT number, at FROM beat",
	[PUT_BEAT] = "INSERT INTO beat (one, number, at) VALUES (1, ?1, ?2) ON CONFLICT (one) DO UPDATE SET number = ?1, at = ?2",
	[LIST] = "SELECT " COLUMNS ", d.goes_into, n.at, d.ended, n.subject, d.words FROM delivery d JOIN notice n ON n.id = d.notice WHERE"
		 " (?1 = 0 OR d.incident = ?1) AND (?2 IS NULL OR d.audience = ?2) AND (?3 = 0 OR d.state = 4 OR (d.state = 0 AND d.tries >"
		 " 0)) ORDER BY d.id DESC LIMIT ?4",
	[TRIES] = "SELECT at, took, outcome, words FROM attempt WHERE delivery = ? ORDER BY number",
	[FORGET_TRIES] = "DELETE FROM attempt WHERE delivery IN (SELECT id FROM delivery WHERE " WAITS_NO_MORE ")",
	[FORGET_DELIVERIES] = "DELETE FROM delivery WHERE " WAITS_NO_MORE,
	[FORGET_BEGINS] = "DELETE FROM begins WHERE notice IN (SELECT id FROM notice WHERE noted < ?1 AND NOT EXISTS (SELECT 1 FROM delivery"
		" WHERE delivery.notice = notice.id))",
	[FORGET_NOTICES] = "DELETE FROM notice WHERE noted < ?1 AND NOT EXISTS (SELECT 1 FROM delivery WHERE delivery.notice = notice.id)",
};

struct deliveries {
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENTS];
};

const char *delivery_state_name(enum delivery_state s)
{
	static const char *const names[] = {[DELIVERY_WAITING] = "waiting", [DELIVERY_TAKEN] = "taken", [DELIVERY_JOINED] = "joined",
		[DELIVERY_MOVED] = "moved", [DELIVERY_FAILED] = "failed", [DELIVERY_OLD] = "old"};

	return names[s];
}

static int failed(struct deliveries *d, const char *what, struct err *e)
{
	const char *path = sqlite3_db_filename(d->db, "main");
	int rc = sqlite3_extended_errcode(d->db), reason = sqlite3_system_errno(d->db);
	bool is_of_system = (rc & 0xff) == SQLITE_IOERR || (rc & 0xff) == SQLITE_CANTOPEN;

	return err_set(e, "%.200s: %.200s: %s (%d)%s%s", path != NULL ? path : "deliveries", what, sqlite3_errmsg(d->db), rc,
		is_of_system && reason != 0 ? ": " : "", is_of_system && reason != 0 ? strerror(reason) : "");
}

static int execute(struct deliveries *d, const char *sql, struct err *e)
{
	return sqlite3_exec(d->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : failed(d, sql, e);
}

/* ---- life */

static int prepare(struct deliveries *d, struct err *e)
{
	for (int i = 0; i < STATEMENTS; i++) {
		if (sqlite3_prepare_v3(d->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &d->statements[i], NULL) != SQLITE_OK)
			return failed(d, "the database is another one", e);
	}
	return 0;
}

static int open_database(struct deliveries *d, const char *state, struct err *e)
{
	char *folder = mem_format("%s/notice", state), *path = mem_format("%s/%s", state, DELIVERIES_FILE);
	int rc = -1;

	if (mkdir(folder, 0750) < 0 && errno != EEXIST)
		err_errno(e, "%s: make the folder", folder);
	else if (sqlite3_open(path, &d->db) != SQLITE_OK)
		err_set(e, "%s: %s", path, sqlite3_errmsg(d->db));
	else if (sqlite3_busy_timeout(d->db, WAIT_MS) == SQLITE_OK)
		rc = execute(d, "PRAGMA journal_mode = WAL", e);
	free(folder);
	free(path);
	if (rc < 0 || execute(d, "PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY", e) < 0)
		return -1;
	return execute(d, tables, e) < 0 ? -1 : prepare(d, e);
}

struct deliveries *deliveries_open(const char *state, struct err *e)
{
	struct deliveries *d = mem_alloc(sizeof *d);

	if (open_database(d, state, e) == 0)
		return d;
	deliveries_close(d);
	return NULL;
}

struct deliveries *deliveries_open_file(const char *path, struct err *e)
{
	struct deliveries *d = mem_alloc(sizeof *d);

	d->db = database_open_read(path, e);
	if (d->db != NULL && prepare(d, e) == 0)
		return d;
	deliveries_close(d);
	return NULL;
}

void deliveries_close(struct deliveries *d)
{
	if (d == NULL)
		return;
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(d->statements[i]);
	sqlite3_close(d->db);
	free(d);
}

int deliveries_begin(struct deliveries *d, struct err *e)
{
	return execute(d, "BEGIN IMMEDIATE", e);
}

int deliveries_commit(struct deliveries *d, struct err *e)
{
	return execute(d, "COMMIT", e);
}

/* ---- statements */

static sqlite3_stmt *statement(struct deliveries *d, enum statement which)
{
	sqlite3_reset(d->statements[which]);
	return d->statements[which];
}

/* Binds numbers from 1 on, then texts. */
static sqlite3_stmt *bound(struct deliveries *d, enum statement which, const int64_t *numbers, int count, const char *const *words,
	int words_count)
{
	sqlite3_stmt *s = statement(d, which);

	for (int i = 0; i < count; i++)
		sqlite3_bind_int64(s, i + 1, numbers[i]);
	for (int i = 0; i < words_count; i++)
		sqlite3_bind_text(s, count + i + 1, words[i] != NULL ? words[i] : "", -1, SQLITE_TRANSIENT);
	return s;
}

static int run(struct deliveries *d, sqlite3_stmt *s, const char *what, struct err *e)
{
	int rc = sqlite3_step(s);

	sqlite3_reset(s);
	return rc == SQLITE_DONE ? 0 : failed(d, what, e);
}

/* The number in the first column; 0: no row. */
static int get_number(struct deliveries *d, sqlite3_stmt *s, uint64_t *out, struct err *e)
{
	int rc = sqlite3_step(s);

	*out = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(s, 0) : 0;
	sqlite3_reset(s);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : failed(d, "not readable", e);
}

static const char *text(sqlite3_stmt *s, int column)
{
	const char *t = (const char *)sqlite3_column_text(s, column);

	return t != NULL ? t : "";
}

/* ---- what is to be told */

int deliveries_cursor(struct deliveries *d, uint64_t *key, struct err *e)
{
	return get_number(d, statement(d, GET_PLACE), key, e);
}

int deliveries_move_cursor(struct deliveries *d, uint64_t key, struct err *e)
{
	return run(d, bound(d, PUT_PLACE, (const int64_t[]){(int64_t)key}, 1, NULL, 0), "the place is not kept", e);
}

int deliveries_is_other(struct deliveries *d, uint64_t key, int64_t at, bool *is_other, struct err *e)
{
	uint64_t other;

	if (get_number(d, bound(d, OTHER, (const int64_t[]){(int64_t)key, at}, 2, NULL, 0), &other, e) < 0)
		return -1;
	*is_other = other != 0;
	return 0;
}

static int note_begin(struct deliveries *d, uint64_t incident, uint64_t notice, struct err *e)
{
	return incident == 0 ? 0 : run(d, bound(d, BEGINS, (const int64_t[]){(int64_t)incident, (int64_t)notice}, 2, NULL, 0), "a notice is not kept", e);
}

/* Who is told of escalations alone hears of an incident first by one. */
static bool is_beginning(const struct incident_intent *in, enum incident_intent_kind kind)
{
	return kind == INTENT_PROBLEM || (kind == INTENT_ESCALATE && incident_is_escalation(in->audience));
}

/* A problem by itself is found by its delivery. */
static int note_begins(struct deliveries *d, const struct incident_intent *in, uint64_t notice, struct err *e)
{
	int rc = in->kind == INTENT_MERGED ? note_begin(d, in->other, notice, e) : 0;

	if (in->kind != INTENT_PROBLEM && is_beginning(in, in->kind))
		rc = note_begin(d, in->incident, notice, e);
	for (size_t i = 0; i < in->items_count && rc == 0; i++) {
		const struct incident_item *item = &in->items[i];

		if (item->kind == INTENT_MERGED || is_beginning(in, item->kind))
			rc = note_begin(d, item->kind == INTENT_MERGED ? item->other : item->incident, notice, e);
	}
	return rc;
}

int deliveries_note(struct deliveries *d, const struct incident_intent *in, const char *affected, int64_t now, uint64_t *notice,
	struct err *e)
{
	const int64_t numbers[] = {(int64_t)in->key, in->kind, (int64_t)in->incident, (int64_t)in->other, in->state, in->faults,
		in->level, in->since, in->at, now};
	struct buf items = {0};
	int rc;

	if (get_number(d, bound(d, KNOWN, (const int64_t[]){(int64_t)in->key, in->at}, 2, NULL, 0), notice, e) < 0)
		return -1;
	if (*notice != 0)
		return 0;
	outbox_format_items(in, &items);
	rc = run(d, bound(d, NOTE, numbers, 10, (const char *const[]){in->audience, in->subject, in->author, in->text, in->reason,
		buf_text(&items), affected}, 7), "a notice is not kept", e);
	buf_fini(&items);
	*notice = (uint64_t)sqlite3_last_insert_rowid(d->db);
	return rc < 0 || note_begins(d, in, *notice, e) < 0 ? -1 : 1;
}

/* This notice went to this channel before. */
static int add_again(struct deliveries *d, const struct delivery *n, uint64_t *id, struct err *e)
{
	uint64_t told;

	if (get_number(d, bound(d, FOUND, (const int64_t[]){(int64_t)n->notice}, 1, &n->channel, 1), id, e) < 0 ||
		get_number(d, bound(d, TOLD, (const int64_t[]){(int64_t)*id, (int64_t)n->id}, 2, NULL, 0), &told, e) < 0)
		return -1;
	if (told != 0)
		*id = told;
	if (told != 0 || n->state != DELIVERY_WAITING)
		return 0;
	return run(d, bound(d, AGAIN, (const int64_t[]){(int64_t)*id}, 1, NULL, 0), "a delivery is not kept", e) < 0 ? -1 : 1;
}

int deliveries_add(struct deliveries *d, const struct delivery *n, uint64_t *id, struct err *e)
{
	const int64_t numbers[] = {(int64_t)n->notice, (int64_t)n->incident, n->kind, n->is_part, n->language, n->state, n->created,
		n->state == DELIVERY_WAITING ? 0 : n->created};

	if (run(d, bound(d, ADD, numbers, 8, (const char *const[]){n->audience, n->route, n->channel}, 3), "a delivery is not kept", e) < 0)
		return -1;
	if (sqlite3_changes(d->db) > 0) {
		*id = (uint64_t)sqlite3_last_insert_rowid(d->db);
		return 1;
	}
	return add_again(d, n, id, e);
}

int deliveries_over(struct deliveries *d, const struct delivery *n, uint64_t *id, struct err *e)
{
	return get_number(d, bound(d, OVER, (const int64_t[]){(int64_t)n->incident, (int64_t)n->notice}, 2,
		(const char *const[]){n->audience, n->channel}, 2), id, e);
}

int deliveries_end(struct deliveries *d, uint64_t id, enum delivery_state state, uint64_t into, int64_t now, const char *words,
	struct err *e)
{
	return run(d, bound(d, END, (const int64_t[]){(int64_t)id, state, (int64_t)into, now}, 4, &words, 1), "an end is not kept", e);
}

int deliveries_depart(struct deliveries *d, uint64_t id, int64_t now, struct err *e)
{
	return run(d, bound(d, DEPART, (const int64_t[]){(int64_t)id, now}, 2, NULL, 0), "a try is not kept", e);
}

int deliveries_try(struct deliveries *d, uint64_t id, const struct delivery_try *t, struct err *e)
{
	const int64_t numbers[] = {(int64_t)id, t->took, t->outcome};

	if (run(d, bound(d, TRY, numbers, 3, &t->words, 1), "a try is not kept", e) < 0)
		return -1;
	return run(d, bound(d, COUNT_TRY, numbers, 1, &t->words, 1), "a try is not kept", e);
}

int deliveries_forget(struct deliveries *d, int64_t before, struct err *e)
{
	static const enum statement each[] = {FORGET_TRIES, FORGET_DELIVERIES, FORGET_BEGINS, FORGET_NOTICES};

	for (size_t i = 0; i < sizeof each / sizeof *each; i++) {
		if (run(d, bound(d, each[i], &before, 1, NULL, 0), "old notices are not dropped", e) < 0)
			return -1;
	}
	return 0;
}

/* ---- reading */

static struct delivery delivery_of(sqlite3_stmt *s)
{
	return (struct delivery){.id = (uint64_t)sqlite3_column_int64(s, 0), .notice = (uint64_t)sqlite3_column_int64(s, 1),
		.incident = (uint64_t)sqlite3_column_int64(s, 2), .audience = text(s, 3), .route = text(s, 4), .channel = text(s, 5),
		.kind = (enum incident_intent_kind)sqlite3_column_int(s, 6), .language = sqlite3_column_int(s, 7),
		.is_part = sqlite3_column_int(s, 8) != 0, .state = (enum delivery_state)sqlite3_column_int(s, 9),
		.tries = (unsigned)sqlite3_column_int(s, 10), .created = sqlite3_column_int64(s, 11)};
}

/* Of a process that died with letters under way: nobody knows whether they were taken. */
static int cut_off(struct deliveries *d, struct err *e)
{
	static const char *const words = CUT_WORDS;
	const int64_t outcome = LETTER_AGAIN;

	if (deliveries_begin(d, e) < 0 || run(d, bound(d, COUNT_CUT, &outcome, 1, &words, 1), "tries are not kept", e) < 0 ||
		run(d, bound(d, CUT, &outcome, 1, &words, 1), "tries are not kept", e) < 0)
		return -1;
	return deliveries_commit(d, e);
}

int deliveries_load(struct deliveries *d, void (*on_delivery)(void *ctx, const struct delivery *), void *ctx, struct err *e)
{
	sqlite3_stmt *s = statement(d, LOAD);
	int rc;

	if (cut_off(d, e) < 0)
		return -1;
	while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
		struct delivery one = delivery_of(s);

		one.cuts = (unsigned)sqlite3_column_int(s, 12);
		on_delivery(ctx, &one);
	}
	sqlite3_reset(s);
	return rc == SQLITE_DONE ? 0 : failed(d, "what waits is not readable", e);
}

int deliveries_recent(struct deliveries *d, int64_t since, void (*on_try)(void *ctx, const char *channel, int64_t at), void *ctx,
	struct err *e)
{
	sqlite3_stmt *s = bound(d, RECENT, &since, 1, NULL, 0);
	int rc;

	while ((rc = sqlite3_step(s)) == SQLITE_ROW)
		on_try(ctx, text(s, 0), sqlite3_column_int64(s, 1));
	sqlite3_reset(s);
	return rc == SQLITE_DONE ? 0 : failed(d, "tries are not readable", e);
}

bool deliveries_read(struct deliveries *d, uint64_t notice,
	void (*on_notice)(void *ctx, const struct incident_intent *, const char *affected), void *ctx, struct err *e)
{
	sqlite3_stmt *s = bound(d, READ, (const int64_t[]){(int64_t)notice}, 1, NULL, 0);
	struct outbox_items items;
	bool is_there = sqlite3_step(s) == SQLITE_ROW;

	if (is_there) {
		outbox_parse_items(text(s, 14), &items);
		on_notice(ctx, &(struct incident_intent){.key = (uint64_t)sqlite3_column_int64(s, 0),
			.kind = (enum incident_intent_kind)sqlite3_column_int(s, 1), .incident = (uint64_t)sqlite3_column_int64(s, 2),
			.other = (uint64_t)sqlite3_column_int64(s, 3), .state = (enum state)sqlite3_column_int(s, 4),
			.faults = (unsigned)sqlite3_column_int(s, 5), .level = (unsigned)sqlite3_column_int(s, 6),
			.since = sqlite3_column_int64(s, 7), .at = sqlite3_column_int64(s, 8), .audience = text(s, 9),
			.subject = text(s, 10), .author = text(s, 11), .text = text(s, 12), .reason = text(s, 13),
			.items_count = items.count, .items = items.items}, text(s, 15));
		outbox_items_fini(&items);
	} else {
		failed(d, "a notice is not readable", e);
	}
	sqlite3_reset(s);
	return is_there;
}

int deliveries_where(struct deliveries *d, const struct delivery *of, char channel[64], struct err *e)
{
	sqlite3_stmt *s = bound(d, WHERE, (const int64_t[]){(int64_t)of->incident}, 1, (const char *const[]){of->audience, of->route}, 2);
	int rc = sqlite3_step(s);

	snprintf(channel, 64, "%s", rc == SQLITE_ROW ? text(s, 0) : "");
	sqlite3_reset(s);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : failed(d, "not readable", e);
}

int deliveries_was_told(struct deliveries *d, uint64_t incident, const char *audience, bool *was_told, struct err *e)
{
	uint64_t count;

	if (get_number(d, bound(d, WAS_TOLD, (const int64_t[]){(int64_t)incident}, 1, &audience, 1), &count, e) < 0)
		return -1;
	*was_told = count > 0;
	return 0;
}

int deliveries_told(struct deliveries *d, uint64_t incident, const char *audience,
	void (*on_delivery)(void *ctx, const struct delivery *), void *ctx, struct err *e)
{
	sqlite3_stmt *s = bound(d, TOLD_WHERE, (const int64_t[]){(int64_t)incident}, 1, &audience, 1);
	struct delivery *all = NULL;
	size_t count = 0;
	int rc;

	while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
		all = mem_resize(all, count + 1, sizeof *all);
		all[count++] = (struct delivery){.id = (uint64_t)sqlite3_column_int64(s, 0), .channel = mem_strdup(text(s, 1)),
			.route = mem_strdup(text(s, 2)), .language = sqlite3_column_int(s, 3)};
	}
	sqlite3_reset(s);
	for (size_t i = 0; i < count; i++) {
		on_delivery(ctx, &all[i]);
		free((char *)(uintptr_t)all[i].channel);
		free((char *)(uintptr_t)all[i].route);
	}
	free(all);
	return rc == SQLITE_DONE ? 0 : failed(d, "not readable", e);
}

int deliveries_is_first(struct deliveries *d, const struct delivery *of, bool *is_first, struct err *e)
{
	sqlite3_stmt *s = statement(d, FIRST);
	uint64_t count;

	sqlite3_bind_int64(s, 1, (int64_t)of->incident);
	sqlite3_bind_text(s, 2, of->audience, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(s, 3, of->route, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(s, 4, (int64_t)of->id);
	if (get_number(d, s, &count, e) < 0)
		return -1;
	*is_first = count > 0;
	return 0;
}

int deliveries_beat(struct deliveries *d, uint64_t *number, int64_t *at, struct err *e)
{
	sqlite3_stmt *s = statement(d, GET_BEAT);
	int rc = sqlite3_step(s);

	*number = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(s, 0) : 0;
	*at = rc == SQLITE_ROW ? sqlite3_column_int64(s, 1) : 0;
	sqlite3_reset(s);
	return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : failed(d, "the beat is not readable", e);
}

int deliveries_put_beat(struct deliveries *d, uint64_t number, int64_t at, struct err *e)
{
	return run(d, bound(d, PUT_BEAT, (const int64_t[]){(int64_t)number, at}, 2, NULL, 0), "the beat is not kept", e);
}

/* ---- for people */

int deliveries_list(struct deliveries *d, const struct deliveries_wish *w, void (*on_row)(void *ctx, const struct delivery_row *),
	void *ctx, struct err *e)
{
	sqlite3_stmt *s = statement(d, LIST);
	int rc;

	sqlite3_bind_int64(s, 1, (int64_t)w->incident);
	if (w->unit != NULL)
		sqlite3_bind_text(s, 2, w->unit, -1, SQLITE_TRANSIENT);
	else
		sqlite3_bind_null(s, 2);
	sqlite3_bind_int64(s, 3, w->failed_only);
	sqlite3_bind_int64(s, 4, w->count);
	while ((rc = sqlite3_step(s)) == SQLITE_ROW)
		on_row(ctx, &(struct delivery_row){.d = delivery_of(s), .into = (uint64_t)sqlite3_column_int64(s, 12),
			.at = sqlite3_column_int64(s, 13), .ended = sqlite3_column_int64(s, 14), .subject = text(s, 15),
			.words = text(s, 16)});
	sqlite3_reset(s);
	return rc == SQLITE_DONE ? 0 : failed(d, "not readable", e);
}

int deliveries_tries(struct deliveries *d, uint64_t id, void (*on_try)(void *ctx, const struct delivery_try *), void *ctx, struct err *e)
{
	sqlite3_stmt *s = bound(d, TRIES, (const int64_t[]){(int64_t)id}, 1, NULL, 0);
	int rc;

	while ((rc = sqlite3_step(s)) == SQLITE_ROW)
		on_try(ctx, &(struct delivery_try){.at = sqlite3_column_int64(s, 0), .took = sqlite3_column_int64(s, 1),
			.is_under_way = sqlite3_column_int(s, 2) < 0,
			.outcome = sqlite3_column_int(s, 2) < 0 ? LETTER_AGAIN : (enum letter_outcome)sqlite3_column_int(s, 2),
			.words = text(s, 3)});
	sqlite3_reset(s);
	return rc == SQLITE_DONE ? 0 : failed(d, "not readable", e);
}
