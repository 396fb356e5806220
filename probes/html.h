/*
 * html: what a page holds: title, text, links, resources, by libxml2's HTML parser as events, so that no tree is built.
 *
 *   html_library_open -> html_read_begin -> html_read_step ... -> html_read_end -> html_page_fini, ... -> html_library_close
 *
 * libxml2 is loaded by html_library_open and by nothing else. A page is hostile: nothing is fetched, no character set is taken from
 * it (bytes that are not UTF-8 are Latin-1), and what would make the parser slow is bounded: HTML_DEPTH elements inside one
 * another, tags and texts as html_plain.h has it. A step takes some ms at worst.
 * Pure but for the loading. Thread: one.
 */
#ifndef PROBES_HTML_H
#define PROBES_HTML_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/buf.h"

#define HTML_STEP (4u << 10) /* bytes that are read at once, and a tag more */
#define HTML_DEPTH 256
#define HTML_REFS_MAX 2000
#define HTML_REF_MAX 2048 /* bytes of an address */
#define HTML_TEXT_MAX (256u << 10)
#define HTML_TITLE_MAX 1024

struct err;
struct html_library;
struct html_reader;

/* Addresses as written, without blanks around, each in its place; repeats stay. */
struct html_refs {
	size_t count;
	char **items;
};

struct html_page {
	struct buf title, text;       /* UTF-8, blanks as one space; without scripts and styles */
	struct html_refs links;       /* of a and area */
	struct html_refs resources;   /* images, scripts, style sheets, frames, media */
	char *base;                   /* of the base element; NULL */
	bool cut;                     /* a limit was met: not all of it is here */
};

/* NULL with words when it cannot be loaded here. */
struct html_library *html_library_open(struct err *);
void html_library_close(struct html_library *); /* accepts NULL */
/* The data is copied; out fills with each step and stays where it is until html_read_end. */
struct html_reader *html_read_begin(const struct html_library *, const void *data, size_t len, struct html_page *out);
bool html_read_step(struct html_reader *); /* reads on; true: all is read */
void html_read_end(struct html_reader *);  /* at any time; accepts NULL */
void html_page_fini(struct html_page *);

#endif
