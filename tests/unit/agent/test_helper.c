#include "agent/helper.h"

#include <dirent.h>
#include <event2/event.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/ipc.h"

/* A helper's own function in a child, on the other end of a channel; dropped: without any right. */
static pid_t serve(int *ours, bool dropped)
{
	struct err e;
	int fds[2];
	pid_t pid;

	assert_int_equal(ipc_pair(fds, &e), 0);
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		if (dropped && (setgroups(0, NULL) != 0 || setgid(65534) != 0 || setuid(65534) != 0))
			_exit(9);
		helper_serve(fds[1]);
		_exit(0);
	}
	close(fds[1]);
	*ours = fds[0];
	return pid;
}

static void ends_by_itself(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void needs_raw_sockets(void)
{
	int fd = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_ICMP);

	if (fd < 0)
		skip();
	close(fd);
}

static void the_helper_hands_over_raw_sockets_of_both_families(void **state)
{
	struct err e;
	struct helper *h;

	(void)state;
	needs_raw_sockets();
	h = helper_start(&e);
	for (int family = 4; family <= 6; family += 2) {
		int fd = helper_open_icmp(h, (enum family)family, &e), value;
		socklen_t len = sizeof value;

		assert_true(fd >= 0);
		assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &len), 0);
		assert_int_equal(value, SOCK_RAW);
		assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &value, &len), 0);
		assert_int_equal(value, family == 4 ? AF_INET : AF_INET6);
		assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
		assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
		close(fd);
	}
	helper_free(h);
}

static void without_rights_it_says_what_is_missing(void **state)
{
	struct ipc_message m;
	struct ipc *channel;
	struct err e;
	uint8_t family = 6;
	int ours;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	pid = serve(&ours, true);
	channel = ipc_new(ours);
	assert_int_equal(ipc_send_wait(channel, 1, 7, &family, 1, -1, &e), 0);
	assert_int_equal(ipc_receive(channel, &m, 10 * NS_PER_S, &e), 0);
	assert_int_equal(m.id, 7);
	/* Where the machine lets everybody have datagram sockets, that is what comes. */
	if (m.fd >= 0)
		close(m.fd);
	else
		assert_memory_equal(m.body, "no rights for ICMP", 18);
	ipc_free(channel);
	ends_by_itself(pid);
}

/* Whatever an engine under foreign control may send, but a good question, ends the helper. */
static void what_breaks_the_rules_ends_it(void **state)
{
	const struct {
		uint16_t type;
		const char *body;
		size_t len;
		bool with_fd;
	} bad[] = {
		{1, "", 0, false}, {1, "\5", 1, false}, {1, "\4\4", 2, false}, {2, "\4", 1, false},
		{3, "\6", 1, false}, {0, "\4", 1, false}, {65535, "", 0, false}, {1, "\4", 1, true},
		{1, "\0", 1, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct ipc_message m;
		struct ipc *channel;
		struct err e;
		int ours;
		pid_t pid = serve(&ours, false);

		channel = ipc_new(ours);
		assert_int_equal(ipc_send_wait(channel, bad[i].type, 1, bad[i].body, bad[i].len,
			bad[i].with_fd ? STDIN_FILENO : -1, &e), 0);
		assert_int_equal(ipc_receive(channel, &m, 10 * NS_PER_S, &e), -1);
		ends_by_itself(pid);
		ipc_free(channel);
	}
}

static unsigned open_descriptors(void)
{
	DIR *d = opendir("/proc/self/fd");
	unsigned n = 0;

	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n;
}

static void nothing_stays_open(void **state)
{
	struct err e;
	unsigned before;
	struct helper *h;

	(void)state;
	needs_raw_sockets();
	before = open_descriptors();
	h = helper_start(&e);
	for (int i = 0; i < 500; i++)
		close(helper_open_icmp(h, FAMILY_V4, &e));
	helper_free(h);
	assert_int_equal(open_descriptors(), before);
}

struct watched {
	struct event_base *base;
	unsigned gone;
};

static void on_gone(void *ctx, const char *why)
{
	struct watched *w = ctx;

	assert_non_null(why);
	w->gone++;
	event_base_loopbreak(w->base);
}

/* The pid of our youngest child. */
static pid_t child(void)
{
	FILE *f = fopen("/proc/thread-self/children", "r");
	int pid = 0;

	if (f == NULL)
		skip();
	while (fscanf(f, "%d", &pid) == 1)
		;
	fclose(f);
	return pid;
}

static void a_killed_helper_is_told_once_and_asking_it_fails_with_words(void **state)
{
	struct watched w = {.base = event_base_new()};
	struct err e;
	struct helper *h = helper_start(&e);

	(void)state;
	helper_watch(h, w.base, on_gone, &w);
	assert_true(helper_is_there(h));
	kill(child(), SIGKILL);
	event_base_dispatch(w.base);
	assert_int_equal(w.gone, 1);
	assert_false(helper_is_there(h));
	assert_int_equal(helper_open_icmp(h, FAMILY_V4, &e), -1);
	assert_string_equal(e.text, "no IPv4 ICMP socket: the helper process has ended");
	assert_int_equal(w.gone, 1);
	helper_free(h);
	event_base_free(w.base);
}

/* A helper that does not answer costs HELPER_TIMEOUT once, then it is given up. */
static void a_stopped_helper_is_given_up(void **state)
{
	struct watched w = {.base = event_base_new()};
	struct err e;
	struct helper *h = helper_start(&e);
	pid_t pid = child();

	(void)state;
	helper_watch(h, w.base, on_gone, &w);
	kill(pid, SIGSTOP);
	assert_int_equal(helper_open_icmp(h, FAMILY_V4, &e), -1);
	assert_string_equal(e.text, "no IPv4 ICMP socket: the helper process: no answer in time");
	assert_int_equal(w.gone, 1);
	helper_free(h);
	kill(pid, SIGKILL);
	event_base_free(w.base);
}

/* The capabilities that /proc shows of a process. */
static unsigned long long capabilities(pid_t pid, const char *which)
{
	unsigned long long value = ~0ULL;
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL) {
		if (strncmp(line, which, strlen(which)) == 0)
			value = strtoull(line + strlen(which) + 1, NULL, 16);
	}
	fclose(f);
	return value;
}

static void it_keeps_one_capability(void **state)
{
	struct err e;
	struct helper *h;

	(void)state;
	needs_raw_sockets();
	h = helper_start(&e);
	close(helper_open_icmp(h, FAMILY_V4, &e)); /* it has started by then */
	assert_int_equal(capabilities(child(), "CapPrm"), 1 << 13);
	assert_int_equal(capabilities(child(), "CapEff"), 1 << 13);
	assert_int_equal(capabilities(child(), "NoNewPrivs"), 1);
	helper_free(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_helper_hands_over_raw_sockets_of_both_families),
		cmocka_unit_test(without_rights_it_says_what_is_missing),
		cmocka_unit_test(what_breaks_the_rules_ends_it),
		cmocka_unit_test(nothing_stays_open),
		cmocka_unit_test(a_killed_helper_is_told_once_and_asking_it_fails_with_words),
		cmocka_unit_test(a_stopped_helper_is_given_up),
		cmocka_unit_test(it_keeps_one_capability),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
