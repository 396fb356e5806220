#include "collector/web/metrics.h"

#include <stdlib.h>
#include <string.h>

#include "collector/channel.h"
#include "collector/web/ask.h"
#include "collector/web/live.h"
#include "collector/web/model.h"
#include "collector/web/server.h"
#include "collector/web/state.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/ipc.h"
#include "lib/log.h"
#include "lib/mem.h"

#define PEER_TEXT_MAX (1u << 20)

static const struct {
	enum process_role role;
	const char *name;
} peers[] = {{PROCESS_INGEST, "ingest"}, {PROCESS_SERIES, "series"}, {PROCESS_JUDGE, "judge"},
	     {PROCESS_RENDER, "render"}, {PROCESS_NOTIFY, "notify"}};
#define PEERS (sizeof peers / sizeof *peers)

struct collection {
	struct web *web;
	struct server_request *request;
	struct answer {
		struct collection *collection;
		struct buf text;
		bool answered;
	} answers[PEERS];
	size_t waiting;
};

static void head(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_add_format(b, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void figure(struct buf *b, const char *name, const char *type, const char *help, double v)
{
	head(b, name, type, help);
	buf_add_format(b, "%s %.15g\n", name, v);
}

static void put_server(struct buf *b, const struct web *w)
{
	const struct server_counts *c = server_counts(w->server);

	head(b, "xunjian_web_requests_total", "counter", "Requests answered, by the first digit of the status.");
	for (int i = 2; i < 6; i++)
		buf_add_format(b, "xunjian_web_requests_total{code=\"%dxx\"} %llu\n", i,
			(unsigned long long)c->requests[i]);
	figure(b, "xunjian_web_refused_total", "counter", "Requests refused before a handler saw them.",
		(double)c->refused);
	figure(b, "xunjian_web_streams", "gauge", "Pages that listen to changes.", (double)live_count(w->live));
	figure(b, "xunjian_web_pictures_total", "counter", "Pictures drawn.", (double)w->pictures);
	figure(b, "xunjian_web_pictures_failed_total", "counter", "Pictures that could not be drawn.",
		(double)w->pictures_failed);
	figure(b, "xunjian_landlock_active", "gauge",
		"1 when the kernel bounds the paths that each process can open (Landlock).", w->has_landlock);
	head(b, "xunjian_web_log_lines_total", "counter", "Lines logged at this level by the web process.");
	buf_add_format(b, "xunjian_web_log_lines_total{level=\"error\"} %lu\n", log_count(LOG_LEVEL_ERROR));
	buf_add_format(b, "xunjian_web_log_lines_total{level=\"warn\"} %lu\n", log_count(LOG_LEVEL_WARN));
}

static void put_states(struct buf *b, const char *name, const char *help, const struct model *m,
	enum subject_kind kind)
{
	size_t n, counts[MODEL_FAMILIES][MODEL_STATES] = {{0}};
	const struct model_subject *s = model_subjects(m, kind, &n);

	for (size_t i = 0; i < n; i++) {
		for (int f = 0; f < MODEL_FAMILIES; f++)
			counts[f][s[i].now.families[f]]++;
	}
	head(b, name, "gauge", help);
	for (int f = 0; f < MODEL_FAMILIES; f++) {
		for (int k = 0; k < MODEL_STATES; k++)
			buf_add_format(b, "%s{family=\"%s\",state=\"%s\"} %zu\n", name,
				f == MODEL_V4 ? "IPv4" : "IPv6", model_state_name((enum model_state)k),
				counts[f][k]);
	}
}

static void put_model(struct buf *b, const struct web *w)
{
	const struct model *m = w->model;
	size_t n;
	const struct model_agent *a = model_agents(m, &n);

	put_states(b, "xunjian_systems", "Systems by latest outcome, per family.", m, SUBJECT_SYSTEM);
	put_states(b, "xunjian_links", "Links by latest outcome, per family.", m, SUBJECT_LINK);
	figure(b, "xunjian_web_rows", "gauge", "Series of the inventory that have an outcome.",
		(double)model_rows(m));
	figure(b, "xunjian_newest_result_timestamp_seconds", "gauge", "When the newest result was measured.",
		(double)model_newest(m) / (double)NS_PER_S);
	head(b, "xunjian_agent_last_result_timestamp_seconds", "gauge",
		"When the newest result of the agent was measured; 0 never.");
	for (size_t i = 0; i < n; i++)
		buf_add_format(b, "xunjian_agent_last_result_timestamp_seconds{agent=\"%s\"} %.15g\n",
			a[i].of->id, (double)a[i].seen / (double)NS_PER_S);
	head(b, "xunjian_agent_lost", "gauge", "1 when all outcomes of the agent are old.");
	for (size_t i = 0; i < n; i++)
		buf_add_format(b, "xunjian_agent_lost{agent=\"%s\"} %d\n", a[i].of->id, a[i].is_lost);
}

static void put_peers(struct buf *b, const struct collection *c)
{
	head(b, "xunjian_peer_answered", "gauge", "1 when the process told its figures in time.");
	for (size_t i = 0; i < PEERS; i++)
		buf_add_format(b, "xunjian_peer_answered{peer=\"%s\"} %d\n", peers[i].name,
			c->answers[i].answered);
	for (size_t i = 0; i < PEERS; i++)
		buf_add(b, c->answers[i].text.data, c->answers[i].text.len);
}

static void answer(struct collection *c)
{
	struct buf b = {0};

	put_server(&b, c->web);
	put_model(&b, c->web);
	put_peers(&b, c);
	server_answer(c->request, &(struct server_answer){
		.status = 200, .type = "text/plain; version=0.0.4; charset=utf-8", .body = &b});
	for (size_t i = 0; i < PEERS; i++)
		buf_fini(&c->answers[i].text);
	free(c);
}

static void on_text(void *ctx, const struct ipc_message *m, const char *words)
{
	struct answer *a = ctx;

	(void)words;
	if (m != NULL && m->type == CHANNEL_METRICS_TEXT && m->len <= PEER_TEXT_MAX) {
		a->answered = true;
		buf_add(&a->text, m->body, m->len);
		if (m->len > 0 && m->body[m->len - 1] != '\n')
			buf_add_u8(&a->text, '\n');
	}
	if (--a->collection->waiting == 0)
		answer(a->collection);
}

void metrics_handle(void *ctx, struct server_request *r)
{
	struct collection *c = mem_alloc(sizeof *c);

	c->web = ctx;
	c->request = r;
	c->waiting = PEERS;
	for (size_t i = 0; i < PEERS; i++) {
		c->answers[i].collection = c;
		ask_send(c->web->ask, peers[i].role, CHANNEL_METRICS, NULL, 0, METRICS_WAIT, on_text, &c->answers[i]);
	}
}
