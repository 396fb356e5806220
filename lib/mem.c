#include "lib/mem.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"

#define ARENA_BLOCK 16384
#define ARENA_ALIGN 16

static void die(size_t count, size_t size)
{
	log_error("out of memory, the process ends count=%zu size=%zu", count, size);
	abort();
}

void *mem_array(size_t count, size_t size)
{
	void *p = calloc(count > 0 ? count : 1, size > 0 ? size : 1);

	if (p == NULL)
		die(count, size);
	return p;
}

void *mem_alloc(size_t size)
{
	return mem_array(1, size);
}

void *mem_resize(void *old, size_t count, size_t size)
{
	void *p;

	if (size != 0 && count > SIZE_MAX / size)
		die(count, size);
	p = realloc(old, count * size > 0 ? count * size : 1);
	if (p == NULL)
		die(count, size);
	return p;
}

void *mem_copy(const void *data, size_t size)
{
	void *p = mem_array(1, size);

	if (size > 0)
		memcpy(p, data, size);
	return p;
}

char *mem_strdup(const char *text)
{
	return mem_copy(text, strlen(text) + 1);
}

char *mem_format(const char *format, ...)
{
	char *text;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		die(1, strlen(format));
	va_end(ap);
	return text;
}

struct arena_block {
	struct arena_block *next;
	size_t used, room;
	_Alignas(ARENA_ALIGN) unsigned char data[];
};

struct arena {
	struct arena_block *blocks;
};

struct arena *arena_new(void)
{
	return mem_alloc(sizeof(struct arena));
}

void arena_free(struct arena *a)
{
	if (a == NULL)
		return;
	while (a->blocks != NULL) {
		struct arena_block *next = a->blocks->next;

		free(a->blocks);
		a->blocks = next;
	}
	free(a);
}

void *arena_alloc(struct arena *a, size_t size)
{
	struct arena_block *b = a->blocks;
	void *p;

	if (size > SIZE_MAX / 2)
		die(1, size);
	size = (size + ARENA_ALIGN - 1) & ~(size_t)(ARENA_ALIGN - 1);
	if (b == NULL || b->room - b->used < size) {
		size_t room = size > ARENA_BLOCK ? size : ARENA_BLOCK;

		b = mem_alloc(sizeof *b + room);
		b->room = room;
		b->next = a->blocks;
		a->blocks = b;
	}
	p = b->data + b->used;
	b->used += size;
	return p;
}

char *arena_strdup(struct arena *a, const char *text)
{
	size_t n = strlen(text) + 1;

	return memcpy(arena_alloc(a, n), text, n);
}

char *arena_format(struct arena *a, const char *format, ...)
{
	char *text, *kept;
	va_list ap;

	va_start(ap, format);
	if (vasprintf(&text, format, ap) < 0)
		die(1, strlen(format));
	va_end(ap);
	kept = arena_strdup(a, text);
	free(text);
	return kept;
}
