#include "lib/journal_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/log.h"
#include "lib/mem.h"

void journal_segments_add(struct journal_segments *l, const struct journal_segment *s)
{
	if (l->count == l->room) {
		l->room = l->room > 0 ? l->room * 2 : 16;
		l->items = mem_resize(l->items, l->room, sizeof *l->items);
	}
	l->items[l->count++] = *s;
}

void journal_segments_remove(struct journal_segments *l, size_t i)
{
	memmove(l->items + i, l->items + i + 1, (--l->count - i) * sizeof *l->items);
}

void journal_segments_fini(struct journal_segments *l)
{
	free(l->items);
	*l = (struct journal_segments){0};
}

ptrdiff_t journal_segments_find(const struct journal_segments *l, uint64_t seq)
{
	size_t low = 0, high = l->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (l->items[middle].first <= seq)
			low = middle + 1;
		else
			high = middle;
	}
	return (ptrdiff_t)low - 1;
}

static int by_first_and_serial(const void *a, const void *b)
{
	const struct journal_segment *x = a, *y = b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return (x->serial > y->serial) - (x->serial < y->serial);
}

static void read_serial(int dir, struct journal_segment *s)
{
	int fd;

	if (journal_files_open(dir, s, &fd) < 0)
		return;
	journal_files_head(fd, s);
	close(fd);
}

/* A descriptor is given up with nothing synced in it and its file could not be unlinked: two of one first. */
static void order_twins(int dir, struct journal_segments *l)
{
	size_t twins = 0;

	for (size_t i = 0; i < l->count; i++) {
		bool before = i > 0 && l->items[i - 1].first == l->items[i].first;
		bool behind = i + 1 < l->count && l->items[i + 1].first == l->items[i].first;

		if (before || behind) {
			read_serial(dir, &l->items[i]);
			twins++;
		}
	}
	if (twins > 0)
		qsort(l->items, l->count, sizeof *l->items, by_first_and_serial);
}

int journal_files_list(int dir, struct journal_segments *l, struct err *e)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	l->count = 0;
	if (d == NULL) {
		err_errno(e, "list the segments");
		if (fd >= 0)
			close(fd);
		return -1;
	}
	while ((errno = 0, entry = readdir(d)) != NULL) {
		struct journal_segment s;

		if ((entry->d_type == DT_REG || entry->d_type == DT_UNKNOWN) &&
			journal_segment_parse(entry->d_name, ".seg", &s))
			journal_segments_add(l, &s);
	}
	if (errno != 0) {
		err_errno(e, "list the segments");
		closedir(d);
		return -1;
	}
	closedir(d);
	if (l->count > 1)
		qsort(l->items, l->count, sizeof *l->items, by_first_and_serial);
	order_twins(dir, l);
	return 0;
}

int journal_files_open(int dir, const struct journal_segment *s, int *fd)
{
	char name[JOURNAL_NAME_SIZE];

	journal_segment_name(s, name);
	/* A pipe or device by that name must not hold us up. */
	*fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	return *fd < 0 ? -1 : 0;
}

int journal_files_head(int fd, struct journal_segment *s)
{
	uint8_t head[JOURNAL_SEGMENT_HEAD];
	struct journal_segment found;
	ssize_t n = pread(fd, head, sizeof head, 0);

	if (n < 0 || journal_segment_decode(head, (size_t)n, &found) < 0)
		return -1;
	if (found.first != s->first || found.epoch != s->epoch)
		return -1;
	s->flags = found.flags;
	s->real = found.real;
	s->serial = found.serial;
	return 0;
}

int journal_files_write(int fd, const void *data, size_t len, int64_t offset)
{
	const uint8_t *p = data;

	while (len > 0) {
		ssize_t n = pwrite(fd, p, len, offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0)
			errno = EIO;
		if (n <= 0)
			return -1;
		p += n;
		len -= (size_t)n;
		offset += n;
	}
	return 0;
}

/* ---- quarantine */

static int open_quarantine(int dir)
{
	if (mkdirat(dir, "quarantine", 0700) < 0 && errno != EEXIST)
		return -1;
	return openat(dir, "quarantine", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
}

static int64_t bytes_in(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	int64_t bytes = 0;

	if (d == NULL) {
		if (fd >= 0)
			close(fd);
		return INT64_MAX;
	}
	while ((entry = readdir(d)) != NULL) {
		struct stat st;

		if (fstatat(dir, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode))
			bytes += st.st_size + BUFSIZ;
	}
	closedir(d);
	return bytes;
}

static int copy_range(int out, int in, int64_t from, int64_t to)
{
	uint8_t *buffer = mem_alloc(1 << 20);
	int64_t at = from;

	while (at < to) {
		size_t want = to - at < 1 << 20 ? (size_t)(to - at) : 1 << 20;
		ssize_t n = pread(in, buffer, want, at);

		if (n <= 0 || journal_files_write(out, buffer, (size_t)n, at - from) < 0)
			break;
		at += n;
	}
	free(buffer);
	return at == to ? 0 : -1;
}

enum journal_kept journal_files_keep_aside(int dir, int fd, const struct journal_segment *s, int64_t from,
	int64_t to)
{
	enum journal_kept kept = JOURNAL_KEPT_NOT;
	int folder = open_quarantine(dir), out;
	char name[JOURNAL_NAME_SIZE], aside[JOURNAL_NAME_SIZE + 20];

	if (folder < 0)
		return JOURNAL_KEPT_NOT;
	journal_segment_name(s, name);
	snprintf(aside, sizeof aside, "%s-%" PRIx64, name, (uint64_t)from);
	if (faccessat(folder, aside, F_OK, 0) == 0) {
		close(folder);
		return JOURNAL_KEPT_BEFORE;
	}
	out = bytes_in(folder) + (to - from) <= JOURNAL_QUARANTINE_BYTES
		? openat(folder, aside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
	if (out >= 0) {
		kept = copy_range(out, fd, from, to) == 0 ? JOURNAL_KEPT_NEW : JOURNAL_KEPT_NOT;
		close(out);
		if (kept == JOURNAL_KEPT_NOT)
			unlinkat(folder, aside, 0);
	}
	close(folder);
	return kept;
}

void journal_files_tell_damage(int dir, int fd, const char *folder, const struct journal_segment *s, int64_t from,
	int64_t to)
{
	enum journal_kept kept = journal_files_keep_aside(dir, fd, s, from, to);
	char name[JOURNAL_NAME_SIZE];

	journal_segment_name(s, name);
	if (kept != JOURNAL_KEPT_BEFORE)
		log_error("journal: damaged bytes are passed over folder=%s segment=%s offset=%" PRId64
			" bytes=%" PRId64 " kept=%s", folder, name, from, to - from,
			kept == JOURNAL_KEPT_NEW ? "quarantine" : "no");
}

int journal_files_move_aside(int dir, const char *name)
{
	int folder = open_quarantine(dir), rc;

	if (folder < 0)
		return -1;
	rc = renameat(dir, name, folder, name);
	close(folder);
	return rc;
}

void journal_files_sweep(int dir)
{
	int fd = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;

	if (d == NULL) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(d)) != NULL) {
		struct journal_segment s;

		if (journal_segment_parse(entry->d_name, ".seg.tmp", &s))
			unlinkat(dir, entry->d_name, 0);
	}
	closedir(d);
}
