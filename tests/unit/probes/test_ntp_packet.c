#include "probes/ntp_packet.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/clock.h"

#define COOKIE UINT64_C(0x1122334455667788)

static bool is_near(double a, double b)
{
	return fabs(a - b) < 1e-8;
}

static void a_query_tells_nothing_but_its_cookie(void **state)
{
	uint8_t bytes[NTP_PACKET_SIZE];

	(void)state;
	ntp_packet_encode(COOKIE, bytes);
	assert_int_equal(bytes[0], 0x23); /* leap 0, version 4, mode 3 */
	assert_int_equal(bytes[3], 0x20);
	for (size_t i = 1; i < 40; i++)
		assert_int_equal(bytes[i], i == 3 ? 0x20 : 0);
	assert_memory_equal(bytes + 40, "\x11\x22\x33\x44\x55\x66\x77\x88", 8);
}

static void an_answer_is_read_field_by_field(void **state)
{
	static const uint8_t bytes[] = "\x64\2\6\xe7\0\0\x80\0\0\1\0\0\x7f\0\0\1"
				       "\1\2\3\4\0\0\0\0\x11\x22\x33\x44\x55\x66\x77\x88\1\2\3\5\x80\0\0\0\1\2\3\6\0\0\0\0";
	struct ntp_packet p;

	(void)state;
	assert_true(ntp_packet_decode(bytes, NTP_PACKET_SIZE, &p));
	assert_int_equal(p.leap, 1);
	assert_int_equal(p.version, 4);
	assert_int_equal(p.mode, 4);
	assert_int_equal(p.stratum, 2);
	assert_int_equal(p.precision, -25);
	assert_true(is_near(p.root_delay, 0.5) && is_near(p.root_dispersion, 1));
	assert_int_equal(p.reference, UINT64_C(0x0102030400000000));
	assert_int_equal(p.receive, UINT64_C(0x0102030580000000));
	assert_int_equal(p.transmit, UINT64_C(0x0102030600000000));
	assert_string_equal(p.kiss, "");
	assert_false(ntp_packet_decode(bytes, NTP_PACKET_SIZE - 1, &p));
}

static void only_a_server_that_repeats_the_cookie_answers(void **state)
{
	struct ntp_packet p = {.mode = 4, .version = 4, .origin = COOKIE};

	(void)state;
	assert_true(ntp_packet_answers(&p, COOKIE));
	assert_false(ntp_packet_answers(&p, COOKIE ^ 1));
	p.version = 3;
	assert_true(ntp_packet_answers(&p, COOKIE));
	p.version = 2;
	assert_false(ntp_packet_answers(&p, COOKIE));
	p.version = 4;
	p.mode = 3; /* our own packet, reflected */
	assert_false(ntp_packet_answers(&p, COOKIE));
}

static void kiss_codes_are_letters_at_stratum_zero(void **state)
{
	static const struct {
		unsigned stratum;
		const char *id, *kiss;
	} cases[] = {{0, "RATE", "RATE"}, {1, "GPS\0", ""}, {0, "\0\0\0\0", ""}, {0, "A\0\0\0", "A"}, {0, "A\0B\0", ""},
		{0, "\x7f\0\0\1", ""}, {0, "X\x1b[m", ""}};
	uint8_t bytes[NTP_PACKET_SIZE] = {0};
	struct ntp_packet p;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		bytes[1] = (uint8_t)cases[i].stratum;
		memcpy(bytes + 12, cases[i].id, 4);
		assert_true(ntp_packet_decode(bytes, sizeof bytes, &p));
		assert_string_equal(p.kiss, cases[i].kiss);
	}
	assert_string_equal(ntp_kiss_text("DENY"), "access denied");
	assert_null(ntp_kiss_text("A"));
}

static void times_count_from_1900_and_wrap_in_2036(void **state)
{
	(void)state;
	assert_int_equal(ntp_time(0), UINT64_C(2208988800) << 32);
	assert_int_equal(ntp_time(NS_PER_S / 2), (UINT64_C(2208988800) << 32) + 0x80000000);
	assert_int_equal(ntp_time(-NS_PER_S / 4), (UINT64_C(2208988799) << 32) + 0xc0000000);
	assert_int_equal(ntp_time((INT64_C(4294967296) - 2208988800) * NS_PER_S) >> 32, 0);
}

/* A server that is ahead by an offset, a way there and back, time at the server: all are found again. */
static void offset_and_delay_are_found_again(void **state)
{
	static const double offsets[] = {0, 1e-6, -0.25, 3600, -86400 * 365.0, 86400 * 365.0 * 60};
	static const int64_t epochs[] = {INT64_C(1790000000), INT64_C(2085978495), 0}; /* the second: just before the wrap */

	(void)state;
	for (size_t i = 0; i < sizeof offsets / sizeof *offsets; i++) {
		for (size_t k = 0; k < sizeof epochs / sizeof *epochs; k++) {
			int64_t sent = epochs[k] * NS_PER_S + 999999000, way = 3 * NS_PER_MS, stay = 2 * NS_PER_MS;
			int64_t ahead = (int64_t)(offsets[i] * 1e9);
			struct ntp_packet p = {.receive = ntp_time(sent + way + ahead),
				.transmit = ntp_time(sent + way + stay + ahead), .precision = -1, .root_delay = 1,
				.root_dispersion = 2};
			struct ntp_figures f;

			p.reference = p.transmit - (UINT64_C(90) << 32);
			ntp_packet_figures(&p, sent, 2 * way + stay, &f);
			assert_true(fabs(f.offset - offsets[i]) < 1e-6);
			assert_true(is_near(f.delay, 0.006));
			assert_true(is_near(f.root_distance, 0.503 + 2 + 0.5));
			assert_true(is_near(f.reference_age, 90));
		}
	}
}

static void a_server_that_claims_to_have_kept_it_longer_has_no_negative_delay(void **state)
{
	struct ntp_packet p = {.receive = ntp_time(0), .transmit = ntp_time(NS_PER_S), .precision = -20};
	struct ntp_figures f;

	(void)state;
	ntp_packet_figures(&p, 0, NS_PER_MS, &f);
	assert_true(f.delay == 0);
	assert_true(f.reference_age < 0);
}

static void any_bytes_are_decoded_without_harm(void **state)
{
	unsigned seed = (unsigned)time(NULL);

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	for (int i = 0; i < 20000; i++) {
		size_t len = (size_t)rand() % 80;
		uint8_t *bytes = malloc(len + 1);
		struct ntp_packet p;
		struct ntp_figures f;

		for (size_t k = 0; k < len; k++)
			bytes[k] = (uint8_t)rand();
		bytes = realloc(bytes, len > 0 ? len : 1);
		if (ntp_packet_decode(bytes, len, &p)) {
			ntp_packet_figures(&p, clock_real(), rand(), &f);
			assert_true(isfinite(f.offset) && f.delay >= 0 && f.root_distance >= 0);
		}
		free(bytes);
	}
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_query_tells_nothing_but_its_cookie),
		cmocka_unit_test(an_answer_is_read_field_by_field),
		cmocka_unit_test(only_a_server_that_repeats_the_cookie_answers),
		cmocka_unit_test(kiss_codes_are_letters_at_stratum_zero),
		cmocka_unit_test(times_count_from_1900_and_wrap_in_2036),
		cmocka_unit_test(offset_and_delay_are_found_again),
		cmocka_unit_test(a_server_that_claims_to_have_kept_it_longer_has_no_negative_delay),
		cmocka_unit_test(any_bytes_are_decoded_without_harm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
