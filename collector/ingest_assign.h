/*
 * ingest_assign: agents that ask for their assignments, and those that wait for others (GET with If-None-Match and
 * Prefer: wait=N).
 *
 *   assign_new -> assign_ask ... assign_reload wakes whom a new inventory concerns -> assign_free answers all
 *
 * The ETag is the generation in decimal. Thread: the loop's. Limit: ASSIGN_WAIT_MAX.
 */
#ifndef COLLECTOR_INGEST_ASSIGN_H
#define COLLECTOR_INGEST_ASSIGN_H

struct assign;
struct event_base;
struct evhttp_request;
struct inventory;

#define ASSIGN_WAIT_MAX 60 /* s */

struct assign *assign_new(struct event_base *, const struct inventory *);
void assign_free(struct assign *); /* accepts NULL */
/* Answers the request, now or later. The agent is in the inventory. */
void assign_ask(struct assign *, struct evhttp_request *, const char *agent);
/* The inventory that holds from now on. */
void assign_reload(struct assign *, const struct inventory *);

#endif
