/*
 * wire_pb: protobuf-c behind two calls. Of wire*.c only: everyone else speaks lib/wire.h.
 *
 * Unpacking is capped: a body of empty sub-messages grows 50-fold in protobuf-c, so an unpacking
 * that asks for more than WIRE_PB_MEMORY bytes in all is refused.
 */
#ifndef LIB_WIRE_PB_H
#define LIB_WIRE_PB_H

#include <protobuf-c/protobuf-c.h>

struct buf;
struct err;

#define WIRE_PB_MEMORY (32u << 20)

/* The unpacked message, or NULL with err, which begins with `what`. */
void *wire_pb_unpack(const ProtobufCMessageDescriptor *, const void *data, size_t len, const char *what,
	struct err *);
void wire_pb_free(void *message); /* accepts NULL */
void wire_pb_pack(const void *message, struct buf *out);

#endif
