#include "lib/journal_scan.h"

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#define CHUNK (64u << 10)
#define BLOCK 4096u

void journal_scan_start(struct journal_scan *s, int fd, uint64_t epoch, int64_t offset)
{
	*s = (struct journal_scan){.fd = fd, .seed = journal_record_seed(epoch), .base = offset};
}

void journal_scan_fini(struct journal_scan *s)
{
	buf_fini(&s->window);
}

int64_t journal_scan_offset(const struct journal_scan *s)
{
	return s->base + (int64_t)s->at;
}

static ssize_t read_at(int fd, uint8_t *out, size_t len, int64_t offset)
{
	ssize_t n;

	do
		n = pread(fd, out, len, offset);
	while (n < 0 && errno == EINTR);
	return n;
}

/* A part of the file that the disk cannot read: what of it can be read, zeros for the rest. */
static ssize_t read_by_blocks(int fd, uint8_t *out, size_t len, int64_t offset)
{
	size_t done = 0;

	while (done < len) {
		size_t block = BLOCK - (size_t)((offset + (int64_t)done) % BLOCK);
		ssize_t n;

		if (block > len - done)
			block = len - done;
		n = read_at(fd, out + done, block, offset + (int64_t)done);
		if (n == 0)
			break;
		if (n < 0 && errno != EIO)
			return -1;
		if (n < 0) {
			memset(out + done, 0, block);
			n = (ssize_t)block;
		}
		done += (size_t)n;
	}
	return (ssize_t)done;
}

/* Makes at least `need` bytes stand behind `from` in the window, if the file has them; 1 it does, 0 it has not. */
static int fill(struct journal_scan *s, size_t *from, size_t need)
{
	size_t keep = s->at < *from ? s->at : *from;

	if (s->window.len - *from >= need)
		return 1;
	buf_drop_front(&s->window, keep);
	s->base += (int64_t)keep;
	s->at -= keep;
	*from -= keep;
	while (s->window.len - *from < need) {
		size_t more = need - (s->window.len - *from);
		int64_t offset = s->base + (int64_t)s->window.len;
		uint8_t *out;
		ssize_t n;

		if (more < CHUNK)
			more = CHUNK;
		out = buf_reserve(&s->window, more);
		n = read_at(s->fd, out, more, offset);
		if (n < 0 && errno == EIO)
			n = read_by_blocks(s->fd, out, more, offset);
		if (n <= 0)
			return (int)n;
		s->window.len += (size_t)n;
	}
	return 1;
}

/* The record at `from`: 1 valid, 0 the file ends within it, -1 errno, -2 not a record. */
static int record_at(struct journal_scan *s, size_t *from, uint64_t min, struct journal_record *r)
{
	enum journal_record_state state;
	int n = fill(s, from, JOURNAL_RECORD_HEAD);

	if (n <= 0)
		return n;
	state = journal_record_head(s->window.data + *from, s->window.len - *from, s->seed, r);
	if (state != JOURNAL_RECORD_WHOLE)
		return -2;
	n = fill(s, from, r->size);
	if (n <= 0)
		return n;
	if (r->seq < min)
		return 1;
	state = journal_record_read(s->window.data + *from, s->window.len - *from, s->seed, r);
	return state == JOURNAL_RECORD_WHOLE ? 1 : -2;
}

/* Forgets what was read behind the last record met: next time the file is read again. */
static int nothing_more(struct journal_scan *s)
{
	s->base += (int64_t)s->at;
	s->at = 0;
	buf_clear(&s->window);
	return 0;
}

/* The next place at or behind `from` where a record could begin, in the window or at its end. */
static size_t next_magic(const struct journal_scan *s, size_t from)
{
	const uint8_t *p = memchr(s->window.data + from, JOURNAL_RECORD_FIRST_BYTE, s->window.len - from);

	return p != NULL ? (size_t)(p - s->window.data) : s->window.len;
}

/* Looks from the damage at s->at on for the next record; returns as journal_scan_next. */
static int search(const struct journal_scan *s, struct journal_record *r, int64_t *found)
{
	struct journal_scan ahead = {.fd = s->fd, .seed = s->seed, .base = journal_scan_offset(s)};
	size_t from = 0;
	int n;

	for (;;) {
		ahead.at = from;
		n = record_at(&ahead, &from, 0, r);
		if (n == -1 || (n == 1 && r->seq > s->last))
			break;
		/* What ends within the file may be damage that lies about its length: search inside it. */
		if (n == 0 && ahead.window.len - from < JOURNAL_RECORD_HEAD)
			break;
		from = next_magic(&ahead, from + 1);
	}
	*found = ahead.base + (int64_t)from;
	journal_scan_fini(&ahead);
	return n;
}

int journal_scan_next(struct journal_scan *s, uint64_t min, struct journal_record *r)
{
	s->damage_from = s->damage_to = 0;
	for (;;) {
		size_t from = s->at;
		int n = record_at(s, &from, min, r);

		if (n == -2 || (n == 0 && s->window.len > s->at)) {
			int64_t found, damaged = journal_scan_offset(s);

			n = search(s, r, &found);
			if (n <= 0)
				return n < 0 ? n : nothing_more(s);
			nothing_more(s);
			s->base = found;
			s->damage_from = damaged;
			s->damage_to = found;
			continue;
		}
		if (n <= 0)
			return n < 0 ? n : nothing_more(s);
		s->at += r->size;
		s->last = r->seq;
		if (r->seq >= min)
			return 1;
		s->damage_from = s->damage_to = 0;
	}
}
