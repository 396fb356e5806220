#include "lib/config_scan.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/err.h"
#include "lib/mem.h"
#include "lib/sample.h"

enum kind { END, NAME, TEXT, NUMBER, SIGN };

struct name {
	const char *at;
	size_t len;
	unsigned line;
};

struct scan {
	const char *file;
	const char *at, *end;
	unsigned line; /* of `at` */
	struct err *err;
	/* the token read last */
	enum kind kind;
	const char *token;
	size_t len;
	unsigned token_line;
	/* names of the groups that are open, innermost last */
	struct name *names;
	size_t names_count, names_room;
	unsigned depth;
};

static int scan_value(struct scan *);

static int fail(struct scan *s, unsigned line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(struct scan *s, unsigned line, const char *format, ...)
{
	char words[sizeof s->err->text];
	va_list ap;

	va_start(ap, format);
	vsnprintf(words, sizeof words, format, ap);
	va_end(ap);
	return err_set(s->err, "%.200s:%u: %s", s->file, line, words);
}

/* ---- tokens */

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool starts(const struct scan *s, const char *text)
{
	size_t n = strlen(text);

	return (size_t)(s->end - s->at) >= n && memcmp(s->at, text, n) == 0;
}

static int skip_block_comment(struct scan *s)
{
	unsigned line = s->line;

	for (s->at += 2; s->at < s->end; s->at++) {
		if (starts(s, "*/")) {
			s->at += 2;
			return 0;
		}
		s->line += *s->at == '\n';
	}
	return fail(s, line, "this comment is never closed: write */ at its end");
}

static int skip_blank(struct scan *s)
{
	while (s->at < s->end) {
		if (*s->at == '#' || starts(s, "//")) {
			while (s->at < s->end && *s->at != '\n')
				s->at++;
		} else if (starts(s, "/*")) {
			if (skip_block_comment(s) < 0)
				return -1;
		} else if (memchr(" \t\r\n\f", *s->at, 5) != NULL) {
			s->line += *s->at == '\n';
			s->at++;
		} else {
			break;
		}
	}
	return 0;
}

static int skip_escape(struct scan *s)
{
	size_t left = (size_t)(s->end - s->at);
	char c = left > 1 ? s->at[1] : '"';

	if (memchr("nrtf\\\"", c, 6) != NULL) {
		s->at += left > 1 ? 2 : 1;
		return 0;
	}
	if ((c != 'x' && c != 'X') || left < 4 || !is_hex(s->at[2]) || !is_hex(s->at[3]))
		return fail(s, s->line, "a backslash before this means nothing: write \\\\ for a backslash");
	if (s->at[2] == '0' && s->at[3] == '0')
		return fail(s, s->line, "\\x00 cannot stand in a text");
	s->at += 4;
	return 0;
}

/* One character beyond ASCII; editors that save as GBK are told. */
static int skip_wide(struct scan *s)
{
	char one[5] = "";

	for (size_t n = 2; n <= 4 && (size_t)(s->end - s->at) >= n; n++) {
		memcpy(one, s->at, n);
		if (text_is_clean(one, n)) {
			s->at += n;
			return 0;
		}
	}
	return fail(s, s->line, "this text is not UTF-8: save the file as UTF-8 (without BOM)");
}

static int read_text(struct scan *s)
{
	s->kind = TEXT;
	s->at++;
	while (s->at < s->end && *s->at != '"' && *s->at != '\n') {
		unsigned char c = (unsigned char)*s->at;

		if (c == '\\' ? skip_escape(s) < 0 : c >= 0x80 && skip_wide(s) < 0)
			return -1;
		if (c != '\\' && c < 0x80) {
			if (c == 0x7f || (c < 0x20 && c != '\r'))
				return fail(s, s->line, "a text holds the control character 0x%02x", c);
			s->at++;
		}
	}
	if (s->at == s->end || *s->at == '\n')
		return fail(s, s->token_line, "this text is never closed: write \" at its end");
	s->at++;
	return 0;
}

static void read_word(struct scan *s)
{
	s->kind = NAME;
	while (s->at < s->end && (is_letter(*s->at) || is_digit(*s->at) ||
		memchr("-_*", *s->at, 3) != NULL))
		s->at++;
}

static void read_number(struct scan *s)
{
	bool hex = starts(s, "0x") || starts(s, "0X");

	s->kind = NUMBER;
	for (s->at++; s->at < s->end; s->at++) {
		char before = s->at[-1];
		bool exponent = !hex && (before == 'e' || before == 'E') && memchr("+-", *s->at, 2);

		if (!is_letter(*s->at) && !is_digit(*s->at) && *s->at != '.' && *s->at != '_' && !exponent)
			break;
	}
}

static const struct {
	const char *wrong, *right;
} full_width[] = {{"“", "\""}, {"”", "\""}, {"„", "\""}, {"＂", "\""}, {"‘", "\""}, {"’", "\""},
	{"，", ","}, {"、", ","}, {"；", ";"}, {"：", ":"}, {"＝", "="}, {"（", "("}, {"）", ")"},
	{"｛", "{"}, {"｝", "}"}, {"［", "["}, {"］", "]"}, {"【", "["}, {"】", "]"},
	{"\xe3\x80\x80", "a space"}, {"\xc2\xa0", "a space"}};

static int fail_foreign(struct scan *s)
{
	size_t left = (size_t)(s->end - s->at), n = 1;

	for (size_t i = 0; i < sizeof full_width / sizeof *full_width; i++) {
		if (starts(s, full_width[i].wrong))
			return fail(s, s->line, "the full-width sign \"%s\" stands outside of a text: write %s",
				full_width[i].wrong, full_width[i].right);
	}
	while (n < left && n < 60 && ((unsigned char)s->at[n] & 0x80))
		n++;
	return fail(s, s->line, "\"%.*s\" stands outside of a text: names are a-z, 0-9, _ and -, and "
		"texts stand in \"double quotes\"", (int)n, s->at);
}

static int next(struct scan *s)
{
	if (skip_blank(s) < 0)
		return -1;
	s->token = s->at;
	s->token_line = s->line;
	s->kind = END;
	if (s->at == s->end) {
		s->len = 0;
		return 0;
	}
	if ((unsigned char)*s->at >= 0x80)
		return fail_foreign(s);
	if (*s->at == '"') {
		if (read_text(s) < 0)
			return -1;
	} else if (is_letter(*s->at) || *s->at == '*') {
		read_word(s);
	} else if (is_digit(*s->at) || memchr("+-.", *s->at, 3) != NULL) {
		read_number(s);
	} else {
		s->kind = SIGN;
		s->at++;
	}
	s->len = (size_t)(s->at - s->token);
	return 0;
}

static bool is_sign(const struct scan *s, char c)
{
	return s->kind == SIGN && *s->token == c;
}

static int token_length(const struct scan *s)
{
	return s->len > 60 ? 60 : (int)s->len;
}

/* ---- values */

static bool is_all(const char *text, size_t len, bool (*is)(char))
{
	for (size_t i = 0; i < len; i++) {
		if (!is(text[i]))
			return false;
	}
	return len > 0;
}

/* [-+]? ( digits . digits? | . digits ) exponent? | digits exponent */
static bool is_float(const char *t)
{
	size_t whole, fraction = 0;
	bool point;

	t += *t == '-' || *t == '+';
	whole = strspn(t, "0123456789");
	t += whole;
	point = *t == '.';
	if (point) {
		fraction = strspn(++t, "0123456789");
		t += fraction;
	}
	if (whole + fraction == 0)
		return false;
	if (*t == '\0')
		return point;
	if (*t != 'e' && *t != 'E')
		return false;
	t++;
	t += *t == '-' || *t == '+';
	return is_all(t, strlen(t), is_digit);
}

/* Whole numbers as libconfig takes them: without L they must fit 32 bit, with L 64. */
static int check_whole(struct scan *s, const char *digits, bool wide, int base)
{
	long long v;
	bool fits;

	errno = 0;
	v = strtoll(digits, NULL, base);
	fits = errno == 0;
	if (!fits)
		return fail(s, s->token_line, "%s does not fit 64 bit", digits);
	if (!wide && (v > INT32_MAX || v < INT32_MIN))
		return fail(s, s->token_line, "%s does not fit 32 bit: write %sL", digits, digits);
	return 0;
}

static int check_number(struct scan *s)
{
	char text[64];
	size_t n = s->len, sign;
	bool wide;

	if (n >= sizeof text)
		return fail(s, s->token_line, "a number of %zu digits is too long", n);
	memcpy(text, s->token, n);
	text[n] = '\0';
	if (is_float(text))
		return 0;
	wide = n > 1 && text[n - 1] == 'L';
	for (int i = 0; i < 2 && n > 1 && text[n - 1] == 'L'; i++)
		text[--n] = '\0';
	sign = text[0] == '-' || text[0] == '+';
	if (n > 2 && strncasecmp(text, "0x", 2) == 0 && is_all(text + 2, n - 2, is_hex))
		return check_whole(s, text, wide, 16);
	if (is_all(text + sign, n - sign, is_digit))
		return check_whole(s, text, wide, 10);
	return fail(s, s->token_line, "%.*s is not a number: a text stands in double quotes: \"%.*s\"",
		token_length(s), s->token, token_length(s), s->token);
}

static bool is_truth(const struct scan *s)
{
	return (s->len == 4 && strncasecmp(s->token, "true", 4) == 0) ||
	       (s->len == 5 && strncasecmp(s->token, "false", 5) == 0);
}

static int check_word(struct scan *s)
{
	static const char *const yes[] = {"yes", "on", "no", "off"};

	if (is_truth(s))
		return 0;
	for (unsigned i = 0; i < 4; i++) {
		if (s->len == strlen(yes[i]) && strncasecmp(s->token, yes[i], s->len) == 0)
			return fail(s, s->token_line, "%.*s is not a value: write %s", token_length(s),
				s->token, i < 2 ? "true" : "false");
	}
	return fail(s, s->token_line, "a text stands in double quotes: \"%.*s\"", token_length(s), s->token);
}

/* ---- grammar */

static int fail_expected(struct scan *s, const char *expected)
{
	if (s->kind == END)
		return fail(s, s->token_line, "the file ends here, but %s", expected);
	if (is_sign(s, '@'))
		return fail(s, s->token_line, "@include is not read: write the settings here, or in "
			"another .conf file of the same folder where a folder is read");
	return fail(s, s->token_line, "%s, not %.*s", expected, token_length(s), s->token);
}

/* What stands between an element and the next; true when there is one. -1 on error. */
static int scan_separator(struct scan *s, char close, unsigned opened)
{
	char expected[96];

	if (is_sign(s, close))
		return 0;
	if (is_sign(s, ',')) {
		unsigned line = s->token_line;

		if (next(s) < 0)
			return -1;
		if (is_sign(s, close))
			return fail(s, line, "no comma may stand before %c: remove it", close);
		return 1;
	}
	if (s->kind != END && (s->kind != SIGN || *s->token == '{' || *s->token == '('))
		return fail(s, s->token_line, "a comma is missing before %.*s", token_length(s), s->token);
	snprintf(expected, sizeof expected, "a comma or the %c for line %u must follow", close, opened);
	return fail_expected(s, expected);
}

/* Kinds of single values, of which an array holds one. */
static char scalar_kind(const struct scan *s)
{
	bool hex = s->len > 1 && (s->token[1] == 'x' || s->token[1] == 'X');

	if (s->kind != NUMBER)
		return s->kind == TEXT ? 't' : 'b';
	if (s->token[s->len - 1] == 'L')
		return 'l';
	for (size_t i = 0; !hex && i < s->len; i++) {
		if (memchr(".eE", s->token[i], 3) != NULL)
			return 'f';
	}
	return 'i';
}

static int scan_array_value(struct scan *s, char *kind)
{
	if (s->kind == SIGN || s->kind == END)
		return fail_expected(s, "[ ] holds single values (groups stand in a list: ( {...}, {...} ))");
	if (*kind != '\0' && *kind != scalar_kind(s))
		return fail(s, s->token_line, "[ ] holds values of one kind: write ( ) around a mix");
	*kind = scalar_kind(s);
	return scan_value(s);
}

static int scan_list(struct scan *s, char close)
{
	unsigned opened = s->token_line;
	char kind = '\0';
	int more;

	if (next(s) < 0)
		return -1;
	for (more = !is_sign(s, close); more > 0; more = scan_separator(s, close, opened)) {
		if ((close == ']' ? scan_array_value(s, &kind) : scan_value(s)) < 0)
			return -1;
	}
	return more < 0 ? -1 : next(s);
}

static int scan_name(struct scan *s, size_t group)
{
	struct name name = {s->token, s->len, s->token_line};

	for (size_t i = group; i < s->names_count; i++) {
		if (s->names[i].len == name.len && memcmp(s->names[i].at, name.at, name.len) == 0)
			return fail(s, name.line, "%.*s was already set in line %u: remove one of the two",
				token_length(s), s->token, s->names[i].line);
	}
	if (s->names_count - group == CONFIG_SCAN_NAMES)
		return fail(s, name.line, "more than %d settings in one group: write a list of groups, "
			"name = ( { id = \"...\" }, ... )", CONFIG_SCAN_NAMES);
	if (s->names_count == s->names_room) {
		s->names_room = s->names_room > 0 ? s->names_room * 2 : 32;
		s->names = mem_resize(s->names, s->names_room, sizeof *s->names);
	}
	s->names[s->names_count++] = name;
	return 0;
}

static int scan_setting(struct scan *s, size_t group)
{
	char expected[128];

	if (s->kind != NAME || is_truth(s))
		return fail_expected(s, "a setting must stand here, as in name = value;");
	if (scan_name(s, group) < 0)
		return -1;
	snprintf(expected, sizeof expected, "= must follow %.*s", token_length(s), s->token);
	if (next(s) < 0)
		return -1;
	if (!is_sign(s, '=') && !is_sign(s, ':'))
		return fail_expected(s, expected);
	if (next(s) < 0 || scan_value(s) < 0)
		return -1;
	return is_sign(s, ';') || is_sign(s, ',') ? next(s) : 0;
}

static int scan_group(struct scan *s)
{
	unsigned opened = s->token_line;
	size_t group = s->names_count;

	if (next(s) < 0)
		return -1;
	while (!is_sign(s, '}')) {
		if (s->kind == END)
			return fail(s, opened, "this { is never closed: write } at its end");
		if (scan_setting(s, group) < 0)
			return -1;
	}
	s->names_count = group;
	return next(s);
}

static int scan_aggregate(struct scan *s)
{
	int status;

	if (++s->depth > CONFIG_SCAN_DEPTH)
		return fail(s, s->token_line, "more than %d brackets inside each other", CONFIG_SCAN_DEPTH);
	status = is_sign(s, '{') ? scan_group(s) : scan_list(s, is_sign(s, '(') ? ')' : ']');
	s->depth--;
	return status;
}

/* From its first token to the token after it. */
static int scan_value(struct scan *s)
{
	if (is_sign(s, '{') || is_sign(s, '(') || is_sign(s, '['))
		return scan_aggregate(s);
	if (s->kind == END || s->kind == SIGN)
		return fail_expected(s, "a value must stand here");
	if (s->kind == NUMBER && check_number(s) < 0)
		return -1;
	if (s->kind == NAME && check_word(s) < 0)
		return -1;
	if (s->kind != TEXT)
		return next(s);
	do { /* neighbouring texts are one */
		if (next(s) < 0)
			return -1;
	} while (s->kind == TEXT);
	return 0;
}

static int check_bytes(struct scan *s)
{
	size_t len = (size_t)(s->end - s->at);
	const char *nul = memchr(s->at, '\0', len);
	unsigned line = 1;

	if (starts(s, "\xef\xbb\xbf"))
		return fail(s, 1, "the file starts with a byte order mark: save it as UTF-8 without BOM");
	if (starts(s, "\xff\xfe") || starts(s, "\xfe\xff"))
		return fail(s, 1, "the file is UTF-16: save it as UTF-8 without BOM");
	if (nul == NULL)
		return 0;
	for (const char *p = s->at; p < nul; p++)
		line += *p == '\n';
	return fail(s, line, "a NUL byte: this is not a text file");
}

static int scan_file(struct scan *s)
{
	if (check_bytes(s) < 0 || next(s) < 0)
		return -1;
	while (s->kind != END) {
		if (scan_setting(s, 0) < 0)
			return -1;
	}
	return 0;
}

int config_scan(const char *file, const char *text, size_t len, struct err *e)
{
	struct scan s = {.file = file, .at = text, .end = text + len, .line = 1, .err = e};
	int status = scan_file(&s);

	free(s.names);
	return status;
}
