/*
 * spawner: the process that starts plugins. The process above it (keeper.h) is forked while the agent still is root,
 * and only where the settings name a file of plugins; the spawner reads nothing but messages and what plugins write, which it
 * does not look into.
 *
 *   spawner_start -> (the engine gives up its rights) -> spawner_watch -> spawner_call ... -> spawner_free
 *
 * It treats the engine as hostile: a call names a plugin of its own table and gives arguments, of bounded number and
 * length, clean texts; anything else ends it, and with it all plugins. So does the end of the channel.
 * It keeps CAP_SETUID, SETGID, KILL and SYS_ADMIN, and NET_RAW and NET_BIND_SERVICE to pass them on. It has no filter of calls, as plugins would inherit that.
 *
 * A plugin runs as a user of its own with no_new_privs, without groups and capabilities (but the last two where the table says so), with limits, in a process
 * namespace of its own, whose first process (spawner_run.h) is killed at the deadline: the kernel then ends all that is in
 * it, whatever it forked or ignores. Without the right to namespaces that first process adopts all orphans
 * and ends them itself. What a plugin left running goes when the plugin ends.
 * A spawner that has ended is started anew; what ran is told to have failed, and what is called meanwhile fails.
 * Thread: the loop's. Limits: SPAWNER_PLACES at a time, later calls wait; SPAWNER_OUT_MAX bytes of output are kept.
 */
#ifndef AGENT_SPAWNER_H
#define AGENT_SPAWNER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "agent/keeper.h"

#define SPAWNER_PLACES 16
#define SPAWNER_OUT_MAX (16u << 10)
#define SPAWNER_ERR_MAX (1u << 10)
#define SPAWNER_FLOOD (1u << 20) /* bytes of output after which a plugin is ended */

enum { SPAWNER_CALL = 1, SPAWNER_CANCEL, SPAWNER_END };

struct err;
struct event_base;
struct exec_call;
struct exec_end;
struct exec_request;
struct plugins;
struct spawner;

/* Who plugins run as. */
struct spawner_rights {
	bool has_user; /* false: as we are, for the one-shot command of a user */
	uid_t uid;
	gid_t gid;
	bool has_namespaces; /* to be used where the kernel lets us */
};

/* The user that plugins become. As root: user, which must not be root or `engine` (name or number; "" none). Else
 * is_once says whether they may run as we are. */
int spawner_rights_find(const char *user, const char *engine, bool is_once, struct spawner_rights *, struct err *);

struct spawner *spawner_start(const struct plugins *, const struct spawner_rights *, struct err *);
/* Ends all plugins. Calls that are under way are forgotten. Accepts NULL. */
void spawner_free(struct spawner *);

/* why: "" when it is back. */
void spawner_watch(struct spawner *, struct event_base *,
	void (*on_change)(void *ctx, enum keeper_change, const char *why), void *ctx);
/* As exec_start and exec_cancel of struct probe_env. */
struct exec_call *spawner_call(struct spawner *, const struct exec_request *,
	void (*on_end)(void *ctx, const struct exec_end *), void *ctx, struct err *);
bool spawner_cancel(struct spawner *, struct exec_call *);

/* The life of the spawner itself on its end of the channel (spawner_serve.c); returns when that has ended. */
void spawner_serve(int fd, const struct plugins *, const struct spawner_rights *);

#endif
