/*
 * page_fetch: one page by GET over one family, through its redirects, each hop over that family.
 *
 *   page_fetch_start ... on_end, or page_fetch_stop
 *
 * As the http type does it: each hop is a connection of its own that dial made, its host resolved by our resolver in the
 * family, may_probe asked, HTTP is libcurl's. No cookies, no proxy, no content coding. The whole fetch has one limit of time.
 * The end tells apart: an answer (any status), a failure of the page, our own fault.
 * Thread: the loop's. Limits: FETCH_REDIRECTS hops, the body's bytes by the request, headers as in http_answer.h.
 */
#ifndef PROBES_PAGE_FETCH_H
#define PROBES_PAGE_FETCH_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/sample.h"

#define FETCH_REDIRECTS 5

struct certificate_stores;
struct page_fetch;
struct probe_env;

struct page_request {
	const char *url; /* copied */
	enum family family;
	const char *host;                        /* has this address and is not resolved; borrowed */
	const struct sockaddr_storage *address;  /* borrowed */
	int64_t timeout;
	size_t body_max;
	bool verify;
	const char *ca; /* borrowed */
	struct certificate_stores *stores;
};

enum page_outcome { PAGE_ANSWERED, PAGE_FAILED, PAGE_OURS };

/* Borrowed during the call, but for the body, which may be taken. */
struct page_end {
	enum page_outcome outcome;
	const char *reason; /* of a failure: words; "" */
	int status;         /* of the last answer; 0 none */
	const char *url;    /* where it came from */
	bool is_html;       /* by its type, or it says none */
	struct buf *body;
	double connect, first_byte, total; /* s, over all hops; resolving is in none */
};

/* on_end is called exactly once, never from inside this call. */
struct page_fetch *page_fetch_start(const struct probe_env *, const struct page_request *,
	void (*on_end)(void *ctx, const struct page_end *), void *ctx);
void page_fetch_stop(struct page_fetch *); /* no callback; accepts NULL */
/* 2xx at the end of all redirects. */
bool page_is_reached(const struct page_end *);

#endif
