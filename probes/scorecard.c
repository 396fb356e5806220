#include "probes/scorecard.h"

#include <assert.h>
#include <event2/event.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "probes/catalog_scorecard.h"
#include "probes/delegation.h"
#include "probes/html.h"
#include "probes/http_answer.h"
#include "probes/http_fetch.h"
#include "probes/port_parity.h"
#include "probes/resolve.h"
#include "probes/score.h"
#include "probes/scorecard_facts.h"
#include "probes/site.h"

/* Shared by all runs of the process. */
struct shared {
	struct http_pool *pool;
	struct html_library *html;
};

#define REDIRECTS 5
#define TURN_LINKS 50            /* that are taken in one turn of the loop */
#define TURN_TIME (2 * NS_PER_MS) /* for them, but for the last one */

enum { V4, V6 };
enum phase { PHASE_RESOLVE, PHASE_DELEGATION, PHASE_HOME, PHASE_LEVEL2, PHASE_LEVEL3, PHASE_PORTS };

/* The first home page that was reached over a family. */
struct home_page {
	bool read;
	char *url;
	struct html_page html;
	bool weighed; /* the bags are filled, in a turn of their own */
	struct score_bag text, resources;
};

struct level {
	char **urls;
	size_t count, at;
};

struct scorecard {
	struct run *run;
	struct shared *shared;
	enum phase phase;
	struct event *turn; /* reads on in a page, or goes on with the next request after a pause */
	int64_t page_limit, port_limit, dns_limit, home_end, crawl_end;
	struct resolve_query *queries[2];
	struct resolve_answer answers[2];
	char no_address[2][100]; /* why a family has none */
	struct delegation *delegation;
	struct http_fetch *fetch;
	struct port_parity *parity;
	int family;       /* of the request under way, or the next one */
	size_t attempts;  /* requests of the home page that were made */
	struct home_page home[2];
	struct html_reader *reader; /* of a page that has come: it is read before the next request */
	char *link_url;             /* of the page of a link that is read */
	struct html_page link_page;
	const struct html_page *linking; /* its links are taken before the next request */
	size_t link_at;             /* the next of them */
	struct site site;
	struct level levels[2];
	uint16_t ports[SCORECARD_PORTS_MAX];
	struct scorecard_facts facts;
};

static const struct scorecard_options *options_of(const struct scorecard *s)
{
	return run_options(s->run);
}

/* ---- the end */

static void scorecard_free(struct scorecard *s)
{
	run_set_private(s->run, NULL);
	event_free(s->turn);
	delegation_stop(s->delegation);
	http_fetch_stop(s->fetch);
	html_read_end(s->reader);
	html_page_fini(&s->link_page);
	free(s->link_url);
	port_parity_stop(s->parity);
	for (int i = 0; i < 2; i++) {
		if (s->queries[i] != NULL)
			resolve_cancel(s->queries[i]);
		free(s->home[i].url);
		html_page_fini(&s->home[i].html);
		score_bag_fini(&s->home[i].text);
		score_bag_fini(&s->home[i].resources);
		for (size_t k = 0; k < s->levels[i].count; k++)
			free(s->levels[i].urls[k]);
		free(s->levels[i].urls);
	}
	site_fini(&s->site);
	free(s);
}

static void end_unknown(struct scorecard *s, const char *words)
{
	run_unknown(s->run, "%s", words); /* which may be in s */
	scorecard_free(s);
}

static void tell(void *ctx, uint32_t metric, double number)
{
	struct scorecard *s = ctx;

	run_value(s->run, metric, number);
}

static void end_judged(struct scorecard *s)
{
	const struct scorecard_home *six = &s->facts.home[V6];
	struct buf words = {0};
	struct run *r = s->run;

	scorecard_values(&s->facts, options_of(s)->weights, tell, s);
	if (six->reached > 0)
		scorecard_words(&s->facts, &words);
	else
		buf_add_format(&words, "home page over IPv6: %s", six->has_address ? six->reason : s->no_address[V6]);
	if (six->reached > 0)
		run_up_noting(r, "%s", buf_text(&words));
	else
		run_down(r, "%s", buf_text(&words));
	buf_fini(&words);
	scorecard_free(s);
}

static void at_deadline(void *state, struct run *r)
{
	struct scorecard *s = run_private(r);
	static const char *const at[] = {"resolving", "asking the name servers", "fetching the home page",
		"following the links of level 2", "following the links of level 3", "connecting to ports"};
	char limit[NUM_TEXT];

	(void)state;
	num_format_duration(run_deadline(r) - run_started(r), limit);
	run_unknown(r, "not finished within %s: still %s", limit, at[s->phase]);
}

/* ---- ports */

static void on_parity(void *ctx, const struct port_parity_end *e)
{
	struct scorecard *s = ctx;
	struct scorecard_facts *f = &s->facts;

	s->parity = NULL;
	f->has_ports = e->measured;
	f->ports_open[V4] = e->open[V4];
	f->ports_open[V6] = e->open[V6];
	f->ports_differ = e->differ;
	snprintf(f->ports, sizeof f->ports, "%s%s", e->measured ? "" : "ports: ", e->reason);
	end_judged(s);
}

static bool may_probe(const struct scorecard *s, int family)
{
	const struct probe_env *env = run_env(s->run);

	return env->may_probe(env->ctx, (const struct sockaddr *)&s->answers[family].addresses[0]);
}

static void begin_ports(struct scorecard *s)
{
	const struct sockaddr_storage addresses[2] = {s->answers[V4].addresses[0], s->answers[V6].addresses[0]};
	struct err e;
	int count = scorecard_ports(options_of(s)->ports, s->ports, &e);

	s->phase = PHASE_PORTS;
	s->facts.ports_count = count > 0 ? (unsigned)count : 0;
	if (count <= 0 || s->answers[V4].count == 0 || s->answers[V6].count == 0 || !may_probe(s, V4) || !may_probe(s, V6))
		end_judged(s);
	else
		s->parity = port_parity_start(run_env(s->run)->base, addresses, s->ports, (size_t)count, s->port_limit, on_parity, s);
}

/* ---- requests */

/* A home page that is read and not weighed; NULL. */
static struct home_page *to_weigh(struct scorecard *s)
{
	for (int i = 0; i < 2; i++) {
		if (s->home[i].read && !s->home[i].weighed)
			return &s->home[i];
	}
	return NULL;
}

/* There is something to think about before the next request. */
static bool is_busy(struct scorecard *s)
{
	return s->reader != NULL || to_weigh(s) != NULL || s->linking != NULL;
}

static void pause_turn(struct scorecard *s)
{
	int64_t delay = is_busy(s) ? 0 : options_of(s)->delay;
	struct timeval tv = {delay / NS_PER_S, delay % NS_PER_S / NS_PER_US};

	evtimer_add(s->turn, &tv);
}

/* 2xx at the end of all redirects. */
static bool is_reached(const struct http_end *e)
{
	return e->outcome == HTTP_ANSWERED && e->answer->status >= 200 && e->answer->status < 300;
}

static void fetch(struct scorecard *s, const char *url, const struct sockaddr_storage *address,
	void (*on_end)(void *ctx, const struct http_end *))
{
	const struct scorecard_options *o = options_of(s);
	const struct http_expect expect = {.body_max = (size_t)o->page_max, .look_max = (size_t)o->page_max};
	const struct http_request request = {.url = url, .family = s->family == V6 ? FAMILY_V6 : FAMILY_V4, .host = run_host(s->run),
		.address = (const struct sockaddr *)address, .method = "GET", .redirects = REDIRECTS, .timeout = s->page_limit,
		.verify = o->verify, .ca = o->ca, .expect = &expect};

	s->fetch = http_fetch_start(run_env(s->run), s->shared->pool, &request, on_end, s);
}

/* ---- links */

/* The level that its links are of. */
static int level_below(const struct scorecard *s)
{
	return s->linking == &s->link_page;
}

static void begin_links(struct scorecard *s, const char *url, const struct html_page *page)
{
	site_set_page(&s->site, url, page->base);
	s->linking = page;
	s->link_at = 0;
}

static void forget_link_page(struct scorecard *s)
{
	html_page_fini(&s->link_page);
	free(s->link_url);
	s->link_url = NULL;
}

static void take_links(struct scorecard *s)
{
	const struct html_refs *links = &s->linking->links;
	struct level *l = &s->levels[level_below(s)];
	int64_t end = clock_mono() + TURN_TIME;
	size_t most = (size_t)(level_below(s) == 0 ? options_of(s)->links2 : options_of(s)->links3);

	if (l->urls == NULL)
		l->urls = mem_array(most + 1, sizeof *l->urls);
	for (int i = 0; i < TURN_LINKS && s->link_at < links->count && l->count < most && clock_mono() < end; i++) {
		char *link = site_take(&s->site, links->items[s->link_at++]);

		if (link != NULL)
			l->urls[l->count++] = link;
	}
	s->facts.levels[level_below(s)].known = l->count;
	if (s->link_at < links->count && l->count < most)
		return;
	s->linking = NULL;
	forget_link_page(s);
}

static void read_link(struct scorecard *s, const struct http_end *e)
{
	if (s->phase != PHASE_LEVEL2 || !e->is_html)
		return;
	s->link_url = mem_strdup(e->url);
	s->reader = html_read_begin(s->shared->html, e->answer->body.data, e->answer->body.len, &s->link_page);
}

static void read_on(struct scorecard *s)
{
	if (!html_read_step(s->reader))
		return;
	html_read_end(s->reader);
	s->reader = NULL;
	if (s->link_url != NULL)
		begin_links(s, s->link_url, &s->link_page);
}

/* What links are counted by: those that IPv4 reaches, or all where there is no IPv4. */
static int base_family(const struct scorecard *s)
{
	return s->facts.home[V4].reached > 0 ? V4 : V6;
}

static struct level *level_of(struct scorecard *s)
{
	return &s->levels[s->phase - PHASE_LEVEL2];
}

static void next_link(struct scorecard *s)
{
	level_of(s)->at++;
	s->family = base_family(s);
	pause_turn(s);
}

static void link_fails(struct scorecard *s, const struct http_end *e)
{
	struct scorecard_level *f = &s->facts.levels[s->phase - PHASE_LEVEL2];
	const struct level *l = level_of(s);

	if (f->reason[0] != '\0')
		return;
	if (e->outcome == HTTP_ANSWERED)
		snprintf(f->reason, sizeof f->reason, "%.200s status %d", l->urls[l->at], e->answer->status);
	else
		snprintf(f->reason, sizeof f->reason, "%.200s %.150s", l->urls[l->at], e->reason);
}

static void link_is_unmeasured(struct scorecard *s, const struct http_end *e)
{
	struct scorecard_level *f = &s->facts.levels[s->phase - PHASE_LEVEL2];
	const struct level *l = level_of(s);

	if (f->own++ == 0)
		snprintf(f->own_reason, sizeof f->own_reason, "%.200s %.150s", l->urls[l->at], e->reason);
}

static void count_link(struct scorecard *s, const struct http_end *e)
{
	struct scorecard_level *f = &s->facts.levels[s->phase - PHASE_LEVEL2];
	bool reached = is_reached(e);

	f->links++;
	f->links_v6 += reached;
	if (!reached)
		link_fails(s, e);
}

/* A link that could not be asked for is no link of those that count. */
static void on_link(void *ctx, const struct http_end *e)
{
	struct scorecard *s = ctx;
	struct scorecard_level *f = &s->facts.levels[s->phase - PHASE_LEVEL2];
	bool reached = is_reached(e);

	s->fetch = NULL;
	if (reached && s->family == base_family(s))
		read_link(s, e);
	if (reached && s->family == V4) {
		s->family = V6;
		pause_turn(s);
		return;
	}
	f->tried++;
	if (e->outcome == HTTP_OURS)
		link_is_unmeasured(s, e);
	else if (s->family == V6)
		count_link(s, e);
	next_link(s);
}

static void next_request_of_level(struct scorecard *s)
{
	const struct level *l = level_of(s);

	if (!s->facts.home[V6].connected) {
		begin_ports(s);
	} else if (l->at < l->count && clock_mono() < s->crawl_end) {
		fetch(s, l->urls[l->at], &s->answers[s->family].addresses[0], on_link);
	} else if (s->phase == PHASE_LEVEL2) {
		s->phase = PHASE_LEVEL3;
		next_request_of_level(s);
	} else {
		begin_ports(s);
	}
}

/* ---- the home page */

static void compare_pages(struct scorecard *s)
{
	const struct html_page *a = &s->home[V4].html, *b = &s->home[V6].html;
	struct scorecard_facts *f = &s->facts;

	if (!s->home[V4].read || !s->home[V6].read)
		return;
	f->has_same = true;
	f->same_status = f->home[V4].status == f->home[V6].status;
	f->same_title = a->title.len == b->title.len && (a->title.len == 0 || memcmp(a->title.data, b->title.data, a->title.len) == 0);
	f->same_text = score_likeness(&s->home[V4].text, &s->home[V6].text);
	f->same_resources = score_likeness(&s->home[V4].resources, &s->home[V6].resources);
}

/* The home page itself, by the address of the check and where that led, is no link of it. */
static void begin_site(struct scorecard *s, const struct home_page *home)
{
	const struct scorecard_options *o = options_of(s);

	site_add_host(&s->site, run_host(s->run));
	for (size_t i = 0; i < o->hosts.count; i++)
		site_add_host(&s->site, o->hosts.items[i]);
	s->site.exclude = &o->exclude;
	site_set_page(&s->site, o->url, NULL);
	free(site_take(&s->site, ""));
	site_set_page(&s->site, home->url, NULL);
	free(site_take(&s->site, ""));
	begin_links(s, home->url, &home->html);
}

static void end_home(struct scorecard *s)
{
	const struct home_page *home = &s->home[base_family(s)];
	char words[300];

	if (scorecard_is_unmeasured(&s->facts.home[V6])) {
		snprintf(words, sizeof words, "IPv6: %s", s->facts.home[V6].own);
		end_unknown(s, words);
		return;
	}
	compare_pages(s);
	if (home->read && !scorecard_is_unmeasured(&s->facts.home[V4])) /* links of a page are counted beside IPv4 */
		begin_site(s, home);
	s->phase = PHASE_LEVEL2;
	s->family = base_family(s);
	pause_turn(s);
}

static void keep_times(struct scorecard_home *h, const struct http_end *e)
{
	const struct http_times *t = &e->times;
	unsigned i = h->reached++;

	h->connect[i] = t->connect;
	h->first_byte[i] = t->connect + t->tls + t->first_byte;
	h->page[i] = t->total;
	h->rate[i] = t->total > 0 ? (double)e->answer->body.len / t->total : (double)NAN;
}

/* The first of each kind: a down is told by what was seen of the site, never by a fault of our own. */
static void keep_reason(struct scorecard_home *h, const struct http_end *e)
{
	if (e->outcome == HTTP_OURS && h->own[0] == '\0')
		snprintf(h->own, sizeof h->own, "%s", e->reason);
	else if (e->outcome == HTTP_FAILED && h->reason[0] == '\0')
		snprintf(h->reason, sizeof h->reason, "%s", e->reason);
	else if (e->outcome == HTTP_ANSWERED && h->reason[0] == '\0')
		snprintf(h->reason, sizeof h->reason, "status %d", e->answer->status);
}

static void on_home(void *ctx, const struct http_end *e)
{
	struct scorecard *s = ctx;
	struct scorecard_home *h = &s->facts.home[s->family];
	struct home_page *page = &s->home[s->family];

	s->fetch = NULL;
	h->attempts += e->outcome != HTTP_OURS;
	h->connected |= e->times.connect > 0;
	if (e->outcome == HTTP_ANSWERED)
		h->status = e->answer->status;
	if (is_reached(e)) {
		keep_times(h, e);
	} else {
		keep_reason(h, e);
	}
	if (is_reached(e) && !page->read) {
		page->read = true;
		page->url = mem_strdup(e->url);
		s->reader = html_read_begin(s->shared->html, e->answer->body.data, e->answer->body.len, &page->html);
	}
	s->attempts++;
	pause_turn(s);
}

/* IPv4 and IPv6 in turn, each address of a family in turn; once in any case, then for half of the time at most. */
static void next_attempt(struct scorecard *s)
{
	size_t rounds = (size_t)options_of(s)->attempts;
	const struct resolve_answer *a;

	if (s->attempts >= 2 && clock_mono() > s->home_end)
		rounds = 0;
	for (; s->attempts < 2 * rounds; s->attempts++) {
		s->family = (int)(s->attempts % 2);
		a = &s->answers[s->family];
		if (a->count == 0)
			continue;
		fetch(s, options_of(s)->url, &a->addresses[s->attempts / 2 % a->count], on_home);
		return;
	}
	end_home(s);
}

static void weigh(struct home_page *home)
{
	home->text = score_bag_of_text(home->html.text.data, home->html.text.len);
	home->resources = score_bag_of_list(home->html.resources.items, home->html.resources.count);
	home->weighed = true;
}

/* A long page is read in steps, its links are taken in steps, so that nobody waits for it. */
static void think(struct scorecard *s)
{
	if (s->reader != NULL)
		read_on(s);
	else if (to_weigh(s) != NULL)
		weigh(to_weigh(s));
	else
		take_links(s);
}

static void on_turn(evutil_socket_t fd, short what, void *ctx)
{
	struct scorecard *s = ctx;

	(void)fd, (void)what;
	if (is_busy(s)) {
		think(s);
		pause_turn(s);
	} else if (s->phase == PHASE_HOME) {
		next_attempt(s);
	} else {
		next_request_of_level(s);
	}
}

/* ---- names */

static void on_delegation(void *ctx, const struct delegation_end *e)
{
	struct scorecard *s = ctx;
	struct scorecard_facts *f = &s->facts;

	s->delegation = NULL;
	f->has_delegation = e->measured;
	f->ns = e->servers;
	f->ns_v6 = e->answer_v6;
	if (e->measured && e->answer_v6 < e->servers)
		snprintf(f->delegation, sizeof f->delegation, "%zu of %zu name servers of %.60s not over IPv6: %.150s",
			e->servers - e->answer_v6, e->servers, e->zone, e->reason);
	else
		snprintf(f->delegation, sizeof f->delegation, "%s", e->reason);
	s->phase = PHASE_HOME;
	next_attempt(s);
}

static void count_aaaa(struct scorecard *s)
{
	const struct resolve_answer *a = &s->answers[V6];

	s->facts.has_aaaa = *options_of(s)->ipv6 == '\0';
	s->facts.aaaa = (unsigned)a->count;
	for (size_t i = 0; i < a->count; i++)
		s->facts.aaaa_global += scorecard_is_global((const struct sockaddr *)&a->addresses[i]);
}

static void resolved(struct scorecard *s)
{
	if (s->queries[V4] != NULL || s->queries[V6] != NULL)
		return;
	if (s->answers[V6].status == RESOLVE_FAILED) {
		end_unknown(s, s->no_address[V6]);
		return;
	}
	count_aaaa(s);
	s->phase = PHASE_DELEGATION;
	s->delegation = delegation_start(run_env(s->run), run_host(s->run), s->dns_limit, on_delegation, s);
}

static void on_address(struct scorecard *s, int family, const struct resolve_answer *a)
{
	struct scorecard_home *h = &s->facts.home[family];

	s->queries[family] = NULL;
	s->answers[family] = *a;
	snprintf(s->no_address[family], sizeof s->no_address[family], "%s", a->reason);
	h->has_address = a->count > 0;
	h->resolve = a->seconds > 0 ? a->seconds : (double)NAN;
	if (a->status == RESOLVE_FAILED)
		snprintf(h->own, sizeof h->own, "%s", a->reason);
	else if (!h->has_address)
		snprintf(h->reason, sizeof h->reason, "%s", a->reason);
	resolved(s);
}

static void on_v4(void *ctx, const struct resolve_answer *a)
{
	on_address(ctx, V4, a);
}

static void on_v6(void *ctx, const struct resolve_answer *a)
{
	on_address(ctx, V6, a);
}

/* A pinned address is resolved as a literal, by the loop as well. */
static void begin_names(struct scorecard *s)
{
	const struct scorecard_options *o = options_of(s);
	struct resolver *resolver = run_env(s->run)->resolver;
	int64_t timeout = (run_deadline(s->run) - run_started(s->run)) / 4;

	s->queries[V4] = resolve_start(resolver, *o->ipv4 != '\0' ? o->ipv4 : run_host(s->run), FAMILY_V4, timeout, on_v4, s);
	s->queries[V6] = resolve_start(resolver, *o->ipv6 != '\0' ? o->ipv6 : run_host(s->run), FAMILY_V6, timeout, on_v6, s);
}

/* ---- the type */

static int64_t lesser(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* What the steps may take, so that they fit: the crawl gets what the others leave. */
static void share_time(struct scorecard *s)
{
	const struct scorecard_options *o = options_of(s);
	int64_t whole = run_deadline(s->run) - run_started(s->run);
	struct err e;
	int ports = scorecard_ports(o->ports, s->ports, &e);

	s->page_limit = lesser(o->page_timeout, whole / 8);
	s->port_limit = lesser(o->port_timeout, whole / 100);
	s->dns_limit = lesser(2 * NS_PER_S, whole / 40);
	s->home_end = run_started(s->run) + whole / 2;
	s->crawl_end = run_deadline(s->run) - s->page_limit - o->delay - ports * s->port_limit - whole / 50;
}

static void scorecard_start(void *state, struct run *r)
{
	struct scorecard *s = mem_alloc(sizeof *s);

	s->run = r;
	s->shared = state;
	site_init(&s->site);
	s->turn = evtimer_new(run_env(r)->base, on_turn, s);
	assert(s->turn != NULL);
	share_time(s);
	run_set_private(r, s);
	run_on_deadline(r, at_deadline);
	begin_names(s);
}

static void scorecard_cancel(void *state, struct run *r)
{
	struct scorecard *s = run_private(r);

	(void)state;
	if (s != NULL)
		scorecard_free(s);
}

static int scorecard_open(const struct probe_env *env, void **state, struct err *e)
{
	struct shared *shared;
	struct html_library *html = html_library_open(e);

	(void)env;
	if (html == NULL)
		return -1;
	shared = mem_alloc(sizeof *shared);
	shared->html = html;
	shared->pool = http_pool_new();
	*state = shared;
	return 0;
}

static void scorecard_close(void *state)
{
	struct shared *shared = state;

	http_pool_free(shared->pool);
	html_library_close(shared->html);
	free(shared);
}

const struct probe_type scorecard_probe = {.catalog = &catalog_scorecard, .open = scorecard_open,
	.start = scorecard_start, .cancel = scorecard_cancel, .close = scorecard_close};
