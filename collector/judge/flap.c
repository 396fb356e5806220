#include "collector/judge/flap.h"

double flap_icinga_value(const struct flap_icinga *f)
{
	double sum = 0;

	for (unsigned i = 0; i < FLAP_ICINGA_SLOTS; i++)
		if ((f->changes >> (f->oldest + i) % FLAP_ICINGA_SLOTS & 1) != 0)
			sum += 0.8 + 0.02 * i;
	return 100 * sum / FLAP_ICINGA_SLOTS;
}

double flap_icinga_take(struct flap_icinga *f, bool changed, double low, double high)
{
	uint32_t bit = UINT32_C(1) << f->oldest % FLAP_ICINGA_SLOTS;
	double value;

	f->changes = changed ? f->changes | bit : f->changes & ~bit;
	f->oldest = (uint8_t)((f->oldest + 1) % FLAP_ICINGA_SLOTS);
	value = flap_icinga_value(f);
	f->is_flapping = value > (f->is_flapping ? low : high);
	return value;
}

double flap_nagios_take(struct flap_nagios *f, uint8_t state, double low, double high)
{
	double sum = 0, value;

	f->states[f->oldest % FLAP_NAGIOS_SLOTS] = state;
	f->oldest = (uint8_t)((f->oldest + 1) % FLAP_NAGIOS_SLOTS);
	for (unsigned i = 1; i < FLAP_NAGIOS_SLOTS; i++) {
		uint8_t before = f->states[(f->oldest + i - 1) % FLAP_NAGIOS_SLOTS];

		if (f->states[(f->oldest + i) % FLAP_NAGIOS_SLOTS] != before)
			sum += 0.75 + 0.5 * (i - 1) / (FLAP_NAGIOS_SLOTS - 2);
	}
	value = 100 * sum / (FLAP_NAGIOS_SLOTS - 1);
	if (value <= low)
		f->is_flapping = false;
	else if (value >= high)
		f->is_flapping = true;
	return value;
}
