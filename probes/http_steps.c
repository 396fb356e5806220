#include "probes/http_steps.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/err.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "probes/catalog_fields.h"
#include "probes/match.h"
#include "probes/pattern_span.h"

#define TARGET_MAX 2048

struct reader {
	struct http_steps *steps;
	struct http_step *step; /* the last one, NULL: none yet */
	struct err *err;
};

static const char *skip_blanks(const char *at)
{
	return at + strspn(at, " \t");
}

/* The word at *at, which goes on to what stands behind it. False: it does not fit. */
static bool take_word(const char **at, char *out, size_t room)
{
	size_t n = strcspn(*at, " \t");
	bool fits = n > 0 && n < room;

	snprintf(out, room, "%.*s", (int)n, *at);
	*at = skip_blanks(*at + n);
	return fits;
}

/* ---- names */

/* Taken by a step above the last one. */
static bool is_taken(const void *ctx, const char *name)
{
	const struct reader *r = ctx;

	for (size_t i = 0; i + 1 < r->steps->count; i++) {
		for (size_t k = 0; k < r->steps->steps[i].take_count; k++) {
			if (strcmp(r->steps->steps[i].takes[k].name, name) == 0)
				return true;
		}
	}
	return false;
}

static int check_template(struct reader *r, const char *text, bool may_have_secret)
{
	return http_template_check(text, may_have_secret, is_taken, r, r->err);
}

/* ---- the line of a request */

static int check_target(struct reader *r, const char *target)
{
	bool is_whole = strstr(target, "://") != NULL;

	if (*target == '\0')
		return err_set(r->err, "an address is wanted behind the method, as in \"login: POST /login\"");
	if (strlen(target) > TARGET_MAX)
		return err_set(r->err, "an address of more than %d bytes", TARGET_MAX);
	if (strpbrk(target, " \t\"<>\\") != NULL)
		return err_set(r->err, "\"%.60s\" holds a blank or another sign that must be %%-encoded", target);
	if (is_whole && strncasecmp(target, "http://", 7) != 0 && strncasecmp(target, "https://", 8) != 0)
		return err_set(r->err, "\"%.60s\" must start with http://, https:// or /", target);
	return check_template(r, target, false);
}

static bool has_step(const struct reader *r, const char *name)
{
	for (size_t i = 0; i < r->steps->count; i++) {
		if (strcmp(r->steps->steps[i].name, name) == 0)
			return true;
	}
	return false;
}

static int read_request(struct reader *r, const char *name, const char *rest)
{
	static const char *const methods[] = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"};
	struct http_step *s = &r->steps->steps[r->steps->count];
	bool known = false;

	if (!http_name_is_good(name))
		return err_set(r->err, "\"%.40s\" is no name of a step: small letters, digits, - and _, %d at most", name, HTTP_NAME_MAX);
	if (has_step(r, name))
		return err_set(r->err, "two steps are named \"%s\"", name);
	if (r->steps->count == HTTP_STEPS_MAX)
		return err_set(r->err, "more than %d steps", HTTP_STEPS_MAX);
	*s = (struct http_step){.redirects = -1};
	r->step = s;
	r->steps->count++;
	snprintf(s->name, sizeof s->name, "%.*s", HTTP_NAME_MAX, name);
	if (take_word(&rest, s->method, sizeof s->method)) {
		for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
			known |= strcmp(methods[i], s->method) == 0;
	}
	if (!known)
		return err_set(r->err, "\"%.10s\" is none of GET, HEAD, POST, PUT, PATCH, DELETE", s->method);
	s->target = rest;
	return check_target(r, rest);
}

/* ---- what is sent */

static int check_has_body(struct reader *r)
{
	if (strcmp(r->step->method, "GET") == 0 || strcmp(r->step->method, "HEAD") == 0)
		return err_set(r->err, "a %s sends no body: write POST", r->step->method);
	return 0;
}

static int read_form(struct reader *r, const char *rest)
{
	const char *equals = strchr(rest, '=');

	if (equals == NULL || equals == rest)
		return err_set(r->err, "\"%.40s\" is no field of a form: write form name=value", rest);
	if (r->step->body != NULL)
		return err_set(r->err, "form and body in one step: remove one of them");
	r->step->form[r->step->form_count++] = rest;
	return check_has_body(r) < 0 ? -1 : check_template(r, rest, true);
}

static int read_body(struct reader *r, const char *rest)
{
	if (r->step->form_count > 0)
		return err_set(r->err, "form and body in one step: remove one of them");
	if (r->step->body != NULL)
		return err_set(r->err, "body stands twice in one step");
	r->step->body = rest;
	return check_has_body(r) < 0 ? -1 : check_template(r, rest, true);
}

static int read_header(struct reader *r, const char *rest)
{
	const char *value;

	r->step->headers[r->step->header_count++] = rest;
	return match_check_header(rest, &value, r->err) < 0 ? -1 : check_template(r, rest, true);
}

static int read_redirects(struct reader *r, const char *rest)
{
	int64_t number;

	if (r->step->redirects >= 0)
		return err_set(r->err, "redirects stands twice in one step");
	if (num_parse_int(rest, 0, 20, &number, r->err) < 0)
		return -1;
	r->step->redirects = (long)number;
	return 0;
}

/* ---- what must come */

/* A text that stands once in a step. */
static int keep_once(struct reader *r, const char **place, const char *word, const char *rest)
{
	if (*place != NULL)
		return err_set(r->err, "%s stands twice in one step", word);
	if (*rest == '\0')
		return err_set(r->err, "%s: nothing stands behind it", word);
	*place = rest;
	return 0;
}

static int read_status(struct reader *r, const char *rest)
{
	return keep_once(r, &r->step->status, "status", rest) < 0 ? -1 : match_check_status(rest, r->err);
}

/* Bytes, in which names may stand, or a pattern. */
static int check_match(struct reader *r, const char *word, const char *text)
{
	if (*text == '~')
		return catalog_check_match(word, text, false, r->err);
	return check_template(r, text, false);
}

static int read_expect(struct reader *r, const char *rest)
{
	return keep_once(r, &r->step->expect, "expect", rest) < 0 ? -1 : check_match(r, "expect", rest);
}

static int read_forbid(struct reader *r, const char *rest)
{
	return keep_once(r, &r->step->forbid, "forbid", rest) < 0 ? -1 : check_match(r, "forbid", rest);
}

static int read_expect_header(struct reader *r, const char *rest)
{
	const char *value;

	if (keep_once(r, &r->step->expect_header, "expect_header", rest) < 0 || match_check_header(rest, &value, r->err) < 0)
		return -1;
	return *value == '~' ? catalog_check_match("expect_header", value, false, r->err) : check_template(r, rest, false);
}

static int read_json(struct reader *r, const char *rest)
{
	struct http_step *s = r->step;
	struct json_condition c;

	if (json_condition_init(&c, rest, r->err) < 0)
		return -1;
	s->json = mem_resize(s->json, s->json_count + 1, sizeof *s->json);
	s->json[s->json_count++] = c;
	if (c.operand == JSON_OF_NAME && !is_taken(r, c.text))
		return err_set(r->err, "no step above takes \"%.40s\"", c.text);
	return 0;
}

/* ---- what is taken */

static int read_pattern(struct reader *r, struct http_take *t, const char *text)
{
	if (*text != '~')
		return err_set(r->err, "\"%.40s\": ~ and a pattern with ( ) is wanted", text);
	t->pattern = pattern_span_new(text + 1, r->err);
	return t->pattern != NULL ? 0 : -1;
}

static int read_source(struct reader *r, struct http_take *t, const char *rest)
{
	char word[16];
	const char *value;
	char header[sizeof t->header + 1];

	take_word(&rest, word, sizeof word);
	if (strcmp(word, "json") == 0)
		return json_path_init(&t->path, rest, r->err);
	t->source = strcmp(word, "body") == 0 ? HTTP_OF_BODY : HTTP_OF_HEADER;
	if (t->source == HTTP_OF_BODY)
		return read_pattern(r, t, rest);
	if (strcmp(word, "header") != 0)
		return err_set(r->err, "\"%.20s\": json, header or body is wanted behind take %s =", word, t->name);
	if (!take_word(&rest, t->header, sizeof t->header))
		return err_set(r->err, "the name of a header is wanted behind \"header\"");
	snprintf(header, sizeof header, "%s:", t->header);
	if (match_check_header(header, &value, r->err) < 0 || *value != '\0')
		return err_set(r->err, "\"%.40s\" is no name of a header: write it without a colon", t->header);
	return *rest == '\0' ? 0 : read_pattern(r, t, rest);
}

static int read_take(struct reader *r, const char *rest)
{
	struct http_step *s = r->step;
	struct http_take t = {.source = HTTP_OF_JSON};
	char sign[4];
	int status;

	if (!take_word(&rest, t.name, sizeof t.name) || !http_name_is_good(t.name) || !take_word(&rest, sign, sizeof sign) ||
		strcmp(sign, "=") != 0)
		return err_set(r->err, "\"take\" is written as in: take id = json $.id");
	status = read_source(r, &t, rest);
	s->takes = mem_resize(s->takes, s->take_count + 1, sizeof *s->takes);
	s->takes[s->take_count++] = t;
	return status;
}

/* ---- lines */

static int read_more(struct reader *r, const char *word, const char *rest)
{
	static const struct {
		const char *word;
		int (*read)(struct reader *, const char *rest);
	} known[] = {{"form", read_form}, {"body", read_body}, {"header", read_header}, {"redirects", read_redirects},
		{"status", read_status}, {"expect", read_expect}, {"forbid", read_forbid}, {"expect_header", read_expect_header},
		{"json", read_json}, {"take", read_take}};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (strcmp(known[i].word, word) != 0)
			continue;
		if (r->step == NULL)
			return err_set(r->err, "\"%s\" belongs to a step: one begins with a line like \"login: POST /login\"", word);
		return known[i].read(r, rest);
	}
	return err_set(r->err, "\"%.40s\" is none of form, body, header, redirects, status, expect, forbid, expect_header, json, take, "
		"nor the begin of a step, as in \"login: POST /login\"", word);
}

static int read_line(struct reader *r, const char *line)
{
	char word[HTTP_NAME_MAX + 10];
	const char *rest = skip_blanks(line);
	size_t n;

	take_word(&rest, word, sizeof word);
	n = strlen(word);
	if (n == 0 || word[n - 1] != ':')
		return read_more(r, word, rest);
	word[n - 1] = '\0';
	return read_request(r, word, rest);
}

struct http_steps *http_steps_new(const char *const *lines, size_t count, struct err *e)
{
	struct reader r = {.steps = mem_alloc(sizeof *r.steps), .err = e};

	for (size_t i = 0; i < count; i++) {
		if (i == HTTP_LINES_MAX)
			err_set(e, "more than %d lines", HTTP_LINES_MAX);
		if (i == HTTP_LINES_MAX || read_line(&r, lines[i]) < 0) {
			http_steps_free(r.steps);
			return NULL;
		}
	}
	return r.steps;
}

int http_steps_check(const char *const *lines, size_t count, struct err *e)
{
	struct http_steps *s = http_steps_new(lines, count, e);

	http_steps_free(s);
	return s != NULL ? 0 : -1;
}

static void step_fini(struct http_step *s)
{
	for (size_t i = 0; i < s->json_count; i++)
		json_condition_fini(&s->json[i]);
	for (size_t i = 0; i < s->take_count; i++) {
		json_path_fini(&s->takes[i].path);
		pattern_span_free(s->takes[i].pattern);
	}
	free(s->json);
	free(s->takes);
}

void http_steps_free(struct http_steps *s)
{
	if (s == NULL)
		return;
	for (size_t i = 0; i < s->count; i++)
		step_fini(&s->steps[i]);
	free(s);
}
