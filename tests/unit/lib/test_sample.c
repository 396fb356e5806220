#include "lib/sample.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/mem.h"

static void unclean_bytes_become_question_marks(void **state)
{
	static const struct {
		const char *text, *clean;
		size_t room;
	} cases[] = {{"", "", 9}, {"Gi0/1", "Gi0/1", 9}, {"Gi0/1", "Gi0", 4}, {"a\nb\x7f", "a?b?", 9}, {"\x1b[31m", "?[31m", 9},
		{"上联", "上联", 9}, {"上联", "上联", 7}, {"上联", "上", 6}, {"a上b", "a上b", 9}, {"a上", "a", 4}, {"\xe4\xb8", "??", 9},
		{"\xc0\x80x", "??x", 9}, {"\xff", "?", 2}, {"a", "", 1}};
	char out[16];

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		memset(out, 'X', sizeof out);
		assert_string_equal(text_clean(cases[i].text, strlen(cases[i].text), out, cases[i].room), cases[i].clean);
		assert_int_equal(out[cases[i].room], 'X');
	}
}

/* Any bytes, read and written no further than they may be (sanitizers see it). */
static void what_was_cleaned_is_clean(void **state)
{
	unsigned seed = (unsigned)time(NULL);

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	for (int round = 0; round < 20000; round++) {
		const size_t len = (size_t)rand() % 40, room = 1 + (size_t)rand() % 40;
		const int plain = rand() % 8;
		char *text = mem_alloc(len + 1), *exact, *out = mem_alloc(room);
		size_t used;

		for (size_t i = 0; i < len; i++)
			text[i] = (char)(rand() % 8 < plain ? 0x20 + rand() % 0x5f : rand());
		exact = mem_copy(text, len > 0 ? len : 1);
		used = strlen(text_clean(exact, len, out, room));
		assert_true(used < room && text_is_clean(out, room - 1));
		if (text_is_clean(text, room - 1))
			assert_string_equal(out, text); /* as far as its first zero */
		free(text);
		free(exact);
		free(out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(unclean_bytes_become_question_marks),
		cmocka_unit_test(what_was_cleaned_is_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
