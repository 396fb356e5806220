#include "probes/host/disk.h"

#include <fcntl.h>
#include <fnmatch.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/mem.h"
#include "probes/catalog_host.h"
#include "probes/host/look.h"
#include "probes/host/types.h"

#define MOUNTS_MAX 256
#define WISHES_MAX 256
#define DEVICES_MAX 256
#define NAME_ROOM 128

/* One file system; the text of its point is owned. */
struct mount {
	char *point;
	uint64_t major, minor;
	bool is_root_of_it; /* and not a bind mount of a folder in it */
	bool is_read_only;
	bool has_subvolumes; /* each with a device number of its own */
};

struct wish {
	char *point;
	bool is_must, is_read_only, is_there;
};

/* What was seen the time before. */
struct known_mount {
	char *point;
	bool was_writable;
	uint32_t seen;
};

struct known_device {
	char name[NAME_ROOM], label[NAME_ROOM];
	bool is_whole;
	uint32_t seen;
	uint64_t counts[DISK_COUNTS];
};

struct disk_memory {
	struct look_file mountinfo, diskstats;
	struct known_mount *mounts;
	struct known_device *devices;
	size_t mounts_count, devices_count;
	uint32_t devices_seen; /* look in which the devices could be read */
};

/* What one look collects. */
struct survey {
	struct look *look;
	const struct disk_options *options;
	struct mount mounts[MOUNTS_MAX];
	struct wish wishes[WISHES_MAX];
	char *remote[MOUNTS_MAX];
	size_t mounts_count, wishes_count, remote_count;
	double worst_share, worst_inodes;
};

static bool is_ignored(const struct config_texts *patterns, const char *name)
{
	for (size_t i = 0; i < patterns->count; i++) {
		if (fnmatch(patterns->items[i], name, 0) == 0)
			return true;
	}
	return false;
}

/* ---- mounts */

static void read_wishes(struct survey *s)
{
	char path[PATH_MAX];
	struct disk_wish wish;
	struct err ignored;
	struct scan text;

	if (look_read_once(s->look, "etc/fstab", &text, &ignored) < 0)
		return;
	while (s->wishes_count < WISHES_MAX && disk_next_wish(&text, &wish)) {
		if (*wish.point.at != '/' || scan_left(&wish.point) >= sizeof path)
			continue;
		s->wishes[s->wishes_count++] = (struct wish){.is_must = disk_wish_is_must(&wish),
			.is_read_only = scan_lists(wish.options, "ro"),
			.point = mem_strdup(disk_unescape(&wish.point, path))};
	}
}

static struct wish *wish_of(struct survey *s, const char *point)
{
	for (size_t i = 0; i < s->wishes_count; i++) {
		if (strcmp(s->wishes[i].point, point) == 0)
			return &s->wishes[i];
	}
	return NULL;
}

static void drop_mount(struct survey *s, size_t i)
{
	free(s->mounts[i].point);
	s->mounts[i] = s->mounts[--s->mounts_count];
}

/* What was mounted there before is hidden. */
static void hide_at(struct survey *s, const char *point)
{
	for (size_t i = s->mounts_count; i-- > 0;) {
		if (strcmp(s->mounts[i].point, point) == 0)
			drop_mount(s, i);
	}
}

static bool is_better(const struct mount *a, const struct mount *b)
{
	if (a->is_root_of_it != b->is_root_of_it)
		return a->is_root_of_it;
	return strlen(a->point) < strlen(b->point);
}

/* One of each file system. */
static void add_mount(struct survey *s, const struct disk_mount *from, const char *point)
{
	struct mount new = {.major = from->major, .minor = from->minor, .is_root_of_it = scan_is(&from->root, "/"),
		.is_read_only = disk_mount_is_read_only(from), .point = mem_strdup(point),
		.has_subvolumes = scan_is(&from->type, "btrfs") || scan_is(&from->type, "bcachefs")};

	for (size_t i = 0; i < s->mounts_count; i++) {
		struct mount *old = &s->mounts[i];

		if (old->major != new.major || old->minor != new.minor)
			continue;
		if (is_better(&new, old)) {
			free(old->point);
			*old = new;
		} else {
			free(new.point);
		}
		return;
	}
	if (s->mounts_count < MOUNTS_MAX)
		s->mounts[s->mounts_count++] = new;
	else
		free(new.point);
}

static void take_mount(struct survey *s, const struct disk_mount *m)
{
	enum disk_kind kind = disk_kind_of(&m->type);
	struct wish *wish;
	char point[PATH_MAX];

	if (scan_left(&m->point) >= sizeof point)
		return;
	disk_unescape(&m->point, point);
	wish = wish_of(s, point);
	if (wish != NULL)
		wish->is_there = true;
	hide_at(s, point);
	if (strcmp(point, "/") == 0) /* we run from it, so it answers */
		kind = scan_is(&m->type, "rootfs") ? DISK_MADE_UP : DISK_LOCAL;
	if (kind == DISK_REMOTE && s->remote_count < MOUNTS_MAX)
		s->remote[s->remote_count++] = mem_strdup(point);
	else if (kind == DISK_LOCAL && !is_ignored(&s->options->ignore, point))
		add_mount(s, m, point);
}

static bool is_below(const char *path, const char *folder)
{
	size_t n = strlen(folder);

	return strncmp(path, folder, n) == 0 && path[n] == '/';
}

static bool is_behind_remote(const struct survey *s, const char *point)
{
	for (size_t i = 0; i < s->remote_count; i++) {
		if (is_below(point, s->remote[i]))
			return true;
	}
	return false;
}

/* Of the first process: a service may see a table of its own, with much read-only. */
static int read_mounts(struct survey *s, struct err *e)
{
	struct disk_memory *m = look_memory(s->look);
	struct disk_mount mount;
	struct scan text;

	if (look_read(s->look, &m->mountinfo, "proc/1/mountinfo", &text, e) < 0 &&
		look_read_once(s->look, "proc/self/mountinfo", &text, e) < 0)
		return -1;
	while (disk_next_mount(&text, &mount))
		take_mount(s, &mount);
	for (size_t i = s->mounts_count; i-- > 0;) {
		if (is_behind_remote(s, s->mounts[i].point))
			drop_mount(s, i);
	}
	return 0;
}

/* ---- file systems */

static struct known_mount *known_mount(struct disk_memory *m, const char *point)
{
	for (size_t i = 0; i < m->mounts_count; i++) {
		if (strcmp(m->mounts[i].point, point) == 0)
			return &m->mounts[i];
	}
	m->mounts = mem_resize(m->mounts, m->mounts_count + 1, sizeof *m->mounts);
	m->mounts[m->mounts_count] = (struct known_mount){.point = mem_strdup(point)};
	return &m->mounts[m->mounts_count++];
}

static void judge_read_only(struct survey *s, const struct mount *mount, struct run_part *p)
{
	struct known_mount *known = known_mount(look_memory(s->look), mount->point);
	const struct wish *wish = wish_of(s, mount->point);
	bool became = mount->is_read_only && known->was_writable;

	known->seen = look_number(s->look);
	known->was_writable |= !mount->is_read_only;
	look_part_value(p, DISK_READ_ONLY, mount->is_read_only);
	if (p == NULL || !mount->is_read_only)
		return;
	if (wish != NULL && !wish->is_read_only)
		run_part_down(p, "read-only, though /etc/fstab does not say so");
	else if (became)
		run_part_down(p, "became read-only");
}

static int ask_size(const struct look *l, const struct mount *mount, struct statvfs *v, struct err *e)
{
	const char *path = mount->point[1] != '\0' ? mount->point + 1 : ".";
	int fd = openat(look_root(l), path, O_PATH | O_CLOEXEC), status = 0;
	struct stat st;

	if (fd < 0)
		return err_errno(e, "its size cannot be read");
	if (fstat(fd, &st) < 0 || fstatvfs(fd, v) < 0)
		status = err_errno(e, "its size cannot be read");
	else if (!mount->has_subvolumes && st.st_dev != makedev((unsigned)mount->major, (unsigned)mount->minor))
		status = err_set(e, "its size cannot be read: another mount hides it from the agent");
	close(fd);
	return status;
}

static double larger(double a, double b)
{
	return isnan(a) || b > a ? b : a;
}

static void tell_size(struct survey *s, const struct statvfs *v, struct run_part *p)
{
	double unit = (double)v->f_frsize, used = (double)(v->f_blocks - v->f_bfree), avail = (double)v->f_bavail;

	look_part_value(p, DISK_SIZE, (double)v->f_blocks * unit);
	look_part_value(p, DISK_USED, used * unit);
	look_part_value(p, DISK_AVAILABLE, avail * unit);
	if (used + avail > 0) {
		look_part_value(p, DISK_USED_SHARE, used / (used + avail) * 100);
		s->worst_share = larger(s->worst_share, used / (used + avail) * 100);
	}
	if (v->f_files > 0) { /* some file systems make inodes at need */
		double share = (double)(v->f_files - v->f_ffree) / (double)v->f_files * 100;

		look_part_value(p, DISK_INODES, (double)v->f_files);
		look_part_value(p, DISK_INODES_FREE, (double)v->f_ffree);
		look_part_value(p, DISK_INODES_SHARE, share);
		s->worst_inodes = larger(s->worst_inodes, share);
	}
}

/* In order of their paths, so that parts have a steady order. */
static int by_point(const void *a, const void *b)
{
	return strcmp(((const struct mount *)a)->point, ((const struct mount *)b)->point);
}

static void tell_mount(struct survey *s, const struct mount *mount)
{
	struct run_part *p;
	struct statvfs v;
	struct err e;
	int status = ask_size(s->look, mount, &v, &e);

	if (status == 0 && v.f_blocks == 0)
		return; /* of no size, so made up */
	p = look_part(s->look, mount->point);
	if (status == 0)
		tell_size(s, &v, p);
	else if (p != NULL)
		run_part_unknown(p, "%s", e.text);
	judge_read_only(s, mount, p);
}

static void tell_missing(struct survey *s)
{
	for (size_t i = 0; i < s->wishes_count; i++) {
		const struct wish *w = &s->wishes[i];
		struct run_part *p;

		if (!w->is_must || w->is_there || is_ignored(&s->options->ignore, w->point))
			continue;
		p = look_part(s->look, w->point);
		if (p != NULL)
			run_part_down(p, "not mounted, though /etc/fstab says so");
	}
}

/* What is mounted no more is forgotten: mounted again, it may be read-only at will. */
static void forget_mounts(struct disk_memory *m, uint32_t before)
{
	for (size_t i = m->mounts_count; i-- > 0;) {
		if (m->mounts[i].seen >= before)
			continue;
		free(m->mounts[i].point);
		m->mounts[i] = m->mounts[--m->mounts_count];
	}
}

static void tell_mounts(struct survey *s)
{
	qsort(s->mounts, s->mounts_count, sizeof *s->mounts, by_point);
	for (size_t i = 0; i < s->mounts_count; i++)
		tell_mount(s, &s->mounts[i]);
	tell_missing(s);
	forget_mounts(look_memory(s->look), look_number(s->look));
	look_value(s->look, DISK_FILE_SYSTEMS, (double)s->mounts_count);
	look_value(s->look, DISK_WORST_SHARE, s->worst_share);
	look_value(s->look, DISK_WORST_INODES, s->worst_inodes);
}

/* ---- devices */

/* "/" of a name is "!" in sysfs. */
static void sys_path(const char *name, const char *file, char out[PATH_MAX])
{
	int n = snprintf(out, PATH_MAX, "sys/block/");
	char *at = out + n;

	snprintf(at, (size_t)(PATH_MAX - n), "%s%s", name, file);
	for (size_t i = 0; i < strlen(name); i++)
		at[i] = at[i] == '/' ? '!' : at[i];
}

/* Asked once for each device. Where there is no sysfs every device counts as a whole one. */
static void learn_device(struct look *l, struct known_device *d)
{
	char path[PATH_MAX];

	sys_path(d->name, "", path);
	d->is_whole = faccessat(look_root(l), path, F_OK, 0) == 0 || faccessat(look_root(l), "sys/block", F_OK, 0) != 0;
	if (strncmp(d->name, "loop", 4) == 0 || strncmp(d->name, "ram", 3) == 0)
		d->is_whole = false;
	sys_path(d->name, "/dm/name", path);
	if (look_read_short(l, NULL, path, d->label, sizeof d->label) <= 0)
		snprintf(d->label, sizeof d->label, "%s", d->name);
}

static struct known_device *known_device(struct look *l, const struct scan *name, size_t hint)
{
	struct disk_memory *m = look_memory(l);
	struct known_device *d;

	for (size_t i = 0; i < m->devices_count; i++) {
		d = &m->devices[(hint + i) % m->devices_count];
		if (scan_is(name, d->name))
			return d;
	}
	if (m->devices_count == DEVICES_MAX)
		return NULL;
	m->devices = mem_resize(m->devices, m->devices_count + 1, sizeof *m->devices);
	d = &m->devices[m->devices_count++];
	memset(d, 0, sizeof *d);
	scan_copy(name, d->name, sizeof d->name);
	learn_device(l, d);
	return d;
}

static bool did_something(const uint64_t counts[DISK_COUNTS])
{
	return counts[DISK_COUNT_READS] > 0 || counts[DISK_COUNT_WRITES] > 0;
}

static void tell_device(struct look *l, const struct known_device *d, const struct disk_moved *m)
{
	struct run_part *p = look_part(l, d->label);
	double busy = look_rate(l, m->busy_s) * 100;

	look_part_value(p, DISK_READ_BYTES, look_rate(l, m->read_bytes));
	look_part_value(p, DISK_WRITE_BYTES, look_rate(l, m->write_bytes));
	look_part_value(p, DISK_READS, look_rate(l, m->reads));
	look_part_value(p, DISK_WRITES, look_rate(l, m->writes));
	if (m->reads > 0)
		look_part_value(p, DISK_READ_AWAIT, m->read_s / m->reads);
	if (m->writes > 0)
		look_part_value(p, DISK_WRITE_AWAIT, m->write_s / m->writes);
	look_part_value(p, DISK_BUSY, busy > 100 ? 100 : busy);
	look_part_value(p, DISK_QUEUE, look_rate(l, m->wait_s));
}

static void take_device(struct look *l, const struct disk_device *from, struct known_device *d)
{
	const struct disk_options *o = look_options(l);
	struct disk_memory *m = look_memory(l);
	struct disk_moved moved;
	bool known = d->seen > 0 && d->seen == m->devices_seen && m->devices_seen + 1 == look_number(l);

	if (d->is_whole && known && did_something(from->counts) && !is_ignored(&o->ignore, d->label) &&
		disk_moved(d->counts, from->counts, &moved))
		tell_device(l, d, &moved);
	memcpy(d->counts, from->counts, sizeof d->counts);
	d->seen = look_number(l);
}

static void forget_devices(struct disk_memory *m, uint32_t before)
{
	size_t kept = 0;

	for (size_t i = 0; i < m->devices_count; i++) {
		if (m->devices[i].seen >= before)
			m->devices[kept++] = m->devices[i];
	}
	m->devices_count = kept;
}

static void tell_devices(struct look *l)
{
	struct disk_memory *m = look_memory(l);
	struct disk_device device;
	struct err ignored;
	struct scan text;
	size_t at = 0;

	if (look_read(l, &m->diskstats, "proc/diskstats", &text, &ignored) < 0)
		return; /* containers may have none */
	while (disk_next_device(&text, &device)) {
		struct known_device *d = known_device(l, &device.name, at++);

		if (d != NULL)
			take_device(l, &device, d);
	}
	forget_devices(m, look_number(l));
	m->devices_seen = look_number(l);
}

/* ---- the probe */

static int disk_look(struct look *l, struct err *e)
{
	struct survey *s = mem_alloc(sizeof *s);
	int status;

	s->look = l;
	s->options = look_options(l);
	s->worst_share = s->worst_inodes = (double)NAN;
	read_wishes(s);
	status = read_mounts(s, e);
	if (status == 0) {
		tell_mounts(s);
		tell_devices(l);
	}
	for (size_t i = 0; i < s->mounts_count; i++)
		free(s->mounts[i].point);
	for (size_t i = 0; i < s->wishes_count; i++)
		free(s->wishes[i].point);
	for (size_t i = 0; i < s->remote_count; i++)
		free(s->remote[i]);
	free(s);
	return status;
}

static void disk_forget(void *memory)
{
	struct disk_memory *m = memory;

	look_file_close(&m->mountinfo);
	look_file_close(&m->diskstats);
	for (size_t i = 0; i < m->mounts_count; i++)
		free(m->mounts[i].point);
	free(m->mounts);
	free(m->devices);
}

static const struct look_kind disk_kind = {sizeof(struct disk_memory), true, disk_look, disk_forget};
LOOK_PROBE(disk);
