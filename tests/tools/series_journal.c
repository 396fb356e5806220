/*
 * series_journal: writes a journal as ingest does, of made-up agents and checks, for tests of the series.
 *
 * usage: series_journal FOLDER key=value ...
 *   seed=1 agents=3 checks=5 seconds=3600 interval=10 start=1700000000
 *   batch=20      results of a batch at most
 *   order=live    one batch of each agent in turn; or shuffled: agents drain their backlogs in turns of random length
 *   noise=0       1: also late, repeated, future, ancient stamps, unknown times, refused rows, unknown metrics, parts,
 *                 changed intervals, messages of now, ticks, notes
 *   every=0       ns to wait after each synced batch: a journal that grows
 * What an agent measures depends on the seed alone, not on order or batch; so journals of the same seed give the same
 * files. Prints "epoch seq" of the last entry.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/journal.h"
#include "lib/mem.h"
#include "lib/wire.h"
#include "probes/catalog.h"

struct plan {
	int64_t seed, agents, checks, seconds, interval, start, batch, noise, every, shuffled;
};

/* An agent's results in the order in which it measured them. */
struct agent {
	char id[32];
	struct result *results;
	size_t count, sent;
};

static uint64_t next_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

/* A number in [0, n) that depends on its arguments alone. */
static uint64_t mix(const struct plan *p, uint64_t a, uint64_t b, uint64_t n)
{
	uint64_t s = (uint64_t)p->seed * 0x9e3779b97f4a7c15u ^ (a + 1) * 0xbf58476d1ce4e5b9u ^
		(b + 1) * 0x94d049bb133111ebu;

	for (int i = 0; i < 4; i++)
		next_random(&s);
	return n > 0 ? s % n : 0;
}

static void fill_values(const struct plan *p, struct result *r, uint64_t a, uint64_t b)
{
	const struct catalog_type *t = catalog_find(r->type);

	for (const struct metric *m = t->metrics; m->number != 0; m++) {
		double unit = 1;

		if (mix(p, a, b + m->number, 10) == 0)
			continue; /* not measured this time */
		for (unsigned d = 0; d < m->decimals; d++)
			unit *= 10;
		result_add(r, m->number, (double)mix(p, a, b * 31 + m->number, 2000000) / unit);
	}
	if (p->noise && mix(p, a, b + 7, 3) == 0)
		result_add(r, 60000 + (uint32_t)mix(p, a, b + 9, 2), (double)mix(p, a, b + 8, 1000) / 4);
}

static void add_result(const struct plan *p, struct agent *a, size_t agent, size_t check, int64_t second, enum family family)
{
	static const char *const types[] = {"icmp", "tcp", "http"};
	uint64_t x = agent * 1000 + check, y = (uint64_t)second * 10 + (uint64_t)family;
	struct result *r = &a->results[a->count++];

	*r = (struct result){.family = family, .part = "", .address = "192.0.2.1", .reason = "", .boot = 7};
	r->check = mem_format("check-%zu", check);
	r->type = types[check % 3];
	r->interval_s = (uint32_t)p->interval;
	r->outcome = (enum outcome)(1 + (mix(p, x, y, 10) < 7 ? 0 : mix(p, x, y, 2) + 1));
	r->reason = r->outcome == OUTCOME_UP ? "" : "timeout";
	r->mono = second * NS_PER_S + (int64_t)mix(p, x, 1, 900) * NS_PER_MS;
	fill_values(p, r, x, y);
	if (!p->noise)
		return;
	if (check % 3 == 1)
		r->part = mix(p, x, y + 1, 2) == 0 ? "eth0" : "网卡/../1";
	if (second > p->seconds / 2 && check % 4 == 2)
		r->interval_s *= 5;
	if (mix(p, x, y + 2, 15) == 0)
		r->mono -= (int64_t)mix(p, x, y, 100) * NS_PER_S; /* late, or the same second */
	if (mix(p, x, y + 3, 40) == 0)
		r->mono += 400000 * NS_PER_S; /* a future that must not come near a file */
	if (mix(p, x, y + 4, 60) == 0)
		r->mono = 5 * NS_PER_S;
	if (r->mono < 0)
		r->mono = 0;
	if (mix(p, x, y + 5, 30) == 0)
		r->interval_s = 0;
}

static void measure(const struct plan *p, struct agent *a, size_t agent)
{
	snprintf(a->id, sizeof a->id, "agent-%zu", agent);
	a->results = mem_array((size_t)(p->checks * 2 * (p->seconds / p->interval + 2)), sizeof *a->results);
	for (int64_t second = 0; second < p->seconds; second++) {
		for (size_t c = 0; c < (size_t)p->checks; c++) {
			if ((uint64_t)second % (uint64_t)p->interval != mix(p, agent, c, (uint64_t)p->interval))
				continue;
			if (mix(p, agent * 1000 + c, (uint64_t)second / 300, 12) == 0)
				continue; /* silent for five minutes */
			add_result(p, a, agent, c, second, FAMILY_V4);
			add_result(p, a, agent, c, second, FAMILY_V6);
		}
	}
}

/* ---- journal */

struct writing {
	const struct plan *plan;
	struct journal *journal;
	struct wire_packer *packer;
	struct buf body, payload, out;
	uint64_t random;
};

static void sync_journal(struct writing *w)
{
	struct timespec pause = {w->plan->every / NS_PER_S, w->plan->every % NS_PER_S};
	struct err e;

	if (journal_sync(w->journal, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		exit(1);
	}
	if (w->plan->every > 0)
		nanosleep(&pause, NULL);
}

static void put(struct writing *w, uint8_t kind)
{
	journal_append(w->journal, kind, w->out.data, w->out.len);
	buf_clear(&w->out);
}

static void put_envelope(struct writing *w, const struct agent *a, uint8_t kind, struct wire_envelope *v)
{
	v->agent = a->id;
	v->offset = w->plan->start * NS_PER_S;
	v->body = w->body.data;
	v->body_len = w->body.len;
	wire_envelope_encode(v, &w->out);
	put(w, kind);
	buf_clear(&w->body);
}

static void pack(struct writing *w, struct agent *a, size_t from, size_t count)
{
	struct err e;

	for (size_t i = from; i < from + count; i++) {
		buf_clear(&w->payload);
		wire_result_encode(&a->results[i], catalog_decimals, &w->payload);
		if (wire_packer_add(w->packer, i + 2, ENTRY_RESULT, w->payload.data, w->payload.len, &e) != 1) {
			fprintf(stderr, "packer: %s\n", e.text);
			exit(1);
		}
	}
}

/* Stamps that depend on the results alone: receipt is when the newest sane one was measured, and a second. */
static int64_t received(const struct plan *p, const struct agent *a, size_t from, size_t count)
{
	int64_t newest = 0;

	for (size_t i = from; i < from + count; i++) {
		if (a->results[i].mono > newest && a->results[i].mono < p->seconds * NS_PER_S)
			newest = a->results[i].mono;
	}
	return p->start * NS_PER_S + newest + NS_PER_S;
}

static void put_now(struct writing *w, struct agent *a, size_t last)
{
	struct wire_envelope v = {.received_real = received(w->plan, a, last, 1)};
	struct wire_batch_head head = {.agent = a->id, .epoch = 9, .sent_boot = 7};

	pack(w, a, last, 1);
	wire_now_encode(w->packer, &head, &w->body);
	put_envelope(w, a, ENTRY_NOW, &v);
}

static void put_batch(struct writing *w, struct agent *a, size_t count)
{
	struct wire_batch_head head = {.agent = a->id, .epoch = 9, .first = a->sent + 2, .last = a->sent + 1 + count,
		.sent_boot = 7};
	struct wire_envelope v = {.received_real = received(w->plan, a, a->sent, count)};

	pack(w, a, a->sent, count);
	wire_packer_finish(w->packer, &head, &w->body);
	put_envelope(w, a, ENTRY_BATCH, &v);
	a->sent += count;
}

/* Things of which no value may come: a batch of unknown time, one refused row by row, notes, ticks. */
static void put_noise(struct writing *w, struct agent *a)
{
	static const uint32_t rows[] = {0, 1, 2};
	struct wire_batch_head head = {.agent = a->id, .epoch = 9, .first = 2, .last = 2, .sent_boot = 7};
	struct wire_envelope unknown = {.received_real = w->plan->start * NS_PER_S, .time_unknown = true};
	struct wire_envelope refused = {.received_real = (w->plan->start + w->plan->seconds) * NS_PER_S,
		.refused = rows, .refused_count = 3};

	if (a->count == 0)
		return;
	pack(w, a, 0, 1);
	wire_packer_finish(w->packer, &head, &w->body);
	put_envelope(w, a, ENTRY_BATCH, &unknown);
	pack(w, a, 0, 1);
	wire_packer_finish(w->packer, &head, &w->body);
	put_envelope(w, a, ENTRY_BATCH, &refused);
	put_now(w, a, a->sent < a->count ? a->sent : a->count - 1);
	wire_note_encode(&(struct wire_note){.agent = a->id, .word = "skew", .text = "behind", .subject = ""}, &w->out);
	put(w, ENTRY_NOTE);
	put(w, ENTRY_TICK);
}

static void write_journal(struct writing *w, struct agent *agents)
{
	const struct plan *p = w->plan;

	for (bool more = true; more;) {
		more = false;
		for (int64_t k = 0; k < p->agents; k++) {
			struct agent *a = &agents[p->shuffled ? (int64_t)(next_random(&w->random) % (uint64_t)p->agents) : k];
			uint64_t turns = p->shuffled ? next_random(&w->random) % 5 : 1;

			for (; turns > 0 && a->sent < a->count; turns--) {
				uint64_t most = (uint64_t)p->batch, n = p->shuffled ? 1 + next_random(&w->random) % most : most;

				put_batch(w, a, a->count - a->sent < n ? a->count - a->sent : n);
				if (p->noise && next_random(&w->random) % 8 == 0)
					put_noise(w, a);
				sync_journal(w);
			}
		}
		for (int64_t k = 0; k < p->agents; k++)
			more = more || agents[k].sent < agents[k].count;
	}
}

static void take_option(struct plan *p, const char *text)
{
	const struct {
		const char *name;
		int64_t *at;
	} numbers[] = {{"seed=", &p->seed}, {"agents=", &p->agents}, {"checks=", &p->checks}, {"seconds=", &p->seconds},
		{"interval=", &p->interval}, {"start=", &p->start}, {"batch=", &p->batch}, {"noise=", &p->noise},
		{"every=", &p->every}};

	p->shuffled = p->shuffled || strcmp(text, "order=shuffled") == 0;
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
		if (strncmp(text, numbers[i].name, strlen(numbers[i].name)) == 0)
			*numbers[i].at = strtoll(text + strlen(numbers[i].name), NULL, 10);
	}
}

int main(int argc, char **argv)
{
	struct plan p = {.seed = 1, .agents = 3, .checks = 5, .seconds = 3600, .interval = 10, .start = 1700000000,
		.batch = 20};
	struct journal_options options = {.segment_bytes = 1 << 20};
	struct writing w = {.plan = &p};
	struct agent *agents;
	struct position end;
	struct err e;

	for (int i = 2; i < argc; i++)
		take_option(&p, argv[i]);
	agents = mem_array((size_t)p.agents, sizeof *agents);
	for (int64_t i = 0; i < p.agents; i++)
		measure(&p, &agents[i], (size_t)i);
	w.random = (uint64_t)p.seed + 88172645463325252u;
	w.packer = wire_packer_new(WIRE_BODY_MAX);
	w.journal = argc > 1 ? journal_open(argv[1], &options, &e) : NULL;
	if (w.journal == NULL) {
		fprintf(stderr, "%s\n", argc > 1 ? e.text : "usage: series_journal FOLDER key=value ...");
		return 2;
	}
	write_journal(&w, agents);
	end = journal_synced(w.journal);
	journal_close(w.journal);
	printf("%" PRIu64 " %" PRIu64 "\n", end.epoch, end.seq);
	return 0;
}
