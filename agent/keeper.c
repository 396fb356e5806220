#include "agent/keeper.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/ipc.h"
#include "lib/log.h"

#define CLOSE_RANGE 436 /* system call, the same everywhere; older headers do not have it */
#define PAUSE_MIN (500 * NS_PER_MS)
#define PAUSE_MAX (60 * NS_PER_S) /* one that lived as long begins anew at once */
#define FIRST_WITHIN (60 * NS_PER_S) /* a new process on a loaded machine */

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
		ipc_send_wait(engine, KEEPER_BEGINS, 0, NULL, 0, fds[0], &e); /* else it is gone, which is seen */
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

struct ipc *keeper_start(const struct keeper_work *w, pid_t *pid, struct err *e)
{
	int fds[2];

	if (ipc_pair(fds, e) < 0)
		return NULL;
	*pid = fork();
	if (*pid == 0) {
		keep(fds[1], w);
		_exit(0);
	}
	close(fds[1]);
	if (*pid > 0)
		return ipc_new(fds[0]);
	err_errno(e, "cannot fork %s", w->keeper);
	close(fds[0]);
	return NULL;
}

struct ipc *keeper_first(struct ipc *keeper, struct err *e)
{
	struct ipc_message m;

	return ipc_receive(keeper, &m, FIRST_WITHIN, e) == 0 ? ipc_new(m.fd) : NULL;
}
