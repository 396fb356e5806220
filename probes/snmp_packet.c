#include "probes/snmp_packet.h"

#include <string.h>

#include "probes/snmp_device.h"

enum { TAG_INTEGER = 0x02, TAG_OCTETS = 0x04, TAG_NULL = 0x05, TAG_OID = 0x06, TAG_SEQUENCE = 0x30, TAG_COUNTER32 = 0x41,
	TAG_GAUGE32 = 0x42, TAG_TICKS = 0x43, TAG_OPAQUE = 0x44, TAG_COUNTER64 = 0x46, TAG_UNSIGNED32 = 0x47,
	TAG_NO_OBJECT = 0x80, TAG_NO_INSTANCE = 0x81, TAG_END = 0x82, TAG_GET = 0xa0, TAG_RESPONSE = 0xa2, TAG_BULK = 0xa5 };
enum { VERSION_2C = 1 };

/* ---- a request */

static void put_head(struct buf *out, uint8_t tag, size_t len)
{
	buf_add_u8(out, tag);
	if (len > 0xff)
		buf_add_u8(out, 0x82);
	else if (len > 0x7f)
		buf_add_u8(out, 0x81);
	if (len > 0xff)
		buf_add_u8(out, (uint8_t)(len >> 8));
	buf_add_u8(out, (uint8_t)len);
}

static size_t head_len(size_t len)
{
	return len > 0xff ? 4 : len > 0x7f ? 3 : 2;
}

/* Always of four bytes, so that lengths are known before. */
static void put_number(struct buf *out, uint32_t number)
{
	const uint8_t bytes[] = {TAG_INTEGER, 4, (uint8_t)(number >> 24), (uint8_t)(number >> 16), (uint8_t)(number >> 8),
		(uint8_t)number};

	buf_add(out, bytes, sizeof bytes);
}

#define NUMBER_LEN 6

static uint8_t *put_part(uint8_t *at, uint32_t part)
{
	for (int shift = 28; shift > 0; shift -= 7) {
		if (part >> shift != 0)
			*at++ = (uint8_t)(0x80 | (part >> shift & 0x7f));
	}
	*at++ = part & 0x7f;
	return at;
}

static void put_varbind(struct buf *out, const struct snmp_oid *name)
{
	uint8_t bytes[5 * SNMP_OID_MAX], *at = bytes;
	size_t len;

	at = put_part(at, name->part[0] * 40 + (name->len > 1 ? name->part[1] : 0));
	for (size_t i = 2; i < name->len; i++)
		at = put_part(at, name->part[i]);
	len = (size_t)(at - bytes);
	put_head(out, TAG_SEQUENCE, head_len(len) + len + 2);
	put_head(out, TAG_OID, len);
	buf_add(out, bytes, len);
	buf_add(out, "\x05", 2); /* and its length, 0 */
}

void snmp_packet_encode(struct buf *out, struct buf *room, const char *community, uint32_t id, const struct snmp_request *q)
{
	const size_t community_len = strlen(community);
	size_t pdu_len;

	buf_clear(room);
	for (size_t i = 0; i < q->count; i++)
		put_varbind(room, &q->oids[i]);
	pdu_len = 3 * NUMBER_LEN + head_len(room->len) + room->len;
	buf_clear(out);
	put_head(out, TAG_SEQUENCE, NUMBER_LEN + head_len(community_len) + community_len + head_len(pdu_len) + pdu_len);
	put_number(out, VERSION_2C);
	put_head(out, TAG_OCTETS, community_len);
	buf_add(out, community, community_len);
	put_head(out, q->is_bulk ? TAG_BULK : TAG_GET, pdu_len);
	put_number(out, id);
	put_number(out, q->is_bulk ? 1 : 0); /* of a bulk what does not repeat, else the error status */
	put_number(out, q->is_bulk ? q->repetitions : 0);
	put_head(out, TAG_SEQUENCE, room->len);
	buf_add(out, room->data, room->len);
}

/* ---- an answer */

/* The contents of the next element and its tag; a cursor that has failed gives an empty one of tag 0. */
static struct cursor element(struct cursor *c, uint8_t *tag)
{
	size_t left = cursor_left(c), len, head = 2;
	const uint8_t *at = c->at;

	*tag = 0;
	if (left < 2)
		goto failed;
	len = at[1];
	if (len > 0x7f) { /* in as many bytes as that says; agents do not always write the shortest */
		size_t count = len & 0x7f;

		if (count < 1 || count > 4 || left < 2 + count)
			goto failed;
		len = 0;
		for (size_t i = 0; i < count; i++)
			len = len << 8 | at[2 + i];
		head += count;
	}
	if (len > left - head)
		goto failed;
	*tag = at[0];
	c->at = at + head + len;
	return (struct cursor){at + head, at + head + len, false};
failed:
	c->failed = true;
	c->at = c->end;
	return (struct cursor){c->end, c->end, true};
}

static struct cursor enter(struct cursor *c, uint8_t wanted)
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

/* The first byte is two parts in one. What does not fit is cut. */
static void read_name(const struct cursor *c, struct snmp_oid *out)
{
	uint32_t part = 0;
	size_t n = 0;

	for (const uint8_t *at = c->at; at < c->end && n < SNMP_OID_MAX; at++) {
		part = part << 7 | (*at & 0x7f);
		if (*at > 0x7f)
			continue;
		if (n == 0) {
			out->part[n++] = part < 80 ? part / 40 : 2;
			part -= 40 * out->part[0];
		}
		out->part[n++] = part;
		part = 0;
	}
	out->len = n;
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
