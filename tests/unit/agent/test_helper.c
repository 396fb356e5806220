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
#include "tests/support/children.h"

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
	struct helper *helper;
	unsigned gone, back, lost;
};

static void on_change(void *ctx, enum keeper_change change, const char *why)
{
	struct watched *w = ctx;
	struct err e;

	assert_true((*why == '\0') == (change == KEEPER_BACK));
	assert_true(helper_is_there(w->helper) == (change == KEEPER_BACK));
	if (change != KEEPER_BACK) {
		assert_int_equal(helper_open_icmp(w->helper, FAMILY_V4, &e), -1);
		assert_string_equal(e.text, "no IPv4 ICMP socket: the helper process has ended");
	}
	w->gone += change == KEEPER_GONE;
	w->back += change == KEEPER_BACK;
	w->lost += change == KEEPER_LOST;
}

static void begin(struct watched *w)
{
	struct err e;

	*w = (struct watched){.base = event_base_new(), .helper = helper_start(&e)};
	assert_non_null(w->helper);
	helper_watch(w->helper, w->base, on_change, w);
}

static void wait_until(struct watched *w, const unsigned *count, unsigned wanted)
{
	while (*count < wanted)
		assert_int_equal(event_base_loop(w->base, EVLOOP_ONCE), 0);
}

static void end(struct watched *w)
{
	helper_free(w->helper);
	event_base_free(w->base);
}

static pid_t keeper_pid(void)
{
	return children_youngest(getpid());
}

static pid_t helper_pid(void)
{
	return children_youngest(keeper_pid());
}

static void opens_one(struct watched *w)
{
	struct err e;
	int fd = helper_open_icmp(w->helper, FAMILY_V4, &e);

	if (fd < 0)
		fail_msg("%s", e.text);
	close(fd);
}

static void a_killed_helper_is_started_again(void **state)
{
	struct watched w;

	(void)state;
	needs_raw_sockets();
	begin(&w);
	for (unsigned i = 1; i <= 2; i++) {
		opens_one(&w);
		kill(helper_pid(), SIGKILL);
		wait_until(&w, &w.back, i);
	}
	opens_one(&w);
	assert_int_equal(w.gone, 2);
	assert_int_equal(w.lost, 0);
	end(&w);
}

/* Asked before the loop has heard of its end: that is told as well, once. */
static void one_that_is_asked_in_its_end_is_started_again(void **state)
{
	struct watched w;
	struct err e;
	pid_t pid;

	(void)state;
	needs_raw_sockets();
	begin(&w);
	pid = helper_pid();
	kill(pid, SIGKILL);
	assert_int_equal(helper_open_icmp(w.helper, FAMILY_V4, &e), -1);
	assert_int_equal(w.gone, 1);
	wait_until(&w, &w.back, 1);
	assert_int_equal(w.gone, 1);
	assert_int_not_equal(helper_pid(), pid);
	opens_one(&w);
	end(&w);
}

static void without_its_keeper_it_lives_on_and_is_lost_when_it_ends(void **state)
{
	struct watched w;
	struct err e;
	pid_t helper;

	(void)state;
	needs_raw_sockets();
	begin(&w);
	helper = helper_pid();
	kill(keeper_pid(), SIGKILL);
	opens_one(&w);
	kill(helper, SIGKILL);
	wait_until(&w, &w.lost, 1);
	assert_int_equal(w.back, 0);
	assert_int_equal(helper_open_icmp(w.helper, FAMILY_V4, &e), -1);
	end(&w);
}

/* One that does not answer costs HELPER_TIMEOUT once, then it is given up, ends when it runs again, and another one begins. */
static void a_stopped_helper_is_given_up(void **state)
{
	struct watched w;
	struct err e;
	pid_t pid;

	(void)state;
	needs_raw_sockets();
	begin(&w);
	pid = helper_pid();
	kill(pid, SIGSTOP);
	assert_int_equal(helper_open_icmp(w.helper, FAMILY_V4, &e), -1);
	assert_string_equal(e.text, "no IPv4 ICMP socket: the helper process: no answer in time");
	assert_int_equal(w.gone, 1);
	kill(pid, SIGCONT);
	wait_until(&w, &w.back, 1);
	opens_one(&w);
	end(&w);
}

static void both_end_with_the_engine(void **state)
{
	struct watched w;
	pid_t keeper;
	int status;

	(void)state;
	begin(&w);
	keeper = keeper_pid();
	end(&w);
	assert_int_equal(waitpid(keeper, &status, 0), keeper); /* which waits for the other */
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* A number that /proc shows of a process, in base 16. */
static unsigned long long status_of(pid_t pid, const char *which)
{
	unsigned long long value = ~0ULL;
	char path[64], line[256];
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	f = fopen(path, "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f) != NULL) {
		if (strncmp(line, which, strlen(which)) == 0 && line[strlen(which)] == ':')
			value = strtoull(line + strlen(which) + 1, NULL, 16);
	}
	fclose(f);
	return value;
}

static void it_and_its_keeper_keep_one_capability(void **state)
{
	struct watched w;
	pid_t both[2];

	(void)state;
	needs_raw_sockets();
	begin(&w);
	opens_one(&w); /* it has started by then */
	both[0] = keeper_pid();
	both[1] = helper_pid();
	for (int i = 0; i < 2; i++) {
		assert_int_equal(status_of(both[i], "CapPrm"), 1 << 13);
		assert_int_equal(status_of(both[i], "CapEff"), 1 << 13);
		assert_int_equal(status_of(both[i], "NoNewPrivs"), 1);
		assert_int_equal(status_of(both[i], "Seccomp"), 2);
	}
	end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_helper_hands_over_raw_sockets_of_both_families),
		cmocka_unit_test(without_rights_it_says_what_is_missing),
		cmocka_unit_test(what_breaks_the_rules_ends_it),
		cmocka_unit_test(nothing_stays_open),
		cmocka_unit_test(a_killed_helper_is_started_again),
		cmocka_unit_test(one_that_is_asked_in_its_end_is_started_again),
		cmocka_unit_test(without_its_keeper_it_lives_on_and_is_lost_when_it_ends),
		cmocka_unit_test(a_stopped_helper_is_given_up),
		cmocka_unit_test(both_end_with_the_engine),
		cmocka_unit_test(it_and_its_keeper_keep_one_capability),
	};

	signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
