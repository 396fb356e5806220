#include "collector/web/judged.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/channel.h"
#include "collector/figures.h"
#include "collector/inventory.h"
#include "collector/judge/calendar.h"
#include "collector/web/ask.h"
#include "collector/web/model.h"
#include "collector/web/server.h"
#include "collector/web/state.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/ipc.h"

#define WAIT (5 * NS_PER_S)
#define SPAN_MAX (INT64_C(400) * 86400)

static void on_json(void *ctx, const struct ipc_message *m, const char *words)
{
	struct server_request *r = ctx;
	struct buf body = {0};

	if (m == NULL || m->type != CHANNEL_JSON) {
		if (m != NULL)
			server_fail(r, 503, "%.*s", (int)m->len, (const char *)m->body);
		else
			server_fail(r, 503, "%s", words);
		return;
	}
	buf_add(&body, m->body, m->len);
	server_answer(r, &(struct server_answer){.status = 200, .type = "application/json", .body = &body});
}

void judged_incidents(void *ctx, struct server_request *r)
{
	struct web *w = ctx;

	ask_send(w->ask, PROCESS_JUDGE, CHANNEL_INCIDENTS, NULL, 0, WAIT, on_json, r);
}

static bool is_subject(const struct model *m, const char *subject)
{
	static const struct {
		const char *prefix;
		enum subject_kind kind;
	} kinds[] = {{"system/", SUBJECT_SYSTEM}, {"link/", SUBJECT_LINK}, {"site/", SUBJECT_SITE}, {"host/", SUBJECT_HOST}};

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		size_t n = strlen(kinds[i].prefix);

		if (strncmp(subject, kinds[i].prefix, n) == 0)
			return model_subject(m, kinds[i].kind, subject + n) != NULL;
	}
	return false;
}

void judged_ledger(void *ctx, struct server_request *r)
{
	struct web *w = ctx;
	const char *subject = server_query(r, "subject");
	int64_t to = clock_real() / NS_PER_S, from;
	struct buf body = {0};

	if (subject == NULL || !is_subject(w->model, subject)) {
		server_fail_absent(r);
		return;
	}
	if (server_query_int(r, "to", 0, INT64_C(1) << 40, &to) < 0)
		to = -1;
	from = to - 86400;
	if (to < 0 || server_query_int(r, "from", 0, INT64_C(1) << 40, &from) < 0 || from >= to || to - from > SPAN_MAX) {
		server_fail(r, 400, "from and to are UTC seconds, at most 400 days apart");
		return;
	}
	channel_ledger_encode(subject, from * NS_PER_S, to * NS_PER_S, &body);
	ask_send(w->ask, PROCESS_JUDGE, CHANNEL_LEDGER, body.data, body.len, WAIT, on_json, r);
	buf_fini(&body);
}

/* ---- availability */

static bool is_word(const struct server_request *r, const char *key, const char *word)
{
	const char *is = server_query(r, key);

	return is != NULL && strcmp(is, word) == 0;
}

/* An id that the inventory has, or nothing; -1: it has none such. */
static int take_id(const struct server_request *r, const char *key, bool (*has)(const struct web *, const char *id),
	const struct web *w, char out[SAMPLE_ID_MAX + 1])
{
	const char *id = server_query(r, key);

	out[0] = '\0';
	if (id == NULL)
		return 0;
	if (strlen(id) > SAMPLE_ID_MAX || !has(w, id))
		return -1;
	snprintf(out, SAMPLE_ID_MAX + 1, "%s", id);
	return 1;
}

static bool has_unit(const struct web *w, const char *id)
{
	size_t count;
	const struct model_subject *systems = model_subjects(w->model, SUBJECT_SYSTEM, &count);

	for (size_t i = 0; i < count; i++)
		if (strcmp(((const struct inventory_system *)systems[i].of)->unit, id) == 0)
			return true;
	return false;
}

static bool has_system(const struct web *w, const char *id)
{
	return model_subject(w->model, SUBJECT_SYSTEM, id) != NULL;
}

static bool has_link(const struct web *w, const char *id)
{
	return model_subject(w->model, SUBJECT_LINK, id) != NULL;
}

static const struct {
	const char *name, *type, *ending;
} forms[FIGURES_FORMS] = {[FIGURES_TABLE] = {"text", "text/plain; charset=utf-8", "txt"},
	[FIGURES_JSON] = {"json", "application/json", NULL}, [FIGURES_CSV] = {"csv", "text/csv; charset=utf-8", "csv"}};

/* FIGURES_FORMS: none of them. */
static enum figures_form form_of(const struct server_request *r)
{
	const char *name = server_query(r, "format");
	int form = 0;

	while (form < FIGURES_FORMS && strcmp(forms[form].name, name != NULL ? name : "json") != 0)
		form++;
	return (enum figures_form)form;
}

static void on_figures(void *ctx, const struct ipc_message *m, const char *words)
{
	struct server_request *r = ctx;
	enum figures_form form = form_of(r);
	struct buf body = {0};
	char name[100];

	if (m == NULL || m->type != CHANNEL_JSON || form == FIGURES_JSON) {
		on_json(ctx, m, words);
		return;
	}
	/* It was looked at before it was asked for: letters, digits, '-' and '.'. */
	snprintf(name, sizeof name, "availability-%s.%s", server_query(r, "period"), forms[form].ending);
	buf_add(&body, m->body, m->len);
	server_answer(r, &(struct server_answer){.status = 200, .type = forms[form].type, .name = name, .body = &body});
}

void judged_availability(void *ctx, struct server_request *r)
{
	struct web *w = ctx;
	const char *period = server_query(r, "period");
	struct channel_availability asked = {.family = is_word(r, "family", "ipv4") ? FAMILY_V4
		: is_word(r, "family", "ipv6") ? FAMILY_V6 : FAMILY_NONE, .always = is_word(r, "hours", "always"),
		.measured = is_word(r, "measured", "1"), .with_planned = is_word(r, "maintenance", "included"), .form = (uint8_t)form_of(r)};
	int unit = take_id(r, "unit", has_unit, w, asked.unit), system = take_id(r, "system", has_system, w, asked.system),
		link = take_id(r, "link", has_link, w, asked.link);
	struct buf body = {0};
	struct span span;
	struct err e;

	if (unit < 0 || system < 0 || link < 0) {
		server_fail_absent(r);
		return;
	}
	if (period == NULL || strlen(period) >= sizeof asked.period || unit + system + link > 1 ||
		calendar_period(period, &span, &e) < 0) {
		server_fail(r, 400, "period is as in 2026, 2026-Q3, 2026-10, 2026-10-05 or 2026-10-05..2026-10-20, and one of unit, system"
			" and link");
		return;
	}
	if (asked.form == FIGURES_FORMS) {
		server_fail(r, 400, "format is json, csv or text");
		return;
	}
	snprintf(asked.period, sizeof asked.period, "%s", period);
	channel_availability_encode(&asked, &body);
	ask_send(w->ask, PROCESS_JUDGE, CHANNEL_AVAILABILITY, body.data, body.len, WAIT, on_figures, r);
	buf_fini(&body);
}
