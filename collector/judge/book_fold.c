#include "collector/judge/book_parts.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/inventory.h"
#include "collector/judge/clocks.h"
#include "collector/judge/ledger.h"
#include "collector/judge/outbox.h"
#include "collector/judge/people.h"
#include "collector/judge/usual.h"
#include "collector/judge/verdict.h"
#include "lib/buf.h"
#include "lib/log.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/wire.h"

#define LANDMARK_EVERY (600 * NS_PER_S)
#define LANDMARKS_KEPT 10000 /* two months */
#define PART_SHOWN 64 /* bytes of its name in a reason */

/* ---- folding */

/* The window that this evidence may change: of a failure it may be the attempt that confirms the ones before, it is believed
 * until the next one is overdue, and what came in time behind it was judged without it. It can be folded again when what
 * confirms its end has come. */
static int note_late(struct book *b, const struct inventory_check *c, int64_t measured, struct err *e)
{
	int64_t confirm = VOTE_ATTEMPTS * c->interval, until = measured + 2 * c->interval + confirm;
	int64_t quiet = b->now + BOOK_QUIET, confirmed = until + confirm + BOOK_QUIET;
	sqlite3_stmt *s = book_statement(b, ADD_LATE);

	b->counts.late++;
	sqlite3_bind_text(s, 1, c->subject, -1, SQLITE_TRANSIENT);
	sqlite3_bind_int64(s, 2, measured - confirm);
	sqlite3_bind_int64(s, 3, until);
	sqlite3_bind_int64(s, 4, quiet > confirmed ? quiet : confirmed);
	return book_run(b, s, "late evidence is not noted", e);
}

/* Values with what is usual beside them, where a limit asks; then they become part of it. */
static void compare(struct book *b, const struct inventory_check *c, const char *vantage, const struct result *r, int64_t measured,
	struct verdict_value *values)
{
	bool teaches = r->outcome == OUTCOME_UP && b->now - measured <= 2 * c->interval;

	for (size_t i = 0; i < r->count; i++) {
		const struct usual_stream_id id = {r->check, vantage, r->part, r->family, r->values[i].metric};

		values[i] = (struct verdict_value){r->values[i].metric, r->values[i].number, NAN};
		if (c->limits.count == 0 || !book_is_compared(b, r->check, r->values[i].metric))
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
	rc = book_write_changes(b, e);
	b->looked = 0;
	if (rc < 0)
		return -1;
	if (worth != EVIDENCE_NONE && book_step(b, &(struct incident_event){.kind = INCIDENT_SEEN, .subject = subject->id,
			.family = r->family, .is_up = worth == EVIDENCE_UP, .measured = measured}, e) < 0)
		return -1;
	if (!is_now && !c->anchor &&
		(b->now - measured > 2 * c->interval || measured + NS_PER_S <= *book_changed(b, c->subject)))
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
	sqlite3_stmt *s = book_statement(b, which);

	sqlite3_bind_int64(s, 1, time);
	return book_run(b, s, "what lay in the future is not dropped", e);
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
		rc = book_step_monitoring(b, subject, is_bad, reason, e);
	free(subject);
	return rc;
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
		rc = book_step_monitoring(b, n->subject, n->is_bad, n->text, e);
	wire_note_free(n);
	return rc;
}

static int fold_known_request(struct book *b, struct position at, const struct wire_request *r, struct err *e)
{
	int rc = people_fold(b->people, b->incidents, b->ledger, at, r, b->now, e);

	b->counts.requests += rc == 1;
	if (rc < 0 || book_take_intents(b, e) < 0)
		return -1;
	return book_note_plans(b, b->now, e);
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
		rc = set_now(b, r->real, true, e) < 0 || book_turn_plans(b, e) < 0 ? -1 : fold_known_request(b, entry->at, r, e);
	}
	wire_request_free(r);
	return rc;
}

static int add_landmark(struct book *b, struct err *e)
{
	sqlite3_stmt *s = book_statement(b, ADD_LANDMARK);

	sqlite3_bind_int64(s, 1, b->now);
	sqlite3_bind_int64(s, 2, (int64_t)b->at.epoch);
	sqlite3_bind_int64(s, 3, (int64_t)b->at.seq);
	if (book_run(b, s, "a landmark is not kept", e) < 0)
		return -1;
	s = book_statement(b, DROP_LANDMARKS);
	sqlite3_bind_int64(s, 1, b->now - LANDMARKS_KEPT * LANDMARK_EVERY);
	b->landmark = b->now;
	return book_run(b, s, "landmarks are not dropped", e);
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
	if (book_write_changes(b, e) < 0 || book_step(b, &(struct incident_event){.kind = INCIDENT_TICK}, e) < 0)
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

	if (book_begin(b, e) < 0)
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
	if (rc < 0 || book_write_changes(b, e) < 0)
		return -1;
	b->at = entry->at;
	return 0;
}
