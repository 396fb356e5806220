#include "probes/http_answer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/err.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "probes/catalog_http.h"
#include "probes/json_read.h"

static void init_match(struct match *m, const char *text)
{
	struct err e;

	if (match_init(m, text, false, &e) < 0)
		assert(!"options are checked");
}

static bool is_set(const char *text)
{
	return text != NULL && *text != '\0';
}

static const char *header_value(const char *header)
{
	const char *value;
	struct err e;

	if (match_check_header(header, &value, &e) < 0)
		assert(!"options are checked");
	return value;
}

struct http_expect http_expect_of(const struct http_options *o)
{
	bool looks = *o->expect_body != '\0' || *o->forbid_body != '\0' || o->json.count > 0;

	return (struct http_expect){.status = o->status, .header = o->expect_header, .body = o->expect_body, .forbid = o->forbid_body,
		.body_max = (size_t)o->body_max, .look_max = looks ? HTTP_LOOK_MAX : 0};
}

void http_answer_init(struct http_answer *a, const struct http_expect *expect)
{
	*a = (struct http_answer){.expect = *expect};
	if (is_set(expect->header))
		init_match(&a->header, header_value(expect->header));
	if (is_set(expect->body))
		init_match(&a->body_holds, expect->body);
	if (is_set(expect->forbid))
		init_match(&a->forbid, expect->forbid);
}

static void forget(struct http_answer *a)
{
	a->headers_whole = a->header_met = a->location_too_long = a->has_location = false;
	free(a->location);
	a->location = NULL;
	buf_clear(&a->headers);
}

void http_answer_fini(struct http_answer *a)
{
	forget(a);
	match_fini(&a->header);
	match_fini(&a->body_holds);
	match_fini(&a->forbid);
	buf_fini(&a->body);
	buf_fini(&a->headers);
}

void http_answer_begin(struct http_answer *a, bool follows)
{
	forget(a);
	buf_clear(&a->body);
	a->follows = follows;
	a->status = 0;
	a->header_bytes = a->body_bytes = 0;
	a->header_flood = a->cut = false;
}

/* ---- headers */

/* "HTTP/1.1 200 OK". An interim answer (100, 103) comes before the one that counts: its headers are forgotten. */
static bool read_status(struct http_answer *a, const char *line, size_t len)
{
	const char *space = len > 5 && strncasecmp(line, "HTTP/", 5) == 0 ? memchr(line, ' ', len) : NULL;
	int code = 0;

	if (space == NULL)
		return false;
	for (const char *p = space + 1; p < line + len && p < space + 4 && *p >= '0' && *p <= '9'; p++)
		code = code * 10 + (*p - '0');
	forget(a);
	a->status = code;
	return true;
}

static void keep_location(struct http_answer *a, const char *value, size_t len)
{
	if (a->has_location)
		return; /* the first one counts */
	a->has_location = true;
	a->location_too_long = len > HTTP_LOCATION_MAX || memchr(value, '\0', len) != NULL;
	if (a->location_too_long)
		return;
	a->location = mem_alloc(len + 1);
	memcpy(a->location, value, len);
}

/* The empty line behind the headers. */
static bool is_end(const char *line, size_t len)
{
	return len == 0 || line[0] == '\r' || line[0] == '\n';
}

/* A redirect that is followed: its body is not waited for. */
static bool is_left_behind(const struct http_answer *a)
{
	return a->follows && http_answer_is_redirect(a);
}

bool http_answer_header(struct http_answer *a, const char *line, size_t len)
{
	const char *wanted = a->expect.header, *value;
	size_t n;

	a->header_bytes += len;
	a->header_flood = a->header_bytes > HTTP_HEADERS_MAX;
	if (a->header_flood)
		return false;
	if (read_status(a, line, len))
		return true;
	if (a->expect.keeps_headers)
		buf_add(&a->headers, line, len);
	if (is_set(wanted) && !a->header_met && match_header(wanted, line, len, &value, &n))
		a->header_met = match_find(&a->header, value, n);
	if (match_header("Location:", line, len, &value, &n))
		keep_location(a, value, n);
	a->headers_whole |= is_end(line, len);
	return !is_end(line, len) || !is_left_behind(a);
}

bool http_answer_is_redirect(const struct http_answer *a)
{
	switch (a->status) {
	case 301:
	case 302:
	case 303:
	case 307:
	case 308:
		return a->has_location;
	default:
		return false;
	}
}

/* ---- body */

bool http_answer_body(struct http_answer *a, const char *data, size_t len)
{
	size_t left = a->expect.body_max - a->body_bytes, take = len < left ? len : left;
	size_t room = a->expect.look_max - a->body.len;

	if (is_left_behind(a))
		return false;
	buf_add(&a->body, data, take < room ? take : room);
	a->body_bytes += take;
	a->cut = len > left;
	return !a->cut;
}

/* How much of the body was looked at, when that was not all: " in its first 4MiB". */
static const char *looked_at(const struct http_answer *a, char out[64])
{
	char size[NUM_TEXT];

	out[0] = '\0';
	if (a->cut || a->body.len < a->body_bytes) {
		num_format_size((int64_t)a->body.len, size);
		snprintf(out, 64, " in its first %s", size);
	}
	return out;
}

struct json_t *http_answer_json(const struct http_answer *a, const struct json_library *l, enum outcome *outcome, struct err *e)
{
	bool is_whole = !a->cut && a->body.len == a->body_bytes && a->body.len <= JSON_TEXT_MAX;

	*outcome = is_whole ? OUTCOME_DOWN : OUTCOME_UNKNOWN;
	if (is_whole)
		return json_read(l, a->body.data, a->body.len, e);
	err_set(e, "the body is longer than what is read of it as JSON (%u KiB, and body_max)", JSON_TEXT_MAX >> 10);
	return NULL;
}

static enum outcome judge_json(const struct http_answer *a, char *why, size_t room)
{
	const struct http_expect *x = &a->expect;
	enum outcome outcome;
	bool holds = true;
	struct err e;
	struct json_t *root = http_answer_json(a, x->library, &outcome, &e);

	if (root == NULL) {
		snprintf(why, room, "%s", e.text);
		return outcome;
	}
	for (size_t i = 0; i < x->json_count && holds; i++)
		holds = json_condition_holds(x->library, &x->json[i], root, x->value_of, x->value_ctx, why, room);
	json_free(x->library, root);
	return holds ? OUTCOME_UP : OUTCOME_DOWN;
}

enum outcome http_answer_judge(struct http_answer *a, char *why, size_t room)
{
	const struct http_expect *x = &a->expect;
	char extent[64];

	if (is_set(x->status) && !match_status(x->status, a->status))
		snprintf(why, room, "status %d, expected %s", a->status, x->status);
	else if (is_set(x->header) && !a->header_met)
		snprintf(why, room, "no header \"%.120s\"", x->header);
	else if (is_set(x->body) && !match_find(&a->body_holds, buf_text(&a->body), a->body.len))
		snprintf(why, room, "the body does not hold \"%.120s\"%s", x->body, looked_at(a, extent));
	else if (is_set(x->forbid) && match_find(&a->forbid, buf_text(&a->body), a->body.len))
		snprintf(why, room, "the body holds \"%.120s\"", x->forbid);
	else
		return x->json_count > 0 ? judge_json(a, why, room) : OUTCOME_UP;
	return OUTCOME_DOWN;
}
