#include "lib/journal_overflow.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/journal_note.h"
#include "lib/journal_folder.h"
#include "lib/sample.h"

/* What is written in place of a segment. */
struct thinned {
	struct buf bytes;
	uint32_t seed;
	struct journal_gap gap; /* from 0: none is open */
	uint64_t dropped;
	bool kept_any;
};

static void close_gap(struct thinned *t)
{
	uint8_t payload[24];

	if (t->gap.from == 0)
		return;
	journal_record_add(&t->bytes, t->seed, t->gap.to, ENTRY_GAP, payload, journal_gap_encode(&t->gap, payload));
	t->gap.from = 0;
}

static void widen_gap(struct thinned *t, uint64_t from, uint64_t to, uint64_t count)
{
	if (t->gap.from == 0)
		t->gap = (struct journal_gap){.from = from};
	t->gap.to = to;
	t->gap.count += count;
}

static void take(struct thinned *t, const struct journal_record *r, bool (*is_kept)(uint8_t kind))
{
	struct journal_gap old;

	if (r->kind == ENTRY_GAP && journal_gap_decode(r->payload, r->len, &old) == 0) {
		widen_gap(t, old.from, old.to, old.count);
	} else if (is_kept(r->kind)) {
		close_gap(t);
		t->kept_any = true;
		journal_record_add(&t->bytes, t->seed, r->seq, r->kind, r->payload, r->len);
	} else {
		widen_gap(t, r->seq, r->seq, 1);
		t->dropped++;
	}
}

static int read_segment(int folder, const char *name, struct buf *out, struct err *e)
{
	int fd = openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), status = 0;
	struct stat st;

	if (fd < 0)
		return err_errno(e, "journal segment %s", name);
	if (fstat(fd, &st) < 0 || read(fd, buf_reserve(out, (size_t)st.st_size), (size_t)st.st_size) != st.st_size)
		status = err_set(e, "journal segment %s could not be read whole", name);
	else
		out->len = (size_t)st.st_size;
	close(fd);
	return status;
}

static int replace(const struct journal_folder *f, const char *name, const struct buf *b, struct err *e)
{
	int fd = openat(f->fd, "thin.tmp", O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), status = 0;

	if (fd < 0)
		return err_errno(e, "thinning the journal");
	if (write(fd, b->data, b->len) != (ssize_t)b->len || fdatasync(fd) < 0)
		status = err_errno(e, "thinning the journal");
	close(fd);
	if (status == 0 && (renameat(f->fd, "thin.tmp", f->fd, name) < 0 || fsync(f->fd) < 0))
		status = err_errno(e, "thinning the journal");
	if (status < 0)
		unlinkat(f->fd, "thin.tmp", 0);
	return status;
}

int journal_overflow_thin(const struct journal_folder *f, struct journal_segment *s, bool (*is_kept)(uint8_t kind),
	uint64_t *dropped, struct err *e)
{
	struct thinned t = {.seed = journal_record_seed(s->epoch)};
	struct journal_segment new = *s;
	char name[JOURNAL_NAME_SIZE];
	struct buf old = {0};
	int status;

	journal_segment_name(s, name);
	status = read_segment(f->fd, name, &old, e);
	buf_reserve(&t.bytes, JOURNAL_SEGMENT_HEAD);
	t.bytes.len = JOURNAL_SEGMENT_HEAD;
	for (size_t at = JOURNAL_SEGMENT_HEAD; status == 0 && at < old.len;) {
		struct journal_record r;

		/* Damaged bytes stay out: a hole that readers tell. */
		if (journal_record_read(old.data + at, old.len - at, t.seed, &r) != JOURNAL_RECORD_WHOLE) {
			at++;
			continue;
		}
		if (r.seq <= s->last)
			take(&t, &r, is_kept);
		at += r.size;
	}
	close_gap(&t);
	new.flags = (uint16_t)(JOURNAL_THINNED | (t.kept_any ? 0 : JOURNAL_GAP_ONLY));
	journal_segment_encode(&new, t.bytes.data);
	if (status == 0)
		status = replace(f, name, &t.bytes, e);
	if (status == 0) {
		s->flags = new.flags;
		s->bytes = (int64_t)t.bytes.len;
		*dropped = t.dropped;
	}
	buf_fini(&old);
	buf_fini(&t.bytes);
	return status;
}
