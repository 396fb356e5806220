#include "collector/series_fetch.h"

#include <math.h>
#include <stdlib.h>

#include "collector/channel.h"
#include "collector/series_catalogue.h"
#include "collector/series_rrd.h"
#include "lib/buf.h"
#include "lib/err.h"
#include "lib/mem.h"

#define COLUMNS_MAX 250 /* channel.c takes 256 */

struct answer {
	struct channel_values values;
	struct channel_column columns[COLUMNS_MAX];
	double *owned[COLUMNS_MAX]; /* numbers that were brought to another frame */
	size_t owned_count;
};

static void add_columns(struct answer *a, const struct series_file *f, const struct series_rrd_values *v,
	double *const numbers[SERIES_RRD_FUNCTIONS])
{
	const struct series_layout *l = f->layout;

	for (size_t c = 0; c < l->columns; c++) {
		uint32_t metric = l->has_up && c == 0 ? 0 : l->metrics[c - l->has_up];

		for (uint8_t n = 0; n < SERIES_RRD_FUNCTIONS; n++) {
			if (numbers[n] == NULL || a->values.columns == COLUMNS_MAX)
				continue;
			a->columns[a->values.columns++] = (struct channel_column){.metric = metric,
				.function = n, .numbers = numbers[n] + c * v->rows};
		}
	}
}

/* Numbers of a sibling, whose rows may be of another width, in the frame of the main file. */
static double *bring(const struct channel_values *frame, const struct series_rrd_values *v, const double *numbers)
{
	double *out = mem_array(frame->rows, sizeof *out);

	for (size_t i = 0; i < frame->rows; i++) {
		int64_t middle = frame->start + (int64_t)i * frame->step + frame->step / 2;
		int64_t at = (middle - v->start) / v->step;

		out[i] = middle >= v->start && (size_t)at < v->rows ? numbers[at] : NAN;
	}
	return out;
}

static void add_sibling(struct answer *a, const char *path, const struct series_file *f,
	const struct channel_fetch *q, uint32_t points)
{
	double *numbers[SERIES_RRD_FUNCTIONS] = {NULL};
	struct series_rrd_values v;
	struct err ignored; /* without it the rest is still good */

	if (a->values.columns + SERIES_RRD_FUNCTIONS > COLUMNS_MAX ||
		series_rrd_read(path, f, q->from, q->to, points, &v, &ignored) < 0)
		return;
	for (int n = 0; n < SERIES_RRD_FUNCTIONS; n++) {
		if (v.numbers[n] != NULL)
			a->owned[a->owned_count++] = numbers[n] = bring(&a->values, &v, v.numbers[n]);
	}
	add_columns(a, f, &v, numbers);
	series_rrd_values_fini(&v);
}

static char *path_of(const char *folder, const struct series_file *f)
{
	char path[SERIES_PATH_MAX];

	return mem_format("%s/%s", folder, series_file_path(f, path));
}

int series_fetch(const char *folder, const struct series *s, const struct channel_fetch *q,
	struct buf *out, struct err *e)
{
	uint32_t points = q->points < SERIES_FETCH_POINTS ? q->points : SERIES_FETCH_POINTS;
	char *path = path_of(folder, &s->file);
	struct answer *a = mem_alloc(sizeof *a);
	struct series_rrd_values v = {0};
	int rc = series_rrd_read(path, &s->file, q->from, q->to, points, &v, e);

	free(path);
	if (rc == 0) {
		a->values = (struct channel_values){.start = v.start, .step = v.step, .rows = v.rows,
			.column = a->columns};
		add_columns(a, &s->file, &v, v.numbers);
		for (const struct series_file *f = s->file.next; f != NULL; f = f->next) {
			path = path_of(folder, f);
			add_sibling(a, path, f, q, points);
			free(path);
		}
		channel_values_encode(&a->values, out);
	}
	for (size_t i = 0; i < a->owned_count; i++)
		free(a->owned[i]);
	series_rrd_values_fini(&v);
	free(a);
	return rc;
}
