/*
 * http_answer: what of an HTTP answer its conditions ask about, taken from header lines and pieces of body as
 * they come, and judged at the end. Pure; everything that comes in is hostile and bounded here.
 *
 *   http_answer_init -> http_answer_begin for each request -> _header ..., _body ... -> _judge -> http_answer_fini
 *
 * Limits: HTTP_HEADERS_MAX bytes of header lines, HTTP_LOCATION_MAX of a redirect's address; of the body what the conditions say,
 * JSON_TEXT_MAX of one that is read as JSON.
 */
#ifndef PROBES_HTTP_ANSWER_H
#define PROBES_HTTP_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/buf.h"
#include "lib/sample.h"
#include "probes/match.h"

#define HTTP_HEADERS_MAX (256u << 10)
#define HTTP_LOCATION_MAX 2048u
#define HTTP_LOOK_MAX (1u << 20) /* of a check's conditions: a pattern takes 15 ms for as much */

struct http_options;
struct json_condition;
struct json_library;

/* What an answer must be. Checked texts, borrowed; "" or NULL: nothing is asked. */
struct http_expect {
	const char *status;         /* "200-399,401" */
	const char *header;         /* "Name: bytes" or "Name: ~pattern" */
	const char *body, *forbid;  /* bytes or "~pattern" */
	size_t body_max, look_max;  /* bytes that are read; that are kept of these and looked at */
	bool keeps_headers;         /* all lines, for others to look at */
	const struct json_condition *json;
	size_t json_count;
	const struct json_library *library;                       /* of json */
	const char *(*value_of)(void *ctx, const char *name);     /* for names in it; NULL: there are none */
	void *value_ctx;
};

/* The conditions of a check. */
struct http_expect http_expect_of(const struct http_options *);

struct http_answer {
	struct http_expect expect;
	struct match header, body_holds, forbid; /* of the conditions that are set */
	bool follows;
	/* of the request under way: */
	int status; /* 0: no status line yet */
	size_t header_bytes, body_bytes;
	bool headers_whole; /* the empty line behind them has come */
	bool header_met, header_flood, location_too_long, has_location, cut;
	char *location; /* text of the Location header, HTTP_LOCATION_MAX bytes at most; NULL */
	struct buf body, headers;
};

void http_answer_init(struct http_answer *, const struct http_expect *); /* copied */
void http_answer_fini(struct http_answer *);
/* A new request. follows: a redirect is going to be followed, so its body is of no interest. */
void http_answer_begin(struct http_answer *, bool follows);
/* One line, with or without its end. False: enough was read, stop. */
bool http_answer_header(struct http_answer *, const char *line, size_t len);
bool http_answer_body(struct http_answer *, const char *data, size_t len);
/* It sends the client elsewhere (301, 302, 303, 307, 308 with a Location). */
bool http_answer_is_redirect(const struct http_answer *);
struct err;
struct json_t;
/* The body as JSON, to be freed by json_free. NULL with words; *outcome: whose fault that is. */
struct json_t *http_answer_json(const struct http_answer *, const struct json_library *, enum outcome *, struct err *);
/* Up: all conditions hold. Else why says which does not, or cannot be told. */
enum outcome http_answer_judge(struct http_answer *, char *why, size_t room);

#endif
