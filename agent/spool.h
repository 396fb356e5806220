/*
 * spool: the way of results into the journal. What the disk does not take waits in memory; probing
 * never stops for it.
 *
 *   spool_add ... spool_sync (when nothing is measured, at the latest a second after the first)
 *
 * While the journal cannot be synced its entries stay in memory up to SPOOL_JOURNAL_MAX bytes; behind
 * those results wait here, up to SPOOL_WAITING_MAX; then the oldest that wait are dropped, and an
 * ENTRY_LOST tells how many and when. The next sync that works takes all of it in order.
 * Thread: the journal's.
 */
#ifndef AGENT_SPOOL_H
#define AGENT_SPOOL_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/journal.h"

#define SPOOL_JOURNAL_MAX (4u << 20)
#define SPOOL_WAITING_MAX (4u << 20)

struct err;
struct result;
struct spool;

struct spool_stats {
	uint64_t waiting, waiting_bytes, lost;
};

struct spool *spool_new(struct journal *); /* borrowed */
void spool_free(struct spool *);           /* what waits is gone: sync first. Accepts NULL */
/* Where the result stands; seq 0: it waits, or was dropped. */
struct position spool_add(struct spool *, const struct result *);
/* True when something was added since the last sync that worked. */
bool spool_has_more(const struct spool *);
/* Writes and syncs all there is. -1: the disk does not take it now; call again later. */
int spool_sync(struct spool *, struct err *);
void spool_stats(const struct spool *, struct spool_stats *);

#endif
