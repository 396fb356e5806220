#include "probes/exec_output.h"

#include <math.h>
#include <string.h>

#include "lib/err.h"
#include "lib/num.h"

#define NUMBER_MAX 63 /* bytes of a number that is looked at */
#define KIB 1024.0

struct text {
	const char *at, *end;
};

static const struct unit {
	const char *written, *base;
	double factor;
} units[] = {
	{"", "", 1}, {"%", "%", 1}, {"c", "c", 1}, {"s", "s", 1}, {"ms", "s", 1e-3}, {"us", "s", 1e-6},
	{"µs", "s", 1e-6}, {"ns", "s", 1e-9}, {"B", "B", 1}, {"KB", "B", KIB}, {"kB", "B", KIB}, {"KiB", "B", KIB},
	{"MB", "B", KIB * KIB}, {"MiB", "B", KIB * KIB}, {"GB", "B", KIB * KIB * KIB}, {"GiB", "B", KIB * KIB * KIB},
	{"TB", "B", KIB * KIB * KIB * KIB}, {"TiB", "B", KIB * KIB * KIB * KIB},
	{"PB", "B", KIB * KIB * KIB * KIB * KIB}, {"PiB", "B", KIB * KIB * KIB * KIB * KIB},
};

static size_t left(const struct text *t)
{
	return (size_t)(t->end - t->at);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static struct text trim(struct text t)
{
	while (t.at < t.end && is_blank(*t.at))
		t.at++;
	while (t.at < t.end && is_blank(t.end[-1]))
		t.end--;
	return t;
}

/* What stands before the first c; *t goes on after it, or is at its end. */
static struct text take_until(struct text *t, char c)
{
	const char *found = left(t) > 0 ? memchr(t->at, c, left(t)) : NULL;
	struct text taken = {t->at, found != NULL ? found : t->end};

	t->at = found != NULL ? found + 1 : t->end;
	return taken;
}

/* ---- numbers */

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const char *skip_digits(const char *at, const char *end)
{
	while (at < end && is_digit(*at))
		at++;
	return at;
}

/* Where the number ends that t begins with: sign, digits with a point, exponent. */
static const char *number_end(const struct text *t)
{
	const char *at = t->at, *exponent;

	if (at < t->end && (*at == '-' || *at == '+'))
		at++;
	at = skip_digits(at, t->end);
	if (at < t->end && *at == '.')
		at = skip_digits(at + 1, t->end);
	if (at == t->end || (*at != 'e' && *at != 'E'))
		return at;
	exponent = at + 1;
	if (exponent < t->end && (*exponent == '-' || *exponent == '+'))
		exponent++;
	return exponent < t->end && is_digit(*exponent) ? skip_digits(exponent, t->end) : at;
}

static int take_number(struct text *t, double *out)
{
	const char *end = number_end(t);
	char copy[NUMBER_MAX + 1];
	struct err ignored;
	size_t n;

	if (t->at < end && *t->at == '+')
		t->at++;
	n = (size_t)(end - t->at);
	if (n == 0 || n > NUMBER_MAX)
		return -1;
	memcpy(copy, t->at, n);
	copy[n] = '\0';
	t->at = end;
	return num_parse_double(copy, out, &ignored);
}

/* The whole text is one number. */
static int parse_number(struct text t, double *out)
{
	return take_number(&t, out) == 0 && t.at == t.end ? 0 : -1;
}

int exec_range_parse(const char *text, size_t len, struct exec_range *r)
{
	struct text t = {text, text + len}, low;
	bool has_low;

	*r = (struct exec_range){.low = 0, .high = (double)INFINITY};
	if (left(&t) > 0 && *t.at == '@') {
		r->is_inside = true;
		t.at++;
	}
	has_low = left(&t) > 0 && memchr(t.at, ':', left(&t)) != NULL;
	if (left(&t) == 0)
		return -1;
	if (has_low) {
		low = take_until(&t, ':');
		if (left(&low) == 1 && *low.at == '~')
			r->low = -(double)INFINITY;
		else if (left(&low) > 0 && parse_number(low, &r->low) < 0)
			return -1;
	}
	if (left(&t) > 0 ? parse_number(t, &r->high) < 0 : !has_low)
		return -1;
	r->is_given = r->low <= r->high;
	return r->is_given ? 0 : -1;
}

/* ---- one item */

/* 'it''s' or plain; the equals sign after it is taken. */
static int take_label(struct text *t, char out[EXEC_LABEL_MAX + 1])
{
	char raw[4 * EXEC_LABEL_MAX];
	bool is_quoted = left(t) > 0 && *t->at == '\'';
	size_t n = 0;

	for (t->at += is_quoted; t->at < t->end; t->at++) {
		if (is_quoted && *t->at == '\'') {
			if (t->end - t->at < 2 || t->at[1] != '\'')
				break;
			t->at++;
		} else if (!is_quoted && (*t->at == '=' || *t->at == '\'' || is_blank(*t->at))) {
			break;
		}
		if (n < sizeof raw)
			raw[n++] = *t->at;
	}
	t->at += is_quoted && t->at < t->end;
	if (n == 0 || t->at == t->end || *t->at != '=')
		return -1;
	t->at++;
	text_clean(raw, n, out, EXEC_LABEL_MAX + 1);
	return *out != '\0' ? 0 : -1;
}

/* 0: none, as units hold no digits and quotes; a decimal comma does not pass for one. */
static double take_unit(struct text t, char out[EXEC_UNIT_MAX + 1])
{
	for (const char *at = t.at; at < t.end; at++) {
		if (is_digit(*at) || *at == '\'' || *at == '"')
			return 0;
	}
	for (size_t i = 0; i < sizeof units / sizeof *units; i++) {
		if (strlen(units[i].written) == left(&t) && memcmp(units[i].written, t.at, left(&t)) == 0) {
			text_clean(units[i].base, strlen(units[i].base), out, EXEC_UNIT_MAX + 1);
			return units[i].factor;
		}
	}
	text_clean(t.at, left(&t), out, EXEC_UNIT_MAX + 1);
	return 1;
}

static void scale(struct exec_perf *p, double factor)
{
	p->value *= factor;
	p->warn.low *= factor;
	p->warn.high *= factor;
	p->crit.low *= factor;
	p->crit.high *= factor;
	p->min *= factor;
	p->max *= factor;
}

/* A limit may be left out; U says so as well. -1: it is neither. */
static int parse_range(struct text t, struct exec_range *r)
{
	*r = (struct exec_range){0};
	if (left(&t) == 0 || (left(&t) == 1 && *t.at == 'U'))
		return 0;
	return exec_range_parse(t.at, left(&t), r);
}

static int parse_bound(struct text t, double *out)
{
	*out = (double)NAN;
	if (left(&t) == 0 || (left(&t) == 1 && *t.at == 'U'))
		return 0;
	return parse_number(t, out);
}

/* value[unit];[warn];[crit];[min];[max] */
static int parse_values(struct text t, struct exec_perf *p)
{
	struct text value = take_until(&t, ';');
	double factor;

	p->is_known = !(left(&value) == 1 && *value.at == 'U');
	if (!p->is_known)
		value.at++;
	else if (take_number(&value, &p->value) < 0)
		return -1;
	factor = take_unit(value, p->unit);
	if (factor == 0 || parse_range(take_until(&t, ';'), &p->warn) < 0 || parse_range(take_until(&t, ';'), &p->crit) < 0 ||
		parse_bound(take_until(&t, ';'), &p->min) < 0 || parse_bound(take_until(&t, ';'), &p->max) < 0)
		return -1;
	scale(p, factor);
	return isfinite(p->value) ? 0 : -1;
}

static bool is_there(const struct exec_output *o, const char *label)
{
	for (size_t i = 0; i < o->count; i++) {
		if (strcmp(o->perf[i].label, label) == 0)
			return true;
	}
	return false;
}

static struct text take_word(struct text *t)
{
	struct text word = {t->at, t->at};

	while (word.end < t->end && !is_blank(*word.end))
		word.end++;
	t->at = word.end;
	return word;
}

static void parse_perf(struct text t, struct exec_output *o)
{
	for (t = trim(t); left(&t) > 0; t = trim(t)) {
		struct exec_perf p = {.is_known = false};
		bool is_good = take_label(&t, p.label) == 0;

		if (parse_values(take_word(&t), &p) < 0)
			is_good = false;
		if (!is_good || is_there(o, p.label) || o->count == EXEC_PERF_MAX)
			o->refused++;
		else
			o->perf[o->count++] = p;
	}
}

/* ---- the whole */

/* Lines that say something, one space between them. */
static void parse_long(struct text t, char *out, size_t room)
{
	size_t n = 0;

	out[0] = '\0';
	while (left(&t) > 0 && n + 1 < room) {
		struct text line = trim(take_until(&t, '\n'));

		if (left(&line) == 0)
			continue;
		if (n > 0 && n + 2 < room)
			out[n++] = ' ';
		text_clean(line.at, left(&line), out + n, room - n);
		n += strlen(out + n);
	}
}

void exec_output_line(const void *bytes, size_t len, char out[SAMPLE_TEXT_MAX + 1])
{
	struct text t = {bytes, (const char *)bytes + len}, line;

	out[0] = '\0';
	while (left(&t) > 0 && out[0] == '\0') {
		line = trim(take_until(&t, '\n'));
		text_clean(line.at, left(&line), out, SAMPLE_TEXT_MAX + 1);
	}
}

void exec_output_parse(const void *bytes, size_t len, struct exec_output *o)
{
	struct text rest = {bytes, (const char *)bytes + (len < EXEC_OUTPUT_MAX ? len : EXEC_OUTPUT_MAX)};
	struct text first = take_until(&rest, '\n'), line = trim(take_until(&first, '|'));
	struct text more = take_until(&rest, '|');

	o->count = o->refused = 0;
	text_clean(line.at, left(&line), o->line, sizeof o->line);
	parse_long(more, o->long_text, sizeof o->long_text);
	parse_perf(first, o);
	parse_perf(rest, o);
}
