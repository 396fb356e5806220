#include "lib/sample.h"

#include <assert.h>
#include <math.h>
#include <string.h>

const char *family_name(enum family f)
{
	switch (f) {
	case FAMILY_V4:
		return "IPv4";
	case FAMILY_V6:
		return "IPv6";
	case FAMILY_NONE:
		break;
	}
	return "-";
}

const char *outcome_name(enum outcome o)
{
	switch (o) {
	case OUTCOME_UP:
		return "up";
	case OUTCOME_DOWN:
		return "down";
	case OUTCOME_UNKNOWN:
		break;
	}
	return "unknown";
}

bool family_is_valid(uint32_t f)
{
	return f == FAMILY_NONE || f == FAMILY_V4 || f == FAMILY_V6;
}

bool outcome_is_valid(uint32_t o)
{
	return o >= OUTCOME_UP && o <= OUTCOME_UNKNOWN;
}

void result_add(struct result *r, uint32_t metric, double number)
{
	if (!isfinite(number))
		return;
	assert(r->count < SAMPLE_VALUES_MAX);
	r->values[r->count++] = (struct value){metric, number};
}

/* Length of the well-formed printable UTF-8 character at p (RFC 3629), or 0. */
static size_t char_length(const unsigned char *p, size_t left)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	size_t n = p[0] < 0x80 ? 1 : (p[0] & 0xe0) == 0xc0 ? 2 : (p[0] & 0xf0) == 0xe0 ? 3
		: (p[0] & 0xf8) == 0xf0 ? 4 : 0;
	uint32_t c;

	if (n == 0 || n > left)
		return 0;
	c = n == 1 ? p[0] : p[0] & (0xffu >> (n + 1));
	for (size_t i = 1; i < n; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
		c = c << 6 | (p[i] & 0x3f);
	}
	if (c < least[n] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
		return 0;
	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		return 0;
	return n;
}

/* How many bytes of printable ASCII it begins with, which most texts are to their end. */
static size_t plain_length(const char *text, size_t len)
{
	size_t n = 0;

	while (n < len && text[n] >= 0x20 && text[n] < 0x7f)
		n++;
	return n;
}

bool text_is_clean(const char *text, size_t max)
{
	size_t len = strnlen(text, max + 1), at = plain_length(text, len);

	while (at < len) {
		size_t n = char_length((const unsigned char *)text + at, len - at);

		if (n == 0)
			return false;
		at += n;
	}
	return len <= max;
}

char *text_clean(const char *text, size_t len, char *out, size_t room)
{
	size_t at = plain_length(text, len < room ? len : room - 1), used = at;

	memcpy(out, text, at);
	while (at < len && text[at] != '\0') {
		size_t n = char_length((const unsigned char *)text + at, len - at);
		size_t take = n > 0 ? n : 1;

		if (used + take + 1 > room)
			break;
		if (n > 0)
			memcpy(out + used, text + at, n);
		else
			out[used] = '?';
		used += take;
		at += take;
	}
	out[used] = '\0';
	return out;
}
