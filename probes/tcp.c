#include "probes/tcp.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "probes/catalog_tcp.h"
#include "probes/dial.h"
#include "probes/match.h"

/* Bytes that are looked at in all, each arrival looking at the whole answer again. An answer that drips in byte by
 * byte must not cost more: past it only the whole is looked at. */
#define LOOK_MAX (INT64_C(4) << 20)
#define READ_MAX 4096

struct tcp {
	struct run *run;
	struct dial *dial; /* while it connects */
	int fd;
	struct event *event; /* while an answer is waited for */
	struct match expect;
	struct buf answer;
	int64_t connected; /* ns that connecting took */
	int64_t looked;
};

static void tcp_free(struct tcp *t)
{
	run_set_private(t->run, NULL);
	dial_stop(t->dial);
	if (t->event != NULL) {
		event_free(t->event);
		match_fini(&t->expect);
	}
	if (t->fd >= 0)
		close(t->fd);
	buf_fini(&t->answer);
	free(t);
}

static double since_start(const struct run *r)
{
	return (double)(clock_mono() - run_started(r)) / NS_PER_S;
}

/* What was not read would turn the FIN of close() into a RST. */
static void drain(int fd)
{
	char rest[4096];

	for (int i = 0; i < 16 && recv(fd, rest, sizeof rest, MSG_DONTWAIT) == sizeof rest; i++)
		;
}

static void end_up(struct tcp *t)
{
	struct run *r = t->run;

	run_value(r, TCP_TOTAL, since_start(r));
	if (t->event != NULL)
		drain(t->fd);
	tcp_free(t);
	run_up(r);
}

static void end_down(struct tcp *t, const char *why)
{
	struct run *r = t->run;

	tcp_free(t);
	run_down(r, "%s", why);
}

/* Whether the answer so far is what was expected. */
static bool is_answered(struct tcp *t)
{
	t->looked += (int64_t)t->answer.len;
	return match_find(&t->expect, t->answer.data, t->answer.len);
}

/* The other side has ended it, or has said enough. */
static void end_of_answer(struct tcp *t, const char *why)
{
	if (is_answered(t))
		end_up(t);
	else
		end_down(t, why);
}

static void on_readable(evutil_socket_t fd, short what, void *ctx)
{
	struct tcp *t = ctx;
	size_t left = TCP_ANSWER_MAX - t->answer.len, room = left < READ_MAX ? left : READ_MAX;
	ssize_t n = recv(fd, buf_reserve(&t->answer, room), room, 0);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n < 0)
		end_of_answer(t, errno == ECONNRESET ? "reset by peer before the expected answer" : strerror(errno));
	else if (n == 0)
		end_of_answer(t, "closed by peer before the expected answer");
	if (n <= 0)
		return;
	t->answer.len += (size_t)n;
	if (t->answer.len == TCP_ANSWER_MAX)
		end_of_answer(t, "the expected answer is not in the first 64 KiB");
	else if (t->looked < LOOK_MAX && is_answered(t))
		end_up(t);
}

/* In one piece: a new connection takes more than options may hold (tcp_wmem is 4 KiB at least). */
static int send_text(struct tcp *t, const char *text)
{
	uint8_t *bytes = mem_alloc(strlen(text) + 1);
	struct err e;
	int n = match_unescape(text, bytes, &e), error = 0;

	assert(n >= 0);
	if (send(t->fd, bytes, (size_t)n, MSG_NOSIGNAL) != n)
		error = errno;
	free(bytes);
	return error;
}

static void await_answer(struct tcp *t, const char *expect)
{
	struct err e;

	if (match_init(&t->expect, expect, true, &e) < 0)
		assert(!"options are checked");
	t->event = event_new(run_env(t->run)->base, t->fd, EV_READ | EV_PERSIST, on_readable, t);
	assert(t->event != NULL);
	event_add(t->event, NULL);
}

static void on_connected(struct tcp *t)
{
	const struct tcp_options *o = run_options(t->run);
	int error = 0;

	run_value(t->run, TCP_CONNECT, (double)t->connected / NS_PER_S);
	if (*o->send != '\0')
		error = send_text(t, o->send);
	if (error != 0)
		end_down(t, error == ECONNRESET || error == EPIPE ? "closed by peer as soon as connected"
								  : strerror(error));
	else if (*o->expect != '\0')
		await_answer(t, o->expect);
	else
		end_up(t);
}

static void on_dialled(void *ctx, const struct dial_end *end)
{
	struct tcp *t = ctx;
	struct run *r = t->run;

	t->dial = NULL;
	t->fd = end->fd;
	t->connected = end->elapsed;
	if (end->error == 0) {
		on_connected(t);
		return;
	}
	tcp_free(t);
	if (end->ours)
		run_unknown(r, "%s", dial_reason(end));
	else
		run_down(r, "%s", dial_reason(end));
}

static void at_deadline(void *state, struct run *r)
{
	struct tcp *t = run_private(r);
	char limit[NUM_TEXT], connected_ms[NUM_TEXT];

	(void)state;
	num_format_duration(run_deadline(r) - run_started(r), limit);
	num_format_double((double)t->connected / NS_PER_MS, 3, connected_ms);
	if (t->dial != NULL)
		run_down(r, "no answer to the connection attempt within %s", limit);
	else if (is_answered(t))
		run_up(r); /* it dripped in too slowly to be looked at each time */
	else if (t->answer.len == 0)
		run_down(r, "connected in %s ms, no answer within %s", connected_ms, limit);
	else
		run_down(r, "connected in %s ms, %zu bytes but not the expected answer within %s", connected_ms,
			t->answer.len, limit);
}

static void tcp_start(void *state, struct run *r)
{
	const struct tcp_options *o = run_options(r);
	struct tcp *t = mem_alloc(sizeof *t);
	socklen_t len;
	const struct sockaddr *address = run_address(r, &len);

	(void)state;
	t->run = r;
	t->fd = -1;
	run_set_private(r, t);
	run_on_deadline(r, at_deadline);
	t->dial = dial_start(run_env(r)->base, address, len, (uint16_t)o->port, on_dialled, t);
}

static void tcp_cancel(void *state, struct run *r)
{
	(void)state;
	tcp_free(run_private(r));
}

const struct probe_type tcp_probe = {.catalog = &catalog_tcp, .start = tcp_start, .cancel = tcp_cancel};
