/*
 * ingest: takes what agents push, appends it to the journal, and answers when that is on disk.
 *
 * One sync covers all that came while the one before was under way: requests of one turn of the loop append, the sync
 * that they ask for runs behind them, and only then their answers go out. When a sync fails the answers are 503, what
 * was appended waits in memory for the next try, and agents ask again: the marks know those batches.
 */
#include <event2/buffer.h>
#include <event2/event.h>
#include <event2/http.h>
#include <inttypes.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/channel.h"
#include "collector/confine.h"
#include "collector/ingest_assign.h"
#include "collector/ingest_file.h"
#include "collector/ingest_marks.h"
#include "collector/ingest_metrics.h"
#include "collector/ingest_probes.h"
#include "collector/ingest_requests.h"
#include "collector/ingest_rights.h"
#include "collector/ingest_self.h"
#include "collector/ingest_server.h"
#include "collector/inventory.h"
#include "collector/process.h"
#include "collector/settings.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/ipc.h"
#include "lib/journal.h"
#include "lib/log.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/wire.h"

#define UNSYNCED_MAX (64u << 20) /* then agents are asked to wait */
#define SKEW_TOLD (5 * NS_PER_S)
#define TOLD_AGAIN (3600 * NS_PER_S) /* the same thing of the same agent */
/* Marks are saved when so much came behind the last ones: what a start has to replay. */
#define SNAPSHOT_ENTRIES 5000
#define SNAPSHOT_BYTES (8u << 20)
#define BOUND_EVERY_S 60
#define SAVE_AGAIN_S 5
#define LOOK_EVERY_S 60 /* at ourselves, and some seconds after the start */
#define LOOK_FIRST_S 3
#define UNREAD_MAX 4096 /* bytes of a channel: a view that does not read is told when it does */

enum note_kind { NOTE_CLONED, NOTE_FORGED, NOTE_SKEW, NOTE_UNASSIGNED, NOTE_KINDS };

static const struct {
	const char *word;
	bool damped;
} note_kinds[NOTE_KINDS] = {
	[NOTE_CLONED] = {"cloned-or-rolled-back", false},
	[NOTE_FORGED] = {"forged", true},
	[NOTE_SKEW] = {"skew", true},
	[NOTE_UNASSIGNED] = {"unassigned", true},
};

/* The processes that read what is synced, and under which name they must see all of it ("": they need not). */
static const struct {
	enum process_role role;
	const char *cursor;
} view_roles[] = {{PROCESS_SERIES, "series"}, {PROCESS_JUDGE, "judge"}, {PROCESS_WEB, ""},
	{PROCESS_NOTIFY, ""}};
#define VIEWS (sizeof view_roles / sizeof *view_roles)

struct view {
	struct ingest *ingest;
	const char *cursor;
	struct ipc *ipc; /* NULL: away */
	bool due; /* is to be told how far the journal is synced */
};

struct ingest {
	struct process *process;
	struct ingest_server *server;
	struct assign *assign;
	struct self *self;
	struct requests *requests; /* NULL: the parent has not given the socket yet */
	struct journal *journal;
	struct marks *marks;
	struct rights *rights;
	struct map *agents; /* of struct agent, made when one asks */
	struct view views[VIEWS]; /* as view_roles */
	struct event *sync, *tick;
	struct pending *pending; /* answers that wait for the next sync */
	size_t pending_count, pending_room;
	char *marks_path, *rights_path;
	uint64_t saved_seq; /* of the marks on disk */
	size_t unsaved_bytes; /* appended behind them */
	bool rights_unsaved, sync_failed;
	bool is_ending; /* the last sync is done: nothing more is taken */
	unsigned ticks;
	struct ingest_stats stats;
};

/* What is known of an agent while this process lives. */
struct agent {
	double tokens; /* batches that it may send now */
	int64_t filled; /* mono */
	int64_t told[NOTE_KINDS]; /* mono, 0: not */
	/* Checks that judgement wants run now: go with the next answer, until some time has passed. */
	struct probes probes;
};

struct pending {
	struct evhttp_request *request;
	struct wire_answer answer;
	struct agent *agent; /* whose batch it answers, or NULL */
};

/* ---- answers */

static void answer_words(struct evhttp_request *req, int status, const struct wire_answer *a)
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
	answer_words(req, status, &a);
}

static void ask_to_wait(struct ingest *in, struct evhttp_request *req, enum ingest_refusal kind, int status, int seconds)
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

/* ---- syncing */

static void tell_view(struct view *v, const struct buf *position)
{
	int unread = 0;

	if (v->ipc == NULL || !v->due)
		return;
	if (ioctl(ipc_fd(v->ipc), SIOCOUTQ, &unread) == 0 && unread > UNREAD_MAX)
		return;
	v->due = false;
	ipc_send(v->ipc, CHANNEL_SYNCED, 0, position->data, position->len, -1);
}

static void tell_views(struct ingest *in)
{
	struct buf b = {0};

	channel_position_encode(journal_synced(in->journal), &b);
	for (size_t i = 0; i < VIEWS; i++)
		tell_view(&in->views[i], &b);
	buf_fini(&b);
}

static void answer_synced(struct pending *p)
{
	if (p->agent != NULL)
		probes_take(&p->agent->probes, clock_mono(), &p->answer);
	answer_words(p->request, 200, &p->answer);
}

static void answer_pending(struct ingest *in, bool synced)
{
	for (size_t i = 0; i < in->pending_count; i++) {
		if (synced)
			answer_synced(&in->pending[i]);
		else
			ask_to_wait(in, in->pending[i].request, REFUSED_BUSY, 503, 2);
	}
	in->pending_count = 0;
}

static void sync_now(struct ingest *in)
{
	struct position before = journal_synced(in->journal);
	int64_t began = clock_mono();
	struct err e;
	bool synced = journal_sync(in->journal, &e) == 0;

	ingest_metrics_add_sync(&in->stats, (double)(clock_mono() - began) / 1e9);
	if (!synced) {
		in->stats.sync_failures++;
		log_error("cannot keep what agents send, they are asked to wait: %s", e.text);
	} else if (in->sync_failed) {
		log_info("the journal can be written again");
	}
	in->sync_failed = !synced;
	answer_pending(in, synced);
	if (in->requests != NULL)
		requests_synced(in->requests, in->journal);
	for (size_t i = 0; i < VIEWS && journal_synced(in->journal).seq != before.seq; i++)
		in->views[i].due = true;
	tell_views(in);
}

static void on_sync(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd, (void)what;
	sync_now(ctx);
}

/* ---- marks on disk */

static uint64_t boot_of(const struct wire_batch *b)
{
	return wire_rows_count(b->rows) > 0 ? wire_rows_boot(b->rows) : b->head.sent_boot;
}

static void save_marks(struct ingest *in)
{
	struct position at = journal_synced(in->journal);
	struct buf b = {0};
	struct err e;

	/* What is not synced is not in the journal yet: marks that run ahead of it must not be saved. */
	if (journal_unsynced_bytes(in->journal) > 0)
		return;
	marks_encode(in->marks, at, &b);
	if (ingest_file_write(in->marks_path, &b, &e) < 0)
		log_warn("marks are not saved, the next start takes longer: %s", e.text);
	/* Also when it failed: it is tried again after as much. */
	in->saved_seq = at.seq;
	in->unsaved_bytes = 0;
	buf_fini(&b);
}

static void replay_entry(struct ingest *in, const struct journal_entry *entry)
{
	struct wire_envelope *v;
	struct wire_batch *b;
	struct err e;

	in->unsaved_bytes += entry->len;
	if (entry->kind != ENTRY_BATCH)
		return;
	v = wire_envelope_decode(entry->payload, entry->len, &e);
	b = v != NULL ? wire_batch_decode(v->body, v->body_len, &e) : NULL;
	if (b == NULL) {
		log_error("an entry of the own journal does not decode seq=%" PRIu64 ": %s", entry->at.seq, e.text);
	} else {
		marks_take(in->marks, &b->head);
		if (!v->time_unknown)
			marks_set_offset(in->marks, v->agent, boot_of(b), v->offset);
	}
	wire_batch_free(b);
	wire_envelope_free(v);
}

/* Folds the journal behind `at` into the marks. -1: that position is not in the journal, or it cannot be read. */
static int replay(struct ingest *in, struct position at, struct err *e)
{
	struct journal_reader *r = journal_reader_open(journal_path(in->journal), at, e);
	struct journal_entry entry;
	int status;

	if (r == NULL)
		return -1;
	journal_reader_limit(r, journal_synced(in->journal));
	while ((status = journal_read_next(r, &entry, e)) == 1)
		replay_entry(in, &entry);
	journal_reader_close(r);
	return status;
}

/* 1 from disk, 0 there are none, -1. */
static int read_marks(struct ingest *in, struct position *at, struct err *e)
{
	struct position end = journal_synced(in->journal);
	struct buf b = {0};
	int status = ingest_file_read(in->marks_path, &b, e);

	if (status == 1) {
		in->marks = marks_decode(b.data, b.len, at, e);
		status = in->marks != NULL ? 1 : -1;
	}
	buf_fini(&b);
	if (status == 1 && at->seq > end.seq)
		return err_set(e, "marks are ahead of the journal, which lost its end");
	return status;
}

/* The marks, from those on disk or else from the whole journal. That it cannot be read whole is told; who serves with
 * what it knows asks agents for what they have, who does not serve loses what they cannot keep. */
static void load_marks(struct ingest *in)
{
	struct position at = {0, 0};
	struct err e;
	int status = read_marks(in, &at, &e);

	in->saved_seq = at.seq;
	if (status == 1 && replay(in, at, &e) == 0)
		return;
	if (status != 0)
		log_error("marks are made anew from the whole journal: %s", e.text);
	marks_free(in->marks);
	in->marks = marks_new();
	in->saved_seq = 0;
	if (replay(in, (struct position){0, 0}, &e) < 0)
		log_error("the own journal cannot be read to its end: %s", e.text);
}

/* ---- notes */

static void put(struct ingest *in, uint8_t kind, const struct buf *b)
{
	journal_append(in->journal, kind, b->data, b->len);
	in->unsaved_bytes += b->len;
}

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
	put(in, ENTRY_NOTE, &b);
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
	v.time_unknown = !marks_offset(in->marks, &b->head, boot_of(b), v.received_real, &v.offset);
	refused = judge_rows(in, a, b, &v);
	wire_envelope_encode(&v, &out);
	put(in, kind, &out);
	buf_fini(&out);
	free(refused);
	note_skew(in, a, v.agent, v.skew);
}

static void answer_expected(struct ingest *in, struct evhttp_request *req, struct position expected)
{
	struct wire_answer answer = {.expected = expected};

	in->stats.refused[REFUSED_EXPECTED]++;
	snprintf(answer.reason, sizeof answer.reason, "go on at %016" PRIx64 ":%" PRIu64, expected.epoch, expected.seq);
	answer_words(req, 409, &answer);
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
		ask_to_wait(in, req, REFUSED_LIMITED, 429, 5);
		return;
	}
	if (in->sync_failed || journal_unsynced_bytes(in->journal) > UNSYNCED_MAX) {
		ask_to_wait(in, req, REFUSED_BUSY, 503, 2);
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

static void on_request(void *ctx, struct evhttp_request *req, const char *identity)
{
	struct ingest *in = ctx;
	bool is_post = evhttp_request_get_command(req) == EVHTTP_REQ_POST;
	const char *path = evhttp_request_get_uri(req);

	if (inventory_agent(process_inventory(in->process), identity) == NULL) {
		log_warn("a client has a certificate of ours but is not in the inventory agent=%s", identity);
		refuse(in, req, REFUSED_STRANGER, 403, "this agent is not in the inventory");
	} else if (in->is_ending) {
		ask_to_wait(in, req, REFUSED_BUSY, 503, 2);
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

/* ---- what people ask */

static int take_request(void *ctx, const struct wire_request *r, uint64_t *seq, struct err *e)
{
	struct ingest *in = ctx;
	struct buf b = {0};

	if (in->sync_failed)
		return err_set(e, "the journal cannot be written just now: nothing is kept, ask again");
	if (in->is_ending)
		return err_set(e, "the collector is ending: nothing is kept, ask again");
	wire_request_encode(r, &b);
	put(in, ENTRY_REQUEST, &b);
	buf_fini(&b);
	*seq = journal_end(in->journal).seq;
	in->stats.requests++;
	log_info("somebody asks kind=%d author=\"%s\" uid=%u", r->kind, r->author, r->uid);
	event_active(in->sync, EV_TIMEOUT, 0);
	return 0;
}

static void on_requests(void *ctx, int fd)
{
	struct ingest *in = ctx;

	requests_free(in->requests);
	in->requests = requests_new(process_base(in->process), fd, take_request, in);
}

/* ---- peers */

static void write_metrics(const struct ingest *in, struct buf *out)
{
	struct ingest_server_stats server;
	struct journal_stats journal;

	ingest_server_stats(in->server, &server);
	journal_stats(in->journal, &journal);
	ingest_metrics_write(&in->stats, &server, &journal, out);
}

/* How far a view that must see all is done. -1: it is not that one, or is nowhere. */
static int take_passed(struct ingest *in, const struct view *v, const struct ipc_message *m)
{
	struct position at, before = {0, 0};
	char view[32];

	if (channel_passed_decode(m->body, m->len, view, &at) < 0 || view[0] == '\0' || strcmp(view, v->cursor) != 0 ||
		at.seq > journal_synced(in->journal).seq)
		return -1;
	if (!journal_cursor_get(in->journal, view, &before) || at.seq > before.seq)
		journal_cursor_set(in->journal, view, at);
	return 0;
}

/* One of its checks for an agent that has come; more than fit are left out. */
static int take_probe(struct ingest *in, const struct view *v, const struct ipc_message *m)
{
	char id[SAMPLE_ID_MAX + 1], check[SAMPLE_ID_MAX + 1];
	const struct inventory_check *c;
	struct agent *a;
	bool is_its = false;

	if (strcmp(v->cursor, "judge") != 0 || channel_probe_decode(m->body, m->len, id, check) < 0)
		return -1;
	a = map_find(in->agents, id);
	c = inventory_check(process_inventory(in->process), check);
	for (size_t i = 0; c != NULL && i < c->vantages.count; i++)
		is_its |= strcmp(c->vantages.items[i], id) == 0;
	if (a != NULL && is_its && probes_add(&a->probes, check, clock_mono()))
		in->stats.probes++;
	return 0;
}

/* How delivery is; it goes where the rest of that goes. While nothing can be written it is not heard, and told again later. */
static int take_note(struct ingest *in, const struct view *v, const struct ipc_message *m)
{
	const char *words;
	size_t len;
	char text[SAMPLE_TEXT_MAX + 1];
	uint8_t matter;
	bool is_bad;

	if (v != &in->views[VIEWS - 1] || channel_note_decode(m->body, m->len, &matter, &is_bad, &words, &len) < 0 ||
		(matter != SELF_NOTICE && matter != SELF_BEAT && matter != SELF_COMMANDS))
		return -1;
	if (!in->sync_failed)
		self_hear(in->self, (enum self_matter)matter, is_bad, text_clean(words, len, text, sizeof text));
	return 0;
}

static bool is_good_message(struct ingest *in, const struct view *v, const struct ipc_message *m)
{
	switch (m->type) {
	case CHANNEL_PROBE:
		return take_probe(in, v, m) == 0;
	case CHANNEL_NOTE:
		return take_note(in, v, m) == 0;
	case CHANNEL_PASSED:
		return take_passed(in, v, m) == 0;
	default:
		return false;
	}
}

static void view_close(struct view *v)
{
	ipc_free(v->ipc);
	v->ipc = NULL;
}

static void on_view_message(void *ctx, struct ipc_message *m)
{
	struct view *v = ctx;
	struct ingest *in = v->ingest;
	struct buf b = {0};

	if (m->fd >= 0)
		close(m->fd);
	if (m->type == CHANNEL_METRICS) {
		write_metrics(in, &b);
		ipc_send(v->ipc, CHANNEL_METRICS_TEXT, m->id, b.data, b.len, -1);
	} else if (!is_good_message(in, v, m)) {
		log_error("a view sends what it may not, its channel is closed type=%u", m->type);
		view_close(v);
	}
	buf_fini(&b);
}

static void on_view_gone(void *ctx, const char *why)
{
	log_debug("a view is gone why=\"%s\"", why);
	view_close(ctx);
}

static void on_peer(void *ctx, enum process_role role, int fd)
{
	struct ingest *in = ctx;
	struct view *v = NULL;

	for (size_t i = 0; i < VIEWS; i++) {
		if (view_roles[i].role == role)
			v = &in->views[i];
	}
	if (v == NULL) {
		close(fd);
		return;
	}
	view_close(v);
	v->ipc = ipc_new(fd);
	v->due = true;
	ipc_start(v->ipc, process_base(in->process), on_view_message, on_view_gone, v);
	tell_views(in);
}

/* ---- life */

static void save_rights(struct ingest *in)
{
	struct err e;

	if (!in->rights_unsaved)
		return;
	if (rights_save(in->rights, in->rights_path, &e) < 0)
		log_error("what agents are assigned is not kept: %s", e.text);
	else
		in->rights_unsaved = false;
}

static void note_rights(struct ingest *in)
{
	in->rights_unsaved |= rights_note(in->rights, process_inventory(in->process));
	save_rights(in);
}

static void on_reload(void *ctx)
{
	struct ingest *in = ctx;
	struct err e;

	note_rights(in);
	if (ingest_server_reload(in->server, &process_settings(in->process)->ingest, &e) < 0)
		log_error("%s: the old certificates stay", e.text);
	assign_reload(in->assign, process_inventory(in->process));
}

static void on_stop(void *ctx)
{
	struct ingest *in = ctx;

	in->is_ending = true;
	assign_free(in->assign);
	in->assign = NULL;
	sync_now(in);
	save_marks(in);
	process_end(in->process, 0);
}

static void bound_journal(struct ingest *in)
{
	struct err e;

	save_marks(in); /* they must not need what goes */
	if (journal_bound(in->journal, clock_real(), &e) < 0)
		log_warn("the journal cannot be bounded: %s", e.text);
}

/* ---- how we are */

static void note_self(void *ctx, enum self_matter m, bool is_bad, const char *words)
{
	struct ingest *in = ctx;
	char text[SAMPLE_TEXT_MAX + 1];
	struct buf b = {0};

	if (is_bad)
		log_error("the monitoring itself is not well subject=%s: %s", self_subject(m), words);
	text_clean(words, strlen(words), text, sizeof text);
	wire_note_encode(&(struct wire_note){.agent = "", .word = "", .text = text, .real = clock_real(),
		.subject = self_subject(m), .is_bad = is_bad}, &b);
	put(in, ENTRY_NOTE, &b);
	buf_fini(&b);
}

static void look_at_self(struct ingest *in)
{
	const struct settings *s = process_settings(in->process);
	struct position passed = {0, 0};

	/* While nothing can be written the note would wait in memory; that it cannot is seen at the next look. */
	if (in->sync_failed)
		return;
	journal_cursor_get(in->journal, "series", &passed);
	self_look(in->self, journal_path(in->journal), s->ingest.tls.certificate, passed.seq, journal_synced(in->journal).seq,
		clock_mono());
}

/* Every second: time goes on in the log too. */
static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
	struct ingest *in = ctx;
	struct buf now = {0};

	(void)fd, (void)what;
	/* While nothing can be written one tick more would only fill memory. */
	if (!in->sync_failed) {
		buf_add_u64(&now, (uint64_t)clock_real());
		put(in, ENTRY_TICK, &now);
		buf_fini(&now);
	}
	sync_now(in);
	if (journal_synced(in->journal).seq - in->saved_seq >= SNAPSHOT_ENTRIES || in->unsaved_bytes > SNAPSHOT_BYTES)
		save_marks(in);
	if (++in->ticks % BOUND_EVERY_S == 0)
		bound_journal(in);
	if (in->ticks % LOOK_EVERY_S == LOOK_FIRST_S)
		look_at_self(in);
	if (in->ticks % SAVE_AGAIN_S == 0)
		save_rights(in);
}

static bool is_kept(uint8_t kind)
{
	return kind != ENTRY_BATCH && kind != ENTRY_NOW && kind != ENTRY_TICK && kind != ENTRY_OPEN;
}

static int open_state(struct ingest *in, struct err *e)
{
	const struct settings *s = process_settings(in->process);
	struct journal_options options = {.segment_bytes = s->journal.segment_bytes,
		.max_bytes = s->journal.max_bytes, .max_age = s->journal.max_age, .is_kept = is_kept};
	char *folder = mem_format("%s/ingest", s->state), *journal = mem_format("%s/journal", s->state);

	mkdir(s->state, 0700);
	mkdir(folder, 0700);
	in->marks_path = mem_format("%s/marks", folder);
	in->rights_path = mem_format("%s/rights", folder);
	in->journal = journal_open(journal, &options, e);
	free(folder);
	free(journal);
	if (in->journal == NULL)
		return -1;
	load_marks(in);
	in->rights = rights_load(in->rights_path);
	note_rights(in);
	return 0;
}

static void on_agent(void *ctx, const char *agent, int64_t from, int64_t until)
{
	struct ingest *in = ctx;

	if (in->self != NULL && inventory_agent(process_inventory(in->process), agent) != NULL)
		self_see(in->self, agent, from, until);
}

static void start(struct ingest *in)
{
	static const struct process_events events = {on_peer, on_reload, on_stop, on_requests};
	struct event_base *base = process_base(in->process);
	struct timeval second = {1, 0};

	in->self = self_new(note_self, in);
	ingest_server_on_agent(in->server, on_agent);
	in->assign = assign_new(base, process_inventory(in->process));
	in->sync = event_new(base, -1, 0, on_sync, in);
	in->tick = event_new(base, -1, EV_PERSIST, on_tick, in);
	event_add(in->tick, &second);
	process_on(in->process, &events, in);
	sync_now(in);
	process_ready(in->process);
}

/* When the addresses are bound. What TLS needs is read once more: what the user cannot read is told now, not at
 * a reload. */
static int confine(struct ingest *in, struct err *e)
{
	const struct settings *s = process_settings(in->process);

	if (confine_ingest(s, e) < 0)
		return -1;
	return ingest_server_reload(in->server, &s->ingest, e);
}

/* The server turns the loop once more while it goes, in which nobody else may be heard: what they would find goes as well. */
static void hear_nobody(struct ingest *in)
{
	static const struct process_events none;

	process_on(in->process, &none, NULL);
	for (size_t i = 0; i < VIEWS; i++)
		view_close(&in->views[i]);
	if (in->sync != NULL)
		event_free(in->sync);
	if (in->tick != NULL)
		event_free(in->tick);
	requests_free(in->requests);
}

int ingest_run(struct process *process)
{
	struct ingest in = {.process = process, .agents = map_new()};
	struct err e;
	int status = 1;

	for (size_t i = 0; i < VIEWS; i++)
		in.views[i] = (struct view){.ingest = &in, .cursor = view_roles[i].cursor};
	in.server = ingest_server_new(process_base(process), &process_settings(process)->ingest, on_request, &in, &e);
	if (in.server != NULL && confine(&in, &e) == 0 && open_state(&in, &e) == 0) {
		start(&in);
		status = process_loop(process);
	} else {
		log_error("%s", e.text);
	}
	hear_nobody(&in);
	assign_free(in.assign);
	ingest_server_free(in.server);
	self_free(in.self);
	journal_close(in.journal);
	marks_free(in.marks);
	rights_free(in.rights);
	map_free(in.agents, free);
	free(in.pending);
	free(in.marks_path);
	free(in.rights_path);
	return status;
}
