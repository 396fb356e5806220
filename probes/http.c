#include "probes/http.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/mem.h"
#include "probes/catalog_http.h"
#include "probes/http_answer.h"
#include "probes/http_fetch.h"

struct http {
	struct run *run;
	struct http_pool *pool;
	char *host; /* of the check's own URL, as libcurl reads it */
	struct http_expect expect;
	struct http_fetch *fetch;
};

static const struct http_options *options_of(const struct http *h)
{
	return run_options(h->run);
}

static void http_free(struct http *h)
{
	run_set_private(h->run, NULL);
	http_fetch_stop(h->fetch);
	free(h->host);
	free(h);
}

static void tell_values(struct http *h, const struct http_times *t, const struct http_answer *a)
{
	struct run *r = h->run;

	run_value(r, HTTP_RESOLVE, run_resolve_time(r) + t->resolve);
	if (t->has_connect)
		run_value(r, HTTP_CONNECT, t->connect);
	if (t->has_tls)
		run_value(r, HTTP_TLS, t->tls);
	if (t->has_first_byte)
		run_value(r, HTTP_FIRST_BYTE, t->first_byte);
	if (a->status > 0) {
		run_value(r, HTTP_STATUS, a->status);
		run_value(r, HTTP_BODY_BYTES, (double)a->body_bytes);
		run_value(r, HTTP_REDIRECTS, t->hops);
	}
	if (t->has_days)
		run_value(r, HTTP_CERT_DAYS, t->days);
}

static void end(struct http *h, enum outcome outcome, const char *way, const char *why)
{
	struct run *r = h->run;

	http_free(h);
	if (outcome == OUTCOME_UP)
		run_up(r);
	else if (outcome == OUTCOME_DOWN)
		run_down(r, "%s%s", way, why);
	else
		run_unknown(r, "%s%s", way, why);
}

static void on_end(void *ctx, const struct http_end *e)
{
	struct http *h = ctx;
	struct run *r = h->run;
	char why[300] = "";
	enum outcome outcome;

	h->fetch = NULL;
	tell_values(h, &e->times, e->answer);
	if (e->outcome != HTTP_ANSWERED) {
		end(h, e->outcome == HTTP_OURS ? OUTCOME_UNKNOWN : OUTCOME_DOWN, "", e->reason);
		return;
	}
	run_value(r, HTTP_TOTAL, run_resolve_time(r) + (double)(clock_mono() - run_started(r)) / NS_PER_S);
	outcome = http_answer_judge(e->answer, why, sizeof why);
	end(h, outcome, e->way, why);
}

static void at_deadline(void *state, struct run *r)
{
	struct http *h = run_private(r);
	struct http_times t = http_fetch_times(h->fetch);
	char why[300];

	(void)state;
	tell_values(h, &t, http_fetch_answer(h->fetch));
	if (http_fetch_late(h->fetch, run_deadline(r) - run_started(r), why, sizeof why) == HTTP_OURS)
		run_unknown(r, "%s", why);
	else
		run_down(r, "%s", why);
}

/* The host in a URL as a fetch compares it; NULL: there is none. */
static char *host_of(const char *url)
{
	CURLU *u = curl_url();
	char *host = NULL, *out = NULL;
	size_t n;

	assert(u != NULL);
	if (curl_url_set(u, CURLUPART_URL, url, CURLU_URLENCODE) == CURLUE_OK && curl_url_get(u, CURLUPART_HOST, &host, 0) == CURLUE_OK) {
		n = strlen(host);
		out = n > 2 && host[0] == '[' ? mem_format("%.*s", (int)n - 2, host + 1) : mem_strdup(host);
	}
	curl_free(host);
	curl_url_cleanup(u);
	return out;
}

static void fetch(struct http *h)
{
	static const char *const methods[] = {"GET", "HEAD", "POST"};
	const struct http_options *o = options_of(h);
	struct run *r = h->run;
	socklen_t len;
	const struct http_request request = {.url = o->url, .family = run_family(r), .host = h->host,
		.address = run_address(r, &len), .method = methods[o->method], .body = o->method == 2 ? o->body : NULL,
		.headers = &o->headers, .redirects = o->redirects, .timeout = run_deadline(r) - run_started(r), .owner_ends = true,
		.verify = o->verify, .ca = o->ca, .expect = &h->expect};

	h->fetch = http_fetch_start(run_env(r), h->pool, &request, on_end, h);
}

/* ---- the type */

static void http_probe_start(void *state, struct run *r)
{
	const struct http_options *o = run_options(r);
	struct http *h = mem_alloc(sizeof *h);

	*h = (struct http){.run = r, .pool = state, .host = host_of(o->url), .expect = http_expect_of(o)};
	run_set_private(r, h);
	run_on_deadline(r, at_deadline);
	if (h->host == NULL)
		end(h, OUTCOME_UNKNOWN, "url cannot be used: ", o->url);
	else
		fetch(h);
}

static void http_probe_cancel(void *state, struct run *r)
{
	(void)state;
	http_free(run_private(r));
}

static int http_probe_open(const struct probe_env *env, void **state, struct err *e)
{
	(void)env, (void)e;
	*state = http_pool_new();
	return 0;
}

static void http_probe_close(void *state)
{
	http_pool_free(state);
}

const struct probe_type http_probe = {.catalog = &catalog_http, .open = http_probe_open,
	.start = http_probe_start, .cancel = http_probe_cancel, .close = http_probe_close};
