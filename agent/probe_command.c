#include "agent/probe_command.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>

#include "agent/confine.h"
#include "agent/helper.h"
#include "agent/plugins.h"
#include "agent/probe_print.h"
#include "agent/probe_request.h"
#include "agent/settings.h"
#include "agent/spawner.h"
#include "agent/targets.h"
#include "agent/units.h"
#include "lib/err.h"
#include "lib/http.h"
#include "lib/mem.h"
#include "probes/catalog.h"
#include "probes/credentials.h"
#include "probes/dial.h"
#include "probes/registry.h"
#include "probes/resolve.h"
#include "probes/run.h"

enum { EXIT_UP = 0, EXIT_DOWN = 1, EXIT_USAGE = 2, EXIT_UNKNOWN = 3 };

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
	struct probe_env env = {.base = o->base, .priv_open_icmp = open_icmp, .may_probe = may_probe, .no_way = dial_no_way,
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
		probe_request_help(q.type, stdout);
	} else {
		status = run_once(&q, a);
	}
	arena_free(a);
	return status;
}
