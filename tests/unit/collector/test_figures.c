#include "collector/figures.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>

#include "lib/buf.h"
#include "lib/clock.h"

#define S NS_PER_S

/* An hour: 50 minutes up, 6 down in two outages, 4 unknown. */
static const struct availability hour = {.service = 3600 * S, .up = 3000 * S, .down = 360 * S, .unknown = 240 * S, .outages = 2,
	.longest = 300 * S, .members = 1};

static struct figures figures_of(struct figure rows[2])
{
	struct figures f = {.rows = rows, .count = 2, .is_partial = true, .period = {0, 3600 * S}};

	rows[0] = (struct figure){.subject = "system/a", .name = "=1+1", .a = hour};
	rows[1] = (struct figure){.subject = "system/b", .name = "a \"b\", c", .a = hour, .revisions = 3};
	availability_add(&f.sum, &hour);
	availability_add(&f.sum, &hour);
	return f;
}

static void a_spreadsheet_gets_no_formula_and_whole_seconds(void **state)
{
	struct figure rows[2];
	struct figures f = figures_of(rows);
	struct buf out = {0};

	(void)state;
	figures_write(&(struct figures_wish){.period = "2026-10"}, &f, FIGURES_CSV, &out);
	assert_string_equal(buf_text(&out), "\xef\xbb\xbfsubject,name,strict %,lenient %,coverage %,service s,maintenance s,unmonitored s,up s,"
		"degraded s,down s,unknown s,outages,longest s,revisions\r\n"
		"\"system/a\",\"'=1+1\",83.3333,89.2857,93.3333,3600,0,0,3000,0,360,240,2,300,0\r\n"
		"\"system/b\",\"a \"\"b\"\", c\",83.3333,89.2857,93.3333,3600,0,0,3000,0,360,240,2,300,3\r\n"
		"\"all\",\"\",83.3333,89.2857,93.3333,7200,0,0,6000,0,720,480,4,300,3\r\n");
	buf_fini(&out);
}

static void a_table_says_what_is_not_over_and_what_was_corrected(void **state)
{
	struct figure rows[2];
	struct figures f = figures_of(rows);
	struct buf out = {0};

	(void)state;
	figures_write(&(struct figures_wish){.period = "2026-10", .unit = "zsj"}, &f, FIGURES_TABLE, &out);
	assert_non_null(strstr(buf_text(&out), "\nsystem/a                       83.3333   89.2857   93.3333      1:00:00     2     0:06:00     "
		"0:05:00     0:03:00      0:"));
	assert_non_null(strstr(buf_text(&out), " *\nzsj  "));
	assert_non_null(strstr(buf_text(&out), " *\nThe period is not over: up to 1970-01-01 09:00:00."));
	assert_non_null(strstr(buf_text(&out), "\n* The past of this subject was corrected, by late evidence or by hand.\n"));
	assert_null(strchr(buf_text(&out), '+'));
	buf_fini(&out);
	/* Of an hour that was watched for the last third alone. */
	rows[0].a.unmonitored = f.sum.unmonitored = 2400 * S;
	figures_write(&(struct figures_wish){.period = "2026-10"}, &f, FIGURES_TABLE, &out);
	assert_non_null(strstr(buf_text(&out), " +\nsystem/b"));
	assert_non_null(strstr(buf_text(&out), " * +\nThe period"));
	assert_non_null(strstr(buf_text(&out), "\n+ Not monitored for a part of the period, which is left out.\n"));
	buf_fini(&out);
}

static void all_forms_say_the_same(void **state)
{
	struct figure rows[2];
	struct figures f = figures_of(rows);
	struct buf out = {0};
	json_t *sum, *all;

	(void)state;
	figures_write(&(struct figures_wish){.period = "2026-10"}, &f, FIGURES_JSON, &out);
	all = json_loadb((const char *)out.data, out.len, 0, NULL);
	assert_non_null(all);
	sum = json_object_get(all, "sum");
	assert_int_equal(json_integer_value(json_object_get(sum, "down")), 720);
	assert_int_equal(json_integer_value(json_object_get(sum, "outages")), 4);
	assert_float_equal(json_number_value(json_object_get(sum, "strict")), 0.833333, 1e-9);
	json_decref(all);
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_spreadsheet_gets_no_formula_and_whole_seconds),
		cmocka_unit_test(a_table_says_what_is_not_over_and_what_was_corrected),
		cmocka_unit_test(all_forms_say_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
