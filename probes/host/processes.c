#include "probes/host/processes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/mem.h"
#include "probes/host/process_line.h"

#define STAT_MAX 1024
#define LIST_BYTES 8192 /* some 300 processes */
#define PID_DIGITS 10

struct processes_kept {
	uint64_t pid;
	struct look_file stat;
	/* It slept: it is taken to sleep for so many looks, and until then (mono). */
	unsigned trusted;
	int64_t until;
	uint64_t threads;
};

#define TRUSTED_AT_MOST (45 * NS_PER_S)

/* /proc lists pids in ascending order: what is not found in that order is opened anew, no more. */
struct walk {
	struct look *look;
	struct processes *all;
	const struct processes_visitor *visitor;
	int64_t now;
};

/* As the kernel writes it (getdents64(2)). */
struct entry {
	uint64_t inode;
	int64_t offset;
	uint16_t len;
	uint8_t type;
	char name[];
};

static size_t kept_most(void)
{
	struct rlimit limit;
	size_t most = PROCESSES_KEPT;

	if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur / 4 < most)
		most = (size_t)limit.rlim_cur / 4;
	return most;
}

/* What is left of the walk before, if there was one; files of processes that are no more are closed on the way. */
static struct processes_kept take_kept(struct processes *all, uint64_t pid)
{
	for (; all->old_at < all->old_count && all->old[all->old_at].pid <= pid; all->old_at++) {
		if (all->old[all->old_at].pid == pid)
			return all->old[all->old_at++];
		look_file_close(&all->old[all->old_at].stat);
	}
	return (struct processes_kept){.pid = pid};
}

static void keep(struct processes *all, const struct processes_kept *k)
{
	if (k->stat.fd_plus_one == 0)
		return;
	if (all->count == all->most) {
		struct look_file f = k->stat;

		look_file_close(&f);
		return;
	}
	if (all->count == all->room) {
		all->room = all->room * 2 + 64;
		all->kept = mem_resize(all->kept, all->room, sizeof *all->kept);
	}
	all->kept[all->count++] = *k;
}

/* -1 with errno. */
static int read_stat(struct walk *w, const char *pid, struct look_file *f, char text[STAT_MAX])
{
	bool was_open = f->fd_plus_one > 0;
	char path[32];
	int n, error;

	snprintf(path, sizeof path, "proc/%.10s/stat", pid);
	n = look_read_short(w->look, f, path, text, STAT_MAX);
	if (n < 0 && was_open) {
		look_file_close(f); /* that process has ended: this is another one of its number */
		n = look_read_short(w->look, f, path, text, STAT_MAX);
	}
	error = errno;
	if (n < 0)
		look_file_close(f);
	errno = error;
	return n;
}

static void tell(struct walk *w, const char *pid, const struct process_line *p, struct processes_kept *k)
{
	bool cares = w->visitor->on_process(w->look, pid, p, w->visitor->ctx);

	w->all->seen++;
	w->all->has_first |= p->pid == 1;
	if (cares || (p->state != 'S' && p->state != 'I') || (w->visitor->by_name && !p->is_kernel))
		return;
	/* A part of them in each look, not all at once. */
	k->trusted = k->until == 0 ? (unsigned)(p->pid % PROCESSES_TRUSTED) : PROCESSES_TRUSTED - 1;
	k->until = w->now + TRUSTED_AT_MOST;
	k->threads = p->threads;
}

static void tell_trusted(struct walk *w, const char *pid, struct processes_kept *k)
{
	const struct process_line p = {.pid = k->pid, .threads = k->threads, .state = 'S'};

	k->trusted--;
	w->all->seen++;
	w->all->has_first |= k->pid == 1;
	w->visitor->on_process(w->look, pid, &p, w->visitor->ctx);
}

/* -1: there are processes that we cannot look at. */
static int look_at(struct walk *w, const char *pid, struct err *e)
{
	struct processes_kept k = take_kept(w->all, strtoull(pid, NULL, 10));
	char text[STAT_MAX];
	struct process_line p;
	int n;

	if (k.trusted > 0 && k.until > w->now && k.stat.fd_plus_one > 0) {
		tell_trusted(w, pid, &k);
		keep(w->all, &k);
		return 0;
	}
	k.trusted = 0;
	n = read_stat(w, pid, &k.stat, text);
	if (n < 0)
		return errno == ENOENT || errno == ESRCH ? 0 : err_errno(e, "proc/%.10s/stat", pid);
	if (process_parse(scan_over(text, (size_t)n), &p))
		tell(w, pid, &p, &k);
	keep(w->all, &k);
	return 0;
}

static bool is_pid(const char *name)
{
	size_t digits = strspn(name, "0123456789");

	return name[0] != '0' && digits > 0 && digits <= PID_DIGITS && name[digits] == '\0';
}

/* Open from the look before, or now. */
static int open_folder(struct look *l, struct processes *all, struct err *e)
{
	int fd = all->folder.fd_plus_one - 1;

	if (fd < 0)
		fd = openat(look_root(l), "proc", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0 || lseek(fd, 0, SEEK_SET) < 0)
		return err_errno(e, "proc");
	all->folder.fd_plus_one = fd + 1;
	return 0;
}

/* What a walk that was left off had not come to is let go. */
static void drop_old(struct processes *all)
{
	take_kept(all, UINT64_MAX);
	free(all->old);
	all->old = NULL;
	all->old_at = all->old_count = 0;
}

static int begin(struct look *l, struct processes *all, struct err *e)
{
	drop_old(all);
	if (open_folder(l, all, e) < 0)
		return -1;
	all->most = kept_most();
	all->old = all->kept;
	all->old_count = all->count;
	all->room = all->count + 16;
	all->kept = mem_array(all->room, sizeof *all->kept);
	all->count = all->seen = 0;
	all->has_first = false;
	return 0;
}

/* What the folder gives in one call. Returns its bytes: 0 at the end; -1 with err. */
static long walk_some(struct walk *w, size_t *entries, struct err *e)
{
	uint64_t list[LIST_BYTES / sizeof(uint64_t)];
	long len = syscall(SYS_getdents64, w->all->folder.fd_plus_one - 1, list, sizeof list);

	if (len < 0)
		return err_errno(e, "proc");
	for (long at = 0; at < len; ++*entries) {
		const struct entry *entry = (const void *)((const char *)list + at);

		if (is_pid(entry->name) && look_at(w, entry->name, e) < 0)
			return -1;
		at += entry->len;
	}
	return len;
}

int processes_walk(struct look *l, struct processes *all, const struct processes_visitor *visitor, struct err *e)
{
	struct walk w = {.look = l, .all = all, .visitor = visitor, .now = clock_mono()};
	size_t entries = 0;
	long len;

	if (look_begins(l) && begin(l, all, e) < 0)
		return -1;
	while ((len = walk_some(&w, &entries, e)) > 0)
		if (entries >= PROCESSES_TURN)
			return LOOK_GOES_ON;
	drop_old(all);
	if (len < 0)
		return -1;
	if (all->seen == 0)
		return err_set(e, "proc: no process can be seen");
	return all->has_first ? 0 : err_set(e, "proc: processes of other users are hidden (hidepid)");
}

void processes_forget(struct processes *all)
{
	drop_old(all);
	for (size_t i = 0; i < all->count; i++)
		look_file_close(&all->kept[i].stat);
	free(all->kept);
	look_file_close(&all->folder);
	*all = (struct processes){0};
}
