#include "probes/host/counters.h"

#include <string.h>

static void keep(const struct scan *group, const struct scan *name, struct scan value, const struct counters_word *words,
	size_t count, uint64_t *out, bool *has)
{
	for (size_t i = 0; i < count; i++) {
		if ((group == NULL) != (words[i].group == NULL) || !scan_is(name, words[i].name))
			continue;
		if (group == NULL || scan_is(group, words[i].group))
			has[i] = scan_number(&value, &out[i]) || has[i];
	}
}

/* The line of numbers that belongs to a line of names: of the same group, the next one. */
static void read_pair(const struct scan *group, struct scan names, struct scan *text, const struct counters_word *words,
	size_t count, uint64_t *out, bool *has)
{
	struct scan line, again, name, value;

	if (!scan_line(text, &line) || !scan_until(&line, ':', &again) ||
		scan_left(&again) != scan_left(group) || memcmp(again.at, group->at, scan_left(group)) != 0)
		return;
	while (scan_word(&names, &name) && scan_word(&line, &value))
		keep(group, &name, value, words, count, out, has);
}

void counters_read(struct scan text, const struct counters_word *words, size_t count, uint64_t *out, bool *has)
{
	struct scan line, name, value;

	while (scan_line(&text, &line)) {
		struct scan rest = line;

		if (memchr(line.at, ':', scan_left(&line)) != NULL) {
			scan_until(&rest, ':', &name);
			read_pair(&name, rest, &text, words, count, out, has);
		} else if (scan_word(&rest, &name) && scan_word(&rest, &value)) {
			keep(NULL, &name, value, words, count, out, has);
		}
	}
}
