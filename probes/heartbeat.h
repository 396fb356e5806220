/*
 * heartbeat: end points that report in, the probe type heartbeat. The agent hears them (agent/beats.h); a run asks it for
 * the newest report of one window, so that reports become results in the interval of the check. Silence is unknown:
 * it can be the window, its network, or the way to us. Where others are heard all the while it is not the way to us, and after a
 * while it is down, so that it is told.
 * The results have no family, as nothing is asked; a value says over which one the last report came.
 */
#ifndef PROBES_HEARTBEAT_H
#define PROBES_HEARTBEAT_H

#include "probes/probe.h"

/* What was heard of a window. */
struct heartbeat_seen {
	int64_t listening; /* mono, since when its reports are taken */
	int64_t heard;     /* mono, of its last report; 0: none */
	bool is_up;        /* as it said */
	char text[SAMPLE_TEXT_MAX + 1];
	enum family family;
	bool has_clock;
	double clock;      /* s, ahead of ours */
	uint64_t reports, missed; /* since it was asked for before */
	int64_t missing;   /* ns since `heard`, or since `listening`, in which others were heard by the same way */
};

extern const struct probe_type heartbeat_probe;

#endif
