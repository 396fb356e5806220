/* Tables that can be full: of the kernel, open files and connections that its firewall tracks; of named processes their open files. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/mem.h"
#include "probes/catalog_host.h"
#include "probes/host/descriptors.h"
#include "probes/host/look.h"
#include "probes/host/process_line.h"
#include "probes/host/processes.h"
#include "probes/host/types.h"

/* ---- the text */

bool descriptors_parse_limit(struct scan text, uint64_t *out)
{
	struct scan line;

	while (scan_line(&text, &line)) {
		if (!scan_starts(&line, "Max open files "))
			continue;
		line.at += strlen("Max open files ");
		return scan_number(&line, out); /* "unlimited" is none */
	}
	return false;
}

/* ---- of the kernel */

struct descriptors_memory {
	struct look_file files, tracked, tracked_max;
	struct processes walked;
	struct worst *worst; /* of this look, as many as names */
};

static void tell(struct look *l, uint32_t metric, uint64_t used, uint64_t most)
{
	look_value(l, metric, (double)used);
	look_value(l, metric + 1, (double)most);
	if (most > 0)
		look_value(l, metric + 2, (double)used / (double)most * 100);
}

static bool read_one(struct look *l, struct look_file *f, const char *path, uint64_t *out)
{
	char text[32];
	struct scan s;

	if (look_read_short(l, f, path, text, sizeof text) < 0)
		return false;
	s = scan_over(text, strlen(text));
	return scan_number(&s, out);
}

/* ---- of named processes */

/* The one of its name that is the nearest to its limit. */
struct worst {
	size_t count;     /* of that name */
	uint64_t open, most;
	bool is_known;
	char why[128];    /* it is not known of one */
};

static int count_entries(int folder)
{
	DIR *d = fdopendir(folder);
	struct dirent *entry;
	int count = 0;

	if (d == NULL) {
		close(folder);
		return -1;
	}
	while ((entry = readdir(d)) != NULL)
		count += entry->d_name[0] != '.';
	closedir(d);
	return count;
}

/* Since Linux 6.2 the size of the folder is their number, for everybody; else only those with the right to look into it
 * can count. */
static int count_open(const struct look *l, const char *pid)
{
	char path[32];
	struct stat st;
	int fd;

	snprintf(path, sizeof path, "proc/%.10s/fd", pid);
	if (fstatat(look_root(l), path, &st, 0) == 0 && st.st_size > 0 && !look_root_is_moved(l))
		return (int)st.st_size;
	fd = openat(look_root(l), path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd >= 0 ? count_entries(fd) : -1;
}

static void weigh(struct look *l, const char *pid, struct worst *w)
{
	struct scan text;
	char path[32];
	struct err e;
	uint64_t most;
	int open;

	snprintf(path, sizeof path, "proc/%.10s/limits", pid);
	if (look_read_once(l, path, &text, &e) < 0 || !descriptors_parse_limit(text, &most) || most == 0)
		return; /* it has ended, or has no limit */
	open = count_open(l, pid);
	if (open < 0 && errno != ENOENT && errno != ESRCH)
		snprintf(w->why, sizeof w->why, "open files of process %.10s cannot be counted: %s", pid, strerror(errno));
	if (open < 0 || (w->is_known && (double)open / (double)most <= (double)w->open / (double)w->most))
		return;
	w->open = (uint64_t)open;
	w->most = most;
	w->is_known = true;
}

static void tell_worst(struct look *l, const char *name, const struct worst *w)
{
	struct run_part *p = look_part(l, name);

	if (p == NULL)
		return;
	if (w->is_known) {
		run_part_value(p, DESCRIPTORS_OPEN, (double)w->open);
		run_part_value(p, DESCRIPTORS_MOST, (double)w->most);
		run_part_value(p, DESCRIPTORS_SHARE, (double)w->open / (double)w->most * 100);
	} else if (w->count == 0) {
		run_part_unknown(p, "no such process runs"); /* whether it must is for the type process to say */
	} else {
		run_part_unknown(p, "%s", w->why[0] != '\0' ? w->why : "it has no limit");
	}
}

static bool on_process(struct look *l, const char *pid, const struct process_line *p, void *ctx)
{
	const struct descriptors_options *o = look_options(l);
	struct worst *worst = ctx;

	for (size_t i = 0; i < o->names.count; i++) {
		if (!process_has_name(p, o->names.items[i]))
			continue;
		worst[i].count++;
		weigh(l, pid, &worst[i]);
	}
	return false; /* threads of the kernel have no files */
}

static int look_at_named(struct look *l, struct err *e)
{
	const struct descriptors_options *o = look_options(l);
	struct descriptors_memory *m = look_memory(l);
	const struct processes_visitor visitor = {true, on_process, m->worst};
	int status = processes_walk(l, &m->walked, &visitor, e);

	for (size_t i = 0; i < o->names.count && status == 0; i++)
		tell_worst(l, o->names.items[i], &m->worst[i]);
	return status;
}

static int look_at_tables(struct look *l, struct descriptors_memory *m, struct err *e)
{
	uint64_t open, unused, most;
	struct scan text;

	if (look_read(l, &m->files, "proc/sys/fs/file-nr", &text, e) < 0)
		return -1;
	if (!scan_number(&text, &open) || !scan_number(&text, &unused) || !scan_number(&text, &most) || unused > open)
		return err_set(e, "proc/sys/fs/file-nr is not of the form that is known");
	tell(l, DESCRIPTORS_OPEN, open - unused, most);
	/* Where the firewall tracks nothing there are no such files. */
	if (read_one(l, &m->tracked, "proc/sys/net/netfilter/nf_conntrack_count", &open) &&
		read_one(l, &m->tracked_max, "proc/sys/net/netfilter/nf_conntrack_max", &most))
		tell(l, DESCRIPTORS_TRACKED, open, most);
	return 0;
}

static int descriptors_look(struct look *l, struct err *e)
{
	const struct descriptors_options *o = look_options(l);
	struct descriptors_memory *m = look_memory(l);

	if (look_begins(l)) {
		if (look_at_tables(l, m, e) < 0)
			return -1;
		free(m->worst);
		m->worst = mem_array(o->names.count + 1, sizeof *m->worst);
	}
	return o->names.count > 0 ? look_at_named(l, e) : 0;
}

static void descriptors_forget(void *memory)
{
	struct descriptors_memory *m = memory;

	look_file_close(&m->files);
	look_file_close(&m->tracked);
	look_file_close(&m->tracked_max);
	processes_forget(&m->walked);
	free(m->worst);
}

static const struct look_kind descriptors_kind = {sizeof(struct descriptors_memory), false, descriptors_look,
	descriptors_forget};
LOOK_PROBE(descriptors);
