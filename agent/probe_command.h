/*
 * probe_command: one measurement from the shell.
 *
 *   xunjian-agent probe TYPE [key=value ...] [--json] [-c FILE]     probe --help     probe TYPE --help
 *
 * Options are those of the type's schema, and `families` and `timeout`. Exit status: 0 all up,
 * 1 any down, 2 usage (an unknown option too), 3 any unknown and none down.
 * Reading the arguments and printing the results are pure.
 */
#ifndef AGENT_PROBE_COMMAND_H
#define AGENT_PROBE_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct arena;
struct catalog_type;
struct err;
struct result;

/* argv[0] is "probe". The exit status of the program. */
int probe_command(int argc, char **argv);

struct probe_request {
	const struct catalog_type *type;
	const void *options; /* of the type, in the arena; NULL when help is wanted */
	unsigned families;   /* RUN_V4 | RUN_V6 */
	int64_t timeout;
	const char *settings; /* file that names the plugins of exec */
	const char *credentials_file; /* "": none */
	bool is_json, wants_help; /* help: of the type, or of all when that is NULL */
};

/* 0, or -1 with words for the usage error. */
int probe_request_read(int argc, char **argv, struct arena *, struct probe_request *, struct err *);
void probe_print_json(const struct result *const *, size_t count, FILE *);
void probe_print_table(const struct probe_request *, const struct result *const *, size_t count, FILE *);
int probe_exit_status(const struct result *const *, size_t count);

#endif
