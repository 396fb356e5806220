#include "probes/http_steps.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "probes/catalog_http_steps.h"

#define LINES(...) (const char *const[]){__VA_ARGS__}, sizeof((const char *const[]){__VA_ARGS__}) / sizeof(char *)

static void lines_become_steps(void **state)
{
	struct err e;
	struct http_steps *s = http_steps_new(LINES("open: GET /login", "\ttake csrf = body ~value=\"(.*)\"", "take where = header Location ~id=([0-9]+)", "login: POST https://x/${where}",
		"  form user=a=b", "form password=${secret:portal}", "  header X-Token: ${csrf}", "  redirects 0", "  status 200,302", "  expect hello ${csrf}", "  forbid ~[Ee]rror",
		"  expect_header Location: /home", "json $.id == ${where}", " json $.ok", "take id = json length($.items)", "gone: DELETE ${id}"), &e);
	const struct http_step *login;

	(void)state;
	if (s == NULL)
		fail_msg("%s", e.text);
	login = &s->steps[1];
	assert_int_equal(s->count, 3);
	assert_string_equal(s->steps[0].name, "open");
	assert_int_equal(s->steps[0].take_count, 2);
	assert_int_equal(s->steps[0].redirects, -1);
	assert_null(s->steps[0].status);
	assert_string_equal(login->method, "POST");
	assert_string_equal(login->target, "https://x/${where}");
	assert_int_equal(login->form_count, 2);
	assert_string_equal(login->form[0], "user=a=b");
	assert_string_equal(login->headers[0], "X-Token: ${csrf}");
	assert_int_equal(login->redirects, 0);
	assert_string_equal(login->expect, "hello ${csrf}");
	assert_int_equal(login->json_count, 2);
	assert_true(login->takes[0].path.is_length);
	assert_string_equal(s->steps[2].target, "${id}");
	http_steps_free(s);
	http_steps_free(NULL);
}

static void lines_that_are_wrong_are_told(void **state)
{
	static const struct { const char *lines[4], *words; } rows[] = {
		{{"form a=b"}, "\"form\" belongs to a step"}, {{"login POST /"}, "\"login\" is none of form"}, {{"Log in: GET /"}, "\"Log\" is none of form"}, {{"Login: GET /"}, "is no name of a step"},
		{{"a: GET"}, "an address is wanted"}, {{"a: get /"}, "\"get\" is none of GET"}, {{"a: GET /a b"}, "holds a blank"}, {{"a: GET ftp://x/"}, "must start with http://"}, {{"a:GET /"}, "is none of form"},
		{{"a: GET /", "a: GET /b"}, "two steps are named"}, {{"a: GET /${x}"}, "no step above takes \"x\""}, {{"a: GET /", "take x = header X", "header Y: ${x}"}, "no step above takes \"x\""},
		{{"a: GET /${x"}, "${ has no }"}, {{"a: GET /${secret:x}"}, "elsewhere it would be seen"}, {{"a: GET /", "expect ${secret:x}"}, "elsewhere it would be seen"}, {{"a: POST /", "body ${secret:}"}, "names no secret"},
		{{"a: POST /", "form x"}, "is no field of a form"}, {{"a: POST /", "form =x"}, "is no field of a form"}, {{"a: GET /", "body x"}, "a GET sends no body"}, {{"a: POST /", "body x", "form a=b"}, "form and body in one step"},
		{{"a: POST /", "form a=b", "body x"}, "form and body in one step"}, {{"a: POST /", "body x", "body y"}, "body stands twice"}, {{"a: GET /", "header x"}, "is not a header"}, {{"a: GET /", "redirects 21"}, "outside 0 to 20"},
		{{"a: GET /", "redirects 1", "redirects 2"}, "redirects stands twice"}, {{"a: GET /", "status ok"}, "is not a list of codes"}, {{"a: GET /", "status"}, "nothing stands behind it"}, {{"a: GET /", "expect x", "expect y"}, "expect stands twice"},
		{{"a: GET /", "expect ~("}, "has a ( without its )"}, {{"a: GET /", "forbid ~*"}, "nothing to repeat"}, {{"a: GET /", "expect_header x"}, "is not a header"}, {{"a: GET /", "expect_header X: ~("}, "has a ( without its )"},
		{{"a: GET /", "json x"}, "a path begins with $"}, {{"a: GET /", "json $.a == ${b}"}, "no step above takes \"b\""}, {{"a: GET /", "take x json $.a"}, "is written as in: take id = json $.id"},
		{{"a: GET /", "take X = json $.a"}, "is written as in"}, {{"a: GET /", "take x = $.a"}, "json, header or body is wanted"}, {{"a: GET /", "take x = json $.a == 1"}, "behind the path means nothing"},
		{{"a: GET /", "take x = header"}, "the name of a header is wanted"}, {{"a: GET /", "take x = header X: "}, "is no name of a header"}, {{"a: GET /", "take x = header X y"}, "~ and a pattern with ( ) is wanted"},
		{{"a: GET /", "take x = body"}, "~ and a pattern with ( ) is wanted"}, {{"a: GET /", "take x = body ~y"}, "has no ( )"}, {{""}, "is none of form"}, {{":"}, "is no name of a step"}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t n = 0;
		struct err e;

		while (n < 4 && rows[i].lines[n] != NULL)
			n++;
		if (http_steps_check(rows[i].lines, n, &e) == 0 || strstr(e.text, rows[i].words) == NULL)
			fail_msg("%s: %s", rows[i].lines[n - 1], e.text);
		assert_int_equal(n > 1 ? http_steps_check(rows[i].lines, n - 1, &e) : 0, 0); /* those above are good */
	}
}

static void steps_and_lines_are_bounded(void **state)
{
	const char *lines[HTTP_LINES_MAX + 1];
	char texts[HTTP_STEPS_MAX + 1][20];
	struct err e;

	(void)state;
	for (int i = 0; i <= HTTP_STEPS_MAX; i++) {
		snprintf(texts[i], sizeof texts[i], "s%d: GET /", i);
		lines[i] = texts[i];
	}
	assert_int_equal(http_steps_check(lines, HTTP_STEPS_MAX, &e), 0);
	assert_int_equal(http_steps_check(lines, HTTP_STEPS_MAX + 1, &e), -1);
	assert_string_equal(e.text, "more than 12 steps");
	for (int i = 1; i <= HTTP_LINES_MAX; i++)
		lines[i] = "json $.a";
	assert_int_equal(http_steps_check(lines, HTTP_LINES_MAX, &e), 0);
	assert_int_equal(http_steps_check(lines, HTTP_LINES_MAX + 1, &e), -1);
	assert_string_equal(e.text, "more than 48 lines");
}

static const char *value_of(void *ctx, const char *name, struct err *e)
{
	(void)ctx;
	if (strcmp(name, "none") == 0) {
		err_set(e, "there is none");
		return NULL;
	}
	return strcmp(name, "secret:s") == 0 ? "p&\"\\ =\xe4\xb8\xad" : "http://y/a b?c";
}

static void values_stand_as_they_must(void **state)
{
	static const struct { const char *text; enum http_escape escape; const char *filled; } rows[] = {
		{"plain $ { }", HTTP_AS_IS, "plain $ { }"}, {"a${secret:s}b${x}", HTTP_AS_IS, "ap&\"\\ =\xe4\xb8\xad" "bhttp://y/a b?c"}, {"{\"a\":\"${secret:s}\"}", HTTP_IN_JSON, "{\"a\":\"p&\\\"\\\\ =\xe4\xb8\xad\"}"},
		{"${x}/d", HTTP_IN_URL, "http://y/a b?c/d"}, {"/q?${x}", HTTP_IN_URL, "/q?http%3A%2F%2Fy%2Fa%20b%3Fc"}, {"", HTTP_IN_URL, ""}};
	struct buf out = {0};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		buf_clear(&out);
		assert_int_equal(http_template_fill(rows[i].text, rows[i].escape, value_of, NULL, &out, &e), 0);
		assert_string_equal(buf_text(&out), rows[i].filled);
	}
	assert_int_equal(http_template_fill("a${none}", HTTP_AS_IS, value_of, NULL, &out, &e), -1);
	assert_string_equal(e.text, "there is none");
	assert_true(http_template_has_secret("x${secret:a}") && !http_template_has_secret("x${a}"));
	buf_fini(&out);
}

/* The place of the wrong line itself, not that of the check. */
static void a_wrong_line_is_told_with_its_place(void **state)
{
	struct config_pair items[] = {{.key = "url", .value = "http://x/", .where = {"f", 1}}, {.key = "steps", .value = "a: GET /", .where = {"f", 7}},
		{.key = "steps", .value = "  frm x=y", .where = {"f", 8}}};
	const struct config_pairs pairs = {.count = 3, .items = items, .where = {"f", 1}};
	struct arena *a = arena_new();
	void *options;
	struct err e;

	(void)state;
	assert_int_equal(catalog_options(&catalog_http_steps, &pairs, a, &options, &e), -1);
	assert_ptr_equal(strstr(e.text, "f:8: steps: \"frm\" is none of form"), e.text);
	items[2].value = " expect x";
	assert_int_equal(catalog_options(&catalog_http_steps, &pairs, a, &options, &e), 0);
	assert_int_equal(((struct http_options *)options)->steps.count, 2);
	arena_free(a);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_become_steps),
		cmocka_unit_test(lines_that_are_wrong_are_told),
		cmocka_unit_test(steps_and_lines_are_bounded),
		cmocka_unit_test(values_stand_as_they_must),
		cmocka_unit_test(a_wrong_line_is_told_with_its_place),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
