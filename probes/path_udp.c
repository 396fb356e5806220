#include "probes/path_udp.h"

#include <errno.h>
#include <event2/event.h>
#include <linux/errqueue.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "lib/mem.h"

#define ANSWERS_PER_EVENT 64
#define QUOTE_MAX 256

struct path_udp {
	int fd;
	enum family family;
	uint64_t nonce;
	unsigned foreign;
	struct event *readable;
	bool is_closed, is_reading; /* closed from inside a callback: freed behind it */
	struct path_udp_events events;
};

/* ---- in */

static bool find_error(struct msghdr *m, struct sock_extended_err *e, struct sockaddr_storage *from)
{
	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h != NULL; h = CMSG_NXTHDR(m, h)) {
		size_t len;

		if ((h->cmsg_level != IPPROTO_IP || h->cmsg_type != IP_RECVERR) &&
			(h->cmsg_level != IPPROTO_IPV6 || h->cmsg_type != IPV6_RECVERR))
			continue;
		if (h->cmsg_len < CMSG_LEN(sizeof *e))
			continue;
		len = h->cmsg_len - CMSG_LEN(sizeof *e);
		memset(from, 0, sizeof *from);
		memcpy(e, CMSG_DATA(h), sizeof *e);
		memcpy(from, CMSG_DATA(h) + sizeof *e, len < sizeof *from ? len : sizeof *from);
		return e->ee_origin == SO_EE_ORIGIN_ICMP || e->ee_origin == SO_EE_ORIGIN_ICMP6;
	}
	return false;
}

/* False: the queue is empty. */
static bool read_error(struct path_udp *u)
{
	uint8_t quote[QUOTE_MAX];
	union {
		struct cmsghdr align;
		uint8_t bytes[512];
	} control;
	struct iovec iov = {quote, sizeof quote};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.bytes,
		.msg_controllen = sizeof control};
	struct sock_extended_err e;
	struct sockaddr_storage from;
	ssize_t n = recvmsg(u->fd, &m, MSG_ERRQUEUE | MSG_DONTWAIT);
	int index;

	if (n < 0)
		return false;
	index = path_payload_decode(u->nonce, quote, (size_t)n);
	if (!find_error(&m, &e, &from))
		return true;
	if (index < 0)
		u->foreign++;
	else
		u->events.on_answer(u->events.ctx, &(struct path_udp_answer){.index = (unsigned)index,
			.from = (const struct sockaddr *)&from, .type = e.ee_type, .code = e.ee_code});
	return true;
}

/* Datagrams that somebody sends back say nothing that is understood here: they are read away. */
static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct path_udp *u = ctx;
	uint8_t byte;

	(void)what;
	u->is_reading = true;
	for (int i = 0; i < ANSWERS_PER_EVENT && !u->is_closed && read_error(u); i++)
		continue;
	if (!u->is_closed)
		recv(fd, &byte, sizeof byte, MSG_DONTWAIT);
	u->is_reading = false;
	if (u->is_closed)
		path_udp_close(u);
}

/* ---- life */

static void set_port(struct sockaddr_storage *a, uint16_t port)
{
	if (a->ss_family == AF_INET)
		((struct sockaddr_in *)(void *)a)->sin_port = htons(port);
	else
		((struct sockaddr_in6 *)(void *)a)->sin6_port = htons(port);
}

static int set_up(int fd, const struct sockaddr *to, socklen_t len, uint16_t port, uint16_t source)
{
	struct sockaddr_storage there = {0}, here = {.ss_family = to->sa_family};
	int on = 1;
	bool is_v4 = to->sa_family == AF_INET;

	if (setsockopt(fd, is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? IP_RECVERR : IPV6_RECVERR, &on, sizeof on) < 0)
		return -1;
	set_port(&here, source);
	/* Taken by another: any port will do, for this look. */
	if (source != 0)
		(void)!bind(fd, (struct sockaddr *)&here, len);
	memcpy(&there, to, len);
	set_port(&there, port);
	return connect(fd, (struct sockaddr *)&there, len);
}

struct path_udp *path_udp_open(struct event_base *base, const struct sockaddr *to, socklen_t len, uint16_t port,
	uint16_t source, const struct path_udp_events *events, int *error)
{
	int fd = socket(to->sa_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	struct path_udp *u;

	if (fd < 0 || set_up(fd, to, len, port, source) < 0) {
		*error = errno;
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	u = mem_alloc(sizeof *u);
	u->fd = fd;
	u->family = to->sa_family == AF_INET ? FAMILY_V4 : FAMILY_V6;
	u->events = *events;
	if (getrandom(&u->nonce, sizeof u->nonce, 0) < 0)
		abort();
	u->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, u);
	event_add(u->readable, NULL);
	return u;
}

void path_udp_close(struct path_udp *u)
{
	if (u == NULL)
		return;
	u->is_closed = true;
	if (u->is_reading)
		return;
	event_free(u->readable);
	close(u->fd);
	free(u);
}

unsigned path_udp_foreign(const struct path_udp *u)
{
	return u->foreign;
}

/* ---- out */

int path_udp_send(struct path_udp *u, unsigned index, unsigned ttl)
{
	uint8_t bytes[PATH_PAYLOAD];
	int hops = (int)ttl, is_v4 = u->family == FAMILY_V4;

	path_payload_encode(u->nonce, (uint16_t)index, bytes);
	if (setsockopt(u->fd, is_v4 ? IPPROTO_IP : IPPROTO_IPV6, is_v4 ? IP_TTL : IPV6_UNICAST_HOPS, &hops, sizeof hops) < 0)
		return errno;
	/* The first error may be one that an earlier packet met on its way. */
	if (send(u->fd, bytes, sizeof bytes, 0) < 0 && send(u->fd, bytes, sizeof bytes, 0) < 0 && errno != ECONNREFUSED &&
		errno != EHOSTUNREACH && errno != EAGAIN && errno != ENOBUFS)
		return errno;
	return 0;
}
