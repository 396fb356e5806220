/*
 * journal_record: the bytes of a journal: head of a segment, records, names of files. Pure. Of journal_*.c only.
 *
 * All checksums start from the segment's epoch, so a record counts in its own segment alone: bytes of another
 * file, or a payload that looks like a record, never pass. `check` guards the record's header by itself, so that
 * a length is believed before the payload is read, and a search through damage is linear.
 */
#ifndef LIB_JOURNAL_RECORD_H
#define LIB_JOURNAL_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf;

#define JOURNAL_RECORD_HEAD 24u
#define JOURNAL_SEGMENT_HEAD 48u
#define JOURNAL_NAME_SIZE 38 /* "<16 hex>-<16 hex>.seg" and NUL */
#define JOURNAL_RECORD_FIRST_BYTE 0x4a
#define JOURNAL_GAP_RECORD (JOURNAL_RECORD_HEAD + 24u)

enum journal_segment_flags {
	JOURNAL_THINNED = 1,  /* rewritten on overflow: kept records and gaps */
	JOURNAL_GAP_ONLY = 2, /* nothing was kept: one gap */
	JOURNAL_GONE = 0x8000, /* in memory: to be unlinked */
};

struct journal_segment {
	uint64_t first, epoch;
	uint64_t last;   /* of a closed one: all behind it is void. Not in the head */
	int64_t bytes;   /* not in the head */
	int64_t real;    /* when it was begun, ns UTC */
	uint32_t serial; /* grows with each segment made: tells which of two with one first seq counts */
	uint16_t flags;
};

void journal_segment_encode(const struct journal_segment *, uint8_t out[JOURNAL_SEGMENT_HEAD]);
int journal_segment_decode(const uint8_t *data, size_t len, struct journal_segment *); /* 0 or -1 */
void journal_segment_name(const struct journal_segment *, char out[JOURNAL_NAME_SIZE]);
/* Fills first and epoch; false when it is not exactly such a name followed by suffix. */
bool journal_segment_parse(const char *name, const char *suffix, struct journal_segment *);

struct journal_record {
	uint64_t seq;
	uint8_t kind;
	const uint8_t *payload;
	size_t len, size; /* of the payload; of the whole record */
};

enum journal_record_state { JOURNAL_RECORD_WHOLE, JOURNAL_RECORD_SHORT, JOURNAL_RECORD_BAD };

uint32_t journal_record_seed(uint64_t epoch);
void journal_record_add(struct buf *, uint32_t seed, uint64_t seq, uint8_t kind, const void *payload, size_t len);
/* Of records that are trusted, as they were added: the same as those of another epoch. */
void journal_record_reseed(uint8_t *data, size_t len, uint32_t seed);
/* Bytes of those at the beginning that fit into `most`, one in any case; *last is the seq of the last of them. */
size_t journal_record_fit(const uint8_t *data, size_t len, size_t most, uint64_t *last);
/* Where the payload of `seq` begins, which is among them. Reseed after a change. */
uint8_t *journal_record_payload(uint8_t *data, uint64_t seq);
/* Header alone: WHOLE when it is valid (size is known), SHORT when data ends inside it. */
enum journal_record_state journal_record_head(const uint8_t *data, size_t len, uint32_t seed,
	struct journal_record *);
/* With payload. SHORT: the header is valid (or cut) and data ends before size bytes. */
enum journal_record_state journal_record_read(const uint8_t *data, size_t len, uint32_t seed,
	struct journal_record *);

#endif
