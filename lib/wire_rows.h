/*
 * wire_rows: what the packer sees of decoded rows beyond lib/wire.h: the columns themselves, so that values go
 * from a journal into a batch as the integers they are. Of wire*.c only.
 */
#ifndef LIB_WIRE_ROWS_H
#define LIB_WIRE_ROWS_H

#include "lib/wire.h"

struct Xunjian__Wire__Results;

/* Borrowed from the rows, checked; NULL when there is no row. */
const struct Xunjian__Wire__Results *wire_rows_message(const struct wire_rows *);

#endif
