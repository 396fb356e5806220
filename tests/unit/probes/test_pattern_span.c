#include "probes/pattern_span.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"

/* What is taken, "-" when it does not occur; static. */
static const char *taken(const char *pattern, const char *text)
{
	static char out[200];
	const char *from;
	size_t n;
	struct err e;
	struct pattern_span *s = pattern_span_new(pattern, &e);

	if (s == NULL)
		fail_msg("%s", e.text);
	snprintf(out, sizeof out, "-");
	if (pattern_span_find(s, text, strlen(text), &from, &n))
		snprintf(out, sizeof out, "%.*s", (int)n, from);
	pattern_span_free(s);
	return out;
}

static void the_first_group_is_taken(void **state)
{
	static const struct { const char *pattern, *text, *taken; } rows[] = {
		{"name=\"csrf\" value=\"([^\"]*)\"", "<input name=\"csrf\" value=\"a1\"> <input name=\"x\" value=\"b\">", "a1"}, {"id=([0-9]+)", "id=x id=42;", "42"},
		{"([0-9]+)", "ab12cd345", "12"}, {"x(.*)y", "1xayby2", "ayb"}, {"x([^y]*)y", "1xayby2", "a"}, {"^([a-z]+)$", "1a\nabc\nxyz", "abc"}, {"()", "abc", ""},
		{"a()b", "xxab", ""}, {"(a|b|cd)e", "acde", "cd"}, {"a(b(c|d)*)e", "xabcdcde", "bcdcd"}, {"\\((.)\\)", "f(x)", "x"}, {"[(](.)", "f(x)", "x"}, {"[^])](.)$", "]]a(", "("},
		{"[[:alpha:](]=(.)", "1=a b=c", "c"}, {"t=(.*)$", "t=end\r\nmore", "end"}, {"a(x*)b", "a\nxb", "-"}, {"(x)", "", "-"}, {"值=(中+)文", "值=中中文", "中中"}, {"a*(b)", "aab", "b"},
		{"(^a)", "ba\na", "a"}, {"a($)", "ba", ""}, {"(a)(b)", "xab", "a"}, {"(a)(b|c)*$", "aabcb", "a"}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (strcmp(taken(rows[i].pattern, rows[i].text), rows[i].taken) != 0)
			fail_msg("%s on %s: %s", rows[i].pattern, rows[i].text, taken(rows[i].pattern, rows[i].text));
	}
}

static void what_cannot_be_taken_is_told(void **state)
{
	static const struct { const char *pattern, *words; } rows[] = {{"abc", "has no ( ) around what is taken"}, {"a\\(b\\)", "has no ( )"}, {"[(]", "has no ( )"}, {"", "has no ( )"},
		{"a|(b)", "a | may stand in the ( ) alone"}, {"(a)|b", "a | may stand in the ( ) alone"}, {"(a)+", "repeats what is taken"}, {"(a){2}", "repeats what is taken"},
		{"(a", "has no ( )"}, {"(a))", "has a ) without its ("}, {"(*)", "nothing to repeat"}, {"x**(a)", "repeats a repetition"}, {"(a)[", "has a [ without its ]"}};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (pattern_span_new(rows[i].pattern, &e) != NULL || strstr(e.text, rows[i].words) == NULL)
			fail_msg("%s: %s", rows[i].pattern, e.text);
	}
}

/* By the C library's, whose first place is the same: what is taken there fits as well, and is not longer than the longest that may be. */
static void it_is_found_where_the_c_library_finds_it(void **state)
{
	static const char *const before[] = {"", "a", "a*", "[ab]", "^", "b?a"}, *const inside[] = {"a", "a*", "[ab]+", "ab|ba", "b?", ".*"}, *const behind[] = {"", "b", "a+", "$", "(a|b)b", "[^a]"};
	unsigned seed = (unsigned)time(NULL), found = 0;

	(void)state;
	printf("seed %u\n", seed);
	srandom(seed);
	for (int round = 0; round < 20000; round++) {
		char pattern[40], line[12];
		const char *from;
		size_t n, len = (size_t)random() % (sizeof line - 1);
		struct pattern_span *s;
		regmatch_t m[2];
		regex_t r;
		struct err e;
		bool is_there, theirs;

		snprintf(pattern, sizeof pattern, "%s(%s)%s", before[random() % 6], inside[random() % 6], behind[random() % 6]);
		for (size_t i = 0; i < len; i++)
			line[i] = (char)('a' + random() % 3);
		line[len] = '\0';
		s = pattern_span_new(pattern, &e);
		assert_non_null(s);
		assert_int_equal(regcomp(&r, pattern, REG_EXTENDED), 0);
		theirs = regexec(&r, line, 2, m, 0) == 0;
		is_there = len > 0 && pattern_span_find(s, line, len, &from, &n);
		if (len > 0 && theirs != is_there)
			fail_msg("%s on \"%s\"", pattern, line);
		if (is_there) {
			assert_true(from >= line && from + n <= line + len);
			found++;
		}
		regfree(&r);
		pattern_span_free(s);
	}
	assert_true(found > 3000);
}

static void no_pattern_and_text_take_long(void **state)
{
	static const struct { const char *pattern; char sign; } rows[] = {{"(a*)b", 'a'}, {"a(a*)ab", 'a'}, {"(.*)(.*)x", 'a'}, {"a*(a*)a*b", 'a'}, {"(a|aa)b", 'a'}};
	const size_t len = 1 << 20;
	char *text = mem_alloc(len);
	int64_t worst = 0;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct timespec began, ended;
		const char *from;
		size_t n;
		struct err e;
		struct pattern_span *s = pattern_span_new(rows[i].pattern, &e);
		int64_t took;

		memset(text, rows[i].sign, len);
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &began);
		assert_false(pattern_span_find(s, text, len, &from, &n));
		clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ended);
		took = (int64_t)(ended.tv_sec - began.tv_sec) * NS_PER_S + ended.tv_nsec - began.tv_nsec;
		worst = took > worst ? took : worst;
		pattern_span_free(s);
	}
	printf("1 MiB in one line: %.1f ms at worst\n", (double)worst / NS_PER_MS);
	assert_true(worst < 2 * NS_PER_S);
	free(text);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_group_is_taken),
		cmocka_unit_test(what_cannot_be_taken_is_told),
		cmocka_unit_test(it_is_found_where_the_c_library_finds_it),
		cmocka_unit_test(no_pattern_and_text_take_long),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
