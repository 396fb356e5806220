#include "agent/engine_parts.h"

#include <stdlib.h>
#include <string.h>

#include "agent/beats.h"
#include "agent/engine.h"
#include "agent/metrics.h"
#include "agent/patrol.h"
#include "agent/settings.h"
#include "agent/traps.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/uplink.h"
#include "probes/resolve.h"

static bool same_texts(const struct config_texts *a, const struct config_texts *b)
{
	for (size_t i = 0; i < a->count && i < b->count; i++) {
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	}
	return a->count == b->count;
}

static char *join_texts(const struct config_texts *t)
{
	struct buf b = {0};
	char *joined;

	for (size_t i = 0; i < t->count; i++)
		buf_add_format(&b, "%s ", t->items[i]);
	joined = mem_strdup(buf_text(&b));
	buf_fini(&b);
	return joined;
}

static char *join_listeners(const struct agent_settings_heartbeat *h)
{
	char *https = join_texts(&h->listen_https), *udp = join_texts(&h->listen_udp);
	char *joined = mem_format("%s, %s", https, udp);

	free(https);
	free(udp);
	return joined;
}

const char *engine_servers(const struct agent_settings *s)
{
	return *s->resolver != '\0' ? s->resolver : NULL;
}

void engine_note_listeners(struct engine *g)
{
	g->traps_at = join_texts(&g->settings->traps.listen);
	g->beats_at = join_listeners(&g->settings->heartbeat);
}

static void tell_restart(bool differs, const char *name)
{
	if (differs)
		log_warn("%s is changed at the next start, not by a reload", name);
}

static void tell_what_stays(const struct engine *g, const struct agent_settings *now)
{
	const struct agent_settings *old = g->settings;
	char *traps = join_texts(&now->traps.listen), *beats = join_listeners(&now->heartbeat);

	tell_restart(strcmp(old->id, now->id) != 0, "id");
	tell_restart(strcmp(old->state, now->state) != 0, "state");
	tell_restart(strcmp(old->user, now->user) != 0, "user");
	tell_restart(strcmp(old->plugins, now->plugins) != 0, "plugins");
	tell_restart(strcmp(old->plugin_user, now->plugin_user) != 0, "plugin_user");
	tell_restart(strcmp(g->traps_at, traps) != 0, "traps");
	tell_restart(strcmp(g->beats_at, beats) != 0, "heartbeat.listen");
	tell_restart(old->journal.segment_bytes != now->journal.segment_bytes ||
		old->journal.max_bytes != now->journal.max_bytes ||
		old->journal.max_age != now->journal.max_age, "journal");
	free(traps);
	free(beats);
}

static void keep_what_stays(const struct engine *g, struct agent_settings *now)
{
	const struct agent_settings *old = g->settings;

	tell_what_stays(g, now);
	now->id = arena_strdup(now->arena, old->id);
	now->state = arena_strdup(now->arena, old->state);
	now->user = arena_strdup(now->arena, old->user);
	now->plugins = arena_strdup(now->arena, old->plugins);
	now->plugin_user = arena_strdup(now->arena, old->plugin_user);
	now->journal = old->journal;
}

/* Old listeners end before new ones begin, as they may want the same port. */
static int change_metrics(struct engine *g, const struct agent_settings *now, struct err *e)
{
	struct err ignored;

	if (same_texts(&g->settings->metrics.listen, &now->metrics.listen))
		return 0;
	metrics_close(g->metrics);
	if (engine_open_metrics(g, now, &g->metrics, e) == 0)
		return 0;
	if (engine_open_metrics(g, g->settings, &g->metrics, &ignored) < 0)
		log_error("the figures of the agent are not served any more: %s", ignored.text);
	return -1;
}

/* What can fail, each with the old one in place until the new one is there. */
static int change_parts(struct engine *g, const struct agent_settings *now, struct err *e)
{
	struct uplink *uplink = NULL;
	bool same = engine_same_uplink(g, now);

	if (!same && engine_open_uplink(g, now, &uplink, e) < 0)
		return -1;
	if (change_metrics(g, now, e) < 0) {
		uplink_free(uplink);
		return -1;
	}
	if (resolver_reload(g->env.resolver, engine_servers(now), e) < 0)
		log_warn("name servers stay as they were: %s", e->text);
	if (beats_reload(g->beats, &now->heartbeat, e) < 0)
		log_warn("windows and certificate of heartbeats stay as they were: %s", e->text);
	if (!same) {
		uplink_free(g->uplink);
		g->uplink = uplink;
		g->uplink_files = engine_files_stamp(&now->collector.tls);
	}
	return 0;
}

static int reload(struct engine *g, struct err *e)
{
	struct agent_settings *old = g->settings, *now = agent_settings_load(g->settings_path, e);

	if (now == NULL)
		return -1;
	keep_what_stays(g, now);
	if (engine_check_files(now, e) < 0 || change_parts(g, now, e) < 0) {
		agent_settings_free(now);
		return -1;
	}
	g->settings = now;
	traps_set_users(g->traps, &now->credentials);
	log_level_set((enum log_level)now->log_level);
	engine_set_checks(g, now);
	patrol_set_concurrency(g->patrol, (size_t)now->concurrency);
	agent_settings_free(old);
	return 0;
}

void engine_reload(struct engine *g)
{
	struct err e;

	manager_reloading(&g->manager);
	if (reload(g, &e) < 0) {
		g->reload_failures++;
		log_error("reload refused, the old settings stay: %s", e.text);
	} else {
		g->reloads++;
		log_info("reloaded");
	}
	manager_ready(&g->manager);
}
