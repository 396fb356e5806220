/*
 * http_answer: what of an HTTP answer the options of a check ask about, taken from header lines and pieces of body as
 * they come, and judged at the end. Pure; everything that comes in is hostile and bounded here.
 *
 *   http_answer_init -> http_answer_begin for each request -> _header ..., _body ... -> _judge -> http_answer_fini
 *
 * Limits: HTTP_HEADERS_MAX bytes of header lines, HTTP_LOCATION_MAX of a redirect's address, the option body_max of
 * body, of which the conditions look at the first HTTP_LOOK_MAX.
 */
#ifndef PROBES_HTTP_ANSWER_H
#define PROBES_HTTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/buf.h"
#include "probes/catalog_http.h"
#include "probes/match.h"

#define HTTP_HEADERS_MAX (256u << 10)
#define HTTP_LOCATION_MAX 2048u
#define HTTP_LOOK_MAX (1u << 20) /* a pattern takes 15 ms for as much */

struct http_answer {
	const struct http_options *options;
	struct match header, expect, forbid; /* of the conditions that are set */
	bool keeps_body, follows;
	/* of the request under way: */
	int status; /* 0: no status line yet */
	size_t header_bytes, body_bytes;
	bool headers_whole; /* the empty line behind them has come */
	bool header_met, header_flood, location_too_long, has_location, cut;
	char *location; /* text of the Location header, HTTP_LOCATION_MAX bytes at most; NULL */
	struct buf body;
};

void http_answer_init(struct http_answer *, const struct http_options *); /* checked options, borrowed */
void http_answer_fini(struct http_answer *);
/* A new request. follows: a redirect is going to be followed, so its body is of no interest. */
void http_answer_begin(struct http_answer *, bool follows);
/* One line, with or without its end. False: enough was read, stop. */
bool http_answer_header(struct http_answer *, const char *line, size_t len);
bool http_answer_body(struct http_answer *, const char *data, size_t len);
/* It sends the client elsewhere (301, 302, 303, 307, 308 with a Location). */
bool http_answer_is_redirect(const struct http_answer *);
/* 0: all conditions hold. -1: why says which does not. */
int http_answer_judge(struct http_answer *, char *why, size_t room);

#endif
