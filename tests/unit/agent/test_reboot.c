#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/reboot.h"

static void a_boot_is_told_once(void **state)
{
	char folder[] = "/tmp/xunjian-reboot-XXXXXX", path[64], command[64];
	FILE *out;

	(void)state;
	assert_non_null(mkdtemp(folder));
	assert_false(reboot_note(folder, 7)); /* never was here */
	assert_false(reboot_note(folder, 7));
	assert_false(reboot_note(folder, 0)); /* a kernel that does not tell */
	assert_true(reboot_note(folder, 0xfedcba9876543210));
	assert_false(reboot_note(folder, 0xfedcba9876543210));
	snprintf(path, sizeof path, "%s/boot", folder);
	out = fopen(path, "w"); /* what is no name of a boot is none */
	fputs("-000000000000007", out);
	fclose(out);
	assert_false(reboot_note(folder, 8));
	assert_true(reboot_note(folder, 9));
	snprintf(command, sizeof command, "rm -rf %s", folder);
	assert_int_equal(system(command), 0);
	assert_false(reboot_note(folder, 9)); /* a folder that is not there */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_boot_is_told_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
