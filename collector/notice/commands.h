/*
 * commands: the table of programs that channels of kind "command" may name, from a file of this host. As with plugins of agents,
 * nobody but its administrator can change what may be started: the file, the programs and all folders above them are root's.
 *
 *   user = "xunjian-command";
 *   commands = ( { name = "pager"; path = "/usr/local/bin/page"; argv = ( "--group", "duty" ); } );
 *
 *   commands_load -> commands_find, commands_resolve ... -> commands_free
 *
 * Thread: any. Limit: COMMANDS_MAX.
 */
#ifndef COLLECTOR_NOTICE_COMMANDS_H
#define COLLECTOR_NOTICE_COMMANDS_H

#include <stdbool.h>

#include "lib/config.h"

#define COMMANDS_MAX 100
#define COMMANDS_ARGS_MAX 64
#define COMMANDS_NAME_MAX 63

struct err;
struct roster;

struct allowed_command {
	const char *name, *path;
	struct config_texts argv;
	struct config_where where;
};

struct commands {
	const char *user; /* whom they run as */
	struct config_list list; /* struct allowed_command */
	struct arena *arena;
};

/* NULL with "file:line: words". */
struct commands *commands_load(const char *path, struct err *);
void commands_free(struct commands *); /* accepts NULL */
const struct allowed_command *commands_find(const struct commands *, const char *name); /* or NULL */
/* Where its path leads, to be executed. Owned; NULL with "file:line: words": it is not there, or others can change it. */
char *commands_resolve(const struct allowed_command *, struct err *);
/* Whether channels name commands that there are. path: of the file of commands, "" none. */
int commands_check(const struct roster *, const char *path, struct err *);
extern const struct config_schema commands_schema; /* for the manual */

#endif
