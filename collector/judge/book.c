#include "collector/judge/book.h"

#include <errno.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "collector/inventory.h"
#include "collector/judge/clocks.h"
#include "collector/judge/incident.h"
#include "collector/judge/ledger.h"
#include "collector/judge/outbox.h"
#include "collector/judge/people.h"
#include "collector/judge/plan.h"
#include "collector/judge/planned.h"
#include "collector/judge/record.h"
#include "collector/judge/usual.h"
#include "collector/judge/verdict.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/wire.h"

#define WAIT_MS 5000 /* for a reader that is there just when the database is opened after a crash */
#define LANDMARK_EVERY (600 * NS_PER_S)
#define MONITORING "monitoring/"
#define SIGHTS 128 /* of one subject from all its vantages */
#define PART_SHOWN 64 /* bytes of its name in a reason */
#define VERSION 1
#define PLAN_TURNS_MAX 5000 /* after so many, what is left is noted late */
#define LANDMARKS_KEPT 10000 /* two months */

static const char *const tables =
	"CREATE TABLE IF NOT EXISTS place (one INTEGER PRIMARY KEY CHECK (one = 1), epoch INTEGER NOT NULL, seq INTEGER NOT NULL);"
	"CREATE TABLE IF NOT EXISTS record (key TEXT PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE IF NOT EXISTS landmark (at INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, seq INTEGER NOT NULL);"
	"CREATE TABLE IF NOT EXISTS late (subject TEXT PRIMARY KEY, start INTEGER NOT NULL, finish INTEGER NOT NULL,"
	" ready INTEGER NOT NULL) WITHOUT ROWID;";

enum statement {
	GET_PLACE, SET_PLACE, PUT_RECORD, DROP_RECORD, RECORDS, FIND_RECORD, ADD_LANDMARK, FIND_LANDMARK, DROP_LANDMARKS,
	FORGET_LANDMARKS, TURN_LANDMARKS, ADD_LATE, FIND_LATE, DROP_LATE, DROP_FUTURE_LATE, TURN_LATE, STATEMENTS,
};
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

struct book {
	sqlite3 *db;
	sqlite3_stmt *statements[STATEMENTS];
	struct people *people;
	struct planned *planned;
	uint64_t plan_turns; /* of incidents, that planned knows of */
	struct ledger *ledger;
	struct verdict *verdict;
	struct incidents *incidents;
	struct clocks *clocks;
	struct usual *usual;
	struct incident_settings settings;
	struct outbox *outbox;
	const struct inventory *inventory;
	struct position at, committed;
	int64_t now, landmark, beaten;
	int64_t looked; /* when the result at hand was measured; 0: none is */
	bool in_transaction, was_opened, write_failed;
	char *late_subject;
	char *probes[BOOK_PROBES], *probe; /* to be probed; the one handed out */
	size_t probes_count;
	struct map *changed; /* subject -> int64_t: when its newest stretch began, where that was asked for */
	struct err failure; /* of a write inside a callback */
	struct book_counts counts;
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

static sqlite3_stmt *statement(struct book *b, enum statement which)
{
	sqlite3_reset(b->statements[which]);
	return b->statements[which];
}

static int run(struct book *b, sqlite3_stmt *s, const char *what, struct err *e)
{
	int rc = sqlite3_step(s);

	sqlite3_reset(s);
	return rc == SQLITE_DONE ? 0 : failed(b, what, e);
}

static int execute(struct book *b, const char *sql, struct err *e)
{
	return sqlite3_exec(b->db, sql, NULL, NULL, NULL) == SQLITE_OK ? 0 : failed(b, sql, e);
}

static int begin(struct book *b, struct err *e)
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
	sqlite3_stmt *s = statement(b, FIND_RECORD);
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
	sqlite3_stmt *s = statement(b, GET_PLACE);

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

/* ---- to the ledger */

/* Not before the first question about a subject, then kept. */
static int64_t *changed_of(struct book *b, const char *subject)
{
	int64_t *changed = map_find(b->changed, subject);

	if (changed == NULL) {
		changed = mem_alloc(sizeof *changed);
		*changed = ledger_changed(b->ledger, subject);
		map_set(b->changed, subject, changed);
	}
	return changed;
}

static int write_state(struct book *b, const char *subject, enum family family, enum state state, int64_t since,
	const char *reason, struct err *e)
{
	if (since <= 0)
		since = b->now; /* of what was never measured */
	if (state == STATE_NONE || since == 0)
		return 0;
	return ledger_set(b->ledger, subject, family, state, since, reason, e);
}

static int write_subject(struct book *b, const struct verdict_change *c, struct err *e)
{
	const struct verdict_subject *view = verdict_subject(b->verdict, c->subject);

	b->counts.changes++;
	if (c->since > *changed_of(b, c->subject))
		*changed_of(b, c->subject) = c->since;
	if (write_state(b, c->subject, FAMILY_NONE, c->state, c->since, c->reason, e) < 0)
		return -1;
	for (int f = 0; view != NULL && f < VERDICT_OWN; f++) {
		if ((c->changed & 1u << f) != 0 && write_state(b, c->subject, verdict_family(f), view->families[f],
				view->families_since[f], c->reason, e) < 0)
			return -1;
	}
	return 0;
}

struct others {
	struct book *book;
	char **names;
	size_t count;
};

static void add_other(void *ctx, const char *subject)
{
	struct others *o = ctx;

	if (verdict_subject(o->book->verdict, subject) != NULL)
		return;
	o->names = mem_resize(o->names, o->count + 1, sizeof *o->names);
	o->names[o->count++] = mem_strdup(subject);
}

/* What is not judged any more has no state from now on. */
static int end_others(struct book *b, struct err *e)
{
	struct others o = {.book = b};
	int rc = ledger_subjects(b->ledger, add_other, &o, e);

	for (size_t i = 0; i < o.count; i++) {
		for (int f = 0; f <= VERDICT_OWN && rc == 0; f++) {
			if (ledger_current(b->ledger, o.names[i], verdict_family(f)) != STATE_NONE)
				rc = ledger_set(b->ledger, o.names[i], verdict_family(f), STATE_NONE, b->now, "", e);
		}
		if (rc == 0)
			rc = planned_set(b->planned, o.names[i], false, b->now, e);
		free(o.names[i]);
	}
	free(o.names);
	return rc;
}

/* ---- to incidents and the outbox */

static void add_probe(struct book *b, const char *subject)
{
	if (b->probes_count < BOOK_PROBES)
		b->probes[b->probes_count++] = mem_strdup(subject);
}

const char *book_take_probe(struct book *b)
{
	free(b->probe);
	b->probe = b->probes_count > 0 ? b->probes[--b->probes_count] : NULL;
	return b->probe;
}

/* What incidents want is told by others; what they are is noted as it changes. */
static int take_intents(struct book *b, struct err *e)
{
	size_t count;
	const struct incident_intent *in = incidents_intents(b->incidents, &count);
	struct incident_view view;
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++) {
		b->counts.intents++;
		if (in[i].kind == INTENT_PROBE)
			add_probe(b, in[i].subject);
		else
			rc = outbox_put(b->outbox, &in[i], e);
		if (rc == 0 && in[i].incident != 0)
			rc = outbox_note(b->outbox, b->incidents, in[i].incident, e);
		for (size_t k = 0; k < in[i].items_count && rc == 0; k++)
			rc = outbox_note(b->outbox, b->incidents, in[i].items[k].incident, e);
	}
	/* With clearing they are forgotten; of one that nobody was told of no intent tells. */
	for (size_t i = 0; count > 0 && rc == 0 && incidents_at(b->incidents, i, &view); i++) {
		if (view.phase == INCIDENT_CLOSED)
			rc = outbox_note(b->outbox, b->incidents, view.id, e);
	}
	if (count > 0)
		incidents_clear(b->incidents);
	return rc;
}

/* Whom planned work covers from `at` on. */
static int note_plans(struct book *b, int64_t at, struct err *e)
{
	const struct verdict_subject *subject;
	int64_t next;
	uint64_t turns = incidents_maintenance_turns(b->incidents, &next);

	if (turns == b->plan_turns)
		return 0;
	b->plan_turns = turns;
	for (size_t i = 0; (subject = verdict_subject_at(b->verdict, i)) != NULL; i++) {
		if (planned_set(b->planned, subject->id, incidents_state(b->incidents, subject->id) == STATE_MAINTENANCE, at, e) < 0)
			return -1;
	}
	return 0;
}

/* Work that began or ended since the step before did so at its time, also when we were away. */
static int turn_plans(struct book *b, struct err *e)
{
	struct err refused;
	int64_t next;

	for (int i = 0; i < PLAN_TURNS_MAX; i++) {
		incidents_maintenance_turns(b->incidents, &next);
		if (next >= b->now)
			break;
		incidents_step(b->incidents, &(struct incident_event){.kind = INCIDENT_TICK}, next, &refused);
		if (take_intents(b, e) < 0 || note_plans(b, next, e) < 0)
			return -1;
	}
	return 0;
}

static int step(struct book *b, const struct incident_event *event, struct err *e)
{
	struct err refused; /* of requests alone */

	if (turn_plans(b, e) < 0)
		return -1;
	incidents_step(b->incidents, event, b->now, &refused);
	if (take_intents(b, e) < 0)
		return -1;
	return note_plans(b, b->now, e);
}

/* Vantages by the side of a link that they stand on. */
struct sides { unsigned above, above_failed, below, below_reached; };

static bool is_below(const struct book *b, const char *agent, const struct inventory_link *link)
{
	const struct inventory_agent *a = inventory_agent(b->inventory, agent);
	const struct inventory_site *s = a == NULL ? NULL : a->of_site;

	while (s != NULL && s != link->of_site)
		s = s->of_parent;
	return s != NULL;
}

/* From one vantage: failed when one check did. */
struct look { bool known, failed; };

static void look_through(const struct book *b, const char *check, struct look *looks)
{
	struct verdict_ballot *ballots = mem_array(VERDICT_VANTAGES * VERDICT_FAMILIES, sizeof *ballots);
	size_t count = verdict_ballots(b->verdict, check, ballots, VERDICT_VANTAGES * VERDICT_FAMILIES);

	for (size_t i = 0; i < count; i++) {
		const struct inventory_agent *a = inventory_agent(b->inventory, ballots[i].vantage);

		if (a == NULL)
			continue;
		looks[a - b->inventory->agents].failed |= ballots[i].vote == VOTE_DOWN;
		looks[a - b->inventory->agents].known |= ballots[i].vote != VOTE_NONE && ballots[i].vote != VOTE_UNKNOWN;
	}
	free(ballots);
}

static void count_sides(const struct book *b, const struct inventory_link *link, const struct look *looks, struct sides *out)
{
	for (size_t i = 0; i < b->inventory->agents_count; i++) {
		bool below = is_below(b, b->inventory->agents[i].id, link);

		out->above += looks[i].known && !below;
		out->above_failed += looks[i].failed && !below;
		out->below += looks[i].known && below;
		out->below_reached += looks[i].known && below && !looks[i].failed;
	}
}

/* Of a link that failed: which side says so? Its lower end, which is what is asked, may well answer from below. */
static void say_sides(const struct book *b, const struct verdict_change *c, struct buf *reason)
{
	const struct inventory_link *link = inventory_link(b->inventory, c->subject + sizeof "link/" - 1);
	struct look *looks = mem_array(b->inventory->agents_count, sizeof *looks);
	struct sides sides = {0};

	for (size_t i = 0; link != NULL && i < b->inventory->checks_count; i++)
		if (strcmp(b->inventory->checks[i].subject, c->subject) == 0)
			look_through(b, b->inventory->checks[i].id, looks);
	if (link != NULL)
		count_sides(b, link, looks, &sides);
	free(looks);
	if (sides.above + sides.below < 2)
		return;
	if (sides.above > 0)
		buf_add_format(reason, "; not reached by %u of %u vantages above it", sides.above_failed, sides.above);
	if (sides.below > 0)
		buf_add_format(reason, "; reached by %u of %u vantages below it", sides.below_reached, sides.below);
}

/* What explains that some vantages do not reach a subject over that family; TOPOLOGY_NONE: all do, none does, or it is the subject. */
static uint32_t find_break(const struct book *b, const char *subject, enum family family)
{
	const struct topology *t = incidents_tree(b->incidents);
	struct topology_sight sights[SIGHTS];
	size_t count = plan_sights(b->verdict, t, subject, family, sights, SIGHTS), reached = 0;
	uint32_t where;

	for (size_t i = 0; i < count; i++)
		reached += sights[i].reached;
	if (reached == 0 || reached == count || topology_locate(t, sights, count, &where, 1) == 0 ||
		where == topology_find(t, subject))
		return TOPOLOGY_NONE;
	return where;
}

/* Of a site, or of an agent; NULL: it is neither. */
static const struct inventory_site *site_of(const struct book *b, const char *id)
{
	const struct inventory_agent *a = strncmp(id, "agent/", 6) == 0 ? inventory_agent(b->inventory, id + 6) : NULL;

	if (a != NULL)
		return a->of_site;
	return strncmp(id, "site/", 5) == 0 ? inventory_site(b->inventory, id + 5) : NULL;
}

/* Of what some vantages reach and others do not: where on their ways does it break? A whole site, or the vantage there, is its
 * link, where it has one. */
static void say_break(const struct book *b, const struct verdict_change *c, struct buf *reason)
{
	uint32_t where = find_break(b, c->subject, FAMILY_V4);
	const struct inventory_site *s;
	const char *id;

	if (where == TOPOLOGY_NONE)
		where = find_break(b, c->subject, FAMILY_V6);
	if (where == TOPOLOGY_NONE)
		return;
	id = topology_node(incidents_tree(b->incidents), where)->id;
	s = site_of(b, id);
	buf_add_format(reason, "; the way breaks at %s%s", s != NULL && s->up != NULL ? "link/" : "",
		s != NULL && s->up != NULL ? s->up->id : id);
}

static int step_state(struct book *b, const struct verdict_change *c, struct err *e)
{
	struct buf reason = {0};
	int rc;

	buf_add_text(&reason, c->reason);
	if ((c->faults & (FAULT_V4 | FAULT_V6)) != 0 && strncmp(c->subject, "link/", sizeof "link/" - 1) == 0)
		say_sides(b, c, &reason);
	else if (c->faults != 0)
		say_break(b, c, &reason);
	rc = step(b, &(struct incident_event){.kind = INCIDENT_STATE, .subject = c->subject, .state = c->state,
		.faults = c->faults, .since = c->since, .measured = b->now, .looked = b->looked, .reason = buf_text(&reason)}, e);
	buf_fini(&reason);
	return rc;
}

/* The silence of an agent is a fault of the agent. */
static int step_vantage(struct book *b, const struct verdict_change *c, struct err *e)
{
	char *subject = mem_format("agent/%s", c->vantage);
	int rc = step(b, &(struct incident_event){.kind = INCIDENT_STATE, .subject = subject,
		.state = c->is_silent ? STATE_DOWN : STATE_UP, .faults = c->is_silent ? FAULT_SILENT : 0, .since = c->since,
		.measured = b->now, .reason = c->reason}, e);

	free(subject);
	return rc;
}

static int step_monitoring(struct book *b, const char *subject, bool is_bad, const char *reason, struct err *e)
{
	return step(b, &(struct incident_event){.kind = INCIDENT_STATE, .subject = subject,
		.state = is_bad ? STATE_DOWN : STATE_UP, .faults = is_bad ? FAULT_OWN : 0, .since = b->now, .measured = b->now,
		.reason = reason}, e);
}

/* How far an agent's wall clock is off, as its batches show. */
static int judge_clock(struct book *b, const struct wire_envelope *v, struct err *e)
{
	char *subject = mem_format(MONITORING "clock-%s", v->agent);
	bool was_bad = incidents_state(b->incidents, subject) == STATE_DOWN;
	bool is_bad = clocks_take(b->clocks, v->agent, v->skew, b->now, was_bad);
	char reason[80] = "";
	int rc = 0;

	if (is_bad)
		snprintf(reason, sizeof reason, "the clock is %.1f s %s", fabs((double)v->skew) / 1e9, v->skew > 0 ? "ahead" : "behind");
	if (is_bad != was_bad)
		rc = step_monitoring(b, subject, is_bad, reason, e);
	free(subject);
	return rc;
}

/* After a plan: what the states are by it, where the ledger says something else. */
static int write_all(struct book *b, struct err *e)
{
	const struct verdict_subject *view;

	if (begin(b, e) < 0)
		return -1;
	for (size_t i = 0; (view = verdict_subject_at(b->verdict, i)) != NULL; i++) {
		if (ledger_current(b->ledger, view->id, FAMILY_NONE) != view->state &&
			write_state(b, view->id, FAMILY_NONE, view->state, b->now, view->reason, e) < 0)
			return -1;
		for (int f = 0; f < VERDICT_OWN; f++) {
			if (ledger_current(b->ledger, view->id, verdict_family(f)) != view->families[f] &&
				write_state(b, view->id, verdict_family(f), view->families[f], b->now, view->reason, e) < 0)
				return -1;
		}
	}
	return 0;
}

/* The incident core hears what the states are by the plan, where it knows otherwise. What no judged check asks for stays without
 * a state there, unless it had one. */
static int step_all(struct book *b, struct err *e)
{
	const struct verdict_subject *view;

	for (size_t i = 0; (view = verdict_subject_at(b->verdict, i)) != NULL; i++) {
		const struct incident_event event = {.kind = INCIDENT_STATE, .subject = view->id, .state = view->state,
			.faults = view->faults, .since = b->now, .measured = b->now, .reason = view->reason};

		if (view->measured == 0 && incidents_state(b->incidents, view->id) == STATE_NONE)
			continue;
		if (incidents_differ(b->incidents, &event) && step(b, &event, e) < 0)
			return -1;
	}
	return 0;
}

static bool is_asked(const struct inventory *inv, const char *agent)
{
	for (size_t i = 0; i < inv->checks_count; i++) {
		for (size_t k = 0; k < inv->checks[i].vantages.count; k++) {
			if (strcmp(inv->checks[i].vantages.items[k], agent) == 0)
				return true;
		}
	}
	return false;
}

/* An agent that has no check any more is not silent: nobody waits for it. */
static int step_unasked(struct book *b, struct err *e)
{
	for (size_t i = 0; i < b->inventory->agents_count; i++) {
		const char *agent = b->inventory->agents[i].id;
		char *subject = mem_format("agent/%s", agent);
		int rc = 0;

		if (incidents_state(b->incidents, subject) == STATE_DOWN && !is_asked(b->inventory, agent))
			rc = step(b, &(struct incident_event){.kind = INCIDENT_STATE, .subject = subject, .state = STATE_UP,
				.since = b->now, .measured = b->now, .reason = ""}, e);
		free(subject);
		if (rc < 0)
			return -1;
	}
	return 0;
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
	sqlite3_stmt *s = statement(b, RECORDS);
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

static bool is_compared(void *ctx, const char *check, uint32_t metric)
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
	usual_keep(b->usual, is_compared, b, b->now);
	if (write_all(b, e) < 0 || end_others(b, e) < 0 || take_intents(b, e) < 0 || step_all(b, e) < 0)
		return -1;
	return step_unasked(b, e);
}

/* ---- folding */

struct position book_cursor(const struct book *b)
{
	return b->committed;
}

int book_forget_journal(struct book *b, struct err *e)
{
	b->at = b->committed = (struct position){0, 0};
	if (begin(b, e) < 0)
		return -1;
	return run(b, statement(b, FORGET_LANDMARKS), "landmarks are not dropped", e);
}

static int write_changes(struct book *b, struct err *e)
{
	size_t count;
	const struct verdict_change *changes = verdict_changes(b->verdict, &count);
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++) {
		if (changes[i].what == VERDICT_PAST)
			rc = write_state(b, changes[i].subject, changes[i].family, changes[i].state, changes[i].since,
				changes[i].reason, e);
		else if (changes[i].what == VERDICT_SUBJECT)
			rc = write_subject(b, &changes[i], e) < 0 ? -1 : step_state(b, &changes[i], e);
		else if (changes[i].what == VERDICT_VANTAGE)
			rc = step_vantage(b, &changes[i], e);
	}
	verdict_clear(b->verdict);
	return rc;
}

/* The window that this evidence may change: of a failure it may be the attempt that confirms the ones before, it is believed
 * until the next one is overdue, and what came in time behind it was judged without it. It can be folded again when what
 * confirms its end has come. */
static int note_late(struct book *b, const struct inventory_check *c, int64_t measured, struct err *e)
{
	int64_t confirm = VOTE_ATTEMPTS * c->interval, until = measured + 2 * c->interval + confirm;
	int64_t quiet = b->now + BOOK_QUIET, confirmed = until + confirm + BOOK_QUIET;
	sqlite3_stmt *s = statement(b, ADD_LATE);

	b->counts.late++;
	sqlite3_bind_text(s, 1, c->subject, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(s, 2, measured - confirm);
	sqlite3_bind_int64(s, 3, until);
	sqlite3_bind_int64(s, 4, quiet > confirmed ? quiet : confirmed);
	return run(b, s, "late evidence is not noted", e);
}

/* Values with what is usual beside them, where a limit asks; then they become part of it. */
static void compare(struct book *b, const struct inventory_check *c, const char *vantage, const struct result *r, int64_t measured,
	struct verdict_value *values)
{
	bool teaches = r->outcome == OUTCOME_UP && b->now - measured <= 2 * c->interval;

	for (size_t i = 0; i < r->count; i++) {
		const struct usual_stream_id id = {r->check, vantage, r->part, r->family, r->values[i].metric};

		values[i] = (struct verdict_value){r->values[i].metric, r->values[i].number, NAN};
		if (c->limits.count == 0 || !is_compared(b, r->check, r->values[i].metric))
			continue;
		values[i].baseline = usual_of(b->usual, &id, measured);
		if (teaches)
			usual_take(b->usual, &id, r->values[i].number, measured);
	}
}

/* Of several like things it says which: an address stands with it anyway. */
static const char *reason_of(const struct result *r, char *out, size_t room)
{
	char part[PART_SHOWN + 1];

	if (r->reason[0] == '\0' || r->part[0] == '\0' || strcmp(r->part, r->address) == 0)
		return r->reason;
	snprintf(out, room, "%s: %s", text_clean(r->part, strlen(r->part), part, sizeof part), r->reason);
	return out;
}

static int fold_row(struct book *b, const struct wire_envelope *v, const struct result *r, bool is_now, struct err *e)
{
	const struct inventory_check *c = inventory_check(b->inventory, r->check);
	const struct verdict_subject *subject;
	struct verdict_value values[SAMPLE_VALUES_MAX];
	char reason[PART_SHOWN + sizeof ": " + SAMPLE_TEXT_MAX];
	enum verdict_evidence worth;
	int64_t measured;
	int rc;

	b->counts.results++;
	if (c == NULL || r->interval_s == 0)
		return 0;
	if (!wire_envelope_time(v, r->mono, &measured)) {
		b->counts.untimed++;
		return 0;
	}
	compare(b, c, v->agent, r, measured, values);
	worth = verdict_result(b->verdict, &(struct verdict_result){.check = r->check, .vantage = v->agent, .part = r->part,
		.reason = reason_of(r, reason, sizeof reason), .family = r->family, .outcome = r->outcome, .measured = measured,
		.count = r->count, .values = values}, b->now, &subject);
	/* One by one: what a change says of families is read from the state as it is then. */
	b->looked = measured;
	rc = write_changes(b, e);
	b->looked = 0;
	if (rc < 0)
		return -1;
	if (worth != EVIDENCE_NONE && step(b, &(struct incident_event){.kind = INCIDENT_SEEN, .subject = subject->id,
			.family = r->family, .is_up = worth == EVIDENCE_UP, .measured = measured}, e) < 0)
		return -1;
	if (!is_now && !c->anchor &&
		(b->now - measured > 2 * c->interval || measured + NS_PER_S <= *changed_of(b, c->subject)))
		return note_late(b, c, measured, e);
	return 0;
}

static bool is_refused(const struct wire_envelope *v, size_t row)
{
	for (size_t i = 0; i < v->refused_count; i++) {
		if (v->refused[i] == row)
			return true;
	}
	return false;
}

static int fold_rows(struct book *b, const struct wire_envelope *v, struct wire_rows *rows, bool is_now, struct err *e)
{
	for (size_t i = 0; i < wire_rows_count(rows); i++) {
		struct result r;
		uint64_t seq;

		wire_rows_next(rows, &r, &seq);
		if (!is_refused(v, i) && fold_row(b, v, &r, is_now, e) < 0)
			return -1;
	}
	return 0;
}

static int bind_and_run(struct book *b, enum statement which, int64_t time, struct err *e)
{
	sqlite3_stmt *s = statement(b, which);

	sqlite3_bind_int64(s, 1, time);
	return run(b, s, "what lay in the future is not dropped", e);
}

/* The clock was wrong, or is: nothing may lie in the future, where it would stand in the way until then. The cores see to what
 * they hold. */
static int turn_back(struct book *b, int64_t now, struct err *e)
{
	log_warn("the clock went back, judgement goes back with it seconds=%lld", (long long)((b->now - now) / NS_PER_S));
	map_free(b->changed, free);
	b->changed = map_new();
	usual_turn_back(b->usual, now);
	if (ledger_turn_back(b->ledger, now, e) < 0 || bind_and_run(b, TURN_LANDMARKS, now, e) < 0 ||
		bind_and_run(b, DROP_FUTURE_LATE, now, e) < 0)
		return -1;
	return bind_and_run(b, TURN_LATE, now + BOOK_QUIET, e);
}

/* Time goes on; what waited for a time is told now. An envelope has the time of its first byte and may have been long on its way
 * (stamped: false); back it goes only with what was stamped as it was appended, and by more than the cores take for disorder. */
static int set_now(struct book *b, int64_t now, bool stamped, struct err *e)
{
	if (now < b->now && (!stamped || b->now - now <= NS_PER_S))
		now = b->now;
	if (now < b->now && turn_back(b, now, e) < 0)
		return -1;
	b->now = now;
	if (b->was_opened)
		verdict_opened(b->verdict, now);
	b->was_opened = false;
	return 0;
}

static int fold_envelope(struct book *b, const struct journal_entry *entry, struct err *e)
{
	bool is_now = entry->kind == ENTRY_NOW;
	struct wire_batch *batch = NULL;
	struct wire_envelope *v;
	struct err words;
	int rc = 0;

	v = wire_envelope_decode(entry->payload, entry->len, &words);
	if (v != NULL)
		batch = is_now ? wire_now_decode(v->body, v->body_len, &words) : wire_batch_decode(v->body, v->body_len, &words);
	if (batch == NULL) {
		b->counts.undecodable++;
		log_error("an entry of the journal does not decode, it is passed over seq=%llu: %s",
			(unsigned long long)entry->at.seq, words.text);
	} else {
		rc = set_now(b, v->received_real, false, e);
		if (rc == 0)
			rc = fold_rows(b, v, batch->rows, is_now, e);
		if (rc == 0)
			rc = judge_clock(b, v, e);
	}
	wire_batch_free(batch);
	wire_envelope_free(v);
	return rc;
}

/* What our own processes say of themselves. */
static int fold_note(struct book *b, const struct journal_entry *entry, struct err *e)
{
	struct err words;
	struct wire_note *n = wire_note_decode(entry->payload, entry->len, &words);
	int rc = 0;

	if (n == NULL)
		b->counts.undecodable++;
	else if (strncmp(n->subject, MONITORING, sizeof MONITORING - 1) == 0)
		rc = step_monitoring(b, n->subject, n->is_bad, n->text, e);
	wire_note_free(n);
	return rc;
}

static int fold_known_request(struct book *b, struct position at, const struct wire_request *r, struct err *e)
{
	int rc = people_fold(b->people, b->incidents, b->ledger, at, r, b->now, e);

	b->counts.requests += rc == 1;
	if (rc < 0 || take_intents(b, e) < 0)
		return -1;
	return note_plans(b, b->now, e);
}

static int fold_request(struct book *b, const struct journal_entry *entry, struct err *e)
{
	struct err words;
	struct wire_request *r = wire_request_decode(entry->payload, entry->len, &words);
	int rc = 0;

	if (r == NULL) {
		b->counts.undecodable++;
		log_error("what somebody asked does not decode, it is passed over seq=%llu: %s",
			(unsigned long long)entry->at.seq, words.text);
	} else {
		rc = set_now(b, r->real, true, e) < 0 || turn_plans(b, e) < 0 ? -1 : fold_known_request(b, entry->at, r, e);
	}
	wire_request_free(r);
	return rc;
}

static int add_landmark(struct book *b, struct err *e)
{
	sqlite3_stmt *s = statement(b, ADD_LANDMARK);

	sqlite3_bind_int64(s, 1, b->now);
	sqlite3_bind_int64(s, 2, (int64_t)b->at.epoch);
	sqlite3_bind_int64(s, 3, (int64_t)b->at.seq);
	if (run(b, s, "a landmark is not kept", e) < 0)
		return -1;
	s = statement(b, DROP_LANDMARKS);
	sqlite3_bind_int64(s, 1, b->now - LANDMARKS_KEPT * LANDMARK_EVERY);
	b->landmark = b->now;
	return run(b, s, "landmarks are not dropped", e);
}

static int beat(struct book *b, struct err *e)
{
	if (b->now - b->beaten < OUTBOX_BEAT && b->now >= b->beaten)
		return 0;
	b->beaten = b->now;
	return outbox_beat(b->outbox, b->now, e);
}

static int fold_tick(struct book *b, const struct journal_entry *entry, struct err *e)
{
	struct cursor c = cursor_over(entry->payload, entry->len);
	int64_t now = (int64_t)cursor_u64(&c);

	if (c.failed || now <= 0 || now > WIRE_TIME_MAX) {
		b->counts.undecodable++;
		return 0;
	}
	if (set_now(b, now, true, e) < 0)
		return -1;
	verdict_tick(b->verdict, b->now);
	if (write_changes(b, e) < 0 || step(b, &(struct incident_event){.kind = INCIDENT_TICK}, e) < 0)
		return -1;
	if (beat(b, e) < 0)
		return -1;
	if (b->now - b->landmark >= LANDMARK_EVERY || b->now < b->landmark)
		return add_landmark(b, e);
	return 0;
}

int book_fold(struct book *b, const struct journal_entry *entry, struct err *e)
{
	int rc = 0;

	if (begin(b, e) < 0)
		return -1;
	b->counts.entries++;
	if (entry->kind == ENTRY_TICK)
		rc = fold_tick(b, entry, e);
	else if (entry->kind == ENTRY_BATCH || entry->kind == ENTRY_NOW)
		rc = fold_envelope(b, entry, e);
	else if (entry->kind == ENTRY_REQUEST)
		rc = fold_request(b, entry, e);
	else if (entry->kind == ENTRY_NOTE)
		rc = fold_note(b, entry, e);
	else if (entry->kind == ENTRY_OPEN)
		b->was_opened = true;
	if (rc < 0 || write_changes(b, e) < 0)
		return -1;
	b->at = entry->at;
	return 0;
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
	sqlite3_stmt *s = statement(b, PUT_RECORD);

	bind_key(s, c, key);
	sqlite3_bind_blob64(s, 2, data, len, SQLITE_TRANSIENT);
	if (!b->write_failed)
		b->write_failed = run(b, s, "a record is not kept", &b->failure) < 0;
	note_incident(c, key);
}

static void drop_record(void *ctx, const char *key)
{
	const struct core *c = ctx;
	struct book *b = c->book;
	sqlite3_stmt *s = statement(b, DROP_RECORD);

	bind_key(s, c, key);
	if (!b->write_failed)
		b->write_failed = run(b, s, "a record is not dropped", &b->failure) < 0;
	note_incident(c, key);
}

static int save_place(struct book *b, struct err *e)
{
	sqlite3_stmt *s = statement(b, SET_PLACE);

	sqlite3_bind_int64(s, 1, (int64_t)b->at.epoch);
	sqlite3_bind_int64(s, 2, (int64_t)b->at.seq);
	return run(b, s, "the place is not kept", e);
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
	sqlite3_stmt *s = statement(b, FIND_LATE);
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
	sqlite3_stmt *s = statement(b, FIND_LANDMARK);
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
	sqlite3_stmt *s = statement(b, DROP_LATE);

	if (begin(b, e) < 0 || (truth != NULL && replace_late(b, late, truth, e) < 0))
		return -1;
	sqlite3_bind_text(s, 1, late->subject, -1, SQLITE_TRANSIENT);
	return run(b, s, "late evidence is not settled", e);
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
