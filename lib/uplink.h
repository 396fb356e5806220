/*
 * uplink: reads a journal and pushes it to a collector; used by agents, and by collectors for the
 * level above.
 *
 *   wake -> pack synced entries behind the cursor -> POST -> 200: move the cursor to `durable`
 *        -> 409: go to `expected` -> 429/503: as told -> else back-off with full jitter 1 s .. 120 s
 *
 * One batch in flight. After a cut (a failed try, and at the start) a Now message goes first and every 30 s
 * until the backlog is drained. A batch refused for good (400, 413) three times is cut in half down to one entry,
 * which is then set aside (dead-letter/ in the journal folder), counted, told, and declared to the
 * collector by a gap; the lane moves on. As long as nothing but refusals comes the pauses grow, so
 * that a collector that refuses everything costs a few entries, not the journal.
 * The cursor "uplink" is set; trimming what it has passed is the owner's. The collector's answers are bounded in
 * bytes and time. Thread: the loop's. Only entries <= journal_synced leave the process.
 */
#ifndef LIB_UPLINK_H
#define LIB_UPLINK_H

#include <stddef.h>
#include <stdint.h>

#include "lib/tls.h"

struct err;
struct event_base;
struct journal;
struct uplink;
struct wire_packer;

struct uplink_options {
	const char *url;    /* "https://collector.example:8443" */
	const char *agent;  /* our identity */
	struct tls_files tls; /* read once, by uplink_new */
	const char *address; /* literal address to connect to instead of resolving, or NULL */
	size_t batch_bytes;  /* 0: 512 KiB */
	int64_t retry_first, retry_most; /* ns, pauses grow from up to most; 0: 1 s, 120 s */
	int64_t now_every;   /* ns; 0: 30 s */
	int64_t answer_within; /* ns for a whole request; 0: 60 s. The long GET may wait 60 s more */
	/* Adds the rows of a Now (outcome of each check and position of its result). May be NULL. */
	void (*add_now)(void *ctx, struct wire_packer *);
	/* Assignments arrived (checked and decodable bytes of wire.proto Assignments), also the same again after a
	 * reconnect. May be NULL: then none are asked for. */
	void (*on_assignments)(void *ctx, const void *data, size_t len);
	/* The collector wants this check run now. May be NULL. */
	void (*on_probe)(void *ctx, const char *check);
	void *ctx;
};

struct uplink_stats {
	uint64_t batches, entries, bytes; /* taken by the collector; bytes as sent */
	uint64_t failures;   /* tries without an answer that helps */
	uint64_t refused;    /* answers 400 and 413 */
	uint64_t set_aside;  /* entries in dead-letter/ */
	uint64_t backlog;    /* entries not taken yet */
	int64_t last_success_mono; /* 0: never */
	char last_error[256];
};

/* Begins at once, over connections of its own. NULL with err: url, address or certificates are wrong. Everything in options is copied. */
struct uplink *uplink_new(struct event_base *, struct journal *, const struct uplink_options *, struct err *);
void uplink_free(struct uplink *); /* accepts NULL; not from inside its own callbacks */
void uplink_wake(struct uplink *); /* there are synced entries */
void uplink_stats(const struct uplink *, struct uplink_stats *);

#endif
