/*
 * figures: availability of systems or of a link over a period, from the ledger: what the command and the API both answer.
 *
 *   figures_make -> rows and their sum, figures_write -> figures_fini
 *
 * Reads only. Thread: that of the sources.
 */
#ifndef COLLECTOR_FIGURES_H
#define COLLECTOR_FIGURES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "collector/judge/availability.h"
#include "collector/judge/calendar.h"
#include "lib/sample.h"

struct buf;
struct err;
struct inventory;
struct json;
struct ledger;
struct planned;

/* unit, system, link: at most one of them, else NULL: all systems. */
struct figures_wish {
	const char *period, *unit, *system, *link;
	enum family family;    /* FAMILY_NONE: the whole */
	bool always, measured; /* all hours; without people's corrections */
	bool with_planned;     /* planned work counts as any other time */
};

struct figures_sources {
	const struct inventory *inventory;
	const struct calendar *calendar; /* NULL: none is set */
	struct ledger *ledger;
	struct planned *planned;
};

struct figure {
	const char *subject, *name; /* the name is that of the inventory */
	struct availability a;
	unsigned revisions;
};

struct figures {
	struct figure *rows;
	size_t count;
	struct availability sum;
	struct span period; /* clipped to what the ledger reaches */
	bool is_partial;
};

enum figures_status { FIGURES_FINE, FIGURES_FAILED, FIGURES_WRONG }; /* wrong: the question */
/* Whatever comes of it: figures_fini. */
enum figures_status figures_make(const struct figures_wish *, const struct figures_sources *, struct figures *, struct err *);
void figures_fini(struct figures *);

/* A table for people, JSON, or CSV for spreadsheets (RFC 4180, UTF-8 with a mark). */
enum figures_form { FIGURES_TABLE, FIGURES_JSON, FIGURES_CSV, FIGURES_FORMS };
void figures_write(const struct figures_wish *, const struct figures *, enum figures_form, struct buf *out);
void figures_json(const struct figures_wish *, const struct figures *, struct json *);

#endif
