/*
 * notify_host: delivery alone, in one process: collector/notice/deliver_run.c as it is, with this program in the place of its process
 * and of judgement, for tests that kill it.
 *
 * usage: notify_host run -c FILE     delivers what the outbox holds; each line on its standard input is a wake-up, its end a stop
 *        notify_host put STATE COUNT puts so many problems, of an incident each, into the outbox; prints how many there are
 * Exit status: 0, or 1 with words.
 */
#include <event2/event.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/inventory.h"
#include "collector/judge/book.h"
#include "collector/judge/outbox.h"
#include "collector/notice/deliver.h"
#include "collector/notice/roster.h"
#include "collector/settings.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/mem.h"

struct host {
	struct event_base *base;
	struct deliver *deliver;
	struct event *input;
	int status;
};

static void note(void *ctx, enum deliver_matter m, bool is_bad, const char *words)
{
	(void)ctx;
	if (is_bad)
		log_info("note matter=%d: %s", (int)m, words);
}

static void broken(void *ctx)
{
	struct host *h = ctx;

	h->status = 1;
	event_base_loopbreak(h->base);
}

static void stopped(void *ctx)
{
	struct host *h = ctx;

	event_base_loopbreak(h->base);
}

static void on_input(evutil_socket_t fd, short what, void *ctx)
{
	struct host *h = ctx;
	char line[64];

	(void)what;
	if (read((int)fd, line, sizeof line) > 0) {
		deliver_wake(h->deliver);
	} else {
		event_del(h->input);
		deliver_stop(h->deliver);
	}
}

static int put_all(struct outbox *o, sqlite3 *db, int count, struct err *e)
{
	uint64_t key;
	int rc = outbox_end(o, &key, e);

	sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	for (int i = 0; i < count && rc == 0; i++) {
		key++;
		rc = outbox_put(o, &(struct incident_intent){.key = key, .kind = INTENT_PROBLEM, .audience = "", .incident = key,
			.subject = "system/portal", .state = STATE_DOWN, .since = clock_real(), .at = clock_real(), .author = "",
			.text = "", .reason = "no answer"}, e);
	}
	if (rc == 0 && sqlite3_exec(db, "COMMIT", NULL, NULL, NULL) != SQLITE_OK)
		rc = err_set(e, "commit: %s", sqlite3_errmsg(db));
	if (rc == 0)
		printf("%llu\n", (unsigned long long)key);
	return rc;
}

static int put(const char *state, int count)
{
	char *folder = mem_format("%s/judge", state), *path = mem_format("%s/%s", state, BOOK_FILE);
	struct outbox *o = NULL;
	sqlite3 *db = NULL;
	struct err e;
	int rc = -1;

	mkdir(state, 0700);
	mkdir(folder, 0700);
	if (sqlite3_open(path, &db) != SQLITE_OK || sqlite3_exec(db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL) != SQLITE_OK)
		err_set(&e, "%s: %s", path, sqlite3_errmsg(db));
	else
		o = outbox_open(db, &e);
	if (o != NULL)
		rc = put_all(o, db, count, &e);
	if (rc < 0)
		fprintf(stderr, "notify_host: %s\n", e.text);
	outbox_close(o);
	sqlite3_close(db);
	free(folder);
	free(path);
	return rc < 0;
}

static int run(const char *path)
{
	static const struct deliver_events events = {note, broken, stopped};
	struct settings *settings;
	struct inventory *inventory = NULL;
	struct roster *roster = NULL;
	struct host h = {.status = 1};
	struct err e;

	signal(SIGPIPE, SIG_IGN);
	settings = settings_load(path, &e);
	if (settings != NULL)
		inventory = inventory_load(settings->inventory, &e);
	h.base = event_base_new();
	if (inventory != NULL)
		roster = roster_load(settings->notice, inventory, &e);
	if (roster != NULL)
		h.deliver = deliver_new(h.base, settings, inventory, roster, &events, &h, &e);
	if (h.deliver == NULL) {
		fprintf(stderr, "notify_host: %s\n", e.text);
		return 1;
	}
	h.status = 0;
	log_level_set((enum log_level)settings->log_level);
	h.input = event_new(h.base, STDIN_FILENO, EV_READ | EV_PERSIST, on_input, &h);
	event_add(h.input, NULL);
	deliver_wake(h.deliver);
	event_base_dispatch(h.base);
	event_free(h.input);
	deliver_free(h.deliver);
	event_base_free(h.base);
	inventory_free(inventory);
	settings_free(settings);
	return h.status;
}

int main(int argc, char **argv)
{
	log_open("collector/notify", LOG_LEVEL_INFO);
	if (argc == 4 && strcmp(argv[1], "run") == 0 && strcmp(argv[2], "-c") == 0)
		return run(argv[3]);
	if (argc == 4 && strcmp(argv[1], "put") == 0)
		return put(argv[2], atoi(argv[3]));
	fputs("usage: notify_host run -c FILE | put STATE COUNT\n", stderr);
	return 2;
}
