#include "collector/judge/record.h"

#include <assert.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/mem.h"

void record_add_time(struct buf *b, int64_t time)
{
	buf_add_u64(b, (uint64_t)time);
}

void record_add_double(struct buf *b, double number)
{
	uint64_t bits;

	memcpy(&bits, &number, sizeof bits);
	buf_add_u64(b, bits);
}

void record_add_text(struct buf *b, const char *text)
{
	size_t len = strlen(text);

	assert(len <= UINT16_MAX);
	buf_add_u16(b, (uint16_t)len);
	buf_add(b, text, len);
}

int64_t record_time(struct cursor *c)
{
	uint64_t time = cursor_u64(c);

	if (time > RECORD_TIME_MAX)
		c->failed = true;
	return time > RECORD_TIME_MAX ? 0 : (int64_t)time;
}

double record_double(struct cursor *c)
{
	uint64_t bits = cursor_u64(c);
	double number;

	memcpy(&number, &bits, sizeof number);
	return number;
}

char *record_text(struct cursor *c)
{
	size_t len = cursor_u16(c);
	const uint8_t *bytes = cursor_bytes(c, len);
	char *text;

	if (bytes == NULL || memchr(bytes, '\0', len) != NULL) {
		c->failed = true;
		return mem_strdup("");
	}
	text = mem_alloc(len + 1);
	memcpy(text, bytes, len);
	return text;
}
