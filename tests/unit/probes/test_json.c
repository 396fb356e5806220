#include "probes/json_read.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"

static struct json_library *library;

static int open_library(void **state)
{
	struct err e;

	(void)state;
	library = json_library_open(&e);
	return library != NULL ? 0 : -1;
}

static int close_library(void **state)
{
	(void)state;
	json_library_close(library);
	return 0;
}

static const char *value_of(void *ctx, const char *name)
{
	(void)ctx;
	return strcmp(name, "seven") == 0 ? "7" : strcmp(name, "word") == 0 ? "ok" : "?";
}

/* "" when it holds, or why not; static. */
static const char *judge(const char *text, const char *condition)
{
	static char why[600];
	struct json_condition c;
	struct json_t *root;
	struct err e;

	if (json_condition_init(&c, condition, &e) < 0) {
		snprintf(why, sizeof why, "wrong: %s", e.text);
		return why;
	}
	root = json_read(library, text, strlen(text), &e);
	if (root == NULL)
		fail_msg("%s", e.text);
	why[0] = '\0';
	if (json_condition_holds(library, &c, root, value_of, NULL, why, sizeof why) != (why[0] == '\0'))
		fail_msg("%s: words \"%s\"", condition, why);
	json_free(library, root);
	json_condition_fini(&c);
	return why;
}

static const char body[] = "{\"status\": \"ok\", \"queue\": 120, \"share\": 0.5, \"on\": true, \"off\": false, \"none\": null,"
	" \"items\": [{\"id\": 7, \"name\": \"政务\"}, {\"id\": 8}], \"a b\": {\"$\": \"x\"}, \"\": 1, \"deep\": [[1, [2]]], \"big\": 9007199254740993,"
	" \"quote\": \"it's\", \"zero\": \"a\\u0000b\"}";

static void conditions_that_hold(void **state)
{
	static const char *const rows[] = {"$.status", "$", "$.status == \"ok\"", "$.status == 'ok'", "$.status != 'no'", "$.status=='ok'", "$.queue == 120", "$.queue < 121",
		"$.queue <= 120", "$.queue > 1.195e2", "$.queue >= 120", "$.queue != 121", "$.share == 0.5", "$.on == true", "$.off == false", "$.on != false",
		"$.none == null", "$.none", "$.items[0].id == 7", "$.items[-1].id == 8", "$['items'][0]['name'] == '政务'", "$[\"a b\"]['$'] == 'x'",
		"$[''] == 1", "$.deep[0][1][0] == 2", "length($.items) == 2", "length($.items) >= 1", "length($.status) == 2", "length($.items[0].name) == 2",
		"length( $.items[0] ) == 2", "$.status =~ '^o'", "$.status > 'oa'", "$.items[0].id == ${seven}", "$.status == ${word}", "$.queue > ${seven}",
		"length($.items) < ${seven}", "$.status != ${seven}", "$.queue != 'ok'", "$.status != 5", "$.items != null", "  $.queue  <  121", "$.quote == 'it\\'s'",
		"$.quote == \"it's\"", "$.zero != 'a'"};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *why = judge(body, rows[i]);

		if (*why != '\0')
			fail_msg("%s: %s", rows[i], why);
	}
}

static void conditions_that_do_not_hold_say_what_is_there(void **state)
{
	static const struct { const char *condition, *why; } rows[] = {
		{"$.queue < 100", "$.queue is 120, expected < 100"}, {"$.status == 'up'", "$.status is \"ok\", expected == 'up'"},
		{"$.gone", "$.gone is not there"}, {"$.gone == 1", "$.gone is not there, expected == 1"}, {"$.gone != 1", "$.gone is not there, expected != 1"},
		{"$.items[2]", "$.items[2] is not there"}, {"$.items[-3]", "$.items[-3] is not there"}, {"$.status[0]", "$.status[0] is not there"},
		{"$.items.id", "$.items.id is not there"}, {"$.items == 2", "$.items is a list of 2, expected == 2"}, {"$['a b'] == 1", "$['a b'] is an object, expected == 1"},
		{"length($.items) > 2", "length($.items) is 2, expected > 2"}, {"length($.queue) > 2", "length($.queue) is 120, expected > 2"},
		{"$.queue == '120'", "$.queue is 120, expected == '120'"}, {"$.status < 5", "$.status is \"ok\", expected < 5"}, {"$.on == false", "$.on is true, expected == false"},
		{"$.none != null", "$.none is null, expected != null"}, {"$.status =~ '^k'", "$.status is \"ok\", expected =~ '^k'"},
		{"$.queue =~ '1'", "$.queue is 120, expected =~ '1'"}, {"$.items[0].id == ${word}", "$.items[0].id is 7, expected == ${word}"},
		{"$.status < ${seven}", "$.status is \"ok\", expected < ${seven}"}, {"$.queue < ${word}", "$.queue is 120, expected < ${word}"},
		{"$.items == ${seven}", "$.items is a list of 2, expected == ${seven}"}, {"$.share == 0.25", "$.share is 0.5, expected == 0.25"}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_string_equal(judge(body, rows[i].condition), rows[i].why);
}

static void conditions_that_are_none_are_told(void **state)
{
	static const struct { const char *condition, *words; } rows[] = {
		{"", "a path begins with $"}, {"status == 1", "a path begins with $"}, {"$.", "a name is wanted behind the dot"}, {"$.a b", "is wanted behind the path"},
		{"$.a = 1", "is wanted behind the path"}, {"$[x]", "an index"}, {"$[1", "an index"}, {"$[99999999999]", "an index"}, {"$['a", "has no end"}, {"$.a == ", "is no number"},
		{"$.a == 'x", "a quote has no end"}, {"$.a == 'x' y", "behind the value means nothing"}, {"$.a == yes", "is no number"}, {"$.a < true", "have no order"},
		{"$.a =~ 5", "=~ wants a pattern in quotes"}, {"$.a =~ '('", "has a ( without its )"}, {"length($.a", "length( has no )"}, {"length($.a) == 'x'", "a length is a number"},
		{"length($.a) =~ 'x'", "=~ wants a pattern"}, {"$.a == 1e999", "is no number"}, {"$.a == ${}", "is no number"}, {"$.a == ${a", "is no number"}, {"$..a", "a name is wanted"}};
	struct buf deep = {0};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const char *why = judge(body, rows[i].condition);

		if (strncmp(why, "wrong: ", 7) != 0 || strstr(why, rows[i].words) == NULL)
			fail_msg("%s: %s", rows[i].condition, why);
	}
	buf_add_text(&deep, "$");
	for (int i = 0; i <= JSON_PATH_PARTS; i++)
		buf_add_text(&deep, ".a");
	assert_non_null(strstr(judge(body, buf_text(&deep)), "more than 32 parts"));
	buf_fini(&deep);
}

static void values_are_taken_as_they_are_written(void **state)
{
	static const struct { const char *path, *value, *words; } rows[] = {
		{"$.status", "ok", NULL}, {"$.queue", "120", NULL}, {"$.share", "0.5", NULL}, {"$.on", "true", NULL}, {"$.none", "null", NULL}, {"$.big", "9007199254740993", NULL},
		{"length($.items)", "2", NULL}, {"$.items", NULL, "$.items is a list, no value"}, {"$['a b']", NULL, "$['a b'] is an object, no value"},
		{"$.gone", NULL, "$.gone is not there"}, {"length($.on)", NULL, "length($.on): it has no length"}};
	struct json_t *root;
	struct err e;

	(void)state;
	root = json_read(library, body, strlen(body), &e);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf out = {0};
		struct json_path p;
		int status;

		assert_int_equal(json_path_init(&p, rows[i].path, &e), 0);
		status = json_path_take(library, &p, root, &out, &e);
		assert_int_equal(status, rows[i].value != NULL ? 0 : -1);
		assert_string_equal(rows[i].value != NULL ? buf_text(&out) : e.text, rows[i].value != NULL ? rows[i].value : rows[i].words);
		json_path_fini(&p);
		buf_fini(&out);
	}
	json_free(library, root);
}

static void what_is_no_json_is_told(void **state)
{
	static const struct { const char *text, *words; } rows[] = {{"", "the body is empty, not JSON"}, {"<html>", "the body is not JSON: line 1: invalid token near '<'"},
		{"{\"a\":1}x", "the body is not JSON: line 1: "}, {"[1,", "the body is not JSON: line 1: "}, {"\xef\xbb\xbf", "the body is empty, not JSON"}};
	struct json_t *root;
	struct buf deep = {0};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_null(json_read(library, rows[i].text, strlen(rows[i].text), &e));
		assert_ptr_equal(strstr(e.text, rows[i].words), e.text);
	}
	root = json_read(library, "\xef\xbb\xbf 5", 5, &e);
	assert_non_null(root);
	json_free(library, root);
	for (int i = 0; i < JSON_DEPTH_MAX; i++)
		buf_add_text(&deep, "[");
	buf_add_text(&deep, "\"[[[\\\"[\"");
	for (int i = 0; i < JSON_DEPTH_MAX; i++)
		buf_add_text(&deep, "]");
	root = json_read(library, deep.data, deep.len, &e);
	assert_non_null(root);
	json_free(library, root);
	buf_clear(&deep);
	for (int i = 0; i < 100000; i++)
		buf_add_text(&deep, "[");
	assert_null(json_read(library, deep.data, deep.len, &e));
	assert_string_equal(e.text, "the body is JSON of more than 128 levels");
	buf_fini(&deep);
}

/* Of the most bytes that are read. */
static void a_hostile_text_takes_little_time(void **state)
{
	static const char *const pieces[] = {"[],", "0,", "\"\",", "{\"a\":0},", "\"\\u4e2d\","};
	struct json_condition c;
	int64_t worst = 0;
	char why[300];
	struct err e;

	(void)state;
	json_condition_init(&c, "$[-1] == 1", &e);
	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		struct buf text = {0};
		struct timespec began, ended;
		struct json_t *root;
		int64_t took;

		buf_add_text(&text, "[");
		while (text.len < JSON_TEXT_MAX - 20)
			buf_add_text(&text, pieces[i]);
		buf_add_text(&text, "1]");
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &began);
		root = json_read(library, text.data, text.len, &e);
		assert_true(json_condition_holds(library, &c, root, value_of, NULL, why, sizeof why));
		json_free(library, root);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ended);
		took = (int64_t)(ended.tv_sec - began.tv_sec) * NS_PER_S + ended.tv_nsec - began.tv_nsec;
		worst = took > worst ? took : worst;
		buf_fini(&text);
	}
	printf("128 KiB of JSON: %.1f ms at worst\n", (double)worst / NS_PER_MS);
	assert_true(worst < 500 * NS_PER_MS);
	json_condition_fini(&c);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(conditions_that_hold),
		cmocka_unit_test(conditions_that_do_not_hold_say_what_is_there),
		cmocka_unit_test(conditions_that_are_none_are_told),
		cmocka_unit_test(values_are_taken_as_they_are_written),
		cmocka_unit_test(what_is_no_json_is_told),
		cmocka_unit_test(a_hostile_text_takes_little_time),
	};

	return cmocka_run_group_tests(tests, open_library, close_library);
}
