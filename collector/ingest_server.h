/*
 * ingest_server: the HTTPS listeners that agents push to: mutual TLS 1.3, limits, who is asking. What the paths mean is
 * ingest.c's.
 *
 *   ingest_server_new -> on_request ... ingest_server_answer, once each, now or later -> ingest_server_free
 *
 * Only clients with a certificate of our authority get past the handshake. Bodies are whole, of stated length, at most
 * WIRE_BODY_MAX as sent. With max_connections open the listeners rest until one closes.
 * Thread: the loop's.
 */
#ifndef COLLECTOR_INGEST_SERVER_H
#define COLLECTOR_INGEST_SERVER_H

#include <stddef.h>
#include <stdint.h>

struct err;
struct event_base;
struct evhttp_request;
struct ingest_server;
struct settings_ingest;

struct ingest_server_stats {
	uint64_t connections, requests, refused; /* open now; in all; answered here: too many, malformed */
};

/* Borrows the settings until the next reload. NULL with err: an address or a file. */
struct ingest_server *ingest_server_new(struct event_base *, const struct settings_ingest *,
	void (*on_request)(void *ctx, struct evhttp_request *, const char *identity), void *ctx, struct err *);
void ingest_server_free(struct ingest_server *); /* accepts NULL */
/* New certificates and limits for new connections; addresses stay. -1: the old ones stay. */
int ingest_server_reload(struct ingest_server *, const struct settings_ingest *, struct err *);
void ingest_server_stats(const struct ingest_server *, struct ingest_server_stats *);

/* retry_after: seconds, 0 none. body may be NULL. */
void ingest_server_answer(struct evhttp_request *, int status, const void *body, size_t len, int retry_after);

#endif
