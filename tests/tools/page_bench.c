/*
 * page_bench: what the page costs: a day of eight columns as JSON, and a picture of it by the render worker's way beside
 * librrd alone; one JSON object of milliseconds of CPU.
 *
 *   page_bench FOLDER [rounds=5]      FOLDER: for an RRD file
 *
 * Ours: the message that the worker gets is decoded and drawn (8 layers, one line each). librrd alone: rrd_graph_v with
 * the same size, fonts, lines and legends from a file. The two in turn.
 */
#include <inttypes.h>
#include <math.h>
#include <rrd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collector/channel.h"
#include "collector/render_draw.h"
#include "collector/web/graph.h"
#include "collector/web/json.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "probes/catalog_icmp.h"

#define ROWS 1440
#define COLUMNS 8
#define STEP 60
#define START 1700006400
#define END (START + ROWS * STEP)
#define FONT "WenQuanYi Micro Hei,Noto Sans CJK SC,DejaVu Sans,sans-serif"
#define JSONS 100

static double numbers[COLUMNS][ROWS];

static double cpu_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void make_numbers(void)
{
	uint64_t s = 88172645463325252u;

	for (size_t c = 0; c < COLUMNS; c++) {
		for (size_t i = 0; i < ROWS; i++) {
			s ^= s << 13;
			s ^= s >> 7;
			s ^= s << 17;
			/* Microseconds, as measured. */
			numbers[c][i] = (double)(int64_t)(1e6 * (0.002 + 0.001 * (double)c + 0.001 * sin((double)i / 90.0)) +
				(double)(s % 700)) / 1e6;
		}
	}
}

/* ---- JSON */

static double json_ms(size_t *bytes)
{
	struct channel_column column[COLUMNS];
	const struct channel_values v = {.start = START, .step = STEP, .rows = ROWS, .columns = COLUMNS, .column = column};
	double began = cpu_now();

	for (size_t c = 0; c < COLUMNS; c++)
		column[c] = (struct channel_column){.metric = ICMP_RTT_MIN + (uint32_t)c % 5, .numbers = numbers[c]};
	for (int i = 0; i < JSONS; i++) {
		struct json j = {0};

		json_open(&j, NULL, '{');
		graph_put_values(&j, &v);
		json_close(&j, '}');
		*bytes = j.out.len;
		json_fini(&j);
	}
	return (cpu_now() - began) / JSONS * 1e3;
}

/* ---- ours */

static void make_message(struct buf *out)
{
	struct channel_column column[COLUMNS];
	struct channel_layer layer[COLUMNS];
	struct channel_render r = {.width = 900, .height = 400, .title = "bench", .language = "zh", .from = START, .to = END,
		.layers_count = COLUMNS, .layers = layer};

	for (size_t c = 0; c < COLUMNS; c++) {
		column[c] = (struct channel_column){.metric = ICMP_RTT_MEDIAN, .numbers = numbers[c]};
		layer[c] = (struct channel_layer){.label = "IPv4 city", .family = FAMILY_V4,
			.values = {.start = START, .step = STEP, .rows = ROWS, .columns = 1, .column = &column[c]}};
	}
	channel_render_encode(&r, out);
}

static double ours_ms(const struct buf *message, size_t *bytes)
{
	double began = cpu_now();
	struct channel_render r;
	struct buf out = {0};
	void *block = NULL;
	struct err e = {""};

	if (channel_render_decode(message->data, message->len, &r, &block) < 0 || render_draw(&r, &out, &e) < 0) {
		fprintf(stderr, "page_bench: %s\n", e.text);
		exit(1);
	}
	*bytes = out.len;
	free(block);
	buf_fini(&out);
	return (cpu_now() - began) * 1e3;
}

/* ---- librrd alone */

static void need(int good, const char *what)
{
	if (good)
		return;
	fprintf(stderr, "page_bench: %s: %s\n", what, rrd_get_error());
	exit(1);
}

static void make_file(const char *path)
{
	const char *schema[COLUMNS + 1];
	char text[COLUMNS][40], line[400];
	const char *update = line;

	for (size_t c = 0; c < COLUMNS; c++) {
		snprintf(text[c], sizeof text[c], "DS:v%zu:GAUGE:180:U:U", c);
		schema[c] = text[c];
	}
	schema[COLUMNS] = "RRA:AVERAGE:0.5:1:2880";
	need(rrd_create_r(path, STEP, START - STEP, COLUMNS + 1, schema) == 0, path);
	for (size_t i = 0; i < ROWS; i++) {
		int n = snprintf(line, sizeof line, "%lld", (long long)(START + (int64_t)(i + 1) * STEP));

		for (size_t c = 0; c < COLUMNS; c++)
			n += snprintf(line + n, sizeof line - (size_t)n, ":%.6g", numbers[c][i]);
		need(rrd_updatex_r(path, NULL, 0, 1, &update) == 0, path);
	}
}

static char **graph_arguments(const char *path, int *count)
{
	static const char *const frame[] = {"graph", "-", "--imgformat=SVG", "--full-size-mode", "--width=900", "--height=400",
		"--title", "bench", "--font=DEFAULT:9:" FONT, "--font=TITLE:11:" FONT, "--border=0", "--disable-rrdtool-tag",
		"--x-grid=HOUR:1:HOUR:3:HOUR:3:0:%H:%M", "--lower-limit=0", "--vertical-label=ms"};
	size_t n = sizeof frame / sizeof *frame;
	char **a = mem_array(n + 2 + COLUMNS * 6, sizeof *a);

	for (size_t i = 0; i < n; i++)
		a[i] = mem_strdup(frame[i]);
	a[n++] = mem_format("--start=%d", START);
	a[n++] = mem_format("--end=%d", END);
	for (size_t c = 0; c < COLUMNS; c++) {
		a[n++] = mem_format("DEF:r%zu=%s:v%zu:AVERAGE", c, path, c);
		a[n++] = mem_format("CDEF:l%zu=r%zu,1000,*", c, c);
		a[n++] = mem_format("LINE2:l%zu#0d47a1:  IPv4 city", c);
		a[n++] = mem_format("GPRINT:l%zu:AVERAGE:average %%.2lf", c);
		a[n++] = mem_format("GPRINT:l%zu:MAX:maximum %%.2lf", c);
		a[n++] = mem_format("GPRINT:l%zu:LAST:last %%.2lf\\l", c);
	}
	*count = (int)n;
	return a;
}

static double bare_ms(char **arguments, int count, size_t *bytes)
{
	double began = cpu_now();
	rrd_info_t *info = rrd_graph_v(count, arguments);

	need(info != NULL, "graph");
	for (rrd_info_t *i = info; i != NULL; i = i->next) {
		if (strcmp(i->key, "image") == 0)
			*bytes = i->value.u_blo.size;
	}
	rrd_info_free(info);
	return (cpu_now() - began) * 1e3;
}

/* ---- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	int rounds = argc > 2 && strncmp(argv[2], "rounds=", 7) == 0 ? atoi(argv[2] + 7) : 5, count;
	char *path = argc > 1 ? mem_format("%s/day.rrd", argv[1]) : NULL, **arguments;
	double ours[100], bare[100], json;
	size_t json_bytes = 0, our_bytes = 0, bare_bytes = 0;
	struct buf message = {0};

	if (path == NULL || rounds < 1 || rounds > 100) {
		fputs("usage: page_bench FOLDER [rounds=5]\n", stderr);
		return 2;
	}
	render_draw_init();
	make_numbers();
	make_file(path);
	make_message(&message);
	arguments = graph_arguments(path, &count);
	render_draw_warm_up();
	bare_ms(arguments, count, &bare_bytes);
	for (int i = 0; i < rounds; i++) {
		ours[i] = ours_ms(&message, &our_bytes);
		bare[i] = bare_ms(arguments, count, &bare_bytes);
	}
	json = json_ms(&json_bytes);
	qsort(ours, (size_t)rounds, sizeof *ours, by_value);
	qsort(bare, (size_t)rounds, sizeof *bare, by_value);
	printf("{\"json_ms\": %.3f, \"json_bytes\": %zu, \"svg_ms\": %.2f, \"svg_bytes\": %zu, \"librrd_ms\": %.2f, "
	       "\"librrd_bytes\": %zu}\n",
		json, json_bytes, ours[rounds / 2], our_bytes, bare[rounds / 2], bare_bytes);
	unlink(path);
	buf_fini(&message);
	return 0;
}
