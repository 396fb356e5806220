#include "agent/bus_packet.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "probes/host/systemd.h"

enum { CALL = 1, RETURN = 2, FAILURE = 3 };
enum { FIELD_PATH = 1, FIELD_INTERFACE, FIELD_MEMBER, FIELD_ERROR, FIELD_REPLY, FIELD_DESTINATION, FIELD_SENDER, FIELD_SIGNATURE };
enum { SERIAL_HELLO = 1, SERIAL_FAILED, SERIAL_NAMED };
#define NO_AUTO_START 2
#define HEAD 16 /* bytes up to the fields of a message */
#define FIELDS_MAX 4096
#define UNITS_SIGNATURE "a(ssssssouso)"

/* ---- what is asked */

static void pad(struct buf *b, size_t start, size_t to)
{
	while ((b->len - start) % to != 0)
		buf_add_u8(b, 0);
}

static void put_text(struct buf *b, size_t start, const char *text)
{
	pad(b, start, 4);
	buf_add_u32(b, (uint32_t)strlen(text));
	buf_add(b, text, strlen(text) + 1);
}

static void put_field(struct buf *b, size_t start, uint8_t code, char kind, const char *text)
{
	const char signature[] = {1, kind, '\0'};

	pad(b, start, 8);
	buf_add_u8(b, code);
	buf_add(b, signature, sizeof signature);
	if (kind != 'g') {
		put_text(b, start, text);
		return;
	}
	buf_add_u8(b, (uint8_t)strlen(text));
	buf_add(b, text, strlen(text) + 1);
}

static void set_u32(struct buf *b, size_t at, size_t value)
{
	for (size_t i = 0; i < 4; i++)
		b->data[at + i] = (uint8_t)(value >> 8 * i);
}

static void put_head(struct buf *b, uint32_t serial, const char *service, const char *path, const char *interface,
	const char *member, bool has_list)
{
	const uint8_t head[] = {'l', CALL, NO_AUTO_START, 1, 0, 0, 0, 0};
	size_t start = b->len, fields;

	buf_add(b, head, sizeof head);
	buf_add_u32(b, serial);
	buf_add_u32(b, 0);
	fields = b->len;
	put_field(b, start, FIELD_PATH, 'o', path);
	put_field(b, start, FIELD_DESTINATION, 's', service);
	put_field(b, start, FIELD_INTERFACE, 's', interface);
	put_field(b, start, FIELD_MEMBER, 's', member);
	if (has_list)
		put_field(b, start, FIELD_SIGNATURE, 'g', "as");
	set_u32(b, start + 12, b->len - fields);
	pad(b, start, 8);
}

static void put_list_call(struct buf *b, uint32_t serial, const char *member, const char *const *texts, size_t count)
{
	size_t start = b->len, body;

	put_head(b, serial, "org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager", member,
		true);
	body = b->len;
	buf_add_u32(b, 0);
	for (size_t i = 0; i < count; i++)
		put_text(b, body, texts[i]);
	set_u32(b, body, b->len - body - 4);
	set_u32(b, start + 4, b->len - body);
}

void bus_put_questions(struct buf *b, uid_t uid, const char *const *names, size_t count)
{
	static const char *const failed[] = {"failed"};
	char digits[16];

	snprintf(digits, sizeof digits, "%lu", (unsigned long)uid);
	buf_add_u8(b, 0);
	buf_add_text(b, "AUTH EXTERNAL ");
	for (const char *d = digits; *d != '\0'; d++)
		buf_add_format(b, "%02x", (unsigned)*d);
	buf_add_text(b, "\r\nBEGIN\r\n");
	put_head(b, SERIAL_HELLO, "org.freedesktop.DBus", "/org/freedesktop/DBus", "org.freedesktop.DBus", "Hello", false);
	put_list_call(b, SERIAL_FAILED, "ListUnitsFiltered", failed, 1);
	if (count > 0)
		put_list_call(b, SERIAL_NAMED, "ListUnitsByNames", names, count);
}

/* ---- what comes back */

/* Of a message; alignment counts from its start, that of a body from the body's. */
struct reader {
	const uint8_t *start;
	struct cursor c;
};

struct message {
	uint8_t type;
	uint32_t reply_to;
	char signature[32], error[80];
	struct reader body;
};

static void skip_to(struct reader *r, size_t to)
{
	while (!r->c.failed && (size_t)(r->c.at - r->start) % to != 0)
		cursor_u8(&r->c);
}

/* A text as "s" and "o" have it, cut where there is no more room; out NULL: passed over. */
static void read_text(struct reader *r, char *out, size_t room)
{
	const uint8_t *bytes;
	uint32_t len;

	skip_to(r, 4);
	len = cursor_u32(&r->c);
	bytes = cursor_bytes(&r->c, len);
	if (cursor_u8(&r->c) != 0)
		r->c.failed = true;
	if (out == NULL)
		return;
	out[0] = '\0';
	if (r->c.failed || bytes == NULL)
		return;
	len = len < room ? len : (uint32_t)room - 1;
	memcpy(out, bytes, len);
	out[len] = '\0';
}

static void read_signature(struct reader *r, char *out, size_t room)
{
	uint8_t len = cursor_u8(&r->c);
	const uint8_t *bytes = cursor_bytes(&r->c, len);

	if (cursor_u8(&r->c) != 0 || bytes == NULL || len >= room) {
		r->c.failed = true;
		return;
	}
	memcpy(out, bytes, len);
	out[len] = '\0';
}

/* All that are known hold one text, signature or number. */
static void read_field(struct reader *r, struct message *m)
{
	uint8_t code;
	char kind[2] = "";
	uint32_t number;

	skip_to(r, 8);
	code = cursor_u8(&r->c);
	read_signature(r, kind, sizeof kind);
	switch (kind[0]) {
	case 's':
	case 'o':
		read_text(r, code == FIELD_ERROR ? m->error : NULL, sizeof m->error);
		break;
	case 'g':
		read_signature(r, m->signature, sizeof m->signature);
		break;
	case 'u':
		skip_to(r, 4);
		number = cursor_u32(&r->c);
		if (code == FIELD_REPLY)
			m->reply_to = number;
		break;
	default:
		r->c.failed = true;
	}
}

/* Takes the next message. 1: taken; 0: it is not whole; -1: none of the protocol. */
static int take_message(struct cursor *all, struct message *m)
{
	const uint8_t *start = all->at;
	struct cursor head = *all;
	struct reader fields;
	uint32_t body_len, fields_len;
	size_t len;

	if (cursor_left(all) < HEAD)
		return 0;
	*m = (struct message){.type = start[1]};
	if (cursor_u8(&head) != 'l' || start[3] != 1)
		return -1;
	cursor_bytes(&head, 3);
	body_len = cursor_u32(&head);
	cursor_u32(&head);
	fields_len = cursor_u32(&head);
	if (body_len > BUS_ANSWER_MAX || fields_len > FIELDS_MAX)
		return -1;
	len = HEAD + (fields_len + 7) / 8 * 8;
	if (cursor_left(all) < len + body_len)
		return 0;
	fields = (struct reader){start, cursor_over(start + HEAD, fields_len)};
	while (!fields.c.failed && cursor_left(&fields.c) > 0)
		read_field(&fields, m);
	m->body = (struct reader){start + len, cursor_over(start + len, body_len)};
	cursor_bytes(all, len + body_len);
	return fields.c.failed ? -1 : 1;
}

static void read_unit(struct reader *r, struct systemd_unit *u)
{
	skip_to(r, 8);
	read_text(r, u->name, sizeof u->name);
	read_text(r, NULL, 0);
	read_text(r, u->load, sizeof u->load);
	read_text(r, u->active, sizeof u->active);
	read_text(r, u->sub, sizeof u->sub);
	read_text(r, NULL, 0);
	read_text(r, NULL, 0);
	skip_to(r, 4);
	cursor_u32(&r->c);
	read_text(r, NULL, 0);
	read_text(r, NULL, 0);
}

/* How many there are; the first `most` of them are kept. -1: not of that form. */
static int read_units(const struct message *m, struct systemd_unit *units, size_t most)
{
	struct reader r = m->body;
	struct systemd_unit beyond;
	uint32_t len = cursor_u32(&r.c);
	size_t count = 0;

	if (strcmp(m->signature, UNITS_SIGNATURE) != 0)
		return -1;
	skip_to(&r, 8);
	if (r.c.failed || len != cursor_left(&r.c))
		return -1;
	while (!r.c.failed && cursor_left(&r.c) > 0) {
		read_unit(&r, count < most ? &units[count] : &beyond);
		count++;
	}
	return r.c.failed ? -1 : (int)count;
}

static int refused(const struct message *m, struct err *e)
{
	struct reader r = m->body;
	char words[160] = "";

	if (strcmp(m->error, "org.freedesktop.DBus.Error.UnknownMethod") == 0 && m->reply_to == SERIAL_NAMED)
		return err_set(e, "systemd is older than 230 here: it cannot be asked for named units");
	if (m->signature[0] == 's')
		read_text(&r, words, sizeof words);
	return err_set(e, "systemd does not answer: %s", words[0] != '\0' ? words : m->error);
}

/* An answer to one of our calls; others, and signals, are of no interest. */
static int read_message(const struct message *m, size_t names, struct systemd_units *out, unsigned *got, struct err *e)
{
	int count;

	if ((m->type != RETURN && m->type != FAILURE) || m->reply_to < SERIAL_HELLO || m->reply_to > SERIAL_NAMED)
		return 0;
	if (m->type == FAILURE)
		return refused(m, e);
	if (m->reply_to == SERIAL_HELLO)
		return 0;
	count = m->reply_to == SERIAL_FAILED ? read_units(m, out->failed, SYSTEMD_FAILED_MAX)
		: read_units(m, out->named, SYSTEMD_NAMES_MAX);
	if (count < 0 || (m->reply_to == SERIAL_NAMED && (size_t)count > names))
		return err_set(e, "the system bus answers in a form that is not known");
	if (m->reply_to == SERIAL_FAILED)
		out->failed_count = (uint32_t)count;
	else
		out->named_count = (uint32_t)count;
	*got |= 1u << m->reply_to;
	return 0;
}

/* The line of the authentication. */
static enum bus_end take_line(struct cursor *all, struct err *e)
{
	const uint8_t *end = memchr(all->at, '\n', cursor_left(all));
	size_t len = end != NULL ? (size_t)(end - all->at) + 1 : 0;

	if (end == NULL && cursor_left(all) < 512)
		return BUS_MORE;
	if (len < 3 || memcmp(all->at, "OK ", 3) != 0) {
		err_set(e, "the system bus does not let us in");
		return BUS_BROKEN;
	}
	cursor_bytes(all, len);
	return BUS_DONE;
}

enum bus_end bus_read_answers(const void *data, size_t len, size_t names, struct systemd_units *out, struct err *e)
{
	const unsigned wanted = 1u << SERIAL_FAILED | (names > 0 ? 1u << SERIAL_NAMED : 0);
	struct cursor all = cursor_over(data, len);
	enum bus_end line = len > 0 ? take_line(&all, e) : BUS_MORE;
	struct message m;
	unsigned got = 0;
	int status = 0;

	if (line != BUS_DONE)
		return line;
	memset(out, 0, sizeof *out);
	while (got != wanted && (status = take_message(&all, &m)) > 0) {
		if (read_message(&m, names, out, &got, e) < 0)
			return BUS_BROKEN;
	}
	if (status < 0)
		err_set(e, "the system bus does not speak D-Bus as it is known");
	return status < 0 ? BUS_BROKEN : got == wanted ? BUS_DONE : BUS_MORE;
}
