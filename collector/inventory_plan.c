#include "collector/inventory.h"

#include <stdlib.h>
#include <string.h>

#include "collector/inventory_parts.h"
#include "collector/series_rrd.h"
#include "collector/settings.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/num.h"
#include "probes/catalog.h"

#define PAGE 4096 /* files take whole pages of the disk */

/* ---- one record beside another: "; name old -> new" for each field that differs */

static const void *member(const void *record, const struct config_field *f)
{
	return (const char *)record + f->offset;
}

static const char *text_of(const void *record, const struct config_field *f)
{
	const char *text;

	memcpy(&text, member(record, f), sizeof text);
	return text;
}

static void put_text(const char *name, const char *old, const char *now, FILE *out)
{
	if (strcmp(old, now) != 0)
		fprintf(out, "; %s \"%s\" -> \"%s\"", name, old, now);
}

static void put_number(const char *name, int64_t old, int64_t now, FILE *out)
{
	if (old != now)
		fprintf(out, "; %s %lld -> %lld", name, (long long)old, (long long)now);
}

static void put_duration(const char *name, int64_t old, int64_t now, FILE *out)
{
	char a[NUM_TEXT], b[NUM_TEXT];

	if (old == now)
		return;
	num_format_duration(old, a);
	num_format_duration(now, b);
	fprintf(out, "; %s %s -> %s", name, a, b);
}

static void put_word(const char *choices, int index, FILE *out)
{
	while (index-- > 0)
		choices += strcspn(choices, "|") + 1;
	fwrite(choices, 1, strcspn(choices, "|"), out);
}

static void put_choice(const struct config_field *f, int old, int now, FILE *out)
{
	if (old == now)
		return;
	fprintf(out, "; %s ", f->name);
	put_word(f->choices, old, out);
	fputs(" -> ", out);
	put_word(f->choices, now, out);
}

static bool holds(const struct config_texts *set, const char *text)
{
	for (size_t i = 0; i < set->count; i++) {
		if (strcmp(set->items[i], text) == 0)
			return true;
	}
	return false;
}

/* Members of `of` that are not in `other`, each behind a sign. */
static bool put_members(const char *name, bool begun, char sign, const struct config_texts *of,
	const struct config_texts *other, FILE *out)
{
	for (size_t i = 0; i < of->count; i++) {
		if (holds(other, of->items[i]))
			continue;
		if (!begun)
			fprintf(out, "; %s", name);
		begun = true;
		fprintf(out, " %c%s", sign, of->items[i]);
	}
	return begun;
}

static void put_texts(const char *name, const struct config_texts *old, const struct config_texts *now,
	FILE *out)
{
	bool begun = put_members(name, false, '+', now, old, out);

	put_members(name, begun, '-', old, now, out);
}

/* Options are sorted by key; a list is several of one key. */
static void put_options(const struct config_pairs *old, const struct config_pairs *now, FILE *out)
{
	size_t i = 0, j = 0;

	while (i < old->count || j < now->count) {
		const struct config_pair *a = i < old->count ? &old->items[i] : NULL;
		const struct config_pair *b = j < now->count ? &now->items[j] : NULL;
		int order = a == NULL ? 1 : b == NULL ? -1 : strcmp(a->key, b->key);

		if (order == 0)
			put_text(a->key, a->value, b->value, out);
		else if (order < 0)
			fprintf(out, "; %s \"%s\" removed", a->key, a->value);
		else
			fprintf(out, "; %s \"%s\" added", b->key, b->value);
		i += order <= 0;
		j += order >= 0;
	}
}

/* Where a record was called otherwise says nothing about what it does. */
static bool is_name_of_record(const struct config_field *f)
{
	return strcmp(f->name, "id") == 0 || strcmp(f->name, "was") == 0;
}

static void put_difference(const struct config_field *f, const void *old, const void *now, FILE *out)
{
	switch (f->kind) {
	case CONFIG_TEXT:
	case CONFIG_ID:
		put_text(f->name, text_of(old, f), text_of(now, f), out);
		break;
	case CONFIG_BOOL:
		put_text(f->name, *(const bool *)member(old, f) ? "true" : "false",
			*(const bool *)member(now, f) ? "true" : "false", out);
		break;
	case CONFIG_DURATION:
		put_duration(f->name, *(const int64_t *)member(old, f), *(const int64_t *)member(now, f), out);
		break;
	case CONFIG_CHOICE:
		put_choice(f, *(const int *)member(old, f), *(const int *)member(now, f), out);
		break;
	case CONFIG_TEXTS:
		put_texts(f->name, member(old, f), member(now, f), out);
		break;
	case CONFIG_INT:
		put_number(f->name, *(const int64_t *)member(old, f), *(const int64_t *)member(now, f), out);
		break;
	case CONFIG_REST:
		put_options(member(old, f), member(now, f), out);
		break;
	case CONFIG_NUMBER:
	case CONFIG_SIZE:
	case CONFIG_GROUP:
	case CONFIG_LIST:
	case CONFIG_OPTIONS:
		break; /* no record has one */
	}
}

/* The words into memory first, as most records do not differ. Caller frees. */
static char *differences(const struct inventory_kind *k, const void *old, const void *now)
{
	char *words = NULL;
	size_t len;
	FILE *out = open_memstream(&words, &len);

	for (const struct config_field *f = k->schema->fields; f->name != NULL; f++) {
		if (!is_name_of_record(f))
			put_difference(f, old, now, out);
	}
	fclose(out);
	return words;
}

/* ---- all records of one kind */

struct side {
	const char *items;
	size_t count;
	const struct map *map;
};

static struct side side_of(const struct inventory_kind *k, const struct inventory *inv)
{
	struct side s;

	memcpy(&s.items, (const char *)inv + k->items, sizeof s.items);
	memcpy(&s.count, (const char *)inv + k->count, sizeof s.count);
	memcpy(&s.map, (const char *)inv->index + k->map, sizeof s.map);
	return s;
}

static const char *id_of(const void *record)
{
	const char *id;

	memcpy(&id, record, sizeof id);
	return id;
}

/* The id that a record had before, "" when it says none. */
static const char *was_of(const struct inventory_kind *k, const void *record)
{
	for (const struct config_field *f = k->schema->fields; f->name != NULL; f++) {
		if (strcmp(f->name, "was") == 0)
			return text_of(record, f);
	}
	return "";
}

struct changes {
	size_t added, removed, changed, renamed;
	struct map *renamed_from; /* old ids */
};

static void put_record(const struct inventory_kind *k, const struct side *old, const void *now,
	struct changes *c, FILE *out)
{
	const char *id = id_of(now), *was = was_of(k, now);
	const void *before = map_find(old->map, id);
	char *words;

	if (before == NULL && (before = map_find(old->map, was)) != NULL) {
		words = differences(k, before, now);
		fprintf(out, "  > %s %s, was %s%s\n", k->one, id, was, words);
		map_set(c->renamed_from, was, c);
		c->renamed++;
	} else if (before == NULL) {
		words = NULL;
		fprintf(out, "  + %s %s\n", k->one, id);
		c->added++;
	} else {
		words = differences(k, before, now);
		if (*words != '\0') {
			fprintf(out, "  ~ %s %s: %s\n", k->one, id, words + strlen("; "));
			c->changed++;
		}
	}
	free(words);
}

static void put_removed(const struct inventory_kind *k, const struct side *old, const struct side *now,
	struct changes *c, FILE *out)
{
	for (size_t i = 0; i < old->count; i++) {
		const char *id = id_of(old->items + i * k->schema->size);

		if (map_find(now->map, id) != NULL || map_find(c->renamed_from, id) != NULL)
			continue;
		fprintf(out, "  - %s %s\n", k->one, id);
		c->removed++;
	}
}

/* The lines go to memory first: the sums stand above them. */
static void put_kind(const struct inventory_kind *k, const struct inventory *before,
	const struct inventory *after, FILE *out)
{
	struct side old = side_of(k, before), now = side_of(k, after);
	struct changes c = {.renamed_from = map_new()};
	char *text = NULL;
	size_t len;
	FILE *lines = open_memstream(&text, &len);

	for (size_t i = 0; i < now.count; i++)
		put_record(k, &old, now.items + i * k->schema->size, &c, lines);
	put_removed(k, &old, &now, &c, lines);
	fclose(lines);
	fprintf(out, "%s: %zu -> %zu (%zu added, %zu removed, %zu changed, %zu renamed)\n%s", k->many,
		old.count, now.count, c.added, c.removed, c.changed, c.renamed, text);
	free(text);
	map_free(c.renamed_from, NULL);
}

/* ---- files and bytes */

struct needs {
	int64_t files, bytes;
};

static size_t columns_of(const struct catalog_type *t, enum family family)
{
	size_t n = 1; /* up */

	for (const struct metric *m = t->metrics; m->number != 0; m++)
		n += catalog_family_has(t, family, m->number);
	return n;
}

static void add_family(const struct inventory_check *c, enum family family, const struct config_list *archives, struct needs *n)
{
	int64_t files = (int64_t)c->vantages.count;
	int64_t size = series_rrd_size(columns_of(c->of_type, family), (uint32_t)(c->interval / NS_PER_S), archives);

	n->files += files;
	n->bytes += files * ((size + PAGE - 1) / PAGE * PAGE);
}

/* One file for each vantage and family. A name may turn out to have several addresses: each but the
 * first of a family takes one more file, up to max_parts, which is not known here. */
static void add_needs(const struct inventory_check *c, const struct config_list *archives, struct needs *n)
{
	enum family literal = catalog_literal(c->of_type, c->of_options);

	if (!catalog_has_family(c->of_type, c->of_options)) {
		add_family(c, FAMILY_NONE, archives, n);
		return;
	}
	if (literal != FAMILY_V6 && c->families != FAMILIES_IPV6)
		add_family(c, FAMILY_V4, archives, n);
	if (literal != FAMILY_V4 && c->families != FAMILIES_IPV4)
		add_family(c, FAMILY_V6, archives, n);
}

static struct needs needs_of(const struct inventory *inv, const struct config_list *archives)
{
	struct needs n = {0};

	for (size_t i = 0; i < inv->checks_count; i++)
		add_needs(&inv->checks[i], archives, &n);
	return n;
}

static double mib(int64_t bytes)
{
	return (double)bytes / (1 << 20);
}

int inventory_plan(const struct inventory *old, const struct inventory *now,
	const struct settings_series *series, FILE *out, struct err *e)
{
	struct needs before = needs_of(old, &series->archives), after = needs_of(now, &series->archives);

	for (const struct inventory_kind *k = inventory_kinds; k->one != NULL; k++)
		put_kind(k, old, now, out);
	fprintf(out, "series: %lld -> %lld files, %.1f -> %.1f MiB of at most %.1f MiB\n",
		(long long)before.files, (long long)after.files, mib(before.bytes), mib(after.bytes),
		mib(series->max_bytes));
	if (after.bytes > series->max_bytes)
		return err_set(e, "series would take %.1f MiB, more than series.max_bytes = %.1f MiB: fewer checks "
			"or vantages, longer intervals, shorter archives, or a larger max_bytes", mib(after.bytes),
			mib(series->max_bytes));
	return 0;
}
