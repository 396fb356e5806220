/*
 * runner: the process that starts commands of channels. It is forked while the collector still is root, and only where the settings
 * name a file of commands; it reads nothing afterwards but asks (runner_message.h) and what commands write, which it does not
 * look into.
 *
 *   runner_start -> (rights are given up) -> each ask: one packet into the socket, with one end of a socket pair riding on it
 *
 * The answer comes by the pair's other end, whose closing ends the command: so does the death of whoever asked. All who
 * send share the socket; no ask depends on another. It treats them as hostile: a packet against the rules is answered with
 * nothing. It ends when nobody holds the other end of its socket any more. One that was killed is started again by its guard, which
 * does nothing else and keeps the same rights; asks wait in the socket meanwhile, and commands under way go on. With the guard killed
 * as well the socket is hung up: all asks fail with RUNNER_GONE until the collector is started again.
 *
 *   guard ── runner ── keeper ── command ── whatever it starts
 *
 * A command runs as the user of the file, without capabilities, groups and new privileges, with limits, in a session of its own. Its
 * keeper feeds and hears it, adopts what it leaves behind, and ends all of that when the command has ended, at the deadline, or
 * when nobody waits any more. The runner keeps CAP_SETUID, SETGID and KILL, and has no filter of calls, as commands would
 * inherit that.
 * Limits: RUNNER_PLACES at a time, more are refused; RUNNER_OUTPUT_MAX bytes of output are kept.
 */
#ifndef COLLECTOR_NOTICE_RUNNER_H
#define COLLECTOR_NOTICE_RUNNER_H

#include <stddef.h>

#define RUNNER_PLACES 8
#define RUNNER_GONE (-2)
#define RUNNER_GONE_WORDS "the processes that start commands have ended: the collector must be started again"

struct err;
struct runner_ask;

/* path: file of commands. collector: the user that the collector becomes, who is not theirs; "" stays root. Our end of its
 * socket; -1 with err. */
int runner_start(const char *path, const char *collector, struct err *);
/* Non-blocking end that the answer will come by, to its end of file. With err: -1, not now; RUNNER_GONE, never again. */
int runner_send(int runner, const struct runner_ask *, struct err *);

#endif
