/*
 * confine: the fences of the agent's processes (design §10), each whole in one call: what lib/fence is told for it.
 *
 *   helper: ICMP sockets, answers over its channel; no file, no program, CAP_NET_RAW alone; its keeper has the same and
 *           makes processes
 *   spawner: starts plugins as another user, who inherit its fence: no filter of calls, six capabilities
 *   units: streams of UNIX; no file, no network, no program; its keeper makes processes and reads nothing
 *   engine: network, its state folder, the files that its settings name; no program, no process, no capability
 *   probe:  the one-shot command; as the engine, but reads what its user can and writes no file
 *
 * Thread: the first one of the process, while there is no other.
 */
#ifndef AGENT_CONFINE_H
#define AGENT_CONFINE_H

#include <stdbool.h>

struct agent_settings;
struct err;

int confine_helper(struct err *);
int confine_helper_keeper(struct err *);
int confine_spawner(struct err *);
int confine_units(struct err *);
int confine_units_keeper(struct err *);
int confine_probe(struct err *);
/* As the user that it has become. It reads the settings and the files beside them, those of TLS, what
 * `readable` names and what libraries read; a file that a reload names elsewhere cannot be read.
 * has_paths: whether the kernel bounds them. */
int confine_engine(const struct agent_settings *, bool *has_paths, struct err *);

#endif
