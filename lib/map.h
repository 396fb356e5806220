/*
 * map: a string-keyed hash table (open addressing, FNV-1a with a random seed against chosen keys).
 * Keys are copied; values are the caller's pointers and never NULL. Iteration order is the order
 * of insertion as long as nothing was removed (a removal moves the last entry into the hole).
 */
#ifndef LIB_MAP_H
#define LIB_MAP_H

#include <stddef.h>

struct map;

struct map *map_new(void);
void map_free(struct map *, void (*free_value)(void *)); /* both accept NULL */
void *map_find(const struct map *, const char *key);
void *map_set(struct map *, const char *key, void *value); /* the value that stood there, or NULL */
void *map_remove(struct map *, const char *key);           /* the value, or NULL */
size_t map_count(const struct map *);
/* Entry i of 0..count-1: its value, and its key when key is not NULL. */
void *map_at(const struct map *, size_t i, const char **key);

#endif
