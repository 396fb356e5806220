/*
 * run: the life of one measurement. Resolves the target of a check, makes one run per address and
 * family, owns every deadline, and hands each result on exactly once.
 *
 *   runner_new -> run_group_begin ... on_result per address, on_done once -> runner_free
 *
 * families = both on a name: every A and every AAAA record. A literal address is measured in its own family and the
 * other family is left out (unknown where only the other one is wanted). NXDOMAIN or no record of a wanted family: one
 * result down of that family, "no AAAA record"; no answer from the resolver: unknown.
 * Time: each run has the whole timeout from its own start on, and the resolver as much before: a slow resolver
 * never makes a target down.
 * Parity: with a time of both families, each IPv6 address that is up also has its ratio to the mean of the IPv4 addresses that are up
 * (CATALOG_RATIO).
 * Results are given all together when the last run has ended, always in one order: IPv4 before IPv6, addresses sorted.
 * Thread: the loop's. Limit: RUN_ADDRESSES_MAX addresses per family.
 */
#ifndef PROBES_RUN_H
#define PROBES_RUN_H

#include "probes/probe.h"

#define RUN_ADDRESSES_MAX 16

enum { RUN_V4 = 1, RUN_V6 = 2, RUN_BOTH = 3 };

struct run_spec {
	const char *check;       /* id copied into results; "" one-shot */
	const struct probe_type *type;
	const void *options;     /* borrowed until on_done */
	unsigned families;       /* RUN_V4 | RUN_V6 */
	int64_t timeout;         /* ns for the whole run */
	uint32_t interval_s;
	uint64_t generation;
};

struct runner;
struct run_group;

struct runner *runner_new(const struct probe_env *); /* borrows it */
void runner_free(struct runner *); /* cancels what runs, without results; not from inside a callback; accepts NULL */

/* spec: copied, its options are borrowed until on_done or cancel. on_result: borrowed result, during the call only.
 * on_done: last call of the group, which is gone by then; neither is called from inside run_group_begin. */
struct run_group *run_group_begin(struct runner *, const struct run_spec *,
	void (*on_result)(void *ctx, const struct result *), void (*on_done)(void *ctx), void *ctx);
/* Ends it without (further) results and without on_done. Also from inside on_result. */
void run_group_cancel(struct run_group *);
size_t runner_running(const struct runner *); /* groups begun and not done */

#endif
