/*
 * memory: /proc/meminfo and the paging counters of /proc/vmstat. The decoders are pure; the probe type stands in
 * types.h.
 */
#ifndef PROBES_HOST_MEMORY_H
#define PROBES_HOST_MEMORY_H

#include "probes/host/scan.h"

enum memory_field {
	MEMORY_FIELD_TOTAL, MEMORY_FIELD_FREE, MEMORY_FIELD_AVAILABLE, MEMORY_FIELD_BUFFERS, MEMORY_FIELD_CACHED,
	MEMORY_FIELD_DIRTY, MEMORY_FIELD_WRITEBACK, MEMORY_FIELD_SHARED, MEMORY_FIELD_SLAB,
	MEMORY_FIELD_RECLAIMABLE, MEMORY_FIELD_UNRECLAIMABLE, MEMORY_FIELD_COMMITTED, MEMORY_FIELD_SWAP_TOTAL,
	MEMORY_FIELD_SWAP_FREE, MEMORY_FIELD_HUGE_TOTAL, MEMORY_FIELD_HUGE_FREE, MEMORY_FIELD_HUGE_SIZE,
	MEMORY_FIELDS,
};
enum memory_paging { MEMORY_SWAPPED_IN, MEMORY_SWAPPED_OUT, MEMORY_MAJOR, MEMORY_OOM, MEMORY_PAGINGS };

/* Bytes of each field (of the huge pages: pages); NaN where the kernel does not tell it. Available of kernels before
 * 3.14 is free, buffers, caches and reclaimable objects without what is shared. */
void memory_parse(struct scan text, double out[MEMORY_FIELDS]);
/* Counters: of the swap in pages. True for those in has that stand there; kernels before 4.13 do not count kills. */
void memory_parse_paging(struct scan text, uint64_t out[MEMORY_PAGINGS], bool has[MEMORY_PAGINGS]);

#endif
