#include "lib/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"

struct item {
	const char *id;
	int64_t number;
	struct config_pairs options;
	struct config_where where;
};

struct inner {
	bool flag;
	double ratio;
};

struct outer {
	const char *name;
	int64_t count, wait, bytes;
	int colour;
	struct config_texts words;
	struct inner inner;
	struct config_list items;
};

static const struct config_field item_fields[] = {
	{.name = "id", .kind = CONFIG_ID, .offset = offsetof(struct item, id), .help = "its id"},
	{.name = "number", .kind = CONFIG_INT, .offset = offsetof(struct item, number), .fallback = "7",
		.help = "a number"},
	{.name = "options", .kind = CONFIG_OPTIONS, .offset = offsetof(struct item, options),
		.fallback = "", .help = "more"},
	{.name = NULL},
};
static const struct config_schema item_schema = {
	sizeof(struct item), item_fields, offsetof(struct item, where)};
static const struct config_field inner_fields[] = {
	{.name = "flag", .kind = CONFIG_BOOL, .offset = offsetof(struct inner, flag), .fallback = "true",
		.help = "a flag"},
	{.name = "ratio", .kind = CONFIG_NUMBER, .offset = offsetof(struct inner, ratio),
		.fallback = "0.5", .min = -1, .max = 2, .help = "a ratio"},
	{.name = NULL},
};
static const struct config_schema inner_schema = {sizeof(struct inner), inner_fields, -1};
static const struct config_field outer_fields[] = {
	{.name = "name", .kind = CONFIG_TEXT, .offset = offsetof(struct outer, name), .min = 1, .max = 20,
		.help = "what it is called"},
	{.name = "count", .kind = CONFIG_INT, .offset = offsetof(struct outer, count), .fallback = "3",
		.min = 1, .max = INT64_C(10000000000), .help = "how many"},
	{.name = "wait", .kind = CONFIG_DURATION, .offset = offsetof(struct outer, wait),
		.fallback = "10s", .min = NS_PER_S, .max = 60 * NS_PER_S, .help = "how long"},
	{.name = "bytes", .kind = CONFIG_SIZE, .offset = offsetof(struct outer, bytes),
		.fallback = "1MiB", .help = "how much"},
	{.name = "colour", .kind = CONFIG_CHOICE, .offset = offsetof(struct outer, colour),
		.fallback = "green", .choices = "red|green|blue", .help = "which"},
	{.name = "words", .kind = CONFIG_TEXTS, .offset = offsetof(struct outer, words),
		.fallback = "one two", .max = 3, .help = "some words"},
	{.name = "inner", .kind = CONFIG_GROUP, .offset = offsetof(struct outer, inner), .fallback = "",
		.sub = &inner_schema, .help = "inside"},
	{.name = "items", .kind = CONFIG_LIST, .offset = offsetof(struct outer, items), .fallback = "",
		.sub = &item_schema, .help = "things"},
	{.name = NULL},
};
static const struct config_schema outer_schema = {sizeof(struct outer), outer_fields, -1};

struct open {
	const char *id;
	struct config_pairs rest;
};

static const struct config_field open_fields[] = {
	{.name = "id", .kind = CONFIG_ID, .offset = offsetof(struct open, id), .help = "its id"},
	{.name = "...", .kind = CONFIG_REST, .offset = offsetof(struct open, rest), .fallback = "",
		.help = "what another schema reads"},
	{.name = NULL},
};
static const struct config_schema open_schema = {sizeof(struct open), open_fields, -1};

static struct arena *arena;

static int begin(void **state)
{
	(void)state;
	arena = arena_new();
	return 0;
}

static int end(void **state)
{
	(void)state;
	arena_free(arena);
	return 0;
}

static struct outer read_good(const char *text)
{
	struct outer o;
	struct err e;

	if (config_parse("t.conf", text, &outer_schema, arena, &o, &e) < 0)
		fail_msg("refused: %s", e.text);
	return o;
}

/* The text is refused with exactly these words. */
static void assert_refused(const char *text, const char *words)
{
	struct outer o;
	struct err e;

	if (config_parse("t.conf", text, &outer_schema, arena, &o, &e) == 0)
		fail_msg("taken: %s", text);
	assert_string_equal(e.text, words);
}

static void what_is_not_given_has_its_default(void **state)
{
	struct outer o = read_good("name = \"x\"");

	(void)state;
	assert_string_equal(o.name, "x");
	assert_int_equal(o.count, 3);
	assert_int_equal(o.wait, 10 * NS_PER_S);
	assert_int_equal(o.bytes, 1 << 20);
	assert_int_equal(o.colour, 1);
	assert_int_equal(o.words.count, 2);
	assert_string_equal(o.words.items[1], "two");
	assert_true(o.inner.flag);
	assert_true(o.inner.ratio == 0.5);
	assert_int_equal(o.items.count, 0);
}

static void what_is_given_is_read(void **state)
{
	struct outer o = read_good("# 注释\nname = \"市级\"; count = 5000000000L; wait = \"1s\"\n"
		"bytes: \"2KiB\" colour = \"blue\", words = [\"a\", \"b\"];\n"
		"inner = { flag = FALSE; ratio = 1; }\n"
		"items = ( { id = \"a\"; },\n  { id = \"b\"; number = -0; // last\n"
		"    options = { n = 5; t = \"x\"; b = true; f = 2.5; l = ( \"p\", \"q\" ); }; } ) # end");
	const struct item *items = o.items.items;

	(void)state;
	assert_string_equal(o.name, "市级");
	assert_int_equal(o.count, INT64_C(5000000000));
	assert_int_equal(o.wait, NS_PER_S);
	assert_int_equal(o.colour, 2);
	assert_false(o.inner.flag);
	assert_true(o.inner.ratio == 1.0);
	assert_int_equal(o.items.count, 2);
	assert_int_equal(items[0].number, 7);
	assert_int_equal(items[0].where.line, 5);
	assert_string_equal(items[1].where.file, "t.conf");
	assert_int_equal(items[1].where.line, 6);
	assert_int_equal(items[1].options.count, 6);
	assert_string_equal(items[1].options.items[0].value, "5");
	assert_string_equal(items[1].options.items[2].value, "true");
	assert_string_equal(items[1].options.items[3].value, "2.5");
	assert_string_equal(items[1].options.items[4].key, "l");
	assert_string_equal(items[1].options.items[5].value, "q");
	assert_int_equal(items[1].options.where.line, 7);
}

static void one_text_is_a_list_of_one(void **state)
{
	struct outer o = read_good("name = \"x\"; words = \"a b\";");

	(void)state;
	assert_int_equal(o.words.count, 1);
	assert_string_equal(o.words.items[0], "a b");
}

static void an_unknown_setting_is_told_with_the_nearest(void **state)
{
	(void)state;
	assert_refused("name = \"x\";\ncuont = 3;",
		"t.conf:2: unknown setting \"cuont\": did you mean \"count\"?");
	assert_refused("name = \"x\";\ndame = 3;", "t.conf:2: unknown setting \"dame\": did you mean \"name\"?");
	assert_refused("name = \"x\";\nsites = 3;",
		"t.conf:2: unknown setting \"sites\": known here are name, count, wait, bytes, colour, words, inner, items");
	assert_refused("name = \"x\";\ninner = {\n  elephant = 3; }",
		"t.conf:3: unknown setting \"elephant\": known here are flag, ratio");
}

static void what_must_be_given_is_told(void **state)
{
	(void)state;
	assert_refused("count = 3;", "t.conf:1: name must be given: what it is called");
	assert_refused("name = \"x\";\nitems = ( { id = \"a\"; },\n\n { number = 3; } );",
		"t.conf:4: id must be given: its id");
	assert_refused("", "t.conf:1: name must be given: what it is called");
}

static void a_wrong_type_says_what_to_write(void **state)
{
	(void)state;
	assert_refused("name = 5;", "t.conf:1: name wants a text in double quotes; here stands a number");
	assert_refused("name = \"x\"; count = \"5\";",
		"t.conf:1: count wants a whole number, without quotes; here stands a text");
	assert_refused("name = \"x\"; count = 5.0;",
		"t.conf:1: count wants a whole number, without quotes; here stands a number");
	assert_refused("name = \"x\"; wait = 10;",
		"t.conf:1: wait wants a duration in quotes, as in \"10s\"; here stands a number");
	assert_refused("name = \"x\"; inner = \"y\";",
		"t.conf:1: inner wants a group: { name = value; ... }; here stands a text");
	assert_refused("name = \"x\";\nitems = { a = { id = \"a\"; }; };",
		"t.conf:2: items wants a list of groups: ( { ... }, { ... } ); here stands a group { }");
	assert_refused("name = \"x\"; items = ( \"a\" );",
		"t.conf:1: items wants a list of groups: ( { ... }, { ... } ); here stands a text");
	assert_refused("name = \"x\"; words = ( \"a\", 5 );",
		"t.conf:1: words wants a list of texts: ( \"...\", \"...\" ); here stands a number");
	assert_refused("name = \"x\"; items = ( { id = \"a\"; options = { a = { b = 1; }; }; } );",
		"t.conf:1: a wants a single value or a list of them; here stands a group { }");
}

static void a_value_outside_its_range_is_told(void **state)
{
	(void)state;
	assert_refused("name = \"x\"; count = 0;", "t.conf:1: count: 0 is outside 1 to 10000000000");
	assert_refused("name = \"x\"; wait = \"2h\";", "t.conf:1: wait: 2h is outside 1s to 1m");
	assert_refused("name = \"x\"; inner = { ratio = 2.5; };",
		"t.conf:1: ratio: 2.5 is outside -1 to 2");
	assert_refused("name = \"x\"; colour = \"pink\";",
		"t.conf:1: colour: \"pink\" is none of red|green|blue");
	assert_refused("name = \"\";", "t.conf:1: name: may not be empty");
	assert_refused("name = \"123456789012345678901\";",
		"t.conf:1: name: a text of 21 bytes is longer than 20");
	assert_refused("name = \"x\"; words = ( \"1\", \"2\", \"3\", \"4\" );",
		"t.conf:1: words holds 4, more than 3");
	assert_refused("name = \"x\"; items = ( { id = \"A b\"; } );",
		"t.conf:1: id: \"A b\" is not an id: 1 to 63 of a-z, 0-9 and -, not starting with -");
	assert_refused("name = \"x\\ny\";", "t.conf:1: name: holds a line break or another control "
		"character, or is not UTF-8 (for a line break to be sent write \\\\n)");
}

static void an_integer_that_would_be_cut_is_told(void **state)
{
	(void)state;
	assert_refused("name = \"x\";\ncount = 5000000000;",
		"t.conf:2: 5000000000 does not fit 32 bit: write 5000000000L");
	assert_refused("count = 2147483648", "t.conf:1: 2147483648 does not fit 32 bit: write 2147483648L");
	assert_refused("count = -2147483649",
		"t.conf:1: -2147483649 does not fit 32 bit: write -2147483649L");
	assert_refused("count = 0x80000000", "t.conf:1: 0x80000000 does not fit 32 bit: write 0x80000000L");
	assert_refused("count = 99999999999999999999L",
		"t.conf:1: 99999999999999999999 does not fit 64 bit");
	assert_int_equal(read_good("name = \"x\"; count = 2147483647").count, INT32_MAX);
	assert_int_equal(read_good("name = \"x\"; count = 0x7fffffff").count, INT32_MAX);
	assert_int_equal(read_good("name = \"x\"; count = 2147483648L").count, INT64_C(2147483648));
}

static void a_name_known_on_neither_side_is_told_by_both(void **state)
{
	static const char *const cases[][2] = {
		{"id = \"a\";\nflog = true;", "t.conf:2: unknown setting \"flog\": did you mean \"flag\"?"},
		{"id = \"a\";\nidd = true;", "t.conf:2: unknown setting \"idd\": did you mean \"id\"?"},
		{"id = \"a\";\nelephant = true;",
			"t.conf:2: unknown setting \"elephant\": known here are id, flag, ratio"},
	};
	struct open m;
	struct inner inner;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(config_parse("t.conf", cases[i][0], &open_schema, arena, &m, &e), 0);
		assert_int_equal(config_read_pairs(&inner_schema, &m.rest, arena, &inner, &e), -1);
		assert_string_equal(e.text, cases[i][1]);
	}
}

static int refuse_blue(const char *text, struct err *e)
{
	return strcmp(text, "blue") == 0 ? err_set(e, "blue is sold out") : 0;
}

static void a_field_may_look_closer_at_its_texts(void **state)
{
	static const struct config_field fields[] = {
		{.name = "one", .kind = CONFIG_TEXT, .fallback = "", .check = refuse_blue, .help = "one"},
		{.name = "many", .kind = CONFIG_TEXTS, .offset = sizeof(char *), .fallback = "",
			.check = refuse_blue, .help = "many"},
		{.name = NULL},
	};
	static const struct config_schema schema = {
		sizeof(char *) + sizeof(struct config_texts), fields, -1};
	char out[sizeof(char *) + sizeof(struct config_texts)] __attribute__((aligned(16)));
	struct err e;

	(void)state;
	assert_int_equal(config_parse("t.conf", "one = \"red\"; many = ( \"red\" );", &schema, arena, out,
		&e), 0);
	assert_int_equal(config_parse("t.conf", "\none = \"blue\";", &schema, arena, out, &e), -1);
	assert_string_equal(e.text, "t.conf:2: one: blue is sold out");
	assert_int_equal(config_parse("t.conf", "many = ( \"red\",\n\"blue\" );", &schema, arena, out, &e),
		-1);
	assert_string_equal(e.text, "t.conf:2: many: blue is sold out");
}

static void what_editors_put_in_front_is_told(void **state)
{
	(void)state;
	assert_refused("\xef\xbb\xbfname = \"x\";",
		"t.conf:1: the file starts with a byte order mark: save it as UTF-8 without BOM");
	assert_refused("\xff\xfen", "t.conf:1: the file is UTF-16: save it as UTF-8 without BOM");
	assert_refused("count = 1;\nname = \"\xca\xd0\";",
		"t.conf:2: this text is not UTF-8: save the file as UTF-8 (without BOM)");
	assert_string_equal(read_good("name = \"x\";\r\ncount = 1;\r\n").name, "x");
}

static void commas_are_counted(void **state)
{
	(void)state;
	assert_refused("name = \"x\";\nitems = (\n  { id = \"a\"; },\n);",
		"t.conf:3: no comma may stand before ): remove it");
	assert_refused("words = [ \"a\", ];", "t.conf:1: no comma may stand before ]: remove it");
	assert_refused("items = (\n  { id = \"a\"; }\n  { id = \"b\"; } );",
		"t.conf:3: a comma is missing before {");
	assert_refused("words = ( \"a\" 5 );", "t.conf:1: a comma is missing before 5");
}

static void syntax_errors_have_words(void **state)
{
	(void)state;
	assert_refused("name = x;", "t.conf:1: a text stands in double quotes: \"x\"");
	assert_refused("wait = 10s;",
		"t.conf:1: 10s is not a number: a text stands in double quotes: \"10s\"");
	assert_refused("name = 192.0.2.1;",
		"t.conf:1: 192.0.2.1 is not a number: a text stands in double quotes: \"192.0.2.1\"");
	assert_refused("inner = { flag = yes; }", "t.conf:1: yes is not a value: write true");
	assert_refused("name \"x\";", "t.conf:1: = must follow name, not \"x\"");
	assert_refused("name = ;", "t.conf:1: a value must stand here, not ;");
	assert_refused("name = \"x\";;", "t.conf:1: a setting must stand here, as in name = value;, not ;");
	assert_refused("count = 1;\nname = \"x;\ncount = 2;",
		"t.conf:2: this text is never closed: write \" at its end");
	assert_refused("name = \"x\";\ninner = {\n flag = true;\n",
		"t.conf:2: this { is never closed: write } at its end");
	assert_refused("items = (\n{ id = \"a\"; }\n",
		"t.conf:4: the file ends here, but a comma or the ) for line 1 must follow");
	assert_refused("/* \n name = \"x\";", "t.conf:1: this comment is never closed: write */ at its end");
	assert_refused("name = \"a\\d\";",
		"t.conf:1: a backslash before this means nothing: write \\\\ for a backslash");
	assert_refused("@include \"x.conf\"", "t.conf:1: @include is not read: write the settings here, or "
		"in another .conf file of the same folder where a folder is read");
	assert_refused("true = 1;", "t.conf:1: a setting must stand here, as in name = value;, not true");
	assert_refused("words = [ \"a\", 5 ];",
		"t.conf:1: [ ] holds values of one kind: write ( ) around a mix");
}

static void full_width_signs_are_told(void **state)
{
	(void)state;
	assert_refused("name = “x”;",
		"t.conf:1: the full-width sign \"“\" stands outside of a text: write \"");
	assert_refused("name = \"x\"；",
		"t.conf:1: the full-width sign \"；\" stands outside of a text: write ;");
	assert_refused("名 = 1;", "t.conf:1: \"名\" stands outside of a text: names are a-z, 0-9, _ and -, "
		"and texts stand in \"double quotes\"");
}

static void a_name_set_twice_is_told_with_both_lines(void **state)
{
	(void)state;
	assert_refused("name = \"x\";\ncount = 1;\nname = \"y\";",
		"t.conf:3: name was already set in line 1: remove one of the two");
	read_good("name = \"x\"; items = ( { id = \"a\"; }, { id = \"b\"; } );");
}

static void lines_are_right_beyond_16_bit(void **state)
{
	struct buf b = {0};

	(void)state;
	for (int i = 0; i < 70000; i++)
		buf_add_u8(&b, '\n');
	buf_add_text(&b, "name = 5;");
	assert_refused(buf_text(&b),
		"t.conf:70001: name wants a text in double quotes; here stands a number");
	buf_fini(&b);
}

static void a_group_of_very_many_settings_is_refused(void **state)
{
	struct buf b = {0};

	(void)state;
	for (int i = 0; i < 2000; i++)
		buf_add_format(&b, "s%d = 1;\n", i);
	assert_refused(buf_text(&b), "t.conf:1025: more than 1024 settings in one group: write a list of "
		"groups, name = ( { id = \"...\" }, ... )");
	buf_fini(&b);
}

static void twenty_thousand_groups_load_at_once(void **state)
{
	struct buf b = {0};
	struct outer o;
	int64_t start;

	(void)state;
	buf_add_text(&b, "name = \"x\"; items = (");
	for (int i = 0; i < 20000; i++)
		buf_add_format(&b, "%s{ id = \"i%d\"; number = %d; options = { a = \"b\"; }; }",
			i > 0 ? ",\n" : "", i, i);
	buf_add_text(&b, ");");
	start = clock_mono();
	o = read_good(buf_text(&b));
	print_message("20000 groups in %lld ms\n", (long long)((clock_mono() - start) / NS_PER_MS));
	assert_int_equal(o.items.count, 20000);
	assert_int_equal(((struct item *)o.items.items)[19999].number, 19999);
	buf_fini(&b);
}

/* ---- pairs */

static int read_pairs(struct config_pair *pairs, size_t count, struct outer *o, struct err *e)
{
	struct config_pairs p = {.count = count, .items = pairs};

	return config_read_pairs(&outer_schema, &p, arena, o, e);
}

static void pairs_are_read_by_the_same_schema(void **state)
{
	struct config_pair pairs[] = {{.key = "name", .value = "x"}, {.key = "count", .value = "9000000000"},
		{.key = "words", .value = "a"}, {.key = "words", .value = "b c"},
		{.key = "wait", .value = "2s"}};
	struct outer o;
	struct err e;

	(void)state;
	assert_int_equal(read_pairs(pairs, 5, &o, &e), 0);
	assert_int_equal(o.count, INT64_C(9000000000));
	assert_int_equal(o.words.count, 2);
	assert_string_equal(o.words.items[1], "b c");
	assert_int_equal(o.wait, 2 * NS_PER_S);
	assert_int_equal(o.colour, 1);
}

static void wrong_pairs_are_told(void **state)
{
	struct config_pair twice[] = {{.key = "name", .value = "x"}, {.key = "name", .value = "y"}};
	struct config_pair unknown[] = {{.key = "nam", .value = "x"}};
	struct config_pair wrong[] = {{"count", "x", {"a.conf", 9}}};
	struct outer o;
	struct err e;

	(void)state;
	assert_int_equal(read_pairs(twice, 2, &o, &e), -1);
	assert_string_equal(e.text, "name: stands twice: remove one of the two");
	assert_int_equal(read_pairs(unknown, 1, &o, &e), -1);
	assert_string_equal(e.text, "unknown setting \"nam\": did you mean \"name\"?");
	assert_int_equal(read_pairs(wrong, 1, &o, &e), -1);
	assert_string_equal(e.text, "a.conf:9: count: \"x\" is not a whole number");
	assert_int_equal(read_pairs(NULL, 0, &o, &e), -1);
	assert_string_equal(e.text, "name must be given: what it is called");
}

/* ---- files */

static void write_file(const char *folder, const char *name, const char *text)
{
	char *path = mem_format("%s/%s", folder, name);
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	free(path);
}

static int keep_name(void *ctx, const char *path, void *out, struct err *e)
{
	const struct outer *o = out;

	(void)path, (void)e;
	buf_add_text(ctx, o->name);
	return 0;
}

static void a_folder_is_read_in_order_of_names(void **state)
{
	char folder[] = "/tmp/test_config.XXXXXX";
	static const char *const names[] = {"20.conf", "10.conf", ".15.conf", "x.txt", "30.conf~"};
	struct buf seen = {0};
	struct err e;

	(void)state;
	assert_non_null(mkdtemp(folder));
	for (unsigned i = 0; i < 5; i++)
		write_file(folder, names[i], i == 0 ? "name = \"b\";" : i == 1 ? "name = \"a\";" : "?");
	assert_int_equal(config_load_folder(folder, &outer_schema, arena, keep_name, &seen, &e), 0);
	assert_string_equal(buf_text(&seen), "ab");
	write_file(folder, "15.conf", "name = 5;");
	assert_int_equal(config_load_folder(folder, &outer_schema, arena, keep_name, &seen, &e), -1);
	assert_non_null(strstr(e.text, "/15.conf:1: name wants"));
	for (unsigned i = 0; i < 6; i++) {
		char *path = mem_format("%s/%s", folder, i < 5 ? names[i] : "15.conf");

		unlink(path);
		free(path);
	}
	rmdir(folder);
	buf_fini(&seen);
	assert_int_equal(config_load_folder(folder, &outer_schema, arena, keep_name, &seen, &e), -1);
	assert_non_null(strstr(e.text, "No such file"));
}

static void what_is_not_a_file_is_refused(void **state)
{
	struct outer o;
	struct err e;

	(void)state;
	assert_int_equal(config_load("/", &outer_schema, arena, &o, &e), -1);
	assert_string_equal(e.text, "/: not a file");
	assert_int_equal(config_load("/dev/zero", &outer_schema, arena, &o, &e), -1);
	assert_string_equal(e.text, "/dev/zero: not a file");
}

/* ---- manual */

static void help_and_manual_name_every_field(void **state)
{
	char *help, *mdoc;
	size_t n;
	FILE *f = open_memstream(&help, &n);

	(void)state;
	config_print_help(&outer_schema, f);
	fclose(f);
	f = open_memstream(&mdoc, &n);
	config_print_mdoc(&outer_schema, f);
	fclose(f);
	for (const struct config_field *field = outer_fields; field->name != NULL; field++) {
		assert_non_null(strstr(help, field->name));
		assert_non_null(strstr(mdoc, field->help));
	}
	assert_non_null(strstr(help, "1s to 1m; default 10s"));
	assert_non_null(strstr(help, "red|green|blue"));
	assert_non_null(strstr(mdoc, ".It Ic ratio No = Ar number\na ratio\n.Pq -1 to 2; default 0.5\n"));
	free(help);
	free(mdoc);
}

/* ---- properties */

/* Random texts of the pieces that matter: each is taken or refused with a line, never anything else. */
static void random_files_are_taken_or_refused_with_a_line(void **state)
{
	static const char *const pieces[] = {"name", "=", "\"x\"", ";", "count", "5", "inner", "{", "}", "(",
		")", "[", "]", ",", "items", "id", "\n", "# c\n", "/*", "*/", "//", "-", "0x1F", "1e5", "L",
		"true", ":", "\"", "\\", ".5", "，", "@include", "words", " "};
	unsigned seed = (unsigned)clock_real(), taken = 0;
	struct outer o;

	(void)state;
	print_message("seed=%u\n", seed);
	srand(seed);
	for (int round = 0; round < 20000; round++) {
		struct buf b = {0};
		struct err e = {""};

		buf_add_text(&b, "name = \"x\";");
		for (int n = rand() % 12; n > 0; n--)
			buf_add_text(&b, pieces[(size_t)rand() % (sizeof pieces / sizeof *pieces)]);
		if (config_parse("t.conf", buf_text(&b), &outer_schema, arena, &o, &e) == 0)
			taken++;
		else if (strncmp(e.text, "t.conf:", 7) != 0 || strstr(e.text, "syntax error") != NULL)
			fail_msg("\"%s\" gave \"%s\"", buf_text(&b), e.text);
		buf_fini(&b);
	}
	assert_true(taken > 100);
}

static void settings_that_no_field_names_are_kept_for_another_schema(void **state)
{
	struct open o;
	struct err e;

	(void)state;
	assert_int_equal(config_parse("t.conf", "url = \"u\";\nid = \"a\";\nheaders = (\"x: 1\",\n\"y: 2\");",
		&open_schema, arena, &o, &e), 0);
	assert_string_equal(o.id, "a");
	assert_int_equal(o.rest.count, 3);
	assert_string_equal(o.rest.items[0].key, "url");
	assert_string_equal(o.rest.items[2].value, "y: 2");
	assert_int_equal(o.rest.items[2].where.line, 4);
	assert_int_equal(config_parse("t.conf", "id = \"a\";", &open_schema, arena, &o, &e), 0);
	assert_int_equal(o.rest.count, 0);
	assert_int_equal(config_parse("t.conf", "id = \"a\";\nurl = { a = 1; };", &open_schema, arena, &o, &e), -1);
	assert_string_equal(e.text,
		"t.conf:2: url wants a single value or a list of them; here stands a group { }");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(what_is_not_given_has_its_default, begin, end),
		cmocka_unit_test_setup_teardown(what_is_given_is_read, begin, end),
		cmocka_unit_test_setup_teardown(one_text_is_a_list_of_one, begin, end),
		cmocka_unit_test_setup_teardown(an_unknown_setting_is_told_with_the_nearest, begin, end),
		cmocka_unit_test_setup_teardown(what_must_be_given_is_told, begin, end),
		cmocka_unit_test_setup_teardown(a_wrong_type_says_what_to_write, begin, end),
		cmocka_unit_test_setup_teardown(a_value_outside_its_range_is_told, begin, end),
		cmocka_unit_test_setup_teardown(an_integer_that_would_be_cut_is_told, begin, end),
		cmocka_unit_test_setup_teardown(a_name_known_on_neither_side_is_told_by_both, begin, end),
		cmocka_unit_test_setup_teardown(a_field_may_look_closer_at_its_texts, begin, end),
		cmocka_unit_test_setup_teardown(what_editors_put_in_front_is_told, begin, end),
		cmocka_unit_test_setup_teardown(commas_are_counted, begin, end),
		cmocka_unit_test_setup_teardown(syntax_errors_have_words, begin, end),
		cmocka_unit_test_setup_teardown(full_width_signs_are_told, begin, end),
		cmocka_unit_test_setup_teardown(a_name_set_twice_is_told_with_both_lines, begin, end),
		cmocka_unit_test_setup_teardown(lines_are_right_beyond_16_bit, begin, end),
		cmocka_unit_test_setup_teardown(a_group_of_very_many_settings_is_refused, begin, end),
		cmocka_unit_test_setup_teardown(twenty_thousand_groups_load_at_once, begin, end),
		cmocka_unit_test_setup_teardown(pairs_are_read_by_the_same_schema, begin, end),
		cmocka_unit_test_setup_teardown(wrong_pairs_are_told, begin, end),
		cmocka_unit_test_setup_teardown(a_folder_is_read_in_order_of_names, begin, end),
		cmocka_unit_test_setup_teardown(what_is_not_a_file_is_refused, begin, end),
		cmocka_unit_test_setup_teardown(help_and_manual_name_every_field, begin, end),
		cmocka_unit_test_setup_teardown(settings_that_no_field_names_are_kept_for_another_schema, begin,
			end),
		cmocka_unit_test_setup_teardown(random_files_are_taken_or_refused_with_a_line, begin, end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
