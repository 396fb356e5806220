#include "agent/traps.h"

#include <arpa/inet.h>
#include <assert.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/settings.h"
#include "agent/trap_packet.h"
#include "lib/config.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "probes/resolve.h"

#define PACKET_MAX 65536

struct listener {
	struct traps *traps;
	int fd;
	struct event *readable; /* NULL until it is started */
};

struct traps {
	struct listener *listeners;
	size_t count;
	struct traps_stats stats;
	bool (*on_notice)(void *ctx, const char *address);
	void *ctx;
	uint8_t packet[PACKET_MAX];
};

static int open_socket(const char *text, struct err *e)
{
	struct sockaddr_storage address;
	socklen_t len;
	int fd, yes = 1;

	if (agent_settings_parse_endpoint(text, &address, &len, e) < 0)
		return -1;
	fd = socket(address.ss_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(e, "%s", text);
	if (address.ss_family == AF_INET6)
		setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &yes, sizeof yes);
	if (bind(fd, (struct sockaddr *)&address, len) == 0)
		return fd;
	err_errno(e, "traps: cannot listen on %s", text);
	close(fd);
	return -1;
}

struct traps *traps_listen(const struct config_texts *listen, struct err *e)
{
	struct traps *t = mem_alloc(sizeof *t);

	t->listeners = mem_array(listen->count + 1, sizeof *t->listeners);
	for (; t->count < listen->count; t->count++) {
		t->listeners[t->count] = (struct listener){.traps = t, .fd = open_socket(listen->items[t->count], e)};
		if (t->listeners[t->count].fd < 0) {
			traps_close(t);
			return NULL;
		}
	}
	return t;
}

static const char *words(enum trap_kind kind)
{
	switch (kind) {
	case TRAP_START:
		return "restart";
	case TRAP_LINK:
		return "link";
	case TRAP_UPS:
		return "ups";
	case TRAP_SEALED:
		return "sealed";
	case TRAP_NONE:
	case TRAP_OTHER:
		break;
	}
	return "other";
}

/* The sender as results have it: the address alone. */
static void take(struct listener *l, size_t len, const struct sockaddr_storage *from, socklen_t from_len)
{
	struct traps *t = l->traps;
	struct trap_packet p = trap_packet_decode(t->packet, len);
	char address[64];

	if (p.kind == TRAP_NONE) {
		t->stats.foreign++;
		return;
	}
	if (p.kind == TRAP_OTHER) { /* an Inform of it goes unanswered: its sender shall not think that somebody cares */
		t->stats.other++;
		return;
	}
	resolve_format((const struct sockaddr *)from, address, sizeof address);
	log_debug("notification from=%s about=%s", address, words(p.kind));
	if (!t->on_notice(t->ctx, address)) {
		t->stats.foreign++;
		return;
	}
	t->stats.taken++;
	if (p.inform_at == 0)
		return;
	t->packet[p.inform_at] = TRAP_RESPONSE;
	sendto(l->fd, t->packet, len, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)from, from_len);
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct listener *l = ctx;
	struct sockaddr_storage from;
	socklen_t from_len = sizeof from;
	ssize_t n = recvfrom(fd, l->traps->packet, PACKET_MAX, MSG_DONTWAIT, (struct sockaddr *)&from, &from_len);

	(void)what;
	if (n >= 0)
		take(l, (size_t)n, &from, from_len);
}

void traps_start(struct traps *t, struct event_base *base, bool (*on_notice)(void *ctx, const char *address), void *ctx)
{
	t->on_notice = on_notice;
	t->ctx = ctx;
	for (size_t i = 0; i < t->count; i++) {
		struct listener *l = &t->listeners[i];

		l->readable = event_new(base, l->fd, EV_READ | EV_PERSIST, on_readable, l);
		assert(l->readable != NULL);
		event_add(l->readable, NULL);
	}
}

void traps_close(struct traps *t)
{
	if (t == NULL)
		return;
	for (size_t i = 0; i < t->count; i++) {
		if (t->listeners[i].readable != NULL)
			event_free(t->listeners[i].readable);
		close(t->listeners[i].fd);
	}
	free(t->listeners);
	free(t);
}

struct traps_stats traps_stats(const struct traps *t)
{
	return t != NULL ? t->stats : (struct traps_stats){0};
}
