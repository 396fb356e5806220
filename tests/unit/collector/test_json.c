#include "collector/web/json.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "lib/clock.h"

static json_t *parse(struct json *j)
{
	json_error_t e;
	json_t *v = json_loadb((const char *)j->out.data, j->out.len, JSON_ALLOW_NUL, &e);

	if (v == NULL)
		fail_msg("%s in %s", e.text, buf_text(&j->out));
	return v;
}

static void values_nest(void **state)
{
	const double numbers[] = {1.5, NAN, -0.000123456789};
	struct json j = {0};

	(void)state;
	json_open(&j, NULL, '{');
	json_text(&j, "name", "巡检");
	json_open(&j, "list", '[');
	json_open(&j, NULL, '{');
	json_close(&j, '}');
	json_int(&j, NULL, INT64_MIN);
	json_close(&j, ']');
	json_numbers(&j, "numbers", numbers, 3, 6);
	json_numbers(&j, "none", numbers, 0, 6);
	json_bool(&j, "yes", true);
	json_time(&j, "time", 1700000000123456789);
	json_time(&j, "never", 0);
	json_number(&j, "bad", INFINITY, 6);
	json_close(&j, '}');
	assert_string_equal(buf_text(&j.out),
		"{\"name\":\"巡检\",\"list\":[{},-9223372036854775808],\"numbers\":[1.5,null,-0.000123457],"
		"\"none\":[],\"yes\":true,\"time\":1700000000.123,\"never\":null,\"bad\":null}");
	json_decref(parse(&j));
	json_fini(&j);
}

static void hostile_texts_stay_data(void **state)
{
	static const struct {
		const char *text, *expected;
	} cases[] = {
		{"</script><img onerror=x>", "\"\\u003c/script\\u003e\\u003cimg onerror=x\\u003e\""},
		{"\"\\", "\"\\\"\\\\\""},
		{"a\nb\x01\x7f", "\"a\\u000ab\\u0001\\u007f\""},
		{"\xc2\x85\xe2\x80\xa8\xe2\x80\xa9", "\"\\u0085\\u2028\\u2029\""},
		{"\xff\xc0\x80\xed\xa0\x80", "\"\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\""},
		{"\xe4\xb8", "\"\\ufffd\\ufffd\""},
		{"\xe2\x80\xae" "evil", "\"\xe2\x80\xae" "evil\""},
		{"\xf0\x9f\x94\xa5", "\"\xf0\x9f\x94\xa5\""},
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct json j = {0};

		json_text(&j, NULL, cases[i].text);
		assert_string_equal(buf_text(&j.out), cases[i].expected);
		json_fini(&j);
	}
}

static void any_bytes_are_valid_json(void **state)
{
	unsigned short seed[3] = {(unsigned short)clock_mono(), 1, 2};

	(void)state;
	printf("seed %u\n", seed[0]);
	for (int i = 0; i < 20000; i++) {
		char text[64];
		size_t n = (size_t)nrand48(seed) % (sizeof text - 1);
		struct json j = {0};

		for (size_t k = 0; k < n; k++)
			text[k] = (char)(1 + nrand48(seed) % 255);
		text[n] = '\0';
		json_open(&j, NULL, '{');
		json_text(&j, text, text);
		json_close(&j, '}');
		json_decref(parse(&j));
		assert_null(memchr(j.out.data, '<', j.out.len));
		json_fini(&j);
	}
}

static void a_day_of_eight_values_is_written(void **state)
{
	static double numbers[8][1440];
	unsigned short seed[3] = {1, 2, 3};
	int64_t begun, best = INT64_MAX;

	(void)state;
	for (int c = 0; c < 8; c++) {
		for (int i = 0; i < 1440; i++)
			numbers[c][i] = erand48(seed) * (c < 6 ? 0.1 : 1000);
	}
	for (int round = 0; round < 20; round++) {
		struct json j = {0};

		begun = clock_mono();
		json_open(&j, NULL, '[');
		for (int c = 0; c < 8; c++)
			json_numbers(&j, NULL, numbers[c], 1440, 6);
		json_close(&j, ']');
		if (clock_mono() - begun < best)
			best = clock_mono() - begun;
		if (round == 0)
			json_decref(parse(&j));
		json_fini(&j);
	}
	printf("  figure: JSON of one day x 8 values (11520 numbers): %.3f ms\n", (double)best / NS_PER_MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_nest),
		cmocka_unit_test(hostile_texts_stay_data),
		cmocka_unit_test(any_bytes_are_valid_json),
		cmocka_unit_test(a_day_of_eight_values_is_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
