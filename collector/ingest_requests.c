#include "collector/ingest_requests.h"

#include <errno.h>
#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/listener.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/wire.h"

#define ANSWER_MAX 4096
#define REST_US 200000

struct asker {
	struct requests *of;
	struct bufferevent *io;
	uint32_t uid;
	uint64_t seq; /* of the entry that waits to be synced; 0: none */
	bool is_answered;
	struct asker *next;
};

struct requests {
	struct evconnlistener *listener;
	struct event *again; /* it listens again */
	int (*take)(void *ctx, const struct wire_request *, uint64_t *seq, struct err *);
	void *ctx;
	struct asker *askers;
	size_t count;
};

/* ---- the socket */

/* A path below the folder that always fits: sockets are named by 107 bytes at most. */
static void name_socket(int folder, struct sockaddr_un *a)
{
	*a = (struct sockaddr_un){.sun_family = AF_UNIX};
	snprintf(a->sun_path, sizeof a->sun_path, "/proc/self/fd/%d/" REQUESTS_FILE, folder);
}

static int give_to_owner(int folder, const struct sockaddr_un *a)
{
	struct stat s;

	if (fstat(folder, &s) < 0 || chmod(a->sun_path, 0600) < 0)
		return -1;
	return s.st_uid == geteuid() ? 0 : lchown(a->sun_path, s.st_uid, s.st_gid);
}

int requests_listen(const char *state, struct err *e)
{
	int folder = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;
	struct sockaddr_un a;
	mode_t mask;
	int rc;

	if (folder < 0)
		return err_errno(e, "%s", state);
	name_socket(folder, &a);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	mask = umask(0177);
	unlinkat(folder, REQUESTS_FILE, 0);
	rc = fd < 0 ? -1 : bind(fd, (struct sockaddr *)&a, sizeof a);
	umask(mask);
	if (rc < 0 || give_to_owner(folder, &a) < 0 || listen(fd, REQUESTS_MAX) < 0) {
		err_errno(e, "%s/%s: make the socket", state, REQUESTS_FILE);
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	close(folder);
	return fd;
}

/* ---- who asks */

static void asker_free(struct asker *a)
{
	struct asker **at = &a->of->askers;

	while (*at != a)
		at = &(*at)->next;
	*at = a->next;
	a->of->count--;
	if (a->of->count < REQUESTS_MAX)
		evconnlistener_enable(a->of->listener);
	bufferevent_free(a->io);
	free(a);
}

static void answer(struct asker *a, const struct wire_answer *words)
{
	struct buf b = {0};

	wire_answer_encode(words, &b);
	a->is_answered = true;
	a->seq = 0;
	bufferevent_enable(a->io, EV_WRITE);
	bufferevent_write(a->io, b.data, b.len);
	buf_fini(&b);
}

static void refuse(struct asker *a, const struct err *e)
{
	struct wire_answer words = {.durable = 0};

	text_clean(e->text, strlen(e->text), words.reason, sizeof words.reason);
	answer(a, &words);
}

static void take(struct asker *a)
{
	struct evbuffer *in = bufferevent_get_input(a->io);
	size_t len = evbuffer_get_length(in);
	struct err e;
	struct wire_request *r = wire_request_decode(evbuffer_pullup(in, -1), len, &e);

	if (r != NULL) {
		r->uid = a->uid;
		r->real = clock_real();
	}
	if (r == NULL || a->of->take(a->of->ctx, r, &a->seq, &e) < 0)
		refuse(a, &e);
	wire_request_free(r);
}

static void on_read(struct bufferevent *io, void *ctx)
{
	struct asker *a = ctx;
	struct err e;

	if (evbuffer_get_length(bufferevent_get_input(io)) <= WIRE_REQUEST_MAX)
		return;
	err_set(&e, "the request is larger than %u bytes", WIRE_REQUEST_MAX);
	bufferevent_disable(io, EV_READ);
	refuse(a, &e);
}

static void on_written(struct bufferevent *io, void *ctx)
{
	struct asker *a = ctx;

	(void)io;
	if (a->is_answered)
		asker_free(a);
}

/* The end of what it writes makes a request whole; one that is gone, or too slow, is let go. */
static void on_event(struct bufferevent *io, short what, void *ctx)
{
	struct asker *a = ctx;

	if ((what & BEV_EVENT_EOF) == 0 || a->is_answered || a->seq != 0) {
		asker_free(a);
		return;
	}
	bufferevent_disable(io, EV_READ);
	take(a);
}

static bool may_ask(int fd, uint32_t *uid)
{
	struct ucred peer;
	socklen_t len = sizeof peer;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		return false;
	*uid = peer.uid;
	return peer.uid == 0 || peer.uid == geteuid();
}

static void on_connection(struct evconnlistener *l, evutil_socket_t fd, struct sockaddr *from, int len, void *ctx)
{
	const struct timeval within = {REQUESTS_WITHIN / NS_PER_S, 0};
	struct requests *r = ctx;
	struct asker *a;
	uint32_t uid = 0;

	(void)from, (void)len;
	if (!may_ask(fd, &uid)) {
		log_warn("somebody asks who may not uid=%u", uid);
		close(fd);
		return;
	}
	a = mem_alloc(sizeof *a);
	*a = (struct asker){.of = r, .uid = uid, .next = r->askers,
		.io = bufferevent_socket_new(evconnlistener_get_base(l), fd, BEV_OPT_CLOSE_ON_FREE)};
	r->askers = a;
	if (++r->count == REQUESTS_MAX)
		evconnlistener_disable(l);
	bufferevent_setcb(a->io, on_read, on_written, on_event, a);
	bufferevent_set_timeouts(a->io, &within, &within);
	bufferevent_enable(a->io, EV_READ);
}

static void on_again(evutil_socket_t fd, short what, void *ctx)
{
	struct requests *r = ctx;

	(void)fd, (void)what;
	evconnlistener_enable(r->listener);
}

/* For want of descriptors, mostly: at once the same would happen, for ever. Unlike accept_rest of lib/accept, as it goes before the
 * base does. */
static void on_accept_failed(struct evconnlistener *l, void *ctx)
{
	struct requests *r = ctx;
	const struct timeval rest = {0, REST_US};

	log_warn("nobody can ask for a moment error=\"%s\"", strerror(errno));
	evconnlistener_disable(l);
	evtimer_add(r->again, &rest);
}

struct requests *requests_new(struct event_base *base, int fd,
	int (*on_request)(void *ctx, const struct wire_request *, uint64_t *seq, struct err *), void *ctx)
{
	struct requests *r = mem_alloc(sizeof *r);

	*r = (struct requests){.take = on_request, .ctx = ctx};
	r->listener = evconnlistener_new(base, on_connection, r, LEV_OPT_CLOSE_ON_FREE | LEV_OPT_CLOSE_ON_EXEC, 0, fd);
	r->again = evtimer_new(base, on_again, r);
	evconnlistener_set_error_cb(r->listener, on_accept_failed);
	return r;
}

/* The loop does not run any more; the answer fits into the socket. */
static void send_rest(struct asker *a)
{
	struct evbuffer *out = bufferevent_get_output(a->io);

	if (evbuffer_get_length(out) == 0)
		return;
	evbuffer_unfreeze(out, 1); /* as the loop does while it writes */
	if (evbuffer_write(out, bufferevent_getfd(a->io)) < 0)
		log_warn("somebody who asked does not hear the answer uid=%u", a->uid);
}

void requests_free(struct requests *r)
{
	if (r == NULL)
		return;
	while (r->askers != NULL) {
		send_rest(r->askers);
		asker_free(r->askers);
	}
	event_free(r->again);
	evconnlistener_free(r->listener);
	free(r);
}

void requests_synced(struct requests *r, const struct journal *j)
{
	uint64_t synced = journal_synced(j).seq;

	for (struct asker *a = r->askers; a != NULL; a = a->next) {
		if (a->seq != 0 && a->seq <= synced)
			answer(a, &(struct wire_answer){.accepted = journal_position(j, a->seq), .durable = a->seq});
	}
}

/* ---- the other side */

static int connect_to(const char *state, struct err *e)
{
	int folder = open(state, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;
	struct sockaddr_un a;

	if (folder < 0)
		return err_errno(e, "%s: no collector listens there", state);
	name_socket(folder, &a);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof a) < 0) {
		err_errno(e, "%s/%s: no collector listens there", state, REQUESTS_FILE);
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	close(folder);
	return fd;
}

static int read_answer(int fd, int64_t until, struct wire_answer *out, struct err *e)
{
	uint8_t bytes[ANSWER_MAX];
	size_t len = 0;
	ssize_t n = 1;

	while (n > 0 && len < sizeof bytes) {
		struct pollfd p = {.fd = fd, .events = POLLIN};
		int64_t left = (until - clock_mono()) / NS_PER_MS;

		if (left <= 0 || poll(&p, 1, (int)left) == 0)
			return err_set(e, "no answer in time");
		n = read(fd, bytes + len, sizeof bytes - len);
		if (n < 0)
			return err_errno(e, "no answer");
		len += (size_t)n;
	}
	if (len == 0)
		return err_set(e, "the collector hung up without an answer");
	return wire_answer_decode(bytes, len, out, e);
}

int requests_ask(const char *state, const struct wire_request *r, int64_t within, struct wire_answer *out, bool *sent,
	struct err *e)
{
	int64_t until = clock_mono() + within;
	struct buf b = {0};
	int fd, rc = -1;

	*sent = false;
	fd = connect_to(state, e);
	if (fd < 0)
		return -1;
	wire_request_encode(r, &b);
	if (send(fd, b.data, b.len, MSG_NOSIGNAL) != (ssize_t)b.len) {
		err_errno(e, "the collector takes nothing");
	} else {
		*sent = true;
		shutdown(fd, SHUT_WR);
		rc = read_answer(fd, until, out, e);
	}
	buf_fini(&b);
	close(fd);
	return rc;
}
