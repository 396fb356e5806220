#include "collector/judge/where.h"

#include <stdlib.h>
#include <string.h>

#include "collector/inventory.h"
#include "collector/judge/plan.h"
#include "collector/judge/topology.h"
#include "collector/judge/verdict.h"
#include "lib/buf.h"
#include "lib/mem.h"

#define SIGHTS 128 /* of one subject from all its vantages */

/* Vantages by the side of a link that they stand on. */
struct sides { unsigned above, above_failed, below, below_reached; };

static bool is_below(const struct where *w, const char *agent, const struct inventory_link *link)
{
	const struct inventory_agent *a = inventory_agent(w->inventory, agent);
	const struct inventory_site *s = a == NULL ? NULL : a->of_site;

	while (s != NULL && s != link->of_site)
		s = s->of_parent;
	return s != NULL;
}

/* From one vantage: failed when one check did. */
struct look { bool known, failed; };

static void look_through(const struct where *w, const char *check, struct look *looks)
{
	struct verdict_ballot *ballots = mem_array(VERDICT_VANTAGES * VERDICT_FAMILIES, sizeof *ballots);
	size_t count = verdict_ballots(w->verdict, check, ballots, VERDICT_VANTAGES * VERDICT_FAMILIES);

	for (size_t i = 0; i < count; i++) {
		const struct inventory_agent *a = inventory_agent(w->inventory, ballots[i].vantage);

		if (a == NULL)
			continue;
		looks[a - w->inventory->agents].failed |= ballots[i].vote == VOTE_DOWN;
		looks[a - w->inventory->agents].known |= ballots[i].vote != VOTE_NONE && ballots[i].vote != VOTE_UNKNOWN;
	}
	free(ballots);
}

static void count_sides(const struct where *w, const struct inventory_link *link, const struct look *looks, struct sides *out)
{
	for (size_t i = 0; i < w->inventory->agents_count; i++) {
		bool below = is_below(w, w->inventory->agents[i].id, link);

		out->above += looks[i].known && !below;
		out->above_failed += looks[i].failed && !below;
		out->below += looks[i].known && below;
		out->below_reached += looks[i].known && below && !looks[i].failed;
	}
}

/* Of a link that failed: which side says so? Its lower end, which is what is asked, may well answer from below. */
static void say_sides(const struct where *w, const struct verdict_change *c, struct buf *reason)
{
	const struct inventory_link *link = inventory_link(w->inventory, c->subject + sizeof "link/" - 1);
	struct look *looks = mem_array(w->inventory->agents_count, sizeof *looks);
	struct sides sides = {0};

	for (size_t i = 0; link != NULL && i < w->inventory->checks_count; i++)
		if (strcmp(w->inventory->checks[i].subject, c->subject) == 0)
			look_through(w, w->inventory->checks[i].id, looks);
	if (link != NULL)
		count_sides(w, link, looks, &sides);
	free(looks);
	if (sides.above + sides.below < 2)
		return;
	if (sides.above > 0)
		buf_add_format(reason, "; not reached by %u of %u vantages above it", sides.above_failed, sides.above);
	if (sides.below > 0)
		buf_add_format(reason, "; reached by %u of %u vantages below it", sides.below_reached, sides.below);
}

/* What explains that some vantages do not reach a subject over that family; TOPOLOGY_NONE: all do, none does, or it is the subject. */
static uint32_t find_break(const struct where *w, const char *subject, enum family family)
{
	const struct topology *t = w->tree;
	struct topology_sight sights[SIGHTS];
	size_t count = plan_sights(w->verdict, t, subject, family, sights, SIGHTS), reached = 0;
	uint32_t where;

	for (size_t i = 0; i < count; i++)
		reached += sights[i].reached;
	if (reached == 0 || reached == count || topology_locate(t, sights, count, &where, 1) == 0 ||
		where == topology_find(t, subject))
		return TOPOLOGY_NONE;
	return where;
}

/* Of a site, or of an agent; NULL: it is neither. */
static const struct inventory_site *site_of(const struct where *w, const char *id)
{
	const struct inventory_agent *a = strncmp(id, "agent/", 6) == 0 ? inventory_agent(w->inventory, id + 6) : NULL;

	if (a != NULL)
		return a->of_site;
	return strncmp(id, "site/", 5) == 0 ? inventory_site(w->inventory, id + 5) : NULL;
}

/* Of what some vantages reach and others do not: where on their ways does it break? A whole site, or the vantage there, is its
 * link, where it has one. */
static void say_break(const struct where *w, const struct verdict_change *c, struct buf *reason)
{
	uint32_t where = find_break(w, c->subject, FAMILY_V4);
	const struct inventory_site *s;
	const char *id;

	if (where == TOPOLOGY_NONE)
		where = find_break(w, c->subject, FAMILY_V6);
	if (where == TOPOLOGY_NONE)
		return;
	id = topology_node(w->tree, where)->id;
	s = site_of(w, id);
	buf_add_format(reason, "; the way breaks at %s%s", s != NULL && s->up != NULL ? "link/" : "",
		s != NULL && s->up != NULL ? s->up->id : id);
}

void where_say(const struct where *w, const struct verdict_change *c, struct buf *reason)
{
	if ((c->faults & (FAULT_V4 | FAULT_V6)) != 0 && strncmp(c->subject, "link/", sizeof "link/" - 1) == 0)
		say_sides(w, c, reason);
	else if (c->faults != 0)
		say_break(w, c, reason);
}
