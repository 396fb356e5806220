/*
 * units: the process that asks systemd of its units, over the system bus. The engine must not make streams of UNIX,
 * by which it would reach every service of this host that listens on one; this process may, and nothing else: it has the
 * engine's user, no capability, no path, no network, and one question that it knows (bus_packet.h).
 *
 *   units_start (as the engine's user, before its fence) -> units_watch -> units_ask, units_cancel ... -> units_free
 *
 * Messages (lib/ipc): ASK with the time that is left and names of units; answered by ANSWER with a struct systemd_units or
 * by FAILED with words. Either side treats the other as hostile. One question is under way at a time, of UNITS_LIMIT
 * at most, others wait; each has a connection of its own, so that a bus that was started anew is no matter.
 * Where systemd does not run this host (no RUN/systemd/system, see sd_booted(3)) there is no process and each question
 * fails with words. One that was killed is started again by its keeper (keeper.h); what is asked meanwhile fails.
 * Thread: the loop's.
 */
#ifndef AGENT_UNITS_H
#define AGENT_UNITS_H

#include "agent/keeper.h"
#include "lib/clock.h"

#define UNITS_LIMIT (10 * NS_PER_S)
#define UNITS_NAMES_BYTES 16640 /* of all names of a question, each with its NUL */

struct err;
struct event_base;
struct systemd_call;
struct systemd_request;
struct systemd_units;
struct units;

/* run: the folder /run. */
struct units *units_start(const char *run, struct err *);
/* Calls that are under way are forgotten. Accepts NULL. */
void units_free(struct units *);
/* why: "" when it is back. */
void units_watch(struct units *, struct event_base *,
	void (*on_change)(void *ctx, enum keeper_change, const char *why), void *ctx);
/* As systemd_ask and systemd_cancel of struct probe_env. */
struct systemd_call *units_ask(struct units *, const struct systemd_request *,
	void (*on_end)(void *ctx, const struct systemd_units *, const char *why), void *ctx, struct err *);
void units_cancel(struct units *, struct systemd_call *);

/* The life of the process itself on its end of the channel; returns when that has ended. */
void units_serve(int fd, const char *bus);

#endif
