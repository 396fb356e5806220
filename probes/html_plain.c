#include "probes/html_plain.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "lib/buf.h"

#define ENTITY_MAX 64 /* bytes from & to ; and more than any has */

/* The first place of two signs from `from` on; NULL: there is none. */
static const char *find_pair(const struct html_plain *p, const char *from, const char pair[3])
{
	while (from < p->end && (from = memchr(from, pair[0], (size_t)(p->end - from))) != NULL) {
		if (p->end - from > 1 && from[1] == pair[1])
			return from;
		from++;
	}
	return NULL;
}

/* isspace() looks up the locale: three times as slow here. */
static bool is_blank(char c)
{
	return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_letter(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void copy(struct buf *out, const char *from, size_t len)
{
	size_t start = out->len;

	buf_add(out, from, len);
	for (size_t i = start; i < out->len; i++)
		out->data[i] = out->data[i] == '\0' ? ' ' : out->data[i];
}

/* ---- text */

/* Where a text may be divided, from a place on: not inside an entity or a character. */
static size_t find_break(const char *text, size_t at, size_t len)
{
	size_t end = at + ENTITY_MAX < len ? at + ENTITY_MAX : len;

	for (; at < end; at++) {
		if (text[at] == '&' || text[at] == ' ')
			return at;
	}
	for (int i = 0; i < 3 && at < len && ((unsigned char)text[at] & 0xc0) == 0x80; i++)
		at++; /* of UTF-8; in other bytes any place is good */
	return at;
}

/* As much as the next mark, or all of it. */
static void copy_text(struct html_plain *p, const char *end, struct buf *out)
{
	size_t len = (size_t)(end - p->at), at = HTML_PLAIN_RUN - p->run;

	at = at < len ? find_break(p->at, at, len) : len;
	copy(out, p->at, at);
	p->at += at;
	p->run += at;
	if (p->run < HTML_PLAIN_RUN)
		return;
	buf_add_text(out, HTML_PLAIN_MARK);
	p->run = 0;
}

/* ---- tags */

/* Copies the tag at p->at up to its '>', or what is left of the page. Returns how many blanks and quotes it has. */
static size_t copy_tag(struct html_plain *p, struct buf *out)
{
	char before = '\0', quote = '\0'; /* the last sign that is not blank; of the value that is open */
	size_t separators = 0, most = out->len + HTML_PLAIN_TAG_MAX; /* and one byte more, which tells */

	for (; p->at < p->end; p->at++) {
		char c = *p->at != '\0' ? *p->at : ' ';
		bool is_quote = c == '"' || c == '\'';

		separators += is_quote || is_blank(c);
		if (quote != '\0')
			quote = c == quote ? '\0' : quote;
		else if (is_quote && before == '=')
			quote = c;
		else if (is_quote)
			c = ' ';
		if (out->len <= most)
			buf_add_u8(out, (uint8_t)c);
		if (c == '>' && quote == '\0') {
			p->at++;
			break;
		}
		before = is_blank(c) ? before : c;
	}
	return separators;
}

static bool is_named(const char *tag, const char *end, const char *name)
{
	size_t n = strlen(name);

	return (size_t)(end - tag) > n && strncasecmp(tag, name, n) == 0 &&
		(is_blank(tag[n]) || tag[n] == '/' || tag[n] == '>');
}

/* Behind a script or style that begins here: at its end tag, or the end of the page. */
static const char *raw_end(const struct html_plain *p, const char *from, const char *name)
{
	while ((from = find_pair(p, from, "</")) != NULL) {
		if (is_named(from + 2, p->end, name))
			return from;
		from += 2;
	}
	return p->end;
}

static void take_tag(struct html_plain *p, struct buf *out)
{
	static const char *const raw[] = {"script", "style"};
	const char *tag = p->at;
	size_t start = out->len, separators = copy_tag(p, out);

	if (out->len - start > HTML_PLAIN_TAG_MAX || separators > HTML_PLAIN_SEPARATORS) {
		out->len = start;
		p->cut = true;
	}
	p->run = 0;
	for (size_t i = 0; i < 2; i++) {
		if (is_named(tag + 1, p->at, raw[i]))
			p->at = raw_end(p, p->at, raw[i]);
	}
}

/* ---- what is no element */

/* Behind the comment at p->at. "<!-->" and "<!--->" are whole ones. */
static const char *comment_end(const struct html_plain *p)
{
	const char *at = p->at + 2; /* the "--" that begins it may end it */

	while ((at = find_pair(p, at, "--")) != NULL) {
		size_t left = (size_t)(p->end - at);

		if (left > 2 && at[2] == '>')
			return at + 3;
		if (left > 3 && at[2] == '!' && at[3] == '>' && at > p->at + 3)
			return at + 4;
		at++;
	}
	return p->end;
}

static void take_mark(struct html_plain *p)
{
	const char *close;

	if ((size_t)(p->end - p->at) >= 4 && memcmp(p->at, "<!--", 4) == 0) {
		p->at = comment_end(p);
		return;
	}
	close = memchr(p->at, '>', (size_t)(p->end - p->at));
	p->at = close != NULL ? close + 1 : p->end;
}

static void take_next(struct html_plain *p, struct buf *out)
{
	const char *next = p->at + 1;

	if (*p->at != '<') {
		const char *open = memchr(p->at, '<', (size_t)(p->end - p->at));

		copy_text(p, open != NULL ? open : p->end, out);
	} else if (next < p->end && (is_letter(*next) || (*next == '/' && next + 1 < p->end && is_letter(next[1])))) {
		take_tag(p, out);
	} else if (next < p->end && (*next == '!' || *next == '?' || *next == '/')) {
		take_mark(p);
	} else {
		copy_text(p, next, out);
	}
}

struct html_plain html_plain_of(const void *data, size_t len)
{
	return (struct html_plain){.at = data, .end = len > 0 ? (const char *)data + len : data};
}

bool html_plain_next(struct html_plain *p, size_t enough, struct buf *out)
{
	while (p->at < p->end && (out->len < enough || p->run > 0))
		take_next(p, out);
	return p->at < p->end;
}
