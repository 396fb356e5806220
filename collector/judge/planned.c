#include "collector/judge/planned.h"

#include <sqlite3.h>
#include <stdlib.h>

#include "collector/judge/database.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"

/* finish: 0 while it lasts. */
static const char *const tables =
	"CREATE TABLE IF NOT EXISTS planned (subject TEXT NOT NULL, start INTEGER NOT NULL, finish INTEGER NOT NULL,"
	" PRIMARY KEY (subject, start)) WITHOUT ROWID;";

enum statement { BEGIN, END, DROP_EMPTY, IN_WINDOW, SINCE, STATEMENTS };
static const char *const texts[STATEMENTS] = {
	[BEGIN] = "INSERT OR IGNORE INTO planned (subject, start, finish) SELECT ?1, ?2, 0 WHERE NOT EXISTS"
		  " (SELECT 1 FROM planned WHERE subject = ?1 AND (finish = 0 OR finish > ?2))",
	[END] = "UPDATE planned SET finish = max(start, ?2) WHERE subject = ?1 AND finish = 0",
	[DROP_EMPTY] = "DELETE FROM planned WHERE subject = ?1 AND finish = start",
	[IN_WINDOW] = "SELECT max(start, ?2), CASE finish WHEN 0 THEN ?3 ELSE min(finish, ?3) END FROM planned WHERE subject = ?1"
		      " AND start < ?3 AND (finish = 0 OR finish > ?2) ORDER BY start",
	[SINCE] = "SELECT start FROM planned WHERE subject = ? AND finish = 0",
};

struct planned {
	sqlite3 *db;
	bool owns_db;
	sqlite3_stmt *statements[STATEMENTS];
};

static int failed(struct planned *p, const char *what, struct err *e)
{
	return err_set(e, "planned work: %s: %s", what, sqlite3_errmsg(p->db));
}

static struct planned *open_on(sqlite3 *db, bool owns, struct err *e)
{
	struct planned *p = mem_alloc(sizeof *p);

	p->db = db;
	p->owns_db = owns;
	for (int i = 0; i < STATEMENTS; i++) {
		if (sqlite3_prepare_v3(db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &p->statements[i], NULL) != SQLITE_OK) {
			failed(p, "not the database of judgement", e);
			planned_close(p);
			return NULL;
		}
	}
	return p;
}

struct planned *planned_open(sqlite3 *db, struct err *e)
{
	if (sqlite3_exec(db, tables, NULL, NULL, NULL) == SQLITE_OK)
		return open_on(db, false, e);
	err_set(e, "planned work: tables: %s", sqlite3_errmsg(db));
	return NULL;
}

struct planned *planned_open_file(const char *path, struct err *e)
{
	sqlite3 *db = database_open_read(path, e);

	return db != NULL ? open_on(db, true, e) : NULL;
}

void planned_close(struct planned *p)
{
	if (p == NULL)
		return;
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(p->statements[i]);
	if (p->owns_db)
		sqlite3_close(p->db);
	free(p);
}

static int run(struct planned *p, enum statement which, const char *subject, int64_t at, struct err *e)
{
	sqlite3_stmt *s = p->statements[which];
	int rc;

	sqlite3_reset(s);
	sqlite3_bind_text(s, 1, subject, -1, SQLITE_TRANSIENT);
	if (sqlite3_bind_parameter_count(s) > 1)
		sqlite3_bind_int64(s, 2, at / NS_PER_S);
	rc = sqlite3_step(s);
	sqlite3_reset(s);
	return rc == SQLITE_DONE ? 0 : failed(p, "not kept", e);
}

int planned_set(struct planned *p, const char *subject, bool is_covered, int64_t at, struct err *e)
{
	if (is_covered)
		return run(p, BEGIN, subject, at, e);
	if (run(p, END, subject, at, e) < 0)
		return -1;
	return run(p, DROP_EMPTY, subject, at, e);
}

int64_t planned_since(struct planned *p, const char *subject)
{
	sqlite3_stmt *s = p->statements[SINCE];
	int64_t since;

	sqlite3_reset(s);
	sqlite3_bind_text(s, 1, subject, -1, SQLITE_TRANSIENT);
	since = sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_int64(s, 0) * NS_PER_S : 0;
	sqlite3_reset(s);
	return since;
}

int planned_read(struct planned *p, const char *subject, struct span window, struct spans *out, struct err *e)
{
	sqlite3_stmt *s = p->statements[IN_WINDOW];
	int rc;

	*out = (struct spans){0};
	sqlite3_reset(s);
	sqlite3_bind_text(s, 1, subject, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(s, 2, window.from / NS_PER_S);
	sqlite3_bind_int64(s, 3, window.until / NS_PER_S);
	while ((rc = sqlite3_step(s)) == SQLITE_ROW)
		spans_add(out, sqlite3_column_int64(s, 0) * NS_PER_S, sqlite3_column_int64(s, 1) * NS_PER_S);
	sqlite3_reset(s);
	if (rc == SQLITE_DONE)
		return 0;
	spans_fini(out);
	return failed(p, "not readable", e);
}
