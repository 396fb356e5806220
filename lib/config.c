#include "lib/config.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libconfig.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/config_parts.h"
#include "lib/config_scan.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/num.h"

#define FIELDS_MAX 64
#define COUNT_MAX_DEFAULT 100000

struct reader {
	const char *file; /* in the arena */
	struct arena *arena;
	struct err *err;
};

static int read_group(struct reader *, const config_setting_t *, const struct config_schema *, void *out);

/* ---- words */

int config_error(const struct config_where *w, struct err *e, const char *format, ...)
{
	char words[sizeof e->text];
	va_list ap;

	va_start(ap, format);
	vsnprintf(words, sizeof words, format, ap);
	va_end(ap);
	if (w->file == NULL)
		return err_set(e, "%s", words);
	return err_set(e, "%.200s:%u: %s", w->file, w->line > 0 ? w->line : 1, words);
}

/* The line of a setting as libconfig keeps it; its own macro cuts it to 16 bit. */
static struct config_where where_of(const struct reader *r, const config_setting_t *s)
{
	return (struct config_where){r->file, s->line};
}

static size_t fields_count(const struct config_schema *schema)
{
	size_t n = 0;

	while (schema->fields[n].name != NULL)
		n++;
	assert(n <= FIELDS_MAX);
	return n;
}

static const struct config_field *find_field(const struct config_schema *schema, const char *name)
{
	for (const struct config_field *f = schema->fields; f->name != NULL; f++) {
		if (strcmp(f->name, name) == 0)
			return f;
	}
	return NULL;
}

static const struct config_field *find_rest(const struct config_schema *schema)
{
	for (const struct config_field *f = schema->fields; f->name != NULL; f++) {
		if (f->kind == CONFIG_REST)
			return f;
	}
	return NULL;
}

static const char *wanted(enum config_kind kind)
{
	static const char *const words[] = {
		[CONFIG_BOOL] = "true or false, without quotes",
		[CONFIG_INT] = "a whole number, without quotes",
		[CONFIG_NUMBER] = "a number, without quotes",
		[CONFIG_DURATION] = "a duration in quotes, as in \"10s\"",
		[CONFIG_SIZE] = "a size in quotes, as in \"512MiB\"",
		[CONFIG_TEXT] = "a text in double quotes",
		[CONFIG_ID] = "an id in double quotes",
		[CONFIG_CHOICE] = "a word in double quotes",
		[CONFIG_TEXTS] = "a list of texts: ( \"...\", \"...\" )",
		[CONFIG_GROUP] = "a group: { name = value; ... }",
		[CONFIG_LIST] = "a list of groups: ( { ... }, { ... } )",
		[CONFIG_OPTIONS] = "a group of options: { name = value; ... }",
		[CONFIG_REST] = "a single value or a list of them",
	};

	return words[kind];
}

static const char *standing(const config_setting_t *s)
{
	switch (s->type) {
	case CONFIG_TYPE_GROUP:
		return "a group { }";
	case CONFIG_TYPE_LIST:
		return "a list ( )";
	case CONFIG_TYPE_ARRAY:
		return "an array [ ]";
	case CONFIG_TYPE_STRING:
		return "a text";
	case CONFIG_TYPE_BOOL:
		return "true or false";
	default:
		return "a number";
	}
}

static int fail_type(struct reader *r, const config_setting_t *s, const struct config_field *f)
{
	struct config_where w = where_of(r, s);

	return config_error(&w, r->err, "%s wants %s; here stands %s", f->name, wanted(f->kind),
		standing(s));
}

/* ---- defaults */

static void default_texts(const char *fallback, struct arena *a, struct config_texts *out)
{
	char *rest = arena_strdup(a, fallback), *item;

	out->items = arena_alloc(a, (strlen(fallback) + 1) * sizeof *out->items);
	while ((item = strsep(&rest, " ")) != NULL) {
		if (*item != '\0')
			out->items[out->count++] = item;
	}
}

static void default_group(const struct config_schema *, struct arena *, void *out);

static void default_field(const struct config_field *f, struct arena *a, void *group)
{
	void *out = (char *)group + f->offset;
	const char *fallback = f->fallback != NULL ? f->fallback : "";
	struct err e;

	if (f->kind == CONFIG_GROUP) {
		default_group(f->sub, a, out);
	} else if (f->kind == CONFIG_TEXTS) {
		default_texts(fallback, a, out);
	} else if (*fallback != '\0') {
		int status = config_value_parse(f, fallback, a, out, &e);

		assert(status == 0);
		(void)status;
	} else if (f->kind == CONFIG_TEXT || f->kind == CONFIG_ID) {
		*(const char **)out = "";
	}
}

static void default_group(const struct config_schema *schema, struct arena *a, void *out)
{
	for (const struct config_field *f = schema->fields; f->name != NULL; f++)
		default_field(f, a, out);
}

/* Fields that were not given get their default, or are told. */
static int fill_missing(const struct config_schema *schema, uint64_t given,
	const struct config_where *w, struct arena *a, void *out, struct err *e)
{
	for (size_t i = 0; schema->fields[i].name != NULL; i++) {
		const struct config_field *f = &schema->fields[i];

		if (given & UINT64_C(1) << i)
			continue;
		if (f->fallback == NULL)
			return config_error(w, e, "%s must be given: %s", f->name, f->help);
		default_field(f, a, out);
	}
	return 0;
}

/* ---- values from the tree of libconfig */

/* The text form of a single value; NULL when it is not one. */
static const char *scalar_text(const config_setting_t *s, char out[NUM_TEXT])
{
	switch (s->type) {
	case CONFIG_TYPE_STRING:
		return s->value.sval != NULL ? s->value.sval : "";
	case CONFIG_TYPE_BOOL:
		return s->value.ival ? "true" : "false";
	case CONFIG_TYPE_INT:
		snprintf(out, NUM_TEXT, "%d", s->value.ival);
		return out;
	case CONFIG_TYPE_INT64:
		snprintf(out, NUM_TEXT, "%lld", s->value.llval);
		return out;
	case CONFIG_TYPE_FLOAT:
		snprintf(out, NUM_TEXT, "%.15g", s->value.fval);
		return out;
	default:
		return NULL;
	}
}

static bool type_fits(const config_setting_t *s, enum config_kind kind)
{
	bool is_whole = s->type == CONFIG_TYPE_INT || s->type == CONFIG_TYPE_INT64;

	switch (kind) {
	case CONFIG_BOOL:
		return s->type == CONFIG_TYPE_BOOL;
	case CONFIG_INT:
		return is_whole;
	case CONFIG_NUMBER:
		return is_whole || s->type == CONFIG_TYPE_FLOAT;
	case CONFIG_DURATION:
	case CONFIG_SIZE:
	case CONFIG_TEXT:
	case CONFIG_ID:
	case CONFIG_CHOICE:
		return s->type == CONFIG_TYPE_STRING;
	case CONFIG_TEXTS:
		return s->type == CONFIG_TYPE_STRING || s->type == CONFIG_TYPE_LIST ||
		       s->type == CONFIG_TYPE_ARRAY;
	case CONFIG_LIST:
		return s->type == CONFIG_TYPE_LIST ||
		       (s->type == CONFIG_TYPE_ARRAY && config_setting_length(s) == 0);
	case CONFIG_GROUP:
	case CONFIG_OPTIONS:
		return s->type == CONFIG_TYPE_GROUP;
	case CONFIG_REST:
		return false;
	}
	return false;
}

static int read_scalar(struct reader *r, const config_setting_t *s, const struct config_field *f,
	void *out)
{
	struct config_where w = where_of(r, s);
	char room[NUM_TEXT];
	struct err e;

	if (config_value_parse(f, scalar_text(s, room), r->arena, out, &e) < 0)
		return config_error(&w, r->err, "%s: %s", f->name, e.text);
	return 0;
}

static int check_count(struct reader *r, const config_setting_t *s, const struct config_field *f,
	size_t count)
{
	size_t min = (size_t)f->min, max = f->max > 0 ? (size_t)f->max : COUNT_MAX_DEFAULT;
	struct config_where w = where_of(r, s);

	if (count < min)
		return config_error(&w, r->err, "%s wants at least %zu, not %zu", f->name, min, count);
	if (count > max)
		return config_error(&w, r->err, "%s holds %zu, more than %zu", f->name, count, max);
	return 0;
}

/* A list or array as its elements; anything else as a list of itself. */
static size_t elements_count(const config_setting_t *s)
{
	bool many = s->type == CONFIG_TYPE_LIST || s->type == CONFIG_TYPE_ARRAY;

	return many ? (size_t)config_setting_length(s) : 1;
}

static const config_setting_t *element(const config_setting_t *s, size_t i)
{
	bool many = s->type == CONFIG_TYPE_LIST || s->type == CONFIG_TYPE_ARRAY;

	return many ? config_setting_get_elem(s, (unsigned)i) : s;
}

static int read_texts(struct reader *r, const config_setting_t *s, const struct config_field *f,
	struct config_texts *out)
{
	size_t count = elements_count(s);
	const struct config_field one = {.name = f->name, .kind = CONFIG_TEXT, .check = f->check};
	struct err e;

	if (check_count(r, s, f, count) < 0)
		return -1;
	out->items = arena_alloc(r->arena, (count + 1) * sizeof *out->items);
	for (size_t i = 0; i < count; i++) {
		const config_setting_t *item = element(s, i);

		if (item->type != CONFIG_TYPE_STRING)
			return fail_type(r, item, f);
		if (read_scalar(r, item, &one, &out->items[i]) < 0)
			return -1;
		if (f->check_last != NULL && f->check_last(out->items, i + 1, &e) < 0)
			return config_error(&(struct config_where){r->file, item->line}, r->err, "%s: %s", f->name, e.text);
	}
	out->count = count;
	return 0;
}

static int read_list(struct reader *r, const config_setting_t *s, const struct config_field *f,
	struct config_list *out)
{
	size_t count = (size_t)config_setting_length(s);

	if (check_count(r, s, f, count) < 0)
		return -1;
	out->items = arena_alloc(r->arena, (count + 1) * f->sub->size);
	for (size_t i = 0; i < count; i++) {
		const config_setting_t *item = config_setting_get_elem(s, (unsigned)i);

		if (item->type != CONFIG_TYPE_GROUP)
			return fail_type(r, item, f);
		if (read_group(r, item, f->sub, (char *)out->items + i * f->sub->size) < 0)
			return -1;
	}
	out->count = count;
	return 0;
}

static int read_option(struct reader *r, const config_setting_t *s, struct config_pairs *out)
{
	const struct config_field option = {.name = s->name, .kind = CONFIG_REST};

	for (size_t i = 0; i < elements_count(s); i++) {
		const config_setting_t *item = element(s, i);
		char room[NUM_TEXT];
		const char *text = scalar_text(item, room);

		if (text == NULL)
			return fail_type(r, item, &option);
		out->items[out->count++] = (struct config_pair){arena_strdup(r->arena, s->name),
			arena_strdup(r->arena, text), where_of(r, item)};
	}
	return 0;
}

/* All settings of a group but those that `named` (or NULL) has a field for. */
static int read_options(struct reader *r, const config_setting_t *s, const struct config_schema *named,
	struct config_pairs *out)
{
	size_t members = (size_t)config_setting_length(s), count = 0;

	for (size_t i = 0; i < members; i++)
		count += elements_count(config_setting_get_elem(s, (unsigned)i));
	out->items = arena_alloc(r->arena, (count + 1) * sizeof *out->items);
	out->where = where_of(r, s);
	out->beside = named;
	for (size_t i = 0; i < members; i++) {
		const config_setting_t *member = config_setting_get_elem(s, (unsigned)i);

		if (named != NULL && find_field(named, member->name) != NULL)
			continue;
		if (read_option(r, member, out) < 0)
			return -1;
	}
	return 0;
}

static int read_field(struct reader *r, const config_setting_t *s, const struct config_field *f,
	void *group)
{
	void *out = (char *)group + f->offset;

	if (!type_fits(s, f->kind))
		return fail_type(r, s, f);
	if (f->kind == CONFIG_GROUP)
		return read_group(r, s, f->sub, out);
	if (f->kind == CONFIG_LIST)
		return read_list(r, s, f, out);
	if (f->kind == CONFIG_TEXTS)
		return read_texts(r, s, f, out);
	if (f->kind == CONFIG_OPTIONS)
		return read_options(r, s, NULL, out);
	return read_scalar(r, s, f, out);
}

static int read_group(struct reader *r, const config_setting_t *s, const struct config_schema *schema,
	void *out)
{
	const struct config_field *rest = find_rest(schema);
	struct config_where w = where_of(r, s);
	uint64_t given = 0;

	if (schema->where_offset >= 0)
		*(struct config_where *)(void *)((char *)out + schema->where_offset) = w;
	assert(fields_count(schema) <= FIELDS_MAX);
	for (unsigned i = 0; i < (unsigned)config_setting_length(s); i++) {
		const config_setting_t *member = config_setting_get_elem(s, i);
		const struct config_field *f = find_field(schema, member->name);
		struct config_where at = where_of(r, member);

		if (f == NULL && rest == NULL)
			return config_names_unknown(schema, NULL, &at, member->name, r->err);
		if (f != NULL && read_field(r, member, f, out) < 0)
			return -1;
		given |= UINT64_C(1) << ((f != NULL ? f : rest) - schema->fields);
	}
	if (rest != NULL && read_options(r, s, schema, (void *)((char *)out + rest->offset)) < 0)
		return -1;
	return fill_missing(schema, given, &w, r->arena, out, r->err);
}

/* ---- files */

/* text ends with a line break: libconfig 1.5 does not see a comment at the end without one. */
static int parse(const char *name, const char *text, size_t len, const struct config_schema *schema,
	struct arena *a, void *out, struct err *e)
{
	struct reader r = {arena_strdup(a, name), a, e};
	config_t tree;
	int status;

	if (config_scan(r.file, text, len, e) < 0)
		return -1;
	config_init(&tree);
	if (config_read_string(&tree, text))
		status = read_group(&r, config_root_setting(&tree), schema,
			memset(out, 0, schema->size));
	else
		status = err_set(e, "%.200s:%d: %s", r.file, config_error_line(&tree),
			config_error_text(&tree));
	config_destroy(&tree);
	return status;
}

int config_parse(const char *name, const char *text, const struct config_schema *schema,
	struct arena *a, void *out, struct err *e)
{
	char *ended = mem_format("%s\n", text);
	int status = parse(name, ended, strlen(ended), schema, a, out, e);

	free(ended);
	return status;
}

static int read_all(int fd, const char *path, struct buf *out, struct err *e)
{
	struct stat st;
	ssize_t n;

	if (fstat(fd, &st) < 0)
		return err_errno(e, "%.200s", path);
	if (!S_ISREG(st.st_mode))
		return err_set(e, "%.200s: not a file", path);
	do {
		n = read(fd, buf_reserve(out, 65536), 65536);
		if (n > 0)
			out->len += (size_t)n;
		if (out->len > CONFIG_FILE_MAX)
			return err_set(e, "%.200s: larger than %u MiB", path, CONFIG_FILE_MAX >> 20);
	} while (n > 0 || (n < 0 && errno == EINTR));
	return n < 0 ? err_errno(e, "%.200s", path) : 0;
}

int config_read_text(const char *path, struct buf *out, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), status;

	if (fd < 0)
		return err_errno(e, "%.200s", path);
	status = read_all(fd, path, out, e);
	close(fd);
	if (status == 0 && out->len > 0 && memchr(out->data, '\0', out->len) != NULL)
		status = config_scan(path, (const char *)out->data, out->len, e);
	return status;
}

int config_load(const char *path, const struct config_schema *schema, struct arena *a, void *out,
	struct err *e)
{
	struct buf text = {0};
	int status = config_read_text(path, &text, e);

	if (status == 0)
		status = config_parse(path, buf_text(&text), schema, a, out, e);
	buf_fini(&text);
	return status;
}

static int is_settings_file(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return entry->d_name[0] != '.' && n > 5 && strcmp(entry->d_name + n - 5, ".conf") == 0;
}

/* Bytes decide, not the locale. */
static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

int config_load_folder(const char *folder, const struct config_schema *schema, struct arena *a,
	int (*on_file)(void *ctx, const char *path, void *out, struct err *), void *ctx, struct err *e)
{
	struct dirent **names;
	int count = scandir(folder, &names, is_settings_file, by_name), status = 0;

	if (count < 0)
		return err_errno(e, "%.200s", folder);
	for (int i = 0; i < count; i++) {
		if (status == 0) {
			char *path = arena_format(a, "%s/%s", folder, names[i]->d_name);
			void *out = arena_alloc(a, schema->size);

			status = config_load(path, schema, a, out, e);
			if (status == 0)
				status = on_file(ctx, path, out, e);
		}
		free(names[i]);
	}
	free(names);
	return status;
}

/* ---- pairs */

static int add_text(const struct config_field *f, const char *text, struct arena *a,
	struct config_texts *out, struct err *e)
{
	const struct config_field one = {.name = f->name, .kind = CONFIG_TEXT, .check = f->check};
	const char **items;

	if (f->max > 0 && out->count == (size_t)f->max)
		return err_set(e, "more than %zu", out->count);
	items = arena_alloc(a, (out->count + 1) * sizeof *items);
	if (out->count > 0)
		memcpy(items, out->items, out->count * sizeof *items);
	if (config_value_parse(&one, text, a, &items[out->count], e) < 0)
		return -1;
	out->items = items;
	out->count++;
	return f->check_last != NULL ? f->check_last(items, out->count, e) : 0;
}

static int read_pair(const struct config_schema *schema, const struct config_schema *beside,
	const struct config_pair *p, uint64_t *given, struct arena *a, void *out, struct err *e)
{
	const struct config_field *f = find_field(schema, p->key);
	uint64_t bit;
	struct err inner;
	int status;

	if (f == NULL)
		return config_names_unknown(schema, beside, &p->where, p->key, e);
	bit = UINT64_C(1) << (f - schema->fields);
	if (f->kind == CONFIG_TEXTS)
		status = add_text(f, p->value, a, (void *)((char *)out + f->offset), &inner);
	else if (*given & bit)
		status = err_set(&inner, "stands twice: remove one of the two");
	else
		status = config_value_parse(f, p->value, a, (char *)out + f->offset, &inner);
	*given |= bit;
	return status < 0 ? config_error(&p->where, e, "%s: %s", p->key, inner.text) : 0;
}

int config_read_pairs(const struct config_schema *schema, const struct config_pairs *pairs,
	struct arena *a, void *out, struct err *e)
{
	uint64_t given = 0;

	memset(out, 0, schema->size);
	assert(fields_count(schema) <= FIELDS_MAX);
	for (size_t i = 0; i < pairs->count; i++) {
		if (read_pair(schema, pairs->beside, &pairs->items[i], &given, a, out, e) < 0)
			return -1;
	}
	return fill_missing(schema, given, &pairs->where, a, out, e);
}
