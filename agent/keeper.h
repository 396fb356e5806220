/*
 * keeper: the process above one that works for the engine, and that may be killed: it starts it, hands the engine a channel to it,
 * and starts another when that has ended, after a while that grows when they end soon. The engine itself, behind its fence, could
 * not. It listens to nobody, so that nobody can end it by what he says, and ends when the engine does.
 * One that is killed itself is not replaced: what it kept lives on, but once.
 *
 *   keeper_start (before the engine's fence) -> keeper_watch -> keeper_channel ..., on_message, on_change -> keeper_free
 *
 * Thread: the engine's, which waits in keeper_start for the first process.
 */
#ifndef AGENT_KEEPER_H
#define AGENT_KEEPER_H

struct err;
struct event_base;
struct ipc;
struct ipc_message;
struct keeper;

struct keeper_work {
	const char *keeper, *name;             /* names of the two processes, of 15 bytes at most */
	int (*confine)(struct err *);          /* the keeper, and by that both */
	void (*live)(int fd, const void *ctx); /* the process on its end of the channel, until that has ended */
	const void *ctx;
};

/* Of the process that is kept, for those who call it. */
enum keeper_change {
	KEEPER_GONE, /* it has ended, and the channel with it */
	KEEPER_BACK, /* another one is there */
	KEEPER_LOST, /* there will be no other one: last */
};

struct keeper_events {
	/* Without a descriptor: one that has any breaks the rules. NULL: the process says nothing unasked, and who asks waits
	 * for the answer (ipc_send_wait, ipc_receive). */
	void (*on_message)(void *ctx, struct ipc_message *);
	void (*on_change)(void *ctx, enum keeper_change, const char *why); /* why: "" when it is back */
	void *ctx;
};

/* NULL with err: the keeper or the first process could not begin. */
struct keeper *keeper_start(const struct keeper_work *, struct err *);
/* Closes both channels, by which both processes end. Accepts NULL. */
void keeper_free(struct keeper *);
void keeper_watch(struct keeper *, struct event_base *, const struct keeper_events *);
/* To the process, until the next change; NULL while there is none. */
struct ipc *keeper_channel(const struct keeper *);
/* Gives up the present process, which has broken the rules or does not answer: as if it had ended. */
void keeper_give_up(struct keeper *, const char *why);

#endif
