/*
 * num: strict text to number and back. The whole text must be the number: no leading or trailing
 * space, no locale. All return 0 or -1 and say in err what was expected.
 */
#ifndef LIB_NUM_H
#define LIB_NUM_H

#include <stddef.h>
#include <stdint.h>

struct err;

int num_parse_int(const char *text, int64_t min, int64_t max, int64_t *, struct err *);
int num_parse_double(const char *text, double *, struct err *); /* finite decimal, "C" form */
/* "250ms" "10s" "5m" "72h" "30d" (also "us"); plain digits are refused: a unit must stand there. In ns. */
int num_parse_duration(const char *text, int64_t *ns, struct err *);
/* "512" "64KiB" "512MiB" "2GiB" "1TiB" bytes. */
int num_parse_size(const char *text, int64_t *bytes, struct err *);
/* An id of the inventory: [a-z0-9] then [a-z0-9-]*, 1..63 bytes. */
int num_check_id(const char *text, struct err *);
int num_hex_digit(char); /* 0 to 15 of 0-9, a-f, A-F; -1 of any other */

#define NUM_TEXT 32 /* room that every format call below needs */
/* Shortest of up to `digits` significant digits that reads back alike ("%.{digits}g" without
 * exponent from 1e-9 to 1e15); NaN and infinities give "null". Returns the length. Built for JSON: up to 9 digits
 * cost a tenth of printf. */
size_t num_format_double(double, int digits, char out[NUM_TEXT]);
/* "1m30s", "250ms": the largest exact units. */
size_t num_format_duration(int64_t ns, char out[NUM_TEXT]);
/* "512MiB", "1000B": the largest unit that says it exactly. */
size_t num_format_size(int64_t bytes, char out[NUM_TEXT]);

#endif
