/*
 * mem: allocation that cannot fail. Without memory the process ends (the journal is on disk and
 * the parent restarts it), so sizes that come from outside are bounded before they get here.
 * An arena holds all settings of one generation and is dropped whole.
 */
#ifndef LIB_MEM_H
#define LIB_MEM_H

#include <stddef.h>

void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull, alloc_size(1))); /* zeroed */
void *mem_array(size_t count, size_t size)
	__attribute__((malloc, returns_nonnull, alloc_size(1, 2))); /* zeroed, overflow-safe */
/* Grows or shrinks; new bytes are not zeroed. */
void *mem_resize(void *old, size_t count, size_t size) __attribute__((alloc_size(2, 3)));
void *mem_copy(const void *data, size_t size) __attribute__((returns_nonnull));
char *mem_strdup(const char *) __attribute__((returns_nonnull));
char *mem_format(const char *format, ...) __attribute__((format(printf, 1, 2), returns_nonnull));

struct arena;
struct arena *arena_new(void);
void arena_free(struct arena *); /* accepts NULL */
void *arena_alloc(struct arena *, size_t size) __attribute__((returns_nonnull)); /* zeroed, 16-aligned */
char *arena_strdup(struct arena *, const char *) __attribute__((returns_nonnull));
char *arena_format(struct arena *, const char *format, ...)
	__attribute__((format(printf, 2, 3), returns_nonnull));

#endif
