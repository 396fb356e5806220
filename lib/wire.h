/*
 * wire: entries and batches as bytes (lib/wire.proto is the manual of the protocol).
 *
 * Encoding: wire_result_encode makes the journal payload of one result; a packer merges such
 * payloads and other entries into one Batch. Decoding: one place, bounded: bytes, allocations
 * (protobuf-c with a capped allocator), counts, texts (clean UTF-8) and numbers are checked before
 * anything is handed out; a decoded batch is never trusted to be more than data.
 * Pure: no clock, no file, no socket. Thread: any, nothing is shared.
 */
#ifndef LIB_WIRE_H
#define LIB_WIRE_H

#include "lib/journal.h"
#include "lib/sample.h"

struct buf;
struct err;

#define WIRE_VERSION 1
/* Bytes of a body, not compressed (B-5); an envelope around it still fits one journal entry. */
#define WIRE_BODY_MAX (JOURNAL_PAYLOAD_MAX - (256u << 10))
#define WIRE_RATIO_MAX 20             /* decompressed : compressed (B-5) */
#define WIRE_ROWS_MAX 50000           /* results in one batch; other entries in one batch */
#define WIRE_VALUES_MAX 1000000       /* values in one batch */
#define WIRE_CHECKS_MAX 20000
#define WIRE_SHAPES_MAX 1024
#define WIRE_METRIC_MAX 65535
#define WIRE_DECIMALS_MAX 9
#define WIRE_INTERVAL_MAX 2678400     /* s: 31 days */
#define WIRE_PROBES_MAX 8            /* in one answer; more are left out */
#define WIRE_OPTIONS_MAX 64           /* of one assigned check */
#define WIRE_OPTION_TEXT_MAX 4096     /* bytes of one option's value */
/* All times are 0 .. this (offsets and skews also negative), so that sums of two never overflow. */
#define WIRE_TIME_MAX ((INT64_C(1) << 62) - 1)
/* A measurement that seems older, or newer, than this when it is received was stamped by a wrong clock. ns */
#define WIRE_AGE_MAX (INT64_C(400) * 86400 * 1000000000)
#define WIRE_AHEAD_MAX (INT64_C(120) * 1000000000)

/* ---- one result <-> journal payload (ENTRY_RESULT). decimals_of gives the digits kept of a metric. */
void wire_result_encode(const struct result *, unsigned (*decimals_of)(uint32_t metric), struct buf *out);

/* ---- results that never got a position (ENTRY_LOST) */
struct wire_lost {
	uint64_t count; /* > 0 */
	uint64_t boot;
	int64_t from_mono, to_mono;
};
void wire_lost_encode(const struct wire_lost *, struct buf *out);
int wire_lost_decode(const void *data, size_t len, struct wire_lost *, struct err *);

/* ---- results as columns, decoded; used for Results alone, in a Batch, in a Now */
struct wire_rows;
size_t wire_rows_count(const struct wire_rows *);
uint64_t wire_rows_boot(const struct wire_rows *);
/* Fills *r with row i (rows must be taken in order 0, 1, 2 ...); texts are borrowed from the rows. *seq of
 * its entry. */
void wire_rows_next(struct wire_rows *, struct result *r, uint64_t *seq);
void wire_rows_rewind(struct wire_rows *);
struct wire_rows *wire_result_decode(const void *data, size_t len, struct err *); /* ENTRY_RESULT payload */
void wire_rows_free(struct wire_rows *);

/* ---- Batch */
struct wire_batch_head {
	const char *agent; /* borrowed */
	struct position previous;
	uint64_t epoch, first, last;
	int64_t sent_mono, sent_real;
	uint64_t sent_boot;
	uint64_t backlog;
};
struct wire_packer;
/* max_bytes bounds the encoded batch (approximately, never above WIRE_BODY_MAX). */
struct wire_packer *wire_packer_new(size_t max_bytes);
void wire_packer_free(struct wire_packer *);
/* 1 taken, 0 does not fit any more or is of another boot: finish first. -1: undecodable (err). */
int wire_packer_add(struct wire_packer *, uint64_t seq, uint8_t kind, const void *payload, size_t len,
	struct err *);
size_t wire_packer_count(const struct wire_packer *);
/* Encodes head and contents into out and empties the packer. */
void wire_packer_finish(struct wire_packer *, const struct wire_batch_head *, struct buf *out);

struct wire_other {
	uint64_t seq;
	uint32_t kind;
	const uint8_t *payload;
	size_t len;
};
struct wire_batch {
	struct wire_batch_head head;
	struct wire_rows *rows; /* never NULL, may be empty */
	const struct wire_other *others;
	size_t others_count;
};
struct wire_batch *wire_batch_decode(const void *data, size_t len, struct err *);
void wire_batch_free(struct wire_batch *); /* accepts NULL */

/* ---- Now: as a batch whose rows carry the seq of the entry that will replace them; others is empty */
void wire_now_encode(struct wire_packer *, const struct wire_batch_head *, struct buf *out);
struct wire_batch *wire_now_decode(const void *data, size_t len, struct err *);

/* ---- Answer */
struct wire_answer {
	struct position accepted; /* epoch of the request, last seq taken */
	uint64_t durable;
	struct position expected; /* 409 */
	char reason[SAMPLE_TEXT_MAX + 1];
	size_t probes_count;
	char probes[WIRE_PROBES_MAX][SAMPLE_ID_MAX + 1]; /* ids of checks */
};
void wire_answer_encode(const struct wire_answer *, struct buf *out);
int wire_answer_decode(const void *data, size_t len, struct wire_answer *, struct err *);

/* ---- Assignments */
struct wire_option {
	const char *key, *value;
};
struct wire_check {
	const char *id, *type;
	uint32_t interval_s, families, timeout_ms; /* families: 1 IPv4, 2 IPv6, 3 both */
	bool priority;
	size_t options_count;
	const struct wire_option *options;
};
struct wire_assignments {
	const char *agent;
	uint64_t generation;
	size_t count;
	const struct wire_check *checks;
};
void wire_assignments_encode(const struct wire_assignments *, struct buf *out);
struct wire_assignments *wire_assignments_decode(const void *data, size_t len, struct err *);
void wire_assignments_free(struct wire_assignments *);

/* ---- Envelope: collector journal payload of ENTRY_BATCH and ENTRY_NOW */
struct wire_envelope {
	const char *agent;
	int64_t received_real, offset, skew;
	bool time_unknown;
	const uint32_t *refused;
	size_t refused_count;
	const uint8_t *body;
	size_t body_len;
};
void wire_envelope_encode(const struct wire_envelope *, struct buf *out);
struct wire_envelope *wire_envelope_decode(const void *data, size_t len, struct err *);
void wire_envelope_free(struct wire_envelope *);
/* The real time of a row that was measured at `mono`, ns UTC. False: it is not known, or outside of received_real -
 * WIRE_AGE_MAX .. received_real + WIRE_AHEAD_MAX: the row stays out of series and availability. */
bool wire_envelope_time(const struct wire_envelope *, int64_t mono, int64_t *real);

/* ---- Note (ENTRY_NOTE) */
struct wire_note {
	const char *agent, *word, *text; /* "" where there is none */
	int64_t real;
	const char *subject;             /* of the monitoring itself, "" of an agent */
	bool is_bad;
};
void wire_note_encode(const struct wire_note *, struct buf *out);
struct wire_note *wire_note_decode(const void *data, size_t len, struct err *); /* texts are clean */
void wire_note_free(struct wire_note *); /* accepts NULL */

/* ---- Request (ENTRY_REQUEST), and what a command sends to ingest. Numbers are permanent. */
#define WIRE_REQUEST_MAX (64u << 10)  /* bytes */
#define WIRE_REQUEST_TEXT 1000        /* bytes of its text */
#define WIRE_SUBJECTS_MAX 256
enum wire_request_kind {
	REQUEST_ACKNOWLEDGE = 1, REQUEST_UNACKNOWLEDGE, REQUEST_ASSIGN, REQUEST_COMMENT, REQUEST_PLAN, REQUEST_CANCEL,
	REQUEST_CORRECT,
};
enum wire_request_family { REQUEST_WHOLE = 1, REQUEST_V4 = 2, REQUEST_V6 = 4 };
struct wire_request {
	enum wire_request_kind kind;
	const char *author;      /* never empty */
	uint32_t uid;
	int64_t real;
	uint64_t incident;
	const char *text;
	const char *const *subjects;
	size_t subjects_count;
	int64_t from, until, last;
	bool is_repeated;
	uint8_t weekdays, weeks;
	unsigned families;       /* of enum wire_request_family */
	uint32_t state;
};
void wire_request_encode(const struct wire_request *, struct buf *out);
/* Texts are clean and bounded, times in range; whether it makes sense is not looked at. */
struct wire_request *wire_request_decode(const void *data, size_t len, struct err *);
void wire_request_free(struct wire_request *); /* accepts NULL */

/* ---- zstd, bounded on both ways; -1 when the data is not zstd or is too large or too dense */
void wire_compress(const void *data, size_t len, struct buf *out);
int wire_decompress(const void *data, size_t len, struct buf *out, struct err *);

#endif
