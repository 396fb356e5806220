#include "agent/keeper.h"

#include <event2/event.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/ipc.h"
#include "lib/log.h"
#include "lib/mem.h"

#define CLOSE_RANGE 436 /* system call, the same everywhere; older headers do not have it */
#define PAUSE_MIN (500 * NS_PER_MS)
#define PAUSE_MAX (60 * NS_PER_S) /* one that lived as long begins anew at once */
#define FIRST_WITHIN (60 * NS_PER_S) /* a new process on a loaded machine */
#define BROKEN "it broke the rules"

/* Of the keeper, the only one: with the engine's end of a channel to a process that begins. */
enum { MESSAGE_BEGINS = 1 };

struct keeper {
	pid_t pid;
	struct ipc *line;    /* to it, NULL once it is gone */
	struct ipc *channel; /* to the process, NULL while there is none */
	struct event *ended; /* of a channel that is waited on */
	struct event_base *base;
	struct keeper_events events;
};

/* ---- in the keeper */

/* The one descriptor that stays, beside input, output and errors. */
static int keep_alone(int fd)
{
	fd = dup2(fd, STDERR_FILENO + 1);
	if (syscall(CLOSE_RANGE, STDERR_FILENO + 2, ~0u, 0) != 0) {
		for (int other = STDERR_FILENO + 2; other < 4096; other++)
			close(other);
	}
	return fd;
}

/* -1: no process could be made. */
static pid_t begin(struct ipc *engine, const struct keeper_work *w)
{
	struct err e;
	int fds[2];
	pid_t pid;

	if (ipc_pair(fds, &e) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_NAME, w->name);
		w->live(keep_alone(fds[1]), w->ctx);
		_exit(0);
	}
	close(fds[1]);
	if (pid > 0)
		ipc_send_wait(engine, MESSAGE_BEGINS, 0, NULL, 0, fds[0], &e); /* else it is gone, which is seen */
	close(fds[0]);
	return pid;
}

/* Whether the engine is gone within the time: it never says anything. */
static bool is_gone(const struct ipc *engine, int64_t within)
{
	struct pollfd p = {.fd = ipc_fd(engine), .events = POLLIN};

	return poll(&p, 1, (int)(within / NS_PER_MS)) > 0;
}

static void keep(int fd, const struct keeper_work *w)
{
	int64_t pause = PAUSE_MIN;
	struct ipc *engine;
	struct err e;

	prctl(PR_SET_NAME, w->keeper);
	/* A terminal's Ctrl-C reaches the whole group; this ends when the engine does. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	engine = ipc_new(keep_alone(fd));
	if (w->confine(&e) < 0) {
		log_error("%s cannot begin: %s", w->keeper, e.text);
		return;
	}
	for (;;) {
		int64_t began = clock_mono();
		pid_t pid = begin(engine, w);

		/* It ends when the engine does, too. */
		if (pid > 0)
			waitpid(pid, NULL, 0);
		if (clock_mono() - began >= PAUSE_MAX)
			pause = PAUSE_MIN;
		if (is_gone(engine, pause))
			return;
		pause = 2 * pause < PAUSE_MAX ? 2 * pause : PAUSE_MAX;
	}
}

/* ---- in the engine */

struct ipc *keeper_channel(const struct keeper *k)
{
	return k->channel;
}

static void forget_process(struct keeper *k)
{
	if (k->ended != NULL)
		event_free(k->ended);
	k->ended = NULL;
	ipc_free(k->channel);
	k->channel = NULL;
}

void keeper_give_up(struct keeper *k, const char *why)
{
	forget_process(k);
	k->events.on_change(k->events.ctx, k->line != NULL ? KEEPER_GONE : KEEPER_LOST, why);
}

static void on_gone(void *ctx, const char *why)
{
	keeper_give_up(ctx, why);
}

static void on_message(void *ctx, struct ipc_message *m)
{
	struct keeper *k = ctx;

	if (m->fd < 0) {
		k->events.on_message(k->events.ctx, m);
		return;
	}
	close(m->fd);
	keeper_give_up(k, BROKEN);
}

/* Unasked there is nothing to be read but the end. */
static void on_ended(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd, (void)what;
	keeper_give_up(ctx, "it has ended");
}

static void listen_to_process(struct keeper *k)
{
	if (k->events.on_message != NULL) {
		ipc_start(k->channel, k->base, on_message, on_gone, k);
		return;
	}
	k->ended = event_new(k->base, ipc_fd(k->channel), EV_READ, on_ended, k);
	event_add(k->ended, NULL);
}

/* A process that is there lives on without its keeper. */
static void on_line_gone(void *ctx, const char *why)
{
	struct keeper *k = ctx;

	ipc_free(k->line);
	k->line = NULL;
	waitpid(k->pid, NULL, WNOHANG);
	if (k->channel == NULL)
		k->events.on_change(k->events.ctx, KEEPER_LOST, why);
}

static void on_line_message(void *ctx, struct ipc_message *m)
{
	struct keeper *k = ctx;

	if (m->type != MESSAGE_BEGINS || m->fd < 0) {
		if (m->fd >= 0)
			close(m->fd);
		on_line_gone(k, BROKEN);
		return;
	}
	if (k->channel != NULL)
		keeper_give_up(k, "it has ended"); /* which was not heard yet */
	k->channel = ipc_new(m->fd);
	listen_to_process(k);
	k->events.on_change(k->events.ctx, KEEPER_BACK, "");
}

void keeper_watch(struct keeper *k, struct event_base *base, const struct keeper_events *events)
{
	k->base = base;
	k->events = *events;
	listen_to_process(k);
	ipc_start(k->line, base, on_line_message, on_line_gone, k);
}

static int fork_keeper(struct keeper *k, const struct keeper_work *w, struct err *e)
{
	int fds[2];

	if (ipc_pair(fds, e) < 0)
		return -1;
	k->pid = fork();
	if (k->pid == 0) {
		keep(fds[1], w);
		_exit(0);
	}
	if (k->pid < 0)
		err_errno(e, "cannot fork %s", w->keeper);
	close(fds[1]);
	k->line = ipc_new(fds[0]);
	return k->pid > 0 ? 0 : -1;
}

struct keeper *keeper_start(const struct keeper_work *w, struct err *e)
{
	struct keeper *k = mem_alloc(sizeof *k);
	struct ipc_message m;

	if (fork_keeper(k, w, e) == 0 && ipc_receive(k->line, &m, FIRST_WITHIN, e) == 0) {
		k->channel = ipc_new(m.fd);
		return k;
	}
	keeper_free(k);
	return NULL;
}

void keeper_free(struct keeper *k)
{
	if (k == NULL)
		return;
	forget_process(k);
	ipc_free(k->line);
	if (k->pid > 0)
		waitpid(k->pid, NULL, WNOHANG);
	free(k);
}
