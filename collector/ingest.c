/*
 * ingest: takes what agents push, appends it to the journal, and answers when that is on disk.
 *
 * One sync covers all that came while the one before was under way: requests of one turn of the loop append, the sync
 * that they ask for runs behind them, and only then their answers go out. When a sync fails the answers are 503, what
 * was appended waits in memory for the next try, and agents ask again: the marks know those batches.
 */
#include "collector/ingest_parts.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "collector/confine.h"
#include "collector/ingest_assign.h"
#include "collector/ingest_file.h"
#include "collector/ingest_marks.h"
#include "collector/ingest_requests.h"
#include "collector/ingest_rights.h"
#include "collector/ingest_self.h"
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

/* Marks are saved when so much came behind the last ones: what a start has to replay. */
#define SNAPSHOT_ENTRIES 5000
#define SNAPSHOT_BYTES (8u << 20)
#define BOUND_EVERY_S 60
#define SAVE_AGAIN_S 5
#define LOOK_EVERY_S 60 /* at ourselves, and some seconds after the start */
#define LOOK_FIRST_S 3

/* ---- syncing */

static void answer_synced(struct pending *p)
{
	if (p->agent != NULL)
		probes_take(&p->agent->probes, clock_mono(), &p->answer);
	ingest_answer(p->request, 200, &p->answer);
}

static void answer_pending(struct ingest *in, bool synced)
{
	for (size_t i = 0; i < in->pending_count; i++) {
		if (synced)
			answer_synced(&in->pending[i]);
		else
			ingest_ask_to_wait(in, in->pending[i].request, REFUSED_BUSY, 503, 2);
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
	for (size_t i = 0; i < INGEST_VIEWS && journal_synced(in->journal).seq != before.seq; i++)
		in->views[i].due = true;
	ingest_tell_views(in);
}

static void on_sync(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd, (void)what;
	sync_now(ctx);
}

/* ---- marks on disk */

uint64_t ingest_boot(const struct wire_batch *b)
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
			marks_set_offset(in->marks, v->agent, ingest_boot(b), v->offset);
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

void ingest_put(struct ingest *in, uint8_t kind, const struct buf *b)
{
	journal_append(in->journal, kind, b->data, b->len);
	in->unsaved_bytes += b->len;
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
	ingest_put(in, ENTRY_REQUEST, &b);
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
	ingest_put(in, ENTRY_NOTE, &b);
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
		ingest_put(in, ENTRY_TICK, &now);
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
	static const struct process_events events = {ingest_take_view, on_reload, on_stop, on_requests};
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
	ingest_close_views(in);
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

	ingest_view_init(&in);
	in.server = ingest_server_new(process_base(process), &process_settings(process)->ingest, ingest_request, &in, &e);
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
