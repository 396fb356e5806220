#include "lib/journal_record.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/crc32c.h"
#include "lib/journal_note.h"

#define SEGMENT_MAGIC 0x47534a58u /* "XJSG" */
#define RECORD_MAGIC 0x52a7e94au  /* no text, not symmetric */
#define FORMAT 1

static void put_le(uint8_t *out, uint64_t v, unsigned bytes)
{
	for (unsigned i = 0; i < bytes; i++)
		out[i] = (uint8_t)(v >> (8 * i));
}

static uint64_t get_le(const uint8_t *p, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes; i++)
		v |= (uint64_t)p[i] << (8 * i);
	return v;
}

void journal_segment_encode(const struct journal_segment *s, uint8_t out[JOURNAL_SEGMENT_HEAD])
{
	memset(out, 0, JOURNAL_SEGMENT_HEAD);
	put_le(out, SEGMENT_MAGIC, 4);
	put_le(out + 4, FORMAT, 2);
	put_le(out + 6, s->flags, 2);
	put_le(out + 8, s->epoch, 8);
	put_le(out + 16, s->first, 8);
	put_le(out + 24, (uint64_t)s->real, 8);
	put_le(out + 32, s->serial, 4);
	put_le(out + 44, crc32c(0, out, 44), 4);
}

int journal_segment_decode(const uint8_t *data, size_t len, struct journal_segment *s)
{
	if (len < JOURNAL_SEGMENT_HEAD || get_le(data, 4) != SEGMENT_MAGIC || get_le(data + 4, 2) != FORMAT ||
		get_le(data + 44, 4) != crc32c(0, data, 44))
		return -1;
	s->flags = (uint16_t)get_le(data + 6, 2);
	s->epoch = get_le(data + 8, 8);
	s->first = get_le(data + 16, 8);
	s->real = (int64_t)get_le(data + 24, 8);
	s->serial = (uint32_t)get_le(data + 32, 4);
	return 0;
}

void journal_segment_name(const struct journal_segment *s, char out[JOURNAL_NAME_SIZE])
{
	snprintf(out, JOURNAL_NAME_SIZE, "%016" PRIx64 "-%016" PRIx64 ".seg", s->first, s->epoch);
}

static bool parse_hex(const char *text, uint64_t *out)
{
	*out = 0;
	for (int i = 0; i < 16; i++) {
		char c = text[i];

		if (c >= '0' && c <= '9')
			*out = *out << 4 | (uint64_t)(c - '0');
		else if (c >= 'a' && c <= 'f')
			*out = *out << 4 | (uint64_t)(c - 'a' + 10);
		else
			return false;
	}
	return true;
}

bool journal_segment_parse(const char *name, const char *suffix, struct journal_segment *s)
{
	*s = (struct journal_segment){0};
	return strlen(name) >= 33 && parse_hex(name, &s->first) && name[16] == '-' &&
		parse_hex(name + 17, &s->epoch) && strcmp(name + 33, suffix) == 0 && s->first > 0;
}

uint32_t journal_record_seed(uint64_t epoch)
{
	uint8_t bytes[8];

	put_le(bytes, epoch, 8);
	return crc32c(0, bytes, sizeof bytes);
}

/* Offsets: magic 0, length 4, seq 8, kind 16, flags 17, check 18, crc 20. */
void journal_record_add(struct buf *b, uint32_t seed, uint64_t seq, uint8_t kind, const void *payload, size_t len)
{
	uint8_t *p = buf_reserve(b, JOURNAL_RECORD_HEAD + len);
	uint32_t crc;

	assert(len <= JOURNAL_PAYLOAD_MAX && kind != 0 && seq != 0);
	put_le(p, RECORD_MAGIC, 4);
	put_le(p + 4, len, 4);
	put_le(p + 8, seq, 8);
	p[16] = kind;
	p[17] = 0;
	crc = crc32c(seed, p, 18);
	put_le(p + 18, (crc ^ crc >> 16) & 0xffff, 2);
	if (len > 0)
		memcpy(p + JOURNAL_RECORD_HEAD, payload, len);
	put_le(p + 20, crc32c(crc, p + JOURNAL_RECORD_HEAD, len), 4);
	b->len += JOURNAL_RECORD_HEAD + len;
}

static enum journal_record_state read_head(const uint8_t *data, size_t len, uint32_t seed, struct journal_record *r,
	uint32_t *crc)
{
	if (len < JOURNAL_RECORD_HEAD)
		return JOURNAL_RECORD_SHORT;
	if (get_le(data, 4) != RECORD_MAGIC)
		return JOURNAL_RECORD_BAD;
	*crc = crc32c(seed, data, 18);
	r->len = (size_t)get_le(data + 4, 4);
	r->seq = get_le(data + 8, 8);
	r->kind = data[16];
	if (get_le(data + 18, 2) != ((*crc ^ *crc >> 16) & 0xffff) || r->len > JOURNAL_PAYLOAD_MAX || r->kind == 0 ||
		r->seq == 0)
		return JOURNAL_RECORD_BAD;
	r->size = JOURNAL_RECORD_HEAD + r->len;
	r->payload = data + JOURNAL_RECORD_HEAD;
	return JOURNAL_RECORD_WHOLE;
}

enum journal_record_state journal_record_head(const uint8_t *data, size_t len, uint32_t seed,
	struct journal_record *r)
{
	uint32_t crc;

	return read_head(data, len, seed, r, &crc);
}

enum journal_record_state journal_record_read(const uint8_t *data, size_t len, uint32_t seed,
	struct journal_record *r)
{
	uint32_t crc = 0;
	enum journal_record_state state = read_head(data, len, seed, r, &crc);

	if (state != JOURNAL_RECORD_WHOLE)
		return state;
	if (len < r->size)
		return JOURNAL_RECORD_SHORT;
	if (get_le(data + 20, 4) != crc32c(crc, r->payload, r->len))
		return JOURNAL_RECORD_BAD;
	return JOURNAL_RECORD_WHOLE;
}
