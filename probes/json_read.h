/*
 * json_read: a JSON text from outside (RFC 8259), read by jansson; conditions of json_path.h on it, and values out of it.
 *
 *   json_library_open -> json_read ... json_condition_holds, json_path_take -> json_free -> json_library_close
 *
 * jansson is loaded by json_library_open and by nothing else. Limits: JSON_TEXT_MAX bytes (which take 20 ms at worst), JSON_DEPTH_MAX
 * values inside one another, JSON_VALUE_MAX bytes of a value that is taken.
 */
#ifndef PROBES_JSON_READ_H
#define PROBES_JSON_READ_H

#include <stdbool.h>
#include <stddef.h>

#include "probes/json_path.h"

#define JSON_TEXT_MAX (128u << 10)
#define JSON_DEPTH_MAX 128
#define JSON_VALUE_MAX 2048

struct buf;
struct err;
struct json_library;
struct json_t;

struct json_library *json_library_open(struct err *); /* NULL with words */
void json_library_close(struct json_library *);       /* accepts NULL */

/* NULL with words: it is none. */
struct json_t *json_read(const struct json_library *, const void *data, size_t len, struct err *);
void json_free(const struct json_library *, struct json_t *);

/* False: why says what is there and what was expected. value_of tells a value by its name, for ${name}. */
bool json_condition_holds(const struct json_library *, const struct json_condition *, struct json_t *,
	const char *(*value_of)(void *ctx, const char *name), void *ctx, char *why, size_t room);
/* Appends a text without quotes, a number or a word as written in JSON. -1 with words: it is not there, or is none of these. */
int json_path_take(const struct json_library *, const struct json_path *, struct json_t *, struct buf *out, struct err *);

#endif
