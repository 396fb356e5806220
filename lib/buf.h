/*
 * buf: a growing byte buffer, and a cursor that reads bytes with a sticky failure.
 *
 * A zeroed `struct buf` is an empty buffer. Integers are little-endian. `data` may move on every
 * add. buf_fini frees; the buffer is then empty and may be used again.
 * A cursor never reads outside its bytes: after the first short read `failed` stays true and all
 * further reads give zeros, so a decoder reads straight on and asks once at the end.
 */
#ifndef LIB_BUF_H
#define LIB_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	uint8_t *data;
	size_t len, room;
};

void buf_fini(struct buf *);
void buf_clear(struct buf *); /* len = 0, keeps the room */
uint8_t *buf_reserve(struct buf *, size_t more); /* room for `more` bytes after len; returns data + len */
void buf_add(struct buf *, const void *data, size_t len);
void buf_add_u8(struct buf *, uint8_t);
void buf_add_u16(struct buf *, uint16_t);
void buf_add_u32(struct buf *, uint32_t);
void buf_add_u64(struct buf *, uint64_t);
void buf_add_text(struct buf *, const char *); /* without the closing NUL */
void buf_add_format(struct buf *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_drop_front(struct buf *, size_t len); /* moves the rest down */
const char *buf_text(struct buf *); /* data as a C string; a NUL stands after len */
uint8_t *buf_take(struct buf *, size_t *len); /* caller owns, free(); the buffer is empty */

struct cursor {
	const uint8_t *at, *end;
	bool failed;
};

struct cursor cursor_over(const void *data, size_t len);
size_t cursor_left(const struct cursor *);
uint8_t cursor_u8(struct cursor *);
uint16_t cursor_u16(struct cursor *);
uint32_t cursor_u32(struct cursor *);
uint64_t cursor_u64(struct cursor *);
/* Borrowed bytes inside the data, or NULL (and failed) when fewer are left. */
const uint8_t *cursor_bytes(struct cursor *, size_t len);

#endif
