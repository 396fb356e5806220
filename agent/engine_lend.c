#include "agent/engine_parts.h"

#include "agent/beats.h"
#include "agent/helper.h"
#include "agent/settings.h"
#include "agent/spawner.h"
#include "agent/targets.h"
#include "agent/units.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/journal.h"
#include "lib/log.h"
#include "probes/credentials.h"
#include "probes/dial.h"

#define TELL_REBOOT (7200 * NS_PER_S) /* twice the longest interval of a check */

static int open_icmp(void *ctx, enum family family, struct err *e)
{
	struct engine *g = ctx;

	return helper_open_icmp(g->helper, family, e);
}

static bool may_probe(void *ctx, const struct sockaddr *address)
{
	struct engine *g = ctx;

	return targets_allow(&g->settings->targets, address);
}

static struct exec_call *exec_start(void *ctx, const struct exec_request *q,
	void (*on_end)(void *call_ctx, const struct exec_end *), void *call_ctx, struct err *e)
{
	struct engine *g = ctx;

	if (g->spawner != NULL)
		return spawner_call(g->spawner, q, on_end, call_ctx, e);
	err_set(e, "no plugin is allowed on this host (plugins in agent.conf)");
	return NULL;
}

static bool exec_cancel(void *ctx, struct exec_call *call)
{
	struct engine *g = ctx;

	return spawner_cancel(g->spawner, call);
}

static void tell_change(const char *what, const char *needs, enum keeper_change change, const char *why)
{
	switch (change) {
	case KEEPER_GONE:
		log_warn("%s is gone: %s unknown until it is started anew why=\"%s\"", what, needs, why);
		break;
	case KEEPER_BACK:
		log_info("%s is there again", what);
		break;
	case KEEPER_LOST:
		log_error("%s is gone: %s unknown until the agent is started again why=\"%s\"", what, needs, why);
		break;
	}
}

static void on_spawner_change(void *ctx, enum keeper_change change, const char *why)
{
	(void)ctx;
	tell_change("the process that starts plugins", "checks of type exec are", change, why);
}

static void on_units_change(void *ctx, enum keeper_change change, const char *why)
{
	(void)ctx;
	tell_change("the process that asks systemd", "checks of type systemd are", change, why);
}

static void on_helper_change(void *ctx, enum keeper_change change, const char *why)
{
	(void)ctx;
	tell_change("the helper process", "what needs a new ICMP socket is", change, why);
}

static void own_journal(void *ctx, uint64_t *bytes, uint64_t *most)
{
	struct engine *g = ctx;
	struct journal_stats stats;

	journal_stats(g->journal, &stats);
	*bytes = stats.bytes;
	*most = (uint64_t)g->settings->journal.max_bytes;
}

/* Checks that begin long after have nothing to do with it. */
static bool was_rebooted(void *ctx)
{
	struct engine *g = ctx;

	return g->was_rebooted && clock_mono() - g->start_mono < TELL_REBOOT;
}

static struct systemd_call *systemd_ask(void *ctx, const struct systemd_request *q,
	void (*on_end)(void *call_ctx, const struct systemd_units *, const char *why), void *call_ctx, struct err *e)
{
	struct engine *g = ctx;

	return units_ask(g->units, q, on_end, call_ctx, e);
}

static void systemd_cancel(void *ctx, struct systemd_call *call)
{
	struct engine *g = ctx;

	units_cancel(g->units, call);
}

static const struct credential *find_credential(void *ctx, const char *id)
{
	struct engine *g = ctx;

	return credentials_find(&g->settings->credentials, id);
}

static bool ask_heartbeat(void *ctx, const char *window, struct heartbeat_seen *out)
{
	struct engine *g = ctx;

	return beats_ask(g->beats, window, out);
}

void engine_lend(struct engine *g)
{
	g->env = (struct probe_env){.base = g->base, .priv_open_icmp = open_icmp, .may_probe = may_probe, .no_way = dial_no_way,
		.exec_start = exec_start, .exec_cancel = exec_cancel, .credential = find_credential,
		.heartbeat = ask_heartbeat, .was_rebooted = was_rebooted, .own_journal = own_journal,
		.systemd_ask = systemd_ask, .systemd_cancel = systemd_cancel, .ctx = g};
}

void engine_watch_processes(struct engine *g)
{
	helper_watch(g->helper, g->base, on_helper_change, g);
	if (g->spawner != NULL)
		spawner_watch(g->spawner, g->base, on_spawner_change, g);
	units_watch(g->units, g->base, on_units_change, g);
}
