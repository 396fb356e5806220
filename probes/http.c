#include "probes/http.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "probes/catalog_http_steps.h"
#include "probes/http_answer.h"
#include "probes/http_fetch.h"
#include "probes/http_steps.h"
#include "probes/http_values.h"
#include "probes/json_read.h"
#include "probes/match.h"

/* Shared by all runs of the process. */
struct shared {
	struct http_pool *pool;
	struct json_library *json; /* NULL until a check needs it */
};

struct http {
	struct run *run;
	struct shared *shared;
	CURLU *base;         /* the check's own address */
	char *host;          /* in it; "" when it cannot be read */
	struct json_condition *json; /* of a check without steps */
	size_t json_count;
	struct http_steps *steps; /* NULL: it has none */
	size_t at;                /* the step under way */
	int64_t began;            /* of it */
	CURLSH *jar;              /* of all steps */
	struct http_values values; /* for its steps; texts of requests are in its arena */
	struct http_fetch *fetch;
	struct http_times before; /* of the steps that are done */
};

static const struct http_options *options_of(const struct http *h)
{
	return run_options(h->run);
}

static const struct http_step *step_of(const struct http *h)
{
	return h->steps != NULL ? &h->steps->steps[h->at] : NULL;
}

/* ---- what was measured */

static struct http_times sum_of(const struct http_times *a, const struct http_times *b)
{
	struct http_times t = {.resolve = a->resolve + b->resolve, .connect = a->connect + b->connect, .tls = a->tls + b->tls,
		.first_byte = a->first_byte + b->first_byte, .total = a->total + b->total, .hops = a->hops + b->hops,
		.has_connect = b->has_connect, .has_tls = a->has_tls || b->has_tls, .has_first_byte = a->has_first_byte || b->has_first_byte,
		.has_days = a->has_days || b->has_days};

	if (t.has_days) {
		const struct http_times *fewest = !b->has_days || (a->has_days && a->days < b->days) ? a : b;

		t.days = fewest->days;
		memcpy(t.days_host, fewest->days_host, sizeof t.days_host);
	}
	return t;
}

/* The metrics of both types stand in one order. */
static void tell(struct http *h, uint32_t metric, double number)
{
	run_value(h->run, h->steps != NULL ? metric - HTTP_RESOLVE + HTTP_STEPS_RESOLVE : metric, number);
}

static void tell_values(struct http *h, const struct http_times *t, const struct http_answer *a)
{
	tell(h, HTTP_RESOLVE, run_resolve_time(h->run) + t->resolve);
	if (t->has_connect)
		tell(h, HTTP_CONNECT, t->connect);
	if (t->has_tls)
		tell(h, HTTP_TLS, t->tls);
	if (t->has_first_byte)
		tell(h, HTTP_FIRST_BYTE, t->first_byte);
	if (a->status > 0) {
		tell(h, HTTP_STATUS, a->status);
		tell(h, HTTP_BODY_BYTES, (double)a->body_bytes);
		tell(h, HTTP_REDIRECTS, t->hops);
	}
	if (t->has_days)
		tell(h, HTTP_CERT_DAYS, t->days);
	if (h->steps != NULL)
		run_value(h->run, HTTP_STEPS_DONE, (double)h->at);
}

/* ---- the end of a run */

static void http_free(struct http *h)
{
	run_set_private(h->run, NULL);
	http_fetch_stop(h->fetch);
	if (h->jar != NULL)
		curl_share_cleanup(h->jar);
	for (size_t i = 0; i < h->json_count; i++)
		json_condition_fini(&h->json[i]);
	free(h->json);
	http_steps_free(h->steps);
	curl_url_cleanup(h->base);
	free(h->host);
	http_values_fini(&h->values);
	free(h);
}

/* "step 2 (login): ", or "" */
static void format_step(const struct http *h, char out[HTTP_NAME_MAX + 30])
{
	out[0] = '\0';
	if (h->steps != NULL)
		snprintf(out, HTTP_NAME_MAX + 30, "step %zu (%s): ", h->at + 1, step_of(h)->name);
}

static void end(struct http *h, enum outcome outcome, const char *why, ...) __attribute__((format(printf, 3, 4)));

static void end(struct http *h, enum outcome outcome, const char *why, ...)
{
	char step[HTTP_NAME_MAX + 30], words[600];
	struct run *r = h->run;
	va_list ap;

	va_start(ap, why);
	vsnprintf(words, sizeof words, why, ap);
	va_end(ap);
	if (outcome != OUTCOME_UP)
		format_step(h, step);
	http_values_hide(&h->values, words);
	http_free(h);
	if (outcome == OUTCOME_UP && words[0] != '\0')
		run_up_noting(r, "%s", words);
	else if (outcome == OUTCOME_UP)
		run_up(r);
	else if (outcome == OUTCOME_DOWN)
		run_down(r, "%s%s", step, words);
	else
		run_unknown(r, "%s%s", step, words);
}

static void at_deadline(void *state, struct run *r)
{
	struct http *h = run_private(r);
	struct http_times t = http_fetch_times(h->fetch), all = sum_of(&h->before, &t);
	char step[HTTP_NAME_MAX + 30], why[300];
	enum outcome outcome = OUTCOME_DOWN;

	(void)state;
	if (http_fetch_late(h->fetch, run_deadline(r) - run_started(r), why, sizeof why) == HTTP_OURS)
		outcome = OUTCOME_UNKNOWN;
	http_values_hide(&h->values, why);
	format_step(h, step);
	tell_values(h, &all, http_fetch_answer(h->fetch));
	if (outcome == OUTCOME_UNKNOWN)
		run_unknown(r, "%s%s", step, why);
	else
		run_down(r, "%s%s", step, why);
}

/* ---- requests */

static void on_end(void *, const struct http_end *);

static void fetch(struct http *h, struct http_request *q, const struct http_expect *expect)
{
	const struct http_options *o = options_of(h);
	struct run *r = h->run;
	int64_t left = run_deadline(r) - clock_mono();
	socklen_t len;

	q->family = run_family(r);
	q->host = h->host;
	q->address = run_address(r, &len);
	q->timeout = left > 0 ? left : 1;
	q->owner_ends = true;
	q->verify = o->verify;
	q->ca = o->ca;
	q->expect = expect;
	h->fetch = http_fetch_start(run_env(r), h->shared->pool, q, on_end, h);
}

static void fetch_one(struct http *h)
{
	static const char *const methods[] = {"GET", "HEAD", "POST"};
	const struct http_options *o = options_of(h);
	struct http_expect expect = http_expect_of(o);
	struct http_request q = {.url = o->url, .method = methods[o->method], .body = o->method == 2 ? o->body : NULL,
		.headers = &o->headers, .redirects = o->redirects};

	expect.json = h->json;
	expect.json_count = h->json_count;
	expect.library = h->shared->json;
	fetch(h, &q, &expect);
}

/* The fields of a form, %-encoded, or the body; NULL: there is none. *e: words. */
static int make_body(struct http *h, const struct http_step *s, const char **body, struct err *e)
{
	struct buf out = {0};
	bool is_json = s->body != NULL && (s->body[0] == '{' || s->body[0] == '[');

	*body = NULL;
	if (s->body != NULL) {
		*body = http_values_fill(&h->values, s->body, is_json ? HTTP_IN_JSON : HTTP_AS_IS, e);
		return *body != NULL ? 0 : -1;
	}
	for (size_t i = 0; i < s->form_count; i++) {
		const char *field = http_values_fill(&h->values, s->form[i], HTTP_AS_IS, e), *equals;

		if (field == NULL) {
			buf_fini(&out);
			return -1;
		}
		equals = strchr(field, '=');
		buf_add_format(&out, "%s", i > 0 ? "&" : "");
		http_add_encoded(arena_format(h->values.arena, "%.*s", (int)(equals - field), field), &out);
		buf_add_u8(&out, '=');
		http_add_encoded(equals + 1, &out);
	}
	if (s->form_count > 0 || strcmp(s->method, "POST") == 0)
		*body = arena_strdup(h->values.arena, buf_text(&out));
	buf_fini(&out);
	return 0;
}

static bool is_json_body(const struct http_step *s)
{
	const char *value;
	size_t n;

	for (size_t i = 0; i < s->header_count; i++) {
		if (match_header("Content-Type:", s->headers[i], strlen(s->headers[i]), &value, &n))
			return false;
	}
	return s->body != NULL && (s->body[0] == '{' || s->body[0] == '[');
}

/* Those of the check, when it is to the same server, and those of the step. */
static int make_headers(struct http *h, const struct http_step *s, bool is_own, struct config_texts *out, struct err *e)
{
	const struct config_texts *own = &options_of(h)->headers;

	*out = (struct config_texts){.items = arena_alloc(h->values.arena, (own->count + s->header_count + 1) * sizeof *out->items)};
	for (size_t i = 0; is_own && i < own->count; i++)
		out->items[out->count++] = own->items[i];
	if (is_json_body(s))
		out->items[out->count++] = "Content-Type: application/json";
	for (size_t i = 0; i < s->header_count; i++) {
		const char *line = http_values_fill(&h->values, s->headers[i], HTTP_AS_IS, e);

		if (line == NULL)
			return -1;
		out->items[out->count++] = line;
	}
	return 0;
}

static bool has_secret(const struct http_step *s)
{
	bool has = s->body != NULL && http_template_has_secret(s->body);

	for (size_t i = 0; i < s->form_count; i++)
		has |= http_template_has_secret(s->form[i]);
	return has;
}

/* Did the operator write to which server a step goes? Else a value says so, which some answer gave. */
static bool names_server(const char *target)
{
	const char *host = strstr(target, "//");

	if (host == NULL || memchr(target, '?', (size_t)(host - target)) != NULL)
		host = target;
	else
		host += 2;
	return memmem(host, strcspn(host, "/?#"), "${", 2) == NULL;
}

/* The address of a step, and whether it is the check's own server. -1 with words. */
static int make_url(struct http *h, const struct http_step *s, const char **url, bool *is_own, struct err *e)
{
	const char *target = http_values_fill(&h->values, s->target, HTTP_IN_URL, e);
	CURLU *u = curl_url_dup(h->base);
	char *host = NULL, *text = NULL;

	assert(u != NULL && target != NULL);
	if (curl_url_set(u, CURLUPART_URL, target, CURLU_URLENCODE) != CURLUE_OK || curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK ||
		curl_url_get(u, CURLUPART_URL, &text, 0) != CURLUE_OK)
		err_set(e, "\"%.200s\" is no address to fetch", s->target);
	*url = text != NULL ? arena_strdup(h->values.arena, text) : NULL;
	free(h->values.target_host);
	h->values.target_host = mem_strdup(host != NULL ? host : "");
	*is_own = text != NULL && http_same_origin(u, h->base);
	h->values.is_target_safe = *is_own || strncasecmp(s->target, "http://", 7) == 0 ||
		(text != NULL && strncasecmp(text, "https://", 8) == 0);
	h->values.may_send = *is_own || (names_server(s->target) && h->values.is_target_safe);
	curl_free(host);
	curl_free(text);
	curl_url_cleanup(u);
	return *url != NULL ? 0 : -1;
}

static int make_expect(struct http *h, const struct http_step *s, struct http_expect *x, struct err *e)
{
	const struct http_options *o = options_of(h);
	struct http_values *v = &h->values;
	bool looks = s->expect != NULL || s->forbid != NULL || s->json_count > 0;

	*x = (struct http_expect){.status = s->status != NULL ? s->status : o->status, .body_max = (size_t)o->body_max,
		.header = http_values_fill(v, s->expect_header, HTTP_AS_IS, e), .body = http_values_fill(v, s->expect, HTTP_AS_IS, e),
		.forbid = http_values_fill(v, s->forbid, HTTP_AS_IS, e), .json = s->json, .json_count = s->json_count,
		.library = h->shared->json, .value_of = http_values_taken, .value_ctx = v};
	for (size_t i = 0; i < s->take_count; i++) {
		looks |= s->takes[i].source != HTTP_OF_HEADER;
		x->keeps_headers |= s->takes[i].source == HTTP_OF_HEADER;
	}
	x->look_max = looks ? HTTP_LOOK_MAX : 0;
	return x->header != NULL && x->body != NULL && x->forbid != NULL ? 0 : -1;
}

static void fetch_step(struct http *h)
{
	const struct http_step *s = step_of(h);
	struct http_request q = {.method = s->method, .cookies = h->jar, .has_secret = has_secret(s),
		.redirects = s->redirects >= 0 ? s->redirects : options_of(h)->redirects};
	struct config_texts *headers = arena_alloc(h->values.arena, sizeof *headers);
	struct http_expect expect;
	struct err e;
	bool is_own;

	h->began = clock_mono();
	q.headers = headers;
	if (make_url(h, s, &q.url, &is_own, &e) < 0)
		end(h, strstr(s->target, "${") != NULL ? OUTCOME_DOWN : OUTCOME_UNKNOWN, "%s", e.text);
	else if (make_body(h, s, &q.body, &e) < 0 || make_headers(h, s, is_own, headers, &e) < 0 || make_expect(h, s, &expect, &e) < 0)
		end(h, OUTCOME_UNKNOWN, "%s", e.text);
	else
		fetch(h, &q, &expect);
}

/* ---- answers */

static enum outcome judge(struct http *h, const struct http_end *e, char *why, size_t room)
{
	enum outcome outcome;
	char words[400] = "";
	struct err err;

	if (e->outcome != HTTP_ANSWERED) {
		snprintf(why, room, "%s", e->reason);
		return e->outcome == HTTP_OURS ? OUTCOME_UNKNOWN : OUTCOME_DOWN;
	}
	outcome = http_answer_judge(e->answer, words, sizeof words);
	if (outcome == OUTCOME_UP && h->steps != NULL) {
		outcome = http_values_take(&h->values, step_of(h), e->answer, h->shared->json, &err);
		if (outcome != OUTCOME_UP)
			snprintf(words, sizeof words, "%.300s", err.text);
	}
	snprintf(why, room, "%s%s", outcome != OUTCOME_UP ? e->way : "", words);
	return outcome;
}

/* Whose certificate ends first, when it is not that of where the answer came from. */
static void note_days(const struct http_times *t, const char *host, char *out, size_t room)
{
	size_t n = sizeof t->days_host - 1;

	if (t->has_days && strncasecmp(t->days_host, host, n) != 0)
		snprintf(out, room, "of the certificates that of %s ends first", t->days_host);
}

static void on_end(void *ctx, const struct http_end *e)
{
	struct http *h = ctx;
	struct run *r = h->run;
	char why[600];
	enum outcome outcome;
	bool is_last;

	h->fetch = NULL;
	if (h->steps != NULL && e->outcome == HTTP_ANSWERED)
		run_value(r, HTTP_STEPS_TIME + (uint32_t)h->at, (double)(clock_mono() - h->began) / NS_PER_S);
	outcome = judge(h, e, why, sizeof why);
	h->before = sum_of(&h->before, &e->times);
	is_last = h->steps == NULL || h->at + 1 == h->steps->count;
	h->at += outcome == OUTCOME_UP && h->steps != NULL;
	if (outcome == OUTCOME_UP && !is_last) {
		fetch_step(h);
		return;
	}
	if (outcome == OUTCOME_UP)
		note_days(&h->before, e->host, why, sizeof why);
	tell_values(h, &h->before, e->answer);
	if (e->outcome == HTTP_ANSWERED)
		tell(h, HTTP_TOTAL, run_resolve_time(r) + (double)(clock_mono() - run_started(r)) / NS_PER_S);
	end(h, outcome, "%s", why);
}

/* ---- the type */

/* The check's own address, as a fetch compares it. -1: it has no host. */
static int read_base(struct http *h, const char *url)
{
	char *host = NULL;
	size_t n;

	if (curl_url_set(h->base, CURLUPART_URL, url, CURLU_URLENCODE) != CURLUE_OK ||
		curl_url_get(h->base, CURLUPART_HOST, &host, 0) != CURLUE_OK)
		return -1;
	n = strlen(host);
	h->host = n > 2 && host[0] == '[' ? mem_format("%.*s", (int)n - 2, host + 1) : mem_strdup(host);
	curl_free(host);
	return 0;
}

static bool needs_json(const struct http *h)
{
	for (size_t i = 0; h->steps != NULL && i < h->steps->count; i++) {
		const struct http_step *s = &h->steps->steps[i];

		if (s->json_count > 0)
			return true;
		for (size_t k = 0; k < s->take_count; k++) {
			if (s->takes[k].source == HTTP_OF_JSON)
				return true;
		}
	}
	return h->json_count > 0;
}

/* Conditions and steps are read anew for each run: it takes some us. -1 with words: our own fault. */
static int prepare(struct http *h, const struct http_options *o, struct err *e)
{
	if (read_base(h, o->url) < 0)
		return err_set(e, "url cannot be used: %.200s", o->url);
	if (o->json.count > 0)
		h->json = mem_array(o->json.count, sizeof *h->json);
	for (; h->json_count < o->json.count; h->json_count++) {
		if (json_condition_init(&h->json[h->json_count], o->json.items[h->json_count], e) < 0)
			return -1;
	}
	if (o->steps.count > 0) {
		h->steps = http_steps_new(o->steps.items, o->steps.count, e);
		if (h->steps == NULL)
			return -1;
		h->jar = curl_share_init();
		assert(h->jar != NULL);
		curl_share_setopt(h->jar, CURLSHOPT_SHARE, CURL_LOCK_DATA_COOKIE);
	}
	if (needs_json(h) && h->shared->json == NULL)
		h->shared->json = json_library_open(e);
	return needs_json(h) && h->shared->json == NULL ? -1 : 0;
}

static void http_probe_start(void *state, struct run *r)
{
	const struct http_options *o = run_options(r);
	struct http *h = mem_alloc(sizeof *h);
	struct err e;

	*h = (struct http){.run = r, .shared = state, .base = curl_url()};
	assert(h->base != NULL);
	http_values_init(&h->values, run_env(r));
	run_set_private(r, h);
	run_on_deadline(r, at_deadline);
	if (prepare(h, o, &e) < 0) {
		http_steps_free(h->steps); /* no step is at fault */
		h->steps = NULL;
		end(h, OUTCOME_UNKNOWN, "%s", e.text);
	} else if (h->steps != NULL) {
		fetch_step(h);
	} else {
		fetch_one(h);
	}
}

static void http_probe_cancel(void *state, struct run *r)
{
	struct http *h = run_private(r);

	(void)state;
	if (h != NULL)
		http_free(h);
}

static int http_probe_open(const struct probe_env *env, void **state, struct err *e)
{
	struct shared *s = mem_alloc(sizeof *s);

	(void)env, (void)e;
	s->pool = http_pool_new();
	*state = s;
	return 0;
}

static void http_probe_close(void *state)
{
	struct shared *s = state;

	http_pool_free(s->pool);
	json_library_close(s->json);
	free(s);
}

const struct probe_type http_probe = {.catalog = &catalog_http, .open = http_probe_open,
	.start = http_probe_start, .cancel = http_probe_cancel, .close = http_probe_close};
const struct probe_type http_steps_probe = {.catalog = &catalog_http_steps, .open = http_probe_open,
	.start = http_probe_start, .cancel = http_probe_cancel, .close = http_probe_close};
