#include "probes/ntp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "probes/catalog_ntp.h"
#include "probes/ntp_packet.h"
#include "tests/unit/probes/one_run.h"
#include "tests/unit/probes/udp_server.h"

struct fixture {
	struct one_run one;
	struct udp_server udp;
	char port[32];
	unsigned silent; /* queries that are not answered */
	bool forges;
	bool reflects;
	unsigned leap, stratum;
	char id[5];
	double ahead;           /* s */
	unsigned root_dispersion; /* s */
	uint64_t cookies[8];
};

static void put64(uint8_t *p, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		p[i] = (uint8_t)(v >> (56 - 8 * i));
}

static void on_packet(void *ctx, const uint8_t *query, size_t len)
{
	struct fixture *f = ctx;
	uint8_t out[NTP_PACKET_SIZE] = {0};
	uint64_t now = ntp_time(clock_real() + (int64_t)(f->ahead * 1e9));
	struct ntp_packet p;

	assert_true(ntp_packet_decode(query, len, &p));
	assert_int_equal(p.mode, 3);
	f->cookies[(f->udp.received - 1) % 8] = p.transmit;
	if (f->udp.received <= f->silent)
		return;
	out[0] = (uint8_t)(f->leap << 6 | 4 << 3 | 4);
	out[1] = (uint8_t)f->stratum;
	out[3] = (uint8_t)-20;
	out[9] = (uint8_t)f->root_dispersion;
	memcpy(out + 12, f->id, 4);
	put64(out + 16, now - (UINT64_C(64) << 32));
	put64(out + 24, p.transmit);
	put64(out + 32, now);
	put64(out + 40, now);
	if (f->reflects)
		udp_server_reply(&f->udp, query, len);
	if (f->forges) {
		out[31] ^= 1;
		udp_server_reply(&f->udp, out, sizeof out);
		out[31] ^= 1;
		udp_server_reply(&f->udp, out, 47);
	}
	udp_server_reply(&f->udp, out, sizeof out);
}

static int setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof *f);

	one_run_open(&f->one);
	while (!udp_server_try(&f->udp, 0))
		;
	udp_server_start(&f->udp, f->one.base, on_packet, f);
	snprintf(f->port, sizeof f->port, "port=%u", f->udp.port);
	f->stratum = 2;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	udp_server_close(&f->udp);
	one_run_close(&f->one);
	free(f);
	return 0;
}

static void a_server_is_up_with_its_values_in_both_families(void **state)
{
	struct fixture *f = *state;

	f->ahead = 2.5;
	f->leap = 1;
	one_run_of(&f->one, &ntp_probe, "host=localhost", f->port);
	assert_lines(&f->one, "IPv4 127.0.0.1 up", "IPv6 ::1 up");
	for (size_t i = 0; i < 2; i++) {
		double delay = one_run_value(&f->one, i, NTP_DELAY);

		assert_true(fabs(one_run_value(&f->one, i, NTP_OFFSET) - 2.5) <= delay / 2 + 1e-6);
		assert_true(delay > 0 && delay < 0.5);
		assert_true(one_run_value(&f->one, i, NTP_STRATUM) == 2);
		assert_true(one_run_value(&f->one, i, NTP_LEAP) == 1);
		assert_true(fabs(one_run_value(&f->one, i, NTP_REFERENCE_AGE) - 64) < 0.001);
		assert_true(one_run_value(&f->one, i, NTP_ROOT_DISTANCE) > delay / 2);
		assert_true(one_run_value(&f->one, i, NTP_LOST) == 0);
		assert_true(one_run_value(&f->one, i, NTP_FOREIGN) == 0);
	}
}

static void cookies_differ_and_a_lost_query_is_not_down(void **state)
{
	struct fixture *f = *state;

	f->one.timeout = 300 * NS_PER_MS;
	f->silent = 2;
	one_run_of(&f->one, &ntp_probe, "host=127.0.0.1", f->port);
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	assert_true(one_run_value(&f->one, 0, NTP_LOST) == 2);
	assert_true(one_run_value(&f->one, 0, NTP_DELAY) < 0.1);
	assert_true(f->cookies[0] != f->cookies[1] && f->cookies[1] != f->cookies[2] && f->cookies[0] != f->cookies[2]);
	f->silent = 1000;
	one_run_of(&f->one, &ntp_probe, "host=127.0.0.1", f->port);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: no answer to 3 queries within 300ms");
	assert_true(one_run_value(&f->one, 0, NTP_LOST) == 3);
}

static void forged_and_reflected_packets_are_counted_out(void **state)
{
	struct fixture *f = *state;

	f->forges = f->reflects = true;
	one_run_of(&f->one, &ntp_probe, "host=127.0.0.1", f->port);
	assert_lines(&f->one, "IPv4 127.0.0.1 up");
	assert_true(one_run_value(&f->one, 0, NTP_FOREIGN) == 3);
}

static void a_server_that_is_not_synchronised_is_down(void **state)
{
	struct fixture *f = *state;

	f->leap = 3;
	f->stratum = 0;
	one_run_of(&f->one, &ntp_probe, "host=127.0.0.1", f->port);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: not synchronised (leap indicator 3, stratum 0)");
	assert_true(one_run_value(&f->one, 0, NTP_LEAP) == 3);
	f->stratum = 2;
	one_run_of(&f->one, &ntp_probe, "host=127.0.0.1", f->port);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: not synchronised (leap indicator 3, stratum 2)");
	f->leap = 0;
	f->stratum = 16;
	one_run_of(&f->one, &ntp_probe, "host=127.0.0.1", f->port);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: not synchronised (leap indicator 0, stratum 16)");
	f->stratum = 3;
	one_run_of(&f->one, &ntp_probe, "host=127.0.0.1", f->port, "stratum_max=2");
	assert_lines(&f->one, "IPv4 127.0.0.1 down: stratum 3, expected at most 2");
	f->root_dispersion = 20;
	one_run_of(&f->one, &ntp_probe, "host=127.0.0.1", f->port);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: not synchronised: root distance 20.0 s");
}

static void a_kiss_of_death_is_told_by_its_code(void **state)
{
	struct fixture *f = *state;

	f->stratum = 0;
	f->leap = 3;
	strcpy(f->id, "DENY");
	one_run_of(&f->one, &ntp_probe, "host=127.0.0.1", f->port);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: kiss-o'-death DENY: access denied");
	strcpy(f->id, "RATE");
	one_run_of(&f->one, &ntp_probe, "host=127.0.0.1", f->port);
	assert_lines(&f->one, "IPv4 127.0.0.1 unknown: kiss-o'-death RATE: it wants fewer queries");
	strcpy(f->id, "QQQQ");
	one_run_of(&f->one, &ntp_probe, "host=127.0.0.1", f->port);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: kiss-o'-death QQQQ");
	assert_true(isnan(one_run_value(&f->one, 0, NTP_OFFSET)));
}

static void a_closed_port_is_down_at_once(void **state)
{
	struct fixture *f = *state;
	int fd = udp_bind(AF_INET, 0);
	struct sockaddr_in at;
	socklen_t len = sizeof at;
	char port[32];

	getsockname(fd, (struct sockaddr *)&at, &len);
	close(fd);
	snprintf(port, sizeof port, "port=%u", ntohs(at.sin_port));
	one_run_of(&f->one, &ntp_probe, "host=127.0.0.1", port);
	assert_lines(&f->one, "IPv4 127.0.0.1 down: port unreachable");
}

static void nothing_is_held_after_a_cancel(void **state)
{
	struct fixture *f = *state;
	const char *const texts[] = {"host=localhost", f->port, NULL};

	f->silent = 1000;
	for (int steps = 0; steps < 6; steps++) {
		struct run_group *g = one_run_begin(&f->one, &ntp_probe, texts);

		for (int i = 0; i < steps; i++)
			event_base_loop(f->one.base, EVLOOP_NONBLOCK);
		run_group_cancel(g);
		assert_false(f->one.done);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(a_server_is_up_with_its_values_in_both_families),
		TEST(cookies_differ_and_a_lost_query_is_not_down),
		TEST(forged_and_reflected_packets_are_counted_out),
		TEST(a_server_that_is_not_synchronised_is_down),
		TEST(a_kiss_of_death_is_told_by_its_code),
		TEST(a_closed_port_is_down_at_once),
		TEST(nothing_is_held_after_a_cancel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
