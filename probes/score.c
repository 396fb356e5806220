#include "probes/score.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"

/* ---- likeness */

static uint64_t hash_bytes(const unsigned char *bytes, size_t len)
{
	uint64_t h = UINT64_C(0xcbf29ce484222325); /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		h = (h ^ bytes[i]) * UINT64_C(0x100000001b3);
	return h;
}

/* How often each occurs in a list: a table with open addressing, half empty at most. */
struct tally {
	size_t mask;
	uint64_t *keys; /* 0: free; what hashes to 0 counts as 1 */
	uint32_t *counts;
};

static size_t place_of(const struct tally *t, uint64_t key)
{
	size_t at = (size_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 20) & t->mask;

	while (t->keys[at] != 0 && t->keys[at] != key)
		at = (at + 1) & t->mask;
	return at;
}

static struct tally tally_of(const uint64_t *hashes, size_t count)
{
	size_t room = 16;
	struct tally t;

	while (room < 2 * count)
		room *= 2;
	t = (struct tally){.mask = room - 1, .keys = mem_array(room, sizeof *t.keys), .counts = mem_array(room, sizeof *t.counts)};
	for (size_t i = 0; i < count; i++) {
		uint64_t key = hashes[i] != 0 ? hashes[i] : 1;
		size_t at = place_of(&t, key);

		t.keys[at] = key;
		t.counts[at]++;
	}
	return t;
}

static double likeness(const uint64_t *a, size_t a_count, const uint64_t *b, size_t b_count)
{
	struct tally t = tally_of(a, a_count);
	size_t common = 0;

	for (size_t i = 0; i < b_count; i++) {
		size_t at = place_of(&t, b[i] != 0 ? b[i] : 1);

		common += t.counts[at] > 0;
		t.counts[at] -= t.counts[at] > 0;
	}
	free(t.keys);
	free(t.counts);
	return a_count + b_count > 0 ? 2 * (double)common / (double)(a_count + b_count) : 1;
}

static size_t next_character(const unsigned char *bytes, size_t at, size_t len)
{
	do
		at++;
	while (at < len && (bytes[at] & 0xc0) == 0x80);
	return at;
}

/* A hash of each run; a text shorter than one is a run by itself. */
static uint64_t *runs_of(const void *text, size_t len, size_t *count)
{
	uint64_t *out = mem_array(len + 1, sizeof *out);
	const unsigned char *bytes = text;
	size_t end = 0, at = 0;

	*count = 0;
	for (int i = 0; i < SCORE_RUN && end < len; i++)
		end = next_character(bytes, end, len);
	while (at < len) {
		out[(*count)++] = hash_bytes(bytes + at, end - at);
		if (end == len)
			break;
		at = next_character(bytes, at, len);
		end = next_character(bytes, end, len);
	}
	return out;
}

double score_text_likeness(const void *a, size_t a_len, const void *b, size_t b_len)
{
	size_t a_count, b_count;
	uint64_t *of_a = runs_of(a, a_len, &a_count), *of_b = runs_of(b, b_len, &b_count);
	double result = likeness(of_a, a_count, of_b, b_count);

	free(of_a);
	free(of_b);
	return result;
}

static uint64_t *hashes_of(char *const *items, size_t count)
{
	uint64_t *out = mem_array(count + 1, sizeof *out);

	for (size_t i = 0; i < count; i++)
		out[i] = hash_bytes((const unsigned char *)items[i], strlen(items[i]));
	return out;
}

double score_list_likeness(char *const *a, size_t a_count, char *const *b, size_t b_count)
{
	uint64_t *of_a = hashes_of(a, a_count), *of_b = hashes_of(b, b_count);
	double result = likeness(of_a, a_count, of_b, b_count);

	free(of_a);
	free(of_b);
	return result;
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
