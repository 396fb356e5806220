#include "lib/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/sample.h"

static const struct journal_options small = {.segment_bytes = 1024};

/* ---- a folder of its own for each test */

static void remove_folder(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;

	if (dir == NULL)
		return;
	while ((entry = readdir(dir)) != NULL) {
		char inner[600];

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		snprintf(inner, sizeof inner, "%s/%s", path, entry->d_name);
		if (unlink(inner) != 0)
			remove_folder(inner);
	}
	closedir(dir);
	rmdir(path);
}

static int set_up(void **state)
{
	char *path = mem_strdup("/tmp/test-journal-XXXXXX");

	log_level_set(LOG_LEVEL_ERROR);
	*state = path;
	return mkdtemp(path) == NULL;
}

static int tear_down(void **state)
{
	remove_folder(*state);
	free(*state);
	return 0;
}

static struct journal *must_open(const char *path, const struct journal_options *options)
{
	struct err e;
	struct journal *j = journal_open(path, options, &e);

	if (j == NULL)
		fail_msg("%s", e.text);
	return j;
}

static void must_sync(struct journal *j)
{
	struct err e;

	if (journal_sync(j, &e) < 0)
		fail_msg("%s", e.text);
}

static void append_text(struct journal *j, const char *text)
{
	journal_append(j, ENTRY_RESULT, text, strlen(text));
}

static struct journal_reader *must_read(const char *path, struct position after)
{
	struct err e;
	struct journal_reader *r = journal_reader_open(path, after, &e);

	if (r == NULL)
		fail_msg("%s", e.text);
	return r;
}

/* The next entry that is not an opening: 1, 0. */
static int next_entry(struct journal_reader *r, struct journal_entry *out)
{
	struct err e;
	int status;

	do
		status = journal_read_next(r, out, &e);
	while (status == 1 && out->kind == ENTRY_OPEN);
	if (status < 0)
		fail_msg("%s", e.text);
	return status;
}

static void expect_text(struct journal_reader *r, const char *text)
{
	struct journal_entry entry;

	assert_int_equal(next_entry(r, &entry), 1);
	assert_int_equal(entry.kind, ENTRY_RESULT);
	assert_int_equal(entry.len, strlen(text));
	assert_memory_equal(entry.payload, text, entry.len);
}

static void expect_gap(struct journal_reader *r, uint64_t from, uint64_t to)
{
	struct journal_entry entry;
	struct journal_gap gap;

	assert_int_equal(next_entry(r, &entry), 1);
	assert_int_equal(entry.kind, ENTRY_GAP);
	assert_int_equal(journal_gap_decode(entry.payload, entry.len, &gap), 0);
	assert_int_equal(gap.from, from);
	assert_int_equal(gap.to, to);
	assert_int_equal(entry.at.seq, to);
}

static void expect_end(struct journal_reader *r)
{
	struct journal_entry entry;

	assert_int_equal(next_entry(r, &entry), 0);
}

static size_t count_segments(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	size_t n = 0;

	while ((entry = readdir(dir)) != NULL)
		n += strstr(entry->d_name, ".seg") != NULL;
	closedir(dir);
	return n;
}

/* The oldest or newest segment file. */
static void segment_path(const char *path, bool newest, char out[600])
{
	struct dirent **names;
	int n = scandir(path, &names, NULL, alphasort), pick = -1;

	for (int i = 0; i < n; i++) {
		if (strstr(names[i]->d_name, ".seg") != NULL && (newest || pick < 0))
			pick = i;
	}
	assert_true(pick >= 0);
	snprintf(out, 600, "%s/%s", path, names[pick]->d_name);
	for (int i = 0; i < n; i++)
		free(names[i]);
	free(names);
}

/* ---- life */

static void what_was_synced_is_read_back_in_order(void **state)
{
	struct journal *j = must_open(*state, &small);
	struct journal_reader *r;
	char text[32];

	for (int i = 0; i < 200; i++) {
		snprintf(text, sizeof text, "entry %d", i);
		append_text(j, text);
		if (i % 7 == 0)
			must_sync(j);
	}
	must_sync(j);
	assert_int_equal(journal_synced(j).seq, 201);
	r = must_read(*state, (struct position){0, 0});
	for (int i = 0; i < 200; i++) {
		snprintf(text, sizeof text, "entry %d", i);
		expect_text(r, text);
	}
	expect_end(r);
	append_text(j, "more");
	expect_end(r);
	must_sync(j);
	expect_text(r, "more");
	journal_reader_close(r);
	journal_close(j);
	assert_true(count_segments(*state) > 3);
}

static void each_opening_is_an_epoch_that_names_the_one_before(void **state)
{
	struct journal *j = must_open(*state, &small);
	struct position first, second;
	struct journal_reader *r;
	struct journal_entry entry;
	struct journal_open_note note;
	struct err e;

	append_text(j, "a");
	must_sync(j);
	first = journal_synced(j);
	journal_close(j);
	j = must_open(*state, &small);
	append_text(j, "b");
	must_sync(j);
	second = journal_synced(j);
	assert_true(first.epoch != second.epoch);
	assert_int_equal(second.seq, first.seq + 2);
	r = must_read(*state, first);
	assert_int_equal(journal_read_next(r, &entry, &e), 1);
	assert_int_equal(entry.kind, ENTRY_OPEN);
	assert_int_equal(journal_open_note_decode(entry.payload, entry.len, &note), 0);
	assert_true(note.previous.epoch == first.epoch);
	assert_int_equal(note.previous.seq, first.seq);
	expect_text(r, "b");
	journal_reader_close(r);
	journal_close(j);
}

static void a_second_writer_is_refused_by_name(void **state)
{
	struct journal *j = must_open(*state, &small);
	struct err e;
	char words[64];

	assert_null(journal_open(*state, &small, &e));
	snprintf(words, sizeof words, "in use by process %ld", (long)getpid());
	assert_non_null(strstr(e.text, words));
	journal_close(j);
	journal_close(must_open(*state, &small));
}

static void a_reader_sees_nothing_behind_its_limit(void **state)
{
	struct journal *j = must_open(*state, &small);
	struct journal_reader *r = must_read(*state, (struct position){0, 0});

	append_text(j, "a");
	must_sync(j);
	journal_reader_limit(r, journal_synced(j));
	append_text(j, "b");
	must_sync(j);
	expect_text(r, "a");
	expect_end(r);
	journal_reader_limit(r, journal_synced(j));
	expect_text(r, "b");
	expect_end(r);
	journal_reader_close(r);
	journal_close(j);
}

static void a_position_of_another_journal_is_told(void **state)
{
	struct journal *j = must_open(*state, &small);
	struct position at;
	struct err e;

	append_text(j, "a");
	must_sync(j);
	at = journal_synced(j);
	at.epoch++;
	assert_null(journal_reader_open(*state, at, &e));
	assert_non_null(strstr(e.text, "is not in this journal"));
	journal_close(j);
}

static void cursors_survive_a_close(void **state)
{
	struct journal *j = must_open(*state, &small);
	struct position at;

	append_text(j, "a");
	must_sync(j);
	journal_cursor_set(j, "uplink", journal_synced(j));
	journal_cursor_set(j, "other", (struct position){1, 2});
	journal_cursor_drop(j, "other");
	journal_close(j);
	j = must_open(*state, &small);
	assert_true(journal_cursor_get(j, "uplink", &at));
	assert_int_equal(at.seq, 2);
	assert_false(journal_cursor_get(j, "other", &at));
	journal_close(j);
}

/* ---- trimming and bounds */

static void append_many(struct journal *j, unsigned count, uint8_t (*kind)(unsigned))
{
	char text[100];

	for (unsigned i = 0; i < count; i++) {
		memset(text, 'x', sizeof text);
		journal_append(j, kind(i), text, sizeof text);
		must_sync(j);
	}
}

static uint8_t all_results(unsigned i)
{
	(void)i;
	return ENTRY_RESULT;
}

static uint8_t some_findings(unsigned i)
{
	return i % 10 == 3 ? ENTRY_FINDING : ENTRY_RESULT;
}

static bool is_finding(uint8_t kind)
{
	return kind == ENTRY_FINDING;
}

static void trimming_waits_for_the_slowest_cursor(void **state)
{
	struct journal *j = must_open(*state, &small);
	struct journal_reader *r;
	struct journal_entry entry;
	struct err e;
	size_t before;

	append_many(j, 60, all_results);
	before = count_segments(*state);
	journal_cursor_set(j, "fast", journal_synced(j));
	journal_cursor_set(j, "slow", (struct position){journal_synced(j).epoch, 1});
	assert_int_equal(journal_trim(j, &e), 0);
	assert_int_equal(count_segments(*state), before);
	journal_cursor_set(j, "slow", (struct position){journal_synced(j).epoch, 30});
	assert_int_equal(journal_trim(j, &e), 0);
	assert_true(count_segments(*state) < before);
	r = must_read(*state, (struct position){journal_synced(j).epoch, 30});
	assert_int_equal(next_entry(r, &entry), 1);
	assert_int_equal(entry.at.seq, 31);
	journal_reader_close(r);
	journal_close(j);
}

static void a_reader_left_behind_by_trimming_gets_a_gap(void **state)
{
	struct journal *j = must_open(*state, &small);
	struct journal_reader *r = must_read(*state, (struct position){journal_synced(j).epoch, 0});
	struct journal_entry entry;
	struct journal_gap gap;
	struct err e;
	uint64_t next;

	append_many(j, 60, all_results);
	assert_int_equal(next_entry(r, &entry), 1);
	next = entry.at.seq + 1;
	journal_cursor_set(j, "c", journal_synced(j));
	assert_int_equal(journal_trim(j, &e), 0);
	/* What is open stays readable; then the hole is told, and nothing else is missing. */
	for (bool told = false; next_entry(r, &entry) == 1; next = entry.at.seq + 1) {
		if (entry.kind != ENTRY_GAP) {
			assert_int_equal(entry.at.seq, next);
			continue;
		}
		assert_false(told);
		told = true;
		assert_int_equal(journal_gap_decode(entry.payload, entry.len, &gap), 0);
		assert_int_equal(gap.from, next);
	}
	assert_int_equal(next, journal_synced(j).seq + 1);
	journal_reader_close(r);
	journal_close(j);
}

static void an_overflow_drops_the_oldest_and_says_so(void **state)
{
	const struct journal_options options = {.segment_bytes = 1024, .max_bytes = 4096};
	struct journal *j = must_open(*state, &options);
	struct journal_stats stats;
	struct journal_reader *r;
	struct journal_entry entry;
	struct err e;

	append_many(j, 100, all_results);
	assert_int_equal(journal_bound(j, clock_real(), &e), 0);
	journal_stats(j, &stats);
	assert_true(stats.bytes <= 4096);
	assert_true(stats.dropped > 50);
	r = must_read(*state, (struct position){journal_synced(j).epoch, 1});
	assert_int_equal(next_entry(r, &entry), 1);
	assert_int_equal(entry.kind, ENTRY_GAP);
	assert_int_equal(entry.at.seq, stats.dropped);
	journal_reader_close(r);
	journal_close(j);
}

static void kept_kinds_outlive_an_overflow_and_gaps_say_what_went(void **state)
{
	const struct journal_options options = {.segment_bytes = 1024, .max_bytes = 6000, .is_kept = is_finding};
	struct journal *j = must_open(*state, &options);
	struct journal_reader *r;
	struct journal_entry entry;
	uint64_t next = 1;
	unsigned findings = 0;
	struct err e;

	append_many(j, 100, some_findings);
	assert_int_equal(journal_bound(j, clock_real(), &e), 0);
	journal_close(j);
	j = must_open(*state, &options);
	must_sync(j);
	r = must_read(*state, (struct position){0, 0});
	while (journal_read_next(r, &entry, &e) == 1) {
		struct journal_gap gap;

		if (entry.kind == ENTRY_GAP) {
			assert_int_equal(journal_gap_decode(entry.payload, entry.len, &gap), 0);
			assert_int_equal(gap.from, next);
		} else {
			assert_int_equal(entry.at.seq, next);
		}
		findings += entry.kind == ENTRY_FINDING;
		next = entry.at.seq + 1;
	}
	assert_int_equal(findings, 10);
	assert_int_equal(next, journal_synced(j).seq + 1);
	journal_reader_close(r);
	journal_close(j);
}

static void old_segments_go_by_age(void **state)
{
	const struct journal_options options = {.segment_bytes = 1024, .max_age = 3600 * NS_PER_S};
	struct journal *j = must_open(*state, &options);
	struct err e;

	append_many(j, 60, all_results);
	assert_int_equal(journal_bound(j, clock_real(), &e), 0);
	assert_true(count_segments(*state) > 3);
	assert_int_equal(journal_bound(j, clock_real() + 2 * 3600 * NS_PER_S, &e), 0);
	assert_int_equal(count_segments(*state), 1);
	journal_close(j);
}

/* ---- faults */

static void a_torn_tail_is_cut_and_what_was_whole_stays(void **state)
{
	struct journal *j = must_open(*state, &small);
	struct journal_reader *r;
	struct journal_stats stats;
	char segment[600];
	struct stat st;

	append_text(j, "whole");
	append_text(j, "torn");
	must_sync(j);
	journal_close(j);
	segment_path(*state, true, segment);
	assert_int_equal(stat(segment, &st), 0);
	assert_int_equal(truncate(segment, st.st_size - 2), 0);
	j = must_open(*state, &small);
	journal_stats(j, &stats);
	assert_int_equal(stats.torn_bytes, 26);
	append_text(j, "new");
	must_sync(j);
	r = must_read(*state, (struct position){0, 0});
	expect_text(r, "whole");
	/* Its seq was synced by what the state says: the hole is told. */
	expect_gap(r, 3, 3);
	expect_text(r, "new");
	journal_reader_close(r);
	journal_close(j);
}

static void damage_costs_the_record_alone(void **state)
{
	struct journal *j = must_open(*state, &(struct journal_options){.segment_bytes = 1 << 20});
	struct journal_reader *r;
	char segment[600];
	int fd;

	append_text(j, "first");
	append_text(j, "second");
	append_text(j, "third");
	must_sync(j);
	segment_path(*state, true, segment);
	fd = open(segment, O_WRONLY);
	/* head 48, opening 24 + 40, first 24 + 5: into the payload of the second */
	assert_int_equal(pwrite(fd, "X", 1, 48 + 64 + 29 + 26), 1);
	close(fd);
	r = must_read(*state, (struct position){0, 0});
	expect_text(r, "first");
	expect_gap(r, 3, 3);
	expect_text(r, "third");
	expect_end(r);
	journal_reader_close(r);
	journal_close(j);
}

static void a_lost_state_record_is_made_anew(void **state)
{
	struct journal *j = must_open(*state, &small);
	struct journal_reader *r;
	char path[600];
	int fd;

	append_text(j, "a");
	must_sync(j);
	journal_cursor_set(j, "c", journal_synced(j));
	journal_close(j);
	snprintf(path, sizeof path, "%s/state", (const char *)*state);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "\xff\xff", 2, 20), 2);
	close(fd);
	j = must_open(*state, &small);
	assert_int_equal(journal_end(j).seq, 3);
	assert_false(journal_cursor_get(j, "c", &(struct position){0, 0}));
	r = must_read(*state, (struct position){0, 0});
	expect_text(r, "a");
	journal_reader_close(r);
	journal_close(j);
}

/* A file that may not grow further makes write() fail in the middle of a record. */
static void after_a_failed_write_the_entries_go_to_a_new_epoch(void **state)
{
	struct journal *j = must_open(*state, &(struct journal_options){.segment_bytes = 1 << 20});
	struct rlimit limit = {300, RLIM_INFINITY};
	struct journal_reader *r = must_read(*state, (struct position){0, 0});
	struct position before;
	char big[400];
	struct err e;

	append_text(j, "kept");
	must_sync(j);
	before = journal_synced(j);
	memset(big, 'b', sizeof big);
	journal_append(j, ENTRY_RESULT, big, sizeof big);
	append_text(j, "behind");
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	assert_int_equal(journal_sync(j, &e), -1);
	assert_non_null(strstr(e.text, "writing the journal"));
	assert_int_equal(journal_sync(j, &e), -1);
	assert_int_equal(journal_synced(j).seq, before.seq);
	limit.rlim_cur = RLIM_INFINITY;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
	must_sync(j);
	assert_true(journal_synced(j).epoch != before.epoch);
	assert_int_equal(journal_synced(j).seq, before.seq + 3); /* an opening and two entries */
	journal_reader_limit(r, journal_synced(j));
	expect_text(r, "kept");
	{
		struct journal_entry entry;

		assert_int_equal(next_entry(r, &entry), 1);
		assert_int_equal(entry.len, sizeof big);
	}
	expect_text(r, "behind");
	expect_end(r);
	journal_reader_close(r);
	journal_close(j);
	j = must_open(*state, &small);
	r = must_read(*state, (struct position){0, 0});
	expect_text(r, "kept");
	journal_reader_close(r);
	journal_close(j);
}

static void strange_files_in_the_folder_are_left_alone(void **state)
{
	char path[600];
	struct journal *j;
	int fd;

	snprintf(path, sizeof path, "%s/0000000000000001-zzzzzzzzzzzzzzzz.seg", (const char *)*state);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, "hello", 5), 5);
	close(fd);
	j = must_open(*state, &small);
	append_text(j, "a");
	must_sync(j);
	journal_close(j);
	assert_int_equal(access(path, F_OK), 0);
}

/* ---- properties */

/* Reads all from `after` on: what is not an opening must be the values that were written, once each, in order, whole
 * up to the last one that was synced. */
static void read_all_values(const char *path, uint64_t synced_value)
{
	struct journal_reader *r = must_read(path, (struct position){0, 0});
	struct journal_entry entry;
	uint64_t expected = 1, got;

	while (next_entry(r, &entry) == 1) {
		assert_int_equal(entry.kind, ENTRY_RESULT);
		memcpy(&got, entry.payload, sizeof got);
		assert_int_equal(got, expected);
		expected++;
	}
	assert_true(expected > synced_value);
	journal_reader_close(r);
}

/* One life of a writer, in a process that ends without any care; the last value that it had synced. */
static uint64_t live_and_die(const char *path, uint64_t value, unsigned seed)
{
	int pipe_fds[2];
	pid_t pid;

	assert_int_equal(pipe(pipe_fds), 0);
	pid = fork();
	if (pid == 0) {
		struct journal *j = must_open(path, &small);

		srand(seed);
		for (int steps = rand() % 30; steps > 0; steps--) {
			for (int count = rand() % 4; count > 0; count--) {
				value++;
				journal_append(j, ENTRY_RESULT, &value, sizeof value);
			}
			if (rand() % 5 == 0)
				continue;
			must_sync(j);
			if (write(pipe_fds[1], &value, sizeof value) != sizeof value)
				_exit(1);
		}
		_exit(0);
	}
	close(pipe_fds[1]);
	waitpid(pid, NULL, 0);
	while (read(pipe_fds[0], &value, sizeof value) == sizeof value)
		;
	close(pipe_fds[0]);
	return value;
}

static void random_lives_lose_nothing_that_was_synced(void **state)
{
	unsigned seed = (unsigned)time(NULL);
	uint64_t value = 0;

	print_message("seed %u\n", seed);
	for (unsigned life = 0; life < 60; life++) {
		value = live_and_die(*state, value, seed + life);
		read_all_values(*state, value);
	}
	assert_true(value > 500);
}

/* Any changed byte, zeroed run or cut, anywhere in any segment: at most the records that it touches are missing, each
 * in a gap that is told; all others come, once, in order. */
static void damage_anywhere_is_never_silent(void **state)
{
	unsigned seed = (unsigned)time(NULL);
	struct journal *j = must_open(*state, &small);
	char segment[600];
	uint8_t saved[4096];

	print_message("seed %u\n", seed);
	srand(seed);
	append_many(j, 40, all_results);
	segment_path(*state, false, segment);
	for (int turn = 0; turn < 300; turn++) {
		int fd = open(segment, O_RDWR);
		ssize_t size = pread(fd, saved, sizeof saved, 0);
		off_t at = rand() % size;
		struct journal_reader *r;
		struct journal_entry entry;
		uint64_t next = 1, missing = 0;
		struct err e;

		assert_true(size > 0);
		if (turn % 3 == 0)
			assert_int_equal(pwrite(fd, "\0\0\0\0\0\0\0\0", 8, at), 8);
		else
			assert_int_equal(pwrite(fd, &(char){(char)(saved[at] ^ (1 << rand() % 8))}, 1, at), 1);
		r = must_read(*state, (struct position){0, 0});
		while (journal_read_next(r, &entry, &e) == 1) {
			struct journal_gap gap;

			if (entry.kind == ENTRY_GAP) {
				assert_int_equal(journal_gap_decode(entry.payload, entry.len, &gap), 0);
				assert_int_equal(gap.from, next);
				missing += gap.count;
			} else {
				assert_int_equal(entry.at.seq, next);
			}
			next = entry.at.seq + 1;
		}
		assert_int_equal(next, journal_synced(j).seq + 1);
		assert_true(missing <= (turn % 3 == 0 ? 2 : 1));
		journal_reader_close(r);
		assert_int_equal(pwrite(fd, saved, (size_t)size, 0), size);
		assert_int_equal(ftruncate(fd, size), 0);
		close(fd);
	}
	journal_close(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_was_synced_is_read_back_in_order, set_up, tear_down),
		cmocka_unit_test_setup_teardown(each_opening_is_an_epoch_that_names_the_one_before, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_second_writer_is_refused_by_name, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_reader_sees_nothing_behind_its_limit, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_position_of_another_journal_is_told, set_up, tear_down),
		cmocka_unit_test_setup_teardown(cursors_survive_a_close, set_up, tear_down),
		cmocka_unit_test_setup_teardown(trimming_waits_for_the_slowest_cursor, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_reader_left_behind_by_trimming_gets_a_gap, set_up, tear_down),
		cmocka_unit_test_setup_teardown(an_overflow_drops_the_oldest_and_says_so, set_up, tear_down),
		cmocka_unit_test_setup_teardown(kept_kinds_outlive_an_overflow_and_gaps_say_what_went, set_up, tear_down),
		cmocka_unit_test_setup_teardown(old_segments_go_by_age, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_torn_tail_is_cut_and_what_was_whole_stays, set_up, tear_down),
		cmocka_unit_test_setup_teardown(damage_costs_the_record_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_lost_state_record_is_made_anew, set_up, tear_down),
		cmocka_unit_test_setup_teardown(after_a_failed_write_the_entries_go_to_a_new_epoch, set_up, tear_down),
		cmocka_unit_test_setup_teardown(strange_files_in_the_folder_are_left_alone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(random_lives_lose_nothing_that_was_synced, set_up, tear_down),
		cmocka_unit_test_setup_teardown(damage_anywhere_is_never_silent, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
