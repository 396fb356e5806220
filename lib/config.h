/*
 * config: a libconfig file and a schema table give a struct; every error says file:line and what
 * to write instead. The same table reads `key=value` options from a shell or the wire and prints
 * the manual, so nothing about a setting is written twice.
 *
 * Dialect: libconfig 1.5, narrowed: unknown keys, wrong types, numbers outside int64 or outside the
 * field's range, integers that 1.5 would silently truncate (> 32 bit without L), a BOM, a trailing comma, duplicate
 * keys are errors. Durations and sizes are texts with units ("10s", "512MiB").
 * Values and texts live in the caller's arena. Thread: any, libconfig is reentrant (it switches
 * the thread's locale while parsing).
 */
#ifndef LIB_CONFIG_H
#define LIB_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct arena;
struct err;

enum config_kind {
	CONFIG_BOOL,     /* bool */
	CONFIG_INT,      /* int64_t, min..max */
	CONFIG_NUMBER,   /* double */
	CONFIG_DURATION, /* int64_t ns, min..max in ns */
	CONFIG_SIZE,     /* int64_t bytes, min..max */
	CONFIG_TEXT,     /* const char *, min..max bytes (max 0: 4096) */
	CONFIG_ID,       /* const char *, num_check_id */
	CONFIG_CHOICE,   /* int: index into the words of `choices`, which are separated by '|' */
	CONFIG_TEXTS,    /* struct config_texts: list or array of texts; one text counts as a list of one */
	CONFIG_GROUP,    /* a struct in place, by `sub` */
	CONFIG_LIST,     /* struct config_list: a list of groups by `sub` */
	CONFIG_OPTIONS,  /* struct config_pairs: a group of scalars kept as text, read later by another schema */
};

struct config_texts {
	size_t count;
	const char **items;
};

struct config_pair {
	const char *key, *value;
	const char *file;
	unsigned line;
};

struct config_pairs {
	size_t count;
	struct config_pair *items;
};

struct config_list {
	size_t count;
	void *items; /* count elements of sub->size bytes */
};

struct config_field {
	const char *name; /* NULL ends the table */
	enum config_kind kind;
	size_t offset;
	const char *fallback; /* text form of the default; NULL: must be given; "" : zero value */
	int64_t min, max;     /* both 0: not bounded */
	const char *choices;
	const struct config_schema *sub;
	const char *help; /* one line for --help and the manual */
};

struct config_schema {
	size_t size; /* of the struct */
	const struct config_field *fields;
	ptrdiff_t line_offset; /* where to keep `struct config_where` of the group, or -1 */
};

struct config_where {
	const char *file;
	unsigned line;
};

/* Reads one file into *out (sub->size bytes, zeroed here). 0, or -1 with "file:line: words". */
int config_load(const char *path, const struct config_schema *, struct arena *, void *out, struct err *);
/* The same of a text; name stands for the file in errors. */
int config_parse(const char *name, const char *text, const struct config_schema *, struct arena *, void *out,
	struct err *);
/* Reads every *.conf of a folder in order of names and hands each to on_file; stops at the first error.
 * Each file gives one struct. */
int config_load_folder(const char *folder, const struct config_schema *, struct arena *,
	int (*on_file)(void *ctx, const char *path, void *out, struct err *), void *ctx, struct err *);

/* Flat schemas only (no group, list): defaults, then one key=value, then whether all is there. */
int config_defaults(const struct config_schema *, struct arena *, void *out, struct err *);
int config_set(const struct config_schema *, struct arena *, void *out, const char *key, const char *value,
	struct err *);
int config_complete(const struct config_schema *, const void *out, const char *const *given, size_t count,
	struct err *);

/* An error at a place an operator wrote: "file:line: words"; always -1. */
int config_error(const struct config_where *, struct err *, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Fields with kind, default, range and help: plain text for --help, mdoc rows for a manual. */
void config_print_help(const struct config_schema *, FILE *);
void config_print_mdoc(const struct config_schema *, FILE *);

#endif
