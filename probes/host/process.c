/* The processes of this host and the named ones among them. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/mem.h"
#include "probes/catalog_host.h"
#include "probes/host/load.h"
#include "probes/host/look.h"
#include "probes/host/process_line.h"
#include "probes/host/processes.h"
#include "probes/host/types.h"

/* Those of one name. */
struct named {
	uint64_t count, pages, ticks, before; /* before: ticks the look before; falls when one has ended */
};

struct tally {
	uint64_t all, blocked, zombies, threads;
	const struct process_options *options;
	struct named *named;
};

struct process_memory {
	struct processes walked;
	struct look_file loadavg;
	struct tally tally;
	struct named *named; /* as many as names */
	size_t count;
};

/* Cares for those that have a name that is asked for. */
static bool on_process(struct look *l, const char *pid, const struct process_line *p, void *ctx)
{
	struct tally *t = ctx;
	bool is_named = false;

	(void)l, (void)pid;
	t->all++;
	t->threads += p->threads;
	t->blocked += p->state == 'D';
	t->zombies += p->state == 'Z';
	for (size_t i = 0; i < t->options->names.count; i++) {
		if (!process_has_name(p, t->options->names.items[i]))
			continue;
		is_named = true;
		t->named[i].count++;
		t->named[i].pages += p->pages;
		t->named[i].ticks += p->ticks;
	}
	return is_named;
}

static void tell_named(struct look *l, const char *name, const struct named *now, struct named *kept)
{
	struct run_part *p = look_part(l, name);
	double hz = (double)sysconf(_SC_CLK_TCK);
	uint64_t moved;

	look_part_value(p, PROCESS_COUNT, (double)now->count);
	look_part_value(p, PROCESS_RESIDENT, (double)now->pages * (double)sysconf(_SC_PAGESIZE));
	if (look_number(l) > 1 && look_moved(&kept->before, &now->ticks, 1, &moved))
		look_part_value(p, PROCESS_CPU, look_rate(l, (double)moved / hz * 100));
	if (p != NULL && now->count == 0)
		run_part_down(p, "no such process runs");
	kept->before = now->ticks;
}

/* The kernel counts them itself: who runs at the moment of a look is mostly ourselves. */
static void tell_runnable(struct look *l, struct process_memory *m)
{
	struct load_sample s;
	struct scan text;
	struct err ignored;

	if (look_read(l, &m->loadavg, "proc/loadavg", &text, &ignored) == 0 && load_parse(text, &s))
		look_value(l, PROCESS_RUNNING, (double)s.runnable);
}

/* Of this look; how much each had the look before stays. */
static void begin(struct process_memory *m, const struct process_options *o)
{
	free(m->tally.named);
	m->tally = (struct tally){.options = o, .named = mem_array(o->names.count + 1, sizeof *m->tally.named)};
	if (m->count >= o->names.count)
		return;
	m->named = mem_resize(m->named, o->names.count, sizeof *m->named);
	memset(m->named + m->count, 0, (o->names.count - m->count) * sizeof *m->named);
	m->count = o->names.count;
}

static int process_look(struct look *l, struct err *e)
{
	const struct process_options *o = look_options(l);
	struct process_memory *m = look_memory(l);
	const struct processes_visitor visitor = {o->names.count > 0, on_process, &m->tally};
	const struct tally *t = &m->tally;
	int status;

	if (look_begins(l))
		begin(m, o);
	m->tally.options = o;
	status = processes_walk(l, &m->walked, &visitor, e);
	if (status != 0)
		return status;
	look_value(l, PROCESS_COUNT, (double)t->all);
	tell_runnable(l, m);
	look_value(l, PROCESS_BLOCKED, (double)t->blocked);
	look_value(l, PROCESS_ZOMBIES, (double)t->zombies);
	look_value(l, PROCESS_THREADS, (double)t->threads);
	for (size_t i = 0; i < o->names.count; i++)
		tell_named(l, o->names.items[i], &t->named[i], &m->named[i]);
	return 0;
}

static void process_forget(void *memory)
{
	struct process_memory *m = memory;

	processes_forget(&m->walked);
	look_file_close(&m->loadavg);
	free(m->tally.named);
	free(m->named);
}

static const struct look_kind process_kind = {sizeof(struct process_memory), true, process_look, process_forget};
LOOK_PROBE(process);
