/*
 * Everything a probe type needs to run in a test: loop, name server, resolver, runner, HTTP client; and one group run to
 * its end. Each result becomes a line "IPv4 127.0.0.1 up" or "... down: words". To be included after cmocka.h.
 */
#ifndef TESTS_UNIT_PROBES_ONE_RUN_H
#define TESTS_UNIT_PROBES_ONE_RUN_H

#include <math.h>

#include "lib/clock.h"
#include "lib/config.h"
#include "lib/err.h"
#include "lib/http.h"
#include "probes/catalog.h"
#include "probes/probe.h"
#include "probes/resolve.h"
#include "probes/run.h"
#include "tests/unit/probes/name_server.h"

#define RESULTS_MAX 40

struct one_run {
	struct event_base *base;
	struct name_server names;
	struct probe_env env;
	struct runner *runner;
	struct arena *arena;
	const char *forbidden; /* an address that may not be probed */
	const char *check;     /* id; NULL: one-shot */
	int64_t timeout;
	unsigned families;
	size_t count;
	bool done;
	struct result results[RESULTS_MAX];
	char lines[RESULTS_MAX][400], reasons[RESULTS_MAX][SAMPLE_TEXT_MAX + 1], parts[RESULTS_MAX][SAMPLE_TEXT_MAX + 1];
};

static bool one_run_may_probe(void *ctx, const struct sockaddr *address)
{
	struct one_run *o = ctx;
	char text[64];

	return o->forbidden == NULL || strcmp(resolve_format(address, text, sizeof text), o->forbidden) != 0;
}

static void one_run_open(struct one_run *o)
{
	struct err e;

	memset(o, 0, sizeof *o);
	o->base = event_base_new();
	name_server_open(&o->names, o->base);
	o->env = (struct probe_env){.base = o->base, .may_probe = one_run_may_probe, .ctx = o,
		.http = http_client_new(o->base), .resolver = resolver_new(o->base, o->names.address, &e)};
	o->runner = runner_new(&o->env);
	o->arena = arena_new();
	o->timeout = 10 * NS_PER_S;
	o->families = RUN_BOTH;
}

static void one_run_close(struct one_run *o)
{
	runner_free(o->runner);
	http_client_free(o->env.http);
	resolver_free(o->env.resolver);
	name_server_close(&o->names);
	arena_free(o->arena);
	event_base_free(o->base);
}

/* Options from "key=value" texts up to NULL. */
static void *one_run_options(struct one_run *o, const struct catalog_type *type, const char *const *texts)
{
	struct config_pair items[16];
	struct config_pairs pairs = {.items = items};
	void *options;
	struct err e;

	for (; texts[pairs.count] != NULL; pairs.count++) {
		const char *text = texts[pairs.count], *equals = strchr(text, '=');
		char *key = arena_strdup(o->arena, text);

		assert_non_null(equals);
		key[equals - text] = '\0';
		items[pairs.count] = (struct config_pair){.key = key, .value = equals + 1};
	}
	if (catalog_options(type, &pairs, o->arena, &options, &e) < 0) {
		print_error("%s\n", e.text);
		fail();
	}
	return options;
}

static void one_run_on_result(void *ctx, const struct result *r)
{
	struct one_run *o = ctx;
	size_t i = o->count++;

	assert_true(i < RESULTS_MAX);
	o->results[i] = *r;
	snprintf(o->reasons[i], sizeof o->reasons[i], "%s", r->reason);
	o->results[i].reason = o->reasons[i];
	snprintf(o->parts[i], sizeof o->parts[i], "%s", r->part);
	o->results[i].part = o->parts[i];
	snprintf(o->lines[i], sizeof o->lines[i], "%s %s %s%s%s", family_name(r->family), r->address,
		outcome_name(r->outcome), *r->reason ? ": " : "", r->reason);
}

static void one_run_on_done(void *ctx)
{
	struct one_run *o = ctx;

	o->done = true;
	event_base_loopbreak(o->base);
}

static struct run_group *one_run_begin(struct one_run *o, const struct probe_type *type, const char *const *texts)
{
	struct run_spec spec = {.check = o->check != NULL ? o->check : "", .type = type, .families = o->families, .timeout = o->timeout,
		.options = one_run_options(o, type->catalog, texts)};

	o->count = 0;
	o->done = false;
	return run_group_begin(o->runner, &spec, one_run_on_result, one_run_on_done, o);
}

static void one_run_wait(struct one_run *o)
{
	struct timeval limit = {30, 0};

	event_base_loopexit(o->base, &limit);
	event_base_dispatch(o->base);
	assert_true(o->done);
}

/* Runs it in the families of o, to its end. */
#define one_run_of(o, type, ...)                                                                   \
	do {                                                                                       \
		one_run_begin(o, type, (const char *const[]){__VA_ARGS__, NULL});                  \
		one_run_wait(o);                                                                   \
	} while (0)

#define assert_lines(o, ...)                                                                       \
	do {                                                                                       \
		const char *const expected_[] = {__VA_ARGS__};                                     \
		for (size_t i_ = 0; i_ < sizeof expected_ / sizeof *expected_; i_++)               \
			assert_string_equal((o)->lines[i_], expected_[i_]);                        \
		assert_int_equal((o)->count, sizeof expected_ / sizeof *expected_);                \
	} while (0)

/* A value of result i, or NaN. */
static double one_run_value(const struct one_run *o, size_t i, uint32_t metric)
{
	for (size_t k = 0; k < o->results[i].count; k++) {
		if (o->results[i].values[k].metric == metric)
			return o->results[i].values[k].number;
	}
	return (double)NAN;
}

#endif
