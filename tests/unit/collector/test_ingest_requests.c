#include "collector/ingest_requests.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/wire.h"

struct fixture {
	char folder[32];
	struct event_base *base;
	struct journal *journal;
	struct requests *requests;
	int taken;
};

static int take(void *ctx, const struct wire_request *r, uint64_t *seq, struct err *e)
{
	struct fixture *f = ctx;

	f->taken++;
	if (strcmp(r->text, "no") == 0)
		return err_set(e, "not this one");
	*seq = journal_append(f->journal, ENTRY_REQUEST, "x", 1).seq;
	return 0;
}

static int begin(void **state)
{
	struct fixture *f = mem_alloc(sizeof *f);
	char *folder;
	struct err e;
	int fd;

	strcpy(f->folder, "/tmp/xj-requests-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	folder = mem_format("%s/journal", f->folder);
	f->journal = journal_open(folder, &(struct journal_options){0}, &e);
	free(folder);
	fd = requests_listen(f->folder, &e);
	if (f->journal == NULL || fd < 0)
		fail_msg("%s", e.text);
	f->base = event_base_new();
	f->requests = requests_new(f->base, fd, take, f);
	*state = f;
	return 0;
}

static int finish(void **state)
{
	struct fixture *f = *state;
	char command[64];

	requests_free(f->requests);
	event_base_free(f->base);
	journal_close(f->journal);
	snprintf(command, sizeof command, "rm -rf %s", f->folder);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

/* Somebody has asked. */
static int begin_to_ask(const struct fixture *f, const char *text)
{
	struct wire_request r = {.kind = REQUEST_COMMENT, .author = "wang", .incident = 1, .text = text};
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct buf b = {0};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	snprintf(a.sun_path, sizeof a.sun_path, "%s/" REQUESTS_FILE, f->folder);
	assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
	wire_request_encode(&r, &b);
	assert_int_equal(send(fd, b.data, b.len, 0), b.len);
	shutdown(fd, SHUT_WR);
	buf_fini(&b);
	return fd;
}

/* And waits for the answer. */
static int ask(struct fixture *f, const char *text)
{
	int taken = f->taken, fd = begin_to_ask(f, text);

	while (f->taken == taken)
		event_base_loop(f->base, EVLOOP_ONCE);
	return fd;
}

/* What has been sent, all of it; nothing is waited for. */
static size_t hear(int fd, struct wire_answer *out)
{
	uint8_t bytes[1000];
	ssize_t n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
	struct err e;

	close(fd);
	if (n > 0)
		assert_int_equal(wire_answer_decode(bytes, (size_t)n, out, &e), 0);
	return n > 0 ? (size_t)n : 0;
}

/* Who hears nothing asks again. */
static void who_asked_is_answered_also_when_the_process_ends(void **state)
{
	struct fixture *f = *state;
	struct wire_answer first, second, third;
	int a = ask(f, "look"), b = ask(f, "no"), c = ask(f, "again");
	struct err e;

	assert_int_equal(journal_sync(f->journal, &e), 0);
	requests_synced(f->requests, f->journal);
	requests_free(f->requests);
	f->requests = NULL;
	assert_true(hear(a, &first) > 0 && hear(b, &second) > 0 && hear(c, &third) > 0);
	assert_int_equal(first.accepted.epoch, journal_synced(f->journal).epoch);
	assert_int_equal(first.accepted.seq + 1, third.accepted.seq);
	assert_int_equal(second.accepted.seq, 0);
	assert_string_equal(second.reason, "not this one");
}

static void what_is_not_synced_is_not_answered(void **state)
{
	struct fixture *f = *state;
	struct wire_answer answer;
	int fd = ask(f, "look");

	requests_synced(f->requests, f->journal);
	requests_free(f->requests);
	f->requests = NULL;
	assert_int_equal(hear(fd, &answer), 0);
}

static void on_time(evutil_socket_t fd, short what, void *ctx)
{
	bool *is_over = ctx;

	(void)fd, (void)what;
	*is_over = true;
}

/* Without a rest the loop would turn as fast as it can. */
static void without_descriptors_it_has_a_rest_and_takes_who_waits_later(void **state)
{
	struct fixture *f = *state;
	const struct timeval a_while = {0, 500000}, long_enough = {60, 0};
	int next, fd, rounds = 0, taken = f->taken;
	bool is_over = false;
	struct rlimit was, few;

	fd = begin_to_ask(f, "look");
	next = dup(fd);
	close(next);
	getrlimit(RLIMIT_NOFILE, &was);
	few = was;
	few.rlim_cur = (rlim_t)next;
	event_base_once(f->base, -1, EV_TIMEOUT, on_time, &is_over, &a_while);
	setrlimit(RLIMIT_NOFILE, &few);
	for (; !is_over; rounds++)
		event_base_loop(f->base, EVLOOP_ONCE);
	setrlimit(RLIMIT_NOFILE, &was);
	assert_true(rounds < 20);
	assert_int_equal(f->taken, taken);
	is_over = false;
	event_base_once(f->base, -1, EV_TIMEOUT, on_time, &is_over, &long_enough);
	while (f->taken == taken && !is_over)
		event_base_loop(f->base, EVLOOP_ONCE);
	assert_int_equal(f->taken, taken + 1);
	close(fd);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(who_asked_is_answered_also_when_the_process_ends),
		CASE(what_is_not_synced_is_not_answered),
		CASE(without_descriptors_it_has_a_rest_and_takes_who_waits_later),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
