#include "probes/credentials.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/mem.h"

struct fixture {
	char path[64];
	struct arena *arena;
	struct credentials all;
	struct err e;
};

static int setup(void **state)
{
	struct fixture *f = mem_alloc(sizeof *f);

	f->arena = arena_new();
	snprintf(f->path, sizeof f->path, "/tmp/xunjian-credentials-XXXXXX");
	close(mkstemp(f->path));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	unlink(f->path);
	arena_free(f->arena);
	free(f);
	return 0;
}

static int load(struct fixture *f, const char *text)
{
	FILE *file = fopen(f->path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	return credentials_load(f->path, f->arena, &f->all, &f->e);
}

static void test_users_and_communities_are_found_by_id(void **state)
{
	struct fixture *f = *state;
	const struct credential *c;

	assert_int_equal(load(f, "credentials = ( { id = \"core\"; user = \"m\"; auth_password = \"12345678\"; },\n"
		"{ id = \"old\"; community = \"c\"; } );"), 0);
	c = credentials_find(&f->all, "core");
	assert_non_null(c);
	assert_int_equal(c->auth, CREDENTIAL_SHA256);
	assert_int_equal(c->priv, CREDENTIAL_AES128);
	assert_string_equal(c->priv_password, "12345678");
	assert_string_equal(credentials_find(&f->all, "old")->community, "c");
	assert_null(credentials_find(&f->all, "other"));
}

static void test_a_file_that_others_can_read_is_refused(void **state)
{
	struct fixture *f = *state;

	chmod(f->path, 0640);
	assert_int_equal(load(f, ""), -1);
	assert_non_null(strstr(f->e.text, "others than its owner can read it: chmod 600"));
}

static void test_what_is_wrong_is_said_without_the_secret(void **state)
{
	struct fixture *f = *state;
	static const char *const cases[][2] = {
		{"{ id = \"a\"; user = \"m\"; auth_password = \"s3cret\"; }", "auth_password must have 8 bytes or more"},
		{"{ id = \"a\"; user = \"m\"; auth_password = \"s3cret-long\"; priv_password = \"s3cret\"; }",
			"priv_password must have 8 bytes or more"},
		{"{ id = \"a\"; user = \"m\"; auth = \"none\"; auth_password = \"s3cret-long\"; }", "priv needs auth"},
		{"{ id = \"a\"; user = \"m\"; community = \"s3cret\"; }", "give user, community or secret, one of them"},
		{"{ id = \"a\"; }", "give user, community or secret, one of them"},
		{"{ id = \"a\"; community = \"s3cret\"; }, { id = \"a\"; community = \"s3cret\"; }", "stands twice"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char text[400];

		snprintf(text, sizeof text, "credentials = ( %s );", cases[i][0]);
		assert_int_equal(load(f, text), -1);
		assert_non_null(strstr(f->e.text, cases[i][1]));
		assert_non_null(strstr(f->e.text, ":1: "));
		assert_null(strstr(f->e.text, "s3cret"));
	}
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(test_users_and_communities_are_found_by_id),
		CASE(test_a_file_that_others_can_read_is_refused),
		CASE(test_what_is_wrong_is_said_without_the_secret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
