/*
 * Writing protobuf: what remote write needs of it.
 *
 * Whoever nests a message computes its size first and announces it with wire_len: nothing is moved afterwards.
 */
#ifndef MUSTER_FMT_WIRE_H
#define MUSTER_FMT_WIRE_H

#include <stdint.h>

#include "base/buf.h"

#define WIRE_VARINT_MAX 10

/* Into memory of the caller's; returns the length. */
static inline size_t
wire_varint_put(unsigned char out[WIRE_VARINT_MAX], uint64_t v)
{
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		out[n++] = (unsigned char)(v | 0x80);
	out[n++] = (unsigned char)v;
	return n;
}
size_t wire_varint_len(uint64_t v);
/* Tag and length of a field of n bytes that are to follow. */
void wire_len(struct buf *out, unsigned field, size_t n);
void wire_bytes(struct buf *out, unsigned field, struct sv v);

#endif
