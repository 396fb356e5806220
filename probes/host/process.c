#include "probes/host/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/mem.h"
#include "probes/catalog_host.h"
#include "probes/host/look.h"
#include "probes/host/types.h"

#define STAT_MAX 1024

/* ---- the text */

static const char *find_last(struct scan text, char sign)
{
	for (const char *p = text.end; p > text.at; p--)
		if (p[-1] == sign)
			return p - 1;
	return NULL;
}

/* Field `wanted` of proc(5), of those behind the name: the state is the third. */
static bool read_field(struct scan text, int wanted, uint64_t *out)
{
	struct scan word;

	for (int field = 3; field < wanted; field++)
		if (!scan_word(&text, &word))
			return false;
	return scan_number(&text, out);
}

bool process_parse(struct scan text, struct process_line *out)
{
	enum { FIELD_USER = 14, FIELD_SYSTEM = 15, FIELD_THREADS = 20, FIELD_PAGES = 24 };
	const char *close = find_last(text, ')');
	struct scan rest = {close != NULL ? close + 1 : text.end, text.end}, name, word;
	uint64_t user, system;

	if (close == NULL || !scan_number(&text, &out->pid) || text.at + 1 >= close || text.at[1] != '(')
		return false;
	name = (struct scan){text.at + 2, close};
	if (name.at > name.end)
		return false;
	scan_copy(&name, out->name, sizeof out->name);
	text = rest;
	if (!scan_word(&text, &word) || scan_left(&word) != 1)
		return false;
	out->state = *word.at;
	if (!read_field(rest, FIELD_USER, &user) || !read_field(rest, FIELD_SYSTEM, &system) ||
		!read_field(rest, FIELD_THREADS, &out->threads) || !read_field(rest, FIELD_PAGES, &out->pages))
		return false;
	out->ticks = user + system;
	return true;
}

/* ---- all processes */

/* Those of one name. */
struct named {
	uint64_t count, pages, ticks, before; /* before: ticks the look before; falls when one has ended */
};

struct process_memory {
	struct named *named; /* as many as names */
	size_t count;
};

struct tally {
	uint64_t all, running, blocked, zombies, threads;
	bool has_first; /* process 1, which is always there: without it those of others are hidden from us */
};

static void count_named(const struct process_options *o, struct named *named, const struct process_line *p)
{
	for (size_t i = 0; i < o->names.count; i++) {
		if (fnmatch(o->names.items[i], p->name, 0) != 0 || p->state == 'Z')
			continue;
		named[i].count++;
		named[i].pages += p->pages;
		named[i].ticks += p->ticks;
	}
}

static void count_one(struct tally *t, const struct process_line *p)
{
	t->all++;
	t->has_first |= p->pid == 1;
	t->threads += p->threads;
	t->running += p->state == 'R';
	t->blocked += p->state == 'D';
	t->zombies += p->state == 'Z';
}

/* -1: there are processes that we cannot look at; one that ended meanwhile is left out. */
static int look_at(struct look *l, const char *pid, struct tally *t, struct named *named, struct err *e)
{
	char path[32], text[STAT_MAX];
	struct process_line p;
	int n;

	snprintf(path, sizeof path, "proc/%.10s/stat", pid);
	n = look_read_short(l, NULL, path, text, sizeof text);
	if (n < 0)
		return errno == ENOENT || errno == ESRCH ? 0 : err_errno(e, "%s", path);
	if (!process_parse(scan_over(text, (size_t)n), &p))
		return 0;
	count_one(t, &p);
	count_named(look_options(l), named, &p);
	return 0;
}

static int walk(struct look *l, struct tally *t, struct named *named, struct err *e)
{
	int fd = openat(look_root(l), "proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	int status = 0;

	if (d == NULL) {
		err_errno(e, "proc");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while (status == 0 && (entry = readdir(d)) != NULL)
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && strlen(entry->d_name) <= 10)
			status = look_at(l, entry->d_name, t, named, e);
	closedir(d);
	return status;
}

static void tell_named(struct look *l, const char *name, struct named *now, struct named *kept)
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

static int process_look(struct look *l, struct err *e)
{
	const struct process_options *o = look_options(l);
	struct process_memory *m = look_memory(l);
	struct named *named = mem_array(o->names.count + 1, sizeof *named);
	struct tally t = {0};
	int status = walk(l, &t, named, e);

	if (status == 0 && t.all == 0)
		status = err_set(e, "proc: no process can be seen");
	if (status == 0 && !t.has_first)
		status = err_set(e, "proc: processes of other users are hidden (hidepid)");
	if (m->count < o->names.count) {
		m->named = mem_resize(m->named, o->names.count, sizeof *m->named);
		memset(m->named + m->count, 0, (o->names.count - m->count) * sizeof *m->named);
		m->count = o->names.count;
	}
	if (status == 0) {
		look_value(l, PROCESS_COUNT, (double)t.all);
		look_value(l, PROCESS_RUNNING, (double)t.running);
		look_value(l, PROCESS_BLOCKED, (double)t.blocked);
		look_value(l, PROCESS_ZOMBIES, (double)t.zombies);
		look_value(l, PROCESS_THREADS, (double)t.threads);
		for (size_t i = 0; i < o->names.count; i++)
			tell_named(l, o->names.items[i], &named[i], &m->named[i]);
	}
	free(named);
	return status;
}

static void process_forget(void *memory)
{
	struct process_memory *m = memory;

	free(m->named);
}

static const struct look_kind process_kind = {sizeof(struct process_memory), true, process_look, process_forget};
LOOK_PROBE(process);

/* ---- the one that measures */

struct self_memory {
	struct look_file stat;
	uint64_t ticks;
};

static double count_entries(const struct look *l, const char *path)
{
	int fd = openat(look_root(l), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	double count = 0;

	if (d == NULL) {
		if (fd >= 0)
			close(fd);
		return (double)NAN;
	}
	while ((entry = readdir(d)) != NULL)
		count += entry->d_name[0] != '.';
	closedir(d);
	return count - 1; /* that of this look */
}

static int self_look(struct look *l, struct err *e)
{
	struct self_memory *m = look_memory(l);
	struct process_line p;
	struct scan text;
	uint64_t moved;

	if (look_read(l, &m->stat, "proc/self/stat", &text, e) < 0)
		return -1;
	if (!process_parse(text, &p))
		return err_set(e, "proc/self/stat is not of the form that is known");
	look_value(l, SELF_RESIDENT, (double)p.pages * (double)sysconf(_SC_PAGESIZE));
	look_value(l, SELF_THREADS, (double)p.threads);
	look_value(l, SELF_DESCRIPTORS, count_entries(l, "proc/self/fd"));
	if (look_number(l) > 1 && look_moved(&m->ticks, &p.ticks, 1, &moved))
		look_value(l, SELF_CPU, look_rate(l, (double)moved / (double)sysconf(_SC_CLK_TCK) * 100));
	m->ticks = p.ticks;
	return 0;
}

static void self_forget(void *memory)
{
	struct self_memory *m = memory;

	look_file_close(&m->stat);
}

static const struct look_kind self_kind = {sizeof(struct self_memory), true, self_look, self_forget};
LOOK_PROBE(self);
