#include "agent/spawner_run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "agent/plugins.h"
#include "agent/spawner.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/fence.h"
#include "lib/offspring.h"
#include "probes/exec.h"

#define CLOSE_RANGE 436 /* system call, the same everywhere; older headers do not have it */
#define FIRST_FD 3      /* after input, output, errors */
#define GRACE NS_PER_S  /* after the deadline the first process ends by itself */
#define LOOK_AGAIN (500 * NS_PER_MS)
#define PROCESSES_MAX 192u /* of the user of plugins, with */
#define PROCESSES_ROOM 64u /* for each that runs */
#define NICER 10 /* many that spin leave the processor to what ends them, and to what measures */
#define RAW_SOCKETS (UINT64_C(1) << CAP_NET_RAW | UINT64_C(1) << CAP_NET_BIND_SERVICE)

static const char *const environment[] = {"PATH=/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", "LC_ALL=C", "LANG=C",
	"HOME=/", NULL};

/* ---- the plugin's process, until it is another program */

static rlim_t own_processes(void)
{
	DIR *d = opendir("/proc");
	struct dirent *entry;
	rlim_t n = 0;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		char path[300];
		struct stat st;

		snprintf(path, sizeof path, "/proc/%.200s/task", entry->d_name);
		if (stat(path, &st) == 0 && st.st_uid == getuid() && st.st_nlink > 2)
			n += st.st_nlink - 2; /* threads count */
	}
	if (d != NULL)
		closedir(d);
	return n;
}

static void set_limit(int what, rlim_t limit)
{
	struct rlimit r = {limit, limit};

	setrlimit((__rlimit_resource_t)what, &r);
}

/* The kernel counts the processes of a user, all plugins in one: each begins with room of its own above what those before
 * it may have taken, so that one that forks without end leaves some for the next. */
static void set_limits(const struct spawner_rights *rights, const struct spawner_job *job)
{
	rlim_t seconds = (rlim_t)(job->timeout / NS_PER_S) + 2;

	set_limit(RLIMIT_NPROC, rights->has_user ? PROCESSES_MAX + PROCESSES_ROOM * job->places : own_processes() + 128);
	set_limit(RLIMIT_CPU, seconds);
	set_limit(RLIMIT_FSIZE, 16u << 20);
	set_limit(RLIMIT_NOFILE, 256);
	set_limit(RLIMIT_CORE, 0);
	set_limit(RLIMIT_AS, (rlim_t)4 << 30);
}

static int become(const struct spawner_rights *rights, bool keeps_raw, struct err *e)
{
	if (keeps_raw && prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) != 0)
		return err_errno(e, "keeping capabilities");
	if (rights->has_user && (setgroups(0, NULL) != 0 || setresgid(rights->gid, rights->gid, rights->gid) != 0 ||
		setresuid(rights->uid, rights->uid, rights->uid) != 0))
		return err_errno(e, "becoming user %u", (unsigned)rights->uid);
	return fence_pass_capabilities(keeps_raw ? RAW_SOCKETS : 0, e);
}

static void say(int fd, enum exec_how what, int status)
{
	const struct spawner_run_said said = {what, status};

	if (write(fd, &said, sizeof said) < 0)
		_exit(1);
}

static void reset_signals(void)
{
	sigset_t none;

	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

struct ends {
	int out, err, status; /* to write to */
};

/* Where memory lacks, plugins go before all others, whatever the agent is held to: what one measures is asked again. */
static void offer_to_the_killer(void)
{
	int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, "1000", 4) < 0)
		return;
	close(fd);
}

static void plugin_main(const struct spawner_rights *rights, const struct spawner_job *job, const char *real,
	const struct ends *ends)
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC), status = fcntl(ends->status, F_DUPFD_CLOEXEC, 10);
	struct err e;

	reset_signals();
	setsid();
	umask(077);
	offer_to_the_killer();
	setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + NICER);
	if (chdir("/") != 0 || nothing < 0 || status < 0 || dup2(nothing, STDIN_FILENO) < 0 ||
		dup2(ends->out, STDOUT_FILENO) < 0 || dup2(ends->err, STDERR_FILENO) < 0 || become(rights, job->plugin->raw_sockets, &e) < 0) {
		say(ends->status, EXEC_FAILED, errno);
		_exit(127);
	}
	set_limits(rights, job);
	execve(real, job->argv, (char *const *)environment);
	say(status, EXEC_FAILED, errno);
	_exit(127);
}

/* ---- the first process */

static void say_wait(int fd, int status)
{
	if (WIFEXITED(status))
		say(fd, EXEC_EXITED, WEXITSTATUS(status));
	else
		say(fd, EXEC_SIGNALLED, WTERMSIG(status));
}

/* In a namespace the kernel does that when the first process ends. */
static void end_all(const struct spawner_rights *rights)
{
	const struct timespec moment = {0, NS_PER_MS};

	if (rights->has_namespaces)
		return;
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

/* Whether the spawner is gone: nobody else reads. It may have ended before we asked to be told of it. */
static bool is_alone(int status_fd)
{
	struct pollfd p = {.fd = status_fd};

	return poll(&p, 1, 0) == 1 && (p.revents & POLLERR) != 0;
}

/* Until the plugin ends, the spawner asks, is gone, or time is over. */
static void wait_for(const struct spawner_rights *rights, pid_t plugin, int64_t deadline, int status_fd)
{
	sigset_t wanted;

	sigemptyset(&wanted);
	sigaddset(&wanted, SIGCHLD);
	sigaddset(&wanted, SIGTERM);
	for (;;) {
		int64_t left = deadline - clock_mono();
		const struct timespec limit = {0, left <= 0 ? 0 : left < LOOK_AGAIN ? left : LOOK_AGAIN};
		int signal = sigtimedwait(&wanted, NULL, &limit), status;
		pid_t pid;

		if (signal == SIGTERM || left <= 0 || is_alone(status_fd))
			break;
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0 && pid != plugin)
			;
		if (pid == plugin) {
			say_wait(status_fd, status);
			break;
		}
	}
	end_all(rights);
}

/* Nothing else of the spawner's stays open. */
static void keep_ends(struct ends *ends)
{
	int fds[3] = {ends->out, ends->err, ends->status};

	for (int i = 0; i < 3; i++)
		fds[i] = fcntl(fds[i], F_DUPFD_CLOEXEC, FIRST_FD + 3);
	for (int i = 0; i < 3; i++)
		dup3(fds[i], FIRST_FD + i, O_CLOEXEC);
	if (syscall(CLOSE_RANGE, FIRST_FD + 3, ~0u, 0) != 0) {
		for (int fd = FIRST_FD + 3; fd < 4096; fd++)
			close(fd);
	}
	*ends = (struct ends){FIRST_FD, FIRST_FD + 1, FIRST_FD + 2};
}

static void first_main(const struct spawner_rights *rights, const struct spawner_job *job, struct ends *ends)
{
	struct err e;
	sigset_t all;
	pid_t plugin;
	char *real;

	prctl(PR_SET_NAME, "xj-plugin");
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, NULL);
	prctl(PR_SET_PDEATHSIG, rights->has_namespaces ? SIGKILL : SIGTERM);
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	keep_ends(ends);
	real = plugins_resolve(job->plugin, &e); /* the file may have been exchanged since the start */
	if (real == NULL) {
		if (write(ends->err, e.text, strlen(e.text)) >= 0)
			say(ends->status, EXEC_FAILED, 0);
		_exit(1);
	}
	plugin = fork();
	if (plugin == 0)
		plugin_main(rights, job, real, ends);
	if (plugin < 0) {
		say(ends->status, EXEC_FAILED, errno);
		_exit(1);
	}
	close(ends->out);
	close(ends->err);
	wait_for(rights, plugin, clock_mono() + job->timeout + GRACE, ends->status);
	_exit(0);
}

/* ---- the spawner's side */

/* As fork, with namespaces of the flags. */
static pid_t fork_into(unsigned long flags)
{
	return flags == 0 ? fork() : (pid_t)syscall(SYS_clone, flags | SIGCHLD, NULL, NULL, NULL, NULL);
}

bool spawner_run_has_namespaces(void)
{
	pid_t pid = fork_into(CLONE_NEWPID);

	if (pid == 0)
		_exit(0);
	if (pid > 0)
		waitpid(pid, NULL, 0);
	return pid > 0;
}

static void close_both(int fds[2])
{
	for (int i = 0; i < 2; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

static int open_pipes(int pipes[3][2], struct err *e)
{
	for (int i = 0; i < 3; i++) {
		if (pipe2(pipes[i], O_CLOEXEC) != 0)
			return err_errno(e, "no pipe for a plugin");
		fcntl(pipes[i][0], F_SETFL, O_NONBLOCK);
	}
	return 0;
}

int spawner_run_start(const struct spawner_rights *rights, const struct spawner_job *job, struct spawner_run *run,
	struct err *e)
{
	int pipes[3][2] = {{-1, -1}, {-1, -1}, {-1, -1}};

	if (open_pipes(pipes, e) < 0) {
		run->pid = -1;
	} else {
		run->pid = fork_into(rights->has_namespaces ? CLONE_NEWPID : 0);
		if (run->pid < 0)
			err_errno(e, "no process for a plugin");
	}
	if (run->pid == 0)
		first_main(rights, job, &(struct ends){pipes[0][1], pipes[1][1], pipes[2][1]});
	for (int i = 0; i < 3; i++) {
		if (run->pid < 0) {
			close_both(pipes[i]);
		} else {
			close(pipes[i][1]);
		}
	}
	run->out = pipes[0][0];
	run->err = pipes[1][0];
	run->status = pipes[2][0];
	return run->pid < 0 ? -1 : 0;
}

void spawner_run_kill(const struct spawner_rights *rights, const struct spawner_run *run, bool hard)
{
	kill(run->pid, hard || rights->has_namespaces ? SIGKILL : SIGTERM);
}

/* That the program could not be started is said before that its process has ended. */
struct spawner_run_said spawner_run_read_status(int fd)
{
	struct spawner_run_said said = {0, 0};

	if (read(fd, &said, sizeof said) != (ssize_t)sizeof said || said.what < EXEC_EXITED || said.what > EXEC_FAILED)
		return (struct spawner_run_said){0, 0};
	return said;
}
