/*
 * inventory_parts: the steps of inventory_load, each in a file of its own, and what they share. Of
 * inventory*.c only: everyone else reads collector/inventory.h.
 *
 *   inventory_read      files -> records, found by id        inventory_load.c
 *   inventory_resolve   references of all but checks         inventory_resolve.c
 *   inventory_check_all type, options, subject, vantages     inventory_check.c
 *   inventory_share_out which checks each agent runs         inventory_assign.c
 *   inventory_sum       the hash of all of it                inventory_hash.c
 *
 * Each gives 0, or -1 with "file:line: words"; on failure the caller frees what there is.
 */
#ifndef COLLECTOR_INVENTORY_PARTS_H
#define COLLECTOR_INVENTORY_PARTS_H

#include <stddef.h>
#include <stdint.h>

#include "lib/config.h"

struct arena;
struct err;
struct inventory;
struct inventory_check;
struct map;

/* The checks that one agent runs, in order of id. */
struct inventory_share {
	size_t count;
	const struct inventory_check **checks;
};

struct inventory_index {
	struct arena *arena; /* of all records and of this index */
	struct map *units, *systems, *sites, *links, *agents, *checks;
	struct inventory_share *shares; /* of agent i */
};

/* Where the records of one kind stand: offsets in a file as it was read, in the inventory, in the
 * index. The id is the first member of every record. */
struct inventory_kind {
	const char *one, *many; /* "unit", "units"; NULL ends the table */
	const struct config_schema *schema;
	size_t list, items, count, map;
};
extern const struct inventory_kind inventory_kinds[];

int inventory_read(struct inventory *, const char *folder, struct err *);
int inventory_resolve(struct inventory *, struct err *);
int inventory_check_all(struct inventory *, struct err *);
int inventory_share_out(struct inventory *, struct err *);
uint64_t inventory_sum(const struct inventory *);

/* "what "id" is not in the inventory: did you mean "..."?" where it was written; other: a second
 * table that it may stand in, or NULL; always -1. */
int inventory_fail_reference(const struct config_where *, const char *what, const char *id,
	const struct map *known, const struct map *other, struct err *);

/* FNV-1a, 64 bit, finished so that sums of hashes keep their bits apart. */
uint64_t inventory_hash(uint64_t seed, const void *data, size_t len);

#endif
