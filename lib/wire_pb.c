#include "lib/wire_pb.h"

#include <stdlib.h>

#include "lib/buf.h"
#include "lib/err.h"

struct allowance {
	size_t left;
};

static void *take(void *ctx, size_t size)
{
	struct allowance *a = ctx;

	if (size > a->left)
		return NULL;
	a->left -= size;
	return malloc(size > 0 ? size : 1);
}

static void give_back(void *ctx, void *p)
{
	(void)ctx;
	free(p);
}

void *wire_pb_unpack(const ProtobufCMessageDescriptor *of, const void *data, size_t len,
	const char *what, struct err *e)
{
	struct allowance a = {WIRE_PB_MEMORY};
	ProtobufCAllocator allocator = {take, give_back, &a};
	void *message = protobuf_c_message_unpack(of, &allocator, len, data);

	if (message == NULL)
		err_set(e, "%s: %zu bytes that are not a message of lib/wire.proto or unpack to more "
			"than %u MiB", what, len, WIRE_PB_MEMORY >> 20);
	return message;
}

void wire_pb_free(void *message)
{
	protobuf_c_message_free_unpacked(message, NULL);
}

void wire_pb_pack(const void *message, struct buf *out)
{
	size_t len = protobuf_c_message_get_packed_size(message);

	out->len += protobuf_c_message_pack(message, buf_reserve(out, len));
}
