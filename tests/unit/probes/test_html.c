#include "probes/html.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"

static struct html_library *library;

static int open_library(void **state)
{
	struct err e;

	(void)state;
	library = html_library_open(&e);
	return library != NULL ? 0 : -1;
}

static int close_library(void **state)
{
	(void)state;
	html_library_close(library);
	return 0;
}

static void read_all(const void *data, size_t len, struct html_page *out)
{
	struct html_reader *r = html_read_begin(library, data, len, out);

	while (!html_read_step(r))
		;
	html_read_end(r);
}

static struct html_page page_of(const char *text)
{
	struct html_page page;

	read_all(text, strlen(text), &page);
	return page;
}

#define assert_refs(refs, ...)                                                                     \
	do {                                                                                       \
		const char *const expected_[] = {__VA_ARGS__};                                     \
		assert_int_equal((refs)->count, sizeof expected_ / sizeof *expected_);             \
		for (size_t i_ = 0; i_ < (refs)->count; i_++)                                      \
			assert_string_equal((refs)->items[i_], expected_[i_]);                     \
	} while (0)

static void a_page_gives_title_text_links_and_resources(void **state)
{
	struct html_page page = page_of("<!doctype html><html><head><title> 政务\n门户 </title><base href='/a/'>"
		"<link rel='stylesheet' href=s.css><link rel=alternate href=no.xml><style>a{}</style><script src=x.js>"
		"var a='<a href=no>';</script></head><body><a href=' /b?c=1&amp;d#e\n '>B</a><AREA HREF=c><img src=i.png>"
		"<a name=x>no link</a><p>one<p>two  three</body></html>");

	(void)state;
	assert_string_equal(buf_text(&page.title), "政务 门户 ");
	assert_string_equal(buf_text(&page.text), "B no link one two three ");
	assert_refs(&page.links, "/b?c=1&d#e", "c");
	assert_refs(&page.resources, "s.css", "x.js", "i.png");
	assert_string_equal(page.base, "/a/");
	assert_false(page.cut);
	html_page_fini(&page);
}

static void what_is_in_comments_and_scripts_is_no_link(void **state)
{
	struct html_page page = page_of("<!-- <a href=1> --><script>document.write('<a href=2>')</script><noscript>x</noscript>"
		"<textarea><b></textarea><a href=3>y</a>");

	(void)state;
	assert_refs(&page.links, "3");
	assert_null(strstr(buf_text(&page.text), "x"));
	html_page_fini(&page);
}

static void tag_soup_still_gives_its_links(void **state)
{
	struct html_page page = page_of("<a href=1<b><a href=2 href=3><td><a href=\"4\" x=\"<a href=5><a href='6'>\"</p></p><a href=7");

	(void)state;
	assert_refs(&page.links, "1<b", "2", "4", "7");
	html_page_fini(&page);
}

static void bytes_that_are_no_utf8_are_taken_as_latin_1(void **state)
{
	struct html_page page = page_of("<meta charset=gbk><title>\xd5\xfe</title><a href=1>");

	(void)state;
	assert_string_equal(buf_text(&page.title), "\xc3\x95\xc3\xbe");
	assert_refs(&page.links, "1");
	html_page_fini(&page);
}

static void nothing_and_zero_bytes_are_pages(void **state)
{
	struct html_page page;

	(void)state;
	read_all(NULL, 0, &page);
	assert_int_equal(page.links.count + page.text.len, 0);
	html_page_fini(&page);
	read_all("a\0<a href=x>", 12, &page);
	assert_refs(&page.links, "x");
	html_page_fini(&page);
}

static void an_address_that_is_too_long_is_none(void **state)
{
	char *text = mem_alloc(HTML_REF_MAX + 100);
	struct html_page page;

	(void)state;
	snprintf(text, HTML_REF_MAX + 100, "<a href=%0*d><a href=x%0*d>", HTML_REF_MAX, 0, 10, 0);
	page = page_of(text);
	assert_int_equal(page.links.count, 2);
	html_page_fini(&page);
	snprintf(text, HTML_REF_MAX + 100, "<a href=%0*d><a href=x%0*d>", HTML_REF_MAX + 1, 0, 10, 0);
	page = page_of(text);
	assert_refs(&page.links, "x0000000000");
	html_page_fini(&page);
	free(text);
}

static void what_nests_too_deep_is_cut(void **state)
{
	struct buf text = {0};
	struct html_page page;

	(void)state;
	for (int i = 0; i < HTML_DEPTH - 10; i++)
		buf_add_text(&text, "<div>");
	buf_add_text(&text, "<a href=1>");
	page = page_of(buf_text(&text));
	assert_false(page.cut);
	html_page_fini(&page);
	for (int i = 0; i < 20; i++)
		buf_add_text(&text, "<div>");
	buf_add_text(&text, "<a href=2>");
	page = page_of(buf_text(&text));
	assert_true(page.cut);
	assert_refs(&page.links, "1");
	html_page_fini(&page);
	buf_fini(&text);
}

/* Steps end anywhere: inside a character, a tag, a script. */
static void a_page_of_many_steps_is_read_as_one(void **state)
{
	struct buf text = {0};
	struct html_page page;

	(void)state;
	buf_add_text(&text, "<body>");
	for (int i = 0; i < 1500; i++)
		buf_add_format(&text, "<p><a href='/第%d号'>公告</a><script>a<b '<a href=x>'</script>", i);
	assert_true(text.len > 20 * HTML_STEP);
	page = page_of(buf_text(&text));
	assert_int_equal(page.links.count, 1500);
	assert_string_equal(page.links.items[1499], "/第1499号");
	assert_int_equal(page.text.len, 1500 * strlen("公告 "));
	html_page_fini(&page);
	page = page_of("");
	html_page_fini(&page);
	html_read_end(html_read_begin(library, "<a href=x>", 10, &page)); /* before its end */
	html_page_fini(&page);
	html_read_end(NULL);
	buf_fini(&text);
}

/* Without their bounds the first took the parser 10 s, the second 17 s. */
static void hostile_pages_take_no_time(void **state)
{
	const size_t size = 512u << 10;
	struct html_page page;
	struct buf text[4] = {{0}, {0}, {0}, {0}};

	(void)state;
	buf_add_text(&text[0], "<a");
	for (unsigned i = 0; text[0].len < size; i++)
		buf_add_format(&text[0], " a%u", i);
	buf_add_text(&text[0], ">");
	while (text[1].len < size / 2)
		buf_add_text(&text[1], "<font>");
	while (text[1].len < size)
		buf_add_text(&text[1], "</x>");
	while (text[2].len < size)
		buf_add_text(&text[2], "<!-- ");
	while (text[3].len < size)
		buf_add_text(&text[3], "<a<b ");
	for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
		int64_t began = clock_mono();

		read_all(text[i].data, text[i].len, &page);
		assert_true(clock_mono() - began < 2 * NS_PER_S);
		html_page_fini(&page);
		buf_fini(&text[i]);
	}
}

/* ---- no step is long */

static int64_t cpu_time(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (int64_t)t.tv_sec * NS_PER_S + t.tv_nsec;
}

/* The longest hold of the loop, in ns of this thread; begin and end count as steps. */
static int64_t longest_step(const struct buf *text)
{
	struct html_page page;
	int64_t longest, began = cpu_time(), now;
	struct html_reader *r = html_read_begin(library, text->data, text->len, &page);
	bool done = false;

	longest = cpu_time() - began;
	while (!done) {
		began = cpu_time();
		done = html_read_step(r);
		now = cpu_time();
		longest = now - began > longest ? now - began : longest;
	}
	html_read_end(r);
	html_page_fini(&page);
	return longest;
}

/* What had no '>', or one that the parser does not take for an end, was read in one step: 0.8 s of entities. */
static void no_page_holds_the_loop(void **state)
{
	static const char *const pieces[] = {"&amp;", "&zwnj;", "&#x4e2d;", "&nosuch;", "&", "a", "\xe4\xb8\xad", "\x80", "<!-- ", "<!-- > ", "<!--", ">", "< ", "<", "<a<b ",
		"<a ", "<a x=\"", "<a \"", "<a \">", "<a x=' y='>", "<a x\"y>", "<a 'b='\">", "</", "</a ", "<?", "<!", "<![CDATA[", "<script>", "<script>a<b</", "<style></sty",
		"<title>", "<textarea>", "<p>", "<b><i></b>", "</x>", "<a href=x>", "<table><tr>", "<select><option>", "<form><form>", "<font>x", "-->", "--!>", "<svg><![CDATA[>"};
	const size_t size = 2u << 20;
	int64_t worst = 0;

	(void)state;
	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		struct buf text = {0};
		int64_t longest;

		buf_add_text(&text, "<html><body>");
		while (text.len < size)
			buf_add_text(&text, pieces[i]);
		longest = longest_step(&text);
		if (longest > 10 * NS_PER_MS)
			printf("%s: %.1f ms\n", pieces[i], (double)longest / NS_PER_MS);
		worst = longest > worst ? longest : worst;
		buf_fini(&text);
	}
	printf("the longest step of a page of 2 MiB: %.1f ms\n", (double)worst / NS_PER_MS);
	assert_true(worst < 150 * NS_PER_MS);
}

/* Blanks that follow one another are one. */
static void add_once(struct buf *to, const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text != ' ' || (to->len > 0 && to->data[to->len - 1] != ' '))
			buf_add_u8(to, (uint8_t)*text);
	}
}

/* Marks that divide a text are not in it, and divide no entity or character. */
static void a_long_text_comes_through_whole(void **state)
{
	static const char *const pieces[] = {"政务", "&amp;", "x", " y", "&eacute;", "< ", "&", "<b>z</b>"};
	static const char *const plain[] = {"政务", "&", "x", " y", "é", "< ", "&", "z "};
	unsigned seed = (unsigned)time(NULL);

	(void)state;
	printf("seed %u\n", seed);
	srandom(seed);
	for (int round = 0; round < 40; round++) {
		struct buf text = {0}, expected = {0};
		struct html_page page;
		size_t kinds = 1 + (size_t)random() % 8, size = 1u << (8 + random() % 8);

		buf_add_text(&text, "<body>");
		while (text.len < size) {
			size_t k = (size_t)random() % kinds;

			buf_add_text(&text, pieces[k]);
			add_once(&expected, plain[k]);
		}
		read_all(text.data, text.len, &page);
		if (expected.len > 0 && expected.data[expected.len - 1] == ' ')
			expected.len--; /* the end of the body is a blank */
		assert_true(page.text.len >= expected.len && page.text.len <= expected.len + 1);
		assert_memory_equal(page.text.data, expected.data, expected.len);
		assert_false(page.cut);
		html_page_fini(&page);
		buf_fini(&text);
		buf_fini(&expected);
	}
}

static void comments_and_scripts_end_where_the_standard_says(void **state)
{
	static const struct { const char *text, *links; } rows[] = {
		{"<!--><a href=1>", "1"}, {"<!---><a href=1>", "1"}, {"<!-- --!><a href=1>", "1"}, {"<!--x--><a href=1><!--", "1"},
		{"<!-- <a href=0> -- > --><a href=1>", "1"}, {"<!----><a href=1>", "1"}, {"<!x><a href=1>", "1"}, {"<?x><a href=1>", "1"},
		{"</><a href=1>", "1"}, {"</3><a href=1>", "1"},
		{"<script>'<!--'</script><a href=1><!-- -->", "1"}, {"<SCRIPT>x</scripts></Script ><a href=1>", "1"},
		{"<style>a<!--</style><a href=1>", "1"}, {"<scripty></scripty><a href=1>", "1"}, {"<a title='>' href=1>", "1"},
		{"<a title= '>' href=1>", "1"}, {"<a x'> href=0><b href='>'><a href=1>", "1"}, {"<!-- <a href=0>", ""}, {"<script><a href=0>", ""}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct html_page page = page_of(rows[i].text);

		if (page.links.count != strlen(rows[i].links) || (page.links.count > 0 && strcmp(page.links.items[0], rows[i].links) != 0))
			fail_msg("%s", rows[i].text);
		html_page_fini(&page);
	}
}

/* A picture inside the page: its tag is left out, what comes behind is not. */
static void a_very_long_tag_is_left_out(void **state)
{
	struct buf text = {0};
	struct html_page page;

	(void)state;
	buf_add_text(&text, "<a href=1><img src='data:image/png;base64,");
	while (text.len < 80 << 10)
		buf_add_text(&text, "iVBORw0KGgo=");
	buf_add_text(&text, "'>x<script src=");
	while (text.len < 160 << 10)
		buf_add_text(&text, "a");
	buf_add_text(&text, ">'<a href=2>'</script><a href=3>");
	page = page_of(buf_text(&text));
	assert_refs(&page.links, "1", "3");
	assert_string_equal(buf_text(&page.text), "x ");
	assert_true(page.cut);
	html_page_fini(&page);
	buf_fini(&text);
}

static void any_cut_of_a_page_keeps_its_bounds(void **state)
{
	static const char text[] = "<html><title>t</title><a href='/a b' x=\"y>\">l</a><script>a<b</script><!-- c --><img src=1>&eacute;&#x4e2d;</html>";
	unsigned seed = (unsigned)time(NULL);
	struct html_page page;

	(void)state;
	printf("seed %u\n", seed);
	srandom(seed);
	for (int i = 0; i < 20000; i++) {
		char copy[sizeof text];

		memcpy(copy, text, sizeof text);
		for (long k = random() % 4; k > 0; k--)
			copy[(size_t)random() % sizeof text] = (char)random();
		read_all(copy, (size_t)random() % sizeof text, &page);
		assert_true(page.links.count <= 2 && page.resources.count <= 2);
		html_page_fini(&page);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_page_gives_title_text_links_and_resources),
		cmocka_unit_test(what_is_in_comments_and_scripts_is_no_link),
		cmocka_unit_test(tag_soup_still_gives_its_links),
		cmocka_unit_test(bytes_that_are_no_utf8_are_taken_as_latin_1),
		cmocka_unit_test(nothing_and_zero_bytes_are_pages),
		cmocka_unit_test(an_address_that_is_too_long_is_none),
		cmocka_unit_test(what_nests_too_deep_is_cut),
		cmocka_unit_test(a_page_of_many_steps_is_read_as_one),
		cmocka_unit_test(hostile_pages_take_no_time),
		cmocka_unit_test(no_page_holds_the_loop),
		cmocka_unit_test(a_long_text_comes_through_whole),
		cmocka_unit_test(comments_and_scripts_end_where_the_standard_says),
		cmocka_unit_test(a_very_long_tag_is_left_out),
		cmocka_unit_test(any_cut_of_a_page_keeps_its_bounds),
	};

	return cmocka_run_group_tests(tests, open_library, close_library);
}
