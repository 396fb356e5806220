#include "lib/journal_recover.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/journal_folder.h"
#include "lib/log.h"

static int read_whole(int fd, struct buf *out, struct err *e)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return err_errno(e, "journal segment");
	buf_reserve(out, (size_t)st.st_size);
	while (out->len < (size_t)st.st_size) {
		ssize_t n = pread(fd, out->data + out->len, (size_t)st.st_size - out->len, (off_t)out->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, "reading a journal segment");
		if (n == 0)
			break;
		out->len += (size_t)n;
	}
	return 0;
}

/* Offset behind the last whole record; *last its seq (0: none). Damage with something whole behind it is counted. */
static size_t find_end(const struct buf *b, uint32_t seed, uint64_t *last, uint64_t *damaged)
{
	size_t at = JOURNAL_SEGMENT_HEAD, end = at;
	bool in_damage = false;

	*last = 0;
	while (at < b->len) {
		struct journal_record r;

		if (journal_record_read(b->data + at, b->len - at, seed, &r) != JOURNAL_RECORD_WHOLE || r.seq <= *last) {
			in_damage = true;
			at++;
			continue;
		}
		*damaged += in_damage;
		in_damage = false;
		*last = r.seq;
		at += r.size;
		end = at;
	}
	return end;
}

static int cut(const struct journal_folder *f, struct journal_segment *s, int fd, const struct buf *b, size_t end,
	struct err *e)
{
	log_warn("torn tail of the journal is cut segment_first=%llu bytes=%zu", (unsigned long long)s->first,
		b->len - end);
	journal_folder_keep_aside(f, s, (off_t)end, b->data + end, b->len - end);
	if (ftruncate(fd, (off_t)end) < 0 || fdatasync(fd) < 0)
		return err_errno(e, "cutting the torn tail of the journal");
	s->bytes = (int64_t)end;
	return 0;
}

/* 1 the segment has an end, 0 there is nothing whole in it, -1. */
static int recover_segment(const struct journal_folder *f, struct journal_segment *s,
	struct journal_recovered *out, struct err *e)
{
	char name[JOURNAL_NAME_SIZE];
	struct buf b = {0};
	uint64_t last;
	size_t end;
	int fd, status = -1;

	journal_segment_name(s, name);
	fd = openat(f->fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0)
		return err_errno(e, "journal segment %s", name);
	if (read_whole(fd, &b, e) == 0) {
		end = find_end(&b, journal_record_seed(s->epoch), &last, &out->damaged);
		s->bytes = (int64_t)b.len;
		status = last > 0;
		if (end < b.len) {
			out->torn_bytes += b.len - end;
			if (cut(f, s, fd, &b, end, e) < 0)
				status = -1;
		}
		/* What a killed writer left unsynced is read from now on as if it had been. */
		if (fdatasync(fd) < 0)
			status = err_errno(e, "syncing the journal");
		if (last > 0)
			out->end = (struct position){s->epoch, last};
	}
	close(fd);
	buf_fini(&b);
	return status;
}

int journal_recover(struct journal_folder *f, struct journal_recovered *out, struct err *e)
{
	*out = (struct journal_recovered){.serial = 0};
	if (fsync(f->fd) < 0)
		return err_errno(e, "syncing the journal's folder");
	for (size_t i = 0; i < f->count; i++) {
		if (f->segments[i].serial > out->serial)
			out->serial = f->segments[i].serial;
	}
	while (f->count > 0) {
		char name[JOURNAL_NAME_SIZE];
		int status = recover_segment(f, &f->segments[f->count - 1], out, e);

		if (status != 0)
			return status < 0 ? -1 : 0;
		/* Nothing in it was ever acknowledged; what was torn is kept aside. */
		journal_segment_name(&f->segments[f->count - 1], name);
		if (unlinkat(f->fd, name, 0) < 0)
			return err_errno(e, "journal segment %s", name);
		journal_folder_remove(f, f->count - 1);
	}
	return 0;
}
