#include "probes/http_answer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/config.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "probes/catalog_http.h"

struct fixture {
	struct arena *arena;
	struct http_answer answer;
	char why[300];
};

static void *options(struct arena *arena, const char *key, const char *value)
{
	struct config_pair items[] = {{.key = "url", .value = "http://x/"}, {.key = key, .value = value}};
	struct config_pairs pairs = {.count = key != NULL ? 2 : 1, .items = items};
	void *out;
	struct err e;

	assert_int_equal(catalog_options(&catalog_http, &pairs, arena, &out, &e), 0);
	return out;
}

static struct fixture *answer(const char *key, const char *value)
{
	struct fixture *f = mem_alloc(sizeof *f);

	struct http_expect expect;

	f->arena = arena_new();
	expect = http_expect_of(options(f->arena, key, value));
	http_answer_init(&f->answer, &expect);
	http_answer_begin(&f->answer, false);
	return f;
}

static void done(struct fixture *f)
{
	http_answer_fini(&f->answer);
	arena_free(f->arena);
	free(f);
}

static bool header(struct fixture *f, const char *line)
{
	return http_answer_header(&f->answer, line, strlen(line));
}

static bool body(struct fixture *f, const char *text)
{
	return http_answer_body(&f->answer, text, strlen(text));
}

static const char *judge(struct fixture *f)
{
	f->why[0] = '\0';
	if (http_answer_judge(&f->answer, f->why, sizeof f->why) == OUTCOME_UP)
		return "good";
	return f->why;
}

static void the_last_status_line_counts(void **state)
{
	struct fixture *f = answer("expect_header", "X-Ready: yes");

	(void)state;
	header(f, "HTTP/1.1 103 Early Hints\r\n");
	header(f, "X-Ready: yes\r\n");
	header(f, "Location: /elsewhere\r\n");
	assert_false(http_answer_is_redirect(&f->answer));
	header(f, "HTTP/1.1 302 Found\r\n");
	assert_int_equal(f->answer.status, 302);
	assert_string_equal(judge(f), "no header \"X-Ready: yes\"");
	assert_false(http_answer_is_redirect(&f->answer));
	header(f, "HTTP/1.1 503 Busy\r\n");
	assert_string_equal(judge(f), "status 503, expected 200-399");
	done(f);
}

static void a_header_is_met_by_any_line_of_its_name(void **state)
{
	struct fixture *f = answer("expect_header", "Set-Cookie: ~^b=[0-9]+$");

	(void)state;
	header(f, "HTTP/1.1 200\r\n");
	header(f, "set-cookie: a=1\r\n");
	assert_string_equal(judge(f), "no header \"Set-Cookie: ~^b=[0-9]+$\"");
	header(f, "SET-COOKIE:b=22 \r\n");
	assert_string_equal(judge(f), "good");
	done(f);
	f = answer("expect_header", "X-Any:");
	header(f, "HTTP/1.1 200 OK\n");
	header(f, "X-Any:\n");
	assert_string_equal(judge(f), "good");
	done(f);
}

static void bodies_hold_what_they_must_across_pieces(void **state)
{
	struct fixture *f = answer("expect_body", "all is well");

	(void)state;
	header(f, "HTTP/1.1 200 OK\r\n");
	assert_true(body(f, "<p>all is "));
	assert_string_equal(judge(f), "the body does not hold \"all is well\"");
	assert_true(body(f, "well</p>"));
	assert_string_equal(judge(f), "good");
	assert_int_equal(f->answer.body_bytes, 18);
	done(f);
	f = answer("forbid_body", "~[Ee]xception");
	header(f, "HTTP/1.1 200 OK\r\n");
	assert_string_equal(judge(f), "good");
	body(f, "java.lang.Exception");
	assert_string_equal(judge(f), "the body holds \"~[Ee]xception\"");
	done(f);
}

static void a_long_body_is_cut_and_it_is_told(void **state)
{
	struct fixture *f = answer("expect_body", "needle");
	char piece[1000];

	(void)state;
	memset(piece, 'x', sizeof piece);
	header(f, "HTTP/1.1 200 OK\r\n");
	for (int i = 0; i < 1048; i++)
		assert_true(http_answer_body(&f->answer, piece, sizeof piece));
	assert_false(http_answer_body(&f->answer, piece, sizeof piece));
	assert_true(f->answer.cut);
	assert_int_equal(f->answer.body_bytes, 1 << 20);
	assert_string_equal(judge(f), "the body does not hold \"needle\" in its first 1MiB");
	done(f);
}

static void a_body_of_just_the_limit_is_whole(void **state)
{
	struct fixture *f = answer(NULL, NULL);
	char *text = mem_alloc(1 << 20);

	(void)state;
	header(f, "HTTP/1.1 200 OK\r\n");
	assert_true(http_answer_body(&f->answer, text, 1 << 20));
	assert_false(f->answer.cut);
	assert_int_equal(f->answer.body.len, 0); /* nobody asked for it */
	assert_false(http_answer_body(&f->answer, text, 1));
	free(text);
	done(f);
}

static void conditions_look_at_one_mebibyte(void **state)
{
	struct fixture *f = answer("expect_body", "~needle");
	char *text = mem_alloc(1 << 20);

	(void)state;
	f->answer.expect.body_max = 64 << 20;
	header(f, "HTTP/1.1 200 OK\r\n");
	memset(text, 'x', 1 << 20);
	for (int i = 0; i < 6; i++)
		assert_true(http_answer_body(&f->answer, text, 1 << 20));
	assert_true(body(f, "needle"));
	assert_string_equal(judge(f), "the body does not hold \"~needle\" in its first 1MiB");
	assert_int_equal(f->answer.body.len, HTTP_LOOK_MAX);
	free(text);
	done(f);
}

static void headers_are_bounded(void **state)
{
	struct fixture *f = answer(NULL, NULL);
	char line[1024];
	int n = 0;

	(void)state;
	memset(line, 'h', sizeof line);
	while (http_answer_header(&f->answer, line, sizeof line))
		n++;
	assert_int_equal(n, 256);
	assert_true(f->answer.header_flood);
	done(f);
}

static void only_redirects_with_an_address_redirect(void **state)
{
	static const int codes[] = {301, 302, 303, 307, 308};
	char line[64];

	(void)state;
	for (int code = 100; code < 600; code++) {
		struct fixture *f = answer(NULL, NULL);
		bool is = false;

		for (size_t i = 0; i < 5; i++)
			is = is || codes[i] == code;
		snprintf(line, sizeof line, "HTTP/1.1 %d X\r\n", code);
		header(f, line);
		assert_false(http_answer_is_redirect(&f->answer));
		header(f, "location:  /b\r\n");
		header(f, "Location: /second\r\n");
		assert_int_equal(http_answer_is_redirect(&f->answer), is);
		assert_string_equal(f->answer.location, "/b");
		http_answer_begin(&f->answer, true);
		assert_null(f->answer.location);
		header(f, line);
		header(f, "Location: /b\r\n");
		assert_int_equal(header(f, "\r\n"), !is); /* nothing more of it is wanted */
		assert_int_equal(body(f, "x"), !is);
		done(f);
	}
}

static void an_address_that_is_too_long_is_not_kept(void **state)
{
	struct fixture *f = answer(NULL, NULL);
	char line[HTTP_LOCATION_MAX + 20] = "Location: ";

	(void)state;
	header(f, "HTTP/1.1 301 X\r\n");
	memset(line + 10, 'a', HTTP_LOCATION_MAX);
	header(f, line);
	assert_int_equal(strlen(f->answer.location), HTTP_LOCATION_MAX);
	header(f, "HTTP/1.1 301 X\r\n");
	line[10 + HTTP_LOCATION_MAX] = 'a';
	header(f, line);
	assert_true(f->answer.location_too_long);
	assert_null(f->answer.location);
	assert_true(http_answer_is_redirect(&f->answer));
	done(f);
}

static void status_lines_that_are_none_leave_no_status(void **state)
{
	static const char *const lines[] = {"HTTP/1.1\r\n", "HTTP/", "HTTP/1.1 ", "HTTP/1.1 x", "ICY 200 OK", "", " "};

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		struct fixture *f = answer(NULL, NULL);

		header(f, lines[i]);
		assert_int_equal(f->answer.status, 0);
		assert_string_equal(judge(f), "status 0, expected 200-399");
		done(f);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_status_line_counts),
		cmocka_unit_test(a_header_is_met_by_any_line_of_its_name),
		cmocka_unit_test(bodies_hold_what_they_must_across_pieces),
		cmocka_unit_test(a_long_body_is_cut_and_it_is_told),
		cmocka_unit_test(a_body_of_just_the_limit_is_whole),
		cmocka_unit_test(conditions_look_at_one_mebibyte),
		cmocka_unit_test(headers_are_bounded),
		cmocka_unit_test(only_redirects_with_an_address_redirect),
		cmocka_unit_test(an_address_that_is_too_long_is_not_kept),
		cmocka_unit_test(status_lines_that_are_none_leave_no_status),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
