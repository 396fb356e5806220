/* Every type has something to draw, of one unit; what was not measured is not drawn. */
#include "collector/drawn.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "collector/channel.h"
#include "probes/catalog.h"
#include "probes/catalog_dns.h"
#include "probes/catalog_snmp.h"

#define COLUMNS 256

static const double some[] = {NAN, 1, 2}, none[] = {NAN, NAN, NAN};

static struct channel_values values_of(const struct channel_column *column, size_t columns)
{
	return (struct channel_values){.start = 0, .step = 60, .rows = 3, .columns = columns, .column = column};
}

static void each_type_has_something_to_draw_of_one_unit(void **state)
{
	(void)state;
	for (const struct catalog_type *const *t = catalog_types; *t != NULL; t++) {
		struct channel_column column[COLUMNS] = {{0, 0, some}};
		struct channel_values v;
		size_t out[DRAWN_MAX], count, columns = 1;

		for (const struct metric *m = (*t)->metrics; m->number != 0 && columns < COLUMNS; m++)
			column[columns++] = (struct channel_column){m->number, 0, some};
		v = values_of(column, columns);
		count = drawn_columns(&v, NULL, out);
		if (count == 0)
			fail_msg("of %s nothing is drawn", (*t)->name);
		for (size_t i = 0; i < count; i++)
			assert_string_equal(catalog_metric(column[out[i]].metric)->unit, catalog_metric(column[out[0]].metric)->unit);
	}
}

static void a_time_to_live_is_not_drawn_beside_a_time(void **state)
{
	const struct channel_column column[] = {{0, 0, some}, {DNS_TTL, 0, some}, {DNS_TOTAL, 0, some}, {DNS_TIME, 0, some},
		{DNS_TIME, 2, some}};
	struct channel_values v = values_of(column, 5);
	size_t out[DRAWN_MAX];

	(void)state;
	assert_int_equal(drawn_columns(&v, NULL, out), 2);
	assert_int_equal(out[0], 3);
	assert_int_equal(out[1], 2);
}

static void what_has_no_number_is_not_drawn_and_a_unit_is_kept(void **state)
{
	const struct channel_column column[] = {{0, 0, some}, {SNMP_TIME, 0, some}, {SNMP_RX_BYTES, 0, none}, {SNMP_STORAGE_SHARE, 0, some}};
	struct channel_values v = values_of(column, 4);
	size_t out[DRAWN_MAX];

	(void)state;
	assert_int_equal(drawn_columns(&v, NULL, out), 1);
	assert_int_equal(out[0], 3);
	assert_int_equal(drawn_columns(&v, "s", out), 1);
	assert_int_equal(out[0], 1);
	assert_int_equal(drawn_columns(&v, "B/s", out), 0);
	v.columns = 1;
	assert_int_equal(drawn_columns(&v, NULL, out), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_type_has_something_to_draw_of_one_unit),
		cmocka_unit_test(a_time_to_live_is_not_drawn_beside_a_time),
		cmocka_unit_test(what_has_no_number_is_not_drawn_and_a_unit_is_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
