/*
 * snmp_device: a device with many interfaces that answers SNMP v2c GETNEXT and GETBULK as fast as may be: for benches, where
 * a real agent would be what is measured. Answers on one address and port until it is killed.
 *
 *   snmp_device ADDRESS PORT INTERFACES [DELAY_MS [ANSWERS]]
 *
 * A slow one takes DELAY_MS for each answer; one of few words gives ANSWERS of them.
 * It has sysUpTime and those columns of ifTable and ifXTable that the snmp type reads. Limit: 100 interfaces, so that each
 * number of a name is one byte and names are in the order of their bytes.
 */
#include <arpa/inet.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/socket.h>
#include <time.h>

#include "lib/buf.h"
#include "lib/mem.h"

#define NAME_MAX 20
#define VALUE_MAX 40
#define ASKED_MAX 64

enum { INTEGER = 2, OCTETS = 4, OID = 6, SEQUENCE = 0x30, GAUGE = 0x42, TICKS = 0x43, COUNTER = 0x41, COUNTER64 = 0x46,
	END = 0x82, GETNEXT = 0xa1, RESPONSE = 0xa2, GETBULK = 0xa5 };

struct object {
	size_t name_len, value_len;
	uint8_t name[NAME_MAX], value[VALUE_MAX]; /* the value with its tag */
};

struct device {
	struct object *objects; /* sorted */
	size_t count;
};

/* ---- what it has */

static struct object *add(struct device *d, const uint8_t *prefix, size_t len, uint8_t column, uint8_t index)
{
	struct object *o = &d->objects[d->count++];

	memcpy(o->name, prefix, len);
	o->name[len] = column;
	o->name[len + 1] = index;
	o->name_len = len + 2;
	return o;
}

static void set_number(struct object *o, uint8_t tag, uint64_t number)
{
	size_t n = 1;

	while (n < 9 && (n == 8 ? 0 : number >> (8 * n - 1)) != 0)
		n++;
	o->value[0] = tag;
	o->value[1] = (uint8_t)n;
	for (size_t i = 0; i < n; i++)
		o->value[2 + i] = (uint8_t)(n - 1 - i > 7 ? 0 : number >> (8 * (n - 1 - i)));
	o->value_len = 2 + n;
}

static void set_text(struct object *o, uint8_t index)
{
	int n = snprintf((char *)o->value + 2, VALUE_MAX - 2, "GigabitEthernet0/0/%u", index);

	o->value[0] = OCTETS;
	o->value[1] = (uint8_t)n;
	o->value_len = 2 + (size_t)n;
}

static void make_objects(struct device *d, unsigned interfaces)
{
	static const uint8_t up[] = {0x2b, 6, 1, 2, 1, 1}, table[] = {0x2b, 6, 1, 2, 1, 2, 2, 1},
		more[] = {0x2b, 6, 1, 2, 1, 31, 1, 1, 1};
	static const uint8_t columns[][2] = {{2, OCTETS}, {5, GAUGE}, {7, INTEGER}, {8, INTEGER}, {10, COUNTER}, {13, COUNTER},
		{14, COUNTER}, {16, COUNTER}, {19, COUNTER}, {20, COUNTER}};
	static const uint8_t columns_x[][2] = {{1, OCTETS}, {6, COUNTER64}, {10, COUNTER64}, {15, GAUGE}, {18, OCTETS},
		{19, TICKS}};

	d->objects = mem_array(1 + 16 * (size_t)interfaces, sizeof *d->objects);
	set_number(add(d, up, sizeof up, 3, 0), TICKS, 0);
	for (int x = 0; x < 2; x++) {
		size_t n = x ? sizeof columns_x / 2 : sizeof columns / 2;

		for (size_t c = 0; c < n; c++) {
			const uint8_t *column = x ? columns_x[c] : columns[c];

			for (unsigned i = 1; i <= interfaces; i++) {
				struct object *o = add(d, x ? more : table, x ? sizeof more : sizeof table, column[0], (uint8_t)i);

				if (column[1] == OCTETS)
					set_text(o, (uint8_t)i);
				else
					set_number(o, column[1], column[1] == INTEGER ? 1 : column[1] == GAUGE ? 1000
						: column[1] == TICKS ? 0 : 123456789ull * i);
			}
		}
	}
}

/* ---- requests and answers */

static struct cursor enter(struct cursor *c, uint8_t *tag)
{
	size_t len;
	uint8_t first;

	*tag = cursor_u8(c);
	first = cursor_u8(c);
	len = first == 0x81 ? cursor_u8(c) : first;
	if (first == 0x82) {
		len = (size_t)cursor_u8(c) << 8;
		len |= cursor_u8(c);
	}
	return cursor_over(cursor_bytes(c, len), c->failed ? 0 : len);
}

static unsigned number(struct cursor *c)
{
	uint8_t tag;
	struct cursor in = enter(c, &tag);
	unsigned n = 0;

	while (cursor_left(&in) > 0)
		n = n << 8 | cursor_u8(&in);
	return n;
}

static size_t next_of(const struct device *d, const uint8_t *name, size_t len)
{
	size_t low = 0, high = d->count;

	while (low < high) {
		size_t middle = (low + high) / 2;
		const struct object *o = &d->objects[middle];
		int order = memcmp(o->name, name, o->name_len < len ? o->name_len : len);

		if (order < 0 || (order == 0 && o->name_len <= len))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void add_head(struct buf *out, uint8_t tag, size_t len)
{
	buf_add_u8(out, tag);
	buf_add_u8(out, 0x82);
	buf_add_u8(out, (uint8_t)(len >> 8));
	buf_add_u8(out, (uint8_t)len);
}

static void add_varbind(struct buf *out, const uint8_t *name, size_t name_len, const uint8_t *value, size_t value_len)
{
	buf_add_u8(out, SEQUENCE);
	buf_add_u8(out, (uint8_t)(2 + name_len + value_len));
	buf_add_u8(out, OID);
	buf_add_u8(out, (uint8_t)name_len);
	buf_add(out, name, name_len);
	buf_add(out, value, value_len);
}

/* The varbinds that answer: those at the places, which go on. */
static void add_row(const struct device *d, size_t *at, size_t from, size_t count, struct buf *out)
{
	static const uint8_t end[] = {END, 0};

	for (size_t i = from; i < count; i++) {
		if (at[i] < d->count) {
			const struct object *o = &d->objects[at[i]++];

			add_varbind(out, o->name, o->name_len, o->value, o->value_len);
		} else {
			add_varbind(out, (const uint8_t *)"\x2b\x06", 2, end, sizeof end);
		}
	}
}

/* False: not a request that it knows. */
static bool answer(const struct device *d, const uint8_t *data, size_t len, struct buf *rows, struct buf *out)
{
	struct cursor whole = cursor_over(data, len), message, pdu, id, all, community;
	size_t at[ASKED_MAX], count = 0;
	unsigned once, repetitions;
	uint8_t tag, ignored;

	message = enter(&whole, &ignored);
	number(&message);
	community = enter(&message, &ignored);
	pdu = enter(&message, &tag);
	if (message.failed || (tag != GETBULK && tag != GETNEXT))
		return false;
	id = enter(&pdu, &ignored);
	once = number(&pdu);
	repetitions = number(&pdu);
	all = enter(&pdu, &ignored);
	while (cursor_left(&all) > 0 && count < ASKED_MAX) {
		struct cursor varbind = enter(&all, &ignored), name = enter(&varbind, &ignored);

		at[count++] = next_of(d, name.at, cursor_left(&name));
	}
	if (pdu.failed || all.failed)
		return false;
	if (tag == GETNEXT)
		once = (unsigned)count;
	buf_clear(rows);
	add_row(d, at, 0, once < count ? once : count, rows);
	for (unsigned r = 0; tag == GETBULK && r < repetitions && rows->len < 1350; r++)
		add_row(d, at, once, count, rows);
	buf_clear(out);
	add_head(out, SEQUENCE, 3 + 2 + cursor_left(&community) + 4 + 2 + cursor_left(&id) + 6 + 4 + rows->len);
	buf_add(out, "\2\1\1", 3);
	buf_add_u8(out, OCTETS);
	buf_add_u8(out, (uint8_t)cursor_left(&community));
	buf_add(out, community.at, cursor_left(&community));
	add_head(out, RESPONSE, 2 + cursor_left(&id) + 6 + 4 + rows->len);
	buf_add_u8(out, INTEGER);
	buf_add_u8(out, (uint8_t)cursor_left(&id));
	buf_add(out, id.at, cursor_left(&id));
	buf_add(out, "\2\1\0\2\1\0", 6);
	add_head(out, SEQUENCE, rows->len);
	buf_add(out, rows->data, rows->len);
	return true;
}

static int serve(const struct device *d, int fd, long delay_ms, long answers)
{
	struct buf rows = {0}, out = {0};

	for (;;) {
		struct sockaddr_in from;
		socklen_t from_len = sizeof from;
		uint8_t packet[4096];
		struct timespec now;
		ssize_t n = recvfrom(fd, packet, sizeof packet, 0, (struct sockaddr *)&from, &from_len);

		if (n < 0)
			return 1;
		clock_gettime(CLOCK_MONOTONIC, &now);
		set_number(&d->objects[0], TICKS, (uint32_t)(now.tv_sec * 100 + now.tv_nsec / 10000000));
		if (delay_ms > 0) /* nothing to sleep is a twentieth of a millisecond to the kernel */
			nanosleep(&(struct timespec){delay_ms / 1000, delay_ms % 1000 * 1000000}, NULL);
		if (answers-- > 0 && answer(d, packet, (size_t)n, &rows, &out))
			sendto(fd, out.data, out.len, 0, (struct sockaddr *)&from, from_len);
	}
}

int main(int argc, char **argv)
{
	struct sockaddr_in at = {.sin_family = AF_INET};
	struct device d = {0};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	unsigned interfaces = argc >= 4 && argc <= 6 ? (unsigned)atoi(argv[3]) : 0;

	if (interfaces < 1 || interfaces > 100 || inet_pton(AF_INET, argv[1], &at.sin_addr) != 1) {
		fprintf(stderr, "usage: snmp_device ADDRESS PORT INTERFACES (1 to 100) [DELAY_MS [ANSWERS]]\n");
		return 2;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	at.sin_port = htons((uint16_t)atoi(argv[2]));
	if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0) {
		perror("snmp_device");
		return 1;
	}
	make_objects(&d, interfaces);
	return serve(&d, fd, argc > 4 ? atol(argv[4]) : 0, argc > 5 ? atol(argv[5]) : INT32_MAX);
}
