/*
 * limit: a threshold on a value, with hysteresis and a duration. Pure; thresholds live in the collector, so that a
 * changed one never touches a host.
 *
 *   limit_take each value of one stream -> the level that holds
 *
 * warn and critical are bounds of the value (or of value / baseline, or of the time until a bound is crossed). A level begins
 * when every value for at least `hold` was beyond its bound, and ends when one value is back by more than `hysteresis` (a
 * share of the bound: 0.1 = 10 %). Times are measured times: what is not newer than the newest value changes nothing.
 * The baseline (what was usual in the same hour of the last weeks) is the caller's number; NAN: none is known, and a rule
 * that compares with it says nothing.
 */
#ifndef COLLECTOR_JUDGE_LIMIT_H
#define COLLECTOR_JUDGE_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

struct buf;
struct cursor;
struct err;

enum limit_level { LIMIT_OK = 0, LIMIT_WARN = 1, LIMIT_CRITICAL = 2 };
enum limit_of {
	LIMIT_VALUE,    /* the value itself: loss, days of a certificate, bytes */
	LIMIT_RATIO,    /* value / baseline: a round trip against its usual self */
	LIMIT_FORECAST, /* seconds until the value crosses `bound` at its present slope */
};

struct limit_rule {
	uint32_t metric;
	enum limit_of of;
	bool is_floor;        /* trouble is below the bounds (days left), not above (loss) */
	double warn, critical; /* NAN: that level is not asked for */
	double hysteresis;    /* share of the bound, >= 0 */
	int64_t hold;         /* ns, >= 0 */
	double bound;         /* forecast: the value that must not be crossed */
	int64_t memory;       /* forecast: ns after which a value counts 1/e, > 0 */
};

/* A line through the values so far, old ones forgotten: weighted least squares around the newest time. */
struct limit_slope {
	double weight, t, tt, v, tv; /* t in seconds before the newest value */
};

struct limit_state {
	enum limit_level level;
	int64_t since;              /* of the level */
	int64_t last;               /* newest measured time */
	int64_t beyond_since[3];    /* of warn, critical: since when every value was beyond; 0 not */
	double value;               /* that was compared last */
	struct limit_slope slope;
};

/* As an operator writes it:
 *   METRIC above|below WARN [critical CRITICAL] [for DURATION] [hysteresis SHARE]
 *   METRIC ratio above RATIO ...             against its usual self in the same hour
 *   METRIC forecast BOUND within DURATION [critical DURATION] ...   at its present slope
 * "loss above 20 critical 50 for 3m", "cert_days below 30 critical 7", "used forecast 100 within 4h critical 1h". The metric is
 * left to the caller. -1 with words. */
#define LIMIT_METRIC 64
int limit_parse(const char *text, char metric[LIMIT_METRIC], struct limit_rule *, struct err *);

/* True when the level changed. */
bool limit_take(const struct limit_rule *, struct limit_state *, double value, double baseline, int64_t at);
/* Seconds until `bound` at the present slope; INFINITY: it moves away or stands. Needs three values. */
double limit_forecast(const struct limit_slope *, double bound);
void limit_slope_take(struct limit_slope *, double value, double seconds_since_last, double memory_seconds);
bool limit_is_same(const struct limit_rule *, const struct limit_rule *);
const char *limit_name(enum limit_level); /* "ok", "warn", "critical" */

void limit_encode(const struct limit_state *, struct buf *);
void limit_decode(struct limit_state *, struct cursor *);

#endif
