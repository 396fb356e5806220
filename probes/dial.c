#include "probes/dial.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/mem.h"

struct dial {
	struct event *event; /* the socket, or what ends a dial that failed at once */
	int fd;
	int refusal; /* errno of socket() or connect() itself, or 0 */
	int64_t began, ended;
	void (*on_end)(void *ctx, const struct dial_end *);
	void *ctx;
};

bool dial_error_is_ours(int error)
{
	switch (error) {
	case EMFILE:
	case ENFILE:
	case ENOBUFS:
	case ENOMEM:
	case EADDRNOTAVAIL: /* no source address of the family, or no port left */
	case EADDRINUSE:
	case EAFNOSUPPORT:
	case EPROTONOSUPPORT:
	case ENETDOWN:
	case ENODEV: /* a scope that is not there any more */
	case EPERM:  /* by our own firewall */
	case EINVAL:
	case EAGAIN:
		return true;
	default:
		return false;
	}
}

/* Of connect() itself also what otherwise an ICMP error says (connect(2), icmp_err_convert in the kernel). */
static bool refusal_is_ours(int error)
{
	return error == ENETUNREACH || error == EHOSTUNREACH || error == EACCES ||
		dial_error_is_ours(error);
}

const char *dial_reason(const struct dial_end *end)
{
	switch (end->error) {
	case ECONNREFUSED:
		return "connection refused";
	case ECONNRESET:
		return "connection reset by peer";
	case ETIMEDOUT:
		return "no answer to the connection attempt";
	case ENETUNREACH:
		return end->ours ? "this host has no route to it" : "network unreachable, says a router on the way";
	case EHOSTUNREACH:
		return end->ours ? "this host's routes call it unreachable" : "no route to host";
	case EACCES:
		return end->ours ? "this host's routes prohibit it" : "prohibited, says a router on the way";
	case EPERM:
		return "this host's firewall does not let it out";
	case EADDRNOTAVAIL:
		return "this host has no address or no port left for it";
	default:
		return strerror(end->error);
	}
}

const char *dial_no_way(const struct sockaddr *address, socklen_t len)
{
	int fd = socket(address->sa_family, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct dial_end end = {.fd = -1, .ours = true};

	if (fd < 0)
		return NULL;
	if (connect(fd, address, len) < 0)
		end.error = errno;
	close(fd);
	return refusal_is_ours(end.error) ? dial_reason(&end) : NULL;
}

/* The callee may start or stop other dials; this one is gone already. */
static void finish(struct dial *d, int error, bool ours)
{
	struct dial_end end = {
		.fd = error == 0 ? d->fd : -1, .elapsed = d->ended - d->began, .error = error, .ours = ours};
	void (*on_end)(void *ctx, const struct dial_end *) = d->on_end;
	void *ctx = d->ctx;

	if (error == 0)
		d->fd = -1;
	dial_stop(d);
	on_end(ctx, &end);
}

static void on_event(evutil_socket_t fd, short what, void *ctx)
{
	struct dial *d = ctx;
	socklen_t len = sizeof(int);
	int error = 0;

	(void)what;
	if (d->refusal != 0) {
		finish(d, d->refusal, refusal_is_ours(d->refusal));
		return;
	}
	d->ended = clock_mono();
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	finish(d, error, dial_error_is_ours(error));
}

static int open_socket(struct dial *d, int family)
{
	d->fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (d->fd < 0)
		return errno;
	if (family == AF_INET6 && setsockopt(d->fd, IPPROTO_IPV6, IPV6_V6ONLY, &(int){1}, sizeof(int)) < 0)
		return errno;
	return 0;
}

static int try_connect(struct dial *d, const struct sockaddr *address, socklen_t len, uint16_t port)
{
	struct sockaddr_storage to;
	int error = open_socket(d, address->sa_family);

	if (error != 0)
		return error;
	assert(len <= sizeof to);
	memcpy(&to, address, len);
	if (to.ss_family == AF_INET6)
		((struct sockaddr_in6 *)&to)->sin6_port = htons(port);
	else
		((struct sockaddr_in *)&to)->sin_port = htons(port);
	d->began = clock_mono();
	if (connect(d->fd, (struct sockaddr *)&to, len) < 0 && errno != EINPROGRESS)
		error = errno;
	d->ended = clock_mono();
	return error;
}

struct dial *dial_start(struct event_base *base, const struct sockaddr *address, socklen_t len, uint16_t port,
	void (*on_end)(void *ctx, const struct dial_end *), void *ctx)
{
	struct dial *d = mem_alloc(sizeof *d);

	*d = (struct dial){.fd = -1, .on_end = on_end, .ctx = ctx};
	d->refusal = try_connect(d, address, len, port);
	d->event = event_new(base, d->refusal == 0 ? d->fd : -1, d->refusal == 0 ? EV_WRITE : 0, on_event, d);
	assert(d->event != NULL);
	if (d->refusal == 0)
		event_add(d->event, NULL);
	else
		event_active(d->event, EV_TIMEOUT, 0);
	return d;
}

void dial_stop(struct dial *d)
{
	if (d == NULL)
		return;
	event_free(d->event);
	if (d->fd >= 0)
		close(d->fd);
	free(d);
}
