/*
 * A name server for tests, on 127.0.0.1 in the loop of the test, that answers by how a name begins: "silent", "nx", "fail",
 * "refused", "junk", "big" (truncated, whole by TCP), "many" (20 addresses), "dangling" (CNAME alone), "one" (::1 or
 * 127.0.0.1), "v4only"; any other has the addresses .9, .1 and .9 of 192.0.2.0/24 or 2001:db8::/32.
 * To be included after cmocka.h.
 */
#ifndef TESTS_UNIT_PROBES_NAME_SERVER_H
#define TESTS_UNIT_PROBES_NAME_SERVER_H

#include <arpa/inet.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/mem.h"

struct connection {
	LIST_ENTRY(connection) link;
	struct name_server *server;
	struct event *event;
	int fd;
};

struct name_server {
	struct event_base *base;
	struct event *udp, *tcp;
	LIST_HEAD(, connection) connections;
	int fd, listener;
	char address[32];
	unsigned queries, tcp_queries;
	char last_name[256];
};

enum { NOERROR = 0, SERVFAIL = 2, NXDOMAIN = 3, REFUSED = 5, TRUNCATED = 0x200 };

static void put16(struct buf *b, unsigned v)
{
	buf_add_u8(b, (uint8_t)(v >> 8));
	buf_add_u8(b, (uint8_t)v);
}

static void put_record(struct buf *b, unsigned type, const void *data, size_t len)
{
	put16(b, 0xc00c); /* the name asked for */
	put16(b, type);
	put16(b, 1);
	put16(b, 0);
	put16(b, 60);
	put16(b, (unsigned)len);
	buf_add(b, data, len);
}

static void put_address(struct buf *b, bool six, unsigned last)
{
	uint8_t bytes[16] = {192, 0, 2, (uint8_t)last};

	if (six) {
		memcpy(bytes, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0", 15);
		bytes[15] = (uint8_t)last;
	}
	put_record(b, six ? 28 : 1, bytes, six ? 16 : 4);
}

static size_t read_name(const uint8_t *q, char *out)
{
	size_t at = 12, n = 0;

	while (q[at] != 0) {
		memcpy(out + n, q + at + 1, q[at]);
		n += q[at];
		at += q[at] + 1u;
		out[n++] = '.';
	}
	out[n > 0 ? n - 1 : 0] = '\0';
	return at + 1;
}

static bool starts(const char *name, const char *with)
{
	return strncmp(name, with, strlen(with)) == 0;
}

/* The reply to a query; false: none. */
static bool reply_to(struct name_server *s, const uint8_t *q, bool tcp, struct buf *out)
{
	char name[256];
	size_t end = read_name(q, name) + 4;
	bool six = q[end - 3] == 28;
	unsigned flags = 0x8180, answers = 0;
	struct buf rr = {0};

	s->queries++;
	snprintf(s->last_name, sizeof s->last_name, "%s", name);
	if (starts(name, "silent"))
		return false;
	if (starts(name, "nx")) {
		flags |= NXDOMAIN;
	} else if (starts(name, "fail")) {
		flags |= SERVFAIL;
	} else if (starts(name, "refused")) {
		flags |= REFUSED;
	} else if (starts(name, "junk")) {
		answers = 1;
		buf_add(&rr, "\xc0\x0c\0", 3);
	} else if (starts(name, "big") && !tcp) {
		flags |= TRUNCATED;
	} else if (starts(name, "many") || starts(name, "big")) {
		for (answers = 0; answers < 20; answers++)
			put_address(&rr, six, 200 - answers);
	} else if (starts(name, "dangling")) {
		put_record(&rr, 5, "\1x\4test", 8);
		answers = 1;
	} else if (starts(name, "one")) {
		put_record(&rr, six ? 28 : 1, six ? (const void *)&in6addr_loopback : "\x7f\0\0\1", six ? 16 : 4);
		answers = 1;
	} else if (!(starts(name, "v4only") && six)) {
		put_address(&rr, six, 9);
		put_address(&rr, six, 1);
		put_address(&rr, six, 9);
		answers = 3;
	}
	if (tcp)
		put16(out, (unsigned)(end + rr.len));
	put16(out, (unsigned)(q[0] << 8 | q[1]));
	put16(out, flags);
	put16(out, 1);
	put16(out, answers);
	put16(out, 0);
	put16(out, 0);
	buf_add(out, q + 12, end - 12);
	buf_add(out, rr.data, rr.len);
	buf_fini(&rr);
	return true;
}

static void on_udp(evutil_socket_t fd, short what, void *ctx)
{
	struct sockaddr_storage from;
	socklen_t len = sizeof from;
	uint8_t q[512];
	struct buf out = {0};

	(void)what;
	while (recvfrom(fd, q, sizeof q, MSG_DONTWAIT, (struct sockaddr *)&from, &len) > 0) {
		if (reply_to(ctx, q, false, &out))
			sendto(fd, out.data, out.len, 0, (struct sockaddr *)&from, len);
		buf_clear(&out);
		len = sizeof from;
	}
	buf_fini(&out);
}

static void connection_close(struct connection *c)
{
	LIST_REMOVE(c, link);
	event_free(c->event);
	close(c->fd);
	free(c);
}

static void on_connection(evutil_socket_t fd, short what, void *ctx)
{
	struct connection *c = ctx;
	struct name_server *s = c->server;
	struct buf out = {0};
	uint8_t q[514];
	ssize_t n = recv(fd, q, sizeof q, 0);

	(void)what;
	if (n > 14 && reply_to(s, q + 2, true, &out)) {
		s->tcp_queries++;
		assert_int_equal(send(fd, out.data, out.len, 0), out.len);
	} else if (n <= 0) {
		connection_close(c);
	}
	buf_fini(&out);
}

static void on_accept(evutil_socket_t fd, short what, void *ctx)
{
	struct connection *c = mem_alloc(sizeof *c);

	(void)what;
	c->server = ctx;
	c->fd = accept(fd, NULL, NULL);
	c->event = event_new(c->server->base, c->fd, EV_READ | EV_PERSIST, on_connection, c);
	event_add(c->event, NULL);
	LIST_INSERT_HEAD(&c->server->connections, c, link);
}

/* One port for both protocols; somebody may hold it for one of them already. */
static uint16_t bind_both(struct name_server *s)
{
	for (;;) {
		struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
		socklen_t len = sizeof at;

		s->fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
		s->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		assert_int_equal(bind(s->fd, (struct sockaddr *)&at, sizeof at), 0);
		getsockname(s->fd, (struct sockaddr *)&at, &len);
		if (bind(s->listener, (struct sockaddr *)&at, sizeof at) == 0)
			return ntohs(at.sin_port);
		close(s->fd);
		close(s->listener);
	}
}

static void name_server_open(struct name_server *s, struct event_base *base)
{
	*s = (struct name_server){.base = base};
	snprintf(s->address, sizeof s->address, "127.0.0.1:%u", bind_both(s));
	listen(s->listener, 4);
	s->udp = event_new(base, s->fd, EV_READ | EV_PERSIST, on_udp, s);
	s->tcp = event_new(base, s->listener, EV_READ | EV_PERSIST, on_accept, s);
	event_add(s->udp, NULL);
	event_add(s->tcp, NULL);
}

static void name_server_close(struct name_server *s)
{
	event_free(s->udp);
	event_free(s->tcp);
	while (!LIST_EMPTY(&s->connections))
		connection_close(LIST_FIRST(&s->connections));
	close(s->fd);
	close(s->listener);
}

#endif
