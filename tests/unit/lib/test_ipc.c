#include "lib/ipc.h"

#include <setjmp.h>
#include <stdarg.h>
#include <fcntl.h>
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

struct side {
	struct event_base *base;
	struct ipc *ipc;
	struct buf bodies; /* of all frames, one behind the other */
	unsigned frames, last_id, gone;
	char why[64];
	int fd;          /* of the last frame that had one */
	unsigned leave_at; /* ends the loop at this many frames */
	bool free_at_frame, free_at_end, echo;
};

static void on_message(void *ctx, struct ipc_message *m)
{
	struct side *s = ctx;

	buf_add(&s->bodies, m->body, m->len);
	s->last_id = m->id;
	if (m->fd >= 0) {
		if (s->fd >= 0)
			close(s->fd);
		s->fd = m->fd;
	}
	if (s->echo)
		ipc_send(s->ipc, m->type, m->id, m->body, m->len, -1);
	if (++s->frames == s->leave_at)
		event_base_loopbreak(s->base);
	if (s->free_at_frame) {
		ipc_free(s->ipc);
		s->ipc = NULL;
	}
}

static void on_gone(void *ctx, const char *why)
{
	struct side *s = ctx;

	s->gone++;
	snprintf(s->why, sizeof s->why, "%s", why);
	event_base_loopbreak(s->base);
	if (s->free_at_end) {
		ipc_free(s->ipc);
		s->ipc = NULL;
	}
}

/* One end on a loop, the other a plain socket or a blocking channel. */
struct fixture {
	struct side side;
	int raw;
};

static int setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof *f);
	int fds[2];
	struct err e;

	assert_int_equal(ipc_pair(fds, &e), 0);
	f->side.base = event_base_new();
	f->side.ipc = ipc_new(fds[0]);
	f->side.fd = -1;
	f->raw = fds[1];
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	ipc_free(f->side.ipc);
	event_base_free(f->side.base);
	buf_fini(&f->side.bodies);
	if (f->side.fd >= 0)
		close(f->side.fd);
	if (f->raw >= 0)
		close(f->raw);
	free(f);
	return 0;
}

static void start(struct fixture *f)
{
	ipc_start(f->side.ipc, f->side.base, on_message, on_gone, &f->side);
}

static void add_frame(struct buf *b, uint32_t len, uint16_t type, uint16_t flags, uint32_t id,
	const void *body)
{
	buf_add_u32(b, len);
	buf_add_u16(b, type);
	buf_add_u16(b, flags);
	buf_add_u32(b, id);
	buf_add(b, body, len);
}

/* Waits for the loop to end by a frame or by the end of the channel, 10 s at most. */
static void run(struct fixture *f)
{
	struct timeval limit = {10, 0};

	event_base_loopexit(f->side.base, &limit);
	event_base_dispatch(f->side.base);
}

static void frames_arrive_whole_in_order_and_with_their_ids(void **state)
{
	struct fixture *f = *state;
	struct ipc *peer = ipc_new(f->raw);
	struct err e;

	f->raw = -1;
	start(f);
	assert_int_equal(ipc_send_wait(peer, 1, 7, "one", 3, -1, &e), 0);
	assert_int_equal(ipc_send_wait(peer, 2, 8, "", 0, -1, &e), 0);
	assert_int_equal(ipc_send_wait(peer, 3, 9, "three", 5, -1, &e), 0);
	f->side.leave_at = 3;
	run(f);
	assert_int_equal(f->side.frames, 3);
	assert_int_equal(f->side.last_id, 9);
	assert_string_equal(buf_text(&f->side.bodies), "onethree");
	ipc_free(peer);
}

static void a_frame_sent_byte_by_byte_is_one_frame(void **state)
{
	struct fixture *f = *state;
	struct buf b = {0};

	add_frame(&b, 5, 4, 0, 1, "bytes");
	start(f);
	for (size_t i = 0; i < b.len; i++) {
		assert_int_equal(f->side.frames, 0);
		assert_int_equal(write(f->raw, b.data + i, 1), 1);
		event_base_loop(f->side.base, EVLOOP_NONBLOCK);
	}
	assert_int_equal(f->side.frames, 1);
	assert_string_equal(buf_text(&f->side.bodies), "bytes");
	buf_fini(&b);
}

static void a_large_frame_comes_back_from_an_echo(void **state)
{
	struct fixture *f = *state;
	struct side other = {.base = f->side.base, .ipc = ipc_new(f->raw), .fd = -1, .echo = true};
	uint8_t *body = mem_alloc(IPC_BODY_MAX);

	f->raw = -1;
	for (size_t i = 0; i < IPC_BODY_MAX; i++)
		body[i] = (uint8_t)(i * 31 >> 3);
	start(f);
	ipc_start(other.ipc, other.base, on_message, on_gone, &other);
	f->side.leave_at = 2;
	assert_int_equal(ipc_send(f->side.ipc, 5, 76, body, IPC_BODY_MAX, -1), 0);
	assert_int_equal(ipc_send(f->side.ipc, 5, 77, body, 1000, -1), 0);
	run(f);
	assert_int_equal(f->side.frames, 2);
	assert_int_equal(f->side.last_id, 77);
	assert_int_equal(f->side.bodies.len, IPC_BODY_MAX + 1000);
	assert_memory_equal(f->side.bodies.data, body, IPC_BODY_MAX);
	ipc_free(other.ipc);
	buf_fini(&other.bodies);
	free(body);
}

static void a_descriptor_rides_with_its_frame_and_no_other(void **state)
{
	struct fixture *f = *state;
	struct ipc *peer = ipc_new(f->raw);
	struct ipc_message m;
	int pipes[2];
	char got[4] = "";
	struct err e;

	f->raw = -1;
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(ipc_send_wait(peer, 1, 1, "plain", 5, -1, &e), 0);
	assert_int_equal(ipc_send_wait(peer, 2, 2, "with", 4, pipes[1], &e), 0);
	assert_int_equal(ipc_send_wait(peer, 3, 3, "plain", 5, -1, &e), 0);
	close(pipes[1]);
	for (uint32_t i = 1; i <= 3; i++) {
		assert_int_equal(ipc_receive(f->side.ipc, &m, NS_PER_S, &e), 0);
		assert_int_equal(m.id, i);
		if (i == 2) {
			assert_true(m.fd >= 0);
			assert_int_equal(write(m.fd, "hi", 2), 2);
			close(m.fd);
		} else {
			assert_int_equal(m.fd, -1);
		}
	}
	assert_int_equal(read(pipes[0], got, sizeof got), 2);
	assert_int_equal(read(pipes[0], got, sizeof got), 0); /* our copies are closed */
	close(pipes[0]);
	ipc_free(peer);
}

static void frames_of_a_blocking_receive_are_not_lost_to_the_loop(void **state)
{
	struct fixture *f = *state;
	struct buf b = {0};
	struct ipc_message m;
	struct err e;

	add_frame(&b, 1, 1, 0, 1, "a");
	add_frame(&b, 1, 1, 0, 2, "b");
	assert_int_equal(write(f->raw, b.data, b.len), b.len);
	assert_int_equal(ipc_receive(f->side.ipc, &m, NS_PER_S, &e), 0);
	start(f);
	f->side.leave_at = 1;
	run(f);
	assert_int_equal(f->side.last_id, 2);
	buf_fini(&b);
}

static void a_blocking_receive_ends_in_time_and_when_the_peer_ends(void **state)
{
	struct fixture *f = *state;
	struct ipc_message m;
	struct err e;

	assert_int_equal(ipc_receive(f->side.ipc, &m, NS_PER_MS, &e), -1);
	assert_string_equal(e.text, "no answer in time");
	close(f->raw);
	f->raw = -1;
	assert_int_equal(ipc_receive(f->side.ipc, &m, -1, &e), -1);
	assert_string_equal(e.text, "the peer ended");
}

/* What the peer writes, and the words with which the channel must end. */
static void check_refused(void **state, const struct buf *bytes, const char *why)
{
	struct fixture *f = *state;

	start(f);
	assert_int_equal(write(f->raw, bytes->data, bytes->len), bytes->len);
	run(f);
	assert_int_equal(f->side.gone, 1);
	assert_string_equal(f->side.why, why);
	assert_int_equal(ipc_send(f->side.ipc, 1, 1, "x", 1, -1), -1);
}

static void a_frame_longer_than_the_limit_closes_the_channel_unread(void **state)
{
	struct buf b = {0};

	buf_add_u32(&b, IPC_BODY_MAX + 1);
	buf_add_u64(&b, 0);
	check_refused(state, &b, "a frame is too long");
	buf_fini(&b);
}

static void a_promise_of_a_descriptor_that_is_not_kept_closes_the_channel(void **state)
{
	struct buf b = {0};

	add_frame(&b, 1, 1, 1, 1, "x");
	check_refused(state, &b, "a frame has flags that mean nothing");
	buf_fini(&b);
}

static void unknown_flags_close_the_channel(void **state)
{
	struct buf b = {0};

	add_frame(&b, 1, 1, 2, 1, "x");
	check_refused(state, &b, "a frame has flags that mean nothing");
	buf_fini(&b);
}

/* Sends bytes with count copies of a descriptor. */
static void send_with_fds(int sock, const struct buf *b, size_t count, int fd)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(4 * sizeof(int))];
	} control = {0};
	int fds[4] = {fd, fd, fd, fd};
	struct iovec iov = {b->data, b->len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
		.msg_controllen = CMSG_SPACE(count * sizeof fd)};
	struct cmsghdr *h = CMSG_FIRSTHDR(&m);

	h->cmsg_level = SOL_SOCKET;
	h->cmsg_type = SCM_RIGHTS;
	h->cmsg_len = CMSG_LEN(count * sizeof fd);
	memcpy(CMSG_DATA(h), fds, count * sizeof fd);
	assert_int_equal(sendmsg(sock, &m, 0), b->len);
}

static unsigned open_fds(void)
{
	unsigned n = 0;

	for (int fd = 0; fd < 256; fd++)
		n += fcntl(fd, F_GETFD) >= 0;
	return n;
}

static void check_several_descriptors(void **state, size_t count)
{
	struct fixture *f = *state;
	struct buf b = {0};
	unsigned before;

	add_frame(&b, 1, 1, 1, 1, "x");
	start(f);
	before = open_fds();
	send_with_fds(f->raw, &b, count, f->raw);
	run(f);
	assert_int_equal(f->side.gone, 1);
	assert_string_equal(f->side.why, "more than one descriptor with a frame");
	ipc_free(f->side.ipc);
	f->side.ipc = NULL;
	assert_true(open_fds() <= before);
	buf_fini(&b);
}

static void two_descriptors_close_the_channel_and_leak_nothing(void **state)
{
	check_several_descriptors(state, 2);
}

static void four_descriptors_close_the_channel_and_leak_nothing(void **state)
{
	check_several_descriptors(state, 4);
}

static void a_descriptor_that_no_frame_speaks_of_closes_the_channel(void **state)
{
	struct fixture *f = *state;
	struct buf b = {0};

	add_frame(&b, 1, 1, 0, 1, "x");
	start(f);
	send_with_fds(f->raw, &b, 1, f->raw);
	run(f);
	assert_int_equal(f->side.gone, 1);
	assert_string_equal(f->side.why, "a descriptor without a frame");
	buf_fini(&b);
}

static void a_peer_that_does_not_read_is_given_up_within_a_bound(void **state)
{
	struct fixture *f = *state;
	uint8_t *body = mem_alloc(IPC_BODY_MAX);
	unsigned n = 0;

	start(f);
	while (n < 10 && ipc_send(f->side.ipc, 1, 0, body, IPC_BODY_MAX, -1) == 0)
		n++;
	assert_in_range(n, 3, 5);
	assert_int_equal(f->side.gone, 0); /* told by the loop, not from inside ipc_send */
	run(f);
	assert_int_equal(f->side.gone, 1);
	assert_string_equal(f->side.why, "the peer does not read");
	free(body);
}

static void the_end_comes_once_and_after_the_last_frame(void **state)
{
	struct fixture *f = *state;
	struct buf b = {0};

	add_frame(&b, 1, 1, 0, 1, "x");
	add_frame(&b, 1, 1, 0, 2, "y");
	assert_int_equal(write(f->raw, b.data, b.len), b.len);
	close(f->raw);
	f->raw = -1;
	start(f);
	run(f);
	event_base_loop(f->side.base, EVLOOP_NONBLOCK);
	assert_int_equal(f->side.frames, 2);
	assert_int_equal(f->side.gone, 1);
	buf_fini(&b);
}

static void the_owner_may_free_the_channel_from_a_frame(void **state)
{
	struct fixture *f = *state;
	struct buf b = {0};

	add_frame(&b, 1, 1, 0, 1, "x");
	add_frame(&b, 1, 1, 0, 2, "y");
	f->side.free_at_frame = true;
	f->side.leave_at = 1;
	start(f);
	assert_int_equal(write(f->raw, b.data, b.len), b.len);
	run(f);
	assert_int_equal(f->side.frames, 1);
	assert_null(f->side.ipc);
	buf_fini(&b);
}

static void the_owner_may_free_the_channel_at_its_end(void **state)
{
	struct fixture *f = *state;

	f->side.free_at_end = true;
	start(f);
	close(f->raw);
	f->raw = -1;
	run(f);
	assert_int_equal(f->side.gone, 1);
	assert_null(f->side.ipc);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(frames_arrive_whole_in_order_and_with_their_ids),
		CASE(a_frame_sent_byte_by_byte_is_one_frame),
		CASE(a_large_frame_comes_back_from_an_echo),
		CASE(a_descriptor_rides_with_its_frame_and_no_other),
		CASE(frames_of_a_blocking_receive_are_not_lost_to_the_loop),
		CASE(a_blocking_receive_ends_in_time_and_when_the_peer_ends),
		CASE(a_frame_longer_than_the_limit_closes_the_channel_unread),
		CASE(a_promise_of_a_descriptor_that_is_not_kept_closes_the_channel),
		CASE(unknown_flags_close_the_channel),
		CASE(two_descriptors_close_the_channel_and_leak_nothing),
		CASE(four_descriptors_close_the_channel_and_leak_nothing),
		CASE(a_descriptor_that_no_frame_speaks_of_closes_the_channel),
		CASE(a_peer_that_does_not_read_is_given_up_within_a_bound),
		CASE(the_end_comes_once_and_after_the_last_frame),
		CASE(the_owner_may_free_the_channel_from_a_frame),
		CASE(the_owner_may_free_the_channel_at_its_end),
	};

	return cmocka_run_group_tests_name("ipc", tests, NULL, NULL);
}
