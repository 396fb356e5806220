#include "agent/trap_boots.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/err.h"

#define MINUTE (60 * NS_PER_S)
#define SINCE (INT64_C(1704067200) * NS_PER_S) /* 2024-01-01 */

static char folder[] = "/tmp/xj-boots-XXXXXX";

static const char *in_folder(const char *name)
{
	static char path[100];

	snprintf(path, sizeof path, "%s/%s", folder, name);
	return path;
}

static int begin(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/xj-boots-XXXXXX");
	return mkdtemp(folder) != NULL ? 0 : -1;
}

static int end(void **state)
{
	(void)state;
	unlink(in_folder("engine-boots"));
	return rmdir(folder);
}

static uint32_t next(int64_t minutes)
{
	uint32_t boots;
	struct err e;

	assert_int_equal(trap_boots_next(folder, SINCE + minutes * MINUTE, &boots, &e), 0);
	return boots;
}

static void it_goes_up_at_each_start_whatever_the_clock_says(void **state)
{
	(void)state;
	assert_int_equal(next(1000), 1000);
	assert_int_equal(next(1000), 1001);
	assert_int_equal(next(5), 1002); /* the clock was set back */
	assert_int_equal(next(-100000), 1003);
	assert_int_equal(next(2000), 2000);
}

static void a_file_that_was_lost_does_not_set_it_back(void **state)
{
	FILE *f;

	(void)state;
	for (int i = 0; i < 5; i++)
		next(1000);
	unlink(in_folder("engine-boots"));
	assert_int_equal(next(1010), 1010);
	f = fopen(in_folder("engine-boots"), "w");
	assert_non_null(f);
	fputs("-7 and more", f);
	fclose(f);
	assert_int_equal(next(1020), 1020);
}

static void without_a_folder_there_is_a_number_all_the_same(void **state)
{
	uint32_t boots;
	struct err e;

	(void)state;
	assert_int_equal(trap_boots_next("/nowhere/at/all", SINCE + 77 * MINUTE, &boots, &e), -1);
	assert_int_equal(boots, 77);
	assert_int_equal(trap_boots_next("/nowhere/at/all", SINCE - MINUTE, &boots, &e), -1);
	assert_int_equal(boots, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(it_goes_up_at_each_start_whatever_the_clock_says, begin, end),
		cmocka_unit_test_setup_teardown(a_file_that_was_lost_does_not_set_it_back, begin, end),
		cmocka_unit_test_setup_teardown(without_a_folder_there_is_a_number_all_the_same, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
