#include "collector/ingest_parts.h"

#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/ingest_assign.h"
#include "collector/ingest_marks.h"
#include "collector/ingest_rights.h"
#include "collector/ingest_server.h"
#include "collector/inventory.h"
#include "collector/settings.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/journal.h"
#include "lib/log.h"
#include "lib/map.h"
#include "lib/mem.h"

#define UNSYNCED_MAX (64u << 20) /* then agents are asked to wait */
#define SKEW_TOLD (5 * NS_PER_S)
#define TOLD_AGAIN (3600 * NS_PER_S) /* the same thing of the same agent */

static const struct {
	const char *word;
	bool damped;
} note_kinds[NOTE_KINDS] = {
	[NOTE_CLONED] = {"cloned-or-rolled-back", false},
	[NOTE_FORGED] = {"forged", true},
	[NOTE_SKEW] = {"skew", true},
	[NOTE_UNASSIGNED] = {"unassigned", true},
};

/* ---- answers */

void ingest_answer(struct evhttp_request *req, int status, const struct wire_answer *a)
{
	struct buf b = {0};

	wire_answer_encode(a, &b);
	ingest_server_answer(req, status, b.data, b.len, 0);
	buf_fini(&b);
}

static void refuse(struct ingest *in, struct evhttp_request *req, enum ingest_refusal kind, int status, const char *why)
{
	struct wire_answer a = {.durable = 0};

	in->stats.refused[kind]++;
	text_clean(why, strlen(why), a.reason, sizeof a.reason);
	ingest_answer(req, status, &a);
}

void ingest_ask_to_wait(struct ingest *in, struct evhttp_request *req, enum ingest_refusal kind, int status, int seconds)
{
	in->stats.refused[kind]++;
	ingest_server_answer(req, status, NULL, 0, seconds);
}

static void answer_after_sync(struct ingest *in, struct agent *agent, struct evhttp_request *req, const struct wire_answer *a)
{
	if (in->pending_count == in->pending_room) {
		in->pending_room = in->pending_room == 0 ? 64 : in->pending_room * 2;
		in->pending = mem_resize(in->pending, in->pending_room, sizeof *in->pending);
	}
	in->pending[in->pending_count++] = (struct pending){req, *a, agent};
	event_active(in->sync, EV_TIMEOUT, 0);
}

/* ---- notes */

static void note(struct ingest *in, struct agent *a, const char *id, enum note_kind kind, const char *text)
{
	struct buf b = {0};
	int64_t now = clock_mono();

	if (note_kinds[kind].damped && a->told[kind] != 0 && now - a->told[kind] < TOLD_AGAIN)
		return;
	a->told[kind] = now;
	log_warn("note about an agent agent=%s word=%s text=\"%s\"", id, note_kinds[kind].word, text);
	wire_note_encode(&(struct wire_note){.agent = id, .word = note_kinds[kind].word, .text = text, .real = clock_real(),
		.subject = ""}, &b);
	ingest_put(in, ENTRY_NOTE, &b);
	buf_fini(&b);
	in->stats.notes++;
}

static void note_cloned(struct ingest *in, struct agent *a, const struct wire_batch_head *h)
{
	char text[SAMPLE_TEXT_MAX + 1];

	snprintf(text, sizeof text, "epoch %016" PRIx64 " begins at %" PRIu64 ", behind %016" PRIx64 ":%" PRIu64
		": the state folder was cloned or put back", h->epoch, h->first, h->previous.epoch, h->previous.seq);
	note(in, a, h->agent, NOTE_CLONED, text);
}

static void note_skew(struct ingest *in, struct agent *a, const char *id, int64_t skew)
{
	char text[96];

	if (llabs(skew) <= SKEW_TOLD)
		return;
	snprintf(text, sizeof text, "wall clock is %.1f s %s ours", (double)llabs(skew) / 1e9,
		skew > 0 ? "ahead of" : "behind");
	note(in, a, id, NOTE_SKEW, text);
}

static void note_unassigned(struct ingest *in, struct agent *a, const char *id, const struct result *r)
{
	char text[SAMPLE_TEXT_MAX + 1];

	snprintf(text, sizeof text, "reports check %s of generation %" PRIu64 ", which it is not assigned", r->check,
		r->generation);
	note(in, a, id, NOTE_UNASSIGNED, text);
}

/* ---- batches */

/* Counts the rows; those that the agent may not report go into v->refused, ascending; the caller frees. */
static uint32_t *judge_rows(struct ingest *in, struct agent *a, struct wire_batch *b, struct wire_envelope *v)
{
	const struct inventory *inv = process_inventory(in->process);
	size_t rows = wire_rows_count(b->rows);
	uint32_t *refused = NULL;
	struct result r;

	for (size_t i = 0; i < rows; i++) {
		uint64_t seq;
		int64_t real;

		wire_rows_next(b->rows, &r, &seq);
		in->stats.values += r.count;
		in->stats.untimed += !wire_envelope_time(v, r.mono, &real);
		if (rights_allow(in->rights, inv, b->head.agent, r.generation, r.check))
			continue;
		if (refused == NULL) {
			refused = mem_array(rows, sizeof *refused);
			note_unassigned(in, a, b->head.agent, &r);
		}
		refused[v->refused_count++] = (uint32_t)i;
	}
	in->stats.results += rows;
	in->stats.unassigned += v->refused_count;
	v->refused = refused;
	return refused;
}

static void append(struct ingest *in, struct agent *a, struct evhttp_request *req, uint8_t kind, struct wire_batch *b,
	const struct buf *body)
{
	struct wire_envelope v = {.agent = b->head.agent, .received_real = ingest_server_received(req),
		.body = body->data, .body_len = body->len};
	struct buf out = {0};
	uint32_t *refused;

	v.skew = b->head.sent_real - v.received_real;
	v.time_unknown = !marks_offset(in->marks, &b->head, ingest_boot(b), v.received_real, &v.offset);
	refused = judge_rows(in, a, b, &v);
	wire_envelope_encode(&v, &out);
	ingest_put(in, kind, &out);
	buf_fini(&out);
	free(refused);
	note_skew(in, a, v.agent, v.skew);
}

static void answer_expected(struct ingest *in, struct evhttp_request *req, struct position expected)
{
	struct wire_answer answer = {.expected = expected};

	in->stats.refused[REFUSED_EXPECTED]++;
	snprintf(answer.reason, sizeof answer.reason, "go on at %016" PRIx64 ":%" PRIu64, expected.epoch, expected.seq);
	ingest_answer(req, 409, &answer);
}

static void take_batch(struct ingest *in, struct agent *a, struct evhttp_request *req, struct wire_batch *b,
	const struct buf *body)
{
	struct wire_answer answer = {.accepted = {b->head.epoch, b->head.last}, .durable = b->head.last};
	struct position expected;

	switch (marks_judge(in->marks, &b->head, &expected)) {
	case MARKS_EXPECTED:
		answer_expected(in, req, expected);
		return;
	case MARKS_DUPLICATE:
		/* Perhaps it was appended in this very turn: its sync comes first all the same. */
		in->stats.duplicates++;
		answer_after_sync(in, a, req, &answer);
		return;
	case MARKS_ODD:
		in->stats.cloned++;
		note_cloned(in, a, &b->head);
		break;
	case MARKS_TAKE:
		break;
	}
	append(in, a, req, ENTRY_BATCH, b, body);
	marks_take(in->marks, &b->head);
	in->stats.batches++;
	in->stats.entries += b->head.last - b->head.first + 1;
	answer_after_sync(in, a, req, &answer);
}

static void take_now(struct ingest *in, struct agent *a, struct evhttp_request *req, struct wire_batch *b,
	const struct buf *body)
{
	struct wire_answer answer = {.accepted = {b->head.epoch, 0}};

	append(in, a, req, ENTRY_NOW, b, body);
	in->stats.nows++;
	answer_after_sync(in, NULL, req, &answer);
}

/* ---- requests */

static struct agent *need_agent(struct ingest *in, const char *id)
{
	struct agent *a = map_find(in->agents, id);

	if (a == NULL) {
		a = mem_alloc(sizeof *a);
		map_set(in->agents, id, a);
	}
	return a;
}

/* A bucket that fills at the allowed rate and holds ten seconds of it. */
static bool may_send(struct ingest *in, struct agent *a)
{
	double rate = (double)process_settings(in->process)->ingest.batches_per_minute / 60;
	int64_t now = clock_mono();
	double room = rate * 10 > 4 ? rate * 10 : 4;

	a->tokens = a->filled == 0 ? room : a->tokens + rate * (double)(now - a->filled) / 1e9;
	a->filled = now;
	if (a->tokens > room)
		a->tokens = room;
	if (a->tokens < 1)
		return false;
	a->tokens -= 1;
	return true;
}

static int read_body(struct evhttp_request *req, struct buf *out, struct err *e)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(req);
	const char *encoding = evhttp_find_header(evhttp_request_get_input_headers(req), "Content-Encoding");
	size_t len = evbuffer_get_length(in);

	if (encoding == NULL || strcmp(encoding, "zstd") != 0)
		return err_set(e, "Content-Encoding must be zstd");
	if (len == 0)
		return err_set(e, "the body is empty");
	return wire_decompress(evbuffer_pullup(in, -1), len, out, e);
}

static void on_push(struct ingest *in, struct evhttp_request *req, const char *identity, bool is_now)
{
	struct agent *a = need_agent(in, identity);
	struct wire_batch *b = NULL;
	struct buf body = {0};
	struct err e;

	if (!may_send(in, a)) {
		ingest_ask_to_wait(in, req, REFUSED_LIMITED, 429, 5);
		return;
	}
	if (in->sync_failed || journal_unsynced_bytes(in->journal) > UNSYNCED_MAX) {
		ingest_ask_to_wait(in, req, REFUSED_BUSY, 503, 2);
		return;
	}
	if (read_body(req, &body, &e) == 0)
		b = is_now ? wire_now_decode(body.data, body.len, &e) : wire_batch_decode(body.data, body.len, &e);
	if (b == NULL) {
		log_warn("a batch is not understood agent=%s: %s", identity, e.text);
		refuse(in, req, REFUSED_MALFORMED, 400, e.text);
	} else if (strcmp(b->head.agent, identity) != 0) {
		note(in, a, identity, NOTE_FORGED, "sent a batch in another's name");
		refuse(in, req, REFUSED_FORGED, 403, "the batch is in another's name");
	} else if (is_now) {
		take_now(in, a, req, b, &body);
	} else {
		take_batch(in, a, req, b, &body);
	}
	wire_batch_free(b);
	buf_fini(&body);
}

void ingest_request(void *ctx, struct evhttp_request *req, const char *identity)
{
	struct ingest *in = ctx;
	bool is_post = evhttp_request_get_command(req) == EVHTTP_REQ_POST;
	const char *path = evhttp_request_get_uri(req);

	if (inventory_agent(process_inventory(in->process), identity) == NULL) {
		log_warn("a client has a certificate of ours but is not in the inventory agent=%s", identity);
		refuse(in, req, REFUSED_STRANGER, 403, "this agent is not in the inventory");
	} else if (in->is_ending) {
		ingest_ask_to_wait(in, req, REFUSED_BUSY, 503, 2);
	} else if (is_post && strcmp(path, "/v1/batch") == 0) {
		on_push(in, req, identity, false);
	} else if (is_post && strcmp(path, "/v1/now") == 0) {
		on_push(in, req, identity, true);
	} else if (!is_post && strcmp(path, "/v1/assignments") == 0) {
		assign_ask(in->assign, req, identity);
	} else {
		refuse(in, req, REFUSED_PATH, 404, "there is nothing here");
	}
}
