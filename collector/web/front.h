/*
 * front: the parts of the web process put together: server, routes, model, the peers' news.
 *
 *   front_new (listens) -> front_connect when a peer is there, front_reload for a new generation -> front_free
 *
 * Asks series once a second which rows have changed; ages what has not. Thread: the loop's.
 */
#ifndef COLLECTOR_WEB_FRONT_H
#define COLLECTOR_WEB_FRONT_H

#include "collector/process.h"

struct err;
struct event_base;
struct front;
struct inventory;
struct settings;

/* settings and inventory are borrowed until front_reload or front_free returns. NULL with err: no address to listen on. */
struct front *front_new(struct event_base *, const struct settings *, const struct inventory *, struct err *);
void front_free(struct front *); /* accepts NULL */
void front_connect(struct front *, enum process_role peer, int fd); /* takes the descriptor */
/* Addresses to listen on stay as they are. */
void front_reload(struct front *, const struct settings *, const struct inventory *);

#endif
