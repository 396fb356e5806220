/* A collector in this process answers by script, over real TLS; the journal is a real one. */
#include "lib/uplink.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <dirent.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/keyvalq_struct.h>
#include <event2/listener.h>
#include <openssl/ssl.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/journal.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/wire.h"
#include "tests/support/pki.h"

#define SEQ_MAX_SEEN 20000
#define LOG_SIZE 4096
#define PATIENCE_S 30

/* ---- the collector */

enum act { ACT_OK, ACT_LOSE, ACT_STATUS, ACT_GARBAGE, ACT_HUGE, ACT_HEADERS, ACT_SILENT, ACT_WRONG_EPOCH, ACT_PART };

struct collector {
	struct evhttp *http;
	SSL_CTX *tls;
	int port;
	/* What it took. */
	struct position mark;          /* newest epoch and its last seq */
	unsigned char times[SEQ_MAX_SEEN]; /* that an entry was taken */
	unsigned char kinds[SEQ_MAX_SEEN];
	size_t largest;                /* entries of one batch */
	bool out_of_order;
	/* What it does with the next requests for batches: `acts` from `act` on, then ACT_OK. */
	enum act acts[64];
	int status, retry_after;       /* of ACT_STATUS */
	size_t act, acts_count;
	bool always_refuses;
	uint64_t poison[4];            /* entries that make it answer 400 */
	uint64_t durable_behind;       /* how far durable is behind accepted */
	bool expects; struct position expected; /* answers 409 with that */
	int now_status;
	struct wire_batch_head last_head;
	char log[LOG_SIZE];            /* N now, B batch taken, D duplicate, E expected, R refused, F else, A assignments */
	size_t log_len;
	int64_t when[LOG_SIZE];        /* mono of each */
	unsigned handshakes;
	uint64_t peer;                 /* serial of the certificate that the last batch came with */
	/* Assignments. */
	struct buf assignments;
	uint64_t generation;
	char asked_for[64];            /* the last If-None-Match */
	struct evhttp_request *waiting;
};

static struct world {
	char folder[64], journal_path[96];
	char ca[96], pem[3][96], key[3][96];
	struct pki root;
	struct event_base *base;
	struct journal *journal;
	struct uplink *uplink;
	struct collector c;
	/* What the agent's callbacks saw. */
	unsigned nows, arrivals;
	struct buf arrived;
} w;

static void note(char what)
{
	if (w.c.log_len >= LOG_SIZE - 1)
		return;
	w.c.when[w.c.log_len] = clock_mono();
	w.c.log[w.c.log_len++] = what;
	w.c.log[w.c.log_len] = '\0';
}

static void send_bytes(struct evhttp_request *req, int status, const struct buf *b)
{
	struct evbuffer *out = evbuffer_new();

	if (b != NULL)
		evbuffer_add(out, b->data, b->len);
	evhttp_send_reply(req, status, "-", out);
	evbuffer_free(out);
}

static void send_answer(struct evhttp_request *req, int status, const struct wire_answer *a)
{
	struct buf b = {0};

	wire_answer_encode(a, &b);
	send_bytes(req, status, &b);
	buf_fini(&b);
}

static void close_connection(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd, (void)what;
	evhttp_connection_free(ctx);
}

static void lose(struct evhttp_request *req)
{
	struct timeval at_once = {0, 0};

	event_base_once(w.base, -1, EV_TIMEOUT, close_connection, evhttp_request_get_connection(req), &at_once);
}

static void take_entry(uint64_t seq, unsigned kind, uint64_t *last)
{
	assert_true(seq < SEQ_MAX_SEEN);
	if (seq <= *last)
		w.c.out_of_order = true;
	*last = seq;
	w.c.times[seq]++;
	w.c.kinds[seq] = (unsigned char)kind;
}

static void take_batch(struct wire_batch *b)
{
	uint64_t last = b->head.first - 1, last_other = last, seq;
	struct result r;

	for (size_t i = 0; i < wire_rows_count(b->rows); i++) {
		wire_rows_next(b->rows, &r, &seq);
		take_entry(seq, ENTRY_RESULT, &last);
	}
	for (size_t i = 0; i < b->others_count; i++)
		take_entry(b->others[i].seq, b->others[i].kind, &last_other);
	if (wire_rows_count(b->rows) + b->others_count > w.c.largest)
		w.c.largest = wire_rows_count(b->rows) + b->others_count;
	w.c.mark = (struct position){b->head.epoch, b->head.last};
}

static bool is_poisoned(struct wire_batch *b)
{
	struct result r;
	bool found = w.c.always_refuses;
	uint64_t seq;

	for (size_t i = 0; i < wire_rows_count(b->rows); i++) {
		wire_rows_next(b->rows, &r, &seq);
		for (size_t k = 0; k < 4; k++)
			found |= seq == w.c.poison[k];
	}
	wire_rows_rewind(b->rows);
	return found;
}

static void answer_taken(struct evhttp_request *req, const struct wire_batch_head *h)
{
	struct wire_answer a = {.accepted = {h->epoch, w.c.mark.seq}};

	a.durable = a.accepted.seq > w.c.durable_behind ? a.accepted.seq - w.c.durable_behind : 0;
	send_answer(req, 200, &a);
}

static void answer_expected(struct evhttp_request *req, struct position expected)
{
	note('E');
	send_answer(req, 409, &(struct wire_answer){.expected = expected, .reason = "expected"});
}

/* As the real one judges: each entry of an epoch once, in order; a new epoch goes on where the last one ended. */
static void judge(struct evhttp_request *req, struct wire_batch *b)
{
	if (w.c.expects) {
		answer_expected(req, w.c.expected);
	} else if (b->head.epoch == w.c.mark.epoch && b->head.last <= w.c.mark.seq) {
		note('D');
		answer_taken(req, &b->head);
	} else if (b->head.first != w.c.mark.seq + 1) {
		answer_expected(req, (struct position){w.c.mark.epoch, w.c.mark.seq + 1});
	} else {
		note('B');
		take_batch(b);
		answer_taken(req, &b->head);
	}
}

static void misbehave(struct evhttp_request *req, enum act act, struct wire_batch *b)
{
	struct buf bytes = {0};
	char text[32];

	note('F');
	switch (act) {
	case ACT_LOSE:
		if (b->head.first == w.c.mark.seq + 1)
			take_batch(b);
		lose(req);
		break;
	case ACT_STATUS:
		if (w.c.retry_after > 0) {
			snprintf(text, sizeof text, "%d", w.c.retry_after);
			evhttp_add_header(evhttp_request_get_output_headers(req), "Retry-After", text);
		}
		send_bytes(req, w.c.status, NULL);
		break;
	case ACT_GARBAGE:
		buf_add_text(&bytes, "<html>not for you</html>");
		send_bytes(req, 200, &bytes);
		break;
	case ACT_HUGE:
		memset(buf_reserve(&bytes, 1 << 20), 0, 1 << 20);
		bytes.len = 1 << 20;
		send_bytes(req, 200, &bytes);
		break;
	case ACT_HEADERS:
		memset(buf_reserve(&bytes, 1 << 15), 'x', 1 << 15);
		bytes.len = (1 << 15) - 1;
		evhttp_add_header(evhttp_request_get_output_headers(req), "X-Long", buf_text(&bytes));
		send_bytes(req, 200, NULL);
		break;
	case ACT_WRONG_EPOCH:
		send_answer(req, 200, &(struct wire_answer){.accepted = {b->head.epoch + 1, b->head.last}});
		break;
	case ACT_PART:
		send_answer(req, 200, &(struct wire_answer){.accepted = {b->head.epoch, b->head.last - 1}});
		break;
	case ACT_SILENT:
	case ACT_OK:
		break;
	}
	buf_fini(&bytes);
}

/* The body of a request, unpacked. */
static void read_body(struct evhttp_request *req, struct buf *out)
{
	struct evbuffer *in = evhttp_request_get_input_buffer(req);
	struct err e;

	assert_string_equal(evhttp_find_header(evhttp_request_get_input_headers(req), "Content-Encoding"), "zstd");
	assert_int_equal(
		wire_decompress(evbuffer_pullup(in, -1), evbuffer_get_length(in), out, &e), 0);
}

static uint64_t peer_serial(struct evhttp_request *req)
{
	struct bufferevent *bev = evhttp_connection_get_bufferevent(evhttp_request_get_connection(req));
	X509 *x = SSL_get_peer_certificate(bufferevent_openssl_get_ssl(bev));
	uint64_t serial = 0;

	assert_int_equal(ASN1_INTEGER_get_uint64(&serial, X509_get0_serialNumber(x)), 1);
	X509_free(x);
	return serial;
}

static void on_batch(struct evhttp_request *req, void *ctx)
{
	struct buf body = {0};
	struct wire_batch *b;
	struct err e;
	enum act act;

	(void)ctx;
	read_body(req, &body);
	b = wire_batch_decode(body.data, body.len, &e);
	if (b == NULL)
		fail_msg("batch cannot be decoded: %s", e.text);
	assert_string_equal(b->head.agent, "agent-1");
	w.c.last_head = b->head;
	w.c.peer = peer_serial(req);
	act = w.c.act < w.c.acts_count ? w.c.acts[w.c.act++] : ACT_OK;
	if (act != ACT_OK) {
		misbehave(req, act, b);
	} else if (is_poisoned(b)) {
		note('R');
		send_answer(req, 400, &(struct wire_answer){.reason = "poisoned"});
	} else {
		judge(req, b);
	}
	wire_batch_free(b);
	buf_fini(&body);
}

static void on_now(struct evhttp_request *req, void *ctx)
{
	struct buf body = {0};
	struct wire_batch *b;
	struct err e;

	(void)ctx;
	read_body(req, &body);
	b = wire_now_decode(body.data, body.len, &e);
	assert_non_null(b);
	assert_int_equal(wire_rows_count(b->rows), 1);
	note('N');
	if (w.c.now_status != 0)
		send_bytes(req, w.c.now_status, NULL);
	else
		send_answer(req, 200, &(struct wire_answer){.accepted = {b->head.epoch, 0}});
	wire_batch_free(b);
	buf_fini(&body);
}

static void on_assignments_wanted(struct evhttp_request *req, void *ctx)
{
	const char *tag = evhttp_find_header(evhttp_request_get_input_headers(req), "If-None-Match");
	char now[32];

	(void)ctx;
	note('A');
	assert_string_equal(evhttp_find_header(evhttp_request_get_input_headers(req), "Prefer"), "wait=60");
	snprintf(w.c.asked_for, sizeof w.c.asked_for, "%s", tag != NULL ? tag : "");
	snprintf(now, sizeof now, "\"%llu\"", (unsigned long long)w.c.generation);
	if (tag != NULL && strcmp(tag, now) == 0)
		w.c.waiting = req; /* the long GET */
	else
		send_bytes(req, 200, &w.c.assignments);
}

static struct bufferevent *on_connection(struct event_base *base, void *ctx)
{
	(void)ctx;
	w.c.handshakes++;
	return bufferevent_openssl_socket_new(
		base, -1, SSL_new(w.c.tls), BUFFEREVENT_SSL_ACCEPTING, BEV_OPT_CLOSE_ON_FREE);
}

static void collector_start(int port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;
	struct evconnlistener *listener;
	int one = 1;

	listener = evconnlistener_new_bind(w.base, NULL, NULL,
		LEV_OPT_CLOSE_ON_FREE | LEV_OPT_REUSEABLE | LEV_OPT_CLOSE_ON_EXEC, 128, (struct sockaddr *)&at,
		sizeof at);
	assert_non_null(listener);
	setsockopt(evconnlistener_get_fd(listener), IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	getsockname(evconnlistener_get_fd(listener), (struct sockaddr *)&at, &len);
	w.c.port = ntohs(at.sin_port);
	w.c.http = evhttp_new(w.base);
	evhttp_bind_listener(w.c.http, listener);
	evhttp_set_bevcb(w.c.http, on_connection, NULL);
	evhttp_set_max_body_size(w.c.http, 8 << 20);
	evhttp_set_cb(w.c.http, "/v1/batch", on_batch, NULL);
	evhttp_set_cb(w.c.http, "/v1/now", on_now, NULL);
	evhttp_set_cb(w.c.http, "/v1/assignments", on_assignments_wanted, NULL);
}

static void collector_stop(void)
{
	evhttp_free(w.c.http);
	w.c.http = NULL;
}

/* ---- the agent */

static unsigned three_decimals(uint32_t metric)
{
	(void)metric;
	return 3;
}

static void encode_result(uint64_t boot, struct buf *out)
{
	struct result r = {.check = "portal", .type = "icmp", .interval_s = 60, .family = FAMILY_V4,
		.outcome = OUTCOME_UP, .part = "", .address = "192.0.2.1", .reason = "", .boot = boot,
		.mono = 5 * NS_PER_S};

	result_add(&r, 1, 0.125);
	wire_result_encode(&r, three_decimals, out);
}

static void add_results_of(uint64_t boot, size_t count)
{
	struct buf b = {0};

	encode_result(boot, &b);
	for (size_t i = 0; i < count; i++)
		journal_append(w.journal, ENTRY_RESULT, b.data, b.len);
	buf_fini(&b);
}

static void sync_and_wake(void)
{
	struct err e;

	assert_int_equal(journal_sync(w.journal, &e), 0);
	if (w.uplink != NULL)
		uplink_wake(w.uplink);
}

static void add_results(size_t count)
{
	add_results_of(7, count);
	sync_and_wake();
}

static void add_now(void *ctx, struct wire_packer *packer)
{
	struct buf b = {0};
	struct err e;

	(void)ctx;
	w.nows++;
	encode_result(7, &b);
	assert_int_equal(wire_packer_add(packer, 5, ENTRY_RESULT, b.data, b.len, &e), 1);
	buf_fini(&b);
}

static void on_assignments(void *ctx, const void *data, size_t len)
{
	(void)ctx;
	w.arrivals++;
	buf_clear(&w.arrived);
	buf_add(&w.arrived, data, len);
}

static void open_journal(void)
{
	const struct journal_options o = {.segment_bytes = 16 << 10};
	struct err e;

	w.journal = journal_open(w.journal_path, &o, &e);
	assert_non_null(w.journal);
}

static struct uplink_options options_of(char url[64])
{
	snprintf(url, 64, "https://127.0.0.1:%d", w.c.port);
	return (struct uplink_options){.url = url, .agent = "agent-1", .tls = {w.ca, w.pem[0], w.key[0]},
		.batch_bytes = 16 << 10, .retry_first = 2 * NS_PER_MS, .retry_most = 20 * NS_PER_MS,
		.answer_within = 5 * NS_PER_S};
}

static void start_with(const struct uplink_options *o)
{
	struct err e;

	w.uplink = uplink_new(w.base, w.journal, o, &e);
	if (w.uplink == NULL)
		fail_msg("%s", e.text);
}

static void start(void)
{
	char url[64];
	struct uplink_options o = options_of(url);

	start_with(&o);
}

static void stop(void)
{
	uplink_free(w.uplink);
	w.uplink = NULL;
}

static struct uplink_stats stats(void)
{
	struct uplink_stats s;

	uplink_stats(w.uplink, &s);
	return s;
}

/* ---- waiting for events */

static void on_impatience(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd, (void)what, (void)ctx;
	fail_msg("nothing more happened; the collector saw: %s", w.c.log);
}

static void run_until(bool (*is_true)(void))
{
	struct event *limit = evtimer_new(w.base, on_impatience, NULL);
	struct timeval tv = {PATIENCE_S, 0};

	event_add(limit, &tv);
	while (!is_true())
		event_base_loop(w.base, EVLOOP_ONCE);
	event_free(limit);
}

static void on_pause_over(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd, (void)what;
	*(bool *)ctx = true;
}

/* For what must not happen: all that is under way gets so much time. */
static void run_for(int ms)
{
	struct timeval tv = {ms / 1000, ms % 1000 * 1000};
	bool over = false;

	event_base_once(w.base, -1, EV_TIMEOUT, on_pause_over, &over, &tv);
	while (!over)
		event_base_loop(w.base, EVLOOP_ONCE);
}

static bool all_is_sent(void)
{
	return stats().backlog == 0;
}

static size_t count_of(char what)
{
	size_t n = 0;

	for (size_t i = 0; i < w.c.log_len; i++)
		n += w.c.log[i] == what;
	return n;
}

static bool ten_failures(void)
{
	return stats().failures >= 10;
}

static uint64_t synced(void)
{
	return journal_synced(w.journal).seq;
}

static struct position cursor(void)
{
	struct position at = {0, 0};

	journal_cursor_get(w.journal, "uplink", &at);
	return at;
}

/* Every entry up to the newest was taken once, in order. */
static void assert_each_once(void)
{
	for (uint64_t seq = 1; seq <= synced(); seq++) {
		if (w.c.times[seq] != 1)
			fail_msg("entry %llu was taken %d times; log %s", (unsigned long long)seq, w.c.times[seq],
				w.c.log);
	}
	assert_false(w.c.out_of_order);
}

/* ---- around each test */

static void write_leaf(int i, const struct pki_spec *s)
{
	struct pki leaf = pki_make(s, &w.root);
	char folder[sizeof w.folder];

	memcpy(folder, w.folder, sizeof folder);
	snprintf(w.pem[i], sizeof w.pem[i], "%s/%d.pem", folder, i);
	snprintf(w.key[i], sizeof w.key[i], "%s/%d.key", folder, i);
	pki_write_certificate(w.pem[i], &leaf.x, 1);
	pki_write_key(w.key[i], leaf.key);
	pki_free(&leaf);
}

static int make_world(void **state)
{
	(void)state;
	log_open("test", LOG_LEVEL_ERROR);
	strcpy(w.folder, "/tmp/test_uplink.XXXXXX");
	assert_non_null(mkdtemp(w.folder));
	w.root = pki_authority("ours", NULL);
	snprintf(w.ca, sizeof w.ca, "%s/ca.pem", w.folder);
	pki_write_certificate(w.ca, &w.root.x, 1);
	write_leaf(0, &(struct pki_spec){.san = "DNS:agent-1"});
	write_leaf(2, &(struct pki_spec){.san = "DNS:agent-1"});
	write_leaf(1, &(struct pki_spec){.san = "DNS:collector,IP:127.0.0.1", .usage = "serverAuth"});
	return 0;
}

static int drop_world(void **state)
{
	char command[96];

	(void)state;
	pki_free(&w.root);
	snprintf(command, sizeof command, "rm -r %s", w.folder);
	return system(command);
}

static int begin(void **state)
{
	static unsigned number;
	struct err e;

	(void)state;
	memset(&w.c, 0, sizeof w.c);
	w.nows = w.arrivals = 0;
	w.base = event_base_new();
	w.c.tls = tls_server(&(struct tls_files){w.ca, w.pem[1], w.key[1]}, &e);
	assert_non_null(w.c.tls);
	collector_start(0);
	snprintf(w.journal_path, sizeof w.journal_path, "%s/journal-%u", w.folder, number++);
	open_journal();
	return 0;
}

static int end(void **state)
{
	(void)state;
	stop();
	if (w.c.http != NULL)
		collector_stop();
	SSL_CTX_free(w.c.tls);
	buf_fini(&w.c.assignments);
	buf_fini(&w.arrived);
	journal_close(w.journal);
	event_base_free(w.base);
	return 0;
}

/* ---- order */

static void each_entry_arrives_once_in_order_and_the_cursor_follows(void **state)
{
	(void)state;
	add_results(5000);
	start();
	run_until(all_is_sent);
	assert_each_once();
	assert_true(w.c.log_len > 5);
	assert_int_equal(count_of('B'), w.c.log_len);
	assert_int_equal(cursor().seq, synced());
	assert_int_equal(cursor().epoch, journal_synced(w.journal).epoch);
	assert_int_equal(stats().batches, count_of('B'));
	assert_int_equal(stats().entries, synced());
	assert_true(stats().last_success_mono > 0);
	assert_int_equal(w.c.last_head.backlog, 0);
	assert_int_equal(w.c.handshakes, 1);
}

static void later_entries_go_when_it_is_woken(void **state)
{
	(void)state;
	start();
	run_for(20);
	assert_int_equal(w.c.log_len, 0);
	for (int i = 0; i < 20; i++) {
		add_results(3);
		run_until(all_is_sent);
	}
	assert_each_once();
	assert_int_equal(count_of('B'), 20);
	assert_int_equal(w.c.handshakes, 1);
}

static void only_synced_entries_leave_the_process(void **state)
{
	(void)state;
	add_results(10);
	add_results_of(7, 10);
	start();
	run_until(all_is_sent);
	uplink_wake(w.uplink);
	run_for(20);
	assert_int_equal(w.c.mark.seq, 11);
	sync_and_wake();
	run_until(all_is_sent);
	assert_int_equal(w.c.mark.seq, 21);
	assert_each_once();
}

static void boots_and_epochs_never_share_a_batch(void **state)
{
	(void)state;
	for (int i = 0; i < 3; i++) {
		add_results_of(7, 50);
		add_results_of(8, 50);
		sync_and_wake();
		journal_close(w.journal);
		open_journal();
	}
	add_results(1);
	start();
	run_until(all_is_sent); /* what mixes them is not decoded at the other end */
	assert_each_once();
	assert_int_equal(count_of('B'), 7); /* an opening goes with the results behind it */
}

static void a_restart_goes_on_where_the_cursor_is(void **state)
{
	(void)state;
	add_results(1000);
	start();
	run_until(all_is_sent);
	stop();
	journal_close(w.journal);
	open_journal();
	add_results(1000);
	start();
	run_until(all_is_sent);
	assert_each_once();
	assert_int_equal(count_of('D'), 0);
	assert_int_equal(w.c.last_head.previous.seq, 1001);
	assert_int_equal(cursor().epoch, journal_synced(w.journal).epoch);
}

/* ---- answers that do not come, or not as they should */

static void an_answer_that_is_lost_counts_nothing_twice(void **state)
{
	(void)state;
	for (w.c.acts_count = 0; w.c.acts_count < 20; w.c.acts_count++)
		w.c.acts[w.c.acts_count] = w.c.acts_count % 2 == 0 ? ACT_LOSE : ACT_OK;
	add_results(15000);
	start();
	run_until(all_is_sent);
	assert_each_once();
	assert_true(count_of('F') > 1);
	assert_true(count_of('D') + count_of('E') > 0);
	/* libcurl itself asks again where a kept connection ends without a word. */
	assert_in_range(stats().failures, 1, count_of('F'));
}

static void whatever_the_collector_answers_nothing_is_lost(void **state)
{
	static const enum act acts[] = {ACT_GARBAGE, ACT_HUGE, ACT_HEADERS, ACT_SILENT, ACT_WRONG_EPOCH, ACT_PART,
		ACT_STATUS, ACT_LOSE};
	static const int statuses[] = {100, 201, 204, 301, 403, 404, 429, 500, 502, 503};
	char url[64];
	struct uplink_options o = options_of(url);

	(void)state;
	o.answer_within = 300 * NS_PER_MS;
	add_results(500);
	for (size_t i = 0; i < sizeof acts / sizeof *acts; i++) {
		for (size_t k = 0; k < (acts[i] == ACT_STATUS ? sizeof statuses / sizeof *statuses : 1); k++) {
			w.c.act = 0;
			w.c.acts_count = 1;
			w.c.acts[0] = acts[i];
			w.c.status = statuses[k];
			start_with(&o);
			add_results(10);
			run_until(all_is_sent);
			assert_int_equal(stats().failures, 1);
			assert_true(stats().last_error[0] != '\0');
			stop();
		}
	}
	assert_each_once();
	assert_int_equal(cursor().seq, synced());
}

static void a_collector_that_was_away_gets_all_when_it_is_back(void **state)
{
	int port = w.c.port;

	(void)state;
	start();
	add_results(100);
	run_until(all_is_sent);
	collector_stop();
	add_results(100);
	run_until(ten_failures);
	collector_start(port);
	run_until(all_is_sent);
	assert_each_once();
}

static void a_failure_is_logged_again_when_its_reason_changes(void **state)
{
	static const enum act acts[] = {ACT_STATUS, ACT_STATUS, ACT_STATUS, ACT_GARBAGE, ACT_GARBAGE};
	unsigned long before = log_count(LOG_LEVEL_WARN);

	(void)state;
	w.c.status = 500;
	memcpy(w.c.acts, acts, sizeof acts);
	w.c.acts_count = sizeof acts / sizeof *acts;
	log_open("test", LOG_LEVEL_WARN);
	add_results(1);
	start();
	run_until(all_is_sent);
	assert_int_equal(stats().failures, w.c.acts_count);
	assert_int_equal(log_count(LOG_LEVEL_WARN), before + 2);
	log_open("test", LOG_LEVEL_ERROR);
}

static void a_collector_that_is_away_is_logged_once_however_long_each_try_takes(void **state)
{
	unsigned long before = log_count(LOG_LEVEL_WARN);

	(void)state;
	collector_stop();
	log_open("test", LOG_LEVEL_WARN);
	add_results(1);
	start();
	run_until(ten_failures);
	assert_int_equal(log_count(LOG_LEVEL_WARN), before + 1);
	log_open("test", LOG_LEVEL_ERROR);
}

static void pauses_grow_and_end_at_the_most(void **state)
{
	char url[64];
	struct uplink_options o = options_of(url);
	int64_t longest = 0, early = 0;

	(void)state;
	o.retry_first = 4 * NS_PER_MS;
	o.retry_most = 64 * NS_PER_MS;
	w.c.status = 500;
	w.c.acts_count = 40;
	for (size_t i = 0; i < 40; i++)
		w.c.acts[i] = ACT_STATUS;
	add_results(1);
	start_with(&o);
	run_until(all_is_sent);
	for (size_t i = 1; i <= 40; i++) {
		int64_t pause = w.c.when[i] - w.c.when[i - 1];

		if (i <= 2 && pause > early)
			early = pause;
		if (pause > longest)
			longest = pause;
	}
	/* 35 draws up to 64 ms: the longest is below 32 ms once in 2^35 runs. */
	assert_true(longest >= 32 * NS_PER_MS);
	assert_true(w.c.when[40] - w.c.when[0] < 40 * 64 * NS_PER_MS + 2 * NS_PER_S);
	assert_int_equal(stats().failures, 40);
	print_message("first two pauses %lld ms at most, longest %lld ms\n", (long long)(early / NS_PER_MS),
		(long long)(longest / NS_PER_MS));
}

static void a_time_that_the_collector_tells_is_kept(void **state)
{
	static const int statuses[] = {429, 503};

	(void)state;
	start();
	for (size_t i = 0; i < 2; i++) {
		size_t before = w.c.log_len;

		w.c.act = 0;
		w.c.acts_count = 1;
		w.c.acts[0] = ACT_STATUS;
		w.c.status = statuses[i];
		w.c.retry_after = 1;
		add_results(1);
		run_until(all_is_sent);
		assert_int_equal(w.c.log_len, before + 2);
		assert_in_range(w.c.when[before + 1] - w.c.when[before], NS_PER_S, 2 * NS_PER_S);
	}
	assert_each_once();
}

static bool all_came_back(void)
{
	return w.c.log_len >= 30;
}

/* The longest time that this process was not let run, for a figure that says something of us alone. */
struct stall {
	struct event *ticker;
	int64_t last, longest;
};

static void on_stall_tick(evutil_socket_t fd, short what, void *ctx)
{
	struct stall *s = ctx;
	int64_t now = clock_mono();

	(void)fd, (void)what;
	s->longest = now - s->last > s->longest ? now - s->last : s->longest;
	s->last = now;
}

static void run_watched(struct stall *s, bool (*is_true)(void))
{
	struct timeval tv = {0, 20000};

	*s = (struct stall){.ticker = event_new(w.base, -1, EV_PERSIST, on_stall_tick, s), .last = clock_mono()};
	event_add(s->ticker, &tv);
	run_until(is_true);
	event_free(s->ticker);
}

/* Of thirty that failed at one time, how many came back in the fullest tenth of the time that they have. */
static unsigned come_back(const struct uplink_options *o, struct stall *s)
{
	struct uplink *many[30];
	unsigned tenth[11] = {0}, most = 0;
	int64_t last;
	struct err e;

	w.c.log_len = 0;
	for (int i = 0; i < 30; i++)
		many[i] = uplink_new(w.base, w.journal, o, &e);
	/* The first answer sends them to another entry at once, the second is a failure. */
	run_until(all_came_back);
	w.c.log_len = 0;
	run_until(all_came_back);
	last = w.c.when[29];
	w.c.log_len = 0;
	run_watched(s, all_came_back);
	for (int i = 0; i < 30; i++) {
		int64_t at = (w.c.when[i] - last) / (o->retry_first / 10);
		unsigned slot = at < 0 ? 0 : at > 10 ? 10 : (unsigned)at;

		if (++tenth[slot] > most)
			most = tenth[slot];
		uplink_free(many[i]);
	}
	return most;
}

static void many_that_are_cut_together_come_back_apart(void **state)
{
	char url[64];
	struct uplink_options o = options_of(url);
	struct stall s = {.longest = INT64_MAX};
	unsigned most = 30;

	(void)state;
	o.retry_first = 3 * NS_PER_S; /* long beside thirty handshakes */
	o.retry_most = o.retry_first;
	add_results(1);
	w.c.expects = true; /* all are sent to and fro: at once, then after a pause */
	w.c.expected = (struct position){journal_synced(w.journal).epoch, 1};
	w.c.always_refuses = true;
	for (int tries = 0; tries < 10 && s.longest > 200 * NS_PER_MS; tries++)
		most = come_back(&o, &s);
	print_message("30 came back within 3 s, %u in the fullest 300 ms, longest stall of the machine %d ms\n", most,
		(int)(s.longest / NS_PER_MS));
	assert_true(most <= 15);
}

/* ---- 409 */

static void a_collector_that_lost_its_newest_gets_them_again(void **state)
{
	struct position early = {0, 0};

	(void)state;
	add_results(500);
	start();
	run_until(all_is_sent);
	early = (struct position){w.c.mark.epoch, 200};
	w.c.mark = early;
	memset(w.c.times + 201, 0, sizeof w.c.times - 201);
	add_results(100);
	run_until(all_is_sent);
	assert_each_once();
	assert_int_equal(count_of('E'), 1);
	assert_int_equal(cursor().seq, synced());
}

static void what_a_collector_lost_across_an_opening_goes_again(void **state)
{
	uint64_t epoch;

	(void)state;
	add_results(100);
	start();
	run_until(all_is_sent);
	epoch = w.c.mark.epoch;
	stop();
	journal_close(w.journal);
	open_journal();
	add_results(100);
	start();
	run_until(all_is_sent);
	w.c.mark = (struct position){epoch, 50};
	memset(w.c.times + 51, 0, sizeof w.c.times - 51);
	add_results(1);
	run_until(all_is_sent);
	assert_each_once();
}

static void a_collector_that_is_ahead_is_followed(void **state)
{
	(void)state;
	add_results(500);
	start();
	run_until(all_is_sent);
	stop();
	journal_cursor_set(w.journal, "uplink", (struct position){w.c.mark.epoch, 250});
	add_results(1000);
	start();
	run_until(all_is_sent);
	assert_each_once();
	assert_true(count_of('E') >= 1);
}

static void what_is_trimmed_is_declared_by_a_gap(void **state)
{
	struct journal_stats s;
	struct err e;

	(void)state;
	add_results(500);
	for (int i = 0; i < 8; i++)
		add_results(500);
	start();
	run_until(all_is_sent);
	assert_int_equal(journal_trim(w.journal, &e), 0);
	journal_stats(w.journal, &s);
	assert_true(s.segments < 4);
	w.c.mark.seq = 100;
	memset(w.c.times, 0, sizeof w.c.times);
	add_results(10);
	run_until(all_is_sent);
	assert_int_equal(w.c.mark.seq, synced()); /* decoding proves that there is no hole */
	assert_int_equal(w.c.times[101], 0);
	assert_int_equal(w.c.times[synced()], 1);
}

static void a_position_it_never_had_is_told_and_loses_nothing(void **state)
{
	(void)state;
	add_results(100);
	w.c.expects = true;
	w.c.expected = (struct position){0x1234, 50};
	start();
	run_until(ten_failures);
	assert_non_null(strstr(stats().last_error, "is not in this journal"));
	w.c.expected = (struct position){journal_synced(w.journal).epoch, 5000};
	run_for(60);
	assert_non_null(strstr(stats().last_error, "never had"));
	w.c.expects = false;
	run_until(all_is_sent);
	assert_each_once();
}

static void a_collector_that_sends_it_to_and_fro_does_not_make_it_spin(void **state)
{
	(void)state;
	add_results(100);
	w.c.expects = true;
	w.c.expected = (struct position){journal_synced(w.journal).epoch, 1};
	start();
	run_until(ten_failures);
	assert_true(w.c.log_len <= 12);
	w.c.expects = false;
	run_until(all_is_sent);
	assert_each_once();
}

/* ---- durable */

static void the_cursor_stays_at_what_is_durable(void **state)
{
	(void)state;
	w.c.durable_behind = 100;
	add_results(2000);
	start();
	run_until(all_is_sent);
	assert_each_once();
	assert_int_equal(cursor().seq, synced() - 100);
	stop();
	start(); /* from there, and the collector has all of it */
	run_until(all_is_sent);
	assert_each_once();
	w.c.durable_behind = 0;
	add_results(1);
	run_until(all_is_sent);
	assert_int_equal(cursor().seq, synced());
}

static void a_durable_of_an_epoch_before_moves_no_cursor_into_this_one(void **state)
{
	struct position before;

	(void)state;
	add_results(50);
	start();
	run_until(all_is_sent);
	before = cursor();
	stop();
	journal_close(w.journal);
	open_journal();
	w.c.durable_behind = 20;
	add_results(5);
	start();
	add_results(5);
	run_until(all_is_sent);
	assert_int_equal(cursor().seq, before.seq);
	assert_int_equal(cursor().epoch, before.epoch);
	add_results(50);
	run_until(all_is_sent);
	assert_int_equal(cursor().seq, synced() - 20);
	assert_int_equal(cursor().epoch, journal_synced(w.journal).epoch);
	assert_each_once();
}

/* ---- refused for good */

static size_t dead_letters(char *name, size_t room)
{
	char path[128];
	struct dirent *d;
	size_t n = 0;
	DIR *dir;

	snprintf(path, sizeof path, "%s/dead-letter", w.journal_path);
	dir = opendir(path);
	if (dir == NULL)
		return 0;
	while ((d = readdir(dir)) != NULL) {
		if (d->d_name[0] == '.')
			continue;
		snprintf(name, room, "%s/%s", path, d->d_name);
		n++;
	}
	closedir(dir);
	return n;
}

static void an_entry_that_is_refused_is_set_aside_and_the_lane_moves_on(void **state)
{
	struct buf payload = {0};
	char name[512], bytes[4096];
	FILE *f;

	(void)state;
	w.c.poison[0] = 777;
	add_results(5000);
	start();
	run_until(all_is_sent);
	assert_each_once();
	assert_int_equal(w.c.kinds[777], ENTRY_GAP);
	assert_int_equal(w.c.kinds[776], ENTRY_RESULT);
	assert_int_equal(stats().set_aside, 1);
	assert_int_equal(stats().refused, count_of('R'));
	print_message("%zu refusals until one entry of 5,000 was found\n", count_of('R'));
	assert_true(count_of('R') <= 30);
	assert_true(w.c.log_len < 100);
	assert_int_equal(dead_letters(name, sizeof name), 1);
	encode_result(7, &payload);
	f = fopen(name, "r");
	assert_non_null(f);
	assert_int_equal(fread(bytes, 1, sizeof bytes, f), payload.len);
	assert_memory_equal(bytes, payload.data, payload.len);
	fclose(f);
	buf_fini(&payload);
	assert_int_equal(cursor().seq, synced());
}

static void neighbours_that_are_refused_are_set_aside_each(void **state)
{
	char name[512];

	(void)state;
	w.c.poison[0] = 2;
	w.c.poison[1] = 300;
	w.c.poison[2] = 301;
	w.c.poison[3] = 1501;
	add_results(1500);
	start();
	run_until(all_is_sent);
	assert_each_once();
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(w.c.kinds[w.c.poison[i]], ENTRY_GAP);
	assert_int_equal(stats().set_aside, 4);
	assert_int_equal(dead_letters(name, sizeof name), 4);
}

static void a_cut_while_an_entry_is_set_aside_sets_it_aside_once(void **state)
{
	(void)state;
	/* Three refusals, then the gap's answer is lost twice. */
	w.c.poison[0] = 2;
	w.c.acts_count = 6;
	w.c.acts[4] = w.c.acts[5] = ACT_LOSE;
	add_results(1);
	start();
	run_until(all_is_sent);
	assert_each_once();
	assert_int_equal(stats().set_aside, 1);
}

static void a_collector_that_refuses_everything_costs_one_entry(void **state)
{
	char name[512];

	(void)state;
	w.c.always_refuses = true;
	add_results(500);
	start();
	run_for(1000);
	assert_int_equal(stats().set_aside, 1);
	assert_int_equal(dead_letters(name, sizeof name), 1);
	w.c.always_refuses = false;
	run_until(all_is_sent);
	assert_each_once();
}

static void what_no_batch_can_carry_is_set_aside_at_once(void **state)
{
	uint8_t *large = mem_alloc(JOURNAL_PAYLOAD_MAX);
	char name[512];
	struct err e;

	(void)state;
	journal_append(w.journal, ENTRY_RESULT, "no result", 9);
	add_results_of(7, 2);
	journal_append(w.journal, ENTRY_RESULT, "", 0);
	journal_append(w.journal, ENTRY_FINDING, large, JOURNAL_PAYLOAD_MAX);
	journal_append(w.journal, ENTRY_FINDING, "small", 5);
	assert_int_equal(journal_sync(w.journal, &e), 0);
	start();
	run_until(all_is_sent);
	assert_each_once();
	assert_int_equal(w.c.kinds[2], ENTRY_GAP);
	assert_int_equal(w.c.kinds[5], ENTRY_GAP);
	assert_int_equal(w.c.kinds[6], ENTRY_GAP);
	assert_int_equal(w.c.kinds[7], ENTRY_FINDING);
	assert_int_equal(stats().set_aside, 3);
	assert_int_equal(stats().failures, 0);
	assert_int_equal(dead_letters(name, sizeof name), 3);
	free(large);
}

/* ---- now */

static void start_with_now(int64_t every)
{
	char url[64];
	struct uplink_options o = options_of(url);

	o.add_now = add_now;
	o.now_every = every;
	start_with(&o);
}

static void after_a_cut_a_now_goes_first(void **state)
{
	(void)state;
	start_with_now(0);
	add_results(10);
	run_until(all_is_sent);
	assert_string_equal(w.c.log, "NB"); /* a start is a cut */
	add_results(10);
	run_until(all_is_sent);
	assert_string_equal(w.c.log, "NBB");
	w.c.acts_count = 2;
	w.c.acts[0] = w.c.acts[1] = ACT_STATUS;
	w.c.status = 500;
	add_results(10);
	run_until(all_is_sent);
	assert_string_equal(w.c.log, "NBBFNFNB");
	add_results(1);
	run_until(all_is_sent);
	assert_string_equal(w.c.log, "NBBFNFNBB");
	assert_int_equal(w.nows, 3);
	assert_each_once();
}

static void the_now_is_repeated_until_the_backlog_is_drained(void **state)
{
	(void)state;
	add_results(5000);
	start_with_now(1); /* always due */
	run_until(all_is_sent);
	assert_true(count_of('B') > 5);
	assert_int_equal(count_of('N'), count_of('B'));
	for (size_t i = 0; i < w.c.log_len; i++)
		assert_int_equal(w.c.log[i], i % 2 == 0 ? 'N' : 'B');
	add_results(1);
	run_until(all_is_sent);
	assert_int_equal(w.c.log[w.c.log_len - 2], 'B');
	assert_each_once();
}

static void a_now_that_is_refused_keeps_nothing_back(void **state)
{
	(void)state;
	w.c.now_status = 400;
	start_with_now(0);
	add_results(10);
	run_until(all_is_sent);
	assert_string_equal(w.c.log, "NB");
	stop();
	w.c.now_status = 503;
	start_with_now(0);
	add_results(10);
	run_until(ten_failures);
	assert_int_equal(count_of('B'), 1);
	w.c.now_status = 0;
	run_until(all_is_sent);
	assert_each_once();
}

/* ---- assignments */

static void make_assignments(const char *agent, uint64_t generation)
{
	const struct wire_option option = {"host", "192.0.2.1"};
	const struct wire_check check = {.id = "portal", .type = "icmp", .interval_s = 60, .families = 3,
		.timeout_ms = 1000, .options_count = 1, .options = &option};

	w.c.generation = generation;
	buf_clear(&w.c.assignments);
	wire_assignments_encode(&(struct wire_assignments){agent, generation, 1, &check}, &w.c.assignments);
}

static void start_with_assignments(void)
{
	char url[64];
	struct uplink_options o = options_of(url);

	o.on_assignments = on_assignments;
	start_with(&o);
}

static bool is_waiting(void)
{
	return w.c.waiting != NULL;
}

static void assignments_arrive_and_are_waited_for(void **state)
{
	struct evhttp_request *held;

	(void)state;
	make_assignments("agent-1", 41);
	start_with_assignments();
	run_until(is_waiting);
	assert_int_equal(w.arrivals, 1);
	assert_int_equal(w.arrived.len, w.c.assignments.len);
	assert_memory_equal(w.arrived.data, w.c.assignments.data, w.arrived.len);
	assert_string_equal(w.c.asked_for, "\"41\"");
	held = w.c.waiting;
	w.c.waiting = NULL;
	make_assignments("agent-1", 42);
	send_bytes(held, 200, &w.c.assignments);
	run_until(is_waiting);
	assert_int_equal(w.arrivals, 2);
	assert_string_equal(w.c.asked_for, "\"42\"");
	held = w.c.waiting;
	w.c.waiting = NULL;
	send_bytes(held, 304, NULL);
	run_until(is_waiting);
	assert_int_equal(w.arrivals, 2);
	add_results(10); /* the other lane goes on beside it */
	run_until(all_is_sent);
	assert_each_once();
}

static bool five_pull_failures(void)
{
	return stats().failures >= 5;
}

static bool is_larger(void)
{
	return strstr(stats().last_error, "larger") != NULL;
}

static void what_are_not_our_assignments_is_not_taken(void **state)
{
	(void)state;
	make_assignments("agent-2", 1);
	start_with_assignments();
	run_until(five_pull_failures);
	assert_non_null(strstr(stats().last_error, "those of agent-2"));
	buf_clear(&w.c.assignments);
	buf_add_text(&w.c.assignments, "garbage");
	run_until(ten_failures);
	buf_clear(&w.c.assignments);
	memset(buf_reserve(&w.c.assignments, WIRE_BODY_MAX + 1), 0, WIRE_BODY_MAX + 1);
	w.c.assignments.len = WIRE_BODY_MAX + 1;
	run_until(is_larger);
	assert_int_equal(w.arrivals, 0);
	make_assignments("agent-1", 2);
	run_until(is_waiting);
	assert_int_equal(w.arrivals, 1);
}

static void a_collector_that_does_not_wait_does_not_make_it_spin(void **state)
{
	char url[64];
	struct uplink_options o = options_of(url);

	(void)state;
	o.on_assignments = on_assignments;
	o.retry_first = 20 * NS_PER_MS; /* pauses of 100 to 200 ms */
	make_assignments("agent-1", 0);
	w.c.generation = 5; /* never what was sent */
	start_with(&o);
	run_for(500);
	assert_in_range(count_of('A'), 2, 6);
	assert_int_equal(w.arrivals, 1);
}

/* ---- who it speaks with */

static void a_collector_of_another_name_or_authority_gets_nothing(void **state)
{
	char url[64];
	struct uplink_options o = options_of(url);
	struct pki other = pki_authority("other", NULL);
	char path[96];

	(void)state;
	add_results(10);
	snprintf(url, sizeof url, "https://elsewhere:%d", w.c.port);
	o.address = "127.0.0.1";
	start_with(&o);
	run_until(ten_failures);
	stop();
	snprintf(path, sizeof path, "%s/other.pem", w.folder);
	pki_write_certificate(path, &other.x, 1);
	pki_free(&other);
	o = options_of(url);
	o.tls.ca = path;
	start_with(&o);
	run_until(ten_failures);
	assert_true(w.c.handshakes >= 20);
	assert_int_equal(w.c.log_len, 0);
}

/* As at a reload: the new one begins before the old one ends, whose idle connection libcurl would use again. */
static void with_a_renewed_certificate_nothing_goes_over_the_old_connection(void **state)
{
	char url[64];
	struct uplink_options o = options_of(url);
	struct uplink *old;
	uint64_t before;

	(void)state;
	add_results(10);
	start();
	run_until(all_is_sent);
	before = w.c.peer;
	o.tls.certificate = w.pem[2];
	o.tls.key = w.key[2];
	old = w.uplink;
	start_with(&o);
	uplink_free(old);
	for (int i = 0; i < 5; i++) {
		add_results(10);
		run_until(all_is_sent);
		assert_int_not_equal(w.c.peer, before);
	}
	assert_each_once();
}

static void it_connects_to_the_address_and_asks_for_the_name(void **state)
{
	char url[64];
	struct uplink_options o = options_of(url);

	(void)state;
	snprintf(url, sizeof url, "https://collector:%d/", w.c.port);
	o.address = "127.0.0.1";
	add_results(10);
	start_with(&o);
	run_until(all_is_sent);
	assert_each_once();
}

static void wrong_options_are_told(void **state)
{
	static const char *const urls[] = {"", "collector", "http://collector", "https://", "https://a/path",
		"https://user@a", "https://a?b", "https://a#b", "https://*.a", "https://a b", "ftp://a"};
	char url[64];
	struct uplink_options o = options_of(url);
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof urls / sizeof *urls; i++) {
		o.url = urls[i];
		assert_null(uplink_new(w.base, w.journal, &o, &e));
	}
	o = options_of(url);
	o.address = "collector";
	assert_null(uplink_new(w.base, w.journal, &o, &e));
	assert_non_null(strstr(e.text, "no IPv4 or IPv6 address"));
	o = options_of(url);
	o.agent = "Agent";
	assert_null(uplink_new(w.base, w.journal, &o, &e));
	o = options_of(url);
	o.tls.key = w.pem[0];
	assert_null(uplink_new(w.base, w.journal, &o, &e));
}

/* Random faults in random order: seed printed, nothing lost, nothing twice. */
static void random_faults_lose_nothing(void **state)
{
	unsigned seed = (unsigned)clock_real();
	static const enum act acts[] = {ACT_OK, ACT_LOSE, ACT_STATUS, ACT_GARBAGE, ACT_WRONG_EPOCH, ACT_PART};

	(void)state;
	print_message("seed %u\n", seed);
	srand(seed);
	w.c.status = 500;
	for (int round = 0; round < 30; round++) {
		w.c.act = 0;
		w.c.acts_count = (size_t)rand() % 8;
		for (size_t i = 0; i < w.c.acts_count; i++)
			w.c.acts[i] = acts[(size_t)rand() % (sizeof acts / sizeof *acts)];
		if (w.uplink == NULL)
			start();
		add_results((size_t)rand() % 400);
		if (rand() % 3 == 0)
			run_for(rand() % 10);
		else
			run_until(all_is_sent);
		if (rand() % 3 == 0) {
			stop();
			journal_close(w.journal);
			open_journal();
		}
		w.c.log_len = 0;
	}
	if (w.uplink == NULL)
		start();
	add_results(1);
	run_until(all_is_sent);
	assert_each_once();
	assert_int_equal(cursor().seq, synced());
}

static void speed_is_told(void **state)
{
	char url[64];
	struct uplink_options o = options_of(url);
	int64_t begun;
	double s;

	(void)state;
	o.batch_bytes = 1500;
	add_results(19000);
	begun = clock_mono();
	start_with(&o);
	run_until(all_is_sent);
	s = (double)(clock_mono() - begun) / NS_PER_S;
	print_message("figure: %.0f batches/s, %.0f entries/s over loopback TLS, both ends in one process\n",
		(double)stats().batches / s, (double)stats().entries / s);
	assert_each_once();
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(each_entry_arrives_once_in_order_and_the_cursor_follows),
		CASE(later_entries_go_when_it_is_woken),
		CASE(only_synced_entries_leave_the_process),
		CASE(boots_and_epochs_never_share_a_batch),
		CASE(a_restart_goes_on_where_the_cursor_is),
		CASE(an_answer_that_is_lost_counts_nothing_twice),
		CASE(whatever_the_collector_answers_nothing_is_lost),
		CASE(a_collector_that_was_away_gets_all_when_it_is_back),
		CASE(a_failure_is_logged_again_when_its_reason_changes),
		CASE(a_collector_that_is_away_is_logged_once_however_long_each_try_takes),
		CASE(pauses_grow_and_end_at_the_most),
		CASE(a_time_that_the_collector_tells_is_kept),
		CASE(many_that_are_cut_together_come_back_apart),
		CASE(a_collector_that_lost_its_newest_gets_them_again),
		CASE(what_a_collector_lost_across_an_opening_goes_again),
		CASE(a_collector_that_is_ahead_is_followed),
		CASE(what_is_trimmed_is_declared_by_a_gap),
		CASE(a_position_it_never_had_is_told_and_loses_nothing),
		CASE(a_collector_that_sends_it_to_and_fro_does_not_make_it_spin),
		CASE(the_cursor_stays_at_what_is_durable),
		CASE(a_durable_of_an_epoch_before_moves_no_cursor_into_this_one),
		CASE(an_entry_that_is_refused_is_set_aside_and_the_lane_moves_on),
		CASE(neighbours_that_are_refused_are_set_aside_each),
		CASE(a_cut_while_an_entry_is_set_aside_sets_it_aside_once),
		CASE(a_collector_that_refuses_everything_costs_one_entry),
		CASE(what_no_batch_can_carry_is_set_aside_at_once),
		CASE(after_a_cut_a_now_goes_first),
		CASE(the_now_is_repeated_until_the_backlog_is_drained),
		CASE(a_now_that_is_refused_keeps_nothing_back),
		CASE(assignments_arrive_and_are_waited_for),
		CASE(what_are_not_our_assignments_is_not_taken),
		CASE(a_collector_that_does_not_wait_does_not_make_it_spin),
		CASE(a_collector_of_another_name_or_authority_gets_nothing),
		CASE(with_a_renewed_certificate_nothing_goes_over_the_old_connection),
		CASE(it_connects_to_the_address_and_asks_for_the_name),
		CASE(wrong_options_are_told),
		CASE(random_faults_lose_nothing),
		CASE(speed_is_told),
	};

	return cmocka_run_group_tests_name("uplink", tests, make_world, drop_world);
}
