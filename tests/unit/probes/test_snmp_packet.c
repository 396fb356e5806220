#include "probes/snmp_packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/mem.h"
#include "probes/snmp_device.h"

static struct buf from_hex(const char *hex)
{
	struct buf b = {0};

	for (; *hex != '\0'; hex += 2)
		buf_add_u8(&b, (uint8_t)((hex[0] <= '9' ? hex[0] - '0' : hex[0] - 'a' + 10) << 4 |
			(hex[1] <= '9' ? hex[1] - '0' : hex[1] - 'a' + 10)));
	return b;
}

/* ---- requests */

static void a_request_is_what_the_standard_says(void **state)
{
	struct snmp_request q = {.is_bulk = true, .repetitions = 20, .count = 2};
	struct buf out = {0}, expected;

	(void)state;
	snmp_oid_parse("1.3.6.1.2.1.1.3", &q.oids[0]);
	snmp_oid_parse("1.3.6.1.4.1.99999.4294967295", &q.oids[1]);
	snmp_packet_encode(&out, "public", 0x12345678, q.repetitions, &q);
	expected = from_hex("3044020400000001" "0406" "7075626c6963" "a534" "020412345678" "020400000001" "020400000014" "3020"
		"300b" "06072b060102010103" "0500" "3011" "060d2b06010401868d1f8fffffff7f" "0500");
	assert_int_equal(out.len, expected.len);
	assert_memory_equal(out.data, expected.data, out.len);
	q.is_bulk = false;
	q.count = 1;
	snmp_packet_encode(&out, "c", 1, q.repetitions, &q);
	buf_fini(&expected);
	expected = from_hex("302c" "020400000001" "0401" "63" "a021" "020400000001" "020400000000" "020400000000" "300d" "300b"
		"06072b060102010103" "0500");
	assert_int_equal(out.len, expected.len);
	assert_memory_equal(out.data, expected.data, out.len);
	buf_fini(&out);
	buf_fini(&expected);
}

/* ---- answers: made here, from what each varbind is */

static void put(struct buf *out, uint8_t tag, const void *data, size_t len)
{
	buf_add_u8(out, tag);
	buf_add_u8(out, 0x82);
	buf_add_u8(out, (uint8_t)(len >> 8));
	buf_add_u8(out, (uint8_t)len);
	buf_add(out, data, len);
}

static void put_varbind(struct buf *all, const char *name, const char *value)
{
	struct buf n = from_hex(name), v = from_hex(value), one = {0};

	put(&one, 6, n.data, n.len);
	buf_add(&one, v.data, v.len);
	put(all, 0x30, one.data, one.len);
	buf_fini(&n);
	buf_fini(&v);
	buf_fini(&one);
}

static struct buf answer_with(const struct buf *varbinds, uint8_t version, uint8_t tag, const char *id, const char *status)
{
	struct buf pdu = {0}, message = {0}, out = {0}, head = from_hex(id), more = from_hex(status);

	buf_add(&pdu, head.data, head.len);
	buf_add(&pdu, more.data, more.len);
	put(&pdu, 0x30, varbinds->data, varbinds->len);
	put(&message, 2, &version, 1);
	put(&message, 4, "public", 6);
	put(&message, tag, pdu.data, pdu.len);
	put(&out, 0x30, message.data, message.len);
	buf_fini(&pdu);
	buf_fini(&message);
	buf_fini(&head);
	buf_fini(&more);
	return out;
}

#define SYSUPTIME "2b06010201010300"

static void values_are_read_by_their_kinds(void **state)
{
	static const struct {
		const char *hex;
		enum snmp_kind kind;
		double number;
	} values[] = {{"020100", SNMP_KIND_INTEGER, 0}, {"0201ff", SNMP_KIND_INTEGER, -1}, {"02047fffffff", SNMP_KIND_INTEGER, 2147483647},
		{"020480000000", SNMP_KIND_INTEGER, -2147483648.0}, {"0200", SNMP_KIND_INTEGER, 0},
		{"410500ffffffff", SNMP_KIND_COUNTER32, 4294967295.0}, {"4104ffffffff", SNMP_KIND_COUNTER32, 4294967295.0},
		{"420103", SNMP_KIND_UNSIGNED, 3}, {"4381020100", SNMP_KIND_UNSIGNED, 256}, {"470107", SNMP_KIND_UNSIGNED, 7},
		{"460900ffffffffffffffff", SNMP_KIND_COUNTER64, 18446744073709551615.0}, {"4402abcd", SNMP_KIND_OTHER, 0},
		{"44079f780442f60000", SNMP_KIND_REAL, 123}, {"440b9f7908405ec00000000000", SNMP_KIND_REAL, 123},
		{"8000", SNMP_KIND_NO_OBJECT, 0}, {"8100", SNMP_KIND_NO_INSTANCE, 0}, {"8200", SNMP_KIND_END, 0},
		{"0500", SNMP_KIND_OTHER, 0}, {"40047f000001", SNMP_KIND_OTHER, 0}, {"06012b", SNMP_KIND_OTHER, 0}};
	struct buf varbinds = {0}, packet;
	struct snmp_packet p;
	struct snmp_value v;
	struct snmp_oid name;
	char *text;

	(void)state;
	for (size_t i = 0; i < sizeof values / sizeof *values; i++)
		put_varbind(&varbinds, SYSUPTIME, values[i].hex);
	put_varbind(&varbinds, "2b06010401868d1f8fffffff7f", "0403616200");
	put_varbind(&varbinds, "8837", "0400"); /* 2.999 */
	packet = answer_with(&varbinds, 1, 0xa2, "020412345678", "020100020100");
	assert_int_equal(snmp_packet_decode(packet.data, packet.len, 0x12345678, &p), 0);
	assert_int_equal(p.status, 0);
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		assert_int_equal(snmp_packet_next(&p, &name, &v), 1);
		assert_int_equal(name.len, 9);
		assert_int_equal(name.part[7], 3);
		if (v.kind != values[i].kind || (snmp_kind_words(&v)[0] == '\0' && snmp_number(&v) != values[i].number))
			fail_msg("%s: kind %d, %f", values[i].hex, (int)v.kind, snmp_number(&v));
	}
	assert_int_equal(snmp_packet_next(&p, &name, &v), 1);
	assert_int_equal(name.len, 8);
	assert_true(name.part[6] == 99999 && name.part[7] == UINT32_MAX);
	assert_int_equal(v.kind, SNMP_KIND_TEXT);
	text = mem_copy(v.text, 3);
	assert_memory_equal(text, "ab", 3);
	assert_int_equal(snmp_packet_next(&p, &name, &v), 1);
	assert_true(name.len == 2 && name.part[0] == 2 && name.part[1] == 999);
	assert_int_equal(v.text_len, 0);
	assert_int_equal(snmp_packet_next(&p, &name, &v), 0);
	free(text);
	buf_fini(&varbinds);
	buf_fini(&packet);
}

static void only_the_answer_to_the_request_is_one(void **state)
{
	static const struct {
		uint8_t version, tag;
		const char *id;
		bool is_good;
	} cases[] = {{1, 0xa2, "020412345678", true}, {0, 0xa2, "020412345678", false}, {1, 0xa8, "020412345678", false},
		{1, 0xa0, "020412345678", false}, {1, 0xa2, "020412345679", false}, {1, 0xa2, "02050112345678", false},
		{1, 0xa2, "040412345678", false}, {1, 0xa2, "0205ff12345678", false}, {1, 0xa2, "02050012345678", true}};
	struct buf varbinds = {0};
	struct snmp_packet p;

	(void)state;
	put_varbind(&varbinds, SYSUPTIME, "430101");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buf packet = answer_with(&varbinds, cases[i].version, cases[i].tag, cases[i].id, "020105020102");

		if ((snmp_packet_decode(packet.data, packet.len, 0x12345678, &p) == 0) != cases[i].is_good)
			fail_msg("case %zu", i);
		if (cases[i].is_good)
			assert_true(p.status == 5 && p.index == 2);
		buf_fini(&packet);
	}
	buf_fini(&varbinds);
}

/* No byte is read behind the end (sanitizers see it), and of what is cut nothing is taken. */
static void what_is_cut_is_no_answer(void **state)
{
	struct buf varbinds = {0}, packet;
	struct snmp_packet p;

	(void)state;
	put_varbind(&varbinds, SYSUPTIME, "430101");
	put_varbind(&varbinds, "2b06010401868d1f8fffffff7f", "0403616200");
	packet = answer_with(&varbinds, 1, 0xa2, "020412345678", "020100020100");
	for (size_t len = 0; len < packet.len; len++) {
		uint8_t *copy = mem_copy(packet.data, len > 0 ? len : 1);

		assert_int_equal(snmp_packet_decode(copy, len, 0x12345678, &p), -1);
		free(copy);
	}
	buf_fini(&varbinds);
	buf_fini(&packet);
}

/* What is encoded comes back as a name, whatever its parts. */
static void names_come_through(void **state)
{
	unsigned seed = (unsigned)time(NULL);

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	for (int round = 0; round < 2000; round++) {
		struct snmp_request q = {.count = 1 + (size_t)rand() % SNMP_VARBINDS};
		struct buf out = {0};
		struct snmp_packet p;
		struct snmp_value v;
		struct snmp_oid name;
		uint8_t *tag;

		for (size_t i = 0; i < q.count; i++) {
			q.oids[i].len = 2 + (size_t)rand() % (SNMP_OID_MAX - 1);
			q.oids[i].part[0] = (uint32_t)rand() % 3;
			for (size_t k = 1; k < q.oids[i].len; k++)
				q.oids[i].part[k] = (uint32_t)rand() >> rand() % 31;
			q.oids[i].part[1] %= q.oids[i].part[0] < 2 ? 40 : 1000;
		}
		snmp_packet_encode(&out, "public", 77, q.repetitions, &q);
		tag = memchr(out.data + 14, 0xa0, 8);
		assert_non_null(tag);
		*tag = 0xa2;
		assert_int_equal(snmp_packet_decode(out.data, out.len, 77, &p), 0);
		for (size_t i = 0; i < q.count; i++) {
			assert_int_equal(snmp_packet_next(&p, &name, &v), 1);
			assert_int_equal(snmp_oid_order(&name, &q.oids[i]), 0);
		}
		assert_int_equal(snmp_packet_next(&p, &name, &v), 0);
		buf_fini(&out);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_request_is_what_the_standard_says),
		cmocka_unit_test(values_are_read_by_their_kinds),
		cmocka_unit_test(only_the_answer_to_the_request_is_one),
		cmocka_unit_test(what_is_cut_is_no_answer),
		cmocka_unit_test(names_come_through),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
