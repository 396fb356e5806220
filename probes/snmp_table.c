#include "probes/snmp_table.h"

#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/mem.h"
#include "lib/num.h"

#define REQUESTS_MAX 1000 /* of one walk */
#define AROUND 64         /* bytes of an answer that are no row of it, about */

/* ---- values */

static double number_of_text(const struct snmp_value *v)
{
	char text[64];
	struct err ignored;
	double number;

	if (v->text_len == 0 || v->text_len >= sizeof text)
		return (double)NAN;
	memcpy(text, v->text, v->text_len);
	text[v->text_len] = '\0';
	return num_parse_double(text, &number, &ignored) == 0 ? number : (double)NAN;
}

double snmp_number(const struct snmp_value *v)
{
	switch (v->kind) {
	case SNMP_KIND_INTEGER:
		return (double)v->integer;
	case SNMP_KIND_UNSIGNED:
	case SNMP_KIND_COUNTER32:
	case SNMP_KIND_COUNTER64:
		return (double)v->number;
	case SNMP_KIND_REAL:
		return v->real;
	case SNMP_KIND_TEXT:
		return number_of_text(v);
	case SNMP_KIND_NONE:
	case SNMP_KIND_NO_OBJECT:
	case SNMP_KIND_NO_INSTANCE:
	case SNMP_KIND_END:
	case SNMP_KIND_OTHER:
		break;
	}
	return (double)NAN;
}

const char *snmp_kind_words(const struct snmp_value *v)
{
	switch (v->kind) {
	case SNMP_KIND_NONE:
		return "not answered";
	case SNMP_KIND_NO_OBJECT:
		return "noSuchObject: the device does not have it, or does not show it";
	case SNMP_KIND_NO_INSTANCE:
		return "noSuchInstance: the device has the object, but not this instance of it";
	case SNMP_KIND_END:
		return "endOfMibView";
	case SNMP_KIND_TEXT:
		return isfinite(number_of_text(v)) ? "" : "is a text, not a number";
	case SNMP_KIND_OTHER:
		return "is neither a number nor a text";
	case SNMP_KIND_REAL:
		return isfinite(v->real) ? "" : "is not a finite number";
	case SNMP_KIND_INTEGER:
	case SNMP_KIND_UNSIGNED:
	case SNMP_KIND_COUNTER32:
	case SNMP_KIND_COUNTER64:
		break;
	}
	return "";
}

/* ---- names of objects */

void snmp_oid_parse(const char *text, struct snmp_oid *out)
{
	out->len = 0;
	while (*text != '\0' && out->len < SNMP_OID_MAX) {
		char *end;

		out->part[out->len++] = (uint32_t)strtoul(text, &end, 10);
		text = *end == '.' ? end + 1 : end;
	}
}

void snmp_oid_copy(struct snmp_oid *to, const struct snmp_oid *from)
{
	to->len = from->len;
	memcpy(to->part, from->part, from->len * sizeof *from->part);
}

static int compare_parts(const uint32_t *a, size_t a_len, const uint32_t *b, size_t b_len)
{
	for (size_t i = 0; i < a_len && i < b_len; i++) {
		if (a[i] != b[i])
			return a[i] < b[i] ? -1 : 1;
	}
	return a_len < b_len ? -1 : a_len > b_len;
}

int snmp_oid_order(const struct snmp_oid *a, const struct snmp_oid *b)
{
	return compare_parts(a->part, a->len, b->part, b->len);
}

bool snmp_oid_is_below(const struct snmp_oid *o, const struct snmp_oid *prefix)
{
	return o->len > prefix->len && memcmp(o->part, prefix->part, prefix->len * sizeof *o->part) == 0;
}

/* ---- tables */

void snmp_table_init(struct snmp_table *t, size_t columns)
{
	assert(columns <= SNMP_COLUMNS_MAX);
	*t = (struct snmp_table){.columns = columns};
}

void snmp_table_fini(struct snmp_table *t)
{
	arena_free(t->arena);
	free(t->rows);
	*t = (struct snmp_table){0};
}

static bool is_row(const struct snmp_table *t, size_t at, const uint32_t *index, size_t len)
{
	return at < t->count && t->rows[at]->index_len == len && memcmp(t->rows[at]->index, index, len * sizeof *index) == 0;
}

/* Where the row is, or would be. Walks go up: the end is looked at first. */
static size_t place_of(const struct snmp_table *t, const uint32_t *index, size_t len, bool *is_there)
{
	size_t low = 0, high = t->count;

	*is_there = false;
	if (high > 0 && compare_parts(index, len, t->rows[high - 1]->index, t->rows[high - 1]->index_len) > 0)
		return high;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = compare_parts(index, len, t->rows[middle]->index, t->rows[middle]->index_len);

		if (order == 0) {
			*is_there = true;
			return middle;
		}
		if (order > 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static struct snmp_row *add_row(struct snmp_table *t, size_t at, const uint32_t *index, size_t len, int64_t mono)
{
	struct snmp_row *row;

	if (t->arena == NULL)
		t->arena = arena_new();
	row = arena_alloc(t->arena, sizeof *row + t->columns * sizeof row->values[0]);
	row->index_len = len;
	memcpy(row->index, index, len * sizeof *index);
	row->mono = mono;
	if (t->count % 64 == 0)
		t->rows = mem_resize(t->rows, t->count + 64, sizeof(struct snmp_row *));
	memmove(t->rows + at + 1, t->rows + at, (t->count - at) * sizeof(struct snmp_row *));
	t->rows[at] = row;
	t->count++;
	return row;
}

void snmp_table_put(struct snmp_table *t, size_t column, const uint32_t *index, size_t len,
	const struct snmp_value *v, int64_t mono)
{
	bool is_there;
	struct snmp_row *row;
	size_t at;

	if (len == 0 || len > SNMP_INDEX_MAX)
		return;
	is_there = is_row(t, t->last, index, len);
	at = is_there ? t->last : place_of(t, index, len, &is_there);
	if (!is_there && t->count == SNMP_ROWS_MAX) {
		t->is_full = true;
		return;
	}
	t->last = at;
	row = is_there ? t->rows[at] : add_row(t, at, index, len, mono);
	row->values[column] = *v;
	if (v->text == NULL)
		return;
	if (v->text_len > SNMP_TEXT_MAX)
		row->values[column].text_len = SNMP_TEXT_MAX;
	row->values[column].text = memcpy(arena_alloc(t->arena, row->values[column].text_len), v->text,
		row->values[column].text_len);
}

const struct snmp_row *snmp_table_find(const struct snmp_table *t, const uint32_t *index, size_t len)
{
	bool is_there;
	size_t at = place_of(t, index, len, &is_there);

	return is_there ? t->rows[at] : NULL;
}

/* ---- walks */

void snmp_walk_begin(struct snmp_walk *w, struct snmp_table *t, const char *const *prefixes, size_t count,
	size_t varbinds_max)
{
	assert(count <= t->columns);
	memset(w, 0, sizeof *w);
	w->table = t;
	w->count = count;
	w->progressed = true;
	w->repetitions_max = SNMP_VARBINDS_MAX;
	w->varbinds_max = varbinds_max;
	for (size_t i = 0; i < count; i++) {
		snmp_oid_parse(prefixes[i], &w->prefix[i]);
		w->at[i] = w->prefix[i];
	}
}

static void note_lack(struct snmp_walk *w, enum snmp_lack lack)
{
	if (w->lack == SNMP_LACK_NONE)
		w->lack = lack;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

size_t snmp_walk_ask(struct snmp_walk *w, const struct snmp_oid **out, unsigned *repetitions)
{
	size_t rows;

	w->asked_count = 0;
	for (size_t i = 0; i < w->count; i++) {
		if (w->ended[i])
			continue;
		out[w->asked_count] = &w->at[i];
		w->asked[w->asked_count++] = i;
	}
	if (w->asked_count > 0 && (!w->progressed || w->requests == REQUESTS_MAX)) {
		note_lack(w, SNMP_LACK_END);
		w->asked_count = 0;
	}
	if (w->asked_count == 0)
		return 0;
	rows = smaller(w->rows > 0 ? w->rows : SNMP_VARBINDS / w->asked_count, w->varbinds_max / w->asked_count);
	w->repetitions = (unsigned)smaller(rows > 0 ? rows : 1, w->repetitions_max);
	*repetitions = w->repetitions;
	w->requests++;
	w->progressed = false;
	w->given = 0;
	return w->asked_count;
}

void snmp_walk_take(struct snmp_walk *w, size_t i, const struct snmp_oid *name, const struct snmp_value *v, int64_t mono)
{
	size_t column, below, index_len;
	const uint32_t *index;
	struct snmp_oid *at;

	if (w->asked_count == 0)
		return;
	if (i == 0)
		w->turn = 0;
	w->given = i + 1;
	column = w->asked[w->turn];
	w->turn = w->turn + 1 < w->asked_count ? w->turn + 1 : 0; /* a division for each varbind was to be seen */
	if (w->ended[column])
		return;
	w->progressed = true;
	at = &w->at[column]; /* below its prefix too, from which it began */
	below = w->prefix[column].len;
	if (v->kind == SNMP_KIND_END || !snmp_oid_is_below(name, &w->prefix[column])) {
		w->ended[column] = true;
		return;
	}
	index = name->part + below;
	index_len = name->len - below;
	if (compare_parts(index, index_len, at->part + below, at->len - below) <= 0) {
		note_lack(w, SNMP_LACK_ORDER);
		w->ended[column] = true;
		return;
	}
	at->len = name->len;
	memcpy(at->part + below, index, index_len * sizeof *index);
	snmp_table_put(w->table, column, index, index_len, v, mono);
	if (w->table->is_full) {
		note_lack(w, SNMP_LACK_ROWS);
		w->ended[column] = true;
	}
}

/* Texts of the next rows may be longer: one row more at a time, or a quarter. Columns that have ended are no measure of the others. */
void snmp_walk_replied(struct snmp_walk *w, const struct snmp_answer *a)
{
	size_t rows, fit;

	if (a->repetitions < w->repetitions)
		w->varbinds_max = a->repetitions * w->asked_count;
	if (w->given == 0 || a->len <= AROUND)
		return;
	rows = w->given / w->asked_count;
	fit = (SNMP_ANSWER_MAX - AROUND) * w->given / (a->len - AROUND) / w->asked_count;
	w->rows_fit = w->columns_fit == w->asked_count ? smaller(w->rows_fit, fit) : fit;
	w->columns_fit = w->asked_count;
	w->rows = smaller(w->rows_fit > 0 ? w->rows_fit : 1, rows + (rows >= 8 ? rows / 4 : 1));
}

bool snmp_walk_too_big(struct snmp_walk *w)
{
	if (w->asked_count == 0 || w->repetitions <= 1)
		return false;
	w->repetitions_max = w->repetitions / 2;
	w->progressed = true;
	return true;
}

bool snmp_walk_failed_at(struct snmp_walk *w, size_t varbind)
{
	if (varbind == 0 || varbind > w->asked_count)
		return false;
	note_lack(w, SNMP_LACK_COLUMN);
	w->ended[w->asked[varbind - 1]] = true;
	w->progressed = true;
	return true;
}
