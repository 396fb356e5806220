#include "lib/config_parts.h"

#include <stdio.h>
#include <string.h>

#include "lib/config.h"

static unsigned least(unsigned a, unsigned b, unsigned c)
{
	unsigned m = a < b ? a : b;

	return m < c ? m : c;
}

/* Levenshtein's. */
unsigned config_distance(const char *a, const char *b)
{
	size_t m = strnlen(a, 63), n = strnlen(b, 63);
	unsigned row[64];

	for (unsigned j = 0; j <= n; j++)
		row[j] = j;
	for (unsigned i = 1; i <= m; i++) {
		unsigned corner = row[0];

		row[0] = i;
		for (size_t j = 1; j <= n; j++) {
			unsigned above = row[j];

			row[j] = least(above + 1, row[j - 1] + 1, corner + (a[i - 1] != b[j - 1]));
			corner = above;
		}
	}
	return row[n];
}

/* The field whose name is nearest to a wrong one, if it is nearer than *within, which shrinks. People rarely miss the first letter:
 * without it "host" would be near to "root". */
static const char *nearest(const struct config_schema *schema, const char *name, unsigned *within)
{
	const char *best = NULL;

	for (const struct config_field *f = schema->fields; f->name != NULL; f++) {
		unsigned d = config_distance(name, f->name);

		if (f->kind != CONFIG_REST && d < *within && (d == 1 || name[0] == f->name[0])) {
			best = f->name;
			*within = d;
		}
	}
	return best;
}

static void list_names(const struct config_schema *schema, char *out, size_t room)
{
	for (const struct config_field *f = schema->fields; f->name != NULL; f++) {
		size_t n = strlen(out);

		if (f->kind != CONFIG_REST)
			snprintf(out + n, room - n, "%s%s", n > 0 ? ", " : "", f->name);
	}
}

int config_names_unknown(const struct config_schema *schema, const struct config_schema *beside,
	const struct config_where *w, const char *name, struct err *e)
{
	unsigned within = (unsigned)strnlen(name, 63) / 3 + 2;
	const char *best = nearest(schema, name, &within);
	const char *other = beside != NULL ? nearest(beside, name, &within) : NULL;
	char known[300] = "";

	if (other != NULL)
		best = other;
	if (best != NULL)
		return config_error(w, e, "unknown setting \"%.60s\": did you mean \"%s\"?", name, best);
	if (beside != NULL)
		list_names(beside, known, sizeof known);
	list_names(schema, known, sizeof known);
	return config_error(w, e, "unknown setting \"%.60s\": known here are %s", name, known);
}
