/*
 * render: the role of the worker that draws pictures. It gets values, hands pictures back, and has nothing else: a crash
 * in the drawing libraries costs the picture, and the parent starts it again.
 */
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "collector/channel.h"
#include "collector/confine.h"
#include "collector/process.h"
#include "collector/render_draw.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/ipc.h"
#include "lib/log.h"

#define SIZE_MAX_PIXELS 4000
#define PICTURES_MAX 100000 /* librrd 1.7 loses some 600 bytes with each: then a fresh worker */

struct worker {
	struct process *process;
	struct ipc *web;
	uint64_t drawn, failed;
	int64_t spent; /* ns */
};

static int draw(struct worker *w, const struct ipc_message *m, struct buf *out, struct err *e)
{
	struct channel_render r;
	void *block = NULL;
	int64_t begun = clock_mono();
	int rc;

	if (channel_render_decode(m->body, m->len, &r, &block) < 0)
		return err_set(e, "the request to draw cannot be read");
	if (r.format > 1 || r.width > SIZE_MAX_PIXELS || r.height > SIZE_MAX_PIXELS || r.from >= r.to)
		rc = err_set(e, "the request to draw is out of bounds");
	else
		rc = render_draw(&r, out, e);
	free(block);
	if (rc == 0 && out->len > IPC_BODY_MAX)
		rc = err_set(e, "the picture is too large");
	w->spent += clock_mono() - begun;
	if (rc == 0)
		w->drawn++;
	else
		w->failed++;
	return rc;
}

static void add_metrics(const struct worker *w, struct buf *out)
{
	buf_add_format(out,
		"# HELP xunjian_render_pictures_total Pictures drawn by the worker since it started.\n"
		"# TYPE xunjian_render_pictures_total counter\nxunjian_render_pictures_total %llu\n"
		"# HELP xunjian_render_failures_total Pictures that could not be drawn.\n"
		"# TYPE xunjian_render_failures_total counter\nxunjian_render_failures_total %llu\n"
		"# HELP xunjian_render_seconds_total Time spent on drawing.\n"
		"# TYPE xunjian_render_seconds_total counter\nxunjian_render_seconds_total %.6f\n",
		(unsigned long long)w->drawn, (unsigned long long)w->failed,
		(double)w->spent / (double)NS_PER_S);
}

static void on_message(void *ctx, struct ipc_message *m)
{
	struct worker *w = ctx;
	struct buf out = {0};
	struct err e;

	if (m->fd >= 0)
		close(m->fd);
	if (m->type == CHANNEL_METRICS) {
		add_metrics(w, &out);
		ipc_send(w->web, CHANNEL_METRICS_TEXT, m->id, out.data, out.len, -1);
	} else if (m->type == CHANNEL_RENDER && draw(w, m, &out, &e) == 0) {
		ipc_send(w->web, CHANNEL_PICTURE, m->id, out.data, out.len, -1);
	} else if (m->type == CHANNEL_RENDER) {
		log_warn("a picture cannot be drawn: %s", e.text);
		ipc_send(w->web, CHANNEL_FAILED, m->id, e.text, strlen(e.text), -1);
	}
	buf_fini(&out);
	if (w->drawn + w->failed >= PICTURES_MAX)
		process_end(w->process, 0);
}

static void on_gone(void *ctx, const char *why)
{
	struct worker *w = ctx;

	log_debug("the channel to web is gone why=\"%s\"", why);
	ipc_free(w->web);
	w->web = NULL;
}

static void on_peer(void *ctx, enum process_role peer, int fd)
{
	struct worker *w = ctx;

	(void)peer;
	ipc_free(w->web);
	w->web = ipc_new(fd);
	ipc_start(w->web, process_base(w->process), on_message, on_gone, w);
}

int render_run(struct process *p)
{
	static const struct process_events events = {.on_peer = on_peer};
	struct worker w = {.process = p};
	struct err e;
	int status;

	render_draw_init();
	render_draw_warm_up();
	if (confine_render(process_settings(p), &e) < 0) {
		log_error("%s", e.text);
		return 1;
	}
	process_on(p, &events, &w);
	process_ready(p);
	status = process_loop(p);
	ipc_free(w.web);
	return status;
}
