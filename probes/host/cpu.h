/*
 * cpu: /proc/stat. The decoder is pure; the probe type stands in types.h.
 */
#ifndef PROBES_HOST_CPU_H
#define PROBES_HOST_CPU_H

#include "probes/host/scan.h"

/* In the order of proc(5): user, nice, system, idle, iowait, irq, softirq, steal, guest, guest_nice. Old kernels have
 * fewer: the rest is 0. */
#define CPU_TIMES 10

enum cpu_line_kind { CPU_LINE_OTHER, CPU_LINE_ALL, CPU_LINE_CORE, CPU_LINE_COUNTER };
enum cpu_counter { CPU_COUNTER_INTERRUPTS, CPU_COUNTER_SWITCHES, CPU_COUNTER_FORKS, CPU_COUNTERS };

struct cpu_line {
	enum cpu_line_kind kind;
	uint64_t core; /* CPU_LINE_CORE */
	enum cpu_counter counter;
	uint64_t values[CPU_TIMES]; /* of a counter the first */
};

/* The next line; false at the end. */
bool cpu_next(struct scan *text, struct cpu_line *);

enum cpu_share {
	CPU_SHARE_BUSY, CPU_SHARE_USER, CPU_SHARE_NICE, CPU_SHARE_SYSTEM, CPU_SHARE_IDLE, CPU_SHARE_IOWAIT,
	CPU_SHARE_IRQ, CPU_SHARE_SOFTIRQ, CPU_SHARE_STEAL, CPU_SHARE_GUEST, CPU_SHARES,
};

/* Shares of the time between two looks in %, which add up to 100 (busy is all but idle and iowait). User and nice are
 * without guests. Some times of the kernel go back a little (iowait, idle): that counts as nothing. False: no time
 * has passed. */
bool cpu_shares(const uint64_t before[CPU_TIMES], const uint64_t now[CPU_TIMES], double out[CPU_SHARES]);

#endif
