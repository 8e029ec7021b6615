/*
 * Protobuf by hand: muster sends one fixed message type, and a writer of a few lines needs no code
 * generator and no copy of the message as a tree.
 */
#include "fmt/wire.h"

#define TYPE_BYTES 2

size_t
wire_varint_len(uint64_t v)
{
	unsigned char bytes[WIRE_VARINT_MAX];

	return wire_varint_put(bytes, v);
}

void
wire_len(struct buf *out, unsigned field, size_t n)
{
	unsigned char bytes[2 * WIRE_VARINT_MAX];
	size_t used = wire_varint_put(bytes, (uint64_t)field << 3 | TYPE_BYTES);

	used += wire_varint_put(bytes + used, n);
	buf_add(out, bytes, used);
}

void
wire_bytes(struct buf *out, unsigned field, struct sv v)
{
	wire_len(out, field, v.n);
	buf_sv(out, v);
}
