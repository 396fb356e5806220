/*
 * journal_state: cursors, write position and list of segments in one checksummed record, replaced by rename.
 * Of journal.c only.
 *
 * The segments themselves say where the journal ends; the list here tells when one has vanished.
 */
#ifndef LIB_JOURNAL_STATE_H
#define LIB_JOURNAL_STATE_H

#include "lib/journal_note.h"

struct err;
struct journal_folder;

#define JOURNAL_CURSORS_MAX 16

struct journal_cursor {
	char name[32];
	struct position at;
};

struct journal_state {
	struct position end; /* last synced entry when it was written */
	struct journal_cursor cursors[JOURNAL_CURSORS_MAX];
	size_t count;
};

/* Durable when it returns 0. */
int journal_state_write(const struct journal_folder *, const struct journal_state *, struct err *);
/* 1 read, 0 there is none, -1 it is damaged or cannot be read. Segments of its list that are not in the folder are
 * told, and counted in *missing. */
int journal_state_read(const struct journal_folder *, struct journal_state *, size_t *missing, struct err *);

#endif
