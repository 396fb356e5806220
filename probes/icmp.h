/*
 * icmp: rounds of echo requests to many targets over one socket per family.
 *
 * A round sends `count` echoes, `spacing` apart, and closes `wait` after the last one, or as soon as
 * each has its reply or its error. All rounds share one queue per family from which at most 64 requests
 * go out each millisecond, so that thousands of targets cause no loss of their own.
 * Late is slow, not lost: a reply behind `wait` counts as late; a round without any reply in time
 * listens on until the deadline of the run; and for a minute after a round its late replies are known
 * and counted by the next round to that address, which they keep from being down.
 */
#ifndef PROBES_ICMP_H
#define PROBES_ICMP_H

#include "probes/probe.h"

extern const struct probe_type icmp_probe;

#endif
