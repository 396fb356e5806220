#include "collector/web/ask.h"

#include <event2/event.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

#include "collector/channel.h"
#include "lib/clock.h"
#include "lib/ipc.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/sample.h"

struct question {
	struct peer *peer;
	uint32_t id;
	struct event *timer;
	const char *failed; /* words; the timer then brings the answer */
	ask_on_answer *on_answer;
	void *ctx;
	TAILQ_ENTRY(question) link;
};

struct peer {
	struct ask *ask;
	enum process_role role;
	struct ipc *channel; /* NULL: not there */
	size_t waiting;
	TAILQ_HEAD(, question) questions;
};

struct ask {
	struct event_base *base;
	uint32_t last_id;
	struct peer peers[PROCESS_ROLES];
};

/* Ends the question, then tells: what is told may ask again. */
static void answer(struct question *q, const struct ipc_message *m, const char *words)
{
	ask_on_answer *on_answer = q->on_answer;
	void *ctx = q->ctx;

	TAILQ_REMOVE(&q->peer->questions, q, link);
	q->peer->waiting--;
	event_free(q->timer);
	free(q);
	on_answer(ctx, m, words);
}

static void on_timer(evutil_socket_t fd, short what, void *arg)
{
	struct question *q = arg;

	(void)fd, (void)what;
	answer(q, NULL, q->failed != NULL ? q->failed : "no answer in time");
}

static void fail_soon(struct question *q, const char *words)
{
	q->failed = words;
	event_active(q->timer, EV_TIMEOUT, 0);
}

static void on_message(void *ctx, struct ipc_message *m)
{
	struct peer *p = ctx;
	struct question *q;

	if (m->fd >= 0)
		close(m->fd);
	TAILQ_FOREACH(q, &p->questions, link)
	{
		if (q->id == m->id && q->failed == NULL)
			break;
	}
	if (q == NULL) /* too late, or never asked */
		return;
	if (m->type == CHANNEL_FAILED) {
		char words[SAMPLE_TEXT_MAX + 1];

		answer(q, NULL, text_clean((const char *)m->body, m->len, words, sizeof words));
	} else {
		answer(q, m, NULL);
	}
}

static void drop_channel(struct peer *p)
{
	struct question *q;

	ipc_free(p->channel);
	p->channel = NULL;
	TAILQ_FOREACH(q, &p->questions, link)
		fail_soon(q, "the process that knows has ended; it is being started again");
}

static void on_gone(void *ctx, const char *why)
{
	struct peer *p = ctx;

	log_info("channel is gone peer=%s why=\"%s\"", process_role_name(p->role), why);
	drop_channel(p);
}

struct ask *ask_new(struct event_base *base)
{
	struct ask *a = mem_alloc(sizeof *a);

	a->base = base;
	for (int i = 0; i < PROCESS_ROLES; i++) {
		a->peers[i] = (struct peer){.ask = a, .role = (enum process_role)i};
		TAILQ_INIT(&a->peers[i].questions);
	}
	return a;
}

void ask_free(struct ask *a)
{
	struct question *q;

	if (a == NULL)
		return;
	for (int i = 0; i < PROCESS_ROLES; i++) {
		while ((q = TAILQ_FIRST(&a->peers[i].questions)) != NULL)
			answer(q, NULL, "the collector is ending");
		ipc_free(a->peers[i].channel);
	}
	free(a);
}

void ask_connect(struct ask *a, enum process_role role, int fd)
{
	struct peer *p = &a->peers[role];

	drop_channel(p);
	p->channel = ipc_new(fd);
	ipc_start(p->channel, a->base, on_message, on_gone, p);
}

bool ask_is_connected(const struct ask *a, enum process_role role)
{
	return a->peers[role].channel != NULL;
}

void ask_send(struct ask *a, enum process_role role, uint16_t type, const void *body, size_t len,
	int64_t timeout, ask_on_answer *on_answer, void *ctx)
{
	struct peer *p = &a->peers[role];
	struct question *q = mem_alloc(sizeof *q);
	const struct timeval limit = {timeout / NS_PER_S, timeout % NS_PER_S / NS_PER_US};

	*q = (struct question){.peer = p, .on_answer = on_answer, .ctx = ctx};
	if (++a->last_id == 0) /* 0: no answer is expected */
		a->last_id = 1;
	q->id = a->last_id;
	q->timer = evtimer_new(a->base, on_timer, q);
	TAILQ_INSERT_TAIL(&p->questions, q, link);
	if (p->waiting++ >= ASK_WAITING)
		fail_soon(q, "too many questions wait");
	else if (p->channel == NULL || ipc_send(p->channel, type, q->id, body, len, -1) < 0)
		fail_soon(q, "the process that knows is not there");
	else
		evtimer_add(q->timer, &limit);
}
