/*
 * series_checkpoint: the bytes of a checkpoint: sections, packed and checksummed, in one file.
 *
 *   writer: begin -> section ... -> finish (synced, renamed into place) -> done
 *   reader: read -> parts handed out -> free
 *
 * What a checkpoint means stands in series_round.h. A checkpoint counts when its END section is there; a DONE section
 * behind it counts when it is whole. Thread: one. Limits: SECTION_MAX bytes of a section.
 */
#ifndef COLLECTOR_SERIES_CHECKPOINT_H
#define COLLECTOR_SERIES_CHECKPOINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/journal.h"

struct err;
struct series_catalogue;

struct series_checkpoint_head {
	uint64_t number;
	struct position cursor, folded;
};

struct series_checkpoint;

/* Writes folder/checkpoint.new: head and all rows of the catalogue. */
struct series_checkpoint *series_checkpoint_begin(int folder, const struct series_checkpoint_head *,
	const struct series_catalogue *, struct err *);
/* A file of the round: path below rrd/, its header; head NULL: it does not exist. */
int series_checkpoint_add(struct series_checkpoint *, const char *path, const uint8_t *head, size_t len,
	size_t static_len, struct err *);
/* Syncs and renames into place; the one before becomes checkpoint.previous. */
int series_checkpoint_finish(struct series_checkpoint *, struct err *);
/* Nothing of this checkpoint is to be put back any more; the journal is to be read from cursor. */
int series_checkpoint_done(struct series_checkpoint *, struct position cursor, struct err *);
uint64_t series_checkpoint_bytes(const struct series_checkpoint *);
void series_checkpoint_free(struct series_checkpoint *); /* removes what is not finished; accepts NULL */

struct series_checkpoint_reader {
	/* For each file of a round that was not done; path below rrd/; head NULL: it did not exist. */
	void (*on_file)(void *ctx, const char *path, const uint8_t *head, size_t len);
	void *ctx;
};
/* Reads folder/name into head and catalogue; *is_done. 1 read, 0 there is none, -1 damaged (the catalogue may hold a part
 * of it: drop it). on_file is called only when all of it is whole. */
int series_checkpoint_read(int folder, const char *name, struct series_checkpoint_head *, struct series_catalogue *,
	bool *is_done, const struct series_checkpoint_reader *, struct err *);

#endif
