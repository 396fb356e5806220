/*
 * processes: a walk over the processes of this host, as the types that tell of them need it.
 *
 *   zeroed struct processes -> processes_walk in each look -> processes_forget
 *
 * What costs is not the reading but finding a file by its path, in the kernel: the folder and the file of each process
 * stay open between the looks, PROCESSES_KEPT at most and no more than a quarter of the descriptors that we may have. Such a
 * file is of one process alone: when that has ended it says so, though another one may have its number then.
 * Most processes sleep nearly always: one that slept is taken to sleep for the next PROCESSES_TRUSTED looks, but not longer than 45 s.
 * So a walk each minute or less often is exact, and one each 10 s reads a third. Where processes are looked for by name, only threads of
 * the kernel are trusted: others become another program under the same number.
 */
#ifndef PROBES_HOST_PROCESSES_H
#define PROBES_HOST_PROCESSES_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/clock.h"
#include "probes/host/look.h"

#define PROCESSES_KEPT 4096
#define PROCESSES_TRUSTED 3 /* looks; a third of all is read in each */

struct process_line;

/* Zeroed at first. */
struct processes {
	struct look_file folder;
	struct processes_kept *kept; /* by pid, ascending */
	size_t count, room, most;
	/* of the walk that goes on: what was kept from the one before, taken from its front */
	struct processes_kept *old;
	size_t old_at, old_count, seen;
	bool has_first;
};

/* Who walks. */
struct processes_visitor {
	bool by_name; /* looks for names */
	/* For each process that can be looked at; pid is the word of /proc; it says whether it cares for that one, which is read in
	 * each look then. Of one that is trusted pid, state and threads alone are known. */
	bool (*on_process)(struct look *, const char *pid, const struct process_line *, void *ctx);
	void *ctx;
};

/* One that ended meanwhile is left out. LOOK_GOES_ON after PROCESSES_TURN of them. -1: none can be seen, or those of others are
 * hidden, with err. */
#define PROCESSES_TURN 256
int processes_walk(struct look *, struct processes *, const struct processes_visitor *, struct err *);
void processes_forget(struct processes *);

#endif
