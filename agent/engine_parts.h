/*
 * engine_parts: what engine*.c share. Of these files only: everyone else reads agent/engine.h.
 *
 *   engine.c            life: start, results into the journal, figures, end
 *   engine_lend.c       what probes borrow, and the processes that lend it
 *   engine_collector.c  assignments, uplink
 *   engine_reload.c     new settings
 */
#ifndef AGENT_ENGINE_PARTS_H
#define AGENT_ENGINE_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/manager.h"
#include "probes/probe.h"

struct agent_settings;
struct beats;
struct err;
struct event;
struct event_base;
struct helper;
struct journal;
struct metrics;
struct patrol;
struct runner;
struct spawner;
struct spool;
struct tls_files;
struct traps;
struct units;
struct uplink;
struct wire_assignments;

enum { ENGINE_SIGNALS = 3 };

struct engine {
	const char *settings_path;
	struct agent_settings *settings;
	struct helper *helper;
	struct spawner *spawner;           /* NULL: no plugins */
	struct units *units;
	struct manager manager;
	struct event_base *base;
	struct event *signals[ENGINE_SIGNALS], *sync, *house, *watchdog;
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

int engine_open_metrics(struct engine *, const struct agent_settings *, struct metrics **, struct err *);

/* Fills env, but for what is opened apart: the HTTP client and the resolver. */
void engine_lend(struct engine *);
/* Tells of those that lend it when they end and are back. */
void engine_watch_processes(struct engine *);

/* From the settings given and what the collector assigned last. */
void engine_set_checks(struct engine *, const struct agent_settings *);
/* What stood there before: an agent starts without its collector. */
void engine_recall_assignments(struct engine *);
bool engine_has_collector(const struct agent_settings *);
/* Changes with each renewal of a file. */
uint64_t engine_files_stamp(const struct tls_files *);
int engine_open_uplink(struct engine *, const struct agent_settings *, struct uplink **, struct err *);
bool engine_same_uplink(const struct engine *, const struct agent_settings *now);

/* Notes where it listens, whatever the settings say later. */
void engine_note_listeners(struct engine *);
const char *engine_servers(const struct agent_settings *); /* NULL: those of the host */
void engine_reload(struct engine *);

#endif
