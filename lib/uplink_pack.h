/*
 * uplink_pack: the next batch out of a journal. Of uplink.c only; knows no network and no clock.
 *
 *   new -> rewind to a position -> fill -> finish -> (taken: fill again | not taken: rewind to what was taken)
 *
 * A batch covers first..last without a hole, of one epoch and one boot: what does not fit is held for the next.
 * An entry that no batch can carry, or that was given up, is set aside (dead-letter/<epoch>-<seq>-<kind>
 * in the journal folder, whole and synced) and declared by a gap in its place.
 */
#ifndef LIB_UPLINK_PACK_H
#define LIB_UPLINK_PACK_H

#include "lib/journal_note.h"

struct buf;
struct err;
struct uplink_pack;
struct wire_batch_head;

enum uplink_fill {
	UPLINK_FILL_FAILED = -1, /* the journal could not be read: words in err */
	UPLINK_FILL_NONE,        /* no entry up to the limit */
	UPLINK_FILL_BATCH,       /* finish it */
	UPLINK_FILL_UNFIT,       /* the next entry cannot be sent: words in err; set it aside */
};

struct uplink_pack *uplink_pack_new(const char *journal_path, size_t batch_bytes);
void uplink_pack_free(struct uplink_pack *); /* accepts NULL */
/* Goes on behind `after`; {0,0}: with the oldest entry. -1: the position is not in the journal. */
int uplink_pack_rewind(struct uplink_pack *, struct position after, struct err *);
/* Takes entries up to limit, at most max of them. */
enum uplink_fill uplink_pack_fill(struct uplink_pack *, struct position limit, size_t max, struct err *);
/* Entries of the filled batch, its first seq, its last position. */
size_t uplink_pack_count(const struct uplink_pack *);
uint64_t uplink_pack_first(const struct uplink_pack *);
struct position uplink_pack_last(const struct uplink_pack *);
/* Sets epoch, first, last and previous of the head and encodes. */
void uplink_pack_finish(struct uplink_pack *, struct wire_batch_head *, struct buf *out);
/* The next entry goes to dead-letter/; from now on a gap stands in its place, also after a rewind. Only one at a
 * time: the gap must be taken before another. *at: its position. -1 also for a gap: it is never set aside. */
int uplink_pack_set_aside(struct uplink_pack *, struct position limit, struct position *at, struct err *);

#endif
