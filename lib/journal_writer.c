/* The writer's side: append, sync, cursors, close. */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/journal_own.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/sample.h"

#define STATE_EVERY (5 * NS_PER_S)
#define PENDING_KEEP (4u << 20) /* room that stays with us after a sync */
#define PART_MIN 4096u          /* of a page there is room or there is none */

void journal_draw_epoch(struct journal *j)
{
	j->epoch = 0;
	while (j->epoch == 0 && getrandom(&j->epoch, sizeof j->epoch, 0) != sizeof j->epoch)
		j->epoch = (uint64_t)clock_real() ^ (uint64_t)getpid() << 48;
	j->seed = journal_record_seed(j->epoch);
}

void journal_reopen_folder(struct journal *j)
{
	int fd = openat(j->dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	close(j->dir);
	j->dir = fd;
}

struct position journal_append(struct journal *j, uint8_t kind, const void *payload, size_t len)
{
	journal_record_add(&j->pending, j->seed, ++j->end, kind, payload, len);
	j->stats.appended++;
	return (struct position){j->epoch, j->end};
}

/* ---- sync */

static struct journal_segment *active(struct journal *j)
{
	return &j->segments.items[j->segments.count - 1];
}

/* For order, and for the space: readers and recovery stop where the next segment begins, also without this. */
static void cut_void_end(struct journal *j, const char *name, int64_t bytes)
{
	int fd = openat(j->dir, name, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0 || ftruncate(fd, bytes) < 0)
		log_warn("journal: the void end of a segment stays segment=%s error=\"%s\"", name,
			strerror(errno));
	if (fd >= 0)
		close(fd);
}

/* Says what was before an epoch: the first entry of a journal opened, or behind what was pending when a descriptor
 * was given up. One is enough until it is synced. */
void journal_append_opening(struct journal *j)
{
	struct journal_open_note note = {.previous = j->synced, .boot = clock_boot_id(), .real = clock_real(),
		.mono = clock_mono()};
	uint8_t payload[40];

	if (j->opening > 0) {
		/* What came before it may have been synced meanwhile. */
		journal_open_note_encode(&note, journal_record_payload(j->pending.data, j->opening));
		return;
	}
	journal_append(j, ENTRY_OPEN, payload, journal_open_note_encode(&note, payload));
	j->opening = j->end;
}

/* After a failure nothing is known of what the disk has of this file behind the last sync: it is never written or
 * synced again. What is pending goes to another file, whose name says from which seq on this one is void. */
static void give_up(struct journal *j)
{
	struct journal_segment *s = active(j);
	char name[JOURNAL_NAME_SIZE];

	close(j->fd);
	j->fd = -1;
	journal_segment_name(s, name);
	if (s->bytes <= JOURNAL_SEGMENT_HEAD) {
		unlinkat(j->dir, name, 0);
		j->bytes -= s->bytes;
		journal_segments_remove(&j->segments, j->segments.count - 1);
	} else {
		cut_void_end(j, name, s->bytes);
	}
	journal_draw_epoch(j);
	journal_append_opening(j);
	journal_record_reseed(j->pending.data, j->pending.len, j->seed);
	j->state_dirty = true;
	j->state_written = 0;
}

/* Makes the file that the pending records begin. It counts when it and the folder are synced. */
static int create_segment(struct journal *j, struct err *e)
{
	struct journal_segment s = {.first = j->synced.seq + 1, .epoch = j->epoch, .last = j->synced.seq,
		.bytes = 0, .real = clock_real(), .serial = j->serial};
	uint8_t head[JOURNAL_SEGMENT_HEAD];
	char name[JOURNAL_NAME_SIZE];

	journal_segment_name(&s, name);
	j->fd = openat(j->dir, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (j->fd < 0)
		return err_errno(e, "%s: make a segment", j->folder);
	j->serial++;
	journal_segments_add(&j->segments, &s);
	journal_segment_encode(&s, head);
	if (journal_files_write(j->fd, head, sizeof head, 0) < 0)
		return err_errno(e, "%s/%s: write", j->folder, name);
	active(j)->bytes = sizeof head;
	j->bytes += (int64_t)sizeof head;
	return 0;
}

/* Pending records up to `len` bytes. */
static int write_part(struct journal *j, size_t len, struct err *e)
{
	bool fresh = j->fd < 0;
	struct journal_segment *s;

	if (fresh && create_segment(j, e) < 0)
		return -1;
	s = active(j);
	if (journal_files_write(j->fd, j->pending.data, len, s->bytes) < 0)
		return err_errno(e, "%s: write %zu bytes of entries", j->folder, len);
	if (fdatasync(j->fd) < 0)
		return err_errno(e, "%s: sync entries", j->folder);
	if (fresh && fsync(j->dir) < 0) {
		err_errno(e, "%s: sync the folder", j->folder);
		journal_reopen_folder(j);
		return -1;
	}
	return 0;
}

static void count_synced(struct journal *j, size_t len, uint64_t last)
{
	struct journal_segment *s = active(j);

	s->bytes += (int64_t)len;
	j->bytes += (int64_t)len;
	s->last = last;
	j->stats.synced += last - j->synced.seq;
	j->synced = (struct position){j->epoch, last};
	if (j->opening <= last)
		j->opening = 0;
	buf_drop_front(&j->pending, len);
	if (j->pending.len == 0 && j->pending.room > PENDING_KEEP)
		buf_fini(&j->pending);
	if (s->bytes >= j->options.segment_bytes) {
		close(j->fd); /* all of it is synced: what close says changes nothing */
		j->fd = -1;
	}
	j->state_dirty = true;
}

/* After a write of `len` bytes that failed: what of it found room, or less. */
static size_t smaller_part(const struct journal *j, size_t len)
{
	struct stat st;
	int64_t fitted = 0;

	if (j->fd >= 0 && fstat(j->fd, &st) == 0)
		fitted = st.st_size - j->segments.items[j->segments.count - 1].bytes;
	if (fitted >= (int64_t)PART_MIN && fitted < (int64_t)len)
		return (size_t)fitted;
	return len / 2 > PART_MIN ? len / 2 : PART_MIN;
}

/* All at once, unless that failed: then in smaller parts, as a full disk may have room for some; they grow again. */
static int sync_part(struct journal *j, struct err *e)
{
	uint64_t last = j->end;
	size_t len = j->pending.len;

	if (len > j->part)
		len = journal_record_fit(j->pending.data, len, j->part, &last);
	j->stats.syncs++;
	if (write_part(j, len, e) < 0) {
		j->stats.sync_failures++;
		j->part = smaller_part(j, len);
		if (j->fd >= 0)
			give_up(j);
		return -1;
	}
	count_synced(j, len, last);
	j->part = j->pending.len > 0 && j->part < SIZE_MAX / 2 ? 2 * j->part : SIZE_MAX;
	return 0;
}

/* Cursors do not cost entries a sync: the record is written when it is this old, and before any unlink. */
static void store_state_when_due(struct journal *j)
{
	struct err e;

	if (!j->state_dirty || (j->state_written != 0 && clock_mono() - j->state_written < STATE_EVERY))
		return;
	if (journal_state_store(j, &e) < 0)
		log_warn("journal: cursors are not stored now error=\"%s\"", e.text);
}

int journal_sync(struct journal *j, struct err *e)
{
	bool is_second = false;

	while (j->pending.len > 0) {
		if (sync_part(j, e) == 0)
			continue;
		/* What there is room for goes now; of a page there is none. */
		if (is_second || j->part <= PART_MIN)
			return -1;
		is_second = true;
	}
	store_state_when_due(j);
	return 0;
}

struct position journal_end(const struct journal *j)
{
	return j->end == j->synced.seq ? j->synced : (struct position){j->epoch, j->end};
}

struct position journal_synced(const struct journal *j)
{
	return j->synced;
}

struct position journal_position(const struct journal *j, uint64_t seq)
{
	for (size_t i = j->segments.count; i-- > 0;) {
		const struct journal_segment *s = &j->segments.items[i];

		if (seq >= s->first && seq <= s->last)
			return (struct position){s->epoch, seq};
	}
	return (struct position){j->synced.epoch, seq};
}

size_t journal_unsynced_bytes(const struct journal *j)
{
	return j->pending.len;
}

const char *journal_path(const struct journal *j)
{
	return j->folder;
}

void journal_stats(const struct journal *j, struct journal_stats *out)
{
	*out = j->stats;
	out->bytes = (uint64_t)j->bytes;
	out->segments = j->segments.count;
	out->oldest_real = j->segments.count > 0 ? j->segments.items[0].real : 0;
}

/* ---- cursors */

static struct journal_cursor *find_cursor(const struct journal *j, const char *name)
{
	for (size_t i = 0; i < j->cursor_count; i++)
		if (strcmp(j->cursors[i].name, name) == 0)
			return (struct journal_cursor *)&j->cursors[i];
	return NULL;
}

void journal_cursor_set(struct journal *j, const char *name, struct position at)
{
	struct journal_cursor *c = find_cursor(j, name);

	if (at.seq > j->synced.seq)
		at = j->synced;
	if (c == NULL) {
		assert(j->cursor_count < JOURNAL_CURSORS_MAX && strlen(name) < JOURNAL_CURSOR_NAME);
		c = &j->cursors[j->cursor_count++];
		*c = (struct journal_cursor){0};
		strcpy(c->name, name);
	} else if (c->at.epoch == at.epoch && c->at.seq == at.seq) {
		return;
	}
	c->at = at;
	j->state_dirty = true;
	/* The first move of a life is stored at once: lives that are all shorter than the rhythm get on as well. */
	if (!j->cursor_moved)
		j->state_written = 0;
	j->cursor_moved = true;
}

bool journal_cursor_get(const struct journal *j, const char *name, struct position *at)
{
	const struct journal_cursor *c = find_cursor(j, name);

	if (c != NULL)
		*at = c->at;
	return c != NULL;
}

void journal_cursor_drop(struct journal *j, const char *name)
{
	struct journal_cursor *c = find_cursor(j, name);

	if (c == NULL)
		return;
	*c = j->cursors[--j->cursor_count];
	j->state_dirty = true;
}

void journal_close(struct journal *j)
{
	struct err e;

	if (j == NULL)
		return;
	if (journal_sync(j, &e) < 0)
		log_error("journal: closed with entries that could not be written entries=%" PRIu64 " error=\"%s\"",
			j->end - j->synced.seq, e.text);
	if (j->state_dirty && journal_state_store(j, &e) < 0)
		log_error("journal: closed without its state record error=\"%s\"", e.text);
	if (j->fd >= 0)
		close(j->fd);
	close(j->dir);
	close(j->lock);
	journal_segments_fini(&j->segments);
	buf_fini(&j->pending);
	free(j->folder);
	free(j);
}
