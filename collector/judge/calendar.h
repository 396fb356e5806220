/*
 * calendar: civil days of the city, the State Council's holidays and make-up workdays, periods, and hours of service.
 *
 *   calendar_load -> calendar_day / hours_spans -> calendar_free        hours_parse, calendar_period need none
 *
 * Asia/Shanghai is UTC+8 all year (no transition since 1991-09-15), so that local days are arithmetic and no zone file is
 * asked. A day is counted from 1970-01-01; times are real ns (UTC). A span holds its beginning and not its end.
 * Holidays are decreed a year at a time: for a year that no file tells, whatever depends on workdays is an error, never a guess.
 * Pure, but for calendar_load. Thread: any. Limits: HOURS_MAX rules, years 1992 to 2199.
 */
#ifndef COLLECTOR_JUDGE_CALENDAR_H
#define COLLECTOR_JUDGE_CALENDAR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct calendar;
struct config_texts;
struct err;

#define HOURS_MAX 16

struct span {
	int64_t from, until; /* real ns */
};

/* Sorted, disjoint, none empty. */
struct spans {
	size_t count;
	struct span *items; /* heap */
};
void spans_fini(struct spans *);
/* Adds behind the last; joined with it where they touch or overlap. from must not be before the last one's. */
void spans_add(struct spans *, int64_t from, int64_t until);
int64_t spans_length(const struct spans *);
/* What is in a and not in b; out is filled. */
void spans_without(const struct spans *a, const struct spans *b, struct spans *out);

struct civil {
	int year, month, day; /* month 1..12, day 1..31 */
};
int32_t calendar_number(struct civil);   /* days since 1970-01-01 */
struct civil calendar_civil(int32_t day);
int calendar_weekday(int32_t day);       /* 0 Monday .. 6 Sunday */
int32_t calendar_day_at(int64_t real);   /* the local day of a time */
int64_t calendar_day_begin(int32_t day); /* its 00:00:00 local */

/* "2026", "2026-Q3", "2026-10", "2026-10-05" or "2026-10-05..2026-10-20" (both days in it). -1 with words. */
int calendar_period(const char *text, struct span *, struct err *);
/* "2026-10-05 02:00", "2026-10-05T02:00:30", "2026-10-05" (its beginning), in Asia/Shanghai; with Z behind it in UTC;
 * "now", "+2h" from now. -1 with words. */
int calendar_time(const char *text, int64_t now, int64_t *real, struct err *);
/* As calendar_time reads it: "2026-10-05 02:00:00". Returns out. */
#define CALENDAR_TIME 32
char *calendar_format(int64_t real, char out[CALENDAR_TIME]);
/* "day", "week" (the weekday of `from`), "mon-fri", "sat,sun"; with "2nd " before it in that week of the month. As bits of
 * calendar_weekday, and of weeks from the first on; 0: every one. */
int calendar_every(const char *text, int64_t from, uint8_t *weekdays, uint8_t *weeks, struct err *);

/* All *.conf of a folder; an empty one tells no year. NULL with err. */
struct calendar *calendar_load(const char *folder, struct err *);
void calendar_free(struct calendar *); /* accepts NULL */
bool calendar_knows(const struct calendar *, int year); /* no calendar knows no year */
/* Of a year that is known: Monday to Friday but holidays, and make-up workdays. */
bool calendar_is_workday(const struct calendar *, int32_t day);

/* Hours of service. */
struct hours_rule {
	unsigned weekdays;      /* bit of calendar_weekday */
	bool workdays, restdays; /* instead: days by the calendar */
	int from, until;        /* minutes of the day, 0..1440 */
};
struct hours {
	size_t count; /* 0: always */
	struct hours_rule rules[HOURS_MAX];
};
/* "always"; or days and times: "workday 09:00-12:00,13:30-17:30", "restday 10:00-16:00", "mon-fri 08:00-20:00", "sat,sun
 * 09:00-12:00", "daily 00:00-24:00". Over midnight: two rules. */
int hours_parse(const struct config_texts *, struct hours *, struct err *);
bool hours_ask_calendar(const struct hours *); /* are some by workdays? */
int hours_check(const char *text, struct err *); /* one text, for a schema */
/* The spans of service in a period, in out. -1 with words: a year whose workdays are not known. */
int hours_spans(const struct hours *, const struct calendar *, struct span period, struct spans *out, struct err *);

#endif
