/*
 * sim_city: each link of the example city cut once, in virtual time: is the right one named, and alone?
 *
 *   sim_city [--edges N]      N links, spread over the tree (12); 2000: all of them
 *
 * The city of conf/city: its sites, links and systems, and its vantages at three levels. Each link is measured by all three, each minute
 * and in both families; each unit has a system more, that needs one of the links. A link is cut for CUT in both families or in one, then
 * repaired. Who stands behind a cut of both is not heard.
 * Judged: operations are told of that link, once, and each unit with a system behind it, once; nobody of anything else; all behind
 * it is listed; the way on which vantages fail is broken at that link, and those above it agree; all is closed once when it is repaired.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collector/inventory.h"
#include "collector/judge/plan.h"
#include "collector/judge/rehearse.h"
#include "collector/judge/topology.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"

#define CITY "conf/city/inventory.d"
#define MINUTE (60 * NS_PER_S)
#define CUT (6 * MINUTE)
#define SIGHTS 20000

struct city {
	struct inventory *inventory;
	struct rehearse *rehearse;
	struct topology *topology;
	struct topology_sight *sights;
	bool *is_below;                /* of each site: behind the cut */
	const struct inventory_link *cut; /* NULL: none */
	unsigned families;             /* that are cut */
	struct buf told;               /* "problem link/x @", a line each */
	bool bad;
};

static void wrong(struct city *c, const char *what, const char *is)
{
	printf("%s cut in families %u: %s%s%s\n", c->cut == NULL ? "nothing" : c->cut->id, c->families, what,
		is[0] == '\0' ? "" : ": ", is);
	c->bad = true;
}

/* ---- the inventory: that of the city with other checks, below a folder of its own */

static void run(const char *command)
{
	if (system(command) != 0)
		exit(2);
}

static struct inventory *load(const char *folder)
{
	struct err e;
	struct inventory *v = inventory_load(folder, &e);

	if (v == NULL) {
		fprintf(stderr, "%s\n", e.text);
		exit(2);
	}
	return v;
}

static void write_checks(const struct inventory *v, const char *folder)
{
	char *path = mem_format("%s/70-sim.conf", folder);
	FILE *f = fopen(path, "w");

	fprintf(f, "systems = (\n");
	for (size_t i = 0; i < v->units_count; i++)
		fprintf(f, "%s{ id = \"sim-%zu\"; unit = \"%s\"; name = \"sim\"; depends = [ \"%s\" ]; }", i == 0 ? "" : ",\n", i,
			v->units[i].id, v->links[i * 41 % v->links_count].id);
	fprintf(f, ");\nchecks = (\n");
	for (size_t i = 0; i < v->links_count; i++)
		fprintf(f, "{ id = \"l-%zu\"; type = \"icmp\"; subject = \"link/%s\"; interval = \"60s\"; host = \"l.example\";"
			" vantages = [ \"%s\", \"%s\", \"%s\" ]; },\n", i, v->links[i].id, v->agents[0].id, v->agents[1].id,
			v->agents[2].id);
	for (size_t i = 0; i < v->units_count; i++)
		fprintf(f, "%s{ id = \"s-%zu\"; type = \"tcp\"; subject = \"system/sim-%zu\"; interval = \"60s\"; host = \"s.example\";"
			" port = 443; vantages = [ \"%s\" ]; }", i == 0 ? "" : ",\n", i, i, v->agents[0].id);
	fprintf(f, ");\n");
	fclose(f);
	free(path);
}

static struct inventory *make_inventory(void)
{
	char folder[] = "/tmp/xj-sim-city-XXXXXX", *command;
	struct inventory *v;

	if (mkdtemp(folder) == NULL)
		exit(2);
	command = mem_format("cp " CITY "/[1-5]*.conf %s", folder);
	run(command);
	free(command);
	v = load(folder);
	write_checks(v, folder);
	inventory_free(v);
	v = load(folder);
	command = mem_format("rm -r %s", folder);
	run(command);
	free(command);
	return v;
}

/* ---- what is reached */

static bool is_behind(const struct city *c, const struct inventory_site *s)
{
	return c->is_below[s - c->inventory->sites];
}

/* Behind which site a check looks: that of its link; of a system that of the link that it needs. */
static const struct inventory_site *target_of(const struct city *c, const struct inventory_check *check)
{
	const char *id = strchr(check->subject, '/') + 1;

	if (strncmp(check->subject, "system/", 7) == 0)
		id = inventory_system(c->inventory, id)->depends.items[0];
	return inventory_link(c->inventory, id)->of_site;
}

static bool outcome(void *ctx, const struct inventory_check *check, const char *vantage, enum family family, int64_t at,
	enum outcome *out, const char **reason)
{
	const struct city *c = ctx;
	bool from;

	(void)at;
	*out = OUTCOME_UP;
	if (c->cut == NULL)
		return true;
	from = is_behind(c, inventory_agent(c->inventory, vantage)->of_site);
	if (from && c->families == (FAULT_V4 | FAULT_V6))
		return false;
	if ((c->families & 1u << verdict_family_index(family)) != 0 && from != is_behind(c, target_of(c, check))) {
		*out = OUTCOME_DOWN;
		*reason = "timeout";
	}
	return true;
}

static void on_intent(void *ctx, const struct incident_intent *in, int64_t now)
{
	struct city *c = ctx;

	(void)now;
	if (in->kind != INTENT_PROBE)
		buf_add_format(&c->told, "%s %s @%s\n", incident_intent_name(in->kind), in->subject, in->audience);
}

static void cut(struct city *c, const struct inventory_link *link, unsigned families)
{
	c->cut = link;
	c->families = families;
	for (size_t i = 0; i < c->inventory->sites_count; i++) {
		const struct inventory_site *at = &c->inventory->sites[i];

		while (at != NULL && at != link->of_site)
			at = at->of_parent;
		c->is_below[i] = at != NULL;
	}
}

/* ---- judging */

static size_t count_behind(const struct city *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->inventory->links_count; i++)
		n += is_behind(c, c->inventory->links[i].of_site);
	for (size_t i = 0; i < c->inventory->checks_count; i++)
		n += strncmp(c->inventory->checks[i].subject, "system/", 7) == 0 &&
			is_behind(c, target_of(c, &c->inventory->checks[i]));
	for (size_t i = 0; i < c->inventory->agents_count && c->families == (FAULT_V4 | FAULT_V6); i++)
		n += is_behind(c, c->inventory->agents[i].of_site);
	return n;
}

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Exactly these lines were told, in any order. */
static void judge_told(struct city *c, const char *kind)
{
	char *lines[2000], *others[100], *text = mem_strdup(buf_text(&c->told)), *rest = text;
	size_t count = 0, n = 0;

	while (*rest != '\0' && count < sizeof lines / sizeof *lines)
		lines[count++] = strsep(&rest, "\n");
	qsort(lines, count, sizeof *lines, by_text);
	others[n++] = mem_format("%s link/%s @", kind, c->cut->id);
	for (size_t i = 0; i < c->inventory->systems_count && n < 100; i++) {
		const struct inventory_system *s = &c->inventory->systems[i];

		if (strncmp(s->id, "sim-", 4) == 0 && is_behind(c, inventory_link(c->inventory, s->depends.items[0])->of_site))
			others[n++] = mem_format("%s link/%s @%s", kind, c->cut->id, s->unit);
	}
	qsort(others, n, sizeof *others, by_text);
	if (count != n)
		wrong(c, "not as many notices as there are to be told", count == 0 ? "none" : lines[0]);
	for (size_t i = 0; i < n && count == n; i++)
		if (strcmp(lines[i], others[i]) != 0)
			wrong(c, lines[i], others[i]);
	for (size_t i = 0; i < n; i++)
		free(others[i]);
	free(text);
	buf_clear(&c->told);
}

static void judge_incident(struct city *c)
{
	const struct incidents *incidents = rehearse_incidents(c->rehearse);
	struct incident_counts counts;
	struct incident_view view;
	struct incident_affected a;
	char *root = mem_format("link/%s", c->cut->id);
	size_t now = 0;

	incidents_counts(incidents, &counts);
	if (counts.open != 1 || counts.held != 0 || !incidents_at(incidents, 0, &view)) {
		wrong(c, "not one incident is open", "");
	} else {
		for (size_t k = 0; incidents_affected(incidents, view.id, k, &a); k++)
			now += a.to == 0;
		if (strcmp(view.subject, root) != 0)
			wrong(c, "the cause is another one", view.subject);
		if (now != count_behind(c))
			wrong(c, "not all that is behind it is affected by it", "");
	}
	free(root);
}

static void judge_way(struct city *c, enum family family)
{
	size_t count = plan_sights(rehearse_verdict(c->rehearse), c->topology, NULL, family, c->sights, SIGHTS);
	char *root = mem_format("link/%s", c->cut->id);
	uint32_t found[2];

	if (topology_locate(c->topology, c->sights, count, found, 2) != 1 ||
		strcmp(topology_node(c->topology, found[0])->id, root) != 0)
		wrong(c, "the way is broken elsewhere", "");
	free(root);
}

static void cut_once(struct city *c, const struct inventory_link *link, unsigned families, int64_t *now)
{
	cut(c, link, families);
	rehearse_until(c->rehearse, *now += CUT);
	judge_incident(c);
	for (int f = 0; f < VERDICT_OWN; f++)
		if ((families & 1u << f) != 0)
			judge_way(c, verdict_family(f));
	judge_told(c, "problem");
	c->families = 0;
	rehearse_until(c->rehearse, *now += CUT);
	judge_told(c, "close");
	c->cut = NULL;
}

static void begin(struct city *c)
{
	struct plan plan;
	struct err e;

	*c = (struct city){.inventory = make_inventory()};
	c->is_below = mem_array(c->inventory->sites_count, sizeof *c->is_below);
	c->sights = mem_array(SIGHTS, sizeof *c->sights);
	c->rehearse = rehearse_new(c->inventory, &(struct rehearse_options){.outcome = outcome, .on_intent = on_intent, .ctx = c}, &e);
	if (c->rehearse == NULL || plan_make(c->inventory, &plan, &e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		exit(2);
	}
	c->topology = plan_take_topology(&plan);
	plan_fini(&plan);
}

static void end(struct city *c)
{
	rehearse_free(c->rehearse);
	topology_free(c->topology);
	inventory_free(c->inventory);
	buf_fini(&c->told);
	free(c->is_below);
	free(c->sights);
}

int main(int argc, char **argv)
{
	static const unsigned families[] = {FAULT_V4 | FAULT_V6, FAULT_V6, FAULT_V4};
	size_t edges = 12, done = 0, stride;
	int64_t now = REHEARSE_START;
	time_t began = time(NULL);
	struct city c;

	for (int i = 1; i + 1 < argc; i += 2)
		if (strcmp(argv[i], "--edges") == 0)
			edges = strtoul(argv[i + 1], NULL, 10);
	begin(&c);
	rehearse_until(c.rehearse, now += CUT);
	if (c.told.len > 0)
		wrong(&c, "it is not well to begin with", buf_text(&c.told));
	stride = edges >= c.inventory->links_count ? 1 : c.inventory->links_count / edges;
	for (size_t i = 0; i < c.inventory->links_count && !c.bad; i += stride, done++)
		cut_once(&c, &c.inventory->links[i], families[done % 3], &now);
	printf("  figure: the city: %zu of %zu links cut once: the right one named each time, told once and closed once, in %.0f s\n",
		c.bad ? done - 1 : done, c.inventory->links_count, difftime(time(NULL), began));
	end(&c);
	return c.bad;
}
