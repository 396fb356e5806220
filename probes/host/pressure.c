#include "probes/host/pressure.h"

#include <stdio.h>

#include "lib/err.h"
#include "probes/catalog_host.h"
#include "probes/host/look.h"
#include "probes/host/types.h"

#define RESOURCES 3

/* ---- the text */

static void read_line(struct scan line, struct pressure_line *out)
{
	struct scan word, key;

	*out = (struct pressure_line){.is_there = false};
	while (scan_word(&line, &word)) {
		if (!scan_until(&word, '=', &key))
			continue;
		if (scan_is(&key, "avg60"))
			scan_decimal(&word, &out->last_minute);
		else if (scan_is(&key, "total"))
			out->is_there = scan_number(&word, &out->total);
	}
}

void pressure_parse(struct scan text, struct pressure_line *some, struct pressure_line *full)
{
	struct scan line, word;

	*some = *full = (struct pressure_line){.is_there = false};
	while (scan_line(&text, &line)) {
		if (!scan_word(&line, &word))
			continue;
		if (scan_is(&word, "some"))
			read_line(line, some);
		else if (scan_is(&word, "full"))
			read_line(line, full);
	}
}

/* ---- the probe */

struct pressure_memory {
	struct look_file files[RESOURCES];
	struct pressure_line before[RESOURCES][2];
};

/* Of the time since the look before; the kernel's average of a minute beside it. */
static void tell(struct look *l, uint32_t metric, const struct pressure_line *before, const struct pressure_line *now)
{
	uint64_t moved;

	if (!now->is_there)
		return;
	look_value(l, metric + PRESSURE_CPU_MINUTE - PRESSURE_CPU, now->last_minute);
	if (before->is_there && look_moved(&before->total, &now->total, 1, &moved))
		look_value(l, metric, look_rate(l, (double)moved) / 1e6 * 100);
}

static int look_resource(struct look *l, int i, struct err *e)
{
	static const char *const paths[RESOURCES] = {"proc/pressure/cpu", "proc/pressure/memory", "proc/pressure/io"};
	struct pressure_memory *m = look_memory(l);
	struct pressure_line now[2];
	struct scan text;

	if (look_read(l, &m->files[i], paths[i], &text, e) < 0)
		return -1;
	pressure_parse(text, &now[0], &now[1]);
	if (!now[0].is_there)
		return err_set(e, "%s is not of the form that is known", paths[i]);
	for (uint32_t k = 0; k < 2; k++) {
		tell(l, PRESSURE_CPU + 2 * (uint32_t)i + k, &m->before[i][k], &now[k]);
		m->before[i][k] = now[k];
	}
	return 0;
}

/* What cannot be read has no rate the next time either: it would be of a longer time than that of the others. */
static int pressure_look(struct look *l, struct err *e)
{
	struct pressure_memory *m = look_memory(l);
	struct err one;
	int seen = 0, failed = 0;

	for (int i = 0; i < RESOURCES; i++) {
		if (look_resource(l, i, &one) == 0) {
			seen++;
			continue;
		}
		m->before[i][0].is_there = m->before[i][1].is_there = false;
		look_note(l, "%s", one.text);
		if (failed++ == 0)
			*e = one;
	}
	return seen > 0 ? 0 : -1;
}

static void pressure_forget(void *memory)
{
	struct pressure_memory *m = memory;

	for (int i = 0; i < RESOURCES; i++)
		look_file_close(&m->files[i]);
}

static const struct look_kind pressure_kind = {sizeof(struct pressure_memory), true, pressure_look, pressure_forget};
LOOK_PROBE(pressure);
