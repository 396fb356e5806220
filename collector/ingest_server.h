/*
 * ingest_server: the HTTPS listeners that agents push to: mutual TLS 1.3, limits, who is asking. What the paths mean is
 * ingest.c's.
 *
 *   ingest_server_new -> on_request ... ingest_server_answer, once each, now or later -> ingest_server_free
 *
 * Only clients with a certificate of our authority get past the handshake. Bodies are whole, of stated length, at most
 * WIRE_BODY_MAX as sent. What is slow or too much gives way, the oldest first: a connection without a whole request
 * SERVER_FIRST_WITHIN after it came, a request that takes longer than SERVER_REQUEST_WITHIN and does not keep up
 * SERVER_RATE_MIN, an agent's connections above its number (the new one is the living one), of all connections those
 * that have not shown a certificate; with max_connections of agents the listeners rest until one closes, and without descriptors for a second.
 * Thread: the loop's.
 */
#ifndef COLLECTOR_INGEST_SERVER_H
#define COLLECTOR_INGEST_SERVER_H

#include <stddef.h>
#include <stdint.h>

#include "lib/clock.h"

struct err;
struct event_base;
struct evhttp_request;
struct ingest_server;
struct settings_ingest;

#define SERVER_FIRST_WITHIN (10 * NS_PER_S)
#define SERVER_REQUEST_WITHIN (12 * NS_PER_S)
#define SERVER_RATE_MIN (16 << 10)     /* bytes/s */
#define SERVER_RECEIVING_MAX (256u << 20) /* bytes of requests that are not whole yet, of all connections */

struct ingest_server_stats {
	uint64_t connections, requests; /* open now; whole requests in all */
	uint64_t unproven;              /* ended before they had shown a certificate */
	uint64_t slow, excess;          /* closed by us: too slow; too many or too much */
	uint64_t malformed, nameless;   /* answered here: 400; 403 to a certificate that names nobody */
};

/* Borrows the settings until the next reload. NULL with err: an address or a file. */
struct ingest_server *ingest_server_new(struct event_base *, const struct settings_ingest *,
	void (*on_request)(void *ctx, struct evhttp_request *, const char *identity), void *ctx, struct err *);
void ingest_server_free(struct ingest_server *); /* accepts NULL */
/* Whose certificate was shown, and from when until when it holds, s UTC: at each handshake. */
void ingest_server_on_agent(struct ingest_server *, void (*on_agent)(void *ctx, const char *agent, int64_t from, int64_t until));
/* New certificates and limits for new connections; addresses stay. -1: the old certificates stay. */
int ingest_server_reload(struct ingest_server *, const struct settings_ingest *, struct err *);
void ingest_server_stats(const struct ingest_server *, struct ingest_server_stats *);

/* When its first byte came, ns UTC: nearer to the time of sending than its end. */
int64_t ingest_server_received(struct evhttp_request *);
/* retry_after: seconds, 0 none. body may be NULL. */
void ingest_server_answer(struct evhttp_request *, int status, const void *body, size_t len, int retry_after);

#endif
