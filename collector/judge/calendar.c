#include "collector/judge/calendar.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/clock.h"
#include "lib/config.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/num.h"

#define OFFSET (8 * 3600 * NS_PER_S) /* Asia/Shanghai */
#define DAY (24 * 3600 * NS_PER_S)
#define MINUTE (60 * NS_PER_S)
#define YEAR_MIN 1992
#define YEAR_MAX 2199
#define YEARS (YEAR_MAX - YEAR_MIN + 1)
#define DAYS_MAX 366

/* ---- spans */

void spans_fini(struct spans *s)
{
	free(s->items);
	*s = (struct spans){0};
}

void spans_add(struct spans *s, int64_t from, int64_t until)
{
	struct span *last = s->count > 0 ? &s->items[s->count - 1] : NULL;

	if (until <= from)
		return;
	if (last != NULL && from <= last->until) {
		last->until = until > last->until ? until : last->until;
		return;
	}
	if ((s->count & (s->count - 1)) == 0)
		s->items = mem_resize(s->items, s->count == 0 ? 1 : s->count * 2, sizeof *s->items);
	s->items[s->count++] = (struct span){from, until};
}

int64_t spans_length(const struct spans *s)
{
	int64_t sum = 0;

	for (size_t i = 0; i < s->count; i++)
		sum += s->items[i].until - s->items[i].from;
	return sum;
}

void spans_without(const struct spans *a, const struct spans *b, struct spans *out)
{
	size_t k = 0;

	*out = (struct spans){0};
	for (size_t i = 0; i < a->count; i++) {
		int64_t at = a->items[i].from, until = a->items[i].until;

		while (k < b->count && b->items[k].until <= at)
			k++;
		for (size_t n = k; n < b->count && b->items[n].from < until; n++) {
			spans_add(out, at, b->items[n].from);
			at = b->items[n].until > at ? b->items[n].until : at;
		}
		spans_add(out, at, until);
	}
}

/* ---- days: the proleptic Gregorian calendar in eras of 400 years, years from March on */

int32_t calendar_number(struct civil c)
{
	int year = c.year - (c.month <= 2);
	int era = year / 400;
	int of_era = year - era * 400;
	int of_year = (153 * (c.month + (c.month > 2 ? -3 : 9)) + 2) / 5 + c.day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

struct civil calendar_civil(int32_t day)
{
	int z = day + 719468, era = z / 146097, of_era = z - era * 146097;
	int year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int of_year = of_era - (365 * year + year / 4 - year / 100);
	int month = (5 * of_year + 2) / 153;
	struct civil c = {.day = of_year - (153 * month + 2) / 5 + 1, .month = month < 10 ? month + 3 : month - 9};

	c.year = year + era * 400 + (c.month <= 2);
	return c;
}

int calendar_weekday(int32_t day)
{
	return (int)((day % 7 + 7 + 3) % 7); /* 1970-01-01 was a Thursday */
}

int32_t calendar_day_at(int64_t real)
{
	return (int32_t)((real + OFFSET) / DAY);
}

int64_t calendar_day_begin(int32_t day)
{
	return (int64_t)day * DAY - OFFSET;
}

/* ---- periods */

/* Reads count digits. */
static bool take_number(const char **at, int count, int *out)
{
	*out = 0;
	for (int i = 0; i < count; i++) {
		if (!isdigit((unsigned char)(*at)[i]))
			return false;
		*out = *out * 10 + (*at)[i] - '0';
	}
	*at += count;
	return true;
}

static bool take_sign(const char **at, char sign)
{
	if (**at != sign)
		return false;
	(*at)++;
	return true;
}

static bool civil_is_valid(struct civil c)
{
	struct civil back;

	if (c.year < YEAR_MIN || c.year > YEAR_MAX || c.month < 1 || c.month > 12 || c.day < 1 || c.day > 31)
		return false;
	back = calendar_civil(calendar_number(c));
	return back.month == c.month && back.day == c.day;
}

/* "2026-10-05" */
static bool take_day(const char **at, int32_t *day)
{
	struct civil c;

	if (!take_number(at, 4, &c.year) || !take_sign(at, '-') || !take_number(at, 2, &c.month) ||
		!take_sign(at, '-') || !take_number(at, 2, &c.day) || !civil_is_valid(c))
		return false;
	*day = calendar_number(c);
	return true;
}

/* "2026-10-05" or "2026-10-05..2026-10-20"; last is in it. */
static bool parse_days(const char *text, int32_t *first, int32_t *last)
{
	if (!take_day(&text, first))
		return false;
	*last = *first;
	if (*text == '\0')
		return true;
	return take_sign(&text, '.') && take_sign(&text, '.') && take_day(&text, last) && *text == '\0' &&
		*last >= *first;
}

/* Months of a year, quarter or month: first and number. */
static bool parse_months(const char *text, int *year, int *month, int *count)
{
	int quarter;

	if (!take_number(&text, 4, year) || *year < YEAR_MIN || *year > YEAR_MAX)
		return false;
	*month = 1, *count = 12;
	if (*text == '\0')
		return true;
	if (!take_sign(&text, '-'))
		return false;
	if (take_sign(&text, 'Q')) {
		*count = 3;
		return take_number(&text, 1, &quarter) && quarter >= 1 && quarter <= 4 && *text == '\0' &&
			(*month = 3 * quarter - 2) > 0;
	}
	*count = 1;
	return take_number(&text, 2, month) && *month >= 1 && *month <= 12 && *text == '\0';
}

int calendar_period(const char *text, struct span *out, struct err *e)
{
	int32_t first, last;
	int year, month, count;

	if (parse_days(text, &first, &last)) {
		*out = (struct span){calendar_day_begin(first), calendar_day_begin(last + 1)};
		return 0;
	}
	if (!parse_months(text, &year, &month, &count))
		return err_set(e, "\"%.60s\" is not a period: write 2026, 2026-Q3, 2026-10, 2026-10-05 or "
			"2026-10-05..2026-10-20", text);
	first = calendar_number((struct civil){year, month, 1});
	month += count;
	last = calendar_number((struct civil){year + (month > 12), month > 12 ? month - 12 : month, 1});
	*out = (struct span){calendar_day_begin(first), calendar_day_begin(last)};
	return 0;
}

/* ---- the decreed days */

enum { DAY_PLAIN, DAY_HOLIDAY, DAY_WORKDAY };

struct calendar {
	uint8_t *years[YEARS]; /* DAYS_MAX each; NULL: not known */
};

struct year_record {
	int64_t year;
	const char *source;
	struct config_texts holidays, workdays;
	struct config_where where;
};

struct calendar_file {
	struct config_list years;
};

static int check_days(const char *text, struct err *e)
{
	int32_t first, last;

	if (parse_days(text, &first, &last))
		return 0;
	return err_set(e, "\"%.60s\" is not a day or days: write \"2026-10-01\" or \"2026-10-01..2026-10-07\"", text);
}

static const struct config_field year_fields[] = {
	{.name = "year", .kind = CONFIG_INT, .offset = offsetof(struct year_record, year), .min = YEAR_MIN,
		.max = YEAR_MAX, .help = "the year that is told"},
	{.name = "source", .kind = CONFIG_TEXT, .offset = offsetof(struct year_record, source), .fallback = "",
		.max = 300, .help = "the announcement"},
	{.name = "holidays", .kind = CONFIG_TEXTS, .offset = offsetof(struct year_record, holidays), .fallback = "",
		.max = DAYS_MAX, .check = check_days, .help = "days off, each \"2026-10-01\" or \"2026-10-01..2026-10-07\""},
	{.name = "workdays", .kind = CONFIG_TEXTS, .offset = offsetof(struct year_record, workdays), .fallback = "",
		.max = DAYS_MAX, .check = check_days, .help = "weekends that are worked"},
	{.name = NULL},
};
static const struct config_schema year_schema = {.size = sizeof(struct year_record), .fields = year_fields,
	.where_offset = offsetof(struct year_record, where)};
static const struct config_field file_fields[] = {
	{.name = "years", .kind = CONFIG_LIST, .offset = offsetof(struct calendar_file, years), .fallback = "",
		.sub = &year_schema, .help = "years whose days are known"},
	{.name = NULL},
};
static const struct config_schema file_schema = {sizeof(struct calendar_file), file_fields, -1};

static uint8_t *day_of(const struct calendar *c, int32_t day)
{
	int year = calendar_civil(day).year;

	return &c->years[year - YEAR_MIN][day - calendar_number((struct civil){year, 1, 1})];
}

static int take_days(struct calendar *c, const struct year_record *r, const struct config_texts *texts, uint8_t kind,
	struct err *e)
{
	for (size_t i = 0; i < texts->count; i++) {
		int32_t first = 0, last = 0;

		parse_days(texts->items[i], &first, &last);
		for (int32_t d = first; d <= last; d++) {
			if (calendar_civil(d).year != r->year)
				return config_error(&r->where, e, "\"%s\" is not in %d: tell it in its own year",
					texts->items[i], (int)r->year);
			if (*day_of(c, d) != DAY_PLAIN)
				return config_error(&r->where, e, "\"%s\" is told twice", texts->items[i]);
			*day_of(c, d) = kind;
		}
	}
	return 0;
}

static int on_file(void *ctx, const char *path, void *out, struct err *e)
{
	const struct calendar_file *f = out;
	const struct year_record *years = f->years.items;
	struct calendar *c = ctx;

	(void)path;
	for (size_t i = 0; i < f->years.count; i++) {
		const struct year_record *r = &years[i];
		uint8_t **of = &c->years[r->year - YEAR_MIN];

		if (*of != NULL)
			return config_error(&r->where, e, "%d is told twice", (int)r->year);
		*of = mem_alloc(DAYS_MAX);
		if (take_days(c, r, &r->holidays, DAY_HOLIDAY, e) < 0 ||
			take_days(c, r, &r->workdays, DAY_WORKDAY, e) < 0)
			return -1;
	}
	return 0;
}

struct calendar *calendar_load(const char *folder, struct err *e)
{
	struct calendar *c = mem_alloc(sizeof *c);
	struct arena *a = arena_new();
	int rc = config_load_folder(folder, &file_schema, a, on_file, c, e);

	arena_free(a);
	if (rc == 0)
		return c;
	calendar_free(c);
	return NULL;
}

void calendar_free(struct calendar *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < YEARS; i++)
		free(c->years[i]);
	free(c);
}

bool calendar_knows(const struct calendar *c, int year)
{
	return c != NULL && year >= YEAR_MIN && year <= YEAR_MAX && c->years[year - YEAR_MIN] != NULL;
}

bool calendar_is_workday(const struct calendar *c, int32_t day)
{
	uint8_t kind = *day_of(c, day);

	return kind == DAY_WORKDAY || (kind == DAY_PLAIN && calendar_weekday(day) < 5);
}

/* ---- hours of service */

static const char *const weekday_names[] = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};

static int weekday_of(const char *text, size_t len)
{
	for (int i = 0; i < 7; i++) {
		if (len == 3 && strncmp(text, weekday_names[i], 3) == 0)
			return i;
	}
	return -1;
}

/* "mon", "mon-fri", "sat,sun" */
static bool parse_weekdays(const char *text, size_t len, unsigned *out)
{
	*out = 0;
	for (size_t at = 0; at < len;) {
		size_t n = strcspn(text + at, ", ");
		size_t dash = strcspn(text + at, "-, ");
		int first = weekday_of(text + at, dash), last = first;

		if (dash < n)
			last = weekday_of(text + at + dash + 1, n - dash - 1);
		if (first < 0 || last < first)
			return false;
		for (int d = first; d <= last; d++)
			*out |= 1u << d;
		at += n + (at + n < len);
	}
	return *out != 0;
}

static bool parse_word(const char *text, size_t len, struct hours_rule *r)
{
	*r = (struct hours_rule){0};
	if (len == 7 && strncmp(text, "workday", len) == 0)
		r->workdays = true;
	else if (len == 7 && strncmp(text, "restday", len) == 0)
		r->restdays = true;
	else if (len == 5 && strncmp(text, "daily", len) == 0)
		r->weekdays = 0x7f;
	else
		return parse_weekdays(text, len, &r->weekdays);
	return true;
}

/* "09:00" */
static bool take_minute(const char **at, int *out)
{
	int hour, minute;

	if (!take_number(at, 2, &hour) || !take_sign(at, ':') || !take_number(at, 2, &minute) || minute > 59)
		return false;
	*out = hour * 60 + minute;
	return *out <= 1440;
}

/* One text: each of its times is a rule. */
static int parse_rules(const char *text, struct hours *h, struct err *e)
{
	size_t n = strcspn(text, " ");
	const char *at = text + n;
	struct hours_rule rule;

	if (!parse_word(text, n, &rule) || !take_sign(&at, ' '))
		return err_set(e, "\"%.80s\" are no hours of service: write \"always\", or days (workday, restday, daily, "
			"mon-fri, sat,sun) and times, as in \"workday 09:00-12:00,13:30-17:30\"", text);
	do {
		if (!take_minute(&at, &rule.from) || !take_sign(&at, '-') || !take_minute(&at, &rule.until))
			return err_set(e, "\"%.80s\": write times as in \"09:00-17:30\", at most 24:00", text);
		if (rule.until <= rule.from)
			return err_set(e, "\"%.80s\": ends before it begins: over midnight, write two, until 24:00 and "
				"from 00:00", text);
		if (h->count == HOURS_MAX)
			return err_set(e, "\"%.80s\": more than %d times", text, HOURS_MAX);
		h->rules[h->count++] = rule;
	} while (take_sign(&at, ','));
	return *at == '\0' ? 0 : err_set(e, "\"%.80s\": \"%.20s\" is too much", text, at);
}

int hours_parse(const struct config_texts *texts, struct hours *h, struct err *e)
{
	h->count = 0;
	for (size_t i = 0; i < texts->count; i++) {
		if (strcmp(texts->items[i], "always") == 0) {
			if (texts->count > 1)
				return err_set(e, "\"always\" stands alone");
			return 0;
		}
		if (parse_rules(texts->items[i], h, e) < 0)
			return -1;
	}
	return 0;
}

int hours_check(const char *text, struct err *e)
{
	struct hours h;

	return hours_parse(&(struct config_texts){1, &text}, &h, e);
}

static bool rule_holds(const struct hours_rule *r, const struct calendar *c, int32_t day)
{
	if (r->workdays || r->restdays)
		return calendar_is_workday(c, day) == r->workdays;
	return (r->weekdays >> calendar_weekday(day) & 1) != 0;
}

static int by_from(const void *a, const void *b)
{
	const struct span *x = a, *y = b;

	return (x->from > y->from) - (x->from < y->from);
}

static void add_day(const struct hours *h, const struct calendar *c, int32_t day, struct span period, struct spans *out)
{
	struct span of_day[HOURS_MAX];
	size_t n = 0;

	for (size_t i = 0; i < h->count; i++) {
		const struct hours_rule *r = &h->rules[i];
		struct span s = {calendar_day_begin(day) + r->from * MINUTE, calendar_day_begin(day) + r->until * MINUTE};

		if (!rule_holds(r, c, day))
			continue;
		s.from = s.from < period.from ? period.from : s.from;
		s.until = s.until > period.until ? period.until : s.until;
		of_day[n++] = s;
	}
	qsort(of_day, n, sizeof *of_day, by_from);
	for (size_t i = 0; i < n; i++)
		spans_add(out, of_day[i].from, of_day[i].until);
}

bool hours_ask_calendar(const struct hours *h)
{
	for (size_t i = 0; i < h->count; i++) {
		if (h->rules[i].workdays || h->rules[i].restdays)
			return true;
	}
	return false;
}

int hours_spans(const struct hours *h, const struct calendar *c, struct span period, struct spans *out, struct err *e)
{
	bool asks = hours_ask_calendar(h);

	*out = (struct spans){0};
	if (period.until <= period.from)
		return 0;
	if (h->count == 0) {
		spans_add(out, period.from, period.until);
		return 0;
	}
	for (int32_t day = calendar_day_at(period.from); day <= calendar_day_at(period.until - 1); day++) {
		int year = calendar_civil(day).year;

		if (asks && !calendar_knows(c, year)) {
			spans_fini(out);
			return err_set(e, "holidays of %d are not known: add the year to the calendar folder", year);
		}
		add_day(h, c, day, period, out);
	}
	return 0;
}

/* ---- what people write of times */

/* What stands behind a day: " 02:00", "T02:00:30". ns of the day. */
static bool take_clock(const char **at, int64_t *out)
{
	int minute, second = 0;

	if (!take_sign(at, ' ') && !take_sign(at, 'T'))
		return false;
	if (!take_minute(at, &minute) || (**at == ':' && (!take_sign(at, ':') || !take_number(at, 2, &second) || second > 59)))
		return false;
	*out = (minute * INT64_C(60) + second) * NS_PER_S;
	return true;
}

int calendar_time(const char *text, int64_t now, int64_t *real, struct err *e)
{
	const char *at = text;
	int64_t clock = 0;
	int32_t day;

	if (strcmp(text, "now") == 0) {
		*real = now;
		return 0;
	}
	if (text[0] == '+' && num_parse_duration(text + 1, real, e) == 0) {
		*real += now;
		return 0;
	}
	if (take_day(&at, &day) && (*at == '\0' || take_clock(&at, &clock))) {
		*real = calendar_day_begin(day) + clock;
		if (*at == 'Z') {
			*real += OFFSET;
			at++;
		}
		if (*at == '\0')
			return 0;
	}
	return err_set(e, "\"%.60s\" is not a time: write \"2026-10-05 02:00\", \"2026-10-04T18:00:00Z\", \"+2h\" or now", text);
}

char *calendar_format(int64_t real, char out[CALENDAR_TIME])
{
	int32_t day = calendar_day_at(real);
	struct civil civil = calendar_civil(day);
	int second = (int)((real - calendar_day_begin(day)) / NS_PER_S);

	snprintf(out, CALENDAR_TIME, "%04d-%02d-%02d %02d:%02d:%02d", civil.year % 10000, civil.month % 100, civil.day % 100,
		second / 3600 % 24, second / 60 % 60, second % 60);
	return out;
}

int calendar_every(const char *text, int64_t from, uint8_t *weekdays, uint8_t *weeks, struct err *e)
{
	static const char *const ordinals[] = {"1st ", "2nd ", "3rd ", "4th ", "5th "};
	const char *days = text;
	unsigned bits;

	*weekdays = *weeks = 0;
	for (int i = 0; i < 5; i++) {
		if (strncmp(text, ordinals[i], 4) == 0) {
			*weeks = (uint8_t)(1u << i);
			days = text + 4;
		}
	}
	if (*weeks == 0 && strcmp(text, "day") == 0)
		return 0;
	if (*weeks == 0 && strcmp(text, "week") == 0)
		*weekdays = (uint8_t)(1u << calendar_weekday(calendar_day_at(from)));
	else if (parse_weekdays(days, strlen(days), &bits))
		*weekdays = (uint8_t)bits;
	else
		return err_set(e, "\"%.60s\" is not how often: write day, week, mon-fri, \"sat,sun\" or \"2nd sat\"", text);
	return 0;
}
