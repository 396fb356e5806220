/*
 * registry: the probe types of this build: the one table that names them all.
 */
#ifndef PROBES_REGISTRY_H
#define PROBES_REGISTRY_H

struct probe_type;

extern const struct probe_type *const registry_types[]; /* ends with NULL */
const struct probe_type *registry_find(const char *name);

#endif
