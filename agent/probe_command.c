#include "agent/probe_command.h"

#include <event2/event.h>
#include <limits.h>
#include <signal.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "agent/confine.h"
#include "agent/helper.h"
#include "agent/plugins.h"
#include "agent/probe_cell.h"
#include "agent/settings.h"
#include "agent/spawner.h"
#include "agent/targets.h"
#include "agent/units.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/http.h"
#include "lib/mem.h"
#include "probes/catalog.h"
#include "probes/credentials.h"
#include "probes/registry.h"
#include "probes/resolve.h"
#include "probes/run.h"

#define TABLE_WIDTH 100
#define CELL_MAX PROBE_CELL_MAX

enum { EXIT_UP = 0, EXIT_DOWN = 1, EXIT_USAGE = 2, EXIT_UNKNOWN = 3 };

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

/* That of messages (setlocale(3)). */
static const char *locale(void)
{
	static const char *const names[] = {"LC_ALL", "LC_MESSAGES", "LANG"};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const char *value = getenv(names[i]);

		if (value != NULL && *value != '\0')
			return value;
	}
	return NULL;
}

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

static void print_help(const struct catalog_type *type, FILE *out)
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
	fputs("\nvalues:\n", out);
	for (const struct metric *m = type->metrics; m->number != 0; m++)
		fprintf(out, "  %-19s %-4s %s\n", m->name, strcmp(m->unit, "1") == 0 ? "" : m->unit,
			probe_cell_label(m, locale()));
}

/* ---- results as text */

int probe_exit_status(const struct result *const *results, size_t count)
{
	int status = count == 0 ? EXIT_UNKNOWN : EXIT_UP;

	for (size_t i = 0; i < count; i++) {
		if (results[i]->outcome == OUTCOME_DOWN)
			return EXIT_DOWN;
		if (results[i]->outcome == OUTCOME_UNKNOWN)
			status = EXIT_UNKNOWN;
	}
	return status;
}

/* Texts of results are clean UTF-8: two signs alone need an escape. */
static void put_json_text(const char *text, FILE *out)
{
	fputc('"', out);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void put_json_member(const char *name, const char *text, FILE *out)
{
	fprintf(out, ", \"%s\": ", name);
	put_json_text(text, out);
}

static void put_json_values(const struct result *r, FILE *out)
{
	const char *between = "";

	fputs(", \"values\": {", out);
	for (size_t i = 0; i < r->count; i++) {
		const struct metric *m = catalog_metric(r->values[i].metric);

		if (m == NULL)
			continue;
		fprintf(out, "%s\"%s\": {\"value\": %.*f, \"unit\": \"%s\"}", between, m->name,
			(int)m->decimals, r->values[i].number, m->unit);
		between = ", ";
	}
	fputc('}', out);
}

void probe_print_json(const struct result *const *results, size_t count, FILE *out)
{
	fputc('[', out);
	for (size_t i = 0; i < count; i++) {
		const struct result *r = results[i];

		fprintf(out, "%s\n  {\"type\": \"%s\", \"family\": %d", i > 0 ? "," : "", r->type, (int)r->family);
		put_json_member("address", r->address, out);
		put_json_member("part", r->part, out);
		put_json_member("outcome", outcome_name(r->outcome), out);
		put_json_member("reason", r->reason, out);
		put_json_values(r, out);
		fputc('}', out);
	}
	fputs("\n]\n", out);
}

static const struct value *find_value(const struct result *r, uint32_t metric)
{
	for (size_t i = 0; i < r->count; i++) {
		if (r->values[i].metric == metric)
			return &r->values[i];
	}
	return NULL;
}

/* "-" where nothing was measured. */
static void format_value(const struct metric *m, const struct value *v, char out[CELL_MAX])
{
	if (v == NULL)
		snprintf(out, CELL_MAX, "-");
	else
		probe_cell_format(m, v->number, out);
}

enum { ROW_FAMILY = -4, ROW_PART, ROW_ADDRESS, ROW_OUTCOME }; /* then the metrics of the type */

/* One cell of the table: rows are what is told, columns the results. */
static void format_cell(const struct metric *metrics, int row, const struct result *r, char out[CELL_MAX])
{
	if (row == ROW_FAMILY)
		snprintf(out, CELL_MAX, "%s", family_name(r->family));
	else if (row == ROW_PART)
		snprintf(out, CELL_MAX, "%s", *r->part != '\0' ? r->part : "-");
	else if (row == ROW_ADDRESS)
		snprintf(out, CELL_MAX, "%s", *r->address != '\0' ? r->address : "-");
	else if (row == ROW_OUTCOME)
		snprintf(out, CELL_MAX, "%s", outcome_name(r->outcome));
	else
		format_value(&metrics[row], find_value(r, metrics[row].number), out);
}

static const char *row_name(const struct metric *metrics, int row)
{
	static const char *const heads[] = {"", "part", "address", "outcome"};

	return row < 0 ? heads[row - ROW_FAMILY] : metrics[row].name;
}

static int rows_count(const struct metric *metrics)
{
	int n = 0;

	while (metrics[n].number != 0)
		n++;
	return n;
}

static int column_width(const struct metric *metrics, const struct result *r)
{
	int width = 0;

	for (int row = ROW_FAMILY; row < rows_count(metrics); row++) {
		char cell[CELL_MAX];

		format_cell(metrics, row, r, cell);
		width = (int)strlen(cell) > width ? (int)strlen(cell) : width;
	}
	return width;
}

/* Whether a row tells anything of some result; address and part of one result are often the same. */
static bool row_tells(const struct metric *metrics, int row, const struct result *const *results, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct result *r = results[i];

		if (row == ROW_FAMILY ? r->family != FAMILY_NONE
			: row == ROW_PART ? strcmp(r->part, r->address) != 0 && *r->part != '\0'
			: row == ROW_ADDRESS ? *r->address != '\0'
			: row < 0 || find_value(r, metrics[row].number) != NULL)
			return true;
	}
	return false;
}

/* Of the rows that tell something. */
static int names_width(const struct metric *metrics, const struct result *const *results, size_t count)
{
	int width = 12;

	for (int row = ROW_FAMILY; row < rows_count(metrics); row++) {
		int len = (int)strlen(row_name(metrics, row));

		if (len > width && row_tells(metrics, row, results, count))
			width = len;
	}
	return width;
}

/* As many results side by side as fit, at least one; returns how many. */
static size_t print_block(const struct metric *metrics, const struct result *const *results, size_t count,
	FILE *out)
{
	int widths[2 * RUN_ADDRESSES_MAX], names = names_width(metrics, results, count), total = names;
	size_t n = 0;

	for (; n < count && n < 2 * RUN_ADDRESSES_MAX; n++) {
		widths[n] = column_width(metrics, results[n]);
		total += widths[n] + 2;
		if (n > 0 && total > TABLE_WIDTH)
			break;
	}
	for (int row = ROW_FAMILY; row < rows_count(metrics); row++) {
		if (!row_tells(metrics, row, results, n))
			continue;
		fprintf(out, "%-*s", names, row_name(metrics, row));
		for (size_t i = 0; i < n; i++) {
			char cell[CELL_MAX];

			format_cell(metrics, row, results[i], cell);
			fprintf(out, "  %*s", widths[i], cell);
		}
		/* One alone leaves room to say what it is. */
		if (n == 1 && row >= 0)
			fprintf(out, "  %s", probe_cell_label(&metrics[row], locale()));
		fputc('\n', out);
	}
	return n;
}

/* ---- parts of a run, a line each */

/* Several like things of one run (hops, disks), not one of several addresses. */
static bool is_part(const struct result *r)
{
	return *r->part != '\0' && strcmp(r->part, r->address) != 0;
}

/* 0: nothing of it is worth a column. */
static int line_width(const struct metric *metrics, int row, const struct result *own, const struct result *const *parts,
	size_t count)
{
	int width = (int)strlen(row_name(metrics, row));
	bool tells = row == ROW_PART;
	char cell[CELL_MAX];

	for (size_t i = 0; i < count; i++) {
		const struct result *r = parts[i];

		if (row == ROW_OUTCOME)
			tells = tells || r->outcome != OUTCOME_UP;
		else if (row == ROW_ADDRESS)
			tells = tells || strcmp(r->address, own->address) != 0;
		else if (row >= 0)
			tells = tells || find_value(r, metrics[row].number) != NULL;
		format_cell(metrics, row, r, cell);
		width = (int)strlen(cell) > width ? (int)strlen(cell) : width;
	}
	return tells ? width : 0;
}

static void print_line(const struct metric *metrics, const int *widths, const struct result *r, FILE *out)
{
	const char *between = "";

	for (int row = ROW_PART, n = rows_count(metrics); row < n; row++) {
		int width = widths[row - ROW_PART];
		char cell[CELL_MAX];

		if (width == 0)
			continue;
		if (r != NULL)
			format_cell(metrics, row, r, cell);
		else
			snprintf(cell, sizeof cell, "%s", row_name(metrics, row));
		fprintf(out, "%s%*s", between, row <= ROW_ADDRESS ? -width : width, cell);
		between = "  ";
	}
	fputc('\n', out);
}

/* False: the lines would be too long. */
static bool print_lines(const struct metric *metrics, const struct result *own, const struct result *const *parts, size_t count,
	FILE *out)
{
	int n = rows_count(metrics) - ROW_PART, total = 0;
	int *widths = mem_array((size_t)n, sizeof *widths);

	for (int i = 0; i < n; i++) {
		widths[i] = line_width(metrics, ROW_PART + i, own, parts, count);
		total += widths[i] > 0 ? widths[i] + 2 : 0;
	}
	if (total <= TABLE_WIDTH) {
		print_line(metrics, widths, NULL, out);
		for (size_t i = 0; i < count; i++)
			print_line(metrics, widths, parts[i], out);
	}
	free(widths);
	return total <= TABLE_WIDTH;
}

static void print_blocks(const struct metric *metrics, const struct result *const *results, size_t count, FILE *out)
{
	for (size_t at = 0; at < count;) {
		at += print_block(metrics, results + at, count - at, out);
		if (at < count)
			fputc('\n', out);
	}
}

static const char *name_of(const struct result *r)
{
	return *r->part != '\0' ? r->part : r->address;
}

static void print_parts(const struct metric *metrics, const struct result *own, const struct result *const *parts, size_t count,
	FILE *out)
{
	fputc('\n', out);
	if (own->family != FAMILY_NONE)
		fprintf(out, "%s %s\n", family_name(own->family), own->address);
	if (!print_lines(metrics, own, parts, count, out))
		print_blocks(metrics, parts, count, out);
}

/* The runs side by side, then the parts of each; the first result is a run's own (probe.h). */
static void print_runs(const struct metric *metrics, const struct result *const *results, size_t count, FILE *out)
{
	const struct result **own = mem_array(count + 1, sizeof *own);
	size_t n = 0, end;

	for (size_t i = 0; i < count; i++) {
		if (!is_part(results[i]))
			own[n++] = results[i];
	}
	print_blocks(metrics, own, n, out);
	free(own);
	for (size_t i = 0; i < count; i = end) {
		for (end = i + 1; end < count && is_part(results[end]); end++)
			;
		if (end > i + 1)
			print_parts(metrics, results[i], results + i + 1, end - i - 1, out);
	}
}

void probe_print_table(const struct probe_request *q, const struct result *const *results, size_t count,
	FILE *out)
{
	print_runs(q->type->metrics, results, count, out);
	for (size_t i = 0; i < count; i++) {
		const struct result *r = results[i];
		bool has_family = r->family != FAMILY_NONE;

		if (*r->reason != '\0')
			fprintf(out, "%s%s%s%s%s%s: %s\n", i == 0 || *results[i - 1]->reason == '\0' ? "\n" : "",
				outcome_name(r->outcome), has_family ? " " : "", has_family ? family_name(r->family) : "",
				*name_of(r) != '\0' ? " " : "", name_of(r), r->reason);
	}
}

/* ---- the measurement */

struct once {
	struct event_base *base;
	struct helper *helper;
	struct spawner *spawner; /* of exec alone */
	struct units *units;     /* of systemd alone */
	struct targets targets;
	struct credentials credentials;
	struct arena *arena;
	const struct result **results;
	size_t count;
};

static int open_icmp(void *ctx, enum family family, struct err *e)
{
	struct once *o = ctx;

	return helper_open_icmp(o->helper, family, e);
}

static bool may_probe(void *ctx, const struct sockaddr *address)
{
	struct once *o = ctx;

	return targets_allow(&o->targets, address);
}

static struct exec_call *exec_start(void *ctx, const struct exec_request *q,
	void (*on_end)(void *call_ctx, const struct exec_end *), void *call_ctx, struct err *e)
{
	struct once *o = ctx;

	return spawner_call(o->spawner, q, on_end, call_ctx, e);
}

static bool exec_cancel(void *ctx, struct exec_call *call)
{
	struct once *o = ctx;

	return spawner_cancel(o->spawner, call);
}

static void on_change(void *ctx, enum keeper_change change, const char *why)
{
	(void)ctx, (void)change, (void)why; /* what runs is told */
}

static struct systemd_call *systemd_ask(void *ctx, const struct systemd_request *q,
	void (*on_end)(void *call_ctx, const struct systemd_units *, const char *why), void *call_ctx, struct err *e)
{
	struct once *o = ctx;

	return units_ask(o->units, q, on_end, call_ctx, e);
}

static void systemd_cancel(void *ctx, struct systemd_call *call)
{
	struct once *o = ctx;

	units_cancel(o->units, call);
}

static const struct credential *find_credential(void *ctx, const char *id)
{
	struct once *o = ctx;

	return credentials_find(&o->credentials, id);
}

static void on_result(void *ctx, const struct result *r)
{
	struct once *o = ctx;
	struct result *copy = arena_alloc(o->arena, sizeof *copy);

	*copy = *r;
	copy->type = arena_strdup(o->arena, r->type);
	copy->part = arena_strdup(o->arena, r->part);
	copy->address = arena_strdup(o->arena, r->address);
	copy->reason = arena_strdup(o->arena, r->reason);
	o->results = mem_resize(o->results, o->count + 1, sizeof *o->results);
	o->results[o->count++] = copy;
}

static void on_done(void *ctx)
{
	struct once *o = ctx;

	event_base_loopbreak(o->base);
}

static int measure(struct once *o, const struct probe_request *q, struct err *e)
{
	struct probe_env env = {.base = o->base, .priv_open_icmp = open_icmp, .may_probe = may_probe,
		.exec_start = exec_start, .exec_cancel = exec_cancel, .credential = find_credential,
		.systemd_ask = systemd_ask, .systemd_cancel = systemd_cancel, .ctx = o};
	struct run_spec spec = {.check = "", .type = registry_find(q->type->name), .options = q->options,
		.families = q->families, .timeout = q->timeout};
	struct runner *runner;

	if (spec.type == NULL)
		return err_set(e, "this build has no probe type \"%s\"", q->type->name);
	env.resolver = resolver_new(o->base, NULL, e);
	if (env.resolver == NULL)
		return -1;
	env.http = http_client_new(o->base);
	runner = runner_new(&env);
	run_group_begin(runner, &spec, on_result, on_done, o);
	event_base_dispatch(o->base);
	runner_free(runner);
	http_client_free(env.http);
	resolver_free(env.resolver);
	return 0;
}

/* By the table of the agent's own settings, with the rights of who calls; root becomes the user of plugins. */
static int start_spawner(struct once *o, const struct probe_request *q, struct err *e)
{
	struct agent_settings *s;
	struct plugins *plugins = NULL;
	struct spawner_rights rights;

	if (q->type != &catalog_exec)
		return 0;
	s = agent_settings_load(q->settings, e);
	if (s == NULL)
		return -1;
	if (*s->plugins == '\0')
		err_set(e, "%s: plugins is not given: it names the file of the plugins that are allowed", s->path);
	else
		plugins = plugins_load(s->plugins, e);
	if (plugins != NULL && spawner_rights_find(s->plugin_user, "", true, &rights, e) == 0)
		o->spawner = spawner_start(plugins, &rights, e);
	plugins_free(plugins);
	agent_settings_free(s);
	return o->spawner != NULL ? 0 : -1;
}

static int start_units(struct once *o, const struct probe_request *q, struct err *e)
{
	if (q->type != &catalog_systemd)
		return 0;
	o->units = units_start("/run", e);
	return o->units != NULL ? 0 : -1;
}

static int run_once(const struct probe_request *q, struct arena *a)
{
	struct once o = {.arena = a};
	struct err e;
	int status = EXIT_UNKNOWN;

	signal(SIGPIPE, SIG_IGN);
	if (*q->credentials_file != '\0' && credentials_load(q->credentials_file, a, &o.credentials, &e) < 0) {
		fprintf(stderr, "probe: %s\n", e.text);
		return status;
	}
	o.helper = helper_start(&e);
	if (o.helper == NULL || start_spawner(&o, q, &e) < 0 || start_units(&o, q, &e) < 0 || confine_probe(&e) < 0) {
		fprintf(stderr, "probe: %s\n", e.text);
		spawner_free(o.spawner);
		units_free(o.units);
		helper_free(o.helper);
		return status;
	}
	o.base = event_base_new();
	helper_watch(o.helper, o.base, on_change, &o);
	if (o.spawner != NULL)
		spawner_watch(o.spawner, o.base, on_change, &o);
	if (o.units != NULL)
		units_watch(o.units, o.base, on_change, &o);
	if (measure(&o, q, &e) < 0) {
		fprintf(stderr, "probe: %s\n", e.text);
	} else {
		if (q->is_json)
			probe_print_json(o.results, o.count, stdout);
		else
			probe_print_table(q, o.results, o.count, stdout);
		status = probe_exit_status(o.results, o.count);
	}
	free(o.results);
	spawner_free(o.spawner);
	units_free(o.units);
	helper_free(o.helper);
	event_base_free(o.base);
	return status;
}

int probe_command(int argc, char **argv)
{
	struct arena *a = arena_new();
	struct probe_request q;
	struct err e;
	int status = EXIT_UP;

	if (probe_request_read(argc, argv, a, &q, &e) < 0) {
		fprintf(stderr, "probe: %s\n", e.text);
		status = EXIT_USAGE;
	} else if (q.wants_help) {
		print_help(q.type, stdout);
	} else {
		status = run_once(&q, a);
	}
	arena_free(a);
	return status;
}
