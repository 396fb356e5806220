#include "probes/snmp_packet.h"

#include <string.h>

#include "probes/snmp_device.h"

enum { TAG_INTEGER = 0x02, TAG_OCTETS = 0x04, TAG_NULL = 0x05, TAG_OID = 0x06, TAG_SEQUENCE = 0x30, TAG_COUNTER32 = 0x41,
	TAG_GAUGE32 = 0x42, TAG_TICKS = 0x43, TAG_OPAQUE = 0x44, TAG_COUNTER64 = 0x46, TAG_UNSIGNED32 = 0x47,
	TAG_NO_OBJECT = 0x80, TAG_NO_INSTANCE = 0x81, TAG_END = 0x82, TAG_GET = 0xa0, TAG_RESPONSE = 0xa2, TAG_BULK = 0xa5 };
enum { VERSION_2C = 1 };

#define VARBIND_MAX (5 * SNMP_OID_MAX + 10)
#define HEADS_MAX 64 /* of all that is around varbinds, without the community */

/* ---- a request */

/* Written from its end to its front, so that each length is known when it is put. */

static uint8_t *put_head(uint8_t *at, uint8_t tag, const uint8_t *end)
{
	const size_t len = (size_t)(end - at);

	*--at = (uint8_t)len;
	if (len > 0xff)
		*--at = (uint8_t)(len >> 8);
	if (len > 0x7f)
		*--at = len > 0xff ? 0x82 : 0x81;
	*--at = tag;
	return at;
}

/* Always of four bytes. */
static uint8_t *put_number(uint8_t *at, uint32_t number)
{
	const uint8_t bytes[] = {TAG_INTEGER, 4, (uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
		(uint8_t)number};

	return memcpy(at - sizeof bytes, bytes, sizeof bytes);
}

static uint8_t *put_part(uint8_t *at, uint32_t part)
{
	*--at = part & 0x7f;
	while ((part >>= 7) != 0)
		*--at = (uint8_t)(0x80 | (part & 0x7f));
	return at;
}

static uint8_t *put_varbind(uint8_t *at, const struct snmp_oid *name)
{
	const uint8_t *end = at, *name_end;

	at = put_head(at, TAG_NULL, at);
	name_end = at;
	for (size_t i = name->len; i > 2; i--)
		at = put_part(at, name->part[i - 1]);
	at = put_part(at, name->part[0] * 40 + (name->len > 1 ? name->part[1] : 0));
	at = put_head(at, TAG_OID, name_end);
	return put_head(at, TAG_SEQUENCE, end);
}

static uint8_t *put_pdu(uint8_t *at, uint32_t id, unsigned repetitions, const struct snmp_request *q)
{
	const uint8_t *end = at;

	for (size_t i = q->count; i > 0; i--)
		at = put_varbind(at, &q->oids[i - 1]);
	at = put_head(at, TAG_SEQUENCE, end);
	at = put_number(at, q->is_bulk ? repetitions : 0); /* else the error index and status */
	at = put_number(at, q->is_bulk ? 1 : 0); /* what does not repeat */
	at = put_number(at, id);
	return put_head(at, q->is_bulk ? TAG_BULK : TAG_GET, end);
}

void snmp_packet_encode(struct buf *out, const char *community, uint32_t id, unsigned repetitions,
	const struct snmp_request *q)
{
	const size_t community_len = strlen(community), room = HEADS_MAX + community_len + q->count * VARBIND_MAX;
	uint8_t *at, *end, *community_end;

	buf_clear(out);
	end = buf_reserve(out, room) + room;
	at = community_end = put_pdu(end, id, repetitions, q);
	at -= community_len;
	memcpy(at, community, community_len);
	at = put_head(at, TAG_OCTETS, community_end);
	at = put_number(at, VERSION_2C);
	at = put_head(at, TAG_SEQUENCE, end);
	out->len = (size_t)(end - at);
	memmove(out->data, at, out->len);
}

/* ---- an answer */

/* A length in as many bytes as the first one says; agents do not always write the shortest. */
static struct cursor long_element(struct cursor *c, uint8_t *tag)
{
	const size_t left = cursor_left(c), count = left >= 2 && c->at[1] > 0x7f ? c->at[1] & 0x7fu : 0;
	const uint8_t *at = c->at;
	size_t len = 0;

	if (count < 1 || count > 4 || left - 2 < count)
		goto failed;
	for (size_t i = 0; i < count; i++)
		len = len << 8 | at[2 + i];
	if (len > left - 2 - count)
		goto failed;
	*tag = at[0];
	c->at = at + 2 + count + len;
	return (struct cursor){at + 2 + count, c->at, false};
failed:
	*tag = 0;
	c->failed = true;
	c->at = c->end;
	return (struct cursor){c->end, c->end, true};
}

/* The contents of the next element and its tag; a cursor that has failed gives an empty one of tag 0. */
static inline struct cursor element(struct cursor *c, uint8_t *tag)
{
	const uint8_t *at = c->at;

	if (c->end - at < 2 || at[1] > 0x7f || at[1] > c->end - at - 2)
		return long_element(c, tag);
	*tag = at[0];
	c->at = at + 2 + at[1];
	return (struct cursor){at + 2, c->at, false};
}

static inline struct cursor enter(struct cursor *c, uint8_t wanted)
{
	uint8_t tag;
	struct cursor in = element(c, &tag);

	if (tag != wanted)
		c->failed = true;
	return in;
}

/* Signed, of at most eight bytes; what is longer keeps its last ones. */
static int64_t signed_of(const struct cursor *c)
{
	uint64_t number = c->at < c->end && *c->at > 0x7f ? UINT64_MAX : 0;

	for (const uint8_t *at = c->at; at < c->end; at++)
		number = number << 8 | *at;
	return (int64_t)number;
}

static uint64_t unsigned_of(const struct cursor *c)
{
	uint64_t number = 0;

	for (const uint8_t *at = c->at; at < c->end; at++)
		number = number << 8 | *at;
	return number;
}

int snmp_packet_decode(const uint8_t *data, size_t len, uint32_t id, struct snmp_packet *p)
{
	struct cursor whole = cursor_over(data, len), message = enter(&whole, TAG_SEQUENCE), pdu, in;
	uint8_t tag;
	bool is_ours;

	in = enter(&message, TAG_INTEGER);
	is_ours = signed_of(&in) == VERSION_2C;
	enter(&message, TAG_OCTETS);
	pdu = enter(&message, TAG_RESPONSE);
	in = enter(&pdu, TAG_INTEGER);
	is_ours = is_ours && signed_of(&in) == (int64_t)id;
	in = enter(&pdu, TAG_INTEGER);
	p->status = (long)signed_of(&in);
	in = enter(&pdu, TAG_INTEGER);
	p->index = (long)signed_of(&in);
	p->varbinds = in = enter(&pdu, TAG_SEQUENCE);
	while (in.at < in.end) {
		struct cursor varbind = enter(&in, TAG_SEQUENCE);

		enter(&varbind, TAG_OID);
		element(&varbind, &tag);
		in.failed |= varbind.failed;
	}
	return is_ours && !whole.failed && !message.failed && !pdu.failed && !in.failed ? 0 : -1;
}

/* The rest of a part whose first byte is not its last; NULL: it has no end. */
static const uint8_t *read_long_part(const uint8_t *at, const uint8_t *end, uint32_t *part)
{
	*part &= 0x7f;
	while (at < end) {
		*part = *part << 7 | (*at & 0x7f);
		if (*at++ <= 0x7f)
			return at;
	}
	return NULL;
}

/* The first is two parts in one. What does not fit is cut. */
static void read_name(const struct cursor *c, struct snmp_oid *out)
{
	const uint8_t *at = c->at, *const end = c->end;
	uint32_t *to = out->part + 1, *const room = out->part + SNMP_OID_MAX;

	out->len = 0;
	while (at < end && to < room) {
		uint32_t part = *at++;

		if (part > 0x7f) {
			at = read_long_part(at, end, &part);
			if (at == NULL)
				break;
		}
		*to++ = part;
	}
	if (to == out->part + 1)
		return;
	out->part[0] = out->part[1] < 80 ? out->part[1] / 40 : 2;
	out->part[1] -= 40 * out->part[0];
	out->len = (size_t)(to - out->part);
}

/* What net-snmp's agents wrap a float in: its own tag of two bytes, its length, its bytes. */
static void read_opaque(const struct cursor *c, struct snmp_value *out)
{
	const uint64_t bits = unsigned_of(&(const struct cursor){c->at + 3 < c->end ? c->at + 3 : c->end, c->end, false});
	const uint32_t half = (uint32_t)bits;
	float small;

	out->kind = SNMP_KIND_REAL;
	if (cursor_left(c) == 7 && memcmp(c->at, "\x9f\x78\x04", 3) == 0) {
		memcpy(&small, &half, sizeof small);
		out->real = (double)small;
	} else if (cursor_left(c) == 11 && memcmp(c->at, "\x9f\x79\x08", 3) == 0) {
		memcpy(&out->real, &bits, sizeof bits);
	} else {
		out->kind = SNMP_KIND_OTHER;
	}
}

static void read_value(uint8_t tag, const struct cursor *c, struct snmp_value *out)
{
	*out = (struct snmp_value){.kind = SNMP_KIND_OTHER};
	switch (tag) {
	case TAG_INTEGER:
		out->kind = SNMP_KIND_INTEGER;
		out->integer = signed_of(c);
		break;
	case TAG_COUNTER32:
		out->kind = SNMP_KIND_COUNTER32;
		out->number = (uint32_t)unsigned_of(c);
		break;
	case TAG_GAUGE32:
	case TAG_TICKS:
	case TAG_UNSIGNED32:
		out->kind = SNMP_KIND_UNSIGNED;
		out->number = (uint32_t)unsigned_of(c);
		break;
	case TAG_COUNTER64:
		out->kind = SNMP_KIND_COUNTER64;
		out->number = unsigned_of(c);
		break;
	case TAG_OPAQUE:
		read_opaque(c, out);
		break;
	case TAG_OCTETS:
		out->kind = SNMP_KIND_TEXT;
		out->text = (const char *)c->at;
		out->text_len = cursor_left(c);
		break;
	case TAG_NO_OBJECT:
		out->kind = SNMP_KIND_NO_OBJECT;
		break;
	case TAG_NO_INSTANCE:
		out->kind = SNMP_KIND_NO_INSTANCE;
		break;
	case TAG_END:
		out->kind = SNMP_KIND_END;
		break;
	default:
		break;
	}
}

int snmp_packet_next(struct snmp_packet *p, struct snmp_oid *name, struct snmp_value *v)
{
	struct cursor varbind, in;
	uint8_t tag;

	if (p->varbinds.at >= p->varbinds.end)
		return 0;
	varbind = enter(&p->varbinds, TAG_SEQUENCE);
	in = enter(&varbind, TAG_OID);
	read_name(&in, name);
	in = element(&varbind, &tag);
	read_value(tag, &in, v);
	return 1;
}
