/*
 * present: what judgement says of every subject now, as the pages ask for it: the states that votes made, and planned
 * maintenance over them.
 *
 *   zeroed -> present_answer each question -> present_fini
 *
 * Versions are of this process's life alone: they begin at random, so that one of another life fits none. Thread: one.
 */
#ifndef COLLECTOR_JUDGE_PRESENT_H
#define COLLECTOR_JUDGE_PRESENT_H

#include <stdint.h>

#include "lib/buf.h"

struct book;

struct present {
	uint64_t version; /* grows when anything differs from what was answered last */
	struct buf rows;  /* as answered last */
};
/* The body of CHANNEL_STATES_ROWS. */
void present_answer(struct present *, const struct book *, uint64_t known, struct buf *out);
void present_fini(struct present *);

#endif
