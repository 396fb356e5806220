/*
 * incident_parts: what incident_*.c share. Of these files only: everyone else reads collector/judge/incident.h.
 *
 *   incident_fold.c      events -> faults -> roles of subjects (held, attached, root)
 *   incident_cause.c     is a parent the cause?
 *   incident_tell.c      audiences, notices, digests, closing, escalation
 *   incident_request.c   what people do
 *   incident_topology.c  life, reload, views
 *   incident_save.c      records
 */
#ifndef COLLECTOR_JUDGE_INCIDENT_PARTS_H
#define COLLECTOR_JUDGE_INCIDENT_PARTS_H

#include "collector/judge/flap.h"
#include "collector/judge/incident.h"

struct arena;
struct map;

#define FAULT_BITS 5
#define HOUR (3600 * NS_PER_S)

enum incident_role { ROLE_NONE, ROLE_HELD, ROLE_MEMBER, ROLE_ROOT };

struct incident;

struct incident_node {
	enum state state;          /* as measured */
	unsigned faults, proven;   /* proven: of a root, those that no parent can be the cause of */
	int64_t since[FAULT_BITS];   /* measured time from which each fault holds */
	int64_t cleared[FAULT_BITS]; /* and from which it did not */
	int64_t decided;             /* measured time of the evidence that made the newest fault known */
	int64_t up_at[VERDICT_FAMILIES], down_at[VERDICT_FAMILIES]; /* newest measured */
	int64_t blip_at[VERDICT_FAMILIES]; /* of the first look that found it up again, after its newest failing one */
	int64_t seen_at, state_at;   /* newest measured: of anything; of the state */
	char *reason;
	enum incident_role role;
	struct incident *incident; /* member, root */
	uint64_t incident_id;      /* of a record, until all are there */
	int64_t hold_until;        /* steady; of a member: when one of its faults waits for another cause, 0 not */
	int64_t probe_asked;       /* steady; 0 never */
	int64_t told[INCIDENT_TELLS]; /* steady times of the last notices about it, oldest first */
	struct flap_icinga flap;
	int64_t slot_ends;         /* steady; of the flap slot under way */
	bool slot_changed, in_maintenance, is_queued, is_waited, is_dirty;
};

struct incident_audience {
	char *name;
	bool is_told, is_warned; /* warned: that it comes and goes */
	int64_t due;             /* steady: not before */
};

struct incident_member {
	char *id, *unit;
	uint32_t node; /* TOPOLOGY_NONE: not in the topology any more */
	int64_t from, to;
};

struct incident {
	uint64_t id;
	char *root, *reason;
	uint32_t node;
	enum incident_phase phase;
	enum state state;
	unsigned faults;
	int64_t since, opened, closed;      /* measured; now */
	int64_t opened_steady, up_steady;   /* up: since the root works again, 0 not */
	char *acknowledged_by, *assignee;
	bool is_acknowledged, is_dirty;
	int64_t acknowledged_until, acknowledged_until_steady;
	unsigned level;
	struct incident_member *members;    /* the root first */
	size_t members_count, attached;     /* attached: subjects in ROLE_MEMBER */
	struct incident_audience *audiences; /* operations first */
	size_t audiences_count;
};

/* What one audience was told in the last minute, and what waits for the digest. */
struct incident_window {
	char *name;
	int64_t ends; /* steady */
	unsigned count;
	struct incident_item *items; /* subjects owned */
	size_t items_count;
	bool is_dirty;
};

struct incidents {
	struct incident_settings settings;
	struct topology *topology;
	struct incident_node *nodes; /* as the topology counts them */
	struct incident **open;      /* and those closed since the last clear */
	size_t open_count;
	struct incident_window **windows;
	size_t windows_count;
	struct maintenance **plans;
	size_t plans_count;
	uint64_t plan_turns;
	int64_t now, steady, next_plan; /* next_plan: time of day when maintenance begins or ends somewhere */
	uint64_t next_incident, next_key;
	uint64_t hash, saved_hash; /* of the topology; of the one that the records were saved under */
	uint32_t *queue, *held, *touched; /* touched: nodes that are dirty, each once */
	size_t queue_at, queue_count, queue_room, held_count, held_room, touched_count;
	struct incident_intent *intents;
	size_t intents_count, intents_room;
	struct arena *texts; /* of the intents; NULL when there are none */
	struct map *dropped; /* keys of records to drop at the next save */
	struct incident_counts counts;
	bool is_dirty, plans_dirty, is_tick, is_asking;
};

/* ---- cause */
enum cause { CAUSE_OWN, CAUSE_WAIT, CAUSE_FOUND };
struct incident_cause {
	enum cause cause;
	struct incident *incident; /* found */
	int64_t wait;              /* wait: the longest interval of the parents that are waited for */
	unsigned own;              /* own: which of its faults */
	bool is_firm;              /* wait: a parent has failed and is held itself: its end is ours */
};
/* Over all its faults: one that is its own makes it its own. Marks the parents that are waited for. */
struct incident_cause incident_find_cause(struct incidents *, uint32_t node);

/* ---- fold */
void incident_queue(struct incidents *, uint32_t node);
void incident_queue_children(struct incidents *, uint32_t node);
void incident_drain(struct incidents *);
/* What it is attached to or held by; the incident that it left, for incident_refresh, or NULL. */
struct incident *incident_leave(struct incidents *, uint32_t node);

/* ---- tell */
struct incident *incident_open(struct incidents *, uint32_t node);
void incident_merge(struct incidents *, struct incident *from, struct incident *into);
void incident_close(struct incidents *, struct incident *, const char *reason);
/* Tells and closes what is due. */
void incident_refresh(struct incidents *, struct incident *);
void incident_add_member(struct incidents *, struct incident *, uint32_t node);
/* It comes and goes: who was told of it is told so, once. */
void incident_flap(struct incidents *, struct incident *);
/* It was degraded and is down: who was told that is told this. */
void incident_tell_worse(struct incidents *, struct incident *);
void incident_tell_all(struct incidents *, struct incident *, enum incident_intent_kind, const char *author,
	const char *text);
void incident_ask_probe(struct incidents *, uint32_t node);
void incident_digests(struct incidents *);
/* Frees what was closed before the last clear. */
void incident_forget_closed(struct incidents *);
void incident_free(struct incident *);
void incident_window_add(struct incidents *, struct incident_window *);
void incident_window_free(struct incident_window *);

/* ---- requests */
int incident_request(struct incidents *, const struct incident_event *, struct err *);
void incident_acknowledgement_ends(struct incidents *, struct incident *);
/* Which nodes planned work covers now; what that changes is told with the next tick, in its order. */
void incident_maintenance(struct incidents *);
struct maintenance *incident_plan_copy(const struct maintenance *);
void incident_plan_free(struct maintenance *);

/* ---- records */
void incident_touch(struct incidents *, struct incident_node *); /* its record is to be saved */
void incident_doubt_all(struct incidents *); /* another topology: nothing is proven */
void incident_drop_key(struct incidents *, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
