#include "probes/host/cpu.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/mem.h"
#include "probes/catalog_host.h"
#include "probes/host/look.h"
#include "probes/host/types.h"

#define CORES_MAX 4096 /* NR_CPUS of today's kernels is 8192 at most, of distributions less */

/* ---- the text */

static const char *const counter_words[CPU_COUNTERS] = {
	[CPU_COUNTER_INTERRUPTS] = "intr", [CPU_COUNTER_SWITCHES] = "ctxt", [CPU_COUNTER_FORKS] = "processes"};

static void read_times(struct scan *line, struct cpu_line *out)
{
	for (size_t i = 0; i < CPU_TIMES && scan_number(line, &out->values[i]); i++)
		;
}

static void read_counter(struct scan *line, const struct scan *word, struct cpu_line *out)
{
	for (int i = 0; i < CPU_COUNTERS; i++) {
		if (!scan_is(word, counter_words[i]) || !scan_number(line, &out->values[0]))
			continue;
		out->kind = CPU_LINE_COUNTER;
		out->counter = (enum cpu_counter)i;
	}
}

bool cpu_next(struct scan *text, struct cpu_line *out)
{
	struct scan line, word;

	*out = (struct cpu_line){.kind = CPU_LINE_OTHER};
	if (!scan_line(text, &line))
		return false;
	if (!scan_word(&line, &word))
		return true;
	if (!scan_starts(&word, "cpu")) {
		read_counter(&line, &word, out);
		return true;
	}
	word.at += 3;
	if (word.at == word.end)
		out->kind = CPU_LINE_ALL;
	else if (scan_number(&word, &out->core) && word.at == word.end)
		out->kind = CPU_LINE_CORE;
	read_times(&line, out);
	return true;
}

bool cpu_shares(const uint64_t before[CPU_TIMES], const uint64_t now[CPU_TIMES], double out[CPU_SHARES])
{
	enum { USER, NICE, SYSTEM, IDLE, IOWAIT, IRQ, SOFTIRQ, STEAL, GUEST, GUEST_NICE };
	double moved[CPU_TIMES], all = 0;

	for (size_t i = 0; i < CPU_TIMES; i++)
		moved[i] = now[i] > before[i] ? (double)(now[i] - before[i]) : 0;
	moved[USER] = moved[USER] > moved[GUEST] ? moved[USER] - moved[GUEST] : 0;
	moved[NICE] = moved[NICE] > moved[GUEST_NICE] ? moved[NICE] - moved[GUEST_NICE] : 0;
	moved[GUEST] += moved[GUEST_NICE];
	for (size_t i = USER; i <= GUEST; i++)
		all += moved[i];
	if (all <= 0)
		return false;
	for (size_t i = USER; i <= GUEST; i++)
		out[CPU_SHARE_USER + i] = moved[i] / all * 100;
	out[CPU_SHARE_BUSY] = (all - moved[IDLE] - moved[IOWAIT]) / all * 100;
	return true;
}

/* ---- the probe */

struct core {
	uint32_t seen; /* look in which it was */
	uint64_t times[CPU_TIMES];
};

struct cpu_memory {
	struct look_file stat;
	struct core all, *cores;
	size_t cores_count;
	uint64_t counters[CPU_COUNTERS];
};

static struct core *core_of(struct cpu_memory *m, uint64_t number)
{
	if (number >= m->cores_count) {
		m->cores = mem_resize(m->cores, number + 1, sizeof *m->cores);
		memset(m->cores + m->cores_count, 0, (number + 1 - m->cores_count) * sizeof *m->cores);
		m->cores_count = number + 1;
	}
	return &m->cores[number];
}

/* A core that was not there the time before has no shares yet. */
static bool move_core(struct look *l, struct core *c, const struct cpu_line *line, double shares[CPU_SHARES])
{
	bool known = c->seen > 0 && c->seen + 1 == look_number(l) && cpu_shares(c->times, line->values, shares);

	c->seen = look_number(l);
	memcpy(c->times, line->values, sizeof c->times);
	return known;
}

static void tell_all(struct look *l, struct cpu_memory *m, const struct cpu_line *line)
{
	double shares[CPU_SHARES];

	if (!move_core(l, &m->all, line, shares))
		return;
	for (uint32_t i = 0; i < CPU_SHARES; i++)
		look_value(l, CPU_BUSY + i, shares[i]);
}

static void tell_core(struct look *l, struct cpu_memory *m, const struct cpu_line *line)
{
	double shares[CPU_SHARES];
	struct run_part *p;
	char label[32];

	if (line->core >= CORES_MAX || !move_core(l, core_of(m, line->core), line, shares))
		return;
	snprintf(label, sizeof label, "cpu%llu", (unsigned long long)line->core);
	p = look_part(l, label);
	for (uint32_t i = 0; i < CPU_SHARES; i++)
		look_part_value(p, CPU_BUSY + i, shares[i]);
}

static void tell_counters(struct look *l, struct cpu_memory *m, const uint64_t now[CPU_COUNTERS])
{
	static const uint32_t metrics[CPU_COUNTERS] = {[CPU_COUNTER_INTERRUPTS] = CPU_INTERRUPTS,
		[CPU_COUNTER_SWITCHES] = CPU_SWITCHES, [CPU_COUNTER_FORKS] = CPU_FORKS};
	uint64_t moved[CPU_COUNTERS];
	bool known = look_moved(m->counters, now, CPU_COUNTERS, moved);

	for (int i = 0; i < CPU_COUNTERS && known; i++)
		look_value(l, metrics[i], look_rate(l, (double)moved[i]));
	memcpy(m->counters, now, sizeof m->counters);
}

static int cpu_look(struct look *l, struct err *e)
{
	const struct cpu_options *o = look_options(l);
	struct cpu_memory *m = look_memory(l);
	uint64_t counters[CPU_COUNTERS] = {0};
	size_t cores = 0;
	struct cpu_line line;
	struct scan text;

	if (look_read(l, &m->stat, "proc/stat", &text, e) < 0)
		return -1;
	while (cpu_next(&text, &line)) {
		cores += line.kind == CPU_LINE_CORE;
		if (line.kind == CPU_LINE_ALL)
			tell_all(l, m, &line);
		else if (line.kind == CPU_LINE_CORE && o->cores)
			tell_core(l, m, &line);
		else if (line.kind == CPU_LINE_COUNTER)
			counters[line.counter] = line.values[0];
	}
	if (m->all.seen != look_number(l))
		return err_set(e, "proc/stat has no line of all processors");
	tell_counters(l, m, counters);
	look_value(l, CPU_CORES, (double)cores);
	return 0;
}

static void cpu_forget(void *memory)
{
	struct cpu_memory *m = memory;

	look_file_close(&m->stat);
	free(m->cores);
}

static const struct look_kind cpu_kind = {sizeof(struct cpu_memory), true, cpu_look, cpu_forget};
LOOK_PROBE(cpu);
