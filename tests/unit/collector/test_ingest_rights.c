#include "collector/ingest_rights.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "collector/inventory.h"
#include "lib/buf.h"
#include "lib/err.h"

static char folder[] = "/tmp/test-rights-XXXXXX";
static char conf[64], saved[64];

static int begin(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(conf, sizeof conf, "%s/a.conf", folder);
	snprintf(saved, sizeof saved, "%s/rights", folder);
	return 0;
}

static int end(void **state)
{
	(void)state;
	unlink(conf);
	unlink(saved);
	return rmdir(folder);
}

/* Two agents; "both" is of both, `mine` of the first alone, with this interval. */
static struct inventory *inventory_with(const char *mine, unsigned interval)
{
	FILE *f = fopen(conf, "w");
	struct inventory *inv;
	struct err e;

	assert_non_null(f);
	fprintf(f, "units = ( { id = \"u\"; } ); sites = ( { id = \"city\"; level = \"city\"; } );\n"
		"agents = ( { id = \"a1\"; site = \"city\"; }, { id = \"a2\"; site = \"city\"; } );\n"
		"checks = ( { id = \"both\"; type = \"icmp\"; subject = \"site/city\"; vantages = ( \"a1\", \"a2\" );\n"
		"  host = \"192.0.2.1\"; },\n"
		"  { id = \"%s\"; type = \"icmp\"; subject = \"site/city\"; vantages = ( \"a1\" ); interval = \"%us\";\n"
		"  host = \"192.0.2.1\"; } );\n", mine, interval);
	fclose(f);
	inv = inventory_load(folder, &e);
	if (inv == NULL)
		fail_msg("%s", e.text);
	return inv;
}

static uint64_t generation_of(const struct inventory *inv, const char *agent)
{
	struct buf b = {0};
	uint64_t generation = 0;

	assert_int_equal(inventory_assignments(inv, agent, &b, &generation), 0);
	buf_fini(&b);
	return generation;
}

static void agents_report_what_they_are_assigned_now(void **state)
{
	struct inventory *inv = inventory_with("one", 60);
	struct rights *r = rights_load(saved);

	(void)state;
	assert_true(rights_note(r, inv));
	assert_false(rights_note(r, inv));
	assert_true(rights_allow(r, inv, "a1", 0, "one"));
	assert_true(rights_allow(r, inv, "a1", 12345, "both"));
	assert_true(rights_allow(r, inv, "a2", 0, "both"));
	assert_false(rights_allow(r, inv, "a2", 0, "one"));
	assert_false(rights_allow(r, inv, "a2", generation_of(inv, "a1"), "one"));
	assert_false(rights_allow(r, inv, "a1", 0, "none"));
	rights_free(r);
	inventory_free(inv);
}

static void what_was_measured_under_an_older_assignment_is_judged_by_it(void **state)
{
	struct inventory *old = inventory_with("old", 60), *new;
	struct rights *r = rights_load(saved);
	uint64_t generation = generation_of(old, "a1");

	(void)state;
	rights_note(r, old);
	new = inventory_with("new", 60);
	assert_true(rights_note(r, new));
	assert_true(rights_allow(r, new, "a1", generation, "old"));
	assert_true(rights_allow(r, new, "a1", generation, "new"));
	assert_false(rights_allow(r, new, "a1", generation_of(new, "a1"), "old"));
	assert_false(rights_allow(r, new, "a1", 0, "old"));
	assert_false(rights_allow(r, new, "a1", generation + 1, "old"));
	assert_false(rights_allow(r, new, "a2", generation, "old"));
	rights_free(r);
	inventory_free(old);
	inventory_free(new);
}

static void the_history_comes_back_from_disk_bounded(void **state)
{
	struct rights *r = rights_load(saved);
	struct inventory *inv = NULL;
	uint64_t generations[RIGHTS_GENERATIONS + 3];
	struct err e;

	(void)state;
	for (unsigned i = 0; i < RIGHTS_GENERATIONS + 3; i++) {
		char id[16];

		snprintf(id, sizeof id, "check-%u", i);
		inventory_free(inv);
		inv = inventory_with(id, 60);
		assert_true(rights_note(r, inv));
		generations[i] = generation_of(inv, "a1");
		assert_int_equal(rights_save(r, saved, &e), 0);
		rights_free(r);
		r = rights_load(saved);
	}
	for (unsigned i = 0; i < RIGHTS_GENERATIONS + 3; i++) {
		char id[16];

		snprintf(id, sizeof id, "check-%u", i);
		assert_int_equal(rights_allow(r, inv, "a1", generations[i], id), i >= 3);
	}
	rights_free(r);
	inventory_free(inv);
}

static void a_damaged_history_is_an_empty_one(void **state)
{
	struct inventory *old = inventory_with("old", 60), *new;
	struct rights *r = rights_load(saved);
	uint64_t generation = generation_of(old, "a1");
	struct stat st;
	struct err e;

	(void)state;
	rights_note(r, old);
	assert_int_equal(rights_save(r, saved, &e), 0);
	rights_free(r);
	new = inventory_with("new", 60);
	assert_int_equal(stat(saved, &st), 0);
	for (off_t at = 0; at < st.st_size; at += 7) {
		FILE *f = fopen(saved, "r+");
		int c;

		fseek(f, at, SEEK_SET);
		c = fgetc(f);
		fseek(f, at, SEEK_SET);
		fputc(c ^ 0x10, f);
		fclose(f);
		r = rights_load(saved);
		assert_false(rights_allow(r, new, "a1", generation, "old"));
		assert_true(rights_allow(r, new, "a1", generation, "new"));
		rights_free(r);
		f = fopen(saved, "r+");
		fseek(f, at, SEEK_SET);
		fputc(c, f);
		fclose(f);
	}
	r = rights_load(saved);
	assert_true(rights_allow(r, new, "a1", generation, "old"));
	rights_free(r);
	assert_int_equal(truncate(saved, st.st_size - 1), 0);
	r = rights_load(saved);
	assert_false(rights_allow(r, new, "a1", generation, "old"));
	rights_free(r);
	inventory_free(old);
	inventory_free(new);
}

static int forget(void **state)
{
	(void)state;
	unlink(saved);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(agents_report_what_they_are_assigned_now, forget),
		cmocka_unit_test_setup(what_was_measured_under_an_older_assignment_is_judged_by_it, forget),
		cmocka_unit_test_setup(the_history_comes_back_from_disk_bounded, forget),
		cmocka_unit_test_setup(a_damaged_history_is_an_empty_one, forget),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
