#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/beat_packet.h"

#define MAC "00112233445566778899aabbccddeeFF00112233445566778899aabbccddeeff"

/* In a block of its own size, so that sanitizers see a byte read behind the end. */
static bool decode(const char *text, size_t len, struct beat_packet *p)
{
	char *copy = malloc(len > 0 ? len : 1);
	bool good;

	memcpy(copy, text, len);
	good = beat_packet_decode(copy, len, p);
	free(copy);
	return good;
}

static bool is_report(const char *text)
{
	struct beat_report r;

	return beat_report_decode(text, strlen(text), &r);
}

static void a_datagram_is_taken_apart(void **state)
{
	static const char text[] = "xunjian1 window-1 1795739000 42 down 打印机 缺纸 " MAC "\n";
	struct beat_packet p;

	(void)state;
	assert_true(decode(text, strlen(text), &p));
	assert_string_equal(p.window, "window-1");
	assert_int_equal(p.time, 1795739000);
	assert_int_equal(p.counter, 42);
	assert_false(p.report.is_up);
	assert_string_equal(p.report.text, "打印机 缺纸");
	assert_int_equal(p.sealed, strlen(text) - 66);
	assert_int_equal(p.mac[1], 0x11);
	assert_int_equal(p.mac[15], 0xff);
	assert_int_equal(p.mac[31], 0xff);
}

static void what_is_not_of_the_form_is_refused(void **state)
{
	static const char *const bad[] = {
		"xunjian1 w 1 1 up", "xunjian2 w 1 1 up " MAC, "xunjian1  1 1 up " MAC, "xunjian1 W 1 1 up " MAC,
		"xunjian1 ../w 1 1 up " MAC, "xunjian1 w -1 1 up " MAC, "xunjian1 w 1 9007199254740993 up " MAC,
		"xunjian1 w 1 1 UP " MAC, "xunjian1 w 1 1 " MAC, "xunjian1 w 1 1  " MAC, "xunjian1 w 1 up " MAC, "xunjian1 w 1x 1 up " MAC,
		"xunjian1 w 1 1 up a\033b " MAC, "xunjian1 w 1 1 up \xff " MAC, "xunjian1 w 1 1 up x" MAC,
		"xunjian1 w 1 1 up g" "0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff0",
		"xunjian1 w 1 1 upper " MAC, "xunjian1 w 1 99999999999999999999999 up " MAC,
	};
	struct beat_packet p;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (decode(bad[i], strlen(bad[i]), &p))
			fail_msg("taken: %s", bad[i]);
	}
	assert_true(decode("xunjian1 w 1 1 up " MAC, 18 + 64, &p));
}

static void what_is_cut_anywhere_is_refused(void **state)
{
	static const char text[] = "xunjian1 window-1 1795739000 42 down no paper " MAC;
	struct beat_packet p;

	(void)state;
	for (size_t len = 0; len < sizeof text - 1; len++)
		assert_false(decode(text, len, &p));
}

static void what_is_too_long_is_refused(void **state)
{
	char text[2 * BEAT_PACKET_MAX];
	struct beat_packet p;

	(void)state;
	snprintf(text, sizeof text, "xunjian1 w 1 1 up %0255d %s", 0, MAC);
	assert_true(decode(text, strlen(text), &p));
	snprintf(text, sizeof text, "xunjian1 w 1 1 up %0256d %s", 0, MAC);
	assert_false(decode(text, strlen(text), &p));
	snprintf(text, sizeof text, "xunjian1 w%063d 1 1 up %s", 0, MAC);
	assert_false(decode(text, strlen(text), &p));
}

static void a_report_is_a_state_and_words(void **state)
{
	struct beat_report r;

	(void)state;
	assert_true(beat_report_decode("", 0, &r) && r.is_up);
	assert_true(beat_report_decode("up\r\n", 4, &r) && r.is_up && r.text[0] == '\0');
	assert_true(beat_report_decode("down", 4, &r) && !r.is_up);
	assert_true(beat_report_decode("down no paper\n", 14, &r) && !r.is_up);
	assert_string_equal(r.text, "no paper");
	assert_false(beat_report_decode("up a\0b", 6, &r));
	assert_false(is_report("u"));
	assert_false(is_report("ok"));
	assert_false(is_report("downtime"));
	assert_false(is_report("up\n\n"));
	assert_false(is_report("{\"state\":\"up\"}"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_datagram_is_taken_apart),
		cmocka_unit_test(what_is_not_of_the_form_is_refused),
		cmocka_unit_test(what_is_cut_anywhere_is_refused),
		cmocka_unit_test(what_is_too_long_is_refused),
		cmocka_unit_test(a_report_is_a_state_and_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
