/*
 * http: libcurl's multi interface on the libevent loop: many transfers, none blocks.
 *
 * One client per process. A request ends exactly once, through on_done, or is cancelled, after which
 * nothing of it is called. libcurl resolves nothing by itself here: whoever starts a request for a name gives the
 * addresses (CURLOPT_RESOLVE / CONNECT_TO) on the easy handle.
 * The uplink and the http probe use it; policy (headers, limits) belongs to them: they set options
 * on the easy handle, this module owns the loop glue only.
 */
#ifndef LIB_HTTP_H
#define LIB_HTTP_H

#include <curl/curl.h>

struct event_base;
struct http_client;

struct http_client *http_client_new(struct event_base *);
void http_client_free(struct http_client *); /* cancels what runs; accepts NULL */
/* Starts the transfer of an easy handle that the caller owns. on_done runs on the loop, never from inside
 * this call. CURLOPT_PRIVATE is used here. */
void http_start(struct http_client *, CURL *easy, void (*on_done)(void *ctx, CURL *easy, CURLcode), void *ctx);
void http_cancel(struct http_client *, CURL *easy);

#endif
