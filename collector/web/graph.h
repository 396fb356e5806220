/*
 * graph: the values of series for the page's own graphs, and pictures of them.
 *
 * Values are asked of series; a picture asks series for the values of each of its layers, hands them to render
 * and answers with what comes back. Each waits for one answer at a time and ends exactly once.
 * Thread: the loop's. Limits: GRAPH_POINTS rows, GRAPH_LAYERS of a picture, GRAPH_WAIT for all of it.
 */
#ifndef COLLECTOR_WEB_GRAPH_H
#define COLLECTOR_WEB_GRAPH_H

#include "lib/clock.h"

struct channel_values;
struct json;
struct server_request;

#define GRAPH_POINTS 4000
#define GRAPH_LAYERS 8
#define GRAPH_WAIT (10 * NS_PER_S)

/* Handlers: ctx is struct web. */
void graph_values(void *web, struct server_request *);
void graph_svg(void *web, struct server_request *);
void graph_png(void *web, struct server_request *);

/* "start", "step", "rows", "columns" as fields of the object that is open. */
void graph_put_values(struct json *, const struct channel_values *);

#endif
