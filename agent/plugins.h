/*
 * plugins: the table of plugins that checks of type exec may name, from a file of this host. Nobody but
 * its administrator can change what may be started: the file, the plugins and all folders above them belong to root
 * (in the one-shot command also to the user himself) and are not writable by others. Links are followed, and what they lead to
 * is checked and executed.
 *
 *   plugins = ( { name = "check_http"; path = "/usr/lib/nagios/plugins/check_http"; argv = [ "-t", "9" ]; },
 *               { name = "check_disk"; path = "/usr/lib/nagios/plugins/check_disk"; takes_args = false; } );
 *
 *   plugins_load -> plugins_find, plugins_resolve ... -> plugins_free
 *
 * Thread: any. Limit: PLUGINS_MAX.
 */
#ifndef AGENT_PLUGINS_H
#define AGENT_PLUGINS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/config.h"

#define PLUGINS_MAX 1000

struct err;

struct plugin {
	const char *name, *path;
	struct config_texts argv; /* its first arguments, before those of a check */
	bool takes_args;          /* false: a check may give none */
	bool raw_sockets;         /* it gets CAP_NET_RAW and CAP_NET_BIND_SERVICE */
	struct config_where where;
};

struct plugins {
	struct config_list list; /* struct plugin */
	struct arena *arena;
};

/* NULL with "file:line: words". That a plugin is not there, or can be changed by others, is no fault of the table. */
struct plugins *plugins_load(const char *path, struct err *);
void plugins_free(struct plugins *); /* accepts NULL */
/* Whether it may be started now; "file:line: words". A file system that does not answer makes it wait. */
int plugins_check(const struct plugin *, struct err *);
/* The same, and where its path leads, without links: what was checked, to be executed. Owned; or NULL. */
char *plugins_resolve(const struct plugin *, struct err *);
const struct plugin *plugins_find(const struct plugins *, const char *name); /* or NULL */
extern const struct config_schema plugins_schema; /* for the manual */

#endif
