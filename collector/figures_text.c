#include "collector/figures.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "collector/web/json.h"
#include "lib/buf.h"
#include "lib/clock.h"

static const char *format_percent(int fraction, char out[32])
{
	if (fraction < 0)
		strcpy(out, "-");
	else
		snprintf(out, 32, "%d.%04d", fraction / 10000, fraction % 10000);
	return out;
}

static const char *format_length(int64_t ns, char out[32])
{
	int64_t s = ns / NS_PER_S;

	if (ns < 0)
		strcpy(out, "-");
	else
		snprintf(out, 32, "%" PRId64 ":%02d:%02d", s / 3600, (int)(s / 60 % 60), (int)(s % 60));
	return out;
}

static const char *name_of_sum(const struct figures_wish *w)
{
	return w->unit != NULL ? w->unit : "all";
}

/* ---- a table */

static void put_row(struct buf *out, const char *subject, const struct availability *a, unsigned revisions)
{
	char t[8][32];

	buf_add_format(out, "%-28s %9s %9s %9s %12s %5" PRIu64 " %11s %11s %11s %12s%s%s\n", subject,
		format_percent(availability_strict(a), t[0]), format_percent(availability_lenient(a), t[1]),
		format_percent(availability_coverage(a), t[2]), format_length(availability_counted(a), t[3]), a->outages,
		format_length(a->down, t[4]), format_length(a->longest, t[5]), format_length(availability_mttr(a), t[6]),
		format_length(availability_mtbf(a), t[7]), revisions > 0 ? " *" : "",
		a->unmonitored > 0 ? " +" : "");
}

/* Of all that a sum is of. */
static unsigned count_revisions(const struct figures *f)
{
	unsigned n = 0;

	for (size_t i = 0; i < f->count; i++)
		n += f->rows[i].revisions;
	return n;
}

static void put_table(const struct figures_wish *w, const struct figures *f, struct buf *out)
{
	unsigned revisions = count_revisions(f);
	char at[CALENDAR_TIME];

	buf_add_format(out, "%-28s %9s %9s %9s %12s %5s %11s %11s %11s %12s\n", w->period, "strict %", "lenient %", "covered %", "counted",
		"down", "time down", "longest", "MTTR", "MTBF");
	for (size_t i = 0; i < f->count; i++)
		put_row(out, f->rows[i].subject, &f->rows[i].a, f->rows[i].revisions);
	if (f->count > 1)
		put_row(out, name_of_sum(w), &f->sum, revisions);
	if (f->is_partial)
		buf_add_format(out, "The period is not over: up to %s.\n", calendar_format(f->period.until, at));
	if (revisions > 0)
		buf_add_text(out, "* The past of this subject was corrected, by late evidence or by hand.\n");
	if (f->sum.unmonitored > 0)
		buf_add_text(out, "+ Not monitored for a part of the period, which is left out.\n");
}

/* ---- CSV */

/* Names are quoted, and none can begin a formula. */
static void put_csv_text(struct buf *out, const char *text)
{
	buf_add_text(out, text[0] != '\0' && strchr("=+-@\t", text[0]) != NULL ? "\"'" : "\"");
	for (; *text != '\0'; text++) {
		if (*text == '"')
			buf_add_u8(out, '"');
		buf_add_u8(out, (uint8_t)*text);
	}
	buf_add_u8(out, '"');
}

static void put_csv_row(struct buf *out, const char *subject, const char *name, const struct availability *a, unsigned revisions)
{
	char t[3][32];

	put_csv_text(out, subject);
	buf_add_u8(out, ',');
	put_csv_text(out, name);
	buf_add_format(out, ",%s,%s,%s", format_percent(availability_strict(a), t[0]), format_percent(availability_lenient(a), t[1]),
		format_percent(availability_coverage(a), t[2]));
	for (size_t i = 0; i < 7; i++)
		buf_add_format(out, ",%" PRId64, (const int64_t[]){a->service, a->maintenance, a->unmonitored, a->up, a->degraded,
			a->down, a->unknown}[i] / NS_PER_S);
	buf_add_format(out, ",%" PRIu64 ",%" PRId64 ",%u\r\n", a->outages, a->longest / NS_PER_S, revisions);
}

static void put_csv(const struct figures_wish *w, const struct figures *f, struct buf *out)
{
	buf_add_text(out, "\xef\xbb\xbfsubject,name,strict %,lenient %,coverage %,service s,maintenance s,unmonitored s,up s,degraded s,"
		"down s,unknown s,outages,longest s,revisions\r\n");
	for (size_t i = 0; i < f->count; i++)
		put_csv_row(out, f->rows[i].subject, f->rows[i].name, &f->rows[i].a, f->rows[i].revisions);
	if (f->count > 1)
		put_csv_row(out, name_of_sum(w), "", &f->sum, count_revisions(f));
}

void figures_write(const struct figures_wish *w, const struct figures *f, enum figures_form form, struct buf *out)
{
	struct json j = {0};

	switch (form) {
	case FIGURES_TABLE:
		put_table(w, f, out);
		break;
	case FIGURES_CSV:
		put_csv(w, f, out);
		break;
	case FIGURES_JSON:
	case FIGURES_FORMS:
		figures_json(w, f, &j);
		buf_add(out, j.out.data, j.out.len);
		json_fini(&j);
		break;
	}
}
