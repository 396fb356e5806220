/*
 * ingest_host: the ingest role alone, in one process, with this program in the place of its parent and of the views;
 * for tests that trace, kill and starve it. It runs collector/ingest.c as it is.
 *
 * usage: ingest_host run -c FILE [lag]     prints "ready"; SIGHUP reloads, SIGTERM stops, SIGUSR1 prints its metrics
 *                                          lag: the view "series" passes nothing
 *        ingest_host ca ...                as xunjian-collector ca
 * Exit status: that of the role.
 */
#include <event2/event.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include "collector/ca.h"
#include "collector/channel.h"
#include "collector/ingest_requests.h"
#include "collector/inventory.h"
#include "collector/process.h"
#include "collector/settings.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/ipc.h"
#include "lib/log.h"

struct process {
	struct event_base *base;
	const char *path;
	struct settings *settings;
	struct inventory *inventory;
	struct process_events events;
	void *ctx;
	int status;
	int asked_at; /* the socket of what people ask */
	int term; /* descriptor of SIGTERM: it comes in one turn with what is to be read, as the word of a parent does */
	/* in the place of the views */
	struct ipc *series, *web;
	struct event *signals[3];
	bool lags;
};

struct event_base *process_base(struct process *p)
{
	return p->base;
}

const struct settings *process_settings(const struct process *p)
{
	return p->settings;
}

const struct inventory *process_inventory(const struct process *p)
{
	return p->inventory;
}

void process_on(struct process *p, const struct process_events *events, void *ctx)
{
	p->events = *events;
	p->ctx = ctx;
}

void process_end(struct process *p, int status)
{
	p->status = status;
	event_base_loopbreak(p->base);
}

void process_ready(struct process *p)
{
	(void)p;
	puts("ready");
	fflush(stdout);
}

/* ---- in the place of the views */

/* As series does, but at once: what is synced has been passed. */
static void on_series(void *ctx, struct ipc_message *m)
{
	struct process *p = ctx;
	struct position at;
	struct buf b = {0};

	if (m->type != CHANNEL_SYNCED || channel_position_decode(m->body, m->len, &at) < 0 || p->lags)
		return;
	channel_passed_encode("series", at, &b);
	ipc_send(p->series, CHANNEL_PASSED, 0, b.data, b.len, -1);
	buf_fini(&b);
}

static void on_web(void *ctx, struct ipc_message *m)
{
	(void)ctx;
	if (m->type != CHANNEL_METRICS_TEXT)
		return;
	fwrite(m->body, 1, m->len, stdout);
	puts("end");
	fflush(stdout);
}

static void on_gone(void *ctx, const char *why)
{
	(void)ctx;
	log_error("ingest closed a channel: %s", why);
}

static struct ipc *connect_peer(struct process *p, enum process_role role,
	void (*on_message)(void *, struct ipc_message *))
{
	struct ipc *mine;
	struct err e;
	int fds[2];

	if (ipc_pair(fds, &e) < 0) {
		log_error("%s", e.text);
		exit(1);
	}
	mine = ipc_new(fds[0]);
	ipc_start(mine, p->base, on_message, on_gone, p);
	p->events.on_peer(p->ctx, role, fds[1]);
	return mine;
}

/* ---- in the place of the parent */

static void on_hangup(evutil_socket_t sig, short what, void *ctx)
{
	struct process *p = ctx;
	struct err e;
	/* Behind the fence of the role the file is out of reach: the same settings, another inventory. */
	struct settings *settings = settings_parse(p->path, p->settings->text, &e), *old_settings = p->settings;
	struct inventory *inventory = settings != NULL ? inventory_load(settings->inventory, &e) : NULL;
	struct inventory *old_inventory = p->inventory;

	(void)sig, (void)what;
	if (inventory == NULL) {
		log_error("%s", e.text);
		settings_free(settings);
		return;
	}
	p->settings = settings;
	p->inventory = inventory;
	p->events.on_reload(p->ctx);
	settings_free(old_settings);
	inventory_free(old_inventory);
	puts("reloaded");
	fflush(stdout);
}

static void on_term(evutil_socket_t fd, short what, void *ctx)
{
	struct process *p = ctx;

	(void)fd, (void)what;
	p->events.on_stop(p->ctx);
}

static void on_usr1(evutil_socket_t sig, short what, void *ctx)
{
	struct process *p = ctx;

	(void)sig, (void)what;
	ipc_send(p->web, CHANNEL_METRICS, 1, NULL, 0, -1);
}

int process_loop(struct process *p)
{
	p->series = connect_peer(p, PROCESS_SERIES, on_series);
	p->web = connect_peer(p, PROCESS_WEB, on_web);
	p->events.on_socket(p->ctx, p->asked_at);
	p->signals[0] = evsignal_new(p->base, SIGHUP, on_hangup, p);
	p->signals[1] = event_new(p->base, p->term, EV_READ, on_term, p);
	p->signals[2] = evsignal_new(p->base, SIGUSR1, on_usr1, p);
	for (int i = 0; i < 3; i++)
		event_add(p->signals[i], NULL);
	event_base_dispatch(p->base);
	for (int i = 0; i < 3; i++)
		event_free(p->signals[i]);
	return p->status;
}

static int run(const char *path, bool lags)
{
	struct process p = {.path = path, .lags = lags};
	sigset_t term;
	struct err e;
	int status = 3;

	signal(SIGPIPE, SIG_IGN);
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, NULL);
	p.term = signalfd(-1, &term, SFD_CLOEXEC);
	p.settings = settings_load(path, &e);
	if (p.settings != NULL)
		p.inventory = inventory_load(p.settings->inventory, &e);
	if (p.inventory == NULL) {
		log_error("%s", e.text);
	} else {
		log_level_set((enum log_level)p.settings->log_level);
		mkdir(p.settings->state, 0700);
		p.asked_at = requests_listen(p.settings->state, &e);
		if (p.asked_at < 0)
			log_error("%s", e.text);
		p.base = event_base_new();
		status = ingest_run(&p);
		ipc_free(p.series);
		ipc_free(p.web);
		event_base_free(p.base);
	}
	inventory_free(p.inventory);
	settings_free(p.settings);
	return status;
}

int main(int argc, char **argv)
{
	log_open("collector/ingest", LOG_LEVEL_INFO);
	if (argc >= 2 && strcmp(argv[1], "ca") == 0)
		return ca_main(argc - 1, argv + 1);
	if (argc >= 4 && strcmp(argv[1], "run") == 0 && strcmp(argv[2], "-c") == 0)
		return run(argv[3], argc > 4 && strcmp(argv[4], "lag") == 0);
	fputs("usage: ingest_host run -c FILE [lag] | ca ...\n", stderr);
	return 2;
}
