#include "probes/match.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/err.h"

static bool finds(const char *text, bool escapes, const void *data, size_t len)
{
	struct match m;
	struct err e;
	bool found;

	assert_int_equal(match_init(&m, text, escapes, &e), 0);
	found = match_find(&m, data, len);
	match_fini(&m);
	return found;
}

static void bytes_are_found_anywhere(void **state)
{
	(void)state;
	assert_true(finds("", false, NULL, 0));
	assert_true(finds("b\\x00c", true, "ab\0cd", 5));
	assert_false(finds("b\\x00c", false, "ab\0cd", 5));
	assert_true(finds("\\r\\n\\t\\\\", true, "x\r\n\t\\", 5));
	assert_false(finds("abcd", false, "abc", 3));
	assert_false(finds("a", false, NULL, 0));
}

static void patterns_are_tried_on_each_line(void **state)
{
	(void)state;
	assert_true(finds("~^220[ -].*ready$", false, "220-x\r\n220 ready\r\n", 18));
	assert_false(finds("~220.*ready", false, "220\nready", 9));
	assert_false(finds("~^220", false, " 220", 4));
	assert_true(finds("~c$", false, "ab\0c\nd", 6));
	assert_true(finds("~^$", false, NULL, 0));
	assert_true(finds("~^$", false, "a\n\nb", 4));
	assert_false(finds("~^$", false, "a\n", 2));
	assert_false(finds("~abc", false, "abcd", 2));
	assert_true(finds("~a{2,3}(b|c)+", false, "aabcb", 5));
	assert_true(finds("~x|^a", false, "ab", 2));
	assert_false(finds("~x|^a", false, "ba", 2));
	assert_true(finds("~", false, "ba", 2));
	assert_true(finds("~[])[:alpha:]]+\\)", false, ")a])", 4));
	assert_true(finds("~\xff", false, "b\xff\n", 3));
	assert_true(finds("~b.c", false, "\xff\0" "b\tc", 5));
}

static void what_cannot_be_meant_is_refused_with_words(void **state)
{
	static const char *const escapes[][2] = {{"\\", "\\ has no meaning"}, {"a\\q", "\\q has no meaning"},
		{"\\x4", "\\x has no meaning"}, {"\\xg0", "\\x has no meaning"}};
	static const char *const patterns[][2] = {{"~(", "has a ( without its )"}, {"~[a", "has a [ without its ]"},
		{"~(a)\\1", "refers back"}, {"~a)|(b", "without its ("}};
	struct match m;
	struct err e;

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(match_init(&m, escapes[i][0], true, &e), -1);
		assert_non_null(strstr(e.text, escapes[i][1]));
		assert_int_equal(match_init(&m, escapes[i][0], false, &e), 0);
		match_fini(&m);
		assert_int_equal(match_init(&m, patterns[i][0], false, &e), -1);
		assert_non_null(strstr(e.text, patterns[i][1]));
	}
}

static void status_lists_hold_what_they_say(void **state)
{
	static const char *const bad[] = {"", ",", "20", "2000", "200-", "-200", "099", "300-200", "200,", "200 ,201",
		"200;201", "200-300-400", "a00"};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(match_check_status(bad[i], &e), -1);
		assert_non_null(strstr(e.text, "write \"200-399,401\""));
	}
	assert_int_equal(match_check_status("200-399,401", &e), 0);
	for (int code = 100; code < 1000; code++) {
		assert_int_equal(match_status("200-399,401", code), (code >= 200 && code <= 399) || code == 401);
		assert_int_equal(match_status("503", code), code == 503);
	}
}

static void header_lines_are_compared_by_name(void **state)
{
	const char *value;
	size_t len;
	struct err e;

	(void)state;
	assert_true(match_header("content-type: x", "Content-Type:  text/html \r\n", 27, &value, &len));
	assert_int_equal(len, 9);
	assert_memory_equal(value, "text/html", 9);
	assert_true(match_header("X:", "x:", 2, &value, &len));
	assert_int_equal(len, 0);
	assert_false(match_header("Content:", "Content-Type: x", 15, &value, &len));
	assert_false(match_header("Content-Type:", "Content", 7, &value, &len));
	assert_false(match_header("X:", "X : y", 5, &value, &len));
	assert_int_equal(match_check_header("X-Y: \tz", &value, &e), 0);
	assert_string_equal(value, "z");
	assert_int_equal(match_check_header(": z", &value, &e), -1);
	assert_int_equal(match_check_header("X Y: z", &value, &e), -1);
	assert_int_equal(match_check_header("X", &value, &e), -1);
}

/* What an escape stands for comes back whatever bytes they are. */
static void every_byte_can_be_written(void **state)
{
	unsigned seed = (unsigned)time(NULL);
	char text[4 * 100 + 1];
	uint8_t bytes[100], out[sizeof text];
	struct err e;

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	for (int round = 0; round < 1000; round++) {
		size_t n = (size_t)rand() % 100;

		text[0] = '\0';
		for (size_t i = 0; i < n; i++) {
			bytes[i] = (uint8_t)rand();
			snprintf(text + strlen(text), 5, rand() % 2 ? "\\x%02x" : "\\x%02X", bytes[i]);
		}
		assert_int_equal(match_unescape(text, out, &e), n);
		assert_memory_equal(out, bytes, n);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_are_found_anywhere),
		cmocka_unit_test(patterns_are_tried_on_each_line),
		cmocka_unit_test(what_cannot_be_meant_is_refused_with_words),
		cmocka_unit_test(status_lists_hold_what_they_say),
		cmocka_unit_test(header_lines_are_compared_by_name),
		cmocka_unit_test(every_byte_can_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
