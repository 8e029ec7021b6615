/*
 * Writing protobuf: the few wire types muster sends (remote write, OTLP).
 *
 * Field helpers append tag and value. For a nested message of unknown size, wire_begin leaves room for the
 * length and wire_end closes it (moving the bytes when the length needs fewer octets than were kept).
 */
#ifndef MUSTER_FMT_WIRE_H
#define MUSTER_FMT_WIRE_H

#include <stdint.h>

#include "base/buf.h"

void wire_varint(struct buf *out, uint64_t v);
size_t wire_varint_len(uint64_t v);
void wire_u64(struct buf *out, unsigned field, uint64_t v);     /* type 0 */
void wire_i64(struct buf *out, unsigned field, int64_t v);      /* type 0, plain varint (ten bytes if negative) */
void wire_fixed64(struct buf *out, unsigned field, uint64_t v); /* type 1, little endian */
void wire_double(struct buf *out, unsigned field, double v);    /* type 1 */
void wire_bytes(struct buf *out, unsigned field, struct sv v);  /* type 2 */
size_t wire_begin(struct buf *out, unsigned field);
void wire_end(struct buf *out, size_t mark);

#endif
