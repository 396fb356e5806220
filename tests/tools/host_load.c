/*
 * host_load: runs of the probe types of the own host as an agent makes them; prints CPU per cycle of all and of each.
 *
 *   host_load CYCLES TYPE ...
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#include "lib/clock.h"
#include "lib/config.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "probes/catalog.h"
#include "probes/registry.h"
#include "probes/run.h"

static size_t results, values, not_up;

static void on_result(void *ctx, const struct result *r)
{
	(void)ctx;
	results++;
	values += r->count;
	not_up += r->outcome != OUTCOME_UP;
}

static void on_done(void *ctx)
{
	event_base_loopbreak(ctx);
}

static double cpu_seconds(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
		(double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

int main(int argc, char **argv)
{
	struct probe_env env = {.base = event_base_new()};
	struct runner *runner = runner_new(&env);
	struct arena *arena = arena_new();
	long cycles = argc > 2 ? atol(argv[1]) : 0;
	double all = 0;

	for (int i = 2; i < argc; i++) {
		const struct config_pairs none = {0};
		struct run_spec spec = {.check = argv[i], .type = registry_find(argv[i]), .families = RUN_BOTH,
			.timeout = NS_PER_S, .interval_s = 10};
		void *options;
		struct err e;
		double start;

		if (spec.type == NULL || catalog_options(spec.type->catalog, &none, arena, &options, &e) < 0)
			return 2;
		spec.options = options;
		results = values = not_up = 0;
		start = cpu_seconds();
		for (long c = 0; c < cycles; c++) {
			run_group_begin(runner, &spec, on_result, on_done, env.base);
			event_base_dispatch(env.base);
		}
		start = (cpu_seconds() - start) / (double)cycles;
		all += start;
		printf("%-10s %7.1f us  %zu results, %zu values per cycle, %zu not up\n", argv[i], start * 1e6,
			results / (size_t)cycles, values / (size_t)cycles, not_up);
	}
	printf("%-10s %7.1f us of CPU per cycle\n", "all", all * 1e6);
	runner_free(runner);
	arena_free(arena);
	event_base_free(env.base);
	return 0;
}
