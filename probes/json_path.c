#include "probes/json_path.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "lib/mem.h"
#include "lib/num.h"
#include "probes/pattern.h"

#define INDEX_MAX 1000000

static const char *skip_blanks(const char *at)
{
	return at + strspn(at, " \t");
}

/* A text in quotes of either kind at `at`, in which \ stands before a quote or itself; NULL when it has no end. */
static char *read_quoted(const char **at)
{
	char quote = **at, *out = mem_alloc(strlen(*at) + 1);
	const char *p = *at + 1;
	size_t n = 0;

	for (; *p != '\0' && *p != quote; p++) {
		if (*p == '\\' && (p[1] == quote || p[1] == '\\'))
			p++;
		out[n++] = *p;
	}
	if (*p == quote) {
		*at = p + 1;
		return out;
	}
	free(out);
	return NULL;
}

static bool is_quote(char c)
{
	return c == '"' || c == '\'';
}

/* ---- a path */

static bool is_name_sign(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' || (unsigned char)c >= 0x80;
}

static int read_name(struct json_part *part, const char **at, struct err *e)
{
	size_t n = 0;

	while (is_name_sign((*at)[n]))
		n++;
	if (n == 0)
		return err_set(e, "\"%.40s\": a name is wanted behind the dot; one with other signs is written ['...']", *at);
	part->name = mem_copy(*at, n + 1);
	part->name[n] = '\0';
	*at += n;
	return 0;
}

static int read_index(struct json_part *part, const char **at, struct err *e)
{
	char *end;

	part->index = strtol(*at, &end, 10);
	if (end == *at || *end != ']' || part->index > INDEX_MAX || part->index < -INDEX_MAX || strspn(*at, "-0123456789") == 0)
		return err_set(e, "\"[%.40s\": an index, as in [0] or [-1], or a name in quotes is wanted", *at);
	*at = end;
	return 0;
}

static int read_bracket(struct json_part *part, const char **at, struct err *e)
{
	if (is_quote(**at)) {
		part->name = read_quoted(at);
		if (part->name == NULL || **at != ']')
			return err_set(e, "a [ or a quote has no end");
	} else if (read_index(part, at, e) < 0) {
		return -1;
	}
	++*at;
	return 0;
}

static int read_parts(struct json_path *p, const char **at, struct err *e)
{
	if (**at != '$')
		return err_set(e, "\"%.40s\": a path begins with $, as in $.name or $.items[0]", *at);
	++*at;
	while (**at == '.' || **at == '[') {
		struct json_part *part = &p->parts[p->count];
		bool is_name = *(*at)++ == '.';

		if (p->count == JSON_PATH_PARTS)
			return err_set(e, "the path has more than %d parts", JSON_PATH_PARTS);
		p->count++;
		if ((is_name ? read_name(part, at, e) : read_bracket(part, at, e)) < 0)
			return -1;
	}
	return 0;
}

/* Up to where the path ends. */
static int read_path(struct json_path *p, const char **at, struct err *e)
{
	const char *from = *at;

	*p = (struct json_path){.is_length = strncmp(from, "length(", 7) == 0};
	if (p->is_length)
		*at = skip_blanks(*at + 7);
	if (read_parts(p, at, e) < 0)
		return -1;
	if (p->is_length) {
		*at = skip_blanks(*at);
		if (**at != ')')
			return err_set(e, "length( has no )");
		++*at;
	}
	p->text = mem_format("%.*s", (int)(*at - from), from);
	return 0;
}

void json_path_fini(struct json_path *p)
{
	for (size_t i = 0; i < p->count; i++)
		free(p->parts[i].name);
	free(p->text);
	*p = (struct json_path){0};
}

int json_path_init(struct json_path *p, const char *text, struct err *e)
{
	int status = read_path(p, &text, e);

	if (status == 0 && *text != '\0')
		status = err_set(e, "\"%.40s\" behind the path means nothing", text);
	if (status < 0)
		json_path_fini(p);
	return status;
}

/* ---- a condition */

static int read_operator(struct json_condition *c, const char **at, struct err *e)
{
	static const struct { const char *text; enum json_operator operator; } known[] = {{"==", JSON_EQUAL}, {"!=", JSON_UNEQUAL},
		{"<=", JSON_LESS_OR_EQUAL}, {"<", JSON_LESS}, {">=", JSON_GREATER_OR_EQUAL}, {">", JSON_GREATER}, {"=~", JSON_MATCHES}};

	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		size_t n = strlen(known[i].text);

		if (strncmp(*at, known[i].text, n) != 0)
			continue;
		c->operator = known[i].operator;
		*at = skip_blanks(*at + n);
		return 0;
	}
	return err_set(e, "\"%.40s\": == != < <= > >= or =~ is wanted behind the path, or nothing", *at);
}

/* ${name}: its length in the text, or 0. */
static size_t read_reference(struct json_condition *c, const char *at)
{
	size_t n = strncmp(at, "${", 2) == 0 ? strspn(at + 2, "abcdefghijklmnopqrstuvwxyz0123456789-_") : 0;

	if (n == 0 || at[2 + n] != '}')
		return 0;
	c->operand = JSON_OF_NAME;
	c->text = mem_format("%.*s", (int)n, at + 2);
	return n + 3;
}

static int read_word(struct json_condition *c, const char *at, struct err *e)
{
	static const struct { const char *text; enum json_operand operand; } words[] = {{"true", JSON_OF_TRUE}, {"false", JSON_OF_FALSE},
		{"null", JSON_OF_NULL}};
	struct err ignored;

	for (size_t i = 0; i < 3; i++) {
		if (strcmp(at, words[i].text) == 0) {
			c->operand = words[i].operand;
			return 0;
		}
	}
	c->operand = JSON_OF_NUMBER;
	if (num_parse_double(at, &c->number, &ignored) < 0)
		return err_set(e, "\"%.40s\" is no number, text in quotes, true, false, null or ${name}", at);
	return 0;
}

static int read_operand(struct json_condition *c, const char *at, struct err *e)
{
	size_t n = read_reference(c, at);

	if (n > 0) {
		at += n;
	} else if (is_quote(*at)) {
		c->operand = JSON_OF_TEXT;
		c->text = read_quoted(&at);
		if (c->text == NULL)
			return err_set(e, "a quote has no end");
	} else {
		return read_word(c, at, e);
	}
	return *at == '\0' ? 0 : err_set(e, "\"%.40s\" behind the value means nothing", at);
}

/* Which values an operator can be used with. */
static int check_operand(struct json_condition *c, struct err *e)
{
	bool is_order = c->operator >= JSON_LESS && c->operator <= JSON_GREATER_OR_EQUAL;

	if (c->operator == JSON_MATCHES) {
		if (c->operand != JSON_OF_TEXT || c->path.is_length)
			return err_set(e, "=~ wants a pattern in quotes, and a text before it");
		c->pattern = pattern_new(c->text, e);
		return c->pattern != NULL ? 0 : -1;
	}
	if (is_order && (c->operand == JSON_OF_TRUE || c->operand == JSON_OF_FALSE || c->operand == JSON_OF_NULL))
		return err_set(e, "true, false and null have no order: write == or !=");
	if (c->path.is_length && c->operand != JSON_OF_NUMBER && c->operand != JSON_OF_NAME)
		return err_set(e, "a length is a number");
	return 0;
}

static int read_condition(struct json_condition *c, const char *at, struct err *e)
{
	if (read_path(&c->path, &at, e) < 0)
		return -1;
	at = skip_blanks(at);
	c->expected = mem_strdup(at);
	if (*at == '\0')
		return 0;
	if (read_operator(c, &at, e) < 0 || read_operand(c, at, e) < 0)
		return -1;
	return check_operand(c, e);
}

int json_condition_init(struct json_condition *c, const char *text, struct err *e)
{
	*c = (struct json_condition){.operator = JSON_EXISTS};
	if (read_condition(c, skip_blanks(text), e) == 0)
		return 0;
	json_condition_fini(c);
	return -1;
}

void json_condition_fini(struct json_condition *c)
{
	json_path_fini(&c->path);
	pattern_free(c->pattern);
	free(c->text);
	free(c->expected);
	*c = (struct json_condition){0};
}
