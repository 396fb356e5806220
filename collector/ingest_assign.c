#include "collector/ingest_assign.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/http.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "collector/ingest_server.h"
#include "collector/inventory.h"
#include "lib/buf.h"
#include "lib/mem.h"
#include "lib/sample.h"

struct waiter {
	TAILQ_ENTRY(waiter) link;
	struct assign *assign;
	struct evhttp_request *request;
	struct event *timer;
	char agent[SAMPLE_ID_MAX + 1];
	uint64_t known;
};

struct assign {
	struct event_base *base;
	const struct inventory *inventory;
	TAILQ_HEAD(waiters, waiter) waiters;
};

struct assign *assign_new(struct event_base *base, const struct inventory *inventory)
{
	struct assign *a = mem_alloc(sizeof *a);

	a->base = base;
	a->inventory = inventory;
	TAILQ_INIT(&a->waiters);
	return a;
}

static void answer(const struct assign *a, struct evhttp_request *req, const char *agent, uint64_t known)
{
	struct buf b = {0};
	uint64_t generation;
	char tag[32];

	if (inventory_assignments(a->inventory, agent, &b, &generation) < 0) {
		ingest_server_answer(req, 403, NULL, 0, 0);
	} else {
		snprintf(tag, sizeof tag, "\"%" PRIu64 "\"", generation);
		evhttp_add_header(evhttp_request_get_output_headers(req), "ETag", tag);
		ingest_server_answer(req, generation == known ? 304 : 200, b.data, generation == known ? 0 : b.len, 0);
	}
	buf_fini(&b);
}

/* ---- waiting */

static void waiter_end(struct waiter *w)
{
	TAILQ_REMOVE(&w->assign->waiters, w, link);
	event_free(w->timer);
	answer(w->assign, w->request, w->agent, w->known);
	free(w);
}

static void on_waited(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd, (void)what;
	waiter_end(ctx);
}

static void wait_for_change(struct assign *a, struct evhttp_request *req, const char *agent, uint64_t known,
	int seconds)
{
	struct waiter *w = mem_alloc(sizeof *w);
	struct timeval tv = {seconds, 0};

	w->assign = a;
	w->request = req;
	w->known = known;
	snprintf(w->agent, sizeof w->agent, "%s", agent);
	w->timer = evtimer_new(a->base, on_waited, w);
	evtimer_add(w->timer, &tv);
	TAILQ_INSERT_TAIL(&a->waiters, w, link);
}

/* 0 when the agent is not known, which no generation is. */
static uint64_t generation_of(const struct assign *a, const char *agent)
{
	struct buf b = {0};
	uint64_t generation = 0;

	inventory_assignments(a->inventory, agent, &b, &generation);
	buf_fini(&b);
	return generation;
}

void assign_reload(struct assign *a, const struct inventory *inventory)
{
	struct waiter *w = TAILQ_FIRST(&a->waiters), *next;

	a->inventory = inventory;
	for (; w != NULL; w = next) {
		next = TAILQ_NEXT(w, link);
		if (generation_of(a, w->agent) != w->known)
			waiter_end(w);
	}
}

void assign_free(struct assign *a)
{
	struct waiter *w;

	if (a == NULL)
		return;
	while ((w = TAILQ_FIRST(&a->waiters)) != NULL)
		waiter_end(w);
	free(a);
}

/* ---- requests */

/* The generation of an entity tag as we make them; 0: another. */
static uint64_t parse_tag(const char *text)
{
	char *end;
	uint64_t generation;

	if (text == NULL || text[0] != '"' || text[1] < '0' || text[1] > '9')
		return 0;
	errno = 0;
	generation = strtoull(text + 1, &end, 10);
	return errno == 0 && strcmp(end, "\"") == 0 ? generation : 0;
}

static int parse_wait(const char *prefer)
{
	int seconds = 0;

	if (prefer == NULL || sscanf(prefer, "wait=%4d", &seconds) != 1 || seconds < 0)
		return 0;
	return seconds < ASSIGN_WAIT_MAX ? seconds : ASSIGN_WAIT_MAX;
}

void assign_ask(struct assign *a, struct evhttp_request *req, const char *agent)
{
	const struct evkeyvalq *headers = evhttp_request_get_input_headers(req);
	uint64_t known = parse_tag(evhttp_find_header(headers, "If-None-Match"));
	int seconds = parse_wait(evhttp_find_header(headers, "Prefer"));

	if (seconds > 0 && known != 0 && known == generation_of(a, agent))
		wait_for_change(a, req, agent, known, seconds);
	else
		answer(a, req, agent, known);
}
