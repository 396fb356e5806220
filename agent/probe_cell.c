#include "agent/probe_cell.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/clock.h"
#include "lib/num.h"

#define A_DATE 1e9 /* s: no duration is as long, seconds since 1970 are */
#define LONG 120   /* s */

static void format_seconds(double s, char out[PROBE_CELL_MAX])
{
	char text[NUM_TEXT];
	time_t t = (time_t)s;
	struct tm tm;

	if (s < 1) {
		snprintf(out, PROBE_CELL_MAX, "%.3f ms", s * 1000);
	} else if (s < LONG) {
		snprintf(out, PROBE_CELL_MAX, "%.3f s", s);
	} else if (s >= A_DATE && s < 1e11 && gmtime_r(&t, &tm) != NULL) {
		strftime(out, PROBE_CELL_MAX, "%Y-%m-%d %H:%M:%SZ", &tm);
	} else {
		num_format_duration((int64_t)(s < A_DATE ? s : A_DATE) * NS_PER_S, text);
		snprintf(out, PROBE_CELL_MAX, "%s", text);
	}
}

#define SMALL 10000 /* B or bit/s: read as they are */

/* The largest unit that gives at least 1. */
static bool format_scaled(const char *unit, double n, char out[PROBE_CELL_MAX])
{
	static const char *const binary[] = {"KiB", "MiB", "GiB", "TiB", "PiB"}, *const decimal[] = {"k", "M", "G", "T", "P"};
	bool is_bytes = unit[0] == 'B' && (unit[1] == '\0' || unit[1] == '/');
	double step = is_bytes ? 1024 : 1000;
	int at = -1;

	if ((!is_bytes && strcmp(unit, "bit/s") != 0) || fabs(n) < SMALL)
		return false;
	while (fabs(n) >= step && at < 4) {
		n /= step;
		at++;
	}
	if (is_bytes)
		snprintf(out, PROBE_CELL_MAX, "%.2f %s%s", n, binary[at], unit + 1);
	else
		snprintf(out, PROBE_CELL_MAX, "%.2f %s%s", n, decimal[at], unit);
	return true;
}

void probe_cell_format(const struct metric *m, double n, char out[PROBE_CELL_MAX])
{
	if (strcmp(m->unit, "s") == 0)
		format_seconds(n, out);
	else if (format_scaled(m->unit, n, out))
		return;
	else if (strcmp(m->unit, "1") == 0)
		snprintf(out, PROBE_CELL_MAX, "%.*f", (int)m->decimals, n);
	else
		snprintf(out, PROBE_CELL_MAX, "%.*f %s", (int)m->decimals, n, m->unit);
}

const char *probe_cell_label(const struct metric *m, const char *locale)
{
	return locale != NULL && strncmp(locale, "zh", 2) == 0 ? m->label_zh : m->label_en;
}

const char *probe_cell_locale(void)
{
	static const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *value = getenv(names[i]);

		if (value != NULL && *value != '\0')
			return value;
	}
	return NULL;
}
