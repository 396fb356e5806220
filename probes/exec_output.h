/*
 * exec_output: what a plugin wrote, decoded: text and performance data of the Nagios plugin API
 * (Monitoring Plugins Development Guidelines, "Plugin Output for Nagios").
 *
 *   TEXT | PERFDATA          the first line: why
 *   LONG TEXT                any number of lines
 *   LONG TEXT | PERFDATA     from the second bar on all is performance data
 *   PERFDATA
 *
 *   'label'=value[unit];[warn];[crit];[min];[max]        a range: [@][low:][high], low ~ is minus infinity
 *
 * Values and limits are in base units: s of us, ms; B of KB, MB, GiB (powers of 1024 in both spellings, which is what
 * the plugins mean). Bytes are hostile: whatever they are, an answer comes out; texts are clean, items that do not
 * hold to the grammar are counted, not guessed. Pure. Limits: those below; a label twice counts once.
 */
#ifndef PROBES_EXEC_OUTPUT_H
#define PROBES_EXEC_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/sample.h"

#define EXEC_OUTPUT_MAX (16u << 10) /* bytes of a plugin that are looked at */
#define EXEC_LONG_MAX 1023
#define EXEC_LABEL_MAX 127
#define EXEC_UNIT_MAX 15
#define EXEC_PERF_MAX 64

/* Where a value is good: low..high, or outside of it when is_inside (an alert inside, written with @). */
struct exec_range {
	bool is_given, is_inside;
	double low, high; /* infinite where it is open */
};

struct exec_perf {
	char label[EXEC_LABEL_MAX + 1];
	char unit[EXEC_UNIT_MAX + 1]; /* "", "s", "B", "%", "c", or as the plugin wrote it */
	bool is_known;                /* false: the plugin says U, the value could not be taken */
	double value;
	struct exec_range warn, crit;
	double min, max;              /* NaN: not given */
};

struct exec_output {
	char line[SAMPLE_TEXT_MAX + 1]; /* of the first line, without performance data */
	char long_text[EXEC_LONG_MAX + 1]; /* the lines after it, one space between them */
	size_t count, refused;          /* items taken; items that are none, or too many */
	struct exec_perf perf[EXEC_PERF_MAX];
};

void exec_output_parse(const void *bytes, size_t len, struct exec_output *);
/* The first line that says something, for what a plugin wrote elsewhere; "" when there is none. */
void exec_output_line(const void *bytes, size_t len, char out[SAMPLE_TEXT_MAX + 1]);
/* -1 when it is not a range. */
int exec_range_parse(const char *text, size_t len, struct exec_range *);

#endif
