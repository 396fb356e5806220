/* The tables of the manuals are those of the schemas. UPDATE=1 in the environment writes them anew. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "collector/inventory.h"
#include "collector/notice/commands.h"
#include "collector/notice/roster.h"
#include "collector/rules.h"
#include "collector/settings.h"
#include "lib/config.h"
#include "lib/mem.h"
#include "probes/catalog.h"

#define MANUAL_MAX 200000

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = mem_alloc(MANUAL_MAX);
	size_t len;

	if (f == NULL)
		fail_msg("%s: run the test in the top folder", path);
	len = fread(text, 1, MANUAL_MAX, f);
	assert_in_range(len, 1, MANUAL_MAX - 1);
	fclose(f);
	return text;
}

static void write_file(const char *path, const char *before, const char *table, const char *after)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fprintf(f, "%s%s%s", before, table, after) > 0);
	assert_int_equal(fclose(f), 0);
}

static char *print_types(void)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	for (const struct catalog_type *const *t = catalog_types; *t != NULL; t++) {
		fprintf(out, ".Ss %s\n%s.\n", (*t)->name, (*t)->summary);
		config_print_mdoc((*t)->schema, out);
	}
	fclose(out);
	return text;
}

static char *print_schema(const struct config_schema *schema)
{
	char *text = NULL;
	size_t len;
	FILE *out = open_memstream(&text, &len);

	config_print_mdoc(schema, out);
	fclose(out);
	return text;
}

/* Between the lines `.\" begin NAME` and `.\" end NAME` stands just this table, which is freed. */
static void assert_holds(const char *path, const char *name, char *table)
{
	char *text = read_file(path), *begin = mem_format(".\\\" begin %s\n", name);
	char *end = mem_format(".\\\" end %s\n", name);
	char *from = strstr(text, begin), *to = strstr(text, end);

	assert_non_null(from);
	assert_non_null(to);
	from += strlen(begin);
	if (getenv("UPDATE") != NULL) {
		char *after = mem_strdup(to);

		*from = '\0';
		write_file(path, text, table, after);
		free(after);
	} else if (strlen(table) != (size_t)(to - from) || memcmp(table, from, strlen(table)) != 0) {
		fail_msg("%s: the part \"%s\" is not what the schema says: run this test with UPDATE=1", path,
			name);
	}
	free(text);
	free(begin);
	free(end);
	free(table);
}

static void collector_conf_names_every_setting(void **state)
{
	(void)state;
	assert_holds("collector/collector.conf.5", "settings", print_schema(&settings_schema));
}

static void the_inventory_manual_names_every_setting_and_option(void **state)
{
	(void)state;
	assert_holds("collector/xunjian-inventory.5", "records", print_schema(&inventory_schema));
	assert_holds("collector/xunjian-inventory.5", "types", print_types());
}

static void the_manual_of_rules_names_every_setting(void **state)
{
	(void)state;
	assert_holds("collector/xunjian-rules.5", "settings", print_schema(&rules_schema));
}

static void the_manual_of_notices_names_every_setting(void **state)
{
	(void)state;
	assert_holds("collector/xunjian-notice.5", "settings", print_schema(&roster_schema));
	assert_holds("collector/xunjian-notice.5", "commands", print_schema(&commands_schema));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(collector_conf_names_every_setting),
		cmocka_unit_test(the_inventory_manual_names_every_setting_and_option),
		cmocka_unit_test(the_manual_of_rules_names_every_setting),
		cmocka_unit_test(the_manual_of_notices_names_every_setting),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
