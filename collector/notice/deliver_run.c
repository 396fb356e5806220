#include "collector/notice/deliver.h"

#include <event2/event.h>
#include <event2/util.h>
#include <inttypes.h>
#include <stdlib.h>

#include "collector/notice/deliver_parts.h"
#include "collector/notice/phrase.h"
#include "collector/notice/send.h"
#include "collector/settings.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mem.h"

#define WATCH_S 10 /* the beat, and whatever no wake-up came for */
#define NOTE_AGAIN 6 /* times WATCH_S */
#define UNREAD_TOLD (60 * NS_PER_S)
#define STOP_S 3
#define SUSPECT 3 /* times in a row that we died with a letter under way: all others go first, should we die of it */
#define GONE (30 * NS_PER_S) /* a try through a channel that is not configured any more ends */
#define TURN (200 * NS_PER_MS) /* then the loop has its own, whatever there is to do */
#define DAY (86400 * NS_PER_S)

int deliver_broke(struct deliver *d, const struct err *e)
{
	if (d->is_broken)
		return -1;
	d->is_broken = true;
	log_error("delivery ends to begin again from what it has kept: %s", e->text);
	d->events.broken(d->ctx);
	return -1;
}

void deliver_schedule(struct deliver *d, int64_t delay)
{
	const struct timeval tv = {delay / NS_PER_S, delay % NS_PER_S / NS_PER_US};

	evtimer_add(d->pump, &tv);
}

void deliver_set_matter(struct deliver *d, enum deliver_matter m, bool is_bad, const char *words)
{
	if (d->matters[m].is_known && d->matters[m].is_bad == is_bad)
		return;
	d->matters[m].is_known = true;
	d->matters[m].is_bad = is_bad;
	err_set(&d->matters[m].words, "%s", words);
	if (is_bad)
		log_error("notices are in trouble: %s", words);
	d->events.note(d->ctx, m, is_bad, words);
}

void deliver_note_again(struct deliver *d)
{
	for (int m = 0; m < DELIVER_MATTERS; m++) {
		if (d->matters[m].is_known)
			d->events.note(d->ctx, (enum deliver_matter)m, d->matters[m].is_bad, d->matters[m].words.text);
	}
}

/* ---- what came of a try */

static uint32_t chance(void)
{
	uint32_t n;

	evutil_secure_rng_get_bytes(&n, sizeof n);
	return n;
}

static int end_item(struct deliver *d, struct queue_item *i, enum delivery_state state, const char *words, struct err *e)
{
	int rc = deliveries_end(d->db, i->id, state, 0, clock_real(), words, e);

	queue_drop(i);
	return rc;
}

/* An end does not stay behind where its problem was not taken. */
static int move_with(struct deliver *d, struct queue_item *i, const char *words, struct err *e)
{
	struct queue_plan p = {0};
	int rc;

	queue_with(i, &p);
	rc = deliver_move(d, &p, words, e);
	queue_plan_fini(&p);
	return rc;
}

/* What waits for a channel that is gone goes where routes lead now. */
static int move_orphans(struct deliver *d, struct queue_channel *c, struct err *e)
{
	struct queue_plan p = {0};
	int rc;

	queue_movable(c, &p);
	rc = deliver_move(d, &p, "the channel is not configured any more", e);
	queue_plan_fini(&p);
	return rc;
}

static int give_up(struct deliver *d, const struct queue_plan *p, const char *channel, struct err *e)
{
	for (size_t k = 0; k < p->count; k++) {
		struct queue_item *i = p->others[k];

		d->counts.failed++;
		log_error("a notice is given up notice=%" PRIu64 " channel=%s tries=%u", i->notice, channel, i->tries);
		if (end_item(d, i, DELIVERY_FAILED, i->tries > 0 ? "" : "waited in vain for a channel that fails", e) < 0)
			return -1;
	}
	return 0;
}

/* What waited too long is tried no more: of a channel that fails, all of that; a refusal says nothing of others. */
static int give_up_late(struct deliver *d, const char *channel, struct queue_item *tried, enum letter_outcome outcome, int64_t now, struct err *e)
{
	int64_t since = now - d->channels->roster->give_up;
	struct queue_plan p = {0};
	int rc;

	if (outcome != LETTER_REFUSED)
		queue_overdue(tried->channel, since, &p);
	else if (tried->since <= since)
		p = (struct queue_plan){.others = mem_copy(&tried, sizeof tried), .count = 1};
	rc = give_up(d, &p, channel, e);
	queue_plan_fini(&p);
	return rc;
}

static int conclude(struct deliver *d, struct flight *f, enum letter_outcome outcome, const char *words, struct err *e)
{
	struct queue_item *i = f->item;
	int64_t now = clock_mono();

	if (deliveries_try(d->db, i->id, &(struct delivery_try){.took = now - f->began, .outcome = outcome,
		.words = words}, e) < 0)
		return -1;
	queue_ended(i, outcome, now, chance());
	d->counts.tries++;
	if (outcome == LETTER_TAKEN) {
		d->counts.taken++;
		return end_item(d, i, DELIVERY_TAKEN, "", e);
	}
	d->counts.refused += outcome == LETTER_REFUSED;
	log_warn("a notice was not taken notice=%" PRIu64 " channel=%s try=%u: %s", i->notice, f->channel->id, i->tries, words);
	if (queue_is_spent(i, outcome))
		return move_with(d, i, words, e);
	if (deliver_channel(d, f->channel->id) == NULL)
		return 0;
	return give_up_late(d, f->channel->id, i, outcome, now, e);
}

/* And when the channel went with a reload while the letter was under way, what waited behind it need not any more. */
static int conclude_all(struct deliver *d, struct flight *f, enum letter_outcome outcome, const char *words, struct err *e)
{
	struct queue_channel *c = f->item->channel;

	if (conclude(d, f, outcome, words, e) < 0)
		return -1;
	return deliver_channel(d, f->channel->id) == NULL ? move_orphans(d, c, e) : 0;
}

/* Confirmed only when it is on disk. */
static void ended(struct flight *f, enum letter_outcome outcome, const char *words)
{
	struct deliver *d = f->deliver;
	struct buf clean = {0};
	struct err e;

	phrase_add_clean(&clean, words);
	if (deliveries_begin(d->db, &e) < 0 || conclude_all(d, f, outcome, buf_text(&clean), &e) < 0 || deliveries_commit(d->db, &e) < 0)
		deliver_broke(d, &e);
	buf_fini(&clean);
	deliver_land(f);
}

/* Whoever takes a channel away wants what hangs there told elsewhere. */
static void cut_gone(struct deliver *d)
{
	int64_t began = clock_mono() - GONE;

	for (struct flight *f = LIST_FIRST(&d->flights), *next; f != NULL; f = next) {
		next = LIST_NEXT(f, link);
		if (f->item == NULL || f->began > began || deliver_channel(d, f->channel->id) != NULL)
			continue;
		send_cancel(f->send);
		ended(f, LETTER_AGAIN, "no answer in time");
	}
}

static void on_end(void *ctx, enum letter_outcome outcome, const char *words)
{
	struct flight *f = ctx;
	struct deliver *d = f->deliver;

	ended(f, outcome, words);
	deliver_schedule(d, 0);
}

/* ---- what is next */

static void send_one(struct deliver *d, struct queue_item *i)
{
	enum letter_outcome outcome;
	struct flight *f;
	struct err words;

	queue_began(i, clock_mono());
	outcome = deliver_send(d, i, &f, on_end, &words);
	if (outcome != LETTER_TAKEN)
		ended(f, outcome, words.text);
}

static int change(struct deliver *d, int (*apply)(struct deliver *, const struct queue_plan *, struct err *), const struct queue_plan *p)
{
	struct err e;

	if (deliveries_begin(d->db, &e) == 0 && apply(d, p, &e) == 0 && deliveries_commit(d->db, &e) == 0)
		return 0;
	return deliver_broke(d, &e);
}

static int move_all(struct deliver *d, const struct queue_plan *p, struct err *e)
{
	return deliver_move(d, p, "the channel fails", e);
}

static bool is_turn_over(const struct deliver *d)
{
	return clock_mono() - d->turn >= TURN;
}

/* All ends that a storm leaves behind, with one commit. */
static int merge_all(struct deliver *d, const struct queue_plan *p, struct err *e)
{
	struct queue_channel *c = p->item->channel;
	int rc = deliver_merge(d, p, e);

	for (bool is_merge = true; is_merge && rc == 0 && !is_turn_over(d);) {
		struct queue_plan more;

		is_merge = queue_next(c, clock_mono(), &more) == QUEUE_MERGE;
		if (is_merge)
			rc = deliver_merge(d, &more, e);
		queue_plan_fini(&more);
	}
	return rc;
}

static int depart(struct deliver *d, const struct queue_plan *p, struct err *e)
{
	return deliveries_depart(d->db, p->item->id, clock_real(), e);
}

/* Does what is to be done now; was there anything? *next: when to look again, if that is sooner. */
static bool serve(struct deliver *d, struct queue_channel *c, int64_t *next)
{
	for (bool did = false; !d->is_broken; did = true) {
		struct queue_plan p;
		enum queue_step step;
		int64_t at;

		if (is_turn_over(d)) {
			*next = 0;
			return false;
		}
		step = queue_next(c, clock_mono(), &p);
		at = p.at;
		if (step == QUEUE_SEND && change(d, depart, &p) == 0)
			send_one(d, p.item);
		else if (step == QUEUE_MERGE)
			change(d, merge_all, &p);
		else if (step == QUEUE_DIGEST)
			change(d, deliver_digest, &p);
		else if (step == QUEUE_MOVE)
			change(d, move_all, &p);
		queue_plan_fini(&p);
		if (step != QUEUE_WAIT)
			continue;
		*next = at < *next ? at : *next;
		return did;
	}
	return false;
}

/* What one channel moves to its fall-back may find that in trouble as well, and stand before it. */
static int64_t serve_all(struct deliver *d)
{
	struct queue_channel *c;
	int64_t next;
	bool did;

	d->turn = clock_mono();
	do {
		next = INT64_MAX;
		did = false;
		for (size_t i = 0; (c = queue_at(d->queue, i)) != NULL; i++)
			did |= serve(d, c, &next);
	} while (did);
	return next;
}

static void look_for_trouble(struct deliver *d)
{
	struct buf words = {0};
	struct queue_channel *c;
	struct queue_view v;

	for (size_t i = 0; (c = queue_at(d->queue, i)) != NULL; i++) {
		queue_view(c, &v);
		if (v.failures >= QUEUE_TROUBLE && words.len < 300)
			buf_add_format(&words, "%schannel %s fails, %zu notices wait", words.len > 0 ? "; " : "", v.id, v.waiting);
	}
	deliver_set_matter(d, DELIVER_NOTICES, words.len > 0, buf_text(&words));
	buf_fini(&words);
}

static void on_pump(evutil_socket_t fd, short what, void *ctx)
{
	struct deliver *d = ctx;
	int64_t next, now;

	(void)fd, (void)what;
	if (d->is_broken)
		return;
	if (d->stopping) {
		if (LIST_EMPTY(&d->flights))
			d->events.stopped(d->ctx);
		return;
	}
	next = serve_all(d);
	if (d->is_broken)
		return;
	look_for_trouble(d);
	now = clock_mono();
	if (next != INT64_MAX)
		deliver_schedule(d, next > now ? next - now : 0);
}

/* ---- what is new */

/* Judgement makes it; while that is being started again it is not there. */
static void cannot_read(struct deliver *d, const struct err *e)
{
	int64_t now = clock_mono();

	if (d->unread_since == 0)
		d->unread_since = now;
	if (now - d->unread_since >= UNREAD_TOLD)
		log_warn("what judgement wants told cannot be read: %s", e->text);
	else
		log_debug("what judgement wants told cannot be read just now: %s", e->text);
}

void deliver_wake(struct deliver *d)
{
	struct err e;

	if (d->is_broken || d->stopping)
		return;
	cut_gone(d);
	if (d->is_broken)
		return;
	if (deliver_intake(d, &e) < 0) {
		if (d->is_broken)
			return;
		cannot_read(d, &e);
	} else {
		d->unread_since = 0;
		deliver_beat(d);
	}
	deliver_schedule(d, 0); /* what waits may be due, whatever is new */
}

static void forget(struct deliver *d)
{
	int64_t now = clock_real();
	struct err e;

	if (now - d->forgot < DAY)
		return;
	d->forgot = now;
	if (deliveries_begin(d->db, &e) < 0 || deliveries_forget(d->db, now - DELIVERIES_KEPT, &e) < 0 || deliveries_commit(d->db, &e) < 0)
		deliver_broke(d, &e);
}

static void on_watch(evutil_socket_t fd, short what, void *ctx)
{
	struct deliver *d = ctx;

	(void)fd, (void)what;
	deliver_wake(d);
	if (d->unread_since != 0 && !d->is_broken)
		deliver_beat(d);
	if (!d->is_broken)
		forget(d);
	if (++d->watches % NOTE_AGAIN == 0)
		deliver_note_again(d); /* who could not write it down just then */
}

/* ---- life */

/* Before the first night that it is needed. */
static void tell_unusable(const struct roster *r)
{
	const struct roster_channel *of = r != NULL ? r->channels.items : NULL;
	struct err e;

	for (size_t i = 0; r != NULL && i < r->channels.count; i++)
		if (send_check_files(&of[i], &e) < 0)
			log_error("a channel cannot send: %s", e.text);
}

static void set_channels(struct deliver *d, struct roster *r)
{
	struct generation *g = mem_alloc(sizeof *g), *old = d->channels;

	tell_unusable(r);
	g->roster = r;
	d->channels = g;
	if (old == NULL)
		return;
	old->is_old = true;
	if (old->users > 0)
		return;
	roster_free(old->roster);
	free(old);
}

static int read_channels(struct deliver *d, struct err *e)
{
	const char *path = d->settings->notice;
	struct roster *r = path[0] != '\0' ? roster_load(path, d->inventory, e) : NULL;

	if (r == NULL && path[0] != '\0')
		return -1;
	set_channels(d, r);
	return 0;
}

static int fit_queue(struct deliver *d, struct err *e)
{
	const struct roster *r = d->channels->roster;
	const struct roster_channel *of = r != NULL ? r->channels.items : NULL;
	struct queue_channel *c;
	struct queue_view v;

	for (size_t i = 0; r != NULL && i < r->channels.count; i++)
		queue_limit(queue_channel(d->queue, of[i].id), of[i].per_minute, of[i].fallback[0] != '\0' ? of[i].fallback_after : 0);
	if (deliveries_begin(d->db, e) < 0)
		return -1;
	for (size_t i = 0; (c = queue_at(d->queue, i)) != NULL; i++) {
		queue_view(c, &v);
		if (deliver_channel(d, v.id) == NULL && move_orphans(d, c, e) < 0)
			return -1;
	}
	return deliveries_commit(d->db, e);
}

static void on_waiting(void *ctx, const struct delivery *n)
{
	struct deliver *d = ctx;
	int64_t now = clock_mono();

	queue_put(queue_channel(d->queue, n->channel), &(struct queue_item){.id = n->id, .notice = n->notice, .incident = n->incident,
		.kind = n->kind, .audience = (char *)(uintptr_t)n->audience, .route = (char *)(uintptr_t)n->route,
		.language = n->language, .is_part = n->is_part, .tries = n->tries, .created = n->created,
		.due = n->cuts >= SUSPECT ? now + queue_backoff(n->cuts - SUSPECT + 1, chance()) : 0,
		.since = now}); /* how long it waited before, no clock that is set can tell */
}

static void on_recent(void *ctx, const char *channel, int64_t at)
{
	struct deliver *d = ctx;

	int64_t ago = clock_real() - at;

	queue_spend(queue_channel(d->queue, channel), clock_mono() - (ago > 0 ? ago : 0)); /* the clock may have been set back since */
}

static int open_all(struct deliver *d, struct err *e)
{
	d->db = deliveries_open(d->settings->state, e);
	if (d->db == NULL)
		return -1;
	if (deliveries_load(d->db, on_waiting, d, e) < 0 || deliveries_recent(d->db, d->started - 60 * NS_PER_S, on_recent, d, e) < 0 ||
		deliveries_beat(d->db, &d->beat.number, &d->beat.at, e) < 0)
		return -1;
	return fit_queue(d, e);
}

struct deliver *deliver_new(struct event_base *base, const struct settings *s, const struct inventory *inventory,
	struct roster *roster, const struct deliver_events *events, void *ctx, struct err *e)
{
	const struct timeval watch = {WATCH_S, 0};
	struct deliver *d = mem_alloc(sizeof *d);

	d->base = base;
	d->settings = s;
	d->inventory = inventory;
	d->events = *events;
	d->ctx = ctx;
	d->started = clock_real();
	d->beat.came = d->beat.judged_came = clock_mono();
	d->queue = queue_new();
	LIST_INIT(&d->flights);
	d->sender = sender_new(base);
	d->pump = evtimer_new(base, on_pump, d);
	d->watch = event_new(base, -1, EV_PERSIST, on_watch, d);
	set_channels(d, roster);
	if (open_all(d, e) < 0) {
		deliver_free(d);
		return NULL;
	}
	event_add(d->watch, &watch);
	deliver_schedule(d, 0);
	return d;
}

void deliver_give_runner(struct deliver *d, int fd)
{
	sender_give_runner(d->sender, fd);
}

void deliver_free(struct deliver *d)
{
	struct flight *f;

	if (d == NULL)
		return;
	while ((f = LIST_FIRST(&d->flights)) != NULL) {
		if (f->send != NULL)
			send_cancel(f->send);
		deliver_land(f);
	}
	sender_free(d->sender);
	queue_free(d->queue);
	deliveries_close(d->db);
	if (d->channels != NULL)
		roster_free(d->channels->roster);
	free(d->channels);
	event_free(d->pump);
	event_free(d->watch);
	if (d->ending != NULL)
		event_free(d->ending);
	free(d);
}

int deliver_reload(struct deliver *d, const struct settings *s, const struct inventory *inventory, struct err *e)
{
	struct err words;

	d->settings = s;
	d->inventory = inventory;
	if (read_channels(d, e) < 0)
		return -1;
	queue_refresh(d->queue);
	if (fit_queue(d, &words) < 0)
		deliver_broke(d, &words);
	deliver_wake(d);
	return 0;
}

static void on_ending(evutil_socket_t fd, short what, void *ctx)
{
	struct deliver *d = ctx;

	(void)fd, (void)what;
	d->events.stopped(d->ctx);
}

void deliver_stop(struct deliver *d)
{
	const struct timeval limit = {STOP_S, 0};

	if (d->stopping)
		return;
	d->stopping = true;
	d->ending = evtimer_new(d->base, on_ending, d);
	evtimer_add(d->ending, &limit);
	deliver_schedule(d, 0);
}

/* ---- figures */

static void add_figure(struct buf *out, const char *name, const char *kind, const char *help, double value)
{
	buf_add_format(out, "# HELP xunjian_notify_%s %s\n# TYPE xunjian_notify_%s %s\nxunjian_notify_%s %.15g\n", name, help,
		name, kind, name, value);
}

static void add_channels(const struct deliver *d, struct buf *out)
{
	struct queue_channel *c;
	struct queue_view v;

	buf_add_text(out, "# HELP xunjian_notify_waiting Notices that wait for a channel.\n# TYPE xunjian_notify_waiting gauge\n");
	for (size_t i = 0; (c = queue_at(d->queue, i)) != NULL; i++) {
		queue_view(c, &v);
		buf_add_format(out, "xunjian_notify_waiting{channel=\"%s\"} %zu\n", v.id, v.waiting);
	}
	buf_add_text(out, "# HELP xunjian_notify_failures Failures of a channel in a row.\n# TYPE xunjian_notify_failures gauge\n");
	for (size_t i = 0; (c = queue_at(d->queue, i)) != NULL; i++) {
		queue_view(c, &v);
		buf_add_format(out, "xunjian_notify_failures{channel=\"%s\"} %u\n", v.id, v.failures);
	}
}

void deliver_metrics(const struct deliver *d, struct buf *out)
{
	add_figure(out, "intents_total", "counter", "Notices that judgement wanted told.", (double)d->counts.intents);
	add_figure(out, "tries_total", "counter", "Letters that were tried.", (double)d->counts.tries);
	add_figure(out, "taken_total", "counter", "Letters that were taken.", (double)d->counts.taken);
	add_figure(out, "refused_total", "counter", "Letters that were refused.", (double)d->counts.refused);
	add_figure(out, "merged_total", "counter", "Notices told with the end of their incident.", (double)d->counts.merged);
	add_figure(out, "digests_total", "counter", "Digests made for a limit of a channel.", (double)d->counts.digests);
	add_figure(out, "moved_total", "counter", "Notices that went to a fall-back.", (double)d->counts.moved);
	add_figure(out, "failed_total", "counter", "Notices that were given up.", (double)d->counts.failed);
	add_figure(out, "beat_taken_timestamp_seconds", "gauge", "When the beat of judgement came last where it is sent; 0 never.",
		(double)d->beat.at / 1e9);
	add_figure(out, "beat_judged_timestamp_seconds", "gauge", "When judgement beat last; 0 never.", (double)d->beat.judged_at / 1e9);
	add_channels(d, out);
}
