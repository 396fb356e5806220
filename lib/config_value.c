#include "lib/config_parts.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "lib/config.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "lib/sample.h"

#define TEXT_MAX_DEFAULT 4096

static bool is_bounded(const struct config_field *f)
{
	return f->min != 0 || f->max != 0;
}

static size_t format_bound(const struct config_field *f, int64_t v, char out[NUM_TEXT])
{
	if (f->kind == CONFIG_DURATION)
		return num_format_duration(v, out);
	if (f->kind == CONFIG_SIZE)
		return num_format_size(v, out);
	return (size_t)snprintf(out, NUM_TEXT, "%lld", (long long)v);
}

static int check_bounds(const struct config_field *f, int64_t v, const char *text, struct err *e)
{
	char low[NUM_TEXT], high[NUM_TEXT];

	if (!is_bounded(f) || (v >= f->min && v <= f->max))
		return 0;
	format_bound(f, f->min, low);
	format_bound(f, f->max, high);
	return err_set(e, "%.60s is outside %s to %s", text, low, high);
}

static int parse_whole(const struct config_field *f, const char *text, int64_t *out, struct err *e)
{
	int status;

	if (f->kind == CONFIG_DURATION)
		status = num_parse_duration(text, out, e);
	else if (f->kind == CONFIG_SIZE)
		status = num_parse_size(text, out, e);
	else
		status = num_parse_int(text, INT64_MIN, INT64_MAX, out, e);
	return status < 0 ? -1 : check_bounds(f, *out, text, e);
}

static int parse_bool(const char *text, bool *out, struct err *e)
{
	*out = strcmp(text, "true") == 0;
	if (!*out && strcmp(text, "false") != 0)
		return err_set(e, "\"%.60s\" is neither true nor false", text);
	return 0;
}

static int parse_number(const struct config_field *f, const char *text, double *out, struct err *e)
{
	if (num_parse_double(text, out, e) < 0)
		return -1;
	if (is_bounded(f) && (*out < (double)f->min || *out > (double)f->max))
		return err_set(e, "%.60s is outside %lld to %lld", text, (long long)f->min,
			(long long)f->max);
	return 0;
}

static int parse_choice(const struct config_field *f, const char *text, int *out, struct err *e)
{
	size_t len = strlen(text);
	int i = 0;

	for (const char *word = f->choices; ; i++) {
		size_t n = strcspn(word, "|");

		if (n == len && memcmp(word, text, n) == 0) {
			*out = i;
			return 0;
		}
		if (word[n] == '\0')
			return err_set(e, "\"%.60s\" is none of %s", text, f->choices);
		word += n + 1;
	}
}

static int check_text(const struct config_field *f, const char *text, struct err *e)
{
	size_t len = strlen(text), max = f->max > 0 ? (size_t)f->max : TEXT_MAX_DEFAULT;

	if (f->kind == CONFIG_ID)
		return num_check_id(text, e);
	if (len > max)
		return err_set(e, "a text of %zu bytes is longer than %zu", len, max);
	if (f->kind == CONFIG_TEXT && len < (size_t)f->min)
		return err_set(e, len == 0 ? "may not be empty" : "is too short");
	if (!text_is_clean(text, len))
		return err_set(e, "holds a line break or another control character, or is not UTF-8 "
				  "(for a line break to be sent write \\\\n)");
	return f->check != NULL ? f->check(text, e) : 0;
}

static int parse_text(const struct config_field *f, const char *text, struct arena *a,
	const char **out, struct err *e)
{
	if (check_text(f, text, e) < 0)
		return -1;
	*out = arena_strdup(a, text);
	return 0;
}

int config_value_parse(const struct config_field *f, const char *text, struct arena *a, void *out,
	struct err *e)
{
	switch (f->kind) {
	case CONFIG_BOOL:
		return parse_bool(text, out, e);
	case CONFIG_INT:
	case CONFIG_DURATION:
	case CONFIG_SIZE:
		return parse_whole(f, text, out, e);
	case CONFIG_NUMBER:
		return parse_number(f, text, out, e);
	case CONFIG_TEXT:
	case CONFIG_ID:
		return parse_text(f, text, a, out, e);
	case CONFIG_CHOICE:
		return parse_choice(f, text, out, e);
	case CONFIG_TEXTS:
	case CONFIG_GROUP:
	case CONFIG_LIST:
	case CONFIG_OPTIONS:
	case CONFIG_REST:
		break;
	}
	assert(!"a scalar field");
	return -1;
}
