/*
 * icmp_round: the bookkeeping of one round of echoes to one target, and its figures. Pure.
 *
 *   icmp_round_init -> _sent ... _reply, _error ... -> icmp_round_figures -> icmp_round_fini
 *
 * A reply within `wait` of its echo is in time; after it, it is late: slow, not lost. Times in ns.
 * Limit: ICMP_ROUND_MAX echoes.
 */
#ifndef PROBES_ICMP_ROUND_H
#define PROBES_ICMP_ROUND_H

#include <stdbool.h>
#include <stdint.h>

#define ICMP_ROUND_MAX 1000

struct icmp_round {
	unsigned count; /* echoes wanted */
	unsigned sent, answered, late, failed, duplicates;
	int64_t wait;
	int ttl;        /* of the last reply; -1 none */
	uint8_t *state; /* of each echo */
	int64_t *rtt;
};

enum icmp_round_reply {
	ICMP_ROUND_IN_TIME,
	ICMP_ROUND_LATE,
	ICMP_ROUND_DUPLICATE,
	ICMP_ROUND_NOT_SENT, /* no such echo was sent */
};

struct icmp_figures {
	unsigned sent, lost, duplicates, late;
	double loss;                        /* % of sent */
	double min, p25, median, p75, max;  /* s; only when some were answered */
	double jitter;                      /* s: mean difference of successive round-trip times */
	bool has_rtt, has_jitter;           /* answered at all; answered twice */
};

void icmp_round_init(struct icmp_round *, unsigned count, int64_t wait);
void icmp_round_fini(struct icmp_round *);
unsigned icmp_round_sent(struct icmp_round *); /* the index of the echo that was sent */
enum icmp_round_reply icmp_round_reply(struct icmp_round *, unsigned index, int64_t rtt, int ttl);
/* Somebody said that this echo got no further; true when that is news. */
bool icmp_round_error(struct icmp_round *, unsigned index);
/* All were sent and each has its reply or its error: nothing is left to wait for. */
bool icmp_round_is_complete(const struct icmp_round *);
/* Percentiles are of all replies, late ones too, interpolated between the nearest two. */
void icmp_round_figures(const struct icmp_round *, struct icmp_figures *);

#endif
