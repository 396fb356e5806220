/*
 * journal_dump: the entries of a journal as lines of text, for comparisons.
 *
 * usage: journal_dump FOLDER [rows]
 *   SEQ open|gap|tick|...            SEQ note AGENT WORD "TEXT"
 *   SEQ batch AGENT EPOCH FIRST LAST rows=N refused=N skew=S time=known|unknown crc=BODY
 *   SEQ now   AGENT EPOCH ...
 *     row SEQ CHECK FAMILY OUTCOME TIME AGE      with rows: TIME in s UTC or "unknown", AGE in s at receipt
 * Exit status: 0, or 1 when it could not be read.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/crc32c.h"
#include "lib/err.h"
#include "lib/journal.h"
#include "lib/sample.h"
#include "lib/wire.h"
#include "wire.pb-c.h"

static const char *kind_name(uint8_t kind)
{
	switch (kind) {
	case ENTRY_OPEN:
		return "open";
	case ENTRY_GAP:
		return "gap";
	case ENTRY_TICK:
		return "tick";
	case ENTRY_BATCH:
		return "batch";
	case ENTRY_NOW:
		return "now";
	case ENTRY_NOTE:
		return "note";
	default:
		return "other";
	}
}

static void dump_rows(const struct wire_envelope *v, struct wire_batch *b)
{
	for (size_t i = 0; i < wire_rows_count(b->rows); i++) {
		struct result r;
		uint64_t seq;
		int64_t real;

		wire_rows_next(b->rows, &r, &seq);
		printf("  row %" PRIu64 " %s %d %s", seq, r.check, (int)r.family, outcome_name(r.outcome));
		if (wire_envelope_time(v, r.mono, &real))
			printf(" %.3f %.3f\n", (double)real / 1e9, (double)(v->received_real - real) / 1e9);
		else
			puts(" unknown -");
	}
}

static int dump_message(const struct journal_entry *entry, bool rows)
{
	struct err e;
	struct wire_envelope *v = wire_envelope_decode(entry->payload, entry->len, &e);
	struct wire_batch *b = NULL;

	if (v != NULL && entry->kind == ENTRY_NOW)
		b = wire_now_decode(v->body, v->body_len, &e);
	else if (v != NULL)
		b = wire_batch_decode(v->body, v->body_len, &e);
	if (b == NULL) {
		fprintf(stderr, "entry %" PRIu64 ": %s\n", entry->at.seq, e.text);
		wire_envelope_free(v);
		return -1;
	}
	printf("%" PRIu64 " %s %s %016" PRIx64 " %" PRIu64 " %" PRIu64 " rows=%zu refused=%zu skew=%.1f time=%s crc=%08" PRIx32
	       "\n", entry->at.seq, kind_name(entry->kind), v->agent, b->head.epoch, b->head.first, b->head.last,
		wire_rows_count(b->rows), v->refused_count, (double)v->skew / 1e9, v->time_unknown ? "unknown" : "known",
		crc32c(0, v->body, v->body_len));
	if (rows)
		dump_rows(v, b);
	wire_batch_free(b);
	wire_envelope_free(v);
	return 0;
}

static void dump_note(const struct journal_entry *entry)
{
	Xunjian__Wire__Note *n = xunjian__wire__note__unpack(NULL, entry->len, entry->payload);

	if (n != NULL)
		printf("%" PRIu64 " note %s %s \"%s\"\n", entry->at.seq, n->agent, n->word, n->text);
	xunjian__wire__note__free_unpacked(n, NULL);
}

int main(int argc, char **argv)
{
	struct journal_reader *r = NULL;
	struct journal_entry entry;
	struct err e;
	int status = -1, bad = 0;

	if (argc < 2) {
		fputs("usage: journal_dump FOLDER [rows]\n", stderr);
		return 2;
	}
	r = journal_reader_open(argv[1], (struct position){0, 0}, &e);
	while (r != NULL && (status = journal_read_next(r, &entry, &e)) == 1) {
		if (entry.kind == ENTRY_BATCH || entry.kind == ENTRY_NOW)
			bad |= dump_message(&entry, argc > 2);
		else if (entry.kind == ENTRY_NOTE)
			dump_note(&entry);
		else
			printf("%" PRIu64 " %s\n", entry.at.seq, kind_name(entry.kind));
	}
	if (status < 0)
		fprintf(stderr, "%s\n", e.text);
	journal_reader_close(r);
	return status < 0 || bad != 0;
}
