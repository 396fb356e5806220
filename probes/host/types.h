/*
 * types: the probe types that look at the own host; each stands in a file of its name. They need no target and no
 * family, run in no time and go by look.h; their options and metrics stand in probes/catalog_host.h.
 */
#ifndef PROBES_HOST_TYPES_H
#define PROBES_HOST_TYPES_H

#include "probes/probe.h"

extern const struct probe_type cpu_probe, memory_probe, load_probe, disk_probe, interface_probe, pressure_probe, protocol_probe,
	process_probe, descriptors_probe, entropy_probe, uptime_probe, users_probe, self_probe, clock_probe, systemd_probe;

#endif
