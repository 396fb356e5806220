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
#include "agent/trap_usm.h"
#include "lib/buf.h"
#include "lib/clock.h"
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
	struct traps_events events;
	struct trap_usm *usm;
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
	case TRAP_ENGINE:
		break;
	}
	return "other";
}

struct sender {
	struct sockaddr_storage address;
	socklen_t len;
	char text[64]; /* as results have it: the address alone */
};

static void answer(const struct listener *l, const struct sender *to, const uint8_t *data, size_t len)
{
	sendto(l->fd, data, len, MSG_DONTWAIT | MSG_NOSIGNAL, (const struct sockaddr *)&to->address, to->len);
}

/* True: it was told, and is to be answered. */
static bool take_kind(struct traps *t, enum trap_kind kind, const struct sender *from)
{
	if (kind == TRAP_OTHER) { /* an Inform of it goes unanswered: its sender shall not think that somebody cares */
		t->stats.other++;
		return false;
	}
	log_debug("notification from=%s about=%s", from->text, words(kind));
	if (!t->events.on_notice(t->events.ctx, from->text)) {
		t->stats.foreign++;
		return false;
	}
	t->stats.taken++;
	return true;
}

static void take_v3(struct listener *l, size_t len, const struct sender *from)
{
	struct trap_usm_said said = {TRAP_USM_NONE, TRAP_NONE};
	struct traps *t = l->traps;
	struct buf out = {0};
	bool answers = true;

	if (t->usm != NULL && t->events.is_known(t->events.ctx, from->text))
		said = trap_usm_take(t->usm, t->packet, len, clock_mono(), &out);
	switch (said.end) {
	case TRAP_USM_NONE:
		t->stats.foreign++;
		answers = false;
		break;
	case TRAP_USM_REPORT:
		t->stats.reported++;
		break;
	case TRAP_USM_TAKEN:
		answers = take_kind(t, said.kind, from);
		break;
	case TRAP_USM_AGAIN:
		t->stats.again++;
		answers = said.kind != TRAP_OTHER;
		break;
	}
	if (answers)
		answer(l, from, out.data, out.len);
	buf_fini(&out);
}

static void take(struct listener *l, size_t len, struct sender *from)
{
	struct traps *t = l->traps;
	struct trap_packet p = trap_packet_decode(t->packet, len);

	resolve_format((const struct sockaddr *)&from->address, from->text, sizeof from->text);
	if (p.kind == TRAP_ENGINE) {
		take_v3(l, len, from);
	} else if (p.kind == TRAP_NONE) {
		t->stats.foreign++;
	} else if (take_kind(t, p.kind, from) && p.inform_at != 0) {
		t->packet[p.inform_at] = TRAP_RESPONSE;
		answer(l, from, t->packet, len);
	}
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct listener *l = ctx;
	struct sender from = {.len = sizeof from.address};
	ssize_t n = recvfrom(fd, l->traps->packet, PACKET_MAX, MSG_DONTWAIT, (struct sockaddr *)&from.address, &from.len);

	(void)what;
	if (n >= 0)
		take(l, (size_t)n, &from);
}

void traps_start(struct traps *t, struct event_base *base, struct trap_usm *usm, const struct traps_events *events)
{
	t->events = *events;
	t->usm = usm;
	for (size_t i = 0; i < t->count; i++) {
		struct listener *l = &t->listeners[i];

		l->readable = event_new(base, l->fd, EV_READ | EV_PERSIST, on_readable, l);
		assert(l->readable != NULL);
		event_add(l->readable, NULL);
	}
}

void traps_set_users(struct traps *t, const struct credentials *users)
{
	if (t->usm != NULL)
		trap_usm_set_users(t->usm, users);
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
	trap_usm_free(t->usm);
	free(t->listeners);
	free(t);
}

struct traps_stats traps_stats(const struct traps *t)
{
	return t != NULL ? t->stats : (struct traps_stats){0};
}
