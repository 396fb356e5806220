#include "probes/match.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/err.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "probes/pattern.h"

/* ---- bytes */

/* One escape behind the backslash at p; the signs it takes, or 0. */
static size_t read_escape(const char *p, uint8_t *out)
{
	static const char names[] = "rnt\\", values[] = "\r\n\t\\";
	const char *at = p[1] != '\0' ? strchr(names, p[1]) : NULL;

	if (at != NULL) {
		*out = (uint8_t)values[at - names];
		return 2;
	}
	if (p[1] != 'x' || num_hex_digit(p[2]) < 0 || num_hex_digit(p[3]) < 0)
		return 0;
	*out = (uint8_t)(num_hex_digit(p[2]) << 4 | num_hex_digit(p[3]));
	return 4;
}

int match_unescape(const char *text, uint8_t *out, struct err *e)
{
	int n = 0;

	while (*text != '\0') {
		size_t take = 1;

		if (*text != '\\')
			out[n] = (uint8_t)*text;
		else
			take = read_escape(text, &out[n]);
		if (take == 0)
			return err_set(e, "\\%.1s has no meaning: write \\r \\n \\t \\xNN or \\\\", text + 1);
		text += take;
		n++;
	}
	return n;
}

/* ---- what must appear */

int match_init(struct match *m, const char *text, bool escapes, struct err *e)
{
	int n;

	*m = (struct match){0};
	if (text[0] == '~') {
		m->pattern = pattern_new(text + 1, e);
		return m->pattern != NULL ? 0 : -1;
	}
	m->bytes = mem_copy(text, strlen(text));
	n = escapes ? match_unescape(text, m->bytes, e) : (int)strlen(text);
	if (n < 0) {
		free(m->bytes);
		return -1;
	}
	m->len = (size_t)n;
	return 0;
}

void match_fini(struct match *m)
{
	pattern_free(m->pattern);
	free(m->bytes);
}

/* Each line by itself, as grep does. */
static bool find_pattern(const struct pattern *pattern, const char *text, size_t len)
{
	const char *end = text + len;

	for (;;) {
		const char *newline = text < end ? memchr(text, '\n', (size_t)(end - text)) : NULL;
		size_t n = (size_t)((newline != NULL ? newline : end) - text);

		if (pattern_find(pattern, text, n > 0 && text[n - 1] == '\r' ? n - 1 : n))
			return true;
		if (newline == NULL || newline + 1 == end)
			return false;
		text = newline + 1;
	}
}

bool match_find(const struct match *m, const void *data, size_t len)
{
	if (m->pattern != NULL)
		return find_pattern(m->pattern, data, len);
	return m->len == 0 || (len > 0 && memmem(data, len, m->bytes, m->len) != NULL);
}

/* ---- status codes */

/* Three digits from 100 on; NULL when they are not there. */
static const char *skip_code(const char *p, int *code)
{
	*code = 0;
	for (int i = 0; i < 3; i++, p++) {
		if (*p < '0' || *p > '9')
			return NULL;
		*code = *code * 10 + (*p - '0');
	}
	return *code >= 100 ? p : NULL;
}

/* One "200" or "200-399"; where it ends, or NULL. */
static const char *skip_range(const char *p, int *low, int *high)
{
	p = skip_code(p, low);
	*high = *low;
	if (p != NULL && *p == '-')
		p = skip_code(p + 1, high);
	return p != NULL && *high >= *low && (*p == '\0' || *p == ',') ? p : NULL;
}

int match_check_status(const char *list, struct err *e)
{
	int low, high;

	for (const char *p = list;; p++) {
		p = skip_range(p, &low, &high);
		if (p == NULL)
			return err_set(e, "\"%.100s\" is not a list of codes: write \"200-399,401\"", list);
		if (*p == '\0')
			return 0;
	}
}

bool match_status(const char *list, int code)
{
	int low, high;

	for (const char *p = list; (p = skip_range(p, &low, &high)) != NULL; p++) {
		if (code >= low && code <= high)
			return true;
		if (*p == '\0')
			break;
	}
	return false;
}

/* ---- headers */

int match_check_header(const char *text, const char **value, struct err *e)
{
	size_t n = strspn(text, "!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyz"
				"ABCDEFGHIJKLMNOPQRSTUVWXYZ");

	if (n == 0 || text[n] != ':')
		return err_set(e, "\"%.100s\" is not a header: write \"Name: value\"", text);
	*value = text + n + 1 + strspn(text + n + 1, " \t");
	return 0;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

bool match_header(const char *name, const char *line, size_t len, const char **value, size_t *value_len)
{
	size_t n = strcspn(name, ":"), end = len, at = n + 1;

	if (len <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
		return false;
	while (end > at && is_space(line[end - 1]))
		end--;
	while (at < end && is_space(line[at]))
		at++;
	*value = line + at;
	*value_len = end - at;
	return true;
}
