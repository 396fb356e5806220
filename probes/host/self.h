/*
 * self: what the agent costs its host. The decoders are pure; the probe type stands in types.h.
 */
#ifndef PROBES_HOST_SELF_H
#define PROBES_HOST_SELF_H

#include "probes/host/scan.h"

/* "Pss:  1234 kB" of /proc/PID/smaps_rollup, in bytes. */
bool self_parse_shares(struct scan text, uint64_t *bytes);
/* "size resident shared ...", pages, of /proc/PID/statm: what is resident and not shared with a file. */
bool self_parse_private(struct scan text, uint64_t page, uint64_t *bytes);

#endif
