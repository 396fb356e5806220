/*
 * http_parts: what http_hop.c and http_easy.c share. Of these files only: everyone else reads probes/http_fetch.h.
 *
 *   http_hop.c    a fetch, hop by hop: resolve, connect, request, follow; its end in words
 *   http_easy.c   handles of libcurl, kept for the next fetch, and all that is told them
 */
#ifndef PROBES_HTTP_PARTS_H
#define PROBES_HTTP_PARTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probes/certificate.h"
#include "probes/http_answer.h"
#include "probes/http_fetch.h"

#define HTTP_IDLE_MAX 64 /* easy handles kept for the next fetch: a new one costs more than all options set again */

struct http_pool {
	struct certificate_stores *stores;
	size_t idle_count;
	CURL *idle[HTTP_IDLE_MAX];
};

enum http_phase { PHASE_RESOLVE, PHASE_CONNECT, PHASE_REQUEST };

struct http_fetch {
	const struct probe_env *env;
	struct http_pool *pool;
	struct http_request request;
	void (*on_end)(void *ctx, const struct http_end *);
	void *ctx;
	int64_t deadline;
	struct event *timer; /* begins, then ends it */
	enum http_phase phase;
	/* of the hop under way: */
	CURLU *url, *first; /* first: of the request */
	char *host;
	bool is_https;
	struct resolve_query *query;
	struct dial *dial;
	int64_t dialled; /* ns */
	int fd;          /* connected, until libcurl has it; -1 */
	CURL *easy;
	struct curl_slist *headers, *connect_to;
	struct certificate certificate;
	struct http_answer answer;
	unsigned cookies_set; /* lines */
	char error[CURL_ERROR_SIZE];
	/* over all hops: */
	bool drops_body; /* it became GET (RFC 9110 section 15.4) */
	struct curl_slist *cookies; /* that the hops before gave, as libcurl writes them; of a fetch without a jar of its owner's */
	struct http_times times;
};

/* Whether the hop under way goes where the request did. */
bool http_is_first_origin(const struct http_fetch *);

CURL *http_easy_take(struct http_pool *);
void http_easy_give(struct http_fetch *, CURL *);
/* Of the hop under way. */
void http_easy_set_options(struct http_fetch *);
/* Those that the hop gave, for the next one. */
void http_easy_keep_cookies(struct http_fetch *);

#endif
