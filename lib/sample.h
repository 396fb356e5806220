/*
 * sample: the words of the house as types (design §2). Plain records, no policy.
 *
 *   check   one configured measurement of a subject       family   IPv4 or IPv6, always explicit
 *   result  the outcome of one run: up, down or unknown, with a reason and values
 *   part    which of several like things a result is about: one address of a name, one interface
 *   metric  what a value measures; its number is permanent, never reused, and goes on the wire
 */
#ifndef LIB_SAMPLE_H
#define LIB_SAMPLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum family { FAMILY_NONE = 0, FAMILY_V4 = 4, FAMILY_V6 = 6 };
enum outcome { OUTCOME_UP = 1, OUTCOME_DOWN = 2, OUTCOME_UNKNOWN = 3 };

/* Kinds of journal entries. Numbers are permanent: they are on disk and on the wire. */
enum entry_kind {
	ENTRY_OPEN = 1,     /* a journal was opened: epoch, the one before, boot id (journal.h) */
	ENTRY_GAP = 2,      /* from, to, count: entries that were dropped, declared */
	ENTRY_TICK = 3,     /* the writer's clock, every second */
	ENTRY_RESULT = 10,  /* agent: wire.proto Results with one row */
	ENTRY_LOST = 11,    /* agent: wire.proto Lost: results that never got a position */
	ENTRY_BATCH = 20,   /* collector: wire.proto Envelope around one accepted batch */
	ENTRY_NOW = 21,     /* collector: wire.proto Envelope around one Now */
	ENTRY_NOTE = 22,    /* collector: something about an agent to be told: cloned, rolled back */
	ENTRY_FINDING = 30, /* reserved: baseline findings */
	ENTRY_REQUEST = 40, /* collector: wire.proto Request: what people do */
};

#define SAMPLE_VALUES_MAX 64 /* values of one result */
#define SAMPLE_TEXT_MAX 255  /* bytes of a reason, part or address, UTF-8 */
#define SAMPLE_ID_MAX 63     /* bytes of an inventory id (num_check_id) */

struct value {
	uint32_t metric;
	double number; /* finite; a value that could not be taken is left out */
};

/* One result. Texts are borrowed from whoever made it. */
struct result {
	const char *check;     /* inventory id */
	const char *type;      /* probe type, e.g. "icmp" */
	uint32_t interval_s;   /* of the check when it ran; 0 one-shot */
	uint64_t generation;   /* of the assignments that the check came from; 0 local */
	enum family family;
	enum outcome outcome;
	const char *part;      /* "" when there is just one */
	const char *address;   /* that was probed or that answered, "" when there is none */
	const char *reason;    /* "" when up, or what it lacks though */
	uint64_t boot;         /* clock_boot_id() of the measuring host */
	int64_t mono;          /* clock_mono() there when the run began, ns */
	size_t count;
	struct value values[SAMPLE_VALUES_MAX];
};

/* One row of a metric table. A table ends with a row of number 0. */
struct metric {
	uint32_t number;
	const char *name;      /* [a-z0-9_]{1,19}: data source name, JSON key */
	const char *unit;      /* UCUM-like: "s", "%", "1", "B", "d" */
	unsigned decimals;     /* digits after the point kept on the wire, 0..9 */
	const char *label_zh, *label_en;
};

const char *family_name(enum family);   /* "IPv4", "IPv6", "-" */
const char *outcome_name(enum outcome); /* "up", "down", "unknown" */
bool family_is_valid(uint32_t);
bool outcome_is_valid(uint32_t);

/* Adds a value; drops it in silence when it is not finite (it could not be taken), asserts room. */
void result_add(struct result *, uint32_t metric, double number);

/* True when text is UTF-8 without control characters and at most max bytes long. */
bool text_is_clean(const char *text, size_t max);
/* Copies text, replacing what is not clean by '?', cut on a character boundary. Returns out. */
char *text_clean(const char *text, size_t len, char *out, size_t room);

#endif
