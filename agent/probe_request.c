#include "agent/probe_request.h"

#include <limits.h>
#include <stddef.h>
#include <string.h>

#include "agent/probe_cell.h"
#include "agent/settings.h"
#include "lib/clock.h"
#include "lib/config.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "probes/catalog.h"

/* ---- arguments */

struct common {
	int families;
	int64_t timeout;
	const char *credentials_file;
};

static const struct config_field common_fields[] = {
	{.name = "families", .kind = CONFIG_CHOICE, .offset = offsetof(struct common, families),
		.fallback = "both", .choices = "both|ipv4|ipv6", .help = "families that are measured"},
	{.name = "timeout", .kind = CONFIG_DURATION, .offset = offsetof(struct common, timeout),
		.fallback = "5s", .min = 10 * NS_PER_MS, .max = 300 * NS_PER_S,
		.help = "time that one measurement may take"},
	{.name = "credentials_file", .kind = CONFIG_TEXT, .offset = offsetof(struct common, credentials_file),
		.fallback = "", .max = PATH_MAX, .help = "file of what devices are asked with, as credentials in agent.conf(5)"},
	{.name = NULL},
};
static const struct config_schema common_schema = {sizeof(struct common), common_fields, -1};

static bool is_common(const char *key)
{
	return strcmp(key, "families") == 0 || strcmp(key, "timeout") == 0 ||
		strcmp(key, "credentials_file") == 0;
}

static int add_pair(const char *argument, struct arena *a, struct config_pairs *common,
	struct config_pairs *options, struct err *e)
{
	const char *equals = strchr(argument, '=');
	struct config_pairs *to;
	const char *key;

	if (equals == NULL || equals == argument)
		return err_set(e, "\"%.100s\" is not an option: write key=value", argument);
	key = arena_format(a, "%.*s", (int)(equals - argument), argument);
	to = is_common(key) ? common : options;
	to->items[to->count++] = (struct config_pair){.key = key, .value = equals + 1};
	return 0;
}

static int read_pairs(const struct config_pairs *common, const struct config_pairs *options,
	struct arena *a, struct probe_request *out, struct err *e)
{
	struct common c;
	void *filled;

	if (config_read_pairs(&common_schema, common, a, &c, e) < 0 ||
		catalog_options(out->type, options, a, &filled, e) < 0)
		return -1;
	out->families = agent_settings_families(c.families);
	out->timeout = c.timeout;
	out->credentials_file = c.credentials_file;
	out->options = filled;
	return 0;
}

int probe_request_read(int argc, char **argv, struct arena *a, struct probe_request *out, struct err *e)
{
	size_t room = (size_t)argc * sizeof(struct config_pair);
	struct config_pairs common = {.items = arena_alloc(a, room)};
	struct config_pairs options = {.items = arena_alloc(a, room), .beside = &common_schema};

	*out = (struct probe_request){.settings = AGENT_SETTINGS_DEFAULT};
	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			out->wants_help = true;
		} else if (strcmp(argv[i], "--json") == 0) {
			out->is_json = true;
		} else if (strcmp(argv[i], "-c") == 0 && i + 1 < argc) {
			out->settings = argv[++i];
		} else if (argv[i][0] == '-') {
			return err_set(e, "unknown flag \"%.60s\": known here are -c FILE, --json and --help", argv[i]);
		} else if (out->type == NULL) {
			out->type = catalog_find(argv[i]);
			if (out->type == NULL)
				return err_set(e, "unknown probe type \"%.60s\": probe --help lists them", argv[i]);
		} else if (add_pair(argv[i], a, &common, &options, e) < 0) {
			return -1;
		}
	}
	if (out->wants_help)
		return 0;
	if (out->type == NULL)
		return err_set(e, "no probe type is given: probe --help lists them");
	return read_pairs(&common, &options, a, out, e);
}

/* ---- help */

/* Of what all types take, that which this one has a use for. */
static void print_common_help(const struct catalog_type *type, FILE *out)
{
	bool has_family = type->target != CATALOG_TARGET_NONE && type->target != CATALOG_TARGET_SITE;
	struct config_field shown[sizeof common_fields / sizeof *common_fields] = {{.name = NULL}};
	const struct config_schema schema = {sizeof(struct common), shown, -1};
	size_t n = 0;

	for (const struct config_field *f = common_fields; f->name != NULL; f++) {
		if ((f->offset != offsetof(struct common, families) || has_family) &&
			(f->offset != offsetof(struct common, credentials_file) || type == &catalog_snmp || type == &catalog_http_steps))
			shown[n++] = *f;
	}
	config_print_help(&schema, out);
}

/* Nothing else in a shell shows how. */
static void print_lists_help(const struct config_schema *schema, FILE *out)
{
	for (const struct config_field *f = schema->fields; f->name != NULL; f++) {
		if (f->kind == CONFIG_TEXTS) {
			fprintf(out, "\nOf a list each text is given by its key: %s=ONE %s=ANOTHER\n", f->name, f->name);
			return;
		}
	}
}

void probe_request_help(const struct catalog_type *type, FILE *out)
{
	if (type == NULL) {
		fputs("usage: xunjian-agent probe TYPE [key=value ...] [--json] [-c FILE]\n\n", out);
		for (const struct catalog_type *const *t = catalog_types; *t != NULL; t++)
			fprintf(out, "  %-12s %s\n", (*t)->name, (*t)->summary);
		fputs("\n`probe TYPE --help` prints the options of a type. Exit status: 0 all up, 1 any\n"
		      "down, 2 usage, 3 unknown. Manual: xunjian-agent(8).\n", out);
		return;
	}
	fprintf(out, "usage: xunjian-agent probe %s [key=value ...] [--json]\n\n%s\n\n", type->name,
		type->summary);
	config_print_help(type->schema, out);
	print_common_help(type, out);
	print_lists_help(type->schema, out);
	fputs("\nvalues:\n", out);
	for (const struct metric *m = type->metrics; m->number != 0; m++)
		fprintf(out, "  %-19s %-4s %s\n", m->name, strcmp(m->unit, "1") == 0 ? "" : m->unit,
			probe_cell_label(m, probe_cell_locale()));
}
