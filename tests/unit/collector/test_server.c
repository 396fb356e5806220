#include "collector/web/server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/event.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"

/* Time that passes in these tests must be well above IDLE, and may be as long as it likes. */
#define MS NS_PER_MS
#define IDLE (100 * MS)
#define LONG (60 * NS_PER_S)
#define BODY (16u << 20) /* more than sockets hold */

struct fixture {
	struct event_base *base;
	struct server *server;
	struct sockaddr_in at;
	struct server_request *waits;
	size_t length; /* of the answer */
	int fd;
	size_t taken;
	bool is_asked, has_ended, is_late;
};

static void answer(struct fixture *f)
{
	struct buf body = {0};

	for (size_t i = 0; i < f->length; i++)
		buf_add_u8(&body, 'x');
	server_answer(f->waits, &(struct server_answer){.status = 200, .type = "text/plain", .body = &body});
	f->waits = NULL;
}

static void on_made(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd, (void)what;
	answer(ctx);
}

/* As another process would make it, for long. */
static void handle_slowly(void *ctx, struct server_request *r)
{
	struct fixture *f = ctx;
	const struct timeval made = {0, 5 * IDLE / NS_PER_US};

	f->waits = r;
	f->is_asked = true;
	event_base_once(f->base, -1, EV_TIMEOUT, on_made, f, &made);
}

static void handle_at_once(void *ctx, struct server_request *r)
{
	struct fixture *f = ctx;

	f->waits = r;
	f->is_asked = true;
	answer(f);
}

static const struct server_route routes[] = {{"/slow", handle_slowly}, {"/fast", handle_at_once}, {NULL, NULL}};

static int listen_somewhere(struct fixture *f, struct err *e)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t len = sizeof f->at;
	char address[32];

	f->at = (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
	assert_int_equal(bind(fd, (struct sockaddr *)&f->at, len), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&f->at, &len), 0);
	close(fd);
	snprintf(address, sizeof address, "127.0.0.1:%u", ntohs(f->at.sin_port));
	return server_listen(f->server, address, e);
}

static int begin(void **state)
{
	struct fixture *f = mem_alloc(sizeof *f);
	struct err e;
	int rc = -1;

	f->base = event_base_new();
	f->server = server_new(f->base, routes, f);
	server_set_limits(f->server, IDLE, LONG);
	for (int i = 0; i < 20 && rc < 0; i++)
		rc = listen_somewhere(f, &e);
	if (rc < 0)
		fail_msg("%s", e.text);
	*state = f;
	return 0;
}

static int finish(void **state)
{
	struct fixture *f = *state;

	close(f->fd);
	server_free(f->server);
	event_base_free(f->base);
	free(f);
	return 0;
}

static bool is_closed(int fd)
{
	char byte;

	return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0;
}

/* On a busy machine a connection may count as idle before its request is looked at: another one, then. */
static void ask(struct fixture *f, const char *path)
{
	char *request = mem_format("GET %s HTTP/1.1\r\nHost: localhost\r\n\r\n", path);

	for (f->fd = -1; !f->is_asked;) {
		close(f->fd);
		f->fd = socket(AF_INET, SOCK_STREAM, 0);
		assert_int_equal(connect(f->fd, (struct sockaddr *)&f->at, sizeof f->at), 0);
		assert_int_equal(send(f->fd, request, strlen(request), 0), strlen(request));
		while (!f->is_asked && !is_closed(f->fd))
			event_base_loop(f->base, EVLOOP_NONBLOCK);
	}
	evutil_make_socket_nonblocking(f->fd);
	free(request);
}

static void on_late(evutil_socket_t fd, short what, void *ctx)
{
	struct fixture *f = ctx;

	(void)fd, (void)what;
	f->is_late = true;
}

/* Turns the loop for so long. */
static void pass(struct fixture *f, int64_t time)
{
	const struct timeval until = {time / NS_PER_S, time % NS_PER_S / NS_PER_US};

	f->is_late = false;
	event_base_once(f->base, -1, EV_TIMEOUT, on_late, f, &until);
	while (!f->is_late)
		event_base_loop(f->base, EVLOOP_ONCE);
}

/* What there is, up to so much. */
static void take(struct fixture *f, size_t most)
{
	static char bytes[1 << 16];
	ssize_t n = 1;

	while (most > 0 && (n = recv(f->fd, bytes, most < sizeof bytes ? most : sizeof bytes, 0)) > 0) {
		f->taken += (size_t)n;
		most -= (size_t)n;
	}
	f->has_ended = n == 0 || (n < 0 && errno != EAGAIN);
}

static void take_until(struct fixture *f, size_t count)
{
	while (f->taken < count && !f->has_ended) {
		event_base_loop(f->base, EVLOOP_NONBLOCK);
		take(f, SIZE_MAX);
	}
}

static void an_answer_that_is_long_in_the_making_comes(void **state)
{
	struct fixture *f = *state;

	f->length = 1000;
	ask(f, "/slow");
	take_until(f, f->length);
	assert_true(f->taken > f->length);
}

static void an_answer_that_is_taken_slowly_comes_whole(void **state)
{
	struct fixture *f = *state;

	f->length = BODY;
	ask(f, "/fast");
	for (int i = 0; i < 5; i++) {
		pass(f, IDLE);
		take(f, BODY / 20);
	}
	assert_true(f->taken < f->length);
	take_until(f, f->length);
	assert_true(f->taken > f->length);
}

static void a_connection_that_is_idle_after_its_answer_is_closed(void **state)
{
	struct fixture *f = *state;

	f->length = 1000;
	ask(f, "/slow");
	take_until(f, f->length);
	take_until(f, SIZE_MAX);
	assert_true(f->has_ended);
}

static void who_takes_nothing_of_an_answer_is_let_go(void **state)
{
	struct fixture *f = *state;

	server_set_limits(f->server, LONG, IDLE);
	f->length = BODY;
	ask(f, "/fast");
	pass(f, 10 * IDLE);
	take_until(f, f->length);
	assert_true(f->taken < f->length && f->has_ended);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(an_answer_that_is_long_in_the_making_comes),
		CASE(an_answer_that_is_taken_slowly_comes_whole),
		CASE(a_connection_that_is_idle_after_its_answer_is_closed),
		CASE(who_takes_nothing_of_an_answer_is_let_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
