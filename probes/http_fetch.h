/*
 * http_fetch: one HTTP request over one family, through its redirects. The http type and the scorecard both fetch by it.
 *
 *   http_pool_new -> http_fetch_start ... on_end, or http_fetch_stop -> http_pool_free
 *
 * Each hop is a connection of its own, with the name in Host and SNI; HTTP/1.1, no proxy, no netrc, no content coding asked for (the
 * body is looked at as it comes), no TLS session taken up again. Cookies are carried along its own redirects and then forgotten; a jar of the
 * owner's carries them further. HTTP is libcurl's on a socket that dial connected, so that all types fail to connect in the same words.
 * A redirect is followed by ourselves, hop by hop: http and https only, no user part, the host resolved by our resolver in the
 * family (that of the request has its address already), may_probe asked, headers sent to the first origin only, a body with a
 * secret as well. Phases are summed over the hops, so that they add up.
 * A certificate is judged inside the handshake (certificate.h); the days are the fewest of all hops, of good ones and bad ones.
 * The end tells apart: an answer (any status), a failure of the server, a fault of our own.
 * Thread: the loop's. Limits: http_answer.h.
 */
#ifndef PROBES_HTTP_FETCH_H
#define PROBES_HTTP_FETCH_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/sample.h"

struct config_texts;
struct http_answer;
struct http_expect;
struct http_fetch;
struct http_pool;
struct probe_env;
struct sockaddr;

/* Shared by all fetches of a type: roots that are loaded once, handles that are used again. */
struct http_pool *http_pool_new(void);
void http_pool_free(struct http_pool *); /* when no fetch is left */

/* Borrowed until the end, but for the URL. */
struct http_request {
	const char *url;
	enum family family;
	const char *host;                    /* of this name ("" none) the address is known */
	const struct sockaddr *address;
	const char *method, *body;           /* body NULL: none */
	const struct config_texts *headers;  /* NULL: none */
	bool has_secret;                     /* the body is for the first origin alone */
	CURLSH *cookies;                     /* NULL: those of its own hops alone */
	int64_t redirects;                   /* followed at most; 0: it is the answer */
	int64_t timeout;                     /* ns */
	bool owner_ends;                     /* the owner stops it then, and it does not end by itself */
	bool verify;
	const char *ca;
	const struct http_expect *expect;
};

enum http_outcome { HTTP_ANSWERED, HTTP_FAILED, HTTP_OURS };

/* Over all hops, in s. The total is without resolving. */
struct http_times {
	double resolve, connect, tls, first_byte, total, days;
	bool has_connect, has_tls, has_first_byte, has_days; /* connect: of the last hop too */
	unsigned hops; /* redirects followed */
	char days_host[64]; /* whose certificate the days are of; cut */
};

/* Borrowed during the call; of the answer the body may be taken. */
struct http_end {
	enum http_outcome outcome;
	const char *reason; /* of a failure; "" */
	const char *way;    /* "redirected to https://x/: ", or "" */
	const char *url, *host; /* where the answer came from */
	bool is_html;       /* by its type, or it says none */
	struct http_answer *answer;
	struct http_times times;
};

/* on_end is called exactly once, never from inside this call; the fetch is gone then. */
struct http_fetch *http_fetch_start(const struct probe_env *, struct http_pool *, const struct http_request *,
	void (*on_end)(void *ctx, const struct http_end *), void *ctx);
void http_fetch_stop(struct http_fetch *); /* no callback; accepts NULL */

/* What a fetch that is under way has measured, and why it is late when its time ends now; whose fault that is. */
struct http_times http_fetch_times(const struct http_fetch *);
const struct http_answer *http_fetch_answer(const struct http_fetch *);
enum http_outcome http_fetch_late(const struct http_fetch *, int64_t limit, char *why, size_t room);

/* Scheme, host and port are the same (RFC 6454). */
bool http_same_origin(CURLU *, CURLU *);

#endif
