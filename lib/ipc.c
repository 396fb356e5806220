#include "lib/ipc.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"

#define HEAD_SIZE 12
#define FLAG_FD 1u
#define QUEUE_MAX (4u * IPC_BODY_MAX)
#define READ_CHUNK (64u << 10)
#define READS_PER_EVENT 16 /* then other channels of the loop have their turn */
#define FDS_MAX 64

/* Descriptors in order of their frames; `at` counts bytes of the stream, for those to be sent. */
struct fd_queue {
	struct {
		int fd;
		uint64_t at;
	} items[FDS_MAX];
	size_t count;
};

struct ipc {
	int fd;
	const char *gone; /* why, once the channel has ended */
	struct buf in, out;
	size_t in_at, out_at; /* bytes of each that are done with */
	uint64_t sent;        /* bytes of the stream sent so far */
	struct fd_queue in_fds, out_fds;
	struct event *on_readable, *on_writable, *on_end;
	void (*on_message)(void *, struct ipc_message *);
	void (*on_gone)(void *, const char *);
	void *ctx;
	bool *freed; /* set while a callback runs: it may free the channel */
};

int ipc_pair(int fds[2], struct err *e)
{
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) != 0)
		return err_errno(e, "socket pair");
	return 0;
}

struct ipc *ipc_new(int fd)
{
	struct ipc *c = mem_alloc(sizeof *c);

	c->fd = fd;
	return c;
}

static void close_fds(struct fd_queue *q)
{
	for (size_t i = 0; i < q->count; i++)
		close(q->items[i].fd);
	q->count = 0;
}

static int take_fd(struct fd_queue *q)
{
	int fd = q->items[0].fd;

	memmove(q->items, q->items + 1, --q->count * sizeof q->items[0]);
	return fd;
}

void ipc_free(struct ipc *c)
{
	if (c == NULL)
		return;
	if (c->freed != NULL)
		*c->freed = true;
	if (c->on_readable != NULL) {
		event_free(c->on_readable);
		event_free(c->on_writable);
		event_free(c->on_end);
	}
	close_fds(&c->in_fds);
	close_fds(&c->out_fds);
	buf_fini(&c->in);
	buf_fini(&c->out);
	close(c->fd);
	free(c);
}

int ipc_fd(const struct ipc *c)
{
	return c->fd;
}

static int set_gone(struct ipc *c, const char *why)
{
	if (c->gone == NULL)
		c->gone = why;
	return -1;
}

/* ---- out */

/* Bytes that one call may send: up to the next frame that has a descriptor, which goes with that
 * frame's first byte. */
static size_t sendable(const struct ipc *c, int *fd)
{
	size_t left = c->out.len - c->out_at;

	*fd = -1;
	for (size_t i = 0; i < c->out_fds.count; i++) {
		if (c->out_fds.items[i].at != c->sent)
			return (size_t)(c->out_fds.items[i].at - c->sent);
		*fd = c->out_fds.items[i].fd;
	}
	return left;
}

/* 1 something was sent, 0 the socket is full, -1 gone. */
static int send_some(struct ipc *c)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control = {0};
	int fd;
	size_t len = sendable(c, &fd);
	struct iovec iov = {c->out.data + c->out_at, len};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	ssize_t n;

	if (fd >= 0) {
		struct cmsghdr *h;

		m.msg_control = control.bytes;
		m.msg_controllen = sizeof control.bytes;
		h = CMSG_FIRSTHDR(&m);
		h->cmsg_level = SOL_SOCKET;
		h->cmsg_type = SCM_RIGHTS;
		h->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(h), &fd, sizeof fd);
	}
	do
		n = sendmsg(c->fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n < 0)
		return set_gone(c, "the peer is gone");
	if (fd >= 0)
		close(take_fd(&c->out_fds));
	c->sent += (size_t)n;
	c->out_at += (size_t)n;
	if (c->out_at == c->out.len || c->out_at >= READ_CHUNK * 4) {
		buf_drop_front(&c->out, c->out_at);
		c->out_at = 0;
	}
	return 1;
}

static int flush(struct ipc *c)
{
	int n = 1;

	while (n == 1 && c->out.len > c->out_at)
		n = send_some(c);
	return n < 0 ? -1 : 0;
}

static int queue_frame(struct ipc *c, uint16_t type, uint32_t id, const void *body, size_t len, int fd)
{
	assert(len <= IPC_BODY_MAX);
	if (c->gone != NULL)
		return -1;
	if (c->out.len - c->out_at + len > QUEUE_MAX || (fd >= 0 && c->out_fds.count == FDS_MAX))
		return set_gone(c, "the peer does not read");
	if (fd >= 0) {
		int copy = fcntl(fd, F_DUPFD_CLOEXEC, 0);

		if (copy < 0)
			return set_gone(c, "no descriptor is left");
		c->out_fds.items[c->out_fds.count].at = c->sent + (c->out.len - c->out_at);
		c->out_fds.items[c->out_fds.count++].fd = copy;
	}
	buf_add_u32(&c->out, (uint32_t)len);
	buf_add_u16(&c->out, type);
	buf_add_u16(&c->out, fd >= 0 ? FLAG_FD : 0);
	buf_add_u32(&c->out, id);
	buf_add(&c->out, body, len);
	return 0;
}

int ipc_send(struct ipc *c, uint16_t type, uint32_t id, const void *body, size_t len, int fd)
{
	int rc = queue_frame(c, type, id, body, len, fd);

	if (rc == 0)
		rc = flush(c);
	if (c->on_end == NULL)
		return rc;
	/* The owner learns of the end from the loop, never from inside this call. */
	if (c->gone != NULL)
		event_active(c->on_end, EV_TIMEOUT, 0);
	else if (c->out.len > c->out_at)
		event_add(c->on_writable, NULL);
	return rc;
}

/* ---- in */

/* Padding makes room for a second descriptor in the control bytes: whatever came is kept or closed. */
static int keep_received_fds(struct ipc *c, struct msghdr *m)
{
	size_t came = 0;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h != NULL; h = CMSG_NXTHDR(m, h)) {
		size_t count = (h->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (h->cmsg_level != SOL_SOCKET || h->cmsg_type != SCM_RIGHTS)
			continue;
		for (size_t i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(h) + i * sizeof fd, sizeof fd);
			if (came++ > 0 || c->in_fds.count == FDS_MAX)
				close(fd);
			else
				c->in_fds.items[c->in_fds.count++].fd = fd;
		}
	}
	if (came > 1 || (m->msg_flags & MSG_CTRUNC) != 0)
		return set_gone(c, "more than one descriptor with a frame");
	return 0;
}

/* 1 something was received, 0 nothing is there now, -1 gone. */
static int receive_some(struct ipc *c)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov;
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
		.msg_controllen = sizeof control.bytes};
	ssize_t n;

	if (c->in_at > 0) {
		buf_drop_front(&c->in, c->in_at);
		c->in_at = 0;
	}
	iov.iov_base = buf_reserve(&c->in, READ_CHUNK);
	iov.iov_len = READ_CHUNK;
	do
		n = recvmsg(c->fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n < 0 && errno == EAGAIN)
		return 0;
	if (n <= 0)
		return set_gone(c, n == 0 ? "the peer ended" : "the peer is gone");
	c->in.len += (size_t)n;
	return keep_received_fds(c, &m) < 0 ? -1 : 1;
}

/* 1 *m is the next whole frame, 0 it is not all there, -1 the peer broke the rules. */
static int next_frame(struct ipc *c, struct ipc_message *m)
{
	struct cursor head = cursor_over(c->in.data + c->in_at, c->in.len - c->in_at);
	uint32_t len = cursor_u32(&head);
	uint16_t flags;

	m->type = cursor_u16(&head);
	flags = cursor_u16(&head);
	m->id = cursor_u32(&head);
	if (head.failed)
		return 0;
	if (len > IPC_BODY_MAX)
		return set_gone(c, "a frame is too long");
	if ((flags & ~FLAG_FD) != 0 || ((flags & FLAG_FD) != 0 && c->in_fds.count == 0))
		return set_gone(c, "a frame has flags that mean nothing");
	if (cursor_left(&head) < len)
		return 0;
	m->body = head.at;
	m->len = len;
	m->fd = (flags & FLAG_FD) != 0 ? take_fd(&c->in_fds) : -1;
	c->in_at += HEAD_SIZE + len;
	return 1;
}

/* A descriptor that no frame speaks of would stand in the queue for ever, or ride with a wrong frame. */
static int check_stray_fds(struct ipc *c)
{
	if (c->in_at == c->in.len && c->in_fds.count > 0)
		return set_gone(c, "a descriptor without a frame");
	return 0;
}

/* Hands out all whole frames; -1 when the channel was freed or has ended. */
static int deliver(struct ipc *c)
{
	struct ipc_message m;
	bool freed = false;
	int n;

	while ((n = next_frame(c, &m)) == 1) {
		c->freed = &freed;
		c->on_message(c->ctx, &m);
		if (freed)
			return -1;
		c->freed = NULL;
	}
	if (n == 0)
		n = check_stray_fds(c);
	if (n < 0)
		event_active(c->on_end, EV_TIMEOUT, 0);
	return n;
}

static void on_readable(evutil_socket_t fd, short what, void *arg)
{
	struct ipc *c = arg;
	int n = 1;

	(void)fd;
	(void)what;
	for (int i = 0; i < READS_PER_EVENT && n == 1; i++) {
		n = receive_some(c);
		if (deliver(c) < 0)
			return;
	}
	if (n < 0)
		event_active(c->on_end, EV_TIMEOUT, 0);
}

static void on_writable(evutil_socket_t fd, short what, void *arg)
{
	struct ipc *c = arg;

	(void)fd;
	(void)what;
	if (flush(c) < 0)
		event_active(c->on_end, EV_TIMEOUT, 0);
	else if (c->out.len > c->out_at)
		event_add(c->on_writable, NULL);
}

static void on_end(evutil_socket_t fd, short what, void *arg)
{
	struct ipc *c = arg;
	void (*call)(void *, const char *) = c->on_gone;

	(void)fd;
	(void)what;
	event_del(c->on_readable);
	event_del(c->on_writable);
	c->on_gone = NULL;
	if (call != NULL)
		call(c->ctx, c->gone);
}

void ipc_start(struct ipc *c, struct event_base *base,
	void (*on_message)(void *ctx, struct ipc_message *), void (*gone)(void *ctx, const char *why),
	void *ctx)
{
	c->on_message = on_message;
	c->on_gone = gone;
	c->ctx = ctx;
	c->on_readable = event_new(base, c->fd, EV_READ | EV_PERSIST, on_readable, c);
	c->on_writable = event_new(base, c->fd, EV_WRITE, on_writable, c);
	c->on_end = event_new(base, -1, 0, on_end, c);
	event_add(c->on_readable, NULL);
	/* Frames may have come in with the last blocking receive. */
	event_active(c->on_readable, EV_READ, 0);
	if (c->out.len > c->out_at)
		event_add(c->on_writable, NULL);
}

/* ---- blocking */

static int wait_for(struct ipc *c, short events, int64_t deadline, struct err *e)
{
	struct pollfd p = {.fd = c->fd, .events = events};
	int64_t left = deadline < 0 ? -1 : (deadline - clock_mono() + NS_PER_MS - 1) / NS_PER_MS;
	int n;

	if (deadline >= 0 && left <= 0)
		return err_set(e, "no answer in time");
	n = poll(&p, 1, left > INT32_MAX ? INT32_MAX : (int)left);
	if (n < 0 && errno != EINTR)
		return err_errno(e, "poll");
	return 0;
}

int ipc_send_wait(struct ipc *c, uint16_t type, uint32_t id, const void *body, size_t len, int fd,
	struct err *e)
{
	if (queue_frame(c, type, id, body, len, fd) < 0)
		return err_set(e, "%s", c->gone);
	for (;;) {
		if (flush(c) < 0)
			return err_set(e, "%s", c->gone);
		if (c->out.len == c->out_at)
			return 0;
		if (wait_for(c, POLLOUT, -1, e) < 0)
			return -1;
	}
}

int ipc_receive(struct ipc *c, struct ipc_message *m, int64_t timeout, struct err *e)
{
	int64_t deadline = timeout < 0 ? -1 : clock_mono() + timeout;

	for (;;) {
		int n = next_frame(c, m);

		if (n == 1)
			return 0;
		if (n == 0 && c->gone == NULL)
			n = check_stray_fds(c);
		if (n == 0 && c->gone == NULL)
			n = receive_some(c);
		if (n < 0 || (n == 0 && c->gone != NULL))
			return err_set(e, "%s", c->gone);
		if (n == 0 && wait_for(c, POLLIN, deadline, e) < 0)
			return -1;
	}
}
