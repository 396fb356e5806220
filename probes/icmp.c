#include "probes/icmp.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "probes/catalog_icmp.h"
#include "probes/icmp_round.h"
#include "probes/icmp_socket.h"
#include "probes/resolve.h"

#define SLOTS 65535
#define PACE_INTERVAL NS_PER_MS
#define GHOST_LIFE (60 * NS_PER_S)

/* SENDING: an echo is queued or the timer says when; WAITING: all are sent; LINGERING: nothing came in
 * time, only the deadline ends it; GHOST: the run has its result, late replies are still known. */
enum phase { PHASE_SENDING, PHASE_WAITING, PHASE_LINGERING, PHASE_GHOST };

struct round {
	TAILQ_ENTRY(round) queue;  /* to be sent */
	TAILQ_ENTRY(round) ghosts; /* in order of their end */
	struct channel *channel;
	struct run *run; /* NULL: ghost */
	enum phase phase;
	bool queued;
	uint16_t slot;
	uint64_t nonce;
	struct sockaddr_storage to;
	socklen_t to_len;
	const struct icmp_options *options;
	struct icmp_round echoes;
	int64_t *sent_mono, *sent_stamp; /* of each echo; the stamp is the kernel's, real; 0: none */
	struct event *timer;
	uint32_t overflows;  /* of the socket when the round began */
	int64_t ghost_until; /* mono */
	char error[160];     /* words of the last ICMP error */
};

/* One family's way out. */
struct channel {
	struct icmp *icmp;
	enum family family;
	struct icmp_socket *socket; /* NULL until first needed */
	TAILQ_HEAD(, round) queue;
	struct event *pace;
	int64_t not_before; /* mono; of the next batch */
};

/* Replies that came when their round had ended, by address. */
struct late {
	unsigned count;
	int64_t last;
};

struct icmp {
	const struct probe_env *env;
	struct channel v4, v6;
	struct round **slots;
	uint16_t *free_slots;
	size_t free_count, fresh; /* slots from `fresh` on were never used */
	TAILQ_HEAD(ghosts, round) ghosts;
	struct map *late; /* of struct late; bounded by the addresses probed */
};

static void on_due(evutil_socket_t, short, void *);

/* ---- rounds come and go */

static void round_free(struct round *r)
{
	struct icmp *icmp = r->channel->icmp;

	if (r->queued)
		TAILQ_REMOVE(&r->channel->queue, r, queue);
	if (r->timer != NULL)
		event_free(r->timer);
	icmp->slots[r->slot] = NULL;
	icmp->free_slots[icmp->free_count++] = r->slot;
	icmp_round_fini(&r->echoes);
	free(r->sent_mono);
	free(r->sent_stamp);
	free(r);
}

static void drop_old_ghosts(struct icmp *icmp, int64_t now)
{
	struct round *r;

	while ((r = TAILQ_FIRST(&icmp->ghosts)) != NULL && r->ghost_until <= now) {
		TAILQ_REMOVE(&icmp->ghosts, r, ghosts);
		round_free(r);
	}
}

/* The run is done with; what names it is let go, what late replies need is kept. */
static void round_to_ghost(struct round *r)
{
	struct icmp *icmp = r->channel->icmp;

	if (r->queued)
		TAILQ_REMOVE(&r->channel->queue, r, queue);
	r->queued = false;
	event_free(r->timer);
	r->timer = NULL;
	r->run = NULL;
	r->options = NULL;
	r->phase = PHASE_GHOST;
	r->ghost_until = clock_mono() + GHOST_LIFE;
	TAILQ_INSERT_TAIL(&icmp->ghosts, r, ghosts);
}

static struct round *round_new(struct channel *c, struct run *run)
{
	struct icmp *icmp = c->icmp;
	const struct icmp_options *o = run_options(run);
	struct round *r = mem_alloc(sizeof *r);
	const struct sockaddr *to = run_address(run, &r->to_len);

	r->channel = c;
	r->run = run;
	r->options = o;
	memcpy(&r->to, to, r->to_len);
	r->slot = icmp->free_count > 0 ? icmp->free_slots[--icmp->free_count] : (uint16_t)icmp->fresh++;
	icmp->slots[r->slot] = r;
	do
		if (getrandom(&r->nonce, sizeof r->nonce, 0) < 0)
			abort();
	while (r->nonce == 0);
	icmp_round_init(&r->echoes, (unsigned)o->count, o->wait);
	r->sent_mono = mem_array((size_t)o->count, sizeof *r->sent_mono);
	r->sent_stamp = mem_array((size_t)o->count, sizeof *r->sent_stamp);
	r->timer = evtimer_new(icmp->env->base, on_due, r);
	r->overflows = icmp_socket_overflows(c->socket);
	return r;
}

/* ---- late replies */

static void note_late(struct icmp *icmp, const struct round *r, int64_t now)
{
	char address[64];
	struct late *l = map_find(icmp->late, resolve_format((const struct sockaddr *)&r->to, address, sizeof address));

	if (l == NULL) {
		l = mem_alloc(sizeof *l);
		map_set(icmp->late, address, l);
	}
	l->count++;
	l->last = now;
}

static unsigned take_late(struct icmp *icmp, const struct round *r)
{
	char address[64];
	struct late *l;
	unsigned count;

	if (map_count(icmp->late) == 0)
		return 0;
	resolve_format((const struct sockaddr *)&r->to, address, sizeof address);
	l = map_remove(icmp->late, address);
	if (l == NULL)
		return 0;
	count = clock_mono() - l->last < GHOST_LIFE ? l->count : 0;
	free(l);
	return count;
}

/* ---- the end of a round */

static void tell_values(struct run *run, const struct icmp_figures *f, unsigned late, int ttl)
{
	run_value(run, ICMP_SENT, f->sent);
	run_value(run, ICMP_LOST, f->lost);
	run_value(run, ICMP_LOSS, f->loss);
	if (f->has_rtt) {
		run_value(run, ICMP_RTT_MIN, f->min);
		run_value(run, ICMP_RTT_P25, f->p25);
		run_value(run, ICMP_RTT_MEDIAN, f->median);
		run_value(run, ICMP_RTT_P75, f->p75);
		run_value(run, ICMP_RTT_MAX, f->max);
	}
	if (f->has_jitter)
		run_value(run, ICMP_JITTER, f->jitter);
	run_value(run, ICMP_DUPLICATES, f->duplicates);
	run_value(run, ICMP_LATE, late);
	if (ttl >= 0)
		run_value(run, ICMP_TTL, ttl);
}

/* Gives the run its result: the last thing that is done with it. */
static void finish(struct round *r)
{
	struct icmp *icmp = r->channel->icmp;
	struct run *run = r->run;
	bool overflowed = icmp_socket_overflows(r->channel->socket) != r->overflows;
	unsigned late = r->echoes.late + take_late(icmp, r);
	struct icmp_figures f;

	icmp_round_figures(&r->echoes, &f);
	run_set_private(run, NULL);
	round_to_ghost(r);
	if (f.sent == 0) {
		run_unknown(run, "no echo request went out");
		return;
	}
	tell_values(run, &f, late, r->echoes.ttl);
	if (f.has_rtt || late > 0)
		run_up(run);
	else if (overflowed)
		run_unknown(run, "replies were dropped by our own receive buffer");
	else if (r->error[0] != '\0')
		run_down(run, "%s", r->error);
	else
		run_down(run, "no reply to %u echo request%s", f.sent, f.sent == 1 ? "" : "s");
}

static void at_deadline(void *state, struct run *run)
{
	(void)state;
	finish(run_private(run));
}

static void finish_if_complete(struct round *r)
{
	if (icmp_round_is_complete(&r->echoes))
		finish(r);
}

/* ---- out */

static void set_timer(struct event *timer, int64_t ns)
{
	struct timeval tv = {ns / NS_PER_S, ns % NS_PER_S / NS_PER_US};

	evtimer_add(timer, &tv);
}

static void note_sent(struct round *r, int64_t now)
{
	unsigned i = icmp_round_sent(&r->echoes);

	r->sent_mono[i] = now;
	if (r->echoes.sent < r->echoes.count) {
		set_timer(r->timer, r->options->spacing);
	} else {
		r->phase = PHASE_WAITING;
		set_timer(r->timer, r->options->wait);
	}
}

static bool error_will_pass(int error)
{
	return error == EAGAIN || error == ENOBUFS || error == EINTR;
}

/* The kernel refuses the packet at the head of the queue: no route, no address, a filter of our own. What others say
 * comes as a packet, so this says nothing about the target. */
static void fail_head(struct channel *c, int error)
{
	struct round *r = TAILQ_FIRST(&c->queue);
	struct run *run = r->run;

	run_set_private(run, NULL);
	round_to_ghost(r);
	run_unknown(run, "cannot send: %s", strerror(error));
}

/* Sends what one interval may carry; a full socket buffer is tried again at the next. */
static void send_queued(struct channel *c)
{
	struct icmp_request requests[ICMP_SOCKET_BATCH];
	int64_t now = clock_mono();
	size_t count = 0, sent;
	struct round *r;
	int error = 0;

	TAILQ_FOREACH(r, &c->queue, queue) {
		if (count == ICMP_SOCKET_BATCH)
			break;
		requests[count++] = (struct icmp_request){.name = {r->nonce, r->slot, (uint16_t)r->echoes.sent},
			.to = (const struct sockaddr *)&r->to, .to_len = r->to_len,
			.size = (size_t)r->options->size};
	}
	sent = icmp_socket_send(c->socket, requests, count, &error);
	for (size_t i = 0; i < sent; i++) {
		r = TAILQ_FIRST(&c->queue);
		TAILQ_REMOVE(&c->queue, r, queue);
		r->queued = false;
		note_sent(r, now);
	}
	if (sent < count && !error_will_pass(error))
		fail_head(c, error);
}

static void on_pace(evutil_socket_t fd, short what, void *ctx)
{
	struct channel *c = ctx;

	(void)fd, (void)what;
	if (TAILQ_EMPTY(&c->queue))
		return;
	c->not_before = clock_mono() + PACE_INTERVAL;
	send_queued(c);
	if (!TAILQ_EMPTY(&c->queue))
		set_timer(c->pace, PACE_INTERVAL);
}

/* What comes within the interval of the last batch waits for its end; else it goes at once, but not from here: start() may
 * be asked for many targets, which then share a batch. */
static void enqueue(struct round *r)
{
	struct channel *c = r->channel;
	int64_t now = clock_mono();

	TAILQ_INSERT_TAIL(&c->queue, r, queue);
	r->queued = true;
	if (evtimer_pending(c->pace, NULL))
		return;
	if (now < c->not_before)
		set_timer(c->pace, c->not_before - now);
	else
		event_active(c->pace, EV_TIMEOUT, 0);
}

static void on_due(evutil_socket_t fd, short what, void *ctx)
{
	struct round *r = ctx;

	(void)fd, (void)what;
	if (r->phase == PHASE_SENDING)
		enqueue(r);
	else if (r->echoes.answered + r->echoes.late > 0)
		finish(r);
	else
		r->phase = PHASE_LINGERING;
}

/* ---- in */

/* The kernel's stamps where both are there and make sense, else ours less the time that the reply lay in
 * the socket's buffer. A step of the wall clock in between shows as nonsense. */
static int64_t round_trip(const struct round *r, unsigned index, const struct icmp_arrival *a)
{
	int64_t ours = a->mono - r->sent_mono[index], lay = a->real - a->stamp;
	int64_t kernels = a->stamp - r->sent_stamp[index];

	if (a->stamp == 0)
		return ours;
	if (r->sent_stamp[index] != 0 && kernels > 0 && kernels <= ours)
		return kernels;
	return lay > 0 && lay < ours ? ours - lay : ours;
}

static void take_reply(struct round *r, const struct icmp_arrival *a)
{
	struct icmp *icmp = r->channel->icmp;
	unsigned index = a->packet->name.index;
	bool known = index < r->echoes.sent;
	enum icmp_round_reply how;

	if (!icmp_packet_same_address((const struct sockaddr *)&r->to, a->from))
		return;
	how = icmp_round_reply(&r->echoes, index, known ? round_trip(r, index, a) : 0, a->packet->ttl);
	if (r->phase == PHASE_GHOST) {
		if (how == ICMP_ROUND_IN_TIME || how == ICMP_ROUND_LATE)
			note_late(icmp, r, a->mono);
	} else if (r->phase == PHASE_LINGERING && how != ICMP_ROUND_NOT_SENT) {
		finish(r);
	} else {
		finish_if_complete(r);
	}
}

static void take_error(struct round *r, const struct icmp_arrival *a)
{
	const struct icmp_packet *p = a->packet;
	char who[64], mtu[24] = "";

	if (r->phase == PHASE_GHOST || !icmp_round_error(&r->echoes, p->name.index))
		return;
	if (p->mtu != 0)
		snprintf(mtu, sizeof mtu, ", MTU %u", p->mtu);
	snprintf(r->error, sizeof r->error, "%s, said %s%s",
		icmp_packet_error_words(r->channel->family, p->type, p->code),
		resolve_format(a->from, who, sizeof who), mtu);
	finish_if_complete(r);
}

static void on_arrival(void *ctx, const struct icmp_arrival *a)
{
	struct channel *c = ctx;
	const struct icmp_packet *p = a->packet;
	struct round *r = p->name.slot < SLOTS ? c->icmp->slots[p->name.slot] : NULL;

	if (r == NULL || r->channel != c)
		return;
	if (p->kind == ICMP_PACKET_REPLY && p->name.nonce == r->nonce)
		take_reply(r, a);
	else if (p->kind == ICMP_PACKET_ERROR && icmp_packet_is_about(p, r->nonce, (const struct sockaddr *)&r->to))
		take_error(r, a);
}

static void on_stamp(void *ctx, const struct icmp_packet_name *name, int64_t real)
{
	struct channel *c = ctx;
	struct round *r = name->slot < SLOTS ? c->icmp->slots[name->slot] : NULL;

	if (r != NULL && r->nonce == name->nonce && name->index < r->echoes.count)
		r->sent_stamp[name->index] = real;
}

/* ---- the type */

static void channel_init(struct channel *c, struct icmp *icmp, enum family f)
{
	c->icmp = icmp;
	c->family = f;
	TAILQ_INIT(&c->queue);
	c->pace = evtimer_new(icmp->env->base, on_pace, c);
}

static int icmp_open(const struct probe_env *env, void **state, struct err *e)
{
	struct icmp *icmp = mem_alloc(sizeof *icmp);

	(void)e;
	icmp->env = env;
	TAILQ_INIT(&icmp->ghosts);
	icmp->late = map_new();
	icmp->slots = mem_array(SLOTS, sizeof *icmp->slots);
	icmp->free_slots = mem_array(SLOTS, sizeof *icmp->free_slots);
	channel_init(&icmp->v4, icmp, FAMILY_V4);
	channel_init(&icmp->v6, icmp, FAMILY_V6);
	*state = icmp;
	return 0;
}

static int need_socket(struct channel *c, struct err *e)
{
	const struct icmp_socket_events events = {.on_arrival = on_arrival, .on_stamp = on_stamp, .ctx = c};
	const struct probe_env *env = c->icmp->env;
	int fd;

	if (c->socket != NULL)
		return 0;
	fd = env->priv_open_icmp(env->ctx, c->family, e);
	if (fd < 0)
		return -1;
	c->socket = icmp_socket_new(env->base, fd, c->family, &events);
	return 0;
}

static void icmp_start(void *state, struct run *run)
{
	struct icmp *icmp = state;
	struct channel *c = run_family(run) == FAMILY_V4 ? &icmp->v4 : &icmp->v6;
	struct round *r;
	struct err e;

	drop_old_ghosts(icmp, clock_mono());
	if (need_socket(c, &e) < 0) {
		run_unknown(run, "%s", e.text);
		return;
	}
	if (icmp->free_count == 0 && icmp->fresh == SLOTS) {
		run_unknown(run, "%d rounds of echoes are under way, no more fit", SLOTS);
		return;
	}
	r = round_new(c, run);
	run_set_private(run, r);
	run_on_deadline(run, at_deadline);
	enqueue(r);
}

static void icmp_cancel(void *state, struct run *run)
{
	struct round *r = run_private(run);

	(void)state;
	/* NULL: the deadline has made us give the result, and cancels all the same. */
	if (r != NULL)
		round_to_ghost(r);
}

static void channel_fini(struct channel *c)
{
	event_free(c->pace);
	icmp_socket_free(c->socket);
}

static void icmp_close(void *state)
{
	struct icmp *icmp = state;

	for (size_t i = 0; i < SLOTS; i++) {
		if (icmp->slots[i] != NULL)
			round_free(icmp->slots[i]);
	}
	channel_fini(&icmp->v4);
	channel_fini(&icmp->v6);
	map_free(icmp->late, free);
	free(icmp->slots);
	free(icmp->free_slots);
	free(icmp);
}

const struct probe_type icmp_probe = {
	.catalog = &catalog_icmp,
	.open = icmp_open,
	.start = icmp_start,
	.cancel = icmp_cancel,
	.close = icmp_close,
};
