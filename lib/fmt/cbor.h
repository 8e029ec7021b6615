/*
 * CBOR (RFC 8949), as much of it as AWS's RPC protocol speaks: read in place, and written.
 *
 * Reading keeps nothing and allocates nothing. All functions return false at what is broken, cut off or not what was
 * asked for; the place is s->p then. Lengths may be announced or open (indefinite).
 */
#ifndef MUSTER_FMT_CBOR_H
#define MUSTER_FMT_CBOR_H

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"

#define CBOR_DEPTH 64

struct cbor_scan {
	const char *p, *end;
};
#define CBOR_SCAN_INIT(text) ((struct cbor_scan){(text).p, (text).p + (text).n})

enum cbor_major { CBOR_UINT, CBOR_NEGATIVE, CBOR_BYTES, CBOR_TEXT, CBOR_LIST, CBOR_MAP, CBOR_TAG, CBOR_OTHER };

/* A list or map that is being walked through: `left` items or pairs, unless it is open. */
struct cbor_walk {
	bool open;
	uint64_t left;
};
bool cbor_open(struct cbor_scan *s, enum cbor_major list_or_map, struct cbor_walk *w);
/* *ret_end: there is no further item or pair, and the list or map was passed. */
bool cbor_next(struct cbor_scan *s, struct cbor_walk *w, bool *ret_end);

/* A text in one piece. */
bool cbor_text(struct cbor_scan *s, struct sv *ret);
/* Any text, appended to out. */
bool cbor_text_add(struct cbor_scan *s, struct buf *out);
/* An integer or a floating-point number of any width, not finite as well. */
bool cbor_number(struct cbor_scan *s, double *ret);
bool cbor_tag(struct cbor_scan *s, uint64_t tag);
/* What a page has most of, inline and in its usual form: a double in eight bytes, and seconds since the epoch (tag 1) in a
 * double or in four bytes. False: cut off or of another form, and nothing is passed. */
static inline bool
cbor_usual_double(struct cbor_scan *s, double *ret)
{
	uint64_t bits;

	if (s->end - s->p < 9 || (unsigned char)*s->p != 0xfb)
		return false;
	memcpy(&bits, s->p + 1, sizeof(bits));
	bits = be64toh(bits);
	memcpy(ret, &bits, sizeof(*ret));
	s->p += 9;
	return true;
}
static inline bool
cbor_usual_seconds(struct cbor_scan *s, double *ret)
{
	struct cbor_scan behind;
	uint32_t four;

	if (s->end - s->p < 6 || (unsigned char)*s->p != 0xc1)
		return false;
	behind = (struct cbor_scan){s->p + 1, s->end};
	if ((unsigned char)s->p[1] == 0x1a) {
		memcpy(&four, s->p + 2, sizeof(four));
		*ret = be32toh(four);
		s->p += 6;
		return true;
	}
	if (!cbor_usual_double(&behind, ret))
		return false;
	s->p = behind.p;
	return true;
}
/* Passes a null (or undefined); anything else stays where it is. */
bool cbor_null(struct cbor_scan *s);
/* Any item, with all that is in it. */
bool cbor_skip(struct cbor_scan *s);

/* Writing: heads are as short as can be, lengths announced. Items of a list, pairs of a map follow. */
void cbor_put_head(struct buf *out, enum cbor_major major, uint64_t n);
void cbor_put_text(struct buf *out, struct sv s);
void cbor_put_double(struct buf *out, double v);
void cbor_put_true(struct buf *out);
void cbor_put_false(struct buf *out);

#endif
