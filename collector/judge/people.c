#include "collector/judge/people.h"

#include <inttypes.h>
#include <stdarg.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/judge/calendar.h"
#include "collector/judge/incident.h"
#include "collector/judge/ledger.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/wire.h"

static const char *const tables =
	"CREATE TABLE IF NOT EXISTS request (number INTEGER PRIMARY KEY AUTOINCREMENT, epoch INTEGER NOT NULL, seq INTEGER NOT"
	" NULL, at INTEGER NOT NULL, kind INTEGER NOT NULL, author TEXT NOT NULL, uid INTEGER NOT NULL, incident INTEGER NOT NULL,"
	" text TEXT NOT NULL, accepted INTEGER NOT NULL, words TEXT NOT NULL, made TEXT NOT NULL, UNIQUE (epoch, seq));"
	"CREATE INDEX IF NOT EXISTS request_at ON request (at);";

enum statement { FIND, LAST, ADD, DROP, STATEMENTS };
static const char *const texts[STATEMENTS] = {
	[FIND] = "SELECT 1 FROM request WHERE epoch = ? AND seq = ?",
	/* Numbers are never used twice, not even when all rows are gone. */
	[LAST] = "SELECT seq FROM sqlite_sequence WHERE name = 'request'",
	[ADD] = "INSERT INTO request (epoch, seq, at, kind, uid, incident, accepted, author, text, words, made)"
		" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
	[DROP] = "DELETE FROM request WHERE at < ?",
};

struct people {
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENTS];
};

static int failed(sqlite3 *db, const char *what, struct err *e)
{
	return err_set(e, "requests: %s: %s", what, sqlite3_errmsg(db));
}

struct people *people_open(sqlite3 *db, struct err *e)
{
	struct people *p = mem_alloc(sizeof *p);

	p->db = db;
	if (sqlite3_exec(db, tables, NULL, NULL, NULL) != SQLITE_OK) {
		failed(db, "tables", e);
		people_close(p);
		return NULL;
	}
	for (int i = 0; i < STATEMENTS; i++) {
		if (sqlite3_prepare_v3(db, texts[i], -1, SQLITE_PREPARE_PERSISTENT, &p->statements[i], NULL) != SQLITE_OK) {
			failed(db, "not the database of judgement", e);
			people_close(p);
			return NULL;
		}
	}
	return p;
}

void people_close(struct people *p)
{
	if (p == NULL)
		return;
	for (int i = 0; i < STATEMENTS; i++)
		sqlite3_finalize(p->statements[i]);
	free(p);
}

/* ---- the table */

static sqlite3_stmt *statement(struct people *p, enum statement which)
{
	sqlite3_reset(p->statements[which]);
	return p->statements[which];
}

static bool is_judged(struct people *p, struct position at)
{
	sqlite3_stmt *s = statement(p, FIND);
	bool found;

	sqlite3_bind_int64(s, 1, (int64_t)at.epoch);
	sqlite3_bind_int64(s, 2, (int64_t)at.seq);
	found = sqlite3_step(s) == SQLITE_ROW;
	sqlite3_reset(s);
	return found;
}

static int64_t next_number(struct people *p)
{
	sqlite3_stmt *s = statement(p, LAST);
	int64_t last = sqlite3_step(s) == SQLITE_ROW ? sqlite3_column_int64(s, 0) : 0;

	sqlite3_reset(s);
	return last + 1;
}

static int run(struct people *p, sqlite3_stmt *s, struct err *e)
{
	int rc = sqlite3_step(s);

	sqlite3_reset(s);
	return rc == SQLITE_DONE ? 0 : failed(p->db, "not kept", e);
}

static int keep(struct people *p, struct position at, const struct wire_request *r, const struct people_verdict *v,
	int64_t now, struct err *e)
{
	const int64_t numbers[] = {(int64_t)at.epoch, (int64_t)at.seq, now, r->kind, r->uid, (int64_t)r->incident, v->is_accepted};
	const char *const words[] = {r->author, r->text, v->words, v->made};
	sqlite3_stmt *s = statement(p, ADD);

	for (int i = 0; i < 7; i++)
		sqlite3_bind_int64(s, i + 1, numbers[i]);
	for (int i = 0; i < 4; i++)
		sqlite3_bind_text(s, 8 + i, words[i], -1, SQLITE_TRANSIENT);
	if (run(p, s, e) < 0)
		return -1;
	s = statement(p, DROP);
	sqlite3_bind_int64(s, 1, now - PEOPLE_KEPT);
	return run(p, s, e);
}

/* ---- what is asked. Each gives 1 accepted, 0 refused with words, -1 with err. */

struct asked {
	struct people *people;
	struct incidents *incidents;
	struct ledger *ledger;
	const struct wire_request *request;
	int64_t now;
	struct people_verdict verdict;
};

static void say(struct asked *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct asked *a, const char *format, ...)
{
	char words[2 * PEOPLE_WORDS];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof words, format, args);
	va_end(args);
	text_clean(words, strlen(words), a->verdict.words, sizeof a->verdict.words);
}

/* What somebody wrote, short enough that the words around it have room too. */
#define SHORT 201
static char *shorten(const char *text, char out[SHORT])
{
	return text_clean(text, strlen(text), out, SHORT);
}

static int refuse(struct asked *a, const char *words)
{
	say(a, "%s", words);
	return 0;
}

static int step(struct asked *a, const struct incident_event *event)
{
	struct err words;

	if (incidents_step(a->incidents, event, a->now, &words) == 0)
		return 1;
	return refuse(a, words.text);
}

static int ask_of_incident(struct asked *a)
{
	static const struct {
		enum incident_event_kind kind;
		const char *words;
	} kinds[] = {
		[REQUEST_ACKNOWLEDGE] = {INCIDENT_ACKNOWLEDGE, "is acknowledged"},
		[REQUEST_UNACKNOWLEDGE] = {INCIDENT_UNACKNOWLEDGE, "is not acknowledged any more"},
		[REQUEST_ASSIGN] = {INCIDENT_ASSIGN, "is assigned"},
		[REQUEST_COMMENT] = {INCIDENT_COMMENT, "has the comment"},
	};
	const struct wire_request *r = a->request;
	int rc;

	if (r->kind == REQUEST_COMMENT && r->text[0] == '\0')
		return refuse(a, "the comment is empty");
	rc = step(a, &(struct incident_event){.kind = kinds[r->kind].kind, .incident = r->incident, .author = r->author,
		.text = r->text, .until = r->kind == REQUEST_ACKNOWLEDGE ? r->until : 0});
	if (rc == 1)
		say(a, "incident %" PRIu64 " %s", r->incident, kinds[r->kind].words);
	return rc;
}

/* All of it or nothing. One name for all subjects: "m7", of which the others are "m7-1", "m7-2" ... */
static void name_plan(char *out, size_t room, const char *made, size_t i)
{
	if (i == 0)
		snprintf(out, room, "%s", made);
	else
		snprintf(out, room, "%s-%zu", made, i);
}

static int cancel_all(struct asked *a, const char *made)
{
	size_t len = strlen(made);
	int count = 0;
	const struct maintenance *m;

	for (size_t i = 0; (m = incidents_maintenance_at(a->incidents, i)) != NULL;) {
		char *id;

		if (strncmp(m->id, made, len) != 0 || (m->id[len] != '\0' && m->id[len] != '-')) {
			i++;
			continue;
		}
		id = mem_strdup(m->id);
		incidents_step(a->incidents, &(struct incident_event){.kind = INCIDENT_CANCEL, .author = a->request->author,
			.text = id}, a->now, &(struct err){0});
		free(id);
		count++;
	}
	return count;
}

static int plan_one(struct asked *a, const char *subject, const char *id)
{
	const struct wire_request *r = a->request;

	return step(a, &(struct incident_event){.kind = INCIDENT_PLAN, .author = r->author,
		.maintenance = &(struct maintenance){.id = id, .subject = subject, .author = r->author, .reason = r->text,
			.from = r->from, .to = r->until, .is_repeated = r->is_repeated, .until = r->last,
			.weekdays = r->weekdays, .weeks = r->weeks}});
}

static int plan(struct asked *a)
{
	const struct wire_request *r = a->request;
	char made[sizeof a->verdict.made], id[sizeof made + 24], subject[SHORT];
	int rc = 1;

	if (r->subjects_count == 0)
		return refuse(a, "maintenance is of a subject");
	if (r->text[0] == '\0')
		return refuse(a, "maintenance has a reason");
	if (r->from < a->now - PEOPLE_LATE)
		return refuse(a, "maintenance begins now or later: what was is not changed by a plan, but by a correction");
	if (incidents_maintenance_at(a->incidents, PEOPLE_PLANS_MAX - r->subjects_count) != NULL)
		return refuse(a, "too much maintenance is planned already");
	snprintf(made, sizeof made, "m%" PRId64, next_number(a->people));
	for (size_t i = 0; i < r->subjects_count && rc == 1; i++) {
		name_plan(id, sizeof id, made, i);
		rc = plan_one(a, r->subjects[i], id);
	}
	if (rc != 1) {
		cancel_all(a, made);
		return rc;
	}
	strcpy(a->verdict.made, made);
	say(a, "maintenance %s of %s%s is planned", made, shorten(r->subjects[0], subject),
		r->subjects_count > 1 ? " and others" : "");
	return 1;
}

static int cancel(struct asked *a)
{
	const char *id = a->request->text;
	char said[SHORT];

	if (id[0] == '\0' || cancel_all(a, id) == 0) {
		say(a, "there is no maintenance \"%s\"", shorten(id, said));
		return 0;
	}
	say(a, "maintenance %s is cancelled", id);
	return 1;
}

static const char *wrong_correction(const struct wire_request *r, int64_t now)
{
	if (r->subjects_count != 1)
		return "a correction is of one subject";
	if (r->text[0] == '\0' || strlen(r->text) > LEDGER_TEXT)
		return "a correction has a reason, of 512 bytes at most";
	if (r->state != STATE_UP && r->state != STATE_UNKNOWN && r->state != STATE_DEGRADED && r->state != STATE_DOWN)
		return "a state is corrected to up, unknown, degraded or down";
	if (r->until / NS_PER_S <= r->from / NS_PER_S)
		return "a correction is of at least one second";
	return r->until > now ? "a correction is of the past" : NULL;
}

/* Of the families asked for those that anything is known of. */
static int correct(struct asked *a)
{
	static const struct {
		unsigned bit;
		enum family family;
	} families[] = {{REQUEST_WHOLE, FAMILY_NONE}, {REQUEST_V4, FAMILY_V4}, {REQUEST_V6, FAMILY_V6}};
	const struct wire_request *r = a->request;
	const char *wrong = wrong_correction(r, a->now);
	char subject[SHORT], from[CALENDAR_TIME], until[CALENDAR_TIME];
	int laid = 0;
	struct err e;

	if (wrong != NULL)
		return refuse(a, wrong);
	for (size_t i = 0; i < sizeof families / sizeof *families; i++) {
		const struct ledger_correction c = {.subject = r->subjects[0], .family = families[i].family,
			.span = {r->from, r->until}, .state = (enum state)r->state, .author = r->author, .reason = r->text,
			.at = a->now};
		int64_t begin = ledger_begin(a->ledger, c.subject, c.family);

		if ((r->families & families[i].bit) == 0 || begin == 0 || begin >= r->until)
			continue;
		if (ledger_correct(a->ledger, &c, &e) < 0) {
			say(a, "%s", e.text);
			return -1;
		}
		laid++;
	}
	if (laid == 0)
		say(a, "the ledger knows nothing of %s at that time", shorten(r->subjects[0], subject));
	else
		say(a, "%s counts as %s from %s to %s (Asia/Shanghai); what was measured stays beside it",
			shorten(r->subjects[0], subject), verdict_state_name((enum state)r->state),
			calendar_format(r->from, from), calendar_format(r->until, until));
	return laid > 0;
}

static int ask(struct asked *a)
{
	switch (a->request->kind) {
	case REQUEST_ACKNOWLEDGE:
	case REQUEST_UNACKNOWLEDGE:
	case REQUEST_ASSIGN:
	case REQUEST_COMMENT:
		return ask_of_incident(a);
	case REQUEST_PLAN:
		return plan(a);
	case REQUEST_CANCEL:
		return cancel(a);
	case REQUEST_CORRECT:
		return correct(a);
	}
	return refuse(a, "a request of a later version");
}

int people_fold(struct people *p, struct incidents *incidents, struct ledger *ledger, struct position at,
	const struct wire_request *r, int64_t now, struct err *e)
{
	struct asked a = {.people = p, .incidents = incidents, .ledger = ledger, .request = r, .now = now};
	int rc;

	if (is_judged(p, at))
		return 0;
	rc = ask(&a);
	if (rc < 0)
		return err_set(e, "%s", a.verdict.words);
	a.verdict.is_accepted = rc == 1;
	return keep(p, at, r, &a.verdict, now, e) < 0 ? -1 : 1;
}

/* ---- looking */

int people_find(sqlite3 *db, struct position at, struct people_verdict *out, struct err *e)
{
	sqlite3_stmt *s;
	int rc;

	if (sqlite3_prepare_v2(db, "SELECT accepted, words, made FROM request WHERE epoch = ? AND seq = ?", -1, &s, NULL) != SQLITE_OK)
		return failed(db, "not readable", e);
	sqlite3_bind_int64(s, 1, (int64_t)at.epoch);
	sqlite3_bind_int64(s, 2, (int64_t)at.seq);
	rc = sqlite3_step(s);
	if (rc == SQLITE_ROW) {
		out->is_accepted = sqlite3_column_int(s, 0) != 0;
		snprintf(out->words, sizeof out->words, "%s", (const char *)sqlite3_column_text(s, 1));
		snprintf(out->made, sizeof out->made, "%s", (const char *)sqlite3_column_text(s, 2));
	} else if (rc != SQLITE_DONE) {
		failed(db, "not readable", e);
	}
	sqlite3_finalize(s);
	return rc == SQLITE_ROW ? 1 : rc == SQLITE_DONE ? 0 : -1;
}

int people_list(sqlite3 *db, void (*on_asked)(void *ctx, const struct people_asked *), void *ctx, struct err *e)
{
	static const char *const kinds[] = {[REQUEST_ACKNOWLEDGE] = "acknowledge", [REQUEST_UNACKNOWLEDGE] = "unacknowledge",
		[REQUEST_ASSIGN] = "assign", [REQUEST_COMMENT] = "comment", [REQUEST_PLAN] = "maintain",
		[REQUEST_CANCEL] = "cancel", [REQUEST_CORRECT] = "correct"};
	sqlite3_stmt *s;
	int rc;

	if (sqlite3_prepare_v2(db, "SELECT number, at, kind, author, words, accepted FROM request ORDER BY number DESC", -1, &s,
			NULL) != SQLITE_OK)
		return failed(db, "not readable", e);
	while ((rc = sqlite3_step(s)) == SQLITE_ROW) {
		int kind = sqlite3_column_int(s, 2);

		on_asked(ctx, &(struct people_asked){.number = sqlite3_column_int64(s, 0), .at = sqlite3_column_int64(s, 1),
			.what = kind >= REQUEST_ACKNOWLEDGE && kind <= REQUEST_CORRECT ? kinds[kind] : "?",
			.author = (const char *)sqlite3_column_text(s, 3), .words = (const char *)sqlite3_column_text(s, 4),
			.is_accepted = sqlite3_column_int(s, 5) != 0});
	}
	sqlite3_finalize(s);
	return rc == SQLITE_DONE ? 0 : failed(db, "not readable", e);
}
