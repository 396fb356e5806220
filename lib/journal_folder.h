/*
 * journal_folder: what stands in the folder of a journal: its segments in order, and bytes kept aside. Of
 * journal_*.c only.
 *
 * The files themselves say what counts: a segment ends where the next one begins, so what was written to it but
 * given up is void; of two with one first seq the later made counts. A head that is damaged costs nothing:
 * the name says the same.
 */
#ifndef LIB_JOURNAL_FOLDER_H
#define LIB_JOURNAL_FOLDER_H

#include <sys/types.h>

#include "lib/journal_record.h"

struct err;

struct journal_folder {
	int fd; /* of the folder */
	struct journal_segment *segments; /* by first; each ends before the next begins, the last is open (UINT64_MAX) */
	size_t count, room;
};

int journal_folder_open(struct journal_folder *, const char *path, struct err *);
void journal_folder_close(struct journal_folder *);
/* Reads the folder anew; heads are read of files that were not known. 0 or -1. */
int journal_folder_scan(struct journal_folder *, struct err *);
/* The index of the segment that holds seq, or count when the oldest begins behind it. */
size_t journal_folder_find(const struct journal_folder *, uint64_t seq);
void journal_folder_add(struct journal_folder *, const struct journal_segment *);
void journal_folder_remove(struct journal_folder *, size_t index);
/* Copies bytes that failed their check to quarantine/<segment>@<offset>; what cannot be written is let be. */
void journal_folder_keep_aside(const struct journal_folder *, const struct journal_segment *, off_t offset,
	const void *data, size_t len);

#endif
