#include "probes/icmp_socket.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <linux/errqueue.h>
#include <linux/net_tstamp.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/mem.h"

#define READ_BATCH 64
#define READS_PER_EVENT 16
#define PACKET_ROOM 256 /* headers, names and quotes; the rest of a packet is of no interest */
#define CONTROL_ROOM 256
#define RECEIVE_BUFFER (4 << 20)
#define KEYS 2048       /* requests whose transmit stamp may still come: 32 turns of the loop */
#define PAYLOAD_MAX 65000

#ifndef ICMP_FILTER
#define ICMP_FILTER 1 /* <linux/icmp.h>, which clashes with <netinet/ip_icmp.h> */
#endif

struct key {
	uint32_t key;
	bool used;
	struct icmp_packet_name name;
};

/* Room for one batch, touched only as far as packets come, and made ready again only so far: a socket at rest reads one. */
struct reading {
	int used; /* of the last batch */
	struct mmsghdr messages[READ_BATCH];
	struct iovec iov[READ_BATCH];
	struct sockaddr_storage from[READ_BATCH];
	uint8_t bytes[READ_BATCH][PACKET_ROOM];
	union {
		struct cmsghdr align;
		uint8_t bytes[CONTROL_ROOM];
	} control[READ_BATCH];
};

struct icmp_socket {
	int fd;
	enum family family;
	bool raw;
	uint32_t overflows;
	uint32_t next_key; /* the kernel numbers what it sends (SOF_TIMESTAMPING_OPT_ID) */
	struct key keys[KEYS];
	struct reading replies, errors;
	struct event *readable;
	struct icmp_socket_events events;
};

/* ---- set up */

static void set_stamps(struct icmp_socket *s, bool with_id)
{
	int flags = SOF_TIMESTAMPING_SOFTWARE | SOF_TIMESTAMPING_RX_SOFTWARE;

	if (with_id)
		flags |= SOF_TIMESTAMPING_TX_SOFTWARE | SOF_TIMESTAMPING_OPT_ID | SOF_TIMESTAMPING_OPT_TSONLY;
	setsockopt(s->fd, SOL_SOCKET, SO_TIMESTAMPING, &flags, sizeof flags);
}

static void set_filter(const struct icmp_socket *s)
{
	if (s->family == FAMILY_V4) {
		uint32_t blocked = ~(1u << ICMP_ECHOREPLY | 1u << ICMP_DEST_UNREACH | 1u << ICMP_TIME_EXCEEDED |
			1u << ICMP_PARAMETERPROB);

		setsockopt(s->fd, SOL_RAW, ICMP_FILTER, &blocked, sizeof blocked);
	} else {
		struct icmp6_filter filter;

		ICMP6_FILTER_SETBLOCKALL(&filter);
		ICMP6_FILTER_SETPASS(ICMP6_ECHO_REPLY, &filter);
		for (int type = ICMP6_DST_UNREACH; type <= ICMP6_PARAM_PROB; type++)
			ICMP6_FILTER_SETPASS(type, &filter);
		setsockopt(s->fd, IPPROTO_ICMPV6, ICMP6_FILTER, &filter, sizeof filter);
	}
}

/* None of these is vital: what the kernel refuses costs precision or a reason's words, no result. */
static void set_options(struct icmp_socket *s)
{
	int on = 1, room = RECEIVE_BUFFER, level = s->family == FAMILY_V4 ? IPPROTO_IP : IPPROTO_IPV6;

	setsockopt(s->fd, SOL_SOCKET, SO_RCVBUF, &room, sizeof room);
	setsockopt(s->fd, SOL_SOCKET, SO_RXQ_OVFL, &on, sizeof on);
	setsockopt(s->fd, level, s->family == FAMILY_V4 ? IP_RECVTTL : IPV6_RECVHOPLIMIT, &on, sizeof on);
	if (s->raw)
		set_filter(s);
	else
		setsockopt(s->fd, level, s->family == FAMILY_V4 ? IP_RECVERR : IPV6_RECVERR, &on, sizeof on);
	set_stamps(s, true);
}

static void on_readable(evutil_socket_t, short, void *);
static void make_ready(struct reading *, int count);

struct icmp_socket *icmp_socket_new(struct event_base *base, int fd, enum family f,
	const struct icmp_socket_events *events)
{
	struct icmp_socket *s = mem_alloc(sizeof *s);
	int type = SOCK_RAW;
	socklen_t len = sizeof type;

	getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len);
	s->fd = fd;
	s->family = f;
	s->raw = type == SOCK_RAW;
	s->events = *events;
	evutil_make_socket_nonblocking(fd);
	set_options(s);
	make_ready(&s->replies, READ_BATCH);
	make_ready(&s->errors, READ_BATCH);
	s->readable = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, s);
	event_add(s->readable, NULL);
	return s;
}

void icmp_socket_free(struct icmp_socket *s)
{
	if (s == NULL)
		return;
	event_free(s->readable);
	close(s->fd);
	free(s);
}

uint32_t icmp_socket_overflows(const struct icmp_socket *s)
{
	return s->overflows;
}

int icmp_socket_keep_whole(struct icmp_socket *s)
{
	int probe = IP_PMTUDISC_PROBE, probe6 = IPV6_PMTUDISC_PROBE, on = 1, failed;

	if (s->family == FAMILY_V4)
		failed = setsockopt(s->fd, IPPROTO_IP, IP_MTU_DISCOVER, &probe, sizeof probe);
	else
		failed = setsockopt(s->fd, IPPROTO_IPV6, IPV6_MTU_DISCOVER, &probe6, sizeof probe6) ||
			setsockopt(s->fd, IPPROTO_IPV6, IPV6_DONTFRAG, &on, sizeof on);
	return failed ? errno : 0;
}

/* ---- in */

static void make_ready(struct reading *r, int count)
{
	for (int i = 0; i < count; i++) {
		r->iov[i] = (struct iovec){r->bytes[i], PACKET_ROOM};
		r->messages[i].msg_hdr = (struct msghdr){.msg_name = &r->from[i],
			.msg_namelen = sizeof r->from[i], .msg_iov = &r->iov[i], .msg_iovlen = 1,
			.msg_control = r->control[i].bytes, .msg_controllen = CONTROL_ROOM};
	}
}

static int read_batch(struct icmp_socket *s, struct reading *r, int flags)
{
	int n;

	make_ready(r, r->used);
	do
		n = recvmmsg(s->fd, r->messages, READ_BATCH, flags | MSG_DONTWAIT, NULL);
	while (n < 0 && errno == EINTR);
	r->used = n < 0 ? 0 : n;
	return r->used;
}

/* What the control messages of one packet say. */
struct control {
	int64_t stamp;
	int ttl;
	struct sock_extended_err error;
	bool has_error;
	struct sockaddr_storage offender;
};

static void take_error(struct cmsghdr *h, struct control *out)
{
	size_t len = h->cmsg_len - CMSG_LEN(sizeof out->error);

	memcpy(&out->error, CMSG_DATA(h), sizeof out->error);
	out->has_error = true;
	/* SO_EE_OFFENDER: the address stands behind. */
	memcpy(&out->offender, CMSG_DATA(h) + sizeof out->error,
		len < sizeof out->offender ? len : sizeof out->offender);
}

static void take_control(struct icmp_socket *s, struct msghdr *m, struct control *out)
{
	*out = (struct control){.ttl = -1};
	for (struct cmsghdr *h = CMSG_FIRSTHDR(m); h != NULL; h = CMSG_NXTHDR(m, h)) {
		int level = h->cmsg_level, type = h->cmsg_type;

		if (level == SOL_SOCKET && type == SCM_TIMESTAMPING) {
			struct timespec ts;

			memcpy(&ts, CMSG_DATA(h), sizeof ts);
			out->stamp = ts.tv_sec * NS_PER_S + ts.tv_nsec;
		} else if (level == SOL_SOCKET && type == SO_RXQ_OVFL) {
			memcpy(&s->overflows, CMSG_DATA(h), sizeof s->overflows);
		} else if ((level == IPPROTO_IP && type == IP_TTL) ||
			(level == IPPROTO_IPV6 && type == IPV6_HOPLIMIT)) {
			memcpy(&out->ttl, CMSG_DATA(h), sizeof out->ttl);
		} else if ((level == IPPROTO_IP && type == IP_RECVERR) ||
			(level == IPPROTO_IPV6 && type == IPV6_RECVERR)) {
			take_error(h, out);
		}
	}
}

/* An error that a datagram socket is told of: the bytes are those of our own request. */
static void deliver_error(struct icmp_socket *s, const struct control *c, const uint8_t *data, size_t len,
	const struct sockaddr_storage *to)
{
	uint8_t reply[PACKET_ROOM];
	struct icmp_packet p;
	struct icmp_arrival a = {.packet = &p, .from = (const struct sockaddr *)&c->offender,
		.mono = clock_mono(), .real = clock_real(), .stamp = c->stamp};

	if (len < ICMP_PACKET_HEAD)
		return;
	memcpy(reply, data, len);
	reply[0] = s->family == FAMILY_V4 ? ICMP_ECHOREPLY : ICMP6_ECHO_REPLY;
	icmp_packet_decode(s->family, false, reply, len, &p);
	if (p.kind != ICMP_PACKET_REPLY)
		return;
	p.kind = ICMP_PACKET_ERROR;
	p.type = c->error.ee_type;
	p.code = c->error.ee_code;
	p.mtu = c->error.ee_errno == EMSGSIZE ? c->error.ee_info : 0;
	if (s->family == FAMILY_V4)
		memcpy(p.target, &((const struct sockaddr_in *)(const void *)to)->sin_addr, 4);
	else
		memcpy(p.target, &((const struct sockaddr_in6 *)(const void *)to)->sin6_addr, 16);
	s->events.on_arrival(s->events.ctx, &a);
}

static void deliver_stamp(struct icmp_socket *s, const struct control *c)
{
	struct key *k = &s->keys[c->error.ee_data % KEYS];

	if (c->stamp == 0 || !k->used || k->key != c->error.ee_data)
		return;
	k->used = false;
	s->events.on_stamp(s->events.ctx, &k->name, c->stamp);
}

static void read_error_queue(struct icmp_socket *s)
{
	struct reading *r = &s->errors;
	int n = READ_BATCH;

	for (int turn = 0; turn < READS_PER_EVENT && n == READ_BATCH; turn++) {
		n = read_batch(s, r, MSG_ERRQUEUE);
		for (int i = 0; i < n; i++) {
			struct control c;

			take_control(s, &r->messages[i].msg_hdr, &c);
			if (!c.has_error)
				continue;
			if (c.error.ee_origin == SO_EE_ORIGIN_TIMESTAMPING)
				deliver_stamp(s, &c);
			else if (c.error.ee_origin == SO_EE_ORIGIN_ICMP || c.error.ee_origin == SO_EE_ORIGIN_ICMP6)
				deliver_error(s, &c, r->bytes[i], r->messages[i].msg_len,
					&r->from[i]);
		}
	}
}

static void deliver_packets(struct icmp_socket *s, int n)
{
	struct reading *r = &s->replies;
	struct icmp_packet p;
	struct icmp_arrival a = {.packet = &p, .mono = clock_mono(), .real = clock_real()};

	for (int i = 0; i < n; i++) {
		struct control c;

		take_control(s, &r->messages[i].msg_hdr, &c);
		icmp_packet_decode(s->family, s->raw, r->bytes[i], r->messages[i].msg_len, &p);
		if (p.kind == ICMP_PACKET_FOREIGN)
			continue;
		if (p.ttl < 0)
			p.ttl = c.ttl;
		a.stamp = c.stamp;
		a.from = (const struct sockaddr *)&r->from[i];
		s->events.on_arrival(s->events.ctx, &a);
	}
}

/* Stamps are read after the replies and told before them: that of a request is always there when
 * its reply is. */
static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct icmp_socket *s = ctx;
	int n = READ_BATCH;

	(void)fd, (void)what;
	for (int turn = 0; turn < READS_PER_EVENT && n == READ_BATCH; turn++) {
		n = read_batch(s, &s->replies, 0);
		read_error_queue(s);
		deliver_packets(s, n);
	}
}

/* ---- out */

struct writing {
	struct mmsghdr messages[ICMP_SOCKET_BATCH];
	struct iovec iov[ICMP_SOCKET_BATCH][2];
	uint8_t heads[ICMP_SOCKET_BATCH][ICMP_PACKET_HEAD + ICMP_PACKET_LEVEL];
	union {
		struct cmsghdr align;
		uint8_t bytes[CMSG_SPACE(sizeof(int))];
	} ttls[ICMP_SOCKET_BATCH];
};

static void set_ttl(const struct icmp_socket *s, int ttl, struct writing *w, size_t i)
{
	struct msghdr *m = &w->messages[i].msg_hdr;
	struct cmsghdr *h = &w->ttls[i].align;

	h->cmsg_level = s->family == FAMILY_V4 ? IPPROTO_IP : IPPROTO_IPV6;
	h->cmsg_type = s->family == FAMILY_V4 ? IP_TTL : IPV6_HOPLIMIT;
	h->cmsg_len = CMSG_LEN(sizeof ttl);
	memcpy(CMSG_DATA(h), &ttl, sizeof ttl);
	m->msg_control = w->ttls[i].bytes;
	m->msg_controllen = sizeof w->ttls[i].bytes;
}

static void fill_messages(const struct icmp_socket *s, const struct icmp_request *requests, size_t count,
	struct writing *w)
{
	static const uint8_t zeros[PAYLOAD_MAX];

	for (size_t i = 0; i < count; i++) {
		const struct icmp_request *q = &requests[i];
		size_t level = q->one_flow ? ICMP_PACKET_LEVEL : 0, rest = q->size - ICMP_PACKET_NAME - level;
		bool padded = rest > 0;

		icmp_packet_encode(s->family, &q->name, w->heads[i]);
		if (q->one_flow)
			icmp_packet_level(s->family, w->heads[i]);
		w->iov[i][0] = (struct iovec){w->heads[i], ICMP_PACKET_HEAD + level};
		w->iov[i][1] = (struct iovec){(void *)(uintptr_t)zeros, rest};
		w->messages[i].msg_hdr = (struct msghdr){.msg_name = (void *)(uintptr_t)q->to,
			.msg_namelen = q->to_len, .msg_iov = w->iov[i], .msg_iovlen = padded ? 2 : 1};
		if (q->ttl != 0)
			set_ttl(s, q->ttl, w, i);
	}
}

static void remember_keys(struct icmp_socket *s, const struct icmp_request *requests, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		s->keys[s->next_key % KEYS] =
			(struct key){.key = s->next_key, .used = true, .name = requests[i].name};
		s->next_key++;
	}
}

/* Whether the kernel numbered a packet that it then refused is not known: the numbers begin anew. */
static void restart_keys(struct icmp_socket *s)
{
	read_error_queue(s);
	set_stamps(s, false);
	set_stamps(s, true);
	memset(s->keys, 0, sizeof s->keys);
	s->next_key = 0;
}

size_t icmp_socket_send(struct icmp_socket *s, const struct icmp_request *requests, size_t count, int *error)
{
	struct writing w;
	size_t done = 0;
	bool again = false;

	assert(count <= ICMP_SOCKET_BATCH);
	fill_messages(s, requests, count, &w);
	while (done < count) {
		int n = sendmmsg(s->fd, w.messages + done, (unsigned)(count - done), MSG_DONTWAIT);

		if (n > 0) {
			remember_keys(s, requests + done, (size_t)n);
			done += (size_t)n;
			again = false;
			continue;
		}
		*error = errno;
		if (errno == EINTR)
			continue;
		/* The first error may be an old one, of a request that a datagram socket was told of. */
		if (again || s->raw)
			break;
		again = true;
	}
	if (done < count)
		restart_keys(s);
	return done;
}
