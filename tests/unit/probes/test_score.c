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
#include "lib/clock.h"
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

static double bags_likeness(struct score_bag a, struct score_bag b)
{
	double result = score_likeness(&a, &b);

	score_bag_fini(&a);
	score_bag_fini(&b);
	return result;
}

static double texts_likeness(const char *a, size_t a_len, const char *b, size_t b_len)
{
	return bags_likeness(score_bag_of_text(a, a_len), score_bag_of_text(b, b_len));
}

static double lists_likeness(char *const *a, size_t a_count, char *const *b, size_t b_count)
{
	return bags_likeness(score_bag_of_list(a, a_count), score_bag_of_list(b, b_count));
}

static double like(const char *a, const char *b)
{
	return texts_likeness(a, strlen(a), b, strlen(b));
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
	assert_near(lists_likeness(a, 3, b, 2), 2. / 5);
	assert_near(lists_likeness(a, 3, a, 3), 1);
	assert_near(lists_likeness(NULL, 0, NULL, 0), 1);
	assert_near(lists_likeness(a, 3, NULL, 0), 0);
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
		assert_near(texts_likeness(a, n, b, m), texts_likeness(b, m, a, n));
		assert_near(texts_likeness(a, n, a, n), 1);
		assert_true(texts_likeness(a, n, b, m) <= 1);
	}
}

static int64_t cpu_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* Words of four letters that a table of 256 Ki places, open and by FNV-1a, would all keep in a row of 256: whoever knows the
 * hash can write such a page, and held the loop by it for seconds. */
static void add_meeting_words(struct buf *text, size_t words)
{
	for (uint64_t i = 0; words > 0; i++) {
		unsigned char word[4] = {(unsigned char)('!' + i % 90), (unsigned char)('!' + i / 90 % 90),
			(unsigned char)('!' + i / 8100 % 90), (unsigned char)('!' + i / 729000 % 90)};
		uint64_t h = UINT64_C(0xcbf29ce484222325);

		for (size_t k = 0; k < sizeof word; k++)
			h = (h ^ word[k]) * UINT64_C(0x100000001b3);
		if ((h * UINT64_C(0x9e3779b97f4a7c15) >> 20 & 0x3ffff) > 0xff)
			continue;
		buf_add(text, word, sizeof word);
		words--;
	}
}

static void texts_that_were_made_to_collide_take_no_longer(void **state)
{
	struct buf text = {0};
	int64_t began;

	(void)state;
	add_meeting_words(&text, 32000);
	began = cpu_time();
	assert_near(texts_likeness((char *)text.data, text.len, (char *)text.data, text.len), 1);
	began = cpu_time() - began;
	printf("two texts of %zu KiB: %.1f ms\n", text.len >> 10, (double)began / NS_PER_MS);
	assert_true(began < 200 * NS_PER_MS);
	buf_fini(&text);
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
	char *link;

	site_set_page(s, page, NULL);
	link = site_take(s, href);
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

static void links_are_relative_to_the_base_of_the_page(void **state)
{
	static const struct { const char *base, *taken; } rows[] = {{NULL, "http://gov.example/a/x"}, {"/c/", "http://gov.example/c/x"},
		{"http://www.gov.example/d/e", "http://www.gov.example/d/x"}, {"mailto:x", "http://gov.example/a/x"}, {"http://other.example/", NULL}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct site s;
		char *link;

		site_init(&s);
		site_add_host(&s, "gov.example");
		site_set_page(&s, "http://gov.example/a/b", rows[i].base);
		link = site_take(&s, "x");
		if (rows[i].taken == NULL)
			assert_null(link);
		else
			assert_string_equal(link, rows[i].taken);
		free(link);
		site_fini(&s);
	}
}

/* The base is read once, and one link at a time is taken, so that a turn of the loop can end behind each. */
static void a_link_takes_little_time(void **state)
{
	char base[2048 + 1], href[2048 + 1];
	int64_t began;
	struct site s;

	(void)state;
	memset(base, '\xe4', sizeof base - 1);
	memset(href, '\xe5', sizeof href - 1);
	memcpy(base, "http://gov.example/", strlen("http://gov.example/"));
	base[sizeof base - 2] = '/';
	base[sizeof base - 1] = href[sizeof href - 1] = '\0';
	site_init(&s);
	site_add_host(&s, "gov.example");
	site_set_page(&s, "http://gov.example/", base);
	began = cpu_time();
	for (int i = 0; i < 90; i++) {
		char *link;

		href[0] = (char)('!' + i);
		link = site_take(&s, href);
		assert_true(link != NULL || strchr("#/?", href[0]) != NULL);
		free(link);
	}
	began = (cpu_time() - began) / 90;
	printf("a link of 2 KiB to a base of 2 KiB: %.2f ms\n", (double)began / NS_PER_MS);
	assert_true(began < 20 * NS_PER_MS);
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

/* Our resolver told no A record: nothing of the site is worse for it. */
static void what_is_our_own_fault_is_left_out_and_told(void **state)
{
	struct scorecard_facts f = perfect();

	(void)state;
	f.home[0] = (struct scorecard_home){.resolve = (double)NAN, .own = "no answer from the resolver in time"};
	f.has_same = f.has_ports = false;
	f.levels[0] = f.levels[1] = (struct scorecard_level){0};
	count(&f);
	assert_near(value_of(SCORECARD_SCORE), 100);
	assert_true(isnan(value_of(SCORECARD_SUCCESS_V4)) && isnan(value_of(SCORECARD_LEVEL2)) && isnan(value_of(SCORECARD_SAME)) &&
		isnan(value_of(SCORECARD_SPEED)));
	assert_string_equal(words_of(&f), "IPv4 not measured, nor links beside it: no answer from the resolver in time");
	f = perfect();
	f.home[1].own[0] = 'x';
	f.levels[0].own = 2;
	snprintf(f.levels[0].own_reason, sizeof f.levels[0].own_reason, "/x no resolver");
	count(&f);
	assert_near(value_of(SCORECARD_SCORE), 100);
	assert_string_equal(words_of(&f), "IPv6 measured in part: x; level 2: 2 links not measured: /x no resolver");
	f.home[0] = (struct scorecard_home){.resolve = (double)NAN, .reason = "no A record"};
	count(&f);
	assert_near(value_of(SCORECARD_SUCCESS_V4), 0);
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
		cmocka_unit_test(texts_that_were_made_to_collide_take_no_longer),
		cmocka_unit_test(medians_and_means_leave_out_what_is_not_there),
		cmocka_unit_test(links_into_the_site_are_taken_once),
		cmocka_unit_test(what_leads_elsewhere_is_not_taken),
		cmocka_unit_test(links_are_relative_to_the_base_of_the_page),
		cmocka_unit_test(a_link_takes_little_time),
		cmocka_unit_test(a_perfect_site_has_all_points_and_no_words),
		cmocka_unit_test(k_of_n_links_are_n_minus_k_of_n),
		cmocka_unit_test(each_lack_has_its_words),
		cmocka_unit_test(without_ipv6_nothing_counts_and_what_was_not_measured_is_left_out),
		cmocka_unit_test(what_is_our_own_fault_is_left_out_and_told),
		cmocka_unit_test(twice_as_slow_is_half_the_speed),
		cmocka_unit_test(global_is_what_anyone_can_reach),
		cmocka_unit_test(ports_are_a_list_without_repeats),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
