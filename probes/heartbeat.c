#include "probes/heartbeat.h"

#include "lib/clock.h"
#include "lib/num.h"
#include "probes/catalog_heartbeat.h"

/* "3m12s": what a reader wants of a silence. */
static void format_silence(int64_t ns, char out[NUM_TEXT])
{
	num_format_duration(ns / NS_PER_S * NS_PER_S, out);
}

static void tell_values(struct run *r, const struct heartbeat_seen *s)
{
	run_value(r, HEARTBEAT_REPORTS, (double)s->reports);
	run_value(r, HEARTBEAT_MISSED, (double)s->missed);
	if (s->heard == 0)
		return;
	run_value(r, HEARTBEAT_AGE, (double)(run_started(r) - s->heard) / NS_PER_S);
	run_value(r, HEARTBEAT_FAMILY, (int)s->family);
	if (s->has_clock)
		run_value(r, HEARTBEAT_CLOCK, s->clock);
}

static void tell(struct run *r, const struct heartbeat_seen *s)
{
	const struct heartbeat_options *o = run_options(r);
	int64_t since = s->heard != 0 ? s->heard : s->listening;
	char silence[NUM_TEXT];

	tell_values(r, s);
	format_silence(run_started(r) - since, silence);
	if (s->missing >= (o->down_after != 0 ? o->down_after : 3 * o->silent))
		run_down(r, "%s%s, others are heard", s->heard != 0 ? "silent for " : "no report yet, listening for ", silence);
	else if (s->heard == 0)
		run_unknown(r, "no report yet, listening for %s", silence);
	else if (run_started(r) - since >= o->silent)
		run_unknown(r, "silent for %s", silence);
	else if (!s->is_up)
		run_down(r, "%s", s->text[0] != '\0' ? s->text : "reported down");
	else if (s->text[0] != '\0')
		run_up_noting(r, "%s", s->text);
	else
		run_up(r);
}

static void heartbeat_start(void *state, struct run *r)
{
	const struct heartbeat_options *o = run_options(r);
	const struct probe_env *env = run_env(r);
	struct heartbeat_seen seen = {0};

	(void)state;
	if (env->heartbeat == NULL)
		run_unknown(r, "only an agent at work hears reports");
	else if (!env->heartbeat(env->ctx, o->window, &seen))
		run_unknown(r, "this agent knows no window \"%s\" (heartbeat in agent.conf)", o->window);
	else
		tell(r, &seen);
}

const struct probe_type heartbeat_probe = {.catalog = &catalog_heartbeat, .start = heartbeat_start};
