/*
 * exec: a run is one run of a Nagios plugin, in a process that is not ours: probe_env asks for it and
 * hands back what it wrote, which is hostile text.
 *
 *   0 OK        up
 *   1 WARNING   up, state is 1; noting its words
 *   2 CRITICAL  down, with what it wrote: the first line, and of the long output what there is room for
 *   3 UNKNOWN, anything else, a signal, no end in time, not allowed, not started: unknown
 *
 * Each item of its performance data is a part by its label. With a host it runs once for each address, which stands in
 * its arguments; what it then talks to is its own affair: allow_targets bounds the address, not the plugin.
 */
#ifndef PROBES_EXEC_H
#define PROBES_EXEC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "probes/probe.h"

extern const struct probe_type exec_probe;

#define EXEC_FILLED_MAX 8192 /* bytes of an argument with the address in it */

struct exec_request {
	const char *plugin;      /* its name, never a path */
	const char *const *args; /* count texts, without control characters */
	size_t count;
	int64_t deadline;        /* clock_mono() when it is killed */
};

enum exec_how {
	EXEC_EXITED = 1, /* status is what it exited with */
	EXEC_SIGNALLED,  /* status is the signal */
	EXEC_LATE,       /* killed at the deadline */
	EXEC_FLOODED,    /* killed, as it wrote without end */
	EXEC_FAILED,     /* never began: err says why */
};

struct exec_end {
	enum exec_how how;
	int status;
	int64_t elapsed;         /* ns */
	const uint8_t *out, *err; /* what it wrote to either, cut; never NULL */
	size_t out_len, err_len;
};

#endif
