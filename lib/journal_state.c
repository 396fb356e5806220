/*
 * The state record: cursors, segment list, write position. Two files change places at each store (`state`, and
 * `state.tmp` with the one before), so that on a full disk the record can still be replaced, without which
 * nothing could be trimmed; and when `state` is damaged the one before stands in.
 *
 * magic u32 | format u32 | length u32 | serial u32 | synced epoch, seq u64 | cursors u32 | segments u32
 * cursor: name 32 | epoch u64 | seq u64     segment: first, epoch, last, bytes, real u64 | serial u32 | flags u32
 * crc32c u32 over all before; zeros or older bytes behind it.
 */
#include "lib/journal_own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/crc32c.h"
#include "lib/err.h"

#define MAGIC 0x54534a58u /* "XJST" */
#define FORMAT 1
#define HEAD_SIZE 40
#define CURSOR_SIZE (JOURNAL_CURSOR_NAME + 16)
#define SEGMENT_SIZE 48
#define ROUND 4096u
#define SIZE_LIMIT (256 << 20)

static void encode(const struct journal *j, struct buf *b)
{
	size_t len = HEAD_SIZE + j->cursor_count * CURSOR_SIZE + j->segments.count * SEGMENT_SIZE + 4;

	buf_add_u32(b, MAGIC);
	buf_add_u32(b, FORMAT);
	buf_add_u32(b, (uint32_t)len);
	buf_add_u32(b, j->serial);
	buf_add_u64(b, j->synced.epoch);
	buf_add_u64(b, j->synced.seq);
	buf_add_u32(b, (uint32_t)j->cursor_count);
	buf_add_u32(b, (uint32_t)j->segments.count);
	for (size_t i = 0; i < j->cursor_count; i++) {
		buf_add(b, j->cursors[i].name, JOURNAL_CURSOR_NAME);
		buf_add_u64(b, j->cursors[i].at.epoch);
		buf_add_u64(b, j->cursors[i].at.seq);
	}
	for (size_t i = 0; i < j->segments.count; i++) {
		const struct journal_segment *s = &j->segments.items[i];

		buf_add_u64(b, s->first);
		buf_add_u64(b, s->epoch);
		buf_add_u64(b, s->last);
		buf_add_u64(b, (uint64_t)s->bytes);
		buf_add_u64(b, (uint64_t)s->real);
		buf_add_u32(b, s->serial);
		buf_add_u32(b, s->flags);
	}
	buf_add_u32(b, crc32c(0, b->data, b->len));
	/* Room for the list to grow where there is none on the disk. */
	len = (b->len / ROUND + 2) * ROUND;
	memset(buf_reserve(b, len - b->len), 0, len - b->len);
	b->len = len;
}

static int write_spare(struct journal *j, const struct buf *b)
{
	int fd = openat(j->dir, "state.tmp", O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int saved;

	if (fd < 0)
		return -1;
	if (journal_files_write(fd, b->data, b->len, 0) < 0) {
		saved = errno;
		close(fd);
	} else if (fdatasync(fd) < 0) {
		/* What the disk has of this file is not known any more. */
		saved = errno;
		close(fd);
		unlinkat(j->dir, "state.tmp", 0);
	} else {
		close(fd);
		return 0;
	}
	errno = saved;
	return -1;
}

/* *spare: the one before is the spare now. */
static int exchange(struct journal *j, bool *spare)
{
	*spare = renameat2(j->dir, "state.tmp", j->dir, "state", RENAME_EXCHANGE) == 0;
	/* There is none yet, or a file system that cannot. */
	return *spare ? 0 : renameat(j->dir, "state.tmp", j->dir, "state");
}

int journal_state_store(struct journal *j, struct err *e)
{
	struct buf b = {0};
	bool spare = true;
	int rc;

	encode(j, &b);
	rc = write_spare(j, &b);
	if (rc == 0)
		rc = exchange(j, &spare);
	if (rc == 0 && fsync(j->dir) < 0) {
		rc = -1;
		err_errno(e, "%s: write the state record", j->folder);
		journal_reopen_folder(j);
	} else if (rc < 0) {
		err_errno(e, "%s: write the state record", j->folder);
	}
	if (!spare)
		write_spare(j, &b); /* its room is taken while there is some */
	buf_fini(&b);
	if (rc == 0)
		j->state_dirty = false;
	j->state_written = clock_mono();
	return rc;
}

static int decode_segments(struct cursor *c, uint32_t count, struct journal_segments *l)
{
	if (count > cursor_left(c) / SEGMENT_SIZE)
		return -1;
	while (count-- > 0) {
		struct journal_segment s;

		s.first = cursor_u64(c);
		s.epoch = cursor_u64(c);
		s.last = cursor_u64(c);
		s.bytes = (int64_t)cursor_u64(c);
		s.real = (int64_t)cursor_u64(c);
		s.serial = cursor_u32(c);
		s.flags = (uint16_t)cursor_u32(c);
		if (l->count > 0 && s.first < l->items[l->count - 1].first)
			return -1;
		journal_segments_add(l, &s);
	}
	return 0;
}

static int decode(struct journal *j, const struct buf *b, struct journal_segments *l)
{
	struct cursor c = cursor_over(b->data, b->len);
	uint32_t magic = cursor_u32(&c), format = cursor_u32(&c), len = cursor_u32(&c), cursors, segments;
	struct cursor sum;

	if (c.failed || magic != MAGIC || format != FORMAT || len > b->len || len < HEAD_SIZE + 4)
		return -1;
	sum = cursor_over(b->data + len - 4, 4);
	if (cursor_u32(&sum) != crc32c(0, b->data, len - 4))
		return -1;
	c.end = b->data + len - 4;
	j->serial = cursor_u32(&c);
	j->synced.epoch = cursor_u64(&c);
	j->synced.seq = cursor_u64(&c);
	cursors = cursor_u32(&c);
	segments = cursor_u32(&c);
	if (cursors > JOURNAL_CURSORS_MAX)
		return -1;
	for (j->cursor_count = 0; j->cursor_count < cursors && !c.failed; j->cursor_count++) {
		struct journal_cursor *to = &j->cursors[j->cursor_count];
		const uint8_t *name = cursor_bytes(&c, JOURNAL_CURSOR_NAME);

		if (name == NULL || name[JOURNAL_CURSOR_NAME - 1] != '\0')
			return -1;
		memcpy(to->name, name, JOURNAL_CURSOR_NAME);
		to->at.epoch = cursor_u64(&c);
		to->at.seq = cursor_u64(&c);
	}
	return c.failed || decode_segments(&c, segments, l) < 0 || c.failed || cursor_left(&c) != 0 ? -1 : 0;
}

/* 1 read, 0 not there, -1 errno. */
static int read_file(int dir, const char *name, struct buf *b)
{
	int fd = openat(dir, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	ssize_t n = -1;

	buf_clear(b);
	if (fd < 0)
		return errno == ENOENT ? 0 : -1;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= SIZE_LIMIT) {
		n = pread(fd, buf_reserve(b, (size_t)st.st_size + 1), (size_t)st.st_size, 0);
		b->len = n > 0 ? (size_t)n : 0;
	} else {
		errno = EINVAL;
	}
	close(fd);
	return n < 0 ? -1 : 1;
}

static int load(struct journal *j, const char *name, struct journal_segments *l, struct err *e)
{
	struct buf b = {0};
	int n = read_file(j->dir, name, &b);

	l->count = 0;
	if (n < 0) {
		bool is_lost = errno == EIO || errno == EINVAL;

		err_errno(e, "%s/%s", j->folder, name);
		n = is_lost ? -1 : JOURNAL_STATE_UNREADABLE;
	}
	if (n > 0 && decode(j, &b, l) < 0)
		n = err_set(e, "%s/%s: its checksum or form is wrong", j->folder, name);
	if (n <= 0) {
		l->count = j->cursor_count = 0;
		j->serial = 0;
		j->synced = (struct position){0};
	}
	buf_fini(&b);
	return n;
}

int journal_state_load(struct journal *j, struct journal_segments *l, struct err *e)
{
	struct err other;
	int n = load(j, "state", l, e);

	if (n == 1 || n == JOURNAL_STATE_UNREADABLE)
		return n;
	if (load(j, "state.tmp", l, &other) == 1) {
		j->state_dirty = true;
		return n < 0 ? -1 : err_set(e, "%s/state: is missing", j->folder);
	}
	return n;
}
