/*
 * series_round: the crash-exact way of value sets into files: checkpoint, update, sync, cursor; and back.
 *
 *   open (recovers) -> ... fold into the catalogue ... -> begin -> step until it says done -> ... -> close
 *
 * A checkpoint is one file, series/checkpoint, that says: if you start now, put back these headers, remove these
 * files, take this catalogue, read the journal from here. A round
 *   1. writes it with the headers of the round's files as they are, syncs it, renames it into place;
 *   2. writes their queues, makes the files that are new;
 *   3. syncs the files and, of new ones, their folders;
 *   4. adds DONE and the new cursor to the checkpoint and syncs that: now nothing is to be put back.
 * Whatever the instant of a crash, the files are then as they were before the round (or after it), and the journal is
 * read again from the cursor, which is never behind a value that is not in its file: each file takes what it lacks.
 * Redo is exact because a file's state is its header (series_rrd.h) and every file judges time by itself (series_fold.h).
 * So rounds may hold any files in any order, and values may be queued for a file while its round is under way.
 *
 * On disk, below the state folder (little-endian; this machine's librrd makes the headers):
 *   rrd/<check>/<vantage>/...rrd                    the files; *.quarantine are those that were given up
 *   series/checkpoint, series/checkpoint.previous   sections: magic u32 | kind u16 | 0 u16 | bytes u32 | unpacked u32 |
 *                                                   crc32c u32 | zstd payload; the crc covers the header before it too
 *   series/at-work                                  the path of the file in librrd's hands, in a shared map, so that it is
 *                                                   known which file a process died of
 * A checkpoint that is damaged is put aside and told, the previous one and the journal do.
 *
 * Space: below SERIES_FREE_CREATE percent no file is made, below SERIES_FREE_UPDATE none is written; what waits stays
 * queued and holds the cursor. A file that is damaged twice, or that librrd died of twice, is renamed and begun anew.
 * Thread: one. Several processes, each with its part of the checks, would each have a folder series/<n>: nothing here
 * knows of more than its own catalogue.
 */
#ifndef COLLECTOR_SERIES_ROUND_H
#define COLLECTOR_SERIES_ROUND_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/journal.h"

struct config_list;
struct err;
struct map;
struct series_catalogue;

#define SERIES_FREE_CREATE 10 /* percent of the space that users may have */
#define SERIES_FREE_UPDATE 3
#define SERIES_ROUND_FILES 4096
#define SERIES_ROUND_CREATES 64 /* new files of a round, or a 64th of all where that is more: see series_round.c */

struct series_round_stats {
	uint64_t rounds, files, sets, created, quarantined, failures, restored, checkpoint_bytes;
	uint64_t held;       /* files passed over in the last round: no space, damaged, refused by librrd */
	uint64_t waiting_new; /* new files left for the next round: only so many are made in one */
	bool paused;         /* no space for updates */
	int64_t round_ns;    /* wall time of the last round */
};

struct series_round;

/* state: the collector's folder; series/ and rrd/ in it are made when missing. archives: struct settings_archive, copied.
 * died_of: signal that ended the process before this one, 0. NULL with err: the folders cannot be used. */
struct series_round *series_round_open(const char *state, const struct config_list *archives, uint32_t max_parts,
	int died_of, struct err *);
void series_round_close(struct series_round *); /* accepts NULL; a round under way is left to recovery */
void series_round_set_archives(struct series_round *, const struct config_list *archives);

struct series_catalogue *series_round_catalogue(struct series_round *);
struct position series_round_cursor(const struct series_round *); /* durable: read the journal from behind it */
struct position series_round_folded(const struct series_round *); /* of the checkpoint read at open */
/* The journal is another one: cursor and folded are {0,0} until the next checkpoint. Series and files stay. */
void series_round_forget_journal(struct series_round *);
const struct series_round_stats *series_round_stats(struct series_round *);
const char *series_round_folder(const struct series_round *); /* of the rrd files */

enum series_round_choice {
	SERIES_ROUND_OLDEST, /* new files, and an eighth of the queues, oldest first */
	SERIES_ROUND_NEW,    /* new files, and queues that are due */
	SERIES_ROUND_ALL,    /* all queues */
	SERIES_ROUND_NONE,   /* the checkpoint alone */
};
/* Chooses files and writes the checkpoint. folded: position of the last entry folded. now: as the fold's. 0 a round is under
 * way, 1 there is nothing to do or no space (stats say), -1 the checkpoint could not be written: try again later. */
int series_round_begin(struct series_round *, enum series_round_choice, struct position folded, int64_t flush_within,
	int64_t now, struct err *);
bool series_round_is_active(const struct series_round *);
/* One bounded piece: a file written, a file synced ... 1: call again; 0: the round is done, the cursor has moved;
 * -1: a sync failed, what is on disk is not known: end the process and recover. */
int series_round_step(struct series_round *, int64_t now, struct err *);

/* `was` of a check or a vantage: renames folders, catalogue, and writes a checkpoint. No round may be under way. */
int series_round_rename(struct series_round *, bool is_vantage, const char *was, const char *id, struct position folded,
	int64_t now, struct err *);

#endif
