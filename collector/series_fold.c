#include "collector/series_fold.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "collector/series_catalogue.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "lib/wire.h"

/* One entry being folded. */
struct pass {
	struct series_fold *fold;
	struct series_counts counts;
	const struct wire_envelope *envelope;
	const char *vantage;
	struct position before;
	int64_t now;
};

static const char *renamed(const struct map *aliases, const char *id)
{
	const char *now = aliases != NULL ? map_find(aliases, id) : NULL;

	return now != NULL ? now : id;
}

static int64_t floor_second(int64_t ns)
{
	return ns / NS_PER_S - (ns % NS_PER_S < 0);
}

/* ---- value sets */

static void take(struct pass *p, struct series_file *f, int64_t time, uint32_t interval_s,
	const double *numbers)
{
	if (time <= f->last) {
		p->counts.late++;
		return;
	}
	series_catalogue_queue(p->fold->catalogue, f, time, interval_s, numbers, p->before, p->now);
	p->counts.sets++;
}

/* Column of a metric in the main file, looked for from *hint on: values mostly come in its order. */
static int column_of(const struct series_layout *l, uint32_t metric, size_t *hint)
{
	for (size_t i = 0; i < l->metrics_count; i++) {
		size_t at = (*hint + i) % l->metrics_count;

		if (l->metrics[at] == metric) {
			*hint = at + 1;
			return (int)(l->has_up + at);
		}
	}
	return -1;
}

static void overflow(struct pass *p, const char *check, const char *why)
{
	p->counts.overflow++;
	if (p->fold->on_overflow != NULL)
		p->fold->on_overflow(p->fold->ctx, check, p->vantage, why);
}

static void take_sibling(struct pass *p, struct series *s, const struct result *r, size_t value,
	int64_t time)
{
	struct series_file *f = series_catalogue_file(p->fold->catalogue, s, r->values[value].metric);

	if (f != NULL)
		take(p, f, time, r->interval_s, &r->values[value].number);
	else
		overflow(p, r->check, "files of the agent");
}

static double up_of(enum outcome o)
{
	switch (o) {
	case OUTCOME_UP:
		return 1;
	case OUTCOME_DOWN:
		return 0;
	case OUTCOME_UNKNOWN:
		break;
	}
	return NAN;
}

static void take_result(struct pass *p, struct series *s, const struct result *r, int64_t time)
{
	const struct series_layout *l = s->file.layout;
	double numbers[SERIES_COLUMNS_MAX];
	size_t hint = 0;

	for (size_t i = 1; i < l->columns; i++)
		numbers[i] = NAN;
	numbers[0] = up_of(r->outcome);
	for (size_t i = 0; i < r->count; i++) {
		int column = column_of(l, r->values[i].metric, &hint);

		if (column >= 0)
			numbers[column] = r->values[i].number;
		else
			take_sibling(p, s, r, i, time);
	}
	take(p, &s->file, time, r->interval_s, numbers);
}

/* ---- rows */

/* The time of a row is in bounds: late ones are left to the files. */
static bool time_is_sane(struct pass *p, int64_t time)
{
	if (time > floor_second(p->envelope->received_real) + SERIES_FUTURE_S) {
		p->counts.future++;
		return false;
	}
	if (time < SERIES_TIME_MIN) {
		p->counts.ancient++;
		return false;
	}
	return true;
}

static struct series *find_or_add(struct pass *p, const struct result *r)
{
	struct series *s = series_catalogue_find(p->fold->catalogue, r->check, p->vantage, r->family,
		r->part);
	struct err ignored;
	const char *why;

	if (s != NULL)
		return s;
	if (num_check_id(r->check, &ignored) < 0 || num_check_id(p->vantage, &ignored) < 0) {
		p->counts.refused++;
		return NULL;
	}
	s = series_catalogue_add(p->fold->catalogue, p->vantage, r, &why);
	if (s == NULL)
		overflow(p, r->check, why);
	return s;
}

static void fold_row(struct pass *p, struct result *r)
{
	int64_t measured = r->mono + p->envelope->offset;
	struct series *s;

	p->counts.rows++;
	r->check = renamed(p->fold->checks, r->check);
	if (r->interval_s == 0) {
		p->counts.one_shot++;
		return;
	}
	if (!time_is_sane(p, floor_second(measured)))
		return;
	s = find_or_add(p, r);
	if (s == NULL)
		return;
	take_result(p, s, r, floor_second(measured));
	series_catalogue_result(p->fold->catalogue, s, r, measured, p->envelope->received_real);
}

static void fold_now_row(struct pass *p, struct result *r)
{
	int64_t measured = r->mono + p->envelope->offset;
	struct series *s;

	if (r->interval_s == 0 || !time_is_sane(p, floor_second(measured)))
		return;
	s = series_catalogue_find(p->fold->catalogue, renamed(p->fold->checks, r->check), p->vantage,
		r->family, r->part);
	if (s != NULL)
		series_catalogue_now(p->fold->catalogue, s, r, measured, p->envelope->received_real);
}

/* One bool per row. */
static uint8_t *refused_rows(const struct wire_envelope *v, size_t rows)
{
	uint8_t *refused;

	if (v->refused_count == 0)
		return NULL;
	refused = mem_array(rows, 1);
	for (size_t i = 0; i < v->refused_count; i++) {
		if (v->refused[i] < rows)
			refused[v->refused[i]] = 1;
	}
	return refused;
}

static void fold_rows(struct pass *p, struct wire_rows *rows, void (*fold)(struct pass *, struct result *))
{
	size_t count = wire_rows_count(rows);
	uint8_t *refused = refused_rows(p->envelope, count);

	for (size_t i = 0; i < count; i++) {
		struct result r;
		uint64_t seq;

		wire_rows_next(rows, &r, &seq);
		if (refused != NULL && refused[i])
			p->counts.refused++;
		else
			fold(p, &r);
	}
	free(refused);
}

static int fold_envelope(struct pass *p, const struct journal_entry *entry, struct err *e)
{
	struct wire_envelope *v = wire_envelope_decode(entry->payload, entry->len, e);
	bool is_now = entry->kind == ENTRY_NOW;
	struct wire_batch *batch;

	if (v == NULL)
		return -1;
	batch = is_now ? wire_now_decode(v->body, v->body_len, e) :
			 wire_batch_decode(v->body, v->body_len, e);
	if (batch != NULL && v->time_unknown) {
		p->counts.time_unknown += wire_rows_count(batch->rows);
	} else if (batch != NULL) {
		p->envelope = v;
		p->vantage = renamed(p->fold->vantages, v->agent);
		fold_rows(p, batch->rows, is_now ? fold_now_row : fold_row);
	}
	wire_batch_free(batch);
	wire_envelope_free(v);
	return batch != NULL ? 0 : -1;
}

static void fold_gap(struct pass *p, const struct journal_entry *entry)
{
	struct journal_gap gap;

	p->counts.gaps++;
	if (journal_gap_decode(entry->payload, entry->len, &gap) == 0)
		p->counts.lost += gap.count;
}

static void add_counts(struct series_counts *to, const struct series_counts *more)
{
	uint64_t *a = (uint64_t *)to;
	const uint64_t *b = (const uint64_t *)more;

	for (size_t i = 0; i < sizeof *to / sizeof *a; i++)
		a[i] += b[i];
}

int series_fold_entry(struct series_fold *fold, const struct journal_entry *entry, struct position before,
	bool again, int64_t now, struct err *e)
{
	struct pass p = {.fold = fold, .before = before, .now = now};
	int rc = 0;

	p.counts.entries = 1;
	if (entry->kind == ENTRY_BATCH || entry->kind == ENTRY_NOW)
		rc = fold_envelope(&p, entry, e);
	else if (entry->kind == ENTRY_GAP)
		fold_gap(&p, entry);
	if (rc < 0)
		p.counts.undecodable++;
	if (!again)
		add_counts(&fold->counts, &p.counts);
	return rc;
}
