#include "probes/host/systemd.h"

#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "probes/host/types.h"
#include "probes/probe.h"

#define WORDS 160 /* bytes of names in a reason */

struct asking {
	struct run *run;
	struct systemd_call *call;
	size_t count;
	const char *names[SYSTEMD_NAMES_MAX];
	char whole[SYSTEMD_NAMES_MAX][SYSTEMD_NAME_MAX + 1];
};

static bool is_ignored(const struct systemd_options *o, const char *name)
{
	for (size_t i = 0; i < o->ignore.count; i++)
		if (fnmatch(o->ignore.items[i], name, 0) == 0)
			return true;
	return false;
}

/* "a.service, b.mount and 3 more" */
static void add_name(char words[WORDS], size_t *told, const char *name)
{
	size_t len = strlen(words);

	if (len + strlen(name) + sizeof ", " + sizeof " and 4294967295 more" > WORDS)
		return;
	snprintf(words + len, WORDS - len, "%s%s", *told > 0 ? ", " : "", name);
	(*told)++;
}

static void tell_failed(struct run *r, const struct systemd_units *u)
{
	const struct systemd_options *o = run_options(r);
	char words[WORDS] = "";
	size_t told = 0, count = u->failed_count;

	for (size_t i = 0; i < u->failed_count && i < SYSTEMD_FAILED_MAX; i++) {
		if (is_ignored(o, u->failed[i].name))
			count--;
		else
			add_name(words, &told, u->failed[i].name);
	}
	run_value(r, SYSTEMD_FAILED, (double)count);
	if (count == 0)
		run_up(r);
	else if (count > told)
		run_down(r, "%zu units failed: %s and %zu more", count, words, count - told);
	else
		run_down(r, "%zu unit%s failed: %s", count, count == 1 ? "" : "s", words);
}

static void tell_named(struct run *r, const char *label, const struct systemd_unit *u)
{
	struct run_part *p = run_add_part(r, label);
	/* One that reloads serves meanwhile. */
	bool is_active = strcmp(u->active, "active") == 0 || strcmp(u->active, "reloading") == 0 ||
		strcmp(u->active, "refreshing") == 0;

	if (p == NULL)
		return;
	run_part_value(p, SYSTEMD_ACTIVE, is_active ? 1 : 0);
	if (is_active)
		return;
	if (strcmp(u->load, "not-found") == 0)
		run_part_down(p, "there is no such unit");
	else if (strcmp(u->load, "loaded") != 0)
		run_part_down(p, "%s (%s), its file is \"%s\"", u->active, u->sub, u->load);
	else
		run_part_down(p, "%s (%s)", u->active, u->sub);
}

static void on_end(void *ctx, const struct systemd_units *u, const char *why)
{
	struct asking *a = ctx;
	struct run *r = a->run;
	const struct systemd_options *o = run_options(r);

	run_set_private(r, NULL);
	if (u == NULL) {
		run_unknown(r, "%s", why);
	} else if (u->named_count != a->count) {
		run_unknown(r, "systemd told of %u units, asked for %zu", (unsigned)u->named_count, a->count);
	} else {
		for (size_t i = 0; i < a->count; i++)
			tell_named(r, o->names.items[i], &u->named[i]);
		tell_failed(r, u);
	}
	free(a);
}

/* It is our own fault, or that of systemd, of which nothing else is known then. */
static void at_deadline(void *state, struct run *r)
{
	char limit[NUM_TEXT];

	(void)state;
	num_format_duration(run_deadline(r) - run_started(r), limit);
	run_unknown(r, "no answer from systemd within %s", limit);
}

static void systemd_start(void *state, struct run *r)
{
	const struct systemd_options *o = run_options(r);
	const struct probe_env *env = run_env(r);
	struct asking *a;
	struct err e;

	(void)state;
	if (env->systemd_ask == NULL) {
		run_unknown(r, "systemd cannot be asked here");
		return;
	}
	a = mem_alloc(sizeof *a);
	a->run = r;
	a->count = o->names.count;
	for (size_t i = 0; i < a->count; i++) {
		catalog_unit_name(o->names.items[i], a->whole[i]);
		a->names[i] = a->whole[i];
	}
	run_set_private(r, a);
	run_on_deadline(r, at_deadline);
	a->call = env->systemd_ask(env->ctx, &(struct systemd_request){a->names, a->count, run_deadline(r)}, on_end, a, &e);
	if (a->call != NULL)
		return;
	run_set_private(r, NULL);
	free(a);
	run_unknown(r, "%s", e.text);
}

static void systemd_cancel(void *state, struct run *r)
{
	const struct probe_env *env = run_env(r);
	struct asking *a = run_private(r);

	(void)state;
	if (a == NULL)
		return;
	env->systemd_cancel(env->ctx, a->call);
	free(a);
	run_set_private(r, NULL);
}

const struct probe_type systemd_probe = {.catalog = &catalog_systemd, .start = systemd_start, .cancel = systemd_cancel};
