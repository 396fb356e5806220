#include "collector/judge/incident_parts.h"

#define NETWORK (FAULT_V4 | FAULT_V6)

/* The family of a fault bit, -1: it has none. */
static int bit_family(int bit)
{
	return bit < VERDICT_FAMILIES ? bit : -1;
}

/* Could the faults of the parent be why the child has this one? */
static bool covers(const struct incident_node *p, const struct topology_node *said, int bit)
{
	unsigned network = p->faults & NETWORK;

	if (1u << bit == FAULT_OWN || p->faults == 0)
		return false;
	if (said->is_system)
		return p->state == STATE_DOWN || (p->faults & 1u << bit) != 0;
	if (1u << bit == FAULT_VALUE)
		return (p->faults & (NETWORK | FAULT_VALUE)) != 0;
	if (1u << bit == FAULT_SILENT)
		return network != 0;
	return (network & 1u << bit) != 0 || (network != 0 && (said->measured & 1u << bit) == 0);
}

/* Newest time at which the parent was seen working in what matters for this fault. */
static int64_t seen_up(const struct incident_node *p, const struct topology_node *said, int bit)
{
	int family = bit_family(bit);
	int64_t oldest = INT64_MAX;

	if (family >= 0 && (said->measured & 1u << family) != 0)
		return p->up_at[family];
	for (int f = 0; f < VERDICT_FAMILIES; f++)
		if ((said->measured & 1u << f) != 0 && p->up_at[f] < oldest)
			oldest = p->up_at[f];
	return oldest == INT64_MAX ? 0 : oldest;
}

static int64_t seen_down(const struct incident_node *n, int bit)
{
	int family = bit_family(bit);

	return family >= 0 ? n->down_at[family] : n->seen_at;
}

/* Until when it may have been failing when it was seen up, in anything that matters for this fault. */
static int64_t seen_blip(const struct incident_node *p, int bit)
{
	int family = bit_family(bit);
	int64_t newest = 0;

	if (family >= 0)
		return p->blip_at[family];
	for (int f = 0; f < VERDICT_FAMILIES; f++)
		if (p->blip_at[f] > newest)
			newest = p->blip_at[f];
	return newest;
}

static int64_t cleared_since(const struct incident_node *p)
{
	int64_t newest = 0;

	for (int bit = 0; bit < FAULT_BITS; bit++)
		if (p->cleared[bit] > newest)
			newest = p->cleared[bit];
	return newest;
}

/* The parent is not why: it was seen working after this one had failed, within the newest row of attempts if it has failed for
 * long. One that itself has failed meanwhile, if only for a moment, is cleared by what fails when it works again; so is one that
 * was known to have failed, after a while. */
static bool is_cleared(const struct incident_node *n, const struct incident_node *p, const struct topology_node *said, int bit)
{
	int64_t up = seen_up(p, said, bit), down = seen_down(n, bit);

	if (n->role == ROLE_MEMBER)
		return up >= down && !covers(p, said, bit) && down >= cleared_since(p) + INCIDENT_SETTLE;
	if (seen_blip(p, bit) + INCIDENT_MARGIN >= n->since[bit])
		return up >= down && down >= seen_blip(p, bit) + INCIDENT_MARGIN;
	return up >= n->since[bit] + INCIDENT_MARGIN && up >= down - INCIDENT_ROW;
}

/* It went on working for long while the parent was seen failing: not this one, but what is above it may be the cause. */
static bool outlived(const struct incident_node *n, const struct incident_node *p, int64_t interval, int bit)
{
	int family = bit_family(bit);
	int64_t both = n->cleared[bit] > p->decided ? n->cleared[bit] : p->decided;

	return n->role != ROLE_MEMBER && family >= 0 && n->up_at[family] > both + interval + INCIDENT_SETTLE;
}

static struct incident_cause wait_for(struct incidents *c, uint32_t parent, bool is_firm)
{
	if (!c->nodes[parent].is_waited) {
		c->nodes[parent].is_waited = true;
		incident_touch(c, &c->nodes[parent]);
	}
	if (!is_firm && c->is_asking)
		incident_ask_probe(c, parent);
	return (struct incident_cause){.cause = CAUSE_WAIT, .wait = topology_node(c->topology, parent)->interval,
		.is_firm = is_firm};
}

static struct incident_cause look_up(struct incidents *c, const struct incident_node *n, uint32_t at, bool alone, int bit);

/* alone: there is no other way beside the one to this parent. */
static struct incident_cause judge_parent(struct incidents *c, const struct incident_node *n, uint32_t parent, bool alone,
	int bit)
{
	struct incident_node *p = &c->nodes[parent];
	const struct topology_node *said = topology_node(c->topology, parent);
	struct incident_cause above;

	/* Nothing judged looks at it: it can neither be seen failing nor working. */
	if (said->measured == 0 && p->faults == 0)
		return look_up(c, n, parent, alone, bit);
	if (is_cleared(n, p, said, bit))
		return (struct incident_cause){.cause = CAUSE_OWN};
	if (covers(p, said, bit)) {
		if (alone && outlived(n, p, said->interval, bit))
			return look_up(c, n, parent, alone, bit);
		if (p->role == ROLE_MEMBER || p->role == ROLE_ROOT)
			return (struct incident_cause){.cause = CAUSE_FOUND, .incident = p->incident};
		return wait_for(c, parent, true);
	}
	/* It was not seen working since. What is known to have failed above it is why, and may be why nobody sees it. */
	above = look_up(c, n, parent, alone, bit);
	if (above.cause == CAUSE_FOUND || above.is_firm)
		return above;
	return wait_for(c, parent, false);
}

/* Found as long as all are; of several causes one that people are told of. */
static void add(const struct incidents *c, struct incident_cause *all, const struct incident_cause *one)
{
	if (one->wait > all->wait)
		all->wait = one->wait;
	all->is_firm = all->is_firm || one->is_firm;
	if (one->cause == CAUSE_WAIT)
		all->cause = CAUSE_WAIT;
	else if (all->incident == NULL || c->nodes[all->incident->node].in_maintenance)
		all->incident = one->incident;
}

/* A group is the cause when all its members are; it is not when one of them is not. */
static struct incident_cause judge_group(struct incidents *c, const struct incident_node *n,
	const struct topology_parent *parents, size_t count, bool alone, int bit)
{
	struct incident_cause all = {.cause = CAUSE_FOUND};

	for (size_t i = 0; i < count; i++) {
		struct incident_cause one = judge_parent(c, n, parents[i].node, alone && count == 1, bit);

		if (one.cause == CAUSE_OWN)
			return one;
		add(c, &all, &one);
	}
	return all;
}

static struct incident_cause look_up(struct incidents *c, const struct incident_node *n, uint32_t at, bool alone, int bit)
{
	struct incident_cause best = {.cause = CAUSE_OWN};
	size_t count, end;
	const struct topology_parent *parents = topology_parents(c->topology, at, &count);

	for (size_t i = 0; i < count; i = end) {
		struct incident_cause one;

		for (end = i + 1; end < count && parents[end].group == parents[i].group;)
			end++;
		one = judge_group(c, n, parents + i, end - i, alone, bit);
		if (one.cause == CAUSE_FOUND)
			return one;
		if (one.cause != CAUSE_WAIT)
			continue;
		one.is_firm = one.is_firm || best.is_firm;
		if (one.wait < best.wait)
			one.wait = best.wait;
		best = one;
	}
	return best;
}

static struct incident_cause find_cause(struct incidents *c, uint32_t node)
{
	const struct incident_node *n = &c->nodes[node];
	struct incident_cause all = {.cause = CAUSE_FOUND};

	for (int bit = 0; bit < FAULT_BITS; bit++) {
		struct incident_cause one = {.cause = CAUSE_OWN};

		if ((n->faults & 1u << bit) == 0)
			continue;
		if (1u << bit != FAULT_OWN && (n->role != ROLE_ROOT || (n->proven & 1u << bit) == 0))
			one = look_up(c, n, node, true, bit);
		if (one.cause == CAUSE_OWN)
			all.own |= 1u << bit;
		else
			add(c, &all, &one);
	}
	if (all.own != 0)
		all.cause = CAUSE_OWN;
	return all;
}

/* Parents are asked for once it is known that they are waited for. */
struct incident_cause incident_find_cause(struct incidents *c, uint32_t node)
{
	struct incident_cause cause = find_cause(c, node);

	if (cause.cause == CAUSE_WAIT && c->nodes[node].role != ROLE_ROOT) {
		c->is_asking = true;
		cause = find_cause(c, node);
		c->is_asking = false;
	}
	return cause;
}
