/*
 * process_line: what the kernel tells of one process, decoded. Pure, any thread.
 */
#ifndef PROBES_HOST_PROCESS_LINE_H
#define PROBES_HOST_PROCESS_LINE_H

#include "probes/host/scan.h"

#define PROCESS_NAME 64 /* the kernel keeps 15 bytes of a name, of its own threads more */

struct process_line {
	uint64_t pid, ticks, threads, pages; /* ticks: of processor time, user and system */
	char state;                          /* R, S, D, Z, T ... */
	bool is_kernel;                      /* a thread of the kernel */
	char name[PROCESS_NAME];
};
/* /proc/PID/stat, proc(5). The name may hold anything, brackets and blanks as well. False: not of that form. */
bool process_parse(struct scan text, struct process_line *);
/* Whether it runs under that name, or a pattern of names. A zombie does not run. */
bool process_has_name(const struct process_line *, const char *pattern);

#endif
