/*
 * pusher: many virtual agents that push deterministic results over mutual TLS, and the judge of what was kept.
 *
 *   pusher push URL PKI AGENTS CHECKS SECONDS [PER-SECOND]   prints "ack AGENT EPOCH FIRST LAST" for each answer 200
 *   pusher check JOURNAL < acks                              the collector's journal against those lines
 *
 * Agent i is "agent-i" with the certificate PKI/agent-i.pem; its checks are "check-i-0" ... of type icmp. Each check
 * has PER-SECOND results a second (default 1). The values of a result follow from the agent and its seq, so that the
 * judge needs no copy of them. What is not acknowledged is sent again, the oldest first, until SECONDS are over and
 * all is acknowledged (at most 30 s more).
 */
#include <event2/event.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/http.h"
#include "lib/journal.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/wire.h"
#include "probes/catalog.h"

#define ROWS_MAX 1000
#define AGAIN (20 * NS_PER_MS)
#define GRACE (30 * NS_PER_S)

struct agent {
	struct pusher *pusher;
	unsigned number;
	uint64_t epoch, end, acked; /* seq of the last result made; of the last acknowledged */
	uint64_t sent;              /* last of the batch under way; 0: none */
	int64_t *made;              /* mono of each result, by seq - 1 */
	size_t made_room;
	CURL *easy;
	struct curl_slist *headers;
	struct buf body, answer;
	struct event *again;
};

struct pusher {
	struct event_base *base;
	struct http_client *http;
	struct agent *agents;
	unsigned agents_count, checks, per_second;
	int64_t began, until;
	uint64_t values, failures;
	char last_error[512];
};

/* ---- results */

static double value_of(unsigned agent, uint64_t seq, unsigned k)
{
	return (double)((seq * 31 + k * 7 + agent * 13) % 1000) / 1000;
}

static size_t metrics_count(void)
{
	size_t n = 0;

	while (catalog_icmp.metrics[n].number != 0)
		n++;
	return n;
}

static void fill_result(const struct pusher *p, unsigned agent, uint64_t seq, int64_t mono, char check[64],
	struct result *r)
{
	snprintf(check, 64, "check-%u-%u", agent, (unsigned)((seq - 1) % p->checks));
	*r = (struct result){.check = check, .type = "icmp", .interval_s = 1, .family = FAMILY_V6,
		.outcome = OUTCOME_UP, .part = "", .address = "2001:db8::1", .reason = "", .boot = clock_boot_id(),
		.mono = mono};
	for (size_t k = 0; k < metrics_count(); k++)
		result_add(r, catalog_icmp.metrics[k].number, value_of(agent, seq, (unsigned)k));
}

/* ---- sending */

static void send_next(struct agent *);

static size_t on_body(char *data, size_t one, size_t len, void *ctx)
{
	(void)one;
	buf_add(ctx, data, len);
	return len;
}

static void pack(struct agent *a)
{
	struct wire_packer *packer = wire_packer_new(WIRE_BODY_MAX);
	struct wire_batch_head head = {.epoch = a->epoch, .first = a->acked + 1, .sent_mono = clock_mono(),
		.sent_real = clock_real(), .sent_boot = clock_boot_id()};
	struct buf plain = {0}, one = {0};
	char name[32];
	struct err e;

	snprintf(name, sizeof name, "agent-%u", a->number);
	head.agent = name;
	for (uint64_t seq = head.first; seq <= a->end && seq < head.first + ROWS_MAX; seq++) {
		char check[64];
		struct result r;

		fill_result(a->pusher, a->number, seq, a->made[seq - 1], check, &r);
		buf_clear(&one);
		wire_result_encode(&r, catalog_decimals, &one);
		if (wire_packer_add(packer, seq, ENTRY_RESULT, one.data, one.len, &e) != 1)
			break;
		head.last = seq;
	}
	head.backlog = a->end - head.last;
	wire_packer_finish(packer, &head, &plain);
	buf_clear(&a->body);
	wire_compress(plain.data, plain.len, &a->body);
	a->sent = head.last;
	buf_fini(&plain);
	buf_fini(&one);
	wire_packer_free(packer);
}

static void take_ack(struct agent *a, uint64_t last)
{
	printf("ack agent-%u %016" PRIx64 " %" PRIu64 " %" PRIu64 "\n", a->number, a->epoch, a->acked + 1, last);
	fflush(stdout);
	a->pusher->values += (last - a->acked) * metrics_count();
	a->acked = last;
}

static void on_done(void *ctx, CURL *easy, CURLcode code)
{
	struct agent *a = ctx;
	struct timeval again = {0, AGAIN / NS_PER_US};
	struct wire_answer answer = {.durable = 0};
	long status = 0;
	struct err e;

	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	if (code == CURLE_OK && wire_answer_decode(a->answer.data, a->answer.len, &answer, &e) == 0 && status == 200 &&
		answer.accepted.epoch == a->epoch && answer.durable == a->sent) {
		take_ack(a, a->sent);
		a->sent = 0;
		send_next(a);
		return;
	}
	if (status == 409 && answer.expected.epoch == a->epoch && answer.expected.seq <= a->acked) {
		fprintf(stderr, "pusher: agent-%u: acknowledged entries are wanted again from %" PRIu64 " on\n",
			a->number, answer.expected.seq);
		exit(1);
	}
	/* It has a batch whose answer was lost: the next one begins behind; what it covers is not called acknowledged. */
	if (status == 409 && answer.expected.epoch == a->epoch && answer.expected.seq <= a->end + 1)
		a->acked = answer.expected.seq - 1;
	a->pusher->failures++;
	snprintf(a->pusher->last_error, sizeof a->pusher->last_error, "%s, status %ld %s",
		code == CURLE_OK ? "answered" : curl_easy_strerror(code), status, answer.reason);
	a->sent = 0;
	evtimer_add(a->again, &again);
}

static void send_next(struct agent *a)
{
	if (a->sent != 0 || a->acked == a->end)
		return;
	pack(a);
	buf_clear(&a->answer);
	curl_easy_setopt(a->easy, CURLOPT_POSTFIELDS, a->body.data);
	curl_easy_setopt(a->easy, CURLOPT_POSTFIELDSIZE, (long)a->body.len);
	http_start(a->pusher->http, a->easy, on_done, a);
}

static void on_again(evutil_socket_t fd, short what, void *ctx)
{
	(void)fd, (void)what;
	send_next(ctx);
}

/* ---- making */

static void make_until(struct agent *a, uint64_t end)
{
	int64_t now = clock_mono();

	while (a->end < end) {
		if (a->end == a->made_room) {
			a->made_room = a->made_room == 0 ? 1024 : a->made_room * 2;
			a->made = mem_resize(a->made, a->made_room, sizeof *a->made);
		}
		a->made[a->end++] = now;
	}
	if (!evtimer_pending(a->again, NULL))
		send_next(a);
}

static bool all_acked(const struct pusher *p)
{
	for (unsigned i = 0; i < p->agents_count; i++) {
		if (p->agents[i].acked != p->agents[i].end)
			return false;
	}
	return true;
}

static void on_beat(evutil_socket_t fd, short what, void *ctx)
{
	struct pusher *p = ctx;
	int64_t now = clock_mono();
	uint64_t rounds = (uint64_t)((double)(now - p->began) / 1e9 * p->per_second) + 1;

	(void)fd, (void)what;
	if (now < p->until) {
		for (unsigned i = 0; i < p->agents_count; i++)
			make_until(&p->agents[i], rounds * p->checks);
	} else if (all_acked(p) || now > p->until + GRACE) {
		event_base_loopbreak(p->base);
	}
}

static void set_file(CURL *easy, CURLoption option, const char *pki, const char *name)
{
	char *path = mem_format("%s/%s", pki, name);

	curl_easy_setopt(easy, option, path);
	free(path);
}

static void agent_init(struct agent *a, struct pusher *p, unsigned number, const char *url, const char *pki)
{
	char *text = mem_format("%s/v1/batch", url);

	*a = (struct agent){.pusher = p, .number = number, .easy = curl_easy_init()};
	if (getrandom(&a->epoch, sizeof a->epoch, 0) < 0)
		exit(1);
	a->again = evtimer_new(p->base, on_again, a);
	a->headers = curl_slist_append(NULL, "Content-Encoding: zstd");
	a->headers = curl_slist_append(a->headers, "Expect:");
	curl_easy_setopt(a->easy, CURLOPT_URL, text);
	curl_easy_setopt(a->easy, CURLOPT_HTTPHEADER, a->headers);
	set_file(a->easy, CURLOPT_CAINFO, pki, "ca.pem");
	free(text);
	text = mem_format("agent-%u.pem", number);
	set_file(a->easy, CURLOPT_SSLCERT, pki, text);
	memcpy(text + strlen(text) - 3, "key", 3);
	set_file(a->easy, CURLOPT_SSLKEY, pki, text);
	free(text);
	curl_easy_setopt(a->easy, CURLOPT_TIMEOUT, 10L);
	curl_easy_setopt(a->easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(a->easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(a->easy, CURLOPT_WRITEDATA, &a->answer);
}

static int push(int argc, char **argv)
{
	struct pusher p = {.base = event_base_new(), .per_second = 1};
	struct timeval beat = {0, 20000};

	p.http = http_client_new(p.base);
	p.agents_count = (unsigned)atoi(argv[4]);
	p.checks = (unsigned)atoi(argv[5]);
	if (argc > 7)
		p.per_second = (unsigned)atoi(argv[7]);
	p.agents = mem_array(p.agents_count, sizeof *p.agents);
	for (unsigned i = 0; i < p.agents_count; i++)
		agent_init(&p.agents[i], &p, i, argv[2], argv[3]);
	p.began = clock_mono();
	p.until = p.began + atoi(argv[6]) * NS_PER_S;
	event_add(event_new(p.base, -1, EV_PERSIST, on_beat, &p), &beat);
	event_base_dispatch(p.base);
	fprintf(stderr, "pusher: %" PRIu64 " values acknowledged, %.0f a second, %" PRIu64 " failures, last: %s\n",
		p.values, (double)p.values * 1e9 / (double)(clock_mono() - p.began), p.failures, p.last_error);
	return all_acked(&p) ? 0 : 1;
}

/* ---- judging */

struct seen {
	uint64_t last; /* entries 1..last were seen, in order, once each */
};

struct judge {
	struct map *seen; /* of struct seen, by "agent epoch" */
	uint64_t rows, bad;
};

static void complain(struct judge *j, const char *what, const char *agent, uint64_t seq)
{
	if (j->bad++ < 20)
		fprintf(stderr, "check: %s: %s seq %" PRIu64 "\n", what, agent, seq);
}

static void judge_row(struct judge *j, const char *agent, const struct result *r, uint64_t seq)
{
	unsigned number = (unsigned)atoi(agent + 6);

	if (r->count != metrics_count())
		complain(j, "values are missing", agent, seq);
	for (size_t k = 0; k < r->count; k++) {
		double step = pow(10, -(int)catalog_decimals(r->values[k].metric));

		if (fabs(r->values[k].number - value_of(number, seq, (unsigned)k)) > step / 2 + 1e-9) {
			complain(j, "a value is another", agent, seq);
			return;
		}
	}
}

static void judge_batch(struct judge *j, const struct wire_envelope *v, struct wire_batch *b)
{
	char key[100];
	struct seen *s;

	snprintf(key, sizeof key, "%s %016" PRIx64, v->agent, b->head.epoch);
	s = map_find(j->seen, key);
	if (s == NULL) {
		s = mem_alloc(sizeof *s);
		map_set(j->seen, key, s);
	}
	if (b->head.first != s->last + 1)
		complain(j, b->head.first <= s->last ? "entries stand there twice" : "entries are missing", v->agent,
			b->head.first);
	if (v->refused_count > 0)
		complain(j, "rows are refused", v->agent, b->head.first);
	s->last = b->head.last;
	for (size_t i = 0; i < wire_rows_count(b->rows); i++) {
		struct result r;
		uint64_t seq;

		wire_rows_next(b->rows, &r, &seq);
		judge_row(j, v->agent, &r, seq);
		j->rows++;
	}
}

static void judge_acks(struct judge *j)
{
	char agent[64], epoch[20], key[100];
	uint64_t first, last, lines = 0;

	while (scanf(" ack %63s %16s %" SCNu64 " %" SCNu64, agent, epoch, &first, &last) == 4) {
		struct seen *s;

		snprintf(key, sizeof key, "%s %s", agent, epoch);
		s = map_find(j->seen, key);
		if (s == NULL || s->last < last)
			complain(j, "acknowledged and not there", agent, last);
		lines++;
	}
	printf("acks %" PRIu64 " rows %" PRIu64 " bad %" PRIu64 "\n", lines, j->rows, j->bad);
}

static void judge_entry(struct judge *j, const struct journal_entry *entry)
{
	struct wire_envelope *v;
	struct wire_batch *b;
	struct err e;

	if (entry->kind == ENTRY_GAP)
		complain(j, "a gap in the collector's journal", "-", entry->at.seq);
	if (entry->kind != ENTRY_BATCH)
		return;
	v = wire_envelope_decode(entry->payload, entry->len, &e);
	b = v != NULL ? wire_batch_decode(v->body, v->body_len, &e) : NULL;
	if (b == NULL)
		complain(j, e.text, "-", entry->at.seq);
	else
		judge_batch(j, v, b);
	wire_batch_free(b);
	wire_envelope_free(v);
}

static int check(const char *folder)
{
	struct judge j = {.seen = map_new()};
	struct err e;
	struct journal_reader *r = journal_reader_open(folder, (struct position){0, 0}, &e);
	struct journal_entry entry;
	int status = -1;

	while (r != NULL && (status = journal_read_next(r, &entry, &e)) == 1)
		judge_entry(&j, &entry);
	if (status < 0) {
		fprintf(stderr, "check: %s\n", e.text);
		return 1;
	}
	judge_acks(&j);
	return j.bad > 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "check") == 0)
		return check(argv[2]);
	if (argc >= 7 && strcmp(argv[1], "push") == 0)
		return push(argc, argv);
	fputs("usage: pusher push URL PKI AGENTS CHECKS SECONDS [PER-SECOND] | pusher check JOURNAL < acks\n", stderr);
	return 2;
}
