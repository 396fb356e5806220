#include "lib/config.h"

#include <stdbool.h>
#include <string.h>

#include "lib/num.h"

/* The kind as a word for a manual, or the words to choose from. */
static void put_kind(const struct config_field *f, FILE *out)
{
	static const char *const words[] = {
		[CONFIG_BOOL] = "true|false",
		[CONFIG_INT] = "whole number",
		[CONFIG_NUMBER] = "number",
		[CONFIG_DURATION] = "duration",
		[CONFIG_SIZE] = "size",
		[CONFIG_TEXT] = "text",
		[CONFIG_ID] = "id",
		[CONFIG_TEXTS] = "list of texts",
		[CONFIG_GROUP] = "group",
		[CONFIG_LIST] = "list of groups",
		[CONFIG_OPTIONS] = "group of options",
		[CONFIG_REST] = "further settings",
	};

	fputs(f->kind == CONFIG_CHOICE ? f->choices : words[f->kind], out);
}

static void put_bound(const struct config_field *f, int64_t v, FILE *out)
{
	char text[NUM_TEXT];

	if (f->kind == CONFIG_DURATION)
		num_format_duration(v, text);
	else if (f->kind == CONFIG_SIZE)
		num_format_size(v, text);
	else
		snprintf(text, sizeof text, "%lld", (long long)v);
	fputs(text, out);
}

static bool has_range(const struct config_field *f)
{
	bool is_measure = f->kind == CONFIG_INT || f->kind == CONFIG_NUMBER ||
			  f->kind == CONFIG_DURATION || f->kind == CONFIG_SIZE;

	return is_measure && (f->min != 0 || f->max != 0);
}

static bool holds_fields(const struct config_field *f)
{
	return f->kind == CONFIG_GROUP || f->kind == CONFIG_LIST;
}

/* "1 to 1000; default 10", "must be given" */
static void put_limits(const struct config_field *f, FILE *out)
{
	if (has_range(f)) {
		put_bound(f, f->min, out);
		fputs(" to ", out);
		put_bound(f, f->max, out);
		fputs("; ", out);
	}
	if (f->fallback == NULL)
		fputs("must be given", out);
	else if (*f->fallback == '\0' || holds_fields(f))
		fputs("optional", out);
	else
		fprintf(out, "default %s", f->fallback);
}

static void print_help(const struct config_schema *schema, unsigned depth, FILE *out)
{
	for (const struct config_field *f = schema->fields; f->name != NULL; f++) {
		fprintf(out, "%*s%s = ", (int)(2 + 2 * depth), "", f->name);
		put_kind(f, out);
		fprintf(out, "\n%*s%s (", (int)(10 + 2 * depth), "", f->help);
		put_limits(f, out);
		fputs(")\n", out);
		if (holds_fields(f))
			print_help(f->sub, depth + 1, out);
	}
}

void config_print_help(const struct config_schema *schema, FILE *out)
{
	print_help(schema, 0, out);
}

/* Text in a line of mdoc: a backslash would start an escape, a leading dot or quote a macro. */
static void put_mdoc(const char *text, FILE *out)
{
	if (*text == '.' || *text == '\'')
		fputs("\\&", out);
	for (; *text != '\0'; text++) {
		if (*text == '\\')
			fputs("\\e", out);
		else
			fputc(*text, out);
	}
}

void config_print_mdoc(const struct config_schema *schema, FILE *out)
{
	fputs(".Bl -tag -width Ds\n", out);
	for (const struct config_field *f = schema->fields; f->name != NULL; f++) {
		fprintf(out, ".It Ic %s No = Ar ", f->name);
		for (const char *p = f->kind == CONFIG_CHOICE ? f->choices : ""; *p != '\0'; p++)
			fputs(*p == '|' ? " | " : (char[]){*p, '\0'}, out);
		if (f->kind != CONFIG_CHOICE)
			put_kind(f, out);
		fputc('\n', out);
		put_mdoc(f->help, out);
		fputs("\n.Pq ", out);
		put_limits(f, out);
		fputc('\n', out);
		if (holds_fields(f))
			config_print_mdoc(f->sub, out);
	}
	fputs(".El\n", out);
}
