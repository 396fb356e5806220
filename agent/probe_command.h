/*
 * probe_command: one measurement from the shell.
 *
 *   xunjian-agent probe TYPE [key=value ...] [--json] [-c FILE]     probe --help     probe TYPE --help
 *
 * Options are those of the type's schema, and `families` and `timeout`. Exit status: 0 all up,
 * 1 any down, 2 usage (an unknown option too), 3 any unknown and none down.
 * Reading the arguments (probe_request.h) and printing the results (probe_print.h) are pure.
 */
#ifndef AGENT_PROBE_COMMAND_H
#define AGENT_PROBE_COMMAND_H

#include <stddef.h>

struct result;

/* argv[0] is "probe". The exit status of the program. */
int probe_command(int argc, char **argv);

int probe_exit_status(const struct result *const *, size_t count);

#endif
