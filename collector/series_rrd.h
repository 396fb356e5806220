/*
 * series_rrd: RRD files; the one user of librrd's files in the collector (pictures are drawn in render).
 *
 *   create, or open -> (header bytes for the checkpoint) -> update ... -> sync by the caller -> close
 *   read -> values of one ring, with a queue that is not written yet put on top
 *
 * librrd keeps no promise over a crash: an update moves pointers, rows and state in a memory map
 * in some order. What makes it exact: all state of a file is its header (but the rows), so a file
 * whose header is put back as it was takes the same value sets again and ends up the same, as
 * long as only GAUGE with AVERAGE, MIN, MAX is used; nothing else is created here.
 * A header is believed after a check of everything librrd would follow into memory.
 * Thread: one. Paths are made of ids and numbers; no text from outside gets here.
 */
#ifndef COLLECTOR_SERIES_RRD_H
#define COLLECTOR_SERIES_RRD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"

struct config_list;
struct err;
struct series_file;
struct series_queue;

#define SERIES_HEARTBEAT 3 /* intervals without a value until a series is unknown */

/* A file that is open. */
struct series_rrd {
	int fd;
	struct buf head;       /* the whole header */
	size_t static_len;     /* of it, the part that an update does not touch */
	uint32_t columns, step;
	int64_t last;          /* s; newest value set in it */
	uint32_t heartbeat;    /* s */
};

enum series_rrd_found { SERIES_RRD_GOOD, SERIES_RRD_ABSENT, SERIES_RRD_SPARSE, SERIES_RRD_DAMAGED, SERIES_RRD_FAILED };

/* Opens and checks. GOOD: close it. Otherwise it is closed already and err says more (ABSENT: not). columns: what the file
 * must have. SPARSE: an update could die of a full disk; see series_rrd_fill. */
enum series_rrd_found series_rrd_open(const char *path, size_t columns, struct series_rrd *, struct err *);
void series_rrd_close(struct series_rrd *);
/* Writes zeros where the file has holes, so that an update needs no space. */
int series_rrd_fill(const char *path, struct err *);

/* Makes a file whose first value set will be at `first` (s) for a check of this interval, with rings by the settings
 * (struct settings_archive). The folders must be there. */
int series_rrd_create(const char *path, const struct series_file *, int64_t first, uint32_t interval_s,
	const struct config_list *archives, struct err *);
/* Names what an interrupted create has left beside path and removes it. */
void series_rrd_remove_leftovers(const char *path);

/* Writes all of a queue. The heartbeat of the file follows the interval of the sets; its step stays. */
int series_rrd_update(const char *path, struct series_rrd *, const struct series_file *, struct err *);

/* Puts header bytes back. The file's size must fit them. The caller syncs the descriptor that is returned; -1. */
int series_rrd_restore(const char *path, const void *head, size_t len, struct err *);

/* ---- reading */

enum series_rrd_function { SERIES_RRD_AVERAGE, SERIES_RRD_MIN, SERIES_RRD_MAX, SERIES_RRD_FUNCTIONS };

struct series_rrd_values {
	int64_t start, step; /* s; row i covers start + i * step .. start + (i + 1) * step */
	size_t rows, columns;
	double *numbers[SERIES_RRD_FUNCTIONS]; /* column after column, rows of each; NULL: as the average */
};
/* Values between from and to (s) of the ring that suits `points`: of those that reach back to `from` the coarsest with at
 * least that many rows, brought to at most `points` rows. The file's queue is read as if it were written. 0, or -1. */
int series_rrd_read(const char *path, const struct series_file *, int64_t from, int64_t to, uint32_t points,
	struct series_rrd_values *, struct err *);
void series_rrd_values_fini(struct series_rrd_values *);

/* Bytes of a file with this many columns (for plan). */
int64_t series_rrd_size(size_t columns, uint32_t interval_s, const struct config_list *archives);

#endif
