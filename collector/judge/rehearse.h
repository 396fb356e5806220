/*
 * rehearse: an inventory judged in virtual time, for rules that are tried before they are trusted. Pure.
 *
 *   rehearse_new -> (rehearse_outcome, rehearse_request ...) -> rehearse_until a time -> views, rehearse_until ... -> rehearse_free
 *
 * Every check of the inventory runs in its rhythm at each of its vantages, asks again soon after a fresh failure as agents
 * do, and is up unless rehearse_outcome says otherwise. Results arrive REHEARSE_WAY after they were measured; a tick
 * comes every second, as in the journal. Thread: one.
 */
#ifndef COLLECTOR_JUDGE_REHEARSE_H
#define COLLECTOR_JUDGE_REHEARSE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/judge/incident.h"
#include "collector/judge/verdict.h"
#include "lib/clock.h"
#include "lib/sample.h"

#define REHEARSE_WAY NS_PER_S
#define REHEARSE_START (INT64_C(1790000000) * NS_PER_S) /* 2026-09-21 22:13:20 in Asia/Shanghai */

struct err;
struct inventory;
struct inventory_check;
struct rehearse;
struct verdict;

struct rehearse_options {
	/* What a check is found to be at a time by one vantage in one family; the reason into *reason. false: nothing is measured then. */
	bool (*outcome)(void *ctx, const struct inventory_check *, const char *vantage, enum family, int64_t at, enum outcome *,
		const char **reason);
	/* Its values at that time, where it is up; fills up to room, returns how many. NULL: none. */
	size_t (*values)(void *ctx, const struct inventory_check *, const char *vantage, enum family, int64_t at,
		struct verdict_value *out, size_t room);
	void (*on_intent)(void *ctx, const struct incident_intent *, int64_t now);
	void *ctx;
	struct incident_settings settings; /* how it is told */
};

/* The inventory must outlive it. NULL with err: it cannot be judged. */
struct rehearse *rehearse_new(const struct inventory *, const struct rehearse_options *, struct err *);
void rehearse_free(struct rehearse *); /* accepts NULL */
/* Plays on, up to and with `at`. */
void rehearse_until(struct rehearse *, int64_t at);
/* What people do, now. -1 with err when it is refused. */
int rehearse_request(struct rehearse *, const struct incident_event *, struct err *);
const struct incidents *rehearse_incidents(const struct rehearse *);
const struct verdict *rehearse_verdict(const struct rehearse *);

#endif
