/*
 * snmp_table: what a device answers, as typed values, and rows of a conceptual table (RFC 2578 section 7.1.12) as they
 * come in from a walk. Pure; all that is put in is bounded here.
 *
 *   snmp_table_init -> snmp_table_put ... -> snmp_table_find, rows in the order of their indices -> snmp_table_fini
 *
 * A walk reads several columns at a time by GETBULK, each from where it is:
 *
 *   snmp_walk_begin -> { snmp_walk_ask -> a request -> snmp_walk_take per varbind, in order } until it asks nothing
 *
 * Requests ask for as many rows as fill an answer that is sent in one piece, going by what came; when those that are as long get lost,
 * for less.
 * It ends whatever the device answers: a column that does not go up or leaves its prefix is done, and the answers are counted.
 * Limits: SNMP_ROWS_MAX rows of SNMP_COLUMNS_MAX columns, SNMP_TEXT_MAX bytes of a text.
 */
#ifndef PROBES_SNMP_TABLE_H
#define PROBES_SNMP_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct arena;

#define SNMP_OID_MAX 64   /* half of what RFC 2578 section 7.1.3 allows: no object that is read here is as deep */
#define SNMP_INDEX_MAX 8  /* sub-identifiers of the index of a row */
#define SNMP_ROWS_MAX 2048
#define SNMP_COLUMNS_MAX 24
#define SNMP_TEXT_MAX 128 /* of a text, what is longer is cut */
#define SNMP_VARBINDS 48  /* asked for at first: answers mostly fit one packet */
#define SNMP_VARBINDS_MAX 100
#define SNMP_ANSWER_MAX 1452 /* bytes of an answer: what Ethernet carries over IPv6 in one piece */

struct snmp_oid {
	size_t len;
	uint32_t part[SNMP_OID_MAX];
};

enum snmp_kind {
	SNMP_KIND_NONE,      /* nothing came */
	SNMP_KIND_INTEGER,
	SNMP_KIND_UNSIGNED,  /* Gauge32, TimeTicks */
	SNMP_KIND_COUNTER32,
	SNMP_KIND_COUNTER64,
	SNMP_KIND_REAL,      /* floats in an Opaque */
	SNMP_KIND_TEXT,
	SNMP_KIND_NO_OBJECT, /* the three exceptions of RFC 3416 section 3 */
	SNMP_KIND_NO_INSTANCE,
	SNMP_KIND_END,
	SNMP_KIND_OTHER,
};

struct snmp_value {
	enum snmp_kind kind;
	int64_t integer;
	uint64_t number; /* of counters and unsigned */
	double real;
	const char *text; /* of texts and others: bytes */
	size_t text_len;
};

/* NaN when it is no number; a text that is a number is one. */
double snmp_number(const struct snmp_value *);
/* Words for what is no number: "noSuchObject"; "" when it is one. */
const char *snmp_kind_words(const struct snmp_value *);

/* "1.3.6.1"; digits and dots that were checked before. */
void snmp_oid_parse(const char *text, struct snmp_oid *);
void snmp_oid_copy(struct snmp_oid *, const struct snmp_oid *); /* what it has, not the room */
int snmp_oid_order(const struct snmp_oid *, const struct snmp_oid *);
bool snmp_oid_is_below(const struct snmp_oid *, const struct snmp_oid *prefix);

/* ---- tables */

struct snmp_row {
	size_t index_len;
	uint32_t index[SNMP_INDEX_MAX];
	int64_t mono;               /* when the answer came that made the row */
	struct snmp_value values[]; /* columns of them; texts are the table's */
};

struct snmp_table {
	size_t columns, count;
	size_t last;            /* the row that was put into last: walks go along rows */
	bool is_full;           /* rows were left out */
	struct snmp_row **rows; /* sorted */
	struct arena *arena;    /* of rows and texts */
};

void snmp_table_init(struct snmp_table *, size_t columns);
void snmp_table_fini(struct snmp_table *); /* accepts a zeroed one */
/* The text of the value is copied. What does not fit is left out. */
void snmp_table_put(struct snmp_table *, size_t column, const uint32_t *index, size_t len,
	const struct snmp_value *, int64_t mono);
const struct snmp_row *snmp_table_find(const struct snmp_table *, const uint32_t *index, size_t len); /* or NULL */

/* ---- walks */

/* What an answer says beside its varbinds, and what a walk learns from it. */
struct snmp_answer {
	long status, index;   /* RFC 3416 section 3 */
	size_t len;           /* bytes of the message; 0: not told */
	unsigned repetitions; /* that were asked for in the end */
};

/* Why a walk did not read all that there is. */
enum snmp_lack {
	SNMP_LACK_NONE,
	SNMP_LACK_ORDER,  /* a column did not go up */
	SNMP_LACK_COLUMN, /* the device failed at a column */
	SNMP_LACK_ROWS,   /* there are more rows than SNMP_ROWS_MAX */
	SNMP_LACK_END,    /* answers had nothing in them, or there were too many */
};

struct snmp_walk {
	struct snmp_table *table;
	size_t count;
	struct snmp_oid prefix[SNMP_COLUMNS_MAX], at[SNMP_COLUMNS_MAX];
	bool ended[SNMP_COLUMNS_MAX];
	size_t asked[SNMP_COLUMNS_MAX], asked_count; /* columns of the request under way */
	size_t turn;                                 /* whose the next varbind is */
	bool progressed;
	size_t given;                  /* varbinds of the answer that comes in */
	size_t rows, varbinds_max;     /* to ask for: what will fit an answer, 0: not known; what the way has shown to carry */
	size_t rows_fit, columns_fit;  /* that would have filled an answer, the least so far; of so many columns */
	enum snmp_lack lack; /* the first one */
	unsigned requests, repetitions, repetitions_max;
};

/* One column of the table per prefix. varbinds_max: SNMP_VARBINDS_MAX, or that of the walk before. */
void snmp_walk_begin(struct snmp_walk *, struct snmp_table *, const char *const *prefixes, size_t count, size_t varbinds_max);
/* The objects to ask for next, in this order, and how many repetitions; 0: the walk is done. */
size_t snmp_walk_ask(struct snmp_walk *, const struct snmp_oid **out, unsigned *repetitions);
/* Varbind i of the answer to that, 0 up. */
void snmp_walk_take(struct snmp_walk *, size_t i, const struct snmp_oid *, const struct snmp_value *, int64_t mono);
/* All of them were given: the next request asks for what fits. */
void snmp_walk_replied(struct snmp_walk *, const struct snmp_answer *);
/* The device could not answer: asks for less the next time, or drops the column (1 up; 0: not told). False: it has given up
 * the walk. */
bool snmp_walk_too_big(struct snmp_walk *);
bool snmp_walk_failed_at(struct snmp_walk *, size_t varbind);

#endif
