/*
 * maintenance: planned work: a time when trouble of a subject, and of all that hangs below it, wakes nobody. Pure record.
 *
 * Once: [from, to). Repeated: the same hours of a day, on some weekdays and in some weeks of the month (the second Saturday: weekdays
 * = Saturday, weeks = 2nd), until `until`. Days are those of Asia/Shanghai (UTC+8, no summer time). One time lasts 7 days
 * at most when it is repeated.
 */
#ifndef COLLECTOR_JUDGE_MAINTENANCE_H
#define COLLECTOR_JUDGE_MAINTENANCE_H

#include <stdbool.h>
#include <stdint.h>

struct err;

struct maintenance {
	const char *id, *subject;     /* "system/portal" */
	const char *author, *reason;
	int64_t from, to;             /* real ns; of the first time */
	bool is_repeated;
	int64_t until;                /* repeated: no time begins at or after it; 0 without end */
	uint8_t weekdays;             /* repeated: bit 0 Monday .. bit 6 Sunday; 0: every day */
	uint8_t weeks;                /* repeated: bit 0 the 1st .. bit 4 the 5th of that weekday in a month; 0: every week */
};

int maintenance_check(const struct maintenance *, struct err *);
bool maintenance_covers(const struct maintenance *, int64_t now);
/* The next time after now at which maintenance_covers may give another answer; INT64_MAX: never again. */
int64_t maintenance_next(const struct maintenance *, int64_t now);

#endif
