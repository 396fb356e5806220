/*
 * journal_files: the folder of a journal: whole writes, segment files by name, what is kept aside.
 * Of journal_*.c only. All functions return 0 or -1 (errno or words as told).
 */
#ifndef LIB_JOURNAL_FILES_H
#define LIB_JOURNAL_FILES_H

#include <stddef.h>
#include <stdint.h>

#include "lib/journal_record.h"

struct err;

struct journal_segments {
	struct journal_segment *items; /* by first, then serial */
	size_t count, room;
};

void journal_segments_add(struct journal_segments *, const struct journal_segment *);
void journal_segments_remove(struct journal_segments *, size_t i);
void journal_segments_fini(struct journal_segments *);
/* Index of the last segment that begins at or before seq; -1 when there is none. */
ptrdiff_t journal_segments_find(const struct journal_segments *, uint64_t seq);

/* Names in the folder that are segments: first and epoch are filled. Of two with one first seq the younger stands
 * last (told by their heads); with a bad head it stands before. */
int journal_files_list(int dir, struct journal_segments *, struct err *);
/* Opens; *fd is read-only. -1: errno. */
int journal_files_open(int dir, const struct journal_segment *, int *fd);
/* 0 and flags, real and serial filled when the head is valid and that of this segment; -1 else. */
int journal_files_head(int fd, struct journal_segment *);

/* Removes files that a rewriting left unfinished. */
void journal_files_sweep(int dir);

int journal_files_write(int fd, const void *data, size_t len, int64_t offset); /* whole, or -1 errno */

enum journal_kept { JOURNAL_KEPT_NEW, JOURNAL_KEPT_BEFORE, JOURNAL_KEPT_NOT };
/* Copies bytes [from, to) of fd to quarantine/<name>-<from>, bounded by JOURNAL_QUARANTINE_BYTES in all. */
#define JOURNAL_QUARANTINE_BYTES (64 << 20)
enum journal_kept journal_files_keep_aside(int dir, int fd, const struct journal_segment *, int64_t from, int64_t to);
/* The same, and tells the log, once for all readers. */
void journal_files_tell_damage(int dir, int fd, const char *folder, const struct journal_segment *, int64_t from,
	int64_t to);
/* Moves a whole file there. */
int journal_files_move_aside(int dir, const char *name);

#endif
