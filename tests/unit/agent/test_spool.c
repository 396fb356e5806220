#include "agent/spool.h"

#include <ftw.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/err.h"
#include "lib/mem.h"
#include "lib/sample.h"
#include "lib/wire.h"

struct fixture {
	char folder[32];
	struct journal *journal;
	struct spool *spool;
};

static int setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof *f);
	struct journal_options options = {.segment_bytes = 1 << 20};
	struct err e;

	strcpy(f->folder, "/tmp/xj-spool-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	f->journal = journal_open(f->folder, &options, &e);
	assert_non_null(f->journal);
	f->spool = spool_new(f->journal);
	*state = f;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
	(void)st, (void)flag, (void)ftw;
	return remove(path);
}

/* A disk that takes nothing more: no file may grow. */
static void disk_is_full(bool full)
{
	struct rlimit limit;

	getrlimit(RLIMIT_FSIZE, &limit);
	limit.rlim_cur = full ? 0 : limit.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	disk_is_full(false);
	spool_free(f->spool);
	journal_close(f->journal);
	nftw(f->folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(f);
	return 0;
}

/* Result number n says so in its time. */
static struct position add(struct fixture *f, int64_t n)
{
	struct result r = {.check = "c", .type = "tcp", .interval_s = 60, .family = FAMILY_V4,
		.outcome = OUTCOME_DOWN, .part = "", .address = "192.0.2.1", .boot = 7, .mono = n * 1000000,
		.reason = "a reason that is long enough that not too many results are needed to fill what room "
			"there is for those that wait in memory until the disk takes them: four megabytes"};

	return spool_add(f->spool, &r);
}

struct found {
	uint64_t results, lost, lost_entries, opens, gaps;
	int64_t first_lost, last_lost, last; /* by number */
	bool in_order;
};

static void take_entry(struct found *found, const struct journal_entry *entry)
{
	struct wire_lost lost;
	struct wire_rows *rows;
	struct result r;
	uint64_t seq;
	struct err e;

	if (entry->kind == ENTRY_LOST) {
		assert_int_equal(wire_lost_decode(entry->payload, entry->len, &lost, &e), 0);
		found->lost += lost.count;
		found->lost_entries++;
		found->first_lost = lost.from_mono / 1000000;
		found->last_lost = lost.to_mono / 1000000;
		return;
	}
	found->opens += entry->kind == ENTRY_OPEN;
	found->gaps += entry->kind == ENTRY_GAP;
	if (entry->kind != ENTRY_RESULT)
		return;
	rows = wire_result_decode(entry->payload, entry->len, &e);
	assert_non_null(rows);
	wire_rows_next(rows, &r, &seq);
	found->in_order = found->in_order && r.mono / 1000000 > found->last;
	found->last = r.mono / 1000000;
	found->results++;
	wire_rows_free(rows);
}

/* What a reader finds in the journal. */
static struct found read_all(struct fixture *f)
{
	struct found found = {.in_order = true, .last = -1};
	struct journal_entry entry;
	struct err e;
	struct journal_reader *r = journal_reader_open(f->folder, (struct position){0, 0}, &e);

	assert_non_null(r);
	journal_reader_limit(r, journal_synced(f->journal));
	while (journal_read_next(r, &entry, &e) == 1)
		take_entry(&found, &entry);
	journal_reader_close(r);
	return found;
}

static void a_result_gets_a_place_and_is_on_disk_after_the_sync(void **state)
{
	struct fixture *f = *state;
	struct position at;
	struct err e;

	assert_false(spool_has_more(f->spool));
	at = add(f, 1);
	assert_true(spool_has_more(f->spool));
	assert_int_equal(at.seq, journal_end(f->journal).seq);
	assert_int_equal(read_all(f).results, 0);
	assert_int_equal(spool_sync(f->spool, &e), 0);
	assert_false(spool_has_more(f->spool));
	assert_int_equal(read_all(f).results, 1);
}

static void what_a_full_disk_does_not_take_is_there_when_it_does_again(void **state)
{
	struct fixture *f = *state;
	struct found found;
	struct err e;

	disk_is_full(true);
	for (int64_t i = 0; i < 1000; i++)
		add(f, i);
	assert_int_equal(spool_sync(f->spool, &e), -1);
	assert_true(spool_has_more(f->spool));
	disk_is_full(false);
	assert_int_equal(spool_sync(f->spool, &e), 0);
	found = read_all(f);
	assert_int_equal(found.results, 1000);
	assert_true(found.in_order);
	assert_int_equal(found.lost_entries, 0);
	assert_int_equal(found.gaps, 0);
}

static void what_does_not_fit_into_memory_is_told_when_the_disk_takes_it(void **state)
{
	struct fixture *f = *state;
	struct spool_stats stats;
	struct found found;
	int64_t n = 0;
	struct err e;

	disk_is_full(true);
	do {
		for (int i = 0; i < 1000; i++)
			add(f, n++);
		assert_int_equal(spool_sync(f->spool, &e), -1);
		spool_stats(f->spool, &stats);
		assert_true(stats.waiting_bytes <= SPOOL_WAITING_MAX);
		assert_true(journal_unsynced_bytes(f->journal) < SPOOL_JOURNAL_MAX + 4096);
	} while (stats.lost < 5000);
	disk_is_full(false);
	assert_int_equal(spool_sync(f->spool, &e), 0);
	found = read_all(f);
	assert_int_equal(found.results + found.lost, n);
	assert_int_equal(found.lost, stats.lost);
	assert_int_equal(found.lost_entries, 1);
	assert_int_equal(found.last_lost - found.first_lost + 1, stats.lost); /* exactly those in between */
	assert_true(found.in_order);
	assert_int_equal(found.last, n - 1);
	spool_stats(f->spool, &stats);
	assert_int_equal(stats.waiting, 0);
	assert_int_equal(stats.waiting_bytes, 0);
	/* And all is as before. */
	assert_int_not_equal(add(f, n).seq, 0);
	assert_int_equal(spool_sync(f->spool, &e), 0);
	assert_int_equal(read_all(f).results + found.lost, n + 1);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(a_result_gets_a_place_and_is_on_disk_after_the_sync),
		CASE(what_a_full_disk_does_not_take_is_there_when_it_does_again),
		CASE(what_does_not_fit_into_memory_is_told_when_the_disk_takes_it),
	};

	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
