/* What the fences themselves hold is tried by tests/system/test_fence.py. */
#include "collector/confine.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "collector/settings.h"
#include "lib/err.h"

#define TLS "ingest = { ca = \"pki/ca.pem\"; certificate = \"pki/c.pem\"; key = \"pki/c.key\"; };"

static void assert_reload(const char *now, const char *next, const char *words)
{
	struct err e = {.text = ""};
	struct settings *a = settings_parse("/etc/xunjian/collector.conf", now, &e);
	struct settings *b = settings_parse("/etc/xunjian/collector.conf", next, &e);

	assert_non_null(a);
	assert_non_null(b);
	assert_int_equal(confine_holds(a, b, &e), words == NULL ? 0 : -1);
	if (words != NULL && strstr(e.text, words) == NULL)
		fail_msg("\"%s\" in place of \"%s\"", e.text, words);
	settings_free(a);
	settings_free(b);
}

static void a_reload_that_the_fences_hold_is_taken(void **state)
{
	(void)state;
	assert_reload("", "", NULL);
	assert_reload(TLS, "log_level = \"debug\"; " TLS, NULL);
	assert_reload(TLS, "ingest = { ca = \"pki/new.pem\"; certificate = \"pki/new.pem\"; key = \"pki/new.key\"; };", NULL);
	assert_reload("inventory = \"inventory.d\";", "inventory = \"/etc/xunjian/inventory.d\";", NULL);
}

static void what_no_process_could_reach_is_refused_by_its_name(void **state)
{
	(void)state;
	assert_reload("", "state = \"/srv/xunjian\";", "state is changed by a restart");
	assert_reload("", "user = \"other\";", "user is changed by a restart");
	assert_reload("", "inventory = \"other.d\";", "inventory is changed by a restart");
	assert_reload("", "commands = \"commands.conf\";", "commands is changed by a restart");
	assert_reload(TLS, "ingest = { ca = \"other/ca.pem\"; };", "folder of ca");
	assert_reload(TLS, "ingest = { key = \"pki/private/c.key\"; };", "folder of key");
	assert_reload(TLS, "ingest = { certificate = \"/c.pem\"; };", "folder of certificate");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_reload_that_the_fences_hold_is_taken),
		cmocka_unit_test(what_no_process_could_reach_is_refused_by_its_name),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
