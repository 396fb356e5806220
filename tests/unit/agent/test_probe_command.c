#include "agent/probe_command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/probe_print.h"
#include "agent/probe_request.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/sample.h"
#include "probes/catalog_http.h"
#include "probes/catalog_icmp.h"
#include "probes/catalog_path.h"
#include "probes/catalog_tcp.h"
#include "probes/run.h"

static struct arena *arena;

static int begin(void **state)
{
	(void)state;
	arena = arena_new();
	return 0;
}

static int end(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

/* Arguments divided by spaces, "probe" put before them. */
static int read_words(const char *words, struct probe_request *q, struct err *e)
{
	char *rest = arena_strdup(arena, words), *argv[32] = {arena_strdup(arena, "probe")};
	int argc = 1;

	while (*words != '\0' && rest != NULL && argc < 31)
		argv[argc++] = strsep(&rest, " ");
	return probe_request_read(argc, argv, arena, q, e);
}

static struct probe_request read_good(const char *words)
{
	struct probe_request q;
	struct err e;

	if (read_words(words, &q, &e) < 0)
		fail_msg("%s: %s", words, e.text);
	return q;
}

static void assert_usage(const char *words, const char *told)
{
	struct probe_request q;
	struct err e;

	assert_int_equal(read_words(words, &q, &e), -1);
	if (strstr(e.text, told) == NULL)
		fail_msg("%s: \"%s\" does not say \"%s\"", words, e.text, told);
}

static void options_are_those_of_the_type(void **state)
{
	struct probe_request q = read_good("icmp host=2001:db8::1 count=5 --json families=ipv6 timeout=2s");
	const struct icmp_options *o = q.options;

	(void)state;
	assert_ptr_equal(q.type, &catalog_icmp);
	assert_string_equal(o->host, "2001:db8::1");
	assert_int_equal(o->count, 5);
	assert_int_equal(q.families, RUN_V6);
	assert_int_equal(q.timeout, 2 * NS_PER_S);
	assert_true(q.is_json);
}

static void both_families_and_five_seconds_are_the_default(void **state)
{
	struct probe_request q = read_good("tcp host=localhost port=22");

	(void)state;
	assert_int_equal(q.families, RUN_BOTH);
	assert_int_equal(q.timeout, 5 * NS_PER_S);
	assert_false(q.is_json);
}

static void a_value_may_hold_an_equals_sign_and_a_key_may_repeat(void **state)
{
	struct probe_request q = read_good("http url=http://gov.example/?a=b headers=a:=1 headers=b:2");
	const struct http_options *o = q.options;

	(void)state;
	assert_string_equal(o->url, "http://gov.example/?a=b");
	assert_int_equal(o->headers.count, 2);
	assert_string_equal(o->headers.items[0], "a:=1");
}

static void what_is_not_understood_is_a_usage_error(void **state)
{
	(void)state;
	assert_usage("", "no probe type");
	assert_usage("--json", "no probe type");
	assert_usage("smoke host=x", "unknown probe type \"smoke\"");
	assert_usage("icmp", "host must be given");
	assert_usage("icmp host=x cuont=5", "did you mean \"count\"");
	assert_usage("icmp host=x timeuot=5s", "did you mean \"timeout\"");
	assert_usage("icmp host", "write key=value");
	assert_usage("icmp =x", "write key=value");
	assert_usage("icmp host=x count=0", "count: 0 is outside 1 to 1000");
	assert_usage("icmp host=x timeout=5", "timeout:");
	assert_usage("icmp host=x families=ipv5", "families:");
	assert_usage("icmp host=x host=y", "twice");
	assert_usage("tcp host=192.0.2.1 port=1 ipv4=192.0.2.2", "is an address already");
	assert_usage("icmp host=x --yaml", "--json and --help");
}

static void help_asks_for_nothing_else(void **state)
{
	struct probe_request q = read_good("--help");

	(void)state;
	assert_true(q.wants_help);
	assert_null(q.type);
	q = read_good("tcp --help");
	assert_true(q.wants_help);
	assert_ptr_equal(q.type, &catalog_tcp);
}

static void help_says_how_a_list_is_given(void **state)
{
	char *text;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	(void)state;
	probe_request_help(&catalog_dns, out);
	fclose(out);
	assert_non_null(strstr(text, "expect=ONE expect=ANOTHER"));
	free(text);
	out = open_memstream(&text, &len);
	probe_request_help(&catalog_tcp, out);
	fclose(out);
	assert_null(strstr(text, "Of a list"));
	free(text);
}

/* ---- printing */

static const struct result up = {.type = "tcp", .family = FAMILY_V4, .outcome = OUTCOME_UP, .part = "",
	.address = "192.0.2.1", .reason = "", .count = 2, .values = {{TCP_CONNECT, 0.000125}, {TCP_TOTAL, 1.5}}};
static const struct result down = {.type = "tcp", .family = FAMILY_V6, .outcome = OUTCOME_DOWN, .part = "",
	.address = "2001:db8::1", .reason = "said \"no\" \\", .count = 0};
static const struct result unknown = {.type = "tcp", .family = FAMILY_V6, .outcome = OUTCOME_UNKNOWN,
	.part = "", .address = "", .reason = "no answer of the resolver"};

static char *text_of(const struct result *const *results, size_t count, bool is_json)
{
	struct probe_request q = {.type = &catalog_tcp};
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	if (is_json)
		probe_print_json(results, count, f);
	else
		probe_print_table(&q, results, count, f);
	fclose(f);
	return text;
}

static void json_is_an_array_of_results_with_units(void **state)
{
	const struct result *const results[] = {&up, &down};
	char *text = text_of(results, 2, true);

	(void)state;
	assert_string_equal(text, "[\n"
		"  {\"type\": \"tcp\", \"family\": 4, \"address\": \"192.0.2.1\", \"part\": \"\", "
		"\"outcome\": \"up\", \"reason\": \"\", \"values\": {"
		"\"connect\": {\"value\": 0.000125, \"unit\": \"s\"}, "
		"\"total\": {\"value\": 1.500000, \"unit\": \"s\"}}},\n"
		"  {\"type\": \"tcp\", \"family\": 6, \"address\": \"2001:db8::1\", \"part\": \"\", "
		"\"outcome\": \"down\", \"reason\": \"said \\\"no\\\" \\\\\", \"values\": {}}\n]\n");
	free(text);
}

static void the_table_is_aligned_and_tells_reasons(void **state)
{
	const struct result *const results[] = {&up, &down, &unknown};
	char *text = text_of(results, 3, false);

	(void)state;
	assert_string_equal(text,
		"                   IPv4         IPv6     IPv6\n"
		"address       192.0.2.1  2001:db8::1        -\n"
		"outcome              up         down  unknown\n"
		"connect        0.125 ms            -        -\n"
		"total           1.500 s            -        -\n"
		"\n"
		"down IPv6 2001:db8::1: said \"no\" \\\n"
		"unknown IPv6: no answer of the resolver\n");
	free(text);
}

static void many_results_stand_in_blocks_below_each_other(void **state)
{
	const struct result *results[RUN_ADDRESSES_MAX * 2];
	char *text;

	(void)state;
	for (size_t i = 0; i < RUN_ADDRESSES_MAX * 2; i++)
		results[i] = &up;
	text = text_of(results, RUN_ADDRESSES_MAX * 2, false);
	for (const char *line = text; *line != '\0'; line += strcspn(line, "\n") + 1)
		assert_true(strcspn(line, "\n") <= 100);
	free(text);
}

#define HOP(n, where, rtt) {.type = "path", .family = FAMILY_V4, .outcome = OUTCOME_UP, .part = "hop " n, .address = where, \
	.reason = "", .count = 2, .values = {{PATH_LOSS, 0}, {PATH_RTT, rtt}}}

static void parts_of_a_run_stand_below_each_other(void **state)
{
	static const struct result own = {.type = "path", .family = FAMILY_V4, .outcome = OUTCOME_UP, .part = "",
		.address = "192.0.2.98", .reason = "", .count = 1, .values = {{PATH_HOPS, 3}}};
	static const struct result hops[] = {HOP("01", "192.0.2.1", 0.0005), HOP("03", "192.0.2.98", 0.0125)};
	const struct result *const results[] = {&own, &hops[0], &hops[1], &own};
	struct probe_request q = {.type = &catalog_path};
	char *text;
	size_t len;
	FILE *f = open_memstream(&text, &len);

	(void)state;
	probe_print_table(&q, results, 4, f);
	fclose(f);
	assert_string_equal(text,
		"                    IPv4        IPv4\n"
		"address       192.0.2.98  192.0.2.98\n"
		"outcome               up          up\n"
		"hops                   3           3\n"
		"\n"
		"IPv4 192.0.2.98\n"
		"part    address       loss        rtt\n"
		"hop 01  192.0.2.1   0.00 %   0.500 ms\n"
		"hop 03  192.0.2.98  0.00 %  12.500 ms\n");
	free(text);
}

static void the_exit_status_is_the_worst_that_is_known(void **state)
{
	const struct result *const all[] = {&up, &unknown, &down}, *const none[] = {&up, &unknown};

	(void)state;
	assert_int_equal(probe_exit_status(all, 1), 0);
	assert_int_equal(probe_exit_status(all, 3), 1);
	assert_int_equal(probe_exit_status(none, 2), 3);
	assert_int_equal(probe_exit_status(none, 0), 3);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(options_are_those_of_the_type),
		CASE(both_families_and_five_seconds_are_the_default),
		CASE(a_value_may_hold_an_equals_sign_and_a_key_may_repeat),
		CASE(what_is_not_understood_is_a_usage_error),
		CASE(help_asks_for_nothing_else),
		CASE(help_says_how_a_list_is_given),
		CASE(json_is_an_array_of_results_with_units),
		CASE(the_table_is_aligned_and_tells_reasons),
		CASE(many_results_stand_in_blocks_below_each_other),
		CASE(parts_of_a_run_stand_below_each_other),
		CASE(the_exit_status_is_the_worst_that_is_known),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
