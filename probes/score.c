#include "probes/score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"

#define DIGIT 12 /* bits; a hash has four digits */
#define MASK ((1u << DIGIT) - 1)

/* ---- likeness */

static uint64_t hash_bytes(const unsigned char *bytes, size_t len)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		h = (h ^ bytes[i]) * UINT64_C(0x100000001b3);
	return h >> (64 - 4 * DIGIT);
}

/* Stable, by one digit: all digits, the least first, make the order. */
static void sort_by_digit(const uint64_t *from, uint64_t *to, size_t count, unsigned shift)
{
	size_t places[1 << DIGIT] = {0}, at = 0;

	for (size_t i = 0; i < count; i++)
		places[from[i] >> shift & MASK]++;
	for (size_t d = 0; d <= MASK; d++) {
		size_t n = places[d];

		places[d] = at;
		at += n;
	}
	for (size_t i = 0; i < count; i++)
		to[places[from[i] >> shift & MASK]++] = from[i];
}

static void sort_hashes(uint64_t *hashes, size_t count)
{
	uint64_t *scratch = mem_array(count + 1, sizeof *scratch);

	for (unsigned shift = 0; shift < 4 * DIGIT; shift += 2 * DIGIT) {
		sort_by_digit(hashes, scratch, count, shift);
		sort_by_digit(scratch, hashes, count, shift + DIGIT);
	}
	free(scratch);
}

double score_likeness(const struct score_bag *a, const struct score_bag *b)
{
	size_t common = 0, i = 0, k = 0;

	while (i < a->count && k < b->count) {
		uint64_t left = a->hashes[i], right = b->hashes[k];

		common += left == right;
		i += left <= right;
		k += right <= left;
	}
	return a->count + b->count > 0 ? 2 * (double)common / (double)(a->count + b->count) : 1;
}

static size_t next_character(const unsigned char *bytes, size_t at, size_t len)
{
	do
		at++;
	while (at < len && (bytes[at] & 0xc0) == 0x80);
	return at;
}

/* A text shorter than a run is one by itself. */
struct score_bag score_bag_of_text(const void *text, size_t len)
{
	struct score_bag bag = {.hashes = mem_array(len + 1, sizeof *bag.hashes)};
	const unsigned char *bytes = text;
	size_t end = 0, at = 0;

	for (int i = 0; i < SCORE_RUN && end < len; i++)
		end = next_character(bytes, end, len);
	while (at < len) {
		bag.hashes[bag.count++] = hash_bytes(bytes + at, end - at);
		if (end == len)
			break;
		at = next_character(bytes, at, len);
		end = next_character(bytes, end, len);
	}
	sort_hashes(bag.hashes, bag.count);
	return bag;
}

struct score_bag score_bag_of_list(char *const *items, size_t count)
{
	struct score_bag bag = {.count = count, .hashes = mem_array(count + 1, sizeof *bag.hashes)};

	for (size_t i = 0; i < count; i++)
		bag.hashes[i] = hash_bytes((const unsigned char *)items[i], strlen(items[i]));
	sort_hashes(bag.hashes, count);
	return bag;
}

void score_bag_fini(struct score_bag *bag)
{
	free(bag->hashes);
	*bag = (struct score_bag){0};
}

/* ---- numbers */

static int compare_numbers(const void *a, const void *b)
{
	double left = *(const double *)a, right = *(const double *)b;

	return (left > right) - (left < right);
}

double score_median(double *values, size_t count)
{
	if (count == 0)
		return (double)NAN;
	qsort(values, count, sizeof *values, compare_numbers);
	return (values[(count - 1) / 2] + values[count / 2]) / 2;
}

double score_percent(size_t part, size_t whole)
{
	return whole > 0 ? 100 * (double)part / (double)whole : (double)NAN;
}

double score_total(const struct score_index *indices, size_t count)
{
	double sum = 0, weights = 0;

	for (size_t i = 0; i < count; i++) {
		if (isnan(indices[i].value))
			continue;
		sum += indices[i].value * (double)indices[i].weight;
		weights += (double)indices[i].weight;
	}
	return weights > 0 ? sum / weights : (double)NAN;
}
