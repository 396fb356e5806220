#include "collector/web/live.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "collector/web/json.h"
#include "collector/web/model.h"
#include "collector/web/server.h"
#include "collector/web/state.h"
#include "collector/web/words.h"
#include "lib/clock.h"
#include "lib/mem.h"

struct stream {
	struct live *live;
	struct server_request *request;
	uint64_t version; /* told up to here */
	TAILQ_ENTRY(stream) link;
};

struct live {
	struct web *web;
	size_t count;
	TAILQ_HEAD(, stream) streams;
};

struct live *live_new(struct web *w)
{
	struct live *l = mem_alloc(sizeof *l);

	l->web = w;
	TAILQ_INIT(&l->streams);
	return l;
}

static void stream_free(struct stream *s)
{
	TAILQ_REMOVE(&s->live->streams, s, link);
	s->live->count--;
	free(s);
}

static void on_closed(void *ctx, struct server_request *r)
{
	(void)r;
	stream_free(ctx);
}

static void stream_end(struct stream *s)
{
	struct server_request *r = s->request;

	stream_free(s);
	server_stream_end(r);
}

void live_free(struct live *l)
{
	struct stream *s;

	if (l == NULL)
		return;
	while ((s = TAILQ_FIRST(&l->streams)) != NULL)
		stream_end(s);
	free(l);
}

size_t live_count(const struct live *l)
{
	return l->count;
}

/* ---- what is sent */

static void put_changed_subjects(struct json *j, const char *key, const struct model *m, enum subject_kind kind,
	uint64_t since)
{
	size_t n;
	const struct model_subject *s = model_subjects(m, kind, &n);

	json_open(j, key, '[');
	for (size_t i = 0; i < n; i++) {
		if (s[i].changed <= since)
			continue;
		json_open(j, NULL, '{');
		json_text(j, "id", s[i].id);
		words_states(j, &s[i]);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void put_changed_units(struct json *j, const struct model *m, uint64_t since)
{
	const struct inventory *v = model_inventory(m);

	json_open(j, "units", '[');
	for (size_t i = 0; i < v->units_count; i++) {
		size_t counts[MODEL_STATES];
		uint64_t changed;

		model_unit_state(m, &v->units[i], counts, &changed);
		if (changed > since)
			words_unit(j, m, &v->units[i], false);
	}
	json_close(j, ']');
}

static void put_changed_checks(struct json *j, const struct model *m, uint64_t since)
{
	size_t n;
	const struct model_check *c = model_checks(m, &n);

	json_open(j, "checks", '[');
	for (size_t i = 0; i < n; i++) {
		if (c[i].changed > since)
			json_text(j, NULL, c[i].of->id);
	}
	json_close(j, ']');
}

static void put_changed_agents(struct json *j, const struct model *m, uint64_t since)
{
	size_t n;
	const struct model_agent *a = model_agents(m, &n);

	json_open(j, "agents", '[');
	for (size_t i = 0; i < n; i++) {
		if (a[i].changed > since)
			words_agent(j, &a[i], false);
	}
	json_close(j, ']');
}

/* An event of one line of data; the id makes a page that comes back say how far it was. */
static void add_event(struct buf *out, const struct web *w, const char *name, const struct json *data)
{
	buf_add_format(out, "event: %s\nid: %llx.%llx\ndata: ", name, (unsigned long long)w->instance,
		(unsigned long long)model_version(w->model));
	buf_add(out, data->out.data, data->out.len);
	buf_add_text(out, "\n\n");
}

static void add_change(struct buf *out, const struct web *w, uint64_t since)
{
	const struct model *m = w->model;
	struct json j = {0};

	json_open(&j, NULL, '{');
	words_clock(&j, w, clock_real());
	words_totals(&j, m);
	put_changed_units(&j, m, since);
	put_changed_subjects(&j, "systems", m, SUBJECT_SYSTEM, since);
	put_changed_subjects(&j, "links", m, SUBJECT_LINK, since);
	put_changed_subjects(&j, "sites", m, SUBJECT_SITE, since);
	put_changed_agents(&j, m, since);
	put_changed_checks(&j, m, since);
	json_close(&j, '}');
	add_event(out, w, "change", &j);
	json_fini(&j);
}

static void add_tick(struct buf *out, const struct web *w)
{
	struct json j = {0};
	size_t n;
	const struct model_agent *a = model_agents(w->model, &n);

	json_open(&j, NULL, '{');
	words_clock(&j, w, clock_real());
	json_open(&j, "agents", '[');
	for (size_t i = 0; i < n; i++)
		words_agent(&j, &a[i], false);
	json_close(&j, ']');
	json_close(&j, '}');
	add_event(out, w, "tick", &j);
	json_fini(&j);
}

static void add_reset(struct buf *out, const struct web *w)
{
	struct json j = {0};

	json_open(&j, NULL, '{');
	json_close(&j, '}');
	add_event(out, w, "reset", &j);
	json_fini(&j);
}

/* ---- to whom */

/* The version that the page knows, from its Last-Event-ID or ?since=; 0: none of this instance. */
static uint64_t known_version(const struct web *w, const struct server_request *r)
{
	const char *id = server_header(r, "Last-Event-ID");
	unsigned long long instance, version;

	if (id == NULL)
		id = server_query(r, "since");
	if (id == NULL || sscanf(id, "%16llx.%16llx", &instance, &version) != 2)
		return 0;
	return instance == w->instance && version <= model_version(w->model) ? version : 0;
}

static void send_to(struct stream *s, const struct buf *text)
{
	if (text->len > 0 && server_stream_send(s->request, text->data, text->len) < 0)
		stream_end(s);
}

void live_handle(void *ctx, struct server_request *r)
{
	struct web *w = ctx;
	struct live *l = w->live;
	uint64_t known = known_version(w, r);
	struct stream *s;
	struct buf first = {0};

	if (l->count >= LIVE_STREAMS) {
		server_fail(r, 503, "too many pages are open");
		return;
	}
	s = mem_alloc(sizeof *s);
	*s = (struct stream){.live = l, .request = r, .version = model_version(w->model)};
	TAILQ_INSERT_TAIL(&l->streams, s, link);
	l->count++;
	server_stream(r, on_closed, s);
	buf_add_text(&first, "retry: 2000\n\n");
	if (known == 0)
		add_reset(&first, w);
	else if (known < s->version)
		add_change(&first, w, known);
	add_tick(&first, w);
	send_to(s, &first);
	buf_fini(&first);
}

static void send_to_all(struct live *l, const struct buf *text)
{
	struct stream *s, *next;

	for (s = TAILQ_FIRST(&l->streams); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		s->version = model_version(l->web->model);
		send_to(s, text);
	}
}

void live_publish(struct live *l)
{
	struct stream *first = TAILQ_FIRST(&l->streams);
	struct buf text = {0};

	if (first == NULL)
		return;
	/* All were told at the same time last, or begun later: the first has the oldest version. */
	add_change(&text, l->web, first->version);
	send_to_all(l, &text);
	buf_fini(&text);
}

void live_reset(struct live *l)
{
	struct buf text = {0};

	add_reset(&text, l->web);
	send_to_all(l, &text);
	buf_fini(&text);
}

void live_tick(struct live *l)
{
	struct buf text = {0};

	if (l->count == 0)
		return;
	add_tick(&text, l->web);
	send_to_all(l, &text);
	buf_fini(&text);
}
