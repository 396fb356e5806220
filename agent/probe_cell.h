/*
 * probe_cell: how a value reads on a terminal: "0.031 ms", "12h4m26s", "23.54 GiB", "1.20 Gbit/s", "NXDOMAIN"; and what it is, in the
 * language of the reader. Pure, but for what the environment says of that.
 */
#ifndef AGENT_PROBE_CELL_H
#define AGENT_PROBE_CELL_H

#include "lib/sample.h"

#define PROBE_CELL_MAX 80

void probe_cell_format(const struct metric *, double, char out[PROBE_CELL_MAX]);
/* locale: as in LANG, "zh_CN.UTF-8"; NULL or another language: English. */
const char *probe_cell_label(const struct metric *, const char *locale);
/* The one of messages, by the environment (setlocale(3)); NULL: none. */
const char *probe_cell_locale(void);

#endif
