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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/channel.h"
#include "collector/ingest_file.h"
#include "collector/ingest_marks.h"
#include "collector/ingest_rights.h"
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
#define SNAPSHOT_ENTRIES 5000
#define WAIT_MAX_S 60
#define BOUND_EVERY_S 60

struct ingest {
	struct process *process;
	struct ingest_server *server;
	struct journal *journal;
	struct marks *marks;
	struct rights *rights;
	struct map *agents; /* of struct agent, made when one asks */
	struct ipc *series, *web;
	struct event *sync, *tick;
	struct pending *pending; /* answers that wait for the next sync */
	size_t pending_count, pending_room;
	struct waiter *waiters;
	char *marks_path, *rights_path;
	uint64_t snapshot_seq; /* of the marks on disk */
	unsigned ticks;
	bool sync_failed;
	struct {
		uint64_t batches, rows, values, nows, duplicates, expected, odd, refused_rows, malformed, forbidden,
			limited, busy, notes, sync_failures;
		double sync_seconds;
	} stats;
};

/* What is known of an agent while this process lives. */
struct agent {
	double tokens; /* batches that it may send now */
	int64_t filled; /* mono */
	int64_t skew_told; /* mono, 0: not */
};

struct pending {
	struct evhttp_request *request;
	struct wire_answer answer;
};

/* An agent that waits for other assignments. */
struct waiter {
	struct waiter *next;
	struct ingest *ingest;
	struct evhttp_request *request;
	struct event *timer;
	char agent[SAMPLE_ID_MAX + 1];
	uint64_t generation;
};

/* ---- answers */

static void answer_words(struct evhttp_request *req, int status, const struct wire_answer *a)
{
	struct buf b = {0};

	wire_answer_encode(a, &b);
	ingest_server_answer(req, status, b.data, b.len, 0);
	buf_fini(&b);
}

static void answer_refusal(struct evhttp_request *req, int status, const char *why)
{
	struct wire_answer a = {.durable = 0};

	snprintf(a.reason, sizeof a.reason, "%s", why);
	answer_words(req, status, &a);
}

static void answer_after_sync(struct ingest *in, struct evhttp_request *req, const struct wire_answer *a)
{
	if (in->pending_count == in->pending_room) {
		in->pending_room = in->pending_room == 0 ? 64 : in->pending_room * 2;
		in->pending = mem_resize(in->pending, in->pending_room, sizeof *in->pending);
	}
	in->pending[in->pending_count++] = (struct pending){req, *a};
	event_active(in->sync, EV_TIMEOUT, 0);
}

/* ---- syncing */

static void tell_views(struct ingest *in)
{
	struct buf b = {0};

	channel_position_encode(journal_synced(in->journal), &b);
	if (in->series != NULL)
		ipc_send(in->series, CHANNEL_SYNCED, 0, b.data, b.len, -1);
	if (in->web != NULL)
		ipc_send(in->web, CHANNEL_SYNCED, 0, b.data, b.len, -1);
	buf_fini(&b);
}

static void answer_pending(struct ingest *in, bool synced)
{
	for (size_t i = 0; i < in->pending_count; i++) {
		if (synced)
			answer_words(in->pending[i].request, 200, &in->pending[i].answer);
		else
			ingest_server_answer(in->pending[i].request, 503, NULL, 0, 2);
	}
	in->stats.busy += synced ? 0 : in->pending_count;
	in->pending_count = 0;
}

static void sync_now(struct ingest *in)
{
	struct position before = journal_synced(in->journal);
	int64_t began = clock_mono();
	struct err e;
	bool synced = journal_sync(in->journal, &e) == 0;

	in->stats.sync_seconds += (double)(clock_mono() - began) / 1e9;
	if (!synced) {
		in->stats.sync_failures++;
		log_error("cannot keep what agents send, they are asked to wait: %s", e.text);
	} else if (in->sync_failed) {
		log_info("the journal can be written again");
	}
	in->sync_failed = !synced;
	answer_pending(in, synced);
	if (synced && journal_synced(in->journal).seq != before.seq)
		tell_views(in);
}

static void on_sync(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd, (void)what;
	sync_now(ctx);
}

/* ---- marks on disk */

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
	else
		in->snapshot_seq = at.seq;
	buf_fini(&b);
}

static void replay_entry(struct ingest *in, const struct journal_entry *entry)
{
	struct wire_envelope *v;
	struct wire_batch *b;
	struct err e;

	if (entry->kind != ENTRY_BATCH)
		return;
	v = wire_envelope_decode(entry->payload, entry->len, &e);
	b = v != NULL ? wire_batch_decode(v->body, v->body_len, &e) : NULL;
	if (b == NULL) {
		log_error("an entry of the own journal does not decode seq=%" PRIu64 ": %s", entry->at.seq, e.text);
	} else {
		marks_take(in->marks, &b->head);
		if (!v->time_unknown)
			marks_set_offset(in->marks, v->agent, wire_rows_boot(b->rows), v->offset);
	}
	wire_batch_free(b);
	wire_envelope_free(v);
}

/* Folds the journal behind `at` into the marks. -1: that position is not in the journal. */
static int replay(struct ingest *in, const char *folder, struct position at, struct err *e)
{
	struct journal_reader *r = journal_reader_open(folder, at, e);
	struct journal_entry entry;
	int status;

	if (r == NULL)
		return -1;
	while ((status = journal_read_next(r, &entry, e)) == 1)
		replay_entry(in, &entry);
	journal_reader_close(r);
	return status;
}

static int load_marks(struct ingest *in, const char *folder, struct err *e)
{
	struct position at = {0, 0};
	struct buf b = {0};
	int status = ingest_file_read(in->marks_path, &b, e);

	if (status == 1)
		in->marks = marks_decode(b.data, b.len, &at, e);
	buf_fini(&b);
	if (in->marks != NULL && replay(in, folder, at, e) == 0)
		return 0;
	if (status != 0)
		log_error("%s: marks are made anew from the whole journal", e->text);
	marks_free(in->marks);
	in->marks = marks_new();
	return replay(in, folder, (struct position){0, 0}, e);
}

/* ---- notes */

static void note(struct ingest *in, const char *agent, const char *word, const char *text)
{
	struct buf b = {0};

	log_warn("note about an agent agent=%s word=%s text=\"%s\"", agent, word, text);
	wire_note_encode(agent, word, text, clock_real(), &b);
	journal_append(in->journal, ENTRY_NOTE, b.data, b.len);
	buf_fini(&b);
	in->stats.notes++;
}

static void note_odd(struct ingest *in, const struct wire_batch_head *h)
{
	char text[SAMPLE_TEXT_MAX + 1];

	snprintf(text, sizeof text, "epoch %016" PRIx64 " begins at %" PRIu64 ", behind %016" PRIx64 ":%" PRIu64
		": the state folder was cloned or put back", h->epoch, h->first, h->previous.epoch, h->previous.seq);
	note(in, h->agent, "cloned-or-rolled-back", text);
}

static void note_skew(struct ingest *in, struct agent *a, const char *id, int64_t skew)
{
	char text[96];

	if (llabs(skew) <= SKEW_TOLD || (a->skew_told != 0 && clock_mono() - a->skew_told < 3600 * NS_PER_S))
		return;
	a->skew_told = clock_mono();
	snprintf(text, sizeof text, "wall clock is %.1f s %s ours", (double)llabs(skew) / 1e9,
		skew > 0 ? "ahead of" : "behind");
	note(in, id, "skew", text);
}

/* ---- batches */

/* Rows that the agent may not report, ascending; the caller frees. */
static uint32_t *refused_rows(struct ingest *in, struct wire_batch *b, size_t *count)
{
	const struct inventory *inv = process_inventory(in->process);
	size_t rows = wire_rows_count(b->rows);
	uint32_t *refused = NULL;

	*count = 0;
	for (size_t i = 0; i < rows; i++) {
		struct result r;
		uint64_t seq;

		wire_rows_next(b->rows, &r, &seq);
		in->stats.values += r.count;
		if (rights_allow(in->rights, inv, b->head.agent, r.generation, r.check))
			continue;
		if (refused == NULL)
			refused = mem_array(rows, sizeof *refused);
		refused[(*count)++] = (uint32_t)i;
	}
	in->stats.rows += rows;
	in->stats.refused_rows += *count;
	return refused;
}

static void append(struct ingest *in, struct agent *a, uint8_t kind, struct wire_batch *b, const struct buf *body)
{
	struct wire_envelope v = {.agent = b->head.agent, .received_real = clock_real(), .body = body->data,
		.body_len = body->len};
	uint64_t boot = wire_rows_count(b->rows) > 0 ? wire_rows_boot(b->rows) : b->head.sent_boot;
	uint32_t *refused = refused_rows(in, b, &v.refused_count);
	struct buf out = {0};

	v.refused = refused;
	v.skew = b->head.sent_real - v.received_real;
	v.time_unknown = !marks_offset(in->marks, &b->head, boot, v.received_real, &v.offset);
	if (!v.time_unknown)
		marks_set_offset(in->marks, v.agent, boot, v.offset);
	wire_envelope_encode(&v, &out);
	journal_append(in->journal, kind, out.data, out.len);
	buf_fini(&out);
	free(refused);
	note_skew(in, a, v.agent, v.skew);
}

static void take_batch(struct ingest *in, struct agent *a, struct evhttp_request *req, struct wire_batch *b,
	const struct buf *body)
{
	struct wire_answer answer = {.accepted = {b->head.epoch, b->head.last}, .durable = b->head.last};
	enum marks_verdict verdict = marks_judge(in->marks, &b->head, &answer.expected);

	switch (verdict) {
	case MARKS_EXPECTED:
		in->stats.expected++;
		snprintf(answer.reason, sizeof answer.reason, "go on at %016" PRIx64 ":%" PRIu64,
			answer.expected.epoch, answer.expected.seq);
		answer.durable = 0;
		answer_words(req, 409, &answer);
		return;
	case MARKS_DUPLICATE:
		/* Perhaps it was appended in this very turn: its sync comes first all the same. */
		in->stats.duplicates++;
		answer_after_sync(in, req, &answer);
		return;
	case MARKS_ODD:
		in->stats.odd++;
		note_odd(in, &b->head);
		break;
	case MARKS_TAKE:
		break;
	}
	append(in, a, ENTRY_BATCH, b, body);
	marks_take(in->marks, &b->head);
	in->stats.batches++;
	answer_after_sync(in, req, &answer);
}

static void take_now(struct ingest *in, struct agent *a, struct evhttp_request *req, struct wire_batch *b,
	const struct buf *body)
{
	struct wire_answer answer = {.accepted = {b->head.epoch, 0}};

	append(in, a, ENTRY_NOW, b, body);
	in->stats.nows++;
	answer_after_sync(in, req, &answer);
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
		in->stats.limited++;
		ingest_server_answer(req, 429, NULL, 0, 5);
		return;
	}
	if (in->sync_failed || journal_unsynced_bytes(in->journal) > UNSYNCED_MAX) {
		in->stats.busy++;
		ingest_server_answer(req, 503, NULL, 0, 2);
		return;
	}
	if (read_body(req, &body, &e) == 0)
		b = is_now ? wire_now_decode(body.data, body.len, &e) : wire_batch_decode(body.data, body.len, &e);
	if (b == NULL) {
		in->stats.malformed++;
		log_warn("a batch is not understood agent=%s: %s", identity, e.text);
		answer_refusal(req, 400, e.text);
	} else if (strcmp(b->head.agent, identity) != 0) {
		in->stats.forbidden++;
		note(in, identity, "forged", "sent a batch in another's name");
		answer_refusal(req, 403, "the batch is in another's name");
	} else if (is_now) {
		take_now(in, a, req, b, &body);
	} else {
		take_batch(in, a, req, b, &body);
	}
	wire_batch_free(b);
	buf_fini(&body);
}

/* ---- assignments */

static void answer_assignments(struct ingest *in, struct evhttp_request *req, const char *agent, uint64_t known)
{
	struct buf b = {0};
	uint64_t generation;
	char tag[32];

	if (inventory_assignments(process_inventory(in->process), agent, &b, &generation) < 0) {
		answer_refusal(req, 403, "this agent is not in the inventory");
	} else {
		snprintf(tag, sizeof tag, "\"%" PRIu64 "\"", generation);
		evhttp_add_header(evhttp_request_get_output_headers(req), "ETag", tag);
		ingest_server_answer(req, generation == known ? 304 : 200, b.data, generation == known ? 0 : b.len, 0);
	}
	buf_fini(&b);
}

static void waiter_end(struct waiter *w)
{
	struct waiter **at = &w->ingest->waiters;

	while (*at != w)
		at = &(*at)->next;
	*at = w->next;
	event_free(w->timer);
	answer_assignments(w->ingest, w->request, w->agent, w->generation);
	free(w);
}

static void on_waited(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd, (void)what;
	waiter_end(ctx);
}

static void wait_for_change(struct ingest *in, struct evhttp_request *req, const char *agent, uint64_t known, int seconds)
{
	struct waiter *w = mem_alloc(sizeof *w);
	struct timeval tv = {seconds, 0};

	w->ingest = in;
	w->request = req;
	w->generation = known;
	snprintf(w->agent, sizeof w->agent, "%s", agent);
	w->timer = evtimer_new(process_base(in->process), on_waited, w);
	evtimer_add(w->timer, &tv);
	w->next = in->waiters;
	in->waiters = w;
}

static uint64_t generation_of(const struct ingest *in, const char *agent)
{
	struct buf b = {0};
	uint64_t generation = 0;

	inventory_assignments(process_inventory(in->process), agent, &b, &generation);
	buf_fini(&b);
	return generation;
}

static void on_assignments(struct ingest *in, struct evhttp_request *req, const char *identity)
{
	const struct evkeyvalq *headers = evhttp_request_get_input_headers(req);
	const char *tag = evhttp_find_header(headers, "If-None-Match"), *prefer = evhttp_find_header(headers, "Prefer");
	uint64_t known = 0;
	int seconds = 0;

	if (tag != NULL && sscanf(tag, "\"%20" SCNu64 "\"", &known) != 1)
		known = 0;
	if (prefer != NULL && sscanf(prefer, "wait=%3d", &seconds) == 1 && seconds > WAIT_MAX_S)
		seconds = WAIT_MAX_S;
	if (seconds > 0 && known != 0 && known == generation_of(in, identity))
		wait_for_change(in, req, identity, known, seconds);
	else
		answer_assignments(in, req, identity, known);
}

static void on_request(void *ctx, struct evhttp_request *req, const char *identity)
{
	struct ingest *in = ctx;
	bool is_post = evhttp_request_get_command(req) == EVHTTP_REQ_POST;
	const char *path = evhttp_request_get_uri(req);

	if (inventory_agent(process_inventory(in->process), identity) == NULL) {
		in->stats.forbidden++;
		log_warn("a client has a certificate of ours but is not in the inventory agent=%s", identity);
		answer_refusal(req, 403, "this agent is not in the inventory");
	} else if (is_post && strcmp(path, "/v1/batch") == 0) {
		on_push(in, req, identity, false);
	} else if (is_post && strcmp(path, "/v1/now") == 0) {
		on_push(in, req, identity, true);
	} else if (!is_post && strcmp(path, "/v1/assignments") == 0) {
		on_assignments(in, req, identity);
	} else {
		ingest_server_answer(req, 404, NULL, 0, 0);
	}
}

/* ---- metrics */

static void add_counter(struct buf *out, const char *name, const char *help, double value)
{
	buf_add_format(out, "# HELP xunjian_ingest_%s %s\n# TYPE xunjian_ingest_%s counter\nxunjian_ingest_%s %.15g\n", name,
		help, name, name, value);
}

static void add_gauge(struct buf *out, const char *name, const char *help, double value)
{
	buf_add_format(out, "# HELP xunjian_ingest_%s %s\n# TYPE xunjian_ingest_%s gauge\nxunjian_ingest_%s %.15g\n", name,
		help, name, name, value);
}

static void write_metrics(const struct ingest *in, struct buf *out)
{
	struct ingest_server_stats server;
	struct journal_stats journal;

	ingest_server_stats(in->server, &server);
	journal_stats(in->journal, &journal);
	add_gauge(out, "connections", "Connections of agents that are open.", (double)server.connections);
	add_counter(out, "requests_total", "Requests of agents.", (double)server.requests);
	add_counter(out, "batches_total", "Batches taken.", (double)in->stats.batches);
	add_counter(out, "results_total", "Results taken.", (double)in->stats.rows);
	add_counter(out, "values_total", "Values taken.", (double)in->stats.values);
	add_counter(out, "nows_total", "Now messages taken.", (double)in->stats.nows);
	add_counter(out, "duplicates_total", "Batches that were known.", (double)in->stats.duplicates);
	add_counter(out, "expected_total", "Batches answered by where to go on.", (double)in->stats.expected);
	add_counter(out, "odd_total", "Epochs of cloned or put back state folders.", (double)in->stats.odd);
	add_counter(out, "refused_results_total", "Results of checks that the agent may not report.",
		(double)in->stats.refused_rows);
	add_counter(out, "malformed_total", "Bodies that were not understood.", (double)in->stats.malformed);
	add_counter(out, "forbidden_total", "Requests of strangers or in another's name.", (double)in->stats.forbidden);
	add_counter(out, "limited_total", "Requests above the rate of an agent.", (double)in->stats.limited);
	add_counter(out, "busy_total", "Requests answered by 503.", (double)in->stats.busy);
	add_counter(out, "notes_total", "Notes about agents.", (double)in->stats.notes);
	add_counter(out, "sync_failures_total", "Syncs of the journal that failed.", (double)in->stats.sync_failures);
	add_counter(out, "syncs_total", "Syncs of the journal.", (double)journal.syncs);
	add_counter(out, "sync_seconds_total", "Time spent in them.", in->stats.sync_seconds);
	add_counter(out, "journal_entries_total", "Entries synced.", (double)journal.synced);
	add_counter(out, "journal_dropped_total", "Entries dropped at the bound.", (double)journal.dropped);
	add_gauge(out, "journal_bytes", "Size of the journal.", (double)journal.bytes);
	add_gauge(out, "journal_segments", "Segments of the journal.", (double)journal.segments);
	add_gauge(out, "journal_damaged", "Damaged records found at start.", (double)journal.damaged);
}

/* ---- peers */

static void on_peer_message(struct ingest *in, struct ipc *peer, struct ipc_message *m)
{
	struct position at;
	struct buf b = {0};
	char view[32];

	if (m->fd >= 0)
		close(m->fd);
	if (m->type == CHANNEL_METRICS) {
		write_metrics(in, &b);
		ipc_send(peer, CHANNEL_METRICS_TEXT, m->id, b.data, b.len, -1);
	} else if (m->type == CHANNEL_PASSED && channel_passed_decode(m->body, m->len, view, &at) == 0 &&
		strcmp(view, "series") == 0) {
		journal_cursor_set(in->journal, view, at);
	}
	buf_fini(&b);
}

static void on_series_message(void *ctx, struct ipc_message *m)
{
	struct ingest *in = ctx;

	on_peer_message(in, in->series, m);
}

static void on_web_message(void *ctx, struct ipc_message *m)
{
	struct ingest *in = ctx;

	on_peer_message(in, in->web, m);
}

static void on_series_gone(void *ctx, const char *why)
{
	struct ingest *in = ctx;

	(void)why;
	ipc_free(in->series);
	in->series = NULL;
}

static void on_web_gone(void *ctx, const char *why)
{
	struct ingest *in = ctx;

	(void)why;
	ipc_free(in->web);
	in->web = NULL;
}

static void on_peer(void *ctx, enum process_role role, int fd)
{
	struct ingest *in = ctx;
	struct event_base *base = process_base(in->process);

	if (role == PROCESS_SERIES) {
		ipc_free(in->series);
		in->series = ipc_new(fd);
		ipc_start(in->series, base, on_series_message, on_series_gone, in);
	} else if (role == PROCESS_WEB) {
		ipc_free(in->web);
		in->web = ipc_new(fd);
		ipc_start(in->web, base, on_web_message, on_web_gone, in);
	} else {
		close(fd);
		return;
	}
	tell_views(in);
}

/* ---- life */

static void note_rights(struct ingest *in)
{
	struct err e;

	if (rights_note(in->rights, process_inventory(in->process)) &&
		rights_save(in->rights, in->rights_path, &e) < 0)
		log_error("what agents are assigned is not kept: %s", e.text);
}

static void on_reload(void *ctx)
{
	struct ingest *in = ctx;
	struct waiter *next;
	struct err e;

	note_rights(in);
	if (ingest_server_reload(in->server, &process_settings(in->process)->ingest, &e) < 0)
		log_error("%s: the old certificates stay", e.text);
	for (struct waiter *w = in->waiters; w != NULL; w = next) {
		next = w->next;
		if (generation_of(in, w->agent) != w->generation)
			waiter_end(w);
	}
}

static void on_stop(void *ctx)
{
	struct ingest *in = ctx;

	while (in->waiters != NULL)
		waiter_end(in->waiters);
	sync_now(in);
	save_marks(in);
	process_end(in->process, 0);
}

static void bound_journal(struct ingest *in)
{
	struct err e;

	if (journal_bound(in->journal, clock_real(), &e) < 0)
		log_warn("the journal cannot be bounded: %s", e.text);
}

/* Every second: time goes on in the log too. */
static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
	struct ingest *in = ctx;
	uint8_t payload[8];
	int64_t now = clock_real();

	(void)fd, (void)what;
	/* While nothing can be written one tick more would only fill memory. */
	if (!in->sync_failed) {
		memcpy(payload, &now, sizeof payload);
		journal_append(in->journal, ENTRY_TICK, payload, sizeof payload);
	}
	sync_now(in);
	if (journal_synced(in->journal).seq - in->snapshot_seq >= SNAPSHOT_ENTRIES)
		save_marks(in);
	if (++in->ticks % BOUND_EVERY_S == 0)
		bound_journal(in);
}

static bool is_kept(uint8_t kind)
{
	return kind != ENTRY_BATCH && kind != ENTRY_NOW && kind != ENTRY_TICK && kind != ENTRY_OPEN;
}

static int open_journal(struct ingest *in, struct err *e)
{
	const struct settings *s = process_settings(in->process);
	struct journal_options options = {.segment_bytes = s->journal.segment_bytes,
		.max_bytes = s->journal.max_bytes, .max_age = s->journal.max_age, .is_kept = is_kept};
	char *folder = mem_format("%s/ingest", s->state), *journal = mem_format("%s/journal", s->state);
	int status = 0;

	mkdir(s->state, 0700);
	mkdir(folder, 0700);
	in->marks_path = mem_format("%s/marks", folder);
	in->rights_path = mem_format("%s/rights", folder);
	in->journal = journal_open(journal, &options, e);
	if (in->journal == NULL || load_marks(in, journal, e) < 0)
		status = -1;
	else
		in->snapshot_seq = journal_synced(in->journal).seq;
	in->rights = rights_load(in->rights_path);
	free(folder);
	free(journal);
	return status;
}

static void start(struct ingest *in)
{
	static const struct process_events events = {on_peer, on_reload, on_stop};
	struct event_base *base = process_base(in->process);
	struct timeval second = {1, 0};

	note_rights(in);
	in->sync = event_new(base, -1, 0, on_sync, in);
	in->tick = event_new(base, -1, EV_PERSIST, on_tick, in);
	event_add(in->tick, &second);
	process_on(in->process, &events, in);
	sync_now(in);
	process_ready(in->process);
}

int ingest_run(struct process *process)
{
	struct ingest in = {.process = process, .agents = map_new()};
	struct err e;
	int status = 1;

	if (open_journal(&in, &e) == 0)
		in.server = ingest_server_new(process_base(process), &process_settings(process)->ingest, on_request, &in, &e);
	if (in.server != NULL) {
		start(&in);
		status = process_loop(process);
	} else {
		log_error("%s", e.text);
	}
	ingest_server_free(in.server);
	if (in.sync != NULL)
		event_free(in.sync);
	if (in.tick != NULL)
		event_free(in.tick);
	ipc_free(in.series);
	ipc_free(in.web);
	journal_close(in.journal);
	marks_free(in.marks);
	rights_free(in.rights);
	map_free(in.agents, free);
	free(in.pending);
	free(in.marks_path);
	free(in.rights_path);
	return status;
}
