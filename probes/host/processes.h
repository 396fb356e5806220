/*
 * processes: a walk over the processes of this host, as the types that tell of them need it.
 *
 *   zeroed struct processes -> processes_walk in each look -> processes_forget
 *
 * What costs is not the reading but finding a file by its path, in the kernel: the folder and the file of each process
 * stay open between the looks, PROCESSES_KEPT at most and no more than a quarter of the descriptors that we may have. Such a
 * file is of one process alone: when that has ended it says so, though another one may have its number then.
 */
#ifndef PROBES_HOST_PROCESSES_H
#define PROBES_HOST_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>

#include "probes/host/look.h"

#define PROCESSES_KEPT 4096

struct process_line;

struct processes {
	struct look_file folder;
	struct processes_kept *kept; /* by pid, ascending */
	size_t count, most;
};

/* For each process that can be looked at; pid is the word of /proc. One that ended meanwhile is left out. -1: none can be seen, or
 * those of others are hidden, with err. */
int processes_walk(struct look *, struct processes *, void (*on_process)(struct look *, const char *pid, const struct process_line *,
	void *ctx), void *ctx, struct err *);
void processes_forget(struct processes *);

#endif
