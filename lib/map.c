#include "lib/map.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "lib/mem.h"

struct entry {
	char *key;
	void *value;
	uint64_t hash;
};

/* slots hold index + 1 into entries; 0 is free. */
struct map {
	struct entry *entries;
	size_t count, room;
	uint32_t *slots;
	size_t mask;
	uint64_t seed;
};

static uint64_t hash_key(const struct map *m, const char *key)
{
	uint64_t h = UINT64_C(14695981039346656037) ^ m->seed;

	for (const unsigned char *p = (const unsigned char *)key; *p != '\0'; p++)
		h = (h ^ *p) * UINT64_C(1099511628211);
	return h ^ h >> 29;
}

struct map *map_new(void)
{
	struct map *m = mem_alloc(sizeof *m);

	if (getrandom(&m->seed, sizeof m->seed, 0) != sizeof m->seed)
		m->seed = (uintptr_t)m;
	m->mask = 15;
	m->slots = mem_array(m->mask + 1, sizeof *m->slots);
	return m;
}

void map_free(struct map *m, void (*free_value)(void *))
{
	if (m == NULL)
		return;
	for (size_t i = 0; i < m->count; i++) {
		free(m->entries[i].key);
		if (free_value != NULL)
			free_value(m->entries[i].value);
	}
	free(m->entries);
	free(m->slots);
	free(m);
}

/* The slot of the key, or the free slot where it would stand. */
static size_t find_slot(const struct map *m, const char *key, uint64_t hash)
{
	size_t s = hash & m->mask;

	while (m->slots[s] != 0) {
		const struct entry *e = &m->entries[m->slots[s] - 1];

		if (e->hash == hash && strcmp(e->key, key) == 0)
			break;
		s = (s + 1) & m->mask;
	}
	return s;
}

static void rebuild(struct map *m, size_t slots)
{
	free(m->slots);
	m->mask = slots - 1;
	m->slots = mem_array(slots, sizeof *m->slots);
	for (size_t i = 0; i < m->count; i++) {
		size_t s = m->entries[i].hash & m->mask;

		while (m->slots[s] != 0)
			s = (s + 1) & m->mask;
		m->slots[s] = (uint32_t)i + 1;
	}
}

void *map_find(const struct map *m, const char *key)
{
	size_t s = find_slot(m, key, hash_key(m, key));

	return m->slots[s] != 0 ? m->entries[m->slots[s] - 1].value : NULL;
}

void *map_set(struct map *m, const char *key, void *value)
{
	uint64_t hash = hash_key(m, key);
	size_t s = find_slot(m, key, hash);

	if (m->slots[s] != 0) {
		struct entry *e = &m->entries[m->slots[s] - 1];
		void *old = e->value;

		e->value = value;
		return old;
	}
	if (m->count == m->room) {
		m->room = m->room > 0 ? m->room * 2 : 16;
		m->entries = mem_resize(m->entries, m->room, sizeof *m->entries);
	}
	m->entries[m->count++] = (struct entry){mem_strdup(key), value, hash};
	m->slots[s] = (uint32_t)m->count;
	if (m->count * 2 > m->mask)
		rebuild(m, (m->mask + 1) * 2);
	return NULL;
}

/* Closes the gap behind a freed slot, so that probing needs no tombstones. */
static void close_gap(struct map *m, size_t gap)
{
	for (size_t s = (gap + 1) & m->mask; m->slots[s] != 0; s = (s + 1) & m->mask) {
		size_t home = m->entries[m->slots[s] - 1].hash & m->mask;

		if (((s - home) & m->mask) >= ((s - gap) & m->mask)) {
			m->slots[gap] = m->slots[s];
			gap = s;
		}
	}
	m->slots[gap] = 0;
}

void *map_remove(struct map *m, const char *key)
{
	size_t s = find_slot(m, key, hash_key(m, key));
	size_t i, last = m->count - 1;
	char *key_of_removed;
	void *value;

	if (m->slots[s] == 0)
		return NULL;
	i = m->slots[s] - 1;
	value = m->entries[i].value;
	key_of_removed = m->entries[i].key;
	if (i != last) {
		size_t from = find_slot(m, m->entries[last].key, m->entries[last].hash);

		m->slots[from] = (uint32_t)i + 1;
		m->entries[i] = m->entries[last];
	}
	m->count--;
	close_gap(m, s);
	free(key_of_removed);
	return value;
}

size_t map_count(const struct map *m)
{
	return m->count;
}

void *map_at(const struct map *m, size_t i, const char **key)
{
	if (key != NULL)
		*key = m->entries[i].key;
	return m->entries[i].value;
}
