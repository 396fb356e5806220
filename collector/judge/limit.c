#include "collector/judge/limit.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/judge/record.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/num.h"

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

/* ---- text */

#define WORDS 16

/* The words of a text, cut in place; -1: too many. */
static int split(char *text, const char *words[WORDS])
{
	int count = 0;

	for (char *word, *rest = text; (word = strtok_r(rest, " \t", &rest)) != NULL;) {
		if (count == WORDS)
			return -1;
		words[count++] = word;
	}
	return count;
}

static int parse_bound(const struct limit_rule *r, const char *word, double *out, struct err *err)
{
	int64_t ns;

	if (r->of != LIMIT_FORECAST)
		return num_parse_double(word, out, err);
	if (num_parse_duration(word, &ns, err) < 0)
		return -1;
	*out = (double)ns / (double)NS_PER_S;
	return 0;
}

static int parse_hysteresis(const char *word, double *out, struct err *err)
{
	if (num_parse_double(word, out, err) < 0)
		return -1;
	return *out >= 0 && *out < 1 ? 0 : err_set(err, "a hysteresis is a share from 0 to less than 1");
}

/* "critical 50", "for 3m", "hysteresis 0.2", in any order. */
static int parse_rest(const char *const *words, int count, struct limit_rule *r, struct err *err)
{
	for (int i = 0; i < count; i += 2) {
		const char *value = i + 1 < count ? words[i + 1] : "";
		int status;

		if (strcmp(words[i], "critical") == 0)
			status = parse_bound(r, value, &r->critical, err);
		else if (strcmp(words[i], "for") == 0)
			status = num_parse_duration(value, &r->hold, err);
		else if (strcmp(words[i], "hysteresis") == 0)
			status = parse_hysteresis(value, &r->hysteresis, err);
		else
			return err_set(err, "\"%.40s\" is not \"critical\", \"for\" or \"hysteresis\"", words[i]);
		if (status < 0)
			return err_wrap(err, "%s", words[i]);
	}
	return 0;
}

static int parse_words(const char *const *words, int count, struct limit_rule *r, struct err *err)
{
	int at = 1;

	if (count > at && strcmp(words[at], "ratio") == 0) {
		r->of = LIMIT_RATIO;
		at++;
	} else if (count > at + 1 && strcmp(words[at], "forecast") == 0) {
		r->of = LIMIT_FORECAST;
		if (num_parse_double(words[at + 1], &r->bound, err) < 0)
			return err_wrap(err, "forecast");
		at += 2;
	}
	if (count < at + 2)
		return err_set(err, "write METRIC above|below NUMBER, and critical NUMBER, for DURATION");
	r->is_floor = r->of == LIMIT_FORECAST || strcmp(words[at], "below") == 0;
	if (strcmp(words[at], r->of == LIMIT_FORECAST ? "within" : r->is_floor ? "below" : "above") != 0)
		return err_set(err, "\"%.40s\" is not \"%s\"", words[at],
			r->of == LIMIT_FORECAST ? "within" : "above\" or \"below");
	if (parse_bound(r, words[at + 1], &r->warn, err) < 0)
		return err_wrap(err, "%s", words[at]);
	if (parse_rest(words + at + 2, count - at - 2, r, err) < 0)
		return -1;
	if (r->is_floor ? r->critical > r->warn : r->critical < r->warn) /* never of NAN */
		return err_set(err, "critical must be %s the bound before it, which is passed first", r->is_floor ? "below" : "above");
	return 0;
}

int limit_parse(const char *text, char metric[LIMIT_METRIC], struct limit_rule *r, struct err *err)
{
	char *copy = mem_strdup(text);
	const char *words[WORDS];
	int count = split(copy, words), status = -1;

	*r = (struct limit_rule){.warn = NAN, .critical = NAN, .hysteresis = 0.1, .memory = 6 * 3600 * NS_PER_S};
	if (count < 1)
		err_set(err, "write METRIC above|below NUMBER, and critical NUMBER, for DURATION");
	else if (parse_words(words, count, r, err) < 0)
		err_wrap(err, "\"%.100s\"", text);
	else
		status = 0;
	snprintf(metric, LIMIT_METRIC, "%s", count > 0 ? words[0] : "");
	free(copy);
	return status;
}

/* ---- */

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
