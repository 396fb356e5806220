/*
 * journal_overflow: what is not kept leaves a closed segment, which is written anew with gaps over what went. Of
 * journal.c only.
 */
#ifndef LIB_JOURNAL_OVERFLOW_H
#define LIB_JOURNAL_OVERFLOW_H

#include <stdbool.h>
#include <stdint.h>

struct err;
struct journal_folder;
struct journal_segment;

/* Replaces the file by rename, durably; updates bytes and flags of the segment. *dropped: entries that went. */
int journal_overflow_thin(const struct journal_folder *, struct journal_segment *, bool (*is_kept)(uint8_t kind),
	uint64_t *dropped, struct err *);

#endif
