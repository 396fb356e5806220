/*
 * wire_bench: a batch on the wire: its bytes per value, and the CPU of making and reading it; one JSON object.
 *
 *   wire_bench [results=1000] [rounds=300] [packs=20]
 *
 * The batch is a backlog of 10 minutes of 100 checks over two families: round-trip times are a walk with jitter in
 * microseconds, as a network has them, so that most digits are noise.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/wire.h"
#include "probes/catalog.h"
#include "probes/catalog_icmp.h"

#define CHECKS 50

static uint64_t state = 88172645463325252u;

static double noise(double most)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return most * (double)(state % 1000000) / 1e6;
}

static double cpu_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void fill_result(unsigned row, char check[64], struct result *r)
{
	unsigned target = row % (2 * CHECKS);
	double base = 200e-6 + target * 37e-6, low = base + noise(40e-6), p25 = low + noise(60e-6),
		median = p25 + noise(80e-6), p75 = median + noise(120e-6);

	snprintf(check, 64, "system-portal-%u-icmp", target / 2);
	*r = (struct result){.check = check, .type = "icmp", .interval_s = 60,
		.family = target % 2 ? FAMILY_V6 : FAMILY_V4, .outcome = OUTCOME_UP, .part = "",
		.address = target % 2 ? "2001:db8:1234:5678::1" : "192.0.2.77", .reason = "", .boot = 7};
	r->mono = row / (2 * CHECKS) * 60 * NS_PER_S + target * 600 * NS_PER_MS + (int64_t)noise(3e6);
	result_add(r, ICMP_SENT, 5);
	result_add(r, ICMP_LOST, 0);
	result_add(r, ICMP_LOSS, 0);
	result_add(r, ICMP_RTT_MIN, low);
	result_add(r, ICMP_RTT_P25, p25);
	result_add(r, ICMP_RTT_MEDIAN, median);
	result_add(r, ICMP_RTT_P75, p75);
	result_add(r, ICMP_RTT_MAX, p75 + noise(500e-6));
	result_add(r, ICMP_JITTER, noise(100e-6));
	result_add(r, ICMP_DUPLICATES, 0);
	result_add(r, ICMP_LATE, 0);
	result_add(r, ICMP_TTL, 61);
}

static size_t pack(unsigned results, struct buf *payloads, struct buf *plain)
{
	struct wire_packer *p = wire_packer_new(WIRE_BODY_MAX);
	struct wire_batch_head head = {.agent = "agent-city", .epoch = 9, .first = 2, .last = 1 + results, .sent_boot = 7};
	struct err e;

	for (unsigned i = 0; i < results; i++) {
		if (wire_packer_add(p, 2 + i, ENTRY_RESULT, payloads[i].data, payloads[i].len, &e) != 1)
			exit(1);
	}
	buf_clear(plain);
	wire_packer_finish(p, &head, plain);
	wire_packer_free(p);
	return plain->len;
}

static size_t unpack(const struct buf *body)
{
	struct buf plain = {0};
	struct wire_batch *b;
	struct result r;
	struct err e;
	uint64_t seq;
	size_t values = 0;

	if (wire_decompress(body->data, body->len, &plain, &e) < 0)
		exit(1);
	b = wire_batch_decode(plain.data, plain.len, &e);
	if (b == NULL)
		exit(1);
	for (size_t i = wire_rows_count(b->rows); i > 0; i--) {
		wire_rows_next(b->rows, &r, &seq);
		values += r.count;
	}
	wire_batch_free(b);
	buf_fini(&plain);
	return values;
}

static long option(int argc, char **argv, const char *name, long fallback)
{
	for (int i = 1; i < argc; i++) {
		if (strncmp(argv[i], name, strlen(name)) == 0)
			return strtol(argv[i] + strlen(name), NULL, 10);
	}
	return fallback;
}

int main(int argc, char **argv)
{
	unsigned results = (unsigned)option(argc, argv, "results=", 1000);
	long rounds = option(argc, argv, "rounds=", 300), packs = option(argc, argv, "packs=", 20);
	struct buf *payloads = calloc(results, sizeof *payloads), plain = {0}, body = {0};
	double encoding, packing, reading;
	size_t values = 0;

	encoding = cpu_now();
	for (unsigned i = 0; i < results; i++) {
		struct result r;
		char check[64];

		fill_result(i, check, &r);
		wire_result_encode(&r, catalog_decimals, &payloads[i]);
	}
	encoding = cpu_now() - encoding;
	packing = cpu_now();
	for (long i = 0; i < packs; i++) {
		pack(results, payloads, &plain);
		buf_clear(&body);
		wire_compress(plain.data, plain.len, &body);
	}
	packing = cpu_now() - packing;
	reading = cpu_now();
	for (long i = 0; i < rounds; i++)
		values += unpack(&body);
	reading = cpu_now() - reading;
	values /= (size_t)rounds;
	printf("{\"values\": %zu, \"bytes\": %zu, \"plain_bytes\": %zu, \"encode_ns\": %.1f, \"pack_ns\": %.1f, "
	       "\"decode_ns\": %.1f}\n",
		values, body.len, plain.len, encoding / (double)values * 1e9,
		packing / (double)packs / (double)values * 1e9, reading / (double)rounds / (double)values * 1e9);
	for (unsigned i = 0; i < results; i++)
		buf_fini(&payloads[i]);
	free(payloads);
	buf_fini(&plain);
	buf_fini(&body);
	return 0;
}
