#include "probes/host/scan.h"

#include <string.h>

struct scan scan_over(const void *text, size_t len)
{
	return (struct scan){text, len > 0 ? (const char *)text + len : text};
}

size_t scan_left(const struct scan *s)
{
	return (size_t)(s->end - s->at);
}

bool scan_until(struct scan *s, char sign, struct scan *part)
{
	const char *found;

	if (s->at == s->end)
		return false;
	found = memchr(s->at, sign, scan_left(s));
	*part = (struct scan){s->at, found != NULL ? found : s->end};
	s->at = found != NULL ? found + 1 : s->end;
	return true;
}

bool scan_line(struct scan *s, struct scan *line)
{
	return scan_until(s, '\n', line);
}

static bool is_blank(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static void skip_blanks(struct scan *s)
{
	while (s->at < s->end && is_blank(*s->at))
		s->at++;
}

bool scan_word(struct scan *s, struct scan *word)
{
	skip_blanks(s);
	word->at = s->at;
	while (s->at < s->end && !is_blank(*s->at))
		s->at++;
	word->end = s->at;
	return word->at < word->end;
}

bool scan_number(struct scan *s, uint64_t *out)
{
	uint64_t n = 0;
	const char *at;

	skip_blanks(s);
	for (at = s->at; at < s->end && is_digit(*at); at++) {
		uint64_t digit = (uint64_t)(*at - '0');

		if (n > (UINT64_MAX - digit) / 10)
			return false;
		n = n * 10 + digit;
	}
	if (at == s->at)
		return false;
	s->at = at;
	*out = n;
	return true;
}

bool scan_decimal(struct scan *s, double *out)
{
	double scale = 1;
	uint64_t whole;

	if (!scan_number(s, &whole))
		return false;
	*out = (double)whole;
	if (s->at == s->end || *s->at != '.')
		return true;
	for (s->at++; s->at < s->end && is_digit(*s->at); s->at++) {
		scale /= 10;
		*out += scale * (*s->at - '0');
	}
	return true;
}

bool scan_is(const struct scan *s, const char *text)
{
	size_t n = strlen(text);

	return scan_left(s) == n && memcmp(s->at, text, n) == 0;
}

bool scan_starts(const struct scan *s, const char *text)
{
	size_t n = strlen(text);

	return scan_left(s) >= n && memcmp(s->at, text, n) == 0;
}

bool scan_lists(struct scan list, const char *word)
{
	struct scan one;

	while (scan_until(&list, ',', &one)) {
		if (scan_is(&one, word))
			return true;
	}
	return false;
}

char *scan_copy(const struct scan *s, char *out, size_t room)
{
	size_t n = scan_left(s) < room - 1 ? scan_left(s) : room - 1;

	if (n > 0)
		memcpy(out, s->at, n);
	out[n] = '\0';
	return out;
}
