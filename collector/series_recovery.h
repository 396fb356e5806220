/*
 * series_recovery: from what a crash has left back to a catalogue, a cursor and files that fit them; and the memory of
 * which file a process died of. What a checkpoint means stands in series_round.h.
 * Thread: one.
 */
#ifndef COLLECTOR_SERIES_RECOVERY_H
#define COLLECTOR_SERIES_RECOVERY_H

#include <stdint.h>

#include "collector/series_checkpoint.h"

struct err;
struct series_catalogue;
struct series_folder;

/* Reads the checkpoint (or the one before, or none: an empty catalogue and head) and puts the files of a round that was
 * not done back; they are synced when this returns. checkpoints: descriptor of series/. *restored: files put back.
 * The catalogue, or NULL with err: the disk fails. */
struct series_catalogue *series_recovery_run(int checkpoints, struct series_folder *, uint32_t max_parts,
	struct series_checkpoint_head *, uint64_t *restored, struct err *);

/* The file in librrd's hands, in a shared map that outlives the process. */
struct series_at_work;
struct series_at_work *series_at_work_open(int checkpoints, struct err *);
void series_at_work_close(struct series_at_work *); /* accepts NULL */
void series_at_work_hold(struct series_at_work *, const char *path);
void series_at_work_release(struct series_at_work *);
/* After a death by this signal (0: none): puts the file aside that processes died of twice in a row by a signal that a
 * file can be the cause of. */
void series_at_work_judge(struct series_at_work *, int died_of, struct series_folder *, struct series_catalogue *);

#endif
