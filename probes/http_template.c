#include "probes/http_template.h"

#include <stdio.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/err.h"

#define LETTERS "abcdefghijklmnopqrstuvwxyz"
#define CAPITALS "ABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
#define REFERENCE_MAX (sizeof HTTP_SECRET + 63) /* an id has 63 bytes at most */

bool http_name_is_good(const char *name)
{
	size_t n = strspn(name, LETTERS DIGITS "-_");

	return n > 0 && n <= HTTP_NAME_MAX && name[n] == '\0';
}

static bool is_secret(const char *name)
{
	return strncmp(name, HTTP_SECRET, strlen(HTTP_SECRET)) == 0;
}

/* The name of the ${...} at `at`, and where it ends; NULL: it has no end, or is too long. */
static const char *read_reference(const char *at, char name[REFERENCE_MAX + 1])
{
	size_t n = strcspn(at + 2, "}");

	if (at[2 + n] != '}' || n > REFERENCE_MAX)
		return NULL;
	memcpy(name, at + 2, n);
	name[n] = '\0';
	return at + 2 + n + 1;
}

int http_template_check(const char *text, bool may_have_secret, bool (*is_known)(const void *ctx, const char *name),
	const void *ctx, struct err *e)
{
	char name[REFERENCE_MAX + 1];

	while ((text = strstr(text, "${")) != NULL) {
		const char *behind = read_reference(text, name);

		if (behind == NULL)
			return err_set(e, "\"%.40s\": ${ has no }, or what is in it is too long", text);
		if (is_secret(name) && !may_have_secret)
			return err_set(e, "${%s}: a secret may stand in form, body and header lines alone: elsewhere it would be seen", name);
		if (is_secret(name) && name[strlen(HTTP_SECRET)] == '\0')
			return err_set(e, "${secret:} names no secret");
		if (!is_secret(name) && !is_known(ctx, name))
			return err_set(e, "no step above takes \"%s\"", name);
		text = behind;
	}
	return 0;
}

bool http_template_has_secret(const char *text)
{
	return strstr(text, "${" HTTP_SECRET) != NULL;
}

void http_add_encoded(const char *text, struct buf *out)
{
	for (; *text != '\0'; text++) {
		if (strchr(LETTERS CAPITALS DIGITS "-._~", *text) != NULL)
			buf_add_u8(out, (uint8_t)*text);
		else
			buf_add_format(out, "%%%02X", (unsigned char)*text);
	}
}

static void add_json(const char *text, struct buf *out)
{
	for (; *text != '\0'; text++) {
		if (*text == '"' || *text == '\\')
			buf_add_u8(out, '\\');
		if ((unsigned char)*text < 0x20)
			buf_add_format(out, "\\u%04x", (unsigned char)*text);
		else
			buf_add_u8(out, (uint8_t)*text);
	}
}

int http_template_fill(const char *text, enum http_escape escape, const char *(*value_of)(void *ctx, const char *name, struct err *),
	void *ctx, struct buf *out, struct err *e)
{
	char name[REFERENCE_MAX + 1];
	const char *whole = text, *at;

	while ((at = strstr(text, "${")) != NULL) {
		const char *behind = read_reference(at, name), *value = value_of(ctx, name, e);

		if (value == NULL)
			return -1;
		buf_add(out, text, (size_t)(at - text));
		if (escape == HTTP_IN_JSON)
			add_json(value, out);
		else if (escape == HTTP_IN_URL && at != whole)
			http_add_encoded(value, out);
		else
			buf_add_text(out, value);
		text = behind;
	}
	buf_add_text(out, text);
	return 0;
}
