#include "collector/notice/runner_message.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/mem.h"

#define NAME_MAX_LEN 63
#define PREFIX "XUNJIAN_"

static void put_text(struct buf *out, const char *text)
{
	size_t len = strlen(text);

	buf_add_u16(out, (uint16_t)len);
	buf_add(out, text, len);
}

void runner_message_put_ask(struct buf *out, const struct runner_ask *a)
{
	buf_add_u32(out, (uint32_t)(a->timeout / NS_PER_MS));
	put_text(out, a->name);
	buf_add_u16(out, (uint16_t)a->count);
	for (size_t i = 0; i < a->count; i++)
		put_text(out, a->variables[i]);
	buf_add_u32(out, (uint32_t)a->input_len);
	buf_add(out, a->input, a->input_len);
}

/* An allocated text, or NULL. */
static char *read_text(struct cursor *c, size_t max)
{
	size_t len = cursor_u16(c);
	const uint8_t *bytes = len <= max ? cursor_bytes(c, len) : NULL;
	char *text;

	if (bytes == NULL || memchr(bytes, '\0', len) != NULL)
		return NULL;
	text = mem_alloc(len + 1);
	memcpy(text, bytes, len);
	return text;
}

static bool is_variable(const char *text)
{
	size_t len = strlen(PREFIX);

	if (strncmp(text, PREFIX, len) != 0)
		return false;
	text += len;
	len = strspn(text, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");
	return len > 0 && text[len] == '=';
}

int runner_message_read_ask(const void *bytes, size_t len, struct runner_ask *a)
{
	struct cursor c = cursor_over(bytes, len);
	int64_t timeout_ms = cursor_u32(&c);
	size_t count;

	*a = (struct runner_ask){.timeout = timeout_ms * NS_PER_MS, .name = read_text(&c, NAME_MAX_LEN)};
	count = cursor_u16(&c);
	if (timeout_ms < 1 || timeout_ms > RUNNER_TIMEOUT_MAX * 1000 || a->name == NULL || count > RUNNER_VARIABLES)
		return -1;
	while (a->count < count && (a->variables[a->count] = read_text(&c, RUNNER_VARIABLE_MAX)) != NULL)
		a->count++;
	for (size_t i = 0; i < a->count; i++) {
		if (!is_variable(a->variables[i]))
			return -1;
	}
	a->input_len = cursor_u32(&c);
	a->input = a->input_len <= RUNNER_INPUT_MAX ? cursor_bytes(&c, a->input_len) : NULL;
	return a->count == count && a->input_len <= RUNNER_INPUT_MAX && !c.failed && cursor_left(&c) == 0 ? 0 : -1;
}

void runner_message_fini_ask(struct runner_ask *a)
{
	free((char *)a->name);
	for (size_t i = 0; i < a->count; i++)
		free(a->variables[i]);
}

void runner_message_put_end(struct buf *out, const struct runner_end *e)
{
	buf_add_u32(out, e->how);
	buf_add_u32(out, (uint32_t)e->status);
	buf_add(out, e->output, e->len);
}

int runner_message_read_end(const void *bytes, size_t len, struct runner_end *e)
{
	struct cursor c = cursor_over(bytes, len);
	uint32_t how = cursor_u32(&c);

	*e = (struct runner_end){.how = (enum runner_how)how, .status = (int)cursor_u32(&c)};
	e->len = cursor_left(&c);
	e->output = cursor_bytes(&c, e->len);
	return c.failed || how < RUNNER_EXITED || how > RUNNER_FAILED ? -1 : 0;
}
