#include "probes/host/counters.h"

#include <assert.h>
#include <string.h>

/* Those of one group, as they are looked for: most names of a text are not wanted, and are passed by their length. */
struct wanted {
	struct {
		const char *name;
		size_t len, at; /* at: its place in the table */
	} words[COUNTERS_MAX];
	size_t count;
};

static void select_group(struct wanted *w, const struct scan *group, const struct counters_word *words, size_t count)
{
	assert(count <= COUNTERS_MAX);
	w->count = 0;
	for (size_t i = 0; i < count; i++) {
		if (group == NULL ? words[i].group != NULL : words[i].group == NULL || !scan_is(group, words[i].group))
			continue;
		w->words[w->count].name = words[i].name;
		w->words[w->count].len = strlen(words[i].name);
		w->words[w->count++].at = i;
	}
}

static void keep(const struct wanted *w, const struct scan *name, struct scan value, uint64_t *out, bool *has)
{
	size_t len = scan_left(name);

	for (size_t i = 0; i < w->count; i++) {
		if (w->words[i].len == len && memcmp(w->words[i].name, name->at, len) == 0)
			has[w->words[i].at] = scan_number(&value, &out[w->words[i].at]) || has[w->words[i].at];
	}
}

/* The line of numbers that belongs to a line of names: of the same group, the next one. */
static void read_pair(const struct scan *group, struct scan names, struct scan *text, const struct wanted *w, uint64_t *out, bool *has)
{
	struct scan line, again, name, value;

	if (!scan_line(text, &line) || !scan_until(&line, ':', &again) ||
		scan_left(&again) != scan_left(group) || memcmp(again.at, group->at, scan_left(group)) != 0)
		return;
	while (w->count > 0 && scan_word(&names, &name) && scan_word(&line, &value))
		keep(w, &name, value, out, has);
}

void counters_read(struct scan text, const struct counters_word *words, size_t count, uint64_t *out, bool *has)
{
	struct scan line, name, value;
	struct wanted of_group, of_none;

	select_group(&of_none, NULL, words, count);
	while (scan_line(&text, &line)) {
		struct scan rest = line;

		if (memchr(line.at, ':', scan_left(&line)) != NULL) {
			scan_until(&rest, ':', &name);
			select_group(&of_group, &name, words, count);
			read_pair(&name, rest, &text, &of_group, out, has);
		} else if (of_none.count > 0 && scan_word(&rest, &name) && scan_word(&rest, &value)) {
			keep(&of_none, &name, value, out, has);
		}
	}
}
