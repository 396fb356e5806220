#include "collector/inventory.h"

#include <stdlib.h>

#include "collector/inventory_parts.h"
#include "lib/map.h"
#include "lib/mem.h"

/* All of it in one piece of memory, beside what the arena holds. */
struct loaded {
	struct inventory public;
	struct inventory_index index;
};

static int load(struct inventory *inv, const char *folder, struct err *e)
{
	if (inventory_read(inv, folder, e) < 0 || inventory_resolve(inv, e) < 0 ||
		inventory_check_all(inv, e) < 0 || inventory_share_out(inv, e) < 0)
		return -1;
	inv->generation = inventory_sum(inv);
	return 0;
}

struct inventory *inventory_load(const char *folder, struct err *e)
{
	struct loaded *l = mem_alloc(sizeof *l);

	l->public.index = &l->index;
	l->index.arena = arena_new();
	if (load(&l->public, folder, e) == 0)
		return &l->public;
	inventory_free(&l->public);
	return NULL;
}

void inventory_free(struct inventory *inv)
{
	if (inv == NULL)
		return;
	map_free(inv->index->units, NULL);
	map_free(inv->index->systems, NULL);
	map_free(inv->index->sites, NULL);
	map_free(inv->index->links, NULL);
	map_free(inv->index->agents, NULL);
	map_free(inv->index->checks, NULL);
	arena_free(inv->index->arena);
	free(inv);
}

const struct inventory_unit *inventory_unit(const struct inventory *inv, const char *id)
{
	return map_find(inv->index->units, id);
}

const struct inventory_system *inventory_system(const struct inventory *inv, const char *id)
{
	return map_find(inv->index->systems, id);
}

const struct inventory_site *inventory_site(const struct inventory *inv, const char *id)
{
	return map_find(inv->index->sites, id);
}

const struct inventory_link *inventory_link(const struct inventory *inv, const char *id)
{
	return map_find(inv->index->links, id);
}

const struct inventory_agent *inventory_agent(const struct inventory *inv, const char *id)
{
	return map_find(inv->index->agents, id);
}

const struct inventory_check *inventory_check(const struct inventory *inv, const char *id)
{
	return map_find(inv->index->checks, id);
}
