#include "collector/judge/book_parts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "collector/judge/clocks.h"
#include "collector/judge/ledger.h"
#include "collector/judge/outbox.h"
#include "collector/judge/people.h"
#include "collector/judge/plan.h"
#include "collector/judge/planned.h"
#include "collector/judge/record.h"
#include "collector/judge/usual.h"
#include "collector/judge/verdict.h"
#include "lib/buf.h"
#include "lib/log.h"
#include "lib/map.h"
#include "lib/mem.h"

#define WAIT_MS 5000 /* for a reader that is there just when the database is opened after a crash */
#define VERSION 1

static const char *const tables =
	"CREATE TABLE IF NOT EXISTS place (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL, seq INTEGER NOT NULL);"
	"CREATE TABLE IF NOT EXISTS record (key TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS landmark (at INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, seq INTEGER NOT NULL);"
	"CREATE TABLE IF NOT EXISTS late (subject TEXT PRIMARY KEY, start INTEGER NOT NULL, finish INTEGER NOT NULL,"
	" ready INTEGER NOT NULL) WITHOUT ROWID;";

static const char *const texts[STATEMENTS] = {
	[GET_PLACE] = "SELECT epoch, seq FROM place",
	[SET_PLACE] = "INSERT OR REPLACE INTO place (one, epoch, seq) VALUES (1, ?, ?)",
	[PUT_RECORD] = "INSERT OR REPLACE INTO record (key, data) VALUES (?, ?)",
	[DROP_RECORD] = "DELETE FROM record WHERE key = ?",
	[RECORDS] = "SELECT key, data FROM record",
	[FIND_RECORD] = "SELECT data FROM record WHERE key = ?",
	[ADD_LANDMARK] = "INSERT OR REPLACE INTO landmark (at, epoch, seq) VALUES (?, ?, ?)",
	[FIND_LANDMARK] = "SELECT epoch, seq FROM landmark WHERE at <= ? ORDER BY at DESC LIMIT 1",
	[DROP_LANDMARKS] = "DELETE FROM landmark WHERE at < ?",
	[FORGET_LANDMARKS] = "DELETE FROM landmark",
	[TURN_LANDMARKS] = "DELETE FROM landmark WHERE at > ?",
	[ADD_LATE] = "INSERT INTO late (subject, start, finish, ready) VALUES (?1, ?2, ?3, ?4) ON CONFLICT (subject) DO UPDATE"
		     " SET start = min(start, ?2), finish = max(finish, ?3), ready = max(ready, ?4)",
	[FIND_LATE] = "SELECT subject, start, finish FROM late WHERE ready <= ? ORDER BY ready LIMIT 1",
	[DROP_LATE] = "DELETE FROM late WHERE subject = ?",
	[DROP_FUTURE_LATE] = "DELETE FROM late WHERE start > ?",
	[TURN_LATE] = "UPDATE late SET ready = min(ready, ? + finish - start)",
};

/* Which core a record is of: the first sign of its key. */
#define OF_VERDICT "v/"
#define OF_INCIDENTS "i/"
#define OF_CLOCKS "c/"
#define OF_USUAL "u/"
#define HEAD "head" /* of the book itself */

struct core {
	struct book *book;
	const char *prefix;
};

/* ---- SQLite */

static int failed(struct book *b, const char *what, struct err *e)
{
	return err_set(e, "judgement: %s: %s", what, sqlite3_errmsg(b->db));
}

sqlite3_stmt *book_statement(struct book *b, enum statement which)
{
	sqlite3_reset(b->statements[which]);
	return b->statements[which];
}

int book_run(struct book *b, sqlite3_stmt *s, const char *what, struct err *e)
{
	int rc = sqlite3_step(s);

	sqlite3_reset(s);
	return rc == SQLITE_DONE ? 0 : failed(b, what, e);
}

static int execute(struct book *b, const char *sql, struct err *e)
{
	return sqlite3_exec(b->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : failed(b, sql, e);
}

int book_begin(struct book *b, struct err *e)
{
	if (b->in_transaction)
		return 0;
	if (execute(b, "BEGIN IMMEDIATE", e) < 0)
		return -1;
	b->in_transaction = true;
	return 0;
}

static int open_database(struct book *b, const char *state, struct err *e)
{
	char *folder = mem_format("%s/judge", state), *path = mem_format("%s/%s", state, BOOK_FILE);
	uint64_t beats;
	int rc = -1;

	if (mkdir(folder, 0750) < 0 && errno != EEXIST)
		err_errno(e, "%s: make the folder", folder);
	else if (sqlite3_open(path, &b->db) != SQLITE_OK)
		err_set(e, "%s: %s", path, sqlite3_errmsg(b->db));
	else if (sqlite3_busy_timeout(b->db, WAIT_MS) == SQLITE_OK)
		rc = execute(b, "PRAGMA journal_mode = WAL", e);
	free(folder);
	free(path);
	if (rc < 0 || execute(b, "PRAGMA synchronous = FULL; PRAGMA temp_store = MEMORY", e) < 0 || execute(b, tables, e) < 0)
		return -1;
	for (int i = 0; i < STATEMENTS; i++) {
		if (sqlite3_prepare_v3(b->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &b->statements[i], NULL) != SQLITE_OK)
			return failed(b, "the database is another one", e);
	}
	b->ledger = ledger_open(b->db, e);
	if (b->ledger != NULL)
		b->outbox = outbox_open(b->db, e);
	if (b->outbox != NULL)
		b->people = people_open(b->db, e);
	if (b->people != NULL)
		b->planned = planned_open(b->db, e);
	return b->planned != NULL ? outbox_last_beat(b->outbox, &beats, &b->beaten, e) : -1;
}

/* What is between two entries: the time, and whether ingest was opened since the last that has one. */
static void read_head(struct book *b)
{
	sqlite3_stmt *s = book_statement(b, FIND_RECORD);
	struct cursor c;

	b->now = ledger_reached(b->ledger);
	sqlite3_bind_text(s, 1, HEAD, -1, SQLITE_STATIC);
	if (sqlite3_step(s) == SQLITE_ROW) {
		c = cursor_over(sqlite3_column_blob(s, 0), (size_t)sqlite3_column_bytes(s, 0));
		if (cursor_u8(&c) == VERSION) {
			int64_t now = record_time(&c);
			bool was_opened = cursor_u8(&c) != 0;

			b->now = c.failed ? b->now : now;
			b->was_opened = !c.failed && was_opened;
		}
	}
	sqlite3_reset(s);
}

static void read_place(struct book *b)
{
	sqlite3_stmt *s = book_statement(b, GET_PLACE);

	if (sqlite3_step(s) == SQLITE_ROW)
		b->committed = (struct position){(uint64_t)sqlite3_column_int64(s, 0), (uint64_t)sqlite3_column_int64(s, 1)};
	sqlite3_reset(s);
	b->at = b->committed;
	read_head(b);
}

struct book *book_open(const char *state, struct err *e)
{
	struct book *b = mem_alloc(sizeof *b);

	b->changed = map_new();
	b->clocks = clocks_new();
	b->usual = usual_new();
	b->plan_turns = UINT64_MAX;
	if (open_database(b, state, e) < 0) {
		book_close(b);
		return NULL;
	}
	read_place(b);
	return b;
}

void book_close(struct book *b)
{
	if (b == NULL)
		return;
	verdict_free(b->verdict);
	incidents_free(b->incidents);
	clocks_free(b->clocks);
	usual_free(b->usual);
	ledger_close(b->ledger);
	outbox_close(b->outbox);
	people_close(b->people);
	planned_close(b->planned);
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(b->statements[i]);
	sqlite3_close(b->db);
	free(b->late_subject);
	while (book_take_probe(b) != NULL)
		;
	map_free(b->changed, free);
	free(b);
}

/* ---- the plan */

static int restore_record(struct book *b, const char *key, const void *data, size_t len, struct err *e)
{
	const char *rest = key + sizeof OF_VERDICT - 1;

	if (strncmp(key, OF_VERDICT, sizeof OF_VERDICT - 1) == 0)
		return verdict_restore(b->verdict, rest, data, len, e);
	if (strncmp(key, OF_INCIDENTS, sizeof OF_INCIDENTS - 1) == 0)
		return incidents_restore(b->incidents, rest, data, len, e);
	if (strncmp(key, OF_CLOCKS, sizeof OF_CLOCKS - 1) == 0)
		return clocks_restore(b->clocks, rest, data, len, e);
	if (strncmp(key, OF_USUAL, sizeof OF_USUAL - 1) == 0)
		return usual_restore(b->usual, rest, data, len, e);
	return strcmp(key, HEAD) == 0 ? 0 : err_set(e, "it is of no core");
}

static int restore(struct book *b, struct err *e)
{
	sqlite3_stmt *s = book_statement(b, RECORDS);
	uint64_t incident, notice;
	int rc;

	while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
		const char *key = (const char *)sqlite3_column_text(s, 0);
		struct err words;

		if (restore_record(b, key, sqlite3_column_blob(s, 1), (size_t)sqlite3_column_bytes(s, 1), &words) < 0)
			log_error("a record of judgement does not decode, it is made anew key=%s: %s", key, words.text);
	}
	sqlite3_reset(s);
	verdict_restored(b->verdict);
	if (outbox_numbers(b->outbox, &incident, &notice, e) < 0)
		return -1;
	incidents_used(b->incidents, incident, notice); /* the record that knows may be lost */
	incidents_restored(b->incidents);
	return rc == SQLITE_DONE ? 0 : failed(b, "records are not readable", e);
}

void book_settings(struct book *b, const struct incident_settings *settings)
{
	b->settings = *settings;
	if (b->incidents != NULL)
		incidents_set(b->incidents, settings);
}

bool book_is_compared(void *ctx, const char *check, uint32_t metric)
{
	const struct book *b = ctx;

	return (verdict_limits_on(b->verdict, check, metric) & 1u << LIMIT_RATIO) != 0;
}

int book_plan(struct book *b, const struct inventory *inv, struct err *e)
{
	bool is_first = b->verdict == NULL;
	struct plan plan;
	int rc;

	if (is_first) {
		b->verdict = verdict_new();
		b->incidents = incidents_new(&b->settings);
	}
	if (plan_make(inv, &plan, e) < 0)
		return -1;
	rc = verdict_plan(b->verdict, plan.checks, plan.count, b->now, e);
	if (rc == 0)
		verdict_ways(b->verdict, plan.ways, plan.ways_count);
	if (rc == 0)
		incidents_topology(b->incidents, plan_take_topology(&plan), b->now);
	plan_fini(&plan);
	if (rc < 0)
		return -1;
	b->inventory = inv;
	if (is_first && restore(b, e) < 0)
		return -1;
	verdict_clear(b->verdict);
	usual_keep(b->usual, book_is_compared, b, b->now);
	if (book_write_all(b, e) < 0 || book_end_others(b, e) < 0 || book_take_intents(b, e) < 0 || book_step_all(b, e) < 0)
		return -1;
	return book_step_unasked(b, e);
}

struct position book_cursor(const struct book *b)
{
	return b->committed;
}

int book_forget_journal(struct book *b, struct err *e)
{
	b->at = b->committed = (struct position){0, 0};
	if (book_begin(b, e) < 0)
		return -1;
	return book_run(b, book_statement(b, FORGET_LANDMARKS), "landmarks are not dropped", e);
}

/* ---- committing */

static void bind_key(sqlite3_stmt *s, const struct core *c, const char *key)
{
	char full[RECORD_KEY + 4];

	snprintf(full, sizeof full, "%s%s", c->prefix, key);
	sqlite3_bind_text(s, 1, full, -1, SQLITE_TRANSIENT);
}

/* What people see of an incident follows its record, whether anybody is told of the change or not. */
static void note_incident(const struct core *c, const char *key)
{
	static const char of_incident[] = "incident/";
	struct book *b = c->book;

	if (strcmp(c->prefix, OF_INCIDENTS) == 0 && strncmp(key, of_incident, sizeof of_incident - 1) == 0 && !b->write_failed)
		b->write_failed = outbox_note(b->outbox, b->incidents, strtoull(key + sizeof of_incident - 1, NULL, 10),
			&b->failure) < 0;
}

static void put_record(void *ctx, const char *key, const void *data, size_t len)
{
	const struct core *c = ctx;
	struct book *b = c->book;
	sqlite3_stmt *s = book_statement(b, PUT_RECORD);

	bind_key(s, c, key);
	sqlite3_bind_blob64(s, 2, data, len, SQLITE_TRANSIENT);
	if (!b->write_failed)
		b->write_failed = book_run(b, s, "a record is not kept", &b->failure) < 0;
	note_incident(c, key);
}

static void drop_record(void *ctx, const char *key)
{
	const struct core *c = ctx;
	struct book *b = c->book;
	sqlite3_stmt *s = book_statement(b, DROP_RECORD);

	bind_key(s, c, key);
	if (!b->write_failed)
		b->write_failed = book_run(b, s, "a record is not dropped", &b->failure) < 0;
	note_incident(c, key);
}

static int save_place(struct book *b, struct err *e)
{
	sqlite3_stmt *s = book_statement(b, SET_PLACE);

	sqlite3_bind_int64(s, 1, (int64_t)b->at.epoch);
	sqlite3_bind_int64(s, 2, (int64_t)b->at.seq);
	return book_run(b, s, "the place is not kept", e);
}

static void save_head(struct book *b)
{
	struct core head = {b, ""};
	struct buf out = {0};

	buf_add_u8(&out, VERSION);
	record_add_time(&out, b->now);
	buf_add_u8(&out, b->was_opened);
	put_record(&head, HEAD, out.data, out.len);
	buf_fini(&out);
}

bool book_is_dirty(const struct book *b)
{
	return b->in_transaction;
}

int book_commit(struct book *b, struct err *e)
{
	struct core verdict = {b, OF_VERDICT}, incidents = {b, OF_INCIDENTS}, clocks = {b, OF_CLOCKS}, usual = {b, OF_USUAL};

	if (!b->in_transaction)
		return 0;
	verdict_save(b->verdict, false, &(struct record_sink){put_record, drop_record, &verdict});
	incidents_save(b->incidents, false, &(struct record_sink){put_record, drop_record, &incidents});
	clocks_save(b->clocks, &(struct record_sink){put_record, drop_record, &clocks});
	usual_save(b->usual, &(struct record_sink){put_record, drop_record, &usual});
	save_head(b);
	if (b->write_failed) {
		*e = b->failure;
		return -1;
	}
	if (ledger_reach(b->ledger, b->now, e) < 0 || save_place(b, e) < 0 || execute(b, "COMMIT", e) < 0)
		return -1;
	b->in_transaction = false;
	b->committed = b->at;
	return 0;
}

/* ---- late evidence */

bool book_find_late(struct book *b, struct book_late *out)
{
	sqlite3_stmt *s = book_statement(b, FIND_LATE);
	bool found;

	sqlite3_bind_int64(s, 1, b->now);
	found = sqlite3_step(s) == SQLITE_ROW;
	if (found) {
		free(b->late_subject);
		b->late_subject = mem_strdup((const char *)sqlite3_column_text(s, 0));
		*out = (struct book_late){b->late_subject, {sqlite3_column_int64(s, 1), sqlite3_column_int64(s, 2)}};
	}
	sqlite3_reset(s);
	return found;
}

struct position book_landmark(struct book *b, int64_t time)
{
	sqlite3_stmt *s = book_statement(b, FIND_LANDMARK);
	struct position at = {0, 0};

	sqlite3_bind_int64(s, 1, time);
	if (sqlite3_step(s) == SQLITE_ROW)
		at = (struct position){(uint64_t)sqlite3_column_int64(s, 0), (uint64_t)sqlite3_column_int64(s, 1)};
	sqlite3_reset(s);
	return at;
}

static int replace_late(struct book *b, const struct book_late *late, const struct book_truth *truth, struct err *e)
{
	int64_t changed = 0;

	for (int f = 0; f <= VERDICT_FAMILIES; f++) {
		enum family family = f == VERDICT_FAMILIES ? FAMILY_NONE : verdict_family(f);
		int64_t seconds;

		if (f == VERDICT_OWN || (f < VERDICT_OWN && truth[f].count == 0))
			continue;
		if (ledger_replace(b->ledger, late->subject, family, late->window, truth[f].stretches, truth[f].count, b->now,
				"late evidence", &seconds, e) < 0)
			return -1;
		changed += seconds;
	}
	b->counts.revised_seconds += (uint64_t)changed;
	if (changed > 0)
		log_info("late evidence corrected the ledger subject=%s seconds=%lld", late->subject, (long long)changed);
	return 0;
}

int book_settle_late(struct book *b, const struct book_late *late, const struct book_truth *truth, struct err *e)
{
	sqlite3_stmt *s = book_statement(b, DROP_LATE);

	if (book_begin(b, e) < 0 || (truth != NULL && replace_late(b, late, truth, e) < 0))
		return -1;
	sqlite3_bind_text(s, 1, late->subject, -1, SQLITE_TRANSIENT);
	return book_run(b, s, "late evidence is not settled", e);
}

/* ---- looking */

const struct usual *book_usual(const struct book *b)
{
	return b->usual;
}

const struct verdict *book_verdict(const struct book *b)
{
	return b->verdict;
}

struct ledger *book_ledger(struct book *b)
{
	return b->ledger;
}

struct planned *book_plans(struct book *b)
{
	return b->planned;
}

struct outbox *book_outbox(struct book *b)
{
	return b->outbox;
}

const struct incidents *book_incidents(const struct book *b)
{
	return b->incidents;
}

int64_t book_now(const struct book *b)
{
	return b->now;
}

int book_planned(struct book *b, const char *subject, struct span window, struct spans *out, struct err *e)
{
	return planned_read(b->planned, subject, window, out, e);
}

int64_t book_planned_since(const struct book *b, const char *subject)
{
	return planned_since(b->planned, subject);
}

void book_counts(const struct book *b, struct book_counts *out)
{
	*out = b->counts;
}
