#include "probes/match.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/mem.h"

/* ---- bytes */

static int hex_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* One escape behind the backslash at p; the signs it takes, or 0. */
static size_t read_escape(const char *p, uint8_t *out)
{
	static const char names[] = "rnt\\", values[] = "\r\n\t\\";
	const char *at = p[1] != '\0' ? strchr(names, p[1]) : NULL;

	if (at != NULL) {
		*out = (uint8_t)values[at - names];
		return 2;
	}
	if (p[1] != 'x' || hex_digit(p[2]) < 0 || hex_digit(p[3]) < 0)
		return 0;
	*out = (uint8_t)(hex_digit(p[2]) << 4 | hex_digit(p[3]));
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

/* ---- patterns */

/* Behind the ']' of the bracket expression at p, in which no sign has its usual meaning. */
static const char *skip_bracket(const char *p)
{
	p += p[1] == '^' ? 2 : 1;
	if (*p == ']')
		p++;
	while (*p != '\0' && *p != ']') {
		const char *inner = p[0] == '[' && p[1] != '\0' && strchr(":.=", p[1]) != NULL ? p + 1 : NULL;

		p++;
		while (inner != NULL && *++p != '\0' && !(p[0] == *inner && p[1] == ']'))
			;
		if (inner != NULL && *p != '\0')
			p += 2;
	}
	return *p != '\0' ? p + 1 : p;
}

/* What regcomp() takes and we do not: the words, or NULL. */
static const char *unwanted(const char *pattern)
{
	int depth = 0;

	for (const char *p = pattern; *p != '\0';) {
		if (*p == '[') {
			p = skip_bracket(p);
			continue;
		}
		if (*p == '\\' && p[1] != '\0') {
			if (p[1] >= '1' && p[1] <= '9')
				return "refers back (\\1), which takes too long";
			p++;
		} else if (*p == '(') {
			depth++;
		} else if (*p == ')' && --depth < 0) {
			return "has a ) without its (: write \\) for the sign";
		}
		p++;
	}
	return NULL;
}

/* glibc tries a pattern at each byte anew, which is quadratic: 8 s for "a.*b" on 64 KiB. Behind an anchored walk over
 * any bytes it is tried once, one automaton for all starts: 0.3 ms. */
static int compile(struct match *m, const char *pattern, struct err *e)
{
	const char *refusal = unwanted(pattern);
	char words[200], *walking;
	int error;

	if (refusal != NULL)
		return err_set(e, "\"%.100s\" %s", pattern, refusal);
	error = regcomp(&m->pattern, pattern, REG_EXTENDED | REG_NOSUB);
	if (error == 0) {
		regfree(&m->pattern);
		walking = mem_format("^([^a]|a)*(%s)", pattern);
		error = regcomp(&m->pattern, walking, REG_EXTENDED | REG_NOSUB);
		free(walking);
	}
	if (error == 0) {
		m->takes_empty = regexec(&m->pattern, "", 0, NULL, 0) == 0;
		return 0;
	}
	regerror(error, &m->pattern, words, sizeof words);
	return err_set(e, "\"%.100s\" is not a POSIX extended pattern: %s", pattern, words);
}

int match_init(struct match *m, const char *text, bool escapes, struct err *e)
{
	int n;

	*m = (struct match){.is_pattern = text[0] == '~'};
	if (m->is_pattern)
		return compile(m, text + 1, e);
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
	if (m->is_pattern)
		regfree(&m->pattern);
	free(m->bytes);
}

/* Each line by itself, as grep does. Over a text of several lines glibc's "^" holds or not behind a newline as its cache of
 * states happens to be filled. */
static bool find_pattern(const struct match *m, const char *text, size_t len)
{
	const char *end = text + len;

	for (;;) {
		const char *newline = text < end ? memchr(text, '\n', (size_t)(end - text)) : NULL;
		size_t n = (size_t)((newline != NULL ? newline : end) - text);
		regmatch_t range = {.rm_so = 0};

		n -= n > 0 && text[n - 1] == '\r';
		range.rm_eo = (regoff_t)n;
		if (n == 0 ? m->takes_empty : regexec(&m->pattern, text, 1, &range, REG_STARTEND) == 0)
			return true;
		if (newline == NULL || newline + 1 == end)
			return false;
		text = newline + 1;
	}
}

bool match_find(const struct match *m, struct buf *data)
{
	if (m->is_pattern)
		return find_pattern(m, buf_text(data), data->len);
	return m->len == 0 || (data->len > 0 && memmem(data->data, data->len, m->bytes, m->len) != NULL);
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
