/*
 * What goes: segments that all views have passed, and on overflow records of the oldest segments. Such a segment is
 * rewritten beside and renamed into its place: what is kept stands there as it was, each run of what went is one
 * ENTRY_GAP with the run's last seq. Segments of which nothing is left but a gap become one.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/err.h"
#include "lib/journal_own.h"
#include "lib/journal_scan.h"
#include "lib/log.h"
#include "lib/sample.h"

/* Stamps before 2020 are those of a clock that was not set: they tell no age. */
#define CLOCK_WAS_SET INT64_C(1577836800000000000)

static void mark_gone(struct journal *j, struct journal_segment *s)
{
	s->flags |= JOURNAL_GONE;
	j->bytes -= s->bytes;
}

static void remove_file(struct journal *j, const struct journal_segment *s)
{
	char name[JOURNAL_NAME_SIZE];

	journal_segment_name(s, name);
	/* Left behind, it is found at the next opening, and trimmed again. */
	if (unlinkat(j->dir, name, 0) < 0 && errno != ENOENT)
		log_warn("journal: a segment stays segment=%s error=\"%s\"", name, strerror(errno));
}

/* Takes what is marked off the list, makes that durable, and only then unlinks. Where the list cannot be made
 * durable the marks stay for the next call. */
static int remove_gone(struct journal *j, struct err *e)
{
	struct journal_segments before = j->segments, after = {0};
	int rc;

	for (size_t i = 0; i < before.count; i++)
		if ((before.items[i].flags & JOURNAL_GONE) == 0)
			journal_segments_add(&after, &before.items[i]);
	if (after.count == before.count) {
		journal_segments_fini(&after);
		return 0;
	}
	j->segments = after;
	rc = journal_state_store(j, e);
	if (rc < 0) {
		j->segments = before;
		journal_segments_fini(&after);
		return -1;
	}
	for (size_t i = 0; i < before.count; i++)
		if ((before.items[i].flags & JOURNAL_GONE) != 0)
			remove_file(j, &before.items[i]);
	journal_segments_fini(&before);
	return 0;
}

int journal_trim(struct journal *j, struct err *e)
{
	uint64_t passed = j->cursor_count > 0 ? UINT64_MAX : 0;
	struct journal_segment *s = j->segments.items;

	for (size_t i = 0; i < j->cursor_count; i++)
		if (j->cursors[i].at.seq < passed)
			passed = j->cursors[i].at.seq;
	/* The last one stays: it carries the write position. */
	for (size_t i = 0; i + 1 < j->segments.count && s[i].last <= passed; i++)
		if ((s[i].flags & JOURNAL_GONE) == 0)
			mark_gone(j, &s[i]);
	return remove_gone(j, e);
}

/* ---- rewriting one segment */

struct rewrite {
	struct journal *j;
	struct buf out;
	uint32_t seed;
	uint64_t run_from; /* first seq of the run that goes; 0: none */
	uint64_t next;     /* seq expected next */
	uint64_t dropped;
	size_t kept;
};

static void end_run(struct rewrite *w, uint64_t to)
{
	struct journal_gap g = {w->run_from, to, to - w->run_from + 1};
	uint8_t payload[24];

	if (w->run_from == 0)
		return;
	journal_record_add(&w->out, w->seed, to, ENTRY_GAP, payload, journal_gap_encode(&g, payload));
	w->run_from = 0;
}

static void take_record(struct rewrite *w, const struct journal_record *r, bool keep_kept)
{
	struct journal_gap g;
	bool is_gap = r->kind == ENTRY_GAP && journal_gap_decode(r->payload, r->len, &g) == 0 && g.to == r->seq;

	if (w->run_from == 0 && (r->seq > w->next || is_gap))
		w->run_from = is_gap && g.from < w->next ? g.from : w->next;
	if (!is_gap && keep_kept && w->j->options.is_kept(r->kind)) {
		end_run(w, r->seq - 1);
		journal_record_add(&w->out, w->seed, r->seq, r->kind, r->payload, r->len);
		w->kept++;
	} else {
		if (w->run_from == 0)
			w->run_from = r->seq;
		w->dropped += !is_gap;
	}
	w->next = r->seq + 1;
}

static int read_segment(struct rewrite *w, const struct journal_segment *s, bool keep_kept, struct err *e)
{
	struct journal_scan scan;
	struct journal_record r;
	int fd, n;

	if (journal_files_open(w->j->dir, s, &fd) < 0)
		return err_errno(e, "%s: read a segment", w->j->folder);
	journal_scan_start(&scan, fd, s->epoch, JOURNAL_SEGMENT_HEAD);
	while ((n = journal_scan_next(&scan, w->next, &r)) == 1 && r.seq <= s->last) {
		if (scan.damage_to > scan.damage_from) {
			journal_files_tell_damage(w->j->dir, fd, w->j->folder, s, scan.damage_from, scan.damage_to);
			w->j->stats.damaged++;
		}
		take_record(w, &r, keep_kept);
	}
	if (n < 0)
		err_errno(e, "%s: read a segment", w->j->folder);
	journal_scan_fini(&scan);
	close(fd);
	return n < 0 ? -1 : 0;
}

/* The new bytes in the place of the old: either are whole whenever a crash comes. */
static int replace_file(struct journal *j, const struct journal_segment *s, const struct buf *b, struct err *e)
{
	char name[JOURNAL_NAME_SIZE], temp[JOURNAL_NAME_SIZE + 4];
	int fd, saved;

	journal_segment_name(s, name);
	snprintf(temp, sizeof temp, "%s.tmp", name);
	fd = openat(j->dir, temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(e, "%s: rewrite a segment", j->folder);
	if (journal_files_write(fd, b->data, b->len, 0) == 0 && fdatasync(fd) == 0 &&
		renameat(j->dir, temp, j->dir, name) == 0) {
		close(fd);
		return 0;
	}
	saved = errno;
	close(fd);
	unlinkat(j->dir, temp, 0);
	errno = saved;
	return err_errno(e, "%s: rewrite a segment", j->folder);
}

/* Seq at which the gap begins that segment i, of which nothing else is left, ends with; 0: there is none. */
static int gap_before(struct journal *j, size_t i, uint64_t *from, struct err *e)
{
	const struct journal_segment *s = &j->segments.items[i];
	struct rewrite w = {.j = j, .seed = journal_record_seed(s->epoch), .next = s->first};
	int rc;

	*from = 0;
	if ((s->flags & JOURNAL_GAP_ONLY) == 0 || (s->flags & JOURNAL_GONE) != 0)
		return 0;
	rc = read_segment(&w, s, false, e);
	if (w.next == s->last + 1)
		*from = w.run_from;
	buf_fini(&w.out);
	return rc;
}

/* Drops from segment i what is not kept (or all). The gap before it is drawn in when it stands alone. */
static int thin(struct journal *j, size_t i, bool keep_kept, struct err *e)
{
	struct journal_segment *s = &j->segments.items[i], now = *s;
	struct rewrite w = {.j = j, .seed = journal_record_seed(s->epoch), .next = s->first};
	bool merges;
	int rc = -1;

	buf_reserve(&w.out, JOURNAL_SEGMENT_HEAD);
	w.out.len = JOURNAL_SEGMENT_HEAD;
	if (i > 0 && gap_before(j, i - 1, &w.run_from, e) < 0)
		goto out;
	merges = w.run_from > 0;
	if (read_segment(&w, s, keep_kept, e) < 0)
		goto out;
	if (w.next <= s->last && w.run_from == 0)
		w.run_from = w.next;
	end_run(&w, s->last);
	now.flags |= w.kept > 0 ? JOURNAL_THINNED : JOURNAL_THINNED | JOURNAL_GAP_ONLY;
	now.bytes = (int64_t)w.out.len;
	journal_segment_encode(&now, w.out.data);
	if (replace_file(j, s, &w.out, e) == 0) {
		j->bytes += now.bytes - s->bytes;
		*s = now;
		if (merges)
			mark_gone(j, s - 1);
	} else if (w.kept == 0) {
		/* No room even for a gap: readers who know where they were make it up from the hole. */
		log_warn("journal: a segment goes without a gap entry error=\"%s\"", e->text);
		mark_gone(j, s);
	} else {
		goto out;
	}
	j->stats.dropped += w.dropped;
	j->state_dirty = true;
	rc = 0;
out:
	buf_fini(&w.out);
	return rc;
}

/* ---- the bounds */

static int bound_age(struct journal *j, int64_t now, struct err *e)
{
	for (size_t i = 0; i + 1 < j->segments.count; i++) {
		int64_t closed = j->segments.items[i + 1].real;

		if ((j->segments.items[i].flags & (JOURNAL_THINNED | JOURNAL_GONE)) != 0)
			continue;
		if (closed < CLOCK_WAS_SET || now - closed <= j->options.max_age)
			continue;
		if (thin(j, i, j->options.is_kept != NULL, e) < 0)
			return -1;
	}
	return 0;
}

static int bound_bytes(struct journal *j, bool keep_kept, struct err *e)
{
	unsigned done = JOURNAL_GONE | (keep_kept ? JOURNAL_THINNED : JOURNAL_GAP_ONLY);

	for (size_t i = 0; i + 1 < j->segments.count && j->bytes > j->options.max_bytes; i++)
		if ((j->segments.items[i].flags & done) == 0 && thin(j, i, keep_kept, e) < 0)
			return -1;
	return 0;
}

int journal_bound(struct journal *j, int64_t now_real, struct err *e)
{
	uint64_t before = j->stats.dropped;
	struct err other;
	int rc = 0;

	if (j->options.max_age > 0)
		rc = bound_age(j, now_real, e);
	if (rc == 0 && j->options.max_bytes > 0 && j->options.is_kept != NULL)
		rc = bound_bytes(j, true, e);
	if (rc == 0 && j->options.max_bytes > 0)
		rc = bound_bytes(j, false, e);
	if (j->stats.dropped > before)
		log_warn("journal: entries were dropped, it is full folder=%s entries=%" PRIu64, j->folder,
			j->stats.dropped - before);
	if (remove_gone(j, rc == 0 ? e : &other) < 0)
		rc = -1;
	return rc;
}
