/*
 * Writing protobuf: what remote write needs of it.
 *
 * Everything is written into memory of the caller's, who has computed its size: a message announces the size of what is
 * nested in it before that is written, so nothing is moved afterwards. In the header, for it is written millions of times a run.
 */
#ifndef MUSTER_FMT_WIRE_H
#define MUSTER_FMT_WIRE_H

#include <stdint.h>

#include "base/buf.h"

#define WIRE_VARINT_MAX 10
#define WIRE_TYPE_BYTES 2u /* wire type of whatever is announced with its length */

/* Returns the length. */
static inline size_t
wire_varint_put(unsigned char *out, uint64_t v)
{
	size_t n = 0;

	for (; v >= 0x80; v >>= 7)
		out[n++] = (unsigned char)(v | 0x80);
	out[n++] = (unsigned char)v;
	return n;
}
/* The same for milliseconds since the epoch, which from 1971 to 2109 take six bytes. */
static inline size_t
wire_time_put(unsigned char *out, uint64_t ms)
{
	if (ms >> 35 == 0 || ms >> 42 != 0)
		return wire_varint_put(out, ms);
	out[0] = (unsigned char)(ms | 0x80);
	out[1] = (unsigned char)(ms >> 7 | 0x80);
	out[2] = (unsigned char)(ms >> 14 | 0x80);
	out[3] = (unsigned char)(ms >> 21 | 0x80);
	out[4] = (unsigned char)(ms >> 28 | 0x80);
	out[5] = (unsigned char)(ms >> 35);
	return 6;
}
static inline size_t
wire_varint_len(uint64_t v)
{
	size_t n = 1;

	for (; v >= 0x80; v >>= 7)
		n++;
	return n;
}

/* Tag and length of a field of n bytes that are to follow; returns what is behind, as the next one does. */
static inline unsigned char *
wire_len(unsigned char *p, unsigned field, size_t n)
{
	p += wire_varint_put(p, (uint64_t)field << 3 | WIRE_TYPE_BYTES);
	return p + wire_varint_put(p, n);
}
static inline unsigned char *
wire_bytes(unsigned char *p, unsigned field, struct sv v)
{
	p = wire_len(p, field, v.n);
	if (v.n)
		memcpy(p, v.p, v.n);
	return p + v.n;
}

#endif
