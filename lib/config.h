/*
 * config: a libconfig file and a schema table give a struct; every error says file:line and what
 * to write instead. The same table reads `key=value` options from a shell or the wire and prints
 * the manual, so nothing about a setting is written twice.
 *
 * Dialect: libconfig 1.5, narrowed (config_scan.h): unknown keys, wrong types, numbers outside the
 * field's range, integers that 1.5 would silently truncate (> 32 bit without L), a BOM, a trailing
 * comma, duplicate keys are errors. Durations and sizes are texts with units ("10s", "512MiB").
 * All texts are UTF-8 without control characters. Values and texts live in the caller's arena.
 * Thread: any, libconfig is reentrant (it switches the thread's locale while parsing).
 * Limits: CONFIG_FILE_MAX bytes of a file, 64 fields of a schema.
 */
#ifndef LIB_CONFIG_H
#define LIB_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct arena;
struct buf;
struct err;

#define CONFIG_FILE_MAX (64u << 20)

enum config_kind {
	CONFIG_BOOL,     /* bool */
	CONFIG_INT,      /* int64_t, min..max */
	CONFIG_NUMBER,   /* double */
	CONFIG_DURATION, /* int64_t ns, min..max in ns */
	CONFIG_SIZE,     /* int64_t bytes, min..max */
	CONFIG_TEXT,     /* const char *, min..max bytes (max 0: 4096) */
	CONFIG_ID,       /* const char *, num_check_id */
	CONFIG_CHOICE,   /* int: index into the words of `choices`, which are separated by '|' */
	CONFIG_TEXTS,    /* struct config_texts, min..max of them: a list of texts, or just one text */
	CONFIG_GROUP,    /* a struct in place, by `sub` */
	CONFIG_LIST,     /* struct config_list, min..max of them: a list of groups by `sub` */
	CONFIG_OPTIONS,  /* struct config_pairs: a group kept as texts, read later by another schema */
	CONFIG_REST,     /* the same of all settings of this group that no other field names */
};

struct config_texts {
	size_t count;
	const char **items;
};

/* Where an operator wrote something; a NULL file: not in a file. */
struct config_where {
	const char *file;
	unsigned line;
};

struct config_pair {
	const char *key, *value;
	struct config_where where;
};

struct config_pairs {
	size_t count;
	struct config_pair *items;
	struct config_where where; /* of the group */
	/* Of CONFIG_REST: the schema whose settings stand in the same group, so that a name that
	 * neither knows can be told well. NULL: none. */
	const struct config_schema *beside;
};

struct config_list {
	size_t count;
	void *items; /* count elements of sub->size bytes */
};

struct config_field {
	const char *name; /* NULL ends the table */
	enum config_kind kind;
	size_t offset;
	/* Text form of the default (of CONFIG_TEXTS: divided by spaces); NULL: must be given; "": zero,
	 * of a group: all its defaults. */
	const char *fallback;
	int64_t min, max;     /* both 0: not bounded */
	const char *choices;
	const struct config_schema *sub;
	const char *help; /* one line for --help and the manual */
	/* Further words on a given text, or on each of CONFIG_TEXTS: 0, or -1 with what is wrong. */
	int (*check)(const char *text, struct err *);
	/* Of CONFIG_TEXTS: further words on the last of these, which means something behind those before it. */
	int (*check_last)(const char *const *items, size_t count, struct err *);
};

struct config_schema {
	size_t size; /* of the struct */
	const struct config_field *fields;
	ptrdiff_t where_offset; /* of a `struct config_where` that keeps where it stands, or -1 */
};

/* Reads one file into *out (schema->size bytes, zeroed here). 0, or -1 with "file:line: words". */
int config_load(const char *path, const struct config_schema *, struct arena *, void *out,
	struct err *);
/* The text of a file, as config_load sees it, for config_parse. */
int config_read_text(const char *path, struct buf *out, struct err *);
/* The same of a text; name stands for the file in errors. */
int config_parse(const char *name, const char *text, const struct config_schema *, struct arena *,
	void *out, struct err *);
/* Reads every *.conf of a folder in order of names and hands each to on_file; stops at the first
 * error. Each file gives one struct, in the arena. */
int config_load_folder(const char *folder, const struct config_schema *, struct arena *,
	int (*on_file)(void *ctx, const char *path, void *out, struct err *), void *ctx, struct err *);

/* The same of pairs, by a flat schema (no groups, lists, options): defaults, then each pair, then
 * whether all is there. A field of kind CONFIG_TEXTS takes one item from each pair of its name. */
int config_read_pairs(const struct config_schema *, const struct config_pairs *, struct arena *,
	void *out, struct err *);

/* An error where an operator wrote something: "file:line: words"; always -1. */
int config_error(const struct config_where *, struct err *, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* How many letters must be put in, taken out or changed in the first 63: to name what is nearest. */
unsigned config_distance(const char *a, const char *b);

/* Fields with kind, default, range and help: plain text for --help, mdoc rows for a manual. */
void config_print_help(const struct config_schema *, FILE *);
void config_print_mdoc(const struct config_schema *, FILE *);

#endif
