#include "probes/http_answer.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/err.h"
#include "lib/mem.h"
#include "lib/num.h"

static void init_match(struct match *m, const char *text)
{
	struct err e;

	if (match_init(m, text, false, &e) < 0)
		assert(!"options are checked");
}

static const char *header_value(const struct http_options *o)
{
	const char *value;
	struct err e;

	if (match_check_header(o->expect_header, &value, &e) < 0)
		assert(!"options are checked");
	return value;
}

void http_answer_init(struct http_answer *a, const struct http_options *o)
{
	*a = (struct http_answer){.options = o};
	if (*o->expect_header != '\0')
		init_match(&a->header, header_value(o));
	if (*o->expect_body != '\0')
		init_match(&a->expect, o->expect_body);
	if (*o->forbid_body != '\0')
		init_match(&a->forbid, o->forbid_body);
	a->keeps_body = *o->expect_body != '\0' || *o->forbid_body != '\0';
}

static void forget(struct http_answer *a)
{
	a->headers_whole = a->header_met = a->location_too_long = a->has_location = false;
	free(a->location);
	a->location = NULL;
}

void http_answer_fini(struct http_answer *a)
{
	forget(a);
	match_fini(&a->header);
	match_fini(&a->expect);
	match_fini(&a->forbid);
	buf_fini(&a->body);
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
	const char *wanted = a->options->expect_header, *value;
	size_t n;

	a->header_bytes += len;
	a->header_flood = a->header_bytes > HTTP_HEADERS_MAX;
	if (a->header_flood)
		return false;
	if (read_status(a, line, len))
		return true;
	if (*wanted != '\0' && !a->header_met && match_header(wanted, line, len, &value, &n))
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
	size_t left = (size_t)a->options->body_max - a->body_bytes, take = len < left ? len : left;
	size_t room = HTTP_LOOK_MAX - a->body.len;

	if (is_left_behind(a))
		return false;
	if (a->keeps_body)
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

int http_answer_judge(struct http_answer *a, char *why, size_t room)
{
	const struct http_options *o = a->options;
	char extent[64];

	if (!match_status(o->status, a->status)) {
		snprintf(why, room, "status %d, expected %s", a->status, o->status);
		return -1;
	}
	if (*o->expect_header != '\0' && !a->header_met) {
		snprintf(why, room, "no header \"%.120s\"", o->expect_header);
		return -1;
	}
	if (*o->expect_body != '\0' && !match_find(&a->expect, a->body.data, a->body.len)) {
		snprintf(why, room, "the body does not hold \"%.120s\"%s", o->expect_body, looked_at(a, extent));
		return -1;
	}
	if (*o->forbid_body != '\0' && match_find(&a->forbid, a->body.data, a->body.len)) {
		snprintf(why, room, "the body holds \"%.120s\"", o->forbid_body);
		return -1;
	}
	return 0;
}
