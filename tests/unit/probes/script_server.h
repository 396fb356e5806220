/*
 * A TCP server for tests, on one port of 127.0.0.1 and ::1 in the loop of the test, that does to each connection what a
 * script says, step by step. To be included after cmocka.h.
 */
#ifndef TESTS_UNIT_PROBES_SCRIPT_SERVER_H
#define TESTS_UNIT_PROBES_SCRIPT_SERVER_H

#include <arpa/inet.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/mem.h"

enum script_verb {
	SCRIPT_END,   /* of the array: holds the connection open and says nothing more */
	SCRIPT_READ,  /* waits until the text has come in ("" any byte) */
	SCRIPT_SEND,  /* the text, `times` over (0: once) */
	SCRIPT_DRIP,  /* the text byte by byte, each in a packet of its own */
	SCRIPT_RESET, /* RST */
	SCRIPT_CLOSE, /* FIN */
};

struct script_step {
	enum script_verb verb;
	const char *text;
	unsigned times;
};

struct script_connection {
	LIST_ENTRY(script_connection) link;
	struct script_server *server;
	const struct script_step *step;
	struct event *event;
	struct buf in, out;
	size_t sent;
	int fd;
};

struct script_server {
	struct event_base *base;
	struct event *accepts[2];
	int listeners[2];
	LIST_HEAD(, script_connection) connections;
	struct script_step scripts[8][16]; /* of the first, the second ... connection; the last of all others */
	unsigned script_count, turn;
	uint16_t port;
	unsigned accepted, ended_well, ended_badly; /* by FIN, by RST of the other side */
	char last[4096]; /* what came in since the last SCRIPT_READ on the connection that was last read from */
};

static void script_drop(struct script_connection *c)
{
	LIST_REMOVE(c, link);
	event_free(c->event);
	close(c->fd);
	buf_fini(&c->in);
	buf_fini(&c->out);
	free(c);
}

static void script_wait(struct script_connection *, short what);

/* Sends what is left; one byte at a time when it drips. False: wait until there is room. */
static bool script_send(struct script_connection *c)
{
	bool drips = c->step->verb == SCRIPT_DRIP;

	while (c->sent < c->out.len) {
		size_t n = drips ? 1 : c->out.len - c->sent;
		ssize_t did = send(c->fd, c->out.data + c->sent, n, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (did < 0)
			return false;
		c->sent += (size_t)did;
		if (drips)
			return false;
	}
	buf_clear(&c->out);
	c->sent = 0;
	c->step++;
	return true;
}

static bool script_is_read(struct script_connection *c)
{
	const char *text = c->step->text;

	if (c->in.len == 0 || memmem(c->in.data, c->in.len, text, strlen(text)) == NULL)
		return false;
	buf_clear(&c->in);
	c->step++;
	return true;
}

static void script_fill(struct script_connection *c)
{
	for (unsigned i = 0; i < c->step->times || i == 0; i++)
		buf_add_text(&c->out, c->step->text);
}

static void script_go_on(struct script_connection *c)
{
	struct linger now = {1, 0};

	for (;;) {
		switch (c->step->verb) {
		case SCRIPT_END:
			script_wait(c, EV_READ);
			return;
		case SCRIPT_READ:
			if (script_is_read(c))
				break;
			script_wait(c, EV_READ);
			return;
		case SCRIPT_SEND:
		case SCRIPT_DRIP:
			if (c->out.len == 0)
				script_fill(c);
			if (script_send(c))
				break;
			script_wait(c, EV_WRITE);
			return;
		case SCRIPT_RESET:
			setsockopt(c->fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
			script_drop(c);
			return;
		case SCRIPT_CLOSE:
			script_drop(c);
			return;
		}
	}
}

static void script_on_event(evutil_socket_t fd, short what, void *ctx)
{
	struct script_connection *c = ctx;
	char room[4096];
	ssize_t n;

	if (what & EV_READ) {
		n = recv(fd, room, sizeof room, 0);
		if (n <= 0) {
			if (n == 0)
				c->server->ended_well++;
			else
				c->server->ended_badly++;
			script_drop(c);
			return;
		}
		buf_add(&c->in, room, (size_t)n);
		snprintf(c->server->last, sizeof c->server->last, "%.*s", (int)c->in.len, (char *)c->in.data);
	}
	script_go_on(c);
}

static void script_wait(struct script_connection *c, short what)
{
	if (c->event != NULL)
		event_free(c->event);
	c->event = event_new(c->server->base, c->fd, what, script_on_event, c);
	event_add(c->event, NULL);
}

static void script_on_accept(evutil_socket_t fd, short what, void *ctx)
{
	struct script_connection *c = mem_alloc(sizeof *c);

	(void)what;
	c->server = ctx;
	c->fd = accept4(fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	c->step = c->server->scripts[c->server->turn];
	if (c->server->turn + 1 < c->server->script_count)
		c->server->turn++;
	c->server->accepted++;
	setsockopt(c->fd, IPPROTO_TCP, 1 /* TCP_NODELAY */, &(int){1}, sizeof(int));
	LIST_INSERT_HEAD(&c->server->connections, c, link);
	c->event = event_new(c->server->base, c->fd, EV_READ, script_on_event, c);
	script_go_on(c);
}

static int script_listen(int family, uint16_t port)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback, .sin6_port = htons(port)};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(port)};
	int fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){1}, sizeof(int));
	if ((family == AF_INET6 ? bind(fd, (struct sockaddr *)&six, sizeof six)
				: bind(fd, (struct sockaddr *)&four, sizeof four)) < 0 || listen(fd, 4096) < 0) {
		close(fd);
		return -1;
	}
	return fd;
}

/* One port for both families. */
static void script_server_open(struct script_server *s, struct event_base *base)
{
	memset(s, 0, sizeof *s);
	s->base = base;
	for (;;) {
		struct sockaddr_in at;
		socklen_t len = sizeof at;

		s->listeners[0] = script_listen(AF_INET, 0);
		getsockname(s->listeners[0], (struct sockaddr *)&at, &len);
		s->port = ntohs(at.sin_port);
		s->listeners[1] = script_listen(AF_INET6, s->port);
		if (s->listeners[1] >= 0)
			break;
		close(s->listeners[0]);
	}
	for (int i = 0; i < 2; i++) {
		s->accepts[i] = event_new(base, s->listeners[i], EV_READ | EV_PERSIST, script_on_accept, s);
		event_add(s->accepts[i], NULL);
	}
}

static void script_server_close(struct script_server *s)
{
	while (!LIST_EMPTY(&s->connections))
		script_drop(LIST_FIRST(&s->connections));
	for (int i = 0; i < 2; i++) {
		event_free(s->accepts[i]);
		close(s->listeners[i]);
	}
}

/* What is done to the connection after those that have a script already. */
static void script_then(struct script_server *s, const struct script_step *steps)
{
	struct script_step *script = s->scripts[s->script_count++];
	size_t n = 0;

	assert_true(s->script_count <= sizeof s->scripts / sizeof *s->scripts);
	do
		script[n] = steps[n];
	while (steps[n++].verb != SCRIPT_END);
	assert_true(n <= sizeof s->scripts[0] / sizeof *script);
}

/* What is done to the connections from now on. */
static void script_set(struct script_server *s, const struct script_step *steps)
{
	s->script_count = s->turn = 0;
	script_then(s, steps);
}

#define SCRIPT_SILENT ((const struct script_step[]){{SCRIPT_END, "", 0}})
#define SCRIPT(...) ((const struct script_step[]){__VA_ARGS__, {SCRIPT_END, "", 0}})

#endif
