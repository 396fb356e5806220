#include "agent/helper.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "agent/confine.h"
#include "lib/err.h"
#include "lib/ipc.h"
#include "lib/log.h"
#include "lib/mem.h"

enum message { MESSAGE_OPEN_ICMP = 1, MESSAGE_SOCKET, MESSAGE_FAILED };

struct helper {
	struct keeper *keeper;
	uint32_t asked; /* id of the last question */
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

static void live(int fd, const void *ctx)
{
	struct err e;

	(void)ctx;
	if (confine_helper(&e) == 0)
		helper_serve(fd);
	else
		log_error("the helper cannot begin: %s", e.text);
}

/* ---- in the engine */

struct helper *helper_start(struct err *e)
{
	static const struct keeper_work work = {"xj-help-keeper", "xj-helper", confine_helper_keeper, live, NULL};
	struct helper *h = mem_alloc(sizeof *h);

	h->keeper = keeper_start(&work, e);
	if (h->keeper != NULL)
		return h;
	err_wrap(e, "the helper process");
	free(h);
	return NULL;
}

void helper_free(struct helper *h)
{
	if (h == NULL)
		return;
	keeper_free(h->keeper);
	free(h);
}

bool helper_is_there(const struct helper *h)
{
	return keeper_channel(h->keeper) != NULL;
}

void helper_watch(struct helper *h, struct event_base *base,
	void (*on_change)(void *ctx, enum keeper_change, const char *why), void *ctx)
{
	const struct keeper_events events = {NULL, on_change, ctx};

	keeper_watch(h->keeper, base, &events);
}

/* One question, one answer; -1: the channel is of no more use. */
static int ask(struct helper *h, enum family family, struct ipc_message *m, struct err *e)
{
	struct ipc *channel = keeper_channel(h->keeper);
	uint8_t body = (uint8_t)family;

	if (ipc_send_wait(channel, MESSAGE_OPEN_ICMP, ++h->asked, &body, 1, -1, e) < 0)
		return -1;
	if (ipc_receive(channel, m, HELPER_TIMEOUT, e) < 0)
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

	if (!helper_is_there(h))
		return err_set(e, "no %s ICMP socket: the helper process has ended", family_name(family));
	if (ask(h, family, &m, e) < 0) {
		keeper_give_up(h->keeper, e->text);
		return err_wrap(e, "no %s ICMP socket: the helper process", family_name(family));
	}
	if (m.type == MESSAGE_FAILED)
		return err_set(e, "%.*s", (int)(m.len < 300 ? m.len : 300), (const char *)m.body);
	return m.fd;
}
