/*
 * http: libcurl's multi interface on the libevent loop: many transfers, none blocks.
 *
 *   http_client_new -> http_start ... on_done, or http_cancel -> http_client_free
 *
 * Connections, and what libcurl keeps of certificates, are shared within a client and with no other. A request
 * ends exactly once, through on_done, or is cancelled, after which nothing of it is called. Policy
 * (addresses, headers, limits, protocols) belongs to the uplink and the http probe that use it: they set
 * options on the easy handle; this module owns the loop glue only.
 * Names: a probe gives the addresses itself (CURLOPT_RESOLVE / CONNECT_TO); else libcurl asks the
 * system's resolver in a thread of its own, which a transfer that ends before it leaves to itself (libcurl from 7.87;
 * older ones wait for it, and the loop with them).
 * Thread: the loop's. Not to be called from inside libcurl's own callbacks (write, header ...): these end a
 * transfer by what they return.
 */
#ifndef LIB_HTTP_H
#define LIB_HTTP_H

#include <curl/curl.h>

struct event_base;
struct http_client;

struct http_client *http_client_new(struct event_base *);
void http_client_free(struct http_client *); /* cancels what runs; not from inside on_done; accepts NULL */
/* Starts the transfer of an easy handle that the caller owns. on_done runs on the loop, never from inside
 * this call; the handle may be freed or started again there. CURLOPT_PRIVATE is used here. */
void http_start(struct http_client *, CURL *easy, void (*on_done)(void *ctx, CURL *easy, CURLcode), void *ctx);
/* Harmless on a handle that does not run. */
void http_cancel(struct http_client *, CURL *easy);

#endif
