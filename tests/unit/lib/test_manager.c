#include "lib/manager.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/clock.h"

/* A service manager that listens under a name of the abstract namespace. */
static int listener(char name[64])
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	socklen_t len;

	len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 +
		(size_t)snprintf(a.sun_path + 1, 60, "xunjian-notify-%d", (int)getpid()));
	snprintf(name, 64, "@%.60s", a.sun_path + 1);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, len), 0);
	return fd;
}

static const char *heard(int fd, char out[256])
{
	ssize_t n = recv(fd, out, 255, MSG_DONTWAIT);

	out[n > 0 ? n : 0] = '\0';
	return out;
}

static void every_step_is_told(void **state)
{
	struct manager n;
	char name[64], text[256];
	int fd = listener(name);
	unsigned long long usec;
	struct timespec ts;

	(void)state;
	setenv("NOTIFY_SOCKET", name, 1);
	setenv("WATCHDOG_USEC", "30000000", 1);
	manager_open(&n);
	assert_int_equal(n.watchdog, 30 * NS_PER_S);
	assert_null(getenv("NOTIFY_SOCKET"));
	manager_ready(&n);
	assert_string_equal(heard(fd, text), "READY=1");
	manager_reloading(&n);
	assert_int_equal(sscanf(heard(fd, text), "RELOADING=1\nMONOTONIC_USEC=%llu", &usec), 1);
	clock_gettime(CLOCK_MONOTONIC, &ts);
	assert_in_range(usec, (uint64_t)ts.tv_sec * 1000000 - 5000000, (uint64_t)ts.tv_sec * 1000000 + 1000000);
	manager_alive(&n);
	assert_string_equal(heard(fd, text), "WATCHDOG=1");
	manager_stopping(&n);
	assert_string_equal(heard(fd, text), "STOPPING=1");
	manager_close(&n);
	close(fd);
}

static void the_watchdog_of_another_process_is_not_ours(void **state)
{
	struct manager n;
	char name[64];
	int fd = listener(name);

	(void)state;
	setenv("NOTIFY_SOCKET", name, 1);
	setenv("WATCHDOG_USEC", "30000000", 1);
	setenv("WATCHDOG_PID", "1", 1);
	manager_open(&n);
	assert_int_equal(n.watchdog, 0);
	manager_close(&n);
	close(fd);
}

static void without_a_listener_nothing_happens(void **state)
{
	const char *const names[] = {NULL, "", "@", "relative", "/proc/no/such/socket",
		"/a-name-that-is-longer-than-a-socket-address-may-be-0123456789012345678901234567890123456789"
		"0123456789"};

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct manager n;

		if (names[i] != NULL)
			setenv("NOTIFY_SOCKET", names[i], 1);
		manager_open(&n);
		assert_int_equal(n.fd, -1);
		manager_ready(&n);
		manager_close(&n);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_step_is_told),
		cmocka_unit_test(the_watchdog_of_another_process_is_not_ours),
		cmocka_unit_test(without_a_listener_nothing_happens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
