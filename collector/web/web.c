/*
 * web: the role of the process that serves the pages and the API.
 */
#include <stdbool.h>
#include <stdlib.h>

#include "collector/confine.h"
#include "collector/process.h"
#include "collector/settings.h"
#include "collector/web/front.h"
#include "lib/err.h"
#include "lib/log.h"

struct role {
	struct process *process;
	struct front *front;
};

static void on_peer(void *ctx, enum process_role peer, int fd)
{
	struct role *r = ctx;

	front_connect(r->front, peer, fd);
}

static void on_reload(void *ctx)
{
	struct role *r = ctx;

	front_reload(r->front, process_settings(r->process), process_inventory(r->process));
}

int web_run(struct process *p)
{
	static const struct process_events events = {.on_peer = on_peer, .on_reload = on_reload};
	struct role r = {.process = p};
	struct err e;
	int status;

	r.front = front_new(process_base(p), process_settings(p), process_inventory(p), &e);
	if (r.front == NULL) {
		log_error("%s", e.text);
		return 1;
	}
	/* The addresses are bound: from here on no right of root is needed. */
	if (confine_web(process_settings(p), &e) < 0) {
		log_error("%s", e.text);
		front_free(r.front);
		return 1;
	}
	process_on(p, &events, &r);
	process_ready(p);
	status = process_loop(p);
	front_free(r.front);
	return status;
}
