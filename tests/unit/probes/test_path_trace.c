#include "probes/path_trace.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "probes/icmp_packet.h"

static void hops_are_asked_in_rounds_no_farther_than_the_destination(void **state)
{
	struct path_trace t;
	unsigned asked = 0, ttl;

	(void)state;
	path_trace_init(&t, 30, 3);
	while ((ttl = path_trace_next(&t)) != 0) {
		unsigned i = path_trace_sent(&t, ttl, 0, 10);

		assert_true(t.destination == 0 || ttl <= 4);
		asked++;
		assert_true(path_trace_answer(&t, i, ttl == 4 ? PATH_ANSWER_DESTINATION : PATH_ANSWER_HOP, "a", 30));
		assert_false(path_trace_answer(&t, i, PATH_ANSWER_HOP, "b", 40));
	}
	assert_int_equal(asked, 12);
	assert_int_equal(t.destination, 4);
	assert_int_equal(t.hops[2].answered, 3);
	assert_int_equal(t.hops[2].sum, 60);
	assert_true(path_trace_is_complete(&t));
	assert_int_equal(path_trace_silent(&t), 0);
	assert_false(path_trace_answer(&t, 12, PATH_ANSWER_HOP, "forged", 40));
}

static void a_silent_hop_is_counted_and_waited_for(void **state)
{
	struct path_trace t;
	unsigned ttl;

	(void)state;
	path_trace_init(&t, 3, 1);
	while ((ttl = path_trace_next(&t)) != 0) {
		unsigned i = path_trace_sent(&t, ttl, 0, 0);

		if (ttl != 2)
			path_trace_answer(&t, i, ttl == 3 ? PATH_ANSWER_DESTINATION : PATH_ANSWER_HOP, "a", 1);
	}
	assert_false(path_trace_is_complete(&t));
	assert_int_equal(path_trace_silent(&t), 1);
}

/* Sends all that a path of this MTU is asked; says whether somebody says too big. */
/* It says so to each packet that would go further: that is no row of hops. */
static void the_path_ends_at_who_says_that_it_goes_no_further(void **state)
{
	struct path_trace t;

	(void)state;
	path_trace_init(&t, 30, 1);
	for (unsigned ttl; (ttl = path_trace_next(&t)) != 0;) {
		unsigned index = path_trace_sent(&t, ttl, 0, 0);

		assert_true(path_trace_answer(&t, index, ttl < 3 ? PATH_ANSWER_HOP : PATH_ANSWER_UNREACHABLE, ttl < 3 ? "near" : "r3", 1));
	}
	assert_int_equal(path_trace_last(&t), 3);
	assert_string_equal(t.hops[3].address, "r3");
	/* Another one may speak for a while only: the destination, once it answers, is farther. */
	path_trace_init(&t, 30, 1);
	path_trace_answer(&t, path_trace_sent(&t, 2, 0, 0), PATH_ANSWER_UNREACHABLE, "r2", 1);
	path_trace_answer(&t, path_trace_sent(&t, 5, 0, 0), PATH_ANSWER_DESTINATION, "end", 1);
	assert_int_equal(path_trace_last(&t), 5);
}

static void measure(struct path_trace *t, enum family f, unsigned mtu, unsigned wanted, bool told)
{
	path_trace_init(t, 30, 3);
	path_sizes_begin(t, f, wanted);
	do {
		unsigned size;

		while ((size = path_sizes_next(t)) != 0) {
			unsigned i = path_trace_sent(t, 0, size, 0);

			assert_true(size <= wanted);
			if (size <= mtu)
				path_trace_answer(t, i, PATH_ANSWER_DESTINATION, "a", 1);
			else if (told)
				path_trace_answer(t, i, PATH_ANSWER_TOO_BIG, "r", 1);
		}
	} while (path_sizes_end(t));
}

static void every_path_mtu_is_found_exactly(void **state)
{
	struct path_trace t;

	(void)state;
	for (unsigned mtu = PATH_SIZE_MIN_V4; mtu <= PATH_SIZE_MAX; mtu++) {
		measure(&t, FAMILY_V4, mtu, PATH_SIZE_MAX, mtu % 2 == 0);
		assert_true(path_sizes_know(&t));
		assert_int_equal(t.passed, mtu);
		assert_int_equal(t.is_told, mtu % 2 == 0 && mtu < PATH_SIZE_MAX);
	}
	for (unsigned mtu = PATH_SIZE_MIN_V6; mtu <= 1500; mtu++) {
		measure(&t, FAMILY_V6, mtu, 1500, false);
		assert_int_equal(t.passed, mtu);
		assert_true(path_sizes_know(&t));
	}
}

/* A path of five hops, the second of which is silent, that lets 1400 bytes through and says nothing. */
static void suspect_a_hole(struct path_trace *t)
{
	unsigned ttl, size;

	path_trace_init(t, 30, 1);
	while ((ttl = path_trace_next(t)) != 0) {
		unsigned i = path_trace_sent(t, ttl, 0, 0);

		if (ttl != 2)
			path_trace_answer(t, i, ttl == 5 ? PATH_ANSWER_DESTINATION : PATH_ANSWER_HOP, "a", 1);
	}
	path_sizes_begin(t, FAMILY_V4, 1500);
	do
		while ((size = path_sizes_next(t)) != 0) {
			unsigned i = path_trace_sent(t, 0, size, 0);

			if (size <= 1400)
				path_trace_answer(t, i, PATH_ANSWER_DESTINATION, "a", 1);
		}
	while (path_sizes_end(t));
	assert_true(path_hole_suspected(t));
	assert_false(path_hole_is_settled(t));
}

/* One more try: large ones are reported by the hops up to `reach`, of the others `silent` (bits by hop, 0 the destination)
 * are not answered. large: what the first meets, or -1. */
static void ask_again(struct path_trace *t, unsigned reach, unsigned silent, int large)
{
	unsigned ttl, size, asked = 0;

	path_hole_begin(t);
	while (path_hole_next(t, &ttl, &size)) {
		unsigned i = path_trace_sent(t, ttl, size, 0);

		if (asked++ == 0) {
			assert_true(ttl == 0 && size == 1401);
			if (large >= 0)
				path_trace_answer(t, i, (enum path_answer)large, "r", 1);
		} else if (size == 1401 ? ttl <= reach : !(silent & 1u << ttl)) {
			path_trace_answer(t, i, ttl == 0 ? PATH_ANSWER_DESTINATION : PATH_ANSWER_HOP, "a", 1);
		}
	}
	assert_int_equal(asked, 10);
	path_hole_end(t);
}

static void a_black_hole_is_sure_when_both_ends_of_it_speak(void **state)
{
	struct path_trace t;

	(void)state;
	suspect_a_hole(&t);
	ask_again(&t, 2, 1u << 1, -1);
	assert_int_equal(t.hole_sure, 1);
	assert_int_equal(t.hole_at, 2);
	assert_true(path_hole_is_sure(&t)); /* when there was time for no more */
	ask_again(&t, 2, 1u << 3, -1);
	ask_again(&t, 2, 1, -1);
	assert_int_equal(t.hole_sure, 1);
	assert_false(path_hole_is_sure(&t));
	assert_false(path_hole_is_settled(&t));
	ask_again(&t, 4, 0, -1); /* the hop behind is the destination */
	assert_int_equal(t.hole_at, 4);
	assert_true(path_hole_is_settled(&t) && path_hole_is_sure(&t) && path_hole_suspected(&t));
	assert_int_equal(t.hops[4].sent, 1); /* what was asked again does not count for hops */
	assert_int_equal(t.hops[4].answered, 1);
}

static void a_black_hole_is_not_sure_where_a_router_is_silent(void **state)
{
	struct path_trace t;

	(void)state;
	suspect_a_hole(&t);
	for (int i = 0; i < PATH_HOLE_TRIES; i++)
		ask_again(&t, 3, 1u << 4, -1);
	assert_true(path_hole_is_settled(&t));
	assert_false(path_hole_is_sure(&t));
	suspect_a_hole(&t);
	ask_again(&t, 0, 0, -1); /* before the first router */
	assert_true(path_hole_is_sure(&t));
	assert_int_equal(t.hole_at, 0);
}

static void a_router_that_speaks_late_is_no_black_hole(void **state)
{
	struct path_trace t;
	unsigned size;

	(void)state;
	suspect_a_hole(&t);
	ask_again(&t, 2, 1u << 3, -1);
	ask_again(&t, 2, 0, PATH_ANSWER_TOO_BIG);
	assert_false(path_hole_suspected(&t));
	assert_true(path_sizes_know(&t));
	assert_int_equal(t.passed, 1400);
	/* and one that was lost before is looked for again */
	suspect_a_hole(&t);
	ask_again(&t, 2, 0, PATH_ANSWER_DESTINATION);
	assert_false(path_hole_suspected(&t));
	assert_false(path_sizes_know(&t));
	do
		while ((size = path_sizes_next(&t)) != 0)
			path_trace_answer(&t, path_trace_sent(&t, 0, size, 0), PATH_ANSWER_DESTINATION, "a", 1);
	while (path_sizes_resume(&t));
	assert_true(path_sizes_know(&t));
	assert_int_equal(t.passed, 1500);
}

static void set_path(struct path_known *k, unsigned count, const char *const *hops)
{
	memset(k, 0, sizeof *k);
	k->count = count;
	for (unsigned i = 0; i < count; i++)
		snprintf(k->hops[i], PATH_ADDRESS, "%s", hops[i]);
}

static void a_change_names_both_paths_and_silence_is_none(void **state)
{
	struct path_known was, now;
	char words[256];

	(void)state;
	set_path(&was, 3, (const char *const[]){"a", "b", "d"});
	set_path(&now, 3, (const char *const[]){"a", "", "d"});
	assert_false(path_known_differs(&was, &now, words, sizeof words));
	set_path(&now, 3, (const char *const[]){"a", "c", "d"});
	assert_true(path_known_differs(&was, &now, words, sizeof words));
	assert_string_equal(words, "path changed at hop 2: was b, now c");
	set_path(&now, 2, (const char *const[]){"a", "d"});
	assert_true(path_known_differs(&was, &now, words, sizeof words));
	assert_string_equal(words, "path changed at hop 2: was b > d, now d");
}

static unsigned sum(const uint8_t *p, size_t len)
{
	unsigned s = 0;

	for (size_t i = 0; i + 1 < len; i += 2)
		s += (unsigned)(p[i] << 8 | p[i + 1]);
	while (s > 0xffff)
		s = (s & 0xffff) + (s >> 16);
	return s;
}

static void all_packets_of_a_look_are_one_flow(void **state)
{
	uint8_t udp[PATH_PAYLOAD], first[PATH_PAYLOAD], echo[ICMP_PACKET_HEAD + ICMP_PACKET_LEVEL];

	(void)state;
	path_payload_encode(77, 0, first);
	for (unsigned i = 0; i < 600; i++) {
		const struct icmp_packet_name name = {.nonce = 7 + i % 3, .slot = 0x9000, .index = (uint16_t)i};

		path_payload_encode(77, (uint16_t)i, udp);
		assert_int_equal(sum(udp, sizeof udp), sum(first, sizeof first));
		assert_int_equal(path_payload_decode(77, udp, sizeof udp), i);
		assert_int_equal(path_payload_decode(77, udp, 11), -1);
		assert_int_equal(path_payload_decode(78, udp, sizeof udp), -1);
		icmp_packet_encode(FAMILY_V4, &name, echo);
		icmp_packet_level(FAMILY_V4, echo);
		assert_int_equal(sum(echo, sizeof echo), 0xffff);
		assert_int_equal(echo[2] << 8 | echo[3], 0xc0de);
		icmp_packet_encode(FAMILY_V6, &name, echo);
		icmp_packet_level(FAMILY_V6, echo);
		assert_int_equal(sum(echo, sizeof echo), 0xffff - 0xc0de);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hops_are_asked_in_rounds_no_farther_than_the_destination),
		cmocka_unit_test(a_silent_hop_is_counted_and_waited_for),
		cmocka_unit_test(the_path_ends_at_who_says_that_it_goes_no_further),
		cmocka_unit_test(every_path_mtu_is_found_exactly),
		cmocka_unit_test(a_black_hole_is_sure_when_both_ends_of_it_speak),
		cmocka_unit_test(a_black_hole_is_not_sure_where_a_router_is_silent),
		cmocka_unit_test(a_router_that_speaks_late_is_no_black_hole),
		cmocka_unit_test(a_change_names_both_paths_and_silence_is_none),
		cmocka_unit_test(all_packets_of_a_look_are_one_flow),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
