/*
 * assignments: what this agent is to do, from its own settings and from the collector, as one set.
 *
 *   assignments_new -> patrol_set; a new set whenever settings or collector bring one -> assignments_drop
 *
 * A set does not change; it is counted by who holds it, so that a run under way keeps the options it
 * began with. A check of the collector that this agent cannot do (unknown type, bad options, an id
 * that the local list has) costs that check alone, and is told. What the collector sent last is kept in a
 * file, so that an agent starts without it.
 * Thread: one.
 */
#ifndef AGENT_ASSIGNMENTS_H
#define AGENT_ASSIGNMENTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct agent_settings;
struct buf;
struct err;
struct probe_type;
struct wire_assignments;

struct assigned {
	const char *id;
	const struct probe_type *type;
	const void *options;   /* of the type */
	unsigned families;     /* RUN_V4 | RUN_V6 */
	int64_t interval, timeout; /* ns */
	bool priority;
	uint64_t generation;   /* of the collector's assignments; 0 local */
	uint64_t what;         /* hash of what is measured: type, options, families */
};

struct assignments {
	size_t count;
	const struct assigned *checks;
	size_t refused;
};

/* remote: NULL when the collector has assigned nothing yet. on_refused: for each check that is left out. */
struct assignments *assignments_new(const struct agent_settings *, const struct wire_assignments *remote,
	void (*on_refused)(void *ctx, const char *check, const char *why), void *ctx);
struct assignments *assignments_hold(struct assignments *); /* one more holder; returns it */
void assignments_drop(struct assignments *); /* one less, the last one frees it; accepts NULL */

/* Bytes of wire.proto Assignments as a file in the state folder: written beside it, synced, renamed. */
int assignments_write(const char *state, const void *data, size_t len, struct err *);
/* 1 read, 0 there is none, -1 it is damaged or cannot be read. */
int assignments_read(const char *state, struct buf *out, struct err *);

#endif
