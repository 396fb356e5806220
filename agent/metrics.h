/*
 * metrics: the figures of the agent itself in Prometheus text format, served on loopback.
 *
 *   metrics_open -> GET /metrics, /-/healthy, /-/ready -> metrics_close
 *
 * Thread: the loop's. Formatting is pure.
 */
#ifndef AGENT_METRICS_H
#define AGENT_METRICS_H

#include <stdbool.h>
#include <stdint.h>

#include "agent/beats.h"
#include "agent/patrol.h"
#include "agent/spool.h"
#include "agent/traps.h"
#include "lib/config.h"
#include "lib/journal.h"
#include "lib/uplink.h"

struct buf;
struct err;
struct event_base;
struct metrics;

struct metrics_figures {
	const char *id;
	bool helper_is_there;
	bool has_landlock;     /* the kernel bounds what the engine can open */
	bool is_ready;         /* the journal takes what is measured */
	bool has_collector;    /* uplink is filled */
	size_t refused_checks;
	uint64_t reloads, reload_failures;
	int64_t now_mono, now_real;
	struct patrol_stats patrol;
	struct traps_stats traps;
	struct beats_stats beats;
	struct spool_stats spool;
	struct journal_stats journal;
	struct uplink_stats uplink;
};

void metrics_format(const struct metrics_figures *, struct buf *out);

/* listen: checked by agent_settings_parse_listen. collect fills the figures for each request. */
struct metrics *metrics_open(struct event_base *, const struct config_texts *listen,
	void (*collect)(void *ctx, struct metrics_figures *), void *ctx, struct err *);
/* To be called now and then: those who could not be let in are. Accepts NULL. */
void metrics_accept_again(struct metrics *);
void metrics_close(struct metrics *); /* accepts NULL */

#endif
