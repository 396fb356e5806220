#include "collector/judge/limit.h"

#include <math.h>

#include "collector/judge/record.h"
#include "lib/buf.h"
#include "lib/clock.h"

/* Moves the origin of time to the newest value and forgets. */
void limit_slope_take(struct limit_slope *s, double value, double step, double memory)
{
	double keep = exp(-step / memory);

	s->tt = (s->tt + 2 * step * s->t + step * step * s->weight) * keep;
	s->tv = (s->tv + step * s->v) * keep;
	s->t = (s->t + step * s->weight) * keep;
	s->weight = s->weight * keep + 1;
	s->v = s->v * keep + value;
}

double limit_forecast(const struct limit_slope *s, double bound)
{
	double spread = s->weight * s->tt - s->t * s->t, back, now, left;

	if (s->weight < 2 || spread <= 1e-9 * s->weight * s->tt)
		return INFINITY;
	/* v = now - slope * t, as t counts backwards. */
	back = (s->weight * s->tv - s->t * s->v) / spread;
	now = (s->v - back * s->t) / s->weight;
	left = (bound - now) / -back;
	return back != 0 && left > 0 && isfinite(left) ? left : INFINITY;
}

static bool is_beyond(const struct limit_rule *r, double value, double bound, double slack)
{
	if (isnan(bound))
		return false;
	return r->is_floor ? value < bound + slack : value > bound - slack;
}

/* The level's own bound, or that less the hysteresis while the level holds. */
static void follow(const struct limit_rule *r, struct limit_state *s, enum limit_level level, int64_t at)
{
	double bound = level == LIMIT_WARN ? r->warn : r->critical;
	double slack = s->level >= level ? fabs(bound) * r->hysteresis : 0;

	if (!is_beyond(r, s->value, bound, slack))
		s->beyond_since[level] = 0;
	else if (s->beyond_since[level] == 0)
		s->beyond_since[level] = at;
}

static bool holds(const struct limit_rule *r, const struct limit_state *s, enum limit_level level, int64_t at)
{
	int64_t since = s->beyond_since[level];

	return since != 0 && (s->level >= level || at - since >= r->hold);
}

static double compared(const struct limit_rule *r, struct limit_state *s, double value, double baseline, int64_t at)
{
	double step = s->last == 0 ? 0 : (double)(at - s->last) / (double)NS_PER_S;

	switch (r->of) {
	case LIMIT_VALUE:
		return value;
	case LIMIT_RATIO:
		return baseline > 0 ? value / baseline : NAN;
	case LIMIT_FORECAST:
		break;
	}
	limit_slope_take(&s->slope, value, step, (double)r->memory / (double)NS_PER_S);
	return limit_forecast(&s->slope, r->bound);
}

bool limit_take(const struct limit_rule *r, struct limit_state *s, double value, double baseline, int64_t at)
{
	enum limit_level level = LIMIT_OK;
	double number;

	if (at <= s->last || !isfinite(value))
		return false;
	number = compared(r, s, value, baseline, at);
	s->last = at;
	if (isnan(number))
		return false;
	s->value = number;
	follow(r, s, LIMIT_WARN, at);
	follow(r, s, LIMIT_CRITICAL, at);
	if (holds(r, s, LIMIT_CRITICAL, at))
		level = LIMIT_CRITICAL;
	else if (holds(r, s, LIMIT_WARN, at))
		level = LIMIT_WARN;
	if (level == s->level)
		return false;
	s->level = level;
	s->since = level == LIMIT_OK ? at : s->beyond_since[level];
	return true;
}

static bool same_number(double a, double b)
{
	return (isnan(a) && isnan(b)) || a == b;
}

bool limit_is_same(const struct limit_rule *a, const struct limit_rule *b)
{
	return a->metric == b->metric && a->of == b->of && a->is_floor == b->is_floor && a->hold == b->hold &&
		a->memory == b->memory && same_number(a->warn, b->warn) && same_number(a->critical, b->critical) &&
		same_number(a->hysteresis, b->hysteresis) && same_number(a->bound, b->bound);
}

const char *limit_name(enum limit_level level)
{
	static const char *const names[] = {"ok", "warn", "critical"};

	return names[level];
}

void limit_encode(const struct limit_state *s, struct buf *b)
{
	const double numbers[] = {s->value, s->slope.weight, s->slope.t, s->slope.tt, s->slope.v, s->slope.tv};

	buf_add_u8(b, (uint8_t)s->level);
	record_add_time(b, s->since);
	record_add_time(b, s->last);
	record_add_time(b, s->beyond_since[LIMIT_WARN]);
	record_add_time(b, s->beyond_since[LIMIT_CRITICAL]);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		record_add_double(b, numbers[i]);
}

void limit_decode(struct limit_state *s, struct cursor *c)
{
	double *const numbers[] = {&s->value, &s->slope.weight, &s->slope.t, &s->slope.tt, &s->slope.v, &s->slope.tv};
	uint8_t level = cursor_u8(c);

	s->level = level <= LIMIT_CRITICAL ? (enum limit_level)level : LIMIT_OK;
	s->since = record_time(c);
	s->last = record_time(c);
	s->beyond_since[LIMIT_WARN] = record_time(c);
	s->beyond_since[LIMIT_CRITICAL] = record_time(c);
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		*numbers[i] = record_double(c);
}
