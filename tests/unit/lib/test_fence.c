/* Each case narrows a child of its own; the child's exit status says what it could do. */
#include "lib/fence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/err.h"

/* Runs it in a child: 0 when it returned true. */
static int in_child(bool (*work)(void))
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(work() ? 0 : 1);
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool can_run_a_program(void)
{
	execl("/bin/true", "true", (char *)NULL);
	return errno != EPERM;
}

static bool opens(const char *path, int flags)
{
	int fd = open(path, flags, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

static bool rights_are_gone(void)
{
	char text[4096] = "";
	struct err e;
	int fd;

	if (fence_drop_rights("65534", &e) < 0 || geteuid() != 65534)
		return false;
	fd = open("/proc/self/status", O_RDONLY);
	if (read(fd, text, sizeof text - 1) <= 0)
		return false;
	close(fd);
	return strstr(text, "CapEff:\t0000000000000000") != NULL && strstr(text, "NoNewPrivs:\t1") != NULL &&
		setuid(0) < 0 && !opens("/etc/shadow", O_RDONLY);
}

static void rights_are_given_up_for_good(void **state)
{
	struct err e;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(in_child(rights_are_gone), 0);
	assert_int_equal(fence_drop_rights("no-such-user-here", &e), -1);
	assert_non_null(strstr(e.text, "no-such-user-here"));
}

static bool paths_are_fenced(void)
{
	static const char *const readable[] = {"/usr", "/nonexistent", NULL}, *const writable[] = {"/tmp", NULL};
	char path[] = "/tmp/test-fence-XXXXXX";
	int active, fd;
	struct err e;

	if (fence_paths(readable, writable, &active, &e) < 0)
		return false;
	if (!active)
		return true; /* a kernel without Landlock: nothing to see */
	fd = mkstemp(path);
	if (fd < 0 || write(fd, "x", 1) != 1 || unlink(path) < 0)
		return false;
	return opens("/usr", O_RDONLY | O_DIRECTORY) && !opens("/etc/passwd", O_RDONLY) &&
		!opens("/usr/test-fence", O_WRONLY | O_CREAT);
}

static void nothing_but_the_named_paths_can_be_reached(void **state)
{
	(void)state;
	assert_int_equal(in_child(paths_are_fenced), 0);
}

static bool engine_is_fenced(void)
{
	struct err e;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || fence_syscalls(FENCE_ENGINE, &e) < 0)
		return false;
	return !can_run_a_program() && socket(AF_INET6, SOCK_STREAM, 0) >= 0 && opens("/tmp", O_RDONLY);
}

static bool worker_is_fenced(void)
{
	struct err e;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || fence_syscalls(FENCE_COMPUTE, &e) < 0)
		return false;
	return !can_run_a_program() && socket(AF_INET, SOCK_STREAM, 0) < 0 && opens("/etc/passwd", O_RDONLY) &&
		!opens("/tmp/test-fence-written", O_WRONLY | O_CREAT) && !opens("/dev/null", O_RDWR) &&
		unlink("/tmp/test-fence-nothing") < 0 && errno == EPERM;
}

static void an_engine_starts_no_program(void **state)
{
	(void)state;
	assert_int_equal(in_child(engine_is_fenced), 0);
}

static void a_worker_has_no_sockets_and_writes_no_files(void **state)
{
	(void)state;
	assert_int_equal(in_child(worker_is_fenced), 0);
}

static bool is_refused(long number, long a, long b)
{
	errno = 0;
	return syscall(number, a, b, 0, 0, 0) < 0 && errno == EPERM;
}

/* As nobody these fail with other words where no filter forbids them. */
static bool engine_has_no_way_to_other_rights(void)
{
	struct err e;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || fence_syscalls(FENCE_ENGINE, &e) < 0)
		return false;
	return is_refused(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0) && is_refused(SYS_clone, CLONE_NEWNET | SIGCHLD, 0) &&
		is_refused(SYS_unshare, CLONE_NEWUSER, 0) && is_refused(SYS_fsopen, -1, 0) &&
		is_refused(SYS_open_tree, -1, 0) && is_refused(SYS_mount, 0, 0) && is_refused(SYS_ptrace, -1, 0) &&
		is_refused(SYS_pidfd_open, getpid(), 0) && is_refused(SYS_bpf, -1, 0) &&
		is_refused(SYS_setreuid, -1, -1) && is_refused(SYS_keyctl, -1, 0) &&
		syscall(SYS_clone3, NULL, 0) < 0 && errno == ENOSYS;
}

static void an_engine_has_no_way_to_other_rights(void **state)
{
	(void)state;
	assert_int_equal(in_child(engine_has_no_way_to_other_rights), 0);
}

static void *count(void *ctx)
{
	(*(int *)ctx)++;
	return NULL;
}

static bool starts_a_thread(void)
{
	pthread_t thread;
	int counted = 0;

	return pthread_create(&thread, NULL, count, &counted) == 0 && pthread_join(thread, NULL) == 0 && counted == 1;
}

static bool engine_works(void)
{
	struct err e;
	pid_t pid;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || fence_syscalls(FENCE_ENGINE, &e) < 0)
		return false;
	pid = fork();
	if (pid == 0)
		_exit(0);
	return pid > 0 && waitpid(pid, NULL, 0) == pid && starts_a_thread() && epoll_create1(0) >= 0;
}

static void an_engine_may_use_threads_and_sockets(void **state)
{
	(void)state;
	assert_int_equal(in_child(engine_works), 0);
}

static bool worker_is_alone(void)
{
	struct err e;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || fence_syscalls(FENCE_COMPUTE, &e) < 0)
		return false;
	return fork() < 0 && errno == EPERM && is_refused(SYS_memfd_create, -1, 0) &&
		is_refused(SYS_kill, getppid(), 0) && starts_a_thread();
}

static void a_worker_starts_threads_but_no_process(void **state)
{
	(void)state;
	assert_int_equal(in_child(worker_is_alone), 0);
}

static atomic_bool begun, fenced;

/* 1 when it may still make a socket after another thread was fenced. */
static void *try_late(void *ctx)
{
	begun = true;
	while (!fenced)
		sched_yield();
	*(int *)ctx = socket(AF_INET, SOCK_STREAM, 0) >= 0;
	return NULL;
}

static bool threads_are_fenced_too(void)
{
	pthread_t thread;
	int could = -1;
	struct err e;

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || pthread_create(&thread, NULL, try_late, &could) != 0)
		return false;
	while (!begun)
		sched_yield();
	if (fence_syscalls(FENCE_COMPUTE, &e) < 0)
		return false;
	fenced = true;
	return pthread_join(thread, NULL) == 0 && could == 0;
}

static void threads_that_are_there_already_are_fenced_too(void **state)
{
	(void)state;
	assert_int_equal(in_child(threads_are_fenced_too), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rights_are_given_up_for_good),
		cmocka_unit_test(nothing_but_the_named_paths_can_be_reached),
		cmocka_unit_test(an_engine_starts_no_program),
		cmocka_unit_test(an_engine_has_no_way_to_other_rights),
		cmocka_unit_test(an_engine_may_use_threads_and_sockets),
		cmocka_unit_test(a_worker_starts_threads_but_no_process),
		cmocka_unit_test(threads_that_are_there_already_are_fenced_too),
		cmocka_unit_test(a_worker_has_no_sockets_and_writes_no_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
