#include "lib/journal_folder.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/mem.h"

int journal_folder_open(struct journal_folder *f, const char *path, struct err *e)
{
	*f = (struct journal_folder){.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
	return f->fd < 0 ? err_errno(e, "%.200s", path) : 0;
}

void journal_folder_close(struct journal_folder *f)
{
	if (f->fd >= 0)
		close(f->fd);
	free(f->segments);
}

/* ---- order */

static int by_first(const void *a, const void *b)
{
	const struct journal_segment *x = a, *y = b;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return (x->serial > y->serial) - (x->serial < y->serial);
}

/* Sorts; of several with one first the last made stays; each ends before the next. */
static void settle(struct journal_folder *f)
{
	size_t n = 0;

	if (f->count > 0)
		qsort(f->segments, f->count, sizeof *f->segments, by_first);
	for (size_t i = 0; i < f->count; i++) {
		if (n > 0 && f->segments[n - 1].first == f->segments[i].first)
			n--;
		f->segments[n++] = f->segments[i];
	}
	f->count = n;
	for (size_t i = 0; i < n; i++)
		f->segments[i].last = i + 1 < n ? f->segments[i + 1].first - 1 : UINT64_MAX;
}

static void push(struct journal_folder *f, const struct journal_segment *s)
{
	if (f->count == f->room) {
		f->room = f->room == 0 ? 16 : f->room * 2;
		f->segments = mem_resize(f->segments, f->room, sizeof *f->segments);
	}
	f->segments[f->count++] = *s;
}

void journal_folder_add(struct journal_folder *f, const struct journal_segment *s)
{
	push(f, s);
	settle(f);
}

void journal_folder_remove(struct journal_folder *f, size_t index)
{
	memmove(f->segments + index, f->segments + index + 1, (--f->count - index) * sizeof *f->segments);
	settle(f);
}

size_t journal_folder_find(const struct journal_folder *f, uint64_t seq)
{
	size_t low = 0, high = f->count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (f->segments[mid].first <= seq)
			low = mid + 1;
		else
			high = mid;
	}
	return low > 0 ? low - 1 : f->count;
}

/* ---- scan */

static const struct journal_segment *known(const struct journal_segment *old, size_t count,
	const struct journal_segment *s)
{
	size_t low = 0, high = count;

	while (low < high) {
		size_t mid = low + (high - low) / 2;

		if (old[mid].first < s->first)
			low = mid + 1;
		else
			high = mid;
	}
	return low < count && old[low].first == s->first && old[low].epoch == s->epoch ? &old[low] : NULL;
}

/* Fills what the name does not say. False when there is nothing in it. */
static bool look_into(int folder, const char *name, struct journal_segment *s)
{
	uint8_t head[JOURNAL_SEGMENT_HEAD];
	struct journal_segment inside;
	struct stat st;
	ssize_t n = -1;
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode))
		n = pread(fd, head, sizeof head, 0);
	close(fd);
	if (n < (ssize_t)sizeof head)
		return false;
	s->bytes = st.st_size;
	s->real = st.st_mtim.tv_sec * NS_PER_S;
	if (journal_segment_decode(head, sizeof head, &inside) < 0 || inside.epoch != s->epoch ||
		inside.first != s->first) {
		log_error("head of a journal segment is damaged, its name is believed segment=%s", name);
		return true;
	}
	inside.bytes = s->bytes;
	*s = inside;
	return true;
}

int journal_folder_scan(struct journal_folder *f, struct err *e)
{
	struct journal_folder new = {.fd = f->fd};
	/* An own open file description: the position of a shared one would be moved under others. */
	int fd = openat(f->fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;

	if (dir == NULL) {
		if (fd >= 0)
			close(fd);
		return err_errno(e, "cannot read the journal's folder");
	}
	while ((entry = readdir(dir)) != NULL) {
		struct journal_segment s;
		const struct journal_segment *old;

		if (!journal_segment_parse(entry->d_name, ".seg", &s))
			continue;
		old = known(f->segments, f->count, &s);
		if (old != NULL)
			push(&new, old);
		else if (look_into(f->fd, entry->d_name, &s))
			push(&new, &s);
	}
	closedir(dir);
	free(f->segments);
	*f = new;
	settle(f);
	return 0;
}

/* ---- quarantine */

void journal_folder_keep_aside(const struct journal_folder *f, const struct journal_segment *s, off_t offset,
	const void *data, size_t len)
{
	char name[JOURNAL_NAME_SIZE], path[JOURNAL_NAME_SIZE + 40];
	ssize_t n;
	int fd;

	journal_segment_name(s, name);
	snprintf(path, sizeof path, "quarantine/%s@%" PRIx64, name, (uint64_t)offset);
	mkdirat(f->fd, "quarantine", 0700);
	fd = openat(f->fd, path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return; /* there already, or no right to write here */
	n = write(fd, data, len);
	if (n != (ssize_t)len)
		log_warn("damaged bytes could not be kept aside path=%s", path);
	close(fd);
}
