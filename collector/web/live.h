/*
 * live: changes pushed to open pages as server-sent events.
 *
 *   live_new -> live_handle for each page ... live_publish when the model has changed, live_tick now and then -> live_free
 *
 * Events: `change` holds the systems, units, links, sites, agents and checks (ids) that changed, and the totals; its id is
 * "instance.version" of the model, so that a page that comes back gets what it missed; `reset` tells it to
 * read everything again; `tick` says what time it is here and how old the newest data is: a page that
 * hears nothing for LIVE_SILENCE knows that the collector is lost.
 * Thread: the loop's. Limits: LIVE_STREAMS pages.
 */
#ifndef COLLECTOR_WEB_LIVE_H
#define COLLECTOR_WEB_LIVE_H

#include <stddef.h>
#include <stdint.h>

struct live;
struct server_request;
struct web;

#define LIVE_STREAMS 200
#define LIVE_TICK_S 5
#define LIVE_SILENCE (3 * LIVE_TICK_S)

struct live *live_new(struct web *);
void live_free(struct live *); /* before the server; accepts NULL */
void live_handle(void *web, struct server_request *);
void live_publish(struct live *);
void live_reset(struct live *); /* the inventory is another one */
void live_tick(struct live *);
size_t live_count(const struct live *);

#endif
