/*
 * journal_scan: walks the records of one segment file through a window, and finds its way behind damage.
 * Of journal_*.c only.
 *
 *   start at an offset -> next until 0 -> (the file grew: next again) -> fini
 *
 * Where a record does not check out, the search takes the next bytes that are a valid record of this segment
 * with a greater seq. Nothing valid up to the end of file: the position stays, for the rest may be a record that
 * is still being written. Blocks that the disk cannot read count as damage. Memory: one record at most.
 */
#ifndef LIB_JOURNAL_SCAN_H
#define LIB_JOURNAL_SCAN_H

#include <stdint.h>

#include "lib/buf.h"
#include "lib/journal_record.h"

struct journal_scan {
	int fd;         /* borrowed */
	uint32_t seed;
	uint64_t last;  /* seq of the record last met */
	struct buf window;
	int64_t base;   /* file offset of the window */
	size_t at;      /* behind the record last met, in the window */
	int64_t damage_from, damage_to; /* bytes passed over before the record last returned; equal: none */
};

void journal_scan_start(struct journal_scan *, int fd, uint64_t epoch, int64_t offset);
void journal_scan_fini(struct journal_scan *);
/* File offset behind the record last met. */
int64_t journal_scan_offset(const struct journal_scan *);
/* 1: the next valid record of at least seq min (those below are passed by their headers alone); its payload is
 * borrowed until the next call. 0: none up to the end of file. -1: errno. */
int journal_scan_next(struct journal_scan *, uint64_t min, struct journal_record *);

#endif
