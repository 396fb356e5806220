#include "collector/judge/availability.h"

#include "lib/clock.h"

static int64_t *sum_of(struct availability *a, enum state state)
{
	switch (state) {
	case STATE_UP:
		return &a->up;
	case STATE_DEGRADED:
		return &a->degraded;
	case STATE_DOWN:
		return &a->down;
	case STATE_NONE: /* nothing asked for it then */
		return &a->unmonitored;
	case STATE_UNKNOWN:
	case STATE_MAINTENANCE:
		break;
	}
	return &a->unknown;
}

struct outage {
	int64_t counted; /* of the stretch of down that is being met */
	int64_t until;   /* where it ended */
};

static void outage_ends(struct availability *a, struct outage *o)
{
	if (o->counted > 0)
		a->outages++;
	if (o->counted > a->longest)
		a->longest = o->counted;
	o->counted = 0;
}

/* Counted part of one stretch; *k: the first span that may still meet it. */
static int64_t take_stretch(const struct stretch *s, const struct spans *counted, size_t *k)
{
	int64_t sum = 0;

	while (*k < counted->count && counted->items[*k].until <= s->from)
		(*k)++;
	for (size_t n = *k; n < counted->count && counted->items[n].from < s->until; n++) {
		int64_t from = counted->items[n].from > s->from ? counted->items[n].from : s->from;
		int64_t until = counted->items[n].until < s->until ? counted->items[n].until : s->until;

		sum += until - from;
	}
	return sum;
}

static void count_monitored(const struct stretch *stretches, size_t count, const struct spans *counted,
	struct availability *a)
{
	struct outage outage = {0};
	int64_t met = 0;
	size_t k = 0;

	for (size_t i = 0; i < count; i++) {
		const struct stretch *s = &stretches[i];
		int64_t part = take_stretch(s, counted, &k);

		met += part;
		*sum_of(a, s->state) += part;
		if (s->state != STATE_DOWN || s->from != outage.until)
			outage_ends(a, &outage);
		if (s->state == STATE_DOWN) {
			outage.counted += part;
			outage.until = s->until;
		}
	}
	outage_ends(a, &outage);
	a->unknown += spans_length(counted) - met;
}

void availability_count(const struct stretch *stretches, size_t count, const struct spans *service,
	const struct spans *maintenance, struct availability *out)
{
	struct spans before = {0}, counted, monitored;

	*out = (struct availability){.members = 1, .service = spans_length(service)};
	spans_without(service, maintenance, &counted);
	out->maintenance = out->service - spans_length(&counted);
	if (count > 0)
		spans_add(&before, INT64_MIN, stretches[0].from);
	else
		spans_add(&before, INT64_MIN, INT64_MAX);
	spans_without(&counted, &before, &monitored);
	out->unmonitored = spans_length(&counted) - spans_length(&monitored);
	count_monitored(stretches, count, &monitored, out);
	spans_fini(&before);
	spans_fini(&counted);
	spans_fini(&monitored);
}

void availability_add(struct availability *sum, const struct availability *m)
{
	sum->members += m->members;
	sum->service += m->service;
	sum->maintenance += m->maintenance;
	sum->unmonitored += m->unmonitored;
	sum->up += m->up;
	sum->degraded += m->degraded;
	sum->down += m->down;
	sum->unknown += m->unknown;
	sum->outages += m->outages;
	if (m->longest > sum->longest)
		sum->longest = m->longest;
}

int64_t availability_counted(const struct availability *a)
{
	return a->up + a->degraded + a->down + a->unknown;
}

/* The product of a year of many subjects does not fit into 64 bits. */
static int fraction(int64_t part, int64_t whole)
{
	if (whole <= 0)
		return -1;
	return (int)((__int128)part * 1000000 / whole);
}

int availability_strict(const struct availability *a)
{
	return fraction(a->up + a->degraded, availability_counted(a));
}

int availability_lenient(const struct availability *a)
{
	return fraction(a->up + a->degraded, availability_counted(a) - a->unknown);
}

int availability_coverage(const struct availability *a)
{
	return fraction(availability_counted(a) - a->unknown, availability_counted(a));
}

int64_t availability_mttr(const struct availability *a)
{
	return a->outages == 0 ? -1 : a->down / (int64_t)a->outages;
}

int64_t availability_mtbf(const struct availability *a)
{
	return a->outages == 0 ? -1 : (a->up + a->degraded) / (int64_t)a->outages;
}
