/*
 * CBOR. A page of metrics in it is mostly numbers that need no parsing: a head byte, eight bytes in
 * network order. So reading is a switch over the head, and a library would only build a tree.
 */
#include "fmt/cbor.h"

#include <endian.h>
#include <math.h>

#define BREAK	    0xff
#define INFO_OPEN   31
#define INFO_FALSE  20
#define INFO_TRUE   21
#define INFO_NULL   22
#define INFO_UNDEF  23
#define INFO_HALF   25
#define INFO_FLOAT  26
#define INFO_DOUBLE 27

struct head {
	enum cbor_major major;
	unsigned info;
	uint64_t arg; /* what the info stands for, or the bytes behind it */
};

/* n bytes in network order: 1, 2, 4 or 8. */
static inline uint64_t
big_endian(const char *p, size_t n)
{
	uint64_t eight;
	uint32_t four;
	uint16_t two;

	switch (n) {
	case 8:
		memcpy(&eight, p, n);
		return be64toh(eight);
	case 4:
		memcpy(&four, p, n);
		return be32toh(four);
	case 2:
		memcpy(&two, p, n);
		return be16toh(two);
	default:
		return (unsigned char)*p;
	}
}

static inline bool
take_head(struct cbor_scan *s, struct head *h)
{
	size_t n;

	if (s->p == s->end)
		return false;
	h->major = (enum cbor_major)((unsigned char)*s->p >> 5);
	h->info = (unsigned char)*s->p & 31;
	h->arg = h->info;
	s->p++;
	if (h->info < 24 || h->info == INFO_OPEN)
		return true;
	if (h->info > 27)
		return false;
	n = (size_t)1 << (h->info - 24);
	if ((size_t)(s->end - s->p) < n)
		return false;
	h->arg = big_endian(s->p, n);
	s->p += n;
	return true;
}

static bool
take_break(struct cbor_scan *s)
{
	if (s->p == s->end || (unsigned char)*s->p != BREAK)
		return false;
	s->p++;
	return true;
}

bool
cbor_open(struct cbor_scan *s, enum cbor_major list_or_map, struct cbor_walk *w)
{
	struct head h;

	if (!take_head(s, &h) || h.major != list_or_map)
		return false;
	*w = (struct cbor_walk){h.info == INFO_OPEN, h.arg};
	return true;
}

bool
cbor_next(struct cbor_scan *s, struct cbor_walk *w, bool *ret_end)
{
	if (w->open) {
		*ret_end = take_break(s);
		return *ret_end || s->p < s->end;
	}
	*ret_end = w->left == 0;
	if (!*ret_end)
		w->left--;
	return *ret_end || s->p < s->end;
}

/* The bytes of a string whose head was read. */
static bool
take_bytes(struct cbor_scan *s, const struct head *h, struct sv *ret)
{
	if (h->info == INFO_OPEN || h->arg > (uint64_t)(s->end - s->p))
		return false;
	*ret = (struct sv){s->p, (size_t)h->arg};
	s->p += h->arg;
	return true;
}

bool
cbor_text(struct cbor_scan *s, struct sv *ret)
{
	struct head h;

	return take_head(s, &h) && h.major == CBOR_TEXT && take_bytes(s, &h, ret);
}

bool
cbor_text_add(struct cbor_scan *s, struct buf *out)
{
	struct head h;
	struct sv piece;

	if (!take_head(s, &h) || h.major != CBOR_TEXT)
		return false;
	if (h.info != INFO_OPEN) {
		if (!take_bytes(s, &h, &piece))
			return false;
		buf_sv(out, piece);
		return true;
	}
	while (!take_break(s)) {
		if (!cbor_text(s, &piece))
			return false;
		buf_sv(out, piece);
	}
	return true;
}

/* IEEE 754 binary16. */
static double
from_half(uint64_t bits)
{
	int exponent = (int)(bits >> 10 & 31);
	double fraction = (double)(bits & 1023), v;

	if (exponent == 31)
		v = bits & 1023 ? NAN : INFINITY;
	else if (exponent)
		v = ldexp(fraction + 1024, exponent - 25);
	else
		v = ldexp(fraction, -24);
	return bits & 0x8000 ? -v : v;
}

static double
from_float(uint64_t bits)
{
	uint32_t half = (uint32_t)bits;
	float v;

	memcpy(&v, &half, sizeof(v));
	return (double)v;
}

static bool
take_float(const struct head *h, double *ret)
{
	switch (h->info) {
	case INFO_HALF:
		*ret = from_half(h->arg);
		return true;
	case INFO_FLOAT:
		*ret = from_float(h->arg);
		return true;
	case INFO_DOUBLE:
		memcpy(ret, &h->arg, sizeof(*ret));
		return true;
	default:
		return false;
	}
}

bool
cbor_number(struct cbor_scan *s, double *ret)
{
	struct head h;

	if (!take_head(s, &h))
		return false;
	if (h.major == CBOR_OTHER)
		return take_float(&h, ret);
	if (h.major > CBOR_NEGATIVE || h.info == INFO_OPEN)
		return false;
	*ret = h.major == CBOR_UINT ? (double)h.arg : -1 - (double)h.arg;
	return true;
}

bool
cbor_tag(struct cbor_scan *s, uint64_t tag)
{
	struct head h;

	return take_head(s, &h) && h.major == CBOR_TAG && h.info != INFO_OPEN && h.arg == tag;
}

bool
cbor_null(struct cbor_scan *s)
{
	unsigned char c = s->p < s->end ? (unsigned char)*s->p : 0;

	if (c != (CBOR_OTHER << 5 | INFO_NULL) && c != (CBOR_OTHER << 5 | INFO_UNDEF))
		return false;
	s->p++;
	return true;
}

static bool skip(struct cbor_scan *s, int depth);

static bool
skip_all(struct cbor_scan *s, const struct head *h, unsigned per, int depth)
{
	struct cbor_walk w = {h->info == INFO_OPEN, h->arg};
	bool end = false;

	for (;;) {
		if (!cbor_next(s, &w, &end))
			return false;
		if (end)
			return true;
		for (unsigned k = 0; k < per; k++)
			if (!skip(s, depth))
				return false;
	}
}

static bool
skip_string(struct cbor_scan *s, const struct head *h)
{
	struct head piece;
	struct sv bytes;

	if (h->info != INFO_OPEN)
		return take_bytes(s, h, &bytes);
	while (!take_break(s))
		if (!take_head(s, &piece) || piece.major != h->major ||
		    !take_bytes(s, &piece, &bytes))
			return false;
	return true;
}

/* Depth bounds the recursion, the input's length bounds the loops. */
static bool
skip(struct cbor_scan *s, int depth)
{
	struct head h;

	if (depth == 0 || !take_head(s, &h))
		return false;
	switch (h.major) {
	case CBOR_BYTES:
	case CBOR_TEXT:
		return skip_string(s, &h);
	case CBOR_LIST:
		return skip_all(s, &h, 1, depth - 1);
	case CBOR_MAP:
		return skip_all(s, &h, 2, depth - 1);
	case CBOR_TAG:
		return h.info != INFO_OPEN && skip(s, depth - 1);
	default:
		return h.info != INFO_OPEN; /* numbers and simple values; no lone break */
	}
}

bool
cbor_skip(struct cbor_scan *s)
{
	return skip(s, CBOR_DEPTH);
}

/* Writing */

void
cbor_put_head(struct buf *out, enum cbor_major major, uint64_t n)
{
	unsigned char bytes[9];
	size_t len = n < 24	       ? 0
		     : n <= UINT8_MAX  ? 1
		     : n <= UINT16_MAX ? 2
		     : n <= UINT32_MAX ? 4
				       : 8;
	static const unsigned char infos[] = {[1] = 24, [2] = 25, [4] = 26, [8] = 27};

	bytes[0] = (unsigned char)(major << 5 | (len ? infos[len] : n));
	for (size_t i = 0; i < len; i++)
		bytes[1 + i] = (unsigned char)(n >> 8 * (len - 1 - i));
	buf_add(out, bytes, 1 + len);
}

void
cbor_put_text(struct buf *out, struct sv s)
{
	cbor_put_head(out, CBOR_TEXT, s.n);
	buf_sv(out, s);
}

void
cbor_put_double(struct buf *out, double v)
{
	unsigned char bytes[9] = {CBOR_OTHER << 5 | INFO_DOUBLE};
	uint64_t bits;

	memcpy(&bits, &v, sizeof(bits));
	for (size_t i = 0; i < 8; i++)
		bytes[1 + i] = (unsigned char)(bits >> (56 - 8 * i));
	buf_add(out, bytes, sizeof(bytes));
}

void
cbor_put_true(struct buf *out)
{
	cbor_put_head(out, CBOR_OTHER, INFO_TRUE);
}

void
cbor_put_false(struct buf *out)
{
	cbor_put_head(out, CBOR_OTHER, INFO_FALSE);
}
