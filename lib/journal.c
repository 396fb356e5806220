/* Writing: appended entries wait in memory as records until a sync puts them into the open segment. */
#include "lib/journal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/journal_folder.h"
#include "lib/journal_overflow.h"
#include "lib/journal_recover.h"
#include "lib/journal_record.h"
#include "lib/journal_state.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/sample.h"

#define SEGMENT_BYTES_DEFAULT (8 << 20)
#define STATE_RHYTHM (5 * NS_PER_S) /* a cursor on disk is at most this much behind */

struct journal {
	struct journal_options options;
	char *path;
	struct journal_folder folder; /* the last one is the open segment, if fd >= 0 or one was written */
	struct journal_state state;
	int lock;
	uint64_t epoch, end; /* seq of the last appended entry */
	uint32_t seed;
	struct position synced;
	struct position previous; /* last entry before this epoch */
	struct buf pending; /* records that are not synced */
	int fd; /* of the open segment; -1: the next sync begins one */
	bool given_up; /* a write or sync failed: what is pending belongs to a new epoch */
	bool state_changed;
	int64_t state_written; /* mono */
	uint32_t serial;
	struct journal_stats stats;
};

/* ---- epochs */

static void add_open_note(struct journal *j)
{
	struct journal_open_note note = {.previous = j->previous, .boot = clock_boot_id(), .real = clock_real(),
		.mono = clock_mono()};
	uint8_t payload[40];

	journal_append(j, ENTRY_OPEN, payload, journal_open_note_encode(&note, payload));
}

/* Begins an epoch behind what is synced; what was pending follows its opening. */
static void begin_epoch(struct journal *j)
{
	struct buf old = j->pending;
	struct cursor c;
	struct journal_record r;

	j->previous = j->synced;
	c = cursor_over(old.data, old.len);
	j->pending = (struct buf){0};
	do
		if (getrandom(&j->epoch, sizeof j->epoch, 0) != sizeof j->epoch)
			abort();
	while (j->epoch == 0);
	j->end = j->synced.seq;
	add_open_note(j);
	while (cursor_left(&c) > 0) {
		enum journal_record_state state = journal_record_read(c.at, cursor_left(&c), j->seed, &r);

		assert(state == JOURNAL_RECORD_WHOLE);
		(void)state;
		/* The opening of an epoch that was given up before anything of it was kept. */
		if (r.kind != ENTRY_OPEN)
			journal_record_add(&j->pending, journal_record_seed(j->epoch), ++j->end, r.kind, r.payload, r.len);
		cursor_bytes(&c, r.size);
	}
	j->seed = journal_record_seed(j->epoch);
	buf_fini(&old);
}

/* ---- appending */

struct position journal_append(struct journal *j, uint8_t kind, const void *payload, size_t len)
{
	j->end++;
	journal_record_add(&j->pending, journal_record_seed(j->epoch), j->end, kind, payload, len);
	j->stats.appended++;
	return (struct position){j->epoch, j->end};
}

struct position journal_end(const struct journal *j)
{
	return (struct position){j->epoch, j->end};
}

struct position journal_synced(const struct journal *j)
{
	return j->synced;
}

size_t journal_unsynced_bytes(const struct journal *j)
{
	return j->pending.len;
}

/* ---- syncing */

static int write_all(int fd, const uint8_t *data, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		data += n;
		len -= (size_t)n;
	}
	return 0;
}

/* A new file with its head; it counts only when the folder is synced too, which sync_segment does. */
static int begin_segment(struct journal *j, struct err *e)
{
	struct journal_segment s = {.first = j->synced.seq + 1, .epoch = j->epoch, .real = clock_real(),
		.serial = ++j->serial, .bytes = JOURNAL_SEGMENT_HEAD};
	uint8_t head[JOURNAL_SEGMENT_HEAD];
	char name[JOURNAL_NAME_SIZE];

	journal_segment_name(&s, name);
	j->fd = openat(j->folder.fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (j->fd < 0)
		return err_errno(e, "journal segment %s", name);
	journal_segment_encode(&s, head);
	journal_folder_add(&j->folder, &s);
	j->stats.bytes += sizeof head;
	j->state_changed = true;
	return write_all(j->fd, head, sizeof head) < 0 ? err_errno(e, "journal segment %s", name) : 0;
}

static struct journal_segment *open_segment(struct journal *j)
{
	return &j->folder.segments[j->folder.count - 1];
}

static int sync_segment(struct journal *j, struct err *e)
{
	bool is_new = j->fd < 0;

	if (is_new && begin_segment(j, e) < 0)
		return -1;
	if (write_all(j->fd, j->pending.data, j->pending.len) < 0)
		return err_errno(e, "writing the journal");
	if (fdatasync(j->fd) < 0)
		return err_errno(e, "syncing the journal");
	if (is_new && fsync(j->folder.fd) < 0)
		return err_errno(e, "syncing the journal's folder");
	return 0;
}

/* The descriptor is never used again. A segment of which nothing is synced goes with it. */
static void give_up_segment(struct journal *j)
{
	struct journal_segment *s;
	char name[JOURNAL_NAME_SIZE];

	j->stats.sync_failures++;
	j->given_up = true;
	if (j->fd < 0)
		return;
	close(j->fd);
	j->fd = -1;
	s = open_segment(j);
	if (s->first <= j->synced.seq)
		return; /* it ends where the next one begins */
	journal_segment_name(s, name);
	unlinkat(j->folder.fd, name, 0);
	j->stats.bytes -= (uint64_t)s->bytes;
	journal_folder_remove(&j->folder, j->folder.count - 1);
}

static void close_full_segment(struct journal *j)
{
	int64_t max = j->options.segment_bytes > 0 ? j->options.segment_bytes : SEGMENT_BYTES_DEFAULT;

	if (open_segment(j)->bytes < max)
		return;
	close(j->fd);
	j->fd = -1;
}

/* What is in the state record may lag; that it cannot be written loses nothing and is tried again. */
static void write_state_in_rhythm(struct journal *j)
{
	struct err e;

	if (!j->state_changed || clock_mono() - j->state_written < STATE_RHYTHM)
		return;
	j->state.end = j->synced;
	j->state_written = clock_mono();
	if (journal_state_write(&j->folder, &j->state, &e) < 0)
		log_warn("%s", e.text);
	else
		j->state_changed = false;
}

int journal_sync(struct journal *j, struct err *e)
{
	if (j->pending.len > 0) {
		if (j->given_up)
			begin_epoch(j);
		j->given_up = false;
		if (sync_segment(j, e) < 0) {
			give_up_segment(j);
			return -1;
		}
		open_segment(j)->bytes += (int64_t)j->pending.len;
		j->stats.bytes += j->pending.len;
		j->stats.synced += j->end - j->synced.seq;
		j->stats.syncs++;
		j->synced = journal_end(j);
		buf_clear(&j->pending);
		close_full_segment(j);
	}
	write_state_in_rhythm(j);
	return 0;
}

/* ---- cursors */

static struct journal_cursor *find_cursor(const struct journal *j, const char *name)
{
	for (size_t i = 0; i < j->state.count; i++) {
		if (strcmp(j->state.cursors[i].name, name) == 0)
			return (struct journal_cursor *)&j->state.cursors[i];
	}
	return NULL;
}

void journal_cursor_set(struct journal *j, const char *name, struct position at)
{
	struct journal_cursor *c = find_cursor(j, name);

	if (c == NULL) {
		assert(j->state.count < JOURNAL_CURSORS_MAX && strlen(name) < sizeof c->name);
		c = &j->state.cursors[j->state.count++];
		*c = (struct journal_cursor){.at = {0, 0}};
		memcpy(c->name, name, strlen(name));
	}
	c->at = at;
	j->state_changed = true;
}

bool journal_cursor_get(const struct journal *j, const char *name, struct position *at)
{
	const struct journal_cursor *c = find_cursor(j, name);

	if (c == NULL)
		return false;
	*at = c->at;
	return true;
}

void journal_cursor_drop(struct journal *j, const char *name)
{
	struct journal_cursor *c = find_cursor(j, name);

	if (c == NULL)
		return;
	*c = j->state.cursors[--j->state.count];
	j->state_changed = true;
}

/* ---- trimming and bounds */

static int write_state(struct journal *j, struct err *e)
{
	j->state.end = j->synced;
	j->state_written = clock_mono();
	if (journal_state_write(&j->folder, &j->state, e) < 0)
		return -1;
	j->state_changed = false;
	return 0;
}

/* Takes the oldest `count` segments out: out of the list, durably, then off the disk. */
static int drop_oldest(struct journal *j, size_t count, struct err *e)
{
	struct journal_segment *gone;

	if (count == 0)
		return 0;
	gone = mem_copy(j->folder.segments, count * sizeof *gone);
	for (size_t i = 0; i < count; i++)
		journal_folder_remove(&j->folder, 0);
	if (write_state(j, e) < 0) {
		for (size_t i = 0; i < count; i++)
			journal_folder_add(&j->folder, &gone[i]);
		free(gone);
		return -1;
	}
	for (size_t i = 0; i < count; i++) {
		char name[JOURNAL_NAME_SIZE];

		journal_segment_name(&gone[i], name);
		if (unlinkat(j->folder.fd, name, 0) < 0 && errno != ENOENT)
			log_warn("a journal segment could not be removed segment=%s error=\"%s\"", name, strerror(errno));
		j->stats.bytes -= (uint64_t)gone[i].bytes;
	}
	free(gone);
	return 0;
}

int journal_trim(struct journal *j, struct err *e)
{
	uint64_t passed = UINT64_MAX;
	size_t count = 0;

	if (j->state.count == 0)
		return 0;
	for (size_t i = 0; i < j->state.count; i++) {
		if (j->state.cursors[i].at.seq < passed)
			passed = j->state.cursors[i].at.seq;
	}
	while (count + 1 < j->folder.count && j->folder.segments[count].last <= passed)
		count++;
	return drop_oldest(j, count, e);
}

/* When segment i was done with: the next one was begun. */
static int64_t closed_at(const struct journal *j, size_t i)
{
	return j->folder.segments[i + 1].real;
}

static bool over_bound(const struct journal *j, size_t i, int64_t now_real)
{
	if (j->options.max_bytes > 0 && (int64_t)j->stats.bytes > j->options.max_bytes)
		return true;
	return j->options.max_age > 0 && now_real - closed_at(j, i) > j->options.max_age;
}

/* First pass of an overflow: the oldest segments lose what is not kept. */
static int thin(struct journal *j, int64_t now_real, struct err *e)
{
	for (size_t i = 0; i + 1 < j->folder.count && over_bound(j, i, now_real); i++) {
		struct journal_segment *s = &j->folder.segments[i];
		int64_t before = s->bytes;
		uint64_t dropped;

		if ((s->flags & JOURNAL_THINNED) != 0)
			continue;
		if (journal_overflow_thin(&j->folder, s, j->options.is_kept, &dropped, e) < 0)
			return -1;
		j->stats.bytes -= (uint64_t)(before - s->bytes);
		j->stats.dropped += dropped;
	}
	return 0;
}

/* Segments that hold but a gap say nothing that their absence does not. */
static int drop_empty(struct journal *j, struct err *e)
{
	size_t count = 0;

	while (count + 1 < j->folder.count && (j->folder.segments[count].flags & JOURNAL_GAP_ONLY) != 0)
		count++;
	return drop_oldest(j, count, e);
}

int journal_bound(struct journal *j, int64_t now_real, struct err *e)
{
	size_t count = 0;
	int64_t bytes;

	if (j->folder.count < 2 || !over_bound(j, 0, now_real))
		return 0;
	if (j->options.is_kept != NULL && (thin(j, now_real, e) < 0 || drop_empty(j, e) < 0))
		return -1;
	bytes = (int64_t)j->stats.bytes;
	while (count + 1 < j->folder.count) {
		const struct journal_segment *s = &j->folder.segments[count];
		bool too_many = j->options.max_bytes > 0 && bytes > j->options.max_bytes;
		bool too_old = j->options.is_kept == NULL && j->options.max_age > 0 &&
			now_real - closed_at(j, count) > j->options.max_age;

		if (!too_many && !too_old)
			break;
		j->stats.dropped += s->last - s->first + 1;
		bytes -= s->bytes;
		count++;
	}
	if (count > 0)
		log_warn("journal is over its bound, the oldest entries are dropped from=%llu to=%llu",
			(unsigned long long)j->folder.segments[0].first,
			(unsigned long long)j->folder.segments[count - 1].last);
	return drop_oldest(j, count, e);
}

const char *journal_path(const struct journal *j)
{
	return j->path;
}

void journal_stats(const struct journal *j, struct journal_stats *out)
{
	*out = j->stats;
	out->segments = j->folder.count;
	out->oldest_real = j->folder.count > 0 ? j->folder.segments[0].real : 0;
}

/* ---- life */

static int take_lock(struct journal *j, const char *path, struct err *e)
{
	char text[32] = "";
	ssize_t n;

	j->lock = openat(j->folder.fd, "lock", O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (j->lock < 0)
		return err_errno(e, "%.200s/lock", path);
	if (flock(j->lock, LOCK_EX | LOCK_NB) < 0) {
		n = pread(j->lock, text, sizeof text - 1, 0);
		text[n > 0 ? strcspn(text, "\n") : 0] = '\0';
		return err_set(e, "%.200s is in use by process %s", path, *text != '\0' ? text : "(unknown)");
	}
	n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
	if (ftruncate(j->lock, 0) < 0 || pwrite(j->lock, text, (size_t)n, 0) != n)
		log_debug("the pid could not be written into the lock file"); /* a full disk: it only informs */
	return 0;
}

/* What the folder says: list, cursors, where to go on. */
static int recover(struct journal *j, const char *path, struct err *e)
{
	struct journal_recovered found;
	size_t missing;

	if (journal_folder_scan(&j->folder, e) < 0 || journal_recover(&j->folder, &found, e) < 0)
		return -1;
	if (journal_state_read(&j->folder, &j->state, &missing, e) < 0) {
		log_error("%s path=%s: made anew from the segments, cursors begin at the oldest entry", e->text, path);
		j->state_changed = true;
	}
	j->stats.damaged = found.damaged + missing;
	j->stats.torn_bytes = found.torn_bytes;
	j->serial = found.serial;
	j->synced = found.end;
	if (j->state.end.seq > j->synced.seq) {
		log_error("the journal ends before what was synced path=%s end=%llu synced=%llu", path,
			(unsigned long long)j->synced.seq, (unsigned long long)j->state.end.seq);
		j->synced = j->state.end;
		j->stats.damaged++;
	}
	for (size_t i = 0; i < j->folder.count; i++)
		j->stats.bytes += (uint64_t)j->folder.segments[i].bytes;
	return 0;
}

struct journal *journal_open(const char *path, const struct journal_options *options, struct err *e)
{
	struct journal *j = mem_alloc(sizeof *j);

	j->options = *options;
	j->path = mem_strdup(path);
	j->fd = j->lock = j->folder.fd = -1;
	if (mkdir(path, 0700) < 0 && errno != EEXIST) {
		err_errno(e, "%.200s", path);
		goto failed;
	}
	if (journal_folder_open(&j->folder, path, e) < 0 || take_lock(j, path, e) < 0 || recover(j, path, e) < 0)
		goto failed;
	begin_epoch(j);
	return j;
failed:
	if (j->lock >= 0)
		close(j->lock);
	journal_folder_close(&j->folder);
	buf_fini(&j->pending);
	free(j->path);
	free(j);
	return NULL;
}

void journal_close(struct journal *j)
{
	struct err e;

	if (j == NULL)
		return;
	if (journal_sync(j, &e) < 0)
		log_error("the last entries of the journal are lost: %s", e.text);
	/* With where the journal ends, so that a tail that vanishes later is told. */
	if (write_state(j, &e) < 0)
		log_warn("%s", e.text);
	if (j->fd >= 0)
		close(j->fd);
	close(j->lock);
	journal_folder_close(&j->folder);
	buf_fini(&j->pending);
	free(j->path);
	free(j);
}
