#include "probes/tls_packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "probes/tls_suites.h"

/* ---- bytes */

static void add16(struct buf *b, size_t v)
{
	buf_add_u8(b, (uint8_t)(v >> 8));
	buf_add_u8(b, (uint8_t)v);
}

static void add24(struct buf *b, size_t v)
{
	buf_add_u8(b, (uint8_t)(v >> 16));
	add16(b, v & 0xffff);
}

static void add_message(struct buf *b, unsigned type, const struct buf *body)
{
	buf_add_u8(b, (uint8_t)type);
	add24(b, body->len);
	buf_add(b, body->data, body->len);
}

/* Handshake bytes in records of at most `most` bytes. */
static struct buf records(const struct buf *messages, uint16_t version, size_t most)
{
	struct buf out = {0};

	for (size_t at = 0; at < messages->len; at += most) {
		size_t n = messages->len - at < most ? messages->len - at : most;

		buf_add_u8(&out, 22);
		add16(&out, version);
		add16(&out, n);
		buf_add(&out, messages->data + at, n);
	}
	return out;
}

static void add_server_hello(struct buf *messages, uint16_t version, uint16_t suite, uint16_t extended)
{
	struct buf body = {0};

	add16(&body, version);
	for (int i = 0; i < 32; i++)
		buf_add_u8(&body, (uint8_t)i);
	buf_add_u8(&body, 3);
	buf_add(&body, "sid", 3);
	add16(&body, suite);
	buf_add_u8(&body, 0);
	if (extended != 0) {
		add16(&body, 4 + 1 + 6);
		add16(&body, 0xff01);
		add16(&body, 1);
		buf_add_u8(&body, 0);
		add16(&body, 43);
		add16(&body, 2);
		add16(&body, extended);
	}
	add_message(messages, 2, &body);
	buf_fini(&body);
}

static void add_certificates(struct buf *messages, const char *const *texts, size_t count)
{
	struct buf list = {0}, body = {0};

	for (size_t i = 0; i < count; i++) {
		add24(&list, strlen(texts[i]));
		buf_add_text(&list, texts[i]);
	}
	add24(&body, list.len);
	buf_add(&body, list.data, list.len);
	add_message(messages, 11, &body);
	buf_fini(&list);
	buf_fini(&body);
}

static const char *const two[] = {"signing certificate", "encryption certificate"};

/* ServerHello, Certificate, ServerKeyExchange, ServerHelloDone. */
static struct buf flight_of(uint16_t version, uint16_t suite)
{
	struct buf messages = {0}, exchange = {0}, none = {0};

	add_server_hello(&messages, version, suite, 0);
	add_certificates(&messages, two, 2);
	for (int i = 0; i < 100; i++)
		buf_add_u8(&exchange, 14);
	add_message(&messages, 12, &exchange);
	add_message(&messages, 14, &none);
	buf_fini(&exchange);
	return messages;
}

/* Fed in pieces of n bytes; the words of a refusal into words. */
static enum tls_flight_step feed(struct tls_flight *f, uint16_t asked, const void *data, size_t len, size_t n)
{
	enum tls_flight_step step = TLS_FLIGHT_MORE;

	tls_flight_init(f, asked);
	for (size_t at = 0; at < len && step == TLS_FLIGHT_MORE; at += n)
		step = tls_flight_feed(f, (const uint8_t *)data + at, len - at < n ? len - at : n);
	return step;
}

/* ---- the flight */

static void a_flight_is_read_however_it_is_cut(void **state)
{
	static const size_t most[] = {16384, 100, 7, 1};
	struct buf messages = flight_of(TLS_V_TLCP, 0xe013);

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		struct buf bytes = records(&messages, TLS_V_TLCP, most[i]);

		for (size_t n = 1; n < bytes.len + 20; n += n < 20 ? 1 : 97) {
			struct tls_flight f;
			size_t len;

			assert_int_equal(feed(&f, TLS_V_TLCP, bytes.data, bytes.len, n), TLS_FLIGHT_AGREED);
			assert_int_equal(f.version, TLS_V_TLCP);
			assert_int_equal(f.suite, 0xe013);
			assert_int_equal(f.certificates_count, 2);
			for (size_t k = 0; k < 2; k++) {
				const uint8_t *der = tls_flight_certificate(&f, k, &len);

				assert_int_equal(len, strlen(two[k]));
				assert_memory_equal(der, two[k], len);
			}
			tls_flight_fini(&f);
		}
		buf_fini(&bytes);
	}
	buf_fini(&messages);
}

static void no_shorter_flight_is_an_agreement(void **state)
{
	struct buf messages = flight_of(TLS_V_1_2, 0xc02f), bytes = records(&messages, TLS_V_1_2, 16384);
	struct tls_flight f;

	(void)state;
	for (size_t len = 0; len < bytes.len; len++) {
		assert_int_equal(feed(&f, TLS_V_1_2, bytes.data, len, 4096), TLS_FLIGHT_MORE);
		tls_flight_fini(&f);
	}
	buf_fini(&bytes);
	buf_fini(&messages);
}

static void only_the_version_asked_for_is_agreed(void **state)
{
	struct {
		uint16_t asked, hello, extended;
		enum tls_flight_step step;
		const char *words;
	} rows[] = {
		{TLS_V_1_3, TLS_V_1_2, TLS_V_1_3, TLS_FLIGHT_AGREED, ""},
		{TLS_V_1_3, TLS_V_1_2, 0, TLS_FLIGHT_REFUSED, "answers with TLS 1.2"},
		{TLS_V_1_2, TLS_V_1_1, 0, TLS_FLIGHT_REFUSED, "answers with TLS 1.1"},
		{TLS_V_1_2, TLS_V_1_2, 0, TLS_FLIGHT_MORE, ""},
		{TLS_V_1_0, 0x0300, 0, TLS_FLIGHT_REFUSED, "answers with SSL 3"},
		{TLS_V_TLCP, TLS_V_1_2, 0, TLS_FLIGHT_REFUSED, "answers with TLS 1.2"},
		{TLS_V_1_0, 0x1234, 0, TLS_FLIGHT_REFUSED, "answers with an unknown version"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf messages = {0}, bytes;
		struct tls_flight f;

		add_server_hello(&messages, rows[i].hello, 0x1301, rows[i].extended);
		bytes = records(&messages, TLS_V_1_2, 16384);
		assert_int_equal(feed(&f, rows[i].asked, bytes.data, bytes.len, 4096), rows[i].step);
		assert_string_equal(f.words, rows[i].words);
		tls_flight_fini(&f);
		buf_fini(&bytes);
		buf_fini(&messages);
	}
}

static void what_is_not_a_flight_is_refused_with_words(void **state)
{
#define ROW(text, words) {text, sizeof text - 1, words}
	static const struct {
		const char *bytes;
		size_t len;
		const char *words;
	} rows[] = {
		ROW("\x15\x03\x01\x00\x02\x02\x28", "alert: handshake failure"),
		ROW("\x15\x01\x01\x00\x02\x02\x46", "alert: protocol version"),
		ROW("\x15\x03\x03\x00\x02\x02\xcd", "alert: identity need"),
		ROW("\x15\x03\x03\x00\x02\x02\x63", "alert: alert 99"),
		ROW("\x15\x03\x03\x00\x02\x01\x00", "alert: close notify"),
		ROW("\x15\x03\x03\x00\x02\x01\x70\x15\x03\x03\x00\x02\x02\x28", "alert: handshake failure"),
		ROW("\x15\x03\x03\x00\x01\x02", "an alert that makes no sense"),
		ROW("HTTP/1.1 400 Bad Request\r\n\r\n", "the answer is not TLS"),
		ROW("SSH-2.0-OpenSSH_9.2\r\n", "the answer is not TLS"),
		ROW("\x16\x02\x00\x00\x02\x02\x28", "the answer is not TLS"),
		ROW("\x16\x03\x03\x48\x01", "the answer is not TLS"),
		ROW("\x17\x03\x03\x00\x01\x00", "a record that has no place here"),
		ROW("\x16\x03\x03\x00\x00", "a record that has no place here"),
		ROW("\x16\x03\x03\x00\x04\x0b\x00\x00\x00", "no ServerHello at the beginning"),
		ROW("\x16\x03\x03\x00\x04\x0e\x00\x00\x00", "no ServerHello at the beginning"),
		ROW("\x16\x03\x03\x00\x04\x02\x00\x00\x00", "a ServerHello that makes no sense"),
		ROW("\x16\x03\x03\x00\x04\x02\xff\xff\xff", "a message longer than is read"),
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		for (size_t n = 1; n < 40; n += 13) {
			struct tls_flight f;

			assert_int_equal(feed(&f, TLS_V_1_2, rows[i].bytes, rows[i].len, n), TLS_FLIGHT_REFUSED);
			assert_string_equal(f.words, rows[i].words);
			tls_flight_fini(&f);
		}
	}
}

static void lists_of_certificates_are_bounded(void **state)
{
	const char *many[TLS_CERTIFICATES_MAX + 1];
	struct {
		size_t count, cut;
		const char *words;
	} rows[] = {
		{TLS_CERTIFICATES_MAX, 0, ""},
		{TLS_CERTIFICATES_MAX + 1, 0, "more certificates than are read"},
		{2, 1, "a list of certificates that makes no sense"},
	};

	(void)state;
	for (size_t i = 0; i < TLS_CERTIFICATES_MAX + 1; i++)
		many[i] = "x";
	for (size_t i = 0; i < 3; i++) {
		struct buf messages = {0}, bytes;
		struct tls_flight f;

		add_server_hello(&messages, TLS_V_1_2, 0xc02f, 0);
		add_certificates(&messages, many, rows[i].count);
		if (rows[i].cut > 0)
			messages.data[messages.len - 2] = 9; /* the last one is longer than the list */
		bytes = records(&messages, TLS_V_1_2, 16384);
		assert_int_equal(feed(&f, TLS_V_1_2, bytes.data, bytes.len, 4096),
			rows[i].words[0] == '\0' ? TLS_FLIGHT_MORE : TLS_FLIGHT_REFUSED);
		assert_string_equal(f.words, rows[i].words);
		tls_flight_fini(&f);
		buf_fini(&bytes);
		buf_fini(&messages);
	}
}

static void endless_talk_is_cut(void **state)
{
	static const uint8_t warning[] = {21, 3, 3, 0, 2, 1, 112};
	struct tls_flight f;
	size_t n = 0;

	(void)state;
	tls_flight_init(&f, TLS_V_1_2);
	while (tls_flight_feed(&f, warning, sizeof warning) == TLS_FLIGHT_MORE)
		n++;
	assert_string_equal(f.words, "more is said than is read");
	assert_int_equal(n, TLS_FLIGHT_MAX / sizeof warning);
	tls_flight_fini(&f);
}

/* Property: bytes that were changed anywhere are never agreed to with certificates outside what came. */
static void noise_never_reaches_outside(void **state)
{
	unsigned seed = (unsigned)time(NULL);
	struct buf messages = flight_of(TLS_V_1_2, 0xc02f), bytes = records(&messages, TLS_V_1_2, 60);

	(void)state;
	print_message("seed %u\n", seed);
	srandom(seed);
	for (int round = 0; round < 20000; round++) {
		uint8_t *copy = malloc(bytes.len);
		struct tls_flight f;
		size_t len;

		memcpy(copy, bytes.data, bytes.len);
		for (int i = (int)(random() % 4); i >= 0; i--)
			copy[(size_t)random() % bytes.len] = (uint8_t)random();
		feed(&f, TLS_V_1_2, copy, bytes.len, 1 + (size_t)random() % 400);
		for (size_t i = 0; i < f.certificates_count; i++) {
			const uint8_t *der = tls_flight_certificate(&f, i, &len);

			assert_true(der >= f.messages.data && der + len <= f.messages.data + f.messages.len);
		}
		tls_flight_fini(&f);
		free(copy);
	}
	buf_fini(&bytes);
	buf_fini(&messages);
}

/* ---- the hello */

static struct buf hello_of(uint16_t version, const char *name)
{
	static const uint16_t suites[] = {0xe013, 0x1301};
	struct tls_hello h = {.version = version, .server_name = name, .suites = suites, .suites_count = 2};
	struct buf out = {0};

	for (size_t i = 0; i < sizeof h.random; i++)
		h.random[i] = (uint8_t)(i + 1);
	tls_hello_encode(&h, &out);
	return out;
}

static void a_hello_of_tlcp_is_just_this(void **state)
{
	static const uint8_t head[] = {22, 1, 1, 0, 47, 1, 0, 0, 43, 1, 1}, tail[] = {0, 0, 4, 0xe0, 0x13, 0x13, 1, 1, 0};
	static const uint8_t named[] = {0, 10, 0, 0, 0, 6, 0, 4, 0, 0, 1, 'x'};
	struct buf b = hello_of(TLS_V_TLCP, "");

	(void)state;
	assert_int_equal(b.len, 52);
	assert_memory_equal(b.data, head, sizeof head);
	assert_int_equal(b.data[sizeof head], 1);
	assert_int_equal(b.data[sizeof head + 31], 32);
	assert_memory_equal(b.data + sizeof head + 32, tail, sizeof tail);
	buf_fini(&b);
	b = hello_of(TLS_V_TLCP, "x");
	assert_int_equal(b.len, 52 + sizeof named);
	assert_memory_equal(b.data + 52, named, sizeof named);
	buf_fini(&b);
}

static void every_length_in_a_hello_is_right(void **state)
{
	(void)state;
	for (uint16_t version = TLS_V_1_0; version <= TLS_V_1_3; version++) {
		struct buf b = hello_of(version, "www.gov.example");
		size_t at = 5 + 4 + 2 + 32 + 1 + b.data[43];

		assert_int_equal(b.data[9] << 8 | b.data[10], version == TLS_V_1_3 ? TLS_V_1_2 : version);
		assert_int_equal(b.data[3] << 8 | b.data[4], b.len - 5);
		assert_int_equal(b.data[6] << 16 | b.data[7] << 8 | b.data[8], b.len - 9);
		at += 2 + 4 + 2;
		assert_int_equal(b.data[at] << 8 | b.data[at + 1], b.len - at - 2);
		for (at += 2; at < b.len; at += 4 + (size_t)(b.data[at + 2] << 8 | b.data[at + 3]))
			;
		assert_int_equal(at, b.len);
		buf_fini(&b);
	}
}

/* ---- suites */

static void suites_are_listed_by_what_they_protect(void **state)
{
	uint16_t list[TLS_SUITES_MAX];
	size_t all = tls_suites_list(TLS_STRENGTH_VOID, TLS_STRENGTH_AEAD, list), n = 0;
	char name[64];

	(void)state;
	for (size_t i = 0; i < all; i++) {
		for (size_t k = i + 1; k < all; k++)
			assert_int_not_equal(list[i], list[k]);
		assert_true(i == 0 || tls_suite_strength(list[i]) <= tls_suite_strength(list[i - 1]));
	}
	for (int s = TLS_STRENGTH_VOID; s <= TLS_STRENGTH_AEAD; s++)
		n += tls_suites_list((enum tls_strength)s, (enum tls_strength)s, list);
	assert_int_equal(n, all);
	assert_int_equal(tls_suite_strength(0x1302), TLS_STRENGTH_AEAD);
	assert_int_equal(tls_suite_strength(0x9999), TLS_STRENGTH_NOT_KNOWN);
	assert_string_equal(tls_suite_name(0x000a, name), "TLS_RSA_WITH_3DES_EDE_CBC_SHA");
	assert_string_equal(tls_suite_name(0xe013, name), "ECC_SM4_CBC_SM3");
	assert_string_equal(tls_suite_name(0x9999, name), "suite 0x9999");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flight_is_read_however_it_is_cut),
		cmocka_unit_test(no_shorter_flight_is_an_agreement),
		cmocka_unit_test(only_the_version_asked_for_is_agreed),
		cmocka_unit_test(what_is_not_a_flight_is_refused_with_words),
		cmocka_unit_test(lists_of_certificates_are_bounded),
		cmocka_unit_test(endless_talk_is_cut),
		cmocka_unit_test(noise_never_reaches_outside),
		cmocka_unit_test(a_hello_of_tlcp_is_just_this),
		cmocka_unit_test(every_length_in_a_hello_is_right),
		cmocka_unit_test(suites_are_listed_by_what_they_protect),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
