#include "probes/datagram.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <time.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/mem.h"
#include "probes/dial.h"

#define LAY_MAX (10 * NS_PER_S) /* longer in the socket's buffer: the wall clock was moved meanwhile */

struct datagram {
	SLIST_ENTRY(datagram) link;
	struct datagram_pool *pool; /* NULL: none */
	bool is_parked;
	int fd, family;
	struct sockaddr_storage peer;
	socklen_t peer_len;
	int64_t aimed;        /* when it got its own port */
	unsigned uses;        /* of that port */
	unsigned sent, heard; /* in this use */
	struct event *readable;
	struct datagram_events events;
};

SLIST_HEAD(datagrams, datagram);

struct datagram_pool {
	struct event_base *base;
	int64_t port_time; /* ns */
	struct datagrams four, six;
	size_t count;
};

static struct datagrams *parked(struct datagram_pool *p, int family)
{
	return family == AF_INET6 ? &p->six : &p->four;
}

static void drop(struct datagram *d)
{
	if (d->readable != NULL)
		event_free(d->readable);
	if (d->fd >= 0)
		close(d->fd);
	free(d);
}

static void unpark(struct datagram *d)
{
	SLIST_REMOVE(parked(d->pool, d->family), d, datagram, link);
	d->pool->count--;
	d->is_parked = false;
}

static const char *words(int error, bool ours)
{
	const struct dial_end end = {.error = error, .ours = ours};

	return dial_reason(&end);
}

const char *datagram_refusal_words(int error)
{
	return words(error, true);
}

const char *datagram_error_words(int error)
{
	return error == ECONNREFUSED ? "port unreachable" : words(error, false);
}

/* ---- in */

static int64_t stamp_of(struct msghdr *m)
{
	struct timespec ts;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h != NULL; h = CMSG_NXTHDR(m, h)) {
		if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_TIMESTAMPNS) {
			memcpy(&ts, CMSG_DATA(h), sizeof ts);
			return ts.tv_sec * NS_PER_S + ts.tv_nsec;
		}
	}
	return 0;
}

static void set_times(struct datagram_packet *p, int64_t stamp)
{
	int64_t lay;

	p->mono = clock_mono();
	p->real = clock_real();
	lay = p->real - stamp;
	if (lay < 0 || lay > LAY_MAX)
		return;
	p->mono -= lay;
	p->real = stamp;
}

/* What the way told, which must be taken for the descriptor to be quiet again: the last of it, or 0. */
static int drain_errors(int fd)
{
	int error = 0;

	for (;;) {
		struct sock_extended_err e;
		union {
			struct cmsghdr align;
			uint8_t bytes[512];
		} control;
		struct msghdr m = {.msg_control = control.bytes, .msg_controllen = sizeof control};

		if (recvmsg(fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT) < 0)
			return error;
		for (struct cmsghdr *h = CMSG_FIRSTHDR(&m); h != NULL; h = CMSG_NXTHDR(&m, h)) {
			if ((h->cmsg_level != IPPROTO_IP || h->cmsg_type != IP_RECVERR) &&
				(h->cmsg_level != IPPROTO_IPV6 || h->cmsg_type != IPV6_RECVERR))
				continue;
			memcpy(&e, CMSG_DATA(h), sizeof e);
			error = (int)e.ee_errno;
		}
	}
}

static void on_failed_read(struct datagram *d, int error)
{
	int told = drain_errors(d->fd);

	if (told != 0)
		error = told;
	if (error != EAGAIN && error != EINTR)
		d->events.on_error(d->events.ctx, error);
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct datagram *d = ctx;
	uint8_t bytes[DATAGRAM_MAX];
	union {
		struct cmsghdr align;
		uint8_t bytes[64];
	} control;
	struct iovec iov = {bytes, sizeof bytes};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
		.msg_controllen = sizeof control};
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT);
	struct datagram_packet p = {.data = bytes, .len = (size_t)n};

	(void)what;
	if (d->is_parked) { /* it came while the socket was given up */
		unpark(d);
		drop(d);
		return;
	}
	if (n < 0) {
		on_failed_read(d, errno);
		return;
	}
	d->heard++;
	set_times(&p, stamp_of(&m));
	d->events.on_packet(d->events.ctx, &p);
}

/* ---- set up */

static int open_socket(struct datagram *d)
{
	bool six = d->family == AF_INET6;
	int on = 1;

	d->fd = socket(d->family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (d->fd < 0)
		return errno;
	if (six && setsockopt(d->fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) < 0)
		return errno;
	/* Without it the kernel does not tell of errors that might pass. What it refuses costs words or precision. */
	setsockopt(d->fd, six ? IPPROTO_IPV6 : IPPROTO_IP, six ? IPV6_RECVERR : IP_RECVERR, &on, sizeof on);
	setsockopt(d->fd, SOL_SOCKET, SO_TIMESTAMPNS, &on, sizeof on);
	return 0;
}

/* To the peer, from a random port. */
static int aim(struct datagram *d)
{
	d->aimed = clock_mono();
	d->uses = 1;
	return connect(d->fd, (struct sockaddr *)&d->peer, d->peer_len) < 0 ? errno : 0;
}

/* Without a peer it has no port either, and hears nothing. */
static int unaim(struct datagram *d)
{
	const struct sockaddr nobody = {.sa_family = AF_UNSPEC};

	return connect(d->fd, &nobody, sizeof nobody) < 0 ? errno : 0;
}

static struct sockaddr_storage with_port(const struct sockaddr *address, socklen_t len, uint16_t port)
{
	struct sockaddr_storage to = {0};

	assert(len <= sizeof to);
	memcpy(&to, address, len);
	if (address->sa_family == AF_INET6)
		((struct sockaddr_in6 *)&to)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)&to)->sin_port = htons(port);
	return to;
}

struct datagram *datagram_open(struct event_base *base, const struct sockaddr *address, socklen_t len, uint16_t port,
	const struct datagram_events *events, int *error)
{
	struct datagram *d = mem_alloc(sizeof *d);

	d->events = *events;
	d->family = address->sa_family;
	d->peer = with_port(address, len, port);
	d->peer_len = len;
	*error = open_socket(d);
	if (*error == 0)
		*error = aim(d);
	if (*error != 0) {
		datagram_close(d);
		return NULL;
	}
	d->readable = event_new(base, d->fd, EV_READ | EV_PERSIST, on_readable, d);
	assert(d->readable != NULL);
	event_add(d->readable, NULL);
	return d;
}

/* ---- the pool */

struct datagram_pool *datagram_pool_new(struct event_base *base, int64_t port_time)
{
	struct datagram_pool *p = mem_alloc(sizeof *p);

	p->base = base;
	p->port_time = port_time;
	return p;
}

static void drop_all(struct datagrams *list)
{
	while (!SLIST_EMPTY(list)) {
		struct datagram *d = SLIST_FIRST(list);

		unpark(d);
		drop(d);
	}
}

void datagram_pool_free(struct datagram_pool *p)
{
	drop_all(&p->four);
	drop_all(&p->six);
	free(p);
}

static bool may_stay(const struct datagram *d, const struct sockaddr_storage *to, socklen_t len, int64_t now)
{
	return d->uses < DATAGRAM_PORT_USES && now - d->aimed < d->pool->port_time && d->peer_len == len &&
		memcmp(&d->peer, to, len) == 0;
}

/* One that may stay connected to this peer, or else the one that waits longest; NULL: none waits. */
static struct datagram *pick(struct datagram_pool *p, const struct sockaddr_storage *to, socklen_t len, bool *stays)
{
	struct datagram *d, *last = NULL;
	int64_t now = clock_mono();

	*stays = true;
	SLIST_FOREACH(d, parked(p, to->ss_family), link) {
		if (may_stay(d, to, len, now))
			return d;
		last = d;
	}
	*stays = false;
	return last;
}

/* Nothing came while it waited, not even an error. */
static bool is_quiet(const struct datagram *d)
{
	uint8_t byte;

	return recv(d->fd, &byte, sizeof byte, MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

static struct datagram *take_parked(struct datagram_pool *p, const struct sockaddr_storage *to, socklen_t len, bool *stays)
{
	struct datagram *d;

	while ((d = pick(p, to, len, stays)) != NULL) {
		unpark(d);
		if ((*stays || unaim(d) == 0) && is_quiet(d))
			return d;
		drop(d);
	}
	return NULL;
}

struct datagram *datagram_take(struct datagram_pool *p, const struct sockaddr *address, socklen_t len, uint16_t port,
	const struct datagram_events *events, int *error)
{
	const struct sockaddr_storage to = with_port(address, len, port);
	bool stays;
	struct datagram *d = take_parked(p, &to, len, &stays);

	*error = 0;
	if (d == NULL) {
		d = datagram_open(p->base, address, len, port, events, error);
		if (d != NULL)
			d->pool = p;
		return d;
	}
	d->events = *events;
	d->sent = d->heard = 0;
	if (stays) {
		d->uses++;
		return d;
	}
	d->peer = to;
	d->peer_len = len;
	*error = aim(d);
	if (*error == 0)
		return d;
	drop(d);
	return NULL;
}

/* What is still on its way to it would disturb its next use. False: it ends. */
static bool park(struct datagram *d)
{
	if (d->pool->count == DATAGRAM_POOL_MAX || d->sent != d->heard)
		return false;
	d->is_parked = true;
	d->pool->count++;
	SLIST_INSERT_HEAD(parked(d->pool, d->family), d, link);
	return true;
}

void datagram_close(struct datagram *d)
{
	if (d != NULL && (d->pool == NULL || !park(d)))
		drop(d);
}

/* ---- out */

/* Whether this host still has the address that it asks from: over IPv6 the kernel sends all the same. */
static bool has_own_address(const struct datagram *d)
{
	struct sockaddr_storage own;
	socklen_t len = sizeof own;
	int fd = socket(d->family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	bool has = true;

	if (fd >= 0 && getsockname(d->fd, (struct sockaddr *)&own, &len) == 0) {
		if (d->family == AF_INET6)
			((struct sockaddr_in6 *)&own)->sin6_port = 0;
		else
			((struct sockaddr_in *)&own)->sin_port = 0;
		has = bind(fd, (struct sockaddr *)&own, len) == 0 || errno != EADDRNOTAVAIL;
	}
	if (fd >= 0)
		close(fd);
	return has;
}

static int aim_anew(struct datagram *d)
{
	int error = unaim(d);

	return error == 0 ? aim(d) : error;
}

/* The first error may be one that the way told of what was sent before, which then is of no use any more. A port that is
 * kept has an address of this host that may be gone meanwhile. */
int datagram_send(struct datagram *d, const void *data, size_t len)
{
	/* Nothing came back to a kept port: is it still one of this host? */
	if (d->sent++ > 0 && d->uses > 1 && !has_own_address(d))
		aim_anew(d);
	if (send(d->fd, data, len, MSG_NOSIGNAL) >= 0 || send(d->fd, data, len, MSG_NOSIGNAL) >= 0)
		return 0;
	if (d->uses > 1 && aim_anew(d) == 0 && send(d->fd, data, len, MSG_NOSIGNAL) >= 0)
		return 0;
	return errno;
}

int datagram_fd(const struct datagram *d)
{
	return d->fd;
}
