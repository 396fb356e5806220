/* What the agent costs this host: itself, the processes that it has started for its own sake (the helper and its like), its journal. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "probes/catalog_host.h"
#include "probes/host/look.h"
#include "probes/host/process_line.h"
#include "probes/host/self.h"
#include "probes/host/types.h"

#define PROCESSES_MAX 16 /* more of ours there never are */
#define SHORT 256

/* ---- the texts */

bool self_parse_shares(struct scan text, uint64_t *bytes)
{
	struct scan line, word;

	while (scan_line(&text, &line)) {
		if (!scan_word(&line, &word) || !scan_is(&word, "Pss:"))
			continue;
		if (!scan_number(&line, bytes) || *bytes > UINT64_MAX / 1024)
			return false;
		*bytes *= 1024;
		return true;
	}
	return false;
}

bool self_parse_private(struct scan text, uint64_t page, uint64_t *bytes)
{
	uint64_t size, resident, shared;

	if (!scan_number(&text, &size) || !scan_number(&text, &resident) || !scan_number(&text, &shared) || shared > resident ||
		resident - shared > UINT64_MAX / page)
		return false;
	*bytes = (resident - shared) * page;
	return true;
}

/* ---- the probe */

/* Shares of memory cost the kernel a walk over all pages: they are asked for once in this time, and told again meanwhile. */
#define SHARES_AGAIN (60 * NS_PER_S)

struct self_memory {
	struct look_file stat, shares, children;
	uint64_t ticks;
	int64_t weighed; /* mono, of: */
	uint64_t processes, bytes;
};

/* Its share of what it has in common with others; of a process of another user what it has for itself, as the kernel tells of that one
 * no more. False: it has ended. */
static bool add_memory(struct look *l, const char *pid, uint64_t *all)
{
	char path[64], text[SHORT];
	struct scan s;
	struct err ignored;
	uint64_t bytes;
	int n;

	snprintf(path, sizeof path, "proc/%.10s/smaps_rollup", pid);
	if (look_read_once(l, path, &s, &ignored) == 0 && self_parse_shares(s, &bytes)) {
		*all += bytes;
		return true;
	}
	snprintf(path, sizeof path, "proc/%.10s/statm", pid);
	n = look_read_short(l, NULL, path, text, sizeof text);
	if (n < 0 || !self_parse_private(scan_over(text, (size_t)n), (uint64_t)sysconf(_SC_PAGESIZE), &bytes))
		return false;
	*all += bytes;
	return true;
}

/* False: what is not known whole is not told. Older kernels have no list of children. */
static bool weigh(struct look *l, struct self_memory *m)
{
	char path[64], text[SHORT], pid[16];
	struct scan s, word;
	struct err ignored;
	int n;

	m->bytes = 0;
	m->processes = 1;
	if (look_read(l, &m->shares, "proc/self/smaps_rollup", &s, &ignored) < 0 || !self_parse_shares(s, &m->bytes))
		return false;
	snprintf(path, sizeof path, "proc/self/task/%d/children", (int)getpid());
	n = look_read_short(l, &m->children, path, text, sizeof text);
	if (n < 0)
		return false;
	s = scan_over(text, (size_t)n);
	for (size_t i = 0; i < PROCESSES_MAX && scan_word(&s, &word); i++)
		m->processes += add_memory(l, scan_copy(&word, pid, sizeof pid), &m->bytes);
	return true;
}

static void tell_processes(struct look *l)
{
	struct self_memory *m = look_memory(l);
	int64_t now = clock_mono();

	if (m->weighed == 0 || now - m->weighed >= SHARES_AGAIN) {
		m->weighed = now;
		if (!weigh(l, m))
			m->processes = 0;
	}
	if (m->processes == 0)
		return;
	look_value(l, SELF_PROCESSES, (double)m->processes);
	look_value(l, SELF_SHARES, (double)m->bytes);
}

static bool count_descriptors(const struct look *l, uint64_t *count)
{
	int fd = openat(look_root(l), "proc/self/fd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (d == NULL) {
		if (fd >= 0)
			close(fd);
		return false;
	}
	*count = 0;
	while ((entry = readdir(d)) != NULL)
		*count += entry->d_name[0] != '.';
	closedir(d);
	*count -= *count > 0; /* that of this look */
	return true;
}

static void tell_descriptors(struct look *l)
{
	struct rlimit limit;
	uint64_t count;

	if (!count_descriptors(l, &count))
		return;
	look_value(l, SELF_DESCRIPTORS, (double)count);
	if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur == 0)
		return;
	look_value(l, SELF_DESCRIPTORS_MOST, (double)limit.rlim_cur);
	look_value(l, SELF_DESCRIPTORS_SHARE, (double)count / (double)limit.rlim_cur * 100);
}

static void tell_journal(struct look *l)
{
	const struct probe_env *env = look_is_told(l) ? look_env(l) : NULL;
	uint64_t bytes, most;

	if (env == NULL || env->own_journal == NULL)
		return;
	env->own_journal(env->ctx, &bytes, &most);
	look_value(l, SELF_JOURNAL, (double)bytes);
	if (most == 0)
		return;
	look_value(l, SELF_JOURNAL_MOST, (double)most);
	look_value(l, SELF_JOURNAL_SHARE, (double)bytes / (double)most * 100);
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
	if (look_number(l) > 1 && look_moved(&m->ticks, &p.ticks, 1, &moved))
		look_value(l, SELF_CPU, look_rate(l, (double)moved / (double)sysconf(_SC_CLK_TCK) * 100));
	m->ticks = p.ticks;
	if (!look_is_told(l))
		return 0;
	tell_processes(l);
	tell_descriptors(l);
	tell_journal(l);
	return 0;
}

static void self_forget(void *memory)
{
	struct self_memory *m = memory;

	look_file_close(&m->stat);
	look_file_close(&m->shares);
	look_file_close(&m->children);
}

static const struct look_kind self_kind = {sizeof(struct self_memory), true, self_look, self_forget};
LOOK_PROBE(self);
