/*
 * verdict: the states of now: results become votes, votes of vantages become states of families, checks and subjects. The past
 * is judged by the same rules: a verdict of its own over older entries (refold.h). Pure.
 *
 *   verdict_new -> verdict_plan -> (verdict_result | verdict_tick | verdict_opened ... -> verdict_changes -> verdict_clear) ->
 *   verdict_free
 *
 * now: the time of the entry, ns UTC, for every call. Steps of it do not harm: deadlines count on the sum of its small
 * steps, so a jump ahead (a stopped collector, a set clock) brings no silence, and after a jump back evidence counts again.
 * Fresh: only evidence measured within two intervals of receipt counts here; older rows (a drained backlog) are
 * counted as stale and belong to the ledger alone. What is not newer than the newest of its stream changes nothing.
 * Vote: vote.h per address; a vantage whose anchors (in that family) are all failing has no vote, and its "down" counts only when
 * an anchor was seen up after the failing began. No evidence for two intervals and VERDICT_GRACE: unknown, and
 * silence is believed only after ingest has been open for the longest interval + VERDICT_OPEN.
 * Family: k of n (vote_count). Outvoted "down" for VERDICT_PATH: degraded, as the path from that vantage is not well; but not while
 * something else that is known to be down stands on that path (verdict_ways).
 * Check: its families. Subject: down when a critical check is down in all its families; degraded when anything of it is
 * not well; unknown when all critical checks are, or when one thing is unknown and nothing is known to be wrong.
 * Values: limits give a level per stream; k of n vantages must agree. Critical is a degraded state, never down.
 * Thread: one. Limits: VERDICT_VANTAGES of a check, VERDICT_PARTS of a vantage and family, VERDICT_LIMITS of a check.
 */
#ifndef COLLECTOR_JUDGE_VERDICT_H
#define COLLECTOR_JUDGE_VERDICT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/judge/limit.h"
#include "collector/judge/vote.h"
#include "lib/clock.h"
#include "lib/sample.h"

struct err;
struct record_sink;
struct verdict;

#define VERDICT_VANTAGES 256
#define VERDICT_PARTS 256
#define VERDICT_LIMITS 8
#define VERDICT_GRACE (30 * NS_PER_S)
#define VERDICT_OPEN (120 * NS_PER_S)
#define VERDICT_PATH (300 * NS_PER_S)
#define VERDICT_STEP (30 * NS_PER_S) /* a longer step of now is a jump */

/* Families by index: IPv4, IPv6, and what has none (things seen by a host itself). */
enum { VERDICT_V4, VERDICT_V6, VERDICT_OWN, VERDICT_FAMILIES };
int verdict_family_index(enum family);
enum family verdict_family(int index);

/* Of a subject or family. In order of worry; numbers are permanent. Maintenance is laid over by the incident core. */
enum state { STATE_NONE = 0, STATE_UP = 1, STATE_UNKNOWN = 2, STATE_DEGRADED = 3, STATE_DOWN = 4, STATE_MAINTENANCE = 5 };
const char *verdict_state_name(enum state); /* "none", "up", "unknown", "degraded", "down", "maintenance" */

/* Why something is not well, as bits: what a cause further up may explain (incident.h). */
enum {
	FAULT_V4 = 1 << VERDICT_V4,   /* not reached over IPv4 */
	FAULT_V6 = 1 << VERDICT_V6,
	FAULT_OWN = 1 << VERDICT_OWN, /* down as seen by its own host */
	FAULT_VALUE = 1 << 3,         /* part of it, a limit, or the path from one vantage */
	FAULT_SILENT = 1 << 4,        /* an agent that says nothing (set by the owner of agents) */
};

enum verdict_severity {
	SEVERITY_CRITICAL, /* its down is the subject's down */
	SEVERITY_MINOR,    /* its down makes the subject degraded */
	SEVERITY_NONE,     /* measured, never judged */
};

/* ---- How checks make a subject. A zeroed roll is of no checks. */
struct verdict_tally { unsigned of[STATE_MAINTENANCE + 1]; };
struct verdict_roll {
	struct verdict_tally families[VERDICT_FAMILIES], checks;
	bool is_degraded;
};
/* states: of its families, STATE_NONE where it asks for none. */
enum state verdict_check_state(const enum state states[VERDICT_FAMILIES]);
void verdict_roll_add(struct verdict_roll *, enum verdict_severity, const enum state states[VERDICT_FAMILIES]);
enum state verdict_roll_state(const struct verdict_roll *);
enum state verdict_roll_family(const struct verdict_roll *, int family);
unsigned verdict_roll_faults(const struct verdict_roll *);

/* ---- What votes on what. Borrowed during verdict_plan only. */
struct verdict_check_plan {
	const char *id, *subject; /* "portal-http", "system/portal" */
	int64_t interval;         /* ns, > 0 */
	unsigned families;        /* bits of FAULT_V4, FAULT_V6, FAULT_OWN */
	enum verdict_severity severity;
	uint32_t attempts;        /* 0: VOTE_ATTEMPTS */
	uint32_t quorum;          /* 0: majority; else 1..vantages_count */
	bool is_anchor;           /* tells about the vantages that run it, not about a subject ("" then) */
	const char *const *vantages;
	size_t vantages_count, limits_count;
	const struct limit_rule *limits;
};

/* ---- Evidence */
struct verdict_value {
	uint32_t metric;
	double number, baseline; /* NAN: none is known */
};
struct verdict_result {
	const char *check, *vantage, *part, *reason;
	enum family family;
	enum outcome outcome;
	int64_t measured; /* real ns */
	size_t count;
	const struct verdict_value *values;
};
/* What one result is worth to its subject, for the incident core. Up only when no vantage sees it fail at present: a cause further
 * up must not be cleared by a vantage that stands on the other side of it. */
enum verdict_evidence { EVIDENCE_NONE, EVIDENCE_UP, EVIDENCE_DOWN };

/* ---- What came of it. Texts live until verdict_clear. */
enum verdict_what {
	VERDICT_BALLOT,  /* vote of one vantage: check, vantage, family, vote */
	VERDICT_FAMILY,  /* state of one family of a check */
	VERDICT_CHECK,   /* pair of a check; state is its worst */
	VERDICT_PAST,    /* state of a family of a subject, FAMILY_NONE the whole, from `since` until the next of these or its
	                  * VERDICT_SUBJECT: what is known now changes what was said, and not the present alone */
	VERDICT_SUBJECT, /* state, faults of a subject */
	VERDICT_VANTAGE, /* is_silent, is_unwell of a vantage */
};
struct verdict_change {
	enum verdict_what what;
	const char *subject, *check, *vantage; /* "" where it says nothing */
	enum family family;
	enum vote vote;         /* ballot */
	enum state was, state;  /* family, check, subject */
	enum pair pair;         /* check */
	unsigned faults;        /* subject: FAULT_* */
	unsigned changed;       /* subject: families whose state changed, as FAULT_* bits; see families_since */
	enum limit_level level; /* family, check, subject */
	bool is_silence;        /* unknown made by silence: provisional, late evidence replaces it */
	bool is_silent, is_unwell; /* vantage: nothing was heard in time; its anchors fail */
	int64_t since, at;      /* measured time from which it holds; the entry that decided */
	const char *reason;     /* words of the evidence, or of the rule */
};

/* ---- Views of the present */
struct verdict_ballot {
	const char *vantage;
	enum family family;
	enum vote vote;   /* as counted: none when the vantage is unwell */
	enum vote said;   /* whatever its anchors say */
	int64_t since, last;
	const char *reason;
};
struct verdict_subject {
	const char *id;
	enum state state, families[VERDICT_FAMILIES]; /* STATE_NONE: nothing asks for it */
	unsigned faults, measured; /* measured: families that are asked for, as FAULT_* bits */
	enum limit_level level;
	int64_t since, interval;   /* interval: the shortest of its critical checks, ns */
	int64_t families_since[VERDICT_FAMILIES];
	const char *reason;
};
struct verdict_counts {
	uint64_t results, unplanned, stale, late, overflow;
};

struct verdict *verdict_new(void);
void verdict_free(struct verdict *); /* accepts NULL */
/* Puts a plan in the place of the one before; what stays (by ids) keeps votes and attempts. -1 with err: a quorum that cannot
 * be reached, an id twice, a limit passed; then nothing has changed. */
int verdict_plan(struct verdict *, const struct verdict_check_plan *, size_t count, int64_t now, struct err *);
/* What a vantage looks through at all that is not behind it ("link/north"). While one of these is down in a family, that vantage's "down"
 * in it is no trouble of a path of its own. After verdict_plan; what the plan does not hold is left out. */
struct verdict_way { const char *vantage, *subject; };
void verdict_ways(struct verdict *, const struct verdict_way *, size_t count);
/* Ingest has been opened: silence is not believed for a while. */
void verdict_opened(struct verdict *, int64_t now);
enum verdict_evidence verdict_result(struct verdict *, const struct verdict_result *, int64_t now,
	const struct verdict_subject **); /* the subject it tells about, NULL with EVIDENCE_NONE */
void verdict_tick(struct verdict *, int64_t now);

const struct verdict_change *verdict_changes(const struct verdict *, size_t *count);
void verdict_clear(struct verdict *); /* forgets the changes */

const struct verdict_subject *verdict_subject(const struct verdict *, const char *id); /* NULL: nothing asks for it */
const struct verdict_subject *verdict_subject_at(const struct verdict *, size_t i);     /* NULL behind the last */
/* Check i of the plan and its subject, "" of an anchor; NULL behind the last. */
const char *verdict_check_at(const struct verdict *, size_t i, const char **subject);
/* Fills up to room ballots of a check; returns how many there are. */
size_t verdict_ballots(const struct verdict *, const char *check, struct verdict_ballot *, size_t room);
enum pair verdict_check_pair(const struct verdict *, const char *check); /* PAIR_NONE: not planned */
/* How limits of a check judge a metric: bits 1 << LIMIT_VALUE, LIMIT_RATIO, LIMIT_FORECAST; 0: none does. */
unsigned verdict_limits_on(const struct verdict *, const char *check, uint32_t metric);
void verdict_counts(const struct verdict *, struct verdict_counts *);

/* Records: record.h. Changed ones since the last save, or all. Restore after verdict_plan, before any result; a record of what is
 * not planned any more is left out and dropped at the next save (0); -1: bytes that are none of ours. verdict_restored ends it. */
void verdict_save(struct verdict *, bool all, const struct record_sink *);
int verdict_restore(struct verdict *, const char *key, const void *data, size_t len, struct err *);
void verdict_restored(struct verdict *);

#endif
