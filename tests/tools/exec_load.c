/*
 * exec_load: runs of the exec type one after the other, as an agent makes them: by a spawner, under a user of their own. Prints
 * one JSON object; the CPU is that of all processes, plugins included. As root.
 *
 *   exec_load PLUGINS-FILE USER COUNT CONCURRENCY PLUGIN [ARGUMENT ...]
 */
#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include "agent/plugins.h"
#include "agent/spawner.h"
#include "lib/clock.h"
#include "lib/config.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "probes/catalog.h"
#include "probes/exec.h"
#include "probes/run.h"

struct load {
	struct event_base *base;
	struct runner *runner;
	struct spawner *spawner;
	const void *options;
	unsigned count, begun, ended;
	size_t outcomes[4];
	char reason[256];
};

static struct exec_call *exec_start(void *ctx, const struct exec_request *q,
	void (*on_end)(void *call_ctx, const struct exec_end *), void *call_ctx, struct err *e)
{
	struct load *l = ctx;

	return spawner_call(l->spawner, q, on_end, call_ctx, e);
}

static bool exec_cancel(void *ctx, struct exec_call *call)
{
	struct load *l = ctx;

	return spawner_cancel(l->spawner, call);
}

static void on_change(void *ctx, enum keeper_change change, const char *why)
{
	(void)ctx, (void)change;
	fprintf(stderr, "exec_load: the spawner is gone: %s\n", why);
	exit(1);
}

static void begin_next(struct load *);

static void on_result(void *ctx, const struct result *r)
{
	struct load *l = ctx;

	l->outcomes[r->outcome]++;
	if (r->outcome != OUTCOME_UP)
		snprintf(l->reason, sizeof l->reason, "%s", r->reason);
}

static void on_done(void *ctx)
{
	struct load *l = ctx;

	if (++l->ended == l->count)
		event_base_loopbreak(l->base);
	else if (l->begun < l->count)
		begin_next(l);
}

static void begin_next(struct load *l)
{
	const struct run_spec spec = {.check = "load", .type = &exec_probe, .families = RUN_BOTH, .interval_s = 60,
		.timeout = 30 * NS_PER_S, .options = l->options};

	l->begun++;
	run_group_begin(l->runner, &spec, on_result, on_done, l);
}

static double cpu_seconds(int who)
{
	struct rusage u;

	getrusage(who, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) + (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

static const void *read_options(struct arena *a, int argc, char **argv)
{
	struct config_pairs pairs = {.items = arena_alloc(a, (size_t)argc * sizeof(struct config_pair))};
	struct err e;
	void *options;

	for (int i = 0; i < argc; i++)
		pairs.items[pairs.count++] = (struct config_pair){.key = i == 0 ? "plugin" : "args", .value = argv[i]};
	if (catalog_options(&catalog_exec, &pairs, a, &options, &e) < 0) {
		fprintf(stderr, "exec_load: %s\n", e.text);
		exit(2);
	}
	return options;
}

static struct spawner *start(const char *file, const char *user)
{
	struct plugins *table;
	struct spawner_rights rights;
	struct spawner *s = NULL;
	struct err e;

	table = plugins_load(file, &e);
	if (table != NULL && spawner_rights_find(user, "", true, &rights, &e) == 0)
		s = spawner_start(table, &rights, &e);
	plugins_free(table);
	if (s == NULL) {
		fprintf(stderr, "exec_load: %s\n", e.text);
		exit(2);
	}
	return s;
}

int main(int argc, char **argv)
{
	struct load l = {.base = event_base_new()};
	struct probe_env env = {.base = l.base, .exec_start = exec_start, .exec_cancel = exec_cancel, .ctx = &l};
	struct arena *a = arena_new();
	int64_t began = clock_mono();
	double before;

	if (argc < 6) {
		fputs("usage: exec_load PLUGINS-FILE USER COUNT CONCURRENCY PLUGIN [ARGUMENT ...]\n", stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	l.options = read_options(a, argc - 5, argv + 5);
	l.count = (unsigned)atoi(argv[3]);
	before = cpu_seconds(RUSAGE_SELF);
	l.spawner = start(argv[1], argv[2]);
	spawner_watch(l.spawner, l.base, on_change, &l);
	l.runner = runner_new(&env);
	for (int i = atoi(argv[4]); i > 0 && l.begun < l.count; i--)
		begin_next(&l);
	event_base_dispatch(l.base);
	runner_free(l.runner);
	spawner_free(l.spawner);
	while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
		continue;
	printf("{\"up\": %zu, \"down\": %zu, \"unknown\": %zu, \"wall_s\": %.3f, \"cpu_s\": %.6f, \"reason\": \"%s\"}\n",
		l.outcomes[OUTCOME_UP], l.outcomes[OUTCOME_DOWN], l.outcomes[OUTCOME_UNKNOWN],
		(double)(clock_mono() - began) / 1e9, cpu_seconds(RUSAGE_SELF) - before + cpu_seconds(RUSAGE_CHILDREN), l.reason);
	event_base_free(l.base);
	arena_free(a);
	return 0;
}
