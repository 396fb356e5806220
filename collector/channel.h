/*
 * channel: the messages between the collector's processes (on lib/ipc), their bodies encoded and decoded in one place.
 * Who decodes checks lengths and numbers; a question that does not decode is answered FAILED.
 *
 *   ingest -> views   SYNCED   the journal is synced up to here: read on
 *   views  -> ingest  PASSED   the durable cursor of a view that must see all (series, judge)
 *   judge  -> ingest  PROBE    an agent is to run one of its checks now
 *   judge  -> notify  OUTBOX   there may be more to tell
 *   notify -> ingest  NOTE     how delivery is
 *   web    -> series  LATEST   rows of the catalogue of series changed since a version
 *   web    -> series  FETCH    values of one series over a span
 *   web    -> judge   STATES   states of all subjects, when they are not those of a version
 *   web    -> judge   INCIDENTS  what people work on
 *   web    -> judge   LEDGER   stretches of state of one subject over a span
 *   web    -> judge   AVAILABILITY  figures of a period
 *   web    -> render  RENDER   a picture of values handed over
 *   web    -> any     METRICS  own figures in Prometheus text
 */
#ifndef COLLECTOR_CHANNEL_H
#define COLLECTOR_CHANNEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/journal.h"
#include "lib/sample.h"

struct buf;

enum channel_type {
	CHANNEL_SYNCED = 1, CHANNEL_PASSED, CHANNEL_LATEST, CHANNEL_LATEST_ROWS, CHANNEL_FETCH, CHANNEL_VALUES,
	CHANNEL_RENDER, CHANNEL_PICTURE, CHANNEL_METRICS, CHANNEL_METRICS_TEXT, CHANNEL_FAILED, /* body: words */
	CHANNEL_INCIDENTS, CHANNEL_LEDGER, CHANNEL_JSON, /* body of JSON: text for the page */
	CHANNEL_STATES, CHANNEL_STATES_ROWS, CHANNEL_PROBE,
	CHANNEL_OUTBOX, CHANNEL_NOTE,
	CHANNEL_AVAILABILITY,
};

void channel_position_encode(struct position, struct buf *out);           /* SYNCED */
int channel_position_decode(const void *, size_t, struct position *);
void channel_passed_encode(const char *view, struct position, struct buf *out);
int channel_passed_decode(const void *, size_t, char view[32], struct position *);

void channel_probe_encode(const char *agent, const char *check, struct buf *out);
int channel_probe_decode(const void *, size_t, char agent[SAMPLE_ID_MAX + 1], char check[SAMPLE_ID_MAX + 1]);

/* NOTE. The words are borrowed from the body and not closed by a NUL. */
void channel_note_encode(uint8_t matter, bool is_bad, const char *words, struct buf *out);
int channel_note_decode(const void *, size_t, uint8_t *matter, bool *is_bad, const char **words, size_t *words_len);

/* A row of the catalogue of series with its latest outcome. Texts borrowed. */
struct channel_row {
	const char *check, *vantage, *type, *part, *address, *reason;
	uint32_t part_number, interval_s;
	enum family family;
	enum outcome outcome;
	int64_t measured; /* real ns, 0 when unknown */
	int64_t since;    /* real ns: first result in a row with this outcome */
	uint64_t version; /* grows with every change of any row */
};
/* LATEST: u64 since version. ROWS: u64 version now, u64 instance (random per start of series: a new one means ask from 0), rows. */
void channel_rows_begin(uint64_t version, uint64_t instance, struct buf *out);
void channel_rows_add(const struct channel_row *, struct buf *out);
/* Calls on_row for each; -1 when it does not decode. */
int channel_rows_decode(const void *, size_t, uint64_t *version, uint64_t *instance,
	void (*on_row)(void *ctx, const struct channel_row *), void *ctx);

struct channel_fetch {
	char check[SAMPLE_ID_MAX + 1], vantage[SAMPLE_ID_MAX + 1];
	enum family family;
	uint32_t part_number;
	int64_t from, to; /* real seconds */
	uint32_t points;  /* wanted at most; picks the archive */
};
void channel_fetch_encode(const struct channel_fetch *, struct buf *out);
/* -1 also when from, to and points are no span. */
int channel_fetch_decode(const void *, size_t, struct channel_fetch *);

/* Values of one series: rows of `step` seconds from `start` on, column after column; NaN where unknown. */
struct channel_values {
	int64_t start, step; /* s; row i ends at start + (i + 1) * step */
	size_t rows, columns;
	const struct channel_column {
		uint32_t metric; /* 0: the availability column "up", 1 up 0 down */
		uint8_t function; /* 0 average, 1 min, 2 max */
		const double *numbers; /* rows of them */
	} *column;
};
void channel_values_encode(const struct channel_values *, struct buf *out);
/* Arrays are allocated in one block: free(block). */
int channel_values_decode(const void *, size_t, struct channel_values *, void **block);

/* What judgement says of one subject now. Numbers are those of verdict.h's states. */
struct channel_state {
	const char *subject;         /* "system/portal" */
	uint8_t state, v4, v6;       /* below CHANNEL_STATE_END */
	int64_t since;               /* real ns */
};
#define CHANNEL_STATE_END 6
/* STATES: u64 version known. ROWS: u64 version now, i64 how far the journal is judged (real ns), rows: none when the version is
 * the one that was known. */
void channel_states_begin(uint64_t version, int64_t reached, struct buf *out);
void channel_states_add(const struct channel_state *, struct buf *out);
int channel_states_decode(const void *, size_t, uint64_t *version, int64_t *reached,
	void (*on_state)(void *ctx, const struct channel_state *), void *ctx);

/* LEDGER: real ns. subject: below CHANNEL_SUBJECT bytes. */
#define CHANNEL_SUBJECT 80
void channel_ledger_encode(const char *subject, int64_t from, int64_t until, struct buf *out);
int channel_ledger_decode(const void *, size_t, char subject[CHANNEL_SUBJECT], int64_t *from, int64_t *until);

/* AVAILABILITY. Texts: "" of what is not asked for. form: enum figures_form of the answer, which is JSON whatever it holds. */
struct channel_availability {
	char period[64], unit[SAMPLE_ID_MAX + 1], system[SAMPLE_ID_MAX + 1], link[SAMPLE_ID_MAX + 1];
	enum family family;
	bool always, measured, with_planned;
	uint8_t form;
};
void channel_availability_encode(const struct channel_availability *, struct buf *out);
int channel_availability_decode(const void *, size_t, struct channel_availability *);

struct channel_render {
	uint8_t format;   /* 0 SVG, 1 PNG */
	uint32_t width, height;
	const char *title, *language; /* "zh" or "en" */
	int64_t from, to; /* real s */
	size_t layers_count;
	const struct channel_layer {
		const char *label;   /* "IPv4 city" */
		enum family family;
		struct channel_values values;
	} *layers;
};
void channel_render_encode(const struct channel_render *, struct buf *out);
int channel_render_decode(const void *, size_t, struct channel_render *, void **block);

#endif
