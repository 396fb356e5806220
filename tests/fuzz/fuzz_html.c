/* A page of HTML: what is taken from it keeps its bounds. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "probes/html.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void check_refs(const struct html_refs *refs)
{
	if (refs->count > HTML_REFS_MAX)
		abort();
	for (size_t i = 0; i < refs->count; i++) {
		if (strlen(refs->items[i]) > HTML_REF_MAX || strpbrk(refs->items[i], "\t\r\n") != NULL)
			abort();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct html_library *library;
	struct html_reader *reader;
	struct html_page page;
	struct err e;

	if (library == NULL)
		library = html_library_open(&e);
	if (library == NULL)
		abort();
	reader = html_read_begin(library, data, len, &page);
	while (!html_read_step(reader))
		;
	html_read_end(reader);
	check_refs(&page.links);
	check_refs(&page.resources);
	if (page.title.len > HTML_TITLE_MAX || page.text.len > HTML_TEXT_MAX)
		abort();
	html_page_fini(&page);
	return 0;
}
