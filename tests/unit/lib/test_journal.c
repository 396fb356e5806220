#include "lib/journal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/journal_record.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/sample.h"

#define VALUE 10
#define KEPT 30

static bool is_kept(uint8_t kind)
{
	return kind >= KEPT;
}

struct fixture {
	char folder[64];
	struct journal *j;
	struct journal_options options;
	struct err e;
};

static void remove_tree(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *entry;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		char *name;

		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		name = mem_format("%s/%s", path, entry->d_name);
		if (unlink(name) < 0)
			remove_tree(name);
		free(name);
	}
	if (d != NULL)
		closedir(d);
	rmdir(path);
}

static int setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof *f);

	strcpy(f->folder, "/tmp/xj-journal-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	*state = f;
	return 0;
}

/* Files of this process may not grow beyond `bytes`: writes fail with EFBIG. */
static void limit_file_size(rlim_t bytes)
{
	struct rlimit l = {bytes, RLIM_INFINITY};

	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

/* The limit of a case that failed within one would hold for what is said of it too, when that goes to a file. */
static int teardown(void **state)
{
	struct fixture *f = *state;

	limit_file_size(RLIM_INFINITY);
	journal_close(f->j);
	remove_tree(f->folder);
	free(f);
	return 0;
}

static void start(struct fixture *f)
{
	f->e.text[0] = '\0';
	f->j = journal_open(f->folder, &f->options, &f->e);
	if (f->j == NULL)
		fail_msg("%s", f->e.text);
}

static void stop(struct fixture *f)
{
	journal_close(f->j);
	f->j = NULL;
}

static struct position add(struct fixture *f, uint8_t kind, uint64_t number)
{
	char text[100];
	int n = snprintf(text, sizeof text, "entry %" PRIu64 " with some bytes behind it to make it longer", number);

	return journal_append(f->j, kind, text, (size_t)n);
}

static void sync_now(struct fixture *f)
{
	if (journal_sync(f->j, &f->e) < 0)
		fail_msg("%s", f->e.text);
}

static void add_synced(struct fixture *f, uint8_t kind, unsigned count)
{
	for (unsigned i = 0; i < count; i++) {
		add(f, kind, journal_end(f->j).seq + 1);
		sync_now(f);
	}
}

/* SEED in the environment repeats a run. */
static unsigned seed_random(void)
{
	const char *text = getenv("SEED");
	unsigned seed = text != NULL ? (unsigned)strtoul(text, NULL, 10) : (unsigned)clock_real();

	print_message("seed %u\n", seed);
	srand(seed);
	return seed;
}

static struct journal_stats stats(struct fixture *f)
{
	struct journal_stats s;

	journal_stats(f->j, &s);
	return s;
}

/* Checks that an entry is the one that add() made at its position. */
static void check_entry(const struct journal_entry *en)
{
	char text[100];
	int n = snprintf(text, sizeof text, "entry %" PRIu64 " with some bytes behind it to make it longer", en->at.seq);

	assert_int_equal(en->len, n);
	assert_memory_equal(en->payload, text, en->len);
}

/* What reading from `after` gives: each seq once, in order, as an entry or inside a gap. */
struct seen {
	uint64_t first, last, entries, values, kept, opens, gaps, missing;
	struct position end;
};

static struct seen read_with(struct journal_reader *r, uint64_t next)
{
	struct seen s = {0};
	struct journal_entry en;
	struct journal_gap g;
	struct err e;
	int n;

	while ((n = journal_read_next(r, &en, &e)) == 1) {
		if (en.kind == ENTRY_GAP) {
			assert_int_equal(journal_gap_decode(en.payload, en.len, &g), 0);
			assert_int_equal(g.to, en.at.seq);
			assert_int_equal(g.count, g.to - g.from + 1);
			if (next == 0)
				next = g.from;
			assert_int_equal(g.from, next);
			s.gaps++;
			s.missing += g.count;
			s.first = s.first ? s.first : g.from;
		} else {
			if (next == 0)
				next = en.at.seq;
			assert_int_equal(en.at.seq, next);
			s.first = s.first ? s.first : en.at.seq;
			s.entries++;
			s.opens += en.kind == ENTRY_OPEN;
			s.values += en.kind == VALUE;
			s.kept += en.kind == KEPT;
			if (en.kind != ENTRY_OPEN)
				check_entry(&en);
		}
		next = en.at.seq + 1;
		s.last = en.at.seq;
		s.end = en.at;
	}
	if (n < 0)
		fail_msg("%s", e.text);
	return s;
}

static struct seen read_from(struct fixture *f, struct position after)
{
	struct journal_reader *r = journal_reader_open(f->folder, after, &f->e);
	struct seen s;

	if (r == NULL)
		fail_msg("%s", f->e.text);
	s = read_with(r, after.seq > 0 ? after.seq + 1 : 0);
	journal_reader_close(r);
	return s;
}

static struct seen read_all(struct fixture *f)
{
	return read_from(f, (struct position){0});
}

/* The name of the i-th segment, or NULL; the caller frees. */
static char *segment_path(struct fixture *f, size_t i)
{
	struct dirent **names;
	int n = scandir(f->folder, &names, NULL, alphasort);
	char *path = NULL;

	for (int k = 0; k < n; k++) {
		size_t len = strlen(names[k]->d_name);

		if (len == 37 && strcmp(names[k]->d_name + 33, ".seg") == 0 && i-- == 0)
			path = mem_format("%s/%s", f->folder, names[k]->d_name);
		free(names[k]);
	}
	free(names);
	return path;
}

static size_t count_segments(struct fixture *f)
{
	size_t n = 0;
	char *path;

	while ((path = segment_path(f, n)) != NULL) {
		free(path);
		n++;
	}
	return n;
}

static int64_t file_size(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_size;
}

static void flip(const char *path, int64_t offset)
{
	int fd = open(path, O_RDWR);
	uint8_t byte;

	assert_true(fd >= 0);
	assert_int_equal(pread(fd, &byte, 1, offset), 1);
	byte ^= 0x40;
	assert_int_equal(pwrite(fd, &byte, 1, offset), 1);
	close(fd);
}

static bool file_exists(struct fixture *f, const char *name)
{
	char *path = mem_format("%s/%s", f->folder, name);
	bool there = access(path, F_OK) == 0;

	free(path);
	return there;
}

/* ---- life */

static void entries_come_back_in_order_with_their_positions(void **state)
{
	struct fixture *f = *state;
	struct seen s;

	start(f);
	for (uint64_t i = 2; i <= 1000; i++)
		assert_int_equal(add(f, VALUE, i).seq, i);
	assert_int_equal(journal_synced(f->j).seq, 0);
	assert_true(journal_unsynced_bytes(f->j) > 0);
	sync_now(f);
	assert_int_equal(journal_unsynced_bytes(f->j), 0);
	assert_int_equal(journal_synced(f->j).seq, 1000);
	s = read_all(f);
	assert_int_equal(s.entries, 1000);
	assert_int_equal(s.opens, 1);
	assert_int_equal(s.gaps, 0);
	assert_int_equal(s.end.epoch, journal_synced(f->j).epoch);
}

static void what_was_not_synced_is_not_there(void **state)
{
	struct fixture *f = *state;

	start(f);
	add_synced(f, VALUE, 3);
	add(f, VALUE, 5);
	assert_int_equal(read_all(f).last, 4);
}

static void each_opening_has_an_epoch_of_its_own_and_says_what_was_before(void **state)
{
	struct fixture *f = *state;
	struct journal_open_note note;
	struct journal_reader *r;
	struct journal_entry en;
	struct position first;

	start(f);
	add_synced(f, VALUE, 9);
	first = journal_synced(f->j);
	stop(f);
	start(f);
	sync_now(f);
	assert_int_equal(journal_synced(f->j).seq, 11);
	assert_true(journal_synced(f->j).epoch != first.epoch);
	r = journal_reader_open(f->folder, first, &f->e);
	assert_non_null(r);
	assert_int_equal(journal_read_next(r, &en, &f->e), 1);
	assert_int_equal(en.kind, ENTRY_OPEN);
	assert_int_equal(journal_open_note_decode(en.payload, en.len, &note), 0);
	assert_int_equal(note.previous.epoch, first.epoch);
	assert_int_equal(note.previous.seq, first.seq);
	journal_reader_close(r);
}

static void every_entry_stands_where_its_reader_finds_it(void **state)
{
	struct fixture *f = *state;
	struct journal_reader *r;
	struct journal_entry en;
	uint64_t epoch = 0;
	unsigned epochs = 0;

	start(f);
	add_synced(f, VALUE, 3);
	for (uint64_t i = 5; i <= 300; i++)
		add(f, VALUE, i);
	/* What has no room goes on in another segment, of another epoch. */
	limit_file_size(6000);
	for (int i = 0; i < 20; i++)
		(void)journal_sync(f->j, &f->e);
	limit_file_size(RLIM_INFINITY);
	sync_now(f);
	r = journal_reader_open(f->folder, (struct position){0}, &f->e);
	assert_non_null(r);
	while (journal_read_next(r, &en, &f->e) == 1) {
		assert_int_equal(journal_position(f->j, en.at.seq).epoch, en.at.epoch);
		assert_int_equal(journal_position(f->j, en.at.seq).seq, en.at.seq);
		epochs += en.at.epoch != epoch;
		epoch = en.at.epoch;
	}
	assert_true(epochs > 1);
	journal_reader_close(r);
}

static void an_empty_payload_and_the_largest_one_come_back(void **state)
{
	struct fixture *f = *state;
	uint8_t *big = mem_alloc(JOURNAL_PAYLOAD_MAX);
	struct journal_reader *r;
	struct journal_entry en;

	for (size_t i = 0; i < JOURNAL_PAYLOAD_MAX; i++)
		big[i] = (uint8_t)(i * 7 >> 2);
	start(f);
	journal_append(f->j, VALUE, NULL, 0);
	journal_append(f->j, VALUE, big, JOURNAL_PAYLOAD_MAX);
	journal_append(f->j, VALUE, "x", 1);
	sync_now(f);
	r = journal_reader_open(f->folder, (struct position){0}, &f->e);
	assert_int_equal(journal_read_next(r, &en, &f->e), 1);
	assert_int_equal(journal_read_next(r, &en, &f->e), 1);
	assert_int_equal(en.len, 0);
	assert_int_equal(journal_read_next(r, &en, &f->e), 1);
	assert_int_equal(en.len, JOURNAL_PAYLOAD_MAX);
	assert_memory_equal(en.payload, big, JOURNAL_PAYLOAD_MAX);
	assert_int_equal(journal_read_next(r, &en, &f->e), 1);
	assert_int_equal(journal_read_next(r, &en, &f->e), 0);
	journal_reader_close(r);
	free(big);
}

static void a_second_writer_is_refused_by_the_pid_of_the_first(void **state)
{
	struct fixture *f = *state;
	char pid[32];

	start(f);
	assert_null(journal_open(f->folder, &f->options, &f->e));
	snprintf(pid, sizeof pid, "process %ld", (long)getpid());
	assert_non_null(strstr(f->e.text, pid));
	stop(f);
	start(f);
}

static void a_folder_that_cannot_be_is_an_error_with_its_name(void **state)
{
	struct fixture *f = *state;
	char *path = mem_format("%s/no/such", f->folder);

	assert_null(journal_open(path, &f->options, &f->e));
	assert_non_null(strstr(f->e.text, path));
	assert_null(journal_reader_open(path, (struct position){0}, &f->e));
	assert_non_null(strstr(f->e.text, path));
	free(path);
}

/* ---- cursors and trim */

static void cursors_are_kept_over_a_close(void **state)
{
	struct fixture *f = *state;
	struct position at, got;

	start(f);
	add_synced(f, VALUE, 5);
	at = (struct position){journal_synced(f->j).epoch, 3};
	journal_cursor_set(f->j, "uplink", at);
	journal_cursor_set(f->j, "gone", at);
	journal_cursor_drop(f->j, "gone");
	stop(f);
	start(f);
	assert_true(journal_cursor_get(f->j, "uplink", &got));
	assert_memory_equal(&got, &at, sizeof at);
	assert_false(journal_cursor_get(f->j, "gone", &got));
}

static void a_cursor_never_stands_behind_what_is_synced(void **state)
{
	struct fixture *f = *state;
	struct position got;

	start(f);
	add_synced(f, VALUE, 5);
	journal_cursor_set(f->j, "uplink", (struct position){1, UINT64_MAX});
	assert_true(journal_cursor_get(f->j, "uplink", &got));
	assert_int_equal(got.seq, journal_synced(f->j).seq);
}

static void trim_removes_what_all_cursors_have_passed_and_no_more(void **state)
{
	struct fixture *f = *state;
	struct position at;
	size_t before;
	struct seen s;

	f->options.segment_bytes = 1000;
	start(f);
	add_synced(f, VALUE, 100);
	before = count_segments(f);
	assert_true(before > 5);
	assert_int_equal(journal_trim(f->j, &f->e), 0);
	assert_int_equal(count_segments(f), before); /* nobody has passed anything */
	at = journal_synced(f->j);
	journal_cursor_set(f->j, "fast", at);
	at.seq = 50;
	journal_cursor_set(f->j, "slow", at);
	assert_int_equal(journal_trim(f->j, &f->e), 0);
	s = read_all(f);
	assert_in_range(s.first, 40, 51);
	assert_int_equal(s.last, 101);
	s = read_from(f, (struct position){at.epoch, 10});
	assert_int_equal(s.gaps, 1);
	assert_int_equal(s.last, 101);
	s = read_from(f, at);
	assert_int_equal(s.gaps, 0);
	assert_int_equal(s.entries, 51);
	assert_int_equal(stats(f).segments, count_segments(f));
	stop(f);
	start(f);
	assert_int_equal(read_from(f, at).entries, 51);
}

static void trim_of_all_keeps_the_write_position(void **state)
{
	struct fixture *f = *state;
	uint64_t end;

	f->options.segment_bytes = 500;
	start(f);
	add_synced(f, VALUE, 100);
	end = journal_synced(f->j).seq;
	journal_cursor_set(f->j, "all", journal_synced(f->j));
	assert_int_equal(journal_trim(f->j, &f->e), 0);
	assert_int_equal(count_segments(f), 1);
	stop(f);
	start(f);
	sync_now(f);
	assert_int_equal(journal_synced(f->j).seq, end + 1);
}

/* ---- readers */

static void a_reader_follows_rotation_reopening_and_trim(void **state)
{
	struct fixture *f = *state;
	struct journal_reader *r;
	struct seen s;
	uint64_t next = 1;

	f->options.segment_bytes = 700;
	start(f);
	r = journal_reader_open(f->folder, (struct position){0}, &f->e);
	assert_non_null(r);
	assert_int_equal(read_with(r, 0).entries, 0);
	for (unsigned round = 0; round < 30; round++) {
		add_synced(f, VALUE, 1 + round % 7);
		s = read_with(r, next);
		assert_int_equal(s.last, journal_synced(f->j).seq);
		assert_int_equal(s.gaps, 0);
		next = s.last + 1;
		journal_cursor_set(f->j, "reader", s.end);
		assert_int_equal(journal_trim(f->j, &f->e), 0);
		if (round % 5 == 4) {
			stop(f);
			start(f);
		}
	}
	journal_reader_close(r);
}

static void a_segment_unlinked_before_it_was_read_is_a_gap(void **state)
{
	struct fixture *f = *state;
	struct journal_reader *r;
	struct journal_entry en;
	struct seen s;

	f->options.segment_bytes = 500;
	start(f);
	add_synced(f, VALUE, 60);
	r = journal_reader_open(f->folder, (struct position){0}, &f->e);
	assert_int_equal(journal_read_next(r, &en, &f->e), 1);
	journal_cursor_set(f->j, "all", journal_synced(f->j));
	assert_int_equal(journal_trim(f->j, &f->e), 0);
	s = read_with(r, 2);
	assert_int_equal(s.gaps, 1);
	assert_int_equal(s.last, 61);
	assert_true(s.entries > 4); /* the rest of the segment that was open, and the last one */
	journal_reader_close(r);
}

static void a_reader_stops_at_its_limit(void **state)
{
	struct fixture *f = *state;
	struct journal_reader *r;
	struct position limit;
	struct seen s;

	f->options.segment_bytes = 500;
	start(f);
	add_synced(f, VALUE, 29);
	limit = (struct position){journal_synced(f->j).epoch, 13};
	r = journal_reader_open(f->folder, (struct position){0}, &f->e);
	journal_reader_limit(r, limit);
	s = read_with(r, 1);
	assert_int_equal(s.last, 13);
	assert_int_equal(read_with(r, 14).entries, 0);
	limit.seq = 30;
	journal_reader_limit(r, limit);
	assert_int_equal(read_with(r, 14).last, 30);
	journal_reader_close(r);
}

static void a_hole_over_the_limit_is_told_up_to_it(void **state)
{
	struct fixture *f = *state;
	struct journal_reader *r;
	struct position limit;
	struct seen s;
	char *path;

	f->options.segment_bytes = 1000;
	start(f);
	add_synced(f, VALUE, 50);
	path = segment_path(f, 1); /* 14 to 26 */
	assert_int_equal(unlink(path), 0);
	free(path);
	limit = (struct position){journal_synced(f->j).epoch, 20};
	r = journal_reader_open(f->folder, (struct position){0}, &f->e);
	journal_reader_limit(r, limit);
	s = read_with(r, 1);
	assert_int_equal(s.last, 20);
	assert_int_equal(s.missing, 7);
	limit.seq = 27;
	journal_reader_limit(r, limit);
	s = read_with(r, 21);
	assert_int_equal(s.missing, 6);
	assert_int_equal(s.entries, 1);
	journal_reader_close(r);
}

static void make_segment(struct fixture *f, uint64_t epoch, uint32_t serial, unsigned records)
{
	struct journal_segment s = {.first = 1, .epoch = epoch, .serial = serial};
	char name[JOURNAL_NAME_SIZE], *path;
	struct buf b = {0};
	int fd;

	journal_segment_encode(&s, buf_reserve(&b, JOURNAL_SEGMENT_HEAD));
	b.len = JOURNAL_SEGMENT_HEAD;
	for (uint64_t seq = 1; seq <= records; seq++)
		journal_record_add(&b, journal_record_seed(epoch), seq, ENTRY_OPEN, "x", 1);
	journal_segment_name(&s, name);
	path = mem_format("%s/%s", f->folder, name);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(write(fd, b.data, b.len), b.len);
	close(fd);
	free(path);
	buf_fini(&b);
}

/* One was given up with nothing synced in it, and its file could not be unlinked. */
static void of_two_segments_with_one_first_seq_the_younger_counts(void **state)
{
	struct fixture *f = *state;

	for (uint64_t younger = 0xa; younger <= 0xc; younger += 2) {
		make_segment(f, younger, 9, 5);
		make_segment(f, 0xb, 8, 7);
		assert_int_equal(read_all(f).end.epoch, younger);
		assert_int_equal(read_all(f).last, 5);
		start(f);
		assert_int_equal(journal_synced(f->j).epoch, younger);
		assert_int_equal(journal_synced(f->j).seq, 5);
		stop(f);
		remove_tree(f->folder);
		assert_int_equal(mkdir(f->folder, 0700), 0);
	}
}

static void a_start_of_another_journal_is_refused_by_name(void **state)
{
	struct fixture *f = *state;
	struct position end;

	assert_null(journal_reader_open(f->folder, (struct position){0xabc, 5}, &f->e));
	assert_non_null(strstr(f->e.text, "0000000000000abc:5 is not in this journal, which is empty"));
	start(f);
	add_synced(f, VALUE, 10);
	end = journal_synced(f->j);
	assert_null(journal_reader_open(f->folder, (struct position){end.epoch ^ 1, 5}, &f->e));
	assert_non_null(strstr(f->e.text, ":5 is not in this journal"));
	assert_null(journal_reader_open(f->folder, (struct position){end.epoch, 12}, &f->e));
	assert_non_null(strstr(f->e.text, ":12 is behind the end of this journal, 11"));
	assert_int_equal(read_from(f, end).entries, 0);
}

/* ---- damage */

static void a_torn_end_is_cut_kept_aside_and_counted(void **state)
{
	struct fixture *f = *state;
	int64_t size;
	char *path;
	int fd;

	start(f);
	add_synced(f, VALUE, 10);
	stop(f);
	path = segment_path(f, 0);
	fd = open(path, O_WRONLY | O_APPEND);
	size = file_size(path);
	assert_int_equal(write(fd, "J\xe9\xa7R half a record", 17), 17);
	close(fd);
	start(f);
	assert_int_equal(stats(f).torn_bytes, 17);
	assert_int_equal(file_size(path), size);
	free(path);
	assert_true(file_exists(f, "quarantine"));
	add_synced(f, VALUE, 3);
	assert_int_equal(read_all(f).entries, 15);
}

static void every_cut_of_the_last_segment_loses_only_what_was_cut(void **state)
{
	struct fixture *f = *state;
	char *path;

	start(f);
	add_synced(f, VALUE, 4);
	stop(f);
	path = segment_path(f, 0);
	for (int64_t size = file_size(path) - 1; size >= 0; size -= 3) {
		char *name = mem_format("%s/state", f->folder), *spare = mem_format("%s/state.tmp", f->folder);
		char *second;
		uint64_t left;

		assert_int_equal(truncate(path, size), 0);
		unlink(name);
		unlink(spare);
		start(f);
		left = journal_end(f->j).seq - 1;
		assert_true(left <= 5);
		if (left == 0) {
			stop(f);
			free(name);
			free(spare);
			break;
		}
		assert_int_equal(read_all(f).entries, left);
		stop(f);
		second = segment_path(f, 1); /* that of the opening just closed */
		assert_non_null(second);
		unlink(second);
		free(second);
		free(name);
		free(spare);
	}
	free(path);
}

static void a_damaged_record_costs_itself_alone_and_is_told(void **state)
{
	struct fixture *f = *state;
	unsigned long errors;
	struct seen s;
	char *path;

	f->options.segment_bytes = 1000;
	start(f);
	add_synced(f, VALUE, 50);
	stop(f);
	path = segment_path(f, 1);
	flip(path, file_size(path) / 2);
	free(path);
	errors = log_count(LOG_LEVEL_ERROR);
	s = read_all(f);
	assert_int_equal(s.gaps, 1);
	assert_int_equal(s.missing, 1);
	assert_int_equal(s.last, 51);
	assert_int_equal(log_count(LOG_LEVEL_ERROR), errors + 1);
	read_all(f);
	assert_int_equal(log_count(LOG_LEVEL_ERROR), errors + 1); /* told once */
	start(f);
}

static void damage_in_the_last_segment_is_counted_at_opening(void **state)
{
	struct fixture *f = *state;
	struct seen s;
	char *path;

	start(f);
	add_synced(f, VALUE, 50);
	stop(f);
	path = segment_path(f, 0);
	flip(path, file_size(path) / 2);
	free(path);
	start(f);
	assert_int_equal(stats(f).damaged, 1);
	s = read_all(f);
	assert_int_equal(s.missing, 1);
	assert_int_equal(s.entries, 50);
}

static void synced_entries_missing_at_the_end_are_a_gap_and_never_reused(void **state)
{
	struct fixture *f = *state;
	struct seen s;
	char *path;

	start(f);
	add_synced(f, VALUE, 20);
	stop(f);
	path = segment_path(f, 0);
	assert_int_equal(truncate(path, file_size(path) - 200), 0);
	free(path);
	start(f);
	assert_true(stats(f).damaged > 0);
	sync_now(f);
	assert_int_equal(journal_synced(f->j).seq, 22);
	s = read_all(f);
	assert_int_equal(s.gaps, 1);
	assert_in_range(s.missing, 2, 3);
}

static void a_lost_state_record_is_rebuilt_from_the_segments(void **state)
{
	struct fixture *f = *state;
	struct position at;
	char *path = mem_format("%s/state", f->folder), *spare = mem_format("%s/state.tmp", f->folder);

	f->options.segment_bytes = 1000;
	start(f);
	add_synced(f, VALUE, 100);
	journal_cursor_set(f->j, "uplink", journal_synced(f->j));
	stop(f);
	unlink(path);
	unlink(spare);
	start(f);
	assert_int_equal(stats(f).damaged, 1);
	assert_false(journal_cursor_get(f->j, "uplink", &at));
	assert_int_equal(read_all(f).entries, 101);
	add_synced(f, VALUE, 1);
	assert_int_equal(journal_synced(f->j).seq, 103);
	free(path);
	free(spare);
}

static void a_damaged_state_record_is_replaced_by_the_one_before(void **state)
{
	struct fixture *f = *state;
	struct position at;
	char *path = mem_format("%s/state", f->folder);

	start(f);
	add_synced(f, VALUE, 10);
	journal_cursor_set(f->j, "uplink", journal_synced(f->j));
	stop(f);
	start(f);
	add_synced(f, VALUE, 10);
	journal_cursor_set(f->j, "uplink", journal_synced(f->j));
	stop(f);
	flip(path, 60);
	start(f);
	assert_true(journal_cursor_get(f->j, "uplink", &at));
	assert_int_equal(at.seq, 11);
	assert_int_equal(read_all(f).entries, 22);
	free(path);
}

static void strange_files_in_the_folder_are_left_alone(void **state)
{
	static const char *const names[] = {"notes.txt", "0000000000000001-00000000000000AA.seg",
		"0000000000000001-00000000000000aa.seg.bak", "core", "state.old"};
	struct fixture *f = *state;
	char *folder = mem_format("%s/0000000000000003-00000000000000aa.seg", f->folder);

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		char *path = mem_format("%s/%s", f->folder, names[i]);

		close(open(path, O_WRONLY | O_CREAT, 0600));
		free(path);
	}
	assert_int_equal(mkdir(folder, 0700), 0);
	start(f);
	add_synced(f, VALUE, 10);
	stop(f);
	start(f);
	assert_int_equal(read_all(f).entries, 11);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		assert_true(file_exists(f, names[i]));
	assert_int_equal(rmdir(folder), 0);
	free(folder);
}

static void a_segment_without_a_record_is_set_aside(void **state)
{
	struct fixture *f = *state;
	char *path = mem_format("%s/0000000000000005-00000000000000aa.seg", f->folder);
	uint8_t zeros[4096] = {0};
	int fd;

	start(f);
	add_synced(f, VALUE, 10);
	stop(f);
	fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_int_equal(write(fd, zeros, sizeof zeros), sizeof zeros);
	close(fd);
	start(f);
	assert_int_equal(read_all(f).entries, 11);
	assert_true(file_exists(f, "quarantine/0000000000000005-00000000000000aa.seg"));
	free(path);
}

static void a_new_journal_with_a_first_crash_is_not_a_lost_one(void **state)
{
	struct fixture *f = *state;
	pid_t pid = fork();

	if (pid == 0) {
		start(f);
		sync_now(f);
		_exit(0);
	}
	waitpid(pid, NULL, 0);
	start(f);
	assert_int_equal(stats(f).damaged, 0);
	assert_int_equal(read_all(f).entries, 1);
}

static void a_segment_emptied_by_others_is_a_gap_and_told(void **state)
{
	struct fixture *f = *state;
	struct journal_reader *r;
	struct seen s;
	char *path;

	f->options.segment_bytes = 1000;
	start(f);
	add_synced(f, VALUE, 50);
	stop(f);
	path = segment_path(f, 1);
	assert_int_equal(truncate(path, 17), 0);
	free(path);
	start(f);
	r = journal_reader_open(f->folder, (struct position){0}, &f->e);
	s = read_with(r, 1);
	assert_int_equal(s.gaps, 1);
	assert_int_equal(s.missing, 13);
	assert_int_equal(journal_reader_damaged(r), 1);
	journal_reader_close(r);
}

/* ---- failing disks */

static void entries_of_a_failed_sync_go_to_a_new_segment_and_are_read_once(void **state)
{
	struct fixture *f = *state;
	struct journal_reader *r;
	struct position before;
	struct seen s;
	char *path;

	start(f);
	add_synced(f, VALUE, 20);
	before = journal_synced(f->j);
	r = journal_reader_open(f->folder, (struct position){0}, &f->e);
	journal_reader_limit(r, before);
	assert_int_equal(read_with(r, 1).last, 21);
	path = segment_path(f, 0);
	limit_file_size((rlim_t)file_size(path) + 200); /* two records fit, the third is torn */
	for (uint64_t i = 22; i <= 31; i++)
		add(f, VALUE, i);
	assert_int_equal(journal_sync(f->j, &f->e), -1);
	assert_non_null(strstr(f->e.text, "File too large"));
	assert_int_equal(journal_synced(f->j).seq, 21);
	assert_int_equal(journal_synced(f->j).epoch, before.epoch);
	assert_int_equal(journal_sync(f->j, &f->e), 0); /* a new file has room */
	limit_file_size(RLIM_INFINITY);
	assert_int_equal(journal_synced(f->j).seq, 32); /* an opening behind them tells what was before */
	assert_true(journal_synced(f->j).epoch != before.epoch);
	assert_int_equal(count_segments(f), 2);
	journal_reader_limit(r, journal_synced(f->j));
	s = read_with(r, 22);
	assert_int_equal(s.entries, 11);
	assert_int_equal(s.opens, 1);
	assert_int_equal(s.end.epoch, journal_synced(f->j).epoch);
	journal_reader_close(r);
	s = read_all(f);
	assert_int_equal(s.entries, 32);
	assert_int_equal(s.gaps, 0);
	stop(f);
	start(f);
	assert_int_equal(read_all(f).entries, 32);
	assert_int_equal(read_from(f, before).entries, 11);
	free(path);
}

static void a_sync_that_fails_often_leaves_no_files_behind(void **state)
{
	struct fixture *f = *state;

	start(f);
	add_synced(f, VALUE, 5);
	stop(f);
	start(f);
	limit_file_size(100);
	for (int i = 0; i < 10; i++)
		assert_int_equal(journal_sync(f->j, &f->e), -1);
	assert_int_equal(stats(f).sync_failures, 10);
	limit_file_size(RLIM_INFINITY);
	assert_int_equal(count_segments(f), 1);
	sync_now(f);
	assert_int_equal(read_all(f).entries, 7);
	assert_int_equal(count_segments(f), 2);
}

/* Every opening names the entry before its epoch, whichever part of what was pending came to be written. */
static void check_openings(struct fixture *f, uint64_t want)
{
	struct journal_reader *r = journal_reader_open(f->folder, (struct position){0}, &f->e);
	struct position before = {0}, epoch_end = {0};
	struct journal_open_note note;
	struct journal_entry en;
	uint64_t openings = 0;

	while (journal_read_next(r, &en, &f->e) == 1) {
		if (en.at.epoch != before.epoch)
			epoch_end = before;
		if (en.kind == ENTRY_OPEN) {
			assert_int_equal(journal_open_note_decode(en.payload, en.len, &note), 0);
			assert_int_equal(note.previous.epoch, epoch_end.epoch);
			assert_int_equal(note.previous.seq, epoch_end.seq);
			openings++;
		}
		before = en.at;
	}
	assert_int_equal(openings, want);
	journal_reader_close(r);
}

static void a_disk_with_room_for_some_takes_some(void **state)
{
	struct fixture *f = *state;
	unsigned failed = 0;
	uint64_t taken = 1;

	f->options.segment_bytes = 5000;
	start(f);
	add_synced(f, VALUE, 5);
	for (uint64_t i = 7; i <= 1000; i++)
		add(f, VALUE, i);
	limit_file_size(12000);
	while (journal_sync(f->j, &f->e) < 0)
		assert_true(++failed < 40);
	assert_true(failed >= 3);
	assert_int_equal(journal_unsynced_bytes(f->j), 0);
	/* Now from a part of some to a part of none, twice: what was taken meanwhile stays taken. */
	for (unsigned round = 0; round < 2; round++) {
		taken = journal_synced(f->j).seq;
		for (unsigned i = 0; i < 1000; i++)
			add(f, VALUE, journal_end(f->j).seq + 1);
		limit_file_size(9000);
		assert_int_equal(journal_sync(f->j, &f->e), -1);
		limit_file_size(100);
		assert_int_equal(journal_sync(f->j, &f->e), -1);
		limit_file_size(9000);
		while (journal_sync(f->j, &f->e) < 0)
			assert_true(++failed < 200);
		assert_true(journal_synced(f->j).seq > taken + 1000);
	}
	limit_file_size(RLIM_INFINITY);
	assert_int_equal(read_all(f).entries, journal_synced(f->j).seq);
	assert_int_equal(read_all(f).gaps, 0);
	check_openings(f, read_all(f).opens);
	stop(f);
	start(f);
	assert_int_equal(read_all(f).gaps, 0);
}

/* The void end of a given-up segment that could not be cut: valid records that do not count. */
static void records_behind_the_end_of_a_given_up_segment_are_void(void **state)
{
	struct fixture *f = *state;
	uint8_t tail[2000];
	int64_t size;
	ssize_t n;
	char *path;
	int fd;
	struct seen s;

	start(f);
	add_synced(f, VALUE, 10);
	path = segment_path(f, 0);
	size = file_size(path);
	add_synced(f, VALUE, 10);
	fd = open(path, O_RDWR);
	n = pread(fd, tail, sizeof tail, size);
	assert_true(n > 0);
	close(fd);
	stop(f);
	/* The same state as after a failed sync behind seq 11: cut, a new segment from 12 on, the tail comes back. */
	assert_int_equal(truncate(path, size), 0);
	{
		char *a = mem_format("%s/state", f->folder), *b = mem_format("%s/state.tmp", f->folder);

		unlink(a);
		unlink(b);
		free(a);
		free(b);
	}
	start(f);
	add_synced(f, VALUE, 15);
	fd = open(path, O_WRONLY | O_APPEND);
	assert_int_equal(write(fd, tail, (size_t)n), n);
	close(fd);
	s = read_all(f);
	assert_int_equal(s.entries, 11 + 16);
	assert_int_equal(s.opens, 2);
	stop(f);
	start(f);
	assert_int_equal(read_all(f).entries, 27);
	free(path);
}

/* ---- properties */

/* The first seq that a reader speaks of. */
static uint64_t read_first(struct journal_reader *r, struct fixture *f)
{
	struct journal_entry en;
	struct journal_gap g;

	assert_int_equal(journal_read_next(r, &en, &f->e), 1);
	if (en.kind != ENTRY_GAP)
		return en.at.seq;
	assert_int_equal(journal_gap_decode(en.payload, en.len, &g), 0);
	return g.from;
}

/* Not by assertions: a child that failed one would go on with the cases behind it, in the folder of its parent. */
static int live(struct fixture *f, int out, unsigned seed)
{
	srand(seed);
	f->j = journal_open(f->folder, &f->options, &f->e);
	if (f->j == NULL)
		goto failed;
	for (int steps = rand() % 30; steps > 0; steps--) {
		uint64_t synced;

		for (int count = rand() % 4; count > 0; count--)
			add(f, VALUE, journal_end(f->j).seq + 1);
		if (rand() % 5 == 0)
			continue;
		if (journal_sync(f->j, &f->e) < 0)
			goto failed;
		synced = journal_synced(f->j).seq;
		if (write(out, &synced, sizeof synced) != sizeof synced)
			return 1;
	}
	return 0;
failed:
	print_error("a life with seed %u: %s\n", seed, f->e.text);
	return 1;
}

/* One life of a writer, in a process that ends without any care; the last seq that it had synced. */
static uint64_t live_and_die(struct fixture *f, uint64_t synced, unsigned seed)
{
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0)
		_exit(live(f, fds[1], seed));
	close(fds[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	while (read(fds[0], &synced, sizeof synced) == sizeof synced)
		;
	close(fds[0]);
	return synced;
}

static void random_lives_lose_nothing_that_was_synced(void **state)
{
	struct fixture *f = *state;
	unsigned seed = seed_random();
	uint64_t synced = 0;

	f->options.segment_bytes = 1000;
	for (unsigned life = 0; life < 60; life++) {
		struct seen s;

		synced = live_and_die(f, synced, seed + life);
		s = read_all(f);
		assert_int_equal(s.gaps, 0);
		assert_true(s.last >= synced);
	}
	assert_true(synced > 500);
}

/* What a journal must be after each step: kinds by seq. Those up to the cursor may be trimmed, and once it has
 * overflown any may be in gaps. */
struct model {
	uint8_t kinds[20000];
	uint64_t end, synced, cursor;
	bool overflown;
};

static void check_model(struct fixture *f, const struct model *m, struct journal_reader *r, uint64_t *next)
{
	struct journal_entry en;
	struct journal_gap g;
	int n;

	journal_reader_limit(r, journal_synced(f->j));
	while ((n = journal_read_next(r, &en, &f->e)) == 1) {
		uint64_t from = en.at.seq;

		if (en.kind == ENTRY_GAP) {
			assert_int_equal(journal_gap_decode(en.payload, en.len, &g), 0);
			from = g.from;
			assert_true(m->overflown || g.to <= m->cursor);
			assert_int_equal(g.to, en.at.seq);
		} else {
			assert_int_equal(en.kind, m->kinds[en.at.seq]);
			if (en.kind != ENTRY_OPEN)
				check_entry(&en);
		}
		assert_int_equal(from, *next);
		*next = en.at.seq + 1;
	}
	assert_int_equal(n, 0);
	assert_int_equal(*next, m->synced + 1);
}

static void model_open(struct fixture *f, struct model *m)
{
	start(f);
	m->end = journal_end(f->j).seq;
	assert_int_equal(m->end, m->synced + 1);
	m->kinds[m->end] = ENTRY_OPEN;
}

static void model_step(struct fixture *f, struct model *m)
{
	struct position at;

	switch (rand() % 12) {
	case 0:
		stop(f);
		m->synced = m->end;
		model_open(f, m);
		break;
	case 1:
		at = journal_synced(f->j);
		at.seq = m->cursor += (uint64_t)rand() % (m->synced - m->cursor + 1);
		journal_cursor_set(f->j, "slow", at);
		assert_int_equal(journal_trim(f->j, &f->e), 0);
		break;
	case 2:
		assert_int_equal(journal_bound(f->j, clock_real(), &f->e), 0);
		assert_true(stats(f).bytes <= 8000 + 2000);
		m->overflown = m->overflown || stats(f).dropped > 0;
		break;
	case 3: /* a disk that fails in the middle of a write */
		limit_file_size((rlim_t)(rand() % 1500));
		if (journal_sync(f->j, &f->e) == 0)
			m->synced = m->end;
		limit_file_size(RLIM_INFINITY);
		assert_true(journal_synced(f->j).seq >= m->synced);
		m->synced = journal_synced(f->j).seq; /* a part of them perhaps */
		if (journal_end(f->j).seq != m->end)
			m->kinds[++m->end] = ENTRY_OPEN;
		break;
	default:
		for (int count = rand() % 6; count > 0; count--) {
			m->kinds[++m->end] = rand() % 4 == 0 ? KEPT : VALUE;
			assert_int_equal(add(f, m->kinds[m->end], m->end).seq, m->end);
		}
		if (rand() % 3 == 0)
			break;
		sync_now(f);
		m->synced = m->end;
	}
	assert_int_equal(journal_end(f->j).seq, m->end);
	assert_int_equal(journal_synced(f->j).seq, m->synced);
}

/* From the oldest entry, and from the position of any other, as its reader found it. */
static void check_anew(struct fixture *f, const struct model *m)
{
	struct journal_reader *r = journal_reader_open(f->folder, (struct position){0}, &f->e);
	uint64_t first = read_first(r, f), next = first;
	struct journal_entry en = {.at = {0, 0}};
	uint64_t steps = (uint64_t)rand() % (m->synced - first + 1);

	journal_reader_close(r);
	r = journal_reader_open(f->folder, (struct position){0}, &f->e);
	assert_non_null(r);
	check_model(f, m, r, &next);
	journal_reader_close(r);
	r = journal_reader_open(f->folder, (struct position){0}, &f->e);
	journal_reader_limit(r, journal_synced(f->j));
	while (steps-- > 0 && journal_read_next(r, &en, &f->e) == 1)
		;
	journal_reader_close(r);
	next = en.at.seq > 0 ? en.at.seq + 1 : first;
	r = journal_reader_open(f->folder, en.at, &f->e);
	if (r == NULL)
		fail_msg("%s", f->e.text);
	check_model(f, m, r, &next);
	journal_reader_close(r);
}

/* One reader follows all the way, others begin anywhere. */
static void random_operations_agree_with_a_model(void **state)
{
	struct fixture *f = *state;
	struct model *m = mem_alloc(sizeof *m);
	struct journal_reader *follower;
	uint64_t next = 1;

	seed_random();
	f->options = (struct journal_options){.segment_bytes = 600, .max_bytes = 8000, .is_kept = is_kept};
	model_open(f, m);
	follower = journal_reader_open(f->folder, (struct position){0}, &f->e);
	/* It has begun: otherwise it would begin, without a gap, behind what is trimmed before its first turn. */
	sync_now(f);
	m->synced = m->end;
	check_model(f, m, follower, &next);
	for (int step = 0; step < 1500; step++) {
		model_step(f, m);
		if (rand() % 3 == 0)
			check_model(f, m, follower, &next);
		if (rand() % 40 == 0 && m->synced > 0) {
			check_anew(f, m);
		}
	}
	journal_reader_close(follower);
	free(m);
}

/* Any changed byte, zeroed run or cut, anywhere in any segment: at most the records that it touches are missing,
 * each in a gap that is told; all others come, once, in order. */
static void damage_anywhere_is_never_silent(void **state)
{
	struct fixture *f = *state;
	struct journal_reader *r;

	seed_random();
	f->options.segment_bytes = 1000;
	start(f);
	add_synced(f, VALUE, 40);
	for (int turn = 0; turn < 600; turn++) {
		char *path = segment_path(f, (size_t)rand() % count_segments(f));
		int64_t size = file_size(path), at = rand() % size;
		uint8_t saved[4096];
		int fd = open(path, O_RDWR);
		struct seen s;

		assert_int_equal(pread(fd, saved, sizeof saved, 0), size);
		if (turn % 3 == 0)
			assert_int_equal(pwrite(fd, "\0\0\0\0\0\0\0\0", 8, at), 8);
		else if (turn % 3 == 1)
			assert_int_equal(pwrite(fd, &(char){(char)(saved[at] ^ (1 << rand() % 8))}, 1, at), 1);
		else
			assert_int_equal(ftruncate(fd, at), 0);
		r = journal_reader_open(f->folder, (struct position){0}, &f->e);
		assert_non_null(r);
		journal_reader_limit(r, journal_synced(f->j));
		s = read_with(r, 1);
		assert_int_equal(s.last, 41);
		if (turn % 3 < 2)
			assert_true(s.missing <= (turn % 3 == 0 ? 2 : 1));
		else
			assert_true(s.missing <= 13);
		assert_true(s.gaps <= 1);
		journal_reader_close(r);
		assert_int_equal(pwrite(fd, saved, (size_t)size, 0), size);
		assert_int_equal(ftruncate(fd, size), 0);
		close(fd);
		free(path);
	}
}

/* ---- bound */

static void overflow_drops_the_oldest_values_first_and_leaves_gaps(void **state)
{
	struct fixture *f = *state;
	struct seen s;

	f->options = (struct journal_options){.segment_bytes = 2000, .max_bytes = 20000, .is_kept = is_kept};
	start(f);
	for (unsigned i = 0; i < 400; i++)
		add_synced(f, i % 10 == 0 ? KEPT : VALUE, 1);
	assert_int_equal(journal_bound(f->j, clock_real(), &f->e), 0);
	assert_true(stats(f).bytes <= 20000);
	s = read_all(f);
	assert_int_equal(s.first, 1);
	assert_int_equal(s.last, 401);
	assert_int_equal(s.kept, 40);
	assert_int_equal(s.values + s.kept + s.opens + s.missing, 401);
	assert_int_equal(stats(f).dropped, s.missing);
	stop(f);
	start(f);
	assert_int_equal(read_all(f).missing, s.missing);
}

static void overflow_by_kept_entries_drops_the_oldest_of_them_last(void **state)
{
	struct fixture *f = *state;
	struct seen s;

	f->options = (struct journal_options){.segment_bytes = 2000, .max_bytes = 10000, .is_kept = is_kept};
	start(f);
	add_synced(f, VALUE, 100);
	add_synced(f, KEPT, 300);
	assert_int_equal(journal_bound(f->j, clock_real(), &f->e), 0);
	assert_true(stats(f).bytes <= 10000);
	s = read_all(f);
	assert_int_equal(s.first, 1);
	assert_int_equal(s.gaps, 1);
	assert_int_equal(s.values, 0);
	assert_int_equal(s.missing + s.kept, 401);
	assert_int_equal(stats(f).dropped, s.missing);
	assert_int_equal(count_segments(f), stats(f).segments);
}

static void entries_too_old_are_dropped_but_for_those_that_are_kept(void **state)
{
	struct fixture *f = *state;
	int64_t day = 86400 * NS_PER_S;
	struct seen s;

	f->options = (struct journal_options){.segment_bytes = 2000, .max_age = 3 * day, .is_kept = is_kept};
	start(f);
	for (unsigned i = 0; i < 200; i++)
		add_synced(f, i % 10 == 0 ? KEPT : VALUE, 1);
	assert_int_equal(journal_bound(f->j, clock_real() + 2 * day, &f->e), 0);
	assert_int_equal(read_all(f).missing, 0);
	assert_int_equal(journal_bound(f->j, clock_real() + 4 * day, &f->e), 0);
	s = read_all(f);
	assert_int_equal(s.kept, 20);
	assert_true(s.values < 30);
	assert_int_equal(s.values + s.kept + s.missing + s.opens, 201);
}

static void a_cursor_left_behind_gets_a_gap_for_what_was_dropped(void **state)
{
	struct fixture *f = *state;
	struct position at;
	struct seen s;

	f->options = (struct journal_options){.segment_bytes = 1000, .max_bytes = 4000};
	start(f);
	add_synced(f, VALUE, 20);
	at = (struct position){journal_synced(f->j).epoch, 7};
	add_synced(f, VALUE, 200);
	assert_int_equal(journal_bound(f->j, clock_real(), &f->e), 0);
	s = read_from(f, at);
	assert_int_equal(s.gaps, 1);
	assert_int_equal(s.first, 8);
	assert_int_equal(s.entries + s.missing, 221 - 7);
	assert_true(count_segments(f) < 8);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(entries_come_back_in_order_with_their_positions),
		CASE(what_was_not_synced_is_not_there),
		CASE(each_opening_has_an_epoch_of_its_own_and_says_what_was_before),
		CASE(every_entry_stands_where_its_reader_finds_it),
		CASE(an_empty_payload_and_the_largest_one_come_back),
		CASE(a_second_writer_is_refused_by_the_pid_of_the_first),
		CASE(a_folder_that_cannot_be_is_an_error_with_its_name),
		CASE(cursors_are_kept_over_a_close),
		CASE(a_cursor_never_stands_behind_what_is_synced),
		CASE(trim_removes_what_all_cursors_have_passed_and_no_more),
		CASE(trim_of_all_keeps_the_write_position),
		CASE(a_reader_follows_rotation_reopening_and_trim),
		CASE(a_segment_unlinked_before_it_was_read_is_a_gap),
		CASE(a_reader_stops_at_its_limit),
		CASE(a_hole_over_the_limit_is_told_up_to_it),
		CASE(of_two_segments_with_one_first_seq_the_younger_counts),
		CASE(a_start_of_another_journal_is_refused_by_name),
		CASE(a_torn_end_is_cut_kept_aside_and_counted),
		CASE(every_cut_of_the_last_segment_loses_only_what_was_cut),
		CASE(a_damaged_record_costs_itself_alone_and_is_told),
		CASE(damage_in_the_last_segment_is_counted_at_opening),
		CASE(synced_entries_missing_at_the_end_are_a_gap_and_never_reused),
		CASE(a_lost_state_record_is_rebuilt_from_the_segments),
		CASE(a_damaged_state_record_is_replaced_by_the_one_before),
		CASE(strange_files_in_the_folder_are_left_alone),
		CASE(a_segment_without_a_record_is_set_aside),
		CASE(a_new_journal_with_a_first_crash_is_not_a_lost_one),
		CASE(a_segment_emptied_by_others_is_a_gap_and_told),
		CASE(entries_of_a_failed_sync_go_to_a_new_segment_and_are_read_once),
		CASE(a_sync_that_fails_often_leaves_no_files_behind),
		CASE(a_disk_with_room_for_some_takes_some),
		CASE(records_behind_the_end_of_a_given_up_segment_are_void),
		CASE(random_lives_lose_nothing_that_was_synced),
		CASE(random_operations_agree_with_a_model),
		CASE(damage_anywhere_is_never_silent),
		CASE(overflow_drops_the_oldest_values_first_and_leaves_gaps),
		CASE(overflow_by_kept_entries_drops_the_oldest_of_them_last),
		CASE(entries_too_old_are_dropped_but_for_those_that_are_kept),
		CASE(a_cursor_left_behind_gets_a_gap_for_what_was_dropped),
	};

	signal(SIGXFSZ, SIG_IGN);
	log_open("test", LOG_LEVEL_ERROR);
	return cmocka_run_group_tests_name("journal", tests, NULL, NULL);
}
