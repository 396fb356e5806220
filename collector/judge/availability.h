/*
 * availability: figures of a period from exact intervals of state. Pure; all times in real ns, whole seconds.
 *
 * Time that counts is service time: the hours of service within the period, without planned maintenance where that is
 * excluded, and without the time before the subject was monitored at all (it is declared). Of it:
 *   strict    (up + degraded) / counted: what was not measured counts as if it had failed
 *   lenient   (up + degraded) / (counted - unknown): what was not measured is left out
 *   coverage  (counted - unknown) / counted: how much was measured, always beside the two
 * Degraded is in service; figures of one family tell what it hides. An outage is a stretch of down, met in its counted part:
 * clipped at the edges of the period, hours and maintenance, and counted once however often it is clipped.
 * A group (a unit, a city) is the sum of its members, so that group and single figures agree by construction.
 * Fractions are cut to 4 decimals of a percent, never rounded up: 100 % is all of it.
 */
#ifndef COLLECTOR_JUDGE_AVAILABILITY_H
#define COLLECTOR_JUDGE_AVAILABILITY_H

#include <stddef.h>
#include <stdint.h>

#include "collector/judge/calendar.h"
#include "collector/judge/verdict.h"

/* A stretch of one state. Of one subject and family they are sorted and disjoint; between and behind them nothing is known. */
struct stretch {
	int64_t from, until;
	enum state state;
};

struct availability {
	uint64_t members;
	int64_t service;     /* hours of service in the period */
	int64_t maintenance; /* of it, excluded as planned */
	int64_t unmonitored; /* of the rest, before the first stretch */
	int64_t up, degraded, down, unknown;
	uint64_t outages;
	int64_t longest;     /* counted part of the longest outage */
};

/* Of one subject and family. service: its hours in the period; maintenance: what is excluded, may be empty. */
void availability_count(const struct stretch *, size_t count, const struct spans *service,
	const struct spans *maintenance, struct availability *out);
void availability_add(struct availability *sum, const struct availability *member);

int64_t availability_counted(const struct availability *); /* up + degraded + down + unknown */
/* Ten-thousandths of a percent, 0..1000000; -1: nothing to count. */
int availability_strict(const struct availability *);
int availability_lenient(const struct availability *);
int availability_coverage(const struct availability *);
int64_t availability_mttr(const struct availability *); /* mean time to repair; -1: no outage */
int64_t availability_mtbf(const struct availability *); /* mean time in service between outages; -1: no outage */

#endif
