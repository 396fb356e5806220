/*
 * series: the role that folds the journal into RRD files and answers the page for them (collector/process.h). On the
 * loop: it reads the journal up to what ingest has synced, lets rounds of writing begin as queues get old, does them
 * piece by piece between messages, and tells ingest how far the journal is passed.
 */
#include "collector/process.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "collector/channel.h"
#include "collector/confine.h"
#include "collector/inventory.h"
#include "collector/series_catalogue.h"
#include "collector/series_fetch.h"
#include "collector/series_fold.h"
#include "collector/series_round.h"
#include "collector/settings.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/ipc.h"
#include "lib/journal.h"
#include "lib/log.h"
#include "lib/map.h"
#include "lib/mem.h"

#define SLICE (10 * NS_PER_MS)         /* of reading or writing, then messages are looked at */
#define QUEUED_BYTES_MAX (48u << 20)   /* above, reading waits for a round */
#define ROUNDS_PER_FLUSH 10            /* rounds within flush_within: an eighth of the queues in each */
#define TICK_MAX NS_PER_S
#define RETRY (1 * NS_PER_S)
#define STOP_WITHIN (4 * NS_PER_S)     /* the parent waits 5 s */
#define LATEST_BYTES (4u << 20)        /* of one answer; the asker asks again from its version */

struct view {
	struct process *process;
	struct series_round *round;
	struct series_fold fold;
	struct map *checks, *vantages; /* `was` -> id; ids of the inventory of this generation */
	struct journal_reader *reader;
	struct position at, limit; /* last entry folded; last one that is synced, {0,0}: not told yet */
	struct position passed;    /* told to ingest */
	struct event *reading, *writing, *tick;
	struct ipc *ingest, *web;
	uint64_t instance, read_errors, begin_errors;
	int64_t begun, checkpointed, retry_at; /* clock_mono() of the last round, checkpoint; not before */
	size_t known;              /* series when the last round began */
	bool is_pressed;           /* reading waits for a round */
};

static void schedule(struct event *e, int64_t delay)
{
	struct timeval tv = {delay / NS_PER_S, delay % NS_PER_S / NS_PER_US};

	evtimer_add(e, &tv);
}

static const struct settings_series *settings_of(const struct view *v)
{
	return &process_settings(v->process)->series;
}

/* ---- to ingest */

/* Not before the reader stands where the cursor says: only then is it a position of this journal. */
static void tell_passed(struct view *v)
{
	struct position cursor = series_round_cursor(v->round);
	struct buf out = {0};

	if (v->ingest == NULL || v->reader == NULL || cursor.seq == 0 || cursor.seq == v->passed.seq)
		return;
	channel_passed_encode("series", cursor, &out);
	ipc_send(v->ingest, CHANNEL_PASSED, 0, out.data, out.len, -1);
	buf_fini(&out);
	v->passed = cursor;
}

/* ---- reading */

static int open_reader(struct view *v, struct err *e)
{
	char *folder = mem_format("%s/journal", process_settings(v->process)->state);
	bool is_ahead = v->at.seq > v->limit.seq;
	struct err why;

	if (is_ahead)
		err_set(&why, "it ends at %" PRIu64 ", the cursor is at %" PRIu64, v->limit.seq, v->at.seq);
	else
		v->reader = journal_reader_open(folder, v->at, &why);
	if (v->reader == NULL) {
		v->reader = journal_reader_open(folder, (struct position){0, 0}, e);
		if (v->reader != NULL) {
			log_error("the journal is not the one the series were made from, it is read from its start: %s",
				why.text);
			v->at = (struct position){0, 0};
			series_round_forget_journal(v->round);
		}
	}
	free(folder);
	if (v->reader == NULL)
		return -1;
	journal_reader_limit(v->reader, v->limit);
	tell_passed(v);
	return 0;
}

static void reading_failed(struct view *v, const struct err *e)
{
	v->read_errors++;
	log_error("the journal cannot be read, trying again: %s", e->text);
	journal_reader_close(v->reader);
	v->reader = NULL;
	schedule(v->reading, RETRY);
}

/* 1 an entry was folded, 0 there is none, -1 */
static int read_one(struct view *v, int64_t now, struct err *e)
{
	uint64_t folded_before = series_round_folded(v->round).seq;
	struct journal_entry entry;
	struct err words;
	int rc = journal_read_next(v->reader, &entry, e);

	if (rc != 1)
		return rc;
	if (series_fold_entry(&v->fold, &entry, v->at, entry.at.seq <= folded_before, now, &words) < 0)
		log_error("an entry of the journal does not decode, it is passed over seq=%" PRIu64 ": %s",
			entry.at.seq, words.text);
	v->at = entry.at;
	return 1;
}

static void on_reading(evutil_socket_t fd, short what, void *ctx)
{
	struct view *v = ctx;
	int64_t begin = clock_mono(), now = begin;
	struct err e;
	int rc = 1;

	(void)fd, (void)what;
	if (v->limit.seq == 0)
		return;
	if (v->reader == NULL && open_reader(v, &e) < 0) {
		reading_failed(v, &e);
		return;
	}
	while (rc == 1 && now - begin < SLICE) {
		v->is_pressed =
			series_catalogue_queued_bytes(series_round_catalogue(v->round)) > QUEUED_BYTES_MAX;
		if (v->is_pressed) {
			schedule(v->tick, 0);
			return;
		}
		rc = read_one(v, now, &e);
		now = clock_mono();
	}
	if (rc < 0)
		reading_failed(v, &e);
	else if (rc == 1)
		schedule(v->reading, 0);
}

static void on_overflow(void *ctx, const char *check, const char *vantage, const char *why)
{
	(void)ctx;
	log_warn("a result has no room for a series of its own, it is not kept check=%s vantage=%s limit=\"%s\"",
		check, vantage, why);
}

/* ---- writing */

static void begin_round(struct view *v, enum series_round_choice choice, int64_t now)
{
	struct err e;
	int rc = series_round_begin(v->round, choice, v->at, settings_of(v)->flush_within, now, &e);

	if (rc < 0) {
		v->begin_errors++;
		log_error("the checkpoint of the series cannot be written, they wait: %s", e.text);
	}
	if (rc != 0) {
		v->retry_at = now + RETRY;
		return;
	}
	v->checkpointed = now;
	if (choice != SERIES_ROUND_NEW)
		v->begun = now;
	v->known = series_catalogue_files(series_round_catalogue(v->round));
	schedule(v->writing, 0);
}

static void on_tick(evutil_socket_t fd, short what, void *ctx)
{
	struct view *v = ctx;
	struct series_catalogue *c = series_round_catalogue(v->round);
	int64_t now = clock_mono(), flush = settings_of(v)->flush_within, pace = flush / ROUNDS_PER_FLUSH;

	(void)fd, (void)what;
	schedule(v->tick, pace / 2 < TICK_MAX ? pace / 2 : TICK_MAX);
	if (series_round_is_active(v->round) || now < v->retry_at)
		return;
	if (v->is_pressed)
		begin_round(v, SERIES_ROUND_ALL, now);
	else if (series_catalogue_queued_sets(c) > 0 && now - v->begun >= pace)
		begin_round(v, SERIES_ROUND_OLDEST, now);
	else if (series_catalogue_files(c) > v->known || series_round_stats(v->round)->waiting_new > 0)
		begin_round(v, SERIES_ROUND_NEW, now);
	/* What asks for no file moves the cursor as well. */
	if (!series_round_is_active(v->round) && now - v->checkpointed >= flush &&
		v->at.seq > series_round_cursor(v->round).seq)
		begin_round(v, SERIES_ROUND_NONE, now);
}

/* After a failed sync nobody knows what is on disk: recovery in a new process puts it right. */
static void sync_failed(struct view *v, const struct err *e)
{
	log_error("series end to recover: %s", e->text);
	process_end(v->process, 1);
}

static void round_is_done(struct view *v)
{
	tell_passed(v);
	v->is_pressed = false;
	schedule(v->reading, 0);
	schedule(v->tick, 0);
}

static void on_writing(evutil_socket_t fd, short what, void *ctx)
{
	struct view *v = ctx;
	int64_t begin = clock_mono(), now = begin;
	struct err e;
	int rc = 1;

	(void)fd, (void)what;
	if (!series_round_is_active(v->round))
		return;
	while (rc == 1 && now - begin < SLICE) {
		rc = series_round_step(v->round, now, &e);
		now = clock_mono();
	}
	if (rc < 0)
		sync_failed(v, &e);
	else if (rc == 1)
		schedule(v->writing, 0);
	else
		round_is_done(v);
}

/* Goes on with a round until it is done or the time is up; -1: a sync failed. */
static int finish_round(struct view *v, int64_t within)
{
	int64_t end = clock_mono() + within, now = end - within;
	struct err e;
	int rc = 0;

	while (series_round_is_active(v->round) && now < end && rc >= 0) {
		rc = series_round_step(v->round, now, &e);
		now = clock_mono();
	}
	if (rc < 0)
		sync_failed(v, &e);
	return rc < 0 ? -1 : 0;
}

/* ---- answers */

struct latest {
	struct buf rows;
	uint64_t version;
	bool is_cut;
};

static bool add_row(void *ctx, const struct channel_row *row)
{
	struct latest *l = ctx;

	l->is_cut = l->rows.len >= LATEST_BYTES;
	if (l->is_cut)
		return false;
	channel_rows_add(row, &l->rows);
	l->version = row->version;
	return true;
}

static void answer_latest(struct view *v, const struct ipc_message *m)
{
	struct cursor c = cursor_over(m->body, m->len);
	const struct series_catalogue *catalogue = series_round_catalogue(v->round);
	struct latest l = {.version = 0};
	struct buf out = {0};

	series_catalogue_changed(catalogue, cursor_u64(&c), add_row, &l);
	channel_rows_begin(l.is_cut ? l.version : series_catalogue_version(catalogue), v->instance, &out);
	buf_add(&out, l.rows.data, l.rows.len);
	ipc_send(v->web, CHANNEL_LATEST_ROWS, m->id, out.data, out.len, -1);
	buf_fini(&l.rows);
	buf_fini(&out);
}

static int fetch(struct view *v, const struct ipc_message *m, struct buf *out, struct err *e)
{
	struct channel_fetch q;
	const struct series *s;

	if (channel_fetch_decode(m->body, m->len, &q) < 0)
		return err_set(e, "the question does not decode");
	s = series_catalogue_find_number(series_round_catalogue(v->round), q.check, q.vantage, q.family,
		q.part_number);
	if (s == NULL)
		return err_set(e, "there is no such series");
	return series_fetch(series_round_folder(v->round), s, &q, out, e);
}

static void answer_fetch(struct view *v, const struct ipc_message *m)
{
	struct buf out = {0};
	struct err e;

	if (fetch(v, m, &out, &e) == 0)
		ipc_send(v->web, CHANNEL_VALUES, m->id, out.data, out.len, -1);
	else
		ipc_send(v->web, CHANNEL_FAILED, m->id, e.text, strlen(e.text), -1);
	buf_fini(&out);
}

static void add_figure(struct buf *out, const char *name, const char *kind, const char *help, double value)
{
	buf_add_format(out, "# HELP xunjian_series_%s %s\n# TYPE xunjian_series_%s %s\nxunjian_series_%s %.15g\n",
		name, help, name, kind, name, value);
}

static void add_dropped(struct buf *out, const struct series_counts *c)
{
	const struct {
		const char *why;
		uint64_t count;
	} rows[] = {{"late", c->late}, {"future", c->future}, {"ancient", c->ancient},
		{"time_unknown", c->time_unknown}, {"refused", c->refused}, {"one_shot", c->one_shot},
		{"overflow", c->overflow}, {"lost", c->lost}};

	buf_add_text(out, "# HELP xunjian_series_dropped_total Results or value sets that are in no file, by reason.\n"
			  "# TYPE xunjian_series_dropped_total counter\n");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		buf_add_format(out, "xunjian_series_dropped_total{reason=\"%s\"} %" PRIu64 "\n", rows[i].why,
			rows[i].count);
}

static void add_round_figures(struct buf *out, const struct series_round_stats *s)
{
	add_figure(out, "rounds_total", "counter", "Rounds of writing.", (double)s->rounds);
	add_figure(out, "round_seconds", "gauge", "Wall time of the last round.", (double)s->round_ns / 1e9);
	add_figure(out, "files_written_total", "counter", "Updates of files.", (double)s->files);
	add_figure(out, "sets_written_total", "counter", "Value sets in files.", (double)s->sets);
	add_figure(out, "files_created_total", "counter", "Files made.", (double)s->created);
	add_figure(out, "files_quarantined_total", "counter", "Damaged files put aside.", (double)s->quarantined);
	add_figure(out, "failures_total", "counter", "Updates that librrd refused.", (double)s->failures);
	add_figure(out, "files_held", "gauge", "Files passed over in the last round.", (double)s->held);
	add_figure(out, "paused", "gauge", "1 while there is no space to write.", s->paused);
	add_figure(out, "checkpoint_bytes_total", "counter", "Bytes of checkpoints.", (double)s->checkpoint_bytes);
}

static void answer_metrics(struct view *v, const struct ipc_message *m)
{
	const struct series_catalogue *c = series_round_catalogue(v->round);
	const struct series_counts *n = &v->fold.counts;
	struct buf out = {0};

	add_figure(&out, "entries_total", "counter", "Journal entries folded.", (double)n->entries);
	add_figure(&out, "rows_total", "counter", "Results folded.", (double)n->rows);
	add_figure(&out, "sets_total", "counter", "Value sets taken.", (double)n->sets);
	add_figure(&out, "undecodable_total", "counter", "Entries that did not decode.", (double)n->undecodable);
	add_figure(&out, "gaps_total", "counter", "Gaps in the journal.", (double)n->gaps);
	add_figure(&out, "read_errors_total", "counter", "Failed reads of the journal.", (double)v->read_errors);
	add_figure(&out, "checkpoint_errors_total", "counter", "Checkpoints not written.", (double)v->begin_errors);
	add_figure(&out, "known", "gauge", "Series known.", (double)series_catalogue_count(c));
	add_figure(&out, "files", "gauge", "Files of series.", (double)series_catalogue_files(c));
	add_figure(&out, "queued_sets", "gauge", "Value sets that wait.", (double)series_catalogue_queued_sets(c));
	add_figure(&out, "queued_bytes", "gauge", "Bytes of queues.", (double)series_catalogue_queued_bytes(c));
	add_figure(&out, "behind_entries", "gauge", "Synced entries not folded yet.",
		(double)(v->limit.seq > v->at.seq ? v->limit.seq - v->at.seq : 0));
	add_dropped(&out, n);
	add_round_figures(&out, series_round_stats(v->round));
	ipc_send(v->web, CHANNEL_METRICS_TEXT, m->id, out.data, out.len, -1);
	buf_fini(&out);
}

static void on_web(void *ctx, struct ipc_message *m)
{
	struct view *v = ctx;

	if (m->fd >= 0)
		close(m->fd);
	if (m->type == CHANNEL_LATEST)
		answer_latest(v, m);
	else if (m->type == CHANNEL_FETCH)
		answer_fetch(v, m);
	else if (m->type == CHANNEL_METRICS)
		answer_metrics(v, m);
}

static void on_web_gone(void *ctx, const char *why)
{
	struct view *v = ctx;

	log_debug("the channel to web is gone why=\"%s\"", why);
	ipc_free(v->web);
	v->web = NULL;
}

static void on_ingest(void *ctx, struct ipc_message *m)
{
	struct view *v = ctx;
	struct position synced;

	if (m->fd >= 0)
		close(m->fd);
	if (m->type != CHANNEL_SYNCED || channel_position_decode(m->body, m->len, &synced) < 0 ||
		synced.seq == 0)
		return;
	v->limit = synced;
	if (v->reader != NULL)
		journal_reader_limit(v->reader, synced);
	if (!evtimer_pending(v->reading, NULL))
		schedule(v->reading, 0);
}

static void on_ingest_gone(void *ctx, const char *why)
{
	struct view *v = ctx;

	log_debug("the channel to ingest is gone why=\"%s\"", why);
	ipc_free(v->ingest);
	v->ingest = NULL;
}

/* ---- life */

static void on_peer(void *ctx, enum process_role peer, int fd)
{
	struct view *v = ctx;

	if (peer == PROCESS_INGEST) {
		ipc_free(v->ingest);
		v->ingest = ipc_new(fd);
		ipc_start(v->ingest, process_base(v->process), on_ingest, on_ingest_gone, v);
		v->passed = (struct position){0, 0};
		tell_passed(v);
	} else {
		ipc_free(v->web);
		v->web = ipc_new(fd);
		ipc_start(v->web, process_base(v->process), on_web, on_web_gone, v);
	}
}

/* `was` of one kind of thing; an old id that is in use again names that one. */
static void add_alias(struct view *v, bool is_vantage, const char *was, const char *id, bool is_taken)
{
	struct err e;

	if (was == NULL || was[0] == '\0')
		return;
	if (is_taken) {
		log_warn("the old id of something renamed is in use, its series stay with that id=%s was=%s", id, was);
		return;
	}
	map_set(is_vantage ? v->vantages : v->checks, was, (void *)(uintptr_t)id);
	if (series_round_rename(v->round, is_vantage, was, id, v->at, clock_mono(), &e) < 0)
		log_error("series cannot go on under a new id id=%s was=%s: %s", id, was, e.text);
}

static void read_aliases(struct view *v)
{
	const struct inventory *inventory = process_inventory(v->process);

	map_free(v->checks, NULL);
	map_free(v->vantages, NULL);
	v->fold.checks = v->checks = map_new();
	v->fold.vantages = v->vantages = map_new();
	for (size_t i = 0; i < inventory->checks_count; i++) {
		const struct inventory_check *c = &inventory->checks[i];

		add_alias(v, false, c->was, c->id, c->was != NULL && inventory_check(inventory, c->was) != NULL);
	}
	for (size_t i = 0; i < inventory->agents_count; i++) {
		const struct inventory_agent *a = &inventory->agents[i];

		add_alias(v, true, a->was, a->id, a->was != NULL && inventory_agent(inventory, a->was) != NULL);
	}
}

static void on_reload(void *ctx)
{
	struct view *v = ctx;

	/* Ids change only between rounds. */
	if (finish_round(v, INT64_MAX / 2) < 0)
		return;
	tell_passed(v);
	series_round_set_archives(v->round, &settings_of(v)->archives);
	series_catalogue_set_max_parts(series_round_catalogue(v->round), (uint32_t)settings_of(v)->max_parts);
	read_aliases(v);
}

static void on_stop(void *ctx)
{
	struct view *v = ctx;

	if (finish_round(v, STOP_WITHIN) < 0)
		return;
	if (series_round_is_active(v->round))
		log_warn("a round is not done, it is left to recovery");
	tell_passed(v);
	process_end(v->process, 0);
}

static int view_open(struct view *v, struct process *p)
{
	const struct settings *settings = process_settings(p);
	struct err e;

	v->process = p;
	if (confine_series(settings, &e) < 0) {
		log_error("%s", e.text);
		return -1;
	}
	v->round = series_round_open(settings->state, &settings->series.archives,
		(uint32_t)settings->series.max_parts, process_died_of(p), &e);
	if (v->round == NULL) {
		log_error("series cannot begin: %s", e.text);
		return -1;
	}
	if (getrandom(&v->instance, sizeof v->instance, 0) != sizeof v->instance)
		v->instance = (uint64_t)clock_real();
	v->fold = (struct series_fold){.catalogue = series_round_catalogue(v->round), .on_overflow = on_overflow};
	v->at = series_round_cursor(v->round);
	v->begun = v->checkpointed = clock_mono();
	v->known = series_catalogue_files(v->fold.catalogue);
	v->reading = evtimer_new(process_base(p), on_reading, v);
	v->writing = evtimer_new(process_base(p), on_writing, v);
	v->tick = evtimer_new(process_base(p), on_tick, v);
	schedule(v->tick, 0);
	read_aliases(v);
	return 0;
}

static void view_close(struct view *v)
{
	event_free(v->reading);
	event_free(v->writing);
	event_free(v->tick);
	ipc_free(v->ingest);
	ipc_free(v->web);
	journal_reader_close(v->reader);
	series_round_close(v->round);
	map_free(v->checks, NULL);
	map_free(v->vantages, NULL);
}

int series_run(struct process *p)
{
	static const struct process_events events = {on_peer, on_reload, on_stop, NULL};
	struct view v = {0};
	int status;

	if (view_open(&v, p) < 0)
		return 1;
	log_info("series are ready known=%zu cursor=%" PRIu64 " put_back=%" PRIu64,
		series_catalogue_count(v.fold.catalogue), v.at.seq, series_round_stats(v.round)->restored);
	process_on(p, &events, &v);
	process_ready(p);
	status = process_loop(p);
	view_close(&v);
	return status;
}
