/*
 * server: HTTP on loopback (libevent's evhttp behind a small interface), with the guards in front of every handler.
 *
 *   server_new -> server_listen ... on each request its route's handler -> server_answer (at once or later) -> server_free
 *
 * A handler gets a request that is GET or HEAD, has no body, names this host (localhost or a loopback address, so that a
 * name that an attacker points here gets nothing), and whose target is a plain path: no "..", no "//", no "%00". A
 * request is answered exactly once, also when the client has gone; or it becomes a stream.
 * Every answer carries the same security headers (a policy under which nothing is loaded from elsewhere, nothing inline).
 * Thread: the loop's. Limits: 8 KiB target, 16 KiB head, 150 s idle between requests and within one, or in which nothing of an answer
 * is taken, 1 MiB queued on a stream.
 */
#ifndef COLLECTOR_WEB_SERVER_H
#define COLLECTOR_WEB_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;
struct err;
struct event_base;
struct server;
struct server_request;

struct server_route {
	const char *path; /* "/api/v1/overview"; one that ends with '/' takes all that is below it */
	void (*handle)(void *ctx, struct server_request *);
};

struct server_counts {
	uint64_t requests[6]; /* by the first digit of the status */
	uint64_t refused;     /* by a guard */
	size_t open, streams; /* not answered yet; of these, streams */
};

/* routes ends with path NULL; the first that fits. None fits: 404 like any other absent thing. */
struct server *server_new(struct event_base *, const struct server_route *routes, void *ctx);
/* "127.0.0.1:8080" or "[::1]:8080"; refuses what is not loopback. */
int server_listen(struct server *, const char *address, struct err *);
/* Others than those, for connections that come. */
void server_set_limits(struct server *, int64_t idle, int64_t sending);
void server_free(struct server *); /* answers 503 to what waits; ends streams; accepts NULL */
const struct server_counts *server_counts(const struct server *);

/* ---- a request */
const char *server_path(const struct server_request *);
/* Behind a route that ends with '/'; never empty. */
const char *server_rest(const struct server_request *);
/* A value of the query, decoded, UTF-8 without controls; NULL when it is not there. Borrowed. */
const char *server_query(const struct server_request *, const char *key);
/* A whole number of the query; *out stays as it is without one. -1: it is none, or outside. */
int server_query_int(const struct server_request *, const char *key, int64_t min, int64_t max, int64_t *out);
const char *server_header(const struct server_request *, const char *name); /* or NULL */
bool server_takes_gzip(const struct server_request *);

/* ---- its answer; the request is gone afterwards */
struct server_answer {
	int status;
	const char *type;          /* media type; NULL none */
	const char *etag;          /* quoted, NULL none: answers 304 by itself when the client has it */
	const char *cache;         /* Cache-Control; NULL: no-store */
	const char *encoding;      /* NULL, "gzip" */
	const char *name;          /* of the file when it is saved; NULL none */
	const void *data;          /* lasts for ever: sent without a copy; else NULL and body */
	size_t len;
	struct buf *body;          /* taken, empty afterwards */
};
void server_answer(struct server_request *, const struct server_answer *);
/* {"error": words} */
void server_fail(struct server_request *, int status, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* The one answer for what is not there (and, later, for what may not be seen). */
void server_fail_absent(struct server_request *);

/* ---- or a stream of server-sent events */
/* on_closed: the client has gone; the request is gone when it returns. */
void server_stream(struct server_request *, void (*on_closed)(void *ctx, struct server_request *), void *ctx);
/* -1: the client does not read; close it. */
int server_stream_send(struct server_request *, const void *data, size_t len);
void server_stream_end(struct server_request *);

#endif
