#include "collector/figures.h"

#include <stdlib.h>
#include <string.h>

#include "collector/inventory.h"
#include "collector/judge/ledger.h"
#include "collector/judge/planned.h"
#include "collector/web/json.h"
#include "lib/err.h"
#include "lib/mem.h"

static enum figures_status take_period(const struct figures_wish *w, const struct figures_sources *s, struct figures *f, struct err *e)
{
	int64_t reached = ledger_reached(s->ledger);
	char at[CALENDAR_TIME];

	if (calendar_period(w->period, &f->period, e) < 0)
		return FIGURES_WRONG;
	if (reached <= f->period.from) {
		err_set(e, "the ledger reaches %s, which is before this period",
			reached == 0 ? "nothing yet" : calendar_format(reached, at));
		return FIGURES_FAILED;
	}
	f->is_partial = reached < f->period.until;
	if (f->is_partial)
		f->period.until = reached;
	return FIGURES_FINE;
}

static void count_revision(void *ctx, const struct ledger_revision *r)
{
	(void)r;
	++*(unsigned *)ctx;
}

static int service_of(const struct figures_wish *w, const struct figures_sources *s, const struct figures *f,
	const struct config_texts *service, struct spans *out, struct err *e)
{
	struct hours hours = {0};

	if (!w->always && service != NULL && hours_parse(service, &hours, e) < 0)
		return -1;
	return hours_spans(&hours, s->calendar, f->period, out, e);
}

static int add_figure(const struct figures_wish *w, const struct figures_sources *s, struct figures *f, const char *kind, const char *id,
	const char *name, const struct config_texts *hours, struct err *e)
{
	struct figure row = {.subject = mem_format("%s/%s", kind, id), .name = name};
	struct spans service = {0}, excluded = {0};
	struct stretch *stretches = NULL;
	size_t count;
	int rc = -1;

	if (service_of(w, s, f, hours, &service, e) == 0 &&
		(w->with_planned || planned_read(s->planned, row.subject, f->period, &excluded, e) == 0) &&
		ledger_read(s->ledger, row.subject, w->family, f->period, !w->measured, &stretches, &count, e) == 0 &&
		ledger_revisions(s->ledger, row.subject, w->family, f->period, count_revision, &row.revisions, e) == 0) {
		availability_count(stretches, count, &service, &excluded, &row.a);
		availability_add(&f->sum, &row.a);
		rc = 0;
	}
	free(stretches);
	spans_fini(&service);
	spans_fini(&excluded);
	f->rows = mem_resize(f->rows, f->count + 1, sizeof *f->rows);
	f->rows[f->count++] = row;
	return rc;
}

static int add_system(const struct figures_wish *w, const struct figures_sources *s, struct figures *f, const struct inventory_system *system,
	struct err *e)
{
	const struct config_texts *hours = system->service.count > 0 ? &system->service : &system->of_unit->service;

	return add_figure(w, s, f, "system", system->id, system->name, hours, e);
}

static enum figures_status add_systems(const struct figures_wish *w, const struct figures_sources *s, struct figures *f, struct err *e)
{
	for (size_t i = 0; i < s->inventory->systems_count; i++) {
		const struct inventory_system *system = &s->inventory->systems[i];

		if ((w->unit == NULL || strcmp(system->unit, w->unit) == 0) && add_system(w, s, f, system, e) < 0)
			return FIGURES_FAILED;
	}
	return FIGURES_FINE;
}

static enum figures_status unknown(const char *kind, const char *id, struct err *e)
{
	err_set(e, "there is no %s \"%s\" in the inventory", kind, id);
	return FIGURES_WRONG;
}

enum figures_status figures_make(const struct figures_wish *w, const struct figures_sources *s, struct figures *f, struct err *e)
{
	const struct inventory_system *system = w->system != NULL ? inventory_system(s->inventory, w->system) : NULL;
	const struct inventory_link *link = w->link != NULL ? inventory_link(s->inventory, w->link) : NULL;
	enum figures_status status;

	*f = (struct figures){0};
	status = take_period(w, s, f, e);
	if (status != FIGURES_FINE)
		return status;
	if (w->unit != NULL && inventory_unit(s->inventory, w->unit) == NULL)
		return unknown("unit", w->unit, e);
	if (w->system != NULL && system == NULL)
		return unknown("system", w->system, e);
	if (w->link != NULL && link == NULL)
		return unknown("link", w->link, e);
	if (system != NULL)
		return add_system(w, s, f, system, e) < 0 ? FIGURES_FAILED : FIGURES_FINE;
	if (link != NULL)
		return add_figure(w, s, f, "link", link->id, link->name, NULL, e) < 0 ? FIGURES_FAILED : FIGURES_FINE;
	return add_systems(w, s, f, e);
}

void figures_fini(struct figures *f)
{
	for (size_t i = 0; i < f->count; i++)
		free((char *)f->rows[i].subject);
	free(f->rows);
}

/* ---- JSON */

static void json_fraction(struct json *j, const char *key, int fraction)
{
	if (fraction < 0)
		json_nothing(j, key);
	else
		json_number(j, key, fraction / 1e6, 6);
}

static void json_seconds(struct json *j, const char *key, int64_t ns)
{
	if (ns < 0)
		json_nothing(j, key);
	else
		json_int(j, key, ns / NS_PER_S);
}

static void json_figures(struct json *j, const struct availability *a)
{
	json_fraction(j, "strict", availability_strict(a));
	json_fraction(j, "lenient", availability_lenient(a));
	json_fraction(j, "coverage", availability_coverage(a));
	json_seconds(j, "service", a->service);
	json_seconds(j, "maintenance", a->maintenance);
	json_seconds(j, "unmonitored", a->unmonitored);
	json_seconds(j, "up", a->up);
	json_seconds(j, "degraded", a->degraded);
	json_seconds(j, "down", a->down);
	json_seconds(j, "unknown", a->unknown);
	json_int(j, "outages", (int64_t)a->outages);
	json_seconds(j, "longest", a->longest);
	json_seconds(j, "mttr", availability_mttr(a));
	json_seconds(j, "mtbf", availability_mtbf(a));
}

void figures_json(const struct figures_wish *w, const struct figures *f, struct json *j)
{
	json_open(j, NULL, '{');
	json_text(j, "period", w->period);
	json_int(j, "from", f->period.from / NS_PER_S);
	json_int(j, "until", f->period.until / NS_PER_S);
	json_bool(j, "partial", f->is_partial);
	json_int(j, "family", w->family);
	json_bool(j, "service_hours", !w->always);
	json_bool(j, "corrected", !w->measured);
	json_bool(j, "maintenance_excluded", !w->with_planned);
	json_open(j, "subjects", '[');
	for (size_t i = 0; i < f->count; i++) {
		json_open(j, NULL, '{');
		json_text(j, "subject", f->rows[i].subject);
		json_text(j, "name", f->rows[i].name);
		json_int(j, "revisions", f->rows[i].revisions);
		json_figures(j, &f->rows[i].a);
		json_close(j, '}');
	}
	json_close(j, ']');
	json_open(j, "sum", '{');
	json_int(j, "members", (int64_t)f->sum.members);
	json_figures(j, &f->sum);
	json_close(j, '}');
	json_close(j, '}');
}
