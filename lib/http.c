#include "lib/http.h"

#include <assert.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdlib.h>
#include <sys/queue.h>

#include "lib/mem.h"

struct transfer {
	LIST_ENTRY(transfer) link;
	CURL *easy;
	void (*on_done)(void *ctx, CURL *easy, CURLcode);
	void *ctx;
};

/* What libcurl waits for on one descriptor. */
struct watch {
	LIST_ENTRY(watch) link;
	struct event *event;
};

struct http_client {
	struct event_base *base;
	CURLM *multi;
	struct event *timer;
	LIST_HEAD(, transfer) transfers;
	LIST_HEAD(, watch) watches;
	bool inside; /* on_done is being called */
};

/* Forgets a transfer that libcurl must not touch any more. */
static void transfer_drop(struct http_client *c, struct transfer *t)
{
	curl_multi_remove_handle(c->multi, t->easy);
	curl_easy_setopt(t->easy, CURLOPT_PRIVATE, NULL);
	LIST_REMOVE(t, link);
	free(t);
}

static struct transfer *transfer_of(CURL *easy)
{
	struct transfer *t = NULL;

	curl_easy_getinfo(easy, CURLINFO_PRIVATE, &t);
	return t;
}

/* Ends what is done. Asked anew each time: on_done may cancel others whose end waits here. */
static void end_done(struct http_client *c)
{
	CURLMsg *m;
	int left;

	while ((m = curl_multi_info_read(c->multi, &left)) != NULL) {
		CURL *easy = m->easy_handle;
		CURLcode result = m->data.result;
		struct transfer t = *transfer_of(easy);

		transfer_drop(c, transfer_of(easy));
		c->inside = true;
		t.on_done(t.ctx, easy, result);
		c->inside = false;
	}
}

static void on_socket(evutil_socket_t fd, short what, void *ctx)
{
	struct http_client *c = ctx;
	int mask = (what & EV_READ ? CURL_CSELECT_IN : 0) | (what & EV_WRITE ? CURL_CSELECT_OUT : 0);
	int running;

	curl_multi_socket_action(c->multi, fd, mask, &running);
	end_done(c);
}

static void on_timer(evutil_socket_t fd, short what, void *ctx)
{
	struct http_client *c = ctx;
	int running;

	(void)fd;
	(void)what;
	curl_multi_socket_action(c->multi, CURL_SOCKET_TIMEOUT, 0, &running);
	end_done(c);
}

static void watch_drop(struct watch *w)
{
	event_free(w->event);
	LIST_REMOVE(w, link);
	free(w);
}

static int on_watch(CURL *easy, curl_socket_t fd, int what, void *ctx, void *of_socket)
{
	struct http_client *c = ctx;
	struct watch *w = of_socket;
	short events = EV_PERSIST;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (w != NULL)
			watch_drop(w);
		return 0;
	}
	events |= what & CURL_POLL_IN ? EV_READ : 0;
	events |= what & CURL_POLL_OUT ? EV_WRITE : 0;
	if (w == NULL) {
		w = mem_alloc(sizeof *w);
		LIST_INSERT_HEAD(&c->watches, w, link);
		curl_multi_assign(c->multi, fd, w);
	} else {
		event_free(w->event);
	}
	w->event = event_new(c->base, fd, events, on_socket, c);
	assert(w->event != NULL);
	event_add(w->event, NULL);
	return 0;
}

/* Also called from inside http_start: only sets the timer, the loop does the work. */
static int on_timeout_wanted(CURLM *multi, long timeout_ms, void *ctx)
{
	struct http_client *c = ctx;
	struct timeval tv = {timeout_ms / 1000, timeout_ms % 1000 * 1000};

	(void)multi;
	if (timeout_ms < 0)
		event_del(c->timer);
	else
		event_add(c->timer, &tv);
	return 0;
}

struct http_client *http_client_new(struct event_base *base)
{
	struct http_client *c = mem_alloc(sizeof *c);

	curl_global_init(CURL_GLOBAL_DEFAULT);
	c->base = base;
	c->timer = evtimer_new(base, on_timer, c);
	c->multi = curl_multi_init();
	assert(c->timer != NULL && c->multi != NULL);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETFUNCTION, on_watch);
	curl_multi_setopt(c->multi, CURLMOPT_SOCKETDATA, c);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERFUNCTION, on_timeout_wanted);
	curl_multi_setopt(c->multi, CURLMOPT_TIMERDATA, c);
	return c;
}

void http_client_free(struct http_client *c)
{
	if (c == NULL)
		return;
	assert(!c->inside);
	while (!LIST_EMPTY(&c->transfers))
		transfer_drop(c, LIST_FIRST(&c->transfers));
	curl_multi_cleanup(c->multi);
	while (!LIST_EMPTY(&c->watches))
		watch_drop(LIST_FIRST(&c->watches));
	event_free(c->timer);
	curl_global_cleanup();
	free(c);
}

void http_start(struct http_client *c, CURL *easy, void (*on_done)(void *ctx, CURL *easy, CURLcode), void *ctx)
{
	struct transfer *t = mem_alloc(sizeof *t);
	CURLMcode rc;

	assert(transfer_of(easy) == NULL);
	*t = (struct transfer){.easy = easy, .on_done = on_done, .ctx = ctx};
	curl_easy_setopt(easy, CURLOPT_PRIVATE, t);
#if LIBCURL_VERSION_NUM >= 0x075700
	/* Whoever gives a name up must not wait for the thread that asks for it: that would hold the whole loop. */
	curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
	LIST_INSERT_HEAD(&c->transfers, t, link);
	rc = curl_multi_add_handle(c->multi, easy);
	assert(rc == CURLM_OK);
	(void)rc;
}

void http_cancel(struct http_client *c, CURL *easy)
{
	struct transfer *t = transfer_of(easy);

	if (t != NULL)
		transfer_drop(c, t);
}
