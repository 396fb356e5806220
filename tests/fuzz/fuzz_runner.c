/* What senders of notices and the runner of commands say to each other: the first byte's low bit tells an ask from an end. */
#include <stdlib.h>
#include <string.h>

#include "collector/notice/runner_message.h"
#include "lib/buf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void same(struct buf *out, const uint8_t *data, size_t len)
{
	if (out->len != len || memcmp(out->data, data, len) != 0)
		abort();
	buf_fini(out);
}

static void read_ask(const uint8_t *data, size_t len)
{
	struct runner_ask a;
	struct buf out = {0};

	if (runner_message_read_ask(data, len, &a) == 0) {
		for (size_t i = 0; i < a.count; i++) {
			if (strncmp(a.variables[i], "XUNJIAN_", 8) != 0 || strchr(a.variables[i], '=') == NULL)
				abort();
		}
		runner_message_put_ask(&out, &a);
		same(&out, data, len);
	}
	runner_message_fini_ask(&a);
}

static void read_end(const uint8_t *data, size_t len)
{
	struct runner_end end;
	struct buf out = {0};

	if (runner_message_read_end(data, len, &end) == 0) {
		runner_message_put_end(&out, &end);
		same(&out, data, len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len == 0)
		return 0;
	if (data[0] & 1)
		read_ask(data + 1, len - 1);
	else
		read_end(data + 1, len - 1);
	return 0;
}
