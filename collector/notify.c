/*
 * notify: the role that delivers notices (collector/process.h): the only one that connects to anything. Judgement wakes it; how
 * delivery is goes to ingest, which notes it in the journal.
 */
#include "collector/process.h"

#include <assert.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/channel.h"
#include "collector/confine.h"
#include "collector/ingest_self.h"
#include "collector/notice/deliver.h"
#include "collector/notice/roster.h"
#include "collector/notice/runner.h"
#include "collector/settings.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/ipc.h"
#include "lib/log.h"

struct notify {
	struct process *process;
	struct deliver *deliver;
	struct ipc *ingest, *judge, *web;
	struct event *hang_up; /* of the runner of commands */
	bool is_runner_gone;
};

/* ---- what delivery says */

static void tell(struct notify *n, enum self_matter m, bool is_bad, const char *words)
{
	struct buf out = {0};

	if (n->ingest == NULL)
		return;
	channel_note_encode(m, is_bad, words, &out);
	ipc_send(n->ingest, CHANNEL_NOTE, 0, out.data, out.len, -1);
	buf_fini(&out);
}

static void note(void *ctx, enum deliver_matter m, bool is_bad, const char *words)
{
	tell(ctx, m == DELIVER_BEAT ? SELF_BEAT : SELF_NOTICE, is_bad, words);
}

static void tell_commands(struct notify *n)
{
	tell(n, SELF_COMMANDS, n->is_runner_gone, n->is_runner_gone ? RUNNER_GONE_WORDS : "");
}

static void broken(void *ctx)
{
	struct notify *n = ctx;

	process_end(n->process, 1);
}

static void stopped(void *ctx)
{
	struct notify *n = ctx;

	process_end(n->process, 0);
}

/* ---- peers */

static void forget_fd(const struct ipc_message *m)
{
	if (m->fd >= 0)
		close(m->fd);
}

static void on_ingest(void *ctx, struct ipc_message *m)
{
	(void)ctx;
	forget_fd(m); /* how far the journal is synced: nothing here reads it */
}

static void on_judge(void *ctx, struct ipc_message *m)
{
	struct notify *n = ctx;

	forget_fd(m);
	if (m->type == CHANNEL_OUTBOX)
		deliver_wake(n->deliver);
}

static void on_web(void *ctx, struct ipc_message *m)
{
	struct notify *n = ctx;
	struct buf out = {0};

	forget_fd(m);
	if (m->type != CHANNEL_METRICS)
		return;
	deliver_metrics(n->deliver, &out);
	ipc_send(n->web, CHANNEL_METRICS_TEXT, m->id, out.data, out.len, -1);
	buf_fini(&out);
}

static void drop(struct ipc **channel)
{
	ipc_free(*channel);
	*channel = NULL;
}

static void on_ingest_gone(void *ctx, const char *why)
{
	struct notify *n = ctx;

	(void)why;
	drop(&n->ingest);
}

static void on_judge_gone(void *ctx, const char *why)
{
	struct notify *n = ctx;

	(void)why;
	drop(&n->judge);
}

static void on_web_gone(void *ctx, const char *why)
{
	struct notify *n = ctx;

	(void)why;
	drop(&n->web);
}

static void begin(struct notify *n, struct ipc **channel, int fd, void (*on_message)(void *, struct ipc_message *),
	void (*on_gone)(void *, const char *))
{
	drop(channel);
	*channel = ipc_new(fd);
	ipc_start(*channel, process_base(n->process), on_message, on_gone, n);
}

static void on_peer(void *ctx, enum process_role peer, int fd)
{
	struct notify *n = ctx;

	if (peer == PROCESS_INGEST) {
		begin(n, &n->ingest, fd, on_ingest, on_ingest_gone);
		deliver_note_again(n->deliver); /* a new one knows nothing yet */
		tell_commands(n);
	} else if (peer == PROCESS_JUDGE) {
		begin(n, &n->judge, fd, on_judge, on_judge_gone);
		deliver_wake(n->deliver);
	} else {
		begin(n, &n->web, fd, on_web, on_web_gone);
	}
}

/* ---- life */

static void on_reload(void *ctx)
{
	struct notify *n = ctx;
	struct err e;

	if (deliver_reload(n->deliver, process_settings(n->process), process_inventory(n->process), &e) < 0)
		log_error("channels and routes stay as they were: %s", e.text);
}

/* It never writes there. */
static void on_hang_up(evutil_socket_t fd, short what, void *ctx)
{
	struct notify *n = ctx;

	(void)fd, (void)what;
	log_error(RUNNER_GONE_WORDS);
	n->is_runner_gone = true;
	tell_commands(n);
}

static void on_runner(void *ctx, int fd)
{
	struct notify *n = ctx;

	n->hang_up = event_new(process_base(n->process), fd, EV_READ, on_hang_up, n);
	assert(n->hang_up != NULL);
	event_add(n->hang_up, NULL);
	deliver_give_runner(n->deliver, fd);
}

static void on_stop(void *ctx)
{
	struct notify *n = ctx;

	deliver_stop(n->deliver);
}

int notify_run(struct process *p)
{
	static const struct process_events events = {on_peer, on_reload, on_stop, on_runner};
	static const struct deliver_events said = {note, broken, stopped};
	struct roster *roster = process_take_roster(p);
	struct notify n = {.process = p};
	struct err e;
	int status;

	/* The files that channels name are known only from their list. */
	if (confine_notify(process_settings(p), roster, &e) == 0)
		n.deliver = deliver_new(process_base(p), process_settings(p), process_inventory(p), roster, &said, &n, &e);
	else
		roster_free(roster);
	if (n.deliver == NULL) {
		log_error("delivery cannot begin: %s", e.text);
		return 1;
	}
	if (process_settings(p)->notice[0] == '\0')
		log_info("no file of channels is set: nobody is told of incidents");
	process_on(p, &events, &n);
	process_ready(p);
	status = process_loop(p);
	if (n.hang_up != NULL)
		event_free(n.hang_up);
	deliver_free(n.deliver);
	drop(&n.ingest);
	drop(&n.judge);
	drop(&n.web);
	return status;
}
