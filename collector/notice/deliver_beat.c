#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "collector/notice/deliver_parts.h"
#include "collector/notice/phrase.h"
#include "collector/settings.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/mem.h"

#define MISSING (180 * NS_PER_S)
#define PAUSE (30 * NS_PER_S) /* between tries, whatever wakes us meanwhile */

static void beat_is_over(struct flight *f, enum letter_outcome outcome, const char *words)
{
	struct deliver *d = f->deliver;
	struct err e;

	d->beat.in_flight = false;
	if (outcome == LETTER_TAKEN) {
		d->beat.number = f->beat;
		d->beat.at = clock_real();
		d->beat.came = clock_mono();
		if (deliveries_put_beat(d->db, f->beat, d->beat.at, &e) < 0)
			deliver_broke(d, &e);
		else
			deliver_set_matter(d, DELIVER_BEAT, false, "");
	} else {
		err_set(&d->beat.words, "%s", words);
		log_debug("the beat was not taken channel=%s number=%" PRIu64 ": %s", f->channel->id, f->beat, words);
	}
	deliver_land(f);
}

static void on_end(void *ctx, enum letter_outcome outcome, const char *words)
{
	struct flight *f = ctx;
	struct deliver *d = f->deliver;

	beat_is_over(f, outcome, words);
	deliver_schedule(d, 0); /* a stop may wait for it */
}

static void send_beat(struct deliver *d, const struct roster_channel *c)
{
	struct incident_intent in = {.key = d->beat.judged, .kind = INTENT_DIGEST, .audience = "", .subject = "", .author = "", .text = "",
		.reason = "", .since = d->beat.judged_at, .at = d->beat.judged_at};
	struct flight *f = deliver_take_off(d, c);
	char time[32];
	struct phrase p = {.title = mem_format("【心跳】巡检 %s [BEAT] xunjian %s", d->settings->name, d->settings->name),
		.body = mem_format("第 %" PRIu64 " 次，%s\nBeat %" PRIu64 ": judgement and delivery work.", in.key,
			clock_format_utc(in.at, time, sizeof time), in.key)};
	enum letter_outcome outcome;
	struct err words;

	f->beat = d->beat.judged;
	d->beat.in_flight = true;
	d->beat.tried = f->began;
	outcome = deliver_post(f, &in, LETTER_BEAT, &p, on_end, &words);
	phrase_fini(&p);
	if (outcome == LETTER_TAKEN)
		queue_spend(queue_channel(d->queue, c->id), f->began);
	else
		beat_is_over(f, outcome, words.text);
}

/* What judgement said last, or what was delivered, is too old. */
static void look_for_it(struct deliver *d, const struct roster_channel *c, int64_t now)
{
	int64_t judged = now - d->beat.judged_came, came = now - d->beat.came;
	char words[400];

	if (judged > MISSING)
		snprintf(words, sizeof words, "judgement has not beaten for %" PRId64 " s", judged / NS_PER_S);
	else if (c != NULL && came > MISSING)
		snprintf(words, sizeof words, "no beat came through channel %s for %" PRId64 " s: %.250s", c->id, came / NS_PER_S,
			d->beat.words.text);
	else
		words[0] = '\0';
	if (words[0] != '\0')
		deliver_set_matter(d, DELIVER_BEAT, true, words);
	else if (c == NULL)
		deliver_set_matter(d, DELIVER_BEAT, false, "");
}

void deliver_judged(struct deliver *d, uint64_t number, int64_t at)
{
	if (number != d->beat.judged)
		d->beat.judged_came = clock_mono();
	d->beat.judged = number;
	d->beat.judged_at = at;
}

static bool is_due(const struct deliver *d, int64_t now)
{
	return !d->stopping && !d->beat.in_flight && d->beat.judged != 0 && d->beat.judged != d->beat.number &&
		(d->beat.tried == 0 || now - d->beat.tried >= PAUSE);
}

void deliver_beat(struct deliver *d)
{
	const struct roster *r = d->channels->roster;
	const struct roster_channel *c = r != NULL && r->beat.channel[0] != '\0' ? roster_channel(r, r->beat.channel) : NULL;
	int64_t now = clock_mono();

	if (c != NULL && is_due(d, now))
		send_beat(d, c);
	look_for_it(d, c, now);
}
