/*
 * json_path: conditions on a JSON text, and values out of it, as an operator writes them. Pure, without a JSON parser: the collector
 * checks settings by it; json_read.h finds and judges.
 *
 *   $.status == "ok"    $.items[0].name != 'x'    $['a b'][-1] < 100    length($.items) >= 1    $.time =~ "^2026-"    $.error
 *
 * A path is a singular query of RFC 9535: $, then .name, ['name'] or [index], a negative index from the end; length(...) is the count
 * of members, items or characters. Behind it == != < <= > >= and a number, a text in quotes, true, false, null or ${name}, a value that
 * was taken before; or =~ and a pattern (pattern.h) in quotes; or nothing: it must be there.
 */
#ifndef PROBES_JSON_PATH_H
#define PROBES_JSON_PATH_H

#include <stdbool.h>
#include <stddef.h>

#define JSON_PATH_PARTS 32

struct err;
struct pattern;

struct json_part {
	char *name; /* of a member; NULL: an index */
	long index;
};

struct json_path {
	char *text; /* as written */
	bool is_length;
	size_t count;
	struct json_part parts[JSON_PATH_PARTS];
};

enum json_operator { JSON_EXISTS, JSON_EQUAL, JSON_UNEQUAL, JSON_LESS, JSON_LESS_OR_EQUAL, JSON_GREATER, JSON_GREATER_OR_EQUAL,
	JSON_MATCHES };
enum json_operand { JSON_OF_NUMBER, JSON_OF_TEXT, JSON_OF_TRUE, JSON_OF_FALSE, JSON_OF_NULL, JSON_OF_NAME };

struct json_condition {
	struct json_path path;
	enum json_operator operator;
	enum json_operand operand;
	double number;
	char *text;              /* of a text; of a name that */
	struct pattern *pattern; /* of =~ */
	char *expected;          /* operator and operand as written */
};

/* 0, or -1 with words; then nothing is held. */
int json_path_init(struct json_path *, const char *text, struct err *);
void json_path_fini(struct json_path *);
int json_condition_init(struct json_condition *, const char *text, struct err *);
void json_condition_fini(struct json_condition *);

#endif
