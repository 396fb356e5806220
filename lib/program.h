/*
 * program: the command line of a program that has commands, as both of ours: finds the one that is named, tells of all.
 *
 *   program_main, which calls one of the table -> program_take_options, if it takes no others -> exit status
 *
 * Of its own it has "version", "--version" and "--help". Thread: the first one.
 */
#ifndef LIB_PROGRAM_H
#define LIB_PROGRAM_H

#include <stddef.h>

#define PROGRAM_VERSION "0.1.0" /* of both programs */

enum { EXIT_FINE = 0, EXIT_RUNTIME = 1, EXIT_USAGE = 2, EXIT_CONFIG = 3 };

struct program_command {
	const char *name, *arguments, *summary;
	int (*run)(int argc, char **argv); /* argv[0] is the name */
};

struct program {
	const char *name; /* "xunjian-agent" */
	const struct program_command *list;
	size_t count;
	int column;          /* of the summaries in the help */
	const char *notes;   /* lines below it */
};

/* The exit status. */
int program_main(const struct program *, int argc, char **argv);
/* Reads "-c FILE" in front of so many arguments; fallback: FILE when none is given. The index of the first argument; -1
 * with a message on anything else. */
int program_take_options(int argc, char **argv, const char *fallback, const char **settings, int arguments);

#endif
