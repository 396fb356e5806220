/*
 * drawn: which numbers of a series a picture shows: those of its probe type that one looks at first, of one unit. One
 * list for the page and for pictures, which draw icmp and http in ways of their own.
 *
 * Pure. Thread: any. Limits: DRAWN_MAX lines.
 */
#ifndef COLLECTOR_DRAWN_H
#define COLLECTOR_DRAWN_H

#include <stddef.h>

struct channel_values;

#define DRAWN_MAX 6

/* Columns of averages, as indices in the order of the list, that have any number; all of the unit that is given, or of
 * that of the first (NULL). 0: nothing but whether it was up. */
size_t drawn_columns(const struct channel_values *, const char *unit, size_t out[DRAWN_MAX]);

#endif
