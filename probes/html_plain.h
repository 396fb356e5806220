/*
 * html_plain: a page as the HTML parser can take it in short steps. The parser waits for the end of what has begun (a text, a tag, a
 * comment, a script) and then takes all of it at once: 0.8 s for 2 MiB of entities. Here comments and what is inside scripts and styles
 * are left out, as are tags of more than HTML_PLAIN_TAG_MAX bytes or HTML_PLAIN_SEPARATORS blanks and quotes (it compares each attribute
 * of a tag with each), and a text is divided by a mark that means nothing, each HTML_PLAIN_RUN bytes about.
 *
 * Where a tag, a comment, a script ends is as in the HTML standard (section 13.2.5); a quote elsewhere than behind '=', by which the parser would miss the end of a tag, becomes a blank. Zero bytes do too:
 * it ends at them. Pure; time is proportional to the page.
 */
#ifndef PROBES_HTML_PLAIN_H
#define PROBES_HTML_PLAIN_H

#include <stdbool.h>
#include <stddef.h>

#define HTML_PLAIN_TAG_MAX (8u << 10)
#define HTML_PLAIN_SEPARATORS 512
#define HTML_PLAIN_RUN (2u << 10)
#define HTML_PLAIN_MARK "</_>" /* the end of an element that is not open: no event */

struct buf;

/* A page on its way. */
struct html_plain {
	const char *at, *end; /* what is left; borrowed */
	size_t run;           /* bytes of text since the last tag or mark */
	bool cut;             /* a tag was left out */
};

struct html_plain html_plain_of(const void *data, size_t len);
/* Appends the next part, of `enough` bytes or a tag more, that ends behind a tag or a mark. False: it was the last one. */
bool html_plain_next(struct html_plain *, size_t enough, struct buf *out);

#endif
