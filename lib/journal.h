/*
 * journal: a segmented, checksummed, append-only log with durable cursors; one writer, many readers.
 *
 *   writer: open -> append ... sync -> (acknowledge what is <= journal_synced) -> close
 *   reader: open at a position -> read_next until 0 -> wait to be woken -> set limit -> read on
 *
 * A position is (epoch, seq). seq grows by one with each entry over the whole life of the folder;
 * each opening draws a new random epoch and writes an ENTRY_OPEN as its first entry, so that no
 * position ever means two things. Only synced entries may leave the process: until then the seq of
 * an entry stands, but its epoch may still change (see below).
 *
 * On disk (little-endian):
 *   <first seq, 16 hex>-<epoch, 16 hex>.seg   48-byte head (magic, format, epoch, first seq, crc),
 *     then records: magic u32 | length u32 | seq u64 | kind u8 | flags u8 | check u16 | crc32c u32 | payload;
 *     check covers the header, the crc header and payload. Both start from the epoch.
 *   state, state.tmp                          cursors, segment list and write position in one checksummed
 *     record, replaced by rename, durable before any unlink; and the one before it. lock: held by the writer.
 *   quarantine/                               bytes that failed their check, kept aside (64 MiB at most).
 *
 * Recovery: the segments themselves say what counts: each ends where the next one begins. A torn tail of the
 * last one is cut; a damaged record elsewhere costs that record alone: the reader finds the next valid one,
 * logs it, keeps the bytes aside where it may write, and gives a gap over the hole.
 * Overflow: records of the oldest segments whose kind is not kept go first (max_bytes, max_age),
 * leaving an ENTRY_GAP over what went; then kept ones (max_bytes). Nothing goes in silence.
 * After a failed write or fsync that descriptor is never used again: the unsynced entries, still in
 * memory, go to a new segment under a new epoch, with their seqs and an ENTRY_OPEN behind them, at the
 * next journal_sync. On a full disk that fails until there is room for some of them, and then goes on by
 * itself; trimming needs no room.
 * Thread: one. Limits: payload <= JOURNAL_PAYLOAD_MAX, kinds 1..255.
 */
#ifndef LIB_JOURNAL_H
#define LIB_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/journal_note.h"

struct err;

struct journal_options {
	int64_t segment_bytes;  /* a segment is closed when it reaches this; 0: 8 MiB */
	int64_t max_bytes;      /* of all segments; 0: no bound */
	int64_t max_age;        /* ns by stamps of closed segments; 0: no bound */
	bool (*is_kept)(uint8_t kind); /* true: dropped last on overflow. NULL: none is. */
};

struct journal_entry {
	struct position at;
	uint8_t kind;
	const uint8_t *payload; /* borrowed until the next call on the reader */
	size_t len;
};

struct journal_stats {
	uint64_t appended, synced, syncs, sync_failures, damaged, torn_bytes, dropped, bytes, segments;
	int64_t oldest_real; /* stamp of the oldest segment, ns UTC */
};

struct journal;

/* Makes the folder when missing (0700), locks it (one writer), recovers, draws the epoch.
 * NULL with err: not a folder, locked by pid N, not readable. A damaged state record is made anew. */
struct journal *journal_open(const char *folder, const struct journal_options *, struct err *);
void journal_close(struct journal *); /* syncs; accepts NULL */

/* Puts an entry behind the others, in memory. Never fails: what cannot be written is told by
 * journal_sync. The caller bounds what it has in flight (journal_unsynced_bytes). The seq is final; the
 * epoch is once it is synced. */
struct position journal_append(struct journal *, uint8_t kind, const void *payload, size_t len);
/* Writes and fdatasyncs all appended entries (one of each; a new segment costs the folder's too; after a failure
 * in parts). -1: what is behind journal_synced may not be acknowledged; call again later. */
int journal_sync(struct journal *, struct err *);

struct position journal_end(const struct journal *);    /* of the last appended entry */
struct position journal_synced(const struct journal *); /* of the last synced entry */
/* Where a synced entry stands: what one sync wrote may be of two epochs. */
struct position journal_position(const struct journal *, uint64_t seq);
size_t journal_unsynced_bytes(const struct journal *);
const char *journal_path(const struct journal *); /* of the folder, for readers in this process */
void journal_stats(const struct journal *, struct journal_stats *);

/* Durable named cursors ("uplink", "series"): the last entry that view is done with. On disk a cursor is at
 * most 5 s of syncs behind (exact at trim and close), so what stands behind one may be done twice. On
 * overflow a view that is left behind gets a gap. At most 16, names below 32 bytes; one set behind the
 * synced end is set to that. */
void journal_cursor_set(struct journal *, const char *name, struct position);
bool journal_cursor_get(const struct journal *, const char *name, struct position *);
void journal_cursor_drop(struct journal *, const char *name);
/* Unlinks closed segments that all cursors have passed (none while there is no cursor), but for the last
 * one; state is made durable first. */
int journal_trim(struct journal *, struct err *);
/* Applies max_bytes and max_age at real time now (ns). O(segments) when nothing is to go. Segments stamped
 * by a clock that was not set (before 2020) do not go by age. */
int journal_bound(struct journal *, int64_t now_real, struct err *);

/* Readers: any process that may read the folder. */
struct journal_reader;
/* Reads on after `after`; {0,0} starts at the oldest entry there is. What was trimmed behind `after`
 * is a gap, whatever its epoch. NULL with words that name the position when the journal has another
 * epoch at its seq ("is not in this journal") or ends before it ("is behind the end"): a folder that
 * was restored or exchanged. A view then starts at {0,0}. */
struct journal_reader *journal_reader_open(const char *folder, struct position after, struct err *);
void journal_reader_close(struct journal_reader *); /* accepts NULL */
/* Entries behind limit are not returned: only synced entries may be seen. By default all are: that is
 * for those that keep no position. */
void journal_reader_limit(struct journal_reader *, struct position);
/* 1 an entry, 0 none up to the limit now (call again when woken), -1 error (words in err).
 * Each seq comes once, as an entry or inside an ENTRY_GAP (journal_gap_decode). A hole (trimmed,
 * dropped or damaged) is such a gap, [from, to] without a break: its position is `to` in the epoch of
 * the entry behind it. The epoch before a change is that of the entry returned before. */
int journal_read_next(struct journal_reader *, struct journal_entry *, struct err *);
/* Places where this reader found damaged bytes. */
uint64_t journal_reader_damaged(const struct journal_reader *);

#endif
