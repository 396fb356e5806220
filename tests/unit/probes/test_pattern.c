#include "probes/pattern.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"

static bool finds(const char *text, const char *line)
{
	struct err e;
	struct pattern *p = pattern_new(text, &e);
	bool found;

	if (p == NULL)
		fail_msg("%s", e.text);
	found = pattern_find(p, line, strlen(line));
	pattern_free(p);
	return found;
}

static void patterns_find_what_they_say(void **state)
{
	static const struct {
		const char *pattern, *line;
		bool found;
	} rows[] = {
		{"", "", true}, {"", "a", true}, {"^$", "", true}, {"^$", "a", false}, {"a", "cat", true},
		{"^a", "ba", false}, {"a$", "ab", false}, {"^(a|ab)(c|bcd)$", "abcd", true}, {"ab*c", "ac", true},
		{"ab*c", "abbbc", true}, {"ab+c", "ac", false}, {"ab?c", "abbc", false}, {"(ab)+$", "xababab", true},
		{"^(ab){2}$", "abab", true}, {"^(ab){2}$", "ababab", false}, {"^a{2,}$", "aaaaa", true},
		{"^a{2,}$", "a", false}, {"^a{0,2}b", "aab", true}, {"^a{0,2}b", "aaab", false}, {"^a{0}b", "b", true},
		{"x|^a", "ba", false}, {"x|^a", "ab", true}, {"(^|,)b(,|$)", "a,b", true}, {"(^|,)b(,|$)", "ab", false},
		{"a.c", "a\tc", true}, {"a\\.c", "abc", false}, {"[a-c]+x", "cbax", true}, {"[^a-c]", "abc", false},
		{"[]a]", "]", true}, {"[^]a]", "]a", false}, {"[a-]", "-", true}, {"[[:digit:]]{3}", "a1234", true},
		{"[[:alpha:]_-]+$", "1a_-", true}, {"\\(\\)\\[\\{\\*\\^\\$", "()[{*^$", true}, {"}]", "}]", true},
		{"a||b", "", true}, {"()", "", true}, {"(|a)b", "b", true}, {"(a*)*b", "aab", true},
		{"((a?)+){3}$", "x", true}, {"error.{0,20}fatal", "an error that was fatal", true},
		{"\xe4\xb8\xad+$", "\xe4\xb8\xad\xe4\xb8\xad", true}, {"^\xe4\xb8\xad?$", "\xe4\xb8", false},
		{"^\xe4\xb8\xad{2}$", "\xe4\xb8\xad\xe4\xb8\xad", true},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		if (finds(rows[i].pattern, rows[i].line) != rows[i].found)
			fail_msg("%s on \"%s\"", rows[i].pattern, rows[i].line);
	}
}

static void any_byte_may_stand_in_a_line(void **state)
{
	struct err e;
	struct pattern *p = pattern_new("a.b[^x]c", &e);

	(void)state;
	assert_true(pattern_find(p, "a\0b\xff" "c", 5));
	assert_false(pattern_find(p, "a\0bxc", 5));
	assert_false(pattern_find(p, "a\0b\xff" "c", 4));
	pattern_free(p);
}

static void what_means_nothing_is_refused_with_words(void **state)
{
	static const char *const rows[][2] = {
		{"(", "without its )"}, {")", "without its ("}, {"a)(b", "without its ("}, {"[a", "without its ]"},
		{"[", "without its ]"}, {"[]", "without its ]"}, {"[^]", "without its ]"}, {"*a", "nothing to repeat"},
		{"a|+", "nothing to repeat"}, {"(?:a)", "nothing to repeat"}, {"{2}", "nothing to repeat"},
		{"a**", "repeats a repetition"}, {"a{2}{2}", "repeats a repetition"}, {"a{", "none of {2}"},
		{"a{x}", "none of {2}"}, {"a{2", "none of {2}"}, {"a{3,2}", "none of {2}"}, {"a{,2}", "none of {2}"}, {"a{2,", "none of {2}"}, {"$?", "an end of the line"},
		{"a{256}", "more than 255"}, {"a{99999999999}", "more than 255"}, {"\\", "ends in"}, {"(a)\\1", "refers back"},
		{"\\d", "before a letter"}, {"[[:what:]]", "names no class"}, {"[[:alpha]", "names no class"},
		{"[z-a]", "ends before"}, {"[[.a.]]", "not known"}, {"[\xe4\xb8\xad]", "other than ASCII"},
		{"(a{100}){100}", "too large"}, {"((((((a+)+)+)+)+)+){255}", "too large"},
		{"((((){255}){255}){255}){255}", "too large"},
		{"((((((((((((((((((((((((((((((((((a))))))))))))))))))))))))))))))))))", "too many ("},
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct pattern *p = pattern_new(rows[i][0], &e);

		if (p != NULL || strstr(e.text, rows[i][1]) == NULL)
			fail_msg("%s: %s", rows[i][0], p != NULL ? "was taken" : e.text);
	}
}

static void as_many_signs_as_there_is_room_for(void **state)
{
	char line[257];

	(void)state;
	memset(line, 'a', 256);
	line[256] = '\0';
	assert_true(finds("^a{254}$", line + 2));
	assert_false(finds("^a{254}$", line + 1));
	assert_false(finds("^a{254}$", line + 3));
	assert_true(finds(line, line));
}

static size_t random_text(char *out, size_t max, const char *signs)
{
	size_t n = (size_t)rand() % max;

	for (size_t i = 0; i < n; i++)
		out[i] = signs[(size_t)rand() % strlen(signs)];
	out[n] = '\0';
	return n;
}

/* An end of the line twice at one place is where we differ. */
static bool has_one_of_each_end(const char *text)
{
	const char *begin = strchr(text, '^'), *end = strchr(text, '$');

	return (begin == NULL || strchr(begin + 1, '^') == NULL) && (end == NULL || strchr(end + 1, '$') == NULL) &&
		(begin == NULL || end == NULL || begin < end);
}

static void whatever_is_taken_finds_what_regexec_finds(void **state)
{
	unsigned seed = (unsigned)time(NULL), compared = 0, found = 0;
	char text[20], line[16];

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	for (int round = 0; round < 300000; round++) {
		size_t len;
		struct pattern *p;
		struct err e;
		regex_t r;

		random_text(text, 12, "abab.*+?|()[]^$cc-{}2,1");
		len = random_text(line, sizeof line, "aaabbc-");
		p = has_one_of_each_end(text) ? pattern_new(text, &e) : NULL;
		if (p == NULL)
			continue;
		if (regcomp(&r, text, REG_EXTENDED | REG_NOSUB) != 0) {
			if (strchr(text, '[') == NULL) /* [a-c-e] means nothing to it */
				fail_msg("%s was taken", text);
			pattern_free(p);
			continue;
		}
		if (pattern_find(p, line, len) != (regexec(&r, line, 0, NULL, 0) == 0))
			fail_msg("%s on \"%s\"", text, line);
		found += pattern_find(p, line, len);
		compared++;
		regfree(&r);
		pattern_free(p);
	}
	print_message("%u compared, %u found\n", compared, found);
	assert_true(compared > 10000 && found > 1000 && compared - found > 1000);
}

/* Those that take other engines minutes or gigabytes. */
static void the_time_of_a_pattern_is_bounded(void **state)
{
	static const char *const patterns[] = {"abc", "a.*b$", "(a|aa)+x", "(a*)*x", "(a+)+$x", "(a|b)*a(a|b){20}c",
		"error.{0,200}fatal", "(((a{6}){6}){6})c", "(a|b|ab)*c", "((a?){15}){16}c", "a{100}.{100}c"};
	size_t len = 1 << 20;
	char *line = mem_alloc(len);

	(void)state;
	srand(1);
	for (size_t i = 0; i < len; i++)
		line[i] = rand() % 3 ? 'a' : 'b';
	line[len - 1] = 'a';
	for (size_t i = 0; i < sizeof patterns / sizeof *patterns; i++) {
		int64_t began = clock_mono();
		struct err e;
		struct pattern *p = pattern_new(patterns[i], &e);

		if (p == NULL)
			fail_msg("%s", e.text);
		assert_false(pattern_find(p, line, len));
		pattern_free(p);
		print_message("%s: 1 MiB in %.1f ms\n", patterns[i], (double)(clock_mono() - began) / 1e6);
		assert_in_range(clock_mono() - began, 0, 20 * NS_PER_S);
	}
	free(line);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(patterns_find_what_they_say),
		cmocka_unit_test(any_byte_may_stand_in_a_line),
		cmocka_unit_test(what_means_nothing_is_refused_with_words),
		cmocka_unit_test(as_many_signs_as_there_is_room_for),
		cmocka_unit_test(whatever_is_taken_finds_what_regexec_finds),
		cmocka_unit_test(the_time_of_a_pattern_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
