#include "lib/uplink_pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/journal.h"
#include "lib/mem.h"
#include "lib/sample.h"
#include "lib/wire.h"

#define NAME_SIZE 64

struct uplink_pack {
	char *path;
	struct journal_reader *reader;
	struct wire_packer *packer;
	/* The entry that was read and did not go into the batch; kind 0: none. */
	struct journal_entry held;
	struct buf held_payload;
	struct position dead; /* the entry that was set aside */
	/* The newest opening that was read. */
	uint64_t opened;
	struct position previous;
	/* The batch. */
	uint64_t epoch, first, last;
};

struct uplink_pack *uplink_pack_new(const char *journal_path, size_t batch_bytes)
{
	struct uplink_pack *p = mem_alloc(sizeof *p);

	p->path = mem_strdup(journal_path);
	p->packer = wire_packer_new(batch_bytes);
	return p;
}

void uplink_pack_free(struct uplink_pack *p)
{
	if (p == NULL)
		return;
	journal_reader_close(p->reader);
	wire_packer_free(p->packer);
	buf_fini(&p->held_payload);
	free(p->path);
	free(p);
}

int uplink_pack_rewind(struct uplink_pack *p, struct position after, struct err *e)
{
	struct journal_reader *reader = journal_reader_open(p->path, after, e);

	if (reader == NULL)
		return -1;
	journal_reader_close(p->reader);
	p->reader = reader;
	p->held.kind = 0;
	return 0;
}

/* ---- entries, one by one */

static void hold(struct uplink_pack *p)
{
	uint64_t seq = p->held.at.seq;
	uint8_t gap[24];

	buf_clear(&p->held_payload);
	if (p->held.at.epoch == p->dead.epoch && seq == p->dead.seq) {
		p->held.kind = ENTRY_GAP;
		p->held.len = journal_gap_encode(&(struct journal_gap){seq, seq, 1}, gap);
		p->held.payload = gap;
	}
	buf_add(&p->held_payload, p->held.payload, p->held.len);
	p->held.payload = p->held_payload.data;
}

/* The held one or the next of the journal, which is then held: 1, 0 none, -1. */
static int peek(struct uplink_pack *p, struct position limit, struct err *e)
{
	int status;

	if (p->held.kind != 0)
		return 1;
	journal_reader_limit(p->reader, limit);
	status = journal_read_next(p->reader, &p->held, e);
	if (status != 1) {
		p->held.kind = 0;
		return status;
	}
	hold(p);
	return 1;
}

/* The first seq that an entry speaks of: a gap stands at the end of what it covers. */
static uint64_t begins_at(const struct journal_entry *entry)
{
	struct journal_gap gap;

	if (entry->kind == ENTRY_GAP && journal_gap_decode(entry->payload, entry->len, &gap) == 0 &&
		gap.to == entry->at.seq)
		return gap.from;
	return entry->at.seq;
}

static void note_opening(struct uplink_pack *p, const struct journal_entry *entry)
{
	struct journal_open_note note;

	if (entry->kind != ENTRY_OPEN || journal_open_note_decode(entry->payload, entry->len, &note) < 0)
		return;
	p->opened = entry->at.epoch;
	p->previous = note.previous;
}

static void grow(struct uplink_pack *p, uint64_t epoch, uint64_t from, uint64_t to)
{
	if (p->first == 0) {
		p->epoch = epoch;
		p->first = from;
	}
	p->last = to;
}

/* ---- batches */

/* 1 the held entry went into the batch, 0 it belongs to the next one, -1 it cannot be encoded. */
static int take_held(struct uplink_pack *p, struct err *e)
{
	const struct journal_entry *entry = &p->held;
	int status;

	if (p->first != 0 && entry->at.epoch != p->epoch)
		return 0;
	status = wire_packer_add(p->packer, entry->at.seq, entry->kind, entry->payload, entry->len, e);
	if (status != 1)
		return status;
	note_opening(p, entry);
	grow(p, entry->at.epoch, begins_at(entry), entry->at.seq);
	p->held.kind = 0;
	return 1;
}

enum uplink_fill uplink_pack_fill(struct uplink_pack *p, struct position limit, size_t max, struct err *e)
{
	int status;

	p->first = 0;
	while (wire_packer_count(p->packer) < max) {
		status = peek(p, limit, e);
		if (status < 0 && p->first == 0)
			return UPLINK_FILL_FAILED;
		if (status != 1)
			break;
		status = take_held(p, e);
		if (status == 1)
			continue;
		if (p->first != 0)
			break;
		if (status == 0)
			err_set(e, "entry of %zu bytes fits no batch", p->held.len);
		return UPLINK_FILL_UNFIT;
	}
	return p->first != 0 ? UPLINK_FILL_BATCH : UPLINK_FILL_NONE;
}

size_t uplink_pack_count(const struct uplink_pack *p)
{
	return wire_packer_count(p->packer);
}

uint64_t uplink_pack_first(const struct uplink_pack *p)
{
	return p->first;
}

struct position uplink_pack_last(const struct uplink_pack *p)
{
	return (struct position){p->epoch, p->last};
}

/* A batch that begins before its epoch did (a gap over it) has nothing to say about the one before. */
void uplink_pack_finish(struct uplink_pack *p, struct wire_batch_head *h, struct buf *out)
{
	h->epoch = p->epoch;
	h->first = p->first;
	h->last = p->last;
	h->previous = (struct position){0, 0};
	if (p->opened == p->epoch && p->previous.seq < p->first)
		h->previous = p->previous;
	wire_packer_finish(p->packer, h, out);
}

/* ---- what cannot be sent */

static int write_whole(int folder, const char *name, const struct buf *content, struct err *e)
{
	char temporary[NAME_SIZE + 8];
	int fd, rc = 0;

	snprintf(temporary, sizeof temporary, "%s.new", name);
	fd = openat(folder, temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(e, "dead-letter/%s", temporary);
	if (write(fd, content->data, content->len) != (ssize_t)content->len || fdatasync(fd) < 0)
		rc = err_errno(e, "dead-letter/%s", temporary);
	close(fd);
	if (rc == 0 && (renameat(folder, temporary, folder, name) < 0 || fsync(folder) < 0))
		rc = err_errno(e, "dead-letter/%s", name);
	if (rc < 0)
		unlinkat(folder, temporary, 0);
	return rc;
}

static int write_dead_letter(struct uplink_pack *p, struct err *e)
{
	char *path = mem_format("%s/dead-letter", p->path), name[NAME_SIZE];
	int folder, rc = -1;

	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		err_errno(e, "%s", path);
	else if ((folder = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)) < 0)
		err_errno(e, "%s", path);
	else {
		snprintf(name, sizeof name, "%016llx-%016llx-%u", (unsigned long long)p->held.at.epoch,
			(unsigned long long)p->held.at.seq, p->held.kind);
		rc = write_whole(folder, name, &p->held_payload, e);
		close(folder);
	}
	free(path);
	return rc;
}

int uplink_pack_set_aside(struct uplink_pack *p, struct position limit, struct position *at, struct err *e)
{
	int status = peek(p, limit, e);

	if (status != 1)
		return status < 0 ? -1 : err_set(e, "no entry to set aside");
	if (p->held.kind == ENTRY_GAP)
		return err_set(e, "a gap is not set aside");
	if (write_dead_letter(p, e) < 0)
		return -1;
	*at = p->dead = p->held.at;
	hold(p);
	return 0;
}
