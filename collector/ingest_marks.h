/*
 * ingest_marks: what was taken of each agent: the last seq of its epochs, and the offset of its clocks. A view of the
 * collector's journal. Pure.
 *
 *   marks_judge a batch -> marks_take when it was appended; the same for each batch of the journal at replay
 *
 * Positions: an epoch's entries are taken in order, each once; a batch that overlaps what was taken is sent back to
 * where it should go on, so that the journal never holds an entry twice. A new epoch must go on where the agent's
 * newest one ended. One that does not comes from a state folder that was cloned or put back; it is taken all the same,
 * so that nothing is lost, and told.
 * Times: the real time of a measurement is its monotonic time + the offset of its boot: receipt - monotonic time
 * of sending. An offset moves only by more than MARKS_OFFSET_STEP, so that the steps of a series do not jitter with the
 * network. As a slow way can only make it larger, a larger one counts when the next message says so too.
 * Limits: MARKS_EPOCHS epochs and MARKS_BOOTS boots of an agent are remembered, those used last.
 */
#ifndef COLLECTOR_INGEST_MARKS_H
#define COLLECTOR_INGEST_MARKS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/clock.h"
#include "lib/journal_note.h"

struct buf;
struct err;
struct marks;
struct wire_batch_head;

#define MARKS_EPOCHS 64
#define MARKS_BOOTS 4
#define MARKS_OFFSET_STEP (250 * NS_PER_MS)

enum marks_verdict {
	MARKS_TAKE,
	MARKS_DUPLICATE, /* all of it was taken before */
	MARKS_EXPECTED,  /* go on at *expected instead */
	MARKS_ODD,       /* take it, and tell: cloned or put back */
};

struct marks *marks_new(void);
void marks_free(struct marks *); /* accepts NULL */

/* *expected is filled for MARKS_EXPECTED. */
enum marks_verdict marks_judge(const struct marks *, const struct wire_batch_head *, struct position *expected);
void marks_take(struct marks *, const struct wire_batch_head *);

/* The offset for what was measured in `boot`, as a message with these clocks came at received_real; remembered. False:
 * none is known for that boot. */
bool marks_offset(struct marks *, const struct wire_batch_head *, uint64_t boot, int64_t received_real,
	int64_t *offset);
/* At replay. */
void marks_set_offset(struct marks *, const char *agent, uint64_t boot, int64_t offset);

/* All of it as bytes, with the position in the journal up to which it is true, checksummed. */
void marks_encode(const struct marks *, struct position at, struct buf *out);
struct marks *marks_decode(const void *data, size_t len, struct position *at, struct err *);

#endif
