#include "lib/journal_record.h"

#include <assert.h>
#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/crc32c.h"
#include "lib/journal_note.h"

#define SEGMENT_MAGIC 0x47534a58u /* "XJSG" */
#define RECORD_MAGIC 0x52a7e94au  /* no text, not symmetric */
#define FORMAT 1

static void put_u16(uint8_t *out, uint32_t v)
{
	uint16_t le = htole16((uint16_t)v);

	memcpy(out, &le, sizeof le);
}

static void put_u32(uint8_t *out, uint32_t v)
{
	v = htole32(v);
	memcpy(out, &v, sizeof v);
}

static void put_u64(uint8_t *out, uint64_t v)
{
	v = htole64(v);
	memcpy(out, &v, sizeof v);
}

static uint16_t get_u16(const uint8_t *p)
{
	uint16_t v;

	memcpy(&v, p, sizeof v);
	return le16toh(v);
}

static uint32_t get_u32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof v);
	return le32toh(v);
}

static uint64_t get_u64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return le64toh(v);
}

/* What a header tells about itself, from the checksum over it. */
static uint16_t fold(uint32_t crc)
{
	return (uint16_t)(crc ^ crc >> 16);
}

void journal_segment_encode(const struct journal_segment *s, uint8_t out[JOURNAL_SEGMENT_HEAD])
{
	memset(out, 0, JOURNAL_SEGMENT_HEAD);
	put_u32(out, SEGMENT_MAGIC);
	put_u16(out + 4, FORMAT);
	put_u16(out + 6, s->flags);
	put_u64(out + 8, s->epoch);
	put_u64(out + 16, s->first);
	put_u64(out + 24, (uint64_t)s->real);
	put_u32(out + 32, s->serial);
	put_u32(out + 44, crc32c(0, out, 44));
}

int journal_segment_decode(const uint8_t *data, size_t len, struct journal_segment *s)
{
	if (len < JOURNAL_SEGMENT_HEAD || get_u32(data) != SEGMENT_MAGIC || get_u16(data + 4) != FORMAT ||
		get_u32(data + 44) != crc32c(0, data, 44))
		return -1;
	s->flags = get_u16(data + 6);
	s->epoch = get_u64(data + 8);
	s->first = get_u64(data + 16);
	s->real = (int64_t)get_u64(data + 24);
	s->serial = get_u32(data + 32);
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

	put_u64(bytes, epoch);
	return crc32c(0, bytes, sizeof bytes);
}

/* Offsets: magic 0, length 4, seq 8, kind 16, flags 17, check 18, crc 20. */
static void seal(uint8_t *p, uint32_t seed, size_t len)
{
	uint32_t crc = crc32c(seed, p, 18);

	put_u16(p + 18, fold(crc));
	put_u32(p + 20, crc32c(crc, p + JOURNAL_RECORD_HEAD, len));
}

void journal_record_add(struct buf *b, uint32_t seed, uint64_t seq, uint8_t kind, const void *payload, size_t len)
{
	uint8_t *p = buf_reserve(b, JOURNAL_RECORD_HEAD + len);

	assert(len <= JOURNAL_PAYLOAD_MAX && kind != 0 && seq != 0);
	put_u32(p, RECORD_MAGIC);
	put_u32(p + 4, (uint32_t)len);
	put_u64(p + 8, seq);
	p[16] = kind;
	p[17] = 0;
	if (len > 0)
		memcpy(p + JOURNAL_RECORD_HEAD, payload, len);
	seal(p, seed, len);
	b->len += JOURNAL_RECORD_HEAD + len;
}

static size_t size_of(const uint8_t *record)
{
	return JOURNAL_RECORD_HEAD + get_u32(record + 4);
}

size_t journal_record_fit(const uint8_t *data, size_t len, size_t most, uint64_t *last)
{
	size_t at = 0;

	while (at < len && (at == 0 || at + size_of(data + at) <= most)) {
		*last = get_u64(data + at + 8);
		at += size_of(data + at);
	}
	return at;
}

uint8_t *journal_record_payload(uint8_t *data, uint64_t seq)
{
	while (get_u64(data + 8) != seq)
		data += size_of(data);
	return data + JOURNAL_RECORD_HEAD;
}

void journal_record_reseed(uint8_t *data, size_t len, uint32_t seed)
{
	for (size_t at = 0; at < len; at += size_of(data + at))
		seal(data + at, seed, get_u32(data + at + 4));
}

static enum journal_record_state read_head(const uint8_t *data, size_t len, uint32_t seed, struct journal_record *r,
	uint32_t *crc)
{
	if (len < JOURNAL_RECORD_HEAD)
		return JOURNAL_RECORD_SHORT;
	if (get_u32(data) != RECORD_MAGIC)
		return JOURNAL_RECORD_BAD;
	*crc = crc32c(seed, data, 18);
	r->len = get_u32(data + 4);
	r->seq = get_u64(data + 8);
	r->kind = data[16];
	if (get_u16(data + 18) != fold(*crc) || r->len > JOURNAL_PAYLOAD_MAX || r->kind == 0 ||
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
	if (get_u32(data + 20) != crc32c(crc, r->payload, r->len))
		return JOURNAL_RECORD_BAD;
	return JOURNAL_RECORD_WHOLE;
}
