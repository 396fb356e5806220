#include "probes/json_read.h"

#include <dlfcn.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "probes/pattern.h"

#define LIBRARY "libjansson.so.4"

struct json_library {
	void *handle;
	json_t *(*load)(const char *, size_t, size_t, json_error_t *);
	void (*delete)(json_t *);
	json_t *(*object_get)(const json_t *, const char *);
	size_t (*object_size)(const json_t *);
	json_t *(*array_get)(const json_t *, size_t);
	size_t (*array_size)(const json_t *);
	const char *(*string_value)(const json_t *);
	size_t (*string_length)(const json_t *);
	json_int_t (*integer_value)(const json_t *);
	double (*real_value)(const json_t *);
};

/* ---- the library */

static int find(struct json_library *l, const char *name, void *function, struct err *e)
{
	void *symbol = dlsym(l->handle, name);

	if (symbol == NULL)
		return err_set(e, "%s of this host lacks %s", LIBRARY, name);
	memcpy(function, &symbol, sizeof symbol);
	return 0;
}

static int find_all(struct json_library *l, struct err *e)
{
	if (find(l, "json_loadb", &l->load, e) < 0 || find(l, "json_delete", &l->delete, e) < 0 ||
		find(l, "json_object_get", &l->object_get, e) < 0 || find(l, "json_object_size", &l->object_size, e) < 0 ||
		find(l, "json_array_get", &l->array_get, e) < 0 || find(l, "json_array_size", &l->array_size, e) < 0 ||
		find(l, "json_string_value", &l->string_value, e) < 0 || find(l, "json_string_length", &l->string_length, e) < 0 ||
		find(l, "json_integer_value", &l->integer_value, e) < 0 || find(l, "json_real_value", &l->real_value, e) < 0)
		return -1;
	return 0;
}

struct json_library *json_library_open(struct err *e)
{
	struct json_library *l = mem_alloc(sizeof *l);

	l->handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
	if (l->handle == NULL)
		err_set(e, "the JSON parser cannot be loaded: %s", dlerror());
	if (l->handle != NULL && find_all(l, e) == 0)
		return l;
	free(l);
	return NULL;
}

/* The library itself stays. */
void json_library_close(struct json_library *l)
{
	free(l);
}

/* ---- a text */

/* How deep its brackets go, without a look at whether they match. */
static size_t depth_of(const char *text, size_t len)
{
	size_t depth = 0, most = 0;
	bool in_text = false;

	for (size_t i = 0; i < len; i++) {
		if (text[i] == '"')
			in_text = !in_text;
		else if (in_text && text[i] == '\\')
			i++;
		else if (!in_text && (text[i] == '{' || text[i] == '['))
			most = ++depth > most ? depth : most;
		else if (!in_text && (text[i] == '}' || text[i] == ']'))
			depth -= depth > 0;
	}
	return most;
}

json_t *json_read(const struct json_library *l, const void *data, size_t len, struct err *e)
{
	json_error_t error;
	json_t *root;

	if (len >= 3 && memcmp(data, "\xef\xbb\xbf", 3) == 0)
		data = (const char *)data + 3, len -= 3;
	if (len == 0) {
		err_set(e, "the body is empty, not JSON");
		return NULL;
	}
	if (depth_of(data, len) > JSON_DEPTH_MAX) {
		err_set(e, "the body is JSON of more than %d levels", JSON_DEPTH_MAX);
		return NULL;
	}
	root = l->load(data, len, JSON_DECODE_ANY | JSON_ALLOW_NUL, &error);
	if (root == NULL)
		err_set(e, "the body is not JSON: line %d: %.100s", error.line, error.text);
	return root;
}

void json_free(const struct json_library *l, json_t *root)
{
	l->delete(root); /* nobody else has counted a reference */
}

/* ---- paths */

static const json_t *item_at(const struct json_library *l, const json_t *list, long index)
{
	size_t count = l->array_size(list);

	if (index >= 0)
		return l->array_get(list, (size_t)index);
	return (size_t)-index <= count ? l->array_get(list, count - (size_t)-index) : NULL;
}

static const json_t *find_value(const struct json_library *l, const struct json_path *p, const json_t *at)
{
	for (size_t i = 0; i < p->count && at != NULL; i++) {
		const struct json_part *part = &p->parts[i];

		if (part->name != NULL)
			at = json_is_object(at) ? l->object_get(at, part->name) : NULL;
		else
			at = json_is_array(at) ? item_at(l, at, part->index) : NULL;
	}
	return at;
}

/* Members, items or characters; NaN: it has no length. */
static double length_of(const struct json_library *l, const json_t *v)
{
	const char *text;
	size_t n = 0;

	if (json_is_object(v))
		return (double)l->object_size(v);
	if (json_is_array(v))
		return (double)l->array_size(v);
	if (!json_is_string(v))
		return (double)NAN;
	text = l->string_value(v);
	for (size_t i = 0; i < l->string_length(v); i++)
		n += (text[i] & 0xc0) != 0x80;
	return (double)n;
}

static double number_of(const struct json_library *l, const json_t *v)
{
	if (json_is_integer(v))
		return (double)l->integer_value(v);
	return json_is_real(v) ? l->real_value(v) : (double)NAN;
}

/* As JSON writes it, a text without quotes; false: a list or an object. */
static bool add_plain(const struct json_library *l, const json_t *v, struct buf *out)
{
	if (json_is_string(v))
		buf_add(out, l->string_value(v), l->string_length(v));
	else if (json_is_integer(v))
		buf_add_format(out, "%lld", (long long)l->integer_value(v));
	else if (json_is_real(v))
		buf_add_format(out, "%.15g", l->real_value(v));
	else if (json_is_true(v) || json_is_false(v))
		buf_add_text(out, json_is_true(v) ? "true" : "false");
	else if (json_is_null(v))
		buf_add_text(out, "null");
	else
		return false;
	return true;
}

int json_path_take(const struct json_library *l, const struct json_path *p, json_t *root, struct buf *out, struct err *e)
{
	const json_t *v = find_value(l, p, root);
	size_t before = out->len;

	if (v == NULL)
		return err_set(e, "%.120s is not there", p->text);
	if (p->is_length && isnan(length_of(l, v)))
		return err_set(e, "%.120s: it has no length", p->text);
	if (p->is_length)
		buf_add_format(out, "%.0f", length_of(l, v));
	else if (!add_plain(l, v, out))
		return err_set(e, "%.120s is %s, no value", p->text, json_is_array(v) ? "a list" : "an object");
	if (out->len - before > JSON_VALUE_MAX)
		return err_set(e, "%.120s is a text of more than %d bytes", p->text, JSON_VALUE_MAX);
	return 0;
}

/* ---- conditions */

/* "\"busy\"", "120", "a list of 3": for words. */
static void format_seen(const struct json_library *l, const json_t *v, char *out, size_t room)
{
	struct buf plain = {0};

	if (json_is_object(v))
		snprintf(out, room, "an object");
	else if (json_is_array(v))
		snprintf(out, room, "a list of %zu", l->array_size(v));
	else if (add_plain(l, v, &plain))
		snprintf(out, room, json_is_string(v) ? "\"%.80s\"" : "%.80s", buf_text(&plain));
	buf_fini(&plain);
}

static bool is_equal_text(const struct json_library *l, const json_t *v, const char *text)
{
	return json_is_string(v) && l->string_length(v) == strlen(text) && memcmp(l->string_value(v), text, strlen(text)) == 0;
}

/* NaN is in no order with anything. */
static bool is_in_order(enum json_operator op, double a, double b)
{
	switch (op) {
	case JSON_LESS:
		return a < b;
	case JSON_LESS_OR_EQUAL:
		return a <= b;
	case JSON_GREATER:
		return a > b;
	case JSON_GREATER_OR_EQUAL:
		return a >= b;
	case JSON_EQUAL:
		return a >= b && a <= b;
	case JSON_UNEQUAL:
		return !(a >= b && a <= b);
	case JSON_EXISTS:
	case JSON_MATCHES:
		break;
	}
	return false;
}

/* Texts in the order of their bytes (which is that of their characters). */
static bool text_holds(const struct json_library *l, enum json_operator op, const json_t *v, const char *text)
{
	if (op == JSON_EQUAL || op == JSON_UNEQUAL)
		return is_equal_text(l, v, text) == (op == JSON_EQUAL);
	return json_is_string(v) && is_in_order(op, strcmp(l->string_value(v), text), 0);
}

/* What was taken is a text: it equals a value that is written alike, and has an order with numbers when it is one. */
static bool taken_holds(const struct json_library *l, enum json_operator op, const json_t *v, double number, const char *taken)
{
	struct buf plain = {0};
	double other;
	struct err e;
	bool equal;

	if (op != JSON_EQUAL && op != JSON_UNEQUAL)
		return num_parse_double(taken, &other, &e) == 0 && is_in_order(op, number, other);
	equal = add_plain(l, v, &plain) && strcmp(buf_text(&plain), taken) == 0;
	buf_fini(&plain);
	return equal == (op == JSON_EQUAL);
}

static bool value_holds(const struct json_library *l, const struct json_condition *c, const json_t *v, double number, const char *taken)
{
	if (c->operator == JSON_MATCHES)
		return json_is_string(v) && pattern_find(c->pattern, l->string_value(v), l->string_length(v));
	switch (c->operand) {
	case JSON_OF_NUMBER:
		return is_in_order(c->operator, number, c->number);
	case JSON_OF_TEXT:
		return text_holds(l, c->operator, v, c->text);
	case JSON_OF_TRUE:
		return json_is_true(v) == (c->operator == JSON_EQUAL);
	case JSON_OF_FALSE:
		return json_is_false(v) == (c->operator == JSON_EQUAL);
	case JSON_OF_NULL:
		return json_is_null(v) == (c->operator == JSON_EQUAL);
	case JSON_OF_NAME:
		return c->path.is_length ? is_in_order(c->operator, number, strtod(taken, NULL)) :
			taken_holds(l, c->operator, v, number, taken);
	}
	return false;
}

bool json_condition_holds(const struct json_library *l, const struct json_condition *c, json_t *root,
	const char *(*value_of)(void *ctx, const char *name), void *ctx, char *why, size_t room)
{
	const json_t *v = find_value(l, &c->path, root);
	const char *taken = c->operand == JSON_OF_NAME ? value_of(ctx, c->text) : NULL;
	double number;
	char seen[120];

	if (v == NULL) {
		snprintf(why, room, "%.120s is not there%s%.100s", c->path.text, *c->expected != '\0' ? ", expected " : "", c->expected);
		return false;
	}
	number = c->path.is_length ? length_of(l, v) : number_of(l, v);
	if (c->operator == JSON_EXISTS || value_holds(l, c, v, number, taken))
		return true;
	if (c->path.is_length && !isnan(number))
		snprintf(seen, sizeof seen, "%.0f", number);
	else
		format_seen(l, v, seen, sizeof seen);
	snprintf(why, room, "%.120s is %s, expected %.100s", c->path.text, seen, c->expected);
	return false;
}
