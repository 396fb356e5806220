#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "agent/probe_cell.h"
#include "probes/catalog.h"
#include "probes/catalog_dns.h"
#include "probes/catalog_tls.h"

static void reads(const char *unit, unsigned decimals, double n, const char *expected)
{
	const struct metric m = {1, "x", unit, (uint8_t)decimals, "值", "value"};
	char text[PROBE_CELL_MAX];

	probe_cell_format(&m, n, text);
	assert_string_equal(text, expected);
}

static void values_read_well(void **state)
{
	(void)state;
	reads("s", 6, 0.000031, "0.031 ms");
	reads("s", 6, -0.5, "-500.000 ms");
	reads("s", 6, 1.5, "1.500 s");
	reads("s", 0, 43466, "12h4m26s");
	reads("s", 0, 1795704880, "2026-11-26 14:54:40Z");
	reads("s", 0, 1e300, "11574d1h46m40s");
	reads("B", 0, 9000, "9000 B"); /* as an MTU is written */
	reads("B", 0, 25276514304, "23.54 GiB");
	reads("B/s", 0, 15360, "15.00 KiB/s");
	reads("B", 0, 1e30, "888178419700125.25 PiB");
	reads("bit/s", 0, 1e9, "1.00 Gbit/s");
	reads("bit", 0, 4096, "4096 bit");
	reads("%", 2, 41.239, "41.24 %");
	reads("1", 0, 12345678, "12345678");
}

static void stands_for(uint32_t number, double n, const char *expected)
{
	char text[PROBE_CELL_MAX];

	probe_cell_format(catalog_metric(number), n, text);
	assert_string_equal(text, expected);
}

static void numbers_that_stand_for_something_are_words(void **state)
{
	(void)state;
	stands_for(DNS_RCODE, 3, "NXDOMAIN");
	stands_for(DNS_RCODE, 23, "23");
	stands_for(TLS_CIPHER, 4866, "AES_256_GCM_SHA384");
	stands_for(TLS_CIPHER, 0xc0ff, "0xc0ff");
	stands_for(TLS_CIPHER, -1, "-1");
	stands_for(TLS_CIPHER, 1e9, "1000000000");
	stands_for(TLS_GROUP, 29, "x25519");
	stands_for(TLS_VERSION, 1.3, "1.3");
}

static void labels_are_in_the_language_of_the_reader(void **state)
{
	const struct metric m = {1, "x", "1", 0, "值", "value"};

	(void)state;
	assert_string_equal(probe_cell_label(&m, "zh_CN.UTF-8"), "值");
	assert_string_equal(probe_cell_label(&m, "C.UTF-8"), "value");
	assert_string_equal(probe_cell_label(&m, NULL), "value");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_read_well),
		cmocka_unit_test(numbers_that_stand_for_something_are_words),
		cmocka_unit_test(labels_are_in_the_language_of_the_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
