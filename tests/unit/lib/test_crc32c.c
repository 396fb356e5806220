#include "lib/crc32c.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

typedef uint32_t (*checksum)(uint32_t, const void *, size_t);

static const checksum both[] = {crc32c, crc32c_by_table};

static void the_examples_of_rfc_3720_come_out(void **state)
{
	static const uint8_t command[48] = {0x01, 0xc0, [16] = 0x14, [22] = 0x04, [27] = 0x14, [31] = 0x18,
		[32] = 0x28, [40] = 0x02};
	uint8_t bytes[32];

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		memset(bytes, 0, sizeof bytes);
		assert_int_equal(both[i](0, bytes, sizeof bytes), 0x8a9136aa);
		memset(bytes, 0xff, sizeof bytes);
		assert_int_equal(both[i](0, bytes, sizeof bytes), 0x62a8ab43);
		for (uint8_t k = 0; k < 32; k++)
			bytes[k] = k;
		assert_int_equal(both[i](0, bytes, sizeof bytes), 0x46dd794e);
		for (uint8_t k = 0; k < 32; k++)
			bytes[k] = (uint8_t)(31 - k);
		assert_int_equal(both[i](0, bytes, sizeof bytes), 0x113fdb5c);
		assert_int_equal(both[i](0, command, sizeof command), 0xd9963a56);
		assert_int_equal(both[i](0, "123456789", 9), 0xe3069283);
		assert_int_equal(both[i](0, "", 0), 0);
	}
}

static void instruction_and_table_agree_at_every_length_and_offset(void **state)
{
	uint8_t bytes[300];

	(void)state;
	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * i * 7 + i / 3);
	for (size_t from = 0; from < 9; from++)
		for (size_t len = 0; len <= sizeof bytes - from; len++)
			assert_int_equal(crc32c(0x1234, bytes + from, len),
				crc32c_by_table(0x1234, bytes + from, len));
}

static void parts_chain_to_the_checksum_of_the_whole(void **state)
{
	const char text[] = "a patrol of systems and links";
	size_t len = sizeof text - 1;

	(void)state;
	for (size_t cut = 0; cut <= len; cut++)
		for (size_t i = 0; i < 2; i++)
			assert_int_equal(both[i](both[i](0, text, cut), text + cut, len - cut),
				crc32c_by_table(0, text, len));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_examples_of_rfc_3720_come_out),
		cmocka_unit_test(instruction_and_table_agree_at_every_length_and_offset),
		cmocka_unit_test(parts_chain_to_the_checksum_of_the_whole),
	};

	return cmocka_run_group_tests_name("crc32c", tests, NULL, NULL);
}
