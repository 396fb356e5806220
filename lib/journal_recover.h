/*
 * journal_recover: what a journal's newest segment holds after a crash: its end is found and a torn tail is cut.
 * Of journal.c only.
 */
#ifndef LIB_JOURNAL_RECOVER_H
#define LIB_JOURNAL_RECOVER_H

#include "lib/journal_note.h"

struct err;
struct journal_folder;

struct journal_recovered {
	struct position end; /* of the last whole record; {0, 0} in an empty journal */
	uint64_t damaged, torn_bytes;
	uint32_t serial; /* the highest of all segments */
};

/* Segments without any record, made just before a crash, are removed. 0 or -1. */
int journal_recover(struct journal_folder *, struct journal_recovered *, struct err *);

#endif
