#include "agent/units.h"

#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "agent/bus_packet.h"
#include "agent/confine.h"
#include "agent/keeper.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/ipc.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "probes/host/systemd.h"

#define READ_STEP 65536
#define ENDED "the process that asks systemd has ended"

enum message { MESSAGE_ASK = 1, MESSAGE_ANSWER, MESSAGE_FAILED };

struct systemd_call {
	TAILQ_ENTRY(systemd_call) link;
	int64_t deadline;
	struct buf names; /* each with its NUL */
	void (*on_end)(void *, const struct systemd_units *, const char *); /* NULL: cancelled while it was under way */
	void *ctx;
};

struct units {
	struct keeper *keeper; /* NULL: this host is not run by systemd */
	TAILQ_HEAD(calls, systemd_call) calls; /* the first one is under way */
	bool is_asking;
	uint32_t asked;      /* id of the last question */
	void (*on_change)(void *, enum keeper_change, const char *);
	void *ctx;
};

/* ---- in the process: the bus */

static int wait_for(int fd, short events, int64_t deadline, struct err *e)
{
	struct pollfd p = {.fd = fd, .events = events};
	int64_t left = (deadline - clock_mono() + NS_PER_MS - 1) / NS_PER_MS;
	int n = left > 0 ? poll(&p, 1, (int)left) : 0;

	if (n < 0 && errno != EINTR)
		return err_errno(e, "poll");
	return n != 0 ? 0 : err_set(e, "no answer from systemd in time");
}

static int open_bus(const char *path, struct err *e)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd;

	if (strlen(path) >= sizeof address.sun_path)
		return err_set(e, "%s: the name is too long", path);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno(e, "the system bus");
	if (connect(fd, (struct sockaddr *)&address, sizeof address) == 0)
		return fd;
	err_errno(e, "no system bus to ask systemd over: %s", path);
	close(fd);
	return -1;
}

static int send_all(int fd, const struct buf *b, int64_t deadline, struct err *e)
{
	for (size_t at = 0; at < b->len;) {
		ssize_t n = send(fd, b->data + at, b->len - at, MSG_NOSIGNAL);

		if (n >= 0)
			at += (size_t)n;
		else if (errno != EAGAIN && errno != EINTR)
			return err_errno(e, "the system bus");
		else if (wait_for(fd, POLLOUT, deadline, e) < 0)
			return -1;
	}
	return 0;
}

static int receive_some(int fd, struct buf *in, int64_t deadline, struct err *e)
{
	uint8_t *to = buf_reserve(in, READ_STEP);
	ssize_t n = recv(fd, to, READ_STEP, 0);

	if (n > 0) {
		in->len += (size_t)n;
		return in->len <= BUS_ANSWER_MAX ? 0 : err_set(e, "systemd tells of too many units");
	}
	if (n == 0)
		return err_set(e, "the system bus hung up");
	return errno == EAGAIN || errno == EINTR ? wait_for(fd, POLLIN, deadline, e) : err_errno(e, "the system bus");
}

static int talk(int fd, const char *const *names, size_t count, int64_t deadline, struct systemd_units *out, struct err *e)
{
	struct buf said = {0}, heard = {0};
	enum bus_end end = BUS_MORE;
	int status;

	bus_put_questions(&said, geteuid(), names, count);
	status = send_all(fd, &said, deadline, e);
	while (status == 0 && end == BUS_MORE) {
		status = receive_some(fd, &heard, deadline, e);
		if (status == 0)
			end = bus_read_answers(heard.data, heard.len, count, out, e);
	}
	buf_fini(&said);
	buf_fini(&heard);
	return end == BUS_DONE ? 0 : -1;
}

/* ---- in the process: the engine */

/* Names within the body, at most SYSTEMD_NAMES_MAX. -1: the engine has broken the rules. */
static int read_names(const struct ipc_message *m, int64_t *limit, const char **names, size_t *count)
{
	struct cursor c = cursor_over(m->body, m->len);

	*count = 0;
	*limit = cursor_u32(&c) * NS_PER_MS;
	if (c.failed || *limit > UNITS_LIMIT || cursor_left(&c) > UNITS_NAMES_BYTES)
		return -1;
	while (cursor_left(&c) > 0) {
		const uint8_t *end = memchr(c.at, '\0', cursor_left(&c));

		if (end == NULL || end == c.at || end - c.at > SYSTEMD_NAME_MAX || *count == SYSTEMD_NAMES_MAX)
			return -1;
		names[(*count)++] = (const char *)c.at;
		cursor_bytes(&c, (size_t)(end - c.at) + 1);
	}
	return 0;
}

static int answer(struct ipc *channel, const struct ipc_message *m, const char *bus, struct systemd_units *out)
{
	const char *names[SYSTEMD_NAMES_MAX];
	int64_t limit, deadline;
	struct err e, ignored;
	size_t count;
	int fd, status;

	if (m->fd >= 0)
		close(m->fd);
	if (m->fd >= 0 || m->type != MESSAGE_ASK || read_names(m, &limit, names, &count) < 0)
		return -1;
	deadline = clock_mono() + limit;
	fd = open_bus(bus, &e);
	status = fd >= 0 ? talk(fd, names, count, deadline, out, &e) : -1;
	if (fd >= 0)
		close(fd);
	if (status == 0)
		return ipc_send_wait(channel, MESSAGE_ANSWER, m->id, out, sizeof *out, -1, &ignored);
	return ipc_send_wait(channel, MESSAGE_FAILED, m->id, e.text, strlen(e.text), -1, &ignored);
}

void units_serve(int fd, const char *bus)
{
	struct systemd_units *out = mem_alloc(sizeof *out);
	struct ipc *channel = ipc_new(fd);
	struct ipc_message m;
	struct err e;

	while (ipc_receive(channel, &m, -1, &e) == 0 && answer(channel, &m, bus, out) == 0)
		;
	ipc_free(channel);
	free(out);
}

static void live(int fd, const void *bus)
{
	struct err e;

	if (confine_units(&e) == 0)
		units_serve(fd, bus);
	else
		log_error("the process that asks systemd cannot begin: %s", e.text);
}

/* ---- in the engine */

static bool is_booted(const char *run)
{
	char *path = mem_format("%s/systemd/system", run);
	struct stat st;
	bool is = lstat(path, &st) == 0 && S_ISDIR(st.st_mode);

	free(path);
	return is;
}

static int start_process(struct units *u, const char *run, struct err *e)
{
	char *bus = mem_format("%s/dbus/system_bus_socket", run);
	const struct keeper_work work = {"xj-units-keeper", "xj-units", confine_units_keeper, live, bus};

	u->keeper = keeper_start(&work, e);
	free(bus);
	return u->keeper != NULL ? 0 : err_wrap(e, "the process that asks systemd");
}

struct units *units_start(const char *run, struct err *e)
{
	struct units *u = mem_alloc(sizeof *u);

	TAILQ_INIT(&u->calls);
	if (!is_booted(run) || start_process(u, run, e) == 0)
		return u;
	units_free(u);
	return NULL;
}

static void call_free(struct units *u, struct systemd_call *c)
{
	TAILQ_REMOVE(&u->calls, c, link);
	buf_fini(&c->names);
	free(c);
}

void units_free(struct units *u)
{
	if (u == NULL)
		return;
	while (!TAILQ_EMPTY(&u->calls))
		call_free(u, TAILQ_FIRST(&u->calls));
	keeper_free(u->keeper);
	free(u);
}

/* The first call ends; who is told may ask again, or cancel others. */
static void end_first(struct units *u, const struct systemd_units *units, const char *why)
{
	struct systemd_call *first = TAILQ_FIRST(&u->calls), copy = *first;

	u->is_asking = false;
	copy.names = (struct buf){0};
	call_free(u, first);
	if (copy.on_end != NULL)
		copy.on_end(copy.ctx, units, why);
}

static void ask_next(struct units *u)
{
	struct systemd_call *first = TAILQ_FIRST(&u->calls);
	struct buf body = {0};
	int64_t left;

	if (u->is_asking || first == NULL || keeper_channel(u->keeper) == NULL)
		return;
	left = first->deadline - clock_mono();
	left = left < NS_PER_MS ? NS_PER_MS : left > UNITS_LIMIT ? UNITS_LIMIT : left;
	buf_add_u32(&body, (uint32_t)(left / NS_PER_MS));
	buf_add(&body, first->names.data, first->names.len);
	u->is_asking = true;
	ipc_send(keeper_channel(u->keeper), MESSAGE_ASK, ++u->asked, body.data, body.len, -1);
	buf_fini(&body);
}

static bool is_unit(const struct systemd_unit *u)
{
	return memchr(u->name, '\0', sizeof u->name) != NULL && memchr(u->load, '\0', sizeof u->load) != NULL &&
		memchr(u->active, '\0', sizeof u->active) != NULL && memchr(u->sub, '\0', sizeof u->sub) != NULL;
}

static bool are_units(const struct ipc_message *m, struct systemd_units *out)
{
	if (m->len != sizeof *out)
		return false;
	memcpy(out, m->body, sizeof *out);
	for (size_t i = 0; i < SYSTEMD_FAILED_MAX; i++)
		if (!is_unit(&out->failed[i]))
			return false;
	for (size_t i = 0; i < SYSTEMD_NAMES_MAX; i++)
		if (!is_unit(&out->named[i]))
			return false;
	return out->named_count <= SYSTEMD_NAMES_MAX;
}

static void on_message(void *ctx, struct ipc_message *m)
{
	struct systemd_units *units = mem_alloc(sizeof *units);
	struct units *u = ctx;
	char words[256];

	if (u->is_asking && m->id == u->asked && m->type == MESSAGE_ANSWER && are_units(m, units)) {
		end_first(u, units, NULL);
		ask_next(u);
	} else if (u->is_asking && m->id == u->asked && m->type == MESSAGE_FAILED) {
		snprintf(words, sizeof words, "%.*s", (int)(m->len < 255 ? m->len : 255), (const char *)m->body);
		end_first(u, NULL, words);
		ask_next(u);
	} else {
		keeper_give_up(u->keeper, "it broke the rules");
	}
	free(units);
}

static void on_keeper_change(void *ctx, enum keeper_change change, const char *why)
{
	struct units *u = ctx;

	while (change != KEEPER_BACK && !TAILQ_EMPTY(&u->calls))
		end_first(u, NULL, ENDED);
	u->on_change(u->ctx, change, why);
}

void units_watch(struct units *u, struct event_base *base,
	void (*on_change)(void *ctx, enum keeper_change, const char *why), void *ctx)
{
	const struct keeper_events events = {on_message, on_keeper_change, u};

	u->on_change = on_change;
	u->ctx = ctx;
	if (u->keeper != NULL)
		keeper_watch(u->keeper, base, &events);
}

struct systemd_call *units_ask(struct units *u, const struct systemd_request *q,
	void (*on_end)(void *ctx, const struct systemd_units *, const char *why), void *ctx, struct err *e)
{
	struct systemd_call *c;

	if (u->keeper == NULL || keeper_channel(u->keeper) == NULL) {
		err_set(e, "%s", u->keeper == NULL ? "this host is not run by systemd" : ENDED);
		return NULL;
	}
	c = mem_alloc(sizeof *c);
	*c = (struct systemd_call){.deadline = q->deadline, .on_end = on_end, .ctx = ctx};
	for (size_t i = 0; i < q->count; i++)
		buf_add(&c->names, q->names[i], strlen(q->names[i]) + 1);
	TAILQ_INSERT_TAIL(&u->calls, c, link);
	ask_next(u);
	return c;
}

void units_cancel(struct units *u, struct systemd_call *c)
{
	if (u->is_asking && c == TAILQ_FIRST(&u->calls))
		c->on_end = NULL;
	else
		call_free(u, c);
}
