/*
 * descriptors: open files of the kernel and of named processes. The decoder is pure; the probe type stands in types.h.
 */
#ifndef PROBES_HOST_DESCRIPTORS_H
#define PROBES_HOST_DESCRIPTORS_H

#include "probes/host/scan.h"

/* The soft limit of "Max open files" in /proc/PID/limits; false: there is none. */
bool descriptors_parse_limit(struct scan text, uint64_t *);

#endif
