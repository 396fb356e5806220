/*
 * journal_own: the writer's side of a journal as its own files see it: journal_writer (append, sync, close,
 * cursors), journal_open (recovery), journal_state (the state record), journal_bound (trim, bound). Of those only.
 */
#ifndef LIB_JOURNAL_OWN_H
#define LIB_JOURNAL_OWN_H

#include "lib/buf.h"
#include "lib/journal.h"
#include "lib/journal_files.h"

#define JOURNAL_CURSORS_MAX 16
#define JOURNAL_CURSOR_NAME 32

struct journal_cursor {
	char name[JOURNAL_CURSOR_NAME];
	struct position at;
};

struct journal {
	struct journal_options options;
	char *folder;
	int dir, lock;

	/* The last one is the active one when fd >= 0; its `last` moves with each sync. */
	struct journal_segments segments;
	int64_t bytes; /* of all segments */
	int fd;        /* of the active segment; -1: the next sync makes one */
	uint64_t epoch;
	uint32_t seed, serial; /* of the next segment */

	struct buf pending; /* records that are not synced yet, as they will be written */
	uint64_t end;       /* seq of the last one appended */
	struct position synced;
	uint64_t opening;   /* seq of an ENTRY_OPEN among the pending; 0: none */
	size_t part;        /* bytes written and synced at once; less than all after the disk was full */

	struct journal_cursor cursors[JOURNAL_CURSORS_MAX];
	size_t cursor_count;
	bool state_dirty, cursor_moved; /* cursor_moved: since the opening */
	int64_t state_written; /* clock_mono() */
	struct journal_stats stats;
};

/* Appends the ENTRY_OPEN of an epoch. */
void journal_append_opening(struct journal *);
/* A new random epoch for what is appended from now on. */
void journal_draw_epoch(struct journal *);
/* The folder's descriptor after an fsync of it failed: a fresh one, for the failed one must not be asked again. */
void journal_reopen_folder(struct journal *);

/* ---- journal_state */

/* Makes cursors, segment list and write position durable. */
int journal_state_store(struct journal *, struct err *);
/* As last stored: cursors and synced position go into the journal, the list as it was into *segments.
 * 1 loaded, 0 there is none, -1 it is damaged (words; the one before it may have been loaded),
 * JOURNAL_STATE_UNREADABLE for now (words). */
#define JOURNAL_STATE_UNREADABLE (-2)
int journal_state_load(struct journal *, struct journal_segments *, struct err *);

#endif
