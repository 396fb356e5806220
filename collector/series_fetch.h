/*
 * series_fetch: values of one series over a span, from its main file and its siblings, as an answer to the page.
 *
 * Columns: "up" and the metrics of the main file, then those of siblings; of each the average, and the minimum and
 * maximum where a row covers more than one measurement (else they equal the average and are left out). What is queued
 * is read as if it were written. Thread: one. Limits: SERIES_FETCH_POINTS rows.
 */
#ifndef COLLECTOR_SERIES_FETCH_H
#define COLLECTOR_SERIES_FETCH_H

#include <stdint.h>

struct buf;
struct channel_fetch;
struct err;
struct series;

#define SERIES_FETCH_POINTS 4000

/* folder: of the rrd files. Adds a CHANNEL_VALUES body to out. */
int series_fetch(const char *folder, const struct series *, const struct channel_fetch *, struct buf *out, struct err *);

#endif
