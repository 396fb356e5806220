#include "collector/web/graph.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/channel.h"
#include "collector/drawn.h"
#include "collector/web/ask.h"
#include "collector/web/json.h"
#include "collector/web/model.h"
#include "collector/web/server.h"
#include "collector/web/state.h"
#include "lib/ipc.h"
#include "lib/mem.h"
#include "probes/catalog.h"

#define DIGITS 6
#define DEFAULT_POINTS 600
#define SPAN_MAX (INT64_C(20) * 366 * 86400)
#define TIME_MIN 631152000 /* 1990: nothing was measured before, and librrd takes small numbers for hours and dates */
#define TIME_MAX (INT64_C(1) << 40)

/* ---- what is asked for */

struct span {
	int64_t from, to; /* real s */
};

static int64_t span_seconds(const char *text)
{
	static const struct {
		const char *name;
		int64_t seconds;
	} spans[] = {{"10m", 600}, {"1h", 3600}, {"24h", 86400}, {"7d", 7 * 86400}, {"30d", 30 * 86400}, {"1y", 366 * 86400}};

	for (size_t i = 0; i < sizeof spans / sizeof *spans; i++) {
		if (strcmp(spans[i].name, text) == 0)
			return spans[i].seconds;
	}
	return 0;
}

/* from and to, or a span that ends now. */
static int parse_span(const struct server_request *r, struct span *out)
{
	const char *span = server_query(r, "span");
	int64_t seconds = span_seconds(span != NULL ? span : "24h");

	out->to = clock_real() / NS_PER_S;
	if (server_query_int(r, "to", 0, TIME_MAX, &out->to) < 0 || seconds == 0)
		return -1;
	out->from = out->to - seconds;
	if (server_query_int(r, "from", 0, TIME_MAX, &out->from) < 0)
		return -1;
	if (out->from < TIME_MIN)
		out->from = TIME_MIN;
	return out->from < out->to && out->to - out->from <= SPAN_MAX ? 0 : -1;
}

static int parse_family(const struct server_request *r, enum family *out)
{
	const char *text = server_query(r, "family");

	*out = FAMILY_NONE;
	if (text == NULL)
		return 0;
	*out = strcmp(text, "4") == 0 ? FAMILY_V4 : strcmp(text, "6") == 0 ? FAMILY_V6 : FAMILY_NONE;
	/* 0: of what a host says of itself, whose rows have no other. */
	return *out == FAMILY_NONE && strcmp(text, "0") != 0 ? -1 : 0;
}

static bool row_fits(const struct model_row *row, const char *vantage, enum family family, int64_t part)
{
	return (vantage == NULL || strcmp(row->vantage, vantage) == 0) &&
		(family == FAMILY_NONE || row->family == family) && (part < 0 || row->part_number == part);
}

static struct channel_fetch fetch_of(const char *check, const struct model_row *row, const struct span *s,
	uint32_t points)
{
	struct channel_fetch f = {.family = row->family, .part_number = row->part_number, .from = s->from,
		.to = s->to, .points = points};

	snprintf(f.check, sizeof f.check, "%s", check);
	snprintf(f.vantage, sizeof f.vantage, "%s", row->vantage);
	return f;
}

static void send_fetch(struct web *w, const struct channel_fetch *f, ask_on_answer *on_answer, void *ctx)
{
	struct buf body = {0};

	channel_fetch_encode(f, &body);
	ask_send(w->ask, PROCESS_SERIES, CHANNEL_FETCH, body.data, body.len, GRAPH_WAIT / 2, on_answer, ctx);
	buf_fini(&body);
}

/* ---- values */

/* drawn: its place among those that are drawn, from 1 on; 0: it is none. */
static void put_column(struct json *j, const struct channel_column *c, size_t rows, size_t drawn)
{
	static const char *const functions[] = {"average", "min", "max"};
	const struct metric *metric = catalog_metric(c->metric);
	char name[16];

	snprintf(name, sizeof name, c->metric == 0 ? "up" : "m%u", c->metric);
	json_open(j, NULL, '{');
	json_int(j, "metric", c->metric);
	json_text(j, "name", metric != NULL ? metric->name : name);
	json_text(j, "unit", metric != NULL ? metric->unit : "1");
	json_text(j, "label_zh", metric != NULL ? metric->label_zh : name);
	json_text(j, "label_en", metric != NULL ? metric->label_en : name);
	json_int(j, "drawn", (int64_t)drawn);
	json_text(j, "function", c->function < 3 ? functions[c->function] : "other");
	json_numbers(j, "values", c->numbers, rows, DIGITS);
	json_close(j, '}');
}

void graph_put_values(struct json *j, const struct channel_values *v)
{
	size_t drawn[DRAWN_MAX], count = drawn_columns(v, NULL, drawn);

	json_int(j, "start", v->start);
	json_int(j, "step", v->step);
	json_int(j, "rows", (int64_t)v->rows);
	json_open(j, "columns", '[');
	for (size_t i = 0; i < v->columns; i++) {
		size_t at = 0;

		while (at < count && drawn[at] != i)
			at++;
		put_column(j, &v->column[i], v->rows, at < count ? at + 1 : 0);
	}
	json_close(j, ']');
}

struct wanted {
	struct server_request *request;
	struct channel_fetch fetch;
};

static void on_values(void *ctx, const struct ipc_message *m, const char *words)
{
	struct wanted *want = ctx;
	struct channel_values v;
	void *block = NULL;
	struct json j = {0};

	if (m == NULL) {
		server_fail(want->request, 503, "%s", words);
	} else if (m->type != CHANNEL_VALUES || channel_values_decode(m->body, m->len, &v, &block) < 0) {
		server_fail(want->request, 502, "the values cannot be read");
	} else {
		json_open(&j, NULL, '{');
		json_text(&j, "check", want->fetch.check);
		json_text(&j, "vantage", want->fetch.vantage);
		json_int(&j, "family", (int64_t)want->fetch.family);
		json_int(&j, "part", want->fetch.part_number);
		graph_put_values(&j, &v);
		json_close(&j, '}');
		server_answer(want->request, &(struct server_answer){
			.status = 200, .type = "application/json", .body = &j.out});
	}
	free(block);
	free(want);
}

void graph_values(void *ctx, struct server_request *r)
{
	struct web *w = ctx;
	const char *id = server_query(r, "check"), *vantage = server_query(r, "vantage");
	const struct model_check *c = id != NULL ? model_check(w->model, id) : NULL;
	int64_t part = 0, points = DEFAULT_POINTS;
	enum family family;
	struct span span;
	struct wanted *want;

	if (vantage == NULL || parse_family(r, &family) < 0 || server_query(r, "family") == NULL ||
		server_query_int(r, "part", 0, UINT32_MAX, &part) < 0 ||
		server_query_int(r, "points", 1, GRAPH_POINTS, &points) < 0 || parse_span(r, &span) < 0) {
		server_fail(r, 400, "check, vantage and family (4, 6, or 0 of a host itself) say which series; part, from, to (UTC "
			"seconds) or span (10m, 1h, 24h, 7d, 30d, 1y), points (1 to %d)", GRAPH_POINTS);
		return;
	}
	for (size_t i = 0; c != NULL && i < c->rows_count; i++) {
		if (!row_fits(&c->rows[i], vantage, family, part))
			continue;
		want = mem_alloc(sizeof *want);
		*want = (struct wanted){r, fetch_of(c->of->id, &c->rows[i], &span, (uint32_t)points)};
		send_fetch(w, &want->fetch, on_values, want);
		return;
	}
	server_fail_absent(r);
}

/* ---- pictures */

struct layer {
	struct channel_fetch fetch;
	char *label;
	struct channel_values values;
	void *block;
};

struct picture {
	struct web *web;
	struct server_request *request;
	struct channel_render render;
	struct layer layers[GRAPH_LAYERS];
	size_t count, next;
	char *title, name[100];
};

static void picture_free(struct picture *p)
{
	for (size_t i = 0; i < p->count; i++) {
		free(p->layers[i].label);
		free(p->layers[i].block);
	}
	free(p->title);
	free(p);
}

static void picture_fail(struct picture *p, const char *words)
{
	p->web->pictures_failed++;
	server_fail(p->request, 503, "%s", words);
	picture_free(p);
}

static void on_picture(void *ctx, const struct ipc_message *m, const char *words)
{
	struct picture *p = ctx;
	struct buf body = {0};

	if (m == NULL || m->type != CHANNEL_PICTURE || m->len == 0) {
		picture_fail(p, words != NULL ? words : "the picture cannot be read");
		return;
	}
	p->web->pictures++;
	buf_add(&body, m->body, m->len);
	server_answer(p->request, &(struct server_answer){.status = 200, .body = &body, .name = p->name,
		.type = p->render.format == 0 ? "image/svg+xml" : "image/png"});
	picture_free(p);
}

static void send_render(struct picture *p)
{
	struct channel_layer layers[GRAPH_LAYERS];
	struct buf body = {0};

	for (size_t i = 0; i < p->count; i++)
		layers[i] = (struct channel_layer){
			p->layers[i].label, p->layers[i].fetch.family, p->layers[i].values};
	p->render.layers = layers;
	p->render.layers_count = p->count;
	channel_render_encode(&p->render, &body);
	if (body.len > IPC_BODY_MAX)
		picture_fail(p, "the picture would be too large: ask for fewer series");
	else
		ask_send(p->web->ask, PROCESS_RENDER, CHANNEL_RENDER, body.data, body.len, GRAPH_WAIT,
			on_picture, p);
	buf_fini(&body);
}

static void on_layer(void *ctx, const struct ipc_message *m, const char *words)
{
	struct picture *p = ctx;
	struct layer *l = &p->layers[p->next];

	if (m == NULL || m->type != CHANNEL_VALUES ||
		channel_values_decode(m->body, m->len, &l->values, &l->block) < 0) {
		picture_fail(p, words != NULL ? words : "the values cannot be read");
		return;
	}
	if (++p->next < p->count)
		send_fetch(p->web, &p->layers[p->next].fetch, on_layer, p);
	else
		send_render(p);
}

static const char *vantage_name(const struct picture *p, const char *id)
{
	const struct inventory_agent *a = inventory_agent(model_inventory(p->web->model), id);

	if (a != NULL && p->render.language[0] == 'e' && *a->name_en != '\0')
		return a->name_en;
	return a != NULL && *a->name != '\0' ? a->name : id;
}

static void add_layers(struct picture *p, const struct model_check *c, const char *vantage, enum family family,
	int64_t part, const struct span *span)
{
	for (size_t i = 0; i < c->rows_count && p->count < GRAPH_LAYERS; i++) {
		const struct model_row *row = &c->rows[i];
		bool has_family = row->family != FAMILY_NONE;

		if (!row_fits(row, vantage, family, part) || (part < 0 && row->is_gone))
			continue;
		p->layers[p->count++] = (struct layer){
			.fetch = fetch_of(c->of->id, row, span, p->render.width),
			.label = mem_format("%s%s%s%s%s", has_family ? family_name(row->family) : "", has_family ? " " : "",
				vantage_name(p, row->vantage), *row->part != '\0' ? " " : "", row->part)};
	}
}

static void answer_picture(struct web *w, struct server_request *r, uint8_t format)
{
	const char *id = server_query(r, "check"), *lang = server_query(r, "lang");
	const struct model_check *c = id != NULL ? model_check(w->model, id) : NULL;
	int64_t width = 900, height = 300, part = -1;
	enum family family;
	struct span span;
	struct picture *p;
	const char *name;

	if (parse_family(r, &family) < 0 || server_query_int(r, "part", 0, UINT32_MAX, &part) < 0 ||
		server_query_int(r, "width", 200, 2000, &width) < 0 ||
		server_query_int(r, "height", 60, 1200, &height) < 0 || parse_span(r, &span) < 0 ||
		(lang != NULL && strcmp(lang, "zh") != 0 && strcmp(lang, "en") != 0)) {
		server_fail(r, 400, "check says what is drawn; vantage, family (4, 6, or 0 of a host itself), part, from and to (UTC "
			"seconds) or span (10m, 1h, 24h, 7d, 30d, 1y), lang (zh, en), width (200 to 2000), height "
			"(60 to 1200)");
		return;
	}
	if (c == NULL) {
		server_fail_absent(r);
		return;
	}
	lang = lang != NULL && strcmp(lang, "en") == 0 ? "en" : "zh";
	name = lang[0] == 'e' && *c->subject->name_en != '\0' ? c->subject->name_en : c->subject->name;
	p = mem_alloc(sizeof *p);
	*p = (struct picture){.web = w, .request = r};
	p->title = mem_format("%s  %s", *name != '\0' ? name : c->subject->id, c->of->id);
	snprintf(p->name, sizeof p->name, "%s.%s", c->of->id, format == 0 ? "svg" : "png");
	p->render = (struct channel_render){.format = format, .width = (uint32_t)width,
		.height = (uint32_t)height, .title = p->title, .language = lang, .from = span.from, .to = span.to};
	add_layers(p, c, server_query(r, "vantage"), family, part, &span);
	if (p->count == 0)
		picture_fail(p, "nothing was measured yet");
	else
		send_fetch(w, &p->layers[0].fetch, on_layer, p);
}

void graph_svg(void *ctx, struct server_request *r)
{
	answer_picture(ctx, r, 0);
}

void graph_png(void *ctx, struct server_request *r)
{
	answer_picture(ctx, r, 1);
}
