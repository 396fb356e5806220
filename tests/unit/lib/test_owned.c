#include "lib/owned.h"

#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/err.h"

static char folder[] = "/tmp/test-owned-XXXXXX";
static char file[128], link_to[64], below[64];

static int begin(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(below, sizeof below, "%s/below", folder);
	snprintf(file, sizeof file, "%s/file", below);
	snprintf(link_to, sizeof link_to, "%s/link", folder);
	return mkdir(below, 0755) == 0 && close(open(file, O_CREAT | O_WRONLY, 0755)) == 0 ? symlink(file, link_to) : -1;
}

static int end(void **state)
{
	(void)state;
	unlink(link_to);
	unlink(file);
	rmdir(below);
	return rmdir(folder);
}

static void assert_refused(const char *path, bool is_executable, const char *words)
{
	struct err e;

	assert_null(owned_resolve(path, is_executable, &e));
	if (strstr(e.text, words) == NULL)
		fail_msg("wanted \"%s\", got \"%s\"", words, e.text);
}

static void what_others_can_change_is_refused(void **state)
{
	struct err e;
	char *real;

	(void)state;
	real = owned_resolve(link_to, true, &e);
	assert_string_equal(real, file);
	free(real);
	assert_int_equal(chmod(file, 0775), 0);
	assert_refused(link_to, true, "can be changed by others");
	assert_int_equal(chmod(file, 0644), 0);
	assert_refused(file, true, "cannot be executed");
	real = owned_resolve(file, false, &e);
	assert_non_null(real);
	free(real);
	assert_int_equal(chmod(below, 0777), 0);
	assert_refused(file, false, "can be changed by others");
	assert_int_equal(chmod(below, 0755), 0);
	assert_refused(below, false, "is not a file");
	assert_refused("/tmp/test-owned/nothing", false, "No such file");
	if (geteuid() != 0)
		return;
	assert_int_equal(chown(file, 65534, 65534), 0);
	assert_refused(file, false, "belongs to user 65534");
	assert_int_equal(chown(below, 65534, 0), 0);
	assert_int_equal(chown(file, 0, 0), 0);
	assert_refused(file, false, "belongs to user 65534");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_others_can_change_is_refused),
	};

	return cmocka_run_group_tests(tests, begin, end);
}
