/*
 * keeper: the process above one that works for the engine, and that may be killed: it starts it, hands the engine a channel to it,
 * and starts another when that has ended, after a while that grows when they end soon. The engine itself, behind its fence, could
 * not. It listens to nobody, so that nobody can end it by what he says, and ends when the engine does.
 *
 *   keeper_start (before the engine's fence) -> keeper_first -> ... KEEPER_BEGINS for each later one -> close the channel
 *
 * Thread: the engine's, which waits in keeper_first alone.
 */
#ifndef AGENT_KEEPER_H
#define AGENT_KEEPER_H

#include <sys/types.h>

struct err;
struct ipc;

/* Its only message (lib/ipc), with the engine's end of a channel to a process that begins. */
enum { KEEPER_BEGINS = 1 };

struct keeper_work {
	const char *keeper, *name;             /* names of the two processes, of 15 bytes at most */
	int (*confine)(struct err *);          /* the keeper, and by that both */
	void (*live)(int fd, const void *ctx); /* the process on its end of the channel, until that has ended */
	const void *ctx;
};

/* The channel to the keeper; NULL with err. */
struct ipc *keeper_start(const struct keeper_work *, pid_t *, struct err *);
/* Waits for the channel to the first process. NULL: the keeper could not begin. */
struct ipc *keeper_first(struct ipc *keeper, struct err *);

/* Of the process that is kept, for those who call it. */
enum keeper_change {
	KEEPER_GONE, /* it has ended; calls that were under way have been told to have failed */
	KEEPER_BACK, /* another one is there */
	KEEPER_LOST, /* there will be no other one: last */
};

#endif
