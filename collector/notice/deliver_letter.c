#include <stdlib.h>
#include <string.h>

#include "collector/notice/deliver_parts.h"
#include "collector/notice/phrase.h"
#include "collector/settings.h"
#include "lib/clock.h"
#include "lib/mem.h"

#define TIMEOUT (30 * NS_PER_S)
#define LONGER 3 /* tries, each with twice the time */

struct flight *deliver_take_off(struct deliver *d, const struct roster_channel *c)
{
	struct flight *f = mem_alloc(sizeof *f);

	*f = (struct flight){.deliver = d, .generation = d->channels, .channel = c, .began = clock_mono(), .began_real = clock_real()};
	f->generation->users++;
	LIST_INSERT_HEAD(&d->flights, f, link);
	return f;
}

void deliver_land(struct flight *f)
{
	struct generation *g = f->generation;

	LIST_REMOVE(f, link);
	free(f);
	if (--g->users > 0 || !g->is_old)
		return;
	roster_free(g->roster);
	free(g);
}

/* Who needs longer to answer takes each try, which nobody counts as taken: it is given longer, before it has too many of them. With a
 * fall-back there are but few, and what counts is to be there soon. */
static int64_t time_for(const struct flight *f)
{
	unsigned tries = f->item != NULL && f->channel->fallback[0] == '\0' ? f->item->tries : 0;

	return TIMEOUT << (tries < LONGER ? tries : LONGER);
}

enum letter_outcome deliver_post(struct flight *f, const struct incident_intent *in, enum letter_matter matter, const struct phrase *p,
	void (*on_end)(void *ctx, enum letter_outcome, const char *words), struct err *words)
{
	char token[SEND_SECRET_MAX], secret[SEND_SECRET_MAX];
	const struct letter_facts facts = {.collector = f->deliver->settings->name, .matter = matter, .now = f->began_real, .token = token,
		.secret = secret};

	if (send_read_secret(f->channel->token_file, token, words) < 0 || send_read_secret(f->channel->secret_file, secret, words) < 0)
		return LETTER_REFUSED;
	f->send = send_start(f->deliver->sender, &(struct send_order){.channel = f->channel, .intent = in, .phrase = p, .facts = &facts,
		.timeout = time_for(f)}, on_end, f);
	return LETTER_TAKEN;
}

struct sending {
	struct flight *flight;
	const struct delivery *delivery;
	void (*on_end)(void *ctx, enum letter_outcome, const char *words);
	enum letter_outcome outcome;
	struct err *words;
};

/* An end whose beginning did not come through tells of both. */
static void add_late(struct sending *s, const struct incident_intent *in, struct phrase *p)
{
	struct deliver *d = s->flight->deliver;
	bool is_first = false;
	char *body;

	if ((in->kind != INTENT_CLOSE && in->kind != INTENT_MERGED) || deliveries_is_first(d->db, s->delivery, &is_first, s->words) < 0 ||
		!is_first)
		return;
	body = mem_format("%s\n%s", p->body, s->delivery->language == ROSTER_ZH
		? "此前的故障通知未能送达，现与结束一并告知。" : "The notice of its beginning did not come through: this tells of both.");
	free(p->body);
	p->body = body;
}

static void on_notice(void *ctx, const struct incident_intent *in, const char *affected)
{
	struct sending *s = ctx;
	struct deliver *d = s->flight->deliver;
	struct phrase p;

	phrase_make(d->channels->roster, d->inventory, in, affected, (enum roster_language)s->delivery->language, &p);
	add_late(s, in, &p);
	s->outcome = deliver_post(s->flight, in, LETTER_NOTICE, &p, s->on_end, s->words);
	phrase_fini(&p);
}

enum letter_outcome deliver_send(struct deliver *d, struct queue_item *i, struct flight **out,
	void (*on_end)(void *ctx, enum letter_outcome, const char *words), struct err *words)
{
	const struct delivery of = {.id = i->id, .notice = i->notice, .incident = i->incident, .audience = i->audience, .route = i->route,
		.kind = i->kind, .language = i->language};
	struct queue_view view;
	struct sending s = {.delivery = &of, .on_end = on_end, .outcome = LETTER_REFUSED, .words = words};

	queue_view(i->channel, &view);
	s.flight = deliver_take_off(d, deliver_channel(d, view.id));
	s.flight->item = i;
	*out = s.flight;
	if (!deliveries_read(d->db, i->notice, on_notice, &s, words))
		return LETTER_REFUSED;
	return s.outcome;
}
