#include "agent/trap_ber.h"

struct cursor trap_ber_enter(struct cursor *c, uint8_t tag)
{
	uint8_t got = cursor_u8(c), first = cursor_u8(c);
	size_t len = first;
	const uint8_t *data;

	if (first == 0x81) {
		len = cursor_u8(c);
	} else if (first == 0x82) {
		len = (size_t)cursor_u8(c) << 8;
		len |= cursor_u8(c);
	} else if (first > 0x7f) {
		c->failed = true;
	}
	data = cursor_bytes(c, c->failed ? 0 : len);
	if (c->failed || data == NULL || got != tag) {
		c->failed = true;
		return cursor_over("", 0);
	}
	return cursor_over(data, len);
}

int64_t trap_ber_number(struct cursor *c)
{
	struct cursor in = trap_ber_enter(c, BER_INTEGER);
	size_t len = cursor_left(&in);
	int64_t number = 0;

	if (c->failed || len < 1 || len > 4 || *in.at > 0x7f)
		return -1;
	while (cursor_left(&in) > 0)
		number = number << 8 | cursor_u8(&in);
	return number;
}

void trap_ber_put(struct buf *out, uint8_t tag, const void *data, size_t len)
{
	buf_add_u8(out, tag);
	if (len > 0xff)
		buf_add_u8(out, 0x82);
	else if (len > 0x7f)
		buf_add_u8(out, 0x81);
	if (len > 0xff)
		buf_add_u8(out, (uint8_t)(len >> 8));
	buf_add_u8(out, (uint8_t)len);
	buf_add(out, data, len);
}

void trap_ber_put_number(struct buf *out, uint8_t tag, uint32_t number)
{
	uint8_t bytes[4];
	size_t n = 1;

	while (n < 4 && number >> (8 * n - 1) != 0)
		n++;
	for (size_t i = 0; i < n; i++)
		bytes[i] = (uint8_t)(number >> (8 * (n - 1 - i)));
	trap_ber_put(out, tag, bytes, n);
}
