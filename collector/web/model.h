/*
 * model: what the pages show: the inventory with the latest outcome of each check per vantage and family, folded
 * into states of systems, links, sites and hosts.
 *
 *   model_new -> (model_take row ... -> model_settle now) ... -> model_free
 *
 * The states of subjects are those that judgement gives (votes, maintenance), handed over by model_judge. While it has not
 * spoken for MODEL_UNJUDGED they are folded from the latest outcomes, and model_is_judged says so; those of
 * checks and rows always are. The rules of that, so that unknown is never shown as up:
 *   vantage   of the parts (addresses) of one family that were measured lately; none: unknown. Mixed: degraded.
 *   check     per family: of its vantages that know. Mixed: degraded. None knows: unknown.
 *   subject   per family: of its checks. Up and down mixed: degraded; one unknown beside others up: unknown.
 *   over the families the same. No check at all: none ("not monitored"), which is not unknown.
 * An outcome is old after 3 intervals and 20 s without a new one, and when its time is not yet (our clock was put back); it
 * then counts as unknown. An agent is lost when all it said is old, but nobody is lost to a collector that was not there:
 * the time before `opened` and two minutes after it, in which agents come back, do not count.
 * Every visible change gives its subject and check the next version. Pure. Thread: one.
 * Limits: MODEL_PARTS of a check, vantage and family.
 */
#ifndef COLLECTOR_WEB_MODEL_H
#define COLLECTOR_WEB_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/inventory.h"
#include "lib/clock.h"
#include "lib/sample.h"

struct channel_row;
struct model;

#define MODEL_PARTS 256
#define MODEL_UNJUDGED (30 * NS_PER_S) /* between what is judged and now */

/* In order of worry. */
enum model_state {
	MODEL_NONE, MODEL_UP, MODEL_MAINTENANCE, MODEL_UNKNOWN, MODEL_DEGRADED, MODEL_DOWN, MODEL_STATES
};
const char *model_state_name(enum model_state); /* "none", "up", "maintenance", "unknown", "degraded", "down" */

enum { MODEL_V4, MODEL_V6, MODEL_FAMILIES };

/* One series and its latest outcome. Texts owned, never NULL. */
struct model_row {
	const char *vantage; /* of the inventory */
	enum family family;
	char *part, *address, *reason;
	uint32_t part_number, interval_s;
	enum outcome outcome; /* as measured */
	bool is_old, is_gone; /* no new one came in time; another part took its place */
	int64_t measured, since;
};

struct model_check {
	const struct inventory_check *of;
	struct model_subject *subject;
	struct model_row *rows;
	size_t rows_count;
	enum model_state families[MODEL_FAMILIES];
	uint64_t changed;
	bool is_dirty;
};

struct model_subject {
	enum subject_kind kind;
	const char *id, *name, *name_en;
	const void *of; /* inventory_system, _link, _site or _agent */
	struct model_check **checks;
	size_t checks_count;
	struct model_judgement {
		enum model_state state, families[MODEL_FAMILIES];
		int64_t since; /* real ns, 0 not known */
	} now, judged; /* as shown; as judgement said last */
	uint64_t changed;
	bool is_dirty;
};

struct model_site {
	const struct inventory_site *of;
	struct model_site *parent, **children;
	size_t children_count;
	struct model_subject *self, *link; /* link: NULL at the root */
};

struct model_agent {
	const struct inventory_agent *of;
	int64_t seen; /* newest measured, real ns; 0 never */
	bool is_lost; /* silent while it could be heard, or never heard */
	uint64_t changed;
};

/* before: the model of the generation before, whose rows are taken over; NULL. The inventory must outlive it. */
struct model *model_new(const struct inventory *, const struct model *before);
void model_set_opened(struct model *, int64_t opened); /* since when agents can be heard, real ns; 0: always */
void model_free(struct model *); /* accepts NULL */
/* A row of the catalogue. False: not of this inventory, left out. */
bool model_take(struct model *, const struct channel_row *);
/* Folds what has come and what has become old; true when something visible changed. */
bool model_settle(struct model *, int64_t now);

/* What judgement said: all subjects that it has (the others are not monitored), and how far in time it is. */
void model_judge_begin(struct model *);
void model_judge(struct model *, const char *subject, const struct model_judgement *);
void model_judged_up_to(struct model *, int64_t reached);
bool model_is_judged(const struct model *); /* as of the last model_settle */

const struct inventory *model_inventory(const struct model *);
uint64_t model_version(const struct model *);
size_t model_rows(const struct model *);
int64_t model_newest(const struct model *); /* newest measured, real ns; 0 none */

/* Arrays in the order of the inventory; systems, then links, sites, hosts. */
const struct model_subject *model_subjects(const struct model *, enum subject_kind, size_t *count);
const struct model_subject *model_subject(const struct model *, enum subject_kind, const char *id); /* or NULL */
const struct model_check *model_checks(const struct model *, size_t *count);
const struct model_check *model_check(const struct model *, const char *id); /* or NULL */
const struct model_site *model_sites(const struct model *, size_t *count);
const struct model_site *model_site(const struct model *, const char *id); /* or NULL */
const struct model_agent *model_agents(const struct model *, size_t *count);

enum model_state model_unit_state(const struct model *, const struct inventory_unit *, size_t counts[MODEL_STATES],
	uint64_t *changed);
enum model_state model_row_state(const struct model_row *);
/* Fold of counts as a check does (unknown beside known does not count), and as a subject does. */
enum model_state model_fold(const size_t counts[MODEL_STATES], bool unknown_counts);

#endif
