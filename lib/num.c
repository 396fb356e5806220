#include "lib/num.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/err.h"

struct unit {
	const char *name;
	int64_t factor;
};

static const struct unit durations[] = {{"us", NS_PER_US}, {"ms", NS_PER_MS}, {"s", NS_PER_S},
	{"m", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S}, {"d", 86400 * NS_PER_S}, {NULL, 0}};
static const struct unit sizes[] = {{"", 1}, {"B", 1}, {"KiB", INT64_C(1) << 10},
	{"MiB", INT64_C(1) << 20}, {"GiB", INT64_C(1) << 30}, {"TiB", INT64_C(1) << 40}, {NULL, 0}};

int num_parse_int(const char *text, int64_t min, int64_t max, int64_t *out, struct err *e)
{
	char *end;
	long long v;

	errno = 0;
	v = strtoll(text, &end, 10);
	if (end == text || *end != '\0' || isspace((unsigned char)text[0]) || text[0] == '+')
		return err_set(e, "\"%.60s\" is not a whole number", text);
	if (errno == ERANGE || v < min || v > max)
		return err_set(e, "%.60s is outside %lld to %lld", text, (long long)min, (long long)max);
	*out = v;
	return 0;
}

int num_parse_double(const char *text, double *out, struct err *e)
{
	char *end;
	double v;

	if (!isdigit((unsigned char)text[0]) && text[0] != '-' && text[0] != '.')
		return err_set(e, "\"%.60s\" is not a number", text);
	v = strtod(text, &end);
	if (end == text || *end != '\0' || !isfinite(v) || strpbrk(text, "xXpP") != NULL)
		return err_set(e, "\"%.60s\" is not a decimal number", text);
	*out = v;
	return 0;
}

/* Digits, then a unit of the table; -1 when the text has another form or the product overflows. */
static int parse_with_unit(const char *text, const struct unit *units, int64_t *out)
{
	char *end;
	long long v;

	if (!isdigit((unsigned char)text[0]))
		return -1;
	errno = 0;
	v = strtoll(text, &end, 10);
	if (errno == ERANGE)
		return -1;
	for (const struct unit *u = units; u->name != NULL; u++) {
		if (strcmp(end, u->name) == 0)
			return __builtin_mul_overflow(v, u->factor, out) ? -1 : 0;
	}
	return -1;
}

int num_parse_duration(const char *text, int64_t *ns, struct err *e)
{
	if (parse_with_unit(text, durations, ns) < 0)
		return err_set(e, "\"%.60s\" is not a duration: write a whole number and a unit, as in "
				  "\"250ms\", \"10s\", \"5m\", \"72h\", \"30d\"", text);
	return 0;
}

int num_parse_size(const char *text, int64_t *bytes, struct err *e)
{
	if (parse_with_unit(text, sizes, bytes) < 0)
		return err_set(e, "\"%.60s\" is not a size: write a whole number and a unit, as in "
				  "\"64KiB\", \"512MiB\", \"2GiB\"", text);
	return 0;
}

int num_check_id(const char *text, struct err *e)
{
	size_t n = strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-");

	if (n == 0 || n > 63 || text[n] != '\0' || text[0] == '-')
		return err_set(e, "\"%.70s\" is not an id: 1 to 63 of a-z, 0-9 and -, not starting with -",
			text);
	return 0;
}

size_t num_format_double(double v, int digits, char out[NUM_TEXT])
{
	int n;

	if (!isfinite(v))
		return (size_t)snprintf(out, NUM_TEXT, "null");
	if (v == floor(v) && fabs(v) < 1e15)
		return (size_t)snprintf(out, NUM_TEXT, "%lld", (long long)v);
	n = snprintf(out, NUM_TEXT, "%.*g", digits, v);
	return (size_t)n;
}

size_t num_format_duration(int64_t ns, char out[NUM_TEXT])
{
	size_t n = 0;

	if (ns < 0) {
		out[n++] = '-';
		ns = -ns;
	}
	for (int i = 5; i >= 0 && n < NUM_TEXT - 12; i--) {
		int64_t count = ns / durations[i].factor;

		if (count == 0)
			continue;
		n += (size_t)snprintf(out + n, NUM_TEXT - n, "%lld%s", (long long)count,
			durations[i].name);
		ns -= count * durations[i].factor;
	}
	if (n == 0)
		n = (size_t)snprintf(out, NUM_TEXT, "0s");
	return n;
}

size_t num_format_size(int64_t bytes, char out[NUM_TEXT])
{
	const struct unit *u = &sizes[5];

	while (u->factor > 1 && (bytes == 0 || bytes % u->factor != 0))
		u--;
	return (size_t)snprintf(out, NUM_TEXT, "%lld%s", (long long)(bytes / u->factor), u->name);
}
