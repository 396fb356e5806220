/* Opening a journal: the lock, the state record beside what is really there, the end of the last segment. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/journal_own.h"
#include "lib/journal_scan.h"
#include "lib/log.h"
#include "lib/mem.h"

#define SEGMENT_BYTES (8 << 20)

static void sync_parent(int dir)
{
	int up = openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (up < 0)
		return;
	fsync(up);
	close(up);
}

static int open_folder(struct journal *j, struct err *e)
{
	bool made = mkdir(j->folder, 0700) == 0;

	if (!made && errno != EEXIST)
		return err_errno(e, "%s: make the folder", j->folder);
	j->dir = open(j->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (j->dir < 0)
		return err_errno(e, "%s", j->folder);
	if (made)
		sync_parent(j->dir);
	return 0;
}

static int take_lock(struct journal *j, struct err *e)
{
	char pid[24] = "";
	ssize_t n;

	j->lock = openat(j->dir, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (j->lock < 0)
		return err_errno(e, "%s/lock", j->folder);
	if (flock(j->lock, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return err_errno(e, "%s/lock", j->folder);
		n = pread(j->lock, pid, sizeof pid - 1, 0);
		pid[n > 0 ? strspn(pid, "0123456789") : 0] = '\0';
		return err_set(e, "%s: is in use by process %s", j->folder, pid[0] != '\0' ? pid : "unknown");
	}
	/* For people only: the lock itself is what counts. */
	n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
	if (ftruncate(j->lock, 0) < 0 || journal_files_write(j->lock, pid, (size_t)n, 0) < 0)
		log_warn("journal: the lock does not name this process error=\"%s\"", strerror(errno));
	return 0;
}

/* ---- what is there */

/* Out of the way, not away: somebody may want to look at it. */
static void set_aside(struct journal *j, size_t i)
{
	struct journal_segment *s = &j->segments.items[i];
	char name[JOURNAL_NAME_SIZE];

	journal_segment_name(s, name);
	if (s->bytes == 0) {
		unlinkat(j->dir, name, 0); /* made, and never written: a crash came between */
	} else {
		int rc = journal_files_move_aside(j->dir, name);

		log_error("journal: a segment without one valid record was set aside folder=%s segment=%s "
			"bytes=%" PRId64 " kept=%s", j->folder, name, s->bytes, rc == 0 ? "quarantine" : "no");
		j->stats.torn_bytes += (uint64_t)s->bytes;
	}
	journal_segments_remove(&j->segments, i);
}

/* Whether nothing in it is a record, for sure: what cannot be read is left to its readers. */
static bool is_void(int fd, const struct journal_segment *s)
{
	struct journal_scan scan;
	struct journal_record r;
	int n;

	journal_scan_start(&scan, fd, s->epoch, JOURNAL_SEGMENT_HEAD);
	n = journal_scan_next(&scan, 0, &r);
	journal_scan_fini(&scan);
	return n == 0;
}

/* A head that is damaged costs nothing: the name says the same. False: it is no segment of ours. */
static bool read_unknown(struct journal *j, struct journal_segment *s, const struct stat *st)
{
	bool has_head, is_ours;
	int fd;

	if (journal_files_open(j->dir, s, &fd) < 0)
		return true;
	has_head = journal_files_head(fd, s) == 0;
	is_ours = has_head || !is_void(fd, s);
	if (!has_head && s->real == 0)
		s->real = (int64_t)st->st_mtim.tv_sec * NS_PER_S;
	if (!has_head && is_ours) {
		journal_files_tell_damage(j->dir, fd, j->folder, s, 0, JOURNAL_SEGMENT_HEAD);
		j->stats.damaged++;
	}
	close(fd);
	return is_ours;
}

static const struct journal_segment *find_known(const struct journal_segments *known, const struct journal_segment *s)
{
	for (ptrdiff_t k = journal_segments_find(known, s->first); k >= 0 && known->items[k].first == s->first; k--)
		if (known->items[k].epoch == s->epoch)
			return &known->items[k];
	return NULL;
}

/* Fills what the names do not say, from the record where it fits the file, else from the file. */
static size_t adopt(struct journal *j, const struct journal_segments *known)
{
	size_t found = 0;

	for (size_t i = 0; i < j->segments.count;) {
		struct journal_segment *s = &j->segments.items[i];
		const struct journal_segment *k = find_known(known, s);
		char name[JOURNAL_NAME_SIZE];
		struct stat st;

		journal_segment_name(s, name);
		if (fstatat(j->dir, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || !S_ISREG(st.st_mode)) {
			journal_segments_remove(&j->segments, i); /* no file of ours */
			continue;
		}
		s->bytes = st.st_size;
		found += k != NULL;
		if (k != NULL) {
			s->real = k->real;
			s->serial = k->serial;
			s->flags = k->flags & (uint16_t)~JOURNAL_GONE;
		}
		if ((k == NULL || k->bytes != s->bytes) && !read_unknown(j, s, &st) && k == NULL) {
			set_aside(j, i);
			continue;
		}
		if (s->serial >= j->serial)
			j->serial = s->serial + 1;
		i++;
	}
	return found;
}

/* ---- the end of the last segment */

/* Writes the same bytes over those from `from` on. A writer that ended after a sync had failed may have left them in memory
 * as if they were on the disk: written again, a sync concerns them again. */
static int write_again(int fd, int64_t from, int64_t to)
{
	size_t room = to > from ? (size_t)(to - from) : 0;
	uint8_t *bytes = mem_alloc(room + 1);
	ssize_t n = pread(fd, bytes, room, from);
	int rc = n < 0 ? -1 : journal_files_write(fd, bytes, (size_t)n, from);

	free(bytes);
	return rc;
}

/* Cuts what stands behind the last valid record: it was being written when the writer ended. Synced: bytes that were
 * for sure. */
static int cut_tail(struct journal *j, struct journal_segment *s, int64_t synced, int fd, const char *name, struct err *e)
{
	int64_t torn;
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, "%s/%s", j->folder, name);
	torn = st.st_size - s->bytes;
	if (torn > 0) {
		enum journal_kept kept = journal_files_keep_aside(j->dir, fd, s, s->bytes, st.st_size);

		log_warn("journal: a torn end was cut folder=%s segment=%s bytes=%" PRId64 " kept=%s",
			j->folder, name, torn, kept == JOURNAL_KEPT_NOT ? "no" : "quarantine");
		j->stats.torn_bytes += (uint64_t)torn;
		if (ftruncate(fd, s->bytes) < 0)
			return err_errno(e, "%s/%s: cut the torn end", j->folder, name);
	}
	/* What a killed writer left may be in memory only; from now on it counts as synced. */
	if (write_again(fd, synced, s->bytes) < 0 || fdatasync(fd) < 0)
		return err_errno(e, "%s/%s: sync", j->folder, name);
	return 0;
}

/* 1 it has records, 0 it has none, -1. */
static int recover_last(struct journal *j, struct journal_segment *s, int64_t synced, struct err *e)
{
	char name[JOURNAL_NAME_SIZE];
	struct journal_scan scan;
	struct journal_record r;
	int fd, n;

	journal_segment_name(s, name);
	fd = openat(j->dir, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_errno(e, "%s/%s", j->folder, name);
	s->last = 0;
	journal_scan_start(&scan, fd, s->epoch, JOURNAL_SEGMENT_HEAD);
	while ((n = journal_scan_next(&scan, s->last > 0 ? s->last + 1 : s->first, &r)) == 1) {
		s->last = r.seq;
		if (scan.damage_to > scan.damage_from) {
			journal_files_tell_damage(j->dir, fd, j->folder, s, scan.damage_from, scan.damage_to);
			j->stats.damaged++;
		}
	}
	if (n < 0)
		err_errno(e, "%s/%s: read", j->folder, name);
	if (n == 0 && s->last > 0) {
		s->bytes = journal_scan_offset(&scan);
		n = cut_tail(j, s, synced, fd, name, e) < 0 ? -1 : 1;
	}
	journal_scan_fini(&scan);
	close(fd);
	return n;
}

static int recover_end(struct journal *j, const struct journal_segments *known, struct err *e)
{
	while (j->segments.count > 0) {
		size_t last = j->segments.count - 1;
		struct journal_segment *s = &j->segments.items[last];
		const struct journal_segment *k = find_known(known, s);
		int n = recover_last(j, s, k != NULL ? k->bytes : 0, e);

		if (n != 0)
			return n < 0 ? -1 : 0;
		set_aside(j, last);
	}
	return 0;
}

/* Sequence numbers go on behind all that was ever known to be synced, also when the disk has lost the end. */
static void set_positions(struct journal *j)
{
	const struct journal_segment *s = j->segments.count > 0 ? &j->segments.items[j->segments.count - 1] : NULL;
	uint64_t known = j->synced.seq; /* no cursor stands behind it */

	if (s != NULL)
		j->synced = (struct position){s->epoch, s->last};
	if (j->synced.seq < known || (s == NULL && known > 0)) {
		log_error("journal: entries that were synced are missing at the end folder=%s from=%" PRIu64
			" to=%" PRIu64, j->folder, s != NULL ? s->last + 1 : 1, known);
		j->stats.damaged++;
		j->synced.seq = known;
	}
	j->end = j->synced.seq;
	j->bytes = 0;
	for (size_t i = 0; i < j->segments.count; i++) {
		if (i + 1 < j->segments.count)
			j->segments.items[i].last = j->segments.items[i + 1].first - 1;
		j->bytes += j->segments.items[i].bytes;
	}
}

static void tell_state(struct journal *j, int loaded, const struct err *why)
{
	if (loaded == 1)
		return;
	j->state_dirty = true;
	if (loaded == 0 && j->segments.count == 0)
		return; /* a new journal */
	log_error("journal: the state record was rebuilt from the segments folder=%s cursors_left=%zu error=\"%s\"",
		j->folder, j->cursor_count, loaded == 0 ? "is missing" : why->text);
	if (loaded < 0)
		journal_files_move_aside(j->dir, "state");
	j->stats.damaged++;
}

static int recover(struct journal *j, struct err *e)
{
	struct journal_segments known = {0};
	struct err why;
	int loaded = journal_state_load(j, &known, &why), rc = -1;
	size_t found;

	if (loaded == JOURNAL_STATE_UNREADABLE) {
		*e = why;
		goto out;
	}
	journal_files_sweep(j->dir);
	if (journal_files_list(j->dir, &j->segments, e) < 0)
		goto out;
	tell_state(j, loaded, &why);
	found = adopt(j, &known);
	if (found < known.count) {
		log_error("journal: segments are gone that nobody here removed folder=%s segments=%zu", j->folder,
			known.count - found);
		j->stats.damaged += known.count - found;
	}
	rc = recover_end(j, &known, e);
out:
	journal_segments_fini(&known);
	return rc;
}

struct journal *journal_open(const char *folder, const struct journal_options *options, struct err *e)
{
	struct journal *j = mem_alloc(sizeof *j);

	j->options = *options;
	if (j->options.segment_bytes <= 0)
		j->options.segment_bytes = SEGMENT_BYTES;
	j->folder = mem_strdup(folder);
	j->dir = j->lock = j->fd = -1;
	j->part = SIZE_MAX;
	if (open_folder(j, e) < 0 || take_lock(j, e) < 0 || recover(j, e) < 0) {
		if (j->dir >= 0)
			close(j->dir);
		if (j->lock >= 0)
			close(j->lock);
		journal_segments_fini(&j->segments);
		free(j->folder);
		free(j);
		return NULL;
	}
	set_positions(j);
	/* From now on a missing record means that it was lost. */
	if (j->state_dirty && journal_state_store(j, e) < 0)
		log_warn("journal: opened without a state record error=\"%s\"", e->text);
	journal_draw_epoch(j);
	journal_append_opening(j);
	j->state_written = clock_mono();
	return j;
}
