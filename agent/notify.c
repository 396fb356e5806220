#include "agent/notify.h"

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

void notify_open(struct notify *n)
{
	const char *name = getenv("NOTIFY_SOCKET");

	n->fd = name != NULL ? connect_to(name) : -1;
	n->watchdog = n->fd >= 0 ? wanted_watchdog() : 0;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void notify_close(struct notify *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}

/* Nobody has to be there to hear it. */
static void tell(const struct notify *n, const char *words)
{
	if (n->fd >= 0)
		(void)!send(n->fd, words, strlen(words), MSG_NOSIGNAL);
}

void notify_ready(const struct notify *n)
{
	tell(n, "READY=1");
}

/* The service manager compares with CLOCK_MONOTONIC, which stands still in suspend, unlike clock_mono. */
void notify_reloading(const struct notify *n)
{
	struct timespec ts;
	char words[80];

	clock_gettime(CLOCK_MONOTONIC, &ts);
	snprintf(words, sizeof words, "RELOADING=1\nMONOTONIC_USEC=%lld",
		(long long)ts.tv_sec * 1000000 + ts.tv_nsec / 1000);
	tell(n, words);
}

void notify_stopping(const struct notify *n)
{
	tell(n, "STOPPING=1");
}

void notify_alive(const struct notify *n)
{
	tell(n, "WATCHDOG=1");
}
