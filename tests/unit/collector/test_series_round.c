#include "collector/series_round.h"

#include <fcntl.h>
#include <rrd.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "collector/series_catalogue.h"
#include "collector/settings.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/config.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/mem.h"

#define FIRST 1700000007
#define CHECKS 3
#define SECONDS 500
#define INTERVAL 10

static struct settings_archive rings[] = {
	{.step = 0, .keep = 600 * NS_PER_S},
	{.step = 60 * NS_PER_S, .keep = 3600 * NS_PER_S},
};
static const struct config_list archives = {2, rings};

static char folder[64];

static int setup(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/xunjian-test-XXXXXX");
	assert_non_null(mkdtemp(folder));
	log_level_set(LOG_LEVEL_ERROR);
	return 0;
}

static void shell(const char *command)
{
	assert_int_equal(system(command), 0);
}

static int teardown(void **state)
{
	char *remove = mem_format("rm -rf %s", folder);

	(void)state;
	shell(remove);
	free(remove);
	return 0;
}

static struct series_round *open_round(int died_of)
{
	struct err e;
	struct series_round *r = series_round_open(folder, &archives, 64, died_of, &e);

	if (r == NULL)
		fail_msg("%s", e.text);
	return r;
}

/* ---- a small journal: entry n (from 1) is of check n % CHECKS at FIRST + n; a view that reads it from its cursor */

static struct series *find(struct series_round *r, unsigned check)
{
	struct series_catalogue *c = series_round_catalogue(r);
	struct result row = {.type = "tcp", .interval_s = INTERVAL, .family = FAMILY_V4, .part = "", .address = "",
		.reason = ""};
	char id[16];
	const char *why;
	struct series *s;

	snprintf(id, sizeof id, "check-%u", check);
	row.check = id;
	s = series_catalogue_find(c, id, "city", FAMILY_V4, "");
	return s != NULL ? s : series_catalogue_add(c, "city", &row, &why);
}

static void fold(struct series_round *r, uint64_t entry)
{
	const double numbers[] = {1, (double)(entry % 97) / 1000, (double)entry};
	struct series *s = find(r, (unsigned)(entry % CHECKS));
	int64_t time = FIRST + (int64_t)entry;

	if (time > s->file.last)
		series_catalogue_queue(series_round_catalogue(r), &s->file, time, INTERVAL, numbers,
			(struct position){1, entry - 1}, 0);
}

/* Works through all entries with a round every now and then; dies at step `die_at` of all steps (-1: never). */
static int work(struct series_round *r, int die_at)
{
	uint64_t at = series_round_cursor(r).seq;
	struct err e;
	int steps = 0;

	while (at < SECONDS || series_catalogue_queued_sets(series_round_catalogue(r)) > 0) {
		for (int i = 0; i < 130 && at < SECONDS; i++)
			fold(r, ++at);
		if (steps++ == die_at)
			raise(SIGKILL);
		if (series_round_begin(r, SERIES_ROUND_ALL, (struct position){1, at}, NS_PER_S, 0, &e) < 0)
			fail_msg("%s", e.text);
		do {
			if (steps++ == die_at)
				raise(SIGKILL);
			if (at < SECONDS) /* values go on coming as the round is under way */
				fold(r, ++at);
		} while (series_round_step(r, 0, &e) == 1);
	}
	assert_int_equal(series_round_cursor(r).seq, SECONDS);
	return steps;
}

/* ---- comparing */

static size_t on_dump(const void *data, size_t len, void *user)
{
	buf_add(user, data, len);
	return len;
}

/* All files dumped, one behind the other. */
static char *dump_all(void)
{
	struct buf out = {0};

	for (int c = 0; c < CHECKS; c++) {
		char *path = mem_format("%s/rrd/check-%d/city/4.rrd", folder, c);

		rrd_clear_error();
		assert_int_equal(rrd_dump_cb_r(path, 1, on_dump, &out), 0);
		free(path);
	}
	buf_add_u8(&out, 0);
	return (char *)out.data;
}

static void forget(void)
{
	char *remove = mem_format("rm -rf %s/rrd %s/series", folder, folder);

	shell(remove);
	free(remove);
}

static void run_child(int die_at)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct series_round *r = open_round(0);

		work(r, die_at);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(die_at < 0 ? WIFEXITED(status) : WIFSIGNALED(status));
}

static void killed_at_every_step_the_files_end_up_the_same(void **state)
{
	struct series_round *r = open_round(0);
	int steps = work(r, -1);
	char *wanted = dump_all(), *found;

	(void)state;
	series_round_close(r);
	assert_true(steps > 50);
	for (int i = 0; i < steps; i++) {
		forget();
		run_child(i);
		r = open_round(SIGKILL);
		work(r, -1);
		series_round_close(r);
		found = dump_all();
		if (strcmp(wanted, found) != 0)
			fail_msg("killed at step %d of %d: the files differ", i, steps);
		free(found);
	}
	free(wanted);
}

static void killed_again_as_it_recovers_the_files_end_up_the_same(void **state)
{
	struct series_round *r = open_round(0);
	int steps = work(r, -1);
	char *wanted = dump_all(), *found;

	(void)state;
	series_round_close(r);
	for (int i = 0; i < steps; i += 5) {
		forget();
		/* Each life does one step more of what is left than the one before. */
		for (int life = i % 7; life < i % 7 + 8; life++)
			run_child(life);
		r = open_round(SIGKILL);
		work(r, -1);
		series_round_close(r);
		found = dump_all();
		assert_string_equal(wanted, found);
		free(found);
	}
	free(wanted);
}

static void a_catalogue_and_a_cursor_come_back(void **state)
{
	struct series_round *r = open_round(0);

	(void)state;
	work(r, -1);
	series_round_close(r);
	r = open_round(0);
	assert_int_equal(series_round_cursor(r).seq, SECONDS);
	assert_int_equal(series_round_folded(r).seq, SECONDS);
	assert_int_equal(series_catalogue_count(series_round_catalogue(r)), CHECKS);
	assert_int_equal(series_round_stats(r)->restored, 0);
	series_round_close(r);
}

static void the_cursor_never_passes_a_value_that_waits(void **state)
{
	struct series_round *r = open_round(0);
	struct err e;

	(void)state;
	for (uint64_t n = 1; n <= 60; n++)
		fold(r, n);
	/* A checkpoint alone: nothing is written, all waits. */
	assert_int_equal(series_round_begin(r, SERIES_ROUND_NONE, (struct position){1, 60}, NS_PER_S, 0, &e), 0);
	assert_int_equal(series_round_step(r, 0, &e), 0);
	assert_int_equal(series_round_cursor(r).seq, 0);
	assert_int_equal(series_round_begin(r, SERIES_ROUND_ALL, (struct position){1, 60}, NS_PER_S, 0, &e), 0);
	assert_int_equal(series_round_step(r, 0, &e), 1); /* one file is written */
	assert_int_equal(series_round_cursor(r).seq, 0);
	fold(r, 61);
	while (series_round_step(r, 0, &e) == 1)
		;
	assert_int_equal(series_round_cursor(r).seq, 60);
	series_round_close(r);
}

/* ---- damage */

static void spoil(unsigned check)
{
	char *path = mem_format("%s/rrd/check-%u/city/4.rrd", folder, check);
	int fd = open(path, O_WRONLY);

	assert_int_equal(pwrite(fd, "spoiled by a test", 17, 0), 17);
	close(fd);
	free(path);
}

static void do_round(struct series_round *r, uint64_t folded)
{
	struct err e;

	if (series_round_begin(r, SERIES_ROUND_ALL, (struct position){1, folded}, NS_PER_S, 0, &e) != 0)
		return;
	while (series_round_step(r, 0, &e) == 1)
		;
}

static bool exists(const char *below)
{
	char *path = mem_format("%s/%s", folder, below);
	bool found = access(path, F_OK) == 0;

	free(path);
	return found;
}

static void a_file_damaged_twice_is_put_aside_and_begun_anew(void **state)
{
	struct series_round *r = open_round(0);

	(void)state;
	log_level_set(LOG_LEVEL_ERROR);
	for (uint64_t n = 1; n <= 60; n++)
		fold(r, n);
	do_round(r, 60);
	spoil(1);
	for (uint64_t n = 61; n <= 120; n++)
		fold(r, n);
	do_round(r, 120);
	/* The others went on; what waits for this one holds the cursor. */
	assert_int_equal(find(r, 0)->file.queue.count, 0);
	assert_true(find(r, 1)->file.queue.count > 0);
	assert_int_equal(series_round_stats(r)->held, 1);
	assert_int_equal(series_round_cursor(r).seq, 60);
	do_round(r, 120);
	assert_true(exists("rrd/check-1/city/4.rrd.quarantine"));
	assert_int_equal(series_round_stats(r)->quarantined, 1);
	assert_int_equal(find(r, 1)->file.queue.count, 0);
	assert_int_equal(series_round_cursor(r).seq, 120);
	/* And once more: the first one put aside stays. */
	spoil(1);
	fold(r, 121), fold(r, 124);
	do_round(r, 124);
	do_round(r, 124);
	assert_true(exists("rrd/check-1/city/4.rrd.1.quarantine"));
	series_round_close(r);
}

/* Dies by the signal while librrd has a file: as it does of a disk that fails under the map. */
static void die_in_update(int by)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		struct series_round *r = open_round(0);
		char *path = mem_format("%s/series/at-work", folder);
		int fd = open(path, O_WRONLY);

		if (fd < 0 || pwrite(fd, "check-1/city/4.rrd", 19, 0) != 19 || r == NULL)
			_exit(1);
		signal(by, SIG_DFL); /* not for the test's own handler */
		raise(by);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
}

static void a_file_that_two_processes_died_of_is_put_aside(void **state)
{
	struct series_round *r = open_round(0);

	(void)state;
	work(r, -1);
	series_round_close(r);
	/* Kills from outside say nothing about a file, however often. */
	for (int i = 0; i < 5; i++) {
		die_in_update(SIGKILL);
		series_round_close(open_round(SIGKILL));
	}
	assert_true(exists("rrd/check-1/city/4.rrd"));
	die_in_update(SIGBUS);
	series_round_close(open_round(SIGBUS));
	assert_true(exists("rrd/check-1/city/4.rrd"));
	die_in_update(SIGBUS);
	r = open_round(SIGBUS);
	assert_false(exists("rrd/check-1/city/4.rrd"));
	assert_true(exists("rrd/check-1/city/4.rrd.quarantine"));
	series_round_close(r);
}

static void a_damaged_checkpoint_is_put_aside_and_the_one_before_does(void **state)
{
	char *path = mem_format("%s/series/checkpoint", folder);
	struct series_round *r = open_round(0);
	int fd;

	(void)state;
	for (uint64_t n = 1; n <= 60; n++)
		fold(r, n);
	do_round(r, 60);
	for (uint64_t n = 61; n <= 120; n++)
		fold(r, n);
	do_round(r, 120);
	series_round_close(r);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "spoiled by a test", 17, 40), 17);
	close(fd);
	r = open_round(0);
	assert_int_equal(series_round_cursor(r).seq, 60);
	assert_int_equal(series_catalogue_count(series_round_catalogue(r)), CHECKS);
	assert_true(exists("series/checkpoint.quarantine"));
	/* Told again what the files hold already, they take what they lack. */
	for (uint64_t n = 61; n <= 150; n++)
		fold(r, n);
	do_round(r, 150);
	assert_int_equal(series_round_cursor(r).seq, 150);
	assert_int_equal(series_round_stats(r)->failures, 0);
	series_round_close(r);
	free(path);
}

static void a_check_keeps_its_files_over_a_rename_and_a_crash_in_it(void **state)
{
	char *back = mem_format("mkdir -p %s/rrd/check-2 && mv %s/rrd/portal/city %s/rrd/check-2/city && "
		"cp %s/series.kept %s/series/checkpoint", folder, folder, folder, folder, folder);
	char *keep = mem_format("cp %s/series/checkpoint %s/series.kept", folder, folder);
	char *forth = mem_format("mkdir -p %s/rrd/portal && mv %s/rrd/check-2/city %s/rrd/portal/city", folder, folder,
		folder);
	struct series_round *r = open_round(0);
	const struct position end = {1, SECONDS};
	struct err e;

	(void)state;
	work(r, -1);
	shell(keep);
	assert_int_equal(series_round_rename(r, false, "check-2", "portal", end, 0, &e), 0);
	assert_true(exists("rrd/portal/city/4.rrd"));
	assert_false(exists("rrd/check-2"));
	series_round_close(r);
	/* The crash came between folder and checkpoint. */
	shell(back);
	shell(forth);
	r = open_round(0);
	assert_non_null(series_catalogue_find(series_round_catalogue(r), "check-2", "city", FAMILY_V4, ""));
	assert_int_equal(series_round_rename(r, false, "check-2", "portal", end, 0, &e), 0);
	assert_non_null(series_catalogue_find(series_round_catalogue(r), "portal", "city", FAMILY_V4, ""));
	assert_true(exists("rrd/portal/city/4.rrd"));
	/* The vantage too; then all is as it was but for the names. */
	assert_int_equal(series_round_rename(r, true, "city", "hall", end, 0, &e), 0);
	assert_true(exists("rrd/portal/hall/4.rrd"));
	assert_true(exists("rrd/check-0/hall/4.rrd"));
	assert_false(exists("rrd/check-0/city"));
	series_round_close(r);
	r = open_round(0);
	assert_non_null(series_catalogue_find(series_round_catalogue(r), "portal", "hall", FAMILY_V4, ""));
	series_round_close(r);
	free(back);
	free(keep);
	free(forth);
}

/* In place of those of the C library. */
static struct {
	unsigned files, whole;
} syncs;

int fdatasync(int fd)
{
	syncs.files++;
	return (int)syscall(SYS_fdatasync, fd);
}

int syncfs(int fd)
{
	syncs.whole++;
	return (int)syscall(SYS_syncfs, fd);
}

/* What waits for a step to end, a page that asks, say, waits for one file at most; all of them are synced. */
static void do_round_by_steps(struct series_round *r, uint64_t folded)
{
	uint64_t files = series_round_stats(r)->files;
	struct err e;
	int rc;

	assert_int_equal(series_round_begin(r, SERIES_ROUND_ALL, (struct position){1, folded}, NS_PER_S, 0, &e), 0);
	syncs.files = 0;
	do {
		unsigned before = syncs.files;

		rc = series_round_step(r, 0, &e);
		assert_true(syncs.files - before <= 1);
	} while (rc == 1);
	assert_int_equal(rc, 0);
	assert_int_equal(syncs.files, series_round_stats(r)->files - files + 1); /* the checkpoint too */
	assert_int_equal(syncs.whole, 0);
}

static void however_many_files_a_step_syncs_one(void **state)
{
	struct series_round *r = open_round(0);
	const double numbers[] = {1, 2, 3};
	struct err e;
	int steps;

	(void)state;
	for (int turn = 0; turn < 2; turn++) {
		for (unsigned c = 0; c < 300; c++) {
			struct series_file *f = &find(r, c)->file;

			series_catalogue_queue(series_round_catalogue(r), f, FIRST + turn * 10, INTERVAL, numbers,
				(struct position){1, c}, 0);
		}
		for (int i = 0; i < 6 && series_catalogue_queued_sets(series_round_catalogue(r)) > 0; i++)
			do_round_by_steps(r, 300);
		assert_int_equal(series_catalogue_queued_sets(series_round_catalogue(r)), 0);
		assert_int_equal(series_round_cursor(r).seq, 300);
	}
	assert_int_equal(series_round_stats(r)->created, 300);
	/* 5 rounds made 64 files each at most, one wrote all. */
	assert_int_equal(series_round_stats(r)->rounds, 6);
	steps = series_round_begin(r, SERIES_ROUND_ALL, (struct position){1, 300}, NS_PER_S, 0, &e);
	assert_int_equal(steps, 1);
	series_round_close(r);
}

/* What stands where the 200th of 300 new files goes is looked at in the round that makes that file, not in each before. */
static void new_files_that_must_wait_are_not_even_looked_for(void **state)
{
	static const double numbers[] = {1, 0.5, 7};
	struct series_round *r = open_round(0);
	struct series_file *f;
	char *path = mem_format("mkdir -p %s/rrd/check-199/city && echo no file of ours > %s/rrd/check-199/city/4.rrd",
		folder, folder);

	(void)state;
	for (unsigned c = 0; c < 300; c++)
		series_catalogue_queue(series_round_catalogue(r), &find(r, c)->file, FIRST + c, INTERVAL, numbers,
			(struct position){1, c}, 0);
	shell(path);
	free(path);
	f = &find(r, 199)->file;
	do_round(r, 300);
	assert_int_equal(series_round_stats(r)->created, 64);
	assert_int_equal(series_round_stats(r)->waiting_new, 300 - 64);
	assert_int_equal(f->failures, 0);
	for (int i = 0; i < 5; i++)
		do_round(r, 300);
	assert_int_equal(series_round_stats(r)->waiting_new, 0);
	assert_int_equal(series_catalogue_queued_sets(series_round_catalogue(r)), 0);
	assert_int_equal(series_round_stats(r)->quarantined, 1);
	series_round_close(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(killed_at_every_step_the_files_end_up_the_same, setup, teardown),
		cmocka_unit_test_setup_teardown(killed_again_as_it_recovers_the_files_end_up_the_same, setup, teardown),
		cmocka_unit_test_setup_teardown(a_catalogue_and_a_cursor_come_back, setup, teardown),
		cmocka_unit_test_setup_teardown(the_cursor_never_passes_a_value_that_waits, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_damaged_twice_is_put_aside_and_begun_anew, setup, teardown),
		cmocka_unit_test_setup_teardown(a_file_that_two_processes_died_of_is_put_aside, setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_checkpoint_is_put_aside_and_the_one_before_does, setup, teardown),
		cmocka_unit_test_setup_teardown(a_check_keeps_its_files_over_a_rename_and_a_crash_in_it, setup, teardown),
		cmocka_unit_test_setup_teardown(however_many_files_a_step_syncs_one, setup, teardown),
		cmocka_unit_test_setup_teardown(new_files_that_must_wait_are_not_even_looked_for, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
