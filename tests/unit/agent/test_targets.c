#include "agent/targets.h"

#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>

#include "lib/config.h"
#include "lib/err.h"
#include "lib/mem.h"

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

/* Texts divided by spaces. */
static struct targets networks(const char *texts)
{
	struct targets t;
	char *rest = arena_strdup(arena, texts), *item;
	struct config_texts list = {0, arena_alloc(arena, 64 * sizeof(char *))};

	while ((item = strsep(&rest, " ")) != NULL) {
		if (*item != '\0')
			list.items[list.count++] = item;
	}
	targets_parse(&list, arena, &t);
	return t;
}

static bool allows(const struct targets *t, const char *address)
{
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	struct sockaddr_in four = {.sin_family = AF_INET};

	if (inet_pton(AF_INET, address, &four.sin_addr) == 1)
		return targets_allow(t, (struct sockaddr *)&four);
	assert_int_equal(inet_pton(AF_INET6, address, &six.sin6_addr), 1);
	return targets_allow(t, (struct sockaddr *)&six);
}

static void without_a_list_all_but_metadata_services_is_allowed(void **state)
{
	struct targets t = networks("");

	(void)state;
	assert_true(allows(&t, "192.0.2.1"));
	assert_true(allows(&t, "127.0.0.1"));
	assert_true(allows(&t, "169.254.169.253"));
	assert_true(allows(&t, "2001:db8::1"));
	assert_true(allows(&t, "fd00:ec2::253"));
	assert_false(allows(&t, "169.254.169.254"));
	assert_false(allows(&t, "100.100.100.200"));
	assert_false(allows(&t, "fd00:ec2::254"));
	assert_false(allows(&t, "fe80::a9fe:a9fe"));
}

static void a_metadata_service_is_never_allowed_whatever_the_list_and_the_form(void **state)
{
	struct targets t = networks("0.0.0.0/0 ::/0 169.254.169.254 fd00:ec2::254");

	(void)state;
	assert_false(allows(&t, "169.254.169.254"));
	assert_false(allows(&t, "fd00:ec2::254"));
	assert_false(allows(&t, "::ffff:169.254.169.254"));
	assert_false(allows(&t, "64:ff9b::169.254.169.254"));
	assert_true(allows(&t, "192.0.2.1"));
}

static void with_a_list_only_what_stands_in_it_is_allowed(void **state)
{
	struct targets t = networks("10.0.0.0/8 192.0.2.128/25 198.51.100.7 2001:db8::/33 2001:db8:ffff::1");

	(void)state;
	assert_true(allows(&t, "10.255.0.1"));
	assert_false(allows(&t, "11.0.0.1"));
	assert_true(allows(&t, "192.0.2.128"));
	assert_false(allows(&t, "192.0.2.127"));
	assert_true(allows(&t, "198.51.100.7"));
	assert_false(allows(&t, "198.51.100.6"));
	assert_true(allows(&t, "2001:db8:7fff::1"));
	assert_false(allows(&t, "2001:db8:8000::1"));
	assert_true(allows(&t, "2001:db8:ffff::1"));
	assert_true(allows(&t, "::ffff:10.1.1.1"));
	assert_false(allows(&t, "::ffff:11.1.1.1"));
}

static void an_ipv4_list_allows_no_ipv6_and_the_reverse(void **state)
{
	struct targets four = networks("0.0.0.0/0"), six = networks("2000::/3");

	(void)state;
	assert_true(allows(&four, "192.0.2.1"));
	assert_false(allows(&four, "2001:db8::1"));
	assert_false(allows(&six, "192.0.2.1"));
	assert_true(allows(&six, "2001:db8::1"));
}

static void another_family_is_not_allowed(void **state)
{
	struct targets t = networks("");
	struct sockaddr a = {.sa_family = AF_UNIX};

	(void)state;
	assert_false(targets_allow(&t, &a));
}

static void assert_refused(const char *text, const char *words)
{
	struct targets_net net;
	struct err e;

	assert_int_equal(targets_parse_net(text, &net, &e), -1);
	assert_non_null(strstr(e.text, words));
}

static void a_text_that_is_no_network_is_refused_with_words(void **state)
{
	(void)state;
	assert_refused("", "is not a network");
	assert_refused("gov.example", "is not a network");
	assert_refused("10.0.0.0/", "from 0 to 32");
	assert_refused("10.0.0.0/33", "from 0 to 32");
	assert_refused("10.0.0.0/-1", "from 0 to 32");
	assert_refused("10.0.0.1/8", "bits behind its prefix");
	assert_refused("2001:db8::/129", "from 0 to 128");
	assert_refused("2001:db8::1/64", "bits behind its prefix");
	assert_refused("2001:db8:0000:0000:0000:0000:0000:0000:0000:0000:0000/32", "is not a network");
}

/* A network holds an address exactly when their first `prefix` bits are alike. */
static void membership_is_equality_of_the_first_bits(void **state)
{
	unsigned seed = (unsigned)time(NULL), inside = 0;

	(void)state;
	printf("seed=%u\n", seed);
	srand(seed);
	for (int i = 0; i < 20000; i++) {
		unsigned prefix = (unsigned)rand() % 33;
		uint32_t net = ((uint32_t)rand() << 8 ^ (uint32_t)rand()) &
			(prefix == 0 ? 0 : UINT32_MAX << (32 - prefix));
		uint32_t address = net ^ (UINT32_C(1) << rand() % 32);
		bool expected = prefix == 0 || (address ^ net) >> (32 - prefix) == 0;
		struct sockaddr_in four = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(address)};
		struct targets_net parsed;
		struct targets t = {1, &parsed};
		struct in_addr in = {htonl(net)};
		char text[64], shown[INET_ADDRSTRLEN];
		struct err e;

		if (address == 0xa9fea9fe || address == 0x646464c8)
			continue;
		snprintf(text, sizeof text, "%s/%u", inet_ntop(AF_INET, &in, shown, sizeof shown), prefix);
		assert_int_equal(targets_parse_net(text, &parsed, &e), 0);
		assert_int_equal(targets_allow(&t, (struct sockaddr *)&four), expected);
		inside += expected;
	}
	assert_true(inside > 1000 && inside < 19000);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(without_a_list_all_but_metadata_services_is_allowed),
		CASE(a_metadata_service_is_never_allowed_whatever_the_list_and_the_form),
		CASE(with_a_list_only_what_stands_in_it_is_allowed),
		CASE(an_ipv4_list_allows_no_ipv6_and_the_reverse),
		CASE(another_family_is_not_allowed),
		CASE(a_text_that_is_no_network_is_refused_with_words),
		CASE(membership_is_equality_of_the_first_bits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
