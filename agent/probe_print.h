/*
 * probe_print: results of one measurement as text: JSON, or tables for people.
 *
 * Thread: any.
 */
#ifndef AGENT_PROBE_PRINT_H
#define AGENT_PROBE_PRINT_H

#include <stddef.h>
#include <stdio.h>

struct probe_request;
struct result;

void probe_print_json(const struct result *const *, size_t count, FILE *);
void probe_print_table(const struct probe_request *, const struct result *const *, size_t count, FILE *);

#endif
