/*
 * topology: what hangs on what. Subjects are nodes; a node needs its groups of parents: it can work while each group has one member
 * that does, so a group of several is redundancy, and two groups are two needs.
 *
 *   topology_new -> topology_add, topology_need ... -> topology_seal -> read only -> topology_free
 *
 * The site tree: a site needs the link to its parent, that link needs the parent site, a host needs its site; systems need
 * links and systems. Nodes that nothing measures are transparent: their parents count for them.
 * The first parent of a node's first group makes the tree in which paths are looked for.
 * Pure. Limits: TOPOLOGY_DEPTH levels, TOPOLOGY_PARENTS parents of a node.
 */
#ifndef COLLECTOR_JUDGE_TOPOLOGY_H
#define COLLECTOR_JUDGE_TOPOLOGY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct err;
struct topology;

#define TOPOLOGY_NONE UINT32_MAX
#define TOPOLOGY_DEPTH 64
#define TOPOLOGY_PARENTS 128

struct topology_node {
	const char *id;    /* "link/north" */
	const char *unit;  /* id of the unit that is told of it; "": operations alone */
	int64_t interval;  /* of its checks, ns; 0 not measured */
	unsigned measured; /* families, as FAULT_* bits of verdict.h; 0: transparent */
	bool is_system;    /* what needs it does so in any family */
};
struct topology_parent {
	uint32_t node, group; /* sorted by group */
};

struct topology *topology_new(void);
void topology_free(struct topology *); /* accepts NULL */
uint32_t topology_add(struct topology *, const struct topology_node *); /* texts are copied; the id must be new */
void topology_need(struct topology *, uint32_t child, uint32_t parent, uint32_t group);
int topology_seal(struct topology *, struct err *); /* -1: a circle, with the ids in it; too deep; too many parents */

uint64_t topology_hash(const struct topology *); /* of all that is said in it, in its order */
size_t topology_count(const struct topology *);
uint32_t topology_find(const struct topology *, const char *id); /* TOPOLOGY_NONE */
const struct topology_node *topology_node(const struct topology *, uint32_t);
const struct topology_parent *topology_parents(const struct topology *, uint32_t, size_t *count);
const uint32_t *topology_children(const struct topology *, uint32_t, size_t *count);
/* On the tree: is the node the ancestor itself, or below it? */
bool topology_is_below(const struct topology *, uint32_t node, uint32_t ancestor);

/* ---- Where on the way did it break? */

/* One vantage (the node of its site) looked at one node: it was reached or not. */
struct topology_sight {
	uint32_t from, to;
	bool reached;
};
/* The fewest nodes that explain every sight that failed: none of them on the way of one that succeeded; of equals the one
 * nearest to what was not reached. Fills up to room; returns how many. What nothing can explain is left out. */
size_t topology_locate(const struct topology *, const struct topology_sight *, size_t count, uint32_t *out, size_t room);

#endif
