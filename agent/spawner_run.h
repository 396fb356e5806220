/*
 * spawner_run: one run of a plugin as processes.
 *
 *   spawner ── first ── plugin ── whatever it starts
 *              first: keeps the rights of the spawner and starts the plugin, which is another user; adopts orphans and
 *              waits; ends when the plugin does, says how on a pipe, and ends itself some seconds after the deadline
 *              should the spawner be gone.
 *
 * With a process namespace the first process is its init: with it all others end. Without, it stops them first, so that
 * they cannot fork while they are killed one after the other.
 * Nothing here waits in the spawner: it is the first process that looks at the file of the plugin.
 */
#ifndef AGENT_SPAWNER_RUN_H
#define AGENT_SPAWNER_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct err;
struct plugin;
struct spawner_rights;

struct spawner_run {
	pid_t pid; /* of the first process */
	int out, err, status; /* ends to read from, non-blocking */
};

/* Whether processes can be put into a namespace of their own. */
bool spawner_run_has_namespaces(void);
struct spawner_job {
	const struct plugin *plugin;
	char *const *argv; /* argv[0]: its path as written */
	int64_t timeout;
	size_t places;     /* how many plugins run with it */
};

/* 0, or -1 with err and nothing started. */
int spawner_run_start(const struct spawner_rights *, const struct spawner_job *, struct spawner_run *, struct err *);
/* Asks for its end; hard: at once, also when the first process does not go on. */
void spawner_run_kill(const struct spawner_rights *, const struct spawner_run *, bool hard);

/* What the first process says. */
struct spawner_run_said {
	uint32_t what;  /* enum exec_how: EXITED, SIGNALLED, FAILED with errno, or 0 and words among its errors; 0: nothing */
	int32_t status;
};
struct spawner_run_said spawner_run_read_status(int fd);

#endif
