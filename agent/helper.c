#include "agent/helper.h"

#include <errno.h>
#include <event2/event.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent/confine.h"
#include "lib/err.h"
#include "lib/ipc.h"
#include "lib/log.h"
#include "lib/mem.h"

enum message { MESSAGE_OPEN_ICMP = 1, MESSAGE_SOCKET, MESSAGE_FAILED };

struct helper {
	pid_t pid;
	struct ipc *channel; /* NULL once it is gone */
	uint32_t asked;      /* id of the last question */
	struct event *readable;
	void (*on_gone)(void *, const char *);
	void *ctx;
};

/* ---- in the helper */

static int open_icmp(enum family family, int kind)
{
	bool is_v4 = family == FAMILY_V4;

	return socket(is_v4 ? AF_INET : AF_INET6, kind | SOCK_CLOEXEC | SOCK_NONBLOCK,
		is_v4 ? (int)IPPROTO_ICMP : (int)IPPROTO_ICMPV6);
}

static int open_best(enum family family, struct err *e)
{
	int fd = open_icmp(family, SOCK_RAW);

	if (fd >= 0)
		return fd;
	if (errno != EPERM && errno != EACCES)
		return err_errno(e, "no %s ICMP socket", family_name(family));
	fd = open_icmp(family, SOCK_DGRAM);
	if (fd >= 0)
		return fd;
	if (errno != EPERM && errno != EACCES)
		return err_errno(e, "no %s ICMP socket", family_name(family));
	return err_set(e, "no rights for ICMP: start as root or with CAP_NET_RAW, or let "
		"net.ipv4.ping_group_range hold our group");
}

/* -1: the engine has broken the rules or is gone. */
static int answer(struct ipc *channel, const struct ipc_message *m)
{
	struct err e, ignored;
	int fd, status;

	if (m->fd >= 0)
		close(m->fd);
	if (m->fd >= 0 || m->type != MESSAGE_OPEN_ICMP || m->len != 1 ||
		(m->body[0] != FAMILY_V4 && m->body[0] != FAMILY_V6))
		return -1;
	fd = open_best((enum family)m->body[0], &e);
	if (fd < 0)
		return ipc_send_wait(channel, MESSAGE_FAILED, m->id, e.text, strlen(e.text), -1, &ignored);
	status = ipc_send_wait(channel, MESSAGE_SOCKET, m->id, NULL, 0, fd, &ignored);
	close(fd);
	return status;
}

void helper_serve(int fd)
{
	struct ipc *channel = ipc_new(fd);
	struct ipc_message m;
	struct err e;

	while (ipc_receive(channel, &m, -1, &e) == 0 && answer(channel, &m) == 0)
		;
	ipc_free(channel);
}

static void helper_main(int fd)
{
	struct err e;

	prctl(PR_SET_NAME, "xj-helper");
	/* A terminal's Ctrl-C reaches the whole group; the helper ends when its channel does. */
	signal(SIGINT, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	signal(SIGPIPE, SIG_IGN);
	if (confine_helper(&e) < 0) {
		log_error("the helper cannot begin: %s", e.text);
		_exit(1);
	}
	helper_serve(fd);
	_exit(0);
}

/* ---- in the engine */

struct helper *helper_start(struct err *e)
{
	struct helper *h;
	int fds[2];
	pid_t pid;

	if (ipc_pair(fds, e) < 0)
		return NULL;
	pid = fork();
	if (pid == 0) {
		close(fds[0]);
		helper_main(fds[1]);
	}
	close(fds[1]);
	if (pid < 0) {
		err_errno(e, "cannot fork the helper");
		close(fds[0]);
		return NULL;
	}
	h = mem_alloc(sizeof *h);
	h->pid = pid;
	h->channel = ipc_new(fds[0]);
	return h;
}

static void let_go(struct helper *h)
{
	if (h->readable != NULL)
		event_free(h->readable);
	h->readable = NULL;
	ipc_free(h->channel);
	h->channel = NULL;
	waitpid(h->pid, NULL, WNOHANG);
}

void helper_free(struct helper *h)
{
	if (h == NULL)
		return;
	let_go(h);
	free(h);
}

bool helper_is_there(const struct helper *h)
{
	return h->channel != NULL;
}

static void gone(struct helper *h, const char *why)
{
	void (*call)(void *, const char *) = h->on_gone;

	let_go(h);
	h->on_gone = NULL;
	if (call != NULL)
		call(h->ctx, why);
}

/* The helper speaks only when it is asked, and then the engine waits. */
static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd, (void)what;
	gone(ctx, "it has ended");
}

void helper_watch(struct helper *h, struct event_base *base, void (*on_gone)(void *ctx, const char *why),
	void *ctx)
{
	h->on_gone = on_gone;
	h->ctx = ctx;
	h->readable = event_new(base, ipc_fd(h->channel), EV_READ, on_readable, h);
	event_add(h->readable, NULL);
}

/* One question, one answer; -1: the channel is of no more use. */
static int ask(struct helper *h, enum family family, struct ipc_message *m, struct err *e)
{
	uint8_t body = (uint8_t)family;

	if (ipc_send_wait(h->channel, MESSAGE_OPEN_ICMP, ++h->asked, &body, 1, -1, e) < 0)
		return -1;
	if (ipc_receive(h->channel, m, HELPER_TIMEOUT, e) < 0)
		return -1;
	if (m->id == h->asked && m->type == MESSAGE_SOCKET && m->fd >= 0)
		return 0;
	if (m->id == h->asked && m->type == MESSAGE_FAILED && m->fd < 0)
		return 0;
	if (m->fd >= 0)
		close(m->fd);
	return err_set(e, "it broke the rules");
}

int helper_open_icmp(struct helper *h, enum family family, struct err *e)
{
	struct ipc_message m;

	if (h->channel == NULL)
		return err_set(e, "no %s ICMP socket: the helper process has ended", family_name(family));
	if (ask(h, family, &m, e) < 0) {
		gone(h, e->text);
		return err_wrap(e, "no %s ICMP socket: the helper process", family_name(family));
	}
	if (m.type == MESSAGE_FAILED)
		return err_set(e, "%.*s", (int)(m.len < 300 ? m.len : 300), (const char *)m.body);
	return m.fd;
}
