/* The life of the process above the spawner, see spawner.h. */
#include "agent/spawner.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/confine.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/ipc.h"
#include "lib/log.h"

#define CLOSE_RANGE 436 /* system call, the same everywhere; older headers do not have it */
#define PAUSE_MIN (500 * NS_PER_MS)
#define PAUSE_MAX (60 * NS_PER_S) /* one that lived as long begins anew at once */

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
static pid_t begin(struct ipc *engine, const struct plugins *table, const struct spawner_rights *rights)
{
	struct err e;
	int fds[2];
	pid_t pid;

	if (ipc_pair(fds, &e) < 0)
		return -1;
	pid = fork();
	if (pid == 0) {
		prctl(PR_SET_NAME, "xj-spawner");
		spawner_serve(keep_alone(fds[1]), table, rights);
		_exit(0);
	}
	close(fds[1]);
	if (pid > 0)
		ipc_send_wait(engine, SPAWNER_BEGINS, 0, NULL, 0, fds[0], &e); /* else it is gone, which is seen */
	close(fds[0]);
	return pid;
}

/* Whether the engine is gone within the time: it never says anything. */
static bool is_gone(const struct ipc *engine, int64_t within)
{
	struct pollfd p = {.fd = ipc_fd(engine), .events = POLLIN};

	return poll(&p, 1, (int)(within / NS_PER_MS)) > 0;
}

void spawner_keep(int fd, const struct plugins *table, const struct spawner_rights *rights)
{
	int64_t pause = PAUSE_MIN;
	struct ipc *engine;
	struct err e;

	prctl(PR_SET_NAME, "xj-keeper");
	/* A terminal's Ctrl-C reaches the whole group; this ends when the engine does. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	engine = ipc_new(keep_alone(fd));
	if (confine_spawner(&e) < 0) {
		log_error("the spawner cannot begin: %s", e.text);
		return;
	}
	for (;;) {
		int64_t began = clock_mono();
		pid_t pid = begin(engine, table, rights);

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
