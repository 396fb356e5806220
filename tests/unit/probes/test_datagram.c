#include "probes/datagram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>

#include "lib/clock.h"
#include "lib/mem.h"
#include "tests/unit/probes/udp_server.h"

struct fixture {
	struct event_base *base;
	struct udp_server server;
	struct datagram *datagram;
	struct datagram_pool *pool; /* NULL: without */
	unsigned packets, errors;
	int error;
	bool closes; /* from inside the callback */
	struct datagram_packet last;
	char text[16]; /* of it */
	char answer[16];
};

static void on_query(void *ctx, const uint8_t *data, size_t len)
{
	struct fixture *f = ctx;

	(void)data, (void)len;
	udp_server_reply(&f->server, f->answer, strlen(f->answer));
}

static void ended(struct fixture *f)
{
	if (f->closes) {
		datagram_close(f->datagram);
		f->datagram = NULL;
	}
}

static void on_packet(void *ctx, const struct datagram_packet *p)
{
	struct fixture *f = ctx;

	f->packets++;
	f->last = *p;
	snprintf(f->text, sizeof f->text, "%.*s", (int)p->len, (const char *)p->data);
	ended(f);
}

static void on_error(void *ctx, int error)
{
	struct fixture *f = ctx;

	f->errors++;
	f->error = error;
	ended(f);
}

static int setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof *f);

	f->base = event_base_new();
	while (!udp_server_try(&f->server, 0))
		;
	udp_server_start(&f->server, f->base, on_query, f);
	strcpy(f->answer, "answer");
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	datagram_close(f->datagram);
	if (f->pool != NULL)
		datagram_pool_free(f->pool);
	udp_server_close(&f->server);
	event_base_free(f->base);
	free(f);
	return 0;
}

static int try_open(struct fixture *f, const char *address, uint16_t port)
{
	struct datagram_events events = {.on_packet = on_packet, .on_error = on_error, .ctx = f};
	struct sockaddr_in6 six = {.sin6_family = AF_INET6};
	struct sockaddr_in four = {.sin_family = AF_INET};
	bool is_six = inet_pton(AF_INET6, address, &six.sin6_addr) == 1;
	const struct sockaddr *to = is_six ? (struct sockaddr *)&six : (struct sockaddr *)&four;
	socklen_t len = is_six ? sizeof six : sizeof four;
	int error;

	assert_true(is_six || inet_pton(AF_INET, address, &four.sin_addr) == 1);
	if (f->pool != NULL)
		f->datagram = datagram_take(f->pool, to, len, port, &events, &error);
	else
		f->datagram = datagram_open(f->base, to, len, port, &events, &error);
	return error;
}

static void loop_until(struct fixture *f, const unsigned *count)
{
	while (*count == 0)
		event_base_loop(f->base, EVLOOP_ONCE);
}

static void an_answer_comes_with_its_times_in_both_families(void **state)
{
	static const char *const addresses[] = {"127.0.0.1", "::1"};
	struct fixture *f = *state;

	for (int i = 0; i < 2; i++) {
		int64_t real = clock_real(), mono = clock_mono();

		f->packets = 0;
		assert_int_equal(try_open(f, addresses[i], f->server.port), 0);
		assert_int_equal(datagram_send(f->datagram, "query", 5), 0);
		loop_until(f, &f->packets);
		assert_int_equal(f->last.len, 6);
		assert_in_range(f->last.real, real, clock_real());
		assert_in_range(f->last.mono, mono, clock_mono());
		datagram_close(f->datagram);
		f->datagram = NULL;
	}
}

/* Sends, and is busy while the answer waits in the buffer; how long after the beginning of that it came, by its stamp. */
static int64_t wait_in_buffer(struct fixture *f)
{
	int64_t before;

	f->packets = f->server.received = 0;
	datagram_send(f->datagram, "query", 5);
	loop_until(f, &f->server.received);
	before = clock_mono();
	while (clock_mono() - before < 100 * NS_PER_MS)
		;
	if (f->packets == 0)
		loop_until(f, &f->packets);
	return f->last.mono - before;
}

/* A loaded kernel may bring an answer late, once or twice; the time of reading would be late each time. */
static void the_time_in_our_own_buffer_does_not_count(void **state)
{
	struct fixture *f = *state;
	int64_t late;
	int tries = 0;

	assert_int_equal(try_open(f, "127.0.0.1", f->server.port), 0);
	do {
		late = wait_in_buffer(f);
	} while (late >= 50 * NS_PER_MS && ++tries < 10);
	assert_true(late < 50 * NS_PER_MS);
	assert_true(f->last.real < clock_real() - 50 * NS_PER_MS);
}

/* Told once, and the descriptor is quiet afterwards, although the kernel keeps what ICMP said in a queue. */
static void a_closed_port_is_told_once(void **state)
{
	static const char *const addresses[] = {"127.0.0.1", "::1"};
	struct fixture *f = *state;

	for (int i = 0; i < 2; i++) {
		f->errors = 0;
		assert_int_equal(try_open(f, addresses[i], 1), 0);
		assert_int_equal(datagram_send(f->datagram, "query", 5), 0);
		loop_until(f, &f->errors);
		assert_int_equal(f->error, ECONNREFUSED);
		assert_string_equal(datagram_error_words(f->error), "port unreachable");
		assert_int_equal(event_base_loop(f->base, EVLOOP_NONBLOCK), 0);
		assert_int_equal(event_base_loop(f->base, EVLOOP_NONBLOCK), 0);
		assert_int_equal(f->errors, 1);
		datagram_close(f->datagram);
		f->datagram = NULL;
	}
}

static void an_error_of_before_does_not_stop_sending(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(try_open(f, "127.0.0.1", 1), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(datagram_send(f->datagram, "query", 5), 0);
	loop_until(f, &f->errors);
	assert_int_equal(f->error, ECONNREFUSED);
}

static void strangers_are_not_heard(void **state)
{
	struct fixture *f = *state;
	int other = udp_bind(AF_INET, 0);

	assert_int_equal(try_open(f, "127.0.0.1", f->server.port), 0);
	datagram_send(f->datagram, "query", 5);
	loop_until(f, &f->packets);
	assert_int_equal(sendto(other, "forged", 6, 0, (struct sockaddr *)&f->server.from, f->server.from_len), 6);
	datagram_send(f->datagram, "query", 5);
	while (f->packets < 2 || f->server.received < 2)
		event_base_loop(f->base, EVLOOP_ONCE);
	close(other);
	assert_int_equal(f->packets, 2);
	assert_int_equal(f->errors, 0);
}

static void it_may_be_closed_from_inside_its_callbacks(void **state)
{
	struct fixture *f = *state;

	f->closes = true;
	try_open(f, "127.0.0.1", f->server.port);
	datagram_send(f->datagram, "query", 5);
	loop_until(f, &f->packets);
	assert_null(f->datagram);
	try_open(f, "::1", 1);
	datagram_send(f->datagram, "query", 5);
	loop_until(f, &f->errors);
	assert_null(f->datagram);
}

static void what_this_host_cannot_reach_is_its_own_fault(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(try_open(f, "255.255.255.255", 53), EACCES); /* a broadcast, which nobody asked for */
	assert_null(f->datagram);
	assert_string_equal(datagram_refusal_words(ENETUNREACH), "this host has no route to it");
}

static uint16_t server_saw_port(const struct fixture *f)
{
	return f->server.from.ss_family == AF_INET6 ? ((const struct sockaddr_in6 *)&f->server.from)->sin6_port
		: ((const struct sockaddr_in *)&f->server.from)->sin_port;
}

static void close_it(struct fixture *f)
{
	datagram_close(f->datagram);
	f->datagram = NULL;
}

/* A use of which nothing is left; the port that the server saw. */
static uint16_t ask_once(struct fixture *f, const char *address)
{
	f->packets = 0;
	assert_int_equal(try_open(f, address, f->server.port), 0);
	assert_int_equal(datagram_send(f->datagram, "query", 5), 0);
	loop_until(f, &f->packets);
	assert_int_equal(f->packets, 1);
	assert_string_equal(f->text, f->answer);
	close_it(f);
	return server_saw_port(f);
}

/* Ports that differ from the one before, of so many uses one after the other in each family. */
static unsigned ports_of(struct fixture *f, int uses)
{
	unsigned count = 0;

	for (int family = 0; family < 2; family++) {
		uint16_t before = 0;
		int fd = -1;

		for (int i = 0; i < uses; i++) {
			uint16_t port = ask_once(f, family == 0 ? "127.0.0.1" : "::1");

			count += port != before;
			before = port;
			assert_int_equal(try_open(f, family == 0 ? "127.0.0.1" : "::1", 9), 0); /* which takes the socket */
			assert_true(i == 0 || datagram_fd(f->datagram) == fd);
			fd = datagram_fd(f->datagram);
			close_it(f);
		}
	}
	return count;
}

/* One in 28,000 is drawn twice. */
static void a_socket_of_the_pool_has_another_port_for_another_peer(void **state)
{
	struct fixture *f = *state;

	f->pool = datagram_pool_new(f->base, INT64_MAX);
	assert_in_range(ports_of(f, 20), 36, 40);
}

static void a_port_serves_one_peer_so_many_times(void **state)
{
	struct fixture *f = *state;
	unsigned count = 0;

	f->pool = datagram_pool_new(f->base, INT64_MAX);
	for (int i = 0; i < 20 * DATAGRAM_PORT_USES; i++) {
		const char *address = i < 10 * DATAGRAM_PORT_USES ? "127.0.0.1" : "::1";
		uint16_t before = server_saw_port(f), port = ask_once(f, address);

		if (i % DATAGRAM_PORT_USES != 0)
			assert_int_equal(port, before);
		count += port != before;
	}
	assert_in_range(count, 16, 20);
}

static void a_port_lives_as_long_as_the_pool_says(void **state)
{
	struct fixture *f = *state;
	unsigned count = 0;

	f->pool = datagram_pool_new(f->base, 1);
	for (int i = 0; i < 20; i++) {
		uint16_t before = server_saw_port(f);

		count += ask_once(f, "127.0.0.1") != before;
	}
	assert_in_range(count, 16, 20);
}

static void the_server_says(struct fixture *f, const char *text)
{
	strcpy(f->answer, text);
	udp_server_reply(&f->server, text, strlen(text));
}

/* Once before the loop sees it, and once after. */
static void what_comes_late_is_not_heard_by_the_next(void **state)
{
	static const char *const addresses[] = {"127.0.0.1", "::1"};
	struct fixture *f = *state;

	f->pool = datagram_pool_new(f->base, INT64_MAX);
	for (int i = 0; i < 4; i++) {
		strcpy(f->answer, "new");
		ask_once(f, addresses[i / 2]);
		the_server_says(f, "late");
		if (i % 2 == 0)
			assert_int_equal(event_base_loop(f->base, EVLOOP_NONBLOCK), 0);
		assert_int_equal(f->packets, 1);
		strcpy(f->answer, "new");
		ask_once(f, addresses[i / 2]);
	}
}

static void a_use_without_all_its_answers_ends_the_socket(void **state)
{
	struct fixture *f = *state;
	uint16_t port;
	int fd;

	f->pool = datagram_pool_new(f->base, INT64_MAX);
	port = ask_once(f, "127.0.0.1");
	assert_int_equal(try_open(f, "127.0.0.1", f->server.port), 0);
	fd = datagram_fd(f->datagram);
	f->packets = 0;
	for (int i = 0; i < 3; i++)
		assert_int_equal(datagram_send(f->datagram, "query", 5), 0);
	loop_until(f, &f->packets);
	assert_int_equal(server_saw_port(f), port);
	close_it(f);
	assert_true(fcntl(fd, F_GETFD) < 0);
}

/* As when the address is gone that it was connected from. */
static void a_kept_port_that_cannot_send_is_drawn_again(void **state)
{
	const struct sockaddr nobody = {.sa_family = AF_UNSPEC};
	struct fixture *f = *state;

	f->pool = datagram_pool_new(f->base, INT64_MAX);
	ask_once(f, "127.0.0.1");
	assert_int_equal(try_open(f, "127.0.0.1", f->server.port), 0);
	assert_int_equal(connect(datagram_fd(f->datagram), &nobody, sizeof nobody), 0);
	f->packets = 0;
	assert_int_equal(datagram_send(f->datagram, "query", 5), 0);
	loop_until(f, &f->packets);
}

static void an_error_does_not_stay_in_the_pool(void **state)
{
	struct fixture *f = *state;

	f->pool = datagram_pool_new(f->base, INT64_MAX);
	assert_int_equal(try_open(f, "127.0.0.1", 1), 0);
	datagram_send(f->datagram, "query", 5); /* what ICMP says of it is in the queue when it is closed */
	datagram_close(f->datagram);
	assert_int_equal(try_open(f, "127.0.0.1", f->server.port), 0);
	datagram_send(f->datagram, "query", 5);
	loop_until(f, &f->packets);
	assert_int_equal(f->errors, 0);
	f->closes = true; /* and from inside */
	f->packets = 0;
	datagram_send(f->datagram, "query", 5);
	loop_until(f, &f->packets);
	assert_null(f->datagram);
	assert_int_equal(try_open(f, "::1", 1), 0);
	datagram_send(f->datagram, "query", 5);
	loop_until(f, &f->errors);
	assert_int_equal(f->error, ECONNREFUSED);
	assert_null(f->datagram);
}

static void the_pool_keeps_no_more_than_it_may(void **state)
{
	struct fixture *f = *state;
	struct datagram *all[DATAGRAM_POOL_MAX + 10];
	const size_t n = sizeof all / sizeof *all;

	f->pool = datagram_pool_new(f->base, INT64_MAX);
	for (size_t i = 0; i < n; i++) {
		assert_int_equal(try_open(f, i % 2 == 0 ? "127.0.0.1" : "::1", 9), 0);
		all[i] = f->datagram;
	}
	f->datagram = NULL;
	for (size_t i = 0; i < n; i++) {
		int fd = datagram_fd(all[i]);

		datagram_close(all[i]);
		assert_true((fcntl(fd, F_GETFD) >= 0) == (i < DATAGRAM_POOL_MAX));
	}
}

/* The address that the socket asks from. */
static const char *own_address(const struct fixture *f, char text[INET6_ADDRSTRLEN])
{
	struct sockaddr_in6 own;
	socklen_t len = sizeof own;

	assert_int_equal(getsockname(datagram_fd(f->datagram), (struct sockaddr *)&own, &len), 0);
	return inet_ntop(AF_INET6, &own.sin6_addr, text, INET6_ADDRSTRLEN);
}

/* Over IPv6 the kernel would send on from an address that nobody can answer to. */
static void asked_again_it_has_an_address_of_this_host(void **state)
{
	struct fixture *f = *state;
	int outside = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	char text[INET6_ADDRSTRLEN];

	if (unshare(CLONE_NEWNET) < 0) {
		close(outside);
		skip();
	}
	assert_int_equal(system("ip link add d0 type veth peer name d1 && ip link set d0 up && ip link set d1 up &&"
		" ip -6 addr add 2001:db8::3/64 dev d0 nodad"), 0);
	f->pool = datagram_pool_new(f->base, INT64_MAX);
	assert_int_equal(try_open(f, "2001:db8::2", 53), 0);
	assert_string_equal(own_address(f, text), "2001:db8::3");
	datagram_close(f->datagram);
	assert_int_equal(try_open(f, "2001:db8::2", 53), 0);
	assert_int_equal(system("ip -6 addr add 2001:db8::4/64 dev d0 nodad && ip -6 addr del 2001:db8::3/64 dev d0"), 0);
	assert_int_equal(datagram_send(f->datagram, "x", 1), 0);
	assert_string_equal(own_address(f, text), "2001:db8::3");
	assert_int_equal(datagram_send(f->datagram, "x", 1), 0);
	assert_string_equal(own_address(f, text), "2001:db8::4");
	assert_int_equal(setns(outside, CLONE_NEWNET), 0);
	close(outside);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST(an_answer_comes_with_its_times_in_both_families),
		TEST(the_time_in_our_own_buffer_does_not_count),
		TEST(a_closed_port_is_told_once),
		TEST(an_error_of_before_does_not_stop_sending),
		TEST(strangers_are_not_heard),
		TEST(it_may_be_closed_from_inside_its_callbacks),
		TEST(a_socket_of_the_pool_has_another_port_for_another_peer),
		TEST(a_port_serves_one_peer_so_many_times),
		TEST(a_port_lives_as_long_as_the_pool_says),
		TEST(what_comes_late_is_not_heard_by_the_next),
		TEST(a_use_without_all_its_answers_ends_the_socket),
		TEST(a_kept_port_that_cannot_send_is_drawn_again),
		TEST(an_error_does_not_stay_in_the_pool),
		TEST(the_pool_keeps_no_more_than_it_may),
		TEST(what_this_host_cannot_reach_is_its_own_fault),
		TEST(asked_again_it_has_an_address_of_this_host),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
