/*
 * json: JSON text, written in one pass into a buffer.
 *
 *   struct json j = {0}; json_open(&j, NULL, '{') ... json_close(&j, '}'); j.out holds the text; json_fini
 *
 * Key NULL: an element of an array, or the outermost value. Every text may hold anything: what is not UTF-8
 * becomes U+FFFD; controls, < > & and the line separators of JavaScript are escaped, so that the text stays
 * data wherever it is put. Pure. Thread: any.
 */
#ifndef COLLECTOR_WEB_JSON_H
#define COLLECTOR_WEB_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"

struct json {
	struct buf out;
	bool more; /* something stands before the next value: a comma is due */
};

void json_fini(struct json *);
void json_open(struct json *, const char *key, char bracket);
void json_close(struct json *, char bracket);
void json_text(struct json *, const char *key, const char *text);
void json_int(struct json *, const char *key, int64_t);
void json_bool(struct json *, const char *key, bool);
void json_nothing(struct json *, const char *key);
/* null when not finite. */
void json_number(struct json *, const char *key, double, int digits);
/* An array; NaN is null. */
void json_numbers(struct json *, const char *key, const double *, size_t count, int digits);
/* Seconds with milliseconds, of ns; null when there is none (0). */
void json_time(struct json *, const char *key, int64_t ns);

#endif
