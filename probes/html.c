#include "probes/html.h"

#include <ctype.h>
#include <dlfcn.h>
#include <libxml/HTMLparser.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "lib/err.h"
#include "lib/mem.h"
#include "probes/html_plain.h"

#define LIBRARY "libxml2.so.2"

struct html_library {
	void *handle;
	htmlParserCtxtPtr (*create)(htmlSAXHandlerPtr, void *, const char *, int, const char *, xmlCharEncoding);
	int (*use_options)(htmlParserCtxtPtr, int);
	int (*parse_chunk)(htmlParserCtxtPtr, const char *, int, int);
	void (*stop)(xmlParserCtxtPtr);
	void (*free)(htmlParserCtxtPtr);
};

struct html_reader {
	const struct html_library *library;
	htmlParserCtxtPtr parser; /* NULL: there is none */
	htmlSAXHandler events;
	char *data;
	struct html_plain rest;
	struct buf part; /* of it, for the parser */
	struct html_page *page;
	unsigned depth, hidden; /* elements that are open; of these whose text is none */
	bool in_title;
};

/* ---- text */

/* Appends with each run of blanks as one space, none at the beginning. */
static void add_text(struct buf *to, const char *text, size_t len, size_t max)
{
	for (size_t i = 0; i < len && to->len < max; i++) {
		bool blank = isspace((unsigned char)text[i]);

		if (blank && (to->len == 0 || to->data[to->len - 1] == ' '))
			continue;
		buf_add_u8(to, blank ? ' ' : (uint8_t)text[i]);
	}
}

static void on_characters(void *ctx, const xmlChar *text, int len)
{
	struct html_reader *r = ctx;

	if (r->in_title)
		add_text(&r->page->title, (const char *)text, (size_t)len, HTML_TITLE_MAX);
	else if (r->hidden == 0)
		add_text(&r->page->text, (const char *)text, (size_t)len, HTML_TEXT_MAX);
}

/* What the parser takes for the content of scripts and styles. */
static void on_cdata(void *ctx, const xmlChar *text, int len)
{
	(void)ctx, (void)text, (void)len;
}

/* ---- elements */

static const char *attribute(const xmlChar **attributes, const char *name)
{
	for (; attributes != NULL && attributes[0] != NULL; attributes += 2) {
		if (strcasecmp((const char *)attributes[0], name) == 0)
			return (const char *)attributes[1];
	}
	return NULL;
}

/* Without what the URL standard drops: blanks around, tabs and line ends anywhere. NULL: none, or too long. */
static char *clean_ref(const char *text)
{
	size_t len, n = 0;
	char *out;

	if (text == NULL)
		return NULL;
	while (isspace((unsigned char)*text))
		text++;
	len = strnlen(text, HTML_REF_MAX + 1);
	while (len > 0 && isspace((unsigned char)text[len - 1]))
		len--;
	if (len == 0 || len > HTML_REF_MAX)
		return NULL;
	out = mem_alloc(len + 1);
	for (size_t i = 0; i < len; i++) {
		if (strchr("\t\r\n", text[i]) == NULL)
			out[n++] = text[i];
	}
	return out;
}

static void add_ref(struct html_reader *r, struct html_refs *refs, const char *text)
{
	char *ref = clean_ref(text);

	if (ref == NULL)
		return;
	if (refs->count == HTML_REFS_MAX) {
		r->page->cut = true;
		free(ref);
		return;
	}
	if ((refs->count & (refs->count - 1)) == 0)
		refs->items = mem_resize(refs->items, refs->count > 0 ? 2 * refs->count : 1, sizeof *refs->items);
	refs->items[refs->count++] = ref;
}

static bool is_one_of(const char *name, const char *const *names)
{
	while (*names != NULL && strcasecmp(name, *names) != 0)
		names++;
	return *names != NULL;
}

static bool hides_text(const char *name)
{
	static const char *const names[] = {"script", "style", "noscript", "template", NULL};

	return is_one_of(name, names);
}

static void read_element(struct html_reader *r, const char *name, const xmlChar **attributes)
{
	static const char *const linking[] = {"a", "area", NULL};
	static const char *const loading[] = {"img", "script", "iframe", "frame", "embed", "audio", "video", "source", NULL};
	const char *rel;

	if (is_one_of(name, linking)) {
		add_ref(r, &r->page->links, attribute(attributes, "href"));
	} else if (is_one_of(name, loading)) {
		add_ref(r, &r->page->resources, attribute(attributes, "src"));
	} else if (strcasecmp(name, "link") == 0) {
		rel = attribute(attributes, "rel");
		if (rel != NULL && strcasestr(rel, "stylesheet") != NULL)
			add_ref(r, &r->page->resources, attribute(attributes, "href"));
	} else if (strcasecmp(name, "base") == 0 && r->page->base == NULL) {
		r->page->base = clean_ref(attribute(attributes, "href"));
	}
}

static void on_start(void *ctx, const xmlChar *element, const xmlChar **attributes)
{
	const char *name = (const char *)element;
	struct html_reader *r = ctx;

	r->depth++;
	if (r->depth > HTML_DEPTH) {
		r->page->cut = true;
		r->library->stop(r->parser);
		return;
	}
	if (hides_text(name))
		r->hidden++;
	else if (strcasecmp(name, "title") == 0)
		r->in_title = r->page->title.len == 0;
	read_element(r, name, attributes);
}

static void on_end(void *ctx, const xmlChar *element)
{
	const char *name = (const char *)element;
	struct html_reader *r = ctx;

	r->depth -= r->depth > 0;
	if (hides_text(name))
		r->hidden -= r->hidden > 0;
	else if (strcasecmp(name, "title") == 0)
		r->in_title = false;
	else
		on_characters(r, (const xmlChar *)" ", 1);
}

static void on_words(void *ctx, const char *words, ...)
{
	(void)ctx, (void)words;
}

/* ---- a page */

/* RFC 3629, for the choice of one of two character sets. */
static bool is_utf8(const unsigned char *p, size_t len)
{
	const unsigned char *end = p + len;

	while (p < end) {
		size_t more = *p < 0x80 ? 0 : *p >= 0xc2 && *p < 0xe0 ? 1 : (*p & 0xf0) == 0xe0 ? 2 : *p >= 0xf0 && *p < 0xf5 ? 3 : 4;

		if (more == 4)
			return false;
		if (more >= (size_t)(end - p))
			return true; /* cut inside a character */
		for (size_t i = 1; i <= more; i++) {
			if ((p[i] & 0xc0) != 0x80)
				return false;
		}
		p += more + 1;
	}
	return true;
}

struct html_reader *html_read_begin(const struct html_library *library, const void *data, size_t len, struct html_page *out)
{
	struct html_reader *r = mem_alloc(sizeof *r);

	*out = (struct html_page){0};
	*r = (struct html_reader){.library = library, .page = out, .data = mem_copy(len > 0 ? data : "", len),
		.events = {.startElement = on_start, .endElement = on_end, .characters = on_characters,
			.ignorableWhitespace = on_characters, .cdataBlock = on_cdata, .warning = on_words, .error = on_words}};
	r->rest = html_plain_of(r->data, len);
	r->parser = library->create(&r->events, r, NULL, 0, NULL,
		is_utf8(data, len) ? XML_CHAR_ENCODING_UTF8 : XML_CHAR_ENCODING_8859_1);
	out->cut = r->parser == NULL;
	if (r->parser != NULL)
		library->use_options(r->parser, HTML_PARSE_RECOVER | HTML_PARSE_NONET | HTML_PARSE_NOERROR |
			HTML_PARSE_NOWARNING | HTML_PARSE_IGNORE_ENC);
	return r;
}

bool html_read_step(struct html_reader *r)
{
	bool more;

	if (r->parser == NULL || r->depth > HTML_DEPTH)
		return true;
	buf_clear(&r->part);
	more = html_plain_next(&r->rest, HTML_STEP, &r->part);
	r->page->cut |= r->rest.cut;
	r->library->parse_chunk(r->parser, buf_text(&r->part), (int)r->part.len, !more);
	return !more;
}

void html_read_end(struct html_reader *r)
{
	if (r == NULL)
		return;
	if (r->parser != NULL)
		r->library->free(r->parser);
	buf_fini(&r->part);
	free(r->data);
	free(r);
}

static void refs_fini(struct html_refs *refs)
{
	for (size_t i = 0; i < refs->count; i++)
		free(refs->items[i]);
	free(refs->items);
}

void html_page_fini(struct html_page *p)
{
	buf_fini(&p->title);
	buf_fini(&p->text);
	refs_fini(&p->links);
	refs_fini(&p->resources);
	free(p->base);
	*p = (struct html_page){0};
}

/* ---- the library */

/* A pointer to a function has no place in one to data, by ISO C; POSIX makes it so. */
static int find(struct html_library *l, const char *name, void *function, struct err *e)
{
	void *symbol = dlsym(l->handle, name);

	if (symbol == NULL)
		return err_set(e, "%s of this host lacks %s", LIBRARY, name);
	memcpy(function, &symbol, sizeof symbol);
	return 0;
}

struct html_library *html_library_open(struct err *e)
{
	struct html_library *l = mem_alloc(sizeof *l);

	l->handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (l->handle == NULL) {
		err_set(e, "the HTML parser cannot be loaded: %s", dlerror());
		free(l);
		return NULL;
	}
	if (find(l, "htmlCreatePushParserCtxt", &l->create, e) < 0 || find(l, "htmlCtxtUseOptions", &l->use_options, e) < 0 ||
		find(l, "htmlParseChunk", &l->parse_chunk, e) < 0 || find(l, "xmlStopParser", &l->stop, e) < 0 ||
		find(l, "htmlFreeParserCtxt", &l->free, e) < 0) {
		free(l);
		return NULL;
	}
	return l;
}

/* The library itself stays: what it holds for the process would be lost. */
void html_library_close(struct html_library *l)
{
	free(l);
}
