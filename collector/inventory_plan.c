/* What a new inventory would change: records by id, and the series files that follow from them. */
#include "collector/inventory.h"

#include <inttypes.h>
#include <stddef.h>
#include <string.h>

#include "collector/series_rrd.h"
#include "collector/settings.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/map.h"
#include "lib/num.h"
#include "probes/catalog.h"

struct tally {
	size_t added, removed, changed, renamed;
};

/* ---- files: one per check, vantage and family; a name with several addresses has one for each, which is not known yet */

struct volume {
	uint64_t files, bytes;
};

static size_t columns_of(const struct inventory_check *c)
{
	size_t n = 1; /* "up" */

	for (const struct metric *m = c->of_type->metrics; m->number != 0; m++)
		n++;
	return n;
}

static struct volume volume_of(const struct inventory *inv, const struct settings_series *s)
{
	struct volume v = {0, 0};

	for (size_t i = 0; i < inv->checks_count; i++) {
		const struct inventory_check *c = &inv->checks[i];
		uint64_t files = c->vantages.count * (c->families == FAMILIES_BOTH ? 2 : 1);

		v.files += files;
		v.bytes += files * (uint64_t)series_rrd_size(columns_of(c), (uint32_t)(c->interval / NS_PER_S), &s->archives);
	}
	return v;
}

/* ---- checks */

static bool same_texts(const struct config_texts *a, const struct config_texts *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	}
	return true;
}

static bool same_options(const struct config_pairs *a, const struct config_pairs *b)
{
	if (a->count != b->count)
		return false;
	for (size_t i = 0; i < a->count; i++) {
		if (strcmp(a->items[i].key, b->items[i].key) != 0 || strcmp(a->items[i].value, b->items[i].value) != 0)
			return false;
	}
	return true;
}

/* Words for what differs of a check; "" when nothing does. */
static const char *difference(const struct inventory_check *a, const struct inventory_check *b)
{
	if (strcmp(a->type, b->type) != 0)
		return "type";
	if (strcmp(a->subject, b->subject) != 0)
		return "subject";
	if (!same_texts(&a->vantages, &b->vantages))
		return "vantages";
	if (a->interval != b->interval)
		return "interval";
	if (a->timeout != b->timeout || a->families != b->families || a->priority != b->priority)
		return "timeout, families or priority";
	return same_options(&a->options, &b->options) ? "" : "options";
}

/* The check of the old inventory that goes on as this one: by its id, or by the id it had. */
static const struct inventory_check *origin(const struct inventory *old, const struct inventory_check *c)
{
	const struct inventory_check *before = inventory_check(old, c->id);

	if (before == NULL && c->was[0] != '\0')
		before = inventory_check(old, c->was);
	return before;
}

static void plan_checks(const struct inventory *old, const struct inventory *now, FILE *out, struct tally *t)
{
	struct map *kept = map_new();

	for (size_t i = 0; i < now->checks_count; i++) {
		const struct inventory_check *c = &now->checks[i], *before = origin(old, c);
		const char *what = before != NULL ? difference(before, c) : "";

		if (before == NULL) {
			t->added++;
			fprintf(out, "+ check %s (%s of %s)\n", c->id, c->type, c->subject);
			continue;
		}
		map_set(kept, before->id, (void *)(uintptr_t)before);
		if (strcmp(before->id, c->id) != 0) {
			t->renamed++;
			fprintf(out, "= check %s was %s, its history stays\n", c->id, before->id);
		}
		if (*what != '\0') {
			t->changed++;
			fprintf(out, "~ check %s: %s\n", c->id, what);
		}
	}
	for (size_t i = 0; i < old->checks_count; i++) {
		if (map_find(kept, old->checks[i].id) != NULL)
			continue;
		t->removed++;
		fprintf(out, "- check %s (%s of %s): its files stay until they are removed by hand\n", old->checks[i].id,
			old->checks[i].type, old->checks[i].subject);
	}
	map_free(kept, NULL);
}

/* ---- everything else: by id alone */

struct kind {
	const char *word;
	size_t size, offset, count_offset; /* of a record; of the array and its count in struct inventory */
};

static const char *id_at(const struct inventory *inv, const struct kind *k, size_t i)
{
	const char *records;

	memcpy(&records, (const char *)inv + k->offset, sizeof records);
	/* The id is the first member of every record. */
	return *(const char *const *)(const void *)(records + i * k->size);
}

static size_t count_of(const struct inventory *inv, const struct kind *k)
{
	return *(const size_t *)(const void *)((const char *)inv + k->count_offset);
}

static struct map *ids_of(const struct inventory *inv, const struct kind *k)
{
	struct map *ids = map_new();

	for (size_t i = 0; i < count_of(inv, k); i++)
		map_set(ids, id_at(inv, k, i), (void *)(uintptr_t)id_at(inv, k, i));
	return ids;
}

/* What stands in one and not in the other. */
static size_t print_missing(const struct inventory *from, const struct inventory *in, const struct kind *k, char sign,
	FILE *out)
{
	struct map *ids = ids_of(in, k);
	size_t n = 0;

	for (size_t i = 0; i < count_of(from, k); i++) {
		const char *id = id_at(from, k, i);

		if (map_find(ids, id) != NULL)
			continue;
		n++;
		fprintf(out, "%c %s %s\n", sign, k->word, id);
	}
	map_free(ids, NULL);
	return n;
}

static void plan_others(const struct inventory *old, const struct inventory *now, FILE *out, struct tally *t)
{
#define KIND(word, member) {word, sizeof *(now->member), offsetof(struct inventory, member), \
	offsetof(struct inventory, member##_count)}
	const struct kind kinds[] = {KIND("unit", units), KIND("system", systems), KIND("site", sites),
		KIND("link", links), KIND("agent", agents)};
#undef KIND

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		t->added += print_missing(now, old, &kinds[i], '+', out);
		t->removed += print_missing(old, now, &kinds[i], '-', out);
	}
}

int inventory_plan(const struct inventory *old, const struct inventory *now, const struct settings_series *series,
	FILE *out, struct err *e)
{
	struct volume before = volume_of(old, series), after = volume_of(now, series);
	char text[NUM_TEXT], limit[NUM_TEXT];
	struct tally t = {0, 0, 0, 0};

	plan_others(old, now, out, &t);
	plan_checks(old, now, out, &t);
	fprintf(out, "%zu added, %zu removed, %zu changed, %zu renamed\n", t.added, t.removed, t.changed, t.renamed);
	num_format_size((int64_t)(after.bytes >> 20 << 20), text);
	fprintf(out, "series: %" PRIu64 " files now, %" PRIu64 " then (at one address per name), %s in all\n",
		before.files, after.files, text);
	if (after.bytes <= (uint64_t)series->max_bytes)
		return 0;
	num_format_size(series->max_bytes, limit);
	return err_set(e, "series files would take %s, more than series.max_bytes = \"%s\": raise it, or keep less in "
		"series.archives", text, limit);
}
