#include "collector/judge/database.h"

#include <sqlite3.h>
#include <stddef.h>

#include "lib/err.h"

#define WAIT_MS 5000 /* for a writer that has just the moment */

struct sqlite3 *database_open_read(const char *path, struct err *e)
{
	sqlite3 *db = NULL;

	if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK) {
		sqlite3_busy_timeout(db, WAIT_MS);
		return db;
	}
	err_set(e, "%s: %s", path, sqlite3_errmsg(db));
	sqlite3_close(db);
	return NULL;
}
