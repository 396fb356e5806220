#include <stdlib.h>
#include <string.h>

#include "collector/judge/book.h"
#include "collector/judge/outbox.h"
#include "collector/notice/deliver_parts.h"
#include "collector/notice/phrase.h"
#include "collector/settings.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mem.h"

/* Of an incident that was over so long ago when its notice was read, nobody is told any more, the collector was new, or away: but who
 * was told of its beginning, whatever the clock says of its end. */
#define OLD (86400 * NS_PER_S)

const struct roster_channel *deliver_channel(const struct deliver *d, const char *id)
{
	return d->channels->roster != NULL ? roster_channel(d->channels->roster, id) : NULL;
}

static void put_in_queue(struct deliver *d, const struct delivery *n, uint64_t id)
{
	queue_put(queue_channel(d->queue, n->channel), &(struct queue_item){.id = id, .notice = n->notice, .incident = n->incident,
		.kind = n->kind, .audience = (char *)(uintptr_t)n->audience, .route = (char *)(uintptr_t)n->route,
		.language = n->language, .is_part = n->is_part, .created = n->created, .since = n->since});
}

/* ---- digests that a channel cannot take in one letter */

static size_t length(const struct deliver *d, const struct incident_intent *in, int language)
{
	struct phrase p;
	size_t len;

	phrase_make(d->channels->roster, d->inventory, in, "", (enum roster_language)language, &p);
	len = strlen(p.title) + 1 + strlen(p.body);
	phrase_fini(&p);
	return len;
}

/* How many of the items fit. */
static size_t fitting(const struct deliver *d, const struct incident_intent *all, int language, size_t room)
{
	struct incident_intent part = *all;
	size_t len;

	while ((len = length(d, &part, language)) > room && part.items_count > 1) {
		size_t fewer = part.items_count * room / len;

		part.items_count = fewer > 0 && fewer < part.items_count ? fewer : part.items_count - 1;
	}
	return part.items_count;
}

/* Letters that name all the items between them; id: of the first. */
static int add_parts(struct deliver *d, const struct delivery *like, const struct incident_item *items, size_t count, uint64_t *id,
	struct err *e)
{
	size_t room = letter_room(deliver_channel(d, like->channel));
	struct incident_intent rest = {.kind = INTENT_DIGEST, .audience = like->audience, .subject = "", .author = "", .text = "",
		.reason = "", .since = like->created, .at = like->created, .items = items, .items_count = count};
	struct delivery n = *like;
	uint64_t one;

	n.kind = INTENT_DIGEST;
	n.incident = 0;
	n.is_part = true;
	*id = 0;
	while (rest.items_count > 0) {
		struct incident_intent part = rest;

		part.items_count = fitting(d, &rest, like->language, room);
		rest.items += part.items_count;
		rest.items_count -= part.items_count;
		if (deliveries_note(d->db, &part, "", like->created, &n.notice, e) < 0 || deliveries_add(d->db, &n, &one, e) < 0)
			return -1;
		put_in_queue(d, &n, one);
		*id = *id == 0 ? one : *id;
		d->counts.digests++;
	}
	return 0;
}

/* ---- where a notice goes */

static bool is_end(enum incident_intent_kind kind)
{
	return kind == INTENT_CLOSE || kind == INTENT_MERGED;
}

/* 1: placed, 0: it is told there already, by delivery id; -1. */
static int place(struct deliver *d, const struct delivery *n, const struct incident_intent *in, uint64_t *id, struct err *e)
{
	uint64_t part;
	int rc;

	/* Where the end is told already, a beginning that comes from elsewhere is not told after it. */
	if (n->incident != 0 && !is_end(n->kind) && (deliveries_over(d->db, n, id, e) < 0 || *id != 0))
		return *id != 0 ? 0 : -1;
	rc = deliveries_add(d->db, n, id, e);
	if (rc != 1 || n->state != DELIVERY_WAITING)
		return rc;
	if (in->kind != INTENT_DIGEST || in->items_count < 2 ||
		length(d, in, n->language) <= letter_room(deliver_channel(d, n->channel))) {
		put_in_queue(d, n, *id);
		return 1;
	}
	if (add_parts(d, n, in->items, in->items_count, &part, e) < 0)
		return -1;
	return deliveries_end(d->db, *id, DELIVERY_JOINED, part, n->created, "too long for one letter", e) < 0 ? -1 : 1;
}

/* The end goes where the problem of its route went. */
static int follow(struct deliver *d, struct delivery *n, char channel[64], struct err *e)
{
	if (!is_end(n->kind))
		return 0;
	if (deliveries_where(d->db, n, channel, e) < 0)
		return -1;
	if (channel[0] != '\0' && deliver_channel(d, channel) != NULL)
		n->channel = channel;
	return 0;
}

struct telling {
	struct deliver *deliver;
	const struct incident_intent *intent;
	const struct delivery *like;
	uint64_t *first;
	struct err *e;
	int rc;
};

static void on_told(void *ctx, const struct delivery *problem)
{
	struct telling *t = ctx;
	struct delivery n = *t->like;
	uint64_t id;

	if (t->rc < 0 || deliver_channel(t->deliver, problem->channel) == NULL)
		return;
	n.channel = problem->channel;
	n.route = problem->route;
	n.language = problem->language;
	t->rc = place(t->deliver, &n, t->intent, &id, t->e) < 0 ? -1 : 0;
	if (t->rc == 0 && *t->first == 0)
		*t->first = id;
}

/* Wherever else a problem was told of which this is the end, by another route, or one that is gone: there too. */
static int tell_others(struct telling *t)
{
	const struct incident_intent *in = t->intent;

	if (is_end(in->kind))
		return deliveries_told(t->deliver->db, in->incident, in->audience, on_told, t, t->e) < 0 ? -1 : t->rc;
	for (size_t i = 0; i < in->items_count && t->rc == 0; i++) {
		if (is_end(in->items[i].kind) && deliveries_told(t->deliver->db, in->items[i].incident, in->audience, on_told, t, t->e) < 0)
			return -1;
	}
	return t->rc;
}

/* To all channels of all routes of its audience. *first: the delivery that is the first of them; 0: there is none. */
static int fan_out(struct deliver *d, const struct incident_intent *in, const struct delivery *like, uint64_t *first, struct err *e)
{
	const struct roster *r = d->channels->roster;
	const struct roster_route *routes = r != NULL ? r->routes.items : NULL;
	struct telling others = {.deliver = d, .intent = in, .like = like, .first = first, .e = e};
	char channel[64];
	uint64_t id;

	for (size_t i = 0; r != NULL && i < r->routes.count; i++) {
		if (!roster_takes(&routes[i], in))
			continue;
		for (size_t k = 0; k < routes[i].channels.count; k++) {
			struct delivery n = *like;

			n.route = routes[i].channels.items[k];
			n.channel = roster_on_duty(r, n.route, clock_real())->id;
			n.language = routes[i].language;
			if (follow(d, &n, channel, e) < 0 || place(d, &n, in, &id, e) < 0)
				return -1;
			*first = *first == 0 ? id : *first;
		}
	}
	return like->is_part ? 0 : tell_others(&others);
}

/* ---- reading the outbox on */

struct intake {
	struct deliver *deliver;
	struct outbox *outbox;
	struct err *e;
	int64_t now;
	uint64_t cursor;
	bool has_failed, is_closed;
	char *affected;
};

static void on_incident(void *ctx, const struct outbox_incident *i)
{
	struct intake *t = ctx;

	free(t->affected);
	t->affected = mem_strdup(i->affected);
	t->is_closed = i->view.phase == INCIDENT_CLOSED;
}

static void on_item(void *ctx, const struct outbox_incident *i)
{
	struct intake *t = ctx;

	t->is_closed &= i->view.phase == INCIDENT_CLOSED;
}

/* What the incident affects, and whether it is over: of a digest, all of them. */
static int look_up(struct intake *t, const struct incident_intent *in)
{
	free(t->affected);
	t->affected = mem_strdup("");
	t->is_closed = true;
	if (outbox_find(t->outbox, in->incident, on_incident, t, t->e) < 0)
		return -1;
	for (size_t i = 0; i < in->items_count; i++) {
		if (outbox_find(t->outbox, in->items[i].incident, on_item, t, t->e) < 0)
			return -1;
	}
	return 0;
}

static int was_told(struct intake *t, const struct incident_intent *in, bool *was_told)
{
	struct deliveries *db = t->deliver->db;

	if (deliveries_was_told(db, in->incident, in->audience, was_told, t->e) < 0)
		return -1;
	for (size_t i = 0; i < in->items_count && !*was_told; i++) {
		if (deliveries_was_told(db, in->items[i].incident, in->audience, was_told, t->e) < 0)
			return -1;
	}
	return 0;
}

/* What an audience may read of, divided by spaces: of an incident that a thousand units are told of, each keeps its own systems. */
static char *own_affected(const struct intake *t, const char *audience)
{
	struct buf out = {0};
	char *own;

	for (const char *p = t->affected; *p != '\0';) {
		size_t len = strcspn(p, " ");

		if (phrase_is_own(t->deliver->inventory, audience, p, len)) {
			if (out.len > 0)
				buf_add_u8(&out, ' ');
			buf_add(&out, p, len);
		}
		p += len + strspn(p + len, " ");
	}
	own = mem_strdup(buf_text(&out));
	buf_fini(&out);
	return own;
}

static int note(struct intake *t, const struct incident_intent *in, uint64_t *notice)
{
	char *affected = own_affected(t, in->audience);
	int rc = deliveries_note(t->deliver->db, in, affected, t->now, notice, t->e);

	free(affected);
	return rc;
}

static int take_intent(struct intake *t, const struct incident_intent *in)
{
	struct deliver *d = t->deliver;
	struct delivery like = {.incident = in->incident, .audience = in->audience, .kind = in->kind, .created = t->now,
		.since = clock_mono()};
	uint64_t first = 0;
	bool is_old;
	int rc;

	if (look_up(t, in) < 0)
		return -1;
	is_old = t->now - in->at > OLD && t->is_closed;
	if (is_old) {
		bool told = false;

		if (was_told(t, in, &told) < 0)
			return -1;
		is_old = !told;
	}
	like.state = is_old ? DELIVERY_OLD : DELIVERY_WAITING;
	rc = note(t, in, &like.notice);
	if (rc <= 0)
		return rc;
	d->counts.intents++;
	return fan_out(d, in, &like, &first, t->e);
}

static void on_intent(void *ctx, const struct incident_intent *in)
{
	struct intake *t = ctx;

	if (t->has_failed)
		return;
	t->has_failed = in->kind != INTENT_PROBE && take_intent(t, in) < 0;
	t->cursor = in->key;
}

/* Fewer keys than we have read, or another notice where we are: it may have come as far again before we looked. */
static int is_anew(struct intake *t, uint64_t newest, bool *is_anew)
{
	int64_t at;

	*is_anew = newest < t->cursor;
	if (*is_anew || t->cursor == 0)
		return 0;
	if (outbox_at(t->outbox, t->cursor, &at, t->e) < 0)
		return -1;
	return at != 0 ? deliveries_is_other(t->deliver->db, t->cursor, at, is_anew, t->e) : 0;
}

/* Judgement began anew, or was put back: its keys begin again, and what is known by key and time is not told again. */
static int find_place(struct intake *t)
{
	uint64_t newest;
	bool anew;

	if (deliveries_cursor(t->deliver->db, &t->cursor, t->e) < 0 || outbox_end(t->outbox, &newest, t->e) < 0 ||
		is_anew(t, newest, &anew) < 0)
		return -1;
	if (!anew)
		return newest > t->cursor ? 1 : 0;
	log_warn("what judgement wants told begins anew newest=%llu read=%llu", (unsigned long long)newest,
		(unsigned long long)t->cursor);
	t->cursor = 0;
	return 1;
}

static int take_all(struct intake *t)
{
	struct deliver *d = t->deliver;
	struct err ours;
	int rc;

	if (deliveries_begin(d->db, &ours) < 0)
		return deliver_broke(d, &ours);
	rc = outbox_intents(t->outbox, t->cursor, on_intent, t, t->e);
	if (rc == 0 && !t->has_failed && deliveries_move_cursor(d->db, t->cursor, t->e) == 0 && deliveries_commit(d->db, t->e) == 0)
		return 0;
	return deliver_broke(d, t->e);
}

static int read_beat(struct intake *t)
{
	uint64_t number;
	int64_t at;

	if (outbox_last_beat(t->outbox, &number, &at, t->e) < 0)
		return -1;
	deliver_judged(t->deliver, number, at);
	return 0;
}

int deliver_intake(struct deliver *d, struct err *e)
{
	char *path = mem_format("%s/%s", d->settings->state, BOOK_FILE);
	struct intake t = {.deliver = d, .e = e, .now = clock_real()};
	int rc = -1;

	t.outbox = outbox_open_file(path, e);
	free(path);
	if (t.outbox != NULL)
		rc = find_place(&t);
	if (rc == 1)
		rc = take_all(&t);
	if (rc == 0)
		rc = read_beat(&t);
	outbox_close(t.outbox);
	free(t.affected);
	return rc;
}

/* ---- what waits becomes something else */

int deliver_merge(struct deliver *d, const struct queue_plan *p, struct err *e)
{
	for (size_t i = 0; i < p->count; i++) {
		if (deliveries_end(d->db, p->others[i]->id, DELIVERY_JOINED, p->item->id, clock_real(), "", e) < 0)
			return -1;
		d->counts.merged++;
		queue_drop(p->others[i]);
	}
	return 0;
}

struct gathered {
	struct incident_item *items;
	size_t count;
};

static void add_item(struct gathered *g, const struct incident_item *item)
{
	g->items = mem_resize(g->items, g->count + 1, sizeof *g->items);
	g->items[g->count] = *item;
	g->items[g->count++].subject = mem_strdup(item->subject);
}

static void gather(void *ctx, const struct incident_intent *in, const char *affected)
{
	struct gathered *g = ctx;

	(void)affected;
	for (size_t i = 0; i < in->items_count; i++)
		add_item(g, &in->items[i]);
	if (in->kind != INTENT_DIGEST)
		add_item(g, &(struct incident_item){.kind = in->kind, .incident = in->incident, .other = in->other, .subject = in->subject});
}

static void gathered_fini(struct gathered *g)
{
	for (size_t i = 0; i < g->count; i++)
		free((char *)(uintptr_t)g->items[i].subject);
	free(g->items);
}

static int join(struct deliver *d, const struct queue_plan *p, uint64_t into, struct err *e)
{
	for (size_t i = 0; i < p->count; i++) {
		if (deliveries_end(d->db, p->others[i]->id, DELIVERY_JOINED, into, clock_real(), "", e) < 0)
			return -1;
		queue_drop(p->others[i]);
	}
	return 0;
}

/* A letter is as young as the youngest that it tells of. */
static int64_t youngest(const struct queue_plan *p)
{
	int64_t since = p->others[0]->since;

	for (size_t i = 1; i < p->count; i++)
		since = p->others[i]->since > since ? p->others[i]->since : since;
	return since;
}

int deliver_digest(struct deliver *d, const struct queue_plan *p, struct err *e)
{
	const struct queue_item *first = p->others[0];
	struct gathered g = {0};
	struct queue_view view;
	uint64_t id;
	int rc = 0;

	queue_view(first->channel, &view);
	for (size_t i = 0; i < p->count && rc == 0; i++)
		rc = deliveries_read(d->db, p->others[i]->notice, gather, &g, e) ? 0 : -1;
	if (rc == 0)
		rc = add_parts(d, &(struct delivery){.audience = first->audience, .route = first->route, .channel = view.id,
			.language = first->language, .created = clock_real(), .since = youngest(p)}, g.items, g.count, &id, e);
	gathered_fini(&g);
	return rc < 0 ? -1 : join(d, p, id, e);
}

struct moving {
	struct deliver *deliver;
	const struct queue_item *item;
	const char *fallback; /* NULL: where routes lead */
	struct err *e;
	int rc;
	uint64_t into; /* 0: nowhere */
};

static void move_notice(void *ctx, const struct incident_intent *in, const char *affected)
{
	struct moving *m = ctx;
	const struct queue_item *i = m->item;
	struct delivery n = {.id = i->id, .notice = i->notice, .incident = i->incident, .audience = i->audience, .route = i->route,
		.channel = m->fallback, .kind = i->kind, .language = i->language, .is_part = i->is_part, .created = i->created,
		.since = i->since};

	(void)affected;
	if (m->fallback == NULL) {
		m->rc = fan_out(m->deliver, in, &n, &m->into, m->e);
		return;
	}
	m->rc = place(m->deliver, &n, in, &m->into, m->e) < 0 ? -1 : 0;
}

static int move(struct deliver *d, struct queue_item *i, const char *words, struct err *e)
{
	const struct roster_channel *c;
	struct moving m = {.deliver = d, .item = i, .e = e};
	struct queue_view view;

	queue_view(i->channel, &view);
	c = deliver_channel(d, view.id);
	m.fallback = c != NULL ? c->fallback : NULL;
	if (!deliveries_read(d->db, i->notice, move_notice, &m, e) || m.rc < 0)
		return -1;
	if (deliveries_end(d->db, i->id, m.into != 0 ? DELIVERY_MOVED : DELIVERY_FAILED, m.into, clock_real(), words, e) < 0)
		return -1;
	if (m.into != 0) {
		d->counts.moved++;
	} else {
		d->counts.failed++;
		log_error("a notice has nowhere to go any more notice=%llu channel=%s: %s", (unsigned long long)i->notice, view.id, words);
	}
	queue_drop(i);
	return 0;
}

int deliver_move(struct deliver *d, const struct queue_plan *p, const char *words, struct err *e)
{
	for (size_t i = 0; i < p->count; i++) {
		if (move(d, p->others[i], words, e) < 0)
			return -1;
	}
	return 0;
}
