/*
 * helper: the process with rights. It and its keeper (keeper.h) are forked before anything is read, keep CAP_NET_RAW
 * alone and no path of the file system; it opens what the engine may not: raw ICMP sockets. It parses nothing.
 *
 *   helper_start -> (the engine gives up its rights) -> helper_watch, helper_open_icmp ... -> helper_free
 *
 * Messages (lib/ipc): OPEN_ICMP with one byte, the family; answered by SOCKET with a descriptor or by
 * FAILED with words. The helper treats the engine as hostile: anything else ends it. It ends as well
 * when the channel closes. Without CAP_NET_RAW it tries datagram ICMP sockets, which the kernel allows
 * to the groups of net.ipv4.ping_group_range.
 * A helper that was killed is started again by its keeper, which holds the same right for that; meanwhile sockets that
 * are open go on, new ones fail with words, so that what needs them is unknown. One that hangs is given up.
 * Thread: the engine's. helper_open_icmp blocks for HELPER_TIMEOUT at most.
 */
#ifndef AGENT_HELPER_H
#define AGENT_HELPER_H

#include <stdbool.h>

#include "agent/keeper.h"
#include "lib/clock.h"
#include "lib/sample.h"

#define HELPER_TIMEOUT (2 * NS_PER_S)

struct err;
struct event_base;
struct helper;

struct helper *helper_start(struct err *);
/* Closes the channel, by which the helper ends. Accepts NULL. */
void helper_free(struct helper *);
/* why: "" when it is back. */
void helper_watch(struct helper *, struct event_base *,
	void (*on_change)(void *ctx, enum keeper_change, const char *why), void *ctx);
bool helper_is_there(const struct helper *);
/* A raw or datagram ICMP socket, close-on-exec, non-blocking; the caller owns it. -1 with err. */
int helper_open_icmp(struct helper *, enum family, struct err *);

/* The life of the helper itself on its end of the channel; returns when that has ended. */
void helper_serve(int fd);

#endif
