/* Reading: one segment after the other through a window of its bytes. */
#include "lib/journal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/journal_folder.h"
#include "lib/journal_record.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/sample.h"

#define WINDOW (256u << 10)

struct journal_reader {
	struct journal_folder folder;
	bool rescan; /* the list of segments may be old */
	uint64_t next; /* seq wanted; 0: the oldest there is */
	struct position limit; /* seq UINT64_MAX: none */
	/* The segment that is open. */
	int fd; /* -1: none */
	struct journal_segment segment;
	uint32_t seed;
	struct buf window;
	off_t window_at; /* of the window's first byte in the file */
	size_t at; /* in the window */
	uint8_t gap[24]; /* payload of a made-up gap */
};

/* ---- segments */

static void close_segment(struct journal_reader *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	r->window.len = 0;
	r->at = 0;
}

/* 1 open, 0 it has gone meanwhile, -1 error. */
static int open_segment(struct journal_reader *r, const struct journal_segment *s, struct err *e)
{
	char name[JOURNAL_NAME_SIZE];

	close_segment(r);
	journal_segment_name(s, name);
	r->fd = openat(r->folder.fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (r->fd < 0)
		return errno == ENOENT ? 0 : err_errno(e, "journal segment %s", name);
	r->segment = *s;
	r->seed = journal_record_seed(s->epoch);
	r->window_at = JOURNAL_SEGMENT_HEAD;
	return 1;
}

static int scan(struct journal_reader *r, struct err *e)
{
	size_t at;

	if (journal_folder_scan(&r->folder, e) < 0)
		return -1;
	r->rescan = false;
	/* Where the segment ends may have become known. */
	at = r->fd >= 0 ? journal_folder_find(&r->folder, r->segment.first) : r->folder.count;
	if (at < r->folder.count && r->folder.segments[at].first == r->segment.first) {
		if (r->folder.segments[at].epoch == r->segment.epoch)
			r->segment.last = r->folder.segments[at].last;
		else
			close_segment(r); /* given up and begun anew */
	}
	return 0;
}

/* ---- bytes */

/* Moves the window on so that `need` bytes from `at` are in it, as far as the file has them. 0 or -1. */
static int fill(struct journal_reader *r, size_t need, struct err *e)
{
	if (r->window.len - r->at >= need)
		return 0;
	buf_drop_front(&r->window, r->at);
	r->window_at += (off_t)r->at;
	r->at = 0;
	if (need < WINDOW)
		need = WINDOW;
	while (r->window.len < need) {
		ssize_t n = pread(r->fd, buf_reserve(&r->window, need - r->window.len), need - r->window.len,
			r->window_at + (off_t)r->window.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno(e, "reading a journal segment");
		if (n == 0)
			break;
		r->window.len += (size_t)n;
	}
	return 0;
}

enum step { STEP_RECORD, STEP_END, STEP_DAMAGED, STEP_FAILED };

/* The record at `at`; of those before `next` the head alone is looked at. */
static enum step look(struct journal_reader *r, struct journal_record *out, struct err *e)
{
	enum journal_record_state state;

	if (fill(r, JOURNAL_RECORD_HEAD, e) < 0)
		return STEP_FAILED;
	state = journal_record_head(r->window.data + r->at, r->window.len - r->at, r->seed, out);
	if (state == JOURNAL_RECORD_SHORT)
		return STEP_END;
	if (state == JOURNAL_RECORD_BAD)
		return STEP_DAMAGED;
	if (fill(r, out->size, e) < 0)
		return STEP_FAILED;
	if (r->window.len - r->at < out->size)
		return STEP_END;
	if (out->seq < r->next && out->kind != ENTRY_GAP)
		return STEP_RECORD;
	state = journal_record_read(r->window.data + r->at, r->window.len - r->at, r->seed, out);
	return state == JOURNAL_RECORD_WHOLE ? STEP_RECORD : STEP_DAMAGED;
}

/* Goes on at the next place that holds a valid record behind damage; STEP_END when there is none. The bytes
 * between are kept aside and told. */
static enum step resync(struct journal_reader *r, struct err *e)
{
	off_t from = r->window_at + (off_t)r->at;
	struct buf lost = {0};
	enum step step;

	do {
		struct journal_record record;

		if (lost.len < JOURNAL_PAYLOAD_MAX)
			buf_add_u8(&lost, r->window.data[r->at]);
		r->at++;
		step = look(r, &record, e);
	} while (step == STEP_DAMAGED && r->at < r->window.len);
	/* A cut record at the end of the file: one that is being written, or the search has found nothing. */
	if (step == STEP_RECORD) {
		log_error("damaged bytes in the journal were left out segment_first=%llu offset=%lld bytes=%lld",
			(unsigned long long)r->segment.first, (long long)from,
			(long long)(r->window_at + (off_t)r->at - from));
		journal_folder_keep_aside(&r->folder, &r->segment, from, lost.data, lost.len);
	} else if (step == STEP_END || step == STEP_DAMAGED) {
		/* Back to where it began: more may be written behind. */
		r->window.len = 0;
		r->window_at = from;
		r->at = 0;
		step = STEP_END;
	}
	buf_fini(&lost);
	return step;
}

/* ---- entries */

static int give_gap(struct journal_reader *r, uint64_t to, uint64_t epoch, struct journal_entry *out)
{
	journal_gap_encode(&(struct journal_gap){r->next, to, to - r->next + 1}, r->gap);
	*out = (struct journal_entry){{epoch, to}, ENTRY_GAP, r->gap, sizeof r->gap};
	r->next = to + 1;
	return 1;
}

static int give_record(struct journal_reader *r, const struct journal_record *record, struct journal_entry *out)
{
	*out = (struct journal_entry){{r->segment.epoch, record->seq}, record->kind, record->payload, record->len};
	r->at += record->size;
	r->next = record->seq + 1;
	return 1;
}

/* The first seq that a record speaks of: a gap stands at the end of what it covers. */
static uint64_t begins_at(const struct journal_record *record)
{
	struct journal_gap gap;

	if (record->kind == ENTRY_GAP && journal_gap_decode(record->payload, record->len, &gap) == 0 &&
		gap.to == record->seq)
		return gap.from;
	return record->seq;
}

/* The next entry of the open segment: 1, 0 it has no more, -1. */
static int read_in_segment(struct journal_reader *r, struct journal_entry *out, struct err *e)
{
	for (;;) {
		struct journal_record record;
		enum step step = look(r, &record, e);

		if (step == STEP_DAMAGED) {
			step = resync(r, e);
			if (step == STEP_RECORD)
				continue;
		}
		if (step == STEP_FAILED)
			return -1;
		if (step == STEP_END)
			return 0;
		if (record.seq > r->segment.last)
			return 0; /* written, and given up */
		if (record.seq < r->next) {
			r->at += record.size;
			continue;
		}
		if (begins_at(&record) > r->next)
			return give_gap(r, begins_at(&record) - 1, r->segment.epoch, out);
		return give_record(r, &record, out);
	}
}

/* Makes the open segment the one that holds `next`. 1; 0 there is none; 2 *out is a gap before the oldest. */
static int reach_segment(struct journal_reader *r, struct journal_entry *out, struct err *e)
{
	for (int turn = 0; turn < 3; turn++) {
		size_t at;
		int status;

		if (r->fd >= 0 && r->next <= r->segment.last && !r->rescan)
			return 1;
		if (r->rescan || r->folder.count == 0 || turn > 0) {
			if (scan(r, e) < 0)
				return -1;
			if (r->fd >= 0 && r->next <= r->segment.last)
				return 1;
		}
		if (r->folder.count == 0)
			return 0;
		if (r->next == 0)
			r->next = r->folder.segments[0].first;
		at = journal_folder_find(&r->folder, r->next);
		if (at == r->folder.count) {
			/* Trimmed or dropped before we came. */
			give_gap(r, r->folder.segments[0].first - 1, r->folder.segments[0].epoch, out);
			return 2;
		}
		status = open_segment(r, &r->folder.segments[at], e);
		if (status != 0)
			return status;
	}
	return 0;
}

int journal_read_next(struct journal_reader *r, struct journal_entry *out, struct err *e)
{
	for (int turn = 0;; turn++) {
		int status;

		if (r->next > r->limit.seq)
			return 0;
		status = reach_segment(r, out, e);
		if (status != 1)
			return status == 2 ? 1 : status;
		if (r->next > r->limit.seq)
			return 0;
		status = read_in_segment(r, out, e);
		if (status != 0)
			return status;
		if (r->segment.last != UINT64_MAX) {
			uint64_t last = r->segment.last;

			if (r->next > last)
				continue;
			log_error("a segment of the journal ends too early segment_first=%llu entries_lost=%llu",
				(unsigned long long)r->segment.first, (unsigned long long)(last - r->next + 1));
			return give_gap(r, last, r->segment.epoch, out);
		}
		/* The newest one has no more: perhaps it is the newest no longer. */
		if (turn > 0)
			return 0;
		r->rescan = true;
	}
}

/* ---- life */

/* A position must be one of this journal: of another epoch, the folder was put back to an old state or is another. */
static int check_position(struct journal_reader *r, struct position after, struct err *e)
{
	size_t at = journal_folder_find(&r->folder, after.seq);

	if (after.seq == 0 || at == r->folder.count || r->folder.segments[at].epoch == after.epoch)
		return 0;
	return err_set(e, "position %016llx:%llu is not in this journal: it was put back to an older state, or is another's",
		(unsigned long long)after.epoch, (unsigned long long)after.seq);
}

struct journal_reader *journal_reader_open(const char *path, struct position after, struct err *e)
{
	struct journal_reader *r = mem_alloc(sizeof *r);

	r->fd = -1;
	r->limit.seq = UINT64_MAX;
	r->next = after.seq == 0 ? 0 : after.seq + 1;
	if (journal_folder_open(&r->folder, path, e) < 0 || scan(r, e) < 0 || check_position(r, after, e) < 0) {
		journal_reader_close(r);
		return NULL;
	}
	return r;
}

void journal_reader_close(struct journal_reader *r)
{
	if (r == NULL)
		return;
	close_segment(r);
	journal_folder_close(&r->folder);
	buf_fini(&r->window);
	free(r);
}

void journal_reader_limit(struct journal_reader *r, struct position limit)
{
	/* In a new epoch an old segment may hold what was given up: where it ends must be known first. */
	if (limit.epoch != r->limit.epoch)
		r->rescan = true;
	r->limit = limit;
}
