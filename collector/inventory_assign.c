#include "collector/inventory_parts.h"

#include <stdlib.h>
#include <string.h>

#include "collector/inventory.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/wire.h"

/* Bytes that a text costs at most on the wire beside itself: tag and length. */
#define WIRE_TEXT_OVERHEAD 6
#define WIRE_CHECK_OVERHEAD 40 /* of the numbers of a check */

/* ---- at load: which checks each agent runs */

static size_t wire_bytes(const struct inventory_check *c)
{
	size_t n = strlen(c->id) + strlen(c->type) + WIRE_CHECK_OVERHEAD;

	for (size_t i = 0; i < c->options.count; i++)
		n += strlen(c->options.items[i].key) + strlen(c->options.items[i].value) +
		     3 * WIRE_TEXT_OVERHEAD;
	return n;
}

static struct inventory_share *share_of(const struct inventory *inv, const char *agent)
{
	const struct inventory_agent *a = map_find(inv->index->agents, agent);

	return &inv->index->shares[a - inv->agents];
}

static int by_id(const void *a, const void *b)
{
	const struct inventory_check *const *x = a, *const *y = b;

	return strcmp((*x)->id, (*y)->id);
}

static int check_share(const struct inventory_agent *a, const struct inventory_share *s, struct err *e)
{
	size_t bytes = 0;

	if (s->count > WIRE_CHECKS_MAX)
		return config_error(&a->where, e, "agent \"%s\" has %zu checks, more than %d: give some to "
			"another", a->id, s->count, WIRE_CHECKS_MAX);
	for (size_t i = 0; i < s->count; i++)
		bytes += wire_bytes(s->checks[i]);
	if (bytes > WIRE_BODY_MAX)
		return config_error(&a->where, e, "the checks of agent \"%s\" take %zu KiB, more than %u: give "
			"some to another", a->id, bytes >> 10, WIRE_BODY_MAX >> 10);
	return 0;
}

int inventory_share_out(struct inventory *inv, struct err *e)
{
	struct arena *a = inv->index->arena;

	inv->index->shares = arena_alloc(a, (inv->agents_count + 1) * sizeof *inv->index->shares);
	for (size_t i = 0; i < inv->checks_count; i++) {
		for (size_t j = 0; j < inv->checks[i].vantages.count; j++)
			share_of(inv, inv->checks[i].vantages.items[j])->count++;
	}
	for (size_t i = 0; i < inv->agents_count; i++) {
		struct inventory_share *s = &inv->index->shares[i];

		s->checks = arena_alloc(a, (s->count + 1) * sizeof *s->checks);
		s->count = 0;
	}
	for (size_t i = 0; i < inv->checks_count; i++) {
		for (size_t j = 0; j < inv->checks[i].vantages.count; j++) {
			struct inventory_share *s = share_of(inv, inv->checks[i].vantages.items[j]);

			s->checks[s->count++] = &inv->checks[i];
		}
	}
	for (size_t i = 0; i < inv->agents_count; i++) {
		struct inventory_share *s = &inv->index->shares[i];

		qsort(s->checks, s->count, sizeof *s->checks, by_id);
		if (check_share(&inv->agents[i], s, e) < 0)
			return -1;
	}
	return 0;
}

/* ---- on the wire */

static struct wire_check wire_check_of(const struct inventory_check *c, struct arena *a)
{
	static const uint32_t families[] = {
		[FAMILIES_BOTH] = 3, [FAMILIES_IPV4] = 1, [FAMILIES_IPV6] = 2};
	struct wire_option *options = arena_alloc(a, (c->options.count + 1) * sizeof *options);

	for (size_t i = 0; i < c->options.count; i++)
		options[i] = (struct wire_option){c->options.items[i].key, c->options.items[i].value};
	return (struct wire_check){.id = c->id,
		.type = c->type,
		.interval_s = (uint32_t)(c->interval / NS_PER_S),
		.timeout_ms = (uint32_t)(c->timeout / NS_PER_MS),
		.families = families[c->families],
		.priority = c->priority,
		.options_count = c->options.count,
		.options = options};
}

/* The generation is the hash of the same bytes with generation 0 in them. */
int inventory_assignments(const struct inventory *inv, const char *agent, struct buf *out,
	uint64_t *generation)
{
	struct wire_assignments w = {.agent = agent};
	const struct inventory_share *s;
	struct wire_check *checks;
	struct arena *arena;
	size_t start = out->len;

	if (map_find(inv->index->agents, agent) == NULL)
		return -1;
	s = share_of(inv, agent);
	arena = arena_new();
	checks = arena_alloc(arena, (s->count + 1) * sizeof *checks);
	for (size_t i = 0; i < s->count; i++)
		checks[i] = wire_check_of(s->checks[i], arena);
	w.count = s->count;
	w.checks = checks;
	wire_assignments_encode(&w, out);
	w.generation = inventory_hash(0, out->data + start, out->len - start);
	out->len = start;
	wire_assignments_encode(&w, out);
	*generation = w.generation;
	arena_free(arena);
	return 0;
}

bool inventory_may_report(const struct inventory *inv, const char *agent, const char *check)
{
	const struct inventory_check *c = map_find(inv->index->checks, check);

	for (size_t i = 0; c != NULL && i < c->vantages.count; i++) {
		if (strcmp(c->vantages.items[i], agent) == 0)
			return true;
	}
	return false;
}
