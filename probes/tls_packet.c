#include "probes/tls_packet.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "probes/tls_suites.h"

enum { RECORD_ALERT = 21, RECORD_HANDSHAKE = 22 };
enum { SERVER_HELLO = 2, CERTIFICATE = 11, SERVER_HELLO_DONE = 14 };
enum { SUPPORTED_VERSIONS = 43 };
#define RECORD_MAX (16384u + 2048u)
#define HEAD 5 /* bytes of a record before its content */

/* ---- numbers, the first byte the highest */

static void add16(struct buf *b, unsigned v)
{
	buf_add_u8(b, (uint8_t)(v >> 8));
	buf_add_u8(b, (uint8_t)v);
}

static uint16_t get16(struct cursor *c)
{
	unsigned high = cursor_u8(c);

	return (uint16_t)(high << 8 | cursor_u8(c));
}

static uint32_t get24(struct cursor *c)
{
	uint32_t high = cursor_u8(c);

	return high << 16 | get16(c);
}

/* A cursor over the next bytes, which c leaves behind; empty when there are not that many. */
static struct cursor enter(struct cursor *c, size_t len)
{
	const uint8_t *at = cursor_bytes(c, len);

	return cursor_over(at, at != NULL ? len : 0);
}

/* A length that is known once what it counts stands there. */
static size_t begin_length(struct buf *b, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		buf_add_u8(b, 0);
	return b->len;
}

static void end_length(struct buf *b, size_t from, size_t bytes)
{
	size_t n = b->len - from;

	for (size_t i = 1; i <= bytes; i++, n >>= 8)
		b->data[from - i] = (uint8_t)n;
	assert(n == 0);
}

/* ---- the hello */

static void add_list16(struct buf *b, const uint16_t *items, size_t count)
{
	size_t from = begin_length(b, 2);

	for (size_t i = 0; i < count; i++)
		add16(b, items[i]);
	end_length(b, from, 2);
}

static void add_server_name(struct buf *b, const char *name)
{
	size_t extension, list, entry;

	add16(b, 0); /* server_name, RFC 6066 */
	extension = begin_length(b, 2);
	list = begin_length(b, 2);
	buf_add_u8(b, 0); /* host_name */
	entry = begin_length(b, 2);
	buf_add_text(b, name);
	end_length(b, entry, 2);
	end_length(b, list, 2);
	end_length(b, extension, 2);
}

static void add_extension16(struct buf *b, unsigned type, const uint16_t *items, size_t count)
{
	size_t from;

	add16(b, type);
	from = begin_length(b, 2);
	add_list16(b, items, count);
	end_length(b, from, 2);
}

static void add_extension(struct buf *b, unsigned type, const void *data, size_t len)
{
	add16(b, type);
	add16(b, (unsigned)len);
	buf_add(b, data, len);
}

static void add_key_share(struct buf *b, const uint8_t share[32])
{
	add16(b, 51);
	add16(b, 2 + 4 + 32);
	add16(b, 4 + 32);
	add16(b, 29); /* x25519: any 32 bytes are a public key */
	add16(b, 32);
	buf_add(b, share, 32);
}

static void add_tls_extensions(struct buf *b, const struct tls_hello *h)
{
	static const uint16_t groups[] = {29, 23, 24, 25, 30, 41, 28, 27, 26, 256, 257, 258};
	static const uint16_t algorithms[] = {0x0403, 0x0804, 0x0401, 0x0503, 0x0805, 0x0501, 0x0603, 0x0806, 0x0601,
		0x0807, 0x0808, 0x0809, 0x080a, 0x080b, 0x0708, 0x0402, 0x0303, 0x0301, 0x0203, 0x0201, 0x0202};

	add_extension16(b, 10, groups, sizeof groups / sizeof *groups);
	add_extension(b, 11, "\1\0", 2); /* points are not compressed */
	if (h->version >= TLS_V_1_2)
		add_extension16(b, 13, algorithms, sizeof algorithms / sizeof *algorithms);
	add_extension(b, 23, "", 0);        /* extended_master_secret */
	add_extension(b, 0xff01, "\0", 1); /* renegotiation_info */
	if (h->version < TLS_V_1_3)
		return;
	add_extension(b, SUPPORTED_VERSIONS, "\2\3\4", 3);
	add_extension(b, 45, "\1\1", 2); /* psk_dhe_ke */
	add_key_share(b, h->random + 64);
}

/* TLCP knows extensions since GM/T 0024-2023; a server that serves several names needs this one. */
static void add_extensions(struct buf *b, const struct tls_hello *h)
{
	size_t from;

	if (h->version == TLS_V_TLCP && *h->server_name == '\0')
		return;
	from = begin_length(b, 2);
	if (*h->server_name != '\0')
		add_server_name(b, h->server_name);
	if (h->version != TLS_V_TLCP)
		add_tls_extensions(b, h);
	end_length(b, from, 2);
}

void tls_hello_encode(const struct tls_hello *h, struct buf *out)
{
	bool is_1_3 = h->version == TLS_V_1_3;
	size_t record, message;

	assert(h->suites_count > 0 && h->suites_count <= TLS_SUITES_MAX);
	buf_add_u8(out, RECORD_HANDSHAKE);
	add16(out, h->version == TLS_V_TLCP ? TLS_V_TLCP : TLS_V_1_0); /* RFC 5246 appendix E.1 */
	record = begin_length(out, 2);
	buf_add_u8(out, 1); /* client_hello */
	message = begin_length(out, 3);
	add16(out, is_1_3 ? TLS_V_1_2 : h->version);
	buf_add(out, h->random, 32);
	buf_add_u8(out, is_1_3 ? 32 : 0);
	buf_add(out, h->random + 32, is_1_3 ? 32 : 0);
	add_list16(out, h->suites, h->suites_count);
	buf_add_u8(out, 1);
	buf_add_u8(out, 0); /* no compression */
	add_extensions(out, h);
	end_length(out, message, 3);
	end_length(out, record, 2);
}

/* ---- words */

const char *tls_version_name(uint16_t version)
{
	switch (version) {
	case TLS_V_TLCP:
		return "TLCP";
	case 0x0002:
		return "SSL 2";
	case 0x0300:
		return "SSL 3";
	case TLS_V_1_0:
		return "TLS 1.0";
	case TLS_V_1_1:
		return "TLS 1.1";
	case TLS_V_1_2:
		return "TLS 1.2";
	case TLS_V_1_3:
		return "TLS 1.3";
	default:
		return "an unknown version";
	}
}

const char *tls_alert_name(unsigned alert, char room[16])
{
	/* RFC 8446 section 6; those from 200 on are of TLCP. */
	static const struct {
		unsigned alert;
		const char *name;
	} rows[] = {
		{0, "close notify"}, {10, "unexpected message"}, {20, "bad record mac"}, {21, "decryption failed"},
		{22, "record overflow"}, {30, "decompression failure"}, {40, "handshake failure"},
		{41, "no certificate"}, {42, "bad certificate"}, {43, "unsupported certificate"},
		{44, "certificate revoked"}, {45, "certificate expired"}, {46, "certificate unknown"},
		{47, "illegal parameter"}, {48, "unknown ca"}, {49, "access denied"}, {50, "decode error"},
		{51, "decrypt error"}, {60, "export restriction"}, {70, "protocol version"},
		{71, "insufficient security"}, {80, "internal error"}, {86, "inappropriate fallback"},
		{90, "user canceled"}, {100, "no renegotiation"}, {109, "missing extension"},
		{110, "unsupported extension"}, {111, "certificate unobtainable"}, {112, "unrecognized name"},
		{113, "bad certificate status response"}, {115, "unknown psk identity"},
		{116, "certificate required"}, {120, "no application protocol"}, {200, "unsupported site2site"},
		{201, "no area"}, {202, "unsupported areatype"}, {203, "bad ibcparam"},
		{204, "unsupported ibcparam"}, {205, "identity need"},
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (rows[i].alert == alert)
			return rows[i].name;
	}
	snprintf(room, 16, "alert %u", alert & 255);
	return room;
}

/* ---- the flight */

void tls_flight_init(struct tls_flight *f, uint16_t asked)
{
	*f = (struct tls_flight){.asked = asked};
}

void tls_flight_fini(struct tls_flight *f)
{
	buf_fini(&f->record);
	buf_fini(&f->messages);
}

const uint8_t *tls_flight_certificate(const struct tls_flight *f, size_t i, size_t *len)
{
	assert(i < f->certificates_count);
	*len = f->certificates[i].len;
	return f->messages.data + f->certificates[i].at;
}

static enum tls_flight_step refuse(struct tls_flight *f, const char *words)
{
	snprintf(f->words, sizeof f->words, "%s", words);
	return TLS_FLIGHT_REFUSED;
}

/* The version of TLS 1.3 stands in an extension; that of the hello is 1.2 then. */
static void read_hello_extensions(struct cursor *c, uint16_t *version)
{
	struct cursor inner;

	if (cursor_left(c) == 0)
		return;
	inner = enter(c, get16(c));
	while (cursor_left(&inner) > 0 && !inner.failed) {
		uint16_t type = get16(&inner);
		struct cursor value = enter(&inner, get16(&inner));

		if (type == SUPPORTED_VERSIONS && cursor_left(&value) == 2)
			*version = get16(&value);
	}
	c->failed |= inner.failed;
}

static enum tls_flight_step read_hello(struct tls_flight *f, struct cursor *c)
{
	char words[64];

	f->version = get16(c);
	cursor_bytes(c, 32);
	cursor_bytes(c, cursor_u8(c));
	f->suite = get16(c);
	cursor_u8(c);
	read_hello_extensions(c, &f->version);
	if (c->failed || f->has_hello)
		return refuse(f, "a ServerHello that makes no sense");
	f->has_hello = true;
	if (f->version != f->asked) {
		snprintf(words, sizeof words, "answers with %s", tls_version_name(f->version));
		return refuse(f, words);
	}
	return f->asked == TLS_V_1_3 ? TLS_FLIGHT_AGREED : TLS_FLIGHT_MORE;
}

static enum tls_flight_step read_certificates(struct tls_flight *f, struct cursor *c)
{
	size_t list = get24(c);

	if (list != cursor_left(c) || f->certificates_count > 0)
		return refuse(f, "a list of certificates that makes no sense");
	while (cursor_left(c) > 0) {
		size_t len = get24(c);
		const uint8_t *at = cursor_bytes(c, len);

		if (at == NULL || len == 0)
			return refuse(f, "a list of certificates that makes no sense");
		if (f->certificates_count == TLS_CERTIFICATES_MAX)
			return refuse(f, "more certificates than are read");
		f->certificates[f->certificates_count].at = (size_t)(at - f->messages.data);
		f->certificates[f->certificates_count++].len = len;
	}
	return TLS_FLIGHT_MORE;
}

static enum tls_flight_step read_message(struct tls_flight *f, unsigned type, struct cursor *c)
{
	if (type == 0) /* HelloRequest: to be ignored here (RFC 5246 section 7.4.1.1) */
		return TLS_FLIGHT_MORE;
	if (type == SERVER_HELLO)
		return read_hello(f, c);
	if (!f->has_hello)
		return refuse(f, "no ServerHello at the beginning");
	if (type == CERTIFICATE)
		return read_certificates(f, c);
	return type == SERVER_HELLO_DONE ? TLS_FLIGHT_AGREED : TLS_FLIGHT_MORE;
}

/* All messages that are whole. */
static enum tls_flight_step read_messages(struct tls_flight *f)
{
	enum tls_flight_step step = TLS_FLIGHT_MORE;

	while (step == TLS_FLIGHT_MORE && f->messages.len - f->read >= 4) {
		struct cursor c = cursor_over(f->messages.data + f->read, f->messages.len - f->read), body;
		unsigned type = cursor_u8(&c);
		size_t len = get24(&c);

		if (len > TLS_FLIGHT_MAX)
			return refuse(f, "a message longer than is read");
		if (len > cursor_left(&c))
			return TLS_FLIGHT_MORE;
		body = cursor_over(c.at, len);
		f->read += 4 + len;
		step = read_message(f, type, &body);
	}
	return step;
}

static enum tls_flight_step read_alert(struct tls_flight *f, const uint8_t *content, size_t len)
{
	char words[64], room[16];

	if (len != 2)
		return refuse(f, "an alert that makes no sense");
	if (content[0] == 1 && content[1] != 0) /* a warning: goes on */
		return TLS_FLIGHT_MORE;
	snprintf(words, sizeof words, "alert: %s", tls_alert_name(content[1], room));
	return refuse(f, words);
}

static enum tls_flight_step read_record(struct tls_flight *f, unsigned type, const uint8_t *content, size_t len)
{
	if (type == RECORD_ALERT)
		return read_alert(f, content, len);
	if (type != RECORD_HANDSHAKE || len == 0)
		return refuse(f, "a record that has no place here");
	buf_add(&f->messages, content, len);
	return read_messages(f);
}

static bool is_version(unsigned high, unsigned low)
{
	return high == 3 || (high == 1 && low == 1);
}

enum tls_flight_step tls_flight_feed(struct tls_flight *f, const void *data, size_t len)
{
	enum tls_flight_step step = TLS_FLIGHT_MORE;
	size_t at = 0;

	f->total += len;
	if (f->total > TLS_FLIGHT_MAX)
		return refuse(f, "more is said than is read");
	buf_add(&f->record, data, len);
	while (step == TLS_FLIGHT_MORE && f->record.len - at >= HEAD) {
		const uint8_t *head = f->record.data + at;
		size_t content = (size_t)head[3] << 8 | head[4];

		if (head[0] < 20 || head[0] > 24 || !is_version(head[1], head[2]) || content > RECORD_MAX)
			return refuse(f, "the answer is not TLS");
		if (f->record.len - at < HEAD + content)
			break;
		step = read_record(f, head[0], head + HEAD, content);
		at += HEAD + content;
	}
	buf_drop_front(&f->record, at);
	return step;
}
