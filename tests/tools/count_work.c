/*
 * count_work: fixed work on fixed inputs, for counting the instructions it takes (tests/system/test_instructions.py).
 *
 *   count_work FOLDER     FOLDER: for a journal
 *
 * What is counted is what happens in the functions count_*: each prints "NAME UNITS" when it has done its work. The
 * rest of the program prepares.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/series_catalogue.h"
#include "collector/series_fold.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/journal.h"
#include "lib/wire.h"
#include "probes/catalog.h"
#include "probes/catalog_icmp.h"
#include "probes/icmp_packet.h"
#include "probes/snmp_packet.h"
#include "probes/snmp_table.h"

#define START INT64_C(1700000000)
#define ROWS 1000
#define CHECKS 100
#define BATCHES 10
#define APPENDS 20000
#define PACKETS 20000
#define COLUMNS 12 /* of a table of SNMP, in so many answers of so many rows */
#define ANSWERS 20
#define ANSWER_ROWS 5
#define COUNTED static __attribute__((noipa))

/* ---- inputs */

static void fill_result(unsigned row, enum family family, char check[32], struct result *r)
{
	snprintf(check, 32, "system-portal-%u", row % CHECKS);
	*r = (struct result){.check = check, .type = "icmp", .interval_s = 60,
		.family = family, .outcome = OUTCOME_UP, .part = "",
		.address = row % 2 ? "2001:db8:1234:5678::1" : "192.0.2.77", .reason = "", .boot = 7,
		.mono = (int64_t)(row / CHECKS) * 60 * NS_PER_S + (int64_t)(row % CHECKS) * 7919 * NS_PER_US};
	for (const struct metric *m = catalog_icmp.metrics; m->number != 0; m++) {
		if (catalog_family_has(&catalog_icmp, family, m->number))
			result_add(r, m->number, (double)((row * 31 + m->number * 7) % 97700) / 1e6);
	}
}

/* A batch of ROWS results: each check of each family once a minute. */
static void make_body(unsigned batch, struct buf *body)
{
	struct wire_batch_head head = {.agent = "city", .epoch = 9, .first = 2 + batch * ROWS, .last = 1 + (batch + 1) * ROWS,
		.sent_boot = 7};
	struct wire_packer *p = wire_packer_new(WIRE_BODY_MAX);
	struct buf payload = {0};
	struct result r;
	char check[32];
	struct err e;

	for (unsigned i = 0; i < ROWS; i++) {
		unsigned row = batch * ROWS + i;

		fill_result(row, row / CHECKS % 2 ? FAMILY_V6 : FAMILY_V4, check, &r);
		buf_clear(&payload);
		wire_result_encode(&r, catalog_decimals, &payload);
		if (wire_packer_add(p, 2 + row, ENTRY_RESULT, payload.data, payload.len, &e) != 1)
			exit(1);
	}
	wire_packer_finish(p, &head, body);
	wire_packer_free(p);
	buf_fini(&payload);
}

/* ---- what is counted */

COUNTED size_t count_wire_pack(struct buf *bodies)
{
	for (unsigned i = 0; i < BATCHES; i++)
		make_body(i, &bodies[i]);
	return BATCHES * ROWS;
}

COUNTED size_t count_wire_decode(const struct buf *body)
{
	struct err e;
	struct wire_batch *b = wire_batch_decode(body->data, body->len, &e);
	size_t values = 0;
	struct result r;
	uint64_t seq;

	if (b == NULL)
		exit(1);
	for (size_t i = wire_rows_count(b->rows); i > 0; i--) {
		wire_rows_next(b->rows, &r, &seq);
		values += r.count;
	}
	wire_batch_free(b);
	return values;
}

COUNTED size_t count_journal_append(struct journal *j, const uint8_t *payload, size_t len)
{
	struct err e;

	for (size_t i = 0; i < APPENDS; i++)
		journal_append(j, ENTRY_RESULT, payload, len);
	if (journal_sync(j, &e) < 0)
		exit(1);
	return APPENDS;
}

COUNTED size_t count_series_fold(struct series_fold *f, const struct buf *entries)
{
	struct err e;

	for (uint64_t i = 0; i < BATCHES; i++) {
		struct journal_entry entry = {.kind = ENTRY_BATCH, .at = {1, i + 2}, .payload = entries[i].data,
			.len = entries[i].len};

		if (series_fold_entry(f, &entry, (struct position){1, i + 1}, false, 0, &e) < 0)
			exit(1);
	}
	return f->counts.sets;
}

COUNTED size_t count_icmp_decode(const uint8_t reply4[84], const uint8_t error6[96])
{
	struct icmp_packet packet;
	size_t known = 0;

	for (size_t i = 0; i < PACKETS; i += 2) {
		icmp_packet_decode(FAMILY_V4, true, reply4, 84, &packet);
		known += packet.kind == ICMP_PACKET_REPLY;
		icmp_packet_decode(FAMILY_V6, false, error6, 96, &packet);
		known += packet.kind == ICMP_PACKET_ERROR;
	}
	return known;
}

COUNTED size_t count_snmp_walk(const struct buf *answers, struct snmp_walk *w)
{
	const struct snmp_oid *asked[SNMP_COLUMNS_MAX];
	unsigned repetitions;
	size_t n = 0;

	for (size_t i = 0; i < ANSWERS; i++) {
		struct snmp_packet p;
		struct snmp_oid name;
		struct snmp_value v;

		snmp_walk_ask(w, asked, &repetitions);
		if (snmp_packet_decode(answers[i].data, answers[i].len, 7, &p) < 0)
			exit(1);
		for (size_t k = 0; snmp_packet_next(&p, &name, &v) > 0; k++, n++)
			snmp_walk_take(w, k, &name, &v, 0);
	}
	return n;
}

/* ---- */

static void say(const char *name, size_t units, size_t wanted)
{
	printf("%s %zu\n", name, units);
	if (units != wanted)
		exit(1);
}

static void do_journal(const char *folder)
{
	const struct journal_options options = {.segment_bytes = 64 << 20};
	uint8_t payload[80];
	struct err e;
	struct journal *j = journal_open(folder, &options, &e);

	if (j == NULL) {
		fprintf(stderr, "count_work: %s\n", e.text);
		exit(1);
	}
	for (size_t i = 0; i < sizeof payload; i++)
		payload[i] = (uint8_t)(i * 7);
	say("journal_append", count_journal_append(j, payload, sizeof payload), APPENDS);
	journal_close(j);
}

static void do_fold(const struct buf *bodies)
{
	struct series_fold f = {.catalogue = series_catalogue_new(64)};
	struct buf entries[BATCHES] = {{0}};

	for (unsigned i = 0; i < BATCHES; i++) {
		struct wire_envelope v = {.agent = "city", .offset = START * NS_PER_S, .body = bodies[i].data,
			.body_len = bodies[i].len,
			.received_real = (START + (int64_t)(i + 1) * ROWS / CHECKS * 60) * NS_PER_S};

		wire_envelope_encode(&v, &entries[i]);
	}
	say("series_fold", count_series_fold(&f, entries), BATCHES * ROWS);
	series_catalogue_free(f.catalogue);
	for (unsigned i = 0; i < BATCHES; i++)
		buf_fini(&entries[i]);
}

static void do_icmp(void)
{
	const struct icmp_packet_name name = {.nonce = 0x1122334455667788, .slot = 77, .index = 3};
	uint8_t reply4[84] = {0x45, 0, 0, 84, 0, 0, 0, 0, 63, 1, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2}, error6[96] = {1, 3};

	icmp_packet_encode(FAMILY_V4, &name, reply4 + 20);
	reply4[20] = 0; /* echo reply */
	error6[8] = 0x60;
	error6[8 + 5] = 48;
	error6[8 + 6] = 58; /* ICMPv6 */
	inet_pton(AF_INET6, "2001:db8::1", error6 + 8 + 24);
	icmp_packet_encode(FAMILY_V6, &name, error6 + 8 + 40);
	say("icmp_decode", count_icmp_decode(reply4, error6), PACKETS);
}

/* Rows from `first` on: columns of counters, in ifXTable. */
static void make_answer(uint8_t first, struct buf *out)
{
	uint8_t varbind[] = {0x30, 21, 6, 11, 0x2b, 6, 1, 2, 1, 31, 1, 1, 1, 0, 0, 0x46, 6, 0x12, 0x34, 0x56, 0x78, 0x9a, 0xbc};
	const size_t rows_len = sizeof varbind * ANSWER_ROWS * COLUMNS;
	const uint8_t head[] = {0x30, 0x82, (uint8_t)((rows_len + 28) >> 8), (uint8_t)(rows_len + 28), 2, 1, 1, 4, 6, 'p', 'u', 'b',
		'l', 'i', 'c', 0xa2, 0x82, (uint8_t)((rows_len + 13) >> 8), (uint8_t)(rows_len + 13), 2, 1, 7, 2, 1, 0, 2, 1, 0,
		0x30, 0x82, (uint8_t)(rows_len >> 8), (uint8_t)rows_len};

	buf_add(out, head, sizeof head);
	for (uint8_t row = 0; row < ANSWER_ROWS; row++) {
		for (uint8_t column = 1; column <= COLUMNS; column++) {
			varbind[13] = column;
			varbind[14] = (uint8_t)(first + row);
			buf_add(out, varbind, sizeof varbind);
		}
	}
}

static void do_snmp(void)
{
	const char *prefixes[COLUMNS] = {"1.3.6.1.2.1.31.1.1.1.1", "1.3.6.1.2.1.31.1.1.1.2", "1.3.6.1.2.1.31.1.1.1.3",
		"1.3.6.1.2.1.31.1.1.1.4", "1.3.6.1.2.1.31.1.1.1.5", "1.3.6.1.2.1.31.1.1.1.6", "1.3.6.1.2.1.31.1.1.1.7",
		"1.3.6.1.2.1.31.1.1.1.8", "1.3.6.1.2.1.31.1.1.1.9", "1.3.6.1.2.1.31.1.1.1.10", "1.3.6.1.2.1.31.1.1.1.11",
		"1.3.6.1.2.1.31.1.1.1.12"};
	struct buf answers[ANSWERS] = {{0}};
	struct snmp_table table;
	struct snmp_walk walk;

	for (size_t i = 0; i < ANSWERS; i++)
		make_answer((uint8_t)(1 + i * ANSWER_ROWS), &answers[i]);
	snmp_table_init(&table, COLUMNS);
	snmp_walk_begin(&walk, &table, prefixes, COLUMNS, SNMP_VARBINDS_MAX);
	say("snmp_walk", count_snmp_walk(answers, &walk), ANSWERS * ANSWER_ROWS * COLUMNS);
	if (table.count != ANSWERS * ANSWER_ROWS)
		exit(1);
	snmp_table_fini(&table);
	for (size_t i = 0; i < ANSWERS; i++)
		buf_fini(&answers[i]);
}

int main(int argc, char **argv)
{
	struct buf bodies[BATCHES] = {{0}};
	size_t metrics = 0; /* of a row of each family */

	if (argc != 2) {
		fputs("usage: count_work FOLDER\n", stderr);
		return 2;
	}
	for (const struct metric *m = catalog_icmp.metrics; m->number != 0; m++)
		metrics += 1 + catalog_family_has(&catalog_icmp, FAMILY_V4, m->number);
	say("wire_pack", count_wire_pack(bodies), BATCHES * ROWS);
	say("wire_decode", count_wire_decode(&bodies[0]), ROWS / 2 * metrics);
	do_journal(argv[1]);
	do_fold(bodies);
	do_icmp();
	do_snmp();
	for (unsigned i = 0; i < BATCHES; i++)
		buf_fini(&bodies[i]);
	return 0;
}
