/*
 * process: the processes of this host and the named ones among them. The decoder is pure; the probe types `process` and
 * `self` stand in types.h.
 */
#ifndef PROBES_HOST_PROCESS_H
#define PROBES_HOST_PROCESS_H

#include "probes/host/scan.h"

#define PROCESS_NAME 64 /* the kernel keeps 15 bytes of a name, of its own threads more */

struct process_line {
	uint64_t pid, ticks, threads, pages; /* ticks: of processor time, user and system */
	char state;                          /* R, S, D, Z, T ... */
	char name[PROCESS_NAME];
};
/* /proc/PID/stat, proc(5). The name may hold anything, brackets and blanks as well. False: not of that form. */
bool process_parse(struct scan text, struct process_line *);

#endif
