#include "agent/engine.h"

#include <errno.h>
#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "agent/assignments.h"
#include "agent/beats.h"
#include "agent/confine.h"
#include "agent/helper.h"
#include "agent/metrics.h"
#include "agent/patrol.h"
#include "agent/plugins.h"
#include "agent/reboot.h"
#include "agent/settings.h"
#include "agent/spawner.h"
#include "agent/spool.h"
#include "agent/targets.h"
#include "agent/trap_boots.h"
#include "agent/trap_usm.h"
#include "agent/traps.h"
#include "agent/units.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/fence.h"
#include "lib/http.h"
#include "lib/journal.h"
#include "lib/log.h"
#include "lib/manager.h"
#include "lib/mem.h"
#include "lib/program.h"
#include "lib/sample.h"
#include "lib/tls.h"
#include "lib/uplink.h"
#include "lib/wire.h"
#include "probes/probe.h"
#include "probes/resolve.h"
#include "probes/run.h"

#define SYNC_WITHIN NS_PER_S             /* a result waits for the disk at most this long */
#define SYNC_SPACING (200 * NS_PER_MS)   /* from one sync to the next when nothing is measured */
#define SYNC_AGAIN (2 * NS_PER_S)        /* after one that failed */
#define KEEP_HOUSE (10 * NS_PER_S)       /* bounds and trims the journal */
#define DESCRIPTORS 65536
#define TELL_REBOOT (7200 * NS_PER_S)    /* twice the longest interval of a check */

enum { SIGNALS = 3 };

struct engine {
	const char *settings_path;
	struct agent_settings *settings;
	struct helper *helper;
	struct spawner *spawner;           /* NULL: no plugins */
	struct units *units;
	struct manager manager;
	struct event_base *base;
	struct event *signals[SIGNALS], *sync, *house, *watchdog;
	struct journal *journal;
	struct spool *spool;
	struct probe_env env;
	struct runner *runner;
	struct patrol *patrol;
	struct wire_assignments *assigned; /* by the collector; NULL: nothing yet */
	size_t refused;                    /* checks that cannot be done here */
	struct uplink *uplink;
	uint64_t uplink_files;             /* what the files of TLS were when it was made */
	struct metrics *metrics;
	struct traps *traps;
	struct beats *beats;
	char *traps_at, *beats_at;         /* where they listen, whatever the settings say since */
	int64_t start_real, start_mono;
	int64_t last_sync;
	bool sync_failed;
	bool was_rebooted;                 /* since the agent ran before */
	bool has_paths;                    /* the kernel bounds what can be opened */
	uint64_t reloads, reload_failures;
};

static struct timeval time_of(int64_t ns)
{
	return (struct timeval){ns / NS_PER_S, ns % NS_PER_S / NS_PER_US};
}

static void set_timer(struct event *timer, int64_t ns)
{
	struct timeval tv = time_of(ns);

	evtimer_add(timer, &tv);
}

/* ---- results into the journal */

static bool is_kept(uint8_t kind)
{
	return kind != ENTRY_RESULT;
}

static struct position on_result(void *ctx, const struct result *r)
{
	struct engine *g = ctx;

	if (!evtimer_pending(g->sync, NULL))
		set_timer(g->sync, SYNC_WITHIN);
	return spool_add(g->spool, r);
}

/* A sync stops the loop for as long as the disk takes, which would count as time of whatever is measured:
 * the best moment is when nothing is. */
static void on_idle(void *ctx)
{
	struct engine *g = ctx;
	int64_t since = clock_mono() - g->last_sync;

	if (spool_has_more(g->spool) && !g->sync_failed)
		set_timer(g->sync, since < SYNC_SPACING ? SYNC_SPACING - since : 0);
}

static void tell_sync(struct engine *g, bool failed, const struct err *e)
{
	struct spool_stats stats;

	if (failed && !g->sync_failed)
		log_error("the journal cannot be written, results wait in memory: %s", e->text);
	spool_stats(g->spool, &stats);
	if (!failed && g->sync_failed)
		log_info("the journal is written again lost=%llu", (unsigned long long)stats.lost);
	g->sync_failed = failed;
}

static int sync_now(struct engine *g)
{
	struct err e;
	int status = spool_sync(g->spool, &e);

	g->last_sync = clock_mono();
	tell_sync(g, status < 0, &e);
	if (g->uplink != NULL)
		uplink_wake(g->uplink); /* also after a failure: a part may be synced */
	return status;
}

/* Also while nothing can be written, as it needs no room: what lacks may be that of what the collector has. */
static void make_room(struct engine *g)
{
	struct err e;

	if (journal_trim(g->journal, &e) < 0)
		log_warn("the journal cannot be trimmed: %s", e.text);
}

static void on_sync(evutil_socket_t fd, short what, void *ctx)
{
	struct engine *g = ctx;

	(void)fd, (void)what;
	if (g->sync_failed)
		make_room(g);
	if (sync_now(g) < 0)
		set_timer(g->sync, SYNC_AGAIN);
}

/* A wall clock that jumps forward must not make results too old to keep. */
static int64_t careful_now(const struct engine *g)
{
	int64_t real = clock_real(), steady = g->start_real + clock_mono() - g->start_mono;

	return real < steady ? real : steady;
}

static void on_house(evutil_socket_t fd, short what, void *ctx)
{
	struct engine *g = ctx;
	struct err e;

	(void)fd, (void)what;
	set_timer(g->house, KEEP_HOUSE);
	make_room(g); /* first: what goes that way must not be counted as dropped */
	if (journal_bound(g->journal, careful_now(g), &e) < 0)
		log_warn("the journal cannot be bounded: %s", e.text);
	metrics_accept_again(g->metrics);
}

static void on_watchdog(evutil_socket_t fd, short what, void *ctx)
{
	struct engine *g = ctx;

	(void)fd, (void)what;
	manager_alive(&g->manager);
	set_timer(g->watchdog, g->manager.watchdog / 2);
}

/* ---- what probes borrow */

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

static void on_probe(void *ctx, const char *check)
{
	struct engine *g = ctx;

	bool is_known = patrol_hasten_check(g->patrol, check);

	log_debug("the collector wants a check run now check=%s known=%d", check, is_known);
}

static bool ask_heartbeat(void *ctx, const char *window, struct heartbeat_seen *out)
{
	struct engine *g = ctx;

	return beats_ask(g->beats, window, out);
}

static bool on_notice(void *ctx, const char *address)
{
	struct engine *g = ctx;

	return patrol_hasten(g->patrol, address) > 0;
}

static bool knows_address(void *ctx, const char *address)
{
	struct engine *g = ctx;

	return patrol_knows(g->patrol, address);
}

/* ---- assignments */

static void on_refused(void *ctx, const char *check, const char *why)
{
	(void)ctx;
	log_warn("a check cannot be done here check=%s why=\"%s\"", check, why);
}

/* From the settings given and what the collector assigned last. */
static void set_checks(struct engine *g, const struct agent_settings *settings)
{
	struct assignments *set = assignments_new(settings, g->assigned, on_refused, NULL);
	struct patrol_change change;

	g->refused = set->refused;
	patrol_set(g->patrol, set, &change);
	log_info("checks=%zu added=%zu removed=%zu changed=%zu refused=%zu", set->count, change.added,
		change.removed, change.changed, set->refused);
	assignments_drop(set);
}

static struct wire_assignments *decode_ours(const struct agent_settings *s, const void *data, size_t len,
	struct err *e)
{
	struct wire_assignments *a = wire_assignments_decode(data, len, e);

	if (a != NULL && strcmp(a->agent, s->id) != 0) {
		err_set(e, "assignments are for the agent \"%s\"", a->agent);
		wire_assignments_free(a);
		return NULL;
	}
	return a;
}

static void on_assignments(void *ctx, const void *data, size_t len)
{
	struct engine *g = ctx;
	struct err e;
	struct wire_assignments *a = decode_ours(g->settings, data, len, &e);

	if (a == NULL) {
		log_error("assignments refused, the old ones stay: %s", e.text);
		return;
	}
	wire_assignments_free(g->assigned);
	g->assigned = a;
	if (assignments_write(g->settings->state, data, len, &e) < 0)
		log_warn("assignments are not kept over a restart: %s", e.text);
	set_checks(g, g->settings);
}

/* What stood there before: an agent starts without its collector. */
static void recall_assignments(struct engine *g)
{
	struct buf data = {0};
	struct err e;
	int status = assignments_read(g->settings->state, &data, &e);

	if (status == 1)
		g->assigned = decode_ours(g->settings, data.data, data.len, &e);
	if (status < 0 || (status == 1 && g->assigned == NULL))
		log_error("assignments of the last time are of no use, waiting for the collector: %s", e.text);
	buf_fini(&data);
}

static void add_now(void *ctx, struct wire_packer *packer)
{
	struct engine *g = ctx;

	patrol_add_now(g->patrol, journal_synced(g->journal), packer);
}

/* ---- uplink */

static bool has_collector(const struct agent_settings *s)
{
	return *s->collector.url != '\0';
}

/* Changes with each renewal of a file. */
static uint64_t files_stamp(const struct tls_files *files)
{
	const char *const paths[] = {files->ca, files->certificate, files->key};
	uint64_t stamp = 0;

	for (size_t i = 0; i < 3; i++) {
		struct stat st;

		if (stat(paths[i], &st) != 0)
			continue;
		stamp = (stamp ^ (uint64_t)st.st_ino ^ (uint64_t)st.st_size << 40) * UINT64_C(0x100000001b3);
		stamp = (stamp ^ (uint64_t)st.st_mtim.tv_sec << 20 ^ (uint64_t)st.st_mtim.tv_nsec) *
			UINT64_C(0x100000001b3);
	}
	return stamp;
}

static int open_uplink(struct engine *g, const struct agent_settings *s, struct uplink **out, struct err *e)
{
	const struct uplink_options options = {.url = s->collector.url, .agent = s->id, .tls = s->collector.tls,
		.address = *s->collector.address != '\0' ? s->collector.address : NULL,
		.add_now = add_now, .on_assignments = on_assignments, .on_probe = on_probe, .ctx = g};

	*out = NULL;
	if (!has_collector(s))
		return 0;
	*out = uplink_new(g->base, g->journal, &options, e);
	return *out != NULL ? 0 : -1;
}

static bool same_uplink(const struct engine *g, const struct agent_settings *now)
{
	const struct agent_settings_collector *a = &g->settings->collector, *b = &now->collector;

	return strcmp(a->url, b->url) == 0 && strcmp(a->address, b->address) == 0 &&
		strcmp(a->tls.ca, b->tls.ca) == 0 && strcmp(a->tls.certificate, b->tls.certificate) == 0 &&
		strcmp(a->tls.key, b->tls.key) == 0 && g->uplink_files == files_stamp(&b->tls);
}

/* ---- figures */

static void collect(void *ctx, struct metrics_figures *f)
{
	struct engine *g = ctx;

	f->id = g->settings->id;
	f->helper_is_there = helper_is_there(g->helper);
	f->has_landlock = g->has_paths;
	f->is_ready = !g->sync_failed;
	f->refused_checks = g->refused;
	f->reloads = g->reloads;
	f->reload_failures = g->reload_failures;
	f->now_mono = clock_mono();
	f->now_real = clock_real();
	patrol_stats(g->patrol, &f->patrol);
	f->traps = traps_stats(g->traps);
	f->beats = beats_stats(g->beats);
	spool_stats(g->spool, &f->spool);
	journal_stats(g->journal, &f->journal);
	f->has_collector = g->uplink != NULL;
	if (f->has_collector)
		uplink_stats(g->uplink, &f->uplink);
}

static int open_metrics(struct engine *g, const struct agent_settings *s, struct metrics **out, struct err *e)
{
	*out = NULL;
	if (s->metrics.listen.count == 0)
		return 0;
	*out = metrics_open(g->base, &s->metrics.listen, collect, g, e);
	return *out != NULL ? 0 : -1;
}

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

/* ---- reload */

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

static const char *servers_of(const struct agent_settings *s)
{
	return *s->resolver != '\0' ? s->resolver : NULL;
}

/* Old listeners end before new ones begin, as they may want the same port. */
static int change_metrics(struct engine *g, const struct agent_settings *now, struct err *e)
{
	struct err ignored;

	if (same_texts(&g->settings->metrics.listen, &now->metrics.listen))
		return 0;
	metrics_close(g->metrics);
	if (open_metrics(g, now, &g->metrics, e) == 0)
		return 0;
	if (open_metrics(g, g->settings, &g->metrics, &ignored) < 0)
		log_error("the figures of the agent are not served any more: %s", ignored.text);
	return -1;
}

/* What can fail, each with the old one in place until the new one is there. */
static int change_parts(struct engine *g, const struct agent_settings *now, struct err *e)
{
	struct uplink *uplink = NULL;
	bool same = same_uplink(g, now);

	if (!same && open_uplink(g, now, &uplink, e) < 0)
		return -1;
	if (change_metrics(g, now, e) < 0) {
		uplink_free(uplink);
		return -1;
	}
	if (resolver_reload(g->env.resolver, servers_of(now), e) < 0)
		log_warn("name servers stay as they were: %s", e->text);
	if (beats_reload(g->beats, &now->heartbeat, e) < 0)
		log_warn("windows and certificate of heartbeats stay as they were: %s", e->text);
	if (!same) {
		uplink_free(g->uplink);
		g->uplink = uplink;
		g->uplink_files = files_stamp(&now->collector.tls);
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
	set_checks(g, now);
	patrol_set_concurrency(g->patrol, (size_t)now->concurrency);
	agent_settings_free(old);
	return 0;
}

static void on_sighup(evutil_socket_t sig, short what, void *ctx)
{
	struct engine *g = ctx;
	struct err e;

	(void)sig, (void)what;
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

static void on_sigterm(evutil_socket_t sig, short what, void *ctx)
{
	struct engine *g = ctx;

	(void)sig, (void)what;
	log_info("ending");
	manager_stopping(&g->manager);
	event_base_loopbreak(g->base);
}

/* ---- start */

int engine_check_files(const struct agent_settings *s, struct err *e)
{
	char identity[TLS_NAME_MAX + 1];

	if (beats_check(&s->heartbeat, e) < 0)
		return -1;
	if (!has_collector(s))
		return 0;
	if (tls_own_identity(s->collector.tls.certificate, identity, sizeof identity, e) < 0)
		return -1;
	if (strcmp(identity, s->id) != 0)
		return config_error(&s->collector.where, e, "the certificate is of \"%s\", not of our id \"%s\"",
			identity, s->id);
	return 0;
}

static void raise_limits(void)
{
	struct rlimit limit;

	if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= DESCRIPTORS)
		return;
	limit.rlim_cur = limit.rlim_max < DESCRIPTORS ? limit.rlim_max : DESCRIPTORS;
	setrlimit(RLIMIT_NOFILE, &limit);
}

static int open_journal(struct engine *g, struct err *e)
{
	const struct agent_settings_journal *j = &g->settings->journal;
	const struct journal_options options = {.segment_bytes = j->segment_bytes, .max_bytes = j->max_bytes,
		.max_age = j->max_age, .is_kept = is_kept};
	char *folder = mem_format("%s/journal", g->settings->state);

	g->journal = journal_open(folder, &options, e);
	free(folder);
	if (g->journal == NULL)
		return -1;
	g->spool = spool_new(g->journal);
	return 0;
}

static int open_parts(struct engine *g, struct err *e)
{
	static const struct patrol_events events = {on_result, on_idle};
	const struct agent_settings *s = g->settings;

	if (open_journal(g, e) < 0)
		return -1;
	g->env = (struct probe_env){.base = g->base, .priv_open_icmp = open_icmp, .may_probe = may_probe,
		.exec_start = exec_start, .exec_cancel = exec_cancel, .credential = find_credential,
		.heartbeat = ask_heartbeat, .was_rebooted = was_rebooted, .own_journal = own_journal,
		.systemd_ask = systemd_ask, .systemd_cancel = systemd_cancel, .ctx = g};
	g->env.http = http_client_new(g->base);
	g->env.resolver = resolver_new(g->base, servers_of(s), e);
	if (g->env.resolver == NULL)
		return -1;
	g->runner = runner_new(&g->env);
	g->patrol = patrol_new(g->base, g->runner, s->id, (size_t)s->concurrency, &events, g);
	recall_assignments(g);
	if (open_uplink(g, s, &g->uplink, e) < 0 || open_metrics(g, s, &g->metrics, e) < 0)
		return -1;
	g->uplink_files = files_stamp(&s->collector.tls);
	return 0;
}

static void open_events(struct engine *g)
{
	static const struct {
		int number;
		event_callback_fn on_signal;
	} handled[SIGNALS] = {{SIGTERM, on_sigterm}, {SIGINT, on_sigterm}, {SIGHUP, on_sighup}};

	g->start_real = clock_real();
	g->start_mono = clock_mono();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN); /* the end of others is told by their channels */
	g->base = event_base_new();
	for (size_t i = 0; i < SIGNALS; i++) {
		g->signals[i] = evsignal_new(g->base, handled[i].number, handled[i].on_signal, g);
		evsignal_add(g->signals[i], NULL);
	}
	g->sync = evtimer_new(g->base, on_sync, g);
	g->house = evtimer_new(g->base, on_house, g);
	g->watchdog = evtimer_new(g->base, on_watchdog, g);
	helper_watch(g->helper, g->base, on_helper_change, g);
	if (g->spawner != NULL)
		spawner_watch(g->spawner, g->base, on_spawner_change, g);
	units_watch(g->units, g->base, on_units_change, g);
}

/* One that is missing keeps no agent from its other checks, nor does a file system that does not answer: a process of its own
 * looks. */
static void warn_of_plugins(const struct plugins *plugins)
{
	const struct plugin *items = plugins->list.items;
	struct err e;

	signal(SIGCHLD, SIG_IGN); /* nobody waits for it */
	if (fork() != 0)
		return;
	for (size_t i = 0; i < plugins->list.count; i++) {
		if (plugins_check(&items[i], &e) < 0)
			log_warn("a plugin will not be started: %s", e.text);
	}
	_exit(0);
}

/* While we still are root. */
static int start_spawner(struct engine *g, struct err *e)
{
	const struct agent_settings *s = g->settings;
	struct spawner_rights rights;
	struct plugins *plugins;

	if (*s->plugins == '\0')
		return 0;
	plugins = plugins_load(s->plugins, e);
	if (plugins != NULL && spawner_rights_find(s->plugin_user, s->user, false, &rights, e) == 0)
		g->spawner = spawner_start(plugins, &rights, e);
	if (g->spawner != NULL)
		warn_of_plugins(plugins);
	plugins_free(plugins);
	return g->spawner != NULL ? 0 : -1;
}

/* Who is told to must know our engine over a restart: its number of starts is kept first. */
static void start_traps(struct engine *g)
{
	const struct traps_events events = {knows_address, on_notice, g};
	const struct agent_settings *s = g->settings;
	struct trap_usm *usm = NULL;
	uint32_t boots;
	struct err e;

	if (s->traps.listen.count > 0) {
		if (trap_boots_next(s->state, clock_real(), &boots, &e) < 0)
			log_warn("the starts of the SNMP engine are not counted over a restart: %s", e.text);
		usm = trap_usm_new(s->id, boots, clock_mono());
		trap_usm_set_users(usm, &s->credentials);
	}
	traps_start(g->traps, g->base, usm, &events);
}

static int start(struct engine *g, struct err *e)
{
	/* The state folder, belonging to the user that we become. */
	if (fence_give_folder(g->settings->state, 0700, g->settings->user, e) < 0)
		return -1;
	raise_limits();
	/* Before the right to low ports is gone. */
	g->traps = traps_listen(&g->settings->traps.listen, e);
	g->beats = g->traps != NULL ? beats_listen(&g->settings->heartbeat, e) : NULL;
	if (g->beats == NULL)
		return -1;
	g->traps_at = join_texts(&g->settings->traps.listen);
	g->beats_at = join_listeners(&g->settings->heartbeat);
	if (fence_drop_rights(g->settings->user, e) < 0)
		return -1;
	g->units = units_start("/run", e);
	if (g->units == NULL)
		return -1;
	open_events(g);
	if (open_parts(g, e) < 0)
		return -1;
	g->was_rebooted = reboot_note(g->settings->state, clock_boot_id());
	if (beats_start(g->beats, g->base, &g->settings->heartbeat, e) < 0 ||
		confine_engine(g->settings, &g->has_paths, e) < 0)
		return -1;
	if (!g->has_paths)
		log_warn("this kernel has no Landlock: paths are bounded by the rights of the user alone");
	log_info("started id=%s collector=%s", g->settings->id,
		has_collector(g->settings) ? g->settings->collector.url : "none");
	set_checks(g, g->settings);
	start_traps(g);
	set_timer(g->house, KEEP_HOUSE);
	if (g->manager.watchdog > 0)
		set_timer(g->watchdog, 0);
	return 0;
}

/* ---- end */

static void free_event(struct event *e)
{
	if (e != NULL)
		event_free(e);
}

static void close_events(struct engine *g)
{
	for (size_t i = 0; i < SIGNALS; i++)
		free_event(g->signals[i]);
	free_event(g->sync);
	free_event(g->house);
	free_event(g->watchdog);
	helper_free(g->helper);
	spawner_free(g->spawner);
	units_free(g->units);
	if (g->base != NULL)
		event_base_free(g->base);
}

static void stop(struct engine *g)
{
	traps_close(g->traps);
	beats_close(g->beats);
	free(g->traps_at);
	free(g->beats_at);
	metrics_close(g->metrics);
	patrol_free(g->patrol);
	runner_free(g->runner);
	uplink_free(g->uplink);
	resolver_free(g->env.resolver);
	http_client_free(g->env.http);
	spool_free(g->spool);
	journal_close(g->journal);
	wire_assignments_free(g->assigned);
	close_events(g);
	manager_close(&g->manager);
	agent_settings_free(g->settings);
}

static int run(struct engine *g)
{
	struct err e;

	if (start(g, &e) < 0) {
		log_error("cannot start: %s", e.text);
		return EXIT_RUNTIME;
	}
	manager_ready(&g->manager);
	event_base_dispatch(g->base);
	if (sync_now(g) < 0) {
		log_error("ended; the last results could not be written");
		return EXIT_RUNTIME;
	}
	log_info("ended");
	return EXIT_FINE;
}

int engine_run(const char *settings_path, struct helper *helper)
{
	struct engine g = {.settings_path = settings_path, .helper = helper};
	struct err e;
	int status = EXIT_CONFIG;

	manager_open(&g.manager);
	g.settings = agent_settings_load(settings_path, &e);
	if (g.settings == NULL || engine_check_files(g.settings, &e) < 0 || start_spawner(&g, &e) < 0) {
		log_error("%s", e.text);
	} else {
		log_level_set((enum log_level)g.settings->log_level);
		status = run(&g);
	}
	stop(&g);
	return status;
}
