#include "agent/spawner.h"

#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <unistd.h>

#include "agent/confine.h"
#include "agent/keeper.h"
#include "agent/spawner_message.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/fence.h"
#include "lib/ipc.h"
#include "lib/mem.h"
#include "probes/exec.h"

#define ENDED "the process that starts plugins has ended"

struct exec_call {
	TAILQ_ENTRY(exec_call) link;
	uint32_t id;
	int64_t deadline;
	struct buf body; /* of the message, without its timeout */
	void (*on_end)(void *, const struct exec_end *); /* NULL: cancelled, it keeps its place until it has ended */
	void *ctx;
};

TAILQ_HEAD(calls, exec_call);

struct spawner {
	struct keeper *keeper;
	struct calls waiting, running;
	size_t running_count;
	uint32_t last_id;
	void (*on_change)(void *, enum keeper_change, const char *);
	void *ctx;
};

/* ---- rights */

int spawner_rights_find(const char *user, const char *engine, bool is_once, struct spawner_rights *r, struct err *e)
{
	uid_t other = 0;
	gid_t group;

	*r = (struct spawner_rights){.has_user = geteuid() == 0, .has_namespaces = true};
	if (!r->has_user)
		return is_once ? 0 : err_set(e, "plugins need an agent that is started as root: they become another user");
	if (fence_find_user(user, &r->uid, &r->gid, e) < 0)
		return err_wrap(e, "plugin_user");
	if (r->uid == 0 || r->gid == 0)
		return err_set(e, "plugin_user: plugins do not run as root");
	if (*engine != '\0' && fence_find_user(engine, &other, &group, e) < 0)
		return err_wrap(e, "user");
	if (r->uid == other)
		return err_set(e, "plugin_user: plugins do not run as the user of the agent, who could be harmed by them");
	return 0;
}

/* ---- in the engine */

struct life {
	const struct plugins *table;
	const struct spawner_rights *rights;
};

static void live(int fd, const void *ctx)
{
	const struct life *l = ctx;

	spawner_serve(fd, l->table, l->rights);
}

struct spawner *spawner_start(const struct plugins *table, const struct spawner_rights *rights, struct err *e)
{
	const struct life life = {table, rights};
	const struct keeper_work work = {"xj-keeper", "xj-spawner", confine_spawner, live, &life};
	struct spawner *s = mem_alloc(sizeof *s);

	TAILQ_INIT(&s->waiting);
	TAILQ_INIT(&s->running);
	s->keeper = keeper_start(&work, e);
	if (s->keeper != NULL)
		return s;
	err_wrap(e, "the process that starts plugins");
	spawner_free(s);
	return NULL;
}

static void call_free(struct calls *list, struct exec_call *c)
{
	TAILQ_REMOVE(list, c, link);
	buf_fini(&c->body);
	free(c);
}

static void forget_all(struct calls *list)
{
	while (!TAILQ_EMPTY(list))
		call_free(list, TAILQ_FIRST(list));
}

void spawner_free(struct spawner *s)
{
	if (s == NULL)
		return;
	forget_all(&s->waiting);
	forget_all(&s->running);
	keeper_free(s->keeper);
	free(s);
}

static void tell_failed(struct exec_call *c, const char *words)
{
	if (c->on_end != NULL)
		c->on_end(c->ctx, &(struct exec_end){.how = EXEC_FAILED, .out = (const uint8_t *)"",
			.err = (const uint8_t *)words, .err_len = strlen(words)});
}

/* Those who are told may cancel nothing but their own call, which is out of the list by then. */
static void fail_all(struct calls *list)
{
	struct exec_call *c;

	while ((c = TAILQ_FIRST(list)) != NULL) {
		struct exec_call copy = *c;

		copy.body = (struct buf){0};
		call_free(list, c);
		tell_failed(&copy, ENDED);
	}
}

/* Calls that wait get the places that are free. */
static void fill_places(struct spawner *s)
{
	while (s->running_count < SPAWNER_PLACES && !TAILQ_EMPTY(&s->waiting)) {
		struct exec_call *c = TAILQ_FIRST(&s->waiting);
		int64_t left = (c->deadline - clock_mono()) / NS_PER_MS;
		struct buf body = {0};

		if (left > EXEC_TIMEOUT_MAX * 1000)
			left = EXEC_TIMEOUT_MAX * 1000; /* more is against the rules; the runner's deadline is its own */
		buf_add_u32(&body, (uint32_t)(left < 1 ? 1 : left));
		buf_add(&body, c->body.data, c->body.len);
		TAILQ_REMOVE(&s->waiting, c, link);
		TAILQ_INSERT_TAIL(&s->running, c, link);
		s->running_count++;
		ipc_send(keeper_channel(s->keeper), SPAWNER_CALL, c->id, body.data, body.len, -1);
		buf_fini(&body);
	}
}

static void on_message(void *ctx, struct ipc_message *m)
{
	struct spawner *s = ctx;
	struct exec_call *c, copy;
	struct exec_end end;

	TAILQ_FOREACH(c, &s->running, link) {
		if (c->id == m->id)
			break;
	}
	if (c == NULL || m->type != SPAWNER_END || spawner_message_read_end(m->body, m->len, &end) < 0) {
		keeper_give_up(s->keeper, "it broke the rules");
		return;
	}
	copy = *c;
	copy.body = (struct buf){0};
	call_free(&s->running, c);
	s->running_count--;
	if (copy.on_end != NULL)
		copy.on_end(copy.ctx, &end);
	fill_places(s);
}

static void on_keeper_change(void *ctx, enum keeper_change change, const char *why)
{
	struct spawner *s = ctx;

	if (change != KEEPER_BACK) {
		s->running_count = 0;
		fail_all(&s->running);
		fail_all(&s->waiting);
	}
	s->on_change(s->ctx, change, why);
}

void spawner_watch(struct spawner *s, struct event_base *base,
	void (*on_change)(void *ctx, enum keeper_change, const char *why), void *ctx)
{
	const struct keeper_events events = {on_message, on_keeper_change, s};

	s->on_change = on_change;
	s->ctx = ctx;
	keeper_watch(s->keeper, base, &events);
}

static uint32_t next_id(struct spawner *s)
{
	if (++s->last_id == 0)
		s->last_id = 1;
	return s->last_id;
}

struct exec_call *spawner_call(struct spawner *s, const struct exec_request *q,
	void (*on_end)(void *ctx, const struct exec_end *), void *ctx, struct err *e)
{
	struct exec_call *c;

	if (keeper_channel(s->keeper) == NULL) {
		err_set(e, ENDED);
		return NULL;
	}
	c = mem_alloc(sizeof *c);
	*c = (struct exec_call){.id = next_id(s), .deadline = q->deadline, .on_end = on_end, .ctx = ctx};
	spawner_message_put_request(&c->body, q);
	TAILQ_INSERT_TAIL(&s->waiting, c, link);
	fill_places(s);
	return c;
}

bool spawner_cancel(struct spawner *s, struct exec_call *c)
{
	struct exec_call *waits;

	TAILQ_FOREACH(waits, &s->waiting, link) {
		if (waits == c) {
			call_free(&s->waiting, c);
			return false;
		}
	}
	c->on_end = NULL;
	if (keeper_channel(s->keeper) != NULL)
		ipc_send(keeper_channel(s->keeper), SPAWNER_CANCEL, c->id, NULL, 0, -1);
	return true;
}
