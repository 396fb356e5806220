/*
 * A UDP server for tests, on one port of 127.0.0.1 and ::1 in the loop of the test: each packet is handed to the test, which
 * answers by udp_server_reply. To be included after cmocka.h.
 */
#ifndef TESTS_UNIT_PROBES_UDP_SERVER_H
#define TESTS_UNIT_PROBES_UDP_SERVER_H

#include <arpa/inet.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct udp_server {
	struct event *events[2];
	int fds[2];
	uint16_t port;
	unsigned received;
	void (*on_packet)(void *ctx, const uint8_t *data, size_t len);
	void *ctx;
	int fd; /* of the packet that is being handed over, and its sender */
	struct sockaddr_storage from;
	socklen_t from_len;
};

static void udp_server_reply(struct udp_server *s, const void *data, size_t len)
{
	assert_int_equal(sendto(s->fd, data, len, 0, (struct sockaddr *)&s->from, s->from_len), len);
}

static void udp_server_on_event(evutil_socket_t fd, short what, void *ctx)
{
	struct udp_server *s = ctx;
	uint8_t room[2048];
	ssize_t n;

	(void)what;
	s->fd = fd;
	s->from_len = sizeof s->from;
	n = recvfrom(fd, room, sizeof room, MSG_DONTWAIT, (struct sockaddr *)&s->from, &s->from_len);
	if (n < 0)
		return;
	s->received++;
	s->on_packet(s->ctx, room, (size_t)n);
}

static int udp_bind(int family, uint16_t port)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6, .sin6_addr = in6addr_loopback, .sin6_port = htons(port)};
	struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
		.sin_port = htons(port)};
	int fd = socket(family, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if ((family == AF_INET6 ? bind(fd, (struct sockaddr *)&six, sizeof six)
				: bind(fd, (struct sockaddr *)&four, sizeof four)) == 0)
		return fd;
	close(fd);
	return -1;
}

/* False: the port is taken in one of the families. Port 0: any. */
static bool udp_server_try(struct udp_server *s, uint16_t port)
{
	struct sockaddr_in at;
	socklen_t len = sizeof at;

	s->fds[0] = udp_bind(AF_INET, port);
	if (s->fds[0] < 0)
		return false;
	getsockname(s->fds[0], (struct sockaddr *)&at, &len);
	s->port = ntohs(at.sin_port);
	s->fds[1] = udp_bind(AF_INET6, s->port);
	if (s->fds[1] < 0)
		close(s->fds[0]);
	return s->fds[1] >= 0;
}

static void udp_server_start(struct udp_server *s, struct event_base *base,
	void (*on_packet)(void *ctx, const uint8_t *data, size_t len), void *ctx)
{
	s->on_packet = on_packet;
	s->ctx = ctx;
	s->received = 0;
	for (int i = 0; i < 2; i++) {
		s->events[i] = event_new(base, s->fds[i], EV_READ | EV_PERSIST, udp_server_on_event, s);
		event_add(s->events[i], NULL);
	}
}

static void udp_server_close(struct udp_server *s)
{
	for (int i = 0; i < 2; i++) {
		event_free(s->events[i]);
		close(s->fds[i]);
	}
}

#endif
