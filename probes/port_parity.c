#include "probes/port_parity.h"

#include <assert.h>
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/mem.h"
#include "probes/dial.h"

/* One family of the port under way. */
struct side {
	struct port_parity *parity;
	struct sockaddr_storage address;
	struct dial *dial;
	bool is_open;
};

struct port_parity {
	struct event_base *base;
	struct side sides[2];
	const uint16_t *ports;
	size_t count, at;
	int64_t wait;
	struct event *timer; /* until silence counts; the turn to the next port */
	bool connecting;
	char fault[80];
	struct port_parity_end end;
	char reason[200];
	void (*on_end)(void *ctx, const struct port_parity_end *);
	void *ctx;
};

void port_parity_stop(struct port_parity *p)
{
	if (p == NULL)
		return;
	dial_stop(p->sides[0].dial);
	dial_stop(p->sides[1].dial);
	event_free(p->timer);
	free(p);
}

static void finish(struct port_parity *p)
{
	p->end.measured = p->fault[0] == '\0';
	p->end.reason = p->end.measured ? p->reason : p->fault;
	p->on_end(p->ctx, &p->end);
	port_parity_stop(p);
}

static void tell_difference(struct port_parity *p)
{
	size_t n = strlen(p->reason);

	snprintf(p->reason + n, sizeof p->reason - n, "%sport %u is open over %s only", n > 0 ? ", " : "",
		(unsigned)p->ports[p->at], p->sides[0].is_open ? "IPv4" : "IPv6");
}

/* Both sides have ended, or time has. */
static void port_ends(struct port_parity *p)
{
	for (int i = 0; i < 2; i++) {
		dial_stop(p->sides[i].dial);
		p->sides[i].dial = NULL;
		p->end.open[i] += p->sides[i].is_open;
	}
	if (p->sides[0].is_open != p->sides[1].is_open) {
		p->end.differ++;
		tell_difference(p);
	}
	p->at++;
	p->connecting = false;
}

static void on_dialled(void *ctx, const struct dial_end *e)
{
	struct side *s = ctx;
	struct port_parity *p = s->parity;

	s->dial = NULL;
	s->is_open = e->error == 0;
	if (e->fd >= 0)
		close(e->fd);
	if (e->ours)
		snprintf(p->fault, sizeof p->fault, "%s", dial_reason(e));
	if (p->sides[0].dial == NULL && p->sides[1].dial == NULL)
		event_active(p->timer, EV_TIMEOUT, 0);
}

static void port_begins(struct port_parity *p)
{
	struct timeval tv = {p->wait / NS_PER_S, p->wait % NS_PER_S / NS_PER_US};

	p->connecting = true;
	for (int i = 0; i < 2; i++) {
		struct side *s = &p->sides[i];

		s->is_open = false;
		s->dial = dial_start(p->base, (const struct sockaddr *)&s->address,
			i == 1 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in), p->ports[p->at], on_dialled, s);
	}
	evtimer_add(p->timer, &tv);
}

static void on_turn(evutil_socket_t fd, short what, void *ctx)
{
	struct port_parity *p = ctx;

	(void)fd, (void)what;
	if (p->connecting)
		port_ends(p);
	if (p->at == p->count || p->fault[0] != '\0')
		finish(p);
	else
		port_begins(p);
}

struct port_parity *port_parity_start(struct event_base *base, const struct sockaddr_storage addresses[2],
	const uint16_t *ports, size_t count, int64_t wait, void (*on_end)(void *ctx, const struct port_parity_end *), void *ctx)
{
	struct port_parity *p = mem_alloc(sizeof *p);

	p->base = base;
	p->ports = ports;
	p->count = count;
	p->wait = wait;
	p->on_end = on_end;
	p->ctx = ctx;
	for (int i = 0; i < 2; i++)
		p->sides[i] = (struct side){.parity = p, .address = addresses[i]};
	p->timer = evtimer_new(base, on_turn, p);
	assert(p->timer != NULL);
	event_active(p->timer, EV_TIMEOUT, 0);
	return p;
}
