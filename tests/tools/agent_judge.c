/*
 * agent_judge: whether a collector has all that an agent had synced, each entry once.
 *
 *   agent_judge AGENT-JOURNAL COLLECTOR-JOURNAL AGENT
 *
 * Every entry of the agent's journal must stand once in the batches of that agent, results with the same check and
 * time; nothing else may. Prints "entries N results N missing N twice N other N"; exit 0 when the last three are 0.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/journal.h"
#include "lib/mem.h"
#include "lib/sample.h"
#include "lib/wire.h"

#define SEQ_MAX 1000000

struct slot {
	unsigned count;
	int64_t mono; /* of a result, ms; 0: another kind */
	char check[SAMPLE_ID_MAX + 1];
};

static struct journal_reader *must_open(const char *folder)
{
	struct err e;
	struct journal_reader *r = journal_reader_open(folder, (struct position){0, 0}, &e);

	if (r == NULL) {
		fprintf(stderr, "agent_judge: %s\n", e.text);
		exit(2);
	}
	return r;
}

static void take_rows(struct wire_rows *rows, struct slot *slots)
{
	for (size_t i = 0; i < wire_rows_count(rows); i++) {
		struct result r;
		uint64_t seq;

		wire_rows_next(rows, &r, &seq);
		if (seq >= SEQ_MAX)
			continue;
		slots[seq].count++;
		slots[seq].mono = r.mono / 1000000;
		snprintf(slots[seq].check, sizeof slots[seq].check, "%s", r.check);
	}
}

static void read_collector(const char *folder, const char *agent, struct slot *slots)
{
	struct journal_reader *r = must_open(folder);
	struct journal_entry entry;
	struct err e;

	while (journal_read_next(r, &entry, &e) == 1) {
		struct wire_envelope *v = entry.kind == ENTRY_BATCH ? wire_envelope_decode(entry.payload, entry.len, &e) : NULL;
		struct wire_batch *b = v != NULL && strcmp(v->agent, agent) == 0 ? wire_batch_decode(v->body, v->body_len, &e)
										 : NULL;

		if (b != NULL) {
			take_rows(b->rows, slots);
			for (size_t i = 0; i < b->others_count; i++)
				slots[b->others[i].seq % SEQ_MAX].count++;
		}
		wire_batch_free(b);
		wire_envelope_free(v);
	}
	journal_reader_close(r);
}

/* True when the entry stands there as it is. */
static bool is_same(const struct journal_entry *entry, const struct slot *s)
{
	struct wire_rows *rows;
	struct result r;
	struct err e;
	uint64_t seq;
	bool same;

	if (entry->kind != ENTRY_RESULT)
		return s->check[0] == '\0';
	rows = wire_result_decode(entry->payload, entry->len, &e);
	if (rows == NULL)
		return false;
	wire_rows_next(rows, &r, &seq);
	same = strcmp(r.check, s->check) == 0 && r.mono / 1000000 == s->mono;
	wire_rows_free(rows);
	return same;
}

int main(int argc, char **argv)
{
	uint64_t entries = 0, results = 0, missing = 0, twice = 0, other = 0;
	struct journal_reader *r;
	struct journal_entry entry;
	struct slot *slots;
	struct err e;

	if (argc != 4) {
		fputs("usage: agent_judge AGENT-JOURNAL COLLECTOR-JOURNAL AGENT\n", stderr);
		return 2;
	}
	slots = mem_array(SEQ_MAX, sizeof *slots);
	read_collector(argv[2], argv[3], slots);
	r = must_open(argv[1]);
	while (journal_read_next(r, &entry, &e) == 1 && entry.at.seq < SEQ_MAX) {
		struct slot *s = &slots[entry.at.seq];

		entries++;
		results += entry.kind == ENTRY_RESULT;
		missing += s->count == 0;
		twice += s->count > 1;
		other += s->count > 0 && !is_same(&entry, s);
		s->count = 0;
	}
	for (size_t i = 0; i < SEQ_MAX; i++)
		other += slots[i].count > 0;
	journal_reader_close(r);
	free(slots);
	printf("entries %" PRIu64 " results %" PRIu64 " missing %" PRIu64 " twice %" PRIu64 " other %" PRIu64 "\n", entries,
		results, missing, twice, other);
	return missing + twice + other > 0;
}
