/*
 * process: the children of the collector and the channels between them (design §10).
 *
 * The parent reads settings, starts one child per role, and restarts one that ends (back-off 100 ms .. 5 s). It makes a
 * socket pair for each pair of roles that talk and hands the ends over; when a child is restarted its peers get
 * new ends. A child runs its role's function on its own event base:
 *
 *   role_run(process): build, process_on(...) callbacks, process_loop(process), tear down, return the exit status
 *
 * A child whose loop does not turn for answer_within is killed and so started again: it is asked all the time. The service
 * manager is told when all are ready, and that the parent lives (lib/manager.h).
 *
 * SIGHUP at the parent: settings, inventory, calendar and channels of notices are read and checked there; if they are good every
 * child is told to reload (they take the settings that it has read, and read the rest), else all keep the old, also those that are
 * started again later. What the fences of the children do not hold (confine.h) is refused. The socket that people ask at is the
 * parent's, as ingest's fence makes none. SIGTERM: children are ended in the order web, render, notify, judge, series, ingest.
 */
#ifndef COLLECTOR_PROCESS_H
#define COLLECTOR_PROCESS_H

#include <stdbool.h>
#include <stdint.h>

struct calendar;
struct err;
struct event_base;
struct inventory;
struct ipc;
struct process;
struct roster;
struct settings;

enum process_role { PROCESS_INGEST, PROCESS_SERIES, PROCESS_JUDGE, PROCESS_WEB, PROCESS_RENDER, PROCESS_NOTIFY, PROCESS_ROLES };
const char *process_role_name(enum process_role);

/* ---- in the parent */
/* Runs until SIGTERM or SIGINT; the exit status of the program. */
int process_parent_run(const char *settings_path);

/* ---- in a child */
struct event_base *process_base(struct process *);
const struct settings *process_settings(const struct process *);   /* this generation */
const struct inventory *process_inventory(const struct process *); /* this generation */
/* Channels and routes as the parent has read them, so that a process that is started again does not need a file that somebody is just
 * writing; NULL: there are none. Once: who takes it frees it. */
struct roster *process_take_roster(struct process *);
struct calendar *process_take_calendar(struct process *); /* as that */
int process_died_of(const struct process *); /* signal that ended this role's process before this one; 0 none */

struct process_events {
	/* A channel to a peer is there (again): takes the descriptor (ipc_new, ipc_start). The old channel to that role, if any, is dead. */
	void (*on_peer)(void *ctx, enum process_role peer, int fd);
	/* settings and inventory are new; the old generation lives until this returns. NULL: neither is read again. */
	void (*on_reload)(void *ctx);
	/* Leave: finish what must be durable, then process_end. NULL: the loop ends at once. */
	void (*on_stop)(void *ctx);
	/* Takes a socket that the parent has made, as the fence of the role does not: ingest that which people ask at
	 * (ingest_requests.h), notify that of the runner of commands (notice/runner.h), should there be one. Once, soon after the start. */
	void (*on_socket)(void *ctx, int fd);
};
void process_on(struct process *, const struct process_events *, void *ctx);
void process_ready(struct process *); /* tells the parent, which logs it when all are */
int process_loop(struct process *);   /* returns the exit status */
void process_end(struct process *, int status); /* ends the loop */

/* The roles. Each returns the exit status of its process. */
int ingest_run(struct process *);
int series_run(struct process *);
int judge_run(struct process *);
int web_run(struct process *);
int render_run(struct process *);
int notify_run(struct process *);

#endif
