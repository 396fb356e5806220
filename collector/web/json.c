#include "collector/web/json.h"

#include <string.h>

#include "lib/clock.h"
#include "lib/num.h"

void json_fini(struct json *j)
{
	buf_fini(&j->out);
}

/* ---- texts */

/* Length of the UTF-8 character at p (RFC 3629 section 4), 0 when there is none. */
static size_t character_length(const uint8_t *p, const uint8_t *end)
{
	size_t n = *p < 0x80 ? 1 : *p < 0xc2 ? 0 : *p < 0xe0 ? 2 : *p < 0xf0 ? 3 : *p < 0xf5 ? 4 : 0;

	if (n == 0 || (size_t)(end - p) < n)
		return 0;
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f) ||
		(p[0] == 0xf0 && p[1] < 0x90) || (p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return n;
}

static bool needs_escape(const uint8_t *p, size_t n)
{
	if (n == 1)
		return *p < 0x20 || *p == 0x7f || strchr("\"\\<>&", *p) != NULL;
	/* U+2028 and U+2029, and the second block of controls, U+0080 to U+009F. */
	return (n == 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9)) ||
		(n == 2 && p[0] == 0xc2 && p[1] < 0xa0);
}

static void add_escape(struct buf *out, const uint8_t *p, size_t n)
{
	unsigned code = n == 1 ? p[0] : n == 2 ? p[1] : 0x2000u + (p[2] - 0x80u);

	if (code == '"' || code == '\\') {
		buf_add_u8(out, '\\');
		buf_add_u8(out, (uint8_t)code);
	} else {
		buf_add_format(out, "\\u%04x", code);
	}
}

static void add_quoted(struct buf *out, const char *text)
{
	const uint8_t *p = (const uint8_t *)text, *end = p + strlen(text), *plain = p;

	buf_add_u8(out, '"');
	while (p < end) {
		size_t n = character_length(p, end);

		if (n > 0 && !needs_escape(p, n)) {
			p += n;
			continue;
		}
		buf_add(out, plain, (size_t)(p - plain));
		if (n == 0)
			buf_add_text(out, "\\ufffd");
		else
			add_escape(out, p, n);
		p += n > 0 ? n : 1;
		plain = p;
	}
	buf_add(out, plain, (size_t)(p - plain));
	buf_add_u8(out, '"');
}

/* ---- values */

static void begin(struct json *j, const char *key)
{
	if (j->more)
		buf_add_u8(&j->out, ',');
	j->more = true;
	if (key == NULL)
		return;
	add_quoted(&j->out, key);
	buf_add_u8(&j->out, ':');
}

void json_open(struct json *j, const char *key, char bracket)
{
	begin(j, key);
	buf_add_u8(&j->out, (uint8_t)bracket);
	j->more = false;
}

void json_close(struct json *j, char bracket)
{
	buf_add_u8(&j->out, (uint8_t)bracket);
	j->more = true;
}

void json_text(struct json *j, const char *key, const char *text)
{
	begin(j, key);
	add_quoted(&j->out, text);
}

void json_int(struct json *j, const char *key, int64_t v)
{
	begin(j, key);
	buf_add_format(&j->out, "%lld", (long long)v);
}

void json_bool(struct json *j, const char *key, bool v)
{
	begin(j, key);
	buf_add_text(&j->out, v ? "true" : "false");
}

void json_nothing(struct json *j, const char *key)
{
	begin(j, key);
	buf_add_text(&j->out, "null");
}

void json_number(struct json *j, const char *key, double v, int digits)
{
	begin(j, key);
	j->out.len += num_format_double(v, digits, (char *)buf_reserve(&j->out, NUM_TEXT));
}

void json_numbers(struct json *j, const char *key, const double *v, size_t count, int digits)
{
	char *at;

	json_open(j, key, '[');
	at = (char *)buf_reserve(&j->out, count * (NUM_TEXT + 1));
	for (size_t i = 0; i < count; i++) {
		if (i > 0)
			*at++ = ',';
		at += num_format_double(v[i], digits, at);
	}
	j->out.len = (size_t)((uint8_t *)at - j->out.data);
	json_close(j, ']');
}

void json_time(struct json *j, const char *key, int64_t ns)
{
	if (ns <= 0) {
		json_nothing(j, key);
		return;
	}
	begin(j, key);
	buf_add_format(&j->out, "%lld.%03d", (long long)(ns / NS_PER_S), (int)(ns / NS_PER_MS % 1000));
}
