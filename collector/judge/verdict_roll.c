#include "collector/judge/verdict.h"

static unsigned total(const struct verdict_tally *t)
{
	return t->of[STATE_UP] + t->of[STATE_UNKNOWN] + t->of[STATE_DEGRADED] + t->of[STATE_DOWN];
}

/* All of one kind that matter alike: one that is down is their down. */
static enum state worst(const struct verdict_tally *t)
{
	if (total(t) == 0)
		return STATE_NONE;
	if (t->of[STATE_DOWN] > 0)
		return STATE_DOWN;
	if (t->of[STATE_UNKNOWN] == total(t))
		return STATE_UNKNOWN;
	if (t->of[STATE_DEGRADED] > 0)
		return STATE_DEGRADED;
	return t->of[STATE_UNKNOWN] > 0 ? STATE_UNKNOWN : STATE_UP;
}

enum state verdict_check_state(const enum state states[VERDICT_FAMILIES])
{
	struct verdict_tally t = {0};

	for (int f = 0; f < VERDICT_FAMILIES; f++)
		t.of[states[f]]++;
	if (t.of[STATE_DOWN] > 0)
		return t.of[STATE_DOWN] == total(&t) ? STATE_DOWN : STATE_DEGRADED;
	return t.of[STATE_DEGRADED] > 0 ? STATE_DEGRADED : worst(&t);
}

void verdict_roll_add(struct verdict_roll *r, enum verdict_severity severity, const enum state states[VERDICT_FAMILIES])
{
	if (severity == SEVERITY_NONE)
		return;
	for (int f = 0; f < VERDICT_FAMILIES; f++) {
		if (states[f] == STATE_DEGRADED || (states[f] == STATE_DOWN && severity == SEVERITY_MINOR)) {
			r->is_degraded = true;
			r->families[f].of[STATE_DEGRADED]++;
		} else if (severity == SEVERITY_CRITICAL) {
			r->families[f].of[states[f]]++;
		}
	}
	if (severity == SEVERITY_CRITICAL)
		r->checks.of[verdict_check_state(states)]++;
}

enum state verdict_roll_family(const struct verdict_roll *r, int family)
{
	return worst(&r->families[family]);
}

unsigned verdict_roll_faults(const struct verdict_roll *r)
{
	unsigned faults = r->is_degraded ? FAULT_VALUE : 0;

	for (int f = 0; f < VERDICT_FAMILIES; f++)
		if (worst(&r->families[f]) == STATE_DOWN)
			faults |= 1u << f;
	return faults;
}

enum state verdict_roll_state(const struct verdict_roll *r)
{
	const struct verdict_tally *all = &r->checks;

	if (all->of[STATE_DOWN] > 0)
		return STATE_DOWN;
	if (total(all) > 0 && all->of[STATE_UNKNOWN] == total(all))
		return STATE_UNKNOWN;
	if (verdict_roll_faults(r) != 0)
		return STATE_DEGRADED;
	return total(all) == 0 ? STATE_UP : worst(all);
}
