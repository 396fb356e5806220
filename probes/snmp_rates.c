#include "probes/snmp_rates.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/map.h"
#include "lib/mem.h"

#define TICKS_PER_S 100
#define SLACK_TICKS (3 * TICKS_PER_S)
#define SHORTEST 0.05       /* s between two looks that make a rate */
#define WRAP 4294967296.0
#define TOLERANCE 1.05      /* of a limit: frames have bits that counters do not count, clocks differ */
/* Per second. What devices say of their speed is often less than the truth (virtual ones: 10 Mbit/s), so that only what is far
 * above it is a broken counter: ten times the limit and 10 Gbit/s in bytes; where it is not known, 10 Tbit/s. */
#define ABOVE_LIMIT 10
#define NEVER_BELOW 1.25e9
#define NEVER_ABOVE 1.25e12

struct count {
	enum snmp_kind kind;
	uint64_t value;
	int64_t mono;
};

struct snmp_past {
	uint64_t identity;
	uint32_t seen;
	bool is_steady; /* its counters go on from the run before */
	struct count counts[SNMP_COUNTS_MAX];
};

struct snmp_rates {
	struct map *parts;
	struct snmp_clock clock;
	uint32_t number; /* of the run, 1 up */
	bool is_steady;
};

bool snmp_clock_went_on(const struct snmp_clock *before, const struct snmp_clock *now)
{
	int64_t elapsed = (now->mono - before->mono) / (NS_PER_S / TICKS_PER_S);
	int64_t difference = (int32_t)(now->uptime - before->uptime - (uint32_t)elapsed);

	if (!before->has_uptime || !now->has_uptime)
		return before->has_uptime == now->has_uptime;
	return llabs(difference) <= SLACK_TICKS + elapsed / 50;
}

struct snmp_rates *snmp_rates_new(void)
{
	struct snmp_rates *r = mem_alloc(sizeof *r);

	r->parts = map_new();
	return r;
}

void snmp_rates_free(struct snmp_rates *r)
{
	if (r != NULL)
		map_free(r->parts, free);
	free(r);
}

void snmp_rates_begin(struct snmp_rates *r, const struct snmp_clock *now)
{
	r->is_steady = r->number > 0 && snmp_clock_went_on(&r->clock, now);
	r->clock = *now;
	r->number++;
}

void snmp_rates_broken(struct snmp_rates *r)
{
	r->is_steady = false;
}

struct snmp_past *snmp_rates_part(struct snmp_rates *r, const char *label, uint64_t identity)
{
	struct snmp_past *p = map_find(r->parts, label);

	if (p == NULL && map_count(r->parts) == SNMP_PARTS_KEPT)
		return NULL;
	if (p == NULL) {
		p = mem_alloc(sizeof *p);
		map_set(r->parts, label, p);
	}
	p->is_steady = r->is_steady && p->seen > 0 && p->seen + 1 == r->number && p->identity == identity;
	p->seen = r->number;
	p->identity = identity;
	return p;
}

/* How far it went, or NaN. */
static double moved(const struct count *before, const struct count *now, double elapsed, double limit)
{
	if (now->kind == SNMP_KIND_COUNTER64)
		return now->value >= before->value ? (double)(now->value - before->value) : (double)NAN;
	if (limit > 0 && limit * elapsed >= WRAP)
		return (double)NAN; /* it can have wrapped unseen */
	if (now->value >= before->value)
		return (double)(now->value - before->value);
	return limit > 0 ? (double)now->value + WRAP - (double)before->value : (double)NAN;
}

static double ceiling(double limit)
{
	return limit > 0 ? fmax(ABOVE_LIMIT * limit, NEVER_BELOW) : NEVER_ABOVE;
}

double snmp_rate(struct snmp_past *p, unsigned slot, const struct snmp_value *v, int64_t mono, double limit)
{
	struct count before, now = {v->kind, v->number, mono};
	double elapsed, rate;

	assert(slot < SNMP_COUNTS_MAX);
	if (p == NULL)
		return (double)NAN;
	before = p->counts[slot];
	p->counts[slot] = now;
	if (!p->is_steady || now.kind != before.kind ||
		(now.kind != SNMP_KIND_COUNTER32 && now.kind != SNMP_KIND_COUNTER64))
		return (double)NAN;
	elapsed = (double)(now.mono - before.mono) / NS_PER_S;
	if (elapsed < SHORTEST)
		return (double)NAN;
	rate = moved(&before, &now, elapsed, limit) / elapsed;
	if (now.value < before.value && rate > TOLERANCE * limit)
		return (double)NAN; /* not a wrap: it was set back */
	return rate <= ceiling(limit) ? rate : (double)NAN;
}

void snmp_rates_end(struct snmp_rates *r)
{
	for (size_t i = map_count(r->parts); i-- > 0;) {
		const char *label;
		struct snmp_past *p = map_at(r->parts, i, &label);

		if (p->seen == r->number)
			continue;
		map_remove(r->parts, label);
		free(p);
	}
}
