#include "collector/judge/duty.h"

#include <stdlib.h>

#include "collector/judge/calendar.h"
#include "collector/settings.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/num.h"

#define DAYS_MAX 400 /* there is duty sooner, or never */

struct duty {
	struct calendar *calendar; /* NULL: none is needed */
	struct hours hours;
	struct incident_settings settings;
};

static int set(struct duty *d, const struct settings *s, struct err *e)
{
	const struct settings_incidents *from = &s->incidents;

	d->settings = (struct incident_settings){.notices_per_minute = (unsigned)from->notices_per_minute,
		.steps = from->escalate.count, .add_work = duty_add, .calendar = d};
	for (size_t i = 0; i < from->escalate.count; i++) {
		if (num_parse_duration(from->escalate.items[i], &d->settings.after[i], e) < 0)
			return -1;
	}
	return hours_parse(&from->hours, &d->hours, e);
}

struct duty *duty_new(const struct settings *s, struct calendar *calendar, struct err *e)
{
	struct duty *d = mem_alloc(sizeof *d);

	d->calendar = calendar;
	if (set(d, s, e) == 0)
		return d;
	duty_free(d);
	return NULL;
}

struct duty *duty_load(const struct settings *s, struct err *e)
{
	struct calendar *calendar = s->calendar[0] != '\0' ? calendar_load(s->calendar, e) : NULL;

	return calendar == NULL && s->calendar[0] != '\0' ? NULL : duty_new(s, calendar, e);
}

void duty_free(struct duty *d)
{
	if (d == NULL)
		return;
	calendar_free(d->calendar);
	free(d);
}

const struct calendar *duty_calendar(const struct duty *d)
{
	return d->calendar;
}

void duty_settings(const struct duty *d, struct incident_settings *out)
{
	*out = d->settings;
}

/* Takes the duty of one local day behind `from` off *left; true when it was enough, at *end. */
static bool take_day(const struct duty *d, struct span day, int64_t *left, int64_t *end)
{
	struct spans spans;
	struct err e;
	bool enough = false;

	if (hours_spans(&d->hours, d->calendar, day, &spans, &e) < 0)
		spans_add(&spans, day.from, day.until);
	for (size_t i = 0; i < spans.count && !enough; i++) {
		int64_t length = spans.items[i].until - spans.items[i].from;

		enough = *left <= length;
		*end = spans.items[i].from + *left;
		*left -= length;
	}
	spans_fini(&spans);
	return enough;
}

int64_t duty_add(const void *duty, int64_t from, int64_t work)
{
	const struct duty *d = duty;
	int64_t left = work, end = from;

	if (d->hours.count == 0)
		return from + work;
	for (int32_t i = 0, day = calendar_day_at(from); i < DAYS_MAX; i++, day++) {
		int64_t begin = calendar_day_begin(day);

		if (take_day(d, (struct span){i == 0 ? from : begin, calendar_day_begin(day + 1)}, &left, &end))
			return end;
	}
	return from + work;
}
