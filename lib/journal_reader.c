/*
 * The reader's side. The segments' names are the list: each one's records count up to where the next begins. A
 * file that is gone (trimmed) or bytes that are damaged make a hole, and a hole is told as an ENTRY_GAP whose
 * position is that of its last seq in the epoch of what stands behind it.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/journal.h"
#include "lib/journal_files.h"
#include "lib/journal_scan.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/sample.h"

#define OPEN_TRIES 100
#define TRUST_STAMP (50 * NS_PER_MS) /* coarser than any file system stamps its folders */

struct journal_reader {
	char *folder;
	int dir;
	struct journal_segments segments;
	struct timespec listed_stamp; /* of the folder when it was listed */
	bool listed_young;            /* ... so lately that the stamp may hide a change */
	bool limit_is_listed;         /* the list is younger than the limit's epoch */

	int fd;    /* of segments.items[at]; -1: none is open */
	size_t at;
	struct journal_scan scan;
	uint64_t next; /* seq of the entry to return next; 0: of the oldest there is */
	bool begun;    /* something was returned, or the start was given */

	struct position limit;
	bool is_limited;
	struct journal_record held; /* read; a gap before it goes first */
	bool is_held;
	bool is_contiguous; /* what was read before ends where this segment begins */
	bool is_told;       /* the damage since the entry last returned */
	uint8_t gap[24];
	uint64_t damaged;
};

static void close_segment(struct journal_reader *r)
{
	if (r->fd < 0)
		return;
	journal_scan_fini(&r->scan);
	close(r->fd);
	r->fd = -1;
	r->is_held = false;
}

/* Finds the open segment in a new list. When it is not there it was unlinked under us, and its bytes are still to be
 * had: it stands before what begins with the same seq. */
static void keep_open_segment(struct journal_reader *r, const struct journal_segment *open)
{
	size_t behind = r->segments.count;

	for (size_t i = r->segments.count; i-- > 0 && r->segments.items[i].first >= open->first; behind = i) {
		if (r->segments.items[i].first == open->first && r->segments.items[i].epoch == open->epoch) {
			r->at = i;
			return;
		}
	}
	journal_segments_add(&r->segments, open);
	memmove(r->segments.items + behind + 1, r->segments.items + behind,
		(r->segments.count - 1 - behind) * sizeof *open);
	r->segments.items[behind] = *open;
	r->at = behind;
}

/* Lists the folder again; the segment that is open stays open. */
static int list(struct journal_reader *r, struct err *e)
{
	struct journal_segment open = r->fd >= 0 ? r->segments.items[r->at] : (struct journal_segment){0};
	struct stat st;
	int64_t age;

	if (fstat(r->dir, &st) < 0)
		return err_errno(e, "%s", r->folder);
	if (journal_files_list(r->dir, &r->segments, e) < 0)
		return err_wrap(e, "%s", r->folder);
	age = clock_real() - ((int64_t)st.st_mtim.tv_sec * NS_PER_S + st.st_mtim.tv_nsec);
	r->listed_stamp = st.st_mtim;
	r->listed_young = age < TRUST_STAMP;
	r->limit_is_listed = true;
	if (r->fd >= 0)
		keep_open_segment(r, &open);
	return 0;
}

static bool folder_changed(const struct journal_reader *r)
{
	struct stat st;

	return r->listed_young || fstat(r->dir, &st) < 0 || st.st_mtim.tv_sec != r->listed_stamp.tv_sec ||
		st.st_mtim.tv_nsec != r->listed_stamp.tv_nsec;
}

static bool limit_is_elsewhere(const struct journal_reader *r)
{
	return r->is_limited && r->limit.epoch != r->segments.items[r->at].epoch;
}

/* ---- damage */

static void tell_damage(struct journal_reader *r, int64_t from, int64_t to)
{
	journal_files_tell_damage(r->dir, r->fd, r->folder, &r->segments.items[r->at], from, to);
	r->damaged++;
	r->is_told = true;
}

/* Entries that nobody trimmed or dropped are not there, and no bytes of them either. */
static void tell_missing(struct journal_reader *r, uint64_t to)
{
	if (r->is_told || !r->is_contiguous)
		return;
	log_error("journal: entries are missing folder=%s from=%" PRIu64 " to=%" PRIu64, r->folder, r->next, to);
	r->damaged++;
}

/* A closed segment that does not end with a record. */
static void tell_damaged_end(struct journal_reader *r, uint64_t last)
{
	int64_t from = journal_scan_offset(&r->scan);
	struct stat st;

	if (r->next <= last && fstat(r->fd, &st) == 0 && st.st_size > from)
		tell_damage(r, from, st.st_size);
}

/* ---- from segment to segment */

static bool is_last(const struct journal_reader *r)
{
	return r->at + 1 >= r->segments.count;
}

/* 1 it is open, 0 it is gone, -1. */
static int open_segment(struct journal_reader *r, size_t i, struct err *e)
{
	struct journal_segment *s = &r->segments.items[i];
	char name[JOURNAL_NAME_SIZE];
	struct stat st;
	int fd;

	journal_segment_name(s, name);
	if (journal_files_open(r->dir, s, &fd) < 0)
		return errno == ENOENT ? 0 : err_errno(e, "%s/%s", r->folder, name);
	if (fstat(fd, &st) == 0 && !S_ISREG(st.st_mode)) {
		close(fd);
		return 0;
	}
	r->fd = fd;
	r->at = i;
	journal_scan_start(&r->scan, fd, s->epoch, JOURNAL_SEGMENT_HEAD);
	if (st.st_size >= (off_t)JOURNAL_SEGMENT_HEAD && journal_files_head(fd, s) < 0)
		tell_damage(r, 0, JOURNAL_SEGMENT_HEAD); /* its name says the same */
	return 1;
}

/* Opens the segment in which `next` stands or behind which it is missing: 1, 0 there is none, -1. */
static int open_for_next(struct journal_reader *r, struct err *e)
{
	for (int tries = 0; tries < OPEN_TRIES; tries++) {
		ptrdiff_t i;
		int n;

		if ((tries > 0 || r->segments.count == 0) && list(r, e) < 0)
			return -1;
		if (r->segments.count == 0)
			return 0;
		i = r->next > 0 ? journal_segments_find(&r->segments, r->next) : 0;
		n = open_segment(r, i >= 0 ? (size_t)i : 0, e);
		r->is_contiguous = i >= 0; /* else trimmed before we came */
		if (n != 0)
			return n;
	}
	return err_set(e, "%s: segments go away faster than they can be opened", r->folder);
}

/* Whether the segment behind is one: a stray file by such a name must not end the one before it. */
static bool successor_is_valid(struct journal_reader *r)
{
	struct journal_segment *s = &r->segments.items[r->at + 1];
	bool valid;
	int fd;

	if (journal_files_open(r->dir, s, &fd) < 0)
		return errno == ENOENT; /* it was: trimmed */
	valid = journal_files_head(fd, s) == 0;
	close(fd);
	return valid;
}

/* Where the open segment ends: seqs from here on are those of the next. */
static uint64_t end_of_segment(const struct journal_reader *r)
{
	return is_last(r) ? UINT64_MAX : r->segments.items[r->at + 1].first;
}

static int open_successor(struct journal_reader *r, struct err *e)
{
	size_t behind = r->at + 1;
	int n;

	tell_damaged_end(r, end_of_segment(r) - 1);
	close_segment(r);
	n = open_segment(r, behind, e);
	/* Gone: what is behind it now is found by a new list; the hole by the records there. */
	if (n == 0) {
		r->segments.count = 0;
		n = open_for_next(r, e);
	}
	return n;
}

/* ---- what is returned */

static int return_gap(struct journal_reader *r, uint64_t from, uint64_t to, struct journal_entry *out)
{
	struct journal_gap g = {from, to, to - from + 1};

	*out = (struct journal_entry){.at = {r->segments.items[r->at].epoch, to}, .kind = ENTRY_GAP,
		.payload = r->gap, .len = journal_gap_encode(&g, r->gap)};
	r->next = to + 1;
	r->begun = true;
	r->is_told = false;
	return 1;
}

/* A gap that the writer left when it rewrote the segment. */
static bool is_written_gap(const struct journal_record *rec, struct journal_gap *g)
{
	return rec->kind == ENTRY_GAP && journal_gap_decode(rec->payload, rec->len, g) == 0 && g->to == rec->seq;
}

static int return_held(struct journal_reader *r, struct journal_entry *out)
{
	const struct journal_record *rec = &r->held;
	uint64_t to = rec->seq - 1;
	struct journal_gap g;

	if (is_written_gap(rec, &g)) {
		if (!r->begun && g.from < r->next)
			r->next = g.from;
		to = rec->seq;
		r->is_held = false;
	} else if (to >= r->next) {
		tell_missing(r, to);
	}
	if (to >= r->next) {
		if (r->is_limited && to > r->limit.seq)
			to = r->limit.seq;
		return return_gap(r, r->next, to, out);
	}
	*out = (struct journal_entry){.at = {r->segments.items[r->at].epoch, rec->seq}, .kind = rec->kind,
		.payload = rec->payload, .len = rec->len};
	r->is_held = false;
	r->begun = true;
	r->is_contiguous = true;
	r->is_told = false;
	r->next = rec->seq + 1;
	return 1;
}

/* At the end of the last segment that is known: 1 go on, 2 an entry was made, 0 nothing more now, -1. */
static int at_end(struct journal_reader *r, struct journal_entry *out, struct err *e)
{
	bool missing = r->is_limited && !limit_is_elsewhere(r); /* synced, and not here */

	if (missing || folder_changed(r)) {
		if (list(r, e) < 0)
			return -1;
		/* It may have grown before the next one was begun: read it to its end once more. */
		if (!is_last(r))
			return 1;
	}
	if (!missing)
		return 0;
	tell_damaged_end(r, r->limit.seq);
	tell_missing(r, r->limit.seq);
	return_gap(r, r->next, r->limit.seq, out);
	return 2;
}

/* The record that follows, into held: 1; else as at_end. */
static int advance(struct journal_reader *r, struct journal_entry *out, struct err *e)
{
	bool was_last;
	int n;

	if (r->fd < 0) {
		n = open_for_next(r, e);
		if (n <= 0)
			return n;
		if (r->next == 0)
			r->next = r->segments.items[r->at].first;
	}
	/* Synced entries of an epoch not seen yet: what this segment has behind its own synced end is void. */
	if (is_last(r) && limit_is_elsewhere(r) && !r->limit_is_listed && list(r, e) < 0)
		return -1;
	was_last = is_last(r);
	n = journal_scan_next(&r->scan, r->next, &r->held);
	if (n < 0)
		return err_errno(e, "%s: read", r->folder);
	if (n == 0)
		return was_last ? at_end(r, out, e) : open_successor(r, e);
	if (r->held.seq >= end_of_segment(r)) {
		if (successor_is_valid(r))
			return open_successor(r, e);
		journal_segments_remove(&r->segments, r->at + 1);
		r->listed_young = true;
	}
	r->is_held = true;
	if (r->scan.damage_to > r->scan.damage_from)
		tell_damage(r, r->scan.damage_from, r->scan.damage_to);
	return 1;
}

int journal_read_next(struct journal_reader *r, struct journal_entry *out, struct err *e)
{
	while (!r->is_held) {
		int n;

		if (r->is_limited && r->next > r->limit.seq)
			return 0;
		n = advance(r, out, e);
		if (n != 1)
			return n == 2 ? 1 : n;
	}
	if (r->is_limited && r->next > r->limit.seq)
		return 0;
	return return_held(r, out);
}

/* ---- start */

static int check_start(struct journal_reader *r, struct position after, struct err *e)
{
	const struct journal_segment *s;
	ptrdiff_t i;
	int n;

	if (list(r, e) < 0)
		return -1;
	if (r->segments.count == 0)
		return err_set(e, "%s: position %016" PRIx64 ":%" PRIu64 " is not in this journal, which is empty",
			r->folder, after.epoch, after.seq);
	i = journal_segments_find(&r->segments, after.seq);
	if (i < 0)
		return 0; /* trimmed: a gap tells how much */
	s = &r->segments.items[i];
	if (s->epoch == after.epoch && (size_t)i + 1 < r->segments.count)
		return 0;
	if ((size_t)i + 1 < r->segments.count && s[1].epoch == after.epoch && s[1].first == after.seq + 1)
		return 0; /* the hole before that segment */
	n = open_segment(r, (size_t)i, e);
	if (n <= 0)
		return n;
	n = journal_scan_next(&r->scan, after.seq, &r->held);
	if (n < 0)
		err_errno(e, "%s: read", r->folder);
	else if (n == 0 && is_last(r))
		n = err_set(e, "%s: position %016" PRIx64 ":%" PRIu64 " is behind the end of this journal, %" PRIu64,
			r->folder, after.epoch, after.seq, r->scan.last);
	else if (n == 1 && s->epoch != after.epoch && r->held.seq == after.seq)
		n = err_set(e, "%s: position %016" PRIx64 ":%" PRIu64 " is not in this journal, which has epoch %016"
			PRIx64 " there", r->folder, after.epoch, after.seq, s->epoch);
	close_segment(r);
	return n < 0 ? -1 : 0;
}

struct journal_reader *journal_reader_open(const char *folder, struct position after, struct err *e)
{
	struct journal_reader *r = mem_alloc(sizeof *r);

	r->fd = -1;
	r->folder = mem_strdup(folder);
	r->dir = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->dir < 0) {
		err_errno(e, "%s", folder);
	} else if (after.seq == 0 || check_start(r, after, e) == 0) {
		r->begun = after.seq > 0;
		r->next = after.seq > 0 ? after.seq + 1 : 0;
		return r;
	}
	journal_reader_close(r);
	return NULL;
}

void journal_reader_close(struct journal_reader *r)
{
	if (r == NULL)
		return;
	close_segment(r);
	if (r->dir >= 0)
		close(r->dir);
	journal_segments_fini(&r->segments);
	free(r->folder);
	free(r);
}

void journal_reader_limit(struct journal_reader *r, struct position limit)
{
	if (!r->is_limited || r->limit.epoch != limit.epoch)
		r->limit_is_listed = false;
	r->limit = limit;
	r->is_limited = true;
}

uint64_t journal_reader_damaged(const struct journal_reader *r)
{
	return r->damaged;
}
