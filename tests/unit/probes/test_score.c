#include "probes/score.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/buf.h"
#include "lib/config.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "probes/catalog_scorecard.h"
#include "probes/resolve.h"
#include "probes/scorecard_facts.h"
#include "probes/site.h"

#define NEAR 1e-9
#define assert_near(a, b) assert_true(fabs((a) - (b)) < NEAR)

/* ---- likeness */

static double like(const char *a, const char *b)
{
	return score_text_likeness(a, strlen(a), b, strlen(b));
}

static void likeness_is_of_common_runs(void **state)
{
	(void)state;
	assert_near(like("", ""), 1);
	assert_near(like("", "x"), 0);
	assert_near(like("ab", "ab"), 1);
	assert_near(like("abcde", "abcde"), 1);
	assert_near(like("abcde", "bcdea"), 0.5);    /* abcd bcde, bcde cdea */
	assert_near(like("abcdabcd", "abcd"), 2. / 6); /* with repeats: 5 and 1 runs, 1 in common */
	assert_near(like("政务服务平台", "政务服务平台"), 1);
	assert_near(like("政务服务平台", "政务服务大厅"), 2. / 6);
	assert_near(like("\x80\x80", "\xff"), 0);
}

static void likeness_of_lists_counts_each_item(void **state)
{
	char *a[] = {"1.png", "2.png", "2.png"}, *b[] = {"2.png", "3.png"};

	(void)state;
	assert_near(score_list_likeness(a, 3, b, 2), 2. / 5);
	assert_near(score_list_likeness(a, 3, a, 3), 1);
	assert_near(score_list_likeness(NULL, 0, NULL, 0), 1);
	assert_near(score_list_likeness(a, 3, NULL, 0), 0);
}

static void likeness_is_the_same_both_ways_and_one_of_itself(void **state)
{
	unsigned seed = (unsigned)time(NULL);

	(void)state;
	printf("seed %u\n", seed);
	srandom(seed);
	for (int i = 0; i < 2000; i++) {
		char a[40], b[40];
		size_t n = (size_t)random() % sizeof a, m = (size_t)random() % sizeof b;

		for (size_t k = 0; k < sizeof a; k++)
			a[k] = (char)('a' + random() % 2), b[k] = (char)('a' + random() % 2);
		assert_near(score_text_likeness(a, n, b, m), score_text_likeness(b, m, a, n));
		assert_near(score_text_likeness(a, n, a, n), 1);
		assert_true(score_text_likeness(a, n, b, m) <= 1);
	}
}

static void medians_and_means_leave_out_what_is_not_there(void **state)
{
	double odd[] = {3, 1, 2}, even[] = {4, 1, 3, 2};
	const struct score_index indices[] = {{100, 10}, {50, 10}, {(double)NAN, 70}, {0, 0}};

	(void)state;
	assert_near(score_median(odd, 3), 2);
	assert_near(score_median(even, 4), 2.5);
	assert_true(isnan(score_median(NULL, 0)));
	assert_near(score_percent(3, 12), 25);
	assert_true(isnan(score_percent(0, 0)));
	assert_near(score_total(indices, 4), 75);
	assert_true(isnan(score_total(indices + 2, 2)));
}

/* ---- links of a site */

static void assert_takes(struct site *s, const char *page, const char *href, const char *expected)
{
	char *link = site_take(s, page, href);

	if (expected == NULL)
		assert_null(link);
	else if (link == NULL)
		fail_msg("%s is not taken", href);
	else
		assert_string_equal(link, expected);
	free(link);
}

static void links_into_the_site_are_taken_once(void **state)
{
	static const char page[] = "http://www.gov.example/a/b?c";
	const char *excluded[] = {"/logout"};
	const struct config_texts exclude = {.count = 1, .items = excluded};
	struct site s;

	(void)state;
	site_init(&s);
	site_add_host(&s, "www.gov.example");
	site_add_host(&s, "wap.gov.example");
	s.exclude = &exclude;
	assert_takes(&s, page, "d", "http://www.gov.example/a/d");
	assert_takes(&s, page, "d#x", NULL);
	assert_takes(&s, page, "../a/./d", NULL);
	assert_takes(&s, page, "/d?x=1&y=2", "http://www.gov.example/d?x=1&y=2");
	assert_takes(&s, page, "?q", "http://www.gov.example/a/b?q");
	assert_takes(&s, page, "#top", "http://www.gov.example/a/b?c");
	assert_takes(&s, page, "//gov.example/e", "http://gov.example/e");
	assert_takes(&s, page, "https://WAP.gov.example:443/f", "https://WAP.gov.example/f");
	assert_takes(&s, page, "http://www.gov.example:80/d", "http://www.gov.example/d");
	assert_takes(&s, page, "a b/\xe4\xb8\xad", "http://www.gov.example/a/a%20b/%e4%b8%ad");
	assert_takes(&s, page, "/logout?now", NULL);
	site_fini(&s);
}

static void what_leads_elsewhere_is_not_taken(void **state)
{
	static const char *const elsewhere[] = {"http://other.example/", "http://x.www.gov.example/", "http://gov.example.evil/",
		"mailto:a@www.gov.example", "javascript:void(0)", "ftp://www.gov.example/", "http://u@www.gov.example/", "http://",
		"http://www.gov.example:99999/", "tel:12345", "data:text/html,x", "http://[::1]/", "//", "\x01"};
	struct site s;

	(void)state;
	site_init(&s);
	site_add_host(&s, "www.gov.example");
	for (size_t i = 0; i < sizeof elsewhere / sizeof *elsewhere; i++)
		assert_takes(&s, "http://www.gov.example/", elsewhere[i], NULL);
	assert_takes(&s, "not an address", "x", NULL);
	site_fini(&s);
}

/* ---- facts */

static double told[100];

static void tell(void *ctx, uint32_t metric, double number)
{
	(void)ctx;
	told[metric - SCORECARD_SCORE] = number;
}

static double value_of(uint32_t metric)
{
	return told[metric - SCORECARD_SCORE];
}

static const int64_t weights[SCORECARD_INDICES] = {10, 10, 20, 10, 20, 10, 10, 5, 5};

static struct scorecard_facts perfect(void)
{
	struct scorecard_facts f = {.has_aaaa = true, .aaaa = 1, .aaaa_global = 1, .has_delegation = true, .ns = 2, .ns_v6 = 2,
		.has_same = true, .same_status = true, .same_title = true, .same_text = 1, .same_resources = 1,
		.has_ports = true, .ports_count = 10};

	for (int i = 0; i < 2; i++) {
		f.home[i] = (struct scorecard_home){.has_address = true, .attempts = 2, .reached = 2, .connected = true, .status = 200,
			.resolve = 0.01, .connect = {0.01, 0.01}, .first_byte = {0.02, 0.02}, .page = {0.04, 0.04}, .rate = {1e6, 1e6}};
		f.levels[i] = (struct scorecard_level){.known = 10, .tried = 10, .links = 10, .links_v6 = 10};
	}
	return f;
}

static const char *words_of(const struct scorecard_facts *f)
{
	static char text[1000];
	struct buf out = {0};

	scorecard_words(f, &out);
	snprintf(text, sizeof text, "%s", buf_text(&out));
	buf_fini(&out);
	return text;
}

static void count(struct scorecard_facts *f)
{
	for (size_t i = 0; i < 100; i++)
		told[i] = (double)NAN;
	scorecard_values(f, weights, tell, NULL);
}

static void a_perfect_site_has_all_points_and_no_words(void **state)
{
	struct scorecard_facts f = perfect();

	(void)state;
	count(&f);
	for (uint32_t m = SCORECARD_SCORE; m <= SCORECARD_PORTS; m++)
		assert_near(value_of(m), 100);
	assert_near(value_of(SCORECARD_DEGRADATION), 0);
	assert_near(value_of(SCORECARD_PAGE_RATIO), 1);
	assert_string_equal(words_of(&f), "");
}

static void k_of_n_links_are_n_minus_k_of_n(void **state)
{
	(void)state;
	for (size_t n = 1; n < 30; n++) {
		for (size_t k = 0; k <= n; k++) {
			struct scorecard_facts f = perfect();

			f.levels[0] = (struct scorecard_level){.known = n, .tried = n, .links = n, .links_v6 = n - k, .reason = "x"};
			count(&f);
			assert_near(value_of(SCORECARD_LEVEL2), 100. * (double)(n - k) / (double)n);
			assert_near(value_of(SCORECARD_SCORE), 80 + 20. * (double)(n - k) / (double)n);
		}
	}
}

static void each_lack_has_its_words(void **state)
{
	struct scorecard_facts f = perfect();

	(void)state;
	f.aaaa_global = 0;
	f.home[1].reached = 1;
	snprintf(f.home[1].reason, sizeof f.home[1].reason, "status 503");
	snprintf(f.delegation, sizeof f.delegation, "1 of 2");
	f.levels[1] = (struct scorecard_level){.known = 9, .tried = 4, .links = 3, .links_v6 = 2, .reason = "/x status 404"};
	f.same_title = false;
	f.same_text = 0.5;
	snprintf(f.ports, sizeof f.ports, "port 22 is open over IPv6 only");
	assert_string_equal(words_of(&f), "1 of 2 attempts over IPv6 failed: status 503; the AAAA record is no global address; "
		"delegation: 1 of 2; level 3: 1 of 3 links not over IPv6: /x status 404; level 3: time for 4 of 9 links; "
		"another title over IPv6; the text is alike by 50.0%; port 22 is open over IPv6 only");
}

static void without_ipv6_nothing_counts_and_what_was_not_measured_is_left_out(void **state)
{
	struct scorecard_facts f = perfect();

	(void)state;
	f.aaaa = f.aaaa_global = 0;
	f.home[1] = (struct scorecard_home){.resolve = (double)NAN};
	f.has_same = f.has_ports = false;
	f.levels[0] = (struct scorecard_level){.known = 10};
	f.levels[1] = (struct scorecard_level){0};
	count(&f);
	assert_near(value_of(SCORECARD_LEVEL2), 0);
	assert_true(isnan(value_of(SCORECARD_LEVEL3)));
	assert_true(isnan(value_of(SCORECARD_PORTS)));
	assert_near(value_of(SCORECARD_SAME), 0);
	assert_near(value_of(SCORECARD_SPEED), 0);
	assert_near(value_of(SCORECARD_SCORE), 100. * 10 / 85); /* the delegation alone */
}

static void twice_as_slow_is_half_the_speed(void **state)
{
	struct scorecard_facts f = perfect();

	(void)state;
	f.home[1].page[0] = f.home[1].page[1] = 0.08;
	f.home[1].connect[0] = f.home[1].connect[1] = 0.015;
	count(&f);
	assert_near(value_of(SCORECARD_SPEED), 50);
	assert_near(value_of(SCORECARD_PAGE_RATIO), 2);
	assert_near(value_of(SCORECARD_DEGRADATION), 50);
}

static void global_is_what_anyone_can_reach(void **state)
{
	static const struct { const char *text; bool global; } rows[] = {{"240e::1", true}, {"2409:8000::1", true}, {"::1", false},
		{"fe80::1", false}, {"fd00::1", false}, {"2001:db8::1", false}, {"2002:c000:201::1", false}, {"2001::1", false},
		{"2001:da8::1", true}, {"ff02::1", false}, {"::ffff:192.0.2.1", false}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct sockaddr_storage s;
		char text[64];
		socklen_t len;

		snprintf(text, sizeof text, "[%s]", rows[i].text);
		assert_int_equal(resolve_literal(text, &s, &len), 0);
		assert_int_equal(scorecard_is_global((struct sockaddr *)&s), rows[i].global);
	}
}

static void ports_are_a_list_without_repeats(void **state)
{
	uint16_t ports[SCORECARD_PORTS_MAX];
	struct buf many = {0};
	struct err e;

	(void)state;
	assert_int_equal(scorecard_ports("", ports, &e), 0);
	assert_int_equal(scorecard_ports("22, 80,22,443", ports, &e), 3);
	assert_int_equal(ports[2], 443);
	assert_int_equal(scorecard_ports("0", ports, &e), -1);
	assert_int_equal(scorecard_ports("22,65536", ports, &e), -1);
	assert_int_equal(scorecard_ports("ssh", ports, &e), -1);
	assert_int_equal(scorecard_ports("12345678901", ports, &e), -1);
	for (int i = 1; i <= SCORECARD_PORTS_MAX; i++)
		buf_add_format(&many, "%d,", i);
	assert_int_equal(scorecard_ports(buf_text(&many), ports, &e), SCORECARD_PORTS_MAX);
	buf_add_text(&many, "99");
	assert_int_equal(scorecard_ports(buf_text(&many), ports, &e), -1);
	buf_fini(&many);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(likeness_is_of_common_runs),
		cmocka_unit_test(likeness_of_lists_counts_each_item),
		cmocka_unit_test(likeness_is_the_same_both_ways_and_one_of_itself),
		cmocka_unit_test(medians_and_means_leave_out_what_is_not_there),
		cmocka_unit_test(links_into_the_site_are_taken_once),
		cmocka_unit_test(what_leads_elsewhere_is_not_taken),
		cmocka_unit_test(a_perfect_site_has_all_points_and_no_words),
		cmocka_unit_test(k_of_n_links_are_n_minus_k_of_n),
		cmocka_unit_test(each_lack_has_its_words),
		cmocka_unit_test(without_ipv6_nothing_counts_and_what_was_not_measured_is_left_out),
		cmocka_unit_test(twice_as_slow_is_half_the_speed),
		cmocka_unit_test(global_is_what_anyone_can_reach),
		cmocka_unit_test(ports_are_a_list_without_repeats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
