/*
 * inventory: what is monitored, read from inventory.d/ (all *.conf files together make one inventory): units, systems,
 * sites and links, agents, checks. A plain record in one arena; found by id through hash tables; pure but for
 * inventory_load.
 *
 *   inventory_load (or an error with file:line) -> read only, by id or in the order of the files -> inventory_free
 *
 * Ids are [a-z0-9-], unique per kind. All references are resolved: pointers of_* are never NULL (but of_parent at the
 * root). `was = "old-id"` on a check or agent keeps its history over a rename.
 * Limits: 100,000 of a kind per file, WIRE_CHECKS_MAX checks and WIRE_BODY_MAX bytes of assignments per agent.
 */
#ifndef COLLECTOR_INVENTORY_H
#define COLLECTOR_INVENTORY_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "lib/config.h"

struct err;
struct wire_assignments;
struct settings_series;
struct catalog_type;

enum inventory_level { LEVEL_CITY, LEVEL_COUNTY, LEVEL_TOWN, LEVEL_VILLAGE };
enum inventory_families { FAMILIES_BOTH, FAMILIES_IPV4, FAMILIES_IPV6 };
enum subject_kind { SUBJECT_SYSTEM, SUBJECT_LINK, SUBJECT_SITE, SUBJECT_HOST };

struct inventory_unit {
	const char *id, *name, *name_en;
	struct config_texts service; /* hours of service of its systems (judge/calendar.h) */
	struct config_where where;
};
struct inventory_system {
	const char *id, *name, *name_en;
	const char *unit; /* id */
	struct config_texts depends; /* ids of systems or links; no cycles */
	struct config_texts either;  /* the same, of which one suffices */
	struct config_texts service; /* hours of service; none: those of its unit */
	struct config_where where;
	const struct inventory_unit *of_unit;
};
struct inventory_site {
	const char *id, *name, *name_en;
	int level;          /* enum inventory_level */
	const char *parent; /* id; "" at the root */
	struct config_where where;
	const struct inventory_site *of_parent;
	const struct inventory_link *up; /* the link to the parent; NULL at the root and where none is listed */
};
struct inventory_link {
	const char *id, *name;
	const char *site;   /* the lower end: the edge from this site to its parent */
	const char *ipv4, *ipv6; /* addresses of the lower end; "" where it has none */
	struct config_where where;
	const struct inventory_site *of_site;
};
struct inventory_agent {
	const char *id, *name, *name_en;
	const char *site;   /* where it stands */
	const char *was;    /* "" or the id that it had before */
	struct config_where where;
	const struct inventory_site *of_site;
};
struct inventory_check {
	const char *id;
	const char *type;
	const char *subject;     /* "system/<id>", "link/<id>", "site/<id>", "host/<agent id>" */
	struct config_texts vantages; /* agent ids, at least one */
	int64_t interval, timeout; /* ns: whole seconds; whole milliseconds, less than interval */
	int families;            /* enum inventory_families */
	bool priority;
	int severity;            /* enum verdict_severity */
	int64_t quorum;          /* vantages that must agree on "down"; 0: the majority */
	bool anchor;             /* tells whether its vantages are well, not about a subject */
	struct config_texts limits; /* each read by limit_parse */
	const char *was;         /* "" or the id that it had before */
	/* Of the type, sorted by key. A check of a link that names no host has that of the link. */
	struct config_pairs options;
	struct config_where where;
	/* made by the loader: */
	const struct catalog_type *of_type;
	void *of_options;        /* the type's options struct */
	enum subject_kind subject_kind;
	const char *subject_id;
};

struct inventory {
	/* Hash over all that is said here but where: the same for the same records in other files, orders, words of
	 * comments. Never 0. */
	uint64_t generation;
	size_t units_count, systems_count, sites_count, links_count, agents_count, checks_count;
	struct inventory_unit *units;
	struct inventory_system *systems;
	struct inventory_site *sites;
	struct inventory_link *links;
	struct inventory_agent *agents;
	struct inventory_check *checks;
	struct inventory_index *index;
};

extern const struct config_schema inventory_schema; /* of one file, for the manual */

struct inventory *inventory_load(const char *folder, struct err *);
void inventory_free(struct inventory *); /* accepts NULL */
const struct inventory_unit *inventory_unit(const struct inventory *, const char *id);
const struct inventory_system *inventory_system(const struct inventory *, const char *id);
const struct inventory_site *inventory_site(const struct inventory *, const char *id);
const struct inventory_link *inventory_link(const struct inventory *, const char *id);
const struct inventory_agent *inventory_agent(const struct inventory *, const char *id);
const struct inventory_check *inventory_check(const struct inventory *, const char *id);
/* May this agent report this check? Those that name it as a vantage. */
bool inventory_may_report(const struct inventory *, const char *agent, const char *check);
/* What the agent is to do, encoded by wire_assignments_encode; *generation is a hash of just that, so that a change
 * elsewhere does not reach it. 0, or -1 when the agent is not known. */
struct buf;
int inventory_assignments(const struct inventory *, const char *agent, struct buf *out, uint64_t *generation);
/* What a change adds, removes and alters; files and bytes of series. 0, or -1 with err when it will not fit. */
int inventory_plan(const struct inventory *old, const struct inventory *now, const struct settings_series *, FILE *out,
	struct err *);

#endif
