/*
 * Reading `__type` and `message` out of a CBOR map (RFC 8949) and skipping everything else. Errors
 * are rare and small, so this looks at each byte once, allocates nothing and is no decoder.
 */
#include "aws/cbor_error.h"

#include <stdint.h>

#include "base/cleanup.h"

#define MAX_DEPTH 16

enum { CBOR_UINT, CBOR_NEG, CBOR_BYTES, CBOR_TEXT, CBOR_ARRAY, CBOR_MAP, CBOR_TAG, CBOR_SIMPLE };

struct head {
	int major;
	bool indefinite;
	uint64_t arg;
};

static bool
take_head(struct sv *s, struct head *h)
{
	unsigned info;
	size_t n;

	if (s->n == 0)
		return false;
	h->major = (unsigned char)s->p[0] >> 5;
	info = (unsigned char)s->p[0] & 31;
	s->p++;
	s->n--;
	h->indefinite = info == 31;
	h->arg = info;
	if (info < 24 || info == 31)
		return true;
	n = info <= 27 ? (size_t)1 << (info - 24) : 9;
	if (n > 8 || s->n < n)
		return false;
	h->arg = 0;
	for (size_t i = 0; i < n; i++)
		h->arg = h->arg << 8 | (unsigned char)s->p[i];
	s->p += n;
	s->n -= n;
	return true;
}

static bool
take_break(struct sv *s)
{
	if (s->n == 0 || (unsigned char)s->p[0] != 0xff)
		return false;
	s->p++;
	s->n--;
	return true;
}

static bool skip(struct sv *s, int depth);

/* The items of a list or map whose head was read: `per` values for each count. */
static bool
skip_items(struct sv *s, const struct head *h, unsigned per, int depth)
{
	for (uint64_t i = 0; h->indefinite || i < h->arg; i++) {
		if (h->indefinite && take_break(s))
			return true;
		for (unsigned k = 0; k < per; k++)
			if (!skip(s, depth))
				return false;
	}
	return true;
}

/* One item; depth bounds the recursion, the input's length bounds the loops. */
static bool
skip(struct sv *s, int depth)
{
	struct head h;

	if (depth == 0 || !take_head(s, &h))
		return false;
	switch (h.major) {
	case CBOR_BYTES:
	case CBOR_TEXT:
		if (h.indefinite)
			return skip_items(s, &h, 1, depth - 1);
		if (h.arg > s->n)
			return false;
		s->p += h.arg;
		s->n -= h.arg;
		return true;
	case CBOR_ARRAY:
		return skip_items(s, &h, 1, depth - 1);
	case CBOR_MAP:
		return skip_items(s, &h, 2, depth - 1);
	case CBOR_TAG:
		return !h.indefinite && skip(s, depth - 1);
	case CBOR_UINT:
	case CBOR_NEG:
		return !h.indefinite;
	default:
		return !h.indefinite; /* simple values and floats have no more bytes; no lone break
				       */
	}
}

static bool
take_text(struct sv *s, struct sv *ret)
{
	struct head h;

	if (!take_head(s, &h) || h.major != CBOR_TEXT || h.indefinite || h.arg > s->n)
		return false;
	*ret = (struct sv){s->p, (size_t)h.arg};
	s->p += h.arg;
	s->n -= h.arg;
	return true;
}

/* The value behind a key: taken if it is text and wanted, else skipped. */
static bool
take_value(struct sv *s, struct sv *wanted)
{
	struct sv before = *s;

	if (wanted && take_text(s, wanted))
		return true;
	*s = before;
	return skip(s, MAX_DEPTH);
}

bool
cbor_error(struct sv body, struct sv *ret_type, struct sv *ret_message)
{
	struct head h;

	*ret_type = *ret_message = SV("");
	if (!take_head(&body, &h) || h.major != CBOR_MAP)
		return false;
	for (uint64_t i = 0; h.indefinite || i < h.arg; i++) {
		struct sv key, *wanted = NULL;

		if (h.indefinite && take_break(&body))
			return true;
		if (!take_text(&body, &key))
			return false;
		if (sv_eq(key, SV("__type")))
			wanted = ret_type;
		else if (sv_eq(key, SV("message")) || sv_eq(key, SV("Message")))
			wanted = ret_message;
		if (!take_value(&body, wanted))
			return false;
	}
	return true;
}
