#include "collector/render_draw.h"

#include <math.h>
#include <rrd.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "collector/channel.h"
#include "collector/drawn.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "probes/catalog.h"
#include "probes/catalog_heartbeat.h"
#include "probes/catalog_host.h"
#include "probes/catalog_http.h"
#include "probes/catalog_icmp.h"

/* Exported by librrd, but in none of the headers that it installs. */
typedef int fetch_callback(const char *name, int function, time_t *start, time_t *end, unsigned long *step,
	unsigned long *columns, char ***names, rrd_value_t **numbers);
int rrd_fetch_cb_register(fetch_callback *);

#define FONT "WenQuanYi Micro Hei,Noto Sans CJK SC,DejaVu Sans,sans-serif"
#define NAME_FORMAT "m%uf%u" /* of a data source: metric and function */
#define TEXT_MAX 240
#define NOTHING 9999 /* "cb//9999" is unknown throughout */
/* Every legend begins with two spaces: with a proportional font the sample of its colour reaches into it
 * (no-break ones for TICK, which skips others). */

/* The callback has no context of its own, so what is being drawn must stand here; one picture at a time. */
static const struct channel_render *drawing;

/* ---- values for librrd */

static char **column_names(const struct channel_values *v)
{
	char **names = mem_array(v->columns, sizeof *names);

	for (size_t i = 0; i < v->columns; i++)
		names[i] = mem_format(NAME_FORMAT, v->column[i].metric, v->column[i].function);
	return names;
}

/* "cb//<layer>": row after row, and librrd frees all of it. */
static int on_fetch(const char *name, int function, time_t *start, time_t *end, unsigned long *step,
	unsigned long *columns, char ***names, rrd_value_t **numbers)
{
	const double unknown[] = {NAN, NAN};
	const struct channel_column column = {.numbers = unknown};
	const struct channel_values nothing = {
		.start = *start, .step = *end - *start, .rows = 2, .columns = 1, .column = &column};
	int layer = atoi(strrchr(name, '/') + 1);
	const struct channel_values *v = layer == NOTHING ? &nothing : &drawing->layers[layer].values;

	(void)function;
	*start = (time_t)v->start;
	*end = (time_t)(v->start + (int64_t)v->rows * v->step);
	*step = (unsigned long)v->step;
	*columns = v->columns;
	*names = column_names(v);
	*numbers = mem_array(v->rows * v->columns + 1, sizeof **numbers);
	for (size_t i = 0; i < v->columns; i++) {
		for (size_t k = 0; k < v->rows; k++)
			(*numbers)[k * v->columns + i] = v->column[i].numbers[k];
	}
	return 0;
}

void render_draw_init(void)
{
	/* By rule, not by name: needs no time zone files. */
	setenv("TZ", "CST-8", 1);
	tzset();
	rrd_fetch_cb_register(on_fetch);
}

/* ---- arguments */

struct arguments {
	char **items;
	size_t count;
};

static void add(struct arguments *a, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add(struct arguments *a, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	a->items = mem_resize(a->items, a->count + 2, sizeof *a->items);
	a->items[a->count++] = mem_strdup(text);
	a->items[a->count] = NULL;
}

static void arguments_fini(struct arguments *a)
{
	for (size_t i = 0; i < a->count; i++)
		free(a->items[i]);
	free(a->items);
}

/* A text for a legend: clean, ':' escaped; a backslash would begin a command of librrd's, '%' is for formats. */
static const char *escape(const char *text, char out[2 * TEXT_MAX + 1])
{
	char clean[TEXT_MAX + 1], *to = out;

	text_clean(text, strlen(text), clean, sizeof clean);
	for (const char *p = clean; *p != '\0'; p++) {
		if (*p == ':')
			*to++ = '\\';
		*to++ = *p == '\\' ? '/' : *p == '%' ? ' ' : *p;
	}
	*to = '\0';
	return out;
}

static const char *grid_of(int64_t span)
{
	static const struct {
		int64_t up_to;
		const char *grid;
	} grids[] = {
		{2 * 3600, "MINUTE:5:MINUTE:10:MINUTE:10:0:%H:%M"},
		{36 * 3600, "HOUR:1:HOUR:3:HOUR:3:0:%H:%M"},
		{10 * 86400, "HOUR:6:DAY:1:DAY:1:86400:%m-%d"},
		{45 * 86400, "DAY:1:DAY:5:DAY:5:86400:%m-%d"},
		{INT64_MAX, "MONTH:1:MONTH:1:MONTH:1:2592000:%Y-%m"},
	};
	size_t i = 0;

	while (span > grids[i].up_to)
		i++;
	return grids[i].grid;
}

static void add_frame(struct arguments *a, const struct channel_render *r)
{
	static const char *const colours[] = {"BACK#ffffff", "CANVAS#ffffff", "SHADEA#ffffff", "SHADEB#ffffff",
		"GRID#e4e7eb", "MGRID#c9ced6", "FONT#1c2733", "AXIS#5b6775", "ARROW#5b6775", "FRAME#ffffff"};
	char title[TEXT_MAX + 1];

	add(a, "graph");
	add(a, "-");
	add(a, "--imgformat=%s", r->format == 0 ? "SVG" : "PNG");
	add(a, "--full-size-mode");
	add(a, "--width=%u", r->width);
	add(a, "--height=%u", r->height);
	add(a, "--start=%lld", (long long)r->from);
	add(a, "--end=%lld", (long long)r->to);
	/* An argument of its own: not looked into. */
	add(a, "--title");
	add(a, "%s", text_clean(r->title, strlen(r->title), title, sizeof title));
	add(a, "--font=DEFAULT:9:" FONT);
	add(a, "--font=TITLE:11:" FONT);
	add(a, "--border=0");
	add(a, "--disable-rrdtool-tag");
	add(a, "--x-grid=%s", grid_of(r->to - r->from));
	for (size_t i = 0; i < sizeof colours / sizeof *colours; i++)
		add(a, "--color=%s", colours[i]);
}

/* ---- what is drawn */

static bool has_column(const struct channel_layer *l, uint32_t metric, unsigned function)
{
	for (size_t i = 0; i < l->values.columns; i++) {
		if (l->values.column[i].metric == metric && l->values.column[i].function == function)
			return true;
	}
	return false;
}

/* Defines `name` as a column of layer i, unknown throughout when the layer has none. The function falls back to the
 * average, which is the same where a row covers one measurement. */
static void define(struct arguments *a, const struct channel_render *r, size_t i, const char *name, uint32_t metric,
	unsigned function, double factor)
{
	const struct channel_layer *l = &r->layers[i];

	if (!has_column(l, metric, function))
		function = 0;
	if (!has_column(l, metric, function)) {
		/* Any column will do to say "unknown" at its times. */
		add(a, "DEF:%s_raw=cb//%zu:" NAME_FORMAT ":AVERAGE", name, i, l->values.column[0].metric,
			l->values.column[0].function);
		add(a, "CDEF:%s=%s_raw,POP,UNKN", name, name);
		return;
	}
	add(a, "DEF:%s_raw=cb//%zu:" NAME_FORMAT ":AVERAGE", name, i, metric, function);
	add(a, "CDEF:%s=%s_raw,%g,*", name, name, factor);
}

static bool is_empty(const struct channel_layer *l)
{
	return l->values.columns == 0 || l->values.rows == 0;
}

static bool is_chinese(const struct channel_render *r)
{
	return strcmp(r->language, "zh") == 0;
}

static const char *pick(const struct channel_render *r, const char *zh, const char *en)
{
	return is_chinese(r) ? zh : en;
}

/* Where nothing was measured, and where it was down. */
static void add_marks(struct arguments *a, const struct channel_render *r)
{
	define(a, r, 0, "ok", 0, 0, 1);
	add(a, "CDEF:nothing=ok,UN,1,UNKN,IF");
	add(a, "TICK:nothing#8a94a04d:1:  %s", pick(r, "未测到", "not measured"));
	add(a, "CDEF:fallen=ok,0.999,LT,1,UNKN,IF");
	add(a, "TICK:fallen#c6282866:1:  %s", pick(r, "不通", "down"));
	add(a, "COMMENT:\\l");
}

static void add_statistics(struct arguments *a, const struct channel_render *r, const char *name)
{
	add(a, "GPRINT:%s:AVERAGE:%s %%.2lf", name, pick(r, "平均", "average"));
	add(a, "GPRINT:%s:MAX:%s %%.2lf", name, pick(r, "最大", "maximum"));
	add(a, "GPRINT:%s:LAST:%s %%.2lf\\l", name, pick(r, "最近", "last"));
}

static void draw_smoke(struct arguments *a, const struct channel_render *r)
{
	define(a, r, 0, "low", ICMP_RTT_MIN, 1, 1000);
	define(a, r, 0, "p25", ICMP_RTT_P25, 0, 1000);
	define(a, r, 0, "middle", ICMP_RTT_MEDIAN, 0, 1000);
	define(a, r, 0, "p75", ICMP_RTT_P75, 0, 1000);
	define(a, r, 0, "high", ICMP_RTT_MAX, 2, 1000);
	define(a, r, 0, "loss", ICMP_LOSS, 0, 1);
	add(a, "CDEF:smoke=high,low,-");
	add(a, "CDEF:core=p75,p25,-");
	add(a, "AREA:low");
	add(a, "AREA:smoke#1565c033:  %s:STACK", pick(r, "最小-最大", "minimum-maximum"));
	add(a, "AREA:p25");
	add(a, "AREA:core#1565c080:  25%%-75%%:STACK");
	add(a, "LINE2:middle#0d3c78:  %s", pick(r, "时延中位数(毫秒)", "RTT median (ms)"));
	add_statistics(a, r, "middle");
	add(a, "CDEF:lossy=loss,0,GT,loss,UNKN,IF");
	add(a, "TICK:lossy#e6510080:0.12:  %s", pick(r, "丢包(%)", "loss (%)"));
	add_statistics(a, r, "loss");
}

static void draw_phases(struct arguments *a, const struct channel_render *r)
{
	static const struct {
		uint32_t metric;
		const char *colour, *zh, *en;
	} phases[] = {
		{HTTP_RESOLVE, "#6a51a3b0", "解析", "resolve"},
		{HTTP_CONNECT, "#2b8cbeb0", "连接", "connect"},
		{HTTP_TLS, "#41ae76b0", "TLS握手", "TLS"},
		{HTTP_FIRST_BYTE, "#fe9929b0", "首字节", "first byte"},
	};

	for (size_t i = 0; i < 4; i++) {
		char name[24];

		snprintf(name, sizeof name, "p%zu", i);
		define(a, r, 0, name, phases[i].metric, 0, 1000);
		/* Without TLS, say, the phase is nothing, and what stands on it stays. */
		add(a, "CDEF:q%zu=p%zu,UN,0,p%zu,IF", i, i, i);
		add(a, "AREA:q%zu%s:  %s%s", i, phases[i].colour, pick(r, phases[i].zh, phases[i].en),
			i > 0 ? ":STACK" : "");
	}
	define(a, r, 0, "total", HTTP_TOTAL, 0, 1000);
	add(a, "LINE2:total#1c2733:  %s", pick(r, "总时间(毫秒)", "total (ms)"));
	add_statistics(a, r, "total");
}

/* How numbers of a metric are shown: 0 is "up", in percent. */
struct shown { const char *unit; double factor; };

static struct shown shown_of(const struct channel_render *r, uint32_t metric)
{
	const struct metric *m = metric != 0 ? catalog_metric(metric) : NULL;

	if (m == NULL)
		return (struct shown){"%", 100};
	if (metric == UPTIME_SECONDS)
		return (struct shown){pick(r, "天", "days"), 1.0 / 86400};
	if (metric == HEARTBEAT_AGE)
		return (struct shown){pick(r, "秒", "s"), 1};
	if (strcmp(m->unit, "s") == 0)
		return (struct shown){pick(r, "毫秒", "ms"), 1000};
	if (strcmp(m->unit, "B") == 0)
		return (struct shown){"MiB", 1.0 / (1 << 20)};
	if (strcmp(m->unit, "B/s") == 0)
		return (struct shown){"KiB/s", 1.0 / (1 << 10)};
	return (struct shown){strcmp(m->unit, "1") == 0 ? "" : strcmp(m->unit, "Cel") == 0 ? "°C" : m->unit, 1};
}

/* What the first layer that has any is drawn by; 0: none has. */
static uint32_t main_metric(const struct channel_render *r)
{
	size_t columns[DRAWN_MAX];

	for (size_t i = 0; i < r->layers_count; i++) {
		if (drawn_columns(&r->layers[i].values, NULL, columns) > 0)
			return r->layers[i].values.column[columns[0]].metric;
	}
	return 0;
}

/* A line for each layer, all of one unit: what has nothing of it is left out. */
static void draw_layers(struct arguments *a, const struct channel_render *r, uint32_t main)
{
	static const char *const v4[] = {"#0d47a1", "#00838f", "#5e35b1", "#37474f"};
	static const char *const v6[] = {"#e07b00", "#ad1457", "#827717", "#558b2f"};
	const struct metric *of = catalog_metric(main);
	size_t count4 = 0, count6 = 0;

	for (size_t i = 0; i < r->layers_count; i++) {
		const struct channel_layer *l = &r->layers[i];
		bool is_v6 = l->family == FAMILY_V6;
		const char *colour = is_v6 ? v6[count6++ % 4] : v4[count4++ % 4];
		char name[24], label[2 * TEXT_MAX + 1];
		size_t columns[DRAWN_MAX];
		uint32_t metric = 0;

		if (is_empty(l) || (of != NULL && drawn_columns(&l->values, of->unit, columns) == 0))
			continue;
		if (of != NULL)
			metric = l->values.column[columns[0]].metric;
		snprintf(name, sizeof name, "l%zu", i);
		define(a, r, i, name, metric, 0, shown_of(r, metric).factor);
		add(a, "LINE2:%s%s:  %s%s", name, colour, escape(l->label, label), is_v6 ? ":dashes=5,3" : "");
		add_statistics(a, r, name);
	}
}

/* All that is drawn of one layer. */
static void draw_lines(struct arguments *a, const struct channel_render *r)
{
	static const char *const colours[DRAWN_MAX] = {"#0d3c78", "#fe9929", "#41ae76", "#6a51a3", "#2b8cbe", "#e65100"};
	const struct channel_values *v = &r->layers[0].values;
	size_t columns[DRAWN_MAX], count = drawn_columns(v, NULL, columns);

	for (size_t i = 0; i < count; i++) {
		const struct metric *m = catalog_metric(v->column[columns[i]].metric);
		char name[24], label[2 * TEXT_MAX + 1];

		snprintf(name, sizeof name, "l%zu", i);
		define(a, r, 0, name, m->number, 0, shown_of(r, m->number).factor);
		add(a, "LINE2:%s%s:  %s", name, colours[i], escape(pick(r, m->label_zh, m->label_en), label));
		add_statistics(a, r, name);
	}
	if (count == 0)
		draw_layers(a, r, 0);
}

static void add_picture(struct arguments *a, const struct channel_render *r)
{
	const struct channel_layer *first = &r->layers[0];
	uint32_t main = main_metric(r);

	if (r->layers_count == 0 || (r->layers_count == 1 && is_empty(first))) {
		add(a, "DEF:none=cb//%d:" NAME_FORMAT ":AVERAGE", NOTHING, 0, 0);
		add(a, "LINE1:none#ffffff");
		add(a, "COMMENT:%s\\l", pick(r, "没有数据", "no data"));
		return;
	}
	add(a, "--vertical-label=%s", shown_of(r, main).unit);
	add(a, "--lower-limit=0");
	if (r->layers_count > 1) {
		draw_layers(a, r, main);
		return;
	}
	if (has_column(first, ICMP_RTT_MEDIAN, 0))
		draw_smoke(a, r);
	else if (has_column(first, HTTP_TOTAL, 0))
		draw_phases(a, r);
	else
		draw_lines(a, r);
	add_marks(a, r);
}

/* ---- out */

static int take_image(const rrd_info_t *info, struct buf *out, struct err *e)
{
	for (; info != NULL; info = info->next) {
		if (strcmp(info->key, "image") == 0 && info->type == RD_I_BLO) {
			buf_add(out, info->value.u_blo.ptr, info->value.u_blo.size);
			return 0;
		}
	}
	return err_set(e, "librrd gave no picture");
}

int render_draw(const struct channel_render *r, struct buf *out, struct err *e)
{
	struct arguments a = {0};
	rrd_info_t *info;
	int rc;

	add_frame(&a, r);
	add_picture(&a, r);
	drawing = r;
	rrd_clear_error();
	info = rrd_graph_v((int)a.count, a.items);
	drawing = NULL;
	rc = info != NULL ? take_image(info, out, e) : err_set(e, "librrd cannot draw: %s", rrd_get_error());
	rrd_info_free(info);
	arguments_fini(&a);
	return rc;
}

/* ---- before the first request */

void render_draw_warm_up(void)
{
	const double numbers[] = {1, 2};
	const struct channel_column column = {.metric = 0, .function = 0, .numbers = numbers};
	const struct channel_layer layer = {.label = "巡检 IPv6 0123456789", .family = FAMILY_V6,
		.values = {.start = 1600000000, .step = 60, .rows = 2, .columns = 1, .column = &column}};
	struct channel_render r = {.width = 400, .height = 120, .title = "巡检 Xunjian", .language = "zh",
		.from = 1600000000, .to = 1600000120, .layers_count = 1, .layers = &layer};
	struct buf out = {0};
	struct err e;

	for (r.format = 0; r.format < 2; r.format++) {
		if (render_draw(&r, &out, &e) < 0)
			log_error("the first picture cannot be drawn: %s", e.text);
	}
	buf_fini(&out);
}
