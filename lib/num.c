#include "lib/num.h"

#include <assert.h>
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

/* By hand: strspn makes a table of its set at each call, and this is asked for each id of each batch. */
int num_check_id(const char *text, struct err *e)
{
	size_t n = 0;

	while ((text[n] >= 'a' && text[n] <= 'z') || (text[n] >= '0' && text[n] <= '9') || text[n] == '-')
		n++;
	if (n == 0 || n > 63 || text[n] != '\0' || text[0] == '-')
		return err_set(e, "\"%.70s\" is not an id: 1 to 63 of a-z, 0-9 and -, not starting with -",
			text);
	return 0;
}

int num_hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* Powers of ten that a double holds exactly. */
static const double tens[] = {1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13,
	1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
#define FAST_DIGITS 9
#define FAST_MIN 1e-9
#define FAST_MAX 1e15

static size_t put_integer(uint64_t v, char *out)
{
	char backwards[20];
	size_t n = 0;

	do {
		backwards[n++] = (char)('0' + v % 10);
		v /= 10;
	} while (v != 0);
	for (size_t i = 0; i < n; i++)
		out[i] = backwards[n - 1 - i];
	return n;
}

static double scale_by_ten(double v, int power)
{
	return power >= 0 ? v * tens[power] : v / tens[-power];
}

/* The same by printf, which rounds exactly. */
static void take_digits_exactly(double v, int digits, uint64_t *integer, int *exponent)
{
	char text[NUM_TEXT];

	snprintf(text, sizeof text, "%.*e", digits - 1, v);
	*integer = (uint64_t)(text[0] - '0');
	for (int i = 1; i < digits; i++)
		*integer = *integer * 10 + (uint64_t)(text[i + 1] - '0');
	*exponent = atoi(strchr(text, 'e') + 1);
}

/* The `digits` significant digits of v as an integer, *exponent that of the first of them.
 * FAST_MIN <= v < FAST_MAX. */
static void take_digits(double v, int digits, uint64_t *integer, int *exponent)
{
	int binary, e;
	double scaled, rest;

	frexp(v, &binary);
	/* log10(2) * (binary - 1), rounded down: right, or one too small. */
	e = (int)(((binary - 1) * 1233 - (binary < 1 ? 4095 : 0)) / 4096);
	scaled = scale_by_ten(v, digits - 1 - e);
	if (scaled >= tens[digits]) {
		e++;
		scaled = scale_by_ten(v, digits - 1 - e);
	}
	*integer = (uint64_t)scaled;
	rest = scaled - (double)*integer;
	/* So close to a tie that one inexact multiplication cannot tell which side it is. */
	if (fabs(rest - 0.5) < 1e-6) {
		take_digits_exactly(v, digits, integer, exponent);
		return;
	}
	*integer += rest > 0.5;
	if (*integer == (uint64_t)tens[digits]) {
		*integer /= 10;
		e++;
	}
	*exponent = e;
}

/* "12.5", "0.0125", "12500": the point where the exponent says, without the zeros at the end. */
static size_t put_digits(uint64_t integer, int digits, int exponent, char *out)
{
	char text[20];
	size_t n, whole, at = 0;

	n = put_integer(integer, text);
	assert(n == (size_t)digits);
	while (n > 1 && text[n - 1] == '0')
		n--;
	if (exponent < 0) {
		memcpy(out, "0.0000000000", (size_t)(1 - exponent));
		at = (size_t)(1 - exponent);
		memcpy(out + at, text, n);
		return at + n;
	}
	whole = (size_t)exponent + 1;
	for (; at < whole; at++)
		out[at] = at < n ? text[at] : '0';
	if (n <= whole)
		return whole;
	out[whole] = '.';
	memcpy(out + whole + 1, text + whole, n - whole);
	return n + 1;
}

static size_t format_fast(double v, int digits, char out[NUM_TEXT])
{
	uint64_t integer;
	int exponent;
	size_t n = 0;

	if (v < 0)
		out[n++] = '-';
	take_digits(fabs(v), digits, &integer, &exponent);
	n += put_digits(integer, digits, exponent, out + n);
	out[n] = '\0';
	return n;
}

size_t num_format_double(double v, int digits, char out[NUM_TEXT])
{
	double size = fabs(v);
	size_t n = 0;

	if (!isfinite(v))
		return (size_t)snprintf(out, NUM_TEXT, "null");
	if (size < FAST_MAX && v == (double)(int64_t)v) {
		if (v < 0)
			out[n++] = '-';
		n += put_integer((uint64_t)size, out + n);
		out[n] = '\0';
		return n;
	}
	if (digits >= 1 && digits <= FAST_DIGITS && size >= FAST_MIN && size < FAST_MAX)
		return format_fast(v, digits, out);
	return (size_t)snprintf(out, NUM_TEXT, "%.*g", digits, v);
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
