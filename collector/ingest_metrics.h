/*
 * ingest_metrics: what ingest counts, and its figures in Prometheus text (version 0.0.4). Plain records; pure.
 */
#ifndef COLLECTOR_INGEST_METRICS_H
#define COLLECTOR_INGEST_METRICS_H

#include <stddef.h>
#include <stdint.h>

struct buf;
struct ingest_server_stats;
struct journal_stats;

/* Why a request was not answered by 200 or 304. */
enum ingest_refusal {
	REFUSED_MALFORMED, REFUSED_FORGED, REFUSED_STRANGER, REFUSED_PATH, REFUSED_EXPECTED, REFUSED_LIMITED,
	REFUSED_BUSY, REFUSED_KINDS,
};

#define INGEST_SYNC_BUCKETS 10

struct ingest_stats {
	uint64_t batches, nows, duplicates, cloned;
	uint64_t entries, results, values; /* of batches and nows */
	uint64_t unassigned, untimed; /* results that views leave out */
	uint64_t notes, requests, probes; /* about agents; of people; checks that agents are asked to run now */
	uint64_t refused[REFUSED_KINDS];
	uint64_t sync_failures;
	uint64_t syncs[INGEST_SYNC_BUCKETS + 1]; /* by how long they took; the last: longer */
	double sync_seconds;
};

void ingest_metrics_add_sync(struct ingest_stats *, double seconds);
void ingest_metrics_write(const struct ingest_stats *, const struct ingest_server_stats *, const struct journal_stats *,
	struct buf *out);

#endif
