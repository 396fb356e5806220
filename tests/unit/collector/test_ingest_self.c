#include "collector/ingest_self.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "tests/support/pki.h"

#define GIB (UINT64_C(1) << 30)

static void a_disk_is_low_by_its_share_or_by_its_room(void **state)
{
	(void)state;
	assert_false(self_disk_is_bad(1000 * GIB, 60 * GIB, false));
	assert_true(self_disk_is_bad(1000 * GIB, 49 * GIB, false));
	assert_true(self_disk_is_bad(1000 * GIB, 60 * GIB, true));
	assert_false(self_disk_is_bad(1000 * GIB, 71 * GIB, true));
	assert_true(self_disk_is_bad(9 * GIB, GIB / 3, false));
	assert_false(self_disk_is_bad(GIB, GIB / 4, false));
	assert_true(self_disk_is_bad(GIB, GIB / 25, false));
}

static void a_certificate_is_near_its_end(void **state)
{
	(void)state;
	assert_false(self_certificate_is_bad(15, 365));
	assert_true(self_certificate_is_bad(13, 365));
	assert_true(self_certificate_is_bad(-1, 365));
	assert_false(self_certificate_is_bad(12, 30));
	assert_true(self_certificate_is_bad(9, 30));
}

struct noted {
	int count[SELF_MATTERS];
	bool is_bad[SELF_MATTERS];
};

static void note(void *ctx, enum self_matter m, bool is_bad, const char *words)
{
	struct noted *n = ctx;

	n->count[m]++;
	n->is_bad[m] = is_bad;
	assert_int_equal(words[0] != '\0', is_bad);
}

static void what_changes_is_noted_and_nothing_else(void **state)
{
	struct noted n = {{0}, {false}};
	struct self *s = self_new(note, &n);
	int64_t t = 1000 * NS_PER_S;

	(void)state;
	for (int i = 0; i < 5; i++)
		self_look(s, "/", "/nonexistent.pem", 10, 10, t += 60 * NS_PER_S);
	for (int m = 0; m < SELF_NOTICE; m++)
		assert_int_equal(n.count[m], 1);
	for (int i = 0; i < 3; i++)
		self_hear(s, SELF_BEAT, i > 0, i > 0 ? "none came" : "");
	assert_int_equal(n.count[SELF_BEAT], 2);
	assert_int_equal(n.count[SELF_NOTICE] + n.count[SELF_COMMANDS], 0);
	assert_true(n.is_bad[SELF_CERTIFICATE]);
	assert_false(n.is_bad[SELF_SERIES]);
	/* Entries come and series stays where it is. */
	self_look(s, "/", "/nonexistent.pem", 10, 1000, t + SELF_BEHIND - 300 * NS_PER_S);
	assert_false(n.is_bad[SELF_SERIES]);
	self_look(s, "/", "/nonexistent.pem", 10, 2000, t + SELF_BEHIND + NS_PER_S);
	assert_true(n.is_bad[SELF_SERIES]);
	self_look(s, "/", "/nonexistent.pem", 11, 2000, t + SELF_BEHIND + 60 * NS_PER_S);
	assert_false(n.is_bad[SELF_SERIES]);
	assert_int_equal(n.count[SELF_SERIES], 3);
	assert_int_equal(n.count[SELF_CERTIFICATE], 1);
	self_free(s);
}

static char *own_certificate(void)
{
	struct pki root = pki_authority("root", NULL);
	struct pki own = pki_make(&(struct pki_spec){.from = -86400, .until = 300 * 86400}, &root);
	char *path = mem_strdup("/tmp/xunjian-test-self-XXXXXX");

	close(mkstemp(path));
	pki_write_certificate(path, &own.x, 1);
	pki_free(&own);
	pki_free(&root);
	return path;
}

static void keep_words(void *ctx, enum self_matter m, bool is_bad, const char *words)
{
	if (m == SELF_CERTIFICATE)
		snprintf(ctx, 160, "%d %s", is_bad, words);
}

static void a_certificate_of_an_agent_is_near_its_end(void **state)
{
	int64_t now = clock_real() / NS_PER_S, day = 86400;
	char *path = own_certificate(), words[160] = "";
	struct self *s = self_new(keep_words, words);

	(void)state;
	self_see(s, "east", now - 300 * day, now + 60 * day);
	self_see(s, "gone", now - 365 * day, now - 2 * day);
	self_look(s, "/", path, 0, 0, NS_PER_S);
	assert_string_equal(words, "0 ");
	self_see(s, "west", now - 360 * day, now + 5 * day + 3600);
	self_see(s, "south", now - 360 * day, now + 9 * day);
	self_look(s, "/", path, 0, 0, 61 * NS_PER_S);
	assert_string_equal(words, "1 2 certificates of agents end soon: that of west in 5.0 days");
	self_see(s, "west", now, now + 365 * day); /* renewed */
	self_look(s, "/", path, 0, 0, 121 * NS_PER_S);
	assert_true(words[0] == '1');
	self_see(s, "south", now, now + 365 * day);
	self_look(s, "/", path, 0, 0, 181 * NS_PER_S);
	assert_string_equal(words, "0 ");
	self_free(s);
	unlink(path);
	free(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_disk_is_low_by_its_share_or_by_its_room),
		cmocka_unit_test(a_certificate_is_near_its_end),
		cmocka_unit_test(what_changes_is_noted_and_nothing_else),
		cmocka_unit_test(a_certificate_of_an_agent_is_near_its_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
