#include "lib/offspring.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <unistd.h>

#define DEPTH_MAX 200 /* of a tree of processes that is walked */
#define PASSES_MAX 100

/* Signals those below pid; returns how many there were. */
static unsigned signal_below(pid_t pid, int signal, const pid_t *spare, size_t spared, unsigned depth)
{
	char path[64];
	unsigned n = 0;
	int child;
	FILE *f;

	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
	f = depth < DEPTH_MAX ? fopen(path, "re") : NULL;
	while (f != NULL && fscanf(f, "%d", &child) == 1) {
		bool is_spared = false;

		for (size_t i = 0; i < spared; i++)
			is_spared |= spare[i] == child;
		if (is_spared)
			continue;
		kill(child, signal);
		n += 1 + signal_below(child, signal, NULL, 0, depth + 1);
	}
	if (f != NULL)
		fclose(f);
	return n;
}

/* Who is stopped does not fork: when a pass finds no more than the one before, all are. */
void offspring_end(const pid_t *spare, size_t count)
{
	unsigned before = 0, now;

	for (int pass = 0; pass < PASSES_MAX; pass++) {
		now = signal_below(getpid(), SIGSTOP, spare, count, 0);
		if (now == before)
			break;
		before = now;
	}
	signal_below(getpid(), SIGKILL, spare, count, 0);
}
