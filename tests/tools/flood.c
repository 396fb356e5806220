/*
 * flood: a city of virtual agents in one process, each with a certificate and a connection of its own, whose batches
 * are made before the clock runs: what is measured is the collector, not the making of its load.
 *
 *   flood HOST:PORT PKI agents=8 checks=50 rounds=5 window=64 interval=60
 *
 * Agent i is "agent-i"; its checks "check-i-0" ... of type icmp are measured over IPv4 and IPv6, once per `interval`
 * seconds of virtual time, the last of `rounds` a moment ago; a round of an agent is one batch. Certificates are made on the spot,
 * signed by PKI/ca.key. Commands on standard input, each answered by a line of JSON:
 *   connect      all agents, at most `window` at a time; they must send soon, for ingest does not wait long for a request
 *   send N       the next N rounds of all agents, at most `window` of them waiting for an answer at a time; whoever has no
 *                connection yet makes one first
 * Only 200 counts. Exit status 1 when anything failed.
 */
#include <arpa/inet.h>
#include <event2/buffer.h>
#include <event2/bufferevent_ssl.h>
#include <event2/event.h>
#include <inttypes.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/journal.h"
#include "lib/mem.h"
#include "lib/wire.h"
#include "probes/catalog.h"
#include "probes/catalog_icmp.h"
#include "tests/support/pki.h"

struct agent {
	struct flood *flood;
	unsigned number;
	uint64_t epoch;
	struct bufferevent *bev;
	struct buf *requests; /* of each round: head and body */
	int64_t sent, done;   /* rounds */
	int64_t at;           /* when the one under way went out */
};

struct flood {
	int64_t agents, checks, rounds, window, interval;
	struct event_base *base;
	SSL_CTX *tls;
	struct sockaddr_storage to;
	int to_len;
	struct pki authority;
	struct agent *agent;
	int64_t next, busy, until; /* agent to go on with; of them under way; rounds wanted */
	int64_t *latency;
	size_t latencies, failed;
	uint64_t bytes;
};

static void fail(const char *what, const char *why)
{
	fprintf(stderr, "flood: %s: %s\n", what, why);
	exit(1);
}

static size_t metrics_count(void)
{
	size_t n = 0;

	while (catalog_icmp.metrics[n].number != 0)
		n++;
	return n;
}

/* ---- making */

static uint64_t next_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static void fill_result(const struct flood *f, const struct agent *a, int64_t round, unsigned row, int64_t now,
	uint64_t *random, char check[64], struct result *r)
{
	bool v6 = row % 2 != 0;

	snprintf(check, 64, "check-%u-%u", a->number, row / 2);
	*r = (struct result){.check = check, .type = "icmp", .interval_s = (uint32_t)f->interval, .outcome = OUTCOME_UP,
		.family = v6 ? FAMILY_V6 : FAMILY_V4, .part = "", .address = v6 ? "2001:db8:1234:5678::1" : "192.0.2.77",
		.reason = "", .boot = 1};
	r->mono = now - (f->rounds - round) * f->interval * NS_PER_S + row * NS_PER_MS;
	/* As a quiet network answers: 5 echoes, none lost, some hundred microseconds that vary without a pattern. */
	for (const struct metric *m = catalog_icmp.metrics; m->number != 0; m++) {
		double number = m->number == ICMP_SENT ? 5 : m->number == ICMP_TTL ? 61 : 0;

		if (m->decimals >= 3)
			number = 300e-6 + (double)(next_random(random) % 900) / 1e6;
		result_add(r, m->number, number);
	}
}

static void make_request(const struct flood *f, struct agent *a, int64_t round, int64_t now, struct wire_packer *packer)
{
	uint64_t random = 88172645463325252u + a->number * 1000003u + (uint64_t)round;
	uint64_t rows = (uint64_t)f->checks * 2, first = round == 0 ? 1 : 2 + (uint64_t)round * rows;
	struct wire_batch_head head = {.epoch = a->epoch, .first = first, .last = 1 + (uint64_t)(round + 1) * rows,
		.sent_mono = now, .sent_real = clock_real(), .sent_boot = 1};
	struct buf one = {0}, plain = {0}, body = {0};
	char name[32], check[64];
	struct err e = {""};

	snprintf(name, sizeof name, "agent-%u", a->number);
	head.agent = name;
	if (round == 0) {
		struct journal_open_note note = {.boot = 1};
		uint8_t payload[40];

		wire_packer_add(packer, 1, ENTRY_OPEN, payload, journal_open_note_encode(&note, payload), &e);
	}
	for (unsigned row = 0; row < rows; row++) {
		struct result r;

		fill_result(f, a, round, row, now, &random, check, &r);
		buf_clear(&one);
		wire_result_encode(&r, catalog_decimals, &one);
		if (wire_packer_add(packer, 2 + (uint64_t)round * rows + row, ENTRY_RESULT, one.data, one.len, &e) != 1)
			fail("a round does not fit into a batch", e.text);
	}
	wire_packer_finish(packer, &head, &plain);
	wire_compress(plain.data, plain.len, &body);
	buf_add_format(&a->requests[round], "POST /v1/batch HTTP/1.1\r\nHost: collector\r\nContent-Encoding: zstd\r\n"
		"Content-Length: %zu\r\n\r\n", body.len);
	buf_add(&a->requests[round], body.data, body.len);
	buf_fini(&one);
	buf_fini(&plain);
	buf_fini(&body);
}

static void make_agents(struct flood *f)
{
	struct wire_packer *packer = wire_packer_new(WIRE_BODY_MAX);
	int64_t now = clock_mono() + 1000000 * NS_PER_S;

	f->agent = mem_array((size_t)f->agents, sizeof *f->agent);
	for (unsigned i = 0; i < f->agents; i++) {
		struct agent *a = &f->agent[i];

		*a = (struct agent){.flood = f, .number = i, .requests = mem_array((size_t)f->rounds, sizeof *a->requests)};
		if (getrandom(&a->epoch, sizeof a->epoch, 0) < 0)
			exit(1);
		for (int64_t round = 0; round < f->rounds; round++)
			make_request(f, a, round, now, packer);
	}
	wire_packer_free(packer);
}

/* ---- the authority */

static void read_authority(struct flood *f, const char *folder)
{
	char *pem = mem_format("%s/ca.pem", folder), *key = mem_format("%s/ca.key", folder);
	FILE *a = fopen(pem, "re"), *b = fopen(key, "re");

	f->authority.x = a != NULL ? PEM_read_X509(a, NULL, NULL, NULL) : NULL;
	f->authority.key = b != NULL ? PEM_read_PrivateKey(b, NULL, NULL, NULL) : NULL;
	if (f->authority.x == NULL || f->authority.key == NULL)
		fail(folder, "no ca.pem and ca.key");
	fclose(a);
	fclose(b);
	free(pem);
	free(key);
}

static SSL *new_tls(struct flood *f, unsigned number)
{
	char san[40];
	struct pki_spec spec = {.san = san};
	struct pki leaf;
	SSL *tls = SSL_new(f->tls);

	snprintf(san, sizeof san, "DNS:agent-%u", number);
	leaf = pki_make(&spec, &f->authority);
	if (SSL_use_certificate(tls, leaf.x) != 1 || SSL_use_PrivateKey(tls, leaf.key) != 1)
		fail("certificate", "not usable");
	pki_free(&leaf);
	return tls;
}

/* ---- connections */

static void go_on(struct flood *);
static void send_next(struct flood *, struct agent *);

static void under_way(struct flood *f, int change)
{
	f->busy += change;
	if (change < 0)
		go_on(f);
}

static void on_event(struct bufferevent *bev, short what, void *ctx)
{
	struct agent *a = ctx;

	if (what & BEV_EVENT_CONNECTED) {
		if (a->sent < a->flood->until) {
			send_next(a->flood, a);
			a->flood->busy--;
		} else {
			under_way(a->flood, -1);
		}
		return;
	}
	fprintf(stderr, "flood: agent-%u lost its connection: %s\n", a->number,
		what & BEV_EVENT_EOF ? "closed" : evutil_socket_error_to_string(EVUTIL_SOCKET_ERROR()));
	bufferevent_free(bev);
	a->bev = NULL;
	a->flood->failed++;
	under_way(a->flood, -1);
}

/* Whole when its head has ended and the bytes it promises are there: its status, else 0. */
static int take_answer(struct evbuffer *in)
{
	struct evbuffer_ptr end = evbuffer_search(in, "\r\n\r\n", 4, NULL);
	char head[1024];
	const char *length;
	size_t whole;

	if (end.pos < 0 || (size_t)end.pos >= sizeof head)
		return 0;
	evbuffer_copyout(in, head, (size_t)end.pos);
	head[end.pos] = '\0';
	length = strcasestr(head, "content-length:");
	whole = (size_t)end.pos + 4 + (length != NULL ? strtoul(length + 15, NULL, 10) : 0);
	if (evbuffer_get_length(in) < whole)
		return 0;
	evbuffer_drain(in, whole);
	return atoi(head + 9);
}

static void on_read(struct bufferevent *bev, void *ctx)
{
	struct agent *a = ctx;
	struct flood *f = a->flood;
	int status = take_answer(bufferevent_get_input(bev));

	if (status == 0)
		return;
	if (status != 200) {
		fprintf(stderr, "flood: agent-%u: status %d\n", a->number, status);
		f->failed++;
	}
	f->latency[f->latencies++] = clock_mono() - a->at;
	a->done++;
	under_way(f, -1);
}

static void connect_agent(struct flood *f, struct agent *a)
{
	a->bev = bufferevent_openssl_socket_new(f->base, -1, new_tls(f, a->number), BUFFEREVENT_SSL_CONNECTING,
		BEV_OPT_CLOSE_ON_FREE);
	bufferevent_setcb(a->bev, on_read, NULL, on_event, a);
	bufferevent_enable(a->bev, EV_READ | EV_WRITE);
	under_way(f, 1);
	if (bufferevent_socket_connect(a->bev, (struct sockaddr *)&f->to, f->to_len) < 0)
		fail("connect", "failed");
}

static void send_next(struct flood *f, struct agent *a)
{
	const struct buf *request = &a->requests[a->sent++];

	a->at = clock_mono();
	f->bytes += request->len;
	under_way(f, 1);
	bufferevent_write(a->bev, request->data, request->len);
}

/* Agents in turn, a round of each; one that still waits for its answer is passed over until it has it. */
static void go_on(struct flood *f)
{
	for (int64_t tried = 0; tried < f->agents && f->busy < f->window; tried++) {
		struct agent *a = &f->agent[f->next++ % f->agents];

		if (a->bev == NULL && (f->until == 0 || a->sent == 0))
			connect_agent(f, a);
		else if (a->bev != NULL && a->sent == a->done && a->sent < f->until)
			send_next(f, a);
	}
	if (f->busy == 0)
		event_base_loopbreak(f->base);
}

/* ---- commands */

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static void run(struct flood *f)
{
	int64_t began = clock_mono();
	double cpu = cpu_seconds();
	size_t n;

	f->latencies = 0;
	f->bytes = 0;
	go_on(f);
	if (f->busy > 0)
		event_base_dispatch(f->base);
	n = f->latencies;
	qsort(f->latency, n, sizeof *f->latency, by_value);
	printf("{\"batches\": %zu, \"sets\": %zu, \"values\": %zu, \"bytes\": %" PRIu64 ", \"failed\": %zu, \"wall_s\": %.4f, "
	       "\"cpu_s\": %.3f, \"ack_p50_ms\": %.2f, \"ack_p99_ms\": %.2f}\n",
		n, n * (size_t)f->checks * 2, n * (size_t)f->checks * 2 * metrics_count(), f->bytes, f->failed,
		(double)(clock_mono() - began) / 1e9, cpu_seconds() - cpu, n > 0 ? (double)f->latency[n / 2] / 1e6 : 0,
		n > 0 ? (double)f->latency[n * 99 / 100] / 1e6 : 0);
	fflush(stdout);
}

static void take_options(struct flood *f, int argc, char **argv)
{
	const struct {
		const char *name;
		int64_t *value;
	} names[] = {{"agents=", &f->agents}, {"checks=", &f->checks}, {"rounds=", &f->rounds}, {"window=", &f->window},
		{"interval=", &f->interval}};

	for (int i = 0; i < argc; i++) {
		size_t k = 0;

		while (k < sizeof names / sizeof *names && strncmp(argv[i], names[k].name, strlen(names[k].name)) != 0)
			k++;
		if (k == sizeof names / sizeof *names)
			fail("unknown option", argv[i]);
		*names[k].value = strtoll(argv[i] + strlen(names[k].name), NULL, 10);
	}
}

int main(int argc, char **argv)
{
	struct flood f = {.agents = 8, .checks = 50, .rounds = 5, .window = 64, .interval = 60, .base = event_base_new(),
		.tls = SSL_CTX_new(TLS_client_method()), .to_len = sizeof f.to};
	struct rlimit files = {1 << 20, 1 << 20};
	char line[100];

	if (argc < 3 || evutil_parse_sockaddr_port(argv[1], (struct sockaddr *)&f.to, &f.to_len) < 0) {
		fputs("usage: flood HOST:PORT PKI key=value ...\n", stderr);
		return 2;
	}
	take_options(&f, argc - 3, argv + 3);
	setrlimit(RLIMIT_NOFILE, &files);
	read_authority(&f, argv[2]);
	make_agents(&f);
	f.latency = mem_array((size_t)(f.agents * f.rounds), sizeof *f.latency);
	puts("ready");
	fflush(stdout);
	while (fgets(line, sizeof line, stdin) != NULL) {
		f.until = strncmp(line, "send ", 5) == 0 ? f.until + strtoll(line + 5, NULL, 10) : 0;
		if (f.until > f.rounds)
			fail("send", "there are no more rounds");
		run(&f);
	}
	return f.failed > 0;
}
