#include "collector/web/api.h"

#include <stdio.h>
#include <string.h>

#include "collector/reason.h"
#include "collector/settings.h"
#include "collector/web/json.h"
#include "collector/web/model.h"
#include "collector/web/server.h"
#include "collector/web/state.h"
#include "collector/web/words.h"
#include "lib/clock.h"
#include "probes/catalog.h"

#define DEFAULT_SITES 200

/* ---- answers made of the model */

/* Alike as long as neither states nor times of measurement have changed. */
static void answer_json(struct web *w, struct server_request *r, struct json *j)
{
	char etag[96];

	snprintf(etag, sizeof etag, "\"%llx.%llx.%llx\"", (unsigned long long)w->instance,
		(unsigned long long)model_version(w->model), (unsigned long long)model_newest(w->model));
	server_answer(r, &(struct server_answer){.status = 200, .type = "application/json", .etag = etag,
		.cache = "no-cache", .body = &j->out});
}

static void put_subject_head(struct json *j, const struct model_subject *s)
{
	json_text(j, "id", s->id);
	json_text(j, "name", s->name);
	json_text(j, "name_en", s->name_en);
	words_states(j, s);
	json_int(j, "checks", (int64_t)s->checks_count);
}

static void put_version(struct json *j, const struct web *w)
{
	char text[48];

	snprintf(text, sizeof text, "%llx.%llx", (unsigned long long)w->instance,
		(unsigned long long)model_version(w->model));
	json_text(j, "version", text);
}

static void put_units(struct json *j, const struct model *m)
{
	const struct inventory *v = model_inventory(m);

	json_open(j, "units", '[');
	for (size_t i = 0; i < v->units_count; i++)
		words_unit(j, m, &v->units[i], true);
	json_close(j, ']');
}

static void put_systems(struct json *j, const struct model *m)
{
	const struct inventory *v = model_inventory(m);
	size_t n;
	const struct model_subject *s = model_subjects(m, SUBJECT_SYSTEM, &n);

	json_open(j, "systems", '[');
	for (size_t i = 0; i < n; i++) {
		json_open(j, NULL, '{');
		put_subject_head(j, &s[i]);
		json_text(j, "unit", v->systems[i].unit);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void put_agents(struct json *j, const struct model *m)
{
	size_t n;
	const struct model_agent *a = model_agents(m, &n);

	json_open(j, "agents", '[');
	for (size_t i = 0; i < n; i++)
		words_agent(j, &a[i], true);
	json_close(j, ']');
}

void api_overview(void *ctx, struct server_request *r)
{
	struct web *w = ctx;
	struct json j = {0};

	json_open(&j, NULL, '{');
	put_version(&j, w);
	json_text(&j, "name", w->settings->name);
	words_clock(&j, w, clock_real());
	words_totals(&j, w->model);
	put_units(&j, w->model);
	put_systems(&j, w->model);
	put_agents(&j, w->model);
	json_close(&j, '}');
	answer_json(w, r, &j);
}

/* ---- a check and its rows */

static void put_row(struct json *j, const struct model_row *row)
{
	json_open(j, NULL, '{');
	json_text(j, "vantage", row->vantage);
	json_int(j, "family", (int64_t)row->family);
	json_int(j, "part", row->part_number);
	json_text(j, "part_name", row->part);
	json_text(j, "address", row->address);
	json_text(j, "state", model_state_name(model_row_state(row)));
	json_text(j, "outcome", row->outcome == 0 ? "" : outcome_name(row->outcome));
	reason_put(j, row->reason);
	json_time(j, "measured", row->measured);
	json_time(j, "since", row->since);
	json_bool(j, "old", row->is_old);
	json_bool(j, "gone", row->is_gone);
	json_close(j, '}');
}

static void put_vantages(struct json *j, const struct model *m, const struct inventory_check *c)
{
	json_open(j, "vantages", '[');
	for (size_t i = 0; i < c->vantages.count; i++) {
		const struct inventory_agent *a = inventory_agent(model_inventory(m), c->vantages.items[i]);

		json_open(j, NULL, '{');
		json_text(j, "id", c->vantages.items[i]);
		json_text(j, "name", a != NULL ? a->name : c->vantages.items[i]);
		json_text(j, "name_en", a != NULL ? a->name_en : "");
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void put_families(struct json *j, const struct inventory_check *c)
{
	bool is_own = !catalog_has_family(c->of_type, c->of_options);

	json_open(j, "families", '[');
	if (is_own)
		json_int(j, NULL, 0);
	if (!is_own && c->families != 2)
		json_int(j, NULL, 4);
	if (!is_own && c->families != 1)
		json_int(j, NULL, 6);
	json_close(j, ']');
}

static void put_metric(struct json *j, const struct metric *metric)
{
	json_int(j, "metric", metric->number);
	json_text(j, "name", metric->name);
	json_text(j, "unit", metric->unit);
	json_text(j, "label_zh", metric->label_zh);
	json_text(j, "label_en", metric->label_en);
}

/* The pair of families, where a check asks for both. Degraded is reached; one that is not known makes the pair unknown. */
static const char *pair_name(const enum model_state families[MODEL_FAMILIES])
{
	enum model_state v4 = families[MODEL_V4], v6 = families[MODEL_V6];

	if (v4 == MODEL_UNKNOWN || v6 == MODEL_UNKNOWN)
		return "unknown";
	if (v4 == MODEL_DOWN)
		return v6 == MODEL_DOWN ? "down" : "v6-only";
	return v6 == MODEL_DOWN ? "v4-only" : "up";
}

static void put_check(struct json *j, const struct model *m, const struct model_check *c)
{
	json_open(j, NULL, '{');
	json_text(j, "id", c->of->id);
	json_text(j, "type", c->of->type);
	if (catalog_has_target(c->of->of_type, c->of->of_options))
		json_text(j, "target", catalog_target_options(c->of->of_options).name);
	json_text(j, "subject", c->of->subject);
	json_number(j, "interval", (double)c->of->interval / (double)NS_PER_S, 6);
	json_bool(j, "priority", c->of->priority);
	json_text(j, "v4", model_state_name(c->families[MODEL_V4]));
	json_text(j, "v6", model_state_name(c->families[MODEL_V6]));
	if (c->families[MODEL_V4] != MODEL_NONE && c->families[MODEL_V6] != MODEL_NONE &&
		c->of->of_type->target != CATALOG_TARGET_NONE)
		json_text(j, "pair", pair_name(c->families));
	put_families(j, c->of);
	put_vantages(j, m, c->of);
	json_open(j, "rows", '[');
	for (size_t i = 0; i < c->rows_count; i++)
		put_row(j, &c->rows[i]);
	json_close(j, ']');
	json_close(j, '}');
}

static void put_subject_ref(struct json *j, const char *key, const struct model_subject *s)
{
	static const char *const kinds[] = {[SUBJECT_SYSTEM] = "system", [SUBJECT_LINK] = "link",
		[SUBJECT_SITE] = "site", [SUBJECT_HOST] = "host"};

	json_open(j, key, '{');
	json_text(j, "kind", kinds[s->kind]);
	put_subject_head(j, s);
	json_close(j, '}');
}

static void put_checks(struct json *j, const struct model *m, const struct model_subject *s)
{
	json_open(j, "list", '[');
	for (size_t i = 0; i < s->checks_count; i++)
		put_check(j, m, s->checks[i]);
	json_close(j, ']');
}

/* ---- subjects */

static bool depends_on(const struct inventory_system *s, const char *id)
{
	for (size_t i = 0; i < s->depends.count; i++) {
		if (strcmp(s->depends.items[i], id) == 0)
			return true;
	}
	return false;
}

static void put_depends(struct json *j, const struct model *m, const struct inventory_system *s)
{
	size_t n;
	const struct model_subject *all = model_subjects(m, SUBJECT_SYSTEM, &n);

	json_open(j, "depends", '[');
	for (size_t i = 0; i < s->depends.count; i++) {
		const struct model_subject *on = model_subject(m, SUBJECT_SYSTEM, s->depends.items[i]);

		if (on == NULL)
			on = model_subject(m, SUBJECT_LINK, s->depends.items[i]);
		if (on != NULL)
			put_subject_ref(j, NULL, on);
	}
	json_close(j, ']');
	json_open(j, "dependents", '[');
	for (size_t i = 0; i < n; i++) {
		if (depends_on(&model_inventory(m)->systems[i], s->id))
			put_subject_ref(j, NULL, &all[i]);
	}
	json_close(j, ']');
}

static void put_about_system(struct json *j, const struct model *m, const struct model_subject *s)
{
	const struct inventory_system *system = s->of;

	json_open(j, "unit", '{');
	json_text(j, "id", system->unit);
	json_text(j, "name", system->of_unit->name);
	json_text(j, "name_en", system->of_unit->name_en);
	json_close(j, '}');
	put_depends(j, m, system);
}

/* The sites above, nearest last. */
static void put_path(struct json *j, const struct model_site *s)
{
	const struct model_site *above[16];
	size_t n = 0;

	for (s = s->parent; s != NULL && n < 16; s = s->parent)
		above[n++] = s;
	json_open(j, "path", '[');
	while (n-- > 0) {
		json_open(j, NULL, '{');
		json_text(j, "id", above[n]->of->id);
		json_text(j, "name", above[n]->of->name);
		json_text(j, "name_en", above[n]->of->name_en);
		json_close(j, '}');
	}
	json_close(j, ']');
}

static void put_about_link(struct json *j, const struct model *m, const struct model_subject *s)
{
	const struct inventory_link *link = s->of;
	const struct model_site *site = model_site(m, link->site);

	json_text(j, "ipv4", link->ipv4);
	json_text(j, "ipv6", link->ipv6);
	json_open(j, "site", '{');
	json_text(j, "id", link->site);
	json_text(j, "name", site->of->name);
	json_text(j, "name_en", site->of->name_en);
	json_close(j, '}');
	put_path(j, site);
}

static void put_about_site(struct json *j, const struct model *m, const struct model_subject *s)
{
	const struct model_site *site = model_site(m, s->id);

	put_path(j, site);
	if (site->link != NULL)
		put_subject_ref(j, "link", site->link);
}

static void answer_subject(struct web *w, struct server_request *r, enum subject_kind kind,
	void (*put_about)(struct json *, const struct model *, const struct model_subject *))
{
	const struct model_subject *s = model_subject(w->model, kind, server_rest(r));
	struct json j = {0};

	if (s == NULL) {
		server_fail_absent(r);
		return;
	}
	json_open(&j, NULL, '{');
	put_version(&j, w);
	words_clock(&j, w, clock_real());
	put_subject_head(&j, s);
	if (put_about != NULL)
		put_about(&j, w->model, s);
	put_checks(&j, w->model, s);
	json_close(&j, '}');
	answer_json(w, r, &j);
}

void api_system(void *ctx, struct server_request *r)
{
	answer_subject(ctx, r, SUBJECT_SYSTEM, put_about_system);
}

void api_link(void *ctx, struct server_request *r)
{
	answer_subject(ctx, r, SUBJECT_LINK, put_about_link);
}

void api_site(void *ctx, struct server_request *r)
{
	answer_subject(ctx, r, SUBJECT_SITE, put_about_site);
}

void api_host(void *ctx, struct server_request *r)
{
	answer_subject(ctx, r, SUBJECT_HOST, NULL);
}

void api_check(void *ctx, struct server_request *r)
{
	struct web *w = ctx;
	const struct model_check *c = model_check(w->model, server_rest(r));
	struct json j = {0};

	if (c == NULL) {
		server_fail_absent(r);
		return;
	}
	json_open(&j, NULL, '{');
	put_version(&j, w);
	words_clock(&j, w, clock_real());
	put_subject_ref(&j, "subject", c->subject);
	json_open(&j, "metrics", '[');
	for (const struct metric *metric = c->of->of_type->metrics; metric->number != 0; metric++) {
		json_open(&j, NULL, '{');
		put_metric(&j, metric);
		json_close(&j, '}');
	}
	json_close(&j, ']');
	json_open(&j, "list", '[');
	put_check(&j, w->model, c);
	json_close(&j, ']');
	json_close(&j, '}');
	answer_json(w, r, &j);
}

/* ---- the tree of sites */

struct site_filter {
	const char *parent, *under, *text;
	unsigned states; /* bits of those wanted */
	bool is_flat;    /* looks below too, not only at the children of one site */
	bool has_path;   /* names the sites above each */
	int64_t offset, limit;
};

/* Of the link to the parent and of what is checked at the site itself. */
static void fold_site(const struct model_site *s, enum model_state *state, enum model_state families[MODEL_FAMILIES])
{
	size_t over[MODEL_STATES] = {0};

	for (int f = 0; f < MODEL_FAMILIES; f++) {
		size_t counts[MODEL_STATES] = {0};

		counts[s->self->now.families[f]]++;
		if (s->link != NULL)
			counts[s->link->now.families[f]]++;
		families[f] = model_fold(counts, true);
		over[families[f]]++;
	}
	*state = model_fold(over, true);
}

static void count_below(const struct model_site *s, size_t counts[MODEL_STATES])
{
	for (size_t i = 0; i < s->children_count; i++) {
		enum model_state state, families[MODEL_FAMILIES];

		fold_site(s->children[i], &state, families);
		counts[state]++;
		count_below(s->children[i], counts);
	}
}

static void put_site(struct json *j, const struct model_site *s, bool has_path)
{
	static const char *const levels[] = {"city", "county", "town", "village"};
	enum model_state state, families[MODEL_FAMILIES];
	size_t below[MODEL_STATES] = {0};

	fold_site(s, &state, families);
	json_open(j, NULL, '{');
	json_text(j, "id", s->of->id);
	json_text(j, "name", s->of->name);
	json_text(j, "name_en", s->of->name_en);
	json_text(j, "level", levels[s->of->level]);
	json_text(j, "parent", s->of->parent);
	json_int(j, "children", (int64_t)s->children_count);
	json_text(j, "state", model_state_name(state));
	json_text(j, "v4", model_state_name(families[MODEL_V4]));
	json_text(j, "v6", model_state_name(families[MODEL_V6]));
	if (s->link != NULL) {
		json_text(j, "link", s->link->id);
		json_time(j, "since", s->link->now.since);
	}
	if (has_path)
		put_path(j, s);
	if (s->children_count > 0) {
		count_below(s, below);
		words_counts(j, "below", below);
	}
	json_close(j, '}');
}

static bool is_under(const struct model_site *s, const char *id)
{
	for (; s != NULL; s = s->parent) {
		if (strcmp(s->of->id, id) == 0)
			return true;
	}
	return false;
}

static bool site_fits(const struct model_site *s, const struct site_filter *f)
{
	enum model_state state, families[MODEL_FAMILIES];

	if (!f->is_flat)
		return strcmp(s->of->parent, f->parent) == 0;
	if (f->under != NULL && !is_under(s, f->under))
		return false;
	fold_site(s, &state, families);
	if ((f->states >> state & 1) == 0)
		return false;
	return f->text == NULL || strcasestr(s->of->name, f->text) != NULL ||
		strcasestr(s->of->name_en, f->text) != NULL || strcasestr(s->of->id, f->text) != NULL ||
		(s->link != NULL && strcasestr(s->link->id, f->text) != NULL);
}

static int parse_states(const char *text, unsigned *states)
{
	*states = ~0u;
	if (text == NULL)
		return 0;
	if (strcmp(text, "notup") == 0) {
		*states = 1u << MODEL_DOWN | 1u << MODEL_DEGRADED | 1u << MODEL_UNKNOWN;
		return 0;
	}
	for (int i = 0; i < MODEL_STATES; i++) {
		*states = 1u << i;
		if (strcmp(text, model_state_name((enum model_state)i)) == 0)
			return 0;
	}
	return -1;
}

static int parse_filter(const struct server_request *r, struct site_filter *f)
{
	const char *parent = server_query(r, "parent"), *state = server_query(r, "state");

	*f = (struct site_filter){.parent = parent != NULL ? parent : "", .under = server_query(r, "under"),
		.text = server_query(r, "q"), .limit = DEFAULT_SITES};
	f->has_path = f->text != NULL || state != NULL;
	f->is_flat = f->has_path || f->under != NULL;
	if (server_query_int(r, "offset", 0, INT32_MAX, &f->offset) < 0 ||
		server_query_int(r, "limit", 1, API_SITES, &f->limit) < 0)
		return -1;
	return parse_states(state, &f->states);
}

static void put_sites(struct json *j, const struct model *m, const struct site_filter *f)
{
	size_t n;
	const struct model_site *s = model_sites(m, &n);
	int64_t found = 0;

	json_open(j, "sites", '[');
	for (size_t i = 0; i < n; i++) {
		if (!site_fits(&s[i], f))
			continue;
		if (found >= f->offset && found < f->offset + f->limit)
			put_site(j, &s[i], f->has_path);
		found++;
	}
	json_close(j, ']');
	json_int(j, "total", found);
}

void api_sites(void *ctx, struct server_request *r)
{
	struct web *w = ctx;
	struct site_filter f;
	struct json j = {0};

	if (parse_filter(r, &f) < 0) {
		server_fail(r, 400, "state is one of notup, up, down, degraded, unknown, none; offset and "
			"limit (1 to %d) are whole numbers", API_SITES);
		return;
	}
	if ((*f.parent != '\0' && model_site(w->model, f.parent) == NULL) ||
		(f.under != NULL && model_site(w->model, f.under) == NULL)) {
		server_fail_absent(r);
		return;
	}
	json_open(&j, NULL, '{');
	put_version(&j, w);
	put_sites(&j, w->model, &f);
	json_int(&j, "offset", f.offset);
	json_close(&j, '}');
	answer_json(w, r, &j);
}
