#define RRD_EXPORT_DEPRECATED
#include "collector/series_rrd.h"

#include <fcntl.h>
#include <math.h>
#include <rrd.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "collector/series_catalogue.h"
#include "collector/settings.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/config.h"
#include "lib/err.h"
#include "lib/mem.h"

#define FIRST 1700000007

static struct settings_archive rings[] = {
	{.step = 0, .keep = 600 * NS_PER_S},
	{.step = 60 * NS_PER_S, .keep = 3600 * NS_PER_S},
	{.step = 7 * NS_PER_S, .keep = 600 * NS_PER_S},
};
static const struct config_list archives = {2, rings};

struct world {
	struct series_catalogue *catalogue;
	struct series_file *file;
	char folder[64], path[128];
	uint64_t seq;
};

static int setup(void **state)
{
	struct world *w = mem_alloc(sizeof *w);
	struct result r = {.check = "web", .type = "tcp", .interval_s = 10, .family = FAMILY_V4, .part = ""};
	const char *why;

	snprintf(w->folder, sizeof w->folder, "/tmp/xunjian-test-XXXXXX");
	assert_non_null(mkdtemp(w->folder));
	snprintf(w->path, sizeof w->path, "%s/4.rrd", w->folder);
	w->catalogue = series_catalogue_new(4);
	w->file = &series_catalogue_add(w->catalogue, "city", &r, &why)->file;
	*state = w;
	return 0;
}

static int teardown(void **state)
{
	struct world *w = *state;
	char *remove = mem_format("rm -rf %s", w->folder);

	assert_int_equal(system(remove), 0);
	free(remove);
	series_catalogue_free(w->catalogue);
	free(w);
	return 0;
}

static void queue(struct world *w, int64_t time, double value)
{
	const double numbers[] = {1, value, NAN};

	series_catalogue_queue(w->catalogue, w->file, time, 10, numbers, (struct position){1, w->seq++}, 0);
}

static void queue_every(struct world *w, int64_t from, int64_t to, int64_t step)
{
	for (int64_t t = from; t < to; t += step)
		queue(w, t, (double)(t % 1000) / 1000);
}

static void create(struct world *w)
{
	struct err e;

	assert_int_equal(series_rrd_create(w->path, w->file, FIRST, 10, &archives, &e), 0);
}

static void write_queue(struct world *w)
{
	struct series_rrd r;
	struct err e;

	assert_int_equal(series_rrd_open(w->path, 3, &r, &e), SERIES_RRD_GOOD);
	assert_int_equal(series_rrd_update(w->path, &r, w->file, &e), 0);
	series_catalogue_written(w->catalogue, w->file, w->file->queue.newest);
	series_rrd_close(&r);
}

static size_t on_dump(const void *data, size_t len, void *user)
{
	buf_add(user, data, len);
	return len;
}

static char *dump(const char *path)
{
	struct buf out = {0};

	rrd_clear_error();
	assert_int_equal(rrd_dump_cb_r(path, 1, on_dump, &out), 0);
	buf_add_u8(&out, 0);
	return (char *)out.data;
}

static void a_new_file_has_its_columns_rings_and_size(void **state)
{
	struct world *w = *state;
	struct series_rrd r;
	struct stat st;
	char *text;
	struct err e;

	create(w);
	assert_int_equal(series_rrd_open(w->path, 3, &r, &e), SERIES_RRD_GOOD);
	assert_int_equal(r.last, FIRST - 10);
	assert_int_equal(r.step, 10);
	assert_int_equal(r.heartbeat, 30);
	series_rrd_close(&r);
	assert_int_equal(stat(w->path, &st), 0);
	assert_int_equal(st.st_size, series_rrd_size(3, 10, &archives));
	text = dump(w->path);
	assert_non_null(strstr(text, "<name> up </name>"));
	assert_non_null(strstr(text, "<name> connect </name>"));
	assert_non_null(strstr(text, "<cf>MAX</cf>\n\t\t<pdp_per_row>6</pdp_per_row>"));
	free(text);
	/* It is not overwritten, and a ring that comes to the width of another is no ring of its own. */
	assert_int_equal(series_rrd_create(w->path, w->file, FIRST, 10, &archives, &e), -1);
	assert_true(series_rrd_size(3, 10, &(struct config_list){3, rings}) == series_rrd_size(3, 10, &archives));
}

static void one_bundle_or_many_calls_make_the_same_file(void **state)
{
	struct world *w = *state;
	char *one, *many;

	create(w);
	queue_every(w, FIRST, FIRST + 7000, 7);
	write_queue(w);
	one = dump(w->path);
	assert_int_equal(unlink(w->path), 0);
	create(w);
	for (int64_t t = FIRST; t < FIRST + 7000; t += 7) {
		queue_every(w, t, t + 7, 7);
		write_queue(w);
	}
	many = dump(w->path);
	assert_string_equal(one, many);
	free(one);
	free(many);
}

static void the_heartbeat_follows_the_interval_and_the_step_stays(void **state)
{
	const double numbers[] = {1, 2, 3};
	struct world *w = *state;
	struct series_rrd_values v;
	struct series_rrd r;
	struct err e;

	create(w);
	queue(w, FIRST, 1);
	series_catalogue_queue(w->catalogue, w->file, FIRST + 10, 60, numbers, (struct position){1, 1}, 0);
	series_catalogue_queue(w->catalogue, w->file, FIRST + 70, 60, numbers, (struct position){1, 1}, 0);
	write_queue(w);
	assert_int_equal(series_rrd_open(w->path, 3, &r, &e), SERIES_RRD_GOOD);
	assert_int_equal(r.heartbeat, 180);
	assert_int_equal(r.step, 10);
	series_rrd_close(&r);
	/* A minute between two values is no gap now. */
	assert_int_equal(series_rrd_read(w->path, w->file, FIRST + 20, FIRST + 60, 100, &v, &e), 0);
	assert_int_equal(v.step, 10);
	for (size_t i = 0; i < v.rows - 1; i++)
		assert_true(fabs(v.numbers[SERIES_RRD_AVERAGE][v.rows + i] - 2) < 1e-9);
	series_rrd_values_fini(&v);
}

static bool same(double a, double b)
{
	return (isnan(a) && isnan(b)) || a == b;
}

/* What is read with a queue on top is what is read when it has been written. */
static void reading_with_a_queue_equals_reading_after_it_is_written(void **state)
{
	static const uint32_t points[] = {1, 7, 60, 1000};
	unsigned seed = (unsigned)time(NULL);
	struct world *w = *state;
	struct series_rrd_values before[4], after;
	int64_t t = FIRST;
	struct err e;

	printf("seed %u\n", seed);
	srand(seed);
	create(w);
	for (int turn = 0; turn < 60; turn++) {
		int64_t from = t - rand() % 4000, to = t + rand() % 500;

		for (int n = rand() % (turn % 10 == 0 ? 300 : 10); n >= 0; n--)
			queue(w, t += 1 + rand() % 15, rand() % 1000);
		if (turn % 15 == 14)
			queue(w, t += 5000, 1); /* past all rows of the first ring */
		for (int i = 0; i < 4; i++)
			assert_int_equal(series_rrd_read(w->path, w->file, from, to, points[i], &before[i], &e), 0);
		write_queue(w);
		for (int i = 0; i < 4; i++) {
			assert_int_equal(series_rrd_read(w->path, w->file, from, to, points[i], &after, &e), 0);
			assert_int_equal(after.rows, before[i].rows);
			assert_int_equal(after.start, before[i].start);
			for (int f = 0; f < SERIES_RRD_FUNCTIONS; f++) {
				assert_int_equal(after.numbers[f] == NULL, before[i].numbers[f] == NULL);
				for (size_t k = 0; after.numbers[f] != NULL && k < after.rows * after.columns; k++)
					assert_true(same(after.numbers[f][k], before[i].numbers[f][k]));
			}
			series_rrd_values_fini(&after);
			series_rrd_values_fini(&before[i]);
		}
	}
}

/* Against librrd's own fetch, where both read the same ring. */
static void what_is_read_is_what_librrd_fetches(void **state)
{
	struct world *w = *state;
	struct series_rrd_values v;
	time_t start = FIRST + 1000, end = FIRST + 1500;
	unsigned long step = 10, columns;
	char **names;
	rrd_value_t *data;
	struct err e;

	create(w);
	queue_every(w, FIRST, FIRST + 1600, 7);
	write_queue(w);
	rrd_clear_error();
	assert_int_equal(rrd_fetch_r(w->path, "AVERAGE", &start, &end, &step, &columns, &names, &data), 0);
	assert_int_equal(series_rrd_read(w->path, w->file, start, end, 1000, &v, &e), 0);
	assert_int_equal(v.step, step);
	assert_int_equal(v.start, start);
	assert_int_equal(v.columns, columns);
	for (size_t i = 0; i < v.rows; i++) {
		for (size_t c = 0; c < columns; c++)
			assert_true(same(v.numbers[SERIES_RRD_AVERAGE][c * v.rows + i], data[i * columns + c]));
	}
	for (size_t c = 0; c < columns; c++)
		rrd_freemem(names[c]);
	rrd_freemem(names);
	rrd_freemem(data);
	series_rrd_values_fini(&v);
}

static void few_points_get_minimum_and_maximum_of_what_they_cover(void **state)
{
	struct world *w = *state;
	struct series_rrd_values v;
	struct err e;

	create(w);
	queue_every(w, FIRST, FIRST + 600, 1);
	write_queue(w);
	assert_int_equal(series_rrd_read(w->path, w->file, FIRST, FIRST + 500, 10, &v, &e), 0);
	assert_true(v.rows <= 10 && v.step % 10 == 0);
	for (size_t i = 1; i < v.rows - 1; i++) {
		size_t at = v.rows + i; /* column "connect" */

		assert_true(v.numbers[SERIES_RRD_MIN][at] < v.numbers[SERIES_RRD_AVERAGE][at]);
		assert_true(v.numbers[SERIES_RRD_MAX][at] > v.numbers[SERIES_RRD_AVERAGE][at]);
	}
	series_rrd_values_fini(&v);
}

static void put_bytes(const char *path, const void *bytes, size_t len, off_t at)
{
	int fd = open(path, O_WRONLY);

	assert_int_equal(pwrite(fd, bytes, len, at), len);
	close(fd);
}

static void damage_is_seen_before_librrd_follows_it(void **state)
{
	static const uint8_t ones[8] = {255, 255, 255, 255, 255, 255, 255, 255};
	struct world *w = *state;
	struct series_rrd r;
	size_t head_len;
	struct err e;
	int seen = 0;

	create(w);
	assert_int_equal(series_rrd_open(w->path, 4, &r, &e), SERIES_RRD_DAMAGED); /* of another layout */
	assert_int_equal(series_rrd_open(w->path, 3, &r, &e), SERIES_RRD_GOOD);
	head_len = r.head.len;
	/* Pointers into the rings, counts, sizes: each eight bytes of what is static, and the row pointers. */
	for (size_t at = 0; at < head_len; at += 8) {
		struct series_rrd other;
		enum series_rrd_found found;

		put_bytes(w->path, ones, 8, (off_t)at);
		found = series_rrd_open(w->path, 3, &other, &e);
		seen += found == SERIES_RRD_DAMAGED;
		assert_true(found == SERIES_RRD_DAMAGED || at >= 48 /* parameters, scratch */);
		assert_true(found == SERIES_RRD_DAMAGED || at < head_len - 4 * 8 /* row pointers */);
		if (found == SERIES_RRD_GOOD)
			series_rrd_close(&other);
		put_bytes(w->path, r.head.data + at, 8, (off_t)at);
	}
	assert_true(seen > 20);
	assert_int_equal(truncate(w->path, (off_t)head_len + 8), 0);
	series_rrd_close(&r);
	assert_int_equal(series_rrd_open(w->path, 3, &r, &e), SERIES_RRD_DAMAGED);
	assert_int_equal(truncate(w->path, 5), 0);
	assert_int_equal(series_rrd_open(w->path, 3, &r, &e), SERIES_RRD_DAMAGED);
	unlink(w->path);
	assert_int_equal(series_rrd_open(w->path, 3, &r, &e), SERIES_RRD_ABSENT);
}

static void a_sparse_file_is_not_opened_until_it_is_filled(void **state)
{
	struct world *w = *state;
	struct series_rrd r;
	char *copy = mem_format("cp --sparse=never %s %s.2 && fallocate --punch-hole -o 8192 -l 8192 %s", w->path,
		w->path, w->path);
	char *compare = mem_format("cmp -s -i 16384 %s %s.2", w->path, w->path);
	struct err e;

	rings[1].keep = 360000 * NS_PER_S;
	create(w);
	rings[1].keep = 3600 * NS_PER_S;
	assert_int_equal(system(copy), 0);
	assert_int_equal(series_rrd_open(w->path, 3, &r, &e), SERIES_RRD_SPARSE);
	assert_int_equal(series_rrd_fill(w->path, &e), 0);
	assert_int_equal(series_rrd_open(w->path, 3, &r, &e), SERIES_RRD_GOOD);
	assert_int_equal(system(compare), 0);
	series_rrd_close(&r);
	free(copy);
	free(compare);
}

static void a_header_put_back_takes_the_same_values_again(void **state)
{
	struct world *w = *state;
	struct series_queue kept;
	struct series_rrd r;
	char *wanted, *found;
	struct err e;
	int fd;

	create(w);
	queue_every(w, FIRST, FIRST + 5000, 7);
	write_queue(w);
	assert_int_equal(series_rrd_open(w->path, 3, &r, &e), SERIES_RRD_GOOD);
	queue_every(w, FIRST + 5001, FIRST + 6000, 9);
	kept = w->file->queue;
	w->file->queue.data = mem_copy(kept.data, kept.len);
	write_queue(w);
	wanted = dump(w->path);
	fd = series_rrd_restore(w->path, r.head.data, r.head.len, &e);
	assert_true(fd >= 0);
	close(fd);
	w->file->queue = kept;
	assert_int_equal(series_rrd_update(w->path, &r, w->file, &e), 0);
	found = dump(w->path);
	assert_string_equal(wanted, found);
	/* It does not fit another file. */
	assert_int_equal(truncate(w->path, 10000), 0);
	assert_int_equal(series_rrd_restore(w->path, r.head.data, r.head.len, &e), -1);
	series_rrd_close(&r);
	free(wanted);
	free(found);
}

static void leftovers_of_an_interrupted_create_go_and_nothing_else(void **state)
{
	static const char *const names[] = {"4.rrdAbC123", "4.rrd.quarantine", "4.rrd", "4.1.rrdAbC123"};
	static const bool stays[] = {false, true, true, true};
	struct world *w = *state;
	char path[256];

	for (int i = 0; i < 4; i++) {
		snprintf(path, sizeof path, "%s/%s", w->folder, names[i]);
		close(open(path, O_CREAT | O_WRONLY, 0600));
	}
	series_rrd_remove_leftovers(w->path);
	for (int i = 0; i < 4; i++) {
		snprintf(path, sizeof path, "%s/%s", w->folder, names[i]);
		assert_int_equal(access(path, F_OK) == 0, stays[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_new_file_has_its_columns_rings_and_size, setup, teardown),
		cmocka_unit_test_setup_teardown(one_bundle_or_many_calls_make_the_same_file, setup, teardown),
		cmocka_unit_test_setup_teardown(the_heartbeat_follows_the_interval_and_the_step_stays, setup, teardown),
		cmocka_unit_test_setup_teardown(reading_with_a_queue_equals_reading_after_it_is_written, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_read_is_what_librrd_fetches, setup, teardown),
		cmocka_unit_test_setup_teardown(few_points_get_minimum_and_maximum_of_what_they_cover, setup, teardown),
		cmocka_unit_test_setup_teardown(damage_is_seen_before_librrd_follows_it, setup, teardown),
		cmocka_unit_test_setup_teardown(a_sparse_file_is_not_opened_until_it_is_filled, setup, teardown),
		cmocka_unit_test_setup_teardown(a_header_put_back_takes_the_same_values_again, setup, teardown),
		cmocka_unit_test_setup_teardown(leftovers_of_an_interrupted_create_go_and_nothing_else, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
