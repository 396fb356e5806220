#include "lib/journal_state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/crc32c.h"
#include "lib/err.h"
#include "lib/journal_folder.h"
#include "lib/log.h"

#define MAGIC 0x54534a58u /* "XJST" */
#define FORMAT 1
#define SIZE_MAX_BYTES (64 << 20)

static void encode(const struct journal_folder *f, const struct journal_state *s, struct buf *out)
{
	buf_add_u32(out, MAGIC);
	buf_add_u32(out, FORMAT);
	buf_add_u64(out, s->end.epoch);
	buf_add_u64(out, s->end.seq);
	buf_add_u32(out, (uint32_t)s->count);
	for (size_t i = 0; i < s->count; i++) {
		buf_add(out, s->cursors[i].name, sizeof s->cursors[i].name);
		buf_add_u64(out, s->cursors[i].at.epoch);
		buf_add_u64(out, s->cursors[i].at.seq);
	}
	buf_add_u32(out, (uint32_t)f->count);
	for (size_t i = 0; i < f->count; i++) {
		buf_add_u64(out, f->segments[i].first);
		buf_add_u64(out, f->segments[i].epoch);
	}
	buf_add_u32(out, crc32c(0, out->data, out->len));
}

static int write_all(int fd, const struct buf *b)
{
	for (size_t at = 0; at < b->len;) {
		ssize_t n = write(fd, b->data + at, b->len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -1;
		at += (size_t)n;
	}
	return 0;
}

int journal_state_write(const struct journal_folder *f, const struct journal_state *s, struct err *e)
{
	struct buf b = {0};
	int fd = openat(f->fd, "state.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	int status = 0;

	if (fd < 0)
		return err_errno(e, "journal state");
	encode(f, s, &b);
	if (write_all(fd, &b) < 0 || fdatasync(fd) < 0)
		status = err_errno(e, "journal state");
	buf_fini(&b);
	if (close(fd) < 0 && status == 0)
		status = err_errno(e, "journal state");
	if (status == 0 && renameat(f->fd, "state.tmp", f->fd, "state") < 0)
		status = err_errno(e, "journal state");
	if (status == 0 && fsync(f->fd) < 0)
		status = err_errno(e, "journal folder");
	if (status < 0)
		unlinkat(f->fd, "state.tmp", 0);
	return status;
}

static int read_file(const struct journal_folder *f, struct buf *out, struct err *e)
{
	int fd = openat(f->fd, "state", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	struct stat st;
	ssize_t n;

	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(e, "journal state");
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > SIZE_MAX_BYTES) {
		close(fd);
		return err_set(e, "journal state is not a file of a sane size");
	}
	n = read(fd, buf_reserve(out, (size_t)st.st_size + 1), (size_t)st.st_size);
	close(fd);
	if (n != st.st_size)
		return err_set(e, "journal state could not be read whole");
	out->len = (size_t)n;
	return 1;
}

static void tell_missing(const struct journal_folder *f, struct cursor *c, size_t *missing)
{
	uint32_t count = cursor_u32(c);

	*missing = 0;
	for (uint32_t i = 0; i < count && !c->failed; i++) {
		struct journal_segment s = {.first = cursor_u64(c)};
		size_t at = journal_folder_find(f, s.first);

		s.epoch = cursor_u64(c);
		if (at < f->count && f->segments[at].first == s.first)
			continue;
		++*missing;
		log_error("a segment of the journal has vanished first=%llu",
			(unsigned long long)s.first);
	}
}

int journal_state_read(const struct journal_folder *f, struct journal_state *s, size_t *missing, struct err *e)
{
	struct buf b = {0};
	int status = read_file(f, &b, e);
	struct cursor c;

	*s = (struct journal_state){.count = 0};
	*missing = 0;
	if (status <= 0) {
		buf_fini(&b);
		return status;
	}
	c = cursor_over(b.data, b.len < 4 ? 0 : b.len - 4);
	if (b.len < 8 || cursor_u32(&c) != MAGIC || cursor_u32(&c) != FORMAT) {
		status = err_set(e, "journal state is damaged: it does not begin as one");
	} else {
		struct cursor sum = cursor_over(b.data + b.len - 4, 4);

		s->end.epoch = cursor_u64(&c);
		s->end.seq = cursor_u64(&c);
		s->count = cursor_u32(&c);
		if (s->count > JOURNAL_CURSORS_MAX || cursor_u32(&sum) != crc32c(0, b.data, b.len - 4))
			c.failed = true;
		for (size_t i = 0; i < s->count && !c.failed; i++) {
			const uint8_t *name = cursor_bytes(&c, sizeof s->cursors[i].name);

			if (name == NULL)
				break;
			memcpy(s->cursors[i].name, name, sizeof s->cursors[i].name - 1);
			s->cursors[i].at.epoch = cursor_u64(&c);
			s->cursors[i].at.seq = cursor_u64(&c);
		}
		if (!c.failed)
			tell_missing(f, &c, missing);
		if (c.failed)
			status = err_set(e, "journal state is damaged: its checksum is wrong");
	}
	if (status < 0)
		*s = (struct journal_state){.count = 0};
	buf_fini(&b);
	return status;
}
