/*
 * answer: what judgement tells the page, as JSON: incidents, and the ledger of one subject. Pure reading.
 */
#ifndef COLLECTOR_JUDGE_ANSWER_H
#define COLLECTOR_JUDGE_ANSWER_H

#include <stddef.h>
#include <stdint.h>

#include "collector/judge/outbox.h"

struct book;
struct err;
struct json;

const char *answer_phase(enum incident_phase); /* "open", "watched", "closed" */
/* One incident as an object, an element of an array. */
void answer_incident(struct json *, const struct outbox_incident *);
/* {"reached", "incidents": the open ones, newest first}. 0, or -1 with err. */
int answer_incidents(struct book *, struct json *, struct err *);
/* {"reached", "begin", "whole", "v4", "v6": [[from, until, state]...], "planned": [[from, until]...] of planned work, "revisions"} of
 * a window, in seconds. */
int answer_ledger(struct book *, const char *subject, int64_t from, int64_t until, struct json *, struct err *);

#endif
