#include "collector/notice/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "collector/notice/commands.h"
#include "collector/notice/runner_message.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/fence.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/offspring.h"

#define CLOSE_RANGE 436 /* system call, the same everywhere; older headers do not have it */
#define LOOK_AGAIN_MS 200
#define FAILED_TO_BEGIN 127
#define AGAIN_MIN (100 * NS_PER_MS) /* a runner that was killed is there again after this, later and later */
#define AGAIN_MAX (5 * NS_PER_S)
#define STABLE_AFTER (10 * NS_PER_S) /* at once, if it lived this long */

struct runner {
	struct commands *commands;
	uid_t uid;
	gid_t gid;
	int socket;
};

/* ---- the command's process, until it is another program */

static void set_limit(int what, rlim_t limit)
{
	struct rlimit r = {limit, limit};

	setrlimit((__rlimit_resource_t)what, &r);
}

static void set_limits(int64_t timeout)
{
	set_limit(RLIMIT_NPROC, 256);
	set_limit(RLIMIT_CPU, (rlim_t)(timeout / NS_PER_S) + 2);
	set_limit(RLIMIT_FSIZE, 16u << 20);
	set_limit(RLIMIT_NOFILE, 256);
	set_limit(RLIMIT_CORE, 0);
	set_limit(RLIMIT_AS, (rlim_t)2 << 30);
}

static void close_from(int first)
{
	if (syscall(CLOSE_RANGE, first, ~0u, 0) == 0)
		return;
	for (int fd = first; fd < 4096; fd++)
		close(fd);
}

static int become(const struct runner *r, struct err *e)
{
	if (setgroups(0, NULL) != 0 || setresgid(r->gid, r->gid, r->gid) != 0 || setresuid(r->uid, r->uid, r->uid) != 0)
		return err_errno(e, "becoming user %u", (unsigned)r->uid);
	return fence_keep_capabilities(0, e);
}

static void reset_signals(void)
{
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Fails by saying why where its output goes. */
static void command_main(const struct runner *r, const struct allowed_command *c, const struct runner_ask *a, const int io[2])
{
	char *argv[COMMANDS_ARGS_MAX + 2] = {(char *)(uintptr_t)c->path}, *environment[RUNNER_VARIABLES + 4];
	struct err e;
	char *real;
	size_t n = 0;

	for (size_t i = 0; i < c->argv.count; i++)
		argv[1 + i] = (char *)(uintptr_t)c->argv.items[i];
	for (; n < a->count; n++)
		environment[n] = a->variables[n];
	environment[n++] = (char *)(uintptr_t)"PATH=/usr/local/bin:/usr/bin:/bin";
	environment[n++] = (char *)(uintptr_t)"LC_ALL=C.UTF-8";
	environment[n++] = (char *)(uintptr_t)"HOME=/";
	environment[n] = NULL;
	reset_signals();
	setsid();
	umask(077);
	dup2(io[0], STDIN_FILENO);
	dup2(io[1], STDOUT_FILENO);
	dup2(io[1], STDERR_FILENO);
	close_from(STDERR_FILENO + 1);
	real = commands_resolve(c, &e); /* the file may have been exchanged since the start */
	if (real != NULL && chdir("/") == 0 && become(r, &e) == 0) {
		set_limits(a->timeout);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		execve(real, argv, environment);
		err_errno(&e, "%.300s", real);
	}
	if (write(STDOUT_FILENO, e.text, strlen(e.text)) < 0)
		_exit(FAILED_TO_BEGIN);
	_exit(FAILED_TO_BEGIN);
}

/* ---- the keeper of one command */

struct keeper {
	pid_t pid;
	int in, out, answer;
	const uint8_t *input;
	size_t left; /* of the input */
	struct buf output;
	int64_t deadline;
	bool is_late, is_alone, has_ended;
	int status;
};

static void feed(struct keeper *k)
{
	ssize_t n = k->left > 0 ? write(k->in, k->input, k->left) : 0;

	if (n > 0) {
		k->input += n;
		k->left -= (size_t)n;
	}
	if (k->left == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) {
		close(k->in);
		k->in = -1;
	}
}

/* What is beyond the room is read and thrown away. False: there is no more for now. */
static bool hear(struct keeper *k)
{
	uint8_t bytes[4096];
	ssize_t n = k->out >= 0 ? read(k->out, bytes, sizeof bytes) : -1;
	size_t room = RUNNER_OUTPUT_MAX - k->output.len;

	if (n > 0)
		buf_add(&k->output, bytes, (size_t)n < room ? (size_t)n : room);
	if (n == 0) {
		close(k->out);
		k->out = -1;
	}
	return n > 0;
}

/* Waits for something to do; a child that has ended is looked for at least every LOOK_AGAIN_MS. */
static void wait_for(struct keeper *k)
{
	struct pollfd fds[3] = {{.fd = k->answer}, {.fd = k->in, .events = POLLOUT}, {.fd = k->out, .events = POLLIN}};
	sigset_t none;
	const struct timespec limit = {0, LOOK_AGAIN_MS * NS_PER_MS};

	sigemptyset(&none);
	if (ppoll(fds, 3, &limit, &none) <= 0) /* SIGCHLD comes in here alone */
		return;
	k->is_alone = (fds[0].revents & (POLLHUP | POLLERR)) != 0;
	if ((fds[1].revents & (POLLOUT | POLLERR)) != 0)
		feed(k);
	if (fds[2].revents != 0)
		hear(k);
}

static void reap(struct keeper *k)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid != k->pid)
			continue;
		k->has_ended = true;
		k->status = status;
	}
}

static void end_all(void)
{
	const struct timespec moment = {0, NS_PER_MS};

	for (;;) {
		pid_t pid;

		offspring_end(NULL, 0);
		while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
			;
		if (pid < 0)
			return;
		nanosleep(&moment, NULL);
	}
}

static void say(int fd, enum runner_how how, int status, const void *output, size_t len)
{
	struct buf body = {0};

	runner_message_put_end(&body, &(struct runner_end){how, status, output, len});
	send(fd, body.data, body.len, MSG_NOSIGNAL); /* fits the socket's room */
	buf_fini(&body);
}

static void say_end(const struct keeper *k)
{
	if (k->is_late)
		say(k->answer, RUNNER_LATE, 0, k->output.data, k->output.len);
	else if (WIFSIGNALED(k->status))
		say(k->answer, RUNNER_SIGNALLED, WTERMSIG(k->status), k->output.data, k->output.len);
	else if (WEXITSTATUS(k->status) == FAILED_TO_BEGIN)
		say(k->answer, RUNNER_FAILED, 0, k->output.data, k->output.len);
	else
		say(k->answer, RUNNER_EXITED, WEXITSTATUS(k->status), k->output.data, k->output.len);
}

static void keep(struct keeper *k)
{
	while (!k->has_ended && !k->is_late && !k->is_alone) {
		wait_for(k);
		reap(k);
		k->is_late = !k->has_ended && clock_mono() >= k->deadline;
	}
	end_all();
	/* All who could write have ended: what they wrote is there. */
	while (hear(k))
		;
	if (!k->is_alone)
		say_end(k);
}

static void on_nothing(int number)
{
	(void)number;
}

static int open_pipes(int in[2], int out[2])
{
	return pipe2(in, O_CLOEXEC) == 0 && pipe2(out, O_CLOEXEC) == 0 && fcntl(in[1], F_SETFL, O_NONBLOCK) == 0 &&
		fcntl(out[0], F_SETFL, O_NONBLOCK) == 0 ? 0 : -1;
}

static void keeper_main(const struct runner *r, const struct allowed_command *c, const struct runner_ask *a, int answer)
{
	struct keeper k = {.answer = answer, .input = a->input, .left = a->input_len, .deadline = clock_mono() + a->timeout};
	int in[2], out[2];
	sigset_t chld;

	prctl(PR_SET_NAME, "xj-command");
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	close(r->socket);
	sigemptyset(&chld);
	sigaddset(&chld, SIGCHLD);
	sigprocmask(SIG_BLOCK, &chld, NULL);
	signal(SIGCHLD, on_nothing);
	k.pid = open_pipes(in, out) == 0 ? fork() : -1;
	if (k.pid == 0)
		command_main(r, c, a, (const int[2]){in[0], out[1]});
	if (k.pid < 0) {
		const char *words = strerror(errno);

		say(answer, RUNNER_FAILED, 0, words, strlen(words));
		_exit(1);
	}
	close(in[0]);
	close(out[1]);
	k.in = in[1];
	k.out = out[0];
	keep(&k);
	_exit(0);
}

/* ---- the runner */

static void serve(const struct runner *r, const struct runner_ask *a, int answer, size_t *running)
{
	const struct allowed_command *c = commands_find(r->commands, a->name);
	struct err e;
	pid_t pid;

	if (c == NULL) {
		err_set(&e, "there is no command %.63s in the file that was read at the start", a->name);
		say(answer, RUNNER_FAILED, 0, e.text, strlen(e.text));
		return;
	}
	pid = *running < RUNNER_PLACES ? fork() : -1;
	if (pid == 0)
		keeper_main(r, c, a, answer);
	if (pid > 0)
		++*running;
	else
		say(answer, RUNNER_BUSY, 0, NULL, 0);
}

static bool is_gone(int fd)
{
	struct pollfd p = {.fd = fd};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLHUP) != 0;
}

/* One packet and the descriptor that rides on it; -1: there is nobody any more. */
static ssize_t receive(int fd, void *bytes, size_t room, int *rides)
{
	char control[CMSG_SPACE(sizeof(int))];
	struct iovec data = {bytes, room};
	struct msghdr m = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control, .msg_controllen = sizeof control};
	ssize_t n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&m) : NULL;

	*rides = -1;
	if (n < 0)
		return errno == EINTR ? 0 : -1;
	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS && c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(rides, CMSG_DATA(c), sizeof(int));
	if (n == 0) /* an empty packet, or the end */
		return is_gone(fd) ? -1 : 0;
	return (m.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) != 0 ? 0 : n;
}

static void runner_main(const struct runner *r)
{
	uint8_t *bytes = mem_alloc(RUNNER_ASK_MAX);
	size_t running = 0;
	ssize_t n;
	int answer;

	while ((n = receive(r->socket, bytes, RUNNER_ASK_MAX, &answer)) >= 0) {
		struct runner_ask a = {.count = 0};

		while (waitpid(-1, NULL, WNOHANG) > 0)
			running--;
		if (answer >= 0 && runner_message_read_ask(bytes, (size_t)n, &a) == 0)
			serve(r, &a, answer, &running);
		runner_message_fini_ask(&a);
		if (answer >= 0)
			close(answer);
	}
}

/* ---- its guard */

static pid_t start_runner(const struct runner *r)
{
	pid_t pid = fork();

	if (pid == 0) {
		prctl(PR_SET_NAME, "xj-runner");
		runner_main(r);
		_exit(0);
	}
	return pid;
}

/* Nobody else has the rights to start another one. What is asked meanwhile waits in the socket, which we hold open. */
static void guard(const struct runner *r)
{
	int64_t delay = 0;

	for (;;) {
		int64_t began = clock_mono();
		pid_t pid = start_runner(r);
		int status = -1;

		if (pid > 0 && waitpid(pid, &status, 0) == pid && status == 0)
			return; /* it has seen that nobody can ask any more */
		delay = delay == 0 ? AGAIN_MIN : delay * 2 < AGAIN_MAX ? delay * 2 : AGAIN_MAX;
		if (clock_mono() - began >= STABLE_AFTER)
			delay = 0;
		log_error("the process that starts commands was killed, starting it again status=%#x", (unsigned)status);
		nanosleep(&(struct timespec){delay / NS_PER_S, delay % NS_PER_S}, NULL);
	}
}

static void prepare_and_run(struct runner *r)
{
	const uint64_t kept = UINT64_C(1) << CAP_SETUID | UINT64_C(1) << CAP_SETGID | UINT64_C(1) << CAP_KILL;
	struct err e;

	prctl(PR_SET_NAME, "xj-runner-guard");
	/* A terminal's Ctrl-C reaches the whole group; it ends when nobody can ask any more. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL);
	r->socket = dup2(r->socket, STDERR_FILENO + 1);
	close_from(STDERR_FILENO + 2);
	if (r->socket < 0 || fence_keep_capabilities(kept, &e) < 0) {
		log_error("the runner of commands cannot begin: %s", r->socket < 0 ? strerror(errno) : e.text);
		_exit(1);
	}
	fcntl(r->socket, F_SETFD, FD_CLOEXEC);
	guard(r);
	_exit(0);
}

static int find_user(struct runner *r, const char *collector, struct err *e)
{
	uid_t other = 0;
	gid_t group;

	if (geteuid() != 0)
		return err_set(e, "commands need a collector that is started as root: they become another user");
	if (fence_find_user(r->commands->user, &r->uid, &r->gid, e) < 0)
		return err_wrap(e, "user");
	if (r->uid == 0 || r->gid == 0)
		return err_set(e, "user: commands do not run as root");
	if (*collector != '\0' && fence_find_user(collector, &other, &group, e) < 0)
		return -1;
	return r->uid != other ? 0 : err_set(e, "user: commands do not run as the user of the collector, who could be harmed by them");
}

int runner_start(const char *path, const char *collector, struct err *e)
{
	struct runner r = {.commands = commands_load(path, e)};
	int fds[2] = {-1, -1};
	pid_t pid = -1;

	if (r.commands == NULL)
		return -1;
	if (find_user(&r, collector, e) < 0)
		err_wrap(e, "%.200s", path);
	else if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) != 0 || (pid = fork()) < 0)
		err_errno(e, "cannot start the runner of commands");
	if (pid == 0) {
		close(fds[0]);
		r.socket = fds[1];
		prepare_and_run(&r);
	}
	commands_free(r.commands);
	if (fds[1] >= 0)
		close(fds[1]);
	if (pid > 0)
		return fds[0];
	if (fds[0] >= 0)
		close(fds[0]);
	return -1;
}

/* ---- whoever sends */

int runner_send(int runner, const struct runner_ask *a, struct err *e)
{
	union {
		char bytes[CMSG_SPACE(sizeof(int))];
		struct cmsghdr align;
	} control = {{0}};
	struct buf body = {0};
	struct iovec data;
	struct msghdr m = {.msg_iov = &data, .msg_iovlen = 1, .msg_control = control.bytes, .msg_controllen = sizeof control.bytes};
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	int fds[2], rc;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds) != 0)
		return err_errno(e, "no way for an answer");
	runner_message_put_ask(&body, a);
	data = (struct iovec){body.data, body.len};
	*c = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
	memcpy(CMSG_DATA(c), &fds[1], sizeof(int));
	rc = sendmsg(runner, &m, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0 ? fds[0] : errno == EAGAIN ? -1 : RUNNER_GONE;
	if (rc == -1)
		err_set(e, "the process that starts commands is busy");
	else if (rc == RUNNER_GONE)
		err_set(e, RUNNER_GONE_WORDS);
	if (rc < 0)
		close(fds[0]);
	buf_fini(&body);
	close(fds[1]);
	return rc;
}
