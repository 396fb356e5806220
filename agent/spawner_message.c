#include "agent/spawner_message.h"

#include <stdlib.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/clock.h"
#include "lib/err.h"
#include "lib/mem.h"
#include "lib/sample.h"
#include "probes/exec.h"

/* ---- a call */

static void put_text(struct buf *out, const char *text)
{
	size_t len = strlen(text);

	buf_add_u16(out, (uint16_t)len);
	buf_add(out, text, len);
}

void spawner_message_put_request(struct buf *out, const struct exec_request *q)
{
	put_text(out, q->plugin);
	buf_add_u16(out, (uint16_t)q->count);
	for (size_t i = 0; i < q->count; i++)
		put_text(out, q->args[i]);
}

/* An allocated text, or NULL. */
static char *read_text(struct cursor *c, size_t max)
{
	size_t len = cursor_u16(c);
	const uint8_t *bytes = len <= max ? cursor_bytes(c, len) : NULL;
	char *text;

	if (bytes == NULL)
		return NULL;
	text = mem_alloc(len + 1);
	memcpy(text, bytes, len);
	if (strlen(text) == len && text_is_clean(text, max))
		return text;
	free(text);
	return NULL;
}

static int read_name(struct cursor *c, char out[EXEC_PLUGIN_MAX + 1])
{
	char *name = read_text(c, EXEC_PLUGIN_MAX);
	struct err ignored;
	int status = name != NULL ? catalog_exec_check_name(name, &ignored) : -1;

	if (status == 0)
		memcpy(out, name, strlen(name) + 1);
	free(name);
	return status;
}

int spawner_message_read_call(const void *bytes, size_t len, struct spawner_asked *a)
{
	struct cursor c = cursor_over(bytes, len);
	int64_t timeout_ms = cursor_u32(&c);
	size_t count;

	*a = (struct spawner_asked){.timeout = timeout_ms * NS_PER_MS};
	if (timeout_ms < 1 || timeout_ms > EXEC_TIMEOUT_MAX * 1000 || read_name(&c, a->plugin) < 0)
		return -1;
	count = cursor_u16(&c);
	if (count > EXEC_ARGS_MAX)
		return -1;
	while (a->count < count && (a->args[a->count] = read_text(&c, EXEC_FILLED_MAX)) != NULL)
		a->count++;
	return a->count == count && !c.failed && cursor_left(&c) == 0 ? 0 : -1;
}

void spawner_message_fini_asked(struct spawner_asked *a)
{
	for (size_t i = 0; i < a->count; i++)
		free(a->args[i]);
}

/* ---- an end */

void spawner_message_put_end(struct buf *out, const struct exec_end *end)
{
	buf_add_u32(out, end->how);
	buf_add_u32(out, (uint32_t)end->status);
	buf_add_u64(out, (uint64_t)end->elapsed);
	buf_add_u32(out, (uint32_t)end->out_len);
	buf_add(out, end->out, end->out_len);
	buf_add_u32(out, (uint32_t)end->err_len);
	buf_add(out, end->err, end->err_len);
}

int spawner_message_read_end(const void *bytes, size_t len, struct exec_end *end)
{
	struct cursor c = cursor_over(bytes, len);
	uint32_t how = cursor_u32(&c);

	*end = (struct exec_end){.how = (enum exec_how)how, .status = (int)cursor_u32(&c)};
	end->elapsed = (int64_t)cursor_u64(&c);
	end->out_len = cursor_u32(&c);
	end->out = cursor_bytes(&c, end->out_len);
	end->err_len = cursor_u32(&c);
	end->err = cursor_bytes(&c, end->err_len);
	return c.failed || cursor_left(&c) > 0 || how < EXEC_EXITED || how > EXEC_FAILED ? -1 : 0;
}
