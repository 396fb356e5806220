#include "agent/engine.h"

#include <event2/event.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "agent/assignments.h"
#include "agent/beats.h"
#include "agent/confine.h"
#include "agent/engine_parts.h"
#include "agent/helper.h"
#include "agent/metrics.h"
#include "agent/patrol.h"
#include "agent/plugins.h"
#include "agent/reboot.h"
#include "agent/settings.h"
#include "agent/spawner.h"
#include "agent/spool.h"
#include "agent/trap_boots.h"
#include "agent/trap_usm.h"
#include "agent/traps.h"
#include "agent/units.h"
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
#include "lib/uplink.h"
#include "lib/wire.h"
#include "probes/resolve.h"
#include "probes/run.h"

#define SYNC_WITHIN NS_PER_S             /* a result waits for the disk at most this long */
#define SYNC_SPACING (200 * NS_PER_MS)   /* from one sync to the next when nothing is measured */
#define SYNC_AGAIN (2 * NS_PER_S)        /* after one that failed */
#define KEEP_HOUSE (10 * NS_PER_S)       /* bounds and trims the journal */
#define DESCRIPTORS 65536

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

int engine_open_metrics(struct engine *g, const struct agent_settings *s, struct metrics **out, struct err *e)
{
	*out = NULL;
	if (s->metrics.listen.count == 0)
		return 0;
	*out = metrics_open(g->base, &s->metrics.listen, collect, g, e);
	return *out != NULL ? 0 : -1;
}

/* ---- start */

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
	engine_lend(g);
	g->env.http = http_client_new(g->base);
	g->env.resolver = resolver_new(g->base, engine_servers(s), e);
	if (g->env.resolver == NULL)
		return -1;
	g->runner = runner_new(&g->env);
	g->patrol = patrol_new(g->base, g->runner, s->id, (size_t)s->concurrency, &events, g);
	engine_recall_assignments(g);
	if (engine_open_uplink(g, s, &g->uplink, e) < 0 || engine_open_metrics(g, s, &g->metrics, e) < 0)
		return -1;
	g->uplink_files = engine_files_stamp(&s->collector.tls);
	return 0;
}

static void on_sighup(evutil_socket_t sig, short what, void *ctx)
{
	(void)sig, (void)what;
	engine_reload(ctx);
}

static void on_sigterm(evutil_socket_t sig, short what, void *ctx)
{
	struct engine *g = ctx;

	(void)sig, (void)what;
	log_info("ending");
	manager_stopping(&g->manager);
	event_base_loopbreak(g->base);
}

static void open_events(struct engine *g)
{
	static const struct {
		int number;
		event_callback_fn on_signal;
	} handled[ENGINE_SIGNALS] = {{SIGTERM, on_sigterm}, {SIGINT, on_sigterm}, {SIGHUP, on_sighup}};

	g->start_real = clock_real();
	g->start_mono = clock_mono();
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_IGN); /* the end of others is told by their channels */
	g->base = event_base_new();
	for (size_t i = 0; i < ENGINE_SIGNALS; i++) {
		g->signals[i] = evsignal_new(g->base, handled[i].number, handled[i].on_signal, g);
		evsignal_add(g->signals[i], NULL);
	}
	g->sync = evtimer_new(g->base, on_sync, g);
	g->house = evtimer_new(g->base, on_house, g);
	g->watchdog = evtimer_new(g->base, on_watchdog, g);
	engine_watch_processes(g);
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
	close_range(3, ~0U, 0); /* should it hang, those at the other ends still hear that the engine has ended */
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

static bool knows_address(void *ctx, const char *address)
{
	struct engine *g = ctx;

	return patrol_knows(g->patrol, address);
}

static bool on_notice(void *ctx, const char *address)
{
	struct engine *g = ctx;

	return patrol_hasten(g->patrol, address) > 0;
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
	engine_note_listeners(g);
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
		engine_has_collector(g->settings) ? g->settings->collector.url : "none");
	engine_set_checks(g, g->settings);
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
	for (size_t i = 0; i < ENGINE_SIGNALS; i++)
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
