#include "agent/probe_print.h"

#include <stdlib.h>
#include <string.h>

#include "agent/probe_cell.h"
#include "agent/probe_request.h"
#include "lib/mem.h"
#include "lib/sample.h"
#include "probes/catalog.h"
#include "probes/run.h"

#define TABLE_WIDTH 100
#define CELL_MAX PROBE_CELL_MAX

/* ---- as JSON */

static void put_json_text(const char *text, FILE *out)
{
	fputc('"', out);
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			fputc('\\', out);
		fputc(*text, out);
	}
	fputc('"', out);
}

static void put_json_member(const char *name, const char *text, FILE *out)
{
	fprintf(out, ", \"%s\": ", name);
	put_json_text(text, out);
}

static void put_json_values(const struct result *r, FILE *out)
{
	const char *between = "";

	fputs(", \"values\": {", out);
	for (size_t i = 0; i < r->count; i++) {
		const struct metric *m = catalog_metric(r->values[i].metric);

		if (m == NULL)
			continue;
		fprintf(out, "%s\"%s\": {\"value\": %.*f, \"unit\": \"%s\"}", between, m->name,
			(int)m->decimals, r->values[i].number, m->unit);
		between = ", ";
	}
	fputc('}', out);
}

void probe_print_json(const struct result *const *results, size_t count, FILE *out)
{
	fputc('[', out);
	for (size_t i = 0; i < count; i++) {
		const struct result *r = results[i];

		fprintf(out, "%s\n  {\"type\": \"%s\", \"family\": %d", i > 0 ? "," : "", r->type, (int)r->family);
		put_json_member("address", r->address, out);
		put_json_member("part", r->part, out);
		put_json_member("outcome", outcome_name(r->outcome), out);
		put_json_member("reason", r->reason, out);
		put_json_values(r, out);
		fputc('}', out);
	}
	fputs("\n]\n", out);
}

/* ---- as a table */

static const struct value *find_value(const struct result *r, uint32_t metric)
{
	for (size_t i = 0; i < r->count; i++) {
		if (r->values[i].metric == metric)
			return &r->values[i];
	}
	return NULL;
}

/* "-" where nothing was measured. */
static void format_value(const struct metric *m, const struct value *v, char out[CELL_MAX])
{
	if (v == NULL)
		snprintf(out, CELL_MAX, "-");
	else
		probe_cell_format(m, v->number, out);
}

enum { ROW_FAMILY = -4, ROW_PART, ROW_ADDRESS, ROW_OUTCOME }; /* then the metrics of the type */

/* One cell of the table: rows are what is told, columns the results. */
static void format_cell(const struct metric *metrics, int row, const struct result *r, char out[CELL_MAX])
{
	if (row == ROW_FAMILY)
		snprintf(out, CELL_MAX, "%s", family_name(r->family));
	else if (row == ROW_PART)
		snprintf(out, CELL_MAX, "%s", *r->part != '\0' ? r->part : "-");
	else if (row == ROW_ADDRESS)
		snprintf(out, CELL_MAX, "%s", *r->address != '\0' ? r->address : "-");
	else if (row == ROW_OUTCOME)
		snprintf(out, CELL_MAX, "%s", outcome_name(r->outcome));
	else
		format_value(&metrics[row], find_value(r, metrics[row].number), out);
}

static const char *row_name(const struct metric *metrics, int row)
{
	static const char *const heads[] = {"", "part", "address", "outcome"};

	return row < 0 ? heads[row - ROW_FAMILY] : metrics[row].name;
}

static int rows_count(const struct metric *metrics)
{
	int n = 0;

	while (metrics[n].number != 0)
		n++;
	return n;
}

static int column_width(const struct metric *metrics, const struct result *r)
{
	int width = 0;

	for (int row = ROW_FAMILY; row < rows_count(metrics); row++) {
		char cell[CELL_MAX];

		format_cell(metrics, row, r, cell);
		width = (int)strlen(cell) > width ? (int)strlen(cell) : width;
	}
	return width;
}

/* Whether a row tells anything of some result; address and part of one result are often the same. */
static bool row_tells(const struct metric *metrics, int row, const struct result *const *results, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const struct result *r = results[i];

		if (row == ROW_FAMILY ? r->family != FAMILY_NONE
			: row == ROW_PART ? strcmp(r->part, r->address) != 0 && *r->part != '\0'
			: row == ROW_ADDRESS ? *r->address != '\0'
			: row < 0 || find_value(r, metrics[row].number) != NULL)
			return true;
	}
	return false;
}

/* Of the rows that tell something. */
static int names_width(const struct metric *metrics, const struct result *const *results, size_t count)
{
	int width = 12;

	for (int row = ROW_FAMILY; row < rows_count(metrics); row++) {
		int len = (int)strlen(row_name(metrics, row));

		if (len > width && row_tells(metrics, row, results, count))
			width = len;
	}
	return width;
}

/* As many results side by side as fit, at least one; returns how many. */
static size_t print_block(const struct metric *metrics, const struct result *const *results, size_t count,
	FILE *out)
{
	int widths[2 * RUN_ADDRESSES_MAX], names = names_width(metrics, results, count), total = names;
	size_t n = 0;

	for (; n < count && n < 2 * RUN_ADDRESSES_MAX; n++) {
		widths[n] = column_width(metrics, results[n]);
		total += widths[n] + 2;
		if (n > 0 && total > TABLE_WIDTH)
			break;
	}
	for (int row = ROW_FAMILY; row < rows_count(metrics); row++) {
		if (!row_tells(metrics, row, results, n))
			continue;
		fprintf(out, "%-*s", names, row_name(metrics, row));
		for (size_t i = 0; i < n; i++) {
			char cell[CELL_MAX];

			format_cell(metrics, row, results[i], cell);
			fprintf(out, "  %*s", widths[i], cell);
		}
		/* One alone leaves room to say what it is. */
		if (n == 1 && row >= 0)
			fprintf(out, "  %s", probe_cell_label(&metrics[row], probe_cell_locale()));
		fputc('\n', out);
	}
	return n;
}

/* ---- parts of a run, a line each */

/* Several like things of one run (hops, disks), not one of several addresses. */
static bool is_part(const struct result *r)
{
	return *r->part != '\0' && strcmp(r->part, r->address) != 0;
}

/* 0: nothing of it is worth a column. */
static int line_width(const struct metric *metrics, int row, const struct result *own, const struct result *const *parts,
	size_t count)
{
	int width = (int)strlen(row_name(metrics, row));
	bool tells = row == ROW_PART;
	char cell[CELL_MAX];

	for (size_t i = 0; i < count; i++) {
		const struct result *r = parts[i];

		if (row == ROW_OUTCOME)
			tells = tells || r->outcome != OUTCOME_UP;
		else if (row == ROW_ADDRESS)
			tells = tells || strcmp(r->address, own->address) != 0;
		else if (row >= 0)
			tells = tells || find_value(r, metrics[row].number) != NULL;
		format_cell(metrics, row, r, cell);
		width = (int)strlen(cell) > width ? (int)strlen(cell) : width;
	}
	return tells ? width : 0;
}

static void print_line(const struct metric *metrics, const int *widths, const struct result *r, FILE *out)
{
	const char *between = "";

	for (int row = ROW_PART, n = rows_count(metrics); row < n; row++) {
		int width = widths[row - ROW_PART];
		char cell[CELL_MAX];

		if (width == 0)
			continue;
		if (r != NULL)
			format_cell(metrics, row, r, cell);
		else
			snprintf(cell, sizeof cell, "%s", row_name(metrics, row));
		fprintf(out, "%s%*s", between, row <= ROW_ADDRESS ? -width : width, cell);
		between = "  ";
	}
	fputc('\n', out);
}

/* False: the lines would be too long. */
static bool print_lines(const struct metric *metrics, const struct result *own, const struct result *const *parts, size_t count,
	FILE *out)
{
	int n = rows_count(metrics) - ROW_PART, total = 0;
	int *widths = mem_array((size_t)n, sizeof *widths);

	for (int i = 0; i < n; i++) {
		widths[i] = line_width(metrics, ROW_PART + i, own, parts, count);
		total += widths[i] > 0 ? widths[i] + 2 : 0;
	}
	if (total <= TABLE_WIDTH) {
		print_line(metrics, widths, NULL, out);
		for (size_t i = 0; i < count; i++)
			print_line(metrics, widths, parts[i], out);
	}
	free(widths);
	return total <= TABLE_WIDTH;
}

static void print_blocks(const struct metric *metrics, const struct result *const *results, size_t count, FILE *out)
{
	for (size_t at = 0; at < count;) {
		at += print_block(metrics, results + at, count - at, out);
		if (at < count)
			fputc('\n', out);
	}
}

static const char *name_of(const struct result *r)
{
	return *r->part != '\0' ? r->part : r->address;
}

static void print_parts(const struct metric *metrics, const struct result *own, const struct result *const *parts, size_t count,
	FILE *out)
{
	fputc('\n', out);
	if (own->family != FAMILY_NONE)
		fprintf(out, "%s %s\n", family_name(own->family), own->address);
	if (!print_lines(metrics, own, parts, count, out))
		print_blocks(metrics, parts, count, out);
}

/* The runs side by side, then the parts of each; the first result is a run's own (probe.h). */
static void print_runs(const struct metric *metrics, const struct result *const *results, size_t count, FILE *out)
{
	const struct result **own = mem_array(count + 1, sizeof *own);
	size_t n = 0, end;

	for (size_t i = 0; i < count; i++) {
		if (!is_part(results[i]))
			own[n++] = results[i];
	}
	print_blocks(metrics, own, n, out);
	free(own);
	for (size_t i = 0; i < count; i = end) {
		for (end = i + 1; end < count && is_part(results[end]); end++)
			;
		if (end > i + 1)
			print_parts(metrics, results[i], results + i + 1, end - i - 1, out);
	}
}

void probe_print_table(const struct probe_request *q, const struct result *const *results, size_t count,
	FILE *out)
{
	print_runs(q->type->metrics, results, count, out);
	for (size_t i = 0; i < count; i++) {
		const struct result *r = results[i];
		bool has_family = r->family != FAMILY_NONE;

		if (*r->reason != '\0')
			fprintf(out, "%s%s%s%s%s%s: %s\n", i == 0 || *results[i - 1]->reason == '\0' ? "\n" : "",
				outcome_name(r->outcome), has_family ? " " : "", has_family ? family_name(r->family) : "",
				*name_of(r) != '\0' ? " " : "", name_of(r), r->reason);
	}
}
