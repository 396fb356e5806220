/*
 * plan: from the inventory to what judgement works by: who votes on what, what hangs on what. Pure.
 *
 *   plan_make -> verdict_plan(plan.checks), verdict_ways(plan.ways), incidents_topology(plan_take_topology) -> plan_fini
 *
 * Subjects: "system/ID", "link/ID", "site/ID", "host/AGENT"; and "agent/AGENT" for each agent itself, whose silence is told as
 * FAULT_SILENT. A site needs its link, a link the site above, hosts and agents their site; a system needs each of what it
 * depends on, and one of `either`.
 */
#ifndef COLLECTOR_JUDGE_PLAN_H
#define COLLECTOR_JUDGE_PLAN_H

#include "collector/judge/topology.h"
#include "collector/judge/verdict.h"

struct arena;
struct err;
struct inventory;

struct plan {
	struct arena *arena;
	struct verdict_check_plan *checks;
	struct verdict_way *ways; /* of each agent the links above it */
	size_t count, ways_count;
	struct topology *topology;
};

/* Texts are those of the inventory, which must outlive the plan. -1 with err: too deep a tree. */
int plan_make(const struct inventory *, struct plan *, struct err *);
struct topology *plan_take_topology(struct plan *);
void plan_fini(struct plan *);

/* How each vantage sees each subject in one family at present, for topology_locate: where on the way is it broken? Votes
 * that are none or unknown are left out. Of one subject alone, or of all (NULL). Fills up to room; returns how many. */
size_t plan_sights(const struct verdict *, const struct topology *, const char *subject, enum family, struct topology_sight *,
	size_t room);

#endif
