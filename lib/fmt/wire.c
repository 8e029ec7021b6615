/*
 * Protobuf by hand: muster sends two fixed message types, and a writer of a hundred lines needs no
 * code generator and no copy of the message as a tree.
 */
#include "fmt/wire.h"

#define LENGTH_ROOM 5 /* enough for 32 GiB */

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2 };

static size_t
varint(unsigned char out[10], uint64_t v)
{
	size_t n = 0;

	while (v >= 0x80) {
		out[n++] = (unsigned char)(v | 0x80);
		v >>= 7;
	}
	out[n++] = (unsigned char)v;
	return n;
}

void
wire_varint(struct buf *out, uint64_t v)
{
	unsigned char bytes[10];
	size_t n = varint(bytes, v);

	buf_add(out, bytes, n);
}

size_t
wire_varint_len(uint64_t v)
{
	unsigned char bytes[10];

	return varint(bytes, v);
}

static void
tag(struct buf *out, unsigned field, enum wire_type type)
{
	wire_varint(out, (uint64_t)field << 3 | type);
}

void
wire_u64(struct buf *out, unsigned field, uint64_t v)
{
	tag(out, field, WIRE_VARINT);
	wire_varint(out, v);
}

void
wire_i64(struct buf *out, unsigned field, int64_t v)
{
	wire_u64(out, field, (uint64_t)v);
}

void
wire_fixed64(struct buf *out, unsigned field, uint64_t v)
{
	unsigned char bytes[8];

	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(v >> (8 * i));
	tag(out, field, WIRE_FIXED64);
	buf_add(out, bytes, sizeof(bytes));
}

void
wire_double(struct buf *out, unsigned field, double v)
{
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	wire_fixed64(out, field, bits);
}

void
wire_bytes(struct buf *out, unsigned field, struct sv v)
{
	tag(out, field, WIRE_BYTES);
	wire_varint(out, v.n);
	buf_sv(out, v);
}

size_t
wire_begin(struct buf *out, unsigned field)
{
	static const char room[LENGTH_ROOM];
	size_t mark;

	tag(out, field, WIRE_BYTES);
	mark = out->n;
	buf_add(out, room, sizeof(room));
	return mark;
}

void
wire_end(struct buf *out, size_t mark)
{
	unsigned char bytes[10];
	size_t body, n;

	if (!buf_ok(out))
		return;
	body = out->n - mark - LENGTH_ROOM;
	n = varint(bytes, body);
	if (n > LENGTH_ROOM) {
		out->failed = true;
		return;
	}
	memcpy(out->p + mark, bytes, n);
	memmove(out->p + mark + n, out->p + mark + LENGTH_ROOM, body);
	out->n = mark + n + body;
	out->p[out->n] = '\0';
}
