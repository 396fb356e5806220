/* Each case narrows a child of its own; the child's end says what it could do. */
#include "lib/fence.h"

#include <setjmp.h>
#include <stdarg.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/timex.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/err.h"

#define COUNT(array) (sizeof(array) / sizeof *(array))
#define NOT_FENCED 99
#define ALL_BUT(set) (0x7ffu & ~(unsigned)(set))

/* Runs it in a child: what it returned, or 128 + the signal that ended it. */
static int in_child(int (*work)(const void *), const void *ctx)
{
	pid_t pid = fork();
	int status;

	if (pid == 0)
		_exit(work(ctx));
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static bool opens(const char *path, int flags)
{
	int fd = open(path, flags, 0600);

	if (fd >= 0)
		close(fd);
	return fd >= 0;
}

/* ---- users, capabilities, folders */

/* A line of /proc/self/status, hexadecimal. */
static unsigned long long status_of(const char *name)
{
	char text[4096] = "";
	int fd = open("/proc/self/status", O_RDONLY);
	ssize_t len = read(fd, text, sizeof text - 1);
	const char *at = len > 0 ? strstr(text, name) : NULL;

	close(fd);
	return at != NULL ? strtoull(at + strlen(name), NULL, 16) : ~0ULL;
}

static int rights_are_gone(const void *ctx)
{
	struct err e;

	(void)ctx;
	if (fence_drop_rights("65534", &e) < 0 || geteuid() != 65534)
		return 1;
	return status_of("CapEff:") == 0 && status_of("CapPrm:") == 0 && status_of("NoNewPrivs:") == 1 &&
		setuid(0) < 0 && !opens("/etc/shadow", O_RDONLY) ? 0 : 1;
}

static void rights_are_given_up_for_good(void **state)
{
	struct err e;

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(in_child(rights_are_gone, NULL), 0);
	assert_int_equal(fence_drop_rights("no-such-user-here", &e), -1);
	assert_non_null(strstr(e.text, "no-such-user-here"));
}

static int one_capability_is_left(const void *ctx)
{
	struct err e;

	(void)ctx;
	if (fence_keep_capabilities(UINT64_C(1) << CAP_KILL, &e) < 0)
		return 1;
	return status_of("CapEff:") == 1u << CAP_KILL && status_of("CapPrm:") == 1u << CAP_KILL &&
		status_of("CapBnd:") == 1u << CAP_KILL && status_of("NoNewPrivs:") == 1 ? 0 : 2;
}

static void capabilities_that_are_not_named_are_given_up(void **state)
{
	(void)state;
	if ((~status_of("CapEff:") & (1u << CAP_KILL | 1u << CAP_SETPCAP)) != 0)
		skip(); /* not there to be kept, or the bounding set not ours to change */
	assert_int_equal(in_child(one_capability_is_left, NULL), 0);
}

static void a_folder_is_made_and_given_to_the_user(void **state)
{
	char folder[] = "/tmp/test-fence-XXXXXX", path[64];
	struct stat st;
	struct err e;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/state", folder);
	assert_int_equal(fence_give_folder(path, 0700, "65534", &e), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(st.st_uid, geteuid() == 0 ? 65534 : geteuid());
	assert_int_equal(fence_give_folder(path, 0700, "", &e), 0); /* it may be there */
	rmdir(path);
	rmdir(folder);
	assert_int_equal(fence_give_folder(path, 0700, "", &e), -1);
	assert_non_null(strstr(e.text, path));
}

/* ---- paths */

static int paths_are_fenced(const void *ctx)
{
	static const char *const readable[] = {"/usr", "/nonexistent", NULL}, *const writable[] = {"/tmp", NULL};
	char path[] = "/tmp/test-fence-XXXXXX";
	int active, fd;
	struct err e;

	(void)ctx;
	if (fence_paths(readable, writable, &active, &e) < 0)
		return 1;
	if (!active)
		return NOT_FENCED;
	fd = mkstemp(path);
	if (fd < 0 || write(fd, "x", 1) != 1 || unlink(path) < 0)
		return 2;
	return opens("/usr", O_RDONLY | O_DIRECTORY) && !opens("/etc/passwd", O_RDONLY) &&
		!opens("/usr/test-fence", O_WRONLY | O_CREAT) ? 0 : 3;
}

static void nothing_but_the_named_paths_can_be_reached(void **state)
{
	(void)state;
	assert_int_equal(in_child(paths_are_fenced, NULL), fence_has_landlock() ? 0 : NOT_FENCED);
}

/* ---- system calls */

/* Each gives the errno of what it tried, 0: it was done. */

static int result(long status)
{
	return status < 0 ? errno : 0;
}

static int try_read(void) { return result(open("/etc/passwd", O_RDONLY)); }
static int try_list(void) { return result(syscall(SYS_getdents64, -1, NULL, 0)); }
static int try_write(void) { return result(open("/dev/null", O_WRONLY)); }
static int try_update(void) { return result(open("/dev/null", O_RDWR)); }
static int try_truncate(void) { return result(open("/dev/null", O_RDONLY | O_TRUNC)); }
static int try_make(void) { return result(open("/tmp/test-fence-made", O_RDONLY | O_CREAT | O_EXCL, 0600)); }
static int try_remove(void) { return result(unlink("/nonexistent/file")); }
static int try_rename(void) { return result(rename("/nonexistent/a", "/nonexistent/b")); }
static int try_folder(void) { return result(mkdir("/nonexistent/folder", 0700)); }
static int try_mode(void) { return result(chmod("/nonexistent/file", 0777)); }
static int try_memory_file(void) { return result(memfd_create("test", 0)); }
static int try_accept(void) { return result(accept(-1, NULL, NULL)); }
static int try_connect(void) { return result(connect(-1, NULL, 0)); }
static int try_bind(void) { return result(bind(-1, NULL, 0)); }
static int try_listen(void) { return result(listen(-1, 1)); }
static int try_tcp4(void) { return result(socket(AF_INET, SOCK_STREAM, 0)); }
static int try_udp6(void) { return result(socket(AF_INET6, SOCK_DGRAM, 0)); }
static int try_routing(void) { return result(socket(AF_NETLINK, SOCK_RAW, 0)); }
static int try_netfilter(void) { return result(socket(AF_NETLINK, SOCK_RAW, 12)); }
static int try_unix_datagrams(void) { return result(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0)); }
static int try_unix_stream(void) { return result(socket(AF_UNIX, SOCK_STREAM, 0)); }
static int try_packets(void) { return result(socket(AF_PACKET, SOCK_RAW, 0)); }
static int try_kernel_crypto(void) { return result(socket(AF_ALG, SOCK_SEQPACKET, 0)); }
static int try_vsock(void) { return result(socket(40, SOCK_STREAM, 0)); }
static int try_kill_another(void) { return result(kill(getppid(), 0)); }
static int try_limit_another(void)
{
	return result(syscall(SYS_prlimit64, getppid(), RLIMIT_NOFILE, NULL, NULL));
}
static int try_own_limit(void) { return result(syscall(SYS_prlimit64, 0, RLIMIT_NOFILE, NULL, NULL)); }
static int try_user(void) { return result(setresuid((uid_t)-1, (uid_t)-1, (uid_t)-1)); }
static int try_capabilities(void) { return result(syscall(SYS_capset, NULL, NULL)); }
static int try_dumpable(void) { return result(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)); }
static int try_key(void) { return result(syscall(SYS_keyctl, -1, 0, 0, 0, 0)); }
static int try_link(void) { return result(link("/nonexistent/a", "/nonexistent/b")); }
static int try_owner(void) { return result(chown("/nonexistent/file", 0, 0)); }
static int try_terminal(void) { return result(ioctl(-1, TIOCSTI, "x")); }
static int try_process_file(void) { return result(syscall(SYS_pidfd_open, getppid(), 0)); }
static int try_clone3(void) { return result(syscall(SYS_clone3, NULL, 0)); }
static int try_openat2(void) { return result(syscall(SYS_openat2, -1, NULL, NULL, 0)); }
static int try_ring(void) { return result(syscall(SYS_io_uring_setup, 0, NULL)); }

static int try_icmp(void)
{
	int status = result(socket(AF_INET, SOCK_DGRAM, IPPROTO_ICMP));

	return status == EACCES ? 0 : status; /* of the kernel, not of the fence */
}

static int try_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) == MAP_FAILED ? errno : 0;
}

static int try_code_later(void)
{
	void *p = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return result(mprotect(p, 4096, PROT_READ | PROT_EXEC));
}

static int try_fork(void)
{
	pid_t pid = fork();

	if (pid == 0)
		_exit(0);
	return pid < 0 ? errno : result(waitpid(pid, NULL, 0) == pid ? 0 : -1);
}

static int try_exec(void)
{
	execl("/nonexistent/program", "program", (char *)NULL);
	return errno;
}

static int try_clock(void)
{
	struct timex t = {.modes = 0};

	return result(adjtimex(&t) >= 0 ? 0 : -1);
}

/* As those who are fenced are: without the right to set it. */
static int try_set_clock(void)
{
	struct timex t = {.modes = ADJ_TICK, .tick = 10000};
	struct err e;

	if (fence_keep_capabilities(0, &e) < 0)
		return EINVAL;
	return result(adjtimex(&t) >= 0 ? 0 : -1);
}

static int try_fastopen(void)
{
	return result(syscall(SYS_sendto, -1, "x", 1, MSG_FASTOPEN, NULL, 0));
}

static int try_own_signal(void)
{
	signal(SIGUSR1, SIG_IGN);
	return result(raise(SIGUSR1)) | result(kill(getpid(), SIGUSR1));
}

static int try_events(void)
{
	int fds[2];

	return result(epoll_create1(0)) | result(eventfd(0, 0)) |
		result(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds)) | result(send(fds[0], "x", 1, 0) == 1 ? 0 : -1) |
		result(prctl(PR_SET_NAME, "test"));
}

static void *count(void *ctx)
{
	(*(int *)ctx)++;
	return NULL;
}

static int try_thread(void)
{
	pthread_t thread;
	int counted = 0;

	if (pthread_create(&thread, NULL, count, &counted) != 0 || pthread_join(thread, NULL) != 0)
		return EAGAIN;
	return counted == 1 ? 0 : EINVAL;
}

struct attempt {
	const char *what;
	int (*call)(void);
	unsigned allowed_by; /* 0: by none */
	int refused_with, otherwise; /* errno */
};

static const struct attempt attempts[] = {
	{"reading a file", try_read, FENCE_READ | FENCE_WRITE, EPERM, 0},
	{"listing a folder", try_list, FENCE_READ, EPERM, EBADF},
	{"writing a file", try_write, FENCE_WRITE, EPERM, 0},
	{"updating a file", try_update, FENCE_WRITE, EPERM, 0},
	{"truncating a file", try_truncate, FENCE_WRITE, EPERM, 0},
	{"making a file", try_make, FENCE_WRITE, EPERM, EEXIST},
	{"removing a file", try_remove, FENCE_WRITE, EPERM, ENOENT},
	{"renaming a file", try_rename, FENCE_WRITE, EPERM, ENOENT},
	{"making a folder", try_folder, FENCE_WRITE, EPERM, ENOENT},
	{"changing a mode", try_mode, FENCE_WRITE, EPERM, ENOENT},
	{"making a memory file", try_memory_file, FENCE_WRITE, EPERM, 0},
	{"accepting", try_accept, FENCE_SERVE | FENCE_NETWORK, EPERM, EBADF},
	{"connecting", try_connect, FENCE_NETWORK, EPERM, EBADF},
	{"binding", try_bind, FENCE_NETWORK, EPERM, EBADF},
	{"listening", try_listen, FENCE_NETWORK, EPERM, EBADF},
	{"a TCP socket", try_tcp4, FENCE_NETWORK, EPERM, 0},
	{"a UDP socket", try_udp6, FENCE_NETWORK, EPERM, 0},
	{"a routing socket", try_routing, FENCE_NETWORK, EPERM, 0},
	{"a netfilter socket", try_netfilter, 0, EPERM, 0},
	{"datagrams of UNIX", try_unix_datagrams, FENCE_NETWORK, EPERM, 0},
	{"streams of UNIX", try_unix_stream, 0, EPERM, 0},
	{"a packet socket", try_packets, 0, EPERM, 0},
	{"a socket of kernel crypto", try_kernel_crypto, 0, EPERM, 0},
	{"a socket to the host machine", try_vsock, 0, EPERM, 0},
	{"an ICMP socket", try_icmp, FENCE_ICMP | FENCE_NETWORK, EPERM, 0},
	{"connecting by sending", try_fastopen, FENCE_NETWORK, EPERM, EBADF},
	{"mapping code", try_code, FENCE_LOAD | FENCE_EXEC, EPERM, 0},
	{"turning data into code", try_code_later, FENCE_LOAD | FENCE_EXEC, EPERM, 0},
	{"a process", try_fork, FENCE_FORK, EPERM, 0},
	{"a program", try_exec, FENCE_EXEC, EPERM, ENOENT},
	{"a signal to another process", try_kill_another, FENCE_FORK, EPERM, 0},
	{"limits of another process", try_limit_another, 0, EPERM, 0},
	{"another user", try_user, FENCE_RIGHTS, EPERM, 0},
	{"capabilities", try_capabilities, FENCE_RIGHTS, EPERM, EFAULT},
	{"letting itself be traced", try_dumpable, FENCE_RIGHTS | FENCE_EXEC, ENOSYS, 0},
	{"a key of the kernel", try_key, 0, EPERM, 0},
	{"a link", try_link, 0, EPERM, 0},
	{"another owner", try_owner, 0, EPERM, 0},
	{"typing on a terminal", try_terminal, 0, ENOSYS, 0},
	{"a descriptor of another process", try_process_file, 0, EPERM, 0},
	{"clone3", try_clone3, 0, ENOSYS, 0},
	{"openat2", try_openat2, 0, ENOSYS, 0},
	{"a ring of calls", try_ring, 0, ENOSYS, 0},
	{"asking for the state of the clock", try_clock, FENCE_CLOCK, EPERM, 0},
	{"its own limits", try_own_limit, FENCE_LOOP, 0, 0},
	{"signals to itself", try_own_signal, FENCE_LOOP, 0, 0},
	{"events and messages", try_events, FENCE_LOOP, 0, 0},
	{"a thread", try_thread, FENCE_LOOP, 0, 0},
};

struct trial {
	const struct attempt *attempt;
	unsigned sets;
};

static int fenced(const void *ctx)
{
	const struct trial *t = ctx;
	struct err e;

	return fence_syscalls(t->sets, &e) < 0 ? NOT_FENCED : t->attempt->call();
}

static void check(const struct attempt *a, unsigned sets)
{
	const struct trial trial = {a, sets};
	int expected = (a->allowed_by & sets) != 0 ? a->otherwise : a->refused_with, got = in_child(fenced, &trial);

	if (got != expected)
		fail_msg("%s with the sets %#x: errno %d in place of %d", a->what, sets, got, expected);
}

static void each_set_allows_what_is_its_own_and_nothing_else(void **state)
{
	FILE *f = fopen("/tmp/test-fence-made", "we");

	(void)state;
	assert_non_null(f);
	fclose(f);
	for (size_t i = 0; i < COUNT(attempts); i++) {
		const struct attempt *a = &attempts[i];

		for (unsigned set = FENCE_LOOP; set <= FENCE_CLOCK; set <<= 1)
			check(a, FENCE_LOOP | set);
		check(a, ALL_BUT(a->allowed_by) | FENCE_LOOP);
		check(a, ALL_BUT(0));
	}
	unlink("/tmp/test-fence-made");
}

static void what_was_refused_is_done_without_a_fence(void **state)
{
	/* Else a kernel that refuses it by itself would pass for the fence. */
	static int (*const tried[])(void) = {try_read, try_write, try_memory_file, try_tcp4, try_udp6, try_routing,
		try_unix_stream, try_code, try_code_later, try_fork, try_dumpable, try_limit_another};

	(void)state;
	for (size_t i = 0; i < COUNT(tried); i++)
		assert_int_equal(tried[i](), 0);
	assert_int_not_equal(try_openat2(), ENOSYS);
}

static int set_clock_fenced(const void *ctx)
{
	struct err e;

	(void)ctx;
	return fence_syscalls(ALL_BUT(0), &e) < 0 ? NOT_FENCED : try_set_clock();
}

static void who_may_ask_for_the_clock_cannot_set_it(void **state)
{
	(void)state;
	assert_int_equal(in_child(set_clock_fenced, NULL), EPERM);
}

/* ---- what kills */

static const struct {
	const char *what;
	long number;
	unsigned long first;
} hostile[] = {
	{"ptrace", SYS_ptrace, 0}, {"reading the memory of others", SYS_process_vm_readv, 0},
	{"writing the memory of others", SYS_process_vm_writev, 0}, {"bpf", SYS_bpf, 99},
	{"perf events", SYS_perf_event_open, 0}, {"faults", SYS_userfaultfd, 0xffff},
	{"a module", SYS_finit_module, 0xffff}, {"kexec", SYS_kexec_load, 0}, {"a mount", SYS_mount, 0},
	{"an end of a mount", SYS_umount2, 0}, {"another root", SYS_pivot_root, 0}, {"a file system", SYS_fsopen, 0},
	{"a tree", SYS_open_tree, 0xffff}, {"a namespace left", SYS_unshare, CLONE_NEWUSER},
	{"a namespace entered", SYS_setns, 0xffff}, {"a file by its handle", SYS_open_by_handle_at, 0xffff},
	{"a user namespace", SYS_clone, CLONE_NEWUSER | SIGCHLD},
	{"a network namespace", SYS_clone, CLONE_NEWNET | SIGCHLD},
	{"a namespace for a thread", SYS_clone, CLONE_NEWNS | CLONE_THREAD},
	{"another time", SYS_clock_settime, 0xffff}, {"a swap", SYS_swapon, 0},
};

static int do_hostile(const void *ctx)
{
	size_t i = *(const size_t *)ctx;
	struct err e;

	if (fence_syscalls(ALL_BUT(0), &e) < 0)
		return NOT_FENCED;
	return result(syscall(hostile[i].number, hostile[i].first, 0, 0, 0, 0)) + 1;
}

static void what_only_an_attacker_does_kills_the_process(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(hostile); i++) {
		int end = in_child(do_hostile, &i);

		if (end != 128 + SIGSYS)
			fail_msg("%s: the child ended with %d", hostile[i].what, end);
	}
}

#ifdef __x86_64__
static int call_as_32_bits(const void *ctx)
{
	struct err e;
	long got = 20; /* getpid */

	(void)ctx;
	if (fence_syscalls(ALL_BUT(0), &e) < 0)
		return NOT_FENCED;
	__asm__ volatile("int $0x80" : "+a"(got) : : "memory", "r8", "r9", "r10", "r11");
	return 1;
}
#else
static int call_as_32_bits(const void *ctx)
{
	(void)ctx;
	return raise(SIGSYS);
}
#endif

static void calls_of_another_architecture_kill_the_process(void **state)
{
	int end = in_child(call_as_32_bits, NULL);

	(void)state;
	if (end == 128 + SIGSEGV)
		skip(); /* this kernel has none */
	assert_int_equal(end, 128 + SIGSYS);
}

/* ---- threads, and one fence in another */

static atomic_bool begun, narrowed;

/* 1 when it may still make a socket after another thread was fenced. */
static void *try_late(void *ctx)
{
	begun = true;
	while (!narrowed)
		sched_yield();
	*(int *)ctx = socket(AF_INET, SOCK_STREAM, 0) >= 0;
	return NULL;
}

static int threads_are_fenced_too(const void *ctx)
{
	pthread_t thread;
	int could = -1;
	struct err e;

	(void)ctx;
	if (pthread_create(&thread, NULL, try_late, &could) != 0)
		return 1;
	while (!begun)
		sched_yield();
	if (fence_syscalls(FENCE_LOOP | FENCE_READ, &e) < 0)
		return 2;
	narrowed = true;
	return pthread_join(thread, NULL) == 0 && could == 0 ? 0 : 3;
}

static void threads_that_are_there_already_are_fenced_too(void **state)
{
	(void)state;
	assert_int_equal(in_child(threads_are_fenced_too, NULL), 0);
}

static int narrows_further(const void *ctx)
{
	struct err e;

	(void)ctx;
	if (fence_syscalls(FENCE_LOOP | FENCE_READ | FENCE_RIGHTS, &e) < 0)
		return 1;
	if (try_read() != 0 || fence_syscalls(FENCE_LOOP | FENCE_NETWORK, &e) < 0)
		return 2;
	return try_read() == EPERM && try_tcp4() == EPERM && try_events() == 0 ? 0 : 3;
}

static void a_fence_within_a_fence_only_narrows(void **state)
{
	(void)state;
	assert_int_equal(in_child(narrows_further, NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rights_are_given_up_for_good),
		cmocka_unit_test(capabilities_that_are_not_named_are_given_up),
		cmocka_unit_test(a_folder_is_made_and_given_to_the_user),
		cmocka_unit_test(nothing_but_the_named_paths_can_be_reached),
		cmocka_unit_test(what_was_refused_is_done_without_a_fence),
		cmocka_unit_test(who_may_ask_for_the_clock_cannot_set_it),
		cmocka_unit_test(each_set_allows_what_is_its_own_and_nothing_else),
		cmocka_unit_test(what_only_an_attacker_does_kills_the_process),
		cmocka_unit_test(calls_of_another_architecture_kill_the_process),
		cmocka_unit_test(threads_that_are_there_already_are_fenced_too),
		cmocka_unit_test(a_fence_within_a_fence_only_narrows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
