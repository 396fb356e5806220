#include "collector/web/front.h"

#include <event2/event.h>
#include <event2/util.h>
#include <stdlib.h>

#include "collector/channel.h"
#include "collector/judge/verdict.h"
#include "collector/settings.h"
#include "collector/web/api.h"
#include "collector/web/ask.h"
#include "collector/web/assets.h"
#include "collector/web/graph.h"
#include "collector/web/judged.h"
#include "collector/web/live.h"
#include "collector/web/metrics.h"
#include "collector/web/model.h"
#include "collector/web/server.h"
#include "collector/web/state.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/fence.h"
#include "lib/ipc.h"
#include "lib/log.h"
#include "lib/mem.h"

#define LATEST_WAIT (5 * NS_PER_S)
#define LATEST_MORE (1u << 20) /* an answer this long may be a part: ask on at once */

struct front {
	struct web web;
	struct event *beat;
	unsigned beats;
	bool asking, ending;
	uint64_t asked; /* the version of the rows that series was asked from last */
	bool asking_states;
	uint64_t states_version, asked_states; /* of what judgement said: taken; known when it was asked last */
};

/* ---- health */

static void answer_words(struct server_request *r, int status, const char *words)
{
	struct buf b = {0};

	buf_add_format(&b, "%s\n", words);
	server_answer(r, &(struct server_answer){
		.status = status, .type = "text/plain; charset=utf-8", .body = &b});
}

static void handle_healthy(void *ctx, struct server_request *r)
{
	(void)ctx;
	answer_words(r, 200, "healthy");
}

static void handle_ready(void *ctx, struct server_request *r)
{
	const struct web *w = ctx;

	if (!ask_is_connected(w->ask, PROCESS_INGEST))
		answer_words(r, 503, "not ready: ingest is not there");
	else if (!ask_is_connected(w->ask, PROCESS_SERIES) || !w->has_rows)
		answer_words(r, 503, "not ready: series has not answered yet");
	else
		answer_words(r, 200, "ready");
}

static const struct server_route routes[] = {
	{"/api/v1/overview", api_overview},
	{"/api/v1/systems/", api_system},
	{"/api/v1/links/", api_link},
	{"/api/v1/sites/", api_site},
	{"/api/v1/sites", api_sites},
	{"/api/v1/agents/", api_host},
	{"/api/v1/checks/", api_check},
	{"/api/v1/values", graph_values},
	{"/api/v1/graph.svg", graph_svg},
	{"/api/v1/graph.png", graph_png},
	{"/api/v1/incidents", judged_incidents},
	{"/api/v1/ledger", judged_ledger},
	{"/api/v1/availability", judged_availability},
	{"/api/v1/events", live_handle},
	{"/metrics", metrics_handle},
	{"/-/healthy", handle_healthy},
	{"/-/ready", handle_ready},
	{"/", assets_handle},
	{"/assets/", assets_handle},
	{NULL, NULL},
};

/* ---- news from series */

static void ask_latest(struct front *);

static void on_row(void *ctx, const struct channel_row *row)
{
	const struct web *w = ctx;

	model_take(w->model, row); /* or not: the inventory no longer has it */
}

static void settle(struct front *f)
{
	if (model_settle(f->web.model, clock_real()))
		live_publish(f->web.live);
}

/* What came is all that there is up to its version, unless it was asked from a version of another start of series, or a
 * reload came between that wants all rows again. */
static void on_latest(void *ctx, const struct ipc_message *m, const char *words)
{
	struct front *f = ctx;
	struct web *w = &f->web;
	uint64_t version, instance;
	bool is_whole;

	f->asking = false;
	if (f->ending)
		return;
	if (m == NULL || m->type != CHANNEL_LATEST_ROWS ||
		channel_rows_decode(m->body, m->len, &version, &instance, on_row, w) < 0) {
		log_warn("no news of the series why=\"%s\"", words != NULL ? words : "the answer cannot be read");
		return;
	}
	is_whole = f->asked == 0 || (f->asked == w->rows_version && instance == w->rows_instance);
	w->rows_instance = instance;
	w->rows_version = is_whole ? version : 0;
	if (!is_whole || m->len >= LATEST_MORE) {
		ask_latest(f);
		return;
	}
	if (!w->has_rows)
		log_info("states of the series are known rows=%zu", model_rows(w->model));
	w->has_rows = true;
	settle(f);
}

static void ask_latest(struct front *f)
{
	struct buf body = {0};

	if (f->asking || !ask_is_connected(f->web.ask, PROCESS_SERIES))
		return;
	f->asking = true;
	f->asked = f->web.rows_version;
	buf_add_u64(&body, f->asked);
	ask_send(f->web.ask, PROCESS_SERIES, CHANNEL_LATEST, body.data, body.len, LATEST_WAIT, on_latest, f);
	buf_fini(&body);
}

/* ---- news from judgement */

static enum model_state shown(uint8_t state)
{
	switch ((enum state)state) {
	case STATE_UP:
		return MODEL_UP;
	case STATE_UNKNOWN:
		return MODEL_UNKNOWN;
	case STATE_DEGRADED:
		return MODEL_DEGRADED;
	case STATE_DOWN:
		return MODEL_DOWN;
	case STATE_MAINTENANCE:
		return MODEL_MAINTENANCE;
	case STATE_NONE:
		break;
	}
	return MODEL_NONE;
}

static void on_state(void *ctx, const struct channel_state *s)
{
	const struct web *w = ctx;

	model_judge(w->model, s->subject, &(struct model_judgement){.state = shown(s->state),
		.families = {[MODEL_V4] = shown(s->v4), [MODEL_V6] = shown(s->v6)}, .since = s->since});
}

static void ignore_state(void *ctx, const struct channel_state *s)
{
	(void)ctx, (void)s;
}

static void on_states(void *ctx, const struct ipc_message *m, const char *words)
{
	struct front *f = ctx;
	uint64_t version;
	int64_t reached;

	f->asking_states = false;
	if (f->ending)
		return;
	/* Once without effect: a body that does not decode as a whole changes nothing. */
	if (m == NULL || m->type != CHANNEL_STATES_ROWS ||
		channel_states_decode(m->body, m->len, &version, &reached, ignore_state, NULL) < 0) {
		log_warn("no news of judgement why=\"%s\"", words != NULL ? words : "the answer cannot be read");
		return;
	}
	/* Asked before a reload, it may lack rows that are wanted now. */
	if (f->asked_states != f->states_version)
		return;
	if (version != f->states_version) {
		model_judge_begin(f->web.model);
		channel_states_decode(m->body, m->len, &version, &reached, on_state, &f->web);
		f->states_version = version;
	}
	model_judged_up_to(f->web.model, reached);
	settle(f);
}

static void ask_states(struct front *f)
{
	struct buf body = {0};

	if (f->asking_states || !ask_is_connected(f->web.ask, PROCESS_JUDGE))
		return;
	f->asking_states = true;
	f->asked_states = f->states_version;
	buf_add_u64(&body, f->asked_states);
	ask_send(f->web.ask, PROCESS_JUDGE, CHANNEL_STATES, body.data, body.len, LATEST_WAIT, on_states, f);
	buf_fini(&body);
}

static void on_beat(evutil_socket_t fd, short what, void *ctx)
{
	struct front *f = ctx;

	(void)fd, (void)what;
	ask_latest(f);
	ask_states(f);
	settle(f);
	if (++f->beats % LIVE_TICK_S == 0)
		live_tick(f->web.live);
}

/* ---- life */

/* One address may be missing on this host (no IPv6, say): told, but the others serve. */
static int listen_on_all(struct front *f, struct err *e)
{
	const struct config_texts *listen = &f->web.settings->web.listen;
	size_t served = 0;

	for (size_t i = 0; i < listen->count; i++) {
		if (server_listen(f->web.server, listen->items[i], e) < 0) {
			log_error("pages are not served there: %s", e->text);
			continue;
		}
		log_info("pages are served address=%s", listen->items[i]);
		served++;
	}
	return served > 0 ? 0 : err_set(e, "the pages have no address that works");
}

struct front *front_new(struct event_base *base, const struct settings *settings,
	const struct inventory *inventory, struct err *e)
{
	const struct timeval second = {1, 0};
	struct front *f = mem_alloc(sizeof *f);

	f->web = (struct web){.base = base, .settings = settings, .model = model_new(inventory, NULL),
		.ask = ask_new(base), .has_landlock = fence_has_landlock()};
	evutil_secure_rng_get_bytes(&f->web.instance, sizeof f->web.instance);
	f->web.server = server_new(base, routes, &f->web);
	f->web.live = live_new(&f->web);
	f->beat = event_new(base, -1, EV_PERSIST, on_beat, f);
	event_add(f->beat, &second);
	model_set_opened(f->web.model, clock_real());
	model_settle(f->web.model, clock_real());
	if (listen_on_all(f, e) < 0) {
		front_free(f);
		return NULL;
	}
	return f;
}

void front_free(struct front *f)
{
	if (f == NULL)
		return;
	f->ending = true;
	event_free(f->beat);
	/* Questions fail first: their requests are answered then. */
	ask_free(f->web.ask);
	live_free(f->web.live);
	server_free(f->web.server);
	model_free(f->web.model);
	free(f);
}

void front_connect(struct front *f, enum process_role peer, int fd)
{
	ask_connect(f->web.ask, peer, fd);
	if (peer == PROCESS_SERIES)
		ask_latest(f);
	if (peer == PROCESS_JUDGE)
		ask_states(f);
	if (peer == PROCESS_INGEST)
		model_set_opened(f->web.model, clock_real());
}

void front_reload(struct front *f, const struct settings *settings, const struct inventory *inventory)
{
	struct model *old = f->web.model;

	f->web.settings = settings;
	f->web.model = model_new(inventory, old);
	model_free(old);
	model_settle(f->web.model, clock_real());
	/* Rows of checks that the old inventory did not have were left out: read all again. */
	f->web.rows_version = 0;
	f->states_version = 0;
	live_reset(f->web.live);
	ask_latest(f);
	ask_states(f);
}
