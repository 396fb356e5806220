/*
 * probe: what one probe type is. A type measures one kind of thing; a run is one measurement of one
 * target (one address of one family) and gives exactly one result.
 *
 *	agent                    run.c                     probe type
 *	timetable says now --->  run_group_begin()
 *	                         resolves, fans out:
 *	                         one run per address  ---> type->start(run)
 *	                         deadline of the run       run_value(run, ...)
 *	on_result(...)     <---  result               <--- run_up / run_down / run_unknown
 *	on_done(...)       <---  all runs ended
 *
 *  - one thread: everything happens on env->base;
 *  - start() never blocks; a run ends exactly once: by one of the three closing calls or by the
 *    deadline, which the runner owns (no probe starts a timer for its own time-out);
 *  - after cancel() returns, the type holds nothing that names the run;
 *  - "cannot measure" is unknown, never down: no descriptor, no socket, no route on our side, no
 *    answer from our resolver, no rights.
 *  - probes report facts; thresholds live in the collector.
 */
#ifndef PROBES_PROBE_H
#define PROBES_PROBE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "lib/sample.h"

struct catalog_type;
struct credential;
struct err;
struct event_base;
struct exec_call;
struct exec_end;
struct exec_request;
struct heartbeat_seen;
struct http_client;
struct resolver;
struct run;
struct systemd_call;
struct systemd_request;
struct systemd_units;

/* What the agent lends to all probes. Borrowed; outlives every probe. */
struct probe_env {
	struct event_base *base;
	struct resolver *resolver;
	struct http_client *http;
	/* Asks the side with rights for a descriptor: a raw ICMP socket of a family. The caller owns it. -1 with
	 * err. */
	int (*priv_open_icmp)(void *ctx, enum family, struct err *);
	/* False: this address must not be probed from this host (allow_targets, metadata addresses). */
	bool (*may_probe)(void *ctx, const struct sockaddr *);
	/* What this host says of its own way to an address, should it have none (dial_no_way): nothing is down then. NULL: it
	 * is not asked. */
	const char *(*no_way)(const struct sockaddr *, socklen_t);
	/* Asks another process for a plugin that this host allows; probes/exec.h says what is asked and answered.
	 * NULL with err: it cannot. on_end once, from the loop, unless cancelled before. */
	struct exec_call *(*exec_start)(void *ctx, const struct exec_request *,
		void (*on_end)(void *call_ctx, const struct exec_end *), void *call_ctx, struct err *);
	/* Ends it, with all that it started; true: it had begun, false: it waited for others. */
	bool (*exec_cancel)(void *ctx, struct exec_call *);
	/* What devices are asked with, by its id in the agent's own file (credentials.h); borrowed during the call. NULL: there
	 * is none. May be NULL. */
	const struct credential *(*credential)(void *ctx, const char *id);
	/* What was heard of a window (heartbeat.h); false: it is not known. NULL: nothing is heard here. */
	bool (*heartbeat)(void *ctx, const char *window, struct heartbeat_seen *);
	/* What the agent's journal takes of its disk, and at most; 0: no bound. NULL: there is none. */
	void (*own_journal)(void *ctx, uint64_t *bytes, uint64_t *most);
	/* Whether this host was started anew since the agent ran before. NULL: nothing is known of before. */
	bool (*was_rebooted)(void *ctx);
	/* Asks systemd through a process that may (host/systemd.h). NULL with err: it cannot be asked. on_end once, from the
	 * loop, unless cancelled before; units NULL: why says why not. NULL: it cannot be asked here. */
	struct systemd_call *(*systemd_ask)(void *ctx, const struct systemd_request *,
		void (*on_end)(void *call_ctx, const struct systemd_units *, const char *why), void *call_ctx, struct err *);
	void (*systemd_cancel)(void *ctx, struct systemd_call *);
	void *ctx;
};

struct probe_type {
	const struct catalog_type *catalog;
	/* Shared state of the type in this process (the ICMP sockets). May be NULL. *state stays NULL then. */
	int (*open)(const struct probe_env *, void **state, struct err *);
	void (*start)(void *state, struct run *);
	void (*cancel)(void *state, struct run *); /* may be NULL */
	void (*close)(void *state);                /* may be NULL */
};

/* ---- what a type may ask of its run */
const struct probe_env *run_env(const struct run *);
const void *run_options(const struct run *);          /* the type's options struct */
enum family run_family(const struct run *);
const struct sockaddr *run_address(const struct run *, socklen_t *); /* port 0; NULL for types without target */
const char *run_host(const struct run *);             /* the name as configured, without brackets */
int64_t run_started(const struct run *);              /* clock_mono() at start */
int64_t run_deadline(const struct run *);             /* clock_mono() when the runner will end it */
const char *run_check(const struct run *);            /* id of the check; "" one-shot: then a rate takes two looks */
double run_resolve_time(const struct run *);          /* s that resolving took; 0 for a literal */
void run_set_private(struct run *, void *);
void *run_private(const struct run *);

/* ---- what a type tells. Texts are copied and made clean. */
void run_value(struct run *, uint32_t metric, double number);
void run_part(struct run *, const char *label); /* names the part; by default the address when a name has several */
void run_up(struct run *);
void run_up_noting(struct run *, const char *what, ...) __attribute__((format(printf, 2, 3))); /* what it lacks though */
void run_down(struct run *, const char *why, ...) __attribute__((format(printf, 2, 3)));
void run_unknown(struct run *, const char *why, ...) __attribute__((format(printf, 2, 3)));
/* Another result beside the run's own, of one of several like things that it saw (an interface, a disk): of its family
 * and time, up unless told otherwise. Handed on after the run's own, in the order of adding, also when the run ends down or
 * unknown. The label is its identity: the same thing has the same one in every run; that of the
 * run stands before it, so that the same thing at another address is another one. NULL when the run has RUN_PARTS_MAX. */
#define RUN_PARTS_MAX 256
struct run_part;
struct run_part *run_add_part(struct run *, const char *label);
void run_part_address(struct run_part *, const char *address); /* its own, where it has another than the run */
void run_part_value(struct run_part *, uint32_t metric, double number);
void run_part_down(struct run_part *, const char *why, ...) __attribute__((format(printf, 2, 3)));
void run_part_unknown(struct run_part *, const char *why, ...) __attribute__((format(printf, 2, 3)));
/* What to say when the deadline ends the run (default: down "no answer within 5s"). Values told before count. Set by a type
 * whose phase decides the words; unknown says whether it is our own fault. cancel() follows, also after the default. */
void run_on_deadline(struct run *, void (*at_deadline)(void *state, struct run *));

#endif
