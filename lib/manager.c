#include "lib/manager.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/num.h"

/* A path, or a name of the abstract namespace that begins with '@'. */
static int connect_to(const char *name)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	size_t len = strlen(name);
	int fd;

	if ((name[0] != '/' && name[0] != '@') || len < 2 || len >= sizeof to.sun_path)
		return -1;
	memcpy(to.sun_path, name, len);
	if (name[0] == '@')
		to.sun_path[0] = '\0';
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0 && connect(fd, (struct sockaddr *)&to,
			(socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) != 0) {
		close(fd);
		return -1;
	}
	return fd;
}

static int64_t wanted_watchdog(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	int64_t n;
	struct err ignored;

	if (pid != NULL && (num_parse_int(pid, 1, INT32_MAX, &n, &ignored) < 0 || n != getpid()))
		return 0;
	if (usec == NULL || num_parse_int(usec, 1, INT64_C(1) << 50, &n, &ignored) < 0)
		return 0;
	return n * NS_PER_US;
}

void manager_open(struct manager *n)
{
	const char *name = getenv("NOTIFY_SOCKET");

	n->fd = name != NULL ? connect_to(name) : -1;
	n->watchdog = n->fd >= 0 ? wanted_watchdog() : 0;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void manager_close(struct manager *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}

/* Nobody has to be there to hear it. */
static void tell(const struct manager *n, const char *words)
{
	if (n->fd >= 0)
		(void)!send(n->fd, words, strlen(words), MSG_NOSIGNAL);
}

void manager_ready(const struct manager *n)
{
	tell(n, "READY=1");
}

/* The service manager compares with CLOCK_MONOTONIC, which stands still in suspend, unlike clock_mono. */
void manager_reloading(const struct manager *n)
{
	struct timespec ts;
	char words[80];

	clock_gettime(CLOCK_MONOTONIC, &ts);
	snprintf(words, sizeof words, "RELOADING=1\nMONOTONIC_USEC=%lld",
		(long long)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
	tell(n, words);
}

void manager_stopping(const struct manager *n)
{
	tell(n, "STOPPING=1");
}

void manager_alive(const struct manager *n)
{
	tell(n, "WATCHDOG=1");
}
