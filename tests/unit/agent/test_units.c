/* The process that asks systemd, fenced as in an agent, against a bus that is played by the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/units.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/ipc.h"
#include "lib/mem.h"
#include "probes/host/systemd.h"
#include "tests/unit/agent/fake_bus.h"
#include "tests/support/children.h"

static const char *const failed[][4] = {{"nginx.service", "loaded", "failed", "failed"}};
static const char *const named[][4] = {{"sshd.service", "loaded", "active", "running"}};

enum manner { ANSWERS, HANGS_UP, IS_SILENT };

struct fixture {
	struct event_base *base;
	char run[64], bus[96];
	struct units *units;
	int listener;
	struct event *acceptable;
	enum manner manner;
	size_t connections;
	int last; /* connection that is kept open */
	struct bus_bytes bytes;
	/* what came back */
	size_t ends, left;
	char why[sizeof((struct err *)0)->text];
	struct systemd_units got;
	size_t gone, back, lost;
};

static void on_connection(evutil_socket_t fd, short what, void *ctx)
{
	struct fixture *f = ctx;

	(void)what;
	if (f->last >= 0)
		close(f->last);
	f->last = accept4(fd, NULL, NULL, SOCK_CLOEXEC);
	assert_true(f->last >= 0);
	f->connections++;
	if (f->manner == ANSWERS) /* before it was asked: all is in one stream */
		assert_int_equal(send(f->last, f->bytes.at, f->bytes.len, MSG_NOSIGNAL), f->bytes.len);
	if (f->manner == HANGS_UP) {
		close(f->last);
		f->last = -1;
	}
}

static void listen_as_bus(struct fixture *f)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};

	snprintf(a.sun_path, sizeof a.sun_path, "%s", f->bus);
	f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(f->listener, (struct sockaddr *)&a, sizeof a), 0);
	assert_int_equal(listen(f->listener, 8), 0);
	f->acceptable = event_new(f->base, f->listener, EV_READ | EV_PERSIST, on_connection, f);
	event_add(f->acceptable, NULL);
}

static void on_change(void *ctx, enum keeper_change change, const char *why)
{
	struct fixture *f = ctx;

	assert_true((*why == '\0') == (change == KEEPER_BACK));
	f->gone += change == KEEPER_GONE;
	f->back += change == KEEPER_BACK;
	f->lost += change == KEEPER_LOST;
	event_base_loopbreak(f->base);
}

static void make(const struct fixture *f, const char *below)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", f->run, below);
	assert_int_equal(mkdir(path, 0755), 0);
}

static void begin(struct fixture *f)
{
	struct err e;

	f->units = units_start(f->run, &e);
	assert_non_null(f->units);
	units_watch(f->units, f->base, on_change, f);
}

static int setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof *f);

	/* Those of the cases before, whose channels are closed. */
	while (waitpid(-1, NULL, 0) > 0)
		;
	f->base = event_base_new();
	f->last = f->listener = -1;
	snprintf(f->run, sizeof f->run, "/tmp/xunjian-units-XXXXXX");
	assert_non_null(mkdtemp(f->run));
	make(f, "systemd");
	make(f, "systemd/system");
	make(f, "dbus");
	snprintf(f->bus, sizeof f->bus, "%s/dbus/system_bus_socket", f->run);
	bus_bytes_whole(&f->bytes, failed, 1, named, 1);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	char command[128];

	units_free(f->units);
	if (f->acceptable != NULL)
		event_free(f->acceptable);
	if (f->listener >= 0)
		close(f->listener);
	if (f->last >= 0)
		close(f->last);
	event_base_free(f->base);
	snprintf(command, sizeof command, "rm -rf %s", f->run);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static void on_end(void *ctx, const struct systemd_units *u, const char *why)
{
	struct fixture *f = ctx;

	f->ends++;
	snprintf(f->why, sizeof f->why, "%s", why != NULL ? why : "");
	if (u != NULL)
		f->got = *u;
	if (--f->left == 0)
		event_base_loopbreak(f->base);
}

static struct systemd_call *ask(struct fixture *f, int64_t timeout)
{
	static const char *const names[] = {"sshd.service"};
	struct systemd_request q = {names, 1, clock_mono() + timeout};
	struct systemd_call *c;
	struct err e;

	c = units_ask(f->units, &q, on_end, f, &e);
	if (c == NULL)
		snprintf(f->why, sizeof f->why, "%s", e.text);
	else
		f->left++;
	return c;
}

static void loop(struct fixture *f)
{
	const struct timeval limit = {60, 0};

	event_base_loopexit(f->base, &limit);
	event_base_dispatch(f->base);
}

static void units_are_told_as_the_bus_says(void **state)
{
	struct fixture *f = *state;

	listen_as_bus(f);
	begin(f);
	assert_non_null(ask(f, 10 * NS_PER_S));
	loop(f);
	assert_string_equal(f->why, "");
	assert_int_equal(f->got.failed_count, 1);
	assert_string_equal(f->got.failed[0].name, "nginx.service");
	assert_int_equal(f->got.named_count, 1);
	assert_string_equal(f->got.named[0].sub, "running");
}

static void several_wait_for_each_other(void **state)
{
	struct fixture *f = *state;

	listen_as_bus(f);
	begin(f);
	for (int i = 0; i < 5; i++)
		ask(f, 10 * NS_PER_S);
	loop(f);
	assert_int_equal(f->ends, 5);
	assert_int_equal(f->connections, 5);
}

static void a_host_without_systemd_is_told_without_a_process(void **state)
{
	struct fixture *f = *state;
	char path[128];

	snprintf(path, sizeof path, "%s/systemd/system", f->run);
	assert_int_equal(rmdir(path), 0);
	begin(f);
	assert_null(ask(f, NS_PER_S));
	assert_string_equal(f->why, "this host is not run by systemd");
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* no child */
}

static void no_bus_one_that_hangs_up_and_a_silent_one_have_words(void **state)
{
	struct fixture *f = *state;
	char words[300];

	begin(f);
	ask(f, 10 * NS_PER_S);
	loop(f);
	snprintf(words, sizeof words, "no system bus to ask systemd over: %s: No such file or directory", f->bus);
	assert_string_equal(f->why, words);
	listen_as_bus(f);
	f->manner = HANGS_UP;
	ask(f, 10 * NS_PER_S);
	loop(f);
	/* Whether it wrote before the other end closed is chance. */
	assert_true(strcmp(f->why, "the system bus hung up") == 0 || strncmp(f->why, "the system bus: ", 16) == 0);
	f->manner = IS_SILENT;
	ask(f, 50 * NS_PER_MS);
	loop(f);
	assert_string_equal(f->why, "no answer from systemd in time");
	f->manner = ANSWERS;
	ask(f, 10 * NS_PER_S);
	loop(f);
	assert_string_equal(f->why, ""); /* after all that it works again */
}

static void who_no_longer_asks_is_not_told(void **state)
{
	struct fixture *f = *state;
	struct systemd_call *first, *second;

	listen_as_bus(f);
	begin(f);
	first = ask(f, 10 * NS_PER_S);
	second = ask(f, 10 * NS_PER_S);
	units_cancel(f->units, first); /* under way */
	units_cancel(f->units, second);
	f->left = 0;
	ask(f, 10 * NS_PER_S);
	loop(f);
	assert_int_equal(f->ends, 1);
	assert_int_equal(f->connections, 2);
}

static void a_process_that_was_killed_is_there_again(void **state)
{
	struct fixture *f = *state;

	listen_as_bus(f);
	begin(f);
	for (size_t round = 1; round <= 2; round++) {
		f->manner = IS_SILENT;
		ask(f, 60 * NS_PER_S);
		ask(f, 60 * NS_PER_S);
		assert_int_equal(kill(children_youngest(children_youngest(getpid())), SIGKILL), 0);
		while (f->gone < round)
			loop(f);
		assert_int_equal(f->ends, round * 3 - 1);
		assert_string_equal(f->why, "the process that asks systemd has ended");
		assert_null(ask(f, NS_PER_S));
		while (f->back < round)
			loop(f);
		f->manner = ANSWERS;
		ask(f, 60 * NS_PER_S);
		loop(f);
		assert_int_equal(f->ends, round * 3);
		assert_string_equal(f->why, "");
	}
	assert_int_equal(f->lost, 0);
}

static void without_its_keeper_it_lives_on_and_is_lost_when_it_ends(void **state)
{
	struct fixture *f = *state;
	pid_t keeper, units;

	listen_as_bus(f);
	begin(f);
	keeper = children_youngest(getpid());
	units = children_youngest(keeper);
	assert_int_equal(kill(keeper, SIGKILL), 0);
	ask(f, 60 * NS_PER_S);
	while (f->ends == 0)
		loop(f);
	assert_string_equal(f->why, "");
	assert_int_equal(kill(units, SIGKILL), 0);
	while (f->lost == 0)
		loop(f);
	assert_int_equal(f->back, 0);
	assert_null(ask(f, NS_PER_S));
}

static void both_end_with_the_engine(void **state)
{
	struct fixture *f = *state;
	pid_t keeper;
	int status;

	begin(f);
	keeper = children_youngest(getpid());
	units_free(f->units);
	f->units = NULL;
	assert_int_equal(waitpid(keeper, &status, 0), keeper); /* which waits for the other */
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

/* Straight to the process: whatever is not a question ends it. */
static void it_ends_when_the_engine_breaks_the_rules(void **state)
{
	static const struct {
		uint16_t type;
		const char *body;
		size_t len;
	} bad[] = {{1, "", 0}, {1, "\1\0\0", 3}, {2, "\1\0\0\0", 4}, {1, "\1\0\0\0no-end", 10}, {1, "\1\0\0\0\0", 5},
		{1, "\377\377\377\377", 4}};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct ipc *channel;
		int fds[2], status;
		pid_t pid;

		assert_int_equal(ipc_pair(fds, &e), 0);
		pid = fork();
		if (pid == 0) {
			close(fds[0]);
			units_serve(fds[1], "/no/such/bus");
			_exit(0);
		}
		close(fds[1]);
		channel = ipc_new(fds[0]);
		ipc_send_wait(channel, bad[i].type, 1, bad[i].body, bad[i].len, -1, &e);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
		ipc_free(channel);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
		CASE(units_are_told_as_the_bus_says),
		CASE(several_wait_for_each_other),
		CASE(a_host_without_systemd_is_told_without_a_process),
		CASE(no_bus_one_that_hangs_up_and_a_silent_one_have_words),
		CASE(who_no_longer_asks_is_not_told),
		CASE(a_process_that_was_killed_is_there_again),
		CASE(without_its_keeper_it_lives_on_and_is_lost_when_it_ends),
		CASE(both_end_with_the_engine),
		CASE(it_ends_when_the_engine_breaks_the_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
