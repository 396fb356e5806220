#include "collector/inventory_parts.h"

#include <string.h>

#include "collector/inventory.h"

#define FNV_OFFSET UINT64_C(14695981039346656037)
#define FNV_PRIME UINT64_C(1099511628211)

/* The last step of murmur3: FNV alone leaves the high bits of short inputs close together. */
static uint64_t mix(uint64_t h)
{
	h ^= h >> 33;
	h *= UINT64_C(0xff51afd7ed558ccd);
	h ^= h >> 33;
	h *= UINT64_C(0xc4ceb9fe1a85ec53);
	return h ^ h >> 33;
}

uint64_t inventory_hash(uint64_t seed, const void *data, size_t len)
{
	uint64_t h = FNV_OFFSET ^ seed;

	for (const unsigned char *p = data, *end = p + len; p < end; p++)
		h = (h ^ *p) * FNV_PRIME;
	h = mix(h);
	return h != 0 ? h : 1;
}

/* One after the other: the hash before is the seed, so neither order nor borders are lost. */
static uint64_t add_text(uint64_t h, const char *text)
{
	return inventory_hash(h, text, strlen(text));
}

static uint64_t add_number(uint64_t h, int64_t number)
{
	return inventory_hash(h, &number, sizeof number);
}

/* A set: a sum does not know the order. */
static uint64_t add_set(uint64_t h, const struct config_texts *set)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < set->count; i++)
		sum += add_text(1, set->items[i]);
	return add_number(h, (int64_t)sum);
}

/* ---- each kind from a seed of its own, so that a unit is never taken for a site */

enum { SEED_UNIT = 1, SEED_SYSTEM, SEED_SITE, SEED_LINK, SEED_AGENT, SEED_CHECK };

static uint64_t sum_unit(const struct inventory_unit *u)
{
	return add_set(add_text(add_text(add_text(SEED_UNIT, u->id), u->name), u->name_en), &u->service);
}

static uint64_t sum_system(const struct inventory_system *s)
{
	uint64_t h = add_text(add_text(add_text(SEED_SYSTEM, s->id), s->name), s->name_en);

	return add_set(add_set(add_set(add_text(h, s->unit), &s->depends), &s->either), &s->service);
}

static uint64_t sum_site(const struct inventory_site *s)
{
	uint64_t h = add_text(add_text(add_text(SEED_SITE, s->id), s->name), s->name_en);

	return add_text(add_number(h, s->level), s->parent);
}

static uint64_t sum_link(const struct inventory_link *l)
{
	uint64_t h = add_text(add_text(add_text(SEED_LINK, l->id), l->name), l->site);

	return add_text(add_text(h, l->ipv4), l->ipv6);
}

static uint64_t sum_agent(const struct inventory_agent *a)
{
	return add_text(add_text(add_text(add_text(add_text(SEED_AGENT, a->id), a->name), a->name_en), a->site), a->was);
}

static uint64_t sum_check(const struct inventory_check *c)
{
	uint64_t h = add_text(add_text(add_text(SEED_CHECK, c->id), c->type), c->subject);

	h = add_number(add_number(add_set(h, &c->vantages), c->interval), c->timeout);
	h = add_text(add_number(add_number(h, c->families), c->priority), c->was);
	h = add_set(add_number(add_number(add_number(h, c->severity), c->quorum), c->anchor), &c->limits);
	for (size_t i = 0; i < c->options.count; i++)
		h = add_text(add_text(h, c->options.items[i].key), c->options.items[i].value);
	return h;
}

uint64_t inventory_sum(const struct inventory *inv)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < inv->units_count; i++)
		sum += sum_unit(&inv->units[i]);
	for (size_t i = 0; i < inv->systems_count; i++)
		sum += sum_system(&inv->systems[i]);
	for (size_t i = 0; i < inv->sites_count; i++)
		sum += sum_site(&inv->sites[i]);
	for (size_t i = 0; i < inv->links_count; i++)
		sum += sum_link(&inv->links[i]);
	for (size_t i = 0; i < inv->agents_count; i++)
		sum += sum_agent(&inv->agents[i]);
	for (size_t i = 0; i < inv->checks_count; i++)
		sum += sum_check(&inv->checks[i]);
	return sum != 0 ? sum : 1;
}
