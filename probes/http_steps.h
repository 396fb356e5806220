/*
 * http_steps: what a check does in several requests, one behind the other, as an operator writes it: lines, of which one that begins with
 * a name and a colon is a step, and the others say more of the step above them.
 *
 *   login: POST /login                     the request: GET, HEAD, POST, PUT, PATCH or DELETE, and an address, to that of the check
 *     form user=monitor                    sent as a form, field by field; or:
 *     body {"password": "${secret:portal}"}    sent as it stands; in JSON values are escaped
 *     header X-Requested-With: XMLHttpRequest
 *     redirects 0                          followed at most, instead of the check's number
 *     status 200-299,401                   what the answer must be, instead of the check's status
 *     expect welcome                       bytes in the body, or ~ and a pattern
 *     forbid error
 *     expect_header Location: /home        as the option of that name
 *     json $.status == "ok"                as json_path.h has it; ${name} may be compared with
 *     take csrf = body ~name="csrf" value="([^"]*)"     a value for the steps below: what is in ( ),
 *     take id = json $.items[0].id         or of JSON,
 *     take place = header Location         or of a header line, whole or by ~ and a pattern with ( )
 *
 * ${name} stands for what was taken, ${secret:id} for a secret of the agent's own file (http_template.h). Pure.
 */
#ifndef PROBES_HTTP_STEPS_H
#define PROBES_HTTP_STEPS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/config.h"
#include "probes/http_template.h"
#include "probes/json_path.h"

#define HTTP_STEPS_MAX 12
#define HTTP_LINES_MAX 48

struct err;
struct pattern_span;

enum http_source { HTTP_OF_JSON, HTTP_OF_HEADER, HTTP_OF_BODY };

struct http_take {
	char name[HTTP_NAME_MAX + 1];
	enum http_source source;
	struct json_path path;
	char header[64];
	struct pattern_span *pattern; /* of a header NULL: all of the line */
};

/* Texts are borrowed from the lines. */
struct http_step {
	char name[HTTP_NAME_MAX + 1], method[8];
	const char *target;
	const char *body, *status, *expect, *forbid, *expect_header; /* NULL: not given */
	long redirects;                                              /* -1: not given */
	size_t form_count, header_count, json_count, take_count;
	const char *form[HTTP_LINES_MAX], *headers[HTTP_LINES_MAX];
	struct json_condition *json;
	struct http_take *takes;
};

struct http_steps {
	size_t count;
	struct http_step steps[HTTP_STEPS_MAX];
};

/* Reads lines; NULL with words on the first that is wrong. */
struct http_steps *http_steps_new(const char *const *lines, size_t count, struct err *);
void http_steps_free(struct http_steps *); /* accepts NULL */
/* Words on the last of some lines, those above it are good (a check_last of lib/config.h). */
int http_steps_check(const char *const *lines, size_t count, struct err *);

#endif
