/*
 * Messages as a system bus sends them, written by other code than that which reads them: by hand, from the
 * specification. To be included after cmocka.h.
 */
#ifndef TESTS_UNIT_AGENT_FAKE_BUS_H
#define TESTS_UNIT_AGENT_FAKE_BUS_H

#include <stdint.h>
#include <string.h>

struct bus_bytes {
	uint8_t at[1 << 18];
	size_t len;
};

static void bus_bytes_add(struct bus_bytes *b, const void *data, size_t len)
{
	assert_true(b->len + len <= sizeof b->at);
	memcpy(b->at + b->len, data, len);
	b->len += len;
}

static void bus_bytes_align(struct bus_bytes *b, size_t start, size_t to)
{
	while ((b->len - start) % to != 0)
		bus_bytes_add(b, "", 1);
}

static void bus_bytes_u32(struct bus_bytes *b, size_t start, uint32_t v)
{
	bus_bytes_align(b, start, 4);
	for (int i = 0; i < 4; i++)
		bus_bytes_add(b, (const uint8_t[]){(uint8_t)(v >> 8 * i)}, 1);
}

static void bus_bytes_text(struct bus_bytes *b, size_t start, const char *text)
{
	bus_bytes_u32(b, start, (uint32_t)strlen(text));
	bus_bytes_add(b, text, strlen(text) + 1);
}

static void bus_bytes_patch(struct bus_bytes *b, size_t at, size_t v)
{
	for (size_t i = 0; i < 4; i++)
		b->at[at + i] = (uint8_t)(v >> 8 * i);
}

/* Up to the body. type: 2 return, 3 error, 4 signal. */
static size_t bus_bytes_head(struct bus_bytes *b, uint8_t type, uint32_t reply_to, const char *error, const char *signature)
{
	size_t start = b->len, fields;

	bus_bytes_add(b, (const uint8_t[]){'l', type, 1, 1, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0}, 16);
	fields = b->len;
	bus_bytes_add(b, "\6\1s", 4); /* destination */
	bus_bytes_text(b, start, ":1.42");
	bus_bytes_align(b, start, 8);
	if (type != 4) {
		bus_bytes_add(b, "\5\1u", 4);
		bus_bytes_u32(b, start, reply_to);
		bus_bytes_align(b, start, 8);
	}
	if (error != NULL) {
		bus_bytes_add(b, "\4\1s", 4);
		bus_bytes_text(b, start, error);
		bus_bytes_align(b, start, 8);
	}
	bus_bytes_add(b, "\10\1g", 4);
	bus_bytes_add(b, (const uint8_t[]){(uint8_t)strlen(signature)}, 1);
	bus_bytes_add(b, signature, strlen(signature) + 1);
	bus_bytes_patch(b, start + 12, b->len - fields);
	bus_bytes_align(b, start, 8);
	return start;
}

/* A message whose body is one text. */
static void bus_bytes_words(struct bus_bytes *b, uint8_t type, uint32_t reply_to, const char *error, const char *words)
{
	size_t start = bus_bytes_head(b, type, reply_to, error, "s"), body = b->len;

	bus_bytes_text(b, body, words);
	bus_bytes_patch(b, start + 4, b->len - body);
}

/* Units as "name load active sub", NULL at the end. */
static void bus_bytes_units(struct bus_bytes *b, uint32_t reply_to, const char *const (*units)[4], size_t count)
{
	size_t start = bus_bytes_head(b, 2, reply_to, NULL, "a(ssssssouso)"), body = b->len, first;

	bus_bytes_u32(b, body, 0);
	bus_bytes_align(b, body, 8);
	first = b->len;
	for (size_t i = 0; i < count; i++) {
		bus_bytes_align(b, body, 8);
		bus_bytes_text(b, body, units[i][0]);
		bus_bytes_text(b, body, "A description \xe2\x80\x94 of it");
		for (size_t k = 1; k < 4; k++)
			bus_bytes_text(b, body, units[i][k]);
		bus_bytes_text(b, body, "");
		bus_bytes_text(b, body, "/org/freedesktop/systemd1/unit/x");
		bus_bytes_u32(b, body, 0);
		bus_bytes_text(b, body, "");
		bus_bytes_text(b, body, "/");
	}
	bus_bytes_patch(b, body, b->len - first);
	bus_bytes_patch(b, start + 4, b->len - body);
}

/* What a bus says to all our questions: let in, Hello, a signal, then both lists. */
static void bus_bytes_whole(struct bus_bytes *b, const char *const (*failed)[4], size_t failed_count, const char *const (*named)[4],
	size_t named_count)
{
	static const char ok[] = "OK 0123456789abcdef0123456789abcdef\r\n";

	bus_bytes_add(b, ok, sizeof ok - 1);
	bus_bytes_words(b, 2, 1, NULL, ":1.42");
	bus_bytes_words(b, 4, 0, NULL, ":1.42");
	bus_bytes_units(b, 2, failed, failed_count);
	if (named_count > 0)
		bus_bytes_units(b, 3, named, named_count);
}

#endif
