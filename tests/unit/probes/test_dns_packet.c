#include "probes/dns_packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"

#define LITERAL(bytes) bytes, sizeof bytes - 1

static struct dns_message message;
static struct dns_answers answers;

/* A response whose question is "a.b" of the type, and what stands behind it. */
static struct buf response(unsigned type, unsigned answered, const void *records, size_t len)
{
	struct buf b = {0};

	buf_add(&b, LITERAL("\x12\x34\x85\x80\0\1\0"));
	buf_add_u8(&b, (uint8_t)answered);
	buf_add(&b, LITERAL("\0\0\0\0\1a\1b\0"));
	buf_add_u8(&b, (uint8_t)(type >> 8));
	buf_add_u8(&b, (uint8_t)type);
	buf_add(&b, LITERAL("\0\1"));
	buf_add(&b, records, len);
	return b;
}

static int decode(const struct buf *b)
{
	struct err e;

	return dns_message_head(b->data, b->len, &message, &e) < 0 ? -1 : dns_message_records(&message, &e);
}

/* The texts of all answers, each with a ';' behind it. */
static const char *texts(unsigned type, const struct buf *b, struct buf *out)
{
	struct dns_walk w = {0};
	struct dns_record r;

	buf_clear(out);
	assert_int_equal(decode(b), 0);
	dns_message_follow(&message, type, &answers);
	while (dns_answer_next(&message, &answers, type, &w, &r)) {
		dns_record_text(&message, &r, out);
		buf_add_text(out, ";");
	}
	return buf_text(out);
}

static void assert_data(unsigned type, const void *data, size_t len, const char *expected)
{
	struct buf record = {0}, b, out = {0};

	buf_add(&record, LITERAL("\xc0\x0c"));
	buf_add_u8(&record, (uint8_t)(type >> 8));
	buf_add_u8(&record, (uint8_t)type);
	buf_add(&record, LITERAL("\0\1\0\0\1\x2c\0"));
	buf_add_u8(&record, (uint8_t)len);
	buf_add(&record, data, len);
	b = response(type, 1, record.data, record.len);
	assert_string_equal(texts(type, &b, &out), expected);
	assert_int_equal(answers.ttl, 300);
	buf_fini(&record);
	buf_fini(&b);
	buf_fini(&out);
}

static void a_query_has_the_bytes_of_the_standards(void **state)
{
	static const uint8_t expected[] = "\xab\xcd\1\x20\0\1\0\0\0\0\0\1\3wWw\2Cn\0\0\x1c\0\1\0\0\x29\4\xd0\0\0\x80\0\0\0";
	uint8_t name[DNS_NAME_MAX] = "\3wWw\2Cn", out[DNS_QUERY_MAX];
	struct dns_query q = {.id = 0xabcd, .type = DNS_AAAA, .name = name, .name_len = 8, .recursion = true,
		.edns = true, .dnssec_ok = true};

	(void)state;
	assert_int_equal(dns_query_encode(&q, out), sizeof expected - 1);
	assert_memory_equal(out, expected, sizeof expected - 1);
	q.edns = q.dnssec_ok = q.recursion = false;
	assert_int_equal(dns_query_encode(&q, out), 12 + 8 + 4);
	assert_int_equal(out[2], 0);
	assert_int_equal(out[3], 0);
	assert_int_equal(out[11], 0);
}

static void the_data_of_each_known_type_has_its_text(void **state)
{
	(void)state;
	assert_data(DNS_A, LITERAL("\xc0\0\2\1"), "192.0.2.1;");
	assert_data(DNS_AAAA, LITERAL("\x20\1\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"), "2001:db8::1;");
	assert_data(DNS_MX, LITERAL("\0\x0a\4MAIL\xc0\x0c"), "10 mail.a.b;");
	assert_data(DNS_NS, LITERAL("\1.\0"), "\\046;");
	assert_data(DNS_CNAME, LITERAL("\0"), ".;");
	assert_data(DNS_TXT, LITERAL("\7v=spf1 \4-all"), "v=spf1 -all;");
	assert_data(DNS_SRV, LITERAL("\0\1\0\2\0\x35\2ns\xc0\x0c"), "1 2 53 ns.a.b;");
	assert_data(DNS_CAA, LITERAL("\0\5issueca.example"), "0 issue \"ca.example\";");
	assert_data(DNS_DS, LITERAL("\x30\x39\x0d\2\xab\xcd"), "12345 13 2 abcd;");
	assert_data(DNS_DNSKEY, LITERAL("\1\1\3\x0d\1\2\3\4"), "257 3 13 AQIDBA==;");
	assert_data(DNS_TLSA, LITERAL("\3\1\1\xff"), "3 1 1 ff;");
	assert_data(DNS_SOA, LITERAL("\xc0\x0c\1h\xc0\x0c\0\0\0\1\0\0\0\2\0\0\0\3\0\0\0\4\xff\xff\xff\xff"),
		"a.b h.a.b 1 2 3 4 4294967295;");
	assert_data(65, LITERAL("\0\1\0"), "\\# 3 000100;");
	assert_data(65, LITERAL(""), "\\# 0;");
}

static void damaged_data_is_told_as_bytes(void **state)
{
	(void)state;
	assert_data(DNS_A, LITERAL("\xc0\0\2"), "\\# 3 c00002;");
	assert_data(DNS_A, LITERAL("\xc0\0\2\1\1"), "\\# 5 c000020101;");
	assert_data(DNS_MX, LITERAL("\0\x0a\4ma"), "\\# 5 000a046d61;");
	assert_data(DNS_TXT, LITERAL("\7v="), "\\# 3 07763d;");
	assert_data(DNS_CAA, LITERAL("\0\x50i"), "\\# 3 005069;");
}

static void aliases_are_followed_and_others_records_left_out(void **state)
{
	static const char records[] =
		"\1X\1b\0\0\1\0\1\0\0\0\x09\0\4\1\1\1\1"      /* x.b A 1.1.1.1, asked by nobody yet */
		"\xc0\x0c\0\5\0\1\0\0\0\7\0\4\1x\xc0\x0e"     /* a.b CNAME x.b */
		"\1z\1b\0\0\1\0\1\0\0\0\1\0\4\2\2\2\2"        /* z.b A 2.2.2.2 */
		"\1x\xc0\x0e\0\x2e\0\1\0\0\0\1\0\3\0\1\0"     /* x.b RRSIG A */
		"\1x\xc0\x0e\0\1\0\1\0\0\0\x08\0\4\1\1\1\2";  /* x.b A 1.1.1.2 */
	struct buf b = response(DNS_A, 5, LITERAL(records)), out = {0};

	(void)state;
	assert_string_equal(texts(DNS_A, &b, &out), "1.1.1.1;1.1.1.2;");
	assert_int_equal(answers.aliases, 1);
	assert_int_equal(answers.count, 2);
	assert_int_equal(answers.ttl, 7);
	assert_true(answers.has_signature);
	assert_string_equal(texts(DNS_AAAA, &b, &out), "");
	assert_false(answers.has_signature);
	assert_string_equal(texts(DNS_CNAME, &b, &out), "x.b;");
	assert_int_equal(answers.aliases, 0);
	buf_fini(&b);
	buf_fini(&out);
}

static void aliases_that_turn_in_a_circle_come_to_an_end(void **state)
{
	struct buf b = response(DNS_A, 1, LITERAL("\xc0\x0c\0\5\0\1\0\0\0\7\0\2\xc0\x0c")), out = {0};

	(void)state;
	assert_string_equal(texts(DNS_A, &b, &out), "");
	assert_int_equal(answers.aliases, 16);
	buf_fini(&b);
	buf_fini(&out);
}

static void pointers_that_do_not_lead_back_are_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} bad[] = {
		{LITERAL("\xc0\x15\0\1\0\1\0\0\0\0\0\0")}, /* at itself */
		{LITERAL("\xc0\x19\0\1\0\1\0\0\0\0\0\0")}, /* forwards */
		{LITERAL("\1x\xc0\x15\0\1\0\1\0\0\0\0\0\0")}, /* at the labels that led there */
		{LITERAL("\xc0\x02\0\1\0\1\0\0\0\0\0\0")}, /* into the header */
		{LITERAL("\x40x\0\0\1\0\1\0\0\0\0\0\0")}, /* a kind of label that nobody uses */
		{LITERAL("\xc0")}, {LITERAL("\5ab")}, {LITERAL("")},
	};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct buf b = response(DNS_A, 1, bad[i].bytes, bad[i].len);

		assert_int_equal(decode(&b), -1);
		buf_fini(&b);
	}
}

static void names_and_records_that_are_too_long_are_refused(void **state)
{
	struct buf records = {0}, b;

	(void)state;
	for (int i = 0; i < 4; i++) {
		buf_add_u8(&records, 63);
		buf_add(&records, "0123456789012345678901234567890123456789012345678901234567890123", 63);
	}
	buf_add(&records, LITERAL("\0\0\1\0\1\0\0\0\0\0\0")); /* 257 bytes of name */
	b = response(DNS_A, 1, records.data, records.len);
	assert_int_equal(decode(&b), -1);
	buf_fini(&b);
	b = response(DNS_A, 1, records.data + 2, records.len - 2); /* not a name any more, in whatever way */
	assert_int_equal(decode(&b), -1);
	buf_fini(&b);
	buf_fini(&records);
	b = response(DNS_A, 1, LITERAL("\xc0\x0c\0\1\0\1\0\0\0\7\0\5\1\1\1\1"));
	assert_int_equal(decode(&b), -1);
	buf_fini(&b);
	b = response(DNS_A, 2, LITERAL("\xc0\x0c\0\1\0\1\0\0\0\7\0\4\1\1\1\1"));
	assert_int_equal(decode(&b), -1);
	buf_fini(&b);
}

static void edns_gives_the_upper_bits_and_the_extended_error(void **state)
{
	struct buf b = response(DNS_A, 0, LITERAL("\0\0\x29\4\xd0\1\0\x80\0\0\x0c\0\x63\0\2xx\0\x0f\0\2\0\6"));

	(void)state;
	b.data[11] = 1; /* one additional record */
	assert_int_equal(decode(&b), 0);
	assert_true(message.has_edns);
	assert_int_equal(message.rcode, 16);
	assert_int_equal(message.error, 6);
	assert_string_equal(dns_error_text(6), "DNSSEC bogus");
	buf_fini(&b);
}

static void the_head_tells_flags_and_question(void **state)
{
	struct buf b = response(DNS_MX, 0, "", 0);
	struct err e;

	(void)state;
	assert_int_equal(decode(&b), 0);
	assert_true(message.is_response && message.authoritative && message.recursion_available);
	assert_false(message.truncated || message.authentic);
	assert_int_equal(message.id, 0x1234);
	assert_int_equal(message.type, DNS_MX);
	assert_memory_equal(message.name, "\1a\1b", 5);
	b.data[5] = 2;
	assert_int_equal(dns_message_head(b.data, b.len, &message, &e), -1);
	assert_string_equal(e.text, "it has 2 questions");
	assert_int_equal(dns_message_head(b.data, 11, &message, &e), -1);
	buf_fini(&b);
}

static void names_are_parsed_strictly_and_read_back(void **state)
{
	uint8_t wire[DNS_NAME_MAX];
	char text[DNS_NAME_TEXT], longest[300];
	struct err e;

	(void)state;
	assert_int_equal(dns_name_parse("Www.Gov.example.", false, wire, &e), 17);
	assert_string_equal(dns_name_text(wire, text), "www.gov.example");
	assert_int_equal(dns_name_parse(".", false, wire, &e), 1);
	assert_string_equal(dns_name_text(wire, text), ".");
	assert_int_equal(dns_name_parse("192.0.2.1", true, wire, &e), 24);
	assert_string_equal(dns_name_text(wire, text), "1.2.0.192.in-addr.arpa");
	dns_name_parse("2001:db8::1", true, wire, &e);
	assert_string_equal(dns_name_text(wire, text),
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa");
	assert_int_equal(dns_name_parse("a..b", false, wire, &e), -1);
	assert_int_equal(dns_name_parse("..", false, wire, &e), -1);
	assert_int_equal(dns_name_parse("", false, wire, &e), -1);
	assert_int_equal(dns_name_parse("a b", false, wire, &e), -1);
	assert_int_equal(dns_name_parse("政务.cn", false, wire, &e), -1);
	assert_int_equal(dns_name_parse("192.0.2.1", false, wire, &e), -1);
	for (size_t i = 0; i < 253; i++)
		longest[i] = i % 64 == 63 ? '.' : 'x';
	longest[253] = '\0';
	assert_int_equal(dns_name_parse(longest, false, wire, &e), 255);
	strcpy(longest + 253, "x");
	assert_int_equal(dns_name_parse(longest, false, wire, &e), -1);
	memset(longest, 'x', 64);
	longest[64] = '\0';
	assert_int_equal(dns_name_parse(longest, false, wire, &e), -1);
}

static void types_and_codes_have_words_and_numbers(void **state)
{
	char room[DNS_TYPE_TEXT];
	struct err e;

	(void)state;
	for (unsigned type = 1; type <= 65535; type++) {
		int n = dns_type_parse(dns_type_text(type, room), &e);

		assert_int_equal(n, type == DNS_OPT || (type >= 128 && type <= 254) ? -1 : (int)type);
	}
	assert_int_equal(dns_type_parse("aaaa", &e), DNS_AAAA);
	assert_int_equal(dns_type_parse("TYPE0", &e), -1);
	assert_int_equal(dns_type_parse("AXFR", &e), -1);
	assert_string_equal(dns_rcode_text(3, room), "NXDOMAIN");
	assert_string_equal(dns_rcode_text(16, room), "BADVERS");
	assert_string_equal(dns_rcode_text(15, room), "RCODE15");
	assert_null(dns_error_text(9999));
}

/* Any cut and any changed byte: nothing is read outside (each message is a block of its own), and what is decoded is
 * walked to its end. */
static void cut_or_changed_messages_are_harmless(void **state)
{
	static const char records[] = "\xc0\x0c\0\5\0\1\0\0\0\7\0\4\1x\xc0\x0e"
				      "\1x\xc0\x0e\0\x0f\0\1\0\0\0\1\0\4\0\1\xc0\x0c"
				      "\xc0\x25\0\x0f\0\1\0\0\0\1\0\7\0\2\2mx\xc0\x0e";
	struct buf whole = response(DNS_MX, 3, LITERAL(records)), out = {0};
	unsigned seed = (unsigned)time(NULL), decoded = 0;

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	assert_string_equal(texts(DNS_MX, &whole, &out), "1 a.b;2 mx.b;");
	for (int i = 0; i < 40000; i++) {
		struct buf b = {0};

		buf_add(&b, whole.data, (size_t)rand() % (whole.len + 1));
		for (int k = rand() % 4; k > 0 && b.len > 0; k--)
			b.data[(size_t)rand() % b.len] = (uint8_t)rand();
		b.data = b.len > 0 ? realloc(b.data, b.len) : b.data;
		b.room = b.len > 0 ? b.len : b.room;
		if (decode(&b) == 0) {
			decoded++;
			texts(DNS_MX, &b, &out);
		}
		buf_fini(&b);
	}
	assert_true(decoded > 100);
	buf_fini(&whole);
	buf_fini(&out);
}

/* The most work that 64 KiB can make: names that jump as often as they may. */
static void a_hostile_message_costs_little(void **state)
{
	struct buf records = {0}, b;
	int64_t began = clock_mono();

	(void)state;
	for (int i = 0; i < 40; i++) { /* pointers to pointers, in the data of the first record */
		unsigned to = i == 0 ? 12 : 33 + 2 * ((unsigned)i - 1);

		buf_add_u8(&records, (uint8_t)(0xc0 | to >> 8));
		buf_add_u8(&records, (uint8_t)to);
	}
	b = response(DNS_A, 1, LITERAL("\xc0\x0c\0\x10\0\1\0\0\0\7\0\x50"));
	buf_add(&b, records.data, records.len);
	for (int i = 0; i < 5000; i++)
		buf_add(&b, LITERAL("\xc0\x5d\0\5\0\1\0\0\0\1\0\2\xc0\x0c"));
	b.data[6] = 5001 >> 8;
	b.data[7] = (uint8_t)5001;
	assert_true(b.len > 65000 && b.len < 75000);
	assert_int_equal(decode(&b), 0);
	dns_message_follow(&message, DNS_A, &answers);
	print_message("%zu bytes took %.1f ms\n", b.len, (double)(clock_mono() - began) / NS_PER_MS);
	buf_fini(&records);
	buf_fini(&b);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_query_has_the_bytes_of_the_standards),
		cmocka_unit_test(the_data_of_each_known_type_has_its_text),
		cmocka_unit_test(damaged_data_is_told_as_bytes),
		cmocka_unit_test(aliases_are_followed_and_others_records_left_out),
		cmocka_unit_test(aliases_that_turn_in_a_circle_come_to_an_end),
		cmocka_unit_test(pointers_that_do_not_lead_back_are_refused),
		cmocka_unit_test(names_and_records_that_are_too_long_are_refused),
		cmocka_unit_test(edns_gives_the_upper_bits_and_the_extended_error),
		cmocka_unit_test(the_head_tells_flags_and_question),
		cmocka_unit_test(names_are_parsed_strictly_and_read_back),
		cmocka_unit_test(types_and_codes_have_words_and_numbers),
		cmocka_unit_test(cut_or_changed_messages_are_harmless),
		cmocka_unit_test(a_hostile_message_costs_little),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
