/*
 * pusher: many virtual agents that push deterministic results over mutual TLS, and the judge of what was kept.
 *
 *   pusher push URL PKI key=value ...    pushes, "ack AGENT EPOCH FIRST LAST" on standard output for each answer 200
 *     agents=8 checks=10 rate=1 seconds=5   each check of each agent has `rate` results a second
 *     rows=1000      results of one batch at most
 *     restart=0      entries after which an agent begins a new epoch, with its opening
 *     virtual=0      1: results of a check are 1 s apart in measured time, however often they come; in the past
 *     real=0         seconds that the agents' wall clocks are ahead (negative: behind)
 *     boot=1         boot id of the agents
 *     old_boot=0     boot id that results claim to be measured in, when it is another one
 *     ahead=0        seconds that results claim to be measured after they are sent
 *     repeat=0       percent of requests that are a repeat of an old batch, or one that leaves a hole
 *   pusher check JOURNAL < acks    the collector's journal against those lines
 *   pusher body agent=0 epoch=1 first=1 last=1 previous_epoch=0 previous=0     one batch on standard output, as sent
 *   pusher mutate URL PKI count=1000 seed=1   batches of another's name, mutated, as agent-0; statuses counted
 *
 * Agent i is "agent-i" with the certificate PKI/agent-i.pem; its checks are "check-i-0" ... of type icmp. The values
 * of a result follow from the agent and its seq, so that the judge needs no copy of them. What is not acknowledged is
 * sent again, the oldest first, until `seconds` are over and all is acknowledged (at most 60 s more).
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

#define AGAIN (20 * NS_PER_MS)
#define OLD 32
#define GRACE (60 * NS_PER_S)
#define BEAT_US 20000
#define CLOCK_BASE (1000000 * NS_PER_S) /* of the agents' monotonic clocks: room for a past */

struct options {
	int64_t agents, checks, rate, seconds, rows, restart, virtual, real, boot, old_boot, ahead, repeat, count, seed;
	int64_t agent, epoch, first, last, previous_epoch, previous;
};

/* An entry that is not acknowledged. */
struct entry {
	uint64_t epoch, begins; /* seq of the opening of its epoch */
	struct position previous;
	int64_t mono; /* 0: it is the opening */
};

struct agent {
	struct pusher *pusher;
	unsigned number;
	uint64_t end, acked; /* seq of the last entry made; of the last acknowledged */
	uint64_t next; /* to be sent: behind acked, or where the collector wants it */
	uint64_t results;
	struct position sent; /* last of the batch under way; 0: none */
	bool odd; /* the one under way is a repeat, or leaves a hole */
	struct buf old[OLD];
	size_t old_count;
	struct entry *entries; /* ring of `room`, by seq */
	size_t room;
	CURL *easy;
	struct curl_slist *headers;
	struct wire_packer *packer;
	struct buf plain, body, answer;
	struct event *again;
};

struct pusher {
	struct options o;
	struct event_base *base;
	struct http_client *http;
	struct agent *agents;
	int64_t began, until;
	uint64_t values, batches, failures, repeats;
	char last_error[512];
};

static int64_t agent_mono(void)
{
	return clock_mono() + CLOCK_BASE;
}

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

static void fill_result(const struct options *o, unsigned agent, uint64_t seq, int64_t mono, unsigned check_number,
	char check[64], struct result *r)
{
	snprintf(check, 64, "check-%u-%u", agent, check_number);
	*r = (struct result){.check = check, .type = "icmp", .interval_s = 1, .family = FAMILY_V6,
		.outcome = OUTCOME_UP, .part = "", .address = "2001:db8::1", .reason = "",
		.boot = (uint64_t)(o->old_boot != 0 ? o->old_boot : o->boot), .mono = mono};
	for (size_t k = 0; k < metrics_count(); k++)
		result_add(r, catalog_icmp.metrics[k].number, value_of(agent, seq, (unsigned)k));
}

/* ---- entries */

static struct entry *entry_at(struct agent *a, uint64_t seq)
{
	return &a->entries[seq % a->room];
}

static struct entry *add_entry(struct agent *a)
{
	struct entry last = a->room > 0 ? *entry_at(a, a->end) : (struct entry){.epoch = 0};

	if (a->end - a->acked + 2 > a->room) {
		size_t room = a->room == 0 ? 1024 : a->room * 2;
		struct entry *grown = mem_array(room, sizeof *grown);

		for (uint64_t seq = a->acked; a->room > 0 && seq <= a->end; seq++)
			grown[seq % room] = *entry_at(a, seq);
		free(a->entries);
		a->entries = grown;
		a->room = room;
	}
	a->end++;
	*entry_at(a, a->end) = last;
	return entry_at(a, a->end);
}

static void add_opening(struct agent *a)
{
	uint64_t before = a->room > 0 ? entry_at(a, a->end)->epoch : 0;
	struct entry *opening = add_entry(a);

	if (getrandom(&opening->epoch, sizeof opening->epoch, 0) < 0)
		exit(1);
	opening->begins = a->end;
	opening->previous = (struct position){before, a->end - 1};
	opening->mono = 0;
}

static void add_result(struct agent *a, int64_t mono)
{
	const struct options *o = &a->pusher->o;

	if (o->restart > 0 && a->end - entry_at(a, a->end)->begins >= (uint64_t)o->restart)
		add_opening(a);
	add_entry(a)->mono = mono;
	a->results++;
}

/* ---- sending */

static void send_next(struct agent *);

static size_t on_body(char *data, size_t one, size_t len, void *ctx)
{
	(void)one;
	buf_add(ctx, data, len);
	return len;
}

static int pack_entry(struct agent *a, uint64_t seq, struct buf *one)
{
	const struct options *o = &a->pusher->o;
	const struct entry *entry = entry_at(a, seq);
	char check[64];
	struct result r;
	struct err e;

	buf_clear(one);
	if (entry->mono == 0) {
		struct journal_open_note note = {.previous = entry->previous, .boot = (uint64_t)o->boot};
		uint8_t payload[40];

		return wire_packer_add(a->packer, seq, ENTRY_OPEN, payload, journal_open_note_encode(&note, payload), &e);
	}
	fill_result(o, a->number, seq, entry->mono, (unsigned)((entry->mono / NS_PER_MS) % 1000) % (unsigned)o->checks,
		check, &r);
	wire_result_encode(&r, catalog_decimals, one);
	return wire_packer_add(a->packer, seq, ENTRY_RESULT, one->data, one->len, &e);
}

static void pack(struct agent *a, uint64_t from)
{
	const struct options *o = &a->pusher->o;
	const struct entry *first = entry_at(a, from);
	struct wire_batch_head head = {.epoch = first->epoch, .first = from, .previous = first->previous,
		.sent_mono = agent_mono(), .sent_real = clock_real() + o->real * NS_PER_S, .sent_boot = (uint64_t)o->boot};
	struct buf one = {0};
	char name[32];

	snprintf(name, sizeof name, "agent-%u", a->number);
	head.agent = name;
	if (head.sent_real < 0)
		head.sent_real = 0;
	for (uint64_t seq = head.first; seq <= a->end && seq < head.first + (uint64_t)o->rows; seq++) {
		if (entry_at(a, seq)->epoch != head.epoch || pack_entry(a, seq, &one) != 1)
			break;
		head.last = seq;
	}
	head.backlog = a->end - head.last;
	buf_clear(&a->plain);
	wire_packer_finish(a->packer, &head, &a->plain);
	buf_clear(&a->body);
	wire_compress(a->plain.data, a->plain.len, &a->body);
	a->sent = (struct position){head.epoch, head.last};
	buf_fini(&one);
}

static void take_ack(struct agent *a)
{
	printf("ack agent-%u %016" PRIx64 " %" PRIu64 " %" PRIu64 "\n", a->number, a->sent.epoch, a->acked + 1,
		a->sent.seq);
	fflush(stdout);
	for (uint64_t seq = a->acked + 1; seq <= a->sent.seq; seq++)
		a->pusher->values += entry_at(a, seq)->mono != 0 ? metrics_count() : 0;
	a->pusher->batches++;
	a->acked = a->sent.seq;
	a->next = a->acked + 1;
	if (a->pusher->o.repeat > 0) {
		struct buf *old = &a->old[a->old_count++ % OLD];

		buf_clear(old);
		buf_add(old, a->body.data, a->body.len);
	}
}

static void fail(struct agent *a, CURLcode code, long status, const struct wire_answer *answer)
{
	struct pusher *p = a->pusher;
	struct timeval again = {0, AGAIN / NS_PER_US};

	if (status == 409 && answer->expected.epoch == a->sent.epoch && answer->expected.seq <= a->acked) {
		fprintf(stderr, "pusher: agent-%u: acknowledged entries are wanted again from %" PRIu64 " on\n",
			a->number, answer->expected.seq);
		exit(1);
	}
	/* What was sent and not acknowledged may have been taken: the next 200 covers it. */
	if (status == 409 && answer->expected.epoch == a->sent.epoch && answer->expected.seq <= a->end)
		a->next = answer->expected.seq;
	else if (status == 409)
		a->next = a->acked + 1;
	p->failures++;
	snprintf(p->last_error, sizeof p->last_error, "%s, status %ld %s",
		code == CURLE_OK ? "answered" : curl_easy_strerror(code), status, answer->reason);
	a->sent.seq = 0;
	evtimer_add(a->again, &again);
}

static void on_done(void *ctx, CURL *easy, CURLcode code)
{
	struct agent *a = ctx;
	struct wire_answer answer = {.durable = 0};
	long status = 0;
	struct err e;

	curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status);
	if (a->odd) {
		/* A repeat is known, or was never taken; a hole is never taken. */
		a->pusher->repeats += code == CURLE_OK && (status == 200 || status == 409);
		a->sent.seq = 0;
		a->odd = false;
		send_next(a);
		return;
	}
	if (code != CURLE_OK || a->answer.len == 0 || wire_answer_decode(a->answer.data, a->answer.len, &answer, &e) < 0 ||
		status != 200 || answer.accepted.epoch != a->sent.epoch || answer.durable != a->sent.seq) {
		fail(a, code, status, &answer);
		return;
	}
	take_ack(a);
	a->sent.seq = 0;
	send_next(a);
}

/* Puts something else than the next batch into the body: 1, 0 there is nothing. */
static int pack_odd(struct agent *a)
{
	if (rand() % 100 >= a->pusher->o.repeat)
		return 0;
	if (rand() % 2 == 0 && a->old_count > 0) {
		const struct buf *old = &a->old[(size_t)rand() % (a->old_count < OLD ? a->old_count : OLD)];

		buf_clear(&a->body);
		buf_add(&a->body, old->data, old->len);
		return 1;
	}
	if (a->end < a->next + 2 || entry_at(a, a->next)->epoch != entry_at(a, a->next + 2)->epoch ||
		entry_at(a, a->next)->begins == a->next)
		return 0;
	pack(a, a->next + 2);
	return 1;
}

static void send_next(struct agent *a)
{
	if (a->sent.seq != 0 || a->acked == a->end)
		return;
	a->odd = pack_odd(a) == 1;
	if (a->odd)
		a->sent.seq = UINT64_MAX;
	else
		pack(a, a->next);
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

/* The check of a result stands in the milliseconds of its time, where it costs nothing to keep. */
static int64_t mono_of(const struct agent *a, int64_t now)
{
	const struct options *o = &a->pusher->o;
	int64_t check = (int64_t)(a->results % (uint64_t)o->checks), round = (int64_t)a->results / o->checks;
	int64_t at = now;

	if (o->virtual != 0)
		at = a->pusher->began - (o->rate * o->seconds - round) * NS_PER_S;
	return (at / NS_PER_S + o->ahead) * NS_PER_S + check * NS_PER_MS;
}

static void make_until(struct agent *a, uint64_t results, int64_t now)
{
	while (a->results < results)
		add_result(a, mono_of(a, now));
	if (!evtimer_pending(a->again, NULL))
		send_next(a);
}

static bool all_acked(const struct pusher *p)
{
	for (int64_t i = 0; i < p->o.agents; i++) {
		if (p->agents[i].acked != p->agents[i].end)
			return false;
	}
	return true;
}

static void on_beat(evutil_socket_t fd, short what, void *ctx)
{
	struct pusher *p = ctx;
	int64_t now = agent_mono();
	uint64_t rounds = (uint64_t)((double)(now - p->began) / 1e9 * (double)p->o.rate) + 1;

	(void)fd, (void)what;
	if (now < p->until) {
		for (int64_t i = 0; i < p->o.agents; i++)
			make_until(&p->agents[i], rounds * (uint64_t)p->o.checks, now);
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

static CURL *new_easy(const char *url, const char *pki, unsigned number, struct curl_slist **headers,
	struct buf *answer)
{
	CURL *easy = curl_easy_init();
	char *text = mem_format("%s/v1/batch", url);

	*headers = curl_slist_append(NULL, "Content-Encoding: zstd");
	*headers = curl_slist_append(*headers, "Expect:");
	curl_easy_setopt(easy, CURLOPT_URL, text);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, *headers);
	set_file(easy, CURLOPT_CAINFO, pki, "ca.pem");
	free(text);
	text = mem_format("agent-%u.pem", number);
	set_file(easy, CURLOPT_SSLCERT, pki, text);
	memcpy(text + strlen(text) - 3, "key", 3);
	set_file(easy, CURLOPT_SSLKEY, pki, text);
	free(text);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT, 10L);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, answer);
	return easy;
}

static void agent_init(struct agent *a, struct pusher *p, unsigned number, const char *url, const char *pki)
{
	*a = (struct agent){.pusher = p, .number = number, .packer = wire_packer_new(WIRE_BODY_MAX)};
	a->easy = new_easy(url, pki, number, &a->headers, &a->answer);
	a->again = evtimer_new(p->base, on_again, a);
	a->next = 1;
	add_opening(a);
}

static int push(const char *url, const char *pki, const struct options *o)
{
	struct pusher p = {.o = *o, .base = event_base_new()};
	struct timeval beat = {0, BEAT_US};

	p.http = http_client_new(p.base);
	p.agents = mem_array((size_t)o->agents, sizeof *p.agents);
	for (unsigned i = 0; i < o->agents; i++)
		agent_init(&p.agents[i], &p, i, url, pki);
	p.began = agent_mono();
	p.until = p.began + o->seconds * NS_PER_S;
	event_add(event_new(p.base, -1, EV_PERSIST, on_beat, &p), &beat);
	event_base_dispatch(p.base);
	fflush(stdout);
	fprintf(stderr, "pusher: batches %" PRIu64 " values %" PRIu64 " seconds %.2f failures %" PRIu64 " repeats %"
		PRIu64 " last \"%s\"\n", p.batches, p.values, (double)(agent_mono() - p.began) / 1e9, p.failures,
		p.repeats, p.last_error);
	return all_acked(&p) ? 0 : 1;
}

/* ---- judging */

struct seen {
	uint64_t first, last; /* entries first..last were seen, in order, once each */
};

struct judge {
	struct map *seen; /* of struct seen, by "agent epoch" */
	struct map *ends; /* of struct seen, by agent: over all epochs */
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

static struct seen *seen_of(struct map *m, const char *key)
{
	struct seen *s = map_find(m, key);

	if (s == NULL) {
		s = mem_alloc(sizeof *s);
		map_set(m, key, s);
	}
	return s;
}

static void judge_span(struct judge *j, struct map *m, const char *key, const struct wire_batch_head *h)
{
	struct seen *s = seen_of(m, key);

	if (s->last == 0)
		s->first = h->first;
	else if (h->first != s->last + 1)
		complain(j, h->first <= s->last ? "entries stand there twice" : "entries are missing", key, h->first);
	s->last = h->last;
}

static void judge_batch(struct judge *j, const struct wire_envelope *v, struct wire_batch *b)
{
	char key[100];

	snprintf(key, sizeof key, "%s %016" PRIx64, v->agent, b->head.epoch);
	judge_span(j, j->seen, key, &b->head);
	/* A run of the pusher begins anew with 1: the whole of an agent is judged within one. */
	if (b->head.first > 1)
		judge_span(j, j->ends, v->agent, &b->head);
	else
		seen_of(j->ends, v->agent)->last = b->head.last;
	if (v->refused_count > 0)
		complain(j, "rows are refused", v->agent, b->head.first);
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
		const struct seen *s;

		snprintf(key, sizeof key, "%s %s", agent, epoch);
		s = map_find(j->seen, key);
		if (s == NULL || s->last < last || s->first > first)
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
	struct judge j = {.seen = map_new(), .ends = map_new()};
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
	journal_reader_close(r);
	map_free(j.seen, free);
	map_free(j.ends, free);
	return j.bad > 0;
}

/* ---- mutating */

static void mutate_bytes(struct buf *b, unsigned changes)
{
	for (unsigned i = 0; i < changes && b->len > 0; i++) {
		size_t at = (size_t)rand() % b->len;

		switch (rand() % 5) {
		case 0:
			b->data[at] = (uint8_t)rand();
			break;
		case 1:
			b->data[at] ^= (uint8_t)(1 << rand() % 8);
			break;
		case 2:
			b->len = at;
			break;
		case 3:
			memmove(b->data + at, b->data + at + 1, b->len - at - 1);
			b->len--;
			break;
		default:
			buf_add(b, b->data + at, (size_t)rand() % (b->len - at + 1));
			break;
		}
	}
}

/* Results first..last of the head. */
static void make_batch(const struct options *o, const struct wire_batch_head *head, struct buf *out)
{
	struct wire_packer *packer = wire_packer_new(WIRE_BODY_MAX);
	struct buf one = {0};
	char check_id[64];
	struct result r;
	struct err e;

	for (uint64_t seq = head->first; seq <= head->last; seq++) {
		buf_clear(&one);
		fill_result(o, (unsigned)o->agent, seq, head->sent_mono - NS_PER_S, (unsigned)seq % 10, check_id, &r);
		wire_result_encode(&r, catalog_decimals, &one);
		wire_packer_add(packer, seq, ENTRY_RESULT, one.data, one.len, &e);
	}
	wire_packer_finish(packer, head, out);
	wire_packer_free(packer);
	buf_fini(&one);
}

static int write_body(const struct options *o)
{
	char *name = mem_format("agent-%u", (unsigned)o->agent);
	struct wire_batch_head head = {.agent = name, .epoch = (uint64_t)o->epoch, .first = (uint64_t)o->first,
		.last = (uint64_t)o->last, .previous = {(uint64_t)o->previous_epoch, (uint64_t)o->previous},
		.sent_mono = agent_mono(), .sent_real = clock_real(), .sent_boot = (uint64_t)o->boot};
	struct buf plain = {0}, body = {0};
	size_t written;

	make_batch(o, &head, &plain);
	wire_compress(plain.data, plain.len, &body);
	written = fwrite(body.data, 1, body.len, stdout);
	buf_fini(&plain);
	buf_fini(&body);
	free(name);
	return written == 0;
}

/* A batch that is right but for the name: whatever is changed in it, nothing of it may be kept. */
static void make_forgery(const struct options *o, struct buf *out)
{
	struct wire_batch_head head = {.agent = "another-one", .epoch = (uint64_t)rand() + 1, .first = 1,
		.last = 1 + (uint64_t)(rand() % 40), .sent_mono = agent_mono(), .sent_real = clock_real(), .sent_boot = 1};

	make_batch(o, &head, out);
}

/* Each body is changed as the message, or as the frame around it, or not at all. */
static void make_mutant(const struct options *o, struct buf *body)
{
	struct buf plain = {0};
	int where = rand() % 10;

	make_forgery(o, &plain);
	if (where < 6)
		mutate_bytes(&plain, 1 + (unsigned)rand() % 4);
	buf_clear(body);
	wire_compress(plain.data, plain.len, body);
	if (where >= 6 && where < 9)
		mutate_bytes(body, 1 + (unsigned)rand() % 3);
	buf_fini(&plain);
}

static int mutate(const char *url, const char *pki, const struct options *o)
{
	struct buf body = {0}, answer = {0};
	struct curl_slist *headers;
	CURL *easy = new_easy(url, pki, 0, &headers, &answer);
	uint64_t counts[600] = {0}, broken = 0;

	srand((unsigned)o->seed);
	for (int64_t i = 0; i < o->count; i++) {
		long status = 0;

		make_mutant(o, &body);
		buf_clear(&answer);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.data);
		curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE, (long)body.len);
		if (curl_easy_perform(easy) != CURLE_OK)
			broken++;
		else if (curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status) == CURLE_OK && status > 0 && status < 600)
			counts[status]++;
	}
	for (int status = 0; status < 600; status++) {
		if (counts[status] > 0)
			printf("status %d %" PRIu64 "\n", status, counts[status]);
	}
	printf("broken %" PRIu64 "\n", broken);
	curl_easy_cleanup(easy);
	curl_slist_free_all(headers);
	buf_fini(&body);
	buf_fini(&answer);
	return counts[200] > 0 || broken > 0;
}

/* ---- */

static int take_options(int argc, char **argv, struct options *o)
{
	const struct {
		const char *name;
		int64_t *value;
	} names[] = {{"agents", &o->agents}, {"checks", &o->checks}, {"rate", &o->rate}, {"seconds", &o->seconds},
		{"rows", &o->rows}, {"restart", &o->restart}, {"virtual", &o->virtual}, {"real", &o->real},
		{"boot", &o->boot}, {"old_boot", &o->old_boot}, {"ahead", &o->ahead}, {"repeat", &o->repeat},
		{"count", &o->count}, {"seed", &o->seed}, {"agent", &o->agent}, {"epoch", &o->epoch},
		{"first", &o->first}, {"last", &o->last}, {"previous_epoch", &o->previous_epoch},
		{"previous", &o->previous}};

	for (int i = 0; i < argc; i++) {
		size_t k = 0, len = strcspn(argv[i], "=");

		while (k < sizeof names / sizeof *names &&
			(strlen(names[k].name) != len || strncmp(names[k].name, argv[i], len) != 0))
			k++;
		if (k == sizeof names / sizeof *names || argv[i][len] == '\0') {
			fprintf(stderr, "pusher: what is '%s'?\n", argv[i]);
			return -1;
		}
		*names[k].value = strtoll(argv[i] + len + 1, NULL, 10);
	}
	return 0;
}

int main(int argc, char **argv)
{
	struct options o = {.agents = 8, .checks = 10, .rate = 1, .seconds = 5, .rows = 1000, .boot = 1, .count = 1000,
		.seed = 1, .epoch = 1, .first = 1, .last = 1};

	if (argc == 3 && strcmp(argv[1], "check") == 0)
		return check(argv[2]);
	if (argc >= 2 && strcmp(argv[1], "body") == 0 && take_options(argc - 2, argv + 2, &o) == 0)
		return write_body(&o);
	if (argc >= 4 && take_options(argc - 4, argv + 4, &o) == 0) {
		if (strcmp(argv[1], "push") == 0)
			return push(argv[2], argv[3], &o);
		if (strcmp(argv[1], "mutate") == 0)
			return mutate(argv[2], argv[3], &o);
	}
	fputs("usage: pusher push URL PKI key=value ... | check JOURNAL < acks | mutate URL PKI count=N seed=N\n", stderr);
	return 2;
}
