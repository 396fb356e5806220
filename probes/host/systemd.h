/*
 * systemd: units of this host that have failed, and named ones that must be active. A run asks systemd over the system
 * bus, which only another process may (agent/units.h): probe_env hands the question on and the answer back. Files do not
 * tell: /run/systemd and the cgroups show what runs, not what failed, nor what a unit that does not run is instead.
 *
 *   failed units      down, with their names, but those that `ignore` names; their count is a value
 *   a named unit      a part: up when it is active (or reloading meanwhile), else down with what it is instead
 *   no systemd, no bus, no answer in time    unknown
 */
#ifndef PROBES_HOST_SYSTEMD_H
#define PROBES_HOST_SYSTEMD_H

#include <stddef.h>
#include <stdint.h>

#include "probes/catalog_host.h"

#define SYSTEMD_FAILED_MAX 64 /* of more the number alone is told */

struct systemd_request {
	const char *const *names; /* whole ones, as "sshd.service" */
	size_t count;
	int64_t deadline;         /* clock_mono() */
};

/* As systemd names it: load is "loaded", "not-found", ...; active "active", "failed", ...; sub "running", "dead", ... */
struct systemd_unit {
	char name[SYSTEMD_NAME_MAX + 1], load[16], active[16], sub[32];
};

struct systemd_units {
	uint32_t failed_count; /* the first of them stand in failed */
	uint32_t named_count;  /* as many as were asked for, in their order */
	struct systemd_unit failed[SYSTEMD_FAILED_MAX], named[SYSTEMD_NAMES_MAX];
};

#endif
