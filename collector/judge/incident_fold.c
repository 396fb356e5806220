#include "collector/judge/incident_parts.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/mem.h"

/* ---- time */

static void clamp(int64_t *times, size_t count, int64_t now)
{
	for (size_t i = 0; i < count; i++)
		if (times[i] > now)
			times[i] = now;
}

/* The clock went back: what was measured may not lie in the future, or new evidence would look old. */
static void clamp_all(struct incidents *c, int64_t now)
{
	for (size_t i = 0; i < topology_count(c->topology); i++) {
		struct incident_node *n = &c->nodes[i];

		clamp(n->since, FAULT_BITS, now);
		clamp(n->cleared, FAULT_BITS, now);
		clamp(n->up_at, VERDICT_FAMILIES, now);
		clamp(n->down_at, VERDICT_FAMILIES, now);
		clamp(n->blip_at, VERDICT_FAMILIES, now);
		clamp(&n->decided, 1, now);
		clamp(&n->seen_at, 1, now);
		clamp(&n->state_at, 1, now);
		incident_touch(c, n);
	}
}

static void advance(struct incidents *c, int64_t now)
{
	int64_t step = c->now == 0 ? 0 : now - c->now;

	/* Entries that overtake each other by a little do not turn the clock back, or each would count twice. */
	if (step < 0 && step >= -NS_PER_S)
		return;
	if (step < 0) {
		clamp_all(c, now);
		c->next_plan = 0;
	}
	c->steady += step < 0 ? 0 : step > VERDICT_STEP ? VERDICT_STEP : step;
	c->now = now;
	c->is_dirty = true;
}

/* ---- what is to be looked at again */

void incident_queue(struct incidents *c, uint32_t node)
{
	if (c->nodes[node].is_queued)
		return;
	if (c->queue_count == c->queue_room) {
		c->queue_room = c->queue_room == 0 ? 64 : c->queue_room * 2;
		c->queue = mem_resize(c->queue, c->queue_room, sizeof *c->queue);
	}
	c->queue[c->queue_count++] = node;
	c->nodes[node].is_queued = true;
}

void incident_queue_children(struct incidents *c, uint32_t node)
{
	size_t count;
	const uint32_t *children = topology_children(c->topology, node, &count);

	for (size_t i = 0; i < count; i++)
		incident_queue(c, children[i]);
}

static void queue_held(struct incidents *c)
{
	for (size_t i = 0; i < c->held_count; i++)
		incident_queue(c, c->held[i]);
}

/* ---- roles */

static void hold(struct incidents *c, uint32_t node, int64_t wait)
{
	struct incident_node *n = &c->nodes[node];

	if (c->held_count == c->held_room) {
		c->held_room = c->held_room == 0 ? 64 : c->held_room * 2;
		c->held = mem_resize(c->held, c->held_room, sizeof *c->held);
	}
	c->held[c->held_count++] = node;
	n->role = ROLE_HELD;
	n->hold_until = c->steady + wait + INCIDENT_HOLD;
}

static void unhold(struct incidents *c, uint32_t node)
{
	size_t i = 0;

	while (c->held[i] != node)
		i++;
	/* In order, so that what follows comes in the same order after a restart. */
	memmove(c->held + i, c->held + i + 1, (c->held_count - i - 1) * sizeof *c->held);
	c->held_count--;
	c->nodes[node].role = ROLE_NONE;
}

struct incident *incident_leave(struct incidents *c, uint32_t node)
{
	struct incident_node *n = &c->nodes[node];
	struct incident *i = n->incident;

	incident_touch(c, n);
	if (n->role == ROLE_HELD)
		unhold(c, node);
	if (n->role != ROLE_MEMBER)
		return NULL;
	for (size_t k = 0; k < i->members_count; k++)
		if (i->members[k].node == node && i->members[k].to == 0)
			i->members[k].to = c->now;
	i->attached--;
	i->is_dirty = true;
	n->role = ROLE_NONE;
	n->incident = NULL;
	return i;
}

static void attach(struct incidents *c, uint32_t node, struct incident *i)
{
	struct incident_node *n = &c->nodes[node];

	n->role = ROLE_MEMBER;
	n->incident = i;
	n->hold_until = 0;
	n->slot_changed = false; /* it is the cause that flaps */
	i->attached++;
	incident_add_member(c, i, node);
	incident_refresh(c, i);
}

static bool is_well(struct incidents *c, uint32_t node)
{
	struct incident_node *n = &c->nodes[node];
	struct incident *i = n->incident;

	if (n->role == ROLE_HELD || n->role == ROLE_MEMBER) {
		i = incident_leave(c, node);
		if (i != NULL)
			incident_refresh(c, i);
		return true;
	}
	if (n->role != ROLE_ROOT || i->phase != INCIDENT_OPEN)
		return false;
	i->phase = INCIDENT_WATCHED;
	i->up_steady = c->steady;
	i->is_dirty = true;
	incident_refresh(c, i);
	return true;
}

/* The root fails again while its incident was watched: what hangs on it has failed with it, once more. */
static void fail_again(struct incidents *c, struct incident *i)
{
	const struct incident_node *root = &c->nodes[i->node];

	i->phase = INCIDENT_OPEN;
	i->up_steady = 0;
	i->is_dirty = true;
	for (size_t k = 0; k < i->members_count; k++) {
		struct incident_node *n = i->members[k].node == TOPOLOGY_NONE ? NULL : &c->nodes[i->members[k].node];

		if (n == NULL || n->role != ROLE_MEMBER || n->incident != i)
			continue;
		for (int bit = 0; bit < FAULT_BITS; bit++)
			if (n->since[bit] < root->since[bit])
				n->since[bit] = root->since[bit];
		incident_touch(c, n);
	}
}

static bool judge_root(struct incidents *c, uint32_t node, const struct incident_cause *cause)
{
	struct incident *i = c->nodes[node].incident;
	bool again = i->phase == INCIDENT_WATCHED, is_worse = i->state < STATE_DOWN && c->nodes[node].state == STATE_DOWN;

	if ((cause->own & ~c->nodes[node].proven) != 0)
		incident_touch(c, &c->nodes[node]);
	c->nodes[node].proven |= cause->own;
	if (again)
		fail_again(c, i);
	if ((i->faults | c->nodes[node].faults) != i->faults || c->nodes[node].state > i->state) {
		i->faults |= c->nodes[node].faults;
		i->state = c->nodes[node].state > i->state ? c->nodes[node].state : i->state;
		i->is_dirty = true;
	}
	if (cause->cause != CAUSE_FOUND || cause->incident == i) {
		if (is_worse)
			incident_tell_worse(c, i);
		incident_refresh(c, i);
		return again;
	}
	incident_merge(c, i, cause->incident);
	return true;
}

/* Nobody could tell in time. */
static bool is_expired(const struct incidents *c, const struct incident_node *n, const struct incident_cause *cause)
{
	return cause->cause == CAUSE_WAIT && !cause->is_firm && c->is_tick && n->hold_until != 0 && c->steady >= n->hold_until &&
		(n->role == ROLE_HELD || n->role == ROLE_MEMBER);
}

/* It hangs on its incident by one fault; of another one nobody may ever tell. That wait has an end, too: as long as for the fault
 * that outlasts its cause. */
static void limit_wait(struct incidents *c, uint32_t node, const struct incident_cause *cause)
{
	struct incident_node *n = &c->nodes[node];
	bool waits = cause->cause == CAUSE_WAIT;

	if (waits == (n->hold_until != 0))
		return;
	n->hold_until = waits ? c->steady + INCIDENT_SETTLE + 2 * cause->wait + VERDICT_GRACE : 0;
	incident_touch(c, n);
}

static bool judge_failed(struct incidents *c, uint32_t node)
{
	struct incident_node *n = &c->nodes[node];
	struct incident_cause cause = incident_find_cause(c, node);
	struct incident *old;

	if (n->role == ROLE_ROOT)
		return judge_root(c, node, &cause);
	if (n->role == ROLE_MEMBER)
		limit_wait(c, node, &cause);
	if (cause.cause == CAUSE_WAIT && !is_expired(c, n, &cause)) {
		if (n->role != ROLE_NONE)
			return false;
		hold(c, node, cause.wait);
		return true;
	}
	if (cause.cause == CAUSE_FOUND && n->role == ROLE_MEMBER && n->incident == cause.incident)
		return false;
	old = incident_leave(c, node);
	if (cause.cause == CAUSE_FOUND)
		attach(c, node, cause.incident);
	else
		incident_open(c, node);
	n->proven = cause.own;
	if (old != NULL)
		incident_refresh(c, old); /* last: nobody reads "over" before the new one */
	return true;
}

static bool judge(struct incidents *c, uint32_t node)
{
	struct incident_node *n = &c->nodes[node];

	if (n->state == STATE_NONE || n->state == STATE_UNKNOWN) {
		if (n->role == ROLE_HELD)
			incident_leave(c, node);
		return true; /* transparent: what is below may have another cause now */
	}
	if (n->faults != 0)
		return judge_failed(c, node);
	/* What waits for it may have its cause above it, which is looked through as well. */
	return is_well(c, node) || n->is_waited;
}

/* True: something stands in an incident now that did not before. */
static bool drain_once(struct incidents *c)
{
	bool found = false;

	while (c->queue_at < c->queue_count) {
		uint32_t node = c->queue[c->queue_at++];

		c->nodes[node].is_queued = false;
		if (!judge(c, node))
			continue;
		incident_touch(c, &c->nodes[node]);
		incident_queue_children(c, node);
		found = found || c->nodes[node].incident != NULL;
	}
	c->queue_at = c->queue_count = 0;
	return found;
}

/* Who is held far below may have it for a cause, with others between that work. */
void incident_drain(struct incidents *c)
{
	while (drain_once(c))
		queue_held(c);
}

/* ---- events */

static unsigned faults_of(const struct incident_event *e)
{
	switch (e->state) {
	case STATE_NONE:
	case STATE_UP:
	case STATE_UNKNOWN:
	case STATE_MAINTENANCE:
		return 0;
	case STATE_DEGRADED:
	case STATE_DOWN:
		break;
	}
	return e->faults == 0 ? FAULT_VALUE : e->faults;
}

static void newer(int64_t *time, int64_t measured)
{
	if (measured > *time)
		*time = measured;
}

static int64_t look_of(const struct incident_event *e)
{
	return e->looked != 0 ? e->looked : e->measured;
}

static void note_faults(struct incident_node *n, unsigned faults, const struct incident_event *e)
{
	bool known = e->state != STATE_UNKNOWN && e->state != STATE_NONE;

	for (int bit = 0; bit < FAULT_BITS; bit++) {
		bool was = (n->faults & 1u << bit) != 0, is = (faults & 1u << bit) != 0;

		if (is && !was) {
			n->since[bit] = e->since;
			n->decided = e->measured;
		}
		if (!is)
			n->proven &= ~(1u << bit);
		if (was && !is && known)
			n->cleared[bit] = e->since;
		/* That it counts as up is no evidence that it was seen so: it may be failing for the first time. */
		if (is && bit < VERDICT_FAMILIES)
			newer(&n->down_at[bit], look_of(e));
	}
}

static bool is_stale(const struct incidents *c, const struct incident_event *e, uint32_t node)
{
	int64_t interval = topology_node(c->topology, node)->interval;

	return interval > 0 && c->now - e->measured > 2 * interval;
}

static void on_state(struct incidents *c, const struct incident_event *e)
{
	uint32_t node = topology_find(c->topology, e->subject);
	unsigned faults = faults_of(e);
	struct incident_node *n;

	if (node == TOPOLOGY_NONE)
		return;
	n = &c->nodes[node];
	if (e->measured < n->state_at || (faults != 0 && is_stale(c, e, node))) {
		c->counts.stale++;
		return;
	}
	if (n->state == e->state && n->faults == faults)
		return;
	if ((n->faults != 0) != (faults != 0) && n->state != STATE_NONE && e->state != STATE_UNKNOWN &&
		n->role != ROLE_MEMBER)
		n->slot_changed = true;
	note_faults(n, faults, e);
	n->state = e->state;
	n->faults = faults;
	n->state_at = e->measured;
	newer(&n->seen_at, look_of(e));
	incident_touch(c, n);
	if (faults != 0) {
		free(n->reason);
		n->reason = mem_strdup(e->reason);
	}
	incident_queue(c, node);
	incident_queue_children(c, node);
	incident_drain(c);
}

bool incidents_differ(const struct incidents *c, const struct incident_event *e)
{
	uint32_t node = topology_find(c->topology, e->subject);

	return node != TOPOLOGY_NONE && (c->nodes[node].state != e->state || c->nodes[node].faults != faults_of(e));
}

/* One slot per interval, whatever the number of checks and vantages that look. */
static void flap_slot(struct incidents *c, uint32_t node)
{
	struct incident_node *n = &c->nodes[node];
	bool was = n->flap.is_flapping;

	if (n->slot_ends == 0) {
		n->slot_ends = c->steady + topology_node(c->topology, node)->interval;
		return;
	}
	flap_icinga_take(&n->flap, n->slot_changed, FLAP_ICINGA_LOW, FLAP_ICINGA_HIGH);
	n->slot_changed = false;
	n->slot_ends = c->steady + topology_node(c->topology, node)->interval;
	if (n->role != ROLE_ROOT || n->flap.is_flapping == was)
		return;
	if (!was)
		incident_flap(c, n->incident);
	incident_refresh(c, n->incident);
}

static void on_seen(struct incidents *c, const struct incident_event *e)
{
	uint32_t node = topology_find(c->topology, e->subject);
	int family = verdict_family_index(e->family);
	struct incident_node *n;
	bool is_old;

	if (node == TOPOLOGY_NONE)
		return;
	n = &c->nodes[node];
	is_old = e->measured < n->seen_at;
	incident_touch(c, n);
	newer(&n->seen_at, e->measured);
	if (!e->is_up) {
		/* Of another vantage, known only when its time was over: the look that found it up since was the first that did. */
		if (e->measured > n->down_at[family] && e->measured <= n->up_at[family])
			newer(&n->blip_at[family], n->up_at[family]);
		newer(&n->down_at[family], e->measured);
	} else if ((n->faults & 1u << family) == 0 && e->measured > n->up_at[family]) {
		/* Until this look it may have been failing, whenever the last one was that found it so. */
		if (n->down_at[family] > n->up_at[family])
			n->blip_at[family] = e->measured > n->down_at[family] ? e->measured : n->down_at[family];
		n->up_at[family] = e->measured;
	}
	if (c->steady >= n->slot_ends && !is_old)
		flap_slot(c, node);
	if (n->role == ROLE_MEMBER)
		incident_queue(c, node);
	if (e->is_up && n->is_waited) {
		queue_held(c);
		incident_queue_children(c, node);
	}
	incident_drain(c);
}

static void queue_overdue(struct incidents *c, const struct incident *i)
{
	for (size_t k = 0; k < i->members_count; k++) {
		const struct incident_node *n = i->members[k].node == TOPOLOGY_NONE ? NULL : &c->nodes[i->members[k].node];

		if (n != NULL && n->role == ROLE_MEMBER && n->hold_until != 0 && c->steady >= n->hold_until)
			incident_queue(c, i->members[k].node);
	}
}

static void on_tick(struct incidents *c)
{
	if (c->now >= c->next_plan)
		incident_maintenance(c);
	c->is_tick = true;
	for (size_t i = 0; i < c->held_count; i++)
		if (c->steady >= c->nodes[c->held[i]].hold_until)
			incident_queue(c, c->held[i]);
	for (size_t i = 0; i < c->open_count; i++)
		queue_overdue(c, c->open[i]);
	incident_drain(c);
	for (size_t i = 0; i < c->open_count; i++) {
		incident_acknowledgement_ends(c, c->open[i]);
		incident_refresh(c, c->open[i]);
	}
	incident_drain(c);
	c->is_tick = false;
	incident_digests(c);
}

int incidents_step(struct incidents *c, const struct incident_event *e, int64_t now, struct err *err)
{
	assert(c->topology != NULL);
	advance(c, now);
	c->counts.events++;
	switch (e->kind) {
	case INCIDENT_TICK:
		on_tick(c);
		return 0;
	case INCIDENT_STATE:
		on_state(c, e);
		return 0;
	case INCIDENT_SEEN:
		on_seen(c, e);
		return 0;
	case INCIDENT_ACKNOWLEDGE:
	case INCIDENT_UNACKNOWLEDGE:
	case INCIDENT_ASSIGN:
	case INCIDENT_COMMENT:
	case INCIDENT_PLAN:
	case INCIDENT_CANCEL:
		break;
	}
	return incident_request(c, e, err);
}
