#include "collector/ingest_probes.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define AT(seconds) ((seconds) * NS_PER_S)

static void each_check_is_asked_for_once(void **state)
{
	struct wire_answer answer = {.durable = 0};
	struct probes p = {0};

	(void)state;
	assert_true(probes_add(&p, "a", AT(1)));
	assert_false(probes_add(&p, "a", AT(2)));
	assert_true(probes_add(&p, "b", AT(2)));
	probes_take(&p, AT(3), &answer);
	assert_int_equal(answer.probes_count, 2);
	assert_string_equal(answer.probes[0], "a");
	assert_string_equal(answer.probes[1], "b");
	probes_take(&p, AT(3), &answer);
	assert_int_equal(answer.probes_count, 0);
}

/* What was asked for later makes it no younger; that it is asked for again does. */
static void what_nobody_came_for_is_dropped(void **state)
{
	struct wire_answer answer = {.durable = 0};
	struct probes p = {0};

	(void)state;
	probes_add(&p, "old", AT(1));
	probes_add(&p, "again", AT(1));
	probes_add(&p, "new", AT(10));
	probes_add(&p, "again", AT(10));
	probes_take(&p, AT(17), &answer);
	assert_int_equal(answer.probes_count, 2);
	assert_string_equal(answer.probes[0], "again");
	assert_string_equal(answer.probes[1], "new");
}

static void what_is_old_leaves_its_room(void **state)
{
	struct probes p = {0};
	char check[8];

	(void)state;
	for (int i = 0; i < WIRE_PROBES_MAX; i++) {
		snprintf(check, sizeof check, "c%d", i);
		assert_true(probes_add(&p, check, AT(1)));
	}
	assert_false(probes_add(&p, "more", AT(2)));
	assert_true(probes_add(&p, "more", AT(20)));
	assert_int_equal(p.count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_check_is_asked_for_once),
		cmocka_unit_test(what_nobody_came_for_is_dropped),
		cmocka_unit_test(what_is_old_leaves_its_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
