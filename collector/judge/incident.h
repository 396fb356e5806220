/*
 * incident: what people work on: one cause, all its outages, and who is told what. Pure: step(state, event, now) -> (state',
 * intents).
 *
 *   incidents_new -> incidents_topology -> (incidents_step event -> incidents_intents -> incidents_save -> incidents_clear) ... ->
 *   incidents_free
 *
 * now: the time of the entry, ns UTC. Waiting counts on the sum of its small steps, as in verdict.h; ends that people set (of an
 * acknowledgement, of maintenance) are times of day.
 *
 * Cause. A fault is a bit per family (FAULT_*). A subject that fails is held while a parent may be the cause: until the parent
 * is known to have failed (then it is attached to that incident), or each way up was seen working after the subject had failed
 * (then the fault is its own), or nobody could tell in time (its own). INTENT_PROBE asks for the parent to be probed now. Of a group of
 * parents all must have failed. A parent's fault in one family explains that family below it; what a host says of itself
 * is never explained. An attached subject that still fails INCIDENT_SETTLE after its parent works again gets an incident of
 * its own; one whose parent turns out to have failed first is merged into the parent's.
 * Told. Operations and each unit with an affected system of its own are audiences. Each is told of an incident once, and what was told is
 * closed once: by INTENT_CLOSE or INTENT_MERGED, whatever happens between (maintenance, flapping, reload, restart). Those to whom a
 * step of the escalation leads ("escalation/2") are audiences of what came so far: they hear each step from theirs on, and its end. What is
 * degraded by what it answers is told after INCIDENT_ROW, in which the other family and the other vantages are asked and may make
 * it down, which is told at once; what becomes down after it was told as degraded is told once more, as worse.
 * Maintenance keeps a notice back while it lasts, never the closing of what was told. Flapping, or a third outage within the hour, keeps
 * the incident open until it is quiet, and who was told of it is told that once, when it works again at the latest (INTENT_FLAPPING): at
 * most INCIDENT_TELLS beginnings and ends about one subject are told in an hour. More than `notices_per_minute` for one audience become
 * one digest that names all.
 * Evidence. Only what was measured within two intervals of now opens an incident. Unknown closes none and opens none.
 * Intents carry a key that is never used twice and the same after a restart from saved records: the owner stores both in one
 * transaction, and replays the events behind it.
 * Thread: one. Limits: texts of INCIDENT_TEXT_MAX bytes; maintenance, incidents: by what people and inventory hold.
 */
#ifndef COLLECTOR_JUDGE_INCIDENT_H
#define COLLECTOR_JUDGE_INCIDENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/judge/maintenance.h"
#include "collector/judge/topology.h"
#include "collector/judge/verdict.h"

struct err;
struct incidents;
struct record_sink;

#define INCIDENT_MARGIN NS_PER_S            /* clocks of two agents agree this well */
#define INCIDENT_ROW (30 * NS_PER_S)        /* three attempts, and their way */
#define INCIDENT_SETTLE (60 * NS_PER_S)
#define INCIDENT_HOLD (45 * NS_PER_S)       /* beyond the parent's interval */
#define INCIDENT_GROUP (60 * NS_PER_S)      /* affected units wait this long, to be told of all their systems at once */
#define INCIDENT_TELLS 5 /* two with their ends, and a third */
#define INCIDENT_TEXT_MAX 1000
#define INCIDENT_STEPS 8
#define INCIDENT_ESCALATION "escalation/" /* begins the name of who is told from that step on; no id of a unit has a '/' */

struct incident_settings {
	unsigned notices_per_minute; /* per audience; 0: 10 */
	/* Escalation: step i+1 when nobody has acknowledged for after[i], counted from the opening. */
	size_t steps;
	int64_t after[INCIDENT_STEPS];
	/* The time of day at which `work` has passed since `from`, by somebody's calendar; NULL: from + work. Must be pure. */
	int64_t (*add_work)(const void *calendar, int64_t from, int64_t work);
	const void *calendar;
};

enum incident_event_kind {
	INCIDENT_TICK,
	INCIDENT_STATE, /* the state of a subject changed, or its faults (VERDICT_SUBJECT) */
	INCIDENT_SEEN,  /* a subject was measured: up or down in one family (verdict_evidence); behind the state of the same result */
	/* What people do; refused with words when it makes no sense. */
	INCIDENT_ACKNOWLEDGE,   /* until a time, or until it closes (0) */
	INCIDENT_UNACKNOWLEDGE,
	INCIDENT_ASSIGN,        /* text: to whom; "" nobody */
	INCIDENT_COMMENT,
	INCIDENT_PLAN,          /* maintenance */
	INCIDENT_CANCEL,        /* text: id of the maintenance */
};
struct incident_event {
	enum incident_event_kind kind;
	const char *subject;      /* state, seen */
	enum state state;         /* state */
	unsigned faults;          /* state */
	int64_t since, measured;  /* state: from when it holds, when it was decided; seen: of the evidence */
	int64_t looked;           /* state: of the look that decided it, which may have taken its time; 0: measured */
	enum family family;       /* seen */
	bool is_up;               /* seen */
	const char *reason;       /* state */
	uint64_t incident;        /* people: which */
	const char *author, *text;
	int64_t until;            /* acknowledge */
	const struct maintenance *maintenance; /* plan */
};

enum incident_intent_kind {
	INTENT_PROBLEM,  /* audience, incident: tell of it */
	INTENT_CLOSE,    /* it is over; reason "recovered" or "no longer monitored" */
	INTENT_MERGED,   /* it is over as a matter of its own: `other` is the cause; who is told this counts as told of `other` */
	INTENT_FLAPPING, /* it comes and goes; its closing will follow when it is quiet */
	INTENT_ESCALATE, /* level */
	INTENT_ACKNOWLEDGED, INTENT_UNACKNOWLEDGED, /* by author, or "" when the end was reached */
	INTENT_ASSIGNED, INTENT_COMMENTED,
	INTENT_DIGEST,   /* audience: items instead of single notices */
	INTENT_PROBE,    /* subject: probe it now, not for people */
	INTENT_WORSE,    /* it was told as degraded and is down */
	INTENT_KINDS,
};
const char *incident_intent_name(enum incident_intent_kind);
bool incident_is_escalation(const char *audience);
/* It may read of its own systems alone. */
bool incident_is_unit(const char *audience);

struct incident_item {
	enum incident_intent_kind kind; /* problem, close, merged, flapping, ... */
	uint64_t incident, other;
	const char *subject; /* the root of it */
};
struct incident_intent {
	uint64_t key; /* idempotency: rises by one */
	enum incident_intent_kind kind;
	const char *audience; /* "": operations; "escalation/<step>"; else a unit's id */
	uint64_t incident, other;
	const char *subject;  /* the root cause */
	enum state state;
	unsigned faults, level;
	int64_t since, at;    /* since when it fails (measured); now */
	const char *author, *text, *reason;
	size_t items_count;   /* digest */
	const struct incident_item *items;
};

struct incidents *incidents_new(const struct incident_settings *);
void incidents_free(struct incidents *); /* accepts NULL */
void incidents_set(struct incidents *, const struct incident_settings *); /* other ones, from the next step on */
/* At start and at reload. Takes the sealed topology. States, incidents, acknowledgements of what stays (by id) stay. */
void incidents_topology(struct incidents *, struct topology *, int64_t now);
const struct topology *incidents_tree(const struct incidents *); /* that one */
/* 0; -1 with err: a request that was refused, and nothing changed. Unknown subjects are left out in silence. */
int incidents_step(struct incidents *, const struct incident_event *, int64_t now, struct err *);
/* Would this INCIDENT_STATE change what the subject counts as? */
bool incidents_differ(const struct incidents *, const struct incident_event *);
/* What the steps since incidents_clear want; texts live until then. */
const struct incident_intent *incidents_intents(const struct incidents *, size_t *count);
void incidents_clear(struct incidents *);

/* ---- Views */
enum incident_phase { INCIDENT_OPEN, INCIDENT_WATCHED, INCIDENT_CLOSED }; /* watched: works again, not yet closed */
struct incident_view {
	uint64_t id;
	enum incident_phase phase;
	const char *subject, *reason; /* root cause and its words */
	enum state state;             /* worst of the root so far */
	unsigned faults;
	int64_t since, opened, closed;
	bool is_acknowledged, is_flapping, is_quiet; /* quiet: maintenance keeps it back from operations */
	const char *acknowledged_by, *assignee;
	int64_t acknowledged_until;
	unsigned level;
	size_t affected_count;
};
/* Open ones, and those closed since incidents_clear. False: no such. */
bool incidents_at(const struct incidents *, size_t i, struct incident_view *);
bool incidents_find(const struct incidents *, uint64_t id, struct incident_view *);
/* Each subject that the incident has affected so far, the root first: since when, until when (0: still). unit: of it. */
struct incident_affected {
	const char *subject, *unit;
	int64_t from, to;
};
bool incidents_affected(const struct incidents *, uint64_t id, size_t i, struct incident_affected *);
/* Of a subject: STATE_MAINTENANCE while planned work covers it, else what was measured. */
enum state incidents_state(const struct incidents *, const char *subject);
bool incidents_is_held(const struct incidents *, const char *subject);
uint64_t incidents_of(const struct incidents *, const char *subject); /* incident that it is in, 0 none */
const struct maintenance *incidents_maintenance_at(const struct incidents *, size_t i); /* NULL behind the last */
/* Counts up whenever maintenance begins or ends for a subject. next: the time at which it may next; INT64_MAX: never. Who
 * steps a tick at that time, however late, learns it as it was. */
uint64_t incidents_maintenance_turns(const struct incidents *, int64_t *next);
struct incident_counts {
	uint64_t events, stale, opened, closed, merged, digests;
	size_t open, held;
};
void incidents_counts(const struct incidents *, struct incident_counts *);

/* Records: record.h. Restore after incidents_topology, before any step; incidents_restored ends it: it may
 * have intents of its own when the topology has changed meanwhile. */
void incidents_save(struct incidents *, bool all, const struct record_sink *);
int incidents_restore(struct incidents *, const char *key, const void *data, size_t len, struct err *);
/* Before incidents_restored: numbers up to these are used, whatever records say. */
void incidents_used(struct incidents *, uint64_t incident, uint64_t key);
void incidents_restored(struct incidents *);

#endif
