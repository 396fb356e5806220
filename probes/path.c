#include "probes/path.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "probes/catalog_path.h"
#include "probes/icmp_packet.h"
#include "probes/icmp_socket.h"
#include "probes/path_trace.h"
#include "probes/path_udp.h"
#include "probes/resolve.h"

#define SLOTS 0x10000
#define FIRST_SLOT 0x8000 /* the upper half: the icmp type counts from below */
#define SIZE_OF_HOPS 40   /* payload bytes of packets that only ask a hop */
#define KNOWN_MAX 4096
#define FIRST_PORT 40000  /* ports of udp: 20000 from here on */

/* Before a black hole is asked about again. Linux lets a router send a host one error a second, others two or more; two are
 * wanted: of the large packet (which a filter may take away later) and of one behind it. */
#define HOLE_PAUSE (2200 * NS_PER_MS)
/* Answers to sizes come as those of the hops did; at least so long is waited for them. */
#define SIZE_WAIT_MIN (200 * NS_PER_MS)

enum phase { PHASE_HOPS, PHASE_SIZES, PHASE_PAUSE, PHASE_HOLE };

struct look {
	struct path *path;
	struct run *run;
	const struct path_options *options;
	enum family family;
	enum phase phase;
	struct sockaddr_storage to;
	socklen_t to_len;
	struct path_udp *udp; /* NULL: icmp */
	uint16_t slot;
	uint64_t nonce;
	struct event *timer;
	int64_t last; /* mono, of the last packet */
	struct path_trace trace;
	unsigned foreign;
	char error[160]; /* words of an error of the way */
};

/* One family's way out. */
struct channel {
	struct path *path;
	enum family family;
	struct icmp_socket *socket; /* NULL until first needed */
};

struct path {
	const struct probe_env *env;
	struct channel v4, v6;
	struct look **slots;
	struct map *known; /* of struct path_known, by check and address */
};

/* ---- a look comes and goes */

static void look_free(struct look *l)
{
	if (l->udp == NULL)
		l->path->slots[l->slot] = NULL;
	path_udp_close(l->udp);
	event_free(l->timer);
	free(l);
}

static const char *key_of(const struct look *l, char *out, size_t room)
{
	char address[PATH_ADDRESS];

	snprintf(out, room, "%s %s", run_check(l->run), resolve_format((const struct sockaddr *)&l->to, address, sizeof address));
	return out;
}

/* The same flow in every look of a check, also after the agent was started anew; FNV-1a. */
static uint32_t flow_of(const struct look *l)
{
	char key[SAMPLE_ID_MAX + PATH_ADDRESS + 2];
	uint32_t h = 2166136261u;

	if (*run_check(l->run) == '\0')
		return (uint32_t)l->nonce;
	for (const char *c = key_of(l, key, sizeof key); *c != '\0'; c++)
		h = (h ^ (uint8_t)*c) * 16777619u;
	return h ^ h >> 16;
}

static bool take_slot(struct look *l)
{
	uint32_t flow = flow_of(l);

	for (unsigned i = 0; i < SLOTS - FIRST_SLOT; i++) {
		l->slot = (uint16_t)(FIRST_SLOT + (flow + i) % (SLOTS - FIRST_SLOT));
		if (l->path->slots[l->slot] == NULL) {
			l->path->slots[l->slot] = l;
			return true;
		}
	}
	return false;
}

/* ---- the end of a look */

static void tell_hop(struct look *l, unsigned ttl)
{
	const struct path_hop *h = &l->trace.hops[ttl];
	char label[16];
	struct run_part *p;

	snprintf(label, sizeof label, "hop %02u", ttl);
	p = h->answered > 0 ? run_add_part(l->run, label) : NULL;
	if (p == NULL)
		return;
	run_part_address(p, h->address);
	run_part_value(p, PATH_LOSS, 100.0 * (h->sent - h->answered) / h->sent);
	run_part_value(p, PATH_RTT_MIN, (double)h->min / NS_PER_S);
	run_part_value(p, PATH_RTT, (double)h->sum / h->answered / NS_PER_S);
	run_part_value(p, PATH_RTT_MAX, (double)h->max / NS_PER_S);
}

static void tell_destination(struct look *l)
{
	const struct path_hop *h = &l->trace.hops[l->trace.destination];

	run_value(l->run, PATH_HOPS, l->trace.destination);
	run_value(l->run, PATH_LOSS, 100.0 * (h->sent - h->answered) / h->sent);
	run_value(l->run, PATH_RTT_MIN, (double)h->min / NS_PER_S);
	run_value(l->run, PATH_RTT, (double)h->sum / h->answered / NS_PER_S);
	run_value(l->run, PATH_RTT_MAX, (double)h->max / NS_PER_S);
	if (l->phase != PHASE_HOPS && path_sizes_know(&l->trace))
		run_value(l->run, PATH_MTU, l->trace.passed);
}

/* Compares with what the check saw before, and remembers. Only whole paths count. */
static bool path_changed(struct look *l, char *words, size_t room)
{
	char key[SAMPLE_ID_MAX + PATH_ADDRESS + 2];
	struct map *known = l->path->known;
	struct path_known *now, *was;
	bool changed;

	if (*run_check(l->run) == '\0' || l->trace.destination == 0)
		return false;
	if (map_count(known) == KNOWN_MAX) {
		map_free(known, free);
		l->path->known = known = map_new();
	}
	now = mem_alloc(sizeof *now);
	path_known_take(now, &l->trace);
	was = map_set(known, key_of(l, key, sizeof key), now);
	if (was == NULL)
		return false;
	changed = path_known_differs(was, now, words, room);
	/* A hop that is silent this time is still known by who it was. */
	for (unsigned i = 0; !changed && i < now->count; i++) {
		if (now->hops[i][0] == '\0')
			memcpy(now->hops[i], was->hops[i], PATH_ADDRESS);
	}
	run_value(l->run, PATH_CHANGED, changed);
	free(was);
	return changed;
}

static void end_unreached(struct run *run, const struct look *l)
{
	unsigned last = path_trace_last(&l->trace);

	if (l->error[0] != '\0')
		run_down(run, "%s", l->error);
	else if (l->trace.round == 0 && l->trace.next_ttl <= l->trace.hops_max)
		run_unknown(run, "time for %u of %u hops only", l->trace.next_ttl - 1, l->trace.hops_max);
	else if (last == 0)
		run_down(run, "no answer from any of %u hops", l->trace.hops_max);
	else
		run_down(run, "no answer from the destination; the last that answers is hop %u, %s", last,
			l->trace.hops[last].address);
}

static void end_hole(struct run *run, const struct path_trace *t)
{
	char where[PATH_ADDRESS + 24] = "";

	if (t->hole_at != 0)
		snprintf(where, sizeof where, " behind hop %u%s%s", t->hole_at, t->hops[t->hole_at].answered > 0 ? ", " : "",
			t->hops[t->hole_at].address);
	if (path_hole_is_sure(t))
		run_down(run, "black hole%s: packets of %u bytes and more vanish and nobody says too big; %u bytes arrive", where,
			t->failed, t->passed);
	else
		run_unknown(run, "packets of %u bytes and more vanish, %u bytes arrive: a black hole, or a router that limits its "
			"errors (%s)", t->failed, t->passed,
			t->hole_tries == 0 ? "no time to ask again" : "asked again, not all routers spoke");
}

static void finish(struct look *l)
{
	struct path_trace *t = &l->trace;
	struct run *run = l->run;
	char words[SAMPLE_TEXT_MAX + 1];
	bool changed = path_changed(l, words, sizeof words);
	unsigned last = path_trace_last(t);

	run_set_private(run, NULL);
	run_value(run, PATH_SILENT, path_trace_silent(t));
	run_value(run, PATH_FOREIGN, l->udp != NULL ? path_udp_foreign(l->udp) : l->foreign);
	for (unsigned ttl = 1; ttl <= last; ttl++)
		tell_hop(l, ttl);
	if (t->destination != 0)
		tell_destination(l);
	if (t->count == 0)
		run_unknown(run, "no packet went out");
	else if (t->destination == 0)
		end_unreached(run, l);
	else if (path_hole_suspected(t))
		end_hole(run, t);
	else if (changed)
		run_up_noting(run, "%s", words);
	else if (l->phase != PHASE_HOPS && !path_sizes_know(t))
		run_up_noting(run, "no time to find the path MTU: it is %u or more", t->passed);
	else
		run_up(run);
	look_free(l);
}

static void at_deadline(void *state, struct run *run)
{
	(void)state;
	finish(run_private(run));
}

/* ---- out */

static void set_timer(struct look *l, int64_t ns)
{
	struct timeval tv = {ns / NS_PER_S, ns % NS_PER_S / NS_PER_US};

	evtimer_add(l->timer, &tv);
}

static struct icmp_socket *socket_of(const struct look *l)
{
	return (l->family == FAMILY_V4 ? &l->path->v4 : &l->path->v6)->socket;
}

static int send_echo(struct look *l, unsigned index, unsigned ttl, unsigned size)
{
	size_t header = l->family == FAMILY_V4 ? 20 + 8 : 40 + 8;
	struct icmp_request q = {.name = {.nonce = l->nonce, .slot = l->slot, .index = (uint16_t)index},
		.to = (const struct sockaddr *)&l->to, .to_len = l->to_len,
		.size = size > 1 ? size - header : SIZE_OF_HOPS, .ttl = (int)ttl, .one_flow = true};
	int error = 0;

	return icmp_socket_send(socket_of(l), &q, 1, &error) == 1 ? 0 : error;
}

/* False: this host cannot, and the look is over. A size that its own interface does not take was told of. */
static bool send_one(struct look *l, unsigned ttl, unsigned size)
{
	unsigned index = path_trace_sent(&l->trace, ttl, size, clock_mono());
	int error = l->udp != NULL ? path_udp_send(l->udp, index, ttl) : send_echo(l, index, ttl, size);
	struct run *run = l->run;

	l->last = clock_mono();
	if (error == EMSGSIZE && size > 1)
		path_trace_answer(&l->trace, index, PATH_ANSWER_TOO_BIG, "", l->last);
	else if (error != 0 && error != EAGAIN && error != ENOBUFS) {
		run_set_private(run, NULL);
		look_free(l);
		run_unknown(run, "cannot send: %s", strerror(error));
		return false;
	}
	return true;
}

static void begin_sizes(struct look *l)
{
	l->phase = PHASE_SIZES;
	path_sizes_begin(&l->trace, l->family, (unsigned)l->options->mtu);
	set_timer(l, 0);
}

/* For the answer to the last packet of a phase. */
static int64_t wait_of(const struct look *l)
{
	int64_t enough = 4 * l->trace.hops[l->trace.destination].max;

	if (enough < SIZE_WAIT_MIN)
		enough = SIZE_WAIT_MIN;
	return l->phase == PHASE_HOPS || l->options->wait < enough ? l->options->wait : enough;
}

static bool has_time_for_hole(const struct look *l)
{
	int64_t sending = 2 * (int64_t)l->trace.destination * l->options->spacing;

	return clock_mono() + HOLE_PAUSE + sending + wait_of(l) < run_deadline(l->run);
}

/* The sizes are known as well as the packets so far tell. */
static void conclude_sizes(struct look *l)
{
	struct path_trace *t = &l->trace;

	if (path_hole_suspected(t) && !path_hole_is_settled(t) && has_time_for_hole(l)) {
		l->phase = PHASE_PAUSE;
		set_timer(l, HOLE_PAUSE);
	} else if (path_sizes_resume(t)) {
		l->phase = PHASE_SIZES;
		set_timer(l, 0);
	} else {
		finish(l);
	}
}

static void end_phase(struct look *l)
{
	if (l->phase == PHASE_HOPS) {
		if (l->trace.destination != 0 && l->udp == NULL && l->options->mtu != 0)
			begin_sizes(l);
		else
			finish(l);
		return;
	}
	if (l->phase == PHASE_SIZES && path_sizes_end(&l->trace)) {
		set_timer(l, 0);
		return;
	}
	if (l->phase == PHASE_HOLE)
		path_hole_end(&l->trace);
	conclude_sizes(l);
}

static bool is_answered(const struct look *l)
{
	if (l->phase == PHASE_HOPS)
		return path_trace_is_complete(&l->trace);
	return l->phase == PHASE_SIZES ? path_sizes_are_answered(&l->trace) : !path_hole_suspected(&l->trace);
}

/* What to send now; false: all of the phase was sent. */
static bool next_packet(struct look *l, unsigned *ttl, unsigned *size)
{
	*ttl = *size = 0;
	if (l->phase == PHASE_HOPS)
		*ttl = path_trace_next(&l->trace);
	else if (l->phase == PHASE_SIZES)
		*size = path_sizes_next(&l->trace);
	else
		return path_hole_suspected(&l->trace) && path_hole_next(&l->trace, ttl, size);
	return *ttl != 0 || *size != 0;
}

static void on_due(evutil_socket_t fd, short what, void *ctx)
{
	struct look *l = ctx;
	unsigned ttl, size;
	int64_t left;

	(void)fd, (void)what;
	if (l->phase == PHASE_PAUSE && is_answered(l)) {
		conclude_sizes(l);
		return;
	}
	if (l->phase == PHASE_PAUSE) {
		l->phase = PHASE_HOLE;
		path_hole_begin(&l->trace);
	}
	if (next_packet(l, &ttl, &size)) {
		if (send_one(l, ttl, size))
			set_timer(l, l->options->spacing);
		return;
	}
	left = l->last + wait_of(l) - clock_mono();
	if (left <= 0 || is_answered(l))
		end_phase(l);
	else
		set_timer(l, left);
}

/* ---- in */

static void take_answer(struct look *l, unsigned index, enum path_answer how, const struct sockaddr *from)
{
	char who[PATH_ADDRESS];

	resolve_format(from, who, sizeof who);
	if (path_trace_answer(&l->trace, index, how, who, clock_mono()) && is_answered(l))
		set_timer(l, 0);
}

static enum path_answer meaning(enum family f, uint8_t type, uint8_t code)
{
	if (type == (f == FAMILY_V4 ? ICMP_TIME_EXCEEDED : ICMP6_TIME_EXCEEDED))
		return PATH_ANSWER_HOP;
	if (f == FAMILY_V4 ? type == ICMP_DEST_UNREACH && code == ICMP_FRAG_NEEDED : type == ICMP6_PACKET_TOO_BIG)
		return PATH_ANSWER_TOO_BIG;
	return PATH_ANSWER_UNREACHABLE;
}

static bool is_port_unreachable(enum family f, uint8_t type, uint8_t code)
{
	return f == FAMILY_V4 ? type == ICMP_DEST_UNREACH && code == ICMP_PORT_UNREACH
		: type == ICMP6_DST_UNREACH && code == ICMP6_DST_UNREACH_NOPORT;
}

static void take_error(struct look *l, unsigned index, uint8_t type, uint8_t code, const struct sockaddr *from)
{
	enum path_answer how = meaning(l->family, type, code);
	const struct sockaddr *to = (const struct sockaddr *)&l->to;
	char who[PATH_ADDRESS];

	if (l->udp != NULL && is_port_unreachable(l->family, type, code) && icmp_packet_same_address(to, from))
		how = PATH_ANSWER_DESTINATION;
	else if (how == PATH_ANSWER_UNREACHABLE)
		snprintf(l->error, sizeof l->error, "%s, said %s", icmp_packet_error_words(l->family, type, code),
			resolve_format(from, who, sizeof who));
	take_answer(l, index, how, from);
}

static void on_arrival(void *ctx, const struct icmp_arrival *a)
{
	struct channel *c = ctx;
	const struct icmp_packet *p = a->packet;
	struct look *l = c->path->slots[p->name.slot];
	const struct sockaddr *to;

	if (l == NULL || l->family != c->family)
		return;
	to = (const struct sockaddr *)&l->to;
	if (p->name.index >= l->trace.count)
		l->foreign++;
	else if (p->kind == ICMP_PACKET_REPLY && p->name.nonce == l->nonce && icmp_packet_same_address(to, a->from))
		take_answer(l, p->name.index, PATH_ANSWER_DESTINATION, a->from);
	else if (p->kind == ICMP_PACKET_ERROR && icmp_packet_is_about(p, l->nonce, to))
		take_error(l, p->name.index, p->type, p->code, a->from);
	else
		l->foreign++;
}

static void on_stamp(void *ctx, const struct icmp_packet_name *name, int64_t real)
{
	(void)ctx, (void)name, (void)real;
}

static void on_udp_answer(void *ctx, const struct path_udp_answer *a)
{
	take_error(ctx, a->index, a->type, a->code, a->from);
}

/* ---- the type */

static int path_open(const struct probe_env *env, void **state, struct err *e)
{
	struct path *p = mem_alloc(sizeof *p);

	(void)e;
	p->env = env;
	p->v4 = (struct channel){.path = p, .family = FAMILY_V4};
	p->v6 = (struct channel){.path = p, .family = FAMILY_V6};
	p->slots = mem_array(SLOTS, sizeof *p->slots);
	p->known = map_new();
	*state = p;
	return 0;
}

static int need_socket(struct channel *c, struct err *e)
{
	const struct icmp_socket_events events = {.on_arrival = on_arrival, .on_stamp = on_stamp, .ctx = c};
	const struct probe_env *env = c->path->env;
	int fd, error;

	if (c->socket != NULL)
		return 0;
	fd = env->priv_open_icmp(env->ctx, c->family, e);
	if (fd < 0)
		return -1;
	c->socket = icmp_socket_new(env->base, fd, c->family, &events);
	error = icmp_socket_keep_whole(c->socket);
	if (error == 0)
		return 0;
	icmp_socket_free(c->socket);
	c->socket = NULL;
	return err_set(e, "cannot keep packets whole: %s", strerror(error));
}

/* Where its packets go out by; -1 with err: this host cannot. */
static int look_open(struct look *l, struct err *e)
{
	const struct path_udp_events events = {.on_answer = on_udp_answer, .ctx = l};
	uint16_t source = *run_check(l->run) != '\0' ? (uint16_t)(FIRST_PORT + flow_of(l) % 20000) : 0;
	int error;

	if (l->options->mode == PATH_ICMP) {
		if (need_socket(l->family == FAMILY_V4 ? &l->path->v4 : &l->path->v6, e) < 0)
			return -1;
		return take_slot(l) ? 0 : err_set(e, "%d looks at paths are under way, no more fit", SLOTS - FIRST_SLOT);
	}
	l->udp = path_udp_open(l->path->env->base, (const struct sockaddr *)&l->to, l->to_len, (uint16_t)l->options->port,
		source, &events, &error);
	return l->udp != NULL ? 0 : err_set(e, "cannot send: %s", strerror(error));
}

static void path_start(void *state, struct run *run)
{
	struct look *l = mem_alloc(sizeof *l);
	const struct sockaddr *to = run_address(run, &l->to_len);
	struct err e;

	l->path = state;
	l->run = run;
	l->options = run_options(run);
	l->family = run_family(run);
	memcpy(&l->to, to, l->to_len);
	do
		if (getrandom(&l->nonce, sizeof l->nonce, 0) < 0)
			abort();
	while (l->nonce == 0);
	if (look_open(l, &e) < 0) {
		free(l);
		run_unknown(run, "%s", e.text);
		return;
	}
	l->timer = evtimer_new(l->path->env->base, on_due, l);
	path_trace_init(&l->trace, (unsigned)l->options->hops, (unsigned)l->options->probes);
	run_set_private(run, l);
	run_on_deadline(run, at_deadline);
	set_timer(l, 0);
}

static void path_cancel(void *state, struct run *run)
{
	struct look *l = run_private(run);

	(void)state;
	/* NULL: the deadline has made us give the result, and cancels all the same. */
	if (l != NULL)
		look_free(l);
}

static void path_close(void *state)
{
	struct path *p = state;

	icmp_socket_free(p->v4.socket);
	icmp_socket_free(p->v6.socket);
	map_free(p->known, free);
	free(p->slots);
	free(p);
}

const struct probe_type path_probe = {
	.catalog = &catalog_path,
	.open = path_open,
	.start = path_start,
	.cancel = path_cancel,
	.close = path_close,
};
