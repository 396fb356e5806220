/*
 * journal_load: a journal under load, and a judge of what is in one. The subject of the fault tests.
 *
 *   journal_load write FOLDER [key=value ...]   appends and syncs; what may be acknowledged goes to standard output
 *       run=N count=N per_sync=N payload=BYTES segment=BYTES    what is written
 *       lag=N      cursor N entries behind, trimmed at each sync    max_bytes=N  bounded at each sync
 *       give_way=1 after a failure all that is synced may be trimmed
 *       retry_ms=N a failed sync, trim or bound is called again for so long (10 s)
 *       early=1    the mutant: acknowledges before it syncs
 *   journal_load check FOLDER    opens it for writing, syncs, and prints all entries and what was counted
 *   journal_load read FOLDER     prints all entries, as a reader in another process
 *   journal_load bench FOLDER    figures of append, sync, read and opening
 *
 * Lines of write: "ack RUN FROM TO EPOCH", "failed WORDS". Of check and read: "e SEQ KIND RUN EPOCH" (RUN of the payload, or
 * "bad"), "g FROM TO EPOCH"; check ends with "stats DAMAGED TORN_BYTES DROPPED SYNCED". Exit 0, 1 with words.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/journal.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/sample.h"

struct load {
	const char *folder;
	int64_t run, count, per_sync, payload, segment, lag, max_bytes, give_way, retry_ms, early;
	struct journal *j;
};

static int take_option(struct load *l, const char *text)
{
	const struct {
		const char *key;
		int64_t *value;
	} options[] = {{"run", &l->run}, {"count", &l->count}, {"per_sync", &l->per_sync}, {"payload", &l->payload},
		{"segment", &l->segment}, {"lag", &l->lag}, {"max_bytes", &l->max_bytes}, {"give_way", &l->give_way},
		{"retry_ms", &l->retry_ms}, {"early", &l->early}};

	for (size_t i = 0; i < sizeof options / sizeof *options; i++) {
		size_t n = strlen(options[i].key);

		if (strncmp(text, options[i].key, n) == 0 && text[n] == '=') {
			*options[i].value = strtoll(text + n + 1, NULL, 10);
			return 0;
		}
	}
	fprintf(stderr, "journal_load: unknown option %s\n", text);
	return -1;
}

static bool is_kept(uint8_t kind)
{
	return kind == ENTRY_REQUEST || kind == ENTRY_OPEN;
}

static int fail(const struct err *e)
{
	fprintf(stderr, "journal_load: %s\n", e->text);
	return 1;
}

/* One write for each line: what was said is said when the process is killed. */
static void say(const char *text)
{
	if (write(STDOUT_FILENO, text, strlen(text)) < 0)
		exit(1);
}

/* ---- write */

static uint64_t begin_payload(const struct load *l, uint8_t *payload, uint64_t seq)
{
	memcpy(payload, &l->run, 8);
	memcpy(payload + 8, &seq, 8);
	for (int64_t i = 16; i < l->payload; i++)
		payload[i] = (uint8_t)(seq * 31 + (uint64_t)i);
	return seq;
}

static bool is_payload(const struct journal_entry *en, uint64_t *run)
{
	uint64_t seq;

	if (en->len < 16)
		return false;
	memcpy(run, en->payload, 8);
	memcpy(&seq, en->payload + 8, 8);
	for (size_t i = 16; i < en->len; i++)
		if (en->payload[i] != (uint8_t)(en->at.seq * 31 + i))
			return false;
	return seq == en->at.seq;
}

static void acknowledge(const struct load *l, uint64_t from, uint64_t to)
{
	char line[120];

	snprintf(line, sizeof line, "ack %" PRId64 " %" PRIu64 " %" PRIu64 " %016" PRIx64 "\n", l->run, from, to,
		journal_synced(l->j).epoch);
	say(line);
}

static int keep_house(const struct load *l, struct err *e)
{
	struct position at = journal_synced(l->j);

	if (l->lag > 0) {
		at.seq = at.seq > (uint64_t)l->lag ? at.seq - (uint64_t)l->lag : 1;
		journal_cursor_set(l->j, "test", at);
		if (journal_trim(l->j, e) < 0)
			return -1;
	}
	return l->max_bytes > 0 ? journal_bound(l->j, clock_real(), e) : 0;
}

static int again_and_again(const struct load *l, int (*work)(const struct load *, struct err *), struct err *e)
{
	int64_t end = clock_mono() + l->retry_ms * NS_PER_MS;

	while (work(l, e) < 0) {
		char line[600];

		snprintf(line, sizeof line, "failed %s\n", e->text);
		say(line);
		if (clock_mono() > end)
			return -1;
		nanosleep(&(struct timespec){0, 20 * NS_PER_MS}, NULL);
		if (l->give_way != 0) {
			journal_cursor_set(l->j, "test", journal_synced(l->j));
			journal_trim(l->j, &(struct err){""});
		}
	}
	return 0;
}

static int sync_all(const struct load *l, struct err *e)
{
	return journal_sync(l->j, e);
}

static int write_entries(struct load *l)
{
	const struct journal_options options = {.segment_bytes = l->segment, .max_bytes = l->max_bytes,
		.is_kept = is_kept};
	uint8_t *payload = mem_alloc((size_t)l->payload);
	struct err e;

	l->j = journal_open(l->folder, &options, &e);
	if (l->j == NULL)
		return fail(&e);
	say("open\n");
	for (int64_t done = 0; done < l->count;) {
		uint64_t from = journal_synced(l->j).seq + 1;

		for (int64_t i = 0; i < l->per_sync && done < l->count; i++, done++) {
			uint64_t seq = begin_payload(l, payload, journal_end(l->j).seq + 1);

			journal_append(l->j, seq % 10 == 0 ? ENTRY_REQUEST : ENTRY_RESULT, payload, (size_t)l->payload);
		}
		if (l->early != 0)
			acknowledge(l, from, journal_end(l->j).seq);
		if (again_and_again(l, sync_all, &e) < 0)
			return fail(&e);
		if (l->early == 0)
			acknowledge(l, from, journal_synced(l->j).seq);
		if (again_and_again(l, keep_house, &e) < 0)
			return fail(&e);
	}
	journal_close(l->j);
	say("closed\n");
	free(payload);
	return 0;
}

/* ---- check, read */

static int print_entries(const struct load *l, const struct position *limit)
{
	struct journal_entry en;
	struct err e;
	struct journal_reader *r = journal_reader_open(l->folder, (struct position){0, 0}, &e);
	int n = -1;

	if (r == NULL)
		return fail(&e);
	if (limit != NULL)
		journal_reader_limit(r, *limit);
	while ((n = journal_read_next(r, &en, &e)) == 1) {
		struct journal_gap g;
		uint64_t run = 0;

		if (en.kind == ENTRY_GAP && journal_gap_decode(en.payload, en.len, &g) == 0)
			printf("g %" PRIu64 " %" PRIu64 " %016" PRIx64 "\n", g.from, g.to, en.at.epoch);
		else if (en.kind == ENTRY_OPEN || is_payload(&en, &run))
			printf("e %" PRIu64 " %u %" PRIu64 " %016" PRIx64 "\n", en.at.seq, en.kind, run, en.at.epoch);
		else
			printf("e %" PRIu64 " %u bad %016" PRIx64 "\n", en.at.seq, en.kind, en.at.epoch);
	}
	journal_reader_close(r);
	return n < 0 ? fail(&e) : 0;
}

static int check(struct load *l)
{
	const struct journal_options options = {.segment_bytes = l->segment};
	struct journal_stats s;
	struct position synced;
	struct err e;
	int rc;

	l->j = journal_open(l->folder, &options, &e);
	if (l->j == NULL)
		return fail(&e);
	journal_stats(l->j, &s);
	if (journal_sync(l->j, &e) < 0)
		return fail(&e);
	synced = journal_synced(l->j);
	rc = print_entries(l, &synced);
	printf("stats %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", s.damaged, s.torn_bytes, s.dropped, synced.seq);
	journal_close(l->j);
	return rc;
}

/* ---- bench */

static double per(int64_t since, double count)
{
	return (double)(clock_mono() - since) / count;
}

static void bench_append(struct load *l)
{
	uint8_t payload[80] = {1};
	int64_t total = 0;
	struct err e;
	int rounds = 200, each = 5000;

	for (int round = 0; round < rounds; round++) {
		int64_t since = clock_mono();

		for (int i = 0; i < each; i++)
			journal_append(l->j, ENTRY_RESULT, payload, sizeof payload);
		total += clock_mono() - since;
		if (journal_sync(l->j, &e) < 0)
			exit(fail(&e));
	}
	printf("append_ns %.1f\n", (double)total / rounds / each);
}

static int by_value(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void bench_sync(struct load *l)
{
	uint8_t payload[4096] = {1};
	int64_t times[2000];
	struct err e;

	for (size_t i = 0; i < 2000; i++) {
		int64_t since = clock_mono();

		journal_append(l->j, ENTRY_RESULT, payload, sizeof payload);
		if (journal_sync(l->j, &e) < 0)
			exit(fail(&e));
		times[i] = clock_mono() - since;
	}
	qsort(times, 2000, sizeof *times, by_value);
	printf("sync_4k_us p50 %.0f p99 %.0f\n", (double)times[1000] / 1e3, (double)times[1980] / 1e3);
}

static void bench_read(const struct load *l, const char *what)
{
	struct journal_entry en;
	struct err e;
	int64_t since = clock_mono();
	struct journal_reader *r = journal_reader_open(l->folder, (struct position){0, 0}, &e);
	double bytes = 0, entries = 0;

	while (r != NULL && journal_read_next(r, &en, &e) == 1) {
		bytes += (double)en.len + 24;
		entries++;
	}
	printf("read_%s ns_per_entry %.1f MB_per_s %.0f\n", what, per(since, entries), bytes * 1e3 / per(since, 1));
	journal_reader_close(r);
}

static struct journal *must_open(const struct load *l, const char *what)
{
	const struct journal_options options = {.segment_bytes = l->segment};
	struct err e;
	int64_t since = clock_mono();
	struct journal *j = journal_open(l->folder, &options, &e);
	struct journal_stats s;

	if (j == NULL)
		exit(fail(&e));
	journal_stats(j, &s);
	if (what != NULL)
		printf("open_%s ms %.2f bytes %" PRIu64 " segments %" PRIu64 "\n", what, per(since, 1e6), s.bytes,
			s.segments);
	return j;
}

static void fill(struct load *l, size_t size, int64_t bytes)
{
	uint8_t *payload = mem_alloc(size);
	struct journal_stats s;
	struct err e;

	l->j = must_open(l, NULL);
	do {
		for (size_t sum = 0; sum < 1 << 20; sum += size)
			journal_append(l->j, ENTRY_RESULT, payload, size);
		if (journal_sync(l->j, &e) < 0)
			exit(fail(&e));
		journal_stats(l->j, &s);
	} while ((int64_t)s.bytes < bytes);
	journal_close(l->j);
	free(payload);
}

static int bench(struct load *l)
{
	l->j = must_open(l, NULL);
	bench_append(l);
	journal_close(l->j);
	bench_read(l, "80B");
	l->j = must_open(l, NULL);
	bench_sync(l);
	journal_close(l->j);
	fill(l, 65536, l->count << 20);
	bench_read(l, "mixed");
	bench_read(l, "mixed_warm");
	l->j = must_open(l, "big");
	journal_close(l->j);
	return 0;
}

int main(int argc, char **argv)
{
	struct load l = {.run = 1, .count = 100, .per_sync = 10, .payload = 80, .segment = 1 << 23, .retry_ms = 10000};

	if (argc < 3)
		return 2;
	log_open("journal_load", LOG_LEVEL_WARN);
	l.folder = argv[2];
	for (int i = 3; i < argc; i++)
		if (take_option(&l, argv[i]) < 0)
			return 2;
	if (strcmp(argv[1], "write") == 0)
		return write_entries(&l);
	if (strcmp(argv[1], "check") == 0)
		return check(&l);
	if (strcmp(argv[1], "read") == 0)
		return print_entries(&l, NULL);
	return strcmp(argv[1], "bench") == 0 ? bench(&l) : 2;
}
