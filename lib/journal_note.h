/*
 * journal_note: positions in a journal, and the payloads of the journal's own entries: gaps and openings. Pure.
 */
#ifndef LIB_JOURNAL_NOTE_H
#define LIB_JOURNAL_NOTE_H

#include <stddef.h>
#include <stdint.h>

#define JOURNAL_PAYLOAD_MAX (4u << 20)

struct position {
	uint64_t epoch, seq;
};

struct journal_gap {
	uint64_t from, to; /* seq, both included */
	uint64_t count;    /* entries lost of those: all, to - from + 1 */
};
struct journal_open_note {
	struct position previous; /* last entry recovered before this opening; {0,0} at first */
	uint64_t boot;
	int64_t real, mono; /* clocks at opening, ns */
};
int journal_gap_decode(const void *payload, size_t len, struct journal_gap *);
size_t journal_gap_encode(const struct journal_gap *, uint8_t out[24]);
size_t journal_open_note_encode(const struct journal_open_note *, uint8_t out[40]);
int journal_open_note_decode(const void *payload, size_t len, struct journal_open_note *);

#endif
