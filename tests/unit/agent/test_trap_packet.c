#include "agent/trap_packet.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

/* As snmptrap sends them: linkDown and others with sysUpTime.0 before. LAST: the end of the name of the notification. */
#define HEAD 0x02, 1, 1, 4, 6, 'p', 'u', 'b', 'l', 'i', 'c'
#define VARBINDS(last)                                                                             \
	0x02, 2, 0x12, 0x34, 0x02, 1, 0, 0x02, 1, 0, 0x30, 41, 0x30, 14, 6, 8, 0x2b, 6, 1, 2, 1, 1, 3, 0, 0x43, 2, 1, 2, \
		0x30, 23, 6, 10, 0x2b, 6, 1, 6, 3, 1, 1, 4, 1, 0, 6, 9, 0x2b, 6, 1, 6, 3, 1, 1, 5, last
#define MESSAGE(pdu, last) {0x30, 66, HEAD, pdu, 53, VARBINDS(last)}

static enum trap_kind kind(const uint8_t *data, size_t len)
{
	return trap_packet_decode(data, len).kind;
}

static void test_notifications_of_v2c_are_told_apart(void **state)
{
	static const uint8_t down[] = MESSAGE(0xa7, 3), up[] = MESSAGE(0xa7, 4), cold[] = MESSAGE(0xa7, 1),
		authentication[] = MESSAGE(0xa7, 5), get[] = MESSAGE(0xa0, 3), response[] = MESSAGE(0xa2, 3);

	(void)state;
	assert_int_equal(kind(down, sizeof down), TRAP_LINK);
	assert_int_equal(kind(up, sizeof up), TRAP_LINK);
	assert_int_equal(kind(cold, sizeof cold), TRAP_START);
	assert_int_equal(kind(authentication, sizeof authentication), TRAP_OTHER);
	assert_int_equal(kind(get, sizeof get), TRAP_NONE);
	assert_int_equal(kind(response, sizeof response), TRAP_NONE);
	assert_int_equal(trap_packet_decode(down, sizeof down).inform_at, 0);
}

static void test_the_answer_to_an_inform_is_the_inform_with_another_tag(void **state)
{
	static const uint8_t inform[] = MESSAGE(0xa6, 3);
	struct trap_packet p = trap_packet_decode(inform, sizeof inform);

	(void)state;
	assert_int_equal(p.kind, TRAP_LINK);
	assert_int_equal(inform[p.inform_at], 0xa6);
}

static void test_a_ups_is_told_by_its_mib(void **state)
{
	static const uint8_t on_battery[] = {0x30, 65, HEAD, 0xa7, 52, 0x02, 2, 0x12, 0x34, 0x02, 1, 0, 0x02, 1, 0, 0x30, 40,
		0x30, 14, 6, 8, 0x2b, 6, 1, 2, 1, 1, 3, 0, 0x43, 2, 1, 2, 0x30, 22, 6, 10, 0x2b, 6, 1, 6, 3, 1, 1, 4, 1, 0, 6, 8,
		0x2b, 6, 1, 2, 1, 33, 2, 1};

	(void)state;
	assert_int_equal(kind(on_battery, sizeof on_battery), TRAP_UPS);
}

static void test_a_ups_of_v1_is_told_by_its_enterprise(void **state)
{
	static const uint8_t v1[] = {0x30, 41, 2, 1, 0, 4, 1, 'c', 0xa4, 33, 6, 7, 0x2b, 6, 1, 2, 1, 33, 2, 0x40, 4, 127, 0, 0, 1, 2, 1, 6, 2, 1, 1,
		0x43, 1, 9, 0x30, 7, 0x30, 5, 6, 1, 0, 5, 0};
	uint8_t other[sizeof v1];

	(void)state;
	assert_int_equal(kind(v1, sizeof v1), TRAP_UPS);
	memcpy(other, v1, sizeof v1);
	other[17] = 34;
	assert_int_equal(kind(other, sizeof other), TRAP_OTHER);
}

static void test_v1_and_v3_are_known(void **state)
{
	static const uint8_t v1[] = {0x30, 38, 2, 1, 0, 4, 1, 'c', 0xa4, 30, 6, 4, 0x2b, 6, 1, 4, 0x40, 4, 127, 0, 0, 1, 2, 1, 2, 2, 1, 0,
		0x43, 1, 9, 0x30, 7, 0x30, 5, 6, 1, 0, 5, 0};
	static const uint8_t v3[] = {0x30, 25, 2, 1, 3, 0x30, 13, 2, 2, 1, 2, 2, 2, 5, 0xdc, 4, 1, 3, 2, 1, 3, 4, 2, 0, 0, 4, 1};
	uint8_t inform[sizeof v3];

	(void)state;
	assert_int_equal(kind(v1, sizeof v1), TRAP_LINK);
	assert_int_equal(kind(v3, sizeof v3), TRAP_SEALED);
	memcpy(inform, v3, sizeof v3);
	inform[17] |= 4; /* wants an answer */
	assert_int_equal(kind(inform, sizeof inform), TRAP_ENGINE);
}

/* No byte is read behind the end (sanitizers see it), and what is cut is nothing. */
static void test_what_is_cut_is_no_notification(void **state)
{
	static const uint8_t down[] = MESSAGE(0xa6, 3);

	(void)state;
	for (size_t len = 0; len < sizeof down; len++) {
		uint8_t *copy = malloc(len + 1);
		struct trap_packet p;

		memcpy(copy, down, len);
		copy = realloc(copy, len > 0 ? len : 1);
		p = trap_packet_decode(copy, len);
		assert_int_equal(p.kind, TRAP_NONE);
		assert_int_equal(p.inform_at, 0);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_notifications_of_v2c_are_told_apart),
		cmocka_unit_test(test_the_answer_to_an_inform_is_the_inform_with_another_tag),
		cmocka_unit_test(test_a_ups_is_told_by_its_mib),
		cmocka_unit_test(test_a_ups_of_v1_is_told_by_its_enterprise),
		cmocka_unit_test(test_v1_and_v3_are_known),
		cmocka_unit_test(test_what_is_cut_is_no_notification),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
