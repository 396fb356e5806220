#include "probes/host/process_line.h"

#include <fnmatch.h>
#include <string.h>

#define KERNEL_THREAD 0x00200000u /* PF_KTHREAD: the same since Linux 2.6.27 */

static const char *find_last(struct scan text, char sign)
{
	for (const char *p = text.end; p > text.at; p--)
		if (p[-1] == sign)
			return p - 1;
	return NULL;
}

/* Eats the fields of proc(5) before the wanted one, which is read. */
static bool read_field(struct scan *text, int *at, int wanted, uint64_t *out)
{
	struct scan word;

	for (; *at < wanted; (*at)++)
		if (!scan_word(text, &word))
			return false;
	(*at)++;
	return scan_number(text, out);
}

bool process_parse(struct scan text, struct process_line *out)
{
	enum { FIELD_AFTER_STATE = 4, FIELD_FLAGS = 9, FIELD_USER = 14, FIELD_SYSTEM = 15, FIELD_THREADS = 20, FIELD_PAGES = 24 };
	const char *close = find_last(text, ')');
	struct scan rest = {close != NULL ? close + 1 : text.end, text.end}, name, word;
	int at = FIELD_AFTER_STATE;
	uint64_t flags, user, system;

	if (close == NULL || !scan_number(&text, &out->pid) || text.at + 1 >= close || text.at[1] != '(')
		return false;
	name = (struct scan){text.at + 2, close};
	if (name.at > name.end)
		return false;
	scan_copy(&name, out->name, sizeof out->name);
	if (!scan_word(&rest, &word) || scan_left(&word) != 1)
		return false;
	out->state = *word.at;
	if (!read_field(&rest, &at, FIELD_FLAGS, &flags) || !read_field(&rest, &at, FIELD_USER, &user) || !read_field(&rest, &at, FIELD_SYSTEM, &system) ||
		!read_field(&rest, &at, FIELD_THREADS, &out->threads) || !read_field(&rest, &at, FIELD_PAGES, &out->pages))
		return false;
	out->is_kernel = (flags & KERNEL_THREAD) != 0;
	out->ticks = user + system;
	return true;
}

bool process_has_name(const struct process_line *p, const char *pattern)
{
	return p->state != 'Z' && (strcmp(pattern, p->name) == 0 ||
		(strpbrk(pattern, "*?[\\") != NULL && fnmatch(pattern, p->name, 0) == 0));
}
