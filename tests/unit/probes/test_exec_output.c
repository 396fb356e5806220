#include "probes/exec_output.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

static struct exec_output o;

static void parse(const char *text)
{
	exec_output_parse(text, strlen(text), &o);
}

static const char *format_range(const struct exec_range *r, char out[64])
{
	if (!r->is_given)
		return "-";
	snprintf(out, 64, "%s%g..%g", r->is_inside ? "@" : "", r->low, r->high);
	return out;
}

/* "label value unit warn crit min max" of item i. */
static void assert_item(size_t i, const char *expected)
{
	const struct exec_perf *p = &o.perf[i];
	char text[512], warn[64], crit[64], value[32] = "U";

	assert_true(i < o.count);
	if (p->is_known)
		snprintf(value, sizeof value, "%.9g", p->value);
	snprintf(text, sizeof text, "%s=%s%s %s %s %g %g", p->label, value, p->unit, format_range(&p->warn, warn),
		format_range(&p->crit, crit), p->min, p->max);
	assert_string_equal(text, expected);
}

static void the_first_line_is_text_and_performance_data(void **state)
{
	(void)state;
	parse("TCP OK - 0.001 second response time on port 80|time=0.001234s;;;0.000000;10.000000\n");
	assert_string_equal(o.line, "TCP OK - 0.001 second response time on port 80");
	assert_string_equal(o.long_text, "");
	assert_int_equal(o.count, 1);
	assert_int_equal(o.refused, 0);
	assert_item(0, "time=0.001234s - - 0 10");
	parse("no data at all");
	assert_string_equal(o.line, "no data at all");
	assert_int_equal(o.count, 0);
	parse("");
	assert_string_equal(o.line, "");
	assert_int_equal(o.count + o.refused, 0);
}

/* The example of the Monitoring Plugins guidelines. */
static void long_text_and_its_data_follow(void **state)
{
	(void)state;
	parse("DISK OK - free space: / 3326 MB (56%); | /=2643MB;5948;5958;0;5968\n"
	      "/ 15272 MB (77%);\n/boot 68 MB (69%);\n\n"
	      "/var/log 819 MB (84%); | /boot=68MB;88;93;0;98\n"
	      "/home=69357MB;253404;253409;0;253414 \n/var/log=818MB;970;975;0;980\n");
	assert_string_equal(o.line, "DISK OK - free space: / 3326 MB (56%);");
	assert_string_equal(o.long_text, "/ 15272 MB (77%); /boot 68 MB (69%); /var/log 819 MB (84%);");
	assert_int_equal(o.count, 4);
	assert_int_equal(o.refused, 0);
	assert_item(0, "/=2.77138637e+09B 0..6.23693e+09 0..6.24742e+09 0 6.2579e+09");
	assert_string_equal(o.perf[1].label, "/boot");
	assert_string_equal(o.perf[3].label, "/var/log");
}

static void labels_in_quotes_hold_anything(void **state)
{
	(void)state;
	parse("x|'it''s a label'=1 'a=b'=2 c:\\%=3 'd'=4");
	assert_int_equal(o.count, 4);
	assert_item(0, "it's a label=1 - - nan nan");
	assert_item(1, "a=b=2 - - nan nan");
	assert_item(2, "c:\\%=3 - - nan nan");
	assert_item(3, "d=4 - - nan nan");
}

static void ranges_are_those_of_the_guidelines(void **state)
{
	(void)state;
	parse("x|a=1;10;10: b=1;~:10;10:20 c=1;@10:20;@~:5 d=1;-3:-1;0 e=1;:7;");
	assert_int_equal(o.refused, 0);
	assert_item(0, "a=1 0..10 10..inf nan nan");
	assert_item(1, "b=1 -inf..10 10..20 nan nan");
	assert_item(2, "c=1 @10..20 @-inf..5 nan nan");
	assert_item(3, "d=1 -3..-1 0..0 nan nan");
	assert_item(4, "e=1 0..7 - nan nan");
}

static void what_is_no_range_is_refused(void **state)
{
	static const char *const bad[] = {"", "@", ":x", "20:10", "1:2:3", "~", "10;", "-", "1 ", "@@1", "~:~", "nan", "1e999",
		"-5"};
	struct exec_range r;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (exec_range_parse(bad[i], strlen(bad[i]), &r) != -1)
			fail_msg("\"%s\" is taken for a range", bad[i]);
	}
}

static void values_and_limits_come_in_base_units(void **state)
{
	(void)state;
	parse("x|a=1500ms;100;2000;0;3000 b=2us c=3KB d=1.5MiB e=50%;80;90;0;100 f=7c g=3bananas h=-1.5e3ns i=2GB j=1TB");
	assert_int_equal(o.refused, 0);
	assert_item(0, "a=1.5s 0..0.1 0..2 0 3");
	assert_item(1, "b=2e-06s - - nan nan");
	assert_item(2, "c=3072B - - nan nan");
	assert_item(3, "d=1572864B - - nan nan");
	assert_item(4, "e=50% 0..80 0..90 0 100");
	assert_item(5, "f=7c - - nan nan");
	assert_item(6, "g=3bananas - - nan nan");
	assert_item(7, "h=-1.5e-06s - - nan nan");
	assert_item(8, "i=2.14748365e+09B - - nan nan");
	assert_item(9, "j=1.09951163e+12B - - nan nan");
}

static void u_is_a_value_that_could_not_be_taken(void **state)
{
	(void)state;
	parse("x|a=U b=U;1;2;0;9 c=1;U;U;U;U");
	assert_int_equal(o.refused, 0);
	assert_item(0, "a=U - - nan nan");
	assert_item(1, "b=U 0..1 0..2 0 9");
	assert_item(2, "c=1 - - nan nan");
}

static void what_is_no_item_is_counted_and_the_next_is_taken(void **state)
{
	static const char *const bad[] = {"a", "a=", "=1", "'a=1", "'a'1", "''=1", "a=x", "a=1;x", "a=1;;x", "a=1;;;x",
		"a=1;;;;x", "a=1,5", "a=1e999s", "a=--1", "a=.", "a=0x10", "a=inf"};

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		char text[64];

		snprintf(text, sizeof text, "x|good=1 %s", bad[i]);
		parse(text);
		if (o.count != 1 || o.refused == 0)
			fail_msg("\"%s\": %zu items, %zu refused", bad[i], o.count, o.refused);
	}
	parse("x|a b=2");
	assert_int_equal(o.refused, 1);
	assert_item(0, "b=2 - - nan nan");
}

static void a_label_counts_once_and_items_are_bounded(void **state)
{
	char text[8192] = "x|a=1 a=2";

	(void)state;
	parse(text);
	assert_int_equal(o.count, 1);
	assert_int_equal(o.refused, 1);
	for (int i = 0; i < EXEC_PERF_MAX + 10; i++)
		snprintf(text + strlen(text), sizeof text - strlen(text), " l%d=%d", i, i);
	parse(text);
	assert_int_equal(o.count, EXEC_PERF_MAX);
	assert_int_equal(o.refused, 12);
}

static void texts_are_clean_and_bounded(void **state)
{
	static char big[2 * EXEC_OUTPUT_MAX];

	(void)state;
	parse("\033[31mred\001\xff|'\033'=1");
	assert_string_equal(o.line, "?[31mred??");
	assert_string_equal(o.perf[0].label, "?");
	memset(big, 'x', sizeof big);
	exec_output_parse(big, sizeof big, &o);
	assert_int_equal(strlen(o.line), SAMPLE_TEXT_MAX);
	for (size_t i = 0; i + 1 < sizeof big; i += 2)
		memcpy(big + i, "y\n", 2);
	exec_output_parse(big, sizeof big, &o);
	assert_true(strlen(o.long_text) <= EXEC_LONG_MAX && strlen(o.long_text) > EXEC_LONG_MAX - 4);
}

static void the_first_line_that_says_something_is_found(void **state)
{
	char line[SAMPLE_TEXT_MAX + 1];

	(void)state;
	exec_output_line("\n \t\n  sh: no such thing \nmore", 30, line);
	assert_string_equal(line, "sh: no such thing");
	exec_output_line("\n", 1, line);
	assert_string_equal(line, "");
}

/* Whatever is written by these rules is read back, in any order and number. */
static void what_is_written_is_read_back(void **state)
{
	unsigned seed = (unsigned)time(NULL);

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	for (int round = 0; round < 2000; round++) {
		int count = rand() % 20, values[20];
		char text[4096] = "x|";

		for (int i = 0; i < count; i++) {
			values[i] = rand() % 2000 - 1000;
			snprintf(text + strlen(text), sizeof text - strlen(text), "%s'l %d'=%d%s;%d:%d;@~:%d;;9",
				i % 2 == 0 ? " " : "\t", i, values[i], i % 3 == 0 ? "ms" : "", values[i], values[i] + 5, values[i]);
		}
		parse(text);
		assert_int_equal(o.count, count);
		assert_int_equal(o.refused, 0);
		for (int i = 0; i < count; i++) {
			double factor = i % 3 == 0 ? 1e-3 : 1;

			assert_true(fabs(o.perf[i].value - values[i] * factor) < 1e-9);
			assert_true(fabs(o.perf[i].warn.high - (values[i] + 5) * factor) < 1e-9);
			assert_true(isinf(o.perf[i].crit.low) && o.perf[i].crit.is_inside);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_line_is_text_and_performance_data),
		cmocka_unit_test(long_text_and_its_data_follow),
		cmocka_unit_test(labels_in_quotes_hold_anything),
		cmocka_unit_test(ranges_are_those_of_the_guidelines),
		cmocka_unit_test(what_is_no_range_is_refused),
		cmocka_unit_test(values_and_limits_come_in_base_units),
		cmocka_unit_test(u_is_a_value_that_could_not_be_taken),
		cmocka_unit_test(what_is_no_item_is_counted_and_the_next_is_taken),
		cmocka_unit_test(a_label_counts_once_and_items_are_bounded),
		cmocka_unit_test(texts_are_clean_and_bounded),
		cmocka_unit_test(the_first_line_that_says_something_is_found),
		cmocka_unit_test(what_is_written_is_read_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
