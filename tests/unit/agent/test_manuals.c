/* The table of agent.conf(5) is that of the schema. UPDATE=FILE in the environment writes the table there. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "agent/settings.h"
#include "lib/config.h"

static void the_manual_says_what_the_schema_says(void **state)
{
	static char manual[200000];
	const char *update = getenv("UPDATE");
	char *table = NULL;
	size_t len;
	FILE *out = open_memstream(&table, &len), *f;

	(void)state;
	config_print_mdoc(&agent_settings_schema, out);
	fclose(out);
	if (update != NULL) {
		f = fopen(update, "w");
		assert_non_null(f);
		fputs(table, f);
		fclose(f);
	}
	f = fopen("agent/agent.conf.5", "r");
	assert_non_null(f); /* run the test in the top folder */
	manual[fread(manual, 1, sizeof manual - 1, f)] = '\0';
	fclose(f);
	assert_non_null(strstr(manual, table));
	free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(the_manual_says_what_the_schema_says)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
