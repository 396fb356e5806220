#include "collector/series_catalogue.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "collector/channel.h"
#include "lib/buf.h"
#include "lib/err.h"

static struct result row(const char *check, enum family family, const char *part)
{
	return (struct result){.check = check, .type = "http", .interval_s = 60, .family = family,
		.outcome = OUTCOME_UP, .part = part, .address = "2001:db8::1", .reason = "慢"};
}

static struct series *add(struct series_catalogue *c, const char *check, enum family family, const char *part)
{
	struct result r = row(check, family, part);
	const char *why;

	return series_catalogue_add(c, "city", &r, &why);
}

static void a_catalogue_comes_back_from_its_bytes(void **state)
{
	struct series_catalogue *c = series_catalogue_new(64), *again = series_catalogue_new(64);
	struct result r = row("web", FAMILY_V6, "eth0");
	struct series *s = add(c, "web", FAMILY_V6, "eth0");
	struct buf bytes = {0};
	struct err e;

	(void)state;
	add(c, "web", FAMILY_V4, "");
	series_catalogue_result(c, s, &r, 5000, 5000);
	r.outcome = OUTCOME_DOWN;
	series_catalogue_now(c, s, &r, 6000, 6000);
	series_catalogue_file(c, s, 4711);
	series_catalogue_written(c, &s->file, 1700000000);
	s->file.is_new = false;
	series_catalogue_encode(c, 0, 2, &bytes);
	assert_int_equal(series_catalogue_decode(again, bytes.data, bytes.len, &e), 0);
	assert_int_equal(series_catalogue_count(again), 2);
	assert_int_equal(series_catalogue_files(again), 3);
	s = series_catalogue_find(again, "web", "city", FAMILY_V6, "eth0");
	assert_non_null(s);
	assert_ptr_equal(s, series_catalogue_find_number(again, "web", "city", FAMILY_V6, 1));
	assert_string_equal(s->type, "http");
	assert_int_equal(s->latest.measured, 5000);
	assert_string_equal(s->latest.reason, "慢");
	assert_int_equal(s->provisional->outcome, OUTCOME_DOWN);
	assert_int_equal(s->file.last, 1700000000);
	assert_false(s->file.is_new);
	assert_int_equal(s->file.layout->columns, 15); /* with ratios, which IPv4 has not */
	assert_int_equal(series_catalogue_find(again, "web", "city", FAMILY_V4, "")->file.layout->columns, 10);
	assert_int_equal(s->file.next->metric, 4711);
	assert_true(s->file.next->is_new);
	/* Cut anywhere it is refused, not believed. */
	for (size_t len = 1; len < bytes.len; len++) {
		struct series_catalogue *cut = series_catalogue_new(64);

		if (series_catalogue_decode(cut, bytes.data, len, &e) == 0)
			assert_int_equal(series_catalogue_count(cut), 1); /* just between two rows */
		series_catalogue_free(cut);
	}
	buf_fini(&bytes);
	series_catalogue_free(c);
	series_catalogue_free(again);
}

/* An agent may send any metrics: how many files a series has is its choice. */
static void a_series_of_very_many_files_comes_back(void **state)
{
	struct series_catalogue *c = series_catalogue_new(64), *again = series_catalogue_new(64);
	struct series *s = add(c, "web", FAMILY_V4, "");
	struct buf bytes = {0};
	struct err e;

	(void)state;
	add(c, "dns", FAMILY_V4, "");
	for (uint32_t i = 0; i < 1000; i++)
		assert_non_null(series_catalogue_file(c, s, 10000 + i));
	series_catalogue_encode(c, 0, 2, &bytes);
	assert_int_equal(series_catalogue_decode(again, bytes.data, bytes.len, &e), 0);
	assert_int_equal(series_catalogue_count(again), 2);
	assert_int_equal(series_catalogue_files(again), 1002);
	buf_fini(&bytes);
	series_catalogue_free(c);
	series_catalogue_free(again);
}

static bool move(void *ctx, const struct series_group *was, const struct series_group *now)
{
	int *moves = ctx;

	assert_string_equal(was->vantage, now->vantage);
	(*moves)++;
	return strcmp(now->check, "locked") != 0;
}

static void a_renamed_check_keeps_its_series(void **state)
{
	struct series_catalogue *c = series_catalogue_new(64);
	struct series *s = add(c, "web", FAMILY_V4, "eth0");
	char path[SERIES_PATH_MAX];
	int moves = 0;

	(void)state;
	add(c, "dns", FAMILY_V4, "");
	assert_true(series_catalogue_rename(c, false, "web", "portal", move, &moves));
	assert_int_equal(moves, 1);
	assert_null(series_catalogue_find(c, "web", "city", FAMILY_V4, "eth0"));
	assert_ptr_equal(series_catalogue_find(c, "portal", "city", FAMILY_V4, "eth0"), s);
	assert_ptr_equal(series_catalogue_find_number(c, "portal", "city", FAMILY_V4, 1), s);
	assert_string_equal(series_file_path(&s->file, path), "portal/city/4.1.rrd");
	/* Again: nothing is left to do. One that exists, one whose folder cannot be moved: stay. */
	assert_false(series_catalogue_rename(c, false, "web", "portal", move, &moves));
	assert_false(series_catalogue_rename(c, false, "portal", "dns", move, &moves));
	assert_false(series_catalogue_rename(c, false, "portal", "locked", move, &moves));
	assert_ptr_equal(series_catalogue_find(c, "portal", "city", FAMILY_V4, "eth0"), s);
	series_catalogue_free(c);
}

static void an_agent_has_so_many_files_and_no_more(void **state)
{
	struct series_catalogue *c = series_catalogue_new(SERIES_AGENT_FILES);
	struct result r = row("more", FAMILY_V4, "");
	const char *why = NULL;
	char part[16];

	(void)state;
	for (int i = 0; i < SERIES_AGENT_FILES - 1; i++) {
		snprintf(part, sizeof part, "p%d", i);
		assert_non_null(add(c, "web", FAMILY_V4, part));
	}
	assert_non_null(series_catalogue_file(c, series_catalogue_at(c, 0), 4711));
	assert_null(series_catalogue_file(c, series_catalogue_at(c, 0), 4712));
	assert_null(series_catalogue_add(c, "city", &r, &why));
	assert_string_equal(why, "files of the agent");
	/* Another agent's are its own. */
	assert_non_null(series_catalogue_add(c, "county", &r, &why));
	series_catalogue_free(c);
}

struct changed {
	char checks[64];
	int count, most;
};

static bool on_row(void *ctx, const struct channel_row *r)
{
	struct changed *c = ctx;

	if (c->count == c->most)
		return false;
	c->count++;
	strcat(c->checks, r->check);
	return true;
}

static void what_changed_since_a_version_is_told_oldest_change_first(void **state)
{
	struct series_catalogue *c = series_catalogue_new(64);
	struct result r = row("", FAMILY_V4, "");
	struct series *s[3] = {add(c, "a", FAMILY_V4, ""), add(c, "b", FAMILY_V4, ""), add(c, "c", FAMILY_V4, "")};
	struct changed all = {.most = 9}, some = {.most = 9}, cut = {.most = 1};
	uint64_t version;

	(void)state;
	for (int i = 0; i < 3; i++)
		series_catalogue_result(c, s[i], &r, 10, 10);
	series_catalogue_changed(c, 0, on_row, &all);
	assert_string_equal(all.checks, "abc");
	version = series_catalogue_version(c);
	series_catalogue_result(c, s[2], &r, 20, 20);
	series_catalogue_result(c, s[0], &r, 20, 20);
	series_catalogue_result(c, s[1], &r, 5, 20); /* older than what stands there */
	series_catalogue_changed(c, version, on_row, &some);
	assert_string_equal(some.checks, "ca");
	series_catalogue_changed(c, version, on_row, &cut);
	assert_string_equal(cut.checks, "c");
	series_catalogue_free(c);
}

static void what_was_written_leaves_the_queue(void **state)
{
	struct series_catalogue *c = series_catalogue_new(64);
	struct series_file *f = &add(c, "a", FAMILY_V4, "")->file;
	const double numbers[SERIES_COLUMNS_MAX] = {1};

	(void)state;
	for (int i = 1; i <= 5; i++)
		series_catalogue_queue(c, f, 1000 + i, 60, numbers, (struct position){1, (uint64_t)i}, 7);
	assert_int_equal(series_catalogue_queued_sets(c), 5);
	assert_true(series_catalogue_queued_bytes(c) > 0);
	series_catalogue_written(c, f, 1003);
	assert_int_equal(f->queue.count, 2);
	assert_int_equal(series_catalogue_queued_sets(c), 2);
	series_catalogue_written(c, f, 1005);
	assert_int_equal(series_catalogue_queued_sets(c), 0);
	assert_int_equal(series_catalogue_queued_bytes(c), 0);
	assert_int_equal(f->before.seq, 1);
	series_catalogue_free(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_catalogue_comes_back_from_its_bytes),
		cmocka_unit_test(a_series_of_very_many_files_comes_back),
		cmocka_unit_test(a_renamed_check_keeps_its_series),
		cmocka_unit_test(what_changed_since_a_version_is_told_oldest_change_first),
		cmocka_unit_test(what_was_written_leaves_the_queue),
		cmocka_unit_test(an_agent_has_so_many_files_and_no_more),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
