#include "lib/uplink.h"

#include <arpa/inet.h>
#include <assert.h>
#include <event2/event.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/ssl.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/http.h"
#include "lib/journal.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "lib/uplink_lane.h"
#include "lib/uplink_pack.h"
#include "lib/wire.h"

#define CURSOR "uplink"
#define BATCH_BYTES (512u << 10)
#define RETRY_FIRST NS_PER_S
#define RETRY_MOST (120 * NS_PER_S)
#define NOW_EVERY (30 * NS_PER_S)
#define REFUSALS_MAX 3
#define ANSWER_MAX (64u << 10)
#define ANSWER_WITHIN (60 * NS_PER_S)
#define PULL_WAIT_S 60
#define PULL_QUICK NS_PER_S /* an answer that comes sooner has not waited */
/* The pull lane comes back later than the push lane: a restarted collector gets its results first. */
#define PULL_RETRY_FACTOR 5

struct uplink {
	struct uplink_options options; /* texts: tls and url are not kept */
	/* Its own: libcurl would take a connection, or the roots, of another who asks the same host, and that one
	 * may have shown another certificate or trust others. */
	struct http_client *http;
	struct journal *journal;
	SSL_CTX *tls;
	struct curl_slist *connect_to;
	char *agent, *url_batch, *url_now, *url_assignments;
	struct uplink_lane push, pull;
	uint64_t boot;
	/* push */
	struct uplink_pack *pack;
	struct position taken;  /* last entry that the collector has; the next batch begins behind */
	struct position sent;   /* last entry of the batch in flight */
	size_t sent_entries, sent_bytes;
	struct position span;   /* all from here up to `sent` is of one epoch; {0,0}: not known */
	bool must_rewind;       /* what was packed behind `taken` was not taken */
	size_t max_entries;     /* of one batch; fewer while what is refused is searched */
	uint64_t narrow_until;  /* seq: all behind it is sent as usual again */
	unsigned refusals;      /* of the same batch */
	unsigned detours;       /* answers 409 in a row */
	bool draining;          /* since the last cut the backlog was never empty */
	int64_t now_due;        /* while draining: mono */
	bool now_was_last;      /* a batch goes between two of them, however slow they are */
	/* pull */
	uint64_t generation;
	bool has_generation;
	int64_t asked;          /* mono of the request under way */
	struct uplink_stats stats;
};

static void push_next(struct uplink *);
static void pull_next(struct uplink *);

static void set_error(struct uplink *u, const char *what, const struct err *e)
{
	snprintf(u->stats.last_error, sizeof u->stats.last_error, "%s: %.200s", what, e->text);
}

static void lane_failed(struct uplink *u, struct uplink_lane *l, const char *what, long status, const struct err *e)
{
	u->stats.failures++;
	set_error(u, what, e);
	uplink_lane_failed(l, what, status, e);
}

/* ---- push: what the collector says */

static const char push_name[] = "push to the collector";

static bool has_backlog(const struct uplink *u)
{
	return u->taken.seq < journal_synced(u->journal).seq;
}

/* Whatever was packed is void; a Now goes first when the collector is back. */
static void push_failed(struct uplink *u, long status, const struct err *e)
{
	u->must_rewind = true;
	u->draining = true;
	u->now_due = 0;
	u->now_was_last = false;
	lane_failed(u, &u->push, push_name, status, e);
}

static void push_worked(struct uplink *u)
{
	uplink_lane_succeeded(&u->push, push_name);
	u->stats.last_success_mono = clock_mono();
	u->detours = 0;
}

/* The cursor moves on only, not behind what was taken, and to a position whose epoch is known. */
static void move_cursor(struct uplink *u, uint64_t durable)
{
	struct position at = {0, 0};

	if (durable > u->taken.seq)
		durable = u->taken.seq;
	journal_cursor_get(u->journal, CURSOR, &at);
	if (durable > at.seq && durable >= u->span.seq)
		journal_cursor_set(u->journal, CURSOR, (struct position){u->span.epoch, durable});
}

/* Towards whole batches again, so that what stands behind a refused entry does not go one by one. */
static void widen_again(struct uplink *u)
{
	u->refusals = 0;
	if (u->taken.seq >= u->narrow_until)
		u->max_entries = SIZE_MAX;
	else
		u->max_entries *= 2;
}

static void on_taken(struct uplink *u)
{
	struct wire_answer a;
	struct err e;

	if (wire_answer_decode(u->push.answer.data, u->push.answer.len, &a, &e) < 0) {
		push_failed(u, 0, &e);
		return;
	}
	if (a.accepted.epoch != u->sent.epoch || a.accepted.seq < u->sent.seq) {
		err_set(&e, "answer accepts %llu of another batch or of a part", (unsigned long long)a.accepted.seq);
		push_failed(u, 0, &e);
		return;
	}
	push_worked(u);
	u->taken = u->sent;
	u->stats.batches++;
	u->stats.entries += u->sent_entries;
	u->stats.bytes += u->sent_bytes;
	move_cursor(u, a.durable);
	widen_again(u);
	push_next(u);
	for (size_t i = 0; i < a.probes_count && u->options.on_probe != NULL; i++)
		u->options.on_probe(u->options.ctx, a.probes[i]);
}

/* Goes where the collector wants us: back, when it lost what it had not called durable, or on. */
static int detour(struct uplink *u, const struct wire_answer *a, struct err *e)
{
	struct position after = {a->expected.epoch, a->expected.seq - 1}, cursor;

	if (a->expected.seq == 0 || after.seq > journal_synced(u->journal).seq)
		return err_set(e, "collector expects %016llx:%llu, which this journal never had: it was put back to an "
			"older state, or is another's", (unsigned long long)a->expected.epoch,
			(unsigned long long)a->expected.seq);
	if (after.seq == 0)
		after.epoch = 0;
	if (uplink_pack_rewind(u->pack, after, e) < 0)
		return err_wrap(e, "collector expects another entry");
	log_warn("collector expects another entry, going there expected=%llu taken=%llu reason=\"%s\"",
		(unsigned long long)a->expected.seq, (unsigned long long)u->taken.seq, a->reason);
	/* What the collector lost must not be trimmed before it is sent again. */
	if (journal_cursor_get(u->journal, CURSOR, &cursor) && after.seq < cursor.seq)
		journal_cursor_set(u->journal, CURSOR, after);
	u->taken = after;
	u->span = (struct position){0, 0};
	u->must_rewind = false;
	return 0;
}

/* A collector that sends us to and fro is treated as one that fails. */
static void on_expected(struct uplink *u)
{
	struct wire_answer a;
	struct err e;

	if (wire_answer_decode(u->push.answer.data, u->push.answer.len, &a, &e) < 0) {
		push_failed(u, 0, &e);
	} else if (detour(u, &a, &e) < 0) {
		log_error("%s", e.text);
		push_failed(u, 0, &e);
	} else if (u->detours++ > 0) {
		err_set(&e, "collector expects another entry again");
		push_failed(u, 0, &e);
	} else {
		push_next(u);
	}
}

static void set_aside(struct uplink *u)
{
	struct position at;
	struct err e;

	if (uplink_pack_set_aside(u->pack, journal_synced(u->journal), &at, &e) < 0) {
		set_error(u, push_name, &e);
		log_error("an entry that cannot be sent could not be set aside either error=\"%s\"", e.text);
		uplink_lane_pause(&u->push, u->options.retry_most);
		u->must_rewind = true;
		return;
	}
	u->stats.set_aside++;
	u->refusals = 0;
	log_error("an entry that cannot be sent was set aside entry=%016llx:%llu error=\"%s\"",
		(unsigned long long)at.epoch, (unsigned long long)at.seq, u->stats.last_error);
}

/* The words of a refusal, which is an Answer with a reason. */
static void refusal_words(const struct uplink_lane *l, long status, struct err *e)
{
	struct wire_answer a = {.reason = ""};
	struct err ignored;

	if (l->answer.len == 0 || wire_answer_decode(l->answer.data, l->answer.len, &a, &ignored) < 0)
		a.reason[0] = '\0';
	err_set(e, "collector answers %ld%s%s", status, a.reason[0] != '\0' ? ": " : "", a.reason);
}

/* Three refusals of the whole batch, then halves at once; three again before one entry is given up. */
static void on_refused(struct uplink *u, long status)
{
	struct err e;

	u->stats.refused++;
	u->refusals++;
	refusal_words(&u->push, status, &e);
	if (u->max_entries == SIZE_MAX || u->sent_entries == 1) {
		push_failed(u, 0, &e);
		if (u->refusals < REFUSALS_MAX)
			return;
	}
	set_error(u, push_name, &e);
	if (uplink_pack_rewind(u->pack, u->taken, &e) < 0) {
		push_failed(u, 0, &e);
		return;
	}
	u->must_rewind = false;
	if (u->sent_entries == 1) {
		set_aside(u);
	} else {
		if (u->max_entries == SIZE_MAX)
			u->narrow_until = u->sent.seq;
		u->max_entries = u->sent_entries / 2;
		u->refusals = 0;
	}
	if (uplink_lane_is_free(&u->push))
		push_next(u);
}

static void on_pushed(void *ctx, CURL *easy, CURLcode result)
{
	struct uplink *u = ctx;
	struct err e;
	long status = uplink_lane_done(&u->push, result, &e);

	(void)easy;
	switch (status) {
	case 0:
		push_failed(u, 0, &e);
		break;
	case 200:
		on_taken(u);
		break;
	case 400:
	case 413:
		on_refused(u, status);
		break;
	case 409:
		on_expected(u);
		break;
	default:
		refusal_words(&u->push, status, &e);
		push_failed(u, status, &e);
	}
}

/* ---- push: what we say */

static void fill_head(const struct uplink *u, struct wire_batch_head *h, uint64_t last)
{
	*h = (struct wire_batch_head){.agent = u->agent,
		.sent_mono = clock_mono(),
		.sent_real = clock_real(),
		.sent_boot = u->boot,
		.backlog = journal_synced(u->journal).seq - last};
}

static void post(struct uplink *u, const char *url, const struct buf *body,
	void (*on_done)(void *ctx, CURL *easy, CURLcode))
{
	struct buf packed = {0};

	wire_compress(body->data, body->len, &packed);
	u->sent_bytes = packed.len;
	curl_easy_setopt(u->push.easy, CURLOPT_POSTFIELDSIZE, (long)packed.len);
	curl_easy_setopt(u->push.easy, CURLOPT_COPYPOSTFIELDS, packed.data);
	buf_fini(&packed);
	uplink_lane_start(&u->push, url, on_done, u);
}

/* A Now is a courtesy: one that is refused must not keep the results back. */
static void on_now_pushed(void *ctx, CURL *easy, CURLcode result)
{
	struct uplink *u = ctx;
	struct err e;
	long status = uplink_lane_done(&u->push, result, &e);

	(void)easy;
	if (status != 0 && status != 200)
		refusal_words(&u->push, status, &e);
	if (status == 200) {
		push_worked(u);
	} else if (status == 0 || status == 429 || status >= 500) {
		push_failed(u, status, &e);
		return;
	} else {
		set_error(u, "now", &e);
		log_warn("a now message was refused error=\"%s\"", e.text);
	}
	push_next(u);
}

/* True when a Now is on its way. */
static bool push_now(struct uplink *u)
{
	int64_t now = clock_mono();
	struct wire_batch_head head;
	struct wire_packer *packer;
	struct buf body = {0};

	if (u->options.add_now == NULL || !u->draining || now < u->now_due)
		return false;
	u->now_due = now + u->options.now_every;
	packer = wire_packer_new(WIRE_BODY_MAX);
	u->options.add_now(u->options.ctx, packer);
	if (wire_packer_count(packer) > 0) {
		fill_head(u, &head, u->taken.seq);
		head.epoch = journal_end(u->journal).epoch;
		wire_now_encode(packer, &head, &body);
		u->now_was_last = true;
		post(u, u->url_now, &body, on_now_pushed);
	}
	wire_packer_free(packer);
	buf_fini(&body);
	return u->push.running;
}

static void push_batch(struct uplink *u)
{
	struct wire_batch_head head;
	struct buf body = {0};

	u->sent = uplink_pack_last(u->pack);
	if (u->sent.epoch != u->span.epoch)
		u->span = (struct position){u->sent.epoch, uplink_pack_first(u->pack)};
	u->sent_entries = uplink_pack_count(u->pack);
	u->now_was_last = false;
	fill_head(u, &head, u->sent.seq);
	uplink_pack_finish(u->pack, &head, &body);
	post(u, u->url_batch, &body, on_pushed);
	buf_fini(&body);
}

static int rewind_to_taken(struct uplink *u, struct err *e)
{
	if (!u->must_rewind)
		return 0;
	if (uplink_pack_rewind(u->pack, u->taken, e) < 0)
		return -1;
	u->must_rewind = false;
	return 0;
}

static void push_entries(struct uplink *u)
{
	struct err e;

	if (rewind_to_taken(u, &e) < 0) {
		push_failed(u, 0, &e);
		return;
	}
	switch (uplink_pack_fill(u->pack, journal_synced(u->journal), u->max_entries, &e)) {
	case UPLINK_FILL_BATCH:
		push_batch(u);
		break;
	case UPLINK_FILL_UNFIT:
		set_error(u, push_name, &e);
		set_aside(u);
		if (uplink_lane_is_free(&u->push))
			uplink_lane_pause(&u->push, 0);
		break;
	case UPLINK_FILL_NONE:
		u->draining = false;
		break;
	case UPLINK_FILL_FAILED:
		push_failed(u, 0, &e);
		break;
	}
}

static void push_next(struct uplink *u)
{
	if (!uplink_lane_is_free(&u->push))
		return;
	if (!has_backlog(u)) {
		u->draining = false;
		return;
	}
	if (u->now_was_last || !push_now(u))
		push_entries(u);
}

/* ---- pull: assignments */

static const char pull_name[] = "asking for assignments";

/* 0, or -1 with err: not ours, or no assignments. */
static int take_assignments(struct uplink *u, struct err *e)
{
	const struct buf *b = &u->pull.answer;
	struct wire_assignments *a = wire_assignments_decode(b->data, b->len, e);
	bool is_news;
	int rc = 0;

	if (a == NULL)
		return -1;
	is_news = !u->has_generation || a->generation != u->generation;
	if (strcmp(a->agent, u->agent) != 0) {
		rc = err_set(e, "assignments are those of %s", a->agent);
	} else {
		u->generation = a->generation;
		u->has_generation = true;
	}
	wire_assignments_free(a);
	if (rc == 0 && is_news)
		u->options.on_assignments(u->options.ctx, b->data, b->len);
	return rc;
}

/* A collector that does not wait must not make us spin. */
static void pull_again(struct uplink *u)
{
	if (clock_mono() - u->asked < PULL_QUICK)
		uplink_lane_rest(&u->pull);
	else
		pull_next(u);
}

static void on_pulled(void *ctx, CURL *easy, CURLcode result)
{
	struct uplink *u = ctx;
	struct err e;
	long status = uplink_lane_done(&u->pull, result, &e);
	int rc = -1;

	(void)easy;
	if (status == 200)
		rc = take_assignments(u, &e);
	else if (status == 304)
		rc = 0;
	else if (status != 0)
		err_set(&e, "collector answers %ld", status);
	if (rc < 0) {
		lane_failed(u, &u->pull, pull_name, status, &e);
		return;
	}
	uplink_lane_succeeded(&u->pull, pull_name);
	pull_again(u);
}

static void pull_next(struct uplink *u)
{
	char text[64];

	if (!uplink_lane_is_free(&u->pull))
		return;
	curl_slist_free_all(u->pull.headers);
	snprintf(text, sizeof text, "Prefer: wait=%d", PULL_WAIT_S);
	u->pull.headers = curl_slist_append(NULL, text);
	if (u->has_generation) {
		snprintf(text, sizeof text, "If-None-Match: \"%" PRIu64 "\"", u->generation);
		u->pull.headers = curl_slist_append(u->pull.headers, text);
	}
	u->asked = clock_mono();
	uplink_lane_start(&u->pull, u->url_assignments, on_pulled, u);
}

/* ---- life */

static void on_push_timer(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd, (void)what;
	push_next(ctx);
}

static void on_pull_timer(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd, (void)what;
	pull_next(ctx);
}

/* "https://host[:port]" and nothing more; *host without brackets. */
static int check_url(const char *url, char host[TLS_NAME_MAX + 1], struct err *e)
{
	CURLU *parts = curl_url();
	char *scheme = NULL, *name = NULL, *path = NULL, *rest = NULL;
	int rc = 0;

	if (curl_url_set(parts, CURLUPART_URL, url, 0) != CURLUE_OK ||
		curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK || strcmp(scheme, "https") != 0 ||
		curl_url_get(parts, CURLUPART_HOST, &name, 0) != CURLUE_OK ||
		curl_url_get(parts, CURLUPART_PATH, &path, 0) != CURLUE_OK || strcmp(path, "/") != 0 ||
		curl_url_get(parts, CURLUPART_USER, &rest, 0) == CURLUE_OK ||
		curl_url_get(parts, CURLUPART_QUERY, &rest, 0) == CURLUE_OK ||
		curl_url_get(parts, CURLUPART_FRAGMENT, &rest, 0) == CURLUE_OK || strlen(name) > TLS_NAME_MAX)
		rc = err_set(e, "collector url '%.200s' must be https://HOST or https://HOST:PORT", url);
	else
		snprintf(host, TLS_NAME_MAX + 1, "%.*s", (int)strcspn(name + (name[0] == '['), "]"),
			name + (name[0] == '['));
	curl_free(scheme);
	curl_free(name);
	curl_free(path);
	curl_free(rest);
	curl_url_cleanup(parts);
	return rc;
}

static int set_address(struct uplink *u, const char *address, struct err *e)
{
	unsigned char bytes[sizeof(struct in6_addr)];
	char text[INET6_ADDRSTRLEN + 8];

	if (address == NULL || address[0] == '\0')
		return 0;
	if (inet_pton(AF_INET, address, bytes) == 1)
		snprintf(text, sizeof text, "::%s:", address);
	else if (inet_pton(AF_INET6, address, bytes) == 1)
		snprintf(text, sizeof text, "::[%s]:", address);
	else
		return err_set(e, "address '%.100s' is no IPv4 or IPv6 address", address);
	u->connect_to = curl_slist_append(NULL, text);
	return 0;
}

/* Without a trailing slash, so that paths follow. */
static void set_urls(struct uplink *u, const char *url)
{
	int len = (int)strlen(url) - (url[strlen(url) - 1] == '/');

	u->url_batch = mem_format("%.*s/v1/batch", len, url);
	u->url_now = mem_format("%.*s/v1/now", len, url);
	u->url_assignments = mem_format("%.*s/v1/assignments", len, url);
}

static int64_t or_default(int64_t value, int64_t fallback)
{
	return value > 0 ? value : fallback;
}

static void take_options(struct uplink *u, const struct uplink_options *o)
{
	u->options = *o;
	u->options.url = u->options.agent = u->options.address = NULL;
	u->options.tls = (struct tls_files){NULL, NULL, NULL};
	u->options.retry_first = or_default(o->retry_first, RETRY_FIRST);
	u->options.retry_most = or_default(o->retry_most, RETRY_MOST);
	u->options.now_every = or_default(o->now_every, NOW_EVERY);
	u->options.answer_within = or_default(o->answer_within, ANSWER_WITHIN);
	u->boot = clock_boot_id();
	u->agent = mem_strdup(o->agent);
	u->max_entries = SIZE_MAX;
	u->draining = true; /* what the journal held before this start is a backlog */
	set_urls(u, o->url);
}

static void open_lanes(struct uplink *u, struct event_base *base)
{
	const struct uplink_options *o = &u->options;

	u->push = (struct uplink_lane){.http = u->http, .tls = u->tls, .timer = evtimer_new(base, on_push_timer, u),
		.first_pause = o->retry_first, .most_pause = o->retry_most, .answer_max = ANSWER_MAX};
	u->pull = (struct uplink_lane){.http = u->http, .tls = u->tls, .timer = evtimer_new(base, on_pull_timer, u),
		.first_pause = o->retry_first * PULL_RETRY_FACTOR, .most_pause = o->retry_most, .answer_max = WIRE_BODY_MAX};
	assert(u->push.timer != NULL && u->pull.timer != NULL);
	uplink_lane_init(&u->push, u->connect_to, o->answer_within);
	uplink_lane_init(&u->pull, u->connect_to, o->answer_within + PULL_WAIT_S * NS_PER_S);
	u->push.headers = curl_slist_append(NULL, "Content-Type: application/x-protobuf");
	curl_slist_append(u->push.headers, "Content-Encoding: zstd");
	curl_slist_append(u->push.headers, "Expect:");
}

/* Behind the cursor, or with the oldest entry when there is none or it leads nowhere. */
static int open_pack(struct uplink *u, size_t batch_bytes, struct err *e)
{
	u->pack = uplink_pack_new(journal_path(u->journal), batch_bytes > 0 ? batch_bytes : BATCH_BYTES);
	if (!journal_cursor_get(u->journal, CURSOR, &u->taken))
		u->taken = (struct position){0, 0};
	if (uplink_pack_rewind(u->pack, u->taken, e) == 0)
		return 0;
	log_error("uplink begins with the oldest entry error=\"%s\"", e->text);
	u->taken = (struct position){0, 0};
	return uplink_pack_rewind(u->pack, u->taken, e);
}

struct uplink *uplink_new(struct event_base *base, struct journal *journal, const struct uplink_options *o,
	struct err *e)
{
	struct uplink *u;
	char host[TLS_NAME_MAX + 1];

	if (num_check_id(o->agent, e) < 0 || check_url(o->url, host, e) < 0)
		return NULL;
	u = mem_alloc(sizeof *u);
	u->http = http_client_new(base);
	u->journal = journal;
	take_options(u, o);
	if (set_address(u, o->address, e) == 0)
		u->tls = tls_client(&o->tls, host, e);
	if (u->tls == NULL || open_pack(u, o->batch_bytes, e) < 0) {
		uplink_free(u);
		return NULL;
	}
	open_lanes(u, base);
	uplink_wake(u);
	if (u->options.on_assignments != NULL)
		uplink_lane_pause(&u->pull, 0);
	return u;
}

void uplink_free(struct uplink *u)
{
	if (u == NULL)
		return;
	uplink_lane_fini(&u->push);
	uplink_lane_fini(&u->pull);
	http_client_free(u->http);
	uplink_pack_free(u->pack);
	SSL_CTX_free(u->tls);
	curl_slist_free_all(u->connect_to);
	free(u->agent);
	free(u->url_batch);
	free(u->url_now);
	free(u->url_assignments);
	free(u);
}

void uplink_wake(struct uplink *u)
{
	if (uplink_lane_is_free(&u->push))
		uplink_lane_pause(&u->push, 0);
}

void uplink_stats(const struct uplink *u, struct uplink_stats *out)
{
	*out = u->stats;
	out->backlog = journal_synced(u->journal).seq - u->taken.seq;
}
