/* What engine and spawner say to each other: the first byte's low bit tells a call from an end. */
#include <stdlib.h>
#include <string.h>

#include "agent/spawner_message.h"
#include "lib/buf.h"
#include "lib/clock.h"
#include "probes/exec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void same(struct buf *out, const uint8_t *data, size_t len)
{
	if (out->len != len || memcmp(out->data, data, len) != 0)
		abort();
	buf_fini(out);
}

static void read_call(const uint8_t *data, size_t len)
{
	struct spawner_asked a;
	struct buf out = {0};

	if (spawner_message_read_call(data, len, &a) == 0) {
		buf_add_u32(&out, (uint32_t)(a.timeout / NS_PER_MS));
		spawner_message_put_request(&out, &(struct exec_request){.plugin = a.plugin,
			.args = (const char *const *)a.args, .count = a.count});
		same(&out, data, len);
	}
	spawner_message_fini_asked(&a);
}

static void read_end(const uint8_t *data, size_t len)
{
	struct exec_end end;
	struct buf out = {0};

	if (spawner_message_read_end(data, len, &end) == 0) {
		spawner_message_put_end(&out, &end);
		same(&out, data, len);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	if (len == 0)
		return 0;
	if (data[0] & 1)
		read_call(data + 1, len - 1);
	else
		read_end(data + 1, len - 1);
	return 0;
}
