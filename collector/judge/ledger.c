#include "collector/judge/ledger.h"

#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>

#include "collector/judge/database.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"

static const char *const tables =
	"CREATE TABLE IF NOT EXISTS subject (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);"
	"CREATE TABLE IF NOT EXISTS stretch (subject INTEGER NOT NULL, family INTEGER NOT NULL, start INTEGER NOT NULL,"
	" state INTEGER NOT NULL, reason TEXT NOT NULL, PRIMARY KEY (subject, family, start)) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS revision (subject INTEGER NOT NULL, family INTEGER NOT NULL, start INTEGER NOT NULL,"
	" finish INTEGER NOT NULL, was INTEGER NOT NULL, state INTEGER NOT NULL, reason TEXT NOT NULL, at INTEGER NOT NULL);"
	"CREATE INDEX IF NOT EXISTS revision_of ON revision (subject, family, start);"
	"CREATE TABLE IF NOT EXISTS correction (id INTEGER PRIMARY KEY, subject INTEGER NOT NULL, family INTEGER NOT NULL,"
	" start INTEGER NOT NULL, finish INTEGER NOT NULL, state INTEGER NOT NULL, author TEXT NOT NULL,"
	" reason TEXT NOT NULL, at INTEGER NOT NULL);"
	"CREATE INDEX IF NOT EXISTS correction_of ON correction (subject, family, start);"
	"CREATE TABLE IF NOT EXISTS reach (one INTEGER PRIMARY KEY CHECK (one = 1), at INTEGER NOT NULL);";

enum statement {
	FIND_SUBJECT, ADD_SUBJECT, LAST_BEFORE, PUT, CUT_FROM, CUT_WINDOW, IN_WINDOW, ADD_REVISION, REVISIONS, ADD_CORRECTION,
	CORRECTIONS, SET_REACH, GET_REACH, FIRST, NEWEST, SUBJECTS, BRING_BACK, DROP_FUTURE, LESS_REACH, STATEMENTS,
};
static const char *const texts[STATEMENTS] = {
	[FIND_SUBJECT] = "SELECT id FROM subject WHERE name = ?",
	[ADD_SUBJECT] = "INSERT INTO subject (name) VALUES (?)",
	[LAST_BEFORE] = "SELECT start, state FROM stretch WHERE subject = ? AND family = ? AND start <= ?"
			" ORDER BY start DESC LIMIT 1",
	[PUT] = "INSERT OR REPLACE INTO stretch (subject, family, start, state, reason) VALUES (?, ?, ?, ?, ?)",
	[CUT_FROM] = "DELETE FROM stretch WHERE subject = ? AND family = ? AND start >= ?",
	[CUT_WINDOW] = "DELETE FROM stretch WHERE subject = ? AND family = ? AND start >= ? AND start < ?",
	[IN_WINDOW] = "SELECT start, state FROM stretch WHERE subject = ? AND family = ? AND start > ? AND start < ?"
		      " ORDER BY start",
	[ADD_REVISION] = "INSERT INTO revision (subject, family, start, finish, was, state, reason, at)"
			 " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
	[REVISIONS] = "SELECT start, finish, was, state, '', reason, at FROM revision WHERE subject = ?1 AND family = ?2 AND"
		      " start < ?4 AND finish > ?3 UNION ALL SELECT start, finish, 0, state, author, reason, at FROM"
		      " correction WHERE subject = ?1 AND family = ?2 AND start < ?4 AND finish > ?3 ORDER BY 7, 1",
	[ADD_CORRECTION] = "INSERT INTO correction (subject, family, start, finish, state, author, reason, at)"
			   " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
	[CORRECTIONS] = "SELECT start, finish, state FROM correction WHERE subject = ? AND family = ? AND finish > ? AND"
			" start < ? ORDER BY id",
	[SET_REACH] = "INSERT OR REPLACE INTO reach (one, at) VALUES (1, max(?, coalesce((SELECT at FROM reach), 0)))",
	[GET_REACH] = "SELECT at FROM reach",
	[NEWEST] = "SELECT max((SELECT coalesce(max(start), 0) FROM stretch WHERE subject = ?1 AND family = 0), (SELECT"
		   " coalesce(max(start), 0) FROM stretch WHERE subject = ?1 AND family = 4), (SELECT coalesce(max(start), 0)"
		   " FROM stretch WHERE subject = ?1 AND family = 6))",
	[SUBJECTS] = "SELECT name FROM subject WHERE coalesce((SELECT state FROM stretch WHERE subject = subject.id AND"
		     " family = 0 ORDER BY start DESC LIMIT 1), 0) <> 0",
	[FIRST] = "SELECT min(start) FROM stretch WHERE subject = ? AND family = ?",
	[BRING_BACK] = "INSERT OR REPLACE INTO stretch (subject, family, start, state, reason) SELECT subject, family, ?1, state, reason"
		       " FROM stretch AS s WHERE start > ?1 AND NOT EXISTS (SELECT 1 FROM stretch WHERE subject = s.subject AND"
		       " family = s.family AND start > s.start)",
	[DROP_FUTURE] = "DELETE FROM stretch WHERE start > ?",
	[LESS_REACH] = "UPDATE reach SET at = min(at, ?)",
};

struct ledger {
	sqlite3 *db;
	bool owns_db;
	sqlite3_stmt *statements[STATEMENTS];
	struct map *ids; /* subject -> its number */
};

/* ---- SQLite */

static int failed(struct ledger *l, const char *what, struct err *e)
{
	return err_set(e, "ledger: %s: %s", what, sqlite3_errmsg(l->db));
}

static sqlite3_stmt *statement(struct ledger *l, enum statement which)
{
	sqlite3_stmt *s = l->statements[which];

	sqlite3_reset(s);
	return s;
}

/* Binds numbers in order. */
static void bind(sqlite3_stmt *s, const int64_t *numbers, int count)
{
	for (int i = 0; i < count; i++)
		sqlite3_bind_int64(s, i + 1, numbers[i]);
}
#define BIND(s, ...) bind(s, (const int64_t[]){__VA_ARGS__}, sizeof((const int64_t[]){__VA_ARGS__}) / sizeof(int64_t))

/* Of a statement that gives no rows. */
static int run(struct ledger *l, sqlite3_stmt *s, const char *what, struct err *e)
{
	int rc = sqlite3_step(s);

	sqlite3_reset(s);
	return rc == SQLITE_DONE ? 0 : failed(l, what, e);
}

static int prepare(struct ledger *l, struct err *e)
{
	for (int i = 0; i < STATEMENTS; i++) {
		if (sqlite3_prepare_v3(l->db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &l->statements[i], NULL) != SQLITE_OK)
			return failed(l, "not a ledger", e);
	}
	return 0;
}

static struct ledger *open_on(sqlite3 *db, bool owns, struct err *e)
{
	struct ledger *l = mem_alloc(sizeof *l);

	l->db = db;
	l->owns_db = owns;
	l->ids = map_new();
	if (prepare(l, e) == 0)
		return l;
	ledger_close(l);
	return NULL;
}

struct ledger *ledger_open(sqlite3 *db, struct err *e)
{
	if (sqlite3_exec(db, tables, NULL, NULL, NULL) != SQLITE_OK) {
		err_set(e, "ledger: tables: %s", sqlite3_errmsg(db));
		return NULL;
	}
	return open_on(db, false, e);
}

struct ledger *ledger_open_file(const char *path, struct err *e)
{
	sqlite3 *db = database_open_read(path, e);

	return db != NULL ? open_on(db, true, e) : NULL;
}

void ledger_close(struct ledger *l)
{
	if (l == NULL)
		return;
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(l->statements[i]);
	map_free(l->ids, NULL);
	if (l->owns_db)
		sqlite3_close(l->db);
	free(l);
}

/* ---- subjects */

/* Its number; 0: not known (err only when that is an error of the database). */
static int64_t find_subject(struct ledger *l, const char *name)
{
	int64_t id = (int64_t)(intptr_t)map_find(l->ids, name);
	sqlite3_stmt *s;

	if (id != 0)
		return id;
	s = statement(l, FIND_SUBJECT);
	sqlite3_bind_text(s, 1, name, -1, SQLITE_TRANSIENT);
	if (sqlite3_step(s) == SQLITE_ROW)
		id = sqlite3_column_int64(s, 0);
	sqlite3_reset(s);
	if (id != 0)
		map_set(l->ids, name, (void *)(intptr_t)id);
	return id;
}

static int get_subject(struct ledger *l, const char *name, int64_t *id, struct err *e)
{
	sqlite3_stmt *s;

	*id = find_subject(l, name);
	if (*id != 0)
		return 0;
	s = statement(l, ADD_SUBJECT);
	sqlite3_bind_text(s, 1, name, -1, SQLITE_TRANSIENT);
	if (run(l, s, "a subject is not kept", e) < 0)
		return -1;
	/* Not remembered before its transaction is done: it may be taken back. */
	*id = sqlite3_last_insert_rowid(l->db);
	return 0;
}

/* ---- stretches; here times are whole seconds */

static int64_t second_of(int64_t real)
{
	return real / NS_PER_S - (real % NS_PER_S < 0);
}

/* The state at a time; *start: from when on, INT64_MAX when nothing was known yet. */
static enum state state_at(struct ledger *l, int64_t id, enum family family, int64_t at, int64_t *start)
{
	sqlite3_stmt *s = statement(l, LAST_BEFORE);
	enum state state = STATE_NONE;

	*start = INT64_MAX;
	BIND(s, id, family, at);
	if (sqlite3_step(s) == SQLITE_ROW) {
		*start = sqlite3_column_int64(s, 0);
		state = (enum state)sqlite3_column_int(s, 1);
	}
	sqlite3_reset(s);
	return state;
}

static int put(struct ledger *l, int64_t id, enum family family, int64_t start, enum state state, const char *reason,
	struct err *e)
{
	sqlite3_stmt *s = statement(l, PUT);

	BIND(s, id, family, start, state);
	sqlite3_bind_text(s, 5, reason, -1, SQLITE_TRANSIENT);
	return run(l, s, "a state is not kept", e);
}

int ledger_set(struct ledger *l, const char *subject, enum family family, enum state state, int64_t since,
	const char *reason, struct err *e)
{
	int64_t at = second_of(since), start, id;
	sqlite3_stmt *s;

	if (get_subject(l, subject, &id, e) < 0)
		return -1;
	s = statement(l, CUT_FROM);
	BIND(s, id, family, at);
	if (run(l, s, "a state is not kept", e) < 0)
		return -1;
	if (state_at(l, id, family, at, &start) == state && start != INT64_MAX)
		return 0;
	return put(l, id, family, at, state, reason, e);
}

int ledger_turn_back(struct ledger *l, int64_t now, struct err *e)
{
	static const enum statement steps[] = {BRING_BACK, DROP_FUTURE, LESS_REACH};

	for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
		sqlite3_stmt *s = statement(l, steps[i]);

		BIND(s, second_of(now));
		if (run(l, s, "what lay in the future is not brought back", e) < 0)
			return -1;
	}
	return 0;
}

/* Whole seconds of what a subject was like, as a list to walk. */
struct line {
	struct stretch *items;
	size_t count;
};

static void line_add(struct line *line, int64_t from, int64_t until, enum state state)
{
	struct stretch *last = line->count > 0 ? &line->items[line->count - 1] : NULL;

	if (until <= from)
		return;
	if (last != NULL && last->state == state && last->until == from) {
		last->until = until;
		return;
	}
	if ((line->count & (line->count - 1)) == 0)
		line->items = mem_resize(line->items, line->count == 0 ? 1 : line->count * 2, sizeof *line->items);
	line->items[line->count++] = (struct stretch){from, until, state};
}

/* What stands in the window [from, until); before the first stretch: nothing. */
static int read_line(struct ledger *l, int64_t id, enum family family, int64_t from, int64_t until, struct line *out,
	struct err *e)
{
	int64_t start, at = from;
	enum state state = state_at(l, id, family, from, &start);
	bool known = start != INT64_MAX;
	sqlite3_stmt *s = statement(l, IN_WINDOW);
	int rc;

	BIND(s, id, family, from, until);
	while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
		int64_t next = sqlite3_column_int64(s, 0);

		if (known)
			line_add(out, at, next, state);
		at = next;
		state = (enum state)sqlite3_column_int(s, 1);
		known = true;
	}
	sqlite3_reset(s);
	if (rc != SQLITE_DONE)
		return failed(l, "not readable", e);
	if (known)
		line_add(out, at, until, state);
	return 0;
}

static enum state line_state(const struct line *line, size_t *at, int64_t second)
{
	while (*at < line->count && line->items[*at].until <= second)
		(*at)++;
	return *at < line->count && line->items[*at].from <= second ? line->items[*at].state : STATE_NONE;
}

/* The next second behind `second` at which either line changes, at most until. */
static int64_t next_edge(const struct line *a, size_t i, const struct line *b, size_t k, int64_t second, int64_t until)
{
	const struct line *lines[] = {a, b};
	const size_t at[] = {i, k};

	for (int n = 0; n < 2; n++) {
		const struct stretch *s = at[n] < lines[n]->count ? &lines[n]->items[at[n]] : NULL;

		if (s == NULL)
			continue;
		if (s->from > second && s->from < until)
			until = s->from;
		else if (s->until > second && s->until < until)
			until = s->until;
	}
	return until;
}

static int add_revision(struct ledger *l, int64_t id, enum family family, int64_t from, int64_t until, enum state was,
	enum state state, const char *why, int64_t at, struct err *e)
{
	sqlite3_stmt *s = statement(l, ADD_REVISION);

	BIND(s, id, family, from, until, was, state);
	sqlite3_bind_text(s, 7, why, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(s, 8, second_of(at));
	return run(l, s, "a revision is not kept", e);
}

/* Keeps what differs as revisions; *changed: seconds of it. */
static int keep_differences(struct ledger *l, int64_t id, enum family family, const struct line *old,
	const struct line *new, int64_t from, int64_t until, int64_t at, const char *why, int64_t *changed, struct err *e)
{
	size_t i = 0, k = 0;

	*changed = 0;
	for (int64_t t = from, next; t < until; t = next) {
		enum state was = line_state(old, &i, t), is = line_state(new, &k, t);

		next = next_edge(old, i, new, k, t, until);
		if (was == is)
			continue;
		*changed += next - t;
		if (add_revision(l, id, family, t, next, was, is, why, at, e) < 0)
			return -1;
	}
	return 0;
}

static int write_line(struct ledger *l, int64_t id, enum family family, const struct line *line, int64_t from,
	int64_t until, const char *why, struct err *e)
{
	int64_t start;
	enum state before = state_at(l, id, family, from - 1, &start), after = state_at(l, id, family, until, &start);
	bool has_after = start != INT64_MAX;
	sqlite3_stmt *s = statement(l, CUT_WINDOW);

	/* What began inside and goes on behind the window begins at its end from now on. */
	BIND(s, id, family, from, until + 1);
	if (run(l, s, "a revision is not kept", e) < 0)
		return -1;
	for (size_t i = 0; i < line->count; i++) {
		if (line->items[i].state != before && put(l, id, family, line->items[i].from, line->items[i].state, why, e) < 0)
			return -1;
		before = line->items[i].state;
	}
	if (!has_after)
		after = STATE_UNKNOWN;
	return after == before ? 0 : put(l, id, family, until, after, "", e);
}

/* The truth of a window as a line without breaks. */
static void make_line(struct line *out, const struct stretch *stretches, size_t count, int64_t from, int64_t until)
{
	int64_t at = from;

	for (size_t i = 0; i < count; i++) {
		int64_t begin = second_of(stretches[i].from), end = second_of(stretches[i].until);

		begin = begin < at ? at : begin;
		end = end > until ? until : end;
		if (end <= begin)
			continue;
		line_add(out, at, begin, STATE_UNKNOWN);
		line_add(out, begin, end, stretches[i].state);
		at = end;
	}
	line_add(out, at, until, STATE_UNKNOWN);
}

int ledger_replace(struct ledger *l, const char *subject, enum family family, struct span window,
	const struct stretch *stretches, size_t count, int64_t at, const char *why, int64_t *changed, struct err *e)
{
	int64_t from = second_of(window.from), until = second_of(window.until), begin, id;
	struct line old = {0}, new = {0};
	size_t known = 0;
	int rc = -1;

	*changed = 0;
	if (get_subject(l, subject, &id, e) < 0)
		return -1;
	begin = ledger_begin(l, subject, family) / NS_PER_S;
	while (known < count && stretches[known].state == STATE_UNKNOWN)
		known++;
	if (known < count && (begin == 0 || second_of(stretches[known].from) < begin))
		begin = second_of(stretches[known].from);
	if (begin == 0 || begin > from)
		from = begin == 0 ? until : begin;
	if (until > ledger_reached(l) / NS_PER_S)
		until = ledger_reached(l) / NS_PER_S;
	if (from >= until)
		return 0;
	make_line(&new, stretches, count, from, until);
	if (read_line(l, id, family, from, until, &old, e) == 0 &&
		keep_differences(l, id, family, &old, &new, from, until, at, why, changed, e) == 0)
		rc = *changed == 0 ? 0 : write_line(l, id, family, &new, from, until, why, e);
	free(old.items);
	free(new.items);
	return rc;
}

int ledger_reach(struct ledger *l, int64_t now, struct err *e)
{
	sqlite3_stmt *s = statement(l, SET_REACH);

	BIND(s, second_of(now));
	return run(l, s, "how far it reaches is not kept", e);
}

int64_t ledger_reached(struct ledger *l)
{
	sqlite3_stmt *s = statement(l, GET_REACH);
	int64_t at = sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;

	sqlite3_reset(s);
	return at * NS_PER_S;
}

int ledger_subjects(struct ledger *l, void (*on_subject)(void *ctx, const char *subject), void *ctx, struct err *e)
{
	sqlite3_stmt *s = statement(l, SUBJECTS);
	int rc;

	while ((rc = sqlite3_step(s)) == SQLITE_ROW)
		on_subject(ctx, (const char *)sqlite3_column_text(s, 0));
	sqlite3_reset(s);
	return rc == SQLITE_DONE ? 0 : failed(l, "subjects are not readable", e);
}

enum state ledger_current(struct ledger *l, const char *subject, enum family family)
{
	int64_t start;

	return state_at(l, find_subject(l, subject), family, INT64_MAX, &start);
}

int64_t ledger_changed(struct ledger *l, const char *subject)
{
	sqlite3_stmt *s = statement(l, NEWEST);
	int64_t at = 0;

	BIND(s, find_subject(l, subject));
	if (sqlite3_step(s) == SQLITE_ROW)
		at = sqlite3_column_int64(s, 0);
	sqlite3_reset(s);
	return at * NS_PER_S;
}

int64_t ledger_begin(struct ledger *l, const char *subject, enum family family)
{
	sqlite3_stmt *s = statement(l, FIRST);
	int64_t at = 0;

	BIND(s, find_subject(l, subject), family);
	if (sqlite3_step(s) == SQLITE_ROW)
		at = sqlite3_column_int64(s, 0); /* NULL gives 0 */
	sqlite3_reset(s);
	return at * NS_PER_S;
}

/* ---- corrections */

int ledger_correct(struct ledger *l, const struct ledger_correction *c, struct err *e)
{
	sqlite3_stmt *s;
	int64_t id;

	if (c->author[0] == '\0' || c->reason[0] == '\0' || strlen(c->author) > LEDGER_TEXT || strlen(c->reason) > LEDGER_TEXT)
		return err_set(e, "a correction names its author and its reason, each up to %d bytes", LEDGER_TEXT);
	if (second_of(c->span.until) <= second_of(c->span.from))
		return err_set(e, "a correction is of at least one second");
	if (get_subject(l, c->subject, &id, e) < 0)
		return -1;
	s = statement(l, ADD_CORRECTION);
	BIND(s, id, c->family, second_of(c->span.from), second_of(c->span.until), c->state);
	sqlite3_bind_text(s, 6, c->author, -1, SQLITE_TRANSIENT);
	sqlite3_bind_text(s, 7, c->reason, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(s, 8, second_of(c->at));
	return run(l, s, "a correction is not kept", e);
}

/* Lays one state over part of a line. */
static void overlay(struct line *line, int64_t from, int64_t until, enum state state)
{
	struct line out = {0};

	for (size_t i = 0; i < line->count; i++) {
		const struct stretch *s = &line->items[i];
		int64_t cut_from = from > s->from ? from : s->from, cut_until = until < s->until ? until : s->until;

		if (cut_from >= cut_until) {
			line_add(&out, s->from, s->until, s->state);
			continue;
		}
		line_add(&out, s->from, cut_from, s->state);
		line_add(&out, cut_from, cut_until, state);
		line_add(&out, cut_until, s->until, s->state);
	}
	free(line->items);
	*line = out;
}

static int lay_corrections(struct ledger *l, int64_t id, enum family family, int64_t from, int64_t until,
	struct line *line, struct err *e)
{
	sqlite3_stmt *s = statement(l, CORRECTIONS);
	int rc;

	BIND(s, id, family, from, until);
	while ((rc = sqlite3_step(s)) == SQLITE_ROW)
		overlay(line, sqlite3_column_int64(s, 0), sqlite3_column_int64(s, 1), (enum state)sqlite3_column_int(s, 2));
	sqlite3_reset(s);
	return rc == SQLITE_DONE ? 0 : failed(l, "corrections are not readable", e);
}

/* ---- reading */

int ledger_read(struct ledger *l, const char *subject, enum family family, struct span window, bool corrected,
	struct stretch **out, size_t *count, struct err *e)
{
	int64_t from = second_of(window.from), until = second_of(window.until), reached = ledger_reached(l) / NS_PER_S;
	int64_t id = find_subject(l, subject);
	struct line line = {0};

	*out = NULL;
	*count = 0;
	until = until > reached ? reached : until;
	if (id == 0 || from >= until)
		return 0;
	if (read_line(l, id, family, from, until, &line, e) < 0 ||
		(corrected && lay_corrections(l, id, family, from, until, &line, e) < 0)) {
		free(line.items);
		return -1;
	}
	for (size_t i = 0; i < line.count; i++) {
		line.items[i].from *= NS_PER_S;
		line.items[i].until *= NS_PER_S;
	}
	*out = line.items;
	*count = line.count;
	return 0;
}

int ledger_revisions(struct ledger *l, const char *subject, enum family family, struct span window,
	void (*on_revision)(void *ctx, const struct ledger_revision *), void *ctx, struct err *e)
{
	sqlite3_stmt *s = statement(l, REVISIONS);
	int rc;

	BIND(s, find_subject(l, subject), family, second_of(window.from), second_of(window.until));
	while ((rc = sqlite3_step(s)) == SQLITE_ROW)
		on_revision(ctx, &(struct ledger_revision){
			.span = {sqlite3_column_int64(s, 0) * NS_PER_S, sqlite3_column_int64(s, 1) * NS_PER_S},
			.was = (enum state)sqlite3_column_int(s, 2), .state = (enum state)sqlite3_column_int(s, 3),
			.author = (const char *)sqlite3_column_text(s, 4), .reason = (const char *)sqlite3_column_text(s, 5),
			.at = sqlite3_column_int64(s, 6) * NS_PER_S});
	sqlite3_reset(s);
	return rc == SQLITE_DONE ? 0 : failed(l, "revisions are not readable", e);
}
