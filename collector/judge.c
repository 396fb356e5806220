/*
 * judge: the role that folds the journal into judgement (collector/process.h): votes, states, the ledger. On the loop: it reads
 * the journal up to what ingest has synced, commits at least every second, folds windows of late evidence again in between,
 * and tells ingest how far the journal is passed.
 */
#include "collector/process.h"

#include <event2/event.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/channel.h"
#include "collector/confine.h"
#include "collector/figures.h"
#include "collector/inventory.h"
#include "collector/judge/answer.h"
#include "collector/judge/book.h"
#include "collector/judge/duty.h"
#include "collector/judge/present.h"
#include "collector/judge/refold.h"
#include "collector/settings.h"
#include "collector/web/json.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/ipc.h"
#include "lib/journal.h"
#include "lib/log.h"
#include "lib/mem.h"

#define SLICE (10 * NS_PER_MS)       /* of reading, then messages are looked at */
#define COMMIT_EVERY (500 * NS_PER_MS)
#define RETRY NS_PER_S
#define FRESH (10 * NS_PER_S)

struct judge {
	struct process *process;
	struct book *book;
	struct duty *duty;
	struct journal_reader *reader;
	struct position at, limit; /* last entry folded; last one that is synced, {0,0}: not told yet */
	struct position passed;    /* told to ingest */
	struct event *reading, *committing, *refolding;
	struct ipc *ingest, *web, *notify;
	uint64_t told;             /* intents, as far as delivery was told of them */
	struct present present;
	struct refold *refold;
	struct book_late late;     /* of the refold */
	uint64_t read_errors;
};

static void schedule(struct event *e, int64_t delay)
{
	struct timeval tv = {delay / NS_PER_S, delay % NS_PER_S / NS_PER_US};

	evtimer_add(e, &tv);
}

/* The book and its cores are ahead of the database: only a new process is of one piece again. */
static void give_up(struct judge *j, const struct err *e)
{
	log_error("judgement ends to begin again from what it has kept: %s", e->text);
	process_end(j->process, 1);
}

/* ---- to ingest */

static void tell_passed(struct judge *j)
{
	struct position cursor = book_cursor(j->book);
	struct buf out = {0};

	if (j->ingest == NULL || j->reader == NULL || cursor.seq == 0 || cursor.seq == j->passed.seq)
		return;
	channel_passed_encode("judge", cursor, &out);
	ipc_send(j->ingest, CHANNEL_PASSED, 0, out.data, out.len, -1);
	buf_fini(&out);
	j->passed = cursor;
}

/* What is committed may be read. */
static void wake_notify(struct judge *j)
{
	struct book_counts n;

	book_counts(j->book, &n);
	if (j->notify == NULL || n.intents == j->told)
		return;
	j->told = n.intents;
	ipc_send(j->notify, CHANNEL_OUTBOX, 0, NULL, 0, -1);
}

static void ask_check(struct judge *j, const struct inventory_check *c)
{
	for (size_t i = 0; i < c->vantages.count; i++) {
		struct buf out = {0};

		channel_probe_encode(c->vantages.items[i], c->id, &out);
		ipc_send(j->ingest, CHANNEL_PROBE, 0, out.data, out.len, -1);
		buf_fini(&out);
	}
}

/* What judgement waits for to be seen. What it wanted some time ago, in a backlog, is of no use any more. */
static void ask_probes(struct judge *j)
{
	const struct inventory *inv = process_inventory(j->process);
	bool is_fresh = j->ingest != NULL && clock_real() - book_now(j->book) < FRESH;
	const char *subject;

	while ((subject = book_take_probe(j->book)) != NULL) {
		for (size_t i = 0; is_fresh && i < inv->checks_count; i++) {
			if (!inv->checks[i].anchor && strcmp(inv->checks[i].subject, subject) == 0)
				ask_check(j, &inv->checks[i]);
		}
	}
}

/* ---- reading */

static char *journal_folder(const struct judge *j)
{
	return mem_format("%s/journal", process_settings(j->process)->state);
}

static int begin_anew(struct judge *j, const char *folder, const struct err *why, struct err *e)
{
	j->reader = journal_reader_open(folder, (struct position){0, 0}, e);
	if (j->reader == NULL)
		return -1;
	log_error("the journal is not the one that judgement was made from, it is read from its start: %s", why->text);
	j->at = (struct position){0, 0};
	return book_forget_journal(j->book, e);
}

static int open_reader(struct judge *j, struct err *e)
{
	char *folder = journal_folder(j);
	struct err why;
	int rc = 0;

	if (j->at.seq > j->limit.seq)
		err_set(&why, "it ends at %" PRIu64 ", the cursor is at %" PRIu64, j->limit.seq, j->at.seq);
	else
		j->reader = journal_reader_open(folder, j->at, &why);
	if (j->reader == NULL)
		rc = begin_anew(j, folder, &why, e);
	free(folder);
	if (rc < 0)
		return -1;
	journal_reader_limit(j->reader, j->limit);
	tell_passed(j);
	return 0;
}

static void reading_failed(struct judge *j, const struct err *e)
{
	j->read_errors++;
	log_error("the journal cannot be read, trying again: %s", e->text);
	journal_reader_close(j->reader);
	j->reader = NULL;
	schedule(j->reading, RETRY);
}

static void on_reading(evutil_socket_t fd, short what, void *ctx)
{
	struct judge *j = ctx;
	int64_t end = clock_mono() + SLICE;
	struct journal_entry entry;
	struct err e;
	int rc = 1;

	(void)fd, (void)what;
	if (j->limit.seq == 0)
		return;
	if (j->reader == NULL && open_reader(j, &e) < 0) {
		reading_failed(j, &e);
		return;
	}
	while (rc == 1 && clock_mono() < end) {
		rc = journal_read_next(j->reader, &entry, &e);
		if (rc == 1 && book_fold(j->book, &entry, &e) < 0) {
			give_up(j, &e);
			return;
		}
		if (rc == 1)
			j->at = entry.at;
	}
	ask_probes(j);
	if (rc < 0)
		reading_failed(j, &e);
	else if (rc == 1)
		schedule(j->reading, 0);
}

static int commit(struct judge *j)
{
	struct err e;

	if (book_commit(j->book, &e) == 0) {
		tell_passed(j);
		wake_notify(j);
		return 0;
	}
	give_up(j, &e);
	return -1;
}

/* ---- late evidence */

static void end_refold(struct judge *j)
{
	refold_free(j->refold);
	j->refold = NULL;
}

static void begin_refold(struct judge *j)
{
	const struct inventory *inv = process_inventory(j->process);
	char *folder;
	struct err e;

	if (j->refold != NULL || j->reader == NULL || j->at.seq < j->limit.seq || !book_find_late(j->book, &j->late))
		return;
	folder = journal_folder(j);
	j->refold = refold_new(folder,
		book_landmark(j->book, j->late.window.from - refold_reaches_back(inv, j->late.subject)), j->limit, inv,
		book_usual(j->book), j->late.subject, j->late.window, &e);
	free(folder);
	if (j->refold != NULL)
		schedule(j->refolding, 0);
	else
		log_error("late evidence waits, the journal cannot be read subject=%s: %s", j->late.subject, e.text);
}

static void on_refolding(evutil_socket_t fd, short what, void *ctx)
{
	struct judge *j = ctx;
	struct err e;
	int rc = refold_step(j->refold, &e);

	(void)fd, (void)what;
	if (rc == 1) {
		schedule(j->refolding, 0);
		return;
	}
	if (rc < 0)
		log_error("a window of late evidence stays as it was subject=%s: %s", j->late.subject, e.text);
	if (book_settle_late(j->book, &j->late, rc == 0 ? refold_truth(j->refold) : NULL, &e) < 0) {
		give_up(j, &e);
		return;
	}
	end_refold(j);
	if (commit(j) == 0)
		begin_refold(j);
}

static void on_committing(evutil_socket_t fd, short what, void *ctx)
{
	struct judge *j = ctx;

	(void)fd, (void)what;
	schedule(j->committing, COMMIT_EVERY);
	if (commit(j) == 0)
		begin_refold(j);
}

/* ---- answers */

static void add_figure(struct buf *out, const char *name, const char *kind, const char *help, double value)
{
	buf_add_format(out, "# HELP xunjian_judge_%s %s\n# TYPE xunjian_judge_%s %s\nxunjian_judge_%s %.15g\n", name, help,
		name, kind, name, value);
}

static void answer_metrics(struct judge *j, const struct ipc_message *m)
{
	struct book_counts n;
	struct buf out = {0};

	book_counts(j->book, &n);
	add_figure(&out, "entries_total", "counter", "Journal entries folded.", (double)n.entries);
	add_figure(&out, "results_total", "counter", "Results folded.", (double)n.results);
	add_figure(&out, "late_results_total", "counter", "Results that came late.", (double)n.late);
	add_figure(&out, "untimed_results_total", "counter", "Results whose time is not known.", (double)n.untimed);
	add_figure(&out, "undecodable_total", "counter", "Entries that did not decode.", (double)n.undecodable);
	add_figure(&out, "changes_total", "counter", "Changes of states.", (double)n.changes);
	add_figure(&out, "intents_total", "counter", "Notices and the like that incidents asked for.", (double)n.intents);
	add_figure(&out, "requests_total", "counter", "What people asked for.", (double)n.requests);
	add_figure(&out, "revised_seconds_total", "counter", "Seconds of the ledger that late evidence corrected.",
		(double)n.revised_seconds);
	add_figure(&out, "read_errors_total", "counter", "Failed reads of the journal.", (double)j->read_errors);
	add_figure(&out, "behind_entries", "gauge", "Synced entries not folded yet.",
		(double)(j->limit.seq > j->at.seq ? j->limit.seq - j->at.seq : 0));
	ipc_send(j->web, CHANNEL_METRICS_TEXT, m->id, out.data, out.len, -1);
	buf_fini(&out);
}

static void send_json(struct judge *j, const struct ipc_message *m, int rc, struct json *json, const struct err *e)
{
	if (rc == 0)
		ipc_send(j->web, CHANNEL_JSON, m->id, json->out.data, json->out.len, -1);
	else
		ipc_send(j->web, CHANNEL_FAILED, m->id, e->text, strlen(e->text), -1);
	json_fini(json);
}

static void answer_ledger_question(struct judge *j, const struct ipc_message *m)
{
	char subject[CHANNEL_SUBJECT];
	struct json json = {0};
	int64_t from, until;
	struct err e;
	int rc;

	if (channel_ledger_decode(m->body, m->len, subject, &from, &until) < 0)
		rc = err_set(&e, "the question does not decode");
	else
		rc = answer_ledger(j->book, subject, from, until, &json, &e);
	send_json(j, m, rc, &json, &e);
}

static const char *or_nothing(const char *text)
{
	return text[0] != '\0' ? text : NULL;
}

static void answer_availability(struct judge *j, const struct ipc_message *m)
{
	struct figures_sources sources = {process_inventory(j->process), duty_calendar(j->duty), book_ledger(j->book),
		book_plans(j->book)};
	struct channel_availability asked;
	struct figures figures = {0};
	struct json json = {0};
	struct err e;
	int rc;

	if (channel_availability_decode(m->body, m->len, &asked) < 0 || asked.form >= FIGURES_FORMS) {
		rc = err_set(&e, "the question does not decode");
	} else {
		struct figures_wish wish = {.period = asked.period, .unit = or_nothing(asked.unit), .system = or_nothing(asked.system),
			.link = or_nothing(asked.link), .family = asked.family, .always = asked.always, .measured = asked.measured,
			.with_planned = asked.with_planned};

		rc = figures_make(&wish, &sources, &figures, &e) == FIGURES_FINE ? 0 : -1;
		if (rc == 0)
			figures_write(&wish, &figures, (enum figures_form)asked.form, &json.out);
	}
	figures_fini(&figures);
	send_json(j, m, rc, &json, &e);
}

static void answer_states(struct judge *j, const struct ipc_message *m)
{
	struct cursor c = cursor_over(m->body, m->len);
	uint64_t known = cursor_u64(&c);
	struct buf out = {0};

	present_answer(&j->present, j->book, c.failed ? 0 : known, &out);
	ipc_send(j->web, CHANNEL_STATES_ROWS, m->id, out.data, out.len, -1);
	buf_fini(&out);
}

static void on_web(void *ctx, struct ipc_message *m)
{
	struct judge *j = ctx;
	struct json json = {0};
	struct err e;

	if (m->type == CHANNEL_METRICS)
		answer_metrics(j, m);
	else if (m->type == CHANNEL_STATES)
		answer_states(j, m);
	else if (m->type == CHANNEL_LEDGER)
		answer_ledger_question(j, m);
	else if (m->type == CHANNEL_AVAILABILITY)
		answer_availability(j, m);
	else if (m->type == CHANNEL_INCIDENTS)
		send_json(j, m, answer_incidents(j->book, &json, &e), &json, &e);
}

static void on_web_gone(void *ctx, const char *why)
{
	struct judge *j = ctx;

	log_debug("the channel to web is gone why=\"%s\"", why);
	ipc_free(j->web);
	j->web = NULL;
}

static void on_ingest(void *ctx, struct ipc_message *m)
{
	struct judge *j = ctx;
	struct position synced;

	if (m->type != CHANNEL_SYNCED || channel_position_decode(m->body, m->len, &synced) < 0 || synced.seq == 0)
		return;
	j->limit = synced;
	if (j->reader != NULL)
		journal_reader_limit(j->reader, synced);
	if (!evtimer_pending(j->reading, NULL))
		schedule(j->reading, 0);
}

static void on_ingest_gone(void *ctx, const char *why)
{
	struct judge *j = ctx;

	log_debug("the channel to ingest is gone why=\"%s\"", why);
	ipc_free(j->ingest);
	j->ingest = NULL;
}

/* It says nothing. */
static void on_notify(void *ctx, struct ipc_message *m)
{
	(void)ctx;
	if (m->fd >= 0)
		close(m->fd);
}

static void on_notify_gone(void *ctx, const char *why)
{
	struct judge *j = ctx;

	log_debug("the channel to notify is gone why=\"%s\"", why);
	ipc_free(j->notify);
	j->notify = NULL;
}

/* ---- life */

static void connect_notify(struct judge *j, int fd)
{
	ipc_free(j->notify);
	j->notify = ipc_new(fd);
	ipc_start(j->notify, process_base(j->process), on_notify, on_notify_gone, j);
}

static void on_peer(void *ctx, enum process_role peer, int fd)
{
	struct judge *j = ctx;

	if (peer == PROCESS_INGEST) {
		ipc_free(j->ingest);
		j->ingest = ipc_new(fd);
		ipc_start(j->ingest, process_base(j->process), on_ingest, on_ingest_gone, j);
		j->passed = (struct position){0, 0};
		tell_passed(j);
	} else if (peer == PROCESS_NOTIFY) {
		connect_notify(j, fd);
	} else {
		ipc_free(j->web);
		j->web = ipc_new(fd);
		ipc_start(j->web, process_base(j->process), on_web, on_web_gone, j);
	}
}

static int take_duty(struct judge *j, struct duty *next)
{
	struct duty *before = j->duty;
	struct incident_settings settings;

	if (next == NULL)
		return -1;
	duty_settings(next, &settings);
	book_settings(j->book, &settings);
	j->duty = next;
	duty_free(before);
	return 0;
}

static void on_reload(void *ctx)
{
	struct judge *j = ctx;
	struct err e;

	if (take_duty(j, duty_load(process_settings(j->process), &e)) < 0)
		log_error("how incidents are told stays as it was: %s", e.text);

	end_refold(j); /* its inventory goes; the window is still noted */
	evtimer_del(j->refolding);
	if (book_plan(j->book, process_inventory(j->process), &e) < 0)
		give_up(j, &e);
}

static void on_stop(void *ctx)
{
	struct judge *j = ctx;

	if (commit(j) == 0)
		process_end(j->process, 0);
}

static int judge_open(struct judge *j, struct process *p)
{
	struct duty *duty;
	struct err e;

	j->process = p;
	if (confine_judge(process_settings(p), &e) == 0)
		j->book = book_open(process_settings(p)->state, &e);
	duty = j->book != NULL ? duty_new(process_settings(p), process_take_calendar(p), &e) : NULL;
	if (take_duty(j, duty) < 0 || book_plan(j->book, process_inventory(p), &e) < 0) {
		log_error("judgement cannot begin: %s", e.text);
		book_close(j->book);
		return -1;
	}
	j->at = book_cursor(j->book);
	j->reading = evtimer_new(process_base(p), on_reading, j);
	j->committing = evtimer_new(process_base(p), on_committing, j);
	j->refolding = evtimer_new(process_base(p), on_refolding, j);
	schedule(j->committing, COMMIT_EVERY);
	return 0;
}

static void judge_close(struct judge *j)
{
	event_free(j->reading);
	event_free(j->committing);
	event_free(j->refolding);
	ipc_free(j->ingest);
	ipc_free(j->web);
	ipc_free(j->notify);
	journal_reader_close(j->reader);
	refold_free(j->refold);
	present_fini(&j->present);
	book_close(j->book);
	duty_free(j->duty);
}

int judge_run(struct process *p)
{
	static const struct process_events events = {on_peer, on_reload, on_stop, NULL};
	struct judge j = {0};
	int status;

	if (judge_open(&j, p) < 0)
		return 1;
	log_info("judgement is ready cursor=%" PRIu64, j.at.seq);
	process_on(p, &events, &j);
	process_ready(p);
	status = process_loop(p);
	judge_close(&j);
	return status;
}
