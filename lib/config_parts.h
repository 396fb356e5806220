/*
 * config_parts: what config.c asks of config_names.c and config_value.c. Of these files only: everyone else reads
 * lib/config.h. Pure.
 */
#ifndef LIB_CONFIG_PARTS_H
#define LIB_CONFIG_PARTS_H

struct arena;
struct config_field;
struct config_schema;
struct config_where;
struct err;

/* What to say of a setting that no schema knows: the name that was meant, or all that are known. -1.
 * beside: another schema whose settings stand in the same group, or NULL. */
int config_names_unknown(const struct config_schema *, const struct config_schema *beside, const struct config_where *,
	const char *name, struct err *);

/* A single value from text, by the kind and the bounds of its field. out: of the type of the field; texts are copied into
 * the arena. 0, or -1 with words that name no place. */
int config_value_parse(const struct config_field *, const char *text, struct arena *, void *out, struct err *);

#endif
