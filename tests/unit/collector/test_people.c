#include "collector/people.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/judge/verdict.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/wire.h"

#define NOW (INT64_C(1790820000) * NS_PER_S) /* Thursday 2026-10-01 10:00 in Asia/Shanghai */
#define HOUR (3600 * NS_PER_S)

/* Words divided by '|'. */
struct words {
	char text[512];
	char *argv[24];
	int argc;
};

static void split(struct words *w, const char *line)
{
	snprintf(w->text, sizeof w->text, "%s", line);
	w->argc = 0;
	for (char *at = w->text; at != NULL && w->argc < 23;) {
		w->argv[w->argc++] = at;
		at = strchr(at, '|');
		if (at != NULL)
			*at++ = '\0';
	}
	w->argv[w->argc] = NULL;
}

static void read_well(struct words *words, const char *line, struct people_wish *w)
{
	struct err e;

	split(words, line);
	if (people_wish_read(words->argc, words->argv, NOW, w, &e) != 0)
		fail_msg("%s: %s", line, e.text);
}

static void what_is_asked_is_read(void **state)
{
	struct people_wish w;
	struct words words;

	(void)state;
	read_well(&words, "ack|7|--for|2h|--comment|看一下|--author|王芳", &w);
	assert_int_equal(w.request->kind, REQUEST_ACKNOWLEDGE);
	assert_int_equal(w.request->incident, 7);
	assert_int_equal(w.request->until, NOW + 2 * HOUR);
	assert_string_equal(w.request->author, "王芳");
	assert_string_equal(w.request->text, "看一下");
	people_wish_fini(&w);
	read_well(&words, "ack|--author|a|7", &w);
	assert_int_equal(w.request->until, 0);
	people_wish_fini(&w);
	read_well(&words, "assign|--author|a|--json|-c|x.conf|7|network team", &w);
	assert_string_equal(w.request->text, "network team");
	assert_string_equal(w.settings, "x.conf");
	assert_true(w.is_json);
	people_wish_fini(&w);
	read_well(&words, "maintain|--author|a|system/a|link/b|--every|week|--for|2h|--from|2026-10-02 02:00|--last|2026-12-31|"
			  "--reason|r", &w);
	assert_int_equal(w.request->subjects_count, 2);
	assert_string_equal(w.request->subjects[1], "link/b");
	assert_int_equal(w.request->from, NOW + 16 * HOUR);
	assert_int_equal(w.request->until, NOW + 18 * HOUR);
	assert_true(w.request->is_repeated && w.request->weekdays == 1 << 4 && w.request->weeks == 0 && w.request->last > NOW);
	people_wish_fini(&w);
	read_well(&words, "maintain|--author|a|system/a|--for|2h|--reason|r", &w);
	assert_int_equal(w.request->from, NOW);
	assert_false(w.request->is_repeated);
	people_wish_fini(&w);
	read_well(&words, "correct|--author|a|system/a|--from|2026-10-01|--until|now|--state|down|--family|v6|--reason|r", &w);
	assert_int_equal(w.request->state, STATE_DOWN);
	assert_int_equal(w.request->families, REQUEST_V6);
	assert_int_equal(w.request->from, NOW - 10 * HOUR);
	people_wish_fini(&w);
}

static void what_makes_no_sense_is_told(void **state)
{
	static const struct {
		const char *line, *words;
	} bad[] = {
		{"ack", "0 words, wanted 1"},
		{"ack|x", "the number of an incident"},
		{"ack|0", "the number of an incident"},
		{"ack|1|2", "2 words, wanted 1"},
		{"ack|1|--until|+1h|--for|1h", "two ways"},
		{"ack|1|--until|soon", "--until: \"soon\" is not a time"},
		{"ack|1|--for|5", "--for: "},
		{"ack|1|--reason|a\tb", "control characters"},
		{"ack|1|--every|day", "\"day\" is not an option here"},
		{"comment|1", "1 words, wanted 2"},
		{"maintain|--for|1h|--reason|r", "at least 1"},
		{"maintain|system/a|--reason|r", "--until or --for is missing"},
		{"maintain|system/a|--for|1h", "--reason is missing"},
		{"maintain|system/a|--for|1h|--reason|r|--last|+9d", "--last belongs to --every"},
		{"maintain|system/a|--from|2026-09-30|--until|2026-10-02|--reason|r", "--from has passed"},
		{"maintain|system/a|--from|2026-10-01 09:58|--for|1h|--reason|r|--every|week", "--from has passed"},
		{"ack|--一二三四五六七八九十一二三四五六七八九十一二", "八九\" is not an option"},
		{"maintain|system/a|--for|1h|--reason|r|--every|often", "--every: \"often\""},
		{"correct|system/a|--until|now|--state|up|--reason|r", "--from is missing"},
		{"correct|system/a|--from|+1h|--until|now|--state|fine|--reason|r", "--state is"},
		{"correct|system/a|--from|+1h|--until|now|--state|up|--family|v5|--reason|r", "--family is"},
		{"cancel", "0 words, wanted 1"},
	};
	struct people_wish w;
	struct words words;
	char line[600];
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		snprintf(line, sizeof line, "%s|--author|a", bad[i].line);
		split(&words, line);
		if (people_wish_read(words.argc, words.argv, NOW, &w, &e) != -1 || strstr(e.text, bad[i].words) == NULL)
			fail_msg("%s: \"%s\", not \"%s\"", bad[i].line, e.text, bad[i].words);
		people_wish_fini(&w);
	}
	split(&words, "ack|--help");
	assert_int_equal(people_wish_read(words.argc, words.argv, NOW, &w, &e), 1);
	people_wish_fini(&w);
}

/* sudo says who it is. */
static void who_asks_is_known(void **state)
{
	struct people_wish w;
	struct words words;

	(void)state;
	setenv("SUDO_USER", "li.wei", 1);
	read_well(&words, "unack|3", &w);
	assert_string_equal(w.request->author, "li.wei");
	people_wish_fini(&w);
	unsetenv("SUDO_USER");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_asked_is_read),
		cmocka_unit_test(what_makes_no_sense_is_told),
		cmocka_unit_test(who_asks_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
