#include "collector/judge/maintenance.h"

#include "lib/clock.h"
#include "lib/err.h"

#define DAY (86400 * NS_PER_S)
#define SHANGHAI (8 * 3600 * NS_PER_S)
#define LONGEST (7 * DAY)
#define SEARCH_DAYS 400 /* a fifth Saturday comes within two months; this is bounded and ample */

int maintenance_check(const struct maintenance *m, struct err *err)
{
	if (m->to <= m->from)
		return err_set(err, "maintenance \"%s\" ends before it begins", m->id);
	if (m->is_repeated && m->to - m->from > LONGEST)
		return err_set(err, "maintenance \"%s\" is repeated and lasts longer than 7 days", m->id);
	if (m->weekdays > 0x7f || m->weeks > 0x1f)
		return err_set(err, "maintenance \"%s\" names a weekday or week that there is not", m->id);
	return 0;
}

/* Day of the month, 1..31, of a day counted from 1970-01-01 (Howard Hinnant, "chrono-compatible low-level date
 * algorithms", civil_from_days). */
static unsigned day_of_month(int64_t days)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t doe = z - era * 146097;
	int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
	int64_t month = (5 * doy + 2) / 153;

	return (unsigned)(doy - (153 * month + 2) / 5 + 1);
}

static int64_t floor_day(int64_t time)
{
	int64_t days = time / DAY;

	return days * DAY > time ? days - 1 : days;
}

static bool begins_on(const struct maintenance *m, int64_t start)
{
	int64_t days = floor_day(start + SHANGHAI);
	int64_t weekday = ((days + 3) % 7 + 7) % 7; /* 1970-01-01 was a Thursday */

	if (m->until != 0 && start >= m->until)
		return false;
	if (m->weekdays != 0 && (m->weekdays >> weekday & 1) == 0)
		return false;
	return m->weeks == 0 || (m->weeks >> (day_of_month(days) - 1) / 7 & 1) != 0;
}

bool maintenance_covers(const struct maintenance *m, int64_t now)
{
	int64_t length = m->to - m->from, newest;

	if (now < m->from)
		return false;
	if (!m->is_repeated)
		return now < m->to;
	newest = m->from + (now - m->from) / DAY * DAY;
	for (int64_t start = newest; start >= m->from && now - start < length; start -= DAY)
		if (begins_on(m, start))
			return true;
	return false;
}

int64_t maintenance_next(const struct maintenance *m, int64_t now)
{
	int64_t next = INT64_MAX, start;

	if (now < m->from)
		return m->from;
	if (!m->is_repeated)
		return now < m->to ? m->to : INT64_MAX;
	start = m->from + (now - m->from) / DAY * DAY - LONGEST;
	if (start < m->from)
		start = m->from;
	for (int i = 0; i < SEARCH_DAYS && start < next; i++, start += DAY) {
		if (!begins_on(m, start))
			continue;
		if (start > now)
			next = start;
		else if (start + (m->to - m->from) > now && start + (m->to - m->from) < next)
			next = start + (m->to - m->from);
	}
	return next;
}
