/*
 * Delivery as a whole, in virtual time, with receivers that answer as the test says: collector/notice/deliver*.c with the real queue and
 * the real ledger. This file stands in the place of lib/clock.c and collector/notice/send.c.
 */
#include "collector/notice/deliver.h"

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>
#include <sqlite3.h>

#include "collector/inventory.h"
#include "collector/judge/book.h"
#include "collector/judge/outbox.h"
#include "collector/notice/deliveries.h"
#include "collector/notice/roster.h"
#include "collector/notice/send.h"
#include "collector/settings.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"

#define S NS_PER_S
#define HOUR (3600 * S)
#define START (INT64_C(1790298000) * S)
#define LETTERS 512

struct send {
	char key[200]; /* channel, kind of notice, incident */
	char channel;  /* first letter of its id */
	uint64_t notice;
	size_t count; /* what it tells: itself, or the items of a digest */
	struct incident_item tells[LETTERS];
	void (*on_end)(void *ctx, enum letter_outcome, const char *words);
	void *ctx;
};

/* One world at a time: the stand-ins have no argument that could carry it. */
static struct {
	int64_t mono, step; /* step: what the real clock is set forward by */
	int64_t tick;       /* what a look at the clock takes */
	struct send *on_their_way[LETTERS];
	size_t count, sent; /* on their way; ever */
	int64_t timeout;    /* of the newest */
	bool is_broken;
	unsigned notes; /* that something is in trouble */
} world;

/* ---- in the place of lib/clock.c */

int64_t clock_mono(void)
{
	return world.mono += world.tick;
}

int64_t clock_real(void)
{
	return START + world.mono + world.step;
}

uint64_t clock_boot_id(void)
{
	return 1;
}

char *clock_format_utc(int64_t real, char *out, size_t room)
{
	snprintf(out, room, "%lld", (long long)real);
	return out;
}

/* ---- in the place of collector/notice/send.c */

struct sender *sender_new(struct event_base *base)
{
	(void)base;
	return NULL;
}

void sender_free(struct sender *s)
{
	(void)s;
}

void sender_give_runner(struct sender *s, int fd)
{
	(void)s;
	close(fd);
}

int send_read_secret(const char *path, char out[SEND_SECRET_MAX], struct err *e)
{
	out[0] = '\0';
	return strstr(path, "missing") != NULL ? err_set(e, "no secret") : 0;
}

int send_check_files(const struct roster_channel *c, struct err *e)
{
	char secret[SEND_SECRET_MAX];

	return send_read_secret(c->token_file, secret, e);
}

struct send *send_start(struct sender *sender, const struct send_order *o,
	void (*on_end)(void *ctx, enum letter_outcome, const char *words), void *ctx)
{
	struct send *s = mem_alloc(sizeof *s);

	(void)sender;
	*s = (struct send){.on_end = on_end, .ctx = ctx};
	if (o->facts->matter == LETTER_BEAT)
		snprintf(s->key, sizeof s->key, "%s beat", o->channel->id);
	else
		snprintf(s->key, sizeof s->key, "%s %s %llu", o->channel->id, incident_intent_name(o->intent->kind),
			(unsigned long long)o->intent->incident);
	s->channel = o->channel->id[0];
	s->notice = o->facts->matter == LETTER_BEAT ? 0 : o->intent->key;
	s->count = o->intent->kind == INTENT_DIGEST ? o->intent->items_count : 1;
	assert_true(s->count <= LETTERS);
	s->tells[0] = (struct incident_item){.kind = o->intent->kind, .incident = o->intent->incident, .other = o->intent->other};
	if (o->intent->items_count > 0)
		memcpy(s->tells, o->intent->items, o->intent->items_count * sizeof *s->tells);
	assert_true(world.count < LETTERS);
	world.on_their_way[world.count++] = s;
	world.sent++;
	world.timeout = o->timeout;
	return s;
}

static void leave(struct send *s)
{
	size_t i = 0;

	while (world.on_their_way[i] != s)
		i++;
	memmove(&world.on_their_way[i], &world.on_their_way[i + 1], (--world.count - i) * sizeof s);
	free(s);
}

void send_cancel(struct send *s)
{
	leave(s);
}

/* ---- the bench */

struct bench {
	char folder[40];
	struct event_base *base;
	struct settings *settings;
	struct inventory *inventory;
	struct deliver *deliver;
	uint64_t key;
};

static void note(void *ctx, enum deliver_matter m, bool is_bad, const char *words)
{
	(void)ctx, (void)m, (void)words;
	world.notes += is_bad;
}

static void broken(void *ctx)
{
	(void)ctx;
	world.is_broken = true;
}

static void stopped(void *ctx)
{
	(void)ctx;
}

static void put_file(const struct bench *b, const char *name, const char *text)
{
	char *path = mem_format("%s/%s", b->folder, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
	free(path);
}

static void run_sql(const struct bench *b, const char *file, const char *sql)
{
	char *path = mem_format("%s/%s", b->folder, file), *words = NULL;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, sql, NULL, NULL, &words) != SQLITE_OK)
		fail_msg("%s: %s", sql, words);
	sqlite3_close(db);
	free(path);
}

static void make_outbox(const struct bench *b)
{
	char *path = mem_format("%s/%s", b->folder, BOOK_FILE), *folder = mem_format("mkdir -p '%s/judge' '%s/inventory.d'", b->folder, b->folder);
	struct outbox *o;
	sqlite3 *db;
	struct err e;

	assert_int_equal(system(folder), 0);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	o = outbox_open(db, &e);
	assert_non_null(o);
	outbox_close(o);
	sqlite3_close(db);
	free(path);
	free(folder);
}

/* channels: rows of notice.conf, in which a word in brackets stands for an address: "[a]". */
static void configure(struct bench *b, const char *text)
{
	put_file(b, "notice.conf", text);
}

#define HOOK(id, more) "{ id = \"" id "\"; kind = \"alertmanager\"; url = \"http://127.0.0.1/\"; per_minute = 600; " more " }"
#define ROUTES(channels) " ); routes = ( { audience = \"operations\"; channels = ( " channels " ); } );"

static int begin(void **state)
{
	struct bench *b = mem_alloc(sizeof *b);

	memset(&world, 0, sizeof world);
	world.mono = 1000 * S;
	/* Thousands of commits, of which no disk needs to know. */
	snprintf(b->folder, sizeof b->folder, "%s/test-deliver-XXXXXX", access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp");
	assert_non_null(mkdtemp(b->folder));
	make_outbox(b);
	put_file(b, "inventory.d/all.conf", "units = ( { id = \"u\"; }, { id = \"v\"; } ); systems = ( { id = \"s\"; unit = \"u\"; }, "
		"{ id = \"t\"; unit = \"v\"; } ); sites = ( { id = \"city\"; level = \"city\"; } );");
	put_file(b, "collector.conf", "name = \"test\"; state = \".\"; inventory = \"inventory.d\"; notice = \"notice.conf\";");
	b->base = event_base_new();
	*state = b;
	return 0;
}

static void stop(struct bench *b)
{
	deliver_free(b->deliver);
	b->deliver = NULL;
	inventory_free(b->inventory);
	b->inventory = NULL;
	settings_free(b->settings);
	b->settings = NULL;
}

static int end(void **state)
{
	struct bench *b = *state;
	char *command = mem_format("rm -r '%s'", b->folder);

	stop(b);
	event_base_free(b->base);
	assert_int_equal(system(command), 0);
	free(command);
	free(b);
	return 0;
}

static void read_settings(struct bench *b)
{
	char *path = mem_format("%s/collector.conf", b->folder);
	struct err e;

	b->settings = settings_load(path, &e);
	if (b->settings == NULL)
		fail_msg("%s", e.text);
	b->inventory = inventory_load(b->settings->inventory, &e);
	if (b->inventory == NULL)
		fail_msg("%s", e.text);
	free(path);
}

/* Everything that is to be done by now. */
static void wake(struct bench *b)
{
	deliver_wake(b->deliver);
	for (int i = 0; i < 4; i++)
		event_base_loop(b->base, EVLOOP_NONBLOCK);
}

static void start(struct bench *b)
{
	static const struct deliver_events events = {note, broken, stopped};
	struct roster *roster;
	struct err e;

	read_settings(b);
	roster = roster_load(b->settings->notice, b->inventory, &e);
	if (roster == NULL)
		fail_msg("%s", e.text);
	b->deliver = deliver_new(b->base, b->settings, b->inventory, roster, &events, b, &e);
	if (b->deliver == NULL)
		fail_msg("%s", e.text);
	wake(b);
}

static void reload(struct bench *b, const char *text)
{
	struct err e;

	configure(b, text);
	if (deliver_reload(b->deliver, b->settings, b->inventory, &e) < 0)
		fail_msg("%s", e.text);
	wake(b);
}

static void pass(struct bench *b, int64_t time)
{
	world.mono += time;
	wake(b);
}

struct said {
	enum incident_intent_kind kind;
	uint64_t incident, other;
	int64_t ago;
	const char *audience, *affected;
	bool is_closed;
	size_t items_count;
	const struct incident_item *items;
};

static void say(struct bench *b, struct said s)
{
	int64_t at = clock_real() - s.ago;
	char *path = mem_format("%s/%s", b->folder, BOOK_FILE);
	struct outbox *o;
	sqlite3 *db;
	struct err e;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	o = outbox_open(db, &e);
	assert_non_null(o);
	assert_int_equal(outbox_put(o, &(struct incident_intent){.key = ++b->key, .kind = s.kind, .incident = s.incident, .other = s.other,
		.audience = s.audience != NULL ? s.audience : "", .subject = "system/s", .state = STATE_DOWN, .since = at, .at = at, .author = "",
		.text = "", .reason = "no answer", .items = s.items, .items_count = s.items_count}, &e), 0);
	outbox_close(o);
	sqlite3_close(db);
	free(path);
	path = mem_format("INSERT OR REPLACE INTO incident VALUES (%llu, %d, 'system/s', '', 4, 3, %lld, %lld, 0, NULL, 0, '', 0, 0, 0, 1, '%s')",
		(unsigned long long)s.incident, s.is_closed ? INCIDENT_CLOSED : INCIDENT_OPEN, (long long)at, (long long)at,
		s.affected != NULL ? s.affected : "system/s");
	if (s.incident != 0)
		run_sql(b, BOOK_FILE, path);
	free(path);
}

static void problem(struct bench *b, uint64_t incident)
{
	say(b, (struct said){.kind = INTENT_PROBLEM, .incident = incident});
}

static void close_of(struct bench *b, uint64_t incident)
{
	say(b, (struct said){.kind = INTENT_CLOSE, .incident = incident, .is_closed = true});
}

/* What is on its way, oldest first. */
static void assert_on_their_way(const char *want)
{
	char *all = mem_strdup("");

	for (size_t i = 0; i < world.count; i++) {
		char *more = mem_format("%s%s%s", all, i > 0 ? ", " : "", world.on_their_way[i]->key);

		free(all);
		all = more;
	}
	assert_string_equal(all, want);
	free(all);
}

/* The oldest that is on its way must be this one, and ends so. */
static void answer(struct bench *b, const char *key, enum letter_outcome outcome)
{
	struct send s;

	assert_true(world.count > 0);
	assert_string_equal(world.on_their_way[0]->key, key);
	s = *world.on_their_way[0];
	leave(world.on_their_way[0]);
	s.on_end(s.ctx, outcome, outcome == LETTER_TAKEN ? "" : "not now");
	wake(b);
}

static void on_row(void *ctx, const struct delivery_row *r)
{
	char **all = ctx, *more = mem_format("%s %s %llu %s%s%s", r->d.channel, incident_intent_name(r->d.kind),
		(unsigned long long)r->d.incident, delivery_state_name(r->d.state), (*all)[0] != '\0' ? ", " : "", *all);

	free(*all);
	*all = more;
}

/* Rows of the ledger, oldest first. */
static void assert_ledger(const struct bench *b, const char *want)
{
	char *path = mem_format("%s/%s", b->folder, DELIVERIES_FILE), *all = mem_strdup("");
	struct err e;
	struct deliveries *d = deliveries_open_file(path, &e);

	assert_non_null(d);
	assert_int_equal(deliveries_list(d, &(struct deliveries_wish){.count = 100}, on_row, &all, &e), 0);
	assert_string_equal(all, want);
	deliveries_close(d);
	free(all);
	free(path);
}

/* ---- fall-backs */

static void who_has_a_fall_back_no_more_is_told_again(void **state)
{
	struct bench *b = *state;

	configure(b, "channels = ( " HOOK("a", "fallback = \"b\"; fallback_after = 1;") ", " HOOK("b", "") ROUTES("\"a\""));
	problem(b, 1);
	problem(b, 2);
	start(b);
	answer(b, "a problem 1", LETTER_AGAIN);
	answer(b, "b problem 1", LETTER_AGAIN);
	assert_ledger(b, "a problem 1 moved, a problem 2 moved, b problem 1 waiting, b problem 2 waiting");
	reload(b, "channels = ( " HOOK("a", "") ROUTES("\"a\""));
	assert_ledger(b, "a problem 1 waiting, a problem 2 waiting, b problem 1 moved, b problem 2 moved");
	answer(b, "a problem 1", LETTER_TAKEN);
	answer(b, "a problem 2", LETTER_TAKEN);
	assert_ledger(b, "a problem 1 taken, a problem 2 taken, b problem 1 moved, b problem 2 moved");
}

static void a_fall_back_that_is_turned_round_loses_nothing(void **state)
{
	struct bench *b = *state;

	configure(b, "channels = ( " HOOK("a", "fallback = \"b\"; fallback_after = 1;") ", " HOOK("b", "") ROUTES("\"a\""));
	problem(b, 1);
	start(b);
	answer(b, "a problem 1", LETTER_AGAIN);
	reload(b, "channels = ( " HOOK("a", "") ", " HOOK("b", "fallback = \"a\"; fallback_after = 1;") ROUTES("\"b\""));
	answer(b, "b problem 1", LETTER_AGAIN);
	answer(b, "a problem 1", LETTER_AGAIN);
	/* And over a death: what waits is found again. */
	stop(b);
	start(b);
	answer(b, "a problem 1", LETTER_TAKEN);
	close_of(b, 1);
	pass(b, S);
	answer(b, "a close 1", LETTER_TAKEN); /* who has the problem, though no route leads there any more */
	answer(b, "b close 1", LETTER_TAKEN);
	assert_ledger(b, "a problem 1 taken, b problem 1 moved, b close 1 taken, a close 1 taken");
}

static void who_has_it_already_is_not_told_twice(void **state)
{
	struct bench *b = *state;

	configure(b, "channels = ( " HOOK("a", "fallback = \"b\"; fallback_after = 1;") ", " HOOK("b", "") ROUTES("\"a\", \"b\""));
	problem(b, 1);
	start(b);
	assert_on_their_way("a problem 1, b problem 1");
	answer(b, "a problem 1", LETTER_REFUSED);
	answer(b, "b problem 1", LETTER_TAKEN);
	assert_on_their_way("");
	assert_ledger(b, "a problem 1 moved, b problem 1 taken");
}

static void what_nothing_leads_anywhere_has_failed(void **state)
{
	struct bench *b = *state;

	configure(b, "channels = ( " HOOK("a", "") ROUTES("\"a\""));
	problem(b, 1);
	start(b);
	answer(b, "a problem 1", LETTER_AGAIN);
	reload(b, "channels = ( " HOOK("c", "") " ); routes = ( { audience = \"unit/u\"; channels = \"c\"; } );");
	assert_ledger(b, "a problem 1 failed");
}

#define KEYED(id, more) "{ id = \"" id "\"; kind = \"alertmanager\"; url = \"https://127.0.0.1/\"; token_file = \"missing\"; " more " }"

static void a_chain_of_fall_backs_is_gone_through_at_once(void **state)
{
	struct bench *b = *state;

	configure(b, "channels = ( " HOOK("d", "") ", " KEYED("c", "fallback = \"d\";") ", " KEYED("b", "fallback = \"c\";") ", "
		KEYED("a", "fallback = \"b\";") ROUTES("\"a\""));
	problem(b, 1);
	start(b);
	answer(b, "d problem 1", LETTER_TAKEN);
}

static void a_reload_tries_again_while_the_outbox_is_not_there(void **state)
{
	struct bench *b = *state;
	char *path = mem_format("%s/%s", b->folder, BOOK_FILE);

	configure(b, "channels = ( " HOOK("a", "") ROUTES("\"a\""));
	problem(b, 1);
	start(b);
	answer(b, "a problem 1", LETTER_AGAIN);
	assert_int_equal(unlink(path), 0);
	reload(b, "channels = ( " HOOK("a", "") ROUTES("\"a\""));
	answer(b, "a problem 1", LETTER_TAKEN);
	free(path);
}

/* ---- ends */

#define WITH_FALL_BACK "channels = ( " HOOK("a", "fallback = \"b\";") ", " HOOK("b", "") ROUTES("\"a\"")

static void an_end_does_not_stay_behind_its_problem(void **state)
{
	struct bench *b = *state;

	configure(b, WITH_FALL_BACK);
	problem(b, 1);
	problem(b, 2);
	start(b);
	assert_on_their_way("a problem 1");
	close_of(b, 1);
	wake(b);
	answer(b, "a problem 1", LETTER_REFUSED);
	answer(b, "a problem 2", LETTER_TAKEN);
	answer(b, "b close 1", LETTER_TAKEN);
	assert_on_their_way("");
	assert_ledger(b, "a problem 1 moved, a problem 2 taken, a close 1 moved, b problem 1 joined, b close 1 taken");
}

static const char *const few = "channels = ( { id = \"a\"; kind = \"alertmanager\"; url = \"http://127.0.0.1/\"; per_minute = 2; fallback ="
	" \"b\"; }, " HOOK("b", "") ROUTES("\"a\"");

static void an_end_follows_its_problem_through_a_digest(void **state)
{
	struct bench *b = *state;

	configure(b, few);
	problem(b, 1);
	start(b);
	answer(b, "a problem 1", LETTER_TAKEN);
	problem(b, 2);
	problem(b, 3);
	wake(b);
	answer(b, "a digest 0", LETTER_REFUSED);
	answer(b, "b digest 0", LETTER_TAKEN);
	close_of(b, 2);
	pass(b, 70 * S);
	answer(b, "b close 2", LETTER_TAKEN);
	assert_on_their_way("");
	close_of(b, 1);
	wake(b);
	answer(b, "a close 1", LETTER_TAKEN);
}

static void an_end_follows_a_digest_of_judgement(void **state)
{
	static const struct incident_item problems[] = {{INTENT_PROBLEM, 1, 0, "system/s"}, {INTENT_PROBLEM, 2, 0, "system/t"}};
	static const struct incident_item ends[] = {{INTENT_PROBLEM, 3, 0, "system/s"}, {INTENT_CLOSE, 2, 0, "system/t"}};
	struct bench *b = *state;

	configure(b, WITH_FALL_BACK);
	say(b, (struct said){.kind = INTENT_DIGEST, .items = problems, .items_count = 2});
	start(b);
	answer(b, "a digest 0", LETTER_REFUSED);
	answer(b, "b digest 0", LETTER_TAKEN);
	close_of(b, 1);
	wake(b);
	answer(b, "b close 1", LETTER_TAKEN);
	assert_on_their_way("");
	/* And a digest that holds an end goes where that began, as well. */
	say(b, (struct said){.kind = INTENT_DIGEST, .items = ends, .items_count = 2});
	wake(b);
	answer(b, "a digest 0", LETTER_TAKEN);
	answer(b, "b digest 0", LETTER_TAKEN);
	assert_on_their_way("");
}

static void an_end_is_told_where_the_incident_became_part_of_another(void **state)
{
	struct bench *b = *state;

	configure(b, WITH_FALL_BACK);
	problem(b, 1);
	start(b);
	answer(b, "a problem 1", LETTER_REFUSED);
	answer(b, "b problem 1", LETTER_TAKEN);
	say(b, (struct said){.kind = INTENT_MERGED, .incident = 1, .other = 2, .is_closed = true});
	wake(b);
	answer(b, "b merged 1", LETTER_TAKEN);
	close_of(b, 2);
	wake(b);
	answer(b, "b close 2", LETTER_TAKEN);
	assert_on_their_way("");
}

static void an_end_is_told_where_a_digest_said_what_became_part_of_it(void **state)
{
	static const struct incident_item items[] = {{INTENT_MERGED, 1, 2, "system/s"}, {INTENT_PROBLEM, 3, 0, "system/t"}};
	struct bench *b = *state;

	configure(b, WITH_FALL_BACK);
	say(b, (struct said){.kind = INTENT_DIGEST, .items = items, .items_count = 2});
	start(b);
	answer(b, "a digest 0", LETTER_REFUSED);
	answer(b, "b digest 0", LETTER_TAKEN);
	close_of(b, 2);
	wake(b);
	answer(b, "b close 2", LETTER_TAKEN);
	assert_on_their_way("");
}

/* START is at 09:00 in Shanghai. */
static void who_is_on_duty_is_told_and_of_its_end_as_well_when_another_has_come(void **state)
{
	struct bench *b = *state;

	configure(b, "channels = ( " HOOK("a", "") ", " HOOK("b", "fallback = \"c\";") ", " HOOK("c", "") " ); duty = ( { id = \"watch\"; "
		"from = \"2026-09-25 08:30\"; each = \"1h\"; channels = ( \"a\", \"b\" ); } ); routes = ( { audience = \"operations\"; "
		"channels = \"watch\"; }, { audience = \"escalation/1\"; channels = \"watch\"; } );");
	problem(b, 1);
	start(b);
	answer(b, "a problem 1", LETTER_TAKEN);
	pass(b, HOUR);
	problem(b, 2);
	wake(b);
	answer(b, "b problem 2", LETTER_REFUSED);
	answer(b, "c problem 2", LETTER_TAKEN);
	say(b, (struct said){.kind = INTENT_ESCALATE, .incident = 1, .audience = "escalation/1"});
	wake(b);
	answer(b, "b escalate 1", LETTER_TAKEN);
	pass(b, HOUR);
	close_of(b, 1);
	close_of(b, 2);
	say(b, (struct said){.kind = INTENT_CLOSE, .incident = 1, .audience = "escalation/1", .is_closed = true});
	wake(b);
	answer(b, "a close 1", LETTER_TAKEN);
	answer(b, "b close 1", LETTER_TAKEN);
	answer(b, "c close 2", LETTER_TAKEN);
	assert_on_their_way("");
	problem(b, 3);
	wake(b);
	answer(b, "a problem 3", LETTER_TAKEN);
	assert_on_their_way("");
}

/* Of operations' route nothing goes there, whatever it is. */
static void a_leader_is_told_what_is_escalated_and_its_end_wherever_that_went(void **state)
{
	static const struct incident_item storm[] = {{INTENT_ESCALATE, 3, 0, "system/s"}, {INTENT_ESCALATE, 4, 0, "system/t"}};
	struct bench *b = *state;

	configure(b, "channels = ( " HOOK("a", "") ", " HOOK("b", "fallback = \"c\";") ", " HOOK("c", "") " ); routes = ( { audience = "
		"\"operations\"; channels = \"a\"; }, { audience = \"escalation/1\"; channels = \"b\"; } );");
	problem(b, 1);
	start(b);
	answer(b, "a problem 1", LETTER_TAKEN);
	say(b, (struct said){.kind = INTENT_ESCALATE, .incident = 1});
	say(b, (struct said){.kind = INTENT_ESCALATE, .incident = 1, .audience = "escalation/1"});
	wake(b);
	answer(b, "a escalate 1", LETTER_TAKEN);
	answer(b, "b escalate 1", LETTER_REFUSED);
	answer(b, "c escalate 1", LETTER_TAKEN);
	say(b, (struct said){.kind = INTENT_MERGED, .incident = 1, .other = 2, .audience = "escalation/1", .is_closed = true});
	wake(b);
	answer(b, "c merged 1", LETTER_TAKEN);
	say(b, (struct said){.kind = INTENT_CLOSE, .incident = 2, .audience = "escalation/1", .is_closed = true});
	wake(b);
	answer(b, "c close 2", LETTER_TAKEN);
	say(b, (struct said){.kind = INTENT_DIGEST, .items = storm, .items_count = 2, .audience = "escalation/1"});
	wake(b);
	answer(b, "b digest 0", LETTER_REFUSED);
	answer(b, "c digest 0", LETTER_TAKEN);
	say(b, (struct said){.kind = INTENT_CLOSE, .incident = 4, .audience = "escalation/1", .is_closed = true});
	wake(b);
	answer(b, "c close 4", LETTER_TAKEN);
	assert_on_their_way("");
}

static void what_waits_behind_a_letter_of_a_channel_that_goes_waits_for_it(void **state)
{
	struct bench *b = *state;

	configure(b, "channels = ( " HOOK("a", "") ", " HOOK("b", "") ROUTES("\"a\""));
	problem(b, 1);
	problem(b, 2);
	start(b);
	close_of(b, 1);
	wake(b);
	reload(b, "channels = ( " HOOK("b", "") ROUTES("\"b\""));
	assert_on_their_way("a problem 1, b problem 2");
	answer(b, "a problem 1", LETTER_AGAIN);
	answer(b, "b problem 2", LETTER_TAKEN);
	answer(b, "b close 1", LETTER_TAKEN);
	assert_on_their_way("");
	assert_ledger(b, "a problem 1 moved, a problem 2 moved, a close 1 moved, b problem 2 taken, b problem 1 joined, b close 1 taken");
}

static void what_waits_behind_a_letter_that_is_taken_at_last_moves_as_well(void **state)
{
	struct bench *b = *state;

	configure(b, "channels = ( " HOOK("a", "") ", " HOOK("b", "") ROUTES("\"a\""));
	problem(b, 1);
	start(b);
	close_of(b, 1);
	wake(b);
	reload(b, "channels = ( " HOOK("b", "") ROUTES("\"b\""));
	assert_on_their_way("a problem 1");
	answer(b, "a problem 1", LETTER_TAKEN);
	answer(b, "b close 1", LETTER_TAKEN);
	assert_ledger(b, "a problem 1 taken, a close 1 moved, b close 1 taken");
}

static void add_affected(void *ctx, const struct incident_intent *in, const char *affected)
{
	struct buf *out = ctx;

	buf_add_format(out, "%s[%s]", in->audience, affected);
}

static void a_unit_keeps_its_own_systems_alone(void **state)
{
	struct bench *b = *state;
	char *path = mem_format("%s/%s", b->folder, DELIVERIES_FILE);
	struct buf seen = {0};
	struct deliveries *d;
	struct err e;

	configure(b, "channels = ( " HOOK("a", "") " ); routes = ( { audience = ( \"operations\", \"unit/v\" ); channels = \"a\"; } );");
	say(b, (struct said){.kind = INTENT_PROBLEM, .incident = 1, .affected = "link/x system/s system/t site/city"});
	say(b, (struct said){.kind = INTENT_PROBLEM, .incident = 1, .audience = "v", .affected = "link/x system/s system/t site/city"});
	start(b);
	d = deliveries_open_file(path, &e);
	assert_non_null(d);
	for (uint64_t notice = 1; notice <= 2; notice++)
		assert_true(deliveries_read(d, notice, add_affected, &seen, &e));
	assert_string_equal(buf_text(&seen), "[link/x system/s system/t site/city]v[system/t]");
	deliveries_close(d);
	buf_fini(&seen);
	free(path);
}

static void what_hangs_in_a_channel_that_is_gone_moves_soon(void **state)
{
	struct bench *b = *state;

	configure(b, "channels = ( " HOOK("a", "") ", " HOOK("b", "") ROUTES("\"a\""));
	problem(b, 1);
	start(b);
	for (int i = 0; i < 3; i++) {
		answer(b, "a problem 1", LETTER_AGAIN);
		pass(b, 60 * S);
	}
	reload(b, "channels = ( " HOOK("b", "") ROUTES("\"b\""));
	pass(b, 29 * S);
	assert_on_their_way("a problem 1");
	pass(b, S);
	answer(b, "b problem 1", LETTER_TAKEN);
	assert_ledger(b, "a problem 1 moved, b problem 1 taken");
}

/* ---- deaths, and a disk that is full */

static void set_disk_full(bool is_full)
{
	struct rlimit limit;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
	limit.rlim_cur = is_full ? 0 : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void nobody_is_told_what_cannot_be_written_down(void **state)
{
	struct bench *b = *state;

	configure(b, "channels = ( " HOOK("a", "") ROUTES("\"a\""));
	problem(b, 1);
	start(b);
	answer(b, "a problem 1", LETTER_AGAIN);
	set_disk_full(true);
	pass(b, 10 * S);
	set_disk_full(false);
	assert_true(world.is_broken);
	assert_on_their_way("");
	stop(b);
	start(b);
	answer(b, "a problem 1", LETTER_TAKEN);
	assert_ledger(b, "a problem 1 taken");
}

static void letters_that_deaths_cut_off_count_for_the_limit(void **state)
{
	struct bench *b = *state;

	configure(b, "channels = ( { id = \"a\"; kind = \"alertmanager\"; url = \"http://127.0.0.1/\"; per_minute = 2; } " ROUTES("\"a\""));
	problem(b, 1);
	start(b);
	assert_on_their_way("a problem 1");
	for (int i = 0; i < 3; i++) {
		stop(b);
		start(b);
		assert_on_their_way(i == 0 ? "a problem 1" : "");
	}
	pass(b, 60 * S);
	answer(b, "a problem 1", LETTER_TAKEN);
}

static void a_letter_that_we_die_of_lets_all_others_go_first(void **state)
{
	struct bench *b = *state;

	configure(b, "channels = ( " HOOK("a", "") ", " HOOK("b", "") ROUTES("\"a\", \"b\""));
	problem(b, 1);
	start(b);
	answer(b, "a problem 1", LETTER_AGAIN);
	answer(b, "b problem 1", LETTER_TAKEN);
	for (int i = 0; i < 3; i++) {
		stop(b);
		start(b);
		assert_on_their_way("a problem 1");
	}
	stop(b);
	problem(b, 2);
	start(b);
	answer(b, "a problem 2", LETTER_TAKEN);
	answer(b, "b problem 2", LETTER_TAKEN);
	assert_on_their_way("");
	pass(b, 7 * S);
	answer(b, "a problem 1", LETTER_TAKEN);
	/* And an answer ends the suspicion. */
	problem(b, 3);
	wake(b);
	for (int i = 0; i < 2; i++) {
		stop(b);
		start(b);
	}
	answer(b, "a problem 3", LETTER_AGAIN);
	answer(b, "b problem 3", LETTER_TAKEN);
	stop(b);
	start(b);
	answer(b, "a problem 3", LETTER_TAKEN);
}

static void judgement_that_began_anew_is_read_anew_however_far_it_came(void **state)
{
	struct bench *b = *state;

	configure(b, "channels = ( " HOOK("a", "") ROUTES("\"a\""));
	problem(b, 1);
	problem(b, 2);
	start(b);
	answer(b, "a problem 1", LETTER_TAKEN);
	answer(b, "a problem 2", LETTER_TAKEN);
	run_sql(b, BOOK_FILE, "DELETE FROM intent");
	b->key = 0;
	world.mono += S;
	for (uint64_t i = 11; i <= 13; i++)
		problem(b, i);
	wake(b);
	answer(b, "a problem 11", LETTER_TAKEN);
	answer(b, "a problem 12", LETTER_TAKEN);
	answer(b, "a problem 13", LETTER_TAKEN);
	pass(b, S);
	assert_on_their_way("");
}

static void who_is_slow_to_answer_is_given_longer(void **state)
{
	static const int64_t seconds[] = {30, 60, 120, 240, 240};
	struct bench *b = *state;

	configure(b, WITH_FALL_BACK);
	problem(b, 1);
	start(b);
	answer(b, "a problem 1", LETTER_AGAIN);
	pass(b, 6 * S);
	assert_int_equal(world.timeout, 30 * S);
	answer(b, "a problem 1", LETTER_TAKEN);
	reload(b, "channels = ( " HOOK("a", "") ROUTES("\"a\""));
	problem(b, 2);
	wake(b);
	for (size_t i = 0; i < sizeof seconds / sizeof *seconds; i++) {
		assert_int_equal(world.timeout, seconds[i] * S);
		answer(b, "a problem 2", LETTER_AGAIN);
		pass(b, 400 * S);
	}
}

/* ---- storms */

static int64_t size_of(const struct bench *b, const char *name)
{
	char *path = mem_format("%s/%s", b->folder, name);
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	free(path);
	return st.st_size;
}

static void the_ends_of_a_storm_are_joined_with_one_commit(void **state)
{
	struct bench *b = *state;
	int64_t before;

	configure(b, "channels = ( " HOOK("a", "") ROUTES("\"a\""));
	for (uint64_t i = 1; i <= 150; i++)
		problem(b, i);
	start(b);
	answer(b, "a problem 1", LETTER_AGAIN);
	for (uint64_t i = 1; i <= 150; i++)
		close_of(b, i);
	before = size_of(b, DELIVERIES_FILE "-wal");
	wake(b);
	assert_true(size_of(b, DELIVERIES_FILE "-wal") - before < 150 * 4096);
	pass(b, 10 * S);
	assert_on_their_way("a close 1");
}

static double figure(const struct bench *b, const char *name)
{
	struct buf out = {0};
	const char *at;
	double value;

	deliver_metrics(b->deliver, &out);
	at = strstr(buf_text(&out), name);
	assert_non_null(at);
	value = strtod(at + strlen(name), NULL);
	buf_fini(&out);
	return value;
}

static void the_loop_has_its_turn_while_there_is_much_to_do(void **state)
{
	struct bench *b = *state;
	double done, now;
	int turns;

	configure(b, "channels = ( " KEYED("a", "per_minute = 600;") ROUTES("\"a\""));
	for (uint64_t i = 1; i <= 100; i++)
		problem(b, i);
	start(b);
	done = figure(b, "\nxunjian_notify_tries_total ");
	assert_true(done == 100); /* refused at once, of a clock that stands */
	world.tick = 5 * NS_PER_MS;
	world.mono += 60 * S;
	deliver_wake(b->deliver);
	for (turns = 0; (now = figure(b, "\nxunjian_notify_tries_total ")) < 200; turns++) {
		assert_true(now - done < 50);
		done = now;
		event_base_loop(b->base, EVLOOP_ONCE);
	}
	assert_true(turns > 2);
}

static void a_beginning_that_moves_late_is_not_told_after_its_end(void **state)
{
	struct bench *b = *state;

	configure(b, "channels = ( " HOOK("a", "") ", " HOOK("b", "") ROUTES("\"a\", \"b\""));
	problem(b, 1);
	start(b);
	answer(b, "a problem 1", LETTER_AGAIN);
	pass(b, 6 * S);
	answer(b, "b problem 1", LETTER_AGAIN);
	close_of(b, 1);
	wake(b); /* b has one letter of both; a waits for what comes of its first */
	reload(b, "channels = ( " HOOK("c", "") ROUTES("\"c\""));
	answer(b, "a problem 1", LETTER_AGAIN);
	answer(b, "c close 1", LETTER_TAKEN);
	assert_on_their_way("");
	assert_ledger(b, "a problem 1 moved, b problem 1 joined, a close 1 moved, b close 1 moved, c close 1 taken");
}

/* ---- clocks that are set */

static void an_end_that_is_read_late_is_told_to_who_knows_the_beginning(void **state)
{
	static const struct incident_item items[] = {{INTENT_CLOSE, 3, 0, "system/s"}, {INTENT_CLOSE, 4, 0, "system/t"}};
	struct bench *b = *state;

	configure(b, "channels = ( " HOOK("a", "") ", " HOOK("b", "") " ); routes = ( { audience = \"operations\"; channels = \"a\"; }, "
		"{ audience = \"unit/u\"; channels = \"b\"; } );");
	problem(b, 1);
	problem(b, 3);
	start(b);
	answer(b, "a problem 1", LETTER_TAKEN);
	answer(b, "a problem 3", LETTER_TAKEN);
	close_of(b, 1);
	say(b, (struct said){.kind = INTENT_CLOSE, .incident = 1, .audience = "u", .is_closed = true});
	world.step += 48 * HOUR;
	wake(b);
	answer(b, "a close 1", LETTER_TAKEN);
	assert_on_their_way("");
	/* Nobody knows of this one. */
	say(b, (struct said){.kind = INTENT_PROBLEM, .incident = 2, .ago = 48 * HOUR, .is_closed = true});
	say(b, (struct said){.kind = INTENT_CLOSE, .incident = 2, .ago = 47 * HOUR, .is_closed = true});
	wake(b);
	assert_on_their_way("");
	run_sql(b, BOOK_FILE, "INSERT OR REPLACE INTO incident SELECT 3, phase, subject, reason, state, faults, since, opened, closed, acknowledged_by,"
		" acknowledged_until, assignee, flapping, quiet, level, affected_count, affected FROM incident WHERE id = 2");
	say(b, (struct said){.kind = INTENT_DIGEST, .ago = 47 * HOUR, .items = items, .items_count = 2});
	wake(b);
	answer(b, "a digest 0", LETTER_TAKEN);
	assert_ledger(b, "a problem 1 taken, a problem 3 taken, a close 1 taken, b close 1 old, a problem 2 old, a close 2 old, a digest 0 taken");
}

static void a_clock_that_is_set_back_over_a_restart_mutes_nobody(void **state)
{
	struct bench *b = *state;

	configure(b, "channels = ( { id = \"a\"; kind = \"alertmanager\"; url = \"http://127.0.0.1/\"; per_minute = 2; } " ROUTES("\"a\""));
	problem(b, 1);
	start(b);
	problem(b, 2);
	answer(b, "a problem 1", LETTER_TAKEN);
	pass(b, S);
	answer(b, "a problem 2", LETTER_TAKEN);
	pass(b, 70 * S);
	stop(b);
	world.step -= 5 * HOUR;
	problem(b, 3);
	start(b);
	pass(b, 61 * S);
	answer(b, "a problem 3", LETTER_TAKEN);
}

/* ---- what is given up */

static void what_waited_too_long_is_given_up_with_one_try(void **state)
{
	struct bench *b = *state;

	configure(b, "channels = ( " HOOK("a", "") ROUTES("\"a\""));
	problem(b, 1);
	problem(b, 2);
	start(b);
	answer(b, "a problem 1", LETTER_AGAIN);
	problem(b, 3);
	pass(b, 23 * HOUR);
	answer(b, "a problem 2", LETTER_AGAIN);
	pass(b, 2 * HOUR - S);
	problem(b, 4);
	pass(b, S);
	assert_ledger(b, "a problem 1 waiting, a problem 2 waiting, a problem 3 waiting, a problem 4 waiting");
	answer(b, "a problem 3", LETTER_SLOWER);
	assert_ledger(b, "a problem 1 failed, a problem 2 failed, a problem 3 waiting, a problem 4 waiting");
}

static void a_refusal_gives_up_itself_alone(void **state)
{
	struct bench *b = *state;

	configure(b, "channels = ( " HOOK("a", "") ROUTES("\"a\""));
	problem(b, 1);
	problem(b, 2);
	start(b);
	answer(b, "a problem 1", LETTER_AGAIN);
	pass(b, 25 * HOUR);
	answer(b, "a problem 2", LETTER_REFUSED);
	answer(b, "a problem 1", LETTER_TAKEN);
	assert_ledger(b, "a problem 1 taken, a problem 2 failed");
}

static void a_clock_that_is_set_gives_up_nothing(void **state)
{
	struct bench *b = *state;

	configure(b, "channels = ( " HOOK("a", "") ROUTES("\"a\""));
	problem(b, 1);
	start(b);
	world.step += 48 * HOUR;
	answer(b, "a problem 1", LETTER_AGAIN);
	stop(b);
	world.step += 48 * HOUR;
	start(b);
	answer(b, "a problem 1", LETTER_AGAIN);
	assert_ledger(b, "a problem 1 waiting");
}

static void a_fall_back_does_not_begin_the_wait_again(void **state)
{
	struct bench *b = *state;

	configure(b, "channels = ( " HOOK("a", "fallback = \"b\"; fallback_after = 2;") ", " HOOK("b", "") ROUTES("\"a\""));
	problem(b, 1);
	start(b);
	answer(b, "a problem 1", LETTER_AGAIN);
	pass(b, 23 * HOUR);
	answer(b, "a problem 1", LETTER_AGAIN);
	answer(b, "b problem 1", LETTER_AGAIN);
	pass(b, HOUR);
	answer(b, "b problem 1", LETTER_AGAIN);
	assert_ledger(b, "a problem 1 moved, b problem 1 failed");
}

/* ---- the beat */

static void judgement_beats(const struct bench *b)
{
	char *words = mem_format("INSERT INTO beat VALUES (1, 1, %lld) ON CONFLICT (one) DO UPDATE SET number = number + 1",
		(long long)clock_real());

	run_sql(b, BOOK_FILE, words);
	free(words);
}

static void a_beat_that_fails_is_tried_twice_a_minute(void **state)
{
	struct bench *b = *state;

	configure(b, "channels = ( " HOOK("a", "") ROUTES("\"a\"") " beat = { channel = \"a\"; };");
	judgement_beats(b);
	start(b);
	answer(b, "a beat", LETTER_AGAIN);
	for (int i = 0; i < 29; i++) {
		judgement_beats(b);
		pass(b, S);
		assert_on_their_way("");
	}
	pass(b, S);
	answer(b, "a beat", LETTER_TAKEN);
	pass(b, 30 * S);
	assert_on_their_way("");
}

static void a_beat_that_cannot_leave_costs_no_letter(void **state)
{
	static const char *const text = "channels = ( { id = \"a\"; kind = \"alertmanager\"; url = \"https://127.0.0.1/\"; per_minute = 2; token_file"
		" = \"%s\"; } ); routes = ( { audience = \"operations\"; channels = \"a\"; } ); beat = { channel = \"a\"; };";
	struct bench *b = *state;
	char *without = mem_format(text, "missing"), *with = mem_format(text, "there");

	configure(b, without);
	judgement_beats(b);
	start(b);
	assert_on_their_way("");
	problem(b, 1);
	problem(b, 2);
	reload(b, with);
	answer(b, "a problem 1", LETTER_TAKEN);
	free(without);
	free(with);
}

static void a_clock_that_is_set_hides_and_makes_no_missing_beat(void **state)
{
	struct bench *b = *state;

	configure(b, "channels = ( " HOOK("a", "") ROUTES("\"a\"") " beat = { channel = \"a\"; };");
	judgement_beats(b);
	start(b);
	answer(b, "a beat", LETTER_TAKEN);
	world.step += HOUR;
	pass(b, 60 * S);
	assert_int_equal(world.notes, 0);
	judgement_beats(b);
	pass(b, S);
	answer(b, "a beat", LETTER_TAKEN);
	world.step -= HOUR;
	pass(b, 180 * S);
	assert_int_equal(world.notes, 0);
	pass(b, S);
	assert_int_equal(world.notes, 1);
	judgement_beats(b);
	pass(b, S);
	answer(b, "a beat", LETTER_TAKEN);
	assert_int_equal(world.notes, 1);
}

/* ---- whatever happens */

#define INCIDENTS 64
#define CHANNELS 4

/* What came where, in order. */
struct told {
	char channel;
	uint64_t notice;
	enum incident_intent_kind kind;
	uint64_t incident;
};

struct chaos {
	struct bench *b;
	unsigned seed;
	uint64_t incidents;
	bool is_closed[INCIDENTS];
	unsigned owed[INCIDENTS]; /* channels that knew of it when it ended and were configured: a bit each */
	size_t roster;
	struct told *told;
	size_t count;
};

static unsigned pick(struct chaos *c, unsigned below)
{
	return (unsigned)rand_r(&c->seed) % below;
}

static const char *const rosters[] = {
	"channels = ( " HOOK("a", "fallback = \"b\";") ", " HOOK("b", "") ROUTES("\"a\""),
	"channels = ( " HOOK("a", "") ", " HOOK("b", "") ROUTES("\"a\", \"b\""),
	"channels = ( " HOOK("b", "fallback = \"c\"; fallback_after = 1;") ", " HOOK("c", "fallback = \"a\"; fallback_after = 2;") ", " HOOK("a", "")
		ROUTES("\"b\""),
	"channels = ( " HOOK("c", "") ROUTES("\"c\""),
	"channels = ( { id = \"a\"; kind = \"alertmanager\"; url = \"http://127.0.0.1/\"; per_minute = 3; fallback = \"d\"; }, "
		HOOK("d", "") ROUTES("\"a\""),
	"channels = ( { id = \"b\"; kind = \"alertmanager\"; url = \"http://127.0.0.1/\"; per_minute = 2; }, " HOOK("a", "") " ); routes = ("
		" { audience = \"operations\"; channels = \"b\"; }, { audience = \"operations\"; channels = \"a\"; language = \"en\"; } );",
};
#define ROSTERS (sizeof rosters / sizeof *rosters)

static bool is_end(enum incident_intent_kind kind)
{
	return kind == INTENT_CLOSE || kind == INTENT_MERGED;
}

/* Nothing comes twice where it was taken, and no beginning after its end. */
static void note_told(struct chaos *c, const struct send *s)
{
	for (size_t k = 0; k < c->count; k++) {
		const struct told *t = &c->told[k];

		if (t->channel != s->channel)
			continue;
		if (t->notice == s->notice)
			fail_msg("seed: %s came twice, notice %llu", s->key, (unsigned long long)s->notice);
		for (size_t i = 0; i < s->count; i++) {
			if (is_end(t->kind) && t->incident == s->tells[i].incident && s->tells[i].kind == INTENT_PROBLEM && s->count == 1)
				fail_msg("%s came after its end", s->key);
		}
	}
	c->told = mem_resize(c->told, c->count + s->count, sizeof *c->told);
	for (size_t i = 0; i < s->count; i++)
		c->told[c->count++] = (struct told){s->channel, s->notice, s->tells[i].kind, s->tells[i].incident};
}

static void answer_any(struct chaos *c, enum letter_outcome outcome)
{
	struct send s, *which;

	if (world.count == 0)
		return;
	which = world.on_their_way[pick(c, (unsigned)world.count)];
	s = *which;
	if (outcome == LETTER_TAKEN)
		note_told(c, &s);
	leave(which);
	s.on_end(s.ctx, outcome, outcome == LETTER_TAKEN ? "" : "not now");
	assert_false(world.is_broken);
}

static enum letter_outcome any_outcome(struct chaos *c)
{
	static const enum letter_outcome outcomes[] = {LETTER_TAKEN, LETTER_TAKEN, LETTER_TAKEN, LETTER_AGAIN, LETTER_AGAIN, LETTER_REFUSED,
		LETTER_SLOWER};

	return outcomes[pick(c, sizeof outcomes / sizeof *outcomes)];
}

/* Who was told that it began, by letters and digests, of those that are configured. */
static unsigned who_knows(const struct chaos *c, uint64_t incident)
{
	unsigned mask = 0;

	for (size_t k = 0; k < c->count; k++) {
		char id[] = {'"', c->told[k].channel, '"', ';', '\0'};

		if (c->told[k].incident == incident && c->told[k].kind == INTENT_PROBLEM && strstr(rosters[c->roster], id) != NULL)
			mask |= 1U << (c->told[k].channel - 'a');
	}
	return mask;
}

static void say_digest(struct chaos *c)
{
	struct incident_item items[3];
	size_t count = 2 + pick(c, 2);

	for (size_t i = 0; i < count; i++)
		items[i] = (struct incident_item){.kind = INTENT_PROBLEM, .incident = ++c->incidents, .subject = "system/s"};
	say(c->b, (struct said){.kind = INTENT_DIGEST, .items = items, .items_count = count});
}

static void say_any(struct chaos *c)
{
	uint64_t i;

	if (c->incidents < INCIDENTS - 4 && pick(c, 2) == 0) {
		if (pick(c, 4) == 0)
			say_digest(c);
		else
			problem(c->b, ++c->incidents);
		return;
	}
	i = c->incidents > 0 ? 1 + pick(c, (unsigned)c->incidents) : 0;
	if (i == 0 || c->is_closed[i])
		return;
	c->is_closed[i] = pick(c, 3) > 0;
	if (c->is_closed[i]) {
		wake(c->b);
		c->owed[i] = who_knows(c, i);
		close_of(c->b, i);
	} else {
		say(c->b, (struct said){.kind = INTENT_FLAPPING, .incident = i});
	}
}

static void do_anything(struct chaos *c)
{
	switch (pick(c, 16)) {
	case 0:
		stop(c->b);
		start(c->b);
		break;
	case 1:
		c->roster = pick(c, ROSTERS);
		reload(c->b, rosters[c->roster]);
		break;
	case 2:
		pass(c->b, (int64_t)pick(c, 400) * S);
		break;
	case 3:
		world.step += ((int64_t)pick(c, 9) - 4) * HOUR;
		break;
	case 4: case 5: case 6: case 7:
		say_any(c);
		break;
	case 8: case 9:
		pass(c->b, (int64_t)pick(c, 10) * S);
		break;
	default:
		answer_any(c, any_outcome(c));
	}
	wake(c->b);
}

static bool was_told(const struct chaos *c, uint64_t incident, bool of_end)
{
	for (size_t k = 0; k < c->count; k++) {
		if (c->told[k].incident == incident && is_end(c->told[k].kind) >= of_end)
			return true;
	}
	return false;
}

struct sums {
	unsigned states[8], ends[INCIDENTS]; /* by incident: channels that its end was meant for */
};

static void count_row(void *ctx, const struct delivery_row *r)
{
	struct sums *s = ctx;

	s->states[r->d.state]++;
	if (is_end(r->d.kind))
		s->ends[r->d.incident] |= 1U << (r->d.channel[0] - 'a');
}

static void assert_all_is_told(struct chaos *c)
{
	char *path = mem_format("%s/%s", c->b->folder, DELIVERIES_FILE);
	struct sums sums = {0};
	struct err e;
	struct deliveries *d = deliveries_open_file(path, &e);

	assert_int_equal(deliveries_list(d, &(struct deliveries_wish){.count = 10000}, count_row, &sums, &e), 0);
	assert_int_equal(sums.states[DELIVERY_WAITING], 0);
	assert_int_equal(sums.states[DELIVERY_FAILED], 0);
	deliveries_close(d);
	free(path);
	for (uint64_t i = 1; i <= c->incidents; i++) {
		if (!was_told(c, i, c->is_closed[i]))
			fail_msg("incident %llu: nobody was told of its %s", (unsigned long long)i, c->is_closed[i] ? "end" : "beginning");
		if ((c->owed[i] & ~sums.ends[i]) != 0)
			fail_msg("incident %llu: who knew of it is not told of its end: %x of %x", (unsigned long long)i, sums.ends[i], c->owed[i]);
	}
}

static void run_chaos(void **state, unsigned seed)
{
	struct chaos c = {.b = *state, .seed = seed};

	print_message("seed %u\n", seed);
	c.roster = pick(&c, ROSTERS);
	configure(c.b, rosters[c.roster]);
	start(c.b);
	for (int i = 0; i < 150; i++)
		do_anything(&c);
	for (int i = 0; i < 300; i++) {
		answer_any(&c, LETTER_TAKEN);
		pass(c.b, world.count > 0 ? 0 : 30 * S);
	}
	assert_all_is_told(&c);
	free(c.told);
}

static void whatever_happens_all_is_told(void **state)
{
	const char *first = getenv("SEED"), *count = getenv("SEEDS");
	unsigned seed = first != NULL ? (unsigned)atoi(first) : 1;

	for (int i = 0; i < (count != NULL ? atoi(count) : 3); i++) {
		if (i > 0) {
			end(state);
			begin(state);
		}
		run_chaos(state, seed + (unsigned)i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(who_has_a_fall_back_no_more_is_told_again, begin, end),
		cmocka_unit_test_setup_teardown(a_fall_back_that_is_turned_round_loses_nothing, begin, end),
		cmocka_unit_test_setup_teardown(who_has_it_already_is_not_told_twice, begin, end),
		cmocka_unit_test_setup_teardown(what_nothing_leads_anywhere_has_failed, begin, end),
		cmocka_unit_test_setup_teardown(a_chain_of_fall_backs_is_gone_through_at_once, begin, end),
		cmocka_unit_test_setup_teardown(a_reload_tries_again_while_the_outbox_is_not_there, begin, end),
		cmocka_unit_test_setup_teardown(an_end_does_not_stay_behind_its_problem, begin, end),
		cmocka_unit_test_setup_teardown(an_end_follows_its_problem_through_a_digest, begin, end),
		cmocka_unit_test_setup_teardown(an_end_follows_a_digest_of_judgement, begin, end),
		cmocka_unit_test_setup_teardown(an_end_is_told_where_the_incident_became_part_of_another, begin, end),
		cmocka_unit_test_setup_teardown(an_end_is_told_where_a_digest_said_what_became_part_of_it, begin, end),
		cmocka_unit_test_setup_teardown(who_is_on_duty_is_told_and_of_its_end_as_well_when_another_has_come, begin, end),
		cmocka_unit_test_setup_teardown(a_leader_is_told_what_is_escalated_and_its_end_wherever_that_went, begin, end),
		cmocka_unit_test_setup_teardown(what_waits_behind_a_letter_of_a_channel_that_goes_waits_for_it, begin, end),
		cmocka_unit_test_setup_teardown(what_waits_behind_a_letter_that_is_taken_at_last_moves_as_well, begin, end),
		cmocka_unit_test_setup_teardown(a_unit_keeps_its_own_systems_alone, begin, end),
		cmocka_unit_test_setup_teardown(what_hangs_in_a_channel_that_is_gone_moves_soon, begin, end),
		cmocka_unit_test_setup_teardown(nobody_is_told_what_cannot_be_written_down, begin, end),
		cmocka_unit_test_setup_teardown(letters_that_deaths_cut_off_count_for_the_limit, begin, end),
		cmocka_unit_test_setup_teardown(a_letter_that_we_die_of_lets_all_others_go_first, begin, end),
		cmocka_unit_test_setup_teardown(judgement_that_began_anew_is_read_anew_however_far_it_came, begin, end),
		cmocka_unit_test_setup_teardown(who_is_slow_to_answer_is_given_longer, begin, end),
		cmocka_unit_test_setup_teardown(the_ends_of_a_storm_are_joined_with_one_commit, begin, end),
		cmocka_unit_test_setup_teardown(the_loop_has_its_turn_while_there_is_much_to_do, begin, end),
		cmocka_unit_test_setup_teardown(a_beginning_that_moves_late_is_not_told_after_its_end, begin, end),
		cmocka_unit_test_setup_teardown(an_end_that_is_read_late_is_told_to_who_knows_the_beginning, begin, end),
		cmocka_unit_test_setup_teardown(a_clock_that_is_set_back_over_a_restart_mutes_nobody, begin, end),
		cmocka_unit_test_setup_teardown(what_waited_too_long_is_given_up_with_one_try, begin, end),
		cmocka_unit_test_setup_teardown(a_refusal_gives_up_itself_alone, begin, end),
		cmocka_unit_test_setup_teardown(a_clock_that_is_set_gives_up_nothing, begin, end),
		cmocka_unit_test_setup_teardown(a_fall_back_does_not_begin_the_wait_again, begin, end),
		cmocka_unit_test_setup_teardown(a_beat_that_fails_is_tried_twice_a_minute, begin, end),
		cmocka_unit_test_setup_teardown(a_beat_that_cannot_leave_costs_no_letter, begin, end),
		cmocka_unit_test_setup_teardown(a_clock_that_is_set_hides_and_makes_no_missing_beat, begin, end),
		cmocka_unit_test_setup_teardown(whatever_happens_all_is_told, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
