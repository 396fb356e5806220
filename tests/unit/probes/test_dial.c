#include "probes/dial.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <arpa/inet.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "lib/mem.h"

/* A dial that is waited for. */
struct dialled {
	struct event_base *base;
	unsigned ends;
	struct dial_end end;
};

static void on_end(void *ctx, const struct dial_end *end)
{
	struct dialled *d = ctx;

	d->ends++;
	d->end = *end;
	event_base_loopbreak(d->base);
}

static socklen_t address_of(const char *text, struct sockaddr_storage *out)
{
	struct sockaddr_in6 *six = (struct sockaddr_in6 *)out;
	struct sockaddr_in *four = (struct sockaddr_in *)out;

	memset(out, 0, sizeof *out);
	if (inet_pton(AF_INET6, text, &six->sin6_addr) == 1) {
		six->sin6_family = AF_INET6;
		return sizeof *six;
	}
	assert_int_equal(inet_pton(AF_INET, text, &four->sin_addr), 1);
	four->sin_family = AF_INET;
	return sizeof *four;
}

/* Dials and waits for the end, 10 s at most. */
static struct dial_end dial(const char *text, uint16_t port)
{
	struct timeval limit = {10, 0};
	struct dialled d = {.base = event_base_new()};
	struct sockaddr_storage to;
	socklen_t len = address_of(text, &to);

	dial_start(d.base, (struct sockaddr *)&to, len, port, on_end, &d);
	assert_int_equal(d.ends, 0);
	event_base_loopexit(d.base, &limit);
	event_base_dispatch(d.base);
	assert_int_equal(d.ends, 1);
	event_base_free(d.base);
	return d.end;
}

/* A listener of the address; *port says which. */
static int listener(const char *text, uint16_t *port)
{
	struct sockaddr_storage at;
	socklen_t len = address_of(text, &at);
	int fd = socket(at.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(fd, 16), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	*port = ntohs(at.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&at)->sin6_port
					       : ((struct sockaddr_in *)&at)->sin_port);
	return fd;
}

static const char *const loopbacks[] = {"127.0.0.1", "::1"};

static void a_listener_is_reached_in_both_families(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		uint16_t port;
		int server = listener(loopbacks[i], &port);
		struct dial_end end = dial(loopbacks[i], port);

		assert_int_equal(end.error, 0);
		assert_false(end.ours);
		assert_true(end.fd >= 0);
		assert_true(end.elapsed > 0 && end.elapsed < NS_PER_S);
		assert_int_equal(fcntl(end.fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
		assert_int_equal(fcntl(end.fd, F_GETFD), FD_CLOEXEC);
		assert_int_equal(send(end.fd, "x", 1, 0), 1);
		close(end.fd);
		close(server);
	}
}

static void a_closed_port_is_the_targets_refusal(void **state)
{
	(void)state;
	for (size_t i = 0; i < 2; i++) {
		uint16_t port;
		struct dial_end end;

		close(listener(loopbacks[i], &port));
		end = dial(loopbacks[i], port);
		assert_int_equal(end.error, ECONNREFUSED);
		assert_false(end.ours);
		assert_int_equal(end.fd, -1);
		assert_string_equal(dial_reason(&end), "connection refused");
	}
}

static void an_ipv6_socket_never_speaks_ipv4(void **state)
{
	uint16_t port;
	int server = listener("127.0.0.1", &port);
	struct dial_end end = dial("::ffff:127.0.0.1", port);

	(void)state;
	assert_int_equal(end.fd, -1);
	assert_true(end.ours);
	close(server);
}

static void a_stopped_dial_says_nothing_and_closes(void **state)
{
	struct dialled d = {.base = event_base_new()};
	struct sockaddr_storage to;
	uint16_t port;
	int server = listener("127.0.0.1", &port), lowest = dup(server);
	socklen_t len = address_of("127.0.0.1", &to);

	(void)state;
	close(lowest);
	dial_stop(dial_start(d.base, (struct sockaddr *)&to, len, port, on_end, &d));
	event_base_dispatch(d.base);
	assert_int_equal(d.ends, 0);
	assert_int_equal(dup(server), lowest);
	close(lowest);
	close(server);
	event_base_free(d.base);
	dial_stop(NULL);
}

static void no_descriptor_left_is_our_own_failure(void **state)
{
	struct rlimit old, tight;
	struct dialled d = {.base = event_base_new()};
	struct sockaddr_storage to;
	socklen_t len = address_of("127.0.0.1", &to);

	(void)state;
	getrlimit(RLIMIT_NOFILE, &old);
	tight = (struct rlimit){3, old.rlim_max};
	setrlimit(RLIMIT_NOFILE, &tight);
	dial_start(d.base, (struct sockaddr *)&to, len, 9, on_end, &d);
	setrlimit(RLIMIT_NOFILE, &old);
	assert_int_equal(d.ends, 0);
	event_base_dispatch(d.base);
	assert_int_equal(d.ends, 1);
	assert_int_equal(d.end.error, EMFILE);
	assert_true(d.end.ours);
	event_base_free(d.base);
}

/* ---- a network of our own: this process, and a router that refuses in several ways */

static char router[32];

static int shell(const char *format, ...)
{
	char command[512];
	va_list ap;

	va_start(ap, format);
	vsnprintf(command, sizeof command, format, ap);
	va_end(ap);
	return system(command);
}

static int enter_network(void **state)
{
	(void)state;
	snprintf(router, sizeof router, "xj-dial-%d", (int)getpid());
	if (unshare(CLONE_NEWNET) < 0 || shell("ip netns add %s", router) != 0) {
		router[0] = '\0';
		return 0;
	}
	return shell("set -e; R='ip -n %s'\n"
		"ip link set lo up; ip link add r0 type veth peer name r1 netns %s\n"
		"ip addr add 10.9.0.1/24 dev r0; ip -6 addr add 2001:db8:9::1/64 dev r0 nodad\n"
		"ip link set r0 up; $R link set lo up\n"
		"$R addr add 10.9.0.2/24 dev r1; $R -6 addr add 2001:db8:9::2/64 dev r1 nodad\n"
		"$R link set r1 up\n"
		"ip netns exec %s sh -c 'echo 1 >/proc/sys/net/ipv4/ip_forward;"
		" echo 1 >/proc/sys/net/ipv6/conf/all/forwarding'\n",
		router, router, router) == 0 &&
			shell("set -e; R='ip -n %s'\n"
			"ip route add 10.10.0.0/16 via 10.9.0.2\n"
			"ip -6 route add 2001:db8:10::/48 via 2001:db8:9::2\n"
			"$R route add unreachable 10.10.1.0/24; $R route add prohibit 10.10.2.0/24\n"
			"$R -6 route add unreachable 2001:db8:10:1::/64\n"
			"$R -6 route add prohibit 2001:db8:10:2::/64\n"
			"ip route add unreachable 10.11.1.0/24; ip route add prohibit 10.11.2.0/24\n"
			"ip -6 route add unreachable 2001:db8:11:1::/64\n"
			"ip -6 route add prohibit 2001:db8:11:2::/64\n",
			router) == 0 ? 0 : -1;
}

static int leave_network(void **state)
{
	(void)state;
	if (router[0] != '\0')
		shell("ip netns del %s", router);
	return 0;
}

struct refusal {
	const char *address;
	int error;
	bool ours;
};

static void check_refusals(const struct refusal *rows, size_t count)
{
	if (router[0] == '\0') {
		print_message("no network namespaces here\n");
		skip();
	}
	for (size_t i = 0; i < count; i++) {
		struct dial_end end = dial(rows[i].address, 80);
		struct sockaddr_storage to;
		const char *no_way = dial_no_way((struct sockaddr *)&to, address_of(rows[i].address, &to));

		print_message("%s: %s\n", rows[i].address, dial_reason(&end));
		assert_int_equal(end.error, rows[i].error);
		assert_int_equal(end.ours, rows[i].ours);
		if (end.ours)
			assert_string_equal(no_way, dial_reason(&end));
		else
			assert_null(no_way);
	}
}

static void what_our_own_routes_refuse_is_ours(void **state)
{
	static const struct refusal rows[] = {
		{"192.0.2.1", ENETUNREACH, true}, {"2001:db8::1", ENETUNREACH, true},
		{"10.11.1.1", EHOSTUNREACH, true}, {"2001:db8:11:1::1", EHOSTUNREACH, true},
		{"10.11.2.1", EACCES, true}, {"2001:db8:11:2::1", EACCES, true},
	};

	(void)state;
	check_refusals(rows, sizeof rows / sizeof *rows);
}

static void what_a_router_says_is_the_targets(void **state)
{
	static const struct refusal rows[] = {
		{"10.10.1.1", EHOSTUNREACH, false}, {"2001:db8:10:1::1", ENETUNREACH, false},
		{"10.10.2.1", EHOSTUNREACH, false}, {"2001:db8:10:2::1", EACCES, false},
		{"10.10.3.1", ENETUNREACH, false}, {"2001:db8:10:3::1", ENETUNREACH, false},
	};

	(void)state;
	check_refusals(rows, sizeof rows / sizeof *rows);
}

static void a_neighbour_that_is_not_there_is_the_targets(void **state)
{
	static const struct refusal rows[] = {
		{"10.9.0.77", EHOSTUNREACH, false}, {"2001:db8:9::77", EHOSTUNREACH, false}};

	(void)state;
	check_refusals(rows, sizeof rows / sizeof *rows);
}

/* Only IPv4 is configured: the usual reason why IPv6 cannot be measured. */
static void a_family_without_address_is_ours(void **state)
{
	static const struct refusal rows[] = {{"2001:db8:9::2", ENETUNREACH, true}};

	(void)state;
	if (router[0] == '\0')
		skip();
	assert_int_equal(shell("ip -6 addr flush dev r0"), 0);
	check_refusals(rows, 1);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_listener_is_reached_in_both_families),
		cmocka_unit_test(a_closed_port_is_the_targets_refusal),
		cmocka_unit_test(an_ipv6_socket_never_speaks_ipv4),
		cmocka_unit_test(a_stopped_dial_says_nothing_and_closes),
		cmocka_unit_test(no_descriptor_left_is_our_own_failure),
		cmocka_unit_test(what_our_own_routes_refuse_is_ours),
		cmocka_unit_test(what_a_router_says_is_the_targets),
		cmocka_unit_test(a_neighbour_that_is_not_there_is_the_targets),
		cmocka_unit_test(a_family_without_address_is_ours),
	};

	return cmocka_run_group_tests(tests, enter_network, leave_network);
}
