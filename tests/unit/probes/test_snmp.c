/* The type over a socket: what happens to datagrams. What is read and told of a device: test_snmp_device.c. */
#include "probes/snmp.h"

#include <arpa/inet.h>
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "probes/catalog_snmp.h"
#include "tests/unit/probes/one_run.h"

/* A device that has nothing: it answers with what it was asked. */
static struct fixture {
	struct one_run run;
	int fd;
	struct event *readable;
	char options[40];
	bool bulk;
	uint8_t repetitions[16]; /* that packets asked for */
	unsigned asked, lost, wrong; /* packets; of those it does not hear so many, and answers so many others wrongly first */
} f;

static void answer(const uint8_t *data, size_t len, const struct sockaddr_in *to)
{
	assert_int_equal(sendto(f.fd, data, len, 0, (const struct sockaddr *)to, sizeof *to), len);
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct sockaddr_in from;
	socklen_t from_len = sizeof from;
	uint8_t data[2000];
	ssize_t n = recvfrom(fd, data, sizeof data, 0, (struct sockaddr *)&from, &from_len);
	uint8_t *pdu, *id;

	(void)what, (void)ctx;
	assert_true(n > 0);
	pdu = memmem(data, (size_t)n, "public", 6);
	assert_non_null(pdu);
	pdu += 6;
	id = pdu + (pdu[1] > 0x7f ? 2 + (pdu[1] & 0x7f) : 2) + 2;
	assert_int_equal(*pdu, f.bulk ? 0xa5 : 0xa0);
	if (f.asked < sizeof f.repetitions)
		f.repetitions[f.asked] = id[15];
	if (f.asked++ < f.lost)
		return;
	*pdu = 0xa2;
	id[9] = id[15] = 0; /* status and index */
	for (unsigned i = 0; i < f.wrong; i++) {
		*id ^= 0x55;
		answer(data, (size_t)n, &from);
		*id ^= 0x55;
	}
	answer(data, (size_t)n, &from);
	answer(data, (size_t)n, &from); /* twice, as networks do */
}

static int begin(void **state)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;

	(void)state;
	memset(&f, 0, sizeof f);
	one_run_open(&f.run);
	f.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	assert_int_equal(bind(f.fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(getsockname(f.fd, (struct sockaddr *)&at, &len), 0);
	snprintf(f.options, sizeof f.options, "port=%u", ntohs(at.sin_port));
	f.readable = event_new(f.run.base, f.fd, EV_READ | EV_PERSIST, on_readable, NULL);
	event_add(f.readable, NULL);
	f.run.check = "s";
	f.run.families = RUN_V4;
	return 0;
}

static int end(void **state)
{
	(void)state;
	event_free(f.readable);
	close(f.fd);
	one_run_close(&f.run);
	return 0;
}

#define HAS_NOTHING "IPv4 127.0.0.1 unknown: noSuchObject: the device has no sysUpTime, or does not show it"
#define run_it(...) one_run_of(&f.run, &snmp_probe, "host=127.0.0.1", f.options, "community=public", "what=system", __VA_ARGS__)

static void a_request_that_was_lost_is_sent_again(void **state)
{
	(void)state;
	f.lost = 2;
	run_it("retry=100ms");
	assert_lines(&f.run, HAS_NOTHING);
	assert_true(one_run_value(&f.run, 0, SNMP_RETRANSMISSIONS) == 2);
	assert_true(one_run_value(&f.run, 0, SNMP_REQUESTS) == 1);
	assert_int_equal(f.asked, 3);
}

/* It may be that answers as long do not come through. */
static void what_is_lost_again_is_asked_for_smaller(void **state)
{
	(void)state;
	f.lost = 4;
	f.bulk = true;
	one_run_of(&f.run, &snmp_probe, "host=127.0.0.1", f.options, "community=public", "retry=100ms");
	assert_lines(&f.run, "IPv4 127.0.0.1 unknown: noSuchObject: the device has no IF-MIB, or does not show it");
	assert_true(f.asked >= 5);
	assert_memory_equal(f.repetitions, "\4\4\2\1\1", 5);
}

static void answers_to_other_requests_are_not_taken(void **state)
{
	(void)state;
	f.wrong = 3;
	run_it("retry=30s");
	assert_lines(&f.run, HAS_NOTHING);
	assert_true(one_run_value(&f.run, 0, SNMP_FOREIGN) == 3);
	assert_int_equal(f.asked, 1);
}

static void a_device_that_says_nothing_is_down(void **state)
{
	(void)state;
	f.lost = UINT32_MAX;
	f.run.timeout = 300 * NS_PER_MS;
	run_it("retry=100ms");
	assert_lines(&f.run, "IPv4 127.0.0.1 down: no answer within 300ms: the device is silent, or refuses the community");
}

static void a_closed_port_is_told(void **state)
{
	(void)state;
	event_del(f.readable);
	close(f.fd);
	run_it("retry=30s");
	assert_lines(&f.run, "IPv4 127.0.0.1 down: port unreachable");
	f.fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		CASE(a_request_that_was_lost_is_sent_again),
		CASE(what_is_lost_again_is_asked_for_smaller),
		CASE(answers_to_other_requests_are_not_taken),
		CASE(a_device_that_says_nothing_is_down),
		CASE(a_closed_port_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
